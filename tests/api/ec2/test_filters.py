"""Filters: every name that EC2's documentation lists for an operation is taken, and finds what has that value and nothing else."""
import re
import uuid

from aws import client
from botocore.exceptions import ClientError, ParamValidationError
from ec2 import Ec2Case, end_instances, halting_image, wait_for

# Newer than the SDK that these tests run with, or in a list that the documentation spells otherwise.
ALSO = {
    "DescribeInstances": ["availability-zone-id", "operator.managed", "network-interface.operator.principal", "network-interface.tag-key",
                          "network-performance-options.bandwidth-weighting", "capacity-reservation-specification.capacity-reservation-preference"],
    "DescribeInstanceStatus": ["attached-ebs-status.status", "operator.managed", "operator.principal", "availability-zone-id"],
    "DescribeImages": ["free-tier-eligible", "image-allowed", "source-image-id", "source-image-region", "source-instance-id"],
    "DescribeNetworkInterfaces": ["operator.managed", "operator.principal", "availability-zone-id"],
    "DescribeSnapshots": ["transfer-type"],
    "DescribeSpotInstanceRequests": ["launched-availability-zone-id"],
    "DescribeSpotPriceHistory": ["availability-zone-id"],
    "DescribeVolumes": ["operator.managed", "operator.principal", "availability-zone-id"],
    "DescribeVolumeStatus": ["availability-zone-id"],
    "DescribeInstanceTypes": ["reboot-migration-support", "ebs-info.maximum-ebs-attachments", "nitro-tpm-info.supported-versions"],
    "DescribeNetworkInsightsPaths": [f"filter-at-{end}.{what}" for end in ("source", "destination")
                                     for what in ("source-address", "source-port-range", "destination-address", "destination-port-range")],
    "DescribeNetworkInsightsAnalyses": ["path-found", "status"],
    "DescribeImportImageTasks": ["task-state"],
    "DescribeImportSnapshotTasks": ["task-state"],
    "DescribeVpcEndpoints": ["service-region", "ip-address-type"],
    "DescribeVpcEndpointServices": ["service-region", "supported-ip-address-types"],
}
# Values of a filter and names that are misspelt, in the documentation's list of names.
NONE = {"DescribeAvailabilityZones": {"parent-zoneID", "parent-zoneName"},
        "DescribeCapacityReservations": {"active", "expired", "cancelled", "pending", "failed", "open", "targeted", "unlimited", "limited", "default", "dedicated"}}
CALLS = {"DescribeLaunchTemplateVersions": {"Versions": ["$Latest"]}}


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def documented(shape, operation):
    text = shape.documentation
    names = [re.sub("<[^>]+>", "", n) for n in re.findall(r"<li>\s*<p>\s*<code>(.*?)</code>", text)]
    names = [n for n in names if re.fullmatch(r"[A-Za-z0-9.-]+", n) and n != "tag"]
    return sorted(set(names + ALSO.get(operation, [])) - NONE.get(operation, set()))


