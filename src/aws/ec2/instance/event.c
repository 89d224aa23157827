#include "aws/ec2/instance/event.h"

#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/instance/retire.h"
#include "base/clock.h"
#include "base/id.h"
#include "core/gate.h"

#include <stdlib.h>

enum {
	MINUTE_MS = 60 * 1000,
	WEEK_MS = 7 * 24 * 60 * MINUTE_MS,
	LASTS_MS = 120 * MINUTE_MS, /* a reboot */
	TOO_LATE_MS = 5 * MINUTE_MS,
	NOTICE_MS = 60 * MINUTE_MS,
	EVENTS_MAX = 8,
	LOOK_US = 60 * 1000000, /* the wall clock may be moved while a timer runs */
};

/* All instances have their root on a volume, so what AWS retires is stopped, and can be started again. */
static const struct {
	const char *code, *description;
	bool stops;
} kinds[] = {
        {"instance-retirement", "The instance is running on degraded hardware", true},
        {"instance-stop", "The instance is scheduled to be stopped", true},
        {"instance-reboot", "The instance is scheduled for a reboot", false},
        {"system-reboot", "The instance is scheduled for a reboot of its host", false},
};

static int kind_of(struct str code)
{
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
		if (str_is(code, kinds[k].code))
			return (int)k;
	return -1;
}

static bool active(const struct state_ec2_event_record *e)
{
	return str_is(e->state, "active");
}

static void finish(struct state_ec2_event_record *e, const char *state, int64_t now_ms)
{
	e->state = str_from(state);
	e->ended = OPT_TIME(now_ms);
}

/* AWS writes the end of an event in front of its description. */
static struct str description(struct arena *a, const struct state_ec2_event_record *e)
{
	struct str said = e->event->description;
	return active(e)                       ? said
	       : str_is(e->state, "completed") ? ARENA_CAT(a, S("[Completed] "), said)
	                                       : ARENA_CAT(a, S("[Canceled] "), said);
}

void event_show(struct arena *a, const struct state_ec2_instance_record *r, int64_t now_ms,
                struct ec2_instance_status_event_list *ret)
{
	for (uint32_t k = 0; k < r->events.n; k++) {
		const struct state_ec2_event_record *e = &r->events.v[k];
		if (!active(e) && now_ms - e->ended.ms > WEEK_MS)
			continue;
		struct ec2_instance_status_event *shown = LIST_ADD(a, ret);
		*shown = *e->event;
		shown->description = description(a, e);
	}
}

/* "21 Jan 2019 09:00:43 GMT" */
static struct str metadata_time(struct arena *a, int64_t ms)
{
	struct str http = time_format(a, ms, TIME_RFC822);
	return str_from_at(http, 5);
}

struct str event_metadata(struct arena *a, const struct state_ec2_instance_record *r, bool scheduled)
{
	struct str text = S("");
	for (uint32_t k = 0; k < r->events.n; k++) {
		const struct state_ec2_event_record *e = &r->events.v[k];
		if (active(e) != scheduled)
			continue;
		struct str after = S("");
		if (e->event->not_after.set)
			after = ARENA_CAT(a, S("  \"NotAfter\" : \""), metadata_time(a, e->event->not_after.ms), S("\",\n"));
		struct str one = arena_printf(
		        a,
		        "%s {\n  \"NotBefore\" : \"%.*s\",\n  \"Code\" : \"%.*s\",\n  \"Description\" : \"%.*s\",\n"
		        "  \"EventId\" : \"%.*s\",\n%.*s  \"State\" : \"%.*s\"\n}",
		        text.n ? "," : "", STR_ARG(metadata_time(a, e->event->not_before.ms)), STR_ARG(e->event->code),
		        STR_ARG(description(a, e)), STR_ARG(e->event->instance_event_id), STR_ARG(after), STR_ARG(e->state));
		text = ARENA_CAT(a, text, one);
	}
	return text.n ? ARENA_CAT(a, S("["), text, S(" ]")) : S("[]");
}

void event_overtaken(struct state_ec2_instance_record *r, bool started, int64_t now_ms)
{
	for (uint32_t k = 0; k < r->events.n; k++) {
		struct state_ec2_event_record *e = &r->events.v[k];
		/* A host's reboot is not the instance's own, and a new host has none of the old one's troubles. */
		if (active(e) && (started || str_is(e->event->code, "instance-reboot")))
			finish(e, "completed", now_ms);
	}
}

/* --- when it is due */

