/* Tags of groups. They reach instances at their launch only. */
#include "group_check.h"

enum { USUAL = 50, MOST = 100, TAGS_MAX = 50 };

static int load(struct call *c, const struct autoscaling_tag *t, struct state_autoscaling_group_record *r)
{
	if (str_set(t->resource_type) && !str_is(t->resource_type, "auto-scaling-group"))
		return scaling_invalid(c, "Invalid resource type: %.*s. The only valid value is auto-scaling-group.",
		                       STR_ARG(t->resource_type));
	return scaling_get(c, t->resource_id, r);
}

int autoscaling_create_or_update_tags(struct call *c, const struct autoscaling_create_or_update_tags_type *in,
                                      struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	if (group_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		struct state_autoscaling_group_record r;
		const struct autoscaling_tag *t = &in->tags.v[i];
		if (load(c, t, &r) != CALL_OK)
			return CALL_FAIL;
		uint32_t at = 0;
		while (at < r.group->tags.n && !str_eq(r.group->tags.v[at].key, t->key))
			at++;
		if (at == r.group->tags.n) {
			if (at >= TAGS_MAX)
				return call_fail(c, "LimitExceeded", 400, "A group can have at most %d tags.", TAGS_MAX);
			LIST_ADD(c->arena, &r.group->tags);
		}
		r.group->tags.v[at] =
		        (struct autoscaling_tag_description){.resource_id = r.group->auto_scaling_group_name,
		                                             .resource_type = S("auto-scaling-group"),
		                                             .key = t->key,
		                                             .value = str_set(t->value) ? t->value : S(""),
		                                             .propagate_at_launch = OPT_BOOL(t->propagate_at_launch.v)};
		scaling_put(&s, &r);
	}
	return CALL_OK;
}

int autoscaling_delete_tags(struct call *c, const struct autoscaling_delete_tags_type *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	for (uint32_t i = 0; i < in->tags.n; i++) {
		struct state_autoscaling_group_record r;
		const struct autoscaling_tag *t = &in->tags.v[i];
		if (load(c, t, &r) != CALL_OK)
			return CALL_FAIL;
		uint32_t left = 0;
		for (uint32_t k = 0; k < r.group->tags.n; k++)
			if (!str_eq(r.group->tags.v[k].key, t->key))
				r.group->tags.v[left++] = r.group->tags.v[k];
		r.group->tags.n = left;
		scaling_put(&s, &r);
	}
	return CALL_OK;
}

static bool passes(const struct autoscaling_filters *filters, const struct autoscaling_tag_description *t)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct autoscaling_filter *f = &filters->v[i];
		struct str value = str_is(f->name, "auto-scaling-group") ? t->resource_id
		                   : str_is(f->name, "key")              ? t->key
		                   : str_is(f->name, "value")            ? t->value
		                   : t->propagate_at_launch.v            ? S("true")
		                                                         : S("false");
		if (!scaling_among(&f->values, value))
			return false;
	}
	return true;
}

int autoscaling_describe_tags(struct call *c, const struct autoscaling_describe_tags_type *in, struct autoscaling_tags_type *out)
{
	struct scope s = scaling_scope(c);
	struct page p;
	struct str under = scaling_under(&s, "group", STR_NONE), key, last = STR_NONE;
	struct store_value v;
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->filters.n; i++) {
		struct str n = in->filters.v[i].name;
		if (!str_is(n, "auto-scaling-group") && !str_is(n, "key") && !str_is(n, "value") &&
		    !str_is(n, "propagate-at-launch"))
			return scaling_invalid(
			        c,
			        "Filter type %.*s is not correct. Allowed Filter types are: auto-scaling-group key value "
			        "propagate-at-launch",
			        STR_ARG(n));
	}
	out->tags.set = true;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct state_autoscaling_group_record r = {0};
		if (parts.n != 5 || !scaling_find(&s, parts.v[4], &r))
			continue;
		for (uint32_t i = 0; i < r.group->tags.n; i++) {
			struct str at = ARENA_CAT(c->arena, parts.v[4], S(":"), arena_printf(c->arena, "%04u", i));
			if ((str_set(p.after) && str_cmp(at, p.after) <= 0) || !passes(&in->filters, &r.group->tags.v[i]))
				continue;
			if (!p.left--) {
				out->next_token = scaling_token(c, last);
				return CALL_OK;
			}
			last = at;
			*LIST_ADD(c->arena, &out->tags) = r.group->tags.v[i];
		}
	}
	return CALL_OK;
}
