#include "aws/ec2/ec2.h"
#include "aws/lambda/async.h"
#include "aws/lambda/code.h"
#include "aws/lambda/credentials.h"
#include "aws/lambda/directory.h"
#include "aws/lambda/image.h"
#include "aws/lambda/interface.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/publish.h"
#include "aws/lambda/snapstart.h"
#include "aws/lambda/source.h"
#include "aws/lambda/url.h"
#include "base/log.h"
#include "base/rand.h"

#include <stdlib.h>

struct lambda *lambda_of(const struct cloud *cloud)
{
	return cloud_state(cloud, &lambda_service);
}

/* --- what permissions are about */

/* A function, with its qualifier where one was given; its policy and tags. */
static int function_resource(struct call *c, const void *in, struct authz *az)
{
	(void)in;
	struct lambda_name n;
	struct str name = lambda_input_text(c, "FunctionName"), qualifier = lambda_input_text(c, "Qualifier");
	if (!str_set(name))
		name = lambda_input_text(c, "Resource");
	if (lambda_name_parse(c, name, qualifier, &n) != CALL_OK)
		return CALL_FAIL;
	az->resource = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier);
	az->resource_account = n.account;
	const struct fn *fn = directory_find(lambda_of(c->cloud)->directory, n.account, n.region, n.name);
	if (fn) {
		az->resource_policy = fn_policy_document(fn, n.qualifier);
		if (fn->tags.n)
			authz_add_tags(c, az, "aws:ResourceTag", &fn->tags);
	}
	return CALL_OK;
}

/* A condition key with all of its values. */
static void add_values(struct call *c, struct authz *az, const char *name, const struct str_list *values)
{
	if (!values->n)
		return;
	authz_add(c, az, name, values->v[0]);
	az->keys[az->key_count - 1].values = *values;
}

static void add_request_tags(struct call *c, struct authz *az, const struct str_map *tags)
{
	struct str_list keys = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &keys) = tags->v[i].key;
	authz_add_tags(c, az, "aws:RequestTag", tags);
	add_values(c, az, "aws:TagKeys", &keys);
}

static void add_vpc(struct call *c, struct authz *az, const struct lambda_vpc_config *v)
{
	if (!v || !v->subnet_ids.n)
		return;
	struct str vpc = ec2_subnet_vpc(call_txn(c), c->arena, c->account, c->region, v->subnet_ids.v[0]);
	add_values(c, az, "lambda:SubnetIds", &v->subnet_ids);
	add_values(c, az, "lambda:SecurityGroupIds", &v->security_group_ids);
	if (str_set(vpc))
		authz_add(c, az, "lambda:VpcIds", vpc);
}

static int new_function_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_create_function_request *request = in;
	add_request_tags(c, az, &request->tags);
	add_values(c, az, "lambda:Layer", &request->layers);
	add_vpc(c, az, request->vpc_config);
	return function_resource(c, in, az);
}

static int changed_function_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_update_function_configuration_request *request = in;
	add_values(c, az, "lambda:Layer", &request->layers);
	add_vpc(c, az, request->vpc_config);
	return function_resource(c, in, az);
}

static int source_of(struct call *c, struct str uuid, struct authz *az)
{
	az->resource = ARENA_CAT(c->arena, S("arn:aws:lambda:"), c->region, S(":"), c->account, S(":event-source-mapping:"), uuid);
	struct state_lambda_event_source_record row = {0};
	struct str key = lambda_event_source_key(c->arena, c->account, c->region, uuid);
	if (record_get(call_txn(c), c->arena, key, ROW("EventSource"), &row)) {
		authz_add(c, az, "lambda:FunctionArn", row.config->function_arn);
		authz_add_tags(c, az, "aws:ResourceTag", &row.tags);
	}
	return CALL_OK;
}

static int source_resource(struct call *c, const void *in, struct authz *az)
{
	(void)in;
	return source_of(c, lambda_input_text(c, "UUID"), az);
}

/* What has tags: a function or a mapping. */
static int tagged_resource(struct call *c, const void *in, struct authz *az)
{
	struct str uuid;
	return lambda_event_source_of_arn(lambda_input_text(c, "Resource"), &uuid) ? source_of(c, uuid, az)
	                                                                           : function_resource(c, in, az);
}

static int tag_resource(struct call *c, const void *in, struct authz *az)
{
	add_request_tags(c, az, &((const struct lambda_tag_resource_request *)in)->tags);
	return tagged_resource(c, in, az);
}

