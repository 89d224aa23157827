/* Two user namespaces. In the outer one this process and the storage daemon are root, of which the container's users are ordinary
 * ids; in the inner one the container's root is root, and this process's user does not exist. So nothing in the container, root or
 * not, is the owner of what keeps its disks. */
#include "engine/vm/box.h"
#include "engine/cgroup/cgroup.h"
#include "engine/vm/disk_use.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

static int open_namespace(pid_t pid, const char *name)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The namespaces come into being with a process that does nothing and are kept by descriptors. */
static int make_namespaces(struct box *b)
{
	struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNET, .exit_signal = SIGCHLD};
	char path[40], map[40];
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		for (;;)
			pause();
	int error = pid < 0 ? -errno : 0;
	snprintf(map, sizeof(map), "0 1 %d", BOX_UIDS);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	if (!error)
		error = write_text(path, map);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	if (!error)
		error = write_text(path, map);
	if (!error && (b->handles[HANDLE_USERS] = open_namespace(pid, "user")) < 0)
		error = b->handles[HANDLE_USERS];
	if (!error && (b->handles[HANDLE_NET] = open_namespace(pid, "net")) < 0)
		error = b->handles[HANDLE_NET];
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return error;
}

int box_open(struct box *b, const struct shim_plan *plan)
{
	*b = (struct box){.plan = plan, .console = -1, .terminal = -1, .ready_sock = -1};
	for (int i = 0; i < HANDLES; i++)
		b->handles[i] = -1;
	b->handles[HANDLE_DEVICES] = open(BOX_DEVICES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = b->handles[HANDLE_DEVICES] < 0 ? -errno : make_namespaces(b);
	if (!error && prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, plan->filter, 0, 0) < 0)
		error = -errno;
	return error;
}

static struct box_disk *find(struct box *b, const char *name)
{
	for (int i = 0; i < BOX_DISKS; i++)
		if (strcmp(b->disks[i].name, name) == 0)
			return &b->disks[i];
	return NULL;
}

bool box_has(struct box *b, const char *disk)
{
	return find(b, disk) != NULL;
}

int box_give(struct box *b, const char *disk, const char *node, int fd, int file)
{
	struct box_disk *d = find(b, "");
	if (find(b, disk) || (!node[0] && b->has_root))
		return -EEXIST;
	if (!d)
		return -ENOSPC;
	struct box_disk made = {.device = -1, .file = fcntl(file, F_DUPFD_CLOEXEC, 3)};
	if (made.file < 0)
		return -errno;
	if (!node[0]) {
		if (move_mount(fd, "", AT_FDCWD, BOX_ROOT, MOVE_MOUNT_F_EMPTY_PATH) == 0)
			b->has_root = true;
	} else {
		made.device = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	if (node[0] ? made.device < 0 : !b->has_root) {
		int error = -errno;
		close(made.file);
		return error;
	}
	struct stat st;
	if ((node[0] ? fstat(made.device, &st) : stat(BOX_ROOT, &st)) == 0) {
		made.number = node[0] ? st.st_rdev : st.st_dev;
		disk_use_read(BOX_SYSFS, made.number, &made.before);
	}
	snprintf(made.name, sizeof(made.name), "%s", disk);
	snprintf(made.node, sizeof(made.node), "%s", node);
	*d = made;
	return 0;
}

void box_flush(struct box *b, const char *disk)
{
	struct box_disk *d = find(b, disk);
	int root = d && d->device < 0 ? open(BOX_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (root >= 0) {
		syncfs(root);
		close(root);
	} else if (d) {
		fsync(d->device);
	}
}

int box_resized(struct box *b, const char *disk)
{
	struct box_disk *d = find(b, disk);
	struct statx st;
	if (!d)
		return -ENOENT;
	if (d->device < 0)
		return 0; /* its file system grows with the next start */
	/* the look makes the kernel ask the daemon for the size, also where it has heard of one a moment ago */
	return statx(d->file, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &st) < 0 ||
	                       ioctl(d->device, LOOP_SET_CAPACITY) < 0
	               ? -errno
	               : 0;
}

int box_take(struct box *b, const char *disk)
{
	struct box_disk *d = find(b, disk);
	if (!d || d->device < 0)
		return d ? -EBUSY : -ENOENT;
	int alone = openat(b->handles[HANDLE_DEVICES], d->node, O_RDWR | O_EXCL | O_CLOEXEC | O_NOFOLLOW);
	if (alone < 0 && errno == EBUSY)
		return -EBUSY;
	if (alone >= 0)
		close(alone);
	fsync(d->device);
	unlinkat(b->handles[HANDLE_DEVICES], d->node, 0);
	close(d->device);
	close(d->file);
	memset(d, 0, sizeof(*d));
	return 0;
}

void box_close(struct box *b)
{
	if (b->has_root && umount2(BOX_ROOT, 0) < 0)
		umount2(BOX_ROOT, MNT_DETACH);
	b->has_root = false;
	for (int i = 0; i < BOX_DISKS; i++) {
		struct box_disk *d = &b->disks[i];
		if (!d->name[0])
			continue;
		if (d->device >= 0) {
			fsync(d->device);
			close(d->device);
		}
		fsync(d->file);
		close(d->file);
		memset(d, 0, sizeof(*d));
	}
}

/* ---- its life ---- */

/* Process 1 of a namespace is spared signals that it neither catches nor blocks (to read them from a descriptor, as systemd does),
 * so one that comes before it is ready would be lost. */
static bool listens(pid_t pid, int signo)
{
	static const char *const masks[] = {"\nSigBlk:", "\nSigCgt:"};
	char path[40], text[4096];
	unsigned long long all = 0, one;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		const char *line = strstr(text, masks[i]);
		if (line && sscanf(line + strlen(masks[i]), "%llx", &one) == 1)
			all |= one;
	}
	return all >> (signo - 1) & 1;
}

static int tell(struct box *b, int signo)
{
	if (!b->pid)
		return -ESRCH;
	if (!listens(b->pid, signo))
		return -EAGAIN;
	return kill(b->pid, signo) < 0 ? -errno : 0;
}

int box_power(struct box *b)
{
	return tell(b, SIGRTMIN + 4); /* systemd's poweroff.target */
}

int box_reset(struct box *b)
{
	return tell(b, SIGINT); /* as Ctrl-Alt-Del */
}

/* reboot(2): "Behavior inside PID namespaces". */
bool box_reboots(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP;
}

bool box_is_off(int status)
{
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static uint64_t cpu_us(const struct box *b)
{
	char text[256];
	unsigned long long us = 0;
	ssize_t n = pread(b->plan->cpu_stat, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	return sscanf(text, "usage_usec %llu", &us) == 1 ? us : 0;
}

int box_usage(const struct box *b, struct shim_answer *a)
{
	struct shim_disk_use uses[BOX_DISKS];
	size_t count = 0;
	a->cpu_us = cpu_us(b);
	int64_t memory = b->plan->memory < 0 ? 0 : cgroup_get_memory_now(2, b->plan->memory); /* one number in both versions */
	a->memory_bytes = memory > 0 ? (uint64_t)memory : 0;
	for (int i = 0; i < BOX_DISKS; i++) {
		const struct box_disk *d = &b->disks[i];
		struct shim_disk_use use = {0};
		if (!d->name[0] || disk_use_read(BOX_SYSFS, d->number, &use) < 0)
			continue;
		disk_use_since(&use, &d->before);
		disk_use_sum(a, &use);
		memcpy(use.disk, d->name, sizeof(use.disk));
		uses[count++] = use;
	}
	return disk_use_file(uses, count);
}
