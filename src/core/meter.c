#include "core/meter_rows.h"

#include "base/id.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

/* --- what goes on */

int64_t meter_end(const struct state_meter_use *use, int64_t now_ms)
{
	/* The clock may have been moved back: what has begun has lasted no less than nothing. */
	int64_t ms = now_ms > use->since.ms ? now_ms - use->since.ms : 0;
	if (ms < use->minimum_ms.v)
		ms = use->minimum_ms.v;
	if (use->step_ms.v > 0)
		ms = (ms + use->step_ms.v - 1) / use->step_ms.v * use->step_ms.v;
	return use->since.ms + ms;
}

static const struct state_meter_use *find_use(const struct state_meter_open_record *r, const struct meter_use *u)
{
	for (uint32_t i = 0; i < r->uses.n; i++)
		if (str_eq(r->uses.v[i].usage, u->usage) && r->uses.v[i].rate.v == u->rate)
			return &r->uses.v[i];
	return NULL;
}

static void put_fact(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource,
                     const struct state_meter_use *use, int64_t until_ms, int64_t now_ms)
{
	struct state_meter_fact_record f = {.account = account,
	                                    .region = region,
	                                    .usage = use->usage,
	                                    .resource = resource,
	                                    .rate = use->rate,
	                                    .from = use->since,
	                                    .to = OPT_TIME(meter_end(use, until_ms))};
	if (f.to.ms <= f.from.ms)
		return;
	if (str_set(resource))
		f.tags = meter_tags_of(t, a, account, region, resource);
	record_put(t, a, KEY(a, S("meter"), S("fact"), meter_number(a, now_ms), id_hex(a, 16)), METER_ROW("Fact"), &f);
}

void meter_cut(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource, int64_t now_ms)
{
	struct str key = KEY(a, S("meter"), S("open"), account, region, resource);
	struct state_meter_open_record open = {0};
	if (!record_get(t, a, key, METER_ROW("Open"), &open))
		return;
	for (uint32_t i = 0; i < open.uses.n; i++) {
		struct state_meter_use *use = &open.uses.v[i], first = *use;
		/* The steps that have passed end here; the one under way, and what is left of the minimum, are the other part's. */
		int64_t step = use->step_ms.v > 0 ? use->step_ms.v : 1, lasted = now_ms - use->since.ms;
		lasted = lasted > 0 ? lasted / step * step : 0;
		first.minimum_ms = first.step_ms = OPT_INT(0);
		put_fact(t, a, account, region, resource, &first, use->since.ms + lasted, now_ms);
		use->since = OPT_TIME(use->since.ms + lasted);
		use->minimum_ms = OPT_INT(use->minimum_ms.v > lasted ? use->minimum_ms.v - lasted : 0);
	}
	record_put(t, a, key, METER_ROW("Open"), &open);
}

void meter_set(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource,
               const struct meter_use *uses, size_t n, int64_t now_ms)
{
	struct str key = KEY(a, S("meter"), S("open"), account, region, resource);
	struct state_meter_open_record before = {0}, after = {0};
	bool there = record_get(t, a, key, METER_ROW("Open"), &before);
	uint32_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		const struct state_meter_use *old = find_use(&before, &uses[i]);
		kept += old != NULL;
		*LIST_ADD(a, &after.uses) = old ? *old
		                                : (struct state_meter_use){.usage = uses[i].usage,
		                                                           .rate = OPT_INT(uses[i].rate),
		                                                           .minimum_ms = OPT_INT(uses[i].minimum_ms),
		                                                           .step_ms = OPT_INT(uses[i].step_ms),
		                                                           .since = OPT_TIME(now_ms)};
	}
	if (kept == n && n == before.uses.n)
		return;
	for (uint32_t i = 0; i < before.uses.n; i++) {
		const struct state_meter_use *old = &before.uses.v[i];
		if (!find_use(&after, &(struct meter_use){.usage = old->usage, .rate = old->rate.v}))
			put_fact(t, a, account, region, resource, old, now_ms, now_ms);
	}
	if (n)
		record_put(t, a, key, METER_ROW("Open"), &after);
	else if (there)
		store_delete(t, key);
}

