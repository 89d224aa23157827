/* Init is born by two steps: a helper enters the inner namespaces, which cannot be left again, and clones init as a child of this
 * process (CLONE_PARENT), so that its end is heard here. A container that reboots gets a new init in the same namespaces of users
 * and network.
 *
 * What is to be init comes into being before it is needed, and waits twice: first for the root file system, then, with everything
 * in its place, for the word to become the image's program. Nothing of the image runs before that word. */
#include "engine/vm/box.h"

#include "io/msg.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOCK_FD = 3 }; /* of what is to be init: it has nothing else of the shim's */

static const char *const programs[] = {"/sbin/init", "/etc/init", "/bin/init"};

/* ---- the parts of the container's file system that are not the root's ---- */

struct part {
	const char *type, *at;
	unsigned attributes;
	const char *options[8]; /* names and values; a value "": it is a flag */
};

static const struct part parts[] = {
        {"proc", "/proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, {NULL}},
        {"sysfs", "/sys", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, {NULL}},
        {"cgroup2", "/sys/fs/cgroup", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, {NULL}},
        {"tmpfs", "/run", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, {"mode", "0755"}},
        {"tmpfs", "/dev/shm", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, {"mode", "1777"}},
        {"devpts",
         "/dev/pts",
         MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
         {"newinstance", "", "ptmxmode", "0666", "mode", "0620", "gid", "5"}},
};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static int make_part(const struct part *p)
{
	int fs = fsopen(p->type, FSOPEN_CLOEXEC), m = -1, error = fs < 0 ? -errno : 0;
	for (size_t i = 0; i < sizeof(p->options) / sizeof(p->options[0]) && p->options[i] && !error; i += 2) {
		const char *value = p->options[i + 1];
		if (fsconfig(fs, value[0] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, p->options[i], value[0] ? value : NULL, 0) < 0)
			error = -errno;
	}
	if (!error &&
	    (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 || (m = fsmount(fs, FSMOUNT_CLOEXEC, p->attributes)) < 0))
		error = -errno;
	if (fs >= 0)
		close(fs);
	return error ? error : m;
}

/* ret: the parts, and at last what becomes /dev. */
static int make_parts(int ret[PARTS + 1])
{
	for (int i = 0; i < PARTS; i++)
		if ((ret[i] = make_part(&parts[i])) < 0)
			return ret[i];
	ret[PARTS] = open_tree(AT_FDCWD, BOX_DEVICES, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return ret[PARTS] < 0 ? -errno : 0;
}

static int put(int part, const char *at)
{
	char path[64];
	snprintf(path, sizeof(path), BOX_ROOT "%s", at);
	int error = move_mount(part, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
	close(part);
	return error;
}

/* Its /dev/console is a terminal of its own; the other end goes to the shim. */
static int make_console(void)
{
	char path[40], word = 0;
	int unlock = 0, number = 0;
	int master = open(BOX_ROOT "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return -errno;
	snprintf(path, sizeof(path), BOX_ROOT "/dev/pts/%d", number);
	int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || mount(path, BOX_ROOT "/dev/console", NULL, MS_BIND, NULL) < 0)
		return -errno;
	if (msg_send(SOCK_FD, &word, 1, &master, 1) < 0)
		return -EIO;
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return -errno;
	close(slave);
	close(master);
	return ioctl(0, TIOCSCTTY, 0) < 0 ? -errno : 0;
}

static int enter_root(int root, const int made[PARTS + 1])
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	int error = put(root, "");
	if (!error)
		error = put(made[PARTS], "/dev");
	for (int i = 0; i < PARTS && !error; i++)
		error = put(made[i], parts[i].at);
	if (!error)
		error = make_console();
	if (!error &&
	    (chdir(BOX_ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0))
		error = -errno;
	return error;
}

/* ---- init ---- */

/* Has the kernel read a file, and says how it begins. */
static ssize_t look_ahead(const char *path, void *head, size_t n)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t got = -1;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
		got = pread(fd, head, n, 0);
	}
	if (fd >= 0)
		close(fd);
	return got;
}

/* Of what execve() will read, all that takes a way through the disk's storage daemon comes now. What cannot be read will be said
 * then. */
static void warm(void)
{
	char head[4096 + 1], unused[4];
	ssize_t n = -1;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && n < 0; i++)
		n = look_ahead(programs[i], head, sizeof(head) - 1);
	Elf64_Ehdr file;
	if (n < (ssize_t)sizeof(file))
		return;
	head[n] = 0;
	memcpy(&file, head, sizeof(file));
	if (memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 || file.e_ident[EI_CLASS] != ELFCLASS64)
		return;
	for (unsigned i = 0; i < file.e_phnum; i++) {
		Elf64_Phdr part;
		if (file.e_phoff > (size_t)n || (size_t)n - file.e_phoff < (i + 1) * sizeof(part))
			return;
		memcpy(&part, head + file.e_phoff + i * sizeof(part), sizeof(part));
		if (part.p_type == PT_INTERP && part.p_offset < (size_t)n) {
			look_ahead(head + part.p_offset, unused, sizeof(unused));
			return;
		}
	}
}

