"""FIFO queues: order within groups, what blocks a group, duplicates, sequence numbers; and dead-letter queues with their way back."""
import json
import time
import unittest

from moving import moving_cloud
from queues import QueueCase, say


class Fifo(QueueCase):
    def test_order(self):
        url = self.queue(fifo=True, ContentBasedDeduplication="true", VisibilityTimeout=600)
        numbers = [int(self.send(url, f"{g}{i}", MessageGroupId=g)[0]["SequenceNumber"]) for i in range(4) for g in "ab"]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual({len(str(n)) for n in numbers}, {20})
        first = self.receive(url, 2, AttributeNames=["All"])
        self.assertEqual([m["Body"] for m in first], ["a0", "a1"])
        self.assertEqual([m["Attributes"]["MessageGroupId"] for m in first], ["a", "a"])
        self.assertEqual([int(m["Attributes"]["SequenceNumber"]) for m in first], [numbers[0], numbers[2]])
        self.assertRegex(first[0]["Attributes"]["MessageDeduplicationId"], r"^[0-9a-f]{64}$")
        self.assertEqual(self.bodies(url), ["b0", "b1", "b2", "b3"])
        self.assertEqual(self.bodies(url), [])
        self.delete(url, first[0])
        self.assertEqual(self.bodies(url), [])  # a1 is still out
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first[1]["ReceiptHandle"], VisibilityTimeout=0)
        again = self.receive(url)
        self.assertEqual([m["Body"] for m in again], ["a1", "a2", "a3"])
        self.assertAwsError("InvalidParameterValue", self.sqs.delete_message, QueueUrl=url, ReceiptHandle=first[1]["ReceiptHandle"], message="expired")
        self.delete(url, *again)
        self.assertEqual(self.counts(url), (0, 4, 0))

    def test_duplicates(self):
        url = self.queue(fifo=True)
        one, same, other = [self.send(url, body, MessageGroupId="g", MessageDeduplicationId=d)[0] for body, d in (("x", "1"), ("y", "1"), ("x", "2"))]
        self.assertEqual((one["MessageId"], one["SequenceNumber"]), (same["MessageId"], same["SequenceNumber"]))
        self.assertNotEqual(one["MessageId"], other["MessageId"])
        self.assertEqual(self.counts(url), (2, 0, 0))
        got = self.receive(url)
        self.delete(url, *got)
        self.send(url, "x", MessageGroupId="g", MessageDeduplicationId="1")
        self.send(url, "x", MessageGroupId="h", MessageDeduplicationId="1")
        self.assertEqual(self.bodies(url), [])
        batch = [{"Id": str(i), "MessageBody": "b", "MessageGroupId": "g", "MessageDeduplicationId": str(10 + i % 2)} for i in range(4)]
        said = self.sqs.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]
        self.assertEqual(len({s["MessageId"] for s in said}), 2)
        by_group = self.queue(fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
        for group in "gh":
            self.send(by_group, group, MessageGroupId=group, MessageDeduplicationId="1")
        self.assertEqual(sorted(self.bodies(by_group)), ["g", "h"])

    def test_attempts(self):
        url = self.queue(fifo=True, ContentBasedDeduplication="true")
        self.send(url, "x", "y", MessageGroupId="g")
        first = self.receive(url, 1, ReceiveRequestAttemptId="try")
        again = self.receive(url, 1, ReceiveRequestAttemptId="try")
        self.assertEqual([(m["Body"], m["ReceiptHandle"]) for m in again], [(m["Body"], m["ReceiptHandle"]) for m in first])
        self.assertEqual(self.bodies(url), [])
        self.delete(url, again[0])
        self.assertEqual(self.bodies(url, ReceiveRequestAttemptId="try"), ["y"])

    def test_refusals(self):
        url = self.queue(fifo=True)
        send = self.sqs.send_message
        self.assertAwsError("MissingParameter", send, QueueUrl=url, MessageBody="x", message="MessageGroupId")
        self.assertAwsError("InvalidParameterValue", send, QueueUrl=url, MessageBody="x", MessageGroupId="g", message="ContentBasedDeduplication")
        self.assertAwsError("InvalidParameterValue", send, QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=1)
        self.assertAwsError("InvalidParameterValue", send, QueueUrl=url, MessageBody="x", MessageGroupId="a b", MessageDeduplicationId="d")
        self.assertAwsError("InvalidAttributeValue", self.sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoThroughputLimit": "perMessageGroupId"})
        self.assertEqual(self.attribute(url, "FifoQueue"), "true")


class DeadLetters(QueueCase):
    def pair(self, fifo=False, **more):
        dead = self.queue(fifo)
        policy = json.dumps({"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": "2"})
        return self.queue(fifo, VisibilityTimeout=0, RedrivePolicy=policy, **more), dead

    def wait(self, what, seconds=30):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_there(self):
        url, dead = self.pair()
        self.assertEqual(json.loads(self.attribute(url, "RedrivePolicy")), {"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 2})
        self.assertEqual(self.sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [url])
        sent = self.send(url, "poison")[0]
        for count in "12":
            (got,) = self.receive(url, AttributeNames=["All"])
            self.assertEqual(got["Attributes"]["ApproximateReceiveCount"], count)
        self.assertEqual(self.receive(url), [])
        (got,) = self.receive(dead, AttributeNames=["All"], WaitTimeSeconds=20)
        self.assertEqual((got["Body"], got["MessageId"]), ("poison", sent["MessageId"]))
        self.assertEqual(got["Attributes"]["DeadLetterQueueSourceArn"], self.arn(url))
        self.assertEqual((self.counts(url), self.counts(dead)), ((0, 0, 0), (0, 1, 0)))

    def test_fifo(self):
        url, dead = self.pair(True, ContentBasedDeduplication="true")
        self.send(url, "poison", "next", MessageGroupId="g")
        for _ in range(2):
            self.assertEqual(self.bodies(url, 1), ["poison"])
        self.wait(lambda: self.bodies(url, 1, VisibilityTimeout=60) == ["next"])
        (got,) = self.receive(dead, AttributeNames=["All"], WaitTimeSeconds=20)
        self.assertEqual((got["Body"], got["Attributes"]["MessageGroupId"]), ("poison", "g"))

    def test_refusals(self):
        url, dead = self.queue(), self.queue()
        arn = self.arn(dead)

        def refused(policy, name="RedrivePolicy"):
            self.assertAwsError("InvalidParameterValue", self.sqs.set_queue_attributes, QueueUrl=url,
                                Attributes={name: policy if isinstance(policy, str) else json.dumps(policy)}, message=name)
        for wrong in ("x", {}, {"deadLetterTargetArn": arn}, {"deadLetterTargetArn": arn, "maxReceiveCount": 0}, {"deadLetterTargetArn": arn, "maxReceiveCount": 1001},
                      {"deadLetterTargetArn": arn + "x", "maxReceiveCount": 1}, {"deadLetterTargetArn": self.arn(self.queue(True)), "maxReceiveCount": 1}):
            refused(wrong)
        for wrong in ("x", {"redrivePermission": "some"}, {"redrivePermission": "byQueue"}, {"redrivePermission": "denyAll", "sourceQueueArns": [arn]}):
            refused(wrong, "RedriveAllowPolicy")
        allow = lambda policy: self.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(policy)})
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": 1}
        allow({"redrivePermission": "denyAll"})
        refused(policy)
        allow({"redrivePermission": "byQueue", "sourceQueueArns": [arn]})
        refused(policy)
        allow({"redrivePermission": "byQueue", "sourceQueueArns": [self.arn(url)]})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
        self.assertIsNone(self.attribute(url, "RedrivePolicy"))

    def kill_off(self, url, dead, count):
        self.sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": f"m{i}"} for i in range(count)])
        for _ in range(3):
            self.receive(url)
        self.wait(lambda: self.counts(dead)[0] == count)

    def task(self, arn):
        return say("ListMessageMoveTasks", SourceArn=arn)[2]["Results"][0]

    def test_back_again(self):
        url, dead = self.pair()
        self.kill_off(url, dead, 7)
        arn = self.arn(dead)
        self.assertEqual(say("ListMessageMoveTasks", SourceArn=arn)[2], {"Results": []})
        status, _, said = say("StartMessageMoveTask", SourceArn=arn)
        self.assertEqual(status, 200, said)
        self.wait(lambda: self.task(arn)["Status"] == "COMPLETED")
        task = self.task(arn)
        self.assertEqual((task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"], task["SourceArn"]), (7, 7, arn))
        self.assertNotIn("TaskHandle", task)
        self.assertEqual((self.counts(url)[0], self.counts(dead)), (7, (0, 0, 0)))
        got = self.receive(url, AttributeNames=["All"])
        self.assertEqual(sorted(m["Body"] for m in got), [f"m{i}" for i in range(7)])
        self.assertEqual({m["Attributes"]["ApproximateReceiveCount"] for m in got}, {"1"})

    def test_elsewhere_and_cancelled(self):
        url, dead = self.pair()
        self.kill_off(url, dead, 7)
        other, arn = self.queue(), self.arn(dead)
        said = say("StartMessageMoveTask", SourceArn=arn, DestinationArn=self.arn(other), MaxNumberOfMessagesPerSecond=1)[2]
        self.assertEqual(say("StartMessageMoveTask", SourceArn=arn)[1]["x-amzn-query-error"], "AWS.SimpleQueueService.UnsupportedOperation;Sender")
        self.wait(lambda: self.counts(other)[0] >= 1)
        self.assertEqual(self.task(arn)["TaskHandle"], said["TaskHandle"])
        self.assertEqual(say("CancelMessageMoveTask", TaskHandle=said["TaskHandle"])[0], 200)
        self.wait(lambda: self.task(arn)["Status"] == "CANCELLED")
        moved = self.task(arn)["ApproximateNumberOfMessagesMoved"]
        self.assertTrue(1 <= moved < 7)
        self.assertEqual((self.counts(other)[0], self.counts(dead)[0]), (moved, 7 - moved))
        self.assertNotEqual(say("CancelMessageMoveTask", TaskHandle=said["TaskHandle"])[0], 200)

    def test_tasks_refused(self):
        url, dead = self.pair()
        code = lambda **p: say("StartMessageMoveTask", **p)[1]["x-amzn-query-error"].split(";")[0]
        self.assertEqual(code(SourceArn=self.arn(url)), "InvalidParameterValue")
        self.assertEqual(code(SourceArn=self.arn(dead) + "x"), "ResourceNotFoundException")
        self.assertEqual(code(SourceArn=self.arn(dead), DestinationArn=self.arn(dead) + "x"), "ResourceNotFoundException")
        self.assertEqual(code(SourceArn=self.arn(dead), MaxNumberOfMessagesPerSecond=501), "InvalidParameterValue")
        self.send(dead, "from nowhere")
        self.assertEqual(say("StartMessageMoveTask", SourceArn=self.arn(dead))[0], 200)
        self.wait(lambda: self.task(self.arn(dead))["Status"] == "FAILED")
        self.assertEqual(self.task(self.arn(dead))["FailureReason"], "CouldNotDetermineMessageSource")
        self.assertEqual(self.counts(dead), (1, 0, 0))


class Clock(QueueCase):
    """What waits by the cloud's clock: visibility, delays, retention, the minute after a deletion, metrics."""

    @classmethod
    def setUpClass(cls):
        cls.cloud, of = moving_cloud(cls)
        cls.sqs, cls.cloudwatch = of("sqs"), of("cloudwatch")

    def test_time(self):
        url = self.queue(VisibilityTimeout=600, MessageRetentionPeriod=3600)
        delayed = self.queue(DelaySeconds=900)
        fifo = self.queue(fifo=True, ContentBasedDeduplication="true", DelaySeconds=600)
        gone = self.queue()
        self.send(url, "x")
        self.send(delayed, "by the queue")
        self.send(delayed, "at once", DelaySeconds=0)
        self.send(fifo, "f", MessageGroupId="g")
        self.sqs.delete_queue(QueueUrl=gone)
        self.assertEqual((self.counts(delayed), self.counts(fifo)), ((1, 0, 1), (0, 0, 1)))
        self.assertEqual((self.bodies(delayed), self.bodies(fifo), self.bodies(url)), (["at once"], [], ["x"]))
        self.cloud.forward("595s")
        self.assertEqual((self.bodies(url), self.counts(url)), ([], (0, 1, 0)))
        self.cloud.forward("10s")
        self.assertEqual(self.counts(url), (1, 0, 0))
        self.assertEqual((self.bodies(url), self.bodies(delayed, VisibilityTimeout=0), self.bodies(fifo)), (["x"], ["at once"], ["f"]))
        self.send(fifo, "f", MessageGroupId="g")  # more than five minutes later: another one
        self.assertEqual(self.counts(fifo), (0, 1, 1))
        self.assertEqual(self.queue(called=gone.rsplit("/", 1)[1]), gone)
        self.cloud.forward("300s")
        self.assertEqual(sorted(self.bodies(delayed)), ["at once", "by the queue"])
        self.cloud.forward("1h")
        self.assertEqual(self.bodies(url), [])
        self.send(url, "fresh")
        self.cloud.forward("2m")
        self.assertEqual(self.counts(url), (1, 0, 0))

    def test_metrics(self):
        url = self.queue(VisibilityTimeout=600)
        self.send(url, "xxxx", "yy")
        self.send(url, "z", DelaySeconds=900)
        (got,) = self.receive(url, 1)
        self.delete(url, got)
        self.receive(url, 1)
        self.receive(url, 1)
        self.cloud.forward("3m")
        end = time.time() + 24 * 3600

        def look(name, statistic="Sum"):
            points = self.cloudwatch.get_metric_statistics(Namespace="AWS/SQS", MetricName=name, Dimensions=[{"Name": "QueueName", "Value": url.rsplit("/", 1)[1]}],
                                                      StartTime=time.time() - 3600, EndTime=end, Period=86400, Statistics=[statistic])["Datapoints"]
            return sum(p[statistic] for p in points) if points else None
        until = time.monotonic() + 30
        while look("ApproximateNumberOfMessagesNotVisible", "Maximum") is None and time.monotonic() < until:
            time.sleep(0.2)
        self.assertEqual([look(n) for n in ("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives", "SentMessageSize")], [3, 2, 1, 1, 7])
        self.assertEqual([look(n, "Maximum") for n in ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")], [0, 1, 1])
        self.assertTrue(30 < look("ApproximateAgeOfOldestMessage", "Maximum") < 1000)


if __name__ == "__main__":
    unittest.main()
