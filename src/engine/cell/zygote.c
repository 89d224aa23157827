#include "engine/cell/zygote.h"
#include "engine/cell/root.h"
#include "engine/cell/zygote_proto.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 5000, LIBRARY_FD = ZYGOTE_FD + 1 };

struct zygote {
	struct loop *loop;
	pid_t pid; /* 0: reaped */
	int sock;
	struct loop_fd *watch;
	bool ready;
};

/* By enum cell_image. */
static const struct {
	const char *family, *client;
} images[CELL_IMAGES] = {
        [CELL_IMAGE_PYTHON] = {"python", "/var/runtime/python/bootstrap.py"},
};

static bool find_interpreter(enum cell_image image, struct cell_runtime *ret)
{
	struct cell_runtime found[8];
	size_t n = cell_find_runtimes(found, sizeof(found) / sizeof(found[0]));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(found[i].family, images[image].family)) {
			*ret = found[i];
			return true;
		}
	return false;
}

/* A copy without a name: what runs inside sees where its libraries come from, and where this machine has ours is not its business.
 */
static int copy_library(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("zygote", MFD_CLOEXEC);
	struct stat st;
	int error = from < 0 || to < 0 || fstat(from, &st) < 0 ? -errno : 0;
	for (off_t left = error ? 0 : st.st_size; left > 0 && !error;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);
		if (n <= 0)
			error = n < 0 ? -errno : -EIO;
		left -= n;
	}
	if (from >= 0)
		close(from);
	if (error && to >= 0)
		close(to);
	return error ? error : to;
}

/* In the child: a cell's file system, the two descriptors at their numbers, the interpreter. */
__attribute__((noreturn)) static void become(const struct cell_runtime *runtime, const char *client, int template_ns, int sock,
                                             int library)
{
	/* what the interpreter knows of itself and reads from here is the same in every copy */
	static const char *const env[] = {"PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
	                                  "LANG=en_US.UTF-8",
	                                  "LC_CTYPE=C.UTF-8",
	                                  "TZ=:UTC",
	                                  "QUARTET_ZYGOTE=/proc/self/fd/4",
	                                  NULL};
	_Static_assert(LIBRARY_FD == 4, "the number in the environment");
	const char *const argv[] = {runtime->path, client, NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (root_enter(template_ns, 0, 1 << 20) < 0)
		_exit(126);
	sock = fcntl(sock, F_DUPFD_CLOEXEC, 10);
	library = fcntl(library, F_DUPFD_CLOEXEC, 10);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(sock, ZYGOTE_FD) < 0 || dup2(library, LIBRARY_FD) < 0)
		_exit(126);
	close_range(LIBRARY_FD + 1, ~0u, 0);
	execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	_exit(127);
}

static void hung_up(struct zygote *z)
{
	loop_remove_fd(z->loop, z->watch);
	z->watch = NULL;
	if (z->sock >= 0)
		close(z->sock);
	z->sock = -1;
	z->ready = false;
}

static void reaped(void *ctx, int status)
{
	struct zygote *z = ctx;
	z->pid = 0;
	if (z->sock >= 0)
		log_warn("a zygote ended with status %#x", (unsigned)status);
	hung_up(z);
}

static void speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct zygote *z = ctx;
	struct zygote_answer a;
	ssize_t n = msg_recv(z->sock, &a, sizeof(a), NULL, 0, NULL);
	if (n == -EAGAIN)
		return;
	if (n == sizeof(a) && !a.error)
		z->ready = true;
	else
		hung_up(z);
}

static int greet(struct zygote *z, const struct child_world *w)
{
	struct {
		struct zygote_hello head;
		struct sock_filter filter[ZYGOTE_FILTER_MAX];
	} *hello = calloc(1, sizeof(*hello));
	if (!hello)
		die("out of memory");
	int error = -E2BIG;
	if (w->filter.len <= ZYGOTE_FILTER_MAX) {
		hello->head = (struct zygote_hello){.outbound = w->outbound, .filter_length = w->filter.len};
		memcpy(hello->filter, w->filter.filter, w->filter.len * sizeof(w->filter.filter[0]));
		const int fds[] = {w->template_fd, w->host_proc_fd, w->host_net_ns_fd};
		error = msg_send(z->sock, hello, sizeof(hello->head) + w->filter.len * sizeof(w->filter.filter[0]), fds, 3);
	}
	free(hello);
	return error;
}

struct zygote *zygote_start(struct loop *l, enum cell_image image, const char *library_path, const struct child_world *world)
{
	struct cell_runtime runtime;
	int pair[2];
	if (!library_path || !find_interpreter(image, &runtime) || msg_pair(pair) < 0)
		return NULL;
	int library = copy_library(library_path);
	if (library < 0) {
		log_warn("%s: %s", library_path, strerror(-library));
		msg_close_fds(pair, 2);
		return NULL;
	}
	struct zygote *z = calloc(1, sizeof(*z));
	if (!z)
		die("out of memory");
	*z = (struct zygote){.loop = l, .sock = pair[0]};
	z->pid = fork();
	if (z->pid == 0)
		become(&runtime, images[image].client, world->template_fd, pair[1], library);
	close(pair[1]);
	close(library);
	if (z->pid > 0)
		z->watch = loop_add_fd(l, z->sock, EPOLLIN, speaks, z);
	if (z->pid < 0 || !z->watch || loop_add_child(l, z->pid, reaped, z) < 0)
		die("cannot start a zygote");
	if (greet(z, world) < 0)
		hung_up(z);
	return z;
}

int zygote_state(const struct zygote *z)
{
	return z->ready ? 0 : z->sock >= 0 ? -EAGAIN : -ESRCH;
}

int zygote_clone(struct zygote *z, const struct child_plan *plan, pid_t *ret_pid)
{
	const int all[ZYGOTE_CLONE_FDS - CGROUP_CONTROLLERS] = {plan->control, plan->lifeline, plan->cgroup_into};
	int fds[ZYGOTE_CLONE_FDS];
	size_t n = 0;
	struct zygote_clone c = {.slot = plan->slot, .uid = plan->uid};
	for (unsigned i = 0; i < ZYGOTE_CLONE_FDS; i++) {
		int fd = i < 3 ? all[i] : plan->cgroup_join[i - 3];
		if (fd < 0)
			continue;
		c.present |= 1u << i;
		fds[n++] = fd;
	}
	int error = z->sock < 0 ? -EPIPE : msg_send(z->sock, &c, sizeof(c), fds, n);
	struct pollfd p = {.fd = z->sock, .events = POLLIN};
	struct zygote_answer a = {.error = -ETIMEDOUT};
	if (!error && (poll(&p, 1, ANSWER_MS) != 1 || msg_recv(z->sock, &a, sizeof(a), NULL, 0, NULL) != sizeof(a)))
		error = -EIO;
	if (error) {
		/* it is in no state to go on; the next cell gets another */
		if (z->pid)
			kill(z->pid, SIGKILL);
		hung_up(z);
		return error;
	}
	if (!a.error)
		*ret_pid = a.pid;
	return a.error;
}

void zygote_stop(struct zygote *z)
{
	if (!z)
		return;
	if (z->pid)
		kill(z->pid, SIGKILL);
	hung_up(z);
	while (z->pid)
		loop_turn(z->loop, 100000);
	free(z);
}
