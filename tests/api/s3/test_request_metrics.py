"""Request metrics: a bucket's filters, and what they measure in AWS/S3."""
import datetime
import time
import unittest
import uuid

from aws import client
from s3case import S3Case, raw


class RequestMetrics(S3Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloudwatch = client("cloudwatch")

    def put_filter(self, bucket, name, **filter_):
        configuration = {"Id": name}
        if filter_:
            configuration["Filter"] = filter_
        self.s3.put_bucket_metrics_configuration(Bucket=bucket, Id=name, MetricsConfiguration=configuration)

    def total(self, bucket, filter_, metric, statistic="Sum", unit=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        more = {"Unit": unit} if unit else {}
        points = self.cloudwatch.get_metric_statistics(
            Namespace="AWS/S3", MetricName=metric, Dimensions=[{"Name": "BucketName", "Value": bucket}, {"Name": "FilterId", "Value": filter_}],
            StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(minutes=5), Period=60, Statistics=[statistic], **more)["Datapoints"]
        return sum(p[statistic] for p in points)

    def until(self, wanted, *what, **more):
        """The last byte of a reply may be here before what it took is counted."""
        end = time.monotonic() + 60
        while self.total(*what, **more) != wanted and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.total(*what, **more), wanted, what)

    def test_configurations(self):
        bucket = self.bucket()
        self.assertAwsError("NoSuchConfiguration", self.s3.get_bucket_metrics_configuration, Bucket=bucket, Id="all", status=404)
        self.assertAwsError("NoSuchConfiguration", self.s3.delete_bucket_metrics_configuration, Bucket=bucket, Id="all", status=404)
        both = {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "1"}]}}
        self.put_filter(bucket, "b.Logs_1-x", **both)
        self.put_filter(bucket, "all")
        self.assertEqual(self.s3.get_bucket_metrics_configuration(Bucket=bucket, Id="b.Logs_1-x")["MetricsConfiguration"], {"Id": "b.Logs_1-x", "Filter": both})
        self.assertEqual([m["Id"] for m in self.s3.list_bucket_metrics_configurations(Bucket=bucket)["MetricsConfigurationList"]], ["all", "b.Logs_1-x"])
        self.put_filter(bucket, "all", Prefix="x")  # in place of the one of before
        self.assertEqual(self.s3.get_bucket_metrics_configuration(Bucket=bucket, Id="all")["MetricsConfiguration"]["Filter"], {"Prefix": "x"})
        self.s3.delete_bucket_metrics_configuration(Bucket=bucket, Id="all")
        self.assertAwsError("NoSuchConfiguration", self.s3.get_bucket_metrics_configuration, Bucket=bucket, Id="all", status=404)
        for name, code, filter_ in (("a b", "InvalidArgument", {}), ("x" * 65, "InvalidArgument", {}), ("a", "MalformedXML", {"And": {"Prefix": "x"}}),
                                    ("a", "NotImplemented", {"AccessPointArn": "arn:aws:s3:us-east-1:000000000000:accesspoint/x"})):
            with self.subTest(name=name, filter=filter_):
                self.assertAwsError(code, self.put_filter, bucket, name, **filter_)
        self.assertAwsError("InvalidArgument", self.s3.put_bucket_metrics_configuration, Bucket=bucket, Id="a", MetricsConfiguration={"Id": "b"})
        self.assertEqual([m["Id"] for m in self.s3.list_bucket_metrics_configurations(Bucket=bucket)["MetricsConfigurationList"]], ["b.Logs_1-x"])

    def test_pages(self):
        bucket = self.bucket()
        names = ["f%03d" % k for k in range(101)]
        for name in names:
            self.put_filter(bucket, name)
        page = self.s3.list_bucket_metrics_configurations(Bucket=bucket)
        self.assertTrue(page["IsTruncated"])
        rest = self.s3.list_bucket_metrics_configurations(Bucket=bucket, ContinuationToken=page["NextContinuationToken"])
        self.assertFalse(rest["IsTruncated"])
        self.assertEqual([m["Id"] for m in page["MetricsConfigurationList"] + rest["MetricsConfigurationList"]], names)

    def test_requests(self):
        bucket, other = self.bucket(), self.bucket()
        self.s3.put_object(Bucket=bucket, Key="before", Body=b"x")
        for name, filter_ in (("all", {}), ("logs", {"Prefix": "logs/"}), ("tagged", {"Tag": {"Key": "a", "Value": "1"}})):
            self.put_filter(bucket, name, **filter_)
        self.until(2, bucket, "all", "AllRequests")  # it counts from the request after it on: the other two
        self.s3.put_object(Bucket=bucket, Key="logs/1", Body=b"x" * 1000, Tagging="a=1")
        self.s3.put_object(Bucket=bucket, Key="big", Body=b"y" * 3000000)
        self.assertEqual(len(self.s3.get_object(Bucket=bucket, Key="big")["Body"].read()), 3000000)
        self.assertEqual(len(self.s3.get_object(Bucket=bucket, Key="logs/1", Range="bytes=0-99")["Body"].read()), 100)
        self.s3.head_object(Bucket=bucket, Key="logs/1")
        self.s3.list_objects_v2(Bucket=bucket)
        self.s3.copy_object(Bucket=other, Key="copy", CopySource={"Bucket": bucket, "Key": "logs/1"})
        self.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "big"}]})
        self.s3.delete_object(Bucket=bucket, Key="before")
        self.s3.create_multipart_upload(Bucket=bucket, Key="logs/2")
        self.assertAwsError("NoSuchKey", self.s3.get_object, Bucket=bucket, Key="logs/none")
        self.assertEqual(raw("GET", f"/{bucket}/logs/1", secret="wrong").status, 403)
        for metric, wanted in (("AllRequests", 11), ("GetRequests", 5), ("PutRequests", 2), ("DeleteRequests", 2), ("HeadRequests", 1), ("PostRequests", 1), ("ListRequests", 1),
                               ("4xxErrors", 2), ("5xxErrors", 0)):
            with self.subTest(metric):
                self.until(wanted + (2 if metric == "AllRequests" else 0), bucket, "all", metric, unit="Count")
        for metric, wanted in (("AllRequests", 6), ("GetRequests", 4), ("PutRequests", 1), ("HeadRequests", 1), ("PostRequests", 1), ("4xxErrors", 2), ("DeleteRequests", 0),
                               ("ListRequests", 0)):
            with self.subTest("logs/ " + metric):
                self.until(wanted, bucket, "logs", metric)
        self.until(4, bucket, "tagged", "AllRequests")
        self.until(1000, bucket, "tagged", "BytesUploaded", unit="Bytes")
        self.assertGreaterEqual(self.total(bucket, "all", "BytesDownloaded", unit="Bytes"), 3000100)
        self.assertGreaterEqual(self.total(bucket, "all", "BytesUploaded", statistic="Maximum", unit="Bytes"), 3000000)
        count = self.total(bucket, "all", "AllRequests")
        for metric in ("FirstByteLatency", "TotalRequestLatency"):
            self.until(count, bucket, "all", metric, statistic="SampleCount", unit="Milliseconds")
        self.assertGreater(self.total(bucket, "all", "FirstByteLatency"), 0)
        self.assertGreaterEqual(self.total(bucket, "all", "TotalRequestLatency"), self.total(bucket, "all", "FirstByteLatency"))

    def test_no_filter_no_metrics(self):
        bucket = self.bucket()
        self.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        name = "f" + uuid.uuid4().hex[:8]
        self.put_filter(bucket, name)
        self.s3.get_object(Bucket=bucket, Key="k")["Body"].read()
        self.until(1, bucket, name, "GetRequests")
        self.s3.delete_bucket_metrics_configuration(Bucket=bucket, Id=name)
        self.s3.get_object(Bucket=bucket, Key="k")["Body"].read()

        def filters():
            mine = self.cloudwatch.list_metrics(Namespace="AWS/S3", Dimensions=[{"Name": "BucketName", "Value": bucket}])["Metrics"]
            return {d["Value"] for m in mine for d in m["Dimensions"] if d["Name"] == "FilterId"}

        end = time.monotonic() + 60
        while not filters() and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(filters(), {name})
        self.assertEqual(self.total(bucket, name, "GetRequests"), 1)
        self.assertEqual(self.total(bucket, name, "PutRequests"), 0)


if __name__ == "__main__":
    unittest.main()
