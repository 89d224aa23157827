#include "aws/cloudwatch/alarm_op.h"
#include "aws/cloudwatch/dashboard.h"
#include "aws/cloudwatch/metric.h"
#include "aws/cloudwatch/usage.h"
#include "base/log.h"
#include "engine/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* --- what permissions are about */

static int about_alarm(struct call *c, struct authz *az, struct str name)
{
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	az->resource = alarm_arn(c->arena, c->region, c->account, name);
	if (alarm_find(&s, name, &r))
		authz_add_tags(c, az, "aws:ResourceTag", &r.tags);
	return CALL_OK;
}

static int about_tags(struct call *c, struct authz *az, const struct cloudwatch_tag_list *tags)
{
	struct str_map given = {0};
	for (uint32_t i = 0; i < tags->n; i++) {
		*LIST_ADD(c->arena, &given) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	}
	authz_add_tags(c, az, "aws:RequestTag", &given);
	return CALL_OK;
}

static int about_put_metric_alarm(struct call *c, const void *input, struct authz *az)
{
	const struct cloudwatch_put_metric_alarm_input *in = input;
	about_tags(c, az, &in->tags);
	return about_alarm(c, az, in->alarm_name);
}

static int about_put_composite_alarm(struct call *c, const void *input, struct authz *az)
{
	const struct cloudwatch_put_composite_alarm_input *in = input;
	about_tags(c, az, &in->tags);
	return about_alarm(c, az, in->alarm_name);
}

static int about_set_alarm_state(struct call *c, const void *input, struct authz *az)
{
	return about_alarm(c, az, ((const struct cloudwatch_set_alarm_state_input *)input)->alarm_name);
}

static int about_put_metric_data(struct call *c, const void *input, struct authz *az)
{
	authz_add(c, az, "cloudwatch:namespace", ((const struct cloudwatch_put_metric_data_input *)input)->namespace);
	return CALL_OK;
}

/* Every alarm of a list must be allowed: all but the last are asked here, the last by the gate. */
static int about_list(struct call *c, struct authz *az, const struct str_list *names)
{
	for (uint32_t i = 0; i < names->n; i++) {
		if (i && !call_allowed(c, c->row->action ? c->row->action : arena_printf(c->arena, "cloudwatch:%s", c->row->name).p,
		                       az->resource))
			return CALL_FAIL;
		about_alarm(c, az, names->v[i]);
	}
	return CALL_OK;
}

#define ABOUT_LIST(type) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		return about_list(c, az, &((const struct cloudwatch_##type##_input *)input)->alarm_names); \
	}
ABOUT_LIST(delete_alarms)
ABOUT_LIST(enable_alarm_actions)
ABOUT_LIST(disable_alarm_actions)

#define ABOUT_ARN(type) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		(void)c; \
		az->resource = ((const struct cloudwatch_##type##_input *)input)->resource_arn; \
		return CALL_OK; \
	}
ABOUT_ARN(list_tags_for_resource)
ABOUT_ARN(tag_resource)
ABOUT_ARN(untag_resource)

static const struct service_op ops[] = {
        OP(cloudwatch, delete_alarms, DeleteAlarms, .resource = about_delete_alarms),
        OP(cloudwatch, delete_dashboards, DeleteDashboards),
        OP(cloudwatch, describe_alarm_history, DescribeAlarmHistory, .flags = OP_READ),
        OP(cloudwatch, describe_alarms, DescribeAlarms, .flags = OP_READ),
        OP(cloudwatch, describe_alarms_for_metric, DescribeAlarmsForMetric, .flags = OP_READ),
        OP(cloudwatch, disable_alarm_actions, DisableAlarmActions, .resource = about_disable_alarm_actions),
        OP(cloudwatch, enable_alarm_actions, EnableAlarmActions, .resource = about_enable_alarm_actions),
        OP(cloudwatch, get_dashboard, GetDashboard, .flags = OP_READ),
        OP(cloudwatch, get_metric_data, GetMetricData, .flags = OP_READ,
           .missing = "SQL queries, anomaly bands, insight rules, dynamic labels, metrics of linked accounts"),
        OP(cloudwatch, get_metric_statistics, GetMetricStatistics, .flags = OP_READ),
        OP(cloudwatch, list_dashboards, ListDashboards, .flags = OP_READ),
        OP(cloudwatch, list_metrics, ListMetrics, .flags = OP_READ, .missing = "metrics of linked accounts"),
        OP(cloudwatch, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ,
           .missing = "tags of dashboards"),
        OP(cloudwatch, put_composite_alarm, PutCompositeAlarm, .resource = about_put_composite_alarm),
        OP(cloudwatch, put_dashboard, PutDashboard, .missing = "tags"),
        OP(cloudwatch, put_metric_alarm, PutMetricAlarm, .resource = about_put_metric_alarm,
           .missing = "anomaly detection, PromQL, SEARCH"),
        OP(cloudwatch, put_metric_data, PutMetricData, .resource = about_put_metric_data, .missing = "entities"),
        OP(cloudwatch, set_alarm_state, SetAlarmState, .resource = about_set_alarm_state),
        OP(cloudwatch, tag_resource, TagResource, .resource = about_tag_resource, .missing = "tags of dashboards"),
        OP(cloudwatch, untag_resource, UntagResource, .resource = about_untag_resource, .missing = "tags of dashboards"),
};

struct state {
	struct cloud *cloud;
	struct alarm_watch *watch;
	struct usage *usage;
};

static void prepare(const char *data_dir, bool ephemeral)
{
	char dir[4096];
	snprintf(dir, sizeof(dir), "%s/metrics", data_dir);
	metrics_make(dir, ephemeral);
}

/* Started before the services that record: cloud->metrics is theirs too. */
static int start(struct cloud *cloud, void **ret_state)
{
	char dir[4096], why[200];
	snprintf(dir, sizeof(dir), "%s/metrics", cloud->data_dir);
	int e = metrics_open(&cloud->metrics, cloud->loop, dir, cloud->ephemeral, why);
	if (e < 0)
		log_error("%s: %s", dir, why);
	if (e < 0)
		return e;
	struct state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (cloudwatch)");
	*s = (struct state){.cloud = cloud, .watch = alarm_watch_start(cloud), .usage = usage_new(cloud)};
	*ret_state = s;
	return 0;
}

static void stop(void *state)
{
	struct state *s = state;
	if (!s)
		return;
	alarm_watch_stop(s->watch);
	usage_free(s->usage);
	metrics_close(s->cloud->metrics);
	s->cloud->metrics = NULL;
	free(s);
}

const struct service cloudwatch_service = {
        .api = &cloudwatch_api,
        .iam_prefix = "cloudwatch",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .body_limit_bytes = 8 * 1024 * 1024, /* 1 MB as AWS counts it, and twice that with names around it */
        .prepare = prepare,
        .start = start,
        .stop = stop,
        .alarm_actions = cloudwatch_actions,
        .alarm_action_count = CLOUDWATCH_ACTIONS,
};
