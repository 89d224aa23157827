/* Reading a content that is there already: to digest it (a copy whose ETag or checksum differs from its source's) or to copy a
 * range of it into a new content (UploadPartCopy). Threads do the work in slices of a few MiB, so that a large one does not keep
 * others from theirs. The source is pinned meanwhile. */
#pragma once
#include "aws/s3/checksum.h"
#include "aws/s3/content.h"

/* Starts it; `finish` is the call's next step. keep: copy the bytes as well, enciphered when e->set. c->state is the transfer's
 * until the call ends. Returns CALL_WAIT. */
int transfer_start(struct call *c, struct str source, const struct content_pieces *pieces, const struct checksum *k, bool keep,
                   const struct cipher *e, call_resume_fn *finish);
/* Has the call one that has ended, and was it of this source (a content id)? */
bool transfer_pending(const struct call *c, struct str source);
/* In finish. CALL_OK, or CALL_FAIL when reading or writing failed. */
int transfer_check(struct call *c);
const unsigned char *transfer_md5(const struct call *c);
struct str transfer_checksum(struct call *c);
const struct cipher *transfer_cipher(const struct call *c);
/* Records the copied bytes in the call's transaction. */
void transfer_store(struct call *c, enum content_kind *ret_kind, struct str *ret_id);
