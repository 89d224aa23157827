/* TagResource, UntagResource, ListTagsForResource, of buses and rules. */
#include "rows.h"

struct tagged {
	bool is_rule;
	struct bus bus;
	struct rule rule;
	struct str_map *tags;
};

static int find(struct call *c, struct str arn, struct tagged *ret)
{
	struct str rest = arn, parts[5], name;
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	struct bus_name at = {parts[4], parts[3], S("default")};
	*ret = (struct tagged){.is_rule = str_starts(rest, S("rule/"))};
	if (!str_is(parts[2], "events") || !str_eq(at.region, c->region) || !str_eq(at.account, c->account) ||
	    (!ret->is_rule && !str_starts(rest, S("event-bus/"))))
		return events_invalid(c, "Parameter %.*s is not valid. Reason: Provided Arn is not in correct format.",
		                      STR_ARG(arn));
	name = str_from_at(rest, S("rule/").n);
	if (!ret->is_rule) {
		ret->tags = &ret->bus.r.tags;
		return bus_get(c, arn, &ret->bus);
	}
	ptrdiff_t slash = str_rfind_char(name, '/');
	if (slash > 0) {
		at.name = str_sub(name, 0, (size_t)slash);
		name = str_from_at(name, (size_t)slash + 1);
	}
	ret->tags = &ret->rule.r.tags;
	if (!rule_find(call_txn(c), c->arena, &at, name, &ret->rule))
		return events_absent(c, "Rule %.*s does not exist on EventBus %.*s.", STR_ARG(name), STR_ARG(at.name));
	return CALL_OK;
}

static void keep(struct call *c, struct tagged *t)
{
	if (t->is_rule)
		rule_put(c, &t->rule);
	else
		bus_put(c, &t->bus);
}

int events_tag_resource(struct call *c, const struct events_tag_resource_request *in, struct events_tag_resource_response *out)
{
	struct tagged t;
	(void)out;
	if (find(c, in->resource_arn, &t) != CALL_OK || events_take_tags(c, t.tags, &in->tags) != CALL_OK)
		return CALL_FAIL;
	keep(c, &t);
	return CALL_OK;
}

int events_untag_resource(struct call *c, const struct events_untag_resource_request *in,
                          struct events_untag_resource_response *out)
{
	struct tagged t;
	struct str_map left = {0};
	(void)out;
	if (find(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < t.tags->n; i++) {
		bool goes = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			goes |= str_eq(in->tag_keys.v[k], t.tags->v[i].key);
		if (!goes)
			*LIST_ADD(c->arena, &left) = t.tags->v[i];
	}
	*t.tags = left;
	keep(c, &t);
	return CALL_OK;
}

int events_list_tags_for_resource(struct call *c, const struct events_list_tags_for_resource_request *in,
                                  struct events_list_tags_for_resource_response *out)
{
	struct tagged t;
	if (find(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	out->tags.set = true;
	for (uint32_t i = 0; i < t.tags->n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct events_tag){t.tags->v[i].key, t.tags->v[i].value};
	return CALL_OK;
}
