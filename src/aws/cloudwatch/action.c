/* Alarms' actions, one after the other, and what they leave in the alarm's history. Here are also those that CloudWatch carries out
 * itself, by calling EC2 and Lambda. */
#include "aws/cloudwatch/alarm_op.h"

#include "base/clock.h"
#include "base/log.h"
#include "gen/ec2.h"
#include "gen/lambda.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* --- what an alarm may have */

static struct str last_part(struct str arn)
{
	return str_from_at(arn, (size_t)(str_rfind_char(arn, ':') + 1));
}

/* The cloud will do it in the account's name, so whoever puts the alarm must be allowed to do it himself. Recovery takes nothing.
 */
static bool may_ec2(struct call *c, struct str arn, struct str instance)
{
	static const struct {
		const char *what, *action;
	} needs[] = {{"stop", "ec2:StopInstances"}, {"terminate", "ec2:TerminateInstances"}, {"reboot", "ec2:RebootInstances"}};
	struct str of = arena_printf(c->arena, "arn:aws:ec2:%.*s:%.*s:instance/%.*s", STR_ARG(c->region), STR_ARG(c->account),
	                             STR_ARG(instance));
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (str_is(last_part(arn), needs[i].what))
			return call_allowed(c, needs[i].action, of);
	return true;
}

int alarm_check_actions(struct call *c, const struct str_list *actions, const struct cloudwatch_dimensions *dimensions, bool metric)
{
	for (uint32_t i = 0; i < actions->n; i++) {
		struct str arn = actions->v[i];
		const struct alarm_action_kind *kind = alarm_action_find(arn);
		bool ec2 = alarm_action_matches("arn:aws:automate:*:ec2:", arn);
		struct str instance = STR_NONE;
		for (uint32_t k = 0; k < dimensions->n; k++)
			if (str_is(dimensions->v[k].name, "InstanceId"))
				instance = dimensions->v[k].value;
		if (!str_starts(arn, S("arn:")))
			return call_fail(c, "InvalidParameterValueException", 0, "Invalid arn syntax: %.*s", STR_ARG(arn));
		if (!kind)
			return call_fail(c, "InvalidParameterValueException", 0, "Unsupported alarm action: %.*s", STR_ARG(arn));
		if (ec2 && (!metric || !str_set(instance)))
			return call_fail(c, "InvalidParameterValueException", 0,
			                 "EC2 actions are for alarms on one metric with the dimension InstanceId: %.*s",
			                 STR_ARG(arn));
		if (kind->check && kind->check(c, arn) != CALL_OK)
			return CALL_FAIL;
		if (ec2 && !may_ec2(c, arn, instance))
			return CALL_FAIL;
	}
	return CALL_OK;
}

/* --- carrying out what is due */

struct act {
	struct cloud *cloud;
	struct arena arena;
	struct state_cloudwatch_alarm_record record; /* of its own */
	struct alarm_event event;
	struct str_map dimensions;
	struct str_list actions;
	struct alarm_results {
		struct alarm_result {
			struct str action, error, what;
		} * v;
		uint32_t n;
		bool set;
	} results;
	int64_t transitioned_ms;
	uint32_t at;
	void (*done)(void *ctx);
	void *ctx;
};

static void end(struct act *a)
{
	a->done(a->ctx);
	arena_done(&a->arena);
	free(a);
}

static void write_results(struct act *a);

static void written(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	if (result == -EAGAIN)
		write_results(ctx);
	else
		end(ctx);
}

static struct str result_data(struct act *a, const struct alarm_result *r)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("actionState"));
	json_string(&o, str_set(r->error) ? S("Failed") : S("Succeeded"));
	json_key(&o, S("notificationResource"));
	json_string(&o, r->action);
	json_key(&o, S("stateUpdateTimestamp"));
	json_int(&o, a->transitioned_ms);
	json_key(&o, S("error"));
	json_string(&o, r->error);
	json_close(&o, '}');
	return arena_dup(&a->arena, buf_str(&b));
}

