/* Tags of applications, versions and templates. */
#include "rows.h"

static bool reserved(struct str key)
{
	return str_istarts(key, S("aws:")) || str_starts(key, S("elasticbeanstalk:"));
}

int tags_check(struct call *c, const struct elasticbeanstalk_tags *tags)
{
	if (tags->n > TAGS_MAX)
		return call_fail(c, "TooManyTagsException", 400, "A resource can have at most %d tags.", TAGS_MAX);
	for (uint32_t i = 0; i < tags->n; i++) {
		if (!tags->v[i].key.n)
			return beanstalk_invalid(c, "A tag needs a key.");
		if (reserved(tags->v[i].key))
			return beanstalk_invalid(c, "Tag key '%.*s' is reserved.", STR_ARG(tags->v[i].key));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[i].key, tags->v[k].key))
				return beanstalk_invalid(c, "Tag key '%.*s' is given twice.", STR_ARG(tags->v[i].key));
	}
	return CALL_OK;
}

static void set(struct arena *a, struct elasticbeanstalk_tag_list *l, const struct elasticbeanstalk_tag *tag)
{
	uint32_t at = 0;
	while (at < l->n && !str_eq(l->v[at].key, tag->key))
		at++;
	if (at == l->n)
		LIST_ADD(a, l);
	l->v[at] = (struct elasticbeanstalk_tag){tag->key, str_set(tag->value) ? tag->value : S("")};
}

static void unset(struct elasticbeanstalk_tag_list *l, struct str key)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (!str_eq(l->v[i].key, key))
			l->v[left++] = l->v[i];
	l->n = left;
}

void tags_copy(struct arena *a, const struct elasticbeanstalk_tags *from, struct elasticbeanstalk_tag_list *ret)
{
	ret->set = true;
	for (uint32_t i = 0; i < from->n; i++)
		set(a, ret, &from->v[i]);
}

/* What an ARN names: one of the three is loaded. */
struct tagged {
	struct state_elasticbeanstalk_application_record application;
	struct state_elasticbeanstalk_version_record version;
	struct state_elasticbeanstalk_template_record template;
	struct elasticbeanstalk_tag_list *tags; /* of the one */
};

static int load(struct call *c, struct str arn, struct tagged *t)
{
	struct scope s = beanstalk_scope(c);
	struct str head = arena_printf(c->arena, "arn:aws:elasticbeanstalk:%.*s:%.*s:", STR_ARG(s.region), STR_ARG(s.account));
	*t = (struct tagged){0};
	if (!str_starts(arn, S("arn:")))
		return beanstalk_invalid(c, "Invalid ARN: '%.*s'.", STR_ARG(arn));
	if (str_starts(arn, head)) {
		struct str rest = str_from_at(arn, head.n), kind = str_cut(&rest, '/');
		if (str_is(kind, "application")) {
			if (str_set(rest) && application_find(&s, rest, &t->application))
				t->tags = &t->application.tags;
		} else if (str_is(kind, "applicationversion") || str_is(kind, "configurationtemplate")) {
			struct str of = str_cut(&rest, '/');
			if (str_is(kind, "applicationversion") && version_find(&s, of, rest, &t->version))
				t->tags = &t->version.tags;
			else if (str_is(kind, "configurationtemplate") && template_find(&s, of, rest, &t->template))
				t->tags = &t->template.tags;
		} else if (!str_is(kind, "environment")) {
			return call_fail(c, "ResourceTypeNotSupportedException", 400, "Resources of type '%.*s' have no tags.",
			                 STR_ARG(kind));
		}
	}
	return t->tags ? CALL_OK
	               : call_fail(c, "ResourceNotFoundException", 400, "Resource not found for arn: '%.*s'.", STR_ARG(arn));
}

int elasticbeanstalk_list_tags_for_resource(struct call *c, const struct elasticbeanstalk_list_tags_for_resource_message *in,
                                            struct elasticbeanstalk_resource_tags_description_message *out)
{
	struct tagged t;
	if (load(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	out->resource_arn = in->resource_arn;
	out->resource_tags = *t.tags;
	out->resource_tags.set = true;
	return CALL_OK;
}

int elasticbeanstalk_update_tags_for_resource(struct call *c, const struct elasticbeanstalk_update_tags_for_resource_message *in,
                                              struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct tagged t;
	const struct elasticbeanstalk_tags add = {.v = in->tags_to_add.v, .n = in->tags_to_add.n, .set = true};
	if (tags_check(c, &add) != CALL_OK || load(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	if (!add.n && !in->tags_to_remove.n)
		return beanstalk_invalid(c, "At least one of TagsToAdd and TagsToRemove is needed.");
	for (uint32_t i = 0; i < in->tags_to_remove.n; i++) {
		if (reserved(in->tags_to_remove.v[i]))
			return beanstalk_invalid(c, "Tag key '%.*s' is reserved.", STR_ARG(in->tags_to_remove.v[i]));
		for (uint32_t k = 0; k < add.n; k++)
			if (str_eq(add.v[k].key, in->tags_to_remove.v[i]))
				return beanstalk_combination(c, "Tag key '%.*s' is to be added and to be removed.",
				                             STR_ARG(add.v[k].key));
		unset(t.tags, in->tags_to_remove.v[i]);
	}
	for (uint32_t i = 0; i < add.n; i++)
		set(c->arena, t.tags, &add.v[i]);
	if (t.tags->n > TAGS_MAX)
		return call_fail(c, "TooManyTagsException", 400, "A resource can have at most %d tags.", TAGS_MAX);
	if (t.application.application)
		application_put(&s, &t.application);
	else if (t.version.version)
		version_put(&s, &t.version);
	else
		template_put(&s, &t.template);
	return CALL_OK;
}