static int32_t get_ready(void)
{
	int parts_made[PARTS + 1], root = -1;
	size_t nfds = 0;
	char word;
	int error = setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresuid(0, 0, 0) < 0 ? -errno : make_parts(parts_made);
	if (error)
		return error;
	if (msg_recv(SOCK_FD, &word, 1, &root, 1, &nfds) != 1 || nfds != 1)
		_exit(0); /* it is not needed */
	error = enter_root(root, parts_made);
	if (error)
		return error;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "0", 1);
		close(fd);
	}
	warm();
	return 0;
}

static _Noreturn void be_init(void)
{
	static const char *const environment[] = {"container=quartet",
	                                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux",
	                                          "HOME=/root", NULL};
	char word;
	sigset_t none;
	setsid();
	umask(022);
	int32_t error = get_ready();
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!error && recv(SOCK_FD, &word, 1, 0) != 1)
		_exit(0);
	close_range(SOCK_FD, ~0u, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && !error; i++) {
		const char *const argv[] = {programs[i], NULL};
		execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	}
	if (!error)
		error = -errno;
	send(SOCK_FD, &error, sizeof(error), MSG_NOSIGNAL);
	_exit(1);
}

/* ---- the helper ---- */

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
	if (!word && (dup2(shim, SOCK_FD) < 0 || close_range(SOCK_FD + 1, ~0u, 0) < 0))
		word = -errno;
	else if (!word)
		shim = SOCK_FD;
	if (!word) {
		struct clone_args args = {.flags = CLONE_PARENT | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS};
		word = (int32_t)syscall(SYS_clone3, &args, sizeof(args));
		if (word == 0)
			be_init();
		if (word < 0)
			word = -errno;
	}
	/* a pid, or what went wrong */
	send(shim, &word, sizeof(word), MSG_NOSIGNAL);
	_exit(0);
}

/* ---- in the shim ---- */

int box_prepare(struct box *b)
{
	int pair[2];
	int32_t word = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t helper = fork();
	if (helper == 0)
		help(b, pair[1]);
	int error = helper < 0 ? -errno : 0;
	close(pair[1]);
	/* init may already have something to say, but not before the helper, which is its only way to be known here */
	if (!error && recv(pair[0], &word, sizeof(word), 0) != sizeof(word))
		error = -EIO;
	if (!error && word <= 0)
		error = word < 0 ? word : -EIO;
	if (helper > 0)
		waitpid(helper, NULL, 0);
	if (error) {
		close(pair[0]);
		return error;
	}
	b->ready = word;
	b->ready_sock = pair[0];
	return 0;
}

int box_lend_root(struct box *b)
{
	char word = 0;
	int root = open_tree(AT_FDCWD, BOX_ROOT, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), error = root < 0 ? -errno : -EPIPE;
	if (root >= 0 && b->ready)
		error = msg_send(b->ready_sock, &word, 1, &root, 1);
	/* none, or it has been killed while it waited */
	if (error == -EPIPE) {
		box_drop(b);
		error = box_prepare(b);
		if (!error)
			error = msg_send(b->ready_sock, &word, 1, &root, 1);
	}
	if (root >= 0)
		close(root);
	b->lent = !error;
	return error;
}

void box_drop(struct box *b)
{
	if (!b->ready)
		return;
	kill(b->ready, SIGKILL);
	waitpid(b->ready, NULL, __WALL);
	close(b->ready_sock);
	b->ready = 0;
	b->ready_sock = -1;
	b->lent = false;
}

int box_start(struct box *b)
{
	char word = 0;
	int console = -1;
	if (!b->has_root)
		return -EINVAL;
	int error = b->lent ? 0 : box_lend_root(b);
	if (!error && send(b->ready_sock, &word, 1, MSG_NOSIGNAL) != 1)
		error = -EIO;
	/* Its terminal, and nothing more once init's program runs: the socket is closed then. */
	while (!error) {
		int32_t said = 0;
		int fd = -1;
		size_t nfds = 0;
		ssize_t n = msg_recv(b->ready_sock, &said, sizeof(said), &fd, 1, &nfds);
		if (n == 0)
			break;
		if (n == 1 && nfds == 1 && console < 0)
			console = fd;
		else
			error = n == sizeof(said) && said < 0 ? said : -EIO;
	}
	if (!error && console < 0)
		error = -EIO;
	if (error) {
		if (console >= 0)
			close(console);
		box_drop(b);
		return error;
	}
	close(b->ready_sock);
	b->pid = b->ready;
	b->ready = 0;
	b->ready_sock = -1;
	b->lent = false;
	if (b->console >= 0)
		close(b->console);
	fcntl(console, F_SETFL, O_NONBLOCK);
	if (b->terminal >= 0)
		close(b->terminal);
	/* kept open, because a terminal that nobody has open says so by an error, and init opens its console now and then */
	b->terminal = ioctl(console, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	b->console = console;
	return 0;
}
