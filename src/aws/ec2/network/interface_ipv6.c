/* IPv6 addresses of network interfaces. One that is given out lies under ("ec2", account, region, "address6", subnet, address), so
 * that no two interfaces get the same one. */
#include "aws/ec2/network/ipv6.h"

#include "base/rand.h"

enum { TRIES = 4096 };

static struct str address_key(const struct ec2_scope *s, struct str subnet, struct str address)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("address6"), subnet, address);
}

static bool is_taken(const struct ec2_scope *s, struct str subnet, struct str address)
{
	struct store_value v;
	return store_get(s->txn, address_key(s, subnet, address), &v);
}

/* The first four of a subnet and its last one are Amazon's. */
static bool reserved(const struct ec2_block6 *b, const uint8_t address[16])
{
	uint8_t first[16], last[16];
	memcpy(first, b->base, sizeof(first));
	for (unsigned i = 0; i < 16; i++)
		last[i] = b->bits >= 8 * (i + 1) ? b->base[i]
		          : b->bits <= 8 * i     ? 0xff
		                                 : (uint8_t)(b->base[i] | 0xff >> (b->bits - 8 * i));
	return (memcmp(first, address, 15) == 0 && address[15] - first[15] < 4) || memcmp(last, address, 16) == 0;
}

static bool is_kept(const struct ec2_reserved6 *r, const uint8_t address[16])
{
	for (uint32_t i = 0; i < r->n; i++)
		if (ec2_block6_has(&r->v[i], address))
			return true;
	return false;
}

/* Absent: reservations keep the subnet, or all but so little of it that none was found at random. */
static struct str free_address(const struct ec2_scope *s, const struct ec2_subnet *subnet, const struct ec2_block6 *b)
{
	uint8_t address[16];
	struct ec2_reserved6 kept = ec2_subnet_reserved6(s, subnet->subnet_id);
	for (int i = 0; i < TRIES; i++) {
		memcpy(address, b->base, sizeof(address));
		rand_bytes(address + 8, 8);
		if (reserved(b, address) || is_kept(&kept, address))
			continue;
		struct str text = ec2_address6_text(s->arena, address);
		if (!is_taken(s, subnet->subnet_id, text))
			return text;
	}
	return STR_NONE;
}

static int find_address(const struct ec2_network_interface *eni, struct str text)
{
	for (uint32_t i = 0; i < eni->ipv6_addresses.n; i++)
		if (str_eq(eni->ipv6_addresses.v[i].ipv6_address, text))
			return (int)i;
	return -1;
}

/* The one that is shown as the interface's is the first. */
static void show_first(struct ec2_network_interface *eni)
{
	eni->ipv6_address = eni->ipv6_addresses.n ? eni->ipv6_addresses.v[0].ipv6_address : STR_NONE;
}

int ec2_interface_check_ipv6(struct call *c, const struct str_list *given, struct opt_int count)
{
	if (count.v < 0)
		return ec2_invalid(c, "Value (%ld) for parameter ipv6AddressCount is invalid.", count.v);
	if (given->n && count.v)
		return ec2_combination(c, "The parameters ipv6Addresses and ipv6AddressCount may not be used together");
	if (given->n > EC2_INTERFACE_ADDRESSES_MAX || count.v > EC2_INTERFACE_ADDRESSES_MAX)
		return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of IPv6 addresses will exceed limit.");
	return CALL_OK;
}

static int check_address(struct call *c, const struct ec2_subnet *subnet, const struct ec2_block6 *b, struct str given,
                         struct str *ret)
{
	struct ec2_scope s = ec2_scope(c);
	uint8_t address[16];
	if (!ec2_address6_parse(given, address))
		return ec2_invalid(c, "Invalid IPv6 address: %.*s", STR_ARG(given));
	if (!ec2_block6_has(b, address))
		return ec2_invalid(c, "Address does not fall within the subnet's address range");
	if (reserved(b, address))
		return ec2_invalid(c, "Address is in subnet's reserved address range");
	*ret = ec2_address6_text(c->arena, address);
	if (is_taken(&s, subnet->subnet_id, *ret))
		return call_fail(c, "InvalidIPAddress.InUse", 400, "The specified address is already in use.");
	return CALL_OK;
}

