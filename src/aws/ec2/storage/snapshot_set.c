/* CreateSnapshots: those of an instance's volumes at one moment. While the guest writes to more than one, no moment is common to
 * snapshots that are begun one after the other, so then it is refused. */
#include "aws/ec2/compute.h"
#include "aws/ec2/network/vpc.h"

struct volumes {
	struct state_ec2_volume_record *v;
	uint32_t n;
	bool set;
};

static bool is_in(const struct str_list *ids, struct str id)
{
	for (uint32_t i = 0; i < ids->n; i++)
		if (str_eq(ids->v[i], id))
			return true;
	return false;
}

static int gather(struct call *c, const struct ec2_instance *i, const struct ec2_instance_specification *spec, struct volumes *all,
                  struct volumes *picked)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all walk = ec2_all(&s, &ec2_kind_volume);
	struct state_ec2_volume_record v;
	struct str_list data = {0};
	while (ec2_next(&walk, &v)) {
		if (!v.volume->attachments.n || !str_eq(v.volume->attachments.v[0].instance_id, i->instance_id))
			continue;
		bool boot = str_eq(v.volume->attachments.v[0].device, i->root_device_name);
		*LIST_ADD(c->arena, all) = v;
		if (!boot)
			*LIST_ADD(c->arena, &data) = v.volume->volume_id;
		if (boot ? !spec->exclude_boot_volume.v : !is_in(&spec->exclude_data_volume_ids, v.volume->volume_id))
			*LIST_ADD(c->arena, picked) = v;
	}
	for (uint32_t k = 0; k < spec->exclude_data_volume_ids.n; k++) {
		struct str id = spec->exclude_data_volume_ids.v[k];
		if (!ec2_id_well_formed(id, "vol"))
			return ec2_malformed(c, &ec2_kind_volume, id);
		if (!is_in(&data, id))
			return ec2_invalid(c, "The volume '%.*s' is not a data volume of the instance '%.*s'", STR_ARG(id),
			                   STR_ARG(i->instance_id));
	}
	if (!picked->n)
		return ec2_combination(c, "No volume of the instance '%.*s' is left to make a snapshot of",
		                       STR_ARG(i->instance_id));
	return CALL_OK;
}

/* The volume's, and over them those that were given. */
static struct ec2_tag_list tags_of(struct call *c, const struct ec2_volume *v, const struct ec2_tag_list *given)
{
	struct ec2_tag_list tags = {0};
	for (uint32_t i = 0; i < given->n; i++)
		*LIST_ADD(c->arena, &tags) = given->v[i];
	for (uint32_t i = 0; i < v->tags.n; i++) {
		bool over = str_starts(v->tags.v[i].key, S("aws:"));
		for (uint32_t k = 0; k < given->n; k++)
			over |= str_eq(given->v[k].key, v->tags.v[i].key);
		if (!over)
			*LIST_ADD(c->arena, &tags) = v->tags.v[i];
	}
	return tags;
}

int ec2_create_snapshots(struct call *c, const struct ec2_create_snapshots_request *in, struct ec2_create_snapshots_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	struct volumes all = {0}, picked = {0};
	struct ec2_tag_list tags;
	if (str_set(in->outpost_arn) || (str_set(in->location) && !str_is(in->location, "regional")))
		return call_fail(c, "UnsupportedOperation", 400, "Snapshots in outposts and local zones are not supported.");
	if (!in->instance_specification || !in->instance_specification->instance_id.n)
		return ec2_missing(c, "InstanceSpecification");
	if (!ec2_allowed(c, &ec2_kind_instance, in->instance_specification->instance_id))
		return CALL_FAIL;
	if (ec2_get(c, &ec2_kind_instance, in->instance_specification->instance_id, &r) != CALL_OK ||
	    gather(c, r.instance, in->instance_specification, &all, &picked) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_snapshot, &tags) != CALL_OK)
		return CALL_FAIL;
	enum instance_state state = ec2_instance_state(r.instance);
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		return call_fail(c, "IncorrectState", 400, "Instance '%.*s' is not 'running' or 'stopped'.",
		                 STR_ARG(r.instance->instance_id));
	if (state == INSTANCE_RUNNING && picked.n > 1)
		return ec2_unsupported(c, "Snapshots of several volumes that a running instance writes to");
	for (uint32_t i = 0; i < picked.n; i++)
		if (!picked.v[i].made.v || str_is(picked.v[i].volume->state, "deleting"))
			return call_fail(c, "IncorrectState", 400, "Volume '%.*s' is in the '%.*s' state.",
			                 STR_ARG(picked.v[i].volume->volume_id), STR_ARG(picked.v[i].volume->state));
	out->snapshots.set = true;
	for (uint32_t i = 0; i < picked.n; i++) {
		const struct ec2_volume *v = picked.v[i].volume;
		struct ec2_snapshot *made = ec2_snapshot_new(c, in->description, v->volume_id, v->size.v);
		made->tags = str_is(in->copy_tags_from_source, "volume") ? tags_of(c, v, &tags) : tags;
		struct state_ec2_snapshot_record record = {.snapshot = made};
		ec2_put(&s, &ec2_kind_snapshot, made->snapshot_id, &record);
		*LIST_ADD(c->arena, &out->snapshots) = (struct ec2_snapshot_info){.description = made->description,
		                                                                  .tags = made->tags,
		                                                                  .encrypted = OPT_BOOL(false),
		                                                                  .volume_id = v->volume_id,
		                                                                  .state = made->state,
		                                                                  .volume_size = made->volume_size,
		                                                                  .start_time = made->start_time,
		                                                                  .progress = made->progress,
		                                                                  .owner_id = made->owner_id,
		                                                                  .snapshot_id = made->snapshot_id};
	}
	return CALL_OK;
}
