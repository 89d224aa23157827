/* CreateFleet of type instant. The request is made a list of pools - a type in a place, on demand or spot - in the order in which
 * the allocation strategies like them, and RunInstances is asked for one after the other, as the caller, until the target is there.
 * The fleet is recorded before the first, so that what a crash cuts off is seen; what a pool could not give is in the reply's
 * errors.
 *
 * All pools are this one machine, so capacity is how many instances of the pool's type it has room for now. */
#include "aws/ec2/fleet.h"

#include "aws/ec2/capacity.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/instance_type.h"
#include "aws/ec2/launch_data.h"
#include "aws/ec2/vpc.h"

#include <math.h>
#include <stdlib.h>

enum { TARGET_MAX = 10000, POOLS_MAX = 300, COUNT_MAX = 1000 };

struct pool {
	bool spot, asked;
	double weight, priority, price; /* price: of a unit of capacity */
	int64_t room;                   /* instances */
	int64_t share;                  /* most units in the first round */
	const struct ec2_run_instances_request *run;
	struct ec2_launch_template_and_overrides_response *what;
};

struct fleet_launch {
	struct list node;  /* in desk->launches */
	struct call *call; /* NULL: its client has left */
	struct desk *desk;
	struct arena arena;
	const struct principal *as;
	struct str account, region;
	struct ec2_fleet_data *fleet;
	struct pool *pools;
	uint32_t n, at, round;
	double left[2], got[2]; /* units on demand and of spot */
	bool done;
};

/* --- checking what is asked for */

static int check_request(struct call *c, const struct ec2_create_fleet_request *in)
{
	const struct ec2_spot_options_request *s = in->spot_options;
	const struct ec2_on_demand_options_request *d = in->on_demand_options;
	if (!str_is(in->type, "instant"))
		return ec2_unsupported(c, "A fleet of a type other than instant");
	if (in->valid_from.set || in->valid_until.set || in->replace_unhealthy_instances.v ||
	    in->terminate_instances_with_expiration.v || in->excess_capacity_termination_policy.n)
		return ec2_combination(c, "Validity, replacement and excess capacity are not for fleets of type instant.");
	if (in->context.n || in->reserved_capacity_options)
		return ec2_unsupported(c, "A context or reserved capacity of fleets");
	if ((s && (s->single_instance_type.v || s->single_availability_zone.v || s->min_target_capacity.set ||
	           s->max_total_price.n || s->maintenance_strategies)) ||
	    (d && (d->single_instance_type.v || d->single_availability_zone.v || d->min_target_capacity.set ||
	           d->max_total_price.n || d->capacity_reservation_options)))
		return ec2_unsupported(
		        c, "A fleet with least capacities, total prices, one type or zone alone, or use of reservations");
	if (s && s->instance_pools_to_use_count.set &&
	    (s->instance_pools_to_use_count.v < 1 || (s->allocation_strategy.n && !str_is(s->allocation_strategy, "lowest-price"))))
		return ec2_combination(c, "InstancePoolsToUseCount is for the allocation strategy lowest-price, and at least 1.");
	if (!in->launch_template_configs.n)
		return ec2_missing(c, "LaunchTemplateConfigs");
	return CALL_OK;
}

