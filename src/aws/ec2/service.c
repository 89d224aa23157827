/* EC2's table of operations, its beginning and its end. */
#include "aws/ec2/capacity/fleet.h"
#include "aws/ec2/capacity/placement.h"
#include "aws/ec2/capacity/requirements.h"
#include "aws/ec2/capacity/reserved_instances.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/compute.h"
#include "aws/ec2/flow/flow_log.h"
#include "aws/ec2/instance/credit.h"
#include "aws/ec2/instance/event.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/instance/profile.h"
#include "aws/ec2/instance/run.h"
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/sync.h"
#include "aws/ec2/network/transfer.h"
#include "aws/ec2/network/vpc.h"
#include "aws/ec2/storage/import.h"
#include "aws/ec2/storage/snapshot_share.h"
#include "aws/ec2/tag.h"
#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

#define ROW(c_name, name, ...) OP(ec2, c_name, name, .resource = ec2_resource, ##__VA_ARGS__)
#define READ .flags = OP_READ

static const struct service_op ops[] = {
        ROW(accept_vpc_peering_connection, AcceptVpcPeeringConnection),
        ROW(allocate_address, AllocateAddress, .missing = "pools of one's own"),
        ROW(assign_ipv6_addresses, AssignIpv6Addresses, .missing = "delegated prefixes"),
        ROW(assign_private_ip_addresses, AssignPrivateIpAddresses, .missing = "delegated prefixes"),
        ROW(associate_address, AssociateAddress),
        ROW(associate_dhcp_options, AssociateDhcpOptions),
        ROW(associate_iam_instance_profile, AssociateIamInstanceProfile),
        ROW(associate_instance_event_window, AssociateInstanceEventWindow, .missing = "dedicated hosts"),
        ROW(associate_route_table, AssociateRouteTable, .missing = "associations with gateways"),
        ROW(associate_subnet_cidr_block, AssociateSubnetCidrBlock, .missing = "IPAM pools"),
        ROW(associate_vpc_cidr_block, AssociateVpcCidrBlock, .missing = "IPv6 blocks of one's own, IPAM pools"),
        ROW(attach_internet_gateway, AttachInternetGateway),
        ROW(attach_network_interface, AttachNetworkInterface, .missing = "interfaces of another VPC, ENA settings"),
        ROW(attach_volume, AttachVolume),
        ROW(authorize_security_group_egress, AuthorizeSecurityGroupEgress),
        ROW(authorize_security_group_ingress, AuthorizeSecurityGroupIngress),
        ROW(copy_image, CopyImage, .missing = "encryption"),
        ROW(copy_snapshot, CopySnapshot, .missing = "encryption"),
        ROW(create_default_subnet, CreateDefaultSubnet, .missing = "subnets without IPv4"),
        ROW(create_default_vpc, CreateDefaultVpc),
        ROW(create_image, CreateImage, .missing = "snapshots outside of the region"),
        ROW(create_dhcp_options, CreateDhcpOptions, .missing = "name servers of IPv6, preferred lease times"),
        ROW(create_egress_only_internet_gateway, CreateEgressOnlyInternetGateway),
        ROW(create_fleet, CreateFleet,
            .missing = "instance requirements, one type or zone alone, least capacities, total prices, rebalancing"),
        ROW(delete_fleets, DeleteFleets),
        ROW(describe_fleet_history, DescribeFleetHistory, READ),
        ROW(describe_fleet_instances, DescribeFleetInstances, READ),
        ROW(describe_fleets, DescribeFleets, READ),
        ROW(create_flow_logs, CreateFlowLogs,
            .missing =
                    "Firehose, Parquet, transit gateways, NAT gateways, fields that are not seen here (tcp-flags, traffic-path)"),
        ROW(create_instance_event_window, CreateInstanceEventWindow),
        ROW(create_internet_gateway, CreateInternetGateway),
        ROW(create_key_pair, CreateKeyPair, .missing = "PuTTY's format"),
        ROW(create_launch_template, CreateLaunchTemplate),
        ROW(create_launch_template_version, CreateLaunchTemplateVersion, .missing = "resolving aliases"),
        ROW(create_managed_prefix_list, CreateManagedPrefixList),
        ROW(create_nat_gateway, CreateNatGateway, .missing = "private and regional gateways, secondary addresses"),
        ROW(create_network_acl, CreateNetworkAcl),
        ROW(create_network_acl_entry, CreateNetworkAclEntry),
        ROW(create_network_insights_path, CreateNetworkInsightsPath,
            .missing = "ends other than instances, interfaces, internet gateways and addresses; ports of the source"),
        ROW(create_network_interface, CreateNetworkInterface,
            .missing = "primary IPv6 addresses, delegated prefixes, EFA, connection tracking"),
        ROW(create_route, CreateRoute,
            .missing = "NAT64, targets other than gateways of the internet and NAT, interfaces, instances and peerings"),
        ROW(create_route_table, CreateRouteTable),
        ROW(create_security_group, CreateSecurityGroup),
        ROW(create_snapshot, CreateSnapshot, .missing = "outposts"),
        ROW(create_snapshots, CreateSnapshots, .missing = "several volumes of a running instance, outposts"),
        ROW(create_subnet, CreateSubnet, .missing = "subnets without IPv4, IPAM pools, Outposts"),
        ROW(create_subnet_cidr_reservation, CreateSubnetCidrReservation),
        ROW(create_tags, CreateTags),
        ROW(create_volume, CreateVolume, .missing = "encryption, multi-attach"),
        ROW(create_vpc, CreateVpc, .missing = "IPv6 blocks of one's own, IPAM pools, dedicated tenancy"),
        ROW(create_vpc_endpoint, CreateVpcEndpoint, .missing = "interface endpoints, services other than S3"),
        ROW(create_vpc_peering_connection, CreateVpcPeeringConnection),
        ROW(delete_dhcp_options, DeleteDhcpOptions),
        ROW(delete_egress_only_internet_gateway, DeleteEgressOnlyInternetGateway),
        ROW(delete_flow_logs, DeleteFlowLogs),
        ROW(delete_instance_event_window, DeleteInstanceEventWindow),
        ROW(delete_internet_gateway, DeleteInternetGateway),
        ROW(delete_key_pair, DeleteKeyPair),
        ROW(delete_launch_template, DeleteLaunchTemplate),
        ROW(delete_launch_template_versions, DeleteLaunchTemplateVersions),
        ROW(delete_managed_prefix_list, DeleteManagedPrefixList),
        ROW(delete_nat_gateway, DeleteNatGateway),
        ROW(delete_network_acl, DeleteNetworkAcl),
        ROW(delete_network_acl_entry, DeleteNetworkAclEntry),
        ROW(delete_network_insights_analysis, DeleteNetworkInsightsAnalysis),
        ROW(delete_network_insights_path, DeleteNetworkInsightsPath),
        ROW(delete_network_interface, DeleteNetworkInterface),
        ROW(delete_route, DeleteRoute),
        ROW(delete_route_table, DeleteRouteTable),
        ROW(delete_security_group, DeleteSecurityGroup),
        ROW(delete_snapshot, DeleteSnapshot),
        ROW(delete_subnet, DeleteSubnet),
        ROW(delete_subnet_cidr_reservation, DeleteSubnetCidrReservation),
        ROW(delete_tags, DeleteTags),
        ROW(delete_volume, DeleteVolume),
        ROW(delete_vpc, DeleteVpc),
        ROW(delete_vpc_endpoints, DeleteVpcEndpoints),
        ROW(delete_vpc_peering_connection, DeleteVpcPeeringConnection),
        ROW(deregister_image, DeregisterImage),
        ROW(describe_account_attributes, DescribeAccountAttributes, READ,
            .missing = "max-instances and the attributes of EC2-Classic"),
        ROW(describe_addresses, DescribeAddresses, READ),
        ROW(describe_addresses_attribute, DescribeAddressesAttribute, READ),
        ROW(describe_availability_zones, DescribeAvailabilityZones, READ, .missing = "local and wavelength zones"),
        ROW(describe_carrier_gateways, DescribeCarrierGateways, READ),
        ROW(describe_customer_gateways, DescribeCustomerGateways, READ),
        ROW(describe_hosts, DescribeHosts, READ),
        ROW(describe_iam_instance_profile_associations, DescribeIamInstanceProfileAssociations, READ),
        ROW(describe_image_attribute, DescribeImageAttribute, READ,
            .missing = "product codes, when it was launched last, UEFI data"),
        ROW(describe_images, DescribeImages, READ),
        ROW(describe_instance_attribute, DescribeInstanceAttribute, READ),
        ROW(describe_instance_event_windows, DescribeInstanceEventWindows, READ),
        ROW(describe_instance_status, DescribeInstanceStatus, READ, .missing = "the status of attached volumes"),
        ROW(describe_dhcp_options, DescribeDhcpOptions, READ),
        ROW(describe_flow_logs, DescribeFlowLogs, READ),
        ROW(describe_instance_type_offerings, DescribeInstanceTypeOfferings, READ, .missing = "outposts as locations"),
        ROW(describe_instance_types, DescribeInstanceTypes, READ,
            .missing = "clock speeds, disk bandwidths, network baselines; networks and interface limits of rarer families"),
        ROW(describe_instances, DescribeInstances, READ),
        ROW(describe_egress_only_internet_gateways, DescribeEgressOnlyInternetGateways, READ),
        ROW(describe_internet_gateways, DescribeInternetGateways, READ),
        ROW(describe_key_pairs, DescribeKeyPairs, READ),
        ROW(describe_launch_template_versions, DescribeLaunchTemplateVersions, READ, .missing = "resolving aliases"),
        ROW(describe_launch_templates, DescribeLaunchTemplates, READ),
        ROW(describe_managed_prefix_lists, DescribeManagedPrefixLists, READ),
        ROW(describe_nat_gateways, DescribeNatGateways, READ),
        ROW(describe_network_acls, DescribeNetworkAcls, READ),
        ROW(describe_network_insights_analyses, DescribeNetworkInsightsAnalyses, READ,
            .missing = "the components of a path that is found"),
        ROW(describe_network_insights_paths, DescribeNetworkInsightsPaths, READ),
        ROW(describe_network_interface_attribute, DescribeNetworkInterfaceAttribute, READ),
        ROW(describe_network_interfaces, DescribeNetworkInterfaces, READ),
        ROW(describe_prefix_lists, DescribePrefixLists, READ),
        ROW(describe_regions, DescribeRegions, READ, .missing = "regions that have to be opted in to"),
        ROW(describe_route_tables, DescribeRouteTables, READ),
        ROW(describe_security_group_references, DescribeSecurityGroupReferences, READ),
        ROW(describe_security_group_rules, DescribeSecurityGroupRules, READ),
        ROW(describe_security_groups, DescribeSecurityGroups, READ),
        ROW(describe_snapshot_attribute, DescribeSnapshotAttribute, READ, .missing = "product codes"),
        ROW(describe_snapshots, DescribeSnapshots, READ),
        ROW(describe_stale_security_groups, DescribeStaleSecurityGroups, READ),
        ROW(describe_subnets, DescribeSubnets, READ),
        ROW(describe_tags, DescribeTags, READ),
        ROW(describe_transit_gateway_attachments, DescribeTransitGatewayAttachments, READ),
        ROW(describe_transit_gateway_vpc_attachments, DescribeTransitGatewayVpcAttachments, READ),
        ROW(describe_transit_gateways, DescribeTransitGateways, READ),
        ROW(describe_volume_attribute, DescribeVolumeAttribute, READ),
        ROW(describe_volume_status, DescribeVolumeStatus, READ, .missing = "events and actions"),
        ROW(describe_volumes, DescribeVolumes, READ),
        ROW(describe_volumes_modifications, DescribeVolumesModifications, READ),
        ROW(describe_vpc_attribute, DescribeVpcAttribute, READ),
        ROW(describe_vpc_endpoint_services, DescribeVpcEndpointServices, READ),
        ROW(describe_vpc_endpoints, DescribeVpcEndpoints, READ),
        ROW(describe_vpc_peering_connections, DescribeVpcPeeringConnections, READ),
        ROW(describe_vpcs, DescribeVpcs, READ),
        ROW(describe_vpn_connections, DescribeVpnConnections, READ),
        ROW(describe_vpn_gateways, DescribeVpnGateways, READ),
        ROW(detach_internet_gateway, DetachInternetGateway),
        ROW(detach_network_interface, DetachNetworkInterface),
        ROW(detach_volume, DetachVolume),
        ROW(disable_image, DisableImage),
        ROW(disable_image_deprecation, DisableImageDeprecation),
        ROW(disable_image_deregistration_protection, DisableImageDeregistrationProtection),
        ROW(disassociate_address, DisassociateAddress),
        ROW(disassociate_iam_instance_profile, DisassociateIamInstanceProfile),
        ROW(disassociate_instance_event_window, DisassociateInstanceEventWindow),
        ROW(disassociate_route_table, DisassociateRouteTable),
        ROW(disassociate_subnet_cidr_block, DisassociateSubnetCidrBlock),
        ROW(disassociate_vpc_cidr_block, DisassociateVpcCidrBlock),
        ROW(enable_image, EnableImage),
        ROW(enable_image_deprecation, EnableImageDeprecation),
        ROW(enable_image_deregistration_protection, EnableImageDeregistrationProtection, .missing = "a cooldown"),
        ROW(get_console_output, GetConsoleOutput, READ),
        ROW(get_console_screenshot, GetConsoleScreenshot, READ,
            .missing = "containers, and machines that start with a kernel of the cloud: they have no screen"),
        ROW(modify_image_attribute, ModifyImageAttribute, .missing = "organizations, product codes"),
        ROW(describe_instance_credit_specifications, DescribeInstanceCreditSpecifications, READ),
        ROW(get_default_credit_specification, GetDefaultCreditSpecification, READ),
        ROW(modify_default_credit_specification, ModifyDefaultCreditSpecification),
        ROW(modify_instance_credit_specification, ModifyInstanceCreditSpecification),
        ROW(get_instance_metadata_defaults, GetInstanceMetadataDefaults, READ),
        ROW(modify_instance_metadata_defaults, ModifyInstanceMetadataDefaults, .missing = "enforcing tokens"),
        ROW(modify_fleet, ModifyFleet),
        ROW(modify_instance_event_window, ModifyInstanceEventWindow),
        ROW(modify_instance_event_start_time, ModifyInstanceEventStartTime),
        ROW(get_instance_types_from_instance_requirements, GetInstanceTypesFromInstanceRequirements, READ,
            .missing = "bandwidths, performance factors, price protection"),
        ROW(get_launch_template_data, GetLaunchTemplateData, READ),
        ROW(get_security_groups_for_vpc, GetSecurityGroupsForVpc, READ, .missing = "groups that are shared or associated"),
        ROW(get_subnet_cidr_reservations, GetSubnetCidrReservations, READ),
        ROW(get_ebs_encryption_by_default, GetEbsEncryptionByDefault, READ, .missing = "encryption: always off"),
        ROW(get_password_data, GetPasswordData, READ, .missing = "Windows"),
        ROW(get_spot_placement_scores, GetSpotPlacementScores, READ),
        ROW(get_managed_prefix_list_entries, GetManagedPrefixListEntries, READ),
        ROW(cancel_capacity_reservation, CancelCapacityReservation),
        ROW(create_capacity_reservation, CreateCapacityReservation,
            .missing = "platforms other than Linux/UNIX, dedicated tenancy, later starts, placement groups, Outposts"),
        ROW(describe_capacity_reservations, DescribeCapacityReservations, READ),
        ROW(modify_capacity_reservation, ModifyCapacityReservation),
        ROW(cancel_import_task, CancelImportTask),
        ROW(describe_import_image_tasks, DescribeImportImageTasks, READ),
        ROW(describe_import_snapshot_tasks, DescribeImportSnapshotTasks, READ),
        ROW(cancel_spot_instance_requests, CancelSpotInstanceRequests),
        ROW(describe_spot_instance_requests, DescribeSpotInstanceRequests, READ),
        ROW(describe_spot_price_history, DescribeSpotPriceHistory, READ, .missing = "prices that change, systems other than Linux"),
        ROW(describe_reserved_instances, DescribeReservedInstances, READ),
        ROW(describe_reserved_instances_offerings, DescribeReservedInstancesOfferings, READ,
            .missing = "offerings but standard ones of a region for a year without upfront, the marketplace"),
        ROW(purchase_reserved_instances_offering, PurchaseReservedInstancesOffering, .missing = "purchases at a later time"),
        ROW(request_spot_instances, RequestSpotInstances,
            .missing = "stopping and hibernating at an interruption, durations, launch and zone groups"),
        ROW(create_placement_group, CreatePlacementGroup, .missing = "spreading over hosts, links"),
        ROW(delete_placement_group, DeletePlacementGroup),
        ROW(describe_placement_groups, DescribePlacementGroups, READ),
        ROW(modify_instance_placement, ModifyInstancePlacement, .missing = "dedicated hosts and tenancies"),
        ROW(import_image, ImportImage, .missing = "formats other than raw, several disks, URLs, licences, encryption, UEFI"),
        ROW(import_snapshot, ImportSnapshot, .missing = "formats other than raw, URLs, encryption"),
        ROW(import_key_pair, ImportKeyPair, .missing = "PEM and DER: the key has to be a line of OpenSSH's"),
        ROW(modify_instance_attribute, ModifyInstanceAttribute, .missing = "EBS and network optimisations"),
        ROW(modify_instance_capacity_reservation_attributes, ModifyInstanceCapacityReservationAttributes,
            .missing = "groups of reservations"),
        ROW(modify_instance_maintenance_options, ModifyInstanceMaintenanceOptions,
            .missing = "automatic recovery, migration at a reboot"),
        ROW(modify_instance_metadata_options, ModifyInstanceMetadataOptions),
        ROW(modify_launch_template, ModifyLaunchTemplate),
        ROW(modify_managed_prefix_list, ModifyManagedPrefixList, .missing = "a larger maximum while the list is in use"),
        ROW(modify_network_interface_attribute, ModifyNetworkInterfaceAttribute,
            .missing = "ENA settings, connection tracking, public addresses"),
        ROW(modify_private_dns_name_options, ModifyPrivateDnsNameOptions, .missing = "names after instances' ids"),
        ROW(modify_security_group_rules, ModifySecurityGroupRules),
        ROW(modify_snapshot_attribute, ModifySnapshotAttribute, .missing = "product codes"),
        ROW(modify_subnet_attribute, ModifySubnetAttribute, .missing = "DNS64, Outposts, names after instances' ids"),
        ROW(modify_volume, ModifyVolume, .missing = "multi-attach"),
        ROW(monitor_instances, MonitorInstances),
        ROW(reboot_instances, RebootInstances),
        ROW(reject_vpc_peering_connection, RejectVpcPeeringConnection),
        ROW(register_image, RegisterImage, .missing = "manifests, kernels of one's own, UEFI"),
        ROW(modify_vpc_endpoint, ModifyVpcEndpoint, .missing = "interface endpoints"),
        ROW(modify_vpc_attribute, ModifyVpcAttribute, .missing = "network address usage metrics"),
        ROW(release_address, ReleaseAddress),
        ROW(replace_iam_instance_profile_association, ReplaceIamInstanceProfileAssociation),
        ROW(replace_network_acl_association, ReplaceNetworkAclAssociation),
        ROW(replace_network_acl_entry, ReplaceNetworkAclEntry),
        ROW(replace_route, ReplaceRoute, .missing = "as CreateRoute"),
        ROW(replace_route_table_association, ReplaceRouteTableAssociation),
        ROW(reset_instance_attribute, ResetInstanceAttribute, .missing = "kernels"),
        ROW(reset_image_attribute, ResetImageAttribute),
        ROW(reset_snapshot_attribute, ResetSnapshotAttribute),
        ROW(reset_network_interface_attribute, ResetNetworkInterfaceAttribute),
        ROW(revoke_security_group_egress, RevokeSecurityGroupEgress),
        ROW(revoke_security_group_ingress, RevokeSecurityGroupIngress),
        ROW(run_instances, RunInstances,
            .missing =
                    "stopping spot instances at an interruption, fewer processors than the type has, primary IPv6 addresses, hibernation"),
        ROW(start_instances, StartInstances),
        ROW(start_network_insights_analysis, StartNetworkInsightsAnalysis, .missing = "other accounts, filters of components"),
        ROW(stop_instances, StopInstances, .missing = "hibernation"),
        ROW(terminate_instances, TerminateInstances),
        ROW(unassign_ipv6_addresses, UnassignIpv6Addresses, .missing = "delegated prefixes"),
        ROW(unassign_private_ip_addresses, UnassignPrivateIpAddresses, .missing = "delegated prefixes"),
        ROW(unmonitor_instances, UnmonitorInstances),
        ROW(update_security_group_rule_descriptions_egress, UpdateSecurityGroupRuleDescriptionsEgress),
        ROW(update_security_group_rule_descriptions_ingress, UpdateSecurityGroupRuleDescriptionsIngress),
};

