#include "aws/ec2/network/sync_pass.h"

#include "aws/ec2/flow/flow_log.h"
#include "aws/ec2/network/ipv6.h"
#include "aws/ec2/network/vpc.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

/* What was put under an id, as a digest. */
struct put {
	uint64_t digest;
	unsigned round;
};

/* --- saying it only when it has changed */

static void note(struct sync_pass *p, const void *bytes, size_t n)
{
	buf_add(&p->buf, bytes, n);
}

static void note_text(struct sync_pass *p, const char *text)
{
	note(p, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* Is what was noted since the last time news about this id? */
static bool news(struct sync_pass *p, const char *id)
{
	uint64_t digest = map_hash(buf_str(&p->buf));
	struct put *put = p->puts ? map_get(&p->puts->by_id, str_from(id)) : NULL;
	buf_clear(&p->buf);
	if (!p->puts)
		return true;
	if (put) {
		bool same = put->digest == digest;
		*put = (struct put){digest, p->puts->round};
		return !same;
	}
	put = calloc(1, sizeof(*put));
	if (!put)
		die("out of memory (networks)");
	*put = (struct put){digest, p->puts->round};
	map_put(&p->puts->by_id, str_from(id), put);
	return true;
}

static void said(const char *what, const char *id, int result)
{
	if (result < 0)
		log_warn("the network does not take %s %s: %s", what, id, strerror(-result));
}

static const char *text(struct sync_pass *p, struct str s)
{
	return arena_dupz(p->scope.arena, s);
}

static bool wanted(struct sync_pass *p, struct str vpc)
{
	return map_get(&p->vpcs, vpc) != NULL;
}

/* --- VPCs */

void sync_pass_find_vpcs(struct sync_pass *p)
{
	struct state_vpc_interface_record r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_interface);
	while (ec2_next(&all, &r))
		if (r.up.v)
			map_put(&p->vpcs, r.interface->vpc_id, p);
}

static void put_vpcs(struct sync_pass *p)
{
	struct state_vpc_vpc_record r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_vpc);
	while (ec2_next(&all, &r)) {
		struct network_prefix prefixes[NETWORK_PREFIXES_MAX];
		size_t n = 0;
		if (!wanted(p, r.vpc->vpc_id))
			continue;
		for (uint32_t i = 0; i < r.vpc->cidr_block_association_set.n && n < NETWORK_PREFIXES_MAX; i++)
			prefixes[n++] = ec2_sync_prefix4(r.vpc->cidr_block_association_set.v[i].cidr_block);
		struct network_prefix6 prefixes6[NETWORK_PREFIXES_MAX] = {0};
		size_t n6 = 0;
		for (uint32_t i = 0; i < r.vpc->ipv6_cidr_block_association_set.n && n6 < NETWORK_PREFIXES_MAX; i++)
			ec2_sync_prefix(r.vpc->ipv6_cidr_block_association_set.v[i].ipv6_cidr_block, NULL, &prefixes6[n6++]);
		note(p, prefixes6, n6 * sizeof(*prefixes6));
		struct network_vpc v = {text(p, r.vpc->vpc_id), prefixes, n, prefixes6, n6};
		for (size_t i = 0; i < n; i++) {
			note(p, &prefixes[i].base, sizeof(prefixes[i].base));
			note(p, &prefixes[i].bits, sizeof(prefixes[i].bits));
		}
		if (news(p, v.id))
			said("VPC", v.id, network_put_vpc(p->networks, &v));
	}
}

/* --- ACLs and groups */

static void note_match(struct sync_pass *p, const struct network_match *m)
{
	int64_t numbers[] = {m->protocol, m->from, m->to, m->peer.base, m->peer.bits, m->ipv6};
	note(p, numbers, sizeof(numbers));
	note(p, &m->peer6, sizeof(m->peer6));
}

static void set_peer(struct network_match *m, struct str block)
{
	m->ipv6 = ec2_sync_prefix(block, &m->peer, &m->peer6);
}

static int16_t protocol_number(struct str s)
{
	int64_t n = -1;
	if (str_is(s, "tcp"))
		return 6;
	if (str_is(s, "udp"))
		return 17;
	if (str_is(s, "icmp"))
		return 1;
	if (str_is(s, "icmpv6"))
		return 58;
	return str_to_i64(s, &n) ? (int16_t)n : -1;
}

