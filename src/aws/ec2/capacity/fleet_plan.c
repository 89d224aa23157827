/* The request for a fleet, made a plan: what is refused, the target, the options, and the pools with their order. */
#include "aws/ec2/capacity/fleet_plan.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/instance/instance_type.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"

#include <math.h>

enum { TARGET_MAX = 10000 };

/* --- checking what is asked for */

static bool is_instant(const struct ec2_fleet_data *f)
{
	return str_is(f->type, "instant");
}

static int check_times(struct call *c, const struct ec2_create_fleet_request *in)
{
	if (in->valid_until.set && in->valid_until.ms <= c->now_ms)
		return ec2_invalid(c, "The value of validUntil has to be in the future.");
	if (in->valid_from.set && in->valid_until.set && in->valid_from.ms >= in->valid_until.ms)
		return ec2_invalid(c, "The value of validUntil has to be later than that of validFrom.");
	return CALL_OK;
}

bool fleet_strategy_is(struct str given, const char *name)
{
	size_t at = 0;
	for (; *name; name++) {
		if (*name == '-')
			continue;
		while (at < given.n && given.p[at] == '-')
			at++;
		if (at == given.n || (given.p[at] | 0x20) != *name)
			return false;
		at++;
	}
	return at == given.n;
}

static int check_request(struct call *c, const struct ec2_create_fleet_request *in, const struct ec2_fleet_data *f)
{
	const struct ec2_spot_options_request *s = in->spot_options;
	const struct ec2_on_demand_options_request *d = in->on_demand_options;
	bool instant = is_instant(f);
	if (!instant && !str_is(f->type, "maintain") && !str_is(f->type, "request"))
		return ec2_invalid(c, "Invalid value '%.*s' for the type of a fleet.", STR_ARG(f->type));
	if (instant && (in->valid_from.set || in->valid_until.set || in->replace_unhealthy_instances.v ||
	                in->terminate_instances_with_expiration.v || in->excess_capacity_termination_policy.n))
		return ec2_combination(c, "Validity, replacement and excess capacity are not for fleets of type instant.");
	if (check_times(c, in) != CALL_OK)
		return CALL_FAIL;
	if (in->replace_unhealthy_instances.v && !str_is(f->type, "maintain"))
		return ec2_combination(c, "ReplaceUnhealthyInstances is for fleets of type maintain alone.");
	if (!instant && s && s->instance_interruption_behavior.n && !str_is(s->instance_interruption_behavior, "terminate"))
		return ec2_unsupported(c, "Stopping or hibernating the instances of a fleet at an interruption");
	if (in->context.n || in->reserved_capacity_options)
		return ec2_unsupported(c, "A context or reserved capacity of fleets");
	if ((s && (s->single_instance_type.v || s->single_availability_zone.v || s->min_target_capacity.set ||
	           s->max_total_price.n || s->maintenance_strategies)) ||
	    (d && (d->single_instance_type.v || d->single_availability_zone.v || d->min_target_capacity.set ||
	           d->max_total_price.n || d->capacity_reservation_options)))
		return ec2_unsupported(
		        c, "A fleet with least capacities, total prices, one type or zone alone, or use of reservations");
	if (s && s->instance_pools_to_use_count.set &&
	    (s->instance_pools_to_use_count.v < 1 ||
	     (s->allocation_strategy.n && !fleet_strategy_is(s->allocation_strategy, "lowest-price"))))
		return ec2_combination(c, "InstancePoolsToUseCount is for the allocation strategy lowest-price, and at least 1.");
	if (!in->launch_template_configs.n)
		return ec2_missing(c, "LaunchTemplateConfigs");
	return CALL_OK;
}

/* As Amazon shows it, however it was spelled: "lowest-price" is "lowestPrice". */
static int take_strategy(struct call *c, struct str *at, const char *const *known)
{
	struct str given = at->n ? *at : S("lowest-price");
	for (; *known; known++) {
		if (!fleet_strategy_is(given, *known))
			continue;
		struct str shown = arena_dup(c->arena, str_from(*known));
		char *p = (char *)(uintptr_t)shown.p;
		size_t n = 0;
		for (size_t k = 0; k < shown.n; k++)
			if (p[k] == '-')
				p[n++] = (char)(p[++k] - 0x20);
			else
				p[n++] = p[k];
		*at = str_sub(shown, 0, n);
		return CALL_OK;
	}
	return ec2_invalid(c, "Invalid value '%.*s' for the allocation strategy.", STR_ARG(given));
}

