/* Server-side encryption: which key a new object is under, and the data key of one that is under a key of KMS.
 *
 * An object, or upload in parts, has one data key, sealed by KMS into its record and bound to the object's ARN (to its bucket's
 * where bucket keys are on). Whoever writes needs kms:GenerateDataKey, whoever reads its bytes kms:Decrypt, both with
 * kms:ViaService. */
#pragma once
#include "aws/s3/object.h"

/* By the request or the bucket's default, into o. CALL_OK or CALL_FAIL. */
int encryption_choose(struct call *c, const struct state_s3_bucket *b, const struct object_settings *k, struct state_s3_object *o);
/* A data key for a new object, if it was chosen one; the caller is asked for, nothing is written. */
int encryption_begin(struct call *c, struct str bucket, struct str key, const struct state_s3_object *o, struct cipher *ret);
/* In the transaction that makes the object: seals the data key, if there is one, into its record. */
int encryption_seal(struct call *c, struct str bucket, struct str key, const struct cipher *k, struct state_s3_object *o);
/* The data key of what is there, if it has one. */
int encryption_open(struct call *c, struct str bucket, struct str key, const struct state_s3_object *o, struct cipher *ret);
/* An ETag: the MD5, unless that would tell something of bytes that are enciphered. */
struct str encryption_etag(struct arena *a, const unsigned char *md5, const struct cipher *k);
/* SSE-C is refused. CALL_OK or CALL_FAIL. */
int encryption_no_customer_key(struct call *c, struct str algorithm);

/* What replies say of it. */
#define ENCRYPTION_SET(out, o) \
	do { \
		(out)->server_side_encryption = str_set((o)->kms_key) ? S("aws:kms") : S("AES256"); \
		(out)->ssekms_key_id = (o)->kms_key; \
		if ((o)->bucket_key.v) \
			(out)->bucket_key_enabled = OPT_BOOL(true); \
	} while (0)
