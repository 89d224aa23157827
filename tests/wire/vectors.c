/* Runs the protocol vectors of vectors/: a request must be written as the vector says and be read back as the parameters it
 * came from; a reply must be read as the vector says, and what is written from that must read the same and pass the strict check.
 */
#include "vectors.h"

#include "base/base64.h"
#include "canon.h"
#include "typed.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>

struct run {
	struct arena *a;
	const struct api *api;
	const struct json_value *vector; /* the case */
	struct str id;
	unsigned failed;
};

/* Vectors that say something else than AWS's services or botocore's own clients do, each with the reason. */
static const char *const skipped[][2] = {
        /* Of the transport, not of the walkers: compression, checksums, paths of endpoints. */
        {"SDKApp", "request compression"},
        {"HostWithPath", "a path in the client's endpoint"},
        {"HttpChecksumRequired", "checksums are added where requests are sent"},
        {"IdempotencyTokenAutoFill", "callers make their tokens; the server's filling has a test of its own"},
        /* Botocore's models do not carry what these need, and botocore passes over them too. */
        {"Ec2QueryEndpointTraitWithHostLabel", "lower-case names of ec2 members"},
        {"Ec2Lists", "lower-case names of ec2 members"},
        {"Ec2TimestampsInput", "lower-case names of ec2 members"},
        {"Ec2XmlLists", "names of flattened lists"},
        {"QueryXmlLists", "names of flattened lists"},
        {"QueryFlattenedListArgWithXmlName", "names of flattened lists"},
        {"BodyWithXmlName", "names of structures as documents"},
        {"RestXmlHttpPayloadWithUnion", "names of structures as documents"},
        {"HttpPayloadWithXmlName", "names of structures as documents"},
        {"XmlAttributesOnPayload", "names of structures as documents"},
        {"MediaTypeHeader", "JSON in headers given as text of JSON"},
        {"UnsetUnion", "unions without a value"},
        {"QueryPrecedence", "a parameter that is given twice"},
        {"RestJsonHttpPayloadTraitsWithNoBlobBody", "an absent body is an empty blob"},
        {"HttpPayloadTraitsWithNoBlobBody", "an absent body is an empty blob"},
        {"DenseSetMapAndSkipsNull", "null in a map that may not hold it"},
        {"IgnoreQueryParamsInResponse", "replies whose members have places in a query string"},
        /* The tables keep the namespaces of structures, not those of single members: no service here needs them. */
        {"XmlMapWithXmlNamespace", "namespaces of members"},
        {"XmlNamespaces", "namespaces of members"},
        /* A client writes {} for an absent payload; what reads it cannot know. */
        {"RestJsonHttpWithEmptyStructurePayload", "{} for nothing"},
        {"RestJsonHttpWithHeadersButNoPayload", "{} for nothing"},
        {NULL, NULL},
};

/* Of these only what the client does can be told: they name a parameter twice, or a map takes every header. */
static const char *const one_way[] = {
        "RestJsonAllQueryStringTypes",     "RestJsonQueryStringEscaping",
        "RestJsonZeroAndFalseQueryValues", "FloatQueryValues",
        "HttpPrefixHeadersResponse",       NULL,
};

static bool is_one_way(struct str id)
{
	for (size_t i = 0; one_way[i]; i++)
		if (str_find(id, str_from(one_way[i])) >= 0)
			return true;
	return false;
}

static bool is_skipped(struct str id)
{
	for (size_t i = 0; skipped[i][0]; i++)
		if (str_find(id, str_from(skipped[i][0])) >= 0)
			return true;
	return false;
}

static void check(struct run *r, const char *what, struct str got, struct str want)
{
	if (str_eq(got, want))
		return;
	r->failed++;
	printf("%.*s: %s\n   got  %.*s\n   want %.*s\n", STR_ARG(r->id), what, STR_ARG(got), STR_ARG(want));
}

