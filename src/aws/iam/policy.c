/* Managed policies and their versions. AWS's own are a table (managed.c), presented as records with one version. */
#include "aws/iam/nouns.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/map.h"

enum { POLICY_BYTES = 6144, POLICIES_MAX = 1500 };

struct str iam_policy_key(struct arena *a, struct str account, struct str name)
{
	return KEY(a, S("iam"), account, S("policy"), iam_lower(a, name));
}

struct str iam_policy_arn(struct arena *a, struct str account, const struct state_iam_managed_policy_record *r)
{
	return ARENA_CAT(a, S("arn:aws:iam::"), account, S(":policy"), r->path, r->name);
}

static void from_aws(struct arena *a, const struct iam_aws_policy *p, struct state_iam_managed_policy_record *ret)
{
	int64_t made;
	time_parse(S("2015-02-06T18:40:58Z"), &made);
	*ret = (struct state_iam_managed_policy_record){.path = p->path,
	                                                .name = p->name,
	                                                .id = p->id,
	                                                .created = OPT_TIME(made),
	                                                .updated = OPT_TIME(made),
	                                                .default_ = S("v1"),
	                                                .last_version = OPT_INT(1),
	                                                .description = p->description};
	*LIST_ADD(a, &ret->versions) =
	        (struct state_iam_version_record){.id = S("v1"), .document = p->document, .created = OPT_TIME(made)};
}

static bool find(struct call *c, struct str arn, struct state_iam_managed_policy_record *ret, struct str *ret_account)
{
	const struct iam_aws_policy *aws = iam_aws_policy(arn);
	if (aws) {
		*ret_account = S("aws");
		from_aws(c->arena, aws, ret);
		return true;
	}
	struct str account, path, name;
	if (!iam_arn_parse(arn, S("policy"), &account, &path, &name) || !str_eq(account, c->account))
		return false;
	*ret_account = account;
	return record_get(call_txn(c), c->arena, iam_policy_key(c->arena, account, name), &iam_policy_type, ret) &&
	       str_eq(ret->path, path) && str_eq(ret->name, name);
}

bool iam_policy_load(struct call *c, struct str arn, struct state_iam_managed_policy_record *ret, struct str *ret_account)
{
	if (find(c, arn, ret, ret_account))
		return true;
	call_fail(c, "NoSuchEntity", 404, "Policy %.*s was not found.", STR_ARG(arn));
	return false;
}

static bool is_attachable(struct call *c, const char *what, struct str arn)
{
	struct state_iam_managed_policy_record r;
	struct str account;
	if (find(c, arn, &r, &account))
		return true;
	call_fail(c, "NoSuchEntity", 404, "%s %.*s does not exist or is not attachable.", what, STR_ARG(arn));
	return false;
}

bool iam_policy_check(struct call *c, struct str arn)
{
	return is_attachable(c, "Policy", arn);
}

bool iam_boundary_check(struct call *c, struct str arn)
{
	return is_attachable(c, "Scope ARN:", arn);
}

const struct state_iam_version_record *iam_version_find(const struct state_iam_managed_policy_record *r, struct str id)
{
	for (uint32_t i = 0; i < r->versions.n; i++)
		if (str_eq(r->versions.v[i].id, id))
			return &r->versions.v[i];
	return NULL;
}

/* One of this account's, to be changed. */
static bool load_own(struct call *c, struct str arn, struct state_iam_managed_policy_record *ret)
{
	struct str account;
	if (!iam_policy_load(c, arn, ret, &account))
		return false;
	if (str_eq(account, c->account))
		return true;
	call_fail(c, "AccessDenied", 403, "Cannot change the AWS managed policy %.*s.", STR_ARG(arn));
	return false;
}

static void save(struct call *c, const struct state_iam_managed_policy_record *r)
{
	record_put(call_txn(c), c->arena, iam_policy_key(c->arena, c->account, r->name), &iam_policy_type, r);
}

