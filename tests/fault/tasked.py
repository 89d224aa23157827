"""What tests of tasks and deaths share: a cloud with an image in its registry and definitions of tasks, and what is left of all that."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError
from busybox import busybox, push
from cloud import Cloud
from leftovers import instance_of, processes
from registry import Registry

AWAY = (BotoCoreError, ClientError, OSError)  # the role that answers is being started again
STAY = "trap 'exit 6' TERM; while true; do sleep 0.1; done"


def words(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def hears(pid):
    """Has the process a handler for SIGTERM, which a first process does not notice otherwise?"""
    caught = words(f"/proc/{pid}/status").partition("SigCgt:")[2].split()
    return bool(caught) and bool(int(caught[0], 16) >> (signal.SIGTERM - 1) & 1)


class Tasked(unittest.TestCase):
    def new_cloud(self):
        return Cloud()

    def setUp(self):
        self.cloud = self.new_cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        ecr, iam = self.cloud.client("ecr"), self.cloud.client("iam")
        self.uri = ecr.create_repository(repositoryName="app")["repository"]["repositoryUri"]
        push(Registry(ecr, self.cloud.endpoint, "app", host=self.uri.split("/")[0]), busybox())
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        self.role = iam.create_role(RoleName="exec", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="exec", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}))
        self.ecs = self.cloud.client("ecs")
        self.ecs.create_cluster()
        self.network = {"awsvpcConfiguration": {"subnets": [self.cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]]}}
        self.define("t", STAY)

    def define(self, family, command, **more):
        self.ecs.register_task_definition(family=family, requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
                                          executionRoleArn=self.role,
                                          containerDefinitions=[{"name": "c", "image": self.uri, "command": ["/bin/sh", "-c", command], **more}])

    def run_tasks(self, family="t", count=1):
        made = self.ecs.run_task(taskDefinition=family, launchType="FARGATE", networkConfiguration=self.network, count=count)
        self.assertEqual(made["failures"], [])
        return [t["taskArn"] for t in made["tasks"]]

    def run_task(self, family="t"):
        return self.run_tasks(family)[0]

    def stop_task(self, arn):
        """False: nobody is there to hear it."""
        try:
            self.ecs.stop_task(task=arn)
            return True
        except AWAY:
            return False

    def show(self, arn):
        try:
            (task,) = self.ecs.describe_tasks(tasks=[arn])["tasks"]
            return task
        except AWAY as e:
            return {"lastStatus": str(e)}

    def until(self, arn, status, seconds=120):
        until = time.monotonic() + seconds
        while (task := self.show(arn))["lastStatus"] != status:
            self.assertNotEqual(task["lastStatus"], "STOPPED", (task.get("stoppedReason"), self.cloud.log_text()[-1000:]))
            self.assertLess(time.monotonic(), until, task)
            time.sleep(0.05)
        return task

    def wait(self, what, seconds=120):
        until = time.monotonic() + seconds
        while not (value := what()):
            self.assertLess(time.monotonic(), until, self.left())
            time.sleep(0.05)
        return value

    def kill(self, *roles):
        """Kills roles (or main: the whole cloud) and waits until all is as it was."""
        before = {r: self.net() if r == "net" else self.cloud.process.pid if r == "main" else self.cloud.role_pid(r) for r in roles}
        for pid in before.values():
            os.kill(pid, 9)
        if "main" in roles:
            self.cloud.process.wait()
            self.cloud.log.close()
            self.cloud.start()
            return
        for role, pid in before.items():
            if role == "net":
                self.wait(lambda dead=pid: self.net() not in (None, dead))
            else:
                self.cloud.wait_for_role(role, other_than=pid, seconds=60)
        self.cloud.wait(60)

    # what there is

    def group(self):
        return "quartet-" + instance_of(self.cloud.data)

    def members(self, name):
        """Processes of this name in groups of tasks of this cloud."""
        found = []
        for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
            if words(comm).strip() == name[:15] and self.group() + "/t" in words(comm.with_name("cgroup")):
                found.append(int(comm.parent.name))
        return found

    def inits(self):
        """The shells that are containers' first processes: children of a shim."""
        shims = set(self.shims())
        parents = {pid: words(f"/proc/{pid}/status").partition("PPid:")[2].split() for pid in self.members("sh")}  # none: it has just ended
        return [pid for pid, parent in parents.items() if parent and int(parent[0]) in shims]

    def shims(self):
        return self.members("quartet-task")

    def net(self):
        for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
            if words(comm).strip() == "quartet-net" and self.cloud.data in words(comm.with_name("cmdline")):
                return int(comm.parent.name)
        return None

    def namespace(self):
        """Links and lines of the packet filter in net's namespace."""
        inside = ["nsenter", "--net", "--target", str(self.net())]
        links = subprocess.run([*inside, "ip", "-o", "link"], capture_output=True, text=True, check=False).stdout.count("\n")
        filters = subprocess.run([*inside, "nft", "list", "ruleset"], capture_output=True, text=True, check=False).stdout.count("\n")
        return links, filters

    def groups(self):
        """Control groups of tasks, in all hierarchies."""
        found = 0
        for place, folders, _ in os.walk("/sys/fs/cgroup"):
            if place.endswith("/" + self.group()):
                found += sum(name[0] == "t" and name[1:].isdigit() for name in folders)
                folders.clear()
        return found

    def left(self):
        """What tasks use of this machine, counted."""
        data = self.cloud.data
        loops = [p for p in pathlib.Path("/sys/block").glob("loop*/loop/backing_file") if data in words(p)]
        kinds = {}
        for pid in processes(data):
            for kind in ("net", "mnt", "user", "pid", "ipc", "uts", "cgroup"):
                try:
                    kinds.setdefault(kind, set()).add(os.readlink(f"/proc/{pid}/ns/{kind}"))
                except OSError:
                    continue
        return {
            "processes": len(processes(data)),
            "namespaces": {kind: len(found) for kind, found in kinds.items()},
            "groups": self.groups(),
            "loops": len(loops),
            "files": [name for place in ("scratch", "tasks") for name in os.listdir(os.path.join(data, place)) if not name.startswith("empty-")],
            "net": self.namespace(),
        }
