/* An API destination as a target: an HTTP request, made of the destination, its connection, the target's parameters and the event.
 */
#include "connection.h"
#include "send.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/uri.h"
#include "core/gate.h"
#include "engine/fetch/post.h"
#include "io/work.h"

enum { TIMEOUT_US = 5 * 1000 * 1000, HEADERS_MAX = 210, TEXT_MAX = 1 << 20, RETRY_AFTER_MAX_S = 86400 };

struct api_send {
	struct sending *sending;
	struct connections *connections;
	struct api_destination destination;
	struct connection connection;
	struct post post;
	struct post_header headers[HEADERS_MAX];
	struct post_answer answer;
	unsigned status;
	struct str why;
};

/* --- how it ends */

static void post(void *job)
{
	struct api_send *s = job;
	s->status = post_send(s->sending->arena, &s->post, &s->why);
}

static void posted(void *job)
{
	struct api_send *s = job;
	struct sending *to = s->sending;
	unsigned status = s->status;
	int64_t after_s = 0;
	if (status >= 200 && status < 300) {
		send_end(to, SEND_DONE, NULL, STR_NONE);
		return;
	}
	if (!status) {
		send_end(to, SEND_LATER, "SDK_CLIENT_ERROR", ARENA_CAT(to->arena, S("The endpoint did not answer: "), s->why));
		return;
	}
	if (status == 401 || status == 407)
		connection_distrust(s->connections, &s->connection);
	if (str_set(s->answer.retry_after) && !str_to_i64(s->answer.retry_after, &after_s))
		after_s = 0;
	bool later = (status == 401 || status == 407 || status == 409 || status == 429 || status >= 500) && after_s >= 0;
	to->wait_ms = 1000 * (after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : after_s > 0 ? after_s : 0);
	send_end(to, later ? SEND_LATER : SEND_REFUSED,
	         status == 429   ? "THROTTLING"
	         : status >= 500 ? "INTERNAL_ERROR"
	                         : "SDK_CLIENT_ERROR",
	         arena_printf(
	                 to->arena,
	                 "Unable to invoke ApiDestination endpoint: API destination endpoint cannot be reached: it answered %u.",
	                 status));
}

/* --- the request */

/* A value, or what a path leads to in the event. */
static struct str value_of(struct api_send *s, const struct json_value *event, struct str value)
{
	struct arena *a = s->sending->arena;
	if (!str_starts(value, S("$.")) || !path_good(value))
		return value;
	struct buf CLEAN_BUF b;
	buf_init(&b, TEXT_MAX);
	if (!path_put(value, event, &b))
		return S("");
	const struct json_value *v = json_parse(a, arena_dup(a, buf_str(&b)), NULL);
	return json_is(v, JSON_STRING) ? v->text : arena_dup(a, buf_str(&b));
}

static void add_header(struct api_send *s, struct str name, struct str value)
{
	for (unsigned i = 0; i < s->post.header_count; i++)
		if (str_ieq(str_from(s->headers[i].name), name)) {
			s->headers[i].value = value;
			return;
		}
	if (s->post.header_count < HEADERS_MAX)
		s->headers[s->post.header_count++] = (struct post_header){arena_dupz(s->sending->arena, name), value};
}

static void add_query(struct buf *url, struct str key, struct str value)
{
	buf_add_char(url, str_find_char(buf_str(url), '?') >= 0 ? '&' : '?');
	uri_put(url, key, false);
	buf_add_char(url, '=');
	uri_put(url, value, false);
}

/* Every asterisk of the endpoint's path is the next of the target's values. */
static struct str url_of(struct api_send *s, const struct json_value *event, const struct connection_auth *auth)
{
	const struct events_http_parameters *p = s->sending->row->target->http_parameters;
	struct str endpoint = s->destination.r.endpoint;
	struct buf CLEAN_BUF b;
	uint32_t at = 0;
	buf_init(&b, TEXT_MAX);
	for (size_t i = 0; i < endpoint.n; i++) {
		if (endpoint.p[i] == '*' && p && at < p->path_parameter_values.n)
			uri_put(&b, value_of(s, event, p->path_parameter_values.v[at++]), false);
		else
			buf_add_char(&b, endpoint.p[i]);
	}
	for (uint32_t i = 0; p && i < p->query_string_parameters.n; i++)
		add_query(&b, p->query_string_parameters.v[i].key, value_of(s, event, p->query_string_parameters.v[i].value));
	for (uint32_t i = 0; i < auth->invocation.query_string_parameters.n; i++)
		add_query(&b, auth->invocation.query_string_parameters.v[i].key,
		          auth->invocation.query_string_parameters.v[i].value);
	return arena_dup(s->sending->arena, buf_str(&b));
}

