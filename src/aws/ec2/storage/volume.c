/* Volumes: making, describing, growing, deleting. Files follow the records (storage.c). */
#include "aws/ec2/compute.h"
#include "aws/ec2/storage/layer.h"
#include "base/clock.h"

enum { MODIFY_PAUSE_MS = 6 * 3600 * 1000 };

static const struct volume_type {
	const char *name;
	int64_t size_min, size_max;
	int64_t iops_min, iops_max, iops_per_gib; /* iops_max 0: they cannot be chosen */
	bool iops_needed, throughput, boots;
} types[] = {
        {"gp2", 1, 16384, 0, 0, 0, false, false, true},       {"gp3", 1, 16384, 3000, 16000, 500, false, true, true},
        {"io1", 4, 16384, 100, 64000, 50, true, false, true}, {"io2", 4, 16384, 100, 64000, 500, true, false, true},
        {"st1", 125, 16384, 0, 0, 0, false, false, false},    {"sc1", 125, 16384, 0, 0, 0, false, false, false},
        {"standard", 1, 1024, 0, 0, 0, false, false, true},
};

static const struct volume_type *type_of(struct str name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_is(name, types[i].name))
			return &types[i];
	return NULL;
}

static int check_shape(struct call *c, const struct volume_type *t, int64_t size, struct opt_int iops, struct opt_int throughput)
{
	if (size < t->size_min)
		return ec2_invalid(c, "Volume of %lldGiB is too small; minimum is %lldGiB.", (long long)size,
		                   (long long)t->size_min);
	if (size > t->size_max)
		return ec2_invalid(c, "Volume of %lldGiB is too large; maximum is %lldGiB.", (long long)size,
		                   (long long)t->size_max);
	if (iops.set && !t->iops_max)
		return ec2_combination(c, "The parameter iops is not supported for %s volumes.", t->name);
	if (!iops.set && t->iops_needed)
		return call_fail(c, "MissingParameter", 400, "The parameter iops must be specified for %s volumes.", t->name);
	if (iops.set && (iops.v < t->iops_min || iops.v > t->iops_max))
		return ec2_invalid(c, "Volume iops of %lld is too %s; %s is %lld.", (long long)iops.v,
		                   iops.v < t->iops_min ? "low" : "high", iops.v < t->iops_min ? "minimum" : "maximum",
		                   (long long)(iops.v < t->iops_min ? t->iops_min : t->iops_max));
	if (iops.set && iops.v > t->iops_min && iops.v > size * t->iops_per_gib)
		return ec2_invalid(c, "Iops to volume size ratio of %f is too high; maximum is %lld.",
		                   (double)iops.v / (double)size, (long long)t->iops_per_gib);
	if (throughput.set && !t->throughput)
		return ec2_combination(c, "The parameter throughput is not supported for %s volumes.", t->name);
	if (throughput.set && (throughput.v < 125 || throughput.v > 1000))
		return ec2_invalid(c, "Volume throughput of %lldMiB/s is too %s; it is from 125MiB/s to 1000MiB/s.",
		                   (long long)throughput.v, throughput.v < 125 ? "low" : "high");
	if (throughput.set && throughput.v * 4 > (iops.set ? iops.v : 3000))
		return ec2_invalid(c, "Throughput (MiBps) to iops ratio of %f is too high; maximum is 0.250000 MiBps per iops.",
		                   (double)throughput.v / (double)(iops.set ? iops.v : 3000));
	return CALL_OK;
}

/* What the volume does: chosen, or what follows from type and size. */
static void set_speed(struct ec2_volume *v, const struct volume_type *t, struct opt_int iops, struct opt_int throughput)
{
	int64_t burst = v->size.v * 3 < 100 ? 100 : v->size.v * 3 > 16000 ? 16000 : v->size.v * 3;
	v->iops = v->throughput = (struct opt_int){0};
	if (str_is(v->volume_type, "gp2"))
		v->iops = OPT_INT(burst);
	else if (t->iops_max)
		v->iops = iops.set ? iops : OPT_INT(3000);
	if (t->throughput)
		v->throughput = throughput.set ? throughput : OPT_INT(125);
}

