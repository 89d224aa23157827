/* Requests to functions. A node's HAProxy reaches `api` at the address inside its own network namespace where its agent does, so
 * that a node needs no way out of it for this; whoever speaks there is that node, and gets what its balancer's groups name and
 * nothing else. What it asks goes through the gate as elasticloadbalancing.amazonaws.com, and the function's policy decides. */
#include "function.h"

#include "base/list.h"
#include "gen/lambda.h"

#include <errno.h>
#include <stdlib.h>

struct elb_door {
	struct elb_item *item;
	char node[LB_ID_MAX];
	struct listener *listener;
	struct list asking;
};

/* One request; outlives it while the function runs. */
struct asking {
	struct elb_door *door;        /* NULL: closed */
	struct http_request *request; /* NULL: the node has gone away */
	struct list at;
	struct arena arena;
	struct str group, function;
	struct elb_function_request q;
	bool check;
};

struct principal *elb_function_principal(struct str account, struct str group_arn)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = S("elasticloadbalancing.amazonaws.com");
	p->issuer_arn = arena_dup(&p->arena, group_arn);
	return p;
}

static void asking_free(struct asking *q)
{
	if (q->door)
		list_remove(&q->at);
	arena_done(&q->arena);
	free(q);
}

/* --- answers */

/* HAProxy makes its own page of it (config.c). */
static void fail(struct http_request *r, unsigned status, const char *why)
{
	const struct listen_header header = {S("X-Lb-Fault"), str_from(why)};
	listen_reply(r, status, &header, 1, S(""));
}

static void ended(struct asking *q, unsigned status, const char *fault, bool internal, uint64_t bytes)
{
	struct elb_door *d = q->door;
	struct elb_item_node *n = d ? elb_item_node(d->item, d->node) : NULL;
	const struct elb_function_count c = {
	        .status = status, .user_error = fault && !internal, .internal_error = internal, .bytes = bytes};
	if (n && !q->check)
		elb_metrics_function(d->item, n, arena_dupz(&q->arena, q->group), &c);
	if (q->request && fault)
		fail(q->request, status, fault);
	asking_free(q);
}

static const char *fault_of(const struct call *sub, bool *ret_internal)
{
	*ret_internal = sub->error.receiver;
	return str_is(sub->error.code, "TooManyRequestsException")    ? "LambdaThrottling"
	       : str_starts(sub->error.code, S("AccessDenied"))       ? "LambdaAccessDenied"
	       : str_is(sub->error.code, "ResourceNotFoundException") ? "LambdaFunctionNotFound"
	                                                              : "LambdaServiceException";
}

static void invoked(void *ctx, struct call *sub)
{
	struct asking *q = ctx;
	const struct lambda_invocation_response *out = sub->out;
	struct elb_function_answer answer;
	bool internal = false;
	uint64_t bytes = q->q.body.n;
	if (str_set(sub->error.code)) {
		const char *fault = fault_of(sub, &internal);
		ended(q, 502, fault, internal, bytes);
	} else if (str_set(out->function_error)) {
		ended(q, 502, "LambdaUnhandled", false, bytes);
	} else if (out->payload.n > ELB_FUNCTION_BYTES_MAX) {
		ended(q, 502, "LambdaResponseTooLarge", false, bytes);
	} else if (!elb_function_answer(&q->arena, out->payload, q->q.multi && !q->check, &answer)) {
		ended(q, 502, "LambdaInvalidResponse", false, bytes);
	} else {
		bool empty = str_is(q->q.method, "HEAD") || answer.status == 204 || answer.status == 304;
		if (q->request)
			listen_reply(q->request, answer.status, answer.headers, answer.header_count, empty ? S("") : answer.body);
		ended(q, answer.status, NULL, false, bytes + answer.body.n);
	}
}

/* --- requests */

static void gone(void *ctx)
{
	struct asking *q = ctx;
	q->request = NULL;
}

static void collected(void *ctx, struct str body, int status)
{
	struct asking *q = ctx;
	struct elb_item *i = q->door ? q->door->item : NULL;
	if (status == -EMSGSIZE) {
		ended(q, 413, "LambdaRequestTooLarge", false, 0);
		return;
	}
	if (status < 0 || !i || !q->request) {
		/* answered even if nobody is there: gone() would follow otherwise */
		if (q->request)
			fail(q->request, 400, "LambdaBadRequest");
		asking_free(q);
		return;
	}
	q->q.body = arena_dup(&q->arena, body);
	struct principal *self = elb_function_principal(i->account, q->group);
	const struct lambda_invocation_request in = {.function_name = q->function,
	                                             .invocation_type = S("RequestResponse"),
	                                             .payload = q->check ? elb_function_check_event(&q->arena, q->group, q->q.path)
	                                                                 : elb_function_event(&q->arena, &q->q)};
	call_op(i->desk->cloud, self, i->region, &lambda_api, "Invoke", &in, invoked, q);
	principal_unref(self);
}

static void take_request(struct asking *q, const struct http_request *r)
{
	struct listen_header one;
	unsigned n = 0;
	while (listen_header_at(r, n, &one))
		n++;
	struct listen_header *headers = arena_array(&q->arena, n + 1, sizeof(*headers));
	for (unsigned i = 0; listen_header_at(r, i, &one); i++)
		headers[i] = (struct listen_header){arena_dup(&q->arena, one.name), arena_dup(&q->arena, one.value)};
	struct str method = listen_header(r, S("x-lb-method"));
	q->check = !str_set(method);
	q->q.method = q->check ? S("GET") : arena_dup(&q->arena, method);
	q->q.path = arena_dup(&q->arena, listen_path(r));
	q->q.query = arena_dup(&q->arena, listen_query(r));
	q->q.headers = headers;
	q->q.header_count = n;
	q->q.group = q->group;
}

static void on_request(void *ctx, struct http_request *r)
{
	struct elb_door *d = ctx;
	const char *group, *function;
	if (!lb_function_of(d->item->desk->lb, d->node, listen_header(r, S("x-lb-function")), &group, &function)) {
		fail(r, 502, "LambdaFunctionNotFound");
		return;
	}
	struct asking *q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	q->door = d;
	q->request = r;
	list_push(&d->asking, &q->at);
	q->group = arena_dup(&q->arena, str_from(group));
	q->function = arena_dup(&q->arena, str_from(function));
	for (size_t i = 0; i < d->item->group_count; i++)
		q->q.multi |= strcmp(d->item->groups[i].arn, group) == 0 && d->item->groups[i].multi;
	take_request(q, r);
	listen_on_gone(r, gone, q);
	listen_body_collect(r, ELB_FUNCTION_BYTES_MAX, collected, q);
}

/* --- life */

void elb_door_take(struct elb_item *i, struct elb_item_node *n, int fd)
{
	if (!n->door) {
		struct elb_door *d = calloc(1, sizeof(*d));
		if (!d)
			abort();
		d->item = i;
		memcpy(d->node, n->interface, sizeof(d->node));
		list_init(&d->asking);
		d->listener = listener_open(i->desk->cloud, -1, on_request, d);
		n->door = d;
	}
	listener_serve(n->door->listener, fd);
}

void elb_door_close(struct elb_door *d)
{
	if (!d)
		return;
	listener_close(d->listener);
	list_each (&d->asking, struct asking, at, q) {
		list_remove(&q->at);
		q->door = NULL;
	}
	free(d);
}
