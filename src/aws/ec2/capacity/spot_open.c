/* Spot requests that wait: for their time, for a price, for capacity, or for what a persistent one comes back to after the end of
 * its instance. The desk has an item of each request; its step asks RunInstances, in the name of the service, for what was asked
 * for at first, and the answer says whether the request is fulfilled, waits on or has failed. */
#include "aws/ec2/capacity/spot.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/instance/instances.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define SPOT_NAME "spot.amazonaws.com"

enum {
	AGAIN_MS = 5000,                 /* from the end of an instance to the next */
	CROWDED_MS = 30000,              /* between two tries while there is no capacity */
	BROKEN_MOST_MS = 30 * 60 * 1000, /* the most between two tries when instances cannot be made, one after the other */
	LISTED_MS = 48 * 3600 * 1000,
	LOOK_MS = 60 * 1000, /* the wall clock may be moved while a timer runs */
};

static const struct record_type launch_row = {&state_ec2_api, "SpotLaunchRecord"};

static struct str launch_key(const struct ec2_scope *s, struct str request)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("spot-launch"), request);
}

void spot_keep_launch(const struct ec2_scope *s, struct str request, const struct ec2_run_instances_request *in,
                      const struct ec2_tag_list *template_tags)
{
	struct ec2_run_instances_request one = *in;
	struct state_ec2_spot_launch_record r = {.request = &one};
	one.min_count = one.max_count = OPT_INT(1);
	one.client_token = STR_NONE;
	one.launch_template = NULL;
	if (template_tags)
		r.template_tags = *template_tags;
	record_put(s->txn, s->arena, launch_key(s, request), &launch_row, &r);
}

void spot_drop_launch(const struct ec2_scope *s, struct str request)
{
	store_delete(s->txn, launch_key(s, request));
}

void spot_template_tags(const struct ec2_scope *s, struct str request, struct ec2_tag_list *ret)
{
	struct state_ec2_spot_launch_record r;
	if (record_get(s->txn, s->arena, launch_key(s, request), &launch_row, &r))
		*ret = r.template_tags;
}

struct str spot_fulfils(const struct call *c, const struct ec2_run_instances_request *in)
{
	struct str token = in->client_token;
	if (c->caller->kind != PRINCIPAL_ROOT || !str_is(c->caller->name, SPOT_NAME))
		return STR_NONE;
	return str_cut(&token, '.');
}

bool spot_expire(const struct ec2_scope *s, struct ec2_spot_instance_request *r, int64_t now_ms)
{
	if (!str_is(r->state, "open") || !r->valid_until.set || r->valid_until.ms > now_ms)
		return false;
	r->state = S("closed");
	spot_status(s, r, r->valid_until.ms, "schedule-expired", "Your Spot request has expired.");
	return true;
}

/* --- trying */

struct attempt {
	struct desk_item *item;
	const struct principal *as;
	char code[128], message[512];
};

static void attempt_free(struct attempt *t)
{
	principal_unref(t->as);
	free(t);
}

static bool no_capacity(const char *code)
{
	static const char *const codes[] = {"InsufficientInstanceCapacity",
	                                    "InsufficientFreeAddressesInSubnet",
	                                    "InsufficientAddressCapacity",
	                                    "MaxSpotInstanceCountExceeded",
	                                    "InternalFailure",
	                                    "InternalError"};
	for (size_t k = 0; k < sizeof(codes) / sizeof(*codes); k++)
		if (str_is(str_from(code), codes[k]))
			return true;
	return false;
}

static void edit_answer(const struct ec2_scope *s, void *ctx)
{
	struct attempt *t = ctx;
	struct ec2_spot_instance_request r;
	int64_t now = clock_wall_ms();
	if (!ec2_find(s, &ec2_kind_spot_request, t->item->id, &r) || !str_is(r.state, "open"))
		return;
	struct str code = str_from(t->code);
	if (spot_expire(s, &r, now)) {
		/* said */
	} else if (str_is(code, "SpotMaxPriceTooLow")) {
		spot_status(s, &r, now, "price-too-low", "Your Spot request price is lower than the price of now.");
	} else if (no_capacity(t->code)) {
		if (str_is(r.status->code, "capacity-not-available"))
			return;
		spot_status(s, &r, now, "capacity-not-available", "There is no Spot capacity available that matches your request.");
	} else {
		r.state = S("failed");
		r.fault = arena_new(s->arena, struct ec2_spot_instance_state_fault);
		r.fault->code = code;
		r.fault->message = str_from(t->message);
		spot_status(s, &r, now, "bad-parameters", t->message);
	}
	if (!str_is(r.state, "open"))
		spot_drop_launch(s, t->item->id);
	ec2_put(s, &ec2_kind_spot_request, t->item->id, &r);
}

static void answered(void *ctx)
{
	struct attempt *t = ctx;
	desk_done(t->item);
	attempt_free(t);
}

static void launched(void *ctx, struct call *sub)
{
	struct attempt *t = ctx;
	if (!str_set(sub->error.code)) {
		answered(t);
		return;
	}
	snprintf(t->code, sizeof(t->code), "%.*s", STR_ARG(sub->error.code));
	snprintf(t->message, sizeof(t->message), "%.*s", STR_ARG(sub->error.message));
	desk_edit(t->item->desk, t->item->account, t->item->region, edit_answer, answered, t);
}

