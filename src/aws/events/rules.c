/* The rules of a bus lie in memory, compiled, so that an event reads no store. A watch brings changes before the reply that
 * acknowledges them. */
#include "rows.h"

#include "base/log.h"

#include <stdlib.h>

struct kept_rule {
	struct arena arena;
	struct kept_bus *bus;
	struct state_events_rule_record r;
	struct pattern_entry entry;
	bool listed; /* in the bus's index */
};
struct kept_bus {
	struct map rules; /* name -> struct kept_rule */
	struct pattern_index index;
};
struct event_rules {
	struct store_watch *watch;
	struct map buses; /* account, region and name -> struct kept_bus */
};

static struct str bus_key(struct arena *a, const struct bus_name *at)
{
	return KEY(a, at->account, at->region, at->name);
}

static struct kept_bus *find_bus(const struct event_rules *r, const struct bus_name *at)
{
	struct arena CLEAN_ARENA a = {0};
	return map_get(&r->buses, bus_key(&a, at));
}

static void rule_drop(struct kept_bus *bus, struct str name)
{
	struct kept_rule *k = map_remove(&bus->rules, name);
	if (!k)
		return;
	if (k->listed)
		pattern_index_remove(&bus->index, &k->entry);
	arena_done(&k->arena);
	free(k);
}

static void rule_keep(struct kept_bus *bus, struct str name, struct str value)
{
	struct kept_rule *k = calloc(1, sizeof(*k));
	struct str why;
	if (!k)
		die("out of memory (events)");
	k->bus = bus;
	map_put(&bus->rules, name, k);
	if (!record_read(&k->arena, arena_dup(&k->arena, value), EVENTS_ROW("Rule"), &k->r) || !str_set(k->r.pattern) ||
	    !str_is(k->r.state, "ENABLED"))
		return;
	k->entry = (struct pattern_entry){.pattern = event_pattern_compile(&k->arena, k->r.pattern, &why), .owner = k};
	k->listed = k->entry.pattern != NULL;
	if (k->listed)
		pattern_index_add(&bus->index, &k->entry);
}

static void changed(struct event_rules *r, struct str key, struct str value)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, key);
	struct bus_name at = {parts.v[2], parts.v[3], parts.v[4]};
	struct str of = bus_key(&a, &at);
	struct kept_bus *bus = map_get(&r->buses, of);
	if (!bus) {
		if (!str_set(value))
			return;
		bus = calloc(1, sizeof(*bus));
		if (!bus)
			die("out of memory (events)");
		map_put(&r->buses, of, bus);
	}
	rule_drop(bus, parts.v[5]);
	if (str_set(value))
		rule_keep(bus, parts.v[5], value);
	if (bus->rules.count)
		return;
	map_remove(&r->buses, of);
	pattern_index_done(&bus->index);
	map_done(&bus->rules);
	free(bus);
}

static void on_change(void *ctx, const struct store_event *e)
{
	changed(ctx, e->key, e->value);
}

unsigned event_rules_count(const struct event_rules *r, const struct bus_name *at)
{
	const struct kept_bus *bus = find_bus(r, at);
	return bus ? (unsigned)bus->rules.count : 0;
}

struct asking {
	event_rules_found_fn *fn;
	void *ctx;
};

static void found(void *ctx, void *owner)
{
	const struct asking *q = ctx;
	q->fn(q->ctx, &((struct kept_rule *)owner)->r);
}

void event_rules_match(struct event_rules *r, const struct bus_name *at, const struct json_value *event, event_rules_found_fn *fn,
                       void *ctx)
{
	struct kept_bus *bus = find_bus(r, at);
	struct asking q = {fn, ctx};
	if (bus)
		pattern_index_match(&bus->index, event, found, &q);
}

struct event_rules *event_rules_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct event_rules *r = calloc(1, sizeof(*r));
	struct store_value v;
	if (!r)
		die("out of memory (events)");
	struct str under = KEY_UNDER(&a, S("events"), S("rule")), end = store_prefix_end(&a, under), key;
	r->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), on_change, r);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *i = store_scan(t, under, end, false);
	while (store_next(i, &key, &v))
		changed(r, key, v.value);
	store_abort(t);
	return r;
}

void event_rules_free(struct event_rules *r)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!r)
		return;
	store_unwatch(r->watch);
	while (map_next(&r->buses, &at, &key, &value)) {
		struct kept_bus *bus = value;
		size_t one = 0;
		while (map_next(&bus->rules, &one, &key, &value)) {
			arena_done(&((struct kept_rule *)value)->arena);
			free(value);
		}
		pattern_index_done(&bus->index);
		map_done(&bus->rules);
		free(bus);
	}
	map_done(&r->buses);
	free(r);
}
