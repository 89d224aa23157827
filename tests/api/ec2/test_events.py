"""Events of the hosts that instances run on: `quartet retire`, what users see of them, and that they happen."""
import http.client
import json
import os
import subprocess
import time
import unittest
import urllib.parse
import uuid

from aws import ENDPOINT, TestCase, client
from ec2 import wait_for
from happenings import Listener
from images import image, no_containers

TAGS = [{"Key": "quartet:driver", "Value": "container"}]


def quartet(*words):
    return subprocess.run([os.environ["QUARTET"], *words], capture_output=True, timeout=120, check=False, text=True)


class Events(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ec2 = client("ec2")
        made, missing = image(cls.ec2), no_containers()
        if not made or missing:
            raise unittest.SkipTest(missing or "there is no image: tools/make-image")
        cls.instance = cls.ec2.run_instances(ImageId=made, InstanceType="t3.micro", MinCount=1, MaxCount=1,
                                             TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}])["Instances"][0]["InstanceId"]

    @classmethod
    def tearDownClass(cls):
        cls.ec2.terminate_instances(InstanceIds=[cls.instance])

    def events(self, **more):
        found = self.ec2.describe_instance_status(IncludeAllInstances=True, **(more or {"InstanceIds": [self.instance]}))["InstanceStatuses"]
        return [e for s in found if s["InstanceId"] == self.instance for e in s.get("Events", [])]

    def inside(self, path):
        script = ("import urllib.request as u; t=u.urlopen(u.Request('http://169.254.169.254/latest/api/token',method='PUT',"
                  "headers={'X-aws-ec2-metadata-token-ttl-seconds':'60'})).read().decode(); "
                  f"print(u.urlopen(u.Request('http://169.254.169.254/latest/meta-data/{path}',headers={{'X-aws-ec2-metadata-token':t}})).read().decode())")
        for _ in range(120):  # its network comes up
            done = quartet("exec", self.instance, "python3", "-c", script)
            if done.returncode == 0:
                break
            time.sleep(0.5)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def post(self, key, secret, query):
        c = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(ENDPOINT).port, timeout=60)
        c.request("POST", f"/_quartet/retire/{self.instance}?{query}", headers={"X-Quartet-Key": f"{key}:{secret}", "X-Quartet-Region": "us-east-1"})
        reply = c.getresponse()
        text = reply.read().decode()
        c.close()
        return reply.status, text

    def test_an_event_comes(self):
        wait_for(self, self.ec2, self.instance, "running", 100)
        heard = Listener(self, client, "us-east-1", "aws.health")
        made = quartet("retire", self.instance, "--code", "system-reboot", "--in", "2h")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        event = made.stdout.strip()
        told = heard.wait(lambda d: d["eventArn"].endswith(event), "AWS Health Event")
        self.assertEqual((told["resources"], told["detail"]["statusCode"], told["detail"]["eventTypeCode"], told["detail"]["affectedEntities"]),
                         ([self.instance], "upcoming", "AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED", [{"entityValue": self.instance}]))
        shown, = self.events()
        self.assertEqual((shown["InstanceEventId"], shown["Code"]), (event, "system-reboot"))
        self.assertEqual((shown["NotBeforeDeadline"] - shown["NotBefore"]).days, 7)
        for name, value in (("event.code", "system-reboot"), ("event.instance-event-id", event), ("event.description", "*reboot*"),
                            ("event.not-before", shown["NotBefore"].strftime("%Y-%m-%dT%H:%M:*")), ("instance-state-code", "16")):
            self.assertEqual([e["InstanceEventId"] for e in self.events(Filters=[{"Name": name, "Values": [value]}])], [event], name)
        self.assertEqual(self.events(Filters=[{"Name": "event.code", "Values": ["instance-stop"]}]), [])
        scheduled, = self.inside("events/maintenance/scheduled")
        self.assertEqual((scheduled["EventId"], scheduled["State"], scheduled["Code"]), (event, "active", "system-reboot"))
        self.assertEqual(scheduled["NotBefore"], shown["NotBefore"].strftime("%d %b %Y %H:%M:%S GMT"))
        self.assertEqual(self.inside("events/maintenance/history"), [])
        self.assertAwsError("InvalidInstanceEventStartTime", self.ec2.modify_instance_event_start_time, InstanceId=self.instance, InstanceEventId=event,
                            NotBefore=shown["NotBeforeDeadline"].replace(year=shown["NotBefore"].year + 1))
        moved = self.ec2.modify_instance_event_start_time(InstanceId=self.instance, InstanceEventId=event, NotBefore=shown["NotBeforeDeadline"])["Event"]
        self.assertEqual(moved["NotBefore"], shown["NotBeforeDeadline"])
        called_off = quartet("retire", self.instance, "--cancel")
        heard.wait(lambda d: d["eventArn"].endswith(event) and d["statusCode"] == "closed", "AWS Health Event")
        self.assertEqual((called_off.returncode, called_off.stdout), (0, "1 called off\n"))
        self.assertEqual([e["Description"][:10] for e in self.events()], ["[Canceled]"])
        past, = self.inside("events/maintenance/history")
        self.assertEqual((past["EventId"], past["State"]), (event, "canceled"))
        # and now one that comes
        self.assertEqual(quartet("retire", self.instance, "--in", "0s").returncode, 0)
        gone = wait_for(self, self.ec2, self.instance, "stopped", 150)
        self.assertEqual(gone["StateReason"]["Code"], "Server.ScheduledStop")
        self.assertEqual([e["Code"] for e in self.events() if e["Description"].startswith("[Completed] ")], ["instance-retirement"])

    def test_wrong_words(self):
        self.assertEqual(quartet("retire").returncode, 2)
        self.assertEqual(quartet("retire", self.instance, "--in", "soon").returncode, 2)
        for words, said in (((self.instance, "--code", "system-maintenance"), "no event of that code"), ((self.instance, "--in", "366d", "--cancel"), "goes without"),
                            (("i-0123456789abcdef0",), "does not exist"), (("web-1",), "does not exist")):
            done = quartet("retire", *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)

    def test_who_may(self):
        self.assertEqual(self.post("nobody", "x", "cancel=1")[0], 403)
        iam, name = client("iam"), "retire-" + uuid.uuid4().hex[:10]
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.addCleanup(iam.delete_user, UserName=name)
        self.addCleanup(iam.delete_access_key, UserName=name, AccessKeyId=key["AccessKeyId"])
        status, said = self.post(key["AccessKeyId"], key["SecretAccessKey"], "cancel=1")
        self.assertEqual(status, 403)
        self.assertIn("quartet:RetireInstance", said)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "quartet:RetireInstance", "Resource": f"arn:aws:ec2:us-east-1:*:instance/{self.instance}",
             "Condition": {"StringEquals": {"aws:ResourceTag/quartet:driver": "container"}}}]}))
        self.addCleanup(iam.delete_user_policy, UserName=name, PolicyName="p")
        self.assertEqual(self.post(key["AccessKeyId"], key["SecretAccessKey"], "in=x")[0], 400)
        self.assertEqual(self.post(key["AccessKeyId"], key["SecretAccessKey"], "cancel=1")[0], 200)
