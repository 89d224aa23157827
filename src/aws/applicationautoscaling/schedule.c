/* Scheduled actions: PutScheduledAction, DescribeScheduledActions, DeleteScheduledAction, and doing them when they are due. */
#include "keeper.h"

#include "base/id.h"
#include "engine/scaling/cron.h"

enum { ACTIONS_MAX = 200 };

static const struct record_type schedule_row = {&state_applicationautoscaling_api, "ScheduleRecord"};

struct schedules {
	struct state_applicationautoscaling_schedule_record *v;
	uint32_t n;
	bool set;
};

static struct schedules schedules_of(const struct appscale *s, const struct resource *of)
{
	struct schedules all = {0};
	struct str under = appscale_under(s, "schedule", of->namespace, of->id, of->dimension), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_applicationautoscaling_schedule_record r = {0};
		if (record_read(s->arena, v.value, &schedule_row, &r))
			*LIST_ADD(s->arena, &all) = r;
	}
	return all;
}

void appscale_schedules_drop(const struct appscale *s, const struct resource *of)
{
	struct schedules all = schedules_of(s, of);
	for (uint32_t i = 0; i < all.n; i++)
		store_delete(s->txn, appscale_key(s, "schedule", of, all.v[i].action->scheduled_action_name));
}

/* The next time after that; 0: there is none. */
static int64_t next_of(const struct application_autoscaling_scheduled_action *a, int64_t after_ms)
{
	struct when w;
	if (!when_parse(a->schedule, a->timezone.n ? zone_find(a->timezone) : NULL, &w))
		return 0;
	int64_t next = when_next(&w, a->start_time.set ? a->start_time.ms : a->creation_time.ms, after_ms);
	if (w.kind == WHEN_AT && a->start_time.set && next < a->start_time.ms)
		return 0;
	return a->end_time.set && next > a->end_time.ms ? 0 : next;
}

/* --- doing what is due */

static struct str bounds_text(struct arena *a, const struct application_autoscaling_scalable_target_action *t)
{
	struct str min = arena_printf(a, "min capacity to %lld", (long long)t->min_capacity.v);
	struct str max = arena_printf(a, "max capacity to %lld", (long long)t->max_capacity.v);
	return t->min_capacity.set && t->max_capacity.set ? ARENA_CAT(a, min, S(" and "), max) : t->min_capacity.set ? min : max;
}

static void run(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                const struct application_autoscaling_scheduled_action *a)
{
	const struct application_autoscaling_scalable_target_action *t = a->scalable_target_action;
	int64_t min = t->min_capacity.set ? t->min_capacity.v : r->target->min_capacity.v;
	int64_t max = t->max_capacity.set ? t->max_capacity.v : r->target->max_capacity.v;
	struct str to = bounds_text(s->arena, t), description = ARENA_CAT(s->arena, S("Setting "), to);
	struct str cause = arena_printf(s->arena, "scheduled action name %.*s was triggered", STR_ARG(a->scheduled_action_name));
	if (min > max) { /* the target has changed since the action was made */
		activity_done(s, of, description, cause, "Failed",
		              ARENA_CAT(s->arena, S("Failed to set "), to,
		                        S(". Reason: Maximum capacity cannot be less than minimum capacity")));
		return;
	}
	r->target->min_capacity = OPT_INT(min);
	r->target->max_capacity = OPT_INT(max);
	activity_done(s, of, description, cause, "Successful", ARENA_CAT(s->arena, S("Successfully set "), to));
	target_bound(s, of, r);
}

int64_t appscale_schedules_step(const struct appscale *s, const struct resource *of,
                                struct state_applicationautoscaling_target_record *r, bool *ret_changed)
{
	struct schedules all = schedules_of(s, of);
	int64_t wake = 0;
	for (uint32_t i = 0; i < all.n; i++) {
		struct state_applicationautoscaling_schedule_record *one = &all.v[i];
		struct str key = appscale_key(s, "schedule", of, one->action->scheduled_action_name);
		int64_t next = one->next.ms;
		if (next <= s->now_ms) {
			if (!r->target->suspended_state->scheduled_scaling_suspended.v) {
				run(s, of, r, one->action);
				*ret_changed = true;
			}
			next = next_of(one->action, s->now_ms);
			one->next = OPT_TIME(next);
			if (next)
				record_put(s->txn, s->arena, key, &schedule_row, one);
			else
				store_delete(s->txn, key);
		}
		wake = next && (!wake || next < wake) ? next : wake;
	}
	return wake;
}

/* --- operations */

