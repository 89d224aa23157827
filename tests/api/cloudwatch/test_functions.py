"""What functions publish of themselves, and functions that alarms invoke."""
import datetime
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
    if event.get("fail"):
        raise ValueError("no")
    print("ALARMED", event.get("alarmData", {}).get("alarmName"), event.get("source"))
"""


class Functions(LambdaCase):
    def eventually(self, condition, what, seconds=120):
        end = time.monotonic() + seconds
        while True:
            got = condition()
            if got:
                return got
            if time.monotonic() > end:
                self.fail("not within %d s: %s" % (seconds, what))
            time.sleep(0.3)

    def statistics(self, name, function, *statistics, **more):
        """function None: of all."""
        now = datetime.datetime.now(datetime.timezone.utc)
        by = {"FunctionName": function, **more} if function else {}
        out = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=name, Dimensions=[{"Name": k, "Value": v} for k, v in by.items()], StartTime=now - datetime.timedelta(hours=1),
            EndTime=now + datetime.timedelta(hours=1), Period=86400, Statistics=list(statistics))["Datapoints"]
        return tuple(sum(p[s] for p in out) for s in statistics)

    def test_numbers(self):
        function = self.make(CODE)
        for body in ("{}", "{}", '{"fail": 1}'):
            self.aws.invoke(FunctionName=function, Payload=body)
        # The harness may have invoked it to see that it runs.
        self.eventually(lambda: self.statistics("Errors", function, "Sum") == (1,), "the failure is counted")
        invocations, = self.statistics("Invocations", function, "Sum")
        self.assertGreaterEqual(invocations, 3)
        self.assertEqual(self.statistics("Duration", function, "SampleCount"), (invocations,))
        self.assertEqual(self.statistics("Throttles", function, "Sum"), (0,))
        self.assertGreaterEqual(self.statistics("ConcurrentExecutions", function, "Maximum")[0], 1)
        self.assertGreaterEqual(self.statistics("ConcurrentExecutions", function, "Maximum", Resource=function)[0], 1)
        for name in ("ConcurrentExecutions", "UnreservedConcurrentExecutions", "ClaimedAccountConcurrency"):
            self.assertGreaterEqual(self.statistics(name, None, "Maximum")[0], 1, name)

    def test_by_version(self):
        """What an alias led to, by the alias and by the version that it chose."""
        function = self.make(CODE)
        self.aws.publish_version(FunctionName=function)
        self.aws.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
        self.eventually(lambda: self.aws.get_function(FunctionName=function, Qualifier="1")["Configuration"]["State"] == "Active", "the version is there")
        for _ in range(2):
            self.aws.invoke(FunctionName=function, Qualifier="live", Payload="{}")
        self.aws.invoke(FunctionName=function, Qualifier="1", Payload="{}")
        live, one = function + ":live", function + ":1"
        self.eventually(lambda: self.statistics("Invocations", function, "Sum", Resource=one) == (1,), "the version is counted")
        for more in ({"Resource": live}, {"Resource": live, "ExecutedVersion": "1"}):
            self.assertEqual(self.statistics("Invocations", function, "Sum", **more), (2,))
            self.assertEqual(self.statistics("Duration", function, "SampleCount", **more), (2,))
        for resource in (live, one):
            self.assertEqual(self.statistics("ConcurrentExecutions", function, "Maximum", Resource=resource), (1,))
        self.assertEqual(self.statistics("Invocations", function, "SampleCount", Resource=one, ExecutedVersion="1"), (0,))

    def test_events(self):
        """An event that fails for good, and whose end nobody is there to be told of."""
        function, other = self.make(CODE), self.make(CODE)
        arn = self.aws.get_function(FunctionName=other)["Configuration"]["FunctionArn"]
        before = self.statistics("AsyncEventsReceived", None, "Sum")[0]
        self.aws.invoke(FunctionName=function, Payload="{}", InvocationType="Event")
        self.eventually(lambda: self.statistics("AsyncEventAge", function, "SampleCount") == (1,), "its age is known")
        self.assertGreaterEqual(self.statistics("AsyncEventAge", function, "Minimum")[0], 0)
        self.assertEqual(self.statistics("AsyncEventsDropped", function, "Sum"), (0,))
        self.aws.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}})
        self.aws.delete_function(FunctionName=other)
        self.aws.invoke(FunctionName=function, Payload='{"fail": 1}', InvocationType="Event")
        self.eventually(lambda: self.statistics("AsyncEventsDropped", function, "Sum") == (1,), "it is dropped")
        self.assertEqual(self.statistics("AsyncEventsDropped", function, "Sum", Resource=function), (1,))
        self.assertEqual(self.statistics("AsyncEventsReceived", function, "Sum"), (2,))
        self.assertGreaterEqual(self.statistics("AsyncEventsReceived", None, "Sum")[0], before + 2)
        self.eventually(lambda: self.statistics("DestinationDeliveryFailures", function, "Sum") == (1,), "its destination is gone")

    def test_alarm_invokes(self):
        cloudwatch, logs = client("cloudwatch"), client("logs")
        function, alarm = self.make(CODE), "alarm-" + uuid.uuid4().hex
        arn = self.aws.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
        cloudwatch.put_metric_alarm(AlarmName=alarm, Namespace="mine", MetricName=alarm, Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1, TreatMissingData="ignore",
                                    ComparisonOperator="GreaterThanThreshold", AlarmActions=[arn], OKActions=[arn])
        self.addCleanup(cloudwatch.delete_alarms, AlarmNames=[alarm])

        def action():
            return cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="Action")["AlarmHistoryItems"]

        # Without the function's leave it does not run, and history says so.
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a try")
        self.assertIn("Failed to execute action", self.eventually(action, "the refusal is in history")[0]["HistorySummary"])
        self.aws.add_permission(FunctionName=function, StatementId="alarms", Action="lambda:InvokeFunction", Principal="lambda.alarms.cloudwatch.amazonaws.com")
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="another")
        self.eventually(lambda: len(action()) == 2, "the second action is in history")
        self.assertIn("Successfully executed action " + arn, action()[0]["HistorySummary"])

        def line():
            try:
                return any("ALARMED %s aws.cloudwatch" % alarm in e["message"] for e in logs.filter_log_events(logGroupName="/aws/lambda/" + function)["events"])
            except logs.exceptions.ResourceNotFoundException:
                return False

        self.eventually(line, "the function has run")


if __name__ == "__main__":
    unittest.main()
