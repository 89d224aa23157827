"""Containers of an environment of Elastic Beanstalk: a unit of systemd each, whose process is crun.

A container's files, its namespace of networks and what crun is told are made beforehand, so that those of another version are ready before the ones that run are
touched. The specification is the one that ECS's agent makes, with an environment and names of its own.
"""
import glob
import json
import os
import shutil
import socket
import subprocess
import time
import types

import beanstalk_network as network
from beanstalk_system import Failed, need, over, run_quietly, write
from ecs_container import RUNTIME, Container
from ecs_image import Image
from ecs_network import Failed as NotStarted

UNITS = "/run/systemd/system"
PLACE, VOLUMES = "/var/lib/elasticbeanstalk/boxes", "/var/lib/elasticbeanstalk/volumes"
CRUN = " ".join([RUNTIME[0], "--root", "/run/elasticbeanstalk/crun", "--cgroup-manager=cgroupfs"])
# A first process that does not catch the signal gets nothing of it, so nobody need wait for that. {n}: the signal's number less one.
STOP = ('p=$(cat {place}/pid) && m=0x$(sed -n "s/^SigCgt:[[:space:]]*//p" /proc/$p/status 2>/dev/null) && [ $(( (m >> {n}) & 1 )) = 0 ] && kill -9 $p; true')
SIGNALS = ("HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN",
           "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS")
# The output goes through a pipe, for programs that open /dev/stdout again. Who reads it is no child of the runtime's, which would wait for it, and ends after it.
UNIT = """[Unit]
Description=Container {name}
After={after}
StartLimitIntervalSec={interval}
StartLimitBurst={burst}

[Service]
ExecStartPre=-{crun} delete --force {id}
ExecStart=/bin/sh -c '(cat < {place}/out >> {log} &); exec {crun} run --no-new-keyring --bundle {place} --pid-file {place}/pid {id} > {place}/out 2>&1'
ExecStop=/bin/sh -c '{stop}'
ExecStopPost=-{crun} delete --force {id}
KillSignal={signal}
KillMode=process
TimeoutStopSec={grace}
RemainAfterExit={remain}
Restart={restart}
RestartSec=1
"""


def number_of(signal):
    name = str(signal).removeprefix("SIG")
    if name.isdigit() and 0 < int(name) < 65:
        return int(name)
    return SIGNALS.index(name) + 1 if name in SIGNALS else 15


def check_of(said):
    """How an image wants its containers to be asked; its times are nanoseconds."""
    test = said.get("Test") or []
    argv = test[1:] if test[:1] == ["CMD"] else ["/bin/sh", "-c", *test[1:2]] if test[:1] == ["CMD-SHELL"] else None
    interval, timeout, begin = ((said.get(key) or usual * 10**9) / 10**9 for key, usual in (("Interval", 30), ("Timeout", 30), ("StartPeriod", 0)))
    return {"argv": argv, "timeout": timeout, "within": begin + (interval + timeout) * (said.get("Retries") or 3)} if argv else None


