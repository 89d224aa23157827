#include "engine/cell/root.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool same_namespace(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int root_private_mounts(void)
{
	struct stat first, before, after;
	if (stat("/proc/self/ns/mnt", &before) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || stat("/proc/self/ns/mnt", &after) < 0)
		return -errno;
	if (same_namespace(&before, &after))
		return -EPERM;
	/* a first process with more capabilities than ours does not let us look; then being elsewhere than before must do */
	if (stat("/proc/1/ns/mnt", &first) < 0)
		return errno == EACCES || errno == EPERM ? 0 : -errno;
	return same_namespace(&first, &after) ? -EPERM : 0;
}

/* Makes a file system of the given type, configured by "key", "value" pairs up to NULL, as a detached mount. */
static int detached(const char *type, const char *const *options, unsigned attributes)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	int m = -1, error = 0;
	for (; options && options[0] && !error; options += 2)
		if (fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0) < 0)
			error = -errno;
	if (!error && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		error = -errno;
	if (!error && (m = fsmount(fs, FSMOUNT_CLOEXEC, attributes)) < 0)
		error = -errno;
	close(fs);
	return error ? error : m;
}

static int attach(int mount_fd, const char *path)
{
	return move_mount(mount_fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

int root_enter(int template_fd, uid_t uid, uint64_t tmp_bytes)
{
	char owner[16], size[24];
	snprintf(owner, sizeof(owner), "%u", uid);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)tmp_bytes);
	if (setns(template_fd, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
		return -errno;
	const char *const tmp_options[] = {"size", size, "mode", "0700", "uid", owner, "gid", owner, NULL};
	int tmp = detached("tmpfs", tmp_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (tmp < 0)
		return tmp;
	int error = attach(tmp, "/tmp");
	close(tmp);
	if (error)
		return error;
	/* read-only as a whole: what is writable in there belongs to the machine; invisible: pid 1, which the function may not look
	 * into */
	const char *const proc_options[] = {"hidepid", "invisible", NULL};
	int proc = detached("proc", proc_options, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (proc < 0)
		return proc;
	error = attach(proc, "/proc");
	close(proc);
	if (!error && chdir("/") < 0)
		error = -errno;
	return error;
}

int root_open_tree(int dir_fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int dir = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	if (dir < 0)
		return -errno;
	int tree = open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	int error = tree < 0 ? -errno : 0;
	close(dir);
	if (error)
		return error;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE};
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		error = -errno;
		close(tree);
		return error;
	}
	return tree;
}

static int resize_tmp(uint64_t bytes)
{
	char size[24];
	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	int fs = fspick(AT_FDCWD, "/tmp", FSPICK_CLOEXEC);
	if (fs < 0)
		return -errno;
	int error =
	        fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 || fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0
	                ? -errno
	                : 0;
	close(fs);
	return error;
}

/* Moves what is mounted at /name over to the same place in the new root. */
static int carry(int root, const char *name)
{
	int tree = open_tree(AT_FDCWD, name, OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -errno;
	int error = move_mount(tree, "", root, name + 1, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
	close(tree);
	return error;
}

/* Process 1, whose root and directory are the old root, is taken along by the kernel. */
static int change_root(int image)
{
	static const char *const carried[] = {"/proc", "/dev", "/tmp"};
	int error = attach(image, "/mnt");
	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]) && !error; i++)
		error = carry(image, carried[i]);
	if (!error && (fchdir(image) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0))
		error = -errno;
	return error;
}

int root_dress(int cell_ns_fd, int own_ns_fd, const struct root_clothes *c, int *ret_tmp_fd)
{
	if (setns(cell_ns_fd, CLONE_NEWNS) < 0)
		return -errno;
	int error = c->image_fd < 0 ? 0 : change_root(c->image_fd);
	if (!error && c->code_fd >= 0)
		error = attach(c->code_fd, "/var/task");
	if (!error && c->opt_fd >= 0)
		error = attach(c->opt_fd, "/opt");
	if (!error && c->names_fd >= 0)
		error = attach(c->names_fd, "/etc/resolv.conf");
	if (!error)
		error = resize_tmp(c->tmp_bytes);
	int tmp = error ? -1 : open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!error && tmp < 0)
		error = -errno;
	if (setns(own_ns_fd, CLONE_NEWNS) < 0)
		die("cannot come back from a cell's mount namespace: %s", strerror(errno));
	if (!error)
		*ret_tmp_fd = tmp;
	return error;
}
