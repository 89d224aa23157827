/* An event goes through the commands one by one until it is dropped, counted in a group, or kept as a row. What stands behind the
 * first command that needs all rows (stats, sort, dedup) is done when rows are asked for, on copies, so that results can be had of
 * a query that still runs. */
#include "insights_tree.h"

#include "base/list.h"
#include "base/map.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

enum { KEEP_BYTES_MAX = 64 << 20, SAMPLES_MAX = 1000000 };

struct accumulator {
	double count, sum, squares, min, max;
	struct value first, last;
	struct map distinct;
	double *samples;
	uint32_t sample_count, sample_cap;
};
struct group {
	struct value *by;
	struct accumulator *of; /* a column each */
};
struct groups {
	struct map by_key;
	struct group **v;
	uint32_t n, cap;
	uint32_t columns;
	uint64_t samples;
	struct arena arena;
};
struct rows {
	struct row *v;
	uint32_t n, cap;
};

struct insights_run {
	const struct insights *q;
	const struct command *blocking; /* the first that needs all rows; NULL: none */
	uint32_t limit;
	uint64_t matched;
	const char *failed;
	struct arena scratch, keep, made;
	struct rows rows;
	struct groups groups;
	struct insights_row *out;
};

static bool blocks(const struct command *c)
{
	return c->kind == DO_STATS || c->kind == DO_SORT || c->kind == DO_DEDUP;
}

/* --- rows */

static struct row *row_add(struct arena *a, struct rows *l)
{
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 64;
		struct row *more = arena_array(a, cap, sizeof(*more));
		if (l->n)
			memcpy(more, l->v, l->n * sizeof(*more));
		l->v = more;
		l->cap = cap;
	}
	return &l->v[l->n++];
}

static struct value value_dup(struct arena *a, struct value v)
{
	if (v.kind == VALUE_TEXT)
		v.text = arena_dup(a, v.text);
	return v;
}

static void row_copy(struct arena *a, struct row *to, const struct row *r)
{
	const struct insights_event *e = &r->event;
	*to = (struct row){.of_stats = r->of_stats};
	to->event = (struct insights_event){.time_ms = e->time_ms,
	                                    .ingested_ms = e->ingested_ms,
	                                    .message = arena_dup(a, e->message),
	                                    .stream = arena_dup(a, e->stream),
	                                    .log = arena_dup(a, e->log),
	                                    .ptr = arena_dup(a, e->ptr)};
	for (uint32_t i = 0; i < r->n; i++)
		insights_set(a, to, r->v[i].name, value_dup(a, r->v[i].value));
}

/* --- groups */

static void group_done(struct group *g, uint32_t columns)
{
	for (uint32_t i = 0; i < columns; i++) {
		map_done(&g->of[i].distinct);
		free(g->of[i].samples);
	}
}

static void groups_done(struct groups *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		group_done(l->v[i], l->columns);
	map_done(&l->by_key);
	free(l->v);
	arena_done(&l->arena);
	*l = (struct groups){0};
}

static const char *add_sample(struct groups *l, struct accumulator *k, double x)
{
	if (++l->samples > SAMPLES_MAX)
		return "pct() of more than 1,000,000 values";
	if (k->sample_count == k->sample_cap) {
		k->sample_cap = k->sample_cap ? k->sample_cap * 2 : 16;
		k->samples = realloc(k->samples, k->sample_cap * sizeof(double));
		if (!k->samples)
			abort();
	}
	k->samples[k->sample_count++] = x;
	return NULL;
}

