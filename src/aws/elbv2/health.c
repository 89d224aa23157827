/* DescribeTargetHealth: what the records say of a target comes first, then what the nodes have seen. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "desk.h"

static void say(struct elbv2_target_health *h, const char *state, const char *reason, struct str description)
{
	*h = (struct elbv2_target_health){.state = str_from(state), .reason = str_from(reason), .description = description};
}

/* Has the balancer a node in this zone? */
static bool zone_enabled(const struct elb_scope *s, const struct str_list *users, struct str zone)
{
	if (str_is(zone, "all"))
		return true;
	for (uint32_t i = 0; i < users->n; i++) {
		struct state_elbv2_balancer_record b = {0};
		if (!elb_balancer_find(s, users->v[i], &b))
			continue;
		for (uint32_t k = 0; k < b.nodes.n; k++)
			if (str_eq(b.nodes.v[k].zone, zone))
				return true;
	}
	return false;
}

void elb_health_find(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct str_list *users,
                     const struct state_elbv2_target *t, struct elbv2_target_health *h)
{
	struct str zone = t->zone;
	if (t->drained.set) {
		say(h, "draining", "Target.DeregistrationInProgress", S("Target deregistration is in progress"));
		return;
	}
	if (str_is(r->group->target_type, "instance")) {
		struct ec2_seen seen;
		ec2_see_instance(s->txn, s->arena, s->account, s->region, t->id, &seen);
		zone = seen.zone;
		if (!seen.there || !str_is(seen.state, "running")) {
			struct str state = seen.there ? seen.state : S("terminated");
			say(h, "unused", "Target.InvalidState",
			    arena_printf(s->arena, "Target is in the %.*s state", STR_ARG(state)));
			return;
		}
	}
	if (users->n && !r->group->health_check_enabled.v) {
		say(h, "unavailable", "Target.HealthCheckDisabled", S("Health checks are not enabled for this target"));
		return;
	}
	if (str_is(r->group->target_type, "lambda") || elb_group_is_alb(r->group))
		zone = S("all");
	if (!users->n)
		say(h, "unused", "Target.NotInUse", S("Target group is not configured to receive traffic from the load balancer"));
	else if (!zone_enabled(s, users, zone))
		say(h, "unused", "Target.NotInUse",
		    S("Target is in an Availability Zone that is not enabled for the load balancer"));
	else
		elb_desk_health(s, r, t, h);
}

static void show(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct str_list *users,
                 const struct state_elbv2_target *t, struct elbv2_target_health_description *ret)
{
	*ret = (struct elbv2_target_health_description){.target = arena_new(s->arena, struct elbv2_target_description),
	                                                .target_health = arena_new(s->arena, struct elbv2_target_health)};
	*ret->target = (struct elbv2_target_description){.id = t->id, .port = t->port, .availability_zone = t->zone};
	if (str_set(r->group->health_check_port))
		ret->health_check_port = str_is(r->group->health_check_port, "traffic-port")
		                                 ? arena_printf(s->arena, "%lld", (long long)t->port.v)
		                                 : r->group->health_check_port;
	elb_health_find(s, r, users, t, ret->target_health);
}

int elbv2_describe_target_health(struct call *c, const struct elbv2_describe_target_health_input *in,
                                 struct elbv2_describe_target_health_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list users = elb_group_users(&s, r.group->target_group_name);
	out->target_health_descriptions.set = true;
	for (uint32_t i = 0; i < r.targets.n && !in->targets.n; i++)
		if (!r.targets.v[i].drained.set || r.targets.v[i].drained.ms > c->now_ms)
			show(&s, &r, &users, &r.targets.v[i], LIST_ADD(c->arena, &out->target_health_descriptions));
	for (uint32_t i = 0; i < in->targets.n; i++) {
		const struct state_elbv2_target *t = elb_target_of(&r, in->targets.v[i].id, in->targets.v[i].port.v);
		struct elbv2_target_health_description *d = LIST_ADD(c->arena, &out->target_health_descriptions);
		if (t && (!t->drained.set || t->drained.ms > c->now_ms)) {
			show(&s, &r, &users, t, d);
			continue;
		}
		const struct state_elbv2_target none = {.id = in->targets.v[i].id,
		                                        .port = in->targets.v[i].port.set ? in->targets.v[i].port : r.group->port};
		show(&s, &r, &users, &none, d);
		say(d->target_health, "unused", "Target.NotRegistered", S("Target is not registered to the target group"));
	}
	return CALL_OK;
}
