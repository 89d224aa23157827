/* The operations on network interfaces. Attaching them is the instances' business (instance operations). */
#include "aws/ec2/network/ipv6.h"

#include "base/clock.h"

int ec2_create_network_interface(struct call *c, const struct ec2_create_network_interface_request *in,
                                 struct ec2_create_network_interface_result *out)
{
	struct state_vpc_interface_record record;
	struct str_list secondary = {0};
	struct str primary = in->private_ip_address;
	struct ec2_tag_list tags;
	struct str_list ipv6 = ec2_addresses6_of(c->arena, &in->ipv6_addresses);
	if (in->enable_primary_ipv6.v)
		return ec2_unsupported(c, "A primary IPv6 address");
	if (ec2_interface_check_ipv6(c, &ipv6, in->ipv6_address_count) != CALL_OK)
		return CALL_FAIL;
	if (in->ipv4_prefixes.n || in->ipv4_prefix_count.v || in->ipv6_prefixes.n || in->ipv6_prefix_count.v)
		return ec2_unsupported(c, "A delegated prefix");
	if (str_set(in->interface_type) && !str_is(in->interface_type, "interface"))
		return ec2_unsupported(c, "An interface of this type");
	if (in->connection_tracking_specification || in->operator)
		return ec2_unsupported(c, "A connection tracking specification or an operator");
	for (uint32_t i = 0; i < in->private_ip_addresses.n; i++) {
		const struct ec2_private_ip_address_specification *p = &in->private_ip_addresses.v[i];
		if (!p->primary.v)
			*LIST_ADD(c->arena, &secondary) = p->private_ip_address;
		else if (str_set(primary))
			return ec2_invalid(c, "Only one primary private IP address can be specified.");
		else
			primary = p->private_ip_address;
	}
	if (in->secondary_private_ip_address_count.v < 0)
		return ec2_invalid(c, "Value (%ld) for parameter secondaryPrivateIpAddressCount is invalid.",
		                   in->secondary_private_ip_address_count.v);
	if (in->secondary_private_ip_address_count.set && secondary.n)
		return ec2_combination(c, "Secondary addresses can be given or counted, not both");
	if (in->secondary_private_ip_address_count.v >= EC2_INTERFACE_ADDRESSES_MAX)
		return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of private addresses will exceed limit.");
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_interface, &tags) != CALL_OK)
		return CALL_FAIL;
	if (ec2_interface_create(c,
	                         &(struct ec2_interface_new){.subnet = in->subnet_id,
	                                                     .groups = &in->groups,
	                                                     .address = primary,
	                                                     .secondary = &secondary,
	                                                     .secondary_count = in->secondary_private_ip_address_count.v,
	                                                     .ipv6 = &ipv6,
	                                                     .ipv6_count = in->ipv6_address_count.v,
	                                                     .description = in->description,
	                                                     .tags = tags},
	                         &record) != CALL_OK)
		return CALL_FAIL;
	out->network_interface = record.interface;
	out->client_token = in->client_token;
	return CALL_OK;
}

int ec2_delete_network_interface(struct call *c, const struct ec2_delete_network_interface_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	if (record.interface->requester_managed.v)
		return call_fail(c, "OperationNotPermitted", 400, "You are not allowed to manage this network interface.");
	if (record.interface->attachment)
		return ec2_invalid(c, "Network interface '%.*s' is currently in use.", STR_ARG(in->network_interface_id));
	ec2_interface_remove(&s, &record);
	return CALL_OK;
}

/* --- lists */

#define EACH_ADDRESS(fn, value) \
	static void fn(struct call *c, void *r, struct str_list *ret) \
	{ \
		const struct ec2_network_interface *eni = ((struct state_vpc_interface_record *)r)->interface; \
		for (uint32_t i = 0; i < eni->private_ip_addresses.n; i++) { \
			const struct ec2_network_interface_private_ip_address *p = &eni->private_ip_addresses.v[i]; \
			*LIST_ADD(c->arena, ret) = value; \
		} \
	}
