"""Functions: cold and warm invocations, a hundred at once, and what an idle environment holds."""
import base64
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
import zipfile

from parts.tools import Skip, children, median, percentile, pss_mib

PYTHON = "def handler(event, context):\n    return {}\n"
NODE = "exports.handler = async () => ({});\n"
DEFAULT_MB, PROCESSOR_MB = 128, 1769  # the latter is one processor; what is less gets its share of one, but not before the first event
MAKE_IMAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "make-oci-image")
ROLE = "arn:aws:iam::000000000000:role/bench"


def package(name, content, mode=0o644):
    """A deployment package of one file, as CreateFunction takes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o100000 | mode) << 16
        z.writestr(info, content)
    return base64.b64encode(out.getvalue()).decode()


def kinds(bench):
    """What is measured: runtime identifiers that this machine can run, by the versions of its interpreters."""
    with open(bench.program("bootstrap"), "rb") as f:
        native = f.read()
    return {
        "python": (["python3.11", "python3.12", "python3.13"], "f.handler", package("f.py", PYTHON)),
        "node": (["nodejs18.x", "nodejs20.x", "nodejs22.x"], "f.handler", package("f.js", NODE)),
        "native": (["provided.al2023"], "bootstrap", package("bootstrap", native, 0o755)),
    }


def image_of(bench, cloud):
    """Pushes an image of the native program alone; returns its name."""
    work = tempfile.mkdtemp(prefix="quartet-bench-")
    try:
        made = os.path.join(work, "layout")
        subprocess.run([MAKE_IMAGE, "--entrypoint", '["/bootstrap"]', "--add", bench.program("bootstrap") + ":/bootstrap",
                        made, "base-files"], stdout=subprocess.DEVNULL, check=True)
        done = subprocess.run([os.environ["QUARTET"], "image", "import", "--data", cloud.data, "--repository", "bench:1", made], capture_output=True, text=True, check=True)
        return done.stdout.strip()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def create(cloud, name, runtimes, handler, code, memory=DEFAULT_MB, variables=None, snap_start=False):
    """Creates a function under the first of the runtimes that is served, or of an image (no runtime, and code is its name); waits until it is active."""
    said = b""
    for runtime in runtimes or ["container image"]:
        what = {"Runtime": runtime, "Handler": handler, "Code": {"ZipFile": code}} if runtimes else {"PackageType": "Image", "Code": {"ImageUri": code}}
        body = json.dumps({"FunctionName": name, "Role": ROLE, "MemorySize": memory, "Timeout": 10, "Environment": {"Variables": variables or {}},
                           **({"SnapStart": {"ApplyOn": "PublishedVersions"}} if snap_start else {}), **what}).encode()
        status, said = cloud.call("lambda", "POST", "/2015-03-31/functions", body, {"content-type": "application/json"}, check=False)
        if status == 201:
            break
    else:
        raise Skip(f"no function can be created here: {said[:200].decode(errors='replace')}")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if json.loads(cloud.call("lambda", "GET", f"/2015-03-31/functions/{name}/configuration")[1])["State"] == "Active":
            return runtime
        time.sleep(0.01)
    raise RuntimeError(f"{name} does not become active")


def need_role(cloud):
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
    from urllib.parse import urlencode
    cloud.call("iam", "POST", "/", urlencode({"Action": "CreateRole", "Version": "2010-05-08", "RoleName": "bench", "AssumeRolePolicyDocument": trust}).encode(),
               {"content-type": "application/x-www-form-urlencoded"})


def cloud_of(bench, *options):
    if os.geteuid() != 0:
        raise Skip("functions need root")
    return bench.cloud(*options)


def invoke_ms(bench, cloud, name):
    return bench.load(cloud.port, "invoke", name=name, count=1, connections=1)["p50_us"] / 1000


def rest(cloud):
    """Waits until the pool of prepared sandboxes is full again, so that a lone cold start is measured."""
    until = time.monotonic() + 5
    seen, since = None, 0
    while time.monotonic() < until:
        pool = cloud.health()["sandboxes"]
        if pool != seen:
            seen, since = pool, time.monotonic()
        elif pool["making"] == 0 and pool["stems"] and time.monotonic() - since > 0.15:
            return
        time.sleep(0.02)


def fork_exec():
    begin = time.perf_counter()
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return (time.perf_counter() - begin) * 1000


def cold(bench):
    """cold start, caller to response, per runtime: with prepared environments waiting, and from nothing"""
    goals = {"python": 5, "node": 5, "native": 3, "image": 3}
    count = 10 * bench.rounds
    with cloud_of(bench) as cloud:
        need_role(cloud)
        floor = [fork_exec() for _ in range(30)]
        for kind, (runtimes, handler, code) in {**kinds(bench), "image": ([], "", image_of(bench, cloud))}.items():
            first, later, bare = [], [], []
            for n in range(count):
                bench.say(f"cold: {kind} {n + 1} of {count}")
                runtime = create(cloud, f"cold-{kind}-{n}", runtimes, handler, code, memory=PROCESSOR_MB)
                rest(cloud)
                first.append(invoke_ms(bench, cloud, f"cold-{kind}-{n}"))
                later.append(invoke_ms(bench, cloud, f"cold-{kind}-{n}"))
                if kind not in ("native", "image") and n % 3 == 0:
                    # an interpreter must start with such a variable set, so none that waits already may be taken
                    create(cloud, f"bare-{kind}-{n}", runtimes, handler, code, memory=PROCESSOR_MB, variables={"LANG": "C.UTF-8"})
                    rest(cloud)
                    bare.append(invoke_ms(bench, cloud, f"bare-{kind}-{n}"))
            bench.add(f"cold start, {runtime}, p50", median(first), "ms", reach=goals[kind], peer="fork + exec /bin/true", peer_value=median(floor),
                      note=f"{PROCESSOR_MB} MB; p90 {percentile(first, 90):.1f} ms, the second call {median(later):.2f} ms",
                      bound="page faults of the sandbox that is made ready for the function (see the head of this page for what one takes); fork + exec "
                            "of the smallest program, the floor, is next to it.")
            bench.add(f"cold start, {runtime}, p99", percentile(first, 99), "ms", reach=20, note=f"{count} functions, one after the other: so it is the slowest of them",
                      bound="it moves with the load of the machine: prepared runtimes have the lowest priority, so one that is still starting may be taken.")
            if bare:
                bench.add(f"cold start, {runtime}, no prepared runtime, p50", median(bare), "ms", note="the interpreter starts then")


# An initialisation that computes for 300 ms and keeps 10 MB.
HEAVY = {
    "python": package("f.py", "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nkept = [bytes(100) for _ in range(70000)]\n" + PYTHON),
    "node": package("f.js", "const end = process.cpuUsage().user + 3e5;\nwhile (process.cpuUsage().user < end);\nconst kept = [];\n"
                            "for (let i = 0; i < 150000; i++) kept.push({ i });\nexports.handler = async () => ({});\n"),
}


def snapstart(bench):
    """environments restored from snapshots of a function with a heavy initialisation, caller to response"""
    count = 10 * bench.rounds
    with cloud_of(bench) as cloud:
        need_role(cloud)
        if cloud.health()["sandboxes"]["why_no_snapshots"]:
            raise Skip(cloud.health()["sandboxes"]["why_no_snapshots"])
        for kind, code in HEAVY.items():
            runtimes, handler, _ = kinds(bench)[kind]
            restored, initialised = [], []
            for n in range(count):
                bench.say(f"snapstart: {kind} {n + 1} of {count}")
                name = f"snap-{kind}-{n}"
                runtime = create(cloud, name, runtimes, handler, code, memory=PROCESSOR_MB, snap_start=True)
                cloud.call("lambda", "POST", f"/2015-03-31/functions/{name}/versions", b"{}", {"content-type": "application/json"})
                until = time.monotonic() + 60
                while (found := json.loads(cloud.call("lambda", "GET", f"/2015-03-31/functions/{name}/configuration?Qualifier=1")[1]))["State"] == "Pending":
                    if time.monotonic() > until:
                        raise RuntimeError(f"{name} stays pending")
                    time.sleep(0.01)
                if found["State"] != "Active":
                    raise RuntimeError(found["StateReason"])
                rest(cloud)
                restored.append(invoke_ms(bench, cloud, f"{name}:1"))
                if n % 3 == 0:
                    rest(cloud)
                    initialised.append(invoke_ms(bench, cloud, name))
            bench.add(f"SnapStart, {runtime}, caller to response, p50", median(restored), "ms", reach=50, peer="the same function's cold start", peer_value=median(initialised),
                      note=f"an initialisation of 300 ms that keeps 10 MB; {PROCESSOR_MB} MB",
                      bound="memory is copied, a page fault each 4 KiB, so that what a program gives back reads as zeros; a private mapping of the file would not.")
            bench.add(f"SnapStart, {runtime}, caller to response, p99", percentile(restored, 99), "ms", note=f"{count} versions, one after the other: so it is the slowest of them")


def crowd(bench):
    """a hundred cold starts at once"""
    runtimes, handler, code = kinds(bench)["python"]
    with cloud_of(bench) as cloud:
        need_role(cloud)
        walls, p50, p99 = [], [], []
        for n in range(bench.rounds):
            bench.round(n)
            for i in range(100):
                create(cloud, f"crowd-{n}-{i}", runtimes, handler, code)
            rest(cloud)
            figures = bench.load(cloud.port, "invoke", name=f"crowd-{n}-#", count=100, connections=100)
            walls.append(figures["seconds"] * 1000)
            p50.append(figures["p50_us"] / 1000)
            p99.append(figures["p99_us"] / 1000)
    bench.add("100 cold starts at once, python, until the last answer", median(walls), "ms", reach=500,
              note=f"p50 {median(p50):.0f} ms, p99 {median(p99):.0f} ms",
              bound="processor time: a hundred sandboxes are made, each with a copy of an interpreter whose pages are copied as it writes to them.")


def warm(bench):
    """warm invocations: latency of one after the other, and rate"""
    floor = [json.loads(subprocess.run([bench.program("unix_echo")], capture_output=True, text=True, check=True).stdout) for _ in range(bench.rounds)]
    peer = median([f["p50_us"] for f in floor]) / 1000
    with cloud_of(bench) as cloud:
        need_role(cloud)
        for kind, (runtimes, handler, code) in kinds(bench).items():
            runtime = create(cloud, f"warm-{kind}", runtimes, handler, code, memory=PROCESSOR_MB)
            bench.load(cloud.port, "invoke", name=f"warm-{kind}", count=50, connections=1)
            bench.load(cloud.port, "invoke", name=f"warm-{kind}", count=500, connections=16)
            p50, p99, rate = [], [], []
            for n in range(bench.rounds):
                bench.round(n, kind)
                one = bench.load(cloud.port, "invoke", name=f"warm-{kind}", connections=1, seconds=bench.seconds / 2)
                many = bench.load(cloud.port, "invoke", name=f"warm-{kind}", connections=16)
                p50.append(one["p50_us"] / 1000)
                p99.append(one["p99_us"] / 1000)
                rate.append(many["rate"])
            bench.add(f"warm invoke, {runtime}, p50", median(p50), "ms", reach=0.2, peer="Unix socket round trip", peer_value=peer,
                      note=f"p99 {median(p99):.2f} ms; one caller",
                      bound="wake-ups of processes (api, runtime, api, caller): two thirds of api's time a call are spent in sending its three messages.")
            bench.add(f"warm invoke, {runtime}, rate", median(rate), "/s", reach=8000, bigger=True, note=f"16 callers, {PROCESSOR_MB} MB",
                      bound="the processors, which generator, api (about 55 us a call, most of it the kernel's for three messages) and runtimes share; Node.js "
                            "alone takes 100 us a call, and more the more processes of it there are.")


def cells(bench):
    """memory of idle environments, each after its first call"""
    with cloud_of(bench) as cloud:
        need_role(cloud)
        for kind, (runtimes, handler, code) in kinds(bench).items():
            count = 50
            for n in range(count):
                bench.say(f"cells: {kind} {n + 1} of {count}")
                runtime = create(cloud, f"idle-{kind}-{n}", runtimes, handler, code)
            before = memory(cloud)
            figures = bench.load(cloud.port, "invoke", name=f"idle-{kind}-#", count=count, connections=4)
            time.sleep(2)
            each = (memory(cloud) - before) / count
            # a thousand of them have to fit in 2 GiB
            bench.add(f"memory of an idle environment, {runtime}", each, "MiB", reach=2.0,
                      note=f"{count} idle; a thousand would hold {each * 1000 / 1024:.1f} GiB; p50 of their cold starts {figures['p50_us'] / 1000:.0f} ms",
                      bound="the interpreter's private memory: Python counts references in the pages that its copies share, and Node.js cannot be copied.")


def memory(cloud):
    pids = [cloud.process.pid, *children(cloud.process.pid)]
    return pss_mib(pids)
