/* What users, groups and roles have attached: managed policies, inline policies, boundaries, tags. The three kinds differ in names
 * only, so each operation is written once and spelled three times at the end. */
#include "aws/iam/nouns.h"

static bool load(struct call *c, enum iam_kind kind, struct str name, struct state_iam_entity_record *ret)
{
	return kind == IAM_ROLE ? iam_load_role_to_change(c, name, ret) : iam_load(c, kind, name, ret);
}

/* --- managed policies */

static int attach(struct call *c, enum iam_kind kind, struct str name, struct str arn)
{
	struct state_iam_entity_record r;
	if (!load(c, kind, name, &r) || !iam_policy_check(c, arn))
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.powers->attached.n; i++)
		if (str_eq(r.powers->attached.v[i], arn))
			return CALL_OK;
	if (r.powers->attached.n >= IAM_ATTACHED_MAX)
		return call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for %s: %d", iam_kinds[kind].policy_quota,
		                 IAM_ATTACHED_MAX);
	*LIST_ADD(c->arena, &r.powers->attached) = arn;
	iam_save(c, kind, &r);
	return CALL_OK;
}

static int detach(struct call *c, enum iam_kind kind, struct str name, struct str arn)
{
	struct state_iam_entity_record r;
	if (!load(c, kind, name, &r))
		return CALL_FAIL;
	struct str_list *l = &r.powers->attached;
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], arn)) {
			memmove(&l->v[i], &l->v[i + 1], (--l->n - i) * sizeof(*l->v));
			iam_save(c, kind, &r);
			return CALL_OK;
		}
	return call_fail(c, "NoSuchEntity", 404, "Policy %.*s was not found.", STR_ARG(arn));
}

/* In order of attachment; ten at most, so a page ends only where the client wants it to. */
static int list_attached(struct call *c, enum iam_kind kind, struct str name, struct str prefix, struct opt_int max_items,
                         struct str marker, struct iam_attached_policies_list_type *to, struct opt_bool *ret_truncated,
                         struct str *ret_marker)
{
	struct state_iam_entity_record r;
	struct iam_page page;
	if (!iam_load(c, kind, name, &r) || !iam_page_open(c, max_items, marker, &page))
		return CALL_FAIL;
	to->set = true;
	for (uint32_t i = 0; i < r.powers->attached.n; i++) {
		struct str arn = r.powers->attached.v[i], account, path, policy;
		bool skip;
		if (!iam_arn_parse(arn, S("policy"), &account, &path, &policy) || !iam_path_matches(path, prefix))
			continue;
		if (!iam_page_take(&page, arena_printf(c->arena, "%04u", i), &skip))
			break;
		if (!skip)
			iam_attached_show(c->arena, arn, LIST_ADD(c->arena, to));
	}
	iam_page_close(c, &page, ret_truncated, ret_marker);
	return CALL_OK;
}

/* --- inline policies */

static struct state_iam_inline_record *inline_find(const struct state_iam_entity_record *r, struct str policy)
{
	for (uint32_t i = 0; i < r->powers->inline_.n; i++)
		if (str_eq(r->powers->inline_.v[i].name, policy))
			return &r->powers->inline_.v[i];
	return NULL;
}

static int put_inline(struct call *c, enum iam_kind kind, struct str name, struct str policy, struct str document)
{
	struct state_iam_entity_record r;
	if (!load(c, kind, name, &r) || !iam_document_check(c, document, POLICY_IDENTITY))
		return CALL_FAIL;
	struct state_iam_inline_record *p = inline_find(&r, policy);
	if (!p)
		p = LIST_ADD(c->arena, &r.powers->inline_);
	*p = (struct state_iam_inline_record){.name = policy, .document = document};
	size_t total = 0;
	for (uint32_t i = 0; i < r.powers->inline_.n; i++)
		total += policy_length(r.powers->inline_.v[i].document);
	if (total > iam_kinds[kind].inline_bytes)
		return call_fail(c, "LimitExceeded", 409, "Maximum policy size of %zu bytes exceeded for %s %.*s",
		                 iam_kinds[kind].inline_bytes, iam_kinds[kind].word, STR_ARG(r.name));
	iam_save(c, kind, &r);
	return CALL_OK;
}

