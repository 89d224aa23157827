/* AttachLoadBalancerTargetGroups, AttachTrafficSources, their detaching and describing, and members as targets. */
#include "traffic.h"

#include "aws/elbv2/elbv2.h"

enum { HEALTH_MS = 15000, ARNS_MAX = 10, ATTACHED_MAX = 50, USUAL = 100, MOST = 100 };

static struct elbv2_scope scope_of(const struct scope *s)
{
	return (struct elbv2_scope){s->txn, s->arena, s->cloud, s->account, s->region, s->now_ms};
}

static enum elbv2_health health_of(const struct scope *s, struct str arn, const struct state_autoscaling_member *m)
{
	struct elbv2_scope own = scope_of(s);
	struct str why;
	return elbv2_target_health(&own, arn, &(struct elbv2_target){.id = m->id}, &why);
}

bool traffic_serves(struct step *t, struct state_autoscaling_member *m)
{
	const struct str_list *arns = &t->r->group->target_group_arns;
	struct elbv2_scope own = scope_of(t->s);
	bool checked = str_is(t->r->group->health_check_type, "ELB"), unhealthy = false;
	for (uint32_t i = 0; i < arns->n; i++) {
		enum elbv2_health health = health_of(t->s, arns->v[i], m);
		if (health == ELBV2_ABSENT && !scaling_suspended(t->r, "AddToLoadBalancer") &&
		    elbv2_register(&own, arns->v[i], &(struct elbv2_target){.id = m->id}))
			m->drain_until = (struct opt_time){0};
		unhealthy |= checked && health == ELBV2_UNHEALTHY;
	}
	if (checked && arns->n)
		step_wake(t, t->s->now_ms + HEALTH_MS);
	return unhealthy;
}

static bool out_of(struct step *t, struct state_autoscaling_member *m, const struct str_list *arns)
{
	struct elbv2_scope own = scope_of(t->s);
	for (uint32_t i = 0; i < arns->n; i++) {
		if (health_of(t->s, arns->v[i], m) == ELBV2_ABSENT)
			continue;
		int64_t until_ms = elbv2_deregister(&own, arns->v[i], &(struct elbv2_target){.id = m->id});
		if (until_ms > m->drain_until.ms)
			m->drain_until = OPT_TIME(until_ms);
	}
	if (m->drain_until.ms <= t->s->now_ms)
		return true;
	step_wake(t, m->drain_until.ms);
	return false;
}

bool traffic_left(struct step *t, struct state_autoscaling_member *m)
{
	bool left = out_of(t, m, &t->r->group->target_group_arns);
	return out_of(t, m, &t->r->dropped) && left;
}

void traffic_step(struct step *t)
{
	bool left = t->r->dropped.n > 0;
	for (uint32_t k = 0; left && k < t->r->members.n; k++)
		if (str_set(t->r->members.v[k].id))
			left &= out_of(t, &t->r->members.v[k], &t->r->dropped);
	if (left)
		t->r->dropped.n = 0;
}

/* --- attaching and detaching */

static bool among(const struct str_list *l, struct str text)
{
	return l->n && scaling_among(l, text);
}

static int check(struct call *c, const struct autoscaling_auto_scaling_group *g, struct str arn)
{
	struct scope s = scaling_scope(c);
	struct elbv2_scope own = scope_of(&s);
	struct elbv2_group_seen seen;
	struct str rest = g->vpc_zone_identifier, subnet = str_trim(str_cut(&rest, ','));
	struct str vpc = subnet.n ? ec2_subnet_vpc(s.txn, c->arena, c->account, c->region, subnet) : STR_NONE;
	if (!elbv2_see_group(&own, arn, &seen))
		return scaling_invalid(c, "One or more target groups not found");
	if (!str_is(seen.type, "instance"))
		return scaling_invalid(c, "Target groups of the target type %.*s cannot be attached: it must be instance.",
		                       STR_ARG(seen.type));
	if (str_set(vpc) && !str_eq(vpc, seen.vpc))
		return scaling_invalid(c, "The target group %.*s is not in the VPC of the Auto Scaling group.", STR_ARG(arn));
	return CALL_OK;
}

