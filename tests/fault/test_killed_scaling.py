"""Application Auto Scaling when the role that serves is killed between its decision and the other service's: what was answered comes to be."""
import unittest

from busybox import why_not
from tasked import AWAY, Tasked

ABOUT = {"ServiceNamespace": "ecs", "ResourceId": "service/default/web", "ScalableDimension": "ecs:service:DesiredCount"}


@unittest.skipIf(why_not(), why_not())
class KilledScaling(Tasked):
    def running(self):
        try:
            (found,) = self.ecs.describe_services(services=["web"])["services"]
            return found["desiredCount"], found["runningCount"]
        except AWAY:
            return None

    def activities(self):
        try:
            return self.scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
        except AWAY:
            return []

    def test_killed_in_mid_scaling(self):
        self.scaling, cloudwatch = self.cloud.client("application-autoscaling"), self.cloud.client("cloudwatch")
        self.ecs.create_service(serviceName="web", taskDefinition="t", desiredCount=0, launchType="FARGATE", networkConfiguration=self.network)
        for round_, (least, most) in enumerate(((2, 3), (0, 1), (2, 2), (0, 0))):
            self.scaling.register_scalable_target(MinCapacity=least, MaxCapacity=most, **ABOUT)
            self.kill("api")
            wanted = least or most
            self.wait(lambda n=wanted: self.running() == (n, n))
            self.wait(lambda n=round_: len(found := self.activities()) == n + 1 and all(a["StatusCode"] == "Successful" for a in found))
        # alarms of a policy are made although nobody was there to make them, and deleted
        self.scaling.put_scaling_policy(PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}, **ABOUT)
        self.kill("api")

        def alarms():
            try:
                return len(cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-service/default/web-")["MetricAlarms"])
            except AWAY:
                return -1
        self.wait(lambda: alarms() == 2)
        self.scaling.deregister_scalable_target(**ABOUT)
        self.kill("api")
        self.wait(lambda: alarms() == 0)
        self.ecs.delete_service(service="web", force=True)


if __name__ == "__main__":
    unittest.main()
