/* Egress-only internet gateways: what a VPC opens over IPv6 leaves by one and its answers come back; nothing else comes in. */
#include "aws/ec2/network/vpc.h"

int ec2_create_egress_only_internet_gateway(struct call *c, const struct ec2_create_egress_only_internet_gateway_request *in,
                                            struct ec2_create_egress_only_internet_gateway_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_egress_only_internet_gateway other;
	struct ec2_tag_list tags;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_egress_gateway, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_egress_gateway);
	while (ec2_next(&all, &other))
		n++;
	if (n >= EC2_EGRESS_GATEWAYS_MAX)
		return call_fail(c, "EgressOnlyInternetGatewayLimitExceeded", 400,
		                 "The maximum number of egress-only internet gateways has been reached.");
	struct ec2_egress_only_internet_gateway *g = arena_new(c->arena, struct ec2_egress_only_internet_gateway);
	g->egress_only_internet_gateway_id = ec2_new_id(c->arena, "eigw");
	*LIST_ADD(c->arena, &g->attachments) = (struct ec2_internet_gateway_attachment){S("attached"), in->vpc_id};
	g->tags = tags;
	ec2_put(&s, &ec2_kind_egress_gateway, g->egress_only_internet_gateway_id, g);
	out->client_token = in->client_token;
	out->egress_only_internet_gateway = g;
	return CALL_OK;
}

int ec2_delete_egress_only_internet_gateway(struct call *c, const struct ec2_delete_egress_only_internet_gateway_request *in,
                                            struct ec2_delete_egress_only_internet_gateway_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_egress_only_internet_gateway g;
	if (ec2_get(c, &ec2_kind_egress_gateway, in->egress_only_internet_gateway_id, &g) != CALL_OK)
		return CALL_FAIL;
	ec2_drop(&s, &ec2_kind_egress_gateway, in->egress_only_internet_gateway_id);
	out->return_code = OPT_BOOL(true);
	return CALL_OK;
}

static const struct ec2_field fields[] = {{0}};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_egress_only_internet_gateways_result *)out)->egress_only_internet_gateways) =
	        *(struct ec2_egress_only_internet_gateway *)record;
}

int ec2_describe_egress_only_internet_gateways(struct call *c, const struct ec2_describe_egress_only_internet_gateways_request *in,
                                               struct ec2_describe_egress_only_internet_gateways_result *out)
{
	out->egress_only_internet_gateways.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_egress_gateway,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->egress_only_internet_gateway_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}
