#include "desk.h"
#include "rows.h"

/* --- what permissions are about */

static int tags_of(struct call *c, struct authz *az, const struct elbv2_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "elasticloadbalancing:ResourceTag", &map);
	authz_add_tags(c, az, "aws:ResourceTag", &map);
	return CALL_OK;
}

static void request_tags(struct call *c, struct authz *az, const struct elbv2_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++) {
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	}
	authz_add_tags(c, az, "aws:RequestTag", &map);
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct elb_scope s = elb_scope(c);
	struct elb_name n;
	az->resource = arn.n ? arn : S("*");
	if (!elb_name_parse(&s, arn, &n))
		return CALL_OK;
	if (n.kind == ELB_BALANCER) {
		struct state_elbv2_balancer_record r = {0};
		return elb_balancer_find(&s, n.name, &r) ? tags_of(c, az, &r.tags) : CALL_OK;
	}
	if (n.kind == ELB_GROUP) {
		struct state_elbv2_group_record r = {0};
		return elb_group_find(&s, n.name, &r) ? tags_of(c, az, &r.tags) : CALL_OK;
	}
	if (n.kind == ELB_TRUST) {
		struct state_elbv2_trust_record r = {0};
		return elb_trust_find(&s, n.name, &r) ? tags_of(c, az, &r.tags) : CALL_OK;
	}
	if (n.kind == ELB_LISTENER) {
		struct state_elbv2_listener_record r = {0};
		return elb_listener_find(&s, n.name, n.listener, &r) ? tags_of(c, az, &r.tags) : CALL_OK;
	}
	struct state_elbv2_rule_record r = {0};
	return elb_rule_find(&s, &n, &r) ? tags_of(c, az, &r.tags) : CALL_OK;
}

static int about_new(struct call *c, struct authz *az, const char *path, struct str name, const struct elbv2_tag_list *tags)
{
	az->resource = arena_printf(c->arena, "arn:aws:elasticloadbalancing:%.*s:%.*s:%s%.*s/*", STR_ARG(c->region),
	                            STR_ARG(c->account), path, STR_ARG(name));
	request_tags(c, az, tags);
	return CALL_OK;
}

/* What tags are put on: the first of the things named; the others are asked for by the same name. */
static int about_tagged(struct call *c, struct authz *az, const struct str_list *arns)
{
	for (uint32_t i = 1; i < arns->n; i++) {
		struct authz other = {.action = az->action};
		if (about_arn(c, &other, arns->v[i]) != CALL_OK || !call_authorize(c, &other))
			return CALL_FAIL;
	}
	return about_arn(c, az, arns->n ? arns->v[0] : STR_NONE);
}

#define ABOUT(name, answer) \
	static int about_##name(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct elbv2_##name##_input *in = input; \
		return answer; \
	}