EACH_ADDRESS(publics, p->association ? p->association->public_ip : STR_NONE)
EACH_ADDRESS(allocations, p->association ? p->association->allocation_id : STR_NONE)
EACH_ADDRESS(associations, p->association ? p->association->association_id : STR_NONE)
EACH_ADDRESS(address_owners, p->association ? p->association->ip_owner_id : STR_NONE)
EACH_ADDRESS(public_names, p->association ? p->association->public_dns_name : STR_NONE)
EACH_ADDRESS(primaries, p->primary.v ? S("true") : S("false"))

#define OF_ATTACHMENT(fn, value) \
	static void fn(struct call *c, void *r, struct str_list *ret) \
	{ \
		const struct ec2_network_interface_attachment *at = \
		        ((struct state_vpc_interface_record *)r)->interface->attachment; \
		if (at) \
			*LIST_ADD(c->arena, ret) = value; \
	}
OF_ATTACHMENT(attachment_id, at->attachment_id)
OF_ATTACHMENT(attachment_instance, at->instance_id)
OF_ATTACHMENT(attachment_owner, at->instance_owner_id)
OF_ATTACHMENT(attachment_status, at->status)
OF_ATTACHMENT(attachment_index, arena_printf(c->arena, "%ld", at->device_index.v))
OF_ATTACHMENT(attachment_delete, at->delete_on_termination.v ? S("true") : S("false"))
OF_ATTACHMENT(attachment_time, time_format(c->arena, at->attach_time.ms, TIME_ISO8601_MS))

#define ENI(name, member) FIELD_TEXT(name, ec2_network_interface, member)
static const struct ec2_field fields[] = {
        FIELD_ASK("addresses.association.public-ip", publics),
        FIELD_ASK("addresses.association.owner-id", address_owners),
        FIELD_ASK("addresses.primary", primaries),
        FIELD_EACH("addresses.private-ip-address", ec2_network_interface, private_ip_addresses,
                   ec2_network_interface_private_ip_address, private_ip_address),
        FIELD_ASK("association.allocation-id", allocations),
        FIELD_ASK("association.association-id", associations),
        FIELD_ASK("association.ip-owner-id", address_owners),
        FIELD_ASK("association.public-ip", publics),
        FIELD_ASK("association.public-dns-name", public_names),
        FIELD_ASK("attachment.attachment-id", attachment_id),
        FIELD_ASK("attachment.instance-id", attachment_instance),
        FIELD_ASK("attachment.instance-owner-id", attachment_owner),
        FIELD_ASK("attachment.status", attachment_status),
        FIELD_ASK("attachment.device-index", attachment_index),
        FIELD_ASK("attachment.delete-on-termination", attachment_delete),
        FIELD_ASK("attachment.attach-time", attachment_time),
        ENI("availability-zone", availability_zone),
        ENI("availability-zone-id", availability_zone_id),
        ENI("description", description),
        FIELD_EACH("group-id", ec2_network_interface, groups, ec2_group_identifier, group_id),
        FIELD_EACH("group-name", ec2_network_interface, groups, ec2_group_identifier, group_name),
        ENI("interface-type", interface_type),
        FIELD_EACH("ipv6-addresses.ipv6-address", ec2_network_interface, ipv6_addresses, ec2_network_interface_ipv6_address,
                   ipv6_address),
        ENI("mac-address", mac_address),
        ENI("network-interface-id", network_interface_id),
        FIELD_PATH("operator.managed", "NetworkInterface", "Operator.Managed"),
        FIELD_PATH("operator.principal", "NetworkInterface", "Operator.Principal"),
        ENI("owner-id", owner_id),
        ENI("private-dns-name", private_dns_name),
        ENI("private-ip-address", private_ip_address),
        ENI("requester-id", requester_id),
        FIELD_FLAG("requester-managed", ec2_network_interface, requester_managed),
        FIELD_FLAG("source-dest-check", ec2_network_interface, source_dest_check),
        ENI("status", status),
        ENI("subnet-id", subnet_id),
        ENI("vpc-id", vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_network_interfaces_result *)out)->network_interfaces) =
	        *((struct state_vpc_interface_record *)record)->interface;
}

