"""Filter policies: the language, on attributes and on bodies; its limits."""
import datetime
import json
import unittest

from aws import client
from topics import TopicCase, allow


def text(*values):
    return {"DataType": "String", "StringValue": values[0]} if len(values) == 1 else {"DataType": "String.Array", "StringValue": json.dumps(values)}


def number(value):
    return {"DataType": "Number", "StringValue": str(value)}


class Filters(TopicCase):
    def setUp(self):
        super().setUp()
        self.of = self.topic()
        self.url, self.sub = self.listener(self.of, attributes={"RawMessageDelivery": "true"})

    def filter(self, policy, scope="MessageAttributes"):
        for name, value in (("FilterPolicy", "{}"), ("FilterPolicyScope", scope), ("FilterPolicy", json.dumps(policy))):
            self.sns.set_subscription_attributes(SubscriptionArn=self.sub, AttributeName=name, AttributeValue=value)

    def passed(self, *messages):
        """Which of the messages (attributes, or bodies) come."""
        for at in range(0, len(messages), 10):
            entries = [{"Id": str(i), "Message": m if isinstance(m, str) else f"{i}", **({} if isinstance(m, str) else {"MessageAttributes": m})}
                       for i, m in list(enumerate(messages))[at:at + 10]]
            self.sns.publish_batch(TopicArn=self.of, PublishBatchRequestEntries=entries)
        got = []
        while True:
            some = self.receive(self.url)
            self.delete(self.url, *some)
            if not some:
                return sorted(got)
            got += [messages.index(m["Body"]) if m["Body"] in messages else int(m["Body"]) for m in some]

    def test_attributes(self):
        cases = [
            ({"a": ["x", "y"]}, [{"a": text("x")}, {"a": text("z")}, {}, {"a": text("y"), "b": text("q")}, {"a": text("q", "y")}], [0, 3, 4]),
            ({"a": [1.5]}, [{"a": number("1.50")}, {"a": text("1.5")}, {"a": number(2)}], [0]),
            ({"a": [{"prefix": "ab"}]}, [{"a": text("abc")}, {"a": text("ba")}], [0]),
            ({"a": [{"suffix": "bc"}]}, [{"a": text("abc")}, {"a": text("ba")}], [0]),
            ({"a": [{"equals-ignore-case": "AbC"}]}, [{"a": text("aBc")}, {"a": text("ab")}], [0]),
            ({"a": [{"anything-but": ["x", "y"]}]}, [{"a": text("z")}, {"a": text("x")}, {}, {"a": text("x", "z")}, {"a": number(1)}], [0, 3, 4]),
            ({"a": [{"anything-but": {"prefix": "x"}}]}, [{"a": text("z")}, {"a": text("xa")}], [0]),
            ({"a": [{"anything-but": {"suffix": ["x", "y"]}}]}, [{"a": text("z")}, {"a": text("ax")}], [0]),
            ({"a": [{"anything-but": 5}]}, [{"a": number(5)}, {"a": number(6)}], [1]),
            ({"a": [{"numeric": [">", 0, "<=", 5]}]}, [{"a": number(0)}, {"a": number(0.1)}, {"a": number(5)}, {"a": number(6)}, {"a": text("3")}], [1, 2]),
            ({"a": [{"numeric": ["=", -3]}]}, [{"a": number(-3)}, {"a": number(3)}], [0]),
            ({"a": [{"exists": True}]}, [{"a": text("x")}, {}], [0]),
            ({"a": [{"exists": False}]}, [{"a": text("x")}, {}, {"b": text("x")}], [1, 2]),
            ({"a": [{"cidr": "10.1.0.0/20"}]}, [{"a": text("10.1.15.1")}, {"a": text("10.1.16.1")}, {"a": text("smoke")}], [0]),
            ({"a": [{"cidr": "2001:db8::/32"}]}, [{"a": text("2001:db8::1")}, {"a": text("2001:db9::1")}, {"a": text("10.0.0.1")}], [0]),
            ({"a": ["x"], "b": ["y"]}, [{"a": text("x")}, {"a": text("x"), "b": text("y")}], [1]),
            ({"c": ["z"], "$or": [{"a": ["x"]}, {"b": [{"numeric": [">", 1]}]}]},
             [{"c": text("z"), "a": text("x")}, {"c": text("z"), "b": number(2)}, {"c": text("z")}, {"a": text("x")}], [0, 1]),
            ({"a": ["x"]}, [{"a": {"DataType": "Binary", "BinaryValue": b"x"}}], []),
            ({"a": [True, None]}, [{"a": text("x", True)}, {"a": text("x", None)}, {"a": text("x", "y")}], [0, 1]),
        ]
        for policy, messages, wanted in cases:
            with self.subTest(policy=policy):
                self.filter(policy)
                self.assertEqual(self.passed(*messages), wanted)

    def test_bodies(self):
        cases = [
            ({"a": {"b": ["x"]}}, [{"a": {"b": "x"}}, {"a": {"b": "y"}}, {"a": "x"}, {"a": {"b": ["y", "x"]}}, {"a": [{"b": "z"}, {"b": "x"}]}], [0, 3, 4]),
            ({"a": [True]}, [{"a": True}, {"a": "true"}, {"a": False}], [0]),
            ({"a": [None]}, [{"a": None}, {}, {"a": 0}], [0]),
            ({"a": {"b": [{"exists": False}]}}, [{"a": {}}, {}, {"a": {"b": 1}}], [0, 1]),
            ({"a": {"b": [1], "c": [2]}}, [{"a": [{"b": 1}, {"c": 2}]}, {"a": [{"b": 1, "c": 2}]}], [1]),
            ({"a": {"$or": [{"b": [1]}, {"c": [{"prefix": "x"}]}]}}, [{"a": {"b": 1}}, {"a": {"c": "xy"}}, {"a": {"c": "y"}}], [0, 1]),
        ]
        for policy, messages, wanted in cases:
            with self.subTest(policy=policy):
                self.filter(policy, "MessageBody")
                self.assertEqual(self.passed(*map(json.dumps, messages), "no json", "[1]"), wanted)

    def test_metrics(self):
        """What is published, told, left out and buried is counted by topic."""
        now = datetime.datetime.now(datetime.timezone.utc)

        def sums(*names):
            cloudwatch, by = client("cloudwatch"), [{"Name": "TopicName", "Value": self.of.rpartition(":")[2]}]
            got = [cloudwatch.get_metric_statistics(Namespace="AWS/SNS", MetricName=n, Dimensions=by, StartTime=now - datetime.timedelta(hours=1),
                                                    EndTime=now + datetime.timedelta(hours=1), Period=86400, Statistics=["Sum"])["Datapoints"] for n in names]
            return [sum(p["Sum"] for p in points) for points in got]
        self.filter({"a": ["x"]})
        self.assertEqual(self.passed({"a": text("x")}, {"a": text("y")}, {}), [0])
        self.filter({"a": ["x"]}, "MessageBody")
        self.assertEqual(self.passed('{"a": "x"}', '{"a": "y"}', "xy"), [0])
        self.assertEqual(sums("NumberOfMessagesPublished", "PublishSize", "NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"), [6, 1 + 8 + 1 + 8 + 1 + 10 + 10 + 2, 2, 0])
        self.assertEqual(sums("NumberOfNotificationsFilteredOut", "NumberOfNotificationsFilteredOut-MessageAttributes", "NumberOfNotificationsFilteredOut-NoMessageAttributes",
                              "NumberOfNotificationsFilteredOut-MessageBody", "NumberOfNotificationsFilteredOut-InvalidMessageBody"), [4, 1, 1, 1, 1])
        dead = self.queue()
        self.sns.set_subscription_attributes(SubscriptionArn=self.sub, AttributeName="FilterPolicy", AttributeValue="{}")
        self.sns.set_subscription_attributes(SubscriptionArn=self.sub, AttributeName="RedrivePolicy", AttributeValue=json.dumps({"deadLetterTargetArn": self.arn(dead)}))
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": ""})
        self.sns.publish(TopicArn=self.of, Message="m")
        self.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": allow(self.of, self.arn(dead))})
        self.sns.publish(TopicArn=self.of, Message="n")
        self.assertEqual(self.bodies(dead), ["n"])
        self.assertEqual(sums("NumberOfNotificationsFailed", "NumberOfNotificationsRedrivenToDlq", "NumberOfNotificationsFailedToRedriveToDlq"), [2, 1, 1])

    def test_refused(self):
        many = {str(i): ["x"] for i in range(6)}
        wrong = [({"a": "x"}, "array"), ({"a": []}, "Empty arrays"), ({"a": [{"smoke": 1}]}, "Unrecognized match type"), ({"a": [["x"]]}, "must be String"),
                 ({"a": {"b": ["x"]}}, "nested"), (many, "more than 5 keys"), ({"a": ["x"] * 6, "b": ["x"] * 6, "c": ["x"] * 6}, "too complex"),
                 ({"a": [{"numeric": ["<", 1, ">", 2]}]}, "range"), ({"a": [{"numeric": [">", 2, "<", 1]}]}, "less"), ({"a": [{"cidr": "x"}]}, "CIDR"),
                 ({"a": [{"exists": "x"}]}, "exists"), ({"a": [{"prefix": 1}]}, "string"), ({"$or": [{"a": ["x"]}]}, "$or"), ({"a": [{"anything-but": ["x", 1]}]}, "mixed")]
        for policy, said in wrong:
            with self.subTest(policy=policy):
                self.assertAwsError("InvalidParameter", self.sns.set_subscription_attributes, SubscriptionArn=self.sub, AttributeName="FilterPolicy",
                                    AttributeValue=json.dumps(policy), message=said)
        self.assertAwsError("InvalidParameter", self.sns.set_subscription_attributes, SubscriptionArn=self.sub, AttributeName="FilterPolicy", AttributeValue="x")
        self.assertAwsError("InvalidParameter", self.sns.set_subscription_attributes, SubscriptionArn=self.sub, AttributeName="FilterPolicyScope", AttributeValue="x")


if __name__ == "__main__":
    unittest.main()
