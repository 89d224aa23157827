/* A body on its way in: received on the loop, hashed and written by threads, durable when it is done.
 *
 * Used by PutObject, UploadPart and browser forms. Memory is bounded (1 MiB) whatever the length; contents of at most 8 KiB never
 * become a file. An upload that ends badly, at whatever moment, leaves nothing behind. */
#pragma once
#include "aws/s3/checksum.h"
#include "aws/s3/content.h"

struct upload;

/* Where bodies come from: the call's own (upload_receive), or pieces pushed by somebody who unpacks them (upload_push). */

/* The length that the client announces for the call's body: S3 takes no body without one, and none in plain transfer chunks.
 * CALL_OK or CALL_FAIL. */
int upload_length(struct call *c, uint64_t *ret);

/* Takes in the call's body, then goes on with `finish` as a step of the call (at once when it has all come). The MD5 is always
 * computed, the checksum when k->set, both of what comes; what is kept is enciphered when e->set. c->state is the upload's
 * meanwhile; `finish` may run several times. More than limit_bytes fail with EntityTooLarge. */
int upload_receive(struct call *c, const struct checksum *k, const struct cipher *e, uint64_t limit_bytes, call_resume_fn *finish);
/* In finish: did it arrive whole, and is it what Content-MD5 (base64, may be absent) and the checksum promised? CALL_OK or
 * CALL_FAIL. */
int upload_check(struct call *c, struct str content_md5);
/* In finish: records the content in the call's transaction and says what it is. Its file stays when the call commits, and only
 * then. */
void upload_store(struct call *c, enum content_kind *ret_kind, struct str *ret_id);
/* In finish. */
uint64_t upload_size(const struct call *c);
const unsigned char *upload_md5(const struct call *c);
const struct cipher *upload_cipher(const struct call *c);
/* The algorithm and value of the checksum; absent when none was computed. */
void upload_checksum(struct call *c, struct str *ret_algorithm, struct str *ret_value);
/* Has the call an upload that has ended? For handlers, which may be run again. */
bool upload_pending(const struct call *c);

/* --- pushed bodies: begin (returns CALL_WAIT), push any number of times, end; then finish runs. */
int upload_begin(struct call *c, const struct checksum *k, const struct cipher *e, uint64_t limit_bytes, call_resume_fn *finish,
                 void *ctx, void (*more)(void *ctx));
/* Copies the piece; false: wait for more(ctx) before the next one. Pieces have at most 64 KiB. */
bool upload_push(struct call *c, struct str piece);
/* status 0: complete; negative: broken off (-ECONNRESET...), or an error that the source has described by call_fail() in finish. */
void upload_end(struct call *c, int status);
int upload_status(const struct call *c);
void *upload_ctx(const struct call *c);
