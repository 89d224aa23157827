"""What tests of Auto Scaling share: a region and a launch template of their own, and instances that cost little."""
import os
import re
import time
import urllib.parse
import uuid

import images
import raw
from aws import ENDPOINT, TestCase, client


def wait(test, condition, seconds=120):
    """What the condition returns, when it is true."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            return test.fail(f"not within {seconds} s: {condition.__name__}")
        time.sleep(0.1)


class GroupCase(TestCase):
    """Instances are containers of the default image, which start quickest of all that is there."""

    def setUp(self):
        self.region = "test-" + uuid.uuid4().hex[:8] + "-1"
        self.ec2 = client("ec2", region=self.region)
        self.scaling = client("autoscaling", region=self.region)
        self.subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"]}
        self.zones = sorted(self.subnets)
        self.addCleanup(self.end_all)

    def template(self, name="tmpl", **more):
        data = {"ImageId": self.image(), "InstanceType": "t3.nano",
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}], **more}
        return self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]

    def image(self):
        found = images.image(self.ec2)
        if not found:
            self.skipTest("there is no machine image")
        return found

    def group(self, name="g", zones=1, **more):
        given = {"AutoScalingGroupName": name, "MinSize": 0, "MaxSize": 4,
                 "VPCZoneIdentifier": ",".join(self.subnets[z] for z in self.zones[:zones]), **more}
        if not {"LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName"} & set(given):
            given["LaunchTemplate"] = {"LaunchTemplateName": "tmpl", "Version": "$Latest"}
        self.scaling.create_auto_scaling_group(**given)
        return name

    def shown(self, name="g"):
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found[0] if found else None

    def members(self, name="g", state=None):
        return [i for i in self.shown(name)["Instances"] if state in (None, i["LifecycleState"])]

    def ids(self, name="g"):
        return {i["InstanceId"] for i in self.members(name)}

    def settled(self, count, name="g", seconds=120):
        """The members, when there are so many, all in service."""
        def as_wanted():
            found = self.members(name)
            return len(found) == count and all(i["LifecycleState"] == "InService" for i in found) and (found or [None])
        return [i for i in wait(self, as_wanted, seconds) if i]

    def running(self):
        """Instances of EC2 that are or will be, whoever knows of them."""
        found = self.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}])
        return {i["InstanceId"] for r in found["Reservations"] for i in r["Instances"]}

    def activities(self, name="g"):
        return self.scaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]

    def fails(self, code, message, call, **given):
        self.assertAwsError(code, call, message=message, **given)

    def newer(self, operation, **given):
        """What the oldest SDK does not know, or knows less of: the elements of the answer by name, or those of its error."""
        port = int(ENDPOINT.rsplit(":", 1)[1])
        signer = raw.Signer(port, "autoscaling", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], self.region)
        body = urllib.parse.urlencode({"Action": operation, "Version": "2011-01-01", **{k.replace("__", "."): v for k, v in given.items()}})
        reply = raw.ask(port, signer.request("POST", "/", body.encode(), headers={"content-type": "application/x-www-form-urlencoded"}))
        return dict(re.findall(r"<(\w+)>([^<]*)</\1>", reply.body.decode()))

    def end_all(self):
        for g in self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            if g.get("Status") != "Delete in progress":
                self.scaling.delete_auto_scaling_group(AutoScalingGroupName=g["AutoScalingGroupName"], ForceDelete=True)
        left = self.running()
        if left:
            self.ec2.terminate_instances(InstanceIds=sorted(left))

        def over():
            return not self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] and not self.running()
        wait(self, over)
