/* Internet gateways. */
#include "aws/ec2/network/vpc.h"

int ec2_create_internet_gateway(struct call *c, const struct ec2_create_internet_gateway_request *in,
                                struct ec2_create_internet_gateway_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_internet_gateway other;
	struct ec2_tag_list tags;
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_gateway, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_gateway);
	while (ec2_next(&all, &other))
		n++;
	if (n >= EC2_GATEWAYS_MAX)
		return call_fail(c, "InternetGatewayLimitExceeded", 400,
		                 "The maximum number of internet gateways has been reached.");
	struct ec2_internet_gateway *gateway = out->internet_gateway = arena_new(c->arena, struct ec2_internet_gateway);
	gateway->internet_gateway_id = ec2_new_id(c->arena, "igw");
	gateway->owner_id = c->account;
	gateway->attachments.set = true;
	gateway->tags = tags;
	ec2_put(&s, &ec2_kind_gateway, gateway->internet_gateway_id, gateway);
	return CALL_OK;
}

int ec2_delete_internet_gateway(struct call *c, const struct ec2_delete_internet_gateway_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_internet_gateway gateway;
	if (ec2_get(c, &ec2_kind_gateway, in->internet_gateway_id, &gateway) != CALL_OK)
		return CALL_FAIL;
	if (gateway.attachments.n)
		return ec2_depends(c, "The internetGateway '%.*s' has dependencies and cannot be deleted.",
		                   STR_ARG(in->internet_gateway_id));
	ec2_drop(&s, &ec2_kind_gateway, in->internet_gateway_id);
	return CALL_OK;
}

int ec2_attach_internet_gateway(struct call *c, const struct ec2_attach_internet_gateway_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_internet_gateway gateway, other;
	struct state_vpc_vpc_record vpc;
	if (ec2_get(c, &ec2_kind_gateway, in->internet_gateway_id, &gateway) != CALL_OK ||
	    ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (gateway.attachments.n)
		return call_fail(c, "Resource.AlreadyAssociated", 400, "resource %.*s is already attached to network %.*s",
		                 STR_ARG(in->internet_gateway_id), STR_ARG(gateway.attachments.v[0].vpc_id));
	struct ec2_all all = ec2_all(&s, &ec2_kind_gateway);
	while (ec2_next(&all, &other))
		if (other.attachments.n && str_eq(other.attachments.v[0].vpc_id, in->vpc_id))
			return ec2_invalid(c, "Network %.*s already has an internet gateway attached", STR_ARG(in->vpc_id));
	*LIST_ADD(c->arena, &gateway.attachments) = (struct ec2_internet_gateway_attachment){S("available"), in->vpc_id};
	ec2_put(&s, &ec2_kind_gateway, in->internet_gateway_id, &gateway);
	return CALL_OK;
}

static bool has_public(const struct ec2_network_interface *eni)
{
	for (uint32_t i = 0; i < eni->private_ip_addresses.n; i++)
		if (eni->private_ip_addresses.v[i].association)
			return true;
	return false;
}

int ec2_detach_internet_gateway(struct call *c, const struct ec2_detach_internet_gateway_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_internet_gateway gateway;
	struct state_vpc_vpc_record vpc;
	struct state_vpc_interface_record eni;
	if (ec2_get(c, &ec2_kind_gateway, in->internet_gateway_id, &gateway) != CALL_OK ||
	    ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (!gateway.attachments.n || !str_eq(gateway.attachments.v[0].vpc_id, in->vpc_id))
		return call_fail(c, "Gateway.NotAttached", 400, "resource %.*s is not attached to network %.*s",
		                 STR_ARG(in->internet_gateway_id), STR_ARG(in->vpc_id));
	struct ec2_all all = ec2_all(&s, &ec2_kind_interface);
	while (ec2_next(&all, &eni))
		if (str_eq(eni.interface->vpc_id, in->vpc_id) && has_public(eni.interface))
			return ec2_depends(
			        c,
			        "Network %.*s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
			        STR_ARG(in->vpc_id));
	gateway.attachments = (struct ec2_internet_gateway_attachment_list){.set = true};
	ec2_put(&s, &ec2_kind_gateway, in->internet_gateway_id, &gateway);
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_EACH("attachment.state", ec2_internet_gateway, attachments, ec2_internet_gateway_attachment, state),
        FIELD_EACH("attachment.vpc-id", ec2_internet_gateway, attachments, ec2_internet_gateway_attachment, vpc_id),
        FIELD_TEXT("internet-gateway-id", ec2_internet_gateway, internet_gateway_id),
        FIELD_TEXT("owner-id", ec2_internet_gateway, owner_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_internet_gateways_result *)out)->internet_gateways) =
	        *(struct ec2_internet_gateway *)record;
}

int ec2_describe_internet_gateways(struct call *c, const struct ec2_describe_internet_gateways_request *in,
                                   struct ec2_describe_internet_gateways_result *out)
{
	out->internet_gateways.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_gateway,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->internet_gateway_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}
