#include "rows.h"

#include <stdlib.h>

/* --- what permissions are about */

static int about_zone(struct call *c, struct authz *az, struct str id)
{
	struct state_route53_zone_record r;
	struct str_map tags = {0};
	az->resource = ARENA_CAT(c->arena, S("arn:aws:route53:::hostedzone/"), route53_id(id));
	if (!route53_zone_find(c, id, &r))
		return CALL_OK;
	for (uint32_t i = 0; i < r.tags.n; i++)
		*LIST_ADD(c->arena, &tags) = (struct str_map_entry){r.tags.v[i].key, r.tags.v[i].value};
	authz_add_tags(c, az, "aws:ResourceTag", &tags);
	return CALL_OK;
}

static int about_change(struct call *c, struct authz *az, struct str id)
{
	az->resource = ARENA_CAT(c->arena, S("arn:aws:route53:::change/"), route53_id(id));
	return CALL_OK;
}

static int about_tagged(struct call *c, struct authz *az, struct str type, struct str id)
{
	struct state_route53_check_record r;
	struct str_map tags = {0};
	if (!str_is(type, "healthcheck"))
		return about_zone(c, az, id);
	az->resource = ARENA_CAT(c->arena, S("arn:aws:route53:::healthcheck/"), id);
	if (!route53_check_find(c, id, &r))
		return CALL_OK;
	for (uint32_t i = 0; i < r.tags.n; i++)
		*LIST_ADD(c->arena, &tags) = (struct str_map_entry){r.tags.v[i].key, r.tags.v[i].value};
	authz_add_tags(c, az, "aws:ResourceTag", &tags);
	return CALL_OK;
}

static int about_check(struct call *c, struct authz *az, struct str id)
{
	return about_tagged(c, az, S("healthcheck"), id);
}

static int about_collection(struct call *c, struct authz *az, struct str id)
{
	az->resource = ARENA_CAT(c->arena, S("arn:aws:route53:::cidrcollection/"), id);
	return CALL_OK;
}

static int about_logging(struct call *c, struct authz *az, struct str id)
{
	az->resource = ARENA_CAT(c->arena, S("arn:aws:route53:::queryloggingconfig/"), id);
	return CALL_OK;
}

static int about_delegation(struct call *c, struct authz *az, struct str id)
{
	az->resource = ARENA_CAT(c->arena, S("arn:aws:route53:::delegationset/"), route53_id(id));
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct route53_##type##_request *in = input; \
		return answer; \
	}
ABOUT(associate_vpc_with_hosted_zone, about_zone(c, az, in->hosted_zone_id))
ABOUT(change_tags_for_resource, about_tagged(c, az, in->resource_type, in->resource_id))
ABOUT(delete_hosted_zone, about_zone(c, az, in->id))
ABOUT(disassociate_vpc_from_hosted_zone, about_zone(c, az, in->hosted_zone_id))
ABOUT(change_cidr_collection, about_collection(c, az, in->id))
ABOUT(delete_cidr_collection, about_collection(c, az, in->id))
ABOUT(list_cidr_blocks, about_collection(c, az, in->collection_id))
ABOUT(list_cidr_locations, about_collection(c, az, in->collection_id))
ABOUT(create_query_logging_config, about_zone(c, az, in->hosted_zone_id))
ABOUT(delete_query_logging_config, about_logging(c, az, in->id))
ABOUT(get_query_logging_config, about_logging(c, az, in->id))
ABOUT(delete_reusable_delegation_set, about_delegation(c, az, in->id))
ABOUT(get_reusable_delegation_set, about_delegation(c, az, in->id))
ABOUT(get_reusable_delegation_set_limit, about_delegation(c, az, in->delegation_set_id))
ABOUT(get_dnssec, about_zone(c, az, in->hosted_zone_id))
ABOUT(delete_health_check, about_check(c, az, in->health_check_id))
ABOUT(get_health_check, about_check(c, az, in->health_check_id))
ABOUT(get_health_check_last_failure_reason, about_check(c, az, in->health_check_id))
ABOUT(get_health_check_status, about_check(c, az, in->health_check_id))
ABOUT(update_health_check, about_check(c, az, in->health_check_id))
ABOUT(get_change, about_change(c, az, in->id))
ABOUT(get_hosted_zone, about_zone(c, az, in->id))
ABOUT(get_hosted_zone_limit, about_zone(c, az, in->hosted_zone_id))
ABOUT(list_resource_record_sets, about_zone(c, az, in->hosted_zone_id))
ABOUT(list_tags_for_resource, about_tagged(c, az, in->resource_type, in->resource_id))
ABOUT(update_hosted_zone_comment, about_zone(c, az, in->id))

static int about_change_resource_record_sets(struct call *c, const void *input, struct authz *az)
{
	const struct route53_change_resource_record_sets_request *in = input;
	const struct route53_changes *changes = &in->change_batch->changes;
	for (uint32_t i = 0; i < changes->n; i++) {
		authz_add(c, az, "route53:ChangeResourceRecordSetsNormalizedRecordNames",
		          route53_normal_name(c->arena, changes->v[i].resource_record_set->name));
		authz_add(c, az, "route53:ChangeResourceRecordSetsRecordTypes", changes->v[i].resource_record_set->type);
		authz_add(c, az, "route53:ChangeResourceRecordSetsActions", changes->v[i].action);
	}
	return about_zone(c, az, in->hosted_zone_id);
}

/* --- the table */

