/* Keys: "s" account NUL region NUL digest -> a metric's number, its newest time and its names; "d" number tier time -> a block of
 * statistic sets, one after the other from the block's beginning; "n" -> the next number. A set goes into one block of each tier at
 * once, so nothing has to be rolled up later. */
#include "engine/metrics/metrics.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define SWEEP_US INT64_C(3600000000)
enum { TIERS = 3, PUT_US = 1000000, PENDING_MAX = 100000, SWEEP_MAX = 2000, BLOCK_MAX = 96 };

static const struct {
	int64_t step_s;
	unsigned sets; /* in a block */
	int64_t days;
} tiers[TIERS] = {{60, 60, 15}, {300, 72, 63}, {3600, 96, 455}};

struct pending {
	struct metric metric;
	int64_t time_ms;
	unsigned resolution_s;
	struct metric_set set;
};
struct pendings {
	struct pending *v;
	uint32_t n;
	bool set;
};

struct metrics {
	struct loop *loop;
	struct store *store;
	struct arena gather_arena, write_arena;
	struct pendings gathered;
	struct loop_timer *put_timer, *sweep_timer;
	bool writing, sweep_next, more;
	struct str sweep_after; /* in sweep_text */
	char sweep_text[512];
};

/* --- keys */

static void add_number(struct buf *b, uint64_t x)
{
	x = __builtin_bswap64(x);
	buf_add(b, &x, sizeof(x));
}

static struct str block_key(struct arena *a, uint64_t id, unsigned tier, int64_t block)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 64);
	buf_add_lit(&b, "d");
	add_number(&b, id);
	add_number(&b, tier);
	add_number(&b, (uint64_t)block);
	return arena_dup(a, buf_str(&b));
}

static int by_name(const void *x, const void *y)
{
	return str_cmp(((const struct metric_dimension *)x)->name, ((const struct metric_dimension *)y)->name);
}

/* unit, namespace, name, then dimensions in order of their names, each ended by a NUL. */
static struct str names_of(struct arena *a, const struct metric *m)
{
	struct buf CLEAN_BUF b;
	struct metric_dimension sorted[METRIC_DIMENSIONS_MAX];
	struct str zero = str_of("", 1);
	buf_init(&b, 1 << 20);
	memcpy(sorted, m->dimensions, m->dimension_count * sizeof(*sorted));
	qsort(sorted, m->dimension_count, sizeof(*sorted), by_name);
	struct str head[] = {m->unit, zero, m->space, zero, m->name, zero};
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		buf_add_str(&b, head[i]);
	for (size_t i = 0; i < m->dimension_count; i++) {
		buf_add_str(&b, sorted[i].name);
		buf_add_str(&b, zero);
		buf_add_str(&b, sorted[i].value);
		buf_add_str(&b, zero);
	}
	return arena_dup(a, buf_str(&b));
}

static struct str series_key(struct arena *a, const struct metric *m, struct str names)
{
	struct str zero = str_of("", 1), unitless = str_from_at(names, m->unit.n + 1);
	return ARENA_CAT(a, S("s"), m->account, zero, m->region, zero, hash_hex(a, HASH_SHA256, unitless));
}

struct series {
	uint64_t id;
	int64_t last_ms;
};

static bool get_series(struct store_txn *t, struct str key, struct series *ret, struct str *ret_names)
{
	struct store_value v;
	if (!store_get(t, key, &v) || v.value.n < sizeof(*ret))
		return false;
	memcpy(ret, v.value.p, sizeof(*ret));
	*ret_names = str_from_at(v.value, sizeof(*ret));
	return true;
}

/* --- writing */

static void merge(struct metric_set *into, const struct metric_set *s)
{
	if (into->count <= 0) {
		*into = *s;
		return;
	}
	into->count += s->count;
	into->sum += s->sum;
	into->min = s->min < into->min ? s->min : into->min;
	into->max = s->max > into->max ? s->max : into->max;
}

static int64_t block_ms(unsigned tier)
{
	return tiers[tier].step_s * 1000 * tiers[tier].sets;
}