class Absent(Ec2Case):
    """What nothing here makes is listed as what there is none of, and not refused: tools ask for it on their way."""

    def test_there_are_none(self):
        for call, ids, of, noun, code in (
                ("vpn_gateways", "VpnGatewayIds", "vgw", "vpnGateway", "InvalidVpnGatewayID"),
                ("vpn_connections", "VpnConnectionIds", "vpn", "vpnConnection", "InvalidVpnConnectionID"),
                ("customer_gateways", "CustomerGatewayIds", "cgw", "customerGateway", "InvalidCustomerGatewayID"),
                ("transit_gateways", "TransitGatewayIds", "tgw", "transitGateway", "InvalidTransitGatewayID"),
                ("transit_gateway_attachments", "TransitGatewayAttachmentIds", "tgw-attach", "transitGatewayAttachment", "InvalidTransitGatewayAttachmentID"),
                ("transit_gateway_vpc_attachments", "TransitGatewayAttachmentIds", "tgw-attach", "transitGatewayAttachment",
                 "InvalidTransitGatewayAttachmentID"),
                ("carrier_gateways", "CarrierGatewayIds", "cagw", "carrierGateway", "InvalidCarrierGatewayID"),
                ("hosts", "HostIds", "h", "host", "InvalidHostID")):
            with self.subTest(call):
                ask = getattr(self.ec2, f"describe_{call}")
                found = ask()
                self.assertEqual([v for k, v in found.items() if k != "ResponseMetadata"], [[]])
                self.fails(f"{code}.NotFound", ask, f"The {noun} ID '{of}-0123456789abcdef0' does not exist", **{ids: [f"{of}-0123456789abcdef0"]})
                self.fails(f"{code}.Malformed", ask, **{ids: ["vpc-0123456789abcdef0"]})

    def test_vpn_gateway_of_a_vpc(self):
        """What CDK's look-up of a VPC asks."""
        found = self.ec2.describe_vpn_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [self.vpc()]}, {"Name": "attachment.state", "Values": ["attached"]},
                                                        {"Name": "state", "Values": ["available"]}])
        self.assertEqual(found["VpnGateways"], [])
        self.fails("InvalidNextToken", self.ec2.describe_transit_gateways, NextToken="x")


class Names(Ec2Case):
    def operations(self):
        """What lists things by filters, and is there: (call, how it names filters, the documentation's names)."""
        model = self.ec2.meta.service_model
        for name in model.operation_names:
            shape = model.operation_model(name).input_shape
            member = next((m for m in ("Filters", "Filter") if shape and m in shape.members), None)
            if not name.startswith("Describe") or not member or shape.members[member].name != "FilterList":
                continue
            call = getattr(self.ec2, snake(name))
            try:
                call(**CALLS.get(name, {}))
            except ParamValidationError:
                continue  # it needs something that is absent here
            except ClientError as e:
                if e.response["ResponseMetadata"]["HTTPStatusCode"] == 501:
                    continue
                raise
            yield name, call, member, documented(shape.members[member], name)

    def test_all_are_known(self):
        seen = 0
        for name, call, member, filters in self.operations():
            with self.subTest(name):
                for f in [*filters, "tag:none", "tag-key"]:
                    found = call(**{member: [{"Name": f, "Values": ["there-is-no-such"]}]}, **CALLS.get(name, {}))
                    lists = [v for k, v in found.items() if isinstance(v, list)]
                    self.assertEqual([v for v in lists if v], [], f)
                    seen += 1
                self.fails("InvalidParameterValue", call, "The filter 'no-filter' is invalid", **CALLS.get(name, {}),
                           **{member: [{"Name": "no-filter", "Values": ["x"]}]})
        self.assertGreater(seen, 400)


class Looking(Ec2Case):
    def check(self, call, key, thing, rows, member="Filters", **more):
        """Each row is a filter and a value that the thing has: it is found by it, by a part of it, beside another, and not by another."""
        def ids(name, *values):
            out = []
            for page in call(**{member: [{"Name": name, "Values": list(values)}]}, **more).values():
                for item in page if isinstance(page, list) else []:
                    out += [i[key] for i in item["Instances"]] if "Instances" in item else [item[key]]
            return out
        for name, value in rows:
            value = str(value).lower() if isinstance(value, bool) else str(value)
            with self.subTest(name):
                self.assertIn(thing, ids(name, value), value)
                self.assertIn(thing, ids(name, "there-is-no-such", value[:1] + "*"))
                self.assertNotIn(thing, ids(name, "there-is-no-such" + value))


