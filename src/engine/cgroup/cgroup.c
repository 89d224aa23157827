/* What both versions have in common: groups are directories, one below our own in each hierarchy (v1) or in the one tree (v2).
 * v2 keeps its single directory in slot 0 and -1 in the others, so the loops below serve both. */
#include "engine/cgroup/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char still[] = "still";
#define DELEGATED "box"
enum { DELEGATED_DEPTH = 16, TASK_DEPTH = 2 };

static const struct cgroup_ops *ops_of(const struct cgroups *g)
{
	return g->version == 2 ? &cgroup_v2_ops : &cgroup_v1_ops;
}

int cgroup_write(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int cgroup_write_number(int dir, const char *file, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return cgroup_write(dir, file, text);
}

long cgroup_read_fd(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	while (n < cap - 1) {
		ssize_t r = pread(fd, buf + n, cap - 1 - n, (off_t)n);
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	buf[n] = 0;
	return (long)n;
}

long cgroup_read(int dir, const char *file, char *buf, size_t cap)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	long n = cgroup_read_fd(fd, buf, cap);
	close(fd);
	return n;
}

static int kill_below(int dir, unsigned depth);

int cgroup_kill_listed(int dir)
{
	return kill_below(dir, TASK_DEPTH);
}

static int kill_below(int dir, unsigned depth)
{
	char text[16384];
	long n = cgroup_read(dir, "cgroup.procs", text, sizeof(text));
	if (n < 0)
		return (int)n;
	for (char *p = text, *end; *p; p = end) {
		long pid = strtol(p, &end, 10);
		if (end == p)
			break;
		/* 0 is a process of another pid namespace; 1 and our own group are never ours to kill */
		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
	int fd = depth ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; d && (e = readdir(d));) {
		int inner = e->d_type == DT_DIR && e->d_name[0] != '.'
		                    ? openat(fd, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
		                    : -1;
		if (inner < 0)
			continue;
		kill_below(inner, depth - 1);
		close(inner);
	}
	if (d)
		closedir(d);
	return 0;
}

/* One directory a controller; v2 repeats nothing and leaves -1. */
static int open_dirs(const struct cgroups *g, const char *name, int ret_dirs[CGROUP_CONTROLLERS])
{
	int found = -ENOENT;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		ret_dirs[i] = g->own[i] < 0 ? -1 : openat(g->own[i], name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (ret_dirs[i] >= 0)
			found = 0;
	}
	return found;
}

static void close_dirs(const int dirs[CGROUP_CONTROLLERS])
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (dirs[i] >= 0)
			close(dirs[i]);
}

/* systemd's own, on machines whose controllers are still v1's. */
static void open_tree_of_v2(struct cgroups *g, const char *root)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/unified", root);
	g->tree_base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->tree_base < 0)
		return;
	if ((mkdirat(g->tree_base, g->name, 0755) == 0 || errno == EEXIST) && faccessat(g->tree_base, "cgroup.procs", F_OK, 0) == 0)
		g->tree = openat(g->tree_base, g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int cgroups_open(struct cgroups *g, const char *root, const char *self, const char *instance)
{
	*g = (struct cgroups){.tree_base = -1, .tree = -1};
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		g->base[i] = g->own[i] = -1;
	snprintf(g->name, sizeof(g->name), "quartet-%s", instance);
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -ENOSYS;
	g->version = faccessat(dir, "cgroup.controllers", F_OK, 0) == 0 ? 2 : 1;
	int error = ops_of(g)->open(g, dir, self);
	close(dir);
	for (int i = 0; !error && i < CGROUP_CONTROLLERS; i++) {
		if (g->base[i] < 0)
			continue;
		if (mkdirat(g->base[i], g->name, 0755) < 0 && errno != EEXIST)
			error = -errno;
		else if ((g->own[i] = openat(g->base[i], g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
			error = -errno;
	}
	if (!error && g->version == 1)
		open_tree_of_v2(g, root);
	if (!error && g->version == 2) {
		/* what the sandboxes below may limit; a controller that the tree above withholds is simply not there */
		g->has[CGROUP_MEMORY] = cgroup_write(g->own[0], "cgroup.subtree_control", "+memory") == 0;
		g->has[CGROUP_CPU] = cgroup_write(g->own[0], "cgroup.subtree_control", "+cpu") == 0;
		g->has[CGROUP_PIDS] = cgroup_write(g->own[0], "cgroup.subtree_control", "+pids") == 0;
		g->has[CGROUP_FREEZER] = true;
	}
	if (!error) {
		/* All sandboxes share our group's weight against what runs beside it: as much as ten ordinary groups. */
		bool v2 = g->version == 2;
		cgroup_write(g->own[v2 ? 0 : CGROUP_CPU], v2 ? "cpu.weight" : "cpu.shares", v2 ? CGROUP_V2_WEIGHT : "10240");
	}
	if (error)
		cgroups_close(g, true);
	return error;
}

void cgroups_close(struct cgroups *g, bool remove)
{
	if (remove)
		cgroup_remove(g, still);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (g->own[i] >= 0)
			close(g->own[i]);
		if (g->base[i] >= 0) {
			if (remove)
				unlinkat(g->base[i], g->name, AT_REMOVEDIR);
			close(g->base[i]);
		}
		g->base[i] = g->own[i] = -1;
	}
	if (g->tree >= 0)
		close(g->tree);
	if (g->tree_base >= 0) {
		if (remove)
			unlinkat(g->tree_base, g->name, AT_REMOVEDIR);
		close(g->tree_base);
	}
	g->tree_base = g->tree = -1;
}

unsigned cgroups_sweep(struct cgroups *g)
{
	unsigned left = 0;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (g->own[i] < 0)
			continue;
		int fd = openat(g->own[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);
		if (!d)
			continue;
		for (struct dirent *e; (e = readdir(d));) {
			if (e->d_type != DT_DIR || e->d_name[0] == '.')
				continue;
			/* machines and tasks outlive whoever started them; a group of theirs that is empty goes */
			if (e->d_name[0] == 'm' || e->d_name[0] == 't') {
				cgroup_remove(g, e->d_name);
				continue;
			}
			cgroup_kill(g, e->d_name);
			left += cgroup_remove(g, e->d_name) != 0;
		}
		closedir(d);
	}
	return left;
}

void cgroups_make_still(struct cgroups *g)
{
	const struct cgroup_limits limits = {.cpu_quota_us = CGROUP_CPU_PERIOD_US};
	if (cgroup_make(g, still) < 0)
		return;
	cgroup_limit(g, still, &limits);
	int fd = cgroup_open_file(g, still, CGROUP_FILE_FREEZE);
	if (fd >= 0) {
		cgroup_put_frozen(g->version, fd, true);
		close(fd);
	}
}

int cgroup_make(struct cgroups *g, const char *name)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (g->own[i] < 0 || mkdirat(g->own[i], name, 0755) == 0)
			continue;
		int error = -errno;
		while (--i >= 0)
			if (g->own[i] >= 0)
				unlinkat(g->own[i], name, AT_REMOVEDIR);
		return error;
	}
	return 0;
}

int cgroup_share(struct cgroups *g, const char *name)
{
	static const char *const controllers[CGROUP_CONTROLLERS] = {"+memory", "+cpu", "+pids"};
	char path[CGROUP_NAME_MAX + 32];
	int error = 0;
	if (g->version != 2)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", name);
	for (int i = 0; i < CGROUP_CONTROLLERS && !error; i++)
		if (controllers[i] && g->has[i])
			error = cgroup_write(g->own[0], path, controllers[i]);
	return error;
}

int cgroup_limit(struct cgroups *g, const char *name, const struct cgroup_limits *limits)
{
	int dirs[CGROUP_CONTROLLERS];
	int error = open_dirs(g, name, dirs);
	if (!error)
		error = ops_of(g)->limit(g, dirs, limits);
	close_dirs(dirs);
	return error;
}

int cgroup_open_join(struct cgroups *g, const char *name, int ret_fds[CGROUP_CONTROLLERS])
{
	int dirs[CGROUP_CONTROLLERS];
	int error = open_dirs(g, name, dirs);
	if (g->version == 2) {
		memcpy(ret_fds, dirs, sizeof(dirs));
		return error;
	}
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		ret_fds[i] = dirs[i] < 0 ? -1 : openat(dirs[i], "tasks", O_WRONLY | O_CLOEXEC);
	close_dirs(dirs);
	return error;
}

int cgroup_open_procs(struct cgroups *g, const char *name, int ret_fds[CGROUP_CONTROLLERS])
{
	char path[CGROUP_NAME_MAX + 16];
	if (g->version == 1)
		return cgroup_open_join(g, name, ret_fds);
	for (int i = 1; i < CGROUP_CONTROLLERS; i++)
		ret_fds[i] = -1;
	snprintf(path, sizeof(path), "%s/cgroup.procs", name);
	ret_fds[0] = openat(g->own[0], path, O_WRONLY | O_CLOEXEC);
	return ret_fds[0] < 0 ? -errno : 0;
}

int cgroup_open_outside(struct cgroups *g)
{
	if (g->version == 2 || g->own[CGROUP_MEMORY] < 0)
		return -1;
	int fd = openat(g->own[CGROUP_MEMORY], "tasks", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_open_look(struct cgroups *g, const char *name, int ret_fds[CGROUP_CONTROLLERS])
{
	int error = open_dirs(g, name, ret_fds);
	for (int i = CGROUP_FREEZER; !error && g->version == 1 && i < CGROUP_CONTROLLERS; i++) {
		if (ret_fds[i] >= 0)
			close(ret_fds[i]);
		ret_fds[i] = -1;
	}
	return error;
}

int cgroup_join(const int fds[CGROUP_CONTROLLERS])
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (fds[i] >= 0 && write(fds[i], "0", 1) < 0)
			return -errno;
	return 0;
}

int cgroup_open_file(struct cgroups *g, const char *name, enum cgroup_file file)
{
	const struct cgroup_ops *ops = ops_of(g);
	int at = g->version == 2 ? 0 : (int)ops->file_controller[file];
	if (file == CGROUP_FILE_CPU_USED && g->own[CGROUP_ACCOUNT] >= 0)
		at = CGROUP_ACCOUNT;
	if (g->own[at] < 0)
		return -ENOENT;
	char path[CGROUP_NAME_MAX + 40];
	snprintf(path, sizeof(path), "%s/%s", name, ops->files[file]);
	int fd = openat(g->own[at], path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EINVAL))
		fd = openat(g->own[at], path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_kill(struct cgroups *g, const char *name)
{
	int dirs[CGROUP_CONTROLLERS];
	int error = open_dirs(g, name, dirs);
	if (!error)
		error = ops_of(g)->kill(g, dirs);
	if (!error)
		ops_of(g)->limit(g, dirs, &(struct cgroup_limits){.cpu_quota_us = UINT32_MAX});
	close_dirs(dirs);
	return error;
}

/* A group and what others have made below it. */
static int remove_below(int parent, const char *name, unsigned depth)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	int fd = depth ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -EBUSY;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			remove_below(fd, e->d_name, depth - 1);
	closedir(d);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int delegate(int group, unsigned owner, int ret_fds[2])
{
	static const char *const files[] = {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"};
	if (mkdirat(group, DELEGATED, 0755) < 0 && errno != EEXIST)
		return -errno;
	int dir = openat(group, DELEGATED, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return -errno;
	int error = fchown(dir, owner, owner) < 0 ? -errno : 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !error; i++)
		if (fchownat(dir, files[i], owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
			error = -errno;
	int join = error ? -1 : openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int stat = join < 0 ? -1 : openat(dir, "cpu.stat", O_RDONLY | O_CLOEXEC);
	if (!error && stat < 0) {
		error = -errno;
		if (join >= 0)
			close(join);
	}
	close(dir);
	if (!error) {
		ret_fds[0] = join;
		ret_fds[1] = stat;
	}
	return error;
}

int cgroup_delegate(struct cgroups *g, const char *name, unsigned owner, int ret_fds[2])
{
	int tree = g->version == 2 ? g->own[0] : g->tree;
	if (tree < 0)
		return -ENOTSUP;
	if (mkdirat(tree, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	int group = openat(tree, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int error = group < 0 ? -errno : delegate(group, owner, ret_fds);
	if (group >= 0)
		close(group);
	return error;
}

/* Whether a process is in the group or in one below it. */
static bool is_used(int parent, const char *name, unsigned depth)
{
	char first;
	int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int procs = dir < 0 ? -1 : openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	bool used = procs >= 0 && read(procs, &first, 1) == 1;
	if (procs >= 0)
		close(procs);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	if (!d) {
		if (dir >= 0)
			close(dir);
		return used;
	}
	for (struct dirent *e; !used && depth && (e = readdir(d));)
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			used = is_used(dir, e->d_name, depth - 1);
	closedir(d);
	return used;
}

int cgroup_remove(struct cgroups *g, const char *name)
{
	int error = 0, tree = g->version == 2 ? g->own[0] : g->tree;
	bool deep = name[0] == 'm' || name[0] == 't';
	/* whoever is in one of its groups is about to use the empty ones beside it */
	if (deep && tree >= 0 && is_used(tree, name, DELEGATED_DEPTH))
		return -EBUSY;
	for (int i = 0; i < CGROUP_CONTROLLERS && deep; i++)
		if (g->own[i] >= 0 && is_used(g->own[i], name, TASK_DEPTH))
			return -EBUSY;
	if (tree >= 0 && name[0] == 'm')
		error = remove_below(tree, name, DELEGATED_DEPTH);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		int one = g->own[i] < 0 ? 0 : remove_below(g->own[i], name, name[0] == 't' ? TASK_DEPTH : 0);
		error = one ? one : error;
	}
	return error;
}
