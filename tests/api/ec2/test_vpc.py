"""VPCs and what is in them, as clients see them: lives, errors, filters, pages, dry runs, tokens, tags, permissions."""
import json
import unittest
import uuid

from aws import ENDPOINT, TestCase, aws_programs, client, run
from cloud import Cloud


def names(items, key):
    return sorted(i[key] for i in items)


class Ec2Case(TestCase):
    """Every test in a region of its own, so that quotas and default VPCs of one do not meet another's."""
    def setUp(self):
        self.region = "test-" + uuid.uuid4().hex[:8] + "-1"
        self.ec2 = client("ec2", region=self.region)

    def fails(self, code, call, message=None, status=400, **params):
        self.assertAwsError(code, call, status=status, message=message, **params)

    def vpc(self, cidr="10.0.0.0/16", **more):
        return self.ec2.create_vpc(CidrBlock=cidr, **more)["Vpc"]["VpcId"]

    def subnet(self, vpc, cidr="10.0.1.0/24", **more):
        return self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, **more)["Subnet"]["SubnetId"]

    def group(self, vpc, name="web"):
        return self.ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]

    def default_group(self, vpc):
        return self.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}])[
            "SecurityGroups"][0]

    def gateway(self, vpc):
        igw = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
        return igw

    def of_vpc(self, vpc):
        return [{"Name": "vpc-id", "Values": [vpc]}]


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
        self.fails("UnsupportedOperation", self.ec2.create_vpc, "IPv6", CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
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
        self.fails("UnsupportedOperation", self.ec2.modify_vpc_attribute, VpcId=vpc, EnableDnsSupport={"Value": False})


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
        self.fails("UnsupportedOperation", self.ec2.modify_subnet_attribute, SubnetId=self.subnet(vpc, "10.0.2.0/24"),
                   AssignIpv6AddressOnCreation={"Value": True})


class Groups(Ec2Case):
    def test_life(self):
        vpc = self.vpc()
        made = self.ec2.create_security_group(GroupName="web", Description="for the web", VpcId=vpc)
        self.assertRegex(made["GroupId"], "^sg-[0-9a-f]{17}$")
        (group,) = self.ec2.describe_security_groups(GroupIds=[made["GroupId"]])["SecurityGroups"]
        self.assertEqual(group["IpPermissions"], [])
        self.assertEqual(group["IpPermissionsEgress"][0]["IpProtocol"], "-1")
        self.fails("InvalidGroup.Duplicate", self.ec2.create_security_group, f"The security group 'web' already exists for VPC '{vpc}'",
                   GroupName="web", Description="x", VpcId=vpc)
        self.ec2.delete_security_group(GroupId=made["GroupId"])
        self.fails("InvalidGroup.NotFound", self.ec2.describe_security_groups, f"The security group '{made['GroupId']}' does not exist",
                   GroupIds=[made["GroupId"]])
        default = self.default_group(vpc)["GroupId"]
        self.fails("CannotDelete", self.ec2.delete_security_group, f'the specified group: "{default}" name: "default" cannot be deleted by a user',
                   GroupId=default)

    def test_names(self):
        self.fails("InvalidParameterValue", self.ec2.create_security_group, "sg-*", GroupName="sg-x", Description="d")
        self.fails("InvalidParameterValue", self.ec2.create_security_group, "GroupName", GroupName="é", Description="d")
        self.fails("InvalidParameterValue", self.ec2.create_security_group, "GroupDescription", GroupName="x", Description="é")
        self.fails("InvalidGroup.Reserved", self.ec2.create_security_group, GroupName="default", Description="d")
        self.fails("InvalidGroupId.Malformed", self.ec2.delete_security_group, GroupId="sg-x")
        self.fails("InvalidGroup.NotFound", self.ec2.delete_security_group, "does not exist in default VPC", GroupName="nope")
        self.fails("MissingParameter", self.ec2.delete_security_group)
        self.ec2.create_security_group(GroupName="old style", Description="d")
        self.assertEqual(len(self.ec2.describe_security_groups(GroupNames=["old style"])["SecurityGroups"]), 1)

    def test_rules_old_form(self):
        group = self.group(self.vpc())
        port = dict(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
        (rule,) = self.ec2.authorize_security_group_ingress(**port)["SecurityGroupRules"]
        self.assertRegex(rule["SecurityGroupRuleId"], "^sgr-[0-9a-f]{17}$")
        self.assertEqual((rule["IsEgress"], rule["CidrIpv4"], rule["FromPort"]), (False, "0.0.0.0/0", 22))
        self.fails("InvalidPermission.Duplicate", self.ec2.authorize_security_group_ingress,
                   'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists', **port)
        self.ec2.revoke_security_group_ingress(**port)
        self.fails("InvalidPermission.NotFound", self.ec2.revoke_security_group_ingress,
                   "The specified rule does not exist in this security group.", **port)

    def test_rules_new_form(self):
        vpc = self.vpc()
        group, other = self.group(vpc), self.group(vpc, "other")
        permissions = [
            {"IpProtocol": "6", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.9/8", "Description": "all of 10"}, {"CidrIp": "192.0.2.0/24"}],
             "UserIdGroupPairs": [{"GroupId": other}]},
            {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            {"IpProtocol": "-1", "FromPort": 5, "ToPort": 6, "UserIdGroupPairs": [{"GroupName": "other"}]},
        ]
        rules = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)["SecurityGroupRules"]
        self.assertEqual(len(rules), 5)
        (shown,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        tcp = shown["IpPermissions"][0]
        self.assertEqual((tcp["IpProtocol"], tcp["FromPort"], tcp["ToPort"]), ("tcp", 80, 81))
        self.assertEqual(tcp["IpRanges"], [{"CidrIp": "10.0.0.0/8", "Description": "all of 10"}, {"CidrIp": "192.0.2.0/24"}])
        self.assertEqual(tcp["UserIdGroupPairs"][0]["GroupId"], other)
        self.assertNotIn("FromPort", shown["IpPermissions"][2])
        self.fails("DependencyViolation", self.ec2.delete_security_group, f"resource {other} has a dependent object", GroupId=other)
        by_group = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
        self.assertEqual(len(by_group), 6)
        found = self.ec2.describe_security_groups(Filters=[{"Name": "ip-permission.cidr", "Values": ["192.0.*"]}])["SecurityGroups"]
        self.assertEqual(names(found, "GroupId"), [group])
        gone = self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[r["SecurityGroupRuleId"] for r in rules])
        self.assertTrue(gone["Return"])
        self.ec2.delete_security_group(GroupId=other)
        # A rule that names its own group does not hold it.
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535,
                                                                                 "UserIdGroupPairs": [{"GroupId": group}]}])
        self.ec2.delete_security_group(GroupId=group)

    def test_egress_and_descriptions(self):
        group = self.group(self.vpc())
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.fails("InvalidPermission.Duplicate", self.ec2.authorize_security_group_egress, "peer: 0.0.0.0/0, ALL, ALLOW", GroupId=group,
                   IpPermissions=everything)
        self.ec2.update_security_group_rule_descriptions_egress(
            GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "out"}]}])
        (rule,) = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
        self.assertEqual(rule["Description"], "out")
        self.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[{
            "SecurityGroupRuleId": rule["SecurityGroupRuleId"],
            "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "10.0.0.0/8", "Description": "https"}}])
        (changed,) = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])["SecurityGroupRules"]
        self.assertEqual((changed["CidrIpv4"], changed["FromPort"], changed["Description"], changed["IsEgress"]), ("10.0.0.0/8", 443, "https", True))
        self.ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"], [])
        self.fails("InvalidSecurityGroupRuleId.NotFound", self.ec2.revoke_security_group_egress, GroupId=group,
                   SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])

    def test_bad_rules(self):
        vpc = self.vpc()
        group = self.group(vpc)

        def refused(code, message, **permission):
            self.fails(code, self.ec2.authorize_security_group_ingress, message, GroupId=group, IpPermissions=[permission])
        anyone = [{"CidrIp": "0.0.0.0/0"}]
        refused("InvalidParameterValue", "Must specify both from and to ports", IpProtocol="tcp", IpRanges=anyone)
        refused("InvalidParameterValue", "TCP/UDP port (65536) out of range", IpProtocol="tcp", FromPort=1, ToPort=65536, IpRanges=anyone)
        refused("InvalidParameterValue", "Invalid TCP/UDP port range (9:8)", IpProtocol="udp", FromPort=9, ToPort=8, IpRanges=anyone)
        refused("InvalidParameterValue", "CIDR block 10.0.0.0/40 is malformed", IpProtocol="-1", IpRanges=[{"CidrIp": "10.0.0.0/40"}])
        refused("InvalidParameterValue", "Unknown protocol", IpProtocol="carrots", IpRanges=anyone)
        refused("UnsupportedOperation", "IPv6", IpProtocol="-1", Ipv6Ranges=[{"CidrIpv6": "::/0"}])
        refused("InvalidGroup.NotFound", "does not exist", IpProtocol="-1", UserIdGroupPairs=[{"GroupId": "sg-00000000000000000"}])
        far = self.group(self.vpc("10.9.0.0/16"), "far")
        refused("InvalidGroup.NotFound", "different networks", IpProtocol="-1", UserIdGroupPairs=[{"GroupId": far}])
        refused("InvalidPrefixListID.NotFound", "does not exist", IpProtocol="-1", PrefixListIds=[{"PrefixListId": "pl-00000000000000000"}])
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"], [])
        many = [{"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "IpRanges": anyone} for p in range(1, 61)]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=many)
        self.fails("RulesPerSecurityGroupLimitExceeded", self.ec2.authorize_security_group_ingress, GroupId=group,
                   IpPermissions=[{"IpProtocol": "-1", "IpRanges": anyone}])

    def test_references(self):
        vpc = self.vpc()
        self.assertEqual(self.ec2.describe_security_group_references(GroupId=[self.group(vpc)])["SecurityGroupReferenceSet"], [])
        self.assertEqual(self.ec2.describe_stale_security_groups(VpcId=vpc)["StaleSecurityGroupSet"], [])
        self.fails("InvalidVpcID.NotFound", self.ec2.describe_stale_security_groups, VpcId="vpc-00000000000000000")


class Routes(Ec2Case):
    def setUp(self):
        super().setUp()
        self.net = self.vpc()
        self.sub = self.subnet(self.net)
        self.main = self.ec2.describe_route_tables(Filters=self.of_vpc(self.net))["RouteTables"][0]

    def table(self):
        return self.ec2.create_route_table(VpcId=self.net)["RouteTable"]["RouteTableId"]

    def routes(self, table):
        return {r.get("DestinationCidrBlock"): r for r in self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]}

    def test_routes(self):
        table, igw = self.table(), self.gateway(self.net)
        route = dict(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
        self.assertTrue(self.ec2.create_route(GatewayId=igw, **route)["Return"])
        self.fails("RouteAlreadyExists", self.ec2.create_route, "The route identified by 0.0.0.0/0 already exists.", GatewayId=igw, **route)
        self.assertEqual(self.routes(table)["0.0.0.0/0"]["State"], "active")
        self.ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=self.net)
        self.assertEqual(self.routes(table)["0.0.0.0/0"]["State"], "blackhole")
        eni = self.ec2.create_network_interface(SubnetId=self.sub)["NetworkInterface"]["NetworkInterfaceId"]
        self.ec2.replace_route(NetworkInterfaceId=eni, **route)
        self.assertEqual(self.routes(table)["0.0.0.0/0"]["NetworkInterfaceId"], eni)
        self.ec2.delete_route(**route)
        self.fails("InvalidRoute.NotFound", self.ec2.delete_route, f"no route with destination-cidr-block 0.0.0.0/0 in route table {table}", **route)
        self.fails("InvalidRoute.NotFound", self.ec2.replace_route, NetworkInterfaceId=eni, **route)
        self.ec2.delete_route_table(RouteTableId=table)

    def test_refusals(self):
        table = self.table()

        def refused(code, message, **more):
            self.fails(code, self.ec2.create_route, message, **{"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", **more})
        refused("InvalidParameterCombination", "exactly one of")
        refused("InvalidInternetGatewayID.NotFound", "does not exist", GatewayId="igw-00000000000000000")
        foreign = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        refused("InvalidParameterValue", f"route table {table} and network gateway {foreign} belong to different networks", GatewayId=foreign)
        refused("UnsupportedOperation", "not supported", TransitGatewayId="tgw-00000000000000000")
        refused("InvalidInstanceID.NotFound", "does not exist", InstanceId="i-00000000000000000")
        igw = self.gateway(self.net)
        refused("InvalidParameterValue", "can target only an interface or an instance", GatewayId=igw, DestinationCidrBlock="10.0.4.0/24")
        self.fails("InvalidParameterValue", self.ec2.delete_route, f"cannot remove local route 10.0.0.0/16 in route table {table}", RouteTableId=table,
                   DestinationCidrBlock="10.0.0.0/16")
        for i in range(49):
            self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=f"192.0.{i}.0/24", GatewayId=igw)
        refused("RouteLimitExceeded", "The maximum number of routes has been reached.", GatewayId=igw)

    def test_associations(self):
        table, other = self.table(), self.table()
        association = self.ec2.associate_route_table(RouteTableId=table, SubnetId=self.sub)["AssociationId"]
        self.fails("Resource.AlreadyAssociated", self.ec2.associate_route_table, RouteTableId=other, SubnetId=self.sub)
        self.fails("DependencyViolation", self.ec2.delete_route_table, f"The routeTable '{table}' has dependencies and cannot be deleted.",
                   RouteTableId=table)
        moved = self.ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)["NewAssociationId"]
        (found,) = self.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [self.sub]}])["RouteTables"]
        self.assertEqual(found["RouteTableId"], other)
        self.fails("InvalidAssociationID.NotFound", self.ec2.disassociate_route_table, AssociationId=association)
        self.ec2.disassociate_route_table(AssociationId=moved)
        main = self.main["Associations"][0]["RouteTableAssociationId"]
        self.fails("InvalidParameterValue", self.ec2.disassociate_route_table, "cannot disassociate the main route table", AssociationId=main)
        self.ec2.replace_route_table_association(AssociationId=main, RouteTableId=table)
        (found,) = self.ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}, *self.of_vpc(self.net)])["RouteTables"]
        self.assertEqual(found["RouteTableId"], table)
        self.ec2.delete_route_table(RouteTableId=self.main["RouteTableId"])
        self.ec2.associate_route_table(RouteTableId=other, SubnetId=self.sub)
        self.ec2.delete_subnet(SubnetId=self.sub)
        self.ec2.delete_route_table(RouteTableId=other)
        self.ec2.delete_vpc(VpcId=self.net)


