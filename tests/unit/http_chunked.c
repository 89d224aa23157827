#include "unit.h"

#include "http/chunked.h"

#include <errno.h>
#include <stdlib.h>

/* The chain of AWS's published example: each signature covers the one before it. */
struct chain {
	unsigned char key[32];
	char previous[65];
	unsigned chunks, trailers;
};

static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void chain_init(struct chain *h)
{
	struct str parts[] = {S("20130524"), S("us-east-1"), S("s3"), S("aws4_request")};
	unsigned char key[32];
	struct str secret = S("AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
	hmac_sha256(secret, parts[0], key);
	for (int i = 1; i < 4; i++)
		hmac_sha256(str_of(key, 32), parts[i], key);
	*h = (struct chain){0};
	memcpy(h->key, key, 32);
	strcpy(h->previous, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
}

static bool chain_check(struct chain *h, const char *kind, const char *middle, struct str sha256_hex, struct str signature)
{
	struct arena CLEAN_ARENA a = {0};
	struct str text = arena_printf(&a, "%s\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n%s\n%s%.*s", kind,
	                               h->previous, middle, STR_ARG(sha256_hex));
	unsigned char mac[32];
	hmac_sha256(str_of(h->key, 32), text, mac);
	hex_encode(mac, 32, h->previous);
	return str_eq(str_of(h->previous, 64), signature);
}

static bool check_chunk(void *ctx, struct str sha256_hex, struct str signature)
{
	struct chain *h = ctx;
	struct arena CLEAN_ARENA a = {0};
	h->chunks++;
	return chain_check(h, "AWS4-HMAC-SHA256-PAYLOAD", arena_printf(&a, "%s\n", empty_sha256).p, sha256_hex, signature);
}

static bool check_trailer(void *ctx, struct str sha256_hex, struct str signature)
{
	struct chain *h = ctx;
	h->trailers++;
	return chain_check(h, "AWS4-HMAC-SHA256-TRAILER", "", sha256_hex, signature);
}

/* Runs `in` through a decoder in steps of `step` bytes; the decoded length, or the error. */
static int64_t decode(const struct chunked_rules *rules, struct str in, size_t step, struct chunked *ret_c)
{
	struct chunked_rules mine = *rules;
	chunked_init(ret_c, &mine);
	uint64_t sum = 0;
	for (size_t at = 0; at < in.n; at += step) {
		struct str part = str_sub(in, at, step), piece = STR_NONE;
		int got;
		while ((got = chunked_next(ret_c, &part, &piece)) > 0) {
			for (size_t i = 0; i < piece.n; i++)
				assert_int_equal(piece.p[i], 'a');
			sum += piece.n;
		}
		if (got < 0)
			return got;
	}
	int end = chunked_finish(ret_c);
	return end < 0 ? end : (int64_t)sum;
}

static struct str fill(struct arena *a, size_t n)
{
	char *p = arena_alloc(a, n);
	memset(p, 'a', n);
	return str_of(p, n);
}

static struct str example(struct arena *a)
{
	return ARENA_CAT(
	        a, S("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"), fill(a, 65536),
	        S("\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"), fill(a, 1024),
	        S("\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"));
}

static void published_example(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str in = example(&a);
	assert_int_equal(in.n, 66824);
	for (size_t step = 1; step <= in.n; step = step * 7 + 1) {
		struct chain h;
		chain_init(&h);
		struct chunked c;
		struct chunked_rules rules = {
		        .decoded_length = 66560, .check_chunk = check_chunk, .check_trailer = check_trailer, .ctx = &h};
		assert_int_equal(decode(&rules, in, step, &c), 66560);
		assert_int_equal(h.chunks, 3);
		chunked_done(&c);
	}
}

static void forged_bytes_are_found(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str in = example(&a);
	/* a byte of data in each chunk cannot be told by the example's content, so the signatures are changed: one digit each */
	size_t at[] = {30, 65536 + 85 + 2 + 30, in.n - 10};
	for (unsigned i = 0; i < 3; i++) {
		char *copy = arena_dupz(&a, in);
		copy[at[i]] = copy[at[i]] == '0' ? '1' : '0';
		struct chain h;
		chain_init(&h);
		struct chunked c;
		struct chunked_rules rules = {.decoded_length = 66560, .check_chunk = check_chunk, .ctx = &h};
		assert_int_equal(decode(&rules, str_of(copy, in.n), 4096, &c), -EBADMSG);
		assert_int_equal(h.chunks, i + 1);
		chunked_done(&c);
	}
}

static void unsigned_chunks_with_trailer(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str in =
	        ARENA_CAT(&a, S("2000\r\n"), fill(&a, 8192), S("\r\n3\r\naaa\r\n0\r\nx-amz-checksum-CRC32: sOO8/Q== \r\n\r\n"));
	struct chunked c;
	struct chunked_rules rules = {.decoded_length = 8195, .trailer = true};
	assert_int_equal(decode(&rules, in, 5, &c), 8195);
	assert_str(chunked_trailer(&c, S("x-amz-checksum-crc32")), "sOO8/Q==");
	assert_false(str_set(chunked_trailer(&c, S("x-amz-checksum-crc64nvme"))));
	chunked_done(&c);
	/* cut at every offset it never counts as whole */
	for (size_t cut = 8190; cut < in.n; cut++) {
		assert_int_equal(decode(&rules, str_sub(in, 0, cut), 4096, &c), -EPROTO);
		chunked_done(&c);
	}
}

static void signed_trailer(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct chain h;
	chain_init(&h);
	/* Sign with the same chain that checks. */
	struct str trailer = S("x-amz-checksum-crc32c:wdBDMA==\n");
	check_chunk(&h, hash_hex(&a, HASH_SHA256, fill(&a, 10)), S(""));
	struct str one = arena_dup(&a, str_of(h.previous, 64));
	check_chunk(&h, str_from(empty_sha256), S(""));
	struct str two = arena_dup(&a, str_of(h.previous, 64));
	check_trailer(&h, hash_hex(&a, HASH_SHA256, trailer), S(""));
	struct str three = arena_dup(&a, str_of(h.previous, 64));
	struct chunked_rules rules = {
	        .decoded_length = 10, .trailer = true, .check_chunk = check_chunk, .check_trailer = check_trailer, .ctx = &h};
	struct str head = ARENA_CAT(&a, S("a;chunk-signature="), one, S("\r\naaaaaaaaaa\r\n0;chunk-signature="), two,
	                            S("\r\nx-amz-checksum-crc32c:"));
	struct str good = ARENA_CAT(&a, head, S("wdBDMA==\r\nx-amz-trailer-signature:"), three, S("\r\n\r\n"));
	struct str changed = ARENA_CAT(&a, head, S("wdBDMB==\r\nx-amz-trailer-signature:"), three, S("\r\n\r\n"));
	struct str missing = ARENA_CAT(&a, head, S("wdBDMA==\r\n\r\n"));
	struct {
		struct str in;
		int64_t want;
	} cases[] = {{good, 10}, {changed, -EBADMSG}, {missing, -EPROTO}};
	for (unsigned i = 0; i < 3; i++) {
		chain_init(&h);
		struct chunked c;
		assert_int_equal(decode(&rules, cases[i].in, 1000, &c), cases[i].want);
		chunked_done(&c);
	}
}

static void bad_framing(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct {
		struct str in;
		int64_t length;
		bool trailer;
		int64_t want;
	} cases[] = {
	        {S("3\r\naaa\r\n0\r\n\r\n"), 3, false, 3},
	        {S("0\r\n\r\n"), 0, false, 0},
	        {S("3\r\naaa\r\n0\r\n\r\n"), -1, false, 3},
	        {S("3\r\naaa\r\n0\r\n\r\n"), 4, false, -EPROTO},             /* fewer than announced */
	        {S("3\r\naaa\r\n0\r\n\r\n"), 2, false, -EPROTO},             /* more */
	        {S("3\r\naaa\r\n1\r\na\r\n0\r\n\r\n"), 4, false, -EMSGSIZE}, /* a small chunk that is not the last */
	        {S("3\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("3\r\naaaa\r\n0\r\n\r\n"), 4, false, -EPROTO}, /* longer than it said */
	        {S("\r\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("-3\r\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("0x3\r\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("fffffffffffffffffff3\r\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("ffffffffffff\r\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("3;chunk-signature=0\r\naaa\r\n0\r\n\r\n"), 3, false, -EPROTO},
	        {S("3\r\naaa\r\n0\r\n\r\nx"), 3, false, -EPROTO},       /* bytes behind the end */
	        {S("3\r\naaa\r\n0\r\n\r\n"), 3, true, -EPROTO},         /* the announced trailer is missing */
	        {S("3\r\naaa\r\n0\r\nx:y\r\n\r\n"), 3, false, -EPROTO}, /* one that was not announced */
	        {S("3\r\naaa\r\n0\r\nx\r\n\r\n"), 3, true, -EPROTO},
	        {S("3\r\naaa\r\n0\r\n:y\r\n\r\n"), 3, true, -EPROTO},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 100; step += 90) {
			struct chunked c;
			struct chunked_rules rules = {.decoded_length = cases[i].length, .trailer = cases[i].trailer};
			int64_t got = decode(&rules, cases[i].in, step, &c);
			if (got != cases[i].want)
				fail_msg("case %u, step %zu: got %lld, want %lld", i, step, (long long)got,
				         (long long)cases[i].want);
			chunked_done(&c);
		}
	struct str flood = ARENA_CAT(&a, S("3\r\naaa\r\n0\r\nx:"), fill(&a, 100), S("\r\n"));
	struct chunked c;
	chunked_init(&c, &(struct chunked_rules){.decoded_length = -1, .trailer = true});
	struct str in = flood, piece;
	assert_int_equal(chunked_next(&c, &in, &piece), 1);
	assert_int_equal(chunked_next(&c, &in, &piece), 0);
	int got = 0;
	for (int i = 0; i < 200 && got == 0; i++) { /* a trailer without end meets a limit */
		in = str_from_at(flood, 11);
		got = chunked_next(&c, &in, &piece);
	}
	assert_int_equal(got, -EPROTO);
	chunked_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(published_example),
	        cmocka_unit_test(forged_bytes_are_found),
	        cmocka_unit_test(unsigned_chunks_with_trailer),
	        cmocka_unit_test(signed_trailer),
	        cmocka_unit_test(bad_framing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
