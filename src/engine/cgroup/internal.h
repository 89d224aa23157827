/* What v1.c, v2.c and cgroup.c share. */
#pragma once
#include "engine/cgroup/cgroup.h"

/* of our own group, where an ordinary one has 100 */
#define CGROUP_V2_WEIGHT "1000"

struct cgroup_ops {
	int (*open)(struct cgroups *g, int root, const char *self);
	int (*limit)(struct cgroups *g, int const dirs[CGROUP_CONTROLLERS], const struct cgroup_limits *limits);
	/* name of a handed-out file and its controller */
	const char *files[CGROUP_FILES];
	enum cgroup_controller file_controller[CGROUP_FILES];
	int (*kill)(struct cgroups *g, int const dirs[CGROUP_CONTROLLERS]);
};
extern const struct cgroup_ops cgroup_v1_ops, cgroup_v2_ops;

/* Writes text to dir/file; 0 or negative errno. */
int cgroup_write(int dir, const char *file, const char *text);
int cgroup_write_number(int dir, const char *file, uint64_t number);
/* Reads at most cap - 1 bytes from the start of fd and terminates them; the length or negative errno. */
long cgroup_read_fd(int fd, char *buf, size_t cap);
long cgroup_read(int dir, const char *file, char *buf, size_t cap);
/* SIGKILL to every pid listed in dir/cgroup.procs. */
int cgroup_kill_listed(int dir);
