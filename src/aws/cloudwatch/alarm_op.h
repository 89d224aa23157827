/* The operations on alarms and what they share. Private to aws/cloudwatch. */
#pragma once
#include "aws/cloudwatch/alarm.h"
#include "base/json.h"

cloudwatch_delete_alarms_handler cloudwatch_delete_alarms;
cloudwatch_describe_alarm_history_handler cloudwatch_describe_alarm_history;
cloudwatch_describe_alarms_handler cloudwatch_describe_alarms;
cloudwatch_describe_alarms_for_metric_handler cloudwatch_describe_alarms_for_metric;
cloudwatch_disable_alarm_actions_handler cloudwatch_disable_alarm_actions;
cloudwatch_enable_alarm_actions_handler cloudwatch_enable_alarm_actions;
cloudwatch_list_tags_for_resource_handler cloudwatch_list_tags_for_resource;
cloudwatch_put_composite_alarm_handler cloudwatch_put_composite_alarm;
cloudwatch_put_metric_alarm_handler cloudwatch_put_metric_alarm;
cloudwatch_set_alarm_state_handler cloudwatch_set_alarm_state;
cloudwatch_tag_resource_handler cloudwatch_tag_resource;
cloudwatch_untag_resource_handler cloudwatch_untag_resource;

int alarm_invalid(struct call *c, const char *what, struct str value);
/* An alarm's queries: which of them is looked at, and how often. */
int alarm_check_metrics(struct call *c, const struct cloudwatch_metric_data_queries *metrics, int64_t *ret_period_s);
/* Adds tags to those that are there. */
int alarm_take_tags(struct call *c, const struct cloudwatch_tag_list *tags, struct str_map *ret);
/* Saves what a put made; what was there keeps its state and its tags. */
int alarm_install(struct call *c, struct state_cloudwatch_alarm_record *r, struct str name, const struct cloudwatch_tag_list *tags);
/* The HistoryData of a change: {"version","type","createAlarm"...}. */
struct str alarm_configuration(struct arena *a, const char *type, struct state_cloudwatch_alarm_record *r);
/* What an alarm costs from now on. */
void alarm_meter(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r, bool there, int64_t now_ms);