class Gateways(Ec2Case):
    def test_life(self):
        vpc, second = self.vpc(), self.vpc("10.1.0.0/16")
        igw = self.gateway(vpc)
        self.fails("Resource.AlreadyAssociated", self.ec2.attach_internet_gateway, f"resource {igw} is already attached to network {vpc}",
                   InternetGatewayId=igw, VpcId=second)
        other = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.fails("InvalidParameterValue", self.ec2.attach_internet_gateway, f"Network {vpc} already has an internet gateway attached",
                   InternetGatewayId=other, VpcId=vpc)
        self.fails("Gateway.NotAttached", self.ec2.detach_internet_gateway, f"resource {other} is not attached to network {vpc}",
                   InternetGatewayId=other, VpcId=vpc)
        self.fails("DependencyViolation", self.ec2.delete_internet_gateway, InternetGatewayId=igw)
        found = self.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])["InternetGateways"]
        self.assertEqual(names(found, "InternetGatewayId"), [igw])
        self.ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
        self.ec2.delete_internet_gateway(InternetGatewayId=igw)
        self.fails("InvalidInternetGatewayID.NotFound", self.ec2.delete_internet_gateway, InternetGatewayId=igw)

    def test_quota(self):
        for _ in range(4):
            self.ec2.create_internet_gateway()
        self.fails("InternetGatewayLimitExceeded", self.ec2.create_internet_gateway)


