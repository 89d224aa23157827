/* A container's life: the runtime is started, makes it and goes; it is this process's child then, because this is process 1 of the
 * namespace around it. Its end may be seen before the runtime's is: the kernel hands both over at the same moment. */
#include "engine/oci/child.h"
#include "engine/oci/runtime.h"
#include "engine/oci/shim_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

void container_id(const struct held_container *c, char ret[32])
{
	snprintf(ret, 32, "c%u-%u", c->index, c->life);
}

static void path_of(const struct held_container *c, const char *file, char ret[96])
{
	snprintf(ret, 96, SHIM_BUNDLES "/%u/%s", c->index, file);
}

void container_open(struct shim *s, unsigned index, const struct task_shim_container *plan)
{
	struct held_container *c = &s->containers[index];
	char path[96];
	*c = (struct held_container){.shim = s, .index = index, .plan = plan};
	for (int i = 0; i < SHIM_STREAMS; i++) {
		c->streams[i] = (struct stream){.container = c, .is_error = i == 1, .fd = -1, .line = malloc(TASK_TEXT_MAX)};
		if (!c->streams[i].line)
			die("out of memory");
	}
	/* api's own words, but from another process */
	if (pread(plan->plan, &c->head, sizeof(c->head), 0) != sizeof(c->head))
		memset(&c->head, 0, sizeof(c->head));
	c->head.name[sizeof(c->head.name) - 1] = 0;
	c->head.user[sizeof(c->head.user) - 1] = 0;
	c->head.workdir[sizeof(c->head.workdir) - 1] = 0;
	path_of(c, "", path);
	mkdir(path, 0700);
}

/* ---- output ---- */

static void say_line(struct stream *t)
{
	struct task_word w = {.verb = TASK_LINE,
	                      .container = t->container->index,
	                      .flags = t->is_error ? TASK_IS_ERROR : 0,
	                      .at_ms = clock_machine_ms()};
	shim_say(t->container->shim, &w, t->line, t->n);
	t->n = 0;
}

static void take_bytes(struct stream *t, const char *p, size_t n)
{
	while (n) {
		const char *end = memchr(p, '\n', n);
		size_t part = end ? (size_t)(end - p) : n, room = TASK_TEXT_MAX - t->n;
		if (part > room) {
			end = NULL;
			part = room;
		}
		memcpy(t->line + t->n, p, part);
		t->n += part;
		p += part;
		n -= part;
		if (end) {
			p++;
			n--;
			if (t->n && t->container->head.has_terminal && t->line[t->n - 1] == '\r')
				t->n--;
			say_line(t);
		} else if (t->n == TASK_TEXT_MAX) {
			say_line(t);
		}
	}
}

static void close_stream(struct stream *t)
{
	loop_remove_fd(t->container->shim->loop, t->watch);
	t->watch = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	if (t->n)
		say_line(t);
}

static bool read_stream(struct stream *t)
{
	static char room[65536];
	ssize_t n = t->fd < 0 ? 0 : read(t->fd, room, sizeof(room));
	if (n > 0)
		take_bytes(t, room, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		close_stream(t);
	return n > 0;
}

static void stream_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct stream *t = ctx;
	if (shim_is_full(t->container->shim)) {
		loop_remove_fd(t->container->shim->loop, t->watch);
		t->watch = NULL;
		return;
	}
	read_stream(t);
}

static void watch_stream(struct stream *t, int fd)
{
	t->fd = fd;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	t->watch = loop_add_fd(t->container->shim->loop, fd, EPOLLIN, stream_speaks, t);
}

void container_read_on(struct held_container *c)
{
	for (int i = 0; i < SHIM_STREAMS; i++)
		if (c->streams[i].fd >= 0 && !c->streams[i].watch)
			watch_stream(&c->streams[i], c->streams[i].fd);
}

/* ---- what is said of it ---- */

static void say_started(struct held_container *c)
{
	struct task_word w = {.verb = TASK_STARTED, .container = c->index, .at_ms = c->started_ms};
	shim_say(c->shim, &w, NULL, 0);
}

static void say_exited(struct held_container *c)
{
	struct task_word w = {.verb = TASK_EXITED, .container = c->index, .code = c->code, .flags = c->flags, .at_ms = c->ended_ms};
	shim_say(c->shim, &w, c->why, strlen(c->why));
}

