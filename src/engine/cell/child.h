/* From a clone of `priv`, or of a zygote, to process 1 of a cell: what happens between clone() and the first message. */
#pragma once
#include "engine/cgroup/cgroup.h"
#include "engine/net/outbound.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/types.h>

/* The same for every cell. */
struct child_world {
	int template_fd;    /* mount namespace to copy */
	int host_proc_fd;   /* /proc of the machine */
	int host_net_ns_fd; /* network namespace of the machine */
	struct outbound outbound;
	struct sock_fprog filter;
};

struct child_plan {
	const struct child_world *world;
	int cgroup_into;                     /* v2: the group to be born in; -1: none */
	int cgroup_join[CGROUP_CONTROLLERS]; /* v1: how to join it; all -1 otherwise */
	int control, lifeline;
	unsigned slot; /* of outbound */
	uid_t uid;     /* outside */
	/* The caller is a zygote: the child becomes the zygote's parent's, and INIT_IMAGE makes copies of it that return. */
	bool image;
};

/* Where a child was when it failed. */
enum child_step { CHILD_DONE, CHILD_CGROUP, CHILD_ROOT, CHILD_LINK, CHILD_LISTEN, CHILD_IDENTITY, CHILD_SECCOMP, CHILD_STEPS };
const char *child_step_name(enum child_step step);

/* Sent on the lifeline when the cell is finished, with the two listening sockets, or when it failed. */
struct child_report {
	int32_t error;
	uint32_t step;
};

/* Clones the calling process (single-threaded, in the machine's network namespace) into new namespaces. 0 and the child's pid, or
 * negative errno. With plan->image it returns a second time, 1, in every process that INIT_IMAGE starts: inside the cell, nobody,
 * with descriptors 0 to INIT_EXTRA_FD and no other. Descriptors in the plan stay the caller's. */
int child_clone(const struct child_plan *plan, pid_t *ret_pid);
