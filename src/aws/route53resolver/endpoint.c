/* Endpoints, and the addresses that they have: network interfaces that are lent by EC2, at which the VPC's resolver answers
 * (INBOUND) or from which it asks others (OUTBOUND). */
#include "rows.h"

#include "aws/ec2/ec2.h"

static const struct resolver_field fields[] = {
#define FIELD(name, kind, member) \
	{ \
		name, kind, offsetof(struct route53resolver_resolver_endpoint, member) \
	}
        FIELD("CreatorRequestId", RESOLVER_TEXT, creator_request_id),
        FIELD("Direction", RESOLVER_TEXT, direction),
        FIELD("HostVPCId", RESOLVER_TEXT, host_vpc_id),
        FIELD("IpAddressCount", RESOLVER_NUMBER, ip_address_count),
        FIELD("Name", RESOLVER_TEXT, name),
        FIELD("SecurityGroupIds", RESOLVER_LIST, security_group_ids),
        FIELD("Status", RESOLVER_TEXT, status),
        {0}
#undef FIELD
};

static void keep(struct call *c, struct state_route53resolver_endpoint_record *r)
{
	struct resolver_scope s = resolver_scope(c);
	r->endpoint->ip_address_count = OPT_INT(r->ips.n);
	r->endpoint->modification_time = resolver_time(c->arena, c->now_ms);
	resolver_put(&s, RESOLVER_ENDPOINT, r->endpoint->id, r);
}

void resolver_endpoint_settle(struct state_route53resolver_endpoint_record *r)
{
	for (uint32_t i = 0; i < r->ips.n; i++)
		if (!str_is(r->ips.v[i].address->status, "ATTACHED"))
			return;
	r->endpoint->status = S("OPERATIONAL");
	r->endpoint->status_message = S("This Resolver Endpoint is operational.");
}

/* --- addresses */

/* The subnet's VPC has to be the endpoint's, which the first one decides. */
static int check_subnet(struct call *c, struct str subnet, struct str *vpc)
{
	struct str of = ec2_subnet_vpc(call_txn(c), c->arena, c->account, c->region, subnet);
	if (!str_set(of))
		return resolver_absent(c, "subnet", "Subnet", subnet);
	if (str_set(*vpc) && !str_eq(of, *vpc))
		return resolver_invalid(c, "SubnetId", "All subnets of a Resolver endpoint must be in the same VPC.");
	*vpc = of;
	return CALL_OK;
}

static int check_groups(struct call *c, const struct str_list *groups, struct str vpc)
{
	if (!groups->n)
		return resolver_invalid(c, "SecurityGroupIds", "At least one security group is needed.");
	for (uint32_t i = 0; i < groups->n; i++) {
		struct str of = ec2_group_vpc(c, groups->v[i]);
		if (!str_set(of))
			return resolver_absent(c, "security-group", "Security group", groups->v[i]);
		if (!str_eq(of, vpc))
			return resolver_invalid(c, "SecurityGroupIds", "The security group %.*s is not in the VPC %.*s.",
			                        STR_ARG(groups->v[i]), STR_ARG(vpc));
	}
	return CALL_OK;
}

static int add_address(struct call *c, struct state_route53resolver_endpoint_record *r, struct str subnet, struct str ip)
{
	const struct route53resolver_resolver_endpoint *e = r->endpoint;
	struct state_route53resolver_endpoint_ip *to = LIST_ADD(c->arena, &r->ips);
	struct ec2_lent lent;
	*to = (struct state_route53resolver_endpoint_ip){.address =
	                                                         arena_new(c->arena, struct route53resolver_ip_address_response)};
	struct str id = resolver_make_id(c, "rni-");
	const struct ec2_lend what = {
	        .subnet = subnet,
	        .groups = &e->security_group_ids,
	        .requester = S("route53resolver"),
	        .description = ARENA_CAT(c->arena, S("Route 53 Resolver: "), e->id, S(":"), id),
	        .address = ip.n ? ip : STR_NONE,
	        .door = str_is(e->direction, "INBOUND") ? S("answers") : S("asks"),
	};
	if (ec2_lend_interface(c, &what, &lent) != CALL_OK)
		return resolver_bad(c, "%.*s", STR_ARG(c->error.message));
	to->interface = lent.id;
	*to->address = (struct route53resolver_ip_address_response){.ip_id = id,
	                                                            .subnet_id = subnet,
	                                                            .ip = lent.address,
	                                                            .status = S("CREATING"),
	                                                            .status_message = S("Creating the IP address."),
	                                                            .creation_time = resolver_time(c->arena, c->now_ms),
	                                                            .modification_time = resolver_time(c->arena, c->now_ms)};
	return CALL_OK;
}

