#include "schedule.h"

#include "base/id.h"
#include "engine/scaling/cron.h"

enum { ACTIONS_MAX = 125, BATCH_MAX = 50, USUAL = 50, MOST = 100 };

static const struct record_type schedule_row = {&state_autoscaling_api, "ScheduleRecord"};

static bool schedule_find(const struct scope *s, struct str group, struct str name, struct state_autoscaling_schedule_record *ret)
{
	return record_get(s->txn, s->arena, scaling_key(s, "schedule", group, name), &schedule_row, ret);
}

static void schedule_put(const struct scope *s, const struct state_autoscaling_schedule_record *r)
{
	record_put(s->txn, s->arena,
	           scaling_key(s, "schedule", r->action->auto_scaling_group_name, r->action->scheduled_action_name), &schedule_row,
	           r);
}

struct schedules {
	struct state_autoscaling_schedule_record *v;
	uint32_t n;
	bool set;
};

static struct schedules schedules_of(const struct scope *s, struct str group)
{
	struct schedules all = {0};
	struct str under = scaling_under(s, "schedule", group), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_autoscaling_schedule_record r = {0};
		if (record_read(s->arena, v.value, &schedule_row, &r))
			*LIST_ADD(s->arena, &all) = r;
	}
	return all;
}

/* --- doing what is due */

static void run(struct step *t, const struct autoscaling_scheduled_update_group_action *a)
{
	struct autoscaling_auto_scaling_group *g = t->r->group;
	int64_t min = a->min_size.set ? a->min_size.v : g->min_size.v, max = a->max_size.set ? a->max_size.v : g->max_size.v;
	int64_t desired = a->desired_capacity.set ? a->desired_capacity.v : g->desired_capacity.v;
	struct str cause = arena_printf(t->s->arena, "At %.*s the scheduled action %.*s was to be executed.",
	                                STR_ARG(scaling_time(t->s->arena, t->s->now_ms)), STR_ARG(a->scheduled_action_name));
	if (min > max) { /* the group has changed since the action was made */
		scaling_activity_refused(
		        t->s, t->r, ARENA_CAT(t->s->arena, S("Executing scheduled action: "), a->scheduled_action_name), cause,
		        "Failed",
		        arena_printf(t->s->arena, "Max bound, %lld, must be greater than or equal to min bound, %lld",
		                     (long long)max, (long long)min));
		return;
	}
	g->min_size = OPT_INT(min);
	g->max_size = OPT_INT(max);
	desired = desired < min ? min : desired > max ? max : desired;
	if (desired != g->desired_capacity.v)
		scaling_set_desired(
		        t->s, t->r, desired,
		        arena_printf(t->s->arena,
		                     "a scheduled action update of AutoScalingGroup constraints to min: %lld, max: %lld, "
		                     "desired: %lld",
		                     (long long)min, (long long)max, (long long)desired));
}

/* Its next time after now, 0: there is none. */
static int64_t next_of(const struct autoscaling_scheduled_update_group_action *a, int64_t now_ms)
{
	struct cron cron;
	if (!a->recurrence.n)
		return a->start_time.ms > now_ms ? a->start_time.ms : 0;
	int64_t after = a->start_time.set && a->start_time.ms - 1 > now_ms ? a->start_time.ms - 1 : now_ms;
	int64_t next = cron_parse(a->recurrence, &cron) ? cron_next(&cron, zone_find(a->time_zone), after) : 0;
	return a->end_time.set && next > a->end_time.ms ? 0 : next;
}

void schedule_step(struct step *t)
{
	struct schedules all = schedules_of(t->s, t->r->group->auto_scaling_group_name);
	for (uint32_t i = 0; i < all.n && !t->r->deleting.v; i++) {
		struct state_autoscaling_schedule_record *r = &all.v[i];
		if (r->next.ms > t->s->now_ms) {
			step_wake(t, r->next.ms);
			continue;
		}
		if (!scaling_suspended(t->r, "ScheduledActions"))
			run(t, r->action);
		int64_t next = next_of(r->action, t->s->now_ms);
		if (!next) {
			store_delete(t->s->txn, scaling_key(t->s, "schedule", r->action->auto_scaling_group_name,
			                                    r->action->scheduled_action_name));
			continue;
		}
		r->next = OPT_TIME(next);
		r->action->time = r->action->start_time = OPT_TIME(next);
		schedule_put(t->s, r);
		step_wake(t, next);
	}
}

