"""Notifications: queues, topics and functions hear of objects, those alone that the bucket's configuration names and that let it."""
import json
import os
import sys
import time
import unittest
import uuid

from aws import client
from topics import TopicCase, allow

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lambda"))
from lambdacase import LambdaCase  # noqa: E402


def eventually(condition, seconds=120):
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


class Notifications(TopicCase):
    def setUp(self):
        super().setUp()
        self.s3 = client("s3")
        self.bucket = "told-" + uuid.uuid4().hex
        self.s3.create_bucket(Bucket=self.bucket)
        self.addCleanup(self.empty)

    def empty(self):
        for v in (lambda said: said.get("Versions", []) + said.get("DeleteMarkers", []))(self.s3.list_object_versions(Bucket=self.bucket)):
            self.s3.delete_object(Bucket=self.bucket, Key=v["Key"], VersionId=v["VersionId"])
        self.s3.delete_bucket(Bucket=self.bucket)

    def listening(self):
        """(address, ARN) of a queue that lets the bucket send."""
        url = self.queue()
        arn = self.arn(url)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow("arn:aws:s3:::" + self.bucket, arn, "s3.amazonaws.com")})
        return url, arn

    def configure(self, **what):
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=what)

    def records(self, url, count):
        got, end = [], time.monotonic() + 120
        while len(got) < count and time.monotonic() < end:
            some = self.receive(url, WaitTimeSeconds=1)
            self.delete(url, *some)
            got += [r for m in some for r in json.loads(m["Body"]).get("Records", [])]
        self.assertEqual(len(got), count, got)
        return sorted(got, key=lambda r: r["s3"]["object"]["sequencer"])

    def test_queue(self):
        url, arn = self.listening()
        rule = {"Id": "mine", "QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]}}}
        self.configure(QueueConfigurations=[rule])
        got = self.s3.get_bucket_notification_configuration(Bucket=self.bucket)
        self.assertEqual(got["QueueConfigurations"], [rule])
        [m] = eventually(lambda: self.receive(url))
        test = json.loads(m["Body"])
        self.assertEqual((test["Service"], test["Event"], test["Bucket"]), ("Amazon S3", "s3:TestEvent", self.bucket))
        self.delete(url, m)
        for key in ("in/a b+ü.jpg", "in/a.png", "out/a.jpg"):
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"12345")
        self.s3.copy_object(Bucket=self.bucket, Key="in/c.jpg", CopySource={"Bucket": self.bucket, "Key": "in/a.png"})
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key="in/m.jpg")["UploadId"]
        part = self.s3.upload_part(Bucket=self.bucket, Key="in/m.jpg", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
        self.s3.complete_multipart_upload(Bucket=self.bucket, Key="in/m.jpg", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
        self.s3.put_object_tagging(Bucket=self.bucket, Key="in/c.jpg", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        self.s3.delete_object(Bucket=self.bucket, Key="in/c.jpg")
        self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "in/m.jpg"}, {"Key": "in/none.jpg"}]})
        got = self.records(url, 6)
        self.assertEqual(sorted((r["eventName"], r["s3"]["object"]["key"]) for r in got),
                         sorted([("ObjectCreated:Put", "in/a+b%2B%C3%BC.jpg"), ("ObjectCreated:Copy", "in/c.jpg"), ("ObjectCreated:CompleteMultipartUpload", "in/m.jpg"),
                                 ("ObjectTagging:Put", "in/c.jpg"), ("ObjectRemoved:Delete", "in/c.jpg"), ("ObjectRemoved:Delete", "in/m.jpg")]))
        put = got[0]
        self.assertEqual((put["eventVersion"], put["eventSource"], put["awsRegion"], put["s3"]["configurationId"]), ("2.1", "aws:s3", "us-east-1", "mine"))
        self.assertEqual((put["s3"]["bucket"]["name"], put["s3"]["bucket"]["arn"]), (self.bucket, "arn:aws:s3:::" + self.bucket))
        self.assertEqual((put["s3"]["object"]["size"], put["s3"]["object"]["eTag"]), (5, "827ccb0eea8a706c4c34a16891f84e7b"))
        self.assertRegex(put["eventTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.configure()
        self.s3.put_object(Bucket=self.bucket, Key="in/z.jpg", Body=b"")
        self.assertNotIn("QueueConfigurations", self.s3.get_bucket_notification_configuration(Bucket=self.bucket))
        time.sleep(0.3)
        self.assertEqual(self.bodies(url), [])

    def test_versions(self):
        url, arn = self.listening()
        self.configure(QueueConfigurations=[{"QueueArn": arn, "Events": ["s3:ObjectRemoved:DeleteMarkerCreated", "s3:ObjectCreated:Put"]}])
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        version = self.s3.put_object(Bucket=self.bucket, Key="k", Body=b"x")["VersionId"]
        marker = self.s3.delete_object(Bucket=self.bucket, Key="k")["VersionId"]
        self.assertEqual([(r["eventName"], r["s3"]["object"]["versionId"]) for r in self.records(url, 2)],
                         [("ObjectCreated:Put", version), ("ObjectRemoved:DeleteMarkerCreated", marker)])

    def test_topic(self):
        topic = self.topic()
        url, _ = self.listener(topic)
        rule = [{"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}]
        error = self.assertAwsError("InvalidArgument", self.configure, TopicConfigurations=rule, message="Unable to validate the following destination configurations")
        self.assertEqual(error["Error"]["ArgumentName1"], topic)
        self.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic,
             "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::" + self.bucket}, "StringEquals": {"aws:SourceAccount": "000000000000"}}}]}))
        self.configure(TopicConfigurations=rule)
        self.s3.put_object(Bucket=self.bucket, Key="k", Body=b"x")
        got = []
        eventually(lambda: got.extend(json.loads(m) for m in self.told(url)) or len(got) == 2)
        self.assertEqual(sorted(m.get("Event") or m["Records"][0]["eventName"] for m in got), ["ObjectCreated:Put", "s3:TestEvent"])

    def test_refused(self):
        url, arn = self.listening()
        fifo = self.arn(self.queue(fifo=True))
        other = self.arn(self.queue())
        both = {"Events": ["s3:ObjectCreated:*"], "QueueArn": arn}
        ends = [{**both, "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": v}]}}} for v in ("jpg", ".jpg")]
        for wrong, said in (([{**both, "QueueArn": other}], "Unable to validate"), ([{**both, "QueueArn": "arn:aws:sqs:us-east-1:000000000000:none-" + uuid.uuid4().hex}], "Unable to validate"),
                            ([{**both, "QueueArn": "queue"}], "ARN"), ([{**both, "QueueArn": fifo}], "FIFO"), ([both, {**both, "Events": ["s3:ObjectCreated:Put"]}], "ambiguously"),
                            (ends, "ambiguously"), ([{**both, "QueueArn": arn.replace("us-east-1", "eu-west-1")}], "region")):
            self.assertAwsError("InvalidArgument", self.configure, QueueConfigurations=wrong, message=said)
        self.assertNotIn("QueueConfigurations", self.s3.get_bucket_notification_configuration(Bucket=self.bucket))
        self.assertEqual([m for m in self.bodies(url) if "TestEvent" not in m], [])
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, SkipDestinationValidation=True,
                                                      NotificationConfiguration={"QueueConfigurations": [{**both, "QueueArn": other}]})
        self.s3.put_object(Bucket=self.bucket, Key="k", Body=b"x")  # is told to nobody, as nobody lets it


