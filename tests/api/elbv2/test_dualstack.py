"""Balancers with addresses of IPv6: who listens there, names, rules, and what changes when a balancer gets them later."""
import ipaddress
import socket
import unittest
import uuid

from aws import client
from balancers import counted
from webs import Reply, WebCase, forward, wait


class Dualstack(WebCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dns = client("route53")
        cls.elb4 = cls.subnets[2]  # stays without
        block = cls.ec2.associate_vpc_cidr_block(VpcId=cls.vpc, AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"]
        for subnet, part in zip(cls.subnets[:2], ipaddress.ip_network(block).subnets(new_prefix=64)):
            cls.ec2.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock=str(part))
        (gateway,) = cls.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [cls.vpc]}])["InternetGateways"]
        (table,) = cls.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [cls.vpc]}])["RouteTables"]
        cls.ec2.create_route(RouteTableId=table["RouteTableId"], DestinationIpv6CidrBlock="::/0", GatewayId=gateway["InternetGatewayId"])
        cls.ec2.authorize_security_group_ingress(GroupId=cls.open, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])

    def clear(self):
        for b in self.elb.describe_load_balancers()["LoadBalancers"]:
            if b["Type"] == "network":
                self.elb.delete_load_balancer(LoadBalancerArn=b["LoadBalancerArn"])
        for g in self.elb.describe_target_groups()["TargetGroups"]:
            if g["TargetType"] == "alb":
                self.elb.delete_target_group(TargetGroupArn=g["TargetGroupArn"])
        super().clear()

    def addresses6(self, balancer):
        words = "/".join(balancer["LoadBalancerArn"].split("/")[-3:])
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        return sorted(a["Ipv6Address"] for i in found for a in i["Ipv6Addresses"])

    def until6(self, address, path, status, **more):
        """The reply, and from where it was asked."""
        def there():
            try:
                with socket.create_connection((address, more.get("port", 80)), 10) as s:
                    got = Reply(self.exchange(s, f"GET {path} HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n".encode(), 30))
                    return (got, s.getsockname()[0]) if got.status == status else None
            except OSError:
                return None
        return wait(self, there, 60, f"{status} of {path} at {address}")

    def names(self, balancer):
        """What an alias to it is answered with: (A, AAAA)."""
        word = uuid.uuid4().hex[:8] + ".example"
        zone = self.dns.create_hosted_zone(Name=word, CallerReference=word)["HostedZone"]["Id"]
        records = [{"Name": word, "Type": kind, "AliasTarget": {"HostedZoneId": balancer["CanonicalHostedZoneId"], "DNSName": balancer["DNSName"],
                                                              "EvaluateTargetHealth": False}} for kind in ("A", "AAAA")]
        change = lambda action: self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
            {"Action": action, "ResourceRecordSet": r} for r in records]})
        change("CREATE")
        said = [sorted(self.dns.test_dns_answer(HostedZoneId=zone, RecordName=word, RecordType=r["Type"])["RecordData"]) for r in records]
        change("DELETE")
        self.dns.delete_hosted_zone(Id=zone)
        return said

    def kind(self, balancer):
        return self.elb.describe_load_balancers(LoadBalancerArns=[balancer["LoadBalancerArn"]])["LoadBalancers"][0]["IpAddressType"]

    def test_an_application_balancer(self):
        made = self.balancer("both", IpAddressType="dualstack")
        self.assertEqual((made["IpAddressType"], self.kind(made)), ("dualstack", "dualstack"))
        listener = self.listen(made, forward(self.function_group("both", self.function("both"))))
        self.rule(listener, 1, [{"Field": "path-pattern", "Values": ["/who"]}, {"Field": "source-ip", "SourceIpConfig": {"Values": ["::/0"]}}], self.fixed("six", 299))
        self.rule(listener, 2, [{"Field": "path-pattern", "Values": ["/who"]}], self.fixed("four", 298))
        self.assertEqual(len(self.addresses6(made)), 2)
        for address in self.addresses6(made):
            reply, me = self.until6(address, "/", 200)
            self.assertEqual(reply.json()["headers"]["x-forwarded-for"], me)
            self.until6(address, "/who", 299)
        for address in self.addresses(made):
            self.until(address, "/who", 298)
        # what came by IPv6 is counted, and nothing else
        before6, nodes = counted(self, made, "IPv6RequestCount"), list(zip(self.addresses6(made), self.addresses(made)))
        for address6, address in nodes * 3:
            self.until6(address6, "/who", 299)
            for _ in range(10):
                self.assertEqual(self.ask(address, "/who").status, 298)
        wait(self, lambda: counted(self, made, "HTTP_Fixed_Response_Count") >= 66 and counted(self, made, "IPv6RequestCount") >= before6 + 6, 60, "requests are counted")
        self.assertLess(counted(self, made, "IPv6RequestCount"), 30)
        self.assertTrue(0 < counted(self, made, "IPv6ProcessedBytes") < counted(self, made, "ProcessedBytes") / 2)
        wait(self, lambda: self.names(made) == [self.addresses(made), self.addresses6(made)], 30, "names")
        # one of IPv4 has none, whatever its subnets give to interfaces
        for subnet in self.subnets[:2]:
            self.ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": True})
            self.addCleanup(self.ec2.modify_subnet_attribute, SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": False})
        four = self.balancer("four")
        wait(self, lambda: self.names(four) == [self.addresses(four), []], 30, "names of IPv4 alone")
        # without, and with them again: the addresses of IPv4 stay
        before = self.addresses(made)
        say = self.elb.set_ip_address_type
        self.assertEqual(say(LoadBalancerArn=made["LoadBalancerArn"], IpAddressType="ipv4")["IpAddressType"], "ipv4")
        self.assertEqual((self.addresses6(made), self.kind(made)), ([], "ipv4"))
        wait(self, lambda: self.names(made) == [before, []], 30, "names of IPv4 alone")
        self.until(before[0], "/who", 298)
        say(LoadBalancerArn=made["LoadBalancerArn"], IpAddressType="dualstack")
        for address in self.addresses6(made):
            self.until6(address, "/who", 299)
        # and with them alone, for whoever is outside
        say(LoadBalancerArn=made["LoadBalancerArn"], IpAddressType="dualstack-without-public-ipv4")
        wait(self, lambda: self.names(made) == [[], self.addresses6(made)], 30, "names of IPv6 alone")
        self.until6(self.addresses6(made)[0], "/who", 299)

    def test_a_network_balancer(self):
        back = self.balancer("back")
        self.listen(back, forward(self.function_group("back", self.function("back"))))
        group = self.elb.create_target_group(Name="chain", TargetType="alb", Protocol="TCP", Port=80, VpcId=self.vpc, HealthCheckIntervalSeconds=5,
                                             HealthCheckTimeoutSeconds=2)["TargetGroups"][0]
        self.elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": back["LoadBalancerArn"]}])
        front = self.elb.create_load_balancer(Name="front", Type="network", Subnets=self.subnets[:2], IpAddressType="dualstack")["LoadBalancers"][0]
        self.assertEqual(sorted(z["LoadBalancerAddresses"][0]["IPv6Address"] for z in front["AvailabilityZones"]), self.addresses6(front))
        self.listen(front, forward(group), Protocol="TCP", Port=81)
        for address in self.addresses6(front):
            reply, me = self.until6(address, "/six", 200, port=81)
            # what comes by IPv6 goes on by IPv4: the targets see the balancer
            self.assertEqual(ipaddress.ip_address(reply.json()["headers"]["x-forwarded-for"]).version, 4)
        for address in self.addresses(front):
            self.until(address, "/four", 200, port=81)
        self.assertAwsError("ValidationError", self.listen, front, forward(group), Protocol="UDP", Port=82)

    def test_what_is_refused(self):
        make = lambda **more: self.elb.create_load_balancer(**{"Name": "refused", "Subnets": self.subnets[:2], "IpAddressType": "dualstack", **more})
        self.assertAwsError("ValidationError", make, Subnets=self.subnets[1:3], message="You must specify subnets with an associated IPv6 CIDR block.")
        for more in ({"IpAddressType": "ipv6"}, {"Type": "network", "IpAddressType": "dualstack-without-public-ipv4"},
                     {"Scheme": "internal", "IpAddressType": "dualstack-without-public-ipv4"}):
            self.assertAwsError("ValidationError", make, **more)
        four = self.balancer("four")
        self.assertAwsError("ValidationError", self.elb.set_subnets, LoadBalancerArn=four["LoadBalancerArn"], Subnets=self.subnets[1:3],
                            IpAddressType="dualstack")
        self.elb.set_subnets(LoadBalancerArn=four["LoadBalancerArn"], Subnets=self.subnets[1:3])
        self.assertAwsError("ValidationError", self.elb.set_ip_address_type, LoadBalancerArn=four["LoadBalancerArn"], IpAddressType="dualstack")
        self.assertEqual((self.kind(four), self.addresses6(four)), ("ipv4", []))
        self.assertAwsError("DuplicateLoadBalancerName", make, Name="four", SecurityGroups=[self.open])


if __name__ == "__main__":
    unittest.main()
