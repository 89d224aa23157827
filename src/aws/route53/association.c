/* VPCs that a private zone answers in: AssociateVPCWithHostedZone, DisassociateVPCFromHostedZone. */
#include "rows.h"

#include "aws/ec2/ec2.h"

bool route53_vpc_in(const struct route53_vpcs *vpcs, struct str id, struct str region)
{
	for (uint32_t i = 0; i < vpcs->n; i++)
		if (str_eq(vpcs->v[i].vpc_id, id) && (!str_set(region) || str_eq(vpcs->v[i].vpc_region, region)))
			return true;
	return false;
}

int route53_vpc_check(struct call *c, const struct route53_vpc *vpc, struct str name, struct str zone)
{
	struct str under = route53_zones_under(c), key;
	struct store_value v;
	if (!vpc->vpc_id.n || !vpc->vpc_region.n)
		return route53_invalid(c, "Both VPCId and VPCRegion must be specified");
	if (!ec2_vpc_of(c, vpc->vpc_region, vpc->vpc_id))
		return call_fail(c, "InvalidVPCId", 400, "The VPC: %.*s you provided is not authorized to make the association.",
		                 STR_ARG(vpc->vpc_id));
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct state_route53_zone_record r;
		if (!route53_zone_read(c->arena, v.value, &r) || !str_eq(r.zone->name, name) || str_eq(route53_zone_id(&r), zone) ||
		    !route53_vpc_in(&r.vpcs, vpc->vpc_id, vpc->vpc_region))
			continue;
		struct str id = route53_zone_id(&r);
		return call_fail(
		        c, "ConflictingDomainExists", 400,
		        "The VPC %.*s in region %.*s has already been associated with the hosted zone %.*s with the same domain name.",
		        STR_ARG(vpc->vpc_id), STR_ARG(vpc->vpc_region), STR_ARG(id));
	}
	return CALL_OK;
}

static int get_private(struct call *c, struct str id, struct state_route53_zone_record *ret)
{
	if (route53_zone_get(c, id, ret) != CALL_OK)
		return CALL_FAIL;
	return ret->zone->config->private_zone.v
	               ? CALL_OK
	               : call_fail(c, "PublicZoneVPCAssociation", 400,
	                           "You're trying to associate a VPC with a public hosted zone. Amazon Route 53 "
	                           "doesn't support associating a VPC with a public hosted zone.");
}

int route53_associate_vpc_with_hosted_zone(struct call *c, const struct route53_associate_vpc_with_hosted_zone_request *in,
                                           struct route53_associate_vpc_with_hosted_zone_response *out)
{
	struct state_route53_zone_record r;
	if (get_private(c, in->hosted_zone_id, &r) != CALL_OK ||
	    route53_vpc_check(c, in->vpc, r.zone->name, route53_zone_id(&r)) != CALL_OK)
		return CALL_FAIL;
	if (!route53_vpc_in(&r.vpcs, in->vpc->vpc_id, in->vpc->vpc_region)) {
		if (r.vpcs.n >= ROUTE53_VPCS_MAX)
			return call_fail(c, "LimitsExceeded", 400, "A private hosted zone can be associated with at most %d VPCs.",
			                 ROUTE53_VPCS_MAX);
		*LIST_ADD(c->arena, &r.vpcs) = *in->vpc;
		route53_zone_put(c, &r);
	}
	out->change_info = route53_changed(c, in->comment);
	return CALL_OK;
}

static bool take_out(struct route53_vpcs *vpcs, const struct route53_vpc *vpc)
{
	for (uint32_t i = 0; i < vpcs->n; i++) {
		if (!str_eq(vpcs->v[i].vpc_id, vpc->vpc_id) || !str_eq(vpcs->v[i].vpc_region, vpc->vpc_region))
			continue;
		vpcs->v[i] = vpcs->v[--vpcs->n];
		return true;
	}
	return false;
}

int route53_disassociate_vpc_from_hosted_zone(struct call *c, const struct route53_disassociate_vpc_from_hosted_zone_request *in,
                                              struct route53_disassociate_vpc_from_hosted_zone_response *out)
{
	struct state_route53_zone_record r;
	if (route53_zone_get(c, in->hosted_zone_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!route53_vpc_in(&r.vpcs, in->vpc->vpc_id, in->vpc->vpc_region))
		return call_fail(c, "VPCAssociationNotFound", 404,
		                 "The specified VPC and hosted zone that you specified are not currently associated.");
	if (r.vpcs.n == 1)
		return call_fail(
		        c, "LastVPCAssociation", 400,
		        "The VPC that you're trying to disassociate from the private hosted zone is the last VPC that is "
		        "associated with the hosted zone. Amazon Route 53 doesn't support disassociating the last VPC from a "
		        "hosted zone.");
	take_out(&r.vpcs, in->vpc);
	route53_zone_put(c, &r);
	out->change_info = route53_changed(c, in->comment);
	return CALL_OK;
}
