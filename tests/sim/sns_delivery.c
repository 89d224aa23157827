/* Everything that is published arrives or is buried, whatever fails and however often the role dies in between: queues get what was
 * acknowledged exactly once, a function and an endpoint at least once or their dead-letter queue does. By seed. */
#include "world.h"

#include "aws/sqs/sqs.h"
#include "engine/fetch/post.h"
#include "gen/lambda.h"
#include "gen/sns.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct service sns_service;

enum { MESSAGES = 120, SEEDS = 8, MINUTE = 60 * 1000, HOUR = 60 * MINUTE };
enum fate { FATE_SENT, FATE_QUEUE, FATE_FILTERED, FATE_FUNCTION, FATE_ENDPOINT, FATE_FUNCTION_DEAD, FATE_ENDPOINT_DEAD, FATES };

static struct {
	unsigned count[MESSAGES][FATES], total[FATES];
	char token[512];
	uint64_t luck;
	pthread_mutex_t lock;
} w = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Luck of its own: threads and the cloud draw from other sources. */
static unsigned luck(unsigned below)
{
	w.luck = w.luck * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(w.luck >> 33) % below;
}

/* Which message a text is about: "m17." somewhere in it. */
static void note(struct str text, enum fate fate)
{
	ptrdiff_t at = str_find(text, S("<m"));
	int64_t n = MESSAGES;
	struct str rest = str_from_at(text, (size_t)(at + 2));
	assert_true(at >= 0 && str_to_i64(str_cut(&rest, '>'), &n) && n < MESSAGES);
	w.count[n][fate]++;
}

/* --- who is told */

static int invoke(struct call *c, const struct lambda_invocation_request *in, struct lambda_invocation_response *out)
{
	(void)out;
	pthread_mutex_lock(&w.lock);
	unsigned n = luck(10);
	if (n >= 5)
		note(in->payload, FATE_FUNCTION);
	pthread_mutex_unlock(&w.lock);
	if (n >= 5)
		return CALL_OK;
	return n < 3 ? call_fail(c, "TooManyRequestsException", 429, "later")
	             : call_fail(c, "ResourceNotFoundException", 404, "none");
}

static int about(struct call *c, const void *in, struct authz *az)
{
	(void)in, (void)c;
	az->resource = S("arn:aws:lambda:us-east-1:000000000000:function:f");
	az->granted = true;
	return CALL_OK;
}

static const struct service_op ops[] = {
        {.name = "Invoke", .handle = (call_handler *)(void (*)(void))invoke, .resource = about},
};
static const struct service function_service = {.api = &lambda_api, .iam_prefix = "lambda", .ops = ops, .op_count = 1};
const struct service *const cloud_services[] = {&sqs_service, &sns_service, &function_service, NULL};

/* In the place of the one that speaks HTTP; on threads. */
unsigned post_send(struct arena *a, const struct post *p, struct str *ret_why)
{
	(void)a, (void)ret_why;
	pthread_mutex_lock(&w.lock);
	ptrdiff_t token = str_find(p->body, S("\"Token\" : \""));
	unsigned n = token >= 0 ? 9 : luck(10), status = n < 3 ? 500 : n < 4 ? 404 : n < 5 ? 0 : 200;
	if (token >= 0) {
		struct str rest = str_from_at(p->body, (size_t)token + 11), text = str_cut(&rest, '"');
		snprintf(w.token, sizeof(w.token), "%.*s", STR_ARG(text));
	} else if (status == 200)
		note(p->body, FATE_ENDPOINT);
	pthread_mutex_unlock(&w.lock);
	return status;
}

/* --- the cloud */

#define ARN "arn:aws:sns:us-east-1:000000000000:t"

static struct str queue_arn(const char *name)
{
	return arena_printf(&world.arena, "arn:aws:sqs:us-east-1:000000000000:%s", name);
}

static struct str queue_url(const char *name)
{
	return arena_printf(&world.arena, "/000000000000/%s", name);
}