struct ec2_state *ec2_state(const struct call *c)
{
	return cloud_state(c->cloud, &ec2_service);
}

/* An interface that has no device, as a NAT gateway's, comes without a descriptor. */
static void on_port(void *ctx, const char *interface, int fd)
{
	struct ec2_state *s = ctx;
	if (ec2_port_is_lent(s, interface, fd))
		return;
	if (fd < 0)
		ec2_nat_in_place(s, interface);
	else if (s->on_port)
		s->on_port(s, interface, fd);
	else
		close(fd);
}

static void on_listener(void *ctx, const char *vpc, enum network_listener kind, int fd)
{
	struct ec2_state *s = ctx;
	if (s->on_listener)
		s->on_listener(s, vpc, kind, fd);
	else
		close(fd);
}

static void on_flows(void *ctx, const char *interface, const struct network_flow *flows, size_t count, uint64_t missed)
{
	struct ec2_state *s = ctx;
	if (s->flows)
		flow_recorder_take(s->flows, interface, flows, count, missed);
}

static void on_socket(void *ctx, const char *vpc, const char *interface, enum network_socket kind, uint32_t tag, int fd)
{
	struct ec2_state *s = ctx;
	if (s->on_socket)
		s->on_socket(s, vpc, interface, kind, tag, fd);
	else if (fd >= 0)
		close(fd);
}

