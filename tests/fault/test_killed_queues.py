"""Queues whose cloud is killed under load: each message that was acknowledged comes or is left, what was deleted does not come again,
and groups keep their order."""
import os
import sys
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud  # noqa: E402


class Load:
    """Senders and receivers that note what was answered."""

    def __init__(self, cloud, url, fifo):
        self.cloud, self.url, self.fifo, self.on = cloud, url, fifo, True
        self.sent, self.deleted, self.maybe, self.again = set(), {}, set(), []  # deleted: when that was known
        self.order = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.send, args=(n,)) for n in range(3)] + [threading.Thread(target=self.receive) for _ in range(2)]
        for t in self.threads:
            t.start()

    def end(self):
        self.on = False
        for t in self.threads:
            t.join()

    def send(self, sender):
        sqs, number = self.cloud.client("sqs"), 0
        while self.on:
            body = f"{sender}:{number:06}"
            more = {"MessageGroupId": str(sender), "MessageDeduplicationId": body} if self.fifo else {}
            try:
                sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)
                with self.lock:
                    self.sent.add(body)
            except (BotoCoreError, ClientError):
                time.sleep(0.02)
                if self.fifo:
                    continue  # the same once more: at most one of it may be there
            number += 1

    def take(self, sqs, most=10):
        began = time.monotonic()
        got = sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=most, VisibilityTimeout=2 if not self.fifo else 5).get("Messages", [])
        with self.lock:
            self.again += [m["Body"] for m in got if self.deleted.get(m["Body"], began) < began]
        return got

    def delete(self, sqs, m):
        try:
            sqs.delete_message(QueueUrl=self.url, ReceiptHandle=m["ReceiptHandle"])
        except BotoCoreError:
            with self.lock:
                self.maybe.add(m["Body"])
            raise
        with self.lock:
            self.deleted[m["Body"]] = time.monotonic()
            self.order.append(m["Body"])

    def left(self):
        return self.sent - set(self.deleted) - self.maybe

    def receive(self):
        sqs = self.cloud.client("sqs")
        while self.on:
            try:
                got = self.take(sqs)
                for m in got[::2] if not self.fifo else got:  # the others come back
                    self.delete(sqs, m)
                if not got:
                    time.sleep(0.02)
            except (BotoCoreError, ClientError):
                time.sleep(0.02)


class Killed(unittest.TestCase):
    def under_load(self, fifo):
        with Cloud() as cloud:
            name, attributes = ("q.fifo", {"FifoQueue": "true"}) if fifo else ("q", {})
            url = cloud.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            load = Load(cloud, url, fifo)
            try:
                for victim in ("api", "main", "api", "api"):
                    before, answered = len(load.sent), time.monotonic() + 60
                    while len(load.sent) < before + 60 or not load.deleted:
                        self.assertLess(time.monotonic(), answered)
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
                load.end()
            sqs, until = cloud.client("sqs"), time.monotonic() + 120
            while load.left():
                self.assertLess(time.monotonic(), until, f"{len(load.left())} of {len(load.sent)} are lost")
                got = load.take(sqs)
                for m in got:
                    try:
                        load.delete(sqs, m)
                    except ClientError:
                        break  # it came when its time was over, and those behind it in its group come again
                if not got:
                    time.sleep(0.1)
            self.assertEqual(load.again, [])
            return load

    def test_standard(self):
        load = self.under_load(False)
        self.assertGreaterEqual(len(load.sent), 240)

    def test_fifo(self):
        load = self.under_load(True)
        for sender in "012":
            mine = [b for b in load.order if b.startswith(sender + ":")]
            self.assertEqual(mine, sorted(set(mine)))


if __name__ == "__main__":
    unittest.main()
