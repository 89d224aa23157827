"""Network interfaces and elastic addresses."""
import ipaddress
import unittest

from aws import client
from ec2 import Ec2Case, names


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
        self.fails("InvalidParameterValue", self.ec2.create_network_interface, "has no IPv6 CIDR block", SubnetId=self.sub, Ipv6AddressCount=1)
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
        attributes = self.ec2.describe_addresses_attribute(Attribute="domain-name")["Addresses"]
        self.assertEqual(names(attributes, "PublicIp"), sorted(mine))
        elsewhere = client("ec2", region="other-" + self.region)
        self.fails("InvalidAddress.NotFound", elsewhere.allocate_address, Address=mine[0])
        for a in self.ec2.describe_addresses()["Addresses"]:
            self.ec2.release_address(AllocationId=a["AllocationId"])
        again = elsewhere.allocate_address(Address=mine[0])
        self.assertEqual(again["PublicIp"], mine[0])
        elsewhere.release_address(AllocationId=again["AllocationId"])


class Reserved(Ec2Case):
    """Blocks of a subnet whose addresses nobody gets who does not name them."""

    def setUp(self):
        super().setUp()
        self.net = self.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
        self.block6 = self.net["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
        self.sub = self.subnet(self.net["VpcId"], "10.0.1.0/27", Ipv6CidrBlock=self.block6)

    def reserve(self, cidr, kind="explicit", **more):
        return self.ec2.create_subnet_cidr_reservation(SubnetId=self.sub, Cidr=cidr, ReservationType=kind, **more)["SubnetCidrReservation"]

    def kept(self, **more):
        found = self.ec2.get_subnet_cidr_reservations(SubnetId=self.sub, **more)
        return [r["Cidr"] for r in found["SubnetIpv4CidrReservations"]], [r["Cidr"] for r in found["SubnetIpv6CidrReservations"]]

    def addresses(self, **more):
        made = self.ec2.create_network_interface(SubnetId=self.sub, **more)["NetworkInterface"]
        return [a["PrivateIpAddress"] for a in made["PrivateIpAddresses"]]

    def test_addresses_are_not_given_out(self):
        self.assertEqual(self.addresses(SecondaryPrivateIpAddressCount=1), ["10.0.1.4", "10.0.1.5"])
        self.reserve("10.0.1.16/29", "prefix")
        low = self.reserve("10.0.1.4/30")["SubnetCidrReservationId"]
        self.reserve("10.0.1.10/31")
        self.assertEqual(self.addresses(PrivateIpAddress="10.0.1.10"), ["10.0.1.10"])
        self.assertEqual(self.addresses(SecondaryPrivateIpAddressCount=9), [f"10.0.1.{n}" for n in (8, 9, 12, 13, 14, 15, 24, 25, 26, 27)])
        self.assertEqual(self.addresses(SecondaryPrivateIpAddressCount=2), [f"10.0.1.{n}" for n in (28, 29, 30)])
        self.fails("InsufficientFreeAddressesInSubnet", self.ec2.create_network_interface, SubnetId=self.sub)
        self.ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=low)
        self.assertEqual(self.addresses(), ["10.0.1.6"])

    def test_ipv6(self):
        base = self.block6.replace("/64", "")
        self.reserve(f"{base}/65")
        upper = str(list(ipaddress.ip_network(self.block6).subnets())[1])
        given = [a["Ipv6Address"] for _ in range(4)
                 for a in self.ec2.create_network_interface(SubnetId=self.sub, Ipv6AddressCount=10)["NetworkInterface"]["Ipv6Addresses"]]
        self.assertTrue(all(ipaddress.ip_address(a) in ipaddress.ip_network(upper) for a in given), given)
        whole = self.reserve(upper)
        self.fails("InsufficientFreeAddressesInSubnet", self.ec2.create_network_interface, SubnetId=self.sub, Ipv6AddressCount=1)
        self.assertEqual(sorted(self.kept()[1]), sorted([f"{base}/65", whole["Cidr"]]))
        named = self.ec2.create_network_interface(SubnetId=self.sub, Ipv6Addresses=[{"Ipv6Address": base + "77"}])["NetworkInterface"]
        self.assertEqual([a["Ipv6Address"] for a in named["Ipv6Addresses"]], [base + "77"])

    def test_life(self):
        made = self.reserve("10.0.1.20/30", Description="mine", TagSpecifications=[{"ResourceType": "subnet-cidr-reservation", "Tags": [{"Key": "a", "Value": "b"}]}])
        reservation = made["SubnetCidrReservationId"]
        self.assertRegex(reservation, "^scr-[0-9a-f]{17}$")
        self.assertEqual((made["SubnetId"], made["Cidr"], made["ReservationType"], made["Description"], made["Tags"]),
                         (self.sub, "10.0.1.20/30", "explicit", "mine", [{"Key": "a", "Value": "b"}]))
        other = self.subnet(self.net["VpcId"], "10.0.2.0/24")
        self.ec2.create_subnet_cidr_reservation(SubnetId=other, Cidr="10.0.2.16/28", ReservationType="prefix")
        self.assertEqual(self.kept(), (["10.0.1.20/30"], []))
        self.assertEqual(self.kept(Filters=[{"Name": "reservationType", "Values": ["prefix"]}]), ([], []))
        self.assertEqual(self.kept(Filters=[{"Name": "tag:a", "Values": ["b"]}])[0], ["10.0.1.20/30"])
        for cidr, kind in (("10.0.2.0/28", "explicit"), ("10.0.1.16/28", "explicit"), ("10.0.1.20/32", "explicit"), ("ten", "explicit"), ("fd00::/80", "prefix"),
                           ("10.0.1.8/30", "mine")):
            self.fails("InvalidParameterValue", self.reserve, cidr=cidr, kind=kind)
        self.fails("InvalidSubnetID.NotFound", self.ec2.get_subnet_cidr_reservations, SubnetId="subnet-0123456789abcdef0")
        gone = self.ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reservation)["DeletedSubnetCidrReservation"]
        self.assertEqual(gone["Cidr"], "10.0.1.20/30")
        self.fails("InvalidSubnetCidrReservationID.NotFound", self.ec2.delete_subnet_cidr_reservation, SubnetCidrReservationId=reservation)
        self.ec2.delete_subnet(SubnetId=other)
        self.assertEqual(self.kept(), ([], []))


if __name__ == "__main__":
    unittest.main()
