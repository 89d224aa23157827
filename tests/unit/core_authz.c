#include "unit.h"

#include "base/clock.h"
#include "core/authz.h"
#include "core/policy.h"

#include <stdio.h>
#include <stdlib.h>

static bool no_keys(void *ctx, struct str key, struct str_list *ret)
{
	(void)ctx, (void)key, (void)ret;
	return false;
}

#define ACCOUNT "111111111111"
#define OTHER "222222222222"
static struct principal root = {.refs = 1,
                                .kind = PRINCIPAL_ROOT,
                                .account = S_INIT(ACCOUNT),
                                .arn = S_INIT("arn:aws:iam::" ACCOUNT ":root"),
                                .user_id = S_INIT(ACCOUNT)};
static struct principal ann = {.refs = 1,
                               .kind = PRINCIPAL_USER,
                               .account = S_INIT(ACCOUNT),
                               .arn = S_INIT("arn:aws:iam::" ACCOUNT ":user/ann"),
                               .user_id = S_INIT("AIDAANN"),
                               .name = S_INIT("ann")};
static struct principal session = {.refs = 1,
                                   .kind = PRINCIPAL_ROLE,
                                   .account = S_INIT(ACCOUNT),
                                   .arn = S_INIT("arn:aws:sts::" ACCOUNT ":assumed-role/r/s"),
                                   .user_id = S_INIT("AROAR:s"),
                                   .name = S_INIT("s"),
                                   .issuer_arn = S_INIT("arn:aws:iam::" ACCOUNT ":role/r"),
                                   .issuer_id = S_INIT("AROAR"),
                                   .temporary = true};
static struct principal federated = {.refs = 1,
                                     .kind = PRINCIPAL_FEDERATED,
                                     .account = S_INIT(ACCOUNT),
                                     .arn = S_INIT("arn:aws:sts::" ACCOUNT ":federated-user/f"),
                                     .user_id = S_INIT(ACCOUNT ":f"),
                                     .name = S_INIT("f"),
                                     .temporary = true};
static struct principal nobody = {.refs = 1, .kind = PRINCIPAL_ANONYMOUS, .account = S_INIT("anonymous")};
static struct principal lambda = {
        .refs = 1, .kind = PRINCIPAL_SERVICE, .account = S_INIT(ACCOUNT), .name = S_INIT("lambda.amazonaws.com")};

#define DOC(effect, more) "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"" effect "\",\"Action\":\"s3:*\"" more "}]}"
#define YES DOC("Allow", ",\"Resource\":\"*\"")
#define NO DOC("Deny", ",\"Resource\":\"*\"")
#define SILENT "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"ec2:*\",\"Resource\":\"*\"}}"
#define NAMES(effect, principal) DOC(effect, ",\"Resource\":\"*\",\"Principal\":" principal)
#define AWS(x) "{\"AWS\":\"" x "\"}"

static struct policy *parse(struct arena *a, const char *json)
{
	struct str message = STR_NONE;
	struct policy *p = json ? policy_parse(str_from(json), POLICY_IDENTITY, S("policy p"), a, &message) : NULL;
	if (json && !p)
		fail_msg("%s: %.*s", json, STR_ARG(message));
	return p;
}

struct question {
	const struct principal *who;
	const char *identity, *boundary, *session, *resource;
	const char *owner; /* NULL: the caller's account */
	bool must_allow;
	enum authz_result want;
};

static struct str ask(struct arena *a, const struct question *q, struct authz_decision *ret)
{
	struct policy *identity = parse(a, q->identity), *boundary = parse(a, q->boundary), *limit = parse(a, q->session);
	const struct policy *identities[] = {identity}, *limits[] = {limit};
	struct principal_policies policies = {.identity = identities,
	                                      .identity_count = identity != NULL,
	                                      .boundary = boundary,
	                                      .session = limits,
	                                      .session_count = limit != NULL};
	struct authz az = {.action = S("s3:GetObject"),
	                   .resource = S("arn:aws:s3:::b/k"),
	                   .resource_account = str_from(q->owner ? q->owner : ACCOUNT),
	                   .resource_policy = str_from(q->resource),
	                   .policy_must_allow = q->must_allow};
	struct authz_context context = {.arena = a, .key = no_keys};
	authz_evaluate(&context, q->who, &policies, &az, ret);
	struct str message = authz_message(a, q->who, &az, ret);
	policy_free(identity);
	policy_free(boundary);
	policy_free(limit);
	return message;
}

