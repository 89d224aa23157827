"""SnapStart: versions that begin where their initialisation ended, what is one copy's own, and what cannot be kept."""
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

from aws import client
from lambdacase import LambdaCase

RUNTIMES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../runtimes")
SETTINGS = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
CODE = """import os, random, secrets, ssl, tempfile, threading, time, uuid, urllib.request
import boto3
from snapshot_restore_py import register_before_snapshot, register_after_restore
BEGAN = uuid.uuid4().hex
SAID = []
register_before_snapshot(SAID.append, 'before 1')
register_before_snapshot(SAID.append, 'before 2')
@register_after_restore
def after():
    SAID.append('after 1')
register_after_restore(lambda *a: SAID.extend(a), 'after 2')
with open('/tmp/made', 'w') as f:
    f.write('in the initialisation')
os.mkdir('/tmp/below')
os.symlink('../made', '/tmp/below/link')
TICKS = []
def tick():
    while True:
        TICKS.append(1)
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
BIG = [bytes([i % 251]) * 1000 for i in range(3000)]
STS = boto3.client('sts')
STS.get_caller_identity()
WALL, MONO = time.time(), time.monotonic()
time.sleep(0.3)
def lambda_handler(e, c):
    if e and e.get('write'):
        open('/tmp/mine', 'w').write('x')
    if e and e.get('sleep'):
        time.sleep(e['sleep'])
    n = len(TICKS)
    time.sleep(0.05)
    return {'began': BEGAN, 'said': SAID, 'type': os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'],
            'keys': [k for k in os.environ if k.startswith('AWS_ACCESS') or k.startswith('AWS_SECRET') or k == 'AWS_SESSION_TOKEN'],
            'random': [random.random(), uuid.uuid4().hex, secrets.token_hex(), ssl.RAND_bytes(16).hex()],
            'made': open('/tmp/below/link').read(), 'tmp': sorted(os.listdir('/tmp')), 'ticks': len(TICKS) > n,
            'big': all(b == bytes([i % 251]) * 1000 for i, b in enumerate(BIG)), 'arn': STS.get_caller_identity()['Arn'],
            'stream': os.environ['AWS_LAMBDA_LOG_STREAM_NAME'] == c.log_stream_name, 'clock': [time.time() - WALL, time.monotonic() - MONO],
            'keys_in_memory': None}
"""