#define ABOUT_BALANCER(name) ABOUT(name, about_arn(c, az, in->load_balancer_arn))
#define ABOUT_GROUP(name) ABOUT(name, about_arn(c, az, in->target_group_arn))
#define ABOUT_LISTENER(name) ABOUT(name, about_arn(c, az, in->listener_arn))
#define ABOUT_TRUST(name) ABOUT(name, about_arn(c, az, in->trust_store_arn))
#define ABOUT_RULE(name) ABOUT(name, about_arn(c, az, in->rule_arn))
ABOUT_LISTENER(add_listener_certificates)
ABOUT_LISTENER(remove_listener_certificates)
ABOUT_LISTENER(modify_listener)
ABOUT_LISTENER(modify_listener_attributes)
ABOUT_LISTENER(delete_listener)
ABOUT_BALANCER(delete_load_balancer)
ABOUT_BALANCER(modify_load_balancer_attributes)
ABOUT_BALANCER(set_ip_address_type)
ABOUT_BALANCER(set_security_groups)
ABOUT_BALANCER(set_subnets)
ABOUT_GROUP(delete_target_group)
ABOUT_GROUP(modify_target_group)
ABOUT_GROUP(modify_target_group_attributes)
ABOUT_GROUP(register_targets)
ABOUT_GROUP(deregister_targets)
ABOUT_TRUST(add_trust_store_revocations)
ABOUT_TRUST(delete_trust_store)
ABOUT_TRUST(get_trust_store_ca_certificates_bundle)
ABOUT_TRUST(get_trust_store_revocation_content)
ABOUT_TRUST(modify_trust_store)
ABOUT_TRUST(remove_trust_store_revocations)
ABOUT_RULE(delete_rule)
ABOUT_RULE(modify_rule)
ABOUT(remove_tags, about_tagged(c, az, &in->resource_arns))
ABOUT(set_rule_priorities, about_arn(c, az, in->rule_priorities.n ? in->rule_priorities.v[0].rule_arn : STR_NONE))
ABOUT(create_load_balancer,
      about_new(c, az, str_is(in->type, "network") ? "loadbalancer/net/" : "loadbalancer/app/", in->name, &in->tags))
ABOUT(create_trust_store, about_new(c, az, "truststore/", in->name, &in->tags))
ABOUT(create_target_group, about_new(c, az, "targetgroup/", in->name, &in->tags))

static int about_create_listener(struct call *c, const void *input, struct authz *az)
{
	const struct elbv2_create_listener_input *in = input;
	request_tags(c, az, &in->tags);
	return about_arn(c, az, in->load_balancer_arn);
}

static int about_create_rule(struct call *c, const void *input, struct authz *az)
{
	const struct elbv2_create_rule_input *in = input;
	request_tags(c, az, &in->tags);
	return about_arn(c, az, in->listener_arn);
}

static int about_add_tags(struct call *c, const void *input, struct authz *az)
{
	const struct elbv2_add_tags_input *in = input;
	request_tags(c, az, &in->tags);
	return about_tagged(c, az, &in->resource_arns);
}

/* --- the table */