class Interfaces(Ec2Case):
    def setUp(self):
        super().setUp()
        self.net = self.vpc()
        self.sub = self.subnet(self.net)

    def interface(self, **more):
        return self.ec2.create_network_interface(SubnetId=self.sub, **more)["NetworkInterface"]

    def show(self, eni):
        return self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]

    def test_life(self):
        eni = self.interface(Description="one")
        self.assertEqual(eni["PrivateIpAddress"], "10.0.1.4")
        self.assertEqual(eni["Status"], "available")
        self.assertRegex(eni["MacAddress"], "^02(:[0-9a-f]{2}){5}$")
        self.assertEqual(eni["Groups"][0]["GroupName"], "default")
        self.assertTrue(eni["SourceDestCheck"])
        two = self.interface(PrivateIpAddress="10.0.1.6")
        self.assertEqual(self.interface()["PrivateIpAddress"], "10.0.1.5")
        self.assertEqual(self.interface()["PrivateIpAddress"], "10.0.1.7")
        self.ec2.delete_network_interface(NetworkInterfaceId=two["NetworkInterfaceId"])
        self.assertEqual(self.interface()["PrivateIpAddress"], "10.0.1.6")
        self.fails("InvalidNetworkInterfaceID.NotFound", self.ec2.delete_network_interface,
                   f"The networkInterface ID '{two['NetworkInterfaceId']}' does not exist", NetworkInterfaceId=two["NetworkInterfaceId"])

    def test_refusals(self):
        self.interface(PrivateIpAddress="10.0.1.6")
        for address, code, message in (("10.0.1.6", "InvalidIPAddress.InUse", "already in use"), ("10.0.2.6", "InvalidParameterValue", "does not fall"),
                                       ("10.0.1.2", "InvalidParameterValue", "reserved"), ("10.0.1.255", "InvalidParameterValue", "reserved"),
                                       ("x", "InvalidParameterValue", "Invalid IPv4 address")):
            self.fails(code, self.ec2.create_network_interface, message, SubnetId=self.sub, PrivateIpAddress=address)
        self.fails("InvalidGroup.NotFound", self.ec2.create_network_interface, SubnetId=self.sub, Groups=["sg-00000000000000000"])
        other = self.group(self.vpc("10.1.0.0/16"))
        self.fails("InvalidParameterValue", self.ec2.create_network_interface, "different networks", SubnetId=self.sub, Groups=[other])
        six = [self.group(self.net, f"g{i}") for i in range(6)]
        self.fails("SecurityGroupsPerInterfaceLimitExceeded", self.ec2.create_network_interface, SubnetId=self.sub, Groups=six)
        self.fails("UnsupportedOperation", self.ec2.create_network_interface, "IPv6", SubnetId=self.sub, Ipv6AddressCount=1)
        small = self.subnet(self.net, "10.0.2.0/28")
        for _ in range(11):
            self.ec2.create_network_interface(SubnetId=small)
        self.fails("InsufficientFreeAddressesInSubnet", self.ec2.create_network_interface, SubnetId=small)
        self.assertEqual(self.ec2.describe_subnets(SubnetIds=[small])["Subnets"][0]["AvailableIpAddressCount"], 0)

    def test_attributes(self):
        eni, group = self.interface()["NetworkInterfaceId"], self.group(self.net)
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Description={"Value": "new"})
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": False})
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[group])
        shown = self.show(eni)
        self.assertEqual((shown["Description"], shown["SourceDestCheck"], names(shown["Groups"], "GroupId")), ("new", False, [group]))
        self.fails("DependencyViolation", self.ec2.delete_security_group, GroupId=group)
        self.assertEqual(self.ec2.describe_network_interface_attribute(NetworkInterfaceId=eni, Attribute="description")["Description"]["Value"], "new")
        self.ec2.reset_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck="true")
        self.assertTrue(self.show(eni)["SourceDestCheck"])
        self.fails("InvalidParameterCombination", self.ec2.modify_network_interface_attribute, NetworkInterfaceId=eni)

    def test_secondary_addresses(self):
        eni = self.interface(SecondaryPrivateIpAddressCount=2)
        self.assertEqual([p["PrivateIpAddress"] for p in eni["PrivateIpAddresses"]], ["10.0.1.4", "10.0.1.5", "10.0.1.6"])
        self.assertEqual([p["Primary"] for p in eni["PrivateIpAddresses"]], [True, False, False])
        other = self.interface()["NetworkInterfaceId"]
        given = self.ec2.assign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.20"])["AssignedPrivateIpAddresses"]
        self.assertEqual(given, [{"PrivateIpAddress": "10.0.1.20"}])
        self.fails("InvalidIPAddress.InUse", self.ec2.assign_private_ip_addresses, NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.6"])
        self.ec2.assign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.6"], AllowReassignment=True)
        self.assertEqual(len(self.show(eni["NetworkInterfaceId"])["PrivateIpAddresses"]), 2)
        self.ec2.unassign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.6", "10.0.1.20"])
        self.assertEqual(len(self.show(other)["PrivateIpAddresses"]), 1)
        self.fails("InvalidParameterValue", self.ec2.unassign_private_ip_addresses, "Some of the specified addresses are not assigned to interface",
                   NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.20"])
        self.fails("PrivateIpAddressLimitExceeded", self.ec2.assign_private_ip_addresses, NetworkInterfaceId=other, SecondaryPrivateIpAddressCount=15)

    def test_filters(self):
        eni = self.interface(Description="find me")["NetworkInterfaceId"]
        self.interface()
        for name, value in (("description", "find*"), ("addresses.private-ip-address", "10.0.1.4"), ("private-ip-address", "10.0.1.?"),
                            ("network-interface-id", eni)):
            found = self.ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}, {"Name": "description", "Values": ["find me"]}])
            self.assertEqual(names(found["NetworkInterfaces"], "NetworkInterfaceId"), [eni], name)
        self.assertEqual(self.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": ["*"]}])["NetworkInterfaces"], [])


class Addresses(Ec2Case):
    def setUp(self):
        super().setUp()
        self.net = self.vpc()
        self.sub = self.subnet(self.net)

    def interface(self):
        return self.ec2.create_network_interface(SubnetId=self.sub)["NetworkInterface"]["NetworkInterfaceId"]

    def test_life(self):
        made = self.ec2.allocate_address(Domain="vpc")
        self.assertTrue(made["PublicIp"].startswith("127."))
        allocation, eni = made["AllocationId"], self.interface()
        self.fails("Gateway.NotAttached", self.ec2.associate_address, f"Network {self.net} is not attached to any internet gateway",
                   AllocationId=allocation, NetworkInterfaceId=eni)
        igw = self.gateway(self.net)
        association = self.ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=eni)["AssociationId"]
        (shown,) = self.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
        self.assertEqual((shown["AssociationId"], shown["NetworkInterfaceId"], shown["PrivateIpAddress"]), (association, eni, "10.0.1.4"))
        (interface,) = self.ec2.describe_network_interfaces(Filters=[{"Name": "association.public-ip", "Values": [made["PublicIp"]]}])["NetworkInterfaces"]
        self.assertEqual(interface["Association"]["AllocationId"], allocation)
        self.fails("InvalidIPAddress.InUse", self.ec2.release_address, AllocationId=allocation)
        self.fails("DependencyViolation", self.ec2.detach_internet_gateway, "mapped public address", InternetGatewayId=igw, VpcId=self.net)
        other = self.interface()
        self.fails("Resource.AlreadyAssociated", self.ec2.associate_address, AllocationId=allocation, NetworkInterfaceId=other,
                   AllowReassociation=False)
        moved = self.ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=other, AllowReassociation=True)["AssociationId"]
        self.assertNotIn("Association", self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0])
        self.ec2.disassociate_address(AssociationId=moved)
        self.fails("InvalidAssociationID.NotFound", self.ec2.disassociate_address, AssociationId=moved)
        self.ec2.associate_address(PublicIp=made["PublicIp"], NetworkInterfaceId=eni)
        self.ec2.delete_network_interface(NetworkInterfaceId=eni)
        self.assertNotIn("AssociationId", self.ec2.describe_addresses(PublicIps=[made["PublicIp"]])["Addresses"][0])
        self.ec2.release_address(AllocationId=allocation)
        self.fails("InvalidAllocationID.NotFound", self.ec2.describe_addresses, f"The allocation ID '{allocation}' does not exist",
                   AllocationIds=[allocation])
        self.fails("InvalidAddress.NotFound", self.ec2.describe_addresses, f"Address '{made['PublicIp']}' not found.", PublicIps=[made["PublicIp"]])

    def test_quota_and_uniqueness(self):
        mine = [self.ec2.allocate_address()["PublicIp"] for _ in range(5)]
        self.fails("AddressLimitExceeded", self.ec2.allocate_address, "The maximum number of addresses has been reached.")
        self.assertEqual(len(set(mine)), 5)
        elsewhere = client("ec2", region="other-" + self.region)
        self.fails("InvalidAddress.NotFound", elsewhere.allocate_address, Address=mine[0])
        for a in self.ec2.describe_addresses()["Addresses"]:
            self.ec2.release_address(AllocationId=a["AllocationId"])
        again = elsewhere.allocate_address(Address=mine[0])
        self.assertEqual(again["PublicIp"], mine[0])
        elsewhere.release_address(AllocationId=again["AllocationId"])


