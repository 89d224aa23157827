/* Which interfaces flow logs are about, and what these have seen, once a minute. Level-triggered like sync.c: whatever changes in
 * an account and region, its flow logs and interfaces are looked at again. (AWS too takes a minute where 600 seconds were allowed,
 * on all its newer machines.)
 *
 * A flow log that is deleted still gets what was counted until then, and so do those of an interface that goes: the last answer of
 * the networks comes when the records are gone already, so what is needed of them is kept in memory. Lines wait a moment, so that
 * those of one minute come together: for a bucket they are one file. */
#include "aws/ec2/flow/flow_log.h"

#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/vpc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

#include <stdlib.h>

enum {
	EVERY_MS = 60 * 1000,
	GATHER_US = 1000 * 1000,
	LINES_MAX = 100000,
	PORT_LOGS_MAX = 16 /* two of the interface, its subnet and its VPC, and some that are ending */
};

/* A flow log. Its lines wait in an arena that is emptied with them. */
struct flow_sink {
	struct list at;
	unsigned refs;
	struct flow_recorder *recorder;
	struct arena arena, lines_arena;
	struct str account, region, id;
	struct ec2_flow_log *log;
	int64_t since_ms;
	bool gone; /* no record of it is left */
	unsigned round;
	struct sink_line {
		struct flow_line line;
		struct str interface;
	} * lines;
	size_t count, cap;
	struct loop_timer *timer;
};

struct flow_port {
	struct arena arena;
	struct flow_place place;
	struct flow_sink *sinks[PORT_LOGS_MAX];
	size_t sink_count;
	int64_t began_ms; /* the interval */
	unsigned round;
	bool asked;
};

struct flow_recorder {
	struct ec2_state *ec2;
	struct store_watch *watch;
	struct loop_timer *tick, *soon;
	struct list all;   /* struct flow_sink */
	struct map sinks;  /* id -> struct flow_sink, of those that are recorded */
	struct map ports;  /* interface -> struct flow_port */
	struct map places; /* account/region that have flow logs, or had some: struct flow_region */
	unsigned round;
};

struct flow_region {
	struct arena arena;
	struct str account, region;
};

/* --- lines on their way */

static void sink_unref(struct flow_sink *k)
{
	if (--k->refs)
		return;
	loop_remove_timer(k->recorder->ec2->cloud->loop, k->timer);
	list_remove(&k->at);
	free(k->lines);
	arena_done(&k->lines_arena);
	arena_done(&k->arena);
	free(k);
}

static int in_order(const void *a, const void *b)
{
	const struct sink_line *x = a, *y = b;
	int by_name = str_cmp(x->interface, y->interface);
	return by_name ? by_name : (x->line.ms > y->line.ms) - (x->line.ms < y->line.ms);
}

static void deliver(void *ctx)
{
	struct flow_sink *k = ctx;
	struct arena CLEAN_ARENA a = {0};
	bool bucket = str_is(k->log->log_destination_type, "s3");
	struct flow_line *lines = arena_array(&a, k->count + 1, sizeof(*lines));
	k->timer = NULL;
	if (k->count)
		qsort(k->lines, k->count, sizeof(*k->lines), in_order);
	for (size_t i = 0, from = 0; i < k->count; i++) {
		lines[i] = k->lines[i].line;
		/* one file of all, but a stream an interface */
		if (i + 1 < k->count && (bucket || str_eq(k->lines[i + 1].interface, k->lines[i].interface)))
			continue;
		struct flow_batch b = {k->account, k->region, k->id, k->log, k->lines[i].interface, lines + from, i + 1 - from};
		flow_deliver(k->recorder->ec2, &b);
		from = i + 1;
	}
	k->count = 0;
	arena_done(&k->lines_arena);
	k->lines_arena = (struct arena){0};
	sink_unref(k);
}

