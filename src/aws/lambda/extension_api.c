/* The Extensions API, and the way in to the Telemetry and Logs APIs, which are spoken to the same listener as the Runtime API. Who
 * speaks is told by the identifier that its registration brought. A request whose body is still to come hangs on a list, so that
 * the environment may end meanwhile. */
#include "aws/lambda/extension.h"

#include "aws/lambda/telemetry.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "core/listen.h"

#include <errno.h>

enum { REGISTER_BYTES = 16 * 1024, ERROR_BYTES = 256 * 1024, SUBSCRIBE_BYTES = 64 * 1024, ASKS_MAX = 32 };

static const struct listen_header json_type = {S_INIT("Content-Type"), S_INIT("application/json")};

/* A request whose body is being read; lives in the request's arena. */
struct ask {
	struct list at;
	struct extensions *x; /* NULL: the environment is gone, or its processes are */
	struct http_request *r;
	enum extension_request what;
};

void extension_api_refuse(struct http_request *r, unsigned status, const char *type, struct str message)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("errorMessage"));
	json_string(&o, message);
	json_key(&o, S("errorType"));
	json_string(&o, str_from(type));
	json_close(&o, '}');
	listen_reply(r, status, &json_type, 1, buf_str(&b));
}

static void reply_ok(struct http_request *r)
{
	listen_reply(r, 202, &json_type, 1, S("{\"status\":\"OK\"}\n"));
}

static void wrong_state(struct http_request *r, const struct extension *one, enum extension_request what)
{
	extension_api_refuse(
	        r, 403, "Extension.InvalidExtensionState",
	        arena_printf(listen_arena(r),
	                     "State transition from %s to %s failed for extension %s. Error: State transition is not allowed",
	                     extension_state_name(one->state), extension_goal_name(what), one->name));
}

/* --- registration */

static void reply_registered(struct extensions *x, struct extension *one, struct http_request *r)
{
	const struct environment *e = x->environment;
	const struct lambda_function_configuration *f = e->version->config;
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("functionName"));
	json_string(&o, e->version->name);
	json_key(&o, S("functionVersion"));
	json_string(&o, f->version);
	json_key(&o, S("handler"));
	json_string(&o, str_set(f->handler) ? f->handler : S(""));
	struct str features = listen_header(r, S("Lambda-Extension-Accept-Feature"));
	while (str_set(features) && !str_empty(features)) {
		if (str_ieq(str_trim(str_cut(&features, ',')), S("accountId"))) {
			json_key(&o, S("accountId"));
			json_string(&o, e->version->account);
			break;
		}
	}
	json_close(&o, '}');
	struct listen_header headers[] = {json_type, {S("Lambda-Extension-Identifier"), str_from(one->id)}};
	listen_reply(r, 200, headers, 2, buf_str(&b));
}

static void take_registration(struct extensions *x, struct http_request *r, struct str body)
{
	struct str name = listen_header(r, S("Lambda-Extension-Name")), why;
	unsigned events = 0;
	const struct json_value *in = json_parse(listen_arena(r), body, &why);
	struct extension *one = extension_by_name(x, name);
	bool external = one && one->external;
	if (!json_is(in, JSON_OBJECT)) {
		extension_api_refuse(r, 403, "InvalidRequestFormat", S("The body is not a JSON object."));
		return;
	}
	if (!extension_read_events(json_get(in, S("events")), &events)) {
		extension_api_refuse(r, 403, "Extension.InvalidEventType", S("An event is none of INVOKE and SHUTDOWN"));
		return;
	}
	if (one && !extension_allows(one->state, EXTENSION_REGISTER)) {
		wrong_state(r, one, EXTENSION_REGISTER);
		return;
	}
	if (!external && events & EXTENSION_SHUTDOWN) {
		extension_api_refuse(r, 403, "Extension.InvalidEventType",
		                     S("ShutdownEvent: internal extensions cannot register for it"));
		return;
	}
	if (!external && (x->closed || x->environment->state != ENVIRONMENT_STARTING)) {
		extension_api_refuse(r, 403, "Extension.RegistrationClosed", S("Extension registration is closed"));
		return;
	}
	if (!one && x->count == EXTENSIONS_MAX) {
		extension_api_refuse(r, 403, "Extension.TooManyExtensions",
		                     arena_printf(listen_arena(r), "Extension limit (%d) reached", EXTENSIONS_MAX));
		return;
	}
	if (!one) {
		one = extension_new(x, name, false);
		telemetry_init_start(x->telemetry);
	}
	one->events = events;
	one->state = EXTENSION_REGISTERED;
	reply_registered(x, one, r);
	if (external)
		extensions_registered(x);
}