/* Counts for one policy (only), or for all of them: ARN -> struct iam_uses, in an arena of the caller's. */
static void count_uses(struct call *c, struct str only, struct arena *a, struct map *ret)
{
	struct arena CLEAN_ARENA scratch = {0};
	for (enum iam_kind kind = IAM_USER; kind <= IAM_ROLE; kind++) {
		struct iam_walk walk;
		struct state_iam_entity_record r;
		iam_walk_open(c, kind, STR_NONE, &walk);
		walk.arena = &scratch;
		for (; iam_walk_next(&walk, &r); arena_reset(&scratch)) {
			for (uint32_t i = 0; i <= r.powers->attached.n; i++) {
				bool boundary = i == r.powers->attached.n;
				struct str arn = boundary ? r.powers->boundary : r.powers->attached.v[i];
				if (!str_set(arn) || (str_set(only) && !str_eq(only, arn)))
					continue;
				struct iam_uses *u = map_get(ret, arn);
				if (!u)
					map_put(ret, arn, u = arena_new(a, struct iam_uses));
				*(boundary ? &u->boundaries : &u->attached) += 1;
			}
		}
	}
}

struct iam_uses iam_policy_uses(struct call *c, struct str arn)
{
	struct map counts = {0};
	count_uses(c, arn, c->arena, &counts);
	const struct iam_uses *u = map_get(&counts, arn);
	struct iam_uses found = u ? *u : (struct iam_uses){0};
	map_done(&counts);
	return found;
}

static void show(struct call *c, struct str account, const struct state_iam_managed_policy_record *r, const struct iam_uses *uses,
                 struct iam_policy *to)
{
	*to = (struct iam_policy){
	        .policy_name = r->name,
	        .policy_id = r->id,
	        .arn = iam_policy_arn(c->arena, account, r),
	        .path = r->path,
	        .default_version_id = r->default_,
	        .attachment_count = OPT_INT(uses->attached),
	        .permissions_boundary_usage_count = OPT_INT(uses->boundaries),
	        .is_attachable = OPT_BOOL(true),
	        .create_date = r->created,
	        .update_date = r->updated,
	};
}

static bool document_fits(struct call *c, struct str json)
{
	if (!iam_document_check(c, json, POLICY_MANAGED))
		return false;
	if (policy_length(json) <= POLICY_BYTES)
		return true;
	call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for PolicySize: %d", POLICY_BYTES);
	return false;
}

