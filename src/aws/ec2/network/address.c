/* Elastic addresses: AllocateAddress, AssociateAddress, DisassociateAddress, ReleaseAddress, DescribeAddresses. The record of the
 * address and that of the interface name each other; both change in one transaction. */
#include "aws/ec2/network/vpc.h"

int ec2_allocate_address(struct call *c, const struct ec2_allocate_address_request *in, struct ec2_allocate_address_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_address address, other;
	struct ec2_tag_list tags;
	uint32_t ip = 0;
	if (str_set(in->public_ipv4_pool) && !str_is(in->public_ipv4_pool, "amazon"))
		return ec2_unsupported(c, "An address pool of your own");
	if (str_set(in->customer_owned_ipv4_pool) || str_set(in->ipam_pool_id))
		return ec2_unsupported(c, "A customer-owned or IPAM pool");
	if (str_is(in->domain, "standard"))
		return ec2_invalid(c, "Invalid value 'standard' for domain. EC2-Classic is not available.");
	if (str_set(in->network_border_group) && !str_eq(in->network_border_group, c->region))
		return ec2_invalid(c, "Value (%.*s) for parameter networkBorderGroup is invalid.",
		                   STR_ARG(in->network_border_group));
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_address, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_address);
	while (ec2_next(&all, &other))
		n++;
	if (n >= EC2_ADDRESSES_MAX)
		return call_fail(c, "AddressLimitExceeded", 400, "The maximum number of addresses has been reached.");
	struct str id = ec2_new_id(c->arena, "eipalloc");
	if (str_set(in->address)) {
		if (!ec2_address_parse(in->address, &ip) || !ec2_pool_take_this(&s, id, ip))
			return call_fail(c, "InvalidAddress.NotFound", 400, "Address '%.*s' not found.", STR_ARG(in->address));
	} else if (!ec2_pool_take(&s, id, &ip)) {
		return call_fail(c, "InsufficientAddressCapacity", 500, "Not enough available addresses to satisfy your request.");
	}
	address = (struct ec2_address){.allocation_id = id,
	                               .public_ip = ec2_address_text(c->arena, ip),
	                               .domain = S("vpc"),
	                               .public_ipv4_pool = S("amazon"),
	                               .network_border_group = c->region,
	                               .tags = tags};
	ec2_put(&s, &ec2_kind_address, id, &address);
	out->allocation_id = id;
	out->public_ip = address.public_ip;
	out->domain = address.domain;
	out->public_ipv4_pool = address.public_ipv4_pool;
	out->network_border_group = address.network_border_group;
	return CALL_OK;
}

/* The address that a request means, by allocation or by itself. */
static int given(struct call *c, struct str allocation, struct str public_ip, struct ec2_address *ret)
{
	struct ec2_scope s = ec2_scope(c);
	if (str_set(allocation) && str_set(public_ip))
		return ec2_combination(c, "You may specify public IP or allocation id, but not both in the same call");
	if (str_set(allocation))
		return ec2_get(c, &ec2_kind_address, allocation, ret);
	if (!str_set(public_ip))
		return call_fail(c, "MissingParameter", 400, "Either public IP or allocation id must be specified");
	uint32_t ip;
	if (!ec2_address_parse(public_ip, &ip))
		return ec2_invalid(c, "Value (%.*s) for parameter publicIp is invalid. Invalid IPv4 address.", STR_ARG(public_ip));
	struct ec2_all all = ec2_all(&s, &ec2_kind_address);
	while (ec2_next(&all, ret))
		if (str_eq(ret->public_ip, public_ip))
			return CALL_OK;
	return call_fail(c, "InvalidAddress.NotFound", 400, "Address '%.*s' not found.", STR_ARG(public_ip));
}

/* --- association */

static void forget_interface(struct ec2_address *a)
{
	a->association_id = a->network_interface_id = a->network_interface_owner_id = a->private_ip_address = a->instance_id =
	        STR_NONE;
}

void ec2_address_let_go(const struct ec2_scope *s, struct str allocation)
{
	struct ec2_address address;
	if (!ec2_find(s, &ec2_kind_address, allocation, &address))
		return;
	forget_interface(&address);
	ec2_put(s, &ec2_kind_address, allocation, &address);
}

/* Takes the address from the interface that has it. */
static void unbind(const struct ec2_scope *s, struct ec2_address *address)
{
	struct state_vpc_interface_record record;
	if (!str_set(address->association_id))
		return;
	if (ec2_find(s, &ec2_kind_interface, address->network_interface_id, &record)) {
		struct ec2_network_interface *eni = record.interface;
		for (uint32_t i = 0; i < eni->private_ip_addresses.n; i++)
			if (eni->private_ip_addresses.v[i].association &&
			    str_eq(eni->private_ip_addresses.v[i].association->allocation_id, address->allocation_id))
				eni->private_ip_addresses.v[i].association = NULL;
		ec2_interface_put(s, &record);
	}
	forget_interface(address);
	ec2_put(s, &ec2_kind_address, address->allocation_id, address);
}

