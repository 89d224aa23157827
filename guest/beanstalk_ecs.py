"""The platform ECS: a bundle's Dockerrun.aws.json of version 2 as a task of the environment's cluster, one on each of its instances.

The service registers the definition; the agent of ECS, which is this instance's too, pulls and runs. What begins and ends the task is here: it is started as the
instance's role with StartTask, started again when it ends, and the one of before comes back when another one does not run.
"""
import hashlib
import http.client
import json
import os
import re
import shutil
import threading
import time

import ecs_image
from beanstalk_language import Language
from beanstalk_system import APP, STAGING, Failed, need, over, write
from ecs_client import ENDPOINT, Refused, log

FILE, FILE_MOST = "Dockerrun.aws.json", 1 << 20
CONFIG, IMAGES, INSTANCE = "/etc/ecs/ecs.config", "/var/lib/ecs/images", "/var/lib/ecs/instance.json"
STATE, PREVIOUS, LOGS = "/var/lib/elasticbeanstalk/task.json", "/var/lib/elasticbeanstalk/previous", "/var/log/containers"
KEYS = {"AWSEBDockerrunVersion", "containerDefinitions", "volumes"}
JOIN_S, STAYS_S, AGAIN_S, ANSWER_S = 60, 2, 5, 60


def refuse(text):
    return Failed(f"Instance deployment: {text} The deployment failed.")


def dockerrun(root):
    try:
        with open(f"{root}/{FILE}", encoding="utf-8") as f:
            found = json.loads(f.read(FILE_MOST))
    except FileNotFoundError:
        raise refuse(f"'{FILE}' is missing in your source bundle.") from None
    except (OSError, ValueError, RecursionError) as e:
        raise refuse(f"'{FILE}' in your source bundle isn't valid JSON ({e}).") from e
    if not isinstance(found, dict) or str(found.get("AWSEBDockerrunVersion")) != "2":
        raise refuse(f"'{FILE}' in your source bundle specifies an unsupported version: this platform takes version 2.")
    unknown = sorted(set(found) - KEYS)
    if unknown:
        raise refuse(f"'{FILE}' has keys that are not supported: {', '.join(unknown)[:200]}.")
    for key in ("containerDefinitions", "volumes"):
        if not isinstance(found.get(key, []), list) or not all(isinstance(one, dict) for one in found.get(key, [])):
            raise refuse(f"{key} of '{FILE}' is no list of objects.")
    if not found.get("containerDefinitions"):
        raise refuse(f"'{FILE}' has no containerDefinitions.")
    return found


