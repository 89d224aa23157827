/* What EventBridge is told, in the transaction of the change, which is seen by the record as it was before: an instance's states
 * and what is scheduled for it, volumes that are made and deleted, snapshots that are complete. */
#include "aws/ec2/usage.h"

#include "aws/ec2/compute.h"
#include "aws/events/events.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"

enum { DETAIL_MAX = 16384 };

static void tell(const struct ec2_scope *s, const char *source, const char *type, struct str resource, struct str detail)
{
	const struct events_news news = {.account = s->account,
	                                 .region = s->region,
	                                 .source = str_from(source),
	                                 .type = str_from(type),
	                                 .resource = resource,
	                                 .detail = detail,
	                                 .at_ms = clock_wall_ms()};
	events_tell(s->txn, s->arena, &news);
}

static struct str arn(const struct ec2_scope *s, const char *what, struct str id)
{
	return ARENA_CAT(s->arena, S("arn:aws:ec2:"), s->region, S(":"), s->account, S(":"), str_from(what), S("/"), id);
}

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

/* --- scheduled events, as AWS Health tells them */

static const char *health_code(struct str code)
{
	return str_is(code, "instance-retirement") ? "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"
	       : str_is(code, "instance-stop")     ? "AWS_EC2_INSTANCE_STOP_SCHEDULED"
	       : str_is(code, "instance-reboot")   ? "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED"
	                                           : "AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED";
}

static void put_http_time(struct json_out *j, const struct ec2_scope *s, const char *key, struct opt_time at)
{
	if (at.set)
		put(j, key, time_format(s->arena, at.ms, TIME_RFC822));
}

static void tell_scheduled(const struct ec2_scope *s, struct str id, const struct state_ec2_event_record *e)
{
	struct buf CLEAN_BUF b = {0};
	struct str code = str_from(health_code(e->event->code));
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "eventArn",
	    ARENA_CAT(s->arena, S("arn:aws:health:"), s->region, S("::event/EC2/"), code, S("/"), code, S("_"),
	              e->event->instance_event_id));
	put(&j, "service", S("EC2"));
	put(&j, "eventTypeCode", code);
	put(&j, "eventTypeCategory", S("scheduledChange"));
	put(&j, "statusCode", str_is(e->state, "active") ? S("upcoming") : S("closed"));
	put_http_time(&j, s, "startTime", e->event->not_before);
	put_http_time(&j, s, "endTime", e->event->not_after);
	json_key(&j, S("eventDescription"));
	json_open(&j, '[');
	json_open(&j, '{');
	put(&j, "language", S("en_US"));
	put(&j, "latestDescription", e->event->description);
	json_close(&j, '}');
	json_close(&j, ']');
	json_key(&j, S("affectedEntities"));
	json_open(&j, '[');
	json_open(&j, '{');
	put(&j, "entityValue", id);
	json_close(&j, '}');
	json_close(&j, ']');
	json_close(&j, '}');
	tell(s, "aws.health", "AWS Health Event", id, arena_dup(s->arena, buf_str(&b)));
}

static bool was_so(const struct state_ec2_instance_record *before, const struct state_ec2_event_record *e)
{
	for (uint32_t i = 0; i < before->events.n; i++)
		if (str_eq(before->events.v[i].event->instance_event_id, e->event->instance_event_id))
			return str_eq(before->events.v[i].state, e->state);
	return false;
}

static void tell_instance(const struct ec2_scope *s, struct str id, const struct state_ec2_instance_record *r)
{
	struct state_ec2_instance_record before = {0};
	struct str state = r->instance->state->name;
	bool there = ec2_find(s, &ec2_kind_instance, id, &before);
	if (!there || !str_eq(before.instance->state->name, state))
		tell(s, "aws.ec2", "EC2 Instance State-change Notification", arn(s, "instance", id),
		     ARENA_CAT(s->arena, S("{\"instance-id\":\""), id, S("\",\"state\":\""), state, S("\"}")));
	for (uint32_t i = 0; i < r->events.n; i++)
		if (!was_so(&before, &r->events.v[i]))
			tell_scheduled(s, id, &r->events.v[i]);
}

/* --- disks */

static void tell_volume(const struct ec2_scope *s, struct str id, const struct state_ec2_volume_record *r)
{
	struct state_ec2_volume_record before;
	struct buf CLEAN_BUF b = {0};
	bool there = ec2_find(s, &ec2_kind_volume, id, &before), was = there && !str_is(before.volume->state, "creating");
	bool made = r && !was && (str_is(r->volume->state, "available") || str_is(r->volume->state, "in-use"));
	if (!made && (r || !there))
		return;
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "result", r ? S("available") : S("deleted"));
	put(&j, "cause", S(""));
	put(&j, "event", r ? S("createVolume") : S("deleteVolume"));
	put(&j, "request-id", id_uuid(s->arena));
	json_close(&j, '}');
	tell(s, "aws.ec2", "EBS Volume Notification", arn(s, "volume", id), arena_dup(s->arena, buf_str(&b)));
}

static void tell_snapshot(const struct ec2_scope *s, struct str id, const struct state_ec2_snapshot_record *r)
{
	struct state_ec2_snapshot_record before;
	struct buf CLEAN_BUF b = {0};
	int64_t now_ms = clock_wall_ms();
	bool was = ec2_find(s, &ec2_kind_snapshot, id, &before) && str_eq(before.snapshot->state, r->snapshot->state);
	if (was || (!str_is(r->snapshot->state, "completed") && !str_is(r->snapshot->state, "error")))
		return;
	struct str region = ARENA_CAT(s->arena, S("arn:aws:ec2::"), s->region, S(":")),
	           of = ARENA_CAT(s->arena, region, S("snapshot/"), id);
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "event", S("createSnapshot"));
	put(&j, "result", str_is(r->snapshot->state, "completed") ? S("succeeded") : S("failed"));
	put(&j, "cause", S(""));
	put(&j, "request-id", S(""));
	put(&j, "snapshot_id", of);
	put(&j, "source", ARENA_CAT(s->arena, region, S("volume/"), r->snapshot->volume_id));
	put(&j, "startTime",
	    time_format(s->arena, r->snapshot->start_time.set ? r->snapshot->start_time.ms : now_ms, TIME_ISO8601));
	put(&j, "endTime", time_format(s->arena, now_ms, TIME_ISO8601));
	json_close(&j, '}');
	tell(s, "aws.ec2", "EBS Snapshot Notification", of, arena_dup(s->arena, buf_str(&b)));
}

void ec2_tell(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record)
{
	bool volume = kind == &ec2_kind_volume, of_interest = volume || kind == &ec2_kind_instance || kind == &ec2_kind_snapshot;
	if (!of_interest || (!record && !volume) || !events_heard(s->account, s->region))
		return;
	if (volume)
		tell_volume(s, id, record);
	else if (kind == &ec2_kind_instance)
		tell_instance(s, id, record);
	else
		tell_snapshot(s, id, record);
}
