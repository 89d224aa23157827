"""Events whose cloud is killed while they are taken: each one that was acknowledged arrives at each of its targets, schedules go on."""
import json
import os
import sys
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud  # noqa: E402


class Killed(unittest.TestCase):
    def senders(self, cloud, noted, on):
        def send(number):
            events, count = cloud.client("events"), 0
            while on.is_set():
                entries = [{"Source": "shop", "DetailType": "Order", "Detail": json.dumps({"n": f"{number}:{count + i}"})} for i in range(3)]
                try:
                    said = events.put_events(Entries=entries)
                    noted.update(f"{number}:{count + i}" for i, e in enumerate(said["Entries"]) if "EventId" in e)
                except (BotoCoreError, ClientError):
                    time.sleep(0.02)
                count += 3
        threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
        for t in threads:
            t.start()
        return threads

    def test_between_taking_and_delivering(self):
        with Cloud() as cloud:
            sqs, events = cloud.client("sqs"), cloud.client("events")
            urls = []
            for i in range(2):
                arn = f"arn:aws:sqs:us-east-1:000000000000:q{i}"
                policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]}
                urls.append(sqs.create_queue(QueueName=f"q{i}", Attributes={"Policy": json.dumps(policy)})["QueueUrl"])
                events.put_rule(Name=f"r{i}", EventPattern='{"source": ["shop"]}')
                events.put_targets(Rule=f"r{i}", Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.detail.n"}])
            noted, on = set(), threading.Event()
            on.set()
            threads = self.senders(cloud, noted, on)
            try:
                for victim in ("api", "api", "main", "api"):
                    before, until = len(noted), time.monotonic() + 60
                    while len(noted) < before + 60:
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
                on.clear()
                for t in threads:
                    t.join()
            sqs = cloud.client("sqs")
            for url in urls:
                got, until = set(), time.monotonic() + 120
                while noted - got:
                    self.assertLess(time.monotonic(), until, f"{len(noted - got)} of {len(noted)} are lost")
                    for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                        got.add(json.loads(m["Body"]))
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])

    def test_schedules_go_on(self):
        with Cloud() as cloud:
            sqs, events = cloud.client("sqs"), cloud.client("events")
            arn = "arn:aws:sqs:us-east-1:000000000000:q"
            policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]}
            url = sqs.create_queue(QueueName="q", Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
            events.put_rule(Name="r", ScheduleExpression="rate(1 hour)")
            events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
            for _ in range(2):
                pid = cloud.kill("api")
                cloud.wait_for_role("api", pid)
                cloud.wait()
                cloud.forward("61m")
                got, until = [], time.monotonic() + 60
                while not got:
                    self.assertLess(time.monotonic(), until)
                    try:
                        got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
                    except (BotoCoreError, ClientError):
                        time.sleep(0.1)
                self.assertEqual(json.loads(got[0]["Body"])["detail-type"], "Scheduled Event")
                sqs.delete_message(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])


if __name__ == "__main__":
    unittest.main()
