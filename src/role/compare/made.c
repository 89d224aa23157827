/* What several of the models stand on: a bucket with the bundle, a security group, roles. */
#include "role/compare/compare.h"

#include "gen/ec2.h"
#include "gen/iam.h"
#include "gen/s3.h"

int compare_call(struct compare *c, const struct api *api, const char *operation, const void *in, void *out)
{
	return cli_call(c->cli, &c->cloud, api, operation, in, out, NULL);
}

/* An instance fetches its application before it has credentials of its own, so the bundles may be read by whoever knows the
 * bucket's name, and that has random digits. Buckets keep such policies out unless they are told otherwise. */
int compare_need_bucket(struct compare *c)
{
	struct model_none none;
	struct s3_create_bucket_output made = {0};
	struct s3_put_object_output put = {0};
	if (str_set(c->bucket))
		return CLI_OK;
	struct s3_create_bucket_configuration place = {.location_constraint = str_from(c->cloud.region)};
	struct s3_create_bucket_request in = {.bucket = c->name};
	if (strcmp(c->cloud.region, "us-east-1") != 0)
		in.create_bucket_configuration = &place;
	int status = compare_call(c, &s3_api, "CreateBucket", &in, &made);
	if (status != CLI_OK)
		return status;
	c->bucket = c->name;
	struct s3_put_bucket_policy_request policy = {
	        .bucket = c->bucket,
	        .policy = ARENA_CAT(&c->cli->arena,
	                            S("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\","
	                              "\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::"),
	                            c->bucket, S("/*.zip\"}]}"))};
	const struct {
		struct str key, bytes;
	} bundles[] = {{S("app.zip"), c->app.zip}, {S("source.zip"), c->app.source}};
	status = compare_call(c, &s3_api, "DeletePublicAccessBlock",
	                      &(struct s3_delete_public_access_block_request){.bucket = c->bucket}, &none);
	if (status == CLI_OK)
		status = compare_call(c, &s3_api, "PutBucketPolicy", &policy, &none);
	for (size_t i = 0; i < sizeof(bundles) / sizeof(*bundles) && status == CLI_OK; i++) {
		struct s3_put_object_request object = {.bucket = c->bucket, .key = bundles[i].key};
		status = cli_send(c->cli, &c->cloud, &s3_api, "PutObject", &object, bundles[i].bytes, &put, NULL);
	}
	return status;
}

void compare_remove_bucket(struct compare *c)
{
	struct model_none none;
	struct s3_delete_object_output gone = {0};
	if (!str_set(c->bucket))
		return;
	for (int i = 0; i < 2; i++)
		compare_call(c, &s3_api, "DeleteObject",
		             &(struct s3_delete_object_request){.bucket = c->bucket, .key = i ? S("source.zip") : S("app.zip")},
		             &gone);
	compare_call(c, &s3_api, "DeleteBucket", &(struct s3_delete_bucket_request){.bucket = c->bucket}, &none);
	c->bucket = STR_NONE;
}

int compare_need_group(struct compare *c)
{
	struct ec2_create_security_group_result made = {0};
	struct ec2_authorize_security_group_ingress_result opened = {0};
	if (str_set(c->group))
		return CLI_OK;
	const struct ec2_create_security_group_request in = {.group_name = c->name, .description = S("quartet compare")};
	int status = compare_call(c, &ec2_api, "CreateSecurityGroup", &in, &made);
	if (status != CLI_OK)
		return status;
	c->group = made.group_id;
	const struct ec2_authorize_security_group_ingress_request open = {.group_id = c->group,
	                                                                  .ip_protocol = S("tcp"),
	                                                                  .from_port = OPT_INT(COMPARE_PORT),
	                                                                  .to_port = OPT_INT(COMPARE_PORT),
	                                                                  .cidr_ip = S("0.0.0.0/0")};
	return compare_call(c, &ec2_api, "AuthorizeSecurityGroupIngress", &open, &opened);
}

void compare_remove_group(struct compare *c)
{
	struct ec2_delete_security_group_result gone = {0};
	if (str_set(c->group))
		compare_call(c, &ec2_api, "DeleteSecurityGroup", &(struct ec2_delete_security_group_request){.group_id = c->group},
		             &gone);
	c->group = STR_NONE;
}

int compare_make_role(struct compare *c, const char *suffix, const char *service, const char *policy, struct str *ret_name,
                      struct str *ret_arn)
{
	struct model_none none;
	struct iam_create_role_response made = {0};
	const struct iam_create_role_request in = {
	        .role_name = arena_printf(&c->cli->arena, "%.*s-%s", STR_ARG(c->name), suffix),
	        .assume_role_policy_document =
	                arena_printf(&c->cli->arena,
	                             "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":"
	                             "{\"Service\":\"%s\"},\"Action\":\"sts:AssumeRole\"}]}",
	                             service)};
	int status = compare_call(c, &iam_api, "CreateRole", &in, &made);
	if (status != CLI_OK)
		return status;
	*ret_name = in.role_name;
	*ret_arn = made.role->arn;
	const struct iam_attach_role_policy_request attach = {.role_name = in.role_name, .policy_arn = str_from(policy)};
	return compare_call(c, &iam_api, "AttachRolePolicy", &attach, &none);
}

void compare_remove_role(struct compare *c, struct str *name, const char *policy)
{
	struct model_none none;
	if (!str_set(*name))
		return;
	const struct iam_detach_role_policy_request detach = {.role_name = *name, .policy_arn = str_from(policy)};
	compare_call(c, &iam_api, "DetachRolePolicy", &detach, &none);
	compare_call(c, &iam_api, "DeleteRole", &(struct iam_delete_role_request){.role_name = *name}, &none);
	*name = STR_NONE;
}
