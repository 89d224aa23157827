"""Policies and scheduled actions change what is wanted."""
import datetime
import unittest

from aws import client
from groups import GroupCase, wait


class Policies(GroupCase):
    def empty_group(self, **more):
        """Nothing is launched: what is looked at is what is wanted."""
        self.template()
        self.group(**{"MaxSize": 10, **more})
        self.scaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])

    def wanted(self):
        return self.shown()["DesiredCapacity"]

    def test_simple(self):
        self.empty_group(MinSize=0)
        arn = self.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="more", AdjustmentType="ChangeInCapacity", ScalingAdjustment=4)["PolicyARN"]
        self.assertRegex(arn, r"^arn:aws:autoscaling:\S+:scalingPolicy:[0-9a-f-]{36}:autoScalingGroupName/g:policyName/more$")
        self.scaling.execute_policy(AutoScalingGroupName="g", PolicyName="more")
        self.assertEqual(self.wanted(), 4)
        self.fails("ScalingActivityInProgress", None, self.scaling.execute_policy, PolicyName=arn, HonorCooldown=True)
        self.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="less", AdjustmentType="PercentChangeInCapacity", ScalingAdjustment=-30)
        self.scaling.execute_policy(AutoScalingGroupName="g", PolicyName="less")
        self.assertEqual(self.wanted(), 3)
        self.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="all", AdjustmentType="ExactCapacity", ScalingAdjustment=99)
        self.scaling.execute_policy(AutoScalingGroupName="g", PolicyName="all")
        self.assertEqual(self.wanted(), 10)
        shown = self.scaling.describe_policies(AutoScalingGroupName="g")["ScalingPolicies"]
        self.assertEqual([(p["PolicyName"], p["PolicyType"], p["Enabled"]) for p in shown],
                         [("all", "SimpleScaling", True), ("less", "SimpleScaling", True), ("more", "SimpleScaling", True)])
        self.scaling.delete_policy(PolicyName=arn)
        self.fails("ValidationError", None, self.scaling.execute_policy, AutoScalingGroupName="g", PolicyName="more")
        said = self.scaling.put_scaling_policy
        self.fails("ValidationError", None, said, AutoScalingGroupName="g", PolicyName="p", PolicyType="PredictiveScaling")
        self.fails("ValidationError", None, said, AutoScalingGroupName="g", PolicyName="p", PolicyType="Other")
        self.fails("ValidationError", "ScalingAdjustment must be specified for policy type SimpleScaling",
                   said, AutoScalingGroupName="g", PolicyName="p", AdjustmentType="ChangeInCapacity")

    def test_steps(self):
        self.empty_group()
        put = self.scaling.put_scaling_policy
        steps = [{"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
                 {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3}]
        given = {"AutoScalingGroupName": "g", "PolicyName": "s", "PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity"}
        put(**given, StepAdjustments=steps)
        for value, wanted in ((55, 1), (60, 4)):
            self.scaling.execute_policy(AutoScalingGroupName="g", PolicyName="s", MetricValue=value, BreachThreshold=50)
            self.assertEqual(self.wanted(), wanted)
        self.fails("ValidationError", None, self.scaling.execute_policy, AutoScalingGroupName="g", PolicyName="s", MetricValue=40, BreachThreshold=50)
        self.fails("ValidationError", None, self.scaling.execute_policy, AutoScalingGroupName="g", PolicyName="s")
        steps[1]["MetricIntervalLowerBound"] = 5
        self.fails("ValidationError", "Step adjustment intervals cannot overlap", put, **given, StepAdjustments=steps)
        steps[1]["MetricIntervalLowerBound"] = 15
        self.fails("ValidationError", "Step adjustment intervals can't have a gap between them", put, **given, StepAdjustments=steps)

    def test_steps_by_another_aggregation(self):
        """The alarm looks at averages; what is added follows from the greatest or the least value of its period where the policy says so."""
        self.empty_group()
        cloudwatch, space = client("cloudwatch", region=self.region), "test/" + self.region
        given = {"AutoScalingGroupName": "g", "PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity"}
        steps = [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": 1}, {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 2},
                 {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 4}]
        self.fails("ValidationError", None, self.scaling.put_scaling_policy, **given, PolicyName="p", StepAdjustments=steps, MetricAggregationType="Sum")
        now = datetime.datetime.now(datetime.timezone.utc)
        cloudwatch.put_metric_data(Namespace=space, MetricData=[{"MetricName": "m", "Timestamp": now + datetime.timedelta(minutes=k), "Values": [10, 90]} for k in range(-4, 10)])
        for kind, wanted in (("Maximum", 4), ("Minimum", 5), ("Average", 7)):
            arn = self.scaling.put_scaling_policy(**given, PolicyName=kind, StepAdjustments=steps, MetricAggregationType=kind)["PolicyARN"]
            cloudwatch.put_metric_alarm(AlarmName=kind, Namespace=space, MetricName="m", Statistic="Average", Period=60, EvaluationPeriods=1, Threshold=40,
                                        ComparisonOperator="GreaterThanThreshold", AlarmActions=[arn])
            wait(self, lambda: self.wanted() >= wanted)
            cloudwatch.delete_alarms(AlarmNames=[kind])
            self.assertEqual(self.wanted(), wanted)
        shown = self.scaling.describe_policies(AutoScalingGroupName="g")["ScalingPolicies"]
        self.assertEqual(sorted(p["MetricAggregationType"] for p in shown), ["Average", "Maximum", "Minimum"])

    def test_target_tracking_says_which_alarms(self):
        self.empty_group()
        tracking = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0}
        put = self.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="cpu", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=tracking)
        names = [a["AlarmName"] for a in put["Alarms"]]
        self.assertRegex(names[0], r"^TargetTracking-g-AlarmHigh-[0-9a-f-]{36}$")
        self.assertRegex(names[1], r"^TargetTracking-g-AlarmLow-[0-9a-f-]{36}$")
        shown = self.scaling.describe_policies(PolicyNames=["cpu"], AutoScalingGroupName="g")["ScalingPolicies"][0]
        self.assertEqual(shown["TargetTrackingConfiguration"], {**tracking, "DisableScaleIn": False})
        self.assertEqual([a["AlarmName"] for a in shown["Alarms"]], names)
        cloudwatch = client("cloudwatch", region=self.region)
        alarms = wait(self, lambda: len(found := cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2 and found)
        self.assertEqual([(a["ComparisonOperator"], a["Threshold"], a["EvaluationPeriods"], a["Period"], a["Statistic"]) for a in alarms],
                         [("GreaterThanThreshold", 50.0, 3, 60, "Average"), ("LessThanThreshold", 45.0, 15, 60, "Average")])
        for a in alarms:
            self.assertEqual(a["AlarmActions"], [put["PolicyARN"]])
            self.assertEqual(a["AlarmDescription"], f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {put['PolicyARN']}.")
            self.assertEqual(a["Dimensions"], [{"Name": "AutoScalingGroupName", "Value": "g"}])
        tracking["DisableScaleIn"] = True
        put = self.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="cpu", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=tracking)
        self.assertEqual(len(put["Alarms"]), 1)
        self.scaling.delete_policy(AutoScalingGroupName="g", PolicyName="cpu")
        wait(self, lambda: not cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-g-")["MetricAlarms"])

    def test_an_alarm_runs_a_policy(self):
        self.template()
        self.group(MaxSize=2)
        arn = self.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="more", AdjustmentType="ChangeInCapacity", ScalingAdjustment=1)["PolicyARN"]
        cloudwatch = client("cloudwatch", region=self.region)
        alarm = {"AlarmName": "hot", "Namespace": "mine", "MetricName": "m", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1,
                 "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
        self.fails("ValidationError", None, cloudwatch.put_metric_alarm, **alarm, AlarmActions=[arn + "x"])
        cloudwatch.put_metric_alarm(**alarm, AlarmActions=[arn])
        cloudwatch.set_alarm_state(AlarmName="hot", StateValue="ALARM", StateReason="a test")
        self.settled(1)
        self.assertRegex(self.activities()[0]["Cause"], r"^At \S+Z a monitor alarm hot in state ALARM triggered policy more changing the desired capacity "
                         r"from 0 to 1\.  At \S+Z an instance was started in response to")
        self.assertIn('"InvokingAlarms":[{', self.activities()[0]["Details"])
        cloudwatch.delete_alarms(AlarmNames=["hot"])

    def test_scheduled_actions(self):
        self.empty_group()
        put = self.scaling.put_scheduled_update_group_action
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        put(AutoScalingGroupName="g", ScheduledActionName="once", StartTime=soon, MinSize=2, DesiredCapacity=3)
        put(AutoScalingGroupName="g", ScheduledActionName="nightly", Recurrence="30 2 * * MON-FRI", DesiredCapacity=1)
        shown = {a["ScheduledActionName"]: a for a in self.scaling.describe_scheduled_actions(AutoScalingGroupName="g")["ScheduledUpdateGroupActions"]}
        self.assertEqual((shown["nightly"]["Recurrence"], shown["nightly"]["StartTime"].strftime("%H:%M")), ("30 2 * * MON-FRI", "02:30"))
        wait(self, lambda: self.wanted() == 3)
        self.assertEqual(self.shown()["MinSize"], 2)
        left = self.scaling.describe_scheduled_actions(AutoScalingGroupName="g")["ScheduledUpdateGroupActions"]
        self.assertEqual([a["ScheduledActionName"] for a in left], ["nightly"])
        self.fails("ValidationError", "Given recurrence string is invalid", put, AutoScalingGroupName="g", ScheduledActionName="x",
                   Recurrence="61 * * * *", DesiredCapacity=1)
        self.fails("ValidationError", "Time zone 'Europe/Nowhere' is not valid.", put, AutoScalingGroupName="g", ScheduledActionName="x",
                   Recurrence="0 2 * * *", DesiredCapacity=1, TimeZone="Europe/Nowhere")
        put(AutoScalingGroupName="g", ScheduledActionName="far", Recurrence="30 2 * * *", DesiredCapacity=1, TimeZone="Asia/Kolkata")
        shown = {a["ScheduledActionName"]: a for a in self.scaling.describe_scheduled_actions(AutoScalingGroupName="g")["ScheduledUpdateGroupActions"]}
        self.assertEqual((shown["far"]["TimeZone"], shown["far"]["StartTime"].strftime("%H:%M")), ("Asia/Kolkata", "21:00"))
        self.scaling.delete_scheduled_action(AutoScalingGroupName="g", ScheduledActionName="nightly")
        self.fails("ValidationError", None, self.scaling.delete_scheduled_action, AutoScalingGroupName="g", ScheduledActionName="nightly")


if __name__ == "__main__":
    unittest.main()
