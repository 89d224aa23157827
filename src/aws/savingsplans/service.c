#include "aws/savingsplans/rows.h"

static int about_delete(struct call *c, const void *v, struct authz *az)
{
	const struct savingsplans_delete_queued_savings_plan_request *in = v;
	az->resource = plan_arn(c, in->savings_plan_id);
	return CALL_OK;
}

static int about_return(struct call *c, const void *v, struct authz *az)
{
	const struct savingsplans_return_savings_plan_request *in = v;
	az->resource = plan_arn(c, in->savings_plan_id);
	return CALL_OK;
}

static int about_rates(struct call *c, const void *v, struct authz *az)
{
	const struct savingsplans_describe_savings_plan_rates_request *in = v;
	az->resource = plan_arn(c, in->savings_plan_id);
	return CALL_OK;
}

/* The first member of each of these inputs is the ARN. */
static int about_arn(struct call *c, const void *v, struct authz *az)
{
	(void)c;
	az->resource = *(const struct str *)v;
	return CALL_OK;
}

static int about_create(struct call *c, const void *v, struct authz *az)
{
	const struct savingsplans_create_savings_plan_request *in = v;
	authz_add_tags(c, az, "aws:RequestTag/", &in->tags);
	return CALL_OK;
}

#define RATES "plans of SageMaker and databases; rates are those of the user's price file"
static const struct service_op ops[] = {
        OP(savingsplans, create_savings_plan, CreateSavingsPlan, .resource = about_create,
           .missing = "plans of SageMaker and databases; a payment that takes time or fails"),
        OP(savingsplans, delete_queued_savings_plan, DeleteQueuedSavingsPlan, .resource = about_delete),
        OP(savingsplans, describe_savings_plan_rates, DescribeSavingsPlanRates, .resource = about_rates, .flags = OP_READ),
        OP(savingsplans, describe_savings_plans, DescribeSavingsPlans, .flags = OP_READ),
        OP(savingsplans, describe_savings_plans_offering_rates, DescribeSavingsPlansOfferingRates, .flags = OP_READ,
           .missing = RATES),
        OP(savingsplans, describe_savings_plans_offerings, DescribeSavingsPlansOfferings, .flags = OP_READ, .missing = RATES),
        OP(savingsplans, list_tags_for_resource, ListTagsForResource, .resource = about_arn, .flags = OP_READ),
        OP(savingsplans, return_savings_plan, ReturnSavingsPlan, .resource = about_return),
        OP(savingsplans, tag_resource, TagResource, .resource = about_arn),
        OP(savingsplans, untag_resource, UntagResource, .resource = about_arn),
};

const struct service savingsplans_service = {
        .api = &savingsplans_api,
        .iam_prefix = "savingsplans",
        .region = "us-east-1",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};