static const char *accumulate(struct groups *l, struct accumulator *k, const struct column *c, struct arena *scratch, struct row *r)
{
	struct value v = c->expr ? insights_eval(scratch, r, c->expr) : (struct value){.kind = VALUE_BOOL};
	double x = 0;
	if (v.kind == VALUE_NONE)
		return NULL;
	if (c->aggregate == AGG_EARLIEST || c->aggregate == AGG_LATEST) {
		/* They come newest first. */
		if (k->last.kind == VALUE_NONE)
			k->last = value_dup(&l->arena, v);
		if (k->first.kind != VALUE_TEXT || !str_eq(k->first.text, v.text))
			k->first = value_dup(&l->arena, v);
		return NULL;
	}
	if (c->aggregate == AGG_DISTINCT) {
		struct str s = insights_text(scratch, v);
		if (!map_get(&k->distinct, s) && ++l->samples > SAMPLES_MAX)
			return "count_distinct() of more than 1,000,000 values";
		map_put(&k->distinct, s, k);
		return NULL;
	}
	if (c->aggregate != AGG_COUNT && !insights_number(v, &x))
		return NULL;
	k->min = k->count > 0 ? fmin(k->min, x) : x;
	k->max = k->count > 0 ? fmax(k->max, x) : x;
	k->count++;
	k->sum += x;
	k->squares += x * x;
	return c->aggregate == AGG_PCT ? add_sample(l, k, x) : NULL;
}

static const char *group_row(struct groups *l, const struct command *c, struct arena *scratch, struct row *r)
{
	struct value *by = arena_array(scratch, c->by.n + 1, sizeof(*by));
	struct str key = S("");
	for (uint32_t i = 0; i < c->by.n; i++) {
		by[i] = insights_eval(scratch, r, c->by.v[i].expr);
		struct str s = insights_text(scratch, by[i]);
		key = ARENA_CAT(scratch, key, arena_printf(scratch, "%d,%zu:", str_set(s), s.n), str_set(s) ? s : S(""));
	}
	struct group *g = map_get(&l->by_key, key);
	if (!g) {
		if (l->n == INSIGHTS_GROUPS_MAX)
			return "more than 10,000 groups";
		if (l->n == l->cap) {
			l->cap = l->cap ? l->cap * 2 : 64;
			l->v = realloc(l->v, l->cap * sizeof(struct group *));
			if (!l->v)
				abort();
		}
		l->columns = c->columns.n;
		g = arena_new(&l->arena, struct group);
		g->by = arena_array(&l->arena, c->by.n + 1, sizeof(*by));
		g->of = arena_array(&l->arena, c->columns.n, sizeof(*g->of));
		for (uint32_t i = 0; i < c->by.n; i++)
			g->by[i] = value_dup(&l->arena, by[i]);
		l->v[l->n++] = g;
		map_put(&l->by_key, key, g);
	}
	const char *failed = NULL;
	for (uint32_t i = 0; i < c->columns.n && !failed; i++)
		failed = accumulate(l, &g->of[i], &c->columns.v[i], scratch, r);
	return failed ? failed : l->arena.used_bytes > KEEP_BYTES_MAX ? "groups of more than 64 MiB" : NULL;
}

static int by_size(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;
	return a < b ? -1 : a > b;
}

static struct value percentile(struct accumulator *k, double percent)
{
	if (!k->sample_count)
		return (struct value){0};
	qsort(k->samples, k->sample_count, sizeof(double), by_size);
	double at = percent / 100 * (k->sample_count - 1);
	uint32_t below = (uint32_t)at, above = below + 1 < k->sample_count ? below + 1 : below;
	return (struct value){.kind = VALUE_NUMBER,
	                      .number = k->samples[below] + (at - below) * (k->samples[above] - k->samples[below])};
}

static struct value total(struct accumulator *k, const struct column *c)
{
	double mean = k->count > 0 ? k->sum / k->count : 0, x = 0;
	switch (c->aggregate) {
	case AGG_COUNT:
		x = k->count;
		break;
	case AGG_DISTINCT:
		x = (double)k->distinct.count;
		break;
	case AGG_EARLIEST:
		return k->first;
	case AGG_LATEST:
		return k->last;
	case AGG_PCT:
		return percentile(k, c->percent);
	default:
		if (k->count <= 0)
			return (struct value){0};
		x = c->aggregate == AGG_SUM   ? k->sum
		    : c->aggregate == AGG_AVG ? mean
		    : c->aggregate == AGG_MIN ? k->min
		    : c->aggregate == AGG_MAX ? k->max
		                              : sqrt(fmax(0, k->squares / k->count - mean * mean));
	}
	return isfinite(x) ? (struct value){.kind = VALUE_NUMBER, .number = x} : (struct value){0};
}

