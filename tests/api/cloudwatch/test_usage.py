"""AWS/Usage: how often operations are called."""
import datetime
import time
import unittest

from aws import TestCase, client


class Usage(TestCase):
    def calls(self, service, operation):
        moment = datetime.datetime.now(datetime.timezone.utc)
        dimensions = {"Service": service, "Resource": operation, "Type": "API", "Class": "None"}
        points = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Usage", MetricName="CallCount", Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()], Period=60,
            StartTime=moment - datetime.timedelta(minutes=10), EndTime=moment + datetime.timedelta(minutes=1), Statistics=["Sum", "SampleCount"])
        return sum(p["Sum"] for p in points["Datapoints"]), sum(p["SampleCount"] for p in points["Datapoints"])

    def test_calls_are_counted(self):
        logs = client("logs")
        before = self.calls("Logs", "DescribeMetricFilters")[0]
        for _ in range(5):
            logs.describe_metric_filters()
        self.assertAwsError("InvalidParameterException", logs.describe_metric_filters, metricName="m")  # one that fails is one too
        until = time.time() + 20
        while self.calls("Logs", "DescribeMetricFilters")[0] < before + 6 and time.time() < until:
            time.sleep(0.2)
        count, samples = self.calls("Logs", "DescribeMetricFilters")
        self.assertGreaterEqual(count, before + 6)
        self.assertEqual(count, samples)


if __name__ == "__main__":
    unittest.main()
