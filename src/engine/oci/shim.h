/* The process that holds a task together: process 1 of the task's namespace of processes, root of its user namespace, nobody on the
 * machine. It starts containers with the OCI runtime, reaps, keeps their output until `api` has taken it, and checks their health.
 * The steward's child becomes it, inside the sandbox (child.c). */
#pragma once
#include "engine/cgroup/cgroup.h"
#include "engine/oci/proto.h"

struct task_shim_container {
	int plan;
	int join[CGROUP_CONTROLLERS];
	int oom, memory, memory_peak, cpu; /* files of its control group; -1: none */
};

struct task_shim_plan {
	unsigned slot, runtime, container_count;
	int cgroup_version;
	int listen, metadata;
	struct task_shim_container containers[STEWARD_CONTAINERS_MAX];
};

/* Never returns. The process ends with QUIT, or when it is killed; everything in the task dies with it. */
_Noreturn void task_shim_run(const struct task_shim_plan *plan);
