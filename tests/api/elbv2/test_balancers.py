"""Load balancers: what they may be, what they have of EC2, and what is said of them."""
import datetime
import json
import unittest

from aws import client, limited_key, run
from balancers import BalancerCase


class Balancers(BalancerCase):
    def test_an_application_balancer(self):
        made = self.balancer(Tags=[{"Key": "team", "Value": "red"}])
        arn = made["LoadBalancerArn"]
        self.assertRegex(arn, rf"^arn:aws:elasticloadbalancing:{self.region}:\d{{12}}:loadbalancer/app/web/[0-9a-f]{{16}}$")
        self.assertRegex(made["DNSName"], rf"^web-\d{{9,10}}\.{self.region}\.elb\.amazonaws\.com$")
        self.assertEqual((made["LoadBalancerName"], made["Scheme"], made["Type"], made["IpAddressType"], made["VpcId"], made["State"]["Code"]),
                         ("web", "internet-facing", "application", "ipv4", self.vpc_id, "provisioning"))
        self.assertEqual([(z["ZoneName"], z["SubnetId"], z["LoadBalancerAddresses"]) for z in made["AvailabilityZones"]],
                         [(self.zones[0], self.subnets[0], []), (self.zones[1], self.subnets[1], [])])
        self.assertEqual(made["SecurityGroups"], [self.default_group(self.vpc_id)["GroupId"]])
        self.assertRegex(made["CanonicalHostedZoneId"], r"^Z[A-Z0-9]+$")

        # the interfaces are EC2's, and nobody's to change
        found = self.interfaces(made)
        self.assertEqual({i["SubnetId"] for i in found}, set(self.subnets[:2]))
        for i in found:
            self.assertTrue(i["RequesterManaged"])
            self.assertEqual((i["Status"], i["RequesterId"], i["InterfaceType"]), ("in-use", "amazon-elb", "interface"))
            self.assertTrue(i["Association"]["PublicIp"].startswith("127."))
            self.fails("OperationNotPermitted", self.ec2.delete_network_interface, NetworkInterfaceId=i["NetworkInterfaceId"])
        self.fails("DependencyViolation", self.ec2.delete_subnet, SubnetId=self.subnets[0])

        # the same again is the same one
        self.assertEqual(self.balancer(Tags=[{"Key": "team", "Value": "red"}])["LoadBalancerArn"], arn)
        self.fails("DuplicateLoadBalancerName", self.elb.create_load_balancer, Name="web", Subnets=self.subnets[:2], Scheme="internal",
                   message="A load balancer with the same name 'web' exists, but with different settings")
        self.assertEqual(len(self.interfaces(made)), 2)

        shown = self.elb.describe_load_balancers(Names=["web"])["LoadBalancers"][0]
        self.assertEqual(shown["LoadBalancerArn"], arn)
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.assertEqual(self.interfaces(made), [])
        self.fails("LoadBalancerNotFound", self.elb.describe_load_balancers, LoadBalancerArns=[arn], message="One or more load balancers not found")
        self.fails("LoadBalancerNotFound", self.elb.describe_load_balancers, Names=["web"], message="Load balancers '[web]' not found")
        self.ec2.delete_subnet(SubnetId=self.subnets[0])

    def test_names_and_subnets(self):
        make = self.elb.create_load_balancer
        two = self.subnets[:2]
        self.fails("ValidationError", make, Name="x" * 33, Subnets=two,
                   message=f"The load balancer name '{'x' * 33}' cannot be longer than '32' characters")
        self.fails("ValidationError", make, Name="internal-web", Subnets=two, message="The load balancer name 'internal-web' cannot begin with 'internal-'")
        for name in ("a_b", "-a", "a-", "a.b"):
            self.fails("ValidationError", make, Name=name, Subnets=two)
        self.fails("ValidationError", make, Name="web", Subnets=self.subnets[:1],
                   message="At least two subnets in two different Availability Zones must be specified")
        self.fails("SubnetNotFound", make, Name="web", Subnets=[self.subnets[0], "subnet-0123456789abcdef0"],
                   message="The subnet ID 'subnet-0123456789abcdef0' does not exist")
        vpc = self.vpc()
        one, other = (self.subnet(vpc, f"10.0.{i}.0/24", AvailabilityZone=self.zones[i]) for i in range(2))
        same = self.subnet(vpc, "10.0.9.0/24", AvailabilityZone=self.zones[0])
        self.fails("InvalidConfigurationRequest", make, Name="web", Subnets=[one, same],
                   message="A load balancer cannot be attached to multiple subnets in the same Availability Zone")
        self.fails("InvalidConfigurationRequest", make, Name="web", Subnets=[one, self.subnets[1]])
        self.fails("InvalidSubnet", make, Name="web", Subnets=[one, other], message=f"VPC {vpc} has no internet gateway")
        inner = make(Name="web", Subnets=[one, other], Scheme="internal")["LoadBalancers"][0]
        self.assertTrue(inner["DNSName"].startswith("internal-web-"))
        for i in self.interfaces(inner):
            self.assertNotIn("Association", i)
        self.fails("InvalidSecurityGroup", make, Name="two", Subnets=two, SecurityGroups=["sg-0123456789abcdef0"])
        self.fails("InvalidConfigurationRequest", make, Name="two", Subnets=two, SecurityGroups=[self.default_group(vpc)["GroupId"]])
        self.fails("ValidationError", make, Name="two", Subnets=two, Type="gateway")
        self.fails("ValidationError", make, Name="two", Subnets=two, IpAddressType="dualstack")
        # what was refused has left nothing
        self.assertEqual([b["LoadBalancerName"] for b in self.elb.describe_load_balancers()["LoadBalancers"]], ["web"])

    def test_a_network_balancer(self):
        eip = self.ec2.allocate_address(Domain="vpc")
        made = self.balancer("net", Type="network", SubnetMappings=[
            {"SubnetId": self.subnets[0], "AllocationId": eip["AllocationId"]}, {"SubnetId": self.subnets[1]}])
        self.assertRegex(made["LoadBalancerArn"], r":loadbalancer/net/net/[0-9a-f]{16}$")
        self.assertRegex(made["DNSName"], rf"^net-[0-9a-f]{{16}}\.elb\.{self.region}\.amazonaws\.com$")
        self.assertEqual(made["AvailabilityZones"][0]["LoadBalancerAddresses"],
                         [{"IpAddress": eip["PublicIp"], "AllocationId": eip["AllocationId"]}])
        self.assertNotIn("SecurityGroups", {k: v for k, v in made.items() if v})
        found = {i["SubnetId"]: i for i in self.interfaces(made)}
        self.assertEqual(found[self.subnets[0]]["Association"]["PublicIp"], eip["PublicIp"])
        self.assertEqual([(i["InterfaceType"], i["Groups"]) for i in found.values()], [("network_load_balancer", [])] * 2)
        self.fails("AllocationIdNotFound", self.elb.create_load_balancer, Name="net2", Type="network",
                   SubnetMappings=[{"SubnetId": self.subnets[0], "AllocationId": eip["AllocationId"]}])
        self.fails("InvalidConfigurationRequest", self.elb.set_security_groups, LoadBalancerArn=made["LoadBalancerArn"],
                   SecurityGroups=[self.default_group(self.vpc_id)["GroupId"]])
        self.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
        self.assertNotIn("AssociationId", self.ec2.describe_addresses()["Addresses"][0])
        inner = self.balancer("inner", Type="network", Scheme="internal",
                              SubnetMappings=[{"SubnetId": self.subnets[0], "PrivateIPv4Address": "172.31.0.77"}])
        self.assertEqual(inner["AvailabilityZones"][0]["LoadBalancerAddresses"], [{"PrivateIPv4Address": "172.31.0.77"}])
        self.assertEqual(self.interfaces(inner)[0]["PrivateIpAddress"], "172.31.0.77")

    def test_subnets_and_groups_change(self):
        made = self.balancer()
        arn = made["LoadBalancerArn"]
        kept = {i["SubnetId"]: i["NetworkInterfaceId"] for i in self.interfaces(made)}
        said = self.elb.set_subnets(LoadBalancerArn=arn, Subnets=self.subnets[1:3])
        self.assertEqual([z["SubnetId"] for z in said["AvailabilityZones"]], self.subnets[1:3])
        now = {i["SubnetId"]: i["NetworkInterfaceId"] for i in self.interfaces(made)}
        self.assertEqual(set(now), set(self.subnets[1:3]))
        self.assertEqual(now[self.subnets[1]], kept[self.subnets[1]])
        self.fails("ValidationError", self.elb.set_subnets, LoadBalancerArn=arn, Subnets=self.subnets[:1])
        group = self.group(self.vpc_id)
        self.assertEqual(self.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group])["SecurityGroupIds"], [group])
        for i in self.interfaces(made):
            self.assertEqual([g["GroupId"] for g in i["Groups"]], [group])
        self.fails("DependencyViolation", self.ec2.delete_security_group, GroupId=group)
        self.assertEqual(self.elb.set_ip_address_type(LoadBalancerArn=arn, IpAddressType="ipv4")["IpAddressType"], "ipv4")
        self.fails("ValidationError", self.elb.set_ip_address_type, LoadBalancerArn=arn, IpAddressType="dualstack")

    def test_attributes(self):
        arn = self.balancer()["LoadBalancerArn"]
        read = lambda: {a["Key"]: a["Value"] for a in self.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]}
        change = lambda **more: self.elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": k.replace("__", "."), "Value": v} for k, v in more.items()])
        usual = read()
        for key, value in {"idle_timeout.timeout_seconds": "60", "routing.http2.enabled": "true", "client_keep_alive.seconds": "3600",
                           "deletion_protection.enabled": "false", "routing.http.xff_header_processing.mode": "append",
                           "routing.http.desync_mitigation_mode": "defensive", "load_balancing.cross_zone.enabled": "true",
                           "access_logs.s3.enabled": "false"}.items():
            self.assertEqual(usual[key], value, key)
        change(idle_timeout__timeout_seconds="4000", deletion_protection__enabled="true")
        self.assertEqual({k: v for k, v in read().items() if usual[k] != v},
                         {"idle_timeout.timeout_seconds": "4000", "deletion_protection.enabled": "true"})
        self.fails("ValidationError", change, idle_timeout__timeout_seconds="4001")
        self.fails("ValidationError", change, no__such="1", message="Load balancer attribute key 'no.such' is not recognized")
        self.fails("ValidationError", change, routing__http2__enabled="maybe")
        self.fails("ValidationError", change, waf__fail_open__enabled="true")
        self.fails("OperationNotPermitted", self.elb.delete_load_balancer, LoadBalancerArn=arn,
                   message=f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")

    def test_tags(self):
        arn = self.balancer(Tags=[{"Key": "a", "Value": "1"}])["LoadBalancerArn"]
        read = lambda: {t["Key"]: t["Value"] for t in self.elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]}
        self.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
        self.assertEqual(read(), {"a": "2", "b": ""})
        self.elb.remove_tags(ResourceArns=[arn], TagKeys=["a", "none"])
        self.assertEqual(read(), {"b": ""})
        self.fails("DuplicateTagKeys", self.elb.add_tags, ResourceArns=[arn], Tags=[{"Key": "x", "Value": "1"}, {"Key": "x", "Value": "2"}])
        self.fails("TooManyTags", self.elb.add_tags, ResourceArns=[arn], Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
        self.fails("ValidationError", self.elb.add_tags, ResourceArns=[arn], Tags=[{"Key": "aws:x", "Value": ""}])
        self.fails("LoadBalancerNotFound", self.elb.describe_tags, ResourceArns=[arn[:-16] + "0" * 16])
        self.assertEqual(read(), {"b": ""})

    def test_pages_limits_and_policies(self):
        for name in ("a", "b", "c"):
            self.balancer(name, Scheme="internal")
        pages = list(self.elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2}))
        self.assertEqual([[b["LoadBalancerName"] for b in p["LoadBalancers"]] for p in pages], [["a", "b"], ["c"]])
        limits = {x["Name"]: x["Max"] for x in self.elb.describe_account_limits()["Limits"]}
        self.assertEqual((limits["application-load-balancers"], limits["target-groups"]), ("50", "3000"))
        first = self.elb.describe_account_limits(PageSize=4)
        self.assertEqual(len(first["Limits"]), 4)
        policy = self.elb.describe_ssl_policies(Names=["ELBSecurityPolicy-TLS13-1-2-2021-06"])["SslPolicies"][0]
        self.assertEqual(policy["SslProtocols"], ["TLSv1.2", "TLSv1.3"])
        self.assertEqual(policy["Ciphers"][0], {"Name": "TLS_AES_128_GCM_SHA256", "Priority": 1})
        self.fails("SSLPolicyNotFound", self.elb.describe_ssl_policies, Names=["none"], message="SSL policy 'none' not found")

    def test_what_it_costs(self):
        before = self.hours()
        self.balancer(Scheme="internal")
        self.assertEqual(self.hours(), before + 1)  # an hour that is begun counts

    def hours(self):
        start = datetime.datetime.now(datetime.timezone.utc).date().replace(day=1)
        period = {"Start": str(start), "End": str((start + datetime.timedelta(days=32)).replace(day=1))}
        out = client("ce").get_cost_and_usage(TimePeriod=period, Granularity="MONTHLY", Metrics=["UsageQuantity", "UnblendedCost"], Filter={"Dimensions": {
            "Key": "REGION", "Values": [self.region]}}, GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}])["ResultsByTime"][0]["Groups"]
        return sum(float(g["Metrics"]["UsageQuantity"]["Amount"]) for g in out if g["Keys"][0].endswith("LoadBalancerUsage"))

    def test_permissions(self):
        arn = self.balancer()["LoadBalancerArn"]
        self.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "team", "Value": "red"}])
        who = client("elbv2", region=self.region, **limited_key(self, {
            "Effect": "Allow", "Action": "elasticloadbalancing:SetSecurityGroups", "Resource": arn,
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}))
        group = self.default_group(self.vpc_id)["GroupId"]
        who.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group])
        self.assertAwsError("AccessDenied", who.delete_load_balancer, LoadBalancerArn=arn, status=403)
        self.elb.remove_tags(ResourceArns=[arn], TagKeys=["team"])
        self.assertAwsError("AccessDenied", who.set_security_groups, LoadBalancerArn=arn, SecurityGroups=[group], status=403)

    def test_the_command_line(self):
        made = json.loads(run("/usr/bin/aws", "--endpoint-url", self.elb.meta.endpoint_url, "--region", self.region, "elbv2", "create-load-balancer",
                              "--name", "cli", "--subnets", *self.subnets[:2], "--scheme", "internal").stdout)
        self.assertEqual(made["LoadBalancers"][0]["LoadBalancerName"], "cli")

    def test_nothing_is_reserved(self):
        arn = self.balancer(Scheme="internal")["LoadBalancerArn"]
        ask = lambda name: self.query("DescribeCapacityReservation", service="elasticloadbalancing", version="2015-12-01", LoadBalancerArn=name)
        self.assertIn(b"<CapacityReservationState/>", ask(arn).body.replace(b"<CapacityReservationState></CapacityReservationState>", b"<CapacityReservationState/>"))
        self.assertIn(b"<Code>LoadBalancerNotFound</Code>", ask(arn[:-16] + "0" * 16).body)

    def test_what_is_absent(self):
        for action in ("GetResourcePolicy", "ModifyCapacityReservation", "ModifyIpPools"):
            reply = self.query(action, service="elasticloadbalancing", version="2015-12-01", LoadBalancerArn="x")
            self.assertEqual(reply.status, 501)
            self.assertIn(b"Quartet does not provide", reply.body)


if __name__ == "__main__":
    unittest.main()
