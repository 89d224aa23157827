"""Queues under keys of KMS: who may send and receive, and that bodies do not lie on the disk as they came."""
import hashlib
import json
import os
import subprocess
import time
import unittest
import uuid

from aws import client, limited_key
from queues import QueueCase, say


class Encryption(QueueCase):
    @classmethod
    def setUpClass(cls):
        cls.kms = client("kms")
        cls.key = cls.kms.create_key()["KeyMetadata"]["Arn"]
        cls.addClassCleanup(lambda: cls.kms.schedule_key_deletion(KeyId=cls.key, PendingWindowInDays=7))

    def keyed(self, key=None, **more):
        return self.queue(KmsMasterKeyId=key or self.key, **more)

    def take(self, url, sqs=None, **more):
        return [m["Body"] for m in (sqs or self.sqs).receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10, **more).get("Messages", [])]

    def limited(self, *actions, resource=None):
        return client("sqs", **limited_key(self, {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
                                           *([{"Effect": "Allow", "Action": list(actions), "Resource": resource or self.key}] if actions else [])))

    def arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def assertNotOnDisk(self, mark, there=False):
        found = subprocess.run(["grep", "-rlaF", "--", mark, os.path.join(os.environ["QUARTET_DATA"], "queues")], capture_output=True, text=True, check=False)
        self.assertEqual(bool(found.stdout), there)

    def test_attributes(self):
        url = self.keyed()
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.assertEqual((said["KmsMasterKeyId"], said["KmsDataKeyReusePeriodSeconds"], said["SqsManagedSseEnabled"]), (self.key, "300", "false"))
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsDataKeyReusePeriodSeconds": "60"})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.assertEqual((said.get("KmsMasterKeyId"), said["SqsManagedSseEnabled"]), (None, "true"))
        for wrong in ({"KmsDataKeyReusePeriodSeconds": "59"}, {"KmsMasterKeyId": self.key, "SqsManagedSseEnabled": "true"}):
            self.assertAwsError("InvalidAttributeValue", self.sqs.set_queue_attributes, QueueUrl=url, Attributes=wrong)

    @unittest.skipUnless(os.environ.get("QUARTET_DATA"), "the cloud's files are not known")
    def test_disk(self):
        plain, mark = f"mark-{uuid.uuid4().hex}", f"mark-{uuid.uuid4().hex}"
        self.sqs.send_message(QueueUrl=self.queue(), MessageBody=plain)
        self.assertNotOnDisk(plain, there=True)
        url = self.keyed("alias/aws/sqs")
        sent = self.sqs.send_message(QueueUrl=url, MessageBody=mark)
        self.sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"{mark} {n}"} for n in range(3)])
        self.assertNotOnDisk(mark)
        self.assertEqual(sent["MD5OfMessageBody"], hashlib.md5(mark.encode()).hexdigest())
        got = []
        while len(got) < 4:
            got += self.take(url)
        self.assertEqual(sorted(got), [mark] + [f"{mark} {n}" for n in range(3)])

    def test_who_may(self):
        url = self.keyed()
        nobody, sender, receiver = self.limited(), self.limited("kms:GenerateDataKey", "kms:Decrypt"), self.limited("kms:Decrypt")
        for who in (nobody, receiver):
            self.assertAwsError("KMS.AccessDeniedException", who.send_message, QueueUrl=url, MessageBody="x", status=400)
        sender.send_message(QueueUrl=url, MessageBody="hello")
        self.assertAwsError("KMS.AccessDeniedException", nobody.receive_message, QueueUrl=url)
        self.assertEqual(self.take(url, receiver), ["hello"])
        status, _, said = say("SendMessage", QueueUrl=self.keyed(str(uuid.uuid4())), MessageBody="x")
        self.assertEqual((status, said["__type"]), (400, "com.amazonaws.sqs#KmsNotFound"))

    def test_fifo_and_deduplication(self):
        url = self.keyed(fifo=True, ContentBasedDeduplication="true")
        for body in ("one", "two", "one"):
            self.sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
        self.assertEqual(self.take(url), ["one", "two"])

    def test_another_key(self):
        """What was sent before is under the key of that time, and waits while that one is disabled."""
        first = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.addCleanup(self.kms.schedule_key_deletion, KeyId=first, PendingWindowInDays=7)
        url = self.keyed(first)
        self.sqs.send_message(QueueUrl=url, MessageBody="old")
        self.kms.disable_key(KeyId=first)
        self.assertAwsError("KMS.DisabledException", self.sqs.send_message, QueueUrl=url, MessageBody="n")
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": self.key})
        self.sqs.send_message(QueueUrl=url, MessageBody="new")  # another data key takes the first one's place
        self.assertAwsError("KMS.DisabledException", self.sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=10)
        self.kms.enable_key(KeyId=first)
        self.assertEqual(sorted(self.take(url)), ["new", "old"])
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
        self.sqs.send_message(QueueUrl=url, MessageBody="plain")
        self.assertEqual(self.take(url), ["plain"])

    def test_dead_letters(self):
        dead = self.queue()
        url = self.keyed(VisibilityTimeout=0, RedrivePolicy=json.dumps({"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 1}))
        self.sqs.send_message(QueueUrl=url, MessageBody="poison")
        self.assertEqual(self.take(url), ["poison"])
        until = time.monotonic() + 60
        while not (got := self.take(dead)) and time.monotonic() < until:
            self.sqs.receive_message(QueueUrl=url)
        self.assertEqual(got, ["poison"])

    def test_topics(self):
        """SNS sends where the key's policy lets it."""
        sns = client("sns")
        topic = sns.create_topic(Name="t-" + uuid.uuid4().hex[:12])["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        key = self.kms.create_key()["KeyMetadata"]
        self.addCleanup(self.kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=7)
        url, plain = self.keyed(key["Arn"]), self.queue()
        for queue in (url, plain):
            policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]}
            self.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.arn(queue), Attributes={"RawMessageDelivery": "true"})
        sns.publish(TopicArn=topic, Message="first")
        self.assertEqual(self.take(plain), ["first"])
        self.assertEqual(self.sqs.receive_message(QueueUrl=url).get("Messages", []), [])
        policy = json.loads(self.kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
        policy["Statement"].append({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": "*"})
        self.kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps(policy))
        sns.publish(TopicArn=topic, Message="second")
        self.assertEqual(self.take(url), ["second"])


if __name__ == "__main__":
    unittest.main()
