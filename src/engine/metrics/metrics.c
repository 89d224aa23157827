/* What comes is added up in the gathering batch. A batch is written in parts of some hundreds of periods, one transaction after the
 * other, so that ten thousand metrics at once hold up nobody; meanwhile the next one gathers. */
#include "engine/metrics/series.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define SWEEP_US INT64_C(3600000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_S INT64_C(86400)
enum { PUT_US = 1000000, GATHERED_MAX = 50000, PART = 400, SERIES_MAX = 50000, CLOSE_TRIES = 2000, ROW_MS = 300000, MINUTE_S = 60 };

const struct tier metrics_tiers[TIERS] = {{.step_s = 1, .slots = 300, .kept_s = 3 * 3600, .steps = 1},
                                          {.step_s = 60, .slots = 60, .pack_slots = 1440, .kept_s = 15 * DAY_S, .steps = 1},
                                          {.step_s = 300, .slots = 144, .pack_slots = 1152, .kept_s = 63 * DAY_S, .steps = 4},
                                          {.step_s = 3600, .pack_slots = 768, .kept_s = 455 * DAY_S, .steps = 8}};

/* --- series in memory */

static struct str map_name(struct metrics *m, const struct metric *metric)
{
	struct str zero = str_of("", 1);
	buf_clear(&m->name);
	buf_add_str(&m->name, metric->account);
	buf_add_str(&m->name, zero);
	buf_add_str(&m->name, metric->region);
	buf_add_str(&m->name, zero);
	metrics_names(&m->name, metric);
	return m->name.overflow ? STR_NONE : buf_str(&m->name);
}

struct series *metrics_find(struct metrics *m, const struct metric *metric)
{
	struct str name = map_name(m, metric);
	return str_set(name) ? map_get(&m->series, name) : NULL;
}

static struct series *series_new(struct str name, const struct metric *metric, char unit)
{
	struct series *s = calloc(1, sizeof(*s) + name.n);
	if (!s)
		die("out of memory (metrics)");
	char *p = memcpy(s + 1, name.p, name.n);
	size_t a = metric->account.n + 1, r = metric->region.n + 1;
	*s = (struct series){.unit = unit,
	                     .account = str_of(p, a - 1),
	                     .region = str_of(p + a, r - 1),
	                     .names = str_of(p + a + r, name.n - a - r)};
	return s;
}

static struct series *series_get(struct metrics *m, const struct metric *metric)
{
	struct str name = map_name(m, metric);
	char unit = metrics_unit_code(metric->unit);
	if (!str_set(name))
		return NULL;
	struct series *first = map_get(&m->series, name), *s = first;
	while (s && s->unit != unit)
		s = s->next_unit;
	if (s)
		return s;
	s = series_new(name, metric, unit);
	if (first) {
		s->next_unit = first->next_unit;
		first->next_unit = s;
	} else
		map_put(&m->series, name, s);
	return s;
}

static void forget_series(struct metrics *m)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&m->series, &at, &key, &value))
		for (struct series *s = value, *next; s; s = next) {
			next = s->next_unit;
			free(s);
		}
	map_done(&m->series);
	m->series = (struct map){0};
}

/* --- gathering */

static void put_due(void *ctx);

static struct gathered *gathered_get(struct metrics *m, struct series *s, int64_t time_ms, unsigned tier)
{
	struct arena *a = &m->gather.arena;
	time_ms -= time_ms % (metrics_tiers[tier].step_s * 1000);
	for (struct gathered *g = s->gathered; g; g = g->next)
		if (g->time_ms == time_ms && g->tier == tier)
			return g;
	struct gathered *g = arena_new(a, struct gathered);
	*g = (struct gathered){.series = s, .next = s->gathered, .at = m->gather.all.n, .time_ms = time_ms, .tier = tier};
	s->gathered = g;
	*LIST_ADD(a, &m->gather.all) = g;
	if (time_ms > s->last_ms)
		s->last_ms = time_ms;
	if (!m->put_timer)
		m->put_timer = loop_add_timer(m->loop, PUT_US, put_due, m);
	return g;
}

