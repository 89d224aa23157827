/* The end of spot instances: after the notice's two minutes an instance is shut down, whatever it does. */
#include "aws/ec2/capacity/spot.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/instance/instances.h"
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
			i->timer = loop_add_clock_timer(i->desk->cloud->loop, left * 1000, due, i);
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
	instances_usage(i->desk, &used_memory, &used_vcpus);
	i->waiting = used_memory > memory || used_vcpus > vcpus;
	return i->waiting;
}

/* False: it is no spot instance. */
static bool request_of(const struct ec2_scope *s, const struct ec2_instance *i, struct ec2_spot_instance_request *ret)
{
	return str_set(i->spot_instance_request_id) && i->spot_instance_request_id.n &&
	       ec2_find(s, &ec2_kind_spot_request, i->spot_instance_request_id, ret);
}

bool spot_is_one_time(const struct ec2_scope *s, const struct ec2_instance *i)
{
	struct ec2_spot_instance_request request;
	return request_of(s, i, &request) && !str_is(request.type, "persistent");
}

/* This machine's disk is full, or the like: the next one would fare no better at once. */
static bool cannot_be_made(const struct ec2_state_reason *why)
{
	return why && (str_is(why->code, "Client.VolumeLimitExceeded") || str_is(why->code, "Server.InternalError"));
}

void spot_instance_ended(const struct ec2_scope *s, const struct state_ec2_instance_record *r, int64_t now_ms)
{
	struct ec2_spot_instance_request request;
	if (!request_of(s, r->instance, &request) || !str_eq(request.instance_id, r->instance->instance_id))
		return;
	const struct ec2_state_reason *why = r->instance->state_reason;
	bool taken = why && str_is(why->code, "Server.SpotInstanceTermination"), again = false;
	if (str_is(request.state, "active") || str_is(request.state, "disabled")) {
		again = str_is(request.type, "persistent") && (!request.valid_until.set || request.valid_until.ms > now_ms);
		request.state = again ? S("open") : S("closed");
	}
	if (again)
		request.instance_id = STR_NONE;
	else
		spot_drop_launch(s, request.spot_instance_request_id);
	if (taken)
		spot_status(s, &request, now_ms, "instance-terminated-no-capacity",
		            "Your instance was terminated because there is no Spot capacity available.");
	else if (again && cannot_be_made(why))
		spot_status(s, &request, now_ms, "system-error",
		            "There was an unexpected system error: the instance could not be made.");
	else if (again)
		spot_status(s, &request, now_ms, "pending-evaluation",
		            "Your Spot request has been submitted for review, and is pending evaluation.");
	else
		spot_status(s, &request, now_ms, "instance-terminated-by-user",
		            "Spot Instance terminated due to user-initiated termination.");
	ec2_put(s, &ec2_kind_spot_request, request.spot_instance_request_id, &request);
}

void spot_instance_stopped(const struct ec2_scope *s, const struct state_ec2_instance_record *r, int64_t now_ms)
{
	struct ec2_spot_instance_request request;
	if (!request_of(s, r->instance, &request) || !str_is(request.state, "active"))
		return;
	request.state = S("disabled");
	spot_status(s, &request, now_ms, "instance-stopped-by-user", "Your Spot Instance was stopped.");
	ec2_put(s, &ec2_kind_spot_request, request.spot_instance_request_id, &request);
}

int spot_check_start(struct call *c, const struct ec2_instance *i)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_spot_instance_request request;
	if (!request_of(&s, i, &request) || str_is(request.state, "disabled"))
		return CALL_OK;
	return call_fail(c, "IncorrectSpotRequestState", 400,
	                 "The Spot Instance '%.*s' cannot be started: its request '%.*s' is %.*s.", STR_ARG(i->instance_id),
	                 STR_ARG(request.spot_instance_request_id), STR_ARG(request.state));
}

void spot_instance_starts(const struct ec2_scope *s, const struct ec2_instance *i, int64_t now_ms)
{
	struct ec2_spot_instance_request request;
	if (!request_of(s, i, &request))
		return;
	request.state = S("active");
	spot_status(s, &request, now_ms, "fulfilled", "Your spot request is fulfilled.");
	ec2_put(s, &ec2_kind_spot_request, request.spot_instance_request_id, &request);
}