void container_tell_start(struct held_container *c)
{
	if (c->started_ms && !(c->flags & TASK_NEVER_RAN))
		say_started(c);
}

void container_tell_end(struct held_container *c)
{
	struct task_word w = {.verb = TASK_HEALTH, .container = c->index, .flags = c->health};
	if (c->state == CONTAINER_OVER)
		say_exited(c);
	else if (c->health)
		shim_say(c->shim, &w, NULL, 0);
}

/* ---- its end ---- */

static void forget_in_runtime(struct held_container *c)
{
	char id[32], log[96];
	container_id(c, id);
	path_of(c, "delete.log", log);
	const char *const words[] = {"delete", "--force", id, NULL};
	runtime_run(c, false, words, log, NULL);
}

static void is_over(struct held_container *c)
{
	loop_remove_timer(c->shim->loop, c->stop_timer);
	c->stop_timer = NULL;
	for (int i = 0; i < SHIM_STREAMS; i++) {
		while (read_stream(&c->streams[i]))
			;
		close_stream(&c->streams[i]);
	}
	c->state = CONTAINER_OVER;
	c->pid = 0;
	c->ended_ms = clock_machine_ms();
	forget_in_runtime(c);
	say_exited(c);
}

static void never_ran(struct held_container *c, const char *why)
{
	c->flags = TASK_NEVER_RAN;
	c->code = 0;
	snprintf(c->why, sizeof(c->why), "%s", why);
	is_over(c);
}

