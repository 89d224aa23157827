/* Two user namespaces. In the outer one this process and the storage daemon are root, of which the container's users are ordinary
 * ids; in the inner one the container's root is root, and this process's user does not exist. So nothing in the container, root or
 * not, is the owner of what keeps its disks.
 *
 * Init is born by two steps: a helper enters the inner namespaces, which cannot be left again, and clones init as a child of this
 * process (CLONE_PARENT), so that its end is heard here. A container that reboots gets a new init in the same namespaces of users
 * and network. */
#include "engine/vm/box.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/loop.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/mnt"
#define DEVICES "/tmp/dev" /* what the container has as /dev (warden_box.c) */

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
	*b = (struct box){.plan = plan, .console = -1, .terminal = -1};
	for (int i = 0; i < HANDLES; i++)
		b->handles[i] = -1;
	b->handles[HANDLE_DEVICES] = open(DEVICES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
		if (move_mount(fd, "", AT_FDCWD, ROOT, MOVE_MOUNT_F_EMPTY_PATH) == 0)
			b->has_root = true;
	} else {
		made.device = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	if (node[0] ? made.device < 0 : !b->has_root) {
		int error = -errno;
		close(made.file);
		return error;
	}
	snprintf(made.name, sizeof(made.name), "%s", disk);
	snprintf(made.node, sizeof(made.node), "%s", node);
	*d = made;
	return 0;
}

void box_flush(struct box *b, const char *disk)
{
	struct box_disk *d = find(b, disk);
	int root = d && d->device < 0 ? open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
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
	struct stat st;
	if (!d)
		return -ENOENT;
	if (d->device < 0)
		return 0; /* its file system grows with the next start */
	/* the look makes the kernel ask the daemon for the size */
	return fstat(d->file, &st) < 0 || ioctl(d->device, LOOP_SET_CAPACITY) < 0 ? -errno : 0;
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
	if (b->has_root && umount2(ROOT, 0) < 0)
		umount2(ROOT, MNT_DETACH);
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

/* ---- from here to init ---- */

static int mount_at(const char *type, const char *at, unsigned long flags, const char *options)
{
	return mount(type, at, type, flags, options) < 0 ? -errno : 0;
}

/* Its /dev/console is a terminal of its own; the other end goes to the shim. */
static int make_console(int shim)
{
	char path[40];
	int unlock = 0, number = 0;
	int master = open(ROOT "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return -errno;
	snprintf(path, sizeof(path), ROOT "/dev/pts/%d", number);
	int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || mount(path, ROOT "/dev/console", NULL, MS_BIND, NULL) < 0)
		return -errno;
	char word = 0;
	if (msg_send(shim, &word, 1, &master, 1) < 0)
		return -EIO;
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return -errno;
	return ioctl(0, TIOCSCTTY, 0) < 0 ? -errno : 0;
}

static int make_root(int shim)
{
	static const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int dev = open_tree(AT_FDCWD, DEVICES, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	/* what came with the outer namespace is locked in its place; a bind of it is not, and may become the root */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(ROOT, ROOT, NULL, MS_BIND, NULL) < 0 || dev < 0 ||
	    move_mount(dev, "", AT_FDCWD, ROOT "/dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	int error = mount_at("proc", ROOT "/proc", plain, NULL);
	if (!error)
		error = mount_at("sysfs", ROOT "/sys", plain, NULL);
	if (!error)
		error = mount_at("cgroup2", ROOT "/sys/fs/cgroup", plain, NULL);
	if (!error)
		error = mount_at("tmpfs", ROOT "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	if (!error)
		error = mount_at("tmpfs", ROOT "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	if (!error)
		error = mount_at("devpts", ROOT "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	if (!error)
		error = make_console(shim);
	if (!error && (chdir(ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0))
		error = -errno;
	return error;
}

static _Noreturn void be_init(int shim)
{
	static const char *const environment[] = {"container=quartet",
	                                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux",
	                                          "HOME=/root", NULL};
	static const char *const programs[] = {"/sbin/init", "/etc/init", "/bin/init"};
	setsid();
	umask(022);
	int32_t error = setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresuid(0, 0, 0) < 0 ? -errno : make_root(shim);
	write_text("/proc/self/oom_score_adj", "0");
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && !error; i++) {
		const char *const argv[] = {programs[i], NULL};
		execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	}
	if (!error)
		error = -errno;
	send(shim, &error, sizeof(error), MSG_NOSIGNAL);
	_exit(1);
}

/* In the helper. */
static int enter(struct box *b)
{
	if (write(b->plan->join, "0", 1) < 0 || setns(b->handles[HANDLE_USERS], CLONE_NEWUSER) < 0 ||
	    setns(b->handles[HANDLE_NET], CLONE_NEWNET) < 0 || unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
		return -errno;
	return 0;
}

static _Noreturn void help(struct box *b, int shim)
{
	int32_t word = enter(b);
	if (!word) {
		struct clone_args args = {.flags = CLONE_PARENT | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS};
		word = (int32_t)syscall(SYS_clone3, &args, sizeof(args));
		if (word == 0)
			be_init(shim);
		if (word < 0)
			word = -errno;
	}
	/* a pid, or what went wrong */
	send(shim, &word, sizeof(word), MSG_NOSIGNAL);
	_exit(0);
}

int box_start(struct box *b)
{
	int pair[2];
	if (!b->has_root)
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t helper = fork();
	if (helper == 0)
		help(b, pair[1]);
	int error = helper < 0 ? -errno : 0, console = -1;
	pid_t init = 0;
	close(pair[1]);
	/* The pid from the helper, the terminal from init, and nothing more once init's program runs: the socket is closed then. */
	while (!error) {
		int32_t word = 0;
		int fd = -1;
		size_t nfds = 0;
		ssize_t n = msg_recv(pair[0], &word, sizeof(word), &fd, 1, &nfds);
		if (n == 0)
			break;
		if (n == 1 && nfds == 1 && console < 0)
			console = fd;
		else if (n == sizeof(word) && word > 0 && !init)
			init = word;
		else
			error = n == sizeof(word) && word < 0 ? word : -EIO;
	}
	close(pair[0]);
	if (helper > 0)
		waitpid(helper, NULL, 0);
	if (!error && (!init || console < 0))
		error = -EIO;
	if (error) {
		if (init) {
			kill(init, SIGKILL);
			waitpid(init, NULL, 0);
		}
		if (console >= 0)
			close(console);
		return error;
	}
	if (b->console >= 0)
		close(b->console);
	fcntl(console, F_SETFL, O_NONBLOCK);
	if (b->terminal >= 0)
		close(b->terminal);
	/* kept open, because a terminal that nobody has open says so by an error, and init opens its console now and then */
	b->terminal = ioctl(console, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	b->console = console;
	b->pid = init;
	return 0;
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

uint64_t box_cpu_us(const struct box *b)
{
	char text[256];
	unsigned long long us = 0;
	ssize_t n = pread(b->plan->cpu_stat, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	return sscanf(text, "usage_usec %llu", &us) == 1 ? us : 0;
}
