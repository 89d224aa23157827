"""An instance and the deaths of what looks after it: it goes on, is found again, and nothing of it stays when it should not. The guest need not have booted."""
import os
import pathlib
import shutil
import signal
import tempfile
import time
import unittest

from cloud import Cloud
from images import no_containers
from leftovers import instance_of, leftovers

IMAGE = "/var/cache/quartet/images/debian-12-amd64/image.json"


def emulators(instance):
    """Process ids of the QEMUs that run this instance."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"qemu-system-x86_64") and f"guest={instance}".encode() in words:
            found.append(int(path.parent.name))
    return found


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists(IMAGE), "needs root and the machine image: tools/make-image")
class Machines(unittest.TestCase):
    driver = "vm"

    def processes(self):
        """Process ids of what the instance is."""
        return emulators(self.instance)

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, self.data, True)
        self.cloud = Cloud(data=self.data).start()
        self.addCleanup(lambda: self.cloud.stop())
        self.ec2 = self.cloud.client("ec2")

    def launch(self):
        until = time.monotonic() + 20
        images = []
        while not images and time.monotonic() < until:
            images = self.ec2.describe_images(Owners=["amazon"])["Images"]
            time.sleep(0.1)
        made = self.ec2.run_instances(ImageId=images[0]["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}])
        self.instance = made["Instances"][0]["InstanceId"]
        self.wait("running")
        return self.one_process()

    def show(self):
        return self.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]

    def wait(self, state, seconds=150):
        until = time.monotonic() + seconds
        while self.show()["State"]["Name"] != state:
            self.assertLess(time.monotonic(), until, self.show())
            time.sleep(0.2)

    def one_process(self, seconds=20):
        until = time.monotonic() + seconds
        while len(self.processes()) != 1:
            self.assertLess(time.monotonic(), until, self.processes())
            time.sleep(0.1)
        return self.processes()[0]

    def gone(self, seconds=20):
        until = time.monotonic() + seconds
        while self.processes():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)

    def test_roles_die_and_the_instance_does_not(self):
        pid = self.launch()
        for role in ("api", "priv", "api"):
            before = self.cloud.role_pid(role)
            self.cloud.kill(role)
            self.cloud.wait_for_role(role, other_than=before)
            self.cloud.wait()
            self.assertEqual(self.show()["State"]["Name"], "running", role)
            self.assertEqual(self.processes(), [pid], role)
        # and it still obeys
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()

    def test_all_die_at_once_and_the_next_cloud_finds_it(self):
        pid = self.launch()
        for role in ("priv", "api"):
            os.kill(self.cloud.role_pid(role), signal.SIGKILL)
        self.cloud.process.kill()
        self.cloud.process.wait(10)
        self.assertEqual(self.processes(), [pid])
        self.cloud = Cloud(data=self.data).start()
        self.ec2 = self.cloud.client("ec2")
        self.wait("running")
        self.assertEqual(self.processes(), [pid])
        # an orderly end is the end of its process, not of the instance
        self.cloud.stop()
        self.assertEqual(self.processes(), [])
        self.assertEqual(leftovers(self.data, 10), [])
        self.cloud = Cloud(data=self.data).start()
        self.ec2 = self.cloud.client("ec2")
        self.wait("running")
        self.assertNotEqual(self.one_process(), pid)
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()

    def test_its_process_dies(self):
        os.kill(self.launch(), signal.SIGKILL)
        self.wait("stopped")
        self.assertTrue(self.show()["StateReason"]["Code"].startswith("Server."), self.show()["StateReason"])
        self.ec2.start_instances(InstanceIds=[self.instance])
        self.wait("running")
        self.one_process()
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()

    def test_a_reset_ends_it(self):
        self.launch()
        import urllib.request
        urllib.request.urlopen(urllib.request.Request(self.cloud.endpoint + "/_quartet/reset", method="POST"), timeout=20).read()
        self.gone()
        self.cloud.stop()
        self.assertEqual(leftovers(self.data, 10), [])


@unittest.skipIf(no_containers(), no_containers())
class Containers(Machines):
    driver = "container"

    def processes(self):
        """Inits of containers: the test has one instance."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes().split(b"\0")[0] == b"/sbin/init" and self.group() in path.with_name("cgroup").read_text():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def group(self):
        return "/quartet-" + instance_of(self.data)

    def left(self):
        """What instances use of this machine, counted."""
        roles = {role: len(os.listdir(f"/proc/{self.cloud.role_pid(role)}/fd")) for role in ("api", "priv")}
        loops = sum(os.path.exists(f"{path}/loop/backing_file") for path in pathlib.Path("/sys/block").glob("loop*"))
        groups = len(list(pathlib.Path("/sys/fs/cgroup").glob(f"**{self.group()}/m[0-9]*")))
        fuse = pathlib.Path("/proc/self/mounts").read_text().count(" fuse ")
        files = [sorted(os.listdir(f"{self.data}/{place}")) for place in ("machines", "volumes")]
        return roles, loops, groups, fuse, files, len(self.processes())

    def test_many_leave_nothing(self):
        """CYCLES lives, ten at a time."""
        self.launch()
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        image = self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        before, after = self.left(), None
        for _ in range(int(os.environ.get("CYCLES", "30")) // 10):
            made = self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=10, MaxCount=10, TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}])
            ids = [i["InstanceId"] for i in made["Instances"]]
            for self.instance in ids:
                self.wait("running")
            self.assertEqual(len(self.processes()), 10)
            self.ec2.terminate_instances(InstanceIds=ids)
            for self.instance in ids:
                self.wait("terminated")
        for _ in range(1000):
            after = self.left()
            # what the first life needed may have gone since; loop devices are everybody's, and other tests run instances too
            if after[2:] == before[2:] and after[1] <= before[1] and all(after[0][role] <= before[0][role] for role in after[0]):
                return
            time.sleep(0.1)
        self.assertEqual(after, before)


if __name__ == "__main__":
    unittest.main()
