#include "send.h"

#include "base/clock.h"
#include "base/hash.h"
#include "gen/lambda.h"
#include "gen/logs.h"
#include "gen/sns.h"
#include "gen/sqs.h"

enum { STREAM_DIGITS = 32 };

struct arn_parts send_arn(struct str arn)
{
	struct str rest = arn, parts[5];
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	return (struct arn_parts){parts[2], parts[3], parts[4], rest};
}

void send_end(struct sending *s, enum send_outcome outcome, const char *code, struct str message)
{
	const struct send_result r = {outcome, code, message};
	if (s->as)
		principal_unref(s->as);
	s->as = NULL;
	s->done(s->ctx, &r);
}

/* What a target's own service says, as dead letters name it. */
static const char *word_of(const struct call *sub)
{
	struct str code = sub->error.code;
	if (str_starts(code, S("AccessDenied")))
		return "NO_PERMISSIONS";
	if (str_find(code, S("NotFound")) >= 0 || str_find(code, S("DoesNotExist")) >= 0 || str_find(code, S("NonExistent")) >= 0)
		return "NO_RESOURCE";
	if (str_starts(code, S("TooManyRequests")) || str_starts(code, S("Throttl")) || str_is(code, "ResourceConflictException"))
		return "THROTTLING";
	return sub->error.receiver ? "INTERNAL_ERROR" : "SDK_CLIENT_ERROR";
}

void send_answered(void *ctx, struct call *sub)
{
	struct sending *s = ctx;
	if (!str_set(sub->error.code)) {
		send_end(s, SEND_DONE, NULL, STR_NONE);
		return;
	}
	const char *word = word_of(sub);
	bool later = sub->error.receiver || str_is(str_from(word), "THROTTLING");
	send_end(s, later ? SEND_LATER : SEND_REFUSED, word, arena_dup(s->arena, sub->error.message));
}

/* --- Lambda, SQS, SNS */

static void send_function(struct sending *s)
{
	const struct lambda_invocation_request in = {
	        .function_name = s->row->target->arn, .invocation_type = S("Event"), .payload = s->payload};
	call_op(s->cloud, s->as, send_arn(s->row->target->arn).region, &lambda_api, "Invoke", &in, send_answered, s);
}

static struct str queue_url(struct sending *s, const struct arn_parts *queue)
{
	return ARENA_CAT(s->arena, str_from(s->cloud->endpoint), S("/"), queue->account, S("/"), queue->rest);
}

static void send_queue(struct sending *s)
{
	struct arn_parts queue = send_arn(s->row->target->arn);
	const struct events_sqs_parameters *p = s->row->target->sqs_parameters;
	const struct sqs_send_message_request in = {.queue_url = queue_url(s, &queue),
	                                            .message_body = s->payload,
	                                            .message_group_id = p ? p->message_group_id : STR_NONE};
	call_op(s->cloud, s->as, queue.region, &sqs_api, "SendMessage", &in, send_answered, s);
}

static void send_topic(struct sending *s)
{
	const struct sns_publish_input in = {.topic_arn = s->row->target->arn, .subject = s->row->subject, .message = s->payload};
	call_op(s->cloud, s->as, send_arn(s->row->target->arn).region, &sns_api, "Publish", &in, send_answered, s);
}

/* --- Logs: a stream a rule */

static void put_log(struct sending *s, call_done_fn *done);

static struct str log_group(const struct sending *s)
{
	struct str name = str_from_at(send_arn(s->row->target->arn).rest, S("log-group:").n);
	return str_ends(name, S(":*")) ? str_sub(name, 0, name.n - 2) : name;
}

static struct str log_stream(struct sending *s)
{
	return str_sub(hash_hex(s->arena, HASH_SHA256, s->row->rule), 0, STREAM_DIGITS);
}

static void stream_made(void *ctx, struct call *sub)
{
	if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException"))
		send_answered(ctx, sub);
	else
		put_log(ctx, send_answered);
}

