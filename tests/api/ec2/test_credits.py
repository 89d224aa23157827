"""CPU credits of burstable types: what is asked for at launches and later, and what the kernel is told of it."""
import glob
import os
import subprocess
import time
import unittest
import uuid

from ec2 import Ec2Case
from images import image, no_containers

CONTAINER = [{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}]


def quota(marker):
    """The share of one processor that the control group of the process with this word may have."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        pid = path.split("/")[2]
        try:
            with open(path, "rb") as file:
                if marker not in file.read().split(b"\0") or open(f"/proc/{pid}/comm").read() != "sleep\n":
                    continue
            groups = [line.rstrip("\n").split(":", 2) for line in open(f"/proc/{pid}/cgroup")]
        except OSError:
            continue
        for _, controllers, group in groups:
            names = controllers.split(",")
            if "cpu" in names or controllers == "":
                found = find(names, group)
                if found:
                    return found
    return None


def find(names, group):
    """Of the group m<number>, above those that the instance makes in it."""
    parts = group.split("/")
    while parts and not (parts[-1][:1] == "m" and parts[-1][1:].isdigit()):
        parts.pop()
    group = "/".join(parts)
    if not group:
        return None
    if "cpu" in names:
        at = glob.glob(f"/sys/fs/cgroup/{','.join(names)}{group}") or glob.glob(f"/sys/fs/cgroup/cpu{group}")
        quota_us, period_us = (int(open(f"{at[0]}/cpu.cfs_{name}_us").read()) for name in ("quota", "period"))
        return quota_us / period_us
    at = f"/sys/fs/cgroup{group}/cpu.max"
    if not os.path.exists(at):
        return None
    quota_us, period_us = open(at).read().split()
    return int(quota_us) / int(period_us)


class Credits(Ec2Case):
    def run_one(self, kind, **more):
        made = image(self.ec2)
        if not made or no_containers():
            self.skipTest(no_containers() or "there is no image: tools/make-image")
        (i,) = self.ec2.run_instances(ImageId=made, InstanceType=kind, MinCount=1, MaxCount=1, TagSpecifications=CONTAINER, **more)["Instances"]
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=[i["InstanceId"]])
        return i["InstanceId"]

    def mode(self, instance):
        (spec,) = self.ec2.describe_instance_credit_specifications(InstanceIds=[instance])["InstanceCreditSpecifications"]
        self.assertEqual(spec["InstanceId"], instance)
        return spec["CpuCredits"]

    def modify(self, instance, mode):
        done = self.ec2.modify_instance_credit_specification(InstanceCreditSpecifications=[dict(InstanceId=instance, CpuCredits=mode)])
        return ([x["InstanceId"] for x in done["SuccessfulInstanceCreditSpecifications"]],
                [x["Error"]["Code"] for x in done["UnsuccessfulInstanceCreditSpecifications"]])

    def until(self, get, wanted):
        end = time.monotonic() + 90
        while get() != wanted and time.monotonic() < end:
            time.sleep(0.2)
        self.assertEqual(get(), wanted)

    def test_the_kernel_is_told(self):
        i = self.run_one("t3.small", CreditSpecification={"CpuCredits": "standard"})
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[i], WaiterConfig={"Delay": 1, "MaxAttempts": 100})
        marker = f"{uuid.uuid4().int % 10**9 + 10**9}"
        sleeper = subprocess.Popen([os.environ["QUARTET"], "exec", i, "sleep", marker], stdin=subprocess.DEVNULL,
                                   env=dict(os.environ, AWS_REGION=self.region, AWS_DEFAULT_REGION=self.region))
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.terminate)
        # its baseline (20 % of each of two) and what it has earned since it was looked at last
        self.until(lambda: (quota(marker.encode()) or 9) < 2, True)
        self.assertGreaterEqual(quota(marker.encode()), 0.4)
        self.assertEqual(self.mode(i), "standard")
        self.assertEqual(self.modify(i, "unlimited"), ([i], []))
        self.until(lambda: quota(marker.encode()), 2)
        self.assertEqual(self.mode(i), "unlimited")
        self.assertEqual(self.modify(i, "standard"), ([i], []))
        self.until(lambda: quota(marker.encode()) < 2, True)

    def test_modes(self):
        default = self.ec2.get_default_credit_specification(InstanceFamily="t3")["InstanceFamilyCreditSpecification"]
        self.assertEqual(default, {"InstanceFamily": "t3", "CpuCredits": "unlimited"})
        self.assertEqual(self.ec2.get_default_credit_specification(InstanceFamily="t2")["InstanceFamilyCreditSpecification"]["CpuCredits"], "standard")
        template = self.ec2.create_launch_template(LaunchTemplateName="standard", LaunchTemplateData={
            "CreditSpecification": {"CpuCredits": "standard"}})["LaunchTemplate"]["LaunchTemplateId"]
        first = self.run_one("t3.nano")
        second = self.run_one("t3.nano", LaunchTemplate={"LaunchTemplateId": template})
        third = self.run_one("t2.nano")
        self.assertEqual([self.mode(i) for i in (first, second, third)], ["unlimited", "standard", "standard"])
        listed = self.ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
        self.assertEqual([x["InstanceId"] for x in listed], [first])
        modified = self.ec2.modify_default_credit_specification(InstanceFamily="t3", CpuCredits="standard")["InstanceFamilyCreditSpecification"]
        self.assertEqual(modified, {"InstanceFamily": "t3", "CpuCredits": "standard"})
        self.assertEqual(self.mode(first), "unlimited")
        self.assertEqual(self.mode(self.run_one("t3.nano")), "standard")
        self.assertEqual(self.modify(second, "unlimited"), ([second], []))
        other = self.run_one("m5.large")
        self.assertEqual(self.modify(other, "standard"), ([], ["InstanceCreditSpecification.NotSupported"]))
        self.assertEqual(self.modify("i-00000000000000000", "standard"), ([], ["InvalidInstanceID.NotFound"]))
        self.fails("InvalidInstanceID", self.ec2.describe_instance_credit_specifications, InstanceIds=[other])
        self.fails("InvalidInstanceID.NotFound", self.ec2.describe_instance_credit_specifications, InstanceIds=["i-00000000000000000"])

    def test_refusals(self):
        made = image(self.ec2)
        if not made:
            self.skipTest("there is no image: tools/make-image")
        ok = dict(ImageId=made, MinCount=1, MaxCount=1)
        self.fails("InvalidParameterCombination", self.ec2.run_instances, InstanceType="m5.large", CreditSpecification={"CpuCredits": "standard"}, **ok)
        self.fails("InvalidParameterValue", self.ec2.run_instances, InstanceType="t3.nano", CreditSpecification={"CpuCredits": "endless"}, **ok)
        self.fails("InvalidParameterValue", self.ec2.modify_default_credit_specification, InstanceFamily="t3", CpuCredits="endless")
        self.assertEqual([r for r in self.ec2.describe_instances()["Reservations"]], [])


if __name__ == "__main__":
    unittest.main()
