/* Access control lists: grants on buckets and objects where the bucket's ownership setting still has them. Permission is decided by
 * policy evaluation alone: a grant takes part as the policy statement that says the same. */
#pragma once
#include "aws/s3/rows.h"

/* ACLs are disabled unless the bucket's owner chose otherwise. */
bool acl_enabled(const struct state_s3_bucket *b);
/* The bucket's policy together with what its ACL and the object's (o may be NULL) grant. Absent: nothing. */
struct str acl_with_policy(struct arena *a, const struct state_s3_bucket *b, struct str bucket, struct str key,
                           const struct state_s3_object *o);

/* What a request asks for: a canned ACL, grant headers or a document; members that were not given are absent. */
struct acl_request {
	struct str canned;
	struct str full_control, read, read_acp, write, write_acp;
	const struct s3_access_control_policy *document;
};
#define ACL_REQUEST_OBJECT(in) \
	((struct acl_request){.canned = (in)->acl, \
	                      .full_control = (in)->grant_full_control, \
	                      .read = (in)->grant_read, \
	                      .read_acp = (in)->grant_read_acp, \
	                      .write_acp = (in)->grant_write_acp})
#define ACL_REQUEST_BUCKET(in) \
	((struct acl_request){.canned = (in)->acl, \
	                      .full_control = (in)->grant_full_control, \
	                      .read = (in)->grant_read, \
	                      .read_acp = (in)->grant_read_acp, \
	                      .write = (in)->grant_write, \
	                      .write_acp = (in)->grant_write_acp})
bool acl_requested(const struct acl_request *r);
/* Checks it against the bucket's settings and turns it into grants; none when only the owner has any. CALL_OK or CALL_FAIL. */
int acl_grants(struct call *c, const struct state_s3_bucket *b, const struct acl_request *r, struct str owner,
               struct s3_grants *ret);
/* The grants as replies show them: the owner's first when there are none. */
void acl_show(struct call *c, struct str owner, const struct s3_grants *grants, struct s3_grants *ret, struct s3_owner **ret_owner);

int s3_get_bucket_acl(struct call *c, const struct s3_get_bucket_acl_request *in, struct s3_get_bucket_acl_output *out);
int s3_put_bucket_acl(struct call *c, const struct s3_put_bucket_acl_request *in, struct model_none *out);
int s3_get_object_acl(struct call *c, const struct s3_get_object_acl_request *in, struct s3_get_object_acl_output *out);
int s3_put_object_acl(struct call *c, const struct s3_put_object_acl_request *in, struct s3_put_object_acl_output *out);
