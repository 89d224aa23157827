/* Whether this machine can do it is found by doing it, with a process that notices that it is another one now. */
#include "engine/cell/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_US = 2000, HEAR_MS = 10000, RESTORED_STATUS = 42, TRY_BYTES_MAX = 256 << 20, RESTORE_US = 10 * 1000 * 1000 };

int snapshot_open_restorer(const char *path)
{
	int from = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, to = memfd_create("restore", MFD_CLOEXEC);
	struct stat st;
	int error = !path ? -ENOENT : from < 0 || to < 0 || fstat(from, &st) < 0 ? -errno : 0;
	for (off_t left = error ? 0 : st.st_size; left > 0 && !error;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);
		if (n <= 0)
			error = n < 0 ? -errno : -EIO;
		left -= n;
	}
	if (!error && fchmod(to, 0555) < 0)
		error = -errno;
	if (from >= 0)
		close(from);
	if (error && to >= 0)
		close(to);
	return error ? error : to;
}

/* Both processes: nothing but these descriptors. */
static void settle(int log, int snapshot, int program)
{
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log = fcntl(log, F_DUPFD_CLOEXEC, 10);
	snapshot = snapshot < 0 ? -1 : fcntl(snapshot, F_DUPFD_CLOEXEC, 10);
	program = program < 0 ? -1 : fcntl(program, F_DUPFD_CLOEXEC, 10);
	int null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
	if (snapshot >= 0)
		dup2(snapshot, 3);
	else
		close(3);
	if (program >= 0)
		dup3(program, 4, O_CLOEXEC);
	close_range(program >= 0 ? 5 : 4, ~0u, 0);
}

/* The restorer, without a snapshot: a small process that waits until it has another number. With one, it becomes that process. */
static pid_t start(int restorer, int snapshot, int log)
{
	static char *const none[] = {NULL};
	pid_t pid = fork();
	if (pid)
		return pid;
	settle(log, snapshot, restorer);
	syscall(SYS_execveat, 4, "", none, none, AT_EMPTY_PATH);
	_exit(1);
}

static int restore(int restorer, int snapshot, int log, char why[SNAPSHOT_WHY_MAX])
{
	int status;
	pid_t pid = start(restorer, snapshot, log);
	if (pid < 0)
		return -errno;
	for (int waited = 0; waitpid(pid, &status, WNOHANG) != pid; waited += LOOK_US) {
		if (waited >= RESTORE_US)
			kill(pid, SIGKILL);
		usleep(LOOK_US);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == RESTORED_STATUS)
		return 0;
	snprintf(why, SNAPSHOT_WHY_MAX, "a restored process ended with status %#x", (unsigned)status);
	return -EIO;
}

static bool hear(int log, char what)
{
	struct pollfd p = {.fd = log, .events = POLLIN};
	char said;
	return poll(&p, 1, HEAR_MS) == 1 && read(log, &said, 1) == 1 && said == what;
}

int snapshot_try(int restorer, char ret_why[SNAPSHOT_WHY_MAX])
{
	int log[2] = {-1, -1}, file = memfd_create("snapshot", MFD_CLOEXEC), status;
	ret_why[0] = 0;
	pid_t pid = -1;
	int error = file < 0 || pipe2(log, O_CLOEXEC) < 0 ? -errno : 0;
	if (!error && (pid = start(restorer, -1, log[1])) < 0)
		error = -errno;
	/* it is past its own preparations */
	if (!error && !hear(log[0], '1'))
		error = -EIO;
	const struct snapshot_job job = {.pid = pid, .out = file, .bytes_max = TRY_BYTES_MAX, .request = "", .any_pid = true};
	if (!error)
		error = snapshot_take(&job, ret_why);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, __WALL);
	}
	if (!error)
		error = snapshot_check(file);
	if (!error)
		error = restore(restorer, file, log[1], ret_why);
	if (!error && !hear(log[0], '2'))
		error = -EIO;
	if (error && !ret_why[0])
		snprintf(ret_why, SNAPSHOT_WHY_MAX, "%s", strerror(-error));
	if (file >= 0)
		close(file);
	if (log[0] >= 0) {
		close(log[0]);
		close(log[1]);
	}
	return error;
}