static void ended(struct held_container *c, int status)
{
	int64_t kills = c->plan->oom < 0 ? 0 : cgroup_get_oom_kills(c->shim->plan->cgroup_version, c->plan->oom);
	health_end(c);
	exec_end_all(c);
	processes_end(c);
	c->code = (uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	c->flags = kills > c->oom_before ? TASK_WAS_OOM : 0;
	is_over(c);
}

/* ---- its start ---- */

static int listen_for_terminal(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0) {
		int error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	return fd;
}

/* The runtime has sent it before it went. */
int container_take_terminal(int listener)
{
	char word[4096];
	int terminal = -1;
	size_t n = 0;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0 && msg_recv(fd, word, sizeof(word), &terminal, 1, &n) > 0 && n == 1)
		fcntl(terminal, F_SETFL, O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return terminal;
}

static int make_bundle(struct held_container *c, char *ret_why, size_t cap)
{
	char path[96], user[1200];
	snprintf(path, sizeof(path), SHIM_ROOTS "/%u", c->index);
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int error = root < 0 ? -errno : user_json(root, c->head.user, user, sizeof(user));
	if (error == -ENOENT)
		snprintf(ret_why, cap, "unable to find user %s: no matching entries in passwd file", c->head.user);
	if (!error && c->head.workdir[0] && (error = user_make_directory(root, c->head.workdir)) < 0)
		snprintf(ret_why, cap, "cannot make the working directory %.200s: %s", c->head.workdir, strerror(-error));
	path_of(c, "config.json", path);
	if (!error)
		error = user_insert(c->plan->plan, sizeof(c->head), c->head.config_bytes, c->head.config_user_at, user, path);
	if (error && !ret_why[0])
		snprintf(ret_why, cap, "the configuration cannot be written: %s", strerror(-error));
	if (root >= 0)
		close(root);
	return error;
}

static int run(struct held_container *c)
{
	char id[32], bundle[96], pid_file[96], log[96], console[96];
	int out[2] = {-1, -1}, err[2] = {-1, -1}, listener = -1, error = 0;
	container_id(c, id);
	path_of(c, "", bundle);
	path_of(c, "pid", pid_file);
	path_of(c, "log", log);
	path_of(c, "console", console);
	unlink(pid_file);
	const char *words[12] = {"run", "--detach", "--pid-file", pid_file, "--bundle", bundle};
	int n = 6;
	if (oci_runtime(c->shim->plan->runtime)->knows_keyrings)
		words[n++] = "--no-new-keyring";
	if (c->head.has_terminal) {
		words[n++] = "--console-socket";
		words[n++] = console;
		listener = listen_for_terminal(console);
		error = listener < 0 ? listener : 0;
	} else if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		error = -errno;
	}
	words[n++] = id;
	const int stdio[] = {-1, out[1], err[1]};
	if (!error) {
		pid_t pid = runtime_run(c, true, words, log, stdio);
		error = pid < 0 ? pid : 0;
		c->runtime = pid < 0 ? 0 : pid;
	}
	for (int *fd = (int[]){out[1], err[1]}, i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	if (error) {
		msg_close_fds((const int[]){out[0], err[0], listener}, 3);
	} else if (c->head.has_terminal) {
		c->streams[0].fd = listener; /* until the terminal comes */
	} else {
		watch_stream(&c->streams[0], out[0]);
		watch_stream(&c->streams[1], err[0]);
	}
	return error;
}

int container_start(struct held_container *c)
{
	char why[400] = "";
	if (c->state == CONTAINER_STARTING || c->state == CONTAINER_RUNNING)
		return -EBUSY;
	c->life++;
	c->state = CONTAINER_STARTING;
	c->has_early = c->stopping = false;
	c->flags = c->code = 0;
	c->why[0] = 0;
	c->started_ms = 0;
	c->health = c->failures = 0;
	c->oom_before = c->plan->oom < 0 ? 0 : cgroup_get_oom_kills(c->shim->plan->cgroup_version, c->plan->oom);
	int error = c->head.shares_processes ? processes_share(c->shim) : 0;
	if (error)
		snprintf(why, sizeof(why), "the task's processes cannot be shared: %s", strerror(-error));
	if (!error)
		error = sysctl_turn_all(c, why, sizeof(why));
	if (!error)
		error = make_bundle(c, why, sizeof(why));
	if (!error && (error = run(c)) < 0)
		snprintf(why, sizeof(why), "the OCI runtime cannot be started: %s", strerror(-error));
	if (error)
		never_ran(c, why);
	return 0;
}

static void runtime_ended(struct held_container *c, int status)
{
	char path[96], why[512] = "";
	c->runtime = 0;
	if (c->head.has_terminal) {
		int listener = c->streams[0].fd, terminal = container_take_terminal(listener);
		close(listener);
		c->streams[0].fd = -1;
		if (terminal >= 0)
			watch_stream(&c->streams[0], terminal);
	}
	path_of(c, "pid", path);
	pid_t pid = runtime_read_pid(path);
	if (status != 0 || pid <= 0) {
		path_of(c, "log", path);
		runtime_said(path, why, sizeof(why));
		if (!why[0])
			snprintf(why, sizeof(why), "the OCI runtime ended with status %d",
			         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		if (pid > 0)
			kill(pid, SIGKILL);
		never_ran(c, why);
		return;
	}
	c->pid = pid;
	c->state = CONTAINER_RUNNING;
	c->started_ms = clock_machine_ms();
	say_started(c);
	if (c->has_early) {
		ended(c, c->early);
		return;
	}
	health_begin(c);
	if (c->stopping)
		container_stop(c);
}

bool container_reaped(struct held_container *c, pid_t pid, int status)
{
	char path[96];
	if (c->runtime == pid) {
		runtime_ended(c, status);
		return true;
	}
	if (c->state == CONTAINER_RUNNING && c->pid == pid) {
		ended(c, status);
		return true;
	}
	path_of(c, "pid", path);
	if (c->state == CONTAINER_STARTING && runtime_read_pid(path) == pid) {
		c->has_early = true;
		c->early = status;
		return true;
	}
	return false;
}

/* ---- stopping ---- */

static void too_late(void *ctx)
{
	struct held_container *c = ctx;
	c->stop_timer = NULL;
	if (c->pid)
		kill(c->pid, SIGKILL);
}

void container_stop(struct held_container *c)
{
	c->stopping = true;
	if (c->state != CONTAINER_RUNNING || c->stop_timer)
		return;
	bool at_once = c->head.stop_timeout_us <= 0;
	kill(c->pid, at_once ? SIGKILL : (int)c->head.stop_signal);
	if (!at_once)
		c->stop_timer = loop_add_timer(c->shim->loop, c->head.stop_timeout_us, too_late, c);
}
