/* Access, connection and health check logs of application load balancers: what nodes say of requests and checks becomes AWS's
 * lines, lines become files below DATA/elb-logs as they come, and every five minutes each node's file becomes an object in the
 * bucket. A file outlives `api`: one that is found at a start is delivered then. Private to aws/elbv2. */
#pragma once
#include "desk.h"
#include "engine/lb/lb_log.h"

enum elb_log_kind { ELB_LOG_ACCESS, ELB_LOG_CONNECTION, ELB_LOG_HEALTH, ELB_LOG_KINDS };

/* --- log_line.c: without effects; without a line's end, in the arena */
struct str elb_log_access_line(struct arena *a, const struct elb_item *i, const struct lb_log *l);
struct str elb_log_connection_line(struct arena *a, const struct elb_item *i, const struct lb_log *l);
struct str elb_log_health_line(struct arena *a, const char *group, const char *target, const struct lb_check *c);

/* --- log_bucket.c: one object written, as whoever a bucket's policy names: Elastic Load Balancing's service, or its account in the
 * region. done: absent: it is there; else S3's error. */
typedef void elb_log_put_fn(void *ctx, struct str error, bool ours);
void elb_log_put(struct cloud *cloud, struct str account, struct str region, struct str balancer_arn, struct str bucket,
                 struct str key, struct str body, elb_log_put_fn *done, void *ctx);
/* Are the buckets that a balancer is to log to ready for that? As a handler: CALL_OK, CALL_FAIL, CALL_WAIT (the operation is run
 * again). */
int elb_log_check(struct call *c, const struct state_elbv2_balancer_record *r, const struct str_map *changed);
const char *elb_log_attribute(enum elb_log_kind kind, const char *name); /* "access_logs.s3.bucket" */

/* --- log.c */
/* What the record says of logs from now on; where they end, what there is is delivered. */
void elb_log_take(struct elb_item *i, struct arena *a, const struct state_elbv2_balancer_record *r);
void elb_log_request(struct elb_item *i, struct elb_item_node *n, const struct lb_log *l);
void elb_log_checked(struct elb_item *i, struct elb_item_node *n, const char *group, const char *target, const struct lb_check *c);
void elb_log_end(struct elb_item *i);    /* the balancer is gone: what there is is delivered */
void elb_log_forget(struct elb_item *i); /* the files stay for the next start */
/* At a start, when all balancers are known: files of others go. api died between a balancer's end and their delivery. */
void elb_log_sweep(struct elb_desk *d);
