/* Event patterns: which events a rule wants. Without effects. A pattern is compiled once, into an arena that outlives it, and asked
 * of events that were parsed. An index of many finds those that want an event without asking each of them. For EventBridge and
 * event source mappings. */
#pragma once
#include "base/json.h"
#include "base/map.h"

enum { PATTERN_MAX = 4096, PATTERN_WAYS_MAX = 1000 /* combinations of $or */ };

struct event_pattern;
/* NULL: *ret_why says what is wrong with it, in AWS's words, from a. */
const struct event_pattern *event_pattern_compile(struct arena *a, struct str text, struct str *ret_why);
bool event_pattern_match(const struct event_pattern *p, const struct json_value *event);

/* Patterns of which many are asked at once. Each that has a field with nothing but exact values waits under one of these; only the
 * others, and those whose value an event has, are looked at. */
struct pattern_index {
	struct map under;            /* path and value -> struct pattern_shelf */
	struct pattern_shelf *other; /* NULL: none */
	uint64_t round;
};
struct pattern_entry {
	const struct event_pattern *pattern;
	void *owner;
	uint64_t round; /* in which it was looked at last */
};
/* The entry is the caller's, and stays where it is until it is removed. */
void pattern_index_add(struct pattern_index *x, struct pattern_entry *e);
void pattern_index_remove(struct pattern_index *x, struct pattern_entry *e);
void pattern_index_done(struct pattern_index *x);
/* fn(ctx, owner) for every one that wants the event, in no order; it must not change the index. */
typedef void pattern_found_fn(void *ctx, void *owner);
void pattern_index_match(struct pattern_index *x, const struct json_value *event, pattern_found_fn *fn, void *ctx);
