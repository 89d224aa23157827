/* Network interfaces for what other services of ours run. */
#include "aws/ec2/ec2.h"
#include "aws/ec2/instance/run.h"
#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/network/ipv6.h"
#include "aws/ec2/network/vpc.h"

#include <assert.h>

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
	        .public = n->association ? n->association->public_ip : STR_NONE,
	};
	struct network_dhcp servers = ec2_dhcp_servers(s, n->vpc_id);
	if (servers.dns[0] && servers.dns[0] != NETWORK_DHCP_OWN)
		ret->resolver = servers.dns[0];
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

/* The lowest number that no interface of the instance has. */
static int64_t free_index(const struct ec2_interfaces *all)
{
	int64_t index = 1;
	for (uint32_t k = 0; k < all->n; k++) /* they are in order */
		index += all->v[k].interface->attachment->device_index.v == index;
	return index;
}

static int64_t room_for(const struct ec2_instance *i, const struct ec2_interfaces *all)
{
	const struct instance_type *type = instance_type_find(i->instance_type);
	int64_t most = type ? ec2_type_interfaces(type) : 1;
	return most > all->n ? most - all->n : 0;
}

int64_t ec2_interface_room(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str instance)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct state_ec2_instance_record r;
	struct ec2_interfaces all;
	if (!str_set(instance) || !ec2_find(&s, &ec2_kind_instance, instance, &r))
		return 0;
	ec2_interfaces_of(&s, instance, &all);
	return room_for(r.instance, &all);
}

/* It goes with the instance when that is terminated. */
static int give_to_instance(struct call *c, struct str instance, struct state_vpc_interface_record *r)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record i;
	struct ec2_interfaces all;
	if (ec2_get(c, &ec2_kind_instance, instance, &i) != CALL_OK)
		return CALL_FAIL;
	if (ec2_instance_state(i.instance) != INSTANCE_RUNNING)
		return call_fail(c, "IncorrectState", 400, "Instance '%.*s' is not 'running'.", STR_ARG(instance));
	if (!str_eq(r->interface->vpc_id, i.instance->vpc_id) ||
	    !str_eq(r->interface->availability_zone, i.instance->placement->availability_zone))
		return ec2_invalid(c, "The subnet '%.*s' is not in the VPC and zone of the instance",
		                   STR_ARG(r->interface->subnet_id));
	ec2_interfaces_of(&s, instance, &all);
	if (!room_for(i.instance, &all))
		return call_fail(c, "AttachmentLimitExceeded", 400, "Interface count %u exceeds the limit for %.*s", all.n + 1,
		                 STR_ARG(i.instance->instance_type));
	ec2_interface_attach(&s, r, instance, free_index(&all), true, c->now_ms);
	r->interface->attachment->status = S("attaching");
	ec2_interface_set_up(&s, r, true, i.container.v);
	/* The instance's step looks at its interfaces. */
	ec2_put(&s, &ec2_kind_instance, instance, &i);
	return CALL_OK;
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
	        .type = what->type,
	        .unfiltered = what->unfiltered,
	        .address = what->address,
	        .ipv6_count = what->ipv6,
	};
	struct str_list six = {0};
	struct ec2_address elastic;
	for (uint32_t i = 0; what->tags && i < what->tags->n; i++)
		*LIST_ADD(c->arena, &made.tags) = (struct ec2_tag){.key = what->tags->v[i].key, .value = what->tags->v[i].value};
	if (str_set(what->address6)) {
		*LIST_ADD(c->arena, &six) = what->address6;
		made.ipv6 = &six;
	}
	if (ec2_interface_create(c, &made, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(what->instance)) {
		if (give_to_instance(c, what->instance, &r) != CALL_OK)
			return CALL_FAIL;
	} else {
		r.interface->status = S("in-use");
		r.door = what->door;
		ec2_interface_set_up(&s, &r, true, true);
	}
	if (str_set(what->allocation)) {
		if (ec2_get(c, &ec2_kind_address, what->allocation, &elastic) != CALL_OK)
			return CALL_FAIL;
		ec2_address_bind(c, &elastic, &r, 0);
	}
	return fill(&s, &r, ret) ? CALL_OK : call_broken(c, "the subnet of a new interface does not read");
}

bool ec2_find_lent(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id, struct ec2_lent *ret)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct state_vpc_interface_record r;
	return str_set(id) && ec2_find(&s, &ec2_kind_interface, id, &r) && fill(&s, &r, ret);
}

int ec2_lent_set_groups(struct call *c, struct str id, const struct str_list *groups)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record r;
	if (ec2_get(c, &ec2_kind_interface, id, &r) != CALL_OK || ec2_interface_set_groups(c, &r, groups) != CALL_OK)
		return CALL_FAIL;
	ec2_interface_put(&s, &r);
	return CALL_OK;
}

