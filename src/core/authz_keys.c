/* Condition keys of a call: what the service said about this request, then the global ones, looked up when a policy asks. */
#include "base/clock.h"
#include "core/authz.h"
#include "core/policy.h"

struct asking {
	struct call *call;
	const struct principal *who;
	const struct authz *az;
};

typedef struct str global_fn(const struct asking *q);

static struct str bool_text(bool b)
{
	return b ? S("true") : S("false");
}

static struct str current_time(const struct asking *q)
{
	return time_format(q->call->arena, q->call->now_ms, TIME_ISO8601);
}
static struct str epoch_time(const struct asking *q)
{
	return arena_printf(q->call->arena, "%lld", (long long)(q->call->now_ms / 1000));
}
static struct str source_ip(const struct asking *q)
{
	/* an address of a VPC is none that the outside knows */
	return q->call->http && !q->call->endpoint ? call_source_ip(q->call) : STR_NONE;
}
static struct str source_vpc(const struct asking *q)
{
	return q->call->endpoint ? q->call->endpoint->vpc : STR_NONE;
}
static struct str source_vpce(const struct asking *q)
{
	return q->call->endpoint ? q->call->endpoint->id : STR_NONE;
}
static struct str vpc_source_ip(const struct asking *q)
{
	return q->call->endpoint ? q->call->endpoint->source : STR_NONE;
}
static struct str secure_transport(const struct asking *q)
{
	return q->call->http ? bool_text(call_over_tls(q->call)) : S("true");
}
static struct str user_agent(const struct asking *q)
{
	return q->call->http ? call_header(q->call, S("user-agent")) : STR_NONE;
}
static struct str referer(const struct asking *q)
{
	return q->call->http ? call_header(q->call, S("referer")) : STR_NONE;
}
static struct str requested_region(const struct asking *q)
{
	return q->call->region;
}
static struct str via_service(const struct asking *q)
{
	return bool_text(q->call->http == NULL && q->who->kind != PRINCIPAL_SERVICE);
}
static struct str user_id(const struct asking *q)
{
	return q->who->user_id;
}
static struct str source_identity(const struct asking *q)
{
	return q->who->source_identity;
}

static struct str principal_arn(const struct asking *q)
{
	/* A role's session is known by its role here, so that policies need not know session names. */
	if (q->who->kind == PRINCIPAL_ROLE)
		return q->who->issuer_arn;
	return q->who->kind == PRINCIPAL_ANONYMOUS || q->who->kind == PRINCIPAL_SERVICE ? STR_NONE : q->who->arn;
}

static struct str principal_account(const struct asking *q)
{
	return q->who->kind == PRINCIPAL_ANONYMOUS || q->who->kind == PRINCIPAL_SERVICE ? STR_NONE : q->who->account;
}

static struct str principal_type(const struct asking *q)
{
	static const struct str names[] = {
	        [PRINCIPAL_ANONYMOUS] = S_INIT("Anonymous"),
	        [PRINCIPAL_ROOT] = S_INIT("Account"),
	        [PRINCIPAL_USER] = S_INIT("User"),
	        [PRINCIPAL_ROLE] = S_INIT("AssumedRole"),
	        [PRINCIPAL_FEDERATED] = S_INIT("FederatedUser"),
	        [PRINCIPAL_SERVICE] = S_INIT("AWSService"),
	};
	return names[q->who->kind];
}

static struct str user_name(const struct asking *q)
{
	return q->who->kind == PRINCIPAL_USER ? q->who->name : STR_NONE;
}

static struct str token_issue_time(const struct asking *q)
{
	return q->who->temporary ? time_format(q->call->arena, q->who->issued_ms - q->who->issued_ms % 1000, TIME_ISO8601)
	                         : STR_NONE;
}

static struct str principal_is_service(const struct asking *q)
{
	return bool_text(q->who->kind == PRINCIPAL_SERVICE);
}

static struct str service_name(const struct asking *q)
{
	return q->who->kind == PRINCIPAL_SERVICE ? q->who->name : STR_NONE;
}

