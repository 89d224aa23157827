/* Our own stored records: structs declared in models/state/<service>.json, kept in the store as CBOR by the same tables that spell
 * AWS's messages.
 *
 * Keys are built from parts, so that a prefix is a list:  key(a, "lambda", account, region, "function", name). A part may hold any
 * byte; parts are separated by 0x00 (with 0x00 and 0x01 inside a part escaped as 0x01 0x01 / 0x01 0x02), which sorts shorter names
 * first. */
#pragma once
#include "core/call.h"

/* "lambda", account, region, ... ; ends with STR_NONE (use the macro). */
struct str record_key(struct arena *a, const struct str *parts, size_t count);
#define KEY(a, ...) \
	record_key((a), (const struct str[]){__VA_ARGS__}, sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
/* The prefix of all keys below these parts (with the closing separator). */
#define KEY_UNDER(a, ...) \
	record_key_under((a), (const struct str[]){__VA_ARGS__}, sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
struct str record_key_under(struct arena *a, const struct str *parts, size_t count);
/* The parts of a key, unescaped, in the arena. */
struct str_list record_key_parts(struct arena *a, struct str key);

/* What a record is: RECORD(state_lambda, function) names struct state_lambda_function and its shape. */
struct record_type {
	const struct api *api;
	const char *shape;
};
/* The value under key into *ret (deep, in a). False: absent. A value that does not read is a bug of ours and dies. */
bool record_get(struct store_txn *t, struct arena *a, struct str key, const struct record_type *type, void *ret);
bool record_get_rev(struct store_txn *t, struct arena *a, struct str key, const struct record_type *type, void *ret,
                    uint64_t *ret_modified);
void record_put(struct store_txn *t, struct arena *a, struct str key, const struct record_type *type, const void *value);
/* Tells fn of every record below the prefix, now and whenever one changes. */
struct store_watch *record_follow(struct store *store, struct str prefix, store_watch_fn *fn, void *ctx);
/* The same between bytes and structs, for watch events. */
bool record_read(struct arena *a, struct str bytes, const struct record_type *type, void *ret);
struct str record_write(struct arena *a, const struct record_type *type, const void *value);
