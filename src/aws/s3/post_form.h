/* Browser forms: POST to a bucket with multipart/form-data, permitted by a signed policy document. */
#pragma once
#include "aws/s3/s3.h"

struct post_field {
	struct str name, value;
};
/* The fields before the file, in their order. */
struct post_fields {
	struct post_field *v;
	unsigned n;
	struct str file_name; /* of the file field; absent: not reached */
	struct str file_type;
};
enum { POST_FIELDS_MAX = 200, POST_HEAD_MAX_BYTES = 64 * 1024 };

/* Reads fields from the beginning of a form's body. >0: that many bytes are before the file's content; 0: more is needed; negative:
 * not a form. */
long post_fields_parse(struct arena *a, struct str body, struct str boundary, struct post_fields *ret);
/* A field by name, any case; absent: not given. */
struct str post_field(const struct post_fields *f, const char *name);
/* multipart/form-data; boundary=...: absent when it is not that. */
struct str post_boundary(struct arena *a, struct str content_type);

/* Does the policy document (JSON) permit these fields for this bucket at this time? ret_why: the end of S3's sentence when it does
 * not. The limits of content-length-range, if any, are left in *ret_min and *ret_max. */
bool post_policy_permits(struct arena *a, struct str policy, const struct post_fields *f, struct str bucket, int64_t now_ms,
                         struct str *ret_why, int64_t *ret_min, int64_t *ret_max);

/* Is the request one? */
bool post_form_is(const struct call *c);
/* Handles it, from the first field to the stored object. */
int post_form(struct call *c);
