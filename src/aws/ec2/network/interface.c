/* Network interfaces: what instances, NAT gateways and the operations on interfaces (interface_op.c) do to them. An address that is
 * given out lies under ("ec2", account, region, "address", subnet, address), so that no two interfaces get the same one. */
#include "aws/ec2/instance/instance_type.h"
#include "aws/ec2/network/ipv6.h"

#include "base/id.h"
#include "base/rand.h"

#include <errno.h>

/* --- private addresses */

static struct str address_key(const struct ec2_scope *s, struct str subnet, uint32_t address)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("address"), subnet, arena_printf(s->arena, "%08x", address));
}

struct str ec2_address_holder(const struct ec2_scope *s, struct str subnet, uint32_t address)
{
	struct store_value v;
	return store_get(s->txn, address_key(s, subnet, address), &v) ? arena_dup(s->arena, v.value) : STR_NONE;
}

/* The first four of a subnet and its last one are Amazon's. */
static bool reserved(struct ec2_block b, uint32_t address)
{
	return address - b.base < 4 || address - b.base == ec2_block_size(b) - 1;
}

/* The first address from this one on that no reservation of the subnet has. */
static uint32_t past_reserved(const struct ec2_reserved *r, uint32_t address)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (ec2_block_has(r->v[i], address)) {
			address = r->v[i].base + (uint32_t)ec2_block_size(r->v[i]);
			i = UINT32_MAX; /* those before it may go on from here */
		}
	return address;
}

static bool first_free(const struct ec2_scope *s, const struct ec2_subnet *subnet, uint32_t *ret)
{
	struct ec2_block b = ec2_subnet_block(subnet);
	struct str under = KEY_UNDER(s->arena, S("ec2"), s->account, s->region, S("address"), subnet->subnet_id), key;
	struct store_iter *i = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct ec2_reserved r = ec2_subnet_reserved(s, subnet->subnet_id);
	uint32_t next = past_reserved(&r, b.base + 4);
	while (store_next(i, &key, &v)) {
		int order = str_cmp(str_from_at(key, under.n), arena_printf(s->arena, "%08x", next));
		if (order > 0)
			break;
		if (order == 0)
			next = past_reserved(&r, next + 1);
	}
	if (!ec2_block_has(b, next) || reserved(b, next))
		return false;
	*ret = next;
	return true;
}

struct str ec2_private_name(struct arena *a, struct str region, struct str address)
{
	char *dashes = arena_dupz(a, address);
	for (size_t i = 0; i < address.n; i++)
		if (dashes[i] == '.')
			dashes[i] = '-';
	struct str domain = str_is(region, "us-east-1") ? S("ec2.internal") : ARENA_CAT(a, region, S(".compute.internal"));
	return ARENA_CAT(a, S("ip-"), str_of(dashes, address.n), S("."), domain);
}

struct str ec2_public_name(struct arena *a, struct str region, struct str address)
{
	char *dashes = arena_dupz(a, address);
	for (size_t i = 0; i < address.n; i++)
		if (dashes[i] == '.')
			dashes[i] = '-';
	struct str domain = str_is(region, "us-east-1") ? S("compute-1") : ARENA_CAT(a, region, S(".compute"));
	return ARENA_CAT(a, S("ec2-"), str_of(dashes, address.n), S("."), domain, S(".amazonaws.com"));
}

static bool dns_names(const struct ec2_scope *s, struct str vpc)
{
	struct state_vpc_vpc_record record;
	return ec2_find(s, &ec2_kind_vpc, vpc, &record) && record.dns_hostnames.v && record.dns_support.v;
}

static void add_address(const struct ec2_scope *s, struct ec2_network_interface *eni, uint32_t address)
{
	struct ec2_network_interface_private_ip_address *p = LIST_ADD(s->arena, &eni->private_ip_addresses);
	p->private_ip_address = ec2_address_text(s->arena, address);
	p->primary = OPT_BOOL(eni->private_ip_addresses.n == 1);
	if (dns_names(s, eni->vpc_id))
		p->private_dns_name = ec2_private_name(s->arena, s->region, p->private_ip_address);
	store_put(s->txn, address_key(s, eni->subnet_id, address), eni->network_interface_id);
}

