"""Services over the zones of their subnets: where tasks are placed, and how they are moved."""
import collections

from services import ServiceCase, name

IDLE = "trap 'exit 0' TERM; touch /tmp/up; sleep 1000 & wait"
CHECK = {"command": ["CMD-SHELL", "test -f /tmp/up"], "interval": 5, "timeout": 4, "retries": 2}


class Zones(ServiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        by_zone = {s["AvailabilityZone"]: s["SubnetId"] for s in cls.ec2.describe_subnets()["Subnets"]}
        cls.zones = sorted(by_zone)[:2]
        cls.subnets = [by_zone[z] for z in cls.zones]

    def network(self, public=True):
        return {"awsvpcConfiguration": {"subnets": self.subnets, "securityGroups": [self.group], "assignPublicIp": "DISABLED"}}

    def spread(self, called):
        found = collections.Counter(t["availabilityZone"] for t in self.tasks_of(called))
        return [found[z] for z in self.zones]

    def make(self, called, count, **more):
        definition = self.register({"command": IDLE, "healthCheck": CHECK})
        said = self.newer("CreateService", cluster=self.cluster, serviceName=called, taskDefinition=definition, desiredCount=count, launchType="FARGATE",
                          networkConfiguration=self.network(), **more)
        if isinstance(said, dict):
            self.addCleanup(self.delete, called)
        return said

    def protect(self, tasks, on):
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[t["taskArn"] for t in tasks], protectionEnabled=on)

    def test_moving(self):
        called = name()
        made = self.make(called, 4, availabilityZoneRebalancing="DISABLED")["service"]
        self.assertEqual(made["availabilityZoneRebalancing"], "DISABLED")
        self.stable(called)
        self.assertEqual(self.spread(called), [2, 2])
        # Protected tasks stay, whatever the balance: that is how it comes to be uneven.
        stay = [t for t in self.tasks_of(called) if t["availabilityZone"] == self.zones[0]]
        self.protect(stay, True)
        self.update(called, desiredCount=2)
        self.wait(lambda: self.spread(called) == [2, 0])
        self.stable(called)
        said = self.newer("UpdateService", cluster=self.cluster, service=called, availabilityZoneRebalancing="ENABLED")["service"]
        self.assertEqual(said["availabilityZoneRebalancing"], "ENABLED")
        self.assertEqual(len(said["deployments"]), 1)
        self.protect(stay, False)
        self.update(called, propagateTags="NONE")
        first, second = self.zones
        end = f"(service {called}) is AZ balanced with 1 tasks in {first}, and 1 tasks in {second}."
        self.wait(lambda: end in self.messages(called))
        self.assertEqual(self.spread(called), [1, 1])
        told = [m for m in reversed(self.messages(called)) if "AZ" in m]
        self.assertEqual(told[0], f"(service {called}) is not AZ balanced with 2 tasks in {first}, and 0 tasks in {second}. AZ Rebalancing in progress.")
        self.assertRegex(told[1], rf"has started 1 tasks in {second} to AZ Rebalance: \(task [0-9a-f]+\)\.")
        self.assertRegex(told[2], rf"has stopped 1 running tasks in {first} due to AZ rebalancing: \(task [0-9a-f]+\)\.")
        self.assertEqual(told[3:], [end])
        self.update(called, desiredCount=5)
        self.wait(lambda: sorted(self.spread(called)) == [2, 3])
        self.update(called, desiredCount=2)
        self.wait(lambda: sum(self.spread(called)) == 2)
        self.assertEqual(self.spread(called), [1, 1])

    def test_refused(self):
        tight = {"maximumPercent": 100, "minimumHealthyPercent": 50}
        said = self.make(name(), 0, availabilityZoneRebalancing="ENABLED", deploymentConfiguration=tight)
        self.assertEqual(said, ("InvalidParameterException", "Availability Zone rebalancing does not support maximumPercent values of 100 or less."))
        called = name()
        self.assertEqual(self.make(called, 0)["service"]["availabilityZoneRebalancing"], "ENABLED")
        said = self.newer("UpdateService", cluster=self.cluster, service=called, deploymentConfiguration=tight)
        self.assertEqual(said[0], "InvalidParameterException")
        self.assertEqual(self.make(name(), 0, deploymentConfiguration=tight)["service"]["availabilityZoneRebalancing"], "DISABLED")
