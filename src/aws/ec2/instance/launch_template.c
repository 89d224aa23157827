/* Launch templates. A template is found by id in its record and by name in an index beside it; its versions are records of their
 * own (launch_version.c). */
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"
#include "base/clock.h"

enum { TEMPLATES_MAX = 5000, NAME_MIN = 3, NAME_MAX_CHARS = 128, DESCRIPTION_MAX = 255 };

static struct str name_key(struct call *c, struct str name)
{
	return KEY(c->arena, S("ec2"), c->account, c->region, S("lt-name"), name);
}

struct str ec2_launch_template_id(struct call *c, struct str name)
{
	struct store_value v;
	return name.n && store_get(call_txn(c), name_key(c, name), &v) ? arena_dup(c->arena, v.value) : STR_NONE;
}

static int no_such_id(struct call *c, struct str id)
{
	return call_fail(c, "InvalidLaunchTemplateId.NotFound", 400,
	                 "The specified launch template, with template ID %.*s, does not exist.", STR_ARG(id));
}

static int no_such_name(struct call *c, struct str name)
{
	return call_fail(c, "InvalidLaunchTemplateName.NotFoundException", 400,
	                 "The specified launch template, with template name %.*s, does not exist.", STR_ARG(name));
}

int ec2_launch_template_given(struct call *c, struct str id, struct str name, struct state_ec2_launch_template_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	if (id.n && name.n)
		return ec2_combination(c, "You may specify either a launch template ID or a launch template name, but not both.");
	if (!id.n && !name.n)
		return ec2_missing(c, "LaunchTemplateId or LaunchTemplateName");
	if (id.n && !ec2_id_well_formed(id, "lt"))
		return ec2_malformed(c, &ec2_kind_launch_template, id);
	if (id.n)
		return ec2_find(&s, &ec2_kind_launch_template, id, ret) ? CALL_OK : no_such_id(c, id);
	struct str found = ec2_launch_template_id(c, name);
	return str_set(found) && ec2_find(&s, &ec2_kind_launch_template, found, ret) ? CALL_OK : no_such_name(c, name);
}

bool ec2_launch_template_check_first(struct call *c, const void *in)
{
	if (!str_is(api_text(&ec2_api, c->op->name), "CreateLaunchTemplate"))
		return true;
	struct str name = ((const struct ec2_create_launch_template_request *)in)->launch_template_name;
	if (!name.n)
		return true;
	bool good = name.n >= NAME_MIN && name.n <= NAME_MAX_CHARS;
	for (size_t i = 0; i < name.n; i++) {
		char b = name.p[i];
		good = good && (ascii_is_digit(b) || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || strchr("()./_-", b));
	}
	if (!good)
		call_fail(
		        c, "InvalidLaunchTemplateName.MalformedException", 400,
		        "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.");
	return good;
}

static int check_name(struct call *c, struct str name)
{
	if (str_set(ec2_launch_template_id(c, name)))
		return call_fail(c, "InvalidLaunchTemplateName.AlreadyExistsException", 400,
		                 "Launch template name already in use.");
	return CALL_OK;
}

static bool is_full(const struct ec2_scope *s)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_launch_template);
	struct state_ec2_launch_template_record r;
	unsigned n = 0;
	while (ec2_next(&all, &r))
		n++;
	return n >= TEMPLATES_MAX;
}

