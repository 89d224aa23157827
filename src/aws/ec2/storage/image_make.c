/* Images: from snapshots, from instances, from other images; and their end. An image of an instance is pending until the snapshots
 * of its volumes are done (storage.c). */
#include "aws/ec2/storage/image_default.h"
#include "aws/ec2/storage/snapshot_share.h"

#include "base/clock.h"

#include <string.h>

static int check_name(struct call *c, struct str name)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_image);
	struct state_ec2_image_record r;
	if (!name.n)
		return ec2_missing(c, "name");
	bool good = name.n >= 3 && name.n <= 128;
	for (size_t i = 0; i < name.n; i++)
		good = good && (ascii_is_alnum(name.p[i]) || (name.p[i] && strchr("()[] ./-'@_", name.p[i])));
	if (!good)
		return call_fail(
		        c, "InvalidAMIName.Malformed", 400,
		        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and only the following characters: ( ) [ ] . / - ' @ _ and spaces");
	while (ec2_next(&all, &r))
		if (str_eq(r.image->name, name))
			return call_fail(c, "InvalidAMIName.Duplicate", 400, "AMI name %.*s is already in use by AMI %.*s",
			                 STR_ARG(name), STR_ARG(r.image->image_id));
	return CALL_OK;
}

struct ec2_image *ec2_image_new(const struct ec2_scope *s, struct str name, struct str description, struct str root, int64_t now_ms)
{
	struct ec2_image *i = arena_new(s->arena, struct ec2_image);
	*i = (struct ec2_image){.image_id = ec2_new_id(s->arena, "ami"),
	                        .image_location = ARENA_CAT(s->arena, s->account, S("/"), name),
	                        .state = S("available"),
	                        .owner_id = s->account,
	                        .public = OPT_BOOL(false),
	                        .architecture = S("x86_64"),
	                        .image_type = S("machine"),
	                        .name = name,
	                        .description = description,
	                        .root_device_name = root,
	                        .root_device_type = S("ebs"),
	                        .virtualization_type = S("hvm"),
	                        .hypervisor = S("xen"),
	                        .ena_support = OPT_BOOL(true),
	                        .platform_details = S("Linux/UNIX"),
	                        .usage_operation = S("RunInstances"),
	                        .creation_date = time_format(s->arena, now_ms, TIME_ISO8601_MS)};
	return i;
}

/* --- RegisterImage */

static int check_disk(struct call *c, const struct ec2_block_device_mapping *d, struct ec2_block_device_mapping *ret)
{
	struct state_ec2_snapshot_record snapshot;
	if (!d->device_name.n || !ec2_device_name_good(d->device_name))
		return ec2_invalid(c, "Invalid device name %.*s", STR_ARG(d->device_name));
	if (d->virtual_name.n || str_set(d->no_device) || !d->ebs)
		return call_fail(c, "UnsupportedOperation", 400, "Images have volumes alone.");
	if (d->ebs->encrypted.v || d->ebs->kms_key_id.n || d->ebs->outpost_arn.n)
		return call_fail(c, "UnsupportedOperation", 400, "Encryption and outposts are not supported.");
	*ret = *d;
	ret->ebs = arena_new(c->arena, struct ec2_ebs_block_device);
	*ret->ebs = *d->ebs;
	ret->ebs->encrypted = OPT_BOOL(false);
	if (!ret->ebs->volume_type.n)
		ret->ebs->volume_type = S("gp2");
	if (!ret->ebs->delete_on_termination.set)
		ret->ebs->delete_on_termination = OPT_BOOL(true);
	if (!d->ebs->snapshot_id.n)
		return d->ebs->volume_size.set ? CALL_OK : ec2_missing(c, "size/snapshot");
	if (ec2_snapshot_usable(c, d->ebs->snapshot_id, &snapshot) != CALL_OK)
		return CALL_FAIL;
	/* An image stands on what its owner can keep. */
	struct state_ec2_snapshot_record shared;
	if (snapshot_find_shared(c, d->ebs->snapshot_id, &shared))
		return call_fail(c, "AuthFailure", 403, "Not authorized for snapshot: %.*s", STR_ARG(d->ebs->snapshot_id));
	if (!ret->ebs->volume_size.set)
		ret->ebs->volume_size = snapshot.snapshot->volume_size;
	if (ret->ebs->volume_size.v < snapshot.snapshot->volume_size.v)
		return ec2_invalid(c, "Volume of size %lldGB is smaller than snapshot '%.*s', expect size >= %lldGB",
		                   (long long)ret->ebs->volume_size.v, STR_ARG(d->ebs->snapshot_id),
		                   (long long)snapshot.snapshot->volume_size.v);
	return CALL_OK;
}