static void put_acls(struct sync_pass *p)
{
	struct ec2_network_acl r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_acl);
	while (ec2_next(&all, &r)) {
		struct network_acl_rule rules[NETWORK_ACL_RULES_MAX];
		size_t n = 0;
		if (!wanted(p, r.vpc_id))
			continue;
		for (uint32_t i = 0; i < r.entries.n && n < NETWORK_ACL_RULES_MAX; i++) {
			const struct ec2_network_acl_entry *e = &r.entries.v[i];
			struct network_acl_rule *rule = &rules[n];
			if (e->rule_number.v > 32766)
				continue; /* what none matches is dropped anyway */
			*rule = (struct network_acl_rule){
			        .number = (uint16_t)e->rule_number.v,
			        .egress = e->egress.v,
			        .allow = str_is(e->rule_action, "allow"),
			        .match = {.protocol = protocol_number(e->protocol), .from = -1, .to = -1}};
			set_peer(&rule->match, str_set(e->cidr_block) ? e->cidr_block : e->ipv6_cidr_block);
			if (e->port_range) {
				rule->match.from = (int32_t)e->port_range->from.v;
				rule->match.to = (int32_t)e->port_range->to.v;
			} else if (e->icmp_type_code) {
				rule->match.from = (int32_t)e->icmp_type_code->type.v;
				rule->match.to = (int32_t)e->icmp_type_code->code.v;
			}
			int flags[] = {rule->number, rule->egress, rule->allow};
			note(p, flags, sizeof(flags));
			note_match(p, &rule->match);
			n++;
		}
		struct network_acl a = {text(p, r.network_acl_id), text(p, r.vpc_id), rules, n};
		if (news(p, a.id))
			said("ACL", a.id, network_put_acl(p->networks, &a));
	}
}

static void add_rule(struct sync_pass *p, const struct ec2_security_group_rule *r, struct network_group_rule *rules, size_t *n)
{
	struct network_group_rule base = {
	        .egress = r->is_egress.v,
	        .match = {.protocol = protocol_number(r->ip_protocol),
	                  .from = (int32_t)r->from_port.v,
	                  .to = (int32_t)r->to_port.v},
	        .peer_group = r->referenced_group_info ? text(p, r->referenced_group_info->group_id) : NULL,
	};
	struct str_list peers = ec2_sync_blocks(&p->scope, str_set(r->cidr_ipv4) ? r->cidr_ipv4 : r->cidr_ipv6, r->prefix_list_id);
	size_t count = base.peer_group ? 1 : peers.n;
	for (size_t i = 0; i < count && *n < NETWORK_GROUP_RULES_MAX; i++) {
		rules[*n] = base;
		if (!base.peer_group)
			set_peer(&rules[*n].match, peers.v[i]);
		note(p, base.egress ? "e" : "i", 1);
		note_match(p, &rules[*n].match);
		note_text(p, base.peer_group);
		++*n;
	}
}

static void put_groups(struct sync_pass *p)
{
	struct state_vpc_group_record r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_group);
	struct network_group_rule *rules = arena_array(p->scope.arena, NETWORK_GROUP_RULES_MAX, sizeof(*rules));
	while (ec2_next(&all, &r)) {
		size_t n = 0;
		if (!wanted(p, r.group->vpc_id))
			continue;
		for (uint32_t i = 0; i < r.rule_ids.n; i++) {
			struct ec2_security_group_rule rule;
			if (ec2_find(&p->scope, &ec2_kind_rule, r.rule_ids.v[i], &rule))
				add_rule(p, &rule, rules, &n);
		}
		struct network_group g = {text(p, r.group->group_id), text(p, r.group->vpc_id), rules, n};
		if (news(p, g.id))
			said("security group", g.id, network_put_group(p->networks, &g));
	}
}

/* --- subnets */

static void leads_to(struct sync_pass *p, const struct ec2_route *route, struct str vpc, struct network_route *ret)
{
	struct ec2_nat_gateway nat;
	if (str_is(route->gateway_id, "local")) {
		ret->kind = NETWORK_LOCAL;
	} else if (!ec2_route_works(&p->scope, route, vpc)) {
		ret->kind = NETWORK_BLACKHOLE;
	} else if (str_set(route->gateway_id)) {
		ret->kind = str_starts(route->gateway_id, S("vpce-")) ? NETWORK_SERVICE : NETWORK_INTERNET;
	} else if (str_set(route->nat_gateway_id)) {
		ret->kind = NETWORK_BLACKHOLE;
		if (ec2_find(&p->scope, &ec2_kind_nat, route->nat_gateway_id, &nat) && nat.nat_gateway_addresses.n) {
			ret->kind = NETWORK_NAT;
			ret->target = text(p, nat.nat_gateway_addresses.v[0].network_interface_id);
		}
	} else if (str_set(route->egress_only_internet_gateway_id)) {
		ret->kind = NETWORK_EGRESS_ONLY;
	} else if (str_set(route->vpc_peering_connection_id)) {
		ret->kind = NETWORK_PEER;
		ret->target = text(p, route->vpc_peering_connection_id);
	} else {
		ret->kind = NETWORK_PORT;
		ret->target = text(p, route->network_interface_id);
	}
}

