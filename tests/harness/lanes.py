"""Test modules run side by side: many of them wait for guests and clocks, and need little of the machine meanwhile.

A lane is a process that runs one module after the other, as they are handed out; its first words and its last ones are its own (a cloud to start
and to stop). What it finds comes back line by line and is counted by the runner. A job is a module's path, or `PATH::TEST` for one test of it.
"""
import json
import os
import selectors
import time
import traceback
import unittest

import cloud
import failure

took = []  # (seconds, name, seconds of processor) of every module that lanes ran
# What takes half a minute and more, the longest first, so that nobody waits for it at the end.
FIRST = ["test_elastic.py", "test_inside_vm.py", "test_inside.py", "test_history.py", "test_deployments.py", "test_capacity_providers.py",
         "test_instances.py", "test_killed_groups.py", "test_flows.py", "test_web.py", "test_container_instances.py",
         "test_container_instances_vm.py", "test_protection.py", "test_metric_filters.py", "test_killed_tasks.py", "test_elastic_service.py",
         "test_sticky.py", "test_hostile.py", "test_ipv6_inside.py", "test_tools.py", "test_chaos.py", "test_killed_flows.py",
         "test_volume_metrics.py", "test_balanced.py", "test_side_by_side.py"]
LEAST = 3  # so many lanes work in any case, and more while the processors have this share of their time left
ROOM = 0.3
LOOK_S = 2


class Result(unittest.TestResult):
    """Says what became of each test by report(kind, name, state, why, job); the job is what runs a test that failed once more."""

    def __init__(self, report, prefix, path):
        super().__init__()
        self.report, self.prefix, self.path = report, prefix, path

    def name(self, test):
        return f"{self.prefix}: {test.id()}"

    def startTest(self, test):
        super().startTest(test)
        cloud.logs_begin()
        self.report("at", test.id())

    def addSuccess(self, test):
        self.report("add", self.name(test), "pass")

    def addSkip(self, test, reason):
        self.report("add", self.name(test), "skip", reason)

    def addFailure(self, test, err):
        whole = getattr(test, "test_case", test)  # of a subtest
        single = isinstance(whole, unittest.TestCase)  # and not what a class or a module sets up
        self.report("add", self.name(test), "fail", failure.text(err[1], cloud.logs_since()), f"{self.path}::{whole.id()}" if single else self.path)

    addError = addFailure

    def addExpectedFailure(self, test, err):
        self.report("add", self.name(test), "pass")

    def addUnexpectedSuccess(self, test):
        self.report("add", self.name(test), "fail", "it was expected to fail")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)


def modules(directory, pattern):
    """Paths of the test modules below a directory, those that take long first."""
    found = []
    for place, _, files in sorted(os.walk(directory)):
        found += [os.path.join(place, f) for f in sorted(files) if f.endswith(".py") and _matches(f, pattern)]
    return sorted(found, key=lambda path: FIRST.index(os.path.basename(path)) if os.path.basename(path) in FIRST else len(FIRST))


def _matches(name, pattern):
    import fnmatch
    return name.startswith("test_") and fnmatch.fnmatch(name, pattern)


def processor_s():
    """What this process and all below it have had, so a lane's cloud and its guests too."""
    below, spent, found = {}, {}, {os.getpid()}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rpartition(") ")[2].split()
        except OSError:
            continue
        below.setdefault(int(fields[1]), set()).add(int(pid))
        spent[int(pid)] = sum(map(int, fields[11:15]))  # its own, and of the children that it waited for
    more = found
    while more:
        more = set().union(*(below.get(pid, ()) for pid in more))
        found = found | more
    return sum(spent.get(pid, 0) for pid in found) / os.sysconf("SC_CLK_TCK")


