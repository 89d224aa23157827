/* An environment's life: from the claim of a cell over any number of invocations to its end.
 *
 * The start goes through steps that may each wait - code unpacked, credentials assumed, a cell claimed - while the invocation that
 * asked for it hangs on e->current. environment_end() may come at any point; when a step is still out that cannot be called back,
 * the structure stays, doomed, until the step returns. Its timers are lazy (lazy.h): a warm invocation touches none. */
#include "aws/lambda/environment.h"

#include "aws/lambda/code.h"
#include "aws/lambda/extension.h"
#include "aws/lambda/interface.h"
#include "aws/lambda/launch.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/provision.h"
#include "aws/lambda/report.h"
#include "aws/lambda/snapstart.h"
#include "aws/lambda/telemetry.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "core/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
	INIT_LIMIT_US = 10 * 1000 * 1000,
	RESTORE_LIMIT_US = 10 * 1000 * 1000, /* with its hooks */
	EMPTY_LIMIT_US = 2 * 1000 * 1000,    /* what an invocation waits for processes to die before it gets another environment */
	FREEZE_US = 20 * 1000,               /* idle this long, an environment is frozen; quicker calls pay no freezing */
	QUEUED_US = 20 * 1000,               /* what a queued invocation waits for /next before it gets an environment of its own */
	AHEAD_LIMIT_S = 130, /* initialisation of one that is begun ahead; longer, if the function's own time limit is */
};

static int64_t now_us(const struct environment *e)
{
	return loop_now_us(e->lambda->cloud->loop);
}

/* --- timers */

static void limit_fired(void *ctx);
static void idle_fired(void *ctx);

void environment_set_limit(struct environment *e, int64_t delay_us)
{
	lazy_set(&e->limit, e->lambda->cloud->loop, delay_us, limit_fired, e);
}

static void set_idle_due(struct environment *e, int64_t delay_us)
{
	lazy_set(&e->idle, e->lambda->cloud->loop, delay_us, idle_fired, e);
}

/* --- start of a runtime */

static void start_failed(struct environment *e, const char *type, const char *what);

