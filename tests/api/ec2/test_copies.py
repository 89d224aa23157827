"""Snapshots and images copied from one region to another, or shared with another account: each one's are its own, and the blocks on the disk are one for both."""
import os
import re
import subprocess
import time
import unittest
import uuid

from aws import client
from ec2 import Ec2Case
from images import image, no_containers

FAST = {"Delay": 1, "MaxAttempts": 120}
OTHER = "444455556666"  # an account's number, with the secret "test", is its root


def file_of(layer):
    return os.path.join(os.environ["QUARTET_DATA"], "volumes", layer)


class Copies(Ec2Case):
    def setUp(self):
        super().setUp()
        self.target, self.there, self.third = self.ec2, *("test-" + uuid.uuid4().hex[:8] + "-1" for _ in range(2))
        self.source = client("ec2", region=self.there)

    def snapshot(self):
        """(id of a volume, id of its snapshot)"""
        volume = self.source.create_volume(AvailabilityZone=self.there + "a", Size=1)["VolumeId"]
        self.source.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=FAST)
        snapshot = self.source.create_snapshot(VolumeId=volume, Description="of the source")["SnapshotId"]
        self.source.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=FAST)
        return volume, snapshot

    def forget(self, ec2, volume):
        ec2.delete_volume(VolumeId=volume)
        ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=FAST)

    def until_file(self, layer, there):
        self.eventually(lambda: os.path.exists(file_of(layer)) == there, f"{layer} is {'not ' if there else ''}on the disk")

    def eventually(self, look, what, seconds=60):
        end = time.monotonic() + seconds
        while not look():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)

    def test_a_snapshot_and_what_is_left_of_it(self):
        volume, snapshot = self.snapshot()
        copied = self.target.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion=self.there, Description="of the copy", TagSpecifications=[
            {"ResourceType": "snapshot", "Tags": [{"Key": "k", "Value": "v"}]}])
        copy = copied["SnapshotId"]
        self.assertEqual(copied["Tags"], [{"Key": "k", "Value": "v"}])
        seen = self.target.describe_snapshots(SnapshotIds=[copy])["Snapshots"][0]
        self.assertEqual((seen["State"], seen["Description"], seen["VolumeSize"], seen["VolumeId"]), ("completed", "of the copy", 1, "vol-ffffffff"))
        self.assertAwsError("InvalidSnapshot.NotFound", self.source.describe_snapshots, SnapshotIds=[copy])
        # what is gone here is there still
        self.source.delete_snapshot(SnapshotId=snapshot)
        self.forget(self.source, volume)
        made = self.target.create_volume(AvailabilityZone=self.region + "b", SnapshotId=copy)["VolumeId"]
        self.target.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig=FAST)
        self.until_file(snapshot, True)
        # a copy of the copy, in a third region and back in the first, stands on the same blocks
        third = client("ec2", region=self.third)
        again = third.copy_snapshot(SourceSnapshotId=copy, SourceRegion=self.region)["SnapshotId"]
        back = self.source.copy_snapshot(SourceSnapshotId=copy, SourceRegion=self.region)["SnapshotId"]
        self.target.delete_snapshot(SnapshotId=copy)
        self.forget(self.target, made)
        third.delete_snapshot(SnapshotId=again)
        last = self.source.create_volume(AvailabilityZone=self.there + "c", SnapshotId=back)["VolumeId"]
        self.source.get_waiter("volume_available").wait(VolumeIds=[last], WaiterConfig=FAST)
        self.source.delete_snapshot(SnapshotId=back)
        self.assertTrue(os.path.exists(file_of(snapshot)))
        self.forget(self.source, last)
        self.until_file(snapshot, False)

    def test_both_let_go_at_once(self):
        volume, snapshot = self.snapshot()
        copies = [client("ec2", region=region).copy_snapshot(SourceSnapshotId=snapshot, SourceRegion=self.there)["SnapshotId"] for region in (self.region, self.third)]
        self.forget(self.source, volume)
        self.assertTrue(os.path.exists(file_of(snapshot)))
        deletions = [subprocess.Popen(["aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--region", region, "ec2", "delete-snapshot", "--snapshot-id", s])
                     for region, s in zip((self.there, self.region, self.third), (snapshot, *copies))]
        self.assertEqual([d.wait(120) for d in deletions], [0, 0, 0])
        self.until_file(snapshot, False)

    def test_refusals(self):
        volume, snapshot = self.snapshot()
        copy = self.target.copy_snapshot
        self.assertAwsError("InvalidSnapshot.NotFound", copy, SourceSnapshotId=snapshot, SourceRegion=self.region)
        self.assertAwsError("InvalidSnapshot.NotFound", copy, SourceSnapshotId="snap-0123456789abcdef0", SourceRegion=self.there)
        self.assertAwsError("UnsupportedOperation", copy, SourceSnapshotId=snapshot, SourceRegion=self.there, Encrypted=True)
        self.assertAwsError("DryRunOperation", copy, SourceSnapshotId=snapshot, SourceRegion=self.there, DryRun=True)
        self.assertEqual(self.target.describe_snapshots(Filters=[{"Name": "description", "Values": ["*" + snapshot + "*"]}])["Snapshots"], [])
        self.source.delete_snapshot(SnapshotId=snapshot)
        self.forget(self.source, volume)

    def test_another_account_makes_volumes_of_it(self):
        volume, snapshot = self.snapshot()
        friend, stranger = (client("ec2", region=self.there, key=account, secret="test") for account in (OTHER, "777788889999"))
        permission = lambda: self.source.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")["CreateVolumePermissions"]  # noqa: E731
        modify = lambda **more: self.source.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", **more)  # noqa: E731
        seen = lambda ec2, **more: [s["SnapshotId"] for s in ec2.describe_snapshots(**more)["Snapshots"]]  # noqa: E731
        make = {"AvailabilityZone": self.there + "a", "SnapshotId": snapshot}
        self.assertEqual(permission(), [])
        self.assertAwsError("InvalidSnapshot.NotFound", friend.create_volume, **make)
        modify(OperationType="add", UserIds=[OTHER])
        self.assertEqual(permission(), [{"UserId": OTHER}])
        shown = friend.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
        self.assertEqual((shown["OwnerId"] == OTHER, shown["VolumeSize"]), (False, 1))
        own = friend.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion=self.there)["SnapshotId"]
        self.assertEqual(sorted(seen(friend)), sorted([own, snapshot]))
        self.assertEqual((seen(friend, OwnerIds=["self"]), seen(friend, OwnerIds=[shown["OwnerId"]]), seen(friend, RestorableByUserIds=["self"], OwnerIds=[shown["OwnerId"]])),
                         ([own], [snapshot], [snapshot]))
        pages = [[s["SnapshotId"] for s in p["Snapshots"]] for p in friend.get_paginator("describe_snapshots").paginate(PaginationConfig={"PageSize": 5})]
        self.assertEqual(sorted(sum(pages, [])), sorted([own, snapshot]))
        self.assertEqual((seen(friend, Filters=[{"Name": "volume-id", "Values": [volume]}]), seen(friend, Filters=[{"Name": "volume-id", "Values": ["none"]}])), ([snapshot], []))
        self.assertAwsError("InvalidSnapshot.NotFound", stranger.describe_snapshots, SnapshotIds=[snapshot])
        self.assertEqual(seen(stranger), [])
        self.assertAwsError("AuthFailure", friend.modify_snapshot_attribute, status=403, SnapshotId=snapshot, CreateVolumePermission={"Add": [{"Group": "all"}]})
        self.assertAwsError("AuthFailure", friend.register_image, status=403, Name=uuid.uuid4().hex, RootDeviceName="/dev/xvda",
                            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}])
        made = friend.create_volume(**make)["VolumeId"]
        friend.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig=FAST)
        modify(CreateVolumePermission={"Add": [{"Group": "all"}], "Remove": [{"UserId": OTHER}]})
        self.assertEqual((permission(), seen(stranger), seen(stranger, RestorableByUserIds=["self"])), ([{"Group": "all"}], [snapshot], []))
        self.assertEqual(seen(stranger, RestorableByUserIds=["all"]), [snapshot])
        self.source.reset_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
        self.assertEqual((permission(), seen(stranger), seen(friend)), ([], [], [own]))
        for code, more in (("MissingParameter", {"UserIds": [OTHER]}), ("InvalidParameterValue", {"OperationType": "add", "UserIds": ["me"]}),
                           ("InvalidParameterValue", {"OperationType": "add", "GroupNames": ["some"]}), ("InvalidParameterCombination", {})):
            self.assertAwsError(code, modify, **more)
        # whoever is last has the blocks
        self.source.delete_snapshot(SnapshotId=snapshot)
        self.forget(self.source, volume)
        self.forget(friend, made)
        self.assertTrue(os.path.exists(file_of(snapshot)))
        made = friend.create_volume(AvailabilityZone=self.there + "b", SnapshotId=own)["VolumeId"]
        friend.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig=FAST)
        friend.delete_snapshot(SnapshotId=own)
        self.assertTrue(os.path.exists(file_of(snapshot)))
        self.forget(friend, made)
        self.until_file(snapshot, False)

    def register(self, snapshot):
        return self.source.register_image(Name=uuid.uuid4().hex, RootDeviceName="/dev/xvda", Description="the source",
                                          BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}])["ImageId"]

    def remove(self, ec2, ami):
        disks = [d["Ebs"]["SnapshotId"] for d in ec2.describe_images(ImageIds=[ami])["Images"][0]["BlockDeviceMappings"]]
        ec2.deregister_image(ImageId=ami)
        for s in disks:
            ec2.delete_snapshot(SnapshotId=s)

    def tagged(self, ami, name):
        """A copy with tags of its own, which Debian's client cannot ask for."""
        fields = {"Name": name, "SourceImageId": ami, "SourceRegion": self.there, "CopyImageTags": "true"}
        for n, (kind, key, value) in enumerate((("image", "b", "3"), ("snapshot", "s", "4")), 1):
            fields.update({f"TagSpecification.{n}.{k}": v for k, v in (("ResourceType", kind), ("Tag.1.Key", key), ("Tag.1.Value", value))})
        return re.search("<imageId>([^<]+)<", self.query("CopyImage", **fields).body.decode())[1]

    def test_an_image(self):
        volume, snapshot = self.snapshot()
        ami = self.register(snapshot)
        self.source.create_tags(Resources=[ami], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.forget(self.source, volume)
        copy, name, token = self.target.copy_image, uuid.uuid4().hex, uuid.uuid4().hex
        self.assertAwsError("InvalidAMIID.NotFound", copy, Name=name, SourceImageId=ami, SourceRegion=self.region)
        self.assertAwsError("InvalidAMIID.NotFound", copy, Name=name, SourceImageId="ami-0123456789abcdef0", SourceRegion=self.there)
        self.assertAwsError("InvalidAMIID.Malformed", copy, Name=name, SourceImageId="ami-x", SourceRegion=self.there)
        self.assertAwsError("UnsupportedOperation", copy, Name=name, SourceImageId=ami, SourceRegion=self.there, Encrypted=True)
        self.assertAwsError("InvalidAMIName.Malformed", copy, Name="not!", SourceImageId=ami, SourceRegion=self.there)
        wanted = {"Name": name, "SourceImageId": ami, "SourceRegion": self.there, "ClientToken": token, "CopyImageTags": True}
        made = copy(**wanted)["ImageId"]
        self.assertEqual(copy(**wanted)["ImageId"], made)
        self.assertAwsError("IdempotentParameterMismatch", copy, **{**wanted, "Name": name + "x"})
        self.assertAwsError("InvalidAMIName.Duplicate", copy, Name=name, SourceImageId=ami, SourceRegion=self.there)
        seen = self.target.describe_images(ImageIds=[made])["Images"][0]
        self.assertEqual((seen["State"], seen["Description"]), ("available", "the source"))
        found = self.target.describe_images(Filters=[{"Name": "source-image-id", "Values": [ami]}, {"Name": "source-image-region", "Values": [self.there]}])["Images"]
        self.assertEqual([i["ImageId"] for i in found], [made])
        self.assertEqual({t["Key"]: t["Value"] for t in seen["Tags"]}, {"a": "1", "b": "2"})
        own = seen["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        self.assertNotEqual(own, snapshot)
        disk = self.target.describe_snapshots(SnapshotIds=[own])["Snapshots"][0]
        self.assertIn(f"from SourceAmi {ami} for SourceSnapshot {snapshot}", disk["Description"])
        tagged = self.tagged(ami, name + "-3")
        seen = self.target.describe_images(ImageIds=[tagged])["Images"][0]
        self.assertEqual({t["Key"]: t["Value"] for t in seen["Tags"]}, {"a": "1", "b": "3"})
        disk = self.target.describe_snapshots(SnapshotIds=[seen["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]])["Snapshots"][0]
        self.assertEqual(disk["Tags"], [{"Key": "s", "Value": "4"}])
        plain = copy(Name=name + "-2", SourceImageId=ami, SourceRegion=self.there)["ImageId"]
        self.assertNotIn("Tags", self.target.describe_images(ImageIds=[plain])["Images"][0])
        self.remove(self.source, ami)
        self.assertTrue(os.path.exists(file_of(snapshot)))
        for i in (made, plain, tagged):
            self.remove(self.target, i)
        self.until_file(snapshot, False)

    @unittest.skipIf(no_containers(), no_containers())
    def test_an_image_of_an_instance_runs_elsewhere(self):
        default = image(self.source)
        if not default:
            self.skipTest("there is no image: tools/make-image")

        def launch(ec2, ami, script="#!/bin/sh\n"):
            i = ec2.run_instances(ImageId=ami, UserData=script, InstanceType="t3.nano", MinCount=1, MaxCount=1, TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"][0]["InstanceId"]
            self.addCleanup(ec2.terminate_instances, InstanceIds=[i])
            ec2.get_waiter("instance_running").wait(InstanceIds=[i], WaiterConfig=FAST)
            return i

        def inside(region, i, command):
            for _ in range(30):
                done = subprocess.run([os.environ["QUARTET"], "exec", i, "sh", "-c", command], capture_output=True, text=True, timeout=200, check=False,
                                      env={**os.environ, "AWS_DEFAULT_REGION": region, "AWS_REGION": region})
                if done.returncode == 0:
                    break
            return done.stdout, done.stderr
        first = launch(self.source, default)
        self.assertEqual(inside(self.there, first, "echo written > /srv/mark && sync && cat /srv/mark"), ("written\n", ""))
        ami = self.source.create_image(InstanceId=first, Name=uuid.uuid4().hex)["ImageId"]
        self.source.get_waiter("image_available").wait(ImageIds=[ami], WaiterConfig=FAST)
        # another account may launch it, though not have its storage, and goes on with it when it is gone
        friend = client("ec2", region=self.there, key=OTHER, secret="test")
        self.source.modify_image_attribute(ImageId=ami, LaunchPermission={"Add": [{"UserId": OTHER}]})
        theirs = launch(friend, ami, "#!/bin/sh\necho it is $(cat /srv/mark) > /dev/console\n")
        self.assertAwsError("InvalidRequest", friend.copy_image, Name=uuid.uuid4().hex, SourceImageId=ami, SourceRegion=self.there,
                            message="You do not have permission to access the storage of this ami")
        made = self.target.copy_image(Name=uuid.uuid4().hex, SourceImageId=ami, SourceRegion=self.there)["ImageId"]
        self.remove(self.source, ami)
        self.eventually(lambda: "it is written" in friend.get_console_output(InstanceId=theirs, Latest=True).get("Output", ""), "no mark on the console", 180)
        self.source.terminate_instances(InstanceIds=[first])
        self.source.get_waiter("instance_terminated").wait(InstanceIds=[first], WaiterConfig=FAST)
        second = launch(self.target, made)
        self.assertEqual(inside(self.region, second, "cat /srv/mark"), ("written\n", ""))
        self.remove(self.target, made)