class Box(Container):
    """definition: as ECS has it, with `environment` a map, `binds`, `aliases`, `nicknames`, `log`."""

    def __init__(self, number, definition, address, boxes):
        nobody = types.SimpleNamespace(id="", place="", definition={}, containers=[], connect=None, credentials={}, holder=None)
        super().__init__(nobody, 0, definition)
        self.id, self.number, self.address, self.boxes = f"eb-{number}-{definition['name']}", number, address, boxes
        self.place = f"{PLACE}/{self.id}"

    def _hostname(self):
        return self.definition.get("hostname") or self.name

    def _environment(self):
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self._hostname()}
        found.update(line.partition("=")[::2] for line in self.image.config.get("Env") or [])
        found.update(self.definition.get("environment") or {})
        if "HOME" not in found:
            found["HOME"] = self._home()
        return [f"{name}={value}" for name, value in found.items()]

    def _home(self):
        try:
            with open(f"{self.root}/etc/passwd", encoding="utf-8", errors="replace") as f:
                entries = [line.rstrip("\n").split(":") for line in f]
        except OSError:
            return "/"
        uid = str(self._user(self.root)["uid"])
        return next((e[5] for e in entries if len(e) > 5 and e[2] == uid and e[5]), "/")

    def _names(self):
        """As its own are, with the others' of its file, by which they reach each other."""
        own = super()._names()
        with open(f"{self.place}/hosts", "a", encoding="utf-8") as f:
            for other in self.boxes:
                if other is not self:
                    f.write(f"{other.address} {' '.join(other.definition.get('aliases') or [other.name])}\n")
            for alias, name in (self.definition.get("nicknames") or {}).items():
                f.write("".join(f"{other.address} {alias}\n" for other in self.boxes if other.name == name))
        return own

    def _mounts(self, root):
        found = super()._mounts(root)
        for source, target, read_only in self.definition.get("binds") or []:
            self._fill(source, target, root)
            found.append({"destination": target, "type": "bind", "source": source, "options": ["rbind", "ro" if read_only else "rw"]})
        return found

    @staticmethod
    def _fill(source, target, root):
        """What is not there yet is made: a folder, which begins with what the image has there if it is a volume."""
        if os.path.exists(source):
            return
        os.makedirs(source)
        inner = os.path.realpath(f"{root}/{target}")
        if source.startswith(VOLUMES + "/") and inner.startswith(os.path.realpath(root) + "/") and os.path.isdir(inner):
            run_quietly("cp", "-a", f"{inner}/.", source)
            shutil.copystat(inner, source)
            os.chown(source, os.stat(inner).st_uid, os.stat(inner).st_gid)

    def prepare(self, images, tag, within):
        shutil.rmtree(self.place, ignore_errors=True)
        os.makedirs(self.place)
        write(f"{self.place}/address", self.address)
        os.mkfifo(f"{self.place}/out")
        os.chmod(f"{self.place}/out", 0o666)
        self.image, self.root = Image(tag, images.config(tag), []), images.root(self.id, tag)
        network.join(self.id, f"eb{int(self.address.rsplit('.', 2)[1]):02x}{int(self.address.rsplit('.', 1)[1]):02x}", self.address, within)
        try:
            specification = self._specification(self.root, f"/run/netns/{self.id}")
        except NotStarted as e:
            raise Failed(str(e).removeprefix("CannotStartContainerError: ").removeprefix("CannotCreateContainerError: ")) from e
        specification["linux"]["cgroupsPath"] = f"/eb/{self.id}"
        with open(f"{self.place}/config.json", "w", encoding="utf-8") as f:
            json.dump(specification, f)

    def exit_state(self):
        return dict(line.partition("=")[::2] for line in run_quietly("systemctl", "show", "--property=ActiveState,SubState,Result", f"{self.id}.service").splitlines())

    def well(self):
        """Waits until it says so, or has not for as long as it may."""
        check = self.definition.get("check")
        if check is None:
            check = check_of(self.image.config.get("Healthcheck") or {})
        if not check:
            raise Failed(f"container {self.name} has no healthcheck configured, and another one waits for it to be healthy")
        with open(f"{self.place}/config.json", encoding="utf-8") as f:
            process = {**json.load(f)["process"], "args": check["argv"]}
        write(f"{self.place}/check.json", json.dumps(process))  # the runtime alone would give it no environment
        until = time.monotonic() + check["within"]
        while True:
            try:
                if not subprocess.run([*CRUN.split(), "exec", "--process", f"{self.place}/check.json", self.id], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      timeout=check["timeout"], check=False).returncode:
                    return
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() > until or over():
                raise Failed(f"dependency failed to start: container {self.name} is unhealthy")
            time.sleep(0.2)

    def complete(self):
        while True:
            state = self.exit_state()
            if state.get("SubState") == "exited" and state.get("Result") == "success":
                return
            if state.get("ActiveState") in ("failed", "inactive") or self.definition["restart"][0] == "always" or over():
                raise Failed(f"service \"{self.name}\" didn't complete successfully")
            time.sleep(0.1)

    def wait_for_others(self):
        """For those that it depends on."""
        for name, condition in (self.definition.get("conditions") or {}).items():
            other = next(b for b in self.boxes if b.name == name)
            if condition == "service_healthy":
                other.well()
            elif condition == "service_completed_successfully":
                other.complete()

    def begin(self):
        """As a unit of systemd."""
        write(f"{UNITS}/{self.id}.service", self.unit())
        run_quietly("systemctl", "daemon-reload")
        need(f"Starting {self.name}", "systemctl", "start", f"{self.id}.service")

    def end(self):
        if os.path.exists(f"{UNITS}/{self.id}.service"):
            run_quietly("systemctl", "stop", f"{self.id}.service")
            os.unlink(f"{UNITS}/{self.id}.service")
            run_quietly("systemctl", "daemon-reload")

    def quit(self):
        """Has it ended since it began, once or for good?"""
        said = dict(line.partition("=")[::2] for line in run_quietly("systemctl", "show", "--property=ActiveState,NRestarts", f"{self.id}.service").splitlines())
        return said.get("ActiveState") not in ("active", "activating") or said.get("NRestarts", "0") != "0"

    def listens(self, port):
        try:
            socket.create_connection((self.address, port), 1).close()
            return True
        except OSError:
            return False

    def unit(self):
        policy, most = self.definition.get("restart") or ("always", 0)
        signal = self.definition.get("stopSignal") or self.image.config.get("StopSignal") or "SIGTERM"
        number = number_of(signal)
        log = self.definition["log"]
        os.makedirs(os.path.dirname(log), exist_ok=True)
        return UNIT.format(
            name=self.name, id=self.id, place=self.place, crun=CRUN, log=log, after=" ".join(f"eb-{self.number}-{other}.service" for other in self.definition.get("conditions") or {}),
            stop=STOP.format(place=self.place, n=number - 1).replace("$", "$$"), signal=number, grace=self.definition.get("stopTimeout", 10),
            interval="infinity" if most else 0, burst=most + 1 if most else 5, restart=policy, remain="yes" if policy != "always" else "no")



