/* What EventBridge is told: an instance's states, written in the transaction that changes them. */
#include "aws/ec2/usage.h"

#include "aws/ec2/compute.h"
#include "aws/events/events.h"
#include "base/clock.h"

static void tell_instance(const struct ec2_scope *s, struct str id, const struct state_ec2_instance_record *r)
{
	struct state_ec2_instance_record before;
	struct str state = r->instance->state->name;
	if (!events_heard(s->account, s->region))
		return;
	if (ec2_find(s, &ec2_kind_instance, id, &before) && str_eq(before.instance->state->name, state))
		return;
	const struct events_news news = {
	        .account = s->account,
	        .region = s->region,
	        .source = S("aws.ec2"),
	        .type = S("EC2 Instance State-change Notification"),
	        .resource = ARENA_CAT(s->arena, S("arn:aws:ec2:"), s->region, S(":"), s->account, S(":instance/"), id),
	        .detail = ARENA_CAT(s->arena, S("{\"instance-id\":\""), id, S("\",\"state\":\""), state, S("\"}")),
	        .at_ms = clock_wall_ms()};
	events_tell(s->txn, s->arena, &news);
}

void ec2_tell(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record)
{
	if (kind == &ec2_kind_instance)
		tell_instance(s, id, record);
}
