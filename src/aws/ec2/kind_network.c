/* The kinds of things that say something about networks beside those that they consist of. */
#include "aws/ec2/kind.h"

#define ROW_OF(api, shape, type) .row = {&api##_api, shape}, .size = sizeof(struct type)

const struct ec2_kind ec2_kind_peering = {
        .prefix = "pcx",
        .type = "vpc-peering-connection",
        .noun = "vpcPeeringConnection ID",
        .ids = "vpcPeeringConnectionIds",
        .not_found = "InvalidVpcPeeringConnectionID.NotFound",
        .malformed = "InvalidVpcPeeringConnectionId.Malformed",
        .tags_at = offsetof(struct ec2_vpc_peering_connection, tags),
        ROW_OF(ec2, "VpcPeeringConnection", ec2_vpc_peering_connection),
};
const struct ec2_kind ec2_kind_path = {
        .prefix = "nip",
        .type = "network-insights-path",
        .noun = "network insights path ID",
        .ids = "networkInsightsPathIds",
        .not_found = "InvalidNetworkInsightsPathId.NotFound",
        .malformed = "InvalidNetworkInsightsPathId.Malformed",
        .tags_at = offsetof(struct ec2_network_insights_path, tags),
        ROW_OF(ec2, "NetworkInsightsPath", ec2_network_insights_path),
};
const struct ec2_kind ec2_kind_analysis = {
        .prefix = "nia",
        .type = "network-insights-analysis",
        .noun = "network insights analysis ID",
        .ids = "networkInsightsAnalysisIds",
        .not_found = "InvalidNetworkInsightsAnalysisId.NotFound",
        .malformed = "InvalidNetworkInsightsAnalysisId.Malformed",
        .tags_at = offsetof(struct ec2_network_insights_analysis, tags),
        ROW_OF(ec2, "NetworkInsightsAnalysis", ec2_network_insights_analysis),
};
const struct ec2_kind ec2_kind_egress_gateway = {
        .prefix = "eigw",
        .type = "egress-only-internet-gateway",
        .noun = "egressOnlyInternetGateway ID",
        .ids = "egressOnlyInternetGatewayIds",
        .not_found = "InvalidEgressOnlyInternetGatewayId.NotFound",
        .malformed = "InvalidEgressOnlyInternetGatewayId.Malformed",
        .tags_at = offsetof(struct ec2_egress_only_internet_gateway, tags),
        ROW_OF(ec2, "EgressOnlyInternetGateway", ec2_egress_only_internet_gateway),
};
