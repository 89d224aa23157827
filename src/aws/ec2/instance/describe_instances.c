/* DescribeInstances, DescribeInstanceStatus and GetConsoleOutput. Addresses, groups and disks are shown as the records of
 * interfaces and volumes have them, so that nothing is written in two places. */
#include "aws/ec2/compute.h"
#include "aws/ec2/instance/event.h"
#include "aws/ec2/instance/instance_filter.h"
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/network/interface.h"
#include "base/base64.h"

#include <stdlib.h>

static struct ec2_instance_network_interface_association *association(struct call *c,
                                                                      const struct ec2_network_interface_association *from)
{
	if (!from)
		return NULL;
	struct ec2_instance_network_interface_association *a =
	        arena_new(c->arena, struct ec2_instance_network_interface_association);
	*a = (struct ec2_instance_network_interface_association){
	        .public_ip = from->public_ip, .public_dns_name = from->public_dns_name, .ip_owner_id = from->ip_owner_id};
	return a;
}

static void show_port(struct call *c, struct ec2_instance *show, const struct ec2_network_interface *from)
{
	struct ec2_instance_network_interface *to = LIST_ADD(c->arena, &show->network_interfaces);
	*to = (struct ec2_instance_network_interface){.association = association(c, from->association),
	                                              .description = from->description,
	                                              .groups = from->groups,
	                                              .mac_address = from->mac_address,
	                                              .network_interface_id = from->network_interface_id,
	                                              .owner_id = from->owner_id,
	                                              .private_dns_name = from->private_dns_name,
	                                              .private_ip_address = from->private_ip_address,
	                                              .source_dest_check = from->source_dest_check,
	                                              .status = from->status,
	                                              .subnet_id = from->subnet_id,
	                                              .vpc_id = from->vpc_id,
	                                              .interface_type = from->interface_type};
	to->ipv6_addresses.set = true;
	for (uint32_t k = 0; k < from->ipv6_addresses.n; k++)
		*LIST_ADD(c->arena, &to->ipv6_addresses) =
		        (struct ec2_instance_ipv6_address){.ipv6_address = from->ipv6_addresses.v[k].ipv6_address,
		                                           .is_primary_ipv6 = from->ipv6_addresses.v[k].is_primary_ipv6};
	for (uint32_t k = 0; k < from->private_ip_addresses.n; k++) {
		const struct ec2_network_interface_private_ip_address *p = &from->private_ip_addresses.v[k];
		*LIST_ADD(c->arena, &to->private_ip_addresses) =
		        (struct ec2_instance_private_ip_address){.association = association(c, p->association),
		                                                 .primary = p->primary,
		                                                 .private_dns_name = p->private_dns_name,
		                                                 .private_ip_address = p->private_ip_address};
	}
	if (!from->attachment)
		return;
	to->attachment = arena_new(c->arena, struct ec2_instance_network_interface_attachment);
	*to->attachment =
	        (struct ec2_instance_network_interface_attachment){.attachment_id = from->attachment->attachment_id,
	                                                           .attach_time = from->attachment->attach_time,
	                                                           .delete_on_termination = from->attachment->delete_on_termination,
	                                                           .device_index = from->attachment->device_index,
	                                                           .network_card_index = OPT_INT(0),
	                                                           .status = from->attachment->status};
}

static void show_disks(struct call *c, struct ec2_instance *show)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_held held = ec2_held(&s, &ec2_kind_volume, show->instance_id);
	struct state_ec2_volume_record v;
	show->block_device_mappings = (struct ec2_instance_block_device_mapping_list){.set = true};
	while (ec2_held_next(&held)) {
		if (!ec2_find(&s, &ec2_kind_volume, held.id, &v))
			continue;
		const struct ec2_volume_attachment *a = &v.volume->attachments.v[0];
		struct ec2_instance_block_device_mapping *m = LIST_ADD(c->arena, &show->block_device_mappings);
		m->device_name = a->device;
		m->ebs = arena_new(c->arena, struct ec2_ebs_instance_block_device);
		*m->ebs = (struct ec2_ebs_instance_block_device){.volume_id = v.volume->volume_id,
		                                                 .attach_time = a->attach_time,
		                                                 .delete_on_termination = a->delete_on_termination,
		                                                 .status = a->state};
	}
}

void ec2_instance_show(struct call *c, const struct state_ec2_instance_record *r, struct ec2_instance *show)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_interfaces ports;
	*show = *r->instance;
	show->private_dns_name = show->public_dns_name = S("");
	show->network_interfaces.set = show->security_groups.set = true;
	ec2_interfaces_of(&s, show->instance_id, &ports);
	for (uint32_t k = 0; k < ports.n; k++)
		show_port(c, show, ports.v[k].interface);
	show_disks(c, show);
	if (!ports.n)
		return;
	const struct ec2_network_interface *first = ports.v[0].interface;
	show->private_ip_address = first->private_ip_address;
	show->private_dns_name = first->private_dns_name;
	show->ipv6_address = first->ipv6_address;
	show->source_dest_check = first->source_dest_check;
	show->security_groups = first->groups;
	if (first->association) {
		show->public_ip_address = first->association->public_ip;
		show->public_dns_name = str_set(first->association->public_dns_name) ? first->association->public_dns_name : S("");
	}
}