static int take_target(struct call *c, const struct ec2_create_fleet_request *in, struct fleet_launch *l)
{
	const struct ec2_target_capacity_specification_request *t = in->target_capacity_specification;
	if (!t || !t->total_target_capacity.set)
		return ec2_missing(c, "TotalTargetCapacity");
	if (t->target_capacity_unit_type.n && !str_is(t->target_capacity_unit_type, "units"))
		return ec2_unsupported(c, "A target capacity in units other than instances");
	struct str rest = t->default_target_capacity_type.n ? t->default_target_capacity_type : S("on-demand");
	if (!str_is(rest, "spot") && !str_is(rest, "on-demand"))
		return ec2_unsupported(c, "A target capacity of blocks or of reserved capacity");
	int64_t total = t->total_target_capacity.v, demand = t->on_demand_target_capacity.v, spot = t->spot_target_capacity.v;
	if (total < 1 || total > TARGET_MAX || demand < 0 || spot < 0)
		return ec2_invalid(c, "Value (%lld) for parameter totalTargetCapacity is invalid. Expected a number from 1 to %d.",
		                   (long long)total, TARGET_MAX);
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

static void show_options(struct call *c, const struct ec2_create_fleet_request *in, struct ec2_fleet_data *f)
{
	f->spot_options = arena_new(c->arena, struct ec2_spot_options);
	f->on_demand_options = arena_new(c->arena, struct ec2_on_demand_options);
	if (in->spot_options)
		ec2_carry(c->arena, "SpotOptionsRequest", in->spot_options, "SpotOptions", f->spot_options);
	if (in->on_demand_options)
		ec2_carry(c->arena, "OnDemandOptionsRequest", in->on_demand_options, "OnDemandOptions", f->on_demand_options);
	if (!f->spot_options->allocation_strategy.n)
		f->spot_options->allocation_strategy = S("lowest-price");
	if (!f->spot_options->instance_interruption_behavior.n)
		f->spot_options->instance_interruption_behavior = S("terminate");
	if (!f->on_demand_options->allocation_strategy.n)
		f->on_demand_options->allocation_strategy = S("lowest-price");
}

/* --- pools */

/* What RunInstances is to be asked for; how many is said when its turn comes. */
static struct ec2_run_instances_request *request_of(struct call *c, const struct ec2_create_fleet_request *in,
                                                    const struct fleet_launch *l, struct str template, struct str version,
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
	*tags = (struct ec2_tag_specification){.resource_type = S("instance"),
	                                       .tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_instance)};
	*LIST_ADD(c->arena, &tags->tags) = (struct ec2_tag){S(FLEET_TAG), l->fleet->fleet_id};
	return r;
}

static int add_pool(struct call *c, const struct ec2_create_fleet_request *in, struct fleet_launch *l,
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
	if (l->n + 2 > POOLS_MAX)
		return ec2_invalid(c, "A fleet has at most %d launch specifications.", POOLS_MAX / 2);
	ec2_carry(c->arena, "FleetLaunchTemplateOverridesRequest", o, "FleetLaunchTemplateOverrides", over);
	const struct instance_type *known = instance_type_find(type);
	uint64_t price = ec2_type_price(type);
	struct ec2_launch_template_and_overrides_response *what =
	        arena_new(c->arena, struct ec2_launch_template_and_overrides_response);
	*what = (struct ec2_launch_template_and_overrides_response){spec, over};
	for (int spot = 0; spot < 2; spot++) {
		double weight = o->weighted_capacity.set ? o->weighted_capacity.v : 1;
		if (l->left[spot] <= 0)
			continue;
		l->pools[l->n++] = (struct pool){
		        .spot = spot,
		        .weight = weight,
		        .priority = o->priority.set ? o->priority.v : INFINITY,
		        .price = price ? (double)price / weight : INFINITY,
		        .room = known ? capacity_room(c, known) : 0,
		        .share = INT64_MAX,
		        .run = request_of(c, in, l, spec->launch_template_id, spec->version, o, spot),
		        .what = what,
		};
	}
	if (o->instance_type.n || o->subnet_id.n || o->availability_zone.n || o->image_id.n || o->weighted_capacity.set)
		*LIST_ADD(c->arena, &shown->overrides) = *over;
	return CALL_OK;
}

static int take_pools(struct call *c, const struct ec2_create_fleet_request *in, struct fleet_launch *l)
{
	l->pools = arena_array(c->arena, POOLS_MAX, sizeof(*l->pools));
	for (uint32_t k = 0; k < in->launch_template_configs.n; k++) {
		const struct ec2_fleet_launch_template_config_request *config = &in->launch_template_configs.v[k];
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
			if (add_pool(c, in, l, &v, shown->launch_template_specification,
			             config->overrides.n ? &config->overrides.v[o] : &plain, shown) != CALL_OK)
				return CALL_FAIL;
	}
	return CALL_OK;
}