class Found(Looking):
    """Things that cost no instance."""

    def test_network_acl(self):
        vpc = self.vpc()
        acl = self.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
        self.ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=77, Protocol="1", RuleAction="allow", Egress=True, CidrBlock="10.9.0.0/16",
                                          IcmpTypeCode={"Type": 8, "Code": 5})
        self.ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=78, Protocol="6", RuleAction="deny", Egress=False, CidrBlock="10.8.0.0/16",
                                          PortRange={"From": 81, "To": 99})
        self.check(self.ec2.describe_network_acls, "NetworkAclId", acl, [
            ("entry.icmp.code", 5), ("entry.icmp.type", 8), ("entry.port-range.from", 81), ("entry.port-range.to", 99), ("entry.egress", True),
            ("entry.rule-number", 77), ("entry.cidr", "10.9.0.0/16"), ("entry.protocol", 6), ("entry.rule-action", "deny")])

    def test_security_group(self):
        vpc = self.vpc()
        one, other = self.group(vpc, "one"), self.group(vpc, "other")
        self.ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 81, "ToPort": 99,
                                                                               "UserIdGroupPairs": [{"GroupId": other}]}])
        self.ec2.authorize_security_group_egress(GroupId=one, IpPermissions=[{"IpProtocol": "udp", "FromPort": 82, "ToPort": 98,
                                                                              "UserIdGroupPairs": [{"GroupId": other}]}])
        rows = [("group-name", "other"), ("user-id", "000000000000"), ("group-id", other)]
        self.check(self.ec2.describe_security_groups, "GroupId", one, [(way + name, value) for way in ("ip-permission.", "egress.ip-permission.") for name, value in rows])

    def test_route_table(self):
        vpc, peer = self.vpc(), self.vpc("10.1.0.0/16")
        subnet = self.subnet(vpc)
        pcx = self.ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=peer)["VpcPeeringConnection"]
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.1.0.0/16", VpcPeeringConnectionId=pcx["VpcPeeringConnectionId"])
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.check(self.ec2.describe_route_tables, "RouteTableId", table, [
            ("route.vpc-peering-connection-id", pcx["VpcPeeringConnectionId"]), ("association.subnet-id", subnet), ("route.state", "blackhole")])
        expires = pcx["ExpirationTime"].strftime("%Y-%m-%dT%H:")
        found = self.ec2.describe_vpc_peering_connections(Filters=[{"Name": "expiration-time", "Values": [expires + "*"]}])["VpcPeeringConnections"]
        self.assertEqual([p["VpcPeeringConnectionId"] for p in found], [pcx["VpcPeeringConnectionId"]])
        self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx["VpcPeeringConnectionId"])
        self.assertEqual(self.ec2.describe_vpc_peering_connections(Filters=[{"Name": "expiration-time", "Values": ["*"]}])["VpcPeeringConnections"], [])

    def test_subnet(self):
        subnet = self.subnet(self.vpc())
        rows = [("map-customer-owned-ip-on-launch", False), ("enable-dns64", False)]
        self.check(self.ec2.describe_subnets, "SubnetId", subnet, rows)

    def test_volume(self):
        zone = self.region + "a"
        volume = self.ec2.create_volume(AvailabilityZone=zone, Size=8, VolumeType="gp3")["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
        self.addCleanup(self.ec2.delete_volume, VolumeId=volume)
        zone_id = next(z["ZoneId"] for z in self.ec2.describe_availability_zones()["AvailabilityZones"] if z["ZoneName"] == zone)
        self.check(self.ec2.describe_volume_status, "VolumeId", volume, [
            ("volume-status.status", "ok"), ("volume-status.details-name", "io-enabled"), ("volume-status.details-status", "passed"),
            ("availability-zone-id", zone_id)])
        attribute = lambda name: self.ec2.describe_volume_attribute(VolumeId=volume, Attribute=name)  # noqa: E731
        self.assertEqual(attribute("autoEnableIO")["AutoEnableIO"], {"Value": False})
        self.assertEqual(attribute("productCodes")["ProductCodes"], [])
        self.assertFalse(self.ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.fails("InvalidVolume.NotFound", self.ec2.describe_volume_attribute, VolumeId="vol-00000000000000000", Attribute="autoEnableIO")
        self.ec2.modify_volume(VolumeId=volume, Size=9, VolumeType="gp3", Iops=4000)
        made = self.ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"][0]
        self.check(self.ec2.describe_volumes_modifications, "VolumeId", volume, [
            ("original-size", 8), ("target-size", 9), ("original-iops", 3000), ("target-iops", 4000), ("original-volume-type", "gp3"),
            ("target-volume-type", "gp3"), ("start-time", made["StartTime"].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")])

    def test_instance_types(self):
        self.check(self.ec2.describe_instance_types, "InstanceType", "t3.micro", [
            ("current-generation", True), ("hypervisor", "nitro"), ("supported-usage-class", "spot"), ("supported-virtualization-type", "hvm"),
            ("vcpu-info.default-cores", 2), ("vcpu-info.default-threads-per-core", 1), ("memory-info.size-in-mib", 1024), ("bare-metal", False)],
            InstanceTypes=["t3.micro", "m1.small"])
        found = self.ec2.describe_instance_types(Filters=[{"Name": "current-generation", "Values": ["false"]}], InstanceTypes=["t3.micro", "m1.small"])
        self.assertEqual([t["InstanceType"] for t in found["InstanceTypes"]], ["m1.small"])
        self.assertEqual(found["InstanceTypes"][0]["PlacementGroupInfo"]["SupportedStrategies"], ["cluster", "partition", "spread"])

    def test_prices(self):
        found = self.ec2.describe_spot_price_history(InstanceTypes=["t3.micro"], Filters=[{"Name": "availability-zone-id", "Values": ["*-az1"]}])["SpotPriceHistory"]
        self.assertEqual(len(found), 1)
        stamp = found[0]["Timestamp"].strftime("%Y-")
        self.assertEqual(len(self.ec2.describe_spot_price_history(InstanceTypes=["t3.micro"], Filters=[{"Name": "timestamp", "Values": [stamp + "*"]}])["SpotPriceHistory"]), 3)

    def test_launch_template(self):
        name = uuid.uuid4().hex
        made = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={
            "LicenseSpecifications": [], "MetadataOptions": {"HttpEndpoint": "enabled"}, "NetworkInterfaces": [{"DeviceIndex": 0, "NetworkCardIndex": 0}]})["LaunchTemplate"]
        self.check(self.ec2.describe_launch_template_versions, "LaunchTemplateId", made["LaunchTemplateId"],
                   [("http-protocol-ipv4", "enabled"), ("network-card-index", 0)], LaunchTemplateName=name)


class Running(Looking):
    """Filters of what an instance is made of, and of a request for a spot instance."""
    def setUp(self):
        self.region, self.ec2 = "us-east-1", client("ec2")

    def test_instance(self):
        image = halting_image(self)
        subnet = self.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
        instance = self.ec2.run_instances(
            ImageId=image, InstanceType="t2.nano", MinCount=1, MaxCount=1, MetadataOptions={"HttpPutResponseHopLimit": 3, "InstanceMetadataTags": "enabled"},
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet["SubnetId"], "Description": "first", "AssociatePublicIpAddress": True}],
            InstanceMarketOptions={"MarketType": "spot"}, Placement={"Tenancy": "default"},
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "port-key", "Value": "port-value"}]}])["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, instance)
        i = wait_for(self, self.ec2, instance, "running")
        port = i["NetworkInterfaces"][0]
        address = self.ec2.allocate_address(Domain="vpc")
        self.addCleanup(self.ec2.release_address, AllocationId=address["AllocationId"])
        bound = self.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)["AssociationId"]
        self.addCleanup(self.ec2.disassociate_address, AssociationId=bound)
        table = self.ec2.create_route_table(VpcId=i["VpcId"])["RouteTable"]["RouteTableId"]
        self.addCleanup(self.ec2.delete_route_table, RouteTableId=table)
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.99.0.0/16", InstanceId=instance)
        self.check(self.ec2.describe_route_tables, "RouteTableId", table, [("route.instance-id", instance)])
        i = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        port = i["NetworkInterfaces"][0]
        iso = lambda t: t.strftime("%Y-%m-%dT%H:%M:%S.") + "*"  # noqa: E731
        self.check(self.ec2.describe_instances, "InstanceId", instance, [
            ("availability-zone", subnet["AvailabilityZone"]), ("availability-zone-id", subnet["AvailabilityZoneId"]),
            ("block-device-mapping.attach-time", iso(i["BlockDeviceMappings"][0]["Ebs"]["AttachTime"])),
            ("block-device-mapping.volume-id", i["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]), ("ebs-optimized", False), ("ena-support", i["EnaSupport"]),
            ("instance-state-code", 16), ("launch-index", 0), ("launch-time", iso(i["LaunchTime"])),
            ("metadata-options.http-endpoint", "enabled"), ("metadata-options.http-protocol-ipv4", "enabled"), ("metadata-options.http-protocol-ipv6", "disabled"),
            ("metadata-options.http-put-response-hop-limit", 3), ("metadata-options.http-tokens", i["MetadataOptions"]["HttpTokens"]),
            ("metadata-options.instance-metadata-tags", "enabled"), ("metadata-options.state", "applied"), ("monitoring-state", "disabled"),
            ("network-interface.addresses.association.allocation-id", address["AllocationId"]), ("network-interface.addresses.association.association-id", bound),
            ("network-interface.addresses.association.ip-owner-id", "000000000000"), ("network-interface.addresses.association.public-ip", address["PublicIp"]),
            ("network-interface.addresses.association.public-dns-name", port["Association"]["PublicDnsName"]),
            ("network-interface.addresses.primary", True), ("network-interface.addresses.private-dns-name", port["PrivateDnsName"]),
            ("network-interface.addresses.private-ip-address", port["PrivateIpAddress"]), ("network-interface.association.allocation-id", address["AllocationId"]),
            ("network-interface.association.association-id", bound), ("network-interface.association.ip-owner-id", "000000000000"),
            ("network-interface.association.public-dns-name", port["Association"]["PublicDnsName"]), ("network-interface.association.public-ip", address["PublicIp"]),
            ("network-interface.attachment.attach-time", iso(port["Attachment"]["AttachTime"])), ("network-interface.attachment.delete-on-termination", True),
            ("network-interface.attachment.device-index", 0), ("network-interface.attachment.instance-id", instance),
            ("network-interface.attachment.instance-owner-id", "000000000000"), ("network-interface.attachment.network-card-index", 0),
            ("network-interface.attachment.status", "attached"), ("network-interface.availability-zone", subnet["AvailabilityZone"]),
            ("network-interface.description", "first"), ("network-interface.group-name", "default"), ("network-interface.owner-id", "000000000000"),
            ("network-interface.private-ip-address", port["PrivateIpAddress"]), ("network-interface.public-dns-name", port["Association"]["PublicDnsName"]),
            ("network-interface.requester-managed", False), ("network-interface.tag-key", "port-key"), ("network-interface.tag-value", "port-value"),
            ("tenancy", "default"), ("instance-lifecycle", "spot"), ("owner-id", "000000000000")])
        self.check(self.ec2.describe_instance_status, "InstanceId", instance, [
            ("instance-state-code", 16), ("instance-state-name", "running"), ("system-status.reachability", "passed"), ("system-status.status", "ok"),
            ("instance-status.status", "initializing"), ("instance-status.reachability", "initializing"), ("availability-zone-id", subnet["AvailabilityZoneId"])])
        request = self.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[i["SpotInstanceRequestId"]])["SpotInstanceRequests"][0]
        self.check(self.ec2.describe_spot_instance_requests, "SpotInstanceRequestId", i["SpotInstanceRequestId"], [
            ("create-time", iso(request["CreateTime"])), ("launch.image-id", image), ("launch.instance-type", "t2.nano"), ("launch.monitoring-enabled", False),
            ("launched-availability-zone", subnet["AvailabilityZone"]), ("network-interface.device-index", 0), ("network-interface.description", "first"),
            ("network-interface.subnet-id", subnet["SubnetId"]), ("status-message", request["Status"]["Message"]), ("type", "one-time")])