static int check(struct call *c, const struct application_autoscaling_scheduled_action *a)
{
	const struct application_autoscaling_scalable_target_action *t = a->scalable_target_action;
	struct when w;
	if (!a->schedule.n)
		return appscale_invalid(c, "Schedule is required for a new scheduled action.");
	if (a->timezone.n && !zone_find(a->timezone))
		return appscale_invalid(c, "Timezone '%.*s' is not valid.", STR_ARG(a->timezone));
	if (!when_parse(a->schedule, NULL, &w))
		return appscale_invalid(c, "Schedule expression '%.*s' is not valid.", STR_ARG(a->schedule));
	if (!t || (!t->min_capacity.set && !t->max_capacity.set))
		return appscale_invalid(c, "ScalableTargetAction with MinCapacity, MaxCapacity or both is required.");
	if (t->min_capacity.v < 0 || t->max_capacity.v < 0)
		return appscale_invalid(c, "Minimum and maximum capacity must be non-negative numbers.");
	if (t->min_capacity.set && t->max_capacity.set && t->min_capacity.v > t->max_capacity.v)
		return appscale_invalid(c, "Maximum capacity cannot be less than minimum capacity");
	if (a->start_time.set && a->end_time.set && a->end_time.ms <= a->start_time.ms)
		return appscale_invalid(c, "EndTime must be later than StartTime.");
	return CALL_OK;
}

int application_autoscaling_put_scheduled_action(struct call *c,
                                                 const struct application_autoscaling_put_scheduled_action_request *in,
                                                 struct application_autoscaling_put_scheduled_action_response *out)
{
	(void)out;
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct state_applicationautoscaling_target_record target;
	struct state_applicationautoscaling_schedule_record r = {0};
	if (appscale_resource(c, in->service_namespace, in->resource_id, in->scalable_dimension, &of) != CALL_OK ||
	    target_get(c, &of, &target) != CALL_OK)
		return CALL_FAIL;
	struct str key = appscale_key(&s, "schedule", &of, in->scheduled_action_name);
	bool there = record_get(s.txn, c->arena, key, &schedule_row, &r);
	struct application_autoscaling_scheduled_action *a =
	        there ? r.action : arena_new(c->arena, struct application_autoscaling_scheduled_action);
	if (!there && schedules_of(&s, &of).n >= ACTIONS_MAX)
		return appscale_full(c, "A scalable target can have at most %d scheduled actions.", ACTIONS_MAX);
	if (!there)
		*a = (struct application_autoscaling_scheduled_action){
		        .scheduled_action_name = in->scheduled_action_name,
		        .scheduled_action_arn = arena_printf(
		                c->arena,
		                "arn:aws:autoscaling:%.*s:%.*s:scheduledAction:%.*s:resource/%.*s/%.*s:scheduledActionName/%.*s",
		                STR_ARG(c->region), STR_ARG(c->account), STR_ARG(id_uuid(c->arena)), STR_ARG(of.namespace),
		                STR_ARG(of.id), STR_ARG(in->scheduled_action_name)),
		        .service_namespace = of.namespace,
		        .resource_id = of.id,
		        .scalable_dimension = of.dimension,
		        .creation_time = OPT_TIME(c->now_ms)};
	if (in->schedule.n)
		a->schedule = in->schedule;
	if (in->timezone.n)
		a->timezone = in->timezone;
	if (in->start_time.set)
		a->start_time = in->start_time;
	if (in->end_time.set)
		a->end_time = in->end_time;
	if (in->scalable_target_action)
		a->scalable_target_action = in->scalable_target_action;
	if (check(c, a) != CALL_OK)
		return CALL_FAIL;
	int64_t next = next_of(a, c->now_ms);
	if (!next)
		return appscale_invalid(
		        c, "The scheduled action would never be executed: its schedule or its EndTime is in the past.");
	r = (struct state_applicationautoscaling_schedule_record){.action = a, .next = OPT_TIME(next)};
	record_put(s.txn, c->arena, key, &schedule_row, &r);
	return CALL_OK;
}

int application_autoscaling_delete_scheduled_action(struct call *c,
                                                    const struct application_autoscaling_delete_scheduled_action_request *in,
                                                    struct application_autoscaling_delete_scheduled_action_response *out)
{
	(void)out;
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct store_value v;
	if (appscale_resource(c, in->service_namespace, in->resource_id, in->scalable_dimension, &of) != CALL_OK)
		return CALL_FAIL;
	struct str key = appscale_key(&s, "schedule", &of, in->scheduled_action_name);
	if (!store_get(s.txn, key, &v))
		return appscale_none(c, "No scheduled action found", &of,
		                     ARENA_CAT(c->arena, S("scheduled action name: "), in->scheduled_action_name));
	store_delete(s.txn, key);
	return CALL_OK;
}

int application_autoscaling_describe_scheduled_actions(struct call *c,
                                                       const struct application_autoscaling_describe_scheduled_actions_request *in,
                                                       struct application_autoscaling_describe_scheduled_actions_response *out)
{
	struct appscale s = appscale_of_call(c);
	struct page p;
	if (in->scalable_dimension.n && !in->resource_id.n)
		return appscale_invalid(c, "If you specify a scalable dimension, you must also specify a resource ID.");
	if (page_begin(c, &p, appscale_under(&s, "schedule", in->service_namespace, in->resource_id, in->scalable_dimension),
	               in->max_results, in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->scheduled_actions.set = true;
	while (page_next(&p)) {
		struct state_applicationautoscaling_schedule_record r = {0};
		if (!record_read(c->arena, p.value, &schedule_row, &r) ||
		    !appscale_among(&in->scheduled_action_names, r.action->scheduled_action_name))
			continue;
		if (!page_take(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->scheduled_actions) = *r.action;
	}
	return CALL_OK;
}
