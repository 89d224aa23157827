"""The launch type EC2: an instance of the default image joins a cluster by its user data, and its agent runs tasks."""
import json
import os
import subprocess
import time
import unittest
import urllib.request
import uuid

from aws import client
from busybox import busybox, push
from channel import Channel
from cloud import program
from images import image, no_containers
from tasks import TaskCase, allow, role
from test_protection import GET, put

FACTS = "/var/cache/quartet/images/debian-12-amd64/image.json"
SERVE = "mkdir -p /www; echo from-$WORD > /www/index.html; echo serving; exec httpd -f -p 80 -h /www"
STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


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
class Joined(TaskCase):
    """One instance that has joined the class's cluster."""
    driver = "container"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        iam = cls.client("iam")
        role("agent-" + cls.word, "ec2.amazonaws.com", client=cls.client)
        iam.attach_role_policy(RoleName="agent-" + cls.word, PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role")
        iam.create_instance_profile(InstanceProfileName="agent-" + cls.word)
        iam.add_role_to_instance_profile(InstanceProfileName="agent-" + cls.word, RoleName="agent-" + cls.word)
        group = cls.ec2.create_security_group(GroupName="g" + cls.word, Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        cls.doors = [group]
        cls.machine = cls.start_instance(cls.subnet["SubnetId"])
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
    def start_instance(cls, subnet):
        return cls.ec2.run_instances(
            ImageId=image(cls.ec2), InstanceType="t3.small", MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=cls.doors,
            IamInstanceProfile={"Name": "agent-" + cls.word}, UserData=f"#!/bin/bash\necho ECS_CLUSTER={cls.cluster} >> /etc/ecs/ecs.config\n",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": cls.driver}]}])["Instances"][0]["InstanceId"]

    @classmethod
    def tearDownClass(cls):
        for service in cls.ecs.list_services(cluster=cls.cluster)["serviceArns"]:
            try:
                cls.ecs.delete_service(cluster=cls.cluster, service=service, force=True)
            except cls.ecs.exceptions.ServiceNotFoundException:
                pass  # it was being deleted
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

    def inside(self, line):
        done = subprocess.run([os.environ["QUARTET"], "exec", self.machine, "sh", "-c", line], capture_output=True, text=True, timeout=60, check=False,
                              env={**(self.cloud.environment() if self.moves else os.environ), "AWS_REGION": self.region})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Either:
    """Of either driver: test_container_instances_vm.py has the other."""
    def asked(self, *containers, **more):
        """What the first container of a task on the instance has written when the task has ended, and the task."""
        name = "a" + uuid.uuid4().hex[:8]
        first = {"command": containers[0]} if isinstance(containers[0], str) else dict(containers[0])
        first["command"] += "; echo end-of-output"
        first["logConfiguration"] = self.log(name, **more.pop("log", {}))
        arn = self.launch(first, *containers[1:], **more)
        task = self.until(arn, "STOPPED")
        self.assertIn("startedAt", task, task.get("stoppedReason"))
        lines = self.wait(lambda: (found := self.lines(name, arn)) and found[-1].strip().endswith("end-of-output") and found)
        return lines[:-1] if lines[-1] == "end-of-output" else lines, task

    def eni(self, arn):
        """The task's interface as EC2 has it; None: there is none any more."""
        details = {d["name"]: d["value"] for d in self.task(arn)["attachments"][0]["details"]}
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "network-interface-id", "Values": [details["networkInterfaceId"]]}])["NetworkInterfaces"]
        return found[0] if found else None

    def answer(self, address):
        return self.inside(f"curl -s -m 2 http://{address}/ || true").strip()

    def test_awsvpc(self):
        """Each task has an interface of its own in the instance, with its own group; a t3.small has room for two, until one has gone."""
        group = self.ec2.create_security_group(GroupName="v" + self.word, Description="d", VpcId=self.vpc)["GroupId"]
        door = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": self.subnet["CidrBlock"]}]}]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=door)
        vpc = {"subnets": [self.subnet["SubnetId"]], "securityGroups": [group]}
        serve = "ip -o link show dev eth0; wget -q -O - $ECS_CONTAINER_METADATA_URI_V4; echo; hostname; cat /etc/resolv.conf; " + SERVE
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "/t", "awslogs-region": self.region, "awslogs-stream-prefix": "v"}}
        definition = self.define({"command": serve, "environment": [{"name": "WORD", "value": "vpc"}], "portMappings": [{"containerPort": 80}], "logConfiguration": log},
                                 networkMode="awsvpc")
        run = {"cluster": self.cluster, "taskDefinition": definition, "launchType": "EC2"}
        for bad in (None, {**vpc, "assignPublicIp": "ENABLED"}, {**vpc, "subnets": ["subnet-00000000000000000"]}):
            self.assertAwsError("InvalidParameterException", self.ecs.run_task, **run, **({"networkConfiguration": {"awsvpcConfiguration": bad}} if bad else {}))
        elsewhere = next(s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"] if s["AvailabilityZone"] != self.subnet["AvailabilityZone"])
        reply = self.ecs.run_task(**run, networkConfiguration={"awsvpcConfiguration": {**vpc, "subnets": [elsewhere]}})
        self.assertEqual((reply["tasks"], reply["failures"]), ([], [{"arn": self.arn, "reason": "ATTRIBUTE"}]))

        run["networkConfiguration"] = {"awsvpcConfiguration": vpc}
        reply = self.ecs.run_task(**run, count=3)
        arns = [t["taskArn"] for t in reply["tasks"]]
        for arn in arns:
            self.addCleanup(self.end, arn)
        self.assertEqual((len(arns), reply["failures"]), (2, [{"arn": self.arn, "reason": "RESOURCE:ENI"}]))
        self.assertEqual([t["lastStatus"] for t in reply["tasks"]], ["PROVISIONING"] * 2)
        for arn in arns:
            task = self.until(arn, "RUNNING")
            interface = self.eni(arn)
            self.assertEqual(([a["status"] for a in task["attachments"]], task["containers"][0]["networkBindings"]), (["ATTACHED"], []))
            self.assertEqual(task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"], interface["PrivateIpAddress"])
            self.assertEqual((interface["Attachment"]["InstanceId"], interface["RequesterManaged"], [g["GroupId"] for g in interface["Groups"]]), (self.machine, True, [group]))
            lines = self.wait_for_lines(5, "v", arn)
            self.assertIn(interface["MacAddress"], lines[0])
            self.assertEqual(json.loads(lines[1])["Networks"], [{"NetworkMode": "awsvpc", "IPv4Addresses": [interface["PrivateIpAddress"]]}])
            self.wait(lambda: self.answer(interface["PrivateIpAddress"]) == "from-vpc")
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=door)
        self.assertEqual([self.answer(self.eni(arn)["PrivateIpAddress"]) for arn in arns], ["", ""])
        self.ecs.stop_task(cluster=self.cluster, task=arns[0])
        task = self.until(arns[0], "STOPPED")
        self.assertEqual([a["status"] for a in task["attachments"]], ["DELETED"])
        self.wait(lambda: self.eni(arns[0]) is None)
        (again,) = self.ecs.run_task(**run)["tasks"]
        self.addCleanup(self.end, again["taskArn"])
        self.until(again["taskArn"], "RUNNING")
        self.inside("systemctl restart ecs")
        self.wait(lambda: len(json.loads(self.inside("curl -s http://localhost:51678/v1/tasks || echo '{}'")).get("Tasks", [])) >= 2)
        for arn in (arns[1], again["taskArn"]):
            self.ecs.stop_task(cluster=self.cluster, task=arn)
            self.until(arn, "STOPPED")
            self.wait(lambda: self.eni(arn) is None)
        self.ec2.delete_security_group(GroupId=group)

    def test_devices(self):
        """One that is listed is there; others cannot be used by who may make nodes; a privileged container has all."""
        look = "mknod /tmp/f c 1 11 2>/dev/null && cat /tmp/f && echo read; ls -l /dev/mine 2>/dev/null | cut -c1; echo x > /dev/mine && echo wrote"
        lines, _ = self.asked({"command": look, "linuxParameters": {"devices": [{"hostPath": "/dev/null", "containerPath": "/dev/mine", "permissions": ["read", "write"]}]}})
        self.assertEqual([line for line in lines if "not permitted" not in line], ["c", "wrote"])
        task = self.until(self.launch({"command": STAY, "linuxParameters": {"devices": [{"hostPath": "/dev/none"}]}}), "STOPPED")
        self.assertIn("error gathering device information", task["stoppedReason"])
        lines, _ = self.asked({"command": "ls /dev/fuse; mkdir /m; mount -t tmpfs none /m && echo mounted; grep -c ' /proc/kcore ' /proc/mounts", "privileged": True})
        self.assertEqual(lines, ["/dev/fuse", "mounted", "0"])

    def test_shared_namespaces(self):
        """pidMode and ipcMode: of the task or the instance; what a container leaves running ends with it."""
        other = {"command": "sleep 1234 & wait", "name": "other", "essential": False}
        alone, _ = self.asked("pidof sleep | wc -w; readlink /proc/self/ns/ipc", other)
        self.assertEqual(alone[0], "0")
        wait = "until ps | grep -v grep | grep -q 'sleep 1234'; do sleep 0.1; done; echo seen; cat /proc/1/comm; readlink /proc/self/ns/ipc"
        lines, _ = self.asked(wait, other, pidMode="task", ipcMode="task")
        self.assertEqual(lines[:2], ["seen", "tini-static"])
        lines, _ = self.asked("cat /proc/1/comm; readlink /proc/self/ns/ipc", pidMode="host", ipcMode="host")
        self.assertEqual((lines[0], lines[1]), ("systemd", self.inside("readlink /proc/1/ns/ipc").strip()))
        self.wait(lambda: "sleep 1234" not in self.inside("ps axo args"))
        self.assertNotIn("tini-static", self.inside("ps axo args"))


class ContainerInstances(Either, Joined):
    def test_described(self):
        found = self.container_instance()
        self.assertEqual((found["status"], found["agentConnected"], found["ec2InstanceId"]), ("ACTIVE", True, self.machine))
        self.assertRegex(self.arn, f"container-instance/{self.cluster}/[0-9a-f]{{32}}$")
        registered = {r["name"]: r for r in found["registeredResources"]}
        self.assertEqual(registered["CPU"]["integerValue"], 2048)
        self.assertTrue(1800 <= registered["MEMORY"]["integerValue"] <= 2048, registered["MEMORY"])  # a guest has a little less than its type says
        self.assertEqual(registered["PORTS"]["stringSetValue"], ["22", "2375", "2376", "51678", "51679"])
        attributes = {a["name"]: a.get("value") for a in found["attributes"]}
        self.assertEqual((attributes["ecs.instance-type"], attributes["ecs.availability-zone"], attributes["ecs.os-type"], attributes["ecs.cpu-architecture"]),
                         ("t3.small", self.subnet["AvailabilityZone"], "linux", "x86_64"))
        self.assertEqual(attributes["ecs.subnet-id"], self.subnet["SubnetId"])
        self.assertIn("com.amazonaws.ecs.capability.logging-driver.awslogs", attributes)
        self.assertEqual(self.ecs.describe_clusters(clusters=[self.cluster])["clusters"][0]["registeredContainerInstancesCount"], 1)
        self.wait(lambda: not self.ecs.list_services(cluster=self.cluster)["serviceArns"])  # of other tests, on their way
        self.assertAwsError("ClusterContainsContainerInstancesException", self.ecs.delete_cluster, cluster=self.cluster)

    def test_health(self):
        """What the agent says of its container runtime."""
        about = lambda: self.ecs.describe_container_instances(cluster=self.cluster, containerInstances=[self.arn], include=["CONTAINER_INSTANCE_HEALTH"])[
            "containerInstances"][0]["healthStatus"]
        self.assertNotIn("healthStatus", self.container_instance())
        self.wait(lambda: about()["overallStatus"] == "OK")
        (one,) = about()["details"]
        self.assertEqual((one["type"], one["status"], one["lastStatusChange"] <= one["lastUpdated"]), ("CONTAINER_RUNTIME", "OK", True))
        self.inside("mv /usr/bin/crun /usr/bin/crun.away; systemctl restart ecs")
        self.wait(lambda: about()["overallStatus"] == "IMPAIRED")
        self.assertEqual(about()["details"][0]["status"], "IMPAIRED")
        self.inside("mv /usr/bin/crun.away /usr/bin/crun; systemctl restart ecs")
        self.wait(lambda: about()["overallStatus"] == "OK")

    def test_agent_is_the_newest(self):
        """There is never one: the agent comes with the machine's image."""
        self.assertAwsError("NoUpdateAvailableException", self.ecs.update_container_agent, cluster=self.cluster, containerInstance=self.arn, status=400)
        self.assertAwsError("InvalidParameterException", self.ecs.update_container_agent, cluster=self.cluster, containerInstance="0" * 32, status=400)
        self.assertAwsError("ClusterNotFoundException", self.ecs.update_container_agent, cluster="none", containerInstance=self.arn, status=400)

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

    def test_execute_command(self):
        """A shell on a terminal in a container of the instance."""
        arn = self.launch({"command": STAY, "environment": [{"name": "A", "value": "b c"}]}, run={"enableExecuteCommand": True},
                          taskRoleArn=role("exec-task-" + self.word, "ecs-tasks.amazonaws.com"))
        self.until(arn, "RUNNING")
        agent = self.task(arn)["containers"][0]["managedAgents"][0]
        self.assertEqual((agent["name"], agent["lastStatus"]), ("ExecuteCommandAgent", "RUNNING"))
        ask = {"cluster": self.cluster, "task": arn, "interactive": True}
        session = self.ecs.execute_command(**ask, command="/bin/sh")["session"]
        shell = Channel(session["streamUrl"], session["tokenValue"])
        shell.send(b"echo A=$A; id -u; cat /proc/1/comm\r")
        shell.until_said(b"A=b c\r\n0\r\nsh\r\n")
        shell.window(31, 97)
        shell.send(b"for i in 1 2 3 4 5 6 7 8 9; do stty size | grep '31 97' || sleep 0.3; done; exit\r")
        shell.until_said(b"\r\n31 97\r\n")
        # the same by the command line, without a terminal
        def inside(*words, task=arn, given=""):
            return subprocess.run([program(), "exec", "--data", os.environ["QUARTET_DATA"], task, *words], input=given, capture_output=True, text=True,
                                  timeout=120, check=False, env={**os.environ, "AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region})
        done = inside("sh", "-c", "echo A=$A; cat; exit 7", given="line\n")
        self.assertEqual((done.stdout, done.returncode), ("A=b c\nline\n", 7), done.stderr)
        self.assertEqual(inside("--container", "c", "id", "-u", task=arn.rsplit("/", 1)[1]).stdout, "0\n")
        self.assertEqual(inside(given="echo $A\n").stdout, "b c\n")
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        self.until(arn, "STOPPED")
        self.assertAwsError("TargetNotConnectedException", self.ecs.execute_command, **ask, command="/bin/sh")
        self.assertRegex(inside("true").stderr, "does not run|not found")

    def test_docker_volumes(self):
        """Shared ones of the local driver outlive their tasks; a task's own goes with it."""
        if not any(a["name"].endswith("docker-plugin.local") for a in self.container_instance()["attributes"]):
            self.skipTest("the machine's image has an agent of before: tools/make-image")
        volume = {"name": "v" + self.word, "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True, "driver": "local"}}
        own = {"name": "own", "dockerVolumeConfiguration": {"scope": "task"}}
        for say in ("0", "1"):
            arn = self.launch({"command": f"ls /v | wc -l | grep {say} && ls /own | wc -l | grep 0 && touch /v/kept /own/lost",
                               "mountPoints": [{"sourceVolume": volume["name"], "containerPath": "/v"}, {"sourceVolume": "own", "containerPath": "/own"}]},
                              volumes=[volume, own])
            task = self.until(arn, "STOPPED")
            self.assertEqual(task["containers"][0].get("exitCode"), 0, task)
        arn = self.launch({"command": "true", "mountPoints": [{"sourceVolume": "none", "containerPath": "/v"}]},
                          volumes=[{"name": "none", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": False}}])
        self.assertIn("no such volume", self.until(arn, "STOPPED")["stoppedReason"])
        self.assertAwsError("ClientException", self.launch, "true", volumes=[{"name": "x", "dockerVolumeConfiguration": {"scope": "task", "driver": "other"}}])

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
        self.service("large", self.define({"command": STAY, "memory": 4000}), desiredCount=1)
        self.wait(lambda: f"(service large) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance {self.arn[-32:]}) "
                          "has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide." in
                  [e["message"] for e in self.ecs.describe_services(cluster=self.cluster, services=["large"])["services"][0]["events"]])
        empty = self.ecs.create_cluster(clusterName="empty-" + self.word)["cluster"]["clusterName"]
        with self.assertRaisesRegex(self.ecs.exceptions.InvalidParameterException, "No Container Instances were found in your cluster."):
            self.ecs.run_task(cluster=empty, taskDefinition=self.define(STAY), launchType="EC2")

    def test_start_fails(self):
        arn = self.launch({"command": STAY, "image": self.image + ":none"})
        task = self.until(arn, "STOPPED")
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        self.assertRegex(task["stoppedReason"], "^CannotPullContainerError: ")
        push(self.registry, busybox(), "bare", Cmd=[])
        task = self.until(self.launch({"image": self.image + ":bare"}), "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"]), ("TaskFailedToStart", "CannotCreateContainerError: no command specified for container 'c'"))
        arn = self.launch("exit 3")
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"], task["containers"][0]["exitCode"]),
                         ("EssentialContainerExited", "Essential container in task exited", 3))

    def test_secrets(self):
        ssm, sm = (self.client(name, region=self.region) for name in ("ssm", "secretsmanager"))
        ssm.put_parameter(Name="/of/" + self.word, Value="of parameter store", Type="SecureString")
        db = sm.create_secret(Name="db-" + self.word, SecretString='{"user": "me", "port": 5432}')
        sm.put_secret_value(SecretId=db["ARN"], SecretString='{"user": "you", "port": 5433}')
        wanted = {"PARAMETER": "/of/" + self.word, "WHOLE": db["ARN"], "PORT": db["ARN"] + ":port::", "OLD": db["ARN"] + ":user:AWSPREVIOUS:",
                  "THEN": db["ARN"] + ":user::" + db["VersionId"]}
        lines, _ = self.asked({"command": "for v in PARAMETER WHOLE PORT OLD THEN; do eval \"echo \\$$v\"; done",
                               "secrets": [{"name": name, "valueFrom": place} for name, place in wanted.items()]}, executionRoleArn=self.execution)
        self.assertEqual(lines, ["of parameter store", '{"user": "you", "port": 5433}', "5433", "me", "me"])
        for place, why in ((db["ARN"] + ":none::", "did not contain json key none"), (db["ARN"][:-6] + "abcdef", "ResourceNotFoundException"),
                           ("/of/nobody", "invalid parameters: /of/nobody")):
            arn = self.launch({"command": STAY, "secrets": [{"name": "X", "valueFrom": place}]}, executionRoleArn=self.execution)
            task = self.until(arn, "STOPPED")
            self.assertEqual(task["stopCode"], "TaskFailedToStart")
            self.assertRegex(task["stoppedReason"], "^ResourceInitializationError: unable to pull secrets or registry auth: .*" + why)

    def tasks_of(self, service, desired="RUNNING"):
        arns = self.ecs.list_tasks(cluster=self.cluster, serviceName=service, desiredStatus=desired)["taskArns"]
        return self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"] if arns else []

    def service(self, name, definition, **more):
        made = self.ecs.create_service(cluster=self.cluster, serviceName=name, taskDefinition=definition, launchType="EC2", **more)["service"]
        self.addCleanup(self.ecs.delete_service, cluster=self.cluster, service=name, force=True)
        return made

    def running(self, service):
        """Its only task, once it runs."""
        self.wait(lambda: [t["lastStatus"] for t in self.tasks_of(service)] == ["RUNNING"])
        return self.tasks_of(service)[0]["taskArn"]

    def test_services(self):
        """One of replicas and one of daemons: placed, replaced, drained from the instance and back again."""
        definition = self.define(STAY)
        quick = {"minimumHealthyPercent": 0, "maximumPercent": 100}
        made = self.service("replicas", definition, desiredCount=1, deploymentConfiguration=quick, placementStrategy=[{"type": "binpack", "field": "MEMORY"}],
                            placementConstraints=[{"type": "distinctInstance"}, {"type": "memberOf", "expression": "attribute:ecs.os-type == linux"}])
        self.assertEqual((made["launchType"], made["schedulingStrategy"], made["placementStrategy"][0]["type"], len(made["placementConstraints"])),
                         ("EC2", "REPLICA", "binpack", 2))
        self.assertNotIn("platformVersion", made)
        daemon = self.service("daemons", definition, schedulingStrategy="DAEMON")
        self.assertEqual((daemon["schedulingStrategy"], daemon["deploymentConfiguration"]["maximumPercent"]), ("DAEMON", 100))
        before = [self.running(name) for name in ("replicas", "daemons")]
        self.wait(lambda: self.ecs.describe_services(cluster=self.cluster, services=["daemons"])["services"][0]["desiredCount"] == 1)
        self.ecs.stop_task(cluster=self.cluster, task=before[0])
        self.wait(lambda: self.running("replicas") != before[0])
        # nothing of them stays on an instance that is drained
        changed = self.ecs.update_container_instances_state(cluster=self.cluster, containerInstances=[self.arn], status="DRAINING")
        self.assertEqual([i["status"] for i in changed["containerInstances"]], ["DRAINING"])
        self.wait(lambda: not self.tasks_of("replicas") and not self.tasks_of("daemons"))
        self.wait(lambda: any("has begun draining" in e["message"] or "unable to place" in e["message"]
                              for e in self.ecs.describe_services(cluster=self.cluster, services=["replicas"])["services"][0]["events"]))
        self.assertEqual(self.ecs.list_container_instances(cluster=self.cluster, status="DRAINING")["containerInstanceArns"], [self.arn])
        self.ecs.update_container_instances_state(cluster=self.cluster, containerInstances=[self.arn], status="ACTIVE")
        for name, arn in zip(("replicas", "daemons"), before):
            self.assertNotEqual(self.running(name), arn)
        self.assertEqual(self.ecs.list_services(cluster=self.cluster, launchType="EC2", schedulingStrategy="DAEMON")["serviceArns"], [daemon["serviceArn"]])

    def test_registries(self):
        """A task with an interface of its own is found by a name of its VPC as long as it runs."""
        names = client("servicediscovery", region=self.region, inject_host_prefix=False)
        made = names.create_private_dns_namespace(Name=f"n{self.word}.local", Vpc=self.vpc)
        namespace = names.get_operation(OperationId=made["OperationId"])["Operation"]["Targets"]["NAMESPACE"]
        registry = names.create_service(Name="web", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 0}]})["Service"]
        ask = {"desiredCount": 1, "serviceRegistries": [{"registryArn": registry["Arn"]}]}
        self.assertAwsError("InvalidParameterException", self.ecs.create_service, cluster=self.cluster, serviceName="none", taskDefinition=self.define(STAY),
                            launchType="EC2", **ask)
        self.service("named", self.define(STAY, networkMode="awsvpc"), networkConfiguration={"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]]}}, **ask)
        address = self.eni(self.running("named"))["PrivateIpAddress"]
        self.wait(lambda: address in self.inside(f"getent hosts web.n{self.word}.local || true"))
        self.ecs.update_service(cluster=self.cluster, service="named", desiredCount=0)
        self.wait(lambda: not names.list_instances(ServiceId=registry["Id"])["Instances"])
        # one behind a port of the instance, by a record of the type SRV
        published = names.create_service(Name="_web._tcp", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "SRV", "TTL": 0}]})["Service"]
        bad = {"desiredCount": 1, "serviceRegistries": [{"registryArn": registry["Arn"], "containerName": "c", "containerPort": 80}]}
        definition = self.define({"command": SERVE, "portMappings": [{"containerPort": 80}]})
        self.assertAwsError("InvalidParameterException", self.ecs.create_service, cluster=self.cluster, serviceName="none", taskDefinition=definition,
                            launchType="EC2", **bad)
        self.service("published", definition, desiredCount=1, serviceRegistries=[{"registryArn": published["Arn"], "containerName": "c", "containerPort": 80}])
        (binding,) = self.task(self.running("published"))["containers"][0]["networkBindings"]
        (found,) = self.wait(lambda: names.list_instances(ServiceId=published["Id"])["Instances"])
        own = self.ec2.describe_instances(InstanceIds=[self.machine])["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
        self.assertEqual([found["Attributes"][k] for k in ("AWS_INSTANCE_IPV4", "AWS_INSTANCE_PORT", "EC2_INSTANCE_ID")], [own, str(binding["hostPort"]), self.machine])
        self.ecs.update_service(cluster=self.cluster, service="published", desiredCount=0)
        self.wait(lambda: not names.list_instances(ServiceId=published["Id"])["Instances"])

    def test_connect(self):
        """A task reaches another one by a name and its own proxy, and hears at once that it has gone and come again."""
        space = "n" + self.word
        self.ecs.update_cluster(cluster=self.cluster, serviceConnectDefaults={"namespace": space})
        vpc = {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]], "securityGroups": self.doors}}}
        offers = {"enabled": True, "services": [{"portName": "web", "clientAliases": [{"port": 8080, "dnsName": "web.internal"}]}]}
        serve = self.define({"command": SERVE, "environment": [{"name": "WORD", "value": "connect"}], "portMappings": [{"containerPort": 80, "name": "web", "appProtocol": "http"}]},
                            networkMode="awsvpc")
        self.assertAwsError("UnsupportedFeatureException", self.ecs.create_service, cluster=self.cluster, serviceName="none", taskDefinition=self.define(STAY), launchType="EC2",
                            desiredCount=1, serviceConnectConfiguration={"enabled": True})
        self.service("serves", serve, desiredCount=1, serviceConnectConfiguration=offers, **vpc)
        self.running("serves")
        ask = ("A=$(awk '$2 == \"web.internal\" { print $1 }' /etc/hosts); echo at $A; while :; do R=$(printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $A 8080 | "
               "sed -n 's/.*\\(from-[a-z]*\\).*/\\1/p; s/^HTTP.* \\(5[0-9]*\\) .*/\\1/p'); echo ${R:-nothing}; sleep 0.2; done")
        self.service("asks", self.define({"command": ask, "logConfiguration": self.log("connect")}, networkMode="awsvpc"), desiredCount=1,
                     serviceConnectConfiguration={"enabled": True}, **vpc)
        arn = self.running("asks")
        self.assertTrue(any(c["name"].startswith("ecs-service-connect-") and c["lastStatus"] == "RUNNING" for c in self.task(arn)["containers"]))
        lines = self.wait(lambda: "from-connect" in (found := self.lines("connect", arn)) and found)
        self.assertTrue(lines[0].startswith("at 127.255.0."), lines[0])
        self.ecs.update_service(cluster=self.cluster, service="serves", desiredCount=0)
        self.wait(lambda: self.lines("connect", arn)[-1] == "503")
        many = len(self.lines("connect", arn))
        self.ecs.update_service(cluster=self.cluster, service="serves", desiredCount=1)
        self.wait(lambda: "from-connect" in self.lines("connect", arn)[many:])
        for name in ("asks", "serves"):
            self.ecs.update_service(cluster=self.cluster, service=name, desiredCount=0)
        self.wait(lambda: not self.tasks_of("asks") and not self.tasks_of("serves"))
        self.wait(lambda: not self.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [self.machine]}, {"Name": "requester-managed", "Values": ["true"]}])["NetworkInterfaces"])

    def test_balanced(self):
        """Two tasks at ports of one instance, behind a load balancer."""
        elb = client("elbv2", region=self.region)
        other = next(s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"] if s["AvailabilityZone"] != self.subnet["AvailabilityZone"])
        subnets = [self.subnet["SubnetId"], other]
        door = self.ec2.create_security_group(GroupName="d" + self.word, Description="d", VpcId=self.vpc)["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=door, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        group = elb.create_target_group(Name="g" + self.word, Protocol="HTTP", Port=80, VpcId=self.vpc, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                        HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.addCleanup(elb.delete_target_group, TargetGroupArn=group)
        elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}])
        balancer = elb.create_load_balancer(Name="b" + self.word, Subnets=subnets, SecurityGroups=[door])["LoadBalancers"][0]["LoadBalancerArn"]
        self.addCleanup(elb.delete_load_balancer, LoadBalancerArn=balancer)
        elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
        definition = self.define({"command": "mkdir -p /www; cat /proc/sys/kernel/random/uuid > /www/index.html; exec httpd -f -p 80 -h /www",
                                  "portMappings": [{"containerPort": 80}]})
        self.service("balanced", definition, desiredCount=2, loadBalancers=[{"targetGroupArn": group, "containerName": "c", "containerPort": 80}])
        health = lambda: [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]]
        self.wait(lambda: health() == ["healthy"] * 2)
        words = "/".join(balancer.split("/")[-3:])
        front = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"][0]["Association"]["PublicIp"]
        # one node may say how targets are before the other one is there
        self.wait(lambda: len({get(front, 80) for _ in range(8)} - {None}) == 2)
        events = [e["message"] for e in self.ecs.describe_services(cluster=self.cluster, services=["balanced"])["services"][0]["events"]]
        self.assertTrue(any("registered" in e and group in e for e in events), events)
        self.ecs.update_service(cluster=self.cluster, service="balanced", desiredCount=0)
        self.wait(lambda: health() == [])

    def test_service_refusals(self):
        definition, bad = self.define(STAY), "InvalidParameterException"
        more = {"cluster": self.cluster, "serviceName": "none", "taskDefinition": definition, "launchType": "EC2"}
        self.assertAwsError(bad, self.ecs.create_service, schedulingStrategy="DAEMON", desiredCount=1, **more)
        self.assertAwsError(bad, self.ecs.create_service, schedulingStrategy="DAEMON", placementStrategy=[{"type": "random"}], **more)
        self.assertAwsError(bad, self.ecs.create_service, desiredCount=1, placementStrategy=[{"type": "binpack", "field": "disk"}], **more)
        self.assertAwsError(bad, self.ecs.create_service, desiredCount=1, placementConstraints=[{"type": "memberOf", "expression": "attribute:x =="}], **more)
        self.assertAwsError(bad, self.ecs.create_service, desiredCount=1, platformVersion="1.4.0", **more)
        self.assertAwsError("UnsupportedFeatureException", self.ecs.create_service, desiredCount=1,
                            serviceConnectConfiguration={"enabled": True, "namespace": "none"}, **more)  # in bridge mode
        self.assertAwsError(bad, self.ecs.create_service, desiredCount=1, networkConfiguration={"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]]}}, **more)

    def test_attributes(self):
        target = {"targetType": "container-instance", "targetId": self.arn}
        self.ecs.put_attributes(cluster=self.cluster, attributes=[{"name": "stack", "value": "blue green", **target}, {"name": "empty", **target}])
        listed = self.ecs.list_attributes(cluster=self.cluster, targetType="container-instance", attributeName="stack")["attributes"]
        self.assertEqual(listed, [{"name": "stack", "value": "blue green", **target}])
        fits = lambda text: self.ecs.list_container_instances(cluster=self.cluster, filter=text)["containerInstanceArns"] == [self.arn]
        self.assertTrue(fits("attribute:stack == 'blue green' and attribute:empty exists"))
        self.assertTrue(fits(f"ec2InstanceId in [{self.machine}, i-0] && agentConnected == true"))
        self.assertTrue(fits("not(attribute:stack =~ red.*) and registeredAt < 2999-01-01"))
        self.assertFalse(fits("attribute:stack != 'blue green' or task:group == service:none"))
        self.assertAwsError("InvalidParameterException", self.ecs.list_container_instances, cluster=self.cluster, filter="attribute:stack ==")
        self.assertAwsError("TargetNotFoundException", self.ecs.put_attributes, cluster=self.cluster, attributes=[{"name": "n", **target, "targetId": self.arn[:-32] + "0" * 32}])
        self.assertAwsError("InvalidParameterException", self.ecs.put_attributes, cluster=self.cluster, attributes=[{"name": "ecs.ami-id", "value": "ami-0", **target}])
        self.ecs.tag_resource(resourceArn=self.arn, tags=[{"key": "k", "value": "v"}])
        self.assertEqual(self.ecs.list_tags_for_resource(resourceArn=self.arn)["tags"], [{"key": "k", "value": "v"}])
        self.ecs.untag_resource(resourceArn=self.arn, tagKeys=["k"])
        self.assertEqual(self.container_instance()["tags"], [])
        self.assertEqual(len(self.ecs.delete_attributes(cluster=self.cluster, attributes=[{"name": "stack", **target}, {"name": "empty", **target}])["attributes"]), 2)
        self.assertEqual(self.ecs.list_attributes(cluster=self.cluster, targetType="container-instance", attributeName="stack")["attributes"], [])

    def test_metadata(self):
        """What a container learns of itself and its task, of what it uses, and the older version."""
        self.client("iam").put_role_policy(RoleName="agent-" + self.word, PolicyName="tags", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [allow("ecs:ListTagsForResource")]}))
        get = lambda path: f"until wget -q -O - {path} 2>/dev/null; do sleep 0.1; done; echo"  # it runs before the agent has seen so, and has no stats till then
        lines, task = self.asked("; ".join(map(get, ("$ECS_CONTAINER_METADATA_URI_V4", "$ECS_CONTAINER_METADATA_URI_V4/task", "$ECS_CONTAINER_METADATA_URI/taskWithTags",
                                                      "$ECS_CONTAINER_METADATA_URI_V4/stats", "$ECS_CONTAINER_METADATA_URI_V4/task/stats"))),
                                 {"command": STAY, "essential": False}, run={"tags": [{"key": "k", "value": "v"}]})
        own, whole, tagged, stats, all_stats = map(json.loads, (line for line in lines if line.strip()))
        self.assertEqual((own["ContainerARN"], own["Name"], own["Limits"], own["LogDriver"], own["LogOptions"]["awslogs-group"]),
                         (task["containers"][0]["containerArn"], "c", {"CPU": 10, "Memory": 64}, "awslogs", "/t"))
        self.assertTrue(own["LogOptions"]["awslogs-stream"].endswith(task["taskArn"].rsplit("/", 1)[1]))
        self.assertEqual((whole["TaskARN"], whole["LaunchType"], whole["VPCID"], whole["AvailabilityZone"], sorted(c["Name"] for c in whole["Containers"])[0]),
                         (task["taskArn"], "EC2", self.vpc, self.subnet["AvailabilityZone"], "c"))
        self.assertEqual(tagged["TaskTags"], {"k": "v"})
        self.assertGreater(stats["cpu_stats"]["cpu_usage"]["total_usage"], 0)
        self.assertGreater(stats["memory_stats"]["usage"], 0)
        self.assertEqual((stats["memory_stats"]["limit"], list(stats["networks"])), (64 << 20, ["eth0"]))
        self.assertIn(own["DockerId"], all_stats)

    def test_fields(self):
        """What a definition asks of a container, as the container finds it."""
        lines, _ = self.asked({"command": "tr '\\0' ' ' < /proc/1/cmdline; echo; ulimit -n; df -m /dev/shm | awk 'END{print $2}'; df -m /scratch | awk 'END{print $2}'; "
                                          "grep NoNewPrivs /proc/self/status; cat /proc/sys/net/ipv4/ip_default_ttl; echo $A; id -u; pwd; "
                                          "touch /no 2>/dev/null || echo read-only; grep -c CapEff.*0000000000000400 /proc/self/status",
                               "linuxParameters": {"initProcessEnabled": True, "sharedMemorySize": 16, "tmpfs": [{"containerPath": "/scratch", "size": 8}],
                                                   "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "maxSwap": 0},
                               "ulimits": [{"name": "nofile", "softLimit": 333, "hardLimit": 444}], "dockerSecurityOptions": ["no-new-privileges"],
                               "systemControls": [{"namespace": "net.ipv4.ip_default_ttl", "value": "77"}], "environment": [{"name": "A", "value": "b"}],
                               "workingDirectory": "/tmp", "readonlyRootFilesystem": True})
        self.assertTrue(lines[0].startswith("/dev/init -- /bin/sh -c"), lines)
        self.assertEqual(lines[1:], ["333", "16", "8", "NoNewPrivs:\t1", "77", "b", "0", "/tmp", "read-only", "1"])

    def test_lines_of_several(self):
        trace = "echo 'INFO begin'; echo ' at one'; echo ' at two'; echo 'INFO next'"
        lines, _ = self.asked(trace, log={"awslogs-multiline-pattern": "^INFO"})
        self.assertEqual(lines, ["INFO begin\n at one\n at two\n", "INFO next\nend-of-output\n"])
        lines, _ = self.asked("echo '[2026-11-29 10:00:00] a'; echo b; echo '[2026-11-29 10:00:01] c'", log={"awslogs-datetime-format": "\\[%Y-%m-%d %H:%M:%S\\]"})
        self.assertEqual(lines[0], "[2026-11-29 10:00:00] a\nb\n")

    def test_protection_from_inside(self):
        may = role("protects-" + self.word, "ecs-tasks.amazonaws.com", allow("ecs:GetTaskProtection", "ecs:UpdateTaskProtection"))
        log = {"logConfiguration": self.log("prot")}
        work = "; ".join([put('{"ProtectionEnabled":true,"ExpiresInMinutes":60}'), put('{"ProtectionEnabled":1}'), GET, STAY])
        self.service("protected", self.define({"command": work, **log}, taskRoleArn=may), desiredCount=1)
        arn = self.running("protected")
        lines = self.wait(lambda: len(found := [x for x in self.lines("prot", arn) if x.strip()]) >= 5 and found)
        self.assertEqual((lines[0].split()[1], json.loads(lines[1])["protection"]["TaskArn"]), ("200", arn))
        self.assertEqual((lines[2].split()[1], json.loads(lines[3])["error"]["Code"]), ("400", "InvalidParameterException"))
        self.assertEqual(json.loads(lines[4]), json.loads(lines[1]))
        self.assertTrue(self.ecs.get_task_protection(cluster=self.cluster, tasks=[arn])["protectedTasks"][0]["protectionEnabled"])
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[arn], protectionEnabled=False)

    def test_start_timeout(self):
        task = self.until(self.launch({"command": STAY, "name": "slow", "essential": False, "startTimeout": 2}, {"command": STAY, "dependsOn": [{"containerName": "slow", "condition": "COMPLETE"}]}), "STOPPED")
        self.assertIn("slow", task["stoppedReason"])
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        lines, _ = self.asked({"command": "read -t 2 x; echo $?", "interactive": True})
        self.assertNotEqual(lines, ["0"])
        lines, _ = self.asked({"command": "ls /sys/class/net | tr '\\n' ' '", "disableNetworking": True})
        self.assertNotIn("eth0", " ".join(lines))

    def test_the_end(self):
        """A task with a role goes on when the agent is started again, and ends when its instance is deregistered; nothing comes after that."""
        task_role = role("task-" + self.word, "ecs-tasks.amazonaws.com", allow("s3:ListAllMyBuckets"))
        arn = self.launch({"command": "wget -q -O - http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo; wget -q -O - $ECS_CONTAINER_METADATA_URI_V4/task; echo; " + STAY,
                           "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}},
                           "healthCheck": {"command": ["CMD-SHELL", "exit 0"], "interval": 5}}, taskRoleArn=task_role)
        self.until(arn, "RUNNING")
        log = f"/var/lib/ecs/tasks/{arn.rsplit('/', 1)[1]}/0/*-json.log"
        self.wait(lambda: "LaunchType" in self.inside(f"cat {log} 2>/dev/null || true"))
        lines = [json.loads(line) for line in self.inside(f"cat {log}").splitlines()]
        self.assertEqual((json.loads(lines[0]["log"])["RoleArn"], lines[0]["stream"]), (task_role, "stdout"))
        self.assertEqual(json.loads(lines[1]["log"])["TaskARN"], arn)
        self.wait(lambda: self.task(arn)["healthStatus"] == "HEALTHY")
        self.inside("systemctl restart ecs")
        self.wait(lambda: json.loads(self.inside("curl -s http://localhost:51678/v1/tasks || echo '{}'")).get("Tasks"))
        self.assertEqual((self.task(arn)["lastStatus"], self.container_instance()["containerInstanceArn"]), ("RUNNING", self.arn))
        self.assertAwsError("InvalidParameterException", self.ecs.deregister_container_instance, cluster=self.cluster, containerInstance=self.arn)
        gone = self.ecs.deregister_container_instance(cluster=self.cluster, containerInstance=self.arn, force=True)["containerInstance"]
        self.assertEqual(gone["status"], "INACTIVE")
        self.assertEqual(self.until(arn, "STOPPED")["desiredStatus"], "STOPPED")
        self.assertEqual(self.ecs.list_container_instances(cluster=self.cluster)["containerInstanceArns"], [])
        self.assertEqual(self.container_instance()["status"], "INACTIVE")
        self.wait(lambda: self.inside("systemctl is-active ecs || true").strip() == "inactive")
        self.assertEqual(self.inside("crun --root /run/ecs/crun list -q").strip(), "")


