"""What tests of balancers with tasks behind them share."""
import http.client

from aws import client
from balancers import wait
from tasks import TaskCase


class TrafficCase(TaskCase):
    """A region, its default VPC, a security group that lets everybody in; SERVE is what tasks run."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.elb = client("elbv2", region=cls.region)
        cls.subnets = [s["SubnetId"] for s in sorted(cls.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])]
        cls.subnet = {"SubnetId": cls.subnets[0]}
        cls.group = cls.ec2.create_security_group(GroupName="lb", Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=cls.group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 8443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])

    def setUp(self):
        self.addCleanup(self.clear)

    def clear(self):
        for b in self.elb.describe_load_balancers()["LoadBalancers"]:
            self.elb.delete_load_balancer(LoadBalancerArn=b["LoadBalancerArn"])
        for g in self.elb.describe_target_groups()["TargetGroups"]:
            self.elb.delete_target_group(TargetGroupArn=g["TargetGroupArn"])

    def balancer(self, name, **more):
        more = {"Subnets": self.subnets[:2], **more}
        if more.get("Type") != "network":
            more.setdefault("SecurityGroups", [self.group])
        made = self.elb.create_load_balancer(Name=name, **more)["LoadBalancers"][0]
        self.active(made)
        return made

    def active(self, made):
        wait(self, lambda: self.elb.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"][0]["State"]["Code"] == "active",
             what="active")

    def serve(self, name, group=None, **more):
        """The private address of a task that serves its name."""
        task = self.run_task(self.SERVE.format(name=name, **more), groups=[group or self.group])
        details = self.until(task, "RUNNING")["attachments"][0]["details"]
        return next(d["value"] for d in details if d["name"] == "privateIPv4Address")

    def targets(self, name, *addresses, **more):
        more = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, "TargetType": "ip", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
                "HealthyThresholdCount": 2, **more}
        made = self.elb.create_target_group(Name=name, **more)["TargetGroups"][0]
        self.elb.modify_target_group_attributes(TargetGroupArn=made["TargetGroupArn"], Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "2"}])
        if addresses:
            self.elb.register_targets(TargetGroupArn=made["TargetGroupArn"], Targets=[{"Id": a} for a in addresses])
        return made

    def listen(self, balancer, actions, **more):
        return self.elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], DefaultActions=actions, **{"Protocol": "HTTP", "Port": 80, **more})[
            "Listeners"][0]["ListenerArn"]

    def health(self, group):
        return {d["Target"]["Id"]: (d["TargetHealth"]["State"], d["TargetHealth"].get("Reason"))
                for d in self.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]}

    def all_healthy(self, group):
        def ask():
            states = self.health(group)
            return states and all(s == ("healthy", None) for s in states.values())
        wait(self, ask, 60, "healthy")

    def public(self, balancer):
        words = "/".join(balancer["LoadBalancerArn"].split("/")[-3:])
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        return sorted(i["Association"]["PublicIp"] for i in found)

    def ask(self, address, path="/", port=80, method="GET", **headers):
        c = http.client.HTTPConnection(address, port, timeout=10)
        c.request(method, path, headers=headers)
        r = c.getresponse()
        body = r.read().decode()
        c.close()
        return r.status, body.strip(), r
