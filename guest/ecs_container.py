"""One container: its files (overlayfs), its process (crun), its output."""
import json
import os
import re
import select
import shutil
import socket
import stat
import subprocess
import threading
import time

import ecs_exec
from ecs_client import Refused
from ecs_image import Image
from ecs_logs import open_journal
from ecs_network import Failed, run

ENDPOINT = "http://169.254.169.254:4566"
RUNTIME = ["crun", "--root", "/run/ecs/crun"]
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",
                "AUDIT_WRITE")
ALL_CAPABILITIES = CAPABILITIES + (
    "AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN",
    "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM")
MASKED = ("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
          "/sys/firmware")
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
LINE_MOST = 16384
VOLUMES = "/var/lib/ecs/volumes"  # of Docker's, that tasks share
RESTART_PERIOD_S = 300
INIT = "/usr/bin/tini-static"
DEVICES = ("console", "full", "null", "ptmx", "random", "tty", "urandom", "zero")  # that every container has of its own
LOG_MOST = 64 << 20  # of a json-file without options


def runtime_version():
    try:
        return "crun " + run(*RUNTIME, "--version").split()[2]
    except (Failed, OSError, IndexError):
        return "crun"


def runtime_works():
    try:
        return subprocess.run([*RUNTIME, "list", "-q"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


# ---- namespaces that the containers of a task share

def hold(task):
    """The process that keeps them and reaps what nobody else does; None: there are none."""
    kinds = [f"--{kind}" for kind in ("pid", "ipc") if task.definition.get(f"{kind}Mode") == "task"]
    if not kinds:
        return None
    outer = subprocess.Popen(["unshare", "--fork", *kinds, INIT, "-s", "--", "sleep", "infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with open(f"/proc/{outer.pid}/task/{outer.pid}/children") as f:
            children = f.read().split()
        if children and os.readlink(f"/proc/{children[0]}/exe") == INIT:
            return int(children[0])
        time.sleep(0.01)
    outer.kill()
    raise Failed("CannotStartContainerError: the namespaces of the task cannot be made")


def let_go(holder):
    """Who holds them ends, and with it all that is in them."""
    try:
        if holder and os.readlink(f"/proc/{holder}/exe") == INIT:
            os.kill(holder, 9)
    except OSError:
        pass


# ---- the proxy of Service Connect

def proxy(connect, definition):
    """As a container: this instance's own HAProxy as nobody, in a root file system with nothing else in it."""
    start = ('printf %s "$PROGRAM" >/tmp/feed.lua; printf %s "$CONFIG" >/tmp/haproxy.cfg; printf %s "$RULES" | nft -f - || exit 1; '
             "unset PROGRAM CONFIG RULES; exec /usr/lib/quartet/haproxy -db -f /tmp/haproxy.cfg")
    return {**definition, "user": "0", "command": ["/bin/sh", "-c", start], "readonlyRootFilesystem": True, "dockerSecurityOptions": ["no-new-privileges"],
            "environment": [{"name": n.upper(), "value": connect[n]} for n in ("Program", "Config", "Rules")], "bare": True, "stopTimeout": 0,
            "linuxParameters": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_BIND_SERVICE", "SETUID", "SETGID"]},
                                "tmpfs": [{"containerPath": "/tmp", "size": 1, "mountOptions": ["mode=1777", "noexec"]}]}}


# ---- one container

class Container:
    def __init__(self, task, index, definition):
        self.task, self.index, self.definition, self.name = task, index, definition, definition["name"]
        self.id = f"{task.id}-{index:010}"
        self.mode = "none" if definition.get("disableNetworking") else task.definition.get("networkMode") or "bridge"
        self.place = f"{task.place}/{index}"
        self.image, self.journal, self.secrets = None, None, {}
        self.status = self.exit_code = self.reason = self.address = None
        self.health, self.health_s, self.bindings, self.started_s, self.ended_s = "UNKNOWN", None, [], None, None
        self.restarts, self.stopping = 0, False
        self.sampled = self.sampled_before = None  # what it used, by ecs_stats
        self.ended = threading.Event()

    def saved(self):
        return {"status": self.status, "address": self.address, "bindings": self.bindings, "image": self.image.saved() if self.image else None, "started": self.started_s, "restarts": self.restarts}

    def change(self):
        found = {"containerName": self.name, "status": self.status, "runtimeId": self.id, "networkBindings": self.bindings}
        if self.image:
            found["imageDigest"] = self.image.digest
        if self.exit_code is not None:
            found["exitCode"] = self.exit_code
        if self.reason:
            found["reason"] = self.reason
        return found

    # -- files

    def _mount_root(self):
        root = f"{self.place}/root"
        for name in ("root", "upper", "work"):
            os.makedirs(f"{self.place}/{name}", exist_ok=True)
        os.chmod(f"{self.place}/upper", 0o755)
        if self.definition.get("bare"):
            for name in ("bin", "sbin", "lib", "lib64"):
                if not os.path.lexists(f"{root}/{name}"):
                    os.symlink(f"usr/{name}", f"{root}/{name}")
            return root
        layers = ":".join(reversed(self.image.layers))
        run("mount", "-t", "overlay", "overlay", "-o", f"userxattr,lowerdir={layers},upperdir={self.place}/upper,workdir={self.place}/work", root)
        return root

    def _mounts(self, root):
        volumes = {v["name"]: v for v in self.task.definition.get("volumes") or []}
        points = [(m, m.get("readOnly")) for m in self.definition.get("mountPoints") or []]
        for other in self.definition.get("volumesFrom") or []:
            source = next(c for c in self.task.containers if c.name == other["sourceContainer"])
            points += [(m, m.get("readOnly") or other.get("readOnly")) for m in source.definition.get("mountPoints") or []]
        found = []
        for point, read_only in points:
            source = self._source(volumes[point["sourceVolume"]], f"{root}/{point['containerPath']}", os.path.realpath(root))
            found.append({"destination": point["containerPath"], "type": "bind", "source": source, "options": ["rbind", "ro" if read_only else "rw"]})
        if self.definition.get("bare"):
            found.append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro", "nosuid", "nodev"]})
        parameters = self.definition.get("linuxParameters") or {}
        if parameters.get("initProcessEnabled"):
            found.append({"destination": "/dev/init", "type": "bind", "source": INIT, "options": ["bind", "ro", "nosuid", "nodev"]})
        for device in parameters.get("devices") or []:
            if not os.path.exists(device["hostPath"]):
                raise Failed(f"CannotStartContainerError: Error response from daemon: error gathering device information while adding custom device \"{device['hostPath']}\": no such file or directory")
            read_only = not {"write", "mknod"} & set(device.get("permissions") or ["write"])
            found.append({"destination": device.get("containerPath") or device["hostPath"], "type": "bind", "source": device["hostPath"],
                          "options": ["bind", "nosuid", "noexec", "ro" if read_only else "rw"]})
        for name in sorted(os.listdir("/dev")) if self.definition.get("privileged") else []:
            if name not in DEVICES and stat.S_IFMT(os.lstat(f"/dev/{name}").st_mode) in (stat.S_IFCHR, stat.S_IFBLK):
                found.append({"destination": f"/dev/{name}", "type": "bind", "source": f"/dev/{name}", "options": ["bind", "rw"]})
        for t in parameters.get("tmpfs") or []:
            found.append({"destination": t["containerPath"], "type": "tmpfs", "source": "tmpfs", "options": [*(t.get("mountOptions") or []), f"size={t['size']}m"]})
        return found

    def _source(self, volume, inner, root):
        """The directory that a volume is. One of Docker's starts with what the image has at its place, as Docker does it."""
        docker = volume.get("dockerVolumeConfiguration")
        source = (volume.get("host") or {}).get("sourcePath") or f"{self.task.place}/volumes/{volume['name']}"
        if docker and docker.get("scope") == "shared":
            source = f"{VOLUMES}/{volume['name']}"
        if os.path.exists(source):
            return source
        if docker and docker.get("scope") == "shared" and not docker.get("autoprovision"):
            raise Failed(f"CannotCreateVolumeError: Error response from daemon: get {volume['name']}: no such volume")
        os.makedirs(source)
        inner = os.path.realpath(inner)
        if docker and inner.startswith(root + "/") and os.path.isdir(inner):
            run("cp", "-a", f"{inner}/.", source)
            shutil.copystat(inner, source)
        return source

    def _user(self, root):
        """Numbers of what an image or definition calls its user: NAME, NAME:GROUP, numbers."""
        text = self.definition.get("user") or self.image.config.get("User") or "0"
        user, _, group = text.partition(":")

        def look(name, word, fields):
            try:
                with open(f"{root}/etc/{name}", errors="replace") as f:
                    for line in f:
                        parts = line.rstrip("\n").split(":")
                        if len(parts) > max(fields) and word in (parts[0], parts[2]):
                            return [int(parts[i]) for i in fields]
            except (OSError, ValueError):
                pass
            return None
        entry = look("passwd", user, (2, 3)) or ([int(user), 0] if user.isdigit() else None)
        if not entry:
            raise Failed(f"CannotStartContainerError: unable to find user {user}: no matching entries in passwd file")
        if group:
            found = look("group", group, (2,)) or ([int(group)] if group.isdigit() else None)
            if not found:
                raise Failed(f"CannotStartContainerError: unable to find group {group}: no matching entries in group file")
            entry[1] = found[0]
        return {"uid": entry[0], "gid": entry[1], "umask": 0o022}

    def _environment(self):
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self._hostname(), "AWS_ENDPOINT_URL": ENDPOINT}
        for line in self.image.config.get("Env") or []:
            name, _, value = line.partition("=")
            found[name] = value
        found.update(self.secrets)
        found.update({"AWS_EXECUTION_ENV": "AWS_ECS_EC2", "AWS_REGION": self.task.agent.region,
                      "ECS_CONTAINER_METADATA_URI": f"http://169.254.170.2/v3/{self.task.key}-{self.index}",
                      "ECS_CONTAINER_METADATA_URI_V4": f"http://169.254.170.2/v4/{self.task.key}-{self.index}",
                      "ECS_AGENT_URI": f"http://169.254.170.2/api/{self.task.key}-{self.index}"})
        if self.task.credentials.get("task"):
            found["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = f"/v2/credentials/{self.task.key}"
        return [f"{name}={value}" for name, value in found.items()]

    def _hostname(self):
        return self.definition.get("hostname") or (socket.gethostname() if self.mode == "host" else self.id[:12])

    def _arguments(self):
        d, config = self.definition, self.image.config
        entry = d.get("entryPoint") or config.get("Entrypoint") or []
        command = d.get("command") or ([] if d.get("entryPoint") else config.get("Cmd") or [])
        if not entry + command:
            raise Failed(f"CannotCreateContainerError: no command specified for container '{self.name}'")
        first = ["/dev/init", "--"] if (self.definition.get("linuxParameters") or {}).get("initProcessEnabled") else []
        return first + entry + command

    def _names(self):
        """What the container's /etc/hosts, hostname and resolv.conf say."""
        hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
        if self.address:
            hosts += f"{self.address} {self._hostname()}\n"
        hosts += "".join(f"{h['ipAddress']} {h['hostname']}\n" for h in self.definition.get("extraHosts") or [])
        hosts += "".join(f"{line}\n" for line in (self.task.connect or {}).get("Hosts") or [])
        for link in self.definition.get("links") or []:
            name, _, alias = link.partition(":")
            other = next(c for c in self.task.containers if c.name == name)
            hosts += f"{other.address} {alias or name} {name}\n"
        if self.mode == "awsvpc":
            resolver = f"nameserver {self.task.interface['Resolver']}\n"
        else:
            with open("/etc/resolv.conf") as f:
                resolver = f.read()
        if self.definition.get("dnsServers"):
            resolver = "".join(f"nameserver {s}\n" for s in self.definition["dnsServers"])
        if self.definition.get("dnsSearchDomains"):
            resolver += f"search {' '.join(self.definition['dnsSearchDomains'])}\n"
        for name, text in (("hosts", hosts), ("hostname", self._hostname() + "\n"), ("resolv.conf", resolver)):
            with open(f"{self.place}/{name}", "w") as f:
                f.write(text)
        return [{"destination": f"/etc/{name}", "type": "bind", "source": f"{self.place}/{name}", "options": ["rbind", "rw"]} for name in ("hosts", "hostname", "resolv.conf")]

    def _specification(self, root, network):
        d = self.definition
        privileged, parameters = d.get("privileged"), d.get("linuxParameters") or {}
        asked = parameters.get("capabilities") or {}
        capabilities = set(ALL_CAPABILITIES if privileged or "ALL" in (asked.get("add") or []) else CAPABILITIES) | set(asked.get("add") or [])
        capabilities -= set(ALL_CAPABILITIES if "ALL" in (asked.get("drop") or []) else asked.get("drop") or [])
        if "ALL" in (asked.get("drop") or []):
            capabilities |= set(asked.get("add") or [])
        names = sorted(f"CAP_{c}" for c in capabilities - {"ALL"})
        namespaces = [{"type": t} for t in ("mount", "cgroup")]
        for kind, mode in (("pid", self.task.definition.get("pidMode")), ("ipc", self.task.definition.get("ipcMode"))):
            if mode == "task":
                namespaces.append({"type": kind, "path": f"/proc/{self.task.holder}/ns/{kind}"})
            elif mode != "host":
                namespaces.append({"type": kind})
        if self.mode != "host":
            namespaces += [{"type": "network", "path": network}, {"type": "uts"}]
        specification = {
            "ociVersion": "1.0.0",
            "process": {
                "terminal": False, "user": self._user(root), "args": self._arguments(), "env": self._environment(),
                "cwd": d.get("workingDirectory") or self.image.config.get("WorkingDir") or "/", "noNewPrivileges": "no-new-privileges" in (d.get("dockerSecurityOptions") or []),
                "capabilities": {kind: names for kind in ("bounding", "effective", "permitted")},
                "rlimits": [{"type": f"RLIMIT_{u['name'].upper()}", "soft": u["softLimit"], "hard": u["hardLimit"]} for u in d.get("ulimits") or []]},
            "root": {"path": root, "readonly": bool(d.get("readonlyRootFilesystem"))},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                 "options": ["nosuid", "noexec", "nodev", "mode=1777", f"size={parameters.get('sharedMemorySize', 64)}m"]},
                {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev"] + ([] if privileged else ["ro"])},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime"] + ([] if privileged else ["ro"])},
                *self._names(), *self._mounts(root)],
            "linux": {"namespaces": namespaces, "cgroupsPath": f"/ecs/{self.id}", "resources": self._resources(),
                      "sysctl": {s["namespace"]: s["value"] for s in d.get("systemControls") or []},
                      "maskedPaths": [] if privileged else list(MASKED), "readonlyPaths": [] if privileged else list(READ_ONLY)},
        }
        if self.mode != "host":
            specification["hostname"] = self._hostname()
        elif privileged is None or not privileged:
            # sysfs of the instance's network belongs to its namespace: mounting it anew is the kernel's to refuse
            specification["mounts"] = [m if m["destination"] != "/sys" else {"destination": "/sys", "type": "bind", "source": "/sys",
                                                                             "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]} for m in specification["mounts"]]
        return specification

    def _resources(self):
        """Limits, as far as this instance's kernel offers them."""
        d = self.definition
        try:
            with open("/sys/fs/cgroup/cgroup.controllers") as f:
                offered = f.read().split()
        except OSError:
            offered = []
        found = {"devices": self._device_rules()}
        if "memory" in offered:
            memory = {}
            if d.get("memory"):
                memory["limit"] = d["memory"] << 20
                memory["swap"] = memory["limit"] + ((d.get("linuxParameters") or {}).get("maxSwap", 0) << 20)
            if d.get("memoryReservation"):
                memory["reservation"] = d["memoryReservation"] << 20
            found["memory"] = memory
        if "cpu" in offered:
            found["cpu"] = {"shares": max(2, d.get("cpu") or 2)}
        if "pids" in offered:
            found["pids"] = {"limit": 32768}
        return found

    def _device_rules(self):
        """Who may make device nodes gets nothing by them but what the definition lists; the runtime adds what every container has."""
        if self.definition.get("privileged"):
            return [{"allow": True, "access": "rwm"}]
        rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "access": "m"}, {"allow": True, "type": "b", "access": "m"}]
        for device in (self.definition.get("linuxParameters") or {}).get("devices") or []:
            found = os.stat(device["hostPath"])
            access = "".join(p[0] for p in device.get("permissions") or ("read", "write", "mknod"))
            rules.append({"allow": True, "type": "b" if stat.S_ISBLK(found.st_mode) else "c", "major": os.major(found.st_rdev), "minor": os.minor(found.st_rdev),
                          "access": access})
        return rules

    # -- its life

    def start(self):
        network = self.task.agent.network
        os.makedirs(self.place, exist_ok=True)
        if self.mode == "bridge":
            self.address = network.address()
        elif self.mode == "awsvpc":
            self.address = self.task.interface["Address"].split("/")[0]
        namespace = network.join(self) if self.mode != "host" else None
        for p in self.definition.get("portMappings") or []:
            protocol, inner = p.get("protocol") or "tcp", p["containerPort"]
            if self.mode == "bridge":
                port = network.publish(protocol, p.get("hostPort") or 0, self.address, inner)
            else:
                port = inner
            if self.mode in ("bridge", "host"):
                self.bindings.append({"bindIP": "0.0.0.0", "containerPort": inner, "hostPort": port, "protocol": protocol})
        root = self._mount_root()
        with open(f"{self.place}/config.json", "w") as f:
            json.dump(self._specification(root, namespace), f)
        for name in ("out", "err", "in"):
            if not os.path.exists(f"{self.place}/{name}"):
                os.mkfifo(f"{self.place}/{name}")
                os.chmod(f"{self.place}/{name}", 0o666)
        self._listen()
        self._launch()
        if not os.path.exists(f"{self.place}/pid"):
            self._watch(0)
            self.status, self.exit_code = "STOPPED", None
            self.reason = f"CannotStartContainerError: {self._said() or 'the runtime did not start it'}"
            raise Failed(self.reason)
        self.status, self.started_s = "RUNNING", time.time()
        threading.Thread(target=self._watch, args=(None,), daemon=True).start()
        if self.definition.get("healthCheck"):
            threading.Thread(target=self._check, daemon=True).start()

    def _said(self):
        with open(f"{self.place}/said", "rb") as f:
            return f.read().decode(errors="replace").strip()[-200:]

    def _launch(self):
        """Starts the runtime, and waits until it has started the container or has ended."""
        # The shell outlives this program, holds the pipes open, and leaves the status where it is found again.
        first, stdin = ("exec 3<>out 4<>err 5<>in", "<&5") if self.definition.get("interactive") else ("exec 3<>out 4<>err", "</dev/null")
        script = f'{first}; "$@" run --no-new-keyring --bundle . --pid-file pid "$ID" {stdin} >out 2>err; echo $? >exit.new; mv exit.new exit'
        subprocess.Popen(["/bin/sh", "-c", script, "sh", *RUNTIME, "--cgroup-manager=cgroupfs"], cwd=self.place, env={"ID": self.id, "PATH": os.environ["PATH"]},
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 60
        while not os.path.exists(f"{self.place}/pid") and not os.path.exists(f"{self.place}/exit") and time.monotonic() < until:
            time.sleep(0.01)

    def restart_policy(self):
        policy = self.definition.get("restartPolicy") or {}
        return policy if policy.get("enabled") else None

    def _again(self):
        """It has ended: is it started again, with its files as it left them?"""
        policy = self.restart_policy()
        if not policy or self.stopping or self.task.wanted != "RUNNING" or not self.started_s:
            return False
        with open(f"{self.place}/exit") as f:
            code = int(f.read() or 0)
        if code in (policy.get("ignoredExitCodes") or []) or time.time() - self.started_s < policy.get("restartAttemptPeriod", RESTART_PERIOD_S):
            return False
        subprocess.run([*RUNTIME, "delete", "--force", self.id], capture_output=True, check=False)
        for name in ("pid", "exit"):
            if os.path.exists(f"{self.place}/{name}"):
                os.unlink(f"{self.place}/{name}")
        self._launch()
        if not os.path.exists(f"{self.place}/pid"):
            return False
        self.restarts, self.started_s = self.restarts + 1, time.time()
        if self.stopping or self.task.wanted != "RUNNING":
            self.kill()
        self.task.events.put(None)
        return True

    def adopt(self, saved):
        """It was started before this program was."""
        self.status, self.address, self.bindings, self.started_s = saved["status"], saved["address"], saved["bindings"], saved["started"]
        self.restarts = saved.get("restarts", 0)
        self.image = Image(**saved["image"]) if saved["image"] else None
        if not self.status:
            return
        network = self.task.agent.network
        if self.address and self.mode == "bridge":
            network.address(self.address)
        if self.mode == "bridge":
            for b in self.bindings:
                network.publish(b["protocol"], b["hostPort"], self.address, b["containerPort"])
        try:
            self.journal = open_journal(self.task.client(), self.definition, self.task.id)
        except (Refused, OSError):
            pass
        if not os.path.exists(f"{self.place}/exit") and not alive(f"{self.place}/pid"):
            with open(f"{self.place}/exit", "w") as f:  # the instance has been started again meanwhile
                f.write("137\n")
        self._listen()
        threading.Thread(target=self._watch, args=(None,), daemon=True).start()

    def _listen(self):
        self.over = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        """The two pipes, line by line, to the log that the definition names. Until the shell is gone and nothing is left in them."""
        options = ((self.definition.get("logConfiguration") or {}).get("options") or {})
        pipes = {os.open(f"{self.place}/{name}", os.O_RDONLY | os.O_NONBLOCK): name for name in ("out", "err")}
        rest = dict.fromkeys(pipes, b"")
        with open(f"{self.place}/said", "ab") as said:
            while True:
                over = self.over.is_set()
                ready, _, _ = select.select(list(pipes), [], [], 0.1)
                more = False
                for fd in ready:
                    try:
                        piece = os.read(fd, 65536)
                    except BlockingIOError:
                        continue
                    more = more or bool(piece)
                    if piece and not self.started_s and said.tell() < 65536:
                        said.write(piece)
                        said.flush()
                    *lines, rest[fd] = (rest[fd] + piece).split(b"\n")
                    while len(rest[fd]) > LINE_MOST:
                        lines.append(rest[fd][:LINE_MOST])
                        rest[fd] = rest[fd][LINE_MOST:]
                    for line in lines:
                        self._line(line, pipes[fd], options)
                if not more:
                    if over:
                        break
                    if ready:
                        time.sleep(0.05)  # nobody has opened the other end yet
        for fd, name in pipes.items():
            if rest[fd]:
                self._line(rest[fd], name, options)
            os.close(fd)

    def _line(self, line, name, options):
        text = line.decode(errors="replace").rstrip("\r")
        if self.journal:
            self.journal.line(int(time.time() * 1000), text)
            return
        # as Docker writes it, so that what people have reads it
        path = f"{self.place}/{self.id}-json.log"
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09}Z"
        with open(path, "a") as f:
            f.write(json.dumps({"log": text + "\n", "stream": "stdout" if name == "out" else "stderr", "time": stamp}, ensure_ascii=False) + "\n")
            size = f.tell()
        most, files = size_of(options.get("max-size")) or LOG_MOST, int(options.get("max-file") or 1)
        if size > most:
            for i in range(files - 1, 0, -1):
                older = path if i == 1 else f"{path}.{i - 1}"
                if os.path.exists(older):
                    os.rename(older, f"{path}.{i}")
            if files == 1:
                os.truncate(path, 0)

    def _watch(self, limit):
        until = None if limit is None else time.monotonic() + limit
        while True:
            while not os.path.exists(f"{self.place}/exit") and (until is None or time.monotonic() < until):
                time.sleep(0.05)
            if limit is not None or not self._again():
                break
        self.over.set()
        self.reader.join(10)
        if self.journal:
            self.journal.close()
        if limit is None:
            with open(f"{self.place}/exit") as f:
                self.exit_code = int(f.read() or 0)
            if self.exit_code == 137 and self._out_of_memory():
                self.reason = "OutOfMemoryError: Container killed due to memory usage"
            self.status, self.ended_s = "STOPPED", time.time()
            self.finish()
        self.ended.set()
        self.task.events.put(self)

    def _out_of_memory(self):
        try:
            with open(f"/sys/fs/cgroup/ecs/{self.id}/memory.events") as f:
                return int(re.search(r"oom_kill (\d+)", f.read())[1]) > 0
        except (OSError, TypeError):
            return False

    def _check(self):
        """The definition's health check, as Docker does it."""
        check = self.definition["healthCheck"]
        command = check["command"]
        argv = ["/bin/sh", "-c", *command[1:]] if command[0] == "CMD-SHELL" else command[1:]
        if command[0] == "NONE":
            return
        begun, failed = time.monotonic(), 0
        while not self.ended.wait(check.get("interval", 30)):
            words, process = ecs_exec.words(self.id, argv)
            try:
                good = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(process,),
                                      timeout=check.get("timeout", 5), check=False).returncode == 0
            except subprocess.TimeoutExpired:
                good = False
            finally:
                os.close(process)
            before = self.health
            if good:
                failed, self.health = 0, "HEALTHY"
            elif time.monotonic() - begun > check.get("startPeriod", 0):
                failed += 1
                if failed >= check.get("retries", 3):
                    self.health = "UNHEALTHY"
            if self.health != before:
                self.health_s = time.time()
                self.task.agent.tell_health(self.task, self)
            self.task.events.put(None)

    def signal(self):
        self.stopping = True
        stop = self.image.config.get("StopSignal") or "SIGTERM" if self.image else "SIGTERM"
        subprocess.run([*RUNTIME, "kill", self.id, stop.removeprefix("SIG")], capture_output=True, check=False)

    def kill(self):
        self.stopping = True
        if self.status == "RUNNING":
            subprocess.run([*RUNTIME, "kill", "--all", self.id, "KILL"], capture_output=True, check=False)
            subprocess.run([*RUNTIME, "kill", self.id, "KILL"], capture_output=True, check=False)

    def wait(self, seconds=60):
        return self.status != "RUNNING" or self.ended.wait(seconds)

    def finish(self):
        """Ports, addresses and mounts go when it has ended; the files of json-file stay until the task is gone."""
        self.task.agent.network.withdraw(self)
        try:  # where the namespace of processes is shared, the first one's end is not the others'
            with open(f"/sys/fs/cgroup/ecs/{self.id}/cgroup.kill", "w") as f:
                f.write("1")
        except OSError:
            pass
        subprocess.run([*RUNTIME, "delete", "--force", self.id], capture_output=True, check=False)
        if os.path.ismount(f"{self.place}/root"):
            subprocess.run(["umount", "-l", f"{self.place}/root"], capture_output=True, check=False)

    def clear(self):
        """Its log goes to where it can still be read."""
        for name in os.listdir(self.place) if os.path.isdir(self.place) else []:
            if "-json.log" in name:
                os.makedirs("/var/log/ecs", exist_ok=True)
                shutil.move(f"{self.place}/{name}", f"/var/log/ecs/{name}")


def alive(path):
    try:
        with open(path) as f:
            os.kill(int(f.read()), 0)
        return True
    except (OSError, ValueError):
        return False


def size_of(text):
    found = re.fullmatch(r"(\d+)([kmg]?)b?", (text or "").lower())
    return int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2]] if found else None
