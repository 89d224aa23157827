/* Creation templates: what a repository is like that the registry makes by itself - for an image that a pull-through cache fetches,
 * or for a push to a name that is not there yet. The longest prefix counts; ROOT is the one of all names. */
#include "aws/ecr/lifecycle.h"
#include "aws/ecr/rows.h"

enum { TEMPLATES_MAX = 50, PAGE_DEFAULT = 100 };

static struct str template_key(struct arena *a, struct str account, struct str region, struct str prefix)
{
	return KEY(a, S("ecr"), S("template"), account, region, prefix);
}

static struct str without_slash(struct str s)
{
	return str_ends(s, S("/")) ? str_sub(s, 0, s.n - 1) : s;
}

static bool has(const struct str_list *list, const char *what)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (str_is(list->v[i], what))
			return true;
	return false;
}

/* --- what they are for */

/* The most particular template of the repository's name that is for this; ROOT is asked last. */
static bool find_for(struct call *c, const struct ecr_place *p, const char *what, struct state_ecr_template_record *ret)
{
	for (struct str prefix = p->name; prefix.n;) {
		ptrdiff_t slash = str_rfind_char(prefix, '/');
		prefix = slash > 0 ? str_sub(prefix, 0, (size_t)slash) : S("");
		struct str key = template_key(c->arena, p->account, p->region, prefix.n ? prefix : S("ROOT"));
		if (record_get(call_txn(c), c->arena, key, ECR_ROW("Template"), ret) && has(&ret->applied_for, what))
			return true;
	}
	return false;
}

bool ecr_make_repository(struct call *c, const struct ecr_place *p, const char *what, struct state_ecr_repository_record *ret)
{
	struct state_ecr_template_record t;
	bool found = find_for(c, p, what, &t);
	*ret = (struct state_ecr_repository_record){.name = p->name, .created = OPT_TIME(c->now_ms), .mutability = S("MUTABLE")};
	if (found) {
		ret->mutability = t.mutability;
		ret->filters = t.filters;
		ret->tags = t.tags;
		ret->policy = t.policy;
		ret->lifecycle = t.lifecycle;
	}
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, p), ECR_ROW("Repository"), ret);
	return found;
}

bool ecr_made_by_push(struct call *c, const struct ecr_place *p)
{
	struct state_ecr_template_record t;
	return ecr_name_good(p->name) && find_for(c, p, "CREATE_ON_PUSH", &t);
}

int ecr_get_for_push(struct call *c, const struct ecr_place *p, struct state_ecr_repository_record *ret)
{
	if (ecr_find_repository(call_txn(c), c->arena, p, ret))
		return CALL_OK;
	if (!ecr_made_by_push(c, p))
		return ecr_fail_repository(c, p);
	if (!ecr_allowed(c, "ecr:CreateRepository", p))
		return CALL_FAIL;
	ecr_make_repository(c, p, "CREATE_ON_PUSH", ret);
	return CALL_OK;
}

/* --- operations */

static int no_template(struct call *c, struct str prefix)
{
	return call_fail(c, "TemplateNotFoundException", 0,
	                 "The repository creation template with prefix '%.*s' does not exist in the registry with id '%.*s'",
	                 STR_ARG(prefix), STR_ARG(c->account));
}

static void fill(struct call *c, const struct state_ecr_template_record *r, struct ecr_repository_creation_template **ret)
{
	struct ecr_repository_creation_template *t = arena_new(c->arena, struct ecr_repository_creation_template);
	t->prefix = r->prefix;
	t->description = r->description;
	t->encryption_configuration = arena_new(c->arena, struct ecr_encryption_configuration_for_repository_creation_template);
	t->encryption_configuration->encryption_type = S("AES256");
	for (uint32_t i = 0; i < r->tags.n; i++)
		*LIST_ADD(c->arena, &t->resource_tags) = (struct ecr_tag){r->tags.v[i].key, r->tags.v[i].value};
	t->image_tag_mutability = r->mutability;
	for (uint32_t i = 0; i < r->filters.n; i++)
		*LIST_ADD(c->arena, &t->image_tag_mutability_exclusion_filters) =
		        (struct ecr_image_tag_mutability_exclusion_filter){S("WILDCARD"), r->filters.v[i]};
	t->repository_policy = r->policy;
	t->lifecycle_policy = r->lifecycle;
	t->applied_for = r->applied_for;
	t->created_at = r->created;
	t->updated_at = r->updated;
	*ret = t;
}

/* Members of a request, as both operations that have them give them; what is not given stays. An empty policy is none. */
static int take(struct call *c, const struct ecr_create_repository_creation_template_request *in,
                struct state_ecr_template_record *r)
{
	const struct ecr_encryption_configuration_for_repository_creation_template *encryption = in->encryption_configuration;
	struct state_ecr_repository_record settings = {0};
	if (encryption && !str_is(encryption->encryption_type, "AES256"))
		return ecr_invalid(c,
		                   "Quartet does not provide repositories encrypted with keys of KMS; encryptionType is AES256.");
	if (str_set(in->custom_role_arn) && in->custom_role_arn.n)
		return ecr_invalid(c,
		                   "Quartet does not provide roles of creation templates: the registry makes repositories itself.");
	if (has(&in->applied_for, "REPLICATION"))
		return ecr_invalid(c, "Quartet does not provide replication.");
	if (str_set(in->image_tag_mutability) || in->image_tag_mutability_exclusion_filters.n) {
		if (ecr_set_mutability(c, in->image_tag_mutability, &in->image_tag_mutability_exclusion_filters, &settings) !=
		    CALL_OK)
			return CALL_FAIL;
		r->mutability = settings.mutability;
		r->filters = settings.filters;
	}
	if (in->resource_tags.set) {
		if (ecr_take_tags(c, &in->resource_tags, &settings.tags) != CALL_OK)
			return CALL_FAIL;
		r->tags = settings.tags;
	}
	if (in->repository_policy.n && ecr_check_policy(c, in->repository_policy, false) != CALL_OK)
		return CALL_FAIL;
	if (in->lifecycle_policy.n && ecr_check_lifecycle(c, in->lifecycle_policy) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->repository_policy))
		r->policy = in->repository_policy.n ? in->repository_policy : STR_NONE;
	if (str_set(in->lifecycle_policy))
		r->lifecycle = in->lifecycle_policy.n ? in->lifecycle_policy : STR_NONE;
	if (str_set(in->description))
		r->description = in->description;
	if (in->applied_for.set)
		r->applied_for = in->applied_for;
	r->updated = OPT_TIME(c->now_ms);
	return r->applied_for.n ? CALL_OK
	                        : ecr_invalid(c, "Invalid parameter at 'appliedFor' failed to satisfy constraint: 'it is empty'");
}