class Zones(Joined):
    def test_moving(self):
        """A service of two whose instances were all in one zone is in both when there is one in the other."""
        other = next(s for s in self.ec2.describe_subnets()["Subnets"] if s["AvailabilityZone"] != self.subnet["AvailabilityZone"])
        definition = self.define({"command": STAY, "healthCheck": {"command": ["CMD-SHELL", "exit 0"], "interval": 5}})
        ask = {"cluster": self.cluster, "taskDefinition": definition, "launchType": "EC2", "desiredCount": 2}
        self.ecs.create_service(serviceName="moves", **ask)
        shown = lambda: self.ecs.describe_services(cluster=self.cluster, services=["moves"])["services"][0]
        zones = lambda: sorted(t["availabilityZone"] for a in [self.ecs.list_tasks(cluster=self.cluster, serviceName="moves")["taskArns"]] if a
                               for t in self.ecs.describe_tasks(cluster=self.cluster, tasks=a)["tasks"] if t["lastStatus"] == "RUNNING")
        self.wait(lambda: shown()["deployments"][0]["rolloutState"] == "COMPLETED")
        self.assertEqual(zones(), [self.subnet["AvailabilityZone"]] * 2)
        second = self.start_instance(other["SubnetId"])
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=[second])
        both = sorted([self.subnet["AvailabilityZone"], other["AvailabilityZone"]])
        self.wait(lambda: any("is AZ balanced with 1 tasks in" in e["message"] for e in shown()["events"]), 180)
        self.wait(lambda: zones() == both)
        said = [e["message"] for e in reversed(shown()["events"]) if "AZ" in e["message"]]
        self.assertRegex(said[0], "is not AZ balanced with [02] tasks in .*AZ Rebalancing in progress.")
        self.assertIn(f"in {other['AvailabilityZone']} to AZ Rebalance", said[1])
        self.assertIn(f"in {self.subnet['AvailabilityZone']} due to AZ rebalancing", said[2])


if __name__ == "__main__":
    unittest.main()
