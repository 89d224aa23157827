/* Repositories: CreateRepository, DescribeRepositories, DeleteRepository, PutImageTagMutability. */
#include "aws/ecr/rows.h"

enum { TAGS_MAX = 50, PAGE_DEFAULT = 100 };

static int unsupported(struct call *c, const char *what)
{
	return ecr_invalid(c, "Quartet does not provide %s.", what);
}

static void fill(struct call *c, const struct ecr_place *p, const struct state_ecr_repository_record *r, struct ecr_repository *ret)
{
	ret->repository_arn = ecr_arn(c->arena, p);
	ret->registry_id = p->account;
	ret->repository_name = r->name;
	ret->repository_uri = ARENA_CAT(c->arena, ecr_host(c, p->account, p->region), S("/"), r->name);
	ret->created_at = r->created;
	ret->image_tag_mutability = r->mutability;
	for (uint32_t i = 0; i < r->filters.n; i++)
		*LIST_ADD(c->arena, &ret->image_tag_mutability_exclusion_filters) =
		        (struct ecr_image_tag_mutability_exclusion_filter){S("WILDCARD"), r->filters.v[i]};
	ret->image_scanning_configuration = arena_new(c->arena, struct ecr_image_scanning_configuration);
	ret->image_scanning_configuration->scan_on_push = OPT_BOOL(false);
	ret->encryption_configuration = arena_new(c->arena, struct ecr_encryption_configuration);
	ret->encryption_configuration->encryption_type = S("AES256");
}

int ecr_set_mutability(struct call *c, struct str mode, const struct ecr_image_tag_mutability_exclusion_filters *filters,
                       struct state_ecr_repository_record *r)
{
	bool wants = str_ends(mode, S("_WITH_EXCLUSION"));
	r->mutability = str_set(mode) ? mode : S("MUTABLE");
	r->filters = (struct str_list){0};
	if (wants != (filters->n > 0))
		return ecr_invalid(
		        c, "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'filters are "
		           "given with MUTABLE_WITH_EXCLUSION and IMMUTABLE_WITH_EXCLUSION, and with them alone'");
	for (uint32_t i = 0; i < filters->n; i++) {
		unsigned stars = 0;
		for (size_t k = 0; k < filters->v[i].filter.n; k++) {
			char one = filters->v[i].filter.p[k];
			stars += one == '*';
			if (one != '*' && !ascii_is_alnum(one) && one != '.' && one != '_' && one != '-')
				return ecr_invalid(
				        c,
				        "Invalid parameter at 'filter' failed to satisfy constraint: 'a filter has letters, digits, "
				        "._-* and no more'");
		}
		if (stars > 2)
			return ecr_invalid(
			        c, "Invalid parameter at 'filter' failed to satisfy constraint: 'a filter has at most two *'");
		*LIST_ADD(c->arena, &r->filters) = filters->v[i].filter;
	}
	return CALL_OK;
}

int ecr_take_tags(struct call *c, const struct ecr_tag_list *tags, struct str_map *to)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		uint32_t at = 0;
		if (str_istarts(tags->v[i].key, S("aws:")))
			return call_fail(c, "InvalidTagParameterException", 0,
			                 "Tag keys beginning with aws: are reserved for system use.");
		while (at < to->n && !str_eq(to->v[at].key, tags->v[i].key))
			at++;
		struct str_map_entry *e = at < to->n ? &to->v[at] : LIST_ADD(c->arena, to);
		*e = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	}
	if (to->n > TAGS_MAX)
		return call_fail(c, "TooManyTagsException", 0, "A repository can have at most %d tags.", TAGS_MAX);
	return CALL_OK;
}

int ecr_create_repository(struct call *c, const struct ecr_create_repository_request *in,
                          struct ecr_create_repository_response *out)
{
	const struct ecr_encryption_configuration *encryption = in->encryption_configuration;
	struct state_ecr_repository_record r = {.name = in->repository_name, .created = OPT_TIME(c->now_ms)}, old;
	struct ecr_place p = {str_set(in->registry_id) ? in->registry_id : c->account, c->region, in->repository_name};
	if (encryption && !str_is(encryption->encryption_type, "AES256"))
		return unsupported(c, "repositories encrypted with keys of KMS; encryptionType is AES256");
	if (encryption && str_set(encryption->kms_key))
		return ecr_invalid(c, "Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: 'kmsKey is of "
		                      "encryptionType KMS'");
	if (in->image_scanning_configuration && in->image_scanning_configuration->scan_on_push.v)
		return unsupported(c, "image scanning; scanOnPush is false");
	if (ecr_set_mutability(c, in->image_tag_mutability, &in->image_tag_mutability_exclusion_filters, &r) != CALL_OK ||
	    ecr_take_tags(c, &in->tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	if (!ecr_name_good(p.name))
		return ecr_invalid(
		        c, "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
		           "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''");
	if (ecr_find_repository(call_txn(c), c->arena, &p, &old))
		return call_fail(c, "RepositoryAlreadyExistsException", 0,
		                 "The repository with name '%.*s' already exists in the registry with id '%.*s'", STR_ARG(p.name),
		                 STR_ARG(p.account));
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, &p), ECR_ROW("Repository"), &r);
	out->repository = arena_new(c->arena, struct ecr_repository);
	fill(c, &p, &r, out->repository);
	return CALL_OK;
}