int ec2_interface_add_address(struct call *c, struct ec2_network_interface *eni, const struct ec2_subnet *subnet, struct str text)
{
	struct ec2_scope s = ec2_scope(c);
	uint32_t address = 0;
	if (eni->private_ip_addresses.n >= EC2_INTERFACE_ADDRESSES_MAX)
		return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of private addresses will exceed limit.");
	if (!str_set(text)) {
		if (!first_free(&s, subnet, &address))
			return call_fail(c, "InsufficientFreeAddressesInSubnet", 400,
			                 "The specified subnet does not have enough free addresses to satisfy the request.");
		add_address(&s, eni, address);
		return CALL_OK;
	}
	if (!ec2_address_parse(text, &address))
		return ec2_invalid(c, "Invalid IPv4 address: %.*s", STR_ARG(text));
	struct ec2_block b = ec2_subnet_block(subnet);
	if (!ec2_block_has(b, address))
		return ec2_invalid(c, "Address does not fall within the subnet's address range");
	if (reserved(b, address))
		return ec2_invalid(c, "Address is in subnet's reserved address range");
	if (str_set(ec2_address_holder(&s, subnet->subnet_id, address)))
		return call_fail(c, "InvalidIPAddress.InUse", 400, "The specified address is already in use.");
	add_address(&s, eni, address);
	return CALL_OK;
}

/* --- groups */

int ec2_interface_set_groups(struct call *c, struct state_vpc_interface_record *record, const struct str_list *groups)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_interface *eni = record->interface;
	struct ec2_group_identifier_list list = {.set = true};
	struct state_vpc_group_record group;
	struct str_list own = {0};
	if (!groups->n && ec2_group_named(&s, eni->vpc_id, S("default"), &group))
		*LIST_ADD(c->arena, &own) = group.group->group_id;
	const struct str_list *ids = groups->n ? groups : &own;
	for (uint32_t i = 0; i < ids->n; i++) {
		if (ec2_get(c, &ec2_kind_group, ids->v[i], &group) != CALL_OK)
			return CALL_FAIL;
		if (!str_eq(group.group->vpc_id, eni->vpc_id))
			return call_fail(c, "InvalidParameterValue", 400,
			                 "You have specified two resources that belong to different networks.");
		bool twice = false;
		for (uint32_t k = 0; k < list.n; k++)
			twice |= str_eq(list.v[k].group_id, ids->v[i]);
		if (!twice)
			*LIST_ADD(c->arena, &list) = (struct ec2_group_identifier){ids->v[i], group.group->group_name};
	}
	if (list.n > EC2_INTERFACE_GROUPS_MAX)
		return call_fail(c, "SecurityGroupsPerInterfaceLimitExceeded", 400,
		                 "The maximum number of security groups per interface has been reached.");
	eni->groups = list;
	return CALL_OK;
}

/* --- making */

