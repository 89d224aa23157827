"""Queues as such: names, attributes, lists, tags, permissions, and what is refused."""
import json
import unittest
import urllib.parse
import urllib.request
import uuid

from aws import ENDPOINT, REGION, client, limited_key
from queues import QueueCase, say

ACCOUNT = "000000000000"


class Queues(QueueCase):
    def test_life(self):
        url = self.queue(VisibilityTimeout=7)
        name = url.rsplit("/", 1)[1]
        self.assertEqual(url, f"{ENDPOINT}/{ACCOUNT}/{name}")
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        created = said.pop("CreatedTimestamp")
        self.assertRegex(created, r"^\d{10}$")
        self.assertEqual(said.pop("LastModifiedTimestamp"), created)
        self.assertEqual(said, {
            "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0", "VisibilityTimeout": "7", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
            "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true"})
        self.assertEqual(self.sqs.create_queue(QueueName=name)["QueueUrl"], url)
        self.assertEqual(self.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"], url)
        self.assertAwsError("QueueAlreadyExists", self.sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "8"}, status=400, message="VisibilityTimeout")
        self.assertEqual(self.sqs.get_queue_url(QueueName=name)["QueueUrl"], url)
        self.assertEqual(self.sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=ACCOUNT)["QueueUrl"], url)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "3", "SqsManagedSseEnabled": "false"})
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "SqsManagedSseEnabled", "VisibilityTimeout"])["Attributes"]
        self.assertEqual(said, {"DelaySeconds": "3", "SqsManagedSseEnabled": "false", "VisibilityTimeout": "7"})
        self.sqs.delete_queue(QueueUrl=url)
        missing = "AWS.SimpleQueueService.NonExistentQueue"
        self.assertAwsError(missing, self.sqs.get_queue_url, QueueName=name, status=400)
        self.assertAwsError(missing, self.sqs.send_message, QueueUrl=url, MessageBody="x")
        self.assertAwsError("AWS.SimpleQueueService.QueueDeletedRecently", self.sqs.create_queue, QueueName=name, message="60 seconds")

    def test_errors_of_the_json_protocol(self):
        status, headers, said = say("GetQueueUrl", QueueName="none-such")
        self.assertEqual((status, headers["x-amzn-query-error"]), (400, "AWS.SimpleQueueService.NonExistentQueue;Sender"))
        self.assertEqual(said, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist."})
        status, headers, said = say("SendMessage", QueueUrl=self.queue())
        self.assertEqual((status, headers["x-amzn-query-error"]), (400, "MissingParameter;Sender"))
        self.assertEqual(said["message"], "The request must contain the parameter MessageBody.")
        self.assertEqual(say("ReceiveMessage", QueueUrl=self.queue())[::2], (200, {}))
        self.assertEqual(say("CreateQueue")[1]["x-amzn-query-error"], "MissingParameter;Sender")
        self.assertEqual(say("SendMessage", QueueUrl="nowhere", MessageBody="x")[1]["x-amzn-query-error"], "InvalidAddress;Sender")

    def test_names_and_values(self):
        for name in ("a b", "x" * 81, "a.b", ".fifo", "q.fifo", ""):
            with self.subTest(name=name):
                self.assertAwsError("InvalidParameterValue", self.sqs.create_queue, QueueName=name, status=400)
        self.assertAwsError("InvalidParameterValue", self.sqs.create_queue, QueueName="q", Attributes={"FifoQueue": "true"}, message=".fifo suffix")
        self.assertAwsError("InvalidAttributeName", self.sqs.create_queue, QueueName="q", Attributes={"FifoQueue": "false"}, message="Unknown Attribute FifoQueue.")
        for name, value in (("VisibilityTimeout", "43201"), ("VisibilityTimeout", "x"), ("MaximumMessageSize", "1023"), ("MessageRetentionPeriod", "59"), ("DelaySeconds", "901"),
                            ("ReceiveMessageWaitTimeSeconds", "21"), ("SqsManagedSseEnabled", "maybe"), ("Policy", "{}")):
            with self.subTest(name=name, value=value):
                self.assertAwsError("InvalidAttributeValue", self.sqs.create_queue, QueueName="q", Attributes={name: value}, message=name)
        url = self.queue()
        for name in ("ContentBasedDeduplication", "DeduplicationScope", "QueueArn", "Sounds", "FifoQueue"):
            with self.subTest(name=name):
                self.assertAwsError("InvalidAttributeName", self.sqs.set_queue_attributes, QueueUrl=url, Attributes={name: "true"}, message=f"Unknown Attribute {name}.")
        self.assertAwsError("InvalidAttributeName", self.sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Sounds"])
        self.assertAwsError("AWS.SimpleQueueService.NonExistentQueue", self.sqs.get_queue_url, QueueName="q")

    def test_lists(self):
        word = "list-" + uuid.uuid4().hex[:8]
        urls = [self.queue(called=f"{word}-{i}") for i in range(5)]
        self.assertEqual(self.sqs.list_queues(QueueNamePrefix=word)["QueueUrls"], urls)
        first = self.sqs.list_queues(QueueNamePrefix=word, MaxResults=2)
        self.assertEqual(first["QueueUrls"], urls[:2])
        second = self.sqs.list_queues(QueueNamePrefix=word, MaxResults=3, NextToken=first["NextToken"])
        self.assertEqual(second["QueueUrls"], urls[2:])
        self.assertNotIn("NextToken", second)
        self.assertNotIn("QueueUrls", self.sqs.list_queues(QueueNamePrefix=word + "-none"))
        self.assertAwsError("InvalidParameterValue", self.sqs.list_queues, MaxResults=1001)

    def test_regions_are_apart(self):
        url, other = self.queue(), client("sqs", region="eu-west-3")
        name = url.rsplit("/", 1)[1]
        self.assertAwsError("AWS.SimpleQueueService.NonExistentQueue", other.get_queue_url, QueueName=name)
        self.assertEqual(self.queue(called=name, sqs=other, DelaySeconds=1), url)
        self.assertEqual(self.attribute(url, "DelaySeconds"), "0")

    def test_tags(self):
        name = "q-" + uuid.uuid4().hex[:12]
        url = self.sqs.create_queue(QueueName=name, tags={"a": "1", "b": "2"})["QueueUrl"]
        self.addCleanup(self.drop, self.sqs, url)
        self.assertEqual(self.sqs.list_queue_tags(QueueUrl=url)["Tags"], {"a": "1", "b": "2"})
        self.sqs.tag_queue(QueueUrl=url, Tags={"b": "3", "c": ""})
        self.sqs.untag_queue(QueueUrl=url, TagKeys=["a", "none"])
        self.assertEqual(self.sqs.list_queue_tags(QueueUrl=url)["Tags"], {"b": "3", "c": ""})
        self.assertAwsError("InvalidParameterValue", self.sqs.tag_queue, QueueUrl=url, Tags={"aws:x": "1"})
        self.assertAwsError("InvalidParameterValue", self.sqs.tag_queue, QueueUrl=url, Tags={str(i): "" for i in range(60)})
        self.assertEqual(say("ListQueueTags", QueueUrl=url)[2], {"Tags": {"b": "3", "c": ""}})


class Permissions(QueueCase):
    def test_identity_policies(self):
        url = self.queue()
        arn = self.arn(url)
        user = client("sqs", **limited_key(self, {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}))
        user.send_message(QueueUrl=url, MessageBody="x")
        user.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "y"}])
        self.assertAwsError("AccessDenied", user.receive_message, QueueUrl=url, status=403)
        self.assertAwsError("AccessDenied", user.send_message, QueueUrl=self.queue(), MessageBody="x")

    def test_queue_policies(self):
        url = self.queue()
        arn, stranger = self.arn(url), client("sqs", key="111122223333", secret="test")
        self.assertAwsError("AccessDenied", stranger.send_message, QueueUrl=url, MessageBody="x", status=403)
        self.sqs.add_permission(QueueUrl=url, Label="guests", AWSAccountIds=["111122223333"], Actions=["SendMessage", "GetQueueUrl"])
        (statement,) = json.loads(self.attribute(url, "Policy"))["Statement"]
        self.assertEqual(statement, {"Sid": "guests", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]},
                                     "Action": ["SQS:SendMessage", "SQS:GetQueueUrl"], "Resource": arn})
        stranger.send_message(QueueUrl=url, MessageBody="from elsewhere")
        self.assertEqual(stranger.get_queue_url(QueueName=url.rsplit("/", 1)[1], QueueOwnerAWSAccountId=ACCOUNT)["QueueUrl"], url)
        self.assertAwsError("AccessDenied", stranger.receive_message, QueueUrl=url)
        (got,) = self.receive(url, AttributeNames=["SenderId"])
        self.assertEqual((got["Body"], got["Attributes"]), ("from elsewhere", {"SenderId": "111122223333"}))
        self.assertAwsError("InvalidParameterValue", self.sqs.add_permission, QueueUrl=url, Label="guests", AWSAccountIds=[ACCOUNT], Actions=["*"], message="Already exists")
        self.assertAwsError("InvalidParameterValue", self.sqs.add_permission, QueueUrl=url, Label="more", AWSAccountIds=[ACCOUNT], Actions=["DeleteQueue"])
        self.assertAwsError("InvalidParameterValue", self.sqs.remove_permission, QueueUrl=url, Label="none", message="can't find label")
        self.sqs.remove_permission(QueueUrl=url, Label="guests")
        self.assertIsNone(self.attribute(url, "Policy"))
        self.assertAwsError("AccessDenied", stranger.send_message, QueueUrl=url, MessageBody="x")

    def test_everybody(self):
        """Without a signature, at the queue's own address, where its policy lets everybody send; a denial is the last word."""
        url = self.queue()
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": self.arn(url)}

        def knock():
            form = urllib.parse.urlencode({"Action": "SendMessage", "Version": "2012-11-05", "MessageBody": "open & free"})
            try:
                with urllib.request.urlopen(f"{url}?{form}", timeout=30) as reply:
                    return reply.status, reply.read().decode()
            except urllib.error.HTTPError as e:
                return e.code, e.read().decode()
        self.assertEqual(knock()[0], 403)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})})
        status, said = knock()
        self.assertEqual(status, 200, said)
        self.assertIn("<MD5OfMessageBody>", said)
        deny = {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": self.arn(url), "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow, {**deny, "Action": "sqs:SendMessage"}]})})
        self.assertEqual(knock()[0], 403)
        self.assertAwsError("AccessDenied", self.sqs.send_message, QueueUrl=url, MessageBody="x")
        self.assertEqual(self.bodies(url), ["open & free"])
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
        self.assertIsNone(self.attribute(url, "Policy"))


if __name__ == "__main__":
    unittest.main()