/* A disk without a boot loader starts with the kernel of the image that is there from the beginning. */
static int take_kernel(struct call *c, const struct ec2_register_image_request *in, struct str *ret_boot)
{
	struct state_ec2_image_record first;
	if (!in->kernel_id.n && !in->ramdisk_id.n)
		return CALL_OK;
	bool there = default_image_get(ec2_state(c)->image, c->arena, &first);
	struct str ids[2] = {in->kernel_id, in->ramdisk_id};
	for (int k = 0; k < 2; k++)
		if (!ids[k].n || !there || !str_eq(ids[k], k ? first.image->ramdisk_id : first.image->kernel_id))
			return call_fail(c, "InvalidAMIID.NotFound", 400, "The image id '[%.*s]' does not exist", STR_ARG(ids[k]));
	*ret_boot = first.boot;
	return CALL_OK;
}

int ec2_register_image(struct call *c, const struct ec2_register_image_request *in, struct ec2_register_image_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_tag_list tags;
	bool has_root = false;
	struct str root = in->root_device_name.n ? in->root_device_name : S("/dev/sda1");
	struct str boot = STR_NONE;
	if (in->image_location.n || in->billing_products.n || in->uefi_data.n || in->tpm_support.n || in->sriov_net_support.n)
		return call_fail(
		        c, "UnsupportedOperation", 400,
		        "Manifests, billing products, UEFI data, TPM and enhanced networking by SR-IOV are not supported.");
	if (in->architecture.n && !str_is(in->architecture, "x86_64"))
		return call_fail(c, "UnsupportedOperation", 400, "This cloud runs images for x86_64 only.");
	if (in->virtualization_type.n && !str_is(in->virtualization_type, "hvm"))
		return call_fail(c, "UnsupportedOperation", 400, "Images are of the virtualization type hvm only.");
	if (in->boot_mode.n && !str_is(in->boot_mode, "legacy-bios"))
		return call_fail(c, "UnsupportedOperation", 400, "Images boot by legacy-bios only.");
	if (check_name(c, in->name) != CALL_OK || take_kernel(c, in, &boot) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_image, &tags) != CALL_OK)
		return CALL_FAIL;
	struct ec2_image *i = ec2_image_new(&s, in->name, in->description, root, c->now_ms);
	i->tags = tags;
	i->imds_support = in->imds_support.n ? in->imds_support : STR_NONE;
	for (uint32_t k = 0; k < in->block_device_mappings.n; k++) {
		struct ec2_block_device_mapping d;
		if (check_disk(c, &in->block_device_mappings.v[k], &d) != CALL_OK)
			return CALL_FAIL;
		bool is_root = str_eq(d.device_name, root);
		if (is_root && !d.ebs->snapshot_id.n)
			return ec2_missing(c, "snapshotId");
		has_root |= is_root;
		*LIST_ADD(c->arena, &i->block_device_mappings) = d;
	}
	if (!has_root)
		return call_fail(c, "InvalidBlockDeviceMapping", 400,
		                 "A block device mapping for the root device %.*s is required.", STR_ARG(root));
	if (str_set(boot)) {
		i->kernel_id = in->kernel_id;
		i->ramdisk_id = in->ramdisk_id;
	}
	struct state_ec2_image_record r = {.image = i, .boot = boot};
	ec2_image_put(&s, &r);
	out->image_id = i->image_id;
	return CALL_OK;
}

/* --- CreateImage */