int iam_create_policy(struct call *c, const struct iam_create_policy_request *in, struct iam_create_policy_response *out)
{
	struct state_iam_managed_policy_record r;
	if ((in->tags.n && !iam_may_tag(c, in, "iam:TagPolicy")) || !document_fits(c, in->policy_document))
		return CALL_FAIL;
	if (record_get(call_txn(c), c->arena, iam_policy_key(c->arena, c->account, in->policy_name), &iam_policy_type, &r))
		return call_fail(c, "EntityAlreadyExists", 409,
		                 "A policy called %.*s already exists. Duplicate names are not allowed.", STR_ARG(in->policy_name));
	if (iam_count(c, S("policy")) >= POLICIES_MAX)
		return call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for PoliciesPerAccount: %d", POLICIES_MAX);
	struct opt_time now = OPT_TIME(c->now_ms - c->now_ms % 1000);
	r = (struct state_iam_managed_policy_record){
	        .path = str_set(in->path) ? in->path : S("/"),
	        .name = in->policy_name,
	        .id = id_base32(c->arena, S("ANPA"), 17),
	        .created = now,
	        .updated = now,
	        .description = in->description,
	        .default_ = S("v1"),
	        .last_version = OPT_INT(1),
	};
	*LIST_ADD(c->arena, &r.versions) =
	        (struct state_iam_version_record){.id = S("v1"), .document = in->policy_document, .created = now};
	if (!iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	save(c, &r);
	show(c, c->account, &r, &(struct iam_uses){0}, out->policy = arena_new(c->arena, struct iam_policy));
	iam_tags_show(c->arena, &r.tags, &out->policy->tags);
	return CALL_OK;
}

int iam_get_policy(struct call *c, const struct iam_get_policy_request *in, struct iam_get_policy_response *out)
{
	struct state_iam_managed_policy_record r;
	struct str account;
	if (!iam_policy_load(c, in->policy_arn, &r, &account))
		return CALL_FAIL;
	struct iam_uses uses = iam_policy_uses(c, in->policy_arn);
	show(c, account, &r, &uses, out->policy = arena_new(c->arena, struct iam_policy));
	out->policy->description = r.description;
	iam_tags_show(c->arena, &r.tags, &out->policy->tags);
	return CALL_OK;
}

int iam_delete_policy(struct call *c, const struct iam_delete_policy_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_managed_policy_record r;
	if (!load_own(c, in->policy_arn, &r))
		return CALL_FAIL;
	struct iam_uses uses = iam_policy_uses(c, in->policy_arn);
	if (uses.attached + uses.boundaries)
		return call_fail(c, "DeleteConflict", 409, "Cannot delete a policy attached to entities.");
	if (r.versions.n > 1)
		return call_fail(
		        c, "DeleteConflict", 409,
		        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version "
		        "is deleted with the policy.");
	store_delete(call_txn(c), iam_policy_key(c->arena, c->account, r.name));
	return CALL_OK;
}

/* --- lists: the account's own by name, then AWS's by name */

struct listing {
	struct call *c;
	const struct iam_list_policies_request *in;
	struct iam_list_policies_response *out;
	struct iam_page page;
	struct map uses;
};

/* False: the page is full. */
static bool list_one(struct listing *l, struct str order, struct str account, const struct state_iam_managed_policy_record *r)
{
	struct call *c = l->c;
	struct iam_policy shown;
	bool skip;
	if (!iam_path_matches(r->path, l->in->path_prefix))
		return true;
	const struct iam_uses *uses = map_get(&l->uses, iam_policy_arn(c->arena, account, r));
	show(c, account, r, uses ? uses : &(struct iam_uses){0}, &shown);
	bool boundary = str_is(l->in->policy_usage_filter, "PermissionsBoundary"),
	     attached = str_is(l->in->policy_usage_filter, "PermissionsPolicy");
	bool asked = l->in->only_attached.v || boundary || attached;
	bool used = boundary   ? shown.permissions_boundary_usage_count.v > 0
	            : attached ? shown.attachment_count.v > 0
	                       : shown.attachment_count.v + shown.permissions_boundary_usage_count.v > 0;
	if (asked && !used)
		return true;
	if (!iam_page_take(&l->page, order, &skip))
		return false;
	if (!skip)
		*LIST_ADD(c->arena, &l->out->policies) = shown;
	return true;
}

int iam_list_policies(struct call *c, const struct iam_list_policies_request *in, struct iam_list_policies_response *out)
{
	struct listing l = {.c = c, .in = in, .out = out};
	struct state_iam_managed_policy_record r;
	if (!iam_page_open(c, in->max_items, in->marker, &l.page))
		return CALL_FAIL;
	out->policies.set = true;
	count_uses(c, STR_NONE, c->arena, &l.uses);
	bool more = true;
	if (!str_is(in->scope, "AWS")) {
		struct str prefix = KEY_UNDER(c->arena, S("iam"), c->account, S("policy")), key;
		struct store_iter *i = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
		struct store_value v;
		while (more && store_next(i, &key, &v))
			if (record_read(c->arena, v.value, &iam_policy_type, &r))
				more = list_one(&l, ARENA_CAT(c->arena, S("0"), iam_lower(c->arena, r.name)), c->account, &r);
	}
	for (unsigned i = 0; more && !str_is(in->scope, "Local") && i < iam_aws_policy_count; i++) {
		from_aws(c->arena, &iam_aws_policies[i], &r);
		more = list_one(&l, ARENA_CAT(c->arena, S("1"), iam_lower(c->arena, r.name)), S("aws"), &r);
	}
	map_done(&l.uses);
	iam_page_close(c, &l.page, &out->is_truncated, &out->marker);
	return CALL_OK;
}

/* --- versions */

static struct iam_policy_version shown_version(struct call *c, const struct state_iam_managed_policy_record *r,
                                               const struct state_iam_version_record *v, bool document)
{
	return (struct iam_policy_version){
	        .document = document ? iam_document_show(c->arena, v->document) : STR_NONE,
	        .version_id = v->id,
	        .is_default_version = OPT_BOOL(str_eq(v->id, r->default_)),
	        .create_date = v->created,
	};
}

static const struct state_iam_version_record *load_version(struct call *c, struct str arn,
                                                           const struct state_iam_managed_policy_record *r, struct str id)
{
	const struct state_iam_version_record *v = iam_version_find(r, id);
	if (!v)
		call_fail(c, "NoSuchEntity", 404, "Policy %.*s version %.*s does not exist or is not attachable.", STR_ARG(arn),
		          STR_ARG(id));
	return v;
}

int iam_create_policy_version(struct call *c, const struct iam_create_policy_version_request *in,
                              struct iam_create_policy_version_response *out)
{
	struct state_iam_managed_policy_record r;
	if (!load_own(c, in->policy_arn, &r) || !document_fits(c, in->policy_document))
		return CALL_FAIL;
	if (r.versions.n >= IAM_VERSIONS_MAX)
		return call_fail(
		        c, "LimitExceeded", 409,
		        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.");
	struct state_iam_version_record *v = LIST_ADD(c->arena, &r.versions);
	r.last_version.v++;
	*v = (struct state_iam_version_record){.id = arena_printf(c->arena, "v%lld", (long long)r.last_version.v),
	                                       .document = in->policy_document,
	                                       .created = OPT_TIME(c->now_ms - c->now_ms % 1000)};
	if (in->set_as_default.v)
		r.default_ = v->id;
	r.updated = v->created;
	save(c, &r);
	out->policy_version = arena_new(c->arena, struct iam_policy_version);
	*out->policy_version = shown_version(c, &r, v, false);
	return CALL_OK;
}

int iam_get_policy_version(struct call *c, const struct iam_get_policy_version_request *in,
                           struct iam_get_policy_version_response *out)
{
	struct state_iam_managed_policy_record r;
	struct str account;
	const struct state_iam_version_record *v;
	if (!iam_policy_load(c, in->policy_arn, &r, &account) || !(v = load_version(c, in->policy_arn, &r, in->version_id)))
		return CALL_FAIL;
	out->policy_version = arena_new(c->arena, struct iam_policy_version);
	*out->policy_version = shown_version(c, &r, v, true);
	return CALL_OK;
}

int iam_list_policy_versions(struct call *c, const struct iam_list_policy_versions_request *in,
                             struct iam_list_policy_versions_response *out)
{
	struct state_iam_managed_policy_record r;
	struct iam_piece piece;
	struct str account;
	if (!iam_policy_load(c, in->policy_arn, &r, &account) ||
	    !iam_piece_open(c, in->max_items, in->marker, r.versions.n, &piece, &out->is_truncated, &out->marker))
		return CALL_FAIL;
	out->versions.set = true;
	/* The newest comes first. */
	for (uint32_t i = piece.from; i < piece.to; i++)
		*LIST_ADD(c->arena, &out->versions) = shown_version(c, &r, &r.versions.v[r.versions.n - 1 - i], false);
	return CALL_OK;
}

int iam_delete_policy_version(struct call *c, const struct iam_delete_policy_version_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_managed_policy_record r;
	const struct state_iam_version_record *v;
	if (!load_own(c, in->policy_arn, &r) || !(v = load_version(c, in->policy_arn, &r, in->version_id)))
		return CALL_FAIL;
	if (str_eq(v->id, r.default_))
		return call_fail(c, "DeleteConflict", 409, "Cannot delete the default version of a policy.");
	uint32_t at = (uint32_t)(v - r.versions.v);
	memmove(&r.versions.v[at], &r.versions.v[at + 1], (--r.versions.n - at) * sizeof(*r.versions.v));
	save(c, &r);
	return CALL_OK;
}

int iam_set_default_policy_version(struct call *c, const struct iam_set_default_policy_version_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_managed_policy_record r;
	if (!load_own(c, in->policy_arn, &r) || !load_version(c, in->policy_arn, &r, in->version_id))
		return CALL_FAIL;
	r.default_ = in->version_id;
	r.updated = OPT_TIME(c->now_ms - c->now_ms % 1000);
	save(c, &r);
	return CALL_OK;
}

/* --- tags */

int iam_tag_policy(struct call *c, const struct iam_tag_policy_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_managed_policy_record r;
	if (!load_own(c, in->policy_arn, &r) || !iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	save(c, &r);
	return CALL_OK;
}

int iam_untag_policy(struct call *c, const struct iam_untag_policy_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_managed_policy_record r;
	if (!load_own(c, in->policy_arn, &r))
		return CALL_FAIL;
	iam_tags_remove(&in->tag_keys, &r.tags);
	save(c, &r);
	return CALL_OK;
}

int iam_list_policy_tags(struct call *c, const struct iam_list_policy_tags_request *in, struct iam_list_policy_tags_response *out)
{
	struct state_iam_managed_policy_record r;
	struct str account;
	if (!iam_policy_load(c, in->policy_arn, &r, &account))
		return CALL_FAIL;
	return iam_tags_list(c, &r.tags, in->max_items, in->marker, &out->tags, &out->is_truncated, &out->marker);
}

/* --- who has it */

int iam_list_entities_for_policy(struct call *c, const struct iam_list_entities_for_policy_request *in,
                                 struct iam_list_entities_for_policy_response *out)
{
	static const char *const filters[] = {[IAM_USER] = "User", [IAM_GROUP] = "Group", [IAM_ROLE] = "Role"};
	struct state_iam_managed_policy_record policy;
	struct str account;
	struct iam_page page;
	if (!iam_policy_load(c, in->policy_arn, &policy, &account) || !iam_page_open(c, in->max_items, in->marker, &page))
		return CALL_FAIL;
	bool boundaries = !str_is(in->policy_usage_filter, "PermissionsPolicy"),
	     attachments = !str_is(in->policy_usage_filter, "PermissionsBoundary");
	for (enum iam_kind kind = IAM_USER; kind <= IAM_ROLE && !page.more; kind++) {
		struct iam_walk walk;
		struct state_iam_entity_record r;
		if (str_set(in->entity_filter) && !str_is(in->entity_filter, filters[kind]))
			continue;
		iam_walk_open(c, kind, STR_NONE, &walk);
		for (bool skip; iam_walk_next(&walk, &r);) {
			bool has = boundaries && str_set(r.powers->boundary) && str_eq(r.powers->boundary, in->policy_arn);
			for (uint32_t i = 0; attachments && i < r.powers->attached.n; i++)
				has = has || str_eq(r.powers->attached.v[i], in->policy_arn);
			if (!has || !iam_path_matches(r.path, in->path_prefix))
				continue;
			if (!iam_page_take(&page, arena_printf(c->arena, "%d%.*s", kind, STR_ARG(walk.name)), &skip))
				break;
			if (skip)
				continue;
			if (kind == IAM_USER)
				*LIST_ADD(c->arena, &out->policy_users) =
				        (struct iam_policy_user){.user_name = r.name, .user_id = r.id};
			else if (kind == IAM_GROUP)
				*LIST_ADD(c->arena, &out->policy_groups) =
				        (struct iam_policy_group){.group_name = r.name, .group_id = r.id};
			else
				*LIST_ADD(c->arena, &out->policy_roles) =
				        (struct iam_policy_role){.role_name = r.name, .role_id = r.id};
		}
	}
	out->policy_users.set = out->policy_groups.set = out->policy_roles.set = true;
	iam_page_close(c, &page, &out->is_truncated, &out->marker);
	return CALL_OK;
}
