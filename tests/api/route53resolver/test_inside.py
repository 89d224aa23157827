"""Rules and endpoints of Route 53 Resolver as they act: asked by tasks in one VPC, with a name server in a task of another."""
import datetime
import unittest
import uuid

from answers import program
from aws import client
from busybox import busybox, push
from tasks import TaskCase

FAR = "10.77.0.0/16"
HERE = "172.31.0.0/16"
RESOLVER = "172.31.0.2"


class Inside(TaskCase):
    homes = ("mx-central-1", "ca-west-1", "il-central-1")  # private zones want a true one

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.resolver, cls.dns = client("route53resolver", region=cls.region), client("route53")
        push(cls.registry, busybox([("bin/answers", program())]), tag="names")
        cls.image += ":names"
        ec2 = cls.ec2
        cls.far = ec2.create_vpc(CidrBlock=FAR)["Vpc"]["VpcId"]
        cls.far_subnet = ec2.create_subnet(VpcId=cls.far, CidrBlock="10.77.1.0/24")["Subnet"]
        pcx = ec2.create_vpc_peering_connection(VpcId=cls.vpc, PeerVpcId=cls.far)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        for vpc, to in ((cls.vpc, FAR), (cls.far, HERE)):
            table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=to, VpcPeeringConnectionId=pcx)
        cls.servers, cls.doors = cls.open(cls.far, HERE, (53, 5300)), cls.open(cls.vpc, FAR, (53,))
        cls.endpoints = {}
        subnets = sorted(ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [cls.vpc]}])["Subnets"], key=lambda s: s["SubnetId"])[:2]
        for direction in ("INBOUND", "OUTBOUND"):
            made = cls.resolver.create_resolver_endpoint(CreatorRequestId=uuid.uuid4().hex, Direction=direction, SecurityGroupIds=[cls.doors],
                                                         IpAddresses=[{"SubnetId": s["SubnetId"]} for s in subnets])["ResolverEndpoint"]
            cls.endpoints[direction] = made["Id"]
            cls.addClassCleanup(cls.resolver.delete_resolver_endpoint, ResolverEndpointId=made["Id"])

    @classmethod
    def open(cls, vpc, cidr, ports):
        group = cls.ec2.create_security_group(GroupName="names", Description="d", VpcId=vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": p, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]} for p in ("tcp", "udp") for port in ports])
        return group

    def setUp(self):
        for endpoint in self.endpoints.values():
            self.wait(lambda e=endpoint: self.resolver.get_resolver_endpoint(ResolverEndpointId=e)["ResolverEndpoint"]["Status"] == "OPERATIONAL")

    def addresses(self, direction):
        found = self.resolver.list_resolver_endpoint_ip_addresses(ResolverEndpointId=self.endpoints[direction])["IpAddresses"]
        self.assertEqual({a["Status"] for a in found}, {"ATTACHED"})
        return sorted(a["Ip"] for a in found)

    def at(self, subnet):
        """Tasks are run there."""
        mine, self.subnet = self.subnet, subnet
        self.addCleanup(setattr, self, "subnet", mine)

    def server(self):
        """The address of a task in the far VPC that answers 10.9.9.9 at port 53, 10.9.9.8 at port 5300."""
        mine, self.subnet = self.subnet, self.far_subnet
        try:
            task = self.run_task("answers serve 5300 10.9.9.8 & exec answers serve 53 10.9.9.9", groups=[self.servers])
        finally:
            self.subnet = mine
        self.until(task, "RUNNING")
        return self.interface(task)["PrivateIpAddress"]

    def rule(self, domain, *targets, vpc=None, **more):
        about = {"RuleType": "SYSTEM"}
        if targets:
            about = {"RuleType": "FORWARD", "ResolverEndpointId": self.endpoints["OUTBOUND"],
                     "TargetIps": [{"Ip": t[0], "Port": t[1]} if isinstance(t, tuple) else {"Ip": t} for t in targets]}
        made = self.resolver.create_resolver_rule(CreatorRequestId=uuid.uuid4().hex, DomainName=domain, **about, **more)["ResolverRule"]["Id"]
        self.addCleanup(self.resolver.delete_resolver_rule, ResolverRuleId=made)
        vpc = vpc or self.vpc
        self.resolver.associate_resolver_rule(ResolverRuleId=made, VPCId=vpc)
        self.addCleanup(self.resolver.disassociate_resolver_rule, ResolverRuleId=made, VPCId=vpc)
        return made

    def zone(self, name, **records):
        made = self.dns.create_hosted_zone(Name=name, CallerReference=uuid.uuid4().hex, VPC={"VPCRegion": self.region, "VPCId": self.vpc})[
            "HostedZone"]["Id"]
        change = lambda action: self.dns.change_resource_record_sets(HostedZoneId=made, ChangeBatch={"Changes": [  # noqa: E731
            {"Action": action, "ResourceRecordSet": {"Name": f"{label}.{name}", "Type": "A", "TTL": 0, "ResourceRecords": [{"Value": value}]}}
            for label, value in records.items()]})
        change("CREATE")
        self.addCleanup(self.dns.delete_hosted_zone, Id=made)
        self.addCleanup(change, "DELETE")

    def asked(self, *questions, server=RESOLVER, groups=()):
        """What a task is told: questions are names, or names and "tcp"."""
        lines, _ = self.says("; ".join(f"answers ask {server} {q}" for q in questions), groups=groups)
        self.assertEqual(len(lines), len(questions), lines)
        return lines

    def volume(self, metric, direction):
        """How many questions CloudWatch has heard of."""
        now = datetime.datetime.now(datetime.timezone.utc)
        found = client("cloudwatch", region=self.region).get_metric_statistics(
            Namespace="AWS/Route53Resolver", MetricName=metric, Dimensions=[{"Name": "EndpointId", "Value": self.endpoints[direction]}],
            StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(minutes=5), Period=3600, Statistics=["Sum"])["Datapoints"]
        return sum(d["Sum"] for d in found)

    def told(self, expected, *questions, **more):
        """Sooner or later a task is told this: changes of groups need a moment, and a slow machine may be late with an answer."""
        for _ in range(4):
            said = self.asked(*questions, **more)
            if said == expected:
                return
        self.assertEqual(said, expected)

    def test_rules_lead_elsewhere(self):
        server, w = self.server(), self.word
        corp, own = f"corp{w}.test", f"own.corp{w}.test"
        self.zone(f"corp{w}.test", host="10.1.1.1")  # a rule of the same domain hides it
        self.zone(own, host="10.1.1.2")              # what has more labels wins
        self.rule(corp, server)
        self.rule(f"back.{own}", (server, 5300))
        self.rule(f"sys.corp{w}.test")
        sources = self.addresses("OUTBOUND")
        # a rule of the type SYSTEM leaves its names to the zone, which has none
        self.told(["0 10.9.9.9", "0 10.9.9.9", "cut 0 10.9.9.9", "3", "0 10.9.9.8", "0 10.1.1.2", "3"],
                  f"host.{corp}", f"host.{corp} tcp", f"large.{corp}", f"none.{corp}", f"x.back.{own}", f"host.{own}", f"x.sys.{corp}")
        # both addresses of the endpoint ask, in turn
        self.wait(lambda: set(self.asked(*[f"who.{corp}"] * 12)) == {"0 " + a for a in sources})
        self.wait(lambda: self.volume("OutboundQueryVolume", "OUTBOUND") >= 18)
        self.wait(lambda: self.volume("OutboundQueryAggregateVolume", "OUTBOUND") >= 18)

    def test_targets_are_tried_in_turn(self):
        server, domain = self.server(), f"turn{self.word}.test"
        rule = self.rule(domain, "10.77.1.250", server, "10.77.1.251")
        self.told(["0 10.9.9.9"] * 4, *[f"a{i}.{domain}" for i in range(4)])
        # nobody at all
        self.resolver.update_resolver_rule(ResolverRuleId=rule, Config={"TargetIps": [{"Ip": server, "Port": 54}]})
        self.told(["2"], f"a.{domain}")
        self.resolver.update_resolver_rule(ResolverRuleId=rule, Config={"TargetIps": [{"Ip": server, "Port": 5300}]})
        self.told(["0 10.9.9.8"], f"a.{domain}")

    def test_groups_hold(self):
        server, domain = self.server(), f"group{self.word}.test"
        self.rule(domain, (server, 5300))
        closed = dict(GroupId=self.doors, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.ec2.revoke_security_group_egress(**closed)
        self.addCleanup(self.ec2.authorize_security_group_egress, **closed)
        self.told(["2"], f"a.{domain}")  # what the endpoint may not send

    def test_a_rule_ends(self):
        server, domain = self.server(), f"end{self.word}.test"
        rule = self.rule(domain, server)
        self.zone(domain, a="10.1.1.3")
        self.told(["0 10.9.9.9"], f"a.{domain}")
        self.resolver.disassociate_resolver_rule(ResolverRuleId=rule, VPCId=self.vpc)
        self.told(["0 10.1.1.3"], f"a.{domain}")
        self.resolver.associate_resolver_rule(ResolverRuleId=rule, VPCId=self.vpc)

    def test_a_rule_for_all(self):
        """What is the VPC's own stays: zones, namespaces of Cloud Map, names of its interfaces."""
        server, w, ip = self.server(), self.word, self.addresses("INBOUND")[0]
        self.zone(f"all{w}.test", host="10.1.1.5")
        clouds = client("servicediscovery", region=self.region, inject_host_prefix=False)
        made = clouds.create_private_dns_namespace(Name=f"map{w}.local", Vpc=self.vpc)
        namespace = clouds.get_operation(OperationId=made["OperationId"])["Operation"]["Targets"]["NAMESPACE"]
        self.addCleanup(clouds.delete_namespace, Id=namespace)
        service = clouds.create_service(Name="s", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 0}]})["Service"]["Id"]
        self.addCleanup(clouds.delete_service, Id=service)
        clouds.register_instance(ServiceId=service, InstanceId="i", Attributes={"AWS_INSTANCE_IPV4": "10.1.1.6"})
        self.addCleanup(clouds.deregister_instance, ServiceId=service, InstanceId="i")
        self.rule(".", server)
        self.told(["0 10.9.9.9", "0 10.1.1.5", "0 10.1.1.6", "0 " + ip, "3"],
                  "some.example", f"host.all{w}.test", f"s.map{w}.local", "ip-" + ip.replace(".", "-") + f".{self.region}.compute.internal", "none.example")

    def test_others_ask_here(self):
        """The resolver of the VPC, asked from another one at its inbound endpoint: its zones, its instances, its rules."""
        server, w = self.server(), self.word
        self.zone(f"mine{w}.test", host="10.1.1.4")
        self.rule(f"on{w}.test", server)
        ip = self.addresses("INBOUND")[0]
        internal = "ip-" + ip.replace(".", "-") + f".{self.region}.compute.internal"
        self.at(self.far_subnet)
        for address in self.addresses("INBOUND"):
            self.told(["0 10.1.1.4", "0 10.1.1.4", "3", "0 10.9.9.9", "0 " + ip],
                      f"host.mine{w}.test", f"host.mine{w}.test tcp", f"none.mine{w}.test", f"a.on{w}.test", internal, server=address)
        self.wait(lambda: self.volume("InboundQueryVolume", "INBOUND") >= 10)
        # the far VPC's own resolver knows nothing of it, and can be told where to ask
        out = self.resolver.create_resolver_endpoint(CreatorRequestId=uuid.uuid4().hex, Direction="OUTBOUND", SecurityGroupIds=[self.servers],
                                                     IpAddresses=[{"SubnetId": self.far_subnet["SubnetId"]}] * 2)["ResolverEndpoint"]["Id"]
        self.addCleanup(self.resolver.delete_resolver_endpoint, ResolverEndpointId=out)
        self.wait(lambda: self.resolver.get_resolver_endpoint(ResolverEndpointId=out)["ResolverEndpoint"]["Status"] == "OPERATIONAL")
        rule = self.resolver.create_resolver_rule(CreatorRequestId=uuid.uuid4().hex, DomainName=f"mine{w}.test", RuleType="FORWARD", ResolverEndpointId=out,
                                                  TargetIps=[{"Ip": a} for a in self.addresses("INBOUND")])["ResolverRule"]["Id"]
        self.addCleanup(self.resolver.delete_resolver_rule, ResolverRuleId=rule)
        self.resolver.associate_resolver_rule(ResolverRuleId=rule, VPCId=self.far)
        self.addCleanup(self.resolver.disassociate_resolver_rule, ResolverRuleId=rule, VPCId=self.far)
        self.told(["0 10.1.1.4"], f"host.mine{w}.test", server="10.77.0.2")
        # who is not let in hears nothing: a group that allows nobody
        self.ec2.revoke_security_group_ingress(GroupId=self.doors, IpPermissions=[
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": FAR}]}])
        self.addCleanup(self.ec2.authorize_security_group_ingress, GroupId=self.doors, IpPermissions=[
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": FAR}]}])
        self.told(["silent"], f"host.mine{w}.test", server=ip)

    def test_reverse_names(self):
        ip = self.addresses("INBOUND")[0]
        reverse = ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
        server = self.server()
        self.rule("31.172.in-addr.arpa", server)
        self.told(["0"], f"{reverse} udp 12")  # the VPC's own, which has more labels; its answer is no address
        self.resolver.update_resolver_config(ResourceId=self.vpc, AutodefinedReverseFlag="DISABLE")
        self.addCleanup(self.resolver.update_resolver_config, ResourceId=self.vpc, AutodefinedReverseFlag="ENABLE")
        self.told(["0 10.9.9.9"], f"{reverse} udp 1")


if __name__ == "__main__":
    unittest.main()
