#include "aws/lambda/report.h"

#include "aws/lambda/runtime.h"
#include "base/clock.h"

#include <stdio.h>
#include <sys/wait.h>

static bool is_json(const struct lambda_function_configuration *f)
{
	return f->logging_config && str_eq(f->logging_config->log_format, S("JSON"));
}

/* Does the function want platform lines of INFO? SystemLogLevel WARN keeps only reports of failures. */
static bool wants_info(const struct lambda_function_configuration *f)
{
	return !f->logging_config || !str_eq(f->logging_config->system_log_level, S("WARN"));
}

static void now_text(char out[static 40])
{
	time_format_to(out, clock_wall_ms(), TIME_ISO8601_MS);
}

int64_t report_billed_ms(int64_t init_us, int64_t duration_us)
{
	int64_t sum = init_us + duration_us;
	return sum <= 0 ? 0 : (sum + 999) / 1000;
}

void report_write_init_start(struct output *o, const struct lambda_function_configuration *f, struct str region,
                             const char *initialization_type)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str name = runtime_version_name(&a, f->runtime), arn = runtime_version_arn(&a, region, f->runtime);
	char when[40];
	now_text(when);
	if (!is_json(f)) {
		output_line(o, "INIT_START Runtime Version: %.*s\tRuntime Version ARN: %.*s\n", STR_ARG(name), STR_ARG(arn));
	} else if (wants_info(f)) {
		output_line(
		        o,
		        "{\"time\":\"%s\",\"type\":\"platform.initStart\",\"record\":{\"initializationType\":\"%s\",\"phase\":\"init\",\"runtimeVersion\":\"%.*s\",\"runtimeVersionArn\":\"%.*s\"}}\n",
		        when, initialization_type, STR_ARG(name), STR_ARG(arn));
	}
}

void report_write_init(struct output *o, const struct lambda_function_configuration *f, int64_t init_us, const char *phase,
                       const char *status, const char *error_type, const char *initialization_type)
{
	char when[40];
	now_text(when);
	bool timeout = !strcmp(status, "timeout");
	if (!is_json(f)) {
		output_line(o, "INIT_REPORT Init Duration: %.2f ms\tPhase: %s\tStatus: %s%s%s\n", (double)init_us / 1000, phase,
		            status, timeout ? "" : "\tError Type: ", timeout ? "" : error_type);
	} else {
		output_line(
		        o,
		        "{\"time\":\"%s\",\"type\":\"platform.initReport\",\"record\":{\"initializationType\":\"%s\",\"phase\":\"%s\",\"status\":\"%s\",\"metrics\":{\"durationMs\":%.3f}}}\n",
		        when, initialization_type, phase, status, (double)init_us / 1000);
	}
}

void report_write_restore_start(struct output *o, const struct lambda_function_configuration *f, struct str region)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str name = runtime_version_name(&a, f->runtime), arn = runtime_version_arn(&a, region, f->runtime);
	char when[40];
	now_text(when);
	if (!is_json(f)) {
		output_line(o, "RESTORE_START Runtime Version: %.*s\tRuntime Version ARN: %.*s\n", STR_ARG(name), STR_ARG(arn));
	} else if (wants_info(f)) {
		output_line(
		        o,
		        "{\"time\":\"%s\",\"type\":\"platform.restoreStart\",\"record\":{\"runtimeVersion\":\"%.*s\",\"runtimeVersionArn\":\"%.*s\",\"functionName\":\"%.*s\",\"functionVersion\":\"%.*s\"}}\n",
		        when, STR_ARG(name), STR_ARG(arn), STR_ARG(f->function_name), STR_ARG(f->version));
	}
}

void report_write_restore(struct output *o, const struct lambda_function_configuration *f, int64_t restore_us, const char *status)
{
	char when[40];
	now_text(when);
	if (!is_json(f)) {
		output_line(o, "RESTORE_REPORT Restore Duration: %.2f ms%s%s\n", (double)restore_us / 1000,
		            status ? "\tStatus: " : "", status ? status : "");
	} else if (wants_info(f) || status) {
		output_line(
		        o,
		        "{\"time\":\"%s\",\"type\":\"platform.restoreReport\",\"record\":{\"status\":\"%s\",\"metrics\":{\"durationMs\":%.3f}}}\n",
		        when, status ? status : "success", (double)restore_us / 1000);
	}
}

