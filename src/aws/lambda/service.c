#include "aws/lambda/async.h"
#include "aws/lambda/code.h"
#include "aws/lambda/credentials.h"
#include "aws/lambda/directory.h"
#include "aws/lambda/pool.h"
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

static int new_function_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_create_function_request *request = in;
	if (request->tags.n)
		authz_add_tags(c, az, "aws:RequestTag", &request->tags);
	if (request->layers.n)
		authz_add(c, az, "lambda:Layer", request->layers.v[0]);
	return function_resource(c, in, az);
}

static int permission_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_add_permission_request *request = in;
	authz_add(c, az, "lambda:Principal", request->principal);
	if (str_set(request->function_url_auth_type))
		authz_add(c, az, "lambda:FunctionUrlAuthType", request->function_url_auth_type);
	return function_resource(c, in, az);
}

static struct str layer_arn(struct call *c, struct str given)
{
	if (str_starts(given, S("arn:")))
		return given;
	return ARENA_CAT(c->arena, S("arn:aws:lambda:"), c->region, S(":"), c->account, S(":layer:"), given);
}

static int layer_resource(struct call *c, const void *in, struct authz *az)
{
	(void)in;
	az->resource = layer_arn(c, lambda_input_text(c, "LayerName"));
	return CALL_OK;
}

/* The version number is a long in every one of these requests. */
static int layer_version_resource(struct call *c, const void *in, struct authz *az)
{
	const struct lambda_get_layer_version_request *request = in;
	az->resource = arena_printf(c->arena, "%.*s:%lld", STR_ARG(layer_arn(c, request->layer_name)),
	                            (long long)request->version_number.v);
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
	az->resource = request->arn;
	struct str rest = request->arn, account = STR_NONE;
	for (int i = 0; i < 5 && str_set(rest); i++)
		account = str_cut(&rest, ':');
	int64_t version = 0;
	ptrdiff_t colon = str_rfind_char(request->arn, ':');
	az->resource_account = account;
	struct str layer = str_sub(request->arn, 0, colon > 0 ? (size_t)colon : 0);
	layer = str_from_at(layer, (size_t)(str_rfind_char(layer, ':') + 1));
	if (colon < 0 || !lambda_is_version_number(str_from_at(request->arn, (size_t)colon + 1), &version))
		return CALL_OK;
	struct state_lambda_policy_record policy = {0};
	if (record_get(call_txn(c), c->arena, lambda_layer_policy_key(c->arena, account, c->region, layer, version), ROW("Policy"),
	               &policy))
		az->resource_policy = lambda_policy_document(c->arena, &policy);
	return CALL_OK;
}

#define FUNCTION .resource = function_resource
#define LAYER .resource = layer_resource
#define LAYER_VERSION .resource = layer_version_resource
#define READ .flags = OP_READ

static const struct service_op ops[] = {
        OP(lambda, add_layer_version_permission, AddLayerVersionPermission, LAYER_VERSION),
        OP(lambda, add_permission, AddPermission, .resource = permission_resource),
        OP(lambda, create_alias, CreateAlias, FUNCTION),
        OP(lambda, create_function, CreateFunction, .resource = new_function_resource,
           .missing =
                   "images, VPCs, file systems, dead letter queues, X-Ray, SnapStart, KMS, code signing, durable functions, arm64 on x86"),
        OP(lambda, delete_alias, DeleteAlias, FUNCTION),
        OP(lambda, delete_function, DeleteFunction, FUNCTION),
        OP(lambda, delete_function_concurrency, DeleteFunctionConcurrency, FUNCTION),
        OP(lambda, delete_function_event_invoke_config, DeleteFunctionEventInvokeConfig, FUNCTION),
        OP(lambda, delete_layer_version, DeleteLayerVersion, LAYER_VERSION),
        OP(lambda, get_account_settings, GetAccountSettings, READ),
        OP(lambda, get_alias, GetAlias, FUNCTION, READ),
        OP(lambda, get_function, GetFunction, FUNCTION, READ),
        OP(lambda, get_function_concurrency, GetFunctionConcurrency, FUNCTION, READ),
        OP(lambda, get_function_configuration, GetFunctionConfiguration, FUNCTION, READ),
        OP(lambda, get_function_event_invoke_config, GetFunctionEventInvokeConfig, FUNCTION, READ),
        OP(lambda, get_layer_version, GetLayerVersion, LAYER_VERSION, READ),
        OP(lambda, get_layer_version_by_arn, GetLayerVersionByArn, .action = "lambda:GetLayerVersion",
           .resource = layer_arn_resource, READ),
        OP(lambda, get_layer_version_policy, GetLayerVersionPolicy, LAYER_VERSION, READ),
        OP(lambda, get_policy, GetPolicy, FUNCTION, READ),
        OP(lambda, get_runtime_management_config, GetRuntimeManagementConfig, FUNCTION, READ),
        OP(lambda, invoke, Invoke, .action = "lambda:InvokeFunction", FUNCTION,
           .missing = "tenants, durable executions, the recursion guard"),
        OP(lambda, invoke_with_response_stream, InvokeWithResponseStream, .action = "lambda:InvokeFunction", FUNCTION),
        OP(lambda, list_aliases, ListAliases, FUNCTION, READ),
        OP(lambda, list_function_event_invoke_configs, ListFunctionEventInvokeConfigs, FUNCTION, READ),
        OP(lambda, list_functions, ListFunctions, READ),
        OP(lambda, list_layer_versions, ListLayerVersions, LAYER, READ),
        OP(lambda, list_layers, ListLayers, READ),
        OP(lambda, list_tags, ListTags, FUNCTION, READ),
        OP(lambda, list_versions_by_function, ListVersionsByFunction, FUNCTION, READ),
        OP(lambda, publish_layer_version, PublishLayerVersion, LAYER),
        OP(lambda, publish_version, PublishVersion, FUNCTION),
        OP(lambda, put_function_concurrency, PutFunctionConcurrency, FUNCTION),
        OP(lambda, put_function_event_invoke_config, PutFunctionEventInvokeConfig, FUNCTION,
           .missing = "destinations other than functions"),
        OP(lambda, remove_layer_version_permission, RemoveLayerVersionPermission, LAYER_VERSION),
        OP(lambda, remove_permission, RemovePermission, FUNCTION),
        OP(lambda, tag_resource, TagResource, FUNCTION),
        OP(lambda, untag_resource, UntagResource, FUNCTION),
        OP(lambda, update_alias, UpdateAlias, FUNCTION),
        OP(lambda, update_function_code, UpdateFunctionCode, FUNCTION),
        OP(lambda, update_function_configuration, UpdateFunctionConfiguration, FUNCTION, .missing = "as CreateFunction"),
        OP(lambda, update_function_event_invoke_config, UpdateFunctionEventInvokeConfig, FUNCTION,
           .missing = "destinations other than functions"),
};

/* --- beginning and end */

static bool lambda_busy(void *state)
{
	return ((const struct lambda *)state)->unsent_outputs > 0;
}

static void lambda_stop(void *state)
{
	struct lambda *l = state;
	async_close(l->async);
	directory_close(l->directory);
	pools_free(l->pools);
	credential_cache_free(l->credentials);
	code_store_close(l->code);
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
	directory_open(l);
	l->async = async_open(l);
	*ret_state = l;
	return 0;
}

const struct service lambda_service = {
        .api = &lambda_api,
        .iam_prefix = "lambda",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .body_limit_bytes = 72u << 20,
        .start = lambda_start,
        .stop = lambda_stop,
        .busy = lambda_busy,
        .intercept = code_intercept,
};
