"""HTTP endpoints and functions: confirmation, what they get, what happens when they fail."""
import http.server
import json
import os
import sys
import threading
import time
import unittest
import urllib.request
import uuid

from aws import client
from moving import moving_cloud
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


class Endpoint:
    """A server that notes what it is told and answers with the statuses that it is given, then with 200."""

    def __init__(self, test):
        self.got, self.statuses = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.statuses.pop(0) if outer.statuses else 200
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body.decode(), status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/here?a=b"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)

    def next(self, count=1):
        eventually(lambda: len(self.got) >= count)
        return self.got.pop(0)

    def confirm(self):
        said = json.loads(self.next()[1])
        urllib.request.urlopen(said["SubscribeURL"], timeout=60).read()


class Endpoints(TopicCase):
    def test_life(self):
        topic, there = self.topic(), Endpoint(self)
        self.assertEqual(self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=there.url)["SubscriptionArn"], "pending confirmation")
        headers, body, _ = there.next()
        said = json.loads(body)
        self.assertEqual((headers["x-amz-sns-message-type"], headers["x-amz-sns-topic-arn"], headers["content-type"]), ("SubscriptionConfirmation", topic, "text/plain; charset=UTF-8"))
        self.assertEqual((said["Type"], said["TopicArn"], said["MessageId"]), ("SubscriptionConfirmation", topic, headers["x-amz-sns-message-id"]))
        self.assertTrue(said["Signature"])
        self.assertEqual([s["SubscriptionArn"] for s in self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]], ["PendingConfirmation"])
        self.sns.publish(TopicArn=topic, Message="too early")
        self.assertAwsError("InvalidParameter", self.sns.confirm_subscription, TopicArn=topic, Token="x" * 160, message="token")
        arn = self.sns.confirm_subscription(TopicArn=topic, Token=said["Token"])["SubscriptionArn"]
        self.assertEqual(self.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"], "false")
        published = self.sns.publish(TopicArn=topic, Message="m", Subject="s")
        headers, body, _ = there.next()
        said = json.loads(body)
        self.assertEqual((said["Message"], said["Subject"], said["MessageId"]), ("m", "s", published["MessageId"]))
        self.assertEqual((headers["x-amz-sns-message-type"], headers["x-amz-sns-subscription-arn"]), ("Notification", arn))
        self.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="true")
        self.sns.publish(TopicArn=topic, Message="as it is")
        headers, body, _ = there.next()
        self.assertEqual((body, headers["x-amz-sns-rawdelivery"]), ("as it is", "true"))

    def test_by_link(self):
        topic, there = self.topic(), Endpoint(self)
        self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=there.url)
        there.confirm()
        [s] = self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        self.assertEqual(self.sns.get_subscription_attributes(SubscriptionArn=s["SubscriptionArn"])["Attributes"]["ConfirmationWasAuthenticated"], "false")
        self.sns.publish(TopicArn=topic, Message="m")
        urllib.request.urlopen(json.loads(there.next()[1])["UnsubscribeURL"], timeout=60).read()
        self.assertEqual(self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"], [])

    def test_refusal(self):
        """What an endpoint refuses is not tried again."""
        topic, there, dead = self.topic(), Endpoint(self), self.queue()
        self.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": allow(topic, self.arn(dead))})
        self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=there.url, Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": self.arn(dead)})})
        there.confirm()
        there.statuses = [404]
        self.sns.publish(TopicArn=topic, Message="m")
        self.assertEqual(there.next()[2], 404)
        self.assertEqual(eventually(lambda: self.told(dead)), ["m"])
        self.sns.publish(TopicArn=topic, Message="n")
        self.assertEqual(json.loads(there.next()[1])["Message"], "n")


class Retries(TopicCase):
    def pass_by(self, condition):
        """Moves the clock until it holds."""
        end = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), end)
            self.cloud.forward("601s")
            once_more = time.monotonic() + 15  # what was not put off yet when the clock was moved has to be waited for again
            while not condition() and time.monotonic() < once_more:
                time.sleep(0.05)

    def test_retries(self):
        """As often as the policy says, when its pauses are over; then to the dead-letter queue."""
        self.cloud, made = moving_cloud(self)
        self.sns, self.sqs = made("sns"), made("sqs")
        topic, there, dead = self.topic(), Endpoint(self), self.queue()
        self.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": allow(topic, self.arn(dead))})
        policy = {"healthyRetryPolicy": {"numRetries": 3, "numNoDelayRetries": 1, "minDelayTarget": 600, "maxDelayTarget": 600}}
        self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=there.url,
                           Attributes={"DeliveryPolicy": json.dumps(policy), "RedrivePolicy": json.dumps({"deadLetterTargetArn": self.arn(dead)})})
        there.confirm()
        there.statuses = [500, 503, 429, 500]
        self.sns.publish(TopicArn=topic, Message="m")
        eventually(lambda: len(there.got) == 2)
        for n in (3, 4):
            self.assertEqual(self.told(dead), [])
            self.pass_by(lambda: len(there.got) >= n)
        self.assertEqual(eventually(lambda: self.told(dead)), ["m"])
        self.assertEqual([s for _, _, s in there.got], [500, 503, 429, 500])
        self.assertEqual(len({h["x-amz-sns-message-id"] for h, _, _ in there.got}), 1)
        there.got.clear()
        # A crash between two tries forgets nothing.
        there.statuses = [500, 500]
        self.sns.publish(TopicArn=topic, Message="n")
        eventually(lambda: len(there.got) == 2)
        time.sleep(0.3)
        pid = self.cloud.kill("api")
        self.cloud.wait_for_role("api", pid)
        self.cloud.wait()
        self.pass_by(lambda: len(there.got) >= 3)
        self.assertEqual(json.loads(there.got[2][1])["Message"], "n")


CODE = """
import json
def lambda_handler(event, context):
    print("TOLD", json.dumps(event))
"""


class Functions(LambdaCase):
    def test_function(self):
        sns, sqs, name = client("sns"), client("sqs"), self.make(CODE)
        function = self.aws.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        topic = sns.create_topic(Name="f-" + uuid.uuid4().hex[:8])["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        url = sqs.create_queue(QueueName="f-" + uuid.uuid4().hex[:8])["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=url)
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow(topic, queue)})
        arn = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function, Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": queue})})["SubscriptionArn"]
        # It does not let the topic yet.
        sns.publish(TopicArn=topic, Message="no")
        [m] = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages"))
        self.assertEqual(json.loads(m["Body"])["Records"][0]["Sns"]["Message"], "no")
        self.aws.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic)
        published = sns.publish(TopicArn=topic, Message="yes", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
        logs = client("logs")

        def said():
            try:
                return [e["message"] for e in logs.filter_log_events(logGroupName="/aws/lambda/" + name)["events"] if "TOLD" in e["message"]]
            except logs.exceptions.ResourceNotFoundException:
                return []
        [line] = eventually(said)
        [record] = json.loads(line[line.index("{"):])["Records"]
        self.assertEqual((record["EventSource"], record["EventVersion"], record["EventSubscriptionArn"]), ("aws:sns", "1.0", arn))
        got = record["Sns"]
        self.assertEqual((got["Message"], got["MessageId"], got["TopicArn"], got["Subject"]), ("yes", published["MessageId"], topic, None))
        self.assertEqual(got["MessageAttributes"], {"a": {"Type": "String", "Value": "b"}})


if __name__ == "__main__":
    unittest.main()
