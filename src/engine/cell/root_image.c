/* Overlayfs puts a root together: the layers of an image, the lowest first, and on top of them what every sandbox has: where /proc,
 * /dev and /tmp go, whatever the image has there, and the files that say who answers to which name. Nothing can be written in it,
 * so all environments of a function, and all functions with the same layers, read the same pages.
 *
 * Overlayfs opens lower directories by path in the namespace of who mounts. So the root is mounted on the stage, in `priv`'s own
 * namespace, and taken off again at once; what is left is a detached copy for the cell. */
#include "engine/cell/root.h"

#include "engine/cell/proto.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const directories[] = {"top", "top/proc", "top/dev", "top/tmp", "top/sys", "top/etc", "root"};

/* The resolver of every VPC, which knows its private names. */
static const char names[] = "nameserver 169.254.169.253\noptions timeout:2 attempts:2\n";

static bool write_names(int stage)
{
	int fd = openat(stage, "resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	bool written = fd >= 0 && write(fd, names, sizeof(names) - 1) == sizeof(names) - 1;
	if (fd >= 0)
		close(fd);
	return written;
}

static int make_stage(const struct root_config *config, int stage)
{
	/* modes are as they are said, whatever the caller's umask is */
	mode_t before = umask(022);
	bool made = write_names(stage);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		made &= mkdirat(stage, directories[i], 0755) == 0;
	int top = made ? openat(stage, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int error = top < 0 || root_write_network(top, config) < 0 ? -errno : 0;
	if (top >= 0)
		close(top);
	umask(before);
	return error;
}

int root_open_stage(const struct root_config *config)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), stage = -1, error = 0;
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "1m", 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (stage = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)) < 0 ||
	    move_mount(stage, "", AT_FDCWD, config->stage_dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		error = -errno;
	if (fs >= 0)
		close(fs);
	if (!error && (error = make_stage(config, stage)) < 0)
		umount2(config->stage_dir, MNT_DETACH);
	if (error && stage >= 0)
		close(stage);
	return error ? error : stage;
}

void root_close_stage(int data_dir, int stage_fd)
{
	close(stage_fd);
	if (fchdir(data_dir) == 0)
		umount2("stage", MNT_DETACH);
	(void)!chdir("/");
}

/* The names of lower directories share one page, so each gets a link with a short one. */
static int link_layer(int stage, unsigned number, const uint8_t layer[32])
{
	char name[8], target[80] = "../layers/";
	size_t n = strlen(target);
	for (int i = 0; i < PRIV_LAYER_BYTES; i++, n += 2)
		snprintf(target + n, sizeof(target) - n, "%02x", layer[i]);
	snprintf(target + n, sizeof(target) - n, "/fs");
	snprintf(name, sizeof(name), "%u", number);
	if (unlinkat(stage, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return symlinkat(target, stage, name) < 0 ? -errno : 0;
}

static int mount_root(const char *options)
{
	if (mount("overlay", "root", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	int tree = open_tree(AT_FDCWD, "root", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int error = tree < 0 ? -errno : 0;
	umount2("root", MNT_DETACH);
	return error ? error : tree;
}

int root_open_names(int stage)
{
	int tree = open_tree(stage, "resolv.conf", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE};
	if (tree < 0)
		return -errno;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		int error = -errno;
		close(tree);
		return error;
	}
	return tree;
}

int root_open_image(int stage, const uint8_t layers[][32], size_t count)
{
	char options[600] = "userxattr,lowerdir=top";
	int error = count < 1 || count > PRIV_LAYERS_MAX ? -EINVAL : 0;
	for (size_t i = count; i > 0 && !error; i--) {
		size_t n = strlen(options);
		snprintf(options + n, sizeof(options) - n, ":%zu", i - 1);
		error = link_layer(stage, (unsigned)(i - 1), layers[i - 1]);
	}
	if (error)
		return error;
	if (fchdir(stage) < 0)
		return -errno;
	int tree = mount_root(options);
	(void)!chdir("/");
	return tree;
}
