#include "measure.h"

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
	put(s, r, "GroupTotalCapacity", weight.in_service + weight.pending + weight.standby + weight.terminating);
}