class Acls(Ec2Case):
    def test_life(self):
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        acl = self.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
        self.assertEqual([e["RuleNumber"] for e in acl["Entries"]], [32767, 32767])
        (default,) = self.ec2.describe_network_acls(Filters=[{"Name": "default", "Values": ["true"]}, *self.of_vpc(vpc)])["NetworkAcls"]
        (association,) = default["Associations"]
        self.assertEqual(association["SubnetId"], subnet)
        self.ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl["NetworkAclId"])
        self.fails("DependencyViolation", self.ec2.delete_network_acl, NetworkAclId=acl["NetworkAclId"])
        self.fails("InvalidAssociationID.NotFound", self.ec2.replace_network_acl_association,
                   AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl["NetworkAclId"])
        self.ec2.delete_subnet(SubnetId=subnet)
        self.ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])
        self.fails("InvalidParameterValue", self.ec2.delete_network_acl, "cannot delete default network ACL", NetworkAclId=default["NetworkAclId"])

    def test_entries(self):
        acl = self.ec2.create_network_acl(VpcId=self.vpc())["NetworkAcl"]["NetworkAclId"]
        entry = dict(NetworkAclId=acl, RuleNumber=200, Protocol="6", RuleAction="allow", Egress=False, CidrBlock="0.0.0.0/0", PortRange={"From": 80, "To": 80})
        self.ec2.create_network_acl_entry(**entry)
        self.fails("NetworkAclEntryAlreadyExists", self.ec2.create_network_acl_entry, "The network acl entry identified by 200 already exists.", **entry)
        self.ec2.create_network_acl_entry(**{**entry, "RuleNumber": 100, "Protocol": "icmp", "IcmpTypeCode": {"Type": -1, "Code": -1}})
        self.ec2.replace_network_acl_entry(**{**entry, "RuleAction": "deny"})
        (shown,) = self.ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
        inbound = [(e["RuleNumber"], e["Protocol"], e["RuleAction"]) for e in shown["Entries"] if not e["Egress"]]
        self.assertEqual(inbound, [(100, "1", "allow"), (200, "6", "deny"), (32767, "-1", "deny")])
        self.ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=200, Egress=False)
        self.fails("InvalidNetworkAclEntry.NotFound", self.ec2.delete_network_acl_entry, NetworkAclId=acl, RuleNumber=200, Egress=False)
        self.fails("InvalidParameterValue", self.ec2.delete_network_acl_entry, NetworkAclId=acl, RuleNumber=32767, Egress=False)
        self.fails("MissingParameter", self.ec2.create_network_acl_entry, **{k: v for k, v in entry.items() if k != "PortRange"})
        for i in range(19):
            self.ec2.create_network_acl_entry(**{**entry, "RuleNumber": i + 1})
        self.fails("NetworkAclEntryLimitExceeded", self.ec2.create_network_acl_entry, **entry)


