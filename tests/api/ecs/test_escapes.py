"""What somebody gets who runs hostile code in a task of the cloud, with a network interface: nothing of the machine, of others, or above his limits."""
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import unittest

from busybox import busybox, push
from cloud import program
from leftovers import instance_of
from tasks import TaskCase

PROBE = pathlib.Path(program()).parent / "tests" / "host" / "task_probe"


@unittest.skipUnless(PROBE.exists(), "the probe was not built")
class Escapes(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.digest = push(cls.registry, busybox([("bin/probe", PROBE.read_bytes())]))

    def test_kernel(self):
        """Mounts, namespaces, others' memory, keyrings, devices, modules, clocks: each is refused, and for the right reason."""
        lines, _ = self.says("/bin/probe 2>&1")
        self.assertEqual([line for line in lines if "GRANTED" in line], [])
        self.assertIn("tried everything", lines)
        refused = dict(line.split(" refused: ") for line in lines if " refused: " in line)
        self.assertGreater(len(refused), 40)
        self.assertEqual(set(refused.values()) - {"EPERM", "EACCES", "EROFS", "ENOSYS", "ENODATA", "ECONNREFUSED"}, set())

    def test_shared_processes(self):
        """Containers of a task with the pidMode `task` see each other's processes, and nothing else; what one leaves behind ends with it."""
        see = "until ps | grep -v grep | grep -q 'sleep 1234'; do sleep 0.1; done; echo seen; ps | grep '[q]uartet'; tr '\\0' ' ' < /proc/1/cmdline; echo; "
        reach = ("kill -9 1; for f in root/ cwd/ ns/mnt ns/pid environ maps fd/ mem; do cat /proc/1/$f >/dev/null 2>&1 && echo READ $f; ls /proc/1/$f/ >/dev/null 2>&1 && echo LISTED $f; "
                 "readlink /proc/1/$f; done; /bin/probe 2>&1 | grep GRANTED | grep -v process_vm_readv; ")
        end = "kill $(pidof sleep | tr ' ' '\n' | while read p; do grep -q 4321 /proc/$p/cmdline && echo $p; done); while ps | grep -v grep | grep -q 'sleep 1234'; do sleep 0.1; done; echo gone"
        trace = {"linuxParameters": {"capabilities": {"add": ["SYS_PTRACE"]}}}
        lines, task = self.says({"command": see + reach + end, **trace}, {"command": "(trap '' TERM; exec sleep 1234) & exec sleep 4321", "essential": False, "name": "other", "stopTimeout": 2},
                                pidMode="task")
        self.assertEqual([line.strip() for line in lines], ["seen", "pause", "gone"])
        self.assertEqual({c["name"]: c.get("exitCode") for c in task["containers"]}["c"], 0)
        lines, _ = self.says("sleep 2; ps | grep -c '[s]leep 1234'; cat /proc/1/comm", {"command": "sleep 1234", "essential": False, "name": "other", "stopTimeout": 2})
        self.assertEqual(lines, ["0", "sh"])

    def test_files(self):
        """Nothing in /proc and /sys but what is a process's own may be written, no control group but its own is there, which it cannot leave, no device to open."""
        lines, _ = self.says(
            "id -u; find /proc/sys /proc/irq /proc/bus /proc/fs /sys -type f 2>/dev/null | while read f; do true 2>/dev/null >>$f && echo OPEN $f; done; "
            "for k in cgroup cgroup2; do mount -t $k none /tmp 2>/dev/null && echo MOUNTED $k; done; "
            "(find /sys/fs/cgroup -mindepth 2 -type d; find /sys/fs/cgroup -user 0 -mindepth 2) | head -3; "
            "for d in /sys/fs/cgroup /sys/fs/cgroup/memory; do (echo 0 >$d/cgroup.procs || mkdir $d/x || mount -o remount,rw $d || umount $d) 2>/dev/null && echo LEFT $d; done; "
            "ls /proc | grep -c '^[0-9]'; for p in /proc/[0-9]*; do ls $p/root/work $p/root/var/lib 2>/dev/null; done; "
            "for t in c b; do for m in 1 5 7 8 10 229 253; do mknod /tmp/d$t$m $t $m 1 2>/dev/null && true 2>/dev/null </tmp/d$t$m && echo OPEN $t $m; done; done; "
            "ls /dev | tr '\\n' ' '; echo")
        self.assertEqual(lines[0], "0")
        self.assertLess(int(lines[1]), 12)
        self.assertEqual(set(lines[2].split()), {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
                                                 "tty", "urandom", "zero"} & set(lines[2].split()), lines)
        self.assertEqual(len(lines), 3, lines)

    def test_own_group(self):
        """What a program learns of its limits is its own container's: the lesser of that and the task's, and where its group lies is nobody else's to see."""
        tell = "cat /sys/fs/cgroup/memory.max || grep hierarchical_memory_limit /sys/fs/cgroup/memory/memory.stat; grep -c cgroup /proc/self/mountinfo; ls /sys/fs/cgroup"
        for memory in (96, None):
            lines, _ = self.says({"command": f"({tell}) 2>/dev/null", **({"memory": memory} if memory else {})})
            if "memory" in lines:  # version 1: a directory a controller
                self.assertEqual(lines[0].split()[-1], str((memory or 512) << 20))
                self.assertEqual(lines[2:], ["cpu", "memory", "pids"])
            elif memory:
                self.assertEqual(lines[0], str(memory << 20))
            self.assertLessEqual(int(lines[1]), 4, lines)

    def test_forged_senders(self):
        """A raw socket is its own business; what it sends in another's name comes to nobody."""
        group = self.ec2.create_security_group(GroupName="hears-" + self.word, Description="d", VpcId=self.vpc)["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "udp", "FromPort": 9000, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        hears = self.run_task({"command": ["/bin/probe", "hear"], "logConfiguration": self.log("hears")}, groups=[group])
        self.wait_for_lines(1, "hears", hears)
        to = self.interface(hears)["PrivateIpAddress"]
        base = to.rsplit(".", 1)[0]
        forged = [f"{base}.250", to, "8.8.8.8", f"{base}.1", "169.254.169.254", "10.9.8.7"]
        script = "".join(f"/bin/probe forge {sender} {to} forged; " for sender in forged)
        lines, task = self.says(f"me=$(hostname -i); {script} for i in 1 2 3; do /bin/probe forge $me {to} honest; sleep 1; done")
        self.assertIn("honest sent", lines)
        heard = self.wait_for_lines(2, "hears", hears)
        details = {d["name"]: d["value"] for d in task["attachments"][0]["details"]}
        self.assertEqual(set(heard[1:]), {f"honest from {details['privateIPv4Address']}"})

    def test_network(self):
        """Others' interfaces, as their groups say, and no service of the machine: not its metadata, nor the cloud's port, nor what listens on all of it."""
        closed = self.ec2.create_security_group(GroupName="closed-" + self.word, Description="d", VpcId=self.vpc)["GroupId"]
        other = self.run_task("nc -l -p 7000 </dev/null & echo up; sleep 1000", groups=[closed])
        self.until(other, "RUNNING")
        theirs = self.interface(other)["PrivateIpAddress"]
        gateway = theirs.rsplit(".", 1)[0] + ".1"
        own = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout.splitlines()
        # links of other clouds and of sandboxes come and go, and their addresses are then somebody's outside
        ours = "qv" + instance_of(os.environ["QUARTET_DATA"])
        stays = [line.split() for line in own if line.split()[1].startswith(ours) or not re.match("q[tv][0-9a-f]{8}-", line.split()[1])]
        machine = sorted({words[3].split("/")[0] for words in stays})[:12]
        with contextlib.closing(socket.create_server(("0.0.0.0", 0), backlog=16)) as listener:
            listener.setblocking(False)
            ports = [listener.getsockname()[1], int(os.environ["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]), 22]
            places = [f"{a} {p}" for a in [*machine, gateway, "169.254.170.2"] for p in ports]
            places.append(f"{theirs} 7000")
            tries = "".join(f"(nc -w 3 {place} </dev/null >/dev/null 2>&1 && echo REACHED {place}) & " for place in places)
            asks = "".join(f"printf '{verb} /latest/{path} HTTP/1.0\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 60\\r\\n\\r\\n' | nc -w 3 169.254.169.254 80; "
                           for verb, path in (("PUT", "api/token"), ("GET", "meta-data/"), ("GET", "dynamic/instance-identity/document"), ("GET", "user-data")))
            lines, _ = self.says(f"({tries} wait); {asks} echo; wget -q -O - $ECS_CONTAINER_METADATA_URI_V4 | grep -c DockerId", public=True)
            self.assertEqual([line for line in lines if "REACHED" in line], [])
            self.assertEqual(lines[-1], "1", lines)  # its own metadata is what it reaches
            self.assertEqual({line.split()[1] for line in lines if line.startswith("HTTP/")} - {"401", "403", "404"}, set(), lines)
            with self.assertRaises(BlockingIOError):
                listener.accept()

    def test_limits(self):
        """Processes, files and memory: as many as it was given, and the machine and its neighbours go on."""
        neighbour = self.run_task("echo up; sleep 1000")
        self.until(neighbour, "RUNNING")
        lines, _ = self.says("/bin/probe crowd; cd /tmp; fallocate -l 15G a && echo fits; fallocate -l 15G b 2>/dev/null && echo FITS; rm -f a b; echo done")
        count, why = lines[0].split(" processes, then ")
        self.assertTrue(4000 < int(count) < 8192, lines)
        self.assertEqual(why, "EAGAIN")
        self.assertEqual(lines[1:], ["fits", "done"])
        task = self.until(self.run_task("exec dd if=/dev/zero of=/dev/null bs=600M count=1"), "STOPPED")
        self.assertEqual(task["containers"][0]["exitCode"], 137)
        self.assertEqual(self.task(neighbour)["lastStatus"], "RUNNING")


if __name__ == "__main__":
    unittest.main()
