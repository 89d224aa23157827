/* Content-Encoding: aws-chunked, as S3 clients send it: chunks that carry their own signatures, or none, and trailers with
 * checksums. (HTTP's own chunks are below this and already gone.)
 *
 * A filter over bytes as they arrive, used by whoever reads such a body; it copies no data and knows no keys. Each chunk's digest
 * is shown to a callback as soon as its last byte has passed, so bytes handed out may still turn out to be forged: nothing may be
 * kept of them before the end has come. */
#pragma once
#include "base/buf.h"
#include "base/hash.h"
#include "http/http.h"

/* Is this the signature over the chunk, or over the trailer, with this SHA-256 (lower-case hex)? Called once each, in order, the
 * empty last chunk included. */
typedef bool chunked_check_fn(void *ctx, struct str sha256_hex, struct str signature);

struct chunked_rules {
	int64_t decoded_length;        /* x-amz-decoded-content-length; -1: not given */
	bool trailer;                  /* a trailer part is announced (...-TRAILER) */
	chunked_check_fn *check_chunk; /* NULL: chunks are unsigned, and so is the trailer */
	chunked_check_fn *check_trailer;
	void *ctx;
};

enum { CHUNKED_LINE_MAX = 128, CHUNKED_TRAILER_MAX_BYTES = 8192, CHUNKED_MIN_BYTES = 8192 };

struct chunked {
	struct chunked_rules rules;
	uint8_t step;
	bool small;             /* the chunk before was under CHUNKED_MIN_BYTES: only the last may be */
	uint64_t left, decoded; /* of this chunk; in all */
	unsigned line_n;
	char line[CHUNKED_LINE_MAX];
	char signature[64];
	struct hash hash;
	struct buf trailer; /* its lines, CR LF made LF, signature line left out */
};

void chunked_init(struct chunked *c, const struct chunked_rules *rules);
void chunked_done(struct chunked *c);
/* Takes bytes off the front of *in. 1: *ret_piece are decoded bytes (inside *in); call again with the rest. 0: *in is used up. Or
 * -EPROTO: bad framing, too many bytes or bytes after the end, -EMSGSIZE: a chunk under 8 KiB that is not the last, -EBADMSG: a
 * signature does not match. */
int chunked_next(struct chunked *c, struct str *in, struct str *ret_piece);
/* After the last byte of the request: 0, or -EPROTO when the encoding has not ended or the announced length was not reached. */
int chunked_finish(const struct chunked *c);
/* A trailer by name (any case), trimmed; absent when there was none. Lives as long as c. */
struct str chunked_trailer(const struct chunked *c, struct str name);
