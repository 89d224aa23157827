/* The operations on VPC endpoints. Which route tables lead to an endpoint is written in the tables alone. */
#include "aws/ec2/network/endpoint.h"

#include "aws/ec2/network/vpc.h"
#include "core/policy.h"

enum { ENDPOINTS_MAX = 20 };

#define FULL_ACCESS \
	"{\"Version\":\"2008-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}]}"

const struct ec2_kind ec2_kind_endpoint = {
        .prefix = "vpce",
        .type = "vpc-endpoint",
        .noun = "Vpc Endpoint Id",
        .ids = "vpcEndpointIds",
        .not_found = "InvalidVpcEndpointId.NotFound",
        .malformed = "InvalidVpcEndpointId.Malformed",
        .tags_at = offsetof(struct ec2_vpc_endpoint, tags),
        .row = {&ec2_api, "VpcEndpoint"},
        .size = sizeof(struct ec2_vpc_endpoint),
};

bool ec2_is_service_list(struct str prefix_list)
{
	return str_is(prefix_list, EC2_SERVICE_LIST);
}

bool ec2_vpc_has_endpoint(const struct ec2_scope *s, struct str vpc)
{
	struct ec2_vpc_endpoint e;
	struct ec2_all all = ec2_all(s, &ec2_kind_endpoint);
	while (ec2_next(&all, &e))
		if (str_eq(e.vpc_id, vpc))
			return true;
	return false;
}

static struct str service_name(struct call *c)
{
	return ARENA_CAT(c->arena, S("com.amazonaws."), c->region, S(".s3"));
}

/* --- route tables */

static struct ec2_route *endpoint_route(const struct ec2_route_table *table)
{
	for (uint32_t i = 0; i < table->routes.n; i++)
		if (ec2_is_service_list(table->routes.v[i].destination_prefix_list_id))
			return &table->routes.v[i];
	return NULL;
}

static int lead_there(struct call *c, const struct ec2_vpc_endpoint *e, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	if (!ec2_id_well_formed(id, "rtb"))
		return ec2_malformed(c, &ec2_kind_route_table, id);
	if (!ec2_find(&s, &ec2_kind_route_table, id, &table))
		return call_fail(c, "InvalidRouteTableId.NotFound", 400, "The routeTable ID '%.*s' does not exist", STR_ARG(id));
	if (!str_eq(table.vpc_id, e->vpc_id))
		return ec2_invalid(c, "Route table %.*s does not belong to VPC %.*s", STR_ARG(id), STR_ARG(e->vpc_id));
	const struct ec2_route *had = endpoint_route(&table);
	if (had && str_eq(had->gateway_id, e->vpc_endpoint_id))
		return CALL_OK;
	if (had)
		return call_fail(c, "RouteAlreadyExists", 400,
		                 "route table %.*s already has a route with destination-prefix-list-id " EC2_SERVICE_LIST,
		                 STR_ARG(id));
	*LIST_ADD(c->arena, &table.routes) = (struct ec2_route){.destination_prefix_list_id = S(EC2_SERVICE_LIST),
	                                                        .gateway_id = e->vpc_endpoint_id,
	                                                        .origin = S("CreateRoute"),
	                                                        .state = S("active")};
	ec2_put(&s, &ec2_kind_route_table, id, &table);
	return CALL_OK;
}

static void remove_route(const struct ec2_scope *s, struct ec2_route_table *table)
{
	struct ec2_route *r = endpoint_route(table);
	memmove(r, r + 1, (table->routes.n - (size_t)(r - table->routes.v) - 1) * sizeof(*r));
	table->routes.n--;
	ec2_put(s, &ec2_kind_route_table, table->route_table_id, table);
}

static bool leads_there(const struct ec2_route_table *table, struct str endpoint)
{
	const struct ec2_route *r = endpoint_route(table);
	return r && str_eq(r->gateway_id, endpoint);
}

static void fill_tables(const struct ec2_scope *s, struct ec2_vpc_endpoint *e)
{
	struct ec2_route_table table;
	struct ec2_all all = ec2_all(s, &ec2_kind_route_table);
	e->route_table_ids = (struct str_list){.set = true};
	while (ec2_next(&all, &table))
		if (leads_there(&table, e->vpc_endpoint_id))
			*LIST_ADD(s->arena, &e->route_table_ids) = table.route_table_id;
}

