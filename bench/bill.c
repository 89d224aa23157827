/* How long a bill takes. usage: bill [facts] [directory]
 *
 * Facts of a month - a thousand resources of 40 usage types that come and go - are written as services write them, then read and
 * priced as Cost Explorer does: as they lie, which they do for a minute at most, and folded into sums of days. */
#include "aws/ce/cost.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RESOURCES = 1000, TYPES = 40, FIRST_DAY = 20454 /* 2026-01-01 */, DAYS = 30 };

static const char *const types[TYPES / 4] = {"t3.micro",  "t3.small", "m5.large",  "m5.xlarge", "c5.large",
                                             "c5.xlarge", "r5.large", "r5.xlarge", "m6g.large", "t2.micro"};
static bool done;

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)revision;
	if (result < 0)
		die("a commit failed");
	done = true;
}

static struct str usage_of(struct arena *a, int resource)
{
	static const char *const kinds[] = {"BoxUsage:", "SpotUsage:", "UnusedBox:", "DedicatedUsage:"};
	return ARENA_CAT(a, str_from(kinds[resource % 4]), str_from(types[resource / 4 % (TYPES / 4)]));
}

/* Every resource starts or ends what it does: half of the calls make a fact. */
static void write_round(struct loop *l, struct store *s, bool on, int64_t at_ms)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(s, &a);
	for (int i = 0; i < RESOURCES; i++) {
		const struct meter_use use = {.usage = usage_of(&a, i), .rate = 1, .minimum_ms = 60000, .step_ms = 1000};
		meter_set(t, &a, S("000000000000"), S("us-east-1"), arena_printf(&a, "i-%017d", i), &use, on ? 1 : 0, at_ms);
	}
	done = false;
	store_commit(t, committed, NULL);
	while (!done)
		loop_turn(l, 1000);
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Milliseconds of a bill; *ret_usd_e10: its sum. */
static double bill(struct store *s, __int128 *ret_usd_e10)
{
	struct arena CLEAN_ARENA a = {0};
	int64_t start = now_us();
	struct store_txn *t = store_begin(s, &a);
	struct meter_lines used = meter_read(t, &a, S("000000000000"), METER_PLAIN, FIRST_DAY, FIRST_DAY + DAYS + 1,
	                                     (FIRST_DAY + DAYS) * METER_DAY_MS);
	struct cost_lines lines = cost_fold(&a, NULL, S("000000000000"), &used, FIRST_DAY, NULL);
	*ret_usd_e10 = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		*ret_usd_e10 += lines.v[i].usd_e10;
	store_abort(t);
	return (double)(now_us() - start) / 1000;
}

/* Minutes pass until nothing is left to fold. */
static double fold(struct loop *l, struct store *s, int64_t wall_ms)
{
	struct meter *m = meter_new(l, s);
	int64_t start = now_us(), mono_us = 1000000000;
	for (int i = 0; i < 3; i++) {
		clock_fake(wall_ms += 61000, mono_us += 61000000);
		loop_turn(l, 1000);
		while (meter_busy(m))
			loop_turn(l, 1000);
	}
	double ms = (double)(now_us() - start) / 1000;
	meter_free(m);
	return ms;
}

int main(int argc, char **argv)
{
	int facts = argc > 1 ? atoi(argv[1]) : 1000000, rounds = facts / RESOURCES;
	struct loop *l;
	struct store *s;
	char why[200];
	int64_t wall_ms = FIRST_DAY * METER_DAY_MS, step_ms = DAYS * METER_DAY_MS / (rounds * 2 + 1);
	__int128 usd, folded_usd;
	clock_fake(wall_ms, 1000000000);
	l = loop_new();
	const struct store_config config = {
	        .path = argc > 2 ? argv[2] : "/tmp/quartet-bench-bill", .map_bytes = (size_t)8 << 30, .ephemeral = true};
	if (store_open(&s, l, &config, why) < 0)
		die("%s", why);
	for (int i = 0; i < rounds * 2; i++)
		write_round(l, s, i % 2 == 0, wall_ms += step_ms);
	double plain = bill(s, &usd), folding = fold(l, s, wall_ms), folded = bill(s, &folded_usd);
	printf("facts: %d as they lie: %.1f ms folding: %.0f ms folded: %.2f ms sums: %s\n", rounds * RESOURCES, plain, folding,
	       folded, usd == folded_usd ? "same" : "differ");
	store_close(s);
	loop_free(l);
	return usd == folded_usd ? 0 : 1;
}
