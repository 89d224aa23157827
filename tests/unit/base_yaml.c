#include "base/yaml.h"

#include "base/buf.h"
#include "unit.h"

#include <stdlib.h>

static const struct yaml_value *of(struct arena *a, const char *text)
{
	struct str error = STR_NONE;
	const struct yaml_value *v = yaml_parse(a, str_from(text), &error);
	if (!v)
		fail_msg("%s: %.*s", text, STR_ARG(error));
	return v;
}

static void says(struct arena *a, const char *text, const char *key, const char *value)
{
	struct str found = yaml_get_text(of(a, text), key);
	if (!str_is(found, value))
		fail_msg("%s: %s is %.*s", text, key, STR_ARG(found));
}

static void reads(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	(void)state;
	assert_true(yaml_is(of(&a, ""), YAML_NULL));
	assert_true(yaml_is(of(&a, "# nothing\n---\n"), YAML_NULL));
	says(&a, "mode: 000755\n", "mode", "000755");
	says(&a, "a: yes\nb: 'x: y'\n", "b", "x: y");
	says(&a, "a: |\n  one\n  two\n", "a", "one\ntwo\n");
	says(&a, "{\"a\": \"\\u00e9\", \"b\": [1, 2]}", "a", "\xc3\xa9");
	says(&a, "a: 1\na: 2\n", "a", "2");
	says(&a, "a: !!str 12\n", "a", "12");
	const struct yaml_value *v = of(&a, "a: ~\nb:\nc: 'null'\nd: [x, [y]]\n");
	assert_true(yaml_is(yaml_get(v, "a"), YAML_NULL) && yaml_is(yaml_get(v, "b"), YAML_NULL));
	assert_true(yaml_is(yaml_get(v, "c"), YAML_TEXT));
	assert_int_equal(yaml_get(v, "d")->items[1]->n, 1);
	assert_null(yaml_get(v, "e"));
	assert_null(yaml_get(NULL, "e"));
	assert_false(str_set(yaml_get_text(v, "d")));
}

static void shares(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	(void)state;
	const struct yaml_value *v = of(&a, "x: &x {a: 1, b: 2}\ny: *x\nz: {<<: *x, b: 3}\nw: {b: 4, <<: [{c: 5, a: 6}, *x]}\n");
	assert_ptr_equal(yaml_get(v, "x"), yaml_get(v, "y"));
	assert_true(str_is(yaml_get_text(yaml_get(v, "z"), "a"), "1") && str_is(yaml_get_text(yaml_get(v, "z"), "b"), "3"));
	const struct yaml_value *w = yaml_get(v, "w");
	assert_true(str_is(yaml_get_text(w, "a"), "6") && str_is(yaml_get_text(w, "b"), "4") && str_is(yaml_get_text(w, "c"), "5"));
}

static void refuses(void **state)
{
	static const char *const bad[] = {"a: [",         "a: *b", "a: &a [*a]", "a: !Ref x", "- a\n- b\n---\n- c\n", "{[a]: b}",
	                                  "a: b\n\tc: d", "\xff",  "a: {<<: b}", "}",         "a: !<x> [b]",          "%TAG"};
	struct arena CLEAN_ARENA a = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct str error = STR_NONE;
		if (yaml_parse(&a, str_from(bad[i]), &error))
			fail_msg("%s was read", bad[i]);
		assert_true(error.n > 0);
	}
}

/* Ten of ten of ten: what it comes to is counted and never made. */
static void is_bounded(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	struct str text = S("a0: &a0 x\n"), error = STR_NONE;
	(void)state;
	for (int i = 1; i < 12; i++)
		text = ARENA_CAT(&a, text,
		                 arena_printf(&a, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
		                              i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1));
	assert_null(yaml_parse(&a, text, &error));
	assert_true(str_starts(error, S("it is too large")));
	char *deep = arena_alloc(&a, 4000), *long_one = arena_zalloc(&a, YAML_BYTES_MAX + 1);
	memset(deep, '[', 4000);
	assert_null(yaml_parse(&a, str_of(deep, 4000), &error));
	assert_null(yaml_parse(&a, str_of(long_one, YAML_BYTES_MAX + 1), &error));
	assert_true(str_is(error, "it is too long"));
	struct buf CLEAN_BUF many;
	buf_init(&many, YAML_BYTES_MAX);
	for (int i = 0; i < YAML_NODES_MAX + 10; i++)
		buf_add_lit(&many, "- a\n");
	assert_null(yaml_parse(&a, buf_str(&many), &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(shares), cmocka_unit_test(refuses),
	                                   cmocka_unit_test(is_bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
