"""Buses, rules and targets as such: names, lists, tags, policies, what is refused; and patterns that are tried."""
import json
import unittest

from aws import REGION, aws_programs, limited_key, run
from happenings import ACCOUNT, EventCase

EVENT = {"version": "0", "id": "1", "detail-type": "T", "source": "s", "account": ACCOUNT, "time": "2026-01-01T00:00:00Z", "region": REGION, "resources": [], "detail": {"n": 5}}


class Buses(EventCase):
    def test_life_of_a_bus(self):
        bus = self.bus()
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}"
        said = self.events.describe_event_bus(Name=bus)
        self.assertEqual((said["Name"], said["Arn"]), (bus, arn))
        self.assertNotIn("Policy", said)
        self.assertEqual(self.events.describe_event_bus(Name=arn)["Name"], bus)
        self.assertEqual(self.events.describe_event_bus()["Arn"], f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default")
        self.assertEqual([b["Name"] for b in self.events.list_event_buses(NamePrefix=bus)["EventBuses"]], [bus])
        self.assertIn("default", [b["Name"] for b in self.events.list_event_buses(NamePrefix="def")["EventBuses"]])
        self.assertAwsError("ResourceAlreadyExistsException", self.events.create_event_bus, Name=bus, status=400)
        self.assertAwsError("ResourceAlreadyExistsException", self.events.create_event_bus, Name="default")
        self.assertAwsError("ValidationException", self.events.create_event_bus, Name="a/b")
        self.assertAwsError("ValidationException", self.events.delete_event_bus, Name="default")
        self.assertAwsError("ResourceNotFoundException", self.events.describe_event_bus, Name="none-such", message="Event bus none-such does not exist.")
        self.events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.events.untag_resource(ResourceARN=arn, TagKeys=["a"])
        self.assertEqual(self.events.list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "b", "Value": "2"}])
        self.rule({"source": ["x"]}, bus)
        self.assertAwsError("ValidationException", self.events.delete_event_bus, Name=bus)

    def test_rules(self):
        rule, arn = self.rule({"source": ["x"]}, Description="d", Tags=[{"Key": "k", "Value": "v"}])
        self.assertEqual(arn, f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}")
        said = self.events.describe_rule(Name=rule)
        said.pop("ResponseMetadata")
        self.assertEqual(said, {"Name": rule, "Arn": arn, "EventPattern": '{"source": ["x"]}', "State": "ENABLED", "Description": "d", "EventBusName": "default", "CreatedBy": ACCOUNT})
        self.assertEqual(self.events.list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "k", "Value": "v"}])
        self.events.disable_rule(Name=rule)
        self.assertEqual([r["State"] for r in self.events.list_rules(NamePrefix=rule)["Rules"]], ["DISABLED"])
        self.events.enable_rule(Name=rule)
        self.events.put_rule(Name=rule, ScheduleExpression="rate(5 minutes)", State="DISABLED")
        said = self.events.describe_rule(Name=rule)
        self.assertEqual((said["ScheduleExpression"], said["State"], "EventPattern" in said, "Description" in said), ("rate(5 minutes)", "DISABLED", False, False))
        bus = self.bus()
        other, arn = self.rule({"source": ["x"]}, bus)
        self.assertEqual(arn, f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{bus}/{other}")
        self.assertEqual(self.events.list_tags_for_resource(ResourceARN=arn)["Tags"], [])
        self.assertAwsError("ResourceNotFoundException", self.events.describe_rule, Name=other, message=f"Rule {other} does not exist on EventBus default.")
        self.events.delete_rule(Name="none-such")

    def test_pages(self):
        bus = self.bus()
        names = sorted(self.rule({"source": ["x"]}, bus)[0] for _ in range(5))
        first = self.events.list_rules(EventBusName=bus, Limit=2)
        self.assertEqual([r["Name"] for r in first["Rules"]], names[:2])
        second = self.events.list_rules(EventBusName=bus, Limit=3, NextToken=first["NextToken"])
        self.assertEqual([r["Name"] for r in second["Rules"]], names[2:])
        self.assertNotIn("NextToken", second)

    def test_wrong_rules(self):
        put, name = self.events.put_rule, self.name()
        self.assertAwsError("ValidationException", put, Name=name, message="Parameter(s) EventPattern or ScheduleExpression must be specified.", status=400)
        for wrong in ("rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "cron(0 12 * * *)", "cron(0 12 * * * *)", "cron(0 12 ? * ? *)", "at(2030-01-01T00:00:00)", "daily"):
            self.assertAwsError("ValidationException", put, Name=name, ScheduleExpression=wrong, message="Parameter ScheduleExpression is not valid.")
        self.assertAwsError("ValidationException", put, Name=name, ScheduleExpression="rate(1 day)", EventBusName=self.bus(), message="only on the default event bus")
        for wrong in ("x", "[]", '{"source":"a"}', '{"source":[{"like":"a"}]}', '{"source":[]}'):
            self.assertAwsError("InvalidEventPatternException", put, Name=name, EventPattern=wrong, message="Event pattern is not valid. Reason: ", status=400)
        self.assertAwsError("ResourceNotFoundException", put, Name=name, EventPattern='{"source":["a"]}', EventBusName="none-such")
        self.assertAwsError("ValidationException", put, Name="a b", EventPattern='{"source":["a"]}')

    def test_targets(self):
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:some"
        rule, _ = self.rule({"source": ["x"]}, targets=[{"Arn": queue, "Input": '{"a": 1}'}, {"Arn": queue}])
        self.assertEqual(self.events.list_targets_by_rule(Rule=rule)["Targets"], [{"Id": "0", "Arn": queue, "Input": '{"a": 1}'}, {"Id": "1", "Arn": queue}])
        self.assertIn(rule, self.events.list_rule_names_by_target(TargetArn=queue)["RuleNames"])
        self.assertAwsError("ValidationException", self.events.delete_rule, Name=rule, message="Rule can't be deleted since it has targets.")
        put = lambda **t: self.events.put_targets(Rule=rule, Targets=[{"Id": "9", "Arn": queue, **t}])  # noqa: E731
        for wrong in ({"Arn": "nothing"}, {"Arn": "arn:aws:states:us-east-1:000000000000:stateMachine:x"}, {"Input": "{"}, {"InputPath": "detail"}, {"Input": "{}", "InputPath": "$"},
                      {"InputTransformer": {"InputTemplate": "<a>"}}, {"KinesisParameters": {"PartitionKeyPath": "$"}}, {"SqsParameters": {"MessageGroupId": "a"}},
                      {"DeadLetterConfig": {"Arn": "arn:aws:sns:us-east-1:000000000000:x"}}, {"Arn": queue + ".fifo"},
                      {"Arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c", "EcsParameters": {"TaskDefinitionArn": "x"}}):
            with self.subTest(wrong=wrong):
                self.assertAwsError("ValidationException", put, **wrong)
        self.assertAwsError("LimitExceededException", self.events.put_targets, Rule=rule, Targets=[{"Id": f"t{n}", "Arn": queue} for n in range(4)])
        self.assertEqual(len(self.events.list_targets_by_rule(Rule=rule)["Targets"]), 2)
        said = self.events.remove_targets(Rule=rule, Ids=["0", "7"])
        self.assertEqual((said["FailedEntryCount"], said["FailedEntries"][0]["TargetId"]), (1, "7"))
        self.assertEqual([t["Id"] for t in self.events.list_targets_by_rule(Rule=rule)["Targets"]], ["1"])

    def test_patterns(self):
        test = lambda pattern, event=EVENT: self.events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]  # noqa: E731
        self.assertTrue(test({"source": ["s"], "detail": {"n": [{"numeric": [">", 4, "<", 6]}]}}))
        self.assertFalse(test({"source": [{"anything-but": ["s"]}]}))
        self.assertAwsError("InvalidEventPatternException", self.events.test_event_pattern, EventPattern='{"source": {}}', Event=json.dumps(EVENT))
        self.assertAwsError("ValidationException", self.events.test_event_pattern, EventPattern='{"source": ["s"]}', Event="{}")

    def test_permissions(self):
        bus = self.bus()
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}"
        self.events.put_permission(EventBusName=bus, Action="events:PutEvents", Principal="111122223333", StatementId="one")
        self.events.put_permission(EventBusName=bus, Action="events:PutEvents", Principal="*", StatementId="two",
                                   Condition={"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"})
        said = json.loads(self.events.describe_event_bus(Name=bus)["Policy"])["Statement"]
        self.assertEqual(said[0], {"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "events:PutEvents", "Resource": arn})
        self.assertEqual(said[1]["Condition"], {"StringEquals": {"aws:PrincipalOrgID": "o-1"}})
        other = self.of("events", key="111122223333", secret="test")
        entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": arn}
        self.assertEqual(other.put_events(Entries=[entry])["FailedEntryCount"], 0)
        self.events.remove_permission(EventBusName=bus, StatementId="one")
        self.assertAwsError("AccessDeniedException", other.put_events, Entries=[entry])
        self.assertAwsError("ResourceNotFoundException", self.events.remove_permission, EventBusName=bus, StatementId="one")
        self.events.remove_permission(EventBusName=bus, RemoveAllPermissions=True)
        self.assertNotIn("Policy", self.events.describe_event_bus(Name=bus))
        self.assertAwsError("ValidationException", self.events.put_permission, EventBusName=bus, Policy="{}")

    def test_who_may_put(self):
        bus = self.bus()
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}"
        key = limited_key(self, {"Effect": "Allow", "Action": "events:PutEvents", "Resource": arn, "Condition": {"StringEquals": {"events:source": "mine"}}})
        mine = self.of("events", **key)
        entry = {"DetailType": "t", "Detail": "{}", "EventBusName": bus}
        self.assertEqual(mine.put_events(Entries=[{"Source": "mine", **entry}])["FailedEntryCount"], 0)
        self.assertAwsError("AccessDeniedException", mine.put_events, Entries=[{"Source": "yours", **entry}, {"Source": "mine", **entry}])
        self.assertAwsError("AccessDeniedException", mine.put_events, Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}])

    def test_command_line(self):
        for aws in aws_programs():
            with self.subTest(aws=aws):
                name = self.name("cli")
                cli = lambda *words: json.loads(run(aws, "--endpoint-url", self.events.meta.endpoint_url, "--region", REGION, "--output", "json", "events", *words).stdout or "{}")  # noqa: E731
                said = cli("put-rule", "--name", name, "--event-pattern", '{"source":["cli"]}')
                self.assertTrue(said["RuleArn"].endswith(name))
                self.assertEqual(cli("list-rules", "--name-prefix", name)["Rules"][0]["EventPattern"], '{"source":["cli"]}')
                said = cli("put-events", "--entries", '[{"Source":"cli","DetailType":"t","Detail":"{}"},{"Source":"aws.s3","DetailType":"t","Detail":"{}"}]')
                self.assertEqual((said["FailedEntryCount"], said["Entries"][1]["ErrorCode"]), (1, "NotAuthorizedForSourceException"))
                cli("delete-rule", "--name", name)


if __name__ == "__main__":
    unittest.main()
