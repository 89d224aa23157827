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
enum {
	PUT_US = 1000000,
	GATHERED_MAX = 50000,
	PART = 400,
	SERIES_MAX = 50000,
	SWEEP_MAX = 2000,
	CLOSE_TRIES = 2000,
	ROW_MS = 300000,
	MINUTE_S = 60
};

const struct tier metrics_tiers[TIERS] = {
        {1, 300, 3 * 3600, 1}, {60, 240, 15 * DAY_S, 1}, {300, 144, 63 * DAY_S, 4}, {3600, 96, 455 * DAY_S, 4}};

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

static void add_to_block(struct store_txn *t, struct arena *a, uint64_t id, unsigned tier, const struct gathered *g)
{
	const struct tier *k = &metrics_tiers[tier];
	struct slot slots[SLOTS_MAX] = {0};
	struct store_value v;
	uint32_t n = 0;
	int64_t block = g->time_ms / tier_block_ms(k);
	uint32_t at = (uint32_t)((g->time_ms - block * tier_block_ms(k)) / (k->step_s * 1000));
	struct str key = metrics_block_key(a, id, tier, block);
	if (store_get(t, key, &v) && !block_read(a, v.value, slots, k->slots, &n, k->steps)) {
		memset(slots, 0, sizeof(slots));
		n = 0;
		log_warn("metrics: a block that does not read is begun anew");
	}
	slot_merge(a, &slots[at], &g->slot);
	struct buf CLEAN_BUF b;
	buf_init(&b, 4 << 20);
	block_write(&b, slots, at + 1 > n ? at + 1 : n, k->steps);
	if (!b.overflow)
		store_put(t, key, buf_str(&b));
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

static void write_one(struct store_txn *t, struct arena *a, const struct gathered *g)
{
	if (g->slot.set.count <= 0)
		return;
	write_row(t, a, g->series);
	for (unsigned tier = g->tier; tier < TIERS; tier++)
		add_to_block(t, a, g->series->id, tier, g);
}

/* --- forgetting */

static void drop_blocks(struct metrics *m, struct store_txn *t, uint64_t id, int64_t now_ms, unsigned *left)
{
	struct arena *a = &m->job;
	for (unsigned tier = 0; tier < TIERS; tier++) {
		const struct tier *k = &metrics_tiers[tier];
		int64_t end = (now_ms - k->kept_s * 1000) / tier_block_ms(k);
		struct store_iter *i =
		        store_scan(t, metrics_block_key(a, id, tier, 0), metrics_block_key(a, id, tier, end < 0 ? 0 : end), false);
		struct store_value v;
		struct str key;
		while (*left && store_next(i, &key, &v)) {
			store_delete(t, arena_dup(a, key));
			(*left)--;
		}
	}
}

/* A part of all metrics, from where the last part ended. */
static void sweep(struct metrics *m, struct store_txn *t)
{
	struct arena *a = &m->job;
	int64_t now = clock_wall_ms();
	unsigned left = SWEEP_MAX, seen = 0;
	struct str key = STR_NONE, from = m->sweep_after.n ? m->sweep_after : S("s");
	struct store_iter *i = store_scan(t, from, store_prefix_end(a, S("s")), false);
	struct store_value v;
	m->more = true;
	while (left && seen++ < SWEEP_MAX) {
		struct series_row row;
		if (!store_next(i, &key, &v)) {
			m->more = false;
			break;
		}
		if (v.value.n < sizeof(row))
			continue;
		memcpy(&row, v.value.p, sizeof(row));
		drop_blocks(m, t, row.id, now, &left);
		if (left && row.last_ms < now - metrics_tiers[TIERS - 1].kept_s * 1000)
			store_delete(t, arena_dup(a, key));
	}
	m->sweep_after = m->more && key.n <= sizeof(m->sweep_text) ? str_of(memcpy(m->sweep_text, key.p, key.n), key.n) : STR_NONE;
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
		for (uint32_t i = m->part_from; i < m->part_to; i++)
			write_one(t, &m->job, m->write.all.v[i]);
		m->part++;
		store_put(t, S("b"), str_of(&m->part, sizeof(m->part)));
	} else {
		m->sweep_next = m->more = false;
		sweep(m, t);
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
	m->sweep_timer = loop_add_timer(m->loop, SWEEP_US, sweep_due, m);
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
	m->sweep_timer = loop_add_timer(l, SWEEP_US, sweep_due, m);
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
	for (uint32_t i = m->writing ? m->part_to : m->part_from; i < m->write.all.n; i++)
		write_one(t, a, m->write.all.v[i]);
	for (uint32_t i = 0; i < m->gather.all.n; i++)
		write_one(t, a, m->gather.all.v[i]);
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
