/* What makes a function: the checks of CreateFunction and UpdateFunctionConfiguration, in Lambda's words. */
#include "aws/lambda/credentials.h"
#include "aws/lambda/destination.h"
#include "aws/lambda/image.h"
#include "aws/lambda/runtime.h"
#include "aws/lambda/snapstart.h"
#include "base/json.h"

#ifdef __aarch64__
#define MACHINE_ARCHITECTURE "arm64"
#else
#define MACHINE_ARCHITECTURE "x86_64"
#endif

static const char *const reserved_keys[] = {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
};

struct lambda_work *lambda_work(struct call *c)
{
	if (!c->state)
		c->state = arena_new(c->arena, struct lambda_work);
	return c->state;
}

static int check_environment(struct call *c, const struct str_map *variables)
{
	struct buf CLEAN_BUF measured, refused;
	buf_init(&measured, 1 << 20);
	buf_init(&refused, 1 << 16);
	struct json_out o = json_out(&measured);
	json_open(&o, '{');
	for (uint32_t i = 0; i < variables->n; i++) {
		struct str key = variables->v[i].key;
		json_key(&o, key);
		json_string(&o, variables->v[i].value);
		for (size_t k = 0; k < sizeof(reserved_keys) / sizeof(*reserved_keys); k++)
			if (str_is(key, reserved_keys[k]))
				buf_printf(&refused, "%s%.*s", refused.n ? ", " : "", STR_ARG(key));
	}
	json_close(&o, '}');
	if (refused.n) {
		return lambda_invalid(
		        c,
		        "Lambda was unable to configure your environment variables because the environment variables you have provided "
		        "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %.*s",
		        STR_ARG(buf_str(&refused)));
	}
	if (measured.overflow || measured.n > LAMBDA_ENVIRONMENT_BYTES) {
		return lambda_invalid(
		        c,
		        "Lambda was unable to configure your environment variables because the environment variables you have provided "
		        "exceeded the 4KB limit. String measured: %.*s",
		        STR_ARG(buf_str(&measured)));
	}
	return CALL_OK;
}

static int unreal(struct call *c, const char *what)
{
	return lambda_invalid(c, "%s is not supported by this cloud.", what);
}

int lambda_check_unreal(struct call *c, const struct lambda_update_function_configuration_request *in)
{
	if (in->file_system_configs.n)
		return unreal(c, "FileSystemConfigs");
	if (str_set(in->kms_key_arn) && !str_empty(in->kms_key_arn))
		return unreal(c, "KMSKeyArn");
	if (in->tracing_config && str_eq(in->tracing_config->mode, S("Active")))
		return unreal(c, "TracingConfig mode Active");
	if (in->capacity_provider_config)
		return unreal(c, "CapacityProviderConfig");
	if (in->durable_config)
		return unreal(c, "DurableConfig");
	return CALL_OK;
}

int lambda_check_architectures(struct call *c, const struct str_list *architectures)
{
	if (!architectures->n)
		return CALL_OK;
	if (architectures->n > 1)
		return lambda_invalid(c, "Architectures can only have one value.");
	if (!str_is(architectures->v[0], MACHINE_ARCHITECTURE))
		return lambda_invalid(
		        c, "The architecture %.*s is not supported by this cloud: the machine is " MACHINE_ARCHITECTURE ".",
		        STR_ARG(architectures->v[0]));
	return CALL_OK;
}

static int check_runtime(struct call *c, struct str runtime)
{
	if (runtime_is_retired(runtime)) {
		return lambda_invalid(
		        c,
		        "The runtime parameter of %.*s is no longer supported for creating or updating AWS Lambda functions. We recommend you use "
		        "a supported runtime while creating or updating functions.",
		        STR_ARG(runtime));
	}
	struct runtime_choice choice;
	if (!runtime_choose(runtime, &choice)) {
		return lambda_invalid(c, "The runtime %.*s is not available on this machine: %s.", STR_ARG(runtime),
		                      choice.why_not);
	}
	return CALL_OK;
}

static int set_logging(struct call *c, const struct lambda_logging_config *in, struct lambda_function_configuration *f)
{
	struct lambda_logging_config *l = arena_new(c->arena, struct lambda_logging_config);
	if (f->logging_config)
		*l = *f->logging_config;
	if (str_set(in->log_format))
		l->log_format = in->log_format;
	if (str_set(in->log_group) && !str_empty(in->log_group))
		l->log_group = in->log_group;
	bool json = str_eq(l->log_format, S("JSON"));
	if (!json && (str_set(in->application_log_level) || str_set(in->system_log_level)))
		return lambda_invalid(c, "To use ApplicationLogLevel or SystemLogLevel, you must set LogFormat to JSON.");
	if (str_set(in->application_log_level))
		l->application_log_level = in->application_log_level;
	if (str_set(in->system_log_level))
		l->system_log_level = in->system_log_level;
	if (json && !str_set(l->application_log_level))
		l->application_log_level = S("INFO");
	if (json && !str_set(l->system_log_level))
		l->system_log_level = S("INFO");
	if (!json)
		l->application_log_level = l->system_log_level = STR_NONE;
	f->logging_config = l;
	return CALL_OK;
}

static int set_environment(struct call *c, const struct lambda_environment *in, struct lambda_function_configuration *f)
{
	if (check_environment(c, &in->variables) != CALL_OK)
		return CALL_FAIL;
	f->environment = NULL;
	if (in->variables.n) {
		f->environment = arena_new(c->arena, struct lambda_environment_response);
		f->environment->variables = in->variables;
	}
	return CALL_OK;
}

