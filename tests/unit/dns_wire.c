/* DNS messages by their bytes: what is read of queries, what is refused, what answers look like. */
#include "unit.h"

#include "engine/dns/wire.h"

#include <string.h>

/* id 0x1234, RD, one question: Ip-10-0-0-5.EC2.internal A IN */
static const uint8_t plain[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                               "\x0bIp-10-0-0-5\x03"
                               "EC2\x08internal\x00\x00\x01\x00\x01";
enum { PLAIN_N = sizeof(plain) - 1 };
static const uint8_t opt[] = "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";
enum { OPT_N = sizeof(opt) - 1 };

static size_t with_opt(uint8_t *out, uint16_t size)
{
	memcpy(out, plain, PLAIN_N);
	memcpy(out + PLAIN_N, opt, OPT_N);
	out[11] = 1;
	out[PLAIN_N + 3] = (uint8_t)(size >> 8);
	out[PLAIN_N + 4] = (uint8_t)size;
	return PLAIN_N + OPT_N;
}

static void queries_are_read(void **state)
{
	(void)state;
	struct dns_query q;
	uint8_t extended[128];
	assert_int_equal(dns_query_read(plain, PLAIN_N, &q), DNS_OK);
	assert_string_equal(q.name, "ip-10-0-0-5.ec2.internal");
	assert_true(q.plain && q.recursion && !q.extended);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_A);
	assert_int_equal(q.limit, 512);
	assert_int_equal(q.question_n, PLAIN_N - DNS_HEAD);
	assert_int_equal(dns_query_read(extended, with_opt(extended, 1232), &q), DNS_OK);
	assert_true(q.extended);
	assert_int_equal(q.limit, 1232);
	dns_query_read(extended, with_opt(extended, 100), &q);
	assert_int_equal(q.limit, 512);
	dns_query_read(extended, with_opt(extended, 65535), &q);
	assert_int_equal(q.limit, DNS_LARGE_MAX);
	/* every shorter one is refused, and read no further than it is */
	for (size_t n = 0; n < PLAIN_N; n++)
		assert_int_not_equal(dns_query_read(plain, n, &q), DNS_OK);
	size_t n = with_opt(extended, 512);
	for (size_t k = PLAIN_N; k < n; k++)
		assert_int_equal(dns_query_read(extended, k, &q), DNS_FORMAT_ERROR);
	/* the root, and a name that no answerer may take for another */
	static const uint8_t root[] = "\0\1\0\0\0\1\0\0\0\0\0\0\0\0\2\0\1", odd[] = "\0\1\0\0\0\1\0\0\0\0\0\0\3a.b\0\0\1\0\1";
	assert_int_equal(dns_query_read(root, sizeof(root) - 1, &q), DNS_OK);
	assert_string_equal(q.name, "");
	assert_int_equal(dns_query_read(odd, sizeof(odd) - 1, &q), DNS_OK);
	assert_false(q.plain);
}

static void others_are_refused(void **state)
{
	(void)state;
	struct dns_query q;
	uint8_t m[512];
	memcpy(m, plain, PLAIN_N);
	m[2] = 0x81; /* an answer: two servers would answer each other for ever */
	assert_int_equal(dns_query_read(m, PLAIN_N, &q), -1);
	m[2] = 0x29; /* an update */
	assert_int_equal(dns_query_read(m, PLAIN_N, &q), DNS_NOT_IMPLEMENTED);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.question_n, 0);
	memcpy(m, plain, PLAIN_N);
	m[5] = 2; /* two questions */
	assert_int_equal(dns_query_read(m, PLAIN_N, &q), DNS_FORMAT_ERROR);
	memcpy(m, plain, PLAIN_N);
	m[DNS_HEAD] = 0xc0; /* a pointer in the question */
	assert_int_equal(dns_query_read(m, PLAIN_N, &q), DNS_FORMAT_ERROR);
	size_t n = with_opt(m, 512);
	memcpy(m + n, opt, OPT_N);
	m[11] = 2; /* two OPT records */
	assert_int_equal(dns_query_read(m, n + OPT_N, &q), DNS_FORMAT_ERROR);
	/* a name of 256 bytes */
	memset(m, 0, sizeof(m));
	m[5] = 1;
	for (size_t at = DNS_HEAD; at < DNS_HEAD + 256; at += 64)
		m[at] = 63, memset(m + at + 1, 'a', 63);
	assert_int_equal(dns_query_read(m, sizeof(m), &q), DNS_FORMAT_ERROR);
}