static int show_options(struct call *c, const struct ec2_create_fleet_request *in, struct ec2_fleet_data *f)
{
	static const char *const of_spot[] = {"lowest-price",
	                                      "diversified",
	                                      "capacity-optimized",
	                                      "capacity-optimized-prioritized",
	                                      "price-capacity-optimized",
	                                      NULL};
	static const char *const of_demand[] = {"lowest-price", "prioritized", NULL};
	f->spot_options = arena_new(c->arena, struct ec2_spot_options);
	f->on_demand_options = arena_new(c->arena, struct ec2_on_demand_options);
	if (in->spot_options)
		ec2_carry(c->arena, "SpotOptionsRequest", in->spot_options, "SpotOptions", f->spot_options);
	if (in->on_demand_options)
		ec2_carry(c->arena, "OnDemandOptionsRequest", in->on_demand_options, "OnDemandOptions", f->on_demand_options);
	if (!f->spot_options->instance_interruption_behavior.n)
		f->spot_options->instance_interruption_behavior = S("terminate");
	return take_strategy(c, &f->spot_options->allocation_strategy, of_spot) == CALL_OK
	               ? take_strategy(c, &f->on_demand_options->allocation_strategy, of_demand)
	               : CALL_FAIL;
}

int fleet_take_options(struct call *c, const struct ec2_create_fleet_request *in, struct fleet_plan *plan)
{
	return show_options(c, in, plan->fleet) == CALL_OK ? check_request(c, in, plan->fleet) : CALL_FAIL;
}

int fleet_take_target(struct call *c, const struct ec2_target_capacity_specification_request *t, struct fleet_plan *l)
{
	bool may_be_none = str_is(l->fleet->type, "maintain");
	if (!t || !t->total_target_capacity.set)
		return ec2_missing(c, "TotalTargetCapacity");
	if (t->target_capacity_unit_type.n && !str_is(t->target_capacity_unit_type, "units"))
		return ec2_unsupported(c, "A target capacity in units other than instances");
	struct str rest = t->default_target_capacity_type.n ? t->default_target_capacity_type : S("on-demand");
	if (!str_is(rest, "spot") && !str_is(rest, "on-demand"))
		return ec2_unsupported(c, "A target capacity of blocks or of reserved capacity");
	int64_t total = t->total_target_capacity.v, demand = t->on_demand_target_capacity.v, spot = t->spot_target_capacity.v;
	if (total < !may_be_none || total > TARGET_MAX || demand < 0 || spot < 0)
		return ec2_invalid(c, "Value (%lld) for parameter totalTargetCapacity is invalid. Expected a number from %d to %d.",
		                   (long long)total, !may_be_none, TARGET_MAX);
	if (demand + spot > total)
		return ec2_combination(c, "OnDemandTargetCapacity and SpotTargetCapacity together exceed TotalTargetCapacity.");
	*(str_is(rest, "spot") ? &spot : &demand) += total - demand - spot;
	l->left[0] = (double)demand;
	l->left[1] = (double)spot;
	struct ec2_target_capacity_specification *shown = arena_new(c->arena, struct ec2_target_capacity_specification);
	*shown = (struct ec2_target_capacity_specification){.total_target_capacity = OPT_INT(total),
	                                                    .on_demand_target_capacity = OPT_INT(demand),
	                                                    .spot_target_capacity = OPT_INT(spot),
	                                                    .default_target_capacity_type = rest};
	l->fleet->target_capacity_specification = shown;
	return CALL_OK;
}

/* --- pools */