/* --- strategies */

/* Pools with room for all that is wanted are alike to who looks for capacity: there is but one machine. */
static double shortage(const struct fleet_launch *l, const struct pool *p)
{
	double short_of = l->left[p->spot] - (double)p->room * p->weight;
	return short_of > 0 ? short_of : 0;
}

static int compare(double a, double b)
{
	return a < b ? -1 : a > b;
}

static int before(const struct fleet_launch *l, const struct pool *a, const struct pool *b)
{
	struct str strategy =
	        a->spot ? l->fleet->spot_options->allocation_strategy : l->fleet->on_demand_options->allocation_strategy;
	if (a->spot != b->spot)
		return a->spot ? 1 : -1;
	if (str_is(strategy, "prioritized"))
		return compare(a->priority, b->priority);
	if (str_is(strategy, "diversified"))
		return 0;
	int order = str_is(strategy, "lowest-price") ? 0 : compare(shortage(l, a), shortage(l, b));
	if (order || str_is(strategy, "capacity-optimized"))
		return order;
	return str_is(strategy, "capacity-optimized-prioritized") ? compare(a->priority, b->priority) : compare(a->price, b->price);
}

/* Equal ones stay in the order of the request. */
static void sort(struct fleet_launch *l)
{
	for (uint32_t k = 1; k < l->n; k++)
		for (uint32_t j = k; j && before(l, &l->pools[j], &l->pools[j - 1]) < 0; j--) {
			struct pool p = l->pools[j];
			l->pools[j] = l->pools[j - 1];
			l->pools[j - 1] = p;
		}
}

/* What several pools share: all of a diversified fleet, the cheapest ones where a number of pools is asked for. */
static void spread(struct fleet_launch *l)
{
	const struct ec2_spot_options *o = l->fleet->spot_options;
	uint32_t pools = 0, first = 0;
	while (first < l->n && !l->pools[first].spot)
		first++;
	if (str_is(o->allocation_strategy, "diversified"))
		pools = l->n - first;
	else if (o->instance_pools_to_use_count.set)
		pools = o->instance_pools_to_use_count.v < l->n - first ? (uint32_t)o->instance_pools_to_use_count.v : l->n - first;
	for (uint32_t k = first; k < first + pools; k++)
		l->pools[k].share = (int64_t)ceil(l->left[1] / pools);
}

/* --- launching */

static void launch_free(struct fleet_launch *l)
{
	list_remove(&l->node);
	principal_unref(l->as);
	arena_done(&l->arena);
	free(l);
}

bool fleet_launch_is_under_way(const struct desk *d, struct str fleet)
{
	if (d)
		list_each (&((struct desk *)d)->launches, struct fleet_launch, node, l)
			if (!l->done && str_eq(l->fleet->fleet_id, fleet))
				return true;
	return false;
}

void fleet_launches_forget(struct desk *d)
{
	list_each (&d->launches, struct fleet_launch, node, l)
		launch_free(l);
}

static void call_freed(struct call *c)
{
	struct fleet_launch *l = c->state;
	if (!l)
		return;
	l->call = NULL;
	if (l->done)
		launch_free(l);
}

/* It goes on without the client: what was launched is recorded. */
static void client_left(struct call *c)
{
	((struct fleet_launch *)c->state)->call = NULL;
	c->state = NULL;
}

static int again(struct call *c)
{
	return ec2_run(c, c->row->handle);
}

static void recorded(void *ctx)
{
	struct fleet_launch *l = ctx;
	l->done = true;
	if (l->call)
		call_resume(l->call);
	else
		launch_free(l);
}

