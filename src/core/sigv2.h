/* AWS signature version 2, as far as clients still make it: the presigned URLs and browser forms of S3 that boto3 and version 1 of
 * the AWS CLI make by default for an endpoint that they are given. HMAC-SHA1 over a text that holds method, expiry, resource and
 * x-amz- headers; no region.
 *
 * sigv4_read() and sigv4_check() come here by themselves; the form functions are for S3's POST. */
#pragma once
#include "core/sigv4.h"

/* The Expires parameter, and what follows from the version; access_key_id and signature are there. */
enum sigv4_fault sigv2_read(struct arena *a, const struct sigv4_request *r, struct sigv4 *sig);
/* r->path: with the bucket in front, whatever host the request was sent to. */
enum sigv4_fault sigv2_check(struct arena *a, struct sigv4 *sig, struct str secret, const struct sigv4_request *r, int64_t now_ms);

/* A form's fields AWSAccessKeyId and signature. */
void sigv2_read_form(struct str access_key_id, struct str signature, struct str token, struct sigv4 *sig);
enum sigv4_fault sigv2_check_form(struct arena *a, struct sigv4 *sig, struct str secret, struct str policy_base64);
