"""Schedules of EventBridge Scheduler, in a cloud whose clock is moved: when they invoke, what the target gets, groups, and what is refused."""
import datetime
import json
import os
import sys
import time
import unittest
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
from aws import REGION, aws_programs, run  # noqa: E402
from happenings import ACCOUNT, EventCase  # noqa: E402
from moving import moving_cloud  # noqa: E402

OFF = {"Mode": "OFF"}


class Schedules(EventCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, of = moving_cloud(cls)
        cls.of = staticmethod(of)

    def setUp(self):
        super().setUp()
        self.scheduler = self.of("scheduler")
        self.url, self.arn = self.queue(allow=False)
        self.sender = self.role({"Effect": "Allow", "Action": ["sqs:SendMessage", "events:PutEvents"], "Resource": "*"})

    def schedule(self, expression, target=None, **more):
        name = self.name("s")
        more.setdefault("FlexibleTimeWindow", OFF)
        arn = self.scheduler.create_schedule(Name=name, ScheduleExpression=expression, Target={"Arn": self.arn, "RoleArn": self.sender, **(target or {})}, **more)["ScheduleArn"]
        self.addCleanup(self.drop, name, more.get("GroupName", "default"))
        return name, arn

    def ask(self, method, path, body=None):
        """As newer SDKs do, who know of ActionAfterCompletion."""
        request = botocore.awsrequest.AWSRequest(method, self.cloud.endpoint + path, data=json.dumps(body).encode() if body else None, headers={"Content-Type": "application/json"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "scheduler", REGION).add_auth(request)
        prepared = request.prepare()
        with urllib.request.urlopen(urllib.request.Request(prepared.url, method=method, data=prepared.body, headers=dict(prepared.headers)), timeout=60) as reply:
            return json.load(reply)

    def drop(self, name, group):
        try:
            self.scheduler.delete_schedule(Name=name, GroupName=group)
        except self.scheduler.exceptions.ResourceNotFoundException:
            pass

    def now(self):
        """The cloud's time."""
        return self.scheduler.get_schedule_group(Name=self.probe())["CreationDate"]

    def probe(self):
        name = self.name("g")
        self.scheduler.create_schedule_group(Name=name)
        self.addCleanup(self.scheduler.delete_schedule_group, Name=name)
        return name

    def empty(self, url=None):
        self.assertNotIn("Messages", self.sqs.receive_message(QueueUrl=url or self.url))

    def test_a_rate(self):
        _, arn = self.schedule("rate(10 minutes)")
        self.cloud.forward("601s")
        said = self.heard(self.url)[0]
        self.assertEqual((said["source"], said["detail-type"], said["detail"], said["resources"], said["account"], said["region"]),
                         ("aws.scheduler", "Scheduled Event", "{}", [arn], ACCOUNT, REGION))
        self.cloud.forward("10h")
        self.heard(self.url)
        self.empty()

    def test_a_role_that_was_made_again(self):
        """Sessions of the role that had its name before are nobody's."""
        iam, name = self.of("iam"), self.sender.rpartition("/")[2]
        self.schedule("rate(10 minutes)")
        self.cloud.forward("601s")
        self.heard(self.url)
        trust, policy = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"], iam.get_role_policy(RoleName=name, PolicyName="p")["PolicyDocument"]
        iam.delete_role_policy(RoleName=name, PolicyName="p")
        iam.delete_role(RoleName=name)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        self.cloud.forward("601s")
        self.heard(self.url)

    def test_once_in_a_zone_and_gone(self):
        from zoneinfo import ZoneInfo
        zone = ZoneInfo("Asia/Tokyo")
        at = (self.now() + datetime.timedelta(hours=5)).astimezone(zone).replace(microsecond=0)
        name = self.name("s")
        arn = self.ask("POST", "/schedules/" + name, {
            "ScheduleExpression": at.strftime("at(%Y-%m-%dT%H:%M:%S)"), "ScheduleExpressionTimezone": "Asia/Tokyo", "ActionAfterCompletion": "DELETE", "FlexibleTimeWindow": OFF, "ClientToken": "t",
            "Target": {"Arn": self.arn, "RoleArn": self.sender, "Input": "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>"}})["ScheduleArn"]
        self.assertEqual(self.ask("GET", "/schedules/" + name)["ActionAfterCompletion"], "DELETE")
        self.cloud.forward("4h")
        self.empty()
        self.cloud.forward("61m")
        want = at.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual(self.messages(self.url)[0]["Body"], f"{arn} {want} 1")
        self.assertAwsError("ResourceNotFoundException", self.scheduler.get_schedule, Name=name, status=404)

    def test_cron_in_a_zone(self):
        """Nine in the morning in Berlin is seven or eight in UTC."""
        self.schedule("cron(0 9 * * ? *)", {"Input": "<aws.scheduler.scheduled-time>"}, ScheduleExpressionTimezone="Europe/Berlin")
        self.cloud.forward("24h")
        self.assertRegex(self.messages(self.url)[0]["Body"], r"T0[78]:00:00Z$")

    def test_a_window(self):
        self.schedule("rate(1 day)", FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60})
        self.cloud.forward("23h")
        self.empty()
        self.cloud.forward("121m")
        self.heard(self.url)

    def test_start_end_and_state(self):
        now = self.now()
        name, _ = self.schedule("rate(1 hour)", StartDate=now + datetime.timedelta(hours=3), EndDate=now + datetime.timedelta(hours=5, minutes=30))
        self.cloud.forward("2h")
        self.empty()
        for _ in range(3):  # at the third, fourth and fifth hour
            self.cloud.forward("61m")
            self.heard(self.url)
        self.cloud.forward("24h")
        self.empty()
        said = self.scheduler.get_schedule(Name=name)
        self.assertEqual(said["StartDate"].timestamp() // 1, (now + datetime.timedelta(hours=3)).timestamp() // 1)
        off, _ = self.schedule("rate(1 minute)", State="DISABLED")
        self.cloud.forward("5m")
        self.empty()
        self.scheduler.update_schedule(Name=off, ScheduleExpression="rate(1 minute)", FlexibleTimeWindow=OFF, Target={"Arn": self.arn, "RoleArn": self.sender, "Input": "on"})
        self.cloud.forward("61s")
        self.assertEqual(self.messages(self.url)[0]["Body"], "on")

    def test_an_event_as_target(self):
        url, arn = self.queue()
        bus = self.bus()
        self.rule({"source": ["clock"]}, bus, [{"Arn": arn, "InputPath": "$.detail"}])
        self.schedule("rate(1 hour)", {"Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}", "Input": '{"a": 1}', "EventBridgeParameters": {"Source": "clock", "DetailType": "tick"}})
        self.cloud.forward("61m")
        self.assertEqual(self.heard(url), [{"a": 1}])

    def test_dead_letters_and_metrics(self):
        gone = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name()}"
        group = self.probe()
        _, arn = self.schedule("rate(1 hour)", {"Arn": gone, "DeadLetterConfig": {"Arn": self.arn}, "Input": "lost"}, GroupName=group)
        self.schedule("rate(1 hour)", {"Arn": gone, "DeadLetterConfig": {"Arn": gone}}, GroupName=group)
        self.cloud.forward("61m")
        letter = self.messages(self.url)[0]
        said = {k: v["StringValue"] for k, v in letter["MessageAttributes"].items()}
        self.assertEqual((letter["Body"], said["ERROR_CODE"], said["SCHEDULE_ARN"], said["TARGET_ARN"], said["RETRY_ATTEMPTS"]), ("lost", "NO_RESOURCE", arn, gone, "0"))
        self.assertRegex(said["SCHEDULED_TIME"], r"^\d{4}-\d\d-\d\dT")
        cloudwatch, until = self.of("cloudwatch"), time.monotonic() + 60
        wanted = {"InvocationAttemptCount", "TargetErrorCount", "InvocationDroppedCount", "InvocationsSentToDeadLetterCount", "InvocationsFailedToBeSentToDeadLetterCount"}
        while True:
            said = {m["MetricName"] for m in cloudwatch.list_metrics(Namespace="AWS/Scheduler", Dimensions=[{"Name": "ScheduleGroup", "Value": group}])["Metrics"]}
            if wanted <= said:
                break
            self.assertLess(time.monotonic(), until, said)
            self.cloud.forward("60s")
            time.sleep(0.1)
        self.assertNotIn("TargetErrorThrottledCount", said)

    def test_life(self):
        name, arn = self.schedule("rate(5 days)", Description="d")
        said = self.scheduler.get_schedule(Name=name)
        for key in ("ResponseMetadata", "CreationDate", "LastModificationDate", "ActionAfterCompletion"):
            said.pop(key, None)
        self.assertEqual(said, {"Arn": arn, "Description": "d", "FlexibleTimeWindow": OFF, "GroupName": "default", "Name": name,
                                "ScheduleExpression": "rate(5 days)", "ScheduleExpressionTimezone": "UTC", "State": "ENABLED", "Target": {"Arn": self.arn, "RoleArn": self.sender}})
        self.assertEqual(arn, f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}")
        self.assertAwsError("ConflictException", self.scheduler.create_schedule, Name=name, ScheduleExpression="rate(5 days)", FlexibleTimeWindow=OFF,
                            Target={"Arn": self.arn, "RoleArn": self.sender}, status=409)
        self.scheduler.delete_schedule(Name=name)
        self.assertAwsError("ResourceNotFoundException", self.scheduler.delete_schedule, Name=name, status=404, message=f"Schedule {name} does not exist.")

    def test_groups(self):
        group = self.name("g")
        arn = self.scheduler.create_schedule_group(Name=group, Tags=[{"Key": "a", "Value": "1"}], ClientToken="t")["ScheduleGroupArn"]
        self.assertEqual(self.scheduler.create_schedule_group(Name=group, ClientToken="t")["ScheduleGroupArn"], arn)
        self.assertAwsError("ConflictException", self.scheduler.create_schedule_group, Name=group)
        self.scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
        self.scheduler.untag_resource(ResourceArn=arn, TagKeys=["a"])
        self.assertEqual(self.scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"], [{"Key": "b", "Value": "2"}])
        names = sorted(self.schedule("rate(5 days)", GroupName=group)[0] for _ in range(3))
        first = self.scheduler.list_schedules(GroupName=group, MaxResults=2)
        second = self.scheduler.list_schedules(GroupName=group, NextToken=first["NextToken"])
        self.assertEqual([s["Name"] for s in first["Schedules"] + second["Schedules"]], names)
        self.assertNotIn("NextToken", second)
        self.assertEqual([s["Name"] for s in self.scheduler.list_schedules(NamePrefix=names[0], State="ENABLED")["Schedules"]], names[:1])
        self.assertIn(group, [g["Name"] for g in self.scheduler.list_schedule_groups(NamePrefix=group)["ScheduleGroups"]])
        self.scheduler.delete_schedule_group(Name=group)
        self.assertAwsError("ResourceNotFoundException", self.scheduler.get_schedule_group, Name=group, status=404)
        self.assertEqual(self.scheduler.list_schedules(NamePrefix=names[0])["Schedules"], [])
        self.assertEqual(self.scheduler.get_schedule_group(Name="default")["State"], "ACTIVE")
        self.assertAwsError("ValidationException", self.scheduler.delete_schedule_group, Name="default")

    def test_what_is_refused(self):
        good = {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF, "Target": {"Arn": self.arn, "RoleArn": self.sender}}
        target = lambda **more: {"Target": {**good["Target"], **more}}  # noqa: E731
        for wrong in ({"ScheduleExpression": "rate(1 days)"}, {"ScheduleExpression": "cron(0 9 * * *)"}, {"ScheduleExpression": "at(soon)"}, {"ScheduleExpressionTimezone": "Mars/Base"},
                      {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
                      {"StartDate": self.now() - datetime.timedelta(hours=1)}, {"EndDate": self.now() - datetime.timedelta(hours=1)},
                      target(Arn="arn:aws:scheduler:::aws-sdk:sqs:sendMessage"), target(Arn="arn:aws:states:us-east-1:000000000000:stateMachine:x"), target(Arn=self.arn + ".fifo"),
                      target(Arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f", Input="{"), target(Arn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"),
                      target(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/none-such"), target(KinesisParameters={"PartitionKey": "x"}),
                      {"KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/x"}):
            with self.subTest(wrong=wrong):
                self.assertAwsError("ValidationException", self.scheduler.create_schedule, Name=self.name(), **{**good, **wrong}, status=400)
        self.assertAwsError("ResourceNotFoundException", self.scheduler.create_schedule, Name=self.name(), GroupName="none-such", **good)

    def test_command_line(self):
        for aws in aws_programs():
            with self.subTest(aws=aws):
                cli = lambda *words: json.loads(run(aws, "--endpoint-url", self.cloud.endpoint, "--region", REGION, "--output", "json", "scheduler", *words).stdout or "{}")  # noqa: E731
                name = self.name("cli")
                cli("create-schedule", "--name", name, "--schedule-expression", "rate(1 day)", "--flexible-time-window", "Mode=OFF", "--target", json.dumps({"Arn": self.arn, "RoleArn": self.sender}))
                self.assertEqual(cli("get-schedule", "--name", name)["State"], "ENABLED")
                cli("delete-schedule", "--name", name)


if __name__ == "__main__":
    unittest.main()