def name_of(unit):
    """Of whom a unit is: its process, or its container without the number of the deployment."""
    return unit.split("-", 2)[2] if os.path.isdir(f"{PLACE}/{unit}") else unit.removeprefix("eb-")


def taken():
    """Addresses of containers that are there."""
    found = set()
    for path in glob.glob(f"{PLACE}/*/address"):
        with open(path, encoding="ascii") as f:
            found.add(f.read())
    return found


def prepare(images, number, definitions, tags):
    """Those of one deployment. They take the places of the ones that are there when their units start."""
    within, boxes = network.bridge(), []
    for one in definitions:
        drop(images, f"eb-{number}-{one['name']}")
    have = taken()
    for one in definitions:
        boxes.append(Box(number, one, network.free(within, have), boxes))
        have.add(boxes[-1].address)
    for box in boxes:
        box.prepare(images, tags[box.name], within)
    return boxes


def ports(boxes):
    return [(protocol, port, box.address, at) for box in boxes for protocol, port, at in box.definition.get("ports") or []]


def drop(images, name):
    run_quietly(*CRUN.split(), "delete", "--force", name)
    network.leave(name)
    if images:
        images.drop(name)
    shutil.rmtree(f"{PLACE}/{name}", ignore_errors=True)


def drop_others(images, number):
    """Containers of other deployments, and of this one when it has come to nothing."""
    for place in glob.glob(f"{PLACE}/*"):
        if not os.path.basename(place).startswith(f"eb-{number}-"):
            drop(images, os.path.basename(place))
