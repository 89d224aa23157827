"""Quotas of vCPUs, which are there by configuration: so in a cloud of its own."""
import os
import subprocess
import unittest

from botocore.exceptions import ClientError

from cloud import Cloud, program
from ec2 import halting_image, wait_for


class Quotas(unittest.TestCase):
    def start(self, text):
        cloud = Cloud()
        path = os.path.join(cloud.data, "quartet.conf")
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        cloud.options = ["--config", path]
        self.addCleanup(cloud.stop)
        return cloud.start()

    def refused(self, code, call, text="", **params):
        with self.assertRaises(ClientError) as caught:
            call(**params)
        error = caught.exception.response
        self.assertEqual((error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]), (code, 400))
        self.assertIn(text, error["Error"]["Message"])

    def setUp(self):
        self.cloud = self.start("[ec2]\nvcpus = 4\nspot_vcpus = 2\n")
        self.ec2 = self.cloud.client("ec2")
        self.image = halting_image(self, client=self.cloud.client)

    def run_instances(self, least, most=None, ec2=None, **more):
        made = (ec2 or self.ec2).run_instances(ImageId=self.image, InstanceType="t2.nano", MinCount=least, MaxCount=most or least, **more)
        return [i["InstanceId"] for i in made["Instances"]]

    def test_on_demand(self):
        reserve = dict(InstanceType="t2.nano", InstancePlatform="Linux/UNIX", AvailabilityZone="us-east-1a", InstanceCount=1,
                       InstanceMatchCriteria="targeted")
        self.refused("VcpuLimitExceeded", self.run_instances, "current vCPU limit of 4 allows", least=5)
        self.assertEqual(len(self.run_instances(1, 2)), 2)
        # as many as it allows
        ids = self.run_instances(1, 9)
        self.assertEqual(len(ids), 2)
        self.refused("VcpuLimitExceeded", self.run_instances, least=1)
        self.refused("VcpuLimitExceeded", self.ec2.create_capacity_reservation, **reserve)
        # every region has its own
        self.assertEqual(self.cloud.client("ec2", region="eu-west-1").create_capacity_reservation(
            **{**reserve, "AvailabilityZone": "eu-west-1a"})["CapacityReservation"]["TotalInstanceCount"], 1)
        # who is stopped does not count, and does again with the start
        for i in ids:
            wait_for(self, self.ec2, i, "running")
        self.ec2.stop_instances(InstanceIds=ids, Force=True)
        for i in ids:
            wait_for(self, self.ec2, i, "stopped")
        made = self.ec2.create_capacity_reservation(**reserve)["CapacityReservation"]["CapacityReservationId"]
        self.refused("VcpuLimitExceeded", self.ec2.start_instances, InstanceIds=ids)
        self.assertEqual({wait_for(self, self.ec2, i, "stopped")["State"]["Name"] for i in ids}, {"stopped"})
        # a place that is reserved has been counted
        self.ec2.start_instances(InstanceIds=ids[:1])
        self.refused("VcpuLimitExceeded", self.run_instances, least=1)
        self.run_instances(1, CapacityReservationSpecification={"CapacityReservationTarget": {"CapacityReservationId": made}})
        self.refused("VcpuLimitExceeded", self.ec2.modify_capacity_reservation, CapacityReservationId=made, InstanceCount=2)

    def test_spot(self):
        spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
        self.assertEqual(len(self.run_instances(1, 3, **spot)), 2)
        self.refused("MaxSpotInstanceCountExceeded", self.run_instances, least=1, **spot)
        self.refused("MaxSpotInstanceCountExceeded", self.ec2.request_spot_instances,
                     LaunchSpecification={"ImageId": self.image, "InstanceType": "t2.nano"})
        # on demand has its own
        self.assertEqual(len(self.run_instances(4)), 4)


class Settings(unittest.TestCase):
    def test_what_is_no_number(self):
        cloud = Cloud()
        self.addCleanup(cloud.stop)
        path = os.path.join(cloud.data, "quartet.conf")
        for text in ("many", "0", "-1", "10000000"):
            with open(path, "w") as f:
                f.write(f"[ec2]\nvcpus = {text}\n")
            said = subprocess.run([program(), "up", "--data", cloud.data, "--config", path], capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(said.returncode, 0)
            self.assertIn(f'[ec2] vcpus: "{text}" is no number of vCPUs', said.stderr)


if __name__ == "__main__":
    unittest.main()
