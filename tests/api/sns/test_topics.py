"""Topics and subscriptions: names, attributes, policies, tags, lists; what is refused and how."""
import json
import unittest
import uuid

import aws
from aws import client, limited_key
from topics import TopicCase, allow


class Topics(TopicCase):
    def test_life(self):
        name = "life-" + uuid.uuid4().hex[:8]
        arn = self.sns.create_topic(Name=name, Attributes={"DisplayName": "x"}, Tags=[{"Key": "a", "Value": "b"}])["TopicArn"]
        self.assertEqual(arn, "arn:aws:sns:us-east-1:000000000000:" + name)
        self.assertEqual(self.sns.create_topic(Name=name, Attributes={"DisplayName": "x"})["TopicArn"], arn)
        self.assertAwsError("InvalidParameter", self.sns.create_topic, Name=name, Attributes={"DisplayName": "y"}, message="already exists with different attributes")
        got = self.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        self.assertEqual([got[k] for k in ("TopicArn", "Owner", "DisplayName", "SubscriptionsConfirmed", "SubscriptionsPending")], [arn, "000000000000", "x", "0", "0"])
        self.assertEqual(json.loads(got["Policy"])["Statement"][0]["Sid"], "__default_statement_ID")
        self.assertEqual(json.loads(got["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"], 3)
        self.sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="z")
        self.assertEqual(self.sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"], "z")
        self.assertIn(arn, [t["TopicArn"] for page in self.sns.get_paginator("list_topics").paginate() for t in page["Topics"]])
        self.sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}, {"Key": "a", "Value": "e"}])
        self.sns.untag_resource(ResourceArn=arn, TagKeys=["c"])
        self.assertEqual(self.sns.list_tags_for_resource(ResourceArn=arn)["Tags"], [{"Key": "a", "Value": "e"}])
        self.sns.delete_topic(TopicArn=arn)
        self.sns.delete_topic(TopicArn=arn)
        self.assertAwsError("NotFound", self.sns.get_topic_attributes, TopicArn=arn, status=404, message="Topic does not exist")
        self.assertAwsError("ResourceNotFound", self.sns.list_tags_for_resource, ResourceArn=arn, status=404)

    def test_refused(self):
        for name, attributes in (("a b", {}), ("a.fifo", {}), ("a", {"FifoTopic": "true"}), ("", {}), ("n", {"KmsMasterKeyId": "alias/x"}), ("n", {"Nothing": "x"}),
                                 ("n", {"Policy": "{}x"}), ("n", {"SignatureVersion": "3"}), ("n", {"ContentBasedDeduplication": "true"}),
                                 ("n", {"DeliveryPolicy": json.dumps({"http": {"defaultHealthyRetryPolicy": {"numRetries": 200}}})})):
            self.assertAwsError("InvalidParameter", self.sns.create_topic, Name=name, Attributes=attributes, status=400)
        topic = self.topic()
        for protocol, endpoint in (("email", "a@example.com"), ("sms", "+4912345"), ("application", "arn:aws:sns:us-east-1:000000000000:endpoint/x"), ("smoke", "x"),
                                   ("sqs", "queue"), ("lambda", "arn:aws:lambda:us-east-1:000000000000:layer:x"), ("http", "https://example.com/"), ("https", "example.com")):
            self.assertAwsError("InvalidParameter", self.sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint, status=400)
        self.assertAwsError("AuthorizationError", self.sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:111111111111:q", status=403)
        self.assertAwsError("NotFound", self.sns.publish, TopicArn=topic + "x", Message="m", message="Topic does not exist")
        self.assertAwsError("InvalidParameter", self.sns.publish, PhoneNumber="+491234567", Message="m")
        for more in ({"Message": ""}, {"Message": "x" * 262145}, {"Message": "m", "Subject": "s" * 101}, {"Message": "m", "Subject": "a\nb"},
                     {"Message": "x", "MessageStructure": "json"}, {"Message": "{\"sqs\":\"x\"}", "MessageStructure": "json"}, {"Message": "m", "MessageDeduplicationId": "d"}):
            self.assertAwsError("InvalidParameter", self.sns.publish, TopicArn=topic, **more)
        for attribute in ({"DataType": "Smoke", "StringValue": "x"}, {"DataType": "Number", "StringValue": "x"}):
            self.assertAwsError("ParameterValueInvalid", self.sns.publish, TopicArn=topic, Message="m", MessageAttributes={"a": attribute})
        self.assertAwsError("NotFound", self.sns.get_subscription_attributes, SubscriptionArn=topic + ":" + str(uuid.uuid4()), status=404)
        self.assertAwsError("InvalidParameter", self.sns.set_topic_attributes, TopicArn=topic, AttributeName="Owner", AttributeValue="x")

    def test_subscriptions(self):
        topic = self.topic()
        url, arn = self.listener(topic, attributes={"RawMessageDelivery": "true"})
        queue = self.arn(url)
        self.assertTrue(arn.startswith(topic + ":"))
        self.assertEqual(self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})["SubscriptionArn"], arn)
        self.assertAwsError("InvalidParameter", self.sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "false"},
                            message="already exists with different attributes")
        got = self.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        self.assertEqual([got[k] for k in ("Protocol", "Endpoint", "TopicArn", "Owner", "PendingConfirmation", "ConfirmationWasAuthenticated", "RawMessageDelivery")],
                         ["sqs", queue, topic, "000000000000", "false", "true", "true"])
        self.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="false")
        self.assertEqual(self.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["RawMessageDelivery"], "false")
        wanted = {"SubscriptionArn": arn, "Owner": "000000000000", "Protocol": "sqs", "Endpoint": queue, "TopicArn": topic}
        self.assertEqual(self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"], [wanted])
        self.assertIn(wanted, [s for page in self.sns.get_paginator("list_subscriptions").paginate() for s in page["Subscriptions"]])
        self.sns.unsubscribe(SubscriptionArn=arn)
        self.sns.unsubscribe(SubscriptionArn=arn)
        self.assertEqual(self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"], [])

    def test_pages(self):
        topic = self.topic()
        arns = {self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:000000000000:none-{i}")["SubscriptionArn"] for i in range(130)}
        first = self.sns.list_subscriptions_by_topic(TopicArn=topic)
        second = self.sns.list_subscriptions_by_topic(TopicArn=topic, NextToken=first["NextToken"])
        self.assertEqual((len(first["Subscriptions"]), len(second["Subscriptions"])), (100, 30))
        self.assertNotIn("NextToken", second)
        self.assertEqual({s["SubscriptionArn"] for s in first["Subscriptions"] + second["Subscriptions"]}, arns)

    def test_permissions(self):
        topic = self.topic()
        other = client("sns", **limited_key(self, {"Effect": "Allow", "Action": "sns:Subscribe", "Resource": "*",
                                                   "Condition": {"StringEquals": {"sns:Protocol": "https"}}}))
        self.assertAwsError("AuthorizationError", other.publish, TopicArn=topic, Message="m", status=403)
        self.assertAwsError("AuthorizationError", other.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:q")
        stranger = client("sns", key="111111111111", secret="test")
        self.assertAwsError("AuthorizationError", stranger.publish, TopicArn=topic, Message="m")
        self.sns.add_permission(TopicArn=topic, Label="them", AWSAccountId=["111111111111"], ActionName=["Publish"])
        stranger.publish(TopicArn=topic, Message="m")
        self.assertAwsError("InvalidParameter", self.sns.add_permission, TopicArn=topic, Label="them", AWSAccountId=["111111111111"], ActionName=["Publish"],
                            message="already exists")
        self.assertAwsError("InvalidParameter", self.sns.add_permission, TopicArn=topic, Label="x", AWSAccountId=["111111111111"], ActionName=["Smoke"])
        self.sns.remove_permission(TopicArn=topic, Label="them")
        self.assertAwsError("AuthorizationError", stranger.publish, TopicArn=topic, Message="m")


if __name__ == "__main__":
    unittest.main()