static void decides_in_order(void **state)
{
	(void)state;
	const struct question cases[] = {
	        /* who, identity, boundary, session, resource, owner, must allow */
	        {&root, NULL, NULL, NULL, NULL, NULL, false, AUTHZ_ALLOW},
	        {&root, NULL, NULL, NULL, NAMES("Deny", "\"*\""), NULL, false, AUTHZ_DENY_EXPLICIT},
	        {&root, NULL, NULL, NULL, NULL, OTHER, false, AUTHZ_DENY_RESOURCE},
	        {&root, NULL, NULL, NULL, NAMES("Allow", AWS(ACCOUNT)), OTHER, false, AUTHZ_ALLOW},
	        {&root, NULL, NULL, NULL, NAMES("Allow", AWS(OTHER)), NULL, true, AUTHZ_DENY_RESOURCE},
	        {&ann, NULL, NULL, NULL, NULL, NULL, false, AUTHZ_DENY_IDENTITY},
	        {&ann, SILENT, NULL, NULL, NULL, NULL, false, AUTHZ_DENY_IDENTITY},
	        {&ann, YES, NULL, NULL, NULL, NULL, false, AUTHZ_ALLOW},
	        {&ann, NO, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/ann")), NULL, false, AUTHZ_DENY_EXPLICIT},
	        {&ann, YES, NO, NULL, NULL, NULL, false, AUTHZ_DENY_EXPLICIT},
	        {&ann, YES, SILENT, NULL, NULL, NULL, false, AUTHZ_DENY_BOUNDARY},
	        {&ann, YES, YES, NULL, NULL, NULL, false, AUTHZ_ALLOW},
	        {&ann, YES, NULL, NULL, NAMES("Deny", "\"*\""), NULL, false, AUTHZ_DENY_EXPLICIT},
	        /* A resource policy that names the user itself is enough, past a silent boundary too. */
	        {&ann, NULL, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/ann")), NULL, false, AUTHZ_ALLOW},
	        {&ann, NULL, SILENT, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/ann")), NULL, false, AUTHZ_ALLOW},
	        {&ann, NULL, NULL, NULL, NAMES("Allow", AWS("AIDAANN")), NULL, false, AUTHZ_ALLOW},
	        {&ann, NULL, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/bob")), NULL, false,
	         AUTHZ_DENY_IDENTITY},
	        /* One that names the account leaves it to the account's policies. */
	        {&ann, NULL, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":root")), NULL, false, AUTHZ_DENY_IDENTITY},
	        {&ann, YES, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":root")), NULL, true, AUTHZ_ALLOW},
	        {&ann, YES, NULL, NULL, NAMES("Allow", AWS(OTHER)), NULL, true, AUTHZ_DENY_RESOURCE},
	        {&ann, NULL, NULL, NULL, NAMES("Allow", "\"*\""), NULL, false, AUTHZ_ALLOW},
	        {&ann, NULL, SILENT, NULL, NAMES("Allow", "\"*\""), NULL, false, AUTHZ_DENY_BOUNDARY},
	        /* A role's ARN covers its sessions within their limits, a session's ARN without. */
	        {&session, NULL, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":role/r")), NULL, false, AUTHZ_ALLOW},
	        {&session, NULL, SILENT, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":role/r")), NULL, false,
	         AUTHZ_DENY_BOUNDARY},
	        {&session, NULL, NULL, SILENT, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":role/r")), NULL, false,
	         AUTHZ_DENY_SESSION},
	        {&session, NULL, SILENT, SILENT, NAMES("Allow", AWS("arn:aws:sts::" ACCOUNT ":assumed-role/r/s")), NULL, false,
	         AUTHZ_ALLOW},
	        {&session, YES, NULL, SILENT, NULL, NULL, false, AUTHZ_DENY_SESSION},
	        {&session, YES, NULL, YES, NULL, NULL, false, AUTHZ_ALLOW},
	        {&session, YES, NULL, NO, NULL, NULL, false, AUTHZ_DENY_EXPLICIT},
	        {&session, NULL, NULL, YES, NULL, NULL, false, AUTHZ_DENY_IDENTITY},
	        {&federated, YES, NULL, NULL, NULL, NULL, false, AUTHZ_DENY_SESSION},
	        {&federated, YES, NULL, YES, NULL, NULL, false, AUTHZ_ALLOW},
	        /* Across accounts both sides have to agree, whomever the resource names. */
	        {&ann, YES, NULL, NULL, NULL, OTHER, false, AUTHZ_DENY_RESOURCE},
	        {&ann, NULL, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/ann")), OTHER, false,
	         AUTHZ_DENY_IDENTITY},
	        {&ann, YES, NULL, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/ann")), OTHER, false, AUTHZ_ALLOW},
	        {&ann, YES, SILENT, NULL, NAMES("Allow", AWS("arn:aws:iam::" ACCOUNT ":user/ann")), OTHER, false,
	         AUTHZ_DENY_BOUNDARY},
	        {&ann, YES, NULL, NULL, NAMES("Allow", AWS(ACCOUNT)), OTHER, false, AUTHZ_ALLOW},
	        /* Those who have no identity policies. */
	        {&nobody, NULL, NULL, NULL, NULL, OTHER, false, AUTHZ_DENY_RESOURCE},
	        {&nobody, NULL, NULL, NULL, NAMES("Allow", "\"*\""), OTHER, false, AUTHZ_ALLOW},
	        {&nobody, NULL, NULL, NULL, NAMES("Allow", AWS(ACCOUNT)), OTHER, false, AUTHZ_DENY_RESOURCE},
	        {&lambda, NULL, NULL, NULL, NAMES("Allow", "{\"Service\":\"lambda.amazonaws.com\"}"), NULL, true, AUTHZ_ALLOW},
	        {&lambda, NULL, NULL, NULL, NAMES("Allow", "{\"Service\":\"ec2.amazonaws.com\"}"), NULL, true, AUTHZ_DENY_RESOURCE},
	        {&lambda, NULL, NULL, NULL, NAMES("Allow", "\"*\""), NULL, true, AUTHZ_ALLOW},
	        {&lambda, NULL, NULL, NULL, NAMES("Deny", "\"*\""), NULL, true, AUTHZ_DENY_EXPLICIT},
	        {&ann, NULL, NULL, NULL, NAMES("Allow", "{\"Service\":\"lambda.amazonaws.com\"}"), NULL, true, AUTHZ_DENY_RESOURCE},
	        /* NotPrincipal. */
	        {&ann, YES, NULL, NULL,
	         DOC("Deny", ",\"Resource\":\"*\",\"NotPrincipal\":" AWS("arn:aws:iam::" ACCOUNT ":user/bob")), NULL, false,
	         AUTHZ_DENY_EXPLICIT},
	        {&ann, YES, NULL, NULL,
	         DOC("Deny", ",\"Resource\":\"*\",\"NotPrincipal\":" AWS("arn:aws:iam::" ACCOUNT ":user/ann")), NULL, false,
	         AUTHZ_ALLOW},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct authz_decision d;
		struct str message = ask(&a, &cases[i], &d);
		if (d.result != cases[i].want)
			fail_msg("case %u: %d, want %d (%.*s)", i, d.result, cases[i].want, STR_ARG(message));
	}
}

