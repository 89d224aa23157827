"""The end that a launch on demand brings a spot instance."""
import time

from ec2 import halting_image, wait_for, when_there_is_room
from spot import SpotCase, type_that_fits_once


class Interruption(SpotCase):
    def test_interruption(self):
        """Takes the two minutes of the notice."""
        kind = type_that_fits_once()
        if not kind:
            self.skipTest("no instance type fits this machine once")
        self.image = halting_image(self)
        spot = when_there_is_room(self.run_one, kind=kind, InstanceMarketOptions=self.market())
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
