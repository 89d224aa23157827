/* Failed starts, and what a deployment's circuit breaker makes of them. */
#include "deployment.h"
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

int64_t ecs_breaker_threshold(const struct ecs_deployment_circuit_breaker *b, int64_t desired)
{
	enum { STANDARD = 50 };
	const struct ecs_threshold_configuration *t = b ? b->threshold_configuration : NULL;
	enum rollout_threshold type = t && str_is(t->type, "COUNT")               ? ROLLOUT_COUNT
	                              : t && str_is(t->type, "UNBOUNDED_PERCENT") ? ROLLOUT_UNBOUNDED_PERCENT
	                                                                          : ROLLOUT_BOUNDED_PERCENT;
	return rollout_breaker_threshold(type, t ? t->value.v : STANDARD, desired);
}

bool service_can_roll_back(const struct state_ecs_service_record *r)
{
	return r->good && r->good_run && !str_eq(r->good->id, r->service->deployments.v[0].id);
}

void service_roll_back(const struct ecs_scope *s, struct state_ecs_service_record *r, struct str why, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	const struct ecs_deployment *good = r->good;
	v->task_definition = good->task_definition;
	v->platform_version = good->platform_version;
	v->network_configuration = good->network_configuration;
	v->capacity_provider_strategy = good->capacity_provider_strategy;
	v->launch_type = good->launch_type;
	v->platform_family = good->platform_family;
	v->service_registries = r->good_run->registries;
	v->load_balancers = r->good_run->balancers;
	r->connect = r->good_run->connect;
	r->connect_resources = r->good_run->connect_resources;
	struct str to = good->id;
	struct ecs_deployment *d = ecs_service_deploy(s, r, r->good_run, now_ms);
	d->rollout_state_reason = arena_printf(s->arena, "%.*s rolling back to deploymentId %.*s.", STR_ARG(why), STR_ARG(to));
	ecs_service_event(s->arena, r, now_ms, "rolling back to deployment %.*s.", STR_ARG(to));
	ecs_deployment_turn_back(s, r, d->rollout_state_reason, now_ms);
}

void service_give_up(struct state_ecs_service_record *r, struct str why, int64_t now_ms)
{
	struct ecs_deployment *d = &r->service->deployments.v[0];
	d->rollout_state = S("FAILED");
	d->rollout_state_reason = why;
	d->updated_at = OPT_TIME(now_ms);
}

void service_fail_deployment(const struct ecs_scope *s, struct state_ecs_service_record *r, struct str why, struct str back,
                             bool rollback, int64_t now_ms)
{
	/* A way back that fails is not turned back once more. */
	if (ecs_deployment_turned_back(s, r))
		ecs_deployment_end(s, r, "ROLLBACK_FAILED", why, now_ms);
	else if (rollback && service_can_roll_back(r))
		service_roll_back(s, r, back, now_ms);
	else
		ecs_deployment_end(s, r, "STOPPED", why, now_ms);
}

bool service_break_circuit(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	const struct ecs_deployment_configuration *conf = r->service->deployment_configuration;
	const struct ecs_deployment_circuit_breaker *b = conf ? conf->deployment_circuit_breaker : NULL;
	struct ecs_deployment *d = &r->service->deployments.v[0];
	struct state_ecs_run *run = ecs_service_run(r, d->id);
	if (!b || !b->enable.v || !str_is(d->rollout_state, "IN_PROGRESS") || !run ||
	    run->failed_in_row.v < ecs_breaker_threshold(b, r->service->desired_count.v))
		return false;
	struct str why = S("ECS deployment circuit breaker: tasks failed to start.");
	service_give_up(r, why, now_ms);
	ecs_deployment_trip(s, r, now_ms);
	ecs_service_event(s->arena, r, now_ms, "(deployment %.*s) deployment failed: tasks failed to start.", STR_ARG(d->id));
	service_fail_deployment(s, r, why, S("ECS deployment circuit breaker:"), b->rollback.v, now_ms);
	return true;
}
