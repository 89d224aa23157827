"""Tasks by another OCI runtime than the usual one: what the configuration says, what is refused and how, and that nothing is left behind."""
import os
import shutil
import subprocess
import tempfile
import unittest

from cloud import Cloud, free_port, program
from leftovers import leftovers
from runtimes import configuration, needs
from tasked import Tasked, hears


class Names(unittest.TestCase):
    def up(self, name, more=""):
        data = tempfile.mkdtemp(prefix="quartet-runtime-")
        self.addCleanup(shutil.rmtree, data, True)
        return subprocess.run([program(), "up", "--data", data, "--listen", f"127.0.0.1:{free_port()}", "--tls-port", "0", "--config", configuration(name, self.addCleanup, more)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    def test_refused_at_once(self):
        """An unknown name, and a program that is not there: one line, and nothing was started."""
        done = self.up("docker")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, 'runtime: "docker" is none of crun, runc, kata and runsc')
        for memory in ("0", "some", "1 GiB"):
            done = self.up("crun", f"memory = {memory}")
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, f'memory: "{memory}" is no number of MiB')
        for name, place in (("kata", "/usr/bin/kata-runtime"), ("runsc", "/usr/bin/runsc")):
            if os.path.exists(place):
                continue
            done = self.up(name)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"runtime: {name} is not installed \({place}\)")
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


@unittest.skipIf(needs("runc"), needs("runc"))
class Runc(Tasked):
    def new_cloud(self):
        return Cloud(options=["--config", configuration("runc", self.addCleanup, "memory = 1024")])

    def test_lives(self):
        """Output, exit codes, a stop that is heard, deaths of the roles; and then nothing is left."""
        self.assertNotIn("starts no containers", self.cloud.log_text())
        self.define("short", "exit 3")
        short = self.run_task("short")
        self.wait(lambda: self.show(short)["lastStatus"] == "STOPPED")
        self.assertEqual(self.show(short)["containers"][0].get("exitCode"), 3, self.show(short))
        self.wait(lambda: not self.groups())
        arn, other = self.run_tasks(count=2)
        full = self.ecs.run_task(taskDefinition="t", launchType="FARGATE", networkConfiguration=self.network)
        self.assertEqual((full["tasks"], [f["reason"].split(".")[0] for f in full["failures"]]), ([], ["Capacity is unavailable at this time"]))
        self.until(other, "RUNNING")
        self.stop_task(other)
        self.wait(lambda: self.show(other)["lastStatus"] == "STOPPED")
        self.until(arn, "RUNNING")
        self.kill("api")
        self.until(arn, "RUNNING")
        self.kill("priv")
        self.until(arn, "RUNNING")
        self.wait(lambda: any(map(hears, self.inits())))  # its shell has its trap
        self.wait(lambda: self.stop_task(arn))
        self.wait(lambda: self.show(arn)["lastStatus"] == "STOPPED")
        self.assertEqual(self.show(arn)["containers"][0].get("exitCode"), 6, self.show(arn))
        self.wait(lambda: not self.groups() and not self.shims())
        data = self.cloud.data
        self.cloud.own_data = False
        self.addCleanup(shutil.rmtree, data, True)
        self.cloud.stop()
        self.assertEqual(leftovers(data, 20), [])


@unittest.skipIf(needs("runc"), needs("runc"))
class Broken(Tasked):
    """A runtime that is there and starts nothing."""
    def new_cloud(self):
        over = "mount --bind /usr/bin/false /usr/sbin/runc && exec \"$@\""
        return Cloud(options=["--config", configuration("runc", self.addCleanup)], inside=["unshare", "-m", "--propagation", "private", "sh", "-c", over, "sh"])

    def test_is_refused(self):
        arn = self.run_task()
        self.wait(lambda: self.show(arn)["lastStatus"] == "STOPPED")
        task = self.show(arn)
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        self.assertRegex(task["stoppedReason"], "runc starts no containers here: the OCI runtime ended with status 1")
        self.assertIn("runtime = runc: runc starts no containers here", self.cloud.log_text())
        self.wait(lambda: not self.groups() and not self.shims())


if __name__ == "__main__":
    unittest.main()
