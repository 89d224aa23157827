"""Capacity providers of Auto Scaling groups: tasks wait for instances, which their group brings, keeps while they are needed, and drains."""
import base64
import time
import unittest
import uuid

from images import image, no_containers
from tasks import TaskCase, role
from test_container_instances import why_no_agent

STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


class ProviderCase(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scaling = cls.client("autoscaling", region=cls.region)
        cls.cloudwatch = cls.client("cloudwatch", region=cls.region)

    def group(self, template, protects=False, size=2):
        called = "g" + uuid.uuid4().hex[:8]
        self.scaling.create_auto_scaling_group(AutoScalingGroupName=called, MinSize=0, MaxSize=size, VPCZoneIdentifier=self.subnet["SubnetId"],
                                               NewInstancesProtectedFromScaleIn=protects, LaunchTemplate={"LaunchTemplateName": template})
        self.addCleanup(self.end_group, called)
        return called, self.shown(called)["AutoScalingGroupARN"]

    def shown(self, called):
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[called])["AutoScalingGroups"]
        return found[0] if found else None

    def end_group(self, called):
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName=called, ForceDelete=True)
        self.wait(lambda: not self.shown(called))

    def provider(self, arn, **more):
        called = "p" + uuid.uuid4().hex[:8]
        made = self.ecs.create_capacity_provider(name=called, autoScalingGroupProvider={"autoScalingGroupArn": arn, **more})["capacityProvider"]
        self.addCleanup(self.end_provider, called)
        return called, made

    def end_provider(self, called):
        self.associate()
        (found,) = self.ecs.describe_capacity_providers(capacityProviders=[called])["capacityProviders"] or [None]
        if found and found["status"] == "ACTIVE":
            self.ecs.delete_capacity_provider(capacityProvider=called)

    def associate(self, *names):
        return self.ecs.put_cluster_capacity_providers(cluster=self.cluster, capacityProviders=list(names), defaultCapacityProviderStrategy=[])["cluster"]

    def described(self, called):
        return self.ecs.describe_capacity_providers(capacityProviders=[called], include=["TAGS"])

    def refused(self, message, call, *, code="ClientException", **given):
        self.assertAwsError(code, call, status=400, message=message, **given)


