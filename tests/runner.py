#!/usr/bin/python3
"""Runs every check that can run here and counts them: see ./test --help.

Two builds: plain by gcc, and by clang with the address and undefined-behaviour sanitizers. Unit, wire, fuzz-corpus and simulation tests run in
both; black-box tests run against a daemon of each. A skip says why. The last line is `N passed, N failed, N skipped`.

Two things at a time: the host tests, which mostly wait for the kernel, and with less right to the processors what needs nothing but them, the
sanitized build and the unit tests. Then the black-box tests of both builds and the faults, in lanes.

A black-box test that failed beside the others is run once more with the machine for itself. If it passes then, both are said: it counts as passed,
and what it said at first is printed and named at the end, for it found either a race or its own haste.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "harness"))
import failure  # noqa: E402
import lanes  # noqa: E402
import sanitizers  # noqa: E402
TERMINAL = sys.stdout.isatty()


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.second_tries = []

    def add(self, name, state, why="", job=None):
        if state == "pass":
            self.passed += 1
        elif state == "skip":
            self.skipped += 1
            print(f"  skip {name}: {why or 'no reason given'}", flush=True)
        else:
            self.failed += 1
            self.failures.append((name, failure.brief(why)))
            print(f"  FAIL {name}\n{indent(why)}", flush=True)


def indent(text, limit=6000):
    text = text.strip()
    if len(text) > limit:
        text = text[:limit // 3] + "\n...\n" + text[-limit * 2 // 3:]  # an assertion is first, a log last
    return "".join("       " + line + "\n" for line in text.splitlines())


def heading(text):
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


STARTED = time.monotonic()
# Lines are all that a sanitizer's report needs of a debugger's information.
SANITIZED = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=2", "-Ddebug=false", "-Dc_args=-gline-tables-only"]
LAST = ["nice", "-n", "10"]  # what needs nothing but processors, beside what waits for the kernel
LANES = 3  # of each build: black-box tests mostly wait; each lane has a cloud of its own
FAULT_LANES = 2
WHOLE_GUEST = "_vm.py"  # what boots an emulated machine to its end, which takes a processor for a minute: docs/TESTING.md
ALL = "test_*.py"
JS = "js"  # the module that is the JavaScript SDK's tests


def command(*args, **kwargs):
    done = subprocess.run(args, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **kwargs)
    return done.returncode, done.stdout


def build(tally, directory, env, options, nice=()):
    path = os.path.join(ROOT, directory)
    if not os.path.exists(os.path.join(path, "build.ninja")):
        status, output = command("meson", "setup", directory, *options, env={**os.environ, **env})
        if status != 0:
            tally.add(f"{directory}: configure", "fail", output)
            return False
    status, output = command(*nice, "ninja", "-C", directory)
    tally.add(f"{directory}: build without warnings", "pass" if status == 0 else "fail", output)
    return status == 0


def meson_tests(tally, directory, suites, nice=()):
    args = [*nice, "meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", "--logbase", suites[0]]
    for suite in suites:
        args += ["--suite", suite]
    command(*args)
    log = os.path.join(ROOT, directory, "meson-logs", suites[0] + ".json")
    if not os.path.exists(log):
        tally.add(f"{directory}: {' '.join(suites)}", "fail", "meson wrote no log of its tests")
        return
    with open(log) as f:
        for line in f:
            test = json.loads(line)
            state = {"OK": "pass", "SKIP": "skip"}.get(test["result"], "fail")
            text = (test.get("stdout") or "") + (test.get("stderr") or "")
            why = text.strip().splitlines()[-1] if state == "skip" and text.strip() else f"{test['result']}\n{text}"
            tally.add(f"{directory}: {test['name']}", state, why)
            lanes.took.append((test["duration"], f"{directory}: {test['name']}", 0))
    os.remove(log)


def progress(test):
    if TERMINAL:
        print(f"\r\033[K  {test}", end="", flush=True)


def quiet_add(tally, failed):
    """Counts what lanes say; a failure that a job can repeat goes to failed, with its job."""
    def add(name, state, why="", job=None):
        if TERMINAL:
            print("\r\033[K", end="", flush=True)
        if state == "fail" and job:
            print(f"  failed beside others: {name}\n{indent(why)}", flush=True)
            failed.append((name, why, job))
        else:
            tally.add(name, state, why)
    return add


MANY = 20  # so many failures are not the machine's


def run_lanes(tally, beside, again):
    """again(name, job): a lane that runs the job of the test of that name alone."""
    failed, before = [], len(lanes.took)
    lanes.run(beside, quiet_add(tally, failed), progress)
    heading(f"done, with {sum(took[2] for took in lanes.took[before:]):.0f} s of processor")
    jobs = list(dict.fromkeys((name.partition(":")[0], job) for name, _, job in failed))
    if len(jobs) > MANY:
        for name, why, _ in failed:
            tally.add(name, "fail", why)
        return
    for prefix, job in jobs:
        heading(f"once more, alone: {prefix}: {job.rpartition('/')[2]}")
        said = []
        lanes.run([again(prefix, job)], lambda *what: said.append(what[1]) or tally.add(*what), progress)
        first = [(name, why) for name, why, its in failed if its == job and name.startswith(prefix + ":")]
        if "skip" in said:
            for name, why in first:
                tally.add(name, "fail", why)
        elif "fail" not in said:
            tally.second_tries += [(name, failure.brief(why)) for name, why in first]


def api_lanes(tally, directory, prefix, args):
    """The black-box tests, each lane of them against a daemon of its own of the given build."""
    if os.geteuid() != 0:
        tally.add(f"{prefix}: black-box tests", "skip", "they start a cloud with sandboxes, which needs root")
        return []
    jobs = lanes.modules(os.path.join(ROOT, "tests", "api"), args.pattern)
    if directory != "build":
        jobs = [job for job in jobs if not job.endswith(WHOLE_GUEST)]
    if args.pattern == ALL:
        jobs.insert(len(lanes.FIRST), JS)

    return [(api_work(directory, prefix, args.pattern == ALL), jobs)] * min(LANES, len(jobs))


def api_work(directory, prefix, whole):
    return lambda take, report: api_lane(take, report, directory, prefix, whole)


def api_lane(take, report, directory, prefix, whole):
    import cloud as harness
    os.environ["QUARTET"] = os.path.join(ROOT, directory, "quartet")
    os.environ.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=0")
    record = tempfile.mkstemp(prefix="quartet-replies-")[1]

    def add(*what):
        report("add", *what)
    with harness.Cloud() as cloud:
        os.environ.update(cloud.environment())
        for name in [n for n in os.environ if n.startswith("AWS_") and n not in cloud.environment()]:
            del os.environ[name]
        os.environ["QUARTET_RECORD"] = record
        while (job := take()):
            if job == JS:
                node_tests(add, prefix)
            else:
                lanes.run_module(job, report, prefix)
        log = cloud.log_text()
    complaint = sanitizers.complaint(log, os.environ["QUARTET"])
    if complaint:
        add(f"{prefix}: the daemon's log", "fail", complaint)
    checker = os.path.join(ROOT, directory, "tests", "tools", "check-reply")
    with open(record) as f:
        done = subprocess.run([checker], stdin=f, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    exchanges = re.search(r"(\d+) exchanges", done.stdout)
    if whole and (not exchanges or int(exchanges[1]) < 20):
        add(f"{prefix}: replies were recorded", "fail", done.stdout)
    add(f"{prefix}: every reply fits its model", "pass" if done.returncode == 0 else "fail", done.stdout)
    os.remove(record)


def fault_work(directory):
    def work(take, report):
        os.environ["QUARTET"] = os.path.join(ROOT, directory, "quartet")
        while (job := take()):
            lanes.run_module(job, report, "fault")
    return work


def fault_lanes(directory, args):
    jobs = lanes.modules(os.path.join(ROOT, "tests", "fault"), args.pattern)
    return [(fault_work(directory), jobs)] * min(FAULT_LANES, len(jobs))


GUEST_S = 900  # many times what it needs; a guest that hangs ends here


def guest_tests(tally, directory):
    """What the checks say that run inside a guest with control groups of version 2."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "guest"))
    import machine
    start, checks = (os.path.join(ROOT, "tests", "guest", f) for f in ("start", "checks.py"))
    said, why, ended, name = [], [], False, None
    status, output = command("ninja", "-C", directory, "bench/bootstrap")
    if status != 0:
        tally.add("guest: the native function", "fail", output)
        return

    def finish():
        if name:
            tally.add(f"guest: {name}", state, "\n".join(why))
    try:
        with machine.Guest(os.path.join(ROOT, directory, "guest"), [start, checks, os.path.join(ROOT, directory)], GUEST_S) as guest:
            for line in guest.lines():
                said.append(line)
                found = re.match(r"@guest (pass|fail|skip|end) (.*)", line)
                if found:
                    finish()
                    state, name, why = found[1], found[2], []
                    if state == "end":
                        name, ended = None, True
                elif line.startswith("| ") and name:
                    why.append(line[2:])
        finish()
        if not ended:
            tally.add("guest", "fail", f"{f'not done in {GUEST_S} s' if guest.late else 'it ended before its checks did'}:\n" + "\n".join(said[-100:]))
    except machine.Unavailable as e:
        tally.add("guest", "skip", str(e))


