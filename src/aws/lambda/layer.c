/* Layers: numbered packages that functions mount at /opt. */
#include "aws/lambda/code.h"
#include "base/clock.h"

static struct str layer_arn(struct call *c, struct str account, struct str layer)
{
	return ARENA_CAT(c->arena, S("arn:aws:lambda:"), c->region, S(":"), account, S(":layer:"), layer);
}

static struct str version_arn(struct call *c, struct str account, struct str layer, int64_t version)
{
	return arena_printf(c->arena, "%.*s:%lld", STR_ARG(layer_arn(c, account, layer)), (long long)version);
}

/* A layer's name or ARN. */
static struct str layer_name(struct str given)
{
	return str_starts(given, S("arn:")) ? str_from_at(given, (size_t)str_rfind_char(given, ':') + 1) : given;
}

/* arn:aws:lambda:region:account:layer:name:version */
static bool split_arn(struct str arn, struct str *ret_region, struct str *ret_account, struct str *ret_layer, int64_t *ret_version)
{
	struct str parts[8], rest = arn;
	for (int i = 0; i < 8; i++) {
		if (!str_set(rest))
			return false;
		parts[i] = str_cut(&rest, ':');
	}
	if (str_set(rest) || !str_eq(parts[0], S("arn")) || !str_eq(parts[2], S("lambda")) || !str_eq(parts[5], S("layer")))
		return false;
	*ret_region = parts[3];
	*ret_account = parts[4];
	*ret_layer = parts[6];
	return lambda_is_version_number(parts[7], ret_version);
}

int lambda_resolve_layers(struct call *c, const struct str_list *arns, int64_t code_unzipped_bytes,
                          struct lambda_layers_reference_list *ret, struct str_list *ret_code)
{
	if (arns->n > LAMBDA_LAYERS_MAX)
		return lambda_invalid(c, "You cannot reference more than 5 layers at a time.");
	int64_t total = code_unzipped_bytes;
	for (uint32_t i = 0; i < arns->n; i++) {
		struct str arn = arns->v[i], region, account, layer;
		int64_t version;
		if (!split_arn(arn, &region, &account, &layer, &version))
			return lambda_invalid(c, "Invalid layer version ARN: %.*s", STR_ARG(arn));
		if (!str_eq(region, c->region))
			return lambda_invalid(
			        c, "Layers are not in the same region as the function. Layers are expected to be in region %.*s.",
			        STR_ARG(c->region));
		struct str without = str_sub(arn, 0, (size_t)str_rfind_char(arn, ':'));
		for (uint32_t k = 0; k < i; k++)
			if (str_starts(arns->v[k], without) && arns->v[k].n > without.n && arns->v[k].p[without.n] == ':')
				return lambda_invalid(
				        c,
				        "Two different versions of the same layer are not allowed to be referenced in the same function. %.*s and %.*s are versions of the same layer.",
				        STR_ARG(arns->v[k]), STR_ARG(arn));
		struct state_lambda_layer_version_record row = {0};
		if (!record_get(call_txn(c), c->arena, lambda_layer_version_key(c->arena, account, c->region, layer, version),
		                ROW("LayerVersion"), &row))
			return lambda_invalid(c, "Layer version %.*s does not exist.", STR_ARG(arn));
		struct state_lambda_policy_record policy = {0};
		struct authz az = {.action = S("lambda:GetLayerVersion"), .resource = arn, .resource_account = account};
		if (record_get(call_txn(c), c->arena, lambda_layer_policy_key(c->arena, account, c->region, layer, version),
		               ROW("Policy"), &policy))
			az.resource_policy = lambda_policy_document(c->arena, &policy);
		if (!call_authorize(c, &az))
			return CALL_FAIL;
		struct lambda_layer *reference = LIST_ADD(c->arena, ret);
		reference->arn = arn;
		reference->code_size = row.code_size;
		*LIST_ADD(c->arena, ret_code) = row.code;
		total += lambda_code_unzipped_bytes(c, row.code);
	}
	ret->set = arns->n > 0;
	ret_code->set = true;
	if (total > LAMBDA_UNZIPPED_BYTES) {
		return lambda_invalid(
		        c,
		        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is %lld bytes.",
		        (long long)total);
	}
	return CALL_OK;
}