static void put_subnets(struct sync_pass *p)
{
	struct ec2_subnet r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_subnet);
	while (ec2_next(&all, &r)) {
		struct network_route routes[NETWORK_ROUTES_MAX];
		struct ec2_route_table table;
		size_t n = 0;
		if (!wanted(p, r.vpc_id) || !ec2_sync_table_of(&p->scope, &r, &table))
			continue;
		for (uint32_t i = 0; i < table.routes.n; i++) {
			const struct ec2_route *route = &table.routes.v[i];
			struct str own = str_set(route->destination_cidr_block) ? route->destination_cidr_block
			                                                        : route->destination_ipv6_cidr_block;
			struct str_list to = ec2_sync_blocks(&p->scope, own, route->destination_prefix_list_id);
			for (uint32_t k = 0; k < to.n && n < NETWORK_ROUTES_MAX; k++) {
				struct network_route *one = &routes[n++];
				*one = (struct network_route){.ipv6 = false};
				one->ipv6 = ec2_sync_prefix(to.v[k], &one->to, &one->to6);
				leads_to(p, route, r.vpc_id, one);
				note(p, &one->to6, sizeof(one->to6));
				int64_t numbers[] = {one->to.base, one->to.bits, one->kind};
				note(p, numbers, sizeof(numbers));
				note_text(p, one->target);
			}
		}
		struct str acl = ec2_sync_acl_of(&p->scope, r.subnet_id);
		struct network_subnet s = {.id = text(p, r.subnet_id),
		                           .vpc = text(p, r.vpc_id),
		                           .acl = text(p, acl),
		                           .prefix = ec2_sync_prefix4(r.cidr_block),
		                           .routes = routes,
		                           .route_count = n};
		s.has_prefix6 = r.ipv6_cidr_block_association_set.n &&
		                ec2_sync_prefix(r.ipv6_cidr_block_association_set.v[0].ipv6_cidr_block, NULL, &s.prefix6);
		note(p, &s.prefix6, sizeof(s.prefix6));
		note_text(p, s.acl);
		if (news(p, s.id))
			said("subnet", s.id, network_put_subnet(p->networks, &s));
	}
}

/* --- ports */

