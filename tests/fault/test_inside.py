"""What a hostile function can do from inside its sandbox, asked through real invocations: to the cloud, to its neighbours, to the machine."""
import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
import zipfile

from botocore.exceptions import ClientError

from cloud import Cloud
from functions import Functions
from leftovers import processes

MIB = 1 << 20
RUN = """
import os, sys, socket, http.client, json, time, subprocess
def tries(f, *a, **k):
    try:
        return f(*a, **k)
    except BaseException as e:
        return type(e).__name__ + ": " + str(e)
def ask(method, path, body=b"", headers={}, port=4566):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.request(method, path, body, headers)
    r = c.getresponse()
    return [r.status, r.read(2000).decode(errors="replace")]
def handler(event, context):
    names = dict(globals())
    exec(event["code"], names)
    return names.get("out")
"""
SECRET = "the-secret-of-the-neighbour"


class Inside(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="quartet-fault-")
        cls.addClassCleanup(shutil.rmtree, cls.data, True)
        cls.cloud = Cloud(data=cls.data).start()
        cls.addClassCleanup(cls.end)
        cls.functions = Functions(cls.cloud, {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["logs:*", "s3:GetObject"], "Resource": "*"}]})
        cls.functions.make("run", RUN, Timeout=20, MemorySize=512)
        cls.functions.make("neighbour", f"SECRET = '{SECRET}'\nimport os\ndef handler(e, c): return [os.getpid(), SECRET]\n",
                           Environment={"Variables": {"SECRET": SECRET}})
        with open(os.path.join(cls.data, "secret"), "w") as f:
            f.write(SECRET)
        os.chmod(os.path.join(cls.data, "secret"), 0o644)
        cls.cloud.client("s3").create_bucket(Bucket="bucket")
        cls.cloud.client("s3").put_object(Bucket="bucket", Key="key", Body=b"content")

    @classmethod
    def end(cls):
        cls.cloud.stop()
        left = cls.cloud.leftovers()
        if left:
            raise AssertionError(f"left: {left}")

    def setUp(self):
        self.api, self.priv = self.cloud.role_pid("api"), self.cloud.role_pid("priv")
        self.before = self.functions.call("neighbour")[1]

    def tearDown(self):
        """No function takes a role down, or its neighbour."""
        self.assertEqual((self.cloud.role_pid("api"), self.cloud.role_pid("priv")), (self.api, self.priv), self.cloud.log_text()[-2000:])
        self.assertEqual(self.functions.call("neighbour"), (None, self.before))

    def run_inside(self, code, name="run"):
        """The value of `out` after the code."""
        error, answer = self.functions.call(name, {"code": code})
        self.assertIsNone(error, answer)
        return answer

    def test_published_keys_do_not_work_inside(self):
        code = """
import botocore.auth, botocore.awsrequest, botocore.credentials
def signed(key, secret, token=None, service="sts", body="Action=GetCallerIdentity&Version=2011-06-15", path="/", method="POST"):
    r = botocore.awsrequest.AWSRequest(method, "http://127.0.0.1:4566" + path, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    auth = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    auth(botocore.credentials.Credentials(key, secret, token), service, "us-east-1").add_auth(r)
    return ask(method, path, body, dict(r.prepare().headers))
e = os.environ
own = e["AWS_ACCESS_KEY_ID"], e["AWS_SECRET_ACCESS_KEY"], e["AWS_SESSION_TOKEN"]
out = [signed("test", "test"), signed("123456789012", "test"), signed("000000000000", "test"), signed(own[0], own[1]), signed(*own),
       signed(*own, service="iam", body="Action=ListUsers&Version=2010-05-08"), signed(*own, service="s3", body="", path="/bucket/key", method="GET"),
       signed(*own, service="s3", body="x", path="/bucket/key", method="PUT")]
"""
        test, digits, root, tokenless, own, iam, get, put = self.run_inside(code)
        for reply in (test, digits, root, tokenless):
            self.assertEqual(reply[0], 403, reply)
            self.assertIn("InvalidClientTokenId", reply[1])
        self.assertEqual(own[0], 200, own)
        self.assertIn("assumed-role/fault/run", own[1])
        self.assertEqual(iam[0], 403, iam)
        self.assertIn("AccessDenied", iam[1])
        self.assertEqual(get, [200, "content"])
        self.assertEqual(put[0], 403, put)

    def test_own_paths_are_not_for_functions(self):
        revision = self.cloud.health()["revision"]
        replies = self.run_inside("""
out = [ask("GET", "/_quartet/health"), ask("POST", "/_quartet/reset"), ask("GET", "/metrics"), ask("GET", "/_quartet/why/x"),
       ask("POST", "//_quartet/reset"), ask("POST", "http://127.0.0.1:4566/_quartet/reset"), ask("POST", "/_quartet/reset", headers={"Host": "localhost"})]
""")
        for status, body in replies:
            self.assertGreaterEqual(status, 400, body)
            self.assertNotIn("revision", body)
        self.assertGreaterEqual(self.cloud.health()["revision"], revision)

    def test_other_code_and_data_cannot_be_read(self):
        found = self.run_inside(f"""
seen, hits = 0, []
for place, folders, files in os.walk("/"):
    if place.startswith(("/proc", "/usr", "/dev")):
        folders[:] = []
        continue
    for f in files:
        try:
            text = open(os.path.join(place, f), "rb").read(1 << 20)
        except OSError:
            continue
        seen += 1
        if {SECRET[:10]!r}.encode() + {SECRET[10:]!r}.encode() in text:
            hits.append(os.path.join(place, f))
data = {self.data!r}
direct = [tries(os.listdir, p) for p in (data, data + "/code", data + "/state", "/tmp/..", "/proc/1/root", "/proc/self/root/" + data)]
proc = [p for p in os.listdir("/proc") if p.isdigit()]
out = dict(seen=seen, hits=hits, direct=direct, proc=len(proc), env=[k for k, v in os.environ.items() if {SECRET[:10]!r} in v])
""")
        self.assertGreater(found["seen"], 3)
        self.assertEqual((found["hits"], found["env"]), ([], []))
        for answer in found["direct"][:3] + found["direct"][4:]:
            self.assertIsInstance(answer, str, answer)
        self.assertEqual(found["proc"], 1)

    def test_a_code_link_does_not_cross_accounts(self):
        """The link to the neighbour's package is signed; a function cannot make one up."""
        link = self.functions.aws.get_function(FunctionName="neighbour")["Code"]["Location"]
        path = link[link.index("/", 8):]
        bare = path.split("?")[0]
        for asked in (bare, bare + "?X-Amz-Expires=600", path[:-6] + "000000"):
            self.assertGreaterEqual(self.run_inside(f"out = ask('GET', {asked!r})")[0], 400)

    def test_network(self):
        """Nothing of this machine answers, on any of its addresses; neither do neighbours nor link-local services."""
        with socket.socket() as listener:
            listener.bind(("0.0.0.0", 0))
            listener.listen(16)
            port = listener.getsockname()[1]
            shown = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True).stdout
            addresses = sorted({line.split()[3].split("/")[0] for line in shown.splitlines()})
            self.assertIn("127.0.0.1", addresses)
            # links of sandboxes are many on a busy machine, and all alike
            addresses = [a for a in addresses if not a.startswith("100.")] + [a for a in addresses if a.startswith("100.")][:3]
            for a in addresses:
                socket.create_connection((a, port), 5).close()
            answer = self.run_inside(f"""
from concurrent.futures import ThreadPoolExecutor
def connect(address, port):
    with socket.socket() as s:
        s.settimeout(0.7)
        s.connect((address, port))
        return "connected"
mine = []
try:
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(("192.0.2.1", 9)); mine.append(u.getsockname()[0])
except OSError: pass
base = [int(x) for x in mine[0].split(".")] if mine else None
near = [".".join(map(str, base[:3] + [b])) for b in range(max(0, base[3] - 3), min(255, base[3] + 4)) if b != base[3]] if base else []
asked = [(a, p) for a in {addresses!r} if a not in mine for p in ({port}, {self.cloud.port})]
asked += [(a, p) for a in near for p in (9001, 4566, {port})] + [(a, 80) for a in ("169.254.169.254", "169.254.170.2")]
with ThreadPoolExecutor(32) as pool:
    out = [[*x, y] for x, y in zip(asked, pool.map(lambda x: tries(connect, *x), asked))]
""")
            self.assertGreater(len(answer), 3)
            for line in answer:
                self.assertNotEqual(line[2], "connected", line)

    def test_runtime_api_withstands_junk(self):
        """Junk, floods and endless bodies to the Runtime API and the endpoint cost the function at most itself."""
        with open(f"/proc/{self.api}/status") as f:
            before = int(f.read().split("RssAnon:")[1].split()[0])
        code = """
def junk(port, data, more=b"", times=0):
    s = socket.create_connection(("127.0.0.1", port), 5)
    try:
        s.sendall(data)
        for _ in range(times): s.sendall(more)
        s.settimeout(3)
        return s.recv(100).decode(errors="replace")[:12]
    except OSError as e:
        return type(e).__name__
    finally:
        s.close()
post = b"POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nhost: x\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n"
out = []
for port in (9001, 4566):
    out.append(junk(port, b"\\0\\1\\2junk\\r\\n\\r\\n"))
    out.append(junk(port, b"GET / HTTP/1.1\\r\\n" + b"x: " + b"y" * 200000))
    out.append(junk(port, b"POST / HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 99999999999\\r\\n\\r\\n", b"z" * 1000000, 30))
    out.append(junk(port, post % b"0" * 1, b"10000\\r\\n" + b"z" * 65536 + b"\\r\\n", 500))
    held = []
    for _ in range(600):
        try: held.append(socket.create_connection(("127.0.0.1", port), 1))
        except OSError: break
    for s in held: s.close()
"""
        for word in self.run_inside(code):
            self.assertTrue(word.startswith("HTTP/1.1 4") or word.startswith("HTTP/1.1 5") or word in (
                "", "ConnectionResetError", "BrokenPipeError", "TimeoutError"), word)
        # its own answer, without end
        error, answer = self.functions.call("run", {"code": """
import urllib.request
api = "http://127.0.0.1:9001/2018-06-01/runtime/invocation/%s/response" % sys._getframe(2).f_locals.get("context", None).aws_request_id
def endless():
    for _ in range(400): yield b"z" * 1000000
urllib.request.urlopen(urllib.request.Request(api, data=endless(), method="POST"), timeout=5).read()
"""})
        self.assertIsNotNone(error, answer)
        with open(f"/proc/{self.api}/status") as f:
            after = int(f.read().split("RssAnon:")[1].split()[0])
        self.assertLess((after - before) / 1024, 40)

    def test_a_flood_of_log_lines(self):
        """A function that writes faster than its log waits for it: nothing is lost, and api's memory is bounded."""
        self.functions.make("flood", RUN, Timeout=20, MemorySize=1024)
        with open(f"/proc/{self.api}/status") as f:
            before = int(f.read().split("RssAnon:")[1].split()[0])
        self.assertEqual(self.run_inside("""
for i in range(10000): os.write(1, b"long %d " % i + b"x" * 1000 + b"\\n")
for i in range(0, 100000, 1000): os.write(1, b"".join(b"%d\\n" % n for n in range(i, i + 1000)))
os.write(1, b"y" * 1000000 + b"\\nlast\\n")
out = "done"
""", "flood"), "done")
        with open(f"/proc/{self.api}/status") as f:
            after = int(f.read().split("RssAnon:")[1].split()[0])
        self.assertLess((after - before) / 1024, 48)
        logs, group, messages = self.cloud.client("logs"), "/aws/lambda/flood", []
        until = time.monotonic() + 15
        while time.monotonic() < until:
            messages = []
            for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
                token = None
                while True:
                    page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, limit=10000,
                                               **({"nextToken": token} if token else {}))
                    messages += [e["message"] for e in page["events"]]
                    if not page["events"] or page["nextForwardToken"] == token:
                        break
                    token = page["nextForwardToken"]
            if any(m.startswith("REPORT") for m in messages):
                break
            time.sleep(0.3)
        self.assertEqual([m.split()[1] for m in messages if m.startswith("long")], [str(i) for i in range(10000)])
        self.assertEqual([m.strip() for m in messages if m.strip().isdigit()], [str(i) for i in range(100000)])
        self.assertEqual(sum(m.count("y") for m in messages if m.startswith("yyy")), 1000000)
        self.assertIn("last\n", messages)

    def test_fork_bomb(self):
        self.functions.make("bomb", RUN, Timeout=3, MemorySize=256)
        began = time.monotonic()
        error, answer = self.functions.call("bomb", {"code": "while True: tries(os.fork)"})
        self.assertEqual(error, "Unhandled")
        self.assertIn(answer["errorType"], ("Sandbox.Timedout", "Runtime.ExitError"), answer)
        self.assertLess(time.monotonic() - began, 25)
        # the next call finds a sandbox with nothing of that in it
        self.assertEqual(self.run_inside("out = len([p for p in os.listdir('/proc') if p.isdigit()])", "bomb"), 1)
        self.assertLess(len(processes(self.data)), 60)

    def test_memory_hog_in_a_child(self):
        self.functions.make("hog", RUN, Timeout=15, MemorySize=128)
        error, answer = self.functions.call("hog", {"code": """
if os.fork() == 0:
    x = []
    while True: x.append(bytearray(1 << 20))
os.wait()
out = "survived"
"""})
        # the kernel chooses whom it kills: the child, or all of it
        self.assertTrue(answer == "survived" if not error else answer["errorMessage"].endswith("signal: killed"), answer)
        self.assertEqual(self.run_inside("out = 7", "hog"), 7)

    def test_timeout_kills_everything_and_keeps_tmp(self):
        self.functions.make("late", RUN, Timeout=1, MemorySize=256)
        pid = self.run_inside("open('/tmp/kept', 'w').write('kept'); out = os.getpid()", "late")
        error, answer = self.functions.call("late", {"code": """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        while True: time.sleep(100)
time.sleep(100)
"""})
        self.assertEqual((error, answer["errorType"]), ("Unhandled", "Sandbox.Timedout"))
        self.assertIn("Task timed out after 1.00 seconds", answer["errorMessage"])
        now, kept, others = self.run_inside(
            "out = [os.getpid(), tries(lambda: open('/tmp/kept').read()), len([p for p in os.listdir('/proc') if p.isdigit()])]", "late")
        self.assertNotEqual(now, pid)
        self.assertEqual((kept, others), ("kept", 1))

    def test_tmp_full(self):
        self.functions.make("full", RUN, Timeout=20, MemorySize=256)
        text = self.run_inside("""
def fill():
    with open("/tmp/big", "wb", buffering=0) as f:
        while True: f.write(bytes(1 << 20))
out = [tries(fill), os.stat("/tmp/big").st_size >> 20]
""", "full")
        self.assertIn("No space left", text[0])
        self.assertTrue(500 <= text[1] <= 512, text)
        self.assertEqual(self.run_inside("os.remove('/tmp/big'); open('/tmp/x', 'w').write('y'); out = os.path.getsize('/tmp/x')", "full"), 1)

    def test_packages_that_lie(self):
        """A bomb, links that leave, absolute paths: refused, and nothing of them is unpacked."""
        def refused(build):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
                z.writestr("f.py", "def handler(e, c): return 1")
                build(z)
            name = f"lie{time.monotonic_ns()}"
            try:
                self.functions.aws.create_function(FunctionName=name, Runtime="python3.12", Handler="f.handler", Role=self.functions.role,
                                                   Code={"ZipFile": out.getvalue()})
            except ClientError as e:
                self.assertEqual(e.response["Error"]["Code"], "InvalidParameterValueException")
                return
            # taken: then it must be harmless
            self.functions.aws.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
            self.assertEqual(self.functions.call(name), (None, 1))

        def bomb(z):
            with z.open("zeros", "w", force_zip64=True) as f:
                for _ in range(300):
                    f.write(bytes(MIB))

        def link(to):
            info = zipfile.ZipInfo("link")
            info.external_attr = 0o120777 << 16
            return lambda z: (z.writestr(info, to), z.writestr("link/owned", SECRET))

        def many(z):
            for i in range(1500):
                z.writestr(f"d{i}/e/f", "")

        with self.assertRaises(ClientError) as caught:
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
                bomb(z)
            self.functions.aws.create_function(FunctionName="bomb300", Runtime="python3.12", Handler="f.handler", Role=self.functions.role,
                                               Code={"ZipFile": out.getvalue()})
        self.assertIn("262144000", str(caught.exception))
        for build in (link("/tmp"), link(".."), link(self.data), lambda z: z.writestr("/absolute", "x"), lambda z: z.writestr("../up", "x"),
                      lambda z: z.writestr("a/../../up", "x"), lambda z: z.writestr("a" * 5000, "x"), many):
            refused(build)
        for place in ("/tmp/owned", os.path.join(self.data, "owned"), "/absolute", os.path.join(self.data, "up"), os.path.join(self.data, "code", "up")):
            self.assertFalse(os.path.exists(place), place)


if __name__ == "__main__":
    unittest.main()
