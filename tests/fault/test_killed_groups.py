"""Groups of Auto Scaling when roles are killed while they grow and shrink: no instance is lost, and none is there twice."""
import time
import unittest

import botocore.exceptions
from cloud import Cloud
from images import image

AWAY = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError)
PATIENCE_S = 180  # for a machine that does much else


class KilledGroups(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        self.clients()
        self.subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]

    def clients(self):
        self.ec2 = self.cloud.client("ec2")
        self.scaling = self.cloud.client("autoscaling")

    def wait(self, condition):
        """What it returns when it is true; the cloud may be away meanwhile."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                found = condition()
                if found:
                    return found
            except AWAY:
                pass
            time.sleep(0.1)
        return self.fail(f"it does not come to be:\n{self.cloud.log_text()[-2000:]}")

    def running(self):
        states = ["pending", "running", "stopping", "stopped"]
        found = self.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": states}])
        return sorted(i["InstanceId"] for r in found["Reservations"] for i in r["Instances"])

    def members(self):
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["g"])["AutoScalingGroups"]
        return group["Instances"]

    def whole(self, count):
        """So many members serve, and they are all the instances that there are."""
        members = self.members()
        return [i["LifecycleState"] for i in members] == ["InService"] * count and sorted(i["InstanceId"] for i in members) == self.running()

    def kill(self, role):
        self.cloud.kill(role)
        if role == "main":
            self.cloud.process.wait()
            self.wait(lambda: self.cloud.start())
            self.clients()

    def test_killed_in_mid_scaling(self):
        found = image(self.ec2)
        if not found:
            self.skipTest("there is no machine image")
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}]
        self.ec2.create_launch_template(LaunchTemplateName="tmpl", LaunchTemplateData={
            "ImageId": found, "InstanceType": "t3.nano", "TagSpecifications": tags})
        self.scaling.create_auto_scaling_group(AutoScalingGroupName="g", MinSize=0, MaxSize=5, DesiredCapacity=1, VPCZoneIdentifier=self.subnet,
                                               LaunchTemplate={"LaunchTemplateName": "tmpl"})
        self.wait(lambda: self.whole(1))
        for role, count in (("api", 3), ("priv", 1), ("main", 3), ("api", 1)):
            self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=count)
            self.kill(role)
            self.wait(lambda n=count: self.whole(n))
        self.wait(lambda: self.scaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True))
        self.wait(lambda: not self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] and not self.running() or None)


if __name__ == "__main__":
    unittest.main()
