/* What ask_botocore.py exchanges with botocore, a JSON line each: exchanges replies | inputs | check < REQUESTS
 *	replies: a random output of every operation, as a value and as the reply that we write
 *	inputs: a random input of every operation, as a value
 *	check: reads the requests that botocore made of those inputs and compares what we understand */
#include "base/base64.h"
#include "base/rand.h"
#include "typed.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const protocol_names[PROTOCOLS] = {"query", "ec2", "json10", "json11", "rest-json", "rest-xml", "cbor"};

static void put_str(struct json_out *o, const char *name, struct str value)
{
	json_key(o, str_from(name));
	json_string(o, value);
}

static void put_reply(struct arena *a, struct json_out *o, const struct wire_target *t, const void *value)
{
	struct buf CLEAN_BUF body;
	buf_init(&body, 16 << 20);
	struct wire_reply reply;
	wire_encode(a, t, value, S("an-id"), &body, &reply);
	json_key(o, S("status"));
	json_int(o, reply.status);
	json_key(o, S("headers"));
	json_open(o, '{');
	for (uint32_t i = 0; i < reply.headers.n; i++) {
		json_key(o, reply.headers.v[i].name);
		json_string(o, reply.headers.v[i].value);
	}
	json_close(o, '}');
	put_str(o, "body", base64_encode(a, reply.no_body ? S("") : buf_str(&body)));
	json_key(o, S("streams"));
	json_bool(o, t->op->flags & (OPERATION_EVENTS_OUT | OPERATION_STREAM_OUT));
}

static void print_one(const struct wire_target *t, bool replies)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF line;
	buf_init(&line, 64 << 20);
	struct json_out o = json_out(&line);
	const struct shape *s = replies ? operation_output(t->api, t->op) : operation_input(t->api, t->op);
	void *value = arena_zalloc(&a, s ? s->size : 1);
	if (s)
		typed_random(&a, t->api, s, 4, value);
	typed_drop_empty(t->api, s, value);
	for (uint32_t i = 0; replies && s && i < s->members; i++) {
		const struct member *m = &t->api->members[s->first_member + i];
		if (m->location == IN_STATUS)
			*(struct opt_int *)(void *)((char *)value + m->offset) = OPT_INT(200);
	}
	json_open(&o, '{');
	put_str(&o, "api", str_from(t->api->id));
	put_str(&o, "operation", api_text(t->api, t->op->name));
	put_str(&o, "protocol", str_from(protocol_names[t->protocol]));
	put_str(&o, "text", typed_text(&a, t->api, s, value));
	json_key(&o, S("value"));
	if (s)
		typed_json(&a, &o, t->api, s, value);
	else
		json_raw(&o, S("{}"));
	if (replies)
		put_reply(&a, &o, t, value);
	json_close(&o, '}');
	printf("%.*s\n", STR_ARG(buf_str(&line)));
}

static void print_all(bool replies)
{
	for (const struct api *const *api = model_apis; *api; api++)
		for (int p = 0; p < PROTOCOLS; p++)
			for (uint32_t i = 0; ((*api)->protocols >> p & 1) && i < (*api)->operation_count; i++)
				print_one(&(struct wire_target){.api = *api,
				                                .op = &(*api)->operations[i],
				                                .protocol = (enum protocol)p},
				          replies);
}

static bool has_token(const struct api *api, const struct shape *s)
{
	for (uint32_t i = 0; s && i < s->members; i++)
		if (api->members[s->first_member + i].flags & MEMBER_TOKEN)
			return true;
	return false;
}

/* What we make of one request, as text. */
static struct str understood(struct arena *a, const struct json_value *v, struct str want)
{
	const struct api *api = model_api(json_get_str(v, S("api")));
	struct wire_pairs headers = {0};
	json_each(json_get(v, S("headers")), h) wire_pairs_add(a, &headers, h->key, h->text);
	struct wire_headers view = wire_headers_of(&headers);
	struct wire_request r = {
	        .method = json_get_str(v, S("method")),
	        .path = json_get_str(v, S("path")),
	        .query = json_get_str(v, S("query")),
	        .content_type = view.get(view.ctx, S("content-type")),
	        .target = view.get(view.ctx, S("x-amz-target")),
	        .smithy_protocol = view.get(view.ctx, S("smithy-protocol")),
	        .headers = view,
	        .body = base64_decode(a, json_get_str(v, S("body"))),
	};
	struct wire_target t;
	struct wire_fault fault = {0};
	if (!wire_identify(a, api, &r, &t, &fault))
		return fault.code;
	if (!str_eq(api_text(api, t.op->name), json_get_str(v, S("operation"))))
		return ARENA_CAT(a, S("taken for "), api_text(api, t.op->name));
	const struct shape *s = operation_input(api, t.op);
	void *in = arena_zalloc(a, s ? s->size : 1);
	if (!wire_decode(a, &t, &r, in, &fault))
		return ARENA_CAT(a, fault.code, S(": "), fault.message);
	typed_drop_empty(api, s, in);
	struct str got = typed_text(a, api, s, in);
	return has_token(api, s) && got.n > want.n ? want : got; /* a token that was left out is made */
}

static int check(void)
{
	unsigned requests = 0, failed = 0;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct arena CLEAN_ARENA a = {0};
		const struct json_value *v = json_parse(&a, str_of(line, (size_t)n), NULL);
		struct str want = json_get_str(v, S("text")), got = understood(&a, v, want), api = json_get_str(v, S("api")),
		           op = json_get_str(v, S("operation"));
		requests++;
		if (!str_eq(got, want) && failed++ < 20)
			printf("%.*s %.*s\n  got  %.*s\n  want %.*s\n", STR_ARG(api), STR_ARG(op), STR_ARG(got), STR_ARG(want));
	}
	free(line);
	printf("%u requests, %u misunderstood\n", requests, failed);
	return failed || requests < 1000;
}

int main(int argc, char **argv)
{
	rand_seed(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
	if (argc > 1 && strcmp(argv[1], "check") == 0)
		return check();
	print_all(argc > 1 && strcmp(argv[1], "replies") == 0);
	return 0;
}
