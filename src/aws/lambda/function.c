/* Functions: making, showing, listing, changing and deleting them. A new or changed function is Pending or InProgress when the
 * reply goes out; settle.c takes it from there. */
#include "aws/lambda/code.h"
#include "aws/lambda/image.h"

#include "base/clock.h"
#include "base/id.h"
#include "core/meter.h"

static struct str now_text(struct call *c)
{
	return time_format(c->arena, c->now_ms, TIME_LAMBDA);
}

/* Marks $LATEST as changed: what is served until the change has settled is what was served before. */
static void begin_update(struct call *c, struct state_lambda_version_record *row, const struct state_lambda_version_record *before)
{
	struct lambda_function_configuration *f = row->config;
	row->serving = before->config;
	row->serving_code = before->code;
	row->serving_layer_code = before->layer_code;
	row->serving_image = before->image;
	f->last_update_status = S("InProgress");
	f->last_update_status_reason = S("The function is being created.");
	f->last_update_status_reason_code = S("Creating");
	f->revision_id = id_uuid(c->arena);
	f->last_modified = now_text(c);
}

static int check_storage(struct call *c, int64_t more)
{
	int64_t bytes, functions;
	lambda_usage(c, &bytes, &functions);
	if (bytes + more <= LAMBDA_STORAGE_BYTES)
		return CALL_OK;
	return call_fail(c, "CodeStorageExceededException", 400, "Code storage limit exceeded.");
}

/* --- create */

static int create_again(struct call *c)
{
	return lambda_create_function(c, c->in, c->out);
}

static struct lambda_update_function_configuration_request settings_of(const struct lambda_create_function_request *in)
{
	return (struct lambda_update_function_configuration_request){
	        .role = in->role,
	        .handler = in->handler,
	        .description = str_set(in->description) ? in->description : S(""),
	        .timeout = in->timeout.set ? in->timeout : OPT_INT(3),
	        .memory_size = in->memory_size.set ? in->memory_size : OPT_INT(128),
	        .vpc_config = in->vpc_config,
	        .environment = in->environment,
	        .runtime = in->runtime,
	        .dead_letter_config = in->dead_letter_config,
	        .kms_key_arn = in->kms_key_arn,
	        .tracing_config = in->tracing_config,
	        .layers = in->layers,
	        .file_system_configs = in->file_system_configs,
	        .image_config = in->image_config,
	        .ephemeral_storage = in->ephemeral_storage,
	        .snap_start = in->snap_start,
	        .logging_config = in->logging_config,
	        .capacity_provider_config = in->capacity_provider_config,
	        .durable_config = in->durable_config,
	};
}

static int check_create(struct call *c, const struct lambda_create_function_request *in)
{
	bool image = str_eq(in->package_type, S("Image"));
	if (str_set(in->code_signing_config_arn))
		return lambda_invalid(c, "CodeSigningConfigArn is not supported by this cloud.");
	if (in->tenancy_config)
		return lambda_invalid(c, "TenancyConfig is not supported by this cloud.");
	if (str_set(in->publish_to))
		return lambda_invalid(c, "PublishTo is not supported by this cloud.");
	if (in->code && str_set(in->code->source_kms_key_arn))
		return lambda_invalid(c, "SourceKMSKeyArn is not supported by this cloud.");
	if (image) {
		const struct lambda_function_code *code = in->code;
		if (str_set(in->runtime) || str_set(in->handler) || in->layers.n)
			return lambda_invalid(c, IMAGE_HAS_NONE);
		if (!str_set(code->image_uri))
			return lambda_invalid(c, "Please provide ImageUri when the intended function PackageType is Image.");
		if (str_set(code->zip_file) || str_set(code->s3_bucket) || str_set(code->s3_key) ||
		    str_set(code->s3_object_version))
			return lambda_invalid(c, "Please do not provide other FunctionCode parameters when providing an ImageUri.");
	} else if (str_set(in->code->image_uri)) {
		return lambda_invalid(c, "Please don't provide ImageUri when the intended function PackageType is Zip.");
	} else if (!str_set(in->runtime) || !str_set(in->handler))
		return lambda_invalid(
		        c, "Runtime and Handler are mandatory parameters for functions created with deployment packages.");
	if (lambda_check_architectures(c, &in->architectures) != CALL_OK)
		return CALL_FAIL;
	return lambda_check_tags(c, &in->tags);
}