def definition(root, properties):
    """(containers, volumes) as ECS takes them. Each container has the environment's properties, and a volume for its logs that it may mount."""
    said = dockerrun(root)
    containers, volumes = said["containerDefinitions"], list(said.get("volumes", []))
    for one in containers:
        own = one.get("environment", [])
        if not isinstance(one.get("name"), str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", one["name"]) or not isinstance(one.get("image"), str):
            raise refuse(f"each of containerDefinitions in '{FILE}' has a name and an image.")
        if not isinstance(own, list) or not all(isinstance(e, dict) for e in own):
            raise refuse(f"environment of {one['name']} in '{FILE}' is no list of names and values.")
        one["environment"] = [e for e in own if e.get("name") not in properties] + [{"name": n, "value": v} for n, v in sorted(properties.items())]
        logs = f"awseb-logs-{one['name']}"
        if not any(v.get("name") == logs for v in volumes):
            volumes.append({"name": logs, "host": {"sourcePath": f"{LOGS}/{one['name']}"}})
    return containers, volumes


def wants_port(containers):
    """Does one of them publish port 80 of the instance?"""
    ports = [p for c in containers for p in c.get("portMappings") or [] if isinstance(p, dict)]
    return any(p.get("hostPort", 0) == 80 and p.get("protocol", "tcp") == "tcp" for p in ports)


def answers():
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", "/", headers={"User-Agent": "ElasticBeanstalk/healthd"})
        connection.getresponse()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Tasks:
    """The task of this instance: which one it is, and that it runs. Its state outlives this program."""

    def __init__(self, client, environment):
        self.client, self.environment, self.lock = client, environment, threading.Lock()
        self.looked, self.tried, self.seen = 0, 0, {}
        try:
            with open(STATE, encoding="utf-8") as f:
                self.state = json.load(f)
        except (OSError, ValueError):
            self.state = {}

    def save(self, **state):
        self.state = state
        write(f"{STATE}.new", json.dumps(state), 0o600)
        os.rename(f"{STATE}.new", STATE)

    # -- the cluster

    @staticmethod
    def member(cluster):
        """This instance's name in the cluster; None: it has none yet."""
        try:
            with open(INSTANCE, encoding="utf-8") as f:
                found = json.load(f)
        except (OSError, ValueError):
            return None
        return found["arn"] if found.get("cluster") == cluster else None

    def join(self, cluster):
        text = f"ECS_CLUSTER={cluster}\n"
        try:
            with open(CONFIG, encoding="utf-8") as f:
                there = f.read()
        except OSError:
            there = ""
        if text not in there:
            write(CONFIG, there + text)
            need("Starting the agent of ECS", "systemctl", "restart", "ecs.service")
        else:
            need("Starting the agent of ECS", "systemctl", "start", "ecs.service")
        until = time.monotonic() + JOIN_S
        while not self.member(cluster):
            if over() or time.monotonic() > until:
                raise Failed(f"ECS: the instance could not join the cluster {cluster}: the role of its instance profile needs the policy AWSElasticBeanstalkMulticontainerDocker")
            time.sleep(0.1)

    # -- the task

    def look(self, task):
        """As ECS describes it; empty: it does not know it."""
        found = self.client.ecs("DescribeTasks", cluster=self.state["cluster"], tasks=[task])["tasks"]
        return found[0] if found else {}

    def stop(self):
        task = self.state.get("task")
        if not task:
            return
        try:
            if self.look(task).get("lastStatus") not in (None, "STOPPED"):
                self.client.ecs("StopTask", cluster=self.state["cluster"], task=task, reason="Elastic Beanstalk deployment")
            while self.look(task).get("lastStatus") not in (None, "STOPPED"):
                if over():
                    raise Failed(f"ECS task {task} does not stop")
                time.sleep(0.1)
        except Refused as e:
            raise Failed(f"ECS: the task cannot be stopped: {e}") from e

    def start(self, name, cluster, port):
        """A task of that definition; it is this instance's from here on, whatever becomes of it."""
        try:
            reply = self.client.ecs("StartTask", cluster=cluster, taskDefinition=name, containerInstances=[self.member(cluster)], startedBy=self.environment)
        except Refused as e:
            raise Failed(f"ECS: the task cannot be started: {e}") from e
        if reply.get("failures"):
            raise Failed(f"ECS: the task cannot be started: {reply['failures'][0].get('reason', '')}")
        self.save(cluster=cluster, definition=name, port=port, task=reply["tasks"][0]["taskArn"])
        self.looked = 0  # what is known is of another one
        return self.state["task"]

    def wait(self, task, port):
        """Until it runs, and answers where it has the instance's port."""
        begun, limit = None, time.monotonic() + ANSWER_S
        while True:
            found = self.look(task)
            if found.get("lastStatus") in (None, "STOPPED"):
                why = [found.get("stoppedReason")] + [f"{c['name']}: {c.get('reason') or 'exit code ' + str(c.get('exitCode'))}" for c in found.get("containers", [])
                                                      if c.get("reason") or c.get("exitCode")]
                raise Failed(f"ECS task stopped due to: {'; '.join(w for w in why if w) or 'it is not known any more'}")
            if found["lastStatus"] == "RUNNING":
                begun = begun or time.monotonic()
                late = time.monotonic() > limit
                if late or (time.monotonic() > begun + STAYS_S if not port else answers()):
                    return
            if over():
                raise Failed("ECS: the task has not come to run in the allowed command timeout time")
            time.sleep(0.1)

    def replace(self, name, cluster, port, back):
        """That definition's task in the place of the one that runs. back: makes the bundle's files what they were."""
        with self.lock:
            before = dict(self.state)
            self.stop()
            try:
                self.wait(self.start(name, cluster, port), port)
            except (Failed, Refused, OSError) as e:
                if before.get("definition"):
                    self.turn_back(before, back)
                raise e if isinstance(e, Failed) else Failed(f"ECS: {e}") from e

    def turn_back(self, before, back):
        try:
            self.client.ecs("StopTask", cluster=self.state["cluster"], task=self.state["task"], reason="Elastic Beanstalk deployment has failed")
            while self.look(self.state["task"]).get("lastStatus") not in (None, "STOPPED"):
                time.sleep(0.1)
        except (Refused, OSError) as e:
            log(f"task {self.state['task']}: {e}")
        back()
        try:
            self.start(before["definition"], before["cluster"], before["port"])
        except (Failed, OSError) as e:
            log(str(e))  # tend() tries again
            self.save(**before)

    # -- what is watched

    def is_there(self):
        return bool(self.state.get("task"))

    def glance(self):
        """Not more often than every two seconds."""
        if time.monotonic() > self.looked + 2:
            self.looked, self.seen = time.monotonic(), self.look(self.state["task"])
        return self.seen

    def runs(self):
        try:
            return self.glance().get("lastStatus") == "RUNNING" and (not self.state.get("port") or answers())
        except (Refused, OSError):
            return False

    def stopped(self):
        """Names of containers that do not run."""
        try:
            found = self.glance()
        except (Refused, OSError):
            return []
        return [c["name"] for c in found.get("containers", []) if c.get("lastStatus") != "RUNNING"] if found else ["ecs-task"]

    def tend(self):
        """One that has ended is started again."""
        if not self.is_there() or not self.lock.acquire(blocking=False):
            return
        try:
            if self.glance().get("lastStatus") in (None, "STOPPED") and time.monotonic() > self.tried + AGAIN_S and self.member(self.state["cluster"]):
                self.tried = time.monotonic()
                self.start(self.state["definition"], self.state["cluster"], self.state["port"])
        except (Failed, Refused, OSError) as e:
            log(f"the task cannot be started again: {e}")
        finally:
            self.lock.release()


class Ecs(Language):
    """Of one deployment: the definition that it comes to."""
    port = 80

    def __init__(self, _settings, number):
        super().__init__({}, number)
        self.name, self.publishes, self.moved = None, False, False

    def bind(self, tasks, order, instance, root, properties):
        self.tasks, self.order, self.instance, self.root, self.properties = tasks, order, instance, root, properties

    def environment(self, _port):
        return {}

    def prepare(self):
        """All that can fail while the task of before runs on: the definition, and the images."""
        cluster, client = self.order.get("Cluster"), self.tasks.client
        containers, volumes = definition(self.root, self.properties)
        if not cluster:
            raise Failed("ECS: the environment has no cluster")
        text = json.dumps([containers, volumes], sort_keys=True)
        try:
            self.name = client.call("beanstalk-agent", "QuartetBeanstalkAgent_20261129.Define", {
                "EnvironmentId": self.tasks.environment, "InstanceId": self.instance, "Mark": hashlib.sha256(text.encode()).hexdigest(),
                "ContainerDefinitions": containers, "Volumes": volumes})["Definition"]
        except Refused as e:
            raise Failed(f"ECS task definition cannot be registered: {e.message or e.code}") from e
        self.tasks.join(cluster)
        images = ecs_image.Images(IMAGES, ENDPOINT)
        for one in containers:
            try:
                images.get(client, one["image"])
            except ecs_image.Failed as e:
                raise Failed(f"ECS task stopped due to: {e}") from e
        self.publishes = wants_port(containers)

    def place(self):
        """The bundle's files where containers find them; those of before are kept until the task runs."""
        shutil.rmtree(PREVIOUS, ignore_errors=True)
        if os.path.isdir(APP):
            os.rename(APP, PREVIOUS)
        os.rename(STAGING, APP)
        self.moved = True

    def back(self):
        if self.moved and os.path.isdir(PREVIOUS):
            shutil.rmtree(APP, ignore_errors=True)
            os.rename(PREVIOUS, APP)

    def switch(self):
        self.tasks.replace(self.name, self.order["Cluster"], self.publishes, self.back)
        shutil.rmtree(PREVIOUS, ignore_errors=True)

    def notes(self, _root):
        return [f"Starting new ECS task with {self.name.rsplit('/', 1)[1]}.", f"ECS task: {self.tasks.state.get('task')} is RUNNING."] if self.name else []
