/* PutAttributes, DeleteAttributes, ListAttributes: what users say of container instances, for constraints and strategies. */
#include "container_instance.h"

#include "base/base64.h"

enum { PUT_MAX = 10, LISTED_MAX = 100, NAME_MAX = 128, KEPT_MAX = 200 };

static bool text_good(struct str text, const char *more)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_alnum(text.p[i]) && !strchr(more, text.p[i]))
			return false;
	return text.n <= NAME_MAX;
}

static int target_missing(struct call *c, struct str target)
{
	return call_fail(c, "TargetNotFoundException", 400, "Unable to find target with id %.*s.", STR_ARG(target));
}

/* The container instance that an attribute is about. */
static int find_target(struct call *c, const struct ecs_cluster *cluster, const struct ecs_attribute *a,
                       struct state_ecs_instance_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct str id = ecs_instance_id(c, cluster->cluster_name, a->target_id);
	if (!a->name.n || !text_good(a->name, "-_./\\"))
		return ecs_invalid(c, "Invalid attribute name.");
	if (str_starts(a->name, S("ecs.")) || str_starts(a->name, S("com.amazonaws.ecs.")))
		return ecs_invalid(c, "The attribute %.*s belongs to ECS.", STR_ARG(a->name));
	if (!text_good(a->value, "-_./\\@: ") || (a->value.n && (a->value.p[0] == ' ' || a->value.p[a->value.n - 1] == ' ')))
		return ecs_invalid(c, "Invalid attribute value.");
	if (!a->target_id.n)
		return ecs_invalid(c, "targetId must be given.");
	if (a->target_type.n && !str_is(a->target_type, "container-instance"))
		return ecs_invalid(c, "The only target type is container-instance.");
	if (!str_set(id) || !ecs_instance_find(&s, cluster->cluster_name, id, ret) || str_is(ret->instance->status, "INACTIVE"))
		return target_missing(c, a->target_id);
	return CALL_OK;
}

static struct ecs_attribute shown(struct str name, struct str value, const struct state_ecs_instance_record *r)
{
	return (struct ecs_attribute){.name = name,
	                              .value = value.n ? value : STR_NONE,
	                              .target_type = S("container-instance"),
	                              .target_id = r->instance->container_instance_arn};
}

int ecs_put_attributes(struct call *c, const struct ecs_put_attributes_request *in, struct ecs_put_attributes_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	out->attributes.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->attributes.n || in->attributes.n > PUT_MAX)
		return ecs_invalid(c, "attributes must have from 1 to %d items.", PUT_MAX);
	for (uint32_t i = 0; i < in->attributes.n; i++) {
		const struct ecs_attribute *a = &in->attributes.v[i];
		struct state_ecs_instance_record r = {0};
		struct ecs_attribute *to = NULL;
		if (find_target(c, &cluster, a, &r) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < r.instance->attributes.n; k++)
			if (str_eq(r.instance->attributes.v[k].name, a->name))
				to = &r.instance->attributes.v[k];
		if (!to && r.instance->attributes.n >= KEPT_MAX)
			return call_fail(c, "AttributeLimitExceededException", 400, "There can be at most %d attributes.",
			                 KEPT_MAX);
		if (!to)
			to = LIST_ADD(c->arena, &r.instance->attributes);
		*to = (struct ecs_attribute){.name = a->name, .value = a->value.n ? a->value : STR_NONE};
		ecs_instance_put(&s, &r);
		*LIST_ADD(c->arena, &out->attributes) = shown(a->name, a->value, &r);
	}
	return CALL_OK;
}

int ecs_delete_attributes(struct call *c, const struct ecs_delete_attributes_request *in,
                          struct ecs_delete_attributes_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	out->attributes.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->attributes.n || in->attributes.n > PUT_MAX)
		return ecs_invalid(c, "attributes must have from 1 to %d items.", PUT_MAX);
	for (uint32_t i = 0; i < in->attributes.n; i++) {
		const struct ecs_attribute *a = &in->attributes.v[i];
		struct state_ecs_instance_record r = {0};
		struct ecs_attributes left = {.set = true};
		if (find_target(c, &cluster, a, &r) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < r.instance->attributes.n; k++) {
			const struct ecs_attribute *have = &r.instance->attributes.v[k];
			if (str_eq(have->name, a->name) && (!a->value.n || str_eq(have->value, a->value)))
				*LIST_ADD(c->arena, &out->attributes) = shown(have->name, have->value, &r);
			else
				*LIST_ADD(c->arena, &left) = *have;
		}
		r.instance->attributes = left;
		ecs_instance_put(&s, &r);
	}
	return CALL_OK;
}

/* The token is how many have been listed: they come in the order of instances, and of attributes in each. */
int ecs_list_attributes(struct call *c, const struct ecs_list_attributes_request *in, struct ecs_list_attributes_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	uint32_t limit, at = 0;
	int64_t from = 0;
	out->attributes.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK ||
	    ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->target_type, "container-instance"))
		return ecs_invalid(c, "The only target type is container-instance.");
	if (in->attribute_value.n && !in->attribute_name.n)
		return ecs_invalid(c, "attributeValue needs an attributeName.");
	struct str token = in->next_token.n ? base64url_decode(c->arena, in->next_token) : STR_NONE;
	if (in->next_token.n && (!str_set(token) || !str_to_i64(token, &from) || from < 0))
		return ecs_invalid(c, "Invalid token in ListRequest");
	struct ecs_nodes all = ecs_nodes(&s, roster_of(c), cluster.cluster_name);
	for (uint32_t i = 0; i < all.n; i++)
		for (uint32_t k = 0; k < all.records[i].instance->attributes.n; k++) {
			const struct ecs_attribute *a = &all.records[i].instance->attributes.v[k];
			if ((in->attribute_name.n && !str_eq(a->name, in->attribute_name)) ||
			    (in->attribute_value.n && !str_eq(a->value, in->attribute_value)) || at++ < (uint64_t)from)
				continue;
			if (out->attributes.n == limit) {
				out->next_token = ecs_page_token(c, arena_printf(c->arena, "%u", at - 1));
				return CALL_OK;
			}
			*LIST_ADD(c->arena, &out->attributes) = shown(a->name, a->value, &all.records[i]);
		}
	return CALL_OK;
}
