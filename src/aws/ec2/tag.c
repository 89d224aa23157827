/* Tags: CreateTags, DeleteTags, DescribeTags, and those given at creation. They lie in the record of what they are on. */
#include "aws/ec2/tag.h"

enum { TAGS_MAX = 50, KEY_MAX = 128, VALUE_MAX = 256, RESOURCES_MAX = 1000 };

/* --- what a tag may be */

/* Services of ours mark what is theirs; they have checked what their clients give. */
static int check_owner(struct call *c, struct str key)
{
	if (c->http && str_istarts(key, S("aws:")))
		return ec2_invalid(c, "Tag keys starting with 'aws:' are reserved for internal use");
	return CALL_OK;
}

static int check_tag(struct call *c, const struct ec2_tag *tag)
{
	if (!str_set(tag->key) || !tag->key.n)
		return call_fail(c, "InvalidParameterValue", 400, "Tag key cannot be empty");
	if (str_utf8_len(tag->key) > KEY_MAX)
		return ec2_invalid(c, "Tag key exceeds the maximum length of %d characters", KEY_MAX);
	if (str_set(tag->value) && str_utf8_len(tag->value) > VALUE_MAX)
		return ec2_invalid(c, "Tag value exceeds the maximum length of %d characters", VALUE_MAX);
	return check_owner(c, tag->key);
}

static int check_tags(struct call *c, const struct ec2_tag_list *tags)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		if (check_tag(c, &tags->v[i]) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[k].key, tags->v[i].key))
				return ec2_invalid(c, "Duplicate tag key '%.*s' specified.", STR_ARG(tags->v[i].key));
	}
	return CALL_OK;
}

static int set_tags(struct call *c, struct ec2_tag_list *to, const struct ec2_tag_list *tags)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		uint32_t at = 0;
		while (at < to->n && !str_eq(to->v[at].key, tags->v[i].key))
			at++;
		struct ec2_tag *tag = at < to->n ? &to->v[at] : LIST_ADD(c->arena, to);
		tag->key = tags->v[i].key;
		tag->value = str_set(tags->v[i].value) ? tags->v[i].value : S("");
	}
	if (to->n > TAGS_MAX)
		return call_fail(c, "TagLimitExceeded", 400, "The maximum number of Tags for a resource has been reached.");
	return CALL_OK;
}

/* --- at creation */

void ec2_authz_request_tags(struct call *c, struct authz *az, const struct ec2_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:RequestTag", &map);
	if (!tags->n)
		return;
	authz_add(c, az, "aws:TagKeys", tags->v[0].key);
	struct authz_key *keys = &az->keys[az->key_count - 1];
	for (uint32_t i = 1; i < tags->n; i++)
		*LIST_ADD(c->arena, &keys->values) = tags->v[i].key;
}

static bool may_tag(struct call *c, const struct ec2_kind *kind, const struct ec2_tag_list *tags)
{
	struct authz az = {.action = S("ec2:CreateTags"), .resource = ec2_arn(c, kind, S("*"))};
	authz_add(c, &az, "ec2:CreateAction", api_text(c->service->api, c->op->name));
	ec2_authz_request_tags(c, &az, tags);
	return call_authorize(c, &az);
}

