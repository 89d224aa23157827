#!/usr/bin/python3
"""What makes an instance of an image: name, keys, disk and user data, from the metadata service.

Runs at each boot, in two parts: `agent init` before the secure shell is served, `agent final` when the system is up; `agent status [--wait]` answers people's
scripts. What belongs to an instance and not to a boot is done once for each instance id. It keeps to the places and words of cloud-init, so that what people
know about instances holds here: /var/lib/cloud, /var/log/cloud-init-output.log, the types of user data.
"""
import email
import glob
import gzip
import json
import os
import pwd
import re
import shlex
import socket
import subprocess
import sys
import time
import zlib

STATE = "/var/lib/cloud"
INSTANCE = f"{STATE}/instance"
OUTPUT = "/var/log/cloud-init-output.log"
RESULT = f"{STATE}/data/result.json"
FAULTS = "/run/cloud-init/faults"  # of this boot, a line each
METADATA = ("169.254.169.254", 80)
LOGIN = "admin"
PATIENCE_S = 120
NOT_ROOT = "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo 'Please login as the user \\\"" + LOGIN + \
    "\\\" rather than the user \\\"root\\\".';echo;sleep 10;exit 142\" "
ENTRIES = ("package_update", "package_upgrade", "packages", "write_files", "bootcmd", "runcmd", "users", "ssh_authorized_keys", "hostname", "fqdn", "timezone")


# ---- the metadata service

class Metadata:
    """A request is answered at once or, while the network comes up, not at all: then it is asked again."""

    def __init__(self, address=METADATA, patience_s=PATIENCE_S):
        self.address, self.until, self.token = address, time.monotonic() + patience_s, None
        status, body = self._ask("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n")
        if status == 200:
            self.token = body.decode()

    def _ask(self, method, path, headers=""):
        while True:
            try:
                with socket.create_connection(self.address, 3) as s:
                    s.settimeout(10)
                    s.sendall(f"{method} {path} HTTP/1.0\r\nHost: {self.address[0]}\r\n{headers}\r\n".encode())
                    reply = b"".join(iter(lambda: s.recv(65536), b""))
                head, _, body = reply.partition(b"\r\n\r\n")
                status = int(head.split(None, 2)[1])
                if status >= 500:
                    raise ValueError(f"{path}: status {status}")
                return status, body
            except (OSError, ValueError, IndexError):
                if time.monotonic() > self.until:
                    raise
                time.sleep(0.2)

    def get(self, path):
        """The value as bytes; None: there is none."""
        status, body = self._ask("GET", f"/latest/{path}", f"X-aws-ec2-metadata-token: {self.token}\r\n" if self.token else "")
        return body if status == 200 else None

    def text(self, path):
        value = self.get(path)
        return value.decode(errors="replace").strip() if value is not None else None


# ---- user data

def parts_of(data):
    """[(kind, bytes)] in the order in which they are given; kinds: script, config, boothook, include, unknown."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return [("unknown", data)]
    if re.match(rb"(?i)(content-type:\s*multipart|mime-version:)", data):
        parts = []
        # the older of Python's policies: the other one fails on headers that are none
        for part in email.message_from_bytes(data).walk():
            if not part.is_multipart():
                content = part.get_payload(decode=True) or b""
                parts += parts_of(content) if kind_of(content) != "unknown" else [(KINDS_OF_MIME.get(part.get_content_type(), "unknown"), content)]
        return parts
    return [(kind_of(data), data)] if data.strip() else []


KINDS_OF_MIME = {"text/x-shellscript": "script", "text/cloud-config": "config", "text/cloud-boothook": "boothook", "text/x-include-url": "include"}


def kind_of(data):
    for begin, kind in ((b"#!", "script"), (b"#cloud-config", "config"), (b"#cloud-boothook", "boothook"), (b"#include", "include"), (b"\x1f\x8b", "gzip")):
        if data.startswith(begin):
            return kind
    return "unknown"


# ---- doing things

def log(text):
    line = f"agent: {text}\n"
    for path in ("/var/log/cloud-init.log", "/dev/console"):
        try:
            with open(path, "a") as f:
                f.write(line)
        except OSError:
            pass


def fault(text):
    """What went wrong is told, and makes this boot's status an error; the boot goes on."""
    log(text)
    try:
        os.makedirs(os.path.dirname(FAULTS), exist_ok=True)
        with open(FAULTS, "a") as f:
            f.write(" ".join(text.split()) + "\n")
    except OSError:
        pass


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(content)
    os.chmod(path, mode)