void report_write_start(struct output *o, const struct lambda_function_configuration *f, const char *request_id)
{
	if (!is_json(f)) {
		output_line(o, "START RequestId: %s Version: %.*s\n", request_id, STR_ARG(f->version));
	} else if (wants_info(f)) {
		char when[40];
		now_text(when);
		output_line(
		        o, "{\"time\":\"%s\",\"type\":\"platform.start\",\"record\":{\"requestId\":\"%s\",\"version\":\"%.*s\"}}\n",
		        when, request_id, STR_ARG(f->version));
	}
}

void report_write_error(struct output *o, const char *request_id, const char *type, const char *what)
{
	output_line(o, "RequestId: %s Error: %s\n", request_id, what);
	output_line(o, "%s\n", type);
}

void report_write_end(struct output *o, const struct report *r)
{
	const struct lambda_function_configuration *f = r->config;
	double duration_ms = (double)(r->duration_us > 0 ? r->duration_us : 0) / 1000;
	long long restored = report_billed_ms(r->hooks_us, 0);
	long long billed = report_billed_ms(r->init_us, r->duration_us) + restored, used = (r->peak_bytes + (1 << 20) - 1) >> 20;
	long long size = f->memory_size.v;
	if (used > size)
		used = size;
	if (!is_json(f)) {
		char init[96] = "", status[96] = "";
		if (r->init_us)
			snprintf(init, sizeof(init), "Init Duration: %.2f ms\t", (double)r->init_us / 1000);
		if (r->restore_us)
			snprintf(init, sizeof(init), "Restore Duration: %.2f ms\tBilled Restore Duration: %lld ms\t",
			         (double)r->restore_us / 1000, restored);
		if (r->status)
			snprintf(status, sizeof(status), "Status: %s%s%s", r->status, r->error_type ? "\tError Type: " : "",
			         r->error_type ? r->error_type : "");
		output_line(o, "END RequestId: %s\n", r->request_id);
		output_line(
		        o,
		        "REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %lld ms\tMemory Size: %lld MB\tMax Memory Used: %lld MB\t%s%s\n",
		        r->request_id, duration_ms, billed, size, used, init, status);
		return;
	}
	if (!wants_info(f) && !r->status)
		return;
	char when[40], init[96] = "";
	now_text(when);
	if (r->init_us)
		snprintf(init, sizeof(init), ",\"initDurationMs\":%.3f", (double)r->init_us / 1000);
	if (r->restore_us)
		snprintf(init, sizeof(init), ",\"restoreDurationMs\":%.3f,\"billedRestoreDurationMs\":%lld",
		         (double)r->restore_us / 1000, restored);
	output_line(
	        o,
	        "{\"time\":\"%s\",\"type\":\"platform.report\",\"record\":{\"requestId\":\"%s\",\"metrics\":{\"durationMs\":%.3f,\"billedDurationMs\":%lld,\"memorySizeMB\":%lld,\"maxMemoryUsedMB\":%lld%s},\"status\":\"%s\"%s%s%s}}\n",
	        when, r->request_id, duration_ms, billed, size, used, init, r->status ? r->status : "success",
	        r->error_type ? ",\"errorType\":\"" : "", r->error_type ? r->error_type : "", r->error_type ? "\"" : "");
}

void report_exit_text(int status, char out[static 64])
{
	static const struct {
		int signal;
		const char *name;
	} signals[] = {
	        {1, "hangup"},
	        {2, "interrupt"},
	        {3, "quit"},
	        {4, "illegal instruction"},
	        {5, "trace/breakpoint trap"},
	        {6, "aborted"},
	        {7, "bus error"},
	        {8, "floating point exception"},
	        {9, "killed"},
	        {11, "segmentation fault"},
	        {13, "broken pipe"},
	        {14, "alarm clock"},
	        {15, "terminated"},
	        {31, "bad system call"},
	};
	if (WIFSIGNALED(status)) {
		const char *name = NULL;
		for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
			if (signals[i].signal == WTERMSIG(status))
				name = signals[i].name;
		if (name)
			snprintf(out, 64, "Runtime exited with error: signal: %s", name);
		else
			snprintf(out, 64, "Runtime exited with error: signal %d", WTERMSIG(status));
	} else if (WEXITSTATUS(status)) {
		snprintf(out, 64, "Runtime exited with error: exit status %d", WEXITSTATUS(status));
	} else {
		snprintf(out, 64, "Runtime exited without providing a reason");
	}
}
