/* The last seconds of an environment that has extensions, as AWS divides them: the runtime hears SIGTERM and has 500 ms, or 300
 * where there are external extensions too; then these hear of the end and have what is left of two seconds; whoever is still there
 * then is killed with the cell. One that did not register for SHUTDOWN is killed at once. */
#include "aws/lambda/extension.h"

#include "aws/lambda/telemetry.h"

#include <signal.h>

enum {
	INTERNAL_US = 500 * 1000,
	EXTERNAL_US = 2000 * 1000,
	RUNTIME_BESIDE_US = 300 * 1000,
};

static struct loop *loop_of(const struct extensions *x)
{
	return x->environment->lambda->cloud->loop;
}

static bool has_external(const struct extensions *x)
{
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->external)
			return true;
	return false;
}

static bool external_left(const struct extensions *x)
{
	for (unsigned i = 0; i < x->count; i++)
		if (x->v[i]->external && x->v[i]->process)
			return true;
	return false;
}

static void over(struct extensions *x)
{
	struct environment *e = x->environment;
	shutdown_cancel(x);
	environment_is_shut_down(e);
}

static void deadline_came(void *ctx)
{
	struct extensions *x = ctx;
	x->stop_timer = NULL;
	over(x);
}

static void tell_extensions(struct extensions *x)
{
	struct environment *e = x->environment;
	int64_t left_us = x->stop_deadline_us - loop_now_us(loop_of(x));
	x->extensions_told = true;
	for (unsigned i = 0; i < x->count; i++) {
		struct extension *one = x->v[i];
		if (!one->external || !one->process)
			continue;
		bool hears = one->events & EXTENSION_SHUTDOWN && one->state != EXTENSION_STARTED && one->state != EXTENSION_FAILED;
		if (!hears) {
			cell_signal(e->cell, one->process, SIGKILL);
			continue;
		}
		one->state = EXTENSION_STOPPING;
		one->invoke_due = false;
		/* one that is still busy is told when it comes */
		if (one->next)
			extension_api_send_shutdown(x, one, left_us);
	}
	loop_remove_timer(loop_of(x), x->stop_timer);
	x->stop_timer = loop_add_timer(loop_of(x), left_us > 0 ? left_us : 0, deadline_came, x);
}

static void runtime_is_late(void *ctx)
{
	struct extensions *x = ctx;
	struct environment *e = x->environment;
	x->stop_timer = NULL;
	if (!has_external(x)) {
		over(x);
		return;
	}
	cell_signal(e->cell, e->process, SIGKILL);
	e->process = 0;
	shutdown_look(x);
}

void shutdown_look(struct extensions *x)
{
	if (!x->stop_reason || x->environment->process)
		return;
	if (!x->extensions_told && external_left(x))
		tell_extensions(x);
	if (!external_left(x)) {
		/* from a timer of its own: the caller may be in the middle of the environment's affairs */
		loop_remove_timer(loop_of(x), x->stop_timer);
		x->stop_timer = loop_add_timer(loop_of(x), 0, deadline_came, x);
	}
}

bool shutdown_begin(struct extensions *x, const char *reason)
{
	struct environment *e = x->environment;
	if (!x->count || x->stop_reason)
		return false;
	bool external = has_external(x);
	if (!e->process && !external_left(x))
		return false;
	if (cell_is_frozen(e->cell))
		cell_thaw(e->cell);
	x->stop_reason = reason;
	x->extensions_told = false;
	x->stop_deadline_us = loop_now_us(loop_of(x)) + (external ? EXTERNAL_US : INTERNAL_US);
	telemetry_flush(x->telemetry);
	if (e->process) {
		cell_signal(e->cell, e->process, SIGTERM);
		x->stop_timer = loop_add_timer(loop_of(x), external ? RUNTIME_BESIDE_US : INTERNAL_US, runtime_is_late, x);
	} else {
		shutdown_look(x);
	}
	return true;
}

void shutdown_cancel(struct extensions *x)
{
	loop_remove_timer(loop_of(x), x->stop_timer);
	x->stop_timer = NULL;
	x->stop_reason = NULL;
	x->extensions_told = false;
}
