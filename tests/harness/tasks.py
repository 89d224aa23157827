"""What tests of ECS's tasks share: an image of busybox in the registry, roles, a cluster, and a region of the class's own."""
import json
import os
import sys
import time
import unittest
import unittest.mock
import uuid

import aws
from aws import ENDPOINT, TestCase, client
from busybox import busybox, push, why_not
from moving import moving_cloud
from registry import Registry

ACCOUNT = "000000000000"


def repository_of(region, name, endpoint=None):
    """(Registry, image name without tag) of a new repository."""
    ecr = client("ecr", region=region, endpoint=endpoint)
    uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    return Registry(ecr, endpoint or ENDPOINT, name, host=uri.split("/")[0]), uri


def role(name, trusted, *statements, client=client):
    iam = client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    return made


def own_cloud(case, cloud):
    """Starts a cloud for a class of tests alone, and has its clients ask that one."""
    case.addClassCleanup(cloud.stop)
    cloud.start()
    patches = [unittest.mock.patch.object(module, "ENDPOINT", cloud.endpoint) for module in (aws, sys.modules[__name__])]
    patches.append(unittest.mock.patch.dict(os.environ, AWS_ENDPOINT_URL=cloud.endpoint, QUARTET_DATA=cloud.data))
    for patch in patches:
        patch.start()
        case.addClassCleanup(patch.stop)
    return cloud


def allow(*actions, resource="*"):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


EXECUTION = allow("ecr:*", "logs:*", "ssm:GetParameters", "secretsmanager:GetSecretValue", "s3:GetObject", "s3:GetBucketLocation", "s3:ListBucket")


