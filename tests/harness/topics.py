"""What tests of topics share: topics, queues that may be told by them, and reading what came."""
import json
import uuid

from aws import client
from queues import QueueCase


def allow(topic_arn, queue_arn, service="sns.amazonaws.com"):
    """A queue's policy that lets a topic (or another service's resource) send."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}}}]})


class TopicCase(QueueCase):
    def setUp(self):
        super().setUp()
        self.sns = getattr(self, "sns", None) or client("sns")

    def topic(self, fifo=False, sns=None, **attributes):
        sns = sns or self.sns
        name = "t-" + uuid.uuid4().hex[:12] + (".fifo" if fifo else "")
        if fifo:
            attributes["FifoTopic"] = "true"
        arn = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=arn)
        return arn

    def listener(self, topic, fifo=False, attributes=None, allowed=True, **queue):
        """(the address of a queue that is subscribed, the subscription's ARN)"""
        url = self.queue(fifo=fifo, **queue)
        arn = self.arn(url)
        if allowed:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow(topic, arn)})
        said = self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes or {}, ReturnSubscriptionArn=True)
        return url, said["SubscriptionArn"]

    def told(self, url, most=10):
        """The messages of the notifications in a queue, which go."""
        got = self.receive(url, most)
        self.delete(url, *got)
        return [json.loads(m["Body"])["Message"] for m in got]