static struct str read_all(const char *path, struct arena *a)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(2);
	}
	struct buf CLEAN_BUF b;
	buf_init(&b, 16 << 20);
	for (size_t n = 1; n;) {
		n = fread(buf_room(&b, 65536), 1, 65536, f);
		buf_grew(&b, n);
	}
	fclose(f);
	return arena_dup(a, buf_str(&b));
}

static struct str canon_body(struct run *r, struct str body)
{
	body = r->api->protocol == PROTOCOL_CBOR ? body : str_trim(body);
	switch (r->api->protocol) {
	case PROTOCOL_QUERY:
	case PROTOCOL_EC2:
		return canon_form(r->a, body);
	case PROTOCOL_CBOR:
		return canon_cbor(r->a, body);
	case PROTOCOL_REST_XML:
		return body.n && body.p[0] == '<' ? canon_xml(r->a, body) : body;
	default:
		return body.n && (body.p[0] == '{' || body.p[0] == '[' || body.p[0] == '"') ? canon_json(r->a, body) : body;
	}
}

static struct str media_type(struct str value)
{
	return str_trim(str_cut(&value, ';'));
}

static void check_headers(struct run *r, const struct json_value *want, struct wire_pairs *got)
{
	struct wire_headers view = wire_headers_of(got);
	json_each(json_get(want, S("headers")), h)
	{
		struct str value = view.get(view.ctx, h->key);
		bool type = str_ieq(h->key, S("content-type"));
		check(r, arena_printf(r->a, "header %.*s", STR_ARG(h->key)).p, type ? media_type(value) : value,
		      type ? media_type(h->text) : h->text);
	}
	json_each(json_get(want, S("forbidHeaders")), h) check(r, "forbidden header", view.get(view.ctx, h->text), STR_NONE);
	json_each(json_get(want, S("requireHeaders")),
	          h) if (!str_ieq(h->text, S("content-length")) && !str_set(view.get(view.ctx, h->text)))
	        check(r, "required header", STR_NONE, h->text);
}

/* What a server makes of the request as the vector has it. */
static void check_decode(struct run *r, const struct operation *op, const struct json_value *want, const struct wire_pairs *ours,
                         struct str body, const void *params)
{
	/* A vector lists the headers that matter to it; the others are ours. */
	struct wire_pairs headers = {0};
	json_each(json_get(want, S("headers")), h) wire_pairs_add(r->a, &headers, h->key, h->text);
	struct wire_headers given = wire_headers_of(&headers);
	for (uint32_t i = 0; i < ours->n; i++)
		if (!str_set(given.get(given.ctx, ours->v[i].name)))
			wire_pairs_add(r->a, &headers, ours->v[i].name, ours->v[i].value);
	struct wire_headers view = wire_headers_of(&headers);
	struct str query = json_get_str(want, S("uri")), path = str_cut(&query, '?');
	struct wire_request request = {
	        .method = json_get_str(want, S("method")),
	        .path = path,
	        .query = str_set(query) ? query : S(""),
	        .content_type = view.get(view.ctx, S("content-type")),
	        .target = view.get(view.ctx, S("x-amz-target")),
	        .smithy_protocol = view.get(view.ctx, S("smithy-protocol")),
	        .headers = view,
	        .body = body,
	};
	struct wire_target target;
	struct wire_fault fault = {0};
	if (!wire_identify(r->a, r->api, &request, &target, &fault)) {
		check(r, "identify", fault.code, api_text(r->api, op->name));
		return;
	}
	check(r, "operation", api_text(r->api, target.op->name), api_text(r->api, op->name));
	const struct shape *s = operation_input(r->api, op);
	void *in = arena_zalloc(r->a, s ? s->size : 1);
	bool ok = wire_decode(r->a, &target, &request, in, &fault);
	struct str got = ok ? typed_text(r->a, r->api, s, in) : ARENA_CAT(r->a, fault.code, S(": "), fault.message);
	struct str text = typed_text(r->a, r->api, s, params);
	/* Parameters and headers cannot carry an empty list: it arrives as none. */
	if (!str_eq(got, text))
		typed_drop_empty(r->api, s, (void *)(uintptr_t)params);
	check(r, "decoded", got, typed_text(r->a, r->api, s, params));
}

