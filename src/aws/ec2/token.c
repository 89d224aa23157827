/* ClientToken: the same request twice is one change. What an operation answered is kept beside what it was asked, in the
 * transaction of the change itself, under a lease that ends a day later. */
#include "aws/ec2/state.h"

#include "base/hash.h"

enum { HOUR_MS = 3600 * 1000, TOKEN_LIFE_MS = 24 * HOUR_MS };

static const struct record_type token_row = {&state_vpc_api, "TokenRecord"};

static struct str *input_member(struct call *c, void *in, const char *name)
{
	const struct api *api = c->service->api;
	const struct shape *shape = operation_input(api, c->op);
	for (uint32_t i = 0; shape && i < shape->members; i++) {
		const struct member *m = &api->members[shape->first_member + i];
		if (str_is(api_text(api, m->name), name) && api_shape(api, m->shape)->kind == SHAPE_STRING)
			return (struct str *)(void *)((char *)in + m->offset);
	}
	return NULL;
}

struct str ec2_input_text(const struct call *c, const char *member)
{
	struct str *at = input_member((struct call *)c, (void *)c->in, member);
	return at ? *at : STR_NONE;
}

static struct record_type row_of(const struct api *api, const struct shape *shape)
{
	return (struct record_type){api, api_text(api, shape->name).p};
}

/* What was asked, without the token itself. */
static struct str input_digest(struct call *c)
{
	const struct api *api = c->service->api;
	const struct shape *shape = operation_input(api, c->op);
	void *copy = arena_zalloc(c->arena, shape->size);
	model_copy(c->arena, api, shape, c->in, copy);
	*input_member(c, copy, "ClientToken") = STR_NONE;
	struct record_type row = row_of(api, shape);
	return hash_hex(c->arena, HASH_SHA256, record_write(c->arena, &row, copy));
}

/* One lease serves the tokens of an hour, so a token is kept for a day and up to an hour more. */
static int64_t token_lease(struct call *c)
{
	struct ec2_state *s = ec2_state(c);
	if (!s->token_lease || c->now_ms >= s->token_lease_until_ms) {
		s->token_lease = store_lease_grant(c->cloud->store, TOKEN_LIFE_MS + HOUR_MS);
		s->token_lease_until_ms = c->now_ms + HOUR_MS;
	}
	return s->token_lease;
}

int ec2_run(struct call *c, call_handler *handle)
{
	ec2_make_default(c);
	struct str token = ec2_input_text(c, "ClientToken");
	if (!str_set(token) || !token.n)
		return handle(c, c->in, c->out);
	if (token.n > 64)
		return call_fail(c, "InvalidParameterValue", 400, "Invalid client token: it must be at most 64 ASCII characters");
	struct str op = api_text(c->service->api, c->op->name), digest = input_digest(c);
	struct str key = KEY(c->arena, S("ec2"), c->account, c->region, S("token"), op, token);
	const struct shape *shape = operation_output(c->service->api, c->op);
	struct state_vpc_token_record record;
	if (record_get(call_txn(c), c->arena, key, &token_row, &record) && record.until.ms > c->now_ms) {
		struct record_type row = row_of(c->service->api, shape);
		if (!str_eq(record.input, digest))
			return call_fail(c, "IdempotentParameterMismatch", 400,
			                 "The client token '%.*s' was used in an earlier request with other parameters",
			                 STR_ARG(token));
		if (!record_read(c->arena, record.output, &row, c->out))
			return call_broken(c, "the result kept under a client token cannot be read");
		return CALL_OK;
	}
	int said = handle(c, c->in, c->out);
	if (said != CALL_OK || !shape)
		return said;
	struct record_type row = row_of(c->service->api, shape);
	record = (struct state_vpc_token_record){
	        .input = digest,
	        .output = record_write(c->arena, &row, c->out),
	        .until = OPT_TIME(c->now_ms + TOKEN_LIFE_MS),
	};
	store_put_leased(call_txn(c), key, record_write(c->arena, &token_row, &record), token_lease(c));
	return CALL_OK;
}
