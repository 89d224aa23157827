#include "group_check.h"
#include "launch.h"

#include "aws/ec2/ec2.h"
#include "aws/iam/iam.h"
#include "gen/ec2.h"

enum {
	CAPACITY_MAX = 10000,
	COOLDOWN_DEFAULT = 300,
	TAGS_MAX = 50,
	OVERRIDES_MAX = 40,
	WEIGHT_MAX = 999,
	POOLS_STANDARD = 2,
	POOLS_MAX = 20,
	LIFETIME_MIN_S = 86400,
	LIFETIME_MAX_S = 31536000
};

static int refuse(struct call *c, const char *what)
{
	return scaling_invalid(c, "%s not supported.", what);
}

static int check_unsupported(struct call *c, const struct group_wish *w)
{
	if (w->desired_type.n && !str_is(w->desired_type, "units"))
		return refuse(c, "A desired capacity in vCPUs or memory is");
	if (w->context.n)
		return refuse(c, "A context is");
	if (w->impairment && w->impairment->zonal_shift_enabled.v)
		return refuse(c, "Zonal shift is");
	if (w->reservation && w->reservation->capacity_reservation_preference.n &&
	    !str_is(w->reservation->capacity_reservation_preference, "default"))
		return refuse(c, "A preference for Capacity Reservations is");
	if (w->reservation && w->reservation->capacity_reservation_target)
		return refuse(c, "A target of Capacity Reservations is");
	if (w->lifecycle)
		return refuse(c, "An instance lifecycle policy is");
	return CALL_OK;
}

/* --- where instances come from */

static int may_launch(struct call *c, const struct ec2_template_seen *t)
{
	struct scope s = scaling_scope(c);
	struct authz az = {.action = S("ec2:RunInstances"),
	                   .resource = arena_printf(c->arena, "arn:aws:ec2:%.*s:%.*s:launch-template/%.*s", STR_ARG(s.region),
	                                            STR_ARG(s.account), STR_ARG(t->id))};
	if (!call_authorize(c, &az))
		return CALL_FAIL;
	const struct ec2_iam_instance_profile_specification *p = t->data->iam_instance_profile;
	struct str arn, id, role = STR_NONE;
	if (p && iam_find_profile(c->cloud, c->arena, c->account, p->arn.n ? p->arn : p->name, &arn, &id, &role) && str_set(role)) {
		struct authz pass = {.action = S("iam:PassRole"), .resource = role};
		authz_add(c, &pass, "iam:PassedToService", S("ec2.amazonaws.com"));
		if (!call_authorize(c, &pass))
			return CALL_FAIL;
	}
	return CALL_OK;
}

/* Looked up, and by id and name from now on; its version stays as it was given. */
static int take_template(struct call *c, const struct autoscaling_launch_template_specification *given, bool type_given,
                         struct autoscaling_launch_template_specification **ret)
{
	struct scope s = scaling_scope(c);
	struct ec2_template_seen seen;
	struct str why;
	if (!given || (!given->launch_template_id.n && !given->launch_template_name.n))
		return scaling_invalid(c, "Valid requests must contain either launchTemplateId or LaunchTemplateName");
	if (given->launch_template_id.n && given->launch_template_name.n)
		return scaling_invalid(c, "Valid requests must contain either launchTemplateId or LaunchTemplateName");
	if (!ec2_see_template(s.txn, c->arena, c->account, c->region, given->launch_template_id, given->launch_template_name,
	                      given->version, &seen, &why))
		return scaling_invalid(c, "You must use a valid fully-formed launch template. %.*s", STR_ARG(why));
	if (!seen.data->image_id.n)
		return scaling_invalid(c,
		                       "You must use a valid fully-formed launch template. The request must contain the parameter "
		                       "ImageId");
	if (!type_given && seen.data->instance_type.n && !ec2_type_offered(seen.data->instance_type))
		return scaling_invalid(
		        c, "You must use a valid fully-formed launch template. The requested configuration is currently "
		           "not supported. Please check the documentation for supported configurations.");
	if (may_launch(c, &seen) != CALL_OK)
		return CALL_FAIL;
	*ret = arena_new(c->arena, struct autoscaling_launch_template_specification);
	**ret = (struct autoscaling_launch_template_specification){
	        .launch_template_id = seen.id, .launch_template_name = seen.name, .version = given->version};
	return CALL_OK;
}

