"""What every part uses: the built programs, a cloud to measure, loads, medians, memory and processor time of processes."""
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import mmap
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import traceback

from cloud import Cloud, free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ["bill", "ec2_records", "epoll_bare", "event_rules", "load", "network", "store_writes", "unix_echo", "bootstrap"]


class Skip(Exception):
    """A part that cannot run here; the text says why."""


class Row:
    """One figure. reach is the goal; bigger: more is better; bound: what keeps it short of the goal, said only if it is."""

    def __init__(self, what, value, unit, reach=None, bigger=False, peer=None, peer_value=None, note="", bound=""):
        self.what, self.value, self.unit, self.reach, self.bigger = what, value, unit, reach, bigger
        self.peer, self.peer_value, self.note, self.bound = peer, peer_value, note, bound

    @property
    def short(self):
        return self.reach is not None and (self.value < self.reach if self.bigger else self.value > self.reach)

    @property
    def ratio(self):
        return self.value / self.peer_value if self.peer_value else None


class Bench:
    def __init__(self, options):
        self.rounds, self.seconds, self.dir = options.rounds, options.seconds, os.path.abspath(options.build)
        self.rows, self.skipped, self.failed = [], [], False
        self.load_before = os.getloadavg()[0]
        os.environ["QUARTET"] = os.path.join(self.dir, "quartet")
        self.tty = sys.stderr.isatty()

    def build(self):
        self.say("building")
        done = subprocess.run(["ninja", "-C", self.dir, "quartet", *(f"bench/{p}" for p in PROGRAMS)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"bench/run: the programs do not build:\n{done.stdout[-2000:]}")

    def program(self, name):
        return os.path.join(self.dir, "bench", name)

    def say(self, text):
        """Progress, on a terminal alone."""
        if self.tty:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def run(self, name, part):
        self.part = name
        self.say(name)
        try:
            part(self)
        except Skip as why:
            self.skipped.append((name, str(why)))
        except Exception as error:  # the other parts still say something
            self.failed = True
            self.say("")
            print(f"bench/run: {name}: {error}", file=sys.stderr)
            if os.environ.get("BENCH_TRACE"):
                traceback.print_exc()
        self.say("")

    def round(self, n, what=""):
        self.say(f"{self.part}: round {n + 1} of {self.rounds} {what}")

    def add(self, *args, **named):
        self.rows.append(Row(*args, **named))

    # --- what is measured

    @contextlib.contextmanager
    def cloud(self, *options):
        cloud = BenchCloud(options=options)
        try:
            yield cloud.start()
        finally:
            cloud.stop()

    @contextlib.contextmanager
    def server(self, *command):
        """A peer that serves on the port which is the last word of its command."""
        port = free_port()
        process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_port(port, process)
            yield process, port
        finally:
            end(process)

    def load(self, port, op, check=True, **options):
        """Runs the load generator; its figures as a dictionary."""
        if "seconds" not in options and "count" not in options:
            options["seconds"] = self.seconds
        words = [w for k, v in options.items() for w in (f"--{k}", str(v))]
        done = subprocess.run([self.program("load"), str(port), op, *words], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"load {op}: {done.stderr.strip()}")
        figures = json.loads(done.stdout)
        if check and figures["errors"]:
            raise RuntimeError(f"load {op}: {figures['errors']} of {figures['requests']} failed, the first with: {figures['first_error']}")
        return figures


class BenchCloud(Cloud):
    """The harness's cloud with a small client of our own: no SDK, whose start would be most of a part's time."""

    @property
    def roles(self):
        return {"main": self.process.pid, **{role: self.role_pid(role) for role in ("api", "priv") if self.role_pid(role)}}

    def call(self, service, method, path, body=b"", headers=None, check=True):
        status, reply = signed(self.port, service, method, path, body, headers or {})
        if check and status >= 300:
            raise RuntimeError(f"{service} {method} {path}: {status} {reply[:300].decode(errors='replace')}")
        return status, reply


def signed(port, service, method, path, body, headers):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/{service}/aws4_request"
    payload = hashlib.sha256(body).hexdigest()
    sent = {**headers, "host": f"127.0.0.1:{port}", "x-amz-date": now, "x-amz-content-sha256": payload}
    names = ";".join(sorted(sent))
    path_only, _, query = path.partition("?")
    canonical = "\n".join([method, path_only, query, *(f"{k}:{sent[k]}" for k in sorted(sent)), "", names, payload])
    key = b"AWS4test"
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    sent["authorization"] = f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, Signature={signature}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, sent)
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return reply.status, data


# --- numbers


def median(values):
    return statistics.median(values)


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


# --- processes


def wait_port(port, process, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.002)
    raise RuntimeError(f"{process.args[0]} does not listen")


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in map(int, f.read().split()):
                    found += [child, *children(child)]
    return found


def pss_mib(pids):
    """Proportional set size: private memory, and of shared pages each sharer's part."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
    return total / 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read()).group(1)
    with open("/proc/meminfo") as f:
        memory = int(f.read().split()[1]) / 1024 / 1024
    release = os.uname().release
    virtual = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True).stdout.strip() if os.path.exists("/usr/bin/systemd-detect-virt") else ""
    return f"{os.cpu_count()} x {model}{f' ({virtual})' if virtual else ''}, {memory:.0f} GiB, Linux {release}"


def page_fault_us():
    """What the first write to a page of fresh memory costs here: some 0.2 us on a bare machine, and up to a hundred times that where the
    hypervisor keeps page tables in software. Starting processes is made of these."""
    size = 16 << 20
    memory = mmap.mmap(-1, size)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    begin = time.perf_counter()
    for offset in range(0, size, mmap.PAGESIZE):
        memory[offset] = 1
    return (time.perf_counter() - begin) * 1e6 * mmap.PAGESIZE / size
