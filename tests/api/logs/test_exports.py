"""Exports of log groups to buckets, saved queries, and what single events and groups have."""
import gzip
import json
import time
import unittest
import uuid

from aws import TestCase, client

ACCOUNT = "000000000000"


class Exports(TestCase):
    region = "eu-north-1"  # of its own: one export at a time is all that a region has

    def setUp(self):
        self.logs, self.s3 = (client(s, region_name=self.region) for s in ("logs", "s3"))
        self.group = "/exported/" + uuid.uuid4().hex
        self.logs.create_log_group(logGroupName=self.group)
        self.addCleanup(self.logs.delete_log_group, logGroupName=self.group)
        self.bucket = "exports-" + uuid.uuid4().hex[:16]
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": self.region})
        self.addCleanup(self.drop)

    def drop(self):
        for o in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self.s3.delete_object(Bucket=self.bucket, Key=o["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)

    def allow(self, put=True):
        """The policy that AWS's guide has."""
        about = {"StringEquals": {"aws:SourceAccount": [ACCOUNT]}, "ArnLike": {"aws:SourceArn": [f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:*"]}}
        who = {"Effect": "Allow", "Principal": {"Service": f"logs.{self.region}.amazonaws.com"}}
        said = [{**who, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{self.bucket}", "Condition": about}]
        if put:
            about = {**about, "StringEquals": {**about["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}}
            said.append({**who, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{self.bucket}/*", "Condition": about})
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": said}))

    def put(self, stream, *messages, at):
        try:
            self.logs.create_log_stream(logGroupName=self.group, logStreamName=stream)
        except self.logs.exceptions.ResourceAlreadyExistsException:
            pass
        self.logs.put_log_events(logGroupName=self.group, logStreamName=stream, logEvents=[{"timestamp": at + i, "message": m} for i, m in enumerate(messages)])

    def start(self, **more):
        given = {"logGroupName": self.group, "fromTime": 0, "to": int(time.time() * 1000) + 60000, "destination": self.bucket, **more}
        return self.logs.create_export_task(**given)["taskId"]

    def task(self, task):
        (found,) = self.logs.describe_export_tasks(taskId=task)["exportTasks"]
        return found

    def ended(self, task):
        until = time.monotonic() + 60
        while (found := self.task(task))["status"]["code"] in ("PENDING", "RUNNING", "PENDING_CANCEL"):
            self.assertLess(time.monotonic(), until, found)
            time.sleep(0.05)
        return found

    def keys(self):
        return [o["Key"] for o in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def text(self, key):
        return gzip.decompress(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()).decode()

    def test_life(self):
        self.allow()
        at = int(time.time() * 1000) - 60000
        self.put("a/1", "first", "second\nwith two lines\n", at=at)
        self.put("a/2", "other", at=at)
        self.put("b", "not asked for", at=at)
        self.put("a/3", "too early", at=at - 5000)
        task = self.start(taskName="nightly", logStreamNamePrefix="a/", fromTime=at, to=at + 1000, destinationPrefix="some/where")
        found = self.ended(task)
        self.assertEqual(found["status"], {"code": "COMPLETED", "message": "Completed successfully"})
        self.assertEqual((found["taskName"], found["logGroupName"], found["from"], found["to"], found["destination"], found["destinationPrefix"]),
                         ("nightly", self.group, at, at + 1000, self.bucket, "some/where"))
        self.assertLessEqual(found["executionInfo"]["creationTime"], found["executionInfo"]["completionTime"])
        self.assertEqual(sorted(self.keys()), sorted(["some/where/aws-logs-write-test"] + [f"some/where/{task}/a-{n}/000000.gz" for n in (1, 2)]))
        when = lambda ms: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}Z"
        self.assertEqual(self.text(f"some/where/{task}/a-1/000000.gz"), f"{when(at)} first\n{when(at + 1)} second\nwith two lines\n")
        self.assertAwsError("InvalidOperationException", self.logs.cancel_export_task, taskId=task, status=400)
        self.assertIn(task, [t["taskId"] for t in self.logs.describe_export_tasks(statusCode="COMPLETED")["exportTasks"]])
        again = self.start()
        self.assertEqual(self.ended(again)["destinationPrefix"], "exportedlogs")
        self.assertEqual(len([k for k in self.keys() if k.startswith(f"exportedlogs/{again}/")]), 4)

    def test_large_and_one_at_a_time(self):
        self.allow()
        at, line = int(time.time() * 1000) - 60000, "x" * 1000
        self.logs.create_log_stream(logGroupName=self.group, logStreamName="s")
        for n in range(20):
            self.logs.put_log_events(logGroupName=self.group, logStreamName="s", logEvents=[{"timestamp": at + n, "message": f"{n:02}:{i:04} {line}"} for i in range(1000)])
        task = self.start()
        self.assertAwsError("LimitExceededException", self.start, status=400)
        self.assertEqual(self.ended(task)["status"]["code"], "COMPLETED")
        keys = [k for k in self.keys() if task in k]
        self.assertEqual([k.rpartition("/")[2] for k in keys], ["000000.gz", "000001.gz"])
        lines = "".join(self.text(k) for k in keys).splitlines()
        self.assertEqual([x.split()[1] for x in lines], [f"{n:02}:{i:04}" for n in range(20) for i in range(1000)])
        stopped = self.start()
        self.logs.cancel_export_task(taskId=stopped)
        self.assertIn(self.ended(stopped)["status"]["code"], ("CANCELLED", "COMPLETED"))  # it may have been over before that was seen

    def test_refusals(self):
        refused = lambda what, **more: self.assertAwsError("InvalidParameterException", self.start, status=400, message=what, **more)
        refused("GetBucketAcl call on the given bucket failed")
        self.allow(put=False)
        refused("PutObject call on the given bucket failed")
        refused("does not exist", destination="exports-" + uuid.uuid4().hex)
        refused("time range", fromTime=int(time.time() * 1000) + 120000)
        self.assertAwsError("ResourceNotFoundException", self.start, logGroupName="/not/there", status=400)
        self.assertAwsError("ResourceNotFoundException", self.logs.cancel_export_task, taskId=str(uuid.uuid4()), status=400)
        self.assertEqual(self.keys(), [])

    def test_saved_queries(self):
        called = uuid.uuid4().hex
        made = self.logs.put_query_definition(name=called + "/slow", queryString="fields @message | limit 5", logGroupNames=[self.group])["queryDefinitionId"]
        self.logs.put_query_definition(name=called + "/other", queryString="stats count(*)")
        listed = lambda: {q["name"].split("/")[1]: q for q in self.logs.describe_query_definitions(queryDefinitionNamePrefix=called)["queryDefinitions"]}
        self.assertEqual(set(listed()), {"slow", "other"})
        self.assertEqual((listed()["slow"]["queryString"], listed()["slow"]["logGroupNames"]), ("fields @message | limit 5", [self.group]))
        self.logs.put_query_definition(queryDefinitionId=made, name=called + "/slow", queryString="fields @message | limit 6")
        self.assertEqual((listed()["slow"]["queryDefinitionId"], listed()["slow"]["queryString"]), (made, "fields @message | limit 6"))
        for q in listed().values():
            self.assertTrue(self.logs.delete_query_definition(queryDefinitionId=q["queryDefinitionId"])["success"])
        self.assertEqual(listed(), {})
        self.assertAwsError("ResourceNotFoundException", self.logs.delete_query_definition, queryDefinitionId=made, status=400)
        self.assertAwsError("ResourceNotFoundException", self.logs.put_query_definition, queryDefinitionId=made, name="n", queryString="fields @message", status=400)

    def test_fields_and_records(self):
        request = str(uuid.uuid4())
        report = f"REPORT RequestId: {request}\tDuration: 26.73 ms\tBilled Duration: 27 ms\tMemory Size: 128 MB\tMax Memory Used: 75 MB\tInit Duration: 113.51 ms\t"
        at = int(time.time() * 1000) - 1000
        self.put("s", json.dumps({"level": "error", "user": {"id": 7}, "tags": ["x"]}), report, f"START RequestId: {request} Version: $LATEST", f"2026-01-01T00:00:00.000Z\t{request}\tINFO\thello", at=at)
        moment = int(time.time())
        def ask(text):
            made = self.logs.start_query(logGroupName=self.group, startTime=moment - 600, endTime=moment + 60, queryString=text)["queryId"]
            until = time.monotonic() + 60
            while (out := self.logs.get_query_results(queryId=made))["status"] in ("Scheduled", "Running"):
                self.assertLess(time.monotonic(), until)
                time.sleep(0.05)
            self.assertEqual(out["status"], "Complete")
            return [{f["field"]: f["value"] for f in row} for row in out["results"]]
        self.assertEqual(ask("filter @type = 'REPORT' | stats max(@duration) as d, max(@billedDuration) as b, max(@memorySize / 1000 / 1000) as m, max(@maxMemoryUsed) as u, max(@initDuration) as i"),
                         [{"d": "26.73", "b": "27", "m": "128", "u": "75000000", "i": "113.51"}])
        self.assertEqual(ask(f"filter @requestId = '{request}' | stats count(*) as n"), [{"n": "3"}])
        (row,) = ask("filter level = 'error'")
        record = self.logs.get_log_record(logRecordPointer=row["@ptr"])["logRecord"]
        self.assertEqual((record["@timestamp"], record["@logStream"], record["@log"], record["level"], record["user.id"], record["tags.0"]),
                         (str(at), "s", f"{ACCOUNT}:{self.group}", "error", "7", "x"))
        self.assertAwsError("InvalidParameterException", self.logs.get_log_record, logRecordPointer="x", status=400)
        self.assertAwsError("ResourceNotFoundException", self.logs.get_log_record, logRecordPointer="0" * 56, status=400)
        fields = {f["name"]: f["percent"] for f in self.logs.get_log_group_fields(logGroupName=self.group)["logGroupFields"]}
        self.assertEqual({k: fields.get(k) for k in ("@message", "level", "user.id", "@requestId", "@duration")},
                         {"@message": 100, "level": 25, "user.id": 25, "@requestId": 75, "@duration": 25})


if __name__ == "__main__":
    unittest.main()