static void start_program(struct environment *e)
{
	int process = launch_runtime(e);
	if (process == -ENOENT) {
		start_failed(e, "Runtime.InvalidEntrypoint",
		             e->version->image ? "the image has neither an entry point nor a command"
		                               : "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
		return;
	}
	if (process < 0) {
		log_error("lambda: starting a runtime: %s", strerror(-process));
		environment_end(e);
		return;
	}
	e->process = process;
}

void environment_extensions_registered(struct environment *e)
{
	if (e->state == ENVIRONMENT_STARTING && !e->process)
		start_program(e);
}

static enum extensions_begun begin_extensions(struct environment *e)
{
	const char *type, *text;
	enum extensions_begun begun = extensions_begin(e, &type, &text);
	if (begun == EXTENSIONS_FAILED)
		start_failed(e, type, text);
	return begun;
}

static void start_runtime(struct environment *e, bool in_invoke)
{
	const struct lambda_function_configuration *f = e->version->config;
	e->state = ENVIRONMENT_STARTING;
	output_cut(e->output);
	e->init_in_invoke = in_invoke;
	e->init_attempts++;
	e->init_begin_us = now_us(e);
	arena_reset(&e->init_arena);
	e->init_error = STR_NONE;
	e->init_error_type = NULL;
	if (in_invoke) {
		/* A second start is part of the invocation and of its time, but comes before START in the log. */
		output_begin_tail(e->output);
		e->dispatch_us = e->init_begin_us;
		environment_set_limit(e, f->timeout.v * 1000000);
		cell_set_cpu(e->cell, false);
	} else if (e->restoring) {
		environment_set_limit(e, RESTORE_LIMIT_US);
		report_write_restore_start(e->output, f, e->version->region);
	} else {
		int64_t ahead_s = f->timeout.v > AHEAD_LIMIT_S ? f->timeout.v : AHEAD_LIMIT_S;
		environment_set_limit(e, e->provisioned || e->taking ? ahead_s * 1000000 : INIT_LIMIT_US);
		if (str_set(f->runtime)) /* an image has no version of ours to name */
			report_write_init_start(e->output, f, e->version->region, launch_initialization_type(e));
	}
	/* A snapshot is of the runtime alone; what is restored has numbers of its own, which others could have taken. */
	if (e->taking || e->restoring || begin_extensions(e) == EXTENSIONS_NONE)
		start_program(e);
}

/* How a start went that went wrong. */
static void report_init(struct environment *e, const char *status, const char *error_type)
{
	output_drain(e->output, cell_log_fd(e->cell));
	output_end_line(e->output);
	report_write_init(e->output, e->version->config, now_us(e) - e->init_begin_us, e->init_in_invoke ? "invoke" : "init",
	                  status, error_type, launch_initialization_type(e));
	if (e->extensions) {
		telemetry_init_runtime_done(e->extensions->telemetry, status, error_type);
		telemetry_init_report(e->extensions->telemetry, status, error_type, now_us(e) - e->init_begin_us);
	}
}

static const char *reason_of(const char *error_type)
{
	return !strcmp(error_type, "Sandbox.Timedout") ? "timeout" : "failure";
}

/* The runtime ended, or could not begin, before its first /next. */
static void start_failed(struct environment *e, const char *type, const char *what)
{
	if (e->init_error_type)
		type = e->init_error_type;
	bool timeout = !strcmp(type, "Sandbox.Timedout");
	if (e->restoring) {
		environment_restore_failed(e, timeout);
		return;
	}
	report_init(e, timeout ? "timeout" : "error", type);
	if (e->taking) {
		snapstart_init_failed(e, type, what);
		environment_end(e);
		return;
	}
	if (!e->init_in_invoke) {
		/* Tried once more, on the invocation's own account. */
		if (e->current) {
			environment_shut_down(e, reason_of(type), ENVIRONMENT_STARTS_AGAIN);
			return;
		}
		if (e->provisioned)
			provision_init_failed(pool_provision(e->pool));
		environment_end_for(e, reason_of(type));
		return;
	}
	struct invocation *inv = e->current;
	struct str body = e->init_error;
	report_write_start(e->output, e->version->config, inv->request_id);
	if (!str_set(body)) {
		body = invocation_error_body(inv, type, what);
		environment_report_error(e, type, what);
	}
	struct outcome o = {.payload = body, .function_error = true};
	environment_report_end(e, now_us(e), "error", type);
	environment_finish(e, &o);
	environment_end_for(e, reason_of(type));
}

/* --- the cell */

static void open_runtime_listener(struct environment *e)
{
	/* The cell keeps its descriptors; a listener owns what it is given. */
	int fd = fcntl(cell_runtime_listener(e->cell), F_DUPFD_CLOEXEC, 0);
	e->runtime_listener = listener_open(e->lambda->cloud, fd, runtime_api_serve, e);
}

void environment_has_cell(struct environment *e)
{
	e->cell_ready = true;
	open_runtime_listener(e);
	int endpoint = fcntl(cell_endpoint_listener(e->cell), F_DUPFD_CLOEXEC, 0);
	e->endpoint_listener = endpoint < 0 ? NULL : listener_open_gate(e->lambda->cloud, endpoint);
	environment_watch_log(e);
	start_runtime(e, false);
}

/* The image's program did not even begin, or its directory is not there. */
static bool exec_failed(struct environment *e)
{
	char text[128];
	int error;
	bool directory;
	if (!e->version->image || !cell_never_ran(e->cell, &error, &directory))
		return false;
	const char *why = strerror(error);
	snprintf(text, sizeof(text), "%s: %c%s", directory ? "chdir" : "fork/exec", ascii_lower(why[0]), why + 1);
	start_failed(e, directory ? "Runtime.InvalidWorkingDir" : "Runtime.InvalidEntrypoint", text);
	return true;
}

/* Something that the invocation needs has ended. */
static void fail_current(struct environment *e, const char *type, const char *text)
{
	struct outcome o = {.payload = invocation_error_body(e->current, type, text), .function_error = true};
	output_drain(e->output, cell_log_fd(e->cell));
	if (e->extensions && !e->back_us)
		environment_tell_runtime_done(e, "failure", type);
	environment_report_error(e, type, text);
	environment_report_end(e, now_us(e), "error", type);
	environment_finish(e, &o);
}

void environment_process_exited(struct environment *e, int process, int status)
{
	char text[64];
	if (process != e->process) {
		if (e->extensions)
			extensions_process_exited(e->extensions, process, status);
		return;
	}
	e->process = 0;
	report_exit_text(status, text);
	unsigned kills = cell_oom_kills(e->cell);
	if (kills > e->oom_kills) {
		e->oom_kills = kills;
		e->peak_bytes = e->version->config->memory_size.v << 20;
		e->peak_read_us = now_us(e);
		snprintf(text, sizeof(text), "Runtime exited with error: signal: killed");
	}
	switch (e->state) {
	case ENVIRONMENT_STARTING:
		if (e->snapping)
			return;
		if (e->restoring && !e->restored_us && snapstart_never_ran(status))
			environment_restore_impossible(e, status);
		else if (!exec_failed(e))
			start_failed(e, "Runtime.ExitError", text);
		return;
	case ENVIRONMENT_BUSY:
		fail_current(e, "Runtime.ExitError", text);
		environment_go_cold(e, "failure");
		return;
	case ENVIRONMENT_DONE:
		if (e->current) {
			environment_report_end(e, e->done_us, NULL, NULL);
			environment_finish(
			        e, &(struct outcome){.payload = e->current->payload, .function_error = str_set(e->error_type)});
		}
		environment_go_cold(e, "failure");
		return;
	case ENVIRONMENT_READY:
		environment_end_for(e, "failure");
		return;
	case ENVIRONMENT_STOPPING:
		shutdown_look(e->extensions);
		return;
	case ENVIRONMENT_CLAIMING:
	case ENVIRONMENT_COLD:
		return;
	}
}

void environment_extension_failed(struct environment *e, const char *type, const char *text)
{
	switch (e->state) {
	case ENVIRONMENT_STARTING:
		start_failed(e, type, text);
		return;
	case ENVIRONMENT_BUSY:
	case ENVIRONMENT_DONE:
		if (e->current)
			fail_current(e, type, text);
		environment_go_cold(e, "failure");
		return;
	case ENVIRONMENT_READY:
		environment_end_for(e, "failure");
		return;
	case ENVIRONMENT_CLAIMING:
	case ENVIRONMENT_COLD:
	case ENVIRONMENT_STOPPING:
		return;
	}
}

/* Its connections go with it. What a killed runtime had sent is still in them: a GET /next out of that would take the event that
 * the next runtime is to have. */
void environment_runtime_is_gone(struct environment *e)
{
	e->emptying = false;
	if (e->next)
		listen_on_gone(e->next, NULL, NULL);
	if (e->response)
		listen_on_gone(e->response, NULL, NULL);
	e->next = e->response = NULL;
	listener_close(e->runtime_listener);
	listener_refuse_waiting(cell_runtime_listener(e->cell));
	open_runtime_listener(e);
	if (e->state != ENVIRONMENT_COLD)
		return;
	if (!e->current) {
		e->current = e->queued;
		e->queued = NULL;
	}
	if (e->current)
		start_runtime(e, true);
}

/* --- time */

static void limit_fired(void *ctx)
{
	struct environment *e = ctx;
	if (!lazy_is_due(&e->limit, e->lambda->cloud->loop, limit_fired, e))
		return;
	double seconds = (double)e->version->config->timeout.v;
	char text[64];
	snprintf(text, sizeof(text), "Task timed out after %.2f seconds", seconds);
	if (e->state == ENVIRONMENT_STARTING && !e->init_in_invoke) {
		start_failed(e, "Sandbox.Timedout", text);
		return;
	}
	if (e->state == ENVIRONMENT_COLD) {
		log_warn("lambda: processes of %.*s are slow to die", STR_ARG(e->version->name));
		environment_end(e);
		return;
	}
	if (e->state == ENVIRONMENT_DONE && !e->current) {
		environment_go_cold(e, "timeout"); /* answered, but never came back */
		return;
	}
	if (!e->current || (e->state != ENVIRONMENT_BUSY && e->state != ENVIRONMENT_STARTING && e->state != ENVIRONMENT_DONE))
		return;
	char when[40];
	if (e->state == ENVIRONMENT_STARTING) {
		report_init(e, "timeout", "Sandbox.Timedout");
		report_write_start(e->output, e->version->config, e->current->request_id);
	}
	if (!e->extensions)
		environment_kill_runtime(e);
	else if (!e->back_us)
		environment_tell_runtime_done(e, "timeout", NULL);
	output_drain(e->output, cell_log_fd(e->cell));
	time_format_to(when, clock_wall_ms(), TIME_ISO8601_MS);
	output_line(e->output, "%s %s %s\n\n", when, e->current->request_id, text);
	environment_report_end(e, now_us(e), "timeout", NULL);
	struct outcome o = {.payload = invocation_error_body(e->current, "Sandbox.Timedout", text), .function_error = true};
	environment_finish(e, &o);
	environment_go_cold(e, "timeout");
}

static void idle_fired(void *ctx)
{
	struct environment *e = ctx;
	if (!lazy_is_due(&e->idle, e->lambda->cloud->loop, idle_fired, e))
		return;
	if (e->queued) {
		/* /next did not come: the one that waited gets another environment. */
		struct invocation *inv = e->queued;
		e->queued = NULL;
		environment_start(e->pool, inv);
		return;
	}
	if (e->state == ENVIRONMENT_READY && !e->entered && !cell_is_frozen(e->cell)) {
		cell_freeze(e->cell);
		if (e->extensions)
			telemetry_pause(e->extensions->telemetry);
		output_drain(e->output, cell_log_fd(e->cell));
	}
}

/* --- invocations */

static void dispatch(struct environment *e)
{
	struct invocation *inv = e->current;
	const struct lambda_function_configuration *f = e->version->config;
	if (cell_is_frozen(e->cell))
		cell_thaw(e->cell);
	if (e->extensions)
		telemetry_resume(e->extensions->telemetry);
	if (!e->init_in_invoke) {
		output_begin_tail(e->output);
		e->dispatch_us = clock_mono_us();
		environment_set_limit(e, f->timeout.v * 1000000);
	}
	report_write_start(e->output, f, inv->request_id);
	e->init_in_invoke = false;
	e->state = ENVIRONMENT_BUSY;
	set_idle_due(e, 0);
	if (e->extensions) {
		e->answer_us = e->back_us = 0;
		e->produced_bytes = 0;
		telemetry_start(e->extensions->telemetry, inv);
		extensions_send_invoke(e->extensions);
	}
	runtime_api_send_event(e);
}

void environment_run(struct environment *e, struct invocation *inv)
{
	inv->environment = e;
	if (e->state == ENVIRONMENT_DONE) {
		e->queued = inv;
		set_idle_due(e, QUEUED_US);
		return;
	}
	pool_set_idle(e->pool, e, false);
	if (e->state == ENVIRONMENT_COLD && e->emptying) {
		/* nothing of it has begun here: when this environment does not come clean, another one takes it */
		e->queued = inv;
		environment_set_limit(e, EMPTY_LIMIT_US);
		return;
	}
	e->current = inv;
	if (e->state != ENVIRONMENT_COLD)
		dispatch(e);
	else
		start_runtime(e, true);
}

/* The runtime is in /next, and so are all extensions. */
static void all_are_back(struct environment *e)
{
	if (e->state == ENVIRONMENT_STARTING) {
		int64_t took = clock_mono_us() - e->init_begin_us;
		cell_set_cpu(e->cell, true);
		e->state = ENVIRONMENT_READY;
		pool_set_starting(e->pool, e, false);
		if (e->restoring) {
			environment_is_restored(e);
			environment_set_limit(e, 0);
		} else if (!e->init_in_invoke) {
			e->init_us = took > 0 ? took : 1;
			environment_set_limit(e, 0);
		}
		if (e->extensions)
			extensions_initialised(e->extensions, took);
		if (e->provisioned && !e->provisioned_ready) {
			e->init_us = 0; /* no invocation pays for it */
			e->provisioned_ready = true;
			provision_is_ready(pool_provision(e->pool));
		}
		output_drain(e->output, cell_log_fd(e->cell));
	} else if (e->state == ENVIRONMENT_DONE) {
		if (e->current) {
			environment_report_end(e, e->extensions ? clock_mono_us() : e->done_us, NULL, NULL);
			environment_finish(
			        e, &(struct outcome){.payload = e->current->payload, .function_error = str_set(e->error_type)});
		}
		e->state = ENVIRONMENT_READY;
		environment_set_limit(e, 0);
	}
	if (!e->current && e->queued && !environment_is_stale(e)) {
		e->current = e->queued;
		e->queued = NULL;
	}
	if (e->current) {
		dispatch(e);
		return;
	}
	if (pool_lets_go(e->pool, e) || environment_is_stale(e)) {
		environment_end(e); /* the one that is queued gets another */
		return;
	}
	pool_set_idle(e->pool, e, true);
	set_idle_due(e, FREEZE_US);
}

void environment_runtime_next(struct environment *e, struct http_request *r)
{
	e->next = r;
	if (e->taking) {
		snapstart_take(e, CELL_WAITS_NEXT);
		return;
	}
	if (e->restoring && begin_extensions(e) == EXTENSIONS_FAILED)
		return;
	if (e->extensions) {
		if (e->state == ENVIRONMENT_STARTING) {
			telemetry_init_runtime_done(e->extensions->telemetry, "success", NULL);
		} else if (e->state == ENVIRONMENT_DONE) {
			output_drain(e->output, cell_log_fd(e->cell));
			environment_tell_runtime_done(e, str_set(e->error_type) ? "error" : "success", NULL);
		}
		if (!extensions_idle(e->extensions))
			return;
	}
	all_are_back(e);
}

void environment_extension_is_back(struct environment *e)
{
	bool waits = e->state == ENVIRONMENT_STARTING || e->state == ENVIRONMENT_DONE;
	if (waits && e->next && extensions_idle(e->extensions))
		all_are_back(e);
}

/* An answer goes to the caller at once, unless the tail of the log was asked for: REPORT belongs to it and comes with the next
 * /next. */
static void answered(struct environment *e, const struct outcome *o)
{
	struct invocation *inv = e->current;
	e->state = ENVIRONMENT_DONE;
	e->done_us = clock_mono_us();
	e->error_type = o->function_error ? S("Unhandled") : STR_NONE;
	e->produced_bytes = o->payload.n;
	if (inv->tail) {
		inv->payload = arena_dup(&inv->arena, o->payload);
		if (!str_set(inv->payload))
			inv->payload = S("");
		return;
	}
	if (e->extensions && extensions_follow(e->extensions)) {
		invocation_answer(inv, o); /* it goes on until they are back */
		return;
	}
	/* The lines are written when the runtime is back; they need the ids, so the report keeps them. */
	environment_report_end(e, e->done_us, NULL, NULL);
	environment_finish(e, o);
}

void environment_runtime_answered(struct environment *e, struct str payload, bool function_error)
{
	answered(e, &(struct outcome){.payload = payload, .function_error = function_error});
}

void environment_runtime_too_large(struct environment *e)
{
	struct str body = arena_printf(
	        &e->current->arena,
	        "{\"errorMessage\":\"Response payload size exceeded maximum allowed payload size (%d bytes).\",\"errorType\":\"Function.ResponseSizeTooLarge\"}",
	        LAMBDA_RESPONSE_BYTES);
	answered(e, &(struct outcome){.payload = body, .function_error = true});
}

void environment_runtime_streamed(struct environment *e, struct str error_type, struct str error_body)
{
	bool failed = str_set(error_type);
	answered(e, &(struct outcome){.payload = failed ? error_body : STR_NONE, .function_error = failed});
}

void environment_runtime_init_error(struct environment *e, struct str type, struct str body)
{
	e->init_error = arena_dup(&e->init_arena, body);
	e->init_error_type = arena_dupz(&e->init_arena, type);
}

/* --- start of an environment */

struct environment *environment_new(struct pool *p, struct fn_version *v)
{
	struct environment *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	list_init(&e->link);
	list_init(&e->idle_link);
	list_init(&e->lru_link);
	e->pool = pool_ref(p);
	e->lambda = pool_lambda(p);
	e->version = fn_version_ref(v);
	e->state = ENVIRONMENT_CLAIMING;
	e->snap = snapstart_wanted(v->config);
	arena_init(&e->arena, 0);
	arena_init(&e->init_arena, 0);
	pool_add(p, e);
	pool_set_starting(p, e, true);
	return e;
}

void environment_start(struct pool *p, struct invocation *inv)
{
	struct environment *e = environment_new(p, inv->version);
	e->current = inv;
	inv->environment = e;
	e->restoring = e->snap && str_set(inv->version->snapshot) && !inv->version->snapshot_lost;
	launch_prepare(e);
}

void environment_start_ahead(struct pool *p, struct fn_version *v)
{
	struct environment *e = environment_new(p, v);
	e->provisioned = true;
	launch_prepare(e);
}
