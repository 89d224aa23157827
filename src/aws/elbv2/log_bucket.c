#include "log.h"

#include "base/clock.h"
#include "gen/s3.h"

#include <stdlib.h>

struct putting {
	struct cloud *cloud;
	struct arena arena;
	struct str account, region, arn, bucket, key, body;
	bool second;
	elb_log_put_fn *done;
	void *ctx;
};

/* Elastic Load Balancing's own account in regions that are older than August 2022; policies made then name it. */
static const char *account_of(struct str region)
{
	static const char *const accounts[][2] = {
	        {"us-east-1", "127311923021"},      {"us-east-2", "033677994240"},      {"us-west-1", "027434742980"},
	        {"us-west-2", "797873946194"},      {"af-south-1", "098369216593"},     {"ap-east-1", "754344448648"},
	        {"ap-northeast-1", "582318560864"}, {"ap-northeast-2", "600734575887"}, {"ap-south-1", "718504428378"},
	        {"ap-southeast-1", "114774131450"}, {"ap-southeast-2", "783225319266"}, {"ca-central-1", "985666609251"},
	        {"eu-central-1", "054676820928"},   {"eu-north-1", "897822967062"},     {"eu-south-1", "635631232127"},
	        {"eu-west-1", "156460612806"},      {"eu-west-2", "652711504416"},      {"eu-west-3", "009996457667"},
	        {"me-south-1", "076674570225"},     {"sa-east-1", "507241528517"}};
	for (size_t i = 0; i < sizeof(accounts) / sizeof(*accounts); i++)
		if (str_is(region, accounts[i][0]))
			return accounts[i][1];
	return NULL;
}

static void put(struct putting *p);

static void answered(void *ctx, struct call *sub)
{
	struct putting *p = ctx;
	if (str_is(sub->error.code, "AccessDenied") && !p->second && account_of(p->region)) {
		p->second = true;
		put(p);
		return;
	}
	p->done(p->ctx, sub->error.code, sub->error.receiver);
	arena_done(&p->arena);
	free(p);
}

static void put(struct putting *p)
{
	const struct s3_put_object_request in = {.bucket = p->bucket, .key = p->key, .content_type = S("application/octet-stream")};
	struct principal *as;
	if (p->second) {
		as = principal_new(PRINCIPAL_ROOT, str_from(account_of(p->region)));
	} else {
		as = principal_new(PRINCIPAL_SERVICE, p->account);
		as->name = as->arn = as->user_id = S("logdelivery.elasticloadbalancing.amazonaws.com");
		as->issuer_arn = arena_dup(&as->arena, p->arn);
	}
	call_op_body(p->cloud, as, p->region, &s3_api, "PutObject", &in, p->body, answered, p);
	principal_unref(as);
}

void elb_log_put(struct cloud *cloud, struct str account, struct str region, struct str balancer_arn, struct str bucket,
                 struct str key, struct str body, elb_log_put_fn *done, void *ctx)
{
	struct putting *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->cloud = cloud;
	p->done = done;
	p->ctx = ctx;
	p->account = arena_dup(&p->arena, account);
	p->region = arena_dup(&p->arena, region);
	p->arn = arena_dup(&p->arena, balancer_arn);
	p->bucket = arena_dup(&p->arena, bucket);
	p->key = arena_dup(&p->arena, key);
	p->body = arena_dup(&p->arena, body);
	put(p);
}

/* --- before logs are switched on: a file that says so, as AWS writes it */

const char *elb_log_attribute(enum elb_log_kind kind, const char *name)
{
	static const char *const names[ELB_LOG_KINDS][3] = {
	        {"access_logs.s3.enabled", "access_logs.s3.bucket", "access_logs.s3.prefix"},
	        {"connection_logs.s3.enabled", "connection_logs.s3.bucket", "connection_logs.s3.prefix"},
	        {"health_check_logs.s3.enabled", "health_check_logs.s3.bucket", "health_check_logs.s3.prefix"}};
	return names[kind][strcmp(name, "enabled") == 0 ? 0 : strcmp(name, "bucket") == 0 ? 1 : 2];
}

