"""The three ways that clients speak with CloudWatch, byte by byte: form and XML, JSON 1.0, RPC v2 with CBOR; and bodies that come compressed."""
import datetime
import gzip
import json
import os
import struct
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws import ENDPOINT, TestCase, client

UTC = datetime.timezone.utc


def cbor(value):
    """Just what the requests below are made of."""
    def head(kind, n):
        for code, bits, form in ((24, 8, ">B"), (25, 16, ">H"), (26, 32, ">I")):
            if n < (24 if bits == 8 and n < 24 else 1 << bits):
                return bytes([kind << 5 | n]) if n < 24 else bytes([kind << 5 | code]) + struct.pack(form, n)
        return bytes([kind << 5 | 27]) + struct.pack(">Q", n)
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, datetime.datetime):
        return b"\xc1" + cbor(value.timestamp())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(cbor(v) for v in value)
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def uncbor(data, at=0):
    kind, n = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 7:
        if n in (25, 26, 27):
            size = {25: 2, 26: 4, 27: 8}[n]
            return struct.unpack({25: ">e", 26: ">f", 27: ">d"}[n], data[at:at + size])[0], at + size
        return {20: False, 21: True, 22: None}[n], at
    endless = n == 31
    if 24 <= n <= 27:
        size = 1 << (n - 24)
        n, at = int.from_bytes(data[at:at + size], "big"), at + size
    if kind == 6:
        return uncbor(data, at)
    if kind == 0 or kind == 1:
        return (n if kind == 0 else -1 - n), at
    if kind in (2, 3):
        return (data[at:at + n] if kind == 2 else data[at:at + n].decode()), at + n
    made, keys = [], []
    while (data[at] != 0xff) if endless else (len(made) < n):
        if kind == 5:
            key, at = uncbor(data, at)
            keys.append(key)
        value, at = uncbor(data, at)
        made.append(value)
    at += endless
    return (dict(zip(keys, made)) if kind == 5 else made), at


