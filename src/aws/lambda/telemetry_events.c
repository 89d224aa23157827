/* What the events say. Names and members are AWS's; of the Logs API, which has less in them, "plain" is meant. */
#include "aws/lambda/telemetry.h"

#include "aws/lambda/extension.h"
#include "aws/lambda/launch.h"
#include "aws/lambda/report.h"
#include "aws/lambda/runtime.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

enum { RECORD_BYTES = 2 << 20 };

static const struct lambda_function_configuration *config(const struct telemetry *t)
{
	return t->environment->version->config;
}

/* Is anybody there, or may still come? */
static bool heard(const struct telemetry *t)
{
	return t->collecting || t->count;
}

static void member(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_from(key));
	json_string(o, value);
}

static void number(struct json_out *o, const char *key, double v)
{
	json_key(o, str_from(key));
	json_double(o, v);
}

static double ms(int64_t us)
{
	return (double)(us > 0 ? us : 0) / 1000;
}

static void init_members(const struct telemetry *t, struct json_out *o)
{
	member(o, "initializationType", str_from(launch_initialization_type(t->environment)));
	member(o, "phase", t->environment->init_in_invoke ? S("invoke") : S("init"));
}

static void status_members(struct json_out *o, const char *status, const char *error_type)
{
	member(o, "status", str_from(status));
	if (error_type)
		member(o, "errorType", str_from(error_type));
}

static void tracing(struct json_out *o, const struct invocation *inv)
{
	if (!str_set(inv->trace_id))
		return;
	json_key(o, S("tracing"));
	json_open(o, '{');
	member(o, "type", S("X-Amzn-Trace-Id"));
	member(o, "value", inv->trace_id);
	json_close(o, '}');
}

/* --- initialisation */

void telemetry_init_start(struct telemetry *t)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b = {0};
	if (t->collecting)
		return;
	t->collecting = true;
	buf_init(&b, RECORD_BYTES);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	init_members(t, &o);
	if (str_set(config(t)->runtime)) {
		member(&o, "runtimeVersion", runtime_version_name(&a, config(t)->runtime));
		member(&o, "runtimeVersionArn", runtime_version_arn(&a, t->environment->version->region, config(t)->runtime));
	}
	member(&o, "functionName", t->environment->version->name);
	member(&o, "functionVersion", config(t)->version);
	json_close(&o, '}');
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.initStart", buf_str(&b), STR_NONE);
}

void telemetry_init_runtime_done(struct telemetry *t, const char *status, const char *error_type)
{
	struct buf CLEAN_BUF b = {0};
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	init_members(t, &o);
	status_members(&o, status, error_type);
	json_close(&o, '}');
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.initRuntimeDone", buf_str(&b), STR_NONE);
}

void telemetry_init_report(struct telemetry *t, const char *status, const char *error_type, int64_t took_us)
{
	struct buf CLEAN_BUF b = {0};
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	init_members(t, &o);
	status_members(&o, status, error_type);
	json_key(&o, S("metrics"));
	json_open(&o, '{');
	number(&o, "durationMs", ms(took_us));
	json_close(&o, '}');
	json_close(&o, '}');
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.initReport", buf_str(&b), STR_NONE);
}

/* --- invocations */

static struct str id_record(struct arena *a, const char *request_id)
{
	return arena_printf(a, "{\"requestId\":\"%s\"}", request_id);
}

void telemetry_start(struct telemetry *t, const struct invocation *inv)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b = {0};
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	member(&o, "requestId", str_from(inv->request_id));
	member(&o, "version", config(t)->version);
	tracing(&o, inv);
	json_close(&o, '}');
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.start", buf_str(&b), id_record(&a, inv->request_id));
}

static void span(struct json_out *o, const char *name, int64_t from_us, int64_t to_us)
{
	char when[40];
	/* spans begin by the wall clock */
	time_format_to(when, clock_wall_ms() - (clock_mono_us() - from_us) / 1000, TIME_ISO8601_MS);
	json_open(o, '{');
	member(o, "name", str_from(name));
	member(o, "start", str_from(when));
	number(o, "durationMs", ms(to_us - from_us));
	json_close(o, '}');
}

void telemetry_runtime_done(struct telemetry *t, const struct invocation *inv, const struct telemetry_done *d)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b = {0};
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	member(&o, "requestId", str_from(inv->request_id));
	status_members(&o, d->status, d->error_type);
	tracing(&o, inv);
	if (d->answer_us) {
		json_key(&o, S("spans"));
		json_open(&o, '[');
		span(&o, "responseLatency", d->began_us, d->answer_us);
		span(&o, "responseDuration", d->answer_us, d->answered_us);
		span(&o, "runtimeOverhead", d->answered_us, d->done_us);
		json_close(&o, ']');
	}
	json_key(&o, S("metrics"));
	json_open(&o, '{');
	number(&o, "durationMs", ms(d->done_us - d->began_us));
	if (d->answer_us) {
		json_key(&o, S("producedBytes"));
		json_int(&o, (int64_t)d->produced_bytes);
	}
	json_close(&o, '}');
	json_close(&o, '}');
	struct str plain = arena_printf(&a, "{\"requestId\":\"%s\",\"status\":\"%s\"}", inv->request_id, d->status);
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.runtimeDone", buf_str(&b), plain);
}

