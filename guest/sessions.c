/* The agent of sessions (src/engine/session/session.h) in a virtual machine: a process for each of the machine's ports. The port is
 * waited on while nobody is at its other end; then a child serves one session, and goes with it. */
#include "engine/session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 16 };

static int stay(void *ctx)
{
	(void)ctx; /* the program runs where this one does */
	return 0;
}

/* The kernel has no wait for the other end; it sends SIGIO when one comes or goes. */
static void wait_for_somebody(int fd)
{
	sigset_t io;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		const struct timespec now_and_then = {.tv_sec = 10};
		poll(&p, 1, 0);
		if (!(p.revents & POLLHUP) && p.revents & POLLIN)
			return;
		if (!(p.revents & POLLHUP)) {
			/* somebody who has said nothing yet */
			poll(&p, 1, 1000);
			continue;
		}
		sigtimedwait(&io, NULL, &now_and_then);
	}
}

static _Noreturn void serve_port(const char *path)
{
	sigset_t io;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
		exit(1);
	for (;;) {
		wait_for_somebody(fd);
		pid_t pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			sigprocmask(SIG_UNBLOCK, &io, NULL);
			signal(SIGIO, SIG_IGN);
			_exit(session_serve(fd, stay, NULL) < 0);
		}
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		/* Until the other end has seen what was said and goes: it is the one that closes. */
		struct pollfd p = {.fd = fd};
		for (int i = 0; i < 50 && poll(&p, 1, 100) == 0; i++)
			;
	}
}

int main(void)
{
	char path[64];
	int n = 0;
	for (; n < PORTS_MAX; n++) {
		snprintf(path, sizeof(path), "/dev/virtio-ports/quartet.session.%d", n);
		if (access(path, F_OK) < 0)
			break;
		if (fork() == 0)
			serve_port(path);
	}
	while (wait(NULL) > 0)
		;
	return n ? 0 : 1;
}
