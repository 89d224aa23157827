/* Extensions and where they stand. What they say comes from extension_api.c; what becomes of the environment is environment.c's. */
#include "aws/lambda/extension.h"

#include "aws/lambda/launch.h"
#include "aws/lambda/report.h"
#include "aws/lambda/telemetry.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LINE_BYTES = 262144 - 26,
	FULL_US = 50 * 1000,  /* between looks whether the log has room again */
	TOLD_US = 500 * 1000, /* what the process of one that told an error has to end by itself */
};

static struct loop *loop_of(const struct extensions *x)
{
	return x->environment->lambda->cloud->loop;
}

/* --- rules */

enum extension_request extension_route(struct str method, struct str path)
{
	static const struct {
		const char *method, *path;
		enum extension_request is;
	} known[] = {
	        {"POST", "/2020-01-01/extension/register", EXTENSION_REGISTER},
	        {"GET", "/2020-01-01/extension/event/next", EXTENSION_NEXT},
	        {"POST", "/2020-01-01/extension/init/error", EXTENSION_INIT_ERROR},
	        {"POST", "/2020-01-01/extension/exit/error", EXTENSION_EXIT_ERROR},
	        {"PUT", "/2022-07-01/telemetry", EXTENSION_TELEMETRY},
	        {"PUT", "/2020-08-15/logs", EXTENSION_LOGS},
	};
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_is(path, known[i].path) && str_is(method, known[i].method))
			return known[i].is;
	bool ours =
	        str_starts(path, S("/2020-01-01/")) || str_starts(path, S("/2022-07-01/")) || str_starts(path, S("/2020-08-15/"));
	return ours ? EXTENSION_OTHER : EXTENSION_NONE;
}

bool extension_allows(enum extension_state state, enum extension_request request)
{
	switch (request) {
	case EXTENSION_REGISTER:
		return state == EXTENSION_STARTED;
	case EXTENSION_NEXT:
		return state == EXTENSION_REGISTERED || state == EXTENSION_READY || state == EXTENSION_RUNNING;
	case EXTENSION_INIT_ERROR:
		return state == EXTENSION_REGISTERED;
	case EXTENSION_EXIT_ERROR:
		return state == EXTENSION_REGISTERED || state == EXTENSION_READY || state == EXTENSION_RUNNING ||
		       state == EXTENSION_STOPPING;
	case EXTENSION_TELEMETRY:
	case EXTENSION_LOGS:
		return state != EXTENSION_STARTED && state != EXTENSION_FAILED;
	case EXTENSION_OTHER:
	case EXTENSION_NONE:
		break;
	}
	return false;
}

const char *extension_state_name(enum extension_state state)
{
	static const char *const names[] = {"Started", "Registered", "Ready", "Running", "Failed", "ShuttingDown"};
	return names[state];
}

const char *extension_goal_name(enum extension_request request)
{
	static const char *const names[] = {"Registered", "Ready", "InitError", "ExitError", "Subscribed", "Subscribed", "", ""};
	return names[request];
}

bool extension_read_events(const struct json_value *events, unsigned *ret_events)
{
	unsigned bits = 0;
	if (events && !json_is(events, JSON_ARRAY))
		return false;
	json_each(events, one)
	{
		if (!json_is(one, JSON_STRING))
			return false;
		if (str_is(one->text, "INVOKE"))
			bits |= EXTENSION_INVOKE;
		else if (str_is(one->text, "SHUTDOWN"))
			bits |= EXTENSION_SHUTDOWN;
		else
			return false;
	}
	*ret_events = bits;
	return true;
}

bool extension_hides(struct str name)
{
	static const char *const hidden[] = {"AWS_EXECUTION_ENV",      "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
	                                     "LAMBDA_TASK_ROOT",       "LAMBDA_RUNTIME_DIR",        "AWS_XRAY_CONTEXT_MISSING",
	                                     "AWS_XRAY_DAEMON_ADDRESS"};
	if (str_starts(name, S("_")))
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		if (str_is(name, hidden[i]))
			return true;
	return false;
}

/* --- the set of them */

static void function_line(void *ctx, struct str line)
{
	struct extensions *x = ctx;
	telemetry_add_line(x->telemetry, TELEMETRY_FUNCTION, line);
}

struct extensions *extensions_of(struct environment *e)
{
	if (e->extensions)
		return e->extensions;
	struct extensions *x = calloc(1, sizeof(*x));
	if (!x)
		abort();
	x->environment = e;
	x->log_read = x->log_write = -1;
	list_init(&x->asks);
	buf_init(&x->line, LINE_BYTES);
	x->telemetry = telemetry_new(e);
	e->extensions = x;
	output_set_tap(e->output, function_line, x);
	return x;
}

void extensions_reset(struct extensions *x)
{
	shutdown_cancel(x);
	loop_remove_timer(loop_of(x), x->fail_timer);
	x->fail_timer = NULL;
	extension_api_forget(x);
	extensions_drain(x);
	for (unsigned i = 0; i < x->count; i++)
		free(x->v[i]);
	x->count = 0;
	x->closed = x->awaited = false;
	telemetry_reset(x->telemetry);
}