static void edit_record(const struct ec2_scope *s, void *ctx)
{
	const struct fleet_launch *l = ctx;
	struct state_ec2_fleet_record r = {.fleet = l->fleet};
	ec2_put(s, &ec2_kind_fleet, l->fleet->fleet_id, &r);
}

static void finish(struct fleet_launch *l)
{
	l->fleet->fleet_state = S("active");
	l->fleet->activity_status = l->left[0] > 0 || l->left[1] > 0 ? S("error") : S("fulfilled");
	l->fleet->fulfilled_capacity = (struct opt_double){l->got[0] + l->got[1], true};
	l->fleet->fulfilled_on_demand_capacity = (struct opt_double){l->got[0], true};
	desk_edit(l->desk, l->account, l->region, edit_record, recorded, l);
}

static void next(struct fleet_launch *l);

static void launched(void *ctx, struct call *sub)
{
	struct fleet_launch *l = ctx;
	struct pool *p = &l->pools[l->at++];
	const struct ec2_reservation *out = sub->out;
	struct str lifecycle = p->spot ? S("spot") : S("on-demand");
	if (str_set(sub->error.code)) {
		*LIST_ADD(&l->arena, &l->fleet->errors) =
		        (struct ec2_describe_fleet_error){.launch_template_and_overrides = p->what,
		                                          .lifecycle = lifecycle,
		                                          .error_code = arena_dup(&l->arena, sub->error.code),
		                                          .error_message = arena_dup(&l->arena, sub->error.message)};
		p->asked = false;
		next(l);
		return;
	}
	struct ec2_describe_fleets_instances *made = LIST_ADD(&l->arena, &l->fleet->instances);
	*made = (struct ec2_describe_fleets_instances){.launch_template_and_overrides = p->what, .lifecycle = lifecycle};
	for (uint32_t k = 0; k < out->instances.n; k++) {
		*LIST_ADD(&l->arena, &made->instance_ids) = arena_dup(&l->arena, out->instances.v[k].instance_id);
		if (!k)
			made->instance_type = arena_dup(&l->arena, out->instances.v[k].instance_type);
		l->left[p->spot] -= p->weight;
		l->got[p->spot] += p->weight;
	}
	next(l);
}

/* A pool gets no more than its share in the first round; what is missing then is asked of those that gave all they were asked for.
 */
static void next(struct fleet_launch *l)
{
	for (;; l->at++) {
		if (l->at == l->n) {
			l->at = 0;
			if (++l->round == 2)
				break;
		}
		struct pool *p = &l->pools[l->at];
		if (l->left[p->spot] <= 0 || (l->round && (p->share == INT64_MAX || !p->asked)))
			continue;
		double units = !l->round && l->left[p->spot] > (double)p->share ? (double)p->share : l->left[p->spot];
		int64_t count = (int64_t)ceil(units / p->weight);
		struct ec2_run_instances_request r = *p->run;
		r.min_count = OPT_INT(1);
		r.max_count = OPT_INT(count < COUNT_MAX ? count : COUNT_MAX);
		r.client_token = arena_printf(&l->arena, "%.*s.%u.%u", STR_ARG(l->fleet->fleet_id), l->round, l->at);
		p->asked = true;
		call_op(l->desk->cloud, l->as, l->region, &ec2_api, "RunInstances", &r, launched, l);
		return;
	}
	finish(l);
}

static void submitted(void *ctx)
{
	next(ctx);
}

/* --- CreateFleet */

static int answer(struct call *c, const struct fleet_launch *l, struct ec2_create_fleet_result *out)
{
	out->fleet_id = arena_dup(c->arena, l->fleet->fleet_id);
	out->errors.set = out->instances.set = true;
	/* the launch, and with it what the lists name, lives until the call is freed */
	for (uint32_t k = 0; k < l->fleet->errors.n; k++)
		ec2_carry(c->arena, "DescribeFleetError", &l->fleet->errors.v[k], "CreateFleetError",
		          LIST_ADD(c->arena, &out->errors));
	for (uint32_t k = 0; k < l->fleet->instances.n; k++)
		ec2_carry(c->arena, "DescribeFleetsInstances", &l->fleet->instances.v[k], "CreateFleetInstance",
		          LIST_ADD(c->arena, &out->instances));
	return CALL_OK;
}

