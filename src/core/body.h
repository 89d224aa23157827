/* The bytes of a streamed request as a service reads them: framing of aws-chunked removed, chunk signatures and the signed content
 * hash verified on the way, HTTP out of sight. */
#pragma once
#include "base/arena.h"

struct body;

/* The next piece: status > 0: more may follow; 0: the end (the piece may hold the last bytes); negative: -ECONNRESET cut short,
 * -EBADMSG the signature of a chunk or the content hash does not match (body_error() says which), -EPROTO bad framing or length,
 * -ETIMEDOUT. The piece lives until the next call; not asking is back-pressure. */
typedef void body_piece_fn(void *ctx, struct str piece, int status);
void body_next(struct body *b, body_piece_fn *fn, void *ctx);
/* Decoded length announced by the client, or -1. */
int64_t body_length(const struct body *b);
/* A trailer (x-amz-checksum-crc32) after the end; absent when there was none. */
struct str body_trailer(const struct body *b, struct str name);
/* AWS code and message for the negative status that came. */
void body_error(const struct body *b, int status, struct str *ret_code, struct str *ret_message);