int ec2_describe_network_interfaces(struct call *c, const struct ec2_describe_network_interfaces_request *in,
                                    struct ec2_describe_network_interfaces_result *out)
{
	out->network_interfaces.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_interface,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->network_interface_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

/* --- attributes */

int ec2_modify_network_interface_attribute(struct call *c, const struct ec2_modify_network_interface_attribute_request *in,
                                           struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	if (in->ena_srd_specification || in->enable_primary_ipv6.v || in->connection_tracking_specification ||
	    in->associated_subnet_ids.n || in->associate_public_ip_address.set)
		return ec2_unsupported(c, "This attribute of a network interface");
	int given = !!in->description + !!in->source_dest_check + !!in->groups.n + !!in->attachment;
	if (given != 1)
		return ec2_combination(c, given ? "Fields for multiple attribute types specified" : "No attributes specified.");
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	struct ec2_network_interface *eni = record.interface;
	if (eni->requester_managed.v)
		return call_fail(c, "OperationNotPermitted", 400, "You are not allowed to manage this network interface.");
	if (in->description)
		eni->description = in->description->value;
	if (in->source_dest_check)
		eni->source_dest_check = OPT_BOOL(in->source_dest_check->value.v);
	if (in->groups.n && ec2_interface_set_groups(c, &record, &in->groups) != CALL_OK)
		return CALL_FAIL;
	if (in->attachment) {
		if (in->attachment->ena_queue_count.set || in->attachment->default_ena_queue_count.set)
			return ec2_unsupported(c, "A count of ENA queues");
		if (!str_set(in->attachment->attachment_id))
			return ec2_missing(c, "attachmentId");
		if (!eni->attachment || !str_eq(eni->attachment->attachment_id, in->attachment->attachment_id))
			return call_fail(c, "InvalidAttachmentID.NotFound", 400, "The attachment '%.*s' does not exist",
			                 STR_ARG(in->attachment->attachment_id));
		eni->attachment->delete_on_termination = OPT_BOOL(in->attachment->delete_on_termination.v);
	}
	ec2_interface_put(&s, &record);
	return CALL_OK;
}

int ec2_describe_network_interface_attribute(struct call *c, const struct ec2_describe_network_interface_attribute_request *in,
                                             struct ec2_describe_network_interface_attribute_result *out)
{
	struct state_vpc_interface_record record;
	if (!str_set(in->attribute))
		return ec2_combination(c, "No attributes specified.");
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	const struct ec2_network_interface *eni = record.interface;
	out->network_interface_id = in->network_interface_id;
	if (str_is(in->attribute, "description")) {
		out->description = arena_new(c->arena, struct ec2_attribute_value);
		out->description->value = eni->description;
	} else if (str_is(in->attribute, "groupSet")) {
		out->groups = eni->groups;
	} else if (str_is(in->attribute, "sourceDestCheck")) {
		out->source_dest_check = arena_new(c->arena, struct ec2_attribute_boolean_value);
		out->source_dest_check->value = eni->source_dest_check;
	} else if (str_is(in->attribute, "attachment")) {
		out->attachment = eni->attachment;
	} else if (str_is(in->attribute, "associatePublicIpAddress")) {
		/* of an address that the launch took from Amazon's: an elastic one is associated, and not this */
		out->associate_public_ip_address = OPT_BOOL(eni->association && str_is(eni->association->ip_owner_id, "amazon"));
	} else {
		return ec2_invalid(c, "Value (%.*s) for parameter attribute is invalid. Unknown attribute.",
		                   STR_ARG(in->attribute));
	}
	return CALL_OK;
}

int ec2_reset_network_interface_attribute(struct call *c, const struct ec2_reset_network_interface_attribute_request *in,
                                          struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	if (str_set(in->source_dest_check) && !str_is(in->source_dest_check, "true") &&
	    !str_is(in->source_dest_check, "sourceDestCheck"))
		return ec2_invalid(c, "Value (%.*s) for parameter sourceDestCheck is invalid.", STR_ARG(in->source_dest_check));
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	record.interface->source_dest_check = OPT_BOOL(true);
	ec2_interface_put(&s, &record);
	return CALL_OK;
}

/* --- secondary addresses */

static int find_address(const struct ec2_network_interface *eni, struct str text)
{
	for (uint32_t i = 0; i < eni->private_ip_addresses.n; i++)
		if (str_eq(eni->private_ip_addresses.v[i].private_ip_address, text))
			return (int)i;
	return -1;
}

/* With AllowReassignment an address may be taken from another interface, but never its primary one. */
static int take_over(struct call *c, const struct ec2_subnet *subnet, struct str text, struct str own)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record other;
	uint32_t address;
	if (!ec2_address_parse(text, &address))
		return CALL_OK; /* is refused where it is added */
	struct str holder = ec2_address_holder(&s, subnet->subnet_id, address);
	if (!str_set(holder) || str_eq(holder, own) || !ec2_find(&s, &ec2_kind_interface, holder, &other))
		return CALL_OK;
	int at = find_address(other.interface, text);
	if (at <= 0)
		return ec2_invalid(c, "The primary private IP address %.*s of another interface cannot be reassigned",
		                   STR_ARG(text));
	ec2_interface_drop_address(&s, other.interface, (uint32_t)at);
	ec2_interface_put(&s, &other);
	return CALL_OK;
}

