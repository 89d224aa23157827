"""Faults that are asked for with `quartet chaos`: that they are real, bounded, and leave nothing."""
import datetime
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from botocore.exceptions import ClientError  # noqa: E402

from cloud import Cloud, program  # noqa: E402
from images import no_containers  # noqa: E402


class ChaosCase(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()

    def chaos(self, *words, status=0, env=None):
        done = subprocess.run([program(), "chaos", *words], capture_output=True, text=True, timeout=60, check=False,
                              env={**self.cloud.environment(), **(env or {})})
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return (done.stderr if status else done.stdout).strip()

    def code(self, call, **given):
        """(error code, HTTP status) of a call; None when it succeeds."""
        try:
            call(**given)
            return None
        except ClientError as e:
            return e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]

    def wait(self, what, seconds=20):
        until = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        return found


class Throttling(ChaosCase):
    def test_each_service_says_it_in_its_own_words(self):
        calls = {
            "ec2": ("describe_vpcs", ("RequestLimitExceeded", 503)),
            "s3": ("list_buckets", ("SlowDown", 503)),
            "lambda": ("list_functions", ("TooManyRequestsException", 429)),
            "iam": ("list_users", ("Throttling", 400)),
            "route53": ("list_hosted_zones", ("Throttling", 400)),
            "logs": ("describe_log_groups", ("ThrottlingException", 400)),
            "acm": ("list_certificates", ("ThrottlingException", 400)),
        }
        clients = {s: self.cloud.client(s) for s in calls}
        for service, (operation, wanted) in calls.items():
            self.chaos("api-throttle", service, "--for", "60")
            self.assertEqual(self.code(getattr(clients[service], operation)), wanted)
        self.chaos("stop", "1")
        self.assertIsNone(self.code(clients["ec2"].describe_vpcs))
        self.assertIsNotNone(self.code(clients["s3"].list_buckets))
        self.assertEqual(len(self.chaos("list").splitlines()), 6)
        self.assertEqual(self.chaos("stop"), "6 ended")
        self.assertEqual(self.chaos("list"), "no faults")
        for service, (operation, _) in calls.items():
            self.assertIsNone(self.code(getattr(clients[service], operation)))

    def test_it_ends_by_itself(self):
        iam = self.cloud.client("iam")
        began = time.monotonic()
        self.chaos("api-throttle", "all", "--for", "2")
        self.assertIn("api-throttle all 100 %, 2 s left", self.chaos("list"))
        self.assertEqual(self.code(iam.create_user, UserName="a"), ("Throttling", 400))
        self.wait(lambda: self.code(iam.list_users) is None)
        self.assertGreater(time.monotonic() - began, 1.9)
        self.assertEqual(iam.list_users()["Users"], [])  # what was throttled was not done
        self.assertEqual(self.chaos("list"), "no faults")

    def test_a_share_of_the_calls(self):
        sts = self.cloud.client("sts")
        self.chaos("api-throttle", "sts", "--percent", "50", "--for", "60")
        throttled = sum(self.code(sts.get_caller_identity) is not None for _ in range(200))
        self.assertTrue(50 < throttled < 150, throttled)
        self.wait(lambda: self.counted("STS", "GetCallerIdentity") == throttled)

    def counted(self, service, operation):
        """ThrottleCount of today and the days around it."""
        now, by = datetime.datetime.now(datetime.timezone.utc), {"Service": service, "Resource": operation, "Type": "API", "Class": "None"}
        out = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Usage", MetricName="ThrottleCount", Dimensions=[{"Name": k, "Value": v} for k, v in by.items()], Period=3600, Statistics=["Sum"],
            StartTime=now - datetime.timedelta(days=1), EndTime=now + datetime.timedelta(days=1))["Datapoints"]
        return sum(p["Sum"] for p in out)

    def test_a_kill_of_the_role_ends_it(self):
        sts = self.cloud.client("sts")
        self.chaos("api-throttle", "sts", "--for", "600")
        self.assertIsNotNone(self.code(sts.get_caller_identity))
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", before)
        self.cloud.wait()
        self.assertIsNone(self.code(sts.get_caller_identity))

    def test_what_is_refused(self):
        self.assertIn("there is no such service", self.chaos("api-throttle", "nothing", status=1))
        self.assertIn("1 to 100", self.chaos("api-throttle", "s3", "--percent", "101", status=1))
        for words in (["api-throttle"], ["flood", "s3"], ["api-throttle", "s3", "--for", "soon"], ["kill-instance", "i-1", "--for", "9"],
                      ["stop", "x"], ["list", "--percent", "3"], ["api-throttle", "s3", "--for", "0"]):
            self.chaos(*words, status=2)
        self.chaos("api-throttle", "s3", "--for", "86401", status=1)
        self.assertIn("no fault 9", self.chaos("stop", "9", status=1))
        iam = self.cloud.client("iam")
        iam.create_user(UserName="u")
        key = iam.create_access_key(UserName="u")["AccessKey"]

        def ask():
            asking = urllib.request.Request(self.cloud.endpoint + "/_quartet/chaos/api-throttle?target=s3&amount=100&for=60000", method="POST", headers={
                "X-Quartet-Key": key["AccessKeyId"] + ":" + key["SecretAccessKey"], "X-Quartet-Region": "us-east-1"})
            with urllib.request.urlopen(asking, timeout=10) as reply:
                return reply.status

        with self.assertRaises(urllib.error.HTTPError) as refused:
            ask()
        self.assertEqual(refused.exception.code, 403)
        self.assertIn("quartet:InjectFault", refused.exception.read().decode())
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=
                            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"quartet:InjectFault","Resource":"*"}}')
        self.assertEqual(ask(), 200)


