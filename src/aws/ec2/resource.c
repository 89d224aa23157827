/* What the permission of each operation is about. One row says which member of the input names something of which kind; the
 * question is asked for each of them, and all must be allowed. Operations without a row are about "*". */
#include "aws/ec2/capacity/fleet.h"
#include "aws/ec2/capacity/placement.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/compute.h"
#include "aws/ec2/flow/flow_log.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/storage/import.h"
#include "aws/ec2/tag.h"

static const struct {
	const char *op;
	const struct ec2_kind *kind; /* NULL: what the prefix of each id says */
	const char *member;          /* a text or a list of texts; NULL: what the operation makes */
} rows[] = {
        {"AcceptVpcPeeringConnection", &ec2_kind_peering, "VpcPeeringConnectionId"},
        {"AllocateAddress", &ec2_kind_address, NULL},
        {"AssignIpv6Addresses", &ec2_kind_interface, "NetworkInterfaceId"},
        {"AssignPrivateIpAddresses", &ec2_kind_interface, "NetworkInterfaceId"},
        {"AssociateAddress", &ec2_kind_address, "AllocationId"},
        {"AssociateAddress", &ec2_kind_interface, "NetworkInterfaceId"},
        {"AssociateDhcpOptions", &ec2_kind_dhcp, "DhcpOptionsId"},
        {"AssociateDhcpOptions", &ec2_kind_vpc, "VpcId"},
        {"AssociateIamInstanceProfile", &ec2_kind_instance, "InstanceId"},
        {"AssociateInstanceEventWindow", &ec2_kind_event_window, "InstanceEventWindowId"},
        {"AssociateRouteTable", &ec2_kind_route_table, "RouteTableId"},
        {"AssociateRouteTable", &ec2_kind_subnet, "SubnetId"},
        {"AssociateSubnetCidrBlock", &ec2_kind_subnet, "SubnetId"},
        {"AssociateVpcCidrBlock", &ec2_kind_vpc, "VpcId"},
        {"AttachInternetGateway", &ec2_kind_gateway, "InternetGatewayId"},
        {"AttachInternetGateway", &ec2_kind_vpc, "VpcId"},
        {"AttachNetworkInterface", &ec2_kind_interface, "NetworkInterfaceId"},
        {"AttachNetworkInterface", &ec2_kind_instance, "InstanceId"},
        {"AuthorizeSecurityGroupEgress", &ec2_kind_group, "GroupId"},
        {"AuthorizeSecurityGroupIngress", &ec2_kind_group, "GroupId"},
        {"CreateDhcpOptions", &ec2_kind_dhcp, NULL},
        {"CreateEgressOnlyInternetGateway", &ec2_kind_egress_gateway, NULL},
        {"CreateEgressOnlyInternetGateway", &ec2_kind_vpc, "VpcId"},
        {"CreateFleet", &ec2_kind_fleet, NULL},
        {"DeleteFleets", &ec2_kind_fleet, "FleetIds"},
        {"DescribeFleetHistory", &ec2_kind_fleet, "FleetId"},
        {"DescribeFleetInstances", &ec2_kind_fleet, "FleetId"},
        {"ModifyFleet", &ec2_kind_fleet, "FleetId"},
        {"CreateFlowLogs", &ec2_kind_flow_log, NULL},
        {"CreateFlowLogs", NULL, "ResourceIds"},
        {"CreateInstanceEventWindow", &ec2_kind_event_window, NULL},
        {"DeleteInstanceEventWindow", &ec2_kind_event_window, "InstanceEventWindowId"},
        {"DisassociateInstanceEventWindow", &ec2_kind_event_window, "InstanceEventWindowId"},
        {"ModifyInstanceEventWindow", &ec2_kind_event_window, "InstanceEventWindowId"},
        {"CreateInternetGateway", &ec2_kind_gateway, NULL},
        {"CreateManagedPrefixList", &ec2_kind_prefix_list, NULL},
        {"CreateNatGateway", &ec2_kind_nat, NULL},
        {"CreateNatGateway", &ec2_kind_subnet, "SubnetId"},
        {"CreateNatGateway", &ec2_kind_address, "AllocationId"},
        {"CreateNetworkAcl", &ec2_kind_acl, NULL},
        {"CreateNetworkAcl", &ec2_kind_vpc, "VpcId"},
        {"CreateNetworkAclEntry", &ec2_kind_acl, "NetworkAclId"},
        {"CreateNetworkInterface", &ec2_kind_interface, NULL},
        {"CreateNetworkInterface", &ec2_kind_subnet, "SubnetId"},
        {"CreateNetworkInterface", &ec2_kind_group, "Groups"},
        {"CreateNetworkInsightsPath", &ec2_kind_path, NULL},
        {"CreateRoute", &ec2_kind_route_table, "RouteTableId"},
        {"CreateRouteTable", &ec2_kind_route_table, NULL},
        {"CreateRouteTable", &ec2_kind_vpc, "VpcId"},
        {"CreateSecurityGroup", &ec2_kind_group, NULL},
        {"CreateSecurityGroup", &ec2_kind_vpc, "VpcId"},
        {"CreateSubnet", &ec2_kind_subnet, NULL},
        {"CreateSubnet", &ec2_kind_vpc, "VpcId"},
        {"CreateSubnetCidrReservation", &ec2_kind_subnet, "SubnetId"},
        {"CreateVpc", &ec2_kind_vpc, NULL},
        {"CreateVpcEndpoint", &ec2_kind_vpc, "VpcId"},
        {"CreateVpcEndpoint", &ec2_kind_route_table, "RouteTableIds"},
        {"CreateVpcEndpoint", &ec2_kind_endpoint, NULL},
        {"CreateVpcPeeringConnection", &ec2_kind_vpc, "VpcId"},
        {"CreateVpcPeeringConnection", &ec2_kind_peering, NULL},
        {"DeleteDhcpOptions", &ec2_kind_dhcp, "DhcpOptionsId"},
        {"DeleteEgressOnlyInternetGateway", &ec2_kind_egress_gateway, "EgressOnlyInternetGatewayId"},
        {"DeleteFlowLogs", &ec2_kind_flow_log, "FlowLogIds"},
        {"DeleteInternetGateway", &ec2_kind_gateway, "InternetGatewayId"},
        {"DeleteManagedPrefixList", &ec2_kind_prefix_list, "PrefixListId"},
        {"DeleteNatGateway", &ec2_kind_nat, "NatGatewayId"},
        {"DeleteNetworkAcl", &ec2_kind_acl, "NetworkAclId"},
        {"DeleteNetworkAclEntry", &ec2_kind_acl, "NetworkAclId"},
        {"DeleteNetworkInsightsAnalysis", &ec2_kind_analysis, "NetworkInsightsAnalysisId"},
        {"DeleteNetworkInsightsPath", &ec2_kind_path, "NetworkInsightsPathId"},
        {"DeleteNetworkInterface", &ec2_kind_interface, "NetworkInterfaceId"},
        {"DeleteRoute", &ec2_kind_route_table, "RouteTableId"},
        {"DeleteRouteTable", &ec2_kind_route_table, "RouteTableId"},
        {"DeleteSecurityGroup", &ec2_kind_group, "GroupId"},
        {"DeleteSubnet", &ec2_kind_subnet, "SubnetId"},
        {"DeleteVpc", &ec2_kind_vpc, "VpcId"},
        {"DeleteVpcEndpoints", &ec2_kind_endpoint, "VpcEndpointIds"},
        {"DeleteVpcPeeringConnection", &ec2_kind_peering, "VpcPeeringConnectionId"},
        {"DescribeVpcAttribute", &ec2_kind_vpc, "VpcId"},
        {"DetachInternetGateway", &ec2_kind_gateway, "InternetGatewayId"},
        {"DetachInternetGateway", &ec2_kind_vpc, "VpcId"},
        {"DetachNetworkInterface", &ec2_kind_interface, NULL},
        {"DisableImage", &ec2_kind_image, "ImageId"},
        {"DisableImageDeprecation", &ec2_kind_image, "ImageId"},
        {"DisableImageDeregistrationProtection", &ec2_kind_image, "ImageId"},
        {"DisassociateVpcCidrBlock", &ec2_kind_vpc, NULL},
        {"GetManagedPrefixListEntries", &ec2_kind_prefix_list, "PrefixListId"},
        {"ModifyManagedPrefixList", &ec2_kind_prefix_list, "PrefixListId"},
        {"ModifyNetworkInterfaceAttribute", &ec2_kind_interface, "NetworkInterfaceId"},
        {"ModifySecurityGroupRules", &ec2_kind_group, "GroupId"},
        {"ModifySubnetAttribute", &ec2_kind_subnet, "SubnetId"},
        {"ModifyVpcAttribute", &ec2_kind_vpc, "VpcId"},
        {"ModifyVpcEndpoint", &ec2_kind_endpoint, "VpcEndpointId"},
        {"ModifyVpcEndpoint", &ec2_kind_route_table, "AddRouteTableIds"},
        {"ModifyVpcEndpoint", &ec2_kind_route_table, "RemoveRouteTableIds"},
        {"RejectVpcPeeringConnection", &ec2_kind_peering, "VpcPeeringConnectionId"},
        {"ReleaseAddress", &ec2_kind_address, "AllocationId"},
        {"ReplaceNetworkAclEntry", &ec2_kind_acl, "NetworkAclId"},
        {"ReplaceNetworkAclAssociation", &ec2_kind_acl, "NetworkAclId"},
        {"ReplaceRoute", &ec2_kind_route_table, "RouteTableId"},
        {"ReplaceRouteTableAssociation", &ec2_kind_route_table, "RouteTableId"},
        {"RevokeSecurityGroupEgress", &ec2_kind_group, "GroupId"},
        {"RevokeSecurityGroupIngress", &ec2_kind_group, "GroupId"},
        {"UnassignIpv6Addresses", &ec2_kind_interface, "NetworkInterfaceId"},
        {"UnassignPrivateIpAddresses", &ec2_kind_interface, "NetworkInterfaceId"},
        {"UpdateSecurityGroupRuleDescriptionsEgress", &ec2_kind_group, "GroupId"},
        {"UpdateSecurityGroupRuleDescriptionsIngress", &ec2_kind_group, "GroupId"},
        {"AttachVolume", &ec2_kind_volume, "VolumeId"},
        {"AttachVolume", &ec2_kind_instance, "InstanceId"},
        {"CancelCapacityReservation", &ec2_kind_reservation, "CapacityReservationId"},
        {"CreateCapacityReservation", &ec2_kind_reservation, NULL},
        {"ModifyCapacityReservation", &ec2_kind_reservation, "CapacityReservationId"},
        {"CopyImage", &ec2_kind_image, NULL},
        {"CopySnapshot", &ec2_kind_snapshot, NULL},
        {"CreateImage", &ec2_kind_image, NULL},
        {"CreateImage", &ec2_kind_instance, "InstanceId"},
        {"CreateKeyPair", &ec2_kind_key_pair, NULL},
        {"CreateLaunchTemplate", &ec2_kind_launch_template, NULL},
        {"CreateLaunchTemplateVersion", &ec2_kind_launch_template, "LaunchTemplateId"},
        {"CreateSnapshot", &ec2_kind_snapshot, NULL},
        {"CreateSnapshot", &ec2_kind_volume, "VolumeId"},
        {"CreateSnapshots", &ec2_kind_snapshot, NULL},
        {"CreateVolume", &ec2_kind_volume, NULL},
        {"DeleteKeyPair", &ec2_kind_key_pair, "KeyPairId"},
        {"DeleteLaunchTemplate", &ec2_kind_launch_template, "LaunchTemplateId"},
        {"DeleteLaunchTemplateVersions", &ec2_kind_launch_template, "LaunchTemplateId"},
        {"DeleteSnapshot", &ec2_kind_snapshot, "SnapshotId"},
        {"DeleteVolume", &ec2_kind_volume, "VolumeId"},
        {"DeregisterImage", &ec2_kind_image, "ImageId"},
        {"DescribeInstanceAttribute", &ec2_kind_instance, "InstanceId"},
        {"DescribeVolumeAttribute", &ec2_kind_volume, "VolumeId"},
        {"GetPasswordData", &ec2_kind_instance, "InstanceId"},
        {"ResetInstanceAttribute", &ec2_kind_instance, "InstanceId"},
        {"DetachVolume", &ec2_kind_volume, "VolumeId"},
        {"DetachVolume", &ec2_kind_instance, "InstanceId"},
        {"EnableImage", &ec2_kind_image, "ImageId"},
        {"EnableImageDeprecation", &ec2_kind_image, "ImageId"},
        {"EnableImageDeregistrationProtection", &ec2_kind_image, "ImageId"},
        {"GetConsoleOutput", &ec2_kind_instance, "InstanceId"},
        {"GetConsoleScreenshot", &ec2_kind_instance, "InstanceId"},
        {"ImportImage", &ec2_kind_import_image, NULL},
        {"ImportImage", &ec2_kind_image, NULL},
        {"ImportImage", &ec2_kind_snapshot, NULL},
        {"ImportKeyPair", &ec2_kind_key_pair, NULL},
        {"ImportSnapshot", &ec2_kind_import_snapshot, NULL},
        {"ImportSnapshot", &ec2_kind_snapshot, NULL},
        {"ModifyImageAttribute", &ec2_kind_image, "ImageId"},
        {"DescribeImageAttribute", &ec2_kind_image, "ImageId"},
        {"ResetImageAttribute", &ec2_kind_image, "ImageId"},
        {"ModifyInstanceAttribute", &ec2_kind_instance, "InstanceId"},
        {"ModifyInstanceEventStartTime", &ec2_kind_instance, "InstanceId"},
        {"ModifyInstanceCapacityReservationAttributes", &ec2_kind_instance, "InstanceId"},
        {"ModifyInstanceMaintenanceOptions", &ec2_kind_instance, "InstanceId"},
        {"ModifyInstanceMetadataOptions", &ec2_kind_instance, "InstanceId"},
        {"ModifyPrivateDnsNameOptions", &ec2_kind_instance, "InstanceId"},
        {"CreatePlacementGroup", &ec2_kind_placement_group, NULL},
        {"ModifyInstancePlacement", &ec2_kind_instance, "InstanceId"},
        {"ModifyLaunchTemplate", &ec2_kind_launch_template, "LaunchTemplateId"},
        {"DescribeSnapshotAttribute", &ec2_kind_snapshot, "SnapshotId"},
        {"ModifySnapshotAttribute", &ec2_kind_snapshot, "SnapshotId"},
        {"ResetSnapshotAttribute", &ec2_kind_snapshot, "SnapshotId"},
        {"ModifyVolume", &ec2_kind_volume, "VolumeId"},
        {"MonitorInstances", &ec2_kind_instance, "InstanceIds"},
        {"RebootInstances", &ec2_kind_instance, "InstanceIds"},
        {"RegisterImage", &ec2_kind_image, NULL},
        {"RequestSpotInstances", &ec2_kind_spot_request, NULL},
        {"CancelSpotInstanceRequests", &ec2_kind_spot_request, "SpotInstanceRequestIds"},
        {"RunInstances", &ec2_kind_image, "ImageId"},
        {"RunInstances", &ec2_kind_subnet, "SubnetId"},
        {"RunInstances", &ec2_kind_group, "SecurityGroupIds"},
        {"RunInstances", &ec2_kind_instance, NULL},
        {"StartInstances", &ec2_kind_instance, "InstanceIds"},
        {"StartNetworkInsightsAnalysis", &ec2_kind_path, "NetworkInsightsPathId"},
        {"StartNetworkInsightsAnalysis", &ec2_kind_analysis, NULL},
        {"StopInstances", &ec2_kind_instance, "InstanceIds"},
        {"TerminateInstances", &ec2_kind_instance, "InstanceIds"},
        {"UnmonitorInstances", &ec2_kind_instance, "InstanceIds"},
};

