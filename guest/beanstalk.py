#!/usr/bin/python3
"""Makes this instance one of an environment of Elastic Beanstalk: asks which version should run here, installs it and keeps it behind nginx.

Started when /etc/elasticbeanstalk/environment.json names an environment. Asks as the instance's role, with signed requests, and fetches bundles from S3 as the
same. What runs are units of systemd, so this program may end and start again without anybody noticing.
"""
import glob
import http.client
import json
import os
import re
import shlex
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import beanstalk_ecs  # noqa: E402
import beanstalk_extensions as extensions  # noqa: E402
import beanstalk_logs  # noqa: E402
import beanstalk_proxy as proxy  # noqa: E402
import beanstalk_worker as worker  # noqa: E402
from beanstalk_box import name_of  # noqa: E402
from beanstalk_health import Sampler  # noqa: E402
from beanstalk_hooks import run_hooks  # noqa: E402
from beanstalk_platform import PLATFORMS, Python, build, environment, port_of, processes  # noqa: E402
from beanstalk_stream import Streams  # noqa: E402
from beanstalk_system import APP, BASE, STAGING, Failed, abort, account, limit, need, over, run, run_quietly, unpack, write  # noqa: E402
from ecs_client import METADATA_SERVICE, Client, Refused, RoleCredentials, log  # noqa: E402

