"""Messages of standard queues: what is sent comes, with its digests; visibility, batches, waiting."""
import hashlib
import threading
import time
import unittest

from queues import QueueCase, attributes_md5, say

ATTRIBUTES = {"city": {"DataType": "String", "StringValue": "Zürich"}, "a.b": {"DataType": "Number.float", "StringValue": "-1.5e3"},
              "raw": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff\x01"}}


class Messages(QueueCase):
    def test_there_and_back(self):
        url = self.queue()
        body = "grüße <&> \"\U0001f600\"\n\t"
        before = int(time.time() * 1000)
        sent = self.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=ATTRIBUTES,
                                     MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}})
        self.assertEqual(sent["MD5OfMessageBody"], hashlib.md5(body.encode()).hexdigest())
        self.assertEqual(sent["MD5OfMessageAttributes"], attributes_md5(ATTRIBUTES))
        self.assertEqual(sent["MD5OfMessageSystemAttributes"], attributes_md5(
            {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}))
        self.assertNotIn("SequenceNumber", sent)
        (got,) = self.receive(url, AttributeNames=["All"], MessageAttributeNames=["All"])
        self.assertEqual((got["MessageId"], got["Body"], got["MD5OfBody"]), (sent["MessageId"], body, sent["MD5OfMessageBody"]))
        self.assertEqual((got["MessageAttributes"], got["MD5OfMessageAttributes"]), (ATTRIBUTES, attributes_md5(ATTRIBUTES)))
        said = got["Attributes"]
        self.assertEqual((said["SenderId"], said["ApproximateReceiveCount"], said["AWSTraceHeader"]), ("000000000000", "1", "Root=1-5759e988-bd862e3fe1be46a994272793"))
        self.assertTrue(before - 2000 <= int(said["SentTimestamp"]) <= int(said["ApproximateFirstReceiveTimestamp"]))
        self.assertEqual(self.receive(url), [])
        self.delete(url, got, got)
        self.assertEqual(self.counts(url), (0, 0, 0))

    def test_chosen_attributes(self):
        url = self.queue(VisibilityTimeout=0)
        self.send(url, "x", MessageAttributes={**ATTRIBUTES, "a.c": {"DataType": "String", "StringValue": "y"}})
        for asked, come in ((["city"], ["city"]), (["a.*"], ["a.b", "a.c"]), ([".*"], ["a.b", "a.c", "city", "raw"]), (["none"], []), ([], [])):
            with self.subTest(asked=asked):
                (got,) = self.receive(url, MessageAttributeNames=asked)
                chosen = got.get("MessageAttributes", {})
                self.assertEqual(sorted(chosen), come)
                self.assertEqual(got.get("MD5OfMessageAttributes"), attributes_md5(chosen) if chosen else None)
                self.assertNotIn("Attributes", got)
        self.assertAwsError("InvalidAttributeName", self.receive, url, AttributeNames=["Sounds"])

    def test_json_protocol(self):
        url = self.queue()
        sent = say("SendMessage", QueueUrl=url, MessageBody="j", MessageAttributes={"n": {"DataType": "Number", "StringValue": "5"}})[2]
        self.assertEqual(sorted(sent), ["MD5OfMessageAttributes", "MD5OfMessageBody", "MessageId"])
        (got,) = say("ReceiveMessage", QueueUrl=url, MessageSystemAttributeNames=["ApproximateReceiveCount"], MessageAttributeNames=["All"])[2]["Messages"]
        self.assertEqual((got["Body"], got["Attributes"]), ("j", {"ApproximateReceiveCount": "1"}))
        self.assertEqual(got["MessageAttributes"], {"n": {"DataType": "Number", "StringValue": "5"}})
        said = say("DeleteMessageBatch", QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": got["ReceiptHandle"]}, {"Id": "b", "ReceiptHandle": "x"}])[2]
        self.assertEqual(said["Successful"], [{"Id": "a"}])
        self.assertEqual([(f["Id"], f["Code"], f["SenderFault"]) for f in said["Failed"]], [("b", "ReceiptHandleIsInvalid", True)])
        self.assertNotIn("Failed", say("SendMessageBatch", QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}])[2])

    def test_refusals(self):
        url = self.queue(MaximumMessageSize=1024)
        bad = self.sqs.send_message
        self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x" * 1025, message="shorter than 1024 bytes")
        self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x" * 1000, MessageAttributes=ATTRIBUTES)
        self.assertAwsError("MissingParameter", bad, QueueUrl=url, MessageBody="")
        self.assertEqual(say("SendMessage", QueueUrl=url, MessageBody="a\u0000b")[2]["__type"], "com.amazonaws.sqs#InvalidMessageContents")
        self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x", DelaySeconds=901)
        self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x", MessageDeduplicationId="d")
        for wrong in ({"DataType": "Text", "StringValue": "x"}, {"DataType": "String", "StringValue": ""}, {"DataType": "Number", "StringValue": "five"}):
            self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x", MessageAttributes={"a": wrong})
        self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x", message="exceeds the allowed maximum",
                            MessageAttributes={f"a{i}": {"DataType": "String", "StringValue": "x"} for i in range(11)})
        for wrong in ("AWS.x", ".a", "a..b", "a b"):
            self.assertAwsError("InvalidParameterValue", bad, QueueUrl=url, MessageBody="x", MessageAttributes={wrong: {"DataType": "String", "StringValue": "x"}})
        get = self.sqs.receive_message
        self.assertAwsError("InvalidParameterValue", get, QueueUrl=url, MaxNumberOfMessages=11, message="between 1 and 10")
        self.assertAwsError("InvalidParameterValue", get, QueueUrl=url, WaitTimeSeconds=21)
        self.assertAwsError("InvalidParameterValue", get, QueueUrl=url, VisibilityTimeout=43201)
        self.assertAwsError("ReceiptHandleIsInvalid", self.sqs.delete_message, QueueUrl=url, ReceiptHandle="AQEBx", status=404)
        self.assertEqual(self.counts(url), (0, 0, 0))

    def test_a_mebibyte(self):
        url, other = self.queue(), self.queue()
        body = "x" * (1 << 20)
        self.send(url, body)
        self.assertAwsError("InvalidParameterValue", self.sqs.send_message, QueueUrl=url, MessageBody=body + "x")
        (got,) = self.receive(url)
        self.assertEqual(got["Body"], body)
        self.assertAwsError("ReceiptHandleIsInvalid", self.sqs.delete_message, QueueUrl=other, ReceiptHandle=got["ReceiptHandle"])

    def test_batches(self):
        url = self.queue(MaximumMessageSize=2048)
        entries = [{"Id": f"e{i}", "MessageBody": f"m{i}", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": str(i)}}} for i in range(9)]
        said = self.sqs.send_message_batch(QueueUrl=url, Entries=entries + [{"Id": "big", "MessageBody": "x" * 3000}])
        self.assertEqual([s["Id"] for s in said["Successful"]], [e["Id"] for e in entries])
        for s, e in zip(said["Successful"], entries):
            self.assertEqual((s["MD5OfMessageBody"], s["MD5OfMessageAttributes"]), (hashlib.md5(e["MessageBody"].encode()).hexdigest(), attributes_md5(e["MessageAttributes"])))
        (failed,) = said["Failed"]
        self.assertEqual((failed["Id"], failed["Code"], failed["SenderFault"]), ("big", "InvalidParameterValue", True))
        self.assertEqual(self.counts(url), (9, 0, 0))
        got = self.receive(url)
        self.assertEqual([m["Body"] for m in got], [f"m{i}" for i in range(9)])
        changes = [{"Id": "0", "ReceiptHandle": got[0]["ReceiptHandle"], "VisibilityTimeout": 0}, {"Id": "1", "ReceiptHandle": "x", "VisibilityTimeout": 0},
                   {"Id": "2", "ReceiptHandle": got[2]["ReceiptHandle"], "VisibilityTimeout": 50000}]
        said = self.sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
        self.assertEqual(([s["Id"] for s in said["Successful"]], [(f["Id"], f["Code"]) for f in said["Failed"]]),
                         (["0"], [("1", "ReceiptHandleIsInvalid"), ("2", "InvalidParameterValue")]))
        self.assertEqual(self.counts(url), (1, 8, 0))
        said = self.sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got)])
        self.assertEqual((len(said["Successful"]), said.get("Failed")), (9, None))
        self.assertEqual(self.counts(url), (0, 0, 0))
        service = "AWS.SimpleQueueService."
        send, one = self.sqs.send_message_batch, {"Id": "a", "MessageBody": "x"}
        self.assertAwsError(service + "EmptyBatchRequest", send, QueueUrl=url, Entries=[])
        self.assertAwsError(service + "TooManyEntriesInBatchRequest", send, QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": "x"} for i in range(11)])
        self.assertAwsError(service + "BatchEntryIdsNotDistinct", send, QueueUrl=url, Entries=[one, one])
        self.assertAwsError(service + "InvalidBatchEntryId", send, QueueUrl=url, Entries=[{"Id": "a b", "MessageBody": "x"}])
        self.assertAwsError(service + "BatchRequestTooLong", send, QueueUrl=self.queue(), Entries=[{"Id": str(i), "MessageBody": "x" * 600000} for i in range(2)])

    def test_visibility(self):
        url = self.queue(VisibilityTimeout=600)
        self.send(url, "x")
        (first,) = self.receive(url)
        self.assertEqual(self.counts(url), (0, 1, 0))
        change = self.sqs.change_message_visibility
        change(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
        (second,) = self.receive(url, VisibilityTimeout=1000, AttributeNames=["ApproximateReceiveCount"])
        self.assertEqual(second["Attributes"]["ApproximateReceiveCount"], "2")
        self.assertNotEqual(first["ReceiptHandle"], second["ReceiptHandle"])
        self.assertAwsError("InvalidParameterValue", change, QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=43201)
        change(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
        self.assertAwsError("AWS.SimpleQueueService.MessageNotInflight", change, QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=10)
        self.delete(url, second)
        self.assertAwsError("InvalidParameterValue", change, QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=10, message="does not exist")
        self.assertEqual(self.receive(url), [])

    def test_waiting(self):
        """Two receivers wait, two messages come one after the other: each gets one, long before its time is over."""
        url = self.queue()
        got = []

        def wait():
            begun = time.monotonic()
            said = say("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20)[2]
            got.append(([m["Body"] for m in said.get("Messages", [])], time.monotonic() - begun))
        threads = [threading.Thread(target=wait) for _ in range(2)]
        for t in threads:
            t.start()
        time.sleep(0.5)
        self.send(url, "one", "two")
        for t in threads:
            t.join()
        self.assertEqual(sorted(b for b, _ in got), [["one"], ["two"]])
        self.assertTrue(all(took < 15 for _, took in got), got)

    def test_waiting_for_what_comes_back(self):
        url = self.queue(ReceiveMessageWaitTimeSeconds=20)
        self.send(url, "later", DelaySeconds=1)
        begun = time.monotonic()
        (got,) = self.receive(url)
        self.assertTrue(0.3 < time.monotonic() - begun < 15)
        threading.Timer(0.5, self.sqs.change_message_visibility, kwargs={"QueueUrl": url, "ReceiptHandle": got["ReceiptHandle"], "VisibilityTimeout": 0}).start()
        self.assertEqual(self.bodies(url), ["later"])
        self.assertTrue(time.monotonic() - begun < 18)

    def test_a_queue_that_goes_lets_go(self):
        url = self.queue()
        threading.Timer(0.5, self.sqs.delete_queue, kwargs={"QueueUrl": url}).start()
        begun = time.monotonic()
        self.assertEqual(say("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20)[1].get("x-amzn-query-error"), "AWS.SimpleQueueService.NonExistentQueue;Sender")
        self.assertTrue(time.monotonic() - begun < 15)

    def test_purge(self):
        url = self.queue()
        self.send(url, *[f"m{i}" for i in range(20)])
        got = self.receive(url)
        self.send(url, "late", DelaySeconds=100)
        self.sqs.purge_queue(QueueUrl=url)
        self.assertEqual(self.counts(url), (0, 0, 0))
        self.assertAwsError("AWS.SimpleQueueService.PurgeQueueInProgress", self.sqs.purge_queue, QueueUrl=url)
        self.delete(url, got[0])
        self.send(url, "after")
        self.assertEqual(self.bodies(url), ["after"])


if __name__ == "__main__":
    unittest.main()