class SnapStart(LambdaCase):
    def setUp(self):
        super().setUp()
        found = self.snapshots()
        if not found[0]:
            self.skipTest(f"this machine cannot restore snapshots: {found[1]}")

    def snapshots(self):
        until = time.monotonic() + 60
        while True:
            said = json.loads(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_quartet/health").read())["sandboxes"]
            if said["snapshots"] or said["why_no_snapshots"] or time.monotonic() > until:
                return said["snapshots"], said["why_no_snapshots"]
            time.sleep(0.1)

    def files(self):
        return sorted(os.listdir(os.environ["QUARTET_DATA"] + "/snapshots"))

    def publish(self, name, state="Active"):
        made = self.aws.publish_version(FunctionName=name)
        until = time.monotonic() + 120
        while True:
            found = self.aws.get_function_configuration(FunctionName=name, Qualifier=made["Version"])
            if found["State"] != "Pending":
                self.assertEqual(found["State"], state, found.get("StateReason"))
                return made, found
            self.assertLess(time.monotonic(), until, "it stays Pending")
            time.sleep(0.1)

    def call(self, name, event=None, qualifier="1"):
        out = self.aws.invoke(FunctionName=name, Qualifier=qualifier, Payload=json.dumps(event or {}), LogType="Tail")
        payload = json.loads(out["Payload"].read())
        self.assertNotIn("FunctionError", out, payload)
        return payload, out

    def test_life(self):
        before = self.files()
        name = self.make(CODE, Timeout=30, MemorySize=256, **SETTINGS)
        self.assertEqual(self.aws.get_function_configuration(FunctionName=name)["SnapStart"], {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"})
        made, found = self.publish(name)
        self.assertEqual((made["State"], made["StateReasonCode"]), ("Pending", "Creating"))
        self.assertEqual(found["SnapStart"], {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"})
        mine = [f for f in self.files() if f not in before]
        self.assertEqual(len(mine), 1, mine)
        kept = os.stat(os.environ["QUARTET_DATA"] + "/snapshots/" + mine[0])
        self.assertEqual((kept.st_uid, kept.st_mode & 0o777), (0, 0o600))
        # publishing it again gives the same version
        self.assertEqual(self.aws.publish_version(FunctionName=name)["Version"], "1")

        first, out = self.call(name, {"write": True})
        self.assertEqual(first["said"], ["before 2", "before 1", "after 1", "after 2"])
        self.assertEqual((first["type"], first["keys"], first["big"], first["ticks"], first["stream"]), ("snap-start", [], True, True, True))
        self.assertEqual((first["made"], first["tmp"]), ("in the initialisation", ["below", "made", "mine"]))
        self.assertIn(f"assumed-role/{self.role_name}/{name}", first["arn"])
        self.assertLess(abs(first["clock"][0] - first["clock"][1]), 5)
        tail = base64.b64decode(out["LogResult"]).decode()
        report = re.search(r"REPORT .*", tail).group(0)
        found = re.search(r"Duration: ([\d.]+) ms\tBilled Duration: (\d+) ms.*Restore Duration: ([\d.]+) ms\tBilled Restore Duration: (\d+) ms\t", report)
        self.assertTrue(found, report)
        self.assertNotIn("Init Duration", report)
        self.assertAlmostEqual(int(found.group(2)), float(found.group(1)) + int(found.group(4)), delta=1.01)
        # warm: the same process, and nothing restored
        warm, out = self.call(name)
        self.assertEqual(warm["tmp"], ["below", "made", "mine"])
        self.assertNotIn("Restore Duration", base64.b64decode(out["LogResult"]).decode())

        # a second environment is another copy
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.call(name, {"sleep": 2})[0])) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual({r["began"] for r in results} | {first["began"]}, {first["began"]})
        every = results + [first]
        for i in range(4):
            self.assertEqual(len({r["random"][i] for r in every}), 3, [r["random"] for r in every])
        self.assertEqual(sorted(len(r["tmp"]) for r in results), [2, 3])

        # $LATEST has no snapshot
        latest, out = self.call(name, qualifier="$LATEST")
        self.assertEqual((latest["type"], bool(latest["keys"])), ("on-demand", True))
        self.assertIn("Init Duration", base64.b64decode(out["LogResult"]).decode())

        lines = self.lines(name)
        self.assertTrue(any(re.match(r"RESTORE_START Runtime Version: python:\S+\tRuntime Version ARN: arn:aws:lambda:", x) for x in lines), lines)
        self.assertTrue(any(re.match(r"RESTORE_REPORT Restore Duration: [\d.]+ ms$", x.strip()) for x in lines), lines)
        self.aws.delete_function(FunctionName=name, Qualifier="1")
        self.until(lambda: mine[0] not in self.files(), "its snapshot stays")

    def until(self, what, text):
        end = time.monotonic() + 60
        while not what():
            self.assertLess(time.monotonic(), end, text)
            time.sleep(0.1)

    def lines(self, name):
        logs, end = client("logs"), time.monotonic() + 60
        while True:
            found = [e["message"] for e in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]
            if any(x.startswith("RESTORE_REPORT") for x in found) or time.monotonic() > end:
                return found
            time.sleep(0.2)

    def pair(self, name):
        """What two environments at once answer to {"sleep": 2}."""
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.call(name, {"sleep": 2})[0])) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(results), 2)
        return results

    def different(self, results, key="random"):
        for one, other in zip(results[0][key], results[1][key]):
            self.assertNotEqual(one, other, results)

    @unittest.skipUnless(os.path.exists("/usr/bin/node"), "there is no Node.js")
    def test_node(self):
        name = self.make("""const crypto = require('crypto'), http = require('http'), fs = require('fs');
const BEGAN = crypto.randomBytes(8).toString('hex');
crypto.randomUUID(); crypto.randomInt(9);
let ticks = 0;
setInterval(() => ticks++, 5);
fs.writeFileSync('/tmp/made', 'x');
const kept = [];
for (let i = 0; i < 50000; i++) kept.push({ i });
module.paths;
exports.handler = async (e) => {
  const before = ticks, began = Date.now();
  await new Promise((done) => setTimeout(done, (e.sleep || 0.05) * 1000));
  const digest = await new Promise((done) => crypto.pbkdf2('a', 'b', 10, 8, 'sha1', (x, k) => done(k.toString('hex'))));
  return { began: BEGAN, ticks: ticks > before, made: fs.readFileSync('/tmp/made', 'utf8'), digest, kept: kept[49999].i, type: process.env.AWS_LAMBDA_INITIALIZATION_TYPE,
    random: [Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString('hex'), crypto.randomInt(1e12), crypto.webcrypto.getRandomValues(new Uint32Array(2)).join()],
    key: process.env.AWS_ACCESS_KEY_ID || null };
};
""", runtime="nodejs22.x", MemorySize=256, Timeout=20, **SETTINGS)
        self.publish(name)
        results = self.pair(name)
        self.assertEqual(results[0]["began"], results[1]["began"])
        self.different(results)
        for r in results:
            self.assertEqual((r["ticks"], r["made"], r["kept"], r["type"], r["key"], r["digest"]), (True, "x", 49999, "snap-start", None, results[0]["digest"]))

    @unittest.skipUnless(os.path.exists("/usr/bin/ruby"), "there is no Ruby")
    def test_ruby(self):
        name = self.make({"function.rb": """require 'securerandom'
require 'openssl'
BEGAN = SecureRandom.hex
$ticks = 0
Thread.new { loop { sleep 0.002; $ticks += 1 } }
def handler(event:, context:)
  before = $ticks
  sleep(event['sleep'] || 0.05)
  { began: BEGAN, ticks: $ticks > before, random: [rand, SecureRandom.hex, OpenSSL::Random.random_bytes(8).unpack1('H*')], stream: context.log_stream_name }
end
"""}, runtime="ruby3.3", handler="function.handler", MemorySize=256, Timeout=20, **SETTINGS)
        self.publish(name)
        results = self.pair(name)
        self.assertEqual([(r["began"], r["ticks"]) for r in results], [(results[0]["began"], True)] * 2)
        self.different(results)
        self.assertNotEqual(results[0]["stream"], results[1]["stream"])

    @unittest.skipUnless(shutil.which("javac") and os.path.exists(RUNTIMES + "/java/runtime.jar"), "there is no Java compiler")
    def test_java(self):
        with tempfile.TemporaryDirectory() as work:
            os.mkdir(work + "/out")
            with open(work + "/Main.java", "w") as f:
                f.write("""import java.util.*;
import org.crac.*;
public class Main implements Resource {
  static final List<String> said = new ArrayList<>();
  static final String began = UUID.randomUUID().toString();
  static volatile long ticks;
  static final Main hook = new Main();
  static {
    Core.getGlobalContext().register(hook);
    Thread t = new Thread(() -> { while (true) { ticks++; try { Thread.sleep(1); } catch (InterruptedException e) {} } });
    t.setDaemon(true);
    t.start();
  }
  public void beforeCheckpoint(Context<? extends Resource> c) { said.add("before"); }
  public void afterRestore(Context<? extends Resource> c) { said.add("after"); }
  public static Map<String, Object> run(Map<String, Object> event) throws Exception {
    long before = ticks;
    Object seconds = event.get("sleep");
    Thread.sleep(seconds == null ? 50 : ((Number) seconds).longValue() * 1000);
    System.gc();
    Map<String, Object> out = new HashMap<>();
    out.put("began", began);
    out.put("said", said);
    out.put("ticks", ticks > before);
    out.put("random", List.of(UUID.randomUUID().toString()));
    return out;
  }
}
""")
            subprocess.run(["javac", "--release", "17", "-cp", RUNTIMES + "/java/runtime.jar", "-d", work + "/out", work + "/Main.java"], check=True)
            files = {n: open(f"{work}/out/{n}", "rb").read() for n in os.listdir(work + "/out")}
        name = self.make(files, handler="Main::run", runtime="java17", MemorySize=512, Timeout=30, **SETTINGS)
        self.publish(name)
        results = self.pair(name)
        self.assertEqual([(r["began"], r["said"], r["ticks"]) for r in results], [(results[0]["began"], ["before", "after"], True)] * 2)
        self.different(results)

    def test_custom_runtime(self):
        """One that knows nothing of snapshots is kept where it waits for its first event; one that does has its say."""
        loop = """#!/usr/bin/python3
import http.client, json, os, sys, time
c = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
def call(method, path, body=None):
    c.request(method, '/2018-06-01/runtime/' + path, body)
    r = c.getresponse()
    return r, r.read()
count, restored = 0, None
for i in range(7):
    count += 1
%s
while True:
    r, body = call('GET', 'invocation/next')
    call('POST', 'invocation/' + r.headers['Lambda-Runtime-Aws-Request-Id'] + '/response', json.dumps([count, restored, os.getpid()]))
"""
        for restore, want in (("", None), ("restored = call('GET', 'restore/next')[0].status", 200)):
            name = self.make({"bootstrap": loop % restore}, runtime="provided.al2023", MemorySize=128, **SETTINGS)
            self.publish(name)
            self.assertEqual(self.call(name)[0][:2], [7, want])

    def test_connections_end(self):
        name = self.make("""import socket, threading
server = socket.create_server(('127.0.0.1', 7777))
client = socket.create_connection(('127.0.0.1', 7777))
served = server.accept()[0]
here, there = socket.socketpair()
here.sendall(b'in between')
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def lambda_handler(e, c):
    try:
        client.sendall(b'x')
        ended = client.recv(1)
    except OSError:
        ended = b''
    again = socket.create_connection(('127.0.0.1', 7777))
    server.accept()[0].sendall(b'hello')
    return [ended.decode(), again.recv(5).decode(), there.recv(20).decode(), udp.sendto(b'x', ('127.0.0.1', 9))]
""", **SETTINGS)
        self.publish(name)
        self.assertEqual(self.call(name)[0], ["", "hello", "in between", 1])

    def test_failures(self):
        """A version that cannot be kept, or whose initialisation fails, says so; one whose hook fails after the restore fails its calls."""
        cases = [("raise RuntimeError('no start')\n", "no start", "FunctionError"),
                 ("import os\nos._exit(3)\n", "exit status 3", "FunctionError.RuntimeInitError"),
                 ("import subprocess\np = subprocess.Popen(['sleep', '1000'])\n", "processes that still run", "FunctionError"),
                 ("from snapshot_restore_py import register_before_snapshot\n@register_before_snapshot\ndef f(): raise ValueError('not yet')\n", "not yet", "FunctionError")]
        names = []
        for code, _, _ in cases:
            names.append(self.make(code + "def lambda_handler(e, c): return 1\n", **SETTINGS))
        for name, (_, text, kind) in zip(names, cases):
            _, found = self.publish(name, "Failed")
            self.assertIn(text, found["StateReason"])
            self.assertTrue(found["StateReasonCode"].startswith(kind), found)
            with self.assertRaises(self.aws.exceptions.ClientError):
                self.aws.invoke(FunctionName=name, Qualifier="1")
        name = self.make("""from snapshot_restore_py import register_after_restore
@register_after_restore
def f(): raise ValueError('after all')
def lambda_handler(e, c): return 1
""", **SETTINGS)
        self.publish(name)
        with self.assertRaises(self.aws.exceptions.SnapStartException):
            self.aws.invoke(FunctionName=name, Qualifier="1")

    def test_rules(self):
        code = "import time\ntime.sleep(8)\ndef lambda_handler(e, c): return 1\n"
        with self.assertRaisesRegex(self.aws.exceptions.InvalidParameterValueException, "ephemeral storage"):
            self.make(code, EphemeralStorage={"Size": 513}, **SETTINGS)
        name = self.make(code, **SETTINGS)
        with self.assertRaisesRegex(self.aws.exceptions.InvalidParameterValueException, "ephemeral storage"):
            self.aws.update_function_configuration(FunctionName=name, EphemeralStorage={"Size": 1024})
        self.aws.publish_version(FunctionName=name)
        with self.assertRaises(self.aws.exceptions.SnapStartNotReadyException):
            self.aws.invoke(FunctionName=name, Qualifier="1")
        with self.assertRaisesRegex(self.aws.exceptions.InvalidParameterValueException, "SnapStart"):
            self.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
        self.aws.update_function_configuration(FunctionName=name, SnapStart={"ApplyOn": "None"})
        self.aws.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        made = self.aws.publish_version(FunctionName=name)
        self.assertEqual((made["Version"], made["SnapStart"]), ("2", {"ApplyOn": "None", "OptimizationStatus": "Off"}))

    def test_json_lines(self):
        name = self.make("def lambda_handler(e, c): return 1\n", **SETTINGS)
        # Debian's botocore has no LoggingConfig
        self.assertEqual(self.send(f"/2015-03-31/functions/{name}/configuration", b'{"LoggingConfig":{"LogFormat":"JSON"}}', "PUT").status, 200)
        self.aws.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        self.publish(name)
        self.call(name)
        logs, found = client("logs"), {}

        def all_there():
            for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]:
                line = json.loads(event["message"])
                found[line["type"]] = line["record"]
            return {"platform.restoreStart", "platform.restoreReport", "platform.report"} <= set(found)
        self.until(all_there, "its records do not come")
        self.assertEqual((found["platform.restoreStart"]["functionName"], found["platform.restoreStart"]["functionVersion"]), (name, "1"))
        self.assertEqual(found["platform.initStart"]["initializationType"], "snap-start")
        self.assertEqual(found["platform.restoreReport"]["status"], "success")
        metrics = found["platform.report"]["metrics"]
        self.assertGreater(metrics["restoreDurationMs"], 0)
        self.assertNotIn("initDurationMs", metrics)
        self.assertGreaterEqual(metrics["billedDurationMs"], metrics["billedRestoreDurationMs"] + metrics["durationMs"])
