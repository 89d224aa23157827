/* Options of instances that act at once, whatever state they are in: those of the metadata service, and how often metrics are
 * recorded. */
#include "aws/ec2/compute.h"
#include "aws/ec2/network/vpc.h"

unsigned ec2_metrics_every_s(const struct ec2_instance *i)
{
	return i->monitoring && str_is(i->monitoring->state, "enabled") ? 60 : 300;
}

int ec2_modify_instance_metadata_options(struct call *c, const struct ec2_modify_instance_metadata_options_request *in,
                                         struct ec2_modify_instance_metadata_options_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!in->http_tokens.n && !in->http_endpoint.n && !in->instance_metadata_tags.n && !in->http_protocol_ipv6.n &&
	    !in->http_put_response_hop_limit.set)
		return ec2_combination(c, "No attributes specified.");
	if (in->http_put_response_hop_limit.set &&
	    (in->http_put_response_hop_limit.v < 1 || in->http_put_response_hop_limit.v > 64))
		return ec2_invalid(c, "The value %lld of HttpPutResponseHopLimit is not from 1 to 64",
		                   (long long)in->http_put_response_hop_limit.v);
	enum instance_state state = ec2_instance_state(r.instance);
	if (state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN)
		return call_fail(c, "IncorrectInstanceState", 400,
		                 "The instance '%.*s' is not in a state that allows it to be changed.", STR_ARG(in->instance_id));
	struct ec2_instance_metadata_options_response *m = r.instance->metadata_options;
	if (in->http_tokens.n)
		m->http_tokens = in->http_tokens;
	if (in->http_endpoint.n)
		m->http_endpoint = in->http_endpoint;
	if (in->http_protocol_ipv6.n)
		m->http_protocol_ipv6 = in->http_protocol_ipv6;
	if (in->instance_metadata_tags.n)
		m->instance_metadata_tags = in->instance_metadata_tags;
	if (in->http_put_response_hop_limit.set)
		m->http_put_response_hop_limit = in->http_put_response_hop_limit;
	ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	out->instance_id = in->instance_id;
	out->instance_metadata_options = m;
	return CALL_OK;
}

/* --- detailed monitoring */

static int set_monitoring(struct call *c, const struct str_list *ids, bool on, struct ec2_instance_monitoring_list *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct str_list missing = {0};
	if (!ids->n)
		return ec2_missing(c, "InstanceId");
	struct state_ec2_instance_record *all = arena_array(c->arena, ids->n, sizeof(*all));
	for (uint32_t k = 0; k < ids->n; k++)
		if (!ec2_id_well_formed(ids->v[k], "i"))
			return ec2_malformed(c, &ec2_kind_instance, ids->v[k]);
	for (uint32_t k = 0; k < ids->n; k++)
		if (!ec2_find(&s, &ec2_kind_instance, ids->v[k], &all[k]))
			*LIST_ADD(c->arena, &missing) = ids->v[k];
	if (missing.n)
		return ec2_not_found(c, &ec2_kind_instance, &missing);
	for (uint32_t k = 0; k < ids->n; k++)
		if (ec2_instance_state(all[k].instance) == INSTANCE_TERMINATED)
			return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is terminated.",
			                 STR_ARG(ids->v[k]));
	out->set = true;
	for (uint32_t k = 0; k < ids->n; k++) {
		struct ec2_monitoring *m = all[k].instance->monitoring;
		bool was = str_is(m->state, "enabled");
		m->state = on ? S("enabled") : S("disabled");
		ec2_put(&s, &ec2_kind_instance, ids->v[k], &all[k]);
		struct ec2_instance_monitoring *show = LIST_ADD(c->arena, out);
		show->instance_id = ids->v[k];
		show->monitoring = arena_new(c->arena, struct ec2_monitoring);
		/* It is on the way until the reply is there. */
		show->monitoring->state = was == on ? m->state : on ? S("pending") : S("disabling");
	}
	return CALL_OK;
}

int ec2_monitor_instances(struct call *c, const struct ec2_monitor_instances_request *in, struct ec2_monitor_instances_result *out)
{
	return set_monitoring(c, &in->instance_ids, true, &out->instance_monitorings);
}

int ec2_unmonitor_instances(struct call *c, const struct ec2_unmonitor_instances_request *in,
                            struct ec2_unmonitor_instances_result *out)
{
	return set_monitoring(c, &in->instance_ids, false, &out->instance_monitorings);
}

/* --- ModifyInstanceAttribute's block devices: whether a volume goes with the instance */

