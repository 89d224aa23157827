/* What S3 says to an input that breaks its model's constraints. A document that does is malformed, whatever it breaks; headers and
 * parameters are left to the operations, whose sentences name them. */
#include "aws/s3/s3.h"

static const struct member *payload_member(const struct shape *s)
{
	return s->payload ? &s3_api.members[s->first_member + s->payload - 1u] : NULL;
}

/* A region that no bucket can be in is no fault of the document. */
static bool only_location_is_wrong(struct call *c, const struct shape *s, const struct s3_create_bucket_configuration *k)
{
	struct s3_create_bucket_configuration rest = *k;
	struct str message;
	bool missing;
	rest.location_constraint = STR_NONE;
	return str_set(k->location_constraint) && model_check(c->arena, &s3_api, s, &rest, &message, &missing);
}

int s3_check_input(struct call *c, const void *in)
{
	const struct shape *input = operation_input(&s3_api, c->op);
	const struct member *m = payload_member(input);
	if (!m || (m->flags & MEMBER_STREAMING))
		return CALL_OK;
	const struct shape *s = api_shape(&s3_api, m->shape);
	const void *at = (const char *)in + m->offset;
	struct str message;
	bool missing;
	if (!model_is_set(s, at))
		return m->flags & MEMBER_REQUIRED ? call_fail(c, "MissingRequestBodyError", 400, "Request Body is empty") : CALL_OK;
	const void *value = s->kind == SHAPE_STRUCTURE ? *(void *const *)at : at;
	if (model_check(c->arena, &s3_api, s, value, &message, &missing))
		return CALL_OK;
	if (api_operation_index(&s3_api, c->op) == S3_OP_CREATE_BUCKET && only_location_is_wrong(c, s, value)) {
		/* Only the first region has no name here; the operation says so where it is given. */
		const struct s3_create_bucket_configuration *k = value;
		return str_is(k->location_constraint, "us-east-1") ? CALL_OK : s3_bad_location(c, k->location_constraint);
	}
	return s3_fail(c, S3_MALFORMED_XML);
}
