#include "measure.h"
#include "warm.h"

#include "engine/metrics/metrics.h"

struct counts {
	int64_t in_service, pending, standby, terminating;
};

static int64_t *which(struct counts *c, const struct state_autoscaling_member *m)
{
	return member_in(m, "InService")                     ? &c->in_service
	       : member_begins(m)                            ? &c->pending
	       : member_in(m, "Standby")                     ? &c->standby
	       : member_ends(m) || member_in(m, "Detaching") ? &c->terminating
	                                                     : NULL;
}

static void put(const struct scope *s, const struct state_autoscaling_group_record *r, const char *name, int64_t value)
{
	const struct autoscaling_enabled_metrics *on = &r->group->enabled_metrics;
	struct metric_dimension group = {S("AutoScalingGroupName"), r->group->auto_scaling_group_name};
	struct metric m = {.account = s->account,
	                   .region = s->region,
	                   .space = S("AWS/AutoScaling"),
	                   .name = str_from(name),
	                   .unit = S("None"),
	                   .dimensions = &group,
	                   .dimension_count = 1};
	for (uint32_t i = 0; i < on->n; i++)
		if (str_is(on->v[i].metric, name))
			metrics_add(s->cloud->metrics, &m, (double)value);
}

static void measure_pool(const struct scope *s, const struct state_autoscaling_group_record *r, int64_t group)
{
	int64_t pending = 0, ends = 0, warmed = 0;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_autoscaling_member *m = &r->members.v[i];
		if (!member_warm(m))
			continue;
		if (member_ends(m))
			ends++;
		else if (str_starts(m->state, S("Warmed:Pending")))
			pending++;
		else
			warmed++;
	}
	put(s, r, "WarmPoolDesiredCapacity", warm_wanted(r));
	put(s, r, "WarmPoolWarmedCapacity", warmed);
	put(s, r, "WarmPoolPendingCapacity", pending);
	put(s, r, "WarmPoolTerminatingCapacity", ends);
	put(s, r, "WarmPoolTotalCapacity", warmed + pending + ends);
	put(s, r, "GroupAndWarmPoolDesiredCapacity", r->group->desired_capacity.v + warm_wanted(r));
	put(s, r, "GroupAndWarmPoolTotalCapacity", group + warmed + pending + ends);
}

void measure_group(const struct scope *s, const struct state_autoscaling_group_record *r)
{
	struct counts n = {0}, weight = {0};
	for (uint32_t i = 0; i < r->members.n; i++) {
		int64_t *count = which(&n, &r->members.v[i]), *capacity = which(&weight, &r->members.v[i]);
		if (!count || !capacity)
			continue;
		++*count;
		*capacity += member_weight(&r->members.v[i]);
	}
	put(s, r, "GroupMinSize", r->group->min_size.v);
	put(s, r, "GroupMaxSize", r->group->max_size.v);
	put(s, r, "GroupDesiredCapacity", r->group->desired_capacity.v);
	put(s, r, "GroupInServiceInstances", n.in_service);
	put(s, r, "GroupPendingInstances", n.pending);
	put(s, r, "GroupStandbyInstances", n.standby);
	put(s, r, "GroupTerminatingInstances", n.terminating);
	put(s, r, "GroupTotalInstances", n.in_service + n.pending + n.standby + n.terminating);
	put(s, r, "GroupInServiceCapacity", weight.in_service);
	put(s, r, "GroupPendingCapacity", weight.pending);
	put(s, r, "GroupStandbyCapacity", weight.standby);
	put(s, r, "GroupTerminatingCapacity", weight.terminating);
	int64_t total = weight.in_service + weight.pending + weight.standby + weight.terminating;
	put(s, r, "GroupTotalCapacity", total);
	if (r->group->warm_pool_configuration)
		measure_pool(s, r, total);
}
