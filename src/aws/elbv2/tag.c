/* Tags of balancers, target groups, listeners, rules and trust stores. */
#include "rows.h"

int elb_tags_check(struct call *c, const struct elbv2_tag_list *tags)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		if (str_istarts(tags->v[i].key, S("aws:")) && c->http)
			return elb_invalid(c, "Tag keys cannot start with 'aws:': '%.*s'", STR_ARG(tags->v[i].key));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[k].key, tags->v[i].key))
				return call_fail(c, "DuplicateTagKeys", 0, "A tag key was specified more than once: '%.*s'",
				                 STR_ARG(tags->v[i].key));
	}
	if (tags->n > ELB_TAGS_MAX)
		return call_fail(c, "TooManyTags", 0, "A resource can have at most '%d' tags", ELB_TAGS_MAX);
	return CALL_OK;
}

/* One thing that has tags, whatever it is. */
struct tagged {
	struct elb_name name;
	struct elbv2_tag_list *tags;
	struct state_elbv2_balancer_record balancer;
	struct state_elbv2_group_record group;
	struct state_elbv2_listener_record listener;
	struct state_elbv2_rule_record rule;
	struct state_elbv2_trust_record trust;
};

static int load(struct call *c, struct str arn, struct tagged *t)
{
	struct elb_scope s = elb_scope(c);
	*t = (struct tagged){0};
	if (!elb_name_parse(&s, arn, &t->name))
		return elb_invalid(c, "'%.*s' is not a valid ARN of a load balancer, target group, listener, rule or trust store",
		                   STR_ARG(arn));
	switch (t->name.kind) {
	case ELB_BALANCER:
		t->tags = &t->balancer.tags;
		return elb_balancer_get(c, arn, &t->balancer);
	case ELB_GROUP:
		t->tags = &t->group.tags;
		return elb_group_get(c, arn, &t->group);
	case ELB_TRUST:
		t->tags = &t->trust.tags;
		return elb_trust_get(c, arn, &t->trust);
	case ELB_LISTENER:
		t->tags = &t->listener.tags;
		return elb_listener_get(c, arn, &t->name, &t->listener);
	default:
		t->tags = &t->rule.tags;
		return elb_rule_get(c, arn, &t->name, &t->rule);
	}
}

static void put(struct call *c, const struct tagged *t)
{
	struct elb_scope s = elb_scope(c);
	switch (t->name.kind) {
	case ELB_BALANCER:
		elb_balancer_put(&s, &t->balancer);
		break;
	case ELB_GROUP:
		elb_group_put(&s, &t->group);
		break;
	case ELB_TRUST:
		elb_trust_put(&s, &t->trust);
		break;
	case ELB_LISTENER:
		elb_listener_put(&s, &t->name, &t->listener);
		break;
	default:
		elb_rule_put(&s, &t->name, &t->rule);
	}
}

static int count_check(struct call *c, const struct str_list *arns)
{
	return arns->n > ELB_TAGGED_MAX ? elb_invalid(c, "Up to '%d' resources can be specified at a time", ELB_TAGGED_MAX)
	                                : CALL_OK;
}

int elbv2_add_tags(struct call *c, const struct elbv2_add_tags_input *in, struct elbv2_add_tags_output *out)
{
	(void)out;
	if (count_check(c, &in->resource_arns) != CALL_OK || elb_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->resource_arns.n; i++) {
		struct tagged t;
		if (load(c, in->resource_arns.v[i], &t) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < in->tags.n; k++) {
			uint32_t at = 0;
			while (at < t.tags->n && !str_eq(t.tags->v[at].key, in->tags.v[k].key))
				at++;
			if (at == t.tags->n)
				LIST_ADD(c->arena, t.tags);
			t.tags->v[at] = in->tags.v[k];
		}
		if (t.tags->n > ELB_TAGS_MAX)
			return call_fail(c, "TooManyTags", 0, "A resource can have at most '%d' tags", ELB_TAGS_MAX);
		put(c, &t);
	}
	return CALL_OK;
}

int elbv2_remove_tags(struct call *c, const struct elbv2_remove_tags_input *in, struct elbv2_remove_tags_output *out)
{
	(void)out;
	if (count_check(c, &in->resource_arns) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->resource_arns.n; i++) {
		struct tagged t;
		uint32_t left = 0;
		if (load(c, in->resource_arns.v[i], &t) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < t.tags->n; k++)
			if (!elb_among(&in->tag_keys, t.tags->v[k].key))
				t.tags->v[left++] = t.tags->v[k];
		t.tags->n = left;
		put(c, &t);
	}
	return CALL_OK;
}

int elbv2_describe_tags(struct call *c, const struct elbv2_describe_tags_input *in, struct elbv2_describe_tags_output *out)
{
	if (count_check(c, &in->resource_arns) != CALL_OK)
		return CALL_FAIL;
	out->tag_descriptions.set = true;
	for (uint32_t i = 0; i < in->resource_arns.n; i++) {
		struct tagged t;
		if (load(c, in->resource_arns.v[i], &t) != CALL_OK)
			return CALL_FAIL;
		struct elbv2_tag_description *d = LIST_ADD(c->arena, &out->tag_descriptions);
		*d = (struct elbv2_tag_description){.resource_arn = in->resource_arns.v[i], .tags = *t.tags};
		d->tags.set = true;
	}
	return CALL_OK;
}
