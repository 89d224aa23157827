"""Extensions: who is started when, what they are told, how an invocation waits for them, what becomes of bad ones, and their end."""
import json
import os
import re
import time
import urllib.request
import uuid

import function_image as images
from extensions import FUNCTION, ExtensionCase, log_text
from lambdacase import ACCOUNT
from test_images import MACHINE, ImageCase


class Extensions(ExtensionCase):
    def test_order_and_events(self):
        name = self.extended({"a-one": {"late": 0.3}, "b-two": {"events": ["INVOKE"]}, "c.sh": {"events": ["SHUTDOWN"]}, "d": {"events": []}})
        first = self.result(name)
        seen = self.seen(self.again(name, first["me"]))
        registered = {s["who"]: s for s in seen if s["what"] == "registered"}
        self.assertEqual(sorted(registered), ["a-one", "b-two", "c.sh", "d"])
        for who, one in registered.items():
            self.assertLess(one["before"], first["born"], "the runtime starts when all have registered")
            self.assertEqual(one["status"], 200)
            self.assertRegex(one["id"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
            self.assertEqual(json.loads(one["body"]), {"functionName": name, "functionVersion": "$LATEST", "handler": "lambda_function.lambda_handler",
                                                       "accountId": ACCOUNT})
            env = one["env"]
            self.assertEqual((env["AWS_LAMBDA_FUNCTION_NAME"], env["AWS_REGION"], env["AWS_LAMBDA_FUNCTION_VERSION"]), (name, "us-east-1", "$LATEST"))
            self.assertTrue(env["AWS_SESSION_TOKEN"] and env["AWS_ACCESS_KEY_ID"] and "EXT" in env)
            hidden = {"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "_HANDLER",
                      "AWS_XRAY_DAEMON_ADDRESS"}
            self.assertEqual(hidden & set(env), set())
            self.assertEqual(one["uid"], 993)
        # of the second call the function may be quicker than they are
        events = [s for s in seen if s["what"] == "event"]
        for who in ("a-one", "b-two"):
            told = next(s["event"] for s in events if s["who"] == who)
            self.assertEqual((told["eventType"], told["requestId"], told["invokedFunctionArn"]), ("INVOKE", first["id"], first["arn"]))
            self.assertEqual(told["tracing"]["type"], "X-Amzn-Trace-Id")
            self.assertTrue(told["tracing"]["value"].startswith("Root="))
            self.assertLess(abs(told["deadlineMs"] / 1000 - 30 - time.time()), 60)
        self.assertEqual({s["who"] for s in events}, {"a-one", "b-two"})
        text = self.lines(name, lambda t: t.count("REPORT") >= 2)
        ready = re.findall(r"EXTENSION\tName: (\S+)\tState: Ready\tEvents: \[(.*)\]\n", text)
        self.assertEqual(sorted(e for _, e in ready), ["", "INVOKE", "INVOKE,SHUTDOWN", "SHUTDOWN"])
        self.assertLess(text.index("EXTENSION"), text.index("START RequestId"))
        self.assertIn("heard a-one INVOKE", text)

    def test_answer_before_the_extension(self):
        """The caller has his answer at once; the environment, its bill and its metrics wait."""
        name = self.extended({"slow": {"then": "time.sleep(2) if event['eventType'] == 'INVOKE' else 0"}})
        self.result(name)
        began = time.monotonic()
        first = self.result(name)
        took = time.monotonic() - began
        second = self.result(name)
        text = self.lines(name, lambda t: t.count("REPORT") >= 3)
        durations = [float(x) for x in re.findall(r"\tDuration: ([0-9.]+) ms", text)]
        self.assertTrue(all(2000 <= d < 20000 for d in durations), text)
        self.assertLess(took * 1000, max(durations))
        self.assertNotEqual(first["me"], second["me"], "it is not given another event meanwhile")
        billed = [int(x) for x in re.findall(r"Billed Duration: ([0-9]+) ms", text)]
        self.assertTrue(all(b >= d for b, d in zip(billed, durations)), text)
        self.assertGreaterEqual(self.metric("PostRuntimeExtensionsDuration", name, lambda s: s >= 5500), 5500)
        self.assertGreaterEqual(self.metric("Duration", name, lambda s: s >= 6000), 6000)

    def test_crash(self):
        once = "if event['eventType'] == 'INVOKE' and not os.path.exists('/tmp/crashed'):\n    open('/tmp/crashed', 'w').close()\n    sys.exit(3)"
        name = self.extended({"bad": {"then": once}, "good": {}})
        reply = self.call(name, {"sleep": 20})
        self.assertEqual(reply.get("FunctionError"), "Unhandled")
        self.assertEqual(reply["Payload"]["errorType"], "Extension.Crash")
        self.assertRegex(reply["Payload"]["errorMessage"], r"^RequestId: \S+ Error: exit code 3$")
        text = self.lines(name, lambda t: "heard good SHUTDOWN failure" in t and "REPORT" in t)
        self.assertIn("Error: exit code 3\nExtension.Crash\n", text)
        until, registered = time.monotonic() + 60, 0
        while registered < 2:  # a new one, and /tmp of before; another environment as long as that one is cleared
            self.assertLess(time.monotonic(), until)
            again = self.call(name)
            if "FunctionError" not in again:
                registered = len([s for s in self.seen(again["Payload"]) if s["who"] == "bad" and s["what"] == "registered"])

    def test_beside_what_is_restored(self):
        """Each environment of a version of SnapStart has extensions of its own."""
        with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_quartet/health") as reply:
            if not json.load(reply)["sandboxes"]["snapshots"]:
                self.skipTest("this machine cannot restore snapshots, or does not know yet")
        name = self.extended({"one": {}}, SnapStart={"ApplyOn": "PublishedVersions"})
        self.aws.publish_version(FunctionName=name)
        until = time.monotonic() + 120
        while (found := self.aws.get_function_configuration(FunctionName=name, Qualifier="1"))["State"] == "Pending":
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        self.assertEqual(found["State"], "Active", found.get("StateReason"))
        self.aws.invoke(FunctionName=name, Qualifier="1", Payload=b"{}")
        text = self.lines(name, lambda t: "RESTORE_REPORT" in t and "heard one INVOKE" in t)
        self.assertEqual((text.count("RESTORE_START"), text.count("INIT_START"), text.count("State: Ready")), (1, 1, 1), text)

    def test_launch_errors(self):
        for files, kind, text in (({"flat": ("#!/bin/sh\n", 0o644)}, "Extension.LaunchError", "fork/exec /opt/extensions/flat: permission denied"),
                                  ({"lost": "#!/no/such/program\n"}, "Extension.LaunchError", "fork/exec /opt/extensions/lost: no such file or directory"),
                                  ({"quits": "#!/bin/sh\nexit 5\n"}, "Extension.Crash", "exit code 5"),
                                  ({f"n{i}": "#!/bin/sh\n" for i in range(11)}, "Extension.TooManyExtensions", "Extension limit (10) reached")):
            with self.subTest(text):
                name = self.extended({}, layer=self.layer(**files))
                got = self.call(name)
                self.assertEqual((got["FunctionError"], got["Payload"]["errorType"]), ("Unhandled", kind))
                self.assertTrue(got["Payload"]["errorMessage"].endswith(text), got)
                if "flat" in files:
                    self.assertIn("EXTENSION\tName: flat\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n",
                                  self.lines(name, lambda t: "REPORT Req" in t))

    def test_errors_they_tell(self):
        say = "print(ask('POST', API + '%s/error', '{}', Lambda_Extension_Identifier=ID, Lambda_Extension_Function_Error_Type='Extension.MyReason')); sys.exit(0)"
        name = self.extended({"shy": {"code": say % "init"}})
        got = self.call(name)["Payload"]
        self.assertEqual(got["errorType"], "Extension.InitError")
        self.assertTrue(got["errorMessage"].endswith("exit code 0"), got)
        self.assertIn("EXTENSION\tName: shy\tState: InitError\tEvents: [INVOKE,SHUTDOWN]\tError Type: Extension.MyReason\n",
                      self.lines(name, lambda t: "REPORT Req" in t))
        name = self.extended({"quitter": {"then": say % "exit"}})
        got = self.call(name, {"sleep": 20})["Payload"]
        self.assertEqual(got["errorType"], "Extension.ExitError")

    def test_refusals(self):
        """What an extension may not say, and how that is answered."""
        code = """
def tell(label, reply):
    see("refusal", label=label, status=reply[0], error=json.loads(reply[2]).get("errorType"))
who = {"Lambda_Extension_Identifier": ID}
none = "00000000-0000-4000-8000-000000000000"
tell("again", ask("POST", API + "register", '{"events":[]}', Lambda_Extension_Name=NAME))
tell("no name", ask("POST", API + "register", '{"events":[]}'))
tell("event", ask("POST", API + "register", '{"events":["RAIN"]}', Lambda_Extension_Name=NAME))
tell("format", ask("POST", API + "register", 'x', Lambda_Extension_Name=NAME))
tell("internal shutdown", ask("POST", API + "register", '{"events":["SHUTDOWN"]}', Lambda_Extension_Name="inner"))
tell("no id", ask("GET", API + "event/next"))
tell("bad id", ask("GET", API + "event/next", Lambda_Extension_Identifier="x"))
tell("unknown id", ask("GET", API + "event/next", Lambda_Extension_Identifier=none))
tell("no type", ask("POST", API + "init/error", "{}", **who))
tell("path", ask("GET", API + "event", **who))
inner = []
for i in range(9):
    inner.append(ask("POST", API + "register", '{"events":[]}', Lambda_Extension_Name="inner%d" % i)[1].get("Lambda-Extension-Identifier"))
tell("eleventh", ask("POST", API + "register", '{"events":[]}', Lambda_Extension_Name="inner99"))
import threading
for one in inner:  # the initialisation ends when these have come to /event/next too
    threading.Thread(target=ask, args=("GET", API + "event/next"), kwargs={"Lambda_Extension_Identifier": one}, daemon=True).start()
"""
        name = self.extended({"odd": {"code": code}})
        do = ("import http.client\nk = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\n"
              "k.request('POST', '/2020-01-01/extension/register', '{\"events\":[]}', {'Lambda-Extension-Name': 'late'})\nr = k.getresponse()\n"
              "open('/tmp/seen', 'a').write(json.dumps({'what': 'refusal', 'label': 'late', 'status': r.status, 'error': json.loads(r.read())['errorType']}) + '\\n')")
        seen = {s["label"]: (s["status"], s["error"]) for s in self.seen(self.result(name, {"do": do})) if s["what"] == "refusal"}
        self.assertEqual(seen, {
            "again": (403, "Extension.InvalidExtensionState"), "no name": (403, "Extension.InvalidExtensionName"),
            "event": (403, "Extension.InvalidEventType"), "format": (403, "InvalidRequestFormat"),
            "internal shutdown": (403, "Extension.InvalidEventType"), "no id": (403, "Extension.MissingExtensionIdentifier"),
            "bad id": (403, "Extension.InvalidExtensionIdentifier"), "unknown id": (403, "Extension.UnknownExtensionIdentifier"),
            "no type": (403, "Extension.MissingHeader"), "path": (404, "NotFound"), "eleventh": (403, "Extension.TooManyExtensions"),
            "late": (403, "Extension.RegistrationClosed")})

    def test_internal(self):
        code = FUNCTION + r'''
import http.client, threading
def ask(method, path, body=None, **headers):
    c = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    c.request(method, "/2020-01-01/extension/" + path, body, headers)
    r = c.getresponse()
    return r, r.read()
r, _ = ask("POST", "register", '{"events":["INVOKE"]}', **{"Lambda-Extension-Name": "inside"})
ID = r.getheader("Lambda-Extension-Identifier")
def follow():
    while True:
        _, body = ask("GET", "event/next", **{"Lambda-Extension-Identifier": ID})
        with open("/tmp/seen", "a") as f:
            f.write(json.dumps({"what": "event", "event": json.loads(body)}) + "\n")
threading.Thread(target=follow, daemon=True).start()
'''
        name = self.make(code, Timeout=30)
        first = self.result(name)
        seen = self.seen(self.again(name, first["me"], {"file": "/tmp/seen", "wait": [first["id"]]}))
        self.assertIn(first["id"], [s["event"]["requestId"] for s in seen])
        self.recycle(name)
        text = self.lines(name, lambda t: "runtime heard SIGTERM" in t)
        self.assertIn("EXTENSION\tName: inside\tState: Ready\tEvents: [INVOKE]\n", text)

    def test_shutdown(self):
        """Who is told of the end, in which order, and why it comes."""
        mark = "sleep-" + uuid.uuid4().hex
        fork = f"os.fork() or (os.setsid(), os.execv('/bin/sleep', [{mark!r}, '86400']))"
        name = self.extended({"ears": {"code": fork}, "deaf": {"events": ["INVOKE"]}}, Timeout=2)
        self.result(name)
        self.assertTrue(self.running(mark))
        self.recycle(name)
        text = self.lines(name, lambda t: "heard ears SHUTDOWN spindown" in t)
        self.assertLess(text.index("runtime heard SIGTERM"), text.index("heard ears SHUTDOWN"))
        self.assertNotIn("heard deaf SHUTDOWN", text)
        until = time.monotonic() + 30
        while self.running(mark):
            self.assertLess(time.monotonic(), until, "what an extension started outlives it")
            time.sleep(0.05)
        self.settle(name)
        reply = self.call(name, {"sleep": 20})
        self.assertEqual(reply["Payload"]["errorType"], "Sandbox.Timedout")
        self.lines(name, lambda t: "heard ears SHUTDOWN timeout" in t)
        reply = self.call(name, {"do": "os._exit(4)"})
        self.assertEqual(reply["Payload"]["errorType"], "Runtime.ExitError")
        self.lines(name, lambda t: "heard ears SHUTDOWN failure" in t)
        self.assertEqual(self.result(name)["id"][8], "-")

    def running(self, mark):
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    if f.read().startswith(mark.encode()):
                        return True
            except OSError:
                pass
        return False

    def test_one_that_stays_away(self):
        """It was given an event and does not come back: the function's time limit holds for it too. Then it does not go either."""
        name = self.extended({"away": {"then": "time.sleep(600)"}, "ears": {}}, Timeout=1)
        self.result(name)  # answered
        text = self.lines(name, lambda t: "heard ears SHUTDOWN timeout" in t and "REPORT Req" in t)
        self.assertIn("Task timed out after 1.00 seconds", text)
        self.assertRegex(text, r"REPORT RequestId: .*\tStatus: timeout")
        self.result(name)

    def test_hostile(self):
        """Floods its socket, cuts requests short, forks, and holds many of them open: its own function is all that it can spoil."""
        flood = """
import socket
host, port = HOST.split(":")
held = []
for i in range(200):
    s = socket.create_connection((host, int(port)))
    s.sendall(b"POST /2020-01-01/extension/register HTTP/1.1\\r\\nHost: x\\r\\nLambda-Extension-Name: f%d\\r\\nContent-Length: 10000\\r\\n\\r\\n{" % i)
    held.append(s)
for i in range(50):
    s = socket.create_connection((host, int(port)))
    try:
        s.sendall(b"\\0" * 300000)
    except OSError:
        pass
see("statuses", of=sorted({ask("POST", API + "register", "x" * 100000, Lambda_Extension_Name="g")[0] for i in range(20)}))
for i in range(20):
    if not os.fork():
        time.sleep(600)
"""
        name = self.extended({"flood": {"code": flood}})
        other = self.make("def lambda_handler(e, c):\n    return 1\n")
        seen = self.seen(self.result(name))
        self.assertLessEqual(set(next(s["of"] for s in seen if s["what"] == "statuses")), {413, 429})
        self.assertEqual(self.result(other), 1)
        self.result(name)
        self.recycle(name)
        self.lines(name, lambda t: "heard flood SHUTDOWN spindown" in t)


SHELL = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension"
wget -q -S -O /tmp/registered --header "Lambda-Extension-Name: ${0##*/}" --post-data '{"events":["INVOKE","SHUTDOWN"]}' "$api/register" 2>/tmp/head
id=$(sed -n 's/.*Lambda-Extension-Identifier: *//Ip' /tmp/head | tr -d '\\r')
while wget -q -O /tmp/event --header "Lambda-Extension-Identifier: $id" "$api/event/next"; do
	cat /tmp/event >>/tmp/seen
	echo "heard $(cat /tmp/event)"
	case $(cat /tmp/event) in *SHUTDOWN*) exit 0;; esac
done
"""


class InImages(ImageCase):
    def test_shell(self):
        """Of three layers: one brings an extension, one another that the third takes away again."""
        layers = [self.base, images.layer({"opt": None, "opt/extensions": None, "opt/extensions/told": SHELL.encode(), "opt/extensions/gone": b"#!/bin/sh\nexit 9\n"}),
                  images.layer({"opt/extensions/.wh.gone": b""})]
        images.push(self.registry, layers, "told", MACHINE[1], Entrypoint=["/runtime"])
        name = self.image("told")
        self.assertEqual(json.loads(self.ask(name, "cat /tmp/registered"))["functionName"], name)
        until = time.monotonic() + 60  # while the extension is not back, another environment answers
        while '"eventType":"INVOKE"' not in (seen := self.ask(name, "cat /tmp/seen")):
            self.assertLess(time.monotonic(), until, seen)
        self.aws.update_function_configuration(FunctionName=name, ImageConfig={"Command": ["other"]})
        self.settle(name)
        log_text(self, name, lambda text: '"shutdownReason":"spindown"' in text)

    def test_opaque(self):
        """A layer that puts its own directory in the place of those below."""
        layers = [self.base, images.layer({"opt": None, "opt/extensions": None, "opt/extensions/old": b"#!/bin/sh\nexit 9\n"}),
                  images.layer({"opt/extensions": None, "opt/extensions/.wh..wh..opq": b""})]
        images.push(self.registry, layers, "opaque", MACHINE[1], Entrypoint=["/runtime"])
        self.assertEqual(self.ask(self.image("opaque"), "ls /opt/extensions"), "")
