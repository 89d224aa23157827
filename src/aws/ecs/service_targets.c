/* Services behind load balancers: what they may ask for, and how their tasks are as targets. */
#include "service_targets.h"

#include "service_instance.h"

enum { BALANCERS_MAX = 5, LOOK_SOON_MS = 1000, LOOK_LATER_MS = 5000 };

/* --- what is asked for */

static int check_container(struct call *c, const struct ecs_task_definition *d, const struct ecs_load_balancer *b)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++) {
		const struct ecs_container_definition *k = &d->container_definitions.v[i];
		if (!str_eq(k->name, b->container_name))
			continue;
		for (uint32_t p = 0; p < k->port_mappings.n; p++)
			if (k->port_mappings.v[p].container_port.v == b->container_port.v)
				return CALL_OK;
		return ecs_invalid(c, "The container %.*s did not have a container port %lld defined.", STR_ARG(b->container_name),
		                   (long long)b->container_port.v);
	}
	return ecs_invalid(c, "The container %.*s does not exist in the task definition.", STR_ARG(b->container_name));
}

static int check_group(struct call *c, const struct ecs_task_definition *d, const struct ecs_load_balancer *b)
{
	struct elbv2_scope s = {.txn = call_txn(c),
	                        .arena = c->arena,
	                        .cloud = c->cloud,
	                        .account = c->account,
	                        .region = c->region,
	                        .now_ms = c->now_ms};
	struct elbv2_group_seen group;
	bool own = str_is(d->network_mode, "awsvpc");
	if (b->advanced_configuration)
		return call_fail(c, "UnsupportedFeatureException", 400, "advancedConfiguration is not supported by this cloud.");
	if (!str_set(b->target_group_arn))
		return ecs_invalid(c, "Load balancer %.*s does not exist.", STR_ARG(b->load_balancer_name));
	if (!elbv2_see_group(&s, b->target_group_arn, &group))
		return ecs_invalid(c,
		                   "Unable to assume role and validate the specified targetGroupArn. The target group %.*s does "
		                   "not exist.",
		                   STR_ARG(b->target_group_arn));
	if (str_is(group.type, "ip") != own)
		return ecs_invalid(
		        c,
		        "The provided target group %.*s has target type %.*s, which is incompatible with the %.*s network "
		        "mode specified in the task definition.",
		        STR_ARG(b->target_group_arn), STR_ARG(group.type),
		        STR_ARG(d->network_mode.n ? d->network_mode : S("bridge")));
	if (!group.used)
		return ecs_invalid(c, "The target group with targetGroupArn %.*s does not have an associated load balancer.",
		                   STR_ARG(b->target_group_arn));
	return check_container(c, d, b);
}

int service_targets_check(struct call *c, const struct ecs_service *v)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_definition_record d = {0};
	if (!v->load_balancers.n)
		return v->health_check_grace_period_seconds.v
		               ? ecs_invalid(
		                         c, "Health check grace period is only valid for services configured to use load balancers")
		               : CALL_OK;
	if (v->load_balancers.n > BALANCERS_MAX)
		return ecs_invalid(c, "loadBalancers can have at most %d items.", BALANCERS_MAX);
	if (!ecs_definition_in(&s, v->task_definition, &d))
		return ecs_client_error(c, "TaskDefinition not found.");
	for (uint32_t i = 0; i < v->load_balancers.n; i++)
		if (check_group(c, d.definition, &v->load_balancers.v[i]) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

/* --- how its tasks are */

void service_targets_classify(struct service_look *l, const struct ecs_scope *s, const struct ecs_service *v,
                              struct service_seen *t, int64_t now_ms)
{
	struct elbv2_scope from = {
	        .txn = s->txn, .arena = s->arena, .cloud = l->cloud, .account = s->account, .region = s->region, .now_ms = now_ms};
	int64_t graced_ms = t->record.task->started_at.ms + v->health_check_grace_period_seconds.v * 1000;
	if (t->as == SEEN_PENDING || !t->record.balancers.n)
		return;
	for (uint32_t i = 0; i < t->record.balancers.n && t->as != SEEN_UNHEALTHY; i++) {
		const struct ecs_load_balancer *b = &t->record.balancers.v[i];
		struct elbv2_target target;
		struct str why;
		enum elbv2_health h = ecs_task_target(s, &t->record, b, &target)
		                              ? elbv2_target_health(&from, b->target_group_arn, &target, &why)
		                              : ELBV2_INITIAL;
		if (h == ELBV2_UNUSED)
			continue; /* nobody asks it: it is what it is without */
		if (h == ELBV2_HEALTHY && !ecs_definition_checks_health(t->record.definition))
			t->as = i == 0 || t->as == SEEN_HEALTHY ? SEEN_HEALTHY : SEEN_SETTLING;
		else if (h == ELBV2_UNHEALTHY && graced_ms <= now_ms) {
			t->as = SEEN_UNHEALTHY;
			t->sick_group = b->target_group_arn;
			t->sick_why = why;
			t->sick_port = target.port;
		} else if (h != ELBV2_HEALTHY)
			t->as = SEEN_SETTLING;
	}
	service_look_at(l, now_ms + (t->as == SEEN_HEALTHY ? LOOK_LATER_MS : LOOK_SOON_MS));
}

bool service_targets_tell(struct service_view *view, struct state_ecs_task_record *t)
{
	if (!t->balancers.n || t->targeted.v == t->told.v)
		return false;
	view->joined += t->targeted.v;
	view->left += !t->targeted.v;
	t->told = OPT_BOOL(t->targeted.v);
	return true;
}

void service_targets_events(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct service_view *view,
                            int64_t now_ms)
{
	const struct ecs_load_balancers *all = &r->service->load_balancers;
	for (uint32_t i = 0; i < all->n && view->joined; i++)
		ecs_service_event(s->arena, r, now_ms, "registered %lld targets in (target-group %.*s)", (long long)view->joined,
		                  STR_ARG(all->v[i].target_group_arn));
	for (uint32_t i = 0; i < all->n && view->left; i++)
		ecs_service_event(s->arena, r, now_ms, "deregistered %lld targets in (target-group %.*s)", (long long)view->left,
		                  STR_ARG(all->v[i].target_group_arn));
	if (all->n && view->left)
		ecs_service_event(s->arena, r, now_ms, "has begun draining connections on %lld tasks.", (long long)view->left);
}