static void edit_due(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_instance_record r;
	int64_t now = clock_wall_ms();
	bool stops = false, reboots = false;
	if (!ec2_find(s, &ec2_kind_instance, i->id, &r))
		return;
	for (uint32_t k = 0; k < r.events.n; k++) {
		struct state_ec2_event_record *e = &r.events.v[k];
		int kind = kind_of(e->event->code);
		if (!active(e) || e->event->not_before.ms > now || kind < 0)
			continue;
		stops |= kinds[kind].stops;
		reboots |= !kinds[kind].stops;
		finish(e, "completed", now);
	}
	/* What does not run has nothing to be stopped. */
	bool runs = ec2_instance_state(r.instance) == INSTANCE_RUNNING;
	if (runs && stops && spot_is_one_time(s, r.instance))
		ec2_instance_move(s->arena, &r, INSTANCE_SHUTTING_DOWN, now, "Server.SpotInstanceTermination",
		                  "Spot instance termination");
	else if (runs && stops)
		ec2_instance_move(s->arena, &r, INSTANCE_STOPPING, now, "Server.ScheduledStop",
		                  "Stopped due to scheduled retirement");
	else if (runs && reboots)
		r.reboots = OPT_INT(r.reboots.v + 1);
	ec2_put(s, &ec2_kind_instance, i->id, &r);
}

static void edited(void *ctx)
{
	desk_done(ctx);
}

static void due(void *ctx)
{
	struct desk_item *i = ctx;
	i->event_timer = NULL;
	desk_mark(i);
}

void event_step(struct desk_item *i, const struct state_ec2_instance_record *r)
{
	int64_t first = INT64_MAX;
	loop_remove_timer(i->desk->cloud->loop, i->event_timer);
	i->event_timer = NULL;
	if (ec2_instance_state(r->instance) == INSTANCE_TERMINATED)
		return;
	for (uint32_t k = 0; k < r->events.n; k++)
		if (active(&r->events.v[k]) && r->events.v[k].event->not_before.ms < first)
			first = r->events.v[k].event->not_before.ms;
	if (first == INT64_MAX)
		return;
	int64_t left = first - clock_wall_ms();
	/* On its way somewhere: when it has arrived. */
	enum instance_state state = ec2_instance_state(r->instance);
	if (left > 0) {
		i->event_timer = loop_add_clock_timer(i->desk->cloud->loop, left * 1000 < LOOK_US ? left * 1000 : LOOK_US, due, i);
	} else if (state == INSTANCE_RUNNING || state == INSTANCE_STOPPED) {
		i->busy++;
		desk_edit(i->desk, i->account, i->region, edit_due, edited, i);
	}
}

/* --- making, moving and cancelling them */

static int not_so(struct call *c, const char *why)
{
	return call_fail(c, "InvalidInstanceEventStartTime", 400,
	                 "The specified scheduled event start time does not meet the requirements for rescheduling: %s.", why);
}

static int move_event(struct call *c, struct ec2_instance_status_event *e, int64_t to_ms)
{
	if (!e->not_before_deadline.set)
		return not_so(c, "the event has no deadline");
	if (e->not_before.ms < c->now_ms + TOO_LATE_MS)
		return not_so(c, "the event begins in less than 5 minutes");
	if (to_ms < c->now_ms + NOTICE_MS)
		return not_so(c, "the new time has to be at least 60 minutes from now");
	if (to_ms > e->not_before_deadline.ms)
		return not_so(c, "the new time is behind the event's deadline");
	if (e->not_after.set)
		e->not_after = OPT_TIME(e->not_after.ms - e->not_before.ms + to_ms);
	e->not_before = OPT_TIME(to_ms);
	return CALL_OK;
}

int ec2_modify_instance_event_start_time(struct call *c, const struct ec2_modify_instance_event_start_time_request *in,
                                         struct ec2_modify_instance_event_start_time_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	if (!in->instance_event_id.n || !in->not_before.set)
		return ec2_missing(c, in->instance_event_id.n ? "NotBefore" : "InstanceEventId");
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < r.events.n; k++) {
		struct state_ec2_event_record *e = &r.events.v[k];
		if (!active(e) || !str_eq(e->event->instance_event_id, in->instance_event_id))
			continue;
		if (move_event(c, e->event, in->not_before.ms) != CALL_OK)
			return CALL_FAIL;
		ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
		out->event = e->event;
		return CALL_OK;
	}
	return call_fail(c, "InvalidInstanceEventIDNotFound", 400, "The instance event ID '%.*s' does not exist",
	                 STR_ARG(in->instance_event_id));
}

struct making {
	struct retire_ask ask;
	struct str account, region, instance;
	retire_done_fn *done;
	void *ctx;
	const char *error;
	struct arena arena;
	struct str said;
};

static void cancel_events(struct state_ec2_instance_record *r, struct making *m, int64_t now)
{
	uint32_t n = 0;
	for (uint32_t k = 0; k < r->events.n; k++)
		if (active(&r->events.v[k])) {
			finish(&r->events.v[k], "canceled", now);
			n++;
		}
	m->said = arena_printf(&m->arena, "%u", n);
}