static int check_distribution(struct call *c, const struct autoscaling_instances_distribution *d)
{
	if (!d)
		return CALL_OK;
	if (d->on_demand_base_capacity.v < 0)
		return scaling_invalid(c, "OnDemandBaseCapacity must be a non-negative integer");
	if (d->on_demand_percentage_above_base_capacity.v < 0 || d->on_demand_percentage_above_base_capacity.v > 100)
		return scaling_invalid(c, "OnDemandPercentageAboveBaseCapacity must be between 0 and 100");
	if (d->on_demand_allocation_strategy.n && !str_is(d->on_demand_allocation_strategy, "prioritized") &&
	    !str_is(d->on_demand_allocation_strategy, "lowest-price"))
		return scaling_invalid(
		        c, "Invalid on-demand allocation strategy: %.*s. Valid values are prioritized and lowest-price.",
		        STR_ARG(d->on_demand_allocation_strategy));
	if (d->spot_allocation_strategy.n && !str_is(d->spot_allocation_strategy, "capacity-optimized") &&
	    !str_is(d->spot_allocation_strategy, "capacity-optimized-prioritized") &&
	    !str_is(d->spot_allocation_strategy, "price-capacity-optimized") &&
	    !str_is(d->spot_allocation_strategy, "lowest-price"))
		return scaling_invalid(c, "Invalid spot allocation strategy: %.*s", STR_ARG(d->spot_allocation_strategy));
	if (d->spot_instance_pools.set && d->spot_allocation_strategy.n && !str_is(d->spot_allocation_strategy, "lowest-price"))
		return scaling_invalid(c, "SpotInstancePools option is only available with the lowest-price allocation strategy.");
	if (d->spot_instance_pools.set && (d->spot_instance_pools.v < 1 || d->spot_instance_pools.v > POOLS_MAX))
		return scaling_invalid(c, "SpotInstancePools must be between 1 and %d", POOLS_MAX);
	return CALL_OK;
}

/* All overrides say what a type has to be, or none does. */
static int check_needs(struct call *c, const struct autoscaling_overrides *all,
                       const struct autoscaling_launch_template_overrides *o)
{
	const char *why = NULL;
	for (uint32_t i = 0; i < all->n; i++)
		if (!all->v[i].instance_requirements || all->v[i].instance_type.n)
			return scaling_invalid(
			        c, "Valid requests must contain either InstanceType or InstanceRequirements in all overrides.");
	if (!scaling_requirements_good(c->arena, o->instance_requirements, &why))
		return scaling_invalid(c, "%s", why ? why : "No instance types match the instance requirements.");
	return CALL_OK;
}

static int take_mixed(struct call *c, const struct autoscaling_mixed_instances_policy *given,
                      struct autoscaling_mixed_instances_policy **ret)
{
	const struct autoscaling_launch_template *t = given->launch_template;
	bool by_needs = false;
	struct autoscaling_mixed_instances_policy *made = arena_new(c->arena, struct autoscaling_mixed_instances_policy);
	if (!t)
		return scaling_invalid(c, "The launch template of a mixed instances policy is missing.");
	made->launch_template = arena_new(c->arena, struct autoscaling_launch_template);
	if (take_template(c, t->launch_template_specification, t->overrides.n > 0,
	                  &made->launch_template->launch_template_specification) != CALL_OK)
		return CALL_FAIL;
	if (t->overrides.n > OVERRIDES_MAX)
		return scaling_invalid(c, "At most %d overrides are allowed.", OVERRIDES_MAX);
	unsigned weighted = 0;
	for (uint32_t i = 0; i < t->overrides.n; i++) {
		struct autoscaling_launch_template_overrides o = t->overrides.v[i];
		int64_t weight;
		by_needs |= o.instance_requirements != NULL;
		if (by_needs && check_needs(c, &t->overrides, &o) != CALL_OK)
			return CALL_FAIL;
		if (!by_needs && (!o.instance_type.n || !ec2_type_offered(o.instance_type)))
			return scaling_invalid(c, "The specified instance type '%.*s' is not valid.", STR_ARG(o.instance_type));
		if (o.weighted_capacity.n && (!str_to_i64(o.weighted_capacity, &weight) || weight < 1 || weight > WEIGHT_MAX))
			return scaling_invalid(c, "WeightedCapacity must be a number from 1 to %d.", WEIGHT_MAX);
		weighted += o.weighted_capacity.n > 0;
		if (o.launch_template_specification &&
		    take_template(c, o.launch_template_specification, true, &o.launch_template_specification) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &made->launch_template->overrides) = o;
	}
	if (weighted && weighted != t->overrides.n)
		return scaling_invalid(c, "Either all overrides have a WeightedCapacity, or none has.");
	if (check_distribution(c, given->instances_distribution) != CALL_OK)
		return CALL_FAIL;
	if (by_needs && given->instances_distribution &&
	    str_is(given->instances_distribution->on_demand_allocation_strategy, "prioritized"))
		return scaling_invalid(c, "The on-demand allocation strategy prioritized is not valid with InstanceRequirements.");
	made->instances_distribution = arena_new(c->arena, struct autoscaling_instances_distribution);
	if (given->instances_distribution)
		*made->instances_distribution = *given->instances_distribution;
	struct autoscaling_instances_distribution *d = made->instances_distribution;
	if (!d->on_demand_allocation_strategy.n)
		d->on_demand_allocation_strategy = by_needs ? S("lowest-price") : S("prioritized");
	if (!d->on_demand_base_capacity.set)
		d->on_demand_base_capacity = OPT_INT(0);
	if (!d->on_demand_percentage_above_base_capacity.set)
		d->on_demand_percentage_above_base_capacity = OPT_INT(100);
	if (!d->spot_allocation_strategy.n)
		d->spot_allocation_strategy = S("lowest-price");
	if (!d->spot_instance_pools.set && str_is(d->spot_allocation_strategy, "lowest-price"))
		d->spot_instance_pools = OPT_INT(POOLS_STANDARD);
	*ret = made;
	return CALL_OK;
}

