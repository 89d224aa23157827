"""`quartet top`: what it shows once in a pipe, and how it lives on a terminal."""
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
import unittest
import uuid
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
import images  # noqa: E402
from aws import TestCase, client  # noqa: E402

QUARTET = os.environ["QUARTET"]


def name():
    return "top-" + uuid.uuid4().hex[:10]


class Top(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.region = "ap-southeast-4"  # nobody else's
        cls.alarm, cls.function, cls.group, cls.role = name(), name(), name(), name()
        cls.watch, cls.functions = client("cloudwatch", region=cls.region), client("lambda", region=cls.region)
        cls.scaling, cls.iam = client("autoscaling", region=cls.region), client("iam")
        cls.watch.put_metric_alarm(AlarmName=cls.alarm, Namespace="Top", MetricName="m", Period=60, EvaluationPeriods=1, Threshold=1,
                                   Statistic="Sum", ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore")
        cls.addClassCleanup(cls.watch.delete_alarms, AlarmNames=[cls.alarm])
        cls.watch.set_alarm_state(AlarmName=cls.alarm, StateValue="ALARM", StateReason="test")
        role = cls.iam.create_role(RoleName=cls.role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]
        cls.addClassCleanup(cls.iam.delete_role, RoleName=cls.role)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as z:
            z.writestr("f.py", "def handler(event, context):\n    return 1\n")
        cls.functions.create_function(FunctionName=cls.function, Runtime="python3.11", Role=role, Handler="f.handler", MemorySize=192,
                                      Code={"ZipFile": packed.getvalue()})
        cls.addClassCleanup(cls.functions.delete_function, FunctionName=cls.function)
        image = images.image(client("ec2", region=cls.region))
        cls.grouped = image is not None
        if cls.grouped:
            cls.scaling.create_launch_configuration(LaunchConfigurationName=cls.group, ImageId=image, InstanceType="t3.micro")
            cls.scaling.create_auto_scaling_group(AutoScalingGroupName=cls.group, LaunchConfigurationName=cls.group, MinSize=0, MaxSize=3,
                                                  DesiredCapacity=0, AvailabilityZones=[cls.region + "a"])
            cls.addClassCleanup(cls.drop_group)

    @classmethod
    def drop_group(cls):
        cls.scaling.delete_auto_scaling_group(AutoScalingGroupName=cls.group, ForceDelete=True)
        while cls.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[cls.group])["AutoScalingGroups"]:
            time.sleep(0.1)
        cls.scaling.delete_launch_configuration(LaunchConfigurationName=cls.group)

    def once(self):
        done = subprocess.run([QUARTET, "top", "--region", self.region], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def cells(self, text, first):
        return next(re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.strip().startswith(first + " "))

    def test_once_in_a_pipe(self):
        stop = threading.Event()

        def call():
            while not stop.is_set():
                self.watch.list_dashboards()

        caller = threading.Thread(target=call)
        caller.start()
        try:
            text = self.once()
        finally:
            stop.set()
            caller.join()
        self.assertNotIn("\033", text)
        self.assertEqual(self.cells(text, self.alarm)[1:3], ["ALARM", "Top m"])
        self.assertEqual(self.cells(text, self.function)[1:4], ["python3.11", "3s", "192M"])
        if self.grouped:
            self.assertEqual(self.cells(text, self.group)[1:6], ["0", "0", "3", "0", "0"])
        for title in ("INSTANCES (0)", "TASKS (0)", "FUNCTIONS (1)", f"GROUPS ({int(self.grouped)})", "ALARMS (1)"):
            self.assertIn("\n" + title + "\n", text)
        self.assertGreater(float(re.search(r"(\S+) requests/s", text)[1]), 1)

    def test_invocations_are_counted(self):
        for _ in range(3):
            self.functions.invoke(FunctionName=self.function)
        until = time.monotonic() + 100
        while (calls := self.cells(self.once(), self.function)[4]) == "-":
            self.assertLess(time.monotonic(), until)
        self.assertGreaterEqual(int(calls), 1)

    def test_a_wrong_command_line(self):
        self.assertEqual(subprocess.run([QUARTET, "top", "--often"], capture_output=True, check=False).returncode, 2)
        self.assertEqual(subprocess.run([QUARTET, "top", "--data", "/nowhere"], capture_output=True, check=False).returncode, 3)

    def terminal(self):
        """A running `quartet top`, and the other end of its terminal."""
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 100, 0, 0))
        before = termios.tcgetattr(there)
        running = subprocess.Popen([QUARTET, "top", "--region", self.region], stdin=there, stdout=there, stderr=there)
        self.addCleanup(os.close, here)
        self.addCleanup(os.close, there)
        self.addCleanup(lambda: running.poll() is None and running.kill())
        return running, here, there, before

    def read_until(self, fd, wanted, seconds=20):
        seen, until = "", time.monotonic() + seconds
        while wanted not in seen:
            left = until - time.monotonic()
            self.assertGreater(left, 0, seen)
            if select.select([fd], [], [], left)[0]:
                seen += os.read(fd, 65536).decode()
        return seen

    def test_on_a_terminal(self):
        running, here, there, before = self.terminal()
        self.read_until(here, "INSTANCES (0)")
        self.read_until(here, "INSTANCES (0)")  # drawn anew by itself
        os.write(here, b"\033[D")  # the last kind alone
        self.assertNotIn("INSTANCES", self.read_until(here, self.alarm).split("ALARMS")[-1])
        os.write(here, b"\033[C\033[C\033[C\033[C")
        self.assertIn("python3.11", self.read_until(here, "python3.11"))
        os.write(here, b"q")
        seen = self.read_until(here, "\033[?1049l")
        self.assertIn("\033[?25h", seen)
        self.assertEqual(running.wait(10), 0)
        self.assertEqual(termios.tcgetattr(there)[3], before[3])

    def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(self):
        running, here, there, before = self.terminal()
        self.read_until(here, "INSTANCES (0)")
        running.terminate()
        self.read_until(here, "\033[?1049l")
        self.assertEqual(running.wait(10), 0)
        self.assertEqual(termios.tcgetattr(there)[3], before[3])


if __name__ == "__main__":
    unittest.main()