/* --- events */

void extension_api_send_invoke(struct extensions *x, struct extension *one)
{
	const struct environment *e = x->environment;
	const struct invocation *inv = e->current;
	struct http_request *r = one->next;
	one->next = NULL;
	one->invoke_due = false;
	if (!inv) { /* it came after all others were done */
		one->next = r;
		one->state = EXTENSION_READY;
		return;
	}
	struct buf CLEAN_BUF b;
	char id[37];
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("eventType"));
	json_string(&o, S("INVOKE"));
	json_key(&o, S("deadlineMs"));
	json_int(&o, clock_wall_ms() + (e->limit.due_us - loop_now_us(e->lambda->cloud->loop)) / 1000);
	json_key(&o, S("requestId"));
	json_string(&o, str_from(inv->request_id));
	json_key(&o, S("invokedFunctionArn"));
	json_string(&o, inv->arn);
	json_key(&o, S("tracing"));
	json_open(&o, '{');
	json_key(&o, S("type"));
	json_string(&o, S("X-Amzn-Trace-Id"));
	json_key(&o, S("value"));
	json_string(&o, str_set(inv->trace_id) ? inv->trace_id : S(""));
	json_close(&o, '}');
	json_close(&o, '}');
	id_uuid_to(id);
	struct listen_header headers[] = {json_type, {S("Lambda-Extension-Event-Identifier"), str_from(id)}};
	listen_reply(r, 200, headers, 2, buf_str(&b));
}

void extension_api_send_shutdown(struct extensions *x, struct extension *one, int64_t left_us)
{
	struct http_request *r = one->next;
	char id[37];
	one->next = NULL;
	one->shutdown_sent = true;
	id_uuid_to(id);
	struct str body =
	        arena_printf(listen_arena(r), "{\"eventType\":\"SHUTDOWN\",\"shutdownReason\":\"%s\",\"deadlineMs\":%lld}",
	                     x->stop_reason, (long long)(clock_wall_ms() + left_us / 1000));
	struct listen_header headers[] = {json_type, {S("Lambda-Extension-Event-Identifier"), str_from(id)}};
	listen_reply(r, 200, headers, 2, body);
}

static void next_gone(void *ctx)
{
	struct extension *one = ctx;
	one->next = NULL; /* it has ended, or asks again */
}

static void take_next(struct extensions *x, struct extension *one, struct http_request *r)
{
	bool told = one->state == EXTENSION_STOPPING;
	if (one->next || (!told && !extension_allows(one->state, EXTENSION_NEXT))) {
		wrong_state(r, one, EXTENSION_NEXT);
		return;
	}
	one->next = r;
	listen_on_gone(r, next_gone, one);
	if (told) {
		if (!one->shutdown_sent)
			extension_api_send_shutdown(x, one, x->stop_deadline_us - loop_now_us(x->environment->lambda->cloud->loop));
		return; /* whoever asks again waits until he is killed */
	}
	if (one->invoke_due) {
		one->state = EXTENSION_RUNNING;
		extension_api_send_invoke(x, one);
		if (one->state == EXTENSION_RUNNING)
			return;
	}
	one->state = EXTENSION_READY;
	environment_extension_is_back(x->environment);
}

/* --- requests with a body */

static void body_came(void *ctx, struct str body, int status)
{
	struct ask *ask = ctx;
	struct extensions *x = ask->x;
	struct http_request *r = ask->r;
	list_remove(&ask->at);
	listen_on_gone(r, NULL, NULL);
	if (!x || status < 0) {
		extension_api_refuse(r, status == -EMSGSIZE ? 413 : 400,
		                     status == -EMSGSIZE ? "RequestEntityTooLarge" : "TruncatedHTTPRequest",
		                     S("The body could not be read."));
		return;
	}
	if (ask->what == EXTENSION_REGISTER) {
		take_registration(x, r, body);
		return;
	}
	struct extension *one = extension_by_id(x, listen_header(r, S("Lambda-Extension-Identifier")));
	if (!one || !extension_allows(one->state, ask->what)) {
		if (one)
			wrong_state(r, one, ask->what);
		else
			extension_api_refuse(r, 403, "Extension.UnknownExtensionIdentifier", S("Unknown extension"));
		return;
	}
	if (ask->what == EXTENSION_TELEMETRY || ask->what == EXTENSION_LOGS) {
		telemetry_take_subscription(x->telemetry, one, ask->what == EXTENSION_LOGS, r, body);
		return;
	}
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str type = arena_dup(&a, listen_header(r, S("Lambda-Extension-Function-Error-Type")));
	reply_ok(r);
	if (!x->stop_reason)
		extension_told_error(x, one, ask->what, type);
}