def run_module(job, report, prefix):
    import sys
    path, _, single = job.partition("::")
    place = os.path.dirname(path)
    sys.path.insert(0, place)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromName(single) if single else loader.discover(place, pattern=os.path.basename(path), top_level_dir=place)
    began, before = time.monotonic(), processor_s()
    suite.run(Result(report, prefix, path))
    report("took", f"{prefix}: {os.path.relpath(path, os.path.dirname(place))}", time.monotonic() - began, processor_s() - before)
    sys.path.remove(place)
    # Modules of one name lie in several folders, and bring helpers of one name.
    for name in [n for n, m in sys.modules.items() if os.path.dirname(getattr(m, "__file__", None) or "") == place]:
        del sys.modules[name]


class Lane:
    """work(take, report): take() gives the next module's path, None at the end."""

    def __init__(self, work, jobs):
        self.jobs = jobs
        to_read, self.tasks = os.pipe()
        self.words, to_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.tasks)
            os.close(self.words)
            status = 1
            try:
                with os.fdopen(to_read) as tasks, os.fdopen(to_write, "w", buffering=1) as words:
                    self._child(work, tasks, words)
                status = 0
            finally:
                os._exit(status)
        os.close(to_read)
        os.close(to_write)
        self.text = b""

    @staticmethod
    def _child(work, tasks, words):
        def report(*what):
            words.write(json.dumps(what) + "\n")

        def take():
            report("next")
            return tasks.readline().strip() or None
        try:
            work(take, report)
        except BaseException as e:  # noqa: BLE001 - whatever it is, the runner must count it
            report("add", f"lane: {type(e).__name__}", "fail", traceback.format_exc())
        report("done")


class Room:
    """Whether one lane more may work. What a module takes is seen a moment after it has begun, so they begin one by one."""

    def __init__(self):
        self.look()

    def look(self):
        self.began, self.at = self.times(), time.monotonic()

    @staticmethod
    def times():
        """(idle, all) of the processors since the machine's start."""
        with open("/proc/stat") as f:
            spent = [int(n) for n in f.readline().split()[1:9]]
        return spent[3] + spent[4], sum(spent)

    def is_there(self, working):
        passed = time.monotonic() - self.at
        if working >= LEAST and passed < LOOK_S:
            return False
        before = self.began
        self.look()
        idle, spent = (now - then for now, then in zip(self.began, before))
        return working < LEAST or (passed < 2 * LOOK_S and idle > ROOM * spent)


def run(lanes, add, progress):
    """lanes: a list of (work, list of jobs); lanes that share a list take turns with it. add(name, state, why, job) counts, progress(id) shows."""
    started = [Lane(*lane) for lane in lanes]
    room, waiting, working = Room(), [], set()  # who wants a job, and who has one
    with selectors.DefaultSelector() as selector:
        for lane in started:
            lane.finished = False
            selector.register(lane.words, selectors.EVENT_READ, lane)
        while selector.get_map():
            while (lane := next((w for w in waiting if not w.jobs), None)) or (waiting and room.is_there(len(working)) and (lane := waiting[0])):
                waiting.remove(lane)
                if lane.jobs:
                    working.add(lane)
                os.write(lane.tasks, (lane.jobs.pop(0) if lane.jobs else "").encode() + b"\n")
            for key, _ in selector.select(LOOK_S if waiting else None):
                lane = key.data
                piece = os.read(lane.words, 1 << 16)
                if not piece:
                    selector.unregister(lane.words)
                    os.close(lane.words)
                    os.close(lane.tasks)
                    os.waitpid(lane.pid, 0)
                    working.discard(lane)
                    if not lane.finished:
                        add("lane", "fail", "the process that ran tests died")
                    continue
                *lines, lane.text = (lane.text + piece).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    if said[0] == "next":
                        working.discard(lane)
                        waiting.append(lane)
                    else:
                        _hear(lane, said, add, progress)


def _hear(lane, said, add, progress):
    if said[0] == "at":
        progress(said[1])
    elif said[0] == "add":
        add(*said[1:])
    elif said[0] == "took":
        took.append((said[2], said[1], said[3]))
    else:
        lane.finished = True