int ec2_lent_set_addresses(struct call *c, struct str id, bool ipv6, bool public)
{
	static const struct str_list none;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record r;
	struct ec2_subnet subnet;
	if (ec2_get(c, &ec2_kind_interface, id, &r) != CALL_OK ||
	    ec2_get(c, &ec2_kind_subnet, r.interface->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	if (ipv6 && !r.interface->ipv6_addresses.n && ec2_interface_add_ipv6(c, r.interface, &subnet, &none, 1, NULL) != CALL_OK)
		return CALL_FAIL;
	if (!ipv6) {
		ec2_interface_forget_ipv6(&s, r.interface);
		r.interface->ipv6_addresses = (struct ec2_network_interface_ipv6_addresses_list){.set = true};
		r.interface->ipv6_address = STR_NONE;
	}
	if (!public)
		ec2_interface_release_public(&s, &r);
	else if (ec2_interface_take_public(&s, &r) < 0)
		return call_fail(c, "InsufficientAddressCapacity", 500, "Not enough available addresses to satisfy your request.");
	ec2_interface_put(&s, &r);
	return CALL_OK;
}

bool ec2_subnet_has_ipv6(struct call *c, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct ec2_block6 block;
	return ec2_find(&s, &ec2_kind_subnet, id, &subnet) && ec2_subnet_block6(&subnet, &block);
}

bool ec2_allocation_free(struct call *c, struct str allocation)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_address r = {0};
	return ec2_find(&s, &ec2_kind_address, allocation, &r) && !str_set(r.association_id);
}

struct str ec2_group_vpc(struct call *c, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record r;
	return str_set(id) && ec2_find(&s, &ec2_kind_group, id, &r) ? r.group->vpc_id : STR_NONE;
}

struct str ec2_default_group(struct call *c, struct str vpc)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record r;
	return ec2_group_named(&s, vpc, S("default"), &r) ? r.group->group_id : STR_NONE;
}

bool ec2_vpc_reaches_internet(struct call *c, struct str vpc)
{
	return ec2_vpc_has_gateway(c, vpc);
}

bool ec2_vpc_spans(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str vpc, uint32_t address,
                   struct str *ret_zone)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct state_vpc_vpc_record r;
	struct ec2_subnet subnet;
	*ret_zone = STR_NONE;
	if (!ec2_find(&s, &ec2_kind_vpc, vpc, &r) || !ec2_vpc_has_block(&r, (struct ec2_block){address, 32}))
		return false;
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	while (ec2_next(&all, &subnet))
		if (str_eq(subnet.vpc_id, vpc) && ec2_block_has(ec2_subnet_block(&subnet), address))
			*ret_zone = subnet.availability_zone;
	return true;
}

void ec2_return_interface(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	struct ec2_scope s = scope(t, a, account, region);
	struct state_vpc_interface_record r;
	struct state_ec2_instance_record i;
	if (!str_set(id) || !ec2_find(&s, &ec2_kind_interface, id, &r))
		return;
	struct ec2_network_interface_attachment *at = r.interface->attachment;
	if (!at || !ec2_find(&s, &ec2_kind_instance, at->instance_id, &i) || ec2_instance_state(i.instance) != INSTANCE_RUNNING) {
		ec2_interface_remove(&s, &r);
		return;
	}
	at->status = S("detaching");
	r.returned = OPT_BOOL(true);
	ec2_interface_put(&s, &r);
	ec2_put(&s, &ec2_kind_instance, at->instance_id, &i);
}

enum { WATCHERS_MAX = sizeof(((struct ec2_state *)0)->lent_ports) / sizeof(*((struct ec2_state *)0)->lent_ports) };

void ec2_watch_ports(struct cloud *cloud, ec2_port_fn *fn, void *ctx)
{
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	for (unsigned i = 0; s && i < WATCHERS_MAX; i++)
		if (!s->lent_ports[i].fn) {
			s->lent_ports[i].fn = fn;
			s->lent_ports[i].ctx = ctx;
			return;
		}
	assert(!s);
}

void ec2_unwatch_ports(struct cloud *cloud, ec2_port_fn *fn, void *ctx)
{
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	for (unsigned i = 0; s && i < WATCHERS_MAX; i++)
		if (s->lent_ports[i].fn == fn && s->lent_ports[i].ctx == ctx)
			s->lent_ports[i].fn = NULL;
}

bool ec2_port_is_lent(struct ec2_state *s, const char *interface, int fd)
{
	for (unsigned i = 0; i < WATCHERS_MAX; i++)
		if (s->lent_ports[i].fn && s->lent_ports[i].fn(s->lent_ports[i].ctx, str_from(interface), fd))
			return true;
	return false;
}

void ec2_renew_port(struct cloud *cloud, struct str interface)
{
	struct arena CLEAN_ARENA a = {0};
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	if (s && s->networks)
		network_renew_port(s->networks, arena_dupz(&a, interface));
}

bool ec2_lent_traffic(const struct cloud *cloud, struct str interface, uint64_t *ret_received, uint64_t *ret_sent)
{
	struct arena CLEAN_ARENA a = {0};
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	struct network_port_stats stats;
	if (!s || !s->networks || !network_port_stats(s->networks, arena_dupz(&a, interface), &stats))
		return false;
	*ret_received = stats.rx_bytes;
	*ret_sent = stats.tx_bytes;
	return true;
}
