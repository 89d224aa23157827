#include "aws/iam/nouns.h"

int iam_create_instance_profile(struct call *c, const struct iam_create_instance_profile_request *in,
                                struct iam_create_instance_profile_response *out)
{
	struct state_iam_entity_record r;
	if ((in->tags.n && !iam_may_tag(c, in, "iam:TagInstanceProfile")) ||
	    !iam_create(c, IAM_PROFILE, in->path, in->instance_profile_name, &r) || !iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	iam_save(c, IAM_PROFILE, &r);
	iam_profile_show(c, &r, out->instance_profile = arena_new(c->arena, struct iam_instance_profile));
	return CALL_OK;
}

int iam_get_instance_profile(struct call *c, const struct iam_get_instance_profile_request *in,
                             struct iam_get_instance_profile_response *out)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_PROFILE, in->instance_profile_name, &r))
		return CALL_FAIL;
	iam_profile_show(c, &r, out->instance_profile = arena_new(c->arena, struct iam_instance_profile));
	return CALL_OK;
}

static bool holds_role(const struct state_iam_entity_record *r, struct str role)
{
	return r->roles.n && str_ieq(r->roles.v[0], role);
}

int iam_list_instance_profiles_for_role(struct call *c, const struct iam_list_instance_profiles_for_role_request *in,
                                        struct iam_list_instance_profiles_for_role_response *out)
{
	struct state_iam_entity_record role;
	if (!iam_load(c, IAM_ROLE, in->role_name, &role))
		return CALL_FAIL;
	return iam_list(c, IAM_PROFILE, holds_role, role.name, in->max_items, in->marker, &out->instance_profiles,
	                &out->is_truncated, &out->marker);
}

int iam_add_role_to_instance_profile(struct call *c, const struct iam_add_role_to_instance_profile_request *in,
                                     struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record profile, role;
	if (!iam_load(c, IAM_PROFILE, in->instance_profile_name, &profile) || !iam_load_role_to_change(c, in->role_name, &role))
		return CALL_FAIL;
	if (!call_allowed(c, "iam:PassRole", iam_entity_arn(c->arena, c->account, IAM_ROLE, &role)))
		return CALL_FAIL;
	if (profile.roles.n)
		return call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
	*LIST_ADD(c->arena, &profile.roles) = role.name;
	iam_save(c, IAM_PROFILE, &profile);
	return CALL_OK;
}

int iam_remove_role_from_instance_profile(struct call *c, const struct iam_remove_role_from_instance_profile_request *in,
                                          struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record profile;
	if (!iam_load(c, IAM_PROFILE, in->instance_profile_name, &profile))
		return CALL_FAIL;
	if (profile.roles.n == 0 || !str_ieq(profile.roles.v[0], in->role_name))
		return call_fail(c, "NoSuchEntity", 404, "The role with name %.*s cannot be found.", STR_ARG(in->role_name));
	profile.roles.n = 0;
	iam_save(c, IAM_PROFILE, &profile);
	return CALL_OK;
}

int iam_delete_instance_profile(struct call *c, const struct iam_delete_instance_profile_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_PROFILE, in->instance_profile_name, &r))
		return CALL_FAIL;
	if (r.roles.n)
		return call_fail(c, "DeleteConflict", 409, "Cannot delete entity, must remove roles from instance profile first.");
	iam_drop(c, IAM_PROFILE, r.name);
	return CALL_OK;
}
