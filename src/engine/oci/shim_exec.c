/* Commands in a running container. The runtime starts one, says its number and goes; it is this process's child then. */
#include "engine/oci/child.h"
#include "engine/oci/shim_state.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void path_of(const struct running_exec *e, const char *file, char ret[96])
{
	snprintf(ret, 96, SHIM_BUNDLES "/e%d.%s", e->files, file);
}

static struct running_exec *take(struct held_container *c, bool is_health)
{
	struct shim *s = c->shim;
	for (int i = 0; i < SHIM_EXECS_MAX; i++)
		if (!s->execs[i].used) {
			s->execs[i] = (struct running_exec){.shim = s,
			                                    .container = c,
			                                    .used = true,
			                                    .is_health = is_health,
			                                    .files = (int)s->next_file++ % 100000};
			return &s->execs[i];
		}
	return NULL;
}

static void give(struct running_exec *e)
{
	static const char *const files[] = {"pid", "log", "console"};
	char path[96];
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path_of(e, files[i], path);
		unlink(path);
	}
	loop_remove_timer(e->shim->loop, e->timer);
	e->used = false;
}

/* The runtime gives a command the container's variables, or those that it is told: both come from telling it all. */
static int add_environment(const struct held_container *c, struct arena *a, const char **words, int n, int most)
{
	uint32_t bytes = c->head.config_bytes, user = c->head.config_user_at;
	char *text = arena_alloc(a, bytes);
	if (pread(c->plan->plan, text, bytes, sizeof(c->head)) != (ssize_t)bytes || user > bytes)
		return n;
	/* The user's place is open in the plan. */
	struct str whole = ARENA_CAT(a, str_of(text, user), S("null"), str_of(text + user, bytes - user));
	const struct json_value *config = json_parse(a, whole, NULL);
	json_each(json_get(json_get(config, S("process")), S("env")), v)
	{
		if (n >= most - 4)
			break;
		words[n++] = "--env";
		words[n++] = arena_dupz(a, v->text);
	}
	return n;
}

/* The command gets what the container's own process got: user, directory, environment, capabilities. `bytes` of `from` at `offset`
 * are words, the first `environment` of them variables. */
static int run(struct running_exec *e, int from, off_t offset, size_t bytes, unsigned environment)
{
	struct arena CLEAN_ARENA a = {0};
	char id[32], pid_file[96], log[96], console[96], *text = malloc(bytes + 1);
	const char *words[RUNTIME_WORDS_MAX] = {"exec", "--detach", "--pid-file", pid_file};
	int n = 4, most = RUNTIME_WORDS_MAX - 2;
	if (!text || pread(from, text, bytes, offset) != (ssize_t)bytes) {
		free(text);
		return -EIO;
	}
	text[bytes] = 0;
	container_id(e->container, id);
	path_of(e, "pid", pid_file);
	path_of(e, "log", log);
	path_of(e, "console", console);
	if (!e->is_health) {
		words[n++] = "--tty";
		words[n++] = "--console-socket";
		words[n++] = console;
	}
	if (environment)
		n = add_environment(e->container, &a, words, n, most);
	char *p = text, *end = text + bytes;
	for (; environment && p < end && n < most - 4; environment--, p += strlen(p) + 1) {
		words[n++] = "--env";
		words[n++] = p;
	}
	words[n++] = id;
	for (; p < end && n < most; p += strlen(p) + 1)
		words[n++] = p;
	pid_t pid = p < end ? -E2BIG : runtime_run(e->container, true, words, log, NULL);
	free(text);
	if (pid < 0)
		return pid;
	e->runtime = pid;
	return 0;
}

/* ---- health ---- */

static void probe(void *ctx);

static void set_health(struct held_container *c, unsigned health)
{
	struct task_word w = {.verb = TASK_HEALTH, .container = c->index, .flags = health};
	if (c->health == health)
		return;
	c->health = health;
	shim_say(c->shim, &w, NULL, 0);
}

static void probe_result(struct held_container *c, bool well)
{
	enum { HEALTHY = 1, UNHEALTHY = 2 };
	bool early = clock_mono_us() - c->health_since_us < c->head.health_start_us && c->health != HEALTHY;
	if (well) {
		c->failures = 0;
		set_health(c, HEALTHY);
	} else if (!early && ++c->failures >= c->head.health_retries) {
		set_health(c, UNHEALTHY);
	}
	c->health_timer = loop_add_timer(c->shim->loop, c->head.health_interval_us, probe, c);
}

