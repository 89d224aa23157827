#include "aws/iam/nouns.h"
#include "base/clock.h"

/* --- account alias: one an account, unique in the cloud */

static struct str alias_key(struct call *c, struct str alias)
{
	return KEY(c->arena, S("iam"), S(""), S("alias"), alias);
}

static struct str own_alias_key(struct call *c)
{
	return KEY(c->arena, S("iam"), c->account, S("alias"), S(""));
}

int iam_create_account_alias(struct call *c, const struct iam_create_account_alias_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_alias_record r, old;
	if (record_get(call_txn(c), c->arena, alias_key(c, in->account_alias), &iam_alias_type, &r) &&
	    !str_eq(r.account, c->account))
		return call_fail(c, "EntityAlreadyExists", 409, "The account alias %.*s already exists.",
		                 STR_ARG(in->account_alias));
	/* The new one takes the old one's place. */
	if (record_get(call_txn(c), c->arena, own_alias_key(c), &iam_alias_type, &old))
		store_delete(call_txn(c), alias_key(c, old.alias));
	r = (struct state_iam_alias_record){.alias = in->account_alias, .account = c->account};
	record_put(call_txn(c), c->arena, alias_key(c, r.alias), &iam_alias_type, &r);
	record_put(call_txn(c), c->arena, own_alias_key(c), &iam_alias_type, &r);
	return CALL_OK;
}

int iam_delete_account_alias(struct call *c, const struct iam_delete_account_alias_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_alias_record r;
	if (!record_get(call_txn(c), c->arena, own_alias_key(c), &iam_alias_type, &r) || !str_eq(r.alias, in->account_alias))
		return call_fail(c, "NoSuchEntity", 404, "The account alias %.*s cannot be found.", STR_ARG(in->account_alias));
	store_delete(call_txn(c), alias_key(c, r.alias));
	store_delete(call_txn(c), own_alias_key(c));
	return CALL_OK;
}

int iam_list_account_aliases(struct call *c, const struct iam_list_account_aliases_request *in,
                             struct iam_list_account_aliases_response *out)
{
	(void)in;
	struct state_iam_alias_record r;
	out->account_aliases.set = true;
	out->is_truncated = OPT_BOOL(false);
	if (record_get(call_txn(c), c->arena, own_alias_key(c), &iam_alias_type, &r))
		*LIST_ADD(c->arena, &out->account_aliases) = r.alias;
	return CALL_OK;
}

/* --- summary */

static int64_t count_versions(struct call *c)
{
	struct str key, prefix = KEY_UNDER(c->arena, S("iam"), c->account, S("policy"));
	struct store_value v;
	struct state_iam_managed_policy_record r;
	int64_t n = 0;
	struct store_iter *i = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
	while (store_next(i, &key, &v))
		if (record_read(c->arena, v.value, &iam_policy_type, &r))
			n += r.versions.n;
	return n;
}

int iam_get_account_summary(struct call *c, const struct model_none *in, struct iam_get_account_summary_response *out)
{
	(void)in;
	int64_t counts[IAM_KINDS] = {0};
	for (enum iam_kind k = IAM_USER; k < IAM_KINDS; k++)
		counts[k] = iam_count(c, iam_kinds[k].key);
	const struct {
		const char *name;
		int64_t value;
	} rows[] = {
	        {"Users", counts[IAM_USER]},
	        {"UsersQuota", iam_kinds[IAM_USER].most},
	        {"Groups", counts[IAM_GROUP]},
	        {"GroupsQuota", iam_kinds[IAM_GROUP].most},
	        {"Roles", counts[IAM_ROLE]},
	        {"RolesQuota", iam_kinds[IAM_ROLE].most},
	        {"InstanceProfiles", counts[IAM_PROFILE]},
	        {"InstanceProfilesQuota", iam_kinds[IAM_PROFILE].most},
	        {"Policies", iam_count(c, S("policy"))},
	        {"PoliciesQuota", 1500},
	        {"PolicySizeQuota", 6144},
	        {"PolicyVersionsInUse", count_versions(c)},
	        {"PolicyVersionsInUseQuota", 10000},
	        {"VersionsPerPolicyQuota", IAM_VERSIONS_MAX},
	        {"AttachedPoliciesPerUserQuota", IAM_ATTACHED_MAX},
	        {"AttachedPoliciesPerGroupQuota", IAM_ATTACHED_MAX},
	        {"AttachedPoliciesPerRoleQuota", IAM_ATTACHED_MAX},
	        {"GroupsPerUserQuota", IAM_GROUPS_OF_USER_MAX},
	        {"AccessKeysPerUserQuota", IAM_KEYS_OF_USER_MAX},
	        {"UserPolicySizeQuota", (int64_t)iam_kinds[IAM_USER].inline_bytes},
	        {"GroupPolicySizeQuota", (int64_t)iam_kinds[IAM_GROUP].inline_bytes},
	        {"RolePolicySizeQuota", (int64_t)iam_kinds[IAM_ROLE].inline_bytes},
	        {"AssumeRolePolicySizeQuota", 2048},
	        {"AccountMFAEnabled", 0},
	        {"AccountAccessKeysPresent", 1},
	        {"AccountSigningCertificatesPresent", 0},
	        {"MFADevices", 0},
	        {"MFADevicesInUse", 0},
	        {"Providers", 0},
	        {"ServerCertificates", iam_count(c, S("server-certificate"))},
	        {"ServerCertificatesQuota", IAM_CERTIFICATES_MAX},
	        {"SigningCertificatesPerUserQuota", 0},
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__typeof__(*out->summary_map.v) *e = LIST_ADD(c->arena, &out->summary_map);
		e->key = str_from(rows[i].name);
		e->value = OPT_INT(rows[i].value);
	}
	return CALL_OK;
}

