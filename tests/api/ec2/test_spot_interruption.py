"""The end that a launch on demand brings a spot instance."""
from ec2 import halting_image, wait_for, when_there_is_room
from moving import moving_cloud
from spot import SpotCase, type_that_fits_once


class Interruption(SpotCase):
    def test_interruption(self):
        """The two minutes of the notice are the cloud's, by its clock."""
        cloud, of_it = moving_cloud(self)
        self.ec2 = of_it("ec2")
        kind = type_that_fits_once()
        if not kind:
            self.skipTest("no instance type fits this machine once")
        self.image = halting_image(self, client=of_it)
        spot = when_there_is_room(self.run_one, kind=kind, InstanceMarketOptions=self.market())
        self.fails("InsufficientInstanceCapacity", self.run_one, status=500, kind=kind, InstanceMarketOptions=self.market())
        wait_for(self, self.ec2, spot["InstanceId"], "running")
        other = self.run_one(kind)
        self.assertEqual(self.status(spot["SpotInstanceRequestId"]), ("active", "marked-for-termination"))
        self.fails("InsufficientInstanceCapacity", self.run_one, status=500, kind=kind)
        cloud.forward("60s")
        wait_for(self, self.ec2, spot["InstanceId"], "running", 1)
        wait_for(self, self.ec2, other["InstanceId"], "pending", 1)
        cloud.forward("60s")
        gone = wait_for(self, self.ec2, spot["InstanceId"], "terminated")
        self.assertEqual(gone["StateReason"]["Code"], "Server.SpotInstanceTermination")
        self.assertEqual(self.status(spot["SpotInstanceRequestId"]), ("closed", "instance-terminated-no-capacity"))
        wait_for(self, self.ec2, other["InstanceId"], "running")
