/* Which records matter, which VPCs stay for a while, what a subnet is associated with, and blocks as the network has them. */
#include "aws/ec2/flow/flow_log.h"
#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/ipv6.h"
#include "aws/ec2/network/sync.h"
#include "aws/ec2/network/vpc.h"
#include "base/map.h"

#include <stdlib.h>

bool ec2_sync_table_of(const struct ec2_scope *s, const struct ec2_subnet *subnet, struct ec2_route_table *ret)
{
	struct ec2_route_table table;
	struct ec2_all all = ec2_all(s, &ec2_kind_route_table);
	bool found = false;
	while (ec2_next(&all, &table)) {
		if (!str_eq(table.vpc_id, subnet->vpc_id))
			continue;
		for (uint32_t i = 0; i < table.associations.n; i++) {
			const struct ec2_route_table_association *as = &table.associations.v[i];
			bool own = str_set(as->subnet_id) && str_eq(as->subnet_id, subnet->subnet_id);
			if (own || as->main.v)
				*ret = table;
			if (own)
				return true;
			found |= as->main.v;
		}
	}
	return found;
}

struct str ec2_sync_acl_of(const struct ec2_scope *s, struct str subnet)
{
	struct ec2_network_acl acl;
	struct ec2_all all = ec2_all(s, &ec2_kind_acl);
	while (ec2_next(&all, &acl))
		for (uint32_t i = 0; i < acl.associations.n; i++)
			if (str_eq(acl.associations.v[i].subnet_id, subnet))
				return acl.network_acl_id;
	return STR_NONE;
}

struct network_prefix ec2_sync_prefix4(struct str text)
{
	struct ec2_block b = {0};
	ec2_block_parse(text, &b);
	return (struct network_prefix){b.base, b.bits};
}

bool ec2_sync_prefix(struct str text, struct network_prefix *ret, struct network_prefix6 *ret6)
{
	struct ec2_block b = {0};
	struct ec2_block6 b6;
	if (ec2_block6_parse(text, &b6)) {
		memcpy(ret6->base, b6.base, sizeof(ret6->base));
		ret6->bits = b6.bits;
		return true;
	}
	ec2_block_parse(text, &b);
	*ret = (struct network_prefix){b.base, b.bits};
	return false;
}

struct str_list ec2_sync_blocks(const struct ec2_scope *s, struct str block, struct str list)
{
	struct str_list ret = {0};
	struct state_vpc_prefix_list_record record;
	if (str_set(block))
		*LIST_ADD(s->arena, &ret) = block;
	if (str_set(list) && ec2_is_service_list(list))
		*LIST_ADD(s->arena, &ret) = S(EC2_SERVICE_BLOCK);
	if (!str_set(list) || !ec2_find(s, &ec2_kind_prefix_list, list, &record) || !record.versions.n)
		return ret;
	const struct state_vpc_prefix_list_version *newest = &record.versions.v[record.versions.n - 1];
	for (uint32_t i = 0; i < newest->entries.n; i++)
		*LIST_ADD(s->arena, &ret) = newest->entries.v[i].cidr;
	return ret;
}

unsigned ec2_sync_zone(const struct ec2_network_interface *eni)
{
	char letter = eni->availability_zone.n ? eni->availability_zone.p[eni->availability_zone.n - 1] : 0;
	/* what application load balancers send to other zones is in their price */
	bool in_price = str_is(eni->requester_id, "amazon-elb") && !str_is(eni->interface_type, "network_load_balancer");
	return !in_price && letter >= 'a' && letter < 'a' + NETWORK_ZONES_MAX ? (unsigned)(letter - 'a') + 1 : 0;
}

/* Holes and padding are noted too, so all of it is set. */
struct network_fault ec2_sync_fault(const struct chaos *chaos, struct str zone)
{
	const struct chaos_fault *down = chaos_find(chaos, CHAOS_ZONE_DOWN, zone), *slow = chaos_find(chaos, CHAOS_SLOW, zone),
	                         *lossy = chaos_find(chaos, CHAOS_LOSSY, zone);
	const struct chaos_fault *all[] = {down, slow, lossy};
	struct network_fault f;
	memset(&f, 0, sizeof(f));
	/* of several, until the first is over: then the others are said anew */
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] && (!f.until_us || all[i]->until_us < f.until_us))
			f.until_us = all[i]->until_us;
	f.down = down != NULL;
	f.delay_ms = slow ? (uint16_t)slow->amount : 0;
	f.loss_percent = lossy ? (uint8_t)lossy->amount : 0;
	return f;
}

bool ec2_sync_is_about(struct str kind)
{
	static const struct ec2_kind *const kinds[] = {&ec2_kind_vpc,
	                                               &ec2_kind_subnet,
	                                               &ec2_kind_group,
	                                               &ec2_kind_rule,
	                                               &ec2_kind_route_table,
	                                               &ec2_kind_gateway,
	                                               &ec2_kind_nat,
	                                               &ec2_kind_acl,
	                                               &ec2_kind_interface,
	                                               &ec2_kind_dhcp,
	                                               &ec2_kind_prefix_list,
	                                               &ec2_kind_peering,
	                                               &ec2_kind_egress_gateway,
	                                               &ec2_kind_flow_log};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_is(kind, kinds[i]->prefix))
			return true;
	return false;
}

bool ec2_sync_linger(struct map *seen, struct map *wanted, int64_t now_us)
{
	struct str vpc;
	void *value;
	size_t at = 0;
	bool lingers = false;
	while (map_next(wanted, &at, &vpc, &value)) {
		int64_t *last = map_get(seen, vpc);
		if (!last && !(last = malloc(sizeof(*last))))
			abort();
		*last = now_us;
		map_put(seen, vpc, last);
	}
	for (at = 0; map_next(seen, &at, &vpc, &value);) {
		if (now_us - *(int64_t *)value >= EC2_SYNC_LINGER_US) {
			free(map_remove(seen, vpc));
			at = 0; /* others may have moved */
		} else if (!map_get(wanted, vpc)) {
			map_put(wanted, vpc, seen);
			lingers = true;
		}
	}
	return lingers;
}

enum network_port_kind ec2_sync_kind(const struct state_vpc_interface_record *r)
{
	if (str_is(r->interface->interface_type, "nat_gateway"))
		return NETWORK_GATEWAY;
	if (str_set(r->door))
		return str_is(r->door, "answers") ? NETWORK_ANSWERS : str_is(r->door, "asks") ? NETWORK_ASKS : NETWORK_SHARED;
	return r->namespace.v ? NETWORK_PLUG : NETWORK_TAP;
}
