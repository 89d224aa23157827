#include "unit.h"

#include "base/base64.h"
#include "base/form.h"
#include "base/uri.h"

static void encodes(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	assert_str(uri_encode(&a, S("aZ09-_.~/ +%\xc3\xa9*"), false), "aZ09-_.~%2F%20%2B%25%C3%A9%2A");
	assert_str(uri_encode(&a, S("/a b/"), true), "/a%20b/");
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	char long_text[700];
	memset(long_text, '/', sizeof(long_text));
	uri_put(&b, str_of(long_text, sizeof(long_text)), false);
	assert_int_equal(b.n, 2100);
}

static void decodes(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	assert_str(uri_decode(&a, S("a%2fb%2Fc+d%00")).n == 8 ? S("ok") : S("wrong"), "ok");
	assert_str(uri_decode(&a, S("a+b")), "a+b");
	assert_str(uri_decode_form(&a, S("a+b%2B")), "a b+");
	assert_str(uri_decode(&a, S("")), "");
	static const char *const bad[] = {"%", "%1", "%zz", "a%2", "%%20", "%-1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (str_set(uri_decode(&a, str_from(bad[i]))))
			fail_msg("%s was decoded", bad[i]);
}

static void splits_queries(void **state)
{
	(void)state;
	struct str rest = S("a=1&&b&c=%20=x&=y");
	struct uri_part p;
	assert_true(uri_next_part(&rest, &p) && str_is(p.name, "a") && str_is(p.value, "1"));
	assert_true(uri_next_part(&rest, &p) && str_is(p.name, "b") && str_is(p.value, "") && !p.has_value);
	assert_true(uri_next_part(&rest, &p) && str_is(p.name, "c") && str_is(p.value, "%20=x") && p.has_value);
	assert_true(uri_next_part(&rest, &p) && str_is(p.name, "") && str_is(p.value, "y"));
	assert_false(uri_next_part(&rest, &p));
}

static void normalizes_paths(void **state)
{
	(void)state;
	static const struct {
		const char *path, *want;
	} cases[] = {
	        {"", "/"},
	        {"/", "/"},
	        {"//", "/"},
	        {"/a//b", "/a/b"},
	        {"/a/./b/", "/a/b/"},
	        {"/a/../b", "/b"},
	        {"/a/b/..", "/a/"},
	        {"/..", "/"},
	        {"/../../a", "/a"},
	        {"/a/.", "/a/"},
	        {"/%2e%2e/a", "/%2e%2e/a"},
	        {"/...", "/..."},
	};
	struct arena CLEAN_ARENA a = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_str(uri_normalize_path(&a, str_from(cases[i].path)), cases[i].want);
}

static void reads_forms(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct form f;
	assert_true(form_parse(&a, S("Action=X&b=+%26&b=2&c"), &f));
	assert_int_equal(f.n, 4);
	assert_str(form_get(&f, S("b")), " &");
	assert_str(form_get(&f, S("c")), "");
	assert_false(str_set(form_get(&f, S("d"))));
	assert_false(form_parse(&a, S("a=%"), &f));
	assert_true(form_parse(&a, S(""), &f) && f.n == 0);
	char many[2 * FORM_PAIRS_MAX + 2];
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i % 2 ? '&' : 'a';
	assert_true(form_parse(&a, str_of(many, sizeof(many) - 2), &f) && f.n == FORM_PAIRS_MAX);
	assert_false(form_parse(&a, str_of(many, sizeof(many)), &f));
	struct buf CLEAN_BUF b;
	buf_init(&b, 100);
	form_put(&b, S("a b"), S("&"));
	form_put(&b, S("c"), S(""));
	assert_str(buf_str(&b), "a%20b=%26&c=");
}

static void speaks_base64(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
	                                       {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xfb\xff\xfe", "+//+"}};
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		assert_str(base64_encode(&a, str_from(pairs[i][0])), pairs[i][1]);
		assert_str(base64_decode(&a, str_from(pairs[i][1])), pairs[i][0]);
		base64_put(&b, str_from(pairs[i][0]));
	}
	assert_str(buf_str(&b), "Zg==Zm8=Zm9vZm9vYg==+//+");
	assert_str(base64url_encode(&a, S("\xfb\xff\xfe"
	                                  "f")),
	           "-__-Zg");
	assert_str(base64url_decode(&a, S("-__-Zg")), "\xfb\xff\xfe"
	                                              "f");
	assert_str(base64url_decode(&a, S("Zg==")), "f");
	static const char *const bad[] = {
	        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "Z===", "====", "Zm 9", "Zg==Zg==", "-__-", "Zm9v\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (str_set(base64_decode(&a, str_from(bad[i]))))
			fail_msg("%s was decoded", bad[i]);
	assert_false(str_set(base64url_decode(&a, S("+//+"))));
	assert_false(str_set(base64_decode(&a, STR_NONE)));
	/* every three bytes' every digit, and every length behind the last four of them */
	char bytes[300];
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 167 + i / 256);
	for (unsigned n = 0; n <= sizeof(bytes); n++) {
		assert_true(str_eq(base64_decode(&a, base64_encode(&a, str_of(bytes, n))), str_of(bytes, n)));
		assert_true(str_eq(base64url_decode(&a, base64url_encode(&a, str_of(bytes, n))), str_of(bytes, n)));
	}
	/* anything else at any place */
	for (unsigned c = 0; c < 256; c++) {
		bool digit = ascii_is_alnum((char)c);
		for (unsigned at = 0; at < 6; at++) {
			char text[] = "QUJDREVG", other[] = "QUJDREVG";
			text[at] = other[at] = (char)c;
			assert_int_equal(str_set(base64_decode(&a, str_of(text, 8))), digit || c == '+' || c == '/');
			assert_int_equal(str_set(base64url_decode(&a, str_of(other, 8))), digit || c == '-' || c == '_');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(encodes),        cmocka_unit_test(decodes),
	                                   cmocka_unit_test(splits_queries), cmocka_unit_test(normalizes_paths),
	                                   cmocka_unit_test(reads_forms),    cmocka_unit_test(speaks_base64)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