int ec2_tags_take(struct call *c, const struct ec2_tag_specification_list *specs, const struct ec2_kind *const *kinds)
{
	for (uint32_t i = 0; i < specs->n; i++) {
		const struct ec2_tag_specification *spec = &specs->v[i];
		if (!str_set(spec->resource_type))
			return call_fail(c, "InvalidParameterValue", 400, "Tag specification resource type must have a value");
		if (!spec->tags.n)
			return call_fail(c, "InvalidParameterValue", 400, "Tag specification must have at least one tag");
		const struct ec2_kind *const *k = kinds;
		while (*k && !str_is(spec->resource_type, (*k)->type))
			k++;
		if (!*k)
			return ec2_invalid(c, "'%.*s' is not a valid taggable resource type for this operation.",
			                   STR_ARG(spec->resource_type));
		for (uint32_t j = 0; j < i; j++)
			if (str_eq(specs->v[j].resource_type, spec->resource_type))
				return ec2_invalid(c, "Resource type '%.*s' is specified more than once in the tag specifications",
				                   STR_ARG(spec->resource_type));
		if (check_tags(c, &spec->tags) != CALL_OK)
			return CALL_FAIL;
		if (spec->tags.n > TAGS_MAX)
			return call_fail(c, "TagLimitExceeded", 400, "The maximum number of Tags for a resource has been reached.");
		if (!may_tag(c, *k, &spec->tags))
			return CALL_FAIL;
	}
	return CALL_OK;
}

struct ec2_tag_list ec2_tags_for(struct call *c, const struct ec2_tag_specification_list *specs, const struct ec2_kind *kind)
{
	struct ec2_tag_list tags = {0};
	for (uint32_t i = 0; i < specs->n; i++)
		if (str_is(specs->v[i].resource_type, kind->type))
			(void)set_tags(c, &tags, &specs->v[i].tags);
	return tags;
}

int ec2_tags_at_creation(struct call *c, const struct ec2_tag_specification_list *specs, const struct ec2_kind *kind,
                         struct ec2_tag_list *ret)
{
	if (ec2_tags_take(c, specs, (const struct ec2_kind *const[]){kind, NULL}) != CALL_OK)
		return CALL_FAIL;
	*ret = ec2_tags_for(c, specs, kind);
	return CALL_OK;
}

/* --- CreateTags and DeleteTags */

struct tagged {
	const struct ec2_kind *kind;
	struct str id;
	void *record;
};

/* Every resource is looked up before the first is changed. */
static int load_all(struct call *c, const struct str_list *ids, struct tagged *all)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < ids->n; i++) {
		struct tagged *t = &all[i];
		t->id = ids->v[i];
		t->kind = ec2_kind_of_id(t->id);
		if (!t->kind)
			return call_fail(c, "InvalidID", 400, "The ID '%.*s' is not valid", STR_ARG(t->id));
		for (uint32_t k = 0; k < i && !t->record; k++)
			if (str_eq(all[k].id, t->id))
				t->record = all[k].record;
		if (t->record)
			continue;
		if (!ec2_id_well_formed(t->id, t->kind->prefix))
			return ec2_malformed(c, t->kind, t->id);
		t->record = arena_zalloc(c->arena, t->kind->size);
		if (!ec2_find(&s, t->kind, t->id, t->record))
			return ec2_not_found(c, t->kind, &(struct str_list){.v = &t->id, .n = 1});
	}
	return CALL_OK;
}

static int take_ids(struct call *c, const struct str_list *ids, struct tagged **ret)
{
	if (!ids->n)
		return ec2_missing(c, "resourceIdSet");
	if (ids->n > RESOURCES_MAX)
		return ec2_invalid(c, "At most %d resources can be tagged in one request", RESOURCES_MAX);
	*ret = arena_array(c->arena, ids->n, sizeof(**ret));
	return load_all(c, ids, *ret);
}