int ec2_assign_private_ip_addresses(struct call *c, const struct ec2_assign_private_ip_addresses_request *in,
                                    struct ec2_assign_private_ip_addresses_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	struct ec2_subnet subnet;
	int64_t count = in->secondary_private_ip_address_count.v;
	if (in->ipv4_prefixes.n || in->ipv4_prefix_count.v)
		return ec2_unsupported(c, "A delegated prefix");
	if (in->private_ip_addresses.n && in->secondary_private_ip_address_count.set)
		return ec2_combination(c, "Secondary addresses can be given or counted, not both");
	if (!in->private_ip_addresses.n && count < 1)
		return ec2_missing(c, "privateIpAddress or secondaryPrivateIpAddressCount");
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK ||
	    ec2_get(c, &ec2_kind_subnet, record.interface->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	if (count >= EC2_INTERFACE_ADDRESSES_MAX)
		return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of private addresses will exceed limit.");
	out->network_interface_id = in->network_interface_id;
	for (int64_t i = 0; i < (in->private_ip_addresses.n ? in->private_ip_addresses.n : count); i++) {
		struct str text = in->private_ip_addresses.n ? in->private_ip_addresses.v[i] : STR_NONE;
		if (str_set(text) && find_address(record.interface, text) >= 0)
			continue;
		if (in->allow_reassignment.v && str_set(text) &&
		    take_over(c, &subnet, text, record.interface->network_interface_id) != CALL_OK)
			return CALL_FAIL;
		if (ec2_interface_add_address(c, record.interface, &subnet, text) != CALL_OK)
			return CALL_FAIL;
		LIST_ADD(c->arena, &out->assigned_private_ip_addresses)->private_ip_address =
		        record.interface->private_ip_addresses.v[record.interface->private_ip_addresses.n - 1].private_ip_address;
	}
	ec2_interface_put(&s, &record);
	return CALL_OK;
}

int ec2_unassign_private_ip_addresses(struct call *c, const struct ec2_unassign_private_ip_addresses_request *in,
                                      struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	if (in->ipv4_prefixes.n)
		return ec2_unsupported(c, "A delegated prefix");
	if (!in->private_ip_addresses.n)
		return ec2_missing(c, "privateIpAddress");
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->private_ip_addresses.n; i++) {
		int at = find_address(record.interface, in->private_ip_addresses.v[i]);
		if (at == 0)
			return ec2_invalid(c, "The primary IP address of an interface cannot be unassigned.");
		if (at < 0)
			return ec2_invalid(c, "Some of the specified addresses are not assigned to interface %.*s",
			                   STR_ARG(in->network_interface_id));
		ec2_interface_drop_address(&s, record.interface, (uint32_t)at);
	}
	ec2_interface_put(&s, &record);
	return CALL_OK;
}
