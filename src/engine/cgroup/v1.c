/* cgroup v1: memory, cpu, pids and freezer are hierarchies of their own, each mounted below the root by its name; cpuacct is one
 * too, or counts in cpu's. */
#include "engine/cgroup/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int v1_open(struct cgroups *g, int root, const char *self)
{
	(void)self;
	static const char *const names[CGROUP_CONTROLLERS] = {"memory", "cpu", "pids", "freezer", "cpuacct"};
	static const char *const proofs[CGROUP_CONTROLLERS] = {"memory/cgroup.procs", "cpu/cgroup.procs", "pids/cgroup.procs",
	                                                       "freezer/cgroup.procs", "cpuacct/cgroup.procs"};
	int found = -ENOSYS;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (faccessat(root, proofs[i], F_OK, 0) < 0 ||
		    (i == CGROUP_ACCOUNT && faccessat(root, "cpu/cpuacct.usage", F_OK, 0) == 0))
			continue;
		g->base[i] = openat(root, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		g->has[i] = g->base[i] >= 0;
		if (g->has[i])
			found = 0;
	}
	return found;
}

static int first_error(int a, int b)
{
	return a ? a : b;
}

static int v1_limit(struct cgroups *g, int const dirs[CGROUP_CONTROLLERS], const struct cgroup_limits *l)
{
	(void)g;
	int error = 0;
	if (l->memory_bytes && dirs[CGROUP_MEMORY] >= 0) {
		/* memory may never exceed memory+swap: which of the two goes first depends on whether the limit falls or rises */
		int r = cgroup_write_number(dirs[CGROUP_MEMORY], "memory.limit_in_bytes", l->memory_bytes);
		int swap = cgroup_write_number(dirs[CGROUP_MEMORY], "memory.memsw.limit_in_bytes", l->memory_bytes);
		if (r == -EINVAL && !swap)
			r = cgroup_write_number(dirs[CGROUP_MEMORY], "memory.limit_in_bytes", l->memory_bytes);
		/* kernels without swap accounting have no memsw files: then swappiness keeps the group out of swap */
		if (swap == -ENOENT)
			cgroup_write(dirs[CGROUP_MEMORY], "memory.swappiness", "0");
		error = first_error(error, r);
	}
	if (l->memory_soft_bytes && dirs[CGROUP_MEMORY] >= 0)
		error = first_error(error,
		                    cgroup_write_number(dirs[CGROUP_MEMORY], "memory.soft_limit_in_bytes", l->memory_soft_bytes));
	if (l->pids && dirs[CGROUP_PIDS] >= 0)
		error = first_error(error, cgroup_write_number(dirs[CGROUP_PIDS], "pids.max", l->pids));
	if (dirs[CGROUP_CPU] >= 0) {
		if (l->cpu_weight)
			error = first_error(error, cgroup_write_number(dirs[CGROUP_CPU], "cpu.shares",
			                                               (uint64_t)l->cpu_weight * 1024 / 100 < 2
			                                                       ? 2
			                                                       : (uint64_t)l->cpu_weight * 1024 / 100));
		if (l->cpu_quota_us) {
			/* the period can only be changed while it fits the quota that is set, so it goes first, while there is none
			 */
			int r = l->cpu_quota_us == UINT32_MAX ? cgroup_write(dirs[CGROUP_CPU], "cpu.cfs_quota_us", "-1") : 0;
			r = first_error(r, cgroup_write_number(dirs[CGROUP_CPU], "cpu.cfs_period_us", CGROUP_CPU_PERIOD_US));
			if (l->cpu_quota_us != UINT32_MAX)
				r = first_error(r, cgroup_write_number(dirs[CGROUP_CPU], "cpu.cfs_quota_us", l->cpu_quota_us));
			error = first_error(error, r == -ENOENT ? 0 : r); /* kernels without bandwidth control */
		}
	}
	return error;
}

static int v1_kill(struct cgroups *g, int const dirs[CGROUP_CONTROLLERS])
{
	(void)g;
	int error = -ENOENT;
	/* pids has every process; any other hierarchy serves when it is missing */
	for (int i = CGROUP_CONTROLLERS - 1; i >= 0; i--)
		if (dirs[i] >= 0)
			error = cgroup_kill_listed(dirs[i]);
	/* v1 keeps a frozen process from dying: the thaw comes after the signals, so that nothing runs in between */
	if (dirs[CGROUP_FREEZER] >= 0)
		cgroup_write(dirs[CGROUP_FREEZER], "freezer.state", "THAWED");
	return error;
}

const struct cgroup_ops cgroup_v1_ops = {
        .open = v1_open,
        .limit = v1_limit,
        .files = {"freezer.state", "cpu.cfs_quota_us", "memory.max_usage_in_bytes", "memory.oom_control", "memory.usage_in_bytes",
                  "cpuacct.usage"},
        .file_controller = {CGROUP_FREEZER, CGROUP_CPU, CGROUP_MEMORY, CGROUP_MEMORY, CGROUP_MEMORY, CGROUP_CPU},
        .kill = v1_kill,
};
