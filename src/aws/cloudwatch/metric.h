/* The operations on metrics. Private to aws/cloudwatch. */
#pragma once
#include "core/service.h"
#include "engine/metrics/metrics.h"
#include "gen/cloudwatch.h"

cloudwatch_get_metric_data_handler cloudwatch_get_metric_data;
cloudwatch_get_metric_statistics_handler cloudwatch_get_metric_statistics;
cloudwatch_list_metrics_handler cloudwatch_list_metrics;
cloudwatch_put_metric_data_handler cloudwatch_put_metric_data;

/* A metric of the call's account and region; the dimensions are copied into its arena. */
struct metric cloudwatch_metric_of(struct call *c, struct str space, struct str name,
                                   const struct cloudwatch_dimensions *dimensions, struct str unit);