/* --- create and modify */

static int take_policy(struct call *c, struct str policy, struct ec2_vpc_endpoint *e)
{
	struct str message = STR_NONE;
	struct policy *p = policy_parse(policy, POLICY_RESOURCE, S("VPC endpoint policy"), c->arena, &message);
	if (!p)
		return call_fail(c, "InvalidPolicyDocument", 400, "%.*s", STR_ARG(message));
	policy_free(p);
	e->policy_document = policy;
	return CALL_OK;
}

static int check_service(struct call *c, const struct ec2_create_vpc_endpoint_request *in)
{
	if (str_set(in->service_network_arn) || str_set(in->resource_configuration_arn))
		return ec2_unsupported(c, "An endpoint of VPC Lattice");
	if (str_set(in->vpc_endpoint_type) && !str_is(in->vpc_endpoint_type, "Gateway"))
		return call_fail(c, "UnsupportedOperation", 400,
		                 "VPC endpoints of type %.*s are not supported: the one type here is Gateway.",
		                 STR_ARG(in->vpc_endpoint_type));
	if (str_set(in->service_region) && !str_eq(in->service_region, c->region))
		return ec2_unsupported(c, "An endpoint to a service of another region");
	if (!in->service_name.n)
		return ec2_missing(c, "ServiceName");
	if (!str_eq(in->service_name, service_name(c)))
		return call_fail(c, "InvalidServiceName", 400, "The Vpc Endpoint Service '%.*s' does not exist",
		                 STR_ARG(in->service_name));
	if (in->subnet_ids.n || in->security_group_ids.n || in->subnet_configurations.n || in->private_dns_enabled.v)
		return call_fail(c, "InvalidParameter", 400,
		                 "Subnets, security groups and private DNS names are not supported for endpoints of type Gateway.");
	return CALL_OK;
}

int ec2_create_vpc_endpoint(struct call *c, const struct ec2_create_vpc_endpoint_request *in,
                            struct ec2_create_vpc_endpoint_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_vpc_endpoint other, *e = arena_new(c->arena, struct ec2_vpc_endpoint);
	unsigned n = 0;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK || check_service(c, in) != CALL_OK ||
	    take_policy(c, in->policy_document.n ? in->policy_document : S(FULL_ACCESS), e) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_endpoint, &e->tags) != CALL_OK)
		return CALL_FAIL;
	struct ec2_all all = ec2_all(&s, &ec2_kind_endpoint);
	while (ec2_next(&all, &other))
		n++;
	if (n >= ENDPOINTS_MAX)
		return call_fail(c, "VpcEndpointLimitExceeded", 400, "The maximum number of VPC endpoints has been reached.");
	e->vpc_endpoint_id = ec2_new_id(c->arena, "vpce");
	e->vpc_endpoint_type = S("Gateway");
	e->vpc_id = in->vpc_id;
	e->service_name = in->service_name;
	e->service_region = c->region;
	e->state = S("available");
	e->private_dns_enabled = e->requester_managed = OPT_BOOL(false);
	e->creation_timestamp = OPT_TIME(c->now_ms);
	e->owner_id = c->account;
	e->subnet_ids.set = e->groups.set = e->network_interface_ids.set = e->dns_entries.set = e->tags.set = true;
	for (uint32_t i = 0; i < in->route_table_ids.n; i++)
		if (lead_there(c, e, in->route_table_ids.v[i]) != CALL_OK)
			return CALL_FAIL;
	ec2_put(&s, &ec2_kind_endpoint, e->vpc_endpoint_id, e);
	fill_tables(&s, e);
	out->vpc_endpoint = e;
	out->client_token = in->client_token;
	return CALL_OK;
}