static void add_volume(struct call *c, struct ec2_image *i, const struct ec2_volume *v, struct ec2_tag_list tags)
{
	struct ec2_scope s = ec2_scope(c);
	const struct ec2_volume_attachment *a = &v->attachments.v[0];
	struct str description =
	        arena_printf(c->arena, "Created by CreateImage(%.*s) for %.*s", STR_ARG(a->instance_id), STR_ARG(i->image_id));
	struct ec2_snapshot *made = ec2_snapshot_new(c, description, v->volume_id, v->size.v);
	made->tags = tags;
	struct state_ec2_snapshot_record r = {.snapshot = made};
	ec2_put(&s, &ec2_kind_snapshot, made->snapshot_id, &r);
	struct ec2_block_device_mapping *d = LIST_ADD(c->arena, &i->block_device_mappings);
	d->device_name = a->device;
	d->ebs = arena_new(c->arena, struct ec2_ebs_block_device);
	*d->ebs = (struct ec2_ebs_block_device){.delete_on_termination = a->delete_on_termination,
	                                        .snapshot_id = made->snapshot_id,
	                                        .volume_size = v->size,
	                                        .volume_type = v->volume_type,
	                                        .encrypted = OPT_BOOL(false)};
	if (str_is(v->volume_type, "gp3") || str_starts(v->volume_type, S("io")))
		d->ebs->iops = v->iops;
	d->ebs->throughput = v->throughput;
}

static struct ec2_block_device_mapping *disk_named(struct ec2_image *i, struct str device)
{
	for (uint32_t k = 0; k < i->block_device_mappings.n; k++)
		if (str_eq(i->block_device_mappings.v[k].device_name, device))
			return &i->block_device_mappings.v[k];
	return NULL;
}

/* Is this volume left out of the image by a mapping without a device? */
static bool left_out(const struct ec2_create_image_request *in, const struct ec2_volume *v)
{
	for (uint32_t k = 0; k < in->block_device_mappings.n; k++)
		if (str_set(in->block_device_mappings.v[k].no_device) &&
		    str_eq(in->block_device_mappings.v[k].device_name, v->attachments.v[0].device))
			return true;
	return false;
}

/* What the caller wants otherwise than the instance has it: other sizes and types of its disks, more disks, fewer. */
static int change_disks(struct call *c, const struct ec2_create_image_request *in, struct ec2_image *i)
{
	for (uint32_t k = 0; k < in->block_device_mappings.n; k++) {
		const struct ec2_block_device_mapping *m = &in->block_device_mappings.v[k];
		struct ec2_block_device_mapping *d = disk_named(i, m->device_name);
		if (str_set(m->no_device)) {
			if (str_eq(m->device_name, i->root_device_name))
				return call_fail(c, "InvalidBlockDeviceMapping", 400, "The root device %.*s cannot be left out",
				                 STR_ARG(m->device_name));
			continue;
		}
		if (!d) {
			struct ec2_block_device_mapping made;
			if (check_disk(c, m, &made) != CALL_OK)
				return CALL_FAIL;
			*LIST_ADD(c->arena, &i->block_device_mappings) = made;
			continue;
		}
		if (m->virtual_name.n || !m->ebs || m->ebs->encrypted.v || m->ebs->kms_key_id.n || m->ebs->outpost_arn.n)
			return call_fail(c, "UnsupportedOperation", 400, "Images have volumes alone, without encryption.");
		if (m->ebs->snapshot_id.n)
			return call_fail(c, "InvalidBlockDeviceMapping", 400,
			                 "The snapshot of %.*s is made from the volume that is attached there",
			                 STR_ARG(m->device_name));
		if (m->ebs->volume_size.set && m->ebs->volume_size.v < d->ebs->volume_size.v)
			return ec2_invalid(c, "Volume of size %lldGB is smaller than the volume at '%.*s', expect size >= %lldGB",
			                   (long long)m->ebs->volume_size.v, STR_ARG(m->device_name),
			                   (long long)d->ebs->volume_size.v);
		ec2_disk_overlay(d->ebs, m->ebs);
	}
	return CALL_OK;
}

