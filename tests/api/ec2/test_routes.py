"""Route tables, gateways, network ACLs and DHCP options."""
import unittest

from ec2 import Ec2Case, names


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
        for key, values in (("ntp-servers", ["10.0.0.1", "x"]), ("ntp-servers", []), ("domain-name-servers", [f"10.0.0.{i}" for i in range(1, 6)]),
                            ("netbios-name-servers", ["AmazonProvidedDNS"]), ("netbios-node-type", ["3"]), ("domain-name-servers", ["0.0.0.0"])):
            self.fails("InvalidParameterValue", self.ec2.create_dhcp_options, DhcpConfigurations=[{"Key": key, "Values": values}])
        self.fails("UnsupportedOperation", self.ec2.create_dhcp_options, DhcpConfigurations=[{"Key": "domain-name-servers", "Values": ["fd00::1"]}])
        self.fails("InvalidParameterValue", self.ec2.create_dhcp_options, "Unknown DHCP option", DhcpConfigurations=[{"Key": "x", "Values": ["y"]}])


if __name__ == "__main__":
    unittest.main()