/* What RunInstances is to be asked for; how many is said when its turn comes. */
static struct ec2_run_instances_request *request_of(struct call *c, const struct ec2_tag_list *given, const struct fleet_plan *l,
                                                    struct str template, struct str version,
                                                    const struct ec2_fleet_launch_template_overrides_request *o, bool spot)
{
	struct ec2_run_instances_request *r = arena_new(c->arena, struct ec2_run_instances_request);
	ec2_carry(c->arena, "FleetLaunchTemplateOverridesRequest", o, "RunInstancesRequest", r);
	r->launch_template = arena_new(c->arena, struct ec2_launch_template_specification);
	*r->launch_template = (struct ec2_launch_template_specification){.launch_template_id = template, .version = version};
	struct str zone = o->availability_zone.n      ? o->availability_zone
	                  : o->availability_zone_id.n ? ec2_zone_named(c->arena, c->region, o->availability_zone_id)
	                                              : STR_NONE;
	if (str_set(zone)) {
		struct ec2_placement *p = arena_new(c->arena, struct ec2_placement);
		if (r->placement)
			*p = *r->placement;
		p->availability_zone = zone;
		r->placement = p;
	}
	if (spot) {
		struct ec2_spot_market_options *s = arena_new(c->arena, struct ec2_spot_market_options);
		s->max_price = o->max_price;
		s->instance_interruption_behavior = l->fleet->spot_options->instance_interruption_behavior;
		r->instance_market_options = arena_new(c->arena, struct ec2_instance_market_options_request);
		r->instance_market_options->market_type = S("spot");
		r->instance_market_options->spot_options = s;
	}
	struct ec2_tag_specification *tags = LIST_ADD(c->arena, &r->tag_specifications);
	*tags = (struct ec2_tag_specification){.resource_type = S("instance"), .tags = *given};
	*LIST_ADD(c->arena, &tags->tags) = (struct ec2_tag){S(FLEET_TAG), l->fleet->fleet_id};
	return r;
}

static int add_pool(struct call *c, const struct ec2_tag_list *tags, struct fleet_plan *l,
                    const struct ec2_launch_template_version *v, struct ec2_fleet_launch_template_specification *spec,
                    const struct ec2_fleet_launch_template_overrides_request *o, struct ec2_fleet_launch_template_config *shown)
{
	struct ec2_fleet_launch_template_overrides *over = arena_new(c->arena, struct ec2_fleet_launch_template_overrides);
	if (o->instance_requirements || v->launch_template_data->instance_requirements)
		return ec2_unsupported(c, "A fleet of types by instance requirements");
	if (o->weighted_capacity.set && !(o->weighted_capacity.v > 0 && o->weighted_capacity.v <= TARGET_MAX))
		return ec2_invalid(c, "The weighted capacity of an override has to be greater than 0.");
	if (o->priority.set && o->priority.v < 0)
		return ec2_invalid(c, "The priority of an override has to be at least 0.");
	struct str type = o->instance_type.n ? o->instance_type : v->launch_template_data->instance_type;
	if (!type.n)
		return ec2_missing(c, "InstanceType");
	if (l->n + 2 > FLEET_POOLS_MAX)
		return ec2_invalid(c, "A fleet has at most %d launch specifications.", FLEET_POOLS_MAX / 2);
	ec2_carry(c->arena, "FleetLaunchTemplateOverridesRequest", o, "FleetLaunchTemplateOverrides", over);
	const struct instance_type *known = instance_type_find(type);
	uint64_t price = ec2_type_price(type);
	struct ec2_launch_template_and_overrides_response *what =
	        arena_new(c->arena, struct ec2_launch_template_and_overrides_response);
	*what = (struct ec2_launch_template_and_overrides_response){spec, over};
	for (int spot = 0; spot < 2; spot++) {
		double weight = o->weighted_capacity.set ? o->weighted_capacity.v : 1;
		if (l->left[spot] <= 0 && is_instant(l->fleet))
			continue;
		l->pools[l->n] = (struct fleet_pool){
		        .spot = spot,
		        .index = l->n,
		        .weight = weight,
		        .priority = o->priority.set ? o->priority.v : INFINITY,
		        .price = price ? (double)price / weight : INFINITY,
		        .room = known ? capacity_room(c, known) : 0,
		        .share = INFINITY,
		        .type = type,
		        .run = request_of(c, tags, l, spec->launch_template_id, spec->version, o, spot),
		        .what = what,
		};
		l->n++;
	}
	if (o->instance_type.n || o->subnet_id.n || o->availability_zone.n || o->image_id.n || o->weighted_capacity.set)
		*LIST_ADD(c->arena, &shown->overrides) = *over;
	return CALL_OK;
}

