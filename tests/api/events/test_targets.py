"""Events on their way: to queues, functions, log groups and other buses, what each gets, who may send, and what becomes of those that nobody takes."""
import io
import json
import time
import unittest
import zipfile

from aws import REGION
from happenings import ACCOUNT, EventCase

LAMBDA_TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
CODE = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""


class Targets(EventCase):
    def test_an_event(self):
        url, arn = self.queue()
        bus = self.bus()
        self.rule({"source": ["shop"], "detail": {"n": [{"numeric": [">", 3]}]}}, bus, [{"Arn": arn}])
        self.put(bus, detail={"n": 2})
        event = self.put(bus, detail={"n": 4, "x": "é"}, Resources=["arn:a"], Time=1767225600)
        self.assertEqual(self.heard(url), [{"version": "0", "id": event, "detail-type": "Order", "source": "shop", "account": ACCOUNT, "time": "2026-01-01T00:00:00Z", "region": REGION,
                                            "resources": ["arn:a"], "detail": {"n": 4, "x": "é"}}])

    def test_what_is_not_taken(self):
        good = {"Source": "s", "DetailType": "t", "Detail": "{}"}
        said = self.events.put_events(Entries=[good, {**good, "Source": ""}, {k: v for k, v in good.items() if k != "Detail"}, {**good, "Detail": "[]"}, {**good, "Source": "aws.x"}])
        self.assertEqual(said["FailedEntryCount"], 4)
        self.assertEqual([e.get("ErrorCode") for e in said["Entries"]], [None, "InvalidArgument", "InvalidArgument", "MalformedDetail", "NotAuthorizedForSourceException"])
        self.assertEqual(said["Entries"][2]["ErrorMessage"], "Parameter Detail is not valid. Reason: Detail is a required argument.")
        self.assertAwsError("ValidationException", self.events.put_events, Entries=[{**good, "Detail": json.dumps({"a": "x" * (1 << 20)})}])
        self.assertAwsError("ValidationException", self.events.put_events, Entries=[good] * 11)

    def test_too_much_at_once(self):
        bus, (url, arn) = self.bus(), self.queue()
        for _ in range(14):
            self.rule({"source": ["shop"]}, bus, [{"Arn": arn, "Input": "1"}] * 5)
        large = {"EventBusName": bus, "Source": "shop", "DetailType": "t", "Detail": json.dumps({"a": "x" * 1000000})}
        self.assertAwsError("ThrottlingException", self.events.put_events, Entries=[large], status=400)
        self.put(bus)
        self.messages(url, 70)
        self.assertNotIn("Messages", self.sqs.receive_message(QueueUrl=url))

    def test_inputs(self):
        bus = self.bus()
        for target, want in (({"Input": '{"fixed": true}'}, '{"fixed": true}'), ({"InputPath": "$.detail.list[1]"}, '"b"'), ({"InputPath": "$.detail.none"}, "null"),
                             ({"InputTransformer": {"InputPathsMap": {"who": "$.detail.who", "n": "$.detail.n"}, "InputTemplate": '{"text": "<who> has <n>", "n": <n>, "rule": <aws.events.rule-name>}'}},
                              '{"text": "Ann has 3", "n": 3, "rule": "RULE"}'),
                             ({"InputTransformer": {"InputPathsMap": {"who": "$.detail.who"}, "InputTemplate": '"hello <who>"'}}, '"hello Ann"')):
            with self.subTest(target=target):
                url, arn = self.queue()
                kind = self.name()
                rule, _ = self.rule({"detail-type": [kind]}, bus, [{"Arn": arn, **target}])
                self.put(bus, kind=kind, detail={"who": "Ann", "n": 3, "list": ["a", "b"]})
                self.assertEqual(self.messages(url)[0]["Body"], want.replace("RULE", rule))

    def test_a_group_of_a_fifo_queue(self):
        url, arn = self.queue(FifoQueue="true", ContentBasedDeduplication="true")
        bus = self.bus()
        self.rule({"source": ["shop"]}, bus, [{"Arn": arn, "SqsParameters": {"MessageGroupId": "g"}}])
        event = self.put(bus)
        self.assertEqual(self.heard(url)[0]["id"], event)

    def test_a_topic(self):
        url, arn = self.queue()
        sns = self.of("sns")
        topic = sns.create_topic(Name=self.name("t"))["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]})})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic}]}))
        bus = self.bus()
        rule, _ = self.rule({"source": ["shop"]}, bus, [{"Arn": topic, "InputPath": "$.detail"}])
        self.put(bus, detail={"n": 1})
        self.assertEqual(self.heard(url), [{"n": 1}])
        self.assertAwsError("ValidationException", self.events.put_targets, Rule=rule, EventBusName=bus, Targets=[{"Id": "x", "Arn": topic + ".fifo"}])

    def test_another_bus(self):
        url, arn = self.queue()
        first, second, third = self.bus(), self.bus(), self.bus()
        bus_arn = lambda name: f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"  # noqa: E731
        role = self.role({"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus_arn(second)})
        self.rule({"source": ["shop"]}, first, [{"Arn": bus_arn(second), "RoleArn": role}])
        self.rule({"source": ["shop"]}, second, [{"Arn": arn}, {"Arn": bus_arn(third)}])
        self.rule({"source": ["shop"]}, third, [{"Arn": arn}])
        event = self.put(first, detail={"way": 1})
        self.assertEqual([e["id"] for e in self.heard(url)], [event])
        self.put(second, detail={"way": 2})  # one step is allowed: it comes by both
        self.assertEqual([e["detail"]["way"] for e in self.heard(url, 2)], [2, 2])

    def test_dead_letters(self):
        dead, dead_arn = self.queue()
        _, closed = self.queue(allow=False)
        bus = self.bus()
        gone = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name()}"
        role = self.role({"Effect": "Deny", "Action": "*", "Resource": "*"})
        for arn, more, code in ((closed, {}, "NO_PERMISSIONS"), (gone, {"RoleArn": self.role({"Effect": "Allow", "Action": "*", "Resource": "*"})}, "NO_RESOURCE"), (closed, {"RoleArn": role}, "NO_PERMISSIONS"),
                                (closed, {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none-such"}, "NO_PERMISSIONS")):
            with self.subTest(arn=arn, more=more):
                kind = self.name()
                _, rule = self.rule({"detail-type": [kind]}, bus, [{"Arn": arn, "DeadLetterConfig": {"Arn": dead_arn}, **more}])
                event = self.put(bus, kind=kind)
                letter = self.messages(dead)[0]
                said = {k: v["StringValue"] for k, v in letter["MessageAttributes"].items()}
                self.assertEqual((said["RULE_ARN"], said["TARGET_ARN"], said["ERROR_CODE"], said["RETRY_ATTEMPTS"]), (rule, arn, code, "0"))
                self.assertEqual(json.loads(letter["Body"])["id"], event)

    def test_a_log_group(self):
        logs, group = self.of("logs"), "/aws/events/" + self.name()
        logs.create_log_group(logGroupName=group)
        self.addCleanup(logs.delete_log_group, logGroupName=group)
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
        policy = self.name("p")
        logs.put_resource_policy(policyName=policy, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": arn + ":*"}]}))
        self.addCleanup(logs.delete_resource_policy, policyName=policy)
        bus = self.bus()
        self.rule({"source": ["shop"]}, bus, [{"Arn": arn}])
        sent = {self.put(bus), self.put(bus)}
        until = time.monotonic() + 60
        while {json.loads(e["message"])["id"] for e in logs.filter_log_events(logGroupName=group)["events"]} != sent:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def test_a_function(self):
        iam, functions, name = self.of("iam"), self.of("lambda"), self.name("f")
        url, _ = self.queue()
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST))["Role"]["Arn"]
        self.addCleanup(iam.delete_role, RoleName=name)
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sqs:*", "logs:*"], "Resource": "*"}]}))
        self.addCleanup(iam.delete_role_policy, RoleName=name, PolicyName="p")
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            z.writestr(zipfile.ZipInfo("f.py", (2026, 1, 1, 0, 0, 0)), CODE)
        function = functions.create_function(FunctionName=name, Runtime="python3.12", Handler="f.handler", Role=role, Code={"ZipFile": out.getvalue()}, Timeout=60, MemorySize=512,
                                             Environment={"Variables": {"QUEUE": url}})["FunctionArn"]
        self.addCleanup(functions.delete_function, FunctionName=name)
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        bus = self.bus()
        dead, dead_arn = self.queue()
        _, rule = self.rule({"source": ["shop"]}, bus, [{"Arn": function, "DeadLetterConfig": {"Arn": dead_arn}}])
        self.put(bus)
        self.assertEqual(self.messages(dead)[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"], "NO_PERMISSIONS")
        functions.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com", SourceArn=rule)
        event = self.put(bus)
        self.assertEqual(self.heard(url)[0]["id"], event)


if __name__ == "__main__":
    unittest.main()
