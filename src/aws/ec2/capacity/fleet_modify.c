/* ModifyFleet: another target, other templates, another policy for what is too many. It holds at once: the desk's next step
 * launches or ends what follows from it. */
#include "aws/ec2/capacity/fleet_plan.h"

#include "aws/ec2/ec2.h"
#include "aws/ec2/network/vpc.h"

/* Old pools stay in the list, so that the instances that came of them are known, and give nothing more. */
static int take_pools(struct call *c, const struct ec2_modify_fleet_request *in, struct state_ec2_fleet_record *r)
{
	static const struct ec2_tag_list none;
	const struct ec2_tag_list *tags = &none;
	struct ec2_tag_list given = {0};
	struct fleet_plan plan = {.fleet = r->fleet};
	if (!in->launch_template_configs.n)
		return CALL_OK;
	/* What the instances of the old ones were tagged with at the creation holds on; the fleet's own tag is given anew. */
	if (r->pools.n && r->pools.v[0].request->tag_specifications.n) {
		const struct ec2_tag_list *old = &r->pools.v[0].request->tag_specifications.v[0].tags;
		for (uint32_t k = 0; k < old->n; k++)
			if (!str_is(old->v[k].key, FLEET_TAG))
				*LIST_ADD(c->arena, &given) = old->v[k];
		tags = &given;
	}
	r->fleet->launch_template_configs.n = 0;
	if (fleet_take_pools(c, &in->launch_template_configs, tags, &plan) != CALL_OK || fleet_may_launch(c, &plan) != CALL_OK)
		return CALL_FAIL;
	if (r->pools.n + plan.n > FLEET_POOLS_MAX)
		return ec2_invalid(c, "The fleet has been given too many launch specifications: at most %d.", FLEET_POOLS_MAX / 2);
	struct state_ec2_fleet_pool_list more = fleet_pools_kept(c, &plan);
	for (uint32_t k = 0; k < r->pools.n; k++)
		r->pools.v[k].retired = OPT_BOOL(true);
	for (uint32_t k = 0; k < more.n; k++)
		*LIST_ADD(c->arena, &r->pools) = more.v[k];
	return CALL_OK;
}

static int take_target(struct call *c, const struct ec2_modify_fleet_request *in, struct state_ec2_fleet_record *r)
{
	struct fleet_plan plan = {.fleet = r->fleet};
	if (!in->target_capacity_specification)
		return CALL_OK;
	struct ec2_target_capacity_specification_request t = *in->target_capacity_specification;
	if (!t.default_target_capacity_type.n)
		t.default_target_capacity_type = r->fleet->target_capacity_specification->default_target_capacity_type;
	return fleet_take_target(c, &t, &plan);
}

int ec2_modify_fleet(struct call *c, const struct ec2_modify_fleet_request *in, struct ec2_modify_fleet_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_fleet_record r;
	struct str excess = in->excess_capacity_termination_policy;
	if (ec2_get(c, &ec2_kind_fleet, in->fleet_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(r.fleet->type, "maintain"))
		return call_fail(c, "FleetNotInModifiableState", 400, "Fleet Request: %.*s is not a modifiable fleet request type.",
		                 STR_ARG(in->fleet_id));
	if ((!str_is(r.fleet->fleet_state, "active") && !str_is(r.fleet->fleet_state, "submitted")) || r.expired.v)
		return call_fail(c, "FleetNotInModifiableState", 400, "Fleet Request: %.*s is not in a modifiable state.",
		                 STR_ARG(in->fleet_id));
	if (in->context.n)
		return ec2_unsupported(c, "A context of fleets");
	if (take_target(c, in, &r) != CALL_OK || take_pools(c, in, &r) != CALL_OK)
		return CALL_FAIL;
	if (excess.n)
		r.fleet->excess_capacity_termination_policy = excess;
	fleet_note(&s, &r, c->now_ms, "fleet-change", "modify_in_progress", STR_NONE, STR_NONE);
	fleet_note(&s, &r, c->now_ms, "fleet-change", "modify_succeeded", STR_NONE, STR_NONE);
	ec2_put(&s, &ec2_kind_fleet, in->fleet_id, &r);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}