static void drop_address(struct call *c, const struct state_route53resolver_endpoint_ip *ip)
{
	ec2_return_interface(call_txn(c), c->arena, c->account, c->region, ip->interface);
}

/* --- endpoints */

/* What other kinds there are of it is refused. */
static int check_kind(struct call *c, struct str type, const struct str_list *protocols)
{
	for (uint32_t i = 0; i < protocols->n; i++)
		if (resolver_only(c, !str_is(protocols->v[i], "Do53"), "Protocols", "A protocol other than Do53") != CALL_OK)
			return CALL_FAIL;
	return resolver_only(c, type.n && !str_is(type, "IPV4"), "ResolverEndpointType", "An endpoint type other than IPV4");
}

static int check_options(struct call *c, struct opt_bool rni_metrics, struct opt_bool target_metrics, struct opt_bool dns64,
                         struct opt_bool internet6)
{
	if (resolver_only(c, rni_metrics.v, "RniEnhancedMetricsEnabled", "RniEnhancedMetricsEnabled") != CALL_OK ||
	    resolver_only(c, target_metrics.v, "TargetNameServerMetricsEnabled", "TargetNameServerMetricsEnabled") != CALL_OK ||
	    resolver_only(c, dns64.v, "Dns64Enabled", "Dns64Enabled") != CALL_OK)
		return CALL_FAIL;
	return resolver_only(c, internet6.v, "Ipv6InternetAccessEnabled", "Ipv6InternetAccessEnabled");
}

