/* ListSecrets, with its filters and orders. */
#include "rows.h"

#include <stdlib.h>

void secret_stages_shown(struct call *c, const struct state_secretsmanager_secret_record *r, bool all,
                         struct secretsmanager_secret_versions_to_stages_map_type *ret)
{
	for (uint32_t i = 0; i < r->versions.n; i++) {
		if (!r->versions.v[i].stages.n && !all)
			continue;
		__typeof__(ret->v) e = LIST_ADD(c->arena, ret);
		e->key = r->versions.v[i].id;
		e->value = r->versions.v[i].stages;
	}
}

struct secretsmanager_rotation_rules_type *secret_rules_shown(struct call *c, const struct state_secretsmanager_rotation *r)
{
	struct secretsmanager_rotation_rules_type *rules = arena_new(c->arena, struct secretsmanager_rotation_rules_type);
	rules->automatically_after_days = r->after_days;
	rules->duration = r->duration;
	rules->schedule_expression = r->schedule;
	return rules;
}

/* --- filters: a value in front of which there is a ! has to be absent; descriptions and tags are looked at by beginnings */

static bool begins(struct str text, struct str with, bool fold)
{
	return str_set(text) && (fold ? str_istarts(text, with) : str_starts(text, with));
}

static bool word_begins(struct str text, struct str with)
{
	while (str_set(text))
		if (begins(str_cut(&text, ' '), with, true))
			return true;
	return false;
}

static bool name_begins(struct str name, struct str with)
{
	if (begins(name, with, false))
		return true;
	while (str_set(name))
		if (begins(str_cut(&name, '/'), with, false))
			return true;
	return false;
}

static bool tag_begins(const struct str_map *tags, struct str with, bool key, bool fold)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (begins(key ? tags->v[i].key : tags->v[i].value, with, fold))
			return true;
	return false;
}

static bool holds(const struct state_secretsmanager_secret_record *r, struct str key, struct str value)
{
	if (str_is(key, "name"))
		return name_begins(r->name, value);
	if (str_is(key, "description"))
		return word_begins(r->description, value);
	if (str_is(key, "tag-key"))
		return tag_begins(&r->tags, value, true, false);
	if (str_is(key, "tag-value"))
		return tag_begins(&r->tags, value, false, false);
	if (str_is(key, "all"))
		return name_begins(r->name, value) || str_istarts(r->name, value) || word_begins(r->description, value) ||
		       tag_begins(&r->tags, value, true, true) || tag_begins(&r->tags, value, false, true);
	return false; /* nothing is replicated or owned by a service */
}

bool secret_matches(const struct state_secretsmanager_secret_record *r, const struct secretsmanager_filters_list_type *filters)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct secretsmanager_filter *f = &filters->v[i];
		bool any = false;
		for (uint32_t k = 0; k < f->values.n && !any; k++) {
			struct str value = f->values.v[k];
			bool not = value.n && value.p[0] == '!';
			any = holds(r, f->key, not ? str_from_at(value, 1) : value) != not ;
		}
		if (!any)
			return false;
	}
	return true;
}

/* --- the list */

struct found {
	struct state_secretsmanager_secret_record *v;
	uint32_t n;
	bool set;
};

static int by_created(const void *a, const void *b)
{
	const struct state_secretsmanager_secret_record *x = a, *y = b;
	return x->created.ms != y->created.ms ? (x->created.ms < y->created.ms ? -1 : 1) : str_cmp(x->name, y->name);
}

static int by_changed(const void *a, const void *b)
{
	const struct state_secretsmanager_secret_record *x = a, *y = b;
	return x->changed.ms != y->changed.ms ? (x->changed.ms < y->changed.ms ? -1 : 1) : str_cmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
	const struct state_secretsmanager_secret_record *x = a, *y = b;
	return str_cmp(x->name, y->name);
}

static void reverse(struct found *f)
{
	for (uint32_t i = 0; i + 1 < f->n - i; i++) {
		struct state_secretsmanager_secret_record swap = f->v[i];
		f->v[i] = f->v[f->n - 1 - i];
		f->v[f->n - 1 - i] = swap;
	}
}

static void show(struct call *c, const struct state_secretsmanager_secret_record *r, struct secretsmanager_secret_list_entry *e)
{
	*e = (struct secretsmanager_secret_list_entry){.arn = secret_arn(c->arena, c->account, c->region, r),
	                                               .name = r->name,
	                                               .description = r->description,
	                                               .kms_key_id = r->key,
	                                               .last_changed_date = r->changed,
	                                               .deleted_date = r->deleted,
	                                               .created_date = r->created,
	                                               .owning_service = r->owner};
	secret_stages_shown(c, r, false, &e->secret_versions_to_stages);
	for (uint32_t i = 0; i < r->tags.n; i++)
		*LIST_ADD(c->arena, &e->tags) = (struct secretsmanager_tag){r->tags.v[i].key, r->tags.v[i].value};
	if (r->rotation) {
		e->rotation_enabled = r->rotation->enabled;
		e->rotation_lambda_arn = r->rotation->lambda;
		e->rotation_rules = secret_rules_shown(c, r->rotation);
		e->last_rotated_date = r->rotation->last;
		if (r->rotation->enabled.v)
			e->next_rotation_date = r->rotation->next;
	}
}

int secretsmanager_list_secrets(struct call *c, const struct secretsmanager_list_secrets_request *in,
                                struct secretsmanager_list_secrets_response *out)
{
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 100;
	uint64_t from = 0;
	struct str under = secret_under(c->arena, c->account, c->region), key;
	struct store_value v;
	struct found all = {0};
	struct state_secretsmanager_secret_record r;
	if (str_set(in->next_token) && !str_to_u64(in->next_token, &from))
		return call_fail(c, "InvalidNextTokenException", 0, "The NextToken value is invalid.");
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		memset(&r, 0, sizeof(r));
		if (record_read(c->arena, v.value, &secret_row, &r) && !secret_gone(&r, c->now_ms) &&
		    (!r.deleted.set || in->include_planned_deletion.v) && secret_matches(&r, &in->filters))
			*LIST_ADD(c->arena, &all) = r;
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v),
		      str_is(in->sort_by, "name")                ? by_name
		      : str_is(in->sort_by, "last-changed-date") ? by_changed
		                                                 : by_created);
	if (all.n && !str_is(in->sort_order, "asc"))
		reverse(&all);
	out->secret_list.set = true;
	for (uint32_t k = from < all.n ? (uint32_t)from : all.n; k < all.n; k++) {
		if (out->secret_list.n == limit) {
			out->next_token = arena_printf(c->arena, "%u", k);
			break;
		}
		show(c, &all.v[k], LIST_ADD(c->arena, &out->secret_list));
	}
	return CALL_OK;
}
