"""kill -9 of each role while functions run: callers get an answer or an error, accepted events run in the end, no sandbox is left."""
import json
import os
import pathlib
import signal
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError

import raw
from functions import ALLOWED, Functions, package
from killing import Killing
from leftovers import processes
from raw import Signer

BUCKET = "killed"
NOTE = """
import http.client, time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("to"):
        c = http.client.HTTPConnection("127.0.0.1", 4566, timeout=5)
        c.request("PUT", event["to"], body=str(event["number"]))
        if c.getresponse().status != 200:
            raise RuntimeError("not written")
    return event["number"]
"""

# Registers, and when it is told of the end it stays as long as it is let.
CLINGING = """#!/usr/bin/python3 -SE
import http.client, os, sys, time
def ask(method, path, body=None, **headers):
    c = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    c.request(method, "/2020-01-01/extension/" + path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    return c.getresponse()
me = ask("POST", "register", '{"events":["INVOKE","SHUTDOWN"]}', Lambda_Extension_Name="clinging").getheader("Lambda-Extension-Identifier")
while b"SHUTDOWN" not in (event := ask("GET", "event/next", Lambda_Extension_Identifier=me).read()):
    pass
print("heard", event, flush=True)
time.sleep(600)
"""


class KilledExtensions(Killing):
    def test_while_an_environment_ends(self):
        """An extension that does not go by itself keeps its sandbox for two seconds: whoever is killed meanwhile takes it along."""
        functions, self.logs = Functions(self.cloud), self.cloud.client("logs")
        layer = functions.aws.publish_layer_version(LayerName="clinging", Content={"ZipFile": package(CLINGING, "extensions/clinging", 0o755)})
        functions.make("followed", "def handler(event, context): return event", Timeout=10, Layers=[layer["LayerVersionArn"]])
        for number, who in enumerate((("api",), ("priv",), ("main",), ("api", "priv", "main"))):
            self.end_one(functions, number)
            self.kill(who)
            self.gone(number)
        # and of itself, and with the cloud
        self.end_one(functions, 4)
        self.gone(4)
        self.assertEqual(self.call(functions, 5), 5)
        self.end_one(functions, 5)
        self.end()

    def call(self, functions, number, seconds=60):
        until = time.monotonic() + seconds
        while True:
            try:
                error, answer = functions.call("followed", number)
                if not error:
                    return answer
            except ClientError as e:
                self.assertIn(e.response["Error"]["Code"], ("ServiceException", "InternalFailure"))
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def end_one(self, functions, number):
        """New code, and so the end of the environments of before; returns when an extension has heard of it."""
        heard = self.heard()
        self.assertEqual(self.call(functions, number), number)
        functions.aws.update_function_code(FunctionName="followed", ZipFile=package(f"def handler(event, context): return event  # {number}"))
        until = time.monotonic() + 60
        while self.heard() <= heard:
            self.assertLess(time.monotonic(), until, "nobody was told of the end")
            time.sleep(0.02)

    def heard(self):
        try:
            return len(self.logs.filter_log_events(logGroupName="/aws/lambda/followed", filterPattern='"heard"')["events"])
        except self.logs.exceptions.ResourceNotFoundException:
            return 0

    def gone(self, number):
        until = time.monotonic() + 30
        while found := [what for what in processes(self.data).values() if "clinging" in what]:
            self.assertLess(time.monotonic(), until, (number, found))
            time.sleep(0.02)


NAMED = """
import socket
def handler(event, context):
    try:
        return socket.gethostbyname(event)
    except OSError as e:
        return str(e)
"""