static void log_put(void *ctx, struct call *sub)
{
	struct sending *s = ctx;
	if (!str_is(sub->error.code, "ResourceNotFoundException")) {
		send_answered(s, sub);
		return;
	}
	const struct logs_create_log_stream_request in = {.log_group_name = log_group(s), .log_stream_name = log_stream(s)};
	call_op(s->cloud, s->as, send_arn(s->row->target->arn).region, &logs_api, "CreateLogStream", &in, stream_made, s);
}

static void put_log(struct sending *s, call_done_fn *done)
{
	struct logs_input_log_event event = {.timestamp = OPT_INT(clock_wall_ms()), .message = s->payload};
	const struct logs_put_log_events_request in = {
	        .log_group_name = log_group(s), .log_stream_name = log_stream(s), .log_events = {.v = &event, .n = 1, .set = true}};
	call_op(s->cloud, s->as, send_arn(s->row->target->arn).region, &logs_api, "PutLogEvents", &in, done, s);
}

/* --- what it gets, and from whom */

/* The one keyword of a schedule's input that is not known before. */
static struct str with_attempt(struct sending *s)
{
	static const struct str keyword = S_INIT("<aws.scheduler.attempt-number>");
	struct str rest = s->row->event, made = S("");
	struct str number = arena_printf(s->arena, "%lld", (long long)s->row->attempts.v + 1);
	for (ptrdiff_t at; (at = str_find(rest, keyword)) >= 0; rest = str_from_at(rest, (size_t)at + keyword.n))
		made = ARENA_CAT(s->arena, made, str_sub(rest, 0, (size_t)at), number);
	return ARENA_CAT(s->arena, made, rest);
}

static bool make_payload(struct sending *s)
{
	const struct state_events_delivery_record *row = s->row;
	const struct events_target *t = row->target;
	struct buf CLEAN_BUF b = {0};
	char when[40];
	s->payload = str_set(t->input) ? t->input : row->event;
	if (str_set(row->schedule))
		s->payload = with_attempt(s);
	if (!t->input_transformer && !str_set(t->input_path))
		return true;
	buf_init(&b, INPUT_BYTES_MAX);
	struct transform_event e = {.event = json_parse(s->arena, row->event, NULL),
	                            .text = row->event,
	                            .rule_arn = row->rule,
	                            .rule_name = row->rule_name};
	time_format_to(when, row->accepted.ms, TIME_ISO8601_MS);
	e.ingested = str_from(when);
	/* What a path leads to that is not there is sent as null. */
	if (str_set(t->input_path)) {
		if (!path_put(t->input_path, e.event, &b))
			buf_add_lit(&b, "null");
	} else if (!transform_put(&e, &t->input_transformer->input_paths_map, t->input_transformer->input_template, &b))
		return false;
	s->payload = arena_dup(s->arena, buf_str(&b));
	return true;
}

static void send_as(void *ctx, const struct principal *as)
{
	struct sending *s = ctx;
	if (!as) {
		send_end(s, SEND_REFUSED, "NO_PERMISSIONS",
		         arena_printf(s->arena, "The role %.*s cannot be assumed.", STR_ARG(s->row->role)));
		return;
	}
	s->as = principal_ref(as);
	struct str service = send_arn(s->row->target->arn).service;
	if (str_is(service, "lambda"))
		send_function(s);
	else if (str_is(service, "sqs"))
		send_queue(s);
	else if (str_is(service, "sns"))
		send_topic(s);
	else if (str_is(service, "logs"))
		put_log(s, log_put);
	else if (str_is(service, "ecs"))
		send_task(s);
	else if (str_starts(send_arn(s->row->target->arn).rest, S("archive/")))
		send_to_archive(s);
	else if (str_starts(send_arn(s->row->target->arn).rest, S("api-destination/")))
		send_api(s);
	else
		send_event(s);
}

