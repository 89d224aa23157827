/* Queries of Logs Insights, without input or output: fields, display, filter, parse, stats, sort, limit, dedup.
 *
 * A query is compiled once. A run is fed events, newest first, and keeps what its query needs of them: groups for stats, else rows,
 * of which no more than the limit where they can be told from those that are not wanted. Results live as long as the run.
 * Callers: aws/logs. */
#pragma once
#include "base/arena.h"

struct insights;
/* NULL: *ret_error says what is wrong, or not known here. Lives as long as its arena. */
const struct insights *insights_compile(struct arena *a, struct str text, struct str *ret_error);

struct insights_event {
	int64_t time_ms, ingested_ms;
	struct str message, stream, log, ptr; /* log: account:group */
};
struct insights_field {
	struct str name, value;
};
struct insights_row {
	struct insights_field *v;
	uint32_t n;
};
/* The fields that are found in an event without being told to (those of JSON, and of Lambda's own lines), at most so many; how many
 * there are. */
uint32_t insights_fields(struct arena *a, struct str message, struct insights_field *ret, uint32_t room);
enum { INSIGHTS_ROWS_MAX = 10000, INSIGHTS_GROUPS_MAX = 10000 };

struct insights_run;
/* limit: of rows, unless the query has one of its own. */
struct insights_run *insights_run_new(const struct insights *q, uint32_t limit);
void insights_run_free(struct insights_run *r); /* NULL is harmless */
/* False: nothing that comes can change the result any more. */
bool insights_add(struct insights_run *r, const struct insights_event *e);
uint64_t insights_matched(const struct insights_run *r);
/* Why it has failed; NULL: it has not. */
const char *insights_failed(const struct insights_run *r);
/* The rows as of now; good until more is added. */
const struct insights_row *insights_rows(struct insights_run *r, uint32_t *ret_n);