static struct gathered *gather(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s)
{
	if (metrics_full(m) || metric->dimension_count > METRIC_DIMENSIONS_MAX || time_ms < 0)
		return NULL;
	struct series *s = series_get(m, metric);
	return s ? gathered_get(m, s, time_ms, resolution_s >= 300 ? 2 : resolution_s >= MINUTE_S ? 1 : 0) : NULL;
}

bool metrics_begins_hour(struct metrics *m, const struct metric *metric, int64_t now_ms)
{
	struct series *s = metrics_find(m, metric);
	bool first = s && s->hour != now_ms / HOUR_MS;
	if (s)
		s->hour = now_ms / HOUR_MS;
	return first;
}

bool metrics_full(const struct metrics *m)
{
	return m->gather.all.n >= GATHERED_MAX;
}

void metrics_put(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                 const struct metric_set *set)
{
	struct gathered *g = gather(m, metric, time_ms, resolution_s);
	struct slot one = slot_of_set(set);
	if (g && set->count > 0)
		slot_merge(&m->gather.arena, &g->slot, &one);
}

void metrics_put_values(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                        const struct metric_value *values, size_t n)
{
	struct gathered *g = gather(m, metric, time_ms, resolution_s);
	for (size_t i = 0; g && i < n; i++)
		if (values[i].count > 0 && isfinite(values[i].value))
			slot_add(&m->gather.arena, &g->slot, values[i].value, values[i].count);
}

void metrics_add(struct metrics *m, const struct metric *metric, double value)
{
	if (m)
		metrics_put_values(m, metric, clock_wall_ms(), MINUTE_S, &(struct metric_value){value, 1}, 1);
}

/* --- writing */

/* The block that was changed last, because what comes together often lies in the same. */
struct open_block {
	struct store_txn *txn;
	struct arena *arena;
	uint64_t id;
	unsigned tier;
	int64_t block;
	uint32_t n;
	bool open;
	struct slot slots[SLOTS_MAX];
};

static void block_close(struct open_block *o)
{
	struct buf CLEAN_BUF b = {0};
	if (!o->open)
		return;
	buf_init(&b, 4 << 20);
	block_write(&b, o->slots, o->n, metrics_tiers[o->tier].steps);
	if (!b.overflow)
		store_put(o->txn, metrics_block_key(o->arena, o->id, o->tier, o->block), buf_str(&b));
	o->open = false;
}

static void block_open(struct open_block *o, uint64_t id, unsigned tier, int64_t block)
{
	const struct tier *k = &metrics_tiers[tier];
	struct store_value v;
	if (o->open && o->id == id && o->tier == tier && o->block == block)
		return;
	block_close(o);
	memset(o->slots, 0, sizeof(o->slots));
	o->id = id;
	o->tier = tier;
	o->block = block;
	o->n = 0;
	o->open = true;
	if (!store_get(o->txn, metrics_block_key(o->arena, id, tier, block), &v) ||
	    block_read(o->arena, v.value, o->slots, k->slots, &o->n, k->steps))
		return;
	log_warn("metrics: a block that does not read is begun anew");
	memset(o->slots, 0, sizeof(o->slots));
	o->n = 0;
}

static void add_to_block(struct open_block *o, uint64_t id, unsigned tier, const struct gathered *g)
{
	const struct tier *k = &metrics_tiers[tier];
	int64_t block = g->time_ms / tier_block_ms(k);
	uint32_t at = (uint32_t)((g->time_ms - block * tier_block_ms(k)) / (k->step_s * 1000));
	block_open(o, id, tier, block);
	slot_merge(o->arena, &o->slots[at], &g->slot);
	o->n = at + 1 > o->n ? at + 1 : o->n;
}

static uint64_t next_id(struct store_txn *t)
{
	struct store_value v;
	uint64_t id = 0;
	if (store_get(t, S("n"), &v) && v.value.n == sizeof(id))
		memcpy(&id, v.value.p, sizeof(id));
	id++;
	store_put(t, S("n"), str_of(&id, sizeof(id)));
	return id;
}

