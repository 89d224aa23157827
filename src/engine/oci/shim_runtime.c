#include "engine/oci/runtime.h"
#include "engine/oci/shim_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { WORDS_MAX = RUNTIME_WORDS_MAX + 16 };

static _Noreturn void become_runtime(struct held_container *c, bool in_group, const char *const *argv, const int *stdio)
{
	static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "XDG_RUNTIME_DIR=/tmp", NULL};
	sigset_t none;
	if (in_group && cgroup_join(c->plan->join) < 0)
		_exit(126);
	for (int i = 0; i < 3; i++) {
		int fd = stdio && stdio[i] >= 0 ? stdio[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
		if (dup2(fd, i) < 0)
			_exit(126);
	}
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	_exit(127);
}

pid_t runtime_run(struct held_container *c, bool in_group, const char *const *words, const char *log, const int *stdio)
{
	const struct oci_runtime *r = oci_runtime(c->shim->plan->runtime);
	const char *argv[WORDS_MAX] = {r->program};
	int n = 1;
	for (const char *const *w = r->general; *w; w++)
		argv[n++] = *w;
	argv[n++] = "--log";
	argv[n++] = log;
	for (; *words && n < WORDS_MAX - 1; words++)
		argv[n++] = *words;
	unlink(log);
	pid_t pid = fork();
	if (pid == 0)
		become_runtime(c, in_group, argv, stdio);
	return pid < 0 ? -errno : pid;
}

void runtime_said(const char *log, char *ret, size_t cap)
{
	char text[4096];
	int fd = open(log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = 0;
	const char *line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	/* without the runtime's own date */
	const char *error = strstr(line, " error: "), *msg = strstr(line, "msg=\"");
	if (msg) {
		line = msg + 5;
		size_t length = strlen(line);
		if (length && line[length - 1] == '"')
			text[(size_t)(line - text) + length - 1] = 0;
	} else if (error) {
		line = error + 8;
	} else if (line[0] >= '0' && line[0] <= '9' && strstr(line, "Z: ")) {
		line = strstr(line, "Z: ") + 3;
	}
	snprintf(ret, cap, "%s", line);
}

pid_t runtime_read_pid(const char *path)
{
	char text[24];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return (pid_t)strtol(text, NULL, 10);
}
