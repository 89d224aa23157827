#include "unit.h"

#include "engine/net/outbound.h"

#include <string.h>

static void ranges_are_read(void **state)
{
	(void)state;
	uint32_t base = 7;
	unsigned bits = 7;
	assert_true(outbound_parse_range("100.88.0.0/16", &base, &bits));
	assert_int_equal(base, 0x64580000u);
	assert_int_equal(bits, 16);
	assert_true(outbound_parse_range("10.1.2.16/28", &base, &bits));
	static const char *const bad[] = {"",
	                                  "/",
	                                  "100.88.0.0",
	                                  "100.88.0.0/",
	                                  "100.88.0.0/7",
	                                  "100.88.0.0/29",
	                                  "100.88.0.1/16",
	                                  "100.88.0/16",
	                                  "100.88.0.0/16x",
	                                  "fe80::/10",
	                                  "100.88.0.0/-1",
	                                  "1000.88.0.0/16",
	                                  "100.88.0.0.0.0.0.0.0.0.0/16"};
	base = bits = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(outbound_parse_range(bad[i], &base, &bits));
	assert_int_equal(base, 7);
	assert_int_equal(bits, 7);
}

static void slots_have_two_ends(void **state)
{
	(void)state;
	struct outbound o = {.prefix = "qt0badcafe-", .base = 0x64581000u, .slots = OUTBOUND_SLOTS};
	char name[OUTBOUND_NAME_MAX];
	assert_int_equal(outbound_host_address(&o, 0), 0x64581000u);
	assert_int_equal(outbound_cell_address(&o, 0), 0x64581001u);
	assert_int_equal(outbound_cell_address(&o, OUTBOUND_SLOTS - 1), 0x64581fffu);
	outbound_link_name(&o, OUTBOUND_SLOTS - 1, name);
	assert_string_equal(name, "qt0badcafe-2047");
	assert_true(strlen(name) < 16); /* the kernel's IFNAMSIZ */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ranges_are_read),
	        cmocka_unit_test(slots_have_two_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
