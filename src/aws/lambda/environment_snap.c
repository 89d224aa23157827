/* What is different in the life of an environment of SnapStart: one is begun to become the snapshot, the others come from it. */
#include "aws/lambda/environment.h"

#include "aws/lambda/launch.h"
#include "aws/lambda/report.h"
#include "aws/lambda/snapstart.h"
#include "base/clock.h"
#include "base/log.h"

void environment_start_snapshot(struct pool *p, struct fn_version *v, struct snapstart_job *job)
{
	struct environment *e = environment_new(p, v);
	e->taking = job;
	snapstart_begun(e);
	launch_prepare(e);
}

void environment_restore_failed(struct environment *e, bool timeout)
{
	struct invocation *inv = e->current;
	e->current = NULL;
	output_drain(e->output, cell_log_fd(e->cell));
	output_end_line(e->output);
	report_write_restore(e->output, e->version->config, loop_now_us(e->lambda->cloud->loop) - e->init_begin_us,
	                     timeout ? "timeout" : "error");
	struct outcome o = {
	        .code = "SnapStartException",
	        .status = 400,
	        .message = S("The afterRestore() runtime hook encountered an error. For more information, check the Amazon "
	                     "CloudWatch logs.")};
	if (timeout)
		o = (struct outcome){.code = "SnapStartTimeoutException",
		                     .status = 408,
		                     .message = S("Lambda couldn't restore the snapshot within the timeout limit.")};
	if (inv)
		invocation_end(inv, &o);
	environment_end(e);
}

void environment_restore_impossible(struct environment *e, int status)
{
	struct invocation *inv = e->current;
	log_warn("lambda: a snapshot of %.*s cannot be restored: status %#x", STR_ARG(e->version->name), (unsigned)status);
	snapstart_lost(e->lambda, e->version);
	e->current = NULL;
	environment_end(e);
	if (inv)
		invocation_start(inv);
}

void environment_runtime_restore_next(struct environment *e, struct http_request *r)
{
	if (e->taking) {
		e->next = r;
		snapstart_take(e, CELL_WAITS_RESTORE);
		return;
	}
	e->restored_us = clock_mono_us();
	runtime_api_send_restored(e, r);
}

void environment_is_restored(struct environment *e)
{
	int64_t now = clock_mono_us(), took = now - e->init_begin_us;
	e->restoring = false;
	e->restored = true;
	e->restore_us = took > 0 ? took : 1;
	e->hooks_us = e->restored_us ? now - e->restored_us : 0;
	report_write_restore(e->output, e->version->config, took, NULL);
}