/* --- everything at once */

static void show_inline(struct arena *a, const struct state_iam_powers_record *p, struct iam_policy_detail_list_type *to)
{
	to->set = true;
	for (uint32_t i = 0; i < p->inline_.n; i++)
		*LIST_ADD(a, to) = (struct iam_policy_detail){.policy_name = p->inline_.v[i].name,
		                                              .policy_document = iam_document_show(a, p->inline_.v[i].document)};
}

static void show_attached(struct arena *a, const struct state_iam_powers_record *p, struct iam_attached_policies_list_type *to)
{
	to->set = true;
	for (uint32_t i = 0; i < p->attached.n; i++)
		iam_attached_show(a, p->attached.v[i], LIST_ADD(a, to));
}

static void user_detail(struct call *c, const struct state_iam_entity_record *r, struct iam_user_detail *to)
{
	*to = (struct iam_user_detail){.path = r->path,
	                               .user_name = r->name,
	                               .user_id = r->id,
	                               .arn = iam_entity_arn(c->arena, c->account, IAM_USER, r),
	                               .create_date = r->created,
	                               .group_list = r->groups,
	                               .permissions_boundary = iam_boundary_show(c->arena, r->powers->boundary)};
	to->group_list.set = true;
	show_inline(c->arena, r->powers, &to->user_policy_list);
	show_attached(c->arena, r->powers, &to->attached_managed_policies);
	iam_tags_show(c->arena, &r->tags, &to->tags);
}

static void group_detail(struct call *c, const struct state_iam_entity_record *r, struct iam_group_detail *to)
{
	*to = (struct iam_group_detail){.path = r->path,
	                                .group_name = r->name,
	                                .group_id = r->id,
	                                .arn = iam_entity_arn(c->arena, c->account, IAM_GROUP, r),
	                                .create_date = r->created};
	show_inline(c->arena, r->powers, &to->group_policy_list);
	show_attached(c->arena, r->powers, &to->attached_managed_policies);
}

static void role_detail(struct call *c, const struct state_iam_entity_record *r, struct iam_role_detail *to)
{
	*to = (struct iam_role_detail){
	        .path = r->path,
	        .role_name = r->name,
	        .role_id = r->id,
	        .arn = iam_entity_arn(c->arena, c->account, IAM_ROLE, r),
	        .create_date = r->created,
	        .assume_role_policy_document = iam_document_show(c->arena, r->trust),
	        .permissions_boundary = iam_boundary_show(c->arena, r->powers->boundary),
	};
	show_inline(c->arena, r->powers, &to->role_policy_list);
	show_attached(c->arena, r->powers, &to->attached_managed_policies);
	iam_tags_show(c->arena, &r->tags, &to->tags);
	struct iam_walk walk;
	struct state_iam_entity_record profile;
	to->role_last_used = iam_role_last_used_show(c, r);
	to->instance_profile_list.set = true;
	iam_walk_open(c, IAM_PROFILE, STR_NONE, &walk);
	while (iam_walk_next(&walk, &profile))
		if (profile.roles.n && str_ieq(profile.roles.v[0], r->name))
			iam_profile_show(c, &profile, LIST_ADD(c->arena, &to->instance_profile_list));
}