static void says_it_in_awss_words(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct authz_decision d;
#define USER "User: arn:aws:iam::" ACCOUNT ":user/ann is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k "
	assert_str(ask(&a, &(struct question){.who = &ann}, &d),
	           USER "because no identity-based policy allows the s3:GetObject action");
	assert_str(ask(&a, &(struct question){.who = &ann, .identity = NO}, &d),
	           USER "with an explicit deny in an identity-based policy");
	assert_str(d.by, "policy p, statement 1");
	assert_str(ask(&a, &(struct question){.who = &ann, .identity = YES, .boundary = SILENT}, &d),
	           USER "because no permissions boundary allows the s3:GetObject action");
	assert_str(ask(&a, &(struct question){.who = &ann, .identity = YES, .session = SILENT}, &d),
	           USER "because no session policy allows the s3:GetObject action");
	assert_str(ask(&a, &(struct question){.who = &ann, .identity = YES, .resource = NAMES("Deny", "\"*\"")}, &d),
	           USER "with an explicit deny in a resource-based policy");
	assert_str(ask(&a, &(struct question){.who = &ann, .identity = YES, .owner = OTHER}, &d),
	           USER "because no resource-based policy allows the s3:GetObject action");
}

static void blocks_public_grants(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct authz az = {.action = S("s3:GetObject"),
	                   .resource = S("arn:aws:s3:::b/k"),
	                   .resource_account = S(ACCOUNT),
	                   .resource_policy = S(NAMES("Allow", "\"*\""))};
	struct authz_context context = {.arena = &a, .key = no_keys};
	struct principal_policies none = {0};
	struct authz_decision d;
	authz_evaluate(&context, &nobody, &none, &az, &d);
	assert_int_equal(d.result, AUTHZ_ALLOW);
	az.policy_public_blocked = true;
	authz_evaluate(&context, &nobody, &none, &az, &d);
	assert_int_equal(d.result, AUTHZ_DENY_RESOURCE);
}

static void counts_principals(void **state)
{
	(void)state;
	struct principal *p = principal_new(PRINCIPAL_ROOT, S(ACCOUNT));
	assert_str(p->arn, "arn:aws:iam::" ACCOUNT ":root");
	assert_ptr_equal(principal_ref(p), p);
	principal_unref(p);
	assert_str(p->user_id, ACCOUNT);
	principal_unref(p);
	principal_unref(NULL);
}

/* Not a test: prints what a decision costs, with BENCH=1. */
static void bench(void **state)
{
	(void)state;
	if (!getenv("BENCH"))
		return;
	struct arena CLEAN_ARENA a = {0};
	const struct policy *identities[] = {parse(&a, YES), parse(&a, SILENT)};
	struct principal_policies policies = {.identity = identities, .identity_count = 2};
	struct authz az = {.action = S("s3:GetObject"), .resource = S("arn:aws:s3:::b/k")};
	struct authz_context context = {.arena = &a, .key = no_keys};
	struct authz_decision d;
	enum { ROUNDS = 200000 };
	for (int root_too = 0; root_too < 2; root_too++) {
		int64_t begin = clock_mono_us();
		for (int i = 0; i < ROUNDS; i++)
			authz_evaluate(&context, root_too ? &root : &ann, &policies, &az, &d);
		printf("%.3f us a decision\n", (double)(clock_mono_us() - begin) / ROUNDS);
		arena_reset(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(decides_in_order),
	        cmocka_unit_test(says_it_in_awss_words),
	        cmocka_unit_test(blocks_public_grants),
	        cmocka_unit_test(counts_principals),
	        cmocka_unit_test(bench),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
