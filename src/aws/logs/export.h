/* Exports of log groups to buckets: records that are followed, and one worker each that goes through the group's streams. Private
 * to aws/logs; export.c has the operations, export_run.c the work. */
#pragma once
#include "rows.h"

/* logs, export, ACCOUNT, REGION, id of the task */
struct str exports_under(struct arena *a, struct str account, struct str region);
struct str export_key(struct arena *a, struct str account, struct str region, struct str id);
/* Neither ended nor given up. */
bool export_is_active(const struct state_logs_export_record *r);

/* What writes to a bucket for a group: the logs of a region, on behalf of the group. The caller gives it back. */
struct principal *export_principal(struct str account, struct str region, struct str group_name);
/* As AWS's own bucket policies want it of whoever exports. */
#define EXPORT_ACL S("bucket-owner-full-control")

struct exports;
struct exports *exports_new(struct cloud *cloud, struct logs *events);
void exports_free(struct exports *e); /* NULL is harmless */