static void add_to_block(struct store_txn *t, struct arena *a, uint64_t id, unsigned tier, const struct pending *p)
{
	struct metric_set sets[BLOCK_MAX] = {0};
	struct store_value v;
	int64_t block = p->time_ms / block_ms(tier);
	size_t slot = (size_t)((p->time_ms - block * block_ms(tier)) / (tiers[tier].step_s * 1000)), n = 0;
	struct str key = block_key(a, id, tier, block);
	if (store_get(t, key, &v) && v.value.n <= sizeof(sets)) {
		memcpy(sets, v.value.p, v.value.n);
		n = v.value.n / sizeof(*sets);
	}
	merge(&sets[slot], &p->set);
	store_put(t, key, str_of(sets, (slot + 1 > n ? slot + 1 : n) * sizeof(*sets)));
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

static void write_one(struct store_txn *t, struct arena *a, const struct pending *p)
{
	struct str names = names_of(a, &p->metric), key = series_key(a, &p->metric, names), old;
	struct series s = {0};
	if (!get_series(t, key, &s, &old))
		s.id = next_id(t);
	if (p->time_ms > s.last_ms)
		s.last_ms = p->time_ms;
	store_put(t, key, ARENA_CAT(a, str_of(&s, sizeof(s)), names));
	for (unsigned tier = p->resolution_s >= 300; tier < TIERS; tier++)
		add_to_block(t, a, s.id, tier, p);
}

/* --- forgetting */

static void drop_blocks(struct metrics *m, struct store_txn *t, uint64_t id, int64_t now_ms, unsigned *left)
{
	struct arena *a = &m->write_arena;
	for (unsigned tier = 0; tier < TIERS; tier++) {
		int64_t end = (now_ms - tiers[tier].days * DAY_MS) / block_ms(tier);
		struct store_iter *i = store_scan(t, block_key(a, id, tier, 0), block_key(a, id, tier, end < 0 ? 0 : end), false);
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
	struct arena *a = &m->write_arena;
	int64_t now = clock_wall_ms();
	unsigned left = SWEEP_MAX, seen = 0;
	struct str key = STR_NONE, from = m->sweep_after.n ? m->sweep_after : S("s");
	struct store_iter *i = store_scan(t, from, store_prefix_end(a, S("s")), false);
	struct store_value v;
	m->more = true;
	while (left && seen++ < SWEEP_MAX) {
		struct series s;
		if (!store_next(i, &key, &v)) {
			m->more = false;
			break;
		}
		if (v.value.n < sizeof(s))
			continue;
		memcpy(&s, v.value.p, sizeof(s));
		drop_blocks(m, t, s.id, now, &left);
		if (left && s.last_ms < now - tiers[TIERS - 1].days * DAY_MS)
			store_delete(t, arena_dup(a, key));
	}
	m->sweep_after = m->more && key.n <= sizeof(m->sweep_text) ? str_of(memcpy(m->sweep_text, key.p, key.n), key.n) : STR_NONE;
}

/* --- one transaction after the other */

static void write_next(struct metrics *m);

static void written(void *ctx, int result, uint64_t revision)
{
	struct metrics *m = ctx;
	(void)revision;
	if (result < 0)
		log_warn("metrics of a second are lost: %s", strerror(-result));
	arena_reset(&m->write_arena);
	m->writing = false;
	m->sweep_next |= m->more && result == 0;
	if (m->sweep_next || m->gathered.n)
		write_next(m);
}

static void write_next(struct metrics *m)
{
	if (m->writing || (!m->gathered.n && !m->sweep_next))
		return;
	m->writing = true;
	m->more = false;
	if (m->gathered.n) {
		struct pendings all = m->gathered;
		struct arena empty = m->write_arena;
		m->write_arena = m->gather_arena;
		m->gather_arena = empty;
		m->gathered = (struct pendings){0};
		struct store_txn *t = store_begin(m->store, &m->write_arena);
		for (uint32_t i = 0; i < all.n; i++)
			write_one(t, &m->write_arena, &all.v[i]);
		store_commit(t, written, m);
		return;
	}
	m->sweep_next = false;
	struct store_txn *t = store_begin(m->store, &m->write_arena);
	sweep(m, t);
	store_commit(t, written, m);
}

static void put_due(void *ctx)
{
	struct metrics *m = ctx;
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

void metrics_put(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                 const struct metric_set *set)
{
	struct arena *a = &m->gather_arena;
	if (m->gathered.n >= PENDING_MAX || metric->dimension_count > METRIC_DIMENSIONS_MAX || time_ms < 0)
		return;
	struct metric_dimension *dimensions = arena_array(a, metric->dimension_count + 1, sizeof(*dimensions));
	for (size_t i = 0; i < metric->dimension_count; i++)
		dimensions[i] = (struct metric_dimension){arena_dup(a, metric->dimensions[i].name),
		                                          arena_dup(a, metric->dimensions[i].value)};
	*LIST_ADD(a, &m->gathered) = (struct pending){.metric = {.account = arena_dup(a, metric->account),
	                                                         .region = arena_dup(a, metric->region),
	                                                         .space = arena_dup(a, metric->space),
	                                                         .name = arena_dup(a, metric->name),
	                                                         .unit = arena_dup(a, metric->unit),
	                                                         .dimensions = dimensions,
	                                                         .dimension_count = metric->dimension_count},
	                                              .time_ms = time_ms,
	                                              .resolution_s = resolution_s,
	                                              .set = *set};
	if (!m->put_timer)
		m->put_timer = loop_add_timer(m->loop, PUT_US, put_due, m);
}

void metrics_add(struct metrics *m, const struct metric *metric, double value)
{
	struct metric_set set = metric_sample(value);
	if (m)
		metrics_put(m, metric, clock_wall_ms(), 60, &set);
}

void metrics_make(const char *dir, bool ephemeral)
{
	store_make(&(struct store_config){.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY});
}

int metrics_open(struct metrics **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200])
{
	struct metrics *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory (metrics)");
	m->loop = l;
	arena_init(&m->gather_arena, 0);
	arena_init(&m->write_arena, 0);
	int e = store_open(&m->store, l, &(struct store_config){.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY},
	                   ret_why);
	if (e < 0) {
		free(m);
		return e;
	}
	m->sweep_timer = loop_add_timer(l, SWEEP_US, sweep_due, m);
	*ret = m;
	return 0;
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	loop_remove_timer(m->loop, m->put_timer);
	loop_remove_timer(m->loop, m->sweep_timer);
	m->sweep_next = false;
	while (m->writing)
		loop_turn(m->loop, 1000);
	write_next(m);
	store_close(m->store);
	arena_done(&m->gather_arena);
	arena_done(&m->write_arena);
	free(m);
}

/* --- reading */

int64_t metrics_kept_s(int64_t from_ms, int64_t now_ms)
{
	for (unsigned tier = 0; tier + 1 < TIERS; tier++)
		if (from_ms >= now_ms - tiers[tier].days * DAY_MS)
			return tiers[tier].step_s;
	return tiers[TIERS - 1].step_s;
}

static void add_point(struct arena *a, struct metric_points *points, int64_t time_ms, const struct metric_set *s)
{
	if (!points->n || points->v[points->n - 1].time_ms != time_ms)
		*LIST_ADD(a, points) = (struct metric_point){.time_ms = time_ms};
	merge(&points->v[points->n - 1].set, s);
}

static void read_tier(struct store_txn *t, struct arena *a, uint64_t id, unsigned tier, int64_t from_ms, int64_t to_ms,
                      int64_t period_s, struct metric_points *points)
{
	int64_t step_ms = tiers[tier].step_s * 1000;
	struct store_iter *i = store_scan(t, block_key(a, id, tier, from_ms / block_ms(tier)),
	                                  block_key(a, id, tier, to_ms / block_ms(tier) + 1), false);
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v)) {
		uint64_t block;
		memcpy(&block, key.p + key.n - sizeof(block), sizeof(block));
		int64_t begin = (int64_t)__builtin_bswap64(block) * block_ms(tier);
		for (size_t k = 0; k < v.value.n / sizeof(struct metric_set); k++) {
			struct metric_set set;
			int64_t at = begin + (int64_t)k * step_ms;
			memcpy(&set, v.value.p + k * sizeof(set), sizeof(set));
			if (set.count > 0 && at >= from_ms && at < to_ms)
				add_point(a, points, from_ms + (at - from_ms) / (period_s * 1000) * period_s * 1000, &set);
		}
	}
}

