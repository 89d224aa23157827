/* PutParameter: a parameter, or its next version. What is not said again stays as it was. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "model/pattern.h"

enum { STANDARD_CHARACTERS = 4096, ADVANCED_CHARACTERS = 8192 };

static int check_type(struct call *c, const struct ssm_put_parameter_request *in, struct state_ssm_version_record *v)
{
	if (in->type.n)
		v->type = in->type;
	if (!str_set(v->type))
		return ssm_invalid(c, "A parameter type is required when you create a parameter.");
	bool secure = str_is(v->type, "SecureString");
	if (!secure && in->key_id.n)
		return ssm_invalid(c, "KeyId is not required for %.*s type parameter.", STR_ARG(v->type));
	struct str arn = arena_printf(c->arena, "arn:aws:kms:%.*s:%.*s:" SSM_KEY_ALIAS, STR_ARG(c->region), STR_ARG(c->account));
	v->key_id = !secure ? STR_NONE : in->key_id.n && !str_eq(in->key_id, arn) ? in->key_id : S(SSM_KEY_ALIAS);
	if (str_is(v->type, "StringList")) {
		/* An empty item would not be told apart from no item. */
		struct str rest = in->value;
		while (str_set(rest))
			if (!str_cut(&rest, ',').n)
				return ssm_invalid(c, "Parameter StringList value can't contain empty items.");
	}
	return CALL_OK;
}

/* An upgrade to advanced cannot be taken back: what a value takes away by being shorter is not known. */
static int check_tier(struct call *c, const struct ssm_put_parameter_request *in, struct state_ssm_version_record *v)
{
	size_t characters = str_utf8_len(in->value);
	bool advanced = str_is(v->tier, "Advanced");
	if (str_is(in->tier, "Standard") && advanced)
		return ssm_invalid(
		        c,
		        "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to "
		        "the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard "
		        "parameter.");
	if (str_is(in->tier, "Advanced") || (str_is(in->tier, "Intelligent-Tiering") && characters > STANDARD_CHARACTERS))
		advanced = true;
	if (!advanced && characters > STANDARD_CHARACTERS)
		return ssm_invalid(
		        c,
		        "Standard tier parameters support a maximum parameter value of %d characters. To create a larger "
		        "parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see "
		        "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html",
		        STANDARD_CHARACTERS);
	if (characters > ADVANCED_CHARACTERS)
		return ssm_invalid(c, "Advanced tier parameters support a maximum parameter value of %d characters.",
		                   ADVANCED_CHARACTERS);
	v->tier = advanced ? S("Advanced") : S("Standard");
	return CALL_OK;
}

static int check_value(struct call *c, const struct ssm_put_parameter_request *in, struct state_ssm_version_record *v)
{
	if (!in->value.n)
		return ssm_invalid(
		        c, "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have "
		           "length greater than or equal to 1.");
	ptrdiff_t open = str_find(in->value, S("{{"));
	if (open >= 0 && str_find(str_from_at(in->value, (size_t)open), S("}}")) >= 0)
		return ssm_invalid(c, "Parameter value: can't nest another parameter. Do not use \"{{}}\" in the value.");
	if (str_set(in->allowed_pattern))
		v->allowed_pattern = in->allowed_pattern;
	if (!v->allowed_pattern.n)
		return CALL_OK;
	const struct pattern *pattern = pattern_compile(c->arena, v->allowed_pattern, NULL);
	if (!pattern)
		return call_fail(c, "InvalidAllowedPatternException", 0,
		                 "The request does not meet the regular expression requirement.");
	if (!pattern_match(c->arena, pattern, in->value))
		return call_fail(c, "ParameterPatternMismatchException", 0,
		                 "Parameter value, cannot be validated against allowedPattern: %.*s", STR_ARG(v->allowed_pattern));
	return CALL_OK;
}

static int check_data_type(struct call *c, const struct ssm_put_parameter_request *in, struct state_ssm_version_record *v)
{
	if (in->data_type.n)
		v->data_type = in->data_type;
	if (!str_set(v->data_type))
		v->data_type = S("text");
	if (str_is(v->data_type, "text"))
		return CALL_OK;
	if (!str_is(v->data_type, "aws:ec2:image"))
		return ssm_invalid(c, "The following data type is not supported: %.*s (Data type names are all lowercase.)",
		                   STR_ARG(v->data_type));
	if (!str_is(v->type, "String"))
		return ssm_invalid(c, "The data type aws:ec2:image is for parameters of the type String alone.");
	if (!call_allowed(c, "ec2:DescribeImages", S("*")))
		return CALL_FAIL;
	if (!ec2_image_there(c, in->value))
		return ssm_invalid(
		        c,
		        "The value of a parameter of the data type aws:ec2:image is not the ID of an image that is available: "
		        "%.*s",
		        STR_ARG(in->value));
	return CALL_OK;
}

