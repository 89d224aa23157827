/* What alarms' history and their meters are told. */
#include "aws/cloudwatch/alarm_op.h"

#include "core/meter.h"

static void put_member(struct json_out *o, const char *name, struct str value)
{
	if (!str_set(value))
		return;
	json_key(o, str_from(name));
	json_string(o, value);
}

static void put_list(struct json_out *o, const char *name, const struct str_list *l)
{
	json_key(o, str_from(name));
	json_open(o, '[');
	for (uint32_t i = 0; i < l->n; i++)
		json_string(o, l->v[i]);
	json_close(o, ']');
}

static void put_metric(struct json_out *o, const struct cloudwatch_metric_alarm *m)
{
	put_member(o, "namespace", m->namespace);
	put_member(o, "metricName", m->metric_name);
	put_member(o, "statistic", m->statistic);
	put_member(o, "extendedStatistic", m->extended_statistic);
	if (m->period.set) {
		json_key(o, S("period"));
		json_int(o, m->period.v);
	}
	json_key(o, S("evaluationPeriods"));
	json_int(o, m->evaluation_periods.v);
	json_key(o, S("threshold"));
	json_double(o, m->threshold.v);
	put_member(o, "comparisonOperator", m->comparison_operator);
	put_member(o, "treatMissingData", m->treat_missing_data);
}

static void put_composite(struct json_out *o, const struct cloudwatch_composite_alarm *m)
{
	put_member(o, "alarmRule", m->alarm_rule);
	if (!str_set(m->actions_suppressor))
		return;
	put_member(o, "actionsSuppressor", m->actions_suppressor);
	json_key(o, S("actionsSuppressorWaitPeriod"));
	json_int(o, m->actions_suppressor_wait_period.v);
	json_key(o, S("actionsSuppressorExtensionPeriod"));
	json_int(o, m->actions_suppressor_extension_period.v);
}

struct str alarm_configuration(struct arena *a, const char *type, struct state_cloudwatch_alarm_record *r)
{
	struct buf CLEAN_BUF b;
	struct alarm_face f = alarm_face(r);
	buf_init(&b, 65536);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	put_member(&o, "version", S("1.0"));
	put_member(&o, "type", str_from(type));
	json_key(&o, str_is(str_from(type), "Create")   ? S("createdAlarm")
	             : str_is(str_from(type), "Delete") ? S("deletedAlarm")
	                                                : S("updatedAlarm"));
	json_open(&o, '{');
	put_member(&o, "alarmName", f.name);
	put_member(&o, "alarmArn", f.arn);
	put_list(&o, "okActions", f.actions[ALARM_OK]);
	put_list(&o, "alarmActions", f.actions[ALARM_ALARM]);
	put_list(&o, "insufficientDataActions", f.actions[ALARM_INSUFFICIENT]);
	json_key(&o, S("actionsEnabled"));
	json_bool(&o, f.enabled->v);
	if (r->metric)
		put_metric(&o, r->metric);
	else
		put_composite(&o, r->composite);
	json_close(&o, '}');
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}

/* An alarm on an expression costs as many as it has metrics. */
void alarm_meter(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r, bool there, int64_t now_ms)
{
	struct meter_use use = {.usage = S("CW:CompositeAlarmMonitorUsage"), .rate = 1};
	if (r->metric) {
		use.usage = alarm_period_s(r->metric) < 60 ? S("CW:HighResAlarmMonitorUsage") : S("CW:AlarmMonitorUsage");
		use.rate = 0;
		for (uint32_t i = 0; i < r->metric->metrics.n; i++)
			use.rate += r->metric->metrics.v[i].metric_stat != NULL;
		use.rate += !r->metric->metrics.n;
	}
	struct str arn = r->metric ? r->metric->alarm_arn : r->composite->alarm_arn;
	meter_set(s->txn, s->arena, s->account, s->region, arn, &use, there && use.rate ? 1 : 0, now_ms);
}
