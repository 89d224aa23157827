/* Failed starts, and what a deployment's circuit breaker makes of them. */
#include "rollout.h"
#include "service_look.h"

void service_start_failed(struct state_ecs_service_record *r, uint32_t deployment, int64_t now_ms)
{
	struct ecs_deployment *d = &r->service->deployments.v[deployment];
	struct state_ecs_run *run = ecs_service_run(r, d->id);
	d->failed_tasks = OPT_INT(d->failed_tasks.v + 1);
	if (!run)
		return;
	run->failed_in_row = OPT_INT(run->failed_in_row.v + 1);
	run->last_failed = OPT_TIME(now_ms);
}

bool service_gave_up(const struct state_ecs_service_record *r)
{
	return str_is(r->service->deployments.v[0].rollout_state, "FAILED");
}

static void roll_back(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	const struct ecs_deployment *good = r->good;
	v->task_definition = good->task_definition;
	v->platform_version = good->platform_version;
	v->network_configuration = good->network_configuration;
	v->capacity_provider_strategy = good->capacity_provider_strategy;
	v->service_registries = r->good_registries;
	struct str to = good->id;
	struct ecs_deployment *d = ecs_service_deploy(s->arena, r, now_ms);
	d->rollout_state_reason =
	        arena_printf(s->arena, "ECS deployment circuit breaker: rolling back to deploymentId %.*s.", STR_ARG(to));
	ecs_service_event(s->arena, r, now_ms, "rolling back to deployment %.*s.", STR_ARG(to));
}

bool service_break_circuit(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	const struct ecs_deployment_configuration *conf = r->service->deployment_configuration;
	const struct ecs_deployment_circuit_breaker *b = conf ? conf->deployment_circuit_breaker : NULL;
	struct ecs_deployment *d = &r->service->deployments.v[0];
	struct state_ecs_run *run = ecs_service_run(r, d->id);
	if (!b || !b->enable.v || !str_is(d->rollout_state, "IN_PROGRESS") || !run ||
	    run->failed_in_row.v < rollout_breaker_threshold(r->service->desired_count.v))
		return false;
	d->rollout_state = S("FAILED");
	d->rollout_state_reason = S("ECS deployment circuit breaker: tasks failed to start.");
	d->updated_at = OPT_TIME(now_ms);
	ecs_service_event(s->arena, r, now_ms, "(deployment %.*s) deployment failed: tasks failed to start.", STR_ARG(d->id));
	if (b->rollback.v && r->good && !str_eq(r->good->id, d->id))
		roll_back(s, r, now_ms);
	return true;
}