static void body_gone(void *ctx)
{
	struct ask *ask = ctx;
	list_remove(&ask->at);
}

static void read_body(struct extensions *x, struct http_request *r, enum extension_request what, size_t max)
{
	unsigned waiting = 0;
	list_each (&x->asks, struct ask, at, one)
		waiting++;
	if (waiting >= ASKS_MAX) {
		extension_api_refuse(r, 429, "TooManyRequests", S("Too many requests are under way."));
		return;
	}
	struct ask *ask = arena_new(listen_arena(r), struct ask);
	*ask = (struct ask){.x = x, .r = r, .what = what};
	list_init(&ask->at);
	list_push(&x->asks, &ask->at);
	listen_on_gone(r, body_gone, ask);
	listen_body_collect(r, max, body_came, ask);
}

void extension_api_forget(struct extensions *x)
{
	list_each (&x->asks, struct ask, at, ask) {
		ask->x = NULL;
		list_remove(&ask->at);
	}
	for (unsigned i = 0; i < x->count; i++) {
		if (x->v[i]->next)
			listen_on_gone(x->v[i]->next, NULL, NULL);
		x->v[i]->next = NULL;
	}
}

/* --- serving */

/* Who asks; NULL: nobody that is known, and refused. */
static struct extension *who(struct environment *e, struct http_request *r)
{
	struct str id = listen_header(r, S("Lambda-Extension-Identifier"));
	if (!str_set(id) || str_empty(id)) {
		extension_api_refuse(r, 403, "Extension.MissingExtensionIdentifier",
		                     S("Missing Lambda-Extension-Identifier header"));
		return NULL;
	}
	if (!id_is_uuid(id)) {
		extension_api_refuse(r, 403, "Extension.InvalidExtensionIdentifier", S("Invalid Lambda-Extension-Identifier"));
		return NULL;
	}
	struct extension *one = extension_by_id(e->extensions, id);
	if (!one)
		extension_api_refuse(r, 403, "Extension.UnknownExtensionIdentifier",
		                     ARENA_CAT(listen_arena(r), S("Unknown extension "), id));
	return one;
}

static void serve_register(struct environment *e, struct http_request *r)
{
	struct str name = listen_header(r, S("Lambda-Extension-Name"));
	if (!str_set(name) || str_empty(name) || name.n >= EXTENSION_NAME_BYTES || str_find_char(name, '\t') >= 0) {
		extension_api_refuse(r, 403, "Extension.InvalidExtensionName", S("The extension's name is missing or too long"));
		return;
	}
	if (!e->extensions && e->state != ENVIRONMENT_STARTING) {
		extension_api_refuse(r, 403, "Extension.RegistrationClosed", S("Extension registration is closed"));
		return;
	}
	read_body(extensions_of(e), r, EXTENSION_REGISTER, REGISTER_BYTES);
}

bool extension_api_takes(struct environment *e, struct http_request *r)
{
	enum extension_request what = extension_route(listen_method(r), listen_path(r));
	if (what == EXTENSION_NONE)
		return false;
	if (what == EXTENSION_OTHER) {
		extension_api_refuse(r, 404, "NotFound", S("404 page not found"));
		return true;
	}
	if (what == EXTENSION_REGISTER) {
		serve_register(e, r);
		return true;
	}
	struct extension *one = who(e, r);
	if (!one)
		return true;
	struct str type = listen_header(r, S("Lambda-Extension-Function-Error-Type"));
	if (what == EXTENSION_NEXT)
		take_next(e->extensions, one, r);
	else if (what == EXTENSION_TELEMETRY || what == EXTENSION_LOGS)
		read_body(e->extensions, r, what, SUBSCRIBE_BYTES);
	else if (!str_set(type) || str_empty(type))
		extension_api_refuse(r, 403, "Extension.MissingHeader", S("Lambda-Extension-Function-Error-Type not found"));
	else
		read_body(e->extensions, r, what, ERROR_BYTES);
	return true;
}
