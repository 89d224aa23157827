/* What can be changed of an instance after its launch, one attribute a call: some at any time, some only while it is stopped. */
#include "aws/ec2/compute.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/network/vpc.h"
#include "base/base64.h"

/* One attribute as a call gives it: as a member of its own, or as `Attribute` with `Value`. */
struct given {
	struct str name, value;
	bool flag, is_flag;
	unsigned count;
};

static void give_flag(struct given *g, const char *name, const struct ec2_attribute_boolean_value *v)
{
	if (!v)
		return;
	g->count++;
	g->name = str_from(name);
	g->is_flag = true;
	g->flag = v->value.v;
}

static void give_text(struct given *g, const char *name, const struct ec2_attribute_value *v)
{
	if (!v)
		return;
	g->count++;
	g->name = str_from(name);
	g->value = v->value;
}

static int read_given(struct call *c, const struct ec2_modify_instance_attribute_request *in, struct given *g)
{
	give_flag(g, "sourceDestCheck", in->source_dest_check);
	give_flag(g, "disableApiStop", in->disable_api_stop);
	give_flag(g, "disableApiTermination", in->disable_api_termination);
	give_text(g, "instanceType", in->instance_type);
	give_text(g, "instanceInitiatedShutdownBehavior", in->instance_initiated_shutdown_behavior);
	if (in->user_data) {
		g->count++;
		g->name = S("userData");
		g->value = in->user_data->value;
	}
	if (in->groups.n) {
		g->count++;
		g->name = S("groupSet");
	}
	if (in->block_device_mappings.n) {
		g->count++;
		g->name = S("blockDeviceMapping");
	}
	if (in->kernel || in->ramdisk || in->ebs_optimized || in->sriov_net_support || in->ena_support)
		return ec2_unsupported(c, "Changing this attribute of an instance");
	if (!str_empty(in->attribute)) {
		g->count++;
		g->name = in->attribute;
		g->value = str_is(in->attribute, "userData") ? base64_decode(c->arena, in->value) : in->value;
		if (str_is(in->attribute, "userData") && !str_set(g->value))
			return call_fail(c, "InvalidUserData.Malformed", 400, "Invalid BASE64 encoding of user data.");
		g->flag = str_ieq(in->value, S("true"));
		g->is_flag = g->flag || str_ieq(in->value, S("false"));
	}
	if (g->count != 1)
		return ec2_combination(c, g->count ? "Fields for multiple attribute types specified" : "No attributes specified.");
	return CALL_OK;
}

static int need_stopped(struct call *c, const struct ec2_instance *i)
{
	if (ec2_instance_state(i) == INSTANCE_STOPPED)
		return CALL_OK;
	return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is not in the 'stopped' state.",
	                 STR_ARG(i->instance_id));
}

static int change_type(struct call *c, struct ec2_instance *i, struct str name)
{
	const struct instance_type *type = instance_type_find(name);
	if (!type)
		return ec2_invalid(c, "Invalid value '%.*s' for InstanceType.", STR_ARG(name));
	if (!instance_type_offered(type))
		return call_fail(
		        c, "Unsupported", 400,
		        "The requested configuration is currently not supported. Please check the documentation for supported configurations.");
	if (need_stopped(c, i) != CALL_OK)
		return CALL_FAIL;
	i->instance_type = name;
	i->cpu_options->core_count = OPT_INT(type->vcpus);
	i->cpu_options->threads_per_core = OPT_INT(1);
	return CALL_OK;
}

/* Those of the first interface, the only one that a launch makes. */
static int change_interface(struct call *c, struct str instance, const struct ec2_modify_instance_attribute_request *in,
                            const struct given *g)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_interfaces all;
	ec2_interfaces_of(&s, instance, &all);
	if (!all.n)
		return ec2_invalid(c, "The instance '%.*s' has no network interface", STR_ARG(instance));
	if (all.n > 1)
		return call_fail(
		        c, "InvalidInstanceID", 400,
		        "There are multiple interfaces attached to instance '%.*s'. Please specify an interface ID for the operation instead.",
		        STR_ARG(instance));
	if (!in->groups.n)
		all.v[0].interface->source_dest_check = OPT_BOOL(g->flag);
	else if (ec2_interface_set_groups(c, &all.v[0], &in->groups) != CALL_OK)
		return CALL_FAIL;
	ec2_interface_put(&s, &all.v[0]);
	return CALL_OK;
}

