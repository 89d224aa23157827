/* Cross-origin requests: a bucket's rules, answers to browsers' preflights, headers on replies. */
#pragma once
#include "aws/s3/rows.h"

/* The first rule that allows this origin, method and (comma-separated, may be absent) headers; NULL: none. */
const struct s3_cors_rule *cors_match(const struct s3_cors_configuration *k, struct str origin, struct str method,
                                      struct str headers);
/* Takes preflights and browser forms out of the gate's hands. */
call_resume_fn *cors_intercept(struct call *c);
/* Adds the headers that the bucket's rules give to a reply for a request with an Origin. */
void cors_dress(struct call *c);

/* The bucket and key (decoded; absent where the path has none) that a request's path and host mean. */
struct s3_names_of_path {
	struct str bucket, key;
};
struct s3_names_of_path s3_request_names(struct call *c);

s3_get_bucket_cors_handler s3_get_bucket_cors;
s3_put_bucket_cors_handler s3_put_bucket_cors;
s3_delete_bucket_cors_handler s3_delete_bucket_cors;
