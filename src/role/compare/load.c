#include "role/compare/load.h"

#include "aws/pricing/load_words.h"
#include "base/clock.h"
#include "model/model.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- the plan */

enum { STEPS_MAX = 1000, RATE_MAX = 100000, PIECE_US = 100000 };

struct step {
	int64_t at_ms;
	double rate; /* requests per second from then on */
};

struct steps {
	struct step *v;
	uint32_t n;
	bool set;
};

/* Each request stands where the sum of the rates comes to its number. */
static bool lay_out(struct arena *a, const struct steps *steps, struct load_plan *p, struct str *ret_why)
{
	double sum = 0;
	for (uint32_t i = 0; i < steps->n; i++) {
		int64_t end = i + 1 < steps->n ? steps->v[i + 1].at_ms : p->for_ms;
		end = end > p->for_ms ? p->for_ms : end;
		if (end > steps->v[i].at_ms)
			sum += steps->v[i].rate * (double)(end - steps->v[i].at_ms) / 1000;
	}
	if (sum < 1 || sum > LOAD_REQUESTS_MAX) {
		*ret_why = arena_printf(a, "%.*s comes to %.0f requests in %lld s; it takes 1 to %d", STR_ARG(p->text), sum,
		                        (long long)(p->for_ms / 1000), LOAD_REQUESTS_MAX);
		return false;
	}
	p->due_ms = arena_array(a, (size_t)sum + 2, sizeof(*p->due_ms));
	double before = 0;
	for (uint32_t i = 0; i < steps->n; i++) {
		const struct step *s = &steps->v[i];
		int64_t end = i + 1 < steps->n ? steps->v[i + 1].at_ms : p->for_ms;
		end = end > p->for_ms ? p->for_ms : end;
		double here = end > s->at_ms ? s->rate * (double)(end - s->at_ms) / 1000 : 0;
		for (; p->n < before + here - 1e-9 && p->n < sum + 1; p->n++)
			p->due_ms[p->n] = (uint32_t)((double)s->at_ms + (p->n - before) * 1000 / s->rate);
		before += here;
	}
	return true;
}

static void add_spikes(struct arena *a, const struct load_words *w, int64_t for_ms, struct steps *ret)
{
	for (double at = 0; at < (double)for_ms && ret->n < STEPS_MAX - 1; at += w->period_s * 1000) {
		*LIST_ADD(a, ret) = (struct step){(int64_t)at, w->high_s};
		*LIST_ADD(a, ret) = (struct step){(int64_t)(at + w->period_s * 1000 * LOAD_SPIKE_SHARE), w->low_s};
	}
}

static bool parse_file(struct arena *a, struct str path, struct steps *ret, struct str *ret_why)
{
	char line[256];
	FILE *f = fopen(arena_dupz(a, path), "re");
	unsigned number = 0;
	if (!f) {
		*ret_why = arena_printf(a, "\"%.*s\" is no load (" LOAD_WORDS ") and no file", STR_ARG(path));
		return false;
	}
	bool good = true;
	while (good && fgets(line, sizeof(line), f)) {
		struct str text = str_trim(str_from(line)), second = str_cut(&text, ' ');
		double at, rate;
		number++;
		if (!second.n || second.p[0] == '#')
			continue;
		good = str_set(text) && str_to_double(second, &at) && at >= 0 && at <= 86400 &&
		       load_rate_read(str_trim(text), &rate) && rate <= RATE_MAX && ret->n < STEPS_MAX &&
		       (!ret->n || at * 1000 > (double)ret->v[ret->n - 1].at_ms);
		if (good)
			*LIST_ADD(a, ret) = (struct step){(int64_t)(at * 1000), rate};
	}
	fclose(f);
	if (!good)
		*ret_why = arena_printf(a, "%.*s:%u: a line is SECOND RATE, in order", STR_ARG(path), number);
	return good;
}

bool load_parse(struct arena *a, struct str text, int64_t for_ms, struct load_plan *ret, struct str *ret_why)
{
	struct load_plan p = {.for_ms = for_ms, .text = text};
	struct steps steps = {0};
	struct load_words w;
	if (!load_words_read(text, &w)) {
		if (!parse_file(a, text, &steps, ret_why))
			return false;
	} else if (w.high_s > RATE_MAX || w.low_s > RATE_MAX) {
		*ret_why = arena_printf(a, "\"%.*s\": at most %d requests a second", STR_ARG(text), RATE_MAX);
		return false;
	} else if (w.kind == LOAD_SPIKY) {
		add_spikes(a, &w, for_ms, &steps);
	} else {
		*LIST_ADD(a, &steps) = (struct step){0, w.low_s};
	}
	if (!lay_out(a, &steps, &p, ret_why))
		return false;
	*ret = p;
	return true;
}

