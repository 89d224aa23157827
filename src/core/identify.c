/* The first step: which API, protocol and operation a request means. The service comes from the credential scope, else from the
 * host, else from the shape of the request; the protocol always from the request, because one API may arrive in several. */
#include "core/gate_call.h"

#include "base/form.h"

static struct str wire_header_get(void *ctx, struct str name)
{
	return http_header_joined(ctx, name);
}

static bool wire_header_at(void *ctx, size_t i, struct str *ret_name, struct str *ret_value)
{
	const struct http_head *head = http_head(ctx);
	if (i >= head->header_count)
		return false;
	*ret_name = head->headers[i].name;
	*ret_value = head->headers[i].value;
	return true;
}

/* Several APIs may sign with one name (dynamodb and its streams): the request's own words choose among them. */
static const struct api *api_of_scope(struct gate_call *g, struct str signing_name)
{
	const struct api *first = model_api_by_signing_name(signing_name, NULL);
	if (!first || !model_api_by_signing_name(signing_name, first))
		return first;
	for (const struct api *api = first; api; api = model_api_by_signing_name(signing_name, api))
		if (str_set(g->wire.target) && str_starts(g->wire.target, str_from(api->target_prefix)))
			return api;
	const struct api *guess = wire_guess_api(g->call.arena, &g->wire);
	return guess && str_is(signing_name, guess->signing_name) ? guess : first;
}

/* lambda.us-east-1.amazonaws.com, lambda.localhost: the first label of a host is an endpoint prefix. */
static const struct api *api_of_host(struct str host)
{
	struct str rest = host, label = str_cut(&rest, '.');
	if (!str_set(rest))
		return NULL;
	for (const struct api *const *api = model_apis; *api; api++)
		if (str_is(label, (*api)->endpoint_prefix))
			return *api;
	return NULL;
}

/* The API whose host rules claim this request (S3's bucket.s3.localhost), with the path that it means. lambda.localhost is a bucket
 * for those alone who sign for S3. */
static const struct api *api_of_address(struct gate_call *g, struct str host, bool is_signed)
{
	bool one_dot = str_find_char(host, '.') == str_rfind_char(host, '.');
	for (const struct service *const *s = cloud_services; *s; s++) {
		if (!(*s)->address)
			continue;
		if (is_signed ? !str_is(g->signature.service, (*s)->api->signing_name) : one_dot && api_of_host(host))
			continue;
		struct str path = (*s)->address(g->call.arena, host, g->wire.path);
		if (str_set(path)) {
			g->wire.path = path;
			return (*s)->api;
		}
	}
	return NULL;
}

static void set_operation(struct gate_call *g)
{
	struct call *c = &g->call;
	c->protocol = g->target.protocol;
	c->op = g->target.op;
	c->row = gate_row(g->gate, g->api, c->op);
}

static enum gate_next identify_operation(struct gate_call *g)
{
	struct wire_fault fault = {0};
	if (!wire_identify(g->call.arena, g->api, &g->wire, &g->target, &fault)) {
		g->call.protocol = g->target.protocol;
		call_fail(&g->call, arena_dupz(g->call.arena, fault.code), fault.status, "%.*s", STR_ARG(fault.message));
		return GATE_REPLY;
	}
	set_operation(g);
	return GATE_NEXT;
}

static bool api_is_rest(const struct api *api)
{
	return api->protocols & (1u << PROTOCOL_REST_JSON | 1u << PROTOCOL_REST_XML);
}

/* Pages of other origins may call where AWS lets them: everywhere but S3, which has rules of its own per bucket. */
static int cors_preflight(struct call *c)
{
	call_reply_status(c, 200);
	call_reply_header(c, S("access-control-allow-origin"), S("*"));
	call_reply_header(c, S("access-control-allow-methods"), call_header(c, S("access-control-request-method")));
	struct str headers = call_header(c, S("access-control-request-headers"));
	if (str_set(headers))
		call_reply_header(c, S("access-control-allow-headers"), headers);
	call_reply_header(c, S("access-control-max-age"), S("172800"));
	return CALL_OK;
}

static bool is_preflight(struct gate_call *g)
{
	return str_is(g->wire.method, "OPTIONS") && str_set(call_header(&g->call, S("origin"))) &&
	       str_set(call_header(&g->call, S("access-control-request-method")));
}

/* A preflight is unsigned and has no body. Requests to other APIs than S3 go to the root path or to one of a REST API. */
static bool preflight_is_s3s(struct gate_call *g)
{
	struct wire_request meant = g->wire;
	meant.method = call_header(&g->call, S("access-control-request-method"));
	if (str_is(meant.path, "/") && str_is(meant.method, "POST"))
		return false;
	const struct api *api = wire_guess_api(g->call.arena, &meant);
	return !api || str_is(str_from(api->id), "s3");
}