/* A fact of a single millisecond. */
void meter_lump(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str usage, int64_t amount,
                int64_t now_ms)
{
	struct state_meter_use use = {.usage = usage, .rate = OPT_INT(amount), .minimum_ms = OPT_INT(1), .since = OPT_TIME(now_ms)};
	put_fact(t, a, account, region, STR_NONE, &use, now_ms, now_ms);
}

int64_t meter_measured(struct store_txn *t, struct arena *a, struct str what)
{
	struct state_meter_measured_record r;
	return record_get(t, a, KEY(a, S("meter"), S("measured"), what), METER_ROW("Measured"), &r) ? r.at.ms : 0;
}

void meter_measure(struct store_txn *t, struct arena *a, struct str what, int64_t now_ms)
{
	const struct state_meter_measured_record r = {.at = OPT_TIME(now_ms)};
	record_put(t, a, KEY(a, S("meter"), S("measured"), what), METER_ROW("Measured"), &r);
}

void meter_spread(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str usage, int64_t amount,
                  int64_t from_ms, int64_t to_ms)
{
	int64_t left = amount, from = from_ms;
	while (from < to_ms && left > 0) {
		int64_t end = (from / METER_DAY_MS + 1) * METER_DAY_MS;
		int64_t part = end < to_ms ? (int64_t)((double)amount * (double)(end - from) / (double)(to_ms - from_ms)) : left;
		if (part > left)
			part = left;
		if (part > 0)
			meter_lump(t, a, account, region, usage, part, from);
		left -= part;
		from = end;
	}
}

/* --- gathering */

static bool same_tally(const struct meter_tally *x, struct str account, const struct meter_line *of)
{
	return x->line.day == of->day && str_eq(x->line.usage, of->usage) && str_eq(x->line.region, of->region) &&
	       str_eq(x->line.resource, of->resource) && str_eq(x->line.tags, of->tags) && str_eq(x->account, account);
}

static uint32_t tally_bucket(const struct meter_tallies *t, struct str account, const struct meter_line *of)
{
	uint64_t h = map_hash(of->usage) * 31 + map_hash(of->region) * 17 + map_hash(of->resource) * 13 + map_hash(of->tags) * 7 +
	             map_hash(account) + (uint64_t)of->day * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)((h ^ h >> 32) & (t->bucket_count - 1));
}

static void grow_buckets(struct meter_tallies *t)
{
	t->bucket_count = t->bucket_count ? t->bucket_count * 2 : 64;
	t->buckets = arena_array(t->arena, t->bucket_count, sizeof(*t->buckets));
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t at = tally_bucket(t, t->v[i].account, &t->v[i].line);
		while (t->buckets[at])
			at = (at + 1) & (t->bucket_count - 1);
		t->buckets[at] = i + 1;
	}
}

void meter_tally(struct meter_tallies *t, struct str account, const struct meter_line *of, int64_t amount)
{
	if (t->n * 2 >= t->bucket_count)
		grow_buckets(t);
	uint32_t at = tally_bucket(t, account, of);
	for (; t->buckets[at]; at = (at + 1) & (t->bucket_count - 1))
		if (same_tally(&t->v[t->buckets[at] - 1], account, of)) {
			t->v[t->buckets[at] - 1].amount += amount;
			return;
		}
	*LIST_ADD(t->arena, t) = (struct meter_tally){.amount = amount,
	                                              .account = arena_dup(t->arena, account),
	                                              .line = {.day = of->day,
	                                                       .region = arena_dup(t->arena, of->region),
	                                                       .usage = arena_dup(t->arena, of->usage),
	                                                       .resource = arena_dup(t->arena, of->resource),
	                                                       .tags = arena_dup(t->arena, of->tags)}};
	t->buckets[at] = t->n;
}

/* Shared out among spans of so many milliseconds. */
static void tally_spans(struct meter_tallies *t, const struct state_meter_fact_record *f, struct meter_line of, int64_t span_ms,
                        int64_t first, int64_t end_span)
{
	int64_t from = f->from.ms, to = f->to.ms;
	of.region = f->region;
	of.usage = f->usage;
	if (from < first * span_ms)
		from = first * span_ms;
	if (to > end_span * span_ms)
		to = end_span * span_ms;
	while (from < to) {
		int64_t end = (from / span_ms + 1) * span_ms;
		of.day = from / span_ms;
		if (end > to)
			end = to;
		meter_tally(t, f->account, &of, (end - from) * f->rate.v);
		from = end;
	}
}

