"""What tasks leave behind, counted after CYCLES of their lives (30 by default), ten at a time: half end by themselves, half are stopped."""
import os
import re
import socket
import subprocess
import time
import unittest
import urllib.request

from busybox import why_not
from cloud import program
from leftovers import instance_of, mounts
from tasked import STAY, Tasked, words

ROLES = ("api", "priv", "net", "main")
GROWTH_KB = 4096  # what a role may have more at the end: pages of its heap
# What api may hold more: of each task that has ended, for an hour; and in the lists of what was last changed and last allowed,
# which have a length of their own.
ENDED_BYTES, LISTED_BYTES, LISTS_BYTES, SLACK_BYTES = 2048, 6144, 3 << 19, 256 << 10


@unittest.skipIf(why_not(), why_not())
class ManyTasks(Tasked):
    def pid(self, role):
        return {"net": self.net, "main": lambda: self.cloud.process.pid}.get(role, lambda: self.cloud.role_pid(role))()

    def descriptors(self):
        return {role: len(os.listdir(f"/proc/{self.pid(role)}/fd")) for role in ROLES}

    def memory(self):
        """Pss in KiB, of what is not a file's."""
        found = {}
        for role in ROLES:
            lines = dict(line.split(":", 1) for line in words(f"/proc/{self.pid(role)}/smaps_rollup").splitlines()[1:])
            found[role] = int(lines["Pss_Anon"].split()[0])
        return found

    def heap(self):
        """Bytes that api's heap holds when it has nothing to do."""
        def read():
            with urllib.request.urlopen(self.cloud.endpoint + "/metrics", timeout=20) as reply:
                return int(re.search(r"^quartet_heap_bytes (\d+)$", reply.read().decode(), re.M)[1])
        least, same = read(), 0
        while same < 20:
            time.sleep(0.1)
            now = read()
            least, same = (now, 0) if now < least - 4096 else (least, same + 1)
        return least

    def forget(self):
        """An hour and more goes by, and all that is told of tasks that have ended is over."""
        subprocess.run([program(), "clock", "forward", "65m"], check=True, capture_output=True, timeout=60, env=self.cloud.environment())
        self.wait(lambda: not self.ecs.list_tasks(desiredStatus="STOPPED")["taskArns"])
        (arn,) = self.run_tasks("short")  # with which sessions that have ended are found
        self.wait(lambda: self.show(arn)["lastStatus"] == "STOPPED")

    def lives(self, count):
        for _ in range(count // 10):
            short, long = self.run_tasks("short", 5), self.run_tasks("long", 5)
            for arn in long:
                self.until(arn, "RUNNING")
            for arn in long:
                self.assertTrue(self.stop_task(arn))
            for arn in short + long:
                self.wait(lambda one=arn: self.show(one)["lastStatus"] == "STOPPED")
            for task in self.ecs.describe_tasks(tasks=short)["tasks"]:
                self.assertEqual(task["containers"][0].get("exitCode"), 3, task)
            for task in self.ecs.describe_tasks(tasks=long)["tasks"]:
                # a first process without a handler does not hear SIGTERM; one that is not so far has none yet
                self.assertEqual((task["stopCode"], task["containers"][0].get("exitCode") in (6, 137)), ("UserInitiated", True), task)

    def all_left(self):
        """Also mounts, and links and tables of packet rules in the machine's own namespace."""
        data = self.cloud.data
        name = instance_of(data)
        tables = subprocess.run(["/usr/sbin/nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
        return {**self.left(), "mounts": len({line.partition(": ")[2] for line in mounts(data)}),
                "links": sorted(n for _, n in socket.if_nameindex() if name in n), "tables": tables.count(name)}

    def test_leave_nothing(self):
        cycles = int(os.environ.get("CYCLES", "30"))
        self.define("short", "exit 3")
        self.define("long", STAY, stopTimeout=2)
        self.lives(10)
        self.forget()
        self.wait(lambda: not self.left()["groups"])
        heap = self.heap()
        left, descriptors, memory = self.all_left(), self.descriptors(), self.memory()
        began = time.monotonic()
        for done in range(0, cycles, 100):
            self.lives(min(100, cycles - done))
            if cycles > 100:
                print(f"    {done + 100} lives, {time.monotonic() - began:.0f} s", self.memory(), self.descriptors(), flush=True)
        self.wait(lambda: self.all_left() == left)
        self.wait(lambda: all(n <= descriptors[role] for role, n in self.descriptors().items()))
        listed, ended = min(cycles * LISTED_BYTES, LISTS_BYTES) + SLACK_BYTES, self.heap()
        self.assertLess(ended, heap + listed + cycles * ENDED_BYTES)
        self.forget()
        last = self.heap()
        self.assertLess(last, heap + listed, (heap, ended))
        # api gives the pages of a burst back when nobody has asked for anything for some seconds
        until = time.monotonic() + 120
        while any((after := self.memory())[role] >= memory[role] + GROWTH_KB for role in ROLES):
            self.assertLess(time.monotonic(), until, (memory, after))
            time.sleep(1)


if __name__ == "__main__":
    unittest.main()
