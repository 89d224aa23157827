#include "core/service.h"
#include "aws/pricing/product.h"

static const struct service_op ops[] = {
        OP(pricing, describe_services, DescribeServices, .flags = OP_READ,
           .missing = "services and attributes of what this cloud does not meter"),
        OP(pricing, get_attribute_values, GetAttributeValues, .flags = OP_READ,
           .missing = "values of what this cloud does not meter"),
        OP(pricing, get_products, GetProducts, .flags = OP_READ,
           .missing = "products that this cloud does not meter, terms of reservations, regions without known prices"),
};

const struct service pricing_service = {
        .api = &pricing_api,
        .iam_prefix = "pricing",
        .region = "us-east-1",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};
