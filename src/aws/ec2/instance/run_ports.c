/* The network interfaces that instances are launched with: one of the request's own, or those of a list, of which some may exist.
 */
#include "aws/ec2/instance/run.h"
#include "aws/ec2/network/ipv6.h"
#include "engine/vm/machine.h"

#include <stdlib.h>

typedef struct ec2_instance_network_interface_specification port_spec;

static int by_index(const void *a, const void *b)
{
	const struct run_port *x = a, *y = b;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int check_kinds(struct call *c, const port_spec *p)
{
	if (p->ipv6_prefixes.n || p->ipv6_prefix_count.v || p->primary_ipv6.v || p->ipv4_prefixes.n || p->ipv4_prefix_count.v ||
	    p->associate_carrier_ip_address.v || p->ena_srd_specification || p->connection_tracking_specification ||
	    p->ena_queue_count.set || (p->interface_type.n && !str_is(p->interface_type, "interface")))
		return ec2_unsupported(c, "A primary IPv6 address, a delegated prefix or another kind of interface");
	if (p->network_card_index.v)
		return ec2_invalid(c, "The network card index %lld is not supported by the instance type",
		                   (long long)p->network_card_index.v);
	if (!p->device_index.set)
		return ec2_missing(c, "networkInterface.deviceIndex");
	if (p->device_index.v < 0)
		return ec2_invalid(c, "Value (%lld) for parameter deviceIndex is invalid.", (long long)p->device_index.v);
	return CALL_OK;
}

static int take_addresses(struct call *c, const port_spec *p, struct run_port *to)
{
	to->address = p->private_ip_address;
	for (uint32_t i = 0; i < p->private_ip_addresses.n; i++) {
		const struct ec2_private_ip_address_specification *a = &p->private_ip_addresses.v[i];
		if (!a->primary.v)
			*LIST_ADD(c->arena, &to->secondary) = a->private_ip_address;
		else if (to->address.n)
			return ec2_combination(c, "Only one primary private IP address can be specified.");
		else
			to->address = a->private_ip_address;
	}
	to->secondary_count = p->secondary_private_ip_address_count.v;
	if (to->secondary_count < 0)
		return ec2_invalid(c, "Value (%lld) for parameter secondaryPrivateIpAddressCount is invalid.",
		                   (long long)to->secondary_count);
	if (p->secondary_private_ip_address_count.set && to->secondary.n)
		return ec2_combination(c, "Secondary addresses can be given or counted, not both");
	to->ipv6 = ec2_addresses6_of(c->arena, &p->ipv6_addresses);
	to->ipv6_count = p->ipv6_address_count.v;
	return ec2_interface_check_ipv6(c, &to->ipv6, p->ipv6_address_count);
}

static int take_existing(struct call *c, const port_spec *p, struct run_port *to)
{
	if (p->subnet_id.n || p->groups.n || p->private_ip_address.n || p->private_ip_addresses.n || p->description.n ||
	    p->secondary_private_ip_address_count.set || p->ipv6_addresses.n || p->ipv6_address_count.v)
		return ec2_combination(c, "A network interface may not specify a network interface ID and what it is made of");
	if (p->delete_on_termination.v)
		return ec2_combination(
		        c, "A network interface may not specify a network interface ID and delete on termination as true");
	if (p->associate_public_ip_address.v)
		return ec2_combination(
		        c, "A network interface may not specify a network interface ID and an associated public IP address");
	if (!ec2_allowed(c, &ec2_kind_interface, p->network_interface_id) ||
	    ec2_get(c, &ec2_kind_interface, p->network_interface_id, &to->there) != CALL_OK)
		return CALL_FAIL;
	const struct ec2_network_interface *eni = to->there.interface;
	if (eni->attachment || eni->requester_managed.v)
		return call_fail(c, "InvalidNetworkInterface.InUse", 400, "Interface: [%.*s] in use.",
		                 STR_ARG(p->network_interface_id));
	to->goes = false;
	return ec2_get(c, &ec2_kind_subnet, eni->subnet_id, &to->subnet);
}

static int take_new(struct call *c, const port_spec *p, struct str zone, struct run_port *to)
{
	if (p->subnet_id.n && !ec2_allowed(c, &ec2_kind_subnet, p->subnet_id))
		return CALL_FAIL;
	for (uint32_t i = 0; i < p->groups.n; i++)
		if (!ec2_allowed(c, &ec2_kind_group, p->groups.v[i]))
			return CALL_FAIL;
	to->groups = p->groups;
	to->description = p->description;
	to->goes = !p->delete_on_termination.set || p->delete_on_termination.v;
	if (take_addresses(c, p, to) != CALL_OK)
		return CALL_FAIL;
	return ec2_subnet_for_launch(c, p->subnet_id, zone, &to->subnet);
}

static int take_list(struct call *c, struct launch *l, struct str zone)
{
	const struct ec2_run_instances_request *in = l->in;
	if (in->subnet_id.n)
		return ec2_combination(
		        c, "Network interfaces and an instance-level subnet ID may not be specified on the same request");
	if (in->security_group_ids.n || in->security_groups.n)
		return ec2_combination(
		        c, "Network interfaces and an instance-level security groups may not be specified on the same request");
	if (in->private_ip_address.n)
		return ec2_combination(
		        c, "Network interfaces and an instance-level private address may not be specified on the same request");
	if (in->ipv6_addresses.n || in->ipv6_address_count.v)
		return ec2_combination(
		        c, "Network interfaces and instance-level IPv6 addresses may not be specified on the same request");
	for (uint32_t i = 0; i < in->network_interfaces.n; i++) {
		const port_spec *p = &in->network_interfaces.v[i];
		struct run_port *to = &l->ports[i];
		bool twice = false;
		if (check_kinds(c, p) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < i; k++)
			twice |= p->network_interface_id.n &&
			         str_eq(p->network_interface_id, in->network_interfaces.v[k].network_interface_id);
		if (twice)
			return call_fail(c, "InvalidNetworkInterface.InUse", 400, "Interface: [%.*s] in use.",
			                 STR_ARG(p->network_interface_id));
		to->index = p->device_index.v;
		if ((p->network_interface_id.n ? take_existing(c, p, to) : take_new(c, p, zone, to)) != CALL_OK)
			return CALL_FAIL;
		if (in->max_count.v > 1 && to->there.interface)
			return ec2_combination(c,
			                       "Network interfaces may not be specified by ID when launching more than 1 instance");
		if (in->max_count.v > 1 && (to->address.n || to->secondary.n || to->ipv6.n))
			return ec2_combination(c, "A private address can be given to one instance only");
		if (p->associate_public_ip_address.v && in->network_interfaces.n > 1)
			return ec2_combination(
			        c,
			        "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.");
		/* Amazon lends an address to the only interface of an instance. */
		to->public = !to->there.interface && in->network_interfaces.n == 1 &&
		             (p->associate_public_ip_address.set ? p->associate_public_ip_address.v
		                                                 : to->subnet.map_public_ip_on_launch.v);
	}
	qsort(l->ports, l->port_count, sizeof(*l->ports), by_index);
	if (l->ports[0].index)
		return ec2_invalid(c, "The primary network interface must have the device index 0");
	for (uint32_t i = 1; i < l->port_count; i++) {
		if (l->ports[i].index == l->ports[i - 1].index)
			return ec2_invalid(c, "Each network interface requires a unique device index.");
		if (!str_eq(l->ports[i].subnet.availability_zone, l->ports[0].subnet.availability_zone))
			return ec2_combination(c, "All network interfaces of an instance must be in the same Availability Zone.");
		if (!str_eq(l->ports[i].subnet.vpc_id, l->ports[0].subnet.vpc_id))
			return ec2_combination(c, "All network interfaces of an instance must be in the same VPC.");
	}
	return CALL_OK;
}

static int take_own(struct call *c, struct launch *l, struct str zone)
{
	const struct ec2_run_instances_request *in = l->in;
	struct run_port *to = l->ports;
	to->goes = true;
	to->address = in->private_ip_address;
	to->groups = in->security_group_ids;
	if (ec2_subnet_for_launch(c, in->subnet_id, zone, &to->subnet) != CALL_OK)
		return CALL_FAIL;
	to->public = to->subnet.map_public_ip_on_launch.v;
	to->ipv6 = ec2_addresses6_of(c->arena, &in->ipv6_addresses);
	to->ipv6_count = in->ipv6_address_count.v;
	if (ec2_interface_check_ipv6(c, &to->ipv6, in->ipv6_address_count) != CALL_OK)
		return CALL_FAIL;
	if ((in->private_ip_address.n || to->ipv6.n) && in->max_count.v > 1)
		return ec2_combination(c, "A private address can be given to one instance only");
	if (!in->security_groups.n)
		return CALL_OK;
	if (in->security_group_ids.n)
		return ec2_combination(c, "The parameter groupName cannot be used with the parameter securityGroupIds");
	return ec2_groups_by_name(c, to->subnet.vpc_id, &in->security_groups, &to->groups);
}

int ec2_run_take_ports(struct call *c, struct launch *l)
{
	const struct ec2_run_instances_request *in = l->in;
	struct str zone = in->placement ? in->placement->availability_zone : STR_NONE;
	l->port_count = in->network_interfaces.n ? in->network_interfaces.n : 1;
	l->ports = arena_array(c->arena, l->port_count, sizeof(*l->ports));
	if ((in->network_interfaces.n ? take_list(c, l, zone) : take_own(c, l, zone)) != CALL_OK)
		return CALL_FAIL;
	l->subnet = l->ports[0].subnet;
	if (zone.n && !str_eq(zone, l->subnet.availability_zone))
		return ec2_invalid(c, "The availability zone '%.*s' is not the one of the subnet '%.*s'", STR_ARG(zone),
		                   STR_ARG(l->subnet.subnet_id));
	return CALL_OK;
}

unsigned ec2_type_interfaces(const struct instance_type *t)
{
	return t->interfaces && t->interfaces < MACHINE_PORTS_MAX ? t->interfaces : MACHINE_PORTS_MAX;
}

int ec2_run_check_ports(struct call *c, const struct launch *l)
{
	unsigned most = ec2_type_interfaces(l->type);
	if (l->port_count > most || l->ports[l->port_count - 1].index >= most)
		return call_fail(c, "AttachmentLimitExceeded", 400, "Interface count %u exceeds the limit for %s", l->port_count,
		                 l->type->name);
	for (uint32_t i = 0; i < l->port_count; i++) {
		const struct run_port *p = &l->ports[i];
		int64_t n = p->there.interface ? p->there.interface->private_ip_addresses.n
		                               : 1 + (int64_t)p->secondary.n + p->secondary_count;
		if ((l->type->addresses && n > l->type->addresses) || n > EC2_INTERFACE_ADDRESSES_MAX)
			return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of private addresses will exceed limit.");
		n = p->there.interface ? p->there.interface->ipv6_addresses.n : (int64_t)p->ipv6.n + p->ipv6_count;
		if (l->type->addresses && n > l->type->addresses)
			return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of IPv6 addresses will exceed limit.");
	}
	return CALL_OK;
}

int ec2_run_make_ports(struct call *c, const struct launch *l, struct str instance)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < l->port_count; i++) {
		const struct run_port *p = &l->ports[i];
		struct state_vpc_interface_record port = p->there;
		const struct ec2_interface_new new = {
		        .subnet = p->subnet.subnet_id,
		        .groups = &p->groups,
		        .address = p->address,
		        .secondary = &p->secondary,
		        .secondary_count = p->secondary_count,
		        .ipv6 = &p->ipv6,
		        .ipv6_count = p->ipv6_count,
		        .description = p->description,
		        .tags = ec2_tags_for(c, &l->in->tag_specifications, &ec2_kind_interface),
		        .type = S("interface"),
		        .public = p->public,
		};
		if (!port.interface && ec2_interface_create(c, &new, &port) != CALL_OK)
			return CALL_FAIL;
		ec2_interface_attach(&s, &port, instance, p->index, p->goes, c->now_ms);
		ec2_interface_limit(&port, l->type);
		ec2_interface_set_up(&s, &port, true, l->container);
	}
	return CALL_OK;
}