class Nats(Ec2Case):
    def test_life(self):
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        allocation = self.ec2.allocate_address()["AllocationId"]
        self.fails("Gateway.NotAttached", self.ec2.create_nat_gateway, f"Network {vpc} has no Internet gateway attached", SubnetId=subnet,
                   AllocationId=allocation)
        self.gateway(vpc)
        self.fails("MissingParameter", self.ec2.create_nat_gateway, SubnetId=subnet)
        nat = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]
        self.assertEqual((nat["State"], nat["VpcId"]), ("pending", vpc))
        address = nat["NatGatewayAddresses"][0]
        (eni,) = self.ec2.describe_network_interfaces(Filters=self.of_vpc(vpc))["NetworkInterfaces"]
        self.assertEqual((eni["InterfaceType"], eni["NetworkInterfaceId"], eni["RequesterManaged"]), ("nat_gateway", address["NetworkInterfaceId"], True))
        self.fails("OperationNotPermitted", self.ec2.delete_network_interface, NetworkInterfaceId=eni["NetworkInterfaceId"])
        self.fails("Resource.AlreadyAssociated", self.ec2.create_nat_gateway, SubnetId=subnet, AllocationId=allocation)
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat["NatGatewayId"])
        self.ec2.delete_nat_gateway(NatGatewayId=nat["NatGatewayId"])
        (gone,) = self.ec2.describe_nat_gateways(NatGatewayIds=[nat["NatGatewayId"]])["NatGateways"]
        self.assertEqual(gone["State"], "deleted")
        routes = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        self.assertEqual([r["State"] for r in routes], ["active", "blackhole"])
        self.ec2.release_address(AllocationId=allocation)
        self.ec2.delete_subnet(SubnetId=subnet)
        self.fails("NatGatewayNotFound", self.ec2.delete_nat_gateway, "NatGateway nat-00000000000000000 was not found", NatGatewayId="nat-00000000000000000")

    def test_it_becomes_available_when_the_network_has_it(self):
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        self.gateway(vpc)
        nat = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=self.ec2.allocate_address()["AllocationId"])["NatGateway"]["NatGatewayId"]
        self.addCleanup(self.ec2.delete_nat_gateway, NatGatewayId=nat)
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 1, "MaxAttempts": 30})


