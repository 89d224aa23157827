/* Looking at alarms: DescribeAlarms, DescribeAlarmsForMetric, DescribeAlarmHistory, tags. */
#include "aws/cloudwatch/alarm_op.h"

#include "aws/cloudwatch/metric.h"

#include <stdlib.h>

enum { PAGE_DEFAULT = 50, HISTORY_PAGE = 100, HISTORY_READ_MAX = 20000 };

/* --- walking */

struct alarm_rows {
	struct state_cloudwatch_alarm_record *v;
	uint32_t n;
	bool set;
};

static int by_name(const void *x, const void *y)
{
	struct state_cloudwatch_alarm_record a = *(const struct state_cloudwatch_alarm_record *)x,
	                                     b = *(const struct state_cloudwatch_alarm_record *)y;
	return str_cmp(alarm_face(&a).name, alarm_face(&b).name);
}

static struct alarm_rows all_alarms(struct call *c)
{
	struct alarm_rows rows = {0};
	struct str under = KEY_UNDER(c->arena, S("cloudwatch"), S("alarm"), c->account, c->region), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_cloudwatch_alarm_record r;
		if (record_read(c->arena, v.value, CLOUDWATCH_ROW("Alarm"), &r))
			*LIST_ADD(c->arena, &rows) = r;
	}
	if (rows.n)
		qsort(rows.v, rows.n, sizeof(*rows.v), by_name);
	return rows;
}

static bool has(const struct str_list *l, struct str s)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], s))
			return true;
	return false;
}

static bool has_action(const struct alarm_face *f, struct str prefix)
{
	for (unsigned k = 0; k < 3; k++)
		for (uint32_t i = 0; i < f->actions[k]->n; i++)
			if (str_starts(f->actions[k]->v[i], prefix))
				return true;
	return false;
}

static struct str_list children_of(struct call *c, struct str name)
{
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	struct str_list names = {0};
	struct str why;
	if (alarm_find(&s, name, &r) && r.composite)
		names = alarm_rule_names(c->arena, alarm_rule_parse(c->arena, r.composite->alarm_rule, &why));
	for (uint32_t i = 0; i < names.n; i++)
		names.v[i] = alarm_name_of(&s, names.v[i]);
	return names;
}

static bool is_parent(struct call *c, const struct state_cloudwatch_alarm_record *r, struct str child)
{
	return r->composite && ({
		       struct str_list l = children_of(c, r->composite->alarm_name);
		       has(&l, child);
	       });
}

static bool wanted(struct call *c, const struct cloudwatch_describe_alarms_input *in, struct state_cloudwatch_alarm_record *r,
                   const struct str_list *children)
{
	struct alarm_face f = alarm_face(r);
	bool family = str_set(in->children_of_alarm_name) || str_set(in->parents_of_alarm_name);
	if (in->alarm_types.n ? !has(&in->alarm_types, r->metric ? S("MetricAlarm") : S("CompositeAlarm")) : !r->metric && !family)
		return false;
	if (str_set(in->children_of_alarm_name) && !has(children, f.name))
		return false;
	if (str_set(in->parents_of_alarm_name) && !is_parent(c, r, in->parents_of_alarm_name))
		return false;
	return (!in->alarm_names.n || has(&in->alarm_names, f.name)) &&
	       (!str_set(in->alarm_name_prefix) || str_starts(f.name, in->alarm_name_prefix)) &&
	       (!str_set(in->state_value) || str_eq(in->state_value, *f.state)) &&
	       (!str_set(in->action_prefix) || has_action(&f, in->action_prefix));
}

