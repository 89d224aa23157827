"""Rules that are due by the clock, in a cloud whose clock is moved; and what is measured."""
import time
import unittest

from happenings import EventCase
from moving import moving_cloud


class Schedules(EventCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, of = moving_cloud(cls)
        cls.of = staticmethod(of)

    def test_a_rate(self):
        url, arn = self.queue()
        rule, rule_arn = self.rule(ScheduleExpression="rate(1 hour)", targets=[{"Arn": arn}])
        self.cloud.forward("61m")
        first = self.heard(url)[0]
        self.assertEqual((first["source"], first["detail-type"], first["detail"], first["resources"]), ("aws.events", "Scheduled Event", {}, [rule_arn]))
        self.cloud.forward("60m")
        second = self.heard(url)[0]
        seconds = [time.mktime(time.strptime(e["time"], "%Y-%m-%dT%H:%M:%SZ")) for e in (first, second)]
        self.assertEqual(seconds[1] - seconds[0], 3600)
        self.events.disable_rule(Name=rule)
        self.cloud.forward("3h")
        self.events.enable_rule(Name=rule)
        self.cloud.forward("24h")  # over 24 firings: they come as one
        self.heard(url)
        self.cloud.forward("1m")
        self.assertNotIn("Messages", self.sqs.receive_message(QueueUrl=url))

    def test_cron_and_a_constant(self):
        url, arn = self.queue()
        self.rule(ScheduleExpression="cron(0 3 * * ? *)", targets=[{"Arn": arn, "Input": '"nightly"'}, {"Arn": arn, "InputPath": "$.time"}])
        self.cloud.forward("24h")
        said = sorted(m["Body"] for m in self.messages(url, 2))
        self.assertRegex(said[0], r'^"\d{4}-\d\d-\d\dT03:00:00Z"$')
        self.assertEqual(said[1], '"nightly"')

    def metrics(self, wanted, *dimensions):
        """Waits for these; all that there are."""
        cloudwatch, until = self.of("cloudwatch"), time.monotonic() + 60
        while True:
            said = {m["MetricName"] for m in cloudwatch.list_metrics(Namespace="AWS/Events", Dimensions=list(dimensions))["Metrics"]}
            if wanted <= said:
                return said
            self.assertLess(time.monotonic(), until, said)
            self.cloud.forward("60s")
            time.sleep(0.1)

    def test_metrics(self):
        """Of one target that takes what it gets, one that does not and has a queue for that, and one whose queue of dead letters is closed too."""
        (url, arn), (_, closed), (dead, dead_arn) = self.queue(), self.queue(allow=False), self.queue()
        kind, bus = self.name(), self.bus()
        rule, _ = self.rule({"detail-type": [kind]}, bus, [{"Arn": arn}, {"Arn": closed, "DeadLetterConfig": {"Arn": dead_arn}}, {"Arn": closed, "DeadLetterConfig": {"Arn": closed}}])
        self.put(bus, kind=kind)
        self.heard(url)
        self.heard(dead)
        said = self.metrics({"MatchedEvents", "TriggeredRules", "Invocations", "FailedInvocations", "InvocationAttempts", "SuccessfulInvocationAttempts", "InvocationsSentToDlq",
                             "InvocationsFailedToBeSentToDlq", "IngestionToInvocationStartLatency", "IngestionToInvocationSuccessLatency"},
                            {"Name": "RuleName", "Value": rule}, {"Name": "EventBusName", "Value": bus})
        self.assertNotIn("RetryInvocationAttempts", said)
        self.metrics({"PutEventsApproximateCallCount", "PutEventsApproximateSuccessCount", "PutEventsEntriesCount", "PutEventsFailedEntriesCount", "PutEventsRequestSize"})


if __name__ == "__main__":
    unittest.main()
