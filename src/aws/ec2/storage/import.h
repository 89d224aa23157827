/* Imports of disk images from S3: what runs, and the operations that begin, list and cancel it. An import reads the object part by
 * part with the caller's permissions into a file beside the volumes' and becomes a snapshot when all of it is there and is a disk
 * image; until then nothing but its task is to be seen, and a restart of the role ends it. Private to aws/ec2. */
#pragma once
#include "aws/ec2/storage/image.h"

extern const struct ec2_kind ec2_kind_import_snapshot, ec2_kind_import_image;

struct imports;
/* Ends the tasks that a restart cut off and forgets those of last week. */
struct imports *imports_new(struct ec2_state *ec2);
void imports_free(struct imports *m); /* NULL is harmless; jobs under way end alone */

ec2_import_snapshot_handler ec2_import_snapshot;
ec2_import_image_handler ec2_import_image;
ec2_describe_import_snapshot_tasks_handler ec2_describe_import_snapshot_tasks;
ec2_describe_import_image_tasks_handler ec2_describe_import_image_tasks;
ec2_cancel_import_task_handler ec2_cancel_import_task;

/* import.c, for the operations: the task that was put begins once its record is durable. */
struct import_plan {
	struct str task, layer, bucket, key, name, architecture, device; /* name: of the image to make; absent: none */
	bool qcow2;
};
void import_begin(struct call *c, const struct import_plan *plan);
/* Of a call of CancelImportTask, after its commit. */
void import_cancel_now(struct call *c);
/* Of a task that runs: percent; -1: it does not run. */
int import_progress(const struct imports *m, struct str task);
/* How many of the account's run in all regions. */
unsigned import_count(const struct imports *m, struct str account);
