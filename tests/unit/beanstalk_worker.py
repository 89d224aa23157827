"""The daemon of worker environments (guest/beanstalk_worker.py): schedules, the requests that messages become, and what is done with them afterwards."""
import datetime
import http.server
import os
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import beanstalk_worker as worker  # noqa: E402
from beanstalk_system import Failed  # noqa: E402


def at(text):
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=datetime.timezone.utc)


class Schedules(unittest.TestCase):
    def test_meets(self):
        for text, right, wrong in (("* * * * *", ["2026-01-01 00:00"], []), ("*/15 * * * *", ["2026-01-01 05:45"], ["2026-01-01 05:46"]),
                                   ("0 */12 * * *", ["2026-01-01 12:00"], ["2026-01-01 12:01", "2026-01-01 06:00"]),
                                   ("5,10-20/5 3 * jan,3 *", ["2026-01-09 03:05", "2026-03-09 03:15"], ["2026-01-09 03:25", "2026-02-09 03:05"]),
                                   ("0 0 * * 7", ["2026-11-29 00:00"], ["2026-11-28 00:00"]), ("0 0 * * mon-fri", ["2026-11-30 00:00"], ["2026-11-29 00:00"]),
                                   ("0 0 13 * fri", ["2026-11-13 00:00", "2026-11-20 00:00", "2026-12-13 00:00"], ["2026-11-14 00:00"]),
                                   ("10/20 * * * *", ["2026-01-01 00:10", "2026-01-01 00:50"], ["2026-01-01 00:20"]), ("@daily", ["2026-01-01 00:00"], ["2026-01-01 01:00"])):
            schedule = worker.Schedule(text)
            self.assertEqual([m for m in right + wrong if schedule.meets(at(m))], right, text)

    def test_none(self):
        for text in ("", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *", "5-3 * * * *", "* * * * * *"):
            self.assertRaises(ValueError, worker.Schedule, text)

    def test_file(self):
        with tempfile.TemporaryDirectory() as place:
            def read(text):
                with open(f"{place}/cron.yaml", "w", encoding="utf-8") as f:
                    f.write(text)
                return worker.tasks(place)
            self.assertEqual(worker.tasks(place), [])
            found = read('version: 1\ncron:\n - name: "a"\n   url: "/a"\n   schedule: "0 1 * * *"\n - {name: b, url: "/b?x=1", schedule: "@hourly"}\n')
            self.assertEqual([(name, path) for name, path, _ in found], [("a", "/a"), ("b", "/b?x=1")])
            one = "version: 1\ncron:\n - {name: a, url: /a, schedule: '* * * * *'}\n"
            for text in ("version: 2\ncron: []\n", "cron: []\n", "[]", "version: 1\ncron: {}\n", "a: [", one.replace("/a", "a"), one.replace("* * * * *", "* * * *"),
                         one.replace("name: a, ", ""), one + " - {name: a, url: /b, schedule: '* * * * *'}\n"):
                self.assertRaises(Failed, read, text)


class Client:
    """A queue whose messages come once for each time that they are said."""

    def __init__(self, *messages):
        self.waiting, self.calls, self.lock = list(messages), [], threading.Lock()

    def call(self, service, target, arguments):
        with self.lock:
            operation = target.split(".")[1]
            if operation != "ReceiveMessage":
                self.calls.append((operation, arguments))
                return {}
            found, self.waiting = self.waiting[:arguments["MaxNumberOfMessages"]], self.waiting[arguments["MaxNumberOfMessages"]:]
        if not found:
            time.sleep(0.05)
        return {"Messages": found}


class Application(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        if self.path == "/hangs":
            time.sleep(2)
        self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


def message(number, path=None, **attributes):
    more = {"beanstalk.sqsd.path": path, "beanstalk.sqsd.task_name": "job", "beanstalk.sqsd.scheduled_time": "2026-01-01T00:00:00Z"} if path else {}
    return {"MessageId": f"id-{number}", "ReceiptHandle": f"handle-{number}", "Body": '{"n": %d}' % number,
            "Attributes": {"ApproximateFirstReceiveTimestamp": "1700000000123", "ApproximateReceiveCount": "3", "SenderId": "AIDA"},
            "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in {**attributes, **more}.items()}}


class Daemons(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
        self.server.seen = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def daemon(self, client, jobs=(), **config):
        made = worker.Daemon({"queue": "http://sqs/000000000000/jobs", **worker.settings(config)}, client, list(jobs), self.server.server_port)
        self.addCleanup(made.stop)
        return made

    def until(self, condition):
        until = time.monotonic() + 30
        while not condition() and time.monotonic() < until:
            time.sleep(0.01)
        self.assertTrue(condition())

    def test_life(self):
        """200 is taken, all else comes again; a task goes where it says."""
        client = Client(message(1, colour="dark\nred"), message(2, "/500"), message(3, "/hangs"), message(4, "/task"))
        made = self.daemon(client, HttpPath="/messages", MimeType="text/x", InactivityTimeout="1", ErrorVisibilityTimeout="7", HttpConnections="2")
        threading.Thread(target=made.serve, daemon=True).start()
        self.until(lambda: len(client.calls) == 4)
        self.assertEqual({(operation, said["ReceiptHandle"], said.get("VisibilityTimeout")) for operation, said in client.calls},
                         {("DeleteMessage", "handle-1", None), ("ChangeMessageVisibility", "handle-2", 7), ("ChangeMessageVisibility", "handle-3", 7), ("DeleteMessage", "handle-4", None)})
        self.assertEqual({said["QueueUrl"] for _, said in client.calls}, {"http://sqs/000000000000/jobs"})
        seen = {path: (headers, body) for path, headers, body in self.server.seen}
        headers, body = seen["/messages"]
        self.assertEqual(body, b'{"n": 1}')
        self.assertEqual({k: v for k, v in headers.items() if k.lower().startswith("x-aws") or k in ("Content-Type", "User-Agent", "Host")}, {
            "Host": "localhost", "User-Agent": "aws-sqsd/3.0", "Content-Type": "text/x", "X-Aws-Sqsd-Msgid": "id-1", "X-Aws-Sqsd-Queue": "jobs", "X-Aws-Sqsd-Receive-Count": "3",
            "X-Aws-Sqsd-First-Received-At": "2023-11-14T22:13:20Z", "X-Aws-Sqsd-Sender-Id": "AIDA", "X-Aws-Sqsd-Attr-colour": "dark red"})
        headers, _ = seen["/task"]
        self.assertEqual([headers[f"X-Aws-Sqsd-{name}"] for name in ("Taskname", "Scheduled-At", "Path")], ["job", "2026-01-01T00:00:00Z", "/task"])

    def test_nobody_there(self):
        client = Client(message(1))
        made = self.daemon(client)
        made.port = 1
        threading.Thread(target=made.serve, daemon=True).start()
        self.until(lambda: [operation for operation, _ in client.calls] == ["ChangeMessageVisibility"])

    def test_periodic(self):
        """What is due is sent to the queue, as messages that lead to the task's path."""
        client = Client()
        made = self.daemon(client, [("job", "/task", worker.Schedule("*/5 * * * *"))])
        for text in ("2026-01-01 00:04", "2026-01-01 00:05", "2026-01-01 00:06"):
            made.schedule(at(text).timestamp())
        (operation, said), = client.calls
        self.assertEqual((operation, said["MessageBody"]), ("SendMessage", "elasticbeanstalk scheduled job"))
        attributes = said["MessageAttributes"]
        path, headers = worker.heads({**message(1), "MessageAttributes": attributes}, "jobs", "text/x")
        self.assertEqual((path, headers["X-Aws-Sqsd-Taskname"], headers["X-Aws-Sqsd-Scheduled-At"]), ("/task", b"job", b"2026-01-01T00:05:00Z"))

    def test_lead(self):
        """It may be told so again and again."""
        with tempfile.TemporaryDirectory() as place, unittest.mock.patch.object(worker, "LEADS", f"{place}/leads"):
            for leads in (True, True, False, False, True):
                worker.lead(leads)
                self.assertEqual(os.path.exists(worker.LEADS), leads)


if __name__ == "__main__":
    unittest.main()