int ec2_modify_instance_attribute(struct call *c, const struct ec2_modify_instance_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	struct given g = {0};
	if (read_given(c, in, &g) != CALL_OK || ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	bool flag =
	        str_is(g.name, "disableApiTermination") || str_is(g.name, "disableApiStop") || str_is(g.name, "sourceDestCheck");
	if (flag && !g.is_flag)
		return ec2_invalid(c, "Value (%.*s) for parameter value is invalid. Invalid boolean value.", STR_ARG(g.value));
	if (ec2_instance_state(r.instance) == INSTANCE_TERMINATED)
		return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is terminated.", STR_ARG(in->instance_id));
	if (str_is(g.name, "disableApiTermination")) {
		r.no_termination = OPT_BOOL(g.flag);
	} else if (str_is(g.name, "disableApiStop")) {
		r.no_stop = OPT_BOOL(g.flag);
	} else if (str_is(g.name, "instanceInitiatedShutdownBehavior")) {
		if (!str_is(g.value, "stop") && !str_is(g.value, "terminate"))
			return ec2_invalid(
			        c, "Value (%.*s) for parameter instanceInitiatedShutdownBehavior is invalid. Unknown value.",
			        STR_ARG(g.value));
		r.terminate_on_shutdown = OPT_BOOL(str_is(g.value, "terminate"));
	} else if (str_is(g.name, "userData")) {
		if (need_stopped(c, r.instance) != CALL_OK)
			return CALL_FAIL;
		if (g.value.n > EC2_USER_DATA_MAX)
			return ec2_invalid(c, "User data is limited to %d bytes", EC2_USER_DATA_MAX);
		r.user_data = g.value;
	} else if (str_is(g.name, "instanceType")) {
		if (change_type(c, r.instance, g.value) != CALL_OK)
			return CALL_FAIL;
	} else if (in->block_device_mappings.n) {
		return ec2_instance_set_disks(c, in->instance_id, &in->block_device_mappings);
	} else if (str_is(g.name, "sourceDestCheck") || str_is(g.name, "groupSet")) {
		return change_interface(c, in->instance_id, in, &g);
	} else {
		return ec2_unsupported(c, "Changing this attribute of an instance");
	}
	ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	return CALL_OK;
}

static struct ec2_attribute_boolean_value *flag(struct call *c, bool v)
{
	struct ec2_attribute_boolean_value *made = arena_new(c->arena, struct ec2_attribute_boolean_value);
	made->value = OPT_BOOL(v);
	return made;
}

static struct ec2_attribute_value *text(struct call *c, struct str v)
{
	struct ec2_attribute_value *made = arena_new(c->arena, struct ec2_attribute_value);
	made->value = v;
	return made;
}

/* Kernel, RAM disk and SR-IOV are shown without a value where the instance has none, product codes as an empty list. */
int ec2_describe_instance_attribute(struct call *c, const struct ec2_describe_instance_attribute_request *in,
                                    struct ec2_instance_attribute *out)
{
	struct state_ec2_instance_record r;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	struct ec2_instance show = *r.instance;
	ec2_instance_show(c, &r, &show);
	out->instance_id = in->instance_id;
	if (str_is(in->attribute, "disableApiTermination"))
		out->disable_api_termination = flag(c, r.no_termination.v);
	else if (str_is(in->attribute, "disableApiStop"))
		out->disable_api_stop = flag(c, r.no_stop.v);
	else if (str_is(in->attribute, "instanceInitiatedShutdownBehavior"))
		out->instance_initiated_shutdown_behavior = text(c, r.terminate_on_shutdown.v ? S("terminate") : S("stop"));
	else if (str_is(in->attribute, "instanceType"))
		out->instance_type = text(c, show.instance_type);
	else if (str_is(in->attribute, "userData"))
		out->user_data = str_empty(r.user_data) ? arena_new(c->arena, struct ec2_attribute_value)
		                                        : text(c, base64_encode(c->arena, r.user_data));
	else if (str_is(in->attribute, "rootDeviceName"))
		out->root_device_name = text(c, show.root_device_name);
	else if (str_is(in->attribute, "blockDeviceMapping"))
		out->block_device_mappings = show.block_device_mappings;
	else if (str_is(in->attribute, "groupSet"))
		out->groups = show.security_groups;
	else if (str_is(in->attribute, "sourceDestCheck"))
		out->source_dest_check = flag(c, show.source_dest_check.v);
	else if (str_is(in->attribute, "ebsOptimized"))
		out->ebs_optimized = flag(c, show.ebs_optimized.v);
	else if (str_is(in->attribute, "enaSupport"))
		out->ena_support = flag(c, show.ena_support.v);
	else if (str_is(in->attribute, "kernel"))
		out->kernel_id = text(c, show.kernel_id);
	else if (str_is(in->attribute, "ramdisk"))
		out->ramdisk_id = text(c, show.ramdisk_id);
	else if (str_is(in->attribute, "sriovNetSupport"))
		out->sriov_net_support = text(c, show.sriov_net_support);
	else if (str_is(in->attribute, "productCodes"))
		out->product_codes.set = true;
	else if (str_is(in->attribute, "enclaveOptions"))
		out->enclave_options = show.enclave_options;
	else
		return ec2_invalid(c, "Value (%.*s) for parameter attribute is invalid. Unknown attribute.",
		                   STR_ARG(in->attribute));
	return CALL_OK;
}

/* Only a check for what is not the interface's own has something that it goes back to. */
int ec2_reset_instance_attribute(struct call *c, const struct ec2_reset_instance_attribute_request *in, struct model_none *out)
{
	(void)out;
	static const struct ec2_modify_instance_attribute_request none;
	const struct given on = {.name = S("sourceDestCheck"), .flag = true, .is_flag = true};
	struct state_ec2_instance_record r;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->attribute, "sourceDestCheck"))
		return ec2_unsupported(c, "Resetting this attribute of an instance");
	return change_interface(c, in->instance_id, &none, &on);
}

/* Of Windows alone: what runs here has no password that Amazon made. */
int ec2_get_password_data(struct call *c, const struct ec2_get_password_data_request *in, struct ec2_get_password_data_result *out)
{
	struct state_ec2_instance_record r;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->instance_id = in->instance_id;
	out->timestamp = OPT_TIME(c->now_ms);
	out->password_data = S("");
	return CALL_OK;
}