static void add_line(struct flow_sink *k, const struct flow_port *p, const struct network_flow *f, int64_t start_s, int64_t end_s,
                     struct str status)
{
	if (k->count == LINES_MAX)
		return;
	if (k->count == k->cap) {
		k->cap = k->cap ? 2 * k->cap : 32;
		k->lines = realloc(k->lines, k->cap * sizeof(*k->lines));
		if (!k->lines)
			die("out of memory (flow logs)");
	}
	struct arena *a = &k->lines_arena;
	struct str text = flow_format_line(a, k->log->log_format, &p->place, f, start_s, end_s, status);
	k->lines[k->count++] = (struct sink_line){{text, start_s * 1000}, arena_dup(a, p->place.interface)};
	if (k->timer)
		return;
	k->refs++;
	k->timer = loop_add_timer(k->recorder->ec2->cloud->loop, GATHER_US, deliver, k);
}

static bool wants(const struct flow_sink *k, const struct network_flow *f)
{
	return f->last_ms >= k->since_ms &&
	       (str_is(k->log->traffic_type, "ALL") || str_is(k->log->traffic_type, f->accepted ? "ACCEPT" : "REJECT"));
}

static void port_free(struct flow_port *p)
{
	for (size_t i = 0; i < p->sink_count; i++)
		sink_unref(p->sinks[i]);
	arena_done(&p->arena);
	free(p);
}

/* What has been counted is told: flow logs that are gone get nothing any more after it. */
static void drop_gone(struct flow_recorder *r, struct flow_port *p)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->sink_count; i++) {
		if (p->sinks[i]->gone)
			sink_unref(p->sinks[i]);
		else
			p->sinks[kept++] = p->sinks[i];
	}
	p->sink_count = kept;
	if (!kept || p->round != r->round)
		port_free(map_remove(&r->ports, p->place.interface));
}

void flow_recorder_take(struct flow_recorder *r, const char *interface, const struct network_flow *flows, size_t count,
                        uint64_t missed)
{
	struct flow_port *p = map_get(&r->ports, str_from(interface));
	int64_t now = clock_wall_ms();
	if (!p)
		return;
	for (size_t i = 0; i < p->sink_count; i++) {
		struct flow_sink *k = p->sinks[i];
		bool any = false;
		int64_t began = k->since_ms > p->began_ms ? k->since_ms : p->began_ms;
		for (size_t n = 0; n < count; n++)
			if (wants(k, &flows[n])) {
				any = true;
				add_line(k, p, &flows[n], flows[n].first_ms / 1000, flows[n].last_ms / 1000, S("OK"));
			}
		if (missed)
			add_line(k, p, NULL, began / 1000, now / 1000, S("SKIPDATA"));
		else if (!any && now - began >= EVERY_MS / 2) /* not for what was asked in between */
			add_line(k, p, NULL, began / 1000, now / 1000, S("NODATA"));
	}
	p->began_ms = now;
	p->asked = false;
	drop_gone(r, p);
}

/* --- which interfaces, and for which flow logs */

static struct flow_sink *sink_of(struct flow_recorder *r, const struct ec2_scope *s, const struct ec2_flow_log *f)
{
	struct flow_sink *k = map_get(&r->sinks, f->flow_log_id);
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			die("out of memory (flow logs)");
		k->refs = 1;
		k->recorder = r;
		k->account = arena_dup(&k->arena, s->account);
		k->region = arena_dup(&k->arena, s->region);
		k->id = arena_dup(&k->arena, f->flow_log_id);
		k->log = arena_new(&k->arena, struct ec2_flow_log);
		model_copy(&k->arena, &ec2_api, api_shape_named(&ec2_api, S("FlowLog")), f, k->log);
		k->since_ms = f->creation_time.ms;
		map_put(&r->sinks, k->id, k);
		list_push(&r->all, &k->at);
	}
	k->round = r->round;
	return k;
}

