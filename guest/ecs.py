#!/usr/bin/python3
"""Makes this instance a container instance of an ECS cluster: registers it, asks for tasks and runs them by crun.

Started when /etc/ecs/ecs.config names a cluster. Whoever is asked - ECS, the registry, logs - is asked as the instance's role or as the task's execution role, with
signed requests. A task that is running goes on when this program ends or is started again: its containers are children of a small shell each, which waits for
the exit status, and their output goes through pipes that the shell keeps open.
"""
import glob
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ecs_container  # noqa: E402
import ecs_image  # noqa: E402
import ecs_inside  # noqa: E402
import ecs_network  # noqa: E402
import ecs_stats  # noqa: E402
import ecs_variables  # noqa: E402
from ecs_client import ENDPOINT, METADATA_SERVICE, Client, Refused, RoleCredentials, log  # noqa: E402
from ecs_logs import open_journal  # noqa: E402

CONFIG = "/etc/ecs/ecs.config"
STATE = "/var/lib/ecs"
VERSION = ecs_inside.VERSION
RESERVED = ("22", "2375", "2376", "51678", "51679")
POLL_S = 20


# ---- one task

class Failed(Exception):
    """A task or container that cannot be started: the reason, as ECS shows it."""


class Task:
    """Follows what ECS wants of one task. It has a thread of its own; `wanted` and `credentials` are written by the poll."""

    def __init__(self, agent, order, state=None):
        self.agent, self.arn, self.definition = agent, order["TaskArn"], order["Definition"]
        self.id = self.arn.rsplit("/", 1)[1]
        self.group = order.get("Group", "")
        self.place = f"{STATE}/tasks/{self.id}"
        self.wanted, self.credentials, self.mark, self.gone = order["DesiredStatus"], {}, None, False
        self.key = (state or {}).get("key") or hashlib.sha256(os.urandom(32)).hexdigest()[:32]
        self.interface = order.get("Interface")
        self.inner, self.attached = None, False  # of a task with an interface of its own
        self.holder = None  # the process whose namespaces its containers share
        self.arns = order.get("ContainerArns") or []
        self.events = queue.Queue()
        self.told, self.reason, self.pull = None, None, {}
        self.connect = order.get("Connect")
        self.endpoints = threading.Condition()  # of Service Connect: they are others now
        last = len(self.definition["containerDefinitions"]) - 1
        self.containers = [ecs_container.Container(self, i, ecs_container.proxy(self.connect, d) if self.connect and i == last else d)
                           for i, d in enumerate(self.definition["containerDefinitions"])]
        self.proxy = self.containers[-1] if self.connect else None
        self.take(order)
        self.thread = threading.Thread(target=self._run, args=(state,), daemon=True)

    def take(self, order):
        self.wanted, self.mark = order["DesiredStatus"], order.get("Mark", "")
        if order.get("Connect"):
            with self.endpoints:
                self.connect = order["Connect"]
                self.endpoints.notify_all()
        for role, name in (("TaskCredentials", "task"), ("ExecutionCredentials", "execution")):
            if order.get(role):
                self.credentials[name] = order[role]

    def client(self):
        """Who pulls, logs and reads secrets: the execution role, else the instance's."""
        def credentials():
            found = self.credentials.get("execution")
            return (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]) if found else self.agent.role()
        return Client(self.agent.region, credentials)

    def save(self):
        os.makedirs(self.place, exist_ok=True)
        state = {"order": {"TaskArn": self.arn, "Definition": self.definition, "DesiredStatus": self.wanted, "Group": self.group, "Interface": self.interface,
                           "ContainerArns": self.arns, "Connect": self.connect},
                 "key": self.key, "told": self.told, "inner": self.inner, "attached": self.attached, "holder": self.holder, "pull": self.pull, "containers": [c.saved() for c in self.containers]}
        with open(f"{self.place}/state.new", "w") as f:
            json.dump(state, f)
        os.rename(f"{self.place}/state.new", f"{self.place}/state.json")

    # -- what is told

    def tell(self, status, **more):
        """Until ECS has heard it, or does not know the task any more."""
        changes = [c.change() for c in self.containers if c.status]
        while True:
            try:
                self.agent.client.ecs("SubmitTaskStateChange", cluster=self.agent.cluster, task=self.arn, status=status, containers=changes, **self.pull, **more)
                break
            except Refused as e:
                log(f"task {self.id}: {status} is not taken: {e}")
                if e.code in ("InvalidParameterException", "ClientException", "ClusterNotFoundException"):
                    break
                time.sleep(1)
            except OSError:
                time.sleep(1)
        self.told = status
        self.save()

    def tell_container(self, container):
        change = container.change()
        change.pop("imageDigest", None)
        try:
            self.agent.client.ecs("SubmitContainerStateChange", cluster=self.agent.cluster, task=self.arn, **change)
        except (Refused, OSError) as e:
            log(f"task {self.id}: container {container.name}: {e}")

    # -- its life

    def _run(self, state):
        try:
            if state:
                self.told, self.pull, self.inner, self.attached = state["told"], state["pull"], state["inner"], state["attached"]
                self.holder = state.get("holder")
                if self.inner:
                    self.agent.network.address(self.inner)
                for container, saved in zip(self.containers, state["containers"]):
                    container.adopt(saved)
            if self.wanted == "RUNNING" and not any(c.status for c in self.containers):
                self._prepare()
            self._follow()
        except (Failed, ecs_image.Failed, ecs_network.Failed, Refused, OSError, KeyError, ValueError, subprocess.SubprocessError) as e:
            self.reason = self.reason or (str(e) if isinstance(e, (Failed, ecs_image.Failed, ecs_network.Failed)) else f"CannotStartContainerError: {type(e).__name__}: {e}")
            log(f"task {self.id}: {self.reason}")
            for container in self.containers:
                container.kill()
                container.wait()
        for container in self.containers:
            container.finish()
        self.tell("STOPPED", executionStoppedAt=time.time(), **({"reason": self.reason} if self.reason else {}))
        for container in self.containers:
            container.clear()
        ecs_container.let_go(self.holder)
        self.agent.network.leave(self)
        shutil.rmtree(self.place, ignore_errors=True)
        self.agent.ended(self)

    def _attach(self):
        """A task with an interface of its own is PENDING once that is in its namespace."""
        if not self.interface:
            return
        self.agent.network.take(self)
        self.save()
        while not self.attached:
            try:
                self.agent.client.ecs("SubmitAttachmentStateChanges", cluster=self.agent.cluster,
                                      attachments=[{"attachmentArn": self.interface["AttachmentArn"], "status": "ATTACHED"}])
                self.attached = True
            except Refused as e:
                raise Failed(f"CannotStartContainerError: {e}") from e
            except OSError:
                time.sleep(1)

    def _prepare(self):
        self._attach()
        self.holder = ecs_container.hold(self)
        self.pull["pullStartedAt"] = time.time()
        self.save()
        client = self.client()
        for container in self.containers:
            container.image = ecs_image.Image("", {}, []) if container is self.proxy else self.agent.images.get(client, container.definition["image"])
        self.pull["pullStoppedAt"] = time.time()
        for container in self.containers:
            try:
                container.secrets = ecs_variables.variables(client, container.definition)
                container.journal = open_journal(client, container.definition, self.id)
            except Refused as e:
                raise Failed("CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: "
                             f"{e.code}: {e.message}") from e
            except ecs_variables.Missing as e:
                raise Failed(str(e)) from e

    def _by_name(self, name):
        found = next((c for c in self.containers if c.name == name), None)
        if not found:
            raise Failed(f"CannotStartContainerError: Error response from daemon: could not get container for {name}: No such container: {name}")
        return found

    def _may_start(self, container):
        """May it start now? Raises Failed when it never will."""
        for on in container.definition.get("dependsOn") or []:
            other, condition = self._by_name(on["containerName"]), on["condition"]
            if condition == "SUCCESS" and other.status == "STOPPED" and other.exit_code != 0:
                raise Failed(f"Container {container.name} depends on {other.name}, which has not succeeded")
            if condition == "HEALTHY" and other.status == "STOPPED":
                raise Failed(f"Container {container.name} depends on {other.name}, which has ended")
            fits = {"START": other.status in ("RUNNING", "STOPPED"), "COMPLETE": other.status == "STOPPED", "SUCCESS": other.status == "STOPPED",
                    "HEALTHY": other.health == "HEALTHY"}[condition]
            limit = other.definition.get("startTimeout")
            if not fits and limit and other.started_s and time.time() - other.started_s > limit:
                raise Failed(f"Container {container.name} depends on {other.name}, which has not come to {condition} within {limit} seconds")
            if not fits:
                return False
        return all(self._by_name(link.split(":")[0]).status for link in container.definition.get("links") or [])

    def _follow(self):
        while True:
            if self.wanted == "STOPPED" or self._over():
                break
            for container in self.containers:
                if not container.status and self._may_start(container):
                    container.start()
                    self.save()
                    if self.told == "RUNNING":
                        self.tell_container(container)
            if self.told is None and all(c.status for c in self.containers if not self._waits(c)) and any(c.status for c in self.containers):
                if all(c.status for c in self.containers):
                    self.tell("RUNNING")
                    continue
            try:
                container = self.events.get(timeout=0.5)
                if container and self.told == "RUNNING" and not self._over():
                    self.tell_container(container)
            except queue.Empty:
                pass
        self._stop()

    def _waits(self, container):
        return bool(container.definition.get("dependsOn"))

    def _over(self):
        """An essential container has ended, or all have."""
        ended = [c for c in self.containers if c.status == "STOPPED"]
        return any(c.definition.get("essential", True) for c in ended) or len(ended) == len(self.containers)

    def _stop(self):
        if self._over() and self.wanted == "RUNNING":
            self.reason = self.reason or "Essential container in task exited"
        # whoever has a proxy needs it to the end
        for some in ([c for c in self.containers if c is not self.proxy], [c for c in self.containers if c is self.proxy]):
            until = {}
            for container in some:
                if container.status == "RUNNING":
                    container.signal()
                    until[container] = time.monotonic() + container.definition.get("stopTimeout", 30)
            for container, limit in until.items():
                if not container.wait(max(0.0, limit - time.monotonic())):
                    container.kill()
                    container.wait()

    def answer_proxy(self, have):
        """Who serves what, as soon as that is not what the proxy has. Its first question says that it listens: the task's own containers wait for that."""
        if self.proxy.health != "HEALTHY":
            self.proxy.health = "HEALTHY"
            self.agent.tell_health(self, self.proxy)
            self.events.put(None)
        with self.endpoints:
            self.endpoints.wait_for(lambda: self.connect["Endpoints"].split("\n", 1)[0] != f"version {have}" or self.wanted == "STOPPED", timeout=POLL_S)
            return self.connect["Endpoints"]


