/* Tags of namespaces and services: TagResource, UntagResource, ListTagsForResource; and those given when something is made. */
#include "rows.h"

enum { TAGS_MAX = 50 };

int discovery_tags_check(struct call *c, const struct servicediscovery_tag_list *tags)
{
	if (tags->n > TAGS_MAX)
		return call_fail(c, "TooManyTagsException", 400, "A resource can have at most %d tags.", TAGS_MAX);
	for (uint32_t i = 0; i < tags->n; i++) {
		if (str_istarts(tags->v[i].key, S("aws:")))
			return discovery_invalid(c, "Tag keys beginning with aws: are reserved for system use.");
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[k].key, tags->v[i].key))
				return discovery_invalid(c, "Duplicate tag keys are not allowed.");
	}
	return CALL_OK;
}

static struct str_map map_of(struct call *c, const struct servicediscovery_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	return map;
}

void discovery_authz_tags(struct call *c, struct authz *az, const struct servicediscovery_tag_list *tags)
{
	struct str_map map = map_of(c, tags);
	authz_add_tags(c, az, "aws:ResourceTag", &map);
}

int discovery_tags_authorize(struct call *c, struct authz *az, const struct servicediscovery_tag_list *tags)
{
	struct str_map map = map_of(c, tags);
	if (!tags->n)
		return CALL_OK;
	authz_add_tags(c, az, "aws:RequestTag", &map);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	struct authz tagging = *az;
	tagging.action = S("servicediscovery:TagResource");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

/* Something with tags, by its ARN. */
struct tagged {
	struct state_servicediscovery_namespace_record namespace;
	struct state_servicediscovery_service_record service;
	struct servicediscovery_tag_list *tags;
	bool is_service;
};

static int get_tagged(struct call *c, struct str arn, struct tagged *ret)
{
	struct discovery_scope s = discovery_scope(c);
	struct str service = discovery_id(c, "service", arn), namespace = discovery_id(c, "namespace", arn);
	*ret = (struct tagged){0};
	ret->is_service = str_starts(arn, S("arn:")) && str_set(service);
	if (ret->is_service && discovery_service_find(&s, service, &ret->service)) {
		ret->tags = &ret->service.tags;
		return CALL_OK;
	}
	if (str_starts(arn, S("arn:")) && str_set(namespace) && discovery_namespace_find(&s, namespace, &ret->namespace)) {
		ret->tags = &ret->namespace.tags;
		return CALL_OK;
	}
	return call_fail(c, "ResourceNotFoundException", 400, "The resource %.*s was not found", STR_ARG(arn));
}

static void put_tagged(struct call *c, const struct tagged *t)
{
	struct discovery_scope s = discovery_scope(c);
	if (t->is_service)
		discovery_service_put(&s, &t->service);
	else
		discovery_namespace_put(&s, &t->namespace);
}

int servicediscovery_tag_resource(struct call *c, const struct servicediscovery_tag_resource_request *in,
                                  struct servicediscovery_tag_resource_response *out)
{
	struct tagged t;
	(void)out;
	if (discovery_tags_check(c, &in->tags) != CALL_OK || get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		uint32_t at = 0;
		while (at < t.tags->n && !str_eq(t.tags->v[at].key, in->tags.v[i].key))
			at++;
		struct servicediscovery_tag *to = at < t.tags->n ? &t.tags->v[at] : LIST_ADD(c->arena, t.tags);
		*to = in->tags.v[i];
	}
	if (discovery_tags_check(c, t.tags) != CALL_OK)
		return CALL_FAIL;
	put_tagged(c, &t);
	return CALL_OK;
}

int servicediscovery_untag_resource(struct call *c, const struct servicediscovery_untag_resource_request *in,
                                    struct servicediscovery_untag_resource_response *out)
{
	struct tagged t;
	struct servicediscovery_tag_list left = {.set = true};
	(void)out;
	if (get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < t.tags->n; i++) {
		bool gone = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			gone = gone || str_eq(in->tag_keys.v[k], t.tags->v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = t.tags->v[i];
	}
	*t.tags = left;
	put_tagged(c, &t);
	return CALL_OK;
}

int servicediscovery_list_tags_for_resource(struct call *c, const struct servicediscovery_list_tags_for_resource_request *in,
                                            struct servicediscovery_list_tags_for_resource_response *out)
{
	struct tagged t;
	if (get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	out->tags = *t.tags;
	out->tags.set = true;
	return CALL_OK;
}
