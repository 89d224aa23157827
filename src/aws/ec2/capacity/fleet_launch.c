/* Carries out the plan of a fleet: RunInstances is asked for one pool after the other until what is wanted is there. What a pool
 * could not give is noted.
 *
 * CreateFleet of type instant does so as the caller and answers at the end; the fleet is recorded before the first launch, so that
 * what a crash cuts off is seen. Fleets of the other types are recorded alone, and fleet_keep.c asks for launches again and again,
 * in the name of the service. */
#include "aws/ec2/capacity/fleet_plan.h"

#include "aws/ec2/ec2.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FLEET_NAME "ec2fleet.amazonaws.com"

enum { COUNT_MAX = 1000 };

struct fleet_launch {
	struct list node;       /* in desk->launches */
	struct call *call;      /* NULL: its client has left, or it is of a fleet that is kept */
	struct desk_item *item; /* that fleet's; NULL: of type instant */
	struct desk *desk;
	struct arena arena;
	const struct principal *as;
	struct str account, region;
	struct fleet_plan plan;
	uint32_t at, round;
	int64_t began_ms;
	double got[2];
	char code[64], message[300]; /* of the last refusal; "": none */
	bool done;
};

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
			if (!l->done && str_eq(l->plan.fleet->fleet_id, fleet))
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
	struct state_ec2_fleet_record r = {.fleet = l->plan.fleet};
	ec2_put(s, &ec2_kind_fleet, l->plan.fleet->fleet_id, &r);
}

static void finish(struct fleet_launch *l)
{
	if (l->item) {
		struct desk_item *i = l->item;
		fleet_launch_ended(i, l->code, l->message);
		launch_free(l);
		return;
	}
	l->plan.fleet->fleet_state = S("active");
	l->plan.fleet->activity_status = l->plan.left[0] > 0 || l->plan.left[1] > 0 ? S("error") : S("fulfilled");
	l->plan.fleet->fulfilled_capacity = (struct opt_double){l->got[0] + l->got[1], true};
	l->plan.fleet->fulfilled_on_demand_capacity = (struct opt_double){l->got[0], true};
	desk_edit(l->desk, l->account, l->region, edit_record, recorded, l);
}

static void next(struct fleet_launch *l);

static void launched(void *ctx, struct call *sub)
{
	struct fleet_launch *l = ctx;
	struct fleet_pool *p = &l->plan.pools[l->at++];
	const struct ec2_reservation *out = sub->out;
	struct str lifecycle = p->spot ? S("spot") : S("on-demand");
	if (str_set(sub->error.code)) {
		snprintf(l->code, sizeof(l->code), "%.*s", STR_ARG(sub->error.code));
		snprintf(l->message, sizeof(l->message), "%.*s", STR_ARG(sub->error.message));
		*LIST_ADD(&l->arena, &l->plan.fleet->errors) =
		        (struct ec2_describe_fleet_error){.launch_template_and_overrides = p->what,
		                                          .lifecycle = lifecycle,
		                                          .error_code = arena_dup(&l->arena, sub->error.code),
		                                          .error_message = arena_dup(&l->arena, sub->error.message)};
		p->asked = false;
		next(l);
		return;
	}
	struct ec2_describe_fleets_instances *made = LIST_ADD(&l->arena, &l->plan.fleet->instances);
	*made = (struct ec2_describe_fleets_instances){.launch_template_and_overrides = p->what, .lifecycle = lifecycle};
	for (uint32_t k = 0; k < out->instances.n; k++) {
		*LIST_ADD(&l->arena, &made->instance_ids) = arena_dup(&l->arena, out->instances.v[k].instance_id);
		if (!k)
			made->instance_type = arena_dup(&l->arena, out->instances.v[k].instance_type);
		l->plan.left[p->spot] -= p->weight;
		l->got[p->spot] += p->weight;
	}
	next(l);
}

/* A pool gets no more than its share in the first round; what is missing then is asked of those that gave all they were asked for.
 */
