/* Alarms of CloudWatch that a deployment is watched by, from its beginning until a while after its last task was replaced. One that
 * was in alarm already when the deployment began says nothing about it, so that a repair can be deployed. */
#include "deployment.h"
#include "service_look.h"

#include "aws/cloudwatch/cloudwatch.h"

static const struct ecs_deployment_alarms *alarms_of(const struct state_ecs_service_record *r)
{
	const struct ecs_deployment_configuration *conf = r->service->deployment_configuration;
	const struct ecs_deployment_alarms *a = conf ? conf->alarms : NULL;
	bool moves = str_is(r->service->deployments.v[0].rollout_state, "IN_PROGRESS");
	return a && a->enable.v && moves ? a : NULL;
}

static struct cloudwatch_alarm_seen see(const struct ecs_scope *s, struct str name)
{
	struct cloudwatch_alarm_seen seen;
	cloudwatch_see_alarm(s->txn, s->arena, s->account, s->region, name, &seen);
	return seen;
}

static void begin(const struct ecs_scope *s, struct state_ecs_run *run, const struct ecs_deployment_alarms *a)
{
	run->watching = OPT_BOOL(true);
	for (uint32_t i = 0; i < a->alarm_names.n; i++)
		if (!see(s, a->alarm_names.v[i]).alarm)
			*LIST_ADD(s->arena, &run->watched) = a->alarm_names.v[i];
}

bool service_alarmed(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	const struct ecs_deployment_alarms *a = alarms_of(r);
	struct ecs_deployment *d = &r->service->deployments.v[0];
	struct state_ecs_run *run = ecs_service_run(r, d->id);
	struct str_list triggered = {0};
	if (!a || !run)
		return false;
	if (!run->watching.v)
		begin(s, run, a);
	for (uint32_t i = 0; i < run->watched.n; i++)
		if (see(s, run->watched.v[i]).alarm)
			*LIST_ADD(s->arena, &triggered) = run->watched.v[i];
	if (!triggered.n)
		return false;
	struct str why = S("ECS deployment failed: alarm detected.");
	service_give_up(r, why, now_ms);
	ecs_deployment_alarm(s, r, &triggered, now_ms);
	ecs_service_event(s->arena, r, now_ms, "(deployment %.*s) deployment failed: alarm detected.", STR_ARG(d->id));
	service_fail_deployment(s, r, why, why, a->rollback.v, now_ms);
	return true;
}

int64_t service_bake_until(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct state_ecs_run *run = ecs_service_run(r, r->service->deployments.v[0].id);
	int64_t longest = 0;
	if (!alarms_of(r) || !run || !run->watched.n)
		return 0;
	for (uint32_t i = 0; !run->bake_until.set && i < run->watched.n; i++) {
		int64_t window = see(s, run->watched.v[i]).window_s;
		longest = window > longest ? window : longest;
	}
	if (!run->bake_until.set)
		run->bake_until = OPT_TIME(now_ms + longest * 1000);
	return run->bake_until.ms > now_ms ? run->bake_until.ms : 0;
}
