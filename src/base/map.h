/* Hash map from byte strings to pointers. Keys are copied, values are the caller's. Keyed SipHash, so
 * that clients cannot choose colliding names. */
#pragma once
#include "base/str.h"

struct map_slot;
struct map {
	struct map_slot *slots;
	size_t count, cap; /* cap: a power of two, or 0 */
};

void map_done(struct map *m);                       /* frees keys and table, not values */
void *map_get(const struct map *m, struct str key); /* NULL: not there */
/* Sets key to a non-NULL value and returns the value it had, or NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Removes key and returns its value, or NULL. */
void *map_remove(struct map *m, struct str key);
/* Visits every entry in no order: `size_t at = 0; while (map_next(&m, &at, &key, &value))`. The map must not change meanwhile. */
bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value);
/* The map's keyed hash, for other tables that clients can fill. */
uint64_t map_hash(struct str s);