# ---- the agent

class Agent:
    def __init__(self, config):
        self.config, self.cluster = config, config["ECS_CLUSTER"]
        self.role = RoleCredentials()
        identity = json.loads(METADATA_SERVICE.get("dynamic/instance-identity/document"))
        self.region, self.zone, self.instance = identity["region"], identity["availabilityZone"], identity["instanceId"]
        self.client, self.vpc = Client(self.region, self.role), ecs_inside.vpc_of_instance()
        self.images = ecs_image.Images(f"{STATE}/images", ENDPOINT)
        self.network = ecs_network.Network()
        self.tasks, self.lock, self.arn = {}, threading.Lock(), None
        self.looked_at, self.works = -60, False
        self.measure = False  # the cloud has asked what containers use

    def all(self):
        with self.lock:
            return list(self.tasks.values())

    def ended(self, task):
        with self.lock:
            self.tasks.pop(task.arn, None)

    def register(self):
        """The instance's own name in the cluster; kept, so that a boot does not make it another one."""
        place = f"{STATE}/instance.json"
        known = {}
        if os.path.exists(place):
            with open(place) as f:
                known = json.load(f)
        if known.get("cluster") != self.cluster or known.get("instance") != self.instance:
            known = {}
        with open("/proc/meminfo") as f:
            memory = int(re.search(r"MemTotal:\s+(\d+)", f.read())[1]) // 1024
        ports = [str(p) for p in json.loads(self.config.get("ECS_RESERVED_PORTS") or "[]")] or list(RESERVED)
        attributes = json.loads(self.config.get("ECS_INSTANCE_ATTRIBUTES") or "{}")
        tags = json.loads(self.config.get("ECS_CONTAINER_INSTANCE_TAGS") or "{}")
        capabilities = ("logging-driver.awslogs", "logging-driver.json-file", "ecr-auth", "task-iam-role", "privileged-container", "docker-remote-api.1.17",
                        "docker-remote-api.1.18", "docker-remote-api.1.19", "docker-remote-api.1.21", "docker-remote-api.1.24", "docker-remote-api.1.29", "docker-plugin.local")
        more = ("execution-role-ecr-pull", "execution-role-awslogs", "task-iam-role-network-host", "container-ordering", "container-health-check",
                "secrets.asm.environment-variables", "secrets.ssm.environment-variables", "secrets.ssm.bootstrap.log-driver", "env-files.s3", "task-cpu-mem-limit", "task-eni", "container-restart-policy", "pid-ipc-namespace-sharing")
        arguments = {
            "cluster": self.cluster,
            "instanceIdentityDocument": METADATA_SERVICE.get("dynamic/instance-identity/document"),
            "instanceIdentityDocumentSignature": METADATA_SERVICE.get("dynamic/instance-identity/signature"),
            "totalResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": 1024 * (os.cpu_count() or 1)},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": memory - int(self.config.get("ECS_RESERVED_MEMORY") or 0)},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ports},
                {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []}],
            "versionInfo": {"agentVersion": VERSION, "dockerVersion": ecs_container.runtime_version()},
            "attributes": [{"name": f"com.amazonaws.ecs.capability.{n}"} for n in capabilities] + [{"name": f"ecs.capability.{n}"} for n in more]
                          + [{"name": "ecs.os-type", "value": "linux"}, {"name": "ecs.cpu-architecture", "value": os.uname().machine}]
                          + [{"name": str(n), "value": str(v)} for n, v in attributes.items()],
            "tags": [{"key": str(n), "value": str(v)} for n, v in tags.items()],
        }
        if known:
            arguments["containerInstanceArn"] = known["arn"]
        while True:
            try:
                self.arn = self.client.ecs("RegisterContainerInstance", **arguments)["containerInstance"]["containerInstanceArn"]
                break
            except (Refused, OSError) as e:
                log(f"cannot register in the cluster {self.cluster}: {e}")
                arguments.pop("containerInstanceArn", None)
                time.sleep(2)
        with open(place, "w") as f:
            json.dump({"cluster": self.cluster, "instance": self.instance, "arn": self.arn}, f)
        log(f"registered as {self.arn}")

    def adopt(self):
        for path in glob.glob(f"{STATE}/tasks/*/state.json"):
            with open(path) as f:
                state = json.load(f)
            task = Task(self, state["order"], state)
            self.tasks[task.arn] = task
            task.thread.start()

    def ask(self, **more):
        return self.client.call("ecs-agent", "QuartetContainerAgent_20261128.Poll", {"Cluster": self.cluster, "ContainerInstance": self.arn, **more}, timeout=POLL_S + 40)

    def runtime(self):
        """Does it answer? Looked at anew twice a minute."""
        if time.monotonic() > self.looked_at + 30:
            self.looked_at, self.works = time.monotonic(), ecs_container.runtime_works()
        return "OK" if self.works else "IMPAIRED"

    def tell_health(self, task, container):
        """Beside the poll that waits."""
        try:
            self.ask(Health=[{"TaskArn": task.arn, "ContainerName": container.name, "Status": container.health}], WaitSeconds=0)
        except (Refused, OSError) as e:
            log(f"task {task.id}: health of {container.name}: {e}")

    def poll(self):
        with self.lock:
            known = [{"TaskArn": t.arn, "Mark": t.mark} for t in self.tasks.values() if not t.gone]
        usage = [sample.told(c) for t in self.all() for c in t.containers if (sample := ecs_stats.take(c))] if self.measure else []
        reply = self.ask(Known=known, Usage=usage, Runtime=self.runtime(), WaitSeconds=POLL_S)
        self.measure = reply.get("Measure", False)
        wanted = {order["TaskArn"]: order for order in reply.get("Tasks", [])}
        for arn, order in wanted.items():
            with self.lock:
                task = self.tasks.get(arn)
                if task is None:
                    task = self.tasks[arn] = Task(self, order)
                    task.thread.start()
                    continue
            task.take(order)
            task.events.put(None)
        for task in self.all():
            if task.arn not in wanted:
                task.gone, task.wanted = True, "STOPPED"  # ECS does not wait for it any more
                task.events.put(None)

    def leave(self):
        """The instance has been deregistered: its tasks end, and it is no container instance before it is started again."""
        os.unlink(f"{STATE}/instance.json")
        log(f"{self.arn} is not registered any more")
        for task in self.all():
            task.gone, task.wanted = True, "STOPPED"
            task.events.put(None)
        while self.all():
            time.sleep(0.2)

    def run(self):
        os.makedirs(f"{STATE}/tasks", exist_ok=True)
        self.register()
        self.network.up()
        ecs_inside.serve(ecs_inside.Inside, self, ("169.254.170.2", ecs_network.INSIDE))
        ecs_inside.serve(ecs_inside.Introspection, self, ("127.0.0.1", 51678))
        self.adopt()
        while True:
            try:
                self.poll()
            except Refused as e:
                log(f"poll: {e}")
                if e.code in ("InvalidParameterException", "ClusterNotFoundException"):
                    return self.leave()
                time.sleep(2)
            except (OSError, ValueError) as e:
                log(f"poll: {e}")
                time.sleep(1)


def read_config():
    found = {}
    try:
        with open(CONFIG) as f:
            for line in f:
                name, equals, value = line.strip().partition("=")
                if equals and not name.startswith("#"):
                    found[name.strip().removeprefix("export ")] = value.strip().strip("'\"")
    except OSError:
        pass
    return found


def main():
    config = read_config()
    if not config.get("ECS_CLUSTER"):
        log(f"{CONFIG} names no ECS_CLUSTER: this is no container instance")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Agent(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
