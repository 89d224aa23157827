"""AWS/EBS: what a guest reads of its disk is CloudWatch's, by the minute. tests/sim/ec2_metrics.c has the arithmetic."""
import datetime
import time
import unittest

from aws import client
from ec2 import Ec2Case, end_instances, halting_image, wait_for

# Reads the second sector into memory by the BIOS, waits for the clock (18 times a second), and again.
READING = bytes.fromhex("31c0 8ec0 bb007e b80102 b90200 ba8000 cd13 fb f4 ebea")


class VolumeMetrics(Ec2Case):
    def test_a_guest_that_reads(self):
        self.ec2, watch = client("ec2"), client("cloudwatch")
        instance = self.ec2.run_instances(ImageId=halting_image(self, READING), InstanceType="t2.nano", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, instance)
        volume = wait_for(self, self.ec2, instance, "running")["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

        def points(name, statistic="Sum"):
            now = datetime.datetime.now(datetime.timezone.utc)
            return [p[statistic] for p in watch.get_metric_statistics(
                Namespace="AWS/EBS", MetricName=name, Dimensions=[{"Name": "VolumeId", "Value": volume}], StartTime=now - datetime.timedelta(minutes=10),
                EndTime=now + datetime.timedelta(minutes=1), Period=60, Statistics=[statistic])["Datapoints"]]
        until = time.monotonic() + 400
        while not any(points("VolumeReadOps")) and time.monotonic() < until:
            time.sleep(1)
        ops, read = points("VolumeReadOps"), points("VolumeReadBytes")
        self.assertGreater(max(ops), 100)
        self.assertGreaterEqual(max(read), 512 * 100)
        self.assertEqual(set(points("VolumeWriteBytes")), {0})
        self.assertTrue(all(0 < idle <= 65 for idle in points("VolumeIdleTime")))
        self.assertTrue(all(0 < q < 5 for q in points("VolumeQueueLength", "Average")), points("VolumeQueueLength", "Average"))
        for name in ("VolumeWriteOps", "VolumeTotalReadTime", "VolumeTotalWriteTime"):
            self.assertTrue(points(name), name)


if __name__ == "__main__":
    unittest.main()
