/* ImportSnapshot and ImportImage, their tasks, and CancelImportTask. What an import does is in import.c. */
#include "aws/ec2/storage/import.h"

enum { AT_ONCE_MAX = 20 };

static int unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperation", 400, "%s not supported.", what);
}

static bool named(struct str s, const char *upper)
{
	return str_ieq(s, str_from(upper));
}

/* QCOW2 is no format of Amazon's: what the command line gets is uploaded as it is. */
static int take_source(struct call *c, struct str format, struct str url, const struct ec2_user_bucket *bucket,
                       struct import_plan *ret)
{
	static const char *const others[] = {"VMDK", "VHD", "VHDX", "OVA"};
	if (str_set(url) && url.n)
		return unsupported(c, "Disk images at URLs are");
	if (!format.n)
		return ec2_missing(c, "Format");
	for (size_t k = 0; k < sizeof(others) / sizeof(*others); k++)
		if (named(format, others[k]))
			return unsupported(c, arena_printf(c->arena, "Disk images in the format %s are", others[k]).p);
	ret->qcow2 = named(format, "QCOW2");
	if (!ret->qcow2 && !named(format, "RAW"))
		return ec2_invalid(c, "Value (%.*s) for parameter Format is invalid.", STR_ARG(format));
	if (!bucket || !bucket->s3_bucket.n || !bucket->s3_key.n)
		return ec2_missing(c, !bucket || !bucket->s3_bucket.n ? "UserBucket.S3Bucket" : "UserBucket.S3Key");
	ret->bucket = bucket->s3_bucket;
	ret->key = bucket->s3_key;
	if (import_count(ec2_state(c)->imports, c->account) >= AT_ONCE_MAX)
		return call_fail(c, "ResourceCountLimitExceeded", 400, "Only %d import tasks can be active at a time.",
		                 AT_ONCE_MAX);
	return CALL_OK;
}

static struct ec2_user_bucket_details *bucket_shown(struct call *c, const struct import_plan *plan)
{
	struct ec2_user_bucket_details *b = arena_new(c->arena, struct ec2_user_bucket_details);
	*b = (struct ec2_user_bucket_details){.s3_bucket = plan->bucket, .s3_key = plan->key};
	return b;
}

int ec2_import_snapshot(struct call *c, const struct ec2_import_snapshot_request *in, struct ec2_import_snapshot_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct import_plan plan = {0};
	struct ec2_tag_list tags;
	const struct ec2_snapshot_disk_container *from = in->disk_container;
	if (in->encrypted.v || in->kms_key_id.n)
		return unsupported(c, "Encrypted snapshots are");
	if (in->role_name.n)
		return unsupported(c, "Roles of imports are");
	if (!from)
		return ec2_missing(c, "DiskContainer");
	if (take_source(c, from->format, from->url, from->user_bucket, &plan) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_import_snapshot, &tags) != CALL_OK)
		return CALL_FAIL;
	plan.task = ec2_new_id(c->arena, "import-snap");
	plan.layer = ec2_new_id(c->arena, "snap");
	struct ec2_import_snapshot_task *task = arena_new(c->arena, struct ec2_import_snapshot_task);
	struct ec2_snapshot_task_detail *detail = arena_new(c->arena, struct ec2_snapshot_task_detail);
	*detail = (struct ec2_snapshot_task_detail){.description = in->description,
	                                            .disk_image_size = OPT_DOUBLE(0),
	                                            .format = plan.qcow2 ? S("QCOW2") : S("RAW"),
	                                            .progress = S("0"),
	                                            .status = S("active"),
	                                            .status_message = S("pending"),
	                                            .user_bucket = bucket_shown(c, &plan)};
	*task = (struct ec2_import_snapshot_task){
	        .import_task_id = plan.task, .description = in->description, .snapshot_task_detail = detail, .tags = tags};
	struct state_ec2_import_snapshot_record r = {.task = task, .layer = plan.layer, .begun = OPT_TIME(c->now_ms)};
	ec2_put(&s, &ec2_kind_import_snapshot, plan.task, &r);
	*out = (struct ec2_import_snapshot_result){
	        .import_task_id = plan.task, .description = in->description, .snapshot_task_detail = detail, .tags = tags};
	import_begin(c, &plan);
	return CALL_OK;
}

static int check_image(struct call *c, const struct ec2_import_image_request *in)
{
	if (in->encrypted.v || in->kms_key_id.n)
		return unsupported(c, "Encrypted images are");
	if (in->role_name.n || in->license_specifications.n || in->usage_operation.n || named(in->license_type, "AWS"))
		return unsupported(c, "Roles, licences and usage operations of imports are");
	if (in->architecture.n && !str_is(in->architecture, "x86_64"))
		return unsupported(c, "Architectures other than x86_64 are");
	if (in->platform.n && !named(in->platform, "Linux"))
		return unsupported(c, "Platforms other than Linux are");
	if (in->hypervisor.n && !str_is(in->hypervisor, "xen"))
		return unsupported(c, "Hypervisors other than xen are");
	if (in->boot_mode.n && !str_is(in->boot_mode, "legacy-bios"))
		return unsupported(c, "Boot modes other than legacy-bios are");
	if (in->disk_containers.n > 1)
		return unsupported(c, "Images of several disks are");
	if (!in->disk_containers.n)
		return ec2_missing(c, "DiskContainer");
	if (in->disk_containers.v[0].snapshot_id.n)
		return unsupported(c, "Imports of snapshots, which RegisterImage makes images of, are");
	return CALL_OK;
}

