/* From a clone of `priv` to the shim of a task: the sandbox is made by the process that will live in it. For the steward alone. */
#pragma once
#include "engine/cell/child.h"
#include "engine/oci/proto.h"

/* What the steward has opened for it. All stay the steward's. */
struct task_groups {
	int join[CGROUP_CONTROLLERS]; /* of the shim's own group; v2: it is born there */
	int containers[STEWARD_CONTAINERS_MAX][CGROUP_CONTROLLERS];
	int look[STEWARD_CONTAINERS_MAX][CGROUP_CONTROLLERS]; /* what a container sees of its own group */
	int files[STEWARD_CONTAINERS_MAX][CGROUP_FILES];      /* those that a shim reads; -1: none */
};

struct task_child {
	const struct child_world *world;
	const struct steward_request *request;
	const struct sock_fprog *filter; /* the outer wall around the shim and all that it starts */
	const struct task_groups *groups;
	const int *fds;      /* START's */
	int layers, scratch; /* DATA/layers, DATA/scratch */
	int report;          /* where the struct steward_answer goes */
	unsigned slot;
	int cgroup_version;
};

/* Paths in a shim's file system. */
#define SHIM_LAYERS "/tmp/l"
#define SHIM_ROOTS "/tmp/r"
#define SHIM_SCRATCH "/tmp/s"
#define SHIM_FILES "/tmp/f"
#define SHIM_BUNDLES "/tmp/b"
#define SHIM_GROUPS "/tmp/g"
#define SHIM_STATE "/tmp/state"
#define SHIM_PROCESSES SHIM_FILES "/processes" /* the namespace that containers share */

/* child_groups.c: what the sandbox and its containers see of control groups. Made among the machine's mounts, attached among the
 * sandbox's. Negative errno. */
int child_mount(const char *type, const char *at, const char *mode, unsigned attributes);
struct group_views {
	int trees[STEWARD_CONTAINERS_MAX][CGROUP_CONTROLLERS];
};
int group_views_open(const struct task_child *c, struct group_views *ret);
int group_views_attach(const struct task_child *c, const struct group_views *v);

/* In a process of its own namespace of processes. Never returns. */
_Noreturn void task_child_run(const struct task_child *c);