static void write_row(struct store_txn *t, struct arena *a, struct series *s)
{
	struct store_value v;
	struct series_row row = {0};
	if (s->id && s->last_ms < s->written_ms + ROW_MS)
		return;
	struct str key = ARENA_CAT(a, metrics_key(a, s->account, s->region, s->names), str_of(&s->unit, 1));
	if (!s->id && store_get(t, key, &v) && v.value.n >= sizeof(row))
		memcpy(&row, v.value.p, sizeof(row));
	s->id = s->id ? s->id : row.id ? row.id : next_id(t);
	s->last_ms = row.last_ms > s->last_ms ? row.last_ms : s->last_ms;
	row = (struct series_row){.id = s->id, .last_ms = s->last_ms};
	store_put(t, key, ARENA_CAT(a, str_of(&row, sizeof(row)), s->names));
	s->written_ms = s->last_ms;
}

/* Seconds are minutes too. */
static void write_some(struct store_txn *t, struct arena *a, struct gathered *const *all, uint32_t n)
{
	struct open_block o = {.txn = t, .arena = a};
	for (uint32_t i = 0; i < n; i++) {
		const struct gathered *g = all[i];
		if (g->slot.set.count <= 0)
			continue;
		write_row(t, a, g->series);
		add_to_block(&o, g->series->id, g->tier ? g->tier : 1, g);
		if (!g->tier)
			add_to_block(&o, g->series->id, 0, g);
	}
	block_close(&o);
}

/* --- one transaction after the other */

static void write_next(struct metrics *m);

static void tell(struct metrics *m, int result)
{
	struct waiters all = m->told;
	m->told = (struct waiters){0};
	for (uint32_t i = 0; i < all.n; i++)
		all.v[i].fn(all.v[i].ctx, result);
	free(all.v);
}

static void batch_done(struct metrics *m)
{
	for (uint32_t i = 0; i < m->write.all.n; i++)
		m->write.all.v[i]->series->writing = NULL;
	m->write.all = (struct gathered_list){0};
	arena_reset(&m->write.arena);
	if (m->series.count > SERIES_MAX && !m->gather.all.n)
		forget_series(m);
}

static void part_done(void *ctx, int result, uint64_t revision)
{
	struct metrics *m = ctx;
	(void)revision;
	if (result < 0)
		log_warn("metrics of a second are lost: %s", strerror(-result));
	for (uint32_t i = m->part_from; result < 0 && i < m->part_to; i++)
		m->write.all.v[i]->series->id = 0;
	arena_reset(&m->job);
	m->writing = false;
	m->part_from = m->part_to;
	if (m->part_to == m->write.all.n && m->part_to) {
		m->part_from = m->part_to = 0;
		batch_done(m);
		tell(m, result < 0 ? result : 0);
	} else if (!m->part_to)
		m->sweep_next |= m->more && result == 0;
	write_next(m);
}

static void batch_begin(struct metrics *m)
{
	struct batch empty = m->write;
	m->write = m->gather;
	m->gather = empty;
	m->told = m->waiting;
	m->waiting = (struct waiters){0};
	for (uint32_t i = 0; i < m->write.all.n; i++) {
		struct series *s = m->write.all.v[i]->series;
		if (s->gathered) {
			s->writing = s->gathered;
			s->gathered = NULL;
		}
	}
}

static void write_next(struct metrics *m)
{
	if (m->writing)
		return;
	if (!m->write.all.n && m->gather.all.n && !m->put_timer)
		batch_begin(m);
	if (!m->write.all.n && !m->sweep_next)
		return;
	m->writing = true;
	struct store_txn *t = store_begin(m->store, &m->job);
	if (m->write.all.n) {
		uint32_t rest = m->write.all.n - m->part_from;
		m->part_to = m->part_from + (rest < PART ? rest : PART);
		write_some(t, &m->job, m->write.all.v + m->part_from, m->part_to - m->part_from);
		m->part++;
		store_put(t, S("b"), str_of(&m->part, sizeof(m->part)));
	} else {
		m->sweep_next = false;
		m->more = metrics_sweep(m, t);
	}
	store_commit(t, part_done, m);
}

static void put_due(void *ctx)
{
	struct metrics *m = ctx;
	m->put_timer = NULL;
	write_next(m);
}

