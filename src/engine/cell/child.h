/* From a clone of `priv` to process 1 of a cell: what happens between clone() and the first message. */
#pragma once
#include "engine/cgroup/cgroup.h"
#include "engine/net/outbound.h"

#include <linux/filter.h>
#include <sys/types.h>

struct child_plan {
	int cgroup_join[CGROUP_CONTROLLERS]; /* v1; all -1 when clone() did it */
	int template_fd;                     /* mount namespace to copy */
	int host_proc_fd;                    /* /proc of the machine */
	int host_net_ns_fd;                  /* network namespace of the machine */
	int host_netlink;                    /* a route socket in it; -1: no link */
	int control, lifeline;
	const struct outbound *outbound;
	unsigned slot; /* of outbound */
	uid_t uid;     /* outside */
	const struct sock_fprog *filter;
};

/* Where a child was when it failed. */
enum child_step { CHILD_DONE, CHILD_CGROUP, CHILD_ROOT, CHILD_LINK, CHILD_LISTEN, CHILD_IDENTITY, CHILD_SECCOMP, CHILD_STEPS };
const char *child_step_name(enum child_step step);

/* Sent on the lifeline when the cell is finished, with the two listening sockets, or when it failed. */
struct child_report {
	int32_t error;
	uint32_t step;
};

__attribute__((noreturn)) void child_run(const struct child_plan *plan);