static unsigned count(struct call *c, struct str under)
{
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct str key;
	unsigned n = 0;
	while (store_next(i, &key, &v))
		n++;
	return n;
}

int ecr_create_repository_creation_template(struct call *c, const struct ecr_create_repository_creation_template_request *in,
                                            struct ecr_create_repository_creation_template_response *out)
{
	struct state_ecr_template_record old,
	        r = {.prefix = without_slash(in->prefix), .mutability = S("MUTABLE"), .created = OPT_TIME(c->now_ms)};
	struct str key = template_key(c->arena, c->account, c->region, r.prefix);
	if (take(c, in, &r) != CALL_OK)
		return CALL_FAIL;
	if (record_get(call_txn(c), c->arena, key, ECR_ROW("Template"), &old))
		return call_fail(
		        c, "TemplateAlreadyExistsException", 0,
		        "The repository creation template with prefix '%.*s' already exists in the registry with id '%.*s'",
		        STR_ARG(r.prefix), STR_ARG(c->account));
	if (count(c, KEY_UNDER(c->arena, S("ecr"), S("template"), c->account, c->region)) >= TEMPLATES_MAX)
		return call_fail(c, "LimitExceededException", 0, "A registry has at most %d repository creation templates.",
		                 TEMPLATES_MAX);
	record_put(call_txn(c), c->arena, key, ECR_ROW("Template"), &r);
	out->registry_id = c->account;
	fill(c, &r, &out->repository_creation_template);
	return CALL_OK;
}

int ecr_update_repository_creation_template(struct call *c, const struct ecr_update_repository_creation_template_request *in,
                                            struct ecr_update_repository_creation_template_response *out)
{
	struct state_ecr_template_record r;
	struct str prefix = without_slash(in->prefix), key = template_key(c->arena, c->account, c->region, prefix);
	const struct ecr_create_repository_creation_template_request given = {
	        .prefix = prefix,
	        .description = in->description,
	        .encryption_configuration = in->encryption_configuration,
	        .resource_tags = in->resource_tags,
	        .image_tag_mutability = in->image_tag_mutability,
	        .image_tag_mutability_exclusion_filters = in->image_tag_mutability_exclusion_filters,
	        .repository_policy = in->repository_policy,
	        .lifecycle_policy = in->lifecycle_policy,
	        .applied_for = in->applied_for,
	        .custom_role_arn = in->custom_role_arn};
	if (!record_get(call_txn(c), c->arena, key, ECR_ROW("Template"), &r))
		return no_template(c, prefix);
	if (take(c, &given, &r) != CALL_OK)
		return CALL_FAIL;
	record_put(call_txn(c), c->arena, key, ECR_ROW("Template"), &r);
	out->registry_id = c->account;
	fill(c, &r, &out->repository_creation_template);
	return CALL_OK;
}

int ecr_delete_repository_creation_template(struct call *c, const struct ecr_delete_repository_creation_template_request *in,
                                            struct ecr_delete_repository_creation_template_response *out)
{
	struct state_ecr_template_record r;
	struct str prefix = without_slash(in->prefix), key = template_key(c->arena, c->account, c->region, prefix);
	if (!record_get(call_txn(c), c->arena, key, ECR_ROW("Template"), &r))
		return no_template(c, prefix);
	store_delete(call_txn(c), key);
	out->registry_id = c->account;
	fill(c, &r, &out->repository_creation_template);
	return CALL_OK;
}

int ecr_describe_repository_creation_templates(struct call *c, const struct ecr_describe_repository_creation_templates_request *in,
                                               struct ecr_describe_repository_creation_templates_response *out)
{
	struct state_ecr_template_record r;
	struct ecr_repository_creation_template *t;
	struct store_value v;
	struct str under = KEY_UNDER(c->arena, S("ecr"), S("template"), c->account, c->region), from, key, last = STR_NONE;
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : PAGE_DEFAULT;
	out->registry_id = c->account;
	out->repository_creation_templates.set = true;
	if (ecr_page_from(c, in->next_token, under, &from) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		record_read(c->arena, v.value, ECR_ROW("Template"), &r);
		bool wanted = !in->prefixes.n;
		for (uint32_t k = 0; k < in->prefixes.n && !wanted; k++)
			wanted = str_eq(without_slash(in->prefixes.v[k]), r.prefix);
		if (!wanted)
			continue;
		if (out->repository_creation_templates.n == max) {
			out->next_token = ecr_page_token(c, last);
			break;
		}
		fill(c, &r, &t);
		*LIST_ADD(c->arena, &out->repository_creation_templates) = *t;
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}
