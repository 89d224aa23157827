"""ExecuteCommand with its data channel, as AWS's session-manager-plugin speaks it: who may, what the program gets, what becomes of
messages that are lost, late, doubled or broken, and how a session ends."""
import hashlib
import json
import os
import struct
import time
import unittest
import unittest.mock
import urllib.parse

from aws import ENDPOINT, client
from channel import COMPLETE, FLAG, OUTPUT, Channel, Closed, Message, WebSocket
from tasks import TaskCase, role

STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


class Execute(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.role = role("execute-task-" + cls.word, "ecs-tasks.amazonaws.com")
        cls.ssm = client("ssm", region=cls.region)
        case = cls("test_program")
        definition = case.register({"command": STAY, "environment": [{"name": "A", "value": "b c"}]}, {"name": "other", "command": STAY},
                                   taskRoleArn=cls.role)
        (task,) = case.run_tasks(definition, enableExecuteCommand=True)
        cls.arn = task["taskArn"]
        case.until(cls.arn, "RUNNING")

    def execute(self, command="/bin/sh", container="c", ecs=None, **more):
        return (ecs or self.ecs).execute_command(**{"cluster": self.cluster, "task": self.arn, "container": container, "command": command,
                                                    "interactive": True, **more})

    def open(self, *args, **more):
        session = self.execute(*args)["session"]
        self.session = session["sessionId"]
        return Channel(session["streamUrl"], session["tokenValue"], **more)

    def sessions(self, state):
        found = self.ssm.describe_sessions(State=state, Filters=[{"key": "SessionId", "value": self.session}])["Sessions"]
        return found[0] if found else None

    def until_ended(self):
        end = time.monotonic() + 60
        while not self.sessions("History"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        return self.sessions("History")

    def test_answer(self):
        answer = self.execute("/bin/true")
        self.assertEqual((answer["clusterArn"].rsplit("/", 1)[1], answer["taskArn"], answer["containerName"], answer["interactive"]),
                         (self.cluster, self.arn, "c", True))
        self.assertEqual(answer["containerArn"], self.task(self.arn)["containers"][0]["containerArn"])
        session = answer["session"]
        self.assertRegex(session["sessionId"], r"^ecs-execute-command-[0-9a-f]{17}$")
        netloc = urllib.parse.urlsplit(ENDPOINT).netloc
        self.assertEqual(session["streamUrl"], f"ws://{netloc}/v1/data-channel/{session['sessionId']}?role=publish_subscribe")
        agents = [c["managedAgents"] for c in self.task(self.arn)["containers"]]
        self.assertEqual([[(a["name"], a["lastStatus"]) for a in one] for one in agents], [[("ExecuteCommandAgent", "RUNNING")]] * 2)
        self.assertTrue(all(a[0]["lastStartedAt"] for a in agents))

    def test_program(self):
        """A shell on a terminal whose size follows the client's; it ends, and so does the session."""
        channel = self.open()
        self.assertEqual(channel.request["RequestedClientActions"][0]["ActionType"], "SessionType")
        self.assertEqual(channel.request["RequestedClientActions"][0]["ActionParameters"]["SessionType"], "InteractiveCommands")
        channel.window(31, 97)
        channel.send(b"echo A=$A; stty size; id -u; tty\r")
        channel.until_said(b"A=b c\r\n31 97\r\n0\r\n/dev/pts/")
        channel.send(b"echo $TERM $FROM_IMAGE\r")
        channel.until_said(b"xterm-256color yes\r\n")
        end = time.monotonic() + 60
        while self.sessions("Active")["Status"] != "Connected":
            self.assertLess(time.monotonic(), end)
        channel.window(11, 22)
        channel.send(b"stty size\r")
        channel.until_said(b"11 22\r\n")
        channel.send(b"exit 3\r")
        self.assertEqual(channel.until_closed(), "")
        self.assertEqual((channel.closed["SessionId"], channel.closed["MessageType"]), (self.session, "channel_closed"))
        with self.assertRaises(Closed) as closed:
            channel.step()
        self.assertEqual(closed.exception.args[0], 1000)
        session = self.until_ended()
        self.assertEqual((session["Status"], session["DocumentName"]), ("Terminated", "AmazonECS-ExecuteInteractiveCommand"))
        self.assertEqual(session["Target"], f"ecs:{self.cluster}_{self.arn[-32:]}_{self.task(self.arn)['containers'][0]['runtimeId']}")
        self.assertGreaterEqual(session["EndDate"], session["StartDate"])

    def test_words(self):
        """A command line is taken apart like a shell's, and no shell expands it."""
        channel = self.open("/bin/echo 'one two' \"a\\\"b\" c\\ d $A ''e")
        channel.until_closed()
        self.assertEqual(channel.said, b"one two a\"b c d $A e\r\n")
        channel = self.open("/bin/sh -c 'echo ${A:-other}'", "other")
        channel.until_closed()
        self.assertEqual(channel.said, b"other\r\n")

    def test_much(self):
        """More than is under way at once arrives whole, in order and once, both ways."""
        channel = self.open("/bin/sh -c 'stty raw -echo; echo go; head -c 300000 | md5sum; i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done'")
        channel.until_said(b"go\n")
        data = bytes(range(256)) * 1172
        for at in range(0, 300000, 1024):
            channel.send(data[at:min(at + 1024, 300000)])
        numbers = b"".join(b"%d\n" % i for i in range(20000))
        channel.until_closed()
        self.assertEqual(channel.said, b"go\n" + hashlib.md5(data[:300000]).hexdigest().encode() + b"  -\n" + numbers)
        self.assertEqual(channel.acknowledged, set(range(channel.next)))

    def test_order(self):
        """Messages that come late or twice have their effect in their order and once; each is acknowledged."""
        channel = self.open("/bin/sh -c 'stty raw -echo; echo go; head -c 6; echo; head -c 1'")
        channel.until_said(b"go\n")
        first = channel.next
        later = [channel.send(text, sequence=first + n) for n, text in ((2, b"ef"), (1, b"cd"), (1, b"cd"))]
        channel.until(lambda: {first + 1, first + 2} <= channel.acknowledged)
        self.assertNotIn(first, channel.acknowledged)
        self.assertEqual(channel.said, b"go\n")
        channel.send(b"ab", sequence=first)
        channel.until_said(b"abcdef\n")
        channel.acknowledged.clear()
        channel.send_message(later[0])  # a lost acknowledgement is asked for again
        channel.until(lambda: first + 2 in channel.acknowledged)
        channel.send(b"far away", sequence=first + 1000000)
        channel.send(b".", sequence=first + 3)
        channel.until_closed()
        self.assertEqual(channel.said, b"go\nabcdef\n.")
        self.assertNotIn(first + 1000000, channel.acknowledged)

    def test_again(self):
        """What is not acknowledged comes again, as it was."""
        channel = self.open("/bin/sh -c 'echo once; sleep 1000'", acknowledge=False, shake=False)
        first, again = channel.step(), channel.step()
        self.assertEqual((again.bytes()[52:], first.flags, first.sequence), (first.bytes()[52:], 1, 0))
        channel.acknowledge(again)
        channel.answer()
        seen = []
        while len([m for m in seen if m.payload_type == COMPLETE]) < 3:
            message = channel.step()
            if message.kind == "output_stream_data" and message.sequence:
                seen.append(message)
        channel.acknowledge(seen[0])
        while not seen[-1].payload_type == OUTPUT or len([m for m in seen if m.payload_type == OUTPUT]) < 3:
            seen.append(channel.step())
        outputs = [m for m in seen if m.payload_type == OUTPUT]
        self.assertEqual([(m.id, m.payload) for m in outputs], [(outputs[0].id, b"once\r\n")] * 3)
        self.assertEqual(len({m.id for m in seen if m.payload_type == COMPLETE}), 1)

    def test_pause(self):
        """A client that pauses hears nothing until it goes on."""
        channel = self.open()
        channel.send_message(Message("pause_publication"))
        channel.send(b"echo paused-$((1+1))\r")
        channel.until(lambda: channel.next - 1 in channel.acknowledged)
        channel.send_message(Message("made_up", b"whatever"))  # of a newer client
        self.assertNotIn(b"paused-2", channel.said)
        channel.send_message(Message("start_publication"))
        channel.until_said(b"paused-2")

    def test_resume(self):
        """A lost connection is not the session's end: the client comes back with a new token and misses nothing."""
        channel = self.open("/bin/sh -c 'stty -echo; echo begun; read x; echo got $x; sleep 1000'")
        channel.until_said(b"begun\r\n")
        channel.web.close()
        end = time.monotonic() + 60
        while self.sessions("Active")["Status"] != "Disconnected":
            self.assertLess(time.monotonic(), end)
        answer = self.ssm.resume_session(SessionId=self.session)
        self.assertEqual(answer["SessionId"], self.session)
        channel.connect(answer["StreamUrl"], answer["TokenValue"])
        channel.send(b"it\r")
        channel.until_said(b"got it\r\n")
        self.assertEqual(channel.said, b"begun\r\ngot it\r\n")
        # a second client takes the session over from the first
        answer, old = self.ssm.resume_session(SessionId=self.session), channel.web
        channel.connect(answer["StreamUrl"], answer["TokenValue"])
        with self.assertRaises(Closed):
            while True:
                old.read_message()
        self.ssm.terminate_session(SessionId=self.session)
        channel.until_closed()
        self.until_ended()
        self.assertNotIn("TokenValue", self.ssm.resume_session(SessionId=self.session))
        with self.assertRaises(self.ssm.exceptions.DoesNotExistException):
            self.ssm.resume_session(SessionId="ecs-execute-command-0")

    def test_ends(self):
        """By the client's flag, by what the handshake says, by the task's end."""
        channel = self.open()
        channel.send(struct.pack(">I", 2), FLAG)
        self.assertEqual(channel.until_closed(), "")
        self.until_ended()
        channel = self.open(shake=False)
        channel.until(lambda: channel.request)
        channel.answer(status=2, error="Unknown session type")
        self.assertIn("Unknown session type", channel.until_closed())
        channel = self.open("/missing")
        self.assertIn("/missing", channel.until_closed())
        (task,) = self.run_tasks(self.register(STAY, taskRoleArn=self.role), enableExecuteCommand=True)
        self.until(task["taskArn"], "RUNNING")
        session = self.execute(task=task["taskArn"])["session"]
        channel = Channel(session["streamUrl"], session["tokenValue"])
        self.session = session["sessionId"]
        self.ecs.stop_task(cluster=self.cluster, task=task["taskArn"])
        channel.until_closed()
        self.until_ended()
        self.until(task["taskArn"], "STOPPED")

    def test_token(self):
        """A token opens one channel of its own session, and is the first that is said."""
        one, other = self.execute()["session"], self.execute()["session"]

        def refused(url, text, opcode=1):
            web = WebSocket(url)
            web.send_frame(opcode, text)
            with self.assertRaises(Closed) as closed:
                web.read_message()
            return closed.exception.args[0]
        token = lambda value, version="1.0": json.dumps({"MessageSchemaVersion": version, "TokenValue": value}).encode()
        for text in (token(other["tokenValue"]), token("x"), token(one["tokenValue"], "2.0"), b"{}", b"not JSON", b"[" * 10000):
            self.assertEqual(refused(one["streamUrl"], text), 1008, text)
        self.assertEqual(refused(one["streamUrl"], token(one["tokenValue"]), opcode=2), 1008)
        self.assertEqual(refused(one["streamUrl"].replace(one["sessionId"], "nobody-0"), token(one["tokenValue"])), 1008)
        Channel(one["streamUrl"], one["tokenValue"])
        self.assertEqual(refused(one["streamUrl"], token(one["tokenValue"])), 1008)

    def test_broken(self):
        """Who does not speak the protocol loses the connection, and nobody else anything."""
        def code(send):
            channel = self.open("/bin/sleep 1000")
            send(channel)
            with self.assertRaises(Closed) as closed:
                while True:
                    channel.step()
            self.assertEqual(self.sessions("Active")["SessionId"], self.session)
            return closed.exception.args[0]
        good = Message("input_stream_data", b"x", 1, OUTPUT).bytes()
        for data in (good[:-1], good[:100], good + b"y", good[:-1] + b"y", b"\xff" * 4 + good[4:], good[:4] + b" " * 32 + good[36:]):
            self.assertEqual(code(lambda c: c.web.send_frame(2, data)), 1002, data)
        self.assertEqual(code(lambda c: c.web.send_frame(1, b"text")), 1002)
        self.assertEqual(code(lambda c: c.web.send_frame(2, good, masked=False)), 1002)
        self.assertEqual(code(lambda c: c.web.send_frame(2, good, rsv=0x40)), 1002)
        self.assertEqual(code(lambda c: c.web.send_frame(0, good)), 1002)
        self.assertEqual(code(lambda c: c.web.send_frame(1, b"\xff\xfe")), 1007)
        self.assertEqual(code(lambda c: c.web.send_frame(2, bytes(200000))), 1009)
        # fragments, with a ping between them, are one message
        channel = self.open("/bin/cat")
        data = Message("input_stream_data", b"in pieces\r", channel.next, OUTPUT).bytes()
        channel.web.send_frame(2, data[:50], fin=False)
        channel.web.send_frame(9, b"there?")
        channel.web.send_frame(0, data[50:100], fin=False)
        channel.web.send_frame(0, data[100:])
        self.assertEqual(channel.web.read_frame()[0] in (2, 10), True)
        channel.until_said(b"in pieces\r\nin pieces\r\n")

    def test_tls(self):
        """Who came by TLS is sent to a channel over TLS."""
        ca = os.path.join(os.environ["QUARTET_DATA"], "tls", "ca.pem")
        with unittest.mock.patch.dict(os.environ, AWS_CA_BUNDLE=ca):
            ecs = client("ecs", region=self.region, endpoint=os.environ["QUARTET_TLS_ENDPOINT"])
            session = self.execute("/bin/sh -c 'stty raw -echo; echo go; head -c 200000 | md5sum'", ecs=ecs)["session"]
        self.assertTrue(session["streamUrl"].startswith("wss://localhost:"))
        channel = Channel(session["streamUrl"], session["tokenValue"], ca)
        channel.until_said(b"go\n")
        for _ in range(200):
            channel.send(b"x" * 1000)
        self.assertEqual(channel.until_closed(), "")
        self.assertEqual(channel.said, b"go\n" + hashlib.md5(b"x" * 200000).hexdigest().encode() + b"  -\n")
        with self.assertRaises(Closed):
            channel.step()

    def test_handshake(self):
        url = self.execute()["session"]["streamUrl"]
        self.assertEqual(WebSocket(url, version="8").status, 426)
        self.assertEqual(WebSocket(url, headers=["Content-Length: 1"]).status, 400)

    def test_refusals(self):
        def says(code, message, **more):
            self.assertAwsError(code, self.execute, message=message, **more)
        says("InvalidParameterException", "Interactive is the only mode supported currently.", interactive=False)
        says("InvalidParameterException", "several containers", container="")
        says("InvalidParameterException", "no container 'x'", container="x")
        says("InvalidParameterException", "not found", task=self.arn[:-32] + "0" * 32)
        says("InvalidParameterException", "quotes", command="echo 'open")
        says("InvalidParameterException", "quotes", command="  ")
        says("ClusterNotFoundException", "", cluster="nowhere")
        plain = self.run_task(STAY, taskRoleArn=self.role)
        self.until(plain, "RUNNING")
        says("InvalidParameterException", "execute command was not enabled when the task was run or the execute command agent isn't running. "
             "Wait and try again or run a new task with execute command enabled and try again.", task=plain)
        self.ecs.stop_task(cluster=self.cluster, task=plain)
        (task,) = self.run_tasks(self.register(STAY, taskRoleArn=self.role), enableExecuteCommand=True)
        self.until(task["taskArn"], "RUNNING")
        self.ecs.stop_task(cluster=self.cluster, task=task["taskArn"])
        self.until(task["taskArn"], "STOPPED")
        says("TargetNotConnectedException", "internal error. Try again later.", task=task["taskArn"])

    def test_permissions(self):
        """On the cluster and on the task, with the container's name as a condition."""
        iam, name = client("iam"), "execute-" + self.word
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        ecs = client("ecs", key["AccessKeyId"], key["SecretAccessKey"], region=self.region)
        cluster = self.ecs.describe_clusters(clusters=[self.cluster])["clusters"][0]["clusterArn"]

        def allow(resources, **condition):
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "ecs:ExecuteCommand", "Resource": resources, **condition}]}))
        self.assertAwsError("AccessDeniedException", self.execute, ecs=ecs, message="ecs:ExecuteCommand")
        allow([self.arn])
        self.assertAwsError("AccessDeniedException", self.execute, ecs=ecs, message=cluster)
        allow([cluster])
        self.assertAwsError("AccessDeniedException", self.execute, ecs=ecs, message=self.arn)
        allow([cluster, self.arn], Condition={"StringEquals": {"ecs:container-name": "other"}})
        self.assertAwsError("AccessDeniedException", self.execute, ecs=ecs, message="ecs:ExecuteCommand")
        self.execute(container="other", ecs=ecs)
        allow([cluster, self.arn])
        self.execute(ecs=ecs)

    def test_services(self):
        """A service's tasks have it as the service says when they start; changing that is no deployment."""
        network = {"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]]}}
        make = lambda name, definition, **more: self.ecs.create_service(cluster=self.cluster, serviceName=name, taskDefinition=definition, desiredCount=1,
                                                                        launchType="FARGATE", networkConfiguration=network, **more)["service"]
        without = self.register(STAY)
        self.assertAwsError("InvalidParameterException", make, "none", without, enableExecuteCommand=True,
                            message="The service couldn't be created because a valid taskRoleArn is not being used.")
        service = make("exec", self.register(STAY, taskRoleArn=self.role), enableExecuteCommand=True)
        self.addCleanup(lambda: self.ecs.delete_service(cluster=self.cluster, service="exec", force=True))
        self.assertIs(service["enableExecuteCommand"], True)

        def task():
            tasks = self.ecs.list_tasks(cluster=self.cluster, serviceName="exec")["taskArns"]
            return tasks and tasks[0]
        arn = self.wait(task)
        self.until(arn, "RUNNING")
        session = self.execute("/bin/echo in", task=arn)["session"]
        channel = Channel(session["streamUrl"], session["tokenValue"])
        channel.until_closed()
        self.assertEqual(channel.said, b"in\r\n")
        update = lambda **what: self.ecs.update_service(cluster=self.cluster, service="exec", **what)["service"]
        self.assertAwsError("InvalidParameterException", update, taskDefinition=without, message="couldn't be updated because a valid taskRoleArn")
        service = update(enableExecuteCommand=False)
        self.assertIs(service["enableExecuteCommand"], False)
        self.assertEqual(len(service["deployments"]), 1)
        self.assertIs(self.task(arn)["enableExecuteCommand"], True)
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        self.assertIs(self.task(self.wait(lambda: task() not in (arn, []) and task()))["enableExecuteCommand"], False)


if __name__ == "__main__":
    unittest.main()