def node_modules(tally):
    """The JavaScript SDK for the tests in tests/js; once a lock file."""
    place = os.path.join(ROOT, "tests", "js")
    if not os.path.exists(os.path.join(place, "package.json")):
        return
    if not shutil.which("npm"):
        tally.add("tests/js", "skip", "npm is not installed")
        return
    lock, stamp = os.path.join(place, "package-lock.json"), os.path.join(place, "node_modules", ".package-lock.json")
    if not os.path.exists(stamp) or os.path.getmtime(stamp) < os.path.getmtime(lock):
        status, output = command("npm", "ci", "--prefix", place, "--no-audit", "--no-fund", "--silent")
        if status != 0:
            tally.add("tests/js: npm ci", "skip", output.strip().splitlines()[-1] if output.strip() else "npm failed")


def fetched(tally, kinds):
    """What comes from elsewhere and needs no build: it is waited for and made beside one."""
    status, output = command(*LAST, "tools/prepare-runtimes")
    if status != 0:
        tally.add("tools/prepare-runtimes", "fail", output)
    if "api" in kinds:
        node_modules(tally)
    machine_image(tally)


def machine_image(tally):
    """Instances start from it; made once for each of its sources' versions."""
    if os.geteuid() != 0:
        return
    status, output = command(*LAST, "tools/make-image")
    if status:
        tally.add("the machine image", "skip", output.strip().splitlines()[-1])