static const void *input_at(struct call *c, const char *name, const struct shape **ret_shape)
{
	const struct api *api = c->service->api;
	const struct shape *shape = operation_input(api, c->op);
	for (uint32_t i = 0; shape && i < shape->members; i++) {
		const struct member *m = &api->members[shape->first_member + i];
		*ret_shape = api_shape(api, m->shape);
		if (str_is(api_text(api, m->name), name))
			return (const char *)c->in + m->offset;
	}
	return NULL;
}

struct question {
	struct authz az;
	bool set;
};

/* Asks what was there before and remembers this one: the last is asked by the gate. */
static bool ask(struct call *c, struct question *q, const struct ec2_kind *kind, struct str id)
{
	if (q->set && !call_authorize(c, &q->az))
		return false;
	q->az.resource = ec2_arn(c, kind, id);
	q->az.keys = NULL;
	q->az.key_count = 0;
	q->set = true;
	authz_add(c, &q->az, "ec2:Region", c->region);
	struct ec2_scope s = ec2_scope(c);
	void *record = arena_zalloc(c->arena, kind->size);
	if (!ec2_find(&s, kind, id, record))
		return true;
	struct str_map map = {0};
	const struct ec2_tag_list *tags = ec2_tags(kind, record);
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, &q->az, "aws:ResourceTag", &map);
	authz_add_tags(c, &q->az, "ec2:ResourceTag", &map);
	return true;
}