/* --- carrying it out */

struct run {
	const struct load_plan *plan;
	const struct load_target *target;
	struct load_result *result;
	int64_t begin_us;
	atomic_uint next, done;
};

static void sleep_until(int64_t mono_us)
{
	struct timespec at = {.tv_sec = mono_us / 1000000, .tv_nsec = mono_us % 1000000 * 1000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* False: somebody has ended it before. */
static bool wait_until(int64_t mono_us, const atomic_bool *cancel)
{
	int64_t now;
	while (!atomic_load(cancel) && (now = clock_mono_us()) < mono_us)
		sleep_until(mono_us - now > PIECE_US ? now + PIECE_US : mono_us);
	return !atomic_load(cancel);
}

static void *call(void *arg)
{
	struct run *r = arg;
	void *caller = r->target->open(r->target->ctx);
	for (;;) {
		uint32_t i = atomic_fetch_add(&r->next, 1);
		if (i >= r->plan->n)
			break;
		int64_t due_us = r->begin_us + (int64_t)r->plan->due_ms[i] * 1000;
		unsigned why = wait_until(due_us, r->target->cancel) ? r->target->ask(caller) : LOAD_SILENT;
		int64_t took = clock_mono_us() - due_us;
		r->result->took_us[i] = why ? -1 : (int32_t)(took < INT32_MAX ? took : INT32_MAX);
		r->result->why[i] = (uint16_t)why;
		atomic_fetch_add(&r->done, 1);
	}
	r->target->close(caller);
	return NULL;
}

int load_run(struct arena *a, const struct load_plan *plan, const struct load_target *target, load_progress_fn *progress, void *ctx,
             struct load_result *ret)
{
	pthread_t threads[LOAD_CALLERS];
	unsigned n = 0;
	*ret = (struct load_result){.took_us = arena_array(a, plan->n, sizeof(*ret->took_us)),
	                            .why = arena_array(a, plan->n, sizeof(*ret->why)),
	                            .n = plan->n};
	struct run r = {.plan = plan, .target = target, .result = ret, .begin_us = clock_mono_us()};
	while (n < LOAD_CALLERS && n < plan->n && pthread_create(&threads[n], NULL, call, &r) == 0)
		n++;
	if (!n)
		return -EAGAIN;
	while (atomic_load(&r.done) < plan->n) {
		if (progress)
			progress(ctx, atomic_load(&r.done));
		sleep_until(clock_mono_us() + 100000);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	ret->for_ms = (clock_mono_us() - r.begin_us) / 1000;
	for (uint32_t i = 0; i < ret->n; i++)
		ret->failed += ret->took_us[i] < 0;
	return 0;
}

struct failure {
	unsigned why, n;
};

static int by_count(const void *x, const void *y)
{
	const struct failure *a = x, *b = y;
	return a->n != b->n ? (a->n > b->n ? -1 : 1) : (a->why > b->why) - (a->why < b->why);
}

struct str load_failures(struct arena *a, const struct load_result *r)
{
	enum { KINDS = 16 };
	struct failure kinds[KINDS];
	unsigned n = 0;
	struct str text = STR_NONE;
	for (uint32_t i = 0; i < r->n; i++) {
		unsigned k = 0;
		while (k < n && kinds[k].why != r->why[i])
			k++;
		if (!r->why[i] || k == KINDS)
			continue;
		if (k == n)
			kinds[n++] = (struct failure){.why = r->why[i]};
		kinds[k].n++;
	}
	if (n)
		qsort(kinds, n, sizeof(*kinds), by_count);
	for (unsigned k = 0; k < n; k++) {
		struct str one = kinds[k].why == LOAD_SILENT ? arena_printf(a, "%u without an answer", kinds[k].n)
		                                             : arena_printf(a, "%u x %u", kinds[k].n, kinds[k].why);
		text = str_set(text) ? ARENA_CAT(a, text, S(", "), one) : one;
	}
	return text;
}

static int by_time(const void *x, const void *y)
{
	int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
	return (a > b) - (a < b);
}

int32_t load_percentile(struct arena *a, const struct load_result *r, double p)
{
	int32_t *sorted = arena_array(a, r->n + 1, sizeof(*sorted));
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->took_us[i] >= 0)
			sorted[n++] = r->took_us[i];
	if (!n)
		return -1;
	qsort(sorted, n, sizeof(*sorted), by_time);
	double at = ceil(p / 100 * n);
	return sorted[at < 1 ? 0 : at > n ? n - 1 : (uint32_t)at - 1];
}
