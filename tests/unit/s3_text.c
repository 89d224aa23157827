/* What S3 decides from texts alone: names, hosts, copy sources, ranges, conditions, checksums, lifecycle and CORS rules, form
 * policies. */
#include "unit.h"

#include "aws/s3/checksum.h"
#include "aws/s3/cors.h"
#include "aws/s3/lifecycle.h"
#include "aws/s3/names.h"
#include "aws/s3/post_form.h"
#include "aws/s3/range.h"

#define DAY_MS (86400 * INT64_C(1000))

static void bucket_names(void **state)
{
	(void)state;
	static const char *const good[] = {"abc", "a.b-c", "123", "0a9", "my-bucket.example"};
	static const char *const bad[] = {"",    "ab",  "Abc", "a_b",         "a..b",    "-ab",      "ab-",         ".ab",
	                                  "ab.", "a b", "a/b", "192.168.1.1", "xn--abc", "sthree-x", "abc-s3alias", "abc--ol-s3"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!s3_bucket_name_valid(str_from(good[i])))
			fail_msg("\"%s\" is a name", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (s3_bucket_name_valid(str_from(bad[i])))
			fail_msg("\"%s\" is no name", bad[i]);
	char longest[65];
	memset(longest, 'a', 64);
	assert_true(s3_bucket_name_valid(str_of(longest, 63)));
	assert_false(s3_bucket_name_valid(str_of(longest, 64)));
}

static void hosts(void **state)
{
	(void)state;
	static const char *const virtual[][2] = {
	        {"b.s3.localhost:4566", "b"},          {"b.localhost", "b"},
	        {"a.b.s3.localhost", "a.b"},           {"b.s3.us-east-1.localhost", "b"},
	        {"b.s3.amazonaws.com", "b"},           {"b.s3.eu-west-1.amazonaws.com", "b"},
	        {"b.s3-eu-west-1.amazonaws.com", "b"}, {"a.b.s3.dualstack.eu-west-1.amazonaws.com:443", "a.b"},
	};
	static const char *const plain[] = {"localhost",
	                                    "localhost:4566",
	                                    "s3.localhost",
	                                    "s3.amazonaws.com",
	                                    "s3.us-east-1.amazonaws.com",
	                                    "127.0.0.1:4566",
	                                    "",
	                                    "example.com",
	                                    "x.lambda-url.us-east-1.localhost",
	                                    "s3.dualstack.us-east-1.amazonaws.com"};
	for (size_t i = 0; i < sizeof(virtual) / sizeof(*virtual); i++)
		assert_str(s3_bucket_of_host(str_from(virtual[i][0])), virtual[i][1]);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		struct str b = s3_bucket_of_host(str_from(plain[i]));
		if (str_set(b))
			fail_msg("\"%s\" names no bucket, not \"%.*s\"", plain[i], STR_ARG(b));
	}
}

