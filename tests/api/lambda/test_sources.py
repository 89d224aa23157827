"""Event source mappings: queues that functions work off."""
import collections
import datetime
import json
import os
import sys
import time
import uuid

from aws import client
from lambdacase import LambdaCase

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
from queues import QueueCase  # noqa: E402

# Tells another queue what it was given, fails or names failures as the bodies want it.
CODE = """
import json, os, time, boto3
sqs = boto3.client("sqs")
def lambda_handler(event, context):
    began = time.time()
    time.sleep(float(os.environ.get("SLEEP", 0)))
    bodies = [r["body"] for r in event["Records"]]
    sqs.send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps({"event": event, "began": began, "ended": time.time()}))
    if "poison" in bodies:
        raise ValueError("poison")
    if bodies and bodies[0].startswith("answer "):
        return json.loads(bodies[0][7:])
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"] if r["body"] == "bad"]}
"""


class Sources(QueueCase, LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sqs = client("sqs")
        cls.iam.put_role_policy(RoleName=cls.role_name, PolicyName="all", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:*", "sqs:*"], "Resource": "*"}]}))

    def worker(self, timeout=10, **variables):
        """(a function, the queue to which it says what it saw)"""
        seen = self.queue()
        return self.make(CODE, Timeout=timeout, Environment={"Variables": {"SEEN": seen, **variables}}), seen

    def map(self, queue, function, wait=True, **more):
        made = self.aws.create_event_source_mapping(EventSourceArn=self.arn(queue), FunctionName=function, **more)
        self.addCleanup(self.unmap, made["UUID"])
        return self.becomes(made["UUID"], "Disabled" if more.get("Enabled") is False else "Enabled") if wait else made

    def becomes(self, uuid_, state):
        return self.until(lambda: self.aws.get_event_source_mapping(UUID=uuid_), lambda m: m["State"] == state)

    def unmap(self, uuid_):
        try:
            self.aws.delete_event_source_mapping(UUID=uuid_)
        except (self.aws.exceptions.ResourceNotFoundException, self.aws.exceptions.ResourceInUseException):
            pass

    def until(self, look, good, seconds=60):
        until = time.monotonic() + seconds
        while True:
            got = look()
            if good(got):
                return got
            self.assertLess(time.monotonic(), until, got)
            time.sleep(0.05)

    def seen(self, queue, good, seconds=60):
        """What the function has said until good(all of it)."""
        got, until = [], time.monotonic() + seconds
        while not good(got):
            self.assertLess(time.monotonic(), until, got)
            for m in self.receive(queue, WaitTimeSeconds=1):
                got.append(json.loads(m["Body"]))
                self.delete(queue, m)
        return got

    @staticmethod
    def bodies_of(said):
        return [r["body"] for s in said for r in s["event"]["Records"]]

    def empties(self, queue):
        self.until(lambda: self.counts(queue), lambda n: n == (0, 0, 0))

    def test_event(self):
        function, seen = self.worker()
        queue = self.queue()
        m = self.map(queue, function, BatchSize=5)
        self.assertEqual((m["BatchSize"], m["MaximumBatchingWindowInSeconds"], m["StateTransitionReason"]), (5, 0, "USER_INITIATED"))
        sent = self.sqs.send_message(QueueUrl=queue, MessageBody='a "body"', MessageAttributes={
            "n": {"DataType": "Number", "StringValue": "7"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}})
        record = self.seen(seen, bool)[0]["event"]["Records"][0]
        self.assertEqual(record["messageId"], sent["MessageId"])
        self.assertEqual(record["md5OfBody"], sent["MD5OfMessageBody"])
        self.assertEqual((record["body"], record["eventSource"], record["awsRegion"]), ('a "body"', "aws:sqs", self.sqs.meta.region_name))
        self.assertEqual(record["eventSourceARN"], self.arn(queue))
        self.assertEqual(record["messageAttributes"]["n"], {"stringValue": "7", "stringListValues": [], "binaryListValues": [], "dataType": "Number"})
        self.assertEqual(record["messageAttributes"]["b"]["binaryValue"], "AAE=")
        self.assertEqual(record["attributes"]["ApproximateReceiveCount"], "1")
        self.assertLessEqual({"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"}, set(record["attributes"]))
        self.empties(queue)
        batch = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
        self.sqs.send_message_batch(QueueUrl=queue, Entries=batch)
        said = self.seen(seen, lambda s: len(self.bodies_of(s)) >= 10)
        self.assertEqual(sorted(self.bodies_of(said)), [str(n) for n in range(10)])
        self.assertTrue(all(len(s["event"]["Records"]) <= 5 for s in said))

    def test_partial_failure_and_poison(self):
        function, seen = self.worker(5)
        dead = self.queue()
        queue = self.queue(VisibilityTimeout=5, RedrivePolicy=json.dumps({"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 1}))
        self.call(function, {"Records": []})  # so that its start takes nothing of the messages' time
        self.seen(seen, bool)
        self.map(queue, function, FunctionResponseTypes=["ReportBatchItemFailures"], MaximumBatchingWindowInSeconds=1)
        self.send(queue, "good", "bad", "fine")
        self.seen(seen, lambda s: len(self.bodies_of(s)) >= 3)
        got = self.until(lambda: self.receive(dead, WaitTimeSeconds=1), bool)
        self.assertEqual([m["Body"] for m in got], ["bad"])
        self.delete(dead, *got)
        self.empties(queue)
        self.send(queue, "poison")
        got = self.until(lambda: self.receive(dead, WaitTimeSeconds=1), bool)
        self.assertEqual([m["Body"] for m in got], ["poison"])

    def test_answers(self):
        function, seen = self.worker()
        queue = self.queue(VisibilityTimeout=300)
        self.map(queue, function, FunctionResponseTypes=["ReportBatchItemFailures"], BatchSize=1)
        for answer in ('{"batchItemFailures": null}', '{"batchItemFailures": []}', "{}", "null"):
            self.send(queue, "answer " + answer)
        self.seen(seen, lambda s: len(s) >= 4)
        self.empties(queue)
        wrong = ('{"batchItemFailures": [{"itemIdentifier": "nobody"}]}', '{"batchItemFailures": [{"item": 1}]}', '"text"')
        for answer in wrong:
            self.send(queue, "answer " + answer)
        self.seen(seen, lambda s: len(s) >= 3)
        self.send(queue, "good")  # behind them: when this is deleted, they would be
        self.seen(seen, bool)
        self.until(lambda: self.counts(queue), lambda n: n[0] == 0 and n[1] <= 3)
        self.assertEqual(self.counts(queue), (0, 3, 0))

    def test_filters(self):
        function, seen = self.worker()
        queue = self.queue()
        pattern = {"body": {"kind": ["a", {"prefix": "b"}], "n": [{"numeric": [">", 1, "<=", 3]}], "no": [{"exists": False}]}}
        self.map(queue, function, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}, {"Pattern": '{"body": ["plain"]}'}]})
        for body in ({"kind": "a", "n": 2}, {"kind": "a", "n": 4}, {"kind": "bx", "n": 3}, {"kind": "c", "n": 2},
                     {"kind": "a", "n": 2, "no": 1}, "other", "plain"):
            self.send(queue, body if isinstance(body, str) else json.dumps(body))
        said = self.seen(seen, lambda s: len(self.bodies_of(s)) >= 3)
        self.empties(queue)
        self.assertEqual(sorted(self.bodies_of(said)), sorted(['{"kind": "a", "n": 2}', '{"kind": "bx", "n": 3}', "plain"]))
        self.refused("InvalidParameterValueException", "Invalid filter pattern", FunctionName=function, EventSourceArn=self.arn(self.queue()),
                     FilterCriteria={"Filters": [{"Pattern": '{"body": "x"}'}]})

    def test_window_and_large_batches(self):
        function, seen = self.worker()
        queue = self.queue()
        self.map(queue, function, BatchSize=25, MaximumBatchingWindowInSeconds=300)
        for n in range(3):
            self.sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(i), "MessageBody": f"{n}-{i}"} for i in range(10)])
        said = self.seen(seen, bool)
        self.assertEqual(len(said[0]["event"]["Records"]), 25)
        self.until(lambda: sum(self.counts(queue)), lambda n: n == 5)

    def test_concurrency(self):
        function, seen = self.worker(SLEEP="0.3")
        queue = self.queue()
        # older clients do not know the member
        reply = LambdaCase.send(self, "/2015-03-31/event-source-mappings/", json.dumps(
            {"EventSourceArn": self.arn(queue), "FunctionName": function, "BatchSize": 1, "ScalingConfig": {"MaximumConcurrency": 2}}).encode())
        made = json.loads(reply.body)
        self.assertEqual((reply.status, made["ScalingConfig"]), (202, {"MaximumConcurrency": 2}))
        self.addCleanup(self.unmap, made["UUID"])
        for n in range(8):
            self.send(queue, str(n))
        said = self.seen(seen, lambda s: len(s) >= 8)
        edges = sorted([(s["began"], 1) for s in said] + [(s["ended"], -1) for s in said])
        most, now = 0, 0
        for _, step in edges:
            now += step
            most = max(most, now)
        self.assertIn(most, (1, 2))  # without the limit it would be five, and is one where the second is slow to start

    def test_groups_in_order(self):
        function, seen = self.worker(SLEEP="0.02")
        queue = self.queue(fifo=True)
        self.map(queue, function, BatchSize=3)
        for n in range(12):
            self.send(queue, f"{n % 3}:{n:02}", MessageGroupId=str(n % 3), MessageDeduplicationId=str(n))
        said = self.seen(seen, lambda s: len(self.bodies_of(s)) >= 12)
        groups = collections.defaultdict(list)
        for s in sorted(said, key=lambda s: s["ended"]):
            for r in s["event"]["Records"]:
                self.assertIn("SequenceNumber", r["attributes"])
                groups[r["attributes"]["MessageGroupId"]].append(r["body"])
        for g, bodies in groups.items():
            self.assertEqual(bodies, sorted(bodies))
            self.assertEqual(len(bodies), 4)

    def test_throttled(self):
        function, seen = self.worker()
        queue = self.queue(VisibilityTimeout=120)
        self.aws.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        self.map(queue, function)
        self.send(queue, "x")
        self.until(lambda: self.counts(queue), lambda n: n == (0, 1, 0))
        self.aws.delete_function_concurrency(FunctionName=function)
        self.assertEqual(self.bodies_of(self.seen(seen, bool)), ["x"])

    def test_life(self):
        function, seen = self.worker()
        queue = self.queue()
        made = self.aws.create_event_source_mapping(EventSourceArn=self.arn(queue), FunctionName=function, Enabled=False)
        self.assertEqual(made["State"], "Creating")
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 202)
        uuid_ = made["UUID"]
        self.becomes(uuid_, "Disabled")
        arn = f"arn:aws:lambda:{self.sqs.meta.region_name}:000000000000:event-source-mapping:{uuid_}"
        self.aws.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
        self.aws.untag_resource(Resource=arn, TagKeys=["a"])
        self.assertEqual(self.aws.list_tags(Resource=arn)["Tags"], {"b": "2"})
        with self.assertRaises(self.aws.exceptions.ResourceNotFoundException):
            self.aws.list_tags(Resource=arn[:-36] + str(uuid.uuid4()))
        self.send(queue, "early")
        with self.assertRaises(self.aws.exceptions.ResourceConflictException) as e:
            self.aws.create_event_source_mapping(EventSourceArn=self.arn(queue), FunctionName=function)
        self.assertIn(uuid_, str(e.exception))
        self.assertEqual(self.counts(queue), (1, 0, 0))
        self.assertEqual(self.aws.update_event_source_mapping(UUID=uuid_, Enabled=True, BatchSize=3)["State"], "Enabling")
        self.assertEqual(self.becomes(uuid_, "Enabled")["BatchSize"], 3)
        self.assertEqual(self.bodies_of(self.seen(seen, bool)), ["early"])
        other, other_seen = self.worker()
        self.assertEqual(self.aws.update_event_source_mapping(UUID=uuid_, FunctionName=other)["State"], "Updating")
        self.assertTrue(self.becomes(uuid_, "Enabled")["FunctionArn"].endswith(other))
        self.send(queue, "second")
        self.assertEqual(self.bodies_of(self.seen(other_seen, bool)), ["second"])
        listed = self.aws.list_event_source_mappings(FunctionName=other)["EventSourceMappings"]
        self.assertEqual([m["UUID"] for m in listed], [uuid_])
        listed = self.aws.list_event_source_mappings(EventSourceArn=self.arn(queue))["EventSourceMappings"]
        self.assertEqual([m["UUID"] for m in listed], [uuid_])
        self.assertEqual(self.aws.list_event_source_mappings(FunctionName=function)["EventSourceMappings"], [])
        self.assertEqual(self.aws.update_event_source_mapping(UUID=uuid_, Enabled=False)["State"], "Disabling")
        self.becomes(uuid_, "Disabled")
        self.assertEqual(self.aws.delete_event_source_mapping(UUID=uuid_)["State"], "Deleting")
        def gone():
            try:
                return self.aws.get_event_source_mapping(UUID=uuid_)["State"]
            except self.aws.exceptions.ResourceNotFoundException:
                return None
        self.until(gone, lambda state: state is None)

    def test_loop_is_cut(self):
        """A function that sends on what it gets, to its own queue: after sixteen passes the message goes, where dead letters do if there are any."""
        code = ("import boto3, os\nsqs = boto3.client('sqs')\n"
                "def lambda_handler(event, context):\n    for r in event['Records']:\n"
                "        sqs.send_message(QueueUrl=os.environ['QUEUE'], MessageBody=str(int(r['body']) + 1))\n")
        dead, queue = self.queue(), self.queue(VisibilityTimeout=60)
        function = self.make(code, Environment={"Variables": {"QUEUE": queue}})
        self.map(queue, function)
        self.send(queue, "0")
        self.metric("RecursiveInvocationsDropped", function, lambda total: total == 1)
        self.empties(queue)
        self.until(lambda: self.invocations(function), lambda n: n == 16)
        path = f"/2024-08-31/functions/{function}/recursion-config"
        self.assertEqual(json.loads(LambdaCase.send(self, path, b"", "GET").body), {"RecursiveLoop": "Terminate"})
        self.assertEqual(json.loads(LambdaCase.send(self, path, b'{"RecursiveLoop": "Allow"}', "PUT").body), {"RecursiveLoop": "Allow"})
        self.assertEqual(json.loads(LambdaCase.send(self, path, b"", "GET").body), {"RecursiveLoop": "Allow"})
        self.send(queue, "0")  # goes on beyond sixteen, until it is told otherwise
        self.until(lambda: self.invocations(function), lambda n: n > 40)
        self.assertEqual(LambdaCase.send(self, path, b'{"RecursiveLoop": "Terminate"}', "PUT").status, 200)
        self.empties(queue)
        self.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "6", "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 1})})
        self.send(queue, "0")
        got = self.until(lambda: self.receive(dead, WaitTimeSeconds=1), bool)
        self.assertEqual([m["Body"] for m in got], ["16"])

    def test_loop_of_two_is_cut(self):
        """Each sends to the other's queue, so each one's way stands in the header beside the other's."""
        code = ("import boto3, os\nsqs = boto3.client('sqs')\n"
                "def lambda_handler(event, context):\n    for r in event['Records']:\n"
                "        sqs.send_message(QueueUrl=os.environ['QUEUE'], MessageBody=str(int(r['body']) + 1))\n")
        dead = self.queue()
        there, back = (self.queue(VisibilityTimeout=6, RedrivePolicy=json.dumps({"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 1})) for _ in range(2))
        for to, of in ((there, back), (back, there)):
            self.map(of, self.make(code, Environment={"Variables": {"QUEUE": to}}))
        self.send(there, "0")
        got = self.until(lambda: self.receive(dead, WaitTimeSeconds=1), bool)
        self.assertEqual([m["Body"] for m in got], ["32"])

    def invocations(self, function):
        """Starts of it, as its log tells them."""
        logs = client("logs")
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/" + function, filterPattern='"START RequestId"')
            return sum(len(page["events"]) for page in pages)
        except logs.exceptions.ResourceNotFoundException:
            return 0

    def refused(self, code, text, **given):
        with self.assertRaises(self.aws.exceptions.ClientError) as e:
            self.aws.create_event_source_mapping(**given)
        self.assertEqual(e.exception.response["Error"]["Code"], code)
        self.assertIn(text, e.exception.response["Error"]["Message"])

    def test_refusals(self):
        function, _ = self.worker()
        queue, fifo = self.queue(), self.queue(fifo=True)
        arn, invalid = self.arn(queue), "InvalidParameterValueException"
        self.refused("ResourceNotFoundException", "Function not found", EventSourceArn=arn, FunctionName="nobody")
        self.refused(invalid, "NonExistentQueue", EventSourceArn=arn + "x", FunctionName=function)
        self.refused(invalid, "only queues of SQS", EventSourceArn=f"arn:aws:kinesis:us-east-1:000000000000:stream/x", FunctionName=function)
        self.refused(invalid, "Maximum batch window", EventSourceArn=arn, FunctionName=function, BatchSize=11)
        self.refused(invalid, "FIFO", EventSourceArn=self.arn(fifo), FunctionName=function, MaximumBatchingWindowInSeconds=1)
        self.refused(invalid, "BisectBatchOnFunctionError", EventSourceArn=arn, FunctionName=function, BisectBatchOnFunctionError=True)
        self.refused(invalid, "visibility timeout: 5 seconds is less than Function timeout: 10 seconds",
                     EventSourceArn=self.arn(self.queue(VisibilityTimeout=5)), FunctionName=function)
        self.assertEqual(self.aws.list_event_source_mappings(FunctionName=function)["EventSourceMappings"], [])

    def test_role_is_asked(self):
        function, seen = self.worker()
        queue, name = self.queue(), "r-" + uuid.uuid4().hex[:8]
        trust = self.iam.get_role(RoleName=self.role_name)["Role"]["AssumeRolePolicyDocument"]
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.addCleanup(self.iam.delete_role, RoleName=name)
        self.addCleanup(self.iam.delete_role_policy, RoleName=name, PolicyName="p")
        def allow(*actions):
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}))
        allow("logs:*")
        self.aws.update_function_configuration(FunctionName=function, Role=role)
        self.settle(function)
        told = {"EventSourceArn": self.arn(queue), "FunctionName": function}
        self.refused("InvalidParameterValueException", "permissions to call ReceiveMessage", **told)
        allow("sqs:ReceiveMessage", "sqs:SendMessage")
        self.refused("InvalidParameterValueException", "permissions to call DeleteMessage", **told)
        allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SendMessage")
        self.refused("InvalidParameterValueException", "permissions to call GetQueueAttributes", **told)
        allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage")
        self.map(queue, function)
        self.send(queue, "x")
        self.assertEqual(self.bodies_of(self.seen(seen, bool)), ["x"])

    def test_metrics(self):
        """Of a mapping that wants them: three that are filtered in, one of which fails, and one that is not."""
        function, seen = self.worker()
        queue = self.queue(VisibilityTimeout="600")
        reply = LambdaCase.send(self, "/2015-03-31/event-source-mappings", json.dumps({
            "EventSourceArn": self.arn(queue), "FunctionName": function, "MetricsConfig": {"Metrics": ["EventCount"]}, "MaximumBatchingWindowInSeconds": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"body": [{"anything-but": "out"}]})}]}}).encode())
        made = json.loads(reply.body)
        self.assertEqual((reply.status, made["MetricsConfig"]), (202, {"Metrics": ["EventCount"]}), made)
        self.addCleanup(self.unmap, made["UUID"])
        self.becomes(made["UUID"], "Enabled")
        for body in ("a", "b", "bad", "out"):
            self.sqs.send_message(QueueUrl=queue, MessageBody=body)
        self.seen(seen, lambda said: sorted(self.bodies_of(said)) == ["a", "b", "bad"])
        metrics = client("cloudwatch")

        def sums():
            now = datetime.datetime.now(datetime.timezone.utc)
            return {name: sum(p["Sum"] for p in metrics.get_metric_statistics(
                Namespace="AWS/Lambda", MetricName=name, Dimensions=[{"Name": "EventSourceMappingUUID", "Value": made["UUID"]}], Statistics=["Sum"], Period=60,
                StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(minutes=2))["Datapoints"])
                for name in ("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DeletedEventCount")}
        wanted = {"PolledEventCount": 4, "FilteredOutEventCount": 1, "InvokedEventCount": 3, "FailedInvokeEventCount": 1, "DeletedEventCount": 2}
        self.until(sums, lambda got: got == wanted)
        reply = LambdaCase.send(self, f"/2015-03-31/event-source-mappings/{made['UUID']}", json.dumps({"MetricsConfig": {"Metrics": ["KafkaMetrics"]}}).encode(), method="PUT")
        self.assertEqual(reply.status, 400)
        self.assertIn("not supported for event sources of SQS", json.loads(reply.body)["message"])
        reply = LambdaCase.send(self, f"/2015-03-31/event-source-mappings/{made['UUID']}", json.dumps({"MetricsConfig": {"Metrics": []}}).encode(), method="PUT")
        self.assertNotIn("MetricsConfig", json.loads(reply.body))


if __name__ == "__main__":
    import unittest
    unittest.main()
