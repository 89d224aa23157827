#include "core/service.h"
#include "aws/ce/cost.h"

static const struct service_op ops[] = {
        OP(ce, get_cost_and_usage, GetCostAndUsage, .flags = OP_READ,
           .missing = "hourly data, tags, cost categories, dimensions but those that README.md names, NormalizedUsageAmount"),
        OP(ce, get_cost_and_usage_with_resources, GetCostAndUsageWithResources, .flags = OP_READ,
           .missing =
                   "hourly data, tags, cost categories, NormalizedUsageAmount; what is counted for no resource has NoResourceId"),
        OP(ce, get_cost_forecast, GetCostForecast, .flags = OP_READ,
           .missing = "learning from the past and prediction intervals: what goes on is taken to go on"),
        OP(ce, get_dimension_values, GetDimensionValues, .flags = OP_READ,
           .missing = "SortBy, reservations and savings plans, dimensions but those that README.md names"),
};

const struct service ce_service = {
        .api = &ce_api,
        .iam_prefix = "ce",
        .region = "us-east-1",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};
