/* Scheduled events of instances. AWS makes them when it has to work on its hosts; here whoever runs the cloud does (retire.h). What
 * an event says happens at its time: the desk stops or reboots the instance. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

/* The events that are shown: those to come, and for a week those that are over. */
void event_show(struct arena *a, const struct state_ec2_instance_record *r, int64_t now_ms,
                struct ec2_instance_status_event_list *ret);
/* What the metadata service says of those to come, or of those that are over. */
struct str event_metadata(struct arena *a, const struct state_ec2_instance_record *r, bool scheduled);
/* The user has rebooted it, or started it again (on what AWS would call another host): what would have come does not. */
void event_overtaken(struct state_ec2_instance_record *r, bool started, int64_t now_ms);
/* The desk's: what is due is done. */
void event_step(struct desk_item *i, const struct state_ec2_instance_record *r);

ec2_modify_instance_event_start_time_handler ec2_modify_instance_event_start_time;
