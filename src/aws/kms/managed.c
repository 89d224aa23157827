/* AWS managed keys: aws/ssm and its like, one a service, made when they are first asked for. Whoever may use the service in this
 * account may use its key through it, and nobody otherwise. */
#include "rows.h"

#include "base/id.h"
#include "base/rand.h"

static const struct {
	const char *alias, *service, *what;
} managed[] = {
        {"alias/aws/ebs", "ec2", "EBS volumes"},
        {"alias/aws/s3", "s3", "S3 objects"},
        {"alias/aws/secretsmanager", "secretsmanager", "Secrets Manager secrets"},
        {"alias/aws/sqs", "sqs", "SQS messages"},
        {"alias/aws/ssm", "ssm", "SSM parameters"},
};

const char *kms_managed_name(unsigned i)
{
	return i < sizeof(managed) / sizeof(*managed) ? managed[i].alias : NULL;
}

bool kms_managed_service(struct str alias, struct str *ret_service)
{
	for (size_t i = 0; i < sizeof(managed) / sizeof(*managed); i++)
		if (str_is(alias, managed[i].alias)) {
			*ret_service = str_from(managed[i].service);
			return true;
		}
	return false;
}

static struct str policy(struct call *c, const char *service)
{
	return arena_printf(
	        c->arena,
	        "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"auto-%s-2\",\n  \"Statement\" : [ {\n"
	        "    \"Sid\" : \"Allow access through the service for all principals in the account that are authorized to use it\",\n"
	        "    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \"AWS\" : \"*\"\n    },\n"
	        "    \"Action\" : [ \"kms:Encrypt\", \"kms:Decrypt\", \"kms:ReEncrypt*\", \"kms:GenerateDataKey*\", \"kms:CreateGrant\", "
	        "\"kms:DescribeKey\" ],\n    \"Resource\" : \"*\",\n    \"Condition\" : {\n      \"StringEquals\" : {\n"
	        "        \"kms:CallerAccount\" : \"%.*s\",\n        \"kms:ViaService\" : \"%s.%.*s.amazonaws.com\"\n      }\n    }\n"
	        "  }, {\n    \"Sid\" : \"Allow direct access to key metadata to the account\",\n    \"Effect\" : \"Allow\",\n"
	        "    \"Principal\" : {\n      \"AWS\" : \"arn:aws:iam::%.*s:root\"\n    },\n"
	        "    \"Action\" : [ \"kms:Describe*\", \"kms:Get*\", \"kms:List*\", \"kms:RevokeGrant\" ],\n    \"Resource\" : \"*\"\n"
	        "  } ]\n}",
	        service, STR_ARG(c->account), service, STR_ARG(c->region), STR_ARG(c->account));
}

bool kms_managed_make(struct call *c, struct str service, struct kms_found *ret)
{
	struct kms_found k = {.account = c->account,
	                      .r = {.id = id_uuid(c->arena),
	                            .usage = S("ENCRYPT_DECRYPT"),
	                            .spec = S("SYMMETRIC_DEFAULT"),
	                            .manager = S("AWS"),
	                            .state = S("Enabled"),
	                            .created = OPT_TIME(c->now_ms),
	                            .rotation_days = OPT_INT(365),
	                            .next_rotation = OPT_TIME(c->now_ms + 365 * KMS_DAY_MS)}};
	for (size_t i = 0; i < sizeof(managed) / sizeof(*managed); i++) {
		if (!str_is(service, managed[i].service))
			continue;
		k.arn = kms_key_arn(c->arena, c->account, c->region, k.r.id);
		k.r.description =
		        arena_printf(c->arena, "Default key that protects my %s when no other key is defined", managed[i].what);
		k.r.policy = policy(c, managed[i].service);
		unsigned char secret[KMS_MATERIAL_BYTES];
		rand_bytes(secret, sizeof(secret));
		bool good = kms_material_add(c, &k, str_of(secret, sizeof(secret)), NULL);
		explicit_bzero(secret, sizeof(secret));
		if (!good)
			return false;
		k.alias = str_from(managed[i].alias);
		const struct state_kms_alias_record alias = {
		        .name = k.alias, .key_id = k.r.id, .created = OPT_TIME(c->now_ms), .updated = OPT_TIME(c->now_ms)};
		kms_save(c, &k);
		record_put(call_txn(c), c->arena, kms_alias_key(c, c->account, k.alias), &kms_alias_row, &alias);
		*ret = k;
		return true;
	}
	return false;
}