static void run_input(struct run *r, const struct operation *op)
{
	const struct json_value *want = json_get(r->vector, S("serialized"));
	const struct shape *s = operation_input(r->api, op);
	void *in = arena_zalloc(r->a, s ? s->size : 1);
	if (s && !typed_from_json(r->a, r->api, s, json_get(r->vector, S("params")), in)) {
		check(r, "params do not fit", STR_NONE, S("them to"));
		return;
	}
	struct buf CLEAN_BUF body;
	buf_init(&body, 1 << 20);
	struct wire_out_request out = {0};
	struct str message = STR_NONE;
	if (!wire_encode_request(r->a, r->api, op, r->api->protocol, in, &body, &out, &message)) {
		check(r, "encode", message, S(""));
		return;
	}
	struct str query = json_get_str(want, S("uri")), path = str_cut(&query, '?');
	check(r, "method", out.method, json_get_str(want, S("method")));
	check(r, "path", out.path, path);
	check(r, "query", canon_form(r->a, out.query), canon_form(r->a, str_set(query) ? query : S("")));
	check_headers(r, want, &out.headers);
	struct str expected = json_get_str(want, S("body")), got = buf_str(&body);
	if (str_set(expected) && r->api->protocol == PROTOCOL_CBOR)
		expected = base64_decode(r->a, expected);
	if (str_set(expected))
		check(r, "body", canon_body(r, got), canon_body(r, expected));
	struct str host = json_get_str(want, S("host"));
	if (str_set(host) && str_ends(host, S(".example.com")))
		check(r, "host", ARENA_CAT(r->a, out.host_prefix, S("example.com")), host);
	if (!is_one_way(r->id))
		check_decode(r, op, want, &out.headers, str_set(expected) ? expected : got, in);
}

static void check_error(struct run *r, const struct wire_reply_error *e)
{
	const struct json_value *members = json_get(r->vector, S("error"));
	struct str code = json_get_str(r->vector, S("errorCode")), message = json_get_str(r->vector, S("errorMessage"));
	check(r, "error code", e->code, code);
	if (str_set(message))
		check(r, "error message", e->message, message);
	if (!members || !members->count)
		return;
	if (!e->shape) {
		check(r, "error shape", S("none"), code);
		return;
	}
	void *want = arena_zalloc(r->a, e->shape->size);
	if (typed_from_json(r->a, r->api, e->shape, members, want))
		check(r, "error members", typed_text(r->a, r->api, e->shape, e->value), typed_text(r->a, r->api, e->shape, want));
}

/* An error that is written from one that was read must be read the same again. */
static void again_error(struct run *r, const struct operation *op, const struct wire_reply_error *e)
{
	struct wire_target target = {.api = r->api, .op = op, .protocol = r->api->protocol};
	struct wire_error error = {.code = e->shape ? api_text(r->api, e->shape->name) : e->code,
	                           .message = e->message,
	                           .shape = e->shape,
	                           .value = e->value};
	struct buf CLEAN_BUF body;
	buf_init(&body, 1 << 20);
	struct wire_reply reply;
	wire_encode_error(r->a, &target, &error, S("an-id"), &body, &reply);
	struct wire_headers view = wire_headers_of(&reply.headers);
	struct wire_reply_error back;
	wire_decode_reply(r->a, r->api, op, r->api->protocol, reply.status, &view, buf_str(&body), NULL, &back);
	if (!r->api->query_compatible)
		check(r, "code again", back.code, e->code);
	check(r, "message again", back.message, e->message);
	check(r, "request id again", back.request_id, S("an-id"));
	if (e->shape && back.shape)
		check(r, "error again", typed_text(r->a, r->api, back.shape, back.value),
		      typed_text(r->a, r->api, e->shape, e->value));
}

