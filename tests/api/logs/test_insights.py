"""Queries of Logs Insights."""
import json
import time
import unittest
import uuid

from aws import TestCase, client


class Insights(TestCase):
    def setUp(self):
        self.logs = client("logs")
        self.groups = ["/insights/" + uuid.uuid4().hex for _ in range(2)]
        for group in self.groups:
            self.logs.create_log_group(logGroupName=group)
            self.addCleanup(self.logs.delete_log_group, logGroupName=group)
            self.logs.create_log_stream(logGroupName=group, logStreamName="s")

    def put(self, *messages, group=0, ago=0):
        at = int(time.time() * 1000) - ago * 1000
        self.logs.put_log_events(logGroupName=self.groups[group], logStreamName="s", logEvents=[
            {"timestamp": at + i, "message": m if isinstance(m, str) else json.dumps(m)} for i, m in enumerate(messages)])

    def ask(self, query, groups=None, ago=3600, until=0, **more):
        moment = int(time.time())
        made = self.logs.start_query(logGroupNames=groups or self.groups, startTime=moment - ago, endTime=moment - until + 1, queryString=query, **more)["queryId"]
        end = time.monotonic() + 60
        while True:
            out = self.logs.get_query_results(queryId=made)
            if out["status"] not in ("Scheduled", "Running") or time.monotonic() > end:
                return out
            time.sleep(0.1)

    def rows(self, *args, **kw):
        out = self.ask(*args, **kw)
        self.assertEqual(out["status"], "Complete")
        return [{f["field"]: f["value"] for f in row if f["field"] != "@ptr"} for row in out["results"]]

    def test_rows(self):
        self.put("first", "second", {"level": "error", "took": 12})
        self.assertEqual([r["@message"] for r in self.rows("fields @timestamp, @message | sort @timestamp desc | limit 2", groups=self.groups[:1])],
                         ['{"level": "error", "took": 12}', "second"])
        (row,) = self.rows("fields @logStream, @log, took * 2 as twice | filter level = 'error'")
        self.assertEqual(row, {"@logStream": "s", "@log": "000000000000:" + self.groups[0], "twice": "24"})
        (row, *_) = self.ask("fields @timestamp | limit 1")["results"]
        self.assertEqual([f["field"] for f in row], ["@timestamp", "@ptr"])
        self.assertRegex(row[0]["value"], r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$")

    def test_times(self):
        self.put("old", ago=1800)
        self.put("new")
        self.assertEqual([r["@message"] for r in self.rows("fields @message")], ["new", "old"])
        self.assertEqual([r["@message"] for r in self.rows("fields @message", ago=600)], ["new"])
        self.assertEqual([r["@message"] for r in self.rows("fields @message", until=600)], ["old"])

    def test_many(self):
        for _ in range(3):
            self.put(*[{"n": i, "kind": "abc"[i % 3]} for i in range(5000)], ago=60)
        self.put(*[{"n": i, "kind": "d"} for i in range(100)], group=1, ago=60)
        out = self.ask("stats count(*) as c, max(n) as m, pct(n, 50) as half by kind | sort kind")
        self.assertEqual(out["status"], "Complete")
        self.assertEqual([[f["value"] for f in row] for row in out["results"]],
                         [["a", "5001", "4998", "2499"], ["b", "5001", "4999", "2500"], ["c", "4998", "4997", "2499.5"], ["d", "100", "99", "49.5"]])
        self.assertEqual((out["statistics"]["recordsScanned"], out["statistics"]["recordsMatched"]), (15100.0, 15100.0))
        self.assertEqual(len(self.rows("fields n")), 10000)
        self.assertEqual(len(self.rows("fields n", limit=7)), 7)

    def test_refusals(self):
        moment = int(time.time())
        start = dict(startTime=moment - 60, endTime=moment, queryString="fields @message")
        self.assertAwsError("MalformedQueryException", self.logs.start_query, logGroupName=self.groups[0], **{**start, "queryString": "fields @message | explode"},
                            status=400, message="a command that is not known here")
        self.assertAwsError("ResourceNotFoundException", self.logs.start_query, logGroupName="/not/there", **start)
        self.assertAwsError("InvalidParameterException", self.logs.start_query, **start)
        self.assertAwsError("InvalidParameterException", self.logs.start_query, logGroupName=self.groups[0], **{**start, "endTime": moment - 120})
        self.assertAwsError("ResourceNotFoundException", self.logs.get_query_results, queryId=str(uuid.uuid4()))
        made = self.logs.start_query(logGroupName=self.groups[0], **start)["queryId"]
        (query,) = self.logs.describe_queries(logGroupName=self.groups[0])["queries"]
        self.assertEqual((query["queryId"], query["queryString"]), (made, "fields @message"))
        self.rows("fields @message")
        self.assertAwsError("InvalidParameterException", self.logs.stop_query, queryId=made)


if __name__ == "__main__":
    unittest.main()