static void make_queue(const char *name)
{
	struct str_map_entry policy = {
	        S("Policy"),
	        arena_printf(&world.arena,
	                     "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":"
	                     "\"sns.amazonaws.com\"},\"Action\":\"sqs:SendMessage\",\"Resource\":\"*\"}]}")};
	const struct sqs_create_queue_request in = {.queue_name = str_from(name),
	                                            .attributes = {.v = &policy, .n = 1, .set = true}};
	world_ask(&world.arena, &sqs_api, "CreateQueue", &in);
	assert_string_equal(world.code, "");
}

static void subscribe(const char *protocol, struct str endpoint, const char *name, struct str value)
{
	struct str_map_entry all[] = {{str_from(name), value}};
	const struct sns_subscribe_input in = {.topic_arn = S(ARN),
	                                       .protocol = str_from(protocol),
	                                       .endpoint = endpoint,
	                                       .attributes = {.v = all, .n = 1, .set = true}};
	world_ask(&world.arena, &sns_api, "Subscribe", &in);
	assert_string_equal(world.code, "");
}

static void wait_for_token(void)
{
	for (int i = 0; i < 5000; i++) {
		pthread_mutex_lock(&w.lock);
		bool there = w.token[0];
		pthread_mutex_unlock(&w.lock);
		if (there)
			return;
		loop_turn(world.cloud.loop, 1000);
	}
	fail_msg("the endpoint was not asked");
}

static void set_up_cloud(void)
{
	const struct sns_create_topic_input topic = {.name = S("t")};
	world_ask(&world.arena, &sns_api, "CreateTopic", &topic);
	assert_string_equal(world.code, "");
	make_queue("all");
	make_queue("some");
	make_queue("dead");
	struct str redrive = arena_printf(&world.arena, "{\"deadLetterTargetArn\":\"%.*s\"}", STR_ARG(queue_arn("dead")));
	subscribe("sqs", queue_arn("all"), "RawMessageDelivery", S("true"));
	subscribe("sqs", queue_arn("some"), "FilterPolicy", S("{\"kind\":[{\"numeric\":[\">\",2]}]}"));
	subscribe("lambda", S("arn:aws:lambda:us-east-1:000000000000:function:f"), "RedrivePolicy", redrive);
	subscribe("http", S("http://example.com/"), "RedrivePolicy", redrive);
	wait_for_token();
	const struct sns_confirm_subscription_input confirm = {.topic_arn = S(ARN), .token = str_from(w.token)};
	world_ask(&world.arena, &sns_api, "ConfirmSubscription", &confirm);
	assert_string_equal(world.code, "");
}

static void forget(void *ctx, struct call *sub)
{
	(void)ctx, (void)sub;
}

/* Waits for the answer or, if the role is about to die, does not. */
static void publish(unsigned n, bool wait)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct sns_message_attribute_map_entry kind = {
	        .key = S("kind"), .value = {.data_type = S("Number"), .string_value = arena_printf(&a, "%u", n % 5)}};
	const struct sns_publish_input in = {.topic_arn = S(ARN),
	                                     .message = arena_printf(&a, "<m%u>", n),
	                                     .message_attributes = {.v = &kind, .n = 1, .set = true}};
	if (!wait) {
		call_op(&world.cloud, world.root, S("us-east-1"), &sns_api, "Publish", &in, forget, NULL);
		world_turns((int)luck(4));
		return;
	}
	world_ask(&a, &sns_api, "Publish", &in);
	assert_string_equal(world.code, "");
	w.count[n][FATE_SENT]++;
}

static void pass(int64_t ms, int turns)
{
	world_move_clock(ms);
	for (int i = 0; i < turns; i++)
		loop_turn(world.cloud.loop, 500);
}

