/* mke2fs makes an empty file system of each size once; a task's is a copy of the few blocks of it that hold something. */
#include "engine/oci/scratch.h"

#include "io/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void file_name(unsigned slot, char ret[24])
{
	snprintf(ret, 24, "t%u.ext4", slot);
}

void scratch_remove(int dir, unsigned slot)
{
	char name[24];
	file_name(slot, name);
	unlinkat(dir, name, 0);
}

/* In a child that is nobody: it reads and writes an empty file. */
static _Noreturn void become_mke2fs(int file, uid_t nobody)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	const char *const argv[] = {"/usr/sbin/mke2fs",
	                            "-q",
	                            "-F",
	                            "-t",
	                            "ext4",
	                            "-m",
	                            "0",
	                            "-O",
	                            "^has_journal,^resize_inode",
	                            "-E",
	                            "lazy_itable_init=1,nodiscard",
	                            path,
	                            NULL};
	const char *const environment[] = {"PATH=/usr/sbin:/usr/bin", "LC_ALL=C", NULL};
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	fcntl(file, F_SETFD, 0);
	if (setgroups(0, NULL) == 0 && setresgid(nobody, nobody, nobody) == 0 && setresuid(nobody, nobody, nobody) == 0)
		execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	_exit(127);
}

static int open_empty(int dir, uint64_t bytes, uid_t nobody)
{
	char name[48], fresh[64];
	snprintf(name, sizeof(name), "empty-%llu.ext4", (unsigned long long)bytes);
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), status = -1;
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : -errno;
	snprintf(fresh, sizeof(fresh), "new-%u-%llu.ext4", (unsigned)nobody, (unsigned long long)bytes);
	unlinkat(dir, fresh, 0);
	fd = openat(dir, fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int error = fchown(fd, nobody, nobody) < 0 || ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
	pid_t pid = error ? -1 : fork();
	if (pid == 0)
		become_mke2fs(fd, nobody);
	if (!error && (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0))
		error = -EIO;
	if (!error && (fchown(fd, 0, 0) < 0 || renameat(dir, fresh, dir, name) < 0))
		error = -errno;
	if (!error)
		return fd;
	unlinkat(dir, fresh, 0);
	close(fd);
	return error;
}

static int copy(int from, int to, uint64_t bytes)
{
	if (ftruncate(to, (off_t)bytes) < 0)
		return -errno;
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	for (off_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
		off_t end = lseek(from, at, SEEK_HOLE), out = at;
		while (at < end) {
			ssize_t n = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);
			if (n <= 0)
				return n < 0 ? -errno : -EIO;
		}
	}
	return errno == ENXIO ? 0 : -errno;
}

static int mount_ext4(const char *device, int *ret_mount)
{
	static const char *const flags[] = {"discard", "noinit_itable", "nobarrier"};
	int fs = fsopen("ext4", FSOPEN_CLOEXEC), m = -1, error = fs < 0 ? -errno : 0;
	if (!error && (fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
	               fsconfig(fs, FSCONFIG_SET_STRING, "errors", "remount-ro", 0) < 0))
		error = -errno;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && !error; i++)
		if (fsconfig(fs, FSCONFIG_SET_FLAG, flags[i], NULL, 0) < 0)
			error = -errno;
	if (!error && (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	               (m = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME)) < 0))
		error = -errno;
	if (fs >= 0)
		close(fs);
	if (!error)
		*ret_mount = m;
	return error;
}

int scratch_make(int dir, unsigned slot, uint64_t bytes, uid_t owner, int *ret_mount)
{
	char name[24], path[32];
	dev_t device;
	int empty = open_empty(dir, bytes, owner), mount_fd = -1;
	if (empty < 0)
		return empty;
	file_name(slot, name);
	unlinkat(dir, name, 0);
	int file = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = file < 0 ? -errno : copy(empty, file, bytes);
	int loop = error ? -1 : loopdev_make(file, true, path, &device);
	/* not every file system can be written past its cache */
	if (!error && loop < 0)
		loop = loopdev_make(file, false, path, &device);
	if (!error && loop < 0)
		error = loop;
	if (!error)
		error = mount_ext4(path, &mount_fd);
	int root = error ? -1 : openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!error && (root < 0 || fchown(root, owner, owner) < 0 || fchmod(root, 0755) < 0))
		error = -errno;
	for (const int *fds = (const int[]){empty, file, loop, root}, *fd = fds; fd < fds + 4; fd++)
		if (*fd >= 0)
			close(*fd);
	if (error) {
		unlinkat(dir, name, 0);
		if (mount_fd >= 0)
			close(mount_fd);
		return error;
	}
	*ret_mount = mount_fd;
	return 0;
}
