/* How `net` comes to be: a child of priv's child (nobody waits for it), which opens what it needs, makes itself a root directory
 * with three things in it - /proc/sys/net, a tap device node of its own, nothing else - and then gives its user, its capabilities
 * and its network up for a user namespace. What it is asked for later it does with the capabilities of that namespace, over network
 * namespaces that it has made itself. */
#include "engine/cell/confine.h"
#include "engine/cell/root.h"
#include "engine/net/net.h"
#include "engine/net/nft.h"

#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TUN_MAJOR = 10, TUN_MINOR = 200 };

/* By the directory's descriptor: paths of sockets are short. */
static void socket_path(struct sockaddr_un *a, int run_dir)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/" NET_SOCKET, run_dir);
}

int net_connect(int run_dir)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	socket_path(&a, run_dir);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int bind_socket(const struct net_config *c)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlinkat(c->run_dir, NET_SOCKET, 0);
	socket_path(&a, c->run_dir);
	mode_t before = umask(0177);
	int error = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(before);
	if (!error && fchownat(c->run_dir, NET_SOCKET, c->service_uid, c->service_gid, AT_SYMLINK_NOFOLLOW) < 0)
		error = -errno;
	if (error)
		close(fd);
	return error ? error : fd;
}

/* Leaves the machine's files for a small root. */
static int make_root(uid_t uid)
{
	int error = root_private_mounts();
	if (error)
		return error;
	if (mount("net", "/tmp", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=0755") < 0 || chdir("/tmp") < 0 ||
	    mkdir("net", 0755) < 0 || mount("/proc/sys/net", "net", NULL, MS_BIND, NULL) < 0 ||
	    mknod("tun", S_IFCHR | 0600, makedev(TUN_MAJOR, TUN_MINOR)) < 0 || chown("tun", uid, uid) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
	    mount("", "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) < 0)
		return -errno;
	return 0;
}

static int home_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd = sock < 0 ? -errno : ioctl(sock, SIOCGSKNS, 0);
	if (sock >= 0 && fd < 0)
		fd = -errno;
	if (sock >= 0)
		close(sock);
	return fd;
}

static int become(const struct net_config *c, int *ret_listener, int *ret_home, const char **ret_step)
{
	*ret_step = "libnftables.so.1 (package libnftables1)";
	int error = nft_load();
	if (error)
		return error;
	*ret_step = "its socket";
	int listener = bind_socket(c);
	if (listener < 0)
		return listener;
	*ret_step = "its root directory";
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	error = proc < 0 ? -errno : make_root(c->uid);
	*ret_step = "its user namespace";
	if (!error)
		error = confine_net(c->uid, proc);
	if (proc >= 0)
		close(proc);
	*ret_step = "a network namespace";
	int home = error ? error : home_namespace();
	if (home < 0)
		return home;
	*ret_step = "listening";
	/* now: the kernel notes who listens as of this moment, and `priv` believes it */
	if (listen(listener, NET_BACKLOG) < 0)
		return -errno;
	*ret_listener = listener;
	*ret_home = home;
	return 0;
}

static void close_others(const struct net_config *c, int ready)
{
	/* in the order of their numbers, both are above the standard ones */
	int low = c->run_dir < ready ? c->run_dir : ready, high = c->run_dir < ready ? ready : c->run_dir;
	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high - low > 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

/* Whoever waits for the end of priv's output must not wait for this process's. */
static void own_output(const struct net_config *c)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = openat(c->run_dir, "net.log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	dup2(null, 0);
	dup2(null, 1);
	dup2(log < 0 ? null : log, 2);
	if (null > 2)
		close(null);
	if (log > 2)
		close(log);
}

static _Noreturn void run(const struct net_config *c, int ready)
{
	struct net_ready r = {0};
	const char *step = "";
	int listener = -1, home = -1;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setpriority(PRIO_PROCESS, 0, 0);
	prctl(PR_SET_NAME, "quartet-net", 0, 0, 0);
	rand_forget(); /* or each net of this priv's would draw the same */
	close_others(c, ready);
	own_output(c);
	log_open("net", LOG_WARN);
	r.error = become(c, &listener, &home, &step);
	if (r.error)
		snprintf(r.why_not, sizeof(r.why_not), "networks: %.80s: %.60s", step, strerror(-r.error));
	close(c->run_dir);
	ssize_t written = write(ready, &r, sizeof(r));
	close(ready);
	if (r.error || written != sizeof(r))
		_exit(1);
	net_serve(listener, home, NULL, 0);
	_exit(0);
}

int net_start(const struct net_config *config, int *ret_ready)
{
	int ready[2], status;
	if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid == 0)
			run(config, ready[1]);
		_exit(pid < 0 ? 1 : 0);
	}
	int error = pid < 0 ? -errno : 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(ready[1]);
	if (!error && status != 0)
		error = -EAGAIN;
	if (error)
		close(ready[0]);
	else
		*ret_ready = ready[0];
	return error;
}