int ec2_create_launch_template(struct call *c, const struct ec2_create_launch_template_request *in,
                               struct ec2_create_launch_template_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_response_launch_template_data *data;
	struct ec2_tag_list tags;
	if (!in->launch_template_name.n)
		return ec2_missing(c, "LaunchTemplateName");
	if (in->operator)
		return ec2_unsupported(c, "An operator of a launch template");
	if (check_name(c, in->launch_template_name) != CALL_OK)
		return CALL_FAIL;
	if (in->version_description.n && str_utf8_len(in->version_description) > DESCRIPTION_MAX)
		return ec2_invalid(c, "The version description is limited to %d characters", DESCRIPTION_MAX);
	if (ec2_launch_data_take(c, in->launch_template_data, &data) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_launch_template, &tags) != CALL_OK)
		return CALL_FAIL;
	if (is_full(&s))
		return call_fail(c, "LaunchTemplateLimitExceeded", 400,
		                 "The maximum number of launch templates (%d) has been reached", TEMPLATES_MAX);
	struct ec2_launch_template *t = arena_new(c->arena, struct ec2_launch_template);
	*t = (struct ec2_launch_template){.launch_template_id = ec2_new_id(c->arena, "lt"),
	                                  .launch_template_name = in->launch_template_name,
	                                  .create_time = OPT_TIME(c->now_ms),
	                                  .created_by = c->caller->arn,
	                                  .default_version_number = OPT_INT(1),
	                                  .latest_version_number = OPT_INT(1),
	                                  .tags = tags};
	const struct ec2_launch_template_version v = {.launch_template_id = t->launch_template_id,
	                                              .launch_template_name = t->launch_template_name,
	                                              .version_number = OPT_INT(1),
	                                              .version_description = in->version_description,
	                                              .create_time = t->create_time,
	                                              .created_by = t->created_by,
	                                              .launch_template_data = data};
	ec2_launch_version_put(&s, &v);
	const struct state_ec2_launch_template_record r = {.template = t, .next_version = OPT_INT(2)};
	ec2_put(&s, &ec2_kind_launch_template, t->launch_template_id, &r);
	store_put(s.txn, name_key(c, t->launch_template_name), t->launch_template_id);
	out->launch_template = t;
	return CALL_OK;
}

int ec2_delete_launch_template(struct call *c, const struct ec2_delete_launch_template_request *in,
                               struct ec2_delete_launch_template_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_launch_template_record r;
	if (ec2_launch_template_given(c, in->launch_template_id, in->launch_template_name, &r) != CALL_OK)
		return CALL_FAIL;
	ec2_launch_versions_drop_all(&s, r.template->launch_template_id);
	ec2_drop(&s, &ec2_kind_launch_template, r.template->launch_template_id);
	store_delete(s.txn, name_key(c, r.template->launch_template_name));
	out->launch_template = r.template;
	return CALL_OK;
}

int ec2_modify_launch_template(struct call *c, const struct ec2_modify_launch_template_request *in,
                               struct ec2_modify_launch_template_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_launch_template_record r;
	struct ec2_launch_template_version v;
	if (ec2_launch_template_given(c, in->launch_template_id, in->launch_template_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!in->default_version.n)
		return ec2_missing(c, "SetDefaultVersion");
	if (ec2_launch_version_given(c, r.template, in->default_version, &v) != CALL_OK)
		return CALL_FAIL;
	r.template->default_version_number = v.version_number;
	ec2_put(&s, &ec2_kind_launch_template, r.template->launch_template_id, &r);
	out->launch_template = r.template;
	return CALL_OK;
}

static void ask_create_time(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) = time_format(
	        c->arena, ((struct state_ec2_launch_template_record *)record)->template->create_time.ms, TIME_ISO8601_MS);
}

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_launch_templates_result *)out)->launch_templates) =
	        *((struct state_ec2_launch_template_record *)record)->template;
}

int ec2_describe_launch_templates(struct call *c, const struct ec2_describe_launch_templates_request *in,
                                  struct ec2_describe_launch_templates_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_ASK("create-time", ask_create_time),
	        FIELD_TEXT("launch-template-name", ec2_launch_template, launch_template_name),
	        {0},
	};
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_launch_template_record r;
	struct str_list ids = {0};
	for (uint32_t i = 0; i < in->launch_template_ids.n; i++) {
		struct str id = in->launch_template_ids.v[i];
		if (ec2_id_well_formed(id, "lt") && !ec2_find(&s, &ec2_kind_launch_template, id, &r))
			return no_such_id(c, id);
		*LIST_ADD(c->arena, &ids) = id;
	}
	for (uint32_t i = 0; i < in->launch_template_names.n; i++) {
		struct str id = ec2_launch_template_id(c, in->launch_template_names.v[i]);
		if (!str_set(id))
			return no_such_name(c, in->launch_template_names.v[i]);
		*LIST_ADD(c->arena, &ids) = id;
	}
	out->launch_templates.set = true;
	const struct ec2_walk walk = {.kind = &ec2_kind_launch_template,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show,
	                              .min = 1,
	                              .max = 200};
	return ec2_describe(c, &walk, out, &out->next_token);
}
