/* Certificates: what is issued says what was asked for, and what does not belong together is told apart. */
#include "unit.h"

#include "base/cert.h"

enum { FROM_S = 1700000000, DAY_S = 86400 };

static struct cert_bundle issue(struct arena *a, const char *name, const char *names, const char *algorithm,
                                const struct cert_bundle *by)
{
	const struct cert_wish wish = {.organisation = S("Tests"),
	                               .common_name = str_from(name),
	                               .names = names,
	                               .algorithm = algorithm,
	                               .from_s = FROM_S,
	                               .until_s = FROM_S + DAY_S};
	struct cert_bundle made = {0};
	assert_true(cert_issue(a, &wish, by, &made));
	return made;
}

static enum cert_fault check(struct str body, struct str chain, struct str key, int *ret_index)
{
	const struct cert_bundle b = {body, chain, key};
	*ret_index = 77;
	return cert_check(&b, ret_index);
}

static void what_is_issued_says_what_was_asked_for(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct cert_bundle ca = issue(&a, "Root", NULL, "EC_prime256v1", NULL);
	struct cert_bundle site = issue(&a, "www.example.com", "DNS:www.example.com,DNS:*.example.com", "RSA_2048", &ca);
	struct cert_facts f;
	assert_true(cert_read(&a, site.body, &f));
	assert_str(f.subject, "O=Tests, CN=www.example.com");
	assert_str(f.issuer, "O=Tests, CN=Root");
	assert_str(f.issuer_name, "Tests");
	assert_str(f.common_name, "www.example.com");
	assert_str(f.key_algorithm, "RSA_2048");
	assert_str(f.signature_algorithm, "SHA256WITHECDSA");
	assert_int_equal(f.not_before_ms, FROM_S * 1000LL);
	assert_int_equal(f.not_after_ms, (FROM_S + DAY_S) * 1000LL);
	assert_int_equal(f.version, 3);
	assert_int_equal(f.name_count, 2);
	assert_str(f.names[1], "*.example.com");
	assert_true(f.has_usages);
	assert_int_equal(f.usages, 1 << 0 | 1 << 2);
	assert_int_equal(f.purpose_count, 1);
	assert_str(f.purposes[0], "1.3.6.1.5.5.7.3.1");
	assert_int_equal(f.serial.n, 16 * 3 - 1);
	assert_false(f.self_signed);
	assert_true(str_eq(site.chain, ca.body));
	assert_true(cert_read(&a, ca.body, &f) && f.self_signed);
	assert_str(f.key_algorithm, "EC_prime256v1");
	assert_int_equal(f.usages, 1 << 5 | 1 << 6);
	assert_int_equal(f.name_count, 0);
	assert_false(cert_read(&a, S("hello"), &f));
}

static void what_does_not_belong_together_is_told_apart(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct cert_bundle ca = issue(&a, "Root", NULL, "EC_prime256v1", NULL);
	struct cert_bundle other = issue(&a, "Root", NULL, "EC_prime256v1", NULL); /* the same name, another key */
	struct cert_bundle site = issue(&a, "a.test", "DNS:a.test", "EC_secp384r1", &ca);
	struct str two = ARENA_CAT(&a, ca.body, other.body), junk = ARENA_CAT(&a, ca.body, S("x"));
	int at;
	assert_int_equal(check(site.body, site.chain, site.key, &at), CERT_GOOD);
	assert_int_equal(check(site.body, STR_NONE, STR_NONE, &at), CERT_GOOD);
	assert_int_equal(check(S(""), STR_NONE, site.key, &at), CERT_MALFORMED);
	assert_int_equal(check(ARENA_CAT(&a, S("text "), site.body), STR_NONE, site.key, &at), CERT_MALFORMED);
	assert_int_equal(check(ARENA_CAT(&a, site.body, S("text")), STR_NONE, site.key, &at), CERT_MALFORMED);
	assert_int_equal(check(ARENA_CAT(&a, site.body, ca.body), STR_NONE, site.key, &at), CERT_SEVERAL);
	assert_int_equal(check(site.body, STR_NONE, S("key"), &at), CERT_BAD_KEY);
	assert_int_equal(check(site.body, STR_NONE,
	                       S("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), &at),
	                 CERT_LOCKED_KEY);
	assert_int_equal(check(site.body, STR_NONE, ca.key, &at), CERT_OTHER_KEY);
	assert_int_equal(check(site.body, S(" "), site.key, &at), CERT_BAD_CHAIN);
	assert_int_equal(check(site.body, junk, site.key, &at), CERT_BAD_CHAIN);
	assert_int_equal(check(site.body, other.body, site.key, &at), CERT_BROKEN_CHAIN);
	assert_int_equal(at, -1);
	assert_int_equal(check(site.body, two, site.key, &at), CERT_BROKEN_CHAIN);
	assert_int_equal(at, 0);
	/* cut anywhere, it is no certificate */
	for (size_t n = 0; n + 30 < site.body.n; n += 7)
		assert_int_equal(check(str_sub(site.body, 0, n), STR_NONE, site.key, &at), CERT_MALFORMED);
}

static void certificates_and_lists_are_counted(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct cert_bundle one = issue(&a, "One", NULL, "EC_prime256v1", NULL), two = issue(&a, "Two", NULL, "EC_prime256v1", NULL);
	assert_int_equal(cert_count(one.body), 1);
	assert_int_equal(cert_count(ARENA_CAT(&a, S("words\n"), one.body, S("\n\n# more\n"), two.body)), 2);
	assert_int_equal(cert_count(S("")), 0);
	assert_int_equal(cert_count(S("words")), 0);
	assert_int_equal(cert_count(str_sub(one.body, 0, one.body.n / 2)), -1);
	assert_int_equal(cert_count(ARENA_CAT(&a, one.body, S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))),
	                 -1);
	assert_int_equal(cert_count_revoked(one.body), -1);
	assert_int_equal(cert_count_revoked(S("")), -1);
	assert_int_equal(cert_count_revoked(S("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")), -1);
}

static void what_openssl_cannot_make_is_not_made(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct cert_bundle made;
	struct cert_wish wish = {.common_name = S("x"), .algorithm = "EC_nothing", .from_s = FROM_S, .until_s = FROM_S};
	assert_false(cert_issue(&a, &wish, NULL, &made));
	wish.algorithm = "EC_prime256v1";
	wish.names = "DNS";
	assert_false(cert_issue(&a, &wish, NULL, &made));
	wish.names = "DNS:a.test";
	assert_false(cert_issue(&a, &wish, &(struct cert_bundle){.body = S("x"), .key = S("y")}, &made));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_issued_says_what_was_asked_for),
	        cmocka_unit_test(what_does_not_belong_together_is_told_apart),
	        cmocka_unit_test(certificates_and_lists_are_counted),
	        cmocka_unit_test(what_openssl_cannot_make_is_not_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
