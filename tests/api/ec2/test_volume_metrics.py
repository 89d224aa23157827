"""AWS/EBS: what a guest reads of its disk is CloudWatch's, by the minute. tests/sim/ec2_metrics.c has the arithmetic."""
import datetime
import time
import unittest

from ec2 import Ec2Case, end_instances, halting_image, wait_for
from images import image, no_containers
from moving import moving_cloud

# Reads the second sector into memory by the BIOS, waits for the clock (18 times a second), and again.
READING = bytes.fromhex("31c0 8ec0 bb007e b80102 b90200 ba8000 cd13 fb f4 ebea")


WRITING = """#!/bin/sh
while true; do dd if=/dev/zero of=/var/written bs=64k count=64 conv=fsync; sleep 0.5; done
"""


class VolumeMetrics(Ec2Case):
    ahead_s = 0  # of the cloud's clock

    def setUp(self):
        self.cloud, self.client = moving_cloud(self)
        self.ec2 = self.client("ec2")

    def points(self, volume, name, statistic="Sum", space="AWS/EBS", key="VolumeId"):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead_s)
        return [p[statistic] for p in self.client("cloudwatch").get_metric_statistics(
            Namespace=space, MetricName=name, Dimensions=[{"Name": key, "Value": volume}], StartTime=now - datetime.timedelta(minutes=60),
            EndTime=now + datetime.timedelta(minutes=1), Period=60, Statistics=[statistic])["Datapoints"]]

    def minutes_until(self, what):
        """Of the cloud's: four seconds of each are the guest's too."""
        for _ in range(40):
            if what():
                return
            time.sleep(4)
            self.cloud.forward("56s")
            self.ahead_s += 56
            time.sleep(0.5)

    @unittest.skipIf(no_containers(), no_containers())
    def test_a_container_that_writes(self):
        if not image(self.ec2):
            self.skipTest("there is no image: tools/make-image")
        instance = self.ec2.run_instances(
            ImageId=image(self.ec2), InstanceType="t2.nano", MinCount=1, MaxCount=1, UserData=WRITING,
            Monitoring={"Enabled": True},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, instance)
        volume = wait_for(self, self.ec2, instance, "running")["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        self.minutes_until(lambda: any(b > 4 << 20 for b in self.points(volume, "VolumeWriteBytes")))
        self.assertGreater(max(self.points(volume, "VolumeWriteBytes")), 4 << 20)
        self.assertGreater(max(self.points(volume, "VolumeWriteOps")), 10)
        self.assertGreater(max(self.points(volume, "VolumeTotalWriteTime")), 0)
        for name in ("VolumeReadOps", "VolumeReadBytes", "VolumeTotalReadTime", "VolumeQueueLength", "VolumeIdleTime"):
            self.assertTrue(self.points(volume, name), name)
        # the instance's own are the sums of its disks'
        self.assertGreater(max(self.points(instance, "EBSWriteBytes", space="AWS/EC2", key="InstanceId")), 4 << 20)

    def test_a_guest_that_reads(self):
        instance = self.ec2.run_instances(ImageId=halting_image(self, READING, client=self.client), InstanceType="t2.nano", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, instance)
        volume = wait_for(self, self.ec2, instance, "running")["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

        def points(name, statistic="Sum"):
            return self.points(volume, name, statistic)
        self.minutes_until(lambda: any(ops > 20 for ops in points("VolumeReadOps")))
        ops, read = points("VolumeReadOps"), points("VolumeReadBytes")
        self.assertGreater(max(ops), 20)
        self.assertGreaterEqual(max(read), 512 * 20)
        self.assertEqual(set(points("VolumeWriteBytes")), {0})
        self.assertTrue(all(0 < idle <= 65 for idle in points("VolumeIdleTime")))
        self.assertTrue(all(0 < q < 5 for q in points("VolumeQueueLength", "Average")), points("VolumeQueueLength", "Average"))
        for name in ("VolumeWriteOps", "VolumeTotalReadTime", "VolumeTotalWriteTime"):
            self.assertTrue(points(name), name)


if __name__ == "__main__":
    unittest.main()
