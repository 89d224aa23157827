"""Topics that are told of a group's instances."""
import json
import unittest
import uuid

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

    def test_hooks_of_their_own(self):
        """A hook tells its queue or its topic by a role."""
        of = lambda service: client(service, region=self.region)  # noqa: E731
        sns, sqs, iam, name = of("sns"), of("sqs"), client("iam"), "hooked-" + uuid.uuid4().hex[:8]
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "autoscaling.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.addCleanup(iam.delete_role, RoleName=name)
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["sqs:SendMessage", "sns:Publish"], "Resource": "*"}]}))
        self.addCleanup(iam.delete_role_policy, RoleName=name, PolicyName="p")
        topic = sns.create_topic(Name=name)["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=url)
        queue = topic.replace(":sns:", ":sqs:")
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}]})})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        self.template()
        self.group()

        def told():
            for m in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
                return json.loads(m["Body"])
        put = lambda **more: self.scaling.put_lifecycle_hook(AutoScalingGroupName="g", **more)  # noqa: E731
        hook = {"LifecycleHookName": "in", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "NotificationMetadata": "m", "DefaultResult": "CONTINUE"}
        self.assertAwsError("ValidationError", put, **hook, NotificationTargetARN=queue, message="RoleARN")
        self.assertAwsError("ValidationError", put, **hook, NotificationTargetARN="arn:aws:s3:::b", RoleARN=role)
        self.assertAwsError("ValidationError", put, **hook, NotificationTargetARN=queue, RoleARN=role + "x", message="Unable to publish test message")
        put(**hook, NotificationTargetARN=queue, RoleARN=role)
        said = wait(self, told)
        self.assertEqual((said["Event"], said["AutoScalingGroupName"]), ("autoscaling:TEST_NOTIFICATION", "g"))
        self.assertEqual([(h["NotificationTargetARN"], h["RoleARN"]) for h in self.scaling.describe_lifecycle_hooks(AutoScalingGroupName="g")["LifecycleHooks"]], [(queue, role)])
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        said = wait(self, told)
        self.assertEqual({k: said[k] for k in ("LifecycleHookName", "LifecycleTransition", "NotificationMetadata", "Service", "Origin", "Destination")},
                         {"LifecycleHookName": "in", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "NotificationMetadata": "m", "Service": "AWS Auto Scaling",
                          "Origin": "EC2", "Destination": "AutoScalingGroup"})
        self.scaling.complete_lifecycle_action(AutoScalingGroupName="g", LifecycleHookName="in", LifecycleActionToken=said["LifecycleActionToken"], LifecycleActionResult="CONTINUE")
        [member] = self.settled(1)
        self.assertEqual(member["InstanceId"], said["EC2InstanceId"])
        put(**{**hook, "LifecycleHookName": "out", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}, NotificationTargetARN=topic, RoleARN=role)
        self.assertEqual(json.loads(wait(self, told)["Message"])["Event"], "autoscaling:TEST_NOTIFICATION")
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        said = wait(self, told)
        got = json.loads(said["Message"])
        self.assertEqual((said["Subject"], got["LifecycleTransition"]),
                         (f"Auto Scaling:  Lifecycle action 'TERMINATING' for instance {member['InstanceId']} in progress.", "autoscaling:EC2_INSTANCE_TERMINATING"))
        self.scaling.complete_lifecycle_action(AutoScalingGroupName="g", LifecycleHookName="out", LifecycleActionToken=got["LifecycleActionToken"], LifecycleActionResult="CONTINUE")
        wait(self, lambda: not self.members())


if __name__ == "__main__":
    unittest.main()
