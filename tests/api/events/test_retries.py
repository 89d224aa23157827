"""What is tried again: tasks for which there is no room, in a cloud with little memory for tasks whose clock is moved."""
import json
import os
import shutil
import tempfile
import time
import unittest

import aws
from aws import REGION
from cloud import Cloud
from happenings import ACCOUNT, EventCase


class Retries(EventCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="quartet-test-")
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        os.chmod(directory, 0o755)
        config = os.path.join(directory, "quartet.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write("[containers]\nmemory = 100\n")
        cls.cloud = Cloud(options=["--config", config])
        cls.addClassCleanup(cls.cloud.stop)
        cls.cloud.start()
        cls.of = staticmethod(lambda service, **more: aws.client(service, **{"endpoint": cls.cloud.endpoint, **more}))
        ecs = cls.of("ecs")
        ecs.create_cluster(clusterName="c")
        cls.definition = ecs.register_task_definition(family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
                                                      containerDefinitions=[{"name": "c", "image": "busybox"}])["taskDefinition"]["taskDefinitionArn"]
        cls.subnet = cls.of("ec2").describe_subnets()["Subnets"][0]["SubnetId"]

    def letter(self, **policy):
        """What comes to the dead-letter queue, as the clock goes on."""
        url, dead = self.queue()
        kind = self.name()
        role = self.role({"Effect": "Allow", "Action": ["ecs:RunTask", "iam:PassRole"], "Resource": "*"})
        self.rule_name, _ = self.rule({"detail-type": [kind]}, targets=[{
            "Arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c", "RoleArn": role, "RetryPolicy": policy, "DeadLetterConfig": {"Arn": dead},
            "EcsParameters": {"TaskDefinitionArn": self.definition, "LaunchType": "FARGATE", "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": [self.subnet]}}}}])
        event = self.put(kind=kind)
        until = time.monotonic() + 60
        while not (got := self.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")):
            self.assertLess(time.monotonic(), until)
            self.cloud.forward("20s")
        self.assertEqual(json.loads(got[0]["Body"])["id"], event)
        return {k: v["StringValue"] for k, v in got[0]["MessageAttributes"].items()}

    def test_so_often(self):
        said = self.letter(MaximumRetryAttempts=2)
        self.assertEqual((said["EXHAUSTED_RETRY_CONDITION"], said["RETRY_ATTEMPTS"], said["ERROR_CODE"]), ("MaximumRetryAttempts", "2", "INTERNAL_ERROR"))
        self.assertIn("Capacity is unavailable", said["ERROR_MESSAGE"])
        cloudwatch, until = self.of("cloudwatch"), time.monotonic() + 60
        while "RetryInvocationAttempts" not in {m["MetricName"] for m in cloudwatch.list_metrics(Dimensions=[{"Name": "RuleName", "Value": self.rule_name}])["Metrics"]}:
            self.assertLess(time.monotonic(), until)
            self.cloud.forward("60s")

    def test_so_long(self):
        said = self.letter(MaximumEventAgeInSeconds=60)
        self.assertEqual(said["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds")
        self.assertGreater(int(said["RETRY_ATTEMPTS"]), 1)

    def test_never(self):
        said = self.letter(MaximumRetryAttempts=0)
        self.assertEqual((said["EXHAUSTED_RETRY_CONDITION"], said["RETRY_ATTEMPTS"]), ("MaximumRetryAttempts", "0"))


if __name__ == "__main__":
    unittest.main()