void telemetry_report(struct telemetry *t, const struct report *r)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b = {0}, metrics = {0};
	long long used = (r->peak_bytes + (1 << 20) - 1) >> 20, size = r->config->memory_size.v;
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	buf_init(&metrics, RECORD_BYTES);
	struct json_out o = json_out(&metrics);
	json_open(&o, '{');
	number(&o, "durationMs", ms(r->duration_us));
	number(&o, "billedDurationMs", (double)report_billed_ms(r->init_us, r->duration_us));
	number(&o, "memorySizeMB", (double)size);
	number(&o, "maxMemoryUsedMB", (double)(used < size ? used : size));
	if (r->init_us)
		number(&o, "initDurationMs", ms(r->init_us));
	json_close(&o, '}');
	o = json_out(&b);
	json_open(&o, '{');
	member(&o, "requestId", str_from(r->request_id));
	status_members(&o, r->status ? r->status : "success", r->error_type);
	json_key(&o, S("metrics"));
	json_raw(&o, buf_str(&metrics));
	json_close(&o, '}');
	struct str id = str_from(r->request_id);
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.end", id_record(&a, r->request_id), STR_NONE);
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.report", buf_str(&b),
	              ARENA_CAT(&a, S("{\"requestId\":\""), id, S("\",\"metrics\":"), buf_str(&metrics), S("}")));
}

void telemetry_fault(struct telemetry *t, const char *request_id, const char *type, const char *text)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b = {0};
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	json_put_string(&b, arena_printf(&a, "RequestId: %s Error: %s\n%s", request_id, text, type));
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.fault", buf_str(&b), STR_NONE);
}

/* --- extensions */

void telemetry_extension(struct telemetry *t, const struct extension *one, const char *state, struct str error_type)
{
	struct buf CLEAN_BUF b = {0};
	if (!heard(t))
		return;
	buf_init(&b, RECORD_BYTES);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	member(&o, "name", str_from(one->name));
	member(&o, "state", str_from(state));
	json_key(&o, S("events"));
	json_open(&o, '[');
	if (one->events & EXTENSION_INVOKE)
		json_string(&o, S("INVOKE"));
	if (one->events & EXTENSION_SHUTDOWN)
		json_string(&o, S("SHUTDOWN"));
	json_close(&o, ']');
	if (str_set(error_type))
		member(&o, "errorType", error_type);
	json_close(&o, '}');
	telemetry_put(t, TELEMETRY_PLATFORM, "platform.extension", buf_str(&b), STR_NONE);
}

void telemetry_subscribed(struct telemetry *t, const struct extension *one, const struct telemetry_request *r)
{
	static const char *const names[] = {"platform", "function", "extension"};
	bool logs = r->schema < TELEMETRY_2022_07_01;
	struct buf CLEAN_BUF b = {0}, text = {0};
	buf_init(&b, RECORD_BYTES);
	buf_init(&text, 256);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	member(&o, "name", str_from(one->name));
	member(&o, "state", S("Subscribed"));
	json_key(&o, S("types"));
	json_open(&o, '[');
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(r->types >> i & 1))
			continue;
		json_string(&o, str_from(names[i]));
		buf_printf(&text, "%s%s", text.n ? "," : "", names[i]);
	}
	json_close(&o, ']');
	json_close(&o, '}');
	output_line(t->environment->output, "%s\tName: %s\tState: Subscribed\tTypes: [%.*s]\n", logs ? "LOGS" : "TELEMETRY",
	            one->name, STR_ARG(buf_str(&text)));
	telemetry_put(t, TELEMETRY_PLATFORM, logs ? "platform.logsSubscription" : "platform.telemetrySubscription", buf_str(&b),
	              STR_NONE);
}

/* --- lines */

void telemetry_add_line(struct telemetry *t, enum telemetry_kind kind, struct str line)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b = {0};
	const struct lambda_logging_config *logging = config(t)->logging_config;
	if (!heard(t))
		return;
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	buf_init(&b, RECORD_BYTES);
	json_put_string(&b, line);
	/* a function that logs JSON has its objects passed on as such */
	bool object = kind == TELEMETRY_FUNCTION && logging && str_eq(logging->log_format, S("JSON")) && line.n &&
	              line.p[0] == '{' && json_is(json_parse(&a, line, NULL), JSON_OBJECT);
	telemetry_put(t, kind, kind == TELEMETRY_FUNCTION ? "function" : "extension", object ? line : buf_str(&b),
	              object ? buf_str(&b) : STR_NONE);
}

struct str telemetry_dropped_record(struct arena *a, uint64_t records, uint64_t bytes)
{
	return arena_printf(
	        a,
	        "{\"reason\":\"Consumer seems to have fallen behind as it has not acknowledged receipt of logs.\",\"droppedRecords\":%llu,\"droppedBytes\":%llu}",
	        (unsigned long long)records, (unsigned long long)bytes);
}
