/* What EventBridge is told: alarms that have gone into another state. */
#include "aws/cloudwatch/alarm.h"

#include "aws/events/events.h"
#include "base/clock.h"
#include "base/id.h"

enum { DETAIL_MAX = 1 << 20 };

static void put(struct json_out *j, const char *key, struct str value)
{
	if (!str_set(value))
		return;
	json_key(j, str_from(key));
	json_string(j, value);
}

static void put_state(struct json_out *j, struct arena *a, const char *key, struct str value, struct str reason, struct str data,
                      int64_t at_ms)
{
	json_key(j, str_from(key));
	json_open(j, '{');
	put(j, "value", value);
	put(j, "reason", reason);
	put(j, "reasonData", data);
	put(j, "timestamp", time_format(a, at_ms, TIME_LAMBDA));
	json_close(j, '}');
}

static void put_stat(struct json_out *j, const struct cloudwatch_metric_stat *m)
{
	json_key(j, S("metricStat"));
	json_open(j, '{');
	json_key(j, S("metric"));
	json_open(j, '{');
	put(j, "namespace", m->metric->namespace);
	put(j, "name", m->metric->metric_name);
	json_key(j, S("dimensions"));
	json_open(j, '{');
	for (uint32_t i = 0; i < m->metric->dimensions.n; i++) {
		json_key(j, m->metric->dimensions.v[i].name);
		json_string(j, m->metric->dimensions.v[i].value);
	}
	json_close(j, '}');
	json_close(j, '}');
	json_key(j, S("period"));
	json_int(j, m->period.v);
	put(j, "stat", m->stat);
	put(j, "unit", m->unit);
	json_close(j, '}');
}

static void put_query(struct json_out *j, const struct cloudwatch_metric_data_query *q, bool returns)
{
	json_open(j, '{');
	put(j, "id", q->id);
	put(j, "expression", q->expression);
	put(j, "label", q->label);
	if (q->metric_stat)
		put_stat(j, q->metric_stat);
	json_key(j, S("returnData"));
	json_bool(j, returns);
	json_close(j, '}');
}

/* One metric is the one query that it comes to. */
static void put_metrics(struct json_out *j, struct arena *a, const struct cloudwatch_metric_alarm *m)
{
	json_key(j, S("metrics"));
	json_open(j, '[');
	for (uint32_t i = 0; i < m->metrics.n; i++)
		put_query(j, &m->metrics.v[i], !m->metrics.v[i].return_data.set || m->metrics.v[i].return_data.v);
	if (!m->metrics.n) {
		struct cloudwatch_metric metric = {
		        .namespace = m->namespace, .metric_name = m->metric_name, .dimensions = m->dimensions};
		struct cloudwatch_metric_stat stat = {.metric = &metric,
		                                      .period = m->period,
		                                      .stat = str_set(m->statistic) ? m->statistic : m->extended_statistic,
		                                      .unit = m->unit};
		const struct cloudwatch_metric_data_query q = {.id = id_uuid(a), .metric_stat = &stat};
		put_query(j, &q, true);
	}
	json_close(j, ']');
}

void alarm_tell(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, const struct alarm_was *was, int64_t now_ms)
{
	struct buf CLEAN_BUF b = {0};
	if (!events_heard(s->account, s->region))
		return;
	const struct alarm_face f = alarm_face(r);
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "alarmName", f.name);
	put_state(&j, s->arena, "state", *f.state, *f.reason, *f.reason_data, now_ms);
	put_state(&j, s->arena, "previousState", was->state, was->reason, was->reason_data, was->since_ms);
	json_key(&j, S("configuration"));
	json_open(&j, '{');
	if (r->metric) {
		put(&j, "description", r->metric->alarm_description);
		put_metrics(&j, s->arena, r->metric);
	} else {
		put(&j, "description", r->composite->alarm_description);
		put(&j, "alarmRule", r->composite->alarm_rule);
		put(&j, "actionsSuppressor", r->composite->actions_suppressor);
	}
	json_close(&j, '}');
	json_close(&j, '}');
	const struct events_news news = {.account = s->account,
	                                 .region = s->region,
	                                 .source = S("aws.cloudwatch"),
	                                 .type = S("CloudWatch Alarm State Change"),
	                                 .resource = f.arn,
	                                 .detail = arena_dup(s->arena, buf_str(&b)),
	                                 .at_ms = now_ms};
	events_tell(s->txn, s->arena, &news);
}
