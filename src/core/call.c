/* The face of a call that handlers use; the walk itself is gate.c's. */
#include "core/gate_call.h"

#include "base/log.h"
#include "base/uri.h"
#include "wire/eventstream.h"

#include <arpa/inet.h>

struct store_txn *call_txn(struct call *c)
{
	struct gate_call *g = gate_call_of(c);
	if (!g->txn)
		g->txn = store_begin(c->cloud->store, c->arena);
	return g->txn;
}

int call_fail(struct call *c, const char *code, unsigned status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	c->error = (struct call_error){.code = arena_dup(c->arena, str_from(code)),
	                               .message = arena_vprintf(c->arena, fmt, ap),
	                               .status = status,
	                               .receiver = status >= 500};
	va_end(ap);
	/* What a handler had meant for its success stays unsaid; what it adds from now on belongs to the error. */
	gate_call_of(c)->reply_header_count = 0;
	return CALL_FAIL;
}

int call_broken(struct call *c, const char *fmt, ...)
{
	struct arena CLEAN_ARENA a = {0};
	va_list ap;
	va_start(ap, fmt);
	struct str what = arena_vprintf(&a, fmt, ap);
	va_end(ap);
	log_error("request %.*s, %.*s: %.*s", STR_ARG(c->request_id),
	          STR_ARG(c->op ? api_text(c->service->api, c->op->name) : S("?")), STR_ARG(what));
	return call_fail(c, "InternalFailure", 500,
	                 "The request processing has failed because of an unknown error, exception or failure.");
}

int call_field(struct call *c, const char *name, struct str value)
{
	struct str_map_entry *e = LIST_ADD(c->arena, &c->error.fields);
	e->key = arena_dup(c->arena, str_from(name));
	e->value = arena_dup(c->arena, value);
	return CALL_FAIL;
}

int call_wait(struct call *c, call_resume_fn *resume, call_gone_fn *gone)
{
	struct gate_call *g = gate_call_of(c);
	g->resume = resume;
	g->gone_fn = gone;
	g->waiting = true;
	return CALL_WAIT;
}

void call_resume(struct call *c)
{
	gate_go(gate_call_of(c));
}

static void hooks_add(struct gate_hooks *h, void (*fn)(struct call *))
{
	if (h->n == HOOKS_MAX)
		die("more than %d hooks on one call", HOOKS_MAX);
	h->fn[h->n++] = fn;
}

void call_after_commit(struct call *c, void (*fn)(struct call *c))
{
	hooks_add(&gate_call_of(c)->after_commit, fn);
}

void call_on_free(struct call *c, void (*fn)(struct call *c))
{
	hooks_add(&gate_call_of(c)->on_free, fn);
}

struct str call_header(const struct call *c, struct str name)
{
	return c->http ? http_header(c->http, name) : STR_NONE;
}

struct str call_query(const struct call *c, struct str name)
{
	if (!c->http)
		return STR_NONE;
	struct str rest = http_head(c->http)->query;
	struct uri_part part;
	while (uri_next_part(&rest, &part))
		if (str_eq(uri_decode_form(c->arena, part.name), name))
			return uri_decode_form(c->arena, part.value);
	return STR_NONE;
}

struct str call_path(const struct call *c)
{
	return c->http ? http_head(c->http)->path : STR_NONE;
}

bool call_from_here(const struct call *c)
{
	const struct gate_call *g = container_of(c, const struct gate_call, call);
	if (!c->http || g->from_cell || c->endpoint)
		return false;
	struct str ip = call_source_ip(c);
	return str_starts(ip, S("127.")) || str_is(ip, "::1");
}

struct str call_source_ip(const struct call *c)
{
	if (!c->http)
		return STR_NONE;
	const struct sockaddr_storage *peer = &http_head(c->http)->peer;
	char text[INET6_ADDRSTRLEN] = "127.0.0.1";
	if (peer->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, text, sizeof(text));
	else if (peer->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, text, sizeof(text));
	return arena_dup(c->arena, str_from(text));
}

bool call_over_tls(const struct call *c)
{
	return c->http && http_head(c->http)->tls;
}

void call_reply_header(struct call *c, struct str name, struct str value)
{
	struct gate_call *g = gate_call_of(c);
	if (g->reply_header_count == g->reply_header_cap) {
		unsigned cap = g->reply_header_cap ? g->reply_header_cap * 2 : 8;
		struct http_header *more = arena_array(c->arena, cap, sizeof(*more));
		if (g->reply_header_count)
			memcpy(more, g->reply_headers, g->reply_header_count * sizeof(*more));
		g->reply_headers = more;
		g->reply_header_cap = cap;
	}
	g->reply_headers[g->reply_header_count++] =
	        (struct http_header){.name = arena_dup(c->arena, name), .value = arena_dup(c->arena, value)};
}

struct call_facts call_facts(const struct call *c)
{
	const struct gate_call *g = (const struct gate_call *)(const void *)c;
	int64_t streamed = c->body ? body_length(c->body) : 0;
	return (struct call_facts){.status = g->sent_status,
	                           .bytes_in = c->body ? (streamed > 0 ? (uint64_t)streamed : 0) : g->wire.body.n,
	                           .bytes_out = g->sent_bytes,
	                           .started_us = g->started_us,
	                           .received_us = g->received_us ? g->received_us : g->started_us};
}