void ec2_address_bind(struct call *c, struct ec2_address *address, struct state_vpc_interface_record *record, uint32_t at)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_network_interface *eni = record->interface;
	struct ec2_network_interface_private_ip_address *p = &eni->private_ip_addresses.v[at];
	bool names = ec2_find(&s, &ec2_kind_vpc, eni->vpc_id, &vpc) && vpc.dns_hostnames.v && vpc.dns_support.v;
	address->association_id = ec2_new_id(c->arena, "eipassoc");
	address->network_interface_id = eni->network_interface_id;
	address->network_interface_owner_id = c->account;
	address->private_ip_address = p->private_ip_address;
	address->instance_id = eni->attachment ? eni->attachment->instance_id : STR_NONE;
	p->association = ec2_association_make(&s, address->public_ip, address->allocation_id, address->association_id, names);
	ec2_put(&s, &ec2_kind_address, address->allocation_id, address);
	ec2_interface_put(&s, record);
}

/* The interface and which of its private addresses an association is for. */
static int place(struct call *c, const struct ec2_associate_address_request *in, struct state_vpc_interface_record *ret,
                 uint32_t *ret_at)
{
	struct ec2_scope s = ec2_scope(c);
	if (str_set(in->instance_id) == str_set(in->network_interface_id))
		return str_set(in->instance_id)
		               ? ec2_combination(
		                         c, "You may specify instance id or network interface id, but not both in the same call")
		               : call_fail(c, "MissingParameter", 400,
		                           "Either instance ID or network interface id must be specified");
	if (str_set(in->instance_id)) {
		struct ec2_interfaces all = {0};
		if (!ec2_id_well_formed(in->instance_id, "i"))
			return call_fail(c, "InvalidInstanceID.Malformed", 400, "Invalid id: \"%.*s\"", STR_ARG(in->instance_id));
		ec2_interfaces_of(&s, in->instance_id, &all);
		if (!all.n)
			return call_fail(c, "InvalidInstanceID.NotFound", 400, "The instance ID '%.*s' does not exist",
			                 STR_ARG(in->instance_id));
		if (all.n > 1)
			return call_fail(
			        c, "InvalidInstanceID", 400,
			        "There are multiple interfaces attached to instance '%.*s'. Please specify an interface ID for the operation instead.",
			        STR_ARG(in->instance_id));
		*ret = all.v[0];
	} else if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, ret) != CALL_OK) {
		return CALL_FAIL;
	}
	*ret_at = 0;
	if (!str_set(in->private_ip_address))
		return CALL_OK;
	for (; *ret_at < ret->interface->private_ip_addresses.n; ++*ret_at)
		if (str_eq(ret->interface->private_ip_addresses.v[*ret_at].private_ip_address, in->private_ip_address))
			return CALL_OK;
	return ec2_invalid(c, "The private IP address %.*s is not assigned to network interface '%.*s'",
	                   STR_ARG(in->private_ip_address), STR_ARG(ret->interface->network_interface_id));
}

bool ec2_vpc_has_gateway(struct call *c, struct str vpc)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_internet_gateway gateway;
	struct ec2_all all = ec2_all(&s, &ec2_kind_gateway);
	while (ec2_next(&all, &gateway))
		if (gateway.attachments.n && str_eq(gateway.attachments.v[0].vpc_id, vpc))
			return true;
	return false;
}