int ecr_describe_repositories(struct call *c, const struct ecr_describe_repositories_request *in,
                              struct ecr_describe_repositories_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	out->repositories.set = true;
	if (in->repository_names.n && (str_set(in->next_token) || in->max_results.set))
		return ecr_invalid(c, "repositoryNames cannot be given together with nextToken or maxResults.");
	for (uint32_t i = 0; i < in->repository_names.n; i++) {
		if (ecr_get(c, in->registry_id, in->repository_names.v[i], &p, &r) != CALL_OK)
			return CALL_FAIL;
		fill(c, &p, &r, LIST_ADD(c->arena, &out->repositories));
	}
	if (in->repository_names.n)
		return CALL_OK;
	p = (struct ecr_place){str_set(in->registry_id) ? in->registry_id : c->account, c->region, S("")};
	struct str under = KEY_UNDER(c->arena, S("ecr"), S("repository"), p.account, p.region), from, key, last = STR_NONE;
	struct store_value v;
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : PAGE_DEFAULT;
	if (ecr_page_from(c, in->next_token, under, &from) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		if (out->repositories.n == max) {
			out->next_token = ecr_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		record_read(c->arena, v.value, ECR_ROW("Repository"), &r);
		p.name = r.name;
		fill(c, &p, &r, LIST_ADD(c->arena, &out->repositories));
	}
	return CALL_OK;
}

/* Deletes all keys of a kind; says how many there were. */
static int64_t delete_under(struct call *c, const char *kind, const struct ecr_place *p)
{
	struct str under = ecr_under(c->arena, kind, p), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct str_list keys = {0};
	while (store_next(i, &key, &v))
		*LIST_ADD(c->arena, &keys) = arena_dup(c->arena, key);
	for (uint32_t k = 0; k < keys.n; k++)
		store_delete(call_txn(c), keys.v[k]);
	return keys.n;
}

static void drop_layers(struct call *c, const struct ecr_place *p)
{
	struct str under = ecr_under(c->arena, "layer", p), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct str_list digests = {0};
	while (store_next(i, &key, &v))
		*LIST_ADD(c->arena, &digests) = arena_dup(c->arena, str_from_at(key, under.n));
	for (uint32_t k = 0; k < digests.n; k++)
		ecr_layer_drop(call_txn(c), c->arena, p, digests.v[k], c->now_ms);
}

int ecr_delete_repository(struct call *c, const struct ecr_delete_repository_request *in,
                          struct ecr_delete_repository_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct store_value v;
	struct str key;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	struct str under = ecr_under(c->arena, "image", &p);
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	if (!in->force.v && store_next(i, &key, &v))
		return call_fail(
		        c, "RepositoryNotEmptyException", 0,
		        "The repository with name '%.*s' in registry with id '%.*s' cannot be deleted because it still contains "
		        "images",
		        STR_ARG(p.name), STR_ARG(p.account));
	int64_t images = delete_under(c, "image", &p);
	if (images)
		ecr_count(call_txn(c), c->arena, &p, 0, -images, c->now_ms);
	drop_layers(c, &p);
	delete_under(c, "tag", &p);
	delete_under(c, "manifest", &p);
	delete_under(c, "referrer", &p);
	delete_under(c, "upstream", &p);
	store_delete(call_txn(c), KEY(c->arena, S("ecr"), S("preview"), p.account, p.region, p.name));
	store_delete(call_txn(c), ecr_repository_key(c->arena, &p));
	out->repository = arena_new(c->arena, struct ecr_repository);
	fill(c, &p, &r, out->repository);
	return CALL_OK;
}

int ecr_put_image_tag_mutability(struct call *c, const struct ecr_put_image_tag_mutability_request *in,
                                 struct ecr_put_image_tag_mutability_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK ||
	    ecr_set_mutability(c, in->image_tag_mutability, &in->image_tag_mutability_exclusion_filters, &r) != CALL_OK)
		return CALL_FAIL;
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, &p), ECR_ROW("Repository"), &r);
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->image_tag_mutability = r.mutability;
	out->image_tag_mutability_exclusion_filters = in->image_tag_mutability_exclusion_filters;
	return CALL_OK;
}

/* --- tags: TagResource, UntagResource, ListTagsForResource */

static int get_by_arn(struct call *c, struct str arn, struct ecr_place *ret_place, struct state_ecr_repository_record *ret)
{
	struct str head = ARENA_CAT(c->arena, S("arn:aws:ecr:"), c->region, S(":")), rest = str_from_at(arn, head.n);
	struct str account = str_cut(&rest, ':');
	if (!str_starts(arn, head) || !str_set(rest) || !str_starts(rest, S("repository/")))
		return ecr_invalid(c, "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'");
	return ecr_get(c, account, str_from_at(rest, 11), ret_place, ret);
}

int ecr_tag_resource(struct call *c, const struct ecr_tag_resource_request *in, struct ecr_tag_resource_response *out)
{
	(void)out;
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (get_by_arn(c, in->resource_arn, &p, &r) != CALL_OK || ecr_take_tags(c, &in->tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, &p), ECR_ROW("Repository"), &r);
	return CALL_OK;
}

int ecr_untag_resource(struct call *c, const struct ecr_untag_resource_request *in, struct ecr_untag_resource_response *out)
{
	(void)out;
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct str_map left = {0};
	if (get_by_arn(c, in->resource_arn, &p, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.tags.n; i++) {
		bool gone = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			gone = gone || str_eq(in->tag_keys.v[k], r.tags.v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = r.tags.v[i];
	}
	r.tags = left;
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, &p), ECR_ROW("Repository"), &r);
	return CALL_OK;
}

int ecr_list_tags_for_resource(struct call *c, const struct ecr_list_tags_for_resource_request *in,
                               struct ecr_list_tags_for_resource_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	out->tags.set = true;
	if (get_by_arn(c, in->resource_arn, &p, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.tags.n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct ecr_tag){r.tags.v[i].key, r.tags.v[i].value};
	return CALL_OK;
}
