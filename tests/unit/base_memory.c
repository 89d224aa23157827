#include "unit.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

static void arena_flags_its_limit(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 100);
	assert_non_null(arena_alloc(&a, 90));
	assert_false(a.overflow);
	assert_non_null(arena_alloc(&a, 90));
	assert_true(a.overflow);
	arena_reset(&a);
	assert_false(a.overflow);
	assert_str(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	assert_str(ARENA_CAT(&a, S("a"), STR_NONE, S("b")), "ab");
	assert_false(str_set(arena_dup(&a, STR_NONE)));
}

/* Whether a text still fits into the chunk in use or not, and however narrowly, it comes out whole and alone. */
static void texts_are_whole_at_the_end_of_a_chunk(void **state)
{
	(void)state;
	for (int before = 3900; before < 4100; before++) {
		struct arena CLEAN_ARENA a;
		arena_init(&a, 0);
		char *first = arena_alloc(&a, (size_t)before);
		memset(first, '.', (size_t)before);
		struct str text = arena_printf(&a, "%030d", before), next = arena_dup(&a, S("next"));
		assert_int_equal(text.n, 30);
		assert_int_equal(atoi(text.p), before);
		assert_str(next, "next");
		for (int i = 0; i < before; i++)
			assert_int_equal(first[i], '.');
	}
}

static void buffer_stops_at_its_maximum(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b;
	buf_init(&b, 10);
	buf_add_lit(&b, "12345");
	buf_add_lit(&b, "678901");
	assert_true(b.overflow);
	assert_str(buf_str(&b), "12345");
	buf_consume(&b, 2);
	assert_str(buf_str(&b), "345");
	buf_clear(&b);
	for (int i = 0; i < 10; i++)
		buf_add_char(&b, 'x');
	assert_false(b.overflow);
	buf_add_char(&b, 'x');
	assert_true(b.overflow);
}

static void map_keeps_what_random_changes_leave(void **state)
{
	(void)state;
	struct map m = {0};
	char present[512] = {0};
	char key[16];
	uint32_t r = 1;
	for (int i = 0; i < 20000; i++) {
		r = r * 1664525 + 1013904223;
		unsigned k = (r >> 8) & 511;
		int n = snprintf(key, sizeof(key), "k%u", k);
		struct str s = str_of(key, (size_t)n);
		if (r & 0x80000000) {
			assert_int_equal(map_put(&m, s, present) != NULL, present[k]);
			present[k] = 1;
		} else {
			assert_int_equal(map_remove(&m, s) != NULL, present[k]);
			present[k] = 0;
		}
	}
	size_t count = 0, at = 0, seen = 0;
	for (unsigned k = 0; k < 512; k++) {
		int n = snprintf(key, sizeof(key), "k%u", k);
		assert_int_equal(map_get(&m, str_of(key, (size_t)n)) != NULL, present[k]);
		count += (size_t)present[k];
	}
	struct str any;
	void *value;
	while (map_next(&m, &at, &any, &value))
		seen++;
	assert_int_equal(m.count, count);
	assert_int_equal(seen, count);
	map_done(&m);
}

static void list_removes_while_walking(void **state)
{
	(void)state;
	struct item {
		int v;
		struct list link;
	} items[4];
	struct list l = LIST_INIT(l);
	for (int i = 0; i < 4; i++) {
		items[i].v = i;
		list_push(&l, &items[i].link);
	}
	list_each (&l, struct item, link, it)
		if (it->v % 2)
			list_remove(&it->link);
	assert_int_equal(list_first(&l, struct item, link)->v, 0);
	assert_int_equal(list_last(&l, struct item, link)->v, 2);
	assert_false(list_linked(&items[1].link));
}

/* What ends in a callback frees its list and all that hangs on it: who found what he looked for looks no further. */
static void list_is_left_for_good(void **state)
{
	(void)state;
	struct item {
		struct list link;
	};
	struct list *l = malloc(sizeof(*l));
	assert_non_null(l);
	list_init(l);
	struct item items[3];
	for (int i = 0; i < 3; i++)
		list_push(l, &items[i].link);
	int seen = 0;
	list_each (l, struct item, link, it) {
		if (++seen == 2) {
			free(l);
			break;
		}
	}
	assert_int_equal(seen, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arena_flags_its_limit),       cmocka_unit_test(texts_are_whole_at_the_end_of_a_chunk),
	        cmocka_unit_test(buffer_stops_at_its_maximum), cmocka_unit_test(map_keeps_what_random_changes_leave),
	        cmocka_unit_test(list_removes_while_walking),  cmocka_unit_test(list_is_left_for_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
