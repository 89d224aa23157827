"""`quartet clock`: what waits by the clock comes sooner when that is moved, and it stays moved."""
import concurrent.futures
import datetime
import os
import subprocess
import sys
import time
import unittest

import boto3
from botocore.exceptions import ClientError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud, program  # noqa: E402


class Clock(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()

    def clock(self, *words, status=0):
        done = subprocess.run([program(), "clock", *words], capture_output=True, text=True, check=False, timeout=60, env=self.cloud.environment())
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def now(self):
        return datetime.datetime.fromisoformat(self.clock().split()[0].replace("Z", "+00:00"))

    def ahead(self):
        """Hours, to a tenth."""
        return round((self.now() - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 3600, 1)

    def wait(self, what, seconds=60):
        until = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), until, "it did not come about")
            time.sleep(0.1)
        return found

    def group(self):
        (g,) = self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return g

    def test_a_schedule_comes_sooner(self):
        ec2, self.scaling = self.cloud.client("ec2"), self.cloud.client("autoscaling")
        ec2.create_launch_template(LaunchTemplateName="tmpl", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.nano"})
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.scaling.create_auto_scaling_group(AutoScalingGroupName="g", MinSize=0, MaxSize=1, VPCZoneIdentifier=subnet,
                                               LaunchTemplate={"LaunchTemplateName": "tmpl"})
        at = self.now() + datetime.timedelta(hours=2)
        self.scaling.put_scheduled_update_group_action(AutoScalingGroupName="g", ScheduledActionName="more", StartTime=at, MaxSize=7)
        self.clock("forward", "90m")
        self.assertEqual(self.group()["MaxSize"], 1)
        self.clock("forward", "31m")
        self.wait(lambda: self.group()["MaxSize"] == 7)
        self.assertEqual(self.ahead(), 2.0)

    def test_moves_at_a_time_add_up(self):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: self.clock("forward", "1h"), range(6)))
        self.assertEqual(self.ahead(), 6.0)
        api = self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=api)
        self.wait(lambda: self.cloud.health())
        self.assertEqual(self.ahead(), 6.0)

    def test_credentials_end_and_the_clock_stays(self):
        self.assertEqual(self.ahead(), 0.0)
        given = self.cloud.client("sts").get_session_token(DurationSeconds=3600)["Credentials"]
        who = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "us-east-1").client("sts", endpoint_url=self.cloud.endpoint)
        who.get_caller_identity()
        self.assertIn("ahead", self.clock("forward", "2h"))
        with self.assertRaises(ClientError) as refused:
            who.get_caller_identity()
        self.assertIn(refused.exception.response["Error"]["Code"], ("ExpiredToken", "ExpiredTokenException"))
        self.cloud.client("sts").get_caller_identity()  # signatures are of the machine's time
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", before)
        self.cloud.wait()
        self.assertEqual(self.ahead(), 2.0)
        subprocess.run([program(), "reset"], check=True, capture_output=True, timeout=60, env=self.cloud.environment())
        self.wait(lambda: self.ahead() == 0.0)

    def test_wrong_words(self):
        for words in (["back", "1h"], ["forward"], ["forward", "soon"], ["forward", "0"]):
            self.clock(*words, status=2)
        self.assertEqual(self.ahead(), 0.0)


if __name__ == "__main__":
    unittest.main()
