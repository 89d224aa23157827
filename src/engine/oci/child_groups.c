/* Programs ask /sys/fs/cgroup how much memory and processor they have: a Java machine makes its heap by it. So each container has
 * its own group there, and nothing of what is above: the directories themselves, read-only, bound by whoever may, so that root of
 * the container can neither write there - it owns none of the files - nor take the read-only away. */
#include "engine/oci/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PLAIN = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };

int child_mount(const char *type, const char *at, const char *mode, unsigned attributes)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC), m = -1, error = fs < 0 ? -errno : 0;
	if (!error && mode && fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0)
		error = -errno;
	if (!error && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		error = -errno;
	if (!error &&
	    ((m = fsmount(fs, FSMOUNT_CLOEXEC, attributes)) < 0 || move_mount(m, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0))
		error = -errno;
	if (fs >= 0)
		close(fs);
	if (m >= 0)
		close(m);
	return error;
}

/* crun looks what kind of control groups there are, even when it has nothing to do with them. Others want to see where devices are
 * kept, and are content when they may not write there. */
static int mount_groups(const struct task_child *c)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	bool shown = c->request->runtime != STEWARD_CRUN;
	if (shown && c->cgroup_version == 2)
		return child_mount("cgroup2", "/sys/fs/cgroup", NULL, PLAIN | MOUNT_ATTR_RDONLY);
	int error = child_mount("tmpfs", "/sys/fs/cgroup", "0755", PLAIN);
	if (error)
		return error;
	if (shown && (mkdir("/sys/fs/cgroup/devices", 0555) < 0 ||
	              mount("cgroup", "/sys/fs/cgroup/devices", "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "devices") < 0))
		return -errno;
	return mount_setattr(AT_FDCWD, "/sys/fs/cgroup", AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int group_views_open(const struct task_child *c, struct group_views *ret)
{
	struct mount_attr attr = {.attr_set = PLAIN | MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
	for (unsigned i = 0; i < c->request->container_count; i++)
		for (int k = 0; k < CGROUP_CONTROLLERS; k++) {
			int dir = c->groups->look[i][k], tree = -1;
			if (dir >= 0)
				tree = open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
			if (dir >= 0 && (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0))
				return -errno;
			ret->trees[i][k] = tree;
		}
	return 0;
}

static int attach(int tree, const char *to)
{
	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		return -errno;
	int error = move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
	close(tree);
	return error;
}

int group_views_attach(const struct task_child *c, const struct group_views *v)
{
	static const char *const names[CGROUP_CONTROLLERS] = {"/memory", "/cpu", "/pids"};
	char path[48];
	int error = mkdir(SHIM_GROUPS, 0755) < 0 ? -errno : mount_groups(c);
	for (unsigned i = 0; i < c->request->container_count && !error; i++) {
		snprintf(path, sizeof(path), SHIM_GROUPS "/%u", i);
		if (mkdir(path, 0755) < 0)
			return -errno;
		for (int k = 0; k < CGROUP_CONTROLLERS && !error; k++) {
			snprintf(path, sizeof(path), SHIM_GROUPS "/%u%s", i, c->cgroup_version == 2 ? "" : names[k]);
			if (v->trees[i][k] >= 0)
				error = attach(v->trees[i][k], path);
		}
	}
	return error;
}