static void group_rows(struct arena *a, struct groups *l, const struct command *c, struct rows *out)
{
	*out = (struct rows){0};
	for (uint32_t i = 0; i < l->n; i++) {
		struct row *r = row_add(a, out);
		*r = (struct row){.of_stats = true};
		for (uint32_t k = 0; k < c->by.n; k++)
			insights_set(a, r, c->by.v[k].name, l->v[i]->by[k]);
		for (uint32_t k = 0; k < c->columns.n; k++)
			insights_set(a, r, c->columns.v[k].name, total(&l->v[i]->of[k], &c->columns.v[k]));
	}
}

/* --- commands on one row */

static bool find_pieces(const struct command *c, struct str s, struct str *ret)
{
	ptrdiff_t at = str_find(s, c->pieces[0]);
	if (at < 0)
		return false;
	s = str_from_at(s, (size_t)at + c->pieces[0].n);
	for (uint32_t i = 0; i < c->columns.n; i++) {
		struct str piece = c->pieces[i + 1];
		at = piece.n ? str_find(s, piece) : (ptrdiff_t)s.n;
		if (at < 0)
			return false;
		ret[i] = str_sub(s, 0, (size_t)at);
		s = str_from_at(s, (size_t)at + piece.n);
	}
	return true;
}

static void parse(struct arena *a, struct row *r, const struct command *c)
{
	struct value of = c->expr ? insights_eval(a, r, c->expr) : insights_field_value(a, r, S("@message"));
	struct str s = insights_text(a, of);
	struct str *got = arena_array(a, c->columns.n + 1, sizeof(*got));
	if (!str_set(s) || !(c->regex ? insights_regex_find(c->regex, s, got, c->columns.n) : find_pieces(c, s, got)))
		return;
	for (uint32_t i = 0; i < c->columns.n; i++)
		if (str_set(got[i]))
			insights_set(a, r, c->columns.v[i].name, (struct value){.kind = VALUE_TEXT, .text = got[i]});
}

static void compute(struct arena *a, struct row *r, const struct command *c)
{
	for (uint32_t i = 0; i < c->columns.n; i++) {
		const struct column *k = &c->columns.v[i];
		if (k->expr->kind != EXPR_FIELD || !str_eq(k->expr->field, k->name))
			insights_set(a, r, k->name, insights_eval(a, r, k->expr));
	}
}

/* False: the row is dropped. */
static bool apply(struct arena *a, struct row *r, const struct command *c)
{
	if (c->kind == DO_FILTER)
		return insights_true(insights_eval(a, r, c->expr));
	if (c->kind == DO_PARSE)
		parse(a, r, c);
	else if (c->kind == DO_FIELDS || c->kind == DO_DISPLAY)
		compute(a, r, c);
	return true;
}

/* --- commands on all rows */

struct keyed {
	struct row *row;
	struct value *keys;
	const struct command *by;
	uint32_t at;
};

static int compare_values(const struct value *x, const struct value *y)
{
	double n, m;
	if (x->kind == VALUE_NONE || y->kind == VALUE_NONE)
		return (x->kind != VALUE_NONE) - (y->kind != VALUE_NONE);
	bool numbers = insights_number(*x, &n), also = insights_number(*y, &m);
	if (numbers != also)
		return numbers ? -1 : 1;
	return numbers ? (n < m ? -1 : n > m) : str_cmp(x->text, y->text);
}

static int by_keys(const void *x, const void *y)
{
	const struct keyed *a = x, *b = y;
	for (uint32_t i = 0; i < a->by->columns.n; i++) {
		int order = compare_values(&a->keys[i], &b->keys[i]);
		if (order)
			return a->by->columns.v[i].descending ? -order : order;
	}
	return a->at < b->at ? -1 : 1;
}

