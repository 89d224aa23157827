"""Scaling: from a load that has grown to another instance that serves behind the balancer."""
import base64
import time

from parts.machines import default_image
from parts.tools import Skip, median

ALARM_S = 10  # the shortest period of an alarm
SERVE = "#!/bin/sh\nmkdir -p /srv/web; hostname > /srv/web/index.html\nsystemd-run --unit web python3 -m http.server --directory /srv/web 80\n"


def until(what, seconds=120):
    begin = time.monotonic()
    while not what():
        if time.monotonic() > begin + seconds:
            raise RuntimeError("the group does not come to what is wanted")
        time.sleep(0.01)


class Group:
    """One instance behind a balancer, and a policy that adds one when its alarm says so."""

    def __init__(self, cloud):
        self.elb, self.ec2, self.scaling, self.metrics = (cloud.client(s) for s in ("elbv2", "ec2", "autoscaling", "cloudwatch"))
        subnets = self.ec2.describe_subnets()["Subnets"][:2]
        door = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        balancer = self.elb.create_load_balancer(Name="bench", Subnets=[s["SubnetId"] for s in subnets])["LoadBalancers"][0]["LoadBalancerArn"]
        self.targets = self.elb.create_target_group(Name="bench", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], HealthCheckIntervalSeconds=5,
                                                    HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.targets, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}])
        self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": self.targets}])
        self.ec2.create_launch_template(LaunchTemplateName="bench", LaunchTemplateData={
            "ImageId": default_image(cloud), "InstanceType": "t3.micro", "SecurityGroupIds": [door], "UserData": base64.b64encode(SERVE.encode()).decode(),
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}]})
        self.scaling.create_auto_scaling_group(AutoScalingGroupName="bench", MinSize=1, MaxSize=2, LaunchTemplate={"LaunchTemplateName": "bench"},
                                               VPCZoneIdentifier=",".join(s["SubnetId"] for s in subnets), TargetGroupARNs=[self.targets])
        policy = self.scaling.put_scaling_policy(AutoScalingGroupName="bench", PolicyName="more", PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", EstimatedInstanceWarmup=1,
                                                 StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}])["PolicyARN"]
        self.metrics.put_metric_alarm(AlarmName="bench", Namespace="bench", MetricName="load", Statistic="Maximum", Period=ALARM_S, EvaluationPeriods=1, Threshold=50,
                                      ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", AlarmActions=[policy])
        until(lambda: self.serving() == 1)

    def serving(self):
        found = self.elb.describe_target_health(TargetGroupArn=self.targets)["TargetHealthDescriptions"]
        return sum(d["TargetHealth"]["State"] == "healthy" for d in found)

    def load(self, value):
        self.metrics.put_metric_data(Namespace="bench", MetricData=[{"MetricName": "load", "Value": value, "StorageResolution": 1}])

    def back(self):
        """One again, and at peace."""
        self.scaling.set_desired_capacity(AutoScalingGroupName="bench", DesiredCapacity=1)
        until(lambda: self.serving() == 1 and len(self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]) == 1)

    def quiet(self):
        until(lambda: self.metrics.describe_alarms(AlarmNames=["bench"])["MetricAlarms"][0]["StateValue"] == "OK")

    def delete(self):
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName="bench", ForceDelete=True)
        until(lambda: not self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"])


def step(bench):
    """from a load step, and from the policy alone, to another instance that is healthy behind the balancer"""
    by_alarm, by_policy = [], []
    with bench.cloud() as cloud:
        if not default_image(cloud):
            raise Skip("there is no machine image")
        group = Group(cloud)
        for n in range(bench.rounds):
            bench.round(n)
            begin = time.perf_counter()
            group.scaling.execute_policy(AutoScalingGroupName="bench", PolicyName="more", MetricValue=60, BreachThreshold=50)
            until(lambda: group.serving() == 2)
            by_policy.append(time.perf_counter() - begin)
            group.back()
            group.quiet()
            begin = time.perf_counter()

            def served():
                group.load(100)
                return group.serving() == 2
            until(served)
            by_alarm.append(time.perf_counter() - begin)
            group.back()
            group.quiet()
        group.delete()
    bench.add("from load step to new instance serving", median(by_alarm), "s", note=f"an alarm of {ALARM_S} s, one period; a container behind a balancer",
              bound="the alarm's period.")
    bench.add("from a scaling policy to new instance serving", median(by_policy), "s", note="launch, user data, first health check")