static void sources(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct s3_source s;
	assert_true(s3_source_parse(&a, S("/b/a%20b%2Bc/d?versionId=v%31"), &s));
	assert_str(s.bucket, "b");
	assert_str(s.key, "a b+c/d");
	assert_str(s.version_id, "v1");
	assert_true(s3_source_parse(&a, S("b/k+%3FversionId=x"), &s));
	assert_str(s.key, "k+?versionId=x");
	assert_false(str_set(s.version_id));
	static const char *const bad[] = {"", "/", "b", "/b/", "b/", "//k", "b/%zz", "b/k?versionId=%z"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(s3_source_parse(&a, str_from(bad[i]), &s));
}

static void canonical_ids(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str id = s3_canonical_id(&a, S("123456789012"));
	assert_int_equal(id.n, 64);
	assert_str(s3_account_of_canonical_id(&a, id), "123456789012");
	char *other = arena_dupz(&a, id);
	other[0] ^= 1;
	assert_false(str_set(s3_account_of_canonical_id(&a, str_of(other, 64))));
	assert_false(str_set(s3_account_of_canonical_id(&a, S("123456789012"))));
}

static void ranges(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		uint64_t size;
		enum range_result result;
		uint64_t offset, length;
	} rows[] = {
	        {"bytes=0-0", 10, RANGE_PART, 0, 1},
	        {"bytes=3-", 10, RANGE_PART, 3, 7},
	        {"bytes=-3", 10, RANGE_PART, 7, 3},
	        {"bytes=-30", 10, RANGE_PART, 0, 10},
	        {"bytes=5-99", 10, RANGE_PART, 5, 5},
	        {"Bytes=9-9", 10, RANGE_PART, 9, 1},
	        {"bytes=10-", 10, RANGE_OUTSIDE, 0, 0},
	        {"bytes=-0", 10, RANGE_OUTSIDE, 0, 0},
	        {"bytes=0-", 0, RANGE_OUTSIDE, 0, 0},
	        {"bytes=-1", 0, RANGE_OUTSIDE, 0, 0},
	        {"bytes=5-4", 10, RANGE_WHOLE, 0, 0},
	        {"bytes=1-2,4-5", 10, RANGE_WHOLE, 0, 0},
	        {"bytes=", 10, RANGE_WHOLE, 0, 0},
	        {"bytes=-", 10, RANGE_WHOLE, 0, 0},
	        {"items=0-1", 10, RANGE_WHOLE, 0, 0},
	        {"bytes=a-b", 10, RANGE_WHOLE, 0, 0},
	        {"bytes=99999999999999999999-", 10, RANGE_WHOLE, 0, 0},
	        {"bytes=0-18446744073709551615", 10, RANGE_PART, 0, 10},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t offset = 0, length = 0;
		enum range_result got = range_parse(str_from(rows[i].header), rows[i].size, &offset, &length);
		if (got != rows[i].result || (got == RANGE_PART && (offset != rows[i].offset || length != rows[i].length)))
			fail_msg("%s of %llu", rows[i].header, (unsigned long long)rows[i].size);
	}
	uint64_t offset, length;
	assert_int_equal(range_parse_exact(S("bytes=2-5"), 6, &offset, &length), RANGE_PART);
	assert_int_equal(offset, 2);
	assert_int_equal(length, 4);
	assert_int_equal(range_parse_exact(S("bytes=2-6"), 6, &offset, &length), RANGE_OUTSIDE);
	assert_int_equal(range_parse_exact(S("bytes=2-"), 6, &offset, &length), RANGE_WHOLE);
}

static void conditions(void **state)
{
	(void)state;
	const char *failed = NULL;
	const int64_t t = 1700000000500;
	/* If-Match that holds overrides a time that does not. */
	assert_int_equal(conditions_check(&(struct conditions){.if_match = S("\"a\""), .if_unmodified_since = OPT_TIME(0)}, S("a"),
	                                  t, &failed),
	                 CONDITION_MET);
	assert_int_equal(conditions_check(&(struct conditions){.if_match = S("\"b\", \"c\"")}, S("a"), t, &failed),
	                 CONDITION_FAILED);
	assert_string_equal(failed, "If-Match");
	assert_int_equal(conditions_check(&(struct conditions){.if_unmodified_since = OPT_TIME(t - 1000)}, S("a"), t, &failed),
	                 CONDITION_FAILED);
	/* Dates have whole seconds: the object's own is no change. */
	assert_int_equal(conditions_check(&(struct conditions){.if_modified_since = OPT_TIME(1700000000000)}, S("a"), t, &failed),
	                 CONDITION_NOT_MODIFIED);
	assert_int_equal(conditions_check(&(struct conditions){.if_unmodified_since = OPT_TIME(1700000000000)}, S("a"), t, &failed),
	                 CONDITION_MET);
	assert_int_equal(conditions_check(&(struct conditions){.if_none_match = S("W/\"a\"")}, S("a"), t, &failed),
	                 CONDITION_NOT_MODIFIED);
	assert_int_equal(conditions_check(&(struct conditions){.if_none_match = S("\"x\""), .if_modified_since = OPT_TIME(t)},
	                                  S("a"), t, &failed),
	                 CONDITION_MET);
	assert_true(etag_matches(S("*"), S("a")));
	assert_true(etag_matches(S("a"), S("a")));
}