/* --- DescribeInstances: pages are of reservations */

static struct ec2_reservation *reservation_of(struct call *c, struct ec2_describe_instances_result *out,
                                              const struct state_ec2_instance_record *r)
{
	for (uint32_t k = 0; k < out->reservations.n; k++)
		if (str_eq(out->reservations.v[k].reservation_id, r->reservation))
			return &out->reservations.v[k];
	struct ec2_reservation *made = LIST_ADD(c->arena, &out->reservations);
	*made = (struct ec2_reservation){.reservation_id = r->reservation, .owner_id = r->owner};
	made->groups.set = true;
	return made;
}

/* An instance as it is shown, if it is there and passes the filters. */
static bool find_shown(struct call *c, const struct ec2_describe_instances_request *in, struct str id,
                       struct state_ec2_instance_record *ret_record, struct ec2_instance *ret_show)
{
	struct ec2_scope s = ec2_scope(c);
	if (!ec2_find(&s, &ec2_kind_instance, id, ret_record))
		return false;
	ec2_instance_show(c, ret_record, ret_show);
	struct ec2_shown shown = {.instance = ret_show, .record = ret_record};
	return ec2_filters_pass(c, &ec2_kind_instance, &shown, ec2_instance_fields, &in->filters);
}

static int by_reservation(const void *a, const void *b)
{
	return str_cmp(((const struct ec2_reservation *)a)->reservation_id, ((const struct ec2_reservation *)b)->reservation_id);
}

static int check_ids(struct call *c, const struct str_list *ids)
{
	struct ec2_scope s = ec2_scope(c);
	struct str_list missing = {0};
	struct state_ec2_instance_record r;
	for (uint32_t k = 0; k < ids->n; k++)
		if (!ec2_id_well_formed(ids->v[k], "i"))
			return ec2_malformed(c, &ec2_kind_instance, ids->v[k]);
	for (uint32_t k = 0; k < ids->n; k++)
		if (!ec2_find(&s, &ec2_kind_instance, ids->v[k], &r))
			*LIST_ADD(c->arena, &missing) = ids->v[k];
	return missing.n ? ec2_not_found(c, &ec2_kind_instance, &missing) : CALL_OK;
}

static void these_instances(struct call *c, const struct ec2_describe_instances_request *in,
                            struct ec2_describe_instances_result *out)
{
	const struct str_list *ids = &in->instance_ids;
	struct state_ec2_instance_record r;
	struct ec2_instance show;
	for (uint32_t k = 0; k < ids->n; k++) {
		bool before = false;
		for (uint32_t j = 0; j < k; j++)
			before |= str_eq(ids->v[j], ids->v[k]);
		if (!before && find_shown(c, in, ids->v[k], &r, &show))
			*LIST_ADD(c->arena, &reservation_of(c, out, &r)->instances) = show;
	}
	qsort(out->reservations.v, out->reservations.n, sizeof(*out->reservations.v), by_reservation);
}

/* Instances lie in the order of their reservations, so a page begins where the last one ended and reads no more than it shows. */
static void all_instances(struct call *c, const struct ec2_describe_instances_request *in, struct str after,
                          struct ec2_describe_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_held held = ec2_held_all(&s, &ec2_kind_instance, after);
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 1000;
	struct ec2_reservation *last = NULL;
	struct state_ec2_instance_record r;
	struct ec2_instance show;
	while (ec2_held_next(&held)) {
		if (!find_shown(c, in, held.id, &r, &show))
			continue;
		if (!last || !str_eq(last->reservation_id, r.reservation)) {
			if (last && out->reservations.n == limit) {
				out->next_token = ec2_page_token(c, last->reservation_id);
				return;
			}
			last = LIST_ADD(c->arena, &out->reservations);
			*last = (struct ec2_reservation){.reservation_id = r.reservation, .owner_id = r.owner};
			last->groups.set = true;
		}
		*LIST_ADD(c->arena, &last->instances) = show;
	}
}

int ec2_describe_instances(struct call *c, const struct ec2_describe_instances_request *in,
                           struct ec2_describe_instances_result *out)
{
	struct str after;
	if (ec2_filters_check(c, ec2_instance_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 5, 1000, in->next_token, &after) != CALL_OK ||
	    check_ids(c, &in->instance_ids) != CALL_OK)
		return CALL_FAIL;
	if (in->instance_ids.n && in->max_results.set)
		return ec2_combination(c, "The parameter instancesSet cannot be used with the parameter maxResults");
	out->reservations.set = true;
	if (in->instance_ids.n)
		these_instances(c, in, out);
	else
		all_instances(c, in, after, out);
	return CALL_OK;
}

/* --- DescribeInstanceStatus: the guest has passed when it asked for its metadata, its first act on the network */

