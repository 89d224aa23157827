/* The default VPC of an account in a region. It is there from the beginning: made at the first call, once, so that one that was
 * deleted stays away. */
#include "aws/ec2/network/vpc.h"

void ec2_default_vpc_make(struct call *c, struct state_vpc_vpc_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_block block;
	ec2_block_parse(S("172.31.0.0/16"), &block);
	ec2_vpc_make(c, block, true, (struct ec2_tag_list){0}, ret);
	struct ec2_internet_gateway gateway = {.internet_gateway_id = ec2_new_id(c->arena, "igw"), .owner_id = c->account};
	*LIST_ADD(c->arena, &gateway.attachments) = (struct ec2_internet_gateway_attachment){S("available"), ret->vpc->vpc_id};
	ec2_put(&s, &ec2_kind_gateway, gateway.internet_gateway_id, &gateway);
	struct ec2_route_table table;
	struct ec2_all all = ec2_all(&s, &ec2_kind_route_table);
	while (ec2_next(&all, &table)) {
		if (!str_eq(table.vpc_id, ret->vpc->vpc_id))
			continue;
		*LIST_ADD(c->arena, &table.routes) = (struct ec2_route){.destination_cidr_block = S("0.0.0.0/0"),
		                                                        .gateway_id = gateway.internet_gateway_id,
		                                                        .origin = S("CreateRoute"),
		                                                        .state = S("active")};
		ec2_put(&s, &ec2_kind_route_table, table.route_table_id, &table);
	}
	for (unsigned i = 0; i < EC2_ZONES; i++) {
		struct ec2_subnet subnet;
		ec2_default_subnet_make(c, ret, i, &subnet);
	}
}

void ec2_make_default(struct call *c)
{
	struct str key = KEY(c->arena, S("ec2"), c->account, c->region, S("default-made"));
	struct store_value v;
	struct state_vpc_vpc_record vpc;
	if (store_get(call_txn(c), key, &v))
		return;
	store_put(call_txn(c), key, S("1"));
	ec2_default_vpc_make(c, &vpc);
}