static void checksums(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	static const enum hash_kind kinds[] = {HASH_CRC32, HASH_CRC32C, HASH_CRC64NVME};
	static char text[3000];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
	for (size_t k = 0; k < 3; k++)
		for (size_t cut = 1; cut < sizeof(text); cut += 499) {
			unsigned char digest[HASH_MAX_BYTES];
			struct str parts[3];
			const uint64_t lengths[3] = {cut, 0, sizeof(text) - cut};
			hash_of(kinds[k], str_of(text, cut), digest);
			parts[0] = checksum_text(&a, kinds[k], digest);
			hash_of(kinds[k], S(""), digest);
			parts[1] = checksum_text(&a, kinds[k], digest);
			hash_of(kinds[k], str_of(text + cut, sizeof(text) - cut), digest);
			parts[2] = checksum_text(&a, kinds[k], digest);
			hash_of(kinds[k], str_of(text, sizeof(text)), digest);
			assert_true(str_eq(checksum_full(&a, kinds[k], parts, lengths, 3), checksum_text(&a, kinds[k], digest)));
		}
	/* SHA-256 of the two digests of "a" and "b". */
	unsigned char both[2 * HASH_MAX_BYTES], digest[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, S("a"), both);
	struct str one = checksum_text(&a, HASH_SHA256, both);
	hash_of(HASH_SHA256, S("b"), both + 32);
	struct str two = checksum_text(&a, HASH_SHA256, both + 32);
	hash_of(HASH_SHA256, str_of(both, 64), digest);
	struct str want = ARENA_CAT(&a, checksum_text(&a, HASH_SHA256, digest), S("-2"));
	assert_true(str_eq(checksum_composite(&a, HASH_SHA256, (struct str[]){one, two}, 2), want));
	assert_false(str_set(checksum_composite(&a, HASH_SHA256, (struct str[]){one, STR_NONE}, 2)));
	assert_false(checksum_bytes(&a, HASH_SHA256, S("AAAA"), digest));
	assert_false(checksum_bytes(&a, HASH_CRC32, S("????"), digest));
}

static void lifecycle(void **state)
{
	(void)state;
	struct str_map_entry entry = {S("k"), S("v")};
	struct str_map tags = {.v = &entry, .n = 1}, none = {0};
	struct s3_tag tag = {S("k"), S("v")};
	struct s3_lifecycle_rule_filter by_tag = {.tag = &tag},
	                                by_size = {.object_size_greater_than = OPT_INT(10), .prefix = STR_NONE};
	struct s3_lifecycle_rule r = {.status = S("Enabled"), .filter = &by_tag};
	assert_true(lifecycle_applies(&r, S("x"), &tags, 1));
	assert_false(lifecycle_applies(&r, S("x"), &none, 1));
	r.filter = &by_size;
	assert_false(lifecycle_applies(&r, S("x"), &none, 10));
	assert_true(lifecycle_applies(&r, S("x"), &none, 11));
	struct s3_lifecycle_rule_and_operator and = {
	        .prefix = S("p/"), .tags = {.v = &tag, .n = 1}, .object_size_less_than = OPT_INT(5)};
	struct s3_lifecycle_rule_filter all = {.and = &and};
	r.filter = &all;
	assert_true(lifecycle_applies(&r, S("p/x"), &tags, 4));
	assert_false(lifecycle_applies(&r, S("p/x"), &tags, 5));
	assert_false(lifecycle_applies(&r, S("q/x"), &tags, 4));
	assert_false(lifecycle_applies(&r, S("p/x"), &none, 4));
	r.status = S("Disabled");
	assert_false(lifecycle_applies(&r, S("p/x"), &tags, 4));

	/* A day ends at the midnight after 24 hours have passed. */
	assert_int_equal(lifecycle_midnight(10 * DAY_MS, 1), 11 * DAY_MS);
	assert_int_equal(lifecycle_midnight(10 * DAY_MS + 1, 1), 12 * DAY_MS);
	struct s3_lifecycle_expiration e = {.days = OPT_INT(3)};
	r.expiration = &e;
	assert_int_equal(lifecycle_expires(&r, 10 * DAY_MS + 5), 14 * DAY_MS);
	e = (struct s3_lifecycle_expiration){.date = OPT_TIME(77 * DAY_MS)};
	assert_int_equal(lifecycle_expires(&r, 0), 77 * DAY_MS);
	e = (struct s3_lifecycle_expiration){.expired_object_delete_marker = OPT_BOOL(true)};
	assert_int_equal(lifecycle_expires(&r, 0), INT64_MAX);
}

