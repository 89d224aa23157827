/* Activities: what a group has done and why. DescribeScalingActivities.
 *
 * They lie by group and time and go six weeks after they began, under a lease that activities of one day share. */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "keeper.h"

#include <stdlib.h>

enum { USUAL = 100, MOST = 100, MESSAGE_MAX = 255, CAUSE_MAX = 1023 };

static const struct record_type activity_row = {&state_autoscaling_api, "ActivityRecord"};

static struct str key_of(const struct scope *s, struct str group, int64_t at_ms, struct str id)
{
	return KEY(s->arena, S("autoscaling"), S("activity"), s->account, s->region, group,
	           arena_printf(s->arena, "%016lld", (long long)at_ms), id);
}

static void put(const struct scope *s, const struct autoscaling_activity *a)
{
	struct state_autoscaling_activity_record r = {.activity = (struct autoscaling_activity *)a};
	store_put_leased(s->txn, key_of(s, a->auto_scaling_group_name, a->start_time.ms, a->activity_id),
	                 record_write(s->arena, &activity_row, &r), keepers_activity_lease(s->cloud, s->now_ms));
}

bool scaling_activity_read(const struct scope *s, struct str group, int64_t at_ms, struct str id, struct autoscaling_activity *ret)
{
	struct state_autoscaling_activity_record r = {0};
	if (!record_get(s->txn, s->arena, key_of(s, group, at_ms, id), &activity_row, &r))
		return false;
	*ret = *r.activity;
	return true;
}

static struct str details_of(const struct scope *s, const struct state_autoscaling_group_record *r,
                             const struct state_autoscaling_member *m)
{
	struct str out = S("{");
	if (m && m->subnet.n)
		out = arena_printf(s->arena, "%.*s\"Subnet ID\":\"%.*s\",", STR_ARG(out), STR_ARG(m->subnet));
	if (m && m->zone.n)
		out = arena_printf(s->arena, "%.*s\"Availability Zone\":\"%.*s\",", STR_ARG(out), STR_ARG(m->zone));
	if (r->alarms.n)
		out = arena_printf(s->arena, "%.*s\"InvokingAlarms\":%.*s,", STR_ARG(out), STR_ARG(r->alarms));
	return out.n == 1 ? S("{}") : arena_printf(s->arena, "%.*s}", (int)out.n - 1, out.p);
}

static struct autoscaling_activity begin(const struct scope *s, const struct state_autoscaling_group_record *r,
                                         const struct state_autoscaling_member *m, struct str description, struct str cause,
                                         const char *status)
{
	return (struct autoscaling_activity){.activity_id = id_uuid(s->arena),
	                                     .auto_scaling_group_name = r->group->auto_scaling_group_name,
	                                     .auto_scaling_group_arn = r->group->auto_scaling_group_arn,
	                                     .description = description,
	                                     .cause = str_sub(cause, 0, CAUSE_MAX),
	                                     .start_time = OPT_TIME(s->now_ms),
	                                     .status_code = str_from(status),
	                                     .progress = OPT_INT(0),
	                                     .details = details_of(s, r, m)};
}

struct str scaling_activity_begin(const struct scope *s, const struct state_autoscaling_group_record *r,
                                  struct state_autoscaling_member *m, struct str description, struct str cause, const char *status)
{
	struct autoscaling_activity a = begin(s, r, m, description, cause, status);
	m->activity = a.activity_id;
	m->activity_at = a.start_time;
	put(s, &a);
	return a.activity_id;
}

void scaling_activity_say(const struct scope *s, const struct state_autoscaling_group_record *r,
                          const struct state_autoscaling_member *m, struct str description, const char *status, int progress,
                          struct str message)
{
	struct autoscaling_activity a;
	if (!str_set(m->activity) ||
	    !scaling_activity_read(s, r->group->auto_scaling_group_name, m->activity_at.ms, m->activity, &a))
		return;
	if (str_set(description))
		a.description = description;
	if (str_set(message))
		a.status_message = str_sub(message, 0, MESSAGE_MAX);
	a.status_code = str_from(status);
	a.progress = OPT_INT(progress);
	/* in a zone's default subnet it is known only now which one */
	if (m->subnet.n && str_find(a.details, S("\"Subnet ID\"")) < 0)
		a.details = arena_printf(s->arena, "{\"Subnet ID\":\"%.*s\",%.*s", STR_ARG(m->subnet),
		                         STR_ARG(str_from_at(a.details, 1)));
	if (progress == 100)
		a.end_time = OPT_TIME(s->now_ms);
	put(s, &a);
	if (progress == 100)
		scaling_tell_activity(s, r, m, &a);
}

