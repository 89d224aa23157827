/* Topics that hear of a group's instances, each of the kinds of events that it was put for. */
#pragma once
#include "rows.h"

/* In the transaction in which the activity ends. */
void scaling_notify_activity(const struct scope *s, const struct state_autoscaling_group_record *r,
                             const struct state_autoscaling_member *m, const struct autoscaling_activity *a);
/* A hook's own target, in the transaction in which the wait begins; m NULL: it has just been named, and hears a test. */
void scaling_notify_hook(const struct scope *s, const struct state_autoscaling_group_record *r,
                         const struct state_autoscaling_member *m, const struct autoscaling_lifecycle_hook *h, struct str token);

autoscaling_delete_notification_configuration_handler autoscaling_delete_notification_configuration;
autoscaling_describe_auto_scaling_notification_types_handler autoscaling_describe_auto_scaling_notification_types;
autoscaling_describe_notification_configurations_handler autoscaling_describe_notification_configurations;
autoscaling_put_notification_configuration_handler autoscaling_put_notification_configuration;