static void answers_are_written(void **state)
{
	(void)state;
	struct dns_query q;
	struct dns_writer w;
	uint8_t query[128], out[DNS_PLAIN_MAX];
	dns_query_read(query, with_opt(query, 512), &q);
	dns_begin(&w, out, sizeof(out), query, &q);
	dns_put_address(&w, DNS_ANSWER, NULL, 60, 0x0a000005);
	size_t n = dns_end(&w, DNS_OK);
	assert_memory_equal(out, "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x01", 12);
	assert_memory_equal(out + PLAIN_N, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x05", 16);
	assert_memory_equal(out + PLAIN_N + 16, opt, OPT_N);
	assert_int_equal(n, PLAIN_N + 16 + OPT_N);
	assert_true(dns_answers(query, &q, 0x1234, out, n));
	assert_false(dns_answers(query, &q, 0x1235, out, n));
	out[DNS_HEAD + 1] ^= 0x20; /* case does not matter, letters do */
	assert_true(dns_answers(query, &q, 0x1234, out, n));
	out[DNS_HEAD + 2] = 'x';
	assert_false(dns_answers(query, &q, 0x1234, out, n));
	assert_false(dns_answers(query, &q, 0x1234, query, n));
	/* what does not fit is cut off whole */
	dns_begin(&w, out, sizeof(out), query, &q);
	for (int i = 0; i < 100; i++)
		dns_put_address(&w, DNS_ANSWER, NULL, 60, 0x0a000005);
	n = dns_end(&w, DNS_OK);
	assert_int_equal(n, PLAIN_N + OPT_N);
	assert_int_equal(out[2] & 0x02, 0x02);
	assert_int_equal(out[7], 0);
	/* what a message cannot be understood by is refused with its head alone */
	query[2] = 0x29;
	dns_query_read(query, PLAIN_N, &q);
	assert_int_equal(dns_refuse(out, sizeof(out), query, &q, DNS_NOT_IMPLEMENTED), DNS_HEAD);
	assert_memory_equal(out, "\x12\x34\x81\x84\x00\x00\x00\x00\x00\x00\x00\x00", 12);
}

static void targets_are_written(void **state)
{
	(void)state;
	struct dns_query q;
	struct dns_writer w;
	uint8_t out[DNS_PLAIN_MAX];
	dns_query_read(plain, PLAIN_N, &q);
	dns_begin(&w, out, sizeof(out), plain, &q);
	dns_put_service(&w, DNS_ANSWER, NULL, 5, 1, 2, 8080, "a.b");
	w.authoritative = true;
	assert_int_equal(dns_end(&w, DNS_OK), PLAIN_N + 23);
	assert_memory_equal(out + PLAIN_N,
	                    "\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x05\x00\x0b\x00\x01\x00\x02\x1f\x90\x01"
	                    "a\x01"
	                    "b\x00",
	                    23);
}

static void names_are_written(void **state)
{
	(void)state;
	uint8_t out[DNS_NAME_MAX];
	char long_name[300] = {0};
	assert_int_equal(dns_name_write("a.bc", out), 6);
	assert_memory_equal(out, "\1a\2bc", 6);
	assert_int_equal(dns_name_write("", out), 1);
	assert_int_equal(dns_name_write("a..b", out), 0);
	assert_int_equal(dns_name_write(".a", out), 0);
	assert_int_equal(dns_name_write("a.", out), 0);
	memset(long_name, 'a', 64);
	assert_int_equal(dns_name_write(long_name, out), 0);
	for (size_t i = 0; i < 253; i++)
		long_name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(dns_name_write(long_name, out), 255);
	long_name[253] = '.';
	long_name[254] = 'a';
	assert_int_equal(dns_name_write(long_name, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(queries_are_read), cmocka_unit_test(others_are_refused),
	                                   cmocka_unit_test(answers_are_written), cmocka_unit_test(names_are_written),
	                                   cmocka_unit_test(targets_are_written)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