/* The snapshot, and its layers in this account as well. */
static int take_snapshot(struct call *c, const struct ec2_volume_new *what, struct state_ec2_snapshot_record *ret)
{
	struct ec2_scope s = ec2_scope(c), from = s;
	from.account = what->lender;
	if (!str_set(what->lender) || !ec2_find(&from, &ec2_kind_snapshot, what->snapshot, ret) ||
	    !str_is(ret->snapshot->state, "completed")) {
		if (ec2_snapshot_usable(c, what->snapshot, ret) != CALL_OK)
			return CALL_FAIL;
		from.account = ret->snapshot->owner_id;
	}
	layer_share(&from, &s, ret->layer);
	return CALL_OK;
}

int ec2_volume_make(struct call *c, const struct ec2_volume_new *what, struct state_ec2_volume_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_snapshot_record snapshot = {0};
	struct str type_name = str_set(what->type) ? what->type : S("gp2");
	const struct volume_type *t = type_of(type_name);
	if (!t)
		return ec2_invalid(c, "Value (%.*s) for parameter volumeType is invalid.", STR_ARG(type_name));
	if (str_set(what->snapshot) && take_snapshot(c, what, &snapshot) != CALL_OK)
		return CALL_FAIL;
	int64_t least = snapshot.snapshot ? snapshot.snapshot->volume_size.v : 0, size = what->size.set ? what->size.v : least;
	if (check_shape(c, t, size, what->iops, what->throughput) != CALL_OK)
		return CALL_FAIL;
	if (size < least)
		return ec2_invalid(c, "Volume of size %lldGB is smaller than snapshot '%.*s', expect size >= %lldGB",
		                   (long long)size, STR_ARG(what->snapshot), (long long)least);
	struct ec2_volume *v = arena_new(c->arena, struct ec2_volume);
	*v = (struct ec2_volume){.volume_id = ec2_new_id(c->arena, "vol"),
	                         .size = OPT_INT(size),
	                         .volume_type = type_name,
	                         .snapshot_id = str_set(what->snapshot) ? what->snapshot : S(""),
	                         .availability_zone = what->zone,
	                         .state = S("creating"),
	                         .create_time = OPT_TIME(c->now_ms),
	                         .encrypted = OPT_BOOL(false),
	                         .multi_attach_enabled = OPT_BOOL(false),
	                         .tags = what->tags};
	int zone = ec2_zone_find(c->arena, c->region, what->zone);
	v->availability_zone_id = ec2_zone_id(c->arena, c->region, (unsigned)zone);
	v->attachments.set = true;
	set_speed(v, t, what->iops, what->throughput);
	*ret = (struct state_ec2_volume_record){.volume = v, .layer = snapshot.layer};
	ec2_put(&s, &ec2_kind_volume, v->volume_id, ret);
	return CALL_OK;
}

int ec2_create_volume(struct call *c, const struct ec2_create_volume_request *in, struct ec2_volume *out)
{
	struct ec2_volume_new new = {.type = in->volume_type,
	                             .size = in->size,
	                             .iops = in->iops,
	                             .throughput = in->throughput,
	                             .snapshot = in->snapshot_id};
	struct state_ec2_volume_record made;
	struct str zone = str_set(in->availability_zone) ? in->availability_zone : in->availability_zone_id;
	if (!str_set(zone))
		return ec2_missing(c, "AvailabilityZone");
	if (!in->size.set && !str_set(in->snapshot_id))
		return ec2_missing(c, "size/snapshot");
	if (in->encrypted.v || str_set(in->kms_key_id))
		return call_fail(c, "UnsupportedOperation", 400, "Encrypted volumes are not supported.");
	if (in->multi_attach_enabled.v || str_set(in->outpost_arn) || in->volume_initialization_rate.set || in->operator)
		return call_fail(c, "UnsupportedOperation", 400,
		                 "Multi-attach, outposts, initialization rates and operators are not supported.");
	int at = ec2_zone_find(c->arena, c->region, zone);
	if (at < 0)
		return call_fail(c, "InvalidZone.NotFound", 400, "The zone '%.*s' does not exist.", STR_ARG(zone));
	new.zone = ec2_zone_name(c->arena, c->region, (unsigned)at);
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_volume, &new.tags) != CALL_OK ||
	    ec2_volume_make(c, &new, &made) != CALL_OK)
		return CALL_FAIL;
	*out = *made.volume;
	return CALL_OK;
}

