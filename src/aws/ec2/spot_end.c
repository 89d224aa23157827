/* The end of spot instances: after the notice's two minutes an instance is shut down, whatever it does. */
#include "aws/ec2/spot.h"

#include "aws/ec2/fleet.h"
#include "base/clock.h"

void spot_status(const struct ec2_scope *s, struct ec2_spot_instance_request *r, int64_t now_ms, const char *code,
                 const char *message)
{
	r->status = arena_new(s->arena, struct ec2_spot_instance_status);
	*r->status = (struct ec2_spot_instance_status){
	        .code = str_from(code), .message = str_from(message), .update_time = OPT_TIME(now_ms)};
}

static void due(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	desk_mark(i);
}

static void edit_interrupted(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_instance_record r;
	if (!ec2_find(s, &ec2_kind_instance, i->id, &r))
		return;
	enum instance_state state = ec2_instance_state(r.instance);
	if (state != INSTANCE_PENDING && state != INSTANCE_RUNNING)
		return;
	ec2_instance_move(s->arena, &r, INSTANCE_SHUTTING_DOWN, clock_wall_ms(), "Server.SpotInstanceTermination",
	                  "Spot instance termination");
	r.force = OPT_BOOL(true);
	ec2_put(s, &ec2_kind_instance, i->id, &r);
}

static void interrupted(void *ctx)
{
	desk_done(ctx);
}

void spot_step(struct desk_item *i, const struct state_ec2_instance_record *r)
{
	enum instance_state state = ec2_instance_state(r->instance);
	if (!r->interrupt.set || (state != INSTANCE_PENDING && state != INSTANCE_RUNNING))
		return;
	int64_t left = r->interrupt.ms - clock_wall_ms();
	if (left > 0) {
		if (!i->timer)
			i->timer = loop_add_timer(i->desk->cloud->loop, left * 1000, due, i);
		return;
	}
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_interrupted, interrupted, i);
}

bool spot_waits(struct desk_item *i, const struct state_ec2_instance_record *r)
{
	uint64_t memory, used_memory;
	unsigned vcpus, used_vcpus;
	if (!r->after_spot.v)
		return false;
	capacity_of_host(&memory, &vcpus);
	fleet_usage(i->desk, &used_memory, &used_vcpus);
	i->waiting = used_memory > memory || used_vcpus > vcpus;
	return i->waiting;
}

void spot_instance_ended(const struct ec2_scope *s, const struct state_ec2_instance_record *r, int64_t now_ms)
{
	struct ec2_spot_instance_request request;
	struct str id = r->instance->spot_instance_request_id;
	if (!str_set(id) || !ec2_find(s, &ec2_kind_spot_request, id, &request))
		return;
	const struct ec2_state_reason *why = r->instance->state_reason;
	bool taken = why && str_is(why->code, "Server.SpotInstanceTermination");
	if (str_is(request.state, "active"))
		request.state = S("closed");
	if (taken)
		spot_status(s, &request, now_ms, "instance-terminated-no-capacity",
		            "Your instance was terminated because there is no Spot capacity available.");
	else
		spot_status(s, &request, now_ms, "instance-terminated-by-user",
		            "Spot Instance terminated due to user-initiated termination.");
	ec2_put(s, &ec2_kind_spot_request, id, &request);
}