int cloudwatch_describe_alarms(struct call *c, const struct cloudwatch_describe_alarms_input *in,
                               struct cloudwatch_describe_alarms_output *out)
{
	uint32_t limit = in->max_records.set ? (uint32_t)in->max_records.v : PAGE_DEFAULT;
	struct str_list children = {0};
	if (in->alarm_names.n && str_set(in->alarm_name_prefix))
		return call_fail(
		        c, "InvalidParameterCombinationException", 0,
		        "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive and you have specified both.");
	if (str_set(in->children_of_alarm_name))
		children = children_of(c, in->children_of_alarm_name);
	if (in->alarm_names.n && !in->max_records.set)
		limit = 100;
	out->metric_alarms.set = out->composite_alarms.set = true;
	struct alarm_rows rows = all_alarms(c);
	struct str last = STR_NONE;
	for (uint32_t i = 0; i < rows.n; i++) {
		struct state_cloudwatch_alarm_record *r = &rows.v[i];
		struct str name = alarm_face(r).name;
		if ((str_set(in->next_token) && str_cmp(name, in->next_token) <= 0) || !wanted(c, in, r, &children))
			continue;
		if (out->metric_alarms.n + out->composite_alarms.n == limit) {
			out->next_token = last;
			break;
		}
		last = name;
		if (r->metric)
			*LIST_ADD(c->arena, &out->metric_alarms) = *r->metric;
		else
			*LIST_ADD(c->arena, &out->composite_alarms) = *r->composite;
	}
	return CALL_OK;
}

static bool same_dimensions(const struct cloudwatch_dimensions *x, const struct cloudwatch_dimensions *y)
{
	if (x->n != y->n)
		return false;
	for (uint32_t i = 0; i < x->n; i++) {
		uint32_t k = 0;
		while (k < y->n && !(str_eq(x->v[i].name, y->v[k].name) && str_eq(x->v[i].value, y->v[k].value)))
			k++;
		if (k == y->n)
			return false;
	}
	return true;
}

static bool on_metric(const struct cloudwatch_metric_alarm *m, const struct cloudwatch_describe_alarms_for_metric_input *in)
{
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		const struct cloudwatch_metric_stat *s = m->metrics.v[i].metric_stat;
		if (s && str_eq(s->metric->namespace, in->namespace) && str_eq(s->metric->metric_name, in->metric_name) &&
		    same_dimensions(&s->metric->dimensions, &in->dimensions))
			return true;
	}
	return str_eq(m->namespace, in->namespace) && str_eq(m->metric_name, in->metric_name) &&
	       same_dimensions(&m->dimensions, &in->dimensions) &&
	       (!str_set(in->statistic) || str_eq(in->statistic, m->statistic)) &&
	       (!str_set(in->extended_statistic) || str_eq(in->extended_statistic, m->extended_statistic)) &&
	       (!in->period.set || in->period.v == m->period.v) && (!str_set(in->unit) || str_eq(in->unit, m->unit));
}

int cloudwatch_describe_alarms_for_metric(struct call *c, const struct cloudwatch_describe_alarms_for_metric_input *in,
                                          struct cloudwatch_describe_alarms_for_metric_output *out)
{
	struct alarm_rows rows = all_alarms(c);
	out->metric_alarms.set = true;
	for (uint32_t i = 0; i < rows.n; i++)
		if (rows.v[i].metric && on_metric(rows.v[i].metric, in))
			*LIST_ADD(c->arena, &out->metric_alarms) = *rows.v[i].metric;
	return CALL_OK;
}

/* --- history */

struct seen {
	struct cloudwatch_alarm_history_item item;
	uint32_t at; /* in the order of the keys, those of one alarm newest first */
};
struct seen_list {
	struct seen *v;
	uint32_t n;
	bool set;
};

/* Much may happen in one millisecond, and the keys say in which order it did. */
static int newest_first(const void *x, const void *y)
{
	const struct seen *a = x, *b = y;
	int64_t newer = a->item.timestamp.ms - b->item.timestamp.ms;
	return newer ? (newer > 0 ? -1 : 1) : a->at < b->at ? -1 : 1;
}

static int oldest_first(const void *x, const void *y)
{
	return newest_first(y, x);
}