static int untag_resource(struct call *c, const void *in, struct authz *az)
{
	add_values(c, az, "aws:TagKeys", &((const struct lambda_untag_resource_request *)in)->tag_keys);
	return tagged_resource(c, in, az);
}

static int permission_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_add_permission_request *request = in;
	authz_add(c, az, "lambda:Principal", request->principal);
	if (str_set(request->function_url_auth_type))
		authz_add(c, az, "lambda:FunctionUrlAuthType", request->function_url_auth_type);
	return function_resource(c, in, az);
}

static int layer_resource(struct call *c, const void *in, struct authz *az)
{
	(void)in;
	struct lambda_layer_name n;
	if (lambda_layer_parse(c, lambda_input_text(c, "LayerName"), 0, &n) != CALL_OK)
		return CALL_FAIL;
	az->resource = lambda_layer_arn(c->arena, &n);
	az->resource_account = n.account;
	return CALL_OK;
}

static void layer_version(struct call *c, const struct lambda_layer_name *n, struct authz *az)
{
	az->resource = lambda_layer_arn(c->arena, n);
	az->resource_account = n->account;
	az->resource_policy = lambda_layer_policy(c, n);
}

/* The version number is a long in every one of these requests. */
static int layer_version_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_get_layer_version_request *request = in;
	struct lambda_layer_name n;
	if (lambda_layer_parse(c, request->layer_name, request->version_number.v, &n) != CALL_OK)
		return CALL_FAIL;
	layer_version(c, &n, az);
	return CALL_OK;
}
_Static_assert(offsetof(struct lambda_get_layer_version_request, version_number) ==
                               offsetof(struct lambda_delete_layer_version_request, version_number) &&
                       offsetof(struct lambda_get_layer_version_request, version_number) ==
                               offsetof(struct lambda_add_layer_version_permission_request, version_number) &&
                       offsetof(struct lambda_get_layer_version_request, version_number) ==
                               offsetof(struct lambda_remove_layer_version_permission_request, version_number) &&
                       offsetof(struct lambda_get_layer_version_request, version_number) ==
                               offsetof(struct lambda_get_layer_version_policy_request, version_number),
               "requests that name a layer version begin alike");

static int layer_arn_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_get_layer_version_by_arn_request *request = in;
	struct lambda_layer_name n;
	az->resource = request->arn;
	if (lambda_layer_split(request->arn, &n) && n.version)
		layer_version(c, &n, az);
	return CALL_OK;
}

/* What is asked about a URL may depend on how it lets callers in: as the request says. */
static int url_resource(struct call *c, const void *in, struct authz *az)
{
	struct str type = lambda_input_text(c, "AuthType");
	if (str_set(type))
		authz_add(c, az, "lambda:FunctionUrlAuthType", type);
	return function_resource(c, in, az);
}

static int new_source_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_create_event_source_mapping_request *request = in;
	struct lambda_name n;
	if (lambda_name_parse(c, request->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	add_request_tags(c, az, &request->tags);
	authz_add(c, az, "lambda:FunctionArn", lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier));
	return CALL_OK;
}

#define SOURCE .resource = source_resource
#define FUNCTION .resource = function_resource
#define LAYER .resource = layer_resource
#define LAYER_VERSION .resource = layer_version_resource
#define READ .flags = OP_READ

