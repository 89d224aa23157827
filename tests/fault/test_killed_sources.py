"""A queue that a function works off while roles are killed: each message that was acknowledged was worked off or is in the dead-letter
queue. Twice is allowed. What is poison and who dies when is drawn from a seed that the test prints."""
import json
import os
import random
import sys
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud  # noqa: E402
from functions import Functions  # noqa: E402

CODE = """
import json, os, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    good = [r for r in event["Records"] if not r["body"].startswith("poison")]
    if good:
        sqs.send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps([r["body"] for r in good]))
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"] if r not in good]}
"""
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:*", "sqs:*"], "Resource": "*"}]}


class Killed(unittest.TestCase):
    def run_cloud(self, cloud, rand):
        sqs, functions = cloud.client("sqs"), Functions(cloud, ALLOWED)
        arn = lambda url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        seen = sqs.create_queue(QueueName="seen", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "3", "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": arn(dead), "maxReceiveCount": 100})})["QueueUrl"]
        functions.make("worker", CODE, Timeout=3, Environment={"Variables": {"SEEN": seen}})
        functions.aws.create_event_source_mapping(EventSourceArn=arn(queue), FunctionName="worker", FunctionResponseTypes=["ReportBatchItemFailures"])
        sent, on = set(), [True]

        def send():
            number, mine = 0, cloud.client("sqs")
            while on[0]:
                body = f"{'poison' if rand.random() < 0.1 else 'good'} {number:05}"
                number += 1
                try:
                    mine.send_message(QueueUrl=queue, MessageBody=body)
                    sent.add(body)
                except (BotoCoreError, ClientError):
                    time.sleep(0.02)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            victims = ["api", "main", "api"]
            rand.shuffle(victims)
            for victim in victims:
                before, until = len(sent), time.monotonic() + 60
                while len(sent) < before + rand.randrange(20, 120):
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.01)
                pid = cloud.kill(victim)
                if victim == "main":
                    cloud.process.wait()
                    cloud.log.close()
                    cloud.start()
                else:
                    cloud.wait_for_role("api", pid)
                    cloud.wait()
        finally:
            on[0] = False
            sender.join()
        # now what is poison may go where it belongs
        sqs = cloud.client("sqs")
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1})})
        names, until = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"], time.monotonic() + 120
        done, buried = set(), set()
        while True:
            for url, add in ((seen, lambda b: done.update(json.loads(b))), (dead, lambda b: buried.add(b))):
                for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                    add(m["Body"])
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
            left = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
            if sent <= done | buried and all(v == "0" for v in left.values()):
                break
            self.assertLess(time.monotonic(), until, f"{sorted(sent - done - buried)[:20]} of {len(sent)} are lost, {left}")
        # who sent may not have heard that it was taken, so there may be more than it knows of
        self.assertTrue(all(b.startswith("good") for b in done), done)
        self.assertLessEqual({b for b in sent if b.startswith("poison")}, buried)

    def test_counts_add_up(self):
        seed = int(os.environ.get("QUARTET_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", file=sys.stderr)
        with Cloud() as cloud:
            self.run_cloud(cloud, random.Random(seed))
        self.assertEqual(cloud.leftovers(), [])


if __name__ == "__main__":
    unittest.main()
