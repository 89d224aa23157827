/* What an alarm does when its state changes. A service names in its table (struct service, alarm_actions) the ARNs that it answers
 * for; aws/cloudwatch finds the kind by the longest prefix, asks check() when an alarm is put and calls run() when it has gone into
 * the state that the action is for. An ARN that no service answers for is refused when an alarm is put.
 *
 *	static const struct alarm_action_kind actions[] = {
 *	        {.prefix = "arn:aws:autoscaling:", .check = policy_check, .run = policy_run, .repeats = true},
 *	};
 */
#pragma once
#include "core/service.h"

/* One execution. Everything lives until `done` has been called. */
struct alarm_event {
	struct str action; /* the ARN */
	struct str account, region, alarm_name, alarm_arn, description;
	struct str old_state, new_state;   /* "OK", "ALARM", "INSUFFICIENT_DATA" */
	struct str reason, reason_data;    /* as the alarm has them; reason_data is JSON, or absent */
	int64_t changed_ms;                /* when the state began */
	int64_t updated_ms;                /* when it was put last */
	const struct str_list *actions[3]; /* all it has: in OK, in ALARM, with INSUFFICIENT_DATA */
	struct str rule;                   /* of a composite alarm */
	bool repeated;                     /* the state goes on: called again (kinds that repeat) */
	bool metric;                       /* false: a composite alarm, and nothing of what follows */
	struct str space, metric_name, unit, statistic;
	const struct str_map *dimensions; /* name -> value; NULL: none (an alarm on an expression) */
	struct str operator;              /* "GreaterThanOrEqualToThreshold", ... */
	int64_t period_s, evaluation_periods;
	struct str missing, few; /* TreatMissingData, EvaluateLowSampleCountPercentile; absent: not said */
	double threshold;
	double value; /* the newest datapoint that was looked at; NaN: there was none */
};

/* How it ended: error absent: it was done. `what` is a sentence for the alarm's history, absent: a plain one. */
typedef void alarm_ran_fn(void *ctx, struct str error, struct str what);

struct alarm_action_kind {
	const char *prefix; /* a * stands for one part between colons: "arn:aws:automate:*:ec2:" */
	/* May an alarm of this call's account have this action? CALL_OK, or CALL_FAIL with the error. NULL: always. */
	int (*check)(struct call *c, struct str arn);
	/* Calls ran(ctx, ...) once, now or later, on the loop. */
	void (*run)(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *ran, void *ctx);
	bool repeats; /* once a minute as long as the alarm stays in the state: Auto Scaling's */
};

/* The kind that answers for an ARN; NULL: there is none. */
const struct alarm_action_kind *alarm_action_find(struct str arn);
/* Does the ARN start with the kind's prefix, part by part? */
bool alarm_action_matches(const char *prefix, struct str arn);