static const struct network_events network_events = {
        .port = on_port, .listener = on_listener, .flows = on_flows, .socket = on_socket};

static int ec2_upgrade(struct cloud *cloud)
{
	return ec2_held_start(cloud->store, cloud->loop);
}

static int ec2_start(struct cloud *cloud, void **ret_state)
{
	struct ec2_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (ec2)");
	s->cloud = cloud;
	s->networks = networks_new(cloud->loop, cloud->cells, cloud->data_dir, &network_events, s);
	s->sync = ec2_sync_new(cloud->store, cloud->loop, s->networks);
	if (cloud->chaos)
		ec2_sync_chaos(s->sync, cloud->chaos);
	s->flows = flow_recorder_new(s);
	s->transfers = transfers_start(cloud, s->networks, s->sync);
	*ret_state = s;
	return compute_start(s);
}

static void ec2_stop(void *state)
{
	struct ec2_state *s = state;
	if (!s)
		return;
	transfers_stop(s->transfers);
	flow_recorder_free(s->flows);
	compute_stop(s);
	ec2_sync_free(s->sync);
	networks_free(s->networks);
	free(s);
}

const struct service ec2_service = {
        .api = &ec2_api,
        .iam_prefix = "ec2",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .around = ec2_run,
        .check_first = ec2_launch_template_check_first,
        .upgrade = ec2_upgrade,
        .start = ec2_start,
        .stop = ec2_stop,
};
