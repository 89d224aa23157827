/* Labels of versions: LabelParameterVersion and UnlabelParameterVersion. A label is on one version of a parameter at most. */
#include "rows.h"

static int get_own(struct call *c, struct str text, struct opt_int version, struct state_ssm_parameter_record *ret,
                   int64_t *ret_version)
{
	struct str name = ssm_reference(c, text).name;
	if (ssm_name_public(name) || !ssm_find(c, name, ret))
		return call_fail(c, "ParameterNotFound", 0, "%s", "");
	*ret_version = version.set ? version.v : ret->latest->version.v;
	if (*ret_version < ret->oldest.v || *ret_version > ret->latest->version.v)
		return call_fail(c, "ParameterVersionNotFound", 0,
		                 "Systems Manager could not find version %lld of %.*s. Verify the version and try again.",
		                 (long long)*ret_version, STR_ARG(ret->name));
	return CALL_OK;
}

static struct state_ssm_label *find(struct state_ssm_parameter_record *p, struct str label)
{
	for (uint32_t i = 0; i < p->labels.n; i++)
		if (str_eq(p->labels.v[i].name, label))
			return &p->labels.v[i];
	return NULL;
}

int ssm_label_parameter_version(struct call *c, const struct ssm_label_parameter_version_request *in,
                                struct ssm_label_parameter_version_result *out)
{
	struct state_ssm_parameter_record p;
	int64_t version;
	unsigned count = 0;
	out->invalid_labels.set = true;
	if (get_own(c, in->name, in->parameter_version, &p, &version) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->labels.n; i++) {
		if (!ssm_label_good(in->labels.v[i])) {
			*LIST_ADD(c->arena, &out->invalid_labels) = in->labels.v[i];
			continue;
		}
		struct state_ssm_label *l = find(&p, in->labels.v[i]);
		if (!l)
			l = LIST_ADD(c->arena, &p.labels);
		*l = (struct state_ssm_label){.name = in->labels.v[i], .version = OPT_INT(version)};
	}
	for (uint32_t i = 0; i < p.labels.n; i++)
		count += p.labels.v[i].version.v == version;
	if (count > SSM_LABELS_MAX)
		return call_fail(
		        c, "ParameterVersionLabelLimitExceeded", 0,
		        "A parameter version can have a maximum of %d labels. Move one or more labels to another version and try "
		        "again.",
		        SSM_LABELS_MAX);
	out->parameter_version = OPT_INT(version);
	ssm_put_row(c, &p);
	return CALL_OK;
}

int ssm_unlabel_parameter_version(struct call *c, const struct ssm_unlabel_parameter_version_request *in,
                                  struct ssm_unlabel_parameter_version_result *out)
{
	struct state_ssm_parameter_record p;
	int64_t version;
	out->removed_labels.set = out->invalid_labels.set = true;
	if (get_own(c, in->name, in->parameter_version, &p, &version) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->labels.n; i++) {
		struct state_ssm_label *l = find(&p, in->labels.v[i]);
		if (!l || l->version.v != version) {
			*LIST_ADD(c->arena, &out->invalid_labels) = in->labels.v[i];
			continue;
		}
		*LIST_ADD(c->arena, &out->removed_labels) = in->labels.v[i];
		*l = p.labels.v[--p.labels.n];
	}
	ssm_put_row(c, &p);
	return CALL_OK;
}