static int inline_missing(struct call *c, enum iam_kind kind, struct str policy)
{
	return call_fail(c, "NoSuchEntity", 404, "The %s policy with name %.*s cannot be found.", iam_kinds[kind].word,
	                 STR_ARG(policy));
}

static int get_inline(struct call *c, enum iam_kind kind, struct str name, struct str policy, struct str *ret_name,
                      struct str *ret_policy, struct str *ret_document)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, kind, name, &r))
		return CALL_FAIL;
	const struct state_iam_inline_record *p = inline_find(&r, policy);
	if (!p)
		return inline_missing(c, kind, policy);
	*ret_name = r.name;
	*ret_policy = p->name;
	*ret_document = iam_document_show(c->arena, p->document);
	return CALL_OK;
}

static int delete_inline(struct call *c, enum iam_kind kind, struct str name, struct str policy)
{
	struct state_iam_entity_record r;
	if (!load(c, kind, name, &r))
		return CALL_FAIL;
	struct state_iam_inline_record *p = inline_find(&r, policy);
	if (!p)
		return inline_missing(c, kind, policy);
	struct state_iam_inline_record_list *l = &r.powers->inline_;
	uint32_t at = (uint32_t)(p - l->v);
	memmove(p, p + 1, (--l->n - at) * sizeof(*p));
	iam_save(c, kind, &r);
	return CALL_OK;
}

static int list_inline(struct call *c, enum iam_kind kind, struct str name, struct opt_int max_items, struct str marker,
                       struct str_list *to, struct opt_bool *ret_truncated, struct str *ret_marker)
{
	struct state_iam_entity_record r;
	struct iam_piece piece;
	if (!iam_load(c, kind, name, &r) ||
	    !iam_piece_open(c, max_items, marker, r.powers->inline_.n, &piece, ret_truncated, ret_marker))
		return CALL_FAIL;
	to->set = true;
	for (uint32_t i = piece.from; i < piece.to; i++)
		*LIST_ADD(c->arena, to) = r.powers->inline_.v[i].name;
	return CALL_OK;
}

/* --- boundaries and tags */

static int put_boundary(struct call *c, enum iam_kind kind, struct str name, struct str arn)
{
	struct state_iam_entity_record r;
	if (!load(c, kind, name, &r) || (str_set(arn) && !iam_boundary_check(c, arn)))
		return CALL_FAIL;
	if (!str_set(arn) && !str_set(r.powers->boundary))
		return call_fail(c, "NoSuchEntity", 404, "%s %.*s does not have a permissions boundary.",
		                 kind == IAM_USER ? "User" : "Role", STR_ARG(r.name));
	r.powers->boundary = arn;
	iam_save(c, kind, &r);
	return CALL_OK;
}

static int tag(struct call *c, enum iam_kind kind, struct str name, const struct iam_tag_list_type *tags)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, kind, name, &r) || !iam_tags_put(c, tags, &r.tags))
		return CALL_FAIL;
	iam_save(c, kind, &r);
	return CALL_OK;
}

static int untag(struct call *c, enum iam_kind kind, struct str name, const struct str_list *keys)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, kind, name, &r))
		return CALL_FAIL;
	iam_tags_remove(keys, &r.tags);
	iam_save(c, kind, &r);
	return CALL_OK;
}

static int list_tags(struct call *c, enum iam_kind kind, struct str name, struct opt_int max_items, struct str marker,
                     struct iam_tag_list_type *to, struct opt_bool *ret_truncated, struct str *ret_marker)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, kind, name, &r))
		return CALL_FAIL;
	return iam_tags_list(c, &r.tags, max_items, marker, to, ret_truncated, ret_marker);
}

/* --- the operations */

