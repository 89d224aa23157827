"""AWS/Usage: how often operations are called."""
import datetime
import time
import unittest

from aws import TestCase, client


class Usage(TestCase):
    def calls(self, service, operation, name="CallCount"):
        moment = datetime.datetime.now(datetime.timezone.utc)
        dimensions = {"Service": service, "Resource": operation, "Type": "API", "Class": "None"}
        points = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Usage", MetricName=name, Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()], Period=60,
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
        self.assertGreaterEqual(self.calls("Logs", "DescribeMetricFilters", "ErrorCount")[0], 1)
        self.assertLess(self.calls("Logs", "DescribeMetricFilters", "ErrorCount")[0], count)


class Bill(TestCase):
    def used(self):
        day = datetime.datetime.now(datetime.timezone.utc).date()
        out = client("ce").get_cost_and_usage(
            TimePeriod={"Start": str(day), "End": str(day + datetime.timedelta(days=1))}, Granularity="DAILY", Metrics=["UsageQuantity"],
            GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}])["ResultsByTime"][0]["Groups"]
        return {g["Keys"][0]: float(g["Metrics"]["UsageQuantity"]["Amount"]) for g in out}

    def until(self, usage, least):
        until = time.time() + 20
        while self.used().get(usage, 0) < least and time.time() < until:
            time.sleep(0.3)
        return self.used().get(usage, 0)

    def test_calls_and_dashboards(self):
        watch, before = client("cloudwatch"), self.used()
        moment = datetime.datetime.now(datetime.timezone.utc)
        metric = {"Metric": {"Namespace": "Bill", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
        watch.get_metric_data(StartTime=moment - datetime.timedelta(hours=1), EndTime=moment, MetricDataQueries=[
            {"Id": "a", "MetricStat": metric}, {"Id": "b", "MetricStat": metric}, {"Id": "c", "Expression": "a + b"}])
        watch.list_metrics(Namespace="Bill")
        watch.put_dashboard(DashboardName="bill", DashboardBody='{"widgets": []}')
        self.addCleanup(watch.delete_dashboards, DashboardNames=["bill"])
        self.assertGreaterEqual(self.until("CW:GMD-Metrics", before.get("CW:GMD-Metrics", 0) + 2), before.get("CW:GMD-Metrics", 0) + 2)
        self.assertGreaterEqual(self.until("CW:Requests", before.get("CW:Requests", 0) + 2), before.get("CW:Requests", 0) + 2)
        self.assertGreater(self.until("DashboardsUsageHour", before.get("DashboardsUsageHour", 0) + 1e-9), before.get("DashboardsUsageHour", 0))


if __name__ == "__main__":
    unittest.main()
