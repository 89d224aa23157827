/* Content files: the bytes of objects, packages and images, which do not go in the store.
 *
 * A blob is written once under a temporary name, sealed, and from then on never changes; a record in the store that holds its id
 * makes it part of the cloud. The order that keeps promises is: write, seal, commit the record; and to delete: commit without the
 * record, then delete. A crash in between leaves a file that no record names, and the sweep at start-up removes it.
 *
 * Functions here block on the disk: the loop calls only the cheap ones (marked), threads of io/work the others. One blob
 * belongs to one thread at a time; different ones go on in parallel. */
#pragma once
#include "base/str.h"

struct blobs;
struct blob;

enum { BLOB_ID_LEN = 32 }; /* lower-case hexadecimal digits */

/* Opens or makes the directory. Negative errno. `ephemeral`: never fsync. */
int blobs_open(struct blobs **ret, const char *dir, bool ephemeral);
void blobs_close(struct blobs *b); /* NULL is harmless */

/* Starts a blob. Negative errno (-ENOSPC, -EMFILE, ...). Cheap. */
int blob_create(struct blobs *b, struct blob **ret);
/* Appends. -ENOSPC, -EIO; after a failure the blob can only be dropped. */
int blob_write(struct blob *w, const void *p, size_t n);
/* Bytes written. Cheap. */
uint64_t blob_size(const struct blob *w);
/* The file, to read back or to fill by copy_file_range or splice, appending at its end; blob_size() does not count such bytes.
 * Stays the blob's. Cheap. */
int blob_fd(const struct blob *w);
/* Makes the content durable under a new id and ends the blob, in failure too. */
int blob_seal(struct blob *w, char ret_id[static BLOB_ID_LEN + 1]);
/* Ends it without a trace. NULL is harmless. Cheap. */
void blob_drop(struct blob *w);

/* A blob may outlive the process that began it: its id, and that the first blob_size() bytes are on the disk, go in a record by
 * which the sweep is told that it is wanted; the next process goes on from there. */
const char *blob_id(const struct blob *w);
int blob_flush(struct blob *w);
/* Ends the writing of it here; the file stays. NULL is harmless. Cheap. */
void blob_leave(struct blob *w);
/* Takes up one that was begun, also if it was sealed meanwhile, cut to this size. -ENOENT: it is gone; -EIO: it is shorter. Cheap.
 */
int blob_resume(struct blobs *b, struct str id, uint64_t size, struct blob **ret);

/* A read-only descriptor (O_CLOEXEC), the caller's to close; it stays good when the blob is deleted. -ENOENT, -EINVAL for what is
 * not an id. Cheap. */
int blob_open(struct blobs *b, struct str id);
/* 0, or -ENOENT. Cheap on most file systems; large files take a while. */
int blob_delete(struct blobs *b, struct str id);

/* Deletes every blob that wanted() does not claim, and those that were only begun, unless it claims them too. At start-up only,
 * before anything is created. Says how many went, or negative errno. */
typedef bool blob_wanted_fn(void *ctx, struct str id);
int64_t blobs_sweep(struct blobs *b, blob_wanted_fn *wanted, void *ctx);
