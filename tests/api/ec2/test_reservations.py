"""Capacity reservations: who goes into them, and that their places are kept."""
import datetime
import time
import unittest

from aws import client
from ec2 import Ec2Case, end_instances, halting_image, wait_for
from moving import moving_cloud
from spot import type_that_fits_once

UTC = datetime.timezone.utc


class Reservations(Ec2Case):
    def setUp(self):
        super().setUp()
        self.ec2 = client("ec2")

    def make(self, kind="t3.micro", n=1, **more):
        made = self.ec2.create_capacity_reservation(**{"InstanceType": kind, "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "us-east-1a", "InstanceCount": n,
                                                       **more})["CapacityReservation"]
        self.addCleanup(self.cancel, made["CapacityReservationId"])
        return made

    def cancel(self, cr):
        if self.look(cr)["State"] == "active":
            self.ec2.cancel_capacity_reservation(CapacityReservationId=cr)

    def look(self, cr):
        return self.ec2.describe_capacity_reservations(CapacityReservationIds=[cr])["CapacityReservations"][0]

    def free(self, cr):
        return self.look(cr)["AvailableInstanceCount"]

    def wait(self, what, seconds=60):
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                self.fail("it does not come")
            time.sleep(0.1)

    def run_one(self, kind="t3.micro", **more):
        subnet = next(s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"] if s["AvailabilityZone"] == "us-east-1a" and s["DefaultForAz"])
        made = self.ec2.run_instances(**{"ImageId": self.image, "InstanceType": kind, "MinCount": 1, "MaxCount": 1, "SubnetId": subnet, **more})["Instances"]
        end_instances(self, self.ec2, *[i["InstanceId"] for i in made])
        return made[0] if len(made) == 1 else made

    def test_refusals(self):
        make = lambda **more: self.make(**more)  # noqa: E731
        later = datetime.datetime.now(UTC) + datetime.timedelta(hours=1)
        for more, code in [({"kind": "t3.none"}, "InvalidParameterValue"), ({"AvailabilityZone": "us-east-1x"}, "InvalidParameterValue"), ({"n": 0}, "InvalidParameterValue"),
                           ({"Tenancy": "dedicated"}, "UnsupportedOperation"), ({"InstancePlatform": "Windows"}, "UnsupportedOperation"),
                           ({"EndDateType": "limited"}, "MissingParameter"), ({"EndDateType": "unlimited", "EndDate": later}, "InvalidParameterCombination"),
                           ({"EndDateType": "limited", "EndDate": datetime.datetime(2001, 1, 1)}, "InvalidParameterValue")]:
            with self.subTest(more):
                self.fails(code, make, **more)
        self.fails("InsufficientInstanceCapacity", make, n=1000, status=500)
        self.fails("InvalidCapacityReservationId.NotFound", self.ec2.cancel_capacity_reservation, CapacityReservationId="cr-0123456789abcdef0")
        self.fails("InvalidCapacityReservationId.Malformed", self.ec2.modify_capacity_reservation, CapacityReservationId="cr-1", InstanceCount=1)
        self.assertEqual(self.ec2.describe_capacity_reservations(Filters=[{"Name": "state", "Values": ["active"]}])["CapacityReservations"], [])

    def test_a_place_is_kept(self):
        """One place is all that this machine has for the type: who is not let into the reservation gets none."""
        kind = type_that_fits_once()
        if not kind:
            self.skipTest("no instance type fits this machine exactly once")
        _, of_it = moving_cloud(self)  # of its own: what ran before in a shared one may have its place still
        self.ec2 = of_it("ec2")
        self.image = halting_image(self, client=of_it)
        made = self.make(kind=kind, InstanceMatchCriteria="targeted")
        cr = made["CapacityReservationId"]
        self.assertEqual((made["State"], made["AvailableInstanceCount"], made["EndDateType"]), ("active", 1, "unlimited"))
        self.wait(lambda: self.full(kind))
        target = {"CapacityReservationTarget": {"CapacityReservationId": cr}}
        inside = self.run_one(kind, CapacityReservationSpecification=target)
        self.assertEqual((inside["CapacityReservationId"], inside["CapacityReservationSpecification"]), (cr, target))
        self.assertEqual(self.free(cr), 0)
        self.fails("ReservationCapacityExceeded", self.run_one, kind=kind, CapacityReservationSpecification=target)
        i = inside["InstanceId"]
        wait_for(self, self.ec2, i, "running")
        self.ec2.stop_instances(InstanceIds=[i], Force=True)
        self.assertNotIn("CapacityReservationId", wait_for(self, self.ec2, i, "stopped"))
        self.assertEqual(self.free(cr), 1)
        self.wait(lambda: self.full(kind))
        self.ec2.start_instances(InstanceIds=[i])
        self.assertEqual(self.free(cr), 0)
        self.cancel(cr)
        self.assertEqual(self.look(cr)["State"], "cancelled")
        self.assertNotIn("CapacityReservationId", wait_for(self, self.ec2, i, "running"))
        self.fails("InvalidCapacityReservationState", self.ec2.modify_capacity_reservation, CapacityReservationId=cr, InstanceCount=2)

    def full(self, kind):
        with self.assertRaises(self.ec2.exceptions.ClientError) as e:
            self.run_one(kind)
        return e.exception.response["Error"]["Code"] == "InsufficientInstanceCapacity"

    def test_open_ones(self):
        self.image = halting_image(self)
        before = self.run_one("t2.nano")
        wait_for(self, self.ec2, before["InstanceId"], "running")
        cr = self.make("t2.nano", 2)["CapacityReservationId"]
        self.assertEqual(self.free(cr), 1, "what runs already is in it")
        self.assertEqual(self.look(cr)["CapacityAllocations"], [{"AllocationType": "used", "Count": 1}])
        without = self.run_one("t2.nano", CapacityReservationSpecification={"CapacityReservationPreference": "none"})
        self.assertNotIn("CapacityReservationId", without)
        self.assertEqual(self.run_one("t2.nano")["CapacityReservationId"], cr)
        self.assertNotIn("CapacityReservationId", self.run_one("t2.nano"), "it is full")
        self.fails("InsufficientInstanceCapacity", self.run_one, kind="t2.nano", status=500,
                   CapacityReservationSpecification={"CapacityReservationPreference": "capacity-reservations-only"})
        self.fails("InvalidParameterValue", self.ec2.modify_capacity_reservation, CapacityReservationId=cr, InstanceCount=1)
        self.ec2.modify_capacity_reservation(CapacityReservationId=cr, InstanceCount=3)
        self.assertEqual(self.free(cr), 1)
        # its end by date
        self.ec2.modify_capacity_reservation(CapacityReservationId=cr, EndDateType="limited", EndDate=datetime.datetime.now(UTC) + datetime.timedelta(seconds=2))
        self.wait(lambda: self.look(cr)["State"] == "expired")
        self.assertNotIn("CapacityReservationId", wait_for(self, self.ec2, before["InstanceId"], "running"))


if __name__ == "__main__":
    unittest.main()