class Protocols(TestCase):
    def setUp(self):
        self.space = "test/" + uuid.uuid4().hex
        self.at = datetime.datetime.now(UTC).replace(second=0, microsecond=0) - datetime.timedelta(minutes=5)

    def ask(self, path, headers, body):
        request = AWSRequest("POST", ENDPOINT + path, data=body, headers=headers)
        SigV4Auth(Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]), "monitoring", "us-east-1").add_auth(request)
        try:
            with urllib.request.urlopen(urllib.request.Request(ENDPOINT + path, body, dict(request.headers), method="POST"), timeout=60) as r:
                return r.status, dict(r.headers), r.read()
        except urllib.error.HTTPError as e:
            return e.code, dict(e.headers), e.read()

    def query(self, **form):
        return self.ask("/", {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(dict(form, Version="2010-08-01")).encode())

    def json(self, operation, body, **headers):
        given = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801." + operation, "x-amzn-query-mode": "true"}
        return self.ask("/", dict(given, **headers), body if isinstance(body, bytes) else json.dumps(body).encode())

    def cbor(self, operation, body):
        return self.ask("/service/GraniteServiceVersion20100801/operation/" + operation, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "Accept": "application/cbor"},
                        cbor(body))

    def sum(self):
        out = client("cloudwatch").get_metric_statistics(Namespace=self.space, MetricName="m", StartTime=self.at, EndTime=self.at + datetime.timedelta(minutes=1), Period=60, Statistics=["Sum"])
        return [p["Sum"] for p in out["Datapoints"]]

    def test_query(self):
        stamp = self.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        status, _, body = self.query(**{"Action": "PutMetricData", "Namespace": self.space, "MetricData.member.1.MetricName": "m", "MetricData.member.1.Value": "1.5", "MetricData.member.1.Timestamp": stamp,
                                        "MetricData.member.2.MetricName": "m", "MetricData.member.2.Values.member.1": "2", "MetricData.member.2.Counts.member.1": "3", "MetricData.member.2.Timestamp": stamp})
        self.assertEqual(status, 200, body)
        self.assertEqual(self.sum(), [7.5])
        status, _, body = self.query(**{"Action": "GetMetricData", "StartTime": stamp, "EndTime": (self.at + datetime.timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                                        "MetricDataQueries.member.1.Id": "a", "MetricDataQueries.member.1.MetricStat.Stat": "Maximum", "MetricDataQueries.member.1.MetricStat.Period": "60",
                                        "MetricDataQueries.member.1.MetricStat.Metric.Namespace": self.space, "MetricDataQueries.member.1.MetricStat.Metric.MetricName": "m"})
        self.assertEqual(status, 200, body)
        self.assertIn(b"<Values><member>2", body.replace(b"\n", b"").replace(b" ", b""))
        status, _, body = self.query(Action="PutMetricData", Namespace="AWS/x", **{"MetricData.member.1.MetricName": "m", "MetricData.member.1.Value": "1"})
        self.assertEqual(status, 400)
        self.assertIn(b"<Code>InvalidParameterValue</Code>", body)

    def test_json(self):
        status, _, body = self.json("PutMetricData", {"Namespace": self.space, "MetricData": [{"MetricName": "m", "Value": 4, "Timestamp": self.at.timestamp()}]})
        self.assertEqual(status, 200, body)
        self.assertEqual(self.sum(), [4])
        status, headers, body = self.json("PutMetricData", {"Namespace": "AWS/x", "MetricData": [{"MetricName": "m", "Value": 4}]})
        self.assertEqual((status, headers.get("x-amzn-query-error")), (400, "InvalidParameterValue;Sender"))
        self.assertTrue(json.loads(body)["__type"].endswith("InvalidParameterValueException"))

    def test_cbor(self):
        status, headers, body = self.cbor("PutMetricData", {"Namespace": self.space, "MetricData": [{"MetricName": "m", "Value": 0.25, "Timestamp": self.at, "StorageResolution": 60}]})
        self.assertEqual((status, headers.get("smithy-protocol")), (200, "rpc-v2-cbor"), body)
        self.assertEqual(self.sum(), [0.25])
        status, _, body = self.cbor("GetMetricData", {"StartTime": self.at, "EndTime": self.at + datetime.timedelta(minutes=2), "MetricDataQueries": [
            {"Id": "a", "MetricStat": {"Metric": {"Namespace": self.space, "MetricName": "m"}, "Period": 60, "Stat": "p50"}}, {"Id": "b", "Expression": "a * 4"}]})
        self.assertEqual(status, 200, body)
        got = uncbor(body)[0]
        self.assertEqual([r["Values"] for r in got["MetricDataResults"]], [[0.25], [1]])
        self.assertEqual(got["MetricDataResults"][0]["Timestamps"], [self.at.timestamp()])
        status, headers, body = self.cbor("GetMetricData", {"StartTime": self.at, "EndTime": self.at, "MetricDataQueries": []})
        self.assertEqual(status, 400)
        self.assertIn("ValidationError", uncbor(body)[0]["__type"])

    def test_compressed(self):
        body = json.dumps({"Namespace": self.space, "MetricData": [{"MetricName": "m", "Value": 1, "Timestamp": self.at.timestamp()}] * 300}).encode()
        status, _, got = self.json("PutMetricData", gzip.compress(body), **{"Content-Encoding": "gzip"})
        self.assertEqual(status, 200, got)
        self.assertEqual(self.sum(), [300])
        for bad in (b"no gzip", gzip.compress(body)[:-20], gzip.compress(body) + b"more", b""):
            with self.subTest(bad=bad[:10]):
                self.assertEqual(self.json("PutMetricData", bad, **{"Content-Encoding": "gzip"})[0], 400)
        # What grows beyond what the operation takes is not taken apart to the end.
        self.assertEqual(self.json("PutMetricData", gzip.compress(b" " * (64 << 20)), **{"Content-Encoding": "gzip"})[0], 413)
        self.assertEqual(self.sum(), [300])


if __name__ == "__main__":
    unittest.main()
