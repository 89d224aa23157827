/* Every operation of every model, in every protocol that its API speaks: random input written by the client's side must be
 * recognised and read back equal by the server's, and random output the other way round, and must pass the strict check. */
#include "base/rand.h"
#include "typed.h"
#include "wire/wire.h"

#include <stdio.h>

static unsigned failed, tried;

static void fail(const struct api *api, const struct operation *op, enum protocol p, const char *what, struct str got,
                 struct str want)
{
	if (failed++ < 20)
		printf("%s %s (protocol %d): %s\n   got  %.*s\n   want %.*s\n", api->id, api->text + op->name, (int)p, what,
		       STR_ARG(got), STR_ARG(want));
}

static void check_request(struct arena *a, const struct api *api, const struct operation *op, enum protocol p)
{
	const struct shape *s = operation_input(api, op);
	void *in = arena_zalloc(a, s ? s->size : 1);
	struct wire_out_request out;
	struct str message = STR_NONE;
	struct buf CLEAN_BUF body;
	buf_init(&body, 1 << 22);
	if (s)
		typed_random(a, api, s, 4, in);
	typed_drop_empty(api, s, in);
	struct str want = typed_text(a, api, s, in);
	if (!wire_encode_request(a, api, op, p, in, &body, &out, &message)) {
		fail(api, op, p, "not written", message, want);
		return;
	}
	struct wire_headers view = wire_headers_of(&out.headers);
	struct wire_request request = {
	        .method = out.method,
	        .path = out.path,
	        .query = out.query,
	        .content_type = view.get(view.ctx, S("content-type")),
	        .target = view.get(view.ctx, S("x-amz-target")),
	        .smithy_protocol = view.get(view.ctx, S("smithy-protocol")),
	        .headers = view,
	        .body = buf_str(&body),
	};
	struct wire_target target;
	struct wire_fault fault = {0};
	if (!wire_identify(a, api, &request, &target, &fault)) {
		fail(api, op, p, "not identified", fault.code, out.path);
		return;
	}
	if (target.op != op || target.protocol != p) {
		fail(api, op, p, "taken for another", api_text(api, target.op->name), ARENA_CAT(a, out.path, S("?"), out.query));
		return;
	}
	void *back = arena_zalloc(a, s ? s->size : 1);
	if (!wire_decode(a, &target, &request, back, &fault)) {
		fail(api, op, p, fault.code.p, fault.message, buf_str(&body));
		return;
	}
	typed_drop_empty(api, s, back); /* an absent payload goes out as {} */
	struct str got = typed_text(a, api, s, back);
	/* The server makes tokens that the client left out. */
	bool tokens = false;
	for (uint32_t i = 0; s && i < s->members; i++)
		tokens |= (api->members[s->first_member + i].flags & MEMBER_TOKEN) != 0;
	if (!str_eq(got, want) && !(tokens && got.n > want.n))
		fail(api, op, p, "input", got, want);
}

static void check_reply(struct arena *a, const struct api *api, const struct operation *op, enum protocol p)
{
	const struct shape *s = operation_output(api, op);
	void *out = arena_zalloc(a, s ? s->size : 1), *back = arena_zalloc(a, s ? s->size : 1);
	struct wire_target target = {.api = api, .op = op, .protocol = p};
	struct wire_reply reply;
	struct wire_reply_error error;
	struct buf CLEAN_BUF body;
	buf_init(&body, 1 << 22);
	if (s)
		typed_random(a, api, s, 4, out);
	typed_drop_empty(api, s, out);
	for (uint32_t i = 0; s && i < s->members; i++)
		if (api->members[s->first_member + i].location == IN_STATUS)
			*(struct opt_int *)(void *)((char *)out + api->members[s->first_member + i].offset) =
			        OPT_INT(200 + (int64_t)rand_below(7));
	struct str want = typed_text(a, api, s, out);
	wire_encode(a, &target, out, S("b1946ac9-2492-4c7f-b4cb-2f3f6a1b0c11"), &body, &reply);
	if (op->flags & OPERATION_EVENTS_OUT)
		return;
	struct wire_headers view = wire_headers_of(&reply.headers);
	struct str bytes = reply.no_body ? S("") : buf_str(&body);
	if (wire_decode_reply(a, api, op, p, reply.status, &view, bytes, back, &error) != 0) {
		fail(api, op, p, "reply not read", error.message, bytes);
		return;
	}
	struct str got = typed_text(a, api, s, back);
	if (!str_eq(got, want))
		fail(api, op, p, "output", got, want);
	struct str wrong = wire_reply_check(a, api, op, p, reply.status, &view, bytes);
	if (str_set(wrong) && str_find(wrong, S("required member")) < 0) /* the random value may lack one below its depth */
		fail(api, op, p, "strict check", wrong, bytes);
}

static bool superseded(const struct api *api, const struct operation *op)
{
	static const char *const names[] = {"GetBucketLifecycle", "GetBucketNotification", "ListDirectoryBuckets",
	                                    "PutBucketLifecycle", "PutBucketNotification"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(api->id, "s3") == 0 && str_is(api_text(api, op->name), names[i]))
			return true;
	return false;
}

/* Event and Events of a queue have one element name. */
static bool ambiguous(const struct api *api, const struct operation *op)
{
	return strcmp(api->id, "s3") == 0 && str_is(api_text(api, op->name), "GetBucketNotification");
}

int main(void)
{
	rand_seed(20240501);
	for (const struct api *const *api = model_apis; *api; api++) {
		for (int p = 0; p < PROTOCOLS; p++) {
			for (uint32_t i = 0; ((*api)->protocols >> p & 1) && i < (*api)->operation_count; i++) {
				const struct operation *op = &(*api)->operations[i];
				struct arena CLEAN_ARENA a = {0};
				tried++;
				if (!superseded(*api, op))
					check_request(&a, *api, op, (enum protocol)p);
				if (!ambiguous(*api, op))
					check_reply(&a, *api, op, (enum protocol)p);
			}
		}
	}
	printf("%u operations, %u failed\n", tried, failed);
	return failed || tried < 1000;
}