#define POWERS_OF(noun, KIND) \
	int iam_attach_##noun##_policy(struct call *c, const struct iam_attach_##noun##_policy_request *in, \
	                               struct model_none *out) \
	{ \
		(void)out; \
		return attach(c, KIND, in->noun##_name, in->policy_arn); \
	} \
	int iam_detach_##noun##_policy(struct call *c, const struct iam_detach_##noun##_policy_request *in, \
	                               struct model_none *out) \
	{ \
		(void)out; \
		return detach(c, KIND, in->noun##_name, in->policy_arn); \
	} \
	int iam_list_attached_##noun##_policies(struct call *c, const struct iam_list_attached_##noun##_policies_request *in, \
	                                        struct iam_list_attached_##noun##_policies_response *out) \
	{ \
		return list_attached(c, KIND, in->noun##_name, in->path_prefix, in->max_items, in->marker, \
		                     &out->attached_policies, &out->is_truncated, &out->marker); \
	} \
	int iam_put_##noun##_policy(struct call *c, const struct iam_put_##noun##_policy_request *in, struct model_none *out) \
	{ \
		(void)out; \
		return put_inline(c, KIND, in->noun##_name, in->policy_name, in->policy_document); \
	} \
	int iam_get_##noun##_policy(struct call *c, const struct iam_get_##noun##_policy_request *in, \
	                            struct iam_get_##noun##_policy_response *out) \
	{ \
		return get_inline(c, KIND, in->noun##_name, in->policy_name, &out->noun##_name, &out->policy_name, \
		                  &out->policy_document); \
	} \
	int iam_delete_##noun##_policy(struct call *c, const struct iam_delete_##noun##_policy_request *in, \
	                               struct model_none *out) \
	{ \
		(void)out; \
		return delete_inline(c, KIND, in->noun##_name, in->policy_name); \
	} \
	int iam_list_##noun##_policies(struct call *c, const struct iam_list_##noun##_policies_request *in, \
	                               struct iam_list_##noun##_policies_response *out) \
	{ \
		return list_inline(c, KIND, in->noun##_name, in->max_items, in->marker, &out->policy_names, &out->is_truncated, \
		                   &out->marker); \
	}
POWERS_OF(user, IAM_USER)
POWERS_OF(group, IAM_GROUP)
POWERS_OF(role, IAM_ROLE)

#define BOUNDARY_OF(noun, KIND) \
	int iam_put_##noun##_permissions_boundary(struct call *c, const struct iam_put_##noun##_permissions_boundary_request *in, \
	                                          struct model_none *out) \
	{ \
		(void)out; \
		return put_boundary(c, KIND, in->noun##_name, in->permissions_boundary); \
	} \
	int iam_delete_##noun##_permissions_boundary( \
	        struct call *c, const struct iam_delete_##noun##_permissions_boundary_request *in, struct model_none *out) \
	{ \
		(void)out; \
		return put_boundary(c, KIND, in->noun##_name, STR_NONE); \
	}
BOUNDARY_OF(user, IAM_USER)
BOUNDARY_OF(role, IAM_ROLE)

#define TAGS_OF(noun, KIND) \
	int iam_tag_##noun(struct call *c, const struct iam_tag_##noun##_request *in, struct model_none *out) \
	{ \
		(void)out; \
		return tag(c, KIND, in->noun##_name, &in->tags); \
	} \
	int iam_untag_##noun(struct call *c, const struct iam_untag_##noun##_request *in, struct model_none *out) \
	{ \
		(void)out; \
		return untag(c, KIND, in->noun##_name, &in->tag_keys); \
	} \
	int iam_list_##noun##_tags(struct call *c, const struct iam_list_##noun##_tags_request *in, \
	                           struct iam_list_##noun##_tags_response *out) \
	{ \
		return list_tags(c, KIND, in->noun##_name, in->max_items, in->marker, &out->tags, &out->is_truncated, \
		                 &out->marker); \
	}
TAGS_OF(user, IAM_USER)
TAGS_OF(role, IAM_ROLE)
TAGS_OF(instance_profile, IAM_PROFILE)
