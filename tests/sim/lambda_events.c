/* Events over minutes and hours: when a function that fails is tried again and when it is given up, who is told, and that nothing
 * is lost when the cloud ends in between. */
#include "unit.h"

#include "functions.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, SLACK = 1500 /* two steps of the clock, and what was due with the second */ };

static struct sim_function *new_function(const char *name, enum sim_answer answer)
{
	struct sim_function *f = calloc(1, sizeof(*f));
	f->name = name;
	f->answer = answer;
	return f;
}

struct settings {
	int64_t retries, age_s; /* -1: as they are */
	const char *success, *failure;
};

static struct str arn_of(struct world *w, const char *name)
{
	return arena_printf(&w->arena, "arn:aws:lambda:us-east-1:000000000000:function:%s", name);
}

static void configure(struct world *w, const char *name, const struct settings *s)
{
	struct lambda_on_success success = {.destination = s->success ? arn_of(w, s->success) : STR_NONE};
	struct lambda_on_failure failure = {.destination = s->failure ? arn_of(w, s->failure) : STR_NONE};
	struct lambda_destination_config to = {.on_success = s->success ? &success : NULL,
	                                       .on_failure = s->failure ? &failure : NULL};
	struct lambda_put_function_event_invoke_config_request in = {
	        .function_name = str_from(name),
	        .maximum_retry_attempts = s->retries < 0 ? (struct opt_int){0} : OPT_INT(s->retries),
	        .maximum_event_age_in_seconds = s->age_s < 0 ? (struct opt_int){0} : OPT_INT(s->age_s),
	        .destination_config = &to};
	assert_string_equal(world_call(w, &lambda_api, "PutFunctionEventInvokeConfig", &in, NULL), "");
	world_settle(w);
}

static void reserve(struct world *w, const char *name, int64_t count)
{
	struct lambda_put_function_concurrency_request in = {.function_name = str_from(name),
	                                                     .reserved_concurrent_executions = OPT_INT(count)};
	assert_string_equal(world_call(w, &lambda_api, "PutFunctionConcurrency", &in, NULL), "");
	world_settle(w);
}

/* Was the n-th call (0..) so long after the event was sent? */
static void assert_called_at(const struct sim_function *f, unsigned n, int64_t sent_ms, int64_t want_ms)
{
	assert_true(n < f->calls);
	int64_t took = f->log[n].at_ms - sent_ms;
	if (took < want_ms || took > want_ms + SLACK)
		fail_msg("call %u of %s came after %lld ms, not %lld", n, f->name, (long long)took, (long long)want_ms);
	assert_string_equal(f->log[n].request_id, f->log[0].request_id);
}

/* What a destination was told. */
static const struct json_value *told(struct world *w, const struct sim_function *f, unsigned n)
{
	assert_true(n < f->calls);
	const struct json_value *v = json_parse(&w->arena, str_from(f->log[n].payload), NULL);
	assert_non_null(v);
	return v;
}

static void assert_told(struct world *w, const struct sim_function *f, unsigned n, const struct sim_function *about,
                        const char *condition, const char *count)
{
	const struct json_value *v = told(w, f, n), *context = json_get(v, S("requestContext"));
	assert_str(json_get_str(v, S("version")), "1.0");
	assert_str(json_get_str(context, S("condition")), condition);
	assert_str(json_get(context, S("approximateInvokeCount"))->text, count);
	assert_str(json_get_str(context, S("functionArn")),
	           arena_printf(&w->arena, "%.*s:$LATEST", STR_ARG(arn_of(w, about->name))).p);
	if (about->calls)
		assert_str(json_get_str(context, S("requestId")), about->log[0].request_id);
}

