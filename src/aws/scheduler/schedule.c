/* CreateSchedule, UpdateSchedule, GetSchedule, ListSchedules, DeleteSchedule. */
#include "rows.h"

enum { PAGE_MAX = 100, EARLIER_MS = 5 * 60 * 1000 };

static int check_times(struct call *c, const struct scheduler_update_schedule_input *in)
{
	struct str zone_name = str_set(in->schedule_expression_timezone) ? in->schedule_expression_timezone : S("UTC");
	const struct zone *zone = zone_find(zone_name);
	struct when w;
	if (!zone && !str_is(zone_name, "UTC"))
		return scheduler_invalid(c, "Invalid Schedule Expression Timezone %.*s.", STR_ARG(zone_name));
	if (!when_parse(in->schedule_expression, zone, &w))
		return scheduler_invalid(c, "Invalid Schedule Expression %.*s.", STR_ARG(in->schedule_expression));
	if (in->start_date.set && in->start_date.ms < c->now_ms - EARLIER_MS)
		return scheduler_invalid(c, "The StartDate you specify cannot be earlier than 5 minutes ago.");
	if (in->end_date.set && in->end_date.ms <= c->now_ms)
		return scheduler_invalid(c, "The EndDate you specify cannot be in the past.");
	if (in->start_date.set && in->end_date.set && in->end_date.ms <= in->start_date.ms)
		return scheduler_invalid(c, "The EndDate you specify must come after the StartDate.");
	bool flexible = str_is(in->flexible_time_window->mode, "FLEXIBLE"),
	     minutes = in->flexible_time_window->maximum_window_in_minutes.set;
	if (flexible != minutes)
		return scheduler_invalid(
		        c, flexible ? "MaximumWindowInMinutes must be provided when FlexibleTimeWindow is set to FLEXIBLE."
		                    : "MaximumWindowInMinutes must not be provided when FlexibleTimeWindow is set to OFF.");
	return CALL_OK;
}

static void fill(struct call *c, struct schedule *s, const struct scheduler_update_schedule_input *in)
{
	struct state_scheduler_schedule_record *r = &s->r;
	bool same = str_eq(r->expression, in->schedule_expression) && r->start.set == in->start_date.set &&
	            r->start.ms == in->start_date.ms;
	r->expression = in->schedule_expression;
	r->zone = str_set(in->schedule_expression_timezone) ? in->schedule_expression_timezone : S("UTC");
	r->description = in->description;
	r->state = str_set(in->state) ? in->state : S("ENABLED");
	r->completion = str_set(in->action_after_completion) ? in->action_after_completion : S("NONE");
	r->window = in->flexible_time_window->maximum_window_in_minutes;
	r->start = in->start_date;
	r->end = in->end_date;
	r->target = in->target;
	r->modified = OPT_TIME(c->now_ms);
	if (!r->created.set)
		r->created = r->modified;
	/* Rates count from here. */
	if (!same || !r->base.set)
		r->base = OPT_TIME(in->start_date.set && in->start_date.ms > c->now_ms ? in->start_date.ms : c->now_ms);
	schedule_next(r, c->now_ms);
	schedule_put(call_txn(c), c->arena, s);
}

static int check_keys(struct call *c, struct str kms)
{
	return kms.n ? scheduler_invalid(c, "KmsKeyArn is not supported: schedules are not encrypted with keys of KMS here.")
	             : CALL_OK;
}

int scheduler_create_schedule(struct call *c, const struct scheduler_create_schedule_input *in,
                              struct scheduler_create_schedule_output *out)
{
	struct schedule s;
	struct group g;
	const struct scheduler_update_schedule_input same = {.action_after_completion = in->action_after_completion,
	                                                     .description = in->description,
	                                                     .end_date = in->end_date,
	                                                     .flexible_time_window = in->flexible_time_window,
	                                                     .name = in->name,
	                                                     .schedule_expression = in->schedule_expression,
	                                                     .schedule_expression_timezone = in->schedule_expression_timezone,
	                                                     .start_date = in->start_date,
	                                                     .state = in->state,
	                                                     .target = in->target};
	if (group_get(c, in->group_name, &g) != CALL_OK || check_keys(c, in->kms_key_arn) != CALL_OK ||
	    check_times(c, &same) != CALL_OK)
		return CALL_FAIL;
	bool there = schedule_find(c, g.name, in->name, &s);
	out->schedule_arn = schedule_arn(c->arena, &s);
	if (there && str_eq(s.r.token, in->client_token))
		return CALL_OK;
	if (there)
		return call_fail(c, "ConflictException", 409, "Schedule %.*s already exists.", STR_ARG(in->name));
	int checked = target_check(c, in->target);
	if (checked != CALL_OK)
		return checked;
	s.r.token = in->client_token;
	fill(c, &s, &same);
	return CALL_OK;
}

