"""Zones, default VPCs, VPCs and subnets as clients see them."""
import unittest

from aws import client
from ec2 import Ec2Case, names


class Zones(Ec2Case):
    def test_regions_and_zones(self):
        ec2 = client("ec2", region="ap-southeast-2")
        zones = ec2.describe_availability_zones()["AvailabilityZones"]
        self.assertEqual(names(zones, "ZoneName"), ["ap-southeast-2a", "ap-southeast-2b", "ap-southeast-2c"])
        self.assertEqual(names(zones, "ZoneId"), ["apse2-az1", "apse2-az2", "apse2-az3"])
        self.assertEqual(zones[0]["State"], "available")
        one = ec2.describe_availability_zones(Filters=[{"Name": "zone-id", "Values": ["apse2-az2"]}])["AvailabilityZones"]
        self.assertEqual(names(one, "ZoneName"), ["ap-southeast-2b"])
        self.assertIn("us-east-1", names(ec2.describe_regions()["Regions"], "RegionName"))
        (region,) = ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"]
        self.assertEqual(region["Endpoint"], "ec2.eu-west-1.amazonaws.com")
        self.fails("InvalidParameterValue", ec2.describe_availability_zones, "Invalid availability zone: [x]", ZoneNames=["x"])
        self.fails("InvalidParameterValue", ec2.describe_regions, "The filter 'x' is invalid", Filters=[{"Name": "x", "Values": ["y"]}])

    def test_account_attributes(self):
        attributes = {a["AttributeName"]: a["AttributeValues"][0]["AttributeValue"] for a in self.ec2.describe_account_attributes()["AccountAttributes"]}
        (vpc,) = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        self.assertEqual(attributes["default-vpc"], vpc["VpcId"])
        self.assertEqual(attributes["supported-platforms"], "VPC")


