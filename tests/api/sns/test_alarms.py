"""Alarms tell topics what became of them; a topic's policy says whether they may."""
import json
import unittest
import uuid

from aws import client
from test_endpoints import eventually
from topics import TopicCase


class Alarms(TopicCase):
    def test_told(self):
        cloudwatch, topic, name = client("cloudwatch"), self.topic(), "told-" + uuid.uuid4().hex
        url, _ = self.listener(topic)
        cloudwatch.put_metric_alarm(AlarmName=name, AlarmDescription="d", Namespace="test/" + name, MetricName="m", Dimensions=[{"Name": "n", "Value": "v"}], Statistic="Average",
                                    Period=60, EvaluationPeriods=1, Threshold=5, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore", AlarmActions=[topic])
        self.addCleanup(cloudwatch.delete_alarms, AlarmNames=[name])
        arn = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="because")
        [m] = eventually(lambda: self.receive(url))
        envelope = json.loads(m["Body"])
        self.assertEqual(envelope["Subject"], f'ALARM: "{name}" in US East (N. Virginia)'[:100])
        said = json.loads(envelope["Message"])
        self.assertEqual({k: said[k] for k in ("AlarmName", "AlarmDescription", "AWSAccountId", "NewStateValue", "NewStateReason", "OldStateValue", "AlarmArn", "Region", "AlarmActions", "OKActions")},
                         {"AlarmName": name, "AlarmDescription": "d", "AWSAccountId": "000000000000", "NewStateValue": "ALARM", "NewStateReason": "because",
                          "OldStateValue": "INSUFFICIENT_DATA", "AlarmArn": arn, "Region": "US East (N. Virginia)", "AlarmActions": [topic], "OKActions": []})
        self.assertEqual(said["Trigger"], {"MetricName": "m", "Namespace": "test/" + name, "StatisticType": "Statistic", "Statistic": "AVERAGE", "Unit": None,
                                           "Dimensions": [{"value": "v", "name": "n"}], "Period": 60, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold",
                                           "Threshold": 5.0, "TreatMissingData": "ignore", "EvaluateLowSampleCountPercentile": ""})

        def actions():
            return [h["HistorySummary"] for h in cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]]
        self.assertEqual(eventually(actions), ["Successfully executed action " + topic])
        # With a policy that names others alone, it may not.
        self.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic}]}))
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="again")
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="once more")
        eventually(lambda: any(a.startswith(f"Failed to execute action {topic}") for a in actions()))


if __name__ == "__main__":
    unittest.main()
