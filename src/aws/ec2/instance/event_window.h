/* Event windows: hours of the week in which what comes to instances at a time of its own may come. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

extern const struct ec2_kind ec2_kind_event_window;

enum { WINDOW_HOURS = 7 * 24 };
/* The hours of a week, from Sunday 0:00 UTC on, that a window's ranges or cron expression open. NULL, or what is wrong with it. */
const char *window_hours(const struct ec2_instance_event_window *w, bool ret_open[WINDOW_HOURS]);
/* The first moment from at_ms on that lies in the window; at_ms itself where it is open then. */
int64_t window_next(const bool open[WINDOW_HOURS], int64_t at_ms);
/* The same by the window that the instance has, by its id or a tag of it; at_ms: it has none. */
int64_t window_of_instance(const struct ec2_scope *s, const struct ec2_instance *i, int64_t at_ms);

ec2_associate_instance_event_window_handler ec2_associate_instance_event_window;
ec2_create_instance_event_window_handler ec2_create_instance_event_window;
ec2_delete_instance_event_window_handler ec2_delete_instance_event_window;
ec2_describe_instance_event_windows_handler ec2_describe_instance_event_windows;
ec2_disassociate_instance_event_window_handler ec2_disassociate_instance_event_window;
ec2_modify_instance_event_window_handler ec2_modify_instance_event_window;
