/* Alarms: their records, what is decided about them, and who carries it out. Private to aws/cloudwatch. */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "core/alarm.h"
#include "core/record.h"
#include "gen/cloudwatch.h"
#include "gen/state_cloudwatch.h"

#define CLOUDWATCH_ROW(name) (&(const struct record_type){&state_cloudwatch_api, name "Record"})

enum alarm_state { ALARM_OK, ALARM_ALARM, ALARM_INSUFFICIENT };
extern const char *const alarm_state_names[3];
enum alarm_state alarm_state_of(struct str name);

/* --- alarm_row.c */
struct alarm_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct str account, region;
};
static inline struct alarm_scope alarm_scope(struct call *c)
{
	return (struct alarm_scope){call_txn(c), c->arena, c->account, c->region};
}
struct str alarm_arn(struct arena *a, struct str region, struct str account, struct str name);
/* The name in an alarm's ARN or name; absent: it is an ARN of something else. */
struct str alarm_name_of(struct alarm_scope *s, struct str name_or_arn);
struct str alarm_key(struct alarm_scope *s, struct str name);
bool alarm_find(struct alarm_scope *s, struct str name, struct state_cloudwatch_alarm_record *ret);
void alarm_save(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r);
/* What both kinds of alarm have. */
struct alarm_face {
	struct str name, arn, *state, *reason, *reason_data;
	struct opt_time *updated, *transitioned;
	struct opt_bool *enabled;
	struct str_list *actions[3]; /* by the state that they are for */
};
struct alarm_face alarm_face(struct state_cloudwatch_alarm_record *r);
/* Adds a line to an alarm's history. */
void alarm_remember(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r, int64_t now_ms, const char *type,
                    struct str summary, struct str data);
/* Goes into a state, in this transaction: record, history, and what is to be done about it. */
void alarm_transition(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, enum alarm_state to, struct str reason,
                      struct str reason_data, int64_t now_ms);
/* 80 is 80.0, as AWS writes it. */
void alarm_put_double(struct buf *b, double x);

/* --- news.c: EventBridge hears of it, in this transaction. */
struct alarm_was {
	struct str state, reason, reason_data;
	int64_t since_ms;
};
void alarm_tell(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, const struct alarm_was *was, int64_t now_ms);

/* --- decide.c: the rules, without effects */
enum { ALARM_RANGE_EXTRA = 2, ALARM_PERIODS_MAX = 1440, ALARM_POINTS_MAX = ALARM_PERIODS_MAX + ALARM_RANGE_EXTRA };
struct alarm_point {
	bool there, few; /* few: too few samples for its percentile */
	double value, samples;
	int64_t time_ms;
};
struct alarm_rule {
	unsigned periods, to_alarm; /* N, M */
	struct str operator, missing;
	double threshold;
};
struct alarm_verdict {
	bool keep; /* the state stays what it is */
	enum alarm_state state;
	unsigned looked, filled; /* the newest looked real ones; how many missing ones counted */
};
/* The points are in order of time; the last `periods` of them are the alarm's, those before are looked at when some are missing. */
struct alarm_verdict alarm_decide(const struct alarm_rule *r, const struct alarm_point *points, unsigned n);
bool alarm_breaches(struct str operator, double value, double threshold);
/* AWS's sentence. */
struct str alarm_reason(struct arena *a, const struct alarm_rule *r, const struct alarm_point *points, unsigned n,
                        const struct alarm_verdict *v, enum alarm_state before);

/* --- watch.c: looks at alarms when they are due */
struct alarm_watch;
struct alarm_watch *alarm_watch_start(struct cloud *cloud);
void alarm_watch_stop(struct alarm_watch *w);
/* What it takes its time from: the newest points of an alarm, n periods that end at to_ms. False: its expression has an error. */
bool alarm_points(struct cloud *cloud, struct arena *a, struct str account, struct str region,
                  const struct cloudwatch_metric_alarm *m, int64_t to_ms, unsigned n, struct alarm_point *ret);
int64_t alarm_period_s(const struct cloudwatch_metric_alarm *m);
struct alarm_rule alarm_rule_of(const struct cloudwatch_metric_alarm *m);

/* --- suppress.c: what keeps a composite alarm from its actions. Brings the record up to now; changed: the alarm goes into another
 * state in this transaction. True: the record is another one. */
bool alarm_suppress(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, bool changed, int64_t now_ms);
static inline bool alarm_suppressed(const struct state_cloudwatch_alarm_record *r)
{
	return r->composite && str_set(r->composite->actions_suppressed_by);
}
/* May the alarm have this suppressor? CALL_OK, or CALL_FAIL with the error. */
int alarm_check_suppressor(struct call *c, const struct cloudwatch_put_composite_alarm_input *in);

/* --- action.c */
int alarm_check_actions(struct call *c, const struct str_list *actions, const struct cloudwatch_dimensions *dimensions,
                        bool metric);
/* Carries out what is due for an alarm; done comes once. */
void alarm_act(struct cloud *cloud, struct str account, struct str region, const struct state_cloudwatch_alarm_record *r,
               bool repeated, double value, void (*done)(void *ctx), void *ctx);
extern const struct alarm_action_kind cloudwatch_actions[];
enum { CLOUDWATCH_ACTIONS = 2 };

/* --- composite.c */
struct alarm_rule_tree;
/* NULL: ret_why says what is wrong. */
struct alarm_rule_tree *alarm_rule_parse(struct arena *a, struct str text, struct str *ret_why);
struct str_list alarm_rule_names(struct arena *a, const struct alarm_rule_tree *t);
/* state_of() says the state of an alarm by name or ARN; -1: there is none such. */
bool alarm_rule_holds(const struct alarm_rule_tree *t, int (*state_of)(void *ctx, struct str name), void *ctx);
