/* Security policies of TLS listeners, and the limits of an account. */
#include "rows.h"

#define GCM13 "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"
#define EC_GCM \
	"ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 " \
	"ECDHE-RSA-AES256-GCM-SHA384"
#define EC_CBC2 "ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384"
#define EC_SHA1 "ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA ECDHE-ECDSA-AES256-SHA"
#define RSA_2 "AES128-GCM-SHA256 AES128-SHA256 AES256-GCM-SHA384 AES256-SHA256"
#define RSA_1 "AES128-SHA AES256-SHA"
#define ALL EC_GCM " " EC_CBC2 " " EC_SHA1 " " RSA_2 " " RSA_1

static const struct elb_policy policies[] = {
        {"ELBSecurityPolicy-2015-05", "TLSv1 TLSv1.1 TLSv1.2", ALL},
        {"ELBSecurityPolicy-2016-08", "TLSv1 TLSv1.1 TLSv1.2", ALL},
        {"ELBSecurityPolicy-FS-1-1-2019-08", "TLSv1.1 TLSv1.2", EC_GCM " " EC_CBC2 " " EC_SHA1},
        {"ELBSecurityPolicy-FS-1-2-2019-08", "TLSv1.2", EC_GCM " " EC_CBC2 " " EC_SHA1},
        {"ELBSecurityPolicy-FS-1-2-Res-2019-08", "TLSv1.2", EC_GCM " " EC_CBC2},
        {"ELBSecurityPolicy-FS-1-2-Res-2020-10", "TLSv1.2", EC_GCM},
        {"ELBSecurityPolicy-FS-2018-06", "TLSv1 TLSv1.1 TLSv1.2", EC_GCM " " EC_CBC2 " " EC_SHA1},
        {"ELBSecurityPolicy-TLS-1-1-2017-01", "TLSv1.1 TLSv1.2", ALL},
        {"ELBSecurityPolicy-TLS-1-2-2017-01", "TLSv1.2", EC_GCM " " EC_CBC2 " " RSA_2},
        {"ELBSecurityPolicy-TLS-1-2-Ext-2018-06", "TLSv1.2", ALL},
        {"ELBSecurityPolicy-TLS13-1-0-2021-06", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", GCM13 " " ALL},
        {"ELBSecurityPolicy-TLS13-1-1-2021-06", "TLSv1.1 TLSv1.2 TLSv1.3", GCM13 " " ALL},
        {"ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1.2 TLSv1.3", GCM13 " " EC_GCM " " EC_CBC2},
        {"ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", "TLSv1.2 TLSv1.3", GCM13 " " EC_GCM " " EC_CBC2 " " RSA_2},
        {"ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", "TLSv1.2 TLSv1.3", GCM13 " " ALL},
        {"ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "TLSv1.2 TLSv1.3", GCM13 " " EC_GCM},
        {"ELBSecurityPolicy-TLS13-1-3-2021-06", "TLSv1.3", GCM13},
};
enum { POLICIES = sizeof(policies) / sizeof(*policies) };

const struct elb_policy *elb_policy_named(struct str name)
{
	for (size_t i = 0; i < POLICIES; i++)
		if (str_is(name, policies[i].name))
			return &policies[i];
	return NULL;
}

static void show(struct arena *a, const struct elb_policy *p, struct elbv2_ssl_policy *ret)
{
	struct str rest = str_from(p->protocols);
	int64_t priority = 0;
	*ret = (struct elbv2_ssl_policy){.name = str_from(p->name)};
	while (str_set(rest))
		*LIST_ADD(a, &ret->ssl_protocols) = str_cut(&rest, ' ');
	for (rest = str_from(p->ciphers); str_set(rest);)
		*LIST_ADD(a, &ret->ciphers) = (struct elbv2_cipher){str_cut(&rest, ' '), OPT_INT(++priority)};
	*LIST_ADD(a, &ret->supported_load_balancer_types) = S("application");
	*LIST_ADD(a, &ret->supported_load_balancer_types) = S("network");
	ret->ssl_protocols.set = ret->ciphers.set = ret->supported_load_balancer_types.set = true;
}

int elbv2_describe_ssl_policies(struct call *c, const struct elbv2_describe_ssl_policies_input *in,
                                struct elbv2_describe_ssl_policies_output *out)
{
	uint32_t from, to;
	out->ssl_policies.set = true;
	if (str_is(in->load_balancer_type, "gateway"))
		return elb_absent(c, "Load balancers of type 'gateway' are");
	for (uint32_t i = 0; i < in->names.n; i++) {
		const struct elb_policy *p = elb_policy_named(in->names.v[i]);
		if (!p)
			return call_fail(c, "SSLPolicyNotFound", 0, "SSL policy '%.*s' not found", STR_ARG(in->names.v[i]));
		show(c->arena, p, LIST_ADD(c->arena, &out->ssl_policies));
	}
	if (in->names.n)
		return CALL_OK;
	if (elb_page_of(c, in->marker, in->page_size, POLICIES, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = from; i < to; i++)
		show(c->arena, &policies[i], LIST_ADD(c->arena, &out->ssl_policies));
	return CALL_OK;
}

int elbv2_describe_account_limits(struct call *c, const struct elbv2_describe_account_limits_input *in,
                                  struct elbv2_describe_account_limits_output *out)
{
	static const struct {
		const char *name;
		int max;
	} limits[] = {
	        {"application-load-balancers", ELB_BALANCERS_MAX},
	        {"certificates-per-application-load-balancer", ELB_CERTIFICATES_MAX},
	        {"certificates-per-network-load-balancer", ELB_CERTIFICATES_MAX},
	        {"condition-values-per-alb-rule", ELB_RULE_VALUES_MAX},
	        {"condition-wildcards-per-alb-rule", ELB_RULE_WILDCARDS_MAX},
	        {"listeners-per-application-load-balancer", ELB_LISTENERS_MAX},
	        {"listeners-per-network-load-balancer", ELB_LISTENERS_MAX},
	        {"network-load-balancers", ELB_BALANCERS_MAX},
	        {"rules-per-application-load-balancer", ELB_RULES_MAX},
	        {"target-groups", ELB_GROUPS_MAX},
	        {"target-groups-per-action-on-application-load-balancer", ELB_ACTION_GROUPS_MAX},
	        {"target-groups-per-action-on-network-load-balancer", 1},
	        {"target-groups-per-application-load-balancer", ELB_BALANCER_GROUPS_MAX},
	        {"targets-per-application-load-balancer", ELB_TARGETS_MAX},
	        {"targets-per-network-load-balancer", ELB_TARGETS_MAX},
	};
	uint32_t from, to;
	out->limits.set = true;
	if (elb_page_of(c, in->marker, in->page_size, sizeof(limits) / sizeof(*limits), &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->limits) =
		        (struct elbv2_limit){str_from(limits[i].name), arena_printf(c->arena, "%d", limits[i].max)};
	return CALL_OK;
}