static void put_now(struct metrics *m)
{
	loop_remove_timer(m->loop, m->put_timer);
	m->put_timer = NULL;
	write_next(m);
}

static void sweep_due(void *ctx)
{
	struct metrics *m = ctx;
	m->sweep_timer = loop_add_clock_timer(m->loop, SWEEP_US, sweep_due, m);
	m->sweep_next = true;
	write_next(m);
}

void metrics_when_written(struct metrics *m, metrics_written_fn *fn, void *ctx)
{
	struct waiters *l = &m->waiting;
	if (!m->gather.all.n && m->write.all.n)
		l = &m->told;
	if (!m->gather.all.n && !m->write.all.n) {
		fn(ctx, 0);
		return;
	}
	struct waiter *v = realloc(l->v, (l->n + 1) * sizeof(*v));
	if (!v)
		die("out of memory (metrics)");
	l->v = v;
	l->v[l->n++] = (struct waiter){fn, ctx};
	put_now(m);
}

bool metrics_busy(const struct metrics *m)
{
	return m->writing || m->write.all.n || m->sweep_next || m->more;
}

static void not_waiting(struct waiters *l, void *ctx)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].ctx != ctx)
			l->v[n++] = l->v[i];
	l->n = n;
}

void metrics_not_waiting(struct metrics *m, void *ctx)
{
	not_waiting(&m->waiting, ctx);
	not_waiting(&m->told, ctx);
}

/* --- the beginning and the end */

void metrics_make(const char *dir, bool ephemeral)
{
	store_make(&(struct store_config){.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY});
}

/* So that a number of a part is not one that is there from before. */
static void find_part(struct metrics *m)
{
	struct store_txn *t = store_begin(m->store, &m->job);
	struct store_value v;
	if (store_get(t, S("b"), &v) && v.value.n == sizeof(m->part))
		memcpy(&m->part, v.value.p, sizeof(m->part));
	store_abort(t);
	arena_reset(&m->job);
}

int metrics_open(struct metrics **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200])
{
	struct metrics *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory (metrics)");
	m->loop = l;
	buf_init(&m->name, NAMES_MAX);
	int e = store_open(&m->store, l, &(struct store_config){.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY},
	                   ret_why);
	if (e < 0) {
		free(m);
		return e;
	}
	find_part(m);
	m->sweep_timer = loop_add_clock_timer(l, SWEEP_US, sweep_due, m);
	*ret = m;
	return 0;
}

static void no_one(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)revision;
	if (result < 0)
		log_warn("metrics of a second are lost: %s", strerror(-result));
}

/* The part that is under way is waited for where it is written, because the loop has others' callbacks, who are closed by now. */
static void wait_for_part(struct metrics *m)
{
	bool there = !m->writing || !m->part_to;
	for (unsigned i = 0; i < CLOSE_TRIES && !there; i++) {
		struct arena CLEAN_ARENA a = {0};
		struct store_txn *t = store_begin(m->store, &a);
		struct store_value v;
		there = store_get(t, S("b"), &v) && v.value.n == sizeof(m->part) && memcmp(v.value.p, &m->part, v.value.n) == 0;
		store_abort(t);
		if (!there)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

/* All that is left in one transaction. */
static void write_rest(struct metrics *m, struct arena *a)
{
	struct store_txn *t = store_begin(m->store, a);
	uint32_t from = m->writing ? m->part_to : m->part_from;
	if (m->write.all.n > from)
		write_some(t, a, m->write.all.v + from, m->write.all.n - from);
	write_some(t, a, m->gather.all.v, m->gather.all.n);
	store_commit(t, no_one, NULL);
}

void metrics_close(struct metrics *m)
{
	struct arena CLEAN_ARENA rest = {0};
	if (!m)
		return;
	loop_remove_timer(m->loop, m->put_timer);
	loop_remove_timer(m->loop, m->sweep_timer);
	free(m->waiting.v);
	free(m->told.v);
	wait_for_part(m);
	write_rest(m, &rest);
	store_close(m->store);
	forget_series(m);
	buf_done(&m->name);
	arena_done(&m->gather.arena);
	arena_done(&m->write.arena);
	arena_done(&m->job);
	free(m);
}