_output = None


def output():
    """Where commands write: the log and the console. It is a process of its own, so that what a script leaves running can go on to write after our end."""
    global _output
    if not _output:
        with open("/dev/console", "wb") as console:
            _output = subprocess.Popen(["tee", "-a", "-p", OUTPUT], stdin=subprocess.PIPE, stdout=console, stderr=subprocess.DEVNULL, start_new_session=True)
    return _output.stdin


def end_output():
    """What was written is in the log, unless somebody is still writing."""
    if _output:
        _output.stdin.close()
        try:
            _output.wait(1)
        except subprocess.TimeoutExpired:
            pass


def run(*argv):
    """Runs a command to its own end; what it leaves running is not waited for. A failure is told and no more."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive",
           "INSTANCE_ID": os.path.basename(os.path.realpath(INSTANCE))}
    try:
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output(), stderr=subprocess.STDOUT, cwd="/", env=env, check=False).returncode
    except OSError as e:
        fault(f"{argv[0]}: {e.strerror}")
        return 127
    if status:
        fault(f"{' '.join(argv)[:200]}: exit status {status}")
    return status


def authorize(user, keys, options=""):
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        log(f"no user {user} for a key")
        return
    path = os.path.join(entry.pw_dir, ".ssh/authorized_keys")
    try:
        with open(path) as f:
            known = f.read()
    except OSError:
        known = ""
    new = "".join(f"{options}{key.strip()}\n" for key in keys if key.strip() and key.strip() not in known)
    write(path, (known + new).encode(), 0o600)
    os.chmod(os.path.dirname(path), 0o700)
    for place in (os.path.dirname(path), path):
        os.chown(place, entry.pw_uid, entry.pw_gid)


def set_name(name):
    if not name or not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name):
        return
    short = name.split(".")[0]
    write("/etc/hostname", f"{short}\n".encode())
    write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name} {short}\n::1 localhost ip6-localhost\n".encode())
    subprocess.run(["hostname", short], check=False)


def make_host_keys():
    for path in glob.glob("/etc/ssh/ssh_host_*"):
        os.unlink(path)
    for kind in ("ed25519", "ecdsa"):
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", f"/etc/ssh/ssh_host_{kind}_key"], check=False)


def tell_fingerprints():
    lines = ["-----BEGIN SSH HOST KEY FINGERPRINTS-----"]
    for path in sorted(glob.glob("/etc/ssh/ssh_host_*.pub")):
        done = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=False)
        lines.append(done.stdout.strip())
    lines.append("-----END SSH HOST KEY FINGERPRINTS-----")
    with open("/dev/console", "w") as console:
        console.write("".join(f"{line}\r\n" for line in lines))


def grow_root():
    with open("/proc/mounts") as f:
        device = next((line.split()[0] for line in f if line.split()[1] == "/"), "")
    if device.startswith("/dev/vd"):
        done = subprocess.run(["resize2fs", device], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            fault(f"resize2fs: {done.stderr.strip()}")


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def shell_script(value):
    """What bootcmd and runcmd say as one script, so that a `cd` in it lasts: each entry is a line for the shell or a list of words."""
    lines = [shlex.join(str(word) for word in entry) if isinstance(entry, list) else str(entry) for entry in as_list(value) if entry is not None]
    return "".join(f"{line}\n" for line in ["#!/bin/sh", *lines]).encode()


def write_file(entry):
    content = str(entry.get("content", "")).encode()
    encoding = str(entry.get("encoding", "")).lower()
    if encoding in ("b64", "base64", "gz+base64", "gzip+base64", "gz+b64"):
        import base64
        content = base64.b64decode(content)
    if encoding.startswith(("gz", "gzip")):
        content = gzip.decompress(content)
    path = str(entry["path"])
    if entry.get("append"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab") as f:
            f.write(content)
    else:
        mode = entry.get("permissions", "0644")
        write(path, content, int(str(mode), 8) if isinstance(mode, str) else mode)
    if entry.get("owner"):
        run("chown", str(entry["owner"]), path)


def write_files(config, deferred):
    for entry in as_list(config.get("write_files")):
        try:
            if bool(entry.get("defer")) == deferred:
                write_file(entry)
        except (AttributeError, OSError, KeyError, TypeError, ValueError) as e:
            fault(f"write_files: {type(e).__name__}: {e}")


def names(value):
    return [str(name) for name in value] if isinstance(value, (list, dict)) else str(value or "").replace(",", " ").split()


def add_user(entry):
    if isinstance(entry, str):
        entry = {"name": entry}
    name = str(entry["name"])
    if name == "default":
        return
    for key in entry:
        if key not in USER:
            log(f"cloud-config: {key} of users is not supported here")
    argv = ["--system"] if entry.get("system") else [] if entry.get("no_create_home") else ["--create-home"]
    for key, option in (("shell", "--shell"), ("gecos", "--comment"), ("uid", "--uid"), ("homedir", "--home-dir"), ("primary_group", "--gid"), ("passwd", "--password")):
        if entry.get(key) is not None:
            argv += [option, str(entry[key])]
    groups = names(entry.get("groups"))
    for group in groups + names(entry.get("primary_group")):
        subprocess.run(["groupadd", "--force", group], check=False)
    if groups:
        argv += ["--groups", ",".join(groups)]
    try:
        pwd.getpwnam(name)
    except KeyError:
        if run("useradd", *argv, name):
            return
        if entry.get("passwd") and entry.get("lock_passwd", True):
            run("usermod", "--lock", name)
    rules = [rule for rule in as_list(entry.get("sudo")) if rule]
    if rules:
        write(f"/etc/sudoers.d/90-{re.sub('[^A-Za-z0-9_-]', '-', name)}", "".join(f"{name} {rule}\n" for rule in rules).encode(), 0o440)
    keys = [str(key) for key in as_list(entry.get("ssh_authorized_keys"))]
    if keys:
        authorize(name, keys)


USER = ("name", "system", "no_create_home", "shell", "gecos", "uid", "homedir", "primary_group", "passwd", "lock_passwd", "groups", "sudo", "ssh_authorized_keys")


def parse_config(content):
    import yaml
    config = yaml.safe_load(content)
    if not isinstance(config, dict):
        raise ValueError("not a mapping")
    return config


def config_of(parts):
    """All cloud-config parts as one: what a later one says replaces what an earlier one said."""
    config = {}
    for kind, content in parts:
        if kind == "config":
            try:
                config.update(parse_config(content))
            except Exception as e:  # yaml has many
                fault(f"cloud-config: {e}")
    return config


def early_config(config):
    for key in config:
        if key not in ENTRIES:
            log(f"cloud-config: {key} is not supported here")
    write_files(config, deferred=False)
    for entry in as_list(config.get("users")):
        try:
            add_user(entry)
        except (AttributeError, KeyError, OSError, TypeError) as e:
            fault(f"users: {type(e).__name__}: {e}")
    authorize(LOGIN, [str(key) for key in as_list(config.get("ssh_authorized_keys"))])
    zone = str(config.get("timezone") or "")
    if zone and os.path.exists(f"/usr/share/zoneinfo/{zone}"):
        write("/etc/timezone", f"{zone}\n".encode())
        subprocess.run(["ln", "-sf", f"/usr/share/zoneinfo/{zone}", "/etc/localtime"], check=False)
    elif zone:
        fault(f"timezone: there is no {zone}")


def late_config(config):
    packages = ["=".join(map(str, p)) if isinstance(p, list) else str(p) for p in as_list(config.get("packages"))]
    if config.get("package_update") or config.get("package_upgrade") or packages:
        run("apt-get", "-q", "update")
    if config.get("package_upgrade"):
        run("apt-get", "-q", "-y", "upgrade")
    if packages:
        run("apt-get", "-q", "-y", "install", *packages)
    write_files(config, deferred=True)


# ---- the two parts of a boot

def unix_lines(content):
    """A script whose first line ends as on Windows has no interpreter of that name."""
    return content.replace(b"\r\n", b"\n") if content.partition(b"\n")[0].endswith(b"\r") else content


def user_data(place):
    """Its parts. Whatever somebody sent, the instance has its keys and its login."""
    with open(f"{place}/user-data.txt", "rb") as f:
        try:
            return parts_of(f.read())
        except Exception as e:
            fault(f"the user data cannot be read: {e}")
            return []


def known_instance():
    place = os.path.realpath(INSTANCE)
    return os.path.basename(place) if os.path.isdir(place) and place != INSTANCE else None


def init():
    metadata = instance = None
    try:
        metadata = Metadata()
        instance = metadata.text("meta-data/instance-id")
    except (OSError, ValueError, IndexError) as e:
        fault(f"no metadata service: {e}")
    if not instance or not re.fullmatch("[A-Za-z0-9-]+", instance):
        # Who does not say which instance this is does not make it another one.
        instance, metadata = known_instance() or "iid-datasource-none", None
    get = metadata.get if metadata else lambda path: None
    place = f"{STATE}/instances/{instance}"
    first = not os.path.exists(f"{place}/sem/init")
    os.makedirs(f"{place}/scripts", exist_ok=True)
    os.makedirs(f"{place}/sem", exist_ok=True)
    subprocess.run(["ln", "-sfn", place, INSTANCE], check=False)
    if os.path.exists(f"{INSTANCE}/boot-finished"):
        os.unlink(f"{INSTANCE}/boot-finished")
    if metadata or first:
        write(f"{place}/user-data.txt", get("user-data") or b"", 0o600)
    parts = user_data(place)
    config = config_of(parts)
    set_name(str(config.get("fqdn") or config.get("hostname") or "") or (get("meta-data/local-hostname") or b"").decode(errors="replace").strip())
    if first:
        make_host_keys()
        key = (get("meta-data/public-keys/0/openssh-key") or b"").decode(errors="replace")
        authorize(LOGIN, [key])
        authorize("root", [key], NOT_ROOT)
    for number, (kind, content) in enumerate(parts, 1):
        if kind == "boothook":
            write(f"{place}/boothooks/part-{number:03}", unix_lines(content.removeprefix(b"#cloud-boothook").lstrip()), 0o700)
            run(f"{place}/boothooks/part-{number:03}")
        elif kind == "script" and first:
            write(f"{place}/scripts/part-{number:03}", unix_lines(content), 0o700)
        elif kind not in ("script", "config") and first:
            fault(f"part {number} of the user data is not used: {'#include is not supported here' if kind == 'include' else 'it is of no known type'}")
    if config.get("bootcmd"):
        write(f"{place}/boothooks/bootcmd", shell_script(config["bootcmd"]), 0o700)
        run(f"{place}/boothooks/bootcmd")
    if first:
        early_config(config)
        if config.get("runcmd"):
            write(f"{place}/scripts/runcmd", shell_script(config["runcmd"]), 0o700)
        write(f"{place}/sem/init", b"")
    end_output()


def final():
    place = os.path.realpath(INSTANCE)
    grow_root()
    if not os.path.exists(f"{place}/sem/final"):
        # Before the work and not after it: what fails halfway is not begun again at the next boot.
        write(f"{place}/sem/final", b"")
        tell_fingerprints()
        late_config(config_of(user_data(place)))
        for path in sorted(glob.glob(f"{place}/scripts/*")):
            run(path)
    end_output()
    faults = []
    if os.path.exists(FAULTS):
        with open(FAULTS) as f:
            faults = f.read().splitlines()
    write(RESULT, json.dumps({"v1": {"datasource": "DataSourceEc2Local", "errors": faults}}, indent=1).encode() + b"\n")
    with open("/proc/uptime") as f:
        seconds = f.read().split()[0]
    write(f"{place}/boot-finished", f"{seconds} - {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\n".encode())
    log(f"finished, up {seconds} seconds")


def status(wait):
    while True:
        done = os.path.exists(f"{INSTANCE}/boot-finished")
        if done or not wait:
            break
        time.sleep(0.5)
    faults = []
    if done:
        with open(RESULT) as f:
            faults = json.load(f)["v1"]["errors"]
    print(f"status: {'error' if faults else 'done' if done else 'running'}")
    return 1 if faults else 0


def main():
    words = sys.argv[1:]
    if os.path.basename(sys.argv[0]) == "cloud-init" and words[:1] != ["status"]:
        print("usage: cloud-init status [--wait]", file=sys.stderr)
        return 2
    if words[:1] == ["status"]:
        return status("--wait" in words or "-w" in words)
    if words == ["init"]:
        return init()
    if words == ["final"]:
        return final()
    print("usage: agent init | final | status [--wait]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
