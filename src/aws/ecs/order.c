#include "aws/ecs/order.h"

enum { START_TIMEOUT_S = 180, RESTART_PERIOD_S = 300 };

static bool essential(const struct order_container *k)
{
	return !k->definition->essential.set || k->definition->essential.v;
}

static const struct order_container *find(const struct order_container *v, uint32_t n, struct str name)
{
	for (uint32_t i = 0; i < n; i++)
		if (str_eq(v[i].definition->name, name))
			return &v[i];
	return NULL;
}

static bool may_restart(const struct order_container *k)
{
	const struct ecs_container_restart_policy *r = k->definition->restart_policy;
	if (!r || !r->enabled.v || k->not_started || k->state != ORDER_ENDED)
		return false;
	for (uint32_t i = 0; i < r->ignored_exit_codes.n; i++)
		if (r->ignored_exit_codes.v[i].v == k->exit_code)
			return false;
	int64_t period_s = r->restart_attempt_period.set ? r->restart_attempt_period.v : RESTART_PERIOD_S;
	return k->ended_ms - k->started_ms >= period_s * 1000;
}

static bool ended(const struct order_container *k)
{
	return k->state == ORDER_ENDED && !may_restart(k);
}

/* Is the other one as the condition wants it; if not, may it still come to that? */
enum wait { WAIT_MET, WAIT_ON, WAIT_NEVER };

static enum wait waits_on(const struct order_container *o, struct str condition)
{
	bool over = ended(o);
	if (str_is(condition, "START"))
		return o->started ? WAIT_MET : over ? WAIT_NEVER : WAIT_ON;
	if (str_is(condition, "HEALTHY"))
		return o->state == ORDER_RUNNING && o->health == ORDER_HEALTHY ? WAIT_MET : over ? WAIT_NEVER : WAIT_ON;
	if (!over)
		return WAIT_ON;
	if (!o->started || (str_is(condition, "SUCCESS") && o->exit_code))
		return WAIT_NEVER;
	return WAIT_MET;
}

/* A container's startTimeout is how long those that depend on it wait. */
static enum wait waits(const struct order_container *v, uint32_t n, const struct order_container *k, int64_t now_ms,
                       int64_t *again_ms)
{
	enum wait all = WAIT_MET;
	for (uint32_t i = 0; i < k->definition->depends_on.n; i++) {
		const struct ecs_container_dependency *on = &k->definition->depends_on.v[i];
		const struct order_container *o = find(v, n, on->container_name);
		enum wait w = o ? waits_on(o, on->condition) : WAIT_NEVER;
		if (w == WAIT_ON && o->asked_ms) {
			int64_t limit_s = o->definition->start_timeout.set ? o->definition->start_timeout.v : START_TIMEOUT_S;
			int64_t until = o->asked_ms + limit_s * 1000;
			if (until <= now_ms)
				w = WAIT_NEVER;
			else if (!*again_ms || until < *again_ms)
				*again_ms = until;
		}
		all = w > all ? w : all;
	}
	return all;
}

/* Does somebody who depends on it still run? */
static bool needed(const struct order_container *v, uint32_t n, const struct order_container *k)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t d = 0; d < v[i].definition->depends_on.n; d++)
			if (str_eq(v[i].definition->depends_on.v[d].container_name, k->definition->name) &&
			    (v[i].state == ORDER_RUNNING || v[i].state == ORDER_STARTING))
				return true;
	return false;
}

static enum order_verb stop_verb(const struct order_container *v, uint32_t n, const struct order_container *k)
{
	if (k->state == ORDER_NEW)
		return ORDER_GIVE_UP;
	return k->state == ORDER_RUNNING && !k->stopping && !needed(v, n, k) ? ORDER_STOP : ORDER_NOTHING;
}

static void judge(const struct order_container *v, uint32_t n, struct order_next *ret)
{
	ret->up = ret->down = true;
	bool left = false;
	for (uint32_t i = 0; i < n; i++) {
		const struct order_container *k = &v[i];
		ret->up = ret->up && (k->started || k->state == ORDER_ENDED);
		ret->down = ret->down && (k->state == ORDER_NEW || k->state == ORDER_ENDED);
		left = left || !ended(k);
		if (!ended(k) || !essential(k) || ret->end != ORDER_GOES_ON)
			continue;
		ret->end = k->started && !k->not_started ? ORDER_ESSENTIAL_EXITED : ORDER_FAILED_TO_START;
		ret->because = i;
	}
	if (!left && ret->end == ORDER_GOES_ON)
		ret->end = ORDER_NONE_LEFT;
}

void order_next(const struct order_container *v, uint32_t n, bool stopping, int64_t now_ms, enum order_verb *verbs,
                struct order_next *ret)
{
	*ret = (struct order_next){0};
	judge(v, n, ret);
	bool ends = stopping || ret->end != ORDER_GOES_ON;
	for (uint32_t i = 0; i < n; i++) {
		const struct order_container *k = &v[i];
		verbs[i] = ORDER_NOTHING;
		if (ends) {
			verbs[i] = stop_verb(v, n, k);
		} else if (k->state == ORDER_ENDED && may_restart(k)) {
			verbs[i] = ORDER_START;
		} else if (k->state == ORDER_NEW) {
			enum wait w = waits(v, n, k, now_ms, &ret->again_ms);
			verbs[i] = w == WAIT_MET ? ORDER_START : w == WAIT_NEVER ? ORDER_GIVE_UP : ORDER_NOTHING;
		}
	}
}

enum order_health order_task_health(const struct order_container *v, uint32_t n)
{
	enum order_health all = ORDER_HEALTH_UNKNOWN;
	bool unknown = false;
	for (uint32_t i = 0; i < n; i++) {
		const struct ecs_health_check *h = v[i].definition->health_check;
		if (!essential(&v[i]) || !h || !h->command.n || str_is(h->command.v[0], "NONE"))
			continue;
		if (v[i].health == ORDER_UNHEALTHY)
			return ORDER_UNHEALTHY;
		unknown = unknown || v[i].health == ORDER_HEALTH_UNKNOWN;
		all = ORDER_HEALTHY;
	}
	return unknown ? ORDER_HEALTH_UNKNOWN : all;
}
