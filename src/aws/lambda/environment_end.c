/* How an environment ends, or is emptied for a new start. Its cell's processes are killed at once where no extension is to be told
 * before; else shutdown.c gives them their last seconds, in which the environment is STOPPING: nobody's, or nobody's for now. When
 * a step is still out that cannot be called back, the structure stays, doomed, until the step returns. */
#include "aws/lambda/environment.h"

#include "aws/lambda/extension.h"
#include "aws/lambda/interface.h"
#include "aws/lambda/launch.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/snapstart.h"
#include "core/listen.h"

#include <stdlib.h>

enum { KILLED_LIMIT_US = 10 * 1000 * 1000 }; /* what processes that were killed have to be gone, while an invocation waits */

/* --- end */

static void free_now(struct environment *e)
{
	credentials_unref(e->credentials);
	interface_release(e->interface);
	output_close(e->output);
	fn_version_unref(e->version);
	pool_unref(e->pool);
	arena_done(&e->init_arena);
	arena_done(&e->arena);
	free(e);
}

static void fail_invocation(struct invocation *inv, const char *text)
{
	struct outcome o = {.code = "ServiceException", .status = 500, .message = str_from(text)};
	invocation_end(inv, &o);
}

/* No invocation finds it any more. */
static void leave_pool(struct environment *e)
{
	pool_set_starting(e->pool, e, false);
	pool_remove(e->pool, e);
}

static void give_back_invocations(struct environment *e)
{
	struct invocation *current = e->current, *queued = e->queued;
	e->current = e->queued = NULL;
	if (current)
		fail_invocation(current, "The execution environment was lost.");
	if (queued)
		invocation_start(queued);
}

void environment_end_now(struct environment *e)
{
	if (e->doomed)
		return;
	e->doomed = true;
	if (e->leaving)
		list_remove(&e->link);
	else
		leave_pool(e);
	struct loop *loop = e->lambda->cloud->loop;
	lazy_stop(&e->limit, loop);
	lazy_stop(&e->idle, loop);
	loop_remove_timer(loop, e->claim_timer);
	e->claim_timer = NULL;
	credentials_forget(e->credential_wait);
	e->credential_wait = NULL;
	interface_forget(e->interface_wait);
	e->interface_wait = NULL;
	/* A request whose callback is running now outlives its listener by a moment: it shall not come back here. */
	if (e->next)
		listen_on_gone(e->next, NULL, NULL);
	if (e->response)
		listen_on_gone(e->response, NULL, NULL);
	e->next = e->response = NULL;
	extensions_free(e->extensions);
	e->extensions = NULL;
	listener_close(e->runtime_listener);
	listener_close(e->endpoint_listener);
	if (e->output)
		output_when_room(e->output, NULL, NULL);
	if (e->cell_ready && e->output)
		output_drain(e->output, cell_log_fd(e->cell));
	loop_remove_fd(loop, e->log_watch);
	cell_destroy(e->cell);
	e->cell = NULL;
	if (e->taking)
		snapstart_over(e);
	give_back_invocations(e);
	if (!e->preparing)
		free_now(e);
}

/* Gives the extensions their last seconds, if there are any; environment_is_shut_down() goes on. */
bool environment_shut_down(struct environment *e, const char *reason, enum environment_after after)
{
	e->after = after;
	environment_set_limit(e, 0);
	e->state = ENVIRONMENT_STOPPING;
	if (e->extensions && shutdown_begin(e->extensions, reason))
		return true;
	environment_is_shut_down(e);
	return false;
}

void environment_end_for(struct environment *e, const char *reason)
{
	bool at_once = !e->extensions || e->leaving || e->taking || e->state == ENVIRONMENT_STOPPING || e->lambda->stopping;
	if (e->doomed)
		return;
	if (at_once) {
		environment_end_now(e);
		return;
	}
	leave_pool(e);
	e->leaving = true;
	pools_add_leaving(e->lambda->pools, e);
	e->state = ENVIRONMENT_STOPPING;
	give_back_invocations(e);
	environment_shut_down(e, reason, ENVIRONMENT_ENDS);
}

void environment_end(struct environment *e)
{
	environment_end_for(e, "spindown");
}

/* --- emptied for a new start */

/* Kills what runs in the cell. The next runtime is started when nothing is left of this one: environment_runtime_is_gone(). */
void environment_kill_runtime(struct environment *e)
{
	e->process = 0;
	if (e->extensions)
		extensions_reset(e->extensions);
	if (!e->emptying) {
		cell_kill_runtime(e->cell);
		cell_set_cpu(e->cell, false); /* many processes with little of a processor would take long to die */
	}
	e->emptying = true;
}

/* Kills what is left of the runtime; the cell and its /tmp stay for the next invocation. */
void environment_go_cold(struct environment *e, const char *reason)
{
	if (e->restored) {
		environment_end_for(e, reason); /* the next call is for one that is restored again */
		return;
	}
	pool_set_starting(e->pool, e, false);
	if (!environment_shut_down(e, reason, ENVIRONMENT_IDLES))
		return;
	struct invocation *queued = e->queued;
	e->queued = NULL;
	if (queued)
		invocation_start(queued); /* it need not wait for that */
}

static void idle_cold(struct environment *e)
{
	if (pool_lets_go(e->pool, e) || environment_is_stale(e)) {
		environment_end(e);
		return;
	}
	pool_set_idle(e->pool, e, true);
	struct invocation *queued = e->queued;
	e->queued = NULL;
	if (queued)
		environment_run(e, queued);
}

void environment_is_shut_down(struct environment *e)
{
	if (e->after == ENVIRONMENT_ENDS) {
		environment_end_now(e);
		return;
	}
	environment_kill_runtime(e);
	e->state = ENVIRONMENT_COLD;
	if (e->after == ENVIRONMENT_STARTS_AGAIN)
		environment_set_limit(e, KILLED_LIMIT_US);
	else
		idle_cold(e);
}

/* A step of launch.c is over; false: the environment has ended meanwhile and is freed. */
bool environment_step_done(struct environment *e)
{
	e->preparing = false;
	if (!e->doomed)
		return true;
	free_now(e);
	return false;
}