#define ROW(c_name, name, ...) OP(route53, c_name, name, ##__VA_ARGS__)
static const struct service_op ops[] = {
        ROW(associate_vpc_with_hosted_zone, AssociateVPCWithHostedZone, .resource = about_associate_vpc_with_hosted_zone,
            .missing = "VPCs of other accounts"),
        ROW(change_cidr_collection, ChangeCidrCollection, .resource = about_change_cidr_collection),
        ROW(change_resource_record_sets, ChangeResourceRecordSets, .resource = about_change_resource_record_sets,
            .missing = "aliases of what is no record of the zone but load balancers, traffic policies"),
        ROW(change_tags_for_resource, ChangeTagsForResource, .resource = about_change_tags_for_resource),
        ROW(create_cidr_collection, CreateCidrCollection),
        ROW(create_health_check, CreateHealthCheck, .missing = "IPv6, several checkers"),
        ROW(create_hosted_zone, CreateHostedZone, .missing = "VPCs of other accounts"),
        ROW(create_query_logging_config, CreateQueryLoggingConfig, .resource = about_create_query_logging_config),
        ROW(create_reusable_delegation_set, CreateReusableDelegationSet),
        ROW(delete_cidr_collection, DeleteCidrCollection, .resource = about_delete_cidr_collection),
        ROW(delete_health_check, DeleteHealthCheck, .resource = about_delete_health_check),
        ROW(delete_hosted_zone, DeleteHostedZone, .resource = about_delete_hosted_zone),
        ROW(delete_query_logging_config, DeleteQueryLoggingConfig, .resource = about_delete_query_logging_config),
        ROW(delete_reusable_delegation_set, DeleteReusableDelegationSet, .resource = about_delete_reusable_delegation_set),
        ROW(disassociate_vpc_from_hosted_zone, DisassociateVPCFromHostedZone, .resource = about_disassociate_vpc_from_hosted_zone),
        ROW(get_account_limit, GetAccountLimit, .flags = OP_READ),
        ROW(get_change, GetChange, .resource = about_get_change, .flags = OP_READ),
        ROW(get_checker_ip_ranges, GetCheckerIpRanges, .flags = OP_READ),
        ROW(get_dnssec, GetDNSSEC, .resource = about_get_dnssec, .flags = OP_READ),
        ROW(get_geo_location, GetGeoLocation, .flags = OP_OPEN | OP_READ),
        ROW(get_health_check, GetHealthCheck, .resource = about_get_health_check, .flags = OP_READ),
        ROW(get_health_check_count, GetHealthCheckCount, .flags = OP_READ),
        ROW(get_health_check_last_failure_reason, GetHealthCheckLastFailureReason,
            .resource = about_get_health_check_last_failure_reason, .flags = OP_READ),
        ROW(get_health_check_status, GetHealthCheckStatus, .resource = about_get_health_check_status, .flags = OP_READ),
        ROW(get_hosted_zone, GetHostedZone, .resource = about_get_hosted_zone, .flags = OP_READ),
        ROW(get_hosted_zone_count, GetHostedZoneCount, .flags = OP_READ),
        ROW(get_hosted_zone_limit, GetHostedZoneLimit, .resource = about_get_hosted_zone_limit, .flags = OP_READ),
        ROW(get_query_logging_config, GetQueryLoggingConfig, .resource = about_get_query_logging_config, .flags = OP_READ),
        ROW(get_reusable_delegation_set, GetReusableDelegationSet, .resource = about_get_reusable_delegation_set, .flags = OP_READ),
        ROW(get_reusable_delegation_set_limit, GetReusableDelegationSetLimit, .resource = about_get_reusable_delegation_set_limit,
            .flags = OP_READ),
        ROW(list_cidr_blocks, ListCidrBlocks, .resource = about_list_cidr_blocks, .flags = OP_READ),
        ROW(list_cidr_collections, ListCidrCollections, .flags = OP_READ),
        ROW(list_cidr_locations, ListCidrLocations, .resource = about_list_cidr_locations, .flags = OP_READ),
        ROW(list_geo_locations, ListGeoLocations, .flags = OP_OPEN | OP_READ),
        ROW(list_health_checks, ListHealthChecks, .flags = OP_READ),
        ROW(list_hosted_zones, ListHostedZones, .flags = OP_READ),
        ROW(list_hosted_zones_by_name, ListHostedZonesByName, .flags = OP_READ),
        ROW(list_hosted_zones_by_vpc, ListHostedZonesByVPC, .flags = OP_READ),
        ROW(list_query_logging_configs, ListQueryLoggingConfigs, .flags = OP_READ),
        ROW(list_resource_record_sets, ListResourceRecordSets, .resource = about_list_resource_record_sets, .flags = OP_READ),
        ROW(list_reusable_delegation_sets, ListReusableDelegationSets, .flags = OP_READ),
        ROW(list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        ROW(list_tags_for_resources, ListTagsForResources, .flags = OP_READ),
        ROW(test_dns_answer, TestDNSAnswer, .flags = OP_READ),
        ROW(update_health_check, UpdateHealthCheck, .resource = about_update_health_check),
        ROW(update_hosted_zone_comment, UpdateHostedZoneComment, .resource = about_update_hosted_zone_comment),
};

static int route53_start(struct cloud *cloud, void **ret_state)
{
	struct route53_state *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->cloud = cloud;
	*ret_state = s;
	return route53_index_open(s);
}

static void route53_stop(void *state)
{
	if (state)
		route53_index_close(state);
	free(state);
}

const struct service route53_service = {
        .api = &route53_api,
        .iam_prefix = "route53",
        .region = ROUTE53_REGION,
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .start = route53_start,
        .stop = route53_stop,
};
