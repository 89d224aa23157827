"""A task's life as clients see it: real containers from the registry, their network, logs, ends, and what goes wrong."""
import datetime
import json
import math
import re
import unittest
import urllib.request
import uuid

from aws import client
from busybox import busybox, push
from tasks import ACCOUNT, TaskCase, allow, role

SERVE = "trap 'exit 143' TERM; mkdir -p /tmp/www && echo hello > /tmp/www/index.html && httpd -p 80 -h /tmp/www; while true; do sleep 0.1; done"
STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
STUBBORN = "trap '' TERM; while true; do sleep 0.1; done"


def get(address):
    """What a server at that address says; None: nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=2) as reply:
            return reply.read()
    except OSError:
        return None


class Life(TaskCase):
    def group(self, *sources):
        made = self.ec2.create_security_group(GroupName="g" + uuid.uuid4().hex[:8], Description="d", VpcId=self.vpc)["GroupId"]
        for source in sources:
            self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": source}]}])
        return made

    def test_described(self):
        """Every member of a task, at its beginning, while it runs and when it has ended."""
        definition = self.register({"command": SERVE, "portMappings": [{"containerPort": 80}], "cpu": 128, "memory": 256})
        (first,) = self.run_tasks(definition, tags=[{"key": "k", "value": "v"}], startedBy="me", enableECSManagedTags=True)
        arn = first["taskArn"]
        self.assertRegex(arn, f"^arn:aws:ecs:{self.region}:{ACCOUNT}:task/{self.cluster}/[0-9a-f]{{32}}$")
        self.assertEqual((first["lastStatus"], first["desiredStatus"], first["group"]),
                         ("PROVISIONING", "RUNNING", "family:" + definition.split("/")[1].split(":")[0]))
        self.assertEqual(first["attachments"][0]["status"], "PRECREATED")
        task = self.until(arn, "RUNNING")
        self.assertEqual((task["connectivity"], task["launchType"], task["platformVersion"], task["platformFamily"], task["cpu"],
                          task["memory"], task["startedBy"], task["availabilityZone"], task["enableExecuteCommand"], task["healthStatus"]),
                         ("CONNECTED", "FARGATE", "1.4.0", "Linux", "256", "512", "me", self.subnet["AvailabilityZone"], False, "UNKNOWN"))
        self.assertEqual(task["attributes"], [{"name": "ecs.cpu-architecture", "value": "x86_64"}])
        self.assertEqual(task["ephemeralStorage"], {"sizeInGiB": 20})
        self.assertNotIn("capacityProviderName", task)
        self.assertLess(task["createdAt"], task["pullStartedAt"])
        self.assertLessEqual(task["pullStartedAt"], task["pullStoppedAt"])
        self.assertLessEqual(task["pullStoppedAt"], task["startedAt"])
        (attachment,) = task["attachments"]
        self.assertEqual((attachment["type"], attachment["status"]), ("ElasticNetworkInterface", "ATTACHED"))
        details = {d["name"]: d["value"] for d in attachment["details"]}
        interface = self.interface(arn)
        self.assertEqual(details, {"subnetId": self.subnet["SubnetId"], "networkInterfaceId": interface["NetworkInterfaceId"],
                                   "macAddress": interface["MacAddress"], "privateDnsName": interface["PrivateDnsName"],
                                   "privateIPv4Address": interface["PrivateIpAddress"]})
        self.assertEqual((interface["Status"], interface["RequesterManaged"]), ("in-use", True))
        (container,) = task["containers"]
        self.assertEqual((container["lastStatus"], container["image"], container["imageDigest"], container["cpu"], container["memory"],
                          container["healthStatus"]), ("RUNNING", self.image, self.digest, "128", "256", "UNKNOWN"))
        self.assertRegex(container["runtimeId"], f"^{arn.rsplit('/', 1)[1]}-[0-9]{{10}}$")
        self.assertEqual(container["networkInterfaces"], [{"attachmentId": attachment["id"], "privateIpv4Address": interface["PrivateIpAddress"]}])
        self.assertEqual(self.task(arn)["tags"], [])
        self.assertEqual({t["key"]: t["value"] for t in self.task(arn, include=["TAGS"])["tags"]}, {"k": "v", "aws:ecs:clusterName": self.cluster})
        self.assertIn(arn, self.ecs.list_tasks(cluster=self.cluster, startedBy="me")["taskArns"])
        self.assertEqual(self.ecs.stop_task(cluster=self.cluster, task=arn)["task"]["desiredStatus"], "STOPPED")
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"]), ("UserInitiated", "Task stopped by user"))
        self.assertLessEqual(task["stoppingAt"], task["executionStoppedAt"])
        self.assertLessEqual(task["executionStoppedAt"], task["stoppedAt"])
        self.assertEqual((task["attachments"][0]["status"], task["containers"][0]["exitCode"], task["containers"][0]["lastStatus"]),
                         ("DELETED", 143, "STOPPED"))
        self.assertGreater(task["version"], 3)
        self.assertNotIn(arn, self.ecs.list_tasks(cluster=self.cluster)["taskArns"])
        self.assertIn(arn, self.ecs.list_tasks(cluster=self.cluster, desiredStatus="STOPPED")["taskArns"])
        self.assertAwsError("InvalidNetworkInterfaceID.NotFound", self.ec2.describe_network_interfaces,
                            NetworkInterfaceIds=[details["networkInterfaceId"]])

    def test_network(self):
        """By the public address from outside, by the interface's own address from another task; as the security group has it."""
        open_, shut = self.group("0.0.0.0/0"), self.group("10.255.0.0/16")
        served = [self.run_task(SERVE, groups=[g], public=True) for g in (open_, shut)]
        for arn in served:
            self.until(arn, "RUNNING")
        reached, unreached = [self.interface(arn) for arn in served]
        self.wait(lambda: get(reached["Association"]["PublicIp"]) == b"hello\n")
        self.assertIsNone(get(unreached["Association"]["PublicIp"]))
        lines, _ = self.says(f"wget -q -O - http://{reached['PrivateIpAddress']}/; timeout 2 wget -q -O - http://{unreached['PrivateIpAddress']}/ 2>/dev/null || echo shut")
        self.assertEqual(lines, ["hello", "shut"])
        # The group decides from the moment that it changes.
        self.ec2.authorize_security_group_ingress(GroupId=shut, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.wait(lambda: get(unreached["Association"]["PublicIp"]) == b"hello\n")
        self.ec2.revoke_security_group_ingress(GroupId=open_, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.wait(lambda: get(reached["Association"]["PublicIp"]) is None)

    def test_containers_of_a_task(self):
        """They share the network and the volumes, and the machine's name is the interface's."""
        lines, task = self.says(
            {"command": "until wget -q -O - http://127.0.0.1/; do sleep 0.1; done 2>/dev/null; cat /shared/word; hostname", "name": "first",
             "mountPoints": [{"sourceVolume": "v", "containerPath": "/shared", "readOnly": True}]} | {"name": "c"},
            {"command": "echo from-c1 > /data/word; " + SERVE, "name": "c1", "essential": True,
             "mountPoints": [{"sourceVolume": "v", "containerPath": "/data"}]},
            volumes=[{"name": "v"}])
        self.assertEqual(lines[:2], ["hello", "from-c1"])
        self.assertIn(lines[2], {d["value"] for d in task["attachments"][0]["details"]})


class Tags(TaskCase):
    def test_tags(self):
        """Those of a task are its own, the definition's where asked, and ECS's, which its interface has too."""
        definition = self.register(STAY, tags=[{"key": "d", "value": "definition"}, {"key": "k", "value": "definition"}])
        (task,) = self.run_tasks(definition, tags=[{"key": "k", "value": "task"}], propagateTags="TASK_DEFINITION", enableECSManagedTags=True)
        arn = task["taskArn"]
        tags = lambda: {t["key"]: t["value"] for t in self.ecs.list_tags_for_resource(resourceArn=arn)["tags"]}
        mine = {"aws:ecs:clusterName": self.cluster}
        self.assertEqual(tags(), {"k": "task", "d": "definition", **mine})
        self.assertEqual({t["Key"]: t["Value"] for t in self.interface(arn)["TagSet"]}, mine)
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "k", "value": "new"}, {"key": "n", "value": ""}])
        self.ecs.untag_resource(resourceArn=arn, tagKeys=["d", "absent"])
        self.assertEqual(tags(), {"k": "new", "n": "", **mine})
        self.assertEqual({t["key"]: t["value"] for t in self.task(arn, include=["TAGS"])["tags"]}, tags())
        bad = "InvalidParameterException"
        self.assertAwsError(bad, self.ecs.untag_resource, resourceArn=arn, tagKeys=["aws:ecs:clusterName"])
        self.assertAwsError(bad, self.ecs.tag_resource, resourceArn=arn, tags=[{"key": str(i), "value": ""} for i in range(49)])
        self.assertAwsError(bad, self.ecs.list_tags_for_resource, resourceArn=arn[:-32] + "0" * 32)
        self.assertEqual(tags(), {"k": "new", "n": "", **mine})


