"""What an instance of an environment of Elastic Beanstalk says of its health: requests of the last ten seconds out of nginx's log, and the system's load.

nginx writes the log as AWS's healthd reads it: $msec"$uri"$status"$request_time"$upstream_response_time"$http_x_forwarded_for, one file an hour.
"""
import collections
import glob
import math
import os
import time

PLACE = "/var/log/nginx/healthd"
WINDOW_S = 10
MINUTE = 6  # windows
READ_MOST = 16 << 20  # of one window; what is above is not counted
PERCENTILES = (("P999", 0.999), ("P99", 0.99), ("P95", 0.95), ("P90", 0.9), ("P85", 0.85), ("P75", 0.75), ("P50", 0.5), ("P10", 0.1))
CPU = ("User", "Nice", "System", "Idle", "IOWait", "IRQ", "SoftIRQ")


def percentile(took, part):
    """took: in order, and not empty."""
    return took[max(0, math.ceil(len(took) * part) - 1)]


def summary(lines, took=None):
    """Counts by class of status, and percentiles of the time that requests took; took: gets each of these times."""
    classes, took = collections.Counter(), [] if took is None else took
    for line in lines:
        fields = line.split('"')
        try:
            took.append(float(fields[3]))
            classes[int(fields[2]) // 100] += 1
        except (IndexError, ValueError):
            continue
    took.sort()
    found = {"Requests": len(took), **{f"Status{n}xx": classes[n] for n in (2, 3, 4, 5)}}
    return {**found, **{name: percentile(took, part) for name, part in PERCENTILES if took}}


def ticks():
    with open("/proc/stat", encoding="ascii") as f:
        return [int(word) for word in f.readline().split()[1:1 + len(CPU)]]


class Sampler:
    def __init__(self, place=PLACE):
        self.place, self.offsets, self.minute, self.took = place, {}, collections.deque(maxlen=MINUTE), collections.deque(maxlen=MINUTE)
        for path in self.files():
            self.offsets[path] = os.path.getsize(path)
        self.ticks, self.due, self.last = ticks(), time.monotonic() + WINDOW_S, None

    def files(self):
        return sorted(glob.glob(f"{self.place}/application.log.*"))

    def lines(self):
        """Whole lines that have come since the last time. Files of hours that are over are read to their end and dropped."""
        found, files = [], self.files()
        for path in files:
            with open(path, "rb") as f:
                f.seek(self.offsets.get(path, 0))
                data = f.read(READ_MOST)
                whole = data.rfind(b"\n") + 1
                self.offsets[path] = os.fstat(f.fileno()).st_size if len(data) == READ_MOST else self.offsets.get(path, 0) + whole
            found += data[:whole].decode("utf-8", "replace").splitlines()
        for path in files[:-2]:
            os.unlink(path)
            self.offsets.pop(path, None)
        return found

    def sample(self):
        """Of the last window that is over; None: the first one is not."""
        if time.monotonic() < self.due:
            return self.last
        self.due = time.monotonic() + WINDOW_S
        self.took.append([])
        found, before = summary(self.lines(), self.took[-1]), self.ticks
        self.minute.append(found)
        self.ticks = ticks()
        spent = [now - then for now, then in zip(self.ticks, before)]
        whole, took, root = sum(spent) or 1, sorted(t for times in self.took for t in times), os.statvfs("/")
        self.last = {**found, **{f"Minute{name}": sum(one[name] for one in self.minute) for name in ("Requests", "Status2xx", "Status3xx", "Status4xx", "Status5xx")},
                     "MinuteLatency": [percentile(took, part) for _, part in PERCENTILES if took], "RootUsed": round(100 * (1 - root.f_bavail / (root.f_blocks or 1)), 1),
                     **{name: round(100 * part / whole, 1) for name, part in zip(CPU, spent)}, "Load1": os.getloadavg()[0], "Load5": os.getloadavg()[1]}
        return self.last
