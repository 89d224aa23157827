/* Containers that share a namespace of processes (pidMode "task"). A process that does nothing else is number 1 in it: it reaps,
 * and cannot be looked into, for it is the shim's own copy and as little to be traced as that. The runtime finds the namespace at a
 * path that this process itself has mounted, since nobody else may open it.
 *
 * In such a namespace the end of a container's first process is not the end of the others, so they are killed: those that are in
 * its control groups. */
#include "engine/oci/child.h"
#include "engine/oci/shim_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200, ROUND_US = 1000, ARGUMENTS_FIELD = 48 }; /* of /proc/PID/stat: where the words of a program begin and end */

static void read_text(const char *path, char *ret, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, cap - 1);
	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = 0;
}

/* For who lists processes: the words that the machine's own program was started with are nobody's business. */
static void take_name(const char *name)
{
	char text[1024], *p;
	unsigned long begin = 0, end = 0;
	prctl(PR_SET_NAME, name);
	read_text("/proc/self/stat", text, sizeof(text));
	p = strrchr(text, ')');
	for (int field = 2; p && field < ARGUMENTS_FIELD; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, "%lu %lu", &begin, &end) != 2 || end <= begin)
		return;
	memset((char *)(uintptr_t)begin, 0, end - begin);
	snprintf((char *)(uintptr_t)begin, end - begin, "%s", name);
}

static _Noreturn void hold(int tell)
{
	sigset_t child;
	int error = mount("/proc/self/ns/pid", SHIM_PROCESSES, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
	if (write(tell, &error, sizeof(error)) != sizeof(error) || error)
		_exit(1);
	take_name("pause");
	close_range(0, ~0u, 0);
	sigfillset(&child);
	sigprocmask(SIG_BLOCK, &child, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwaitinfo(&child, NULL);
	}
}

int processes_share(struct shim *s)
{
	int pipe_ends[2], error = -EIO;
	if (s->holder)
		return 0;
	int fd = open(SHIM_PROCESSES, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || close(fd) < 0 || pipe2(pipe_ends, O_CLOEXEC) < 0)
		return -errno;
	long pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0)
		hold(pipe_ends[1]);
	close(pipe_ends[1]);
	if (pid > 0 && read(pipe_ends[0], &error, sizeof(error)) != sizeof(error))
		error = -EIO;
	close(pipe_ends[0]);
	if (pid < 0 || error)
		return pid < 0 ? -EAGAIN : error;
	s->holder = (pid_t)pid;
	return 0;
}

/* What the kernel says of who is in the container's control groups: a process of ours goes there and looks. */
static void find_groups(const struct held_container *c, char *ret, size_t cap)
{
	int pipe_ends[2];
	*ret = 0;
	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		if (cgroup_join(c->plan->join) < 0)
			_exit(1);
		read_text("/proc/self/cgroup", ret, cap);
		_exit(write(pipe_ends[1], ret, strlen(ret)) < 0);
	}
	close(pipe_ends[1]);
	ssize_t n = pid < 0 ? -1 : read(pipe_ends[0], ret, cap - 1);
	ret[n > 0 ? n : 0] = 0;
	close(pipe_ends[0]);
}

static bool is_over(const char *pid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%.32s/stat", pid);
	read_text(path, text, sizeof(text));
	const char *name_end = strrchr(text, ')');
	return !name_end || strncmp(name_end, ") Z", 3) == 0 || strncmp(name_end, ") X", 3) == 0;
}

static unsigned kill_those_in(const char *groups)
{
	char path[64], text[4096];
	unsigned found = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.32s/cgroup", e->d_name);
		read_text(path, text, sizeof(text));
		if (strcmp(text, groups) != 0 || is_over(e->d_name))
			continue;
		kill((pid_t)atoi(e->d_name), SIGKILL);
		found++;
	}
	if (d)
		closedir(d);
	return found;
}

void processes_end(const struct held_container *c)
{
	char groups[4096];
	if (!c->head.shares_processes)
		return;
	find_groups(c, groups, sizeof(groups));
	for (int i = 0; groups[0] && i < ROUNDS && kill_those_in(groups); i++)
		usleep(ROUND_US);
}
