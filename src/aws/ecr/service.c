#include "aws/ecr/rows.h"
#include "aws/ecr/upload.h"

#include "base/log.h"

#include <stdlib.h>

/* --- what permissions are about */

static int about(struct call *c, struct authz *az, struct str registry_id, struct str name)
{
	const struct ecr_place p = {str_set(registry_id) ? registry_id : c->account, c->region, name};
	ecr_about(c, az, &p);
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct str head = ARENA_CAT(c->arena, S("arn:aws:ecr:"), c->region, S(":")), rest = str_from_at(arn, head.n);
	struct str account = str_cut(&rest, ':');
	if (str_starts(arn, head) && str_set(rest) && str_starts(rest, S("repository/")))
		return about(c, az, account, str_from_at(rest, 11));
	az->resource = arn;
	return CALL_OK;
}

static void add_request_tags(struct call *c, struct authz *az, const struct ecr_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:RequestTag", &map);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
}

#define ABOUT(type) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct ecr_##type##_request *in = input; \
		return about(c, az, in->registry_id, in->repository_name); \
	}
ABOUT(batch_check_layer_availability)
ABOUT(batch_delete_image)
ABOUT(batch_get_image)
ABOUT(complete_layer_upload)
ABOUT(delete_lifecycle_policy)
ABOUT(delete_repository)
ABOUT(delete_repository_policy)
ABOUT(describe_images)
ABOUT(get_download_url_for_layer)
ABOUT(get_lifecycle_policy)
ABOUT(get_lifecycle_policy_preview)
ABOUT(get_repository_policy)
ABOUT(initiate_layer_upload)
ABOUT(list_image_referrers)
ABOUT(list_images)
ABOUT(put_image)
ABOUT(put_image_tag_mutability)
ABOUT(put_lifecycle_policy)
ABOUT(set_repository_policy)
ABOUT(start_lifecycle_policy_preview)
ABOUT(upload_layer_part)

static int about_create_repository(struct call *c, const void *input, struct authz *az)
{
	const struct ecr_create_repository_request *in = input;
	about(c, az, in->registry_id, in->repository_name);
	add_request_tags(c, az, &in->tags);
	if (!in->tags.n)
		return CALL_OK;
	/* Tags at creation are a second permission, as they are afterwards. */
	struct authz tagging = *az;
	tagging.action = S("ecr:TagResource");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

/* Every one must be allowed: all but the last are asked here, the last by the gate. */
static int about_describe_repositories(struct call *c, const void *input, struct authz *az)
{
	const struct ecr_describe_repositories_request *in = input;
	if (!in->repository_names.n)
		return about(c, az, in->registry_id, S("*"));
	for (uint32_t i = 0; i < in->repository_names.n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		*az = (struct authz){.action = az->action};
		about(c, az, in->registry_id, in->repository_names.v[i]);
	}
	return CALL_OK;
}

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct ecr_tag_resource_request *in = input;
	about_arn(c, az, in->resource_arn);
	add_request_tags(c, az, &in->tags);
	return CALL_OK;
}

static int about_untag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct ecr_untag_resource_request *in = input;
	for (uint32_t i = 0; i < in->tag_keys.n; i++)
		authz_add(c, az, "aws:TagKeys", in->tag_keys.v[i]);
	return about_arn(c, az, in->resource_arn);
}

static int about_list_tags_for_resource(struct call *c, const void *input, struct authz *az)
{
	return about_arn(c, az, ((const struct ecr_list_tags_for_resource_request *)input)->resource_arn);
}

/* --- the table */