static void failures_are_tried_three_times(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("fails", SIM_FAILS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_create(&w, d, 3);
	configure(&w, "fails", &(struct settings){-1, -1, NULL, "told"});
	int64_t sent = w.wall_ms;
	sim_send(&w, "fails", "{\"n\":1}");
	world_pass(&w, 59 * 1000);
	assert_int_equal(f->calls, 1);
	world_pass(&w, 4 * MINUTE);
	assert_int_equal(f->calls, 3);
	assert_called_at(f, 0, sent, 0);
	assert_called_at(f, 1, sent, MINUTE);
	assert_called_at(f, 2, sent, 3 * MINUTE);
	assert_int_equal(d->calls, 1);
	assert_told(&w, d, 0, f, "RetriesExhausted", "3");
	const struct json_value *v = told(&w, d, 0), *answer = json_get(v, S("responseContext"));
	assert_str(json_get(json_get(v, S("requestPayload")), S("n"))->text, "1");
	assert_str(json_get_str(answer, S("functionError")), "Unhandled");
	assert_str(json_get_str(answer, S("executedVersion")), "$LATEST");
	assert_str(json_get_str(json_get(v, S("responsePayload")), S("errorMessage")), "no");
	world_pass(&w, 10 * MINUTE);
	assert_int_equal(f->calls, 3);
	assert_int_equal(d->calls, 1);
	world_close(&w);
	free(f);
	free(d);
}

static void retries_are_as_many_as_configured(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *none = new_function("none", SIM_FAILS), *one = new_function("one", SIM_FAILS),
	                    *good = new_function("good", SIM_SUCCEEDS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, none, 3);
	sim_create(&w, one, 3);
	sim_create(&w, good, 3);
	sim_create(&w, d, 3);
	configure(&w, "none", &(struct settings){0, -1, NULL, "told"});
	configure(&w, "one", &(struct settings){1, -1, "told", NULL});
	configure(&w, "good", &(struct settings){2, -1, "told", "told"});
	int64_t sent = w.wall_ms;
	sim_send(&w, "none", "{}");
	assert_int_equal(d->calls, 1);
	assert_told(&w, d, 0, none, "RetriesExhausted", "1");
	sim_send(&w, "good", "{}");
	assert_int_equal(d->calls, 2);
	assert_told(&w, d, 1, good, "Success", "1");
	assert_null(json_get(json_get(told(&w, d, 1), S("responseContext")), S("functionError")));
	assert_str(json_get(told(&w, d, 1), S("responsePayload"))->text, "done");
	sim_send(&w, "one", "{}");
	world_pass(&w, 10 * MINUTE);
	assert_int_equal(none->calls, 1);
	assert_int_equal(good->calls, 1);
	assert_int_equal(one->calls, 2);
	assert_called_at(one, 1, sent, MINUTE);
	assert_int_equal(d->calls, 2); /* nobody wanted to know of a failure of `one` */
	world_close(&w);
	free(none);
	free(one);
	free(good);
	free(d);
}

/* A later success ends it, and is told with the number of tries. */
static void a_retry_may_succeed(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("later", SIM_FAILS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_create(&w, d, 3);
	configure(&w, "later", &(struct settings){-1, -1, "told", "told"});
	sim_send(&w, "later", "{}");
	f->answer = SIM_SUCCEEDS;
	world_pass(&w, 5 * MINUTE);
	assert_int_equal(f->calls, 2);
	assert_int_equal(d->calls, 1);
	assert_told(&w, d, 0, f, "Success", "2");
	world_close(&w);
	free(f);
	free(d);
}

static void events_grow_too_old(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("old", SIM_FAILS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_create(&w, d, 3);
	configure(&w, "old", &(struct settings){-1, 90, NULL, "told"});
	sim_send(&w, "old", "{}");
	world_pass(&w, 10 * MINUTE);
	assert_int_equal(f->calls, 2); /* at 0 and at 60 s; at 180 s it is too late */
	assert_int_equal(d->calls, 1);
	assert_told(&w, d, 0, f, "EventAgeExceeded", "2");
	world_close(&w);
	free(f);
	free(d);
}

static struct lambda_invocation_request invocation(const char *name)
{
	return (struct lambda_invocation_request){.function_name = str_from(name)};
}

static void throttled_events_back_off(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("busy", SIM_HANGS);
	char code[128] = "";
	world_open(&w);
	sim_create(&w, f, 900);
	reserve(&w, "busy", 1);
	struct lambda_invocation_request in = invocation("busy");
	world_begin(&w, &lambda_api, "Invoke", &in, code);
	world_settle(&w);
	assert_int_equal(f->calls, 1);
	int64_t sent = w.wall_ms;
	sim_send(&w, "busy", "{\"event\":1}");
	/* Tries at 0, 1, 3, 7, 15, 31, 63, 127 s ... all meet the one that runs. */
	world_pass(&w, 100 * 1000);
	assert_int_equal(f->calls, 1);
	sim_answer_all(f);
	world_pass(&w, MINUTE);
	assert_int_equal(f->calls, 2);
	assert_string_equal(f->log[1].payload, "{\"event\":1}");
	int64_t took = f->log[1].at_ms - sent;
	assert_in_range(took, 127 * 1000, 127 * 1000 + 8 * SLACK);
	world_close(&w);
	free(f);
}

/* Throttled all the time, an event lives for its greatest age; throttles are no tries. */
static void throttled_events_end(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("full", SIM_HANGS), *d = new_function("told", SIM_SUCCEEDS);
	char code[128] = "";
	world_open(&w);
	sim_create(&w, f, 900);
	sim_create(&w, d, 3);
	configure(&w, "full", &(struct settings){-1, 120, NULL, "told"});
	reserve(&w, "full", 1);
	struct lambda_invocation_request in = invocation("full");
	world_begin(&w, &lambda_api, "Invoke", &in, code);
	world_settle(&w);
	sim_send(&w, "full", "{}");
	world_pass(&w, 2 * MINUTE);
	assert_int_equal(d->calls, 0);
	world_pass(&w, 4 * MINUTE);
	assert_int_equal(d->calls, 1);
	const struct json_value *context = json_get(told(&w, d, 0), S("requestContext"));
	assert_str(json_get_str(context, S("condition")), "EventAgeExceeded");
	assert_str(json_get(context, S("approximateInvokeCount"))->text, "0");
	assert_null(json_get(told(&w, d, 0), S("responseContext")));
	assert_int_equal(f->calls, 1);
	sim_answer_all(f);
	world_settle(&w);
	/* No concurrency at all: no waiting either. */
	reserve(&w, "full", 0);
	sim_send(&w, "full", "{}");
	assert_int_equal(d->calls, 2);
	context = json_get(told(&w, d, 1), S("requestContext"));
	assert_str(json_get_str(context, S("condition")), "RetriesExhausted");
	world_close(&w);
	free(f);
	free(d);
}

static void restarts_lose_no_time(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("again", SIM_FAILS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_create(&w, d, 3);
	configure(&w, "again", &(struct settings){-1, -1, NULL, "told"});
	int64_t sent = w.wall_ms;
	sim_send(&w, "again", "{}");
	world_pass(&w, 20 * 1000);
	world_reopen(&w, 10 * 1000);
	world_pass(&w, 29 * 1000);
	assert_int_equal(f->calls, 1);
	world_pass(&w, 5 * 1000);
	assert_int_equal(f->calls, 2);
	assert_called_at(f, 1, sent, MINUTE);
	/* Away when the next is due: it comes with the start. */
	world_reopen(&w, 10 * MINUTE);
	assert_int_equal(f->calls, 3);
	assert_string_equal(f->log[2].request_id, f->log[0].request_id);
	world_pass(&w, 2000);
	assert_int_equal(d->calls, 1);
	assert_told(&w, d, 0, f, "RetriesExhausted", "3");
	world_reopen(&w, 0);
	world_pass(&w, MINUTE);
	assert_int_equal(f->calls, 3);
	assert_int_equal(d->calls, 1);
	world_close(&w);
	free(f);
	free(d);
}

/* What a destination that cannot take it now is to be told is kept, too. */
static void deliveries_wait(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("fails", SIM_FAILS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_create(&w, d, 900);
	configure(&w, "fails", &(struct settings){0, -1, NULL, "told"});
	reserve(&w, "told", 1);
	d->answer = SIM_HANGS;
	char code[128] = "";
	struct lambda_invocation_request in = invocation("told");
	world_begin(&w, &lambda_api, "Invoke", &in, code);
	world_settle(&w);
	sim_send(&w, "fails", "{}");
	world_pass(&w, 30 * 1000);
	assert_int_equal(d->calls, 1);
	world_reopen(&w, 1000); /* the hanging one is gone with it */
	d->answer = SIM_SUCCEEDS;
	world_pass(&w, 2 * MINUTE);
	assert_int_equal(d->calls, 2);
	assert_told(&w, d, 1, f, "RetriesExhausted", "1");
	assert_int_equal(f->calls, 1);
	world_close(&w);
	free(f);
	free(d);
}

/* The cloud ends after every number of rounds of its loop: what was accepted is run, and what came of it is told, at least once. */
static void ends_lose_nothing(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("fails", SIM_FAILS), *d = new_function("told", SIM_SUCCEEDS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_create(&w, d, 3);
	configure(&w, "fails", &(struct settings){0, -1, NULL, "told"});
	for (int rounds = 0; rounds < 60; rounds++) {
		char payload[64];
		snprintf(payload, sizeof(payload), "{\"round\":%d}", rounds);
		struct lambda_invocation_request in = {
		        .function_name = S("fails"), .invocation_type = S("Event"), .payload = str_from(payload)};
		assert_string_equal(world_call(&w, &lambda_api, "Invoke", &in, NULL), "");
		for (int i = 0; i < rounds; i++)
			loop_turn(w.cloud.loop, 1000);
		world_reopen(&w, 0);
		world_pass(&w, 2000);
		bool heard = false;
		for (unsigned i = 0; i < d->calls; i++)
			heard = heard || strstr(d->log[i].payload, payload);
		if (!heard)
			fail_msg("nothing was told of what failed %d rounds before the end", rounds);
	}
	assert_in_range(f->calls, 60, 120);
	world_close(&w);
	free(f);
	free(d);
}

static void deleted_functions_take_their_events_along(void **state)
{
	(void)state;
	struct world w;
	struct sim_function *f = new_function("gone", SIM_FAILS);
	world_open(&w);
	sim_create(&w, f, 3);
	sim_send(&w, "gone", "{}");
	struct lambda_delete_function_request in = {.function_name = S("gone")};
	assert_string_equal(world_call(&w, &lambda_api, "DeleteFunction", &in, NULL), "");
	world_pass(&w, 5 * MINUTE);
	assert_int_equal(f->calls, 1);
	world_close(&w);
	free(f);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(failures_are_tried_three_times),
	        cmocka_unit_test(retries_are_as_many_as_configured),
	        cmocka_unit_test(a_retry_may_succeed),
	        cmocka_unit_test(events_grow_too_old),
	        cmocka_unit_test(throttled_events_back_off),
	        cmocka_unit_test(throttled_events_end),
	        cmocka_unit_test(restarts_lose_no_time),
	        cmocka_unit_test(deliveries_wait),
	        cmocka_unit_test(ends_lose_nothing),
	        cmocka_unit_test(deleted_functions_take_their_events_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
