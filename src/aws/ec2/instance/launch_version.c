/* Versions of launch templates: records under ("ec2", account, region, "lt-version", template, number). A number is given once. */
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"
#include "base/clock.h"

enum { VERSIONS_MAX = 10000, DELETED_MAX = 200, DESCRIPTION_MAX = 255 };

static const struct record_type version_row = {&ec2_api, "LaunchTemplateVersion"};

static struct str version_key(const struct ec2_scope *s, struct str template, int64_t number)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("lt-version"), template,
	           arena_printf(s->arena, "%016lld", (long long)number));
}

bool ec2_launch_version_find(const struct ec2_scope *s, struct str template, int64_t number,
                             struct ec2_launch_template_version *ret)
{
	return record_get(s->txn, s->arena, version_key(s, template, number), &version_row, ret);
}

/* Which one is the default is the template's to say. */
void ec2_launch_version_put(const struct ec2_scope *s, const struct ec2_launch_template_version *v)
{
	record_put(s->txn, s->arena, version_key(s, v->launch_template_id, v->version_number.v), &version_row, v);
}

struct versions {
	struct ec2_launch_template_version *v;
	uint32_t n;
	bool set;
};

static struct versions all_of(const struct ec2_scope *s, struct str template)
{
	struct versions all = {0};
	struct str under = KEY_UNDER(s->arena, S("ec2"), s->account, s->region, S("lt-version"), template), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value value;
	struct ec2_launch_template_version v;
	while (store_next(iter, &key, &value))
		if (record_read(s->arena, value.value, &version_row, &v))
			*LIST_ADD(s->arena, &all) = v;
	return all;
}

void ec2_launch_versions_drop_all(const struct ec2_scope *s, struct str template)
{
	struct versions all = all_of(s, template);
	for (uint32_t i = 0; i < all.n; i++)
		store_delete(s->txn, version_key(s, template, all.v[i].version_number.v));
}

static int no_such_version(struct call *c, const struct ec2_launch_template *t, struct str version)
{
	return call_fail(c, "InvalidLaunchTemplateId.VersionNotFound", 400,
	                 "Could not find the specified version %.*s for the launch template with ID %.*s.", STR_ARG(version),
	                 STR_ARG(t->launch_template_id));
}

static bool is_word(struct str version)
{
	return str_is(version, "$Latest") || str_is(version, "$Default");
}

static int number_of(struct call *c, const struct ec2_launch_template *t, struct str version, int64_t *ret)
{
	if (!version.n || str_is(version, "$Default"))
		*ret = t->default_version_number.v;
	else if (str_is(version, "$Latest"))
		*ret = t->latest_version_number.v;
	else if (!str_to_i64(version, ret) || *ret < 1)
		return ec2_invalid(
		        c, "Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.");
	return CALL_OK;
}

int ec2_launch_version_given(struct call *c, const struct ec2_launch_template *t, struct str version,
                             struct ec2_launch_template_version *ret)
{
	struct ec2_scope s = ec2_scope(c);
	int64_t number;
	if (number_of(c, t, version, &number) != CALL_OK)
		return CALL_FAIL;
	if (!ec2_launch_version_find(&s, t->launch_template_id, number, ret))
		return no_such_version(c, t, version);
	ret->default_version = OPT_BOOL(number == t->default_version_number.v);
	return CALL_OK;
}

int ec2_create_launch_template_version(struct call *c, const struct ec2_create_launch_template_version_request *in,
                                       struct ec2_create_launch_template_version_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_launch_template_record r;
	struct ec2_launch_template_version source;
	struct ec2_response_launch_template_data *data;
	if (in->resolve_alias.v)
		return ec2_unsupported(c, "Resolving an alias");
	if (ec2_launch_template_given(c, in->launch_template_id, in->launch_template_name, &r) != CALL_OK ||
	    (in->source_version.n && ec2_launch_version_given(c, r.template, in->source_version, &source) != CALL_OK) ||
	    ec2_launch_data_take(c, in->launch_template_data, &data) != CALL_OK)
		return CALL_FAIL;
	if (in->version_description.n && str_utf8_len(in->version_description) > DESCRIPTION_MAX)
		return ec2_invalid(c, "The version description is limited to %d characters", DESCRIPTION_MAX);
	if (all_of(&s, r.template->launch_template_id).n >= VERSIONS_MAX)
		return call_fail(c, "LaunchTemplateVersionLimitExceeded", 400,
		                 "The maximum number of versions (%d) of the launch template has been reached", VERSIONS_MAX);
	if (in->source_version.n)
		ec2_launch_data_inherit(data, source.launch_template_data);
	struct ec2_launch_template_version *v = arena_new(c->arena, struct ec2_launch_template_version);
	*v = (struct ec2_launch_template_version){.launch_template_id = r.template->launch_template_id,
	                                          .launch_template_name = r.template->launch_template_name,
	                                          .version_number = r.next_version,
	                                          .version_description = in->version_description,
	                                          .create_time = OPT_TIME(c->now_ms),
	                                          .created_by = c->caller->arn,
	                                          .launch_template_data = data};
	ec2_launch_version_put(&s, v);
	r.template->latest_version_number = v->version_number;
	r.next_version.v++;
	ec2_put(&s, &ec2_kind_launch_template, r.template->launch_template_id, &r);
	v->default_version = OPT_BOOL(false);
	out->launch_template_version = v;
	return CALL_OK;
}

