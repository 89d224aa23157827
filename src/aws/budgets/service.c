#include "core/service.h"
#include "aws/budgets/rows.h"

static int create_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_create_budget_request *in = v;
	az->resource = budgets_arn(c, in->budget->budget_name);
	return CALL_OK;
}

static int update_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_update_budget_request *in = v;
	az->resource = budgets_arn(c, in->new_budget->budget_name);
	return CALL_OK;
}

static int delete_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_delete_budget_request *in = v;
	az->resource = budgets_arn(c, in->budget_name);
	return CALL_OK;
}

static int describe_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_describe_budget_request *in = v;
	az->resource = budgets_arn(c, in->budget_name);
	return CALL_OK;
}

static int notifications_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_describe_notifications_for_budget_request *in = v;
	az->resource = budgets_arn(c, in->budget_name);
	return CALL_OK;
}

static int create_notification_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_create_notification_request *in = v;
	az->resource = budgets_arn(c, in->budget_name);
	return CALL_OK;
}

static int delete_notification_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_delete_notification_request *in = v;
	az->resource = budgets_arn(c, in->budget_name);
	return CALL_OK;
}

static int subscribers_arn(struct call *c, const void *v, struct authz *az)
{
	const struct budgets_describe_subscribers_for_notification_request *in = v;
	az->resource = budgets_arn(c, in->budget_name);
	return CALL_OK;
}

static int all_arn(struct call *c, const void *v, struct authz *az)
{
	(void)v;
	az->resource = budgets_arn(c, S("*"));
	return CALL_OK;
}

/* The first member of each of these inputs is the ARN. */
static int tagged_arn(struct call *c, const void *v, struct authz *az)
{
	(void)c;
	az->resource = *(const struct str *)v;
	return CALL_OK;
}

#define VIEW "budgets:ViewBudget"
#define MODIFY "budgets:ModifyBudget"

static const struct service_op ops[] = {
        OP(budgets, create_budget, CreateBudget, .action = MODIFY, .resource = create_arn,
           .missing = "subscribers by e-mail, planned and adjusted limits, filter expressions"),
        OP(budgets, create_notification, CreateNotification, .action = MODIFY, .resource = create_notification_arn,
           .missing = "subscribers by e-mail"),
        OP(budgets, delete_budget, DeleteBudget, .action = MODIFY, .resource = delete_arn),
        OP(budgets, delete_notification, DeleteNotification, .action = MODIFY, .resource = delete_notification_arn),
        OP(budgets, describe_budget, DescribeBudget, .action = VIEW, .resource = describe_arn, .flags = OP_READ,
           .missing = "ShowFilterExpression"),
        OP(budgets, describe_budget_notifications_for_account, DescribeBudgetNotificationsForAccount, .action = VIEW,
           .resource = all_arn, .flags = OP_READ),
        OP(budgets, describe_budgets, DescribeBudgets, .action = VIEW, .resource = all_arn, .flags = OP_READ,
           .missing = "ShowFilterExpression"),
        OP(budgets, describe_notifications_for_budget, DescribeNotificationsForBudget, .action = VIEW,
           .resource = notifications_arn, .flags = OP_READ),
        OP(budgets, describe_subscribers_for_notification, DescribeSubscribersForNotification, .action = VIEW,
           .resource = subscribers_arn, .flags = OP_READ),
        OP(budgets, list_tags_for_resource, ListTagsForResource, .resource = tagged_arn, .flags = OP_READ),
        OP(budgets, tag_resource, TagResource, .resource = tagged_arn),
        OP(budgets, untag_resource, UntagResource, .resource = tagged_arn),
        OP(budgets, update_budget, UpdateBudget, .action = MODIFY, .resource = update_arn,
           .missing = "planned and adjusted limits, filter expressions"),
};

static int start(struct cloud *cloud, void **ret_state)
{
	*ret_state = budgets_keeper_new(cloud);
	return 0;
}

static void stop(void *state)
{
	budgets_keeper_free(state);
}

const struct service budgets_service = {
        .api = &budgets_api,
        .iam_prefix = "budgets",
        .region = "us-east-1",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .start = start,
        .stop = stop,
};
