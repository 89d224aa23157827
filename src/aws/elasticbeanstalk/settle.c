/* Settings of what an environment with a load balancer is made of, when its options are others: the sizes of its group, what scales
 * it, its target group, its balancer and the listeners of that. All are asked for again; who has the same already stays as it is.
 */
#include "environment.h"

static const enum ask_kind asks[] = {ASK_SIZES,  ASK_POLICY_UP, ASK_POLICY_DOWN,  ASK_ALARM_HIGH,     ASK_ALARM_LOW,
                                     ASK_CHECKS, ASK_DELAY,     ASK_BALANCER_SET, ASK_BALANCER_GROUPS};
enum { ASKS = sizeof(asks) / sizeof(*asks) };

static bool of_parts(struct str namespace)
{
	return str_starts(namespace, S("aws:elbv2:")) || str_is(namespace, "aws:autoscaling:asg") ||
	       str_is(namespace, "aws:autoscaling:trigger") || str_is(namespace, "aws:elasticbeanstalk:application") ||
	       str_is(namespace, "aws:elasticbeanstalk:environment:process:default");
}

/* Has one of these a value that `other` has not? */
static bool differs(const struct elasticbeanstalk_configuration_option_settings_list *one,
                    const struct elasticbeanstalk_configuration_option_settings_list *other)
{
	for (uint32_t i = 0; i < one->n; i++) {
		bool same = !of_parts(one->v[i].namespace);
		for (uint32_t k = 0; k < other->n && !same; k++)
			same = str_eq(one->v[i].namespace, other->v[k].namespace) &&
			       str_eq(one->v[i].option_name, other->v[k].option_name) && str_eq(one->v[i].value, other->v[k].value);
		if (!same)
			return true;
	}
	return false;
}

bool settle_needed(const struct environment_record *r)
{
	return r->previous.set && (differs(&r->options, &r->previous) || differs(&r->previous, &r->options));
}

struct next settle_step(const struct scope *s, struct environment_record *r, const struct answer *a, int64_t first, int64_t then)
{
	int64_t at = r->step.v - first;
	if (at >= ASKS)
		return listeners_step(s, r, a, then);
	if (a->kind != asks[at])
		return step_ask(asks[at]);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	return step_go_on(r, r->step.v + 1);
}
