"""Application Auto Scaling over services of ECS: targets and their bounds, policies by alarms, schedules, activities, tags, permissions."""
import datetime
import json
import os
import unittest

import raw
from aws import ENDPOINT, aws_programs, client, limited_key, run
from services import ServiceCase, name

DIMENSION = "ecs:service:DesiredCount"
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class ScalingCase(ServiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scaling = client("application-autoscaling", region=cls.region)
        cls.cloudwatch = client("cloudwatch", region=cls.region)

    def about(self, called):
        return {"ServiceNamespace": "ecs", "ResourceId": f"service/{self.cluster}/{called}", "ScalableDimension": DIMENSION}

    def scaled(self, count=0, **bounds):
        """A service that is registered, and what it is called."""
        called = name()
        self.create(self.definition(), count, called)
        self.scaling.register_scalable_target(**self.about(called), **bounds)
        self.addCleanup(self.end_target, called)
        return called

    def definition(self):
        if not hasattr(type(self), "made"):
            type(self).made = self.register("trap 'exit 0' TERM; while :; do sleep 0.1; done")
        return self.made

    def end_target(self, called):
        if self.target(called):
            self.scaling.deregister_scalable_target(**self.about(called))

    def target(self, called):
        found = self.scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[self.about(called)["ResourceId"]])["ScalableTargets"]
        return found[0] if found else None

    def desired(self, called):
        return self.service(called)["desiredCount"]

    def call(self, operation, **body):
        """The answer of an operation that the oldest boto3 does not know, or knows less of; of an error its code."""
        port = int(ENDPOINT.rsplit(":", 1)[1])
        signer = raw.Signer(port, "application-autoscaling", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], self.region)
        reply = raw.ask(port, signer.request("POST", "/", json.dumps(body).encode(), headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "AnyScaleFrontendService." + operation}))
        said = json.loads(reply.body or b"{}")
        return said if reply.status == 200 else said["__type"].rsplit("#")[-1]

    def activities(self, called, **more):
        return self.call("DescribeScalingActivities", ServiceNamespace="ecs", ResourceId=self.about(called)["ResourceId"], **more)["ScalingActivities"]

    def refused(self, message, call, code="ValidationException", **given):
        self.assertAwsError(code, call, status=400, message=message, **given)