@unittest.skipIf(why_not(), why_not())
class TaskCase(TestCase):
    """A class has a region, a default VPC, an image, a cluster and an execution role; each test its own definitions."""
    homes = ()  # regions that AWS has, for classes that other services ask for one: the first in which nothing of this was made
    moves = False  # the clock: then the class has a cloud of its own, and minutes pass when a test wants them to
    client = staticmethod(client)

    @classmethod
    def setUpClass(cls):
        word = uuid.uuid4().hex[:8]
        if cls.moves:
            cls.cloud, of_it = moving_cloud(cls)
            cls.client = staticmethod(of_it)
        cls.region = next((r for r in cls.homes if not cls.client("ecr", region=r).describe_repositories()["repositories"]), f"test-{word}-1")
        cls.ecs, cls.ec2, cls.logs = (cls.client(s, region=cls.region) for s in ("ecs", "ec2", "logs"))
        cls.registry, cls.image = repository_of(cls.region, "app", cls.cloud.endpoint if cls.moves else None)
        cls.digest = push(cls.registry, busybox())
        cls.execution = role("exec-" + word, "ecs-tasks.amazonaws.com", EXECUTION, client=cls.client)
        cls.cluster = cls.ecs.create_cluster(clusterName="c-" + word)["cluster"]["clusterName"]
        cls.subnet = min(cls.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        cls.vpc = cls.subnet["VpcId"]
        cls.logs.create_log_group(logGroupName="/t")
        cls.word = word

    @classmethod
    def tearDownClass(cls):
        """Nothing of a class goes on behind it: the cloud is shared."""
        tasks = cls.ecs.list_tasks(cluster=cls.cluster)["taskArns"]
        for task in tasks:
            cls.ecs.stop_task(cluster=cls.cluster, task=task)
        until = time.monotonic() + 120
        while tasks and time.monotonic() < until:
            tasks = [t["taskArn"] for t in cls.ecs.describe_tasks(cluster=cls.cluster, tasks=tasks)["tasks"] if t["lastStatus"] != "STOPPED"]
            time.sleep(0.1)

    def register(self, *containers, **more):
        """A definition of these containers; a text is what a shell runs."""
        made = []
        for i, c in enumerate(containers):
            c = {"command": ["/bin/sh", "-c", c]} if isinstance(c, str) else dict(c)
            if isinstance(c.get("command"), str):
                c["command"] = ["/bin/sh", "-c", c["command"]]
            c.setdefault("name", "c" if i == 0 else f"c{i}")
            c.setdefault("image", self.image)
            made.append(c)
        more = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
                "executionRoleArn": self.execution, **more}
        return self.ecs.register_task_definition(family="f" + uuid.uuid4().hex[:12], containerDefinitions=made, **more)["taskDefinition"][
            "taskDefinitionArn"]

    def run_tasks(self, definition, groups=(), public=False, **more):
        network = {"subnets": [self.subnet["SubnetId"]], "assignPublicIp": "ENABLED" if public else "DISABLED"}
        if groups:
            network["securityGroups"] = list(groups)
        if "capacityProviderStrategy" not in more:
            more.setdefault("launchType", "FARGATE")
        reply = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, networkConfiguration={"awsvpcConfiguration": network}, **more)
        self.assertEqual(reply["failures"], [])
        for t in reply["tasks"]:
            self.addCleanup(self.end, t["taskArn"])
        return reply["tasks"]

    def run_task(self, *containers, groups=(), public=False, run=None, **more):
        """The ARN of a task of a new definition."""
        (task,) = self.run_tasks(self.register(*containers, **more), groups, public, **(run or {}))
        return task["taskArn"]

    def end(self, task):
        if self.task(task)["desiredStatus"] != "STOPPED":
            self.ecs.stop_task(cluster=self.cluster, task=task)

    def task(self, arn, **more):
        (found,) = self.ecs.describe_tasks(cluster=self.cluster, tasks=[arn], **more)["tasks"]
        return found

    def wait(self, what, seconds=120):
        """Until what() is true: its value."""
        until = time.monotonic() + seconds
        while True:
            value = what()
            if value:
                return value
            if time.monotonic() > until:
                return self.fail(f"waited {seconds} s in vain")
            time.sleep(0.05)

    def until(self, arn, status, seconds=120):
        """The task, when it has come to that status; one that ended instead fails the test."""
        until = time.monotonic() + seconds
        while True:
            task = self.task(arn)
            if task["lastStatus"] == status:
                return task
            if task["lastStatus"] == "STOPPED" or time.monotonic() > until:
                return self.fail(f"{task['lastStatus']} instead of {status}: {task.get('stoppedReason')} {task['containers']}")
            time.sleep(0.05)

    def log(self, name, group="/t", **more):
        """An awslogs configuration; name: the prefix of its streams."""
        return {"logDriver": "awslogs", "options": {"awslogs-group": group, "awslogs-region": self.region, "awslogs-stream-prefix": name, **more}}

    def lines(self, name, task, container="c", group="/t"):
        stream = f"{name}/{container}/{task.rsplit('/', 1)[1]}"
        try:
            return [e["message"] for e in self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def wait_for_lines(self, count, name, task, container="c", group="/t"):
        return self.wait(lambda: (found := self.lines(name, task, container, group)) and len(found) >= count and found)

    def says(self, *containers, run=None, **more):
        """What the first container of a task that ends by itself has written, and the task."""
        name = "s" + uuid.uuid4().hex[:8]
        first = {"command": containers[0]} if isinstance(containers[0], str) else dict(containers[0])
        first["logConfiguration"] = self.log(name)
        first["command"] = first["command"] + "; echo end-of-output" if isinstance(first["command"], str) else first["command"]
        arn = self.run_task(first, *containers[1:], run=run, **more)
        task = self.until(arn, "STOPPED")
        self.assertIn("startedAt", task, task.get("stoppedReason"))
        lines = self.wait(lambda: (found := self.lines(name, arn)) and found[-1] == "end-of-output" and found)
        return lines[:-1], task

    def interface(self, arn):
        details = {d["name"]: d["value"] for d in self.task(arn)["attachments"][0]["details"]}
        return self.ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"][0]