/* Takes in the package or the image and sets what the version's record says of it. */
static int take_code(struct call *c, struct state_lambda_version_record *row, const struct code_source *source,
                     struct str image_uri, call_resume_fn *again)
{
	struct lambda_work *w = lambda_work(c);
	struct lambda_function_configuration *f = row->config;
	if (str_eq(f->package_type, S("Image"))) {
		if (!w->image_taken)
			return image_take_in(c, image_uri, again);
		if (image_intake_check(c, f->architectures.v[0]) != CALL_OK)
			return CALL_FAIL;
		f->code_size = OPT_INT(0);
		f->code_sha256 = row->code = w->image.code;
		row->image = w->image.record;
		return CALL_OK;
	}
	if (!w->code_taken)
		return code_take_in(c, source, again);
	if (code_intake_check(c, &w->intake) != CALL_OK || check_storage(c, w->intake.bytes) != CALL_OK)
		return CALL_FAIL;
	f->code_size = OPT_INT(w->intake.bytes);
	f->code_sha256 = w->intake.sha256_base64;
	row->code = w->intake.code;
	return CALL_OK;
}

static struct lambda_function_configuration *new_configuration(struct call *c, const struct lambda_create_function_request *in,
                                                               const struct lambda_name *n)
{
	struct lambda_function_configuration *f = arena_new(c->arena, struct lambda_function_configuration);
	f->function_name = n->name;
	f->function_arn = lambda_function_arn(c->arena, n->region, n->account, n->name, STR_NONE);
	f->version = S(LAMBDA_LATEST);
	f->package_type = str_eq(in->package_type, S("Image")) ? S("Image") : S("Zip");
	f->last_modified = now_text(c);
	f->revision_id = id_uuid(c->arena);
	f->state = S("Pending");
	f->state_reason = S("The function is being created.");
	f->state_reason_code = S("Creating");
	f->tracing_config = arena_new(c->arena, struct lambda_tracing_config_response);
	f->tracing_config->mode = S("PassThrough");
	f->ephemeral_storage = arena_new(c->arena, struct lambda_ephemeral_storage);
	f->ephemeral_storage->size = OPT_INT(512);
	f->snap_start = arena_new(c->arena, struct lambda_snap_start_response);
	f->snap_start->apply_on = S("None");
	f->snap_start->optimization_status = S("Off");
	f->logging_config = arena_new(c->arena, struct lambda_logging_config);
	f->logging_config->log_format = S("Text");
	f->logging_config->log_group = ARENA_CAT(c->arena, S("/aws/lambda/"), n->name);
	struct str *architecture = LIST_ADD(c->arena, &f->architectures);
#ifdef __aarch64__
	*architecture = S("arm64");
#else
	*architecture = S("x86_64");
#endif
	if (in->architectures.n)
		*architecture = in->architectures.v[0];
	f->architectures.set = true;
	return f;
}