int ec2_delete_volume(struct call *c, const struct ec2_delete_volume_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_volume_record r;
	if (ec2_get(c, &ec2_kind_volume, in->volume_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.volume->attachments.n)
		return call_fail(c, "VolumeInUse", 400, "Volume %.*s is currently attached to %.*s", STR_ARG(in->volume_id),
		                 STR_ARG(r.volume->attachments.v[0].instance_id));
	if (str_is(r.volume->state, "creating"))
		return call_fail(c, "IncorrectState", 400, "Volume '%.*s' is in the 'creating' state.", STR_ARG(in->volume_id));
	r.volume->state = S("deleting");
	ec2_put(&s, &ec2_kind_volume, in->volume_id, &r);
	return CALL_OK;
}

/* --- describing */

#define ATTACHMENT(name, member) FIELD_EACH(name, ec2_volume, attachments, ec2_volume_attachment, member)

static const struct ec2_field volume_fields[] = {
        ATTACHMENT("attachment.device", device),
        ATTACHMENT("attachment.instance-id", instance_id),
        ATTACHMENT("attachment.status", state),
        FIELD_PATH("attachment.attach-time", "Volume", "Attachments.AttachTime"),
        FIELD_PATH("attachment.delete-on-termination", "Volume", "Attachments.DeleteOnTermination"),
        FIELD_PATH("create-time", "Volume", "CreateTime"),
        FIELD_TEXT("availability-zone", ec2_volume, availability_zone),
        FIELD_TEXT("availability-zone-id", ec2_volume, availability_zone_id),
        FIELD_FLAG("encrypted", ec2_volume, encrypted),
        FIELD_FLAG("fast-restored", ec2_volume, fast_restored),
        FIELD_FLAG("multi-attach-enabled", ec2_volume, multi_attach_enabled),
        FIELD_PATH("operator.managed", "Volume", "Operator.Managed"),
        FIELD_PATH("operator.principal", "Volume", "Operator.Principal"),
        FIELD_NUMBER("size", ec2_volume, size),
        FIELD_TEXT("snapshot-id", ec2_volume, snapshot_id),
        FIELD_TEXT("status", ec2_volume, state),
        FIELD_TEXT("volume-id", ec2_volume, volume_id),
        FIELD_TEXT("volume-type", ec2_volume, volume_type),
        {0},
};

static void show_volume(struct call *c, void *record, void *output)
{
	struct ec2_describe_volumes_result *out = output;
	*LIST_ADD(c->arena, &out->volumes) = *(struct ec2_volume *)ec2_shape(&ec2_kind_volume, record);
}

int ec2_describe_volumes(struct call *c, const struct ec2_describe_volumes_request *in, struct ec2_describe_volumes_result *out)
{
	const struct ec2_walk walk = {.kind = &ec2_kind_volume,
	                              .fields = volume_fields,
	                              .filters = &in->filters,
	                              .ids = &in->volume_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show_volume};
	out->volumes.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}

/* A volume is what its file is: one that could not be made is impaired. */
static void fill_status(struct call *c, void *record, struct ec2_volume_status_item *item)
{
	const struct ec2_volume *v = ec2_shape(&ec2_kind_volume, record);
	bool broken = str_is(v->state, "error"), early = str_is(v->state, "creating");
	*item = (struct ec2_volume_status_item){.volume_id = v->volume_id,
	                                        .availability_zone = v->availability_zone,
	                                        .availability_zone_id = v->availability_zone_id};
	item->actions.set = item->events.set = true;
	item->volume_status = arena_new(c->arena, struct ec2_volume_status_info);
	item->volume_status->status = broken ? S("impaired") : early ? S("insufficient-data") : S("ok");
	*LIST_ADD(c->arena, &item->volume_status->details) =
	        (struct ec2_volume_status_details){.name = S("io-enabled"),
	                                           .status = broken  ? S("failed")
	                                                     : early ? S("not-applicable")
	                                                             : S("passed")};
}

static void show_status(struct call *c, void *record, void *output)
{
	struct ec2_describe_volume_status_result *out = output;
	fill_status(c, record, LIST_ADD(c->arena, &out->volume_statuses));
}

#define ASK_STATUS(name, path) \
	static void ask_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		struct ec2_volume_status_item item; \
		fill_status(c, record, &item); \
		ec2_path_values(c->arena, "VolumeStatusItem", &item, "VolumeStatus." path, ret); \
	}
