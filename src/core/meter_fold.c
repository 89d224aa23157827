/* Folding facts into sums and writing what was counted.
 *
 * One transaction adds facts to their days' sums and deletes them, so a fact is in one place at every moment. Facts are in order of
 * time and only those of some seconds ago are taken: new ones come behind them, and nobody else's commit is in the way. What is
 * counted stays in memory until the commit that has it is durable; the sums are written by this file alone. */
#include "core/meter_rows.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FOLD_US = 60 * 1000000, COUNT_US = 1000000, AGE_MS = 5000, FOLD_FACTS = 500, FOLD_SUMS = 4000 };

struct counter {
	struct str account, region, usage, resource; /* resource empty: of none */
	int64_t hour, amount, writing;               /* the hour since 1970 */
	char text[];
};

struct meter {
	struct loop *loop;
	struct store *store;
	struct map counters;
	struct loop_timer *fold_timer, *count_timer;
	struct arena arena; /* of the transaction under way */
	bool writing;       /* there is one: one at a time, so that none meets another one's sums */
	bool fold_next, more;
};

static void write_next(struct meter *m);

/* --- counting */

static void count_due(void *ctx)
{
	struct meter *m = ctx;
	m->count_timer = NULL;
	write_next(m);
}

static bool counted(const struct meter *m)
{
	return m->counters.count > 0;
}

void meter_count(struct meter *m, struct str account, struct str region, struct str usage, int64_t amount)
{
	meter_count_of(m, account, region, S(""), usage, amount);
}

void meter_count_of(struct meter *m, struct str account, struct str region, struct str resource, struct str usage, int64_t amount)
{
	char key[2048];
	size_t n = sizeof(int64_t);
	int64_t hour = clock_wall_ms() / METER_HOUR_MS;
	const struct str parts[] = {account, region, usage, resource};
	if (!m || amount <= 0 || account.n + region.n + usage.n + resource.n + n + 4 > sizeof(key))
		return;
	memcpy(key, &hour, n);
	for (int i = 0; i < 4; i++) {
		memcpy(key + n, parts[i].p, parts[i].n);
		n += parts[i].n;
		key[n++] = '\0';
	}
	struct counter *c = map_get(&m->counters, str_of(key, n));
	if (!c) {
		c = calloc(1, sizeof(*c) + n);
		if (!c)
			abort();
		memcpy(c->text, key, n);
		c->hour = hour;
		c->account = str_of(c->text + sizeof(hour), account.n);
		c->region = str_of(c->account.p + account.n + 1, region.n);
		c->usage = str_of(c->region.p + region.n + 1, usage.n);
		c->resource = str_of(c->usage.p + usage.n + 1, resource.n);
		map_put(&m->counters, str_of(key, n), c);
	}
	c->amount += amount;
	if (!m->count_timer && !m->writing)
		m->count_timer = loop_add_timer(m->loop, COUNT_US, count_due, m);
}

static void drop_counters(struct meter *m, bool all)
{
	struct map kept = {0};
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&m->counters, &at, &key, &value)) {
		struct counter *c = value;
		if (all || c->amount == 0)
			free(c);
		else
			map_put(&kept, key, c);
	}
	map_done(&m->counters);
	m->counters = kept;
}

static void add_to(struct store_txn *t, struct arena *a, struct str key, int64_t amount)
{
	struct state_meter_sum_record sum = {0};
	record_get(t, a, key, METER_ROW("Sum"), &sum);
	sum.amount = OPT_INT(sum.amount.v + amount);
	record_put(t, a, key, METER_ROW("Sum"), &sum);
}