static void put_port(struct sync_pass *p, const struct state_vpc_interface_record *r)
{
	const struct ec2_network_interface *eni = r->interface;
	struct network_address addresses[NETWORK_ADDRESSES_MAX] = {0};
	const char *groups[NETWORK_GROUPS_MAX];
	size_t n = 0, group_count = 0;
	for (uint32_t i = 0; i < eni->private_ip_addresses.n && n < NETWORK_ADDRESSES_MAX; i++, n++) {
		const struct ec2_network_interface_private_ip_address *a = &eni->private_ip_addresses.v[i];
		ec2_address_parse(a->private_ip_address, &addresses[n].private);
		if (a->association)
			ec2_address_parse(a->association->public_ip, &addresses[n].public);
	}
	note(p, addresses, n * sizeof(*addresses));
	uint8_t addresses6[NETWORK_ADDRESSES_MAX][16];
	size_t n6 = 0;
	for (uint32_t i = 0; i < eni->ipv6_addresses.n && n6 < NETWORK_ADDRESSES_MAX; i++)
		n6 += ec2_address6_parse(eni->ipv6_addresses.v[i].ipv6_address, addresses6[n6]);
	note(p, addresses6, n6 * sizeof(*addresses6));
	for (uint32_t i = 0; i < eni->groups.n && group_count < NETWORK_GROUPS_MAX; i++) {
		groups[group_count] = text(p, eni->groups.v[i].group_id);
		note_text(p, groups[group_count++]);
	}
	struct str name = ec2_private_name(p->scope.arena, p->scope.region, eni->private_ip_address);
	struct network_port port = {.id = text(p, eni->network_interface_id),
	                            .vpc = text(p, eni->vpc_id),
	                            .subnet = text(p, eni->subnet_id),
	                            .kind = ec2_sync_kind(r),
	                            .addresses = addresses,
	                            .address_count = n,
	                            .addresses6 = (const uint8_t(*)[16])addresses6,
	                            .address6_count = n6,
	                            .groups = groups,
	                            .group_count = group_count,
	                            .source_check = eni->source_dest_check.v,
	                            .host_name = text(p, str_cut(&name, '.')),
	                            .domain = text(p, ec2_domain_name(&p->scope, eni->vpc_id)),
	                            .dhcp = ec2_dhcp_servers(&p->scope, eni->vpc_id),
	                            .bits_per_s = (uint64_t)r->bits_per_second.v,
	                            .flows = r->up.v && ec2_flows_wanted(&p->scope, eni),
	                            .refusals = str_is(eni->interface_type, "network_load_balancer")};
	unsigned mac[6] = {0};
	(void)sscanf(text(p, eni->mac_address), "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]);
	for (int i = 0; i < 6; i++)
		port.mac[i] = (uint8_t)mac[i];
	note(p, port.mac, sizeof(port.mac));
	note(p, &port.kind, sizeof(port.kind));
	note(p, port.source_check ? "c" : "-", 1);
	note(p, port.flows ? "f" : "-", 1);
	note(p, &port.bits_per_s, sizeof(port.bits_per_s));
	port.zone = ec2_sync_zone(eni);
	note(p, &port.zone, sizeof(port.zone));
	port.fault = ec2_sync_fault(p->chaos, eni->availability_zone);
	note(p, &port.fault, sizeof(port.fault));
	note_text(p, port.domain);
	note(p, &port.dhcp, sizeof(port.dhcp));
	if (news(p, port.id))
		said("network interface", port.id, network_put_port(p->networks, &port));
}

static void put_ports(struct sync_pass *p)
{
	struct state_vpc_interface_record r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_interface);
	while (ec2_next(&all, &r))
		if (r.up.v || (!p->puts && wanted(p, r.interface->vpc_id)))
			put_port(p, &r);
}

/* --- peerings */

/* Of one in two places both say the same. */
static void put_peerings(struct sync_pass *p)
{
	struct ec2_vpc_peering_connection r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_peering);
	while (ec2_next(&all, &r)) {
		struct str one = r.requester_vpc_info->vpc_id, other = r.accepter_vpc_info->vpc_id;
		if (!str_is(r.status->code, "active") || (!wanted(p, one) && !wanted(p, other)))
			continue;
		struct network_peering x = {text(p, r.vpc_peering_connection_id), {text(p, one), text(p, other)}};
		note_text(p, x.id);
		if (news(p, x.id))
			said("peering", x.id, network_put_peering(p->networks, &x));
	}
}

/* --- all of it */

/* Those of one kind, by the beginning of their ids, that were not put in this round. */
static void remove_old(struct sync_pass *p, struct str kind)
{
	struct str id;
	void *value;
	struct str_list gone = {0};
	size_t at = 0;
	while (map_next(&p->puts->by_id, &at, &id, &value))
		if (str_starts(id, kind) && ((const struct put *)value)->round != p->puts->round)
			*LIST_ADD(p->scope.arena, &gone) = arena_dup(p->scope.arena, id);
	for (uint32_t i = 0; i < gone.n; i++) {
		free(map_remove(&p->puts->by_id, gone.v[i]));
		network_remove(p->networks, text(p, gone.v[i]));
	}
}

/* Before any is put: a new one may have the addresses of one that is gone, and would lose them to its end. */
static void remove_ports(struct sync_pass *p)
{
	struct state_vpc_interface_record r;
	struct ec2_all all = ec2_all(&p->scope, &ec2_kind_interface);
	while (ec2_next(&all, &r)) {
		struct put *put = r.up.v ? map_get(&p->puts->by_id, r.interface->network_interface_id) : NULL;
		if (put)
			put->round = p->puts->round;
	}
	remove_old(p, S("eni-"));
}

void sync_pass_put(struct sync_pass *p)
{
	if (p->puts)
		p->puts->round++;
	put_vpcs(p);
	put_acls(p);
	put_groups(p);
	put_subnets(p);
	if (p->puts)
		remove_ports(p);
	put_ports(p);
	put_peerings(p);
	if (p->puts)
		remove_old(p, S(""));
}