static bool wanted(const struct iam_get_account_authorization_details_request *in, const char *what)
{
	if (in->filter.n == 0)
		return true;
	for (uint32_t i = 0; i < in->filter.n; i++)
		if (str_is(in->filter.v[i], what))
			return true;
	return false;
}

static void policy_detail(struct call *c, struct str arn, struct iam_managed_policy_detail *to)
{
	struct state_iam_managed_policy_record r;
	struct str account;
	if (!iam_policy_load(c, arn, &r, &account))
		return;
	struct iam_uses uses = iam_policy_uses(c, arn);
	*to = (struct iam_managed_policy_detail){.policy_name = r.name,
	                                         .policy_id = r.id,
	                                         .arn = arn,
	                                         .path = r.path,
	                                         .default_version_id = r.default_,
	                                         .attachment_count = OPT_INT(uses.attached),
	                                         .permissions_boundary_usage_count = OPT_INT(uses.boundaries),
	                                         .is_attachable = OPT_BOOL(true),
	                                         .description = r.description,
	                                         .create_date = r.created,
	                                         .update_date = r.updated};
	for (uint32_t i = 0; i < r.versions.n; i++)
		*LIST_ADD(c->arena, &to->policy_version_list) = (struct iam_policy_version){
		        .document = iam_document_show(c->arena, r.versions.v[i].document),
		        .version_id = r.versions.v[i].id,
		        .is_default_version = OPT_BOOL(str_eq(r.versions.v[i].id, r.default_)),
		        .create_date = r.versions.v[i].created,
		};
}

int iam_get_account_authorization_details(struct call *c, const struct iam_get_account_authorization_details_request *in,
                                          struct iam_get_account_authorization_details_response *out)
{
	static const char *const filters[] = {[IAM_USER] = "User", [IAM_GROUP] = "Group", [IAM_ROLE] = "Role"};
	struct iam_page page;
	bool skip;
	if (!iam_page_open(c, in->max_items, in->marker, &page))
		return CALL_FAIL;
	out->user_detail_list.set = out->group_detail_list.set = out->role_detail_list.set = out->policies.set = true;
	for (enum iam_kind kind = IAM_USER; kind <= IAM_ROLE && !page.more; kind++) {
		struct iam_walk walk;
		struct state_iam_entity_record r;
		if (!wanted(in, filters[kind]))
			continue;
		iam_walk_open(c, kind, STR_NONE, &walk);
		while (iam_walk_next(&walk, &r)) {
			if (!iam_page_take(&page, arena_printf(c->arena, "%d%.*s", kind, STR_ARG(walk.name)), &skip))
				break;
			if (skip)
				continue;
			if (kind == IAM_USER)
				user_detail(c, &r, LIST_ADD(c->arena, &out->user_detail_list));
			else if (kind == IAM_GROUP)
				group_detail(c, &r, LIST_ADD(c->arena, &out->group_detail_list));
			else
				role_detail(c, &r, LIST_ADD(c->arena, &out->role_detail_list));
		}
	}
	if (!page.more && wanted(in, "LocalManagedPolicy")) {
		struct str prefix = KEY_UNDER(c->arena, S("iam"), c->account, S("policy")), key;
		struct store_iter *i = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
		struct store_value v;
		struct state_iam_managed_policy_record r;
		while (store_next(i, &key, &v) && record_read(c->arena, v.value, &iam_policy_type, &r)) {
			if (!iam_page_take(&page, ARENA_CAT(c->arena, S("8"), iam_lower(c->arena, r.name)), &skip))
				break;
			if (!skip)
				policy_detail(c, iam_policy_arn(c->arena, c->account, &r), LIST_ADD(c->arena, &out->policies));
		}
	}
	for (unsigned i = 0; !page.more && wanted(in, "AWSManagedPolicy") && i < iam_aws_policy_count; i++) {
		const struct iam_aws_policy *p = &iam_aws_policies[i];
		if (!iam_page_take(&page, ARENA_CAT(c->arena, S("9"), iam_lower(c->arena, p->name)), &skip))
			break;
		if (!skip)
			policy_detail(c, ARENA_CAT(c->arena, S("arn:aws:iam::aws:policy"), p->path, p->name),
			              LIST_ADD(c->arena, &out->policies));
	}
	iam_page_close(c, &page, &out->is_truncated, &out->marker);
	return CALL_OK;
}
