/* Loads of `quartet compare`: when each request is due, and what is counted of it. */
#include "unit.h"

#include "base/clock.h"
#include "role/compare/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct load_plan parsed(struct arena *a, const char *text, int64_t for_ms)
{
	struct load_plan p;
	struct str why = STR_NONE;
	if (!load_parse(a, str_from(text), for_ms, &p, &why))
		fail_msg("%.*s", STR_ARG(why));
	return p;
}

static uint32_t between(const struct load_plan *p, uint32_t from_ms, uint32_t to_ms)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < p->n; i++)
		n += p->due_ms[i] >= from_ms && p->due_ms[i] < to_ms;
	return n;
}

static void plans(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct load_plan p = parsed(&a, "steady:50rps", 10000);
	assert_int_equal(p.n, 500);
	assert_int_equal(p.due_ms[0], 0);
	assert_int_equal(p.due_ms[499], 9980);
	for (uint32_t s = 0; s < 10; s++)
		assert_int_equal(between(&p, s * 1000, s * 1000 + 1000), 50);

	p = parsed(&a, "steady:0.5rps", 10000);
	assert_int_equal(p.n, 5);
	assert_int_equal(p.due_ms[1], 2000);

	/* of each ten seconds the first two at 100 a second, the rest at 5 */
	p = parsed(&a, "spiky:5rps-100rps/10s", 20000);
	assert_int_equal(p.n, 2 * (200 + 40));
	assert_int_equal(between(&p, 0, 2000), 200);
	assert_int_equal(between(&p, 2000, 10000), 40);
	assert_int_equal(between(&p, 10000, 12000), 200);

	p = parsed(&a, "cron:30s", 90000);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.due_ms[2], 60000);
	for (uint32_t i = 1; i < p.n; i++)
		assert_true(p.due_ms[i] >= p.due_ms[i - 1]);
}

static void files(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str why;
	struct load_plan p;
	char path[] = "/tmp/quartet-load-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	fputs("# seconds and rates\n0 10\n5 0\n8 20rps\n", f);
	fclose(f);
	p = parsed(&a, path, 10000);
	assert_int_equal(p.n, 50 + 40);
	assert_int_equal(between(&p, 5000, 8000), 0);
	p = parsed(&a, path, 6000); /* ends before its last line */
	assert_int_equal(p.n, 50);
	f = fopen(path, "w");
	fputs("5 10\n2 10\n", f);
	fclose(f);
	assert_false(load_parse(&a, str_from(path), 10000, &p, &why));
	assert_true(str_find(why, S(":2: ")) > 0);
	unlink(path);
}

static void refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
	        "steady:", "steady:x", "steady:-1rps",  "steady:0rps",  "spiky:5rps", "spiky:5rps-9rps/", "spiky:5rps-9rps/0s",
	        "cron:0s", "cron:-3s", "steady:1e9rps", "no-such-file", "",           "steady:nanrps"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct str why = STR_NONE;
		struct load_plan p;
		if (load_parse(&a, str_from(texts[i]), 10000, &p, &why))
			fail_msg("%s was taken", texts[i]);
		assert_true(why.n > 0);
	}
	struct arena CLEAN_ARENA a = {0};
	struct str why;
	struct load_plan p;
	assert_false(load_parse(&a, S("steady:50000rps"), 24 * 3600 * 1000, &p, &why)); /* more than LOAD_REQUESTS_MAX */
}

/* --- a target that is slow for the first one, and fails for every fifth */

static atomic_uint asked;

static void *open_nothing(void *ctx)
{
	return ctx;
}

static unsigned ask(void *caller)
{
	(void)caller;
	unsigned n = atomic_fetch_add(&asked, 1);
	if (n == 0)
		usleep(200000);
	return n % 5 != 4 ? 0 : n % 10 == 9 ? 429 : n == 4 ? 503 : LOAD_SILENT;
}

static void close_nothing(void *caller)
{
	(void)caller;
}

static void carried_out(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	atomic_bool cancel = false;
	struct load_plan p = parsed(&a, "steady:100rps", 1000);
	const struct load_target t = {open_nothing, ask, close_nothing, NULL, &cancel};
	struct load_result r;
	int64_t begin = clock_mono_us();
	assert_int_equal(load_run(&a, &p, &t, NULL, NULL, &r), 0);
	assert_true(clock_mono_us() - begin >= 990000); /* the last one is due then */
	assert_int_equal(r.n, 100);
	assert_int_equal(r.failed, 20);
	assert_str(load_failures(&a, &r), "10 x 429, 9 without an answer, 1 x 503");
	assert_int_equal(atomic_load(&asked), 100);
	assert_true(r.took_us[0] >= 200000);
	/* the others did not wait for it */
	assert_true(load_percentile(&a, &r, 50) < 100000);
	assert_true(load_percentile(&a, &r, 100) >= 200000);

	/* stopped: nothing more is asked, and it ends at once */
	atomic_store(&asked, 1);
	atomic_store(&cancel, true);
	p = parsed(&a, "cron:3600s", 24 * 3600 * 1000);
	assert_int_equal(load_run(&a, &p, &t, NULL, NULL, &r), 0);
	assert_int_equal(r.failed, r.n);
	assert_int_equal(load_percentile(&a, &r, 50), -1);
	assert_int_equal(atomic_load(&asked), 1);
}

static void percentiles(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	int32_t took[] = {5, -1, 1, 2, 4, 3, -1};
	const struct load_result r = {.took_us = took, .n = 7, .failed = 2};
	assert_int_equal(load_percentile(&a, &r, 0), 1);
	assert_int_equal(load_percentile(&a, &r, 50), 3);
	assert_int_equal(load_percentile(&a, &r, 99), 5);
	assert_int_equal(load_percentile(&a, &r, 100), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(plans), cmocka_unit_test(files), cmocka_unit_test(refused),
	                                   cmocka_unit_test(carried_out), cmocka_unit_test(percentiles)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
