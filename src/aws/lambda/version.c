/* Published versions: numbered copies of $LATEST that never change. */
#include "aws/lambda/lambda.h"
#include "base/id.h"

void lambda_trim_for_list(struct lambda_function_configuration *f)
{
	f->state = f->state_reason = f->state_reason_code = STR_NONE;
	f->last_update_status = f->last_update_status_reason = f->last_update_status_reason_code = STR_NONE;
	f->runtime_version_config = NULL;
}

void lambda_version_hold_code(struct call *c, const struct state_lambda_version_record *row)
{
	lambda_code_reference(c, row->code, 0, 0);
	for (uint32_t i = 0; i < row->layer_code.n; i++)
		lambda_code_reference(c, row->layer_code.v[i], 0, 0);
}

void lambda_version_release_code(struct call *c, const struct state_lambda_version_record *row)
{
	lambda_code_release(c, row->code);
	for (uint32_t i = 0; i < row->layer_code.n; i++)
		lambda_code_release(c, row->layer_code.v[i]);
}

/* What makes two versions the same: code and configuration, without identity, times and progress. */
static struct str essence(struct call *c, const struct state_lambda_version_record *row)
{
	struct lambda_function_configuration f = *row->config;
	lambda_trim_for_list(&f);
	f.version = f.function_arn = f.revision_id = f.last_modified = f.description = STR_NONE;
	struct state_lambda_version_record bare = {.config = &f, .code = row->code};
	return record_write(c->arena, ROW("Version"), &bare);
}

int lambda_publish(struct call *c, const struct lambda_name *n, struct state_lambda_function_record *function,
                   const struct state_lambda_version_record *row, struct str description, struct lambda_function_configuration *out)
{
	struct state_lambda_version_record last = {0};
	if (function->last_version.v > 0) {
		struct str number = arena_printf(c->arena, "%lld", (long long)function->last_version.v);
		if (lambda_get_version_row(c, n, number, &last) && str_eq(essence(c, &last), essence(c, row))) {
			*out = *last.config;
			return CALL_OK;
		}
	}
	function->last_version = OPT_INT(function->last_version.v + 1);
	struct lambda_function_configuration *f = arena_new(c->arena, struct lambda_function_configuration);
	*f = *row->config;
	f->version = arena_printf(c->arena, "%lld", (long long)function->last_version.v);
	f->function_arn = lambda_function_arn(c->arena, n->region, n->account, n->name, f->version);
	f->revision_id = id_uuid(c->arena);
	if (str_set(description))
		f->description = description;
	f->state = S("Pending");
	f->state_reason = S("The function is being created.");
	f->state_reason_code = S("Creating");
	f->last_update_status = f->last_update_status_reason = f->last_update_status_reason_code = STR_NONE;
	struct state_lambda_version_record version = {.config = f, .code = row->code, .layer_code = row->layer_code};
	lambda_version_hold_code(c, &version);
	lambda_put_version_row(c, n, f->version, &version);
	*out = *f;
	return CALL_OK;
}

int lambda_publish_version(struct call *c, const struct lambda_publish_version_request *in,
                           struct lambda_function_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	struct state_lambda_function_record function = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_function_row(c, &n, &function) || !lambda_get_version_row(c, &n, S(LAMBDA_LATEST), &row))
		return lambda_no_function(c, &n);
	if (lambda_check_revision(c, in->revision_id, row.config->revision_id) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(row.config->state, S("Pending"))) {
		return call_fail(
		        c, "ResourceConflictException", 409,
		        "The operation cannot be performed at this time. The function is currently in the following state: Pending");
	}
	if (str_set(in->code_sha256) && !str_empty(in->code_sha256) && !str_eq(in->code_sha256, row.config->code_sha256)) {
		return lambda_invalid(
		        c,
		        "CodeSHA256 (%.*s) is different from current CodeSHA256 in $LATEST (%.*s). Please try again with the CodeSHA256 in $LATEST.",
		        STR_ARG(in->code_sha256), STR_ARG(row.config->code_sha256));
	}
	if (lambda_publish(c, &n, &function, &row, in->description, out) != CALL_OK)
		return CALL_FAIL;
	lambda_put_function_row(c, &n, &function);
	return CALL_OK;
}

int lambda_list_versions_by_function(struct call *c, const struct lambda_list_versions_by_function_request *in,
                                     struct lambda_list_versions_by_function_response *out)
{
	struct lambda_name n;
	struct lambda_page page;
	struct state_lambda_function_record function = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK ||
	    lambda_page_begin(c, in->marker, in->max_items, LAMBDA_PAGE, &page) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_function_row(c, &n, &function))
		return lambda_no_function(c, &n);
	struct store_iter *it =
	        lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("version"), n.account, n.region, n.name), page.after);
	struct str key, last = STR_NONE;
	struct store_value value;
	out->versions.set = true;
	while (store_next(it, &key, &value)) {
		struct state_lambda_version_record row = {0};
		record_read(c->arena, value.value, ROW("Version"), &row);
		if (out->versions.n == page.max) {
			out->next_marker = lambda_page_marker(c, last);
			break;
		}
		row.config->function_arn = lambda_function_arn(c->arena, n.region, n.account, n.name, row.config->version);
		lambda_trim_for_list(row.config);
		*LIST_ADD(c->arena, &out->versions) = *row.config;
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}