int group_check_source(struct call *c, const struct autoscaling_launch_template_specification *template,
                       const struct autoscaling_mixed_instances_policy *mixed,
                       struct autoscaling_launch_template_specification **ret_template,
                       struct autoscaling_mixed_instances_policy **ret_mixed)
{
	return template ? take_template(c, template, false, ret_template) : take_mixed(c, mixed, ret_mixed);
}

static int take_source(struct call *c, const struct group_wish *w, bool new, struct autoscaling_auto_scaling_group *g)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_configuration_record k = {0};
	unsigned given = (w->configuration.n > 0) + (w->template != NULL) + (w->mixed != NULL);
	if (given > 1 || (new && !given))
		return scaling_invalid(c,
		                       "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
		                       "MixedInstancesPolicy parameter.");
	if (!given)
		return CALL_OK;
	g->launch_configuration_name = STR_NONE;
	g->launch_template = NULL;
	g->mixed_instances_policy = NULL;
	if (w->template)
		return take_template(c, w->template, false, &g->launch_template);
	if (w->mixed)
		return take_mixed(c, w->mixed, &g->mixed_instances_policy);
	if (!scaling_configuration_find(&s, w->configuration, &k))
		return scaling_invalid(c, "Launch configuration name not found - Launch configuration %.*s not found",
		                       STR_ARG(w->configuration));
	g->launch_configuration_name = w->configuration;
	return CALL_OK;
}

/* --- where they go */

static int take_subnets(struct call *c, struct str list, const struct str_list *zones, struct autoscaling_auto_scaling_group *g)
{
	struct scope s = scaling_scope(c);
	struct str rest = list, vpc = STR_NONE;
	struct str_list found = {.set = true};
	while (rest.n) {
		struct str id = str_trim(str_cut(&rest, ','));
		struct str zone = ec2_subnet_zone(s.txn, c->arena, c->account, c->region, id);
		if (!str_set(zone))
			return scaling_invalid(c, "The subnet ID '%.*s' does not exist", STR_ARG(id));
		struct str of = ec2_subnet_vpc(s.txn, c->arena, c->account, c->region, id);
		if (str_set(vpc) && !str_eq(vpc, of))
			return scaling_invalid(c, "The subnets '%.*s' are not of one VPC.", STR_ARG(list));
		vpc = of;
		if (zones->n && !scaling_among(zones, zone))
			return scaling_invalid(
			        c, "The availability zones of the specified subnets and the Auto Scaling group do not match");
		if (!found.n || !scaling_among(&found, zone))
			*LIST_ADD(c->arena, &found) = zone;
	}
	if (!found.n)
		return scaling_invalid(c, "At least one Availability Zone or VPC Subnet is required.");
	for (uint32_t i = 0; i < zones->n; i++)
		if (!scaling_among(&found, zones->v[i]))
			return scaling_invalid(
			        c, "The availability zones of the specified subnets and the Auto Scaling group do not match");
	g->vpc_zone_identifier = list;
	g->availability_zones = found;
	return CALL_OK;
}

