/* The parts of an environment with a load balancer: each is a row that is asked for in turn, with where its answer is kept and what
 * is said of it. One that is there already, because whoever asked for it died, is looked for. */
#include "extra.h"

#include <stddef.h>

struct part {
	enum ask_kind ask, there; /* there: finds it; ASK_NOTHING: nothing needs to be known of it */
	size_t kept;              /* a text of the record; 0: none */
	const char *said;
	struct str (*name)(struct arena *a, const struct environment_record *r); /* that is said; NULL: the answer itself */
};

#define KEPT(member) offsetof(struct environment_record, member)

static struct str high_name(struct arena *a, const struct environment_record *r)
{
	return environment_part_name(a, r, "AWSEBCloudwatchAlarmHigh");
}

static struct str low_name(struct arena *a, const struct environment_record *r)
{
	return environment_part_name(a, r, "AWSEBCloudwatchAlarmLow");
}

static const struct part parts[] = {
        {.ask = ASK_BUCKET},
        {.ask = ASK_SUBNETS, .kept = KEPT(vpc)},
        {ASK_BALANCER_GROUP, ASK_BALANCER_GROUP_THERE, KEPT(balancer_group), "Created security group named: ", NULL},
        {.ask = ASK_BALANCER_OPEN},
        {ASK_GROUP, ASK_GROUP_THERE, KEPT(group), "Created security group named: ", environment_group_name},
        {.ask = ASK_OPEN},
        {ASK_TARGETS, ASK_TARGETS_THERE, KEPT(targets), "Created target group named: ", NULL},
        {.ask = ASK_DELAY},
        {.ask = ASK_TEMPLATE},
        {.ask = ASK_SCALING, .said = "Created Auto Scaling group named: ", .name = environment_scaling_name},
        {.ask = ASK_SUSPEND, .said = "Waiting for EC2 instances to launch. This may take a few minutes."},
        {.ask = ASK_ATTACH},
        {ASK_POLICY_UP, ASK_NOTHING, KEPT(policy_up), "Created Auto Scaling group policy named: ", NULL},
        {ASK_POLICY_DOWN, ASK_NOTHING, KEPT(policy_down), "Created Auto Scaling group policy named: ", NULL},
        {.ask = ASK_ALARM_HIGH, .said = "Created CloudWatch alarm named: ", .name = high_name},
        {.ask = ASK_ALARM_LOW, .said = "Created CloudWatch alarm named: ", .name = low_name},
        {ASK_BALANCER, ASK_BALANCER_THERE, KEPT(balancer), "Created load balancer named: ", NULL},
        {.ask = ASK_LISTENER},
        {.ask = ASK_BALANCER_SET},
};
enum { PARTS = sizeof(parts) / sizeof(*parts) };

static void keep(const struct scope *s, struct environment_record *r, const struct part *p, const struct answer *a)
{
	if (p->kept && str_set(a->first))
		*(struct str *)((char *)r + p->kept) = a->first;
	if (p->ask == ASK_BUCKET)
		environment_event(
		        s, r, "INFO",
		        arena_printf(s->arena, "Using %.*s as Amazon S3 storage bucket for environment data.", STR_ARG(a->first)));
	if (p->ask == ASK_SUBNETS)
		r->subnets = a->all;
	if (p->ask == ASK_BALANCER)
		r->environment->endpoint_url = r->balancer_name = a->second;
	if (p->said && p->name)
		step_say(s, r, p->said, p->name(s->arena, r));
	else if (p->said && (!p->kept || str_set(a->first)))
		step_say(s, r, p->said, p->kept ? a->first : S(""));
}

/* What a worker does without. */
static bool is_of_balancer(const struct part *p)
{
	switch (p->ask) {
	case ASK_BALANCER_GROUP:
	case ASK_BALANCER_OPEN:
	case ASK_OPEN:
	case ASK_DELAY:
	case ASK_SUSPEND:
	case ASK_ATTACH:
	case ASK_BALANCER:
	case ASK_LISTENER:
	case ASK_BALANCER_SET:
		return true;
	default:
		return false;
	}
}

/* Instead of targets it has queues. */
static struct next make_queues(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	struct next n;
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	if (!worker_make(s, r, a, &n))
		return n;
	r->environment->endpoint_url = r->queue;
	return step_go_on(r, r->step.v + 1);
}

struct next balance_create(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                           const struct health_samples *samples)
{
	if (r->step.v >= PARTS)
		return rollout_step(s, r, a, checks, samples);
	const struct part *p = &parts[r->step.v];
	if (environment_is_worker(r) && p->ask == ASK_TARGETS)
		return make_queues(s, r, a);
	if (environment_is_worker(r) && is_of_balancer(p))
		return step_go_on(r, r->step.v + 1 < PARTS ? r->step.v + 1 : ROLLOUT_CREATED);
	if (p->ask == ASK_LISTENER)
		return listeners_step(s, r, a, r->step.v + 1);
	bool asked = a->kind == p->ask, failed = str_set(a->code);
	if (a->kind == ASK_NOTHING || (!asked && (failed || !str_set(a->first)))) /* it has gone between the two questions */
		return step_ask(p->ask);
	if (failed && !step_was_there(a))
		return step_failed(s, r, a->message);
	if (failed && p->there)
		return step_ask(p->there);
	if (p->ask == ASK_SUBNETS && !a->all.n)
		return step_failed(s, r, S("No default VPC for this user."));
	keep(s, r, p, a);
	return step_go_on(r, r->step.v + 1 < PARTS ? r->step.v + 1 : ROLLOUT_CREATED);
}

