/* The handlers of IAM's operations, by the file that has them, and what these files share. For src/aws/iam alone. */
#pragma once
#include "aws/iam/entity.h"

/* A role that is going to be changed: service-linked ones are refused. */
bool iam_load_role_to_change(struct call *c, struct str name, struct state_iam_entity_record *ret);
/* trust.c. May this become a role's trust policy? False: the error is set. */
bool iam_trust_check(struct call *c, struct str json);
/* Of a user or role that got another ARN, or was deleted: the trust policies of the account that name it name `to` from now on. */
void iam_trust_follow(struct call *c, struct str arn, struct str to);
struct iam_role_last_used *iam_role_last_used_show(struct call *c, const struct state_iam_entity_record *r);
/* What the role is called that a service gets; a service that has none here: absent. */
struct str iam_linked_role_name(struct arena *a, struct str service, struct str suffix);
/* When an access key, or the sessions of a role (by its id), were used last. Untouched: never. */
void iam_key_last_used(struct call *c, struct str id, struct state_iam_key_use_record *ret);

/* How many entities have a policy attached, and use it as their boundary. */
struct iam_uses {
	int64_t attached, boundaries;
};
struct iam_uses iam_policy_uses(struct call *c, struct str arn);

/* certificate.c. What a permission about a server certificate is about: its ARN and tags. */
enum { IAM_CERTIFICATES_MAX = 20 };
struct str iam_certificate_resource(struct call *c, struct str name, struct str_map *ret_tags);

/* user.c, list.c, attach.c */
iam_create_user_handler iam_create_user;
iam_get_user_handler iam_get_user;
iam_list_users_handler iam_list_users;
iam_update_user_handler iam_update_user;
iam_delete_user_handler iam_delete_user;
iam_tag_user_handler iam_tag_user;
iam_untag_user_handler iam_untag_user;
iam_list_user_tags_handler iam_list_user_tags;
iam_put_user_permissions_boundary_handler iam_put_user_permissions_boundary;
iam_delete_user_permissions_boundary_handler iam_delete_user_permissions_boundary;

/* user.c */
iam_create_access_key_handler iam_create_access_key;
iam_delete_access_key_handler iam_delete_access_key;
iam_list_access_keys_handler iam_list_access_keys;
iam_update_access_key_handler iam_update_access_key;
iam_get_access_key_last_used_handler iam_get_access_key_last_used;

/* group.c, list.c */
iam_create_group_handler iam_create_group;
iam_get_group_handler iam_get_group;
iam_list_groups_handler iam_list_groups;
iam_update_group_handler iam_update_group;
iam_delete_group_handler iam_delete_group;
iam_add_user_to_group_handler iam_add_user_to_group;
iam_remove_user_from_group_handler iam_remove_user_from_group;
iam_list_groups_for_user_handler iam_list_groups_for_user;

/* role.c, list.c, attach.c */
iam_create_role_handler iam_create_role;
iam_get_role_handler iam_get_role;
iam_list_roles_handler iam_list_roles;
iam_update_role_handler iam_update_role;
iam_update_role_description_handler iam_update_role_description;
iam_update_assume_role_policy_handler iam_update_assume_role_policy;
iam_delete_role_handler iam_delete_role;
iam_tag_role_handler iam_tag_role;
iam_untag_role_handler iam_untag_role;
iam_list_role_tags_handler iam_list_role_tags;
iam_put_role_permissions_boundary_handler iam_put_role_permissions_boundary;
iam_delete_role_permissions_boundary_handler iam_delete_role_permissions_boundary;

/* role.c */
iam_create_service_linked_role_handler iam_create_service_linked_role;
iam_delete_service_linked_role_handler iam_delete_service_linked_role;
iam_get_service_linked_role_deletion_status_handler iam_get_service_linked_role_deletion_status;