/* --- deleting: each version for itself */

static void not_deleted(struct call *c, struct ec2_delete_launch_template_versions_result *out, const struct ec2_launch_template *t,
                        int64_t number, const char *code, struct str message)
{
	struct ec2_delete_launch_template_versions_response_error_item *item =
	        LIST_ADD(c->arena, &out->unsuccessfully_deleted_launch_template_versions);
	*item = (struct ec2_delete_launch_template_versions_response_error_item){.launch_template_id = t->launch_template_id,
	                                                                         .launch_template_name = t->launch_template_name,
	                                                                         .version_number = OPT_INT(number)};
	item->response_error = arena_new(c->arena, struct ec2_response_error);
	*item->response_error = (struct ec2_response_error){.code = str_from(code), .message = message};
}

int ec2_delete_launch_template_versions(struct call *c, const struct ec2_delete_launch_template_versions_request *in,
                                        struct ec2_delete_launch_template_versions_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_launch_template_record r;
	struct ec2_launch_template_version v;
	if (!in->versions.n)
		return ec2_missing(c, "LaunchTemplateVersion");
	if (in->versions.n > DELETED_MAX)
		return ec2_invalid(c, "At most %d versions can be deleted in one request", DELETED_MAX);
	if (ec2_launch_template_given(c, in->launch_template_id, in->launch_template_name, &r) != CALL_OK)
		return CALL_FAIL;
	struct ec2_launch_template *t = r.template;
	int64_t *numbers = arena_array(c->arena, in->versions.n, sizeof(*numbers));
	for (uint32_t i = 0; i < in->versions.n; i++)
		if (number_of(c, t, in->versions.v[i], &numbers[i]) != CALL_OK)
			return CALL_FAIL;
	out->successfully_deleted_launch_template_versions.set = out->unsuccessfully_deleted_launch_template_versions.set = true;
	for (uint32_t i = 0; i < in->versions.n; i++) {
		if (!ec2_launch_version_find(&s, t->launch_template_id, numbers[i], &v)) {
			not_deleted(c, out, t, numbers[i], "launchTemplateVersionDoesNotExist",
			            S("The specified launch template version does not exist."));
			continue;
		}
		if (numbers[i] == t->default_version_number.v) {
			not_deleted(
			        c, out, t, numbers[i], "unexpectedError",
			        S("Cannot delete default version. Please assign a different version as the default before deleting."));
			continue;
		}
		store_delete(s.txn, version_key(&s, t->launch_template_id, numbers[i]));
		*LIST_ADD(c->arena, &out->successfully_deleted_launch_template_versions) =
		        (struct ec2_delete_launch_template_versions_response_success_item){
		                .launch_template_id = t->launch_template_id,
		                .launch_template_name = t->launch_template_name,
		                .version_number = OPT_INT(numbers[i])};
	}
	struct versions left = all_of(&s, t->launch_template_id);
	t->latest_version_number = left.v[left.n - 1].version_number;
	ec2_put(&s, &ec2_kind_launch_template, t->launch_template_id, &r);
	return CALL_OK;
}

/* --- DescribeLaunchTemplateVersions */

#define ASK(name, value) \
	static void ask_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		const struct ec2_launch_template_version *v = record; \
		const struct ec2_response_launch_template_data *d = v->launch_template_data; \
		(void)d; \
		*LIST_ADD(c->arena, ret) = value; \
	}
ASK(create_time, time_format(c->arena, v->create_time.ms, TIME_ISO8601_MS))
ASK(optimized, d->ebs_optimized.v ? S("true") : S("false"))
ASK(endpoint, d->metadata_options ? d->metadata_options->http_endpoint : STR_NONE)
ASK(tokens, d->metadata_options ? d->metadata_options->http_tokens : STR_NONE)
ASK(profile, d->iam_instance_profile ? d->iam_instance_profile->arn : STR_NONE)
ASK(image, d->image_id)
ASK(type, d->instance_type)
ASK(kernel, d->kernel_id)
ASK(ram_disk, d->ram_disk_id)
ASK(resource_group, d->placement ? d->placement->host_resource_group_arn : STR_NONE)

