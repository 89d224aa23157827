"""The launch type EC2: an instance of the default image joins a cluster by its user data, and its agent runs tasks."""
import json
import os
import time
import unittest
import urllib.error
import urllib.request
import uuid

from aws import client
from images import image, no_containers
from tasks import EXECUTION, TaskCase, allow, role

FACTS = "/var/cache/quartet/images/debian-12-amd64/image.json"
SERVE = "mkdir -p /www; echo from-$WORD > /www/index.html; echo serving; exec httpd -f -p 80 -h /www"
STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
AGENT = allow("ecs:RegisterContainerInstance", "ecs:DiscoverPollEndpoint", "ecs:Poll", "ecs:Submit*", "ecr:GetAuthorizationToken", "ecr:BatchGetImage",
              "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "logs:CreateLogStream", "logs:PutLogEvents")


def why_no_agent():
    try:
        with open(FACTS) as f:
            return "" if json.load(f).get("container_agent") else "the machine's image has no container agent: tools/make-image"
    except OSError:
        return "there is no image: tools/make-image"


def get(address, port):
    """What a server there says; None: nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=2) as reply:
            return reply.read().decode().strip()
    except OSError:
        return None


@unittest.skipIf(why_no_agent() or no_containers(), why_no_agent() or no_containers())
class ContainerInstances(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        iam = client("iam")
        role("agent-" + cls.word, "ec2.amazonaws.com", AGENT)
        iam.create_instance_profile(InstanceProfileName="agent-" + cls.word)
        iam.add_role_to_instance_profile(InstanceProfileName="agent-" + cls.word, RoleName="agent-" + cls.word)
        group = cls.ec2.create_security_group(GroupName="g" + cls.word, Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        cls.machine = cls.ec2.run_instances(
            ImageId=image(cls.ec2), InstanceType="t3.small", MinCount=1, MaxCount=1, SubnetId=cls.subnet["SubnetId"], SecurityGroupIds=[group],
            IamInstanceProfile={"Name": "agent-" + cls.word}, UserData=f"#!/bin/bash\necho ECS_CLUSTER={cls.cluster} >> /etc/ecs/ecs.config\n",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"][0]["InstanceId"]
        cls.arn = None
        until = time.monotonic() + 180
        while time.monotonic() < until and not cls.arn:
            cls.arn = next(iter(cls.ecs.list_container_instances(cluster=cls.cluster)["containerInstanceArns"]), None)
            time.sleep(0.1)
        if not cls.arn:
            console = cls.ec2.get_console_output(InstanceId=cls.machine, Latest=True).get("Output", "")
            cls.tearDownClass()
            raise AssertionError("the instance does not join the cluster; its console says\n" + console[-3000:])
        cls.address = cls.ec2.describe_instances(InstanceIds=[cls.machine])["Reservations"][0]["Instances"][0]["PublicIpAddress"]

    @classmethod
    def tearDownClass(cls):
        for service in cls.ecs.list_services(cluster=cls.cluster)["serviceArns"]:
            cls.ecs.delete_service(cluster=cls.cluster, service=service, force=True)
        super().tearDownClass()
        cls.ec2.terminate_instances(InstanceIds=[cls.machine])

    def container_instance(self):
        (found,) = self.ecs.describe_container_instances(cluster=self.cluster, containerInstances=[self.arn])["containerInstances"]
        return found

    def define(self, *containers, **more):
        containers = [({"command": c} if isinstance(c, str) else c) for c in containers]
        containers = [{"memory": 64, "cpu": 10, "stopTimeout": 2, **c} for c in containers]
        plain = {"requiresCompatibilities": ["EC2"], "networkMode": "bridge", **more}
        made = []
        for i, c in enumerate(containers):
            c.setdefault("name", "c" if i == 0 else f"c{i}")
            c.setdefault("image", self.image)
            if isinstance(c.get("command"), str):
                c["command"] = ["/bin/sh", "-c", c["command"]]
            made.append(c)
        return self.ecs.register_task_definition(family="f" + uuid.uuid4().hex[:12], containerDefinitions=made, **plain)["taskDefinition"]["taskDefinitionArn"]

    def launch(self, *containers, run=None, **more):
        reply = self.ecs.run_task(cluster=self.cluster, taskDefinition=self.define(*containers, **more), launchType="EC2", **(run or {}))
        self.assertEqual(reply["failures"], [])
        for t in reply["tasks"]:
            self.addCleanup(self.end, t["taskArn"])
        return reply["tasks"][0]["taskArn"]

    def test_described(self):
        found = self.container_instance()
        self.assertEqual((found["status"], found["agentConnected"], found["ec2InstanceId"]), ("ACTIVE", True, self.machine))
        self.assertRegex(self.arn, f"container-instance/{self.cluster}/[0-9a-f]{{32}}$")
        registered = {r["name"]: r for r in found["registeredResources"]}
        self.assertEqual((registered["CPU"]["integerValue"], registered["MEMORY"]["integerValue"]), (2048, 2048))
        self.assertEqual(registered["PORTS"]["stringSetValue"], ["22", "2375", "2376", "51678", "51679"])
        attributes = {a["name"]: a.get("value") for a in found["attributes"]}
        self.assertEqual((attributes["ecs.instance-type"], attributes["ecs.availability-zone"], attributes["ecs.os-type"], attributes["ecs.cpu-architecture"]),
                         ("t3.small", self.subnet["AvailabilityZone"], "linux", "x86_64"))
        self.assertEqual(attributes["ecs.subnet-id"], self.subnet["SubnetId"])
        self.assertIn("com.amazonaws.ecs.capability.logging-driver.awslogs", attributes)
        self.assertEqual(self.ecs.describe_clusters(clusters=[self.cluster])["clusters"][0]["registeredContainerInstancesCount"], 1)
        self.assertAwsError("ClusterContainsContainerInstancesException", self.ecs.delete_cluster, cluster=self.cluster)

    def test_bridge(self):
        """A port of the instance leads to the task; its output is in its log; it ends as it is told."""
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "/t", "awslogs-region": self.region, "awslogs-stream-prefix": "p"}}
        arn = self.launch({"command": SERVE, "environment": [{"name": "WORD", "value": "bridge"}], "portMappings": [{"containerPort": 80}], "logConfiguration": log,
                           "cpu": 100, "memory": 128}, run={"startedBy": "me"})
        task = self.until(arn, "RUNNING")
        self.assertEqual((task["launchType"], task["containerInstanceArn"], task["cpu"], task["memory"], task["connectivity"]), ("EC2", self.arn, "100", "128", "CONNECTED"))
        (container,) = task["containers"]
        self.assertEqual((container["lastStatus"], container["imageDigest"]), ("RUNNING", self.digest))
        (binding,) = container["networkBindings"]
        self.assertEqual((binding["bindIP"], binding["containerPort"], binding["protocol"]), ("0.0.0.0", 80, "tcp"))
        self.assertGreaterEqual(binding["hostPort"], 32768)
        self.wait(lambda: get(self.address, binding["hostPort"]) == "from-bridge")
        found = self.container_instance()
        remaining = {r["name"]: r for r in found["remainingResources"]}
        self.assertIn(str(binding["hostPort"]), remaining["PORTS"]["stringSetValue"])
        self.assertGreaterEqual(found["runningTasksCount"], 1)
        self.assertIn(arn, self.ecs.list_tasks(cluster=self.cluster, containerInstance=self.arn)["taskArns"])
        stream = f"p/c/{arn.rsplit('/', 1)[1]}"
        self.wait(lambda: [e["message"] for e in self.logs.get_log_events(logGroupName="/t", logStreamName=stream)["events"]] == ["serving"])
        self.ecs.stop_task(cluster=self.cluster, task=arn, reason="enough")
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"]), ("UserInitiated", "enough"))
        self.assertIn(task["containers"][0]["exitCode"], (0, 143, 137))
        self.assertIsNone(get(self.address, binding["hostPort"]))

    def test_host(self):
        """In host mode the instance's ports are the task's, and nobody else's meanwhile."""
        definition = self.define({"command": SERVE.replace("-p 80", "-p 8099"), "environment": [{"name": "WORD", "value": "host"}],
                                  "portMappings": [{"containerPort": 8099}]}, networkMode="host")
        reply = self.ecs.start_task(cluster=self.cluster, taskDefinition=definition, containerInstances=[self.arn])
        self.assertEqual(reply["failures"], [])
        arn = reply["tasks"][0]["taskArn"]
        self.addCleanup(self.end, arn)
        task = self.until(arn, "RUNNING")
        self.assertEqual(task["containers"][0]["networkBindings"], [{"bindIP": "0.0.0.0", "containerPort": 8099, "hostPort": 8099, "protocol": "tcp"}])
        self.wait(lambda: get(self.address, 8099) == "from-host")
        again = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, launchType="EC2")
        self.assertEqual((again["tasks"], again["failures"]), ([], [{"arn": self.arn, "reason": "RESOURCE:PORTS"}]))

    def test_failures(self):
        """What no container instance has room for."""
        for why, container in (("RESOURCE:MEMORY", {"command": STAY, "memory": 4000}), ("RESOURCE:CPU", {"command": STAY, "cpu": 4096}),
                               ("RESOURCE:PORTS", {"command": STAY, "portMappings": [{"containerPort": 80, "hostPort": 22}]})):
            reply = self.ecs.run_task(cluster=self.cluster, taskDefinition=self.define(container), launchType="EC2")
            self.assertEqual((reply["tasks"], reply["failures"]), ([], [{"arn": self.arn, "reason": why}]))
        reply = self.ecs.run_task(cluster=self.cluster, taskDefinition=self.define(STAY), launchType="EC2",
                                  placementConstraints=[{"type": "memberOf", "expression": "attribute:ecs.instance-type =~ g4.*"}])
        self.assertEqual(reply["failures"], [{"arn": self.arn, "reason": "MemberOf placement constraint unsatisfied."}])
        missing = self.arn[:-32] + "0" * 32
        reply = self.ecs.start_task(cluster=self.cluster, taskDefinition=self.define(STAY), containerInstances=[missing])
        self.assertEqual(reply["failures"], [{"arn": missing, "reason": "MISSING"}])
        empty = self.ecs.create_cluster(clusterName="empty-" + self.word)["cluster"]["clusterName"]
        with self.assertRaisesRegex(self.ecs.exceptions.InvalidParameterException, "No Container Instances were found in your cluster."):
            self.ecs.run_task(cluster=empty, taskDefinition=self.define(STAY), launchType="EC2")

    def test_start_fails(self):
        arn = self.launch({"command": STAY, "image": self.image + ":none"})
        task = self.until(arn, "STOPPED")
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        self.assertRegex(task["stoppedReason"], "^CannotPullContainerError: ")
        arn = self.launch("exit 3")
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"], task["containers"][0]["exitCode"]),
                         ("EssentialContainerExited", "Essential container in task exited", 3))


if __name__ == "__main__":
    unittest.main()