void meter_tally_interval(struct meter_tallies *t, const struct state_meter_fact_record *f, enum meter_detail detail,
                          int64_t from_day, int64_t to_day)
{
	struct meter_line of = {.resource = detail >= METER_RESOURCES ? f->resource : STR_NONE,
	                        .tags = detail >= METER_TAGGED ? f->tags : STR_NONE};
	tally_spans(t, f, of, METER_DAY_MS, from_day, to_day);
}

void meter_tally_hours(struct meter_tallies *t, const struct state_meter_fact_record *f, int64_t from_hour, int64_t to_hour)
{
	tally_spans(t, f, (struct meter_line){.tags = f->tags}, METER_HOUR_MS, from_hour, to_hour);
}

/* --- reading */

/* What a reading is of: days, or hours where `hours` says so (in the place of days, tags told apart). */
struct reading {
	struct meter_tallies all;
	struct store_txn *txn;
	struct str account;
	int64_t from, to;
	enum meter_detail detail;
	bool hours;
};

static void add_fact(struct reading *r, const struct state_meter_fact_record *f)
{
	if (r->hours)
		meter_tally_hours(&r->all, f, r->from, r->to);
	else
		meter_tally_interval(&r->all, f, r->detail, r->from, r->to);
}

static int64_t number_of(struct str hex)
{
	char text[20];
	if (hex.n >= sizeof(text))
		return -1;
	memcpy(text, hex.p, hex.n);
	text[hex.n] = '\0';
	return strtoll(text, NULL, 16);
}

static void read_sums(struct reading *r)
{
	static const char *const kinds[] = {[METER_PLAIN] = "sum", [METER_TAGGED] = "tagged", [METER_RESOURCES] = "of"};
	struct arena *a = r->all.arena;
	struct str kind = r->hours ? S("hour") : str_from(kinds[r->detail]);
	struct store_iter *i = store_scan(r->txn, KEY_UNDER(a, S("meter"), kind, meter_number(a, r->from)),
	                                  KEY_UNDER(a, S("meter"), kind, meter_number(a, r->to)), false);
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		struct state_meter_sum_record sum;
		bool resource = !r->hours && r->detail == METER_RESOURCES;
		if (parts.n < (resource ? 7 : 6) || !str_eq(parts.v[3], r->account) ||
		    !record_read(a, v.value, METER_ROW("Sum"), &sum))
			continue;
		struct meter_line of = {.day = number_of(parts.v[2]), .region = parts.v[4], .usage = parts.v[5]};
		if (resource)
			of.resource = parts.v[6];
		if (r->hours || r->detail >= METER_TAGGED)
			of.tags = parts.n > (resource ? 7 : 6) && parts.v[parts.n - 1].n ? parts.v[parts.n - 1] : STR_NONE;
		meter_tally(&r->all, r->account, &of, sum.amount.v);
	}
}

/* Whether facts of this kind make sums of the reading's kind: the rest of what all have used is no resource's, or untagged. */
static bool of_kind(const struct reading *r, struct str resource, struct str tags)
{
	return r->hours || r->detail == METER_PLAIN || (r->detail == METER_TAGGED ? tags.n > 0 : str_set(resource));
}

