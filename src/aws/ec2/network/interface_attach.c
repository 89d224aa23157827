/* AttachNetworkInterface and DetachNetworkInterface. An instance that does not run has the interface when it starts; a machine that
 * runs would have to be given it, or asked for it. */
#include "aws/ec2/instance/run.h"
#include "aws/ec2/network/vpc.h"

static int wrong_state(struct call *c, const struct ec2_instance *i)
{
	return call_fail(c, "IncorrectState", 400, "Instance '%.*s' is not 'running' or 'stopped'.", STR_ARG(i->instance_id));
}

int ec2_attach_network_interface(struct call *c, const struct ec2_attach_network_interface_request *in,
                                 struct ec2_attach_network_interface_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	struct state_ec2_instance_record r;
	struct ec2_interfaces all;
	if (in->ena_srd_specification || in->ena_queue_count.set)
		return ec2_unsupported(c, "An ENA setting");
	if (!in->device_index.set)
		return ec2_missing(c, "deviceIndex");
	if (ec2_get(c, &ec2_kind_interface, in->network_interface_id, &record) != CALL_OK ||
	    ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	const struct instance_type *type = instance_type_find(r.instance->instance_type);
	unsigned most = type ? ec2_type_interfaces(type) : 1;
	enum instance_state state = ec2_instance_state(r.instance);
	if (record.interface->attachment || record.interface->requester_managed.v)
		return call_fail(c, "InvalidNetworkInterface.InUse", 400, "Interface: [%.*s] in use.",
		                 STR_ARG(in->network_interface_id));
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		return wrong_state(c, r.instance);
	if (!str_eq(record.interface->availability_zone, r.instance->placement->availability_zone))
		return ec2_invalid(
		        c, "You may not attach a network interface to an instance if they are not in the same availability zone");
	if (!str_eq(record.interface->vpc_id, r.instance->vpc_id))
		return ec2_unsupported(c, "An interface in another VPC than the instance's");
	if (in->network_card_index.v)
		return ec2_invalid(c, "The network card index %lld is not supported by the instance type",
		                   (long long)in->network_card_index.v);
	ec2_interfaces_of(&s, in->instance_id, &all);
	for (uint32_t k = 0; k < all.n; k++)
		if (all.v[k].interface->attachment->device_index.v == in->device_index.v)
			return ec2_invalid(c, "Instance '%.*s' already has an interface attached at device index '%lld'.",
			                   STR_ARG(in->instance_id), (long long)in->device_index.v);
	if (all.n >= most)
		return call_fail(c, "AttachmentLimitExceeded", 400, "Interface count %u exceeds the limit for %.*s", all.n + 1,
		                 STR_ARG(r.instance->instance_type));
	if (in->device_index.v < 1 || in->device_index.v >= most)
		return ec2_invalid(c, "Value (%lld) for parameter deviceIndex is invalid.", (long long)in->device_index.v);
	if (type && type->addresses && record.interface->private_ip_addresses.n > type->addresses)
		return call_fail(c, "PrivateIpAddressLimitExceeded", 400, "Number of private addresses will exceed limit.");
	ec2_interface_attach(&s, &record, in->instance_id, in->device_index.v, false, c->now_ms);
	if (state == INSTANCE_RUNNING) {
		record.interface->attachment->status = S("attaching");
		ec2_interface_limit(&record, instance_type_find(r.instance->instance_type));
		ec2_interface_set_up(&s, &record, true, r.container.v);
		/* The instance's step looks at its interfaces. */
		ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	}
	out->attachment_id = record.interface->attachment->attachment_id;
	out->network_card_index = OPT_INT(0);
	return CALL_OK;
}

static bool find_attachment(const struct ec2_scope *s, struct str id, struct state_vpc_interface_record *ret)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_interface);
	while (ec2_next(&all, ret))
		if (ret->interface->attachment && str_eq(ret->interface->attachment->attachment_id, id))
			return true;
	return false;
}

int ec2_detach_network_interface(struct call *c, const struct ec2_detach_network_interface_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record record;
	struct state_ec2_instance_record r;
	if (!ec2_id_well_formed(in->attachment_id, "eni-attach"))
		return call_fail(c, "InvalidAttachmentID.Malformed", 400, "Invalid id: \"%.*s\" (expecting \"eni-attach-...\")",
		                 STR_ARG(in->attachment_id));
	if (!find_attachment(&s, in->attachment_id, &record))
		return call_fail(c, "InvalidAttachmentID.NotFound", 400, "The attachment '%.*s' does not exist",
		                 STR_ARG(in->attachment_id));
	if (!ec2_allowed(c, &ec2_kind_interface, record.interface->network_interface_id))
		return CALL_FAIL;
	struct ec2_network_interface_attachment *at = record.interface->attachment;
	if (record.interface->requester_managed.v)
		return call_fail(c, "OperationNotPermitted", 400, "You are not allowed to manage this network interface.");
	if (!ec2_find(&s, &ec2_kind_instance, at->instance_id, &r))
		return call_broken(c, "interface %.*s is attached to no instance", STR_ARG(record.interface->network_interface_id));
	if (!at->device_index.v)
		return call_fail(c, "OperationNotPermitted", 400, "The network interface at device index 0 cannot be detached.");
	enum instance_state state = ec2_instance_state(r.instance);
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		return wrong_state(c, r.instance);
	if (state == INSTANCE_STOPPED) {
		ec2_interface_detach(&s, &record);
		return CALL_OK;
	}
	at->status = S("detaching");
	record.force = OPT_BOOL(in->force.v);
	ec2_interface_put(&s, &record);
	ec2_put(&s, &ec2_kind_instance, at->instance_id, &r);
	return CALL_OK;
}
