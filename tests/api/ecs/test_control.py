"""ECS's control plane as clients see it: clusters, capacity providers, account settings, task definitions, tags, permissions."""
import json
import os
import unittest
import uuid

import raw
from aws import ENDPOINT, REGION, TestCase, aws_programs, client, run

ACCOUNT = "000000000000"
ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/exec"


def name():
    return "t" + uuid.uuid4().hex[:16]


class EcsCase(TestCase):
    def setUp(self):
        self.ecs = client("ecs")

    def call(self, operation, **body):
        """(status, answer) of an operation or a member that the oldest boto3 does not know."""
        port = int(ENDPOINT.rsplit(":", 1)[1])
        signer = raw.Signer(port, "ecs", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], REGION)
        reply = raw.ask(port, signer.request("POST", "/", json.dumps(body).encode(), headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonEC2ContainerServiceV20141113." + operation}))
        return reply.status, json.loads(reply.body)

    def cluster(self, **kwargs):
        made = self.ecs.create_cluster(clusterName=name(), **kwargs)["cluster"]
        self.addCleanup(self.ecs.delete_cluster, cluster=made["clusterName"])
        return made

    def register(self, family=None, container=None, **kwargs):
        kwargs.setdefault("containerDefinitions", [{"name": "c", "image": "x:1", "memory": 64, **(container or {})}])
        return self.ecs.register_task_definition(family=family or name(), **kwargs)["taskDefinition"]

    def fargate(self, container=None, **kwargs):
        for key, value in {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"}.items():
            kwargs.setdefault(key, value)
        return self.register(container=container, **{k: v for k, v in kwargs.items() if v is not None})

    def assertRefused(self, message, call, *args, code="ClientException", **kwargs):
        self.assertAwsError(code, call, *args, status=400, message=message, **kwargs)


class Clusters(EcsCase):
    def test_life(self):
        called = name()
        made = self.ecs.create_cluster(clusterName=called, tags=[{"key": "k", "value": "v"}])["cluster"]
        self.assertEqual((made["clusterArn"], made["status"]), (ARN + "cluster/" + called, "ACTIVE"))
        self.assertEqual([made[k] for k in ("runningTasksCount", "pendingTasksCount", "activeServicesCount",
                                            "registeredContainerInstancesCount")], [0, 0, 0, 0])
        self.assertEqual(made["settings"], [{"name": "containerInsights", "value": "disabled"}])
        again = self.ecs.create_cluster(clusterName=called)["cluster"]
        self.assertEqual(again["tags"], [{"key": "k", "value": "v"}])
        (plain,) = self.ecs.describe_clusters(clusters=[called])["clusters"]
        self.assertEqual((plain["tags"], plain["settings"]), ([], []))
        (full,) = self.ecs.describe_clusters(clusters=[made["clusterArn"]], include=["TAGS", "SETTINGS"])["clusters"]
        self.assertEqual((full["tags"], full["settings"]), (again["tags"], made["settings"]))
        self.assertIn(made["clusterArn"], self.arns())
        self.assertEqual(self.ecs.delete_cluster(cluster=called)["cluster"]["status"], "INACTIVE")
        self.assertEqual(self.ecs.describe_clusters(clusters=[called])["clusters"][0]["status"], "INACTIVE")
        self.assertNotIn(made["clusterArn"], self.arns())
        self.assertRefused("Cluster not found.", self.ecs.delete_cluster, cluster=called, code="ClusterNotFoundException")
        self.assertEqual(self.ecs.create_cluster(clusterName=called)["cluster"]["tags"], [])
        self.ecs.delete_cluster(cluster=called)

    def test_insights(self):
        """A cluster's own setting, and what it is where none is given; tests/fault/test_metrics.py has what comes of it."""
        called = name()
        made = self.ecs.create_cluster(clusterName=called, settings=[{"name": "containerInsights", "value": "enhanced"}])["cluster"]
        self.addCleanup(self.ecs.delete_cluster, cluster=called)
        self.assertEqual(made["settings"], [{"name": "containerInsights", "value": "enhanced"}])
        off = self.ecs.update_cluster_settings(cluster=called, settings=[{"name": "containerInsights", "value": "disabled"}])["cluster"]
        self.assertEqual(off["settings"], [{"name": "containerInsights", "value": "disabled"}])

    def arns(self):
        return [a for page in self.ecs.get_paginator("list_clusters").paginate() for a in page["clusterArns"]]

    def test_default(self):
        self.assertEqual(self.ecs.create_cluster()["cluster"]["clusterName"], "default")
        self.assertEqual(self.ecs.describe_clusters()["clusters"][0]["clusterArn"], ARN + "cluster/default")
        self.ecs.delete_cluster(cluster="default")

    def test_what_is_refused(self):
        self.assertRefused("invalid characters", self.ecs.create_cluster, clusterName="a b", code="InvalidParameterException")
        self.assertRefused("invalid characters", self.ecs.create_cluster, clusterName="x" * 256, code="InvalidParameterException")
        self.assertRefused("setting value", self.ecs.create_cluster, clusterName=name(), code="InvalidParameterException",
                           settings=[{"name": "containerInsights", "value": "on"}])
        self.assertRefused("reserved", self.ecs.create_cluster, clusterName=name(), tags=[{"key": "aws:x", "value": "v"}],
                           code="InvalidParameterException")
        missing = self.ecs.describe_clusters(clusters=["no-" + name(), "bad name"])
        self.assertEqual([f["reason"] for f in missing["failures"]], ["MISSING", "MISSING"])
        self.assertTrue(missing["failures"][0]["arn"].startswith(ARN + "cluster/no-"))
        self.assertRefused("maxResults", self.ecs.list_clusters, maxResults=101, code="InvalidParameterException")
        self.assertRefused("token", self.ecs.list_clusters, nextToken="xx", code="InvalidParameterException")

    def test_pages(self):
        mine = {self.cluster()["clusterArn"] for _ in range(5)}
        seen, token = [], {}
        while True:
            page = self.ecs.list_clusters(maxResults=2, **token)
            self.assertLessEqual(len(page["clusterArns"]), 2)
            seen += page["clusterArns"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(mine, set(seen))

    def test_capacity_providers(self):
        called = self.cluster(capacityProviders=["FARGATE"])["clusterName"]
        put = lambda *s, providers=("FARGATE", "FARGATE_SPOT"): self.ecs.put_cluster_capacity_providers(
            cluster=called, capacityProviders=list(providers), defaultCapacityProviderStrategy=list(s))["cluster"]
        spot = {"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 0}
        made = put({"capacityProvider": "FARGATE", "weight": 1, "base": 1}, spot)
        self.assertEqual(made["capacityProviders"], ["FARGATE", "FARGATE_SPOT"])
        (shown,) = self.ecs.describe_clusters(clusters=[called])["clusters"]
        self.assertEqual(shown["defaultCapacityProviderStrategy"][1], spot)
        for message, strategy in (("only one", [{"capacityProvider": p, "weight": 1, "base": 1} for p in ("FARGATE", "FARGATE_SPOT")]),
                                  ("greater than 0", [{"capacityProvider": p} for p in ("FARGATE", "FARGATE_SPOT")]),
                                  ("duplicate", [spot, spot]), ("less than or equal to 1000", [{**spot, "weight": 1001}])):
            with self.subTest(message):
                self.assertRefused(message, put, *strategy, code="InvalidParameterException")
        self.assertRefused("was not found", put, providers=["mine"], code="InvalidParameterException")
        self.assertRefused("not associated", put, spot, providers=["FARGATE"], code="InvalidParameterException")
        found = self.ecs.describe_capacity_providers(capacityProviders=["FARGATE_SPOT", "mine"])
        self.assertEqual([(p["name"], p["status"]) for p in found["capacityProviders"]], [("FARGATE_SPOT", "ACTIVE")])
        self.assertEqual(found["failures"], [{"arn": "mine", "reason": "MISSING"}])
        page = self.ecs.describe_capacity_providers(maxResults=1)
        rest = self.ecs.describe_capacity_providers(maxResults=1, nextToken=page["nextToken"])
        self.assertEqual([p["capacityProviders"][0]["name"] for p in (page, rest)], ["FARGATE", "FARGATE_SPOT"])
        self.assertNotIn("nextToken", rest)


class Settings(EcsCase):
    def test_values(self):
        effective = {s["name"]: s["value"] for s in self.ecs.list_account_settings(effectiveSettings=True)["settings"]}
        self.assertEqual((effective["tagResourceAuthorization"], effective["taskLongArnFormat"]), ("on", "enabled"))
        put = self.ecs.put_account_setting(name="tagResourceAuthorization", value="off")["setting"]
        self.addCleanup(self.ecs.delete_account_setting, name="tagResourceAuthorization")
        self.assertEqual((put["value"], put["principalArn"]), ("off", f"arn:aws:iam::{ACCOUNT}:root"))
        mine = self.ecs.list_account_settings(name="tagResourceAuthorization")["settings"]
        self.assertEqual([s["value"] for s in mine], ["off"])
        self.assertEqual(self.ecs.delete_account_setting(name="tagResourceAuthorization")["setting"]["value"], "on")
        self.assertEqual(self.ecs.list_account_settings(name="tagResourceAuthorization")["settings"], [])
        for setting, value in (("taskLongArnFormat", "disabled"), ("containerInsights", "on"), ("guardDutyActivate", "on")):
            self.assertRefused("not supported", self.ecs.put_account_setting, name=setting, value=value, code="InvalidParameterException")
        self.assertRefused("name is required", self.ecs.list_account_settings, value="on", code="InvalidParameterException")


class Definitions(EcsCase):
    def test_revisions(self):
        family = name()
        first = self.register(family, tags=[{"key": "k", "value": "v"}])
        self.assertEqual((first["taskDefinitionArn"], first["revision"], first["status"]), (ARN + f"task-definition/{family}:1", 1, "ACTIVE"))
        (c,) = first["containerDefinitions"]
        self.assertEqual((c["cpu"], c["essential"], c["portMappings"], c["environment"], c["mountPoints"], c["volumesFrom"]), (0, True, [], [], [], []))
        self.assertEqual(first["compatibilities"], ["EC2"])
        self.assertEqual(self.register(family)["revision"], 2)
        describe = lambda what, **k: self.ecs.describe_task_definition(taskDefinition=what, **k)
        self.assertEqual(describe(family)["taskDefinition"]["revision"], 2)
        self.assertEqual(describe(family + ":1", include=["TAGS"])["tags"], [{"key": "k", "value": "v"}])
        self.assertEqual(describe(first["taskDefinitionArn"])["taskDefinition"]["containerDefinitions"], first["containerDefinitions"])
        gone = self.ecs.deregister_task_definition(taskDefinition=family + ":2")["taskDefinition"]
        self.assertEqual(gone["status"], "INACTIVE")
        self.assertIn("deregisteredAt", gone)
        self.assertEqual(describe(family)["taskDefinition"]["revision"], 1)
        self.assertEqual(describe(family + ":2")["taskDefinition"]["status"], "INACTIVE")
        status, deleted = self.call("DeleteTaskDefinitions", taskDefinitions=[family + ":2", family + ":1", family + ":9"])
        self.assertEqual(status, 200)
        self.assertEqual([d["status"] for d in deleted["taskDefinitions"]], ["DELETE_IN_PROGRESS"])
        self.assertEqual([f["reason"] for f in deleted["failures"]], ["TASK_DEFINITION_ACTIVE", "MISSING"])
        self.assertRefused("Unable to describe task definition.", describe, family + ":2")
        self.assertEqual(self.register(family)["revision"], 3)
        for wrong in ("no-such", "a b", family + ":0", family + ":x", "arn:aws:ecs:eu-west-9:1:task-definition/x:1"):
            self.assertRefused("Unable to describe task definition.", describe, wrong)
        self.assertRefused("Revision is missing", self.ecs.deregister_task_definition, taskDefinition=family)
        self.assertRefused("does not exist", self.ecs.deregister_task_definition, taskDefinition=family + ":7")

    def test_lists(self):
        root = name()
        for family in (root + "-a", root + "-b", root + "-b", root + "-b"):
            self.register(family)
        self.ecs.deregister_task_definition(taskDefinition=root + "-a:1")
        arns = lambda **k: [a.rpartition("/")[2] for a in self.ecs.list_task_definitions(**k)["taskDefinitionArns"]]
        b = [f"{root}-b:{n}" for n in (1, 2, 3)]
        self.assertEqual(arns(familyPrefix=root + "-b"), b)
        self.assertEqual(arns(familyPrefix=root + "-b", sort="DESC"), b[::-1])
        self.assertEqual(arns(familyPrefix=root + "-a"), [])
        self.assertEqual(arns(familyPrefix=root + "-a", status="INACTIVE"), [root + "-a:1"])
        page = self.ecs.list_task_definitions(familyPrefix=root + "-b", sort="DESC", maxResults=2)
        self.assertEqual(arns(familyPrefix=root + "-b", sort="DESC", maxResults=2, nextToken=page["nextToken"]), b[:1])
        families = lambda **k: self.ecs.list_task_definition_families(familyPrefix=root, **k)["families"]
        self.assertEqual((families(), families(status="INACTIVE"), families(status="ALL")), ([root + "-b"], [root + "-a"], [root + "-a", root + "-b"]))

    def test_many_revisions_in_order(self):
        family = name()
        for _ in range(11):
            self.register(family)
        arns = self.ecs.list_task_definitions(familyPrefix=family)["taskDefinitionArns"]
        self.assertEqual([int(a.rpartition(":")[2]) for a in arns], list(range(1, 12)))

    def test_fargate_sizes(self):
        good = {256: (512, 1024, 2048), 512: (1024, 4096), 1024: (2048, 8192), 2048: (4096, 16384), 4096: (8192, 30720),
                8192: (16384, 61440), 16384: (32768, 122880)}
        for cpu, memories in good.items():
            for memory in memories:
                self.assertEqual(self.fargate(cpu=str(cpu), memory=str(memory))["compatibilities"], ["EC2", "FARGATE"])
        for cpu, memory in ((256, 8192), (256, 1536), (512, 5120), (1024, 1024), (8192, 17408), (16384, 36864), (300, 512)):
            self.assertRefused(f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory.", self.fargate,
                               cpu=str(cpu), memory=str(memory))
        made = self.fargate(cpu=".5 vCPU", memory="1GB")
        self.assertEqual((made["cpu"], made["memory"]), ("512", "1024"))
        made = self.fargate(cpu="1 vcpu", memory="2 gb")
        self.assertEqual((made["cpu"], made["memory"]), ("1024", "2048"))
        for cpu in ("x", "0", "-1", "1..2 vCPU", "vCPU", "100"):
            self.assertRefused("Invalid 'cpu' setting for task.", self.fargate, cpu=cpu)
        self.assertRefused("Invalid 'memory' setting for task.", self.fargate, memory="1TB")

    def test_what_fargate_asks(self):
        self.assertRefused("Fargate requires that 'cpu' be defined at the task level.", self.fargate, cpu=None)
        self.assertRefused("Fargate requires that 'memory' be defined at the task level.", self.fargate, memory=None)
        self.assertRefused("Fargate only supports network mode \u2018awsvpc\u2019.", self.fargate, networkMode="bridge")
        self.assertRefused("Fargate only supports network mode", self.fargate, networkMode=None)
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": REGION, "awslogs-stream-prefix": "p"}}
        self.assertRefused("execution role ARN to support log driver awslogs", self.fargate, {"logConfiguration": log})
        self.assertRefused("execution role ARN to support ECR images", self.fargate,
                           {"image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:1"})
        self.assertRefused("executionRoleArn", self.fargate, {"secrets": [{"name": "A", "valueFrom": "p"}]})
        self.assertRefused("executionRoleArn", self.fargate, {"environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::b/x.env"}]})
        self.assertRefused("awslogs-stream-prefix", self.fargate, {"logConfiguration": {
            "logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": REGION}}}, executionRoleArn=ROLE)
        no = "Fargate compatible task definitions do not support "
        for what, container in (("privileged", {"privileged": True}), ("devices", {"linuxParameters": {"devices": [{"hostPath": "/dev/x"}]}}),
                                ("sharedMemorySize", {"linuxParameters": {"sharedMemorySize": 64}}),
                                ("adding capabilities", {"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}}),
                                ("ulimits other", {"ulimits": [{"name": "nproc", "softLimit": 1, "hardLimit": 1}]})):
            with self.subTest(what):
                self.assertRefused(no + what, self.fargate, container)
                self.assertEqual(self.register(container=container, networkMode="awsvpc")["compatibilities"], ["EC2"])
        self.assertRefused("suid and dev", self.fargate, {"linuxParameters": {"tmpfs": [{"containerPath": "/x", "size": 1, "mountOptions": ["suid"]}]}})
        self.assertRefused("source paths", self.fargate, volumes=[{"name": "v", "host": {"sourcePath": "/etc"}}])
        self.assertRefused("at most 120", self.fargate, {"stopTimeout": 121})
        self.assertRefused("between 21 and 200", self.fargate, ephemeralStorage={"sizeInGiB": 20})
        self.assertRefused("LINUX", self.fargate, runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2019_CORE"})
        self.assertRefused("awslogs alone", self.fargate, {"logConfiguration": {"logDriver": "splunk"}}, executionRoleArn=ROLE)
        full = self.fargate({"logConfiguration": log, "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:1",
                             "secrets": [{"name": "A", "valueFrom": "p"}], "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
                             "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]},
                            executionRoleArn="exec", taskRoleArn=ROLE, volumes=[{"name": "v"}], ephemeralStorage={"sizeInGiB": 21})
        self.assertEqual(full["executionRoleArn"], ROLE)
        self.assertLessEqual({"com.amazonaws.ecs.capability.logging-driver.awslogs", "ecs.capability.task-eni",
                              "ecs.capability.execution-role-ecr-pull"}, {a["name"] for a in full["requiresAttributes"]})

    def test_containers(self):
        one = {"name": "a", "image": "x", "memory": 64}
        def both(*containers, **k):
            return self.register(containerDefinitions=list(containers), **k)
        for message, container in (
                ("Container.name should not be null or empty.", {"name": ""}), ("Container.name contains invalid", {"name": "a b"}),
                ("Container.image should not be null or empty.", {"image": ""}), ("Container.image contains invalid", {"image": "a b"}),
                ("minimum memory", {"memory": 5}), ("'memoryReservation'", {"memory": 64, "memoryReservation": 65}),
                ("interval must be between 5 and 300", {"healthCheck": {"command": ["CMD", "x"], "interval": 4}}),
                ("retries must be between 1 and 10", {"healthCheck": {"command": ["CMD", "x"], "retries": 11}}),
                ("CMD-SHELL", {"healthCheck": {"command": ["x"]}}), ("Unknown volume 'v'", {"mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}),
                ("Log driver awslogs requires options", {"logConfiguration": {"logDriver": "awslogs"}}),
                ("disallows options: nope", {"logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": "g", "awslogs-region": "r", "nope": "x"}}}),
                ("a size is at least 1 MiB", {"linuxParameters": {"tmpfs": [{"containerPath": "/x", "size": 0}]}}),
                ("containerPath is absolute", {"linuxParameters": {"tmpfs": [{"containerPath": "x", "size": 1}]}}),
                ("the mount option 'rbind' is not supported", {"linuxParameters": {"tmpfs": [{"containerPath": "/x", "size": 1, "mountOptions": ["ro", "rbind"]}]}}),
                ("at most", {"logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": "g", "awslogs-region": "r", "awslogs-datetime-format": "%Y", "awslogs-multiline-pattern": "x"}}}),
                ("Invalid 'logConfiguration'", {"logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": "g", "awslogs-region": "r", "awslogs-multiline-pattern": "(x"}}}),
                ("ends in .env", {"environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::b/x.txt"}]}),
                ("secret name must be unique", {"environment": [{"name": "A", "value": "1"}], "secrets": [{"name": "A", "valueFrom": "p"}]}),
                ("soft limit", {"ulimits": [{"name": "nofile", "softLimit": 2, "hardLimit": 1}]}),
                ("from 1 to 65535", {"portMappings": [{"containerPort": 65536}]}),
                ("mapped more than once", {"portMappings": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}]})):
            with self.subTest(message):
                self.assertRefused(message, self.register, container=container)
        status, refused = self.call("RegisterTaskDefinition", family=name(), containerDefinitions=[
            {"name": "c", "image": "x:1", "memory": 64, "restartPolicy": {"enabled": True, "restartAttemptPeriod": 59}}])
        self.assertEqual((status, refused["__type"]), (400, "ClientException"), refused)
        self.assertIn("restartAttemptPeriod", refused["message"])
        for what in ({"hostname": "h"}, {"links": ["a"]}, {"dnsServers": ["1.1.1.1"]}, {"extraHosts": [{"hostname": "h", "ipAddress": "1.1.1.1"}]}):
            self.assertRefused("not supported on container when networkMode=awsvpc.", self.fargate, what)
        self.assertRefused("host ports and container ports in port mappings must match", self.fargate,
                           {"portMappings": [{"containerPort": 80, "hostPort": 81}]})
        made = self.fargate({"portMappings": [{"containerPort": 80}]})["containerDefinitions"][0]["portMappings"]
        self.assertEqual(made, [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}])
        self.assertRefused("At least one of 'memory' or 'memoryReservation' must be specified.", self.register,
                           containerDefinitions=[{"name": "a", "image": "x"}])
        self.assertRefused("must be unique", both, one, one)
        self.assertRefused("must be essential", both, {**one, "essential": False})
        self.assertRefused("Container list cannot be empty.", both)
        self.assertRefused("at most 10", both, *[{**one, "name": f"c{n}"} for n in range(11)])
        on = lambda other, condition="START": {"dependsOn": [{"containerName": other, "condition": condition}]}
        two = {**one, "name": "b"}
        self.assertRefused("no other container 'z'", both, {**one, **on("z")}, two)
        self.assertRefused("cycle", both, {**one, **on("b")}, {**two, **on("a")})
        self.assertRefused("no health check", both, {**one, **on("b", "HEALTHY")}, two)
        self.assertRefused("essential container 'b'", both, {**one, **on("b", "SUCCESS")}, two)
        both({**one, **on("b", "SUCCESS")}, {**two, "essential": False})
        self.assertRefused("exceeds", both, {**one, "cpu": 200}, {**two, "cpu": 200}, cpu="256")
        self.assertRefused("Family contains invalid characters.", self.register, "a b")
        self.assertRefused("Max allowed length", self.register, container={"environment": [
            {"name": f"N{n}", "value": "x" * 1000} for n in range(70)]})