static int publish_again(struct call *c)
{
	return lambda_publish_layer_version(c, c->in, c->out);
}

int lambda_publish_layer_version(struct call *c, const struct lambda_publish_layer_version_request *in,
                                 struct lambda_publish_layer_version_response *out)
{
	struct lambda_work *w = lambda_work(c);
	struct str layer = layer_name(in->layer_name);
	if (!w->code_taken) {
		struct code_source source = {in->content->zip_file, in->content->s3_bucket, in->content->s3_key,
		                             in->content->s3_object_version};
		return code_take_in(c, &source, publish_again);
	}
	if (code_intake_check(c, &w->intake) != CALL_OK)
		return CALL_FAIL;
	struct state_lambda_layer_record counter = {0};
	struct str key = lambda_layer_key(c->arena, c->account, c->region, layer);
	record_get(call_txn(c), c->arena, key, ROW("Layer"), &counter);
	counter.last_version = OPT_INT(counter.last_version.v + 1);
	record_put(call_txn(c), c->arena, key, ROW("Layer"), &counter);
	struct state_lambda_layer_version_record row = {
	        .version = counter.last_version,
	        .description = str_set(in->description) ? in->description : S(""),
	        .created_date = time_format(c->arena, c->now_ms, TIME_LAMBDA),
	        .compatible_runtimes = in->compatible_runtimes,
	        .compatible_architectures = in->compatible_architectures,
	        .license_info = in->license_info,
	        .code = w->intake.code,
	        .code_sha256 = w->intake.sha256_base64,
	        .code_size = OPT_INT(w->intake.bytes),
	};
	record_put(call_txn(c), c->arena, lambda_layer_version_key(c->arena, c->account, c->region, layer, row.version.v),
	           ROW("LayerVersion"), &row);
	lambda_code_reference(c, row.code, w->intake.bytes, w->intake.unzipped_bytes);
	out->content = arena_new(c->arena, struct lambda_layer_version_content_output);
	out->content->location = code_link(c, row.code);
	out->content->code_sha256 = row.code_sha256;
	out->content->code_size = row.code_size;
	out->layer_arn = layer_arn(c, c->account, layer);
	out->layer_version_arn = version_arn(c, c->account, layer, row.version.v);
	out->description = row.description;
	out->created_date = row.created_date;
	out->version = row.version;
	out->compatible_runtimes = row.compatible_runtimes;
	out->compatible_architectures = row.compatible_architectures;
	out->license_info = row.license_info;
	return CALL_OK;
}

static int show(struct call *c, struct str account, struct str layer, int64_t version,
                struct lambda_get_layer_version_response *out)
{
	struct state_lambda_layer_version_record row = {0};
	if (!record_get(call_txn(c), c->arena, lambda_layer_version_key(c->arena, account, c->region, layer, version),
	                ROW("LayerVersion"), &row))
		return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
	out->content = arena_new(c->arena, struct lambda_layer_version_content_output);
	out->content->location = code_link(c, row.code);
	out->content->code_sha256 = row.code_sha256;
	out->content->code_size = row.code_size;
	out->layer_arn = layer_arn(c, account, layer);
	out->layer_version_arn = version_arn(c, account, layer, version);
	out->description = row.description;
	out->created_date = row.created_date;
	out->version = row.version;
	out->compatible_runtimes = row.compatible_runtimes;
	out->compatible_architectures = row.compatible_architectures;
	out->license_info = row.license_info;
	return CALL_OK;
}

int lambda_get_layer_version(struct call *c, const struct lambda_get_layer_version_request *in,
                             struct lambda_get_layer_version_response *out)
{
	return show(c, c->account, layer_name(in->layer_name), in->version_number.v, out);
}

int lambda_get_layer_version_by_arn(struct call *c, const struct lambda_get_layer_version_by_arn_request *in,
                                    struct lambda_get_layer_version_response *out)
{
	struct str region, account, layer;
	int64_t version;
	if (!split_arn(in->arn, &region, &account, &layer, &version) || !str_eq(region, c->region))
		return lambda_invalid(c, "Invalid layer version ARN: %.*s", STR_ARG(in->arn));
	return show(c, account, layer, version, out);
}

static bool lists(const struct str_list *l, struct str wanted)
{
	if (!str_set(wanted))
		return true;
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], wanted))
			return true;
	return false;
}

