/* Typed structs from and to texts that tests can write and compare. */
#pragma once
#include "base/buf.h"
#include "base/json.h"
#include "model/model.h"

/* Fills the value at p from JSON in which blobs stand as texts, timestamps as seconds, and NaN and infinities as strings.
 * Streaming members are passed over. False: the JSON does not fit the shape, or names what it does not have. */
bool typed_from_json(struct arena *a, const struct api *api, const struct shape *s, const struct json_value *v, void *p);
/* One line that is the same for equal values and no others. Maps come sorted. */
void typed_dump(struct buf *b, const struct api *api, const struct shape *s, const void *p);
struct str typed_text(struct arena *a, const struct api *api, const struct shape *s, const void *p);
/* As JSON for other programs: times are {"$time": milliseconds}, blobs {"$blob": Base64}, JSON in headers {"$json": text}. */
void typed_json(struct arena *a, struct json_out *o, const struct api *api, const struct shape *s, const void *p);
/* Takes out what holds nothing - lists, maps and structures - at any depth: parameters and headers cannot carry it. True: p holds
 * nothing itself. */
bool typed_drop_empty(const struct api *api, const struct shape *s, void *p);
/* A random value of at most `depth` levels; absent members are likely when deep. Texts hold what every protocol can carry. */
void typed_random(struct arena *a, const struct api *api, const struct shape *s, unsigned depth, void *p);