/* profile.c, list.c, attach.c */
iam_create_instance_profile_handler iam_create_instance_profile;
iam_get_instance_profile_handler iam_get_instance_profile;
iam_list_instance_profiles_handler iam_list_instance_profiles;
iam_list_instance_profiles_for_role_handler iam_list_instance_profiles_for_role;
iam_add_role_to_instance_profile_handler iam_add_role_to_instance_profile;
iam_remove_role_from_instance_profile_handler iam_remove_role_from_instance_profile;
iam_delete_instance_profile_handler iam_delete_instance_profile;
iam_tag_instance_profile_handler iam_tag_instance_profile;
iam_untag_instance_profile_handler iam_untag_instance_profile;
iam_list_instance_profile_tags_handler iam_list_instance_profile_tags;

/* policy.c */
iam_create_policy_handler iam_create_policy;
iam_get_policy_handler iam_get_policy;
iam_list_policies_handler iam_list_policies;
iam_delete_policy_handler iam_delete_policy;
iam_create_policy_version_handler iam_create_policy_version;
iam_get_policy_version_handler iam_get_policy_version;
iam_list_policy_versions_handler iam_list_policy_versions;
iam_delete_policy_version_handler iam_delete_policy_version;
iam_set_default_policy_version_handler iam_set_default_policy_version;
iam_tag_policy_handler iam_tag_policy;
iam_untag_policy_handler iam_untag_policy;
iam_list_policy_tags_handler iam_list_policy_tags;
iam_list_entities_for_policy_handler iam_list_entities_for_policy;

/* attach.c */
iam_attach_user_policy_handler iam_attach_user_policy;
iam_detach_user_policy_handler iam_detach_user_policy;
iam_list_attached_user_policies_handler iam_list_attached_user_policies;
iam_put_user_policy_handler iam_put_user_policy;
iam_get_user_policy_handler iam_get_user_policy;
iam_delete_user_policy_handler iam_delete_user_policy;
iam_list_user_policies_handler iam_list_user_policies;

/* attach.c */
iam_attach_group_policy_handler iam_attach_group_policy;
iam_detach_group_policy_handler iam_detach_group_policy;
iam_list_attached_group_policies_handler iam_list_attached_group_policies;
iam_put_group_policy_handler iam_put_group_policy;
iam_get_group_policy_handler iam_get_group_policy;
iam_delete_group_policy_handler iam_delete_group_policy;
iam_list_group_policies_handler iam_list_group_policies;

/* attach.c */
iam_attach_role_policy_handler iam_attach_role_policy;
iam_detach_role_policy_handler iam_detach_role_policy;
iam_list_attached_role_policies_handler iam_list_attached_role_policies;
iam_put_role_policy_handler iam_put_role_policy;
iam_get_role_policy_handler iam_get_role_policy;
iam_delete_role_policy_handler iam_delete_role_policy;
iam_list_role_policies_handler iam_list_role_policies;

/* account.c */
iam_create_account_alias_handler iam_create_account_alias;
iam_delete_account_alias_handler iam_delete_account_alias;
iam_list_account_aliases_handler iam_list_account_aliases;
iam_get_account_summary_handler iam_get_account_summary;
iam_get_account_authorization_details_handler iam_get_account_authorization_details;

/* simulate.c */
iam_simulate_principal_policy_handler iam_simulate_principal_policy;
iam_simulate_custom_policy_handler iam_simulate_custom_policy;
iam_get_context_keys_for_custom_policy_handler iam_get_context_keys_for_custom_policy;
iam_get_context_keys_for_principal_policy_handler iam_get_context_keys_for_principal_policy;

/* certificate.c */
iam_upload_server_certificate_handler iam_upload_server_certificate;
iam_get_server_certificate_handler iam_get_server_certificate;
iam_list_server_certificates_handler iam_list_server_certificates;
iam_update_server_certificate_handler iam_update_server_certificate;
iam_delete_server_certificate_handler iam_delete_server_certificate;
iam_tag_server_certificate_handler iam_tag_server_certificate;
iam_untag_server_certificate_handler iam_untag_server_certificate;
iam_list_server_certificate_tags_handler iam_list_server_certificate_tags;