static const struct ec2_field fields[] = {
        FIELD_ASK("create-time", ask_create_time),
        FIELD_ASK("ebs-optimized", ask_optimized),
        FIELD_ASK("host-resource-group-arn", ask_resource_group),
        FIELD_ASK("http-endpoint", ask_endpoint),
        FIELD_ASK("http-protocol-ipv4", ask_endpoint),
        FIELD_ASK("http-tokens", ask_tokens),
        FIELD_ASK("iam-instance-profile", ask_profile),
        FIELD_ASK("image-id", ask_image),
        FIELD_ASK("instance-type", ask_type),
        FIELD_FLAG("is-default-version", ec2_launch_template_version, default_version),
        FIELD_ASK("kernel-id", ask_kernel),
        FIELD_PATH("license-configuration-arn", "LaunchTemplateVersion",
                   "LaunchTemplateData.LicenseSpecifications.LicenseConfigurationArn"),
        FIELD_PATH("network-card-index", "LaunchTemplateVersion", "LaunchTemplateData.NetworkInterfaces.NetworkCardIndex"),
        FIELD_ASK("ram-disk-id", ask_ram_disk),
        {0},
};

/* What was asked for of one template, newest first. */
static int pick(struct call *c, const struct ec2_describe_launch_template_versions_request *in, const struct ec2_launch_template *t,
                struct versions *to)
{
	struct ec2_scope s = ec2_scope(c);
	int64_t low = 1, high = INT64_MAX;
	if ((in->min_version.n && number_of(c, t, in->min_version, &low) != CALL_OK) ||
	    (in->max_version.n && number_of(c, t, in->max_version, &high) != CALL_OK))
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->versions.n; i++) {
		struct ec2_launch_template_version v;
		bool twice = false;
		if (ec2_launch_version_given(c, t, in->versions.v[i], &v) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < to->n; k++)
			twice |= to->v[k].version_number.v == v.version_number.v &&
			         str_eq(to->v[k].launch_template_id, v.launch_template_id);
		if (!twice)
			*LIST_ADD(c->arena, to) = v;
	}
	if (in->versions.n)
		return CALL_OK;
	struct versions all = all_of(&s, t->launch_template_id);
	for (uint32_t i = all.n; i-- > 0;) {
		struct ec2_launch_template_version *v = &all.v[i];
		if (v->version_number.v < low || v->version_number.v > high)
			continue;
		v->default_version = OPT_BOOL(v->version_number.v == t->default_version_number.v);
		*LIST_ADD(c->arena, to) = *v;
	}
	return CALL_OK;
}

/* $Latest and $Default can be asked of all templates at once. */
static int pick_of_all(struct call *c, const struct ec2_describe_launch_template_versions_request *in, struct versions *to)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_launch_template);
	struct state_ec2_launch_template_record r;
	if (!in->versions.n)
		return ec2_missing(c, "LaunchTemplateId or LaunchTemplateName");
	for (uint32_t i = 0; i < in->versions.n; i++)
		if (!is_word(in->versions.v[i]))
			return ec2_combination(c,
			                       "Without a launch template only the versions $Latest and $Default can be described");
	while (ec2_next(&all, &r))
		if (pick(c, in, r.template, to) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

int ec2_describe_launch_template_versions(struct call *c, const struct ec2_describe_launch_template_versions_request *in,
                                          struct ec2_describe_launch_template_versions_result *out)
{
	struct state_ec2_launch_template_record r;
	struct versions all = {0};
	struct str after;
	bool one = in->launch_template_id.n || in->launch_template_name.n;
	if (in->resolve_alias.v)
		return ec2_unsupported(c, "Resolving an alias");
	if (in->versions.n && (in->min_version.n || in->max_version.n))
		return ec2_combination(c, "Versions cannot be specified together with a minimum or maximum version");
	if (ec2_filters_check(c, fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 200, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	if (one && ec2_launch_template_given(c, in->launch_template_id, in->launch_template_name, &r) != CALL_OK)
		return CALL_FAIL;
	if ((one ? pick(c, in, r.template, &all) : pick_of_all(c, in, &all)) != CALL_OK)
		return CALL_FAIL;
	out->launch_template_versions.set = true;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : UINT32_MAX;
	struct str last = STR_NONE;
	bool reached = !str_set(after);
	for (uint32_t i = 0; i < all.n; i++) {
		struct ec2_launch_template_version *v = &all.v[i];
		struct str at = arena_printf(c->arena, "%.*s %lld", STR_ARG(v->launch_template_id), (long long)v->version_number.v);
		if (!reached) {
			reached = str_eq(at, after);
			continue;
		}
		if (!ec2_filters_pass(c, &(const struct ec2_kind){0}, v, fields, &in->filters))
			continue;
		if (out->launch_template_versions.n == limit) {
			out->next_token = ec2_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->launch_template_versions) = *v;
		last = at;
	}
	return CALL_OK;
}