static bool ask_made(struct call *c, struct question *q, const struct ec2_kind *kind)
{
	const struct shape *shape;
	const struct ec2_tag_specification_list *specs = input_at(c, "TagSpecifications", &shape);
	if (!ask(c, q, kind, S("*")))
		return false;
	for (uint32_t i = 0; specs && i < specs->n; i++)
		if (str_is(specs->v[i].resource_type, kind->type))
			ec2_authz_request_tags(c, &q->az, &specs->v[i].tags);
	return true;
}

static bool ask_member(struct call *c, struct question *q, const struct ec2_kind *kind, const char *member)
{
	const struct shape *shape;
	const void *at = input_at(c, member, &shape);
	if (!at)
		return true;
	if (shape->kind == SHAPE_STRING) {
		struct str id = *(const struct str *)at;
		return !str_set(id) || ec2_image_is_named(id) || ask(c, q, kind, id); /* of a name resolve.c asks */
	}
	const struct str_list *ids = at;
	for (uint32_t i = 0; i < ids->n; i++) {
		const struct ec2_kind *its = kind ? kind : ec2_kind_of_id(ids->v[i]);
		if (its && !ask(c, q, its, ids->v[i]))
			return false;
	}
	return true;
}

static bool ask_tagging(struct call *c, struct question *q, const struct str_list *ids, const struct ec2_tag_list *tags)
{
	for (uint32_t i = 0; i < ids->n; i++) {
		const struct ec2_kind *kind = ec2_kind_of_id(ids->v[i]);
		if (!kind)
			continue; /* the handler refuses it */
		if (!ask(c, q, kind, ids->v[i]))
			return false;
		ec2_authz_request_tags(c, &q->az, tags);
	}
	return true;
}

