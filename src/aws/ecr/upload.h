/* Blobs on their way in. An upload is a session that several requests bring on: begun, fed in any number of pieces, and completed
 * under a digest. It lives in memory beside the beginning of a content file; a record says how far it had come when a request that
 * brought it on was answered (upload_keep.c), and the next process goes on from there. What was completed is a blob of its
 * repository, on disk.
 *
 * Bytes are never held whole: they pass through a few buffers to a thread that hashes and writes. One request at a time may bring
 * an upload on. Used by the registry's HTTP side (oci_upload.c) and by the API (layer_op.c); everything on the loop's thread. */
#pragma once
#include "aws/ecr/rows.h"

#define ECR_LAYER_BYTES_MAX (INT64_C(52000) << 20)

struct ecr_upload;

/* Begins one, which ends with the call unless that keeps or completes it. NULL: there are too many, the error is set. */
struct ecr_upload *ecr_upload_begin(struct call *c, const struct ecr_place *p);
/* By id, in its repository alone. NULL: unknown. */
struct ecr_upload *ecr_upload_find(struct call *c, const struct ecr_place *p, struct str id);
struct str ecr_upload_id(const struct ecr_upload *u);
/* Bytes that have arrived. */
uint64_t ecr_upload_size(const struct ecr_upload *u);
/* Does another request bring it on just now? */
bool ecr_upload_busy(const struct ecr_upload *u);
/* Ends it without a trace with the call's transaction. Not while busy. */
void ecr_upload_cancel(struct call *c, struct ecr_upload *u);

/* Takes the call's streamed body (bytes absent) or these bytes of its arena, then goes on with finish(c), where
 * ecr_upload_received() says how that went. Returns what a handler returns. */
int ecr_upload_receive(struct call *c, struct ecr_upload *u, struct str bytes, call_resume_fn *finish);
/* The call's upload, in finish(). */
struct ecr_upload *ecr_upload_of(const struct call *c);
/* CALL_OK, or CALL_FAIL with the error: cut short (the upload stays), full disk, too long (it has ended). */
int ecr_upload_received(struct call *c, struct ecr_upload *u);
/* Makes what has arrived durable, then goes on with finish(c) as a step of its own; with its commit the upload outlives this
 * process.
 */
int ecr_upload_keep(struct call *c, struct ecr_upload *u, call_resume_fn *finish);
/* Holds what has arrived against the digest, makes it a blob of the repository, then goes on with finish(c) as a step of its own,
 * whose writes are in the same transaction. A wrong digest ends the upload: CALL_FAIL, DIGEST_INVALID. */
int ecr_upload_complete(struct call *c, struct ecr_upload *u, struct str digest, call_resume_fn *finish);
/* API only: how short parts were, and how far the last one came. */
void ecr_upload_part(struct ecr_upload *u, bool small);
/* Was a part that others followed too small? */
bool ecr_upload_has_small_part(const struct ecr_upload *u);

/* Takes up those of an earlier process. */
void ecr_uploads_start(struct ecr_state *s);
/* Is this unfinished content file one of theirs? */
bool ecr_upload_wants(struct store_txn *t, struct arena *a, struct str id);
/* Ends those that nobody has brought on since before. */
void ecr_uploads_sweep(struct ecr_state *s, int64_t before_ms);
void ecr_uploads_stop(struct ecr_state *s);
