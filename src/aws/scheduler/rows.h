/* Schedules and their groups: records, names, and when what is due. Private to aws/scheduler. Loop thread alone. */
#pragma once
#include "aws/events/events.h"
#include "core/record.h"
#include "core/service.h"
#include "engine/scaling/cron.h"
#include "gen/scheduler.h"
#include "gen/state_scheduler.h"

#define SCHEDULER_ROW(name) (&(const struct record_type){&state_scheduler_api, name "Record"})

extern const struct service scheduler_service;

struct group {
	struct str name, key;
	struct state_scheduler_group_record r;
};
struct schedule {
	struct str account, region, group, name, key;
	struct state_scheduler_schedule_record r;
};

/* rows.c */
int scheduler_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str group_arn(struct call *c, struct str name);
bool group_find(struct call *c, struct str name, struct group *ret); /* the default one is always there */
int group_get(struct call *c, struct str name, struct group *ret);   /* absent: the default one */
struct str schedule_arn(struct arena *a, const struct schedule *s);
struct str schedule_key(struct arena *a, struct str account, struct str region, struct str group, struct str name);
bool schedule_find(struct call *c, struct str group, struct str name, struct schedule *ret);
int schedule_get(struct call *c, struct str group, struct str name, struct schedule *ret);
void schedule_put(struct store_txn *t, struct arena *a, struct schedule *s);

/* target.c */
/* CALL_OK, CALL_FAIL with an error, or CALL_WAIT: the role is tried. */
int target_check(struct call *c, const struct scheduler_target *t);
/* One invocation of it, as EventBridge delivers it. */
void target_invoke(struct store_txn *t, struct arena *a, const struct schedule *s, int64_t now_ms);

/* keeper.c: invokes what is due */
struct schedule_keeper;
struct schedule_keeper *schedule_keeper_new(struct cloud *cloud);
void schedule_keeper_free(struct schedule_keeper *k);
/* What comes next after that time, into the record. */
void schedule_next(struct state_scheduler_schedule_record *r, int64_t after_ms);

/* Handlers; each file says which. */
scheduler_create_schedule_group_handler scheduler_create_schedule_group;
scheduler_create_schedule_handler scheduler_create_schedule;
scheduler_delete_schedule_group_handler scheduler_delete_schedule_group;
scheduler_delete_schedule_handler scheduler_delete_schedule;
scheduler_get_schedule_group_handler scheduler_get_schedule_group;
scheduler_get_schedule_handler scheduler_get_schedule;
scheduler_list_schedule_groups_handler scheduler_list_schedule_groups;
scheduler_list_schedules_handler scheduler_list_schedules;
scheduler_list_tags_for_resource_handler scheduler_list_tags_for_resource;
scheduler_tag_resource_handler scheduler_tag_resource;
scheduler_untag_resource_handler scheduler_untag_resource;
scheduler_update_schedule_handler scheduler_update_schedule;
