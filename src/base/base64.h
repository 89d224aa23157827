/* Base64 (RFC 4648), the standard alphabet with padding and the URL one without. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

void base64_put(struct buf *b, struct str bytes);
struct str base64_encode(struct arena *a, struct str bytes);
struct str base64url_encode(struct arena *a, struct str bytes); /* no padding */
/* Strict: right alphabet, padding and zero trailing bits, nothing else between. STR_NONE: malformed. The result lives in the arena.
 */
struct str base64_decode(struct arena *a, struct str text);
/* The same of the URL alphabet; padding may be left out. */
struct str base64url_decode(struct arena *a, struct str text);
