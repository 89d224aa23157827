"""Names of balancers, asked at this machine's responder by dig: in a cloud of its own, so that it has one."""
import os
import shutil
import subprocess
import unittest
import uuid

from balancers import wait
from cloud import Cloud, free_port

DIG = shutil.which("dig")


@unittest.skipUnless(DIG, "no dig")
class Names(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.port = free_port()
        config = os.path.join(self.cloud.data, "conf")
        with open(config, "w") as f:
            f.write(f"[dns]\nlisten = 127.0.0.1:{self.port}\n")
        os.chmod(config, 0o644)
        self.cloud.options = ["--config", config, "--resolver", "127.0.0.1:9"]
        self.cloud.start()
        self.addCleanup(self.cloud.stop)

    def dig(self, name, kind="A"):
        said = subprocess.run([DIG, "+short", "+time=5", "+tries=3", "@127.0.0.1", "-p", str(self.port), name, kind], capture_output=True, text=True, timeout=60)
        return sorted(said.stdout.split())

    def test_names(self):
        ec2, elb, dns = (self.cloud.client(s) for s in ("ec2", "elbv2", "route53"))
        subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])[:2]
        make = lambda name, **more: elb.create_load_balancer(Name=name, Subnets=[s["SubnetId"] for s in subnets], **more)["LoadBalancers"][0]
        outer, inner = make("Outer"), make("inner", Scheme="internal")
        self.assertEqual(outer["CanonicalHostedZoneId"], "Z35SXDOTRQ7X7K")

        def of(made):
            words = "/".join(made["LoadBalancerArn"].split("/")[-3:])
            return sorted(ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"],
                          key=lambda i: i["AvailabilityZone"])
        public = [i["Association"]["PublicIp"] for i in of(outer)]
        # until a balancer is active the name may be of those of its nodes alone that are there already
        for made in (outer, inner):
            wait(self, lambda m=made: elb.describe_load_balancers(LoadBalancerArns=[m["LoadBalancerArn"]])["LoadBalancers"][0]["State"]["Code"] == "active", 120)
        wait(self, lambda: self.dig(outer["DNSName"]) == sorted(public), 20)
        self.assertEqual(self.dig("dualstack." + outer["DNSName"].upper()), sorted(public))
        self.assertEqual(self.dig(subnets[0]["AvailabilityZone"] + "." + outer["DNSName"]), public[:1])
        self.assertEqual(self.dig(outer["DNSName"], "AAAA"), [])
        wait(self, lambda: self.dig(inner["DNSName"]) == sorted(i["PrivateIpAddress"] for i in of(inner)), 20)

        # an alias answers in its own name; a CNAME leads there
        word = uuid.uuid4().hex[:8] + ".example"
        zone = dns.create_hosted_zone(Name=word, CallerReference=word)["HostedZone"]["Id"]
        target = {"HostedZoneId": outer["CanonicalHostedZoneId"], "DNSName": outer["DNSName"], "EvaluateTargetHealth": True}
        change = lambda **record: dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
            {"Action": "CREATE", "ResourceRecordSet": record}]})
        change(Name=word, Type="A", AliasTarget=target)
        change(Name="c." + word, Type="CNAME", TTL=60, ResourceRecords=[{"Value": outer["DNSName"]}])
        self.assertEqual(self.dig(word), sorted(public))
        self.assertEqual(set(self.dig("c." + word)), {*public, outer["DNSName"] + "."})
        for bad in ({"DNSName": "none." + outer["DNSName"]}, {"HostedZoneId": "Z26RNL4JYFTOTI"}):
            with self.assertRaises(dns.exceptions.InvalidChangeBatch):
                change(Name="b." + word, Type="A", AliasTarget={**target, **bad})
        elb.delete_load_balancer(LoadBalancerArn=outer["LoadBalancerArn"])
        wait(self, lambda: self.dig(word) == [], 20)

    def test_zones_with_too_few_healthy_targets(self):
        """Targets are nodes of other balancers: one in the first zone, two in the second. The thresholds are those of names alone."""
        ec2, elb = self.cloud.client("ec2"), self.cloud.client("elbv2")
        subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])[:3]
        vpc = subnets[0]["VpcId"]
        group = ec2.create_security_group(GroupName="open", Description="d", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        make = lambda name, places, **more: elb.create_load_balancer(Name=name, Subnets=[s["SubnetId"] for s in places], **more)["LoadBalancers"][0]

        def of(made):
            words = "/".join(made["LoadBalancerArn"].split("/")[-3:])
            return {i["AvailabilityZone"]: i for i in ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]}
        zones = [s["AvailabilityZone"] for s in subnets]
        served = [make("one", subnets[:2], SecurityGroups=[group]), make("two", subnets[1:], SecurityGroups=[group])]
        for made in served:
            elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[
                {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}])
        targets = elb.create_target_group(Name="counted", Protocol="TCP", Port=80, VpcId=vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
                                          HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=targets, Targets=[{"Id": of(served[0])[z]["PrivateIpAddress"]} for z in zones[:2]]
                             + [{"Id": of(served[1])[zones[1]]["PrivateIpAddress"]}])
        front = make("front", subnets[:2], Type="network")
        elb.create_listener(LoadBalancerArn=front["LoadBalancerArn"], Protocol="TCP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}])
        wait(self, lambda: [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=targets)["TargetHealthDescriptions"]] == ["healthy"] * 3, 120)
        public = [of(front)[z]["Association"]["PublicIp"] for z in zones[:2]]
        need = lambda **least: elb.modify_target_group_attributes(TargetGroupArn=targets, Attributes=[
            {"Key": "target_group_health.dns_failover.minimum_healthy_targets." + k, "Value": v} for k, v in least.items()])
        wait(self, lambda: self.dig(front["DNSName"]) == sorted(public), 60)
        need(count="2")
        wait(self, lambda: self.dig(front["DNSName"]) == public[1:], 60)
        need(count="3")  # no zone has as many: all are named
        wait(self, lambda: self.dig(front["DNSName"]) == sorted(public), 60)
        need(count="off", percentage="100")
        wait(self, lambda: self.dig(front["DNSName"]) == sorted(public), 60)
        for bad in ({"count": "0"}, {"percentage": "101"}, {"percentage": "x"}):
            with self.assertRaises(elb.exceptions.ClientError):
                need(**bad)


if __name__ == "__main__":
    unittest.main()
