/* Published versions: numbered copies of $LATEST that never change. */
#include "aws/lambda/lambda.h"
#include "aws/lambda/snapstart.h"
#include "base/id.h"

void lambda_trim_for_list(struct lambda_function_configuration *f)
{
	f->state = f->state_reason = f->state_reason_code = STR_NONE;
	f->last_update_status = f->last_update_status_reason = f->last_update_status_reason_code = STR_NONE;
	f->runtime_version_config = NULL;
}

const struct lambda_function_configuration *lambda_list_item(struct call *c, struct state_lambda_version_record *row,
                                                             bool qualified)
{
	struct lambda_function_configuration *f = row->config;
	/* A published version's ARN has its number anyway. */
	if (qualified && str_eq(f->version, S(LAMBDA_LATEST)))
		f->function_arn = ARENA_CAT(c->arena, f->function_arn, S(":" LAMBDA_LATEST));
	lambda_trim_for_list(f);
	return f;
}

static void hold_code(struct call *c, const struct state_lambda_version_record *row)
{
	lambda_code_reference(c, row->code, 0, 0);
	for (uint32_t i = 0; i < row->layer_code.n; i++)
		lambda_code_reference(c, row->layer_code.v[i], 0, 0);
}

void lambda_version_release(struct call *c, const struct lambda_name *n, const struct state_lambda_version_record *row)
{
	lambda_code_release(c, row->code);
	for (uint32_t i = 0; i < row->layer_code.n; i++)
		lambda_code_release(c, row->layer_code.v[i]);
	lambda_vpc_release(c, n, row->config);
}

/* What makes two versions the same: code and configuration, without identity, times and progress. */
static struct str essence(struct call *c, const struct state_lambda_version_record *row)
{
	struct lambda_function_configuration f = *row->config;
	lambda_trim_for_list(&f);
	f.version = f.function_arn = f.revision_id = f.last_modified = f.description = STR_NONE;
	f.snap_start = snapstart_response(c->arena, row->config, false);
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
	f->snap_start = snapstart_response(c->arena, f, true);
	f->state = S("Pending");
	f->state_reason = S("The function is being created.");
	f->state_reason_code = S("Creating");
	f->last_update_status = f->last_update_status_reason = f->last_update_status_reason_code = STR_NONE;
	struct state_lambda_version_record version = {
	        .config = f, .code = row->code, .layer_code = row->layer_code, .image = row->image};
	hold_code(c, &version);
	if (lambda_vpc_hold(c, n, f) != CALL_OK)
		return CALL_FAIL;
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
	if (str_set(in->publish_to))
		return lambda_invalid(c, "PublishTo is not supported by this cloud.");
	if (lambda_load_changeable(c, in->function_name, in->revision_id, &n, &function, &row) != CALL_OK)
		return CALL_FAIL;
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
	struct lambda_list l;
	struct state_lambda_version_record row;
	if (lambda_list_of_function(c, S("version"), in->function_name, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->versions.set = true;
	while (lambda_list_next(&l, ROW("Version"), &row) && lambda_list_take(&l, &out->next_marker))
		*LIST_ADD(c->arena, &out->versions) = *lambda_list_item(c, &row, true);
	return CALL_OK;
}