static void read_facts(struct reading *r)
{
	struct arena *a = r->all.arena;
	struct str under = KEY_UNDER(a, S("meter"), S("fact")), key;
	struct store_iter *i = store_scan(r->txn, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct state_meter_fact_record f;
	while (store_next(i, &key, &v))
		if (record_read(a, v.value, METER_ROW("Fact"), &f) && str_eq(f.account, r->account) &&
		    of_kind(r, f.resource, f.tags))
			add_fact(r, &f);
}

static void read_open(struct reading *r, int64_t now_ms)
{
	struct arena *a = r->all.arena;
	struct str under = KEY_UNDER(a, S("meter"), S("open"), r->account), key;
	struct store_iter *i = store_scan(r->txn, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct state_meter_open_record open;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		if (parts.n != 5 || !record_read(a, v.value, METER_ROW("Open"), &open))
			continue;
		struct str tags = r->hours || r->detail >= METER_TAGGED
		                          ? meter_tags_of(r->txn, a, r->account, parts.v[3], parts.v[4])
		                          : STR_NONE;
		for (uint32_t k = 0; k < open.uses.n && of_kind(r, parts.v[4], tags); k++) {
			const struct state_meter_use *use = &open.uses.v[k];
			const struct state_meter_fact_record f = {.account = r->account,
			                                          .region = parts.v[3],
			                                          .usage = use->usage,
			                                          .resource = parts.v[4],
			                                          .tags = tags,
			                                          .rate = use->rate,
			                                          .from = use->since,
			                                          .to = OPT_TIME(meter_end(use, now_ms))};
			add_fact(r, &f);
		}
	}
}

static int by_day(const void *x, const void *y)
{
	const struct meter_line *a = x, *b = y;
	if (a->day != b->day)
		return a->day < b->day ? -1 : 1;
	if (a->hour != b->hour)
		return a->hour < b->hour ? -1 : 1;
	int order = str_cmp(a->region, b->region);
	order = order ? order : str_cmp(a->usage, b->usage);
	order = order ? order : str_cmp(a->resource, b->resource);
	return order ? order : str_cmp(a->tags, b->tags);
}

static struct meter_tallies read_all(struct reading r, struct arena *a, int64_t now_ms)
{
	r.all.arena = a;
	read_sums(&r);
	read_facts(&r);
	read_open(&r, now_ms);
	return r.all;
}

static void add_lines(struct arena *a, struct meter_lines *lines, const struct meter_tallies *all)
{
	for (uint32_t i = 0; i < all->n; i++) {
		if (all->v[i].amount <= 0)
			continue;
		struct meter_line *line = LIST_ADD(a, lines);
		*line = all->v[i].line;
		line->amount = all->v[i].amount;
	}
}

static void sort_lines(struct meter_lines *lines)
{
	if (lines->n)
		qsort(lines->v, lines->n, sizeof(*lines->v), by_day);
}

/* What of a sum is no resource's, or has no tags, is the rest of it. */
struct meter_lines meter_read(struct store_txn *t, struct arena *a, struct str account, enum meter_detail detail, int64_t from_day,
                              int64_t to_day, int64_t now_ms)
{
	struct reading r = {.txn = t, .account = account, .from = from_day, .to = to_day};
	struct meter_tallies all = read_all(r, a, now_ms), of = {.arena = a};
	struct meter_lines lines = {0};
	r.detail = detail;
	if (detail != METER_PLAIN)
		of = read_all(r, a, now_ms);
	add_lines(a, &lines, &of);
	for (uint32_t i = 0; i < of.n; i++) {
		struct meter_line line = of.v[i].line;
		line.resource = line.tags = STR_NONE;
		meter_tally(&all, account, &line, -of.v[i].amount);
	}
	add_lines(a, &lines, &all);
	sort_lines(&lines);
	return lines;
}

struct meter_lines meter_read_hours(struct store_txn *t, struct arena *a, struct str account, int64_t from_hour, int64_t to_hour,
                                    int64_t now_ms)
{
	const struct reading r = {.txn = t, .account = account, .from = from_hour, .to = to_hour, .hours = true};
	struct meter_tallies all = read_all(r, a, now_ms);
	struct meter_lines lines = {0};
	add_lines(a, &lines, &all);
	for (uint32_t i = 0; i < lines.n; i++) {
		lines.v[i].hour = lines.v[i].day % 24;
		lines.v[i].day /= 24;
	}
	sort_lines(&lines);
	return lines;
}

/* What reservations and savings plans are set against, hour by hour of a whole month. */
bool meter_hours_last(struct str usage)
{
	return str_starts(usage, S("BoxUsage:")) || str_starts(usage, S("Fargate-")) || str_starts(usage, S("Lambda-"));
}