static struct str service_of(const struct sending *s)
{
	return str_set(s->row->service)    ? s->row->service
	       : str_set(s->row->schedule) ? S("scheduler.amazonaws.com")
	                                   : S("events.amazonaws.com");
}

/* Without a role it is the service itself whom resource policies let in; to buses, the account that sends. */
static void become(struct sending *s, role_fn *fn)
{
	if (str_set(s->row->role)) {
		events_roles_get(s->roles, s->region, s->row->role, service_of(s), fn, s);
		return;
	}
	bool bus = str_is(send_arn(s->row->target->arn).service, "events");
	struct principal *self = principal_new(bus ? PRINCIPAL_ROOT : PRINCIPAL_SERVICE, s->account);
	if (!bus) {
		self->name = self->arn = self->user_id = S("events.amazonaws.com");
		self->issuer_arn = arena_dup(&self->arena, s->row->rule);
	}
	fn(s, self);
	principal_unref(self);
}

void send_to_target(struct sending *s)
{
	if (make_payload(s))
		become(s, send_as);
	else
		send_end(s, SEND_REFUSED, "INVALID_JSON", S("The input transformer made no valid input for the target."));
}

/* --- dead letters */

static void add_attribute(struct sending *s, struct sqs_message_body_attribute_map *map, const char *name, struct str value)
{
	if (!value.n)
		return;
	struct sqs_message_body_attribute_map_entry *e = LIST_ADD(s->arena, map);
	e->key = str_from(name);
	e->value = (struct sqs_message_attribute_value){.data_type = S("String"), .string_value = value};
}

static void send_dead_as(void *ctx, const struct principal *as)
{
	struct sending *s = ctx;
	struct arn_parts queue = send_arn(s->row->dead_letter);
	if (!as) {
		send_end(s, SEND_REFUSED, "NO_PERMISSIONS", S("the role cannot be assumed"));
		return;
	}
	s->as = principal_ref(as);
	const struct sqs_send_message_request in = {
	        .queue_url = queue_url(s, &queue), .message_body = s->row->event, .message_attributes = *s->attributes};
	call_op(s->cloud, s->as, queue.region, &sqs_api, "SendMessage", &in, send_answered, s);
}

void send_to_queue_of_dead(struct sending *s, const struct send_result *why, const char *exhausted)
{
	struct sqs_message_body_attribute_map *all = arena_new(s->arena, struct sqs_message_body_attribute_map);
	const struct state_events_delivery_record *row = s->row;
	char when[40];
	add_attribute(s, all, "ERROR_CODE", str_from(why->code));
	add_attribute(s, all, "ERROR_MESSAGE", str_sub(why->message, 0, 1000));
	add_attribute(s, all, "EXHAUSTED_RETRY_CONDITION", str_from(exhausted));
	add_attribute(s, all, "RETRY_ATTEMPTS",
	              arena_printf(s->arena, "%lld", (long long)(row->attempts.v ? row->attempts.v - 1 : 0)));
	add_attribute(s, all, "TARGET_ARN", row->target->arn);
	add_attribute(s, all, "RULE_ARN", row->rule);
	add_attribute(s, all, "SCHEDULE_ARN", row->schedule);
	if (row->scheduled.set) {
		time_format_to(when, row->scheduled.ms, TIME_ISO8601);
		add_attribute(s, all, "SCHEDULED_TIME", arena_dup(s->arena, str_from(when)));
	}
	s->attributes = all;
	/* A rule's dead letters come from the service, whatever role its target is reached by. */
	if (str_set(row->rule)) {
		struct principal *self = principal_new(PRINCIPAL_SERVICE, s->account);
		self->name = self->arn = self->user_id = S("events.amazonaws.com");
		self->issuer_arn = arena_dup(&self->arena, row->rule);
		send_dead_as(s, self);
		principal_unref(self);
	} else
		become(s, send_dead_as);
}
