/* Slots as bytes and back, and how exact spreads are. */
#include "unit.h"

#include "base/buf.h"
#include "engine/metrics/coder.h"
#include "engine/metrics/pack.h"
#include "engine/metrics/slot.h"

#include <math.h>
#include <stdlib.h>

enum { MAX = 300 };

static void back(const struct slot *slots, uint32_t n, unsigned steps, struct slot *ret, struct arena *a, size_t *ret_bytes)
{
	struct buf CLEAN_BUF b;
	uint32_t got = 0;
	buf_init(&b, 4 << 20);
	block_write(&b, slots, n, steps);
	assert_true(block_read(a, arena_dup(a, buf_str(&b)), ret, MAX, &got, steps));
	assert_int_equal(got, n);
	*ret_bytes = b.n;
	/* A part of it is refused, or is less. */
	for (size_t cut = 0; cut < b.n && cut < 200; cut++) {
		struct slot part[MAX];
		if (block_read(a, str_sub(buf_str(&b), 0, cut), part, MAX, &got, steps))
			assert_true(got <= n);
	}
}

static void same(const struct slot *x, const struct slot *y)
{
	assert_true(x->set.count == y->set.count);
	if (x->set.count <= 0)
		return;
	assert_true(x->set.min == y->set.min && x->set.max == y->set.max);
	assert_true(fabs(x->set.sum - y->set.sum) <= 1e-9 * fabs(x->set.sum) + 1e-9);
	assert_int_equal(x->unknown, y->unknown);
	assert_int_equal(x->spread.n, y->spread.n);
	for (uint32_t i = 0; i < x->spread.n; i++)
		assert_true(x->spread.v[i].at == y->spread.v[i].at && x->spread.v[i].count == y->spread.v[i].count);
}

static void round_trips(void **state)
{
	(void)state;
	static const double values[] = {
	        0, 1, -1, 0.1, 99.99, 1e-300, 1e300, -7.25, 123456789, 0.333333333333333, 4503599627370497.0, 1e-6, 5};
	enum { VALUES = sizeof(values) / sizeof(*values) };
	srand(7);
	for (int round = 0; round < 400; round++) {
		struct arena CLEAN_ARENA a = {0};
		struct slot slots[MAX] = {0}, got[MAX] = {0};
		size_t bytes;
		uint32_t n = (uint32_t)(rand() % 60 + 1);
		bool decimals = rand() % 2;
		for (uint32_t i = 0; i < n; i++)
			for (int k = rand() % 4; k > 0; k--) {
				if (rand() % 10 == 0) {
					struct metric_set s = {3, 12, 1, 7};
					struct slot one = slot_of_set(&s);
					slot_merge(&a, &slots[i], &one);
				} else
					slot_add(&a, &slots[i], decimals ? (rand() % 2000 - 500) / 100.0 : values[rand() % VALUES],
					         rand() % 5 ? 1 : rand() % 3 + 0.5);
			}
		back(slots, n, 1, got, &a, &bytes);
		for (uint32_t i = 0; i < n; i++)
			same(&slots[i], &got[i]);
	}
}

static void sums_of_their_own(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct slot slots[2] = {0}, got[MAX] = {0};
	size_t bytes;
	slots[0] = slot_of_set(&(struct metric_set){10, 100, 1, 1});
	slots[1] = slot_of_set(&(struct metric_set){2, 1e18, 1, 3});
	back(slots, 2, 1, got, &a, &bytes);
	assert_true(got[0].set.sum == 100 && got[1].set.sum == 1e18);
}

