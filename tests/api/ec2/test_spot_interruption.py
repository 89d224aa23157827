"""The end that a launch on demand brings a spot instance."""
import os
import time

from ec2 import halting_image, wait_for
from spot import SpotCase

# MiB, vCPUs; each of twice the memory
LADDER = [("t3.small", 2048, 2), ("t3.medium", 4096, 2), ("t3.large", 8192, 2), ("r5.large", 16384, 2), ("r5.xlarge", 32768, 4), ("r5.2xlarge", 65536, 8)]


def type_that_fits_once():
    """An instance type of which one fits on this machine beside little else, and not two."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20) * 75 // 100
    fitting = [t for t in LADDER if t[1] <= memory < 2 * t[1] and t[2] <= os.cpu_count() * 8]
    return fitting[0][0] if fitting else None


class Interruption(SpotCase):
    def test_interruption(self):
        """Takes the two minutes of the notice."""
        kind = type_that_fits_once()
        if not kind:
            self.skipTest("no instance type fits this machine once")
        self.image = halting_image(self)
        spot = self.run_one(kind, InstanceMarketOptions=self.market())
        self.fails("InsufficientInstanceCapacity", self.run_one, status=500, kind=kind, InstanceMarketOptions=self.market())
        wait_for(self, self.ec2, spot["InstanceId"], "running")
        begun = time.monotonic()
        other = self.run_one(kind)
        self.assertEqual(self.status(spot["SpotInstanceRequestId"]), ("active", "marked-for-termination"))
        self.fails("InsufficientInstanceCapacity", self.run_one, status=500, kind=kind)
        time.sleep(90)
        wait_for(self, self.ec2, spot["InstanceId"], "running", 1)
        wait_for(self, self.ec2, other["InstanceId"], "pending", 1)
        gone = wait_for(self, self.ec2, spot["InstanceId"], "terminated")
        self.assertGreater(time.monotonic() - begun, 115)
        self.assertEqual(gone["StateReason"]["Code"], "Server.SpotInstanceTermination")
        self.assertEqual(self.status(spot["SpotInstanceRequestId"]), ("closed", "instance-terminated-no-capacity"))
        wait_for(self, self.ec2, other["InstanceId"], "running")