static void sort(struct arena *a, struct rows *l, const struct command *c)
{
	struct keyed *all = arena_array(a, l->n + 1, sizeof(*all));
	struct row *sorted = arena_array(a, l->n + 1, sizeof(*sorted));
	for (uint32_t i = 0; i < l->n; i++) {
		all[i] = (struct keyed){&l->v[i], arena_array(a, c->columns.n, sizeof(struct value)), c, i};
		for (uint32_t k = 0; k < c->columns.n; k++)
			all[i].keys[k] = insights_eval(a, &l->v[i], c->columns.v[k].expr);
	}
	qsort(all, l->n, sizeof(*all), by_keys);
	for (uint32_t i = 0; i < l->n; i++)
		sorted[i] = *all[i].row;
	*l = (struct rows){sorted, l->n, l->n};
}

static void dedup(struct arena *a, struct rows *l, const struct command *c)
{
	struct map seen = {0};
	uint32_t n = 0;
	for (uint32_t i = 0; i < l->n; i++) {
		struct str key = S("");
		for (uint32_t k = 0; k < c->columns.n; k++) {
			struct str s = insights_text(a, insights_eval(a, &l->v[i], c->columns.v[k].expr));
			key = ARENA_CAT(a, key, arena_printf(a, "%zu:", s.n), str_set(s) ? s : S(""));
		}
		if (!map_put(&seen, key, l))
			l->v[n++] = l->v[i];
	}
	map_done(&seen);
	l->n = n;
}

static void stats(struct insights_run *r, struct rows *l, const struct command *c)
{
	struct groups g = {0};
	for (uint32_t i = 0; i < l->n && !r->failed; i++)
		r->failed = group_row(&g, c, &r->made, &l->v[i]);
	group_rows(&r->made, &g, c, l);
	for (uint32_t i = 0; i < l->n; i++)
		for (uint32_t k = 0; k < l->v[i].n; k++)
			l->v[i].v[k].value = value_dup(&r->made, l->v[i].v[k].value);
	groups_done(&g);
}

static void finish(struct insights_run *r, struct rows *l, const struct command *from)
{
	for (const struct command *c = from; c; c = c->next) {
		uint32_t n = 0;
		if (c->kind == DO_SORT)
			sort(&r->made, l, c);
		else if (c->kind == DO_DEDUP)
			dedup(&r->made, l, c);
		else if (c->kind == DO_STATS)
			stats(r, l, c);
		else if (c->kind == DO_LIMIT)
			l->n = l->n < c->limit ? l->n : c->limit;
		else {
			for (uint32_t i = 0; i < l->n; i++)
				if (apply(&r->made, &l->v[i], c))
					l->v[n++] = l->v[i];
			l->n = n;
		}
	}
	l->n = l->n < r->limit ? l->n : r->limit;
}

/* --- a run */

struct insights_run *insights_run_new(const struct insights *q, uint32_t limit)
{
	struct insights_run *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->q = q;
	r->limit = limit;
	for (const struct command *c = q->first; c; c = c->next) {
		if (!r->blocking && blocks(c))
			r->blocking = c;
		if (c->kind == DO_LIMIT)
			r->limit = c->limit;
	}
	return r;
}

void insights_run_free(struct insights_run *r)
{
	if (!r)
		return;
	groups_done(&r->groups);
	arena_done(&r->scratch);
	arena_done(&r->keep);
	arena_done(&r->made);
	free(r);
}

uint64_t insights_matched(const struct insights_run *r)
{
	return r->matched;
}

const char *insights_failed(const struct insights_run *r)
{
	return r->failed;
}

