/* Alarms that tell a topic: what they say, as AWS spells it. Whether they may is the topic's policy to say. */
#include "sns.h"

#include "aws/pricing/pricing.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "core/alarm.h"

#include <stdlib.h>

enum { TEXT_MAX = 256 * 1024, SUBJECT_MAX_CHARS = 100 };

static void text(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_from(key));
	json_string(o, str_set(value) ? value : STR_NONE);
}

static void list(struct json_out *o, const char *key, const struct str_list *l)
{
	json_key(o, str_from(key));
	json_open(o, '[');
	for (uint32_t i = 0; l && i < l->n; i++)
		json_string(o, l->v[i]);
	json_close(o, ']');
}

static struct str upper(struct arena *a, struct str s)
{
	char *p = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_upper(p[i]);
	return str_of(p, s.n);
}

static void put_threshold(struct json_out *o, struct arena *a, double x)
{
	char digits[32];
	struct str s = str_of(digits, json_double_to(digits, x));
	bool whole = str_find_char(s, '.') < 0 && str_find_char(s, 'e') < 0;
	json_key(o, S("Threshold"));
	json_raw(o, whole ? ARENA_CAT(a, s, S(".0")) : arena_dup(a, s));
}

static void put_trigger(struct json_out *o, struct arena *a, const struct alarm_event *e)
{
	bool plain = str_is(e->statistic, "Average") || str_is(e->statistic, "Sum") || str_is(e->statistic, "Minimum") ||
	             str_is(e->statistic, "Maximum") || str_is(e->statistic, "SampleCount");
	json_key(o, S("Trigger"));
	json_open(o, '{');
	if (e->dimensions) {
		text(o, "MetricName", e->metric_name);
		text(o, "Namespace", e->space);
		text(o, "StatisticType", plain ? S("Statistic") : S("ExtendedStatistic"));
		text(o, plain ? "Statistic" : "ExtendedStatistic", plain ? upper(a, e->statistic) : e->statistic);
		text(o, "Unit", e->unit);
		json_key(o, S("Dimensions"));
		json_open(o, '[');
		for (uint32_t i = 0; i < e->dimensions->n; i++) {
			json_open(o, '{');
			text(o, "value", e->dimensions->v[i].value);
			text(o, "name", e->dimensions->v[i].key);
			json_close(o, '}');
		}
		json_close(o, ']');
	}
	json_key(o, S("Period"));
	json_int(o, e->period_s);
	json_key(o, S("EvaluationPeriods"));
	json_int(o, e->evaluation_periods);
	text(o, "ComparisonOperator", e->operator);
	put_threshold(o, a, e->threshold);
	text(o, "TreatMissingData", str_set(e->missing) ? e->missing : S(""));
	text(o, "EvaluateLowSampleCountPercentile", str_set(e->few) ? e->few : S(""));
	json_close(o, '}');
}

static struct str message(struct arena *a, const struct alarm_event *e)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	text(&o, "AlarmName", e->alarm_name);
	text(&o, "AlarmDescription", e->description);
	if (str_set(e->rule))
		text(&o, "AlarmRule", e->rule);
	text(&o, "AWSAccountId", e->account);
	text(&o, "AlarmConfigurationUpdatedTimestamp", time_format(a, e->updated_ms, TIME_LAMBDA));
	text(&o, "NewStateValue", e->new_state);
	text(&o, "NewStateReason", e->reason);
	text(&o, "StateChangeTime", time_format(a, e->changed_ms, TIME_LAMBDA));
	text(&o, "Region", price_location(e->region));
	text(&o, "AlarmArn", e->alarm_arn);
	text(&o, "OldStateValue", e->old_state);
	list(&o, "OKActions", e->actions[0]);
	list(&o, "AlarmActions", e->actions[1]);
	list(&o, "InsufficientDataActions", e->actions[2]);
	if (e->metric)
		put_trigger(&o, a, e);
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}

/* Names may be long, and hold what a subject cannot. */
static struct str subject(struct arena *a, const struct alarm_event *e)
{
	struct str s = arena_printf(a, "%.*s: \"%.*s\" in %.*s", STR_ARG(e->new_state), STR_ARG(e->alarm_name),
	                            STR_ARG(price_location(e->region)));
	struct str left = s;
	while (str_utf8_len(left) > SUBJECT_MAX_CHARS)
		left.n--;
	while (!str_is_utf8(left))
		left.n--;
	char *p = arena_dupz(a, left);
	for (size_t i = 0; i < left.n; i++)
		if ((unsigned char)p[i] < ' ')
			p[i] = ' ';
	return str_of(p, left.n);
}

struct told {
	struct arena arena;
	alarm_ran_fn *ran;
	void *ctx;
};

static void told(void *ctx, struct call *sub)
{
	struct told *t = ctx;
	struct str error = STR_NONE;
	if (str_set(sub->error.code))
		error = ARENA_CAT(&t->arena, sub->error.code, S(": "), sub->error.message);
	t->ran(t->ctx, error, STR_NONE);
	arena_done(&t->arena);
	free(t);
}

static void tell(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *ran, void *ctx)
{
	struct told *t = calloc(1, sizeof(*t));
	struct str rest = e->action, region = STR_NONE;
	if (!t)
		die("out of memory (alarms)");
	arena_init(&t->arena, 0);
	t->ran = ran;
	t->ctx = ctx;
	for (unsigned i = 0; i < 4 && str_set(rest); i++)
		region = str_cut(&rest, ':');
	struct principal *self = principal_new(PRINCIPAL_SERVICE, e->account);
	self->name = self->arn = self->user_id = S("cloudwatch.amazonaws.com");
	self->issuer_arn = arena_dup(&self->arena, e->alarm_arn);
	const struct sns_publish_input in = {
	        .topic_arn = e->action, .subject = subject(&t->arena, e), .message = message(&t->arena, e)};
	call_op(cloud, self, str_set(region) ? region : e->region, &sns_api, "Publish", &in, told, t);
	principal_unref(self);
}

const struct alarm_action_kind sns_alarm_action = {.prefix = "arn:aws:sns:", .run = tell};