class Bills(TaskCase):
    def setUp(self):
        self.ecs.put_cluster_capacity_providers(cluster=self.cluster, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[])

    def used(self):
        today = datetime.datetime.now(datetime.timezone.utc).date()
        ce = client("ce", region="us-east-1")
        (day,) = ce.get_cost_and_usage(TimePeriod={"Start": str(today), "End": str(today + datetime.timedelta(1))}, Granularity="DAILY",
                                       Metrics=["UsageQuantity"], GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}],
                                       Filter={"Dimensions": {"Key": "REGION", "Values": [self.region]}})["ResultsByTime"]
        return {g["Keys"][0].replace(self.region + "-", "", 1): float(g["Metrics"]["UsageQuantity"]["Amount"]) for g in day["Groups"]}

    def test_a_minute_at_least(self):
        """A task that lives for a moment costs a minute of its size, and of the storage beyond 20 GiB; a spot task has types of its own."""
        strategy = [{"capacityProvider": "FARGATE", "base": 1, "weight": 0}, {"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        definition = self.register("exit 0", cpu="512", memory="1024", ephemeralStorage={"sizeInGiB": 25})
        tasks = self.run_tasks(definition, count=2, capacityProviderStrategy=strategy)
        self.assertEqual(sorted(t["capacityProviderName"] for t in tasks), ["FARGATE", "FARGATE_SPOT"])
        hours = {}
        for t in tasks:
            ended = self.until(t["taskArn"], "STOPPED")
            lasted = (ended["stoppedAt"] - ended["pullStartedAt"]).total_seconds()
            hours[t["capacityProviderName"]] = max(60, math.ceil(lasted)) / 3600
        used, usual, spot = self.used(), hours["FARGATE"], hours["FARGATE_SPOT"]
        for kind, amount in {"Fargate-vCPU-Hours:perCPU": usual / 2, "Fargate-GB-Hours": usual, "SpotUsage-Fargate-vCPU-Hours:perCPU": spot / 2,
                             "SpotUsage-Fargate-GB-Hours": spot, "Fargate-EphemeralStorage-GB-Hours": 5 * (usual + spot)}.items():
            self.assertAlmostEqual(used[kind], amount, 4, kind)


class Strategies(TaskCase):
    def test_strategy(self):
        """The base first, then by weight."""
        self.ecs.put_cluster_capacity_providers(cluster=self.cluster, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[])
        strategy = [{"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 3}]
        tasks = self.run_tasks(self.register("exit 0"), count=5, capacityProviderStrategy=strategy)
        self.assertEqual(sorted(t["capacityProviderName"] for t in tasks), ["FARGATE"] * 2 + ["FARGATE_SPOT"] * 3)
        for t in tasks:
            self.until(t["taskArn"], "STOPPED")


class Ends(TaskCase):
    def containers(self, task):
        return {c["name"]: (c.get("exitCode"), c["lastStatus"]) for c in task["containers"]}

    def test_by_itself(self):
        arn = self.run_task("exit 7")
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"]), ("EssentialContainerExited", "Essential container in task exited"))
        self.assertEqual((task["desiredStatus"], task["containers"][0]["exitCode"]), ("STOPPED", 7))
        self.assertIn("startedAt", task)

    def test_essential(self):
        """One that is not essential may end; when an essential one does, the others are stopped."""
        task = self.until(self.run_task("sleep 0.5; exit 3", STAY, {"command": "exit 5", "essential": False}), "STOPPED")
        self.assertEqual(self.containers(task), {"c": (3, "STOPPED"), "c1": (0, "STOPPED"), "c2": (5, "STOPPED")})
        self.assertEqual(task["stopCode"], "EssentialContainerExited")

    def test_stop_with_grace(self):
        """The signal comes, and what the container does with it counts; the reason is the caller's."""
        arn = self.run_task({"command": "trap 'echo got it; exit 9' TERM; echo up; while true; do sleep 0.1; done", "logConfiguration": self.log("grace")})
        self.until(arn, "RUNNING")
        self.wait_for_lines(1, "grace", arn)
        self.ecs.stop_task(cluster=self.cluster, task=arn, reason="because of a test")
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"], task["containers"][0]["exitCode"]), ("UserInitiated", "because of a test", 9))
        self.assertEqual(self.wait_for_lines(2, "grace", arn), ["up", "got it"])
        self.ecs.stop_task(cluster=self.cluster, task=arn, reason="again")  # one that has ended stays as it is
        self.assertEqual(self.task(arn)["stoppedReason"], "because of a test")

    def test_stop_timeout(self):
        arn = self.run_task({"command": STUBBORN, "stopTimeout": 2})
        self.until(arn, "RUNNING")
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        task = self.until(arn, "STOPPED")
        self.assertEqual(task["containers"][0]["exitCode"], 137)
        self.assertGreaterEqual((task["executionStoppedAt"] - task["stoppingAt"]).total_seconds(), 1.9)

    def test_stop_before_it_runs(self):
        arn = self.run_task(STAY)
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        task = self.until(arn, "STOPPED")
        self.assertEqual(task["stopCode"], "UserInitiated")

    def test_out_of_memory(self):
        task = self.until(self.run_task({"command": "exec tail -c 1000000000 /dev/zero", "memory": 32}), "STOPPED")
        self.assertEqual(task["containers"][0].get("reason"), "OutOfMemoryError: Container killed due to memory usage")
        self.assertEqual(task["containers"][0]["exitCode"], 137)

    def test_depends_on(self):
        """Each begins when what it waits for is as it wants it, and they stop in the opposite order."""
        start = lambda name, then: {"name": name, "command": f"echo {name} >> /v/order; {then}", "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}
        after = lambda *pairs: {"dependsOn": [{"containerName": n, "condition": c} for n, c in pairs]}
        lines, task = self.says(
            {**start("c", "cat /v/order"), **after(("server", "HEALTHY"), ("init", "SUCCESS"), ("once", "COMPLETE"), ("beside", "START"))},
            {**start("server", STAY), **after(("init", "SUCCESS")), "healthCheck": {"command": ["CMD-SHELL", "test -e /v/order"], "interval": 5, "startPeriod": 1}},
            {**start("init", "exit 0"), "essential": False},
            {**start("once", "exit 4"), "essential": False, **after(("init", "COMPLETE"))},
            {**start("beside", STAY), **after(("once", "COMPLETE"))},
            volumes=[{"name": "v"}])
        self.assertEqual((lines[0], lines[-1], sorted(lines)), ("init", "c", ["beside", "c", "init", "once", "server"]))
        self.assertLess(lines.index("once"), lines.index("beside"))
        self.assertEqual(self.containers(task)["once"], (4, "STOPPED"))

    def test_dependency_that_fails(self):
        task = self.until(self.run_task({"command": STAY, "dependsOn": [{"containerName": "c1", "condition": "SUCCESS"}]},
                                        {"command": "exit 1", "essential": False}), "STOPPED")
        self.assertEqual((task["stopCode"], self.containers(task)), ("TaskFailedToStart", {"c": (None, "STOPPED"), "c1": (1, "STOPPED")}))
        self.assertNotIn("startedAt", task)

    def test_health(self):
        arn = self.run_task({"command": "touch /tmp/well; " + STAY.replace("sleep 0.1", "sleep 0.1; test -e /tmp/well || touch /tmp/seen"),
                             "healthCheck": {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "timeout": 2, "retries": 1}})
        self.until(arn, "RUNNING")
        self.wait(lambda: self.task(arn)["healthStatus"] == "HEALTHY")
        self.assertEqual(self.task(arn)["containers"][0]["healthStatus"], "HEALTHY")
        sick = self.run_task({"command": STAY, "healthCheck": {"command": ["CMD", "/bin/false"], "interval": 5, "timeout": 2, "retries": 1}})
        self.wait(lambda: self.task(sick)["healthStatus"] == "UNHEALTHY")
        # Alone it is only told: ending what is unwell is a service's business.
        self.assertEqual(self.task(sick)["lastStatus"], "RUNNING")


class Made(TaskCase):
    """What is in a container, asked from inside."""
    def test_commands_and_environment(self):
        ssm, s3, bucket = client("ssm", region=self.region), client("s3"), "env-" + self.word
        ssm.put_parameter(Name="/t/secret", Value="of parameter store", Type="SecureString")
        ssm.put_parameter(Name="plain", Value="plainly", Type="String")
        sm = client("secretsmanager", region=self.region)
        db = sm.create_secret(Name="db-" + self.word, SecretString='{"user": "me", "port": 5432}')
        sm.put_secret_value(SecretId=db["ARN"], SecretString='{"user": "you", "port": 5433}')
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a.env", Body=b"# comment\nONE=from a file\nTWO=second\nVAR=file\nQUOTED=\"as it is\"\n")
        arn = f"arn:aws:ssm:{self.region}:{ACCOUNT}:parameter"
        run = {"overrides": {"containerOverrides": [{"name": "c", "environment": [{"name": "TWO", "value": "overridden"}, {"name": "FIVE", "value": "5"}]}]}}
        lines, task = self.says({
            "command": ["-c", 'for v in ONE TWO VAR QUOTED SECRET PLAIN WHOLE PORT OLD THEN REFERRED FIVE FROM_IMAGE AWS_REGION AWS_DEFAULT_REGION AWS_EXECUTION_ENV; do eval "echo $v=\\$$v"; done; pwd; env | grep -q "^HOSTNAME=$(hostname)" && '
                        'echo "$0 $*"; echo end-of-output', "zero", "one two"],
            "entryPoint": ["/bin/sh"], "workingDirectory": "/made/here",
            "environment": [{"name": "VAR", "value": "definition"}, {"name": "TWO", "value": "2"}],
            "environmentFiles": [{"type": "s3", "value": f"arn:aws:s3:::{bucket}/a.env"}],
            "secrets": [{"name": "SECRET", "valueFrom": arn + "/t/secret"}, {"name": "PLAIN", "valueFrom": "plain"},
                        {"name": "WHOLE", "valueFrom": db["ARN"]}, {"name": "PORT", "valueFrom": db["ARN"] + ":port::"},
                        {"name": "OLD", "valueFrom": db["ARN"] + ":user:AWSPREVIOUS:"}, {"name": "THEN", "valueFrom": db["ARN"] + ":user::" + db["VersionId"]},
                        {"name": "REFERRED", "valueFrom": "/aws/reference/secretsmanager/db-" + self.word}]}, run=run)
        self.assertEqual(lines, ["ONE=from a file", "TWO=overridden", "VAR=definition", 'QUOTED="as it is"', "SECRET=of parameter store",
                                 "PLAIN=plainly", 'WHOLE={"user": "you", "port": 5433}', "PORT=5433", "OLD=me", "THEN=me",
                                 'REFERRED={"user": "you", "port": 5433}', "FIVE=5", "FROM_IMAGE=yes", f"AWS_REGION={self.region}", f"AWS_DEFAULT_REGION={self.region}",
                                 "AWS_EXECUTION_ENV=AWS_ECS_FARGATE", "/made/here", "zero one two"])
        (shown,) = task["overrides"]["containerOverrides"]
        self.assertEqual(shown["name"], "c")

    def test_command_overridden(self):
        arn = self.run_task("exit 1", run={"overrides": {"containerOverrides": [{"name": "c", "command": ["/bin/sh", "-c", "exit 2"]}],
                                                         "cpu": "512", "memory": "1024"}})
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["containers"][0]["exitCode"], task["cpu"], task["memory"]), (2, "512", "1024"))

    def test_rights(self):
        lines, _ = self.says({
            "command": "id; ulimit -n; ulimit -Hn; touch /etc/x 2>/dev/null || echo read-only; touch /v/x && ls /v; touch /from/x 2>/dev/null || echo volume-read-only; cat /from/word; "
                       "cat /proc/1/comm; grep NoNewPrivs /proc/self/status",
            "user": "web", "readonlyRootFilesystem": True, "ulimits": [{"name": "nofile", "softLimit": 2000, "hardLimit": 3000}],
            "linuxParameters": {"initProcessEnabled": True}, "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}],
            "volumesFrom": [{"sourceContainer": "c1", "readOnly": True}], "dependsOn": [{"containerName": "c1", "condition": "SUCCESS"}]},
            {"command": "echo word > /from/word; chmod 777 /v2", "essential": False, "mountPoints": [{"sourceVolume": "w", "containerPath": "/from"}, {"sourceVolume": "v", "containerPath": "/v2"}]},
            volumes=[{"name": "v"}, {"name": "w"}])
        self.assertEqual(lines[0], "uid=1001(web) gid=1002(web) groups=1002(web)")
        self.assertEqual(lines[1:7], ["2000", "3000", "read-only", "x", "volume-read-only", "word"])
        self.assertNotEqual(lines[7], "sh")

    def test_tmpfs(self):
        """File systems in memory: as large as they may be, with their options, and what is in them is the task's memory."""
        mounts = [{"containerPath": "/cache", "size": 8}, {"containerPath": "/run/own", "size": 1, "mountOptions": ["exec", "mode=700", "uid=1001"]}]
        lines, task = self.says({"command": "grep -E ' /(cache|run/own) ' /proc/mounts; dd if=/dev/zero of=/cache/x bs=1M count=9 2>&1 | grep -o 'No space left'; "
                                            "wc -c </cache/x; rm /cache/x; cp /bin/busybox /cache/true; /cache/true 2>&1 | grep -o 'Permission denied'; stat -c %a:%u /run/own",
                                 "linuxParameters": {"tmpfs": mounts}})
        cache, own = sorted(line.split()[1:4] for line in lines[:2])
        self.assertEqual((cache[:2], own[:2]), (["/cache", "tmpfs"], ["/run/own", "tmpfs"]))
        options = set(cache[2].split(","))
        self.assertLessEqual({"rw", "nosuid", "nodev", "noexec", "size=8192k"}, options)
        self.assertLessEqual({"rw", "nosuid", "nodev", "size=1024k", "mode=700"}, set(own[2].split(",")))
        self.assertNotIn("noexec", own[2])
        self.assertEqual(lines[2:], ["No space left", str(8 << 20), "Permission denied", "700:1001"])
        task = self.until(self.run_task({"command": "dd if=/dev/zero of=/cache/x bs=1M count=900", "linuxParameters": {
            "tmpfs": [{"containerPath": "/cache", "size": 900}]}}), "STOPPED")
        self.assertEqual((task["containers"][0]["exitCode"] != 0, task["containers"][0].get("reason")),
                         (True, "OutOfMemoryError: Container killed due to memory usage"))

    def test_events_of_several_lines(self):
        """By a pattern, and by what a time looks like: an event begins where one is, and keeps the ends of its lines."""
        trace = "echo lost; echo 'INFO begin'; echo ' at a'; echo; echo ' at b'; echo 'ERROR next'; echo ' at c'"
        stamped = "echo '[2026-01-02 03:04:05.678] one'; echo more; echo '[2026-99-02 03:04:05.678] no time'; echo '[2026-01-02 23:04:05.679] two'"
        arn = self.run_task({"command": trace, "logConfiguration": self.log("multi", **{"awslogs-multiline-pattern": "^(INFO|ERROR)\\s"})},
                            {"command": stamped, "essential": False, "logConfiguration": self.log("multi", **{"awslogs-datetime-format": "\\[%Y-%m-%d %H:%M:%S%L\\]"})})
        self.until(arn, "STOPPED")
        self.assertEqual(self.wait_for_lines(3, "multi", arn), ["lost\n", "INFO begin\n at a\n\n at b\n", "ERROR next\n at c\n"])
        self.assertEqual(self.wait_for_lines(2, "multi", arn, "c1"),
                         ["[2026-01-02 03:04:05.678] one\nmore\n[2026-99-02 03:04:05.678] no time\n", "[2026-01-02 23:04:05.679] two\n"])
        # the last event of a task that goes on is not held back for long
        arn = self.run_task({"command": "echo 'INFO here'; sleep 1000", "stopTimeout": 1, "logConfiguration": self.log("waits", **{"awslogs-multiline-pattern": "INFO"})})
        self.assertEqual(self.wait_for_lines(1, "waits", arn), ["INFO here\n"])

    def test_image_without_tag(self):
        """Is the one with the tag `latest`; a digest names what it names."""
        for image in (self.image, f"{self.image}@{self.digest}"):
            task = self.until(self.run_task({"image": image, "command": "exit 0"}), "STOPPED")
            self.assertEqual((task["containers"][0]["exitCode"], task["containers"][0]["imageDigest"]), (0, self.digest))


class Failures(TaskCase):
    def fails(self, container, pattern, code="TaskFailedToStart", **more):
        task = self.until(self.run_task({"command": STAY, **container}, **more), "STOPPED")
        self.assertEqual(task["stopCode"], code)
        self.assertRegex(task["stoppedReason"], pattern)
        self.assertNotIn("startedAt", task)
        self.assertNotIn("exitCode", task["containers"][0])
        return task

    def test_image_that_is_not_there(self):
        self.fails({"image": self.image + ":missing"}, f"^CannotPullContainerError: .*failed to resolve ref {re.escape(self.image)}:missing.*not found")
        self.fails({"image": self.image + "x"}, "^CannotPullContainerError: ")

    def test_nothing_to_start(self):
        """Neither the definition nor the image says what."""
        push(self.registry, busybox(), "bare", Cmd=[])
        task = self.until(self.run_task({"image": self.image + ":bare"}), "STOPPED")
        self.assertEqual((task["stopCode"], task["stoppedReason"]), ("TaskFailedToStart", "CannotCreateContainerError: no command specified for container 'c'"))

    def test_role_that_may_not_pull(self):
        none = role("none-" + self.word, "ecs-tasks.amazonaws.com", allow("logs:*"))
        self.fails({}, "^CannotPullContainerError: .*(AccessDenied|not authorized)", executionRoleArn=none)

    def test_role_that_cannot_be_assumed(self):
        other = role("other-" + self.word, "lambda.amazonaws.com", allow("*"))
        self.fails({}, "^ResourceInitializationError: ", executionRoleArn=other)

    def test_secret_that_is_not_there(self):
        self.fails({"secrets": [{"name": "X", "valueFrom": "missing"}]},
                   "^ResourceInitializationError: unable to pull secrets or registry auth: .*invalid parameters: missing")

    def test_secrets_that_cannot_be_read(self):
        sm = client("secretsmanager", region=self.region)
        arn = sm.create_secret(Name="x-" + self.word, SecretString='{"a": "1"}')["ARN"]
        begin = "^ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: "
        self.fails({"secrets": [{"name": "X", "valueFrom": arn + ":b::"}]}, begin + ".*retrieved secret from Secrets Manager did not contain json key b")
        self.fails({"secrets": [{"name": "X", "valueFrom": arn[:-7] + "no-abcdef"}]}, begin + ".*failed to fetch secret .* from secrets manager: ResourceNotFoundException: ")
        none = role("secretless-" + self.word, "ecs-tasks.amazonaws.com", allow("ecr:*", "logs:*"))
        self.fails({"secrets": [{"name": "X", "valueFrom": arn}]}, begin + ".*AccessDeniedException: User: .*secretsmanager:GetSecretValue", executionRoleArn=none)

    def test_log_group_that_is_not_there(self):
        self.fails({"logConfiguration": self.log("x", group="/missing")},
                   "^ResourceInitializationError: failed to validate logger args: .*The specified log group does not exist")
        made = self.run_task({"command": "echo one", "logConfiguration": self.log("x", group="/made", **{"awslogs-create-group": "true"})})
        self.until(made, "STOPPED")
        self.assertEqual(self.wait_for_lines(1, "x", made, group="/made"), ["one"])

    def test_command_that_is_not_there(self):
        task = self.fails({"command": ["/missing"]}, "^CannotStartContainerError: ")
        self.assertRegex(task["containers"][0]["reason"], "^CannotStartContainerError: ")


class Inside(TaskCase):
    """Metadata and credentials at 169.254.170.2."""
    def test_metadata(self):
        lines, task = self.says({"command": "until wget -q -O - $ECS_CONTAINER_METADATA_URI_V4 | grep -q '\"KnownStatus\":\"RUNNING\"'; do sleep 0.1; done; "
                                            "for p in '' /task /taskWithTags; do wget -q -O - $ECS_CONTAINER_METADATA_URI_V4$p; echo; done; "
                                            "wget -q -O - $ECS_CONTAINER_METADATA_URI/task; echo; wget -O - http://169.254.170.2/v4/nobody 2>&1 | grep -o 404"},
                                {"command": STAY, "essential": False}, run={"tags": [{"key": "k", "value": "v"}]})
        container, whole, tagged, third = (json.loads(x) for x in lines[:4])
        self.assertEqual(lines[4], "404")
        arn, address = task["taskArn"], self_address(task)
        self.assertEqual((container["Name"], container["Image"], container["ImageID"], container["KnownStatus"], container["DesiredStatus"], container["Type"]),
                         ("c", self.image, self.digest, "RUNNING", "RUNNING", "NORMAL"))
        self.assertEqual(container["DockerId"], task["containers"][0]["runtimeId"])
        self.assertEqual((container["Labels"]["com.amazonaws.ecs.task-arn"], container["ContainerARN"]), (arn, task["containers"][0]["containerArn"]))
        self.assertEqual((container["LogDriver"], container["Limits"]["CPU"]), ("awslogs", 2))
        (network,) = container["Networks"]
        self.assertEqual((network["NetworkMode"], network["IPv4Addresses"], network["IPv4SubnetCIDRBlock"]), ("awsvpc", [address], self.subnet["CidrBlock"]))
        self.assertRegex(network["SubnetGatewayIpv4Address"], r"^[0-9.]+/[0-9]+$")
        self.assertTrue(network["DomainNameServers"] and network["MACAddress"] and network["PrivateDNSName"])
        self.assertEqual((whole["TaskARN"], whole["Family"], whole["Revision"], whole["Limits"], whole["LaunchType"], whole["AvailabilityZone"], whole["VPCID"]),
                         (arn, task["taskDefinitionArn"].split("/")[1].split(":")[0], "1", {"CPU": 0.25, "Memory": 512}, "FARGATE",
                          self.subnet["AvailabilityZone"], self.vpc))
        self.assertEqual({c["Name"] for c in whole["Containers"]}, {"c", "c1"})
        self.assertEqual(whole["EphemeralStorageMetrics"]["Reserved"], 20480)
        self.assertNotIn("TaskTags", whole)
        self.assertEqual(tagged["TaskTags"], {"k": "v"})
        self.assertEqual(third["TaskARN"], arn)

    def test_credentials(self):
        bucket = "role-" + self.word
        s3 = client("s3")
        s3.create_bucket(Bucket=bucket)
        made = role("task-" + self.word, "ecs-tasks.amazonaws.com", allow("s3:ListBucket"))
        lines, task = self.says("wget -q -O - http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo", taskRoleArn=made)
        given = json.loads(lines[0])
        self.assertEqual(given["RoleArn"], made)
        as_task = lambda service: client(service, given["AccessKeyId"], given["SecretAccessKey"], given["Token"], region="us-east-1")
        self.assertEqual(as_task("sts").get_caller_identity()["Arn"],
                         f"arn:aws:sts::{ACCOUNT}:assumed-role/task-{self.word}/{task['taskArn'].rsplit('/', 1)[1]}")
        self.assertEqual(as_task("s3").list_objects_v2(Bucket=bucket)["KeyCount"], 0)
        self.assertAwsError("AccessDenied", as_task("s3").put_object, Bucket=bucket, Key="k", Body=b"")
        without, _ = self.says("echo ${AWS_CONTAINER_CREDENTIALS_RELATIVE_URI:-none}")
        self.assertEqual(without, ["none"])


def self_address(task):
    return {d["name"]: d["value"] for d in task["attachments"][0]["details"]}["privateIPv4Address"]


if __name__ == "__main__":
    unittest.main()
