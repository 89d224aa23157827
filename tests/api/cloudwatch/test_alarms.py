"""Alarms: what they are, when they change, what they do then, and what history says of it."""
import datetime
import json
import unittest
import uuid

from aws import ENDPOINT, TestCase, aws_programs, client, limited_key, run

UTC = datetime.timezone.utc
STOP = "arn:aws:automate:us-east-1:ec2:stop"


class Alarms(TestCase):
    def setUp(self):
        self.cloudwatch = client("cloudwatch")
        self.space = "test/" + uuid.uuid4().hex
        self.name = "alarm-" + uuid.uuid4().hex
        self.addCleanup(self.forget)

    def forget(self):
        names = [a["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms")
                 for a in self.cloudwatch.describe_alarms(AlarmNamePrefix=self.name, AlarmTypes=["MetricAlarm", "CompositeAlarm"])[kind]]
        if names:
            self.cloudwatch.delete_alarms(AlarmNames=names)

    def put(self, name="", **more):
        given = {"AlarmName": self.name + name, "Namespace": self.space, "MetricName": "m", "Statistic": "Average", "Period": 10, "EvaluationPeriods": 1, "Threshold": 5,
                 "ComparisonOperator": "GreaterThanThreshold"}
        given.update(more)
        self.cloudwatch.put_metric_alarm(**{k: v for k, v in given.items() if v is not None})
        return self.name + name

    def alarm(self, name=""):
        out = self.cloudwatch.describe_alarms(AlarmNames=[self.name + name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return (out["MetricAlarms"] + out["CompositeAlarms"])[0]

    def state_is(self, wanted, name=""):
        return self.eventually(lambda: self.alarm(name)["StateValue"] == wanted, "the alarm is %s" % wanted)

    def eventually(self, condition, what, seconds=120):
        import time
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail("not within %d s: %s" % (seconds, what))
            time.sleep(0.3)

    def sample(self, value):
        """For every period from a minute ago on, so that it does not matter when somebody looks."""
        now = datetime.datetime.now(UTC)
        self.cloudwatch.put_metric_data(Namespace=self.space, MetricData=[
            {"MetricName": "m", "Timestamp": now + datetime.timedelta(seconds=10 * k), "Value": value, "StorageResolution": 1} for k in range(-6, 12)])

    def history(self, **more):
        return self.cloudwatch.describe_alarm_history(AlarmName=self.name, AlarmTypes=["MetricAlarm", "CompositeAlarm"], **more)["AlarmHistoryItems"]

    def test_life(self):
        self.sample(9)
        self.put(Tags=[{"Key": "a", "Value": "b"}], AlarmActions=["arn:aws:sns:us-east-1:000000000000:nobody"], AlarmDescription="high")
        self.state_is("ALARM")
        got = self.alarm()
        self.assertRegex(got["StateReason"], r"^Threshold Crossed: 1 out of the last 1 datapoints? \[9\.0 \(\d\d/\d\d/\d\d \d\d:\d\d:\d\d\)\] was greater than the threshold \(5\.0\) "
                                             r"\(minimum 1 datapoint for OK -> ALARM transition\)\.$")
        data = json.loads(got["StateReasonData"])
        self.assertEqual((data["statistic"], data["period"], data["recentDatapoints"], data["threshold"]), ("Average", 10, [9.0], 5.0))
        self.assertEqual(got["AlarmArn"], "arn:aws:cloudwatch:us-east-1:000000000000:alarm:" + self.name)
        # There is nobody to be told, and history says so.
        self.eventually(lambda: self.history(HistoryItemType="Action"), "the action is in history")
        self.assertIn("Failed to execute action arn:aws:sns", self.history(HistoryItemType="Action")[0]["HistorySummary"])
        self.assertIn("Alarm updated from", self.history(HistoryItemType="StateUpdate")[0]["HistorySummary"])
        self.assertEqual(self.history(ScanBy="TimestampAscending", MaxRecords=1)[0]["HistorySummary"], 'Alarm "%s" created' % self.name)
        # A change of the configuration leaves state and tags.
        self.put(Threshold=6, Tags=[{"Key": "c", "Value": "d"}])
        got = self.alarm()
        self.assertEqual((got["StateValue"], got["Threshold"]), ("ALARM", 6))
        self.assertEqual(self.cloudwatch.list_tags_for_resource(ResourceARN=got["AlarmArn"])["Tags"], [{"Key": "a", "Value": "b"}])
        self.put(Threshold=20)
        self.state_is("OK")
        self.assertIn("was not greater than the threshold (20.0)", self.alarm()["StateReason"])
        self.cloudwatch.delete_alarms(AlarmNames=[self.name, "no such alarm"])
        self.assertEqual(self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"], [])

    def test_no_data(self):
        for name, treat, state in (("-missing", "missing", "INSUFFICIENT_DATA"), ("-breaching", "breaching", "ALARM"), ("-not", "notBreaching", "OK")):
            self.put(name, TreatMissingData=treat)
        self.state_is("ALARM", "-breaching")
        self.state_is("OK", "-not")
        self.eventually(lambda: not self.alarm("-missing")["StateReason"].startswith("Unchecked"), "it was looked at")
        self.assertEqual(self.alarm("-missing")["StateReason"], "Insufficient Data: 1 datapoint was unknown.")
        self.assertEqual(self.alarm("-breaching")["StateReason"],
                         "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching].")

    def test_expression(self):
        self.sample(4)
        stat = {"Metric": {"Namespace": self.space, "MetricName": "m"}, "Period": 10, "Stat": "Average"}
        self.put(Namespace=None, MetricName=None, Statistic=None, Period=None, Metrics=[
            {"Id": "a", "MetricStat": stat, "ReturnData": False}, {"Id": "twice", "Expression": "a * 2", "Label": "twice"}])
        self.state_is("ALARM")
        self.assertIn("[8.0 (", self.alarm()["StateReason"])
        for metrics in ([{"Id": "a", "MetricStat": stat}, {"Id": "b", "Expression": "a * 2"}], [{"Id": "b", "Expression": "SEARCH('x', 'Sum', 60)"}],
                        [{"Id": "b", "Expression": "1 + 1"}], [{"Id": "b", "Expression": "c"}]):
            self.assertAwsError("ValidationError", self.put, Namespace=None, MetricName=None, Statistic=None, Period=None, Metrics=metrics)

    def test_set_by_hand(self):
        self.put(TreatMissingData="ignore")
        self.cloudwatch.set_alarm_state(AlarmName=self.name, StateValue="ALARM", StateReason="a try", StateReasonData='{"x": 1}')
        got = self.alarm()
        self.assertEqual((got["StateValue"], got["StateReason"], got["StateReasonData"]), ("ALARM", "a try", '{"x": 1}'))
        self.assertAwsError("InvalidFormat", self.cloudwatch.set_alarm_state, AlarmName=self.name, StateValue="OK", StateReason="x", StateReasonData="{")
        self.assertAwsError("ResourceNotFound", self.cloudwatch.set_alarm_state, AlarmName="no such alarm", StateValue="OK", StateReason="x")
        update = json.loads(self.history(HistoryItemType="StateUpdate")[0]["HistoryData"])
        self.assertEqual((update["oldState"]["stateValue"], update["newState"]["stateReason"]), ("INSUFFICIENT_DATA", "a try"))

    def test_actions_off(self):
        self.put(TreatMissingData="ignore", AlarmActions=["arn:aws:sns:us-east-1:000000000000:nobody"], OKActions=["arn:aws:sns:us-east-1:000000000000:nobody"])
        self.cloudwatch.disable_alarm_actions(AlarmNames=[self.name])
        self.assertFalse(self.alarm()["ActionsEnabled"])
        self.cloudwatch.set_alarm_state(AlarmName=self.name, StateValue="ALARM", StateReason="x")
        self.cloudwatch.enable_alarm_actions(AlarmNames=[self.name])
        self.cloudwatch.set_alarm_state(AlarmName=self.name, StateValue="OK", StateReason="y")
        self.eventually(lambda: self.history(HistoryItemType="Action"), "the second one is acted on")
        self.assertTrue(self.alarm()["ActionsEnabled"])

    def test_instance_action(self):
        """It is EC2 that is asked, and its answer is what history says."""
        self.put(AlarmActions=[STOP], Dimensions=[{"Name": "InstanceId", "Value": "i-00000000000000000"}], TreatMissingData="ignore")
        self.cloudwatch.set_alarm_state(AlarmName=self.name, StateValue="ALARM", StateReason="x")
        self.eventually(lambda: self.history(HistoryItemType="Action"), "the action is in history")
        summary = self.history(HistoryItemType="Action")[0]["HistorySummary"]
        self.assertIn("Failed to execute action %s: InvalidInstanceID.NotFound" % STOP, summary)

    def test_who_may_have_an_action(self):
        """What the cloud does in the account's name is what its maker may do himself."""
        put = {"Effect": "Allow", "Action": "cloudwatch:*", "Resource": "*"}
        stop = {"Effect": "Allow", "Action": "ec2:StopInstances", "Resource": "arn:aws:ec2:us-east-1:000000000000:instance/i-00000000000000000"}
        kind = "arn:aws:automate:us-east-1:ec2:"
        for statements, actions, good in (([put], ["stop"], False), ([put, stop], ["stop"], True), ([put, stop], ["stop", "terminate"], False),
                                          ([put, stop], ["reboot"], False), ([put], ["recover"], True)):
            with self.subTest(actions=actions, good=good):
                ask = client("cloudwatch", **limited_key(self, *statements)).put_metric_alarm
                given = dict(AlarmName=self.name, Namespace=self.space, MetricName="m", Statistic="Average", Period=60, EvaluationPeriods=1, Threshold=5,
                             ComparisonOperator="GreaterThanThreshold", AlarmActions=[kind + a for a in actions],
                             Dimensions=[{"Name": "InstanceId", "Value": "i-00000000000000000"}])
                if good:
                    ask(**given)
                else:
                    self.assertAwsError("AccessDenied", ask, **given)

    def test_composite(self):
        for k in ("-a", "-b"):
            self.put(k, TreatMissingData="ignore")
            self.cloudwatch.set_alarm_state(AlarmName=self.name + k, StateValue="OK", StateReason="x")
        rule = 'ALARM("%s-a") AND NOT OK(%s-b)' % (self.name, self.name)
        self.cloudwatch.put_composite_alarm(AlarmName=self.name, AlarmRule=rule)
        self.state_is("OK")
        for k in ("-a", "-b"):
            self.cloudwatch.set_alarm_state(AlarmName=self.name + k, StateValue="ALARM", StateReason="x")
        self.state_is("ALARM")
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-b", StateValue="OK", StateReason="x")
        self.state_is("OK")
        self.assertEqual(self.cloudwatch.describe_alarms(AlarmNames=[self.name])["CompositeAlarms"], [])
        children = self.cloudwatch.describe_alarms(ChildrenOfAlarmName=self.name)["MetricAlarms"]
        self.assertEqual([a["AlarmName"] for a in children], [self.name + "-a", self.name + "-b"])
        self.assertEqual(self.cloudwatch.describe_alarms(ParentsOfAlarmName=self.name + "-a")["CompositeAlarms"][0]["AlarmName"], self.name)
        for bad in ("ALARM(", "ALARM(%s-a) OK(%s-b)" % (self.name, self.name), "ALARM(no-such-alarm)", "ALARM(%s)" % self.name, "MAYBE(x)", "(" * 200 + "TRUE"):
            with self.subTest(bad):
                self.assertAwsError("ValidationError", self.cloudwatch.put_composite_alarm, AlarmName=self.name, AlarmRule=bad)
        self.assertEqual(self.alarm()["AlarmRule"], rule)

    def acted(self):
        """What history says of actions, the oldest first."""
        return [h["HistorySummary"].split(" arn:")[0] for h in self.history(HistoryItemType="Action", ScanBy="TimestampAscending")]

    def test_suppression(self):
        """The actions of a composite alarm wait while another one is in ALARM, a while before that and a while after."""
        for k in ("-a", "-s"):
            self.put(k, TreatMissingData="ignore")
            self.cloudwatch.set_alarm_state(AlarmName=self.name + k, StateValue="OK", StateReason="x")
        given = {"AlarmName": self.name, "AlarmRule": "ALARM(%s-a)" % self.name, "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:nobody"]}
        put = self.cloudwatch.put_composite_alarm
        for bad in ({"ActionsSuppressor": self.name + "-s"}, {"ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1},
                    {"ActionsSuppressor": "no-such-alarm", "ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}):
            self.assertAwsError("ValidationError", put, **given, **bad)
        put(**given, ActionsSuppressor=self.alarm("-s")["AlarmArn"], ActionsSuppressorWaitPeriod=3600, ActionsSuppressorExtensionPeriod=3600)
        self.state_is("OK")
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-a", StateValue="ALARM", StateReason="x")
        self.state_is("ALARM")
        self.assertRegex(self.alarm()["StateReason"], r"^arn:\S+:alarm:%s-a transitioned to ALARM at [A-Z][a-z]+day \d\d [A-Z][a-z]+, 20\d\d \d\d:\d\d:\d\d UTC$" % self.name)
        self.assertEqual(json.loads(self.alarm()["StateReasonData"])["triggeringAlarms"][0]["state"]["value"], "ALARM")

        def by():
            return self.alarm().get("ActionsSuppressedBy")
        self.assertEqual((by(), self.alarm()["ActionsSuppressedReason"]), ("WaitPeriod", "Actions suppressed by WaitPeriod"))
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-s", StateValue="ALARM", StateReason="x")
        self.eventually(lambda: by() == "Alarm", "the suppressor came")
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-s", StateValue="OK", StateReason="x")
        self.eventually(lambda: by() == "ExtensionPeriod", "the suppressor has gone")
        self.assertEqual(self.acted(), ["Actions suppressed by " + x for x in ("WaitPeriod", "Alarm", "ExtensionPeriod")])
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-s", StateValue="ALARM", StateReason="x")
        self.eventually(lambda: by() == "Alarm", "the suppressor is back")
        put(**given, ActionsSuppressor=self.alarm("-s")["AlarmArn"], ActionsSuppressorWaitPeriod=2, ActionsSuppressorExtensionPeriod=0)
        self.assertEqual(by(), "Alarm")
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-s", StateValue="OK", StateReason="x")
        self.eventually(lambda: "Failed to execute action" in self.acted(), "what was held back is done")
        self.assertIsNone(by())
        # Nobody comes while it waits.
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-a", StateValue="OK", StateReason="x")
        self.state_is("OK")
        self.eventually(lambda: by() is None, "it has waited")
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-a", StateValue="ALARM", StateReason="x")
        self.eventually(lambda: self.acted()[-2:] == ["Actions suppressed by WaitPeriod", "Failed to execute action"], "it acts when it has waited")
        waited, done = [h["Timestamp"] for h in self.history(HistoryItemType="Action", ScanBy="TimestampAscending")[-2:]]
        self.assertGreaterEqual((done - waited).total_seconds(), 2)

    def test_refusals(self):
        for code, more in (("InvalidParameterValue", {"Period": 7}), ("InvalidParameterCombination", {"ExtendedStatistic": "p99"}), ("MissingParameter", {"Statistic": None}),
                           ("InvalidParameterValue", {"DatapointsToAlarm": 2}), ("InvalidParameterCombination", {"Period": 300, "EvaluationPeriods": 289}),
                           ("InvalidParameterValue", {"TreatMissingData": "no"}), ("InvalidParameterValue", {"AlarmActions": ["not an arn"]}),
                           ("InvalidParameterValue", {"AlarmActions": ["arn:aws:nobody:us-east-1:000000000000:x"]}), ("InvalidParameterValue", {"AlarmActions": [STOP]}),
                           ("InvalidParameterValue", {"ComparisonOperator": "GreaterThanUpperThreshold"}), ("MissingParameter", {"Namespace": None})):
            with self.subTest(more=more):
                self.assertAwsError(code, self.put, **more)
        self.assertEqual(self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"], [])

    def test_lists(self):
        for k in range(5):
            self.put("-%d" % k, TreatMissingData="ignore")
        self.cloudwatch.set_alarm_state(AlarmName=self.name + "-3", StateValue="ALARM", StateReason="x")
        pages = list(self.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=self.name, PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(p["MetricAlarms"]) for p in pages], [2, 2, 1])
        got = self.cloudwatch.describe_alarms(AlarmNamePrefix=self.name, StateValue="ALARM")["MetricAlarms"]
        self.assertEqual([a["AlarmName"] for a in got], [self.name + "-3"])
        got = self.cloudwatch.describe_alarms_for_metric(Namespace=self.space, MetricName="m", Statistic="Average", Period=10)["MetricAlarms"]
        self.assertEqual(len(got), 5)
        self.assertEqual(self.cloudwatch.describe_alarms_for_metric(Namespace=self.space, MetricName="m", Period=60)["MetricAlarms"], [])

    def test_tags(self):
        self.put()
        arn = self.alarm()["AlarmArn"]
        self.cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["a"])
        self.assertEqual(self.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "b", "Value": "2"}])
        self.assertAwsError("ResourceNotFoundException", self.cloudwatch.list_tags_for_resource, ResourceARN=arn + "x")

    def test_dashboards(self):
        body = json.dumps({"widgets": [{"type": "text", "x": 0, "y": 0, "width": 3, "height": 3, "properties": {"markdown": "hi"}}]})
        name = "d" + uuid.uuid4().hex
        self.assertEqual(self.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)["DashboardValidationMessages"], [])
        got = self.cloudwatch.get_dashboard(DashboardName=name)
        self.assertEqual((got["DashboardBody"], got["DashboardArn"]), (body, "arn:aws:cloudwatch::000000000000:dashboard/" + name))
        listed = self.cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
        self.assertEqual([(d["DashboardName"], d["Size"]) for d in listed], [(name, len(body))])
        for bad in ("no json", "[]", "{}", json.dumps({"widgets": [{"type": "odd", "properties": {}}]}), json.dumps({"widgets": [{"type": "text", "x": 99, "properties": {"markdown": "x"}}]})):
            with self.subTest(bad):
                self.assertAwsError("InvalidParameterInput", self.cloudwatch.put_dashboard, DashboardName=name, DashboardBody=bad)
        self.assertEqual(self.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"], body)
        self.cloudwatch.delete_dashboards(DashboardNames=[name])
        code = self.cloudwatch.meta.service_model.shape_for("DashboardNotFoundError").metadata["error"]["code"]
        self.assertAwsError(code, self.cloudwatch.get_dashboard, DashboardName=name)

    def test_command_lines(self):
        for program in aws_programs():
            def aws(*words):
                return run(program, "--endpoint-url", ENDPOINT, "cloudwatch", *words, "--output", "json").stdout
            aws("put-metric-alarm", "--alarm-name", self.name, "--namespace", self.space, "--metric-name", "m", "--statistic", "Sum", "--period", "60", "--evaluation-periods", "3",
                "--datapoints-to-alarm", "2", "--threshold", "1.5", "--comparison-operator", "LessThanThreshold")
            got = json.loads(aws("describe-alarms", "--alarm-names", self.name))["MetricAlarms"][0]
            self.assertEqual((got["DatapointsToAlarm"], got["Threshold"]), (2, 1.5))


if __name__ == "__main__":
    unittest.main()
