/* CreateScheduleGroup, GetScheduleGroup, ListScheduleGroups, DeleteScheduleGroup, and their tags. */
#include "rows.h"

enum { PAGE_MAX = 100, TAGS_MAX = 50 };

static int take_tags(struct call *c, struct group *g, const struct scheduler_tag_list *given)
{
	struct str_map *tags = &g->r.tags;
	for (uint32_t i = 0; i < given->n; i++) {
		uint32_t at = 0;
		if (str_istarts(given->v[i].key, S("aws:")))
			return scheduler_invalid(c, "Tag keys must not begin with aws:.");
		while (at < tags->n && !str_eq(tags->v[at].key, given->v[i].key))
			at++;
		if (at == tags->n)
			LIST_ADD(c->arena, tags)->key = given->v[i].key;
		tags->v[at].value = given->v[i].value;
	}
	return tags->n <= TAGS_MAX ? CALL_OK : scheduler_invalid(c, "A schedule group can have at most %d tags.", TAGS_MAX);
}

static void keep(struct call *c, struct group *g)
{
	g->r.modified = OPT_TIME(c->now_ms);
	if (!g->r.created.set)
		g->r.created = g->r.modified;
	record_put(call_txn(c), c->arena, g->key, SCHEDULER_ROW("Group"), &g->r);
}

int scheduler_create_schedule_group(struct call *c, const struct scheduler_create_schedule_group_input *in,
                                    struct scheduler_create_schedule_group_output *out)
{
	struct group g;
	bool there = group_find(c, in->name, &g);
	out->schedule_group_arn = group_arn(c, in->name);
	if (there && str_set(g.r.token) && str_eq(g.r.token, in->client_token))
		return CALL_OK;
	if (there)
		return call_fail(c, "ConflictException", 409, "Schedule group %.*s already exists.", STR_ARG(in->name));
	g.r.token = in->client_token;
	if (take_tags(c, &g, &in->tags) != CALL_OK)
		return CALL_FAIL;
	keep(c, &g);
	return CALL_OK;
}

int scheduler_get_schedule_group(struct call *c, const struct scheduler_get_schedule_group_input *in,
                                 struct scheduler_get_schedule_group_output *out)
{
	struct group g;
	if (group_get(c, in->name, &g) != CALL_OK)
		return CALL_FAIL;
	out->arn = group_arn(c, g.name);
	out->name = g.name;
	out->state = S("ACTIVE");
	out->creation_date = g.r.created;
	out->last_modification_date = g.r.modified;
	return CALL_OK;
}

static void show(struct call *c, struct scheduler_list_schedule_groups_output *out, const struct group *g)
{
	struct scheduler_schedule_group_summary *s = LIST_ADD(c->arena, &out->schedule_groups);
	s->arn = group_arn(c, g->name);
	s->name = g->name;
	s->state = S("ACTIVE");
	s->creation_date = g->r.created;
	s->last_modification_date = g->r.modified;
}

int scheduler_list_schedule_groups(struct call *c, const struct scheduler_list_schedule_groups_input *in,
                                   struct scheduler_list_schedule_groups_output *out)
{
	struct str under = KEY_UNDER(c->arena, S("scheduler"), S("group"), c->account, c->region), key;
	struct str from = str_set(in->next_token) ? ARENA_CAT(c->arena, under, in->next_token, str_of("", 1)) : under;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct group g;
	int64_t left = in->max_results.set ? in->max_results.v : PAGE_MAX;
	out->schedule_groups.set = true;
	/* First and apart from the others: it is there even if it has no record. */
	if (!str_set(in->next_token) && (!str_set(in->name_prefix) || str_starts(S("default"), in->name_prefix))) {
		group_find(c, S("default"), &g);
		show(c, out, &g);
		left--;
	}
	for (struct str last = in->next_token; store_next(i, &key, &v); last = g.name) {
		struct str_list parts = record_key_parts(c->arena, key);
		g = (struct group){.name = parts.v[parts.n - 1]};
		if (str_is(g.name, "default") || (str_set(in->name_prefix) && !str_starts(g.name, in->name_prefix)))
			continue;
		if (left-- <= 0) {
			out->next_token = str_set(last) ? last : S("\1");
			break;
		}
		if (record_read(c->arena, v.value, SCHEDULER_ROW("Group"), &g.r))
			show(c, out, &g);
	}
	return CALL_OK;
}

int scheduler_delete_schedule_group(struct call *c, const struct scheduler_delete_schedule_group_input *in,
                                    struct scheduler_delete_schedule_group_output *out)
{
	struct group g;
	(void)out;
	if (str_is(in->name, "default"))
		return scheduler_invalid(c, "The default schedule group cannot be deleted.");
	if (group_get(c, in->name, &g) != CALL_OK)
		return CALL_FAIL;
	struct str under = KEY_UNDER(c->arena, S("scheduler"), S("schedule"), c->account, c->region, g.name), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct str_list gone = {0};
	while (store_next(i, &key, &v))
		*LIST_ADD(c->arena, &gone) = arena_dup(c->arena, key);
	for (uint32_t n = 0; n < gone.n; n++)
		store_delete(call_txn(c), gone.v[n]);
	store_delete(call_txn(c), g.key);
	return CALL_OK;
}

/* --- tags */

static int of_arn(struct call *c, struct str arn, struct group *ret)
{
	ptrdiff_t slash = str_rfind_char(arn, '/');
	struct str name = str_from_at(arn, (size_t)(slash + 1));
	if (!str_eq(arn, group_arn(c, name)))
		return call_fail(c, "ResourceNotFoundException", 404, "Resource %.*s does not exist.", STR_ARG(arn));
	return group_get(c, name, ret);
}

int scheduler_tag_resource(struct call *c, const struct scheduler_tag_resource_input *in, struct scheduler_tag_resource_output *out)
{
	struct group g;
	(void)out;
	if (of_arn(c, in->resource_arn, &g) != CALL_OK || take_tags(c, &g, &in->tags) != CALL_OK)
		return CALL_FAIL;
	keep(c, &g);
	return CALL_OK;
}

int scheduler_untag_resource(struct call *c, const struct scheduler_untag_resource_input *in,
                             struct scheduler_untag_resource_output *out)
{
	struct group g;
	struct str_map left = {0};
	(void)out;
	if (of_arn(c, in->resource_arn, &g) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < g.r.tags.n; i++) {
		bool goes = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			goes |= str_eq(in->tag_keys.v[k], g.r.tags.v[i].key);
		if (!goes)
			*LIST_ADD(c->arena, &left) = g.r.tags.v[i];
	}
	g.r.tags = left;
	keep(c, &g);
	return CALL_OK;
}

int scheduler_list_tags_for_resource(struct call *c, const struct scheduler_list_tags_for_resource_input *in,
                                     struct scheduler_list_tags_for_resource_output *out)
{
	struct group g;
	if (of_arn(c, in->resource_arn, &g) != CALL_OK)
		return CALL_FAIL;
	out->tags.set = true;
	for (uint32_t i = 0; i < g.r.tags.n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct scheduler_tag){g.r.tags.v[i].key, g.r.tags.v[i].value};
	return CALL_OK;
}
