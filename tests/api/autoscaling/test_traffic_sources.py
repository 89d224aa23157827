"""Groups whose members are targets of load balancers: registered, drained, and replaced when a balancer says so."""
import unittest

from aws import client
from groups import GroupCase, wait


class Targets(GroupCase):
    def setUp(self):
        super().setUp()
        self.elb = client("elbv2", region=self.region)
        self.vpc = self.ec2.describe_subnets()["Subnets"][0]["VpcId"]

    def targets(self, name="blue", **more):
        made = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="instance", **more)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=made, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}])
        return made

    def registered(self, arn):
        found = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {t["Target"]["Id"] for t in found if t["TargetHealth"]["State"] != "draining"}

    def states(self):
        found = self.scaling.describe_load_balancer_target_groups(AutoScalingGroupName="g")["LoadBalancerTargetGroups"]
        return {t["LoadBalancerTargetGroupARN"]: t["State"] for t in found}

    def balancer(self, arn):
        """One that leads to the target group; gone with the test."""
        made = self.elb.create_load_balancer(Name="web", Subnets=[self.subnets[z] for z in self.zones[:2]])["LoadBalancers"][0]["LoadBalancerArn"]
        self.addCleanup(self.elb.delete_load_balancer, LoadBalancerArn=made)
        self.elb.create_listener(LoadBalancerArn=made, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}])
        return made

    def test_members_are_targets(self):
        self.template()
        blue, green = self.targets(), self.targets("green")
        self.fails("ValidationError", "One or more target groups not found", self.group, TargetGroupARNs=[blue[:-4] + "0000"])
        self.group(DesiredCapacity=2, TargetGroupARNs=[blue])
        self.settled(2)
        wait(self, lambda: self.registered(blue) == self.ids())
        self.assertEqual(self.shown()["TargetGroupARNs"], [blue])
        self.assertEqual(self.states(), {blue: "Added"})
        self.scaling.attach_load_balancer_target_groups(AutoScalingGroupName="g", TargetGroupARNs=[green])
        wait(self, lambda: self.registered(green) == self.ids())
        one = sorted(self.ids())[0]
        self.scaling.enter_standby(AutoScalingGroupName="g", InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
        wait(self, lambda: one not in self.registered(green) | self.registered(blue))
        self.scaling.exit_standby(AutoScalingGroupName="g", InstanceIds=[one])
        wait(self, lambda: one in self.registered(green) & self.registered(blue))
        self.scaling.detach_load_balancer_target_groups(AutoScalingGroupName="g", TargetGroupARNs=[blue])
        self.assertEqual(self.shown()["TargetGroupARNs"], [green])
        wait(self, lambda: not self.registered(blue) and self.states() == {green: "Added"})
        self.fails("ValidationError", "not part of the group", self.scaling.detach_load_balancer_target_groups, AutoScalingGroupName="g", TargetGroupARNs=[blue])
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        self.settled(1)
        wait(self, lambda: self.registered(green) == self.ids())
        said = self.newer("AttachTrafficSources", AutoScalingGroupName="g", TrafficSources__member__1__Identifier=blue)
        self.assertNotIn("Code", said)
        wait(self, lambda: self.registered(blue) == self.ids())
        said = self.newer("DescribeTrafficSources", AutoScalingGroupName="g")
        self.assertEqual((said["Type"], said["State"]), ("elbv2", "Added"))
        said = self.newer("AttachTrafficSources", AutoScalingGroupName="g", TrafficSources__member__1__Identifier="classic", TrafficSources__member__1__Type="elb")
        self.assertEqual(said["Code"], "ValidationError")

    def test_a_balancer_finds_members_unhealthy(self):
        """Nobody listens at the port: each member is replaced by the next one."""
        self.template()
        blue = self.targets(HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2)
        self.balancer(blue)
        self.group(DesiredCapacity=1, TargetGroupARNs=[blue], HealthCheckType="ELB", HealthCheckGracePeriod=0)
        first = self.settled(1)[0]["InstanceId"]
        wait(self, lambda: first not in self.ids())
        causes = [a["Cause"] for a in self.activities()]
        self.assertTrue(any("in response to an ELB system health check failure." in c for c in causes), causes)

    def test_requests_per_target_are_tracked(self):
        self.template()
        blue = self.targets()
        balancer = self.balancer(blue)
        self.group(TargetGroupARNs=[blue])
        label = balancer.split(":loadbalancer/")[1] + "/" + blue.split(":")[-1]
        given = {"AutoScalingGroupName": "g", "PolicyName": "p", "PolicyType": "TargetTrackingScaling"}

        def tracking(label):
            return {"TargetValue": 100.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}}
        put = self.scaling.put_scaling_policy(**given, TargetTrackingConfiguration=tracking(label))
        names = [a["AlarmName"] for a in put["Alarms"]]
        cloudwatch = client("cloudwatch", region=self.region)
        alarms = wait(self, lambda: len(f := cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2 and f)
        self.assertEqual((alarms[0]["Namespace"], alarms[0]["MetricName"], alarms[0]["Statistic"]), ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"))
        self.assertEqual({d["Name"]: d["Value"] for d in alarms[0]["Dimensions"]},
                         {"TargetGroup": blue.split(":")[-1], "LoadBalancer": balancer.split(":loadbalancer/")[1]})
        self.fails("ValidationError", "is not valid", self.scaling.put_scaling_policy, **given, TargetTrackingConfiguration=tracking(label[:-2] + "00"))
        self.scaling.delete_policy(AutoScalingGroupName="g", PolicyName="p")


if __name__ == "__main__":
    unittest.main()