static void next(struct fleet_launch *l)
{
	for (;; l->at++) {
		if (l->at == l->plan.n) {
			l->at = 0;
			if (++l->round == 2)
				break;
		}
		struct fleet_pool *p = &l->plan.pools[l->at];
		if (l->plan.left[p->spot] <= 0 || (l->round && (isinf(p->share) || !p->asked)))
			continue;
		double units = !l->round && l->plan.left[p->spot] > p->share ? p->share : l->plan.left[p->spot];
		int64_t count = (int64_t)ceil(units / p->weight);
		if (count < 1)
			continue;
		struct ec2_run_instances_request r = *p->run;
		r.min_count = OPT_INT(1);
		r.max_count = OPT_INT(count < COUNT_MAX ? count : COUNT_MAX);
		r.client_token = arena_printf(&l->arena, "%.*s.%lld.%u.%u", STR_ARG(l->plan.fleet->fleet_id),
		                              (long long)l->began_ms, l->round, p->index);
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
	out->fleet_id = arena_dup(c->arena, l->plan.fleet->fleet_id);
	out->errors.set = out->instances.set = true;
	/* the launch, and with it what the lists name, lives until the call is freed */
	for (uint32_t k = 0; k < l->plan.fleet->errors.n; k++)
		ec2_carry(c->arena, "DescribeFleetError", &l->plan.fleet->errors.v[k], "CreateFleetError",
		          LIST_ADD(c->arena, &out->errors));
	for (uint32_t k = 0; k < l->plan.fleet->instances.n; k++)
		ec2_carry(c->arena, "DescribeFleetsInstances", &l->plan.fleet->instances.v[k], "CreateFleetInstance",
		          LIST_ADD(c->arena, &out->instances));
	return CALL_OK;
}

/* What outlives this step, and maybe the call, in memory of its own. */
static struct fleet_launch *keep(struct desk *d, struct str account, struct str region, const struct principal *as,
                                 const struct fleet_plan *plan)
{
	struct fleet_launch *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	const struct shape *request = api_shape_named(&ec2_api, S("RunInstancesRequest"));
	const struct shape *what = api_shape_named(&ec2_api, S("LaunchTemplateAndOverridesResponse"));
	*l = (struct fleet_launch){.desk = d, .as = as, .plan = *plan, .began_ms = clock_wall_ms()};
	l->account = arena_dup(&l->arena, account);
	l->region = arena_dup(&l->arena, region);
	l->plan.fleet = arena_new(&l->arena, struct ec2_fleet_data);
	model_copy(&l->arena, &ec2_api, api_shape_named(&ec2_api, S("FleetData")), plan->fleet, l->plan.fleet);
	l->plan.pools = arena_array(&l->arena, plan->n + 1, sizeof(*l->plan.pools));
	for (uint32_t k = 0; k < plan->n; k++) {
		struct ec2_run_instances_request *r = arena_new(&l->arena, struct ec2_run_instances_request);
		struct fleet_pool *p = &l->plan.pools[k];
		*p = plan->pools[k];
		model_copy(&l->arena, &ec2_api, request, p->run, r);
		p->run = r;
		p->what = arena_new(&l->arena, struct ec2_launch_template_and_overrides_response);
		model_copy(&l->arena, &ec2_api, what, plan->pools[k].what, p->what);
	}
	list_push(&l->desk->launches, &l->node);
	return l;
}

void fleet_launch_for(struct desk_item *i, const struct fleet_plan *plan)
{
	/* The account itself: what the user needed permission for was asked when the fleet was made. */
	struct principal *p = principal_new(PRINCIPAL_ROOT, i->account);
	p->name = S(FLEET_NAME);
	struct fleet_launch *l = keep(i->desk, i->account, i->region, p, plan);
	l->item = i;
	i->busy++;
	next(l);
}

/* One that is kept: its record is all that there is to do now. */
static int record_kept(struct call *c, const struct fleet_plan *plan, struct ec2_create_fleet_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	if (fleet_may_launch(c, plan) != CALL_OK)
		return CALL_FAIL;
	struct state_ec2_fleet_record r = {.fleet = plan->fleet, .pools = fleet_pools_kept(c, plan)};
	fleet_note(&s, &r, c->now_ms, "fleet-change", "submitted", STR_NONE, STR_NONE);
	ec2_put(&s, &ec2_kind_fleet, plan->fleet->fleet_id, &r);
	out->fleet_id = plan->fleet->fleet_id;
	return CALL_OK;
}

int ec2_create_fleet(struct call *c, const struct ec2_create_fleet_request *in, struct ec2_create_fleet_result *out)
{
	static const struct ec2_kind *const tagged[] = {&ec2_kind_fleet, &ec2_kind_instance, NULL};
	const struct fleet_launch *running = c->state;
	if (running && running->done)
		return answer(c, running, out);
	struct str type = in->type.n ? in->type : S("maintain"), excess = in->excess_capacity_termination_policy;
	struct ec2_fleet_data *f = arena_new(c->arena, struct ec2_fleet_data);
	struct fleet_plan plan = {.fleet = f};
	struct desk *d = ec2_state(c)->desk;
	*f = (struct ec2_fleet_data){.fleet_id = ec2_new_id(c->arena, "fleet"),
	                             .fleet_state = S("submitted"),
	                             .activity_status = S("pending_fulfillment"),
	                             .create_time = OPT_TIME(c->now_ms),
	                             .client_token = in->client_token.n ? in->client_token : STR_NONE,
	                             .excess_capacity_termination_policy = excess.n ? excess : S("termination"),
	                             .fulfilled_capacity = {0, true},
	                             .fulfilled_on_demand_capacity = {0, true},
	                             .terminate_instances_with_expiration = OPT_BOOL(in->terminate_instances_with_expiration.v),
	                             .replace_unhealthy_instances = OPT_BOOL(in->replace_unhealthy_instances.v),
	                             .valid_from = in->valid_from,
	                             .valid_until = in->valid_until,
	                             .type = type};
	if (!d)
		return ec2_unsupported(c, "A fleet, since this machine runs no instances:");
	if (fleet_take_options(c, in, &plan) != CALL_OK ||
	    fleet_take_target(c, in->target_capacity_specification, &plan) != CALL_OK ||
	    ec2_tags_take(c, &in->tag_specifications, tagged) != CALL_OK)
		return CALL_FAIL;
	struct ec2_tag_list tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_instance);
	if (fleet_take_pools(c, &in->launch_template_configs, &tags, &plan) != CALL_OK)
		return CALL_FAIL;
	f->tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_fleet);
	if (!str_is(type, "instant"))
		return record_kept(c, &plan, out);
	fleet_sort(&plan);
	struct fleet_launch *l = keep(d, c->account, c->region, principal_ref(c->caller), &plan);
	l->call = c;
	c->state = l;
	call_on_free(c, call_freed);
	desk_edit(l->desk, l->account, l->region, edit_record, submitted, l);
	return call_wait(c, again, client_left);
}
