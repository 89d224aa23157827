/* Keys: alarm / account / region / name -> AlarmRecord; history / account / region / name / time -> HistoryRecord. Long names are a
 * digest behind their beginning. */
#include "aws/cloudwatch/alarm.h"

#include "base/hash.h"
#include "base/json.h"

enum { NAME_IN_KEY = 160 };

struct str alarm_arn(struct arena *a, struct str region, struct str account, struct str name)
{
	return ARENA_CAT(a, S("arn:aws:cloudwatch:"), region, S(":"), account, S(":alarm:"), name);
}

struct str alarm_name_of(struct alarm_scope *s, struct str name_or_arn)
{
	struct str prefix = alarm_arn(s->arena, s->region, s->account, S(""));
	if (str_starts(name_or_arn, prefix))
		return str_from_at(name_or_arn, prefix.n);
	return str_starts(name_or_arn, S("arn:")) ? STR_NONE : name_or_arn;
}

static struct str short_name(struct arena *a, struct str name)
{
	return name.n <= NAME_IN_KEY ? name : ARENA_CAT(a, str_sub(name, 0, 64), S("\x1f"), hash_hex(a, HASH_SHA256, name));
}

struct str alarm_key(struct alarm_scope *s, struct str name)
{
	return KEY(s->arena, S("cloudwatch"), S("alarm"), s->account, s->region, short_name(s->arena, name));
}

bool alarm_find(struct alarm_scope *s, struct str name, struct state_cloudwatch_alarm_record *ret)
{
	return record_get(s->txn, s->arena, alarm_key(s, name), CLOUDWATCH_ROW("Alarm"), ret);
}

void alarm_save(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r)
{
	struct str name = r->metric ? r->metric->alarm_name : r->composite->alarm_name;
	record_put(s->txn, s->arena, alarm_key(s, name), CLOUDWATCH_ROW("Alarm"), r);
}

struct alarm_face alarm_face(struct state_cloudwatch_alarm_record *r)
{
#define FACE(x) \
	((struct alarm_face){.name = (x)->alarm_name, \
	                     .arn = (x)->alarm_arn, \
	                     .state = &(x)->state_value, \
	                     .reason = &(x)->state_reason, \
	                     .reason_data = &(x)->state_reason_data, \
	                     .updated = &(x)->state_updated_timestamp, \
	                     .transitioned = &(x)->state_transitioned_timestamp, \
	                     .enabled = &(x)->actions_enabled, \
	                     .actions = {&(x)->ok_actions, &(x)->alarm_actions, &(x)->insufficient_data_actions}})
	return r->metric ? FACE(r->metric) : FACE(r->composite);
#undef FACE
}

/* --- history */

static struct str history_key(struct alarm_scope *s, struct str name, int64_t now_ms, unsigned at)
{
	return KEY(s->arena, S("cloudwatch"), S("history"), s->account, s->region, short_name(s->arena, name),
	           arena_printf(s->arena, "%014lld%04u", (long long)now_ms, at));
}

void alarm_remember(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r, int64_t now_ms, const char *type,
                    struct str summary, struct str data)
{
	struct cloudwatch_alarm_history_item item = {.alarm_name = r->metric ? r->metric->alarm_name : r->composite->alarm_name,
	                                             .alarm_type = r->metric ? S("MetricAlarm") : S("CompositeAlarm"),
	                                             .timestamp = OPT_TIME(now_ms),
	                                             .history_item_type = str_from(type),
	                                             .history_summary = summary,
	                                             .history_data = data};
	struct state_cloudwatch_history_record made = {.item = &item};
	struct store_value v;
	unsigned at = 0;
	while (at < 9999 && store_get(s->txn, history_key(s, item.alarm_name, now_ms, at), &v))
		at++;
	record_put(s->txn, s->arena, history_key(s, item.alarm_name, now_ms, at), CLOUDWATCH_ROW("History"), &made);
}

static void put_state(struct json_out *o, const char *key, struct str value, struct str reason, struct str data)
{
	json_key(o, str_from(key));
	json_open(o, '{');
	json_key(o, S("stateValue"));
	json_string(o, value);
	json_key(o, S("stateReason"));
	json_string(o, reason);
	if (str_set(data)) {
		json_key(o, S("stateReasonData"));
		json_raw(o, data);
	}
	json_close(o, '}');
}

void alarm_transition(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, enum alarm_state to, struct str reason,
                      struct str reason_data, int64_t now_ms)
{
	struct alarm_face f = alarm_face(r);
	struct str old = *f.state, new = str_from(alarm_state_names[to]);
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("version"));
	json_string(&o, S("1.0"));
	put_state(&o, "oldState", old, *f.reason, *f.reason_data);
	put_state(&o, "newState", new, reason, reason_data);
	json_close(&o, '}');
	bool changed = !str_eq(old, new);
	const struct alarm_was was = {old, *f.reason, *f.reason_data, f.transitioned->ms};
	*f.state = new;
	*f.reason = reason;
	*f.reason_data = reason_data;
	*f.updated = OPT_TIME(now_ms);
	if (changed) {
		*f.transitioned = OPT_TIME(now_ms);
		r->old_state = old;
		r->due = OPT_BOOL(true);
		alarm_remember(s, r, now_ms, "StateUpdate", ARENA_CAT(s->arena, S("Alarm updated from "), old, S(" to "), new),
		               arena_dup(s->arena, buf_str(&b)));
		alarm_suppress(s, r, true, now_ms);
		alarm_tell(s, r, &was, now_ms);
	}
	alarm_save(s, r);
}
