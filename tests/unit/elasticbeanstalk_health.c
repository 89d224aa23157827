/* Enhanced health: what follows from an operation, from silence, from what does not run, and from the share of requests that fail.
 */
#include "unit.h"

#include "aws/elasticbeanstalk/health.h"

enum { NOW_MS = 1000000 };

struct world {
	struct arena a;
	struct elasticbeanstalk_environment_description environment;
	struct environment_record r;
	struct health_sample sample;
};

/* Something that has run well for long. */
static struct world world(void)
{
	struct world w = {.sample = {.at_ms = NOW_MS - 1000, .minute = 100}};
	w.environment = (struct elasticbeanstalk_environment_description){
	        .version_label = S("v1"), .date_created = OPT_TIME(NOW_MS - 8000), .date_updated = OPT_TIME(NOW_MS - 1000)};
	w.r = (struct environment_record){
	        .instance = S("i-1"), .deployment = OPT_INT(2), .done = OPT_INT(2), .answers = OPT_BOOL(true)};
	return w;
}

static void judged(struct world *w, const char *status, const char *colour, const char *instance, const char *cause)
{
	w->r.environment = &w->environment;
	struct verdict v = health_judge(&w->a, &w->r, &w->sample, NOW_MS);
	assert_string_equal(v.status, status);
	assert_string_equal(v.colour, colour);
	assert_string_equal(v.instance, instance);
	assert_int_equal(v.causes.n > 0, cause != NULL);
	if (cause)
		assert_string_equal(arena_dupz(&w->a, v.causes.v[0]), cause);
	arena_done(&w->a);
}

static void operations(void **state)
{
	(void)state;
	struct world w = world();
	w.r.operation = S("create");
	judged(&w, "Pending", "Grey", "Pending", "Initialization in progress (running for 8 seconds).");
	w.r.operation = S("deploy");
	judged(&w, "Info", "Green", "Info", "Application update in progress (running for 1 second).");
	w.r.operation = S("restart");
	judged(&w, "Info", "Green", "Info", "Configuration update in progress (running for 1 second).");
}

static void instances(void **state)
{
	(void)state;
	struct world w = world();
	judged(&w, "Ok", "Green", "Ok", NULL);
	w.sample.at_ms = NOW_MS - 60 * 1000;
	judged(&w, "Severe", "Red", "NoData", "None of the instances are sending data.");
	w.sample.since_ms = NOW_MS - 59 * 1000; /* a new api has not waited for long enough */
	judged(&w, "Ok", "Green", "Ok", NULL);
	w.r.failure = S("no Procfile");
	judged(&w, "Degraded", "Red", "Degraded", "Command failed on all instances.");
	w.r.failure = STR_NONE;
	w.r.answers = OPT_BOOL(false);
	judged(&w, "Severe", "Red", "Severe", "Impaired services on all instances.");
	w.r.instance = STR_NONE;
	judged(&w, "Severe", "Red", "NoData", "There are no instances.");
}

static void requests(void **state)
{
	(void)state;
	static const struct {
		int64_t all, clients, servers;
		const char *status, *colour, *cause;
	} cases[] = {
	        {100, 9, 9, "Ok", "Green", NULL},
	        {100, 10, 0, "Warning", "Yellow", "10.0 % of the requests are erroring with HTTP 4xx."},
	        {100, 10, 19, "Warning", "Yellow", "19.0 % of the requests are failing with HTTP 5xx."},
	        {100, 0, 20, "Degraded", "Red", "20.0 % of the requests are failing with HTTP 5xx."},
	        {300, 0, 200, "Severe", "Red", "66.7 % of the requests are failing with HTTP 5xx."},
	        {59, 0, 59, "Warning", "Yellow", "100.0 % of the requests are failing with HTTP 5xx."},
	        {0, 0, 0, "Ok", "Green", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world w = world();
		w.sample.minute = cases[i].all;
		w.sample.minute_classes[2] = cases[i].clients;
		w.sample.minute_classes[3] = cases[i].servers;
		judged(&w, cases[i].status, cases[i].colour, cases[i].status, cases[i].cause);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(operations), cmocka_unit_test(instances), cmocka_unit_test(requests)};
	return cmocka_run_group_tests_name("elasticbeanstalk_health", tests, NULL, NULL);
}
