"""What tests of events share: buses and rules of a test's own, queues that take what they match, and waiting for it."""
import json
import time
import uuid

from aws import REGION, TestCase, client

ACCOUNT = "000000000000"
EVENTS_TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "scheduler.amazonaws.com"]},
                                                        "Action": "sts:AssumeRole"}]}


class EventCase(TestCase):
    """of: client() of the cloud that is asked."""
    of = staticmethod(client)

    def setUp(self):
        self.events, self.sqs = self.of("events"), self.of("sqs")

    def name(self, what="e"):
        return f"{what}-{uuid.uuid4().hex[:12]}"

    def bus(self):
        bus = self.name("bus")
        self.events.create_event_bus(Name=bus)
        self.addCleanup(self.drop_bus, bus)
        return bus

    def drop_bus(self, bus):
        for rule in self.events.list_rules(EventBusName=bus)["Rules"]:
            self.drop_rule(rule["Name"], bus)
        self.events.delete_event_bus(Name=bus)

    def drop_rule(self, rule, bus="default"):
        try:
            ids = [t["Id"] for t in self.events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]]
            if ids:
                self.events.remove_targets(Rule=rule, EventBusName=bus, Ids=ids)
            self.events.delete_rule(Name=rule, EventBusName=bus)
        except self.events.exceptions.ResourceNotFoundException:
            pass

    def queue(self, allow=True, **attributes):
        """(URL, ARN) of one that events may be sent to."""
        name = self.name("q")
        if attributes.get("FifoQueue"):
            name += ".fifo"
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        if allow:
            attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]})
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.addCleanup(self.sqs.delete_queue, QueueUrl=url)
        return url, arn

    def rule(self, pattern=None, bus="default", targets=(), **more):
        rule = self.name("rule")
        if pattern is not None:
            more["EventPattern"] = json.dumps(pattern)
        arn = self.events.put_rule(Name=rule, EventBusName=bus, **more)["RuleArn"]
        self.addCleanup(self.drop_rule, rule, bus)
        if targets:
            said = self.events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": str(n), **t} for n, t in enumerate(targets)])
            self.assertEqual(said["FailedEntryCount"], 0)
        return rule, arn

    def put(self, bus="default", source="shop", kind="Order", detail=None, **more):
        said = self.events.put_events(Entries=[{"EventBusName": bus, "Source": source, "DetailType": kind, "Detail": json.dumps(detail or {}), **more}])
        self.assertEqual(said["FailedEntryCount"], 0, said)
        return said["Entries"][0]["EventId"]

    def messages(self, url, count=1, seconds=60):
        """The next ones of a queue, each deleted."""
        got, until = [], time.monotonic() + seconds
        while len(got) < count:
            self.assertLess(time.monotonic(), until, got)
            for m in self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2, MessageAttributeNames=["All"]).get("Messages", []):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
                got.append(m)
        return got

    def heard(self, url, count=1):
        return [json.loads(m["Body"]) for m in self.messages(url, count)]

    def role(self, *allowed):
        iam, name = self.of("iam"), self.name("role")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(EVENTS_TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(allowed)}))

        def drop():
            iam.delete_role_policy(RoleName=name, PolicyName="p")
            iam.delete_role(RoleName=name)
        self.addCleanup(drop)
        return arn


class Listener:
    """Hears what services of one region tell, by a rule and a queue of its own. of: client() of a service there."""

    def __init__(self, test, of, region, source):
        self.test, self.sqs, self.seen = test, of("sqs"), []
        events, name = of("events"), f"hears-{uuid.uuid4().hex[:12]}"
        arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]}
        self.url = self.sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])

        def end():
            events.remove_targets(Rule=name, Ids=["1"])
            events.delete_rule(Name=name)
            self.sqs.delete_queue(QueueUrl=self.url)
        test.addCleanup(end)

    def wait(self, what, kind, seconds=120):
        """The first event of this detail-type for whose detail what() is true."""
        until, at = time.monotonic() + seconds, 0
        while True:
            for at in range(at, len(self.seen)):
                if self.seen[at]["detail-type"] == kind and what(self.seen[at]["detail"]):
                    return self.seen[at]
            at = len(self.seen)
            self.test.assertLess(time.monotonic(), until, [(e["detail-type"], e["detail"]) for e in self.seen])
            for m in self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=m["ReceiptHandle"])
                self.seen.append(json.loads(m["Body"]))
