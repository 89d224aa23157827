/* A program in a running container: a child of the shim enters the container's namespaces and serves the session from there. It is
 * in nobody's process namespace but the shim's, so that nothing in the container sees it; only what it starts is inside. */
#include "engine/vm/box.h"

#include "engine/session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct way_in {
	const struct box *box;
	int init; /* its pidfd */
};

/* Out of the protection from the memory killer, into the container's group, its namespaces, and its root's identity. */
static int enter(void *ctx)
{
	const struct way_in *w = ctx;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		return -errno;
	close(fd);
	/* what it holds of the shim is copied memory, which nobody inside may look at */
	prctl(PR_SET_DUMPABLE, 0);
	if (write(w->box->plan->join, "0", 1) < 0)
		return -errno;
	if (setns(w->init,
	          CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0)
		return -errno;
	return setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresuid(0, 0, 0) < 0 ? -errno : 0;
}

static _Noreturn void serve(const struct box *b, int init, int stream)
{
	struct way_in w = {.box = b, .init = init};
	sigset_t none;
	prctl(PR_SET_NAME, "quartet-session");
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(session_serve(stream, enter, &w) < 0);
}

int box_session(struct box *b, pid_t *ret_pid)
{
	int pair[2], init = b->pid ? (int)syscall(SYS_pidfd_open, b->pid, 0) : -1;
	if (init < 0)
		return b->pid ? -errno : -ESRCH;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		int error = -errno;
		close(init);
		return error;
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		serve(b, init, pair[1]);
	}
	int error = pid < 0 ? -errno : 0;
	close(init);
	close(pair[1]);
	if (error) {
		close(pair[0]);
		return error;
	}
	*ret_pid = pid;
	return pair[0];
}