bool ec2_allowed(struct call *c, const struct ec2_kind *kind, struct str id)
{
	struct question q = {.az.action = ARENA_CAT(c->arena, S("ec2:"), str_from(c->row->name))};
	return ask(c, &q, kind, id) && call_authorize(c, &q.az);
}

/* A launch template may be named in its own words. */
static bool ask_template(struct call *c, struct question *q, struct str id, struct str name)
{
	if (!id.n)
		id = ec2_launch_template_id(c, name);
	return !str_set(id) || ask(c, q, &ec2_kind_launch_template, id);
}

int ec2_resource(struct call *c, const void *in, struct authz *az)
{
	struct question q = {.az = *az};
	struct str op = str_from(c->row->name);
	if (str_is(op, "CreateTags") || str_is(op, "DeleteTags")) {
		const struct ec2_create_tags_request *tagging = in;
		_Static_assert(sizeof(struct ec2_create_tags_request) == sizeof(struct ec2_delete_tags_request), "both are alike");
		if (!ask_tagging(c, &q, &tagging->resources, &tagging->tags))
			return CALL_FAIL;
	}
	if (str_is(op, "RunInstances")) {
		const struct ec2_launch_template_specification *t = ((const struct ec2_run_instances_request *)in)->launch_template;
		if (t && !ask_template(c, &q, t->launch_template_id, t->launch_template_name))
			return CALL_FAIL;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!str_is(op, rows[i].op))
			continue;
		if (rows[i].kind == &ec2_kind_launch_template && rows[i].member &&
		    !ask_template(c, &q, STR_NONE, ec2_input_text(c, "LaunchTemplateName")))
			return CALL_FAIL;
		if (!(rows[i].member ? ask_member(c, &q, rows[i].kind, rows[i].member) : ask_made(c, &q, rows[i].kind)))
			return CALL_FAIL;
	}
	*az = q.az;
	return CALL_OK;
}
