/* AttachVolume and DetachVolume. A machine that runs is asked by storage.c; one that does not has the volume when it starts. */
#include "aws/ec2/compute.h"

enum { ATTACHED_MAX = 15 };

static int wrong_state(struct call *c, const struct ec2_instance *i)
{
	return call_fail(c, "IncorrectState", 400, "Instance '%.*s' is not 'running' or 'stopped'.", STR_ARG(i->instance_id));
}

static int check_device(struct call *c, struct str instance, struct str device)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_volume);
	struct state_ec2_volume_record v;
	unsigned n = 0;
	if (!ec2_device_name_good(device))
		return ec2_invalid(c, "Value (%.*s) for parameter device is invalid. %.*s is not a valid EBS device name.",
		                   STR_ARG(device), STR_ARG(device));
	while (ec2_next(&all, &v)) {
		if (!v.volume->attachments.n || !str_eq(v.volume->attachments.v[0].instance_id, instance))
			continue;
		n++;
		if (str_eq(v.volume->attachments.v[0].device, device))
			return ec2_invalid(c, "Invalid value '%.*s' for unixDevice. Attachment point %.*s is already in use",
			                   STR_ARG(device), STR_ARG(device));
	}
	if (n >= ATTACHED_MAX)
		return call_fail(c, "AttachmentLimitExceeded", 400, "The instance '%.*s' has as many volumes as it can have.",
		                 STR_ARG(instance));
	return CALL_OK;
}

int ec2_attach_volume(struct call *c, const struct ec2_attach_volume_request *in, struct ec2_volume_attachment *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_volume_record v;
	struct state_ec2_instance_record r;
	if (!in->device.n)
		return ec2_missing(c, "device");
	if (ec2_get(c, &ec2_kind_volume, in->volume_id, &v) != CALL_OK ||
	    ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	enum instance_state state = ec2_instance_state(r.instance);
	if (v.volume->attachments.n)
		return call_fail(c, "VolumeInUse", 400, "%.*s is already attached to an instance", STR_ARG(in->volume_id));
	if (!str_is(v.volume->state, "available"))
		return call_fail(c, "IncorrectState", 400, "%.*s is not 'available'.", STR_ARG(in->volume_id));
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		return wrong_state(c, r.instance);
	if (!str_eq(v.volume->availability_zone, r.instance->placement->availability_zone))
		return call_fail(c, "InvalidVolume.ZoneMismatch", 400,
		                 "The volume '%.*s' is not in the same availability zone as instance '%.*s'",
		                 STR_ARG(in->volume_id), STR_ARG(in->instance_id));
	if (check_device(c, in->instance_id, in->device) != CALL_OK)
		return CALL_FAIL;
	struct ec2_volume_attachment *a = LIST_ADD(c->arena, &v.volume->attachments);
	*a = (struct ec2_volume_attachment){.volume_id = in->volume_id,
	                                    .instance_id = in->instance_id,
	                                    .device = in->device,
	                                    .state = S("attaching"),
	                                    .attach_time = OPT_TIME(c->now_ms),
	                                    .delete_on_termination = OPT_BOOL(false)};
	v.volume->state = S("in-use");
	ec2_put(&s, &ec2_kind_volume, in->volume_id, &v);
	*out = *a;
	return CALL_OK;
}

int ec2_detach_volume(struct call *c, const struct ec2_detach_volume_request *in, struct ec2_volume_attachment *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_volume_record v;
	struct state_ec2_instance_record r;
	if (ec2_get(c, &ec2_kind_volume, in->volume_id, &v) != CALL_OK)
		return CALL_FAIL;
	if (!v.volume->attachments.n)
		return call_fail(c, "IncorrectState", 400, "Volume '%.*s' is in the 'available' state.", STR_ARG(in->volume_id));
	struct ec2_volume_attachment *a = &v.volume->attachments.v[0];
	if ((in->instance_id.n && !str_eq(in->instance_id, a->instance_id)) || (in->device.n && !str_eq(in->device, a->device)))
		return call_fail(c, "InvalidAttachment.NotFound", 400,
		                 "The volume '%.*s' is not attached to instance '%.*s' as device '%.*s'", STR_ARG(in->volume_id),
		                 STR_ARG(in->instance_id.n ? in->instance_id : a->instance_id),
		                 STR_ARG(in->device.n ? in->device : a->device));
	if (!ec2_find(&s, &ec2_kind_instance, a->instance_id, &r))
		return call_broken(c, "volume %.*s is attached to no instance", STR_ARG(in->volume_id));
	enum instance_state state = ec2_instance_state(r.instance);
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		return wrong_state(c, r.instance);
	if (state == INSTANCE_RUNNING && str_eq(a->device, r.instance->root_device_name))
		return call_fail(c, "OperationNotPermitted", 400, "Unable to detach root volume '%.*s' from instance '%.*s'",
		                 STR_ARG(in->volume_id), STR_ARG(a->instance_id));
	if (str_is(a->state, "detaching") && !in->force.v)
		return call_fail(c, "IncorrectState", 400, "The attachment of volume '%.*s' is in the 'detaching' state.",
		                 STR_ARG(in->volume_id));
	a->state = S("detaching");
	v.force = OPT_BOOL(in->force.v);
	ec2_put(&s, &ec2_kind_volume, in->volume_id, &v);
	*out = *a;
	return CALL_OK;
}
