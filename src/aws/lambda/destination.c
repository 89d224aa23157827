#include "aws/lambda/destination.h"

#include "aws/lambda/credentials.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "gen/events.h"
#include "gen/s3.h"
#include "gen/sns.h"
#include "gen/sqs.h"

#include <stdlib.h>

enum { RECORD_BYTES = 15 << 20, ERROR_MESSAGE_BYTES = 1024 };
#define OF_FUNCTIONS S("arn:aws:lambda:")
#define OF_QUEUES S("arn:aws:sqs:")
#define OF_TOPICS S("arn:aws:sns:")
#define OF_BUSES S("arn:aws:events:")
#define OF_BUCKETS S("arn:aws:s3:::")

/* --- what may be named */

/* A queue or a topic: six parts, the last of which is a name. */
static int check_named(struct call *c, const char *what, struct str arn)
{
	struct str rest = arn, parts[6] = {0};
	for (int i = 0; i < 6 && str_set(rest); i++)
		parts[i] = str_cut(&rest, ':');
	if (str_set(rest) || !str_set(parts[5]) || !parts[3].n || parts[4].n != 12 || !parts[5].n)
		return lambda_invalid(c, "The %s ARN %.*s is invalid.", what, STR_ARG(arn));
	if (str_ends(arn, S(".fifo")))
		return lambda_invalid(c, "The %s %.*s is not supported: a queue or topic has to be a standard one.", what,
		                      STR_ARG(arn));
	return CALL_OK;
}

int destination_check(struct call *c, const char *what, struct str arn)
{
	struct lambda_name to;
	if (str_starts(arn, OF_QUEUES) || str_starts(arn, OF_TOPICS))
		return check_named(c, "destination", arn);
	if (str_starts(arn, OF_BUCKETS) && !str_is(str_from(what), "OnFailure"))
		return lambda_invalid(c, "The destination %.*s is not supported: buckets are for failures alone.", STR_ARG(arn));
	if (str_starts(arn, OF_BUCKETS) && arn.n > OF_BUCKETS.n && str_find_char(arn, '/') < 0)
		return CALL_OK;
	if (str_starts(arn, OF_BUSES) ? str_find(arn, S(":event-bus/")) > 0
	                              : str_starts(arn, OF_FUNCTIONS) && lambda_name_split(arn, &to))
		return CALL_OK;
	if (str_starts(arn, OF_BUSES) || str_starts(arn, OF_FUNCTIONS) || str_starts(arn, OF_BUCKETS))
		return lambda_invalid(c, "The destination ARN %.*s is invalid.", STR_ARG(arn));
	return lambda_invalid(c,
	                      "The destination %.*s of %s is not supported by this cloud: functions, queues, topics, event "
	                      "buses and, for failures, buckets are.",
	                      STR_ARG(arn), what);
}

int destination_check_letters(struct call *c, struct str arn)
{
	if (str_starts(arn, OF_QUEUES) || str_starts(arn, OF_TOPICS))
		return check_named(c, "dead letter", arn);
	return lambda_invalid(c, "The TargetArn %.*s of DeadLetterConfig is not supported by this cloud: queues and topics are.",
	                      STR_ARG(arn));
}

/* --- what is sent */

struct str destination_of(const struct lambda_function_event_invoke_config *config, bool success)
{
	const struct lambda_destination_config *d = config ? config->destination_config : NULL;
	struct str target = STR_NONE;
	if (d && success && d->on_success)
		target = d->on_success->destination;
	if (d && !success && d->on_failure)
		target = d->on_failure->destination;
	return str_set(target) && !str_empty(target) ? target : STR_NONE;
}

struct str destination_record(struct arena *a, const struct state_lambda_event_record *row, struct str account, struct str region,
                              const struct fn_version *version, const char *condition, const struct outcome *o)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, RECORD_BYTES);
	struct json_out j = json_out(&b);
	char when[40];
	time_format_to(when, clock_wall_ms(), TIME_ISO8601_MS);
	struct str qualifier = str_set(row->qualifier) ? row->qualifier : S(LAMBDA_LATEST);
	json_open(&j, '{');
	json_key(&j, S("version"));
	json_string(&j, S("1.0"));
	json_key(&j, S("timestamp"));
	json_string(&j, str_from(when));
	json_key(&j, S("requestContext"));
	json_open(&j, '{');
	json_key(&j, S("requestId"));
	json_string(&j, row->request_id);
	json_key(&j, S("functionArn"));
	json_string(&j, lambda_function_arn(a, region, account, row->function_name, qualifier));
	json_key(&j, S("condition"));
	json_string(&j, str_from(condition));
	json_key(&j, S("approximateInvokeCount"));
	json_int(&j, row->attempts.v);
	json_close(&j, '}');
	json_key(&j, S("requestPayload"));
	json_raw(&j, row->payload);
	if (o) {
		json_key(&j, S("responseContext"));
		json_open(&j, '{');
		json_key(&j, S("statusCode"));
		json_int(&j, 200);
		json_key(&j, S("executedVersion"));
		json_string(&j, version->version);
		if (o->function_error) {
			json_key(&j, S("functionError"));
			json_string(&j, S("Unhandled"));
		}
		json_close(&j, '}');
		json_key(&j, S("responsePayload"));
		if (json_parse(a, o->payload, NULL))
			json_raw(&j, o->payload);
		else
			json_string(&j, o->payload);
	}
	json_close(&j, '}');
	return arena_dup(a, buf_str(&b));
}

