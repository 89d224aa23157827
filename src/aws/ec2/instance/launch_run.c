/* Between launch templates and instances: RunInstances with a template, and the template that an instance would come of. */
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"
#include "base/base64.h"

/* --- RunInstances */

static int may_use(struct call *c, const struct ec2_run_instances_request *from)
{
	bool may = (!from->image_id.n || ec2_image_is_named(from->image_id) || ec2_allowed(c, &ec2_kind_image, from->image_id));
	for (uint32_t i = 0; may && i < from->security_group_ids.n; i++)
		may = ec2_allowed(c, &ec2_kind_group, from->security_group_ids.v[i]);
	return may ? CALL_OK : CALL_FAIL;
}

/* Tags of the request go over those of the template with the same key. */
static void join_tags(struct call *c, const struct ec2_tag_specification_list *more, struct ec2_tag_specification_list *all)
{
	for (uint32_t i = 0; i < more->n; i++) {
		struct ec2_tag_specification *spec = NULL;
		for (uint32_t k = 0; k < all->n && !spec; k++)
			if (str_eq(all->v[k].resource_type, more->v[i].resource_type))
				spec = &all->v[k];
		if (!spec) {
			*LIST_ADD(c->arena, all) = more->v[i];
			continue;
		}
		struct ec2_tag_list tags = {0};
		for (uint32_t t = 0; t < spec->tags.n; t++)
			*LIST_ADD(c->arena, &tags) = spec->tags.v[t];
		for (uint32_t t = 0; t < more->v[i].tags.n; t++) {
			uint32_t at = 0;
			while (at < spec->tags.n && !str_eq(spec->tags.v[at].key, more->v[i].tags.v[t].key))
				at++;
			if (at == spec->tags.n)
				*LIST_ADD(c->arena, &tags) = more->v[i].tags.v[t];
		}
		spec->tags = tags;
	}
}

int ec2_launch_template_apply(struct call *c, const struct ec2_run_instances_request *in, struct ec2_run_instances_request *ret,
                              struct ec2_tag_list *ret_tags)
{
	const struct ec2_launch_template_specification *named = in->launch_template;
	const struct shape *shape = api_shape_named(&ec2_api, S("RunInstancesRequest"));
	struct state_ec2_launch_template_record r;
	struct ec2_launch_template_version v;
	struct ec2_run_instances_request from = {0};
	*ret = *in;
	*ret_tags = (struct ec2_tag_list){0};
	if (!named)
		return CALL_OK;
	if (ec2_launch_template_given(c, named->launch_template_id, named->launch_template_name, &r) != CALL_OK ||
	    ec2_launch_version_given(c, r.template, named->version, &v) != CALL_OK)
		return CALL_FAIL;
	if (v.launch_template_data->instance_requirements || v.launch_template_data->elastic_gpu_specifications.n)
		return ec2_unsupported(c, "A launch by instance requirements, or with accelerators,");
	ec2_carry(c->arena, "ResponseLaunchTemplateData", v.launch_template_data, "RunInstancesRequest", &from);
	struct ec2_tag_specification_list tags = {0};
	join_tags(c, &in->tag_specifications, &tags);
	join_tags(c, &from.tag_specifications, &tags);
	/* Groups by name and by id are one parameter. */
	if (in->security_group_ids.n || in->security_groups.n)
		from.security_group_ids = from.security_groups = (struct str_list){0};
	if (in->image_id.n)
		from.image_id = STR_NONE;
	for (uint16_t i = 0; i < shape->members; i++) {
		const struct member *m = &ec2_api.members[shape->first_member + i];
		const struct shape *target = api_shape(&ec2_api, m->shape);
		if (!model_is_set(target, (const char *)in + m->offset))
			memcpy((char *)ret + m->offset, (const char *)&from + m->offset, ec2_slot_size(target));
	}
	ret->tag_specifications = tags;
	ret->launch_template = NULL;
	*LIST_ADD(c->arena, ret_tags) = (struct ec2_tag){S("aws:ec2launchtemplate:id"), r.template->launch_template_id};
	*LIST_ADD(c->arena, ret_tags) =
	        (struct ec2_tag){S("aws:ec2launchtemplate:version"), arena_printf(c->arena, "%lld", (long long)v.version_number.v)};
	return may_use(c, &from);
}

