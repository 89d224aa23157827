/* How many instances a capacity provider's tasks need, and what is reported of it. */
#include "unit.h"

#include "aws/ecs/provider.h"

static void needed(void **state)
{
	(void)state;
	const struct provider_size tasks[] = {{256, 512}, {256, 512}, {256, 512}, {256, 512}, {256, 512}};
	const struct provider_size each = {1024, 2048}, small = {200, 400}, unknown = {0};
	assert_int_equal(provider_needed(3, NULL, 0, &each), 3);
	assert_int_equal(provider_needed(0, tasks, 1, &each), 1);
	assert_int_equal(provider_needed(2, tasks, 4, &each), 3);
	assert_int_equal(provider_needed(2, tasks, 5, &each), 4);
	assert_int_equal(provider_needed(0, tasks, 5, &unknown), 1); /* one, to see how large it is */
	assert_int_equal(provider_needed(0, tasks, 3, &small), 3);   /* never more than one a task */
}

static void reported(void **state)
{
	(void)state;
	assert_true(provider_reservation(0, 0, 1, 10000) == 100);
	assert_true(provider_reservation(5, 0, 1, 10000) == 200);
	assert_true(provider_reservation(2, 2, 1, 10000) == 100);
	assert_true(provider_reservation(3, 2, 1, 10000) == 150);
	assert_true(provider_reservation(1, 2, 1, 10000) == 50);
	assert_true(provider_reservation(3, 2, 2, 10000) == 200); /* at least two at a time */
	assert_true(provider_reservation(9, 2, 1, 2) == 200);     /* at most two */
	assert_true(provider_reservation(0, 4, 1, 2) == 50);
	assert_true(provider_reservation(0, 1, 2, 4) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(needed), cmocka_unit_test(reported)};
	return cmocka_run_group_tests_name("ecs_providers", tests, NULL, NULL);
}
