/* Tags of endpoints and rules. */
#include "rows.h"

enum { PAGE = 100 };

int resolver_tags_check(struct call *c, const struct route53resolver_tag_list *tags)
{
	if (tags->n > RESOLVER_TAGS_MAX)
		return resolver_limit(c, "tag", "tags per resource", RESOLVER_TAGS_MAX);
	for (uint32_t i = 0; i < tags->n; i++) {
		if (str_starts(tags->v[i].key, S("aws:")))
			return call_fail(c, "InvalidTagException", 400, "The tag key \"%.*s\" begins with \"aws:\".",
			                 STR_ARG(tags->v[i].key));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[k].key, tags->v[i].key))
				return call_fail(c, "InvalidTagException", 400, "The tag key \"%.*s\" was given twice.",
				                 STR_ARG(tags->v[i].key));
	}
	return CALL_OK;
}

void resolver_authz_tags(struct call *c, struct authz *az, const struct route53resolver_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:ResourceTag", &map);
}

/* Something with tags, by its ARN. */
struct tagged {
	struct state_route53resolver_endpoint_record endpoint;
	struct state_route53resolver_rule_record rule;
	struct route53resolver_tag_list *tags;
};

static int get_tagged(struct call *c, struct str arn, struct tagged *ret)
{
	struct resolver_scope s = resolver_scope(c);
	struct str endpoints = resolver_arn(c->arena, c->region, c->account, "resolver-endpoint", S(""));
	struct str rules = resolver_arn(c->arena, c->region, c->account, "resolver-rule", S(""));
	*ret = (struct tagged){0};
	if (str_starts(arn, endpoints) && resolver_find(&s, RESOLVER_ENDPOINT, str_from_at(arn, endpoints.n), &ret->endpoint))
		ret->tags = &ret->endpoint.tags;
	else if (str_starts(arn, rules) && resolver_find(&s, RESOLVER_RULE, str_from_at(arn, rules.n), &ret->rule))
		ret->tags = &ret->rule.tags;
	return ret->tags ? CALL_OK : resolver_absent(c, "resource", "The resource", arn);
}

static void put_tagged(struct call *c, const struct tagged *t)
{
	struct resolver_scope s = resolver_scope(c);
	if (t->tags == &t->rule.tags)
		resolver_put(&s, RESOLVER_RULE, t->rule.rule->id, &t->rule);
	else
		resolver_put(&s, RESOLVER_ENDPOINT, t->endpoint.endpoint->id, &t->endpoint);
}

int route53resolver_tag_resource(struct call *c, const struct route53resolver_tag_resource_request *in,
                                 struct route53resolver_tag_resource_response *out)
{
	struct tagged t;
	(void)out;
	if (resolver_tags_check(c, &in->tags) != CALL_OK || get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		uint32_t at = 0;
		while (at < t.tags->n && !str_eq(t.tags->v[at].key, in->tags.v[i].key))
			at++;
		struct route53resolver_tag *to = at < t.tags->n ? &t.tags->v[at] : LIST_ADD(c->arena, t.tags);
		*to = in->tags.v[i];
	}
	if (resolver_tags_check(c, t.tags) != CALL_OK)
		return CALL_FAIL;
	put_tagged(c, &t);
	return CALL_OK;
}

int route53resolver_untag_resource(struct call *c, const struct route53resolver_untag_resource_request *in,
                                   struct route53resolver_untag_resource_response *out)
{
	struct tagged t;
	struct route53resolver_tag_list left = {.set = true};
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

int route53resolver_list_tags_for_resource(struct call *c, const struct route53resolver_list_tags_for_resource_request *in,
                                           struct route53resolver_list_tags_for_resource_response *out)
{
	struct tagged t;
	uint64_t from = 0;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : PAGE;
	if (get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	if (in->next_token.n && !str_to_u64(in->next_token, &from))
		return call_fail(c, "InvalidNextTokenException", 400, "The NextToken is not valid.");
	out->tags.set = true;
	for (uint64_t i = from; i < t.tags->n; i++) {
		if (out->tags.n == limit) {
			out->next_token = arena_printf(c->arena, "%llu", (unsigned long long)i);
			break;
		}
		*LIST_ADD(c->arena, &out->tags) = t.tags->v[i];
	}
	return CALL_OK;
}
