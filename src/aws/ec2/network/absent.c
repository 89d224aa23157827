/* What can be asked for though this cloud has none: gateways of VPNs and carriers, transit gateways, dedicated hosts. Nothing makes
 * any, so the lists are empty, and whoever names one hears that it does not exist. Tools look here before they go on: CDK's
 * Vpc.fromLookup asks for the VPC's VPN gateway. */
#include "aws/ec2/network/vpc.h"
#include "aws/ec2/page.h"

#define KIND(c_name, prefix_, noun_, ids_, code) \
	static const struct ec2_kind c_name = {.prefix = prefix_, \
	                                       .noun = noun_, \
	                                       .ids = ids_, \
	                                       .not_found = code ".NotFound", \
	                                       .malformed = code ".Malformed", \
	                                       .size = 1}
KIND(vpn_gateway, "vgw", "vpnGateway ID", "vpnGatewayIds", "InvalidVpnGatewayID");
KIND(vpn_connection, "vpn", "vpnConnection ID", "vpnConnectionIds", "InvalidVpnConnectionID");
KIND(customer_gateway, "cgw", "customerGateway ID", "customerGatewayIds", "InvalidCustomerGatewayID");
KIND(transit_gateway, "tgw", "transitGateway ID", "transitGatewayIds", "InvalidTransitGatewayID");
KIND(transit_attachment, "tgw-attach", "transitGatewayAttachment ID", "transitGatewayAttachmentIds",
     "InvalidTransitGatewayAttachmentID");
KIND(carrier_gateway, "cagw", "carrierGateway ID", "carrierGatewayIds", "InvalidCarrierGatewayID");
KIND(host, "h", "host ID", "hostIds", "InvalidHostID");

static int list_none(struct call *c, const struct ec2_kind *kind, const struct ec2_field *fields,
                     const struct ec2_filter_list *filters, const struct str_list *ids, const struct opt_int *max_results,
                     struct str next_token)
{
	struct str token;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = kind,
	                                       .fields = fields,
	                                       .filters = filters,
	                                       .ids = ids,
	                                       .max_results = max_results,
	                                       .next_token = next_token},
	                    NULL, &token);
}

int ec2_describe_vpn_gateways(struct call *c, const struct ec2_describe_vpn_gateways_request *in,
                              struct ec2_describe_vpn_gateways_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("amazon-side-asn"),
	        FIELD_NEVER("attachment.state"),
	        FIELD_NEVER("attachment.vpc-id"),
	        FIELD_NEVER("availability-zone"),
	        FIELD_NEVER("state"),
	        FIELD_NEVER("type"),
	        FIELD_NEVER("vpn-gateway-id"),
	        {0},
	};
	out->vpn_gateways.set = true;
	return list_none(c, &vpn_gateway, fields, &in->filters, &in->vpn_gateway_ids, NULL, STR_NONE);
}

int ec2_describe_vpn_connections(struct call *c, const struct ec2_describe_vpn_connections_request *in,
                                 struct ec2_describe_vpn_connections_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("bgp-asn"),
	        FIELD_NEVER("customer-gateway-configuration"),
	        FIELD_NEVER("customer-gateway-id"),
	        FIELD_NEVER("option.static-routes-only"),
	        FIELD_NEVER("route.destination-cidr-block"),
	        FIELD_NEVER("state"),
	        FIELD_NEVER("transit-gateway-id"),
	        FIELD_NEVER("type"),
	        FIELD_NEVER("vpn-connection-id"),
	        FIELD_NEVER("vpn-gateway-id"),
	        {0},
	};
	out->vpn_connections.set = true;
	return list_none(c, &vpn_connection, fields, &in->filters, &in->vpn_connection_ids, NULL, STR_NONE);
}