/* The message of an error as runtimes report it. */
static struct str error_message(struct arena *a, const struct outcome *o)
{
	const struct json_value *said = o ? json_parse(a, o->payload, NULL) : NULL;
	struct str text = said ? json_get_str(said, S("errorMessage")) : STR_NONE;
	size_t n = str_set(text) ? text.n : 0;
	if (n > ERROR_MESSAGE_BYTES)
		for (n = ERROR_MESSAGE_BYTES; (text.p[n] & 0xc0) == 0x80;)
			n--; /* no character is cut */
	return n ? arena_dup(a, str_sub(text, 0, n)) : STR_NONE;
}

bool destination_dead_letter(struct arena *a, const struct state_lambda_event_record *row, const struct fn_version *version,
                             const struct outcome *o, struct state_lambda_event_record *ret)
{
	const struct lambda_dead_letter_config *letters = version->config->dead_letter_config;
	if (!letters || !str_set(letters->target_arn) || str_empty(letters->target_arn))
		return false;
	*ret = *row;
	ret->destination = arena_dup(a, letters->target_arn);
	ret->dead_letter = OPT_INT(1);
	ret->error_message = error_message(a, o);
	ret->role = arena_dup(a, version->config->role);
	ret->throttles = OPT_INT(0);
	return true;
}

/* --- how it gets there */

struct delivery {
	struct lambda *lambda;
	struct arena arena;
	struct str region;
	const struct state_lambda_event_record *row;
	destination_fn *done;
	void *ctx;
};

static void end(struct delivery *d, enum destination_result result, struct str code, struct str message)
{
	if (result == DESTINATION_REFUSED)
		log_warn("lambda: delivering to %.*s: %.*s: %.*s", STR_ARG(d->row->destination), STR_ARG(code), STR_ARG(message));
	d->done(d->ctx, result);
	arena_done(&d->arena);
	free(d);
}

static void answered(void *ctx, struct call *sub)
{
	static const char *const later[] = {"TooManyRequestsException", "ResourceConflictException", "RequestThrottled",
	                                    "ThrottlingException"};
	struct str code = sub->error.code;
	if (!str_set(code)) {
		end(ctx, DESTINATION_TOLD, code, code);
		return;
	}
	bool again = sub->error.receiver;
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
		again |= str_is(code, later[i]);
	end(ctx, again ? DESTINATION_LATER : DESTINATION_REFUSED, code, sub->error.message);
}

static void to_function(struct delivery *d, const struct principal *as)
{
	struct lambda_name n = {0};
	lambda_name_split(d->row->destination, &n);
	struct lambda_invocation_request in = {
	        .function_name = d->row->destination, .invocation_type = S("Event"), .payload = d->row->payload};
	call_op_traced(d->lambda->cloud, as, str_set(n.region) ? n.region : d->region, &lambda_api, "Invoke", &in, d->row->trace_id,
	               answered, d);
}

/* What goes with a letter, which is the event as it came. */
struct about {
	const char *name, *type;
	struct str value;
};
static size_t about_letter(const struct state_lambda_event_record *row, struct about ret[3])
{
	if (!row->dead_letter.v)
		return 0;
	ret[0] = (struct about){"RequestID", "String", row->request_id};
	ret[1] = (struct about){"ErrorCode", "Number", S("200")};
	ret[2] = (struct about){"ErrorMessage", "String", row->error_message};
	return str_set(row->error_message) && !str_empty(row->error_message) ? 3 : 2;
}

static struct str text_of(const struct state_lambda_event_record *row)
{
	return str_empty(row->payload) ? S("{}") : row->payload;
}

static struct str region_of(struct str arn)
{
	struct str region = STR_NONE;
	for (int i = 0; i < 4; i++)
		region = str_cut(&arn, ':');
	return region;
}

static void to_queue(struct delivery *d, const struct principal *as)
{
	struct str rest = d->row->destination, region = region_of(rest), account;
	for (int i = 0; i < 4; i++)
		str_cut(&rest, ':');
	account = str_cut(&rest, ':');
	struct sqs_send_message_request in = {
	        .queue_url = ARENA_CAT(&d->arena, S("https://sqs."), region, S(".amazonaws.com/"), account, S("/"), rest),
	        .message_body = text_of(d->row)};
	struct about about[3];
	for (size_t i = 0, n = about_letter(d->row, about); i < n; i++) {
		struct sqs_message_body_attribute_map_entry *e = LIST_ADD(&d->arena, &in.message_attributes);
		e->key = str_from(about[i].name);
		e->value =
		        (struct sqs_message_attribute_value){.data_type = str_from(about[i].type), .string_value = about[i].value};
	}
	if (str_set(d->row->trace_id) && !str_empty(d->row->trace_id)) {
		struct sqs_message_body_system_attribute_map_entry *e = LIST_ADD(&d->arena, &in.message_system_attributes);
		e->key = S("AWSTraceHeader");
		e->value = (struct sqs_message_system_attribute_value){.data_type = S("String"), .string_value = d->row->trace_id};
	}
	call_op(d->lambda->cloud, as, region, &sqs_api, "SendMessage", &in, answered, d);
}