int lambda_apply_settings(struct call *c, const struct lambda_update_function_configuration_request *in,
                          int64_t code_unzipped_bytes, struct state_lambda_version_record *row)
{
	struct lambda_function_configuration *f = row->config;
	if (lambda_check_unreal(c, in) != CALL_OK)
		return CALL_FAIL;
	bool image = str_eq(f->package_type, S("Image"));
	if (image && (str_set(in->runtime) || str_set(in->handler) || in->layers.n))
		return lambda_invalid(c, IMAGE_HAS_NONE);
	if (in->image_config && !image)
		return lambda_invalid(c, "Please don't provide ImageConfig when the intended function PackageType is Zip.");
	if (in->image_config && image_check_config(c, in->image_config) != CALL_OK)
		return CALL_FAIL;
	/* Larger sizes are in the model, for functions on managed instances. */
	if (in->memory_size.set && in->memory_size.v > 10240)
		return lambda_invalid(
		        c, "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240");
	if (in->timeout.set && in->timeout.v > 900) {
		return call_fail(
		        c, "ValidationException", 400,
		        "1 validation error detected: Value '%lld' at 'timeout' failed to satisfy constraint: Member must have value less than or "
		        "equal to 900",
		        (long long)in->timeout.v);
	}
	if (str_set(in->runtime)) {
		if (check_runtime(c, in->runtime) != CALL_OK)
			return CALL_FAIL;
		f->runtime = in->runtime;
	}
	if (str_set(f->runtime)) {
		f->runtime_version_config = arena_new(c->arena, struct lambda_runtime_version_config);
		f->runtime_version_config->runtime_version_arn = runtime_version_arn(c->arena, c->region, f->runtime);
	}
	if (str_set(in->role))
		f->role = in->role;
	if (str_set(in->handler))
		f->handler = in->handler;
	if (str_set(in->description))
		f->description = in->description;
	if (in->timeout.set)
		f->timeout = in->timeout;
	if (in->memory_size.set)
		f->memory_size = in->memory_size;
	if (in->environment && set_environment(c, in->environment, f) != CALL_OK)
		return CALL_FAIL;
	if (in->image_config) {
		const struct lambda_image_config *i = in->image_config;
		bool empty = !i->entry_point.n && !i->command.n && (!str_set(i->working_directory) || !i->working_directory.n);
		f->image_config_response = empty ? NULL : arena_new(c->arena, struct lambda_image_config_response);
		if (!empty)
			f->image_config_response->image_config = in->image_config;
	}
	if (in->dead_letter_config) {
		bool has = str_set(in->dead_letter_config->target_arn) && !str_empty(in->dead_letter_config->target_arn);
		if (has && destination_check_letters(c, in->dead_letter_config->target_arn) != CALL_OK)
			return CALL_FAIL;
		f->dead_letter_config = has ? in->dead_letter_config : NULL;
	}
	if (in->ephemeral_storage)
		f->ephemeral_storage = in->ephemeral_storage;
	if (snapstart_apply(c, in->snap_start, f) != CALL_OK)
		return CALL_FAIL;
	if (in->tracing_config) {
		f->tracing_config = arena_new(c->arena, struct lambda_tracing_config_response);
		f->tracing_config->mode = in->tracing_config->mode;
	}
	if (in->vpc_config && lambda_set_vpc(c, in->vpc_config, f) != CALL_OK)
		return CALL_FAIL;
	if (in->logging_config && set_logging(c, in->logging_config, f) != CALL_OK)
		return CALL_FAIL;
	if (in->layers.set) {
		row->layer_code = (struct str_list){0};
		f->layers = (struct lambda_layers_reference_list){0};
		if (lambda_resolve_layers(c, &in->layers, code_unzipped_bytes, &f->layers, &row->layer_code) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

int64_t lambda_code_unzipped_bytes(struct call *c, struct str code)
{
	struct state_lambda_code_record row = {0};
	record_get(call_txn(c), c->arena, lambda_code_key(c->arena, code), ROW("Code"), &row);
	return row.unzipped_bytes.v;
}

static void role_tried(void *ctx, const struct credentials *credentials)
{
	struct call *c = ctx;
	struct lambda_work *w = c->state;
	w->role_wait = NULL;
	w->role_tried = true;
	w->role_good = credentials != NULL;
	call_resume(c);
}

static void role_gone(struct call *c)
{
	credentials_forget(((struct lambda_work *)c->state)->role_wait);
}

int lambda_check_role(struct call *c, struct str role, struct str function_name, call_resume_fn *again)
{
	struct lambda_work *w = lambda_work(c);
	if (w->role_tried) {
		return w->role_good ? CALL_OK : lambda_invalid(c, "The role defined for the function cannot be assumed by Lambda.");
	}
	struct str rest = role, account = STR_NONE;
	for (int i = 0; i < 5; i++)
		account = str_cut(&rest, ':');
	if (!str_eq(account, c->account))
		return call_fail(c, "AccessDeniedException", 403, "Cross-account pass role is not allowed.");
	struct authz az = {.action = S("iam:PassRole"), .resource = role};
	authz_add(c, &az, "iam:PassedToService", S("lambda.amazonaws.com"));
	if (!call_authorize(c, &az))
		return CALL_FAIL;
	w->role_wait = credentials_fetch(lambda_of(c->cloud), c->account, c->region, role, function_name, role_tried, c);
	return call_wait(c, again, role_gone);
}