static int check_new(struct call *c, const struct route53resolver_create_resolver_endpoint_request *in)
{
	struct resolver_scope s = resolver_scope(c);
	struct resolver_all all = resolver_all(&s, RESOLVER_ENDPOINT);
	struct state_route53resolver_endpoint_record r;
	int64_t count = 0;
	if (resolver_only(c, str_is(in->direction, "INBOUND_DELEGATION"), "Direction", "INBOUND_DELEGATION") != CALL_OK ||
	    resolver_only(c, in->outpost_arn.n, "OutpostArn", "An Outpost") != CALL_OK ||
	    resolver_only(c, in->preferred_instance_type.n, "PreferredInstanceType", "An instance type") != CALL_OK ||
	    check_kind(c, in->resolver_endpoint_type, &in->protocols) != CALL_OK ||
	    check_options(c, in->rni_enhanced_metrics_enabled, in->target_name_server_metrics_enabled, in->dns64_enabled,
	                  in->ipv6_internet_access_enabled) != CALL_OK ||
	    resolver_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (in->ip_addresses.n > RESOLVER_ENDPOINT_IPS_MAX)
		return resolver_limit(c, "ip-address", "IP addresses per Resolver endpoint", RESOLVER_ENDPOINT_IPS_MAX);
	while (resolver_next(&all, &r)) {
		count++;
		if (!str_eq(r.endpoint->creator_request_id, in->creator_request_id))
			continue;
		call_fail(c, "ResourceExistsException", 400, "Resolver endpoint with creator request id %.*s already exists",
		          STR_ARG(in->creator_request_id));
		return call_field(c, "ResourceType", S("resolver-endpoint"));
	}
	return count < RESOLVER_ENDPOINTS_MAX
	               ? CALL_OK
	               : resolver_limit(c, "resolver-endpoint", "Resolver endpoints per Region", RESOLVER_ENDPOINTS_MAX);
}

int route53resolver_create_resolver_endpoint(struct call *c, const struct route53resolver_create_resolver_endpoint_request *in,
                                             struct route53resolver_create_resolver_endpoint_response *out)
{
	struct route53resolver_resolver_endpoint *e = arena_new(c->arena, struct route53resolver_resolver_endpoint);
	struct state_route53resolver_endpoint_record r = {.endpoint = e, .tags = in->tags};
	struct str vpc = STR_NONE;
	if (check_new(c, in) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->ip_addresses.n; i++)
		if (resolver_only(c, in->ip_addresses.v[i].ipv6.n, "Ipv6", "An IPv6 address") != CALL_OK ||
		    check_subnet(c, in->ip_addresses.v[i].subnet_id, &vpc) != CALL_OK)
			return CALL_FAIL;
	if (check_groups(c, &in->security_group_ids, vpc) != CALL_OK)
		return CALL_FAIL;
	*e = (struct route53resolver_resolver_endpoint){
	        .id = resolver_make_id(c, str_is(in->direction, "INBOUND") ? "rslvr-in-" : "rslvr-out-"),
	        .creator_request_id = in->creator_request_id,
	        .name = in->name,
	        .security_group_ids = in->security_group_ids,
	        .direction = in->direction,
	        .host_vpc_id = vpc,
	        .status = S("CREATING"),
	        .status_message = resolver_traced(c, "Creating the Resolver Endpoint"),
	        .creation_time = resolver_time(c->arena, c->now_ms),
	        .resolver_endpoint_type = S("IPV4"),
	};
	e->arn = resolver_arn(c->arena, c->region, c->account, "resolver-endpoint", e->id);
	*LIST_ADD(c->arena, &e->protocols) = S("Do53");
	for (uint32_t i = 0; i < in->ip_addresses.n; i++)
		if (add_address(c, &r, in->ip_addresses.v[i].subnet_id, in->ip_addresses.v[i].ip) != CALL_OK)
			return CALL_FAIL;
	keep(c, &r);
	out->resolver_endpoint = e;
	return CALL_OK;
}

int route53resolver_get_resolver_endpoint(struct call *c, const struct route53resolver_get_resolver_endpoint_request *in,
                                          struct route53resolver_get_resolver_endpoint_response *out)
{
	struct state_route53resolver_endpoint_record r;
	if (resolver_endpoint_get(c, in->resolver_endpoint_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->resolver_endpoint = r.endpoint;
	return CALL_OK;
}

int route53resolver_list_resolver_endpoints(struct call *c, const struct route53resolver_list_resolver_endpoints_request *in,
                                            struct route53resolver_list_resolver_endpoints_response *out)
{
	struct resolver_page p;
	struct state_route53resolver_endpoint_record r;
	if (resolver_filters_check(c, &in->filters, fields) != CALL_OK ||
	    resolver_page_begin(c, &p, RESOLVER_ENDPOINT, in->max_results, in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->resolver_endpoints.set = true;
	out->max_results = OPT_INT(p.limit);
	while (resolver_next(&p.all, &r)) {
		if (!resolver_filters_pass(c->arena, &in->filters, fields, r.endpoint))
			continue;
		if (!resolver_page_add(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->resolver_endpoints) = *r.endpoint;
	}
	return CALL_OK;
}

int route53resolver_update_resolver_endpoint(struct call *c, const struct route53resolver_update_resolver_endpoint_request *in,
                                             struct route53resolver_update_resolver_endpoint_response *out)
{
	struct state_route53resolver_endpoint_record r;
	if (resolver_endpoint_get(c, in->resolver_endpoint_id, &r) != CALL_OK ||
	    resolver_only(c, in->update_ip_addresses.n, "UpdateIpAddresses", "An IPv6 address") != CALL_OK ||
	    check_kind(c, in->resolver_endpoint_type, &in->protocols) != CALL_OK ||
	    check_options(c, in->rni_enhanced_metrics_enabled, in->target_name_server_metrics_enabled, in->dns64_enabled,
	                  in->ipv6_internet_access_enabled) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->name))
		r.endpoint->name = in->name;
	keep(c, &r);
	out->resolver_endpoint = r.endpoint;
	return CALL_OK;
}

/* One that rules lead through stays. */
static bool is_led_through(struct call *c, struct str endpoint)
{
	struct resolver_scope s = resolver_scope(c);
	struct resolver_all all = resolver_all(&s, RESOLVER_RULE);
	struct state_route53resolver_rule_record rule;
	while (resolver_next(&all, &rule))
		if (str_eq(rule.rule->resolver_endpoint_id, endpoint))
			return true;
	return false;
}

int route53resolver_delete_resolver_endpoint(struct call *c, const struct route53resolver_delete_resolver_endpoint_request *in,
                                             struct route53resolver_delete_resolver_endpoint_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_endpoint_record r;
	if (resolver_endpoint_get(c, in->resolver_endpoint_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (is_led_through(c, r.endpoint->id))
		return resolver_bad(c, "Resolver endpoint %.*s is used by Resolver rules. Delete them first.",
		                    STR_ARG(r.endpoint->id));
	for (uint32_t i = 0; i < r.ips.n; i++)
		drop_address(c, &r.ips.v[i]);
	resolver_drop(&s, RESOLVER_ENDPOINT, r.endpoint->id);
	out->resolver_endpoint = r.endpoint;
	out->resolver_endpoint->status = S("DELETING");
	out->resolver_endpoint->status_message = resolver_traced(c, "Deleting the Resolver Endpoint");
	return CALL_OK;
}

/* --- addresses that come and go */

static void say_updating(struct call *c, struct state_route53resolver_endpoint_record *r)
{
	r->endpoint->status = S("UPDATING");
	r->endpoint->status_message = resolver_traced(c, "Updating the Resolver Endpoint");
}

int route53resolver_associate_resolver_endpoint_ip_address(
        struct call *c, const struct route53resolver_associate_resolver_endpoint_ip_address_request *in,
        struct route53resolver_associate_resolver_endpoint_ip_address_response *out)
{
	struct state_route53resolver_endpoint_record r;
	const struct route53resolver_ip_address_update *ip = in->ip_address;
	if (resolver_endpoint_get(c, in->resolver_endpoint_id, &r) != CALL_OK ||
	    resolver_only(c, ip->ipv6.n, "Ipv6", "An IPv6 address") != CALL_OK)
		return CALL_FAIL;
	if (!ip->subnet_id.n)
		return resolver_invalid(c, "SubnetId", "A subnet is needed.");
	for (uint32_t i = 0; ip->ip.n && i < r.ips.n; i++)
		if (str_eq(r.ips.v[i].address->ip, ip->ip)) {
			call_fail(c, "ResourceExistsException", 400, "The Resolver endpoint has the IP address %.*s already.",
			          STR_ARG(ip->ip));
			return call_field(c, "ResourceType", S("ip-address"));
		}
	if (r.ips.n >= RESOLVER_ENDPOINT_IPS_MAX)
		return resolver_limit(c, "ip-address", "IP addresses per Resolver endpoint", RESOLVER_ENDPOINT_IPS_MAX);
	struct str vpc = r.endpoint->host_vpc_id;
	if (check_subnet(c, ip->subnet_id, &vpc) != CALL_OK || add_address(c, &r, ip->subnet_id, ip->ip) != CALL_OK)
		return CALL_FAIL;
	say_updating(c, &r);
	keep(c, &r);
	out->resolver_endpoint = r.endpoint;
	return CALL_OK;
}

int route53resolver_disassociate_resolver_endpoint_ip_address(
        struct call *c, const struct route53resolver_disassociate_resolver_endpoint_ip_address_request *in,
        struct route53resolver_disassociate_resolver_endpoint_ip_address_response *out)
{
	struct state_route53resolver_endpoint_record r;
	const struct route53resolver_ip_address_update *ip = in->ip_address;
	struct state_route53resolver_endpoint_ips left = {.set = true};
	if (resolver_endpoint_get(c, in->resolver_endpoint_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!ip->ip_id.n && !ip->ip.n)
		return resolver_invalid(c, "IpAddress", "An IpId or an Ip is needed.");
	const struct state_route53resolver_endpoint_ip *gone = NULL;
	for (uint32_t i = 0; i < r.ips.n; i++) {
		const struct route53resolver_ip_address_response *a = r.ips.v[i].address;
		if ((!ip->ip_id.n || str_eq(a->ip_id, ip->ip_id)) && (!ip->ip.n || str_eq(a->ip, ip->ip)) &&
		    (!ip->subnet_id.n || str_eq(a->subnet_id, ip->subnet_id)))
			gone = &r.ips.v[i];
		else
			*LIST_ADD(c->arena, &left) = r.ips.v[i];
	}
	if (!gone)
		return resolver_absent(c, "ip-address", "IP address", ip->ip_id.n ? ip->ip_id : ip->ip);
	if (left.n < RESOLVER_ENDPOINT_IPS_MIN)
		return resolver_bad(c, "[RSLVR-00400] Resolver endpoint need to have at least 2 IP addresses.");
	drop_address(c, gone);
	r.ips = left;
	resolver_endpoint_settle(&r);
	keep(c, &r);
	out->resolver_endpoint = r.endpoint;
	say_updating(c, &r);
	return CALL_OK;
}

int route53resolver_list_resolver_endpoint_ip_addresses(
        struct call *c, const struct route53resolver_list_resolver_endpoint_ip_addresses_request *in,
        struct route53resolver_list_resolver_endpoint_ip_addresses_response *out)
{
	struct state_route53resolver_endpoint_record r;
	uint64_t from = 0;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 100;
	if (resolver_endpoint_get(c, in->resolver_endpoint_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->next_token.n && !str_to_u64(in->next_token, &from))
		return call_fail(c, "InvalidNextTokenException", 400, "The NextToken is not valid.");
	out->ip_addresses.set = true;
	out->max_results = OPT_INT(limit);
	for (uint64_t i = from; i < r.ips.n; i++) {
		if (out->ip_addresses.n == limit) {
			out->next_token = arena_printf(c->arena, "%llu", (unsigned long long)i);
			break;
		}
		*LIST_ADD(c->arena, &out->ip_addresses) = *r.ips.v[i].address;
	}
	return CALL_OK;
}