static void to_topic(struct delivery *d, const struct principal *as)
{
	struct sns_publish_input in = {.topic_arn = d->row->destination, .message = text_of(d->row)};
	struct about about[3];
	for (size_t i = 0, n = about_letter(d->row, about); i < n; i++) {
		struct sns_message_attribute_map_entry *e = LIST_ADD(&d->arena, &in.message_attributes);
		e->key = str_from(about[i].name);
		e->value =
		        (struct sns_message_attribute_value){.data_type = str_from(about[i].type), .string_value = about[i].value};
	}
	call_op_traced(d->lambda->cloud, as, region_of(d->row->destination), &sns_api, "Publish", &in, d->row->trace_id, answered,
	               d);
}

/* A bus answers for each event. */
static void put_to_bus(void *ctx, struct call *sub)
{
	struct delivery *d = ctx;
	const struct events_put_events_response *out = sub->out;
	if (str_set(sub->error.code) || !out || !out->failed_entry_count.v) {
		answered(d, sub);
		return;
	}
	const struct events_put_events_result_entry *e = &out->entries.v[0];
	end(d,
	    str_is(e->error_code, "InternalFailure") || str_is(e->error_code, "ThrottlingException") ? DESTINATION_LATER
	                                                                                             : DESTINATION_REFUSED,
	    e->error_code, e->error_message);
}

static void to_bus(struct delivery *d, const struct principal *as)
{
	const struct state_lambda_event_record *row = d->row;
	const struct json_value *context = json_get(json_parse(&d->arena, row->payload, NULL), S("requestContext"));
	bool success = str_is(json_get_str(context, S("condition")), "Success");
	struct events_put_events_request in = {0};
	struct events_put_events_request_entry *e = LIST_ADD(&d->arena, &in.entries);
	*e = (struct events_put_events_request_entry){.source = S("lambda"),
	                                              .detail_type = success ? S("Lambda Function Invocation Result - Success")
	                                                                     : S("Lambda Function Invocation Result - Failure"),
	                                              .detail = row->payload,
	                                              .event_bus_name = row->destination};
	*LIST_ADD(&d->arena, &e->resources) = row->destination;
	*LIST_ADD(&d->arena, &e->resources) = json_get_str(context, S("functionArn"));
	call_op(d->lambda->cloud, as, region_of(row->destination), &events_api, "PutEvents", &in, put_to_bus, d);
}

/* aws/lambda/async/NAME/2024/05/01/2024-05-01T12.00.00-UUID */
static void to_bucket(struct delivery *d, const struct principal *as)
{
	struct str at = time_format(&d->arena, clock_wall_ms(), TIME_ISO8601_MS), id = id_uuid(&d->arena);
	struct s3_put_object_request in = {
	        .bucket = str_from_at(d->row->destination, OF_BUCKETS.n),
	        .key = arena_printf(&d->arena, "aws/lambda/async/%.*s/%.4s/%.2s/%.2s/%.13s.%.2s.%.2s-%.*s",
	                            STR_ARG(d->row->function_name), at.p, at.p + 5, at.p + 8, at.p, at.p + 14, at.p + 17,
	                            STR_ARG(id)),
	        .content_type = S("application/json"),
	};
	call_op_body(d->lambda->cloud, as, d->region, &s3_api, "PutObject", &in, d->row->payload, answered, d);
}

static void deliver_as(void *ctx, const struct credentials *credentials)
{
	struct delivery *d = ctx;
	if (!credentials || !credentials->principal)
		end(d, DESTINATION_REFUSED, S("AccessDeniedException"), S("the function's role cannot be assumed"));
	else if (str_starts(d->row->destination, OF_QUEUES))
		to_queue(d, credentials->principal);
	else if (str_starts(d->row->destination, OF_TOPICS))
		to_topic(d, credentials->principal);
	else if (str_starts(d->row->destination, OF_BUSES))
		to_bus(d, credentials->principal);
	else if (str_starts(d->row->destination, OF_BUCKETS))
		to_bucket(d, credentials->principal);
	else
		to_function(d, credentials->principal);
}

void destination_deliver(struct lambda *l, struct str account, struct str region, const struct state_lambda_event_record *row,
                         destination_fn *done, void *ctx)
{
	struct delivery *d = malloc(sizeof(*d));
	if (!d)
		abort();
	*d = (struct delivery){.lambda = l, .region = region, .row = row, .done = done, .ctx = ctx};
	arena_init(&d->arena, 0);
	credentials_get(l, account, region, row->role, row->function_name, CREDENTIALS_LEFT_MS, deliver_as, d);
}