int ec2_create_tags(struct call *c, const struct ec2_create_tags_request *in, struct model_none *out)
{
	(void)out;
	struct tagged *all;
	struct ec2_scope s = ec2_scope(c);
	if (!in->tags.n)
		return ec2_missing(c, "tagSet");
	if (check_tags(c, &in->tags) != CALL_OK || take_ids(c, &in->resources, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->resources.n; i++)
		if (set_tags(c, ec2_tags(all[i].kind, all[i].record), &in->tags) != CALL_OK)
			return CALL_FAIL;
	for (uint32_t i = 0; i < in->resources.n; i++)
		ec2_put(&s, all[i].kind, all[i].id, all[i].record);
	return CALL_OK;
}

/* A tag without a value goes whatever its value is; no tags at all: all go, but AWS's own. */
static bool leaves(const struct ec2_delete_tags_request *in, const struct ec2_tag *tag)
{
	if (!in->tags.n)
		return !str_starts(tag->key, S("aws:"));
	for (uint32_t i = 0; i < in->tags.n; i++)
		if (str_eq(in->tags.v[i].key, tag->key) &&
		    (!str_set(in->tags.v[i].value) || str_eq(in->tags.v[i].value, tag->value)))
			return true;
	return false;
}

int ec2_delete_tags(struct call *c, const struct ec2_delete_tags_request *in, struct model_none *out)
{
	(void)out;
	struct tagged *all;
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < in->tags.n; i++)
		if (check_owner(c, in->tags.v[i].key) != CALL_OK)
			return CALL_FAIL;
	if (take_ids(c, &in->resources, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->resources.n; i++) {
		struct ec2_tag_list *tags = ec2_tags(all[i].kind, all[i].record), left = {0};
		for (uint32_t k = 0; k < tags->n; k++)
			if (!leaves(in, &tags->v[k]))
				*LIST_ADD(c->arena, &left) = tags->v[k];
		*tags = left;
		ec2_put(&s, all[i].kind, all[i].id, all[i].record);
	}
	return CALL_OK;
}

/* --- DescribeTags */

static bool tag_passes(const struct ec2_filter_list *filters, const struct ec2_tag_description *tag)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct ec2_filter *f = &filters->v[i];
		struct str key = str_starts(f->name, S("tag:")) ? str_from_at(f->name, 4) : STR_NONE;
		bool pass = str_set(key)                     ? str_eq(key, tag->key) && ec2_filter_matches(f, tag->value)
		            : str_is(f->name, "key")         ? ec2_filter_matches(f, tag->key)
		            : str_is(f->name, "tag-key")     ? ec2_filter_matches(f, tag->key)
		            : str_is(f->name, "value")       ? ec2_filter_matches(f, tag->value)
		            : str_is(f->name, "tag-value")   ? ec2_filter_matches(f, tag->value)
		            : str_is(f->name, "resource-id") ? ec2_filter_matches(f, tag->resource_id)
		                                             : ec2_filter_matches(f, tag->resource_type);
		if (!pass)
			return false;
	}
	return true;
}

int ec2_describe_tags(struct call *c, const struct ec2_describe_tags_request *in, struct ec2_describe_tags_result *out)
{
	static const struct ec2_field names[] = {
	        {.name = "key"}, {.name = "value"}, {.name = "resource-id"}, {.name = "resource-type"}, {0}};
	struct str after, last = STR_NONE;
	if (ec2_filters_check(c, names, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 5, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	struct ec2_scope s = ec2_scope(c);
	out->tags.set = true;
	for (const struct ec2_kind *const *k = ec2_kinds; *k; k++) {
		struct ec2_all all = ec2_all(&s, *k);
		void *record = arena_zalloc(c->arena, (*k)->size);
		while (ec2_next(&all, record)) {
			const struct ec2_tag_list *tags = ec2_tags(*k, record);
			for (uint32_t i = 0; i < tags->n; i++) {
				struct ec2_tag_description tag = {.key = tags->v[i].key,
				                                  .value = tags->v[i].value,
				                                  .resource_id = all.id,
				                                  .resource_type = str_from((*k)->type)};
				struct str at = ARENA_CAT(c->arena, all.id, S("\n"), tag.key);
				/* Kinds come in the order of their prefixes, so places are in the order of ids. */
				if ((str_set(after) && str_cmp(at, after) <= 0) || !tag_passes(&in->filters, &tag))
					continue;
				if (in->max_results.set && out->tags.n == in->max_results.v) {
					out->next_token = ec2_page_token(c, last);
					return CALL_OK;
				}
				*LIST_ADD(c->arena, &out->tags) = tag;
				last = at;
			}
		}
	}
	return CALL_OK;
}
