"""What is published comes to queues: in envelopes whose signatures hold, raw, in order, once; to those alone who let the topic send."""
import base64
import json
import subprocess
import tempfile
import unittest
import urllib.request

from topics import TopicCase, allow


def signature_holds(envelope):
    """By the certificate that the message names."""
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if envelope["Type"] == "Notification":
        names = [n for n in names if n not in ("SubscribeURL", "Token")]
    text = "".join(f"{n}\n{envelope[n]}\n" for n in names if n in envelope)
    pem = urllib.request.urlopen(envelope["SigningCertURL"], timeout=30).read()
    digest = {"1": "-sha1", "2": "-sha256"}[envelope["SignatureVersion"]]
    with tempfile.NamedTemporaryFile() as certificate, tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as signature:
        certificate.write(pem)
        certificate.flush()
        subprocess.run(["openssl", "x509", "-in", certificate.name, "-pubkey", "-noout", "-out", key.name], check=True)
        signature.write(base64.b64decode(envelope["Signature"]))
        signature.flush()
        done = subprocess.run(["openssl", "dgst", digest, "-verify", key.name, "-signature", signature.name], input=text.encode(), stdout=subprocess.PIPE)
        return done.returncode == 0


class Publish(TopicCase):
    def test_envelope(self):
        topic = self.topic()
        url, arn = self.listener(topic)
        said = self.sns.publish(TopicArn=topic, Message="héllo \"you\"", Subject="s", MessageAttributes={
            "a": {"DataType": "String", "StringValue": "x"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}})
        [m] = self.receive(url)
        got = json.loads(m["Body"])
        self.assertEqual((got["Type"], got["MessageId"], got["TopicArn"], got["Subject"], got["Message"]), ("Notification", said["MessageId"], topic, "s", "héllo \"you\""))
        self.assertEqual(got["MessageAttributes"], {"a": {"Type": "String", "Value": "x"}, "b": {"Type": "Binary", "Value": "AAE="}})
        self.assertRegex(got["Timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertTrue(signature_holds(got))
        self.assertFalse(signature_holds({**got, "Message": "hello"}))
        self.assertNotIn("MessageAttributes", m)
        self.sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
        self.delete(url, m)
        self.sns.publish(TopicArn=topic, Message="again")
        got = json.loads(self.receive(url)[0]["Body"])
        self.assertEqual(got["SignatureVersion"], "2")
        self.assertTrue(signature_holds(got))
        urllib.request.urlopen(got["UnsubscribeURL"], timeout=30).read()
        self.assertEqual(self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"], [])

    def test_raw(self):
        topic = self.topic()
        url, _ = self.listener(topic, attributes={"RawMessageDelivery": "true"})
        other, _ = self.listener(topic)
        self.sns.publish(TopicArn=topic, MessageStructure="json", Message=json.dumps({"default": "d", "sqs": "for queues"}),
                         MessageAttributes={"n": {"DataType": "Number", "StringValue": "1.5"}})
        [m] = self.receive(url, MessageAttributeNames=["All"])
        self.assertEqual((m["Body"], m["MessageAttributes"]), ("for queues", {"n": {"DataType": "Number", "StringValue": "1.5"}}))
        self.assertEqual(self.told(other), ["for queues"])
        # More attributes than a queue's message may have: it is not sent there.
        self.delete(url, m)
        self.sns.publish(TopicArn=topic, Message="m", MessageAttributes={str(i): {"DataType": "String", "StringValue": "x"} for i in range(11)})
        self.assertEqual(self.bodies(url), [])
        self.assertEqual(self.told(other), ["m"])

    def test_batch(self):
        topic = self.topic()
        url, _ = self.listener(topic, attributes={"RawMessageDelivery": "true"})
        entries = [{"Id": str(i), "Message": f"m{i}"} for i in range(9)] + [{"Id": "bad", "Message": "m", "Subject": "\n"}]
        said = self.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        self.assertEqual([s["Id"] for s in said["Successful"]], [str(i) for i in range(9)])
        self.assertEqual([(f["Id"], f["Code"], f["SenderFault"]) for f in said["Failed"]], [("bad", "InvalidParameter", True)])
        self.assertEqual(sorted(self.bodies(url)), [f"m{i}" for i in range(9)])
        for code, wrong in (("TooManyEntriesInBatchRequest", entries + entries[:1]), ("BatchEntryIdsNotDistinct", entries[:1] * 2),
                            ("InvalidBatchEntryId", [{"Id": "a b", "Message": "m"}]), ("EmptyBatchRequest", []),
                            ("BatchRequestTooLong", [{"Id": str(i), "Message": "x" * 200000} for i in range(2)])):
            self.assertAwsError(code, self.sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=wrong)

    def test_many_queues(self):
        topic = self.topic()
        urls = [self.listener(topic, attributes={"RawMessageDelivery": "true"})[0] for _ in range(30)]
        for i in range(3):
            self.sns.publish(TopicArn=topic, Message=f"m{i}")
        for url in urls:
            self.assertEqual(self.bodies(url), ["m0", "m1", "m2"])

    def test_policy_of_the_queue(self):
        topic = self.topic()
        dead = self.queue()
        dead_arn = self.arn(dead)
        self.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": allow(topic, dead_arn)})
        url, arn = self.listener(topic, allowed=False, attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})})
        self.sns.publish(TopicArn=topic, Message="one")
        self.assertEqual((self.told(url), self.told(dead)), ([], ["one"]))
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow(topic + "x", self.arn(url))})
        self.sns.publish(TopicArn=topic, Message="two")
        self.assertEqual((self.told(url), self.told(dead)), ([], ["two"]))
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow(topic, self.arn(url))})
        self.sns.publish(TopicArn=topic, Message="three")
        self.assertEqual((self.told(url), self.told(dead)), (["three"], []))
        # everybody, from that topic: what queues were told before services had names
        for everybody in ("*", {"AWS": "*"}):
            policy = json.loads(allow(topic, self.arn(url)))
            policy["Statement"][0]["Principal"] = everybody
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
            self.sns.publish(TopicArn=topic, Message="open")
            self.assertEqual((self.told(url), self.told(dead)), (["open"], []))
        self.sqs.delete_queue(QueueUrl=url)
        self.sns.publish(TopicArn=topic, Message="four")
        self.assertEqual(self.told(dead), ["four"])
        for wrong in ("x", json.dumps({"deadLetterTargetArn": "x"}), json.dumps({"deadLetterTargetArn": dead_arn, "more": 1}),
                      json.dumps({"deadLetterTargetArn": dead_arn.replace("us-east-1", "eu-west-1")})):
            self.assertAwsError("InvalidParameter", self.sns.set_subscription_attributes, SubscriptionArn=arn, AttributeName="RedrivePolicy", AttributeValue=wrong)

    def test_fifo(self):
        topic = self.topic(fifo=True)
        url, _ = self.listener(topic, fifo=True)
        plain, _ = self.listener(topic)
        self.assertAwsError("InvalidParameter", self.sns.publish, TopicArn=topic, Message="m", message="MessageGroupId")
        self.assertAwsError("InvalidParameter", self.sns.publish, TopicArn=topic, Message="m", MessageGroupId="g", message="ContentBasedDeduplication")
        self.assertAwsError("InvalidParameter", self.sns.subscribe, TopicArn=topic, Protocol="http", Endpoint="http://example.com/")
        said = [self.sns.publish(TopicArn=topic, Message=m, MessageGroupId="g", MessageDeduplicationId=d) for m, d in (("a", "1"), ("b", "1"), ("c", "2"))]
        self.assertEqual((said[0]["MessageId"], said[0]["SequenceNumber"]), (said[1]["MessageId"], said[1]["SequenceNumber"]))
        self.assertLess(int(said[0]["SequenceNumber"]), int(said[2]["SequenceNumber"]))
        got = self.receive(url, AttributeNames=["All"])
        envelopes = [json.loads(m["Body"]) for m in got]
        self.assertEqual([(e["Message"], e["SequenceNumber"]) for e in envelopes], [("a", said[0]["SequenceNumber"]), ("c", said[2]["SequenceNumber"])])
        self.assertEqual([(m["Attributes"]["MessageGroupId"], m["Attributes"]["MessageDeduplicationId"]) for m in got], [("g", "1"), ("g", "2")])
        self.assertEqual(sorted(self.told(plain)), ["a", "c"])
        self.assertAwsError("InvalidParameter", self.sns.subscribe, TopicArn=self.topic(), Protocol="sqs", Endpoint=self.arn(url))
        by_group = self.topic(fifo=True, ContentBasedDeduplication="true", FifoThroughputScope="MessageGroup")
        other, _ = self.listener(by_group, fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
        batch = [{"Id": str(i), "Message": "same", "MessageGroupId": "gh"[i % 2]} for i in range(4)]
        said = self.sns.publish_batch(TopicArn=by_group, PublishBatchRequestEntries=batch)["Successful"]
        self.assertEqual(len({s["SequenceNumber"] for s in said}), 2)
        self.assertEqual(self.told(other), ["same", "same"])


if __name__ == "__main__":
    unittest.main()
