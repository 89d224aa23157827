/* What other services register as targets: the same as RegisterTargets and DeregisterTargets do, in a transaction of theirs. */
#include "desk.h"
#include "elbv2.h"
#include "rows.h"

static struct elb_scope scope_of(const struct elbv2_scope *s)
{
	return (struct elb_scope){.txn = s->txn,
	                          .arena = s->arena,
	                          .cloud = s->cloud,
	                          .account = s->account,
	                          .region = s->region,
	                          .now_ms = s->now_ms};
}

static bool find(const struct elb_scope *s, struct str arn, struct state_elbv2_group_record *ret)
{
	struct elb_name n;
	return elb_name_parse(s, arn, &n) && n.kind == ELB_GROUP && elb_group_find(s, n.name, ret) &&
	       str_eq(ret->group->target_group_arn, arn);
}

bool elbv2_see_group(const struct elbv2_scope *s, struct str arn, struct elbv2_group_seen *ret)
{
	struct elb_scope own = scope_of(s);
	struct state_elbv2_group_record r = {0};
	if (!find(&own, arn, &r))
		return false;
	*ret = (struct elbv2_group_seen){.vpc = r.group->vpc_id,
	                                 .type = r.group->target_type,
	                                 .used = elb_group_users(&own, r.group->target_group_name).n > 0};
	return true;
}

bool elbv2_register(const struct elbv2_scope *s, struct str arn, const struct elbv2_target *t)
{
	struct elb_scope own = scope_of(s);
	struct state_elbv2_group_record r = {0};
	if (!find(&own, arn, &r))
		return false;
	int64_t port = t->port ? t->port : r.group->port.v;
	struct state_elbv2_target *old = elb_target_of(&r, t->id, port);
	if (old && !old->drained.set)
		return true;
	if (!old && r.targets.n >= ELB_TARGETS_MAX)
		return false;
	if (!old)
		old = LIST_ADD(own.arena, &r.targets);
	*old = (struct state_elbv2_target){.id = t->id,
	                                   .port = OPT_INT(port),
	                                   .zone = str_is(r.group->target_type, "ip") ? t->zone : STR_NONE,
	                                   .registered = OPT_TIME(s->now_ms)};
	elb_group_put(&own, &r);
	return true;
}

int64_t elb_target_drain(const struct elb_scope *s, struct state_elbv2_group_record *r, struct str id, struct opt_int port)
{
	int64_t delay_ms = elb_number(elb_group_attribute(r, "deregistration_delay.timeout_seconds")) * 1000, until_ms = 0;
	bool waits = delay_ms && elb_group_users(s, r->group->target_group_name).n;
	uint32_t left = 0;
	for (uint32_t i = 0; i < r->targets.n; i++) {
		struct state_elbv2_target t = r->targets.v[i];
		bool named = str_eq(id, t.id) && (!port.set || port.v == t.port.v);
		if (named && !t.drained.set)
			t.drained = OPT_TIME(s->now_ms + delay_ms);
		if (named && waits && t.drained.ms > until_ms)
			until_ms = t.drained.ms;
		if (!named || waits)
			r->targets.v[left++] = t;
	}
	r->targets.n = left;
	return until_ms;
}

int64_t elbv2_deregister(const struct elbv2_scope *s, struct str arn, const struct elbv2_target *t)
{
	struct elb_scope own = scope_of(s);
	struct state_elbv2_group_record r = {0};
	if (!find(&own, arn, &r))
		return 0;
	int64_t until_ms = elb_target_drain(&own, &r, t->id, OPT_INT(t->port ? t->port : r.group->port.v));
	elb_group_put(&own, &r);
	return until_ms;
}

enum elbv2_health elbv2_target_health(const struct elbv2_scope *s, struct str arn, const struct elbv2_target *t,
                                      struct str *ret_why)
{
	struct elb_scope own = scope_of(s);
	struct state_elbv2_group_record r = {0};
	struct elbv2_target_health h = {0};
	*ret_why = STR_NONE;
	if (!find(&own, arn, &r))
		return ELBV2_ABSENT;
	const struct state_elbv2_target *at = elb_target_of(&r, t->id, t->port ? t->port : r.group->port.v);
	if (!at || at->drained.set)
		return ELBV2_ABSENT;
	struct str_list users = elb_group_users(&own, r.group->target_group_name);
	elb_health_find(&own, &r, &users, at, &h);
	*ret_why = h.description;
	return str_is(h.state, "healthy")     ? ELBV2_HEALTHY
	       : str_is(h.state, "unhealthy") ? ELBV2_UNHEALTHY
	       : str_is(h.state, "unused")    ? ELBV2_UNUSED
	                                      : ELBV2_INITIAL;
}
