"""Metrics out of log events: metric filters, the embedded metric format, and what CloudWatch Logs says of itself."""
import datetime
import json
import time
import unittest
import uuid

from aws import TestCase, client


def now():
    return int(time.time() * 1000)


class MetricsCase(TestCase):
    def setUp(self):
        self.logs = client("logs")
        self.metrics = client("cloudwatch")
        name = uuid.uuid4().hex
        self.group, self.space = "/metrics/" + name, "Space-" + name
        self.logs.create_log_group(logGroupName=self.group)
        self.addCleanup(self.drop)
        self.logs.create_log_stream(logGroupName=self.group, logStreamName="s")

    def drop(self):
        try:
            self.logs.delete_log_group(logGroupName=self.group)
        except self.logs.exceptions.ResourceNotFoundException:
            pass

    def put(self, *messages):
        at = now()
        self.logs.put_log_events(logGroupName=self.group, logStreamName="s",
                                 logEvents=[{"timestamp": at, "message": m if isinstance(m, str) else json.dumps(m)} for m in messages])

    def filter(self, pattern, value="1", name="f", metric="m", **transformation):
        self.logs.put_metric_filter(logGroupName=self.group, filterName=name, filterPattern=pattern, metricTransformations=[
            dict(metricName=metric, metricNamespace=self.space, metricValue=value, **transformation)])

    def points(self, metric="m", space=None, **dimensions):
        moment = datetime.datetime.now(datetime.timezone.utc)
        return self.metrics.get_metric_statistics(
            Namespace=space or self.space, MetricName=metric, Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()],
            StartTime=moment - datetime.timedelta(minutes=10), EndTime=moment + datetime.timedelta(minutes=1), Period=60,
            Statistics=["Sum", "SampleCount", "Maximum", "Minimum"])["Datapoints"]

    def listed(self, count):
        """A metric is listed once it is written, within a second."""
        until = time.time() + 20
        while len(self.metrics.list_metrics(Namespace=self.space)["Metrics"]) < count and time.time() < until:
            time.sleep(0.2)
        return len(self.metrics.list_metrics(Namespace=self.space)["Metrics"])

    def total(self, *args, **kw):
        """Sum, samples and unit over the last minutes."""
        points = self.points(*args, **kw)
        return sum(p["Sum"] for p in points), sum(p["SampleCount"] for p in points), {p["Unit"] for p in points}