int ec2_describe_customer_gateways(struct call *c, const struct ec2_describe_customer_gateways_request *in,
                                   struct ec2_describe_customer_gateways_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("bgp-asn"),    FIELD_NEVER("customer-gateway-id"),
	        FIELD_NEVER("ip-address"), FIELD_NEVER("state"),
	        FIELD_NEVER("type"),       {0},
	};
	out->customer_gateways.set = true;
	return list_none(c, &customer_gateway, fields, &in->filters, &in->customer_gateway_ids, NULL, STR_NONE);
}

int ec2_describe_transit_gateways(struct call *c, const struct ec2_describe_transit_gateways_request *in,
                                  struct ec2_describe_transit_gateways_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("options.amazon-side-asn"),
	        FIELD_NEVER("options.association-default-route-table-id"),
	        FIELD_NEVER("options.auto-accept-shared-attachments"),
	        FIELD_NEVER("options.default-route-table-association"),
	        FIELD_NEVER("options.default-route-table-propagation"),
	        FIELD_NEVER("options.dns-support"),
	        FIELD_NEVER("options.propagation-default-route-table-id"),
	        FIELD_NEVER("options.vpn-ecmp-support"),
	        FIELD_NEVER("owner-id"),
	        FIELD_NEVER("state"),
	        FIELD_NEVER("transit-gateway-id"),
	        {0},
	};
	out->transit_gateways.set = true;
	return list_none(c, &transit_gateway, fields, &in->filters, &in->transit_gateway_ids, &in->max_results, in->next_token);
}

int ec2_describe_transit_gateway_attachments(struct call *c, const struct ec2_describe_transit_gateway_attachments_request *in,
                                             struct ec2_describe_transit_gateway_attachments_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("association.state"),
	        FIELD_NEVER("association.transit-gateway-route-table-id"),
	        FIELD_NEVER("resource-id"),
	        FIELD_NEVER("resource-owner-id"),
	        FIELD_NEVER("resource-type"),
	        FIELD_NEVER("state"),
	        FIELD_NEVER("transit-gateway-attachment-id"),
	        FIELD_NEVER("transit-gateway-id"),
	        FIELD_NEVER("transit-gateway-owner-id"),
	        {0},
	};
	out->transit_gateway_attachments.set = true;
	return list_none(c, &transit_attachment, fields, &in->filters, &in->transit_gateway_attachment_ids, &in->max_results,
	                 in->next_token);
}

int ec2_describe_transit_gateway_vpc_attachments(struct call *c,
                                                 const struct ec2_describe_transit_gateway_vpc_attachments_request *in,
                                                 struct ec2_describe_transit_gateway_vpc_attachments_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("state"),
	        FIELD_NEVER("transit-gateway-attachment-id"),
	        FIELD_NEVER("transit-gateway-id"),
	        FIELD_NEVER("vpc-id"),
	        {0},
	};
	out->transit_gateway_vpc_attachments.set = true;
	return list_none(c, &transit_attachment, fields, &in->filters, &in->transit_gateway_attachment_ids, &in->max_results,
	                 in->next_token);
}

int ec2_describe_carrier_gateways(struct call *c, const struct ec2_describe_carrier_gateways_request *in,
                                  struct ec2_describe_carrier_gateways_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("carrier-gateway-id"), FIELD_NEVER("owner-id"), FIELD_NEVER("state"), FIELD_NEVER("vpc-id"), {0},
	};
	out->carrier_gateways.set = true;
	return list_none(c, &carrier_gateway, fields, &in->filters, &in->carrier_gateway_ids, &in->max_results, in->next_token);
}

int ec2_describe_hosts(struct call *c, const struct ec2_describe_hosts_request *in, struct ec2_describe_hosts_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_NEVER("auto-placement"),
	        FIELD_NEVER("availability-zone"),
	        FIELD_NEVER("client-token"),
	        FIELD_NEVER("host-reservation-id"),
	        FIELD_NEVER("instance-type"),
	        FIELD_NEVER("state"),
	        {0},
	};
	out->hosts.set = true;
	return list_none(c, &host, fields, &in->filter, &in->host_ids, &in->max_results, in->next_token);
}