static int take_places(struct call *c, const struct group_wish *w, bool new, struct autoscaling_auto_scaling_group *g)
{
	struct str_list zones = {.set = true};
	const struct str_list *lists[] = {w->zones, w->zone_ids};
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < lists[k]->n; i++) {
			struct str zone = ec2_zone_named(c->arena, c->region, lists[k]->v[i]);
			if (!str_set(zone))
				return scaling_invalid(c, "One or more of the specified Availability Zones do not exist: [%.*s]",
				                       STR_ARG(lists[k]->v[i]));
			if (!zones.n || !scaling_among(&zones, zone))
				*LIST_ADD(c->arena, &zones) = zone;
		}
	if (w->subnets.n)
		return take_subnets(c, w->subnets, &zones, g);
	if (new && !zones.n)
		return scaling_invalid(c, "At least one Availability Zone or VPC Subnet is required.");
	if (zones.n && g->vpc_zone_identifier.n)
		return take_subnets(c, g->vpc_zone_identifier, &zones, g);
	if (zones.n)
		g->availability_zones = zones;
	return CALL_OK;
}

/* --- the rest */

static int take_sizes(struct call *c, const struct group_wish *w, bool new, struct autoscaling_auto_scaling_group *g)
{
	if (w->min.set)
		g->min_size = w->min;
	if (w->max.set)
		g->max_size = w->max;
	int64_t min = g->min_size.v, max = g->max_size.v;
	if (min < 0 || max < 0 || max > CAPACITY_MAX)
		return scaling_invalid(c, "The sizes of a group are numbers from 0 to %d.", CAPACITY_MAX);
	if (min > max)
		return scaling_invalid(c, "Max bound, %lld, must be greater than or equal to min bound, %lld", (long long)max,
		                       (long long)min);
	int64_t desired = w->desired.set ? w->desired.v : new ? min : g->desired_capacity.v;
	if (w->desired.set && (desired < min || desired > max))
		return scaling_invalid(c, "Desired capacity:%lld must be between the specified min size:%lld and max size:%lld",
		                       (long long)desired, (long long)min, (long long)max);
	g->desired_capacity = OPT_INT(desired < min ? min : desired > max ? max : desired);
	return CALL_OK;
}

static int take_termination(struct call *c, const struct str_list *given, struct autoscaling_auto_scaling_group *g)
{
	static const char *const known[] = {"Default",
	                                    "OldestInstance",
	                                    "NewestInstance",
	                                    "OldestLaunchConfiguration",
	                                    "OldestLaunchTemplate",
	                                    "ClosestToNextInstanceHour",
	                                    "AllocationStrategy",
	                                    NULL};
	for (uint32_t i = 0; i < given->n; i++) {
		const char *const *k = known;
		while (*k && !str_is(given->v[i], *k))
			k++;
		if (!*k && str_starts(given->v[i], S("arn:aws:lambda:")))
			return refuse(c, "A function as termination policy is");
		if (!*k)
			return scaling_invalid(c, "Invalid termination policy: %.*s", STR_ARG(given->v[i]));
	}
	if (given->n)
		g->termination_policies = *given;
	return CALL_OK;
}

static int take_health(struct call *c, const struct group_wish *w, struct autoscaling_auto_scaling_group *g)
{
	if (w->health.n && !str_is(w->health, "EC2") && !str_is(w->health, "ELB"))
		return scaling_invalid(c, "HealthCheckType %.*s is not supported. Valid values are EC2 and ELB.",
		                       STR_ARG(w->health));
	if (w->health.n)
		g->health_check_type = w->health;
	if (w->grace.v < 0)
		return scaling_invalid(c, "HealthCheckGracePeriod must be a non-negative integer.");
	if (w->grace.set)
		g->health_check_grace_period = w->grace;
	return CALL_OK;
}

