"""Containers of tasks when roles are killed, and when the cloud is stopped and started again."""
import json
import os
import signal
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError
from busybox import busybox, push, why_not
from cloud import Cloud
from registry import Registry

AWAY = (BotoCoreError, ClientError, OSError)  # the role that answers is being started again
STAY = "trap 'exit 6' TERM; while true; do sleep 0.1; done"


@unittest.skipIf(why_not(), why_not())
class KilledTasks(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        ecr, iam = self.cloud.client("ecr"), self.cloud.client("iam")
        uri = ecr.create_repository(repositoryName="app")["repository"]["repositoryUri"]
        push(Registry(ecr, self.cloud.endpoint, "app", host=uri.split("/")[0]), busybox())
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName="exec", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="exec", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}))
        self.ecs = self.cloud.client("ecs")
        self.ecs.create_cluster()
        self.network = {"awsvpcConfiguration": {"subnets": [self.cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]]}}
        self.ecs.register_task_definition(family="t", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512", executionRoleArn=role,
                                          containerDefinitions=[{"name": "c", "image": uri, "command": ["/bin/sh", "-c", STAY]}])

    def run_task(self):
        return self.ecs.run_task(taskDefinition="t", launchType="FARGATE", networkConfiguration=self.network)["tasks"][0]["taskArn"]

    def until(self, arn, status, seconds=120):
        until = time.monotonic() + seconds
        while True:
            try:
                (task,) = self.ecs.describe_tasks(tasks=[arn])["tasks"]
            except AWAY as e:
                task = {"lastStatus": str(e)}
            if task["lastStatus"] == status:
                return task
            self.assertNotEqual(task["lastStatus"], "STOPPED", task)
            self.assertLess(time.monotonic(), until, task)
            time.sleep(0.1)

    def running(self, service):
        try:
            (found,) = self.ecs.describe_services(services=[service])["services"]
            arns = self.ecs.list_tasks(serviceName=service)["taskArns"]
            return found["runningCount"] == 1 and arns
        except AWAY:
            return None

    def wait(self, what, seconds=120):
        until = time.monotonic() + seconds
        while not (value := what()):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        return value

    def test_roles_killed(self):
        """A task goes on while the role that serves is killed, and is that role's again: it stops as any other."""
        arn = self.run_task()
        before = self.until(arn, "RUNNING")
        for role in ("api", "priv"):
            pid = self.cloud.kill(role)
            self.cloud.wait_for_role(role, other_than=pid, seconds=30)
        after = self.until(arn, "RUNNING")
        self.assertEqual((after["startedAt"], after["containers"][0]["runtimeId"]), (before["startedAt"], before["containers"][0]["runtimeId"]))
        self.wait(lambda: self.stop_task(arn))
        ended = self.until(arn, "STOPPED")
        self.assertEqual((ended["stopCode"], ended["containers"][0]["exitCode"]), ("UserInitiated", 6))

    def stop_task(self, arn):
        try:
            return self.ecs.stop_task(task=arn)
        except AWAY:
            return None

    def test_stopped_and_started(self):
        """What ran has ended with the cloud and says so; a service has its tasks again."""
        self.ecs.create_service(serviceName="s", taskDefinition="t", desiredCount=1, launchType="FARGATE", networkConfiguration=self.network)
        (of_service,) = self.wait(lambda: self.running("s"))
        arn = self.run_task()
        self.until(arn, "RUNNING")
        self.cloud.process.send_signal(signal.SIGTERM)
        self.cloud.process.wait(60)
        self.assertEqual(self.cloud.leftovers(), [])
        self.cloud.start()
        for task in (arn, of_service):
            ended = self.until(task, "STOPPED")
            self.assertEqual(ended["stopCode"], "TerminationNotice")
            self.assertNotIn("exitCode", ended["containers"][0])
        self.wait(lambda: (now := self.running("s")) and now != [of_service])


if __name__ == "__main__":
    unittest.main()