class Instances(ChaosCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or not os.path.exists("/usr/bin/qemu-system-x86_64"):
            self.skipTest("virtual machines need root and QEMU")
        self.ec2, self.s3 = self.cloud.client("ec2"), self.cloud.client("s3")

    def image(self):
        """One that starts and does nothing."""
        name = "halting-" + uuid.uuid4().hex[:8]
        self.s3.create_bucket(Bucket=name)
        self.s3.put_object(Bucket=name, Key="disk", Body=b"\xfa\xf4\xeb\xfc" + bytes(506) + b"\x55\xaa" + bytes(1 << 20))
        task = self.ec2.import_image(DiskContainers=[{"Format": "raw", "UserBucket": {"S3Bucket": name, "S3Key": "disk"}}])["ImportTaskId"]
        return self.wait(lambda: self.ec2.describe_import_image_tasks(ImportTaskIds=[task])["ImportImageTasks"][0].get("ImageId") if
                         self.ec2.describe_import_image_tasks(ImportTaskIds=[task])["ImportImageTasks"][0]["Status"] == "completed" else None)

    def run_one(self, **more):
        made = self.ec2.run_instances(ImageId=self.image(), InstanceType="t2.nano", MinCount=1, MaxCount=1, **more)["Instances"][0]
        self.reach(made["InstanceId"], "running", 60)
        return made

    def state(self, instance):
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

    def reach(self, instance, state, seconds=30):
        return self.wait(lambda: (found := self.state(instance))["State"]["Name"] == state and found, seconds)

    def test_a_spot_instance_gets_its_notice(self):
        made = self.run_one(InstanceMarketOptions={"MarketType": "spot"})
        instance, request = made["InstanceId"], made["SpotInstanceRequestId"]
        began = time.monotonic()
        self.chaos("spot-interrupt", instance, "--for", "4")
        told = self.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])["SpotInstanceRequests"][0]
        self.assertEqual(told["Status"]["Code"], "marked-for-termination")
        self.assertEqual(self.state(instance)["State"]["Name"], "running")
        self.assertIn("has its notice", self.chaos("spot-interrupt", instance, "--for", "100", status=1))
        gone = self.reach(instance, "terminated")
        self.assertGreater(time.monotonic() - began, 3.5)
        self.assertEqual(gone["StateReason"]["Code"], "Server.SpotInstanceTermination")

    def test_a_throttled_service_serves_our_own_services(self):
        """A group's call of EC2 is no client's."""
        scaling = self.cloud.client("autoscaling")
        self.ec2.create_launch_template(LaunchTemplateName="tmpl", LaunchTemplateData={"ImageId": self.image(), "InstanceType": "t2.nano"})
        subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        scaling.create_auto_scaling_group(AutoScalingGroupName="g", MinSize=0, MaxSize=1, VPCZoneIdentifier=subnet,
                                          LaunchTemplate={"LaunchTemplateName": "tmpl"})
        self.chaos("api-throttle", "ec2", "--for", "600")
        self.assertEqual(self.code(self.ec2.describe_vpcs), ("RequestLimitExceeded", 503))
        scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        self.wait(lambda: [i for i in scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
                           if i["LifecycleState"] == "InService"], 60)
        self.chaos("stop")
        scaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)

    def test_a_machine_is_killed(self):
        instance = self.run_one()["InstanceId"]
        self.assertIn("no spot instance", self.chaos("spot-interrupt", instance, status=1))
        self.assertEqual(self.chaos("kill-instance", instance), "killed")
        gone = self.reach(instance, "stopped")
        self.assertEqual(gone["StateReason"]["Code"], "Server.InternalError")
        self.assertIn("no such instance runs", self.chaos("kill-instance", instance, status=1))
        self.ec2.start_instances(InstanceIds=[instance])
        self.reach(instance, "running", 60)
        self.assertIn("no such instance runs", self.chaos("kill-instance", "i-0123456789abcdef0", status=1))
        self.chaos("kill-instance", instance, "--region", "eu-west-1", status=1)
        self.chaos("kill-instance", instance)
        self.reach(instance, "stopped")
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.reach(instance, "terminated")


