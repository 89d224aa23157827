/* Tags at the time of use. What a resource is tagged with lies in a record of the meter's own, beside what of it counts: the pairs
 * whose keys the account has activated, as one text, which is then part of the names of sums. */
#include "core/meter_rows.h"

#include "base/buf.h"
#include "base/json.h"

#include <stdlib.h>

enum { TAGS_BYTES_MAX = 1500 }; /* a name of the store has room for as much */

static int by_key(const void *x, const void *y)
{
	return str_cmp(((const struct str_map_entry *)x)->key, ((const struct str_map_entry *)y)->key);
}

static bool is_active(struct store_txn *t, struct arena *a, struct str account, struct str key)
{
	struct state_meter_key_record r;
	return record_get(t, a, KEY(a, S("meter"), S("key"), account, key), METER_ROW("Key"), &r) && r.active.v;
}

/* Keys in order; those that would not fit any more are left out. */
static struct str active_text(struct store_txn *t, struct arena *a, struct str account, const struct str_map *tags)
{
	struct str_map sorted = {0};
	struct buf b;
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(a, &sorted) = tags->v[i];
	if (sorted.n)
		qsort(sorted.v, sorted.n, sizeof(*sorted.v), by_key);
	buf_init(&b, SIZE_MAX);
	struct json_out o = json_out(&b);
	bool any = false;
	json_open(&o, '{');
	for (uint32_t i = 0; i < sorted.n; i++) {
		const struct str_map_entry *e = &sorted.v[i];
		if (b.n + e->key.n + e->value.n > TAGS_BYTES_MAX || !is_active(t, a, account, e->key))
			continue;
		json_key(&o, e->key);
		json_string(&o, e->value);
		any = true;
	}
	json_close(&o, '}');
	struct str text = any && b.n <= TAGS_BYTES_MAX ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return text;
}

static bool same_map(const struct str_map *x, const struct str_map *y)
{
	if (x->n != y->n)
		return false;
	for (uint32_t i = 0; i < x->n; i++)
		if (!str_eq(x->v[i].key, y->v[i].key) || !str_eq(x->v[i].value, y->v[i].value))
			return false;
	return true;
}

static void note_keys(struct store_txn *t, struct arena *a, struct str account, const struct str_map *tags, int64_t now_ms)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		struct state_meter_key_record r = {0};
		struct str key = KEY(a, S("meter"), S("key"), account, tags->v[i].key);
		bool known = record_get(t, a, key, METER_ROW("Key"), &r);
		/* A day's first use is enough, so that a crowd of new resources does not meet here. */
		if (known && r.used.ms / METER_DAY_MS == now_ms / METER_DAY_MS)
			continue;
		r.used = OPT_TIME(now_ms);
		record_put(t, a, key, METER_ROW("Key"), &r);
	}
}

void meter_tags(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource,
                const struct str_map *tags, int64_t now_ms)
{
	static const struct str_map none = {0};
	struct str key = KEY(a, S("meter"), S("tags"), account, region, resource);
	struct state_meter_tags_record r = {0};
	bool there = record_get(t, a, key, METER_ROW("Tags"), &r);
	tags = tags ? tags : &none;
	if (same_map(&r.tags, tags))
		return;
	note_keys(t, a, account, tags, now_ms);
	struct str active = active_text(t, a, account, tags);
	if (!str_eq(active, r.active))
		meter_cut(t, a, account, region, resource, now_ms);
	r = (struct state_meter_tags_record){.tags = *tags, .active = active};
	if (tags->n)
		record_put(t, a, key, METER_ROW("Tags"), &r);
	else if (there)
		store_delete(t, key);
}

struct str meter_tags_of(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource)
{
	struct state_meter_tags_record r;
	bool there = record_get(t, a, KEY(a, S("meter"), S("tags"), account, region, resource), METER_ROW("Tags"), &r);
	return there && r.active.n ? r.active : STR_NONE;
}

struct meter_keys meter_list_keys(struct store_txn *t, struct arena *a, struct str account)
{
	struct meter_keys keys = {0};
	struct str under = KEY_UNDER(a, S("meter"), S("key"), account), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct state_meter_key_record r;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		if (parts.n == 4 && record_read(a, v.value, METER_ROW("Key"), &r))
			*LIST_ADD(a, &keys) = (struct meter_key){
			        .key = parts.v[3], .active = r.active.v, .updated_ms = r.updated.ms, .used_ms = r.used.ms};
	}
	return keys;
}

bool meter_activate_key(struct store_txn *t, struct arena *a, struct str account, struct str key, bool active, int64_t now_ms)
{
	struct str at = KEY(a, S("meter"), S("key"), account, key), under = KEY_UNDER(a, S("meter"), S("tags"), account), name;
	struct state_meter_key_record r = {0};
	struct str_list names = {0};
	if (!record_get(t, a, at, METER_ROW("Key"), &r))
		return false;
	if (r.active.v == active)
		return true;
	r.active = OPT_BOOL(active);
	r.updated = OPT_TIME(now_ms);
	record_put(t, a, at, METER_ROW("Key"), &r);
	/* What is tagged with it counts differently from now on. */
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	while (store_next(i, &name, &v))
		*LIST_ADD(a, &names) = arena_dup(a, name);
	for (uint32_t k = 0; k < names.n; k++) {
		struct state_meter_tags_record tagged;
		struct str_list parts = record_key_parts(a, names.v[k]);
		if (parts.n != 5 || !record_get(t, a, names.v[k], METER_ROW("Tags"), &tagged))
			continue;
		struct str text = active_text(t, a, account, &tagged.tags);
		if (str_eq(text, tagged.active))
			continue;
		meter_cut(t, a, account, parts.v[3], parts.v[4], now_ms);
		tagged.active = text;
		record_put(t, a, names.v[k], METER_ROW("Tags"), &tagged);
	}
	return true;
}

struct str meter_tag(struct arena *a, struct str tags, struct str key)
{
	const struct json_value *all = tags.n ? json_parse(a, tags, NULL) : NULL;
	return all ? json_get_str(all, key) : STR_NONE;
}