/* What outlives this step, and maybe the call, in memory of its own. */
static struct fleet_launch *keep(struct call *c, const struct fleet_launch *plan)
{
	struct fleet_launch *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	const struct shape *request = api_shape_named(&ec2_api, S("RunInstancesRequest"));
	const struct shape *what = api_shape_named(&ec2_api, S("LaunchTemplateAndOverridesResponse"));
	*l = (struct fleet_launch){.call = c,
	                           .desk = plan->desk,
	                           .as = principal_ref(c->caller),
	                           .n = plan->n,
	                           .left = {plan->left[0], plan->left[1]}};
	l->account = arena_dup(&l->arena, c->account);
	l->region = arena_dup(&l->arena, c->region);
	l->fleet = arena_new(&l->arena, struct ec2_fleet_data);
	model_copy(&l->arena, &ec2_api, api_shape_named(&ec2_api, S("FleetData")), plan->fleet, l->fleet);
	l->pools = arena_array(&l->arena, plan->n + 1, sizeof(*l->pools));
	for (uint32_t k = 0; k < plan->n; k++) {
		struct ec2_run_instances_request *r = arena_new(&l->arena, struct ec2_run_instances_request);
		struct pool *p = &l->pools[k];
		*p = plan->pools[k];
		model_copy(&l->arena, &ec2_api, request, p->run, r);
		p->run = r;
		p->what = arena_new(&l->arena, struct ec2_launch_template_and_overrides_response);
		model_copy(&l->arena, &ec2_api, what, plan->pools[k].what, p->what);
	}
	list_push(&l->desk->launches, &l->node);
	return l;
}

int ec2_create_fleet(struct call *c, const struct ec2_create_fleet_request *in, struct ec2_create_fleet_result *out)
{
	static const struct ec2_kind *const tagged[] = {&ec2_kind_fleet, &ec2_kind_instance, NULL};
	const struct fleet_launch *running = c->state;
	if (running && running->done)
		return answer(c, running, out);
	struct ec2_fleet_data *f = arena_new(c->arena, struct ec2_fleet_data);
	struct fleet_launch plan = {.desk = ec2_state(c)->desk, .fleet = f};
	*f = (struct ec2_fleet_data){.fleet_id = ec2_new_id(c->arena, "fleet"),
	                             .fleet_state = S("submitted"),
	                             .activity_status = S("pending_fulfillment"),
	                             .create_time = OPT_TIME(c->now_ms),
	                             .client_token = in->client_token.n ? in->client_token : STR_NONE,
	                             .excess_capacity_termination_policy = S("termination"),
	                             .fulfilled_capacity = {0, true},
	                             .fulfilled_on_demand_capacity = {0, true},
	                             .terminate_instances_with_expiration = OPT_BOOL(false),
	                             .replace_unhealthy_instances = OPT_BOOL(false),
	                             .type = S("instant")};
	if (!plan.desk)
		return ec2_unsupported(c, "A fleet, since this machine runs no instances:");
	show_options(c, in, f);
	if (check_request(c, in) != CALL_OK || take_target(c, in, &plan) != CALL_OK ||
	    ec2_tags_take(c, &in->tag_specifications, tagged) != CALL_OK || take_pools(c, in, &plan) != CALL_OK)
		return CALL_FAIL;
	f->tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_fleet);
	sort(&plan);
	spread(&plan);
	struct fleet_launch *l = keep(c, &plan);
	c->state = l;
	call_on_free(c, call_freed);
	desk_edit(l->desk, l->account, l->region, edit_record, submitted, l);
	return call_wait(c, again, client_left);
}