/* --- the end */

enum {
	DROP_ALARMS,
	FIND_BALANCER,
	DROP_BALANCER,
	DROP_SCALING,
	DROP_OTHER_SCALING,
	DROPPED,
	DROP_TEMPLATE,
	FIND_TARGETS,
	DROP_TARGETS,
	DROP_OTHER_TARGETS,
	DROP_GROUP,
	DROP_BALANCER_GROUP
};

/* What nobody wrote down is found by its name. */
static struct next find(struct environment_record *r, const struct answer *a, enum ask_kind kind, struct str *to)
{
	if (a->kind == ASK_NOTHING)
		return step_ask(kind);
	*to = str_set(a->code) ? STR_NONE : a->first;
	return step_go_on(r, r->step.v + (str_set(*to) ? 1 : 2));
}

static struct next drop(const struct scope *s, struct environment_record *r, const struct answer *a, enum ask_kind kind,
                        const char *said, struct str name)
{
	if (a->kind == ASK_NOTHING)
		return step_ask(kind);
	if (said && !str_set(a->code))
		step_say(s, r, said, name);
	return step_go_on(r, r->step.v + 1);
}

static void say_of_alarms(const struct scope *s, const struct environment_record *r)
{
	if (!str_set(r->policy_up)) /* it has not come so far */
		return;
	step_say(s, r, "Deleted CloudWatch alarm named: ", high_name(s->arena, r));
	step_say(s, r, "Deleted CloudWatch alarm named: ", low_name(s->arena, r));
}

struct next balance_terminate(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	bool answered = a->kind != ASK_NOTHING, gone = str_find(a->code, S("NotFound")) >= 0 ||
	                                               str_find(a->message, S("not found")) >= 0 ||
	                                               str_find(a->message, S("does not exist")) >= 0;
	bool works = environment_is_worker(r);
	struct next other;
	if (r->step.v == DROP_ALARMS && a->kind != ASK_DROP_ALARMS) /* an answer of before the termination is none of its own */
		return step_ask(ASK_DROP_ALARMS);
	if (answered && str_set(a->code) && !gone)
		return step_ask_later(a->kind, STEP_AGAIN_MS); /* something of it is in use yet */
	switch (r->step.v) {
	case DROP_ALARMS:
		say_of_alarms(s, r);
		return step_go_on(r, FIND_BALANCER);
	case FIND_BALANCER:
		if (works)
			return step_go_on(r, DROP_SCALING);
		return find(r, a, ASK_BALANCER_THERE, &r->balancer);
	case DROP_BALANCER:
		/* targets that nobody uses do not drain, so it goes before the instances */
		for (uint32_t i = 0; i < r->listeners.n && answered; i++)
			step_say(s, r, "Deleted Load Balancer listener named: ", r->listeners.v[i].arn);
		if (answered && !r->listeners.n && str_set(r->listener)) /* one of before there were several */
			step_say(s, r, "Deleted Load Balancer listener named: ", r->listener);
		return drop(s, r, a, ASK_DROP_BALANCER, "Deleted load balancer named: ", r->balancer);
	case DROP_SCALING:
		return drop(s, r, a, ASK_DROP_SCALING, "Waiting for EC2 instances to terminate. This may take a few minutes.",
		            S(""));
	case DROP_OTHER_SCALING: /* of a deployment that has failed just now */
		return r->temporary.v ? drop(s, r, a, ASK_DROP_OTHER_SCALING, NULL, S("")) : step_go_on(r, DROPPED);
	case DROPPED:
		if (!answered || str_set(a->second))
			return step_ask_later(ASK_MEMBER, answered ? STEP_MEMBER_MS : 0);
		step_say(s, r, "Deleted Auto Scaling group named: ", environment_scaling_name(s->arena, r));
		return step_go_on(r, DROP_TEMPLATE);
	case DROP_TEMPLATE:
		return drop(s, r, a, ASK_DROP_TEMPLATE, NULL, S(""));
	case FIND_TARGETS:
		if (works)
			return worker_drop(s, r, a, &other) ? step_go_on(r, DROP_GROUP) : other;
		return find(r, a, ASK_TARGETS_THERE, &r->targets);
	case DROP_TARGETS:
		return drop(s, r, a, ASK_DROP_TARGETS, "Deleted target group named: ", r->targets);
	case DROP_OTHER_TARGETS:
		if (extra_end(s, r, a, &other))
			return other;
		return str_set(r->other_targets) ? drop(s, r, a, ASK_DROP_OTHER_TARGETS, NULL, S("")) : step_go_on(r, DROP_GROUP);
	case DROP_GROUP:
		return drop(s, r, a, ASK_DROP_GROUP, "Deleted security group named: ", environment_group_name(s->arena, r));
	default:
		if (!answered && !works)
			return step_ask(ASK_DROP_BALANCER_GROUP);
		if (str_set(r->balancer_group))
			step_say(s, r, "Deleted security group named: ", r->balancer_group);
		return step_terminated(s, r);
	}
}
