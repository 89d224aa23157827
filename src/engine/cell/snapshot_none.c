/* On machines whose registers we do not know how to keep. */
#include "engine/cell/snapshot.h"

#include <errno.h>
#include <stdio.h>

int snapshot_take(const struct snapshot_job *job, char ret_why[SNAPSHOT_WHY_MAX])
{
	(void)job;
	snprintf(ret_why, SNAPSHOT_WHY_MAX, "snapshots are taken on x86-64 alone");
	return -ENOTSUP;
}

int snapshot_check(int fd)
{
	(void)fd;
	return -ESTALE;
}