def node_tests(add, prefix):
    place = os.path.join(ROOT, "tests", "js")
    if not os.path.exists(os.path.join(place, "node_modules")):
        add(f"{prefix}: the JavaScript SDK", "skip", "npm could not install it")
        return
    status, output = command("node", "--test", "--test-reporter=tap", place)
    results = re.findall(r"^(not ok|ok) \d+ - (.*?)(?: # SKIP ?(.*))?$", output, re.M)
    for state, name, skip in results:
        add(f"{prefix}: js: {name}", "skip" if skip else "pass" if state == "ok" else "fail", skip or output)
    if not results:
        add(f"{prefix}: js", "fail", output)


def black_box(tally, good, kinds, args):
    beside = []
    if "fault" in kinds and "build" in good:
        beside += fault_lanes("build", args)
    if "api" in kinds:
        for directory in good:
            beside += api_lanes(tally, directory, directory, args)
    if not beside:
        return
    heading(f"black-box tests with real clients{', faults' if 'fault' in kinds else ''}, {', '.join(good)}")
    run_lanes(tally, beside, lambda prefix, job: (fault_work("build") if prefix == "fault" else api_work(prefix, prefix, False), [job]))


def main():
    parser = argparse.ArgumentParser(prog="./test", description="Run every check that can run on this machine.")
    parser.add_argument("--plain", action="store_true", help="only the plain build, without sanitizers: quicker")
    parser.add_argument("--only", choices=["unit", "host", "guest", "api", "fault"], action="append", help="only these kinds; guest, a virtual machine under emulation, runs when it is named")
    parser.add_argument("--pattern", default=ALL, help="only black-box files of this name")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="say which N black-box files took longest")
    args = parser.parse_args()
    kinds = args.only or ["unit", "host", "api", "fault"]
    tally = Tally()
    linker = {"CC_LD": "lld"} if shutil.which("ld.lld") else {}  # three hundred programs: it takes half of what the usual one does
    builds = [("build", linker, [])]
    if not args.plain:
        builds.append(("build-sanitized", {"CC": "clang", **linker}, SANITIZED))
    good = []
    black = {"api", "fault"} & set(kinds)
    fetching = threading.Thread(target=fetched, args=(tally, kinds))
    if black:
        fetching.start()
    for directory, env, options in builds[:1]:
        heading(f"building {directory}")
        if build(tally, directory, env, options):
            good.append(directory)

    def unit_tests(directory, nice=()):
        if directory in good and "unit" in kinds:
            heading(f"unit, wire, fuzz corpus and simulation tests, {directory}")
            meson_tests(tally, directory, ["unit", "wire", "fuzz", "sim"] + (["lint"] if directory == "build" else []), nice)

    def need_processors_alone():
        for directory, env, options in builds[1:]:
            heading(f"building {directory}")
            if build(tally, directory, env, options, LAST):
                good.append(directory)
        for directory, _, _ in builds:
            unit_tests(directory, LAST)
    beside = threading.Thread(target=need_processors_alone)
    beside.start()
    if "host" in kinds and "build" in good:
        heading("host tests: what the kernel says")
        meson_tests(tally, "build", ["host"])
        heading("host tests are done")
    beside.join()
    if "guest" in kinds and "build" in good:
        heading("guest: the same and functions under control groups of version 2")
        guest_tests(tally, "build")
        heading("guest: the machine image")
        guest = lanes.modules(os.path.join(ROOT, "tests", "guest"), "test_*.py")
        while guest:
            lanes.run_module(guest.pop(0), lambda kind, *what: tally.add(*what) if kind == "add" else progress(what[0]), "guest")
    if black:
        if fetching.is_alive():
            heading("waiting for the machine image and what else is fetched")
        fetching.join()
    if good and black:
        black_box(tally, good, kinds, args)
    for seconds, name, spent in sorted(lanes.took, reverse=True)[:args.slowest]:
        print(f"{seconds:6.1f} s{f', {spent:5.1f} s of processor' if spent else ''}  {name}")
    for name, why in tally.second_tries:
        print(f"passed at the second try only: {name}\n    at first: {why}")
    for name, why in tally.failures:
        print(f"failed: {name}\n    {why}")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
