/* A bucket that flow logs are to go to. Deliveries are written by a service of their own, delivery.logs.amazonaws.com, which the
 * bucket's policy has to let in. Whoever makes a flow log to a bucket of their own and may change its policy need not do that
 * themselves: two statements are added to what the policy says. */
#include "aws/ec2/flow/flow_log.h"

#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"
#include "gen/s3.h"

#include <stdlib.h>

enum { POLICY_MAX = 1 << 16 };

struct asking {
	struct call_errand errand;
	struct cloud *cloud;
	const struct principal *as, *service;
	struct arena arena;
	struct str account, region, bucket;
	bool there, allowed;
};

static void drop(struct call_errand *e)
{
	struct asking *q = (struct asking *)e;
	principal_unref(q->as);
	principal_unref(q->service);
	arena_done(&q->arena);
	free(q);
}

static void decided(struct asking *q, bool there, bool allowed)
{
	q->there = there;
	q->allowed = allowed;
	call_over(&q->errand);
}

static void policy_put(void *ctx, struct call *sub)
{
	decided(ctx, true, !str_set(sub->error.code));
}

/* The statements of a policy as they are, between the brackets of their list, and its version. Absent: there are none. */
static struct str statements_of(struct arena *a, struct str policy, struct str *version)
{
	struct json_reader r;
	struct str found = STR_NONE;
	json_reader_init(&r, a, policy, 0);
	if (json_next(&r) != JSON_OBJECT)
		return STR_NONE;
	while (json_next(&r) == JSON_KEY) {
		struct str key = arena_dup(a, r.text);
		struct str value = json_raw_value(&r, json_next(&r));
		if (str_is(key, "Statement") && value.n)
			found = value;
		if (str_is(key, "Version"))
			*version = value;
	}
	if (!str_set(found) || found.p[0] != '[')
		return found;
	return str_trim(str_sub(found, 1, found.n - 2));
}

static void add_statement(struct buf *b, const struct asking *q, struct str suffix, bool write)
{
	buf_printf(b,
	           "{\"Sid\":\"AWSLogDelivery%s%.*s\",\"Effect\":\"Allow\",\"Principal\":"
	           "{\"Service\":\"delivery.logs.amazonaws.com\"},\"Action\":\"s3:%s\",\"Resource\":\"arn:aws:s3:::%.*s",
	           write ? "Write" : "AclCheck", STR_ARG(suffix), write ? "PutObject" : "GetBucketAcl", STR_ARG(q->bucket));
	/* of any prefix, so that the next flow log finds what it needs */
	if (write)
		buf_printf(b, "/*AWSLogs/*");
	buf_printf(b, "\",\"Condition\":{\"StringEquals\":{\"aws:SourceAccount\":\"%.*s\"", STR_ARG(q->account));
	if (write)
		buf_printf(b, ",\"s3:x-amz-acl\":\"bucket-owner-full-control\"");
	buf_printf(b, "},\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:logs:%.*s:%.*s:*\"}}}", STR_ARG(q->region), STR_ARG(q->account));
}

static void policy_read(void *ctx, struct call *sub)
{
	struct asking *q = ctx;
	const struct s3_get_bucket_policy_output *out = sub->out;
	bool none = str_is(sub->error.code, "NoSuchBucketPolicy");
	if (str_set(sub->error.code) && !none) {
		decided(q, true, false);
		return;
	}
	struct str version = S("\"2012-10-17\""), statements = none ? STR_NONE : statements_of(&q->arena, out->policy, &version);
	bool again = str_find(statements, S("\"AWSLogDelivery")) >= 0;
	struct str suffix = again ? id_hex(&q->arena, 8) : S("");
	struct buf CLEAN_BUF b;
	buf_init(&b, POLICY_MAX);
	buf_printf(&b, "{\"Version\":%.*s,\"Statement\":[%.*s%s", STR_ARG(version), STR_ARG(statements), statements.n ? "," : "");
	add_statement(&b, q, suffix, true);
	buf_add_char(&b, ',');
	add_statement(&b, q, suffix, false);
	buf_printf(&b, "]}");
	struct s3_put_bucket_policy_request in = {.bucket = q->bucket, .policy = buf_str(&b)};
	call_op(q->cloud, q->as, q->region, &s3_api, "PutBucketPolicy", &in, policy_put, q);
}

static void acl_read(void *ctx, struct call *sub)
{
	struct asking *q = ctx;
	struct s3_get_bucket_policy_request in = {.bucket = q->bucket};
	if (!str_set(sub->error.code))
		decided(q, true, true);
	else if (str_is(sub->error.code, "NoSuchBucket") || str_is(sub->error.code, "InvalidBucketName"))
		decided(q, false, false);
	else
		call_op(q->cloud, q->as, q->region, &s3_api, "GetBucketPolicy", &in, policy_read, q);
}

int ec2_flow_bucket_ready(struct call *c, struct str bucket, bool *ret_there)
{
	struct asking *q = c->state;
	if (q) {
		*ret_there = q->there;
		if (!q->there || q->allowed)
			return CALL_OK;
		return call_fail(c, "InvalidParameter", 400,
		                 "Access Denied for LogDestination: %.*s. Please check LogDestination permission", STR_ARG(bucket));
	}
	q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	*q = (struct asking){.errand.drop = drop, .cloud = c->cloud, .as = principal_ref(c->caller)};
	q->service = flow_delivery_principal(c->account, c->region);
	q->account = arena_dup(&q->arena, c->account);
	q->region = arena_dup(&q->arena, c->region);
	q->bucket = arena_dup(&q->arena, bucket);
	struct s3_get_bucket_acl_request in = {.bucket = q->bucket};
	call_op(c->cloud, q->service, c->region, &s3_api, "GetBucketAcl", &in, acl_read, q);
	return call_wait_for(c, &q->errand);
}