/* The command, or the runtime if it has not come that far. */
static void probe_is_late(void *ctx)
{
	struct running_exec *e = ctx;
	struct held_container *c = e->container;
	char path[96];
	e->timer = NULL;
	path_of(e, "pid", path);
	pid_t pid = e->pid ? e->pid : runtime_read_pid(path);
	if (pid > 0)
		kill(pid, SIGKILL);
	if (e->runtime)
		kill(e->runtime, SIGKILL);
	give(e);
	probe_result(c, false);
}

static void probe(void *ctx)
{
	struct held_container *c = ctx;
	c->health_timer = NULL;
	struct running_exec *e = take(c, true);
	int error = e ? run(e, c->plan->plan, (off_t)(sizeof(c->head) + c->head.config_bytes), c->head.health_bytes, 0) : -EAGAIN;
	if (error) {
		if (e)
			give(e);
		probe_result(c, false);
		return;
	}
	e->timer = loop_add_timer(c->shim->loop, c->head.health_timeout_us, probe_is_late, e);
}

void health_begin(struct held_container *c)
{
	c->health_since_us = clock_mono_us();
	if (c->head.health_bytes)
		c->health_timer = loop_add_timer(c->shim->loop, c->head.health_interval_us, probe, c);
}

void health_end(struct held_container *c)
{
	loop_remove_timer(c->shim->loop, c->health_timer);
	c->health_timer = NULL;
}

/* ---- terminals ---- */

int exec_begin(struct held_container *c, const struct task_order *o, int description)
{
	if (c->state != CONTAINER_RUNNING)
		return -ESRCH;
	struct running_exec *e = take(c, false);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (!e)
		return -EAGAIN;
	e->number = o->number;
	path_of(e, "console", a.sun_path);
	int error = 0;
	e->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if ((e->listener < 0 || bind(e->listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(e->listener, 1) < 0))
		error = -errno;
	if (!error)
		error = run(e, description, 0, o->bytes, o->environment);
	if (error) {
		if (e->listener >= 0)
			close(e->listener);
		give(e);
	}
	return error;
}

static void say_closed(struct running_exec *e, int status)
{
	struct task_word w = {.verb = TASK_CLOSED,
	                      .number = e->number,
	                      .container = e->container->index,
	                      .code = (uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status))};
	shim_say(e->shim, &w, NULL, 0);
}

static void command_ended(struct running_exec *e, int status)
{
	struct held_container *c = e->container;
	bool is_health = e->is_health;
	if (!is_health)
		say_closed(e, status);
	give(e);
	if (is_health)
		probe_result(c, status == 0);
}

static void runtime_ended(struct running_exec *e, int status)
{
	struct held_container *c = e->container;
	struct task_word w = {.verb = TASK_OPENED, .number = e->number, .container = c->index};
	char path[96], why[512] = "";
	path_of(e, "pid", path);
	e->runtime = 0;
	e->pid = runtime_read_pid(path);
	int terminal = -1;
	if (!e->is_health) {
		terminal = container_take_terminal(e->listener);
		close(e->listener);
	}
	bool well = status == 0 && e->pid > 0 && (e->is_health || terminal >= 0);
	if (!well) {
		path_of(e, "log", path);
		runtime_said(path, why, sizeof(why));
		w.error = -ENOEXEC;
	}
	if (!e->is_health)
		shim_say_fd(c->shim, &w, why, strlen(why), terminal);
	if (terminal >= 0)
		close(terminal);
	if (well && !e->has_status)
		return;
	if (well) {
		command_ended(e, e->status);
		return;
	}
	bool is_health = e->is_health;
	give(e);
	if (is_health)
		probe_result(c, false);
}

bool exec_reaped(struct shim *s, pid_t pid, int status)
{
	char path[96];
	for (int i = 0; i < SHIM_EXECS_MAX; i++) {
		struct running_exec *e = &s->execs[i];
		if (!e->used)
			continue;
		if (e->runtime == pid) {
			runtime_ended(e, status);
			return true;
		}
		if (e->pid == pid) {
			command_ended(e, status);
			return true;
		}
		path_of(e, "pid", path);
		if (e->runtime && runtime_read_pid(path) == pid) {
			e->has_status = true;
			e->status = status;
			return true;
		}
	}
	return false;
}

void exec_end_all(struct held_container *c)
{
	for (int i = 0; i < SHIM_EXECS_MAX; i++) {
		struct running_exec *e = &c->shim->execs[i];
		if (!e->used || e->container != c)
			continue;
		if (e->runtime)
			kill(e->runtime, SIGKILL);
		if (!e->is_health && e->runtime) {
			struct task_word w = {.verb = TASK_OPENED, .number = e->number, .container = c->index, .error = -ESRCH};
			shim_say(c->shim, &w, NULL, 0);
			close(e->listener);
		} else if (!e->is_health) {
			say_closed(e, SIGKILL);
		}
		give(e);
	}
}
