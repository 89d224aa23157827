"""What the tests of spot instances and of capacity share."""
import os

from aws import client
from ec2 import Ec2Case, end_instances


# MiB, vCPUs; each of twice the memory
LADDER = [("t3.small", 2048, 2), ("t3.medium", 4096, 2), ("t3.large", 8192, 2), ("r5.large", 16384, 2), ("r5.xlarge", 32768, 4), ("r5.2xlarge", 65536, 8)]


def type_that_fits_once():
    """An instance type of which one fits on this machine beside little else, and not two."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20) * 75 // 100
    fitting = [t for t in LADDER if t[1] <= memory < 2 * t[1] and t[2] <= os.cpu_count() * 8]
    return fitting[0][0] if fitting else None


class SpotCase(Ec2Case):
    def setUp(self):
        super().setUp()
        self.client = client
        self.ec2 = self.client("ec2")

    def market(self, **more):
        return {"MarketType": "spot", "SpotOptions": more}

    def run_one(self, kind="t2.nano", **more):
        made = self.ec2.run_instances(ImageId=self.image, InstanceType=kind, MinCount=1, MaxCount=1, **more)["Instances"][0]
        end_instances(self, self.ec2, made["InstanceId"])
        return made

    def request(self, sir):
        return self.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[sir])["SpotInstanceRequests"][0]

    def status(self, sir):
        r = self.request(sir)
        return r["State"], r["Status"]["Code"]
