#include "unit.h"

#include "base/id.h"

static void cuts_every_part(void **state)
{
	(void)state;
	struct str rest = S("a,,b");
	assert_str(str_cut(&rest, ','), "a");
	assert_str(str_cut(&rest, ','), "");
	assert_str(str_cut(&rest, ','), "b");
	assert_false(str_set(rest));
}

static void parses_numbers_whole(void **state)
{
	(void)state;
	int64_t v = 7;
	assert_true(str_to_i64(S("-9223372036854775808"), &v));
	assert_int_equal(v, INT64_MIN);
	assert_false(str_to_i64(S("9223372036854775808"), &v));
	assert_false(str_to_i64(S("1x"), &v));
	assert_false(str_to_i64(S(""), &v));
	assert_int_equal(v, INT64_MIN);
	double d;
	assert_true(str_to_double(S("1.5e3"), &d));
	assert_true(d == 1500);
	assert_false(str_to_double(S(" 1"), &d));
}

static void globs(void **state)
{
	(void)state;
	assert_true(str_glob(S("arn:aws:s3:::b/*"), S("arn:aws:s3:::b/x/y"), false));
	assert_false(str_glob(S("arn:aws:s3:::b/*"), S("arn:aws:s3:::b"), false));
	assert_true(str_glob(S("s3:Get*"), S("S3:GETObject"), true));
	assert_true(str_glob(S("*a?c*"), S("xxabcyy"), false));
	assert_true(str_glob(S(""), S(""), false));
	assert_false(str_glob(S("?"), S(""), false));
	/* Backtracking that would explode in a naive matcher. */
	char text[200], pattern[] = "*a*a*a*a*a*a*a*a*a*b";
	memset(text, 'a', sizeof(text));
	assert_false(str_glob(str_from(pattern), str_of(text, sizeof(text)), false));
}

static void knows_utf8(void **state)
{
	(void)state;
	assert_true(str_is_utf8(S("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
	assert_int_equal(str_utf8_len(S("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
	for (size_t before = 0; before < 20; before++) { /* wherever it stands */
		char text[32];
		memset(text, 'a', sizeof(text));
		text[before] = (char)0xc3;
		text[before + 1] = (char)0xa9;
		assert_true(str_is_utf8(str_of(text, sizeof(text))));
		assert_false(str_is_utf8(str_of(text, before + 1)));
		text[before + 1] = 'a';
		assert_false(str_is_utf8(str_of(text, sizeof(text))));
	}
	assert_false(str_is_utf8(S("\xc0\xaf")));         /* overlong */
	assert_false(str_is_utf8(S("\xed\xa0\x80")));     /* surrogate */
	assert_false(str_is_utf8(S("\xf4\x90\x80\x80"))); /* beyond U+10FFFF */
	assert_false(str_is_utf8(S("\xe2\x82")));         /* cut short */
}

static void makes_ids(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str u = id_uuid(&a), k = id_base32(&a, S("AKIA"), 16);
	assert_true(id_is_uuid(u));
	assert_int_equal(u.p[14], '4');
	assert_int_equal(k.n, 20);
	assert_true(str_starts(k, S("AKIA")));
	assert_false(str_eq(u, id_uuid(&a)));
	assert_false(id_is_uuid(S("6ba7b810-9dad-41d1-80b4-00c04fd430cg")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(cuts_every_part), cmocka_unit_test(parses_numbers_whole),
	        cmocka_unit_test(globs),           cmocka_unit_test(knows_utf8),
	        cmocka_unit_test(makes_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