static bool in_history(const struct cloudwatch_describe_alarm_history_input *in, const struct cloudwatch_alarm_history_item *i)
{
	if (in->alarm_types.n ? !has(&in->alarm_types, i->alarm_type) : !str_is(i->alarm_type, "MetricAlarm"))
		return false;
	return (!str_set(in->alarm_name) || str_eq(in->alarm_name, i->alarm_name)) &&
	       (!str_set(in->history_item_type) || str_eq(in->history_item_type, i->history_item_type)) &&
	       (!in->start_date.set || i->timestamp.ms >= in->start_date.ms) &&
	       (!in->end_date.set || i->timestamp.ms <= in->end_date.ms);
}

int cloudwatch_describe_alarm_history(struct call *c, const struct cloudwatch_describe_alarm_history_input *in,
                                      struct cloudwatch_describe_alarm_history_output *out)
{
	uint32_t limit = in->max_records.set ? (uint32_t)in->max_records.v : HISTORY_PAGE;
	int64_t skip = 0;
	struct seen_list all = {0};
	if (str_set(in->next_token) && (!str_to_i64(in->next_token, &skip) || skip < 0))
		return call_fail(c, "InvalidNextToken", 0, "The parameter NextToken is invalid.");
	struct str under = KEY_UNDER(c->arena, S("cloudwatch"), S("history"), c->account, c->region), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), true);
	struct store_value v;
	while (all.n < HISTORY_READ_MAX && store_next(i, &key, &v)) {
		struct state_cloudwatch_history_record r;
		uint32_t at = all.n;
		if (record_read(c->arena, v.value, CLOUDWATCH_ROW("History"), &r) && in_history(in, r.item))
			*LIST_ADD(c->arena, &all) = (struct seen){*r.item, at};
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), str_is(in->scan_by, "TimestampAscending") ? oldest_first : newest_first);
	out->alarm_history_items.set = true;
	for (int64_t k = skip; k < all.n && out->alarm_history_items.n < limit; k++)
		*LIST_ADD(c->arena, &out->alarm_history_items) = all.v[k].item;
	if (skip + limit < all.n)
		out->next_token = arena_printf(c->arena, "%lld", (long long)(skip + limit));
	return CALL_OK;
}

/* --- tags */

static int tagged(struct call *c, struct alarm_scope *s, struct str arn, struct state_cloudwatch_alarm_record *ret)
{
	struct str name = str_starts(arn, S("arn:")) ? alarm_name_of(s, arn) : STR_NONE;
	if (str_set(name) && alarm_find(s, name, ret))
		return CALL_OK;
	call_fail(c, "ResourceNotFoundException", 404, "The resource %.*s was not found.", STR_ARG(arn));
	return CALL_FAIL;
}

int cloudwatch_list_tags_for_resource(struct call *c, const struct cloudwatch_list_tags_for_resource_input *in,
                                      struct cloudwatch_list_tags_for_resource_output *out)
{
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	if (tagged(c, &s, in->resource_arn, &r) != CALL_OK)
		return CALL_FAIL;
	out->tags.set = true;
	for (uint32_t i = 0; i < r.tags.n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct cloudwatch_tag){r.tags.v[i].key, r.tags.v[i].value};
	return CALL_OK;
}

int cloudwatch_tag_resource(struct call *c, const struct cloudwatch_tag_resource_input *in,
                            struct cloudwatch_tag_resource_output *out)
{
	(void)out;
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	if (tagged(c, &s, in->resource_arn, &r) != CALL_OK || alarm_take_tags(c, &in->tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	alarm_save(&s, &r);
	return CALL_OK;
}

int cloudwatch_untag_resource(struct call *c, const struct cloudwatch_untag_resource_input *in,
                              struct cloudwatch_untag_resource_output *out)
{
	(void)out;
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	struct str_map kept = {0};
	if (tagged(c, &s, in->resource_arn, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.tags.n; i++)
		if (!has(&in->tag_keys, r.tags.v[i].key))
			*LIST_ADD(c->arena, &kept) = r.tags.v[i];
	r.tags = kept;
	alarm_save(&s, &r);
	return CALL_OK;
}
