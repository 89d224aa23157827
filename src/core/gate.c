#include "core/gate_call.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "core/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* How often one step is run again because another commit got in between. Those who lose take turns (gate_race.c), so this is
 * reached only by a step that gets into its own way. */
enum { RACES_MAX = 1000 };

unsigned gate_api_position(const struct api *api)
{
	unsigned i = 0;
	while (model_apis[i] != api)
		i++;
	return i;
}

const struct service *gate_service(const struct gate *g, const struct api *api)
{
	return g->services[gate_api_position(api)];
}

const struct service_op *service_op_find(const struct service *s, struct str name)
{
	for (unsigned i = 0; i < s->op_count; i++)
		if (str_is(name, s->ops[i].name))
			return &s->ops[i];
	return NULL;
}

const struct service_op *gate_row(const struct gate *g, const struct api *api, const struct operation *op)
{
	const struct service_op **rows = g->rows[gate_api_position(api)];
	return rows && op ? rows[api_operation_index(api, op)] : NULL;
}

struct gate *gate_new(struct cloud *cloud, const struct gate_config *config)
{
	struct gate *g = calloc(1, sizeof(*g));
	if (!g)
		die("out of memory (gate)");
	g->cloud = cloud;
	g->config = *config;
	list_init(&g->calls);
	list_init(&g->racers);
	g->audit = audit_new();
	buf_init(&g->scratch, 64u << 20);
	while (model_apis[g->api_count])
		g->api_count++;
	g->services = calloc(g->api_count, sizeof(*g->services));
	g->counters = calloc(g->api_count, sizeof(*g->counters));
	g->rows = calloc(g->api_count, sizeof(*g->rows));
	if (!g->services || !g->counters || !g->rows)
		die("out of memory (gate)");
	for (const struct service *const *s = cloud_services; *s; s++) {
		const struct api *api = (*s)->api;
		unsigned at = gate_api_position(api);
		g->services[at] = *s;
		g->rows[at] = calloc(api->operation_count, sizeof(**g->rows));
		if (!g->rows[at])
			die("out of memory (gate)");
		for (unsigned i = 0; i < api->operation_count; i++)
			g->rows[at][i] = service_op_find(*s, api_text(api, api->operations[i].name));
	}
	return g;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	loop_remove_timer(g->cloud->loop, g->race_timer);
	for (unsigned i = 0; i < g->api_count; i++)
		free(g->counters[i]);
	for (unsigned i = 0; i < g->api_count; i++)
		free(g->rows[i]);
	free(g->rows);
	free(g->counters);
	free(g->services);
	audit_free(g->audit);
	buf_done(&g->scratch);
	free(g);
}

size_t gate_under_way(const struct gate *g)
{
	return g->under_way;
}

struct audit *gate_audit(struct gate *g)
{
	return g->audit;
}

struct buf *gate_scratch(struct gate *g)
{
	return &g->scratch;
}

struct str gate_why(const struct gate *g, struct arena *a, struct str request_id)
{
	return audit_why(g->audit, a, request_id);
}

bool gate_trusts_well_known(const struct gate *g)
{
	return g->config.well_known_keys;
}

/* --- a call's beginning and end */

static void call_start(struct gate *gate, struct gate_call *g, struct arena *a)
{
	char id[37];
	id_uuid_to(id);
	g->gate = gate;
	g->call.arena = a;
	g->call.cloud = gate->cloud;
	g->call.request_id = arena_dup(a, str_of(id, 36));
	g->call.now_ms = clock_wall_ms();
	g->call.reply.fd = -1;
	g->started_us = clock_mono_us();
	list_init(&g->racer);
	list_push(&gate->calls, &g->link);
	gate->under_way++;
}

void gate_call_free(struct gate_call *g)
{
	if (g->txn)
		store_abort(g->txn);
	gate_race_over(g);
	gate_count(g);
	for (unsigned i = 0; i < g->on_free.n; i++)
		g->on_free.fn[i](&g->call);
	if (g->call.reply.fd >= 0)
		close(g->call.reply.fd);
	if (g->call.caller)
		principal_unref(g->call.caller);
	list_remove(&g->link);
	g->gate->under_way--;
	if (!g->call.http) {
		arena_done(&g->own_arena);
		free(g);
	}
}