/* The sums of a day, of its resources and of its tags. */
static void add_to_sums(struct store_txn *t, const struct meter_tallies *all)
{
	struct arena *a = all->arena;
	struct meter_tallies days = {.arena = a}, tagged = {.arena = a};
	for (uint32_t i = 0; i < all->n; i++) {
		struct meter_line line = all->v[i].line;
		struct str day = meter_number(a, line.day), account = all->v[i].account, tags = line.tags.n ? line.tags : S("");
		if (line.resource.n)
			add_to(t, a, KEY(a, S("meter"), S("of"), day, account, line.region, line.usage, line.resource, tags),
			       all->v[i].amount);
		line.resource = STR_NONE;
		if (line.tags.n)
			meter_tally(&tagged, account, &line, all->v[i].amount);
		line.tags = STR_NONE;
		meter_tally(&days, account, &line, all->v[i].amount);
	}
	for (uint32_t i = 0; i < tagged.n; i++) {
		const struct meter_line *l = &tagged.v[i].line;
		add_to(t, a,
		       KEY(a, S("meter"), S("tagged"), meter_number(a, l->day), tagged.v[i].account, l->region, l->usage, l->tags),
		       tagged.v[i].amount);
	}
	for (uint32_t i = 0; i < days.n; i++) {
		const struct meter_line *line = &days.v[i].line;
		add_to(t, a, KEY(a, S("meter"), S("sum"), meter_number(a, line->day), days.v[i].account, line->region, line->usage),
		       days.v[i].amount);
	}
}

static void add_to_hours(struct store_txn *t, const struct meter_tallies *hours)
{
	struct arena *a = hours->arena;
	for (uint32_t i = 0; i < hours->n; i++) {
		const struct meter_line *l = &hours->v[i].line;
		add_to(t, a,
		       KEY(a, S("meter"), S("hour"), meter_number(a, l->day), hours->v[i].account, l->region, l->usage,
		           l->tags.n ? l->tags : S("")),
		       hours->v[i].amount);
	}
}

static void put_counters(struct meter *m, struct store_txn *t)
{
	struct meter_tallies all = {.arena = &m->arena}, hours = {.arena = &m->arena};
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&m->counters, &at, &key, &value)) {
		struct counter *c = value;
		struct meter_line of = {.day = c->hour / 24, .region = c->region, .usage = c->usage, .resource = c->resource};
		if (c->resource.n)
			of.tags = meter_tags_of(t, &m->arena, c->account, c->region, c->resource);
		c->writing = c->amount;
		meter_tally(&all, c->account, &of, c->writing);
		of.day = c->hour;
		of.resource = STR_NONE;
		meter_tally(&hours, c->account, &of, c->writing);
	}
	add_to_sums(t, &all);
	add_to_hours(t, &hours);
}

static void settle_counters(struct meter *m, bool written)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&m->counters, &at, &key, &value)) {
		struct counter *c = value;
		if (written)
			c->amount -= c->writing;
		c->writing = 0;
	}
	drop_counters(m, false);
}

/* --- folding */

/* Deletes names of sums: those before `oldest`; only usage whose hours do not last, if `but_lasting`. */
static void drop_old(struct store_txn *t, struct arena *a, struct str kind, int64_t from, int64_t oldest, bool but_lasting,
                     struct str_list *old)
{
	struct store_iter *i = store_scan(t, KEY_UNDER(a, S("meter"), kind, meter_number(a, from)),
	                                  KEY_UNDER(a, S("meter"), kind, meter_number(a, oldest)), false);
	struct store_value v;
	struct str key;
	while (old->n < FOLD_SUMS && store_next(i, &key, &v)) {
		struct str_list parts = but_lasting ? record_key_parts(a, key) : (struct str_list){0};
		if (parts.n < 6 || !meter_hours_last(parts.v[5]))
			*LIST_ADD(a, old) = arena_dup(a, key);
	}
}

