#include "engine/metrics/pack.h"
#include "engine/metrics/series.h"

#include "base/clock.h"

#include <stdlib.h>

int64_t metrics_kept_s(int64_t from_ms, int64_t now_ms)
{
	for (unsigned tier = 0; tier + 1 < TIERS; tier++)
		if (from_ms >= now_ms - metrics_tiers[tier].kept_s * 1000)
			return metrics_tiers[tier].step_s;
	return metrics_tiers[TIERS - 1].step_s;
}

enum { MINUTE_S = 60 };

struct value_list {
	struct metric_value *v;
	uint32_t n;
	bool set;
};
struct made {
	int64_t time_ms;
	struct metric_set set;
	struct value_list values;
	bool unknown;
};
struct made_list {
	struct made *v;
	uint32_t n;
	bool set;
};

/* A reading of one unit's data. */
struct reading {
	struct metrics *m;
	struct store_txn *txn;
	struct arena *arena;
	const struct metric_query *q;
	unsigned tier;
	struct made_list made;
};

static struct made *made_at(struct reading *r, int64_t time_ms)
{
	uint32_t at = r->made.n;
	while (at && r->made.v[at - 1].time_ms > time_ms)
		at--;
	if (at && r->made.v[at - 1].time_ms == time_ms)
		return &r->made.v[at - 1];
	LIST_ADD(r->arena, &r->made);
	memmove(&r->made.v[at + 1], &r->made.v[at], (r->made.n - 1 - at) * sizeof(*r->made.v));
	r->made.v[at] = (struct made){.time_ms = time_ms};
	return &r->made.v[at];
}

/* The least and the greatest are known exactly. */
static void add_values(struct arena *a, struct value_list *l, const struct slot *s)
{
	if (!s->spread.n)
		*LIST_ADD(a, l) = (struct metric_value){s->set.min, s->set.count};
	for (uint32_t i = 0; i < s->spread.n; i++) {
		double x = slot_bucket_value(s->spread.v[i].at), count = s->spread.v[i].count;
		if (!i && count == 1)
			x = s->set.min;
		if (i + 1 == s->spread.n && count == 1)
			x = s->set.max;
		x = x < s->set.min ? s->set.min : x > s->set.max ? s->set.max : x;
		*LIST_ADD(a, l) = (struct metric_value){x, count};
	}
}

static void take(struct reading *r, int64_t at_ms, const struct slot *s)
{
	const struct metric_query *q = r->q;
	if (s->set.count <= 0 || at_ms < q->from_ms || at_ms >= q->to_ms)
		return;
	struct made *p = made_at(r, q->from_ms + (at_ms - q->from_ms) / (q->period_s * 1000) * q->period_s * 1000);
	struct slot sum = {.set = p->set, .unknown = true}, more = {.set = s->set, .unknown = true};
	slot_merge(r->arena, &sum, &more);
	p->set = sum.set;
	p->unknown |= s->unknown;
	if (q->spread && !p->unknown)
		add_values(r->arena, &p->values, s);
}

static void take_block(struct reading *r, struct str bytes, int64_t begin_ms, struct slot *slots, uint32_t max)
{
	const struct tier *k = &metrics_tiers[r->tier];
	uint32_t n;
	if (!block_read(r->arena, bytes, slots, max, &n, k->steps))
		return;
	for (uint32_t s = 0; s < n; s++)
		take(r, begin_ms + s * k->step_s * 1000, &slots[s]);
}

static void read_blocks(struct reading *r, uint64_t id)
{
	const struct tier *k = &metrics_tiers[r->tier];
	struct slot slots[SLOTS_MAX];
	int64_t block_ms = tier_block_ms(k);
	struct store_iter *i = store_scan(r->txn, metrics_block_key(r->arena, id, r->tier, r->q->from_ms / block_ms),
	                                  metrics_block_key(r->arena, id, r->tier, r->q->to_ms / block_ms + 1), false);
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v))
		take_block(r, v.value, metrics_key_block(key) * block_ms, slots, k->slots);
}

static void read_packs(struct reading *r, uint64_t id)
{
	const struct tier *k = &metrics_tiers[r->tier];
	struct slot *slots = arena_array(r->arena, k->pack_slots, sizeof(*slots));
	int64_t span_ms = k->step_s * 1000 * k->pack_slots;
	uint64_t group = id / PACK_SERIES;
	struct store_iter *i = store_scan(r->txn, metrics_pack_key(r->arena, group, r->tier, r->q->from_ms / span_ms),
	                                  metrics_pack_key(r->arena, group, r->tier, r->q->to_ms / span_ms + 1), false);
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v)) {
		struct str block = pack_get(v.value, id % PACK_SERIES);
		if (str_set(block))
			take_block(r, block, metrics_key_block(key) * span_ms, slots, k->pack_slots);
	}
}

static void read_gathered(struct reading *r, const struct gathered *g)
{
	if (g->tier == r->tier || (!g->tier && r->tier == 1))
		take(r, g->time_ms - g->time_ms % (metrics_tiers[r->tier].step_s * 1000), &g->slot);
}

/* What the store does not have yet. */
static void read_memory(struct reading *r, const struct series *s)
{
	struct metrics *m = r->m;
	struct store_value v;
	bool there = store_get(r->txn, S("b"), &v) && v.value.n == sizeof(m->part) && memcmp(v.value.p, &m->part, v.value.n) == 0;
	for (const struct gathered *g = s->writing; g; g = g->next)
		if (g->at >= (there ? m->part_to : m->part_from))
			read_gathered(r, g);
	for (const struct gathered *g = s->gathered; g; g = g->next)
		read_gathered(r, g);
}