/* Takes all that a queue has. */
static void drain(const char *name, enum fate fate, enum fate of_function)
{
	for (int empty = 0; empty < 3;) {
		CLEAN_ARENA struct arena a;
		arena_init(&a, 0);
		const struct sqs_receive_message_request in = {.queue_url = queue_url(name), .max_number_of_messages = OPT_INT(10)};
		const struct sqs_receive_message_result *got = world_ask(&a, &sqs_api, "ReceiveMessage", &in);
		assert_string_equal(world.code, "");
		empty = got->messages.n ? 0 : empty + 1;
		for (uint32_t i = 0; i < got->messages.n; i++) {
			struct str body = got->messages.v[i].body;
			note(body, str_find(body, S("\"Records\"")) >= 0 ? of_function : fate);
			const struct sqs_delete_message_request gone = {.queue_url = queue_url(name),
			                                                .receipt_handle = got->messages.v[i].receipt_handle};
			world_ask(&a, &sqs_api, "DeleteMessage", &gone);
		}
	}
}

static bool settled(void)
{
	for (unsigned n = 0; n < MESSAGES; n++)
		if (w.count[n][FATE_QUEUE] && (!(w.count[n][FATE_FUNCTION] + w.count[n][FATE_FUNCTION_DEAD]) ||
		                               !(w.count[n][FATE_ENDPOINT] + w.count[n][FATE_ENDPOINT_DEAD])))
			return false;
	return true;
}

static void run_seed(uint64_t seed)
{
	memset(w.count, 0, sizeof(w.count));
	w.token[0] = 0;
	w.luck = seed;
	assert_int_equal(world_begin(seed, WORLD_SEAL), 0);
	set_up_cloud();
	for (unsigned n = 0; n < MESSAGES; n++) {
		bool dies = luck(12) == 0;
		publish(n, !dies);
		if (dies) {
			world_close();
			world_open();
		}
		if (luck(3) == 0)
			pass(luck(30) * 1000, (int)luck(20));
	}
	drain("all", FATE_QUEUE, FATE_QUEUE);
	drain("some", FATE_FILTERED, FATE_FILTERED);
	for (int i = 0; i < 400 && !settled(); i++) {
		pass(30 * 1000, 60);
		drain("dead", FATE_ENDPOINT_DEAD, FATE_FUNCTION_DEAD);
	}
	for (unsigned n = 0; n < MESSAGES; n++) {
		const unsigned *c = w.count[n];
		bool there = c[FATE_QUEUE];
		/* What was answered for is there once; what was not is there once, or has left no trace at all. */
		if (c[FATE_QUEUE] > 1 || (c[FATE_SENT] && !there) || c[FATE_FILTERED] != (there && n % 5 > 2))
			fail_msg("seed %lu: message %u: sent %u, in the queue %u, behind the filter %u", seed, n, c[FATE_SENT],
			         c[FATE_QUEUE], c[FATE_FILTERED]);
		if (!there != !(c[FATE_FUNCTION] + c[FATE_FUNCTION_DEAD]) || !there != !(c[FATE_ENDPOINT] + c[FATE_ENDPOINT_DEAD]))
			fail_msg("seed %lu: message %u: in the queue %u, function %u and dead %u, endpoint %u and dead %u", seed, n,
			         c[FATE_QUEUE], c[FATE_FUNCTION], c[FATE_FUNCTION_DEAD], c[FATE_ENDPOINT], c[FATE_ENDPOINT_DEAD]);
	}
	for (unsigned f = 0; f < FATES; f++)
		for (unsigned n = 0; n < MESSAGES; n++)
			w.total[f] += w.count[n][f];
	assert_int_equal(world_end(), 0);
}

/* QUARTET_SEED=N runs that one alone; QUARTET_SEEDS=N so many. */
static void test_nothing_is_lost(void **state)
{
	(void)state;
	const char *one = getenv("QUARTET_SEED"), *many = getenv("QUARTET_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1, last = one ? first : many ? strtoull(many, NULL, 10) : SEEDS;
	for (uint64_t seed = first; seed <= last; seed++)
		run_seed(seed);
	for (unsigned f = 0; f < FATES; f++)
		assert_true(w.total[f] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_lost)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
