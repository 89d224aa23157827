"""Images that grow old, are switched off or protected; what goes with them."""
import datetime
import unittest
import uuid

from aws import client
from ec2 import Ec2Case


class Images(Ec2Case):
    def setUp(self):
        super().setUp()
        volume = self.ec2.create_volume(AvailabilityZone=self.region + "a", Size=1)["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.snapshot = self.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        self.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[self.snapshot], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.ec2.delete_volume(VolumeId=volume)
        self.image = self.register()

    def register(self):
        return self.ec2.register_image(Name=uuid.uuid4().hex, RootDeviceName="/dev/xvda",
                                       BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": self.snapshot}}])["ImageId"]

    def shown(self, **more):
        found = self.ec2.describe_images(ImageIds=[self.image], **more)["Images"]
        return found[0] if found else None

    def test_deprecation(self):
        when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        self.assertTrue(self.ec2.enable_image_deprecation(ImageId=self.image, DeprecateAt=when)["Return"])
        shown = datetime.datetime.fromisoformat(self.shown()["DeprecationTime"].replace("Z", "+00:00"))
        self.assertLess(abs((shown - when).total_seconds()), 61)
        self.assertEqual((shown.second, shown.microsecond), (0, 0))
        self.ec2.disable_image_deprecation(ImageId=self.image)
        self.assertNotIn("DeprecationTime", self.shown())
        self.fails("InvalidParameterValue", self.ec2.enable_image_deprecation, ImageId=self.image, DeprecateAt=when - datetime.timedelta(days=2))
        self.fails("InvalidAMIID.NotFound", self.ec2.disable_image_deprecation, ImageId="ami-0123456789abcdef0")

    def of(self, action, **more):
        reply = self.query(action, ImageId=self.image, **more)
        return reply.code or reply.status

    def test_switched_off(self):
        self.ec2.modify_image_attribute(ImageId=self.image, LaunchPermission={"Add": [{"Group": "all"}]})
        self.assertEqual(self.of("DisableImage"), 200)
        self.assertIsNone(self.shown())
        shown = self.query("DescribeImages", **{"ImageId.1": self.image, "IncludeDisabled": "true"}).body.decode()
        self.assertIn("<imageState>disabled</imageState>", shown)
        self.assertIn("<isPublic>false</isPublic>", shown)
        self.fails("InvalidAMIID.Unavailable", self.ec2.run_instances, ImageId=self.image, MinCount=1, MaxCount=1)
        self.assertEqual(self.of("EnableImage"), 200)
        self.assertEqual(self.shown()["State"], "available")
        self.ec2.deregister_image(ImageId=self.image)
        self.assertEqual(self.of("DisableImage"), "InvalidAMIID.NotFound")

    def test_of_others(self):
        """Who may launch an image may not change it."""
        stranger = client("ec2", region=self.region, key="210987654321", secret="test")
        call = dict(ImageId=self.image)
        for what in (stranger.deregister_image, stranger.disable_image_deprecation):
            self.fails("InvalidAMIID.NotFound", what, **call)
        self.ec2.modify_image_attribute(LaunchPermission={"Add": [{"UserId": "210987654321"}]}, **call)
        self.assertEqual([i["ImageId"] for i in stranger.describe_images(ImageIds=[self.image])["Images"]], [self.image])
        for what, more in ((stranger.deregister_image, {}), (stranger.disable_image_deprecation, {}),
                           (stranger.modify_image_attribute, {"Description": {"Value": "mine"}})):
            self.fails("AuthFailure", what, f"Not authorized for image:{self.image}", status=403, **more, **call)
        self.assertNotEqual(self.shown().get("Description"), "mine")

    def test_protection_and_snapshots(self):
        self.assertEqual(self.of("EnableImageDeregistrationProtection"), 200)
        self.fails("OperationNotPermitted", self.ec2.deregister_image, ImageId=self.image)
        self.assertEqual(self.of("EnableImageDeregistrationProtection", WithCooldown="true"), "UnsupportedOperation")
        self.assertEqual(self.of("DisableImageDeregistrationProtection"), 200)
        first, self.image = self.image, self.register()
        remove = lambda: self.query("DeregisterImage", ImageId=self.image, DeleteAssociatedSnapshots="true").body.decode()  # noqa: E731
        self.assertIn(f"<snapshotId>{self.snapshot}</snapshotId><returnCode>skipped</returnCode>", remove())
        self.image = first
        self.assertIn(f"<snapshotId>{self.snapshot}</snapshotId><returnCode>success</returnCode>", remove())
        self.fails("InvalidSnapshot.NotFound", self.ec2.describe_snapshots, SnapshotIds=[self.snapshot])


if __name__ == "__main__":
    unittest.main()
