#include "unit.h"

#include "base/cbor.h"
#include "base/hash.h"

#include <math.h>
#include <stdlib.h>

/* RFC 8949's diagnostic notation of the item that the hexadecimal digits spell, or "!" and the reason. */
static void diagnose(struct buf *b, struct cbor_reader *r, struct cbor_item item)
{
	switch (item.kind) {
	case CBOR_UINT:
		buf_printf(b, "%llu", (unsigned long long)item.n);
		break;
	case CBOR_NINT:
		buf_printf(b, "-1-%llu", (unsigned long long)item.n);
		break;
	case CBOR_BYTES:
		buf_printf(b, "h'%zu'", item.text.n);
		break;
	case CBOR_TEXT:
		buf_printf(b, "\"%.*s\"", STR_ARG(item.text));
		break;
	case CBOR_TAG:
		buf_printf(b, "%llu:", (unsigned long long)item.n);
		diagnose(b, r, cbor_next(r));
		break;
	case CBOR_BOOL:
		buf_add_str(b, item.n ? S("true") : S("false"));
		break;
	case CBOR_NULL:
		buf_add_lit(b, "null");
		break;
	case CBOR_FLOAT:
		buf_printf(b, "%.17gf", item.d);
		break;
	case CBOR_ARRAY:
	case CBOR_MAP: {
		struct cbor_walk w = cbor_enter(r, &item);
		buf_add_char(b, '[');
		while (cbor_more(r, &w)) {
			if (item.kind == CBOR_MAP) {
				diagnose(b, r, cbor_next(r));
				buf_add_char(b, '=');
			}
			diagnose(b, r, cbor_next(r));
			buf_add_char(b, ',');
		}
		buf_add_char(b, ']');
		break;
	}
	default:
		break;
	}
}

static struct str read_hex(struct arena *a, const char *hex)
{
	size_t n = strlen(hex) / 2;
	unsigned char *bytes = arena_alloc(a, n + 1);
	assert_true(hex_decode(str_from(hex), bytes, n));
	struct cbor_reader r;
	cbor_reader_init(&r, a, str_of(bytes, n));
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	diagnose(&b, &r, cbor_next(&r));
	/* Skipping must agree with reading on where the item ends and whether it is one. */
	struct cbor_reader s;
	cbor_reader_init(&s, a, str_of(bytes, n));
	struct cbor_item first = cbor_next(&s);
	assert_int_equal(cbor_skip(&s, &first), !r.error);
	if (r.error)
		return arena_printf(a, "!%s", r.error);
	assert_ptr_equal(s.next, r.next);
	assert_true(cbor_done(&r));
	return arena_dup(a, buf_str(&b));
}

static void reads(void **state)
{
	(void)state;
	static const struct {
		const char *hex, *text;
	} cases[] = {
	        {"00", "0"},
	        {"17", "23"},
	        {"1818", "24"},
	        {"1903e8", "1000"},
	        {"1bffffffffffffffff", "18446744073709551615"},
	        {"20", "-1-0"},
	        {"3863", "-1-99"},
	        {"f90000", "0f"},
	        {"f93c00", "1f"},
	        {"f97bff", "65504f"},
	        {"f90001", "5.9604644775390625e-08f"},
	        {"f9c400", "-4f"},
	        {"f97c00", "inff"},
	        {"f97e00", "nanf"},
	        {"fa47c35000", "100000f"},
	        {"fb3ff199999999999a", "1.1000000000000001f"},
	        {"f4", "false"},
	        {"f5", "true"},
	        {"f6", "null"},
	        {"f7", "null"},
	        {"c11a514b67b0", "1:1363896240"},
	        {"4401020304", "h'4'"},
	        {"6449455446", "\"IETF\""},
	        {"80", "[]"},
	        {"83010203", "[1,2,3,]"},
	        {"a201020304", "[1=2,3=4,]"},
	        {"5f42010243030405ff", "h'5'"},
	        {"7f657374726561646d696e67ff", "\"streaming\""},
	        {"9fff", "[]"},
	        {"9f018202039f0405ffff", "[1,[2,3,],[4,5,],]"},
	        {"bf61610161629f0203ffff", "[\"a\"=1,\"b\"=[2,3,],]"},
	        {"7fff", "\"\""},
	};
	struct arena CLEAN_ARENA a = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str got = read_hex(&a, cases[i].hex);
		if (!str_is(got, cases[i].text))
			fail_msg("%s read as %.*s", cases[i].hex, STR_ARG(got));
	}
}

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "",
	        "18",
	        "19ff",
	        "1c",
	        "1f",
	        "3f",
	        "df",
	        "f8",
	        "fe",
	        "ff",
	        "e0",
	        "61",
	        "62c3",
	        "61ff",
	        "7f61",
	        "7f4101ff",
	        "7f7f6161ffff",
	        "8201",
	        "9f01",
	        "9b7fffffffffffffff",
	        "a101",
	        "bf01ff",
	        "c1",
	        "bbffffffffffffffff",
	        "5bffffffffffffffff",
	        "81ff",
	        "c1ff",
	};
	struct arena CLEAN_ARENA a = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (read_hex(&a, bad[i]).p[0] != '!')
			fail_msg("%s was read", bad[i]);
	char deep[2 * CBOR_DEPTH_MAX + 5] = "";
	for (int i = 0; i < CBOR_DEPTH_MAX; i++)
		memcpy(deep + 2 * i, "81", 2);
	memcpy(deep + 2 * CBOR_DEPTH_MAX, "00", 3);
	assert_true(read_hex(&a, deep).p[0] == '[');
	memcpy(deep + 2 * CBOR_DEPTH_MAX, "8100", 5);
	assert_str(read_hex(&a, deep), "!nested too deeply");
}

static void writes(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	cbor_put_array(&b, 14);
	static const int64_t ints[] = {0, 23, 24, 255, 256, 65536, INT64_MAX, -1, INT64_MIN};
	for (size_t i = 0; i < 9; i++)
		cbor_put_int(&b, ints[i]);
	cbor_put_text(&b, S("x"));
	cbor_put_bytes(&b, S("\0\1"));
	cbor_put_tag(&b, 1);
	cbor_put_double(&b, 1.5);
	cbor_put_double(&b, 1.1);
	cbor_put_map(&b, 1);
	cbor_put_bool(&b, true);
	cbor_put_null(&b);
	char hex[512];
	hex_encode(b.p, b.n, hex);
	assert_string_equal(
	        hex,
	        "8e0017181818ff1901001a000100001b7fffffffffffffff203b7fffffffffffffff6178420001c1fa3fc00000fb3ff199999999999aa1f5f6");
	assert_str(
	        read_hex(&a, hex),
	        "[0,23,24,255,256,65536,9223372036854775807,-1-0,-1-9223372036854775807,\"x\",h'2',1:1.5f,1.1000000000000001f,[true=null,],]");
	int64_t v = 7;
	assert_false(cbor_to_int(&(struct cbor_item){.kind = CBOR_UINT, .n = UINT64_MAX}, &v));
	assert_true(cbor_to_int(&(struct cbor_item){.kind = CBOR_NINT, .n = INT64_MAX}, &v));
	assert_true(v == INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(refuses), cmocka_unit_test(writes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