static int fill_value(struct call *c, struct str name, struct str value, struct state_ssm_version_record *v)
{
	v->value = v->sealed = STR_NONE;
	if (!str_is(v->type, "SecureString")) {
		v->value = value;
		return CALL_OK;
	}
	return ssm_seal(c, value, ssm_arn(c, name), v);
}

/* Room for one more version: the oldest goes, unless a label holds it. */
static int make_room(struct call *c, struct state_ssm_parameter_record *p)
{
	if (p->latest->version.v - p->oldest.v + 1 < SSM_VERSIONS_MAX)
		return CALL_OK;
	for (uint32_t i = 0; i < p->labels.n; i++)
		if (p->labels.v[i].version.v == p->oldest.v)
			return call_fail(
			        c, "ParameterMaxVersionLimitExceeded", 0,
			        "You attempted to create a new version of %.*s by calling the PutParameter API with the "
			        "overwrite flag. Version %lld, the oldest version, can't be deleted because it has a label "
			        "associated with it. Move the label to another version of the parameter, and try again.",
			        STR_ARG(p->name), (long long)p->oldest.v);
	store_delete(call_txn(c), ssm_version_key(c, p->name, p->oldest.v));
	p->oldest.v++;
	return CALL_OK;
}

static void keep_version(struct call *c, const struct state_ssm_parameter_record *p)
{
	static const struct record_type version_row = {&state_ssm_api, "VersionRecord"};
	record_put(call_txn(c), c->arena, ssm_version_key(c, p->name, p->latest->version.v), &version_row, p->latest);
}

static int refuse(struct call *c, const struct ssm_put_parameter_request *in, bool there)
{
	if (in->overwrite.v && in->tags.n)
		return ssm_invalid(
		        c, "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
		           "remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
		           "RemoveTagsFromResource.");
	if (str_set(in->policies) && !str_is(str_trim(in->policies), "[]") && !str_is(str_trim(in->policies), "[{}]"))
		return call_fail(c, "InvalidPolicyTypeException", 0, "This cloud does not provide parameter policies.");
	if (there && !in->overwrite.v)
		return call_fail(
		        c, "ParameterAlreadyExists", 0,
		        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.");
	return CALL_OK;
}

int ssm_put_parameter(struct call *c, const struct ssm_put_parameter_request *in, struct ssm_put_parameter_result *out)
{
	struct state_ssm_parameter_record p = {0};
	struct state_ssm_version_record v = {0};
	struct str name = str_starts(in->name, S("arn:")) ? ssm_reference(c, in->name).name : in->name;
	if (ssm_name_check(c, name) != CALL_OK)
		return CALL_FAIL;
	bool there = ssm_find(c, name, &p), was_advanced = there && str_is(p.latest->tier, "Advanced");
	if (refuse(c, in, there) != CALL_OK)
		return CALL_FAIL;
	if (there)
		v = *p.latest;
	if (check_type(c, in, &v) != CALL_OK || check_value(c, in, &v) != CALL_OK || check_tier(c, in, &v) != CALL_OK ||
	    check_data_type(c, in, &v) != CALL_OK)
		return CALL_FAIL;
	if (there && make_room(c, &p) != CALL_OK)
		return CALL_FAIL;
	if (there)
		keep_version(c, &p);
	else if (ssm_tags_take(c, &in->tags, &p.tags) != CALL_OK)
		return CALL_FAIL;
	bool advanced = str_is(v.tier, "Advanced");
	if ((!there || advanced != was_advanced) && ssm_count(c, !there && !advanced ? 1 : there ? -1 : 0, advanced) != CALL_OK)
		return CALL_FAIL;
	p.name = name;
	p.oldest = OPT_INT(there ? p.oldest.v : 1);
	v.version = OPT_INT(v.version.v + 1);
	if (str_set(in->description))
		v.description = in->description;
	v.modified = OPT_TIME(c->now_ms);
	v.modified_by = c->caller->arn;
	if (fill_value(c, name, in->value, &v) != CALL_OK)
		return CALL_FAIL;
	p.latest = &v;
	ssm_put_row(c, &p);
	out->version = v.version;
	out->tier = v.tier;
	return CALL_OK;
}