int lambda_create_function(struct call *c, const struct lambda_create_function_request *in,
                           struct lambda_function_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_function_record function = {0};
	struct lambda_work *w = lambda_work(c);
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK || check_create(c, in) != CALL_OK)
		return CALL_FAIL;
	if (str_set(n.qualifier) || !str_eq(n.account, c->account))
		return lambda_invalid(c, "Invalid function name: %.*s", STR_ARG(in->function_name));
	if (lambda_get_function_row(c, &n, &function)) {
		return call_fail(c, "ResourceConflictException", 409, "Function already exist: %.*s", STR_ARG(n.name));
	}
	/* Everything that needs no bytes is checked before the package is taken in. */
	struct lambda_update_function_configuration_request settings = settings_of(in);
	struct state_lambda_version_record row = {.config = new_configuration(c, in, &n)};
	if (lambda_apply_settings(c, &settings, w->intake.unzipped_bytes, &row) != CALL_OK)
		return CALL_FAIL;
	int step = lambda_check_role(c, in->role, n.name, create_again);
	if (step == CALL_OK)
		step = lambda_check_vpc_role(c, row.config, create_again);
	if (step != CALL_OK)
		return step;
	struct code_source source = {in->code->zip_file, in->code->s3_bucket, in->code->s3_key, in->code->s3_object_version};
	step = take_code(c, &row, &source, in->code->image_uri, create_again);
	if (step != CALL_OK)
		return step;
	function = (struct state_lambda_function_record){.name = n.name, .tags = in->tags, .last_version = OPT_INT(0)};
	lambda_code_reference(c, row.code, w->intake.bytes, w->intake.unzipped_bytes);
	for (uint32_t i = 0; i < row.layer_code.n; i++)
		lambda_code_reference(c, row.layer_code.v[i], 0, 0);
	if (lambda_vpc_hold(c, &n, row.config) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	if (in->publish.set && in->publish.v && lambda_publish(c, &n, &function, &row, STR_NONE, out) != CALL_OK)
		return CALL_FAIL;
	lambda_put_function_row(c, &n, &function);
	lambda_put_version_row(c, &n, S(LAMBDA_LATEST), &row);
	return CALL_OK;
}

/* --- show */

