/* What an environment says about itself: the function's output on its way to the log, the lines that end an invocation, the
 * measures in them. */
#include "aws/lambda/environment.h"

#include "aws/lambda/extension.h"
#include "aws/lambda/publish.h"
#include "aws/lambda/report.h"
#include "aws/lambda/telemetry.h"
#include "base/clock.h"
#include "core/meter.h"

#include <stdio.h>
#include <sys/epoll.h>

enum { PEAK_EVERY_US = 100 * 1000, FREE_STORAGE_MB = 512 };

static void on_log(void *ctx, uint32_t events)
{
	(void)events;
	struct environment *e = ctx;
	output_drain(e->output, cell_log_fd(e->cell));
	if (!output_is_full(e->output))
		return;
	loop_remove_fd(e->lambda->cloud->loop, e->log_watch);
	e->log_watch = NULL;
	output_when_room(e->output, environment_watch_log, e);
}

void environment_watch_log(void *environment)
{
	struct environment *e = environment;
	e->log_watch = loop_add_fd(e->lambda->cloud->loop, cell_log_fd(e->cell), EPOLLIN, on_log, e);
}

static void read_peak(struct environment *e)
{
	if (e->peak_read_us && loop_now_us(e->lambda->cloud->loop) - e->peak_read_us < PEAK_EVERY_US)
		return;
	int64_t peak = cell_memory_peak_bytes(e->cell);
	if (peak > e->peak_bytes)
		e->peak_bytes = peak;
	e->peak_read_us = loop_now_us(e->lambda->cloud->loop);
}

/* What the REPORT line says is what is billed: the request, and MB times milliseconds, those of /tmp above what is free too. */
static void count_usage(const struct environment *e, const struct report *r)
{
	const struct fn_version *v = e->version;
	bool arm = v->config->architectures.n && str_is(v->config->architectures.v[0], "arm64");
	struct meter *m = e->lambda->cloud->meter;
	char arn[256];
	int n = snprintf(arn, sizeof(arn), "arn:aws:lambda:%.*s:%.*s:function:%.*s", STR_ARG(v->region), STR_ARG(v->account),
	                 STR_ARG(v->name));
	struct str function = n > 0 && (size_t)n < sizeof(arn) ? str_of(arn, (size_t)n) : S("");
	struct str gb_seconds = e->provisioned ? S("Lambda-Provisioned-GB-Second") : S("Lambda-GB-Second");
	if (arm)
		gb_seconds = e->provisioned ? S("Lambda-Provisioned-GB-Second-ARM") : S("Lambda-GB-Second-ARM");
	meter_count_of(m, v->account, v->region, function, arm ? S("Request-ARM") : S("Request"), 1);
	int64_t ms = report_billed_ms(r->init_us, r->duration_us) + report_billed_ms(r->hooks_us, 0);
	meter_count_of(m, v->account, v->region, function, gb_seconds, ms * v->config->memory_size.v);
	if (v->config->ephemeral_storage && v->config->ephemeral_storage->size.v > FREE_STORAGE_MB)
		meter_count_of(m, v->account, v->region, function,
		               arm ? S("Lambda-Storage-GB-Second-ARM") : S("Lambda-Storage-GB-Second"),
		               ms * (v->config->ephemeral_storage->size.v - FREE_STORAGE_MB));
}

void environment_tell_runtime_done(struct environment *e, const char *status, const char *error_type)
{
	e->back_us = clock_mono_us();
	if (!e->current)
		return;
	struct telemetry_done d = {
	        .status = status,
	        .error_type = error_type,
	        .began_us = e->dispatch_us,
	        .answer_us = e->answer_us,
	        .answered_us = e->answer_us ? e->done_us : 0,
	        .done_us = e->back_us,
	        .produced_bytes = e->produced_bytes,
	};
	telemetry_runtime_done(e->extensions->telemetry, e->current, &d);
}

void environment_report_error(struct environment *e, const char *type, const char *text)
{
	report_write_error(e->output, e->current->request_id, type, text);
	if (e->extensions)
		telemetry_fault(e->extensions->telemetry, e->current->request_id, type, text);
}

void environment_report_end(struct environment *e, int64_t end_us, const char *status, const char *error_type)
{
	output_drain(e->output, cell_log_fd(e->cell));
	output_end_line(e->output);
	read_peak(e);
	struct report r = {
	        .config = e->version->config,
	        .request_id = e->current->request_id,
	        .duration_us = end_us - e->dispatch_us,
	        .init_us = e->init_us,
	        .restore_us = e->restore_us,
	        .hooks_us = e->hooks_us,
	        .peak_bytes = e->peak_bytes,
	        .status = status,
	        .error_type = error_type,
	};
	e->init_us = e->restore_us = e->hooks_us = 0;
	if (e->extensions) {
		extensions_drain(e->extensions);
		telemetry_report(e->extensions->telemetry, &r);
		e->extensions_us = e->back_us && extensions_follow(e->extensions) ? end_us - e->back_us : 0;
	}
	report_write_end(e->output, &r);
	count_usage(e, &r);
	e->reported_us = r.duration_us;
}

void environment_finish(struct environment *e, const struct outcome *o)
{
	struct invocation *inv = e->current;
	e->current = NULL;
	struct outcome out = *o;
	if (!o->code)
		publish_invocation(e->lambda->publish, inv->fn, inv->arn, inv->version->version, o->function_error,
		                   (double)e->reported_us / 1000);
	if (!o->code && (inv->provisioned || inv->spilled))
		publish_provisioned(e->lambda->publish, inv->fn, inv->arn, inv->provisioned);
	if (!o->code && e->extensions_us > 0)
		publish_extensions(e->lambda->publish, inv->fn, inv->arn, (double)e->extensions_us / 1000);
	e->reported_us = e->extensions_us = 0;
	if (inv->tail)
		out.log_tail = output_tail(e->output);
	invocation_end(inv, &out);
}