static void add_event(const struct ec2_scope *s, struct state_ec2_instance_record *r, struct making *m, int64_t now)
{
	int kind = kind_of(m->ask.code);
	uint32_t n = 0, open = 0;
	/* Old ones make room. */
	for (uint32_t k = 0; k < r->events.n; k++)
		if (active(&r->events.v[k]) || now - r->events.v[k].ended.ms < WEEK_MS) {
			open += active(&r->events.v[k]);
			r->events.v[n++] = r->events.v[k];
		}
	r->events.n = n;
	if (open >= EVENTS_MAX || n >= 4 * EVENTS_MAX) {
		m->error = "as many events as an instance can have are scheduled, or were in the last week";
		return;
	}
	struct state_ec2_event_record *e = LIST_ADD(s->arena, &r->events);
	*e = (struct state_ec2_event_record){.state = S("active"), .event = arena_new(s->arena, struct ec2_instance_status_event)};
	int64_t at = now + m->ask.in_ms;
	at -= at % 1000;
	/* What cannot wait does not; a window that is changed later changes nothing of what is scheduled. */
	if (m->ask.in_ms > 0)
		at = window_of_instance(s, r->instance, at);
	*e->event = (struct ec2_instance_status_event){.instance_event_id =
	                                                       ARENA_CAT(s->arena, S("instance-event-0"), id_hex(s->arena, 16)),
	                                               .code = str_from(kinds[kind].code),
	                                               .description = str_from(kinds[kind].description),
	                                               .not_before = OPT_TIME(at)};
	if (!kinds[kind].stops) {
		e->event->not_after = OPT_TIME(at + LASTS_MS);
		e->event->not_before_deadline = OPT_TIME(at + WEEK_MS);
	}
	m->said = arena_dup(&m->arena, e->event->instance_event_id);
}

static void edit_make(const struct ec2_scope *s, void *ctx)
{
	struct making *m = ctx;
	struct state_ec2_instance_record r;
	m->error = NULL;
	if (!ec2_find(s, &ec2_kind_instance, m->instance, &r) || ec2_instance_state(r.instance) == INSTANCE_SHUTTING_DOWN ||
	    ec2_instance_state(r.instance) == INSTANCE_TERMINATED) {
		m->error = "there is no such instance any more";
		return;
	}
	if (m->ask.cancel)
		cancel_events(&r, m, clock_wall_ms());
	else
		add_event(s, &r, m, clock_wall_ms());
	if (!m->error)
		ec2_put(s, &ec2_kind_instance, m->instance, &r);
}

static void making_done(void *ctx)
{
	struct making *m = ctx;
	m->done(m->ctx, m->error, m->said);
	arena_done(&m->arena);
	free(m);
}

static bool may(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, const struct making *m,
                unsigned *ret_status, struct str *ret_why)
{
	struct store_txn *t = store_begin(cloud->store, a);
	struct ec2_scope s = {.txn = t, .arena = a, .account = m->account, .region = m->region};
	struct state_ec2_instance_record record;
	struct authz az = {.action = S("quartet:RetireInstance")};
	struct str_map tags = {0};
	bool known = ec2_find(&s, &ec2_kind_instance, m->instance, &record);
	store_abort(t);
	az.resource = arena_printf(a, "arn:aws:ec2:%.*s:%.*s:instance/%.*s", STR_ARG(m->region), STR_ARG(m->account),
	                           STR_ARG(m->instance));
	for (uint32_t k = 0; known && k < record.instance->tags.n; k++)
		*LIST_ADD(a, &tags) =
		        (struct str_map_entry){.key = record.instance->tags.v[k].key, .value = record.instance->tags.v[k].value};
	*ret_status = 403;
	/* who may not is not told either whether it is there */
	if (!gate_may(cloud->gate, r, who, m->region, &az, &tags, ret_why))
		return false;
	*ret_status = 404;
	*ret_why = arena_printf(a, "The instance ID '%.*s' does not exist", STR_ARG(m->instance));
	return known;
}

bool retire_instance(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                     const struct retire_ask *ask, retire_done_fn *done, void *ctx, unsigned *ret_status, struct str *ret_why)
{
	struct ec2_state *ec2 = cloud_state(cloud, &ec2_service);
	struct making *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	*m = (struct making){.ask = *ask, .done = done, .ctx = ctx};
	m->account = arena_dup(&m->arena, who->account);
	m->region = arena_dup(&m->arena, ask->region);
	m->instance = arena_dup(&m->arena, ask->instance);
	m->ask.code = arena_dup(&m->arena, ask->code);
	*ret_status = 400;
	*ret_why = S("there is no event of that code: instance-retirement, instance-stop, instance-reboot, system-reboot");
	bool good = ask->cancel || kind_of(ask->code) >= 0;
	if (good && !ec2->desk) {
		*ret_status = 409;
		*ret_why = S("this cloud has no instances");
		good = false;
	}
	if (!good || !may(cloud, r, a, who, m, ret_status, ret_why)) {
		arena_done(&m->arena);
		free(m);
		return false;
	}
	desk_edit(ec2->desk, m->account, m->region, edit_make, making_done, m);
	return true;
}
