"""What tasks use on container instances: the metrics of services and clusters, Container Insights, and scaling by them. The clock moves."""
import datetime
import subprocess
import unittest

from cloud import program
from test_container_instances import STAY, Joined

# a third of a processor or more, whatever else the machine does
BUSY = "i=0; while :; do i=$((i+1)); [ $((i % 20000)) = 0 ] && sleep 0.02; done"


class Usage(Joined):
    moves = True

    def minute(self):
        """Of the cloud's. The agent is asked and answers within real moments."""
        subprocess.run([program(), "clock", "forward", "58s"], check=True, capture_output=True, env=self.cloud.environment())

    def now(self):
        out = subprocess.run([program(), "clock"], check=True, capture_output=True, text=True, env=self.cloud.environment()).stdout
        return datetime.datetime.fromisoformat(out.split()[0].replace("Z", "+00:00"))

    def values(self, space, name, **by):
        now = self.now()
        found = self.cloudwatch.get_metric_statistics(Namespace=space, MetricName=name, Dimensions=[{"Name": k, "Value": v} for k, v in by.items()], Period=60,
                                                      StartTime=now - datetime.timedelta(hours=2), EndTime=now + datetime.timedelta(minutes=5), Statistics=["Average"])
        return [p["Average"] for p in found["Datapoints"]]

    def test_usage(self):
        self.cloudwatch = self.client("cloudwatch", region=self.region)
        self.ecs.update_cluster_settings(cluster=self.cluster, settings=[{"name": "containerInsights", "value": "enhanced"}])
        scaling = self.client("application-autoscaling", region=self.region)
        definition = self.define({"command": BUSY, "cpu": 256, "memory": 64}, {"command": STAY, "cpu": 256, "memory": 64, "essential": False})
        self.ecs.create_service(cluster=self.cluster, serviceName="busy", taskDefinition=definition, desiredCount=1, launchType="EC2")
        self.ecs.create_service(cluster=self.cluster, serviceName="idle", taskDefinition=self.define({"command": STAY, "cpu": 256, "memory": 64}), desiredCount=1,
                                launchType="EC2")
        for service in ("busy", "idle"):
            self.wait(lambda: self.ecs.describe_services(cluster=self.cluster, services=[service])["services"][0]["runningCount"] == 1)
        about = {"ServiceNamespace": "ecs", "ResourceId": f"service/{self.cluster}/busy", "ScalableDimension": "ecs:service:DesiredCount"}
        scaling.register_scalable_target(**about, MinCapacity=1, MaxCapacity=2)
        scaling.put_scaling_policy(**about, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 5.0, "ScaleOutCooldown": 0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}})
        of = {"ClusterName": self.cluster}
        busy, insights = {**of, "ServiceName": "busy"}, "ECS/ContainerInsights"
        want = [("AWS/ECS", n, by) for n in ("CPUUtilization", "MemoryUtilization") for by in (busy, {**of, "ServiceName": "idle"}, of)]
        want += [("AWS/ECS", n, of) for n in ("CPUReservation", "MemoryReservation")]
        want += [(insights, n, by) for n in ("CpuUtilized", "MemoryUtilized", "CpuReserved", "NetworkRxBytes", "NetworkTxBytes", "TaskCpuUtilization") for by in (of, busy)]
        want += [(insights, "ContainerInstanceCount", of)]
        want += [(insights, n, {**busy, "ContainerName": "c"}) for n in ("ContainerCpuUtilized", "ContainerMemoryUtilized")]

        def complete():
            if any(not self.values(space, n, **by) for space, n, by in want):
                self.minute()
                return False
            return True
        self.wait(complete)
        average = lambda *what, **by: sum(v := self.values(*what, **by)) / len(v)
        # of what the task has reserved, which the instance lends more than
        self.assertGreater(average("AWS/ECS", "CPUUtilization", **busy), 10)
        self.assertLess(average("AWS/ECS", "CPUUtilization", **of, ServiceName="idle"), average("AWS/ECS", "CPUUtilization", **busy))
        self.assertTrue(0 < average("AWS/ECS", "CPUUtilization", **of) <= 100)
        self.assertTrue(0 < average("AWS/ECS", "MemoryUtilization", **busy) < 100)
        self.assertGreater(average("AWS/ECS", "MemoryUtilization", **busy), average("AWS/ECS", "MemoryUtilization", **of))
        self.assertEqual(self.values(insights, "CpuReserved", **busy)[0], 512)
        self.assertEqual(set(self.values(insights, "ContainerInstanceCount", **of)), {1})

        def grown():
            if self.ecs.describe_services(cluster=self.cluster, services=["busy"])["services"][0]["desiredCount"] != 2:
                self.minute()
                return False
            return True
        self.wait(grown)
        # an hour later the agent is still heard of
        subprocess.run([program(), "clock", "forward", "1h"], check=True, capture_output=True, env=self.cloud.environment())
        self.wait(lambda: self.container_instance()["agentConnected"])
        self.until(self.launch({"command": STAY, "cpu": 10}), "RUNNING")


if __name__ == "__main__":
    unittest.main()