int fleet_take_pools(struct call *c, const struct ec2_fleet_launch_template_config_list_request *configs,
                     const struct ec2_tag_list *tags, struct fleet_plan *l)
{
	l->pools = arena_array(c->arena, FLEET_POOLS_MAX, sizeof(*l->pools));
	for (uint32_t k = 0; k < configs->n; k++) {
		const struct ec2_fleet_launch_template_config_request *config = &configs->v[k];
		const struct ec2_fleet_launch_template_specification_request *named = config->launch_template_specification;
		static const struct ec2_fleet_launch_template_overrides_request plain;
		struct state_ec2_launch_template_record r;
		struct ec2_launch_template_version v;
		if (!named)
			return ec2_missing(c, "LaunchTemplateSpecification");
		if (!named->version.n)
			return ec2_missing(c, "LaunchTemplateSpecification.Version");
		if (ec2_launch_template_given(c, named->launch_template_id, named->launch_template_name, &r) != CALL_OK ||
		    ec2_launch_version_given(c, r.template, named->version, &v) != CALL_OK)
			return CALL_FAIL;
		struct ec2_fleet_launch_template_config *shown = LIST_ADD(c->arena, &l->fleet->launch_template_configs);
		shown->launch_template_specification = arena_new(c->arena, struct ec2_fleet_launch_template_specification);
		*shown->launch_template_specification = (struct ec2_fleet_launch_template_specification){
		        .launch_template_id = r.template->launch_template_id,
		        .version = arena_printf(c->arena, "%lld", (long long)v.version_number.v)};
		for (uint32_t o = 0; o < config->overrides.n || o == 0; o++)
			if (add_pool(c, tags, l, &v, shown->launch_template_specification,
			             config->overrides.n ? &config->overrides.v[o] : &plain, shown) != CALL_OK)
				return CALL_FAIL;
	}
	return CALL_OK;
}

/* --- strategies */

/* Pools with room for all that is wanted are alike to who looks for capacity: there is but one machine. */
static double shortage(const struct fleet_plan *l, const struct fleet_pool *p)
{
	double short_of = l->left[p->spot] - (double)p->room * p->weight;
	return short_of > 0 ? short_of : 0;
}

static int compare(double a, double b)
{
	return a < b ? -1 : a > b;
}

static int before(const struct fleet_plan *l, const struct fleet_pool *a, const struct fleet_pool *b)
{
	struct str strategy =
	        a->spot ? l->fleet->spot_options->allocation_strategy : l->fleet->on_demand_options->allocation_strategy;
	if (a->spot != b->spot)
		return a->spot ? 1 : -1;
	if (fleet_strategy_is(strategy, "prioritized"))
		return compare(a->priority, b->priority);
	if (fleet_strategy_is(strategy, "diversified"))
		return 0;
	int order = fleet_strategy_is(strategy, "lowest-price") ? 0 : compare(shortage(l, a), shortage(l, b));
	if (order || fleet_strategy_is(strategy, "capacity-optimized"))
		return order;
	return fleet_strategy_is(strategy, "capacity-optimized-prioritized") ? compare(a->priority, b->priority)
	                                                                     : compare(a->price, b->price);
}

/* Equal ones stay in the order of the request. */
static void sort_pools(struct fleet_plan *l)
{
	for (uint32_t k = 1; k < l->n; k++)
		for (uint32_t j = k; j && before(l, &l->pools[j], &l->pools[j - 1]) < 0; j--) {
			struct fleet_pool p = l->pools[j];
			l->pools[j] = l->pools[j - 1];
			l->pools[j - 1] = p;
		}
}

/* What several pools share: all of a diversified fleet, the cheapest ones where a number of pools is asked for. */
static void spread(struct fleet_plan *l)
{
	const struct ec2_spot_options *o = l->fleet->spot_options;
	uint32_t pools = 0, first = 0;
	while (first < l->n && !l->pools[first].spot)
		first++;
	if (fleet_strategy_is(o->allocation_strategy, "diversified"))
		pools = l->n - first;
	else if (o->instance_pools_to_use_count.set)
		pools = o->instance_pools_to_use_count.v < l->n - first ? (uint32_t)o->instance_pools_to_use_count.v : l->n - first;
	for (uint32_t k = first; k < first + pools; k++) {
		double had = 0;
		for (uint32_t j = first; j < l->n; j++)
			had += l->pools[j].had;
		double share = ceil((l->left[1] + had) / pools) - l->pools[k].had;
		l->pools[k].share = share > 0 ? share : 0;
	}
}

void fleet_sort(struct fleet_plan *l)
{
	sort_pools(l);
	spread(l);
}