/* --- operations */

/* False: *ret_why says why it cannot be. */
static bool take(struct call *c, struct str group, const struct autoscaling_scheduled_update_group_action_request *in,
                 struct str *ret_why)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_schedule_record old = {0};
	struct cron cron;
	bool there = schedule_find(&s, group, in->scheduled_action_name, &old);
	struct autoscaling_scheduled_update_group_action a = {
	        .auto_scaling_group_name = group,
	        .scheduled_action_name = in->scheduled_action_name,
	        .scheduled_action_arn = there ? old.action->scheduled_action_arn
	                                      : scaling_arn(&s, "scheduledUpdateGroupAction", id_uuid(c->arena),
	                                                    ARENA_CAT(c->arena, S("autoScalingGroupName/"), group,
	                                                              S(":scheduledActionName/"), in->scheduled_action_name)),
	        .start_time = in->start_time,
	        .end_time = in->end_time,
	        .recurrence = in->recurrence.n ? in->recurrence : STR_NONE,
	        .min_size = in->min_size,
	        .max_size = in->max_size,
	        .desired_capacity = in->desired_capacity,
	        .time_zone = in->time_zone};
	*ret_why = STR_NONE;
	if (in->time_zone.n && !zone_find(in->time_zone))
		*ret_why = arena_printf(c->arena, "Time zone '%.*s' is not valid.", STR_ARG(in->time_zone));
	else if (!a.min_size.set && !a.max_size.set && !a.desired_capacity.set)
		*ret_why = S("At least one of MinSize, MaxSize and DesiredCapacity is required.");
	else if (a.min_size.v < 0 || a.max_size.v < 0 || a.desired_capacity.v < 0)
		*ret_why = S("Sizes are non-negative numbers.");
	else if (a.min_size.set && a.max_size.set && a.min_size.v > a.max_size.v)
		*ret_why = arena_printf(c->arena, "Max bound, %lld, must be greater than or equal to min bound, %lld",
		                        (long long)a.max_size.v, (long long)a.min_size.v);
	else if (a.recurrence.n && !cron_parse(a.recurrence, &cron))
		*ret_why = S("Given recurrence string is invalid");
	else if (!a.recurrence.n && !a.start_time.set)
		*ret_why = S("Either StartTime or Recurrence is required.");
	else if (a.start_time.set && a.start_time.ms < c->now_ms)
		*ret_why = S("Given start time is in the past");
	else if (a.end_time.set && a.end_time.ms < (a.start_time.set ? a.start_time.ms : c->now_ms))
		*ret_why = S("EndTime is earlier than StartTime or in the past");
	int64_t next = str_set(*ret_why) ? 0 : next_of(&a, c->now_ms);
	if (!str_set(*ret_why) && !next)
		*ret_why = S("The action would never be executed");
	if (!str_set(*ret_why) && !there && schedules_of(&s, group).n >= ACTIONS_MAX)
		*ret_why = S("A group can have at most 125 scheduled actions.");
	if (str_set(*ret_why))
		return false;
	a.time = a.start_time = OPT_TIME(next);
	struct state_autoscaling_schedule_record r = {.action = &a, .next = OPT_TIME(next)};
	schedule_put(&s, &r);
	return true;
}

int autoscaling_put_scheduled_update_group_action(struct call *c,
                                                  const struct autoscaling_put_scheduled_update_group_action_type *in,
                                                  struct model_none *out)
{
	(void)out;
	struct state_autoscaling_group_record g;
	struct str why;
	struct autoscaling_scheduled_update_group_action_request one = {.scheduled_action_name = in->scheduled_action_name,
	                                                                .start_time =
	                                                                        in->start_time.set ? in->start_time : in->time,
	                                                                .end_time = in->end_time,
	                                                                .recurrence = in->recurrence,
	                                                                .min_size = in->min_size,
	                                                                .max_size = in->max_size,
	                                                                .desired_capacity = in->desired_capacity,
	                                                                .time_zone = in->time_zone};
	if (scaling_get(c, in->auto_scaling_group_name, &g) != CALL_OK)
		return CALL_FAIL;
	return take(c, g.group->auto_scaling_group_name, &one, &why) ? CALL_OK : scaling_invalid(c, "%.*s", STR_ARG(why));
}