static void fold(struct meter *m, struct store_txn *t)
{
	struct arena *a = &m->arena;
	struct meter_tallies all = {.arena = a}, hours = {.arena = a};
	int64_t now = clock_wall_ms(), oldest = now / METER_DAY_MS - METER_DAYS;
	int64_t oldest_hour = now / METER_HOUR_MS - METER_HOUR_DAYS * 24;
	struct store_iter *i = store_scan(t, KEY_UNDER(a, S("meter"), S("fact")),
	                                  KEY_UNDER(a, S("meter"), S("fact"), meter_number(a, now - AGE_MS)), false);
	struct store_value v;
	struct str key;
	struct str_list done = {0};
	while (done.n < FOLD_FACTS && all.n < FOLD_SUMS && hours.n < FOLD_SUMS && store_next(i, &key, &v)) {
		struct state_meter_fact_record f;
		*LIST_ADD(a, &done) = arena_dup(a, key);
		if (!record_read(a, v.value, METER_ROW("Fact"), &f))
			continue;
		meter_tally_interval(&all, &f, METER_RESOURCES, oldest, INT64_MAX / METER_DAY_MS);
		meter_tally_hours(&hours, &f, meter_hours_last(f.usage) ? oldest * 24 : oldest_hour, INT64_MAX / METER_HOUR_MS);
	}
	for (uint32_t k = 0; k < done.n; k++)
		store_delete(t, done.v[k]);
	add_to_sums(t, &all);
	add_to_hours(t, &hours);
	struct str_list old = {0};
	drop_old(t, a, S("sum"), 0, oldest, false, &old);
	drop_old(t, a, S("tagged"), 0, oldest, false, &old);
	drop_old(t, a, S("of"), 0, now / METER_DAY_MS - METER_RESOURCE_DAYS, false, &old);
	drop_old(t, a, S("hour"), 0, oldest * 24, false, &old);
	/* Those that are kept longer are passed over at every fold, so that not all of them are looked at. */
	drop_old(t, a, S("hour"), oldest_hour - METER_HOUR_DAYS * 24, oldest_hour, true, &old);
	for (uint32_t k = 0; k < old.n; k++)
		store_delete(t, old.v[k]);
	m->more = done.n == FOLD_FACTS || all.n >= FOLD_SUMS || hours.n >= FOLD_SUMS || old.n == FOLD_SUMS;
}

/* --- one transaction after the other */

static void fold_due(void *ctx)
{
	struct meter *m = ctx;
	m->fold_timer = loop_add_clock_timer(m->loop, FOLD_US, fold_due, m);
	m->fold_next = true;
	write_next(m);
}

static void written(void *ctx, int result, uint64_t revision)
{
	struct meter *m = ctx;
	(void)revision;
	settle_counters(m, result == 0);
	arena_reset(&m->arena);
	m->writing = false;
	if (result < 0 && result != -EAGAIN)
		log_warn("usage is not written yet: %s", strerror(-result));
	m->fold_next |= result == -EAGAIN || (result == 0 && m->more);
	if (m->fold_next) {
		write_next(m);
	} else if (counted(m) && !m->count_timer) {
		m->count_timer = loop_add_timer(m->loop, COUNT_US, count_due, m);
	}
}

static void write_next(struct meter *m)
{
	if (m->writing || (!m->fold_next && !counted(m)))
		return;
	m->writing = true;
	m->more = false;
	struct store_txn *t = store_begin(m->store, &m->arena);
	if (m->fold_next)
		fold(m, t);
	else
		put_counters(m, t);
	m->fold_next = false;
	store_commit(t, written, m);
}

bool meter_busy(struct meter *m)
{
	if (m && counted(m))
		write_next(m);
	return m && (m->writing || counted(m));
}

struct meter *meter_new(struct loop *l, struct store *s)
{
	struct meter *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->loop = l;
	m->store = s;
	arena_init(&m->arena, 0);
	m->fold_timer = loop_add_clock_timer(l, FOLD_US, fold_due, m);
	return m;
}

void meter_free(struct meter *m)
{
	if (!m)
		return;
	loop_remove_timer(m->loop, m->fold_timer);
	loop_remove_timer(m->loop, m->count_timer);
	drop_counters(m, true);
	map_done(&m->counters);
	arena_done(&m->arena);
	free(m);
}