def words(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def eventually(look, wanted, seconds=60):
    """What look() says, at the latest when it says what is wanted."""
    until = time.monotonic() + seconds
    while (found := look()) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    return found


class KilledFunctions(Killing):
    def setUp(self):
        super().setUp()
        self.cloud.client("s3").create_bucket(Bucket=BUCKET)
        self.functions = Functions(self.cloud)
        self.functions.make("note", NOTE, Timeout=10)

    def invoke(self, ask, event, kind="RequestResponse", name="note"):
        return ask("lambda", "POST", f"/2015-03-31/functions/{name}/invocations", json.dumps(event).encode(),
                   headers={"x-amz-invocation-type": kind})

    def writer(self):
        """Signs links that functions write to: no SDK to load, no second try."""
        iam = self.cloud.client("iam")
        iam.create_user(UserName="writer")
        iam.put_user_policy(UserName="writer", PolicyName="p", PolicyDocument=json.dumps(ALLOWED))
        key = iam.create_access_key(UserName="writer")["AccessKey"]
        return Signer(4566, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    def all_written(self, numbers, what):
        s3, until = self.cloud.client("s3"), time.monotonic() + 40
        while True:
            there = {int(o["Key"][1:]) for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for o in page.get("Contents", [])}
            if numbers <= there or time.monotonic() > until:
                break
            time.sleep(0.2)
        self.assertEqual(numbers - there, set(), what)

    def test_calls_in_flight(self):
        wrong = []

        def calls(thread):
            def step(number, ask):
                event = {"number": thread * 100000 + number, "sleep": 0.02 * (number % 4)}
                reply = self.invoke(ask, event)
                # an error of the service, or the function's own answer: never somebody else's, never half of one
                if reply and reply.status == 200 and "x-amz-function-error" not in reply.headers and json.loads(reply.body) != event["number"]:
                    wrong.append((event, reply.body))
            return step

        self.rounds([calls(t) for t in range(4)], victims=(("api",), ("priv",), ("main",), ("api", "priv", "main")), before_s=0.8)
        self.assertEqual(wrong, [])
        self.assertEqual(self.functions.call("note", {"number": 5}), (None, 5))
        self.end()

    def test_accepted_events_run_in_the_end(self):
        accepted, signer = set(), self.writer()

        def events(number, ask):
            reply = self.invoke(ask, {"number": number, "to": signer.presign("PUT", f"/{BUCKET}/e{number}", expires=3600)}, "Event")
            if reply and reply.status == 202:
                accepted.add(number)
            time.sleep(0.03)

        def calls(number, ask):
            self.invoke(ask, {"number": number, "sleep": 0.05})

        self.rounds([events, calls], victims=(("api",), ("priv",), ("main",), ("api", "priv", "main")), before_s=0.8)
        self.assertGreater(len(accepted), 3)
        self.all_written(accepted, "accepted and never run")
        self.end()

    def test_destinations_are_told_in_the_end(self):
        """What becomes of an event is told to its destination, whatever died between the end of the one and the beginning of the other."""
        accepted, signer = set(), self.writer()
        self.functions.make("sink", NOTE.replace("time.sleep", "event = event['requestPayload']\n    time.sleep"), Timeout=10)
        self.functions.make("fails", "def handler(event, context): raise ValueError(event['number'])", Timeout=10)
        sink = self.functions.aws.get_function_configuration(FunctionName="sink")["FunctionArn"]
        self.functions.aws.put_function_event_invoke_config(FunctionName="fails", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": sink}})

        def events(number, ask):
            reply = self.invoke(ask, {"number": number, "to": signer.presign("PUT", f"/{BUCKET}/e{number}", expires=3600)}, "Event", "fails")
            if reply and reply.status == 202:
                accepted.add(number)
            time.sleep(0.005)

        self.rounds([events], victims=(("api",), ("main",), ("api", "priv", "main")), before_s=1.5)
        self.assertGreater(len(accepted), 3)
        self.all_written(accepted, "failed, and nobody was told")
        self.end()

    def test_a_burst_of_events_leaves_room(self):
        """Events that each want a slow start do not start all at once: a caller in between is served."""
        self.functions.make("slow", "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until: pass\n"
                                    "def handler(e, c): return e", Timeout=10)
        for number in range(150):
            self.functions.aws.invoke(FunctionName="slow", InvocationType="Event", Payload=json.dumps(number))
        took, most = [], 0
        for number in range(5):
            began = time.monotonic()
            self.assertEqual(self.functions.call("note", {"number": number}), (None, number))
            took.append(time.monotonic() - began)
            most = max(most, self.cloud.health()["sandboxes"]["claimed"])
            time.sleep(0.1)
        self.assertLess(max(took), 5, took)
        self.assertLess(most, 60)
        until = time.monotonic() + 40
        while self.done("slow") < 150 and time.monotonic() < until:
            time.sleep(0.3)
        self.assertEqual(self.done("slow"), 150)
        self.end()

    def done(self, name):
        """How many invocations of a function its log tells of."""
        pages = self.cloud.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/" + name, filterPattern='"REPORT"')
        return sum(len(p["events"]) for p in pages)

    def test_stopped_in_the_middle(self):
        """TERM while calls are under way: they end, one way or the other, and nothing is left."""
        sockets = []
        for number in range(6):
            s = raw.connect(self.cloud.port, 20)
            s.sendall(Signer(self.cloud.port, "lambda").request("POST", "/2015-03-31/functions/note/invocations",
                                                                json.dumps({"number": number, "sleep": 0.7}).encode()))
            sockets.append(s)
        time.sleep(0.3)
        self.cloud.process.terminate()
        replies = [raw.read_reply(s) for s in sockets]
        self.assertEqual([r and r.body for r in replies], [str(n).encode() for n in range(6)], "calls under way were not finished")
        self.cloud.process.wait(20)
        for s in sockets:
            s.close()
        # and what they wrote is in the log
        self.cloud.log.close()
        self.cloud.start()
        self.assertEqual(self.done("note"), 6)
        self.end()

    def test_a_sandbox_dies_alone(self):
        """kill -9 of the function's own process and of the first process of its sandbox."""
        for _ in range(3):
            self.assertEqual(self.call_until_answered({"number": 1}), (None, 1))
            roles = {self.cloud.process.pid, self.cloud.role_pid("api"), self.cloud.role_pid("priv")}
            for pid in processes(self.data):
                if pid not in roles:
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
            began = time.monotonic()
            try:
                error, answer = self.functions.call("note", {"number": 2})
                self.assertTrue(error or answer == 2, (error, answer))
            except ClientError as e:
                self.assertEqual(e.response["Error"]["Code"], "ServiceException")
            self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(self.call_until_answered({"number": 3}), (None, 3))
        self.end()

    def call_until_answered(self, event, seconds=30):
        """A sandbox whose death has not been noticed yet takes an event along: its caller is told and asks again, as an SDK would."""
        until = time.monotonic() + seconds
        while True:
            try:
                return self.functions.call("note", event)
            except ClientError as e:
                if e.response["Error"]["Code"] != "ServiceException" or time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def test_a_call_waits_for_the_next_priv(self):
        """A call that comes while there is no priv has begun nothing: it is no reason to fail. main sleeps, so that there is none for a while."""
        self.assertEqual(self.functions.call("note", {"number": 1}), (None, 1))
        os.kill(self.cloud.process.pid, signal.SIGSTOP)
        waker = threading.Timer(0.5, os.kill, (self.cloud.process.pid, signal.SIGCONT))
        try:
            self.cloud.kill("priv")
            until = time.monotonic() + 5
            while self.cloud.health()["sandboxes"]["claimed"] and time.monotonic() < until:
                time.sleep(0.01)
            waker.start()
            self.assertEqual(self.functions.call("note", {"number": 2}), (None, 2))
        finally:
            waker.cancel()
            os.kill(self.cloud.process.pid, signal.SIGCONT)
        self.end()

    def net(self, comm):
        """Processes of this cloud of that name: of routers, or of their heir."""
        return [int(place.parent.name) for place in pathlib.Path("/proc").glob("[0-9]*/comm")
                if words(place).strip() == comm and self.data in words(place.with_name("cmdline"))]

    def test_in_a_vpc(self):
        """The VPC's resolver is behind all that leads a function there. Links of before a death lead somewhere, or nobody is given them."""
        ec2, iam = self.cloud.client("ec2"), self.cloud.client("iam")
        iam.put_role_policy(RoleName="fault", PolicyName="vpc", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ec2:*NetworkInterface*", "Resource": "*"}]}))
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        self.functions.make("in", NAMED, VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group]})
        eni = ec2.describe_network_interfaces(Filters=[{"Name": "interface-type", "Values": ["lambda"]}])["NetworkInterfaces"][0]

        def answers():
            until, said = time.monotonic() + 60, None
            while time.monotonic() < until:
                try:
                    said = self.functions.call("in", eni["PrivateDnsName"])
                except (ClientError, OSError, BotoCoreError) as e:
                    said = e
                if said == (None, eni["PrivateIpAddress"]):
                    return
                time.sleep(0.1)
            self.fail(said)
        answers()
        for victims in (("api",), ("priv",), ("quartet-net",), ("quartet-net", "quartet-heir"), ("main",)):
            with self.subTest(victims=victims):
                if "quartet-net" in victims:
                    doomed = [p for v in victims for p in self.net(v)]
                    self.assertEqual(len(doomed), len(victims))
                    for pid in doomed:
                        os.kill(pid, signal.SIGKILL)
                else:
                    self.kill(victims)
                answers()
        self.cloud.client("lambda").delete_function(FunctionName="in")
        self.cloud.forward("70s")
        self.assertEqual(eventually(lambda: ec2.describe_network_interfaces(Filters=[{"Name": "interface-type", "Values": ["lambda"]}])["NetworkInterfaces"], []), [])
        self.end()

if __name__ == "__main__":
    unittest.main()
