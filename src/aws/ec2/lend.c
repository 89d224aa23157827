/* Network interfaces for what other services of ours run. */
#include "aws/ec2/block6.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/interface.h"
#include "aws/ec2/vpc.h"

static struct ec2_scope scope(struct store_txn *t, struct arena *a, struct str account, struct str region)
{
	return (struct ec2_scope){.txn = t, .arena = a, .account = account, .region = region};
}

bool ec2_vpc_of(struct call *c, struct str region, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record r;
	s.region = region;
	return str_set(id) && ec2_find(&s, &ec2_kind_vpc, id, &r);
}

bool ec2_vpc_there(struct call *c, struct str id)
{
	return ec2_vpc_of(c, c->region, id);
}

/* The first address of a subnet's block is the router's; the resolver has the second of the whole VPC. */
static bool fill(const struct ec2_scope *s, const struct state_vpc_interface_record *r, struct ec2_lent *ret)
{
	const struct ec2_network_interface *n = r->interface;
	struct ec2_subnet subnet;
	struct state_vpc_vpc_record vpc;
	struct ec2_block block, whole;
	uint32_t ip;
	if (!ec2_find(s, &ec2_kind_subnet, n->subnet_id, &subnet) || !ec2_block_parse(subnet.cidr_block, &block) ||
	    !ec2_find(s, &ec2_kind_vpc, n->vpc_id, &vpc) || !ec2_block_parse(vpc.vpc->cidr_block, &whole) ||
	    !ec2_address_parse(n->private_ip_address, &ip))
		return false;
	*ret = (struct ec2_lent){
	        .id = n->network_interface_id,
	        .mac = n->mac_address,
	        .address = n->private_ip_address,
	        .private_name = n->private_dns_name,
	        .subnet = n->subnet_id,
	        .vpc = n->vpc_id,
	        .zone = n->availability_zone,
	        .ip = ip,
	        .gateway = block.base + 1,
	        .resolver = whole.base + 2,
	        .prefix = block.bits,
	};
	if (n->ipv6_addresses.n && ec2_address6_parse(n->ipv6_addresses.v[0].ipv6_address, ret->ip6))
		ret->address6 = n->ipv6_addresses.v[0].ipv6_address;
	for (uint32_t i = 0; i < subnet.ipv6_cidr_block_association_set.n && n->ipv6_addresses.n; i++)
		ret->block6 = subnet.ipv6_cidr_block_association_set.v[i].ipv6_cidr_block;
	return true;
}

struct str ec2_subnet_zone(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct ec2_subnet r = {0};
	return str_set(id) && ec2_find(&s, &ec2_kind_subnet, id, &r) ? r.availability_zone : STR_NONE;
}

int ec2_lend_interface(struct call *c, const struct ec2_lend *what, struct ec2_lent *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record r;
	struct ec2_interface_new made = {
	        .subnet = what->subnet,
	        .groups = what->groups,
	        .description = what->description,
	        .requester = what->requester,
	        .public = what->public,
	};
	for (uint32_t i = 0; what->tags && i < what->tags->n; i++)
		*LIST_ADD(c->arena, &made.tags) = (struct ec2_tag){.key = what->tags->v[i].key, .value = what->tags->v[i].value};
	if (ec2_interface_create(c, &made, &r) != CALL_OK)
		return CALL_FAIL;
	r.interface->status = S("in-use");
	ec2_interface_set_up(&s, &r, true, true);
	return fill(&s, &r, ret) ? CALL_OK : call_broken(c, "the subnet of a new interface does not read");
}

bool ec2_find_lent(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id, struct ec2_lent *ret)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct state_vpc_interface_record r;
	return str_set(id) && ec2_find(&s, &ec2_kind_interface, id, &r) && fill(&s, &r, ret);
}

void ec2_return_interface(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct state_vpc_interface_record r;
	if (str_set(id) && ec2_find(&s, &ec2_kind_interface, id, &r))
		ec2_interface_remove(&s, &r);
}

void ec2_watch_ports(struct cloud *cloud, ec2_port_fn *fn, void *ctx)
{
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	if (!s)
		return;
	s->lent_port = fn;
	s->lent_ctx = ctx;
}

void ec2_renew_port(struct cloud *cloud, struct str interface)
{
	struct arena CLEAN_ARENA a = {0};
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	if (s && s->networks)
		network_renew_port(s->networks, arena_dupz(&a, interface));
}