/* Of rows that are to be sorted and cut, those behind the limit go now and then; of others none can. */
static void shorten(struct insights_run *r)
{
	bool cut = r->blocking && r->blocking->kind == DO_SORT;
	for (const struct command *c = r->blocking ? r->blocking->next : NULL; c; c = c->next)
		cut &= c->kind == DO_LIMIT || c->kind == DO_FIELDS || c->kind == DO_DISPLAY;
	if (r->rows.n < 2 * INSIGHTS_ROWS_MAX && r->keep.used_bytes < KEEP_BYTES_MAX)
		return;
	struct arena fewer = {0};
	struct rows kept = {0};
	if (cut) {
		arena_reset(&r->made);
		sort(&r->made, &r->rows, r->blocking);
		for (uint32_t i = 0; i < r->rows.n && i < r->limit; i++)
			row_copy(&fewer, row_add(&fewer, &kept), &r->rows.v[i]);
		arena_reset(&r->made);
		arena_done(&r->keep);
		r->keep = fewer;
		r->rows = kept;
	}
	if (r->rows.n >= 2 * INSIGHTS_ROWS_MAX || r->keep.used_bytes >= KEEP_BYTES_MAX / 2)
		r->failed = "too many rows to be kept";
}

bool insights_add(struct insights_run *r, const struct insights_event *e)
{
	struct row row = {.event = *e};
	if (r->failed || (!r->blocking && r->rows.n >= r->limit))
		return false;
	arena_reset(&r->scratch);
	for (const struct command *c = r->q->first; c && c != r->blocking; c = c->next)
		if (c->kind == DO_LIMIT ? r->matched >= c->limit : !apply(&r->scratch, &row, c))
			return c->kind != DO_LIMIT;
	r->matched++;
	if (r->blocking && r->blocking->kind == DO_STATS) {
		r->failed = group_row(&r->groups, r->blocking, &r->scratch, &row);
		return !r->failed;
	}
	row_copy(&r->keep, row_add(&r->keep, &r->rows), &row);
	shorten(r);
	return !r->failed;
}

/* --- what is shown */

static void show(struct arena *a, struct columns *l, const struct columns *more)
{
	for (uint32_t i = 0; i < more->n; i++) {
		bool there = false;
		for (uint32_t k = 0; k < l->n; k++)
			there |= str_eq(l->v[k].name, more->v[i].name);
		if (!there)
			*LIST_ADD(a, l) = more->v[i];
	}
}

static struct columns shown(struct insights_run *r)
{
	struct columns l = {0};
	bool display = false, grouped = false;
	for (const struct command *c = r->q->first; c; c = c->next) {
		if (c->kind == DO_STATS || (c->kind == DO_DISPLAY && !display)) {
			l = (struct columns){0};
			display = c->kind == DO_DISPLAY;
			grouped |= c->kind == DO_STATS;
		}
		if (c->kind == DO_STATS) {
			show(&r->made, &l, &c->by);
			show(&r->made, &l, &c->columns);
		} else if (c->kind == DO_DISPLAY || (c->kind == DO_FIELDS && !display))
			show(&r->made, &l, &c->columns);
	}
	if (!l.n) {
		LIST_ADD(&r->made, &l)->name = S("@timestamp");
		LIST_ADD(&r->made, &l)->name = S("@message");
	}
	if (!grouped)
		LIST_ADD(&r->made, &l)->name = S("@ptr");
	return l;
}

const struct insights_row *insights_rows(struct insights_run *r, uint32_t *ret_n)
{
	struct rows l = {0};
	arena_reset(&r->made);
	if (r->blocking && r->blocking->kind == DO_STATS)
		group_rows(&r->made, &r->groups, r->blocking, &l);
	else
		for (uint32_t i = 0; i < r->rows.n; i++)
			row_copy(&r->made, row_add(&r->made, &l), &r->rows.v[i]);
	finish(r, &l, r->blocking && r->blocking->kind == DO_STATS ? r->blocking->next : r->blocking);
	struct columns columns = shown(r);
	struct insights_row *out = arena_array(&r->made, l.n + 1, sizeof(*out));
	for (uint32_t i = 0; i < l.n; i++) {
		out[i].v = arena_array(&r->made, columns.n, sizeof(*out[i].v));
		for (uint32_t k = 0; k < columns.n; k++) {
			struct str text = insights_text(&r->made, insights_field_value(&r->made, &l.v[i], columns.v[k].name));
			if (str_set(text))
				out[i].v[out[i].n++] = (struct insights_field){columns.v[k].name, text};
		}
	}
	*ret_n = l.n;
	return out;
}
