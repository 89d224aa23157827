/* What disks have been asked for, as a shim counts it: of a container's by the kernel's block devices. For the shim alone. */
#pragma once
#include "engine/vm/proto.h"

#include <stddef.h>
#include <sys/types.h>

/* Adds what the block device has done since the machine knows it; `sysfs` is where that is mounted. Negative errno: nothing is
 * added. */
int disk_use_read(const char *sysfs, dev_t device, struct shim_disk_use *use);
/* How far `now` has come since `before`; the names stay. */
void disk_use_since(struct shim_disk_use *now, const struct shim_disk_use *before);
/* Adds a disk to the sums of a STATUS's answer. */
void disk_use_sum(struct shim_answer *a, const struct shim_disk_use *use);
/* A file of them for the answer to STATUS, or -1: there are none. */
int disk_use_file(const struct shim_disk_use *uses, size_t count);
