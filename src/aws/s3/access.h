/* Who may do what: the permission that each operation asks for, and the bucket's and object's own say in it.
 *
 * s3_bucket_resource() and s3_object_resource() stand in the service's table and run before every operation. They refuse what names
 * nothing (bucket missing, in another region, or not owned by whom the client expects), so handlers may rely on their bucket. */
#pragma once
#include "aws/s3/rows.h"

/* Learns from the model where each operation's input has its bucket, key, version and expected owner. Once, at start. */
void access_init(void);

int s3_bucket_resource(struct call *c, const void *in, struct authz *az);
int s3_object_resource(struct call *c, const void *in, struct authz *az);
/* CreateBucket: the name alone. */
int s3_new_bucket_resource(struct call *c, const void *in, struct authz *az);

/* What s3_object_resource() has found out about an object; left in c->state for operations that only read. */
struct object_found {
	struct str key, tail;
	bool there;
	struct state_s3_object object;
};

/* The names in an operation's input; absent where it has none. */
struct s3_names {
	struct str bucket, key, version_id, expected_owner;
};
struct s3_names s3_input_names(const struct call *c, const void *in);

/* The checks of s3_bucket_resource() on any bucket (a copy's source): NULL with the error set, or the bucket. */
const struct state_s3_bucket *s3_bucket_open(struct call *c, struct str bucket, struct str expected_owner);
/* May the caller do `action` on this key (absent: the bucket itself)? Bucket policy, object ACL and tags count. False: error set.
 */
bool s3_may(struct call *c, const char *action, const struct state_s3_bucket *b, struct str bucket, struct str key,
            struct str version_id);
/* A key is missing: NoSuchKey for who may list the bucket, AccessDenied for others. Returns CALL_FAIL. */
int s3_no_such_key(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key);
