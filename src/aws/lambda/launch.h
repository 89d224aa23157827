/* How an environment gets what it runs with: code, credentials, a cell, and the runtime's process or the message to a stem. */
#pragma once
#include "aws/lambda/environment.h"

/* Code, then credentials, then launch_claim(). */
void launch_prepare(struct environment *e);
/* How long the credentials that an environment begins with must live. */
int64_t launch_credentials_life_ms(const struct lambda_function_configuration *f);
/* Claims the cell, again while `priv` is being started; environment.c goes on when it is ready. */
void launch_claim(struct environment *e);
/* Wakes the stem or starts a process. Its number in the cell, or negative errno; -ENOENT: there is no bootstrap. */
int launch_runtime(struct environment *e);

/* "on-demand", "provisioned-concurrency", "snap-start". */
const char *launch_initialization_type(const struct environment *e);
/* Starts /opt/extensions/NAME, which prints into the descriptor. Its number in the cell, or negative errno. */
int launch_extension(struct environment *e, const char *name, int output);

/* --- environment.c goes on */
bool environment_step_done(struct environment *e);
void environment_has_cell(struct environment *e);
void environment_process_exited(struct environment *e, int process, int status);
void environment_runtime_is_gone(struct environment *e);
