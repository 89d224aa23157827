"""Fleets and the death of api in the middle of launches: a fleet is there, with what was launched, and one that is kept keeps its target."""
import os
import shutil
import tempfile
import threading
import time
import unittest

import botocore.exceptions

from cloud import Cloud
from images import image, no_containers


@unittest.skipIf(no_containers() or os.geteuid() != 0, no_containers() or "needs root")
class KilledFleets(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, self.data, True)
        self.cloud = Cloud(data=self.data).start()
        self.addCleanup(self.cloud.stop)
        self.ec2 = self.cloud.client("ec2")

    def until(self, look, seconds=180):
        end = time.monotonic() + seconds
        while True:
            try:
                found = look()
            except botocore.exceptions.BotoCoreError:
                found = None  # its maker is dead just now
            if found:
                return found
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def instances(self, *states):
        found = self.ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["aws:ec2:fleet-id"]}, {"Name": "instance-state-name", "Values": list(states)}])
        return [i for r in found["Reservations"] for i in r["Instances"]]

    def template(self):
        ami = image(self.ec2)
        if not ami:
            self.skipTest("there is no image: tools/make-image")
        self.ec2.create_launch_template(LaunchTemplateName="cut-off", LaunchTemplateData={"ImageId": ami, "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}]})

    def kill(self):
        before = self.cloud.role_pid("api")
        self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=before)
        self.cloud.wait()

    def test_a_target_is_kept(self):
        """No more and no fewer, whenever it died."""
        self.template()
        fleet = self.ec2.create_fleet(Type="maintain", TargetCapacitySpecification={"TotalTargetCapacity": 6, "DefaultTargetCapacityType": "spot"},
                                      SpotOptions={"AllocationStrategy": "diversified"}, LaunchTemplateConfigs=[{
                                          "LaunchTemplateSpecification": {"LaunchTemplateName": "cut-off", "Version": "1"},
                                          "Overrides": [{"InstanceType": t} for t in ("t2.nano", "t3.nano")]}])["FleetId"]

        def kept():
            seen = self.ec2.describe_fleets(FleetIds=[fleet])["Fleets"][0]
            ids = {i["InstanceId"] for i in self.instances("pending", "running")}
            own = {i["InstanceId"] for i in self.ec2.describe_fleet_instances(FleetId=fleet)["ActiveInstances"]}
            self.assertLessEqual(len(ids), 6)
            return ids if seen["ActivityStatus"] == "fulfilled" and len(ids) == 6 and own == ids else None
        self.until(lambda: self.instances("pending", "running"))
        self.kill()
        first = self.until(kept)
        self.ec2.terminate_instances(InstanceIds=sorted(first)[:3])
        self.kill()
        second = self.until(kept)
        self.assertEqual(second & first, set(sorted(first)[3:]))
        self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)
        self.kill()
        self.until(lambda: self.ec2.describe_fleets(FleetIds=[fleet])["Fleets"][0]["FleetState"] == "deleted")
        self.assertEqual(self.instances("pending", "running", "shutting-down"), [])

    def test_a_launch_that_is_cut_off(self):
        self.template()
        pools = [{"InstanceType": t, "AvailabilityZone": "us-east-1" + z} for t in ("t2.nano", "t3.nano") for z in "abc"]

        def create():
            try:
                self.cloud.client("ec2").create_fleet(Type="instant", LaunchTemplateConfigs=[
                    {"LaunchTemplateSpecification": {"LaunchTemplateName": "cut-off", "Version": "1"}, "Overrides": pools}], SpotOptions={"AllocationStrategy": "diversified"},
                    TargetCapacitySpecification={"TotalTargetCapacity": len(pools), "DefaultTargetCapacityType": "spot"})
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                pass
        asking = threading.Thread(target=create)
        asking.start()
        self.addCleanup(asking.join)
        self.until(lambda: self.instances("pending", "running"))
        self.kill()
        found = self.until(lambda: self.instances("pending", "running"))
        fleet = next(t["Value"] for t in found[0]["Tags"] if t["Key"] == "aws:ec2:fleet-id")

        def settled():
            seen = self.ec2.describe_fleets(FleetIds=[fleet])["Fleets"][0]
            return seen if seen["FleetState"] == "active" else None
        seen = self.until(settled)
        states = {i["InstanceId"]: (i["State"]["Name"], i.get("StateReason")) for i in self.instances("*")}
        self.assertEqual(sorted(i for part in seen["Instances"] for i in part["InstanceIds"]), sorted(states))
        self.assertEqual([s for s in states.values() if s[0] not in ("pending", "running")], [])
        self.assertEqual(len(self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)["SuccessfulFleetDeletions"]), 1)
        self.until(lambda: self.ec2.describe_fleets(FleetIds=[fleet])["Fleets"][0]["FleetState"] == "deleted")
        self.assertEqual(self.instances("pending", "running", "shutting-down"), [])