#define ROW(c_name, name, ...) OP(elbv2, c_name, name, ##__VA_ARGS__)
#define READ .flags = OP_READ
static const struct service_op ops[] = {
        ROW(add_listener_certificates, AddListenerCertificates, .resource = about_add_listener_certificates),
        ROW(add_tags, AddTags, .resource = about_add_tags),
        ROW(add_trust_store_revocations, AddTrustStoreRevocations, .resource = about_add_trust_store_revocations),
        ROW(create_listener, CreateListener, .resource = about_create_listener, .missing = "actions that authenticate, QUIC"),
        ROW(create_load_balancer, CreateLoadBalancer, .resource = about_create_load_balancer,
            .missing = "gateway load balancers, prefixes for IPv6 source NAT, IPAM and customer-owned pools"),
        ROW(create_rule, CreateRule, .resource = about_create_rule,
            .missing = "actions that authenticate, transforms in rules that do not forward"),
        ROW(create_target_group, CreateTargetGroup, .resource = about_create_target_group,
            .missing = "targets with IPv6 addresses, GENEVE, QUIC, target control ports"),
        ROW(create_trust_store, CreateTrustStore, .resource = about_create_trust_store),
        ROW(delete_listener, DeleteListener, .resource = about_delete_listener),
        ROW(delete_load_balancer, DeleteLoadBalancer, .resource = about_delete_load_balancer),
        ROW(delete_rule, DeleteRule, .resource = about_delete_rule),
        ROW(delete_shared_trust_store_association, DeleteSharedTrustStoreAssociation,
            .missing = "trust stores that other accounts share"),
        ROW(delete_target_group, DeleteTargetGroup, .resource = about_delete_target_group),
        ROW(delete_trust_store, DeleteTrustStore, .resource = about_delete_trust_store),
        ROW(deregister_targets, DeregisterTargets, .resource = about_deregister_targets),
        ROW(describe_account_limits, DescribeAccountLimits, READ),
        ROW(describe_capacity_reservation, DescribeCapacityReservation, READ),
        ROW(describe_listener_attributes, DescribeListenerAttributes, READ),
        ROW(describe_listener_certificates, DescribeListenerCertificates, READ),
        ROW(describe_listeners, DescribeListeners, READ),
        ROW(describe_load_balancer_attributes, DescribeLoadBalancerAttributes, READ),
        ROW(describe_load_balancers, DescribeLoadBalancers, READ),
        ROW(describe_rules, DescribeRules, READ),
        ROW(describe_ssl_policies, DescribeSSLPolicies, READ, .missing = "policies for FIPS and post-quantum key exchange"),
        ROW(describe_tags, DescribeTags, READ),
        ROW(describe_target_group_attributes, DescribeTargetGroupAttributes, READ),
        ROW(describe_target_groups, DescribeTargetGroups, READ),
        ROW(describe_target_health, DescribeTargetHealth, READ, .missing = "anomaly detection, administrative overrides"),
        ROW(describe_trust_store_associations, DescribeTrustStoreAssociations, READ),
        ROW(describe_trust_store_revocations, DescribeTrustStoreRevocations, READ),
        ROW(describe_trust_stores, DescribeTrustStores, READ),
        ROW(get_trust_store_ca_certificates_bundle, GetTrustStoreCaCertificatesBundle,
            .resource = about_get_trust_store_ca_certificates_bundle, READ),
        ROW(get_trust_store_revocation_content, GetTrustStoreRevocationContent,
            .resource = about_get_trust_store_revocation_content, READ),
        ROW(modify_listener, ModifyListener, .resource = about_modify_listener, .missing = "as CreateListener"),
        ROW(modify_listener_attributes, ModifyListenerAttributes, .resource = about_modify_listener_attributes),
        ROW(modify_load_balancer_attributes, ModifyLoadBalancerAttributes, .resource = about_modify_load_balancer_attributes,
            .missing = "access logs of network load balancers, zonal shifts, WAF, client routing policies"),
        ROW(modify_rule, ModifyRule, .resource = about_modify_rule, .missing = "as CreateRule"),
        ROW(modify_target_group, ModifyTargetGroup, .resource = about_modify_target_group),
        ROW(modify_target_group_attributes, ModifyTargetGroupAttributes, .resource = about_modify_target_group_attributes,
            .missing = "anomaly mitigation, draining of unhealthy targets"),
        ROW(modify_trust_store, ModifyTrustStore, .resource = about_modify_trust_store),
        ROW(register_targets, RegisterTargets, .resource = about_register_targets),
        ROW(remove_listener_certificates, RemoveListenerCertificates, .resource = about_remove_listener_certificates),
        ROW(remove_tags, RemoveTags, .resource = about_remove_tags),
        ROW(remove_trust_store_revocations, RemoveTrustStoreRevocations, .resource = about_remove_trust_store_revocations),
        ROW(set_ip_address_type, SetIpAddressType, .resource = about_set_ip_address_type, .missing = "UDP with dualstack"),
        ROW(set_rule_priorities, SetRulePriorities, .resource = about_set_rule_priorities),
        ROW(set_security_groups, SetSecurityGroups, .resource = about_set_security_groups, .missing = "PrivateLink"),
        ROW(set_subnets, SetSubnets, .resource = about_set_subnets, .missing = "prefixes for IPv6 source NAT"),
};

static int start(struct cloud *cloud, void **ret_state)
{
	*ret_state = elb_desk_new(cloud);
	return 0;
}

static void stop(void *state)
{
	elb_desk_free(state);
}

const struct service elbv2_service = {
        .api = &elbv2_api,
        .iam_prefix = "elasticloadbalancing",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .start = start,
        .stop = stop,
        .intercept = elb_intercept,
};