int ec2_interface_add_ipv6(struct call *c, struct ec2_network_interface *eni, const struct ec2_subnet *subnet,
                           const struct str_list *given, int64_t count, struct str_list *ret_added)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_block6 block;
	int64_t n = given->n ? given->n : count;
	if (!n)
		return CALL_OK;
	if (!ec2_subnet_block6(subnet, &block))
		return ec2_invalid(c, "The subnet '%.*s' has no IPv6 CIDR block", STR_ARG(subnet->subnet_id));
	if (eni->ipv6_addresses.n + n > EC2_INTERFACE_ADDRESSES_MAX)
		return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of IPv6 addresses will exceed limit.");
	for (int64_t i = 0; i < n; i++) {
		struct str text;
		if (!given->n)
			text = free_address(&s, subnet, &block);
		else if (check_address(c, subnet, &block, given->v[i], &text) != CALL_OK)
			return CALL_FAIL;
		if (!str_set(text))
			return call_fail(c, "InsufficientFreeAddressesInSubnet", 400,
			                 "The specified subnet does not have enough free addresses to satisfy the request.");
		*LIST_ADD(c->arena, &eni->ipv6_addresses) =
		        (struct ec2_network_interface_ipv6_address){.ipv6_address = text, .is_primary_ipv6 = OPT_BOOL(false)};
		store_put(s.txn, address_key(&s, eni->subnet_id, text), eni->network_interface_id);
		if (ret_added)
			*LIST_ADD(c->arena, ret_added) = text;
	}
	show_first(eni);
	return CALL_OK;
}

void ec2_interface_forget_ipv6(const struct ec2_scope *s, struct ec2_network_interface *eni)
{
	for (uint32_t i = 0; i < eni->ipv6_addresses.n; i++)
		store_delete(s->txn, address_key(s, eni->subnet_id, eni->ipv6_addresses.v[i].ipv6_address));
}

struct str_list ec2_addresses6_of(struct arena *a, const struct ec2_instance_ipv6_address_list *l)
{
	struct str_list ret = {0};
	for (uint32_t i = 0; i < l->n; i++)
		*LIST_ADD(a, &ret) = l->v[i].ipv6_address;
	return ret;
}

/* --- operations */

int ec2_assign_ipv6_addresses(struct call *c, const struct ec2_assign_ipv6_addresses_request *in,
                              struct ec2_assign_ipv6_addresses_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	struct ec2_subnet subnet;
	if (in->ipv6_prefixes.n || in->ipv6_prefix_count.v)
		return ec2_unsupported(c, "A delegated prefix");
	if (!in->ipv6_addresses.n && in->ipv6_address_count.v == 0)
		return ec2_missing(c, "ipv6Addresses or ipv6AddressCount");
	if (ec2_interface_check_ipv6(c, &in->ipv6_addresses, in->ipv6_address_count) != CALL_OK ||
	    ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK ||
	    ec2_get(c, &ec2_kind_subnet, record.interface->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	out->network_interface_id = in->network_interface_id;
	out->assigned_ipv6_addresses.set = true;
	if (ec2_interface_add_ipv6(c, record.interface, &subnet, &in->ipv6_addresses, in->ipv6_address_count.v,
	                           &out->assigned_ipv6_addresses) != CALL_OK)
		return CALL_FAIL;
	ec2_interface_put(&s, &record);
	return CALL_OK;
}

int ec2_unassign_ipv6_addresses(struct call *c, const struct ec2_unassign_ipv6_addresses_request *in,
                                struct ec2_unassign_ipv6_addresses_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	if (in->ipv6_prefixes.n)
		return ec2_unsupported(c, "A delegated prefix");
	if (!in->ipv6_addresses.n)
		return ec2_missing(c, "ipv6Addresses");
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	struct ec2_network_interface_ipv6_addresses_list *l = &record.interface->ipv6_addresses;
	out->network_interface_id = in->network_interface_id;
	for (uint32_t i = 0; i < in->ipv6_addresses.n; i++) {
		uint8_t address[16];
		if (!ec2_address6_parse(in->ipv6_addresses.v[i], address))
			return ec2_invalid(c, "Invalid IPv6 address: %.*s", STR_ARG(in->ipv6_addresses.v[i]));
		struct str text = ec2_address6_text(c->arena, address);
		int at = find_address(record.interface, text);
		if (at < 0)
			return ec2_invalid(c, "Some of the specified addresses are not assigned to interface %.*s",
			                   STR_ARG(in->network_interface_id));
		store_delete(s.txn, address_key(&s, record.interface->subnet_id, text));
		memmove(&l->v[at], &l->v[at + 1], (l->n - (uint32_t)at - 1) * sizeof(*l->v));
		l->n--;
		*LIST_ADD(c->arena, &out->unassigned_ipv6_addresses) = text;
	}
	show_first(record.interface);
	ec2_interface_put(&s, &record);
	return CALL_OK;
}
