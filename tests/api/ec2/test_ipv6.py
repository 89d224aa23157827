"""IPv6 of VPCs as clients see it: blocks, addresses, rules, routes and egress-only gateways."""
import ipaddress
import unittest

from ec2 import Ec2Case, names


class Ipv6Case(Ec2Case):
    def setUp(self):
        super().setUp()
        self.net = self.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
        self.net_id = self.net["VpcId"]
        self.block = ipaddress.ip_network(self.net["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])
        self.subnets = [str(s) for s in list(self.block.subnets(new_prefix=64))[:4]]

    def subnet6(self, at=0, **more):
        return self.ec2.create_subnet(VpcId=self.net_id, CidrBlock=f"10.0.{at}.0/24", Ipv6CidrBlock=self.subnets[at], **more)["Subnet"]

    def main_routes(self):
        (table,) = self.ec2.describe_route_tables(Filters=self.of_vpc(self.net_id))["RouteTables"]
        return table["RouteTableId"], {r.get("DestinationIpv6CidrBlock"): r for r in table["Routes"]}


class Blocks(Ipv6Case):
    def test_a_vpc_with_a_block(self):
        (one,) = self.net["Ipv6CidrBlockAssociationSet"]
        self.assertEqual((self.block.prefixlen, one["Ipv6CidrBlockState"]["State"], one["Ipv6Pool"], one["NetworkBorderGroup"]),
                         (56, "associated", "Amazon", self.region))
        self.assertTrue(self.block.subnet_of(ipaddress.ip_network("fd00::/8")))
        _, routes = self.main_routes()
        self.assertEqual(routes[str(self.block)]["GatewayId"], "local")
        (acl,) = self.ec2.describe_network_acls(Filters=self.of_vpc(self.net_id))["NetworkAcls"]
        self.assertEqual([(e["RuleNumber"], e["RuleAction"]) for e in acl["Entries"] if "Ipv6CidrBlock" in e and not e["Egress"]],
                         [(101, "allow"), (32768, "deny")])
        for group in (self.default_group(self.net_id)["GroupId"], self.group(self.net_id)):
            (out,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
            self.assertEqual((out["IpRanges"], out["Ipv6Ranges"]), ([{"CidrIp": "0.0.0.0/0"}], [{"CidrIpv6": "::/0"}]))
        for name, value in (("association-id", one["AssociationId"]), ("ipv6-cidr-block", str(self.block)), ("state", "associated"), ("ipv6-pool", "Amazon")):
            found = self.ec2.describe_vpcs(Filters=[{"Name": "ipv6-cidr-block-association." + name, "Values": [value]}])["Vpcs"]
            self.assertEqual(names(found, "VpcId"), [self.net_id])

    def test_blocks_come_and_go(self):
        vpc = self.vpc("10.9.0.0/16")
        group = self.group(vpc, "own")
        self.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        added = [self.ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"] for _ in range(5)]
        self.assertEqual(len({a["Ipv6CidrBlock"] for a in added}), 5)
        self.fails("CidrLimitExceeded", self.ec2.associate_vpc_cidr_block, VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"], [])
        sub = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", Ipv6CidrBlock=added[0]["Ipv6CidrBlock"].replace("/56", "/64"))["Subnet"]
        self.fails("CidrBlockInUse", self.ec2.disassociate_vpc_cidr_block, AssociationId=added[0]["AssociationId"])
        gone = self.ec2.disassociate_vpc_cidr_block(AssociationId=added[1]["AssociationId"])
        self.assertEqual((gone["VpcId"], gone["Ipv6CidrBlockAssociation"]["Ipv6CidrBlockState"]["State"]), (vpc, "disassociating"))
        left = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"]
        self.assertEqual(names(left, "AssociationId"), names(added[:1] + added[2:], "AssociationId"))
        (table,) = self.ec2.describe_route_tables(Filters=self.of_vpc(vpc))["RouteTables"]
        self.assertNotIn(added[1]["Ipv6CidrBlock"], [r.get("DestinationIpv6CidrBlock") for r in table["Routes"]])
        self.ec2.delete_subnet(SubnetId=sub["SubnetId"])
        self.ec2.delete_security_group(GroupId=group)
        self.ec2.delete_vpc(VpcId=vpc)

    def test_refusals(self):
        again = self.ec2.associate_vpc_cidr_block
        self.fails("UnsupportedOperation", again, VpcId=self.net_id, Ipv6CidrBlock="2001:db8::/56", Ipv6Pool="pool")
        self.fails("InvalidParameterValue", again, VpcId=self.net_id, AmazonProvidedIpv6CidrBlock=True, Ipv6CidrBlockNetworkBorderGroup="us-west-2-lax-1")
        self.fails("InvalidParameterCombination", again, VpcId=self.net_id, AmazonProvidedIpv6CidrBlock=True, CidrBlock="10.1.0.0/16")
        self.fails("InvalidVpcCidrBlockAssociationID.NotFound", self.ec2.disassociate_vpc_cidr_block, AssociationId="vpc-cidr-assoc-00000000000000000")

    def test_subnets(self):
        sub = self.subnet6()
        (one,) = sub["Ipv6CidrBlockAssociationSet"]
        self.assertEqual((one["Ipv6CidrBlock"], one["Ipv6CidrBlockState"]["State"], sub["AssignIpv6AddressOnCreation"]), (self.subnets[0], "associated", False))
        plain = self.subnet(self.net_id, "10.0.9.0/24")
        associate = self.ec2.associate_subnet_cidr_block
        for block, code in ((self.subnets[0], "InvalidSubnet.Conflict"), ("fd00:1::/64", "InvalidSubnet.Range"), (str(self.block), "InvalidSubnet.Conflict"),
                            (self.subnets[1].replace("/64", "/66"), "InvalidSubnet.Range"), ("fd::x/64", "InvalidParameterValue")):
            self.fails(code, associate, SubnetId=plain, Ipv6CidrBlock=block)
            self.fails(code, self.ec2.create_subnet, VpcId=self.net_id, CidrBlock="10.0.10.0/24", Ipv6CidrBlock=block)
        added = associate(SubnetId=plain, Ipv6CidrBlock=self.subnets[1])["Ipv6CidrBlockAssociation"]
        self.fails("CidrLimitExceeded", associate, SubnetId=plain, Ipv6CidrBlock=self.subnets[2])
        found = self.ec2.describe_subnets(Filters=[{"Name": "ipv6-cidr-block-association.ipv6-cidr-block", "Values": [self.subnets[1]]}])["Subnets"]
        self.assertEqual(names(found, "SubnetId"), [plain])
        self.ec2.modify_subnet_attribute(SubnetId=plain, AssignIpv6AddressOnCreation={"Value": True})
        eni = self.ec2.create_network_interface(SubnetId=plain)["NetworkInterface"]
        self.assertIn(ipaddress.ip_address(eni["Ipv6Addresses"][0]["Ipv6Address"]), ipaddress.ip_network(self.subnets[1]))
        self.fails("DependencyViolation", self.ec2.disassociate_subnet_cidr_block, AssociationId=added["AssociationId"])
        self.ec2.delete_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"])
        self.fails("InvalidParameterValue", self.ec2.disassociate_subnet_cidr_block, AssociationId=added["AssociationId"])
        self.ec2.modify_subnet_attribute(SubnetId=plain, AssignIpv6AddressOnCreation={"Value": False})
        gone = self.ec2.disassociate_subnet_cidr_block(AssociationId=added["AssociationId"])
        self.assertEqual((gone["SubnetId"], gone["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"]), (plain, self.subnets[1]))
        self.assertEqual(self.ec2.describe_subnets(SubnetIds=[plain])["Subnets"][0]["Ipv6CidrBlockAssociationSet"], [])
        self.fails("InvalidSubnetCidrBlockAssociationID.NotFound", self.ec2.disassociate_subnet_cidr_block, AssociationId=added["AssociationId"])


class Addresses(Ipv6Case):
    def test_addresses_of_interfaces(self):
        sub = self.subnet6()["SubnetId"]
        base = self.subnets[0].replace("/64", "")
        eni = self.ec2.create_network_interface(SubnetId=sub, Ipv6Addresses=[{"Ipv6Address": base + "AB:0:1"}])["NetworkInterface"]
        own = str(ipaddress.ip_address(base + "ab:0:1"))
        self.assertEqual((eni["Ipv6Address"], names(eni["Ipv6Addresses"], "Ipv6Address")), (own, [own]))
        one = eni["NetworkInterfaceId"]
        create = self.ec2.create_network_interface
        self.fails("InvalidIPAddress.InUse", create, SubnetId=sub, Ipv6Addresses=[{"Ipv6Address": own}])
        for address, message in ((base + "3", "reserved"), (str(ipaddress.ip_network(self.subnets[0])[-1]), "reserved"), ("fd00::1", "does not fall within"), ("x", "Invalid IPv6")):
            self.fails("InvalidParameterValue", create, message, SubnetId=sub, Ipv6Addresses=[{"Ipv6Address": address}])
        self.fails("InvalidParameterCombination", create, SubnetId=sub, Ipv6Addresses=[{"Ipv6Address": base + "9"}], Ipv6AddressCount=1)
        self.fails("PrivateIpAddressLimitExceeded", create, SubnetId=sub, Ipv6AddressCount=16)
        got = self.ec2.assign_ipv6_addresses(NetworkInterfaceId=one, Ipv6AddressCount=2)
        self.assertEqual(len(got["AssignedIpv6Addresses"]), 2)
        self.fails("PrivateIpAddressLimitExceeded", self.ec2.assign_ipv6_addresses, NetworkInterfaceId=one, Ipv6AddressCount=13)
        (found,) = self.ec2.describe_network_interfaces(Filters=[
            {"Name": "ipv6-addresses.ipv6-address", "Values": [got["AssignedIpv6Addresses"][1]]}])["NetworkInterfaces"]
        self.assertEqual(names(found["Ipv6Addresses"], "Ipv6Address"), sorted([own] + got["AssignedIpv6Addresses"]))
        self.fails("InvalidParameterValue", self.ec2.unassign_ipv6_addresses, NetworkInterfaceId=one, Ipv6Addresses=[base + "77"])
        gone = self.ec2.unassign_ipv6_addresses(NetworkInterfaceId=one, Ipv6Addresses=[own])
        self.assertEqual(gone["UnassignedIpv6Addresses"], [own])
        other = create(SubnetId=sub, Ipv6Addresses=[{"Ipv6Address": own}])["NetworkInterface"]["NetworkInterfaceId"]
        self.ec2.delete_network_interface(NetworkInterfaceId=other)
        self.ec2.assign_ipv6_addresses(NetworkInterfaceId=one, Ipv6Addresses=[own])
        self.fails("InvalidParameterValue", self.ec2.assign_ipv6_addresses, "no IPv6 CIDR block", Ipv6AddressCount=1,
                   NetworkInterfaceId=create(SubnetId=self.subnet(self.net_id, "10.0.9.0/24"))["NetworkInterface"]["NetworkInterfaceId"])


class RulesAndRoutes(Ipv6Case):
    def test_groups(self):
        group = self.group(self.net_id)
        rule = {"IpProtocol": "icmpv6", "FromPort": 128, "ToPort": -1, "Ipv6Ranges": [{"CidrIpv6": "2001:DB8::1/32", "Description": "d"}]}
        (made,) = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])["SecurityGroupRules"]
        self.assertEqual((made["CidrIpv6"], made["IpProtocol"]), ("2001:db8::/32", "icmpv6"))
        self.fails("InvalidPermission.Duplicate", self.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[{**rule, "IpProtocol": "58"}])
        (shown,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        self.assertEqual(shown["Ipv6Ranges"], [{"CidrIpv6": "2001:db8::/32", "Description": "d"}])
        found = self.ec2.describe_security_groups(Filters=[{"Name": "ip-permission.ipv6-cidr", "Values": ["2001:db8::/32"]}])["SecurityGroups"]
        self.assertEqual(names(found, "GroupId"), [group])
        self.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[{
            "SecurityGroupRuleId": made["SecurityGroupRuleId"], "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIpv6": "::/0"}}])
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"], [])

    def test_acls(self):
        acl = self.ec2.create_network_acl(VpcId=self.net_id)["NetworkAcl"]
        self.assertEqual([e["RuleNumber"] for e in acl["Entries"]], [32767, 32768] * 2)
        entry = {"NetworkAclId": acl["NetworkAclId"], "Egress": False, "RuleAction": "allow"}
        add = self.ec2.create_network_acl_entry
        add(RuleNumber=5, Protocol="58", Ipv6CidrBlock="::/0", IcmpTypeCode={"Type": -1, "Code": -1}, **entry)
        self.fails("MissingParameter", add, RuleNumber=6, Protocol="58", Ipv6CidrBlock="::/0", **entry)
        self.fails("InvalidParameterCombination", add, RuleNumber=6, Protocol="-1", Ipv6CidrBlock="::/0", CidrBlock="0.0.0.0/0", **entry)
        self.fails("InvalidParameterValue", add, "ipv6CidrBlock", RuleNumber=6, Protocol="-1", Ipv6CidrBlock="10.0.0.0/8", **entry)
        (found,) = self.ec2.describe_network_acls(Filters=[{"Name": "entry.ipv6-cidr", "Values": ["::/0"]}, {"Name": "default", "Values": ["false"]}])["NetworkAcls"]
        self.assertEqual((found["Entries"][2]["Ipv6CidrBlock"], found["Entries"][2]["Protocol"]), ("::/0", "58"))

    def test_prefix_lists(self):
        make = self.ec2.create_managed_prefix_list
        self.fails("InvalidParameterValue", make, PrefixListName="x", AddressFamily="IPv6", MaxEntries=2, Entries=[{"Cidr": "10.0.0.0/8"}])
        one = make(PrefixListName="x", AddressFamily="IPv6", MaxEntries=2, Entries=[{"Cidr": "2001:db8:0::/32"}])["PrefixList"]
        self.assertEqual(one["AddressFamily"], "IPv6")
        entries = self.ec2.get_managed_prefix_list_entries(PrefixListId=one["PrefixListId"])["Entries"]
        self.assertEqual(names(entries, "Cidr"), ["2001:db8::/32"])
        self.ec2.authorize_security_group_ingress(GroupId=self.group(self.net_id), IpPermissions=[{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": one["PrefixListId"]}]}])

    def test_routes_and_egress_only_gateways(self):
        table, _ = self.main_routes()
        igw = self.gateway(self.net_id)
        made = self.ec2.create_egress_only_internet_gateway(VpcId=self.net_id, TagSpecifications=[
            {"ResourceType": "egress-only-internet-gateway", "Tags": [{"Key": "a", "Value": "b"}]}])["EgressOnlyInternetGateway"]
        eigw = made["EgressOnlyInternetGatewayId"]
        self.assertEqual(made["Attachments"], [{"State": "attached", "VpcId": self.net_id}])
        self.ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", EgressOnlyInternetGatewayId=eigw)
        self.fails("RouteAlreadyExists", self.ec2.create_route, RouteTableId=table, DestinationIpv6CidrBlock="0::/0", GatewayId=igw)
        self.fails("InvalidParameterValue", self.ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", EgressOnlyInternetGatewayId=eigw)
        self.fails("InvalidParameterValue", self.ec2.create_route, "belong to different networks", DestinationIpv6CidrBlock="::/0",
                   EgressOnlyInternetGatewayId=eigw, RouteTableId=self.ec2.create_route_table(VpcId=self.vpc("10.7.0.0/16"))["RouteTable"]["RouteTableId"])
        self.fails("InvalidParameterValue", self.ec2.create_route, "more specific", RouteTableId=table, DestinationIpv6CidrBlock=self.subnets[0], GatewayId=igw)
        self.fails("InvalidParameterValue", self.ec2.delete_route, "local route", RouteTableId=table, DestinationIpv6CidrBlock=str(self.block))
        self.assertEqual(self.main_routes()[1]["::/0"]["State"], "active")
        (found,) = self.ec2.describe_egress_only_internet_gateways(Filters=[{"Name": "tag:a", "Values": ["b"]}])["EgressOnlyInternetGateways"]
        self.assertEqual(found["EgressOnlyInternetGatewayId"], eigw)
        self.assertTrue(self.ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=eigw)["ReturnCode"])
        self.assertEqual(self.main_routes()[1]["::/0"]["State"], "blackhole")
        self.ec2.replace_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", GatewayId=igw)
        self.assertEqual(self.main_routes()[1]["::/0"]["GatewayId"], igw)
        self.ec2.delete_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0")
        self.fails("InvalidRoute.NotFound", self.ec2.delete_route, RouteTableId=table, DestinationIpv6CidrBlock="::/0")
        self.fails("InvalidEgressOnlyInternetGatewayId.NotFound", self.ec2.delete_egress_only_internet_gateway, EgressOnlyInternetGatewayId=eigw)
        self.fails("InvalidVpcID.NotFound", self.ec2.create_egress_only_internet_gateway, VpcId="vpc-00000000000000000")


if __name__ == "__main__":
    unittest.main()
