/* Where log events are kept, apart from the state of the cloud: a store of its own, DATA/logs.
 *
 * Groups and streams are numbers here; names, tags and retention are records of CloudWatch Logs (aws/logs), which is the only
 * caller. Ids are never used twice, so events of something deleted are out of sight at once and may be removed at leisure.
 *
 * An event stands at a position: its time, and a number that orders events of one millisecond by arrival. Both a group's and a
 * stream's events are walked in that order, in either direction, without passing over others'. Everything happens on the loop's
 * thread; appending is durable when done comes, and appends that come together share one sync. */
#pragma once
#include "store/store.h"

struct logs;

/* Negative errno, with the reason in ret_why. */
/* Any thread, before logs_open(): makes the files that it finds then. */
void logs_make(const char *dir, bool ephemeral);
int logs_open(struct logs **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200]);
/* Waits for appends under way; their done does not come any more. NULL is harmless. */
void logs_close(struct logs *l);

struct log_input {
	int64_t time_ms;
	struct str message;
};
/* Appends events of any order in time; copies them. done: 0, -ENOSPC, -EIO. Storing counts 26 bytes for each event besides its
 * message. */
typedef void logs_done(void *ctx, int result);
void logs_append(struct logs *l, uint64_t group, uint64_t stream, const struct log_input *events, size_t count, int64_t now_ms,
                 logs_done *done, void *ctx);
enum { LOG_EVENT_OVERHEAD_BYTES = 26 };

struct log_position {
	int64_t time_ms;
	uint64_t number;
};
struct log_event {
	struct log_position at;
	int64_t ingested_ms;
	uint64_t stream;
	struct str message; /* lives until the walk ends */
};
/* A walk over the events from <= position < to, of a group or of one stream of it (stream 0: all). Ends with logs_walk_end(); never
 * keep one over a wait. Its memory is the arena's. */
struct logs_walk;
struct logs_walk *logs_walk(struct logs *l, struct arena *a, uint64_t group, uint64_t stream, struct log_position from,
                            struct log_position to, bool descending);
bool logs_walk_next(struct logs_walk *w, struct log_event *ret);
void logs_walk_end(struct logs_walk *w);
#define LOG_POSITION_FIRST ((struct log_position){0, 0})
#define LOG_POSITION_LAST ((struct log_position){INT64_MAX, UINT64_MAX})

struct log_stats {
	int64_t bytes;
	int64_t ingested_ms;       /* when the newest came; 0: none yet */
	int64_t first_ms, last_ms; /* times of the oldest and newest event; -1: none. Not known of groups. */
};
void logs_stats(struct logs *l, uint64_t group, uint64_t stream, struct log_stats *ret);

/* Removes the events of a group, or of a stream of it (0: all), that are older than before_ms (INT64_MAX: all of them, and
 * what else is kept about it), a thousand a commit, so that others' appends do not wait long. */
void logs_purge(struct logs *l, uint64_t group, uint64_t stream, int64_t before_ms, logs_done *done, void *ctx);

/* Hears every event once it is durable, in the order of arrival. */
typedef void logs_heard(void *ctx, uint64_t group, const struct log_event *e);
struct logs_ear;
struct logs_ear *logs_listen(struct logs *l, logs_heard *fn, void *ctx);
void logs_unlisten(struct logs_ear *ear); /* NULL is harmless; allowed in fn */
