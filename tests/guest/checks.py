"""What is checked inside the guest: checks.py BUILD. Says each result on a line of its own, which the runner reads:
`@guest pass|fail|skip NAME` and, with `|`, lines of explanation; at the end `@guest end`, and the guest is switched off.

Everything here is emulated and many times slower than a machine, so nothing is expected to be quick: patience is the rule, and the
few timeouts are there to end what hangs.
"""
import base64
import contextlib
import glob
import io
import json
import os
import re
import shutil
import subprocess
import sys
import termios
import threading
import time
import traceback
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "harness"))
import cloud as harness  # noqa: E402
import leftovers  # noqa: E402
import raw  # noqa: E402

BUILD = sys.argv[1]
PROGRAM = os.path.join(BUILD, "quartet")
GROUPS = "/sys/fs/cgroup"
PATIENCE = 10
os.environ.update(QUARTET=PROGRAM, QUARTET_PATIENCE=str(PATIENCE))


# --- saying what came out

SAYING = threading.Lock()


def say(state, name, why=""):
    with SAYING:
        print(f"@guest {state} {name}", *(f"| {line}" for line in why.strip().splitlines()[-60:]), sep="\n", flush=True)


class Skip(Exception):
    """Why it cannot be checked."""


def check(name, function, *args):
    """Runs one check; True when it passed."""
    try:
        function(*args)
    except Skip as why:
        say("skip", name, str(why))
        return False
    except Exception:  # noqa: BLE001 - whatever it is, it is this check's failure
        say("fail", name, traceback.format_exc())
        return False
    say("pass", name)
    return True


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def between(low, got, high, what):
    if not low <= got <= high:
        raise AssertionError(f"{what}: {got}, not {low} to {high}")


def wait_for(what, test, seconds=20):
    until = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < until:
        value = test()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not after {seconds * PATIENCE} s")


def run(*args, **kwargs):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60 * PATIENCE, check=False, **kwargs)


def done(*args):
    result = run(*args)
    if result.returncode:
        raise AssertionError(f"{' '.join(args)}: status {result.returncode}: {result.stdout}")
    return result.stdout


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def write(text, *path):
    with open(os.path.join(*path), "w", encoding="utf-8") as f:
        f.write(text)


# --- the tests that ask the kernel

def host_tests(program):
    """One result a test of a program of cmocka's."""
    output = run(program).stdout
    group = os.path.basename(program)
    seen = list(re.finditer(r"^\[ RUN      \] (\w+)\n(.*?)^\[ *(OK|FAILED|SKIPPED|ERROR) *\] \1", output, re.M | re.S))
    for found in seen:
        say({"OK": "pass", "SKIPPED": "skip"}.get(found[3], "fail"), f"{group}: {found[1]}",
            "this guest has no network for sandboxes" if found[3] == "SKIPPED" else found[2] if found[3] != "OK" else "")
    told = re.search(r"^\[=+\] (\d+) test\(s\) run", output, re.M)
    if not told or int(told[1]) != len(seen):
        say("fail", group, output)


def roles():
    """Beside the others, at the top of the tree, as if it had been started by hand."""
    result = run("sh", "-c", f'echo $$ > {GROUPS}/cgroup.procs; exec "$@"', "sh", "/usr/bin/python3", "-B",
                 os.path.join(os.path.dirname(HERE), "host", "roles.py"), PROGRAM)
    if result.returncode:
        raise AssertionError(result.stdout)


# --- a cloud and its functions, without the SDK: importing it takes an emulated processor longer than all the rest

def package(name, content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
        info.external_attr = 0o100755 << 16
        z.writestr(info, content)
    return base64.b64encode(out.getvalue()).decode()


class Reply:
    def __init__(self, reply):
        self.value = json.loads(reply.body or b"null")
        self.error = reply.headers.get("x-amz-function-error")
        self.log = base64.b64decode(reply.headers.get("x-amz-log-result", "")).decode()

    @property
    def peak_mb(self):
        return int(re.search(r"Max Memory Used: (\d+) MB", self.log)[1])


class Api:
    TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}'

    def __init__(self, port):
        self.port = port
        form = f"Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument={raw.quote(self.TRUST)}"
        self.ask("iam", "POST", "/", form, {"content-type": "application/x-www-form-urlencoded"})

    def ask(self, service, method, path, body="", headers=None):
        request = raw.Signer(self.port, service).request(method, path, body=body.encode(), headers=headers)
        reply = raw.ask(self.port, request, 60 * PATIENCE)
        if not reply or reply.status not in (200, 201):
            raise AssertionError(f"{method} {path}: {reply.data.decode() if reply else 'no answer'}")
        return reply

    def make(self, name, code, runtime="python3.11", file="f.py", **settings):
        """Functions here get a whole processor, as 1,769 MB do, if they do not say otherwise: a share of an emulated one is little."""
        body = {"FunctionName": name, "Runtime": runtime, "Handler": "f.handler", "Role": "arn:aws:iam::000000000000:role/r",
                "Code": {"ZipFile": package(file, code)}, "MemorySize": 1769, "Timeout": 600, **settings}
        self.ask("lambda", "POST", "/2015-03-31/functions", json.dumps(body))
        wait_for(f"{name} active", lambda: json.loads(self.ask("lambda", "GET", f"/2015-03-31/functions/{name}").body)["Configuration"]["State"] == "Active")
        return name

    def call(self, name, event=None):
        return Reply(self.ask("lambda", "POST", f"/2015-03-31/functions/{name}/invocations", json.dumps(event), {"x-amz-log-type": "Tail"}))

    def answers(self, name, event):
        """The function's answer, or None for an error of the service."""
        try:
            return self.call(name, event).value
        except AssertionError:
            return None


