"""A disk that fills up: errors in the services' words, nothing half there, and everything works again when there is room. The disk is a
small tmpfs in a mount namespace that the cloud alone lives in."""
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
import unittest

from botocore.exceptions import ClientError

from busybox import push
from cloud import Cloud
from functions import Functions, package
from leftovers import blobs, leftovers, unfinished_files
from registry import Registry
from tasked import Tasked

SIZE_MIB = 24
BUCKET = "full"


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, self.data, True)
        mount = f'mount -t tmpfs -o size={SIZE_MIB}m,mode=755 quartet-fault "{self.data}" && exec "$@"'
        self.cloud = Cloud(data=self.data,
                           inside=["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"]).start()
        self.addCleanup(self.cloud.stop)
        self.inside = f"/proc/{self.cloud.process.pid}/root{self.data}"
        self.s3 = self.cloud.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.kept = {f"kept{i}": os.urandom(n) for i, n in enumerate((100, 5000, 50000, 500000))}
        for key, body in self.kept.items():
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def fill(self, but_bytes=0):
        """Takes all room but so much."""
        room = os.statvfs(self.inside)
        size = room.f_bavail * room.f_bsize - but_bytes
        fd = os.open(os.path.join(self.inside, "filler"), os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        os.posix_fallocate(fd, 0, size)
        os.close(fd)

    def make_room(self):
        os.remove(os.path.join(self.inside, "filler"))

    def refused(self, call, **arguments):
        """The call ends with an error of the server's that says so; nothing else is an answer to a full disk."""
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        reply = caught.exception.response
        self.assertIn(reply["ResponseMetadata"]["HTTPStatusCode"], (500, 503), reply)
        self.assertRegex(reply["Error"]["Code"], "^(ServiceUnavailable.*|Service|InternalError|InternalFailure|ServiceException|ServiceFailure|SlowDown)")
        return reply

    def intact(self, but=()):
        for key, body in self.kept.items():
            if key not in but:
                self.assertEqual(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), body)

    def end(self):
        self.assertEqual(unfinished_files(self.inside), [])
        self.cloud.stop()
        self.assertEqual(self.cloud.process.returncode, 0)
        self.assertEqual(leftovers(self.data, 5), [])
        self.assertNotIn("fatal", self.cloud.log_text())

    def test_objects_fill_it(self):
        pid, number = self.cloud.role_pid("api"), 0
        for size in (1 << 20, 100000, 9000, 4000):
            for number in range(number, number + 8000):
                body = os.urandom(size)
                try:
                    self.s3.put_object(Bucket=BUCKET, Key=f"k{number}", Body=body)
                except ClientError as e:
                    self.assertIn(e.response["ResponseMetadata"]["HTTPStatusCode"], (500, 503))
                    break
                self.kept[f"k{number}"] = body
            else:
                self.fail("it never was full")
        self.assertEqual(self.cloud.role_pid("api"), pid, "api did not survive it")
        listed = {o["Key"] for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for o in page["Contents"]}
        self.assertEqual(listed, set(self.kept))
        self.intact()
        self.assertEqual(len(blobs(self.inside)), sum(len(b) > 8192 for b in self.kept.values()))
        self.assertEqual(unfinished_files(self.inside), [])
        # the way out that a user has: deleting
        for key in [k for k in self.kept if k.startswith("k") and len(self.kept[k]) == 1 << 20][:3]:
            self.s3.delete_object(Bucket=BUCKET, Key=key)
            del self.kept[key]
        until = time.monotonic() + 5
        while len(blobs(self.inside)) > sum(len(b) > 8192 for b in self.kept.values()) and time.monotonic() < until:
            time.sleep(0.02)
        self.s3.put_object(Bucket=BUCKET, Key="again", Body=b"a" * (1 << 20))
        self.intact()
        self.end()

    def test_every_service_says_so(self):
        logs, iam, function = self.cloud.client("logs"), self.cloud.client("iam"), self.cloud.client("lambda")
        logs.create_log_group(logGroupName="there")
        logs.create_log_stream(logGroupName="there", logStreamName="s")
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        self.fill()
        revision = self.cloud.health()["revision"]
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                                                                    "Action": "sts:AssumeRole"}]})
        refused = 0
        # a little room may be left in pages that are there already: the first writes may still fit
        for i in range(300):
            try:
                iam.create_user(UserName=f"u{i}", Tags=[{"Key": "k", "Value": "v" * 250}] )
                revision = self.cloud.health()["revision"]
            except ClientError as e:
                self.assertIn(e.response["ResponseMetadata"]["HTTPStatusCode"], (500, 503))
                refused += 1
                if refused == 3:
                    break
        self.assertEqual(refused, 3)
        for i in range(300):  # smaller records, until these do not fit either
            try:
                iam.create_role(RoleName=f"r{i}", AssumeRolePolicyDocument=trust)
                revision = self.cloud.health()["revision"]
            except ClientError:
                break
        self.refused(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust)
        self.refused(logs.create_log_group, logGroupName="g")
        self.refused(self.s3.create_bucket, Bucket="another")
        self.refused(self.s3.put_object, Bucket=BUCKET, Key="small", Body=b"x" * 3000)
        self.refused(self.s3.put_object, Bucket=BUCKET, Key="large", Body=b"x" * 300000)
        self.refused(self.s3.upload_part, Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"x" * (6 << 20))
        self.refused(self.s3.copy_object, Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/kept0")
        self.refused(logs.put_log_events, logGroupName="there", logStreamName="s",
                     logEvents=[{"timestamp": int(time.time() * 1000), "message": "m" * 100000}])
        self.assertEqual(function.list_functions()["Functions"], [])
        self.assertEqual(self.cloud.health()["revision"], revision)
        self.intact()
        # the roles may die and come back meanwhile
        for role in ("api", "priv"):
            pid = self.cloud.kill(role)
            self.cloud.wait_for_role(role, other_than=pid)
            self.cloud.wait()
        self.intact()
        self.assertEqual(self.cloud.health()["revision"], revision)
        self.make_room()
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)
        logs.create_log_group(logGroupName="g")
        logs.put_log_events(logGroupName="there", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "m"}])
        self.s3.put_object(Bucket=BUCKET, Key="large", Body=b"x" * 300000)
        part = self.s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"x" * (6 << 20))["ETag"]
        self.s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload,
                                          MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
        self.intact()
        self.end()

    def test_functions(self):
        """What runs needs no disk; what is to be kept is refused; the lines written meanwhile reach the log when there is room."""
        functions = Functions(self.cloud)
        functions.make("one", "def handler(e, c):\n    print('ran', e)\n    return e\n")
        self.fill()
        with self.assertRaises(ClientError):
            for i in range(300):
                self.cloud.client("iam").create_user(UserName=f"u{i}", Tags=[{"Key": "k", "Value": "v" * 250}])
        for number in range(5):
            self.assertEqual(functions.call("one", number), (None, number))
        with self.assertRaises(ClientError) as caught:
            for _ in range(300):  # small records find room in pages that are there
                functions.aws.invoke(FunctionName="one", InvocationType="Event", Payload=b'"event"')
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
        self.refused(functions.aws.publish_version, FunctionName="one")
        code = package("def handler(e, c): return 'new' #" + os.urandom(50000).hex())
        self.refused(functions.aws.update_function_code, FunctionName="one", ZipFile=code)
        self.refused(functions.aws.create_function, FunctionName="two", Runtime="python3.12", Handler="f.handler", Role=functions.role,
                     Code={"ZipFile": code})
        time.sleep(2.5)  # its log was tried more than once
        self.make_room()
        self.assertEqual(functions.call("one", 5), (None, 5))
        functions.make("two", "def handler(e, c): return 'two'")
        self.assertEqual(functions.call("two"), (None, "two"))
        until, ran = time.monotonic() + 10, []
        while len(ran) < 6 and time.monotonic() < until:
            time.sleep(0.2)
            try:
                events = self.cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/one", filterPattern="ran")["events"]
                ran = [e["message"] for e in events if "event" not in e["message"]]
            except ClientError:
                pass  # the group is not there yet
        self.assertEqual(ran, [f"ran {i}\n" for i in range(6)])
        self.end()

    def test_a_start_on_a_full_disk(self):
        """What was there can be read; the reply to a write is an error."""
        self.fill()
        pid = self.cloud.role_pid("api")
        self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=pid)
        self.cloud.wait()
        self.intact()
        self.s3.list_buckets()
        self.make_room()
        self.s3.put_object(Bucket=BUCKET, Key="after", Body=b"x" * 100000)
        self.end()


