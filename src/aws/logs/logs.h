/* CloudWatch Logs as other services use it: a writer of one stream.
 *
 * Lines are gathered for at most 200 ms and go through the gate as PutLogEvents of the given principal (a function's role, a task's
 * execution role), so that permissions, audit and limits hold as for anybody; on a crash of ours the lines still gathered are lost.
 * Group and stream are made, as that principal, when they are missing. Where it may not, lines are dropped. Everything happens on
 * the loop's thread. */
#pragma once
#include "core/cloud.h"
#include "core/identity.h"

struct log_writer;

/* Takes a reference of its own to `as`. Costs nothing until something is written. `make_group`: CreateLogGroup as well, not the
 * stream alone. */
struct log_writer *log_writer_open(struct cloud *cloud, const struct principal *as, struct str region, struct str group,
                                   struct str stream, bool make_group);
/* Adds one event; times need not rise. A message longer than CloudWatch takes is cut, an empty one is left out. At most 4 MiB wait;
 * what comes above that is dropped. */
void log_writer_add(struct log_writer *w, int64_t time_ms, struct str message);
/* From now on calls of this principal: refreshed credentials of the same role. */
void log_writer_set_principal(struct log_writer *w, const struct principal *as);
/* Sends what waits without delay. */
void log_writer_flush(struct log_writer *w);
/* What was added is still written. NULL is harmless. */
void log_writer_close(struct log_writer *w);