void scaling_activity_done(const struct scope *s, const struct state_autoscaling_group_record *r,
                           struct state_autoscaling_member *m, struct str description, struct str cause,
                           struct autoscaling_activity *ret)
{
	struct autoscaling_activity a = begin(s, r, m, description, cause, "Successful");
	a.progress = OPT_INT(100);
	a.end_time = OPT_TIME(s->now_ms);
	put(s, &a);
	if (ret)
		*ret = a;
}

void scaling_activity_refused(const struct scope *s, const struct state_autoscaling_group_record *r, struct str description,
                              struct str cause, const char *status, struct str message)
{
	struct autoscaling_activity a = begin(s, r, NULL, description, cause, status);
	a.progress = OPT_INT(100);
	a.end_time = OPT_TIME(s->now_ms);
	a.status_message = str_sub(message, 0, MESSAGE_MAX);
	put(s, &a);
}

/* --- DescribeScalingActivities */

struct found {
	struct str at; /* its time and id */
	struct autoscaling_activity activity;
};
struct founds {
	struct found *v;
	uint32_t n;
	bool set;
};

static int newest_first(const void *a, const void *b)
{
	return str_cmp(((const struct found *)b)->at, ((const struct found *)a)->at);
}

static void gather(struct call *c, struct str group, bool deleted_too, struct founds *ret)
{
	struct scope s = scaling_scope(c);
	struct str under = scaling_under(&s, "activity", group), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct state_autoscaling_group_record g = {0};
	struct str last = STR_NONE;
	bool there = false;
	while (store_next(iter, &key, &v)) {
		struct state_autoscaling_activity_record r = {0};
		struct str_list parts = record_key_parts(c->arena, key);
		if (parts.n != 7 || !record_read(c->arena, v.value, &activity_row, &r))
			continue;
		if (!str_set(last) || !str_eq(last, parts.v[4]))
			there = scaling_find(&s, parts.v[4], &g);
		last = parts.v[4];
		/* a group of the same name that is no more */
		bool its = there && str_eq(g.group->auto_scaling_group_arn, r.activity->auto_scaling_group_arn);
		if (!its && !deleted_too)
			continue;
		if (!its)
			r.activity->auto_scaling_group_state = S("Deleted");
		*LIST_ADD(c->arena, ret) = (struct found){ARENA_CAT(c->arena, parts.v[5], S(" "), parts.v[6]), *r.activity};
	}
}

static bool passes(const struct autoscaling_filters *filters, const struct autoscaling_activity *a)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct autoscaling_filter *f = &filters->v[i];
		int64_t bound;
		if (str_is(f->name, "Status") && !scaling_among(&f->values, a->status_code))
			return false;
		if (!f->values.n || !time_parse(f->values.v[0], &bound))
			continue;
		if ((str_is(f->name, "StartTimeLowerBound") && a->start_time.ms < bound) ||
		    (str_is(f->name, "StartTimeUpperBound") && a->start_time.ms > bound))
			return false;
	}
	return true;
}

static int check_filters(struct call *c, const struct autoscaling_filters *filters)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		struct str name = filters->v[i].name;
		int64_t bound;
		if (str_is(name, "Status"))
			continue;
		if (!str_is(name, "StartTimeLowerBound") && !str_is(name, "StartTimeUpperBound"))
			return scaling_invalid(c,
			                       "Filter type %.*s is not correct. Allowed Filter types are: Status, "
			                       "StartTimeLowerBound, StartTimeUpperBound",
			                       STR_ARG(name));
		if (filters->v[i].values.n != 1 || !time_parse(filters->v[i].values.v[0], &bound))
			return scaling_invalid(c, "The filter %.*s takes one time in ISO 8601.", STR_ARG(name));
	}
	return CALL_OK;
}

int autoscaling_describe_scaling_activities(struct call *c, const struct autoscaling_describe_scaling_activities_type *in,
                                            struct autoscaling_activities_type *out)
{
	struct founds all = {0};
	struct page p;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record g = {0};
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK ||
	    check_filters(c, &in->filters) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->auto_scaling_group_name) && !in->include_deleted_groups.v &&
	    !scaling_find(&s, in->auto_scaling_group_name, &g))
		return scaling_no_group(c, in->auto_scaling_group_name);
	gather(c, in->auto_scaling_group_name, in->include_deleted_groups.v, &all);
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), newest_first);
	out->activities.set = true;
	struct str last = STR_NONE;
	for (uint32_t i = 0; i < all.n; i++) {
		if ((str_set(p.after) && str_cmp(all.v[i].at, p.after) >= 0) ||
		    !scaling_among(&in->activity_ids, all.v[i].activity.activity_id) || !passes(&in->filters, &all.v[i].activity))
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = all.v[i].at;
		*LIST_ADD(c->arena, &out->activities) = all.v[i].activity;
	}
	return CALL_OK;
}
