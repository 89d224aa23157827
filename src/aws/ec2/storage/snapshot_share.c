#include "aws/ec2/storage/snapshot_share.h"

#include "aws/ec2/ec2.h"

static struct str shared_key(struct arena *a, struct str region, struct str id)
{
	return KEY(a, S("ec2-shared-snapshot"), region, id);
}

static void put(const struct ec2_scope *s, const struct state_ec2_snapshot_record *r)
{
	struct str id = r->snapshot->snapshot_id, key = shared_key(s->arena, s->region, id);
	ec2_put(s, &ec2_kind_snapshot, id, r);
	if (r->public.v || r->shared.n)
		store_put(s->txn, key, s->account);
	else
		store_delete(s->txn, key);
}

void snapshot_drop(const struct ec2_scope *s, struct str id)
{
	ec2_drop(s, &ec2_kind_snapshot, id);
	store_delete(s->txn, shared_key(s->arena, s->region, id));
}

static bool is_given(const struct state_ec2_snapshot_record *r, struct str account)
{
	for (uint32_t k = 0; k < r->shared.n; k++)
		if (str_eq(r->shared.v[k], account))
			return true;
	return false;
}

static bool find_of(struct call *c, struct str owner, struct str id, struct state_ec2_snapshot_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	s.account = arena_dup(c->arena, owner);
	return !str_eq(s.account, c->account) && ec2_find(&s, &ec2_kind_snapshot, id, ret) &&
	       (ret->public.v || is_given(ret, c->account));
}

bool snapshot_find_shared(struct call *c, struct str id, struct state_ec2_snapshot_record *ret)
{
	struct store_value owner;
	return ec2_id_well_formed(id, "snap") && store_get(call_txn(c), shared_key(c->arena, c->region, id), &owner) &&
	       find_of(c, owner.value, id, ret);
}

/* --- describing */

bool snapshots_wanted(struct call *c, const struct ec2_describe_snapshots_request *in, struct str owner)
{
	bool owned = !in->owner_ids.n, restorable = !in->restorable_by_user_ids.n;
	for (uint32_t k = 0; k < in->owner_ids.n; k++)
		owned = owned || str_eq(in->owner_ids.v[k], owner) || str_is(in->owner_ids.v[k], "self");
	for (uint32_t k = 0; k < in->restorable_by_user_ids.n; k++)
		restorable = restorable || str_is(in->restorable_by_user_ids.v[k], "self") ||
		             str_eq(in->restorable_by_user_ids.v[k], c->account);
	return owned && restorable;
}

static bool is_wanted(struct call *c, const struct ec2_describe_snapshots_request *in, const struct state_ec2_snapshot_record *r)
{
	bool owned = !in->owner_ids.n, restorable = !in->restorable_by_user_ids.n;
	for (uint32_t k = 0; k < in->owner_ids.n; k++)
		owned = owned || str_eq(in->owner_ids.v[k], r->snapshot->owner_id);
	for (uint32_t k = 0; k < in->restorable_by_user_ids.n; k++) {
		struct str user = in->restorable_by_user_ids.v[k];
		restorable =
		        restorable || (str_is(user, "all") ? r->public.v : is_given(r, str_is(user, "self") ? c->account : user));
	}
	return owned && restorable;
}

void snapshots_show_shared(struct call *c, const struct ec2_describe_snapshots_request *in, const struct ec2_field *fields,
                           const struct str_list *ids, struct str after, struct ec2_describe_snapshots_result *out)
{
	struct str under = KEY_UNDER(c->arena, S("ec2-shared-snapshot"), c->region), key, last = STR_NONE;
	struct str from = str_starts(after, S("shared/")) ? str_from_at(after, S("shared/").n) : STR_NONE;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ec2_snapshot_record r;
		struct str id = arena_dup(c->arena, str_from_at(key, under.n));
		bool asked = !ids->n;
		for (uint32_t k = 0; k < ids->n; k++)
			asked = asked || str_eq(ids->v[k], id);
		if (!asked || (str_set(from) && str_cmp(id, from) <= 0) || !find_of(c, v.value, id, &r) || !is_wanted(c, in, &r) ||
		    !ec2_filters_pass(c, &ec2_kind_snapshot, &r, fields, &in->filters))
			continue;
		if (in->max_results.set && out->snapshots.n >= (uint64_t)in->max_results.v) {
			/* the first of them may be on the next page */
			out->next_token = ec2_page_token(c, ARENA_CAT(c->arena, S("shared/"), str_set(last) ? last : S("!")));
			return;
		}
		struct ec2_snapshot *shown = LIST_ADD(c->arena, &out->snapshots);
		*shown = *r.snapshot;
		shown->tags = (struct ec2_tag_list){0};
		last = id;
	}
}