static int by_value(const void *x, const void *y)
{
	double a = ((const struct metric_value *)x)->value, b = ((const struct metric_value *)y)->value;
	return a < b ? -1 : a > b;
}

static void finish(struct reading *r, struct str unit, struct metric_points *points)
{
	for (uint32_t i = 0; i < r->made.n; i++) {
		struct made *p = &r->made.v[i];
		struct metric_point *made = LIST_ADD(r->arena, points);
		*made = (struct metric_point){.time_ms = p->time_ms, .set = p->set, .unit = unit};
		if (!r->q->spread || p->unknown || p->set.min < 0)
			continue;
		qsort(p->values.v, p->values.n, sizeof(*p->values.v), by_value);
		made->values = p->values.v;
		made->value_count = p->values.n;
	}
}

static void read_tier(struct reading *r, uint64_t id, const struct series *s)
{
	if (id && metrics_tiers[r->tier].slots)
		read_blocks(r, id);
	if (id && metrics_tiers[r->tier].pack_slots)
		read_packs(r, id);
	if (s)
		read_memory(r, s);
}

/* Seconds are needed where minutes would not do; the other tiers have each what the others have not. */
static void read_unit(struct reading *r, char unit, uint64_t id, const struct series *s, struct metric_points *points)
{
	const struct metric_query *q = r->q;
	r->made = (struct made_list){0};
	r->tier = 0;
	if (q->period_s % MINUTE_S || q->from_ms / 1000 % MINUTE_S)
		read_tier(r, id, s);
	if (!r->made.n)
		for (r->tier = 1; r->tier < TIERS; r->tier++)
			if (metrics_tiers[r->tier].step_s <= q->period_s)
				read_tier(r, id, s);
	finish(r, metrics_unit(unit), points);
}

static int by_time(const void *x, const void *y)
{
	const struct metric_point *a = x, *b = y;
	return a->time_ms < b->time_ms ? -1 : a->time_ms > b->time_ms;
}

struct metric_points metrics_read(struct metrics *m, struct arena *a, const struct metric_query *q)
{
	struct metric_points points = {0};
	const struct metric *metric = q->metric;
	if (metric->dimension_count > METRIC_DIMENSIONS_MAX || q->from_ms < 0 || q->period_s <= 0)
		return points;
	struct reading r = {.m = m, .txn = store_begin(m->store, a), .arena = a, .q = q};
	struct series *first = metrics_find(m, metric);
	unsigned units = 0;
	char wanted = str_set(metric->unit) ? metrics_unit_code(metric->unit) : 0;
	struct buf CLEAN_BUF b;
	buf_init(&b, NAMES_MAX);
	struct str key = metrics_key(a, metric->account, metric->region, metrics_names(&b, metric)), row_key;
	struct store_iter *i = store_scan(r.txn, key, store_prefix_end(a, key), false);
	struct store_value v;
	uint64_t seen = 0;
	while (store_next(i, &row_key, &v)) {
		struct series_row row;
		char unit = row_key.p[row_key.n - 1];
		if (v.value.n < sizeof(row) || (wanted && unit != wanted))
			continue;
		memcpy(&row, v.value.p, sizeof(row));
		struct series *s = first;
		while (s && s->unit != unit)
			s = s->next_unit;
		read_unit(&r, unit, row.id, s, &points);
		seen |= UINT64_C(1) << ((unsigned)unit & 63);
		units++;
	}
	for (struct series *s = first; s; s = s->next_unit)
		if (!(seen >> ((unsigned)s->unit & 63) & 1) && (!wanted || s->unit == wanted)) {
			read_unit(&r, s->unit, 0, s, &points);
			units++;
		}
	store_abort(r.txn);
	if (units > 1)
		qsort(points.v, points.n, sizeof(*points.v), by_time);
	return points;
}

/* --- which there are */

static void list(struct metrics *m, struct arena *a, struct str under, metrics_list_fn *fn, void *ctx)
{
	struct store_txn *t = store_begin(m->store, a);
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct str key;
	struct metric last;
	int64_t last_ms = 0;
	struct str last_key = STR_NONE;
	bool go = true;
	while (go && store_next(i, &key, &v)) {
		struct series_row row;
		struct metric metric;
		if (!metrics_row_read(a, key, v.value, &metric, &row))
			continue;
		struct str unitless = str_sub(key, 0, key.n - 1);
		if (str_set(last_key) && str_eq(unitless, last_key)) {
			last_ms = row.last_ms > last_ms ? row.last_ms : last_ms;
			continue;
		}
		if (str_set(last_key))
			go = fn(ctx, &last, last_ms);
		last = metric;
		last_ms = row.last_ms;
		last_key = arena_dup(a, unitless);
	}
	if (go && str_set(last_key))
		fn(ctx, &last, last_ms);
	store_abort(t);
}

void metrics_list(struct metrics *m, struct arena *a, struct str account, struct str region, metrics_list_fn *fn, void *ctx)
{
	struct str zero = str_of("", 1);
	list(m, a, ARENA_CAT(a, S("s"), account, zero, region, zero), fn, ctx);
}

void metrics_list_all(struct metrics *m, struct arena *a, metrics_list_fn *fn, void *ctx)
{
	list(m, a, S("s"), fn, ctx);
}
