/* GetParameter and GetParameters: values by name or ARN, of the newest version or of one that a selector names. */
#include "rows.h"

static bool fill(struct call *c, const struct state_ssm_parameter_record *p, const struct state_ssm_version_record *v,
                 struct str selector, bool decrypt, struct ssm_parameter *ret)
{
	*ret = (struct ssm_parameter){
	        .name = p->name,
	        .type = v->type,
	        .version = v->version,
	        .last_modified_date = v->modified,
	        .arn = ssm_arn(c, p->name),
	        .data_type = v->data_type,
	};
	if (str_set(selector))
		ret->selector = ARENA_CAT(c->arena, S(":"), selector);
	return ssm_value(c, p->name, v, decrypt, &ret->value);
}

int ssm_get_parameter(struct call *c, const struct ssm_get_parameter_request *in, struct ssm_get_parameter_result *out)
{
	struct state_ssm_parameter_record p;
	struct state_ssm_version_record v;
	struct ssm_reference ref = ssm_reference(c, in->name);
	if (ssm_name_secret(ref.name)) {
		out->parameter = arena_new(c->arena, struct ssm_parameter);
		return ssm_secret_read(c, in->name, in->with_decryption.v, out->parameter);
	}
	if (!ssm_find(c, ref.name, &p))
		return call_fail(c, "ParameterNotFound", 0, "%s", "");
	if (!ssm_find_version(c, &p, ssm_select(&p, ref.selector), &v))
		return call_fail(c, "ParameterVersionNotFound", 0,
		                 "Systems Manager could not find version %.*s of %.*s. Verify the version and try again.",
		                 STR_ARG(ref.selector), STR_ARG(p.name));
	out->parameter = arena_new(c->arena, struct ssm_parameter);
	return fill(c, &p, &v, ref.selector, in->with_decryption.v, out->parameter) ? CALL_OK : CALL_FAIL;
}

int ssm_get_parameters(struct call *c, const struct ssm_get_parameters_request *in, struct ssm_get_parameters_result *out)
{
	out->parameters.set = out->invalid_parameters.set = true;
	for (uint32_t i = 0; i < in->names.n; i++) {
		struct state_ssm_parameter_record p;
		struct state_ssm_version_record v;
		struct ssm_reference ref = ssm_reference(c, in->names.v[i]);
		if (ssm_name_secret(ref.name)) {
			struct ssm_parameter found = {0};
			if (ssm_secret_read(c, in->names.v[i], in->with_decryption.v, &found) == CALL_OK)
				*LIST_ADD(c->arena, &out->parameters) = found;
			else if (str_is(c->error.code, "ParameterNotFound"))
				*LIST_ADD(c->arena, &out->invalid_parameters) = in->names.v[i];
			else
				return CALL_FAIL;
			c->error = (struct call_error){0};
			continue;
		}
		if (!ssm_find(c, ref.name, &p) || !ssm_find_version(c, &p, ssm_select(&p, ref.selector), &v))
			*LIST_ADD(c->arena, &out->invalid_parameters) = in->names.v[i];
		else if (!fill(c, &p, &v, ref.selector, in->with_decryption.v, LIST_ADD(c->arena, &out->parameters)))
			return CALL_FAIL;
	}
	return CALL_OK;
}

/* --- by path */

static const struct ssm_parameter_string_filter *label_filter(const struct ssm_parameter_string_filter_list *filters)
{
	for (uint32_t i = 0; i < filters->n; i++)
		if (str_is(filters->v[i].key, "Label"))
			return &filters->v[i];
	return NULL;
}

/* The version that one of the labels is on; without a filter the newest. */
static bool version_wanted(struct call *c, const struct state_ssm_parameter_record *p,
                           const struct ssm_parameter_string_filter *labels, struct str *ret_label,
                           struct state_ssm_version_record *ret)
{
	*ret_label = STR_NONE;
	if (!labels)
		return ssm_find_version(c, p, p->latest->version.v, ret);
	for (uint32_t i = 0; i < labels->values.n; i++) {
		*ret_label = labels->values.v[i];
		int64_t version = ssm_label_good(*ret_label) ? ssm_select(p, *ret_label) : 0;
		if (version && ssm_find_version(c, p, version, ret))
			return true;
	}
	return false;
}

static bool wanted(struct call *c, const struct ssm_get_parameters_by_path_request *in, const struct state_ssm_parameter_record *p)
{
	bool is = ssm_below(p->name, in->path, in->recursive.v);
	for (uint32_t i = 0; is && i < in->parameter_filters.n; i++)
		is = ssm_filter_matches(c, p, &in->parameter_filters.v[i]);
	return is;
}

static bool add(struct call *c, const struct ssm_get_parameters_by_path_request *in, const struct state_ssm_parameter_record *p,
                struct ssm_get_parameters_by_path_result *out)
{
	struct state_ssm_version_record v;
	struct str label;
	if (!version_wanted(c, p, label_filter(&in->parameter_filters), &label, &v))
		return true;
	return fill(c, p, &v, label, in->with_decryption.v, LIST_ADD(c->arena, &out->parameters));
}

/* What is public is short: one page has it all. */
static int public_by_path(struct call *c, const struct ssm_get_parameters_by_path_request *in,
                          struct ssm_get_parameters_by_path_result *out)
{
	struct state_ssm_parameter_record p;
	for (unsigned i = 0; str_set(ssm_public_name(i)); i++)
		if (ssm_public_find(c, ssm_public_name(i), &p) && wanted(c, in, &p) && !add(c, in, &p, out))
			return CALL_FAIL;
	return CALL_OK;
}

int ssm_get_parameters_by_path(struct call *c, const struct ssm_get_parameters_by_path_request *in,
                               struct ssm_get_parameters_by_path_result *out)
{
	static const char *const keys[] = {"Type", "KeyId", "Label", NULL};
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 10;
	out->parameters.set = true;
	if (ssm_path_check(c, in->path) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->parameter_filters.n; i++)
		if (ssm_filter_check(c, &in->parameter_filters.v[i], keys) != CALL_OK)
			return CALL_FAIL;
	if (str_starts(in->path, S("/aws")))
		return public_by_path(c, in, out);
	struct ssm_walk w;
	struct str last = STR_NONE;
	/* Names without a path are below the root too. */
	if (ssm_walk_begin(c, &w, in->path.n > 1 ? in->path : S(""), in->next_token) != CALL_OK)
		return CALL_FAIL;
	while (ssm_walk_next(c, &w)) {
		if (!wanted(c, in, &w.row))
			continue;
		if (out->parameters.n == limit) {
			out->next_token = ssm_page_token(c, last);
			break;
		}
		if (!add(c, in, &w.row, out))
			return CALL_FAIL;
		last = w.key;
	}
	return CALL_OK;
}