/* The event, with the connection's parameters beside what it has. */
static struct str body_of(struct api_send *s, const struct connection_auth *auth)
{
	struct arena *a = s->sending->arena;
	struct str text = s->sending->payload;
	const struct json_value *v = auth->invocation.body_parameters.n ? json_parse(a, text, NULL) : NULL;
	if (!json_is(v, JSON_OBJECT))
		return text;
	struct buf CLEAN_BUF b;
	buf_init(&b, INPUT_BYTES_MAX + TEXT_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	json_each(v, member)
	{
		json_key(&j, member->key);
		struct buf CLEAN_BUF one;
		buf_init(&one, INPUT_BYTES_MAX);
		json_put_value(&one, member);
		json_raw(&j, buf_str(&one));
	}
	for (uint32_t i = 0; i < auth->invocation.body_parameters.n; i++) {
		json_key(&j, auth->invocation.body_parameters.v[i].key);
		json_string(&j, auth->invocation.body_parameters.v[i].value);
	}
	json_close(&j, '}');
	return arena_dup(a, buf_str(&b));
}

static void add_headers(struct api_send *s, const struct json_value *event, const struct connection_auth *auth, struct str token)
{
	struct arena *a = s->sending->arena;
	const struct events_http_parameters *p = s->sending->row->target->http_parameters;
	add_header(s, S("Content-Type"), S("application/json; charset=utf-8"));
	add_header(s, S("User-Agent"), S("Amazon/EventBridge/ApiDestinations"));
	add_header(s, S("Range"), S("bytes=0-1048575"));
	for (uint32_t i = 0; p && i < p->header_parameters.n; i++)
		add_header(s, p->header_parameters.v[i].key, value_of(s, event, p->header_parameters.v[i].value));
	for (uint32_t i = 0; i < auth->invocation.header_parameters.n; i++)
		add_header(s, auth->invocation.header_parameters.v[i].key, auth->invocation.header_parameters.v[i].value);
	if (str_is(s->connection.r.type, CONNECTION_BASIC))
		add_header(s, S("Authorization"),
		           ARENA_CAT(a, S("Basic "), base64_encode(a, ARENA_CAT(a, auth->user, S(":"), auth->password))));
	else if (str_is(s->connection.r.type, CONNECTION_KEY))
		add_header(s, auth->key_name, auth->key_value);
	else
		add_header(s, S("Authorization"), ARENA_CAT(a, S("Bearer "), token));
}

static void ready(void *ctx, const struct connection_auth *auth, struct str token, bool later, struct str why)
{
	struct api_send *s = ctx;
	struct sending *to = s->sending;
	if (!auth) {
		send_end(to, later ? SEND_LATER : SEND_REFUSED, later ? "INTERNAL_ERROR" : "NO_PERMISSIONS",
		         arena_dup(to->arena, why));
		return;
	}
	const struct json_value *event = json_parse(to->arena, to->row->event, NULL);
	struct str method = s->destination.r.method;
	bool bare = str_is(method, "GET") || str_is(method, "HEAD");
	s->post = (struct post){.method = arena_dupz(to->arena, method),
	                        .headers = s->headers,
	                        .anywhere = s->destination.r.local.v,
	                        .timeout_us = TIMEOUT_US,
	                        .cancel = connections_cancel(s->connections),
	                        .ret_answer = &s->answer};
	s->post.url = url_of(s, event, auth);
	s->post.body = bare ? STR_NONE : body_of(s, auth);
	add_headers(s, event, auth, token);
	work_add(connections_work(s->connections), post, posted, s);
}

void send_api(struct sending *to)
{
	struct api_send *s = arena_new(to->arena, struct api_send);
	struct str arn = to->row->target->arn;
	int64_t now_ms = clock_wall_ms();
	*s = (struct api_send){.sending = to, .connections = events_state(to->cloud)->connections};
	if (!gate_may_act(to->cloud, to->as, to->region, "events:InvokeApiDestination", arn)) {
		send_end(to, SEND_REFUSED, "NO_PERMISSIONS",
		         arena_printf(to->arena, "The role is not allowed to invoke %.*s.", STR_ARG(arn)));
		return;
	}
	struct store_txn *t = store_begin(to->cloud->store, to->arena);
	bool there = api_destination_of_arn(t, to->arena, arn, &s->destination),
	     connected = there && connection_of_arn(t, to->arena, s->destination.r.connection, &s->connection);
	store_abort(t);
	if (!connected) {
		send_end(to, SEND_REFUSED, "NO_RESOURCE",
		         there ? S("The connection does not exist.") : S("The API destination does not exist."));
		return;
	}
	if (!str_is(s->connection.r.state, "AUTHORIZED")) {
		bool soon = str_is(s->connection.r.state, "AUTHORIZING");
		send_end(to, soon ? SEND_LATER : SEND_REFUSED, soon ? "INTERNAL_ERROR" : "NO_PERMISSIONS",
		         ARENA_CAT(to->arena, S("The connection is "), s->connection.r.state, S(".")));
		return;
	}
	if (!to->slot_ms)
		to->slot_ms = connections_slot_ms(s->connections, arn, s->destination.r.rate.v, now_ms);
	if (to->slot_ms > now_ms)
		send_end(to, SEND_NOT_YET, NULL, STR_NONE);
	else
		connection_ready(s->connections, to->arena, &s->connection, ready, s);
}