static void spreads(void **state)
{
	(void)state;
	for (double x = 1e-9; x < 1e12; x *= 1.3) {
		double at = slot_bucket_value(slot_bucket_of(x));
		assert_true(fabs(at - x) <= x * 0.0101);
	}
	assert_true(slot_bucket_value(slot_bucket_of(0)) == 0);
	/* Coarse buckets stay where they are, however often they are written. */
	struct arena CLEAN_ARENA a = {0};
	struct slot slots[1] = {0}, once[MAX] = {0}, twice[MAX] = {0};
	size_t bytes;
	for (int i = 1; i <= 1000; i++)
		slot_add(&a, &slots[0], i, 1);
	back(slots, 1, 4, once, &a, &bytes);
	back(once, 1, 4, twice, &a, &bytes);
	same(&once[0], &twice[0]);
	double count = 0;
	for (uint32_t i = 0; i < once[0].spread.n; i++) {
		double at = slot_bucket_value(once[0].spread.v[i].at), rank = count + (once[0].spread.v[i].count + 1) / 2;
		count += once[0].spread.v[i].count;
		assert_true(fabs(at - rank) <= rank * 0.05 + 1);
	}
	assert_true(count == 1000);
}

/* A day of a gauge with two decimals in blocks as the engine has them. */
static void size(void **state)
{
	(void)state;
	double x = 50;
	size_t all = 0;
	srand(3);
	for (int block = 0; block < 6; block++) {
		struct arena CLEAN_ARENA a = {0};
		struct slot slots[240] = {0}, got[MAX];
		size_t bytes;
		for (int i = 0; i < 240; i++) {
			x = fmin(100, fmax(0, x + (rand() % 201 - 100) / 100.0));
			slot_add(&a, &slots[i], round(x * 100) / 100, 1);
		}
		back(slots, 240, 1, got, &a, &bytes);
		all += bytes;
	}
	assert_true(all < 1440 * 2);
}

static void numbers(void **state)
{
	(void)state;
	static const int64_t some[] = {0, 1, -1, 2, 77, -78, 255, 256, 65535, -65536, INT64_MAX, -INT64_MAX, INT64_C(1) << 53};
	static struct coder_kind k;
	struct coder c;
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	coder_kind_begin(&k);
	coder_write(&c, &b);
	for (unsigned i = 0; i < 3000; i++)
		coder_signed(&c, &k, some[i * i % 13]);
	coder_number(&c, &k, UINT64_MAX);
	coder_end(&c);
	coder_kind_begin(&k);
	coder_read(&c, buf_str(&b));
	for (unsigned i = 0; i < 3000; i++)
		assert_true(coder_signed(&c, &k, 0) == some[i * i % 13]);
	assert_true(coder_number(&c, &k, 0) == UINT64_MAX);
	assert_false(coder_bad(&c));
	for (unsigned i = 0; i < 100 && !coder_bad(&c); i++)
		coder_number(&c, &k, 0);
	assert_true(coder_bad(&c)); /* behind the end */
}

static void packs(void **state)
{
	(void)state;
	struct str blocks[PACK_SERIES];
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	for (unsigned i = 0; i < PACK_SERIES; i++)
		blocks[i] = i % 3 ? str_of("abcdefghijklmnop", i) : STR_NONE;
	pack_write(&b, blocks);
	for (unsigned i = 0; i < PACK_SERIES; i++)
		assert_true(i % 3 ? str_eq(pack_get(buf_str(&b), i), blocks[i]) : !str_set(pack_get(buf_str(&b), i)));
	assert_false(str_set(pack_get(str_sub(buf_str(&b), 0, b.n - 1), 14)));
	assert_false(str_set(pack_get(S("short"), 0)));
}

/* What hardly changes costs next to nothing. */
static void runs(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct slot slots[300] = {0}, got[MAX];
	size_t bytes;
	for (int i = 0; i < 300; i++)
		slot_add(&a, &slots[i], i < 200 ? 0 : 3, 1);
	back(slots, 300, 1, got, &a, &bytes);
	assert_true(bytes < 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(round_trips), cmocka_unit_test(sums_of_their_own),
	                                   cmocka_unit_test(spreads),     cmocka_unit_test(size),
	                                   cmocka_unit_test(numbers),     cmocka_unit_test(packs),
	                                   cmocka_unit_test(runs)};
	return cmocka_run_group_tests_name("engine metrics block", tests, NULL, NULL);
}