int ec2_instance_set_disks(struct call *c, struct str instance,
                           const struct ec2_instance_block_device_mapping_specification_list *l)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t k = 0; k < l->n; k++) {
		const struct ec2_instance_block_device_mapping_specification *m = &l->v[k];
		struct ec2_all all = ec2_all(&s, &ec2_kind_volume);
		struct state_ec2_volume_record v;
		bool found = false;
		if (!m->device_name.n)
			return ec2_missing(c, "deviceName");
		if (m->virtual_name.n || str_set(m->no_device) || !m->ebs)
			return ec2_unsupported(c, "Changing more of a block device than what becomes of its volume");
		while (!found && ec2_next(&all, &v))
			found = v.volume->attachments.n && str_eq(v.volume->attachments.v[0].instance_id, instance) &&
			        str_eq(v.volume->attachments.v[0].device, m->device_name);
		if (!found)
			return call_fail(c, "InvalidInstanceAttributeValue", 400, "No device is currently mapped at %.*s",
			                 STR_ARG(m->device_name));
		if (m->ebs->volume_id.n && !str_eq(m->ebs->volume_id, v.volume->volume_id))
			return ec2_invalid(c, "The volume '%.*s' is not the one at %.*s", STR_ARG(m->ebs->volume_id),
			                   STR_ARG(m->device_name));
		if (!m->ebs->delete_on_termination.set)
			return ec2_missing(c, "ebs.deleteOnTermination");
		v.volume->attachments.v[0].delete_on_termination = m->ebs->delete_on_termination;
		ec2_put(&s, &ec2_kind_volume, v.volume->volume_id, &v);
	}
	return CALL_OK;
}

/* --- what can be said and has one value here */

static int get_alive(struct call *c, struct str id, struct state_ec2_instance_record *ret)
{
	if (ec2_get(c, &ec2_kind_instance, id, ret) != CALL_OK)
		return CALL_FAIL;
	enum instance_state state = ec2_instance_state(ret->instance);
	if (state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN)
		return call_fail(c, "IncorrectInstanceState", 400,
		                 "The instance '%.*s' is not in a state that allows it to be changed.", STR_ARG(id));
	return CALL_OK;
}

/* A machine that ends is not moved elsewhere: there is one host. */
int ec2_modify_instance_maintenance_options(struct call *c, const struct ec2_modify_instance_maintenance_options_request *in,
                                            struct ec2_modify_instance_maintenance_options_result *out)
{
	struct state_ec2_instance_record r;
	const struct str given[] = {in->auto_recovery, in->reboot_migration};
	if (!in->auto_recovery.n && !in->reboot_migration.n)
		return ec2_combination(c, "No attributes specified.");
	if (get_alive(c, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	for (size_t k = 0; k < sizeof(given) / sizeof(*given); k++) {
		if (!given[k].n || str_is(given[k], "disabled"))
			continue;
		if (!str_is(given[k], "default"))
			return ec2_invalid(c, "Value (%.*s) for parameter %s is invalid. Valid values: disabled, default.",
			                   STR_ARG(given[k]), k ? "rebootMigration" : "autoRecovery");
		return ec2_unsupported(c, k ? "Migration at a reboot" : "Automatic recovery");
	}
	out->instance_id = in->instance_id;
	out->auto_recovery = in->auto_recovery;
	out->reboot_migration = in->reboot_migration;
	return CALL_OK;
}

int ec2_modify_private_dns_name_options(struct call *c, const struct ec2_modify_private_dns_name_options_request *in,
                                        struct ec2_modify_private_dns_name_options_result *out)
{
	struct state_ec2_instance_record r;
	if (!in->private_dns_hostname_type.n && !in->enable_resource_name_dns_a_record.set &&
	    !in->enable_resource_name_dns_aaaa_record.set)
		return ec2_combination(c, "No attributes specified.");
	if (get_alive(c, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->private_dns_hostname_type.n && !str_is(in->private_dns_hostname_type, "ip-name") &&
	    !str_is(in->private_dns_hostname_type, "resource-name"))
		return ec2_invalid(
		        c, "Value (%.*s) for parameter privateDnsHostnameType is invalid. Valid values: ip-name, resource-name.",
		        STR_ARG(in->private_dns_hostname_type));
	if (str_is(in->private_dns_hostname_type, "resource-name") || in->enable_resource_name_dns_a_record.v ||
	    in->enable_resource_name_dns_aaaa_record.v)
		return ec2_unsupported(c, "A name after the instance's id");
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}