class Targets(ScalingCase):
    def test_a_target_is_within_its_bounds(self):
        called = self.scaled(1, MinCapacity=2, MaxCapacity=4)
        self.wait(lambda: self.desired(called) == 2)
        self.wait(lambda: self.activities(called)[0]["StatusCode"] == "Successful")
        (one,) = self.activities(called)
        self.assertEqual((one["Description"], one["Cause"], one["StatusMessage"]),
                         ("Setting desired count to 2.", "minimum capacity was set to 2",
                          "Successfully set desired count to 2. Change successfully fulfilled by ecs."))
        self.assertEqual(self.service(called)["runningCount"], 2)
        t = self.target(called)
        (newer,) = [t for t in self.call("DescribeScalableTargets", ServiceNamespace="ecs")["ScalableTargets"] if t["ResourceId"].endswith(called)]
        arn = newer["ScalableTargetARN"]
        self.assertRegex(arn, rf"^arn:aws:application-autoscaling:{self.region}:000000000000:scalable-target/0ec5[0-9a-f]{{32}}$")
        self.assertEqual((t["MinCapacity"], t["MaxCapacity"], t["ScalableDimension"]), (2, 4, DIMENSION))
        self.assertTrue(t["RoleARN"].endswith("/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"))
        self.assertEqual(t["SuspendedState"], {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False})
        again = self.call("RegisterScalableTarget", **self.about(called), MinCapacity=0, MaxCapacity=1, SuspendedState={"DynamicScalingInSuspended": True})
        self.assertEqual(again, {"ScalableTargetARN": arn})
        self.wait(lambda: self.desired(called) == 1)
        self.assertEqual(self.activities(called)[0]["Cause"], "maximum capacity was set to 1")
        self.assertEqual(self.target(called)["SuspendedState"]["DynamicScalingInSuspended"], True)
        self.scaling.deregister_scalable_target(**self.about(called))
        self.assertIsNone(self.target(called))
        self.refused("No scalable target found for service namespace: ecs, resource ID: service/", self.scaling.deregister_scalable_target,
                     "ObjectNotFoundException", **self.about(called))
        self.assertEqual(len(self.activities(called)), 2)

    def test_refusals(self):
        register = self.scaling.register_scalable_target
        self.refused(f"ECS service doesn't exist: service/{self.cluster}/nobody", register, **self.about("nobody"), MinCapacity=0, MaxCapacity=1)
        self.refused("ECS service doesn't exist: nobody", register, **{**self.about("x"), "ResourceId": "nobody"}, MinCapacity=0, MaxCapacity=1)
        self.refused("Unsupported service namespace, resource type or scalable dimension", register, ServiceNamespace="dynamodb", ResourceId="table/t",
                     ScalableDimension="dynamodb:table:ReadCapacityUnits", MinCapacity=0, MaxCapacity=1)
        self.refused("Member must satisfy enum value set", register, ServiceNamespace="nothing", ResourceId="t", ScalableDimension=DIMENSION)
        called = name()
        self.create(self.definition(), 0, called)
        self.refused(None, register, **self.about(called), MinCapacity=0)
        self.refused("Maximum capacity cannot be less than minimum capacity", register, **self.about(called), MinCapacity=2, MaxCapacity=1)
        steps = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]}
        self.refused("No scalable target registered for service namespace: ecs", self.scaling.put_scaling_policy, "ObjectNotFoundException",
                     PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps, **self.about(called))
        register(**self.about(called), MinCapacity=0, MaxCapacity=1)
        self.addCleanup(self.end_target, called)
        put = self.scaling.put_scaling_policy

        def tracking(**more):
            return {"PolicyName": "p", "PolicyType": "TargetTrackingScaling", **self.about(called),
                    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50, **more}}
        self.refused("ResourceLabel cannot be specified", put, **tracking(
            PredefinedMetricSpecification={"PredefinedMetricType": "ECSServiceAverageCPUUtilization", "ResourceLabel": "x"}))
        self.refused("is not valid for the scalable dimension", put, **tracking(
            PredefinedMetricSpecification={"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}))
        self.refused("The resource label 'app/lb/1/targetgroup/t/2' is not valid", put, **tracking(
            PredefinedMetricSpecification={"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": "app/lb/1/targetgroup/t/2"}))
        self.refused("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification", put, **tracking())
        steps["StepAdjustments"].append({"MetricIntervalLowerBound": 1, "ScalingAdjustment": 2})
        self.refused("Step adjustment intervals", put, PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps, **self.about(called))
        self.refused("No scaling policy found for service namespace", self.scaling.delete_scaling_policy, "ObjectNotFoundException", PolicyName="p",
                     **self.about(called))
        self.refused("No scheduled action found for service namespace", self.scaling.delete_scheduled_action, "ObjectNotFoundException",
                     ScheduledActionName="p", **self.about(called))

    def test_tags_and_permissions(self):
        called = self.scaled(0, MinCapacity=0, MaxCapacity=1)
        arn = self.call("RegisterScalableTarget", **self.about(called), Tags={"team": "a", "k": "v"})["ScalableTargetARN"]
        self.assertEqual(self.call("ListTagsForResource", ResourceARN=arn), {"Tags": {"team": "a", "k": "v"}})
        self.assertEqual(self.call("TagResource", ResourceARN=arn, Tags={"k": "w", "more": ""}), {})
        self.assertEqual(self.call("UntagResource", ResourceARN=arn, TagKeys=["team"]), {})
        self.assertEqual(self.call("ListTagsForResource", ResourceARN=arn), {"Tags": {"k": "w", "more": ""}})
        self.assertEqual(self.call("ListTagsForResource", ResourceARN=arn[:-4] + "0000"), "ResourceNotFoundException")
        self.assertEqual(self.call("TagResource", ResourceARN=arn, Tags={str(i): "" for i in range(50)}), "TooManyTagsException")
        mine = client("application-autoscaling", region=self.region, **limited_key(
            self, {"Effect": "Allow", "Action": "application-autoscaling:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/k": "w"}}}))
        mine.register_scalable_target(**self.about(called), MaxCapacity=2)
        self.assertEqual(self.target(called)["MaxCapacity"], 2)
        other = self.scaled(0, MinCapacity=0, MaxCapacity=1)
        self.assertAwsError("AccessDeniedException", mine.register_scalable_target, **self.about(other), MaxCapacity=2)

    def test_pages(self):
        called = [self.scaled(0, MinCapacity=0, MaxCapacity=1) for _ in range(3)]
        seen = [t["ResourceId"].split("/")[-1] for p in self.scaling.get_paginator("describe_scalable_targets").paginate(
            ServiceNamespace="ecs", PaginationConfig={"PageSize": 1}) for t in p["ScalableTargets"]]
        self.assertEqual([s for s in seen if s in called], sorted(called))
        self.refused(None, self.scaling.describe_scalable_targets, "InvalidNextTokenException", ServiceNamespace="ecs", NextToken="???")

    def test_command_line(self):
        called = name()
        self.create(self.definition(), 0, called)
        for program in aws_programs():
            about = ["--service-namespace", "ecs", "--resource-id", f"service/{self.cluster}/{called}", "--scalable-dimension", DIMENSION]
            aws = [program, "--endpoint-url", self.scaling.meta.endpoint_url, "--region", self.region, "application-autoscaling"]
            run(*aws, "register-scalable-target", *about, "--min-capacity", "0", "--max-capacity", "3")
            shown = json.loads(run(*aws, "describe-scalable-targets", "--service-namespace", "ecs", "--resource-ids", about[3]).stdout)
            self.assertEqual(shown["ScalableTargets"][0]["MaxCapacity"], 3)
            run(*aws, "deregister-scalable-target", *about)


class Policies(ScalingCase):
    def measure(self, metric, value, seconds_ago=0):
        self.cloudwatch.put_metric_data(Namespace="mine", MetricData=[{
            "MetricName": metric, "Value": value, "StorageResolution": 1,
            "Timestamp": datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)}])

    def alarm(self, metric, action, threshold, **more):
        """An alarm over the last tens of seconds, which finds what was measured at once."""
        for ago in range(0, 40, 5):
            self.measure(metric, more.get("value", threshold + 1), ago)
        self.cloudwatch.put_metric_alarm(AlarmName=metric, Namespace="mine", MetricName=metric, Statistic="Average", Period=10, EvaluationPeriods=1,
                                         Threshold=threshold, ComparisonOperator=more.get("operator", "GreaterThanThreshold"), AlarmActions=[action])
        self.addCleanup(self.cloudwatch.delete_alarms, AlarmNames=[metric])

    def put_steps(self, called, policy, *steps, **more):
        return self.scaling.put_scaling_policy(PolicyName=policy, PolicyType="StepScaling", **self.about(called), StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity", "StepAdjustments": list(steps), **more})["PolicyARN"]

    def test_steps_by_an_alarm(self):
        called = self.scaled(0, MinCapacity=0, MaxCapacity=2)
        arn = self.put_steps(called, "more", {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
                             {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 7})
        self.assertRegex(arn, rf"^arn:aws:autoscaling:{self.region}:000000000000:scalingPolicy:{UUID}:resource/ecs/service/{self.cluster}/{called}:policyName/more$")
        self.assertAwsError("ValidationError", self.cloudwatch.put_metric_alarm, AlarmName="x", Namespace="mine", MetricName="m", Statistic="Average", Period=60,
                            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
                            AlarmActions=[arn.replace("scalingPolicy:", "scalingPolicy:0")])
        metric = name()
        self.alarm(metric, arn, 50, value=55)
        self.wait(lambda: self.desired(called) == 1)
        self.assertEqual(self.activities(called)[0]["Cause"], f"monitor alarm {metric} in state ALARM triggered policy more")
        self.wait(lambda: self.activities(called)[0]["StatusCode"] == "Successful")
        other = name()
        self.alarm(other, arn, 50, value=70)
        self.wait(lambda: self.desired(called) == 2)  # what the first one added is part of it
        shown = self.scaling.describe_scaling_policies(ServiceNamespace="ecs", PolicyNames=["more"])["ScalingPolicies"]
        (mine,) = [p for p in shown if p["ResourceId"].endswith(called)]
        self.assertEqual((mine["PolicyType"], mine["StepScalingPolicyConfiguration"]["Cooldown"], mine["PolicyARN"]), ("StepScaling", 300, arn))
        third = name()
        self.alarm(third, arn, 50, value=70)
        told = self.wait(lambda: [a for a in self.activities(called, IncludeNotScaledActivities=True) if a.get("NotScaledReasons")])[0]
        self.assertEqual((told["Description"], told["StatusCode"], told["NotScaledReasons"]),
                         ("Attempting to scale due to alarm triggered", "Failed", [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 2}]))
        self.assertFalse([a for a in self.activities(called) if a.get("NotScaledReasons")])

    def test_suspended(self):
        called = self.scaled(1, MinCapacity=0, MaxCapacity=2, SuspendedState={"DynamicScalingOutSuspended": True})
        arn = self.put_steps(called, "p", {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}, {"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1})
        out, less = name(), name()
        self.alarm(out, arn, 50, value=55)
        self.wait(lambda: any("is suspended" in h["HistorySummary"] for h in self.cloudwatch.describe_alarm_history(AlarmName=out)["AlarmHistoryItems"]))
        self.assertEqual(self.desired(called), 1)
        self.stable(called)
        self.alarm(less, arn, 50, value=45, operator="LessThanThreshold")
        self.wait(lambda: self.desired(called) == 0)

    def test_target_tracking_has_alarms(self):
        called = self.scaled(0, MinCapacity=0, MaxCapacity=2)
        given = {"PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", **self.about(called)}
        conf = {"TargetValue": 60.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
        put = self.scaling.put_scaling_policy(**given, TargetTrackingScalingPolicyConfiguration=conf)
        names = [a["AlarmName"] for a in put["Alarms"]]
        for n, kind in zip(names, ("High", "Low")):
            self.assertRegex(n, rf"^TargetTracking-service/{self.cluster}/{called}-Alarm{kind}-{UUID}$")
        alarms = self.wait(lambda: len(found := self.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2 and found)
        self.assertEqual([(a["Namespace"], a["MetricName"], a["Unit"], a["ComparisonOperator"], a["Threshold"], a["EvaluationPeriods"]) for a in alarms],
                         [("AWS/ECS", "CPUUtilization", "Percent", "GreaterThanThreshold", 60.0, 3),
                          ("AWS/ECS", "CPUUtilization", "Percent", "LessThanThreshold", 54.0, 15)])
        self.assertEqual({d["Name"]: d["Value"] for d in alarms[0]["Dimensions"]}, {"ClusterName": self.cluster, "ServiceName": called})
        for a in alarms:
            self.assertRegex(a["AlarmActions"][0], "^" + put["PolicyARN"] + ":createdBy/" + UUID + "$")
        self.refused("Only one TargetTrackingScaling policy for a given metric specification is allowed.", self.scaling.put_scaling_policy,
                     **{**given, "PolicyName": "again"}, TargetTrackingScalingPolicyConfiguration=conf)
        shown = self.scaling.describe_scaling_policies(**{k: v for k, v in self.about(called).items()})["ScalingPolicies"][0]
        self.assertEqual(shown["TargetTrackingScalingPolicyConfiguration"], {**conf, "ScaleOutCooldown": 300, "ScaleInCooldown": 300, "DisableScaleIn": False})
        conf["DisableScaleIn"] = True
        put = self.scaling.put_scaling_policy(**given, TargetTrackingScalingPolicyConfiguration=conf)
        self.assertEqual(len(put["Alarms"]), 1)
        prefix = f"TargetTracking-service/{self.cluster}/{called}-"
        self.wait(lambda: len(self.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]) == 1)
        self.scaling.deregister_scalable_target(**self.about(called))
        self.wait(lambda: not self.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"])

    def test_an_expression_is_tracked(self):
        called = self.scaled(0, MinCapacity=0, MaxCapacity=2)
        metrics = [{"Id": "a", "MetricStat": {"Metric": {"Namespace": "mine", "MetricName": "queued", "Dimensions": [{"Name": "q", "Value": "1"}]}, "Stat": "Sum"},
                    "ReturnData": False}, {"Id": "e", "Expression": "a / 2", "ReturnData": True}]
        given = {"PolicyName": "math", "PolicyType": "TargetTrackingScaling", **self.about(called)}
        conf = {"TargetValue": 10.0, "CustomizedMetricSpecification": {"Metrics": metrics}}
        names = [a["AlarmName"] for a in self.call("PutScalingPolicy", **given, TargetTrackingScalingPolicyConfiguration=conf)["Alarms"]]
        alarms = self.wait(lambda: len(found := self.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2 and found)
        self.assertEqual([m.get("Expression") for m in alarms[0]["Metrics"]], [None, "a / 2"])
        metrics[1]["ReturnData"] = False
        self.assertEqual(self.call("PutScalingPolicy", **given, TargetTrackingScalingPolicyConfiguration=conf), "ValidationException")


class Schedules(ScalingCase):
    def test_scheduled_actions(self):
        called = self.scaled(0, MinCapacity=0, MaxCapacity=1)
        put = self.scaling.put_scheduled_action
        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%S")
        put(ScheduledActionName="once", Schedule=f"at({soon})", ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 2}, **self.about(called))
        put(ScheduledActionName="daily", Schedule="cron(0 9 * * ? *)", Timezone="Asia/Kolkata", ScalableTargetAction={"MinCapacity": 5}, **self.about(called))
        shown = {a["ScheduledActionName"]: a for a in self.scaling.describe_scheduled_actions(**self.about(called))["ScheduledActions"]}
        self.assertEqual((shown["daily"]["Schedule"], shown["daily"]["Timezone"], shown["daily"]["ScalableTargetAction"]),
                         ("cron(0 9 * * ? *)", "Asia/Kolkata", {"MinCapacity": 5}))
        self.assertRegex(shown["once"]["ScheduledActionARN"], rf":scheduledAction:{UUID}:resource/ecs/service/{self.cluster}/{called}:scheduledActionName/once$")
        self.wait(lambda: self.desired(called) == 1)
        self.assertEqual((self.target(called)["MinCapacity"], self.target(called)["MaxCapacity"]), (1, 2))
        self.wait(lambda: all(a["StatusCode"] == "Successful" for a in self.activities(called)))
        self.assertEqual(sorted((a["Description"], a["Cause"], a["StatusMessage"]) for a in self.activities(called)),
                         [("Setting desired count to 1.", "minimum capacity was set to 1",
                           "Successfully set desired count to 1. Change successfully fulfilled by ecs."),
                          ("Setting min capacity to 1 and max capacity to 2", "scheduled action name once was triggered",
                           "Successfully set min capacity to 1 and max capacity to 2")])
        self.assertEqual([a["ScheduledActionName"] for a in self.scaling.describe_scheduled_actions(**self.about(called))["ScheduledActions"]], ["daily"])
        self.scaling.delete_scheduled_action(ScheduledActionName="daily", **self.about(called))

    def test_refusals(self):
        called = self.scaled(0, MinCapacity=0, MaxCapacity=1)

        def refused(message, **given):
            self.refused(message, self.scaling.put_scheduled_action, ScheduledActionName="x", **self.about(called),
                         **{"ScalableTargetAction": {"MinCapacity": 1}, **given})
        refused("Schedule expression 'every day' is not valid", Schedule="every day")
        refused("Timezone 'Mars/Base' is not valid", Schedule="rate(1 day)", Timezone="Mars/Base")
        refused("would never be executed", Schedule="at(2020-01-01T00:00:00)")
        refused("ScalableTargetAction", Schedule="rate(1 day)", ScalableTargetAction={})
        refused("Maximum capacity cannot be less", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 1})


if __name__ == "__main__":
    unittest.main()
