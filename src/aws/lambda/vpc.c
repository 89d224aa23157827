/* What a function's VPC may be, and the interfaces that its versions use. Records of interfaces are keyed by subnet and groups, so
 * that all functions with both in common share one. */
#include "aws/ec2/ec2.h"
#include "aws/lambda/lambda.h"
#include "base/id.h"

#include <stdlib.h>

bool lambda_in_vpc(const struct lambda_function_configuration *f)
{
	return f->vpc_config && f->vpc_config->subnet_ids.n;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str lambda_interface_key(struct arena *a, struct str account, struct str region, struct str subnet,
                                const struct str_list *groups)
{
	struct str *sorted = arena_array(a, groups->n + 1u, sizeof(*sorted)), all = S("");
	for (uint32_t i = 0; i < groups->n; i++)
		sorted[i] = groups->v[i];
	qsort(sorted, groups->n, sizeof(*sorted), by_text);
	for (uint32_t i = 0; i < groups->n; i++)
		if (!i || !str_eq(sorted[i], sorted[i - 1]))
			all = ARENA_CAT(a, all, all.n ? S(",") : S(""), sorted[i]);
	return KEY(a, S("lambda"), S("interface"), account, region, subnet, all);
}

/* --- what a request may say */

static int not_found(struct call *c, const char *operation, const char *code, const char *what, struct str id)
{
	return lambda_invalid(c, "Error occurred while %s. EC2 Error Code: %s. EC2 Error Message: The %s '%.*s' does not exist",
	                      operation, code, what, STR_ARG(id));
}

static int find_vpc(struct call *c, const struct lambda_vpc_config *in, struct str *ret)
{
	struct str vpc = STR_NONE;
	for (uint32_t i = 0; i < in->subnet_ids.n; i++) {
		struct str of = ec2_subnet_vpc(call_txn(c), c->arena, c->account, c->region, in->subnet_ids.v[i]);
		if (!str_set(of))
			return not_found(c, "DescribeSubnets", "InvalidSubnetID.NotFound", "subnet ID", in->subnet_ids.v[i]);
		if (str_set(vpc) && !str_eq(of, vpc))
			return lambda_invalid(c, "Subnets are required to be in the same VPC.");
		vpc = of;
	}
	for (uint32_t i = 0; i < in->security_group_ids.n; i++) {
		struct str of = ec2_group_vpc(c, in->security_group_ids.v[i]);
		if (!str_set(of))
			return not_found(c, "DescribeSecurityGroups", "InvalidGroup.NotFound", "security group",
			                 in->security_group_ids.v[i]);
		if (!str_eq(of, vpc))
			return lambda_invalid(c, "Security Groups are required to be in the same VPC.");
	}
	*ret = vpc;
	return CALL_OK;
}

/* Of a function that is another account's, its owner alone can say in which subnets it is. */
static bool is_own(struct call *c, const struct lambda_function_configuration *f)
{
	return str_find(f->function_arn, ARENA_CAT(c->arena, S(":"), c->account, S(":function:"))) >= 0;
}

int lambda_set_vpc(struct call *c, const struct lambda_vpc_config *in, struct lambda_function_configuration *f)
{
	struct str vpc = S("");
	if (in->ipv6_allowed_for_dual_stack.v)
		return lambda_invalid(c, "Ipv6AllowedForDualStack is not supported by this cloud.");
	if (!in->subnet_ids.n != !in->security_group_ids.n)
		return lambda_invalid(c, "SubnetIds and SecurityIds must coexist or be both empty list.");
	if (in->subnet_ids.n) {
		if (!call_allowed(c, "ec2:DescribeSubnets", S("*")) || !call_allowed(c, "ec2:DescribeSecurityGroups", S("*")) ||
		    !call_allowed(c, "ec2:DescribeVpcs", S("*")))
			return CALL_FAIL;
		if (!is_own(c, f))
			return not_found(c, "DescribeSubnets", "InvalidSubnetID.NotFound", "subnet ID", in->subnet_ids.v[0]);
		if (find_vpc(c, in, &vpc) != CALL_OK)
			return CALL_FAIL;
	}
	f->vpc_config = arena_new(c->arena, struct lambda_vpc_config_response);
	*f->vpc_config = (struct lambda_vpc_config_response){.subnet_ids = in->subnet_ids,
	                                                     .security_group_ids = in->security_group_ids,
	                                                     .vpc_id = vpc,
	                                                     .ipv6_allowed_for_dual_stack = OPT_BOOL(false)};
	f->vpc_config->subnet_ids.set = f->vpc_config->security_group_ids.set = true;
	return CALL_OK;
}

/* --- uses of interfaces */

static int make(struct call *c, const struct lambda_name *n, struct str subnet, const struct str_list *groups, struct str *ret)
{
	struct ec2_lent lent;
	const struct ec2_lend what = {
	        .subnet = subnet,
	        .groups = groups,
	        .requester = c->account,
	        .description = ARENA_CAT(c->arena, S("AWS Lambda VPC ENI-"), n->name, S("-"), id_uuid(c->arena)),
	        .type = S("lambda"),
	        .door = S("shared"),
	};
	if (ec2_lend_interface(c, &what, &lent) == CALL_OK) {
		*ret = lent.id;
		return CALL_OK;
	}
	if (str_is(c->error.code, "InsufficientFreeAddressesInSubnet"))
		return lambda_invalid(c, "Lambda was not able to set up VPC access for the Lambda function because one or more "
		                         "configured subnets has no available IP addresses.");
	struct str message = c->error.message, code = c->error.code;
	return c->error.receiver ? CALL_FAIL
	                         : lambda_invalid(c,
	                                          "Error occurred while CreateNetworkInterface. EC2 Error Code: %.*s. EC2 Error "
	                                          "Message: %.*s",
	                                          STR_ARG(code), STR_ARG(message));
}

int lambda_vpc_hold(struct call *c, const struct lambda_name *n, const struct lambda_function_configuration *f)
{
	if (!lambda_in_vpc(f))
		return CALL_OK;
	const struct str_list *subnets = &f->vpc_config->subnet_ids, *groups = &f->vpc_config->security_group_ids;
	for (uint32_t i = 0; i < subnets->n; i++) {
		struct state_lambda_interface_record row = {0};
		struct str key = lambda_interface_key(c->arena, n->account, n->region, subnets->v[i], groups);
		if (!record_get(call_txn(c), c->arena, key, ROW("Interface"), &row) &&
		    make(c, n, subnets->v[i], groups, &row.id) != CALL_OK)
			return CALL_FAIL;
		row.references = OPT_INT(row.references.v + 1);
		row.unused_since = (struct opt_time){0};
		record_put(call_txn(c), c->arena, key, ROW("Interface"), &row);
	}
	return CALL_OK;
}

void lambda_vpc_release(struct call *c, const struct lambda_name *n, const struct lambda_function_configuration *f)
{
	if (!lambda_in_vpc(f))
		return;
	for (uint32_t i = 0; i < f->vpc_config->subnet_ids.n; i++) {
		struct state_lambda_interface_record row = {0};
		struct str key = lambda_interface_key(c->arena, n->account, n->region, f->vpc_config->subnet_ids.v[i],
		                                      &f->vpc_config->security_group_ids);
		if (!record_get(call_txn(c), c->arena, key, ROW("Interface"), &row))
			continue;
		row.references = OPT_INT(row.references.v - 1);
		if (row.references.v <= 0)
			row.unused_since = OPT_TIME(c->now_ms);
		record_put(call_txn(c), c->arena, key, ROW("Interface"), &row);
	}
}