static void fill_item(struct call *c, struct str layer, const struct state_lambda_layer_version_record *row,
                      struct lambda_layer_versions_list_item *item)
{
	item->layer_version_arn = version_arn(c, c->account, layer, row->version.v);
	item->version = row->version;
	item->description = row->description;
	item->created_date = row->created_date;
	item->compatible_runtimes = row->compatible_runtimes;
	item->compatible_architectures = row->compatible_architectures;
	item->license_info = row->license_info;
}

int lambda_list_layer_versions(struct call *c, const struct lambda_list_layer_versions_request *in,
                               struct lambda_list_layer_versions_response *out)
{
	struct lambda_page page;
	struct str layer = layer_name(in->layer_name);
	if (lambda_page_begin(c, in->marker, in->max_items, LAMBDA_PAGE, &page) != CALL_OK)
		return CALL_FAIL;
	/* Newest first: keys ascend, so walk down, from just below the marker. */
	struct str prefix = KEY_UNDER(c->arena, S("lambda"), S("layer_version"), c->account, c->region, layer);
	struct str end = str_set(page.after) && str_starts(page.after, prefix) ? page.after : store_prefix_end(c->arena, prefix);
	struct store_iter *it = store_scan(call_txn(c), prefix, end, true);
	struct str key, last = STR_NONE;
	struct store_value value;
	out->layer_versions.set = true;
	while (store_next(it, &key, &value)) {
		struct state_lambda_layer_version_record row = {0};
		record_read(c->arena, value.value, ROW("LayerVersion"), &row);
		if (!lists(&row.compatible_runtimes, in->compatible_runtime) ||
		    !lists(&row.compatible_architectures, in->compatible_architecture))
			continue;
		if (out->layer_versions.n == page.max) {
			out->next_marker = lambda_page_marker(c, last);
			break;
		}
		fill_item(c, layer, &row, LIST_ADD(c->arena, &out->layer_versions));
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}

int lambda_list_layers(struct call *c, const struct lambda_list_layers_request *in, struct lambda_list_layers_response *out)
{
	struct lambda_page page;
	if (lambda_page_begin(c, in->marker, in->max_items, LAMBDA_PAGE, &page) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("layer"), c->account, c->region), page.after);
	struct str key, last = STR_NONE;
	struct store_value value;
	out->layers.set = true;
	while (store_next(it, &key, &value)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct str layer = parts.v[parts.n - 1];
		struct str prefix = KEY_UNDER(c->arena, S("lambda"), S("layer_version"), c->account, c->region, layer);
		struct store_iter *versions = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), true);
		struct str version_key;
		struct state_lambda_layer_version_record row = {0};
		bool found = false;
		while (!found && store_next(versions, &version_key, &value)) {
			row = (struct state_lambda_layer_version_record){0};
			record_read(c->arena, value.value, ROW("LayerVersion"), &row);
			found = lists(&row.compatible_runtimes, in->compatible_runtime) &&
			        lists(&row.compatible_architectures, in->compatible_architecture);
		}
		if (!found)
			continue;
		if (out->layers.n == page.max) {
			out->next_marker = lambda_page_marker(c, last);
			break;
		}
		struct lambda_layers_list_item *item = LIST_ADD(c->arena, &out->layers);
		item->layer_name = layer;
		item->layer_arn = layer_arn(c, c->account, layer);
		item->latest_matching_version = arena_new(c->arena, struct lambda_layer_versions_list_item);
		fill_item(c, layer, &row, item->latest_matching_version);
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}

int lambda_delete_layer_version(struct call *c, const struct lambda_delete_layer_version_request *in, struct model_none *out)
{
	(void)out;
	struct str layer = layer_name(in->layer_name);
	struct state_lambda_layer_version_record row = {0};
	struct str key = lambda_layer_version_key(c->arena, c->account, c->region, layer, in->version_number.v);
	if (!record_get(call_txn(c), c->arena, key, ROW("LayerVersion"), &row))
		return CALL_OK; /* deleting what is not there succeeds */
	lambda_code_release(c, row.code);
	store_delete(call_txn(c), key);
	store_delete(call_txn(c), lambda_layer_policy_key(c->arena, c->account, c->region, layer, in->version_number.v));
	return CALL_OK;
}