static struct flow_port *port_of(struct flow_recorder *r, const struct ec2_scope *s, const struct ec2_network_interface *eni)
{
	struct flow_port *p = map_get(&r->ports, eni->network_interface_id);
	struct ec2_subnet subnet;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			die("out of memory (flow logs)");
		p->began_ms = clock_wall_ms();
		struct arena *a = &p->arena;
		p->place = (struct flow_place){.account = arena_dup(a, s->account),
		                               .region = arena_dup(a, s->region),
		                               .vpc = arena_dup(a, eni->vpc_id),
		                               .subnet = arena_dup(a, eni->subnet_id),
		                               .interface = arena_dup(a, eni->network_interface_id)};
		if (ec2_find(s, &ec2_kind_subnet, eni->subnet_id, &subnet))
			p->place.zone_id = arena_dup(a, subnet.availability_zone_id);
		map_put(&r->ports, p->place.interface, p);
	}
	p->round = r->round;
	struct str instance = eni->attachment ? eni->attachment->instance_id : STR_NONE;
	if (str_set(instance) && !str_eq(instance, p->place.instance))
		p->place.instance = arena_dup(&p->arena, instance);
	p->place.address_count = 0;
	for (uint32_t i = 0; i < eni->private_ip_addresses.n && i < NETWORK_ADDRESSES_MAX; i++)
		ec2_ip_parse(eni->private_ip_addresses.v[i].private_ip_address, &p->place.addresses[p->place.address_count++]);
	for (uint32_t i = 0; i < eni->ipv6_addresses.n && i < NETWORK_ADDRESSES_MAX; i++)
		ec2_ip_parse(eni->ipv6_addresses.v[i].ipv6_address, &p->place.addresses[p->place.address_count++]);
	return p;
}

/* True: it was not there before. */
static bool port_add(struct flow_port *p, struct flow_sink *k)
{
	for (size_t i = 0; i < p->sink_count; i++)
		if (p->sinks[i] == k)
			return false;
	if (p->sink_count == PORT_LOGS_MAX)
		return false;
	p->sinks[p->sink_count++] = k;
	k->refs++;
	return true;
}

static void collect(struct flow_recorder *r, struct flow_port *p)
{
	struct arena CLEAN_ARENA a = {0};
	p->asked = true;
	network_collect_flows(r->ec2->networks, arena_dupz(&a, p->place.interface));
}

/* Sinks of this place that were not seen in this round are gone; their ports are asked for what is left. */
static void find_gone(struct flow_recorder *r, const struct ec2_scope *s)
{
	struct str id;
	void *value;
	struct str_list gone = {0};
	for (size_t at = 0; map_next(&r->sinks, &at, &id, &value);) {
		struct flow_sink *k = value;
		if (k->round != r->round && str_eq(k->account, s->account) && str_eq(k->region, s->region))
			*LIST_ADD(s->arena, &gone) = arena_dup(s->arena, id);
	}
	for (uint32_t i = 0; i < gone.n; i++) {
		struct flow_sink *k = map_remove(&r->sinks, gone.v[i]);
		k->gone = true;
		for (size_t at = 0; map_next(&r->ports, &at, &id, &value);)
			for (size_t n = 0; n < ((struct flow_port *)value)->sink_count; n++)
				if (((struct flow_port *)value)->sinks[n] == k)
					collect(r, value);
		sink_unref(k);
	}
}

static void look(struct flow_recorder *r, struct flow_region *place)
{
	struct arena CLEAN_ARENA a = {0};
	struct ec2_scope s = {.arena = &a, .account = place->account, .region = place->region};
	struct ec2_flow_log f;
	struct state_vpc_interface_record eni;
	bool any = false;
	s.txn = store_begin(r->ec2->cloud->store, &a);
	struct ec2_all logs = ec2_all(&s, &ec2_kind_flow_log);
	while (ec2_next(&logs, &f)) {
		sink_of(r, &s, &f);
		any = true;
	}
	struct ec2_all all = ec2_all(&s, &ec2_kind_interface);
	while (any && ec2_next(&all, &eni)) {
		struct flow_port *p = NULL;
		struct ec2_all every = ec2_all(&s, &ec2_kind_flow_log);
		bool news = false, had;
		while (eni.up.v && ec2_next(&every, &f)) {
			if (!ec2_flow_log_covers(&f, eni.interface))
				continue;
			had = map_get(&r->ports, eni.interface->network_interface_id) != NULL;
			p = port_of(r, &s, eni.interface);
			news |= port_add(p, map_get(&r->sinks, f.flow_log_id)) && had;
		}
		if (news && p)
			collect(r, p); /* what was before is not the new one's */
	}
	find_gone(r, &s);
	store_abort(s.txn);
}

