/* Targets of a group: RegisterTargets, DeregisterTargets. One that is deregistered while its group is in use drains: it stays in
 * the record until its time is over, which the desk sees to. health.c says how they are. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "function.h"

#include <arpa/inet.h>

struct state_elbv2_target *elb_target_of(const struct state_elbv2_group_record *r, struct str id, int64_t port)
{
	for (uint32_t i = 0; i < r->targets.n; i++)
		if (str_eq(r->targets.v[i].id, id) && (!port || r->targets.v[i].port.v == port))
			return &r->targets.v[i];
	return NULL;
}

static void add_quoted(struct call *c, struct str *list, struct str text)
{
	*list = str_set(*list) ? ARENA_CAT(c->arena, *list, S(", '"), text, S("'")) : ARENA_CAT(c->arena, S("'"), text, S("'"));
}

/* --- instances */

static int check_instances(struct call *c, const struct state_elbv2_group_record *r, const struct elbv2_target_descriptions *in)
{
	struct str missing = STR_NONE, down = STR_NONE, elsewhere = STR_NONE;
	for (uint32_t i = 0; i < in->n; i++) {
		struct ec2_seen seen;
		if (!str_starts(in->v[i].id, S("i-")))
			return elb_invalid(c, "Instance ID '%.*s' is not valid", STR_ARG(in->v[i].id));
		ec2_see_instance(call_txn(c), c->arena, c->account, c->region, in->v[i].id, &seen);
		if (!seen.there)
			add_quoted(c, &missing, in->v[i].id);
		else if (!str_is(seen.state, "running"))
			add_quoted(c, &down, in->v[i].id);
		else if (!str_eq(seen.vpc, r->group->vpc_id))
			add_quoted(c, &elsewhere, in->v[i].id);
	}
	if (str_set(missing))
		return call_fail(c, "InvalidTarget", 0, "The following instances do not exist: %.*s", STR_ARG(missing));
	if (str_set(down))
		return call_fail(c, "InvalidTarget", 0,
		                 "The following targets are not in a running state and cannot be registered: %.*s", STR_ARG(down));
	if (str_set(elsewhere))
		return call_fail(c, "InvalidTarget", 0, "The following targets are not in the target group VPC '%.*s': %.*s",
		                 STR_ARG(r->group->vpc_id), STR_ARG(elsewhere));
	return CALL_OK;
}

/* --- addresses */

static bool within(uint32_t address, uint32_t base, unsigned bits)
{
	return (address ^ base) >> (32 - bits) == 0;
}

static bool is_private(uint32_t a)
{
	return within(a, 0x0a000000, 8) || within(a, 0xac100000, 12) || within(a, 0xc0a80000, 16) || within(a, 0x64400000, 10);
}

/* The zone is the subnet's; a target outside the VPC is in all of them, and has to say so. */
static int check_address(struct call *c, const struct state_elbv2_group_record *r, struct elbv2_target_description *t)
{
	struct in_addr at;
	struct str zone;
	if (t->id.n >= INET_ADDRSTRLEN || inet_pton(AF_INET, arena_dupz(c->arena, t->id), &at) != 1)
		return elb_invalid(c, "The IP address '%.*s' is not a valid IPv4 address", STR_ARG(t->id));
	uint32_t address = ntohl(at.s_addr);
	bool all = str_is(t->availability_zone, "all");
	if (ec2_vpc_spans(call_txn(c), c->arena, c->account, c->region, r->group->vpc_id, address, &zone)) {
		if (!str_set(zone))
			return call_fail(c, "InvalidTarget", 0, "The IP address '%.*s' is in no subnet of the VPC '%.*s'",
			                 STR_ARG(t->id), STR_ARG(r->group->vpc_id));
		if (t->availability_zone.n && !all && !str_eq(t->availability_zone, zone))
			return elb_invalid(c, "The IP address '%.*s' is not in the Availability Zone '%.*s'", STR_ARG(t->id),
			                   STR_ARG(t->availability_zone));
		t->availability_zone = all ? S("all") : zone;
		return CALL_OK;
	}
	if (!is_private(address))
		return call_fail(c, "InvalidTarget", 0,
		                 "The IP address '%.*s' is outside the VPC and must be in one of the ranges '10.0.0.0/8, "
		                 "100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16'",
		                 STR_ARG(t->id));
	if (!all)
		return elb_invalid(c,
		                   "The Availability Zone must be 'all' for the IP address '%.*s', because it is outside the VPC",
		                   STR_ARG(t->id));
	return CALL_OK;
}

/* --- functions */

/* A group has one at most; the other one has to go first. */
static int register_function(struct call *c, const struct elb_scope *s, struct state_elbv2_group_record *r,
                             const struct elbv2_target_descriptions *in)
{
	struct str id = in->v[0].id;
	if (in->n > 1 || (r->targets.n && !str_eq(r->targets.v[0].id, id)))
		return call_fail(c, "TooManyTargets", 0,
		                 "The maximum number of targets of a target group of type 'lambda', '1', has been reached");
	if (in->v[0].port.set)
		return elb_invalid(c, "A port cannot be specified for targets of type 'lambda'");
	if (in->v[0].availability_zone.n && !str_is(in->v[0].availability_zone, "all"))
		return elb_invalid(c, "The Availability Zone of targets of type 'lambda' can only be 'all'");
	if (!str_starts(id, S("arn:aws:lambda:")))
		return elb_invalid(c, "'%.*s' is not a valid Lambda function ARN", STR_ARG(id));
	int said = elb_function_check(c, r->group->target_group_arn, id);
	if (said != CALL_OK || r->targets.n)
		return said;
	*LIST_ADD(c->arena, &r->targets) = (struct state_elbv2_target){.id = id, .registered = OPT_TIME(c->now_ms)};
	elb_group_put(s, r);
	return CALL_OK;
}