/* The same list by both names that it has. */
static void show(struct call *c, struct autoscaling_auto_scaling_group *g)
{
	g->traffic_sources = (struct autoscaling_traffic_sources){.set = true};
	for (uint32_t i = 0; i < g->target_group_arns.n; i++)
		*LIST_ADD(c->arena, &g->traffic_sources) =
		        (struct autoscaling_traffic_source_identifier){g->target_group_arns.v[i], S("elbv2")};
}

static int attach(struct call *c, const struct str_list *arns, struct autoscaling_auto_scaling_group *g)
{
	if (arns->n > ARNS_MAX)
		return scaling_invalid(c, "At most %d target groups can be given.", ARNS_MAX);
	for (uint32_t i = 0; i < arns->n; i++) {
		if (check(c, g, arns->v[i]) != CALL_OK)
			return CALL_FAIL;
		if (!among(&g->target_group_arns, arns->v[i]))
			*LIST_ADD(c->arena, &g->target_group_arns) = arns->v[i];
	}
	if (g->target_group_arns.n > ATTACHED_MAX)
		return call_fail(c, "LimitExceeded", 400, "A group can have at most %d target groups.", ATTACHED_MAX);
	show(c, g);
	return CALL_OK;
}

static int take_sources(struct call *c, const struct autoscaling_traffic_sources *sources, struct str_list *ret)
{
	for (uint32_t i = 0; i < sources->n; i++) {
		const struct autoscaling_traffic_source_identifier *one = &sources->v[i];
		if (one->type.n ? !str_is(one->type, "elbv2") : !str_starts(one->identifier, S("arn:aws:elasticloadbalancing:")))
			return scaling_invalid(c, "Other traffic sources than target groups (elbv2) are not supported.");
		*LIST_ADD(c->arena, ret) = one->identifier;
	}
	return CALL_OK;
}

int traffic_take(struct call *c, const struct str_list *arns, const struct autoscaling_traffic_sources *sources,
                 struct autoscaling_auto_scaling_group *g)
{
	struct str_list given = {0};
	if (arns->n && sources->n)
		return scaling_invalid(c, "TargetGroupARNs and TrafficSources cannot be specified together.");
	return take_sources(c, sources, &given) != CALL_OK || attach(c, arns->n ? arns : &given, g) != CALL_OK ? CALL_FAIL
	                                                                                                       : CALL_OK;
}

static int attach_to(struct call *c, struct str group, const struct str_list *arns)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	uint32_t left = 0;
	if (scaling_get(c, group, &r) != CALL_OK || attach(c, arns, r.group) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.dropped.n; i++)
		if (!among(arns, r.dropped.v[i]))
			r.dropped.v[left++] = r.dropped.v[i];
	r.dropped.n = left;
	scaling_put(&s, &r);
	return CALL_OK;
}

