/* The bucket where versions, logs and saved configurations of a region lie: made by the first who asks for it. */
#include "rows.h"

#include "gen/s3.h"

#include <stdlib.h>

struct making {
	struct call_errand errand;
	bool there;
	char code[64];
	char message[200];
};

static void drop(struct call_errand *e)
{
	free(e);
}

static void keep(char *to, size_t size, struct str text)
{
	size_t n = text.n < size ? text.n : size - 1;
	memcpy(to, n ? text.p : "", n);
	to[n] = 0;
}

static void answered(void *ctx, struct call *sub)
{
	struct making *m = ctx;
	keep(m->code, sizeof(m->code), sub->error.code);
	keep(m->message, sizeof(m->message), sub->error.message);
	m->there = !m->code[0] || strcmp(m->code, "BucketAlreadyOwnedByYou") == 0;
	call_over(&m->errand);
}

int elasticbeanstalk_create_storage_location(struct call *c, const struct model_none *in,
                                             struct elasticbeanstalk_create_storage_location_result_message *out)
{
	(void)in;
	struct making *m = c->state;
	struct str name = arena_printf(c->arena, "elasticbeanstalk-%.*s-%.*s", STR_ARG(c->region), STR_ARG(c->account));
	if (!m) {
		m = calloc(1, sizeof(*m));
		if (!m)
			abort();
		m->errand.drop = drop;
		const struct s3_head_bucket_request head = {.bucket = name};
		call_op(c->cloud, c->caller, c->region, &s3_api, "HeadBucket", &head, answered, m);
		return call_wait_for(c, &m->errand);
	}
	if (strcmp(m->code, "NoSuchBucket") == 0 || strcmp(m->code, "NotFound") == 0) {
		struct s3_create_bucket_configuration place = {.location_constraint = c->region};
		const struct s3_create_bucket_request make = {
		        .bucket = name, .create_bucket_configuration = str_is(c->region, "us-east-1") ? NULL : &place};
		call_op(c->cloud, c->caller, c->region, &s3_api, "CreateBucket", &make, answered, m);
		return call_wait_for(c, &m->errand);
	}
	if (strcmp(m->code, "TooManyBuckets") == 0)
		return call_fail(c, "TooManyBucketsException", 400, "%s", m->message);
	if (!m->there)
		return call_fail(c, "InsufficientPrivilegesException", 403, "Unable to use the S3 bucket %.*s: %s", STR_ARG(name),
		                 m->message);
	out->s3_bucket = name;
	return CALL_OK;
}