class Layers(Tasked):
    """Unpacked layers that nobody stands on are what a disk that is nearly full can do without."""

    def new_cloud(self):
        data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, data, True)
        mount = f'mount -t tmpfs -o size=256m,mode=755 quartet-fault "{data}" && exec "$@"'
        return Cloud(data=data, inside=["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"])

    def until(self, arn, status):
        deadline = time.monotonic() + 120
        while (task := self.ecs.describe_tasks(tasks=[arn])["tasks"][0])["lastStatus"] != status:
            self.assertLess(time.monotonic(), deadline, task)
            self.assertTrue(task["lastStatus"] != "STOPPED", task)
            time.sleep(0.1)
        return task

    def test_bomb(self):
        """A small layer that becomes a large one is refused before the disk is full, and what it was about to take is there again."""
        ecr, inside = self.cloud.client("ecr"), f"/proc/{self.cloud.process.pid}/root{self.cloud.data}"
        r = Registry(ecr, self.cloud.endpoint, "app", host=self.uri.split("/")[0])
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as t:
            for n in range(32):
                entry = tarfile.TarInfo(f"zeros-{n}")
                entry.size = 16 << 20
                t.addfile(entry, io.BytesIO(bytes(entry.size)))
        push(r, tar.getvalue(), "bomb")
        self.ecs.register_task_definition(family="bomb", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
                                          executionRoleArn=self.role, containerDefinitions=[{"name": "c", "image": self.uri + ":bomb"}])
        before, least, arn = os.statvfs(inside).f_bavail, None, self.run_task("bomb")
        deadline = time.monotonic() + 120
        while (task := self.ecs.describe_tasks(tasks=[arn])["tasks"][0])["lastStatus"] != "STOPPED":
            self.assertLess(time.monotonic(), deadline, task)
            room = os.statvfs(inside)
            least = min(least or room.f_bavail, room.f_bavail)
            time.sleep(0.01)
        self.assertRegex(task["stoppedReason"], "^CannotPullContainerError: .*no room for the layer")
        self.assertGreater(least * room.f_bsize, 4 << 20)
        while os.statvfs(inside).f_bavail < before - 2048:  # 8 MiB of pages
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual([n for n in os.listdir(os.path.join(inside, "layers")) if n[0] != "."], [])
        # others still have room
        arn = self.run_task()
        self.until(arn, "RUNNING")

    def test_room(self):
        inside = f"/proc/{self.cloud.process.pid}/root{self.cloud.data}"
        layers = os.path.join(inside, "layers")
        self.define("short", "exit 3")
        self.assertEqual(self.until(self.run_task("short"), "STOPPED")["containers"][0]["exitCode"], 3)
        self.assertEqual(len(os.listdir(layers)), 1)
        room = os.statvfs(inside)
        filler = os.open(os.path.join(inside, "filler"), os.O_CREAT | os.O_RDWR, 0o600)
        os.posix_fallocate(filler, 0, room.f_bavail * room.f_bsize - (8 << 20))
        deadline = time.monotonic() + 120
        while os.listdir(layers):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        os.ftruncate(filler, 0)
        os.close(filler)
        # it comes back when it is wanted
        task = self.run_task()
        self.until(task, "RUNNING")
        self.assertEqual(len(os.listdir(layers)), 1)


if __name__ == "__main__":
    unittest.main()
