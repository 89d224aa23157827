#include "unit.h"

#include "base/base64.h"
#include "base/hash.h"
#include "core/sigv2.h"

/* Made by botocore 1.29 (HmacV1QueryAuth) at 1700000000 with a session token. */
#define KEY "AKIAIOSFODNN7EXAMPLE"
#define SECRET S("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
#define QUERY \
	"versionId=3/L4&response-content-type=text%2Fx&other=1&AWSAccessKeyId=" KEY "&Signature=vwwClwyKRktBu4IfJwQrUgbBeVU%3D" \
	"&x-amz-security-token=tok%2Fen%2B1&Expires=1700003600"

static enum sigv4_fault check(struct arena *a, const char *query, const char *path, int64_t now_ms, struct sigv4 *sig)
{
	struct sigv4_request r = {.method = S("GET"), .path = str_from(path), .query = str_from(query)};
	enum sigv4_fault fault = sigv4_read(a, &r, sig);
	return fault == SIGV4_GOOD ? sigv4_check(a, sig, SECRET, &r, STR_NONE, now_ms) : fault;
}

static void accepts_what_botocore_presigns(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig;
	assert_int_equal(check(&a, QUERY, "/bucket/a%20b", 1700000000000, &sig), SIGV4_GOOD);
	assert_true(sig.v2 && sig.s3);
	assert_str(sig.access_key_id, KEY);
	assert_str(sig.token, "tok/en+1");
	assert_int_equal(check(&a, QUERY, "/bucket/a%20b", 1700003600999, &sig), SIGV4_GOOD);
	assert_int_equal(check(&a, QUERY, "/bucket/a%20b", 1700003601000, &sig), SIGV4_FAULT_EXPIRED);
}

static void notices_every_change(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig;
	assert_int_equal(check(&a, QUERY, "/bucket/a%20c", 1700000000000, &sig), SIGV4_FAULT_MISMATCH);
	assert_int_equal(check(&a, QUERY "&acl", "/bucket/a%20b", 1700000000000, &sig), SIGV4_FAULT_MISMATCH);
	assert_int_equal(check(&a, QUERY "&x-amz-acl=public-read", "/bucket/a%20b", 1700000000000, &sig), SIGV4_FAULT_MISMATCH);
	assert_int_equal(check(&a, "AWSAccessKeyId=A&Signature=B", "/b/k", 0, &sig), SIGV4_FAULT_INCOMPLETE);
	assert_int_equal(check(&a, "AWSAccessKeyId=A&Signature=B&Expires=x", "/b/k", 0, &sig), SIGV4_FAULT_INCOMPLETE);
}

static void checks_forms(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig;
	unsigned char mac[20];
	hmac_sha1(S("key"), S("The quick brown fox jumps over the lazy dog"), mac);
	assert_str(base64_encode(&a, str_of(mac, 20)), "3nybhbi3iqa8ino29wqQcBydtNk=");
	sigv2_read_form(S("A"), S("3nybhbi3iqa8ino29wqQcBydtNk="), STR_NONE, &sig);
	assert_int_equal(sigv2_check_form(&a, &sig, S("key"), S("The quick brown fox jumps over the lazy dog")), SIGV4_GOOD);
	assert_int_equal(sigv2_check_form(&a, &sig, S("key"), S("The quick brown fox jumps over the lazy cog")),
	                 SIGV4_FAULT_MISMATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(accepts_what_botocore_presigns),
	        cmocka_unit_test(notices_every_change),
	        cmocka_unit_test(checks_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