CONFIG = "/etc/elasticbeanstalk/environment.json"
PLACE = "/var/lib/elasticbeanstalk"
STATE = f"{PLACE}/state.json"
ENVIRONMENT = "/opt/elasticbeanstalk/deployment/env"
START_S = 60
TIMEOUT, TIMEOUT_S = ("aws:elasticbeanstalk:command", "Timeout"), 600
STATIC = "aws:elasticbeanstalk:environment:proxy:staticfiles"
UNITS = "/run/systemd/system"
UNIT = """[Unit]
Description=Process {name} of the application
StartLimitIntervalSec=0

[Service]
User=webapp
WorkingDirectory={app}
EnvironmentFile={environment}
ExecStart=/bin/bash -c {command}
Restart=always
RestartSec=1
StandardOutput=append:/var/log/{name}.stdout.log
StandardError=append:/var/log/{name}.stdout.log
"""


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`").replace("\n", "\\n") + '"'


def units():
    return sorted(os.path.basename(p) for p in glob.glob(f"{UNITS}/eb-*.service"))


def end(those):
    for unit in sorted(those):
        run("systemctl", "stop", unit)
        os.unlink(f"{UNITS}/{unit}")


def start(one, found, staged):
    """The processes of before end first. staged: another version takes the place of the one that is there."""
    env = one.env
    write(ENVIRONMENT, "".join(f"{k}={quoted(v)}\n" for k, v in env.items() if re.match(r"^[A-Za-z_][A-Za-z0-9_]*$", k) and (k, v) != ("HOME", BASE["HOME"])), 0o600)
    worker.pause()
    if not one.begun():
        end(units())
    if staged:
        one.place()
    run("chown", "-hR", "webapp:webapp", APP)
    for name, command in found:
        write(f"{UNITS}/eb-{name}.service", one.unit(name, command))
    run("systemctl", "daemon-reload")
    one.switch()
    for name, command in found:
        one.wait(command)
        need(f"Starting {name}", "systemctl", "start", f"eb-{name}.service")
    if one.proxied():
        proxy.start()
    else:
        proxy.stop()
    if one.begun():
        end(set(units()) - {f"eb-{name}.service" for name, _ in found})


def stopped():
    """Names of the application's processes that do not run."""
    found = units()
    states = run_quietly("systemctl", "is-active", *found).split() if found else []
    return [name_of(unit.removesuffix(".service")) for unit, state in zip(found, states) if state != "active"]


def ended():
    """Has a process of the application ended since it was started?"""
    found = units()
    return bool(found) and any(int(n) for n in run_quietly("systemctl", "show", "--property=NRestarts", "--value", *found).split() if n.isdigit())


def connects():
    """Does whoever is behind nginx answer at all? What it says is its own matter."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", "/", headers={"User-Agent": "ElasticBeanstalk/healthd"})
        return connection.getresponse().status not in (502, 503, 504)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def settle():
    """A deployment is over when somebody answers, or it is clear that nobody will: how long a start takes is the machine's matter."""
    until = time.monotonic() + START_S
    while not connects() and not ended() and not over() and time.monotonic() < until:
        time.sleep(0.1)


def set_link(place):
    """Where the virtual environment is of what is deployed."""
    os.makedirs(os.path.dirname(Python.link), exist_ok=True)
    if os.path.islink(Python.link):
        os.unlink(Python.link)
    if place:
        os.symlink(place, Python.link)


class Deployment:
    """What an order and the bundle together come to. What is said by operations goes before what the bundle's .ebextensions say."""

    def __init__(self, order, root, number):
        self.order, self.root = order, root
        self.extensions, _ = extensions.read(root, order["VersionLabel"])  # the service has said what is left out
        self.notes, wishes = [], extensions.options(self.extensions)
        kind = PLATFORMS[order.get("Platform") or "Python"]
        self.options = {**wishes, **{(o["Namespace"], o["Name"]): o.get("Value", "") for o in order.get("Options", [])}}
        self.platform = kind({**kind.defaults, **self.of(kind.space)}, number)
        self.properties = self.of(extensions.PROPERTIES)
        self.env, self.port = environment(self.platform, self.properties), port_of(self.platform, self.properties)
        self.static = {**self.platform.static, **self.of(STATIC)}
        self.tell()

    def of(self, namespace):
        return {name: value for (space, name), value in self.options.items() if space == namespace}

    def tell(self):
        """For get-config."""
        spaces = {space for space, _ in self.options}
        write(f"{PLACE}/settings.json", json.dumps({
            "environment": {k: v for k, v in self.env.items() if k in self.properties or k in ("PORT", "PYTHONPATH", "PATH")},
            "optionsettings": {space: self.of(space) for space in sorted(spaces)}, "container": {"environment_name": self.order.get("EnvironmentName", "")},
            "platformconfig": {"AppDeployDir": f"{APP}/", "AppStagingDir": f"{STAGING}/", "ProxyServer": "nginx"},
            "meta": {"envname": self.order.get("EnvironmentName", ""), "versionlabel": self.order["VersionLabel"]}}), 0o600)
        tool = "/opt/elasticbeanstalk/bin/get-config"
        os.makedirs(os.path.dirname(tool), exist_ok=True)
        if not os.path.lexists(tool):
            os.symlink("/usr/lib/quartet/beanstalk_get_config.py", tool)

    def stage(self):
        proxy.prepare(self.platform, self.port, self.static, APP, self.root)
        proxy.check()

    @staticmethod
    def proxied():
        return True

    @staticmethod
    def unit(name, command):
        return UNIT.format(name=name, app=APP, environment=ENVIRONMENT, command=shlex.quote("exec " + command).replace("%", "%%").replace("$", "$$"))

    @staticmethod
    def place():
        """The bundle, from where it was made ready to where it runs."""
        shutil.rmtree(APP, ignore_errors=True)
        os.rename(STAGING, APP)

    @staticmethod
    def begun():
        """Does what is new run already, beside what was?"""
        return False

    @staticmethod
    def wait(command):
        """For what it depends on."""

    def switch(self):
        """The bundle is in its place; ports and what else processes find outside of it are those of what is new from here on."""
        self.platform.furnish(APP, self.port, self.properties)

    def settled(self):
        """What is new runs."""

    def undone(self):
        """It will not run."""

    def found(self):
        """What shall run. Nothing that runs has been touched so far."""
        proxy.check()
        if self.order.get("Queue"):
            worker.tasks(self.root)
        found, note = processes(self.platform, self.root)
        self.notes += [*self.platform.notes(self.root), *([note] if note else [])]
        return found

    def version(self):
        """Another one, as it lies in staging."""
        extensions.apply(self.extensions)
        run_hooks(self.root, "hooks", "prebuild", self.env)
        if isinstance(self.platform, Python):
            set_link(self.platform.place)
        self.platform.install(self.env)
        build(self.root, self.env)
        extensions.container_commands(self.extensions, self.env, self.root, self.order.get("Leader", False))
        self.stage()
        run_hooks(self.root, "hooks", "predeploy", self.env)
        return self.found()

    def settings(self, quiet):
        """Others of the version that is there; quiet: the same, once more."""
        if not quiet:
            run_hooks(self.root, "confighooks", "prebuild", self.env)
        self.stage()
        if not quiet:
            run_hooks(self.root, "confighooks", "predeploy", self.env)
        return self.found()


class Containers(Deployment):
    """They are made beside those that run, and come in their place."""

    def __init__(self, order, root, number, client):
        super().__init__(order, root, number)
        self.platform.bind(client, order["Deployment"], root, APP, self.properties)

    def proxied(self):
        return self.platform.proxied()

    def stage(self):
        self.platform.prepare()
        if self.proxied():
            proxy.prepare(self.platform, self.port, self.static, APP, self.root)
            proxy.check()

    def found(self):
        if self.order.get("Queue"):
            worker.tasks(self.root)
        if self.proxied():
            proxy.check()
            self.platform.try_out()
        return [(box.id.removeprefix("eb-"), box) for box in self.platform.boxes]

    def unit(self, _name, box):
        return box.unit()

    def begun(self):
        return self.platform.begun

    @staticmethod
    def wait(box):
        box.wait_for_others()

    def switch(self):
        self.platform.publish()

    def settled(self):
        self.platform.settled()

    def undone(self):
        self.platform.undone()


class Tasks(Deployment):
    """A task of ECS in the place of the one that runs."""

    def __init__(self, order, root, number, tasks, instance):
        super().__init__(order, root, number)
        self.platform.bind(tasks, order, instance, root, self.properties)

    @staticmethod
    def proxied():
        return False

    def stage(self):
        self.platform.prepare()

    def place(self):
        self.platform.place()

    def found(self):
        if self.order.get("Queue"):
            worker.tasks(self.root)
        return []

    def switch(self):
        self.platform.switch()

    def settled(self):
        self.notes += self.platform.notes(APP)


class Agent:
    def __init__(self):
        with open(CONFIG, encoding="utf-8") as f:
            self.config = json.load(f)
        self.client = Client(self.config["region"], RoleCredentials())
        self.instance, self.zone, self.type = (METADATA_SERVICE.get(f"meta-data/{what}").strip() for what in ("instance-id", "placement/availability-zone", "instance-type"))
        self.sampler, self.logs, self.work, self.number = Sampler(), {}, None, 0
        self.streams = Streams(self.client, self.instance)
        self.tasks = beanstalk_ecs.Tasks(self.client, self.config["environment"])
        try:
            with open(STATE, encoding="utf-8") as f:
                self.state = json.load(f)
        except (OSError, ValueError):
            self.state = {"done": 0}

    def save(self):
        write(f"{STATE}.new", json.dumps(self.state), 0o600)
        os.rename(f"{STATE}.new", STATE)

    def health(self):
        sample = self.sampler.sample()
        if not sample or not self.state["done"]:
            return {}
        return {"Health": {**sample, "Zone": self.zone, "Type": self.type, "Launched": int(os.stat("/proc/1").st_ctime), "Deployed": self.state.get("at", 0),
                           "Stopped": [] if self.work else self.tasks.stopped() if self.tasks.is_there() else stopped()}}

    def report(self):
        return self.client.call("beanstalk-agent", "QuartetBeanstalkAgent_20261129.Report", {
            "EnvironmentId": self.config["environment"], "InstanceId": self.instance, "Done": self.state["done"], "Failure": self.state.get("failure", ""),
            "Notes": self.state.get("notes", []), "Answers": bool(self.state["done"]) and (self.tasks.runs() if self.tasks.is_there() else connects()), **self.health(), **self.logs})

    def pull(self, order):
        """Puts its logs where it is told to. What fails is tried again as long as they are wanted."""
        data, count = beanstalk_logs.collect(order["LogsType"])
        self.client.put(order["LogsBucket"], order["LogsKey"], data)
        self.logs = {"LogsDone": order["LogsNumber"], "LogsKey": order["LogsKey"], "LogsCount": count}

    def fetch(self, order):
        try:
            unpack(self.client.object(order["Bucket"], order["Key"]), STAGING)
        except Refused as e:
            raise Failed(f"the source bundle cannot be fetched: {e}") from e

    def deploy(self, order):
        number, label = order["Deployment"], order["VersionLabel"]
        self.number = number
        log(f"deployment {number}: version {label}")
        limit(next((int(o["Value"]) for o in order.get("Options", []) if (o["Namespace"], o["Name"]) == TIMEOUT), TIMEOUT_S))
        try:
            account("webapp", "--create-home", "--shell", "/bin/bash")
            if label == self.state.get("label"):
                notes = self.configure(order)
            else:
                notes = self.install(order)
            if not self.tasks.is_there():
                settle()
            self.state = {"done": number, "notes": notes, "label": label, "number": self.state["number"], "at": int(time.time())}
        except Failed as e:
            log(str(e))
            self.undone(number, str(e))
        except Exception as e:  # what nobody thought of shall not keep the environment waiting
            log(f"deployment {number}: {e!r}")
            self.undone(number, f"the agent has failed: {e!r}")
            raise
        finally:
            limit(None)
            if units() or self.tasks.is_there():
                worker.start(order.get("Queue"), self.config["region"], {o["Name"]: o.get("Value", "") for o in order.get("Options", []) if o["Namespace"] == worker.SQSD})
            self.save()

    def undone(self, number, why):
        if os.path.islink(Python.link):
            set_link(f"{Python.venvs}/{self.state['number']}" if self.state.get("number") else None)
        self.state = {**self.state, "done": number, "failure": why, "notes": []}

    def deployment(self, order, root, number):
        if order.get("Platform") == "ECS":
            return Tasks(order, root, number, self.tasks, self.instance)
        return Containers(order, root, number, self.client) if order.get("Platform") == "Docker" else Deployment(order, root, number)

    @staticmethod
    def prepared(one, what, *args):
        """What shall run, or nothing of it is left."""
        try:
            return what(*args)
        except BaseException:
            one.undone()
            raise

    def install(self, order):
        self.fetch(order)
        one = self.deployment(order, STAGING, order["Deployment"])
        found = self.prepared(one, one.version)
        # from here on there is no way back to the one before
        self.state.pop("label", None)
        self.state["number"] = order["Deployment"]
        self.save()
        start(one, found, True)
        one.settled()
        run_hooks(APP, "hooks", "postdeploy", one.env)
        for other in glob.glob(f"{Python.venvs}/*"):
            if os.path.basename(other) != str(order["Deployment"]):
                shutil.rmtree(other, ignore_errors=True)
        return one.notes

    def configure(self, order):
        one = self.deployment(order, APP, self.state["number"])
        quiet = order.get("Restart", False)
        found = self.prepared(one, one.settings, quiet)
        start(one, found, False)
        one.settled()
        if not quiet:
            run_hooks(APP, "confighooks", "postdeploy", one.env)
        return one.notes

    def serve(self):
        booted = bool(self.state.get("label")) and not units() and not self.tasks.is_there()  # units do not outlive a boot
        while True:
            try:
                order = self.report()
                if order.get("Queue"):
                    worker.lead(order.get("Schedules", True))
                self.streams.wish(order)
                if not self.work:
                    self.tasks.tend()
                if self.work and not self.work.is_alive():
                    self.work = None
                    continue
                if self.work and order.get("Deployment", 0) > self.number:  # something else shall be there instead
                    abort()
                if not self.work and (order.get("Deployment", 0) > self.state["done"] or (booted and order.get("Deployment"))):
                    order["Restart"] = order.get("Restart", False) or (booted and order["Deployment"] == self.state["done"])
                    booted = False
                    self.work = threading.Thread(target=self.deploy, args=(order,), daemon=True)
                    self.work.start()
                    self.work.join(1)
                    continue
                if order.get("LogsNumber", 0) > self.logs.get("LogsDone", 0):
                    self.pull(order)
                    continue
            except (OSError, Refused) as e:
                log(f"cannot report: {e}")
            time.sleep(1)


if __name__ == "__main__":
    Agent().serve()