static void write_results(struct act *a)
{
	struct alarm_scope s = {store_begin(a->cloud->store, &a->arena), &a->arena, a->event.account, a->event.region};
	struct state_cloudwatch_alarm_record now;
	int64_t now_ms = clock_wall_ms();
	bool there = alarm_find(&s, a->event.alarm_name, &now);
	for (uint32_t i = 0; i < a->results.n && !a->event.repeated; i++) {
		const struct alarm_result *r = &a->results.v[i];
		struct str summary = str_set(r->error)
		                             ? ARENA_CAT(&a->arena, S("Failed to execute action "), r->action, S(": "), r->error)
		                     : str_set(r->what) ? r->what
		                                        : ARENA_CAT(&a->arena, S("Successfully executed action "), r->action);
		alarm_remember(&s, &a->record, now_ms, "Action", summary, result_data(a, r));
	}
	/* A state that came meanwhile has actions of its own. */
	if (there && now.due.v && alarm_face(&now).transitioned->ms == a->transitioned_ms) {
		now.due = OPT_BOOL(false);
		alarm_save(&s, &now);
	}
	store_commit(s.txn, written, a);
}

static void run_next(struct act *a);

static void ran(void *ctx, struct str error, struct str what)
{
	struct act *a = ctx;
	*LIST_ADD(&a->arena, &a->results) = (struct alarm_result){
	        .action = a->event.action, .error = arena_dup(&a->arena, error), .what = arena_dup(&a->arena, what)};
	run_next(a);
}

static void run_next(struct act *a)
{
	while (a->at < a->actions.n) {
		struct str arn = a->actions.v[a->at++];
		const struct alarm_action_kind *kind = alarm_action_find(arn);
		a->event.action = arn;
		if (kind && (kind->repeats || !a->event.repeated)) {
			kind->run(a->cloud, &a->event, ran, a);
			return;
		}
		if (!kind)
			*LIST_ADD(&a->arena, &a->results) =
			        (struct alarm_result){.action = arn, .error = S("there is no such service here")};
	}
	write_results(a);
}

static void fill_metric(struct act *a, const struct cloudwatch_metric_alarm *m, double value)
{
	struct alarm_event *e = &a->event;
	e->metric = true;
	e->space = m->namespace;
	e->metric_name = m->metric_name;
	e->unit = m->unit;
	e->statistic = str_set(m->statistic) ? m->statistic : m->extended_statistic;
	for (uint32_t i = 0; i < m->dimensions.n; i++)
		*LIST_ADD(&a->arena, &a->dimensions) = (struct str_map_entry){m->dimensions.v[i].name, m->dimensions.v[i].value};
	e->dimensions = m->metrics.n ? NULL : &a->dimensions;
	e->operator= m->comparison_operator;
	e->period_s = alarm_period_s(m);
	e->evaluation_periods = m->evaluation_periods.v;
	e->threshold = m->threshold.v;
	e->missing = m->treat_missing_data;
	e->few = m->evaluate_low_sample_count_percentile;
	e->value = value;
}

void alarm_act(struct cloud *cloud, struct str account, struct str region, const struct state_cloudwatch_alarm_record *r,
               bool repeated, double value, void (*done)(void *ctx), void *ctx)
{
	struct act *a = calloc(1, sizeof(*a));
	if (!a)
		die("out of memory (alarm actions)");
	a->cloud = cloud;
	a->done = done;
	a->ctx = ctx;
	record_read(&a->arena, record_write(&a->arena, CLOUDWATCH_ROW("Alarm"), r), CLOUDWATCH_ROW("Alarm"), &a->record);
	struct alarm_face f = alarm_face(&a->record);
	a->transitioned_ms = f.transitioned->ms;
	if (f.enabled->v)
		a->actions = *f.actions[alarm_state_of(*f.state)];
	a->event = (struct alarm_event){.account = arena_dup(&a->arena, account),
	                                .region = arena_dup(&a->arena, region),
	                                .alarm_name = f.name,
	                                .alarm_arn = f.arn,
	                                .description = a->record.metric ? a->record.metric->alarm_description
	                                                                : a->record.composite->alarm_description,
	                                .old_state = a->record.old_state,
	                                .new_state = *f.state,
	                                .reason = *f.reason,
	                                .reason_data = *f.reason_data,
	                                .changed_ms = a->transitioned_ms,
	                                .updated_ms = f.updated->ms,
	                                .actions = {f.actions[ALARM_OK], f.actions[ALARM_ALARM], f.actions[ALARM_INSUFFICIENT]},
	                                .rule = a->record.composite ? a->record.composite->alarm_rule : STR_NONE,
	                                .repeated = repeated,
	                                .value = NAN};
	if (a->record.metric)
		fill_metric(a, a->record.metric, value);
	run_next(a);
}

/* --- EC2 and Lambda */

struct ran {
	alarm_ran_fn *fn;
	void *ctx;
	struct arena arena;
};

static void called(void *ctx, struct call *sub)
{
	struct ran *r = ctx;
	struct str error = STR_NONE;
	if (str_set(sub->error.code))
		error = ARENA_CAT(&r->arena, sub->error.code, S(": "), sub->error.message);
	r->fn(r->ctx, error, STR_NONE);
	arena_done(&r->arena);
	free(r);
}

