/* Names in S3: which bucket names and keys are allowed, where a request says its bucket, how ARNs and owners are spelled.
 *
 * Pure text, no state. Used by every file of the service, and s3_bucket_of_host() by whoever routes requests. */
#pragma once
#include "base/arena.h"

enum { S3_KEY_MAX_BYTES = 1024 };

/* Is this a name that CreateBucket accepts: 3..63 of a-z 0-9 . -, beginning and ending with a letter or digit, no "..",
 * not like an IP address, none of the reserved prefixes and suffixes? */
bool s3_bucket_name_valid(struct str name);

/* The bucket in a Host header of virtual-host style, a view of it: bucket.s3.localhost:4566, bucket.localhost,
 * bucket.s3.amazonaws.com, bucket.s3.<region>..., bucket.s3-<region>..., bucket.s3.dualstack.<region>... Absent: path style. */
struct str s3_bucket_of_host(struct str host);
/* In small letters, with a NUL behind: host names and header names have no case. */
struct str s3_small(struct arena *a, struct str s);

struct str s3_bucket_arn(struct arena *a, struct str bucket);
struct str s3_object_arn(struct arena *a, struct str bucket, struct str key);

/* Could this be a version's id: "null", or 32 characters of those that ids are made of? */
bool s3_version_id_valid(struct str id);

/* x-amz-copy-source: [/]bucket/key[?versionId=id], percent-encoded. */
struct s3_source {
	struct str bucket, key;
	struct str version_id; /* absent: the current one */
};
bool s3_source_parse(struct arena *a, struct str text, struct s3_source *ret);

/* The 64 hexadecimal digits by which ACLs and listings name an account, and back. They end in the account's digits and
 * begin with a digest of it, so that a made-up id is recognised. The second returns STR_NONE for those. */
struct str s3_canonical_id(struct arena *a, struct str account);
struct str s3_account_of_canonical_id(struct arena *a, struct str id);