class Tags(EcsCase):
    def test_tags(self):
        for arn in (self.cluster()["clusterArn"], self.register()["taskDefinitionArn"]):
            self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
            self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "3"}])
            self.ecs.untag_resource(resourceArn=arn, tagKeys=["b"])
            self.assertEqual(self.ecs.list_tags_for_resource(resourceArn=arn)["tags"], [{"key": "a", "value": "3"}])
            self.assertRefused("maximum number of tags", self.ecs.tag_resource, resourceArn=arn, code="InvalidParameterException",
                               tags=[{"key": f"t{n}", "value": ""} for n in range(50)])
        self.assertRefused("Cluster not found.", self.ecs.list_tags_for_resource, resourceArn=ARN + "cluster/none",
                           code="ClusterNotFoundException")
        self.assertRefused("was not found", self.ecs.list_tags_for_resource, resourceArn=ARN + "task-definition/none:1",
                           code="InvalidParameterException")


class Permissions(EcsCase):
    def test_policies(self):
        iam, user = client("iam"), name()
        iam.create_user(UserName=user)
        self.addCleanup(iam.delete_user, UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        self.addCleanup(iam.delete_access_key, UserName=user, AccessKeyId=key["AccessKeyId"])
        self.addCleanup(iam.delete_user_policy, UserName=user, PolicyName="p")
        mine = self.cluster(tags=[{"key": "team", "value": "me"}])
        other = self.cluster()
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ecs:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "me"}}},
            {"Effect": "Allow", "Action": ["ecs:CreateCluster", "ecs:RegisterTaskDefinition"], "Resource": "*"}]}))
        ecs = client("ecs", key["AccessKeyId"], key["SecretAccessKey"])
        self.assertEqual(len(ecs.describe_clusters(clusters=[mine["clusterName"]])["clusters"]), 1)
        denied = lambda action, call, **k: self.assertAwsError("AccessDeniedException", call, message=action, **k)
        denied("ecs:DescribeClusters", ecs.describe_clusters, clusters=[mine["clusterName"], other["clusterName"]])
        denied("ecs:DeleteCluster", ecs.delete_cluster, cluster=other["clusterName"])
        denied("ecs:TagResource", ecs.create_cluster, clusterName=name(), tags=[{"key": "a", "value": "b"}])
        denied("iam:PassRole", ecs.register_task_definition, family=name(), taskRoleArn=ROLE,
               containerDefinitions=[{"name": "c", "image": "x", "memory": 64}])


class Commands(EcsCase):
    def test_both_clis(self):
        for program in aws_programs():
            called = name()
            aws = lambda *a: json.loads(run(program, "--endpoint-url", ENDPOINT, "ecs", *a, "--output", "json").stdout)
            self.assertEqual(aws("create-cluster", "--cluster-name", called)["cluster"]["status"], "ACTIVE")
            made = aws("register-task-definition", "--family", called, "--requires-compatibilities", "FARGATE", "--network-mode", "awsvpc",
                       "--cpu", "256", "--memory", "512", "--container-definitions", json.dumps([{"name": "c", "image": "x:1"}]))
            self.assertEqual(made["taskDefinition"]["revision"], 1)
            self.assertEqual(aws("list-task-definitions", "--family-prefix", called)["taskDefinitionArns"], [made["taskDefinition"]["taskDefinitionArn"]])
            self.assertEqual(aws("delete-cluster", "--cluster", called)["cluster"]["status"], "INACTIVE")


if __name__ == "__main__":
    unittest.main()