/* Nobody signs in with a second factor here: temporary credentials say so, long-term ones leave the key out, as on AWS. */
static struct str mfa_present(const struct asking *q)
{
	return q->who->temporary ? S("false") : STR_NONE;
}

static struct str resource_account(const struct asking *q)
{
	return str_set(q->az->resource_account) ? q->az->resource_account : q->call->account;
}

/* Whose resource made a service call. */
static struct str source_account(const struct asking *q)
{
	return q->who->kind == PRINCIPAL_SERVICE ? q->who->account : STR_NONE;
}

static struct str source_arn(const struct asking *q)
{
	return q->who->kind == PRINCIPAL_SERVICE ? q->who->issuer_arn : STR_NONE;
}

static const struct {
	const char *name;
	global_fn *value;
} globals[] = {
        {"aws:CurrentTime", current_time},
        {"aws:EpochTime", epoch_time},
        {"aws:MultiFactorAuthPresent", mfa_present},
        {"aws:PrincipalAccount", principal_account},
        {"aws:PrincipalArn", principal_arn},
        {"aws:PrincipalIsAWSService", principal_is_service},
        {"aws:PrincipalServiceName", service_name},
        {"aws:PrincipalType", principal_type},
        {"aws:Referer", referer},
        {"aws:RequestedRegion", requested_region},
        {"aws:ResourceAccount", resource_account},
        {"aws:SecureTransport", secure_transport},
        {"aws:SourceAccount", source_account},
        {"aws:SourceArn", source_arn},
        {"aws:SourceIdentity", source_identity},
        {"aws:SourceIp", source_ip},
        {"aws:SourceVpc", source_vpc},
        {"aws:SourceVpce", source_vpce},
        {"aws:TokenIssueTime", token_issue_time},
        {"aws:UserAgent", user_agent},
        {"aws:ViaAWSService", via_service},
        {"aws:VpcSourceIp", vpc_source_ip},
        {"aws:userid", user_id},
        {"aws:username", user_name},
};

static bool one(struct arena *a, struct str value, struct str_list *ret)
{
	if (!str_set(value))
		return false;
	*ret = (struct str_list){.v = arena_new(a, struct str), .n = 1, .set = true};
	ret->v[0] = value;
	return true;
}

static bool principal_tag(const struct asking *q, struct str name, struct str_list *ret)
{
	for (uint32_t i = 0; i < q->who->tags.n; i++)
		if (str_ieq(q->who->tags.v[i].key, name))
			return one(q->call->arena, q->who->tags.v[i].value, ret);
	return false;
}

static bool call_key(void *ctx, struct str key, struct str_list *ret)
{
	const struct asking *q = ctx;
	for (unsigned i = 0; i < q->az->key_count; i++)
		if (str_ieq(q->az->keys[i].name, key)) {
			*ret = q->az->keys[i].values;
			return true;
		}
	if (!str_istarts(key, S("aws:")))
		return false;
	if (str_istarts(key, S("aws:PrincipalTag/")))
		return principal_tag(q, str_from_at(key, 17), ret);
	for (unsigned i = 0; i < sizeof(globals) / sizeof(globals[0]); i++)
		if (str_ieq(key, str_from(globals[i].name)))
			return one(q->call->arena, globals[i].value(q), ret);
	return false;
}

void authz_decide(struct call *c, const struct principal *who, const struct principal_policies *policies, const struct authz *az,
                  struct authz_decision *ret)
{
	struct asking q = {.call = c, .who = who, .az = az};
	struct authz_context context = {.arena = c->arena, .key = call_key, .ctx = &q};
	struct authz with = *az;
	if (!str_set(with.resource_account))
		with.resource_account = c->account;
	q.az = &with;
	authz_evaluate(&context, who, policies, &with, ret);
	if (ret->result == AUTHZ_ALLOW && c->endpoint)
		authz_at_endpoint(&context, who, &with, c->endpoint->policy, ret);
}