static int take_replacing(struct call *c, const struct group_wish *w, struct autoscaling_auto_scaling_group *g)
{
	const struct autoscaling_instance_maintenance_policy *p = w->maintenance;
	if (w->lifetime.v && (w->lifetime.v < LIFETIME_MIN_S || w->lifetime.v > LIFETIME_MAX_S))
		return scaling_invalid(c, "MaxInstanceLifetime must be 0 or between %d and %d seconds.", LIFETIME_MIN_S,
		                       LIFETIME_MAX_S);
	if (w->lifetime.set)
		g->max_instance_lifetime = w->lifetime.v ? w->lifetime : (struct opt_int){0};
	if (w->rebalance.set)
		g->capacity_rebalance = w->rebalance;
	if (!p)
		return CALL_OK;
	int64_t min = p->min_healthy_percentage.v, max = p->max_healthy_percentage.v;
	if (!p->min_healthy_percentage.set || !p->max_healthy_percentage.set || (min == -1) != (max == -1))
		return scaling_invalid(c, "MinHealthyPercentage and MaxHealthyPercentage must be specified together.");
	if (min == -1) {
		g->instance_maintenance_policy = NULL;
		return CALL_OK;
	}
	if (min < 0 || min > 100 || max < 100 || max > 200 || max - min > 100)
		return scaling_invalid(c,
		                       "MinHealthyPercentage must be between 0 and 100, MaxHealthyPercentage between 100 and 200, "
		                       "and the difference between them cannot be greater than 100.");
	g->instance_maintenance_policy = arena_new(c->arena, struct autoscaling_instance_maintenance_policy);
	*g->instance_maintenance_policy = *p;
	return CALL_OK;
}

static void defaults(struct call *c, struct autoscaling_auto_scaling_group *g)
{
	*LIST_ADD(c->arena, &g->termination_policies) = S("Default");
	g->default_cooldown = OPT_INT(COOLDOWN_DEFAULT);
	g->health_check_type = S("EC2");
	g->health_check_grace_period = OPT_INT(0);
	g->new_instances_protected_from_scale_in = OPT_BOOL(false);
	g->service_linked_role_arn = arena_printf(
	        c->arena, "arn:aws:iam::%.*s:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
	        STR_ARG(c->account));
	g->availability_zone_distribution = arena_new(c->arena, struct autoscaling_availability_zone_distribution);
	g->availability_zone_distribution->capacity_distribution_strategy = S("balanced-best-effort");
}

int group_apply(struct call *c, const struct group_wish *w, bool new, struct autoscaling_auto_scaling_group *g)
{
	if (new)
		defaults(c, g);
	if (check_unsupported(c, w) != CALL_OK || take_sizes(c, w, new, g) != CALL_OK || take_source(c, w, new, g) != CALL_OK ||
	    take_places(c, w, new, g) != CALL_OK || take_termination(c, w->termination, g) != CALL_OK ||
	    take_health(c, w, g) != CALL_OK || take_replacing(c, w, g) != CALL_OK)
		return CALL_FAIL;
	if (w->cooldown.v < 0 || w->warmup.v < -1)
		return scaling_invalid(c, "Cooldowns and warm-ups are non-negative numbers of seconds.");
	if (w->cooldown.set)
		g->default_cooldown = w->cooldown;
	if (w->warmup.set)
		g->default_instance_warmup = w->warmup.v < 0 ? (struct opt_int){0} : w->warmup;
	if (w->protect.set)
		g->new_instances_protected_from_scale_in = w->protect;
	if (str_set(w->placement_group))
		g->placement_group = w->placement_group.n ? w->placement_group : STR_NONE;
	if (w->role.n && !str_eq(w->role, g->service_linked_role_arn))
		return refuse(c, "Another service-linked role than AWSServiceRoleForAutoScaling is");
	if (w->deletion.n)
		g->deletion_protection = w->deletion;
	if (w->distribution && w->distribution->capacity_distribution_strategy.n) {
		g->availability_zone_distribution = arena_new(c->arena, struct autoscaling_availability_zone_distribution);
		*g->availability_zone_distribution = *w->distribution;
	}
	return CALL_OK;
}

int group_tags_check(struct call *c, const struct autoscaling_tags *tags)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		if (str_istarts(tags->v[i].key, S("aws:")))
			return scaling_invalid(c, "The tag key '%.*s' is invalid: keys that begin with aws: are reserved.",
			                       STR_ARG(tags->v[i].key));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[k].key, tags->v[i].key) && str_eq(tags->v[k].resource_id, tags->v[i].resource_id))
				return scaling_invalid(c, "Duplicate tag keys found: '%.*s'", STR_ARG(tags->v[i].key));
	}
	if (tags->n > TAGS_MAX)
		return call_fail(c, "LimitExceeded", 400, "A group can have at most %d tags.", TAGS_MAX);
	return CALL_OK;
}