void extensions_free(struct extensions *x)
{
	if (!x)
		return;
	output_set_tap(x->environment->output, NULL, NULL);
	extensions_reset(x);
	telemetry_free(x->telemetry);
	loop_remove_fd(loop_of(x), x->log_watch);
	loop_remove_timer(loop_of(x), x->log_timer);
	if (x->log_read >= 0)
		close(x->log_read);
	if (x->log_write >= 0)
		close(x->log_write);
	buf_done(&x->line);
	free(x);
}

struct extension *extension_new(struct extensions *x, struct str name, bool external)
{
	struct extension *one = calloc(1, sizeof(*one));
	if (!one)
		abort();
	memcpy(one->name, name.p, name.n < sizeof(one->name) ? name.n : sizeof(one->name) - 1);
	one->external = external;
	id_uuid_to(one->id);
	x->v[x->count++] = one;
	return one;
}

struct extension *extension_by_id(struct extensions *x, struct str id)
{
	for (unsigned i = 0; x && i < x->count; i++)
		if (x->v[i]->state != EXTENSION_STARTED && str_is(id, x->v[i]->id))
			return x->v[i];
	return NULL;
}

struct extension *extension_by_name(struct extensions *x, struct str name)
{
	for (unsigned i = 0; x && i < x->count; i++)
		if (str_is(name, x->v[i]->name))
			return x->v[i];
	return NULL;
}

/* --- what they print */

static void print(struct extensions *x, struct str line)
{
	output_extension_line(x->environment->output, line);
	telemetry_add_line(x->telemetry, TELEMETRY_EXTENSION, line);
}

static void take_lines(struct extensions *x, struct str bytes)
{
	while (!str_empty(bytes)) {
		ptrdiff_t end = str_find_char(bytes, '\n');
		size_t n = end < 0 ? bytes.n : (size_t)end + 1, room = LINE_BYTES - x->line.n;
		bool ends = end >= 0 || n >= room;
		n = n < room ? n : room;
		buf_add(&x->line, bytes.p, n);
		bytes = str_from_at(bytes, n);
		if (ends) {
			print(x, buf_str(&x->line));
			buf_clear(&x->line);
		}
	}
}

void extensions_drain(struct extensions *x)
{
	char bytes[16384];
	for (int rounds = 0; x->log_read >= 0 && rounds < 16; rounds++) {
		ssize_t n = read(x->log_read, bytes, sizeof(bytes));
		if (n <= 0)
			return;
		take_lines(x, str_of(bytes, (size_t)n));
	}
}

static void on_log(void *ctx, uint32_t events);

static void watch_log(void *ctx)
{
	struct extensions *x = ctx;
	x->log_timer = NULL;
	if (output_is_full(x->environment->output))
		x->log_timer = loop_add_timer(loop_of(x), FULL_US, watch_log, x);
	else
		x->log_watch = loop_add_fd(loop_of(x), x->log_read, EPOLLIN, on_log, x);
}

static void on_log(void *ctx, uint32_t events)
{
	(void)events;
	struct extensions *x = ctx;
	extensions_drain(x);
	if (!output_is_full(x->environment->output))
		return;
	loop_remove_fd(loop_of(x), x->log_watch);
	x->log_watch = NULL;
	watch_log(x);
}

static int open_log(struct extensions *x)
{
	int fds[2];
	if (x->log_read >= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* who prints waits while it is full */
	fcntl(fds[1], F_SETFL, fcntl(fds[1], F_GETFL) & ~O_NONBLOCK);
	x->log_read = fds[0];
	x->log_write = fds[1];
	watch_log(x);
	return 0;
}

/* --- lines about them */

static void write_line(struct extensions *x, const struct extension *one, const char *state, struct str error_type)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	const char *events = one->events == (EXTENSION_INVOKE | EXTENSION_SHUTDOWN) ? "INVOKE,SHUTDOWN"
	                     : one->events == EXTENSION_INVOKE                      ? "INVOKE"
	                     : one->events == EXTENSION_SHUTDOWN                    ? "SHUTDOWN"
	                                                                            : "";
	if (str_set(error_type))
		output_line(x->environment->output, "EXTENSION\tName: %s\tState: %s\tEvents: [%s]\tError Type: %.*s\n", one->name,
		            state, events, (int)(error_type.n < 256 ? error_type.n : 256), error_type.p);
	else
		output_line(x->environment->output, "EXTENSION\tName: %s\tState: %s\tEvents: [%s]\n", one->name, state, events);
	telemetry_extension(x->telemetry, one, state, error_type);
}

void extensions_initialised(struct extensions *x, int64_t took_us)
{
	for (unsigned i = 0; i < x->count; i++)
		write_line(x, x->v[i], "Ready", STR_NONE);
	telemetry_init_report(x->telemetry, "success", NULL, took_us);
	telemetry_end_of_init(x->telemetry);
	x->closed = true;
}

void extension_write_failed(struct extensions *x, const struct extension *one, const char *state, struct str error_type)
{
	extensions_drain(x);
	write_line(x, one, state, str_set(error_type) && error_type.n ? error_type : S("UnknownError"));
}