static void again_output(struct run *r, const struct operation *op, const struct shape *s, const void *out, struct str text)
{
	struct wire_target target = {.api = r->api, .op = op, .protocol = r->api->protocol};
	struct buf CLEAN_BUF body;
	buf_init(&body, 1 << 20);
	struct wire_reply reply;
	struct wire_reply_error error = {0};
	wire_encode(r->a, &target, out, S("an-id"), &body, &reply);
	struct wire_headers view = wire_headers_of(&reply.headers);
	void *back = arena_zalloc(r->a, s ? s->size : 1);
	if (wire_decode_reply(r->a, r->api, op, r->api->protocol, reply.status, &view, buf_str(&body), back, &error) != 0)
		check(r, "read again", error.message, text);
	else
		check(r, "again", typed_text(r->a, r->api, s, back), text);
	check(r, "strict check", wire_reply_check(r->a, r->api, op, r->api->protocol, reply.status, &view, buf_str(&body)),
	      STR_NONE);
}

static void run_output(struct run *r, const struct operation *op)
{
	const struct json_value *response = json_get(r->vector, S("response"));
	const struct shape *s = operation_output(r->api, op);
	struct wire_pairs headers = {0};
	json_each(json_get(response, S("headers")), h) wire_pairs_add(r->a, &headers, h->key, h->text);
	struct wire_headers view = wire_headers_of(&headers);
	struct str body = json_get_str(response, S("body"));
	if (r->api->protocol == PROTOCOL_CBOR && str_set(body))
		body = base64_decode(r->a, body);
	if (!str_set(body))
		body = r->api->protocol == PROTOCOL_QUERY ? S("<xml/>") : S("");
	int64_t status = 200;
	json_to_int(json_get(response, S("status_code"))->text, &status);
	struct wire_reply_error error = {0};
	void *out = arena_zalloc(r->a, s ? s->size : 1);
	int end = wire_decode_reply(r->a, r->api, op, r->api->protocol, (uint16_t)status, &view, body, out, &error);
	if (end == 1) {
		check_error(r, &error);
		again_error(r, op, &error);
		return;
	}
	struct str text = typed_text(r->a, r->api, s, out);
	void *want = arena_zalloc(r->a, s ? s->size : 1);
	if (s && !typed_from_json(r->a, r->api, s, json_get(r->vector, S("result")), want))
		check(r, "result does not fit", STR_NONE, S("it to"));
	if (!str_eq(text, typed_text(r->a, r->api, s, want))) /* headers that are not there may be an empty map */
		typed_drop_empty(r->api, s, want);
	check(r, "read", end ? error.message : text, typed_text(r->a, r->api, s, want));
	if (!is_one_way(r->id))
		again_output(r, op, s, out, text);
}

int main(int argc, char **argv)
{
	unsigned cases = 0, failed = 0;
	struct arena CLEAN_ARENA file_arena = {0};
	const struct json_value *file = NULL;
	const char *file_name = "";
	(void)argc;
	for (const struct vector_suite *suite = vector_suites; suite->file; suite++) {
		if (strcmp(suite->file, file_name) != 0) {
			char path[4096];
			snprintf(path, sizeof(path), "%s/%s", argv[1], suite->file);
			file = json_parse(&file_arena, read_all(path, &file_arena), NULL);
			file_name = suite->file;
		}
		const struct json_value *one = file ? file->first : NULL;
		for (size_t i = 0; i < suite->index; i++)
			one = one->next;
		json_each(json_get(one, S("cases")), vector)
		{
			struct arena CLEAN_ARENA a = {0};
			struct run r = {.a = &a, .api = suite->api, .vector = vector, .id = json_get_str(vector, S("id"))};
			struct str name = json_get_str(json_get(vector, S("given")), S("name"));
			const struct operation *op = api_operation(suite->api, str_set(name) ? name : S("OperationName"));
			if (is_skipped(r.id))
				continue;
			cases++;
			if (!op)
				check(&r, "operation", STR_NONE, name);
			else if (json_get(vector, S("params")))
				run_input(&r, op);
			else
				run_output(&r, op);
			failed += r.failed != 0;
		}
	}
	printf("%u vectors, %u failed\n", cases, failed);
	return failed || cases < 600;
}