static void look_at_all(void *ctx)
{
	struct flow_recorder *r = ctx;
	struct str key;
	void *value;
	r->soon = NULL;
	r->round++;
	for (size_t at = 0; map_next(&r->places, &at, &key, &value);)
		look(r, value);
}

static void look_soon(struct flow_recorder *r)
{
	if (!r->soon)
		r->soon = loop_add_timer(r->ec2->cloud->loop, 0, look_at_all, r);
}

/* --- changes and minutes */

static struct flow_region *place_of(struct flow_recorder *r, struct str account, struct str region, bool make)
{
	struct arena CLEAN_ARENA a = {0};
	struct str name = ARENA_CAT(&a, account, S("/"), region);
	struct flow_region *p = map_get(&r->places, name);
	if (p || !make)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory (flow logs)");
	p->account = arena_dup(&p->arena, account);
	p->region = arena_dup(&p->arena, region);
	map_put(&r->places, name, p);
	return p;
}

static void on_change(void *ctx, const struct store_event *e)
{
	struct flow_recorder *r = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n != 5)
		return;
	bool log = str_is(parts.v[3], ec2_kind_flow_log.prefix), interface = str_is(parts.v[3], ec2_kind_interface.prefix);
	if ((log || interface) && place_of(r, parts.v[1], parts.v[2], log))
		look_soon(r);
}

static int64_t until_next_us(void)
{
	return (EVERY_MS - clock_wall_ms() % EVERY_MS) * 1000;
}

/* All minutes begin together, as AWS's files do. */
static void tick(void *ctx)
{
	struct flow_recorder *r = ctx;
	struct str key;
	void *value;
	struct arena CLEAN_ARENA a = {0};
	struct str_list lost = {0};
	r->tick = loop_add_clock_timer(r->ec2->cloud->loop, until_next_us(), tick, r);
	for (size_t at = 0; map_next(&r->ports, &at, &key, &value);) {
		struct flow_port *p = value;
		/* one that is gone and was asked a minute ago has nobody left to answer for it */
		if (p->round != r->round && p->asked)
			*LIST_ADD(&a, &lost) = arena_dup(&a, key);
		else
			collect(r, p);
	}
	for (uint32_t i = 0; i < lost.n; i++)
		port_free(map_remove(&r->ports, lost.v[i]));
}

struct flow_recorder *flow_recorder_new(struct ec2_state *ec2)
{
	struct arena CLEAN_ARENA a = {0};
	struct flow_recorder *r = calloc(1, sizeof(*r));
	struct store *store = ec2->cloud->store;
	struct str under = KEY_UNDER(&a, S("ec2")), key;
	struct store_value v;
	if (!r)
		die("out of memory (flow logs)");
	r->ec2 = ec2;
	list_init(&r->all);
	struct store_txn *t = store_begin(store, &a);
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		if (parts.n == 5 && str_is(parts.v[3], ec2_kind_flow_log.prefix))
			place_of(r, parts.v[1], parts.v[2], true);
	}
	store_abort(t);
	look_at_all(r);
	r->watch = store_watch(store, under, store_prefix_end(&a, under), store_revision(store), on_change, r);
	r->tick = loop_add_clock_timer(ec2->cloud->loop, until_next_us(), tick, r);
	return r;
}

void flow_recorder_free(struct flow_recorder *r)
{
	struct str key;
	void *value;
	if (!r)
		return;
	store_unwatch(r->watch);
	loop_remove_timer(r->ec2->cloud->loop, r->tick);
	loop_remove_timer(r->ec2->cloud->loop, r->soon);
	for (size_t at = 0; map_next(&r->ports, &at, &key, &value);)
		port_free(value);
	list_each (&r->all, struct flow_sink, at, k) {
		k->refs = 1;
		sink_unref(k);
	}
	for (size_t at = 0; map_next(&r->places, &at, &key, &value);) {
		arena_done(&((struct flow_region *)value)->arena);
		free(value);
	}
	map_done(&r->ports);
	map_done(&r->sinks);
	map_done(&r->places);
	free(r);
}