/* --- start */

static enum extensions_begun cannot(struct environment *e, const char **ret_type, const char **ret_text, const char *type,
                                    struct str text)
{
	*ret_type = type;
	*ret_text = arena_dupz(&e->init_arena, text);
	return EXTENSIONS_FAILED;
}

enum extensions_begun extensions_begin(struct environment *e, const char **ret_type, const char **ret_text)
{
	struct arena CLEAN_ARENA a;
	struct str_list names;
	arena_init(&a, 0);
	extension_files(e, &a, &names);
	if (!names.n)
		return EXTENSIONS_NONE;
	struct extensions *x = extensions_of(e);
	telemetry_init_start(x->telemetry);
	if (names.n > EXTENSIONS_MAX)
		return cannot(e, ret_type, ret_text, "Extension.TooManyExtensions",
		              arena_printf(&a, "Extension limit (%d) reached", EXTENSIONS_MAX));
	int error = open_log(x);
	for (uint32_t i = 0; i < names.n && !error; i++) {
		if (names.v[i].n >= EXTENSION_NAME_BYTES)
			return cannot(
			        e, ret_type, ret_text, "Extension.InvalidExtensionName",
			        arena_printf(&a, "the name of an extension has more than %d bytes", EXTENSION_NAME_BYTES - 1));
		struct extension *one = extension_new(x, names.v[i], true);
		int process = launch_extension(e, one->name, x->log_write);
		if (process < 0)
			error = process;
		else
			one->process = process;
	}
	if (error)
		return cannot(e, ret_type, ret_text, "Extension.LaunchError", str_from(strerror(-error)));
	x->awaited = true;
	return EXTENSIONS_WAIT;
}

void extensions_registered(struct extensions *x)
{
	if (!x->awaited)
		return;
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->external && x->v[i]->state == EXTENSION_STARTED)
			return;
	x->awaited = false;
	environment_extensions_registered(x->environment);
}

/* --- turns */

bool extensions_idle(const struct extensions *x)
{
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->state != EXTENSION_READY)
			return false;
	return true;
}

bool extensions_follow(const struct extensions *x)
{
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->events & EXTENSION_INVOKE)
			return true;
	return false;
}

void extensions_send_invoke(struct extensions *x)
{
	for (unsigned i = 0; i < x->count; i++) {
		struct extension *one = x->v[i];
		if (!(one->events & EXTENSION_INVOKE) || one->state != EXTENSION_READY)
			continue;
		one->state = EXTENSION_RUNNING;
		if (one->next)
			extension_api_send_invoke(x, one);
		else
			one->invoke_due = true;
	}
}

/* How AWS words the end of one's process. */
static struct str exit_text(struct arena *a, int status)
{
	char runtime[64];
	if (!WIFSIGNALED(status))
		return arena_printf(a, "exit code %d", WEXITSTATUS(status));
	report_exit_text(status, runtime);
	ptrdiff_t at = str_find(str_from(runtime), S("signal"));
	return arena_dup(a, str_from(runtime + (at < 0 ? 0 : at)));
}

static void fail(struct extensions *x, const struct extension *one, struct str text)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	loop_remove_timer(loop_of(x), x->fail_timer);
	x->fail_timer = NULL;
	environment_extension_failed(x->environment, ARENA_CAT(&a, S("Extension."), str_from(one->said)).p, arena_dupz(&a, text));
}

static void did_not_end(void *ctx)
{
	struct extensions *x = ctx;
	x->fail_timer = NULL;
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->said) {
			fail(x, x->v[i], str_from(x->v[i]->said));
			return;
		}
}

void extension_told_error(struct extensions *x, struct extension *one, enum extension_request how, struct str error_type)
{
	one->state = EXTENSION_FAILED;
	one->said = extension_goal_name(how);
	extension_write_failed(x, one, one->said, error_type);
	if (!x->fail_timer)
		x->fail_timer = loop_add_timer(loop_of(x), one->process ? TOLD_US : 0, did_not_end, x);
}

bool extensions_process_exited(struct extensions *x, int process, int status)
{
	struct extension *one = NULL;
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->external && x->v[i]->process == process)
			one = x->v[i];
	if (!one)
		return false;
	one->process = 0;
	one->state = EXTENSION_FAILED;
	if (x->stop_reason) {
		shutdown_look(x);
		return true;
	}
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	if (one->said) {
		fail(x, one, exit_text(&a, status));
		return true;
	}
	int error;
	bool directory;
	struct environment *e = x->environment;
	if (cell_never_ran(e->cell, &error, &directory)) {
		const char *why = strerror(error);
		struct str text = arena_printf(&a, "fork/exec /opt/extensions/%s: %c%s", one->name, ascii_lower(why[0]), why + 1);
		extension_write_failed(x, one, "LaunchError", error == EACCES ? S("PermissionDenied") : S("UnknownError"));
		environment_extension_failed(e, "Extension.LaunchError", text.p);
		return true;
	}
	extension_write_failed(x, one, "Crashed", STR_NONE);
	environment_extension_failed(e, "Extension.Crash", arena_dupz(&a, exit_text(&a, status)));
	return true;
}