int ec2_import_image(struct call *c, const struct ec2_import_image_request *in, struct ec2_import_image_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct import_plan plan = {0};
	struct ec2_tag_list tags;
	if (check_image(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct ec2_image_disk_container *from = &in->disk_containers.v[0];
	if (take_source(c, from->format, from->url, from->user_bucket, &plan) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_import_image, &tags) != CALL_OK)
		return CALL_FAIL;
	plan.task = ec2_new_id(c->arena, "import-ami");
	plan.layer = ec2_new_id(c->arena, "snap");
	plan.name = plan.task;
	struct ec2_import_image_task *task = arena_new(c->arena, struct ec2_import_image_task);
	*task = (struct ec2_import_image_task){.import_task_id = plan.task,
	                                       .architecture = S("x86_64"),
	                                       .description = in->description,
	                                       .license_type = S("BYOL"),
	                                       .platform = S("Linux"),
	                                       .progress = S("0"),
	                                       .status = S("active"),
	                                       .status_message = S("pending"),
	                                       .tags = tags};
	task->boot_mode = S("legacy-bios");
	*LIST_ADD(c->arena, &task->snapshot_details) = (struct ec2_snapshot_detail){.description = from->description,
	                                                                            .device_name = S("/dev/sda1"),
	                                                                            .disk_image_size = OPT_DOUBLE(0),
	                                                                            .format = plan.qcow2 ? S("QCOW2") : S("RAW"),
	                                                                            .status = S("active"),
	                                                                            .user_bucket = bucket_shown(c, &plan)};
	struct state_ec2_import_image_record r = {.task = task, .layer = plan.layer, .begun = OPT_TIME(c->now_ms)};
	ec2_put(&s, &ec2_kind_import_image, plan.task, &r);
	*out = (struct ec2_import_image_result){.import_task_id = plan.task,
	                                        .architecture = task->architecture,
	                                        .description = task->description,
	                                        .license_type = task->license_type,
	                                        .platform = task->platform,
	                                        .progress = task->progress,
	                                        .status = task->status,
	                                        .status_message = task->status_message,
	                                        .snapshot_details = task->snapshot_details,
	                                        .tags = tags};
	import_begin(c, &plan);
	return CALL_OK;
}

/* --- describing */

static void ask_state(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_import_snapshot_task *t = *(void **)record;
	*LIST_ADD(c->arena, ret) = t->snapshot_task_detail->status;
}

static const struct ec2_field snapshot_fields[] = {FIELD_ASK("task-state", ask_state), {0}};
static const struct ec2_field image_fields[] = {FIELD_TEXT("task-state", ec2_import_image_task, status), {0}};

static struct str progress_shown(struct call *c, struct str task, struct str *message)
{
	int percent = import_progress(ec2_state(c)->imports, task);
	*message = percent > 0 ? S("converting") : S("pending");
	return arena_printf(c->arena, "%d", percent > 0 ? percent : 0);
}

static void show_snapshot(struct call *c, void *record, void *output)
{
	struct ec2_describe_import_snapshot_tasks_result *out = output;
	struct ec2_import_snapshot_task *t = *(void **)record;
	struct ec2_snapshot_task_detail *d = t->snapshot_task_detail;
	if (str_is(d->status, "active"))
		d->progress = progress_shown(c, t->import_task_id, &d->status_message);
	*LIST_ADD(c->arena, &out->import_snapshot_tasks) = *t;
}

static void show_image(struct call *c, void *record, void *output)
{
	struct ec2_describe_import_image_tasks_result *out = output;
	struct ec2_import_image_task *t = *(void **)record;
	if (str_is(t->status, "active"))
		t->progress = progress_shown(c, t->import_task_id, &t->status_message);
	*LIST_ADD(c->arena, &out->import_image_tasks) = *t;
}

int ec2_describe_import_snapshot_tasks(struct call *c, const struct ec2_describe_import_snapshot_tasks_request *in,
                                       struct ec2_describe_import_snapshot_tasks_result *out)
{
	const struct ec2_walk walk = {.kind = &ec2_kind_import_snapshot,
	                              .fields = snapshot_fields,
	                              .filters = &in->filters,
	                              .ids = &in->import_task_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show_snapshot};
	out->import_snapshot_tasks.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}

int ec2_describe_import_image_tasks(struct call *c, const struct ec2_describe_import_image_tasks_request *in,
                                    struct ec2_describe_import_image_tasks_result *out)
{
	const struct ec2_walk walk = {.kind = &ec2_kind_import_image,
	                              .fields = image_fields,
	                              .filters = &in->filters,
	                              .ids = &in->import_task_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show_image};
	out->import_image_tasks.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}

int ec2_cancel_import_task(struct call *c, const struct ec2_cancel_import_task_request *in,
                           struct ec2_cancel_import_task_result *out)
{
	struct state_ec2_import_image_record i;
	struct state_ec2_import_snapshot_record p;
	struct str state;
	if (!in->import_task_id.n)
		return ec2_missing(c, "ImportTaskId");
	if (str_starts(in->import_task_id, S("import-ami"))) {
		if (ec2_get(c, &ec2_kind_import_image, in->import_task_id, &i) != CALL_OK)
			return CALL_FAIL;
		state = i.task->status;
	} else {
		if (ec2_get(c, &ec2_kind_import_snapshot, in->import_task_id, &p) != CALL_OK)
			return CALL_FAIL;
		state = p.task->snapshot_task_detail->status;
	}
	if (!str_is(state, "active"))
		return call_fail(c, "IncorrectState", 400, "The import task '%.*s' is in the '%.*s' state.",
		                 STR_ARG(in->import_task_id), STR_ARG(state));
	call_after_commit(c, import_cancel_now);
	*out = (struct ec2_cancel_import_task_result){
	        .import_task_id = in->import_task_id, .previous_state = state, .state = S("deleting")};
	return CALL_OK;
}
