/* Layers: numbered packages that functions mount at /opt. */
#include "aws/lambda/code.h"
#include "base/clock.h"

struct str lambda_layer_arn(struct arena *a, const struct lambda_layer_name *n)
{
	struct str arn = ARENA_CAT(a, S("arn:aws:lambda:"), n->region, S(":"), n->account, S(":layer:"), n->name);
	return n->version ? arena_printf(a, "%.*s:%lld", STR_ARG(arn), (long long)n->version) : arn;
}

/* name, arn:aws:lambda:region:account:layer:name or the same with :version */
bool lambda_layer_split(struct str text, struct lambda_layer_name *ret)
{
	struct lambda_layer_name n = {.name = text};
	if (!str_starts(text, S("arn:"))) {
		*ret = n;
		return true;
	}
	struct str parts[7] = {0}, rest = text;
	for (int i = 0; i < 7; i++)
		parts[i] = str_cut(&rest, ':');
	if (!str_set(parts[6]) || !str_eq(parts[2], S("lambda")) || !str_eq(parts[5], S("layer")))
		return false;
	n = (struct lambda_layer_name){.region = parts[3], .account = parts[4], .name = parts[6]};
	if (str_set(rest) && !lambda_is_version_number(rest, &n.version))
		return false;
	*ret = n;
	return true;
}

int lambda_layer_parse(struct call *c, struct str text, int64_t version, struct lambda_layer_name *ret)
{
	struct lambda_layer_name n;
	if (!lambda_layer_split(text, &n) || (str_set(n.region) && !str_eq(n.region, c->region)))
		return lambda_invalid(c, "Invalid layer ARN: %.*s", STR_ARG(text));
	n.region = c->region;
	if (!str_set(n.account))
		n.account = c->account;
	if (version)
		n.version = version;
	*ret = n;
	return CALL_OK;
}

bool lambda_get_layer_row(struct call *c, const struct lambda_layer_name *n, struct state_lambda_layer_version_record *ret)
{
	struct str key = lambda_layer_version_key(c->arena, n->account, n->region, n->name, n->version);
	return record_get(call_txn(c), c->arena, key, ROW("LayerVersion"), ret);
}

struct str lambda_layer_policy(struct call *c, const struct lambda_layer_name *n)
{
	struct state_lambda_policy_record policy = {0};
	struct str key = lambda_layer_policy_key(c->arena, n->account, n->region, n->name, n->version);
	return record_get(call_txn(c), c->arena, key, ROW("Policy"), &policy) ? lambda_policy_document(c->arena, &policy)
	                                                                      : STR_NONE;
}

/* Is it a version of a layer that stands before it in the list? */
static int check_twice(struct call *c, const struct str_list *arns, uint32_t at)
{
	struct str arn = arns->v[at], without = str_sub(arn, 0, (size_t)str_rfind_char(arn, ':') + 1);
	for (uint32_t i = 0; i < at; i++)
		if (str_starts(arns->v[i], without))
			return lambda_invalid(
			        c,
			        "Two different versions of the same layer are not allowed to be referenced in the same function. %.*s and %.*s are versions of the same layer.",
			        STR_ARG(arns->v[i]), STR_ARG(arn));
	return CALL_OK;
}