static void cors(void **state)
{
	(void)state;
	struct str origins[] = {S("http://*.example.com")}, methods[] = {S("GET")}, headers[] = {S("x-amz-*")};
	struct s3_cors_rule rule = {.allowed_origins = {origins, 1, true},
	                            .allowed_methods = {methods, 1, true},
	                            .allowed_headers = {headers, 1, true}};
	struct s3_cors_configuration k = {.cors_rules = {&rule, 1, true}};
	assert_ptr_equal(cors_match(&k, S("http://a.example.com"), S("GET"), S("X-Amz-Date, x-amz-y")), &rule);
	assert_null(cors_match(&k, S("http://a.example.com"), S("GET"), S("x-amz-date, cookie")));
	assert_null(cors_match(&k, S("http://a.example.com"), S("get"), STR_NONE));
	assert_null(cors_match(&k, S("https://a.example.com"), S("GET"), STR_NONE));
	assert_null(cors_match(NULL, S("a"), S("GET"), STR_NONE));
}

#define FORM_HEAD "--B\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nu/x\r\n"
#define FORM_FILE "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: a/b\r\n\r\n"

static void forms(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct post_fields f;
	struct str whole = S(FORM_HEAD FORM_FILE "DATA");
	assert_int_equal(post_fields_parse(&a, whole, S("B"), &f), (long)(whole.n - 4));
	assert_str(post_field(&f, "KEY"), "u/x");
	assert_str(f.file_name, "f");
	assert_str(f.file_type, "a/b");
	/* Cut anywhere, it asks for more. */
	for (size_t n = 0; n < whole.n - 4; n++)
		assert_int_equal(post_fields_parse(&a, str_sub(whole, 0, n), S("B"), &f), 0);
	assert_true(post_fields_parse(&a, S("x"), S("B"), &f) < 0);
	assert_true(post_fields_parse(&a, S(FORM_HEAD "--B--\r\n"), S("B"), &f) < 0);
	assert_str(post_boundary(&a, S("multipart/form-data; boundary=\"x y\"")), "x y");
	assert_false(str_set(post_boundary(&a, S("text/plain; boundary=x"))));

	struct str why;
	int64_t min = -1, max = -1;
	assert_int_equal(post_fields_parse(&a, whole, S("B"), &f), (long)(whole.n - 4));
	assert_true(post_policy_permits(
	        &a,
	        S("{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[{\"bucket\":\"b\"},[\"starts-with\",\"$key\",\"u/\"],"
	          "[\"content-length-range\",\"2\",9]]}"),
	        &f, S("b"), 0, &why, &min, &max));
	assert_int_equal(min, 2);
	assert_int_equal(max, 9);
	static const char *const bad[][2] = {
	        {"{\"expiration\":\"1960-01-01T00:00:00Z\",\"conditions\":[{\"key\":\"u/x\"}]}", "Policy expired."},
	        {"{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[{\"key\":\"u/y\"}]}",
	         "Policy Condition failed: [\"eq\", \"$key\", \"u/y\"]"},
	        {"{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[]}", "Extra input fields: key"},
	        {"{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[[\"like\",\"$key\",\"u\"]]}", "Invalid Condition."},
	        {"{\"conditions\":[]}", "Invalid JSON."},
	        {"[", "Invalid JSON."},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(post_policy_permits(&a, str_from(bad[i][0]), &f, S("b"), 0, &why, &min, &max));
		assert_str(why, bad[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bucket_names),  cmocka_unit_test(hosts),     cmocka_unit_test(sources),
	        cmocka_unit_test(canonical_ids), cmocka_unit_test(ranges),    cmocka_unit_test(conditions),
	        cmocka_unit_test(checksums),     cmocka_unit_test(lifecycle), cmocka_unit_test(cors),
	        cmocka_unit_test(forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
