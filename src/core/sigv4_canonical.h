/* The canonical form of a request that signature version 4 hashes. For sigv4.c (checking) and sigv4_sign.c (making) alone. */
#pragma once
#include "core/sigv4.h"

/* The canonical request. signed_headers: names in lower case between ';'; s3: paths are encoded once and left alone otherwise. A
 * query parameter X-Amz-Signature is left out. The result lies in the arena. */
struct str sigv4_canonical(struct arena *a, const struct sigv4_request *r, struct str signed_headers, struct str payload_hash,
                           bool s3);
/* "AWS4-HMAC-SHA256\ntimestamp\nscope\nhash of canonical". */
struct str sigv4_string_to_sign(struct arena *a, struct str timestamp, struct str scope, struct str canonical);
/* First header of that lower-case name, whatever its case on the wire; absent: none. */
struct str sigv4_header(const struct sigv4_request *r, struct str name);
/* s with every byte but A-Z a-z 0-9 - _ . ~ (and '/' with keep_slash) percent-encoded. Writes at most 3 * s.n bytes; returns the
 * end. */
char *sigv4_encode(char *out, struct str s, bool keep_slash);
/* Lower-case hex SHA-256; out gets 64 characters and a NUL. */
void sigv4_sha256_hex(struct str s, char out[static 65]);