/* --- application load balancers */

static bool listens(const struct elb_scope *s, struct str balancer, int64_t port)
{
	struct elb_listeners all = elb_listeners_of(s, balancer);
	for (uint32_t i = 0; i < all.n; i++)
		if (all.v[i].listener->port.v == port)
			return true;
	return false;
}

static int check_balancer(struct call *c, const struct elb_scope *s, const struct state_elbv2_group_record *r,
                          const struct elbv2_target_description *t, int64_t port)
{
	struct state_elbv2_balancer_record b = {0};
	struct elb_name name;
	if (t->availability_zone.n)
		return elb_invalid(c, "An Availability Zone cannot be specified for targets of type 'alb'");
	if (!elb_name_parse(s, t->id, &name) || name.kind != ELB_BALANCER || name.network)
		return elb_invalid(c, "'%.*s' is not a valid Application Load Balancer ARN", STR_ARG(t->id));
	if (!elb_balancer_find(s, name.name, &b) || !str_eq(b.balancer->load_balancer_arn, t->id))
		return call_fail(c, "InvalidTarget", 0, "The following load balancers do not exist: '%.*s'", STR_ARG(t->id));
	if (!str_eq(b.balancer->vpc_id, r->group->vpc_id))
		return call_fail(c, "InvalidTarget", 0, "The following targets are not in the target group VPC '%.*s': '%.*s'",
		                 STR_ARG(r->group->vpc_id), STR_ARG(t->id));
	if (!listens(s, name.name, port))
		return elb_invalid(c, "If the target type is ALB, the target must have at least one listener that matches the "
		                      "target group port or any specified port overrides");
	return CALL_OK;
}

/* As of functions, a group has one at most. */
static int register_balancer(struct call *c, const struct elb_scope *s, struct state_elbv2_group_record *r,
                             const struct elbv2_target_descriptions *in)
{
	const struct elbv2_target_description *t = &in->v[0];
	int64_t port = t->port.set ? t->port.v : r->group->port.v;
	struct state_elbv2_target *old = elb_target_of(r, t->id, port);
	if (check_balancer(c, s, r, t, port) != CALL_OK)
		return CALL_FAIL;
	bool full = in->n > 1;
	for (uint32_t i = 0; i < r->targets.n; i++)
		full |= &r->targets.v[i] != old && !r->targets.v[i].drained.set;
	if (full)
		return call_fail(c, "TooManyTargets", 0,
		                 "The maximum number of targets of a target group of type 'alb', '1', has been reached");
	if (old && !old->drained.set)
		return CALL_OK;
	if (!old)
		old = LIST_ADD(c->arena, &r->targets);
	*old = (struct state_elbv2_target){.id = t->id, .port = OPT_INT(port), .registered = OPT_TIME(c->now_ms)};
	elb_group_put(s, r);
	return CALL_OK;
}

/* --- operations */

int elbv2_register_targets(struct call *c, const struct elbv2_register_targets_input *in, struct elbv2_register_targets_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	(void)out;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK)
		return CALL_FAIL;
	bool ip = str_is(r.group->target_type, "ip");
	if (!in->targets.n)
		return elb_invalid(c, "At least one target must be specified");
	if (str_is(r.group->target_type, "lambda"))
		return register_function(c, &s, &r, &in->targets);
	if (elb_group_is_alb(r.group))
		return register_balancer(c, &s, &r, &in->targets);
	if (!ip && check_instances(c, &r, &in->targets) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->targets.n; i++) {
		struct elbv2_target_description t = in->targets.v[i];
		if (str_set(t.quic_server_id))
			return elb_absent(c, "QUIC servers are");
		if (ip && check_address(c, &r, &t) != CALL_OK)
			return CALL_FAIL;
		if (!ip && t.availability_zone.n)
			return elb_invalid(c, "An Availability Zone cannot be specified for targets of type 'instance'");
		int64_t port = t.port.set ? t.port.v : r.group->port.v;
		struct state_elbv2_target *old = elb_target_of(&r, t.id, port);
		if (old && !old->drained.set)
			continue;
		if (!old)
			old = LIST_ADD(c->arena, &r.targets);
		*old = (struct state_elbv2_target){.id = t.id,
		                                   .port = OPT_INT(port),
		                                   .zone = ip ? t.availability_zone : STR_NONE,
		                                   .registered = OPT_TIME(c->now_ms)};
	}
	if (r.targets.n > ELB_TARGETS_MAX)
		return call_fail(c, "TooManyTargets", 0, "The maximum number of targets of a target group, '%d', has been reached",
		                 ELB_TARGETS_MAX);
	elb_group_put(&s, &r);
	return CALL_OK;
}

int elbv2_deregister_targets(struct call *c, const struct elbv2_deregister_targets_input *in,
                             struct elbv2_deregister_targets_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	(void)out;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (!in->targets.n)
		return elb_invalid(c, "At least one target must be specified");
	for (uint32_t k = 0; k < in->targets.n; k++)
		elb_target_drain(&s, &r, in->targets.v[k].id, in->targets.v[k].port);
	elb_group_put(&s, &r);
	return CALL_OK;
}