void call_reply_status(struct call *c, unsigned status)
{
	gate_call_of(c)->reply_status = status;
}

void call_check_signature(struct call *c)
{
	gate_call_of(c)->taken_checked = true;
}

/* --- permissions */

/* EC2 says first that it refuses, and no resource where an operation has none. */
static struct str ec2_denial(struct arena *a, struct str message)
{
	struct str nowhere = S(" on resource: *");
	ptrdiff_t at = str_find(message, ARENA_CAT(a, nowhere, S(" ")));
	struct str head = at < 0 ? message : str_sub(message, 0, (size_t)at);
	struct str tail = at < 0 ? S("") : str_from_at(message, (size_t)at + nowhere.n);
	return ARENA_CAT(a, S("You are not authorized to perform this operation. "), head, tail);
}

static bool authz_refuse(struct call *c, struct str message)
{
	unsigned status = 403;
	const char *code = "AccessDenied";
	switch (c->protocol) {
	case PROTOCOL_EC2:
		code = "UnauthorizedOperation";
		message = ec2_denial(c->arena, message);
		break;
	case PROTOCOL_JSON10:
	case PROTOCOL_JSON11:
	case PROTOCOL_CBOR:
		code = "AccessDeniedException";
		status = 400;
		break;
	case PROTOCOL_REST_JSON:
		code = "AccessDeniedException";
		break;
	default:
		break;
	}
	call_fail(c, code, status, "%.*s", STR_ARG(message));
	return false;
}

bool call_authorize(struct call *c, struct authz *az)
{
	struct gate_call *g = gate_call_of(c);
	struct authz_decision d = {0};
	struct principal_policies policies = {0};
	if (c->caller->kind != PRINCIPAL_ROOT && c->caller->kind != PRINCIPAL_ANONYMOUS && c->caller->kind != PRINCIPAL_SERVICE)
		c->cloud->identity.policies(c->cloud->identity.ctx, c->caller, &policies);
	authz_decide(c, c->caller, &policies, az, &d);
	audit_add(gate_audit(g->gate), c, c->caller, az, &d);
	return d.result == AUTHZ_ALLOW || authz_refuse(c, authz_message(c->arena, c->caller, az, &d));
}

bool call_allowed(struct call *c, const char *action, struct str resource)
{
	struct authz az = {.action = str_from(action), .resource = resource};
	return call_authorize(c, &az);
}

void authz_add(struct call *c, struct authz *az, const char *name, struct str value)
{
	if (!str_set(value))
		return;
	struct authz_key *keys = arena_array(c->arena, az->key_count + 1u, sizeof(*keys));
	if (az->key_count)
		memcpy(keys, az->keys, az->key_count * sizeof(*keys));
	struct authz_key *k = &keys[az->key_count++];
	k->name = str_from(name);
	*LIST_ADD(c->arena, &k->values) = value;
	az->keys = keys;
}

void authz_add_tags(struct call *c, struct authz *az, const char *prefix, const struct str_map *tags)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		struct str name = ARENA_CAT(c->arena, str_from(prefix), S("/"), tags->v[i].key);
		authz_add(c, az, name.p, tags->v[i].value);
	}
}

/* --- streaming replies */

bool call_write(struct call *c, struct str piece)
{
	return http_reply_write(c->http, piece);
}

/* The struct of the output's event stream that this type of event has. */
static const struct shape *event_shape(const struct call *c, struct str type)
{
	const struct api *api = c->service->api;
	const struct shape *out = operation_output(api, c->op);
	for (uint32_t i = 0; i < out->members; i++) {
		const struct shape *stream = api_shape(api, api->members[out->first_member + i].shape);
		for (uint32_t j = 0; (stream->flags & SHAPE_EVENT_STREAM) && j < stream->members; j++) {
			const struct member *m = &api->members[stream->first_member + j];
			if (str_eq(api_text(api, m->name), type))
				return api_shape(api, m->shape);
		}
	}
	die("%s has no event %.*s", api_text(api, c->op->name).p, STR_ARG(type));
}

static struct buf *events_begin(struct call *c)
{
	struct gate_call *g = gate_call_of(c);
	struct buf *b = gate_scratch(g->gate);
	buf_clear(b);
	bool rest = c->protocol == PROTOCOL_REST_JSON || c->protocol == PROTOCOL_REST_XML;
	if (!g->events_begun && !rest)
		event_put_initial_response(b, c->protocol);
	g->events_begun = true;
	return b;
}

bool call_write_event(struct call *c, const char *type, const void *value)
{
	CLEAN_ARENA struct arena a = {0};
	struct buf *b = events_begin(c);
	event_put_typed(&a, b, c->service->api, c->protocol, str_from(type), event_shape(c, str_from(type)), value);
	return call_write(c, buf_str(b));
}

bool call_write_exception(struct call *c, const char *type, struct str message)
{
	CLEAN_ARENA struct arena a = {0};
	struct buf *b = events_begin(c);
	event_put_exception(&a, b, str_from(type), message);
	return call_write(c, buf_str(b));
}