static const struct service_op ops[] = {
        OP(lambda, add_layer_version_permission, AddLayerVersionPermission, LAYER_VERSION),
        OP(lambda, add_permission, AddPermission, .resource = permission_resource),
        OP(lambda, create_alias, CreateAlias, FUNCTION),
        OP(lambda, create_event_source_mapping, CreateEventSourceMapping, .resource = new_source_resource,
           .missing = "sources other than SQS, provisioned pollers, logging, KMS keys"),
        OP(lambda, create_function, CreateFunction, .resource = new_function_resource,
           .missing = "IPv6 in VPCs, file systems, X-Ray, KMS, code signing, durable functions, arm64 on x86"),
        OP(lambda, create_function_url_config, CreateFunctionUrlConfig, .resource = url_resource),
        OP(lambda, delete_alias, DeleteAlias, FUNCTION),
        OP(lambda, delete_event_source_mapping, DeleteEventSourceMapping, SOURCE),
        OP(lambda, delete_function, DeleteFunction, FUNCTION),
        OP(lambda, delete_function_concurrency, DeleteFunctionConcurrency, FUNCTION),
        OP(lambda, delete_function_event_invoke_config, DeleteFunctionEventInvokeConfig, FUNCTION),
        OP(lambda, delete_function_url_config, DeleteFunctionUrlConfig, .resource = url_resource),
        OP(lambda, delete_layer_version, DeleteLayerVersion, LAYER_VERSION),
        OP(lambda, delete_provisioned_concurrency_config, DeleteProvisionedConcurrencyConfig, FUNCTION),
        OP(lambda, get_account_settings, GetAccountSettings, READ),
        OP(lambda, get_alias, GetAlias, FUNCTION, READ),
        OP(lambda, get_event_source_mapping, GetEventSourceMapping, SOURCE, READ),
        OP(lambda, get_function, GetFunction, FUNCTION, READ),
        OP(lambda, get_function_code_signing_config, GetFunctionCodeSigningConfig, FUNCTION, READ),
        OP(lambda, get_function_concurrency, GetFunctionConcurrency, FUNCTION, READ),
        OP(lambda, get_function_configuration, GetFunctionConfiguration, FUNCTION, READ),
        OP(lambda, get_function_event_invoke_config, GetFunctionEventInvokeConfig, FUNCTION, READ),
        OP(lambda, get_function_recursion_config, GetFunctionRecursionConfig, FUNCTION, READ),
        OP(lambda, get_function_url_config, GetFunctionUrlConfig, .resource = url_resource, READ),
        OP(lambda, get_layer_version, GetLayerVersion, LAYER_VERSION, READ),
        OP(lambda, get_layer_version_by_arn, GetLayerVersionByArn, .action = "lambda:GetLayerVersion",
           .resource = layer_arn_resource, READ),
        OP(lambda, get_layer_version_policy, GetLayerVersionPolicy, LAYER_VERSION, READ),
        OP(lambda, get_policy, GetPolicy, FUNCTION, READ),
        OP(lambda, get_provisioned_concurrency_config, GetProvisionedConcurrencyConfig, FUNCTION, READ),
        OP(lambda, get_runtime_management_config, GetRuntimeManagementConfig, FUNCTION, READ),
        OP(lambda, invoke, Invoke, .action = "lambda:InvokeFunction", FUNCTION, .missing = "tenants, durable executions"),
        OP(lambda, invoke_async, InvokeAsync, FUNCTION),
        OP(lambda, invoke_with_response_stream, InvokeWithResponseStream, .action = "lambda:InvokeFunction", FUNCTION),
        OP(lambda, list_aliases, ListAliases, FUNCTION, READ),
        OP(lambda, list_event_source_mappings, ListEventSourceMappings, READ),
        OP(lambda, list_function_event_invoke_configs, ListFunctionEventInvokeConfigs, FUNCTION, READ),
        OP(lambda, list_function_url_configs, ListFunctionUrlConfigs, FUNCTION, READ),
        OP(lambda, list_functions, ListFunctions, READ),
        OP(lambda, list_layer_versions, ListLayerVersions, LAYER, READ),
        OP(lambda, list_layers, ListLayers, READ),
        OP(lambda, list_provisioned_concurrency_configs, ListProvisionedConcurrencyConfigs, FUNCTION, READ),
        OP(lambda, list_tags, ListTags, .resource = tagged_resource, READ),
        OP(lambda, list_versions_by_function, ListVersionsByFunction, FUNCTION, READ),
        OP(lambda, publish_layer_version, PublishLayerVersion, LAYER),
        OP(lambda, publish_version, PublishVersion, FUNCTION),
        OP(lambda, put_function_concurrency, PutFunctionConcurrency, FUNCTION),
        OP(lambda, put_function_event_invoke_config, PutFunctionEventInvokeConfig, FUNCTION),
        OP(lambda, put_function_recursion_config, PutFunctionRecursionConfig, FUNCTION),
        OP(lambda, remove_layer_version_permission, RemoveLayerVersionPermission, LAYER_VERSION),
        OP(lambda, put_provisioned_concurrency_config, PutProvisionedConcurrencyConfig, FUNCTION),
        OP(lambda, put_runtime_management_config, PutRuntimeManagementConfig, FUNCTION, .missing = "FunctionUpdate, Manual"),
        OP(lambda, remove_permission, RemovePermission, FUNCTION),
        OP(lambda, tag_resource, TagResource, .resource = tag_resource),
        OP(lambda, untag_resource, UntagResource, .resource = untag_resource),
        OP(lambda, update_alias, UpdateAlias, FUNCTION),
        OP(lambda, update_event_source_mapping, UpdateEventSourceMapping, SOURCE, .missing = "as CreateEventSourceMapping"),
        OP(lambda, update_function_code, UpdateFunctionCode, FUNCTION),
        OP(lambda, update_function_configuration, UpdateFunctionConfiguration, .resource = changed_function_resource,
           .missing = "as CreateFunction"),
        OP(lambda, update_function_event_invoke_config, UpdateFunctionEventInvokeConfig, FUNCTION),
        OP(lambda, update_function_url_config, UpdateFunctionUrlConfig, .resource = url_resource),
};

