/* Settings that no bucket here can have: asking for them tells the truth, that there are none; putting them is refused by the gate.
 * Tools that read a whole bucket's configuration (Terraform) need the answers. */
#include "aws/s3/bucket.h"

int s3_get_bucket_accelerate_configuration(struct call *c, const struct s3_get_bucket_accelerate_configuration_request *in,
                                           struct s3_get_bucket_accelerate_configuration_output *out)
{
	(void)c, (void)in, (void)out;
	return CALL_OK;
}

int s3_get_bucket_logging(struct call *c, const struct s3_get_bucket_logging_request *in, struct s3_get_bucket_logging_output *out)
{
	(void)c, (void)in, (void)out;
	return CALL_OK;
}

int s3_get_bucket_replication(struct call *c, const struct s3_get_bucket_replication_request *in,
                              struct s3_get_bucket_replication_output *out)
{
	(void)in, (void)out;
	return s3_fail_bucket(c, S3_NO_SUCH_REPLICATION, in->bucket);
}

int s3_get_bucket_request_payment(struct call *c, const struct s3_get_bucket_request_payment_request *in,
                                  struct s3_get_bucket_request_payment_output *out)
{
	(void)c, (void)in;
	out->payer = S("BucketOwner");
	return CALL_OK;
}

int s3_get_bucket_website(struct call *c, const struct s3_get_bucket_website_request *in, struct s3_get_bucket_website_output *out)
{
	(void)out;
	return s3_fail_bucket(c, S3_NO_SUCH_WEBSITE, in->bucket);
}

int s3_get_object_lock_configuration(struct call *c, const struct s3_get_object_lock_configuration_request *in,
                                     struct s3_get_object_lock_configuration_output *out)
{
	(void)out;
	return s3_fail_bucket(c, S3_NO_SUCH_LOCK, in->bucket);
}
