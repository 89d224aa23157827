/* GetAccountLimit, GetHostedZoneLimit: the limits that are enforced here, and what of them is used. */
#include "rows.h"

int route53_get_account_limit(struct call *c, const struct route53_get_account_limit_request *in,
                              struct route53_get_account_limit_response *out)
{
	static const struct {
		const char *type;
		int64_t most;
	} limits[] = {{"MAX_HOSTED_ZONES_BY_OWNER", ROUTE53_ZONES_MAX},
	              {"MAX_HEALTH_CHECKS_BY_OWNER", ROUTE53_CHECKS_MAX},
	              {"MAX_REUSABLE_DELEGATION_SETS_BY_OWNER", ROUTE53_DELEGATIONS_MAX},
	              {"MAX_TRAFFIC_POLICIES_BY_OWNER", 0},
	              {"MAX_TRAFFIC_POLICY_INSTANCES_BY_OWNER", 0}};
	out->limit = arena_new(c->arena, struct route53_account_limit);
	out->limit->type = in->type;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		if (str_is(in->type, limits[i].type))
			out->limit->value = OPT_INT(limits[i].most);
	out->count = OPT_INT(str_is(in->type, "MAX_HOSTED_ZONES_BY_OWNER")               ? route53_zone_count(c)
	                     : str_is(in->type, "MAX_HEALTH_CHECKS_BY_OWNER")            ? route53_check_count(c)
	                     : str_is(in->type, "MAX_REUSABLE_DELEGATION_SETS_BY_OWNER") ? route53_delegation_count(c)
	                                                                                 : 0);
	return CALL_OK;
}

int route53_get_hosted_zone_limit(struct call *c, const struct route53_get_hosted_zone_limit_request *in,
                                  struct route53_get_hosted_zone_limit_response *out)
{
	struct state_route53_zone_record r;
	if (route53_zone_get(c, in->hosted_zone_id, &r) != CALL_OK)
		return CALL_FAIL;
	bool sets = str_is(in->type, "MAX_RRSETS_BY_ZONE");
	if (!sets && !r.zone->config->private_zone.v)
		return call_fail(c, "HostedZoneNotPrivate", 400,
		                 "The specified hosted zone is a public hosted zone, not a private hosted zone.");
	out->limit = arena_new(c->arena, struct route53_hosted_zone_limit);
	*out->limit = (struct route53_hosted_zone_limit){in->type, OPT_INT(sets ? ROUTE53_SETS_MAX : ROUTE53_VPCS_MAX)};
	out->count = OPT_INT(sets ? r.zone->resource_record_set_count.v : r.vpcs.n);
	return CALL_OK;
}