ASK_STATUS(status, "Status")
ASK_STATUS(details_name, "Details.Name")
ASK_STATUS(details_status, "Details.Status")

int ec2_describe_volume_status(struct call *c, const struct ec2_describe_volume_status_request *in,
                               struct ec2_describe_volume_status_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("action.code"),
	        FIELD_NEVER("action.description"),
	        FIELD_NEVER("action.event-id"),
	        FIELD_TEXT("availability-zone", ec2_volume, availability_zone),
	        FIELD_TEXT("availability-zone-id", ec2_volume, availability_zone_id),
	        FIELD_NEVER("event.description"),
	        FIELD_NEVER("event.event-id"),
	        FIELD_NEVER("event.event-type"),
	        FIELD_NEVER("event.not-after"),
	        FIELD_NEVER("event.not-before"),
	        FIELD_ASK("volume-status.details-name", ask_details_name),
	        FIELD_ASK("volume-status.details-status", ask_details_status),
	        FIELD_ASK("volume-status.status", ask_status),
	        {0},
	};
	const struct ec2_walk walk = {.kind = &ec2_kind_volume,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &in->volume_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show_status};
	out->volume_statuses.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}

/* --- attributes */

int ec2_describe_volume_attribute(struct call *c, const struct ec2_describe_volume_attribute_request *in,
                                  struct ec2_describe_volume_attribute_result *out)
{
	struct state_ec2_volume_record r;
	if (ec2_get(c, &ec2_kind_volume, in->volume_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->volume_id = in->volume_id;
	if (str_is(in->attribute, "autoEnableIO")) {
		out->auto_enable_io = arena_new(c->arena, struct ec2_attribute_boolean_value);
		out->auto_enable_io->value = OPT_BOOL(false);
	} else if (str_is(in->attribute, "productCodes")) {
		out->product_codes.set = true;
	} else {
		return ec2_invalid(c, "Value (%.*s) for parameter attribute is invalid. Unknown value.", STR_ARG(in->attribute));
	}
	return CALL_OK;
}

/* No volume is encrypted, and none can be made so. */
int ec2_get_ebs_encryption_by_default(struct call *c, const struct ec2_get_ebs_encryption_by_default_request *in,
                                      struct ec2_get_ebs_encryption_by_default_result *out)
{
	(void)c;
	(void)in;
	out->ebs_encryption_by_default = OPT_BOOL(false);
	return CALL_OK;
}

/* --- growing */

int ec2_modify_volume(struct call *c, const struct ec2_modify_volume_request *in, struct ec2_modify_volume_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_volume_record r;
	if (ec2_get(c, &ec2_kind_volume, in->volume_id, &r) != CALL_OK)
		return CALL_FAIL;
	struct ec2_volume *v = r.volume;
	if (!in->size.set && !str_set(in->volume_type) && !in->iops.set && !in->throughput.set)
		return ec2_missing(c, "Size, VolumeType, Iops or Throughput");
	if (in->multi_attach_enabled.v)
		return call_fail(c, "UnsupportedOperation", 400, "Multi-attach is not supported.");
	if (!str_is(v->state, "available") && !str_is(v->state, "in-use"))
		return call_fail(c, "IncorrectState", 400, "Volume '%.*s' is in the '%.*s' state.", STR_ARG(v->volume_id),
		                 STR_ARG(v->state));
	if (in->size.set && in->size.v < v->size.v)
		return ec2_invalid(c, "New size cannot be smaller than existing size");
	if (r.modification && r.modification->start_time.ms + MODIFY_PAUSE_MS > c->now_ms)
		return call_fail(
		        c, "VolumeModificationRateExceeded", 400,
		        "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.");
	struct ec2_volume after = *v;
	after.size = in->size.set ? in->size : v->size;
	after.volume_type = str_set(in->volume_type) ? in->volume_type : v->volume_type;
	const struct volume_type *t = type_of(after.volume_type);
	bool same_type = str_eq(after.volume_type, v->volume_type);
	struct opt_int iops = in->iops.set || !same_type || !t || !t->iops_max ? in->iops : v->iops;
	struct opt_int throughput = in->throughput.set || !same_type ? in->throughput : v->throughput;
	if (!t)
		return ec2_invalid(c, "Value (%.*s) for parameter volumeType is invalid.", STR_ARG(after.volume_type));
	if (check_shape(c, t, after.size.v, iops, throughput) != CALL_OK)
		return CALL_FAIL;
	set_speed(&after, t, iops, throughput);
	r.modification = arena_new(c->arena, struct ec2_volume_modification);
	*r.modification = (struct ec2_volume_modification){.volume_id = v->volume_id,
	                                                   .modification_state = S("modifying"),
	                                                   .target_size = after.size,
	                                                   .target_iops = after.iops,
	                                                   .target_volume_type = after.volume_type,
	                                                   .target_throughput = after.throughput,
	                                                   .original_size = v->size,
	                                                   .original_iops = v->iops,
	                                                   .original_volume_type = v->volume_type,
	                                                   .original_throughput = v->throughput,
	                                                   .progress = OPT_INT(0),
	                                                   .start_time = OPT_TIME(c->now_ms)};
	ec2_put(&s, &ec2_kind_volume, v->volume_id, &r);
	out->volume_modification = r.modification;
	return CALL_OK;
}

static bool never_modified(struct call *c, void *record)
{
	(void)c;
	return !((const struct state_ec2_volume_record *)record)->modification;
}

#define ASK_MODIFICATION(name, path) \
	static void ask_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		const struct state_ec2_volume_record *r = record; \
		if (r->modification) \
			ec2_path_values(c->arena, "VolumeModification", r->modification, path, ret); \
	}
ASK_MODIFICATION(modification_state, "ModificationState")
ASK_MODIFICATION(original_iops, "OriginalIops")
ASK_MODIFICATION(original_size, "OriginalSize")
ASK_MODIFICATION(original_type, "OriginalVolumeType")
ASK_MODIFICATION(start_time, "StartTime")
ASK_MODIFICATION(target_iops, "TargetIops")
ASK_MODIFICATION(target_size, "TargetSize")
ASK_MODIFICATION(target_type, "TargetVolumeType")

static void show_modification(struct call *c, void *record, void *output)
{
	const struct state_ec2_volume_record *r = record;
	struct ec2_describe_volumes_modifications_result *out = output;
	if (r->modification)
		*LIST_ADD(c->arena, &out->volumes_modifications) = *r->modification;
}

int ec2_describe_volumes_modifications(struct call *c, const struct ec2_describe_volumes_modifications_request *in,
                                       struct ec2_describe_volumes_modifications_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_ASK("modification-state", ask_modification_state),
	        FIELD_ASK("original-iops", ask_original_iops),
	        FIELD_ASK("original-size", ask_original_size),
	        FIELD_ASK("original-volume-type", ask_original_type),
	        FIELD_NEVER("originalMultiAttachEnabled"),
	        FIELD_ASK("start-time", ask_start_time),
	        FIELD_ASK("target-iops", ask_target_iops),
	        FIELD_ASK("target-size", ask_target_size),
	        FIELD_ASK("target-volume-type", ask_target_type),
	        FIELD_NEVER("targetMultiAttachEnabled"),
	        FIELD_TEXT("volume-id", ec2_volume, volume_id),
	        {0},
	};
	const struct ec2_walk walk = {.kind = &ec2_kind_volume,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &in->volume_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show_modification,
	                              .hidden = never_modified,
	                              .min = 1,
	                              .max = 500};
	out->volumes_modifications.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}