static struct attempt *attempt_new(struct desk_item *i)
{
	struct attempt *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	/* The account itself: what the user needed permission for was asked when the request was made. */
	struct principal *p = principal_new(PRINCIPAL_ROOT, i->account);
	p->name = S(SPOT_NAME);
	*t = (struct attempt){.item = i, .as = p};
	i->busy++;
	return t;
}

static void expired(struct desk_item *i)
{
	struct attempt *t = attempt_new(i);
	desk_edit(i->desk, i->account, i->region, edit_answer, answered, t);
}

static void try_now(struct desk_item *i, const struct ec2_scope *s)
{
	struct state_ec2_spot_launch_record r;
	if (!record_get(s->txn, s->arena, launch_key(s, i->id), &launch_row, &r))
		return; /* of a time when requests that wait did so for nothing */
	r.request->client_token = arena_printf(s->arena, "%.*s.%lld", STR_ARG(i->id), (long long)clock_wall_ms());
	struct attempt *t = attempt_new(i);
	call_op(i->desk->cloud, t->as, i->region, &ec2_api, "RunInstances", r.request, launched, t);
}

/* --- waiting */

static void look(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	desk_mark(i);
}

static bool fits(struct desk_item *i, struct str type_name)
{
	const struct instance_type *type = instance_type_find(type_name);
	uint64_t memory, used_memory;
	unsigned vcpus, used_vcpus;
	capacity_of_host(&memory, &vcpus);
	instances_usage(i->desk, &used_memory, &used_vcpus);
	return !type || capacity_fit((int64_t)memory - (int64_t)used_memory, (int64_t)vcpus - used_vcpus, type) > 0;
}

/* When it is to be tried next; INT64_MAX: when something else changes. */
static int64_t next_try(struct desk_item *i, const struct ec2_spot_instance_request *r, int64_t now)
{
	struct str code = r->status->code;
	if (str_is(code, "price-too-low"))
		return INT64_MAX;
	if (str_is(code, "not-scheduled-yet"))
		return r->valid_from.ms;
	int64_t after = i->tried_ms ? i->tried_ms + AGAIN_MS : 0;
	int64_t since = r->status->update_time.ms;
	if (str_is(code, "system-error")) {
		if (i->broken_ms != since)
			i->again_ms = !i->again_ms                       ? CROWDED_MS
			              : i->again_ms * 2 < BROKEN_MOST_MS ? i->again_ms * 2
			                                                 : BROKEN_MOST_MS;
		i->broken_ms = since;
		return since + i->again_ms;
	}
	i->again_ms = 0;
	if (!str_is(code, "capacity-not-available"))
		return since + AGAIN_MS > after ? since + AGAIN_MS : after;
	/* The end of any job may have made room. */
	i->waiting = true;
	return fits(i, r->launch_specification->instance_type) ? after : now + CROWDED_MS;
}

static void edit_forget(const struct ec2_scope *s, void *ctx)
{
	const struct desk_item *i = ctx;
	spot_drop_launch(s, i->id);
	ec2_drop(s, &ec2_kind_spot_request, i->id);
}

static void forgotten(void *ctx)
{
	desk_done(ctx);
}

/* What is over is listed for two days. */
static void step_over(struct desk_item *i, const struct ec2_spot_instance_request *r, int64_t now)
{
	int64_t left = r->status->update_time.ms + LISTED_MS - now;
	if (left > 0) {
		i->timer = loop_add_clock_timer(i->desk->cloud->loop, (left < LOOK_MS ? left : LOOK_MS) * 1000, look, i);
		return;
	}
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_forget, forgotten, i);
}

static bool is_over(const struct ec2_spot_instance_request *r)
{
	return str_is(r->state, "closed") || str_is(r->state, "cancelled") || str_is(r->state, "failed");
}

void spot_step_request(struct desk_item *i, const struct ec2_scope *s)
{
	struct ec2_spot_instance_request r;
	int64_t now = clock_wall_ms();
	loop_remove_timer(i->desk->cloud->loop, i->timer);
	i->timer = NULL;
	if (!ec2_find(s, &ec2_kind_spot_request, i->id, &r))
		return;
	if (is_over(&r))
		step_over(i, &r, now);
	if (!str_is(r.state, "open")) {
		/* how long it has waited is not forgotten while what it got is being made */
		i->waiting = str_is(r.state, "active") && i->again_ms;
		return;
	}
	if (r.valid_until.set && r.valid_until.ms <= now) {
		expired(i);
		return;
	}
	int64_t at = next_try(i, &r, now);
	if (at <= now) {
		i->tried_ms = now;
		i->waiting = false;
		try_now(i, s);
		return;
	}
	int64_t left = at - now;
	if (r.valid_until.set && r.valid_until.ms - now < left)
		left = r.valid_until.ms - now;
	if (left > LOOK_MS)
		left = LOOK_MS;
	i->timer = loop_add_clock_timer(i->desk->cloud->loop, left * 1000, look, i);
}