class Providers(ProviderCase):
    """Their operations, over a group that launches nothing."""
    def setUp(self):
        self.template = "t" + uuid.uuid4().hex[:8]
        self.ec2.create_launch_template(LaunchTemplateName=self.template, LaunchTemplateData={"ImageId": image(self.ec2) or "ami-0123456789abcdef0",
                                                                                             "InstanceType": "t3.nano"})

    def test_life(self):
        group, arn = self.group(self.template)
        called, made = self.provider(arn, managedScaling={"status": "ENABLED", "targetCapacity": 80})
        self.assertEqual(made["capacityProviderArn"], f"arn:aws:ecs:{self.region}:000000000000:capacity-provider/{called}")
        self.assertEqual((made["status"], made["autoScalingGroupProvider"]["managedTerminationProtection"]), ("ACTIVE", "DISABLED"))
        self.assertEqual(made["autoScalingGroupProvider"]["managedScaling"], {"status": "ENABLED", "targetCapacity": 80, "minimumScalingStepSize": 1,
                                                                             "maximumScalingStepSize": 10000, "instanceWarmupPeriod": 300})
        self.assertEqual(self.associate(called)["capacityProviders"], [called])

        def policy():
            found = self.scaling.describe_policies(AutoScalingGroupName=group)["ScalingPolicies"]
            return found and found[0]
        found = self.wait(policy)
        self.assertRegex(found["PolicyName"], "^ECSManagedAutoScalingPolicy-")
        metric = found["TargetTrackingConfiguration"]
        self.assertEqual((metric["TargetValue"], metric["CustomizedMetricSpecification"]["MetricName"], found["EstimatedInstanceWarmup"]),
                         (80.0, "CapacityProviderReservation", 300))
        hooks = self.wait(lambda: self.scaling.describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"])
        self.assertEqual([(h["LifecycleHookName"], h["DefaultResult"]) for h in hooks], [("ecs-managed-draining-termination-hook", "CONTINUE")])
        alarms = self.wait(lambda: len(f := self.cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-{group}")["MetricAlarms"]) == 2 and f)
        self.assertEqual([(a["ComparisonOperator"], a["Threshold"], a["EvaluationPeriods"]) for a in alarms],
                         [("GreaterThanThreshold", 80.0, 1), ("LessThanThreshold", 80.0, 15)])
        changed = self.ecs.update_capacity_provider(name=called, autoScalingGroupProvider={"managedScaling": {"targetCapacity": 100}})["capacityProvider"]
        self.assertEqual((changed["updateStatus"], changed["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"]), ("UPDATE_COMPLETE", 100))
        self.wait(lambda: policy()["TargetTrackingConfiguration"]["TargetValue"] == 100.0)
        self.refused("associated with cluster", self.ecs.delete_capacity_provider, code="ResourceInUseException", capacityProvider=called)
        self.associate()
        self.wait(lambda: not policy() and not self.scaling.describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"])
        self.assertEqual(self.ecs.delete_capacity_provider(capacityProvider=called)["capacityProvider"]["status"], "INACTIVE")
        self.wait(lambda: self.described(called)["failures"] == [{"arn": called, "reason": "MISSING"}])

    def test_refusals(self):
        _, arn = self.group(self.template)
        create = self.ecs.create_capacity_provider
        self.refused("The specified Auto Scaling group ARN is invalid", create, name="x", autoScalingGroupProvider={"autoScalingGroupArn": arn + "x"})
        self.refused("instance protection from scale in enabled", create, name="x", autoScalingGroupProvider={
            "autoScalingGroupArn": arn, "managedScaling": {"status": "ENABLED"}, "managedTerminationProtection": "ENABLED"})
        self.refused("cannot be prefixed with", create, name="ecs-mine", autoScalingGroupProvider={"autoScalingGroupArn": arn})
        self.refused("targetCapacity", create, code="InvalidParameterException", name="x", autoScalingGroupProvider={
            "autoScalingGroupArn": arn, "managedScaling": {"status": "ENABLED", "targetCapacity": 101}})
        called, _ = self.provider(arn)
        self.refused("already exists", create, name=called, autoScalingGroupProvider={"autoScalingGroupArn": arn})
        self.refused("cannot contain a mix of capacity providers", self.ecs.put_cluster_capacity_providers, code="InvalidParameterException",
                     cluster=self.cluster, capacityProviders=[called, "FARGATE"],
                     defaultCapacityProviderStrategy=[{"capacityProvider": called, "weight": 1}, {"capacityProvider": "FARGATE", "weight": 1}])
        self.refused("does not exist", self.ecs.delete_capacity_provider, capacityProvider="nobody")
        self.associate(called)
        definition = self.register({"command": STAY, "memory": 64}, requiresCompatibilities=["EC2"], networkMode="bridge")
        ran = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, capacityProviderStrategy=[{"capacityProvider": called, "weight": 1}])
        self.assertEqual([f["reason"] for f in ran["failures"]], ["EMPTY CAPACITY PROVIDER"])  # nobody scales its group


@unittest.skipIf(why_no_agent() or no_containers(), why_no_agent() or no_containers())
class Instances(ProviderCase):
    moves = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        iam = cls.client("iam")
        role("agent-" + cls.word, "ec2.amazonaws.com", client=cls.client)
        iam.attach_role_policy(RoleName="agent-" + cls.word, PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role")
        iam.create_instance_profile(InstanceProfileName="agent-" + cls.word)
        iam.add_role_to_instance_profile(InstanceProfileName="agent-" + cls.word, RoleName="agent-" + cls.word)

    def joining(self):
        """A launch template whose instances join the class's cluster."""
        data = base64.b64encode(f"#!/bin/bash\necho ECS_CLUSTER={self.cluster} >> /etc/ecs/ecs.config\n".encode()).decode()
        called = "t" + uuid.uuid4().hex[:8]
        self.ec2.create_launch_template(LaunchTemplateName=called, LaunchTemplateData={
            "ImageId": image(self.ec2), "InstanceType": "t3.small", "IamInstanceProfile": {"Name": "agent-" + self.word}, "UserData": data,
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}]})
        return called

    def test_tasks_bring_instances(self):
        group, arn = self.group(self.joining(), protects=True)
        called, _ = self.provider(arn, managedScaling={"status": "ENABLED", "instanceWarmupPeriod": 10}, managedTerminationProtection="ENABLED")
        self.associate(called)
        definition = self.register({"command": STAY, "memory": 64, "cpu": 10, "stopTimeout": 2}, requiresCompatibilities=["EC2"], networkMode="bridge")
        (task,) = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, capacityProviderStrategy=[{"capacityProvider": called, "weight": 1}])["tasks"]
        self.assertEqual((task["lastStatus"], task["capacityProviderName"], task.get("containerInstanceArn")), ("PROVISIONING", called, None))
        (gone,) = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, capacityProviderStrategy=[{"capacityProvider": called}])["tasks"]
        self.ecs.stop_task(cluster=self.cluster, task=gone["taskArn"])
        self.wait(lambda: self.task(gone["taskArn"])["lastStatus"] == "STOPPED")  # one that waits ends at once
        for _ in range(10):  # it is looked at by the minute
            if self.shown(group)["DesiredCapacity"]:
                break
            self.cloud.forward("60s")
            time.sleep(1)
        running = self.until(task["taskArn"], "RUNNING", 300)
        self.assertEqual((running["capacityProviderName"], running["launchType"]), (called, "EC2"))
        (found,) = self.ecs.describe_container_instances(cluster=self.cluster, containerInstances=[running["containerInstanceArn"]])["containerInstances"]
        self.assertEqual(found["capacityProviderName"], called)
        (member,) = self.shown(group)["Instances"]
        self.assertEqual((member["InstanceId"], member["ProtectedFromScaleIn"], self.shown(group)["DesiredCapacity"]), (found["ec2InstanceId"], True, 1))
        self.refused("in use and cannot be removed", self.ecs.put_cluster_capacity_providers, code="ResourceInUseException", cluster=self.cluster,
                     capacityProviders=[], defaultCapacityProviderStrategy=[])
        # the next task has room and does not wait
        (more,) = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, capacityProviderStrategy=[{"capacityProvider": called}])["tasks"]
        self.assertEqual(more["containerInstanceArn"], running["containerInstanceArn"])
        self.until(more["taskArn"], "RUNNING")
        self.ecs.stop_task(cluster=self.cluster, task=more["taskArn"])
        # who is to end is drained first: a task that nobody replaces keeps the instance until it is stopped
        self.scaling.terminate_instance_in_auto_scaling_group(InstanceId=member["InstanceId"], ShouldDecrementDesiredCapacity=True)

        def status():
            shown = self.ecs.describe_container_instances(cluster=self.cluster, containerInstances=[running["containerInstanceArn"]])
            return shown["containerInstances"][0]["status"] if shown["containerInstances"] else "INACTIVE"
        self.wait(lambda: status() == "DRAINING")
        self.assertEqual(self.task(task["taskArn"])["lastStatus"], "RUNNING")
        self.assertEqual([i["LifecycleState"] for i in self.shown(group)["Instances"]], ["Terminating:Wait"])
        self.ecs.stop_task(cluster=self.cluster, task=task["taskArn"])
        self.wait(lambda: not self.shown(group)["Instances"])


if __name__ == "__main__":
    unittest.main()
