"""What the agent of an environment counts (guest/beanstalk_health.py): nginx's log in the healthd format. What it does to a system is tested in an instance."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import beanstalk_health  # noqa: E402
import beanstalk_logs  # noqa: E402
import beanstalk_stream  # noqa: E402
from ecs_client import Refused  # noqa: E402


def line(status, took):
    return f'1437609879.311"/path/\\x22"{status}"{took}"0.1"-\n'


class Counts(unittest.TestCase):
    def test_summary(self):
        found = beanstalk_health.summary([line(200, n / 1000) for n in range(1, 101)] + ["nonsense", '1"/"-"x"y"-'])
        self.assertEqual((found["Requests"], found["Status2xx"], found["Status5xx"]), (100, 100, 0))
        self.assertEqual([found[p] for p in ("P999", "P99", "P95", "P90", "P85", "P75", "P50", "P10")], [0.1, 0.099, 0.095, 0.09, 0.085, 0.075, 0.05, 0.01])
        self.assertEqual(beanstalk_health.summary([]), {"Requests": 0, "Status2xx": 0, "Status3xx": 0, "Status4xx": 0, "Status5xx": 0})

    def test_windows(self):
        """Each line counts once, when it is whole; logs of hours that are over go."""
        with tempfile.TemporaryDirectory() as place:
            def write(hour, text):
                with open(f"{place}/application.log.2026-01-01-{hour:02}", "a", encoding="utf-8") as f:
                    f.write(text)
            write(0, line(500, 1))
            sampler = beanstalk_health.Sampler(place)
            self.assertIsNone(sampler.sample())
            seen = []
            for hour, text in ((0, line(200, 1) + line(404, 2)[:-4]), (0, line(404, 2)[-4:]), (1, line(503, 1) * 3), (2, line(200, 1)), (2, "")):
                write(hour, text)
                sampler.due = 0
                seen.append(sampler.sample())
            self.assertEqual([s["Requests"] for s in seen], [1, 1, 3, 1, 0])
            self.assertEqual([s["MinuteRequests"] for s in seen], [1, 2, 5, 6, 6])
            self.assertEqual((seen[3]["MinuteLatency"][0], seen[3]["MinuteLatency"][-1], 0 < seen[3]["RootUsed"] < 100), (2, 1, True))
            self.assertEqual((seen[-1]["MinuteStatus4xx"], seen[-1]["MinuteStatus5xx"]), (1, 3))
            self.assertEqual(sorted(os.listdir(place)), ["application.log.2026-01-01-01", "application.log.2026-01-01-02"])


class Cloud:
    """CloudWatch Logs as the instance meets it: a group that comes late, and a stream that has to be made."""
    def __init__(self):
        self.groups, self.streams, self.said = set(), set(), []

    def call(self, _service, target, words):
        group, stream = words["logGroupName"], words["logStreamName"]
        if group not in self.groups or (target.endswith("PutLogEvents") and (group, stream) not in self.streams):
            raise Refused("ResourceNotFoundException", "")
        if target.endswith("PutLogEvents"):
            self.said.append((group, stream, [e["message"] for e in words["logEvents"]]))
        else:
            self.streams.add((group, stream))


class Streams(unittest.TestCase):
    def test_send(self):
        """Whole lines, each once: also when the group comes late, the agent starts anew, or the file is another one."""
        with tempfile.TemporaryDirectory() as place:
            path, cloud, group = f"{place}/a.log", Cloud(), f"/aws/elasticbeanstalk/env{place}/a.log"

            def fresh():
                return beanstalk_stream.Streams(cloud, "i-1", (path,), f"{place}/state")

            def write(text, mode="a"):
                with open(path, mode, encoding="utf-8") as f:
                    f.write(text)
            one = fresh()
            self.assertFalse(one.send("env", path))
            write("a\n\nb")
            with self.assertRaises(Refused):
                one.send("env", path)
            cloud.groups.add(group)
            self.assertEqual((one.send("env", path), one.send("env", path)), (True, False))
            write("c\n")
            fresh().send("env", path)
            write("new\n", "w")
            fresh().send("env", path)
            self.assertEqual(cloud.said, [(group, "i-1", ["a", " "]), (group, "i-1", ["bc"]), (group, "i-1", ["new"])])

    def test_long_lines(self):
        most = beanstalk_stream.LINE_BYTES
        found, length = beanstalk_stream.lines_of(b"x" * most + b"y\nz")
        self.assertEqual(([len(t) for t in found], length), ([most, 1], most + 2))


class Logs(unittest.TestCase):
    def test_tail(self):
        with tempfile.TemporaryDirectory() as place:
            for name, lines in (("b.log", 150), ("a.log", 2), ("c.txt", 1)):
                with open(f"{place}/{name}", "w", encoding="utf-8") as f:
                    f.writelines(f"{n}\n" for n in range(lines))
            os.symlink(f"{place}/c.txt", f"{place}/link.log")
            paths = beanstalk_logs.files((f"{place}/*.log",))
            self.assertEqual(paths, [f"{place}/a.log", f"{place}/b.log"])
            rule = "-" * 40
            self.assertEqual(beanstalk_logs.tail(paths).decode(), f"{rule}\n{place}/a.log\n{rule}\n0\n1\n\n\n{rule}\n{place}/b.log\n{rule}\n"
                             + "\n".join(str(n) for n in range(50, 150)) + "\n\n\n")


if __name__ == "__main__":
    unittest.main()
