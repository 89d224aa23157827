"""A cloud of our own for black-box tests: started from the built program, on a free port, with its data in a temporary directory.

Tests of tests/api take the one that the runner started from the environment (AWS_ENDPOINT_URL and keys); those that break things start their own.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import leftovers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def program():
    return os.environ.get("QUARTET", os.path.join(ROOT, "build", "quartet"))


def free_port():
    """Below the range that connections take their own ports from, so that nobody takes it before the cloud does."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


_logs = {}  # what clouds of this process wrote in the time of one test: where each log began then, or the end of one whose cloud has gone
LOG_KEPT_BYTES = 1 << 16


def logs_begin():
    """A test begins: what has been written so far is not of its time."""
    for path in [p for p, at in _logs.items() if isinstance(at, str)]:
        del _logs[path]
    for path in _logs:
        _logs[path] = os.path.getsize(path) if os.path.exists(path) else 0


def logs_since():
    """(path, text) of all that clouds have written since then."""
    return [(path, at if isinstance(at, str) else _log_end(path, at)) for path, at in _logs.items()]


def _log_end(path, begin):
    try:
        with open(path, "rb") as f:
            f.seek(max(begin, os.path.getsize(path) - LOG_KEPT_BYTES))
            return f.read().decode(errors="replace")
    except OSError:
        return ""


_models = []


def sdk_session(**given):
    """A boto3 session of its own that reads no model that another one has read: that takes six times as long as all the rest of a client."""
    import boto3
    import botocore.session
    if not _models:
        _models.append(botocore.session.get_session().get_component("data_loader"))
    core = botocore.session.Session()
    core.register_component("data_loader", _models[0])
    return boto3.Session(botocore_session=core, **given)


class Cloud:
    """Use as a context manager, or start() and stop()."""

    def __init__(self, data=None, options=(), inside=()):
        """options: more arguments of `up`; inside: a command that runs the program (in namespaces of its own, say) by exec."""
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="quartet-test-")
        os.chmod(self.data, 0o755)
        self.port = free_port()
        self.tls_port = free_port()
        self.options = list(options)
        self.kvm = "no"  # guests are the same on every machine, and no cloud of a test tries
        self.inside = list(inside)
        self.process = None
        self.log = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.log = open(os.path.join(self.data, "log"), "ab")
        if isinstance(_logs.get(self.log.name, ""), str):
            _logs[self.log.name] = 0
        self.process = subprocess.Popen(
            [*self.inside, program(), "up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--tls-port", str(self.tls_port), "--kvm", self.kvm, *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait()
        return self

    def wait(self, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the cloud ended with status {self.process.returncode}:\n{self.log_text()[-2000:]}")
            try:
                return self.health()
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f"the cloud does not answer:\n{self.log_text()[-2000:]}")

    def health(self):
        with urllib.request.urlopen(self.endpoint + "/_quartet/health", timeout=5) as reply:
            return json.load(reply)

    def client(self, service, key="test", secret="test", region="us-east-1", **config):
        """A boto3 client that gives up soon and does not try again."""
        import botocore.config
        config = {"retries": {"max_attempts": 0}, "connect_timeout": 10, "read_timeout": 20, "s3": {"addressing_style": "path"}, **config}
        return sdk_session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=region).client(
            service, endpoint_url=self.endpoint, config=botocore.config.Config(**config))

    def log_text(self):
        with open(os.path.join(self.data, "log"), errors="replace") as f:
            return f.read()

    def role_pid(self, role):
        """The process of a role, found among main's children."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            for child in f.read().split():
                try:
                    with open(f"/proc/{child}/cmdline", "rb") as c:
                        if role.encode() in c.read().split(b"\0")[1:4]:
                            return int(child)
                except OSError:
                    continue
        return None

    def wait_for_role(self, role, other_than=None, seconds=30):
        """The pid of a role that is not `other_than`, and the seconds that it took to be there."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            pid = self.role_pid(role)
            if pid and pid != other_than:
                return pid, time.monotonic() - began
            time.sleep(0.005)
        raise RuntimeError(f"no {role} after {seconds} s:\n{self.log_text()[-2000:]}")

    def kill(self, role):
        pid = self.process.pid if role == "main" else self.role_pid(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def forward(self, how_far):
        """Moves the cloud's clock: "58s", "2h"."""
        subprocess.run([program(), "clock", "forward", how_far], check=True, capture_output=True, timeout=60, env=self.environment())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        if self.log:
            self.log.close()
        if self.log and isinstance(at := _logs.get(self.log.name), int):
            _logs[self.log.name] = _log_end(self.log.name, at)
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def leftovers(self, seconds=30):
        """What the ended cloud has left on the machine; call it before stop() has removed the data, or afterwards."""
        return leftovers.leftovers(self.data, seconds)

    def environment(self, key="test", secret="test", region="us-east-1"):
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env.update(AWS_ENDPOINT_URL=self.endpoint, AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret, AWS_REGION=region,
                   AWS_DEFAULT_REGION=region, AWS_EC2_METADATA_DISABLED="true", QUARTET_DATA=self.data, QUARTET=program(),
                   QUARTET_TLS_ENDPOINT=f"https://localhost:{self.tls_port}", HOME=self.data, AWS_PAGER="")
        return env

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