/* The client has left. A commit under way cannot be called back; its end frees the call. */
static void call_gone(void *ctx)
{
	struct gate_call *g = ctx;
	g->gone = true;
	if (g->step == STEP_COMMIT) {
		http_keep(g->call.http);
		return;
	}
	if (g->waiting && g->gone_fn)
		g->gone_fn(&g->call);
	gate_call_free(g);
}

void call_end(struct call *c)
{
	struct gate_call *g = gate_call_of(c);
	struct http_request *r = c->http;
	gate_call_free(g);
	http_reply_end(r, NULL, 0);
}

void call_cut(struct call *c)
{
	struct gate_call *g = gate_call_of(c);
	struct http_request *r = c->http;
	gate_call_free(g);
	http_reply_abort(r);
}

/* --- steps */

static void received(void *ctx, struct str piece, int status)
{
	struct gate_call *g = ctx;
	if (status == -ECONNRESET)
		return; /* call_gone() follows */
	if (status == -EMSGSIZE)
		call_fail(&g->call, "RequestEntityTooLarge", 413, "Request body is larger than this operation takes");
	else if (status < 0)
		call_fail(&g->call, "RequestTimeout", 400, "The body of the request did not arrive completely");
	g->wire.body = piece;
	g->received_us = clock_mono_us();
	gate_go(g);
}

/* S3's signatures say a digest of the body in a header; all others are made with the body itself, which has to be there first. */
bool gate_streams_in(const struct gate_call *g)
{
	return g->call.op && (g->call.op->flags & OPERATION_STREAM_IN) && str_is(str_from(g->api->id), "s3") &&
	       (g->call.row || g->signature.s3);
}

static enum gate_next step_receive(struct gate_call *g)
{
	const struct http_head *head = http_head(g->call.http);
	if ((g->taken && !g->taken_checked) || gate_streams_in(g))
		return GATE_NEXT;
	if (!head->has_body) {
		g->wire.body = S("");
		return gate_identify_body(g);
	}
	if (!str_set(g->wire.body) && !str_set(g->call.error.code)) {
		size_t limit = g->call.service && g->call.service->body_limit_bytes ? g->call.service->body_limit_bytes : 1 << 20;
		if (head->content_length > (int64_t)limit) {
			call_fail(&g->call, "RequestEntityTooLarge", 413, "Request body is larger than this operation takes");
			return GATE_REPLY;
		}
		http_body_collect(g->call.http, limit, received, g);
		return GATE_WAIT;
	}
	return str_set(g->call.error.code) || !gate_inflate(g) ? GATE_REPLY : gate_identify_body(g);
}

/* Constraints of the model, in the words of the service: most say ValidationException or ValidationError, some have a name of
 * their own, and who says it in ways of its own (service.h: check) is asked in place of this. */
static bool gate_check(struct gate_call *g, const struct shape *in, const void *value)
{
	static const struct {
		const char *api, *code;
	} own[] = {
	        {"logs", "InvalidParameterException"}, {"ecs", "InvalidParameterException"}, {"ecr", "InvalidParameterException"}};
	struct call *c = &g->call;
	struct str message;
	bool missing;
	if (c->service && c->service->check_first && !c->service->check_first(c, value))
		return false;
	if (c->service && c->service->check)
		return c->service->check(c, value) == CALL_OK;
	if (model_check(c->arena, g->api, in, value, &message, &missing))
		return true;
	const char *code = "ValidationException";
	if (c->protocol == PROTOCOL_QUERY)
		code = "ValidationError";
	else if (c->protocol == PROTOCOL_EC2)
		code = missing ? "MissingParameter" : "InvalidParameterValue";
	else if (c->protocol == PROTOCOL_REST_XML)
		code = "InvalidInput";
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (str_is(str_from(g->api->id), own[i].api))
			code = own[i].code;
	call_fail(c, code, 400, "%.*s", STR_ARG(message));
	return false;
}