int ec2_create_image(struct call *c, const struct ec2_create_image_request *in, struct ec2_create_image_result *out)
{
	static const struct ec2_kind *const tagged[] = {&ec2_kind_image, &ec2_kind_snapshot, NULL};
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record instance;
	struct state_ec2_image_record from = {0};
	struct state_ec2_volume_record v;
	if (in->snapshot_location.n && !str_is(in->snapshot_location, "regional"))
		return call_fail(c, "UnsupportedOperation", 400, "Images of instances are in their region alone.");
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &instance) != CALL_OK || check_name(c, in->name) != CALL_OK ||
	    ec2_tags_take(c, &in->tag_specifications, tagged) != CALL_OK)
		return CALL_FAIL;
	enum instance_state state = ec2_instance_state(instance.instance);
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		return call_fail(c, "IncorrectInstanceState", 400, "Instance '%.*s' is not 'running' or 'stopped'.",
		                 STR_ARG(in->instance_id));
	struct ec2_image *i = ec2_image_new(&s, in->name, in->description, instance.instance->root_device_name, c->now_ms);
	i->state = S("pending");
	i->source_instance_id = in->instance_id;
	i->tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_image);
	if (ec2_image_find(c, instance.instance->image_id, &from))
		i->imds_support = from.image->imds_support;
	struct str_list ids = {0};
	struct ec2_all all = ec2_all(&s, &ec2_kind_volume);
	while (ec2_next(&all, &v))
		if (v.made.v && v.volume->attachments.n && str_eq(v.volume->attachments.v[0].instance_id, in->instance_id) &&
		    !left_out(in, v.volume))
			*LIST_ADD(c->arena, &ids) = all.id;
	for (uint32_t k = 0; k < ids.n; k++)
		if (ec2_find(&s, &ec2_kind_volume, ids.v[k], &v))
			add_volume(c, i, v.volume, ec2_tags_for(c, &in->tag_specifications, &ec2_kind_snapshot));
	if (change_disks(c, in, i) != CALL_OK)
		return CALL_FAIL;
	if (state == INSTANCE_RUNNING && !in->no_reboot.v) {
		instance.quiet = OPT_BOOL(true);
		ec2_put(&s, &ec2_kind_instance, in->instance_id, &instance);
	}
	struct state_ec2_image_record r = {.image = i, .boot = instance.boot};
	ec2_image_put(&s, &r);
	out->image_id = i->image_id;
	return CALL_OK;
}

/* --- CopyImage: a copy names copies of the snapshots */

/* What the request names goes before what the source is called. */
static struct ec2_tag_list tags_of_copy(struct call *c, const struct ec2_copy_image_request *in, const struct ec2_image *from)
{
	struct ec2_tag_list tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_image);
	for (uint32_t i = 0; in->copy_image_tags.v && i < from->tags.n; i++) {
		bool named = str_starts(from->tags.v[i].key, S("aws:"));
		for (uint32_t k = 0; k < tags.n && !named; k++)
			named = str_eq(tags.v[k].key, from->tags.v[i].key);
		if (!named)
			*LIST_ADD(c->arena, &tags) = from->tags.v[i];
	}
	return tags;
}