static void summary(struct call *c, struct ec2_instance_status_summary **ret, const char *status, const char *detail)
{
	*ret = arena_new(c->arena, struct ec2_instance_status_summary);
	(*ret)->status = str_from(status);
	if (detail)
		*LIST_ADD(c->arena, &(*ret)->details) =
		        (struct ec2_instance_status_details){.name = S("reachability"), .status = str_from(detail)};
}

bool ec2_instance_impaired(const struct state_ec2_instance_record *r, int64_t now_ms)
{
	return !r->reached.set && now_ms - r->changed.ms >= EC2_CHECK_LATE_MS;
}

static void add_status(struct call *c, const struct state_ec2_instance_record *r, struct ec2_instance_status *ret)
{
	const struct ec2_instance *i = r->instance;
	*ret = (struct ec2_instance_status){.instance_id = i->instance_id,
	                                    .availability_zone = i->placement->availability_zone,
	                                    .availability_zone_id = i->placement->availability_zone_id,
	                                    .instance_state = i->state};
	event_show(c->arena, r, c->now_ms, &ret->events);
	if (ec2_instance_state(i) != INSTANCE_RUNNING) {
		summary(c, &ret->system_status, "not-applicable", NULL);
		summary(c, &ret->instance_status, "not-applicable", NULL);
		return;
	}
	summary(c, &ret->system_status, "ok", "passed");
	if (r->reached.set)
		summary(c, &ret->instance_status, "ok", "passed");
	else if (!ec2_instance_impaired(r, c->now_ms))
		summary(c, &ret->instance_status, "initializing", "initializing");
	else
		summary(c, &ret->instance_status, "impaired", "failed");
}

#define AT(name, path) FIELD_PATH(name, "InstanceStatus", path)
static const struct ec2_field status_fields[] = {
        AT("attached-ebs-status.status", "AttachedEbsStatus.Status"),
        AT("availability-zone", "AvailabilityZone"),
        AT("availability-zone-id", "AvailabilityZoneId"),
        AT("event.code", "Events.Code"),
        AT("event.description", "Events.Description"),
        AT("event.instance-event-id", "Events.InstanceEventId"),
        AT("event.not-after", "Events.NotAfter"),
        AT("event.not-before", "Events.NotBefore"),
        AT("event.not-before-deadline", "Events.NotBeforeDeadline"),
        AT("instance-state-code", "InstanceState.Code"),
        AT("instance-state-name", "InstanceState.Name"),
        AT("instance-status.reachability", "InstanceStatus.Details.Status"),
        AT("instance-status.status", "InstanceStatus.Status"),
        AT("operator.managed", "Operator.Managed"),
        AT("operator.principal", "Operator.Principal"),
        AT("system-status.reachability", "SystemStatus.Details.Status"),
        AT("system-status.status", "SystemStatus.Status"),
        {0},
};

int ec2_describe_instance_status(struct call *c, const struct ec2_describe_instance_status_request *in,
                                 struct ec2_describe_instance_status_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct str after;
	if (ec2_filters_check(c, status_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 5, 1000, in->next_token, &after) != CALL_OK ||
	    check_ids(c, &in->instance_ids) != CALL_OK)
		return CALL_FAIL;
	if (in->instance_ids.n && in->max_results.set)
		return ec2_combination(c, "The parameter instancesSet cannot be used with the parameter maxResults");
	const struct str_list *ids = &in->instance_ids;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 1000;
	struct ec2_all all = ec2_all_after(&s, &ec2_kind_instance, after);
	out->instance_statuses.set = true;
	for (uint32_t k = 0;; k++) {
		struct state_ec2_instance_record r;
		struct ec2_instance_status status;
		if (ids->n ? k == ids->n : !ec2_next(&all, &r))
			return CALL_OK;
		if ((ids->n && !ec2_find(&s, &ec2_kind_instance, ids->v[k], &r)) ||
		    (!in->include_all_instances.v && ec2_instance_state(r.instance) != INSTANCE_RUNNING))
			continue;
		add_status(c, &r, &status);
		if (!ec2_filters_pass(c, &(const struct ec2_kind){0}, &status, status_fields, &in->filters))
			continue;
		if (out->instance_statuses.n == limit) {
			out->next_token = ec2_page_token(c, out->instance_statuses.v[limit - 1].instance_id);
			return CALL_OK;
		}
		*LIST_ADD(c->arena, &out->instance_statuses) = status;
	}
}

/* --- GetConsoleOutput: what the running machine has said, else what the last one had said when it ended */

int ec2_get_console_output(struct call *c, const struct ec2_get_console_output_request *in,
                           struct ec2_get_console_output_result *out)
{
	struct state_ec2_instance_record r;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	struct desk *desk = ec2_state(c)->desk;
	struct str live = desk ? instances_console(desk, in->instance_id) : STR_NONE;
	out->instance_id = in->instance_id;
	out->timestamp = str_set(live) || !r.console_time.set ? OPT_TIME(c->now_ms) : r.console_time;
	struct str text = str_set(live) ? live : r.console;
	if (text.n)
		out->output = base64_encode(c->arena, text);
	return CALL_OK;
}
