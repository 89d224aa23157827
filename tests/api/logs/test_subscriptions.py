"""Subscription filters: events that go to a function."""
import base64
import gzip
import json
import os
import sys
import time
import unittest
import uuid

from aws import client

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lambda"))
from lambdacase import LambdaCase  # noqa: E402

CODE = """
def lambda_handler(event, context):
    print("GOT", event.get("awslogs", {}).get("data"))
"""


class Subscriptions(LambdaCase):
    def setUp(self):
        self.logs = client("logs")
        self.group = "/subscribed/" + uuid.uuid4().hex
        self.logs.create_log_group(logGroupName=self.group)
        self.addCleanup(self.drop)
        self.logs.create_log_stream(logGroupName=self.group, logStreamName="s")

    def drop(self):
        try:
            self.logs.delete_log_group(logGroupName=self.group)
        except self.logs.exceptions.ResourceNotFoundException:
            pass

    def put(self, *messages):
        at = int(time.time() * 1000)
        self.logs.put_log_events(logGroupName=self.group, logStreamName="s", logEvents=[{"timestamp": at, "message": m} for m in messages])

    def subscribe(self, arn, name="f", pattern="ERROR"):
        self.logs.put_subscription_filter(logGroupName=self.group, filterName=name, filterPattern=pattern, destinationArn=arn)

    def got(self, function):
        """The messages that the function printed."""
        found = []
        try:
            events = self.logs.filter_log_events(logGroupName="/aws/lambda/" + function, filterPattern="GOT")["events"]
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        for e in events:
            data = e["message"].split()[1]
            if data != "None":
                found.append(json.loads(gzip.decompress(base64.b64decode(data))))
        return found

    def until(self, function, count):
        end = time.monotonic() + 60
        while sum(len(m["logEvents"]) for m in self.got(function)) < count and time.monotonic() < end:
            time.sleep(0.3)
        return self.got(function)

    def test_events_arrive(self):
        function = self.make(CODE)
        arn = self.aws.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
        self.assertAwsError("InvalidParameterException", self.subscribe, arn, message="Could not execute the lambda function.")
        self.assertEqual(self.logs.describe_subscription_filters(logGroupName=self.group)["subscriptionFilters"], [])
        self.aws.add_permission(FunctionName=function, StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com",
                                SourceArn=f"arn:aws:logs:us-east-1:000000000000:log-group:{self.group}:*")
        self.subscribe(arn)
        (filter,) = self.logs.describe_subscription_filters(logGroupName=self.group)["subscriptionFilters"]
        self.assertEqual((filter["filterName"], filter["destinationArn"], filter["distribution"]), ("f", arn, "ByLogStream"))
        self.put("ERROR one", "fine", "ERROR two")
        (message,) = self.until(function, 2)
        self.assertEqual([e["message"] for e in message["logEvents"]], ["ERROR one", "ERROR two"])
        self.assertEqual((message["messageType"], message["owner"], message["logGroup"], message["logStream"], message["subscriptionFilters"]),
                         ("DATA_MESSAGE", "000000000000", self.group, "s", ["f"]))
        self.assertEqual(len({e["id"] for e in message["logEvents"]}), 2)
        self.put(*["ERROR " + uuid.uuid4().hex * 1000 for _ in range(20)])  # more than a function takes at once
        messages = self.until(function, 22)
        self.assertGreater(len(messages), 3)
        self.assertEqual(sum(len(m["logEvents"]) for m in messages), 22)
        self.subscribe(arn, name="g", pattern="x")
        self.assertAwsError("LimitExceededException", self.subscribe, arn, name="h", message="Resource limit exceeded.")
        self.logs.delete_subscription_filter(logGroupName=self.group, filterName="f")
        self.assertAwsError("ResourceNotFoundException", self.logs.delete_subscription_filter, logGroupName=self.group, filterName="f")

    def test_refusals(self):
        arn = "arn:aws:lambda:us-east-1:000000000000:function:not-there"
        self.assertAwsError("InvalidParameterException", self.subscribe, arn, message="Could not execute the lambda function.")
        self.assertAwsError("InvalidParameterException", self.subscribe, arn, pattern="{ $.x", message="Invalid filter pattern")
        self.assertAwsError("InvalidParameterException", self.subscribe, "arn:aws:kinesis:us-east-1:000000000000:stream/s",
                            message="Destinations that are no Lambda functions are not supported.")


if __name__ == "__main__":
    unittest.main()
