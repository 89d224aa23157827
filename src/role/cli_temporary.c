#include "role/cli_temporary.h"

#include "io/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 100, TRY_US = 20000 };

static _Noreturn void be_guard(const char *path, int from)
{
	static const int deaf[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
	char byte;
	for (size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++)
		signal(deaf[i], SIG_IGN);
	while (read(from, &byte, 1) < 0 && errno == EINTR)
		;
	/* who still writes there is about to be killed */
	for (int i = 0; i < TRIES && tree_remove(AT_FDCWD, path) < 0; i++)
		usleep(TRY_US);
	_exit(0);
}

int cli_temporary_guard(struct cli_temporary *t, const char *path)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[1]);
		be_guard(path, ends[0]);
	}
	int error = pid < 0 ? -errno : 0;
	close(ends[0]);
	if (error)
		close(ends[1]);
	else
		*t = (struct cli_temporary){.child = pid, .held = ends[1]};
	return error;
}

void cli_temporary_end(struct cli_temporary *t)
{
	if (!t->child)
		return;
	close(t->held);
	while (waitpid(t->child, NULL, 0) < 0 && errno == EINTR)
		;
	*t = (struct cli_temporary){0};
}

void cli_temporary_follow(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}