/* An unsigned form, posted to the root: which of the APIs that are spoken to in forms it means, its body will say. */
static bool is_nameless_form(const struct gate_call *g)
{
	return str_is(g->wire.method, "POST") && str_is(g->wire.path, "/") && !str_set(g->wire.target) &&
	       str_istarts(g->wire.content_type, S("application/x-www-form-urlencoded")) &&
	       str_find(g->wire.query, S("Action=")) < 0;
}

/* Regions are names of ours to give: any that could be one is good. */
static bool region_is_sane(struct str region)
{
	for (size_t i = 0; i < region.n; i++)
		if (!ascii_is_alnum(region.p[i]) && region.p[i] != '-')
			return false;
	return region.n > 0;
}

static void set_api(struct gate_call *g, const struct api *api)
{
	g->api = g->target.api = api;
	g->call.service = gate_service(g->gate, api);
	g->call.protocol = g->target.protocol = api->protocol;
}

/* A service that nobody here knows, refused in the words of the protocol that the request seems to speak. */
static enum gate_next refuse_service(struct gate_call *g)
{
	struct str kind = g->wire.content_type;
	set_api(g, model_api(str_set(g->wire.target)                                    ? S("ecs")
	                     : g->signature.s3                                          ? S("s3")
	                     : str_starts(kind, S("application/x-www-form-urlencoded")) ? S("sts")
	                                                                                : S("lambda")));
	call_fail(&g->call, gate_unsupported(g->call.protocol), 501, "Quartet does not provide the service %.*s.",
	          STR_ARG(g->signature.service));
	return GATE_REPLY;
}

enum gate_next gate_identify(struct gate_call *g)
{
	struct call *c = &g->call;
	const struct http_head *head = http_head(c->http);
	g->wire = (struct wire_request){
	        .method = head->method,
	        .path = head->path,
	        .query = head->query,
	        .content_type = http_header(c->http, S("content-type")),
	        .target = http_header(c->http, S("x-amz-target")),
	        .smithy_protocol = http_header(c->http, S("smithy-protocol")),
	        .headers = {.get = wire_header_get, .at = wire_header_at, .ctx = c->http},
	};
	_Static_assert(sizeof(struct sigv4_header) == sizeof(struct http_header) &&
	                       offsetof(struct sigv4_header, value) == offsetof(struct http_header, value),
	               "headers are handed over as they lie");
	g->signed_request = (struct sigv4_request){
	        .method = head->method,
	        .path = head->path,
	        .query = head->query,
	        .headers = (const struct sigv4_header *)(const void *)head->headers,
	        .header_count = head->header_count,
	};
	enum sigv4_fault fault = sigv4_read(c->arena, &g->signed_request, &g->signature);
	bool is_signed = g->signature.form != SIGV4_UNSIGNED && str_set(g->signature.service);

	const struct api *addressed = api_of_address(g, head->host, is_signed);
	if (is_signed)
		g->api = api_of_scope(g, g->signature.service);
	else if (is_preflight(g) && !addressed && !preflight_is_s3s(g))
		g->taken = cors_preflight;
	if (!g->api && !is_signed)
		g->api = addressed ? addressed : api_of_host(head->host);
	if (!g->api && !is_signed && (g->named_in_body = is_nameless_form(g)))
		g->api = model_api(S("sts"));
	if (!g->api && !is_signed)
		g->api = wire_guess_api(c->arena, &g->wire);
	/* Version 2 of the signature names no region: such a request is for whatever region its bucket is in. */
	c->region = str_set(g->signature.region) ? g->signature.region : g->signature.v2 ? S("") : S("us-east-1");
	if (!g->api)
		return refuse_service(g);
	set_api(g, g->api);
	if (c->service && c->service->region)
		c->region = str_from(c->service->region);
	if (g->taken)
		return GATE_NEXT;
	if (c->service && c->service->intercept && (g->taken = c->service->intercept(c)))
		return g->taken_checked && fault != SIGV4_GOOD ? gate_refuse_signature(g, fault) : GATE_NEXT;
	if (api_is_rest(g->api) && identify_operation(g) == GATE_REPLY)
		return GATE_REPLY;
	if (fault == SIGV4_GOOD && is_signed && !g->signature.v2 && !region_is_sane(g->signature.region)) {
		g->signature.detail = S("us-east-1");
		fault = SIGV4_FAULT_REGION;
	}
	if (fault != SIGV4_GOOD)
		return gate_refuse_signature(g, fault);
	return GATE_NEXT;
}

enum gate_next gate_identify_body(struct gate_call *g)
{
	if (g->call.op || g->taken)
		return GATE_NEXT;
	const struct api *named = g->named_in_body ? wire_guess_api(g->call.arena, &g->wire) : NULL;
	if (named && !api_is_rest(named))
		set_api(g, named);
	return identify_operation(g);
}
