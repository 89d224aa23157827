"""What tests of load balancers share."""
import datetime
import functools
import os
import time
import urllib.parse

import raw
from aws import ENDPOINT, client
from ec2 import Ec2Case


def wait(test, ask, seconds=60, what=""):
    """Until ask() gives something true; a listener that is new may not be there yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            got = ask()
        except ConnectionRefusedError:
            got = None
        if got:
            return got
        if time.monotonic() > end:
            test.fail(f"not within {seconds} s: {what or ask}")
        time.sleep(0.2)


@functools.lru_cache
def cloudwatch(region):
    return client("cloudwatch", region=region)


def counted(test, balancer, name, statistic="Sum"):
    """What the last minutes' metric of an application balancer comes to."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return sum(p[statistic] for p in cloudwatch(test.region).get_metric_statistics(
        Namespace="AWS/ApplicationELB", MetricName=name, Dimensions=[{"Name": "LoadBalancer", "Value": "/".join(balancer["LoadBalancerArn"].split("/")[-3:])}],
        Period=60, Statistics=[statistic], StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(minutes=5))["Datapoints"])


def query(region, action, **parameters):
    """The reply to an operation that the oldest boto3 knows less of."""
    port = urllib.parse.urlsplit(ENDPOINT).port
    signer = raw.Signer(port, "elasticloadbalancing", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], region)
    body = urllib.parse.urlencode({"Action": action, "Version": "2015-12-01", **parameters}).encode()
    return raw.ask(port, signer.request("POST", "/", body, headers={"content-type": "application/x-www-form-urlencoded"}))


class BalancerCase(Ec2Case):
    """Every test in a region of its own, with its default VPC."""
    def setUp(self):
        super().setUp()
        self.elb = client("elbv2", region=self.region)
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        self.subnets = [s["SubnetId"] for s in subnets]
        self.zones = [s["AvailabilityZone"] for s in subnets]
        self.vpc_id = subnets[0]["VpcId"]

    def tearDown(self):
        """Nodes take memory: none is left to the next test."""
        for b in self.elb.describe_load_balancers()["LoadBalancers"]:
            self.elb.modify_load_balancer_attributes(LoadBalancerArn=b["LoadBalancerArn"], Attributes=[
                {"Key": "deletion_protection.enabled", "Value": "false"}])
            self.elb.delete_load_balancer(LoadBalancerArn=b["LoadBalancerArn"])

    def balancer(self, name="web", **more):
        more.setdefault("Subnets", self.subnets[:2])
        if "SubnetMappings" in more:
            del more["Subnets"]
        return self.elb.create_load_balancer(Name=name, **more)["LoadBalancers"][0]

    def group_of(self, name="blue", **more):
        more = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc_id, "TargetType": "ip", **more}
        return self.elb.create_target_group(Name=name, **more)["TargetGroups"][0]

    def listener(self, balancer, actions=None, **more):
        more = {"Protocol": "HTTP", "Port": 80, **more}
        actions = actions or [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]
        return self.elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], DefaultActions=actions, **more)["Listeners"][0]

    def interfaces(self, balancer):
        words = "/".join(balancer["LoadBalancerArn"].split("/")[-3:])
        return self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]


def forward(*groups, **more):
    if len(groups) == 1 and not more:
        return [{"Type": "forward", "TargetGroupArn": groups[0]["TargetGroupArn"]}]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
        {"TargetGroupArn": g["TargetGroupArn"], "Weight": w} for g, w in groups], **more}}]
