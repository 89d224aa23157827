"""Disk images from S3 and from the command line become snapshots and images, whole or not at all."""
import os
import subprocess
import tempfile
import time
import uuid

from aws import REGION, TestCase, client

MIB = 1 << 20


def boot_disk():
    """A disk whose first sector says that it starts by itself, and that has data far apart."""
    return b"\xfa\xf4" + bytes(508) + b"\x55\xaa" + bytes(9 * MIB - 512) + os.urandom(MIB) + bytes(2 * MIB)


def qcow2(size, *options):
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, d + "/q", str(size)], check=True)
        with open(d + "/q", "rb") as f:
            return f.read()


class Imports(TestCase):
    def setUp(self):
        self.ec2, self.s3 = client("ec2"), client("s3")
        self.bucket = "import-" + uuid.uuid4().hex[:12]
        self.s3.create_bucket(Bucket=self.bucket)
        self.addCleanup(self.empty)

    def empty(self):
        for o in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self.s3.delete_object(Bucket=self.bucket, Key=o["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)

    def put(self, data, key="disk", part=None):
        if not part:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
            return
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        pieces = [data[k:k + part] for k in range(0, len(data), part)]
        parts = [{"PartNumber": n + 1, "ETag": self.s3.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=n + 1, Body=p)["ETag"]}
                 for n, p in enumerate(pieces)]
        self.s3.complete_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    def source(self, form, key="disk"):
        return {"Format": form, "UserBucket": {"S3Bucket": self.bucket, "S3Key": key}}

    def snapshot_task(self, form, key="disk", **more):
        task = self.ec2.import_snapshot(DiskContainer=self.source(form, key), **more)
        self.assertEqual(task["SnapshotTaskDetail"]["Status"], "active")
        return self.ended(task["ImportTaskId"])

    def ended(self, task):
        for _ in range(100):
            found = self.ec2.describe_import_snapshot_tasks(ImportTaskIds=[task])["ImportSnapshotTasks"][0]
            if found["SnapshotTaskDetail"]["Status"] != "active":
                return found
            time.sleep(0.1)
        self.fail(found)

    def image_task(self, form):
        task = self.ec2.import_image(DiskContainers=[self.source(form)], Description="mine")["ImportTaskId"]
        for _ in range(100):
            found = self.ec2.describe_import_image_tasks(ImportTaskIds=[task])["ImportImageTasks"][0]
            if found["Status"] != "active":
                return found
            time.sleep(0.1)
        self.fail(found)

    def volume_of(self, snapshot):
        volume = self.ec2.create_volume(AvailabilityZone=REGION + "a", SnapshotId=snapshot)["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.ec2.delete_volume(VolumeId=volume)

    def content(self, snapshot):
        """What the file of a snapshot holds: it is named after it."""
        with open(os.path.join(os.environ["QUARTET_DATA"], "volumes", snapshot), "rb") as f:
            return f.read()

    def test_raw_in_parts(self):
        data = boot_disk()
        self.put(data, part=5 * MIB)
        task = self.snapshot_task("raw", TagSpecifications=[{"ResourceType": "import-snapshot-task", "Tags": [{"Key": "k", "Value": "v"}]}])
        self.assertEqual(task["Tags"], [{"Key": "k", "Value": "v"}])
        detail = task["SnapshotTaskDetail"]
        self.assertEqual((detail["Status"], detail["DiskImageSize"], detail["Format"]), ("completed", len(data), "RAW"))
        snapshot = self.ec2.describe_snapshots(SnapshotIds=[detail["SnapshotId"]])["Snapshots"][0]
        self.assertEqual((snapshot["State"], snapshot["VolumeSize"]), ("completed", 1))
        self.assertEqual(self.content(detail["SnapshotId"]), data)
        self.volume_of(detail["SnapshotId"])
        self.ec2.delete_snapshot(SnapshotId=detail["SnapshotId"])

    def test_zeros_cost_nothing(self):
        data = boot_disk()
        self.put(data)
        snapshot = self.snapshot_task("RAW")["SnapshotTaskDetail"]["SnapshotId"]
        stat = os.stat(os.path.join(os.environ["QUARTET_DATA"], "volumes", snapshot))
        self.assertLess(stat.st_blocks * 512, 2 * MIB)
        self.ec2.delete_snapshot(SnapshotId=snapshot)

    def test_image_of_a_disk(self):
        self.put(boot_disk())
        task = self.image_task("raw")
        self.assertEqual(task["Status"], "completed")
        image = self.ec2.describe_images(ImageIds=[task["ImageId"]])["Images"][0]
        self.assertEqual((image["State"], image["Name"], image["Description"]), ("available", task["ImportTaskId"], "mine"))
        self.assertEqual(image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], task["SnapshotDetails"][0]["SnapshotId"])
        self.ec2.deregister_image(ImageId=task["ImageId"])
        self.ec2.delete_snapshot(SnapshotId=task["SnapshotDetails"][0]["SnapshotId"])

    def test_qcow2(self):
        self.put(qcow2(3 << 30))
        snapshot = self.snapshot_task("qcow2")["SnapshotTaskDetail"]["SnapshotId"]
        self.assertEqual(self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["VolumeSize"], 3)
        self.volume_of(snapshot)
        self.ec2.delete_snapshot(SnapshotId=snapshot)

    def test_what_is_no_disk_leaves_nothing(self):
        with tempfile.NamedTemporaryFile() as other:
            os.truncate(other.name, MIB)
            bad = {"text": (b"no disk at all", "raw"), "odd": (bytes(1000), "raw"), "qcow2 as raw": (qcow2(MIB), "raw"), "raw as qcow2": (boot_disk(), "qcow2"),
                   "backing": (qcow2(MIB, "-b", other.name, "-F", "raw"), "qcow2"),
                   "data file": (qcow2(MIB, "-o", f"data_file={other.name}.data"), "qcow2"), "header": (b"QFI\xfb" + bytes(508), "qcow2")}
            os.unlink(other.name + ".data")
        before = sorted(os.listdir(os.path.join(os.environ["QUARTET_DATA"], "volumes")))
        for name, (data, form) in bad.items():
            with self.subTest(name):
                self.put(data)
                detail = self.snapshot_task(form)["SnapshotTaskDetail"]
                self.assertEqual((detail["Status"], detail.get("SnapshotId")), ("deleted", None))
                self.assertIn("Disk validation failed", detail["StatusMessage"])
        self.put(bytes(MIB))
        self.assertEqual(self.image_task("raw")["StatusMessage"], "ClientError: No valid partitions. Not a valid volume.")
        detail = self.snapshot_task("raw", key="none")["SnapshotTaskDetail"]
        self.assertIn("NoSuchKey", detail["StatusMessage"])
        self.assertEqual(sorted(os.listdir(os.path.join(os.environ["QUARTET_DATA"], "volumes"))), before)

    def test_refusals(self):
        run = self.ec2.import_snapshot
        self.assertAwsError("UnsupportedOperation", run, DiskContainer=self.source("vmdk"))
        self.assertAwsError("InvalidParameterValue", run, DiskContainer=self.source("iso"))
        self.assertAwsError("MissingParameter", run, DiskContainer={"Format": "raw"})
        self.assertAwsError("MissingParameter", run, DiskContainer={"UserBucket": {"S3Bucket": "a", "S3Key": "b"}})
        self.assertAwsError("UnsupportedOperation", run, DiskContainer=self.source("raw"), Encrypted=True)
        self.assertAwsError("UnsupportedOperation", self.ec2.import_image, DiskContainers=[self.source("raw")], Architecture="arm64")
        self.assertAwsError("MissingParameter", self.ec2.import_image)
        self.assertAwsError("InvalidConversionTaskId", self.ec2.describe_import_snapshot_tasks, ImportTaskIds=["import-snap-0123456789abcdef0"])
        self.assertAwsError("InvalidConversionTaskId.Malformed", self.ec2.cancel_import_task, ImportTaskId="import-snap-1")
        self.assertAwsError("InvalidAMIID.NotFound", self.ec2.register_image, Name="kernel-of-nobody", KernelId="aki-0123456789abcdef0")

    def test_a_task_that_ended_cannot_be_cancelled(self):
        self.put(boot_disk())
        task = self.snapshot_task("raw")
        self.assertAwsError("IncorrectState", self.ec2.cancel_import_task, ImportTaskId=task["ImportTaskId"])
        self.ec2.delete_snapshot(SnapshotId=task["SnapshotTaskDetail"]["SnapshotId"])

    def test_cancelling(self):
        """The task may be done before it is told, but not every time."""
        self.put(os.urandom(48 * MIB), part=5 * MIB)
        for _ in range(10):
            task = self.ec2.import_snapshot(DiskContainer=self.source("raw"))["ImportTaskId"]
            try:
                self.assertEqual(self.ec2.cancel_import_task(ImportTaskId=task)["PreviousState"], "active")
            except self.ec2.exceptions.ClientError:
                pass
            detail = self.ended(task)["SnapshotTaskDetail"]
            if detail["Status"] == "deleted":
                self.assertEqual(detail["StatusMessage"], "User cancelled the task.")
                return
            self.ec2.delete_snapshot(SnapshotId=detail["SnapshotId"])
        self.fail("none was cancelled")