static struct str new_mac(struct arena *a)
{
	unsigned char b[5];
	rand_bytes(b, sizeof(b));
	return arena_printf(a, "02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4]);
}

static void put(const struct ec2_scope *s, struct state_vpc_interface_record *record)
{
	struct ec2_network_interface *eni = record->interface;
	const struct ec2_network_interface_private_ip_address *primary = &eni->private_ip_addresses.v[0];
	eni->private_ip_address = primary->private_ip_address;
	eni->private_dns_name = primary->private_dns_name;
	eni->association = primary->association;
	eni->public_dns_name = primary->association ? primary->association->public_dns_name : STR_NONE;
	ec2_put(s, &ec2_kind_interface, eni->network_interface_id, record);
}

void ec2_interface_put(const struct ec2_scope *s, struct state_vpc_interface_record *record)
{
	put(s, record);
}

int ec2_interface_create(struct call *c, const struct ec2_interface_new *what, struct state_vpc_interface_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	static const struct str_list none;
	if (ec2_get(c, &ec2_kind_subnet, what->subnet, &subnet) != CALL_OK)
		return CALL_FAIL;
	struct ec2_network_interface *eni = arena_new(c->arena, struct ec2_network_interface);
	*eni = (struct ec2_network_interface){
	        .network_interface_id = ec2_new_id(c->arena, "eni"),
	        .subnet_id = subnet.subnet_id,
	        .vpc_id = subnet.vpc_id,
	        .availability_zone = subnet.availability_zone,
	        .availability_zone_id = subnet.availability_zone_id,
	        .owner_id = c->account,
	        .description = str_set(what->description) ? what->description : S(""),
	        .interface_type = str_set(what->type) ? what->type : S("interface"),
	        .mac_address = new_mac(c->arena),
	        .requester_id = what->requester,
	        .requester_managed = OPT_BOOL(str_set(what->requester)),
	        .source_dest_check = OPT_BOOL(!str_is(what->type, "nat_gateway")),
	        .status = S("available"),
	        .tag_set = what->tags,
	};
	eni->tag_set.set = eni->ipv6_addresses.set = true;
	*ret = (struct state_vpc_interface_record){.interface = eni, .up = OPT_BOOL(false), .no_public = OPT_BOOL(!what->public)};
	if (str_is(what->type, "nat_gateway") || what->unfiltered)
		eni->groups.set = true;
	else if (ec2_interface_set_groups(c, ret, what->groups ? what->groups : &none) != CALL_OK)
		return CALL_FAIL;
	if (ec2_interface_add_address(c, eni, &subnet, what->address) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; what->secondary && i < what->secondary->n; i++)
		if (ec2_interface_add_address(c, eni, &subnet, what->secondary->v[i]) != CALL_OK)
			return CALL_FAIL;
	for (int64_t i = 0; i < what->secondary_count; i++)
		if (ec2_interface_add_address(c, eni, &subnet, STR_NONE) != CALL_OK)
			return CALL_FAIL;
	/* the subnet's wish counts where nothing is said */
	bool silent = !(what->ipv6 && what->ipv6->n) && !what->ipv6_count && !str_is(what->type, "nat_gateway") &&
	              !str_is(what->type, "lambda");
	if (ec2_interface_add_ipv6(c, eni, &subnet, what->ipv6 ? what->ipv6 : &none,
	                           silent && subnet.assign_ipv6_address_on_creation.v ? 1 : what->ipv6_count, NULL) != CALL_OK)
		return CALL_FAIL;
	if (what->public && ec2_interface_take_public(&s, ret) < 0)
		return call_fail(c, "InsufficientAddressCapacity", 500, "Not enough available addresses to satisfy your request.");
	put(&s, ret);
	return CALL_OK;
}

/* The VPC's names have been switched on or off. */
void ec2_interfaces_rename(const struct ec2_scope *s, struct str vpc)
{
	struct state_vpc_interface_record r;
	bool names = dns_names(s, vpc);
	struct ec2_all all = ec2_all(s, &ec2_kind_interface);
	while (ec2_next(&all, &r)) {
		if (!str_eq(r.interface->vpc_id, vpc))
			continue;
		for (uint32_t i = 0; i < r.interface->private_ip_addresses.n; i++) {
			struct ec2_network_interface_private_ip_address *p = &r.interface->private_ip_addresses.v[i];
			p->private_dns_name = names ? ec2_private_name(s->arena, s->region, p->private_ip_address) : STR_NONE;
			if (p->association)
				p->association->public_dns_name =
				        names ? ec2_public_name(s->arena, s->region, p->association->public_ip) : S("");
		}
		put(s, &r);
	}
}

/* --- attachments */

void ec2_interface_attach(const struct ec2_scope *s, struct state_vpc_interface_record *record, struct str instance,
                          int64_t device_index, bool delete_on_termination, int64_t now_ms)
{
	struct ec2_network_interface_attachment *at = arena_new(s->arena, struct ec2_network_interface_attachment);
	*at = (struct ec2_network_interface_attachment){
	        .attachment_id = ec2_new_id(s->arena, "eni-attach"),
	        .attach_time = OPT_TIME(now_ms),
	        .delete_on_termination = OPT_BOOL(delete_on_termination),
	        .device_index = OPT_INT(device_index),
	        .network_card_index = OPT_INT(0),
	        .instance_id = instance,
	        .instance_owner_id = s->account,
	        .status = S("attached"),
	};
	record->interface->attachment = at;
	record->interface->status = S("in-use");
	put(s, record);
	/* An elastic address says whose it is. */
	for (uint32_t i = 0; i < record->interface->private_ip_addresses.n; i++) {
		struct ec2_network_interface_association *as = record->interface->private_ip_addresses.v[i].association;
		struct ec2_address address;
		if (as && str_set(as->allocation_id) && ec2_find(s, &ec2_kind_address, as->allocation_id, &address)) {
			address.instance_id = instance;
			ec2_put(s, &ec2_kind_address, as->allocation_id, &address);
		}
	}
}

void ec2_interface_detach(const struct ec2_scope *s, struct state_vpc_interface_record *record)
{
	if (record->returned.v) {
		ec2_interface_remove(s, record);
		return;
	}
	record->interface->attachment = NULL;
	record->interface->status = S("available");
	record->up = record->force = OPT_BOOL(false);
	ec2_interface_release_public(s, record);
	for (uint32_t i = 0; i < record->interface->private_ip_addresses.n; i++) {
		struct ec2_network_interface_association *as = record->interface->private_ip_addresses.v[i].association;
		struct ec2_address address;
		if (as && ec2_find(s, &ec2_kind_address, as->allocation_id, &address)) {
			address.instance_id = STR_NONE;
			ec2_put(s, &ec2_kind_address, as->allocation_id, &address);
		}
	}
	put(s, record);
}

void ec2_interface_limit(struct state_vpc_interface_record *record, const struct instance_type *type)
{
	record->bits_per_second = (struct opt_int){0};
	if (type && type->network_mbps)
		record->bits_per_second = OPT_INT((int64_t)type->network_mbps * 1000000);
}

int ec2_interface_set_up(const struct ec2_scope *s, struct state_vpc_interface_record *record, bool up, bool as_namespace)
{
	record->up = OPT_BOOL(up);
	if (!up)
		record->bits_per_second = (struct opt_int){0};
	record->namespace = OPT_BOOL(as_namespace);
	put(s, record);
	return 0;
}

void ec2_interfaces_of(const struct ec2_scope *s, struct str instance, struct ec2_interfaces *ret)
{
	*ret = (struct ec2_interfaces){0};
	struct state_vpc_interface_record record;
	struct ec2_held held = ec2_held(s, &ec2_kind_interface, instance);
	while (ec2_held_next(&held)) {
		if (!ec2_find(s, &ec2_kind_interface, held.id, &record))
			continue;
		const struct ec2_network_interface_attachment *at = record.interface->attachment;
		*LIST_ADD(s->arena, ret) = record;
		for (uint32_t k = ret->n - 1; k > 0; k--) {
			struct state_vpc_interface_record t = ret->v[k - 1];
			if (t.interface->attachment->device_index.v <= at->device_index.v)
				break;
			ret->v[k - 1] = ret->v[k];
			ret->v[k] = t;
		}
	}
}

/* --- public addresses */

struct ec2_network_interface_association *ec2_association_make(const struct ec2_scope *s, struct str public_ip,
                                                               struct str allocation, struct str association, bool names)
{
	struct ec2_network_interface_association *as = arena_new(s->arena, struct ec2_network_interface_association);
	*as = (struct ec2_network_interface_association){
	        .allocation_id = allocation,
	        .association_id = association,
	        .ip_owner_id = str_set(allocation) ? s->account : S("amazon"),
	        .public_ip = public_ip,
	        .public_dns_name = names ? ec2_public_name(s->arena, s->region, public_ip) : S(""),
	};
	return as;
}

int ec2_interface_take_public(const struct ec2_scope *s, struct state_vpc_interface_record *record)
{
	uint32_t address;
	struct ec2_network_interface_private_ip_address *p = &record->interface->private_ip_addresses.v[0];
	if (p->association)
		return 0;
	if (!ec2_pool_take(s, record->interface->network_interface_id, &address))
		return -EADDRNOTAVAIL;
	p->association = ec2_association_make(s, ec2_address_text(s->arena, address), STR_NONE, STR_NONE,
	                                      dns_names(s, record->interface->vpc_id));
	put(s, record);
	return 0;
}

/* An address of the pool goes back; an elastic one stays. */
static void give_back(const struct ec2_scope *s, struct ec2_network_interface_private_ip_address *p)
{
	uint32_t address;
	if (!p->association || str_set(p->association->allocation_id))
		return;
	if (ec2_address_parse(p->association->public_ip, &address))
		ec2_pool_give(s, address);
	p->association = NULL;
}

void ec2_interface_release_public(const struct ec2_scope *s, struct state_vpc_interface_record *record)
{
	for (uint32_t i = 0; i < record->interface->private_ip_addresses.n; i++)
		give_back(s, &record->interface->private_ip_addresses.v[i]);
	put(s, record);
}

void ec2_interface_drop_address(const struct ec2_scope *s, struct ec2_network_interface *eni, uint32_t at)
{
	struct ec2_network_interface_private_ip_address_list *l = &eni->private_ip_addresses;
	uint32_t address;
	give_back(s, &l->v[at]);
	if (l->v[at].association)
		ec2_address_let_go(s, l->v[at].association->allocation_id);
	if (ec2_address_parse(l->v[at].private_ip_address, &address))
		store_delete(s->txn, address_key(s, eni->subnet_id, address));
	memmove(&l->v[at], &l->v[at + 1], (l->n - at - 1) * sizeof(*l->v));
	l->n--;
}

void ec2_interface_remove(const struct ec2_scope *s, struct state_vpc_interface_record *record)
{
	while (record->interface->private_ip_addresses.n)
		ec2_interface_drop_address(s, record->interface, record->interface->private_ip_addresses.n - 1);
	ec2_interface_forget_ipv6(s, record->interface);
	ec2_drop(s, &ec2_kind_interface, record->interface->network_interface_id);
}