/* --- errors that the gate makes, in Lambda's words */

enum { BODY_BYTES = 69905067 }; /* 50 MB in base64, but for a byte */

static void too_large(struct call *c)
{
	bool invoke = str_is(str_from(c->row->name), "Invoke");
	c->error.code = S("RequestEntityTooLargeException");
	c->error.message = arena_printf(c->arena, "Request must be smaller than %d bytes for the %s operation",
	                                invoke ? LAMBDA_REQUEST_BYTES : BODY_BYTES, invoke ? "InvokeFunction" : c->row->name);
}

/* The runtime is the one enumeration that AWS checks behind the model, because it might be an ARN. */
static void bad_runtime(struct call *c)
{
	struct str before = S("1 validation error detected: Value '"), after = S("' at 'runtime' failed to satisfy constraint: ");
	struct str rest = str_from_at(c->error.message, before.n);
	ptrdiff_t at = str_find(rest, after);
	if (at < 0)
		return;
	struct str value = str_sub(rest, 0, (size_t)at), enumeration = str_from_at(rest, (size_t)at + 1);
	c->error.code = S("InvalidParameterValueException");
	c->error.message = ARENA_CAT(c->arena, S("Value "), value, enumeration, S(" or be a valid ARN"));
}

static void lambda_dress_error(struct call *c)
{
	if (str_is(c->error.code, "RequestEntityTooLarge") && c->row)
		too_large(c);
	else if (str_is(c->error.code, "ValidationException") &&
	         str_starts(c->error.message, S("1 validation error detected: Value '")))
		bad_runtime(c);
}

/* --- beginning and end */

static bool lambda_busy(void *state)
{
	return ((const struct lambda *)state)->unsent_outputs > 0;
}

static void lambda_stop(void *state)
{
	struct lambda *l = state;
	l->stopping = true;
	pools_end_leaving(l->pools);
	async_close(l->async);
	sources_close(l->sources);
	urls_close(l->urls);
	snapstarts_close(l->snapstarts);
	publish_free(l->publish);
	l->publish = NULL;
	directory_close(l->directory);
	pools_free(l->pools);
	interfaces_close(l->interfaces);
	credential_cache_free(l->credentials);
	code_store_close(l->code);
	map_done(&l->images);
	principal_unref(l->self);
	free(l);
}

static int lambda_start(struct cloud *cloud, void **ret_state)
{
	struct lambda *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->cloud = cloud;
	rand_bytes(l->url_key, sizeof(l->url_key));
	struct principal *self = principal_new(PRINCIPAL_SERVICE, S("000000000000"));
	self->name = S("lambda.amazonaws.com");
	self->arn = S("lambda.amazonaws.com");
	self->user_id = S("lambda.amazonaws.com");
	l->self = self;
	int error = 0;
	l->code = code_store_open(l, &error);
	if (!l->code) {
		principal_unref(l->self);
		free(l);
		return error;
	}
	l->credentials = credential_cache_new();
	l->pools = pools_new(l);
	l->interfaces = interfaces_open(l);
	l->snapstarts = snapstarts_open(l);
	directory_open(l);
	images_keep_for_functions(l);
	l->async = async_open(l);
	sources_open(l);
	l->urls = urls_open(l);
	l->publish = publish_new(l);
	*ret_state = l;
	return 0;
}

static call_resume_fn *intercept(struct call *c)
{
	call_resume_fn *url = url_intercept(c);
	return url ? url : code_intercept(c);
}

const struct service lambda_service = {
        .api = &lambda_api,
        .iam_prefix = "lambda",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .body_limit_bytes = BODY_BYTES,
        .dress_error = lambda_dress_error,
        .start = lambda_start,
        .stop = lambda_stop,
        .busy = lambda_busy,
        .intercept = intercept,
        .address = url_address,
};
