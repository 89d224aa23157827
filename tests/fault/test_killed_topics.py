"""Topics and notifications whose cloud is killed under load: what was published, or uploaded, and acknowledged is told to everybody."""
import http.server
import json
import os
import sys
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud  # noqa: E402

ACCOUNT = "000000000000"


class Endpoint:
    """Notes messages and fails now and then."""

    def __init__(self):
        self.got, self.confirm, outer = [], [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if said["Type"] == "SubscriptionConfirmation":
                    outer.confirm.append(said["Token"])
                else:
                    outer.got.append(said["Message"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Killed(unittest.TestCase):
    def wait(self, condition, what, seconds=180):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def queue(self, name):
        sqs = self.cloud.client("sqs")
        url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}, "Action": "sqs:SendMessage", "Resource": "*"}]})})["QueueUrl"]
        return url, f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"

    def load(self, work):
        """Does work(client, number) again and again; the numbers that were acknowledged."""
        done, on = set(), [True]

        def go(first):
            number, cloud = first, self.cloud
            clients = {name: cloud.client(name) for name in ("sns", "s3")}
            while on[0]:
                try:
                    work(clients, number)
                    done.add(number)
                except (BotoCoreError, ClientError):
                    time.sleep(0.02)
                number += 4
        threads = [threading.Thread(target=go, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()

        def end():
            on[0] = False
            for t in threads:
                t.join()
        return done, end

    def test_killed(self):
        endpoint = Endpoint()
        self.addCleanup(endpoint.close)
        with Cloud() as self.cloud:
            sns, s3, sqs = (self.cloud.client(n) for n in ("sns", "s3", "sqs"))
            topic = sns.create_topic(Name="t")["TopicArn"]
            told, told_arn = self.queue("told")
            uploads, uploads_arn = self.queue("uploads")
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=told_arn, Attributes={"RawMessageDelivery": "true"})
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{endpoint.server.server_port}/")
            self.wait(lambda: endpoint.confirm, "the endpoint is asked")
            sns.confirm_subscription(TopicArn=topic, Token=endpoint.confirm[0])
            s3.create_bucket(Bucket="uploads")
            s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration={"QueueConfigurations": [{"QueueArn": uploads_arn, "Events": ["s3:ObjectCreated:*"]}]})

            def work(clients, number):
                if number % 2:
                    clients["sns"].publish(TopicArn=topic, Message=str(number))
                else:
                    clients["s3"].put_object(Bucket="uploads", Key=str(number), Body=b"x")
            done, end = self.load(work)
            try:
                for victim in ("api", "main", "api"):
                    before = len(done)
                    self.wait(lambda: len(done) >= before + 60, "work goes on")
                    pid = self.cloud.kill(victim)
                    if victim == "main":
                        self.cloud.process.wait()
                        self.cloud.log.close()
                        self.cloud.start()
                    else:
                        self.cloud.wait_for_role("api", pid)
                        self.cloud.wait()
            finally:
                end()
            published, uploaded = {str(n) for n in done if n % 2}, {str(n) for n in done if not n % 2}
            seen = {told: [], uploads: []}

            def take(url):
                sqs = self.cloud.client("sqs")
                for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                    body = json.loads(m["Body"])
                    seen[url] += [r["s3"]["object"]["key"] for r in body.get("Records", [])] if isinstance(body, dict) else [str(body)]
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
            self.wait(lambda: take(told) or published <= set(seen[told]), "the queue has all")
            self.assertEqual(len(seen[told]), len(set(seen[told])))  # in one transaction with the answer: never twice
            self.wait(lambda: take(uploads) or uploaded <= set(seen[uploads]), "the uploads are told")
            self.wait(lambda: published <= set(endpoint.got), "the endpoint is told")


if __name__ == "__main__":
    unittest.main()