/* --- GetLaunchTemplateData */

static void take_ports(struct call *c, const struct ec2_instance *i, struct ec2_response_launch_template_data *d)
{
	for (uint32_t k = 0; k < i->network_interfaces.n; k++) {
		const struct ec2_instance_network_interface *from = &i->network_interfaces.v[k];
		struct ec2_launch_template_instance_network_interface_specification *to = &d->network_interfaces.v[k];
		to->groups = (struct str_list){.set = true};
		for (uint32_t g = 0; g < from->groups.n; g++)
			*LIST_ADD(c->arena, &to->groups) = from->groups.v[g].group_id;
		to->device_index = from->attachment->device_index;
		to->delete_on_termination = from->attachment->delete_on_termination;
	}
}

static void take_disks(struct call *c, const struct ec2_instance *i, struct ec2_response_launch_template_data *d)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t k = 0; k < i->block_device_mappings.n; k++) {
		struct ec2_launch_template_ebs_block_device *ebs = d->block_device_mappings.v[k].ebs;
		struct state_ec2_volume_record v;
		if (!ec2_find(&s, &ec2_kind_volume, i->block_device_mappings.v[k].ebs->volume_id, &v))
			continue;
		ebs->encrypted = OPT_BOOL(false);
		ebs->snapshot_id = v.volume->snapshot_id.n ? v.volume->snapshot_id : STR_NONE;
		ebs->volume_size = v.volume->size;
		ebs->volume_type = v.volume->volume_type;
		if (!str_is(v.volume->volume_type, "gp2"))
			ebs->iops = v.volume->iops;
		ebs->throughput = v.volume->throughput;
	}
}

int ec2_get_launch_template_data(struct call *c, const struct ec2_get_launch_template_data_request *in,
                                 struct ec2_get_launch_template_data_result *out)
{
	struct state_ec2_instance_record r;
	struct ec2_instance show;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	enum instance_state state = ec2_instance_state(r.instance);
	if (state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN)
		return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is not 'running' or 'stopped'.",
		                 STR_ARG(in->instance_id));
	ec2_instance_show(c, &r, &show);
	struct ec2_response_launch_template_data *d = arena_new(c->arena, struct ec2_response_launch_template_data);
	ec2_carry(c->arena, "Instance", &show, "ResponseLaunchTemplateData", d);
	/* What follows from the type is not asked for again. */
	d->cpu_options = NULL;
	/* What comes out can be given to CreateLaunchTemplate. */
	d->metadata_options->state = STR_NONE;
	d->monitoring = arena_new(c->arena, struct ec2_launch_templates_monitoring);
	d->monitoring->enabled = OPT_BOOL(str_is(show.monitoring->state, "enabled"));
	d->disable_api_termination = r.no_termination;
	d->disable_api_stop = r.no_stop;
	d->instance_initiated_shutdown_behavior = r.terminate_on_shutdown.v ? S("terminate") : S("stop");
	if (r.user_data.n)
		d->user_data = base64_encode(c->arena, r.user_data);
	take_ports(c, &show, d);
	take_disks(c, &show, d);
	struct ec2_tag_list tags = {0};
	for (uint32_t k = 0; k < show.tags.n; k++)
		if (!str_starts(show.tags.v[k].key, S("aws:")))
			*LIST_ADD(c->arena, &tags) = show.tags.v[k];
	if (tags.n)
		*LIST_ADD(c->arena, &d->tag_specifications) =
		        (struct ec2_launch_template_tag_specification){.resource_type = S("instance"), .tags = tags};
	out->launch_template_data = d;
	return CALL_OK;
}
