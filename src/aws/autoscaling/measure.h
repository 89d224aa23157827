/* AWS/AutoScaling: numbers of groups whose metrics are collected, once a minute. Private to aws/autoscaling. */
#pragma once
#include "rows.h"

void measure_group(const struct scope *s, const struct state_autoscaling_group_record *r);
