"""Sessions of Session Manager in an instance that is a container, over the data channel of AWS's plugin: `aws ssm start-session`."""
import datetime
import json
import time
import unittest
import uuid

from aws import TestCase, client
from channel import Channel
from images import image, no_containers

TAGS = [{"Key": "quartet:driver", "Value": "container"}, {"Key": "team", "Value": "blue"}]


class Sessions(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ec2, cls.ssm = client("ec2"), client("ssm")
        made, missing = image(cls.ec2), no_containers()
        if not made or missing:
            raise unittest.SkipTest(missing or "there is no image: tools/make-image")
        cls.instance = cls.ec2.run_instances(ImageId=made, InstanceType="t3.micro", MinCount=1, MaxCount=1,
                                             TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}])["Instances"][0]["InstanceId"]
        cls.ec2.get_waiter("instance_running").wait(InstanceIds=[cls.instance], WaiterConfig={"Delay": 1, "MaxAttempts": 100})

    @classmethod
    def tearDownClass(cls):
        cls.ec2.terminate_instances(InstanceIds=[cls.instance])

    def start(self, ssm=None, **more):
        return (ssm or self.ssm).start_session(**{"Target": self.instance, **more})

    def find(self, state, session):
        found = self.ssm.describe_sessions(State=state, Filters=[{"key": "SessionId", "value": session["SessionId"]}])["Sessions"]
        return found[0] if found else None

    def wait(self, what):
        end = time.monotonic() + 60
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        return what()

    def test_shell(self):
        session = self.start(Reason="to look")
        self.assertRegex(session["SessionId"], r"^root-[0-9a-f]{17}$")
        channel = Channel(session["StreamUrl"], session["TokenValue"])
        action = channel.request["RequestedClientActions"][0]["ActionParameters"]
        self.assertEqual(action, {"SessionType": "Standard_Stream", "Properties": None})
        channel.window(33, 99)
        channel.send(b"stty size; id -u; cat /proc/1/comm\r")
        channel.until_said(b"33 99\r\n0\r\nsystemd\r\n")
        active = self.wait(lambda: self.find("Active", session)["Status"] == "Connected" and self.find("Active", session))
        self.assertEqual((active["Target"], active["DocumentName"], active["Reason"], active["Owner"]),
                         (self.instance, "SSM-SessionManagerRunShell", "to look", "arn:aws:iam::000000000000:root"))
        self.assertIsNone(self.find("History", session))
        channel.send(b"exit\r")
        self.assertEqual(channel.until_closed(), "")
        ended = self.wait(lambda: self.find("History", session))
        self.assertEqual(ended["Status"], "Terminated")
        self.assertIsNone(self.find("Active", session))
        # what ended goes on for nobody
        self.assertNotIn("TokenValue", self.ssm.resume_session(SessionId=session["SessionId"]))

    def test_command(self):
        session = self.start(DocumentName="AWS-StartInteractiveCommand", Parameters={"command": ["echo $((6*7)); head -c 100000 /dev/zero | tr '\\0' x; echo; seq 3"]})
        channel = Channel(session["StreamUrl"], session["TokenValue"])
        self.assertEqual(channel.request["RequestedClientActions"][0]["ActionParameters"]["SessionType"], "InteractiveCommands")
        self.assertEqual(channel.until_closed(), "")
        self.assertEqual(channel.said, b"42\r\n" + b"x" * 100000 + b"\r\n1\r\n2\r\n3\r\n")

    def test_lost_and_terminated(self):
        session = self.start()
        channel = Channel(session["StreamUrl"], session["TokenValue"])
        channel.send(b"echo $((40+2))\r")
        channel.until_said(b"42\r\n")
        channel.web.close()
        self.wait(lambda: self.find("Active", session)["Status"] == "Disconnected")
        again = self.ssm.resume_session(SessionId=session["SessionId"])
        channel.connect(again["StreamUrl"], again["TokenValue"])
        channel.send(b"echo $((43+1))\r")
        channel.until_said(b"44\r\n")
        self.assertEqual(self.ssm.terminate_session(SessionId=session["SessionId"])["SessionId"], session["SessionId"])
        channel.until_closed()
        self.wait(lambda: self.find("History", session))
        # one that no client ever came for
        session = self.start()
        self.assertEqual(self.find("Active", session)["Status"], "Connecting")
        self.ssm.terminate_session(SessionId=session["SessionId"])
        self.wait(lambda: self.find("History", session))

    def test_lists(self):
        sessions = [self.start() for _ in range(3)]
        ids = {s["SessionId"] for s in sessions}
        now = datetime.datetime.now(datetime.timezone.utc)
        target = {"key": "Target", "value": self.instance}
        listed = lambda *filters: {s["SessionId"] for s in self.ssm.describe_sessions(State="Active", Filters=[target, *filters])["Sessions"]}
        text = lambda hours: (now + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertLessEqual(ids, listed({"key": "InvokedAfter", "value": text(-1)}, {"key": "Status", "value": "Connecting"}))
        self.assertFalse(ids & listed({"key": "InvokedBefore", "value": text(-1)}))
        self.assertFalse(listed({"key": "Owner", "value": "arn:aws:iam::000000000000:user/nobody"}))
        seen, token = [], None
        while True:
            page = self.ssm.describe_sessions(State="Active", MaxResults=1, Filters=[target], **({"NextToken": token} if token else {}))
            seen += [s["SessionId"] for s in page["Sessions"]]
            token = page.get("NextToken")
            if not token:
                break
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(ids, set(seen))
        self.assertAwsError("InvalidNextToken", self.ssm.describe_sessions, State="Active", NextToken="x")
        self.assertAwsError("InvalidFilterKey", self.ssm.describe_sessions, State="Active", Filters=[{"key": "InvokedAfter", "value": "soon"}])
        for s in sessions:
            self.ssm.terminate_session(SessionId=s["SessionId"])

    def test_refusals(self):
        nobody = "i-" + "0" * 17
        status = lambda target: self.ssm.get_connection_status(Target=target)["Status"]
        self.assertEqual((status(self.instance), status(nobody)), ("connected", "notconnected"))
        self.assertAwsError("TargetNotConnected", self.start, Target=nobody, message=f"{nobody} is not connected.")
        self.assertAwsError("InvalidDocument", self.start, DocumentName="nowhere", message="Document with name nowhere does not exist.")
        self.assertAwsError("InvalidParameters", self.start, Parameters={"portNumber": ["80"]}, message="portNumber")
        self.assertAwsError("InvalidParameters", self.start, DocumentName="AWS-StartInteractiveCommand", message="command")
        self.assertAwsError("UnsupportedOperationException", self.start, DocumentName="AWS-StartPortForwardingSession", status=501,
                            Parameters={"portNumber": ["80"]}, message="AWS-StartPortForwardingSession")
        self.assertAwsError("DoesNotExistException", self.ssm.resume_session, SessionId="root-0")

    def test_permissions(self):
        iam, name = client("iam"), "sessions-" + uuid.uuid4().hex[:8]
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        ssm = client("ssm", key["AccessKeyId"], key["SecretAccessKey"])
        instance = f"arn:aws:ec2:us-east-1:000000000000:instance/{self.instance}"
        shell = "arn:aws:ssm:us-east-1:000000000000:document/SSM-SessionManagerRunShell"

        def allow(*statements):
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", **s} for s in statements]}))
        self.assertAwsError("AccessDeniedException", self.start, ssm, message=f"ssm:StartSession on resource: {instance}")
        allow({"Action": "ssm:StartSession", "Resource": instance, "Condition": {"StringEquals": {"ssm:resourceTag/team": "red"}}})
        self.assertAwsError("AccessDeniedException", self.start, ssm, message="ssm:StartSession")
        mine = {"Action": ["ssm:TerminateSession", "ssm:ResumeSession"], "Resource": "arn:aws:ssm:*:*:session/${aws:username}-*"}
        allow({"Action": "ssm:StartSession", "Resource": instance, "Condition": {"StringEquals": {"ssm:resourceTag/team": "blue"}}}, mine)
        session = self.start(ssm)
        self.assertRegex(session["SessionId"], f"^{name}-[0-9a-f]{{17}}$")
        self.assertAwsError("AccessDeniedException", self.start, ssm, DocumentName="SSM-SessionManagerRunShell", message=shell)
        allow({"Action": "ssm:StartSession", "Resource": [instance, shell]}, mine)
        other = self.start(ssm, DocumentName="SSM-SessionManagerRunShell")
        ssm.resume_session(SessionId=session["SessionId"])
        ssm.terminate_session(SessionId=session["SessionId"])
        others = self.start()
        self.assertAwsError("AccessDeniedException", ssm.terminate_session, SessionId=others["SessionId"], message="ssm:TerminateSession")
        allow({"Action": "ssm:TerminateSession", "Resource": "*", "Condition": {"StringEquals": {"ssm:resourceTag/aws:ssmmessages:session-id": ["${aws:userid}"]}}})
        self.assertAwsError("AccessDeniedException", ssm.terminate_session, SessionId=others["SessionId"], message="ssm:TerminateSession")
        ssm.terminate_session(SessionId=other["SessionId"])
        self.wait(lambda: self.find("History", other))
        self.ssm.terminate_session(SessionId=others["SessionId"])


if __name__ == "__main__":
    unittest.main()