/* --- the attribute */

static int own(struct call *c, struct str id, struct str attribute, struct state_ec2_snapshot_record *ret)
{
	if (snapshot_find_shared(c, id, ret))
		return call_fail(c, "AuthFailure", 403, "Not authorized for snapshot: %.*s", STR_ARG(id));
	if (ec2_get(c, &ec2_kind_snapshot, id, ret) != CALL_OK)
		return CALL_FAIL;
	if (attribute.n && !str_is(attribute, "createVolumePermission"))
		return call_fail(c, "UnsupportedOperation", 400, "Product codes of snapshots are not supported.");
	return CALL_OK;
}

int ec2_describe_snapshot_attribute(struct call *c, const struct ec2_describe_snapshot_attribute_request *in,
                                    struct ec2_describe_snapshot_attribute_result *out)
{
	struct state_ec2_snapshot_record r;
	if (own(c, in->snapshot_id, in->attribute, &r) != CALL_OK)
		return CALL_FAIL;
	out->snapshot_id = in->snapshot_id;
	out->create_volume_permissions.set = true;
	if (r.public.v)
		LIST_ADD(c->arena, &out->create_volume_permissions)->group = S("all");
	for (uint32_t k = 0; k < r.shared.n; k++)
		LIST_ADD(c->arena, &out->create_volume_permissions)->user_id = r.shared.v[k];
	return CALL_OK;
}

static bool is_account(struct str text)
{
	for (size_t k = 0; k < text.n; k++)
		if (!ascii_is_digit(text.p[k]))
			return false;
	return text.n == 12;
}

static int change(struct call *c, struct state_ec2_snapshot_record *r, const struct ec2_create_volume_permission_list *list,
                  bool add)
{
	for (uint32_t k = 0; k < list->n; k++) {
		const struct ec2_create_volume_permission *p = &list->v[k];
		struct str_list left = {0};
		if (p->group.n && !str_is(p->group, "all"))
			return ec2_invalid(c, "Invalid createVolumePermission group: %.*s", STR_ARG(p->group));
		if (p->user_id.n && !is_account(p->user_id))
			return call_fail(c, "InvalidParameterValue", 400, "Value (%.*s) for parameter userId is invalid.",
			                 STR_ARG(p->user_id));
		if (p->group.n)
			r->public = OPT_BOOL(add);
		if (!p->user_id.n)
			continue;
		for (uint32_t j = 0; j < r->shared.n; j++)
			if (!str_eq(r->shared.v[j], p->user_id))
				*LIST_ADD(c->arena, &left) = r->shared.v[j];
		if (add)
			*LIST_ADD(c->arena, &left) = p->user_id;
		r->shared = left;
	}
	return CALL_OK;
}

int ec2_modify_snapshot_attribute(struct call *c, const struct ec2_modify_snapshot_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_snapshot_record r;
	struct ec2_create_volume_permission_list plain = {0};
	const struct ec2_create_volume_permission_modifications *m = in->create_volume_permission;
	if (own(c, in->snapshot_id, in->attribute, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < in->user_ids.n; k++)
		LIST_ADD(c->arena, &plain)->user_id = in->user_ids.v[k];
	for (uint32_t k = 0; k < in->group_names.n; k++)
		LIST_ADD(c->arena, &plain)->group = in->group_names.v[k];
	if (plain.n && !str_is(in->operation_type, "add") && !str_is(in->operation_type, "remove"))
		return ec2_missing(c, "operationType");
	if (!plain.n && (!m || (!m->add.n && !m->remove.n)))
		return ec2_combination(c, "No attributes specified.");
	if (change(c, &r, &plain, str_is(in->operation_type, "add")) != CALL_OK ||
	    (m && (change(c, &r, &m->add, true) != CALL_OK || change(c, &r, &m->remove, false) != CALL_OK)))
		return CALL_FAIL;
	put(&s, &r);
	return CALL_OK;
}

int ec2_reset_snapshot_attribute(struct call *c, const struct ec2_reset_snapshot_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_snapshot_record r;
	if (own(c, in->snapshot_id, in->attribute, &r) != CALL_OK)
		return CALL_FAIL;
	r.public = OPT_BOOL(false);
	r.shared.n = 0;
	put(&s, &r);
	return CALL_OK;
}