int ec2_associate_address(struct call *c, const struct ec2_associate_address_request *in, struct ec2_associate_address_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_address address;
	struct state_vpc_interface_record record;
	uint32_t at = 0;
	if (given(c, in->allocation_id, in->public_ip, &address) != CALL_OK || place(c, in, &record, &at) != CALL_OK)
		return CALL_FAIL;
	struct ec2_network_interface *eni = record.interface;
	if (!ec2_vpc_has_gateway(c, eni->vpc_id))
		return call_fail(c, "Gateway.NotAttached", 400, "Network %.*s is not attached to any internet gateway",
		                 STR_ARG(eni->vpc_id));
	struct ec2_network_interface_private_ip_address *p = &eni->private_ip_addresses.v[at];
	if (p->association && str_eq(p->association->allocation_id, address.allocation_id)) {
		out->association_id = address.association_id;
		return CALL_OK;
	}
	bool may = !in->allow_reassociation.set || in->allow_reassociation.v;
	if (str_set(address.association_id) && !may)
		return call_fail(c, "Resource.AlreadyAssociated", 400, "resource %.*s is already associated with associate-id %.*s",
		                 STR_ARG(address.allocation_id), STR_ARG(address.association_id));
	if (p->association && str_set(p->association->allocation_id) && !may)
		return call_fail(c, "Resource.AlreadyAssociated", 400,
		                 "the specified private address %.*s is already associated with an elastic IP",
		                 STR_ARG(p->private_ip_address));
	unbind(&s, &address);
	/* What stood here: a lent address goes back, an elastic one stays allocated. */
	if (record.interface->private_ip_addresses.v[at].association) {
		struct ec2_address old;
		struct str allocation = p->association->allocation_id;
		uint32_t ip;
		if (str_set(allocation) && ec2_find(&s, &ec2_kind_address, allocation, &old))
			unbind(&s, &old);
		else if (ec2_address_parse(p->association->public_ip, &ip))
			ec2_pool_give(&s, ip);
	}
	/* The address may have been at another place of this very interface. */
	if (ec2_get(c, &ec2_kind_interface, eni->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	ec2_address_bind(c, &address, &record, at);
	out->association_id = address.association_id;
	return CALL_OK;
}

int ec2_disassociate_address(struct call *c, const struct ec2_disassociate_address_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_address address;
	if (str_set(in->association_id)) {
		struct ec2_all all = ec2_all(&s, &ec2_kind_address);
		bool found = false;
		while (!found && ec2_next(&all, &address))
			found = str_eq(address.association_id, in->association_id);
		if (!found)
			return call_fail(c, "InvalidAssociationID.NotFound", 400, "The association ID '%.*s' does not exist",
			                 STR_ARG(in->association_id));
	} else if (given(c, STR_NONE, in->public_ip, &address) != CALL_OK) {
		return CALL_FAIL;
	}
	if (str_set(address.service_managed))
		return call_fail(c, "AuthFailure", 403, "You do not have permission to access the specified resource.");
	unbind(&s, &address);
	return CALL_OK;
}

int ec2_release_address(struct call *c, const struct ec2_release_address_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_address address;
	uint32_t ip;
	if (given(c, in->allocation_id, in->public_ip, &address) != CALL_OK)
		return CALL_FAIL;
	if (str_set(address.association_id))
		return call_fail(c, "InvalidIPAddress.InUse", 400, "Address %.*s is in use.", STR_ARG(address.public_ip));
	if (ec2_address_parse(address.public_ip, &ip))
		ec2_pool_give(&s, ip);
	ec2_drop(&s, &ec2_kind_address, address.allocation_id);
	return CALL_OK;
}

/* --- lists */

#define ADDRESS(name, member) FIELD_TEXT(name, ec2_address, member)
static const struct ec2_field fields[] = {
        ADDRESS("allocation-id", allocation_id),
        ADDRESS("association-id", association_id),
        ADDRESS("domain", domain),
        ADDRESS("instance-id", instance_id),
        ADDRESS("network-border-group", network_border_group),
        ADDRESS("network-interface-id", network_interface_id),
        ADDRESS("network-interface-owner-id", network_interface_owner_id),
        ADDRESS("private-ip-address", private_ip_address),
        ADDRESS("public-ip", public_ip),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_addresses_result *)out)->addresses) = *(struct ec2_address *)record;
}

int ec2_describe_addresses(struct call *c, const struct ec2_describe_addresses_request *in,
                           struct ec2_describe_addresses_result *out)
{
	struct str_list ids = {0};
	for (uint32_t i = 0; i < in->allocation_ids.n; i++)
		*LIST_ADD(c->arena, &ids) = in->allocation_ids.v[i];
	for (uint32_t i = 0; i < in->public_ips.n; i++) {
		struct ec2_address address;
		if (given(c, STR_NONE, in->public_ips.v[i], &address) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &ids) = address.allocation_id;
	}
	out->addresses.set = true;
	struct str none;
	return ec2_describe(
	        c,
	        &(struct ec2_walk){.kind = &ec2_kind_address, .fields = fields, .filters = &in->filters, .ids = &ids, .show = show},
	        out, &none);
}

/* The attribute is the name that the address has in reverse DNS. None can be given here, so none is shown. */
int ec2_describe_addresses_attribute(struct call *c, const struct ec2_describe_addresses_attribute_request *in,
                                     struct ec2_describe_addresses_attribute_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_address address;
	struct str after;
	if (ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	out->addresses.set = true;
	for (uint32_t i = 0; i < in->allocation_ids.n; i++) {
		if (ec2_get(c, &ec2_kind_address, in->allocation_ids.v[i], &address) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &out->addresses) =
		        (struct ec2_address_attribute){.public_ip = address.public_ip, .allocation_id = address.allocation_id};
	}
	struct ec2_all all = ec2_all(&s, &ec2_kind_address);
	struct str last = STR_NONE;
	while (!in->allocation_ids.n && ec2_next(&all, &address)) {
		if (str_set(after) && str_cmp(address.allocation_id, after) <= 0)
			continue;
		if (in->max_results.set && out->addresses.n == in->max_results.v) {
			out->next_token = ec2_page_token(c, last);
			break;
		}
		last = address.allocation_id;
		*LIST_ADD(c->arena, &out->addresses) =
		        (struct ec2_address_attribute){.public_ip = address.public_ip, .allocation_id = address.allocation_id};
	}
	return CALL_OK;
}
