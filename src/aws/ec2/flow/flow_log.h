/* VPC flow logs: what is recorded about them (flow_log.c), what interfaces have seen, once a minute (flow_record.c), and how that
 * gets to a log group or a bucket (flow_deliver.c). The kernel counts (engine/net/router_flow.c), and only for interfaces that a
 * flow log is about. Private to aws/ec2. */
#pragma once
#include "aws/ec2/flow/flow_format.h"
#include "aws/ec2/state.h"

extern const struct ec2_kind ec2_kind_flow_log;

/* The name of the group or bucket in a flow log's destination; *ret_prefix: what keys in a bucket begin with. */
struct str ec2_flow_destination(const struct ec2_flow_log *f, struct str *ret_prefix);
bool ec2_flow_log_covers(const struct ec2_flow_log *f, const struct ec2_network_interface *eni);
/* Is there a flow log about this interface? */
bool ec2_flows_wanted(const struct ec2_scope *s, const struct ec2_network_interface *eni);

/* flow_destination.c: may flow logs write to this bucket? Asks S3, and the first time waits (CALL_WAIT, to be returned: the handler
 * runs again). A bucket of one's own gets the policy that lets the service of deliveries write. CALL_FAIL: it may not. */
int ec2_flow_bucket_ready(struct call *c, struct str bucket, bool *ret_there);

/* --- flow_record.c */
struct flow_recorder;
struct flow_recorder *flow_recorder_new(struct ec2_state *s);
void flow_recorder_free(struct flow_recorder *r);
/* Of the networks: events->flows(). */
void flow_recorder_take(struct flow_recorder *r, const char *interface, const struct network_flow *flows, size_t count,
                        uint64_t missed);

/* --- flow_deliver.c: one batch of lines for one flow log. */
struct flow_line {
	struct str text;
	int64_t ms;
};
struct flow_batch {
	struct str account, region, flow_log;
	const struct ec2_flow_log *log; /* as recorded */
	struct str interface;           /* log groups: whose stream */
	struct flow_line *lines;        /* in order of time */
	size_t count;
};
/* All is copied. What cannot be delivered is lost, and the flow log's record says so. */
void flow_deliver(struct ec2_state *s, const struct flow_batch *b);
/* The principal that brings records to buckets, for this account. */
const struct principal *flow_delivery_principal(struct str account, struct str region);

ec2_create_flow_logs_handler ec2_create_flow_logs;
ec2_delete_flow_logs_handler ec2_delete_flow_logs;
ec2_describe_flow_logs_handler ec2_describe_flow_logs;
