"""Reachability analyses, and `quartet why-not`, which asks for them."""
import ipaddress
import os
import unittest

from aws import client, run
from ec2 import Ec2Case


class WhyNot(Ec2Case):
    def setUp(self):
        super().setUp()
        # older clients do not know that an address will do for a destination
        self.ec2 = client("ec2", region=self.region, parameter_validation=False)
        self.net = self.vpc()
        self.near, self.far = self.subnet(self.net), self.subnet(self.net, "10.0.2.0/24")
        self.sg = self.group(self.net)
        self.a, self.b = (self.ec2.create_network_interface(SubnetId=s, Groups=[self.sg])["NetworkInterface"] for s in (self.near, self.far))

    def ask(self, source, destination=None, port=80, **more):
        if destination:
            more["Destination"] = destination
        path = self.ec2.create_network_insights_path(Source=source, Protocol="tcp", DestinationPort=port, **more)["NetworkInsightsPath"]
        started = self.ec2.start_network_insights_analysis(NetworkInsightsPathId=path["NetworkInsightsPathId"])["NetworkInsightsAnalysis"]
        ids = [started["NetworkInsightsAnalysisId"]]
        (found,) = self.ec2.describe_network_insights_analyses(NetworkInsightsAnalysisIds=ids)["NetworkInsightsAnalyses"]
        self.assertEqual((found["Status"], found["NetworkInsightsPathId"]), ("succeeded", path["NetworkInsightsPathId"]))
        self.fails("AnalysisExistsForNetworkInsightsPath", self.ec2.delete_network_insights_path, NetworkInsightsPathId=path["NetworkInsightsPathId"])
        self.ec2.delete_network_insights_analysis(NetworkInsightsAnalysisId=ids[0])
        self.ec2.delete_network_insights_path(NetworkInsightsPathId=path["NetworkInsightsPathId"])
        # neither interface is in a machine that runs, which is said as well
        return [e for e in found["Explanations"] if e["ExplanationCode"] != "BAD_STATE"]

    def between(self, **more):
        return self.ask(self.a["NetworkInterfaceId"], self.b["NetworkInterfaceId"], **more)

    def test_groups(self):
        (why,) = self.between()
        self.assertEqual((why["ExplanationCode"], why["Direction"], why["Port"], why["Protocols"]), ("ENI_SG_RULES_MISMATCH", "ingress", 80, ["tcp"]))
        self.assertEqual(why["SecurityGroups"][0]["Id"], self.sg)
        self.assertEqual((why["NetworkInterface"]["Id"], why["Address"]), (self.b["NetworkInterfaceId"], self.a["PrivateIpAddress"]))
        self.ec2.authorize_security_group_ingress(GroupId=self.sg, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="10.0.1.0/24")
        self.assertEqual(self.between(), [])
        self.assertEqual(self.between(port=81)[0]["ExplanationCode"], "ENI_SG_RULES_MISMATCH")

    def test_acls_of_answers(self):
        self.ec2.authorize_security_group_ingress(GroupId=self.sg, IpProtocol="-1", CidrIp="10.0.0.0/16")
        acl = self.ec2.create_network_acl(VpcId=self.net)["NetworkAcl"]["NetworkAclId"]
        (old,) = self.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [self.far]}])["NetworkAcls"]
        (now,) = [x["NetworkAclAssociationId"] for x in old["Associations"] if x["SubnetId"] == self.far]
        self.ec2.replace_network_acl_association(AssociationId=now, NetworkAclId=acl)
        (why,) = self.between()
        self.assertEqual((why["ExplanationCode"], why["Acl"]["Id"], why["Direction"]), ("SUBNET_ACL_RESTRICTION", acl, "ingress"))
        self.assertEqual(why["AclRule"]["RuleNumber"], 32767)
        entry = dict(NetworkAclId=acl, RuleNumber=100, Protocol="-1", CidrBlock="0.0.0.0/0", RuleAction="allow")
        self.ec2.create_network_acl_entry(Egress=False, **entry)
        (why,) = self.between()
        self.assertEqual((why["Direction"], why["PortRanges"], why["Subnet"]["Id"]), ("egress", [{"From": 32768, "To": 32768}], self.far))
        self.ec2.create_network_acl_entry(Egress=True, **entry)
        self.assertEqual(self.between(), [])

    def test_routes_and_the_internet(self):
        (why,) = self.ask(self.a["NetworkInterfaceId"], DestinationIp="192.0.2.1")
        self.assertEqual((why["ExplanationCode"], why["Address"], why["Subnet"]["Id"]), ("NO_ROUTE_TO_DESTINATION", "192.0.2.1", self.near))
        table, igw = why["RouteTable"]["Id"], self.gateway(self.net)
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
        (why,) = self.ask(self.a["NetworkInterfaceId"], igw)
        self.assertEqual((why["ExplanationCode"], why["NetworkInterface"]["Id"]), ("IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS", self.a["NetworkInterfaceId"]))
        (why,) = self.ask(igw, self.a["NetworkInterfaceId"])
        self.assertEqual(why["ExplanationCode"], "IGW_PUBLIC_IP_ASSOCIATION_FOR_INGRESS")
        address = self.ec2.allocate_address()["AllocationId"]
        self.ec2.associate_address(AllocationId=address, NetworkInterfaceId=self.a["NetworkInterfaceId"])
        self.assertEqual(self.ask(self.a["NetworkInterfaceId"], igw), [])
        words = run(os.environ["QUARTET"], "why-not", "--region", self.region, self.a["NetworkInterfaceId"], "host", "80", check=False).stdout
        self.assertIn("is not led outside [NO_POSSIBLE_DESTINATION]", words)
        self.assertEqual(self.ask(igw, self.a["NetworkInterfaceId"])[0]["ExplanationCode"], "ENI_SG_RULES_MISMATCH")
        self.ec2.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=self.b["NetworkInterfaceId"])
        (why,) = self.ask(self.a["NetworkInterfaceId"], DestinationIp="192.0.2.1")
        self.assertEqual((why["ExplanationCode"], why["RouteTableRoute"]["State"]), ("BAD_STATE_ROUTE", "blackhole"))
        self.assertEqual(why["RouteTableRoute"]["NetworkInterfaceId"], self.b["NetworkInterfaceId"])

    def test_ipv6(self):
        self.ec2.associate_vpc_cidr_block(VpcId=self.net, AmazonProvidedIpv6CidrBlock=True)
        (vpc,) = self.ec2.describe_vpcs(VpcIds=[self.net])["Vpcs"]
        subnets = ipaddress.ip_network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]).subnets(new_prefix=64)
        first, second = str(next(subnets)), str(next(subnets))
        self.ec2.associate_subnet_cidr_block(SubnetId=self.far, Ipv6CidrBlock=first)
        self.ec2.associate_subnet_cidr_block(SubnetId=self.near, Ipv6CidrBlock=second)
        a, b = (x["NetworkInterfaceId"] for x in (self.a, self.b))
        (b6,) = self.ec2.assign_ipv6_addresses(NetworkInterfaceId=b, Ipv6AddressCount=1)["AssignedIpv6Addresses"]
        (why,) = self.between(DestinationIp=b6)
        self.assertEqual((why["ExplanationCode"], why["NetworkInterface"]["Id"]), ("NO_IPV6_ADDRESS", a))
        (a6,) = self.ec2.assign_ipv6_addresses(NetworkInterfaceId=a, Ipv6AddressCount=1)["AssignedIpv6Addresses"]
        (why,) = self.between(DestinationIp=b6)
        self.assertEqual((why["ExplanationCode"], why["Address"]), ("ENI_SG_RULES_MISMATCH", a6))
        self.ec2.authorize_security_group_ingress(GroupId=self.sg, IpPermissions=[
            dict(IpProtocol="tcp", FromPort=80, ToPort=80, Ipv6Ranges=[dict(CidrIpv6=second)])])
        self.assertEqual(self.between(DestinationIp=b6), [])
        self.assertEqual(self.between()[0]["Address"], self.a["PrivateIpAddress"])  # IPv4 is another question
        (why,) = self.ask(a, DestinationIp="2001:db8::9")
        self.assertEqual((why["ExplanationCode"], why["Address"]), ("NO_ROUTE_TO_DESTINATION", "2001:db8::9"))
        only_out = self.ec2.create_egress_only_internet_gateway(VpcId=self.net)["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
        self.ec2.create_route(RouteTableId=why["RouteTable"]["Id"], DestinationIpv6CidrBlock="::/0", EgressOnlyInternetGatewayId=only_out)
        self.assertEqual(self.ask(a, DestinationIp="2001:db8::9"), [])
        igw = self.gateway(self.net)
        (why,) = self.ask(igw, b, DestinationIp=b6)
        self.assertEqual(why["ExplanationCode"], "EGRESS_ONLY_GATEWAY")
        self.fails("InvalidParameterCombination", self.ec2.create_network_insights_path, Source=a, SourceIp="10.0.1.1", DestinationIp=b6,
                   Protocol="tcp", DestinationPort=80)
        self.fails("InvalidParameterValue", self.ec2.create_network_insights_path, Source=a, DestinationIp="fd00::1::2", Protocol="tcp", DestinationPort=80)
        words = run(os.environ["QUARTET"], "why-not", "--region", self.region, a, b6, "81", check=False).stdout
        self.assertIn(f"allows tcp port 81 from {a6} [ENI_SG_RULES_MISMATCH]", words)

    def test_command(self):
        def why_not(*words):
            return run(os.environ["QUARTET"], "why-not", "--region", self.region, *words, check=False)
        a, b = self.a["NetworkInterfaceId"], self.b["PrivateIpAddress"]
        done = why_not(a, b, "80")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        first, second, _ = done.stdout.splitlines()
        self.assertEqual(first, f"stopped: no ingress rule of {self.sg} at {self.b['NetworkInterfaceId']} allows tcp port 80 from "
                                f"{self.a['PrivateIpAddress']} [ENI_SG_RULES_MISMATCH]")
        self.assertEqual(second, f"stopped: {a} is not in use [BAD_STATE]")
        self.assertIn("no internet gateway is attached", why_not("internet", a, "80").stdout)
        self.assertIn("no interface has the address fd00::1", why_not("fd00::1", b, "80").stderr)
        self.assertEqual(why_not(a, b, "70000").returncode, 2)
        self.assertEqual(why_not(a, b).returncode, 2)
        self.assertIn("no interface has the address 10.0.9.9", why_not("10.0.9.9", a, "80").stderr)
        self.assertEqual(self.ec2.describe_network_insights_paths()["NetworkInsightsPaths"], [])
        self.assertEqual(self.ec2.describe_network_insights_analyses()["NetworkInsightsAnalyses"], [])

    def test_refusals(self):
        create = self.ec2.create_network_insights_path
        ok = dict(Source=self.a["NetworkInterfaceId"], Protocol="tcp", DestinationPort=80)
        self.fails("MissingParameter", create, **ok)
        self.fails("InvalidNetworkInterfaceID.NotFound", create, Destination="eni-00000000000000000", **ok)
        self.fails("InvalidInstanceID.NotFound", create, Destination="i-00000000000000000", **ok)
        self.fails("UnsupportedOperation", create, Destination="tgw-00000000000000000", **ok)
        self.fails("InvalidParameterValue", create, DestinationIp="10.0.0", **ok)
        self.fails("InvalidNetworkInsightsPathId.NotFound", self.ec2.start_network_insights_analysis, NetworkInsightsPathId="nip-00000000000000000")
        self.assertEqual(self.ec2.describe_network_insights_paths()["NetworkInsightsPaths"], [])


if __name__ == "__main__":
    unittest.main()