static bool gate_decode(struct gate_call *g, const struct shape *in, void *value)
{
	struct wire_fault fault = {0};
	if (!wire_decode(g->call.arena, &g->target, &g->wire, value, &fault)) {
		call_fail(&g->call, arena_dupz(g->call.arena, fault.code), fault.status, "%.*s", STR_ARG(fault.message));
		if (str_set(fault.argument)) {
			call_field(&g->call, "ArgumentName", fault.argument);
			call_field(&g->call, "ArgumentValue", fault.value);
		}
		return false;
	}
	return gate_check(g, in, value);
}

const char *gate_unsupported(enum protocol p)
{
	return p == PROTOCOL_REST_XML                     ? "NotImplemented"
	       : p == PROTOCOL_QUERY || p == PROTOCOL_EC2 ? "UnsupportedOperation"
	                                                  : "UnsupportedOperationException";
}

static enum gate_next step_decode(struct gate_call *g)
{
	struct call *c = &g->call;
	if (g->taken) {
		c->body = g->taken_checked ? gate_body_of_bytes(g, g->wire.body) : gate_body_new(g);
		return GATE_NEXT;
	}
	if (!c->row) {
		const char *code = c->service ? c->service->unsupported : NULL;
		call_fail(c, code ? code : gate_unsupported(c->protocol), code ? 400 : 501,
		          "Quartet does not provide the operation %s:%s.", g->api->id, api_text(g->api, c->op->name).p);
		return GATE_REPLY;
	}
	const struct shape *in = operation_input(g->api, c->op), *out = operation_output(g->api, c->op);
	void *value = arena_zalloc(c->arena, in ? in->size : sizeof(struct model_none));
	c->in = value;
	c->out = arena_zalloc(c->arena, out ? out->size : sizeof(struct model_none));
	if (str_is(str_from(g->api->id), "s3") && !(c->op->flags & OPERATION_STREAM_IN) && !gate_check_digests(g))
		return GATE_REPLY;
	if (in && !gate_decode(g, in, value))
		return GATE_REPLY;
	if (c->op->flags & OPERATION_STREAM_IN)
		c->body = gate_streams_in(g) ? gate_body_new(g) : gate_body_of_bytes(g, g->wire.body);
	return GATE_NEXT;
}

/* EC2's DryRun: everything up to the permission, and nothing after it. */
static bool is_dry_run(const struct gate_call *g)
{
	const struct shape *in = operation_input(g->api, g->call.op);
	if (g->api->protocol != PROTOCOL_EC2 || !in)
		return false;
	for (uint32_t i = 0; i < in->members; i++) {
		const struct member *m = &g->api->members[in->first_member + i];
		if (str_is(api_text(g->api, m->name), "DryRun"))
			return ((const struct opt_bool *)(const void *)((const char *)g->call.in + m->offset))->v;
	}
	return false;
}

static enum gate_next step_authorize(struct gate_call *g)
{
	struct call *c = &g->call;
	if (g->refused || (c->endpoint && !str_is(str_from(g->api->id), c->endpoint->api))) {
		call_fail(c, "AccessDenied", 403, "This VPC endpoint does not lead to the service %s.", g->api->id);
		return GATE_REPLY;
	}
	if (!g->taken && gate_throttles(g))
		return GATE_REPLY;
	if (g->taken || (c->row->flags & OP_OPEN))
		return GATE_NEXT;
	struct authz az = {.resource = S("*")};
	az.action = c->row->action ? str_from(c->row->action)
	                           : ARENA_CAT(c->arena, str_from(c->service->iam_prefix), S(":"), str_from(c->row->name));
	if (c->row->resource && c->row->resource(c, c->in, &az) != CALL_OK)
		return GATE_REPLY;
	if (!call_authorize(c, &az))
		return GATE_REPLY;
	if (!is_dry_run(g))
		return GATE_NEXT;
	call_fail(c, "DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set.");
	return GATE_REPLY;
}