int autoscaling_batch_put_scheduled_update_group_action(struct call *c,
                                                        const struct autoscaling_batch_put_scheduled_update_group_action_type *in,
                                                        struct autoscaling_batch_put_scheduled_update_group_action_answer *out)
{
	struct state_autoscaling_group_record g;
	if (scaling_get(c, in->auto_scaling_group_name, &g) != CALL_OK)
		return CALL_FAIL;
	if (in->scheduled_update_group_actions.n > BATCH_MAX)
		return scaling_invalid(c, "At most %d scheduled actions can be given.", BATCH_MAX);
	out->failed_scheduled_update_group_actions.set = true;
	for (uint32_t i = 0; i < in->scheduled_update_group_actions.n; i++) {
		struct str why;
		if (!take(c, g.group->auto_scaling_group_name, &in->scheduled_update_group_actions.v[i], &why))
			*LIST_ADD(c->arena, &out->failed_scheduled_update_group_actions) =
			        (struct autoscaling_failed_scheduled_update_group_action_request){
			                .scheduled_action_name = in->scheduled_update_group_actions.v[i].scheduled_action_name,
			                .error_code = S("ValidationError"),
			                .error_message = why};
	}
	return CALL_OK;
}

static int no_such_action(struct call *c, struct str name)
{
	return scaling_invalid(c, "Scheduled action name not found - '%.*s' not found", STR_ARG(name));
}

int autoscaling_delete_scheduled_action(struct call *c, const struct autoscaling_delete_scheduled_action_type *in,
                                        struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record g;
	struct state_autoscaling_schedule_record r = {0};
	if (scaling_get(c, in->auto_scaling_group_name, &g) != CALL_OK)
		return CALL_FAIL;
	if (!schedule_find(&s, g.group->auto_scaling_group_name, in->scheduled_action_name, &r))
		return no_such_action(c, in->scheduled_action_name);
	store_delete(s.txn, scaling_key(&s, "schedule", g.group->auto_scaling_group_name, in->scheduled_action_name));
	return CALL_OK;
}

int autoscaling_batch_delete_scheduled_action(struct call *c, const struct autoscaling_batch_delete_scheduled_action_type *in,
                                              struct autoscaling_batch_delete_scheduled_action_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record g;
	if (scaling_get(c, in->auto_scaling_group_name, &g) != CALL_OK)
		return CALL_FAIL;
	out->failed_scheduled_actions.set = true;
	for (uint32_t i = 0; i < in->scheduled_action_names.n; i++) {
		struct str name = in->scheduled_action_names.v[i];
		struct state_autoscaling_schedule_record r = {0};
		if (schedule_find(&s, g.group->auto_scaling_group_name, name, &r))
			store_delete(s.txn, scaling_key(&s, "schedule", g.group->auto_scaling_group_name, name));
		else
			*LIST_ADD(c->arena, &out->failed_scheduled_actions) =
			        (struct autoscaling_failed_scheduled_update_group_action_request){
			                .scheduled_action_name = name,
			                .error_code = S("ValidationError"),
			                .error_message = S("Scheduled action name not found")};
	}
	return CALL_OK;
}

int autoscaling_describe_scheduled_actions(struct call *c, const struct autoscaling_describe_scheduled_actions_type *in,
                                           struct autoscaling_scheduled_actions_type *out)
{
	struct scope s = scaling_scope(c);
	struct page p;
	struct str last = STR_NONE;
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	out->scheduled_update_group_actions.set = true;
	struct schedules all = schedules_of(&s, in->auto_scaling_group_name);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct autoscaling_scheduled_update_group_action *a = all.v[i].action;
		struct str at = ARENA_CAT(c->arena, a->auto_scaling_group_name, S(":"), a->scheduled_action_name);
		bool early = in->start_time.set && all.v[i].next.ms < in->start_time.ms;
		bool late = in->end_time.set && all.v[i].next.ms > in->end_time.ms;
		if (early || late || (str_set(p.after) && str_cmp(at, p.after) <= 0) ||
		    !scaling_among(&in->scheduled_action_names, a->scheduled_action_name))
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = at;
		*LIST_ADD(c->arena, &out->scheduled_update_group_actions) = *a;
	}
	return CALL_OK;
}
