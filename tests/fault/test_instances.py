"""An instance and the deaths of what looks after it: it goes on, is found again, and nothing of it stays when it should not. The guest need not have booted."""
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import netns
import seen
from cloud import Cloud
from ec2 import import_halting
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


def descriptors(pid):
    """Those of a process with what they are of; some may be closed meanwhile."""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield fd, os.readlink(fd)
        except OSError:
            continue


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

    def image(self):
        """A guest that listens to the power button from its first moment on."""
        return import_halting(self.cloud.client)[0]

    def launch(self):
        made = self.ec2.run_instances(ImageId=self.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=[
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

    def net(self):
        for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
            try:
                if path.read_text().strip() == "quartet-net" and self.data in path.with_name("cmdline").read_text():
                    return int(path.parent.name)
            except OSError:
                continue
        return None

    def kill_net(self):
        dead, until = self.net(), time.monotonic() + 60
        os.kill(dead, signal.SIGKILL)
        while self.net() in (None, dead):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def links(self):
        """Of ports in net's routers that somebody is at the other end of, with their indexes."""
        found = set()
        for fd, place in descriptors(self.net()):
            if not place.startswith("net:"):
                continue
            shown = subprocess.run(["nsenter", f"--net={fd}", "ip", "-o", "link"], capture_output=True, text=True, check=False).stdout
            found |= {tuple(line.split(": ")[:2]) for line in shown.splitlines() if re.match(r"\d+: p\d", line) and "LOWER_UP" in line}
        return found

    def links_when(self, count):
        until = time.monotonic() + 60
        while len(links := self.links()) != count:
            self.assertLess(time.monotonic(), until, links)
            time.sleep(0.1)
        return links

    def speaks(self, pid):
        """Calls what it gets when that is to be asked again, after a death."""
        return lambda: None

    def test_net_dies(self):
        """Links, and what is open over them, are the next one's; so is what comes afterwards."""
        pid = self.launch()
        ask, links = self.speaks(pid), self.links_when(1)
        for _ in range(2):
            self.kill_net()
            ask()
            self.assertEqual(self.show()["State"]["Name"], "running")
            self.assertEqual(self.processes(), [pid])
            self.assertEqual(self.links_when(1), links)
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()
        self.links_when(0)

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

    def image(self):
        return self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]

    def speaks(self, pid):
        group = self.show()["SecurityGroups"][0]["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 9000, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.until(lambda: "inet " in netns.inside(pid, "ip", "-o", "-4", "addr", "show", "dev", "eth0"))
        server, address = netns.Server(pid, 9000), self.show()["PublicIpAddress"]
        self.addCleanup(server.__exit__)
        self.until(lambda: seen.told(address, 9000))
        kept, _ = seen.stream(address, 9000)
        self.addCleanup(kept.close)

        def ask():
            self.assertTrue(seen.echoes(kept))
            self.until(lambda: seen.told(address, 9000))
            self.until(lambda: netns.who(pid) == self.instance)
        ask()
        return ask

    def test_api_dies_while_they_start(self):
        """Those that had a shim already and no disk yet are started anew."""
        def die():
            before = self.cloud.role_pid("api")
            self.cloud.kill("api")
            self.cloud.wait_for_role("api", other_than=before)
            self.cloud.wait()
        self.die_while_they_start(die, (0, 0.02, 0.05, 0.1))

    def test_the_first_one_waits_for_its_image(self):
        """Launched with a cloud's first breath: it starts when the disk of the image is there, in whichever api's life that is."""
        made = self.ec2.run_instances(ImageId=self.image(), InstanceType="t2.nano", MinCount=1, MaxCount=1, TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}])
        self.instance = made["Instances"][0]["InstanceId"]
        for _ in range(2):
            before = self.cloud.role_pid("api")
            self.cloud.kill("api")
            self.cloud.wait_for_role("api", other_than=before)
            self.cloud.wait()
            self.assertEqual(self.image(), made["Instances"][0]["ImageId"])
        self.wait("running")
        self.one_process()

    def test_net_dies_while_they_start(self):
        self.die_while_they_start(self.kill_net, (0.02, 0.06))

    def die_while_they_start(self, die, pauses):
        self.launch()
        image = self.show()["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()
        for pause in pauses:
            made = self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=4, MaxCount=4, TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}])["Instances"]
            time.sleep(pause)
            die()
            for i in made:
                self.instance = i["InstanceId"]
                self.wait("running")
            until = time.monotonic() + 60
            while len(self.processes()) != len(made):
                self.assertLess(time.monotonic(), until, self.processes())
                time.sleep(0.1)
            self.ec2.terminate_instances(InstanceIds=[i["InstanceId"] for i in made])
            for i in made:
                self.instance = i["InstanceId"]
                self.wait("terminated")
            self.gone()

    def processes(self):
        """Inits of containers: the test has one instance."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes().split(b"\0")[0] == b"/sbin/init" and self.group() in path.with_name("cgroup").read_text():
                    found[int(path.parent.name)] = int(path.with_name("stat").read_text().rpartition(") ")[2].split()[1])
            except OSError:
                continue
        return [pid for pid, parent in found.items() if parent not in found]  # a child of one looks like it until it is another program

    def group(self):
        return "/quartet-" + instance_of(self.data)

    def left(self):
        """What instances use of this machine, counted."""
        roles = {role: len(os.listdir(f"/proc/{self.cloud.role_pid(role)}/fd")) for role in ("api", "priv")}
        loops = sum(os.path.exists(f"{path}/loop/backing_file") for path in pathlib.Path("/sys/block").glob("loop*"))
        groups = len(glob.glob(f"/sys/fs/cgroup/**{self.group()}/m[0-9]*", recursive=True))  # others' groups may go meanwhile
        fuse = pathlib.Path("/proc/self/mounts").read_text().count(" fuse ")
        files = [sorted(os.listdir(f"{self.data}/{place}")) for place in ("machines", "volumes")]
        return roles, loops, groups, fuse, files, len(self.processes())

    def all_left(self):
        return *self.left(), self.network(), self.namespaces()

    def network(self):
        """What the networks use: links of ours on the machine, namespaces of routers, and in these links and lines of packet rules."""
        def lines(*words):
            return subprocess.run(words, capture_output=True, text=True, check=False).stdout.count("\n")
        shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        ours = sum(f": q{kind}{instance_of(self.data)[:8]}-" in line for line in shown.splitlines() for kind in "tv")
        inside = []
        for fd, place in descriptors(self.net()):
            if place.startswith("net:"):
                enter = ["nsenter", f"--net={fd}"]
                inside.append((lines(*enter, "ip", "-o", "link"), lines(*enter, "nft", "list", "ruleset"), lines(*enter, "ip", "rule")))
        return ours, sorted(inside), lines("nft", "list", "table", "inet", "quartet_" + instance_of(self.data)[:8])

    def namespaces(self):
        """How many the cloud's processes are in, by kind."""
        parents, found = {}, {}
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(path.parent.name)] = int(path.read_text().rpartition(") ")[2].split()[1])
            except OSError:
                continue
        pids, more = set(), {self.cloud.process.pid}
        while more:
            pids |= more
            more = {pid for pid, parent in parents.items() if parent in pids} - pids
        for pid in pids:
            for kind in ("mnt", "net", "pid", "user", "ipc", "uts", "cgroup"):
                try:
                    found.setdefault(kind, set()).add(os.readlink(f"/proc/{pid}/ns/{kind}"))
                except OSError:
                    continue
        return {kind: len(them) for kind, them in found.items()}

    def steady(self):
        """The same once the prepared ones stand, which are made when the first instance has started."""
        said, same = self.all_left(), 0
        while same < 20:
            time.sleep(0.1)
            now = self.all_left()
            same = same + 1 if (now[0], now[2:]) == (said[0], said[2:]) else 0
            said = now
        return said

    def shims(self, name="quartet-shim"):
        """Processes of this name in this cloud's groups, the first of their namespace: shims, and the storage daemons beside them."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
            try:
                if path.read_text().strip() == name[:15] and self.group() in path.with_name("cgroup").read_text():
                    namespaces = next(line for line in path.with_name("status").read_text().splitlines() if line.startswith("NSpid:"))
                    if name != "quartet-shim" or namespaces.split()[-1] == "1" and len(namespaces.split()) == 3:
                        found.append(int(path.parent.name))
            except (OSError, StopIteration):
                continue
        return found

    def until(self, what, seconds=90):
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                alive = self.cloud.process.poll() is None
                self.fail([list(map(self.told, self.shims())), self.processes(), self.left() if alive else "no cloud"])
            time.sleep(0.1)

    def told(self, pid):
        """What the kernel says of a process that should not be there."""
        def read(name):
            try:
                return pathlib.Path(f"/proc/{pid}/{name}").read_text().strip()
            except OSError as e:
                return str(e)
        return pid, read("wchan"), read("stack"), read("task/" + str(pid) + "/children"), read("stat")

    def again(self):
        """Another instance comes and goes, whatever waits or has been killed."""
        kept = self.instance
        self.ec2 = self.cloud.client("ec2")
        image = self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        self.instance = self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=1, MaxCount=1, TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}])["Instances"][0]["InstanceId"]
        self.wait("running")
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.instance = kept

    def test_the_end_comes_before_the_start(self):
        """Told to end while its sandbox is being made; whoever has the first slot is not mistaken for it."""
        pid, first = self.launch(), self.instance
        image = self.show()["ImageId"]
        for _ in range(2):
            # more at once than are prepared, so that some are being made when the end comes
            made = self.ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=8, TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}])
            ids = [i["InstanceId"] for i in made["Instances"]]
            self.ec2.terminate_instances(InstanceIds=ids)
            for self.instance in ids:
                self.wait("terminated", 40)
        self.instance = first
        self.assertEqual(self.show()["State"]["Name"], "running")
        self.assertIn(pid, self.processes())

    def test_deaths_while_others_wait_prepared(self):
        """Of each role and of each process of a prepared container: it is used, or it goes."""
        self.launch()
        mine = self.shims()
        own = mine[0]
        waiting = 3
        for victim in ("api", "priv", "net", "quartet-shim", "qemu-storage-daemon", "init"):
            self.until(lambda: len(self.shims()) == 1 + waiting and len(self.shims("qemu-storage-daemon")) == 1 + waiting)
            before = set(self.shims())
            self.assertIn(own, before)
            spare = max(before - {own})
            if victim in ("api", "priv"):
                os.kill(self.cloud.role_pid(victim), signal.SIGKILL)
            elif victim == "net":
                os.kill(self.net(), signal.SIGKILL)
            elif victim == "quartet-shim":
                os.kill(spare, signal.SIGKILL)
            else:
                self.until(lambda: self.child_of(spare, victim))  # the one that waits to be init is the last to come
                os.kill(self.child_of(spare, victim), signal.SIGKILL)
            if victim == "priv":
                # whom they were prepared for is gone, and so are they
                self.until(lambda: self.shims() == [own])
            self.again()
            self.assertEqual(len(self.processes()), 1, victim)
            # each group has a shim again: nothing stays of the dead
            self.until(lambda: len(self.shims()) == 1 + waiting and self.left()[2] == (1 + waiting) * self.groups_of_one())
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        # the whole cloud, without a goodbye, and started again
        self.launch()
        self.until(lambda: len(self.shims()) == 1 + waiting)
        self.cloud.process.kill()
        self.cloud.process.wait()
        self.until(lambda: len(self.shims()) == 1)
        self.cloud = Cloud(data=self.data).start()
        self.ec2 = self.cloud.client("ec2")
        self.wait("running")
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()
        self.cloud.stop()
        self.assertEqual(leftovers(self.data, 10), [])

    def test_a_priv_that_dies_before_it_has_mapped_ids(self):
        """The child that waits for them goes too, though it has a copy of the socket's other end."""
        def waiting(priv):
            for child in pathlib.Path(f"/proc/{priv}/task/{priv}/children").read_text().split():
                try:
                    if self.group() + "/m" in pathlib.Path(f"/proc/{child}/cgroup").read_text() and pathlib.Path(f"/proc/{child}/comm").read_text() != "quartet-shim\n":
                        return int(child)
                except OSError:
                    continue
            return None
        self.launch()
        own, priv, child = self.shims()[0], self.cloud.role_pid("priv"), None
        while not child:  # a few milliseconds of each that is prepared
            self.until(lambda: len(self.shims("qemu-storage-daemon")) == 4)
            os.kill(max(set(self.shims()) - {own}), signal.SIGKILL)
            end = time.monotonic() + 3
            while not child and time.monotonic() < end:
                child = waiting(priv)
        os.kill(priv, signal.SIGSTOP)
        self.cloud.process.kill()
        self.cloud.process.wait()
        os.kill(priv, signal.SIGKILL)
        self.until(lambda: not os.path.exists(f"/proc/{child}"))
        self.cloud = Cloud(data=self.data).start()
        self.ec2 = self.cloud.client("ec2")
        self.wait("running")
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        self.gone()
        self.cloud.stop()
        self.assertEqual(leftovers(self.data, 10), [])

    def groups_of_one(self):
        """Places in which a machine's control group lies: one, or as many as there are controllers of version 1."""
        return len({os.path.dirname(path) for path in glob.glob(f"/sys/fs/cgroup/**{self.group()}/m[0-9]*", recursive=True)})  # pathlib's fails when one goes meanwhile

    def child_of(self, shim, what):
        """Its storage daemon, or what waits to be init: the shim's name, a child of it, first in a namespace of its own. None: not yet."""
        for child in pathlib.Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
            daemon = pathlib.Path(f"/proc/{child}/comm").read_text().startswith("qemu")
            if daemon == (what != "init"):
                return int(child)
        return None

    def test_an_api_that_dies_while_it_attaches(self):
        """The storage daemon has the disk, and the container does not: the next api sees to it that it gets it."""
        init = self.launch()
        zone = self.show()["Placement"]["AvailabilityZone"]
        volume = self.ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        self.until(lambda: self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available")
        shim = int(pathlib.Path(f"/proc/{init}/status").read_text().split("PPid:")[1].split()[0])

        def devices():
            return sum(place == "/dev/fuse" for _, place in descriptors(shim))

        before, priv = devices(), self.cloud.role_pid("priv")
        os.kill(priv, signal.SIGSTOP)
        try:
            self.ec2.attach_volume(VolumeId=volume, InstanceId=self.instance, Device="/dev/sdf")
            # it has given the disk away, for priv to make a device of
            self.until(lambda: devices() == before - 1)
            os.kill(self.cloud.role_pid("api"), signal.SIGKILL)
        finally:
            os.kill(priv, signal.SIGCONT)
        self.ec2 = self.cloud.client("ec2")
        self.until(lambda: [a["State"] for a in self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]] == ["attached"])
        with open(f"/proc/{init}/root/dev/sdf", "rb") as disk:
            self.assertEqual(disk.seek(0, 2), 1 << 30)
            disk.seek(0)
            self.assertEqual(disk.read(4096), bytes(4096))
        self.ec2.detach_volume(VolumeId=volume)
        self.until(lambda: self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available")
        self.assertFalse(os.path.exists(f"/proc/{init}/root/dev/sdf"))
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")

    def test_many_leave_nothing(self):
        """CYCLES lives, ten at a time."""
        self.launch()
        self.ec2.terminate_instances(InstanceIds=[self.instance])
        self.wait("terminated")
        image = self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        before, after = self.steady(), None
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
            after = self.all_left()
            # what the first life needed may have gone since; loop devices are everybody's, and other tests run instances too
            if after[2:] == before[2:] and after[1] <= before[1] and all(after[0][role] <= before[0][role] for role in after[0]):
                return
            time.sleep(0.1)
        self.assertEqual(after, before)


if __name__ == "__main__":
    unittest.main()
