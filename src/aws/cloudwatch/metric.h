/* The operations on metrics. Private to aws/cloudwatch. */
#pragma once
#include "core/service.h"
#include "gen/cloudwatch.h"

cloudwatch_get_metric_statistics_handler cloudwatch_get_metric_statistics;
cloudwatch_list_metrics_handler cloudwatch_list_metrics;
