/* Names longer than the store's keys, in order, against a plain sorted list. */
#include "unit.h"

#include "aws/s3/tree.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct store *store;
	struct arena arena;
	char dir[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char why[200];
	strcpy(f->dir, "/tmp/s3_tree.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->loop = loop_new();
	const struct store_config config = {.path = f->dir, .map_bytes = (size_t)1 << 28, .ephemeral = true};
	assert_int_equal(store_open(&f->store, f->loop, &config, why), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[100];
	store_close(f->store);
	loop_free(f->loop);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	arena_done(&f->arena);
	free(f);
	return 0;
}

enum { NAMES = 120 };

/* Names that share long beginnings, with bytes that need escaping around the places where they are split. */
static struct str make_name(struct arena *a, unsigned i)
{
	size_t n = 1 + rand_below(1024);
	char *p = arena_alloc(a, n + 4);
	memset(p, 'p', n);
	for (size_t at = 335; at < n && at < 346; at++)
		p[at] = (char)rand_below(3);
	if (i % 3 == 0)
		memset(p, 0, n);
	memcpy(p + n, (char[]){(char)(i & 1), (char)('a' + i % 26), (char)rand_below(256), (char)i}, 4);
	return str_of(p, n + 4 > 1024 ? 1024 : n + 4);
}

static int compare(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void check_walk(struct fixture *f, struct store_txn *t, struct str root, const struct str *names, unsigned n,
                       struct str from)
{
	struct tree_walk w;
	struct str name, tail;
	struct store_value value;
	unsigned i = 0;
	while (i < n && str_set(from) && str_cmp(names[i], from) < 0)
		i++;
	tree_walk(&w, t, &f->arena, root, from);
	for (; tree_next(&w, &name, &tail, &value); i++) {
		assert_true(i < n);
		assert_true(str_eq(name, names[i]));
		assert_false(str_set(tail));
		assert_true(str_eq(value.value, str_sub(names[i], 0, 10)));
	}
	assert_int_equal(i, n);
}

static void order(void **state)
{
	struct fixture *f = *state;
	rand_seed(7);
	struct str names[NAMES], root = tree_root(&f->arena, "object", S("bucket"));
	struct store_txn *t = store_begin(f->store, &f->arena);
	unsigned n = 0;
	for (unsigned i = 0; i < NAMES; i++)
		names[i] = make_name(&f->arena, i);
	qsort(names, NAMES, sizeof(*names), compare);
	for (unsigned i = 0; i < NAMES; i++)
		if (n == 0 || !str_eq(names[n - 1], names[i]))
			names[n++] = names[i];
	for (unsigned i = 0; i < n; i++)
		tree_put(t, &f->arena, root, names[(i * 37) % n], STR_NONE, str_sub(names[(i * 37) % n], 0, 10));
	/* 37 may divide n: whatever was left out follows. */
	for (unsigned i = 0; i < n; i++)
		tree_put(t, &f->arena, root, names[i], STR_NONE, str_sub(names[i], 0, 10));
	check_walk(f, t, root, names, n, STR_NONE);
	for (unsigned i = 0; i < n; i += 7) {
		check_walk(f, t, root, names, n, names[i]);
		check_walk(f, t, root, names, n, tree_after(&f->arena, names[i]));
		check_walk(f, t, root, names, n, str_sub(names[i], 0, names[i].n / 2));
	}
	/* Another tree does not see any of it, and deleting leaves nothing, markers included. */
	check_walk(f, t, tree_root(&f->arena, "object", S("bucke")), NULL, 0, STR_NONE);
	for (unsigned i = 0; i < n; i++) {
		struct store_value value;
		assert_true(tree_get(t, &f->arena, root, names[i], STR_NONE, &value));
		tree_delete(t, &f->arena, root, names[i], STR_NONE);
		assert_false(tree_get(t, &f->arena, root, names[i], STR_NONE, &value));
		if (i % 16 == 0)
			check_walk(f, t, root, names + i + 1, n - i - 1, STR_NONE);
	}
	struct str key;
	struct store_value value;
	assert_false(store_next(store_scan(t, S("s3"), STR_NONE, false), &key, &value));
	store_abort(t);
}

static void tails(void **state)
{
	struct fixture *f = *state;
	struct arena *a = &f->arena;
	struct store_txn *t = store_begin(f->store, a);
	struct str root = tree_root(a, "object", S("b"));
	char big[1000];
	memset(big, 'x', sizeof(big));
	struct str names[] = {S("k"), str_of(big, sizeof(big))};
	for (unsigned i = 0; i < 2; i++) {
		struct str tail = STR_NONE;
		struct store_value value;
		tree_put(t, a, root, names[i], S("v2"), S("two"));
		tree_put(t, a, root, names[i], S("v1"), S("one"));
		tree_put(t, a, root, names[i], STR_NONE, S("own"));
		tree_put(t, a, root, tree_after(a, names[i]), STR_NONE, S("next"));
		assert_true(tree_next_tail(t, a, root, names[i], STR_NONE, &tail, &value));
		assert_str(tail, "v1");
		assert_true(tree_next_tail(t, a, root, names[i], tail, &tail, &value));
		assert_str(value.value, "two");
		assert_false(tree_next_tail(t, a, root, names[i], tail, &tail, &value));
	}
	assert_str(tree_after_prefix(a, S("a\xff\xff")), "b");
	assert_false(str_set(tree_after_prefix(a, S("\xff"))));
	store_abort(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(order, setup, teardown),
	        cmocka_unit_test_setup_teardown(tails, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
