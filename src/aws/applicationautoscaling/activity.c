/* Scaling activities: what a target was told, and why. DescribeScalingActivities.
 *
 * They lie by target and time and go six weeks after they began, under a lease that activities of one day share. */
#include "rows.h"

#include "base/id.h"
#include "keeper.h"

#include <stdlib.h>

enum { MESSAGE_MAX = 1023 };

static const struct record_type activity_row = {&state_applicationautoscaling_api, "ActivityRecord"};

static struct str key_of(const struct appscale *s, const struct resource *of, int64_t at_ms, struct str id)
{
	return KEY(s->arena, S(APPSCALE), S("activity"), s->account, s->region, of->namespace, of->id, of->dimension,
	           arena_printf(s->arena, "%016lld", (long long)at_ms), id);
}

static void put(const struct appscale *s, const struct resource *of, const struct application_autoscaling_scaling_activity *a)
{
	struct state_applicationautoscaling_activity_record r = {.activity = (struct application_autoscaling_scaling_activity *)a};
	store_put_leased(s->txn, key_of(s, of, a->start_time.ms, a->activity_id), record_write(s->arena, &activity_row, &r),
	                 appscale_keepers_activity_lease(s->cloud, s->now_ms));
}

static struct application_autoscaling_scaling_activity begin(const struct appscale *s, const struct resource *of,
                                                             struct str description, struct str cause, const char *status)
{
	return (struct application_autoscaling_scaling_activity){.activity_id = id_uuid(s->arena),
	                                                         .service_namespace = of->namespace,
	                                                         .resource_id = of->id,
	                                                         .scalable_dimension = of->dimension,
	                                                         .description = description,
	                                                         .cause = str_sub(cause, 0, MESSAGE_MAX),
	                                                         .start_time = OPT_TIME(s->now_ms),
	                                                         .status_code = str_from(status)};
}

void activity_begin(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                    struct str description, struct str cause)
{
	struct application_autoscaling_scaling_activity a = begin(s, of, description, cause, "InProgress");
	r->activity = a.activity_id;
	r->activity_at = a.start_time;
	put(s, of, &a);
}

void activity_say(const struct appscale *s, const struct resource *of, const struct state_applicationautoscaling_target_record *r,
                  const char *status, struct str message)
{
	struct state_applicationautoscaling_activity_record a = {0};
	if (!str_set(r->activity) ||
	    !record_get(s->txn, s->arena, key_of(s, of, r->activity_at.ms, r->activity), &activity_row, &a))
		return;
	a.activity->status_code = str_from(status);
	a.activity->status_message = str_sub(message, 0, MESSAGE_MAX);
	if (!str_is(a.activity->status_code, "InProgress"))
		a.activity->end_time = OPT_TIME(s->now_ms);
	put(s, of, a.activity);
}

void activity_done(const struct appscale *s, const struct resource *of, struct str description, struct str cause,
                   const char *status, struct str message)
{
	struct application_autoscaling_scaling_activity a = begin(s, of, description, cause, status);
	a.end_time = OPT_TIME(s->now_ms);
	a.status_message = str_sub(message, 0, MESSAGE_MAX);
	put(s, of, &a);
}

void activity_not_scaled(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                         const char *code, struct str cause)
{
	struct str what = ARENA_CAT(s->arena, str_from(code), S(" "), cause);
	struct application_autoscaling_not_scaled_reason reason = {.code = str_from(code)};
	struct application_autoscaling_scaling_activity a =
	        begin(s, of, S("Attempting to scale due to alarm triggered"), cause, "Failed");
	struct resource_seen seen;
	if (str_set(r->not_scaled) && str_eq(r->not_scaled, what))
		return;
	resource_see(s, of, &seen);
	r->not_scaled = what;
	if (str_is(reason.code, "AlreadyAtMaxCapacity"))
		reason.max_capacity = r->target->max_capacity;
	else if (str_is(reason.code, "AlreadyAtMinCapacity"))
		reason.min_capacity = r->target->min_capacity;
	else
		reason.current_capacity = OPT_INT(target_count(r, &seen));
	a.end_time = OPT_TIME(s->now_ms);
	*LIST_ADD(s->arena, &a.not_scaled_reasons) = reason;
	put(s, of, &a);
}

/* --- DescribeScalingActivities */

struct found {
	struct str at; /* its time and id */
	struct application_autoscaling_scaling_activity activity;
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

int application_autoscaling_describe_scaling_activities(
        struct call *c, const struct application_autoscaling_describe_scaling_activities_request *in,
        struct application_autoscaling_describe_scaling_activities_response *out)
{
	struct appscale s = appscale_of_call(c);
	struct founds all = {0};
	struct page p;
	struct str key, token = in->next_token;
	struct store_value v;
	if (in->scalable_dimension.n && !in->resource_id.n)
		return appscale_invalid(c, "If you specify a scalable dimension, you must also specify a resource ID.");
	if (page_begin(c, &p, STR_NONE, in->max_results, token) != CALL_OK)
		return CALL_FAIL;
	struct str under = appscale_under(&s, "activity", in->service_namespace, in->resource_id, in->scalable_dimension);
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct state_applicationautoscaling_activity_record r = {0};
		struct str_list parts = record_key_parts(c->arena, key);
		if (parts.n != 9 || !record_read(c->arena, v.value, &activity_row, &r) ||
		    (r.activity->not_scaled_reasons.n && !in->include_not_scaled_activities.v))
			continue;
		*LIST_ADD(c->arena, &all) = (struct found){ARENA_CAT(c->arena, parts.v[7], S(" "), parts.v[8]), *r.activity};
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), newest_first);
	out->scaling_activities.set = true;
	for (uint32_t i = 0; i < all.n; i++) {
		if (str_set(p.after) && str_cmp(all.v[i].at, p.after) >= 0)
			continue;
		p.key = all.v[i].at;
		if (!page_take(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->scaling_activities) = all.v[i].activity;
	}
	return CALL_OK;
}