ECHO = "import time\nborn = time.time()\ndef handler(event, context):\n  return [event, born]\n"
# most of it before the share of a processor counts; in large pieces, which come in huge pages
HOG = "kept = bytearray(150 << 20)\ndef handler(event, context):\n  x = []\n  while True: x.append(bytearray(4 << 20))\n"
# of threads, which count as processes do and are cheaper to make; tests/host has one of processes
BOMB = """import threading
def handler(event, context):
  stop = threading.Event(); threading.stack_size(65536); n = 0
  try:
    while n < 5000: threading.Thread(target=stop.wait, daemon=True).start(); n += 1
  except RuntimeError as e: return str(e), n
  finally: stop.set()
"""
BURN = """import time
def handler(event, context):
  t = time.monotonic(); u = time.process_time()
  while time.monotonic() - t < 2: pass
  return (time.process_time() - u) / (time.monotonic() - t)
"""


def own_group(data):
    """Where a cloud's group is in the tree."""
    name = "quartet-" + leftovers.instance_of(data)
    return next((os.path.join(place, name) for place, folders, _ in os.walk(GROUPS) if name in folders), None)


def used_cells(data):
    """The groups of cells that belong to a function: their limit is not the one of the pool."""
    return [place for place in glob.glob(own_group(data) + "/c[0-9]*") if read(place, "memory.max").strip() != str(1 << 30)]


def frozen(place):
    return "frozen 1" in read(place, "cgroup.events")


def runtimes():
    """The runtime client of Python alone: keeping others' interpreters ready would cost minutes here."""
    place = "/run/runtimes"  # the unit has it too, see `start`
    if not os.path.exists(place):
        shutil.copytree(os.path.join(os.path.dirname(os.path.dirname(HERE)), "runtimes", "python"), place + "/python")
    return place


# --- what functions see of the limits

