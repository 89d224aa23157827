/* Enhanced health: what follows from an operation, from silence, from what does not run, and from the share of requests that fail.
 */
#include "unit.h"

#include "aws/elasticbeanstalk/health.h"

enum { NOW_MS = 1000000 };

enum { MEMBERS = 3 };

struct world {
	struct arena a;
	struct elasticbeanstalk_environment_description environment;
	struct elasticbeanstalk_configuration_option_setting options[2]; /* of its type, and of ConfigDocument */
	uint32_t options_n;
	struct environment_record r;
	struct state_elasticbeanstalk_member members[MEMBERS];
	struct health_sample sample[MEMBERS];
	struct health_samples samples;
};

/* Something that has run well for long: of one instance. */
static struct world world(void)
{
	struct world w = {0};
	w.environment = (struct elasticbeanstalk_environment_description){
	        .version_label = S("v1"), .date_created = OPT_TIME(NOW_MS - 8000), .date_updated = OPT_TIME(NOW_MS - 1000)};
	static const char *const ids[] = {"i-1", "i-2", "i-3"};
	for (int i = 0; i < MEMBERS; i++) {
		w.sample[i] = (struct health_sample){.at_ms = NOW_MS - 1000, .minute = 100};
		strcpy(w.sample[i].instance, ids[i]);
		w.members[i] = (struct state_elasticbeanstalk_member){.instance = str_from(ids[i]),
		                                                      .wants = OPT_INT(2),
		                                                      .done = OPT_INT(2),
		                                                      .answers = OPT_BOOL(true),
		                                                      .phase = OPT_INT(PHASE_IN)};
	}
	w.options_n = 1;
	w.options[0] = (struct elasticbeanstalk_configuration_option_setting){.namespace = S("aws:elasticbeanstalk:environment"),
	                                                                      .option_name = S("EnvironmentType"),
	                                                                      .value = S("SingleInstance")};
	w.r = (struct environment_record){.deployment = OPT_INT(2)};
	w.r.members.n = w.samples.n = 1;
	return w;
}

static void judged(struct world *w, const char *status, const char *colour, const char *instance, const char *cause)
{
	w->r.environment = &w->environment;
	w->r.members.v = w->members;
	w->r.options.v = w->options;
	w->r.options.n = w->options_n;
	w->samples.v = w->sample;
	struct verdict v = health_judge(&w->a, &w->r, &w->samples, NOW_MS);
	assert_string_equal(v.status, status);
	assert_string_equal(v.colour, colour);
	assert_int_equal(v.causes.n > 0, cause != NULL);
	if (cause)
		assert_string_equal(arena_dupz(&w->a, v.causes.v[0]), cause);
	if (instance)
		assert_string_equal(health_judge_member(&w->a, &w->r, &w->members[0], &w->samples, NOW_MS).status, instance);
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
	w.sample[0].at_ms = NOW_MS - 60 * 1000;
	judged(&w, "Severe", "Red", "NoData", "None of the instances are sending data.");
	w.samples.since_ms = NOW_MS - 59 * 1000; /* a new api has not waited for long enough */
	judged(&w, "Ok", "Green", "Ok", NULL);
	w.members[0].failure = S("no Procfile");
	judged(&w, "Degraded", "Red", "Degraded", "Command failed on all instances.");
	w.members[0].failure = STR_NONE;
	w.members[0].answers = OPT_BOOL(false);
	judged(&w, "Severe", "Red", "Severe", "Impaired services on all instances.");
	w.r.members.n = 0;
	judged(&w, "Severe", "Red", NULL, "There are no instances.");
}

/* What one of several has is a warning, and bad where most have it. */
static void several(void **state)
{
	(void)state;
	struct world w = world();
	w.options[0].value = S("LoadBalanced");
	w.r.members.n = w.samples.n = MEMBERS;
	judged(&w, "Ok", "Green", "Ok", NULL);
	w.members[0].answers = OPT_BOOL(false);
	judged(&w, "Warning", "Yellow", "Severe", "Impaired services on 1 out of 3 instances.");
	w.members[1].answers = OPT_BOOL(false);
	judged(&w, "Degraded", "Red", "Severe", "Impaired services on 2 out of 3 instances.");
	w.members[0] = w.members[1] = w.members[2];
	w.members[0].instance = S("i-1");
	w.r.unwell = OPT_INT(3);
	judged(&w, "Severe", "Red", "Ok", "ELB health is failing or not available for all instances.");
	w.r.unwell = OPT_INT(0);
	w.members[0].done = OPT_INT(1); /* one that has come lately is nobody's trouble */
	w.members[0].phase = OPT_INT(PHASE_NEW);
	judged(&w, "Ok", "Green", "Pending", NULL);
	w.members[0].done = OPT_INT(2);
	w.members[0].failure = S("no Procfile");
	judged(&w, "Warning", "Yellow", "Degraded", "Command failed on 1 out of 3 instances.");
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
		w.sample[0].minute = cases[i].all;
		w.sample[0].minute_classes[2] = cases[i].clients;
		w.sample[0].minute_classes[3] = cases[i].servers;
		judged(&w, cases[i].status, cases[i].colour, cases[i].status, cases[i].cause);
	}
}

/* Answers of 4xx are overlooked where the document says so, those of 5xx are not. */
static void rules(void **state)
{
	(void)state;
	struct world w = world();
	w.options[1] = (struct elasticbeanstalk_configuration_option_setting){
	        .namespace = S("aws:elasticbeanstalk:healthreporting:system"),
	        .option_name = S("ConfigDocument"),
	        .value = S("{\"Rules\":{\"Environment\":{\"Application\":{\"ApplicationRequests4xx\":{\"Enabled\":false}}}}}")};
	w.sample[0].minute_classes[2] = 50;
	judged(&w, "Severe", "Red", "Severe", "50.0 % of the requests are erroring with HTTP 4xx.");
	w.options_n = 2;
	judged(&w, "Ok", "Green", "Ok", NULL);
	w.sample[0].minute_classes[3] = 50;
	judged(&w, "Severe", "Red", "Severe", "50.0 % of the requests are failing with HTTP 5xx.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(operations), cmocka_unit_test(instances), cmocka_unit_test(several),
	                                   cmocka_unit_test(requests), cmocka_unit_test(rules)};
	return cmocka_run_group_tests_name("elasticbeanstalk_health", tests, NULL, NULL);
}
