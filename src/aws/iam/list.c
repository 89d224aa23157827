/* Lists, page by page: of an account's users, groups, roles and profiles, and of the short ones that one record holds. */
#include "aws/iam/nouns.h"
#include "base/base64.h"

/* --- pages */

static unsigned page_limit(struct opt_int max_items)
{
	return max_items.set ? (unsigned)max_items.v : 100;
}

static bool bad_marker(struct call *c)
{
	call_fail(c, "ValidationError", 400, "Invalid Marker.");
	return false;
}

bool iam_page_open(struct call *c, struct opt_int max_items, struct str marker, struct iam_page *ret)
{
	*ret = (struct iam_page){.limit = page_limit(max_items)};
	if (!str_set(marker))
		return true;
	ret->after = base64url_decode(c->arena, marker);
	return str_set(ret->after) || bad_marker(c);
}

bool iam_page_take(struct iam_page *p, struct str name, bool *ret_skip)
{
	*ret_skip = str_set(p->after) && str_cmp(name, p->after) <= 0;
	if (*ret_skip)
		return true;
	if (p->taken == p->limit) {
		p->more = true;
		return false;
	}
	p->taken++;
	p->last = name;
	return true;
}

void iam_page_close(struct call *c, const struct iam_page *p, struct opt_bool *ret_truncated, struct str *ret_marker)
{
	*ret_truncated = OPT_BOOL(p->more);
	if (p->more)
		*ret_marker = base64url_encode(c->arena, p->last);
}

bool iam_piece_open(struct call *c, struct opt_int max_items, struct str marker, uint32_t count, struct iam_piece *ret,
                    struct opt_bool *ret_truncated, struct str *ret_marker)
{
	uint64_t from = 0;
	if (str_set(marker) && !str_to_u64(base64url_decode(c->arena, marker), &from))
		return bad_marker(c);
	ret->from = from < count ? (uint32_t)from : count;
	ret->to = count - ret->from > page_limit(max_items) ? ret->from + page_limit(max_items) : count;
	*ret_truncated = OPT_BOOL(ret->to < count);
	if (ret->to < count)
		*ret_marker = base64url_encode(c->arena, arena_printf(c->arena, "%u", ret->to));
	return true;
}

/* --- records in order of name */

void iam_walk_open(struct call *c, enum iam_kind kind, struct str after, struct iam_walk *ret)
{
	struct str prefix = KEY_UNDER(c->arena, S("iam"), c->account, iam_kinds[kind].key);
	struct str from = str_set(after) ? iam_entity_key(c->arena, c->account, kind, after) : prefix;
	*ret = (struct iam_walk){.iter = store_scan(call_txn(c), from, store_prefix_end(c->arena, prefix), false),
	                         .arena = c->arena};
}

bool iam_walk_next(struct iam_walk *w, struct state_iam_entity_record *ret)
{
	struct str key;
	struct store_value v;
	if (!store_next(w->iter, &key, &v) || !record_read(w->arena, v.value, &iam_entity_type, ret))
		return false;
	if (!ret->powers)
		ret->powers = arena_new(w->arena, struct state_iam_powers_record);
	w->name = iam_lower(w->arena, ret->name);
	return true;
}

bool iam_path_matches(struct str path, struct str prefix)
{
	return !str_set(prefix) || str_starts(path, prefix);
}

static void add(struct call *c, enum iam_kind kind, const struct state_iam_entity_record *r, void *to)
{
	/* Lists leave out tags and boundaries; the operations about one entity have them. */
	if (kind == IAM_USER) {
		struct iam_user *u = LIST_ADD(c->arena, (struct iam_user_list_type *)to);
		iam_user_show(c, r, u);
		u->tags = (struct iam_tag_list_type){0};
		u->permissions_boundary = NULL;
	} else if (kind == IAM_GROUP) {
		iam_group_show(c, r, LIST_ADD(c->arena, (struct iam_group_list_type *)to));
	} else if (kind == IAM_ROLE) {
		struct iam_role *role = LIST_ADD(c->arena, (struct iam_role_list_type *)to);
		iam_role_show(c, r, role);
		role->tags = (struct iam_tag_list_type){0};
		role->permissions_boundary = NULL;
	} else {
		struct iam_instance_profile *p = LIST_ADD(c->arena, (struct iam_instance_profile_list_type *)to);
		iam_profile_show(c, r, p);
		p->tags = (struct iam_tag_list_type){0};
	}
}

int iam_list(struct call *c, enum iam_kind kind, iam_wanted_fn *wanted, struct str what, struct opt_int max_items,
             struct str marker, void *to, struct opt_bool *ret_truncated, struct str *ret_marker)
{
	struct iam_page page;
	struct iam_walk walk;
	struct state_iam_entity_record r;
	if (!iam_page_open(c, max_items, marker, &page))
		return CALL_FAIL;
	((struct any_list *)to)->set = true;
	iam_walk_open(c, kind, page.after, &walk);
	for (bool skip; iam_walk_next(&walk, &r);) {
		if (!wanted(&r, what))
			continue;
		if (!iam_page_take(&page, walk.name, &skip))
			break;
		if (!skip)
			add(c, kind, &r, to);
	}
	iam_page_close(c, &page, ret_truncated, ret_marker);
	return CALL_OK;
}

/* --- the operations */

static bool below_path(const struct state_iam_entity_record *r, struct str prefix)
{
	return iam_path_matches(r->path, prefix);
}

#define LIST_OF(nouns, KIND) \
	int iam_list_##nouns(struct call *c, const struct iam_list_##nouns##_request *in, struct iam_list_##nouns##_response *out) \
	{ \
		return iam_list(c, KIND, below_path, in->path_prefix, in->max_items, in->marker, &out->nouns, &out->is_truncated, \
		                &out->marker); \
	}
LIST_OF(users, IAM_USER)
LIST_OF(groups, IAM_GROUP)
LIST_OF(roles, IAM_ROLE)
LIST_OF(instance_profiles, IAM_PROFILE)
