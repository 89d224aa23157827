#include "core/service.h"
#include "aws/ce/cost.h"

static const struct service_op ops[] = {
        OP(ce, get_cost_and_usage, GetCostAndUsage, .flags = OP_READ,
           .missing = "cost categories, dimensions but those that README.md names"),
        OP(ce, get_cost_and_usage_with_resources, GetCostAndUsageWithResources, .flags = OP_READ,
           .missing = "hourly data, cost categories; what is counted for no resource has NoResourceId"),
        OP(ce, get_cost_forecast, GetCostForecast, .flags = OP_READ,
           .missing = "seasons: what goes on is taken to go on, and what is counted to come as in the last two weeks"),
        OP(ce, get_dimension_values, GetDimensionValues, .flags = OP_READ,
           .missing = "contexts of reservations and savings plans, dimensions but those that README.md names"),
        OP(ce, get_reservation_coverage, GetReservationCoverage, .flags = OP_READ, .missing = "SortBy, tags; instances alone"),
        OP(ce, get_reservation_utilization, GetReservationUtilization, .flags = OP_READ, .missing = "SortBy; instances alone"),
        OP(ce, get_savings_plans_coverage, GetSavingsPlansCoverage, .flags = OP_READ, .missing = "SortBy"),
        OP(ce, get_savings_plans_purchase_recommendation, GetSavingsPlansPurchaseRecommendation, .flags = OP_READ,
           .missing = "plans of SageMaker and databases; of several families each is tried alone"),
        OP(ce, get_savings_plans_utilization, GetSavingsPlansUtilization, .flags = OP_READ, .missing = "SortBy"),
        OP(ce, get_savings_plans_utilization_details, GetSavingsPlansUtilizationDetails, .flags = OP_READ, .missing = "SortBy"),
        OP(ce, get_tags, GetTags, .flags = OP_READ),
        OP(ce, get_usage_forecast, GetUsageForecast, .flags = OP_READ, .missing = "seasons, as GetCostForecast"),
        OP(ce, list_cost_allocation_tags, ListCostAllocationTags, .flags = OP_READ),
        OP(ce, update_cost_allocation_tags_status, UpdateCostAllocationTagsStatus),
};

const struct service ce_service = {
        .api = &ce_api,
        .iam_prefix = "ce",
        .region = "us-east-1",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};
