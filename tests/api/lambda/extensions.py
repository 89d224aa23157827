"""Extensions as the tests write them: a Python program that does what the function's variables say, in layers and as files of images."""
import io
import json
import time
import zipfile

from aws import client
from lambdacase import LambdaCase

# Reads what to do from the variable EXT: {"its name": {"events": [...], "DO": VALUE}}; writes what it sees to /tmp/seen, a JSON object a line.
EXTENSION = r'''#!/usr/bin/python3 -SE
import http.client, json, os, sys, time
NAME = os.path.basename(sys.argv[0])
PLAN = json.loads(os.environ.get("EXT", "{}")).get(NAME, {})
HOST = os.environ["AWS_LAMBDA_RUNTIME_API"]

def see(what, **more):
    with open("/tmp/seen", "a") as f:
        f.write(json.dumps({"who": NAME, "what": what, "at": time.monotonic(), **more}) + "\n")

def ask(method, path, body=None, **headers):
    c = http.client.HTTPConnection(HOST)
    c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    r = c.getresponse()
    return r.status, dict(r.getheaders()), r.read().decode()

API = "/2020-01-01/extension/"
time.sleep(PLAN.get("late", 0))
before = time.monotonic()
status, headers, body = ask("POST", API + "register", json.dumps({"events": PLAN.get("events", ["INVOKE", "SHUTDOWN"])}),
                            Lambda_Extension_Name=PLAN.get("name", NAME), Lambda_Extension_Accept_Feature="accountId")
ID = headers.get("Lambda-Extension-Identifier", "")
see("registered", before=before, status=status, id=ID, body=body, env=dict(os.environ), cwd=os.getcwd(), uid=os.getuid())
exec(open("/opt/listen.py").read())
exec(PLAN.get("code", ""))
while True:
    status, headers, body = ask("GET", API + "event/next", Lambda_Extension_Identifier=ID)
    event = json.loads(body)
    see("event", status=status, event=event, id=headers.get("Lambda-Extension-Event-Identifier"))
    if status != 200:
        sys.exit(7)
    print("heard", NAME, event["eventType"], event.get("shutdownReason", ""), flush=True)
    exec(PLAN.get("then", ""))
    if event["eventType"] == "SHUTDOWN":
        sys.exit(0)
'''

# In the extension: listens, subscribes, and keeps what arrives in a file, an event a line.
LISTEN = r"""
import socket, threading
def keep(into, text):
    with open(into, "a") as f:
        f.write("".join(json.dumps(e) + "\n" for e in json.loads(text)))
def read_http(c, into, fails):
    data = b""
    while b"\r\n\r\n" not in data:
        data += c.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int([l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")][0].split(b":")[1])
    while len(body) < length:
        body += c.recv(65536)
    with open(into + ".heads", "ab") as f:
        f.write(head.split(b"\r\n")[0] + b" " + str(len(json.loads(body))).encode() + b"\n")
    if fails:
        fails.pop()
        c.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    else:
        keep(into, body)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    c.close()
def read_tcp(c, into):
    data = b""
    while more := c.recv(65536):
        data += more
        *lines, data = data.split(b"\n")
        keep(into, b"[" + b",".join(lines) + b"]")
def listen(port, read, *args):
    s = socket.create_server(("sandbox.localdomain", port))
    def serve():
        while True:
            c, _ = s.accept()
            read(c, *args)
    threading.Thread(target=serve, daemon=True).start()
def subscribe(path="/2022-07-01/telemetry", types=("platform", "function"), schema="2022-12-13", timeout=25, destination=None, **more):
    body = {"schemaVersion": schema, "types": list(types), "buffering": {"timeoutMs": timeout, **more}, "destination": destination}
    reply = ask("PUT", path, json.dumps(body), Lambda_Extension_Identifier=ID)
    see("subscribed", reply=[reply[0], reply[2]])
HTTP = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/in"}
"""

# A function that tells what was seen, and does what its event says.
FUNCTION = r'''
import json, os, signal, sys, time, uuid
ME = uuid.uuid4().hex
BORN = time.monotonic()
signal.signal(signal.SIGTERM, lambda *_: (print("runtime heard SIGTERM", flush=True), os._exit(0)))

def lambda_handler(e, c):
    print("the function speaks")
    until = time.monotonic() + 30
    while e.get("file") and time.monotonic() < until:
        try:
            with open(e["file"]) as f:
                text = f.read()
        except OSError:
            text = ""
        if all(w in text for w in e["wait"]):
            break
        time.sleep(0.02)
    time.sleep(e.get("sleep", 0))
    exec(e.get("do", ""))
    try:
        with open(e.get("file", "/tmp/seen")) as f:
            seen = f.read()
    except OSError:
        seen = ""
    return {"me": ME, "born": BORN, "id": c.aws_request_id, "arn": c.invoked_function_arn, "seen": seen}
'''


def package(files):
    """A zip of {name: text or (text, mode)}; executable where it does not say."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, what in files.items():
            text, mode = what if isinstance(what, tuple) else (what, 0o755)
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | mode) << 16
            z.writestr(info, text)
    return out.getvalue()


def log_text(test, name, enough):
    """The text of a function's log, once enough(text)."""
    logs, text, until = client("logs"), "", time.monotonic() + 60
    while not enough(text):
        test.assertLess(time.monotonic(), until, text)
        time.sleep(0.1)
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            text = "".join(e["message"].rstrip("\n") + "\n" for page in pages for e in page["events"])
        except logs.exceptions.ResourceNotFoundException:
            pass
    logs.close()
    return text


class ExtensionCase(LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layers = []

    @classmethod
    def tearDownClass(cls):
        for name, version in cls.layers:
            cls.aws.delete_layer_version(LayerName=name, VersionNumber=version)
        super().tearDownClass()

    def layer(self, **files):
        """A layer with these in its directory extensions: True for the program above, or a text, or (text, mode)."""
        name = f"x-{self.id().rpartition('.')[2]}-{len(self.layers)}"
        made = self.aws.publish_layer_version(LayerName=name, Content={"ZipFile": package(
            {"listen.py": LISTEN, **{"extensions/" + n: EXTENSION if what is True else what for n, what in files.items()}})})
        self.layers.append((name, made["Version"]))
        return made["LayerVersionArn"]

    def extended(self, plan, code=FUNCTION, variables=None, layer=None, **settings):
        """A function with an extension for each name of the plan."""
        layer = layer or self.layer(**{name: True for name in plan})
        settings.setdefault("Timeout", 30)
        return self.make(code, Layers=[layer], Environment={"Variables": {"EXT": json.dumps(plan), **(variables or {})}}, **settings)

    def again(self, name, me, event=None):
        """Another invocation of the same environment: while its extensions are busy with the one before, others are given it."""
        until = time.monotonic() + 60
        while (result := self.result(name, event))["me"] != me:
            self.assertLess(time.monotonic(), until)
        return result

    def seen(self, result):
        return [json.loads(line) for line in result["seen"].splitlines()]

    def lines(self, name, enough):
        return log_text(self, name, enough)

    def recycle(self, name):
        """New code: the environments of before go."""
        self.aws.update_function_code(FunctionName=name, ZipFile=package({"lambda_function.py": (FUNCTION + f"\n# {time.time_ns()}\n", 0o644)}))

