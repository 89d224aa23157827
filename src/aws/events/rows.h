/* Buses and rules: their records and names, and what is kept in memory of them. Private to aws/events. Loop thread alone. */
#pragma once
#include "aws/events/events.h"
#include "base/list.h"
#include "core/record.h"
#include "core/service.h"
#include "engine/events/input.h"
#include "engine/events/pattern.h"
#include "gen/events.h"

#define EVENTS_ROW(name) (&(const struct record_type){&state_events_api, name "Record"})

enum { EVENTS_RULES_MAX = 300, EVENTS_TARGETS_MAX = 5, EVENTS_ENTRIES_BYTES_MAX = 1024 * 1024, EVENTS_GIVEN_BYTES_MAX = 64 << 20 };

struct connections;
struct events_state {
	struct cloud *cloud;
	struct connections *connections;
	struct event_rules *rules;
	struct deliveries *deliveries;
	struct firings *firings;
	struct replays *replays;
	struct kept_events *kept; /* NULL: nobody has needed it yet */
	struct loop_timer *tick;
};
extern const struct service events_service;
struct events_state *events_state(const struct cloud *cloud);

/* A bus by its names. */
struct bus_name {
	struct str account, region, name;
};
struct bus {
	struct bus_name at;
	struct str key;
	struct state_events_bus_record r;
};
struct rule {
	struct bus_name bus;
	struct str key;
	struct state_events_rule_record r;
};

/* rows.c */
/* A name or an ARN; absent: the default bus. False: it is an ARN of another region, or of none. */
bool bus_name_of(struct call *c, struct str name_or_arn, struct bus_name *ret);
struct str bus_arn(struct arena *a, const struct bus_name *at);
bool bus_find(struct store_txn *t, struct arena *a, const struct bus_name *at,
              struct bus *ret);                                       /* the default one is always there */
int bus_get(struct call *c, struct str name_or_arn, struct bus *ret); /* CALL_OK, or the error is set */
void bus_put(struct call *c, struct bus *b);
struct str rule_arn(struct arena *a, const struct bus_name *at, struct str name);
bool rule_find(struct store_txn *t, struct arena *a, const struct bus_name *at, struct str name, struct rule *ret);
int rule_get(struct call *c, struct str bus, struct str name, struct rule *ret);
void rule_put(struct call *c, struct rule *r);
int rule_own(struct call *c, const struct rule *r); /* CALL_FAIL: it is managed by a service */
int events_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int events_absent(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int events_take_tags(struct call *c, struct str_map *tags, const struct events_tag_list *given);

/* Pages over what lies below a key, in order; the token is the last part of the last key. */
struct events_page {
	struct store_iter *iter;
	struct str last, value;
	int64_t left;
};
void events_page_begin(struct call *c, struct events_page *p, struct str under, struct opt_int limit, struct str token);
/* The next whose name begins so. False: it is over, or the page is full: *ret_token leads on then. */
bool events_page_next(struct call *c, struct events_page *p, struct str prefix, struct str *ret_token);

/* rules.c: the rules of all buses, compiled, kept true by a watch */
struct event_rules;
struct event_rules *event_rules_new(struct cloud *cloud);
void event_rules_free(struct event_rules *r);
unsigned event_rules_count(const struct event_rules *r, const struct bus_name *bus);
typedef void event_rules_found_fn(void *ctx, const struct state_events_rule_record *rule);
void event_rules_match(struct event_rules *r, const struct bus_name *bus, const struct json_value *event, event_rules_found_fn *fn,
                       void *ctx);

/* intake.c */
struct happening {
	const struct cloud *cloud;
	struct store_txn *txn;
	struct arena *arena;
	struct bus_name bus;
	struct str text; /* the event as JSON */
	int64_t now_ms;
	bool forwarded;      /* by another bus: no third one gets it */
	size_t *given_bytes; /* what deliveries have taken so far, counted on; NULL: nobody counts */
};
/* Writes a delivery for every target of every rule that wants the event. */
void events_take(const struct happening *h);
/* Of one rule, whatever it wants: a schedule's. */
void events_give(const struct happening *h, const struct state_events_rule_record *rule);
/* Whom our own services tell; NULL: nobody any more. */
void events_listen(struct events_state *s);
struct event_text {
	struct str id, type, source, account, region, detail;
	const struct str_list *resources;
	int64_t at_ms;
};
struct str events_text(struct arena *a, const struct event_text *e);

/* schedule.c: rules that are due by the clock */
struct firings *firings_new(struct events_state *s);
void firings_free(struct firings *f);
void firing_put(struct call *c, const struct rule *r); /* as the rule says now */

/* archive.c */
bool archive_of_arn(struct call *c, struct str arn, struct state_events_archive_record *ret);
void archives_tick_start(struct events_state *s);

/* replay.c */
struct replays *replays_new(struct events_state *s);
void replays_free(struct replays *r);

/* deliver.c */
struct deliveries *deliveries_new(struct cloud *cloud);
void deliveries_free(struct deliveries *d);

/* measure.c */
void events_count(const struct cloud *cloud, struct str account, struct str region, struct str bus, struct str rule,
                  const char *metric, double value);
void events_measure_rule(const struct cloud *cloud, struct str account, struct str region, struct str bus, struct str rule,
                         const char *metric, const char *unit, double value);
void events_count_schedule(const struct cloud *cloud, struct str account, struct str region, struct str schedule,
                           const char *metric);
void events_measure(const struct cloud *cloud, struct str account, struct str region, const char *metric, const char *unit,
                    double value);

/* Handlers; each file says which. */
events_cancel_replay_handler events_cancel_replay;
events_create_api_destination_handler events_create_api_destination;
events_create_connection_handler events_create_connection;
events_deauthorize_connection_handler events_deauthorize_connection;
events_delete_api_destination_handler events_delete_api_destination;
events_delete_connection_handler events_delete_connection;
events_describe_api_destination_handler events_describe_api_destination;
events_describe_connection_handler events_describe_connection;
events_list_api_destinations_handler events_list_api_destinations;
events_list_connections_handler events_list_connections;
events_update_api_destination_handler events_update_api_destination;
events_update_connection_handler events_update_connection;
events_create_archive_handler events_create_archive;
events_delete_archive_handler events_delete_archive;
events_describe_archive_handler events_describe_archive;
events_describe_replay_handler events_describe_replay;
events_list_archives_handler events_list_archives;
events_list_replays_handler events_list_replays;
events_start_replay_handler events_start_replay;
events_update_archive_handler events_update_archive;
events_create_event_bus_handler events_create_event_bus;
events_delete_event_bus_handler events_delete_event_bus;
events_delete_rule_handler events_delete_rule;
events_describe_event_bus_handler events_describe_event_bus;
events_describe_rule_handler events_describe_rule;
events_disable_rule_handler events_disable_rule;
events_enable_rule_handler events_enable_rule;
events_list_event_buses_handler events_list_event_buses;
events_list_rule_names_by_target_handler events_list_rule_names_by_target;
events_list_rules_handler events_list_rules;
events_list_tags_for_resource_handler events_list_tags_for_resource;
events_list_targets_by_rule_handler events_list_targets_by_rule;
events_put_events_handler events_put_events;
events_put_permission_handler events_put_permission;
events_put_rule_handler events_put_rule;
events_put_targets_handler events_put_targets;
events_remove_permission_handler events_remove_permission;
events_remove_targets_handler events_remove_targets;
events_tag_resource_handler events_tag_resource;
events_test_event_pattern_handler events_test_event_pattern;
events_untag_resource_handler events_untag_resource;
events_update_event_bus_handler events_update_event_bus;