struct metric_points metrics_read(struct metrics *m, struct arena *a, const struct metric *metric, int64_t from_ms, int64_t to_ms,
                                  int64_t period_s, struct str *ret_unit)
{
	struct metric_points points = {0};
	struct series s;
	struct str names;
	if (metric->dimension_count > METRIC_DIMENSIONS_MAX || from_ms < 0 || period_s <= 0)
		return points;
	struct store_txn *t = store_begin(m->store, a);
	/* The coarsest tier that the periods are made of; when it has nothing, one that is coarser than where they begin. */
	unsigned tier = TIERS - 1;
	while (tier > 0 && (period_s % tiers[tier].step_s || from_ms / 1000 % tiers[tier].step_s))
		tier--;
	if (get_series(t, series_key(a, metric, names_of(a, metric)), &s, &names)) {
		*ret_unit = arena_dup(a, str_cut(&names, '\0'));
		for (; !points.n && tier < TIERS && tiers[tier].step_s <= period_s; tier++)
			read_tier(t, a, s.id, tier, from_ms, to_ms, period_s, &points);
	}
	store_abort(t);
	return points;
}

static struct metric read_names(struct arena *a, struct str key, struct str value)
{
	struct metric made = {0};
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct str rest = arena_dup(a, str_from_at(value, sizeof(struct series))), where = arena_dup(a, str_from_at(key, 1));
	made.account = str_cut(&where, '\0');
	made.region = str_cut(&where, '\0');
	made.unit = str_cut(&rest, '\0');
	made.space = str_cut(&rest, '\0');
	made.name = str_cut(&rest, '\0');
	while (rest.n && made.dimension_count < METRIC_DIMENSIONS_MAX) {
		struct metric_dimension *d = &dimensions[made.dimension_count++];
		d->name = str_cut(&rest, '\0');
		d->value = str_cut(&rest, '\0');
	}
	size_t bytes = made.dimension_count * sizeof(*dimensions);
	made.dimensions = bytes ? memcpy(arena_alloc(a, bytes), dimensions, bytes) : NULL;
	return made;
}

static void list(struct metrics *m, struct arena *a, struct str under, metrics_list_fn *fn, void *ctx)
{
	struct store_txn *t = store_begin(m->store, a);
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v)) {
		struct series s;
		if (v.value.n < sizeof(s))
			continue;
		memcpy(&s, v.value.p, sizeof(s));
		struct metric metric = read_names(a, key, v.value);
		if (!fn(ctx, &metric, s.last_ms))
			break;
	}
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