int scheduler_update_schedule(struct call *c, const struct scheduler_update_schedule_input *in,
                              struct scheduler_update_schedule_output *out)
{
	struct schedule s;
	if (schedule_get(c, in->group_name, in->name, &s) != CALL_OK || check_keys(c, in->kms_key_arn) != CALL_OK ||
	    check_times(c, in) != CALL_OK)
		return CALL_FAIL;
	int checked = target_check(c, in->target);
	if (checked != CALL_OK)
		return checked;
	fill(c, &s, in);
	out->schedule_arn = schedule_arn(c->arena, &s);
	return CALL_OK;
}

int scheduler_get_schedule(struct call *c, const struct scheduler_get_schedule_input *in, struct scheduler_get_schedule_output *out)
{
	struct schedule s;
	if (schedule_get(c, in->group_name, in->name, &s) != CALL_OK)
		return CALL_FAIL;
	const struct state_scheduler_schedule_record *r = &s.r;
	struct scheduler_flexible_time_window *window = arena_new(c->arena, struct scheduler_flexible_time_window);
	window->mode = r->window.set ? S("FLEXIBLE") : S("OFF");
	window->maximum_window_in_minutes = r->window;
	*out = (struct scheduler_get_schedule_output){.action_after_completion = r->completion,
	                                              .arn = schedule_arn(c->arena, &s),
	                                              .creation_date = r->created,
	                                              .description = r->description,
	                                              .end_date = r->end,
	                                              .flexible_time_window = window,
	                                              .group_name = s.group,
	                                              .last_modification_date = r->modified,
	                                              .name = s.name,
	                                              .schedule_expression = r->expression,
	                                              .schedule_expression_timezone = r->zone,
	                                              .start_date = r->start,
	                                              .state = r->state,
	                                              .target = r->target};
	return CALL_OK;
}

/* A token is the group and name of the last one. */
static struct str page_from(struct call *c, struct str token)
{
	ptrdiff_t slash = str_find_char(token, '/');
	if (!str_set(token) || slash < 0)
		return STR_NONE;
	return ARENA_CAT(c->arena,
	                 schedule_key(c->arena, c->account, c->region, str_sub(token, 0, (size_t)slash),
	                              str_from_at(token, (size_t)slash + 1)),
	                 str_of("", 1));
}

int scheduler_list_schedules(struct call *c, const struct scheduler_list_schedules_input *in,
                             struct scheduler_list_schedules_output *out)
{
	struct group g;
	struct str all = KEY_UNDER(c->arena, S("scheduler"), S("schedule"), c->account, c->region), key, last = STR_NONE;
	if (str_set(in->group_name)) {
		if (group_get(c, in->group_name, &g) != CALL_OK)
			return CALL_FAIL;
		all = KEY_UNDER(c->arena, S("scheduler"), S("schedule"), c->account, c->region, g.name);
	}
	struct str from = page_from(c, in->next_token);
	struct store_iter *i = store_scan(call_txn(c), str_set(from) ? from : all, store_prefix_end(c->arena, all), false);
	struct store_value v;
	int64_t left = in->max_results.set ? in->max_results.v : PAGE_MAX;
	out->schedules.set = true;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct schedule s = {.account = c->account, .region = c->region, .group = parts.v[4], .name = parts.v[5]};
		if ((str_set(in->name_prefix) && !str_starts(s.name, in->name_prefix)) ||
		    !record_read(c->arena, v.value, SCHEDULER_ROW("Schedule"), &s.r) ||
		    (str_set(in->state) && !str_eq(in->state, s.r.state)))
			continue;
		if (!left--) {
			out->next_token = last;
			break;
		}
		struct scheduler_schedule_summary *one = LIST_ADD(c->arena, &out->schedules);
		one->arn = schedule_arn(c->arena, &s);
		one->creation_date = s.r.created;
		one->last_modification_date = s.r.modified;
		one->group_name = s.group;
		one->name = s.name;
		one->state = s.r.state;
		one->target = arena_new(c->arena, struct scheduler_target_summary);
		one->target->arn = s.r.target->arn;
		last = ARENA_CAT(c->arena, s.group, S("/"), s.name);
	}
	return CALL_OK;
}

int scheduler_delete_schedule(struct call *c, const struct scheduler_delete_schedule_input *in,
                              struct scheduler_delete_schedule_output *out)
{
	struct schedule s;
	(void)out;
	if (schedule_get(c, in->group_name, in->name, &s) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), s.key);
	return CALL_OK;
}