int lambda_get_function_configuration(struct call *c, const struct lambda_get_function_configuration_request *in,
                                      struct lambda_function_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	if (lambda_load_qualified(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	out->function_arn = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier);
	return CALL_OK;
}

int lambda_get_function(struct call *c, const struct lambda_get_function_request *in, struct lambda_get_function_response *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	struct state_lambda_function_record function = {0};
	if (lambda_load_qualified(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	out->configuration = row.config;
	row.config->function_arn = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier);
	out->code = arena_new(c->arena, struct lambda_function_code_location);
	if (row.image) {
		out->code->repository_type = S("ECR");
		out->code->image_uri = row.image->uri;
		out->code->resolved_image_uri = row.image->resolved_uri;
	} else {
		out->code->repository_type = S("S3");
		out->code->location = code_link(c, row.code);
	}
	if (lambda_get_function_row(c, &n, &function)) {
		if (function.tags.n)
			out->tags = function.tags;
		if (function.reserved_concurrency.set) {
			out->concurrency = arena_new(c->arena, struct lambda_concurrency);
			out->concurrency->reserved_concurrent_executions = function.reserved_concurrency;
		}
	}
	return CALL_OK;
}

int lambda_list_functions(struct call *c, const struct lambda_list_functions_request *in,
                          struct lambda_list_functions_response *out)
{
	struct lambda_list l;
	struct state_lambda_version_record row;
	struct str prefix = KEY_UNDER(c->arena, S("lambda"), S("version"), c->account, c->region);
	if (lambda_list_begin(c, prefix, false, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	bool all = str_eq(in->function_version, S("ALL"));
	out->functions.set = true;
	/* A master region asks for the copies at edges that it has sent out: there are none. */
	while (!str_set(in->master_region) && lambda_list_next(&l, ROW("Version"), &row)) {
		if (!all && !str_eq(row.config->version, S(LAMBDA_LATEST)))
			continue;
		if (!lambda_list_take(&l, &out->next_marker))
			break;
		*LIST_ADD(c->arena, &out->functions) = *lambda_list_item(c, &row, all);
	}
	return CALL_OK;
}

/* --- change */

static int update_code_again(struct call *c)
{
	return lambda_update_function_code(c, c->in, c->out);
}

int lambda_update_function_code(struct call *c, const struct lambda_update_function_code_request *in,
                                struct lambda_function_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	struct state_lambda_function_record function = {0};
	struct lambda_work *w = lambda_work(c);
	if (str_set(in->source_kms_key_arn))
		return lambda_invalid(c, "SourceKMSKeyArn is not supported by this cloud.");
	if (str_set(in->publish_to))
		return lambda_invalid(c, "PublishTo is not supported by this cloud.");
	if (lambda_load_changeable(c, in->function_name, in->revision_id, &n, &function, &row) != CALL_OK ||
	    lambda_check_architectures(c, &in->architectures) != CALL_OK)
		return CALL_FAIL;
	bool image = row.image != NULL;
	if (image && !str_set(in->image_uri))
		return lambda_invalid(c, "Please provide ImageUri when updating a function with packageType Image.");
	if (image && (str_set(in->zip_file) || str_set(in->s3_bucket) || str_set(in->s3_key) || str_set(in->s3_object_version)))
		return lambda_invalid(c, "Please do not provide other FunctionCode parameters when providing an ImageUri.");
	if (!image && str_set(in->image_uri))
		return lambda_invalid(c, "Please don't provide ImageUri when updating a function with packageType Zip.");
	struct state_lambda_version_record before = row;
	struct lambda_function_configuration *f = arena_new(c->arena, struct lambda_function_configuration);
	*f = *row.config;
	row.config = f;
	if (in->architectures.n)
		f->architectures = in->architectures;
	struct code_source source = {in->zip_file, in->s3_bucket, in->s3_key, in->s3_object_version};
	int step = take_code(c, &row, &source, in->image_uri, update_code_again);
	if (step != CALL_OK)
		return step;
	int64_t unzipped = w->intake.unzipped_bytes;
	for (uint32_t i = 0; i < row.layer_code.n; i++)
		unzipped += lambda_code_unzipped_bytes(c, row.layer_code.v[i]);
	if (unzipped > LAMBDA_UNZIPPED_BYTES) {
		return lambda_invalid(
		        c,
		        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is %lld bytes.",
		        (long long)unzipped);
	}
	begin_update(c, &row, &before);
	*out = *f;
	if (in->dry_run.set && in->dry_run.v)
		return CALL_OK;
	lambda_code_reference(c, row.code, w->intake.bytes, w->intake.unzipped_bytes);
	lambda_code_release(c, before.code);
	if (in->publish.set && in->publish.v) {
		if (lambda_publish(c, &n, &function, &row, STR_NONE, out) != CALL_OK)
			return CALL_FAIL;
		lambda_put_function_row(c, &n, &function);
	}
	lambda_put_version_row(c, &n, S(LAMBDA_LATEST), &row);
	return CALL_OK;
}

static int update_configuration_again(struct call *c)
{
	return lambda_update_function_configuration(c, c->in, c->out);
}

int lambda_update_function_configuration(struct call *c, const struct lambda_update_function_configuration_request *in,
                                         struct lambda_function_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	struct state_lambda_function_record function = {0};
	if (lambda_load_changeable(c, in->function_name, in->revision_id, &n, &function, &row) != CALL_OK)
		return CALL_FAIL;
	struct state_lambda_version_record before = row;
	row.config = arena_new(c->arena, struct lambda_function_configuration);
	*row.config = *before.config;
	if (lambda_apply_settings(c, in, lambda_code_unzipped_bytes(c, row.code), &row) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->role) && !str_eq(in->role, before.config->role)) {
		int step = lambda_check_role(c, in->role, n.name, update_configuration_again);
		if (step != CALL_OK)
			return step;
	}
	if (in->vpc_config) {
		int step = lambda_check_vpc_role(c, row.config, update_configuration_again);
		if (step != CALL_OK)
			return step;
		if (lambda_vpc_hold(c, &n, row.config) != CALL_OK)
			return CALL_FAIL;
		lambda_vpc_release(c, &n, before.config);
	}
	if (in->layers.set) {
		for (uint32_t i = 0; i < row.layer_code.n; i++)
			lambda_code_reference(c, row.layer_code.v[i], 0, 0);
		for (uint32_t i = 0; i < before.layer_code.n; i++)
			lambda_code_release(c, before.layer_code.v[i]);
	}
	begin_update(c, &row, &before);
	lambda_put_version_row(c, &n, S(LAMBDA_LATEST), &row);
	*out = *row.config;
	return CALL_OK;
}

/* --- delete */

static void delete_under(struct call *c, struct str prefix)
{
	struct store_iter *it = lambda_scan(c, prefix);
	struct str key;
	struct store_value value;
	while (store_next(it, &key, &value))
		store_delete(call_txn(c), arena_dup(c->arena, key));
}

static int delete_version(struct call *c, const struct lambda_name *n)
{
	struct state_lambda_version_record row = {0};
	int64_t number;
	if (str_eq(n->qualifier, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "$LATEST version cannot be deleted without deleting the function.");
	if (!lambda_is_version_number(n->qualifier, &number))
		return lambda_invalid(c, "Deletion of aliases is not currently supported.");
	if (!lambda_get_version_row(c, n, n->qualifier, &row))
		return CALL_OK; /* deleting what is not there any more succeeds */
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("alias"), n->account, n->region, n->name));
	struct str key;
	struct store_value value;
	while (store_next(it, &key, &value)) {
		struct state_lambda_alias_record alias = {0};
		record_read(c->arena, value.value, ROW("Alias"), &alias);
		if (lambda_alias_uses(alias.config, n->qualifier)) {
			return call_fail(c, "ResourceConflictException", 409,
			                 "Unable to delete version because the following aliases reference it: [%.*s]",
			                 STR_ARG(alias.config->name));
		}
	}
	lambda_version_release(c, n, &row);
	store_delete(call_txn(c), lambda_version_key(c->arena, n->account, n->region, n->name, n->qualifier));
	store_delete(call_txn(c), lambda_policy_key(c->arena, n->account, n->region, n->name, n->qualifier));
	store_delete(call_txn(c), lambda_event_config_key(c->arena, n->account, n->region, n->name, n->qualifier));
	lambda_provisioned_drop(c, n, n->qualifier);
	return CALL_OK;
}

int lambda_delete_function(struct call *c, const struct lambda_delete_function_request *in,
                           struct lambda_delete_function_response *out)
{
	struct lambda_name n;
	struct state_lambda_function_record function = {0};
	if (lambda_name_parse(c, in->function_name, in->qualifier, &n) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_function_row(c, &n, &function))
		return lambda_no_function(c, &n);
	out->status_code = OPT_INT(204);
	if (str_set(n.qualifier))
		return delete_version(c, &n);
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("version"), n.account, n.region, n.name));
	struct str key;
	struct store_value value;
	while (store_next(it, &key, &value)) {
		struct state_lambda_version_record row = {0};
		record_read(c->arena, value.value, ROW("Version"), &row);
		lambda_version_release(c, &n, &row);
		store_delete(call_txn(c), arena_dup(c->arena, key));
	}
	delete_under(c, KEY_UNDER(c->arena, S("lambda"), S("alias"), n.account, n.region, n.name));
	delete_under(c, KEY_UNDER(c->arena, S("lambda"), S("policy"), n.account, n.region, n.name));
	delete_under(c, KEY_UNDER(c->arena, S("lambda"), S("event_config"), n.account, n.region, n.name));
	lambda_provisioned_drop_all(c, &n);
	lambda_url_drop_all(c, &n);
	store_delete(call_txn(c), lambda_function_key(c->arena, n.account, n.region, n.name));
	meter_tags(call_txn(c), c->arena, n.account, n.region, lambda_function_arn(c->arena, n.region, n.account, n.name, STR_NONE),
	           NULL, c->now_ms);
	return CALL_OK;
}