class Functions:
    def __init__(self, port, data):
        self.api, self.data = Api(port), data

    def a_python_function_runs_and_is_frozen(self):
        self.api.make("echo", ECHO)
        cold = self.api.call("echo", 1)
        equal((cold.value[0], cold.error), (1, None), cold.log)
        place = wait_for("a used cell", lambda: used_cells(self.data))[0]
        wait_for("it is frozen", lambda: frozen(place))
        warm = self.api.call("echo", 2)
        equal(warm.value, [2, cold.value[1]], "the same environment answers")
        wait_for("it is frozen again", lambda: frozen(place))
        answer = done(PROGRAM, "invoke", "--data", self.data, "echo", '"by the command"')
        equal(json.loads(answer), ["by the command", cold.value[1]], "quartet invoke")
        equal(used_cells(self.data), [place], "cells in use")
        between(5, warm.peak_mb, 120, "MB used")

    def a_native_function_runs(self):
        program = os.path.join(BUILD, "bench", "bootstrap")
        with open(program, "rb") as f:
            self.api.make("native", f.read(), "provided.al2023", "bootstrap", MemorySize=128)
        for _ in range(3):
            reply = self.api.call("native", {})
            equal((reply.value, reply.error), ({}, None), reply.log)
        between(1, reply.peak_mb, 60, "MB used")

    def limits_are_the_kernels(self):
        before = set(used_cells(self.data))
        self.api.make("small", ECHO, MemorySize=128)
        self.api.call("small")
        place = wait_for("its cell", lambda: set(used_cells(self.data)) - before).pop()
        quota, period = read(place, "cpu.max").split()
        equal((int(quota), int(period)), (128 * 20000 // 1769, 20000), "the processor's share")
        equal(read(place, "pids.max").strip(), "1024", "processes")
        equal(read(place, "memory.swap.max").strip(), "0", "swap")
        # calm: the alarm is at the memory size, or a little above it for what lies in /tmp; the limit a fixed step above that
        alarm, limit = int(read(place, "memory.high")), int(read(place, "memory.max"))
        between(128 << 20, alarm, (128 << 20) + (1 << 20), "the alarm")
        equal(limit - alarm, 256 << 20, "the limit above it")
        equal(read(place, "cpu.weight").strip(), "100", "weight")
        equal(read(own_group(self.data), "cpu.weight").strip(), "1000", "weight of all together")

    def a_memory_hog_is_killed_and_its_environment_lives_on(self):
        self.api.make("hog", HOG, MemorySize=192)
        for _ in range(2):
            reply = self.api.call("hog")
            equal(reply.error, "Unhandled", reply.log)
            equal(reply.value["errorType"], "Runtime.ExitError")
            if "signal: killed" not in reply.value["errorMessage"]:
                raise AssertionError(reply.value)
            equal(reply.peak_mb, 192, "MB used")

    def a_fork_bomb_is_contained(self):
        words, n = self.api.call(self.api.make("bomb", BOMB)).value
        equal(words, "can't start new thread")
        between(900, n, 1024, "processes")
        equal(self.api.call("echo", 3).value[0], 3, "others go on")

    def processors_go_by_memory_size(self):
        small, large = (self.api.call(self.api.make(f"burn{size}", BURN, MemorySize=size)).value for size in (256, 1769))
        between(0.03, small, 2 * 256 / 1769, "share of a processor with 256 MB")
        between(2 * small, large, 1.2, "share of a processor with 1,769 MB")

    def run(self, where):
        for name in ("a_python_function_runs_and_is_frozen", "a_native_function_runs", "limits_are_the_kernels",
                     "a_memory_hog_is_killed_and_its_environment_lives_on", "a_fork_bomb_is_contained", "processors_go_by_memory_size"):
            check(f"{where}: {name}", getattr(self, name))


# --- where in the tree it is started

class Unit:
    """The unit of packaging/, under systemd."""
    PORT, DATA = 4566, "/var/lib/quartet"
    GROUP = GROUPS + "/system.slice/quartet.service"

    def start(self):
        runtimes()
        done("systemctl", "start", "quartet")
        equal(own_group(self.DATA), f"{self.GROUP}/quartet-{leftovers.instance_of(self.DATA)}", "its group")
        equal(set(read(self.GROUP, "cgroup.subtree_control").split()), {"cpu", "memory", "pids"}, "controllers")
        equal(read(self.GROUP, "cgroup.procs"), "", "processes beside the leaf")

    def a_killed_priv_comes_back_to_the_same_group(self):
        api, place = self.functions.api, own_group(self.DATA)
        victim = next(pid for pid, what in leftovers.processes(self.DATA).items()
                      if what.startswith("quartet role priv") and "quartet-roles" in read(f"/proc/{pid}/cgroup"))
        os.kill(victim, 9)
        # the answer of one that began in a dying sandbox is an error; the next must come
        wait_for("an answer from a new sandbox", lambda: api.answers("echo", 4))
        equal(own_group(self.DATA), place, "the group")
        equal(sorted(d for d in os.listdir(self.GROUP) if "quartet" in d), sorted([os.path.basename(place), "quartet-roles"]), "groups")

    def a_reload_of_systemd_changes_nothing(self):
        done("systemctl", "daemon-reload")
        done("systemctl", "start", "other")
        equal(set(read(own_group(self.DATA), "cgroup.controllers").split()) >= {"cpu", "memory", "pids"}, True, "controllers")

    def stop(self):
        done("systemctl", "stop", "quartet")
        equal(leftovers.leftovers(self.DATA, 5 * PATIENCE), [], "left")
        equal(os.path.exists(self.GROUP), False, "the unit's group is there")

    def run(self):
        if not os.path.exists("/run/systemd/private"):
            raise Skip("systemd is not installed")
        try:
            if not check("unit: it starts with limits", self.start):
                return
            self.functions = Functions(self.PORT, self.DATA)
            self.functions.run("unit")
            check("unit: a_killed_priv_comes_back_to_the_same_group", self.a_killed_priv_comes_back_to_the_same_group)
            check("unit: a_reload_of_systemd_changes_nothing", self.a_reload_of_systemd_changes_nothing)
            check("unit: nothing_is_left", self.stop)
        finally:
            print(read("/run/quartet.log") if os.path.exists("/run/quartet.log") else "", flush=True)


IN_GROUP = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"']
# A container with a process of its own besides the cloud: the top of its tree is no root, and is not empty
IN_CONTAINER = ["unshare", "--cgroup", "--mount", "sh", "-c",
                f'umount {GROUPS} && mount -t cgroup2 none {GROUPS} && {{ sleep 100000 & exec "$@"; }}', "sh"]


@contextlib.contextmanager
def group(name):
    place = os.path.join(GROUPS, name)
    os.makedirs(place)
    try:
        yield place
    finally:
        write("1", place, "cgroup.kill")
        for below, _, _ in os.walk(place, topdown=False):
            wait_for(f"{below} empty", lambda below=below: "populated 0" in read(below, "cgroup.events"))
            os.rmdir(below)


class Cloud(harness.Cloud):
    """With patience."""

    def wait(self, seconds=20):
        return super().wait(seconds * PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30 * PATIENCE)
        super().stop()


def started_in(place, inside, wanted):
    """One invocation by a cloud that was started there; wanted: where its groups must be."""
    with Cloud(inside=inside, options=["--runtimes", runtimes()]) as cloud:
        try:
            wait_for("sandboxes known", lambda: cloud.health()["sandboxes"]["known"])
            health = cloud.health()["sandboxes"]
            equal((health["work"], health["cgroup"], health["cpu_limit"]), (True, 2, True), health["why_not"])
            api = Api(cloud.port)
            equal(api.call(api.make("echo", ECHO, MemorySize=256), 5).value[0], 5, "an answer")
            equal(own_group(cloud.data), f"{wanted}/quartet-{leftovers.instance_of(cloud.data)}", "its group")
            equal(len(used_cells(cloud.data)), 1, "cells in use")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{cloud.log_text()}") from e
        cloud.stop()
        equal(leftovers.leftovers(cloud.data, 5 * PATIENCE), [], "left")
    if place != GROUPS:
        equal([d for d in os.listdir(place) if os.path.isdir(os.path.join(place, d)) and d != "quartet-roles"], [], "groups left")


def from_a_login():
    with group("user.slice/user-0.slice/session-1.scope") as place:
        started_in(place, [*IN_GROUP, place], GROUPS)


def in_a_container():
    write("+memory +cpu +pids", GROUPS, "cgroup.subtree_control")
    with group("box") as place:
        started_in(place, [*IN_GROUP, place, *IN_CONTAINER], place)


# --- the machine itself

def network():
    """A way out that leads nowhere, so that sandboxes get links and rules."""
    for line in ("link add up0 type veth peer name up1", "address add 192.0.2.1/24 dev up0", "link set up0 up", "link set up1 up",
                 "route add default via 192.0.2.2"):
        done("ip", *line.split())


def strict():
    """As careful administrators have it on Debian: ordinary users make no user namespaces. Sandboxes must not need it."""
    if not os.path.exists("/proc/sys/kernel/unprivileged_userns_clone"):
        raise Skip("this kernel has no such switch")
    write("0", "/proc/sys/kernel/unprivileged_userns_clone")
    equal(subprocess.run(["unshare", "--user", "true"], user=65534, group=65534, extra_groups=[], stderr=subprocess.DEVNULL, check=False).returncode, 1, "a user's try")


def doctor():
    lines = run(PROGRAM, "doctor").stdout
    for words in (r"ok +control groups +version 2$", r"ok +user namespaces +yes$", r"ok +seccomp filters +yes$", r"ok +Landlock +version \d", r"ok +privilege +root$"):
        if not re.search(words, lines, re.M):
            raise AssertionError(f"no {words} in:\n{lines}")
    write("0", "/proc/sys/user/max_user_namespaces")
    try:
        refused = run(PROGRAM, "doctor").stdout
    finally:
        write("10000", "/proc/sys/user/max_user_namespaces")
    if not re.search(r"-- +user namespaces +No space", refused):
        raise AssertionError(f"user namespaces are off:\n{refused}")


def the_others():
    check("started from a login", from_a_login)
    check("started in a container", in_a_container)
    host_tests(os.path.join(BUILD, "tests", "host", "host_cell_machine"))
    check("roles", roles)


def main():
    print(f"Linux {os.uname().release}, {'systemd' if os.path.exists('/run/systemd/private') else 'no systemd'}", flush=True)
    check("machine: a network", network)
    check("machine: user namespaces are for root", strict)
    check("machine: doctor", doctor)
    check("unit", Unit().run)
    # two processors, and none of these looks at more than its own
    beside = threading.Thread(target=the_others)
    beside.start()
    host_tests(os.path.join(BUILD, "tests", "host", "host_cell_inside"))
    beside.join()
    say("end", "of the checks")
    termios.tcdrain(1)
    write("b", "/proc/sysrq-trigger")


main()
