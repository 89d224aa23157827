/* Percent-encoding as AWS signs and routes with it: A-Z a-z 0-9 - _ . ~ stay, every other byte becomes
 * %XX in upper case. Decoded texts live in the arena, or are views of the source where nothing changed. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

void uri_put(struct buf *b, struct str s, bool keep_slash);
struct str uri_encode(struct arena *a, struct str s, bool keep_slash);
/* %XX to bytes; '+' stays. STR_NONE: a '%' without two hexadecimal digits. */
struct str uri_decode(struct arena *a, struct str s);
/* The same with '+' for a space, as form bodies and query strings have it. */
struct str uri_decode_form(struct arena *a, struct str s);

/* Splits a raw query string in order, without decoding (signatures need the raw text): each call takes one non-empty
 * part off *rest; has_value tells "a=" from "a". False: no more. */
struct uri_part {
	struct str name, value; /* raw; value is "" without '=' */
	bool has_value;
};
bool uri_next_part(struct str *rest, struct uri_part *ret);

/* A raw path without "." and ".." segments and without repeated slashes, as every service but S3 signs it (RFC 3986, 5.2.4). */
struct str uri_normalize_path(struct arena *a, struct str path);
