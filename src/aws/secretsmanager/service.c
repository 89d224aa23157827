#include "rows.h"

#include "core/meter.h"

/* --- what permissions are about: a secret, with its policy and tags */

static void about(struct call *c, struct authz *az, struct str id)
{
	struct secret s;
	if (!secret_look(c, id, &s)) {
		az->resource = str_starts(id, S("arn:")) ? id
		                                         : arena_printf(c->arena, "arn:aws:secretsmanager:%.*s:%.*s:secret:%.*s",
		                                                        STR_ARG(c->region), STR_ARG(c->account), STR_ARG(id));
		return;
	}
	az->resource = s.arn;
	az->resource_account = s.account;
	az->resource_policy = s.r.policy;
	authz_add(c, az, "secretsmanager:SecretId", s.arn);
	authz_add_tags(c, az, "aws:ResourceTag", &s.r.tags);
	authz_add_tags(c, az, "secretsmanager:ResourceTag", &s.r.tags);
}

#define ABOUT(type) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct secretsmanager_##type##_request *in = input; \
		about(c, az, in->secret_id); \
		return CALL_OK; \
	}
ABOUT(cancel_rotate_secret)
ABOUT(delete_resource_policy)
ABOUT(delete_secret)
ABOUT(describe_secret)
ABOUT(get_resource_policy)
ABOUT(list_secret_version_ids)
ABOUT(put_secret_value)
ABOUT(restore_secret)
ABOUT(untag_resource)
ABOUT(update_secret)
ABOUT(update_secret_version_stage)

static int about_get_secret_value(struct call *c, const void *input, struct authz *az)
{
	const struct secretsmanager_get_secret_value_request *in = input;
	about(c, az, in->secret_id);
	authz_add(c, az, "secretsmanager:VersionId", in->version_id);
	authz_add(c, az, "secretsmanager:VersionStage", str_set(in->version_stage) ? in->version_stage : SECRET_CURRENT);
	return CALL_OK;
}

static int about_put_resource_policy(struct call *c, const void *input, struct authz *az)
{
	const struct secretsmanager_put_resource_policy_request *in = input;
	about(c, az, in->secret_id);
	authz_add(c, az, "secretsmanager:BlockPublicPolicy", in->block_public_policy.v ? S("true") : S("false"));
	return CALL_OK;
}

static int about_rotate_secret(struct call *c, const void *input, struct authz *az)
{
	const struct secretsmanager_rotate_secret_request *in = input;
	about(c, az, in->secret_id);
	authz_add(c, az, "secretsmanager:RotationLambdaARN", in->rotation_lambda_arn);
	return CALL_OK;
}

static int about_validate_resource_policy(struct call *c, const void *input, struct authz *az)
{
	const struct secretsmanager_validate_resource_policy_request *in = input;
	if (str_set(in->secret_id))
		about(c, az, in->secret_id);
	return CALL_OK;
}

static void add_request_tags(struct call *c, struct authz *az, const struct secretsmanager_tag_list_type *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:RequestTag", &map);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
}

/* Tags at creation are a second permission, as they are afterwards. */
static int about_create_secret(struct call *c, const void *input, struct authz *az)
{
	const struct secretsmanager_create_secret_request *in = input;
	about(c, az, in->name);
	authz_add(c, az, "secretsmanager:Name", in->name);
	add_request_tags(c, az, &in->tags);
	if (!in->tags.n)
		return CALL_OK;
	struct authz tagging = *az;
	tagging.action = S("secretsmanager:TagResource");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct secretsmanager_tag_resource_request *in = input;
	about(c, az, in->secret_id);
	add_request_tags(c, az, &in->tags);
	return CALL_OK;
}

/* --- the table */

#define ROW(c_name, name, ...) OP(secretsmanager, c_name, name, .resource = about_##c_name, ##__VA_ARGS__)
static const struct service_op ops[] = {
        OP(secretsmanager, batch_get_secret_value, BatchGetSecretValue),
        ROW(cancel_rotate_secret, CancelRotateSecret),
        ROW(create_secret, CreateSecret, .missing = "replicas in other regions, secrets of other services"),
        ROW(delete_resource_policy, DeleteResourcePolicy),
        ROW(delete_secret, DeleteSecret),
        ROW(describe_secret, DescribeSecret, .flags = OP_READ),
        OP(secretsmanager, get_random_password, GetRandomPassword, .flags = OP_READ),
        ROW(get_resource_policy, GetResourcePolicy, .flags = OP_READ),
        ROW(get_secret_value, GetSecretValue),
        ROW(list_secret_version_ids, ListSecretVersionIds, .flags = OP_READ),
        OP(secretsmanager, list_secrets, ListSecrets, .flags = OP_READ),
        ROW(put_resource_policy, PutResourcePolicy),
        ROW(put_secret_value, PutSecretValue, .missing = "rotation tokens"),
        ROW(restore_secret, RestoreSecret),
        ROW(rotate_secret, RotateSecret, .missing = "secrets of other services, rotation without a function"),
        ROW(tag_resource, TagResource),
        ROW(untag_resource, UntagResource),
        ROW(update_secret, UpdateSecret, .missing = "secrets of other services"),
        ROW(update_secret_version_stage, UpdateSecretVersionStage),
        ROW(validate_resource_policy, ValidateResourcePolicy, .flags = OP_READ,
            .missing = "checks other than syntax and broad access"),
};

static int secretsmanager_start(struct cloud *cloud, void **ret_state)
{
	*ret_state = secret_keeper_new(cloud);
	return 0;
}

static void secretsmanager_stop(void *state)
{
	secret_keeper_free(state);
}

static bool secretsmanager_busy(void *state)
{
	return secret_keeper_busy(state);
}

/* Requests cost, whatever they end with. */
static void secretsmanager_count(struct call *c)
{
	if (c->caller && str_set(c->account) && c->account.n)
		meter_count(c->cloud->meter, c->account, c->region, S("AWSSecretsManagerAPIRequest"), 1);
}

const struct service secretsmanager_service = {
        .api = &secretsmanager_api,
        .iam_prefix = "secretsmanager",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .unsupported = "InvalidRequestException",
        .start = secretsmanager_start,
        .stop = secretsmanager_stop,
        .busy = secretsmanager_busy,
        .dress_reply = secretsmanager_count,
};