/* What the copy is made of, read in the region of the source. */
static int find_source(struct call *c, const struct ec2_copy_image_request *in, struct state_ec2_image_record *ret,
                       struct state_ec2_snapshot_record **ret_snapshots)
{
	if (ec2_image_usable(c, in->source_image_id, ret) != CALL_OK)
		return CALL_FAIL;
	bool others = !str_eq(ret->image->owner_id, c->account);
	*ret_snapshots = arena_array(c->arena, ret->image->block_device_mappings.n + 1, sizeof(**ret_snapshots));
	for (uint32_t k = 0; k < ret->image->block_device_mappings.n; k++) {
		struct str id = ret->image->block_device_mappings.v[k].ebs->snapshot_id;
		struct state_ec2_snapshot_record shared;
		/* To launch it is one permission, to have its storage another. */
		if (id.n && others && !snapshot_find_shared(c, id, &shared))
			return call_fail(c, "InvalidRequest", 400, "You do not have permission to access the storage of this ami");
		if (id.n && ec2_snapshot_usable(c, id, &(*ret_snapshots)[k]) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

int ec2_copy_image(struct call *c, const struct ec2_copy_image_request *in, struct ec2_copy_image_result *out)
{
	static const struct ec2_kind *const tagged[] = {&ec2_kind_image, &ec2_kind_snapshot, NULL};
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_image_record from;
	struct state_ec2_snapshot_record *snapshots = NULL;
	if (!in->source_region.n)
		return ec2_missing(c, "SourceRegion");
	if (in->encrypted.v || in->kms_key_id.n || in->destination_outpost_arn.n || in->destination_availability_zone.n ||
	    in->destination_availability_zone_id.n || in->snapshot_copy_completion_duration_minutes.set)
		return call_fail(c, "UnsupportedOperation", 400,
		                 "Encryption, other destinations and completion durations of copies are not supported.");
	struct str here = c->region;
	c->region = in->source_region;
	int error = find_source(c, in, &from, &snapshots);
	c->region = here;
	if (error != CALL_OK || check_name(c, in->name) != CALL_OK || ec2_tags_take(c, &in->tag_specifications, tagged) != CALL_OK)
		return CALL_FAIL;
	struct ec2_image *i = ec2_image_new(&s, in->name, in->description.n ? in->description : from.image->description,
	                                    from.image->root_device_name, c->now_ms);
	i->source_image_id = in->source_image_id;
	i->source_image_region = in->source_region;
	i->imds_support = from.image->imds_support;
	i->kernel_id = from.image->kernel_id;
	i->ramdisk_id = from.image->ramdisk_id;
	i->tags = tags_of_copy(c, in, from.image);
	for (uint32_t k = 0; k < from.image->block_device_mappings.n; k++) {
		struct ec2_block_device_mapping *d = LIST_ADD(c->arena, &i->block_device_mappings);
		*d = from.image->block_device_mappings.v[k];
		if (!d->ebs->snapshot_id.n)
			continue;
		struct str description =
		        arena_printf(c->arena, "Copied for DestinationAmi %.*s from SourceAmi %.*s for SourceSnapshot %.*s.",
		                     STR_ARG(i->image_id), STR_ARG(in->source_image_id), STR_ARG(d->ebs->snapshot_id));
		d->ebs->snapshot_id = ec2_snapshot_copy(c, in->source_region, &snapshots[k], description,
		                                        ec2_tags_for(c, &in->tag_specifications, &ec2_kind_snapshot))
		                              ->snapshot_id;
	}
	struct state_ec2_image_record r = {.image = i, .boot = from.boot};
	ec2_image_put(&s, &r);
	out->image_id = i->image_id;
	return CALL_OK;
}

/* Snapshots stay, instances go on. */
/* Those that another image stands on, or that are not this account's, stay. */
static int delete_snapshots(struct call *c, const struct ec2_image *i, struct ec2_deregister_image_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	out->delete_snapshot_results.set = true;
	for (uint32_t k = 0; k < i->block_device_mappings.n; k++) {
		const struct ec2_ebs_block_device *ebs = i->block_device_mappings.v[k].ebs;
		struct state_ec2_snapshot_record r;
		struct str image;
		if (!ebs || !ebs->snapshot_id.n)
			continue;
		struct authz az = {.action = S("ec2:DeleteSnapshot"), .resource = ec2_arn(c, &ec2_kind_snapshot, ebs->snapshot_id)};
		if (!call_authorize(c, &az))
			return CALL_FAIL;
		bool gone = ec2_find(&s, &ec2_kind_snapshot, ebs->snapshot_id, &r) && ec2_snapshot_remove(&s, &r, &image);
		*LIST_ADD(c->arena, &out->delete_snapshot_results) = (struct ec2_delete_snapshot_return_code){
		        .snapshot_id = ebs->snapshot_id, .return_code = gone ? S("success") : S("skipped")};
	}
	return CALL_OK;
}

int ec2_deregister_image(struct call *c, const struct ec2_deregister_image_request *in, struct ec2_deregister_image_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_image_record r;
	if (ec2_image_own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r.image->state, "pending"))
		return call_fail(c, "InvalidAMIID.Unavailable", 400, "The image ID '%.*s' is pending", STR_ARG(in->image_id));
	if (str_is(r.image->deregistration_protection, "enabled-without-cooldown"))
		return call_fail(c, "OperationNotPermitted", 400,
		                 "The image '%.*s' is protected from deregistration. Disable the protection and try again.",
		                 STR_ARG(in->image_id));
	ec2_image_drop(&s, in->image_id);
	if (in->delete_associated_snapshots.v && delete_snapshots(c, r.image, out) != CALL_OK)
		return CALL_FAIL;
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}
