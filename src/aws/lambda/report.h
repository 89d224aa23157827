/* The platform's own lines in a function's log: INIT_START, START, END, REPORT, as text or (LogFormat JSON) as records. */
#pragma once
#include "aws/lambda/output.h"

struct report {
	const struct lambda_function_configuration *config;
	const char *request_id;
	int64_t duration_us, init_us; /* init_us 0: no initialisation to report */
	int64_t restore_us, hooks_us; /* restore_us 0: it was not restored for this; hooks_us: the part that is billed */
	int64_t peak_bytes;
	const char *status; /* NULL, "timeout", "error" */
	const char *error_type;
};
void report_write_init_start(struct output *o, const struct lambda_function_configuration *config, struct str region,
                             const char *initialization_type);
void report_write_init(struct output *o, const struct lambda_function_configuration *config, int64_t init_us, const char *phase,
                       const char *status, const char *error_type, const char *initialization_type);
/* Of SnapStart. status NULL: it has succeeded. */
void report_write_restore_start(struct output *o, const struct lambda_function_configuration *config, struct str region);
void report_write_restore(struct output *o, const struct lambda_function_configuration *config, int64_t restore_us,
                          const char *status);
void report_write_start(struct output *o, const struct lambda_function_configuration *config, const char *request_id);
/* What the platform says about an invocation that the runtime did not end: its error and the error's type, a line each. */
void report_write_error(struct output *o, const char *request_id, const char *type, const char *what);
/* END and REPORT. */
void report_write_end(struct output *o, const struct report *r);
/* What is billed: initialisation and run, rounded up to the millisecond. */
int64_t report_billed_ms(int64_t init_us, int64_t duration_us);
/* How Lambda words the end of a runtime's process; status as from waitpid(). */
void report_exit_text(int status, char out[static 64]);
