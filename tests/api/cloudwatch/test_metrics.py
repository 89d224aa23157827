"""Metrics are listed and asked for; what cannot be asked is refused. tests/sim/ec2_metrics.c has what is in them."""
import datetime
import unittest

from aws import ENDPOINT, TestCase, aws_programs, client, run

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class Metrics(TestCase):
    def setUp(self):
        self.cloudwatch = client("cloudwatch")

    def ask(self, **more):
        given = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "StartTime": NOW, "EndTime": NOW + datetime.timedelta(hours=1),
                 "Period": 300, "Statistics": ["Average"]}
        given.update(more)
        return {k: v for k, v in given.items() if v is not None}

    def test_nothing_there(self):
        out = self.cloudwatch.get_metric_statistics(**self.ask(Dimensions=[{"Name": "InstanceId", "Value": "i-00000000000000000"}]))
        self.assertEqual((out["Label"], out["Datapoints"]), ("CPUUtilization", []))
        self.assertEqual(self.cloudwatch.list_metrics(Namespace="mine", RecentlyActive="PT3H")["Metrics"], [])

    def test_refusals(self):
        for code, more in (("InvalidParameterValue", {"Period": 61}), ("InvalidParameterValue", {"EndTime": NOW}),
                           ("MissingParameter", {"Statistics": None}), ("InvalidParameterValue", {"Statistics": None, "ExtendedStatistics": ["p101"]}),
                           ("InvalidParameterCombination", {"Period": 60, "EndTime": NOW + datetime.timedelta(hours=25)})):
            with self.subTest(code=code, **more):
                self.assertAwsError(code, self.cloudwatch.get_metric_statistics, **self.ask(**more))
        self.assertAwsError("InvalidParameterValue", self.cloudwatch.list_metrics, NextToken="made up")

    def test_command_lines(self):
        for program in aws_programs():
            out = run(program, "--endpoint-url", ENDPOINT, "cloudwatch", "list-metrics", "--namespace", "mine", "--output", "json").stdout
            self.assertIn("Metrics", out)


if __name__ == "__main__":
    unittest.main()
