/* The records of S3 and their keys.
 *
 *	s3 bucket <name>                Bucket: settings; names are shared by all accounts
 *	s3 told <time-random>           Told: a notification that is still to be delivered
 *	s3 owned <account> <name>       Owned: what ListBuckets walks
 *	s3 object <bucket> | key        tree (tree.h): the current version of every key, older ones under the tail v<sequence,
 *newest first> s3 upload <bucket> | key        tree: multipart uploads under the tail <upload id> s3 part <upload id> <number>
 *Segment: the parts that have arrived s3 bytes <content id>           contents of at most 8 KiB, raw s3 file <content id> File: how
 *many records refer to a content file; gone with the last s3 chain <content id>           Chain: the segments of what was uploaded
 *in parts
 *
 * All functions work in the transaction given and return what lives in the arena given, unless they say otherwise. */
#pragma once
#include "aws/s3/s3.h"
#include "aws/s3/tree.h"

enum { VERSION_TAIL_BYTES = 17 };

/* A bucket's settings, decoded once a revision: read-only, and valid until the handler's step ends. NULL: there is none. */
const struct state_s3_bucket *bucket_get(struct call *c, struct str name);
/* For jobs outside calls; the copy is the arena's. */
bool bucket_load(struct store_txn *t, struct arena *a, struct str name, struct state_s3_bucket *ret);
void bucket_put(struct call *c, struct str name, const struct state_s3_bucket *b);
void bucket_delete(struct call *c, struct str name, const struct state_s3_bucket *b);
/* Whose bucket it is and where, without a look into the store: what was decoded last. Untouched: not known. */
void bucket_owner(const struct s3_state *s, struct str name, struct str *ret_account, struct str *ret_region);
/* A bucket as it was decoded last, without a look into the store: read-only, until the next bucket_get(). NULL: not known. */
const struct state_s3_bucket *bucket_seen(const struct s3_state *s, struct str name);
/* Frees the decoded buckets. */
void bucket_cache_done(struct s3_state *s);

enum versioning { VERSIONING_OFF, VERSIONING_ENABLED, VERSIONING_SUSPENDED };
enum versioning bucket_versioning(const struct state_s3_bucket *b);

/* The current version of a key (it may be a delete marker). */
bool object_get(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct state_s3_object *ret);
/* One version by its id ("null" included); *ret_tail is absent for the current one. */
bool object_get_version(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str version_id,
                        struct state_s3_object *ret, struct str *ret_tail);
/* Overwrites a version's record in place. */
void object_put(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str tail,
                const struct state_s3_object *o);
void object_read(struct arena *a, struct str bytes, struct state_s3_object *ret);

/* Makes o the key's current version as the bucket's versioning has it: sets its version id and sequence, keeps or drops what it
 * replaces. */
void object_install(struct store_txn *t, struct arena *a, enum versioning v, struct str bucket, struct str key,
                    struct state_s3_object *o, int64_t now_ms);
/* A delete without a version id: removes the object or puts a delete marker. */
struct object_removal {
	bool found;            /* something was there */
	bool marker;           /* a delete marker was made, or the version removed was one */
	struct str version_id; /* of the marker or of the version removed; absent in a bucket that never had versions */
};
void object_remove(struct store_txn *t, struct arena *a, enum versioning v, struct str bucket, struct str key, struct str owner,
                   int64_t now_ms, struct object_removal *ret);
/* Removes one version for good. */
void object_remove_version(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str version_id,
                           struct object_removal *ret);

/* news.c: what EventBridge and others are told where the bucket wants that. reason: the operation; version: one was named. */
void object_tell_created(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct state_s3_object *o, const char *reason);
/* event: "s3:ObjectTagging:Put". */
void object_tell_changed(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct state_s3_object *o, const char *event);
void object_tell_removed(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct object_removal *gone, bool version);
void object_tell_expired(struct store_txn *t, struct arena *a, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct object_removal *gone, bool version, int64_t now_ms);

bool upload_get(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str upload_id,
                struct state_s3_upload *ret);
void upload_put(struct store_txn *t, struct arena *a, struct str bucket, struct str key, const struct state_s3_upload *u);
void upload_delete(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str upload_id);
bool part_get(struct store_txn *t, struct arena *a, struct str upload_id, int64_t number, struct state_s3_segment *ret);
void part_put(struct store_txn *t, struct arena *a, struct str upload_id, const struct state_s3_segment *p);
void part_delete(struct store_txn *t, struct arena *a, struct str upload_id, int64_t number);
/* The parts with numbers > after, in order. */
struct part_walk {
	struct store_iter *iter;
	struct arena *arena;
};
void part_walk(struct part_walk *w, struct store_txn *t, struct arena *a, struct str upload_id, int64_t after);
bool part_next(struct part_walk *w, struct state_s3_segment *ret);
/* Removes an upload with all its parts and their content. */
void upload_discard(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str upload_id);