int ec2_modify_vpc_endpoint(struct call *c, const struct ec2_modify_vpc_endpoint_request *in,
                            struct ec2_modify_vpc_endpoint_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_vpc_endpoint e;
	struct ec2_route_table table;
	if (ec2_get(c, &ec2_kind_endpoint, in->vpc_endpoint_id, &e) != CALL_OK)
		return CALL_FAIL;
	if (in->add_subnet_ids.n || in->remove_subnet_ids.n || in->add_security_group_ids.n || in->remove_security_group_ids.n ||
	    in->private_dns_enabled.set || in->dns_options || in->subnet_configurations.n || str_set(in->ip_address_type))
		return call_fail(c, "InvalidParameter", 400,
		                 "Subnets, security groups and DNS options are not supported for endpoints of type Gateway.");
	if (in->reset_policy.v && str_set(in->policy_document))
		return ec2_combination(c, "Only one of resetPolicy and policyDocument can be given");
	if (in->reset_policy.v)
		e.policy_document = S(FULL_ACCESS);
	if (in->policy_document.n && take_policy(c, in->policy_document, &e) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->remove_route_table_ids.n; i++) {
		struct str id = in->remove_route_table_ids.v[i];
		if (ec2_get(c, &ec2_kind_route_table, id, &table) != CALL_OK)
			return CALL_FAIL;
		if (!leads_there(&table, e.vpc_endpoint_id))
			return ec2_invalid(c, "Route table %.*s is not associated with %.*s", STR_ARG(id),
			                   STR_ARG(e.vpc_endpoint_id));
		remove_route(&s, &table);
	}
	for (uint32_t i = 0; i < in->add_route_table_ids.n; i++)
		if (lead_there(c, &e, in->add_route_table_ids.v[i]) != CALL_OK)
			return CALL_FAIL;
	ec2_put(&s, &ec2_kind_endpoint, e.vpc_endpoint_id, &e);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_delete_vpc_endpoints(struct call *c, const struct ec2_delete_vpc_endpoints_request *in,
                             struct ec2_delete_vpc_endpoints_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_vpc_endpoint e;
	struct ec2_route_table table;
	for (uint32_t i = 0; i < in->vpc_endpoint_ids.n; i++)
		if (!ec2_id_well_formed(in->vpc_endpoint_ids.v[i], "vpce"))
			return ec2_malformed(c, &ec2_kind_endpoint, in->vpc_endpoint_ids.v[i]);
	out->unsuccessful.set = true;
	for (uint32_t i = 0; i < in->vpc_endpoint_ids.n; i++) {
		struct str id = in->vpc_endpoint_ids.v[i];
		if (!ec2_find(&s, &ec2_kind_endpoint, id, &e)) {
			struct ec2_unsuccessful_item *u = LIST_ADD(c->arena, &out->unsuccessful);
			u->resource_id = id;
			u->error = arena_new(c->arena, struct ec2_unsuccessful_item_error);
			u->error->code = str_from(ec2_kind_endpoint.not_found);
			u->error->message = ARENA_CAT(c->arena, S("The Vpc Endpoint Id '"), id, S("' does not exist"));
			continue;
		}
		struct ec2_all all = ec2_all(&s, &ec2_kind_route_table);
		while (ec2_next(&all, &table))
			if (leads_there(&table, id))
				remove_route(&s, &table);
		ec2_drop(&s, &ec2_kind_endpoint, id);
	}
	return CALL_OK;
}

/* --- describe */

/* The service's region is the endpoint's. */
static void regions(struct call *c, void *record, struct str_list *ret)
{
	(void)record;
	*LIST_ADD(c->arena, ret) = c->region;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("ip-address-type", ec2_vpc_endpoint, ip_address_type),
        FIELD_TEXT("service-name", ec2_vpc_endpoint, service_name),
        FIELD_ASK("service-region", regions),
        FIELD_TEXT("vpc-endpoint-id", ec2_vpc_endpoint, vpc_endpoint_id),
        FIELD_TEXT("vpc-endpoint-state", ec2_vpc_endpoint, state),
        FIELD_TEXT("vpc-endpoint-type", ec2_vpc_endpoint, vpc_endpoint_type),
        FIELD_TEXT("vpc-id", ec2_vpc_endpoint, vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_vpc_endpoint *e = record;
	fill_tables(&s, e);
	e->tags.set = true;
	*LIST_ADD(c->arena, &((struct ec2_describe_vpc_endpoints_result *)out)->vpc_endpoints) = *e;
}

int ec2_describe_vpc_endpoints(struct call *c, const struct ec2_describe_vpc_endpoints_request *in,
                               struct ec2_describe_vpc_endpoints_result *out)
{
	out->vpc_endpoints.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_endpoint,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->vpc_endpoint_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .min = 1},
	                    out, &out->next_token);
}