static enum gate_next step_handle(struct gate_call *g)
{
	struct call *c = &g->call;
	g->waiting = false;
	c->error = (struct call_error){0};
	g->state_before = c->state;
	int said = g->resume            ? g->resume(c)
	           : g->taken           ? g->taken(c)
	           : c->service->around ? c->service->around(c, c->row->handle)
	                                : c->row->handle(c, c->in, c->out);
	if (said == CALL_OK)
		return GATE_NEXT;
	gate_race_over(g);
	if (g->txn) {
		store_abort(g->txn);
		g->txn = NULL;
	}
	return said == CALL_WAIT ? GATE_WAIT : GATE_REPLY;
}

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct gate_call *g = ctx;
	struct call *c = &g->call;
	if (result != -EAGAIN)
		gate_race_over(g);
	if (result == -EAGAIN && !g->gone && g->races < RACES_MAX) {
		/* Somebody else's commit got in between: the same step again, on what is there now. */
		const struct shape *out = c->op ? operation_output(g->api, c->op) : NULL;
		if (c->out)
			memset(c->out, 0, out ? out->size : sizeof(struct model_none));
		c->error = (struct call_error){0};
		c->state = g->state_before;
		g->after_commit.n = 0;
		g->reply_header_count = 0;
		g->reply_status = 0;
		g->step = STEP_HANDLE;
		if (!gate_race_lost(g))
			return;
	} else if (result == -ENOSPC) {
		call_fail(c, "ServiceUnavailable", 503, "The disk that holds this cloud's state is full.");
		g->step = STEP_ENCODE;
	} else if (result < 0) {
		call_broken(c, "commit: %s", strerror(-result));
		g->step = STEP_ENCODE;
	} else {
		for (unsigned i = 0; i < g->after_commit.n; i++)
			g->after_commit.fn[i](c);
		g->step = STEP_ENCODE;
	}
	if (!g->gone) {
		gate_go(g);
		return;
	}
	struct http_request *r = c->http;
	gate_call_free(g);
	http_release(r);
}

static enum gate_next step_commit(struct gate_call *g)
{
	if (!g->txn || !store_dirty(g->txn)) {
		gate_race_over(g);
		if (g->txn)
			store_abort(g->txn);
		g->txn = NULL;
		for (unsigned i = 0; i < g->after_commit.n; i++)
			g->after_commit.fn[i](&g->call);
		return GATE_NEXT;
	}
	struct store_txn *t = g->txn;
	g->txn = NULL;
	store_commit(t, committed, g);
	return GATE_WAIT;
}

static enum gate_next step_encode(struct gate_call *g)
{
	if (g->call.http) {
		gate_encode(g);
		return GATE_NEXT;
	}
	g->done(g->done_ctx, &g->call);
	gate_call_free(g);
	return GATE_WAIT;
}

static const struct {
	const char *name;
	enum gate_next (*run)(struct gate_call *);
} steps[] = {
        [STEP_IDENTIFY] = {"identify", gate_identify}, [STEP_KEY] = {"key", gate_find_key},
        [STEP_RECEIVE] = {"receive", step_receive},    [STEP_VERIFY] = {"verify", gate_verify},
        [STEP_DECODE] = {"decode", step_decode},       [STEP_AUTHORIZE] = {"authorize", step_authorize},
        [STEP_HANDLE] = {"handle", step_handle},       [STEP_COMMIT] = {"commit", step_commit},
        [STEP_ENCODE] = {"encode", step_encode},
};

void gate_go(struct gate_call *g)
{
	/* A step may be resumed before it has even returned that it waits. */
	if (g->running || g->busy) {
		g->again = true;
		return;
	}
	g->running = true;
	for (;;) {
		enum gate_step step = g->step;
		if (step == STEP_COMMIT)
			g->running = false; /* its end may free the call before it returns */
		enum gate_next next = steps[step].run(g);
		if (step == STEP_COMMIT && next == GATE_WAIT)
			return;
		if (step == STEP_ENCODE)
			return; /* sent, or freed */
		g->running = true;
		if (next == GATE_WAIT) {
			if (g->again) {
				g->again = false;
				continue;
			}
			break;
		}
		g->step = next == GATE_REPLY ? STEP_ENCODE : step + 1;
	}
	g->running = false;
}

