"""A service of ECS behind a balancer that Application Auto Scaling keeps: it grows with the load and shrinks when that is gone, and no request fails."""
import os
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tasked import Tasked  # noqa: E402

SERVE = "mkdir /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w"
ABOUT = {"ServiceNamespace": "ecs", "ResourceId": "service/default/web", "ScalableDimension": "ecs:service:DesiredCount"}


@unittest.skipUnless(os.path.exists("/usr/sbin/haproxy"), "there is no haproxy")
class ElasticService(Tasked):
    def wait_for(self, what, seconds=120):
        until = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), until, "it did not come about")
            time.sleep(0.1)
        return found

    def desired(self):
        return self.ecs.describe_services(services=["web"])["services"][0]["desiredCount"]

    def healthy(self):
        found = self.elb.describe_target_health(TargetGroupArn=self.targets)["TargetHealthDescriptions"]
        return len(found) == sum(d["TargetHealth"]["State"] == "healthy" for d in found) and len(found)

    def ask(self):
        try:
            with urllib.request.urlopen(f"http://{self.node}/", timeout=10) as reply:
                return reply.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError as e:
            return str(e)

    def minutes_until(self, what, most):
        """Of the cloud's: two seconds of each are real ones."""
        for _ in range(most):
            if what():
                return
            time.sleep(2)
            self.cloud.forward("58s")
        self.fail("; ".join(f"{a['AlarmName']} {a['StateValue']}: {a['StateReason']}"
                            for a in self.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]))

    def under(self, clients, pause, what):
        """Every status of those who asked, one after the other, while that was done."""
        seen, over = [], threading.Event()

        def one():
            while not over.is_set():
                seen.append(self.ask())
                time.sleep(pause)
        threads = [threading.Thread(target=one) for _ in range(clients)]
        for t in threads:
            t.start()
        try:
            what()
        finally:
            over.set()
            for t in threads:
                t.join()
        return set(seen)

    def make(self):
        self.elb, ec2 = self.cloud.client("elbv2"), self.cloud.client("ec2")
        subnets = ec2.describe_subnets()["Subnets"][:2]
        vpc = subnets[0]["VpcId"]
        (group,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
        ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        balancer = self.elb.create_load_balancer(Name="web", Subnets=[s["SubnetId"] for s in subnets])["LoadBalancers"][0]["LoadBalancerArn"]
        self.targets = self.elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
                                                    HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.targets, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "10"}])
        self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": self.targets}])
        self.define("web", SERVE, portMappings=[{"containerPort": 80}])
        self.ecs.create_service(serviceName="web", taskDefinition="web", desiredCount=1, launchType="FARGATE", networkConfiguration=self.network,
                                loadBalancers=[{"targetGroupArn": self.targets, "containerName": "c", "containerPort": 80}])
        self.wait_for(lambda: self.healthy() == 1)
        words = "/".join(balancer.split("/")[-3:])
        found = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        self.node = found[0]["Association"]["PublicIp"]
        return words + "/" + self.targets.split(":")[-1]

    def test_it_follows_the_load(self):
        label = self.make()
        scaling = self.cloud.client("application-autoscaling")
        scaling.register_scalable_target(**ABOUT, MinCapacity=1, MaxCapacity=3)
        scaling.put_scaling_policy(**ABOUT, PolicyName="requests", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 20, "ScaleInCooldown": 60, "ScaleOutCooldown": 60,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}})

        def grow():
            self.minutes_until(lambda: self.desired() == 3, 30)
            self.wait_for(lambda: self.healthy() == 3)

        def shrink():
            self.minutes_until(lambda: self.desired() == 1, 60)
            self.wait_for(lambda: self.healthy() == 1)
            time.sleep(2)
        self.assertEqual(self.under(4, 0.02, grow), {200})
        self.assertEqual(self.under(1, 0.5, shrink), {200})
        causes = [a["Cause"] for a in scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]]
        self.assertTrue([c for c in causes if "AlarmHigh" in c] and [c for c in causes if "AlarmLow" in c], causes)


if __name__ == "__main__":
    unittest.main()