CODE = """
import boto3, os, urllib.parse
s3 = boto3.client("s3")

def lambda_handler(event, context):
    for r in event["Records"]:
        key = urllib.parse.unquote_plus(r["s3"]["object"]["key"])
        body = s3.get_object(Bucket=r["s3"]["bucket"]["name"], Key=key)["Body"].read()
        s3.put_object(Bucket=r["s3"]["bucket"]["name"], Key=key.replace("in/", "out/"), Body=body[:3])
"""


class Functions(LambdaCase):
    def test_thumbnail(self):
        """An upload makes a function run, which reads it and writes what it made of it."""
        s3, bucket, name = client("s3"), "thumb-" + uuid.uuid4().hex, self.make(CODE, Timeout=60)
        client("iam").put_role_policy(RoleName=self.role.rpartition("/")[2], PolicyName="s3", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
        self.addCleanup(client("iam").delete_role_policy, RoleName=self.role.rpartition("/")[2], PolicyName="s3")
        function = self.aws.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        s3.create_bucket(Bucket=bucket)
        configuration = {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"],
                                                           "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}}]}
        self.assertAwsError("InvalidArgument", s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration=configuration)
        self.aws.add_permission(FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::" + bucket)
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
        s3.put_object(Bucket=bucket, Key="in/a b", Body=b"picture")

        def made():
            try:
                return s3.get_object(Bucket=bucket, Key="out/a b")["Body"].read()
            except s3.exceptions.NoSuchKey:
                return None
        self.assertEqual(eventually(made), b"pic")
        for key in ("in/a b", "out/a b"):
            s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_bucket(Bucket=bucket)


if __name__ == "__main__":
    unittest.main()
