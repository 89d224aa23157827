/* What archives keep: events in a store of their own (DATA/events, made by the first archive), by archive and time. Private to
 * aws/events. Loop thread alone. */
#pragma once
#include "rows.h"

struct kept_events;
/* NULL where there are none yet and `make` is not set, or where the store cannot be opened, which is logged. */
struct kept_events *kept_open(struct events_state *s, bool make);
void kept_close(struct kept_events *k);
struct str kept_archive(struct arena *a, struct str account, struct str region, struct str name); /* how it is called here */
/* Once, however often it is written. done: store_done. */
void kept_put(struct kept_events *k, struct arena *a, struct str archive, int64_t time_ms, struct str text, store_done *done,
              void *ctx);
void kept_count(struct kept_events *k, struct str archive, int64_t *ret_count, int64_t *ret_bytes);
/* The events from a time on, `after` a place among them (absent: from the first), at most so many; *ret_more: there are more.
 * The texts live in a. */
struct kept_event {
	struct str text, place;
	int64_t time_ms;
};
size_t kept_read(struct kept_events *k, struct arena *a, struct str archive, int64_t from_ms, int64_t to_ms, struct str after,
                 struct kept_event *ret, size_t room);
/* Forgets those before a time; INT64_MAX: all. */
void kept_forget(struct kept_events *k, struct str archive, int64_t before_ms);