static int detach_from(struct call *c, struct str group, const struct str_list *arns)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	uint32_t left = 0;
	if (scaling_get(c, group, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list *all = &r.group->target_group_arns;
	for (uint32_t i = 0; i < arns->n; i++)
		if (!among(all, arns->v[i]))
			return scaling_invalid(c, "Trying to remove Target Groups that are not part of the group");
	for (uint32_t i = 0; i < all->n; i++) {
		if (!among(arns, all->v[i]))
			all->v[left++] = all->v[i];
		else if (!among(&r.dropped, all->v[i]))
			*LIST_ADD(c->arena, &r.dropped) = all->v[i];
	}
	all->n = left;
	show(c, r.group);
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_attach_load_balancer_target_groups(struct call *c,
                                                   const struct autoscaling_attach_load_balancer_target_groups_type *in,
                                                   struct autoscaling_attach_load_balancer_target_groups_result_type *out)
{
	(void)out;
	return attach_to(c, in->auto_scaling_group_name, &in->target_group_arns);
}

int autoscaling_detach_load_balancer_target_groups(struct call *c,
                                                   const struct autoscaling_detach_load_balancer_target_groups_type *in,
                                                   struct autoscaling_detach_load_balancer_target_groups_result_type *out)
{
	(void)out;
	return detach_from(c, in->auto_scaling_group_name, &in->target_group_arns);
}

int autoscaling_attach_traffic_sources(struct call *c, const struct autoscaling_attach_traffic_sources_type *in,
                                       struct autoscaling_attach_traffic_sources_result_type *out)
{
	struct str_list arns = {0};
	(void)out;
	return take_sources(c, &in->traffic_sources, &arns) != CALL_OK ? CALL_FAIL
	                                                               : attach_to(c, in->auto_scaling_group_name, &arns);
}

int autoscaling_detach_traffic_sources(struct call *c, const struct autoscaling_detach_traffic_sources_type *in,
                                       struct autoscaling_detach_traffic_sources_result_type *out)
{
	struct str_list arns = {0};
	(void)out;
	return take_sources(c, &in->traffic_sources, &arns) != CALL_OK ? CALL_FAIL
	                                                               : detach_from(c, in->auto_scaling_group_name, &arns);
}

/* --- describing */

/* Adding: not all members are registered; InService: one of them is healthy; Added: none is (yet). */
static struct str attached_state(struct call *c, const struct state_autoscaling_group_record *r, struct str arn)
{
	struct scope s = scaling_scope(c);
	bool all = true, healthy = false;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_autoscaling_member *m = &r->members.v[i];
		if (!member_in(m, "InService"))
			continue;
		enum elbv2_health health = health_of(&s, arn, m);
		all &= health != ELBV2_ABSENT;
		healthy |= health == ELBV2_HEALTHY;
	}
	return !all ? S("Adding") : healthy ? S("InService") : S("Added");
}

struct shown {
	struct str arn, state;
};
struct shown_list {
	struct shown *v;
	uint32_t n;
	bool set;
};

static int describe(struct call *c, struct str group, struct opt_int max, struct str token, struct shown_list *ret,
                    struct str *ret_token)
{
	struct state_autoscaling_group_record r;
	struct page p;
	struct str last = STR_NONE;
	if (scaling_get(c, group, &r) != CALL_OK || scaling_page(c, max, token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	const struct str_list *lists[] = {&r.group->target_group_arns, &r.dropped};
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < lists[k]->n; i++) {
			struct str at = arena_printf(c->arena, "%u:%05u", k, i);
			if (str_set(p.after) && str_cmp(at, p.after) <= 0)
				continue;
			if (!p.left--) {
				*ret_token = scaling_token(c, last);
				return CALL_OK;
			}
			last = at;
			*LIST_ADD(c->arena, ret) =
			        (struct shown){lists[k]->v[i], k ? S("Removing") : attached_state(c, &r, lists[k]->v[i])};
		}
	return CALL_OK;
}

int autoscaling_describe_load_balancer_target_groups(struct call *c,
                                                     const struct autoscaling_describe_load_balancer_target_groups_request *in,
                                                     struct autoscaling_describe_load_balancer_target_groups_response *out)
{
	struct shown_list all = {0};
	if (describe(c, in->auto_scaling_group_name, in->max_records, in->next_token, &all, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->load_balancer_target_groups.set = true;
	for (uint32_t i = 0; i < all.n; i++)
		*LIST_ADD(c->arena, &out->load_balancer_target_groups) =
		        (struct autoscaling_load_balancer_target_group_state){all.v[i].arn, all.v[i].state};
	return CALL_OK;
}

int autoscaling_describe_traffic_sources(struct call *c, const struct autoscaling_describe_traffic_sources_request *in,
                                         struct autoscaling_describe_traffic_sources_response *out)
{
	struct shown_list all = {0};
	if (describe(c, in->auto_scaling_group_name, in->max_records, in->next_token, &all, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->traffic_sources.set = true;
	for (uint32_t i = 0; i < all.n && (!in->traffic_source_type.n || str_is(in->traffic_source_type, "elbv2")); i++)
		*LIST_ADD(c->arena, &out->traffic_sources) = (struct autoscaling_traffic_source_state){
		        .traffic_source = all.v[i].arn, .identifier = all.v[i].arn, .state = all.v[i].state, .type = S("elbv2")};
	return CALL_OK;
}