class Filters(MetricsCase):
    def test_words_are_counted(self):
        self.put("ERROR before there was a filter")
        self.filter("ERROR -ignored", unit="Count")
        self.put("ERROR one", "fine", "ERROR two", "ERROR ignored")
        self.assertEqual(self.total(), (2.0, 2.0, {"Count"}))
        self.filter("ERROR", value="2.5", unit="Count")  # another one of the same name
        self.put("ERROR three")
        self.assertEqual(self.total(), (4.5, 3.0, {"Count"}))
        self.logs.delete_metric_filter(logGroupName=self.group, filterName="f")
        self.put("ERROR four")
        self.assertEqual(self.total(), (4.5, 3.0, {"Count"}))

    def test_json_values_and_dimensions(self):
        self.filter("{ $.latency = * }", value="$.latency", unit="Milliseconds", dimensions={"Code": "$.reply.code", "Way": "$.way"})
        self.put({"latency": 12.5, "reply": {"code": 200}, "way": "in"}, {"latency": "7.5", "reply": {"code": 200}, "way": "in"},
                 {"latency": 3, "reply": {"code": 500}, "way": "in"}, {"latency": 3, "way": "in"},
                 {"latency": "soon", "reply": {"code": 200}, "way": "in"}, "latency", {"other": 1})
        self.assertEqual(self.total(Code="200", Way="in"), (20.0, 2.0, {"Milliseconds"}))
        self.assertEqual(self.total(Code="500", Way="in"), (3.0, 1.0, {"Milliseconds"}))
        self.assertEqual(self.points(), [])
        self.assertEqual(self.listed(2), 2)

    def test_fields(self):
        self.filter("[ip, user, ..., status = 2*, size]", value="$size", dimensions={"From": "$ip"})
        line = '{ip} alice [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" {status} {size}'
        self.put(line.format(ip="10.0.0.1", status=200, size=1534), line.format(ip="10.0.0.1", status=404, size=9),
                 line.format(ip="10.0.0.1", status=204, size=6))
        self.assertEqual(self.total(From="10.0.0.1"), (1540.0, 2.0, {"None"}))

    def test_default_value(self):
        self.filter("ERROR", defaultValue=0.0)
        self.put("fine")
        until = time.time() + 90
        while not self.points() and time.time() < until:
            time.sleep(1)
        (point,) = self.points()
        self.assertEqual((point["Sum"], point["SampleCount"]), (0.0, 1.0))

    def test_describe(self):
        for name, metric in (("b", "one"), ("a", "two"), ("ab", "one")):
            self.filter("{ $.x = 1 }", name=name, metric=metric, defaultValue=3)
        describe = self.logs.describe_metric_filters
        mine = describe(logGroupName=self.group)["metricFilters"]
        self.assertEqual([f["filterName"] for f in mine], ["a", "ab", "b"])
        self.assertLess(abs(mine[0].pop("creationTime") - now()), 60000)
        self.assertEqual(mine[0], {"filterName": "a", "filterPattern": "{ $.x = 1 }", "logGroupName": self.group, "metricTransformations": [
            {"metricName": "two", "metricNamespace": self.space, "metricValue": "1", "defaultValue": 3.0}]})
        self.assertEqual([f["filterName"] for f in describe(logGroupName=self.group, filterNamePrefix="a")["metricFilters"]], ["a", "ab"])
        self.assertEqual([f["filterName"] for f in describe(metricName="one", metricNamespace=self.space)["metricFilters"]], ["ab", "b"])
        first = describe(logGroupName=self.group, limit=2)
        self.assertEqual([f["filterName"] for f in describe(logGroupName=self.group, nextToken=first["nextToken"])["metricFilters"]], ["b"])
        (group,) = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        self.assertEqual(group["metricFilterCount"], 3)
        self.logs.delete_log_group(logGroupName=self.group)
        self.assertEqual(describe(metricName="one", metricNamespace=self.space)["metricFilters"], [])

    def test_refusals(self):
        def refused(message, pattern="{ $.x = 1 }", code="InvalidParameterException", group=None, **transformation):
            self.assertAwsError(code, self.logs.put_metric_filter, logGroupName=group or self.group, filterName="f", filterPattern=pattern,
                                metricTransformations=[{"metricName": "m", "metricNamespace": self.space, "metricValue": "1", **transformation}],
                                status=400, message=message)
        refused("Invalid filter pattern", pattern="{ $.x = }")
        refused("The specified log group does not exist.", code="ResourceNotFoundException", group="/not/there")
        refused("Invalid metric transformation: dimensions and default value are mutually exclusive properties.", defaultValue=1,
                dimensions={"A": "$.a"})
        refused("Invalid metric transformation: metricValue must be a number or a field", metricValue="many")
        refused("Invalid metric transformation: the metric value '$.x' is no field of the filter pattern", pattern="ERROR", metricValue="$.x")
        refused("Invalid metric transformation: the metric value '$size' is no field of the filter pattern", pattern="[ip, user]", metricValue="$size")
        refused("Invalid metric transformation: metricNamespace must not begin with AWS/", metricNamespace="AWS/Lambda")
        refused("Invalid metric transformation: at most 3 dimensions can be specified", dimensions={c: "$." + c for c in "abcd"})
        self.assertEqual(self.logs.describe_metric_filters(logGroupName=self.group)["metricFilters"], [])
        self.assertAwsError("ResourceNotFoundException", self.logs.delete_metric_filter, logGroupName=self.group, filterName="f", status=400,
                            message="The specified metric filter does not exist.")
        for i in range(100):
            self.filter("x", name=f"f{i}")
        self.assertAwsError("LimitExceededException", self.filter, "x", name="more", status=400, message="Resource limit exceeded.")


class Embedded(MetricsCase):
    def event(self, **other):
        return {"_aws": {"Timestamp": now(), "CloudWatchMetrics": [{
            "Namespace": self.space, "Dimensions": [["Service"], ["Service", "Version"], []],
            "Metrics": [{"Name": "Time", "Unit": "Milliseconds"}, {"Name": "Calls"}]}]},
            "Service": "orders", "Version": "7", "Time": 100, "Calls": [1, 2, 4], "requestId": "abc", **other}

    def test_metrics(self):
        self.put(self.event(), self.event(Time=50), "no JSON", {"plain": 1})
        for dimensions in {"Service": "orders"}, {"Service": "orders", "Version": "7"}, {}:
            self.assertEqual(self.total("Time", **dimensions), (150.0, 2.0, {"Milliseconds"}))
            self.assertEqual(self.total("Calls", **dimensions), (14.0, 6.0, {"None"}))
        self.assertEqual(self.listed(6), 6)
        self.assertEqual(self.points("EMFValidationErrors", "AWS/Logs", LogGroupName=self.group), [])

    def test_what_is_wrong_is_counted(self):
        wrong = self.event()
        wrong["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = [["Absent"]]
        late = self.event()
        late["_aws"]["Timestamp"] = now() - 15 * 24 * 3600 * 1000
        self.put(wrong, late, self.event(Time="long", Calls=3), '{"_aws": {"CloudWatchMetrics": [}')
        self.assertEqual(self.total("EMFValidationErrors", "AWS/Logs", LogGroupName=self.group)[0], 3.0)
        self.assertEqual(self.total("EMFParsingErrors", "AWS/Logs", LogGroupName=self.group)[0], 1.0)
        self.assertEqual(self.points("Time", Service="orders"), [])
        self.assertEqual(self.total("Calls", Service="orders")[0], 3.0)  # what is right of it counts


class Own(MetricsCase):
    def test_what_came_in(self):
        self.put("a" * 74, "b" * 24)
        self.assertEqual(self.total("IncomingLogEvents", "AWS/Logs", LogGroupName=self.group)[0], 2.0)
        self.assertEqual(self.total("IncomingBytes", "AWS/Logs", LogGroupName=self.group), (150.0, 1.0, {"Bytes"}))


if __name__ == "__main__":
    unittest.main()
