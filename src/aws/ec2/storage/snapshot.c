/* Snapshots. Making one is storage.c's work; a copy is another name for the same layer. */
#include "aws/ec2/storage/image_default.h"
#include "aws/ec2/storage/layer.h"
#include "aws/ec2/storage/snapshot_share.h"
#include "base/clock.h"

int ec2_snapshot_usable(struct call *c, struct str id, struct state_ec2_snapshot_record *ret)
{
	if (default_image_snapshot(ec2_state(c)->image, c->arena, ret) && str_eq(ret->snapshot->snapshot_id, id))
		return CALL_OK;
	if (!snapshot_find_shared(c, id, ret) && ec2_get(c, &ec2_kind_snapshot, id, ret) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(ret->snapshot->state, "completed"))
		return call_fail(c, "IncorrectState", 400, "Snapshot '%.*s' is not in the 'completed' state.", STR_ARG(id));
	return CALL_OK;
}

struct ec2_snapshot *ec2_snapshot_new(struct call *c, struct str description, struct str volume, int64_t size)
{
	struct ec2_snapshot *made = arena_new(c->arena, struct ec2_snapshot);
	*made = (struct ec2_snapshot){.snapshot_id = ec2_new_id(c->arena, "snap"),
	                              .volume_id = volume,
	                              .state = S("pending"),
	                              .progress = S(""),
	                              .start_time = OPT_TIME(c->now_ms),
	                              .owner_id = c->account,
	                              .description = str_set(description) ? description : S(""),
	                              .volume_size = OPT_INT(size),
	                              .encrypted = OPT_BOOL(false),
	                              .storage_tier = S("standard")};
	return made;
}

int ec2_create_snapshot(struct call *c, const struct ec2_create_snapshot_request *in, struct ec2_snapshot *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_volume_record v;
	struct ec2_tag_list tags;
	if (str_set(in->outpost_arn) || (str_set(in->location) && !str_is(in->location, "regional")))
		return call_fail(c, "UnsupportedOperation", 400, "Snapshots in outposts and local zones are not supported.");
	if (ec2_get(c, &ec2_kind_volume, in->volume_id, &v) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_snapshot, &tags) != CALL_OK)
		return CALL_FAIL;
	if (!v.made.v || str_is(v.volume->state, "deleting"))
		return call_fail(c, "IncorrectState", 400, "Volume '%.*s' is in the '%.*s' state.", STR_ARG(in->volume_id),
		                 STR_ARG(v.volume->state));
	struct ec2_snapshot *made = ec2_snapshot_new(c, in->description, in->volume_id, v.volume->size.v);
	made->tags = tags;
	struct state_ec2_snapshot_record r = {.snapshot = made};
	ec2_put(&s, &ec2_kind_snapshot, made->snapshot_id, &r);
	*out = *made;
	return CALL_OK;
}

/* AWS gives copies a volume id that is nobody's. */
struct ec2_snapshot *ec2_snapshot_copy(struct call *c, struct str source_region, const struct state_ec2_snapshot_record *source,
                                       struct str description, struct ec2_tag_list tags)
{
	struct ec2_scope s = ec2_scope(c), from = s;
	from.region = source_region;
	from.account = source->snapshot->owner_id;
	struct ec2_snapshot *made = ec2_snapshot_new(c, description, S("vol-ffffffff"), source->snapshot->volume_size.v);
	made->tags = tags;
	made->state = S("completed");
	made->progress = S("100%");
	made->completion_time = OPT_TIME(c->now_ms);
	struct state_ec2_snapshot_record r = {.snapshot = made, .layer = source->layer};
	int64_t bytes = layer_share(&from, &s, source->layer);
	if (bytes)
		r.bytes = OPT_INT(bytes);
	ec2_put(&s, &ec2_kind_snapshot, made->snapshot_id, &r);
	return made;
}

int ec2_copy_snapshot(struct call *c, const struct ec2_copy_snapshot_request *in, struct ec2_copy_snapshot_result *out)
{
	struct state_ec2_snapshot_record source;
	struct ec2_tag_list tags;
	if (!str_set(in->source_region))
		return ec2_missing(c, "SourceRegion");
	if (str_set(in->destination_region) && !str_eq(in->destination_region, c->region))
		return ec2_invalid(
		        c, "Value (%.*s) for parameter destinationRegion is invalid. The request must be sent to this region.",
		        STR_ARG(in->destination_region));
	if (in->encrypted.v || str_set(in->kms_key_id) || str_set(in->destination_outpost_arn) ||
	    str_set(in->destination_availability_zone) || in->completion_duration_minutes.set)
		return call_fail(c, "UnsupportedOperation", 400,
		                 "Encryption, other destinations and completion durations of copies are not supported.");
	struct str here = c->region;
	c->region = in->source_region;
	int error = ec2_snapshot_usable(c, in->source_snapshot_id, &source);
	c->region = here;
	if (error != CALL_OK || ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_snapshot, &tags) != CALL_OK)
		return CALL_FAIL;
	const struct ec2_snapshot *made = ec2_snapshot_copy(c, in->source_region, &source, in->description, tags);
	*out = (struct ec2_copy_snapshot_result){.snapshot_id = made->snapshot_id, .tags = tags};
	return CALL_OK;
}

