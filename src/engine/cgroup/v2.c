/* cgroup v2: one tree. Where in it we may work depends on who started us: under systemd with Delegate=yes it is our own unit's
 * group; by hand as root it is the top; in a container the top of the namespace, whose processes must first move into a leaf,
 * because a group with processes cannot give controllers to groups below it. */
#include "engine/cgroup/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LEAF "quartet-roles"
enum { MOVE_TRIES = 100 };

/* -EBUSY: there are processes in dir. Memory goes first: the others do not mind processes, but once one of them is enabled, no
 * group below can take processes and memory can never be. */
static int enable_controllers(int dir)
{
	static const char *const names[] = {"+memory", "+cpu", "+pids"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (cgroup_write(dir, "cgroup.subtree_control", names[i]) == -EBUSY)
			return -EBUSY;
	return 0;
}

/* Moves every process of dir that is there now into dir/LEAF. */
static void move_to_leaf(int dir)
{
	char text[16384];
	if (cgroup_read(dir, "cgroup.procs", text, sizeof(text)) < 0)
		return;
	for (char *p = text, *end; *p; p = end) {
		long pid = strtol(p, &end, 10);
		if (end == p)
			break;
		if (pid > 0)
			cgroup_write_number(dir, LEAF "/cgroup.procs", (uint64_t)pid);
	}
}

/* The path of the "0::" line, or NULL. */
static const char *own_path(const char *self, char *buf, size_t cap)
{
	const char *line = self;
	while (line && strncmp(line, "0::", 3) != 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return NULL;
	size_t n = strcspn(line + 3, "\n");
	if (n >= cap)
		return NULL;
	memcpy(buf, line + 3, n);
	buf[n] = 0;
	return buf;
}

static int v2_open(struct cgroups *g, int root, const char *self)
{
	char path[1024], mark[4];
	int base = -1;
	const char *own = own_path(self, path, sizeof(path));
	if (own && own[0] == '/' && own[1]) {
		/* a role that was started after the move is in the leaf; the delegated group is the one above */
		char *leaf = strrchr(path, '/');
		if (strcmp(leaf, "/" LEAF) == 0)
			*leaf = 0;
		int unit = openat(root, path[0] ? path + 1 : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (unit >= 0 && (fgetxattr(unit, "trusted.delegate", mark, sizeof(mark)) > 0 ||
		                  fgetxattr(unit, "user.delegate", mark, sizeof(mark)) > 0))
			base = unit;
		else if (unit >= 0)
			close(unit);
	}
	if (base < 0)
		base = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	/* again and again, because those that are still there may fork: main starts the other role while we do this */
	for (int i = 0; i < MOVE_TRIES && enable_controllers(base) == -EBUSY; i++) {
		if (mkdirat(base, LEAF, 0755) < 0 && errno != EEXIST)
			break;
		move_to_leaf(base);
	}
	/* what serves all sandboxes weighs as much as they do together; where there is no leaf, our place is not ours to weigh */
	cgroup_write(base, LEAF "/cpu.weight", CGROUP_V2_WEIGHT);
	g->base[0] = base;
	return 0;
}

static int first_error(int a, int b)
{
	return a ? a : b;
}

static int v2_limit(struct cgroups *g, int const dirs[CGROUP_CONTROLLERS], const struct cgroup_limits *l)
{
	int dir = dirs[0], error = 0;
	if (l->memory_bytes && g->has[CGROUP_MEMORY]) {
		error = first_error(error, cgroup_write_number(dir, "memory.max", l->memory_bytes));
		cgroup_write(dir, "memory.swap.max", "0"); /* absent without swap accounting */
	}
	if (l->memory_soft_bytes && g->has[CGROUP_MEMORY])
		error = first_error(error, cgroup_write_number(dir, "memory.low", l->memory_soft_bytes));
	if (l->pids && g->has[CGROUP_PIDS])
		error = first_error(error, cgroup_write_number(dir, "pids.max", l->pids));
	if (g->has[CGROUP_CPU]) {
		if (l->cpu_weight)
			error = first_error(error, cgroup_write_number(dir, "cpu.weight", l->cpu_weight));
		if (l->cpu_quota_us) {
			char text[40];
			if (l->cpu_quota_us == UINT32_MAX)
				snprintf(text, sizeof(text), "max %d", CGROUP_CPU_PERIOD_US);
			else
				snprintf(text, sizeof(text), "%u %d", l->cpu_quota_us, CGROUP_CPU_PERIOD_US);
			error = first_error(error, cgroup_write(dir, "cpu.max", text));
		}
	}
	return error;
}

static int v2_kill(struct cgroups *g, int const dirs[CGROUP_CONTROLLERS])
{
	(void)g;
	/* cgroup.kill came with Linux 5.14 */
	int error = cgroup_write(dirs[0], "cgroup.kill", "1");
	if (error == -ENOENT) {
		error = cgroup_kill_listed(dirs[0]);
		cgroup_write(dirs[0], "cgroup.freeze", "0");
	}
	return error;
}

const struct cgroup_ops cgroup_v2_ops = {
        .open = v2_open,
        .limit = v2_limit,
        .files = {"cgroup.freeze", "cpu.max", "memory.peak", "memory.events", "memory.current", "cpu.stat"},
        .kill = v2_kill,
};
