"""CloudWatch Logs as clients see it: groups, streams, events, filters, tags, retention, live tail, the CLI's tail."""
import http.client
import json
import os
import signal
import subprocess
import threading
import time
import unittest
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.eventstream

from aws import ENDPOINT, REGION, TestCase, aws_programs, client, run
from cloud import Cloud

DAY = 24 * 3600 * 1000


def now():
    return int(time.time() * 1000)


def send(operation, **params):
    """An operation, or a member, that Debian's botocore does not know yet: the response, unread."""
    request = botocore.awsrequest.AWSRequest("POST", ENDPOINT + "/", data=json.dumps(params), headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328." + operation})
    credentials = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(credentials, "logs", REGION).add_auth(request)
    c = http.client.HTTPConnection(ENDPOINT.split("//")[1], timeout=20)
    prepared = request.prepare()
    c.request("POST", "/", body=prepared.body, headers=dict(prepared.headers))
    return c.getresponse()


def call(operation, **params):
    reply = send(operation, **params)
    return reply.status, json.loads(reply.read() or b"{}")


class LogsCase(TestCase):
    def setUp(self):
        self.logs = client("logs")
        self.group = "/test/" + uuid.uuid4().hex
        self.logs.create_log_group(logGroupName=self.group)
        self.addCleanup(self.drop, self.group)

    def drop(self, name):
        try:
            self.logs.delete_log_group(logGroupName=name)
        except self.logs.exceptions.ResourceNotFoundException:
            pass

    def stream(self, name="s"):
        self.logs.create_log_stream(logGroupName=self.group, logStreamName=name)
        return name

    def put(self, stream, *messages, at=None):
        at = at or now()
        return self.logs.put_log_events(logGroupName=self.group, logStreamName=stream,
                                        logEvents=[{"timestamp": at + i, "message": m} for i, m in enumerate(messages)])

    def messages(self, **filters):
        return [e["message"] for e in self.logs.filter_log_events(logGroupName=self.group, **filters)["events"]]


class Groups(LogsCase):
    def test_create_describe_delete(self):
        self.assertAwsError("ResourceAlreadyExistsException", self.logs.create_log_group, logGroupName=self.group, status=400,
                            message="The specified log group already exists")
        (group,) = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        self.assertEqual(group["logGroupName"], self.group)
        self.assertTrue(group["arn"].endswith(f":log-group:{self.group}:*"))
        self.assertEqual(group["storedBytes"], 0)
        _, reply = call("DescribeLogGroups", logGroupIdentifiers=[self.group])
        self.assertEqual(reply["logGroups"][0]["logGroupArn"] + ":*", group["arn"])
        self.assertEqual(reply["logGroups"][0]["logGroupClass"], "STANDARD")
        self.assertAlmostEqual(group["creationTime"], now(), delta=60000)
        self.assertNotIn("retentionInDays", group)
        self.logs.delete_log_group(logGroupName=self.group)
        self.assertEqual(self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"], [])
        self.assertAwsError("ResourceNotFoundException", self.logs.delete_log_group, logGroupName=self.group, status=400,
                            message="The specified log group does not exist.")

    def test_a_new_group_of_an_old_name_is_empty(self):
        self.put(self.stream(), "old")
        self.logs.delete_log_group(logGroupName=self.group)
        self.logs.create_log_group(logGroupName=self.group)
        self.assertEqual(self.logs.describe_log_streams(logGroupName=self.group)["logStreams"], [])
        self.assertEqual(self.messages(), [])

    def test_names_are_checked(self):
        for name in ("", "a b", "a:b", "x" * 513):
            with self.subTest(name=name):
                checked = client("logs", parameter_validation=False)
                self.assertAwsError("InvalidParameterException", checked.create_log_group, logGroupName=name, status=400,
                                    message="detected: Value ")

    def test_pages_in_order(self):
        names = [f"{self.group}/{i:02}" for i in range(7)]
        for name in reversed(names):
            self.logs.create_log_group(logGroupName=name)
            self.addCleanup(self.drop, name)
        pages = list(self.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=self.group + "/", PaginationConfig={"PageSize": 3}))
        self.assertEqual([len(p["logGroups"]) for p in pages], [3, 3, 1])
        self.assertEqual([g["logGroupName"] for p in pages for g in p["logGroups"]], names)
        found = self.logs.describe_log_groups(logGroupNamePattern=self.group[8:] + "/03")["logGroups"]
        self.assertEqual([g["logGroupName"] for g in found], [names[3]])
        self.assertAwsError("InvalidParameterException", self.logs.describe_log_groups, logGroupNamePrefix="a", logGroupNamePattern="b")
        self.assertAwsError("InvalidParameterException", self.logs.describe_log_groups, nextToken="bogus!")

    def test_long_names(self):
        names = ["/" + "n" * 505 + self.group[-5:] + c for c in "ab"]
        for name in names:
            self.logs.create_log_group(logGroupName=name)
            self.addCleanup(self.drop, name)
            self.logs.create_log_stream(logGroupName=name, logStreamName="s" * 512)
        found = [g["logGroupName"] for g in self.logs.describe_log_groups(logGroupNamePrefix=names[0][:-1])["logGroups"]]
        self.assertEqual(sorted(found), names)
        self.assertEqual(self.logs.describe_log_groups(logGroupNamePrefix=names[1])["logGroups"][0]["logGroupName"], names[1])

    def test_retention(self):
        self.logs.put_retention_policy(logGroupName=self.group, retentionInDays=7)
        (group,) = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        self.assertEqual(group["retentionInDays"], 7)
        self.assertAwsError("InvalidParameterException", self.logs.put_retention_policy, logGroupName=self.group, retentionInDays=2)
        self.logs.delete_retention_policy(logGroupName=self.group)
        (group,) = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        self.assertNotIn("retentionInDays", group)

    def test_retention_hides_what_has_expired(self):
        stream = self.stream()
        self.put(stream, "old", at=now() - 3 * DAY)
        self.put(stream, "new")
        self.assertEqual(self.messages(), ["old", "new"])
        self.logs.put_retention_policy(logGroupName=self.group, retentionInDays=1)
        self.assertEqual(self.messages(), ["new"])
        events = self.logs.get_log_events(logGroupName=self.group, logStreamName=stream, startFromHead=True)["events"]
        self.assertEqual([e["message"] for e in events], ["new"])
        rejected = self.put(stream, "expired", at=now() - 2 * DAY)["rejectedLogEventsInfo"]
        self.assertEqual(rejected["expiredLogEventEndIndex"], 1)

    def test_tags(self):
        arn = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"][0]["arn"][:-2]
        self.logs.tag_log_group(logGroupName=self.group, tags={"a": "1", "b": "2"})
        self.logs.tag_resource(resourceArn=arn, tags={"b": "3", "c": ""})
        self.assertEqual(self.logs.list_tags_log_group(logGroupName=self.group)["tags"], {"a": "1", "b": "3", "c": ""})
        self.logs.untag_log_group(logGroupName=self.group, tags=["a", "nothing"])
        self.logs.untag_resource(resourceArn=arn, tagKeys=["b"])
        self.assertEqual(self.logs.list_tags_for_resource(resourceArn=arn)["tags"], {"c": ""})
        self.assertAwsError("TooManyTagsException", self.logs.tag_resource, resourceArn=arn, tags={f"k{i}": "v" for i in range(50)})
        self.assertAwsError("ResourceNotFoundException", self.logs.list_tags_for_resource, resourceArn=arn + "x")

    def test_what_is_not_there_is_refused(self):
        self.assertAwsError("UnsupportedOperationException", self.logs.put_destination, destinationName="d", targetArn="arn:aws:kinesis:us-east-1:000000000000:stream/s", roleArn="arn:aws:iam::000000000000:role/r")
        self.assertAwsError("InvalidParameterException", self.logs.create_log_group, logGroupName=self.group + "k", kmsKeyId="arn:aws:kms:x")


class Streams(LogsCase):
    def test_create_describe_delete(self):
        self.stream("a/[1]")
        self.assertAwsError("ResourceAlreadyExistsException", self.stream, "a/[1]")
        self.put("a/[1]", "hello", "world", at=now() - 1000)
        (stream,) = self.logs.describe_log_streams(logGroupName=self.group)["logStreams"]
        self.assertEqual(stream["logStreamName"], "a/[1]")
        self.assertEqual(stream["lastEventTimestamp"] - stream["firstEventTimestamp"], 1)
        self.assertTrue(stream["arn"].endswith(f":log-group:{self.group}:log-stream:a/[1]"))
        self.logs.delete_log_stream(logGroupName=self.group, logStreamName="a/[1]")
        self.assertEqual(self.logs.describe_log_streams(logGroupName=self.group)["logStreams"], [])
        self.assertEqual(self.messages(), [])
        self.assertAwsError("ResourceNotFoundException", self.logs.delete_log_stream, logGroupName=self.group, logStreamName="a/[1]",
                            message="The specified log stream does not exist.")
        self.assertAwsError("InvalidParameterException", self.stream, "a:b")

    def test_order_and_pages(self):
        at = now() - 10000
        for i, name in enumerate(("b", "d", "a", "c", "e")):
            self.stream(name)
            if name != "e":
                self.put(name, "x", at=at + i * 1000)

        def names(**how):
            pages = self.logs.get_paginator("describe_log_streams").paginate(logGroupName=self.group, PaginationConfig={"PageSize": 2}, **how)
            return "".join(s["logStreamName"] for p in pages for s in p["logStreams"])
        self.assertEqual(names(), "abcde")
        self.assertEqual(names(descending=True), "edcba")
        self.assertEqual(names(orderBy="LastEventTime", descending=True), "cadbe")
        self.assertEqual(names(orderBy="LastEventTime"), "ebdac")
        self.assertEqual(names(logStreamNamePrefix="c"), "c")
        self.assertAwsError("InvalidParameterException", self.logs.describe_log_streams, logGroupName=self.group, orderBy="LastEventTime",
                            logStreamNamePrefix="a")


class Events(LogsCase):
    def test_put_checks_the_batch(self):
        stream, t = self.stream(), now()

        def put(*events, name=stream):
            return self.logs.put_log_events(logGroupName=self.group, logStreamName=name,
                                            logEvents=[{"timestamp": at, "message": m} for at, m in events])
        self.assertAwsError("InvalidParameterException", put, (t, "b"), (t - 1, "a"), message="chronological order")
        self.assertAwsError("InvalidParameterException", put, (t - DAY - 1, "a"), (t, "b"), message="24 hours")
        self.assertAwsError("InvalidParameterException", put, (t, "x" * (1048576 - 25)), message="Upload too large: 1048577 bytes exceeds limit of 1048576")
        self.assertAwsError("ResourceNotFoundException", put, (t, "a"), name="other", message="log stream does not exist")
        checked = client("logs", parameter_validation=False)
        self.assertAwsError("InvalidParameterException", checked.put_log_events, logGroupName=self.group, logStreamName=stream, logEvents=[])
        self.assertAwsError("InvalidParameterException", checked.put_log_events, logGroupName=self.group, logStreamName=stream,
                            logEvents=[{"timestamp": t, "message": ""}])
        reply = put((t, "x" * (1048576 - 26)))
        self.assertTrue(reply["nextSequenceToken"])
        self.assertEqual(len(self.messages()[0]), 1048576 - 26)
        reply = self.logs.put_log_events(logGroupName=self.group, logStreamName=stream, sequenceToken="any",
                                         logEvents=[{"timestamp": t, "message": "m"}] * 10000)
        self.assertNotIn("rejectedLogEventsInfo", reply)

    def test_old_and_new_events_are_rejected(self):
        stream, t = self.stream(), now()
        info = self.put(stream, "a", "b", at=t - 15 * DAY)["rejectedLogEventsInfo"]
        self.assertEqual(info, {"tooOldLogEventEndIndex": 2})
        info = self.put(stream, "a", at=t + 3 * 3600 * 1000)["rejectedLogEventsInfo"]
        self.assertEqual(info, {"tooNewLogEventStartIndex": 0})
        events = [{"timestamp": t - 60000, "message": "kept"}, {"timestamp": t + 3 * 3600 * 1000, "message": "not"}]
        info = self.logs.put_log_events(logGroupName=self.group, logStreamName=stream, logEvents=events)["rejectedLogEventsInfo"]
        self.assertEqual(info, {"tooNewLogEventStartIndex": 1})
        self.assertEqual(self.messages(), ["kept"])

    def test_get_forward_and_backward(self):
        stream = self.stream()
        at = now() - 100000
        self.put(stream, *[str(i) for i in range(10)], at=at)

        def get(**how):
            reply = self.logs.get_log_events(logGroupName=self.group, logStreamName=stream, **how)
            return "".join(e["message"] for e in reply["events"]), reply["nextForwardToken"], reply["nextBackwardToken"]
        text, forward, backward = get(limit=4, startFromHead=True)
        self.assertEqual(text, "0123")
        text, forward, _ = get(limit=4, nextToken=forward, startFromHead=True)
        self.assertEqual(text, "4567")
        text, forward, _ = get(limit=4, nextToken=forward, startFromHead=True)
        self.assertEqual(text, "89")
        text, again, back = get(limit=4, nextToken=forward, startFromHead=True)
        self.assertEqual((text, again), ("", forward))
        self.assertEqual(get(limit=4, nextToken=back)[0], "6789")
        self.assertEqual(get(nextToken=backward)[::2], ("", backward))
        text, forward, backward = get(limit=3)
        self.assertEqual(text, "789")
        text, _, backward = get(limit=3, nextToken=backward)
        self.assertEqual(text, "456")
        self.assertTrue(forward.startswith("f/") and backward.startswith("b/"))
        self.put(stream, "new")
        self.assertEqual(get(nextToken=forward)[0], "new")
        self.assertEqual(get(startTime=at + 2, endTime=at + 5, startFromHead=True)[0], "234")
        self.assertEqual(get(startTime=at + 2, endTime=at + 5, limit=2)[0], "34")
        self.assertAwsError("InvalidParameterException", get, nextToken="f/123/s")

    def test_an_empty_stream_can_be_followed(self):
        stream = self.stream()
        reply = self.logs.get_log_events(logGroupName=self.group, logStreamName=stream)
        self.assertEqual(reply["events"], [])
        self.put(stream, "first")
        reply = self.logs.get_log_events(logGroupName=self.group, logStreamName=stream, nextToken=reply["nextForwardToken"])
        self.assertEqual([e["message"] for e in reply["events"]], ["first"])

    def test_text_survives(self):
        text = "tab\tnewline\nquote\" \\ é 漢字 \U0001f600 {\"json\":[1,null]}"
        self.put(self.stream(), text)
        (event,) = self.logs.filter_log_events(logGroupName=self.group)["events"]
        self.assertEqual(event["message"], text)
        self.assertAlmostEqual(event["ingestionTime"], now(), delta=60000)
        self.assertRegex(event["eventId"], r"^[0-9]{56}$")

    def test_stored_bytes(self):
        self.put(self.stream(), "12345", "é")
        self.assertEqual(self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"][0]["storedBytes"], 5 + 2 + 2 * 26)


class Filters(LogsCase):
    def setUp(self):
        super().setUp()
        self.at = now() - 100000
        for name, offset in (("one", 0), ("two", 1), ("other", 2)):
            self.stream(name)
            self.put(name, at=self.at + offset, *[f"{name} {i}" for i in range(3)])

    def test_streams_interleave(self):
        self.assertEqual(self.messages(), ["one 0", "one 1", "two 0", "one 2", "two 1", "other 0", "two 2", "other 1", "other 2"])
        self.assertEqual(self.messages(logStreamNames=["two"]), ["two 0", "two 1", "two 2"])
        self.assertEqual(self.messages(logStreamNames=["two", "one"], limit=3), ["one 0", "one 1", "two 0"])
        self.assertEqual(self.messages(logStreamNamePrefix="o", startTime=self.at + 2), ["one 2", "other 0", "other 1", "other 2"])
        self.assertEqual(self.messages(startTime=self.at + 1, endTime=self.at + 2), ["one 1", "two 0", "one 2", "two 1", "other 0"])
        self.assertAwsError("ResourceNotFoundException", self.messages, logStreamNames=["none"])
        self.assertAwsError("InvalidParameterException", self.messages, logStreamNames=["one"], logStreamNamePrefix="o")

    def test_patterns(self):
        self.assertEqual(self.messages(filterPattern="two -2"), ["two 0", "two 1"])
        self.assertEqual(self.messages(filterPattern='?"one 0" ?"other 2"'), ["one 0", "other 2"])
        self.assertEqual(self.messages(filterPattern="%^t.*[12]$%"), ["two 1", "two 2"])
        self.assertEqual(self.messages(filterPattern="[name=o*, n>0]"), ["one 1", "one 2", "other 1", "other 2"])
        self.put("one", json.dumps({"level": "error", "n": 7}), json.dumps({"level": "info", "n": 9}))
        self.assertEqual(self.messages(filterPattern='{ $.level = "error" && $.n > 5 }'), ['{"level": "error", "n": 7}'])
        self.assertAwsError("InvalidParameterException", self.messages, filterPattern="foo-bar", message="Invalid character(s) in term 'foo-bar'")
        self.assertAwsError("InvalidParameterException", self.messages, filterPattern="{ x", message="Invalid filter pattern")

    def test_pages(self):
        pages = list(self.logs.get_paginator("filter_log_events").paginate(logGroupName=self.group, PaginationConfig={"PageSize": 4}))
        self.assertEqual([len(p["events"]) for p in pages], [4, 4, 1])
        self.assertEqual(len({e["eventId"] for p in pages for e in p["events"]}), 9)
        self.assertEqual(pages[0]["searchedLogStreams"], [])
        self.assertAwsError("InvalidParameterException", self.messages, nextToken="1" * 56)

    def test_group_by_arn(self):
        arn = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"][0]["arn"][:-2]
        for identifier in (arn, self.group):
            status, reply = call("FilterLogEvents", logGroupIdentifier=identifier, limit=1)
            self.assertEqual((status, reply["events"][0]["message"]), (200, "one 0"))
        for wrong in ({}, {"logGroupName": self.group, "logGroupIdentifier": arn}):
            status, reply = call("FilterLogEvents", **wrong)
            self.assertEqual((status, reply["__type"]), (400, "InvalidParameterException"))
        status, reply = call("FilterLogEvents", logGroupIdentifier=arn.replace(":us-", ":eu-"))
        self.assertEqual((status, reply["__type"]), (400, "ResourceNotFoundException"))

    def test_groups_by_pattern(self):
        found = {g["logGroupName"] for g in call("ListLogGroups", logGroupNamePattern=f"nothing|^{self.group[:20]}")[1]["logGroups"]}
        self.assertEqual(found, {self.group})

    def test_deletion_protection(self):
        self.assertEqual(call("PutLogGroupDeletionProtection", logGroupIdentifier=self.group, deletionProtectionEnabled=True)[0], 200)
        self.assertAwsError("ValidationException", self.logs.delete_log_group, logGroupName=self.group)
        self.assertEqual(call("PutLogGroupDeletionProtection", logGroupIdentifier=self.group, deletionProtectionEnabled=False)[0], 200)

    def test_metric_filters_can_be_tried(self):
        line = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
        reply = self.logs.test_metric_filter(filterPattern="[..., request=*.html*, status_code=4*,]", logEventMessages=["no", line])
        (match,) = reply["matches"]
        self.assertEqual((match["eventNumber"], match["eventMessage"]), (2, line))
        self.assertEqual(match["extractedValues"]["$status_code"], "404")
        self.assertEqual(match["extractedValues"]["$3"], "frank")


class Permissions(LogsCase):
    def test_a_user_may_what_its_policy_says(self):
        iam, name = client("iam"), "logs-" + uuid.uuid4().hex[:8]
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.addCleanup(lambda: (iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"]),
                                 iam.delete_user_policy(UserName=name, PolicyName="p"), iam.delete_user(UserName=name)))
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": f"arn:aws:logs:*:*:log-group:{self.group}:*"}]}))
        logs = client("logs", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        logs.create_log_stream(logGroupName=self.group, logStreamName="s")
        logs.put_log_events(logGroupName=self.group, logStreamName="s", logEvents=[{"timestamp": now(), "message": "m"}])
        self.assertAwsError("AccessDeniedException", logs.filter_log_events, logGroupName=self.group, status=400,
                            message=f"is not authorized to perform: logs:FilterLogEvents on resource")
        self.assertAwsError("AccessDeniedException", logs.create_log_stream, logGroupName=self.group + "x", logStreamName="s")
        self.assertAwsError("AccessDeniedException", logs.describe_log_groups)


class LiveTail(LogsCase):
    def test_a_session_hears_what_is_written(self):
        self.stream("one")
        self.stream("two")
        arn = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"][0]["arn"][:-2]
        reply = send("StartLiveTail", logGroupIdentifiers=[arn], logStreamNamePrefixes=["o"], logEventFilterPattern="yes")
        self.assertEqual(reply.status, 200)
        frames, heard, kinds = botocore.eventstream.EventStreamBuffer(), [], []
        while len(heard) < 2:
            frames.add_data(reply.read1(65536))
            for frame in frames:
                kinds.append(frame.headers[":event-type"])
                payload = json.loads(frame.payload)
                if kinds[-1] == "sessionStart":
                    self.assertEqual(payload["logEventFilterPattern"], "yes")
                    self.put("one", "yes 1", "no", "yes 2")
                    self.put("two", "yes elsewhere")
                elif kinds[-1] == "sessionUpdate":
                    heard += payload["sessionResults"]
                    self.assertFalse(payload["sessionMetadata"]["sampled"])
        reply.close()
        self.assertEqual(kinds[:3], ["initial-response", "sessionStart", "sessionUpdate"])
        self.assertEqual([(e["message"], e["logStreamName"]) for e in heard], [("yes 1", "one"), ("yes 2", "one")])
        self.assertTrue(heard[0]["logGroupIdentifier"].endswith(":" + self.group))

    def test_at_most_fifteen_sessions(self):
        sessions = [send("StartLiveTail", logGroupIdentifiers=[self.group]) for _ in range(15)]
        self.assertEqual({s.status for s in sessions}, {200})
        status, reply = call("StartLiveTail", logGroupIdentifiers=[self.group])
        self.assertEqual((status, reply["__type"]), (400, "LimitExceededException"))
        for s in sessions:
            s.close()

    def test_wrong_requests(self):
        for wrong, code in (({"logGroupIdentifiers": [self.group + "x"]}, "ResourceNotFoundException"),
                            ({"logGroupIdentifiers": [self.group], "logEventFilterPattern": "{"}, "InvalidParameterException"),
                            ({"logGroupIdentifiers": [self.group] * 2, "logStreamNames": ["s"]}, "InvalidParameterException")):
            status, reply = call("StartLiveTail", **wrong)
            self.assertEqual((status, reply["__type"]), (400, code))


class Tail(LogsCase):
    """`aws logs tail`, the way most people look at logs."""

    def test_tail(self):
        self.put(self.stream(), "first line", "second line")
        for aws in aws_programs():
            with self.subTest(aws=aws):
                out = run(aws, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "logs", "tail", self.group, "--format", "short").stdout
                self.assertIn("first line", out)
                self.assertIn("second line", out)

    def test_follow(self):
        stream = self.stream()
        for aws in aws_programs():
            with self.subTest(aws=aws):
                tail = subprocess.Popen([aws, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "logs", "tail", self.group, "--follow"],
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
                timer = threading.Timer(60, tail.kill)
                timer.start()
                word = uuid.uuid4().hex
                self.put(stream, "before " + word)
                lines = []
                for line in tail.stdout:
                    lines.append(line)
                    if "before " + word in line:
                        self.put(stream, "after " + word)
                    if "after " + word in line:
                        break
                tail.send_signal(signal.SIGKILL)
                tail.wait()
                tail.stdout.close()
                timer.cancel()
                self.assertIn("after " + word, "".join(lines))


class Durability(unittest.TestCase):
    def test_acknowledged_events_survive_a_kill(self):
        with Cloud() as cloud:
            logs = client("logs", endpoint=cloud.endpoint)
            logs.create_log_group(logGroupName="g")
            logs.create_log_group(logGroupName="dropped")
            logs.create_log_stream(logGroupName="g", logStreamName="s")
            logs.create_log_stream(logGroupName="dropped", logStreamName="s")
            acknowledged = []
            for i in range(20):
                logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": now(), "message": str(i)}])
                acknowledged.append(str(i))
            logs.delete_log_group(logGroupName="dropped")
            cloud.kill("api")
            for _ in range(200):
                try:
                    cloud.health()
                    break
                except OSError:
                    time.sleep(0.02)
            logs = client("logs", endpoint=cloud.endpoint, retries={"max_attempts": 5})
            events = logs.filter_log_events(logGroupName="g")["events"]
            self.assertEqual([e["message"] for e in events], acknowledged)
            self.assertEqual([g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]], ["g"])


if __name__ == "__main__":
    unittest.main()
