"""Reboots and images for which a guest ends in order, and disks that one does not let go of."""
import base64
import os
import subprocess
import time
import unittest
import uuid

from aws import TestCase, client
from ec2 import DEAF, end_instances, halting_image, wait_for
from images import image, no_containers

TAGS = [{"Key": "quartet:driver", "Value": "container"}]


class Restarts(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ec2 = client("ec2")
        cls.image, missing = image(cls.ec2), no_containers()
        if not cls.image or missing:
            raise unittest.SkipTest(missing or "there is no image: tools/make-image")

    def run_one(self, made):
        instance = self.ec2.run_instances(ImageId=made, InstanceType="t3.micro", MinCount=1, MaxCount=1,
                                          TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}])["Instances"][0]["InstanceId"]
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=[instance])
        wait_for(self, self.ec2, instance, "running", 120)
        return instance

    def inside(self, instance, script):
        """What it says, once it can be asked: a guest may be on its way up or down."""
        for _ in range(240):
            done = subprocess.run([os.environ["QUARTET"], "exec", instance, "sh", "-c", script], capture_output=True, timeout=120, check=False, text=True)
            if done.returncode == 0:
                return done.stdout.strip()
            time.sleep(0.5)
        return self.fail(done.stderr)

    def until_booted_anew(self, instance):
        for _ in range(240):
            if self.inside(instance, "test -e /run/mark && echo old || echo new") == "new":
                return
            time.sleep(0.5)
        self.fail("it does not boot anew")

    def test_reboot_and_image(self):
        instance = self.run_one(self.image)
        # its services end in order, which a reset would not let them
        self.inside(instance, "touch /run/mark; printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n"
                    "ExecStop=/bin/sh -c \"echo end >> /root/ends\"\\n' > /etc/systemd/system/last.service; systemctl daemon-reload; systemctl start last")
        self.ec2.reboot_instances(InstanceIds=[instance])
        self.until_booted_anew(instance)
        self.assertEqual(self.inside(instance, "cat /root/ends"), "end")
        self.assertAwsError("UnsupportedOperation", self.ec2.get_console_screenshot, InstanceId=instance, message="has no screen")
        self.inside(instance, "touch /run/mark; systemctl start last; echo unsaved > /root/text")
        made = self.ec2.create_image(InstanceId=instance, Name="in order " + uuid.uuid4().hex[:8])["ImageId"]
        self.addCleanup(self.ec2.deregister_image, ImageId=made)
        for _ in range(480):
            state = self.ec2.describe_images(ImageIds=[made])["Images"][0]["State"]
            if state != "pending":
                break
            time.sleep(0.5)
        self.assertEqual(state, "available")
        self.until_booted_anew(instance)
        self.assertEqual(wait_for(self, self.ec2, instance, "running", 1)["State"]["Name"], "running")
        copy = self.run_one(made)
        self.assertEqual(self.inside(copy, "cat /root/ends /root/text"), "end\nend\nunsaved")

    def test_a_guest_that_does_not_answer(self):
        made = halting_image(self, DEAF)
        instance = self.ec2.run_instances(ImageId=made, InstanceType="t2.nano", MinCount=1, MaxCount=1)["Instances"][0]
        end_instances(self, self.ec2, instance["InstanceId"])
        volume = self.ec2.create_volume(AvailabilityZone=instance["Placement"]["AvailabilityZone"], Size=1)["VolumeId"]
        self.addCleanup(self.ec2.delete_volume, VolumeId=volume)
        wait_for(self, self.ec2, instance["InstanceId"], "running", 120)
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.ec2.attach_volume(VolumeId=volume, InstanceId=instance["InstanceId"], Device="/dev/sdf")
        self.assertEqual(self.attachment(volume, "attached"), "in-use")
        self.ec2.detach_volume(VolumeId=volume, Force=True)
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 90})
        wait_for(self, self.ec2, instance["InstanceId"], "running", 1)
        self.look_at_the_screen(instance["InstanceId"])

    def look_at_the_screen(self, instance):
        """That its firmware has written on."""
        shown = self.ec2.get_console_screenshot(InstanceId=instance, WakeUp=True)
        self.assertEqual(shown["InstanceId"], instance)
        picture = base64.b64decode(shown["ImageData"])
        self.assertEqual((picture[:3], picture[-2:]), (b"\xff\xd8\xff", b"\xff\xd9"))
        frame = picture.index(b"\xff\xc0")
        height, width = int.from_bytes(picture[frame + 5:frame + 7], "big"), int.from_bytes(picture[frame + 7:frame + 9], "big")
        self.assertGreater((width, height), (600, 300))
        self.assertAwsError("InvalidInstanceID.NotFound", self.ec2.get_console_screenshot, InstanceId="i-0123456789abcdef0")
        self.ec2.stop_instances(InstanceIds=[instance], Force=True)
        wait_for(self, self.ec2, instance, "stopped", 90)
        self.assertAwsError("IncorrectInstanceState", self.ec2.get_console_screenshot, InstanceId=instance)

    def attachment(self, volume, state):
        for _ in range(600):
            found = self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]
            if found["Attachments"] and found["Attachments"][0]["State"] == state:
                break
            time.sleep(0.1)
        return found["State"]
