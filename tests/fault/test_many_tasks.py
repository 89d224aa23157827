"""What tasks leave behind, counted after CYCLES of their lives (20 by default), ten at a time."""
import os
import unittest

from busybox import why_not
from tasked import Tasked, words

ROLES = ("api", "priv", "net", "main")
GROWTH_KB, RECORD_KB = 4096, 8  # what a role may have more at the end: pages of its heap, and for an hour what a life was


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

    def lives(self, count):
        for _ in range(count // 10):
            arns = self.run_tasks("short", 10)
            for arn in arns:
                self.wait(lambda one=arn: self.show(one)["lastStatus"] == "STOPPED")
            for task in self.ecs.describe_tasks(tasks=arns)["tasks"]:
                self.assertEqual(task["containers"][0].get("exitCode"), 3, task)

    def test_leave_nothing(self):
        cycles = int(os.environ.get("CYCLES", "20"))
        self.define("short", "exit 3")
        self.lives(10)
        self.wait(lambda: not self.left()["groups"])
        left, descriptors, memory = self.left(), self.descriptors(), self.memory()
        for done in range(0, cycles, 100):
            self.lives(min(100, cycles - done))
            if cycles > 100:
                print(done + 100, self.memory(), self.descriptors(), flush=True)
        self.wait(lambda: self.left() == left)
        self.wait(lambda: all(n <= descriptors[role] for role, n in self.descriptors().items()))
        after = self.memory()
        for role in ROLES:
            self.assertLess(after[role], memory[role] + GROWTH_KB + cycles * RECORD_KB, (role, memory, after))


if __name__ == "__main__":
    unittest.main()