struct trial {
	struct call_errand errand;
	bool good[ELB_LOG_KINDS];
	enum elb_log_kind at;
	char code[64];
};

static void drop(struct call_errand *e)
{
	free(e);
}

static void tried(void *ctx, struct str error, bool ours)
{
	struct trial *t = ctx;
	size_t n = error.n < sizeof(t->code) ? error.n : sizeof(t->code) - 1;
	(void)ours;
	memcpy(t->code, n ? error.p : "", n);
	t->good[t->at] = !n;
	call_over(&t->errand);
}

static int refused(struct call *c, const struct trial *t, struct str bucket)
{
	if (strcmp(t->code, "NoSuchBucket") == 0 || strcmp(t->code, "InvalidBucketName") == 0)
		return elb_configuration(c, "The specified bucket does not exist: %.*s", STR_ARG(bucket));
	if (strcmp(t->code, "AuthorizationHeaderMalformed") == 0 || strcmp(t->code, "PermanentRedirect") == 0)
		return elb_configuration(c, "The S3 bucket '%.*s' is not in the same Region as the load balancer, '%.*s'",
		                         STR_ARG(bucket), STR_ARG(c->region));
	return elb_configuration(c, "Access Denied for bucket: %.*s. Please check S3bucket permission", STR_ARG(bucket));
}

static int try_bucket(struct call *c, struct trial *t, enum elb_log_kind kind, const struct state_elbv2_balancer_record *r)
{
	static const char *const names[ELB_LOG_KINDS] = {"AccessLog", "ConnectionLog", "HealthCheckLog"};
	struct elb_scope s = elb_scope(c);
	struct elb_name at;
	struct str bucket = elb_balancer_attribute(r, elb_log_attribute(kind, "bucket")),
	           prefix = elb_balancer_attribute(r, elb_log_attribute(kind, "prefix"));
	if (!bucket.n)
		return elb_configuration(c, "You must specify a value for '%s' when '%s' is 'true'",
		                         elb_log_attribute(kind, "bucket"), elb_log_attribute(kind, "enabled"));
	if (t->code[0])
		return refused(c, t, bucket);
	if (!elb_name_parse(&s, r->balancer->load_balancer_arn, &at))
		return call_broken(c, "a load balancer without a name");
	struct str key = ARENA_CAT(c->arena, prefix, prefix.n ? S("/") : S(""), S("AWSLogs/"), c->account, S("/ELB"),
	                           str_from(names[kind]), S("TestFile"));
	struct str body = ARENA_CAT(c->arena, S("Enable "), str_from(names[kind]), S(" for ELB: app/"), at.name, S("/"), at.id,
	                            S(" at "), time_format(c->arena, c->now_ms, TIME_ISO8601));
	t->at = kind;
	elb_log_put(c->cloud, c->account, c->region, r->balancer->load_balancer_arn, bucket, key, body, tried, t);
	return call_wait_for(c, &t->errand);
}

int elb_log_check(struct call *c, const struct state_elbv2_balancer_record *r, const struct str_map *changed)
{
	struct trial *t = c->state;
	for (int kind = 0; kind < ELB_LOG_KINDS && !elb_is_network(r); kind++) {
		bool touched = false;
		const char *enabled = elb_log_attribute(kind, "enabled");
		for (uint32_t i = 0; i < changed->n; i++)
			touched |= str_is(changed->v[i].key, enabled) ||
			           str_is(changed->v[i].key, elb_log_attribute(kind, "bucket")) ||
			           str_is(changed->v[i].key, elb_log_attribute(kind, "prefix"));
		if (!touched || !elb_on(elb_balancer_attribute(r, enabled)) || (t && t->good[kind]))
			continue;
		if (!t) {
			t = calloc(1, sizeof(*t));
			if (!t)
				abort();
			t->errand.drop = drop;
		}
		return try_bucket(c, t, kind, r);
	}
	return CALL_OK;
}