int lambda_resolve_layers(struct call *c, const struct str_list *arns, int64_t code_unzipped_bytes,
                          struct lambda_layers_reference_list *ret, struct str_list *ret_code)
{
	if (arns->n > LAMBDA_LAYERS_MAX)
		return lambda_invalid(c, "You cannot reference more than 5 layers at a time.");
	int64_t total = code_unzipped_bytes;
	for (uint32_t i = 0; i < arns->n; i++) {
		struct str arn = arns->v[i];
		struct lambda_layer_name n;
		if (!lambda_layer_split(arn, &n) || !n.version)
			return lambda_invalid(c, "Invalid layer version ARN: %.*s", STR_ARG(arn));
		if (!str_eq(n.region, c->region))
			return lambda_invalid(
			        c, "Layers are not in the same region as the function. Layers are expected to be in region %.*s.",
			        STR_ARG(c->region));
		if (check_twice(c, arns, i) != CALL_OK)
			return CALL_FAIL;
		struct state_lambda_layer_version_record row = {0};
		if (!lambda_get_layer_row(c, &n, &row))
			return lambda_invalid(c, "Layer version %.*s does not exist.", STR_ARG(arn));
		struct authz az = {.action = S("lambda:GetLayerVersion"),
		                   .resource = arn,
		                   .resource_account = n.account,
		                   .resource_policy = lambda_layer_policy(c, &n)};
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

/* PublishLayerVersion and GetLayerVersion answer alike. */
_Static_assert(sizeof(struct lambda_publish_layer_version_response) == sizeof(struct lambda_get_layer_version_response) &&
                       offsetof(struct lambda_publish_layer_version_response, license_info) ==
                               offsetof(struct lambda_get_layer_version_response, license_info) &&
                       offsetof(struct lambda_publish_layer_version_response, compatible_architectures) ==
                               offsetof(struct lambda_get_layer_version_response, compatible_architectures),
               "one function fills both");

static void show(struct call *c, const struct lambda_layer_name *n, const struct state_lambda_layer_version_record *row,
                 struct lambda_get_layer_version_response *out)
{
	out->content = arena_new(c->arena, struct lambda_layer_version_content_output);
	out->content->location = code_link(c, row->code);
	out->content->code_sha256 = row->code_sha256;
	out->content->code_size = row->code_size;
	out->layer_arn = lambda_layer_arn(c->arena, &(struct lambda_layer_name){n->region, n->account, n->name, 0});
	out->layer_version_arn = lambda_layer_arn(c->arena, n);
	out->description = row->description;
	out->created_date = row->created_date;
	out->version = row->version;
	out->compatible_runtimes = row->compatible_runtimes;
	out->compatible_architectures = row->compatible_architectures;
	out->license_info = row->license_info;
}

static int publish_again(struct call *c)
{
	return lambda_publish_layer_version(c, c->in, c->out);
}

int lambda_publish_layer_version(struct call *c, const struct lambda_publish_layer_version_request *in,
                                 struct lambda_publish_layer_version_response *out)
{
	struct lambda_work *w = lambda_work(c);
	struct lambda_layer_name n;
	if (lambda_layer_parse(c, in->layer_name, 0, &n) != CALL_OK)
		return CALL_FAIL;
	if (!w->code_taken) {
		struct code_source source = {in->content->zip_file, in->content->s3_bucket, in->content->s3_key,
		                             in->content->s3_object_version};
		return code_take_in(c, &source, publish_again);
	}
	if (code_intake_check(c, &w->intake) != CALL_OK)
		return CALL_FAIL;
	struct state_lambda_layer_record counter = {0};
	struct str key = lambda_layer_key(c->arena, n.account, n.region, n.name);
	record_get(call_txn(c), c->arena, key, ROW("Layer"), &counter);
	n.version = ++counter.last_version.v;
	counter.last_version.set = true;
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
	record_put(call_txn(c), c->arena, lambda_layer_version_key(c->arena, n.account, n.region, n.name, n.version),
	           ROW("LayerVersion"), &row);
	lambda_code_reference(c, row.code, w->intake.bytes, w->intake.unzipped_bytes);
	show(c, &n, &row, (struct lambda_get_layer_version_response *)(void *)out);
	return CALL_OK;
}

static int get_version(struct call *c, const struct lambda_layer_name *n, struct lambda_get_layer_version_response *out)
{
	struct state_lambda_layer_version_record row = {0};
	if (!lambda_get_layer_row(c, n, &row))
		return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
	show(c, n, &row, out);
	return CALL_OK;
}

int lambda_get_layer_version(struct call *c, const struct lambda_get_layer_version_request *in,
                             struct lambda_get_layer_version_response *out)
{
	struct lambda_layer_name n;
	return lambda_layer_parse(c, in->layer_name, in->version_number.v, &n) == CALL_OK ? get_version(c, &n, out) : CALL_FAIL;
}

int lambda_get_layer_version_by_arn(struct call *c, const struct lambda_get_layer_version_by_arn_request *in,
                                    struct lambda_get_layer_version_response *out)
{
	struct lambda_layer_name n;
	if (!lambda_layer_split(in->arn, &n) || !n.version || !str_eq(n.region, c->region))
		return lambda_invalid(c, "Invalid layer version ARN: %.*s", STR_ARG(in->arn));
	return get_version(c, &n, out);
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

static void fill_item(struct call *c, const struct lambda_layer_name *layer, const struct state_lambda_layer_version_record *row,
                      struct lambda_layer_versions_list_item *item)
{
	struct lambda_layer_name n = *layer;
	n.version = row->version.v;
	item->layer_version_arn = lambda_layer_arn(c->arena, &n);
	item->version = row->version;
	item->description = row->description;
	item->created_date = row->created_date;
	item->compatible_runtimes = row->compatible_runtimes;
	item->compatible_architectures = row->compatible_architectures;
	item->license_info = row->license_info;
}

static struct str versions_prefix(struct call *c, const struct lambda_layer_name *n)
{
	return KEY_UNDER(c->arena, S("lambda"), S("layer_version"), n->account, n->region, n->name);
}

int lambda_list_layer_versions(struct call *c, const struct lambda_list_layer_versions_request *in,
                               struct lambda_list_layer_versions_response *out)
{
	struct lambda_layer_name n;
	struct lambda_list l;
	struct state_lambda_layer_version_record row;
	/* Newest first: keys ascend. */
	if (lambda_layer_parse(c, in->layer_name, 0, &n) != CALL_OK ||
	    lambda_list_begin(c, versions_prefix(c, &n), true, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->layer_versions.set = true;
	while (lambda_list_next(&l, ROW("LayerVersion"), &row)) {
		if (!lists(&row.compatible_runtimes, in->compatible_runtime) ||
		    !lists(&row.compatible_architectures, in->compatible_architecture))
			continue;
		if (!lambda_list_take(&l, &out->next_marker))
			break;
		fill_item(c, &n, &row, LIST_ADD(c->arena, &out->layer_versions));
	}
	return CALL_OK;
}

/* The newest version of the layer that fits. False: none does, or all are deleted. */
static bool latest_matching(struct call *c, const struct lambda_layer_name *n, const struct lambda_list_layers_request *in,
                            struct state_lambda_layer_version_record *ret)
{
	struct lambda_list l;
	if (lambda_list_begin(c, versions_prefix(c, n), true, STR_NONE, (struct opt_int){0}, &l) != CALL_OK)
		return false;
	while (lambda_list_next(&l, ROW("LayerVersion"), ret))
		if (lists(&ret->compatible_runtimes, in->compatible_runtime) &&
		    lists(&ret->compatible_architectures, in->compatible_architecture))
			return true;
	return false;
}

int lambda_list_layers(struct call *c, const struct lambda_list_layers_request *in, struct lambda_list_layers_response *out)
{
	struct lambda_list l;
	struct state_lambda_layer_record layer;
	struct str prefix = KEY_UNDER(c->arena, S("lambda"), S("layer"), c->account, c->region);
	if (lambda_list_begin(c, prefix, false, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->layers.set = true;
	while (lambda_list_next(&l, ROW("Layer"), &layer)) {
		struct str_list parts = record_key_parts(c->arena, l.key);
		struct lambda_layer_name n = {.region = c->region, .account = c->account, .name = parts.v[parts.n - 1]};
		struct state_lambda_layer_version_record row;
		if (!latest_matching(c, &n, in, &row))
			continue;
		if (!lambda_list_take(&l, &out->next_marker))
			break;
		struct lambda_layers_list_item *item = LIST_ADD(c->arena, &out->layers);
		item->layer_name = n.name;
		item->layer_arn = lambda_layer_arn(c->arena, &n);
		item->latest_matching_version = arena_new(c->arena, struct lambda_layer_versions_list_item);
		fill_item(c, &n, &row, item->latest_matching_version);
	}
	return CALL_OK;
}

int lambda_delete_layer_version(struct call *c, const struct lambda_delete_layer_version_request *in, struct model_none *out)
{
	(void)out;
	struct lambda_layer_name n;
	struct state_lambda_layer_version_record row = {0};
	if (lambda_layer_parse(c, in->layer_name, in->version_number.v, &n) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_layer_row(c, &n, &row))
		return CALL_OK; /* deleting what is not there succeeds */
	lambda_code_release(c, row.code);
	store_delete(call_txn(c), lambda_layer_version_key(c->arena, n.account, n.region, n.name, n.version));
	store_delete(call_txn(c), lambda_layer_policy_key(c->arena, n.account, n.region, n.name, n.version));
	return CALL_OK;
}