/* The image of the account that a snapshot is part of; STR_NONE: none. */
static struct str image_with(const struct ec2_scope *s, struct str snapshot)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_image);
	struct state_ec2_image_record r;
	while (ec2_next(&all, &r))
		for (uint32_t i = 0; i < r.image->block_device_mappings.n; i++) {
			const struct ec2_ebs_block_device *ebs = r.image->block_device_mappings.v[i].ebs;
			if (ebs && str_eq(ebs->snapshot_id, snapshot))
				return all.id;
		}
	return STR_NONE;
}

/* What a snapshot held is held on by a copy of it, or by one that stands on its layer: that one costs so much more from now on. */
static void hand_on_bytes(const struct ec2_scope *s, const struct state_ec2_snapshot_record *gone)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_snapshot);
	struct state_ec2_snapshot_record r, heir = {0};
	struct str id = STR_NONE;
	bool copy = false;
	if (!str_set(gone->layer) || !gone->bytes.v)
		return;
	while (!copy && ec2_next(&all, &r)) {
		struct state_ec2_layer_record layer;
		if (str_eq(all.id, gone->snapshot->snapshot_id) || !str_set(r.layer))
			continue;
		copy = str_eq(r.layer, gone->layer);
		if (!copy && (str_set(id) || !layer_get(s, r.layer, &layer) || !str_eq(layer.under, gone->layer)))
			continue;
		heir = r;
		id = all.id;
	}
	if (!str_set(id))
		return;
	heir.bytes = OPT_INT(heir.bytes.v + gone->bytes.v);
	ec2_put(s, &ec2_kind_snapshot, id, &heir);
}

bool ec2_snapshot_remove(const struct ec2_scope *s, const struct state_ec2_snapshot_record *r, struct str *ret_image)
{
	struct str id = r->snapshot->snapshot_id;
	*ret_image = image_with(s, id);
	if (str_set(*ret_image) || str_is(r->snapshot->state, "pending"))
		return false;
	hand_on_bytes(s, r);
	snapshot_drop(s, id);
	layer_look(s, r->layer);
	return true;
}

int ec2_delete_snapshot(struct call *c, const struct ec2_delete_snapshot_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_snapshot_record r;
	struct str image;
	if (ec2_get(c, &ec2_kind_snapshot, in->snapshot_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (ec2_snapshot_remove(&s, &r, &image))
		return CALL_OK;
	if (str_set(image))
		return call_fail(c, "InvalidSnapshot.InUse", 400, "The snapshot %.*s is currently in use by %.*s",
		                 STR_ARG(in->snapshot_id), STR_ARG(image));
	return call_fail(c, "IncorrectState", 400, "Snapshot '%.*s' is in the 'pending' state.", STR_ARG(in->snapshot_id));
}

/* --- describing */

static void ask_start(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_snapshot *s = ec2_shape(&ec2_kind_snapshot, record);
	*LIST_ADD(c->arena, ret) = time_format(c->arena, s->start_time.ms, TIME_ISO8601_MS);
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("description", ec2_snapshot, description),
        FIELD_FLAG("encrypted", ec2_snapshot, encrypted),
        FIELD_TEXT("owner-alias", ec2_snapshot, owner_alias),
        FIELD_TEXT("owner-id", ec2_snapshot, owner_id),
        FIELD_TEXT("progress", ec2_snapshot, progress),
        FIELD_TEXT("snapshot-id", ec2_snapshot, snapshot_id),
        FIELD_ASK("start-time", ask_start),
        FIELD_TEXT("status", ec2_snapshot, state),
        FIELD_TEXT("storage-tier", ec2_snapshot, storage_tier),
        FIELD_TEXT("transfer-type", ec2_snapshot, transfer_type),
        FIELD_TEXT("volume-id", ec2_snapshot, volume_id),
        FIELD_NUMBER("volume-size", ec2_snapshot, volume_size),
        {0},
};

static void show(struct call *c, void *record, void *output)
{
	struct ec2_describe_snapshots_result *out = output;
	*LIST_ADD(c->arena, &out->snapshots) = *(struct ec2_snapshot *)ec2_shape(&ec2_kind_snapshot, record);
}

int ec2_describe_snapshots(struct call *c, const struct ec2_describe_snapshots_request *in,
                           struct ec2_describe_snapshots_result *out)
{
	struct str after;
	struct str_list own = {0}, others = {0};
	out->snapshots.set = true;
	if (ec2_filters_check(c, fields, &in->filters) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < in->snapshot_ids.n; k++) {
		struct state_ec2_snapshot_record r;
		bool shared = snapshot_find_shared(c, in->snapshot_ids.v[k], &r);
		*LIST_ADD(c->arena, shared ? &others : &own) = in->snapshot_ids.v[k];
	}
	const struct ec2_walk walk = {.kind = &ec2_kind_snapshot,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = in->snapshot_ids.n ? &own : &in->snapshot_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show};
	if (in->snapshot_ids.n && in->max_results.set)
		return ec2_combination(c, "The parameter snapshotIds cannot be used with the parameter maxResults");
	if (ec2_page_begin(c, &in->max_results, 5, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	/* The account's own ones come first, then those that others share with it. */
	if (!str_starts(after, S("shared/")) && (own.n || !in->snapshot_ids.n) && snapshots_wanted(c, in, c->account) &&
	    ec2_describe(c, &walk, out, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(out->next_token) && (others.n || !in->snapshot_ids.n))
		snapshots_show_shared(c, in, fields, &others, after, out);
	return CALL_OK;
}