class Zones(ChaosCase):
    """Two containers in two zones, reached from this machine by their public addresses."""

    def setUp(self):
        if os.geteuid() != 0 or not os.path.exists("/var/cache/quartet/images/debian-12-amd64/image.json"):
            self.skipTest("needs root and the machine image: tools/make-image")
        missing = no_containers()
        if missing:
            self.skipTest(missing)
        super().setUp()
        self.ec2 = self.cloud.client("ec2")
        image = self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        group = self.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
        self.address, self.instance = {}, {}
        for zone in ("us-east-1a", "us-east-1b"):
            made = self.ec2.run_instances(ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone},
                                          TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])
            instance = self.instance[zone] = made["Instances"][0]["InstanceId"]
            self.address[zone] = self.wait(lambda: self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0].get(
                "PublicIpAddress"), 60)
        for zone in self.address:
            self.wait(lambda: self.answers(zone), 60)

    def answers(self, zone, seconds=1.0):
        """Does sshd say who it is?"""
        try:
            with socket.create_connection((self.address[zone], 22), timeout=seconds) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    def links(self):
        """States of the ports' links in all routers, as the kernel says them."""
        states = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(os.path.join(self.cloud.data, "run", "net.sock"))
            net = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        for fd in os.listdir(f"/proc/{net}/fd"):
            path = f"/proc/{net}/fd/{fd}"
            if os.path.exists(path) and os.readlink(path).startswith("net:"):
                text = subprocess.run(["nsenter", f"--net={path}", "ip", "-br", "link"], capture_output=True, text=True, check=False).stdout
                states += [line.split()[1] for line in text.splitlines() if re.match(r"p\d+[@ ]", line)]
        return sorted(states)

    def test_a_zone_is_down_for_a_time(self):
        self.assertEqual(self.links(), ["UP", "UP"])
        self.chaos("zone-down", "us-east-1a", "--for", "6")
        began = time.monotonic()
        self.wait(lambda: not self.answers("us-east-1a"), 5)
        self.assertTrue(self.answers("us-east-1b"))
        self.assertEqual(self.links(), ["DOWN", "UP"])
        said = subprocess.run([program(), "why-not", "host", self.instance["us-east-1a"], "22"], capture_output=True, text=True, check=True,
                              env=self.cloud.environment()).stdout
        self.assertIn("a fault is in force: zone-down us-east-1a, ", said)
        self.wait(lambda: self.answers("us-east-1a"), 20)
        self.assertGreater(time.monotonic() - began, 4)
        self.assertEqual(self.links(), ["UP", "UP"])
        # before its time, and by the death of a role
        self.chaos("zone-down", "us-east-1a", "--for", "600")
        self.wait(lambda: not self.answers("us-east-1a"), 5)
        self.chaos("stop")
        self.wait(lambda: self.answers("us-east-1a"), 20)
        self.chaos("zone-down", "all", "--for", "600")
        self.wait(lambda: not self.answers("us-east-1a") and not self.answers("us-east-1b"), 5)
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", before)
        self.wait(lambda: self.answers("us-east-1a") and self.answers("us-east-1b"), 20)
        # a down in the middle of one leaves nothing
        self.chaos("lossy", "us-east-1b", "--percent", "100", "--for", "600")
        self.wait(lambda: not self.answers("us-east-1b"), 5)
        self.assertTrue(self.answers("us-east-1a"))
        self.chaos("zone-down", "us-east-1a", "--for", "600")
        self.wait(lambda: not self.answers("us-east-1a"), 5)
        self.cloud.stop()
        self.assertEqual(self.cloud.leftovers(), [])

    def test_all_is_dead_and_it_ends(self):
        """The router's process is all that is left."""
        self.chaos("zone-down", "us-east-1a", "--for", "8")
        self.wait(lambda: self.links() == ["DOWN", "UP"], 5)
        pids = [self.cloud.process.pid] + [self.cloud.role_pid(role) for role in ("api", "priv")]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.cloud.process.wait()
        self.wait(lambda: self.links() == ["UP", "UP"], 20)
        self.cloud.start()
        self.wait(lambda: self.answers("us-east-1a"), 30)

    def test_what_is_refused(self):
        self.assertIn("there is no such zone", self.chaos("zone-down", "nowhere", status=1))
        self.chaos("zone-down", "us-east-1a", "--percent", "3", status=2)
        self.chaos("lossy", "us-east-1a", "--delay", "3", status=2)
        self.assertIn("1 to 100", self.chaos("lossy", "us-east-1a", "--percent", "101", status=1))
        slow = subprocess.run([program(), "chaos", "slow", "us-east-1a", "--delay", "300", "--for", "30"], capture_output=True, text=True, check=False,
                              env=self.cloud.environment())
        if slow.returncode:
            self.assertIn("no netem", slow.stderr)
            self.assertEqual(self.chaos("list"), "no faults")
        else:
            began = time.monotonic()
            self.assertTrue(self.answers("us-east-1a", 5))
            self.assertGreater(time.monotonic() - began, 0.5)


if __name__ == "__main__":
    unittest.main()
