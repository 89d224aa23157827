#include "unit.h"

#include "base/clock.h"

static void spells_times(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	int64_t t = 1714564800000;
	assert_str(time_format(&a, t, TIME_ISO8601), "2024-05-01T12:00:00Z");
	assert_str(time_format(&a, t + 7, TIME_ISO8601), "2024-05-01T12:00:00.007Z");
	assert_str(time_format(&a, t, TIME_ISO8601_MS), "2024-05-01T12:00:00.000Z");
	assert_str(time_format(&a, t, TIME_RFC822), "Wed, 01 May 2024 12:00:00 GMT");
	assert_str(time_format(&a, t, TIME_EPOCH), "1714564800");
	assert_str(time_format(&a, t + 123, TIME_EPOCH), "1714564800.123");
	assert_str(time_format(&a, t, TIME_LAMBDA), "2024-05-01T12:00:00.000+0000");
	assert_str(time_format(&a, t, TIME_BASIC), "20240501T120000Z");
	assert_str(time_format(&a, -1, TIME_ISO8601_MS), "1969-12-31T23:59:59.999Z");
}

static void reads_what_it_spells(void **state)
{
	(void)state;
	static const char *const same[] = {
	        "2024-05-01T12:00:00Z",
	        "2024-05-01T12:00:00.000Z",
	        "Wed, 01 May 2024 12:00:00 GMT",
	        "1714564800",
	        "1714564800.0",
	        "2024-05-01T12:00:00.000+0000",
	        "20240501T120000Z",
	        "2024-05-01T14:00:00+02:00",
	        "1.7145648e9",
	};
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
		int64_t ms = 0;
		if (!time_parse(str_from(same[i]), &ms) || ms != 1714564800000)
			fail_msg("%s read as %lld", same[i], (long long)ms);
	}
	static const char *const wrong[] = {
	        "", "x", "2024-13-01T00:00:00Z", "2024-02-30", "2024-05-01T25:00:00Z", "2024-05-01T12:00:00Zjunk", "nan", "inf"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int64_t ms = 42;
		if (time_parse(str_from(wrong[i]), &ms) || ms != 42)
			fail_msg("%s was read", wrong[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(spells_times), cmocka_unit_test(reads_what_it_spells)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
