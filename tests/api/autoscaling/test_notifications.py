"""Topics that are told of a group's instances."""
import json
import unittest

from aws import client
from groups import GroupCase, wait


class Notifications(GroupCase):
    def test_told(self):
        sns, sqs = client("sns", region=self.region), client("sqs", region=self.region)
        topic = sns.create_topic(Name="told")["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        url = sqs.create_queue(QueueName="told")["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=url)
        queue = topic.replace(":sns:", ":sqs:")
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}]})})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        self.template()
        self.group()
        kinds = ["autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE"]
        put = self.scaling.put_notification_configuration
        self.assertAwsError("ValidationError", put, AutoScalingGroupName="g", TopicARN=topic, NotificationTypes=["smoke"])
        self.assertAwsError("ValidationError", put, AutoScalingGroupName="g", TopicARN=topic + "x", NotificationTypes=kinds)
        self.assertAwsError("ValidationError", put, AutoScalingGroupName="none", TopicARN=topic, NotificationTypes=kinds)
        self.assertEqual(set(kinds) - set(self.scaling.describe_auto_scaling_notification_types()["AutoScalingNotificationTypes"]), set())
        put(AutoScalingGroupName="g", TopicARN=topic, NotificationTypes=kinds)
        self.assertEqual(self.scaling.describe_notification_configurations(AutoScalingGroupNames=["g"])["NotificationConfigurations"],
                         [{"AutoScalingGroupName": "g", "TopicARN": topic, "NotificationType": k} for k in kinds])

        def told():
            for m in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
                return json.loads(m["Body"])
        said = wait(self, told)
        self.assertEqual((json.loads(said["Message"])["Event"], said["Subject"]), ("autoscaling:TEST_NOTIFICATION", 'Auto Scaling: test notification for group "g"'))
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        said = wait(self, told)
        [member] = self.settled(1)
        got = json.loads(said["Message"])
        self.assertEqual((got["Event"], got["EC2InstanceId"], got["AutoScalingGroupName"], said["Subject"]),
                         (kinds[0], member["InstanceId"], "g", 'Auto Scaling: launch for group "g"'))
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        got = json.loads(wait(self, told)["Message"])
        self.assertEqual((got["Event"], got["EC2InstanceId"]), (kinds[1], member["InstanceId"]))
        self.scaling.delete_notification_configuration(AutoScalingGroupName="g", TopicARN=topic)
        self.assertEqual(self.scaling.describe_notification_configurations(AutoScalingGroupNames=["g"])["NotificationConfigurations"], [])


if __name__ == "__main__":
    unittest.main()