static struct ran *ran_new(alarm_ran_fn *fn, void *ctx)
{
	struct ran *r = calloc(1, sizeof(*r));
	if (!r)
		die("out of memory (alarm actions)");
	r->fn = fn;
	r->ctx = ctx;
	return r;
}

static int check_ec2(struct call *c, struct str arn)
{
	struct str what = last_part(arn), region = arn;
	for (unsigned i = 0; i < 3; i++)
		str_cut(&region, ':');
	if (!str_eq(str_cut(&region, ':'), c->region) ||
	    (!str_is(what, "stop") && !str_is(what, "terminate") && !str_is(what, "reboot") && !str_is(what, "recover")))
		return call_fail(c, "InvalidParameterValueException", 0, "Unsupported EC2 action: %.*s", STR_ARG(arn));
	return CALL_OK;
}

/* An instance recovers by starting again where it is: there is no other host. */
static void run_ec2(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *fn, void *ctx)
{
	struct str what = last_part(e->action), id = e->dimensions ? str_map_get(e->dimensions, S("InstanceId")) : STR_NONE;
	struct str_list ids = {.v = &id, .n = 1, .set = true};
	if (!str_set(id)) {
		fn(ctx, S("the alarm has no instance"), STR_NONE);
		return;
	}
	struct principal *self = principal_new(PRINCIPAL_ROOT, e->account);
	struct ec2_stop_instances_request stop = {.instance_ids = ids};
	struct ec2_terminate_instances_request terminate = {.instance_ids = ids};
	struct ec2_reboot_instances_request reboot = {.instance_ids = ids};
	struct ran *r = ran_new(fn, ctx);
	if (str_is(what, "stop"))
		call_op(cloud, self, e->region, &ec2_api, "StopInstances", &stop, called, r);
	else if (str_is(what, "terminate"))
		call_op(cloud, self, e->region, &ec2_api, "TerminateInstances", &terminate, called, r);
	else
		call_op(cloud, self, e->region, &ec2_api, "RebootInstances", &reboot, called, r);
	principal_unref(self);
}

static void put_text(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_from(key));
	json_string(o, value);
}

static struct str lambda_event(struct arena *a, const struct alarm_event *e)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	struct json_out o = json_out(&b);
	struct str at = time_format(a, e->changed_ms, TIME_LAMBDA);
	json_open(&o, '{');
	put_text(&o, "source", S("aws.cloudwatch"));
	put_text(&o, "alarmArn", e->alarm_arn);
	put_text(&o, "accountId", e->account);
	put_text(&o, "time", at);
	put_text(&o, "region", e->region);
	json_key(&o, S("alarmData"));
	json_open(&o, '{');
	put_text(&o, "alarmName", e->alarm_name);
	json_key(&o, S("state"));
	json_open(&o, '{');
	put_text(&o, "value", e->new_state);
	put_text(&o, "reason", e->reason);
	if (str_set(e->reason_data))
		put_text(&o, "reasonData", e->reason_data);
	put_text(&o, "timestamp", at);
	json_close(&o, '}');
	json_key(&o, S("previousState"));
	json_open(&o, '{');
	put_text(&o, "value", e->old_state);
	json_close(&o, '}');
	json_key(&o, S("configuration"));
	json_open(&o, '{');
	if (str_set(e->description))
		put_text(&o, "description", e->description);
	json_close(&o, '}');
	json_close(&o, '}');
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}

/* Whether an alarm may invoke it is the function's policy to say. */
static void run_lambda(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *fn, void *ctx)
{
	struct ran *r = ran_new(fn, ctx);
	struct principal *self = principal_new(PRINCIPAL_SERVICE, e->account);
	self->name = self->arn = self->user_id = S("lambda.alarms.cloudwatch.amazonaws.com");
	self->issuer_arn = arena_dup(&self->arena, e->alarm_arn);
	struct lambda_invocation_request in = {
	        .function_name = e->action, .invocation_type = S("Event"), .payload = lambda_event(&r->arena, e)};
	call_op(cloud, self, e->region, &lambda_api, "Invoke", &in, called, r);
	principal_unref(self);
}

const struct alarm_action_kind cloudwatch_actions[CLOUDWATCH_ACTIONS] = {
        {.prefix = "arn:aws:automate:*:ec2:", .check = check_ec2, .run = run_ec2},
        {.prefix = "arn:aws:lambda:", .run = run_lambda},
};