class Options(Ec2Case):
    def test_life(self):
        vpc = self.vpc()
        (default,) = self.ec2.describe_dhcp_options()["DhcpOptions"]
        self.assertEqual({c["Key"]: c["Values"][0]["Value"] for c in default["DhcpConfigurations"]},
                         {"domain-name": self.region + ".compute.internal", "domain-name-servers": "AmazonProvidedDNS"})
        made = self.ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": ["corp.example"]},
                                                                {"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]}])["DhcpOptions"]["DhcpOptionsId"]
        self.ec2.associate_dhcp_options(DhcpOptionsId=made, VpcId=vpc)
        self.assertEqual(self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"], made)
        found = self.ec2.describe_dhcp_options(Filters=[{"Name": "value", "Values": ["corp.*"]}])["DhcpOptions"]
        self.assertEqual(names(found, "DhcpOptionsId"), [made])
        self.fails("DependencyViolation", self.ec2.delete_dhcp_options, f"The dhcpOptions '{made}' has dependencies and cannot be deleted.",
                   DhcpOptionsId=made)
        self.ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=vpc)
        self.ec2.delete_dhcp_options(DhcpOptionsId=made)
        self.fails("InvalidDhcpOptionID.NotFound", self.ec2.associate_dhcp_options, f"The dhcpOption ID '{made}' does not exist", DhcpOptionsId=made,
                   VpcId=vpc)
        self.fails("UnsupportedOperation", self.ec2.create_dhcp_options, DhcpConfigurations=[{"Key": "ntp-servers", "Values": ["10.0.0.1"]}])
        self.fails("InvalidParameterValue", self.ec2.create_dhcp_options, "Unknown DHCP option", DhcpConfigurations=[{"Key": "x", "Values": ["y"]}])


class PrefixLists(Ec2Case):
    def create(self, *cidrs, most=10):
        return self.ec2.create_managed_prefix_list(PrefixListName="offices", AddressFamily="IPv4", MaxEntries=most,
                                                   Entries=[{"Cidr": c, "Description": "d"} for c in cidrs])["PrefixList"]

    def cidrs(self, one, **more):
        return names(self.ec2.get_managed_prefix_list_entries(PrefixListId=one, **more)["Entries"], "Cidr")

    def test_versions(self):
        made = self.create("192.0.2.0/24", "198.51.100.0/24")
        one = made["PrefixListId"]
        self.assertEqual((made["State"], made["Version"]), ("create-complete", 1))
        changed = self.ec2.modify_managed_prefix_list(PrefixListId=one, CurrentVersion=1, AddEntries=[{"Cidr": "203.0.113.0/24"}],
                                                      RemoveEntries=[{"Cidr": "192.0.2.0/24"}])["PrefixList"]
        self.assertEqual((changed["State"], changed["Version"]), ("modify-complete", 2))
        self.assertEqual(self.cidrs(one), ["198.51.100.0/24", "203.0.113.0/24"])
        self.assertEqual(self.cidrs(one, TargetVersion=1), ["192.0.2.0/24", "198.51.100.0/24"])
        self.fails("PrefixListVersionMismatch", self.ec2.modify_managed_prefix_list, "The prefix list has the incorrect version number.",
                   PrefixListId=one, CurrentVersion=1, AddEntries=[{"Cidr": "10.0.0.0/8"}])
        self.fails("PrefixListMaxEntriesExceeded", self.ec2.modify_managed_prefix_list, PrefixListId=one, MaxEntries=1)
        self.fails("UnsupportedOperation", self.ec2.create_managed_prefix_list, PrefixListName="x", AddressFamily="IPv6", MaxEntries=1)
        first = self.ec2.get_managed_prefix_list_entries(PrefixListId=one, MaxResults=1)
        second = self.ec2.get_managed_prefix_list_entries(PrefixListId=one, MaxResults=1, NextToken=first["NextToken"])
        self.assertEqual(names(first["Entries"] + second["Entries"], "Cidr"), self.cidrs(one))
        self.ec2.delete_managed_prefix_list(PrefixListId=one)
        self.fails("InvalidPrefixListID.NotFound", self.ec2.delete_managed_prefix_list, PrefixListId=one)

    def test_in_rules_and_routes(self):
        vpc = self.vpc()
        group, one = self.group(vpc), self.create("192.0.2.0/24", most=55)["PrefixListId"]
        permission = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "PrefixListIds": [{"PrefixListId": one, "Description": "them"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permission)
        shown = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"][0]
        self.assertEqual(shown["PrefixListIds"], [{"PrefixListId": one, "Description": "them"}])
        self.fails("DependencyViolation", self.ec2.delete_managed_prefix_list, PrefixListId=one)
        # It counts as the 55 rules that it may become.
        self.fails("RulesPerSecurityGroupLimitExceeded", self.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[
            {"IpProtocol": "udp", "FromPort": 1, "ToPort": 1, "PrefixListIds": [{"PrefixListId": one}]}])
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=permission)
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        small = self.create("192.0.2.0/24")["PrefixListId"]
        igw = self.gateway(vpc)
        self.ec2.create_route(RouteTableId=table, DestinationPrefixListId=small, GatewayId=igw)
        self.fails("RouteLimitExceeded", self.ec2.create_route, RouteTableId=table, DestinationPrefixListId=one, GatewayId=igw)
        self.fails("DependencyViolation", self.ec2.delete_managed_prefix_list, PrefixListId=small)
        self.ec2.delete_route(RouteTableId=table, DestinationPrefixListId=small)
        self.ec2.delete_managed_prefix_list(PrefixListId=small)


class Common(Ec2Case):
    def test_dry_run(self):
        self.fails("DryRunOperation", self.ec2.create_vpc, "Request would have succeeded, but DryRun flag is set.", status=412,
                   CidrBlock="10.0.0.0/16", DryRun=True)
        self.assertEqual(len(self.ec2.describe_vpcs()["Vpcs"]), 1)
        self.fails("DryRunOperation", self.ec2.describe_vpcs, status=412, DryRun=True)

    def test_filters(self):
        vpc = self.vpc(TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "a*b"}]}])

        def found(*filters):
            return names(self.ec2.describe_vpcs(Filters=[{"Name": n, "Values": v} for n, v in filters])["Vpcs"], "VpcId")
        self.assertEqual(found(("cidr", ["10.0.0.0/16"])), [vpc])
        self.assertEqual(found(("cidr", ["10.*", "x"])), [vpc])
        self.assertEqual(found(("cidr", ["10.?.0.0/16"])), [vpc])
        self.assertEqual(found(("cidr", ["10.*"]), ("is-default", ["true"])), [])
        self.assertEqual(found(("tag:Name", ["a\\*b"])), [vpc])
        self.assertEqual(found(("tag:Name", ["a\\*"])), [])
        self.assertEqual(found(("tag:name", ["*"])), [])
        self.assertEqual(found(("tag-key", ["Na*"])), [vpc])
        self.assertEqual(len(found(("state", ["available"]))), 2)
        self.fails("InvalidParameterValue", self.ec2.describe_vpcs, "The filter 'colour' is invalid", Filters=[{"Name": "colour", "Values": ["x"]}])
        self.fails("FilterLimitExceeded", self.ec2.describe_vpcs, Filters=[{"Name": "cidr", "Values": ["x"] * 201}])

    def test_pages(self):
        vpc = self.vpc()
        groups = {self.group(vpc, f"g{i}") for i in range(12)}
        pages = list(self.ec2.get_paginator("describe_security_groups").paginate(Filters=self.of_vpc(vpc), PaginationConfig={"PageSize": 5}))
        self.assertEqual([len(p["SecurityGroups"]) for p in pages], [5, 5, 3])
        self.assertLess(groups, {g["GroupId"] for p in pages for g in p["SecurityGroups"]})
        token = pages[0]["NextToken"]
        self.fails("InvalidNextToken", self.ec2.describe_vpcs, NextToken=token)
        self.fails("InvalidNextToken", self.ec2.describe_security_groups, NextToken="made up")
        unchecked = client("ec2", region=self.region, parameter_validation=False)
        for size in (4, 1001):
            self.fails("InvalidParameterValue", unchecked.describe_vpcs, "maxResults", MaxResults=size)
        self.fails("InvalidParameterCombination", self.ec2.describe_security_groups, MaxResults=5, GroupIds=list(groups)[:1])

    def test_tokens(self):
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        first = self.ec2.create_network_interface(SubnetId=subnet, ClientToken="once")
        again = self.ec2.create_network_interface(SubnetId=subnet, ClientToken="once")
        self.assertEqual(again["NetworkInterface"], first["NetworkInterface"])
        self.assertEqual(len(self.ec2.describe_network_interfaces(Filters=self.of_vpc(vpc))["NetworkInterfaces"]), 1)
        self.fails("IdempotentParameterMismatch", self.ec2.create_network_interface, SubnetId=subnet, Description="x", ClientToken="once")
        self.fails("InvalidParameterValue", self.ec2.create_network_interface, "client token", SubnetId=subnet, ClientToken="x" * 65)

    def test_tags(self):
        vpc = self.vpc(TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "1"}]}])
        subnet = self.subnet(vpc)
        rule = self.ec2.describe_security_group_rules()["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        self.ec2.create_tags(Resources=[vpc, subnet, rule], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
        self.assertEqual(self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"], [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
        listed = self.ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["subnet", "security-group-rule"]}, {"Name": "key", "Values": ["a"]}])["Tags"]
        self.assertEqual(names(listed, "ResourceId"), sorted([subnet, rule]))
        pages = list(self.ec2.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 5}))
        self.assertEqual(sum(len(p["Tags"]) for p in pages), 6)
        self.ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
        self.assertEqual(self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"], [{"Key": "a", "Value": "2"}])
        self.ec2.delete_tags(Resources=[vpc])
        self.assertNotIn("Tags", self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0])

    def test_tag_refusals(self):
        vpc = self.vpc()
        tag = [{"Key": "k", "Value": "v"}]
        self.fails("InvalidParameterValue", self.ec2.create_tags, "reserved for internal use", Resources=[vpc], Tags=[{"Key": "aws:x", "Value": ""}])
        self.fails("InvalidParameterValue", self.ec2.create_tags, "Duplicate tag key 'k' specified.", Resources=[vpc], Tags=tag + tag)
        self.fails("InvalidID", self.ec2.create_tags, "The ID 'zzz-1' is not valid", Resources=["zzz-1"], Tags=tag)
        self.fails("InvalidVpcID.NotFound", self.ec2.create_tags, Resources=[vpc, "vpc-00000000000000000"], Tags=tag)
        self.assertNotIn("Tags", self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0])
        self.fails("InvalidParameterValue", self.ec2.create_vpc, "'subnet' is not a valid taggable resource type for this operation.",
                   CidrBlock="10.1.0.0/16", TagSpecifications=[{"ResourceType": "subnet", "Tags": tag}])
        self.ec2.create_tags(Resources=[vpc], Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
        self.fails("TagLimitExceeded", self.ec2.create_tags, "The maximum number of Tags for a resource has been reached.", Resources=[vpc], Tags=tag)

    def test_absent_operations(self):
        self.fails("UnsupportedOperation", self.ec2.create_transit_gateway, "does not provide", status=501)


class Permissions(Ec2Case):
    def user(self, *statements):
        iam, name = client("iam"), "ec2-" + uuid.uuid4().hex[:10]
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        key = iam.create_access_key(UserName=name)["AccessKey"]

        def drop():
            iam.delete_user_policy(UserName=name, PolicyName="p")
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            iam.delete_user(UserName=name)
        self.addCleanup(drop)
        return client("ec2", key=key["AccessKeyId"], secret=key["SecretAccessKey"], region=self.region)

    def test_denials_in_ec2s_words(self):
        user = self.user({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"})
        user.describe_vpcs()
        self.fails("UnauthorizedOperation", user.describe_subnets, status=403,
                   message="because no identity-based policy allows the ec2:DescribeSubnets action")
        vpc = self.vpc()
        with self.assertRaises(user.exceptions.ClientError) as raised:
            user.delete_vpc(VpcId=vpc)
        message = raised.exception.response["Error"]["Message"]
        self.assertRegex(message, r"^You are not authorized to perform this operation\. User: arn:aws:iam::\d+:user/\S+ is not authorized to perform: "
                                  r"ec2:DeleteVpc on resource: arn:aws:ec2:" + self.region + r":\d+:vpc/" + vpc + " because no identity-based policy")
        with self.assertRaises(user.exceptions.ClientError) as raised:
            user.describe_subnets(DryRun=True)
        self.assertEqual(raised.exception.response["Error"]["Code"], "UnauthorizedOperation")
        self.assertNotIn("on resource", raised.exception.response["Error"]["Message"])

    def test_resources_and_tags(self):
        blue = self.vpc(TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "colour", "Value": "blue"}]}])
        red = self.vpc("10.1.0.0/16")
        user = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "arn:aws:ec2:*:*:vpc/*", "Condition": {"StringEquals": {"aws:ResourceTag/colour": "blue"}}},
                         {"Effect": "Allow", "Action": "ec2:CreateSubnet", "Resource": "arn:aws:ec2:*:*:subnet/*"},
                         {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*", "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSubnet"}}})
        tags = [{"ResourceType": "subnet", "Tags": [{"Key": "x", "Value": "y"}]}]
        subnet = user.create_subnet(VpcId=blue, CidrBlock="10.0.1.0/24", TagSpecifications=tags)["Subnet"]["SubnetId"]
        self.fails("UnauthorizedOperation", user.create_subnet, f"vpc/{red}", status=403, VpcId=red, CidrBlock="10.1.1.0/24")
        self.fails("UnauthorizedOperation", user.create_tags, "ec2:CreateTags", status=403, Resources=[subnet], Tags=tags[0]["Tags"])
        self.fails("UnauthorizedOperation", user.delete_subnet, f"subnet/{subnet}", status=403, SubnetId=subnet)


class CommandLines(Ec2Case):
    def test_both(self):
        for program in aws_programs():
            def ec2(*words):
                done = run(program, "--endpoint-url", ENDPOINT, "ec2", *words, "--region", self.region, "--output", "json")
                return json.loads(done.stdout or "null")
            vpc = ec2("create-vpc", "--cidr-block", "10.3.0.0/16", "--tag-specifications", "ResourceType=vpc,Tags=[{Key=Name,Value=cli}]")["Vpc"]["VpcId"]
            shown = ec2("describe-vpcs", "--filters", "Name=tag:Name,Values=cli", "--query", "Vpcs[].VpcId")
            self.assertEqual(shown, [vpc])
            group = ec2("create-security-group", "--group-name", "cli", "--description", "d", "--vpc-id", vpc)["GroupId"]
            ec2("authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "10.0.0.0/8")
            self.assertEqual(ec2("describe-security-groups", "--group-ids", group)["SecurityGroups"][0]["IpPermissions"][0]["FromPort"], 22)
            ec2("delete-security-group", "--group-id", group)
            ec2("delete-vpc", "--vpc-id", vpc)


class Restart(unittest.TestCase):
    def test_all_is_there_again(self):
        with Cloud() as cloud:
            ec2 = cloud.client("ec2", retries={"max_attempts": 5})
            vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
            eni = ec2.create_network_interface(SubnetId=subnet, ClientToken="t")["NetworkInterface"]

            def everything():
                return [ec2.describe_vpcs()["Vpcs"], ec2.describe_subnets()["Subnets"], ec2.describe_network_interfaces()["NetworkInterfaces"],
                        ec2.describe_security_groups()["SecurityGroups"], ec2.describe_route_tables()["RouteTables"]]
            before, old = everything(), cloud.role_pid("api")
            cloud.kill("api")
            cloud.wait_for_role("api", other_than=old)
            cloud.wait()
            self.assertEqual(before, everything())
            again = ec2.create_network_interface(SubnetId=subnet, ClientToken="t")["NetworkInterface"]
            self.assertEqual(again["NetworkInterfaceId"], eni["NetworkInterfaceId"])


if __name__ == "__main__":
    unittest.main()