void gate_take(struct gate *gate, struct http_request *r, bool from_cell)
{
	struct arena *a = http_arena(r);
	struct gate_call *g = arena_new(a, struct gate_call);
	g->call.http = r;
	g->from_cell = from_cell;
	call_start(gate, g, a);
	struct call_endpoint *e = arena_new(a, struct call_endpoint);
	if (listener_endpoint(r, e, &g->refused))
		g->call.endpoint = e;
	http_on_gone(r, call_gone, g);
	gate_go(g);
}

/* --- calls of our own services */

static void call_op_begin(void *ctx)
{
	gate_go(ctx);
}

static struct gate_call *call_op_new(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api,
                                     const char *operation, const void *in, call_done_fn *done, void *ctx)
{
	struct gate_call *g = calloc(1, sizeof(*g));
	if (!g)
		die("out of memory (call)");
	arena_init(&g->own_arena, 0);
	call_start(cloud->gate, g, &g->own_arena);
	struct call *c = &g->call;
	g->api = api;
	c->service = gate_service(cloud->gate, api);
	c->op = api_operation(api, str_from(operation));
	c->row = c->service && c->op ? service_op_find(c->service, str_from(operation)) : NULL;
	if (!c->row)
		die("call_op: %s has no operation %s", api->id, operation);
	c->protocol = api->protocol;
	c->caller = principal_ref(as);
	c->account = as->account;
	c->region = arena_dup(c->arena, region);
	g->done = done;
	g->done_ctx = ctx;
	const struct shape *in_shape = operation_input(api, c->op), *out_shape = operation_output(api, c->op);
	void *copy = arena_zalloc(c->arena, in_shape ? in_shape->size : sizeof(struct model_none));
	if (in_shape)
		model_copy(c->arena, api, in_shape, in, copy);
	c->in = copy;
	c->out = arena_zalloc(c->arena, out_shape ? out_shape->size : sizeof(struct model_none));
	g->step = STEP_AUTHORIZE;
	loop_add_timer(cloud->loop, 0, call_op_begin, g);
	return g;
}

void call_op(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api, const char *operation,
             const void *in, call_done_fn *done, void *ctx)
{
	call_op_new(cloud, as, region, api, operation, in, done, ctx);
}

void call_op_traced(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api,
                    const char *operation, const void *in, struct str trace, call_done_fn *done, void *ctx)
{
	struct gate_call *g = call_op_new(cloud, as, region, api, operation, in, done, ctx);
	g->call.trace = arena_dup(g->call.arena, trace);
}

void call_op_body(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api, const char *operation,
                  const void *in, struct str body, call_done_fn *done, void *ctx)
{
	struct gate_call *g = call_op_new(cloud, as, region, api, operation, in, done, ctx);
	g->call.body = gate_body_of_bytes(g, arena_dup(g->call.arena, body));
}

bool gate_may_act(struct cloud *cloud, const struct principal *as, struct str region, const char *action, struct str resource)
{
	struct gate_call *g = calloc(1, sizeof(*g));
	if (!g)
		die("out of memory (call)");
	arena_init(&g->own_arena, 0);
	call_start(cloud->gate, g, &g->own_arena);
	struct call *c = &g->call;
	c->caller = principal_ref(as);
	c->account = as->account;
	c->region = arena_dup(c->arena, region);
	struct authz az = {.action = str_from(action), .resource = resource};
	bool may = call_authorize(c, &az);
	gate_call_free(g);
	return may;
}

bool gate_may(struct gate *gate, struct http_request *r, const struct principal *who, struct str region, struct authz *az,
              const struct str_map *tags, struct str *ret_why)
{
	struct gate_call *g = arena_new(http_arena(r), struct gate_call);
	call_start(gate, g, http_arena(r));
	struct call *c = &g->call;
	c->http = r;
	c->caller = principal_ref(who);
	c->account = who->account;
	c->region = region;
	authz_add_tags(c, az, "aws:ResourceTag", tags);
	bool may = call_authorize(c, az);
	if (!may)
		*ret_why = c->error.message;
	gate_call_free(g);
	return may;
}
