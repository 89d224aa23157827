/* The bytes of objects and parts: where they lie, who refers to them, how they are read.
 *
 * A content is inline (a record "s3 bytes <id>" of at most 8 KiB), a file (cloud->blobs, under the blob's id) or a chain of
 * segments that are each inline or a file. Files and chains count the records that refer to them, so that copies share them. A file
 * is deleted after the commit that removed its File record - whichever call or job made it: the service watches those records. */
#pragma once
#include "aws/s3/cipher.h"
#include "aws/s3/rows.h"

enum { CONTENT_INLINE_MAX_BYTES = 8192 };

/* New contents; each begins with one reference, which the caller's record holds. */
struct str content_add_inline(struct store_txn *t, struct arena *a, struct str bytes);
void content_add_file(struct store_txn *t, struct arena *a, struct str id);
/* Takes over the references that the caller held on the segments. */
struct str content_add_chain(struct store_txn *t, struct arena *a, const struct state_s3_segments *segments);
/* One more reference, for another record: the id that it shall hold (inline bytes are copied, so it may be another). */
struct str content_share(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id);
/* One reference less. CONTENT_NONE is harmless. */
void content_drop(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id);
/* A chain's segments. */
void content_segments(struct store_txn *t, struct arena *a, struct str id, struct state_s3_segments *ret);

/* A part of a content as threads of io/work read it, without the store: files by id, inline bytes in the arena. */
struct content_piece {
	struct str bytes; /* inline */
	struct str file;  /* else: blob id */
	uint64_t offset, length;
	struct cipher cipher;
};
struct content_pieces {
	struct content_piece *v;
	unsigned n;
};
/* What makes up `length` bytes from offset on. k: its cipher; a chain's segments have nonces of their own. */
void content_pieces(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id, const struct cipher *k,
                    uint64_t offset, uint64_t length, struct content_pieces *ret);
/* While pinned, their files stay even when the last reference goes. Every pin is taken back with content_unpin on the loop. */
void content_pin(struct s3_state *s, const struct content_pieces *p);
void content_unpin(struct s3_state *s, const struct content_pieces *p);

/* Makes `length` bytes from offset on the call's reply: from memory, one file, or streamed over several. Returns CALL_OK or a
 * failure. */
int content_reply(struct call *c, enum content_kind kind, struct str id, const struct cipher *k, uint64_t offset, uint64_t length);

/* Watches for files that have lost their last reference. Called at the service's start; stop ends it. */
void content_start(struct s3_state *s);
void content_stop(struct s3_state *s);
/* Does a record refer to this content file? For the sweep at start-up. */
bool content_wanted(struct store_txn *t, struct arena *a, struct str id);