static const struct service_op ops[] = {
        OP(ecr, batch_check_layer_availability, BatchCheckLayerAvailability, .resource = about_batch_check_layer_availability),
        OP(ecr, batch_delete_image, BatchDeleteImage, .resource = about_batch_delete_image),
        OP(ecr, batch_get_image, BatchGetImage, .resource = about_batch_get_image, .missing = "manifests of Docker's schema 1"),
        OP(ecr, complete_layer_upload, CompleteLayerUpload, .resource = about_complete_layer_upload),
        OP(ecr, create_pull_through_cache_rule, CreatePullThroughCacheRule,
           .missing = "credentials in Secrets Manager, roles: passwords are in the configuration"),
        OP(ecr, create_repository, CreateRepository, .resource = about_create_repository,
           .missing = "encryption with keys of KMS, image scanning"),
        OP(ecr, create_repository_creation_template, CreateRepositoryCreationTemplate,
           .missing = "encryption with keys of KMS, roles, replication"),
        OP(ecr, delete_lifecycle_policy, DeleteLifecyclePolicy, .resource = about_delete_lifecycle_policy),
        OP(ecr, delete_pull_through_cache_rule, DeletePullThroughCacheRule),
        OP(ecr, delete_registry_policy, DeleteRegistryPolicy),
        OP(ecr, delete_repository, DeleteRepository, .resource = about_delete_repository),
        OP(ecr, delete_repository_creation_template, DeleteRepositoryCreationTemplate),
        OP(ecr, delete_repository_policy, DeleteRepositoryPolicy, .resource = about_delete_repository_policy),
        OP(ecr, describe_images, DescribeImages, .resource = about_describe_images, .flags = OP_READ,
           .missing = "findings of scans, archived images, the size of an index's images"),
        OP(ecr, describe_pull_through_cache_rules, DescribePullThroughCacheRules, .flags = OP_READ),
        OP(ecr, describe_registry, DescribeRegistry, .flags = OP_READ),
        OP(ecr, describe_repositories, DescribeRepositories, .resource = about_describe_repositories, .flags = OP_READ),
        OP(ecr, describe_repository_creation_templates, DescribeRepositoryCreationTemplates, .flags = OP_READ),
        OP(ecr, get_authorization_token, GetAuthorizationToken, .flags = OP_READ),
        OP(ecr, get_download_url_for_layer, GetDownloadUrlForLayer, .resource = about_get_download_url_for_layer, .flags = OP_READ),
        OP(ecr, get_lifecycle_policy, GetLifecyclePolicy, .resource = about_get_lifecycle_policy, .flags = OP_READ),
        OP(ecr, get_lifecycle_policy_preview, GetLifecyclePolicyPreview, .resource = about_get_lifecycle_policy_preview,
           .flags = OP_READ),
        OP(ecr, get_registry_policy, GetRegistryPolicy, .flags = OP_READ),
        OP(ecr, get_repository_policy, GetRepositoryPolicy, .resource = about_get_repository_policy, .flags = OP_READ),
        OP(ecr, initiate_layer_upload, InitiateLayerUpload, .resource = about_initiate_layer_upload),
        OP(ecr, list_image_referrers, ListImageReferrers, .resource = about_list_image_referrers, .flags = OP_READ),
        OP(ecr, list_images, ListImages, .resource = about_list_images, .flags = OP_READ),
        OP(ecr, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        OP(ecr, put_image, PutImage, .resource = about_put_image),
        OP(ecr, put_image_tag_mutability, PutImageTagMutability, .resource = about_put_image_tag_mutability),
        OP(ecr, put_lifecycle_policy, PutLifecyclePolicy, .resource = about_put_lifecycle_policy,
           .missing = "sinceImagePulled, sinceImageTransitioned, the action transition"),
        OP(ecr, put_registry_policy, PutRegistryPolicy),
        OP(ecr, set_repository_policy, SetRepositoryPolicy, .resource = about_set_repository_policy),
        OP(ecr, start_lifecycle_policy_preview, StartLifecyclePolicyPreview, .resource = about_start_lifecycle_policy_preview),
        OP(ecr, tag_resource, TagResource, .resource = about_tag_resource),
        OP(ecr, untag_resource, UntagResource, .resource = about_untag_resource),
        OP(ecr, update_repository_creation_template, UpdateRepositoryCreationTemplate,
           .missing = "encryption with keys of KMS, roles, replication"),
        OP(ecr, upload_layer_part, UploadLayerPart, .resource = about_upload_layer_part),
        OP(ecr, validate_pull_through_cache_rule, ValidatePullThroughCacheRule),
};

static int ecr_start(struct cloud *cloud, void **ret_state)
{
	struct ecr_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (ecr)");
	s->cloud = cloud;
	int r = ecr_key_open(s, cloud->data_dir);
	if (r < 0) {
		log_error("ecr: %s/ecr.key cannot be read or made: %s", cloud->data_dir, strerror(-r));
		free(s);
		return r;
	}
	ecr_layers_start(s);
	ecr_uploads_start(s);
	s->janitor = ecr_janitor_start(s);
	s->unpacked = ecr_unpacked_start(s);
	*ret_state = s;
	return 0;
}

static void ecr_stop(void *state)
{
	struct ecr_state *s = state;
	if (!s)
		return;
	ecr_imports_stop(s);
	ecr_janitor_stop(s->janitor);
	ecr_unpacked_stop(s->unpacked);
	ecr_uploads_stop(s);
	ecr_layers_stop(s);
	free(s);
}

const struct service ecr_service = {
        .api = &ecr_api,
        .iam_prefix = "ecr",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .body_limit_bytes = 32u << 20, /* a part of a layer in base64, a manifest with every character escaped */
        .start = ecr_start,
        .stop = ecr_stop,
        .intercept = ecr_intercept,
        .address = ecr_address,
        .spell_error = ecr_spell_error,
        .wants_blob = ecr_wants_blob,
};