class Defaults(Ec2Case):
    def test_the_default_vpc_is_there(self):
        (vpc,) = self.ec2.describe_vpcs()["Vpcs"]
        self.assertTrue(vpc["IsDefault"])
        self.assertEqual(vpc["CidrBlock"], "172.31.0.0/16")
        subnets = self.ec2.describe_subnets()["Subnets"]
        self.assertEqual(names(subnets, "CidrBlock"), ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"])
        for s in subnets:
            self.assertTrue(s["DefaultForAz"] and s["MapPublicIpOnLaunch"])
            self.assertEqual(s["AvailableIpAddressCount"], 4091)
        (igw,) = self.ec2.describe_internet_gateways()["InternetGateways"]
        self.assertEqual(igw["Attachments"], [{"State": "available", "VpcId": vpc["VpcId"]}])
        (table,) = self.ec2.describe_route_tables()["RouteTables"]
        self.assertEqual([(r["DestinationCidrBlock"], r["GatewayId"], r["State"]) for r in table["Routes"]],
                         [("172.31.0.0/16", "local", "active"), ("0.0.0.0/0", igw["InternetGatewayId"], "active")])
        self.assertTrue(table["Associations"][0]["Main"])
        (group,) = self.ec2.describe_security_groups()["SecurityGroups"]
        self.assertEqual(group["Description"], "default VPC security group")
        self.assertEqual(group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"], group["GroupId"])
        self.assertEqual(group["IpPermissionsEgress"][0]["IpRanges"], [{"CidrIp": "0.0.0.0/0"}])
        (acl,) = self.ec2.describe_network_acls()["NetworkAcls"]
        self.assertEqual(sorted(names(acl["Associations"], "SubnetId")), names(subnets, "SubnetId"))
        self.assertEqual([(e["RuleNumber"], e["Egress"], e["RuleAction"]) for e in acl["Entries"]],
                         [(100, True, "allow"), (32767, True, "deny"), (100, False, "allow"), (32767, False, "deny")])
        self.assertTrue(self.ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"])
        self.fails("DefaultVpcAlreadyExists", self.ec2.create_default_vpc)

    def test_a_deleted_default_vpc_stays_away_and_can_be_made_again(self):
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.fails("DependencyViolation", self.ec2.delete_vpc, f"The vpc '{vpc}' has dependencies and cannot be deleted.", VpcId=vpc)
        for s in self.ec2.describe_subnets()["Subnets"]:
            self.ec2.delete_subnet(SubnetId=s["SubnetId"])
        igw = self.ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"]
        self.ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
        self.ec2.delete_internet_gateway(InternetGatewayId=igw)
        self.ec2.delete_vpc(VpcId=vpc)
        self.assertEqual(self.ec2.describe_vpcs()["Vpcs"], [])
        self.assertEqual(self.ec2.describe_security_groups()["SecurityGroups"], [])
        self.assertEqual(self.ec2.describe_security_group_rules()["SecurityGroupRules"], [])
        self.fails("VPCIdNotSpecified", self.ec2.create_security_group, "No default VPC for this user", GroupName="g", Description="d")
        self.fails("DefaultVpcDoesNotExist", self.ec2.create_default_subnet, AvailabilityZone=self.region + "a")
        made = self.ec2.create_default_vpc()["Vpc"]
        self.assertTrue(made["IsDefault"])
        self.assertEqual(len(self.ec2.describe_subnets()["Subnets"]), 3)

    def test_default_subnets(self):
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": [self.region + "b"]}])["Subnets"]
        self.fails("DefaultSubnetAlreadyExistsInAvailabilityZone", self.ec2.create_default_subnet, AvailabilityZone=self.region + "b")
        self.ec2.delete_subnet(SubnetId=subnets[0]["SubnetId"])
        made = self.ec2.create_default_subnet(AvailabilityZone=self.region + "b")["Subnet"]
        self.assertEqual(made["CidrBlock"], "172.31.16.0/20")
        self.fails("InvalidParameterValue", self.ec2.create_default_subnet, AvailabilityZone="x")


class Vpcs(Ec2Case):
    def test_life(self):
        vpc = self.ec2.create_vpc(CidrBlock="10.1.2.3/16")["Vpc"]
        self.assertEqual(vpc["CidrBlock"], "10.1.0.0/16")
        self.assertEqual(vpc["State"], "available")
        self.assertRegex(vpc["VpcId"], "^vpc-[0-9a-f]{17}$")
        self.assertFalse(vpc["IsDefault"])
        self.assertEqual(vpc["CidrBlockAssociationSet"][0]["CidrBlockState"], {"State": "associated"})
        (table,) = self.ec2.describe_route_tables(Filters=self.of_vpc(vpc["VpcId"]))["RouteTables"]
        self.assertEqual([r["GatewayId"] for r in table["Routes"]], ["local"])
        self.ec2.delete_vpc(VpcId=vpc["VpcId"])
        self.fails("InvalidVpcID.NotFound", self.ec2.describe_vpcs, f"The vpc ID '{vpc['VpcId']}' does not exist", VpcIds=[vpc["VpcId"]])
        self.assertEqual(self.ec2.describe_route_tables(Filters=self.of_vpc(vpc["VpcId"]))["RouteTables"], [])

    def test_refusals(self):
        for cidr in ("10.0.0.0/8", "10.0.0.0/29", "127.0.0.0/16", "169.254.0.0/16"):
            self.fails("InvalidVpc.Range", self.ec2.create_vpc, f"The CIDR '{cidr}' is invalid.", CidrBlock=cidr)
        for cidr in ("10.0.0.0", "10.0.0/16", "x", "10.0.0.0/33"):
            self.fails("InvalidParameterValue", self.ec2.create_vpc, "is not a valid CIDR block", CidrBlock=cidr)
        self.fails("UnsupportedOperation", self.ec2.create_vpc, "IPv6", CidrBlock="10.0.0.0/16", Ipv6CidrBlock="2001:db8::/56", Ipv6Pool="p")
        self.fails("InvalidVpcID.Malformed", self.ec2.delete_vpc, 'Invalid id: "vpc-nope"', VpcId="vpc-nope")
        self.fails("InvalidVpcID.NotFound", self.ec2.delete_vpc, VpcId="vpc-00000000000000000")
        two = ["vpc-00000000000000000", "vpc-00000000000000001"]
        self.fails("InvalidVpcID.NotFound", self.ec2.describe_vpcs, f"The vpc IDs '{two[0]}, {two[1]}' do not exist", VpcIds=two)

    def test_quota(self):
        for i in range(4):
            self.vpc(f"10.{i}.0.0/16")
        self.fails("VpcLimitExceeded", self.ec2.create_vpc, "The maximum number of VPCs has been reached.", CidrBlock="10.9.0.0/16")

    def test_further_blocks(self):
        vpc = self.vpc()
        self.fails("CidrConflict", self.ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.0.128.0/20")
        added = self.ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.5.0.0/16")["CidrBlockAssociation"]
        routes = self.ec2.describe_route_tables(Filters=self.of_vpc(vpc))["RouteTables"][0]["Routes"]
        self.assertEqual(names(routes, "DestinationCidrBlock"), ["10.0.0.0/16", "10.5.0.0/16"])
        subnet = self.subnet(vpc, "10.5.1.0/24")
        self.fails("CidrBlockInUse", self.ec2.disassociate_vpc_cidr_block, AssociationId=added["AssociationId"])
        self.ec2.delete_subnet(SubnetId=subnet)
        self.ec2.disassociate_vpc_cidr_block(AssociationId=added["AssociationId"])
        (record,) = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
        self.assertEqual(len(record["CidrBlockAssociationSet"]), 1)
        self.fails("OperationNotPermitted", self.ec2.disassociate_vpc_cidr_block,
                   AssociationId=record["CidrBlockAssociationSet"][0]["AssociationId"])
        for i in range(4):
            self.ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=f"10.{i + 1}.0.0/16")
        self.fails("CidrLimitExceeded", self.ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.9.0.0/16")

    def test_attributes(self):
        vpc = self.vpc()
        self.assertTrue(self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"])
        self.assertFalse(self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"])
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        self.assertTrue(self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"])
        eni = self.ec2.create_network_interface(SubnetId=self.subnet(vpc))["NetworkInterface"]
        self.assertEqual(eni["PrivateDnsName"], f"ip-10-0-1-4.{self.region}.compute.internal")
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
        self.assertNotIn("PrivateDnsName", self.ec2.describe_network_interfaces()["NetworkInterfaces"][0])
        self.fails("InvalidParameterCombination", self.ec2.modify_vpc_attribute, VpcId=vpc)
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
        self.assertFalse(self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"])
        self.assertNotIn("PrivateDnsName", self.ec2.describe_network_interfaces()["NetworkInterfaces"][0])


class Subnets(Ec2Case):
    def test_life(self):
        vpc = self.vpc()
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=self.region + "b")["Subnet"]
        self.assertEqual(subnet["AvailableIpAddressCount"], 251)
        self.assertEqual(subnet["AvailabilityZone"], self.region + "b")
        self.assertFalse(subnet["MapPublicIpOnLaunch"])
        self.ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
        self.assertTrue(self.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"][0]["MapPublicIpOnLaunch"])
        eni = self.ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
        self.assertEqual(self.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"][0]["AvailableIpAddressCount"], 250)
        self.fails("DependencyViolation", self.ec2.delete_subnet, f"The subnet '{subnet['SubnetId']}' has dependencies and cannot be deleted.",
                   SubnetId=subnet["SubnetId"])
        self.ec2.delete_network_interface(NetworkInterfaceId=eni)
        self.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        self.fails("InvalidSubnetID.NotFound", self.ec2.delete_subnet, f"The subnet ID '{subnet['SubnetId']}' does not exist",
                   SubnetId=subnet["SubnetId"])
        self.ec2.delete_vpc(VpcId=vpc)

    def test_refusals(self):
        vpc = self.vpc()
        self.subnet(vpc)
        for cidr in ("10.0.1.0/24", "10.0.0.0/20", "10.0.1.16/28"):
            self.fails("InvalidSubnet.Conflict", self.ec2.create_subnet, f"The CIDR '{cidr}' conflicts with another subnet", VpcId=vpc, CidrBlock=cidr)
        for cidr in ("10.1.0.0/24", "10.0.8.0/29", "10.0.0.0/15"):
            self.fails("InvalidSubnet.Range", self.ec2.create_subnet, f"The CIDR '{cidr}' is invalid.", VpcId=vpc, CidrBlock=cidr)
        self.fails("InvalidParameterValue", self.ec2.create_subnet, f"{self.region}a, {self.region}b", VpcId=vpc, CidrBlock="10.0.9.0/24",
                   AvailabilityZone="nowhere")
        self.fails("InvalidVpcID.NotFound", self.ec2.create_subnet, VpcId="vpc-00000000000000000", CidrBlock="10.0.9.0/24")
        self.fails("InvalidParameterValue", self.ec2.modify_subnet_attribute, "has no IPv6 CIDR block", SubnetId=self.subnet(vpc, "10.0.2.0/24"),
                   AssignIpv6AddressOnCreation={"Value": True})


if __name__ == "__main__":
    unittest.main()
