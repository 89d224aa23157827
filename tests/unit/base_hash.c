#include "unit.h"

#include "base/hash.h"

static void check(enum hash_kind kind, const char *text, const char *hex)
{
	struct arena CLEAN_ARENA a = {0};
	assert_str(hash_hex(&a, kind, str_from(text)), hex);
	/* The same in pieces of three bytes. */
	struct hash h;
	unsigned char out[HASH_MAX_BYTES];
	char got[2 * HASH_MAX_BYTES + 1];
	hash_init(&h, kind);
	for (struct str s = str_from(text); s.n; s = str_from_at(s, 3))
		hash_add(&h, s.p, s.n < 3 ? s.n : 3);
	hash_end(&h, out);
	hex_encode(out, hash_size(kind), got);
	assert_str(str_from(got), hex);
}

static void matches_published_values(void **state)
{
	(void)state;
	check(HASH_MD5, "", "d41d8cd98f00b204e9800998ecf8427e");
	check(HASH_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
	check(HASH_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check(HASH_CRC32, "123456789", "cbf43926");
	check(HASH_CRC32C, "123456789", "e3069283");
	check(HASH_CRC64NVME, "123456789", "ae8b14860a799888");
}

static void signs_like_rfc4231(void **state)
{
	(void)state;
	unsigned char out[32];
	char hex[65];
	hmac_sha256(S("Jefe"), S("what do ya want for nothing?"), out);
	hex_encode(out, 32, hex);
	assert_str(str_from(hex), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	char key[131];
	memset(key, 0xaa, sizeof(key));
	hmac_sha256(str_of(key, sizeof(key)), S("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	hex_encode(out, 32, hex);
	assert_str(str_from(hex), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void decodes_hex_or_refuses(void **state)
{
	(void)state;
	unsigned char out[2] = {9, 9};
	assert_false(hex_decode(S("0g00"), out, 2));
	assert_false(hex_decode(S("000"), out, 2));
	assert_int_equal(out[0], 9);
	assert_true(hex_decode(S("A0ff"), out, 2));
	assert_int_equal(out[0], 0xa0);
	assert_true(hash_equal(S("abc"), S("abc")));
	assert_false(hash_equal(S("abc"), S("abd")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(matches_published_values),
	        cmocka_unit_test(signs_like_rfc4231),
	        cmocka_unit_test(decodes_hex_or_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
