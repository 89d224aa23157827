"""Metrics of one's own: what is put can be asked for at once, by every statistic and in expressions, and what cannot be put changes nothing."""
import datetime
import json
import unittest
import uuid

from aws import ENDPOINT, TestCase, aws_programs, client, run

UTC = datetime.timezone.utc


def minute(back):
    """The beginning of a minute some minutes ago."""
    now = datetime.datetime.now(UTC).replace(second=0, microsecond=0)
    return now - datetime.timedelta(minutes=back)


class Data(TestCase):
    def setUp(self):
        self.cloudwatch = client("cloudwatch")
        self.space = "test/" + uuid.uuid4().hex
        self.at = minute(30)

    def put(self, *data, name="m"):
        self.cloudwatch.put_metric_data(Namespace=self.space, MetricData=[dict({"MetricName": name}, **d) for d in data])

    def series(self, values, name="m", **more):
        self.put(*[dict(Timestamp=self.at + datetime.timedelta(minutes=i), Value=v, **more) for i, v in enumerate(values)], name=name)

    def statistics(self, minutes=30, **more):
        out = self.cloudwatch.get_metric_statistics(**dict({
            "Namespace": self.space, "MetricName": "m", "StartTime": self.at, "EndTime": self.at + datetime.timedelta(minutes=minutes), "Period": 60}, **more))
        return sorted(out["Datapoints"], key=lambda p: p["Timestamp"])

    def stat(self, id_, name="m", period=60, stat="Average", **more):
        return dict({"Id": id_, "MetricStat": {"Metric": {"Namespace": self.space, "MetricName": name}, "Period": period, "Stat": stat}}, **more)

    def ask(self, *queries, minutes=10, **more):
        return self.cloudwatch.get_metric_data(MetricDataQueries=list(queries), StartTime=self.at, EndTime=self.at + datetime.timedelta(minutes=minutes),
                                               ScanBy="TimestampAscending", **more)

    def values(self, expression, *queries, **more):
        hidden = [dict(q, ReturnData=False) for q in queries]
        return [r["Values"] for r in self.ask({"Id": "result", "Expression": expression}, *hidden, **more)["MetricDataResults"]]

    def test_forms_of_values(self):
        self.put({"Timestamp": self.at, "Value": 3.5, "Unit": "Bytes"}, {"Timestamp": self.at, "Values": [1, 2], "Counts": [3, 1], "Unit": "Bytes"},
                 {"Timestamp": self.at, "StatisticValues": {"SampleCount": 2, "Sum": 30, "Minimum": 10, "Maximum": 20}, "Unit": "Bytes"})
        point, = self.statistics(Statistics=["SampleCount", "Sum", "Minimum", "Maximum", "Average"])
        self.assertEqual((point["SampleCount"], point["Sum"], point["Minimum"], point["Maximum"], point["Unit"]), (7, 38.5, 1, 20, "Bytes"))
        self.assertAlmostEqual(point["Average"], 5.5)
        # Not all samples are known one by one.
        point, = self.statistics(ExtendedStatistics=["p50"])
        self.assertNotIn("p50", point.get("ExtendedStatistics", {}))

    def test_units_are_apart(self):
        self.put({"Timestamp": self.at, "Value": 1, "Unit": "Count"}, {"Timestamp": self.at, "Value": 2, "Unit": "Seconds"}, {"Timestamp": self.at, "Value": 3})
        self.assertEqual(sorted((p["Unit"], p["Sum"]) for p in self.statistics(Statistics=["Sum"])), [("Count", 1), ("None", 3), ("Seconds", 2)])
        self.assertEqual([p["Sum"] for p in self.statistics(Statistics=["Sum"], Unit="Seconds")], [2])
        self.assertEqual(len(self.cloudwatch.list_metrics(Namespace=self.space)["Metrics"]), 1)

    def test_percentiles(self):
        self.put({"Timestamp": self.at, "Values": list(range(1, 101))})
        names = ["p0", "p50", "p99", "p100", "tm90", "TM(10%:90%)", "tc50", "ts50", "wm90", "IQM", "PR(:25)"]
        got = self.statistics(ExtendedStatistics=names[:10])[0]["ExtendedStatistics"]
        got.update(self.statistics(ExtendedStatistics=names[10:])[0]["ExtendedStatistics"])
        exact = {"p0": 1, "p50": 50.5, "p99": 99.01, "p100": 100, "tm90": 45.5, "TM(10%:90%)": 50.5, "tc50": 50, "ts50": 1275, "wm90": 49.95, "IQM": 50.5, "PR(:25)": 25}
        for name, value in exact.items():
            with self.subTest(name):
                self.assertAlmostEqual(got[name], value, delta=value * 0.025 + 0.5)

    def test_high_resolution(self):
        at = datetime.datetime.now(UTC).replace(microsecond=0) - datetime.timedelta(minutes=2)
        self.put(*[{"Timestamp": at + datetime.timedelta(seconds=i), "Value": i, "StorageResolution": 1} for i in range(10)])
        out = self.cloudwatch.get_metric_statistics(Namespace=self.space, MetricName="m", StartTime=at, EndTime=at + datetime.timedelta(seconds=10), Period=1,
                                                    Statistics=["Sum"])["Datapoints"]
        self.assertEqual(sorted(p["Sum"] for p in out), list(range(10)))
        self.put({"Timestamp": at, "Value": 1}, name="coarse")
        out = self.cloudwatch.get_metric_statistics(Namespace=self.space, MetricName="coarse", StartTime=at, EndTime=at + datetime.timedelta(seconds=10), Period=1,
                                                    Statistics=["Sum"])["Datapoints"]
        self.assertEqual(out, [])

    def test_dimensions(self):
        a, b = {"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}
        self.put({"Timestamp": self.at, "Value": 1, "Dimensions": [a, b]}, {"Timestamp": self.at, "Value": 2, "Dimensions": [b, a]}, {"Timestamp": self.at, "Value": 4, "Dimensions": [a]})
        self.assertEqual([p["Sum"] for p in self.statistics(Statistics=["Sum"], Dimensions=[b, a])], [3])
        self.assertEqual(self.statistics(Statistics=["Sum"]), [])
        listed = self.cloudwatch.list_metrics(Namespace=self.space, Dimensions=[{"Name": "b"}])["Metrics"]
        self.assertEqual(len(listed), 1)
        self.assertEqual(len(listed[0]["Dimensions"]), 2)
        self.assertEqual(len(self.cloudwatch.list_metrics(Namespace=self.space, Dimensions=[{"Name": "a", "Value": "1"}])["Metrics"]), 2)

    def test_refusals_change_nothing(self):
        good = {"Value": 1}
        for code, bad in (
                ("MissingParameter", {}), ("InvalidParameterCombination", {"Value": 1, "Values": [1]}), ("InvalidParameterValue", {"Value": 1, "StorageResolution": 5}),
                ("InvalidParameterValue", {"Value": 1, "Timestamp": datetime.datetime.now(UTC) - datetime.timedelta(days=15)}),
                ("InvalidParameterValue", {"Value": 1, "Timestamp": datetime.datetime.now(UTC) + datetime.timedelta(hours=3)}),
                ("InvalidParameterValue", {"Values": list(range(151))}), ("InvalidParameterValue", {"Values": [1, 2], "Counts": [1]}),
                ("InvalidParameterValue", {"Value": 1e300}), ("InvalidParameterValue", {"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1}}),
                ("InvalidParameterValue", {"Value": 1, "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "a", "Value": "2"}]})):
            with self.subTest(bad=bad):
                self.assertAwsError(code, self.put, good, bad)
        self.assertAwsError("InvalidParameterValue", self.cloudwatch.put_metric_data, Namespace="AWS/EC2", MetricData=[{"MetricName": "m", "Value": 1}])
        self.assertAwsError("InvalidParameterValue", self.put, *[good] * 1001)
        self.assertEqual(self.cloudwatch.list_metrics(Namespace=self.space)["Metrics"], [])

    def test_math(self):
        self.series([1, 2, 3, 4])
        self.series([10, 20, 40], name="n")
        m, n = self.stat("m1"), self.stat("m2", "n")
        for expression, wanted in (
                ("m1 + 1", [[2, 3, 4, 5]]), ("m1 * m2", [[10, 40, 120]]), ("-m1 ^ 2", [[-1, -4, -9, -16]]), ("100 * m1 / (m1 + m2)", [[100 / 11, 200 / 22, 300 / 43]]),
                ("m1 > 2 AND m1 < 4", [[0, 0, 1, 0]]), ("SUM(METRICS())", [[11, 22, 43, 4]]), ("AVG([m1, m2])", [[5.5, 11, 21.5, 4]]),
                ("MAX(METRICS('m2')) - m1", [[9, 18, 37]]), ("m1 - AVG(m1)", [[-1.5, -0.5, 0.5, 1.5]]), ("m1 / STDDEV(m1)", [[x / 1.25 ** 0.5 for x in (1, 2, 3, 4)]]),
                ("DIFF(m2)", [[10, 20]]), ("RATE(m2) * PERIOD(m2)", [[10, 20]]), ("RUNNING_SUM(m1)", [[1, 3, 6, 10]]), ("FILL(m2, 0)", [[10, 20, 40] + [0] * 7]),
                ("FILL(m2, REPEAT)", [[10, 20] + [40] * 8]), ("IF(m1 > 2, m1, 0)", [[0, 0, 3, 4]]), ("IF(m1 > 2, m1)", [[3, 4]]), ("TIME_SERIES(7)", [[7] * 10]),
                ("SORT([m1, m2], SUM, DESC)", [[10, 20, 40], [1, 2, 3, 4]]), ("SLICE(SORT([m1, m2], MAX, DESC), 0, 1)", [[10, 20, 40]]), ("FIRST([m2, m1]) * 2", [[20, 40, 80]]),
                ("CEIL(m1 / 2)", [[1, 1, 2, 2]]), ("ABS(m1 - 3)", [[2, 1, 0, 1]]), ("m1 / (m1 - 2)", [[-1, 3, 2]]), ("[m1, m2] * 2", [[2, 4, 6, 8], [20, 40, 80]])):
            with self.subTest(expression):
                got = self.values(expression, m, n)
                self.assertEqual([len(x) for x in got], [len(x) for x in wanted])
                for x, y in zip(got, wanted):
                    for a, b in zip(x, y):
                        self.assertAlmostEqual(a, b)

    def test_math_refused(self):
        m = self.stat("m1")
        for expression in ("m1 +", "(m1", "nothing(m1)", "m9", "SUM(m1)", "INSIGHT_RULE_METRIC('x', 'y')", "ANOMALY_DETECTION_BAND(m1)", "result + 1", "FILL(m1)", "'text'",
                           "SELECT AVG(m) FROM SCHEMA(x)", "(" * 500 + "m1"):
            with self.subTest(expression):
                self.assertAwsError("ValidationError", self.values, expression, m)
        self.assertAwsError("ValidationError", self.ask, m, m)
        self.assertAwsError("ValidationError", self.ask, dict(m, Id="Upper"))
        self.assertAwsError("ValidationError", self.ask, self.stat("m1", stat="Median"))
        self.assertAwsError("ValidationError", self.ask, self.stat("m1", period=61))

    def test_search(self):
        for host in ("web-1", "web-2", "db-1"):
            self.put({"Timestamp": self.at, "Value": 1, "Dimensions": [{"Name": "Host", "Value": host}]}, name="Cpu")
        self.put({"Timestamp": self.at, "Value": 1, "Dimensions": [{"Name": "Host", "Value": "web-1"}, {"Name": "Zone", "Value": "a"}]}, name="Cpu")
        for query, wanted in (("{%s,Host} web", 2), ("{%s,Host} NOT web", 1), ("{%s,Zone,Host} Cpu", 1), ("{%s,Host} Host=\"db-1\" OR Host=\"web-2\"", 2), ("{%s,Host} (db OR web) MetricName=\"Cpu\"", 3),
                              ("Namespace=\"%s\" AND Host=web", 3)):
            with self.subTest(query):
                self.assertEqual(len(self.values("SEARCH('%s', 'Sum', 60)" % (query % self.space))), wanted)
        self.assertEqual(self.values("SUM(SEARCH('{%s,Host} Cpu', 'Sum', 60))" % self.space), [[3]])
        self.assertAwsError("ValidationError", self.values, "SEARCH('{%s', 'Sum', 60)" % self.space)

    def test_pages_and_order(self):
        self.series([1, 2, 3, 4, 5])
        got, token = [], None
        for _ in range(3):
            out = self.ask(self.stat("m1"), MaxDatapoints=2, **({"NextToken": token} if token else {}))
            got += out["MetricDataResults"][0]["Values"]
            token = out.get("NextToken")
            self.assertEqual(out["MetricDataResults"][0]["StatusCode"], "PartialData" if token else "Complete")
        self.assertEqual((got, token), ([1, 2, 3, 4, 5], None))
        out = self.cloudwatch.get_metric_data(MetricDataQueries=[self.stat("m1")], StartTime=self.at, EndTime=self.at + datetime.timedelta(minutes=9))
        self.assertEqual(out["MetricDataResults"][0]["Values"], [5, 4, 3, 2, 1])

    def test_list_in_pages(self):
        for k in range(0, 600, 300):
            self.put(*[{"Timestamp": self.at, "Value": 1, "Dimensions": [{"Name": "n", "Value": str(i)}]} for i in range(k, k + 300)])
        pages = list(self.cloudwatch.get_paginator("list_metrics").paginate(Namespace=self.space))
        self.assertEqual([len(p["Metrics"]) for p in pages], [500, 100])
        self.assertEqual(len({p["Dimensions"][0]["Value"] for page in pages for p in page["Metrics"]}), 600)

    def test_command_lines(self):
        for program in aws_programs():
            run(program, "--endpoint-url", ENDPOINT, "cloudwatch", "put-metric-data", "--namespace", self.space, "--metric-name", "cli", "--value", "2", "--unit", "Count", "--dimensions", "a=b")
            out = json.loads(run(program, "--endpoint-url", ENDPOINT, "cloudwatch", "list-metrics", "--namespace", self.space, "--output", "json").stdout)
            self.assertEqual(out["Metrics"][0]["MetricName"], "cli")


if __name__ == "__main__":
    unittest.main()