/* The one service that there is, and its list. */
static const struct ec2_kind kind_of_none = {.prefix = NULL};

static void owners(struct call *c, void *record, struct str_list *ret)
{
	(void)record;
	*LIST_ADD(c->arena, ret) = S("amazon");
}

static void types(struct call *c, void *record, struct str_list *ret)
{
	(void)record;
	*LIST_ADD(c->arena, ret) = S("Gateway");
}

static void families(struct call *c, void *record, struct str_list *ret)
{
	(void)record;
	*LIST_ADD(c->arena, ret) = S("ipv4");
}

static const struct ec2_field service_fields[] = {
        FIELD_ASK("owner", owners),
        FIELD_TEXT("service-name", ec2_service_detail, service_name),
        FIELD_ASK("service-region", regions),
        FIELD_ASK("service-type", types),
        FIELD_ASK("supported-ip-address-types", families),
        {0},
};

static bool named(const struct str_list *ids, struct str id)
{
	bool found = ids->n == 0;
	for (uint32_t i = 0; i < ids->n; i++)
		found |= str_eq(ids->v[i], id);
	return found;
}

int ec2_describe_vpc_endpoint_services(struct call *c, const struct ec2_describe_vpc_endpoint_services_request *in,
                                       struct ec2_describe_vpc_endpoint_services_result *out)
{
	struct ec2_service_detail s = {
	        .service_name = service_name(c), .service_id = S("vpce-svc-0a1b2c3d4e5f60718"), .owner = S("amazon")};
	struct str after;
	if (ec2_filters_check(c, service_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->service_names.n; i++)
		if (!str_eq(in->service_names.v[i], s.service_name))
			return call_fail(c, "InvalidServiceName", 400, "The Vpc Endpoint Service '%.*s' does not exist",
			                 STR_ARG(in->service_names.v[i]));
	out->service_names.set = out->service_details.set = true;
	if (!ec2_filters_pass(c, &kind_of_none, &s, service_fields, &in->filters) || !named(&in->service_regions, c->region))
		return CALL_OK;
	LIST_ADD(c->arena, &s.service_type)->service_type = S("Gateway");
	s.service_region = c->region;
	*LIST_ADD(c->arena, &s.base_endpoint_dns_names) = ARENA_CAT(c->arena, S("s3."), c->region, S(".amazonaws.com"));
	for (unsigned i = 0; i < EC2_ZONES; i++) {
		*LIST_ADD(c->arena, &s.availability_zones) = ec2_zone_name(c->arena, c->region, i);
		*LIST_ADD(c->arena, &s.availability_zone_ids) = ec2_zone_id(c->arena, c->region, i);
	}
	*LIST_ADD(c->arena, &s.supported_ip_address_types) = S("ipv4");
	s.vpc_endpoint_policy_supported = OPT_BOOL(true);
	s.acceptance_required = s.manages_vpc_endpoints = OPT_BOOL(false);
	s.tags.set = true;
	*LIST_ADD(c->arena, &out->service_names) = s.service_name;
	*LIST_ADD(c->arena, &out->service_details) = s;
	return CALL_OK;
}

static const struct ec2_field list_fields[] = {
        FIELD_TEXT("prefix-list-id", ec2_prefix_list, prefix_list_id),
        FIELD_TEXT("prefix-list-name", ec2_prefix_list, prefix_list_name),
        {0},
};

int ec2_describe_prefix_lists(struct call *c, const struct ec2_describe_prefix_lists_request *in,
                              struct ec2_describe_prefix_lists_result *out)
{
	struct ec2_prefix_list l = {.prefix_list_id = S(EC2_SERVICE_LIST), .prefix_list_name = service_name(c)};
	struct str after;
	*LIST_ADD(c->arena, &l.cidrs) = S(EC2_SERVICE_BLOCK);
	if (ec2_filters_check(c, list_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->prefix_list_ids.n; i++)
		if (!ec2_is_service_list(in->prefix_list_ids.v[i]))
			return ec2_not_found(c, &ec2_kind_prefix_list, &(struct str_list){.v = &in->prefix_list_ids.v[i], .n = 1});
	out->prefix_lists.set = true;
	if (ec2_filters_pass(c, &kind_of_none, &l, list_fields, &in->filters))
		*LIST_ADD(c->arena, &out->prefix_lists) = l;
	return CALL_OK;
}
