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
RESULT = f"{STATE}/data/result.json"
OUTPUT = "/var/log/cloud-init-output.log"
METADATA = ("169.254.169.254", 80)
LOGIN = "admin"
PATIENCE_S = 120
ENTRIES = ("package_update", "package_upgrade", "packages", "write_files", "bootcmd", "runcmd", "users", "ssh_authorized_keys", "hostname", "fqdn", "timezone")
USER_ENTRIES = ("name", "shell", "groups", "sudo", "ssh_authorized_keys")


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
                return int(head.split(None, 2)[1]), body
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
        try:
            for part in email.message_from_bytes(data).walk():
                if not part.is_multipart():
                    content = part.get_payload(decode=True) or b""
                    parts += parts_of(content) if kind_of(content) != "unknown" else [(KINDS_OF_MIME.get(part.get_content_type(), "unknown"), content)]
        except Exception:
            # The parser of the library fails in many ways; none of them may cost the instance its keys.
            return [("unknown", data)]
        return parts
    return [(kind_of(data), data)] if data.strip() else []


KINDS_OF_MIME = {"text/x-shellscript": "script", "text/cloud-config": "config", "text/cloud-boothook": "boothook", "text/x-include-url": "include"}


def kind_of(data):
    for begin, kind in ((b"#!", "script"), (b"#cloud-config", "config"), (b"#cloud-boothook", "boothook"), (b"#include", "include"), (b"\x1f\x8b", "gzip")):
        if data.startswith(begin):
            return kind
    return "unknown"


# ---- doing things

FAILED = []  # what went wrong in this part of the boot, for `status`


def failed(text):
    log(text)
    FAILED.append(text)


def log(text):
    line = f"agent: {text}\n"
    for path in ("/var/log/cloud-init.log", "/dev/console"):
        try:
            with open(path, "a") as f:
                f.write(line)
        except OSError:
            pass


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(content)
    os.chmod(path, mode)


def run(*argv, shell=None):
    """Runs to its end; output goes to the log and the console. A failure is told and no more."""
    command = ["/bin/sh", "-c", shell] if shell is not None else list(argv)
    with open(OUTPUT, "ab") as output, open(OUTPUT, "rb") as written, open("/dev/console", "wb", 0) as console:
        written.seek(0, os.SEEK_END)
        try:
            # Straight into the file and not through us: what the command leaves in the background neither holds up the boot nor dies with us.
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
                                     env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"})
        except OSError as e:
            failed(f"{command[0]}: {e}")
            return 127
        status = None
        while status is None:
            try:
                status = child.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
            console.write(written.read().replace(b"\n", b"\r\n"))
    if status:
        failed(f"{' '.join(command)[:200]}: exit status {status}")
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
        run("resize2fs", device)


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def commands(value, path):
    """bootcmd and runcmd: lines for the shell, or lists of words, in one script, so that a directory or variable holds for the lines after it."""
    lines = [" ".join(shlex.quote(str(word)) for word in command) if isinstance(command, list) else str(command) for command in as_list(value)]
    if lines:
        write(path, ("#!/bin/sh\n" + "".join(f"{line}\n" for line in lines)).encode(), 0o700)
        run(path)


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


def add_user(entry):
    if entry == "default":
        return
    name = str(entry["name"])
    for key in entry:
        if key not in USER_ENTRIES:
            log(f"users: {name}: {key} is not supported here")
    argv = ["useradd", "-m", "-s", str(entry.get("shell", "/bin/sh"))]
    groups = entry.get("groups") or []
    groups = [str(group).strip() for group in (groups if isinstance(groups, list) else str(groups).split(","))]
    for group in groups:
        run("groupadd", "-f", group)
    run(*argv, *(["-G", ",".join(groups)] if groups else []), name)
    rules = as_list(entry.get("sudo"))
    if rules and rules != [False]:
        write(f"/etc/sudoers.d/90-{re.sub('[^A-Za-z0-9_-]', '-', name)}", "".join(f"{name} {rule}\n" for rule in rules).encode(), 0o440)
    # The instance's key pair is for the image's own login alone.
    keys = as_list(entry.get("ssh_authorized_keys"))
    if keys:
        authorize(name, [str(key) for key in keys])


def parse_config(content):
    import yaml
    config = yaml.safe_load(content)
    if not isinstance(config, dict):
        raise ValueError("not a mapping")
    return config


def name_of(config):
    name = config.get("fqdn") or config.get("hostname")
    return str(name) if name else None


def early_config(config):
    for key in config:
        if key not in ENTRIES:
            log(f"cloud-config: {key} is not supported here")
    for entry in as_list(config.get("write_files")):
        try:
            write_file(entry)
        except Exception as e:
            failed(f"write_files: {e!r}")
    for entry in as_list(config.get("users")):
        try:
            add_user(entry)
        except Exception as e:
            failed(f"users: {e!r}")
    authorize(LOGIN, [str(key) for key in as_list(config.get("ssh_authorized_keys"))])
    zone = str(config.get("timezone", ""))
    if zone and os.path.exists(f"/usr/share/zoneinfo/{zone}"):
        write("/etc/timezone", f"{zone}\n".encode())
        subprocess.run(["ln", "-sf", f"/usr/share/zoneinfo/{zone}", "/etc/localtime"], check=False)
    elif zone:
        failed(f"timezone: there is no {zone}")


def late_config(config):
    packages = ["=".join(map(str, p)) if isinstance(p, list) else str(p) for p in as_list(config.get("packages"))]
    if config.get("package_update") or config.get("package_upgrade") or packages:
        run("apt-get", "-q", "update")
    if config.get("package_upgrade"):
        run("apt-get", "-q", "-y", "upgrade")
    if packages:
        run("apt-get", "-q", "-y", "install", *packages)


# ---- the two parts of a boot

def configs_of(parts):
    """The cloud-configs among the parts that can be read; what cannot is said."""
    configs = []
    for kind, content in parts:
        if kind == "config":
            try:
                configs.append(parse_config(content))
            except Exception as e:
                failed(f"cloud-config: {e}")
    return configs


def each(configs, do):
    for config in configs:
        try:
            do(config)
        except Exception as e:
            failed(f"cloud-config: {e!r}")


def instance_of(metadata):
    """Its id. An instance whose metadata are turned off stays what it was, or its host keys would change."""
    known = os.path.basename(os.path.realpath(INSTANCE)) if os.path.islink(INSTANCE) else None
    return metadata.text("meta-data/instance-id") or known or "i-none"


def save_result():
    earlier = []
    if os.path.exists(RESULT):
        with open(RESULT) as f:
            earlier = json.load(f)["v1"]["errors"]
    write(RESULT, json.dumps({"v1": {"datasource": "DataSourceEc2Local", "errors": earlier + FAILED}}).encode())


def init():
    for path in (f"{INSTANCE}/boot-finished", RESULT):
        if os.path.exists(path):
            os.unlink(path)
    metadata = Metadata()
    instance = instance_of(metadata)
    place = f"{STATE}/instances/{instance}"
    first = not os.path.exists(f"{place}/sem/init")
    os.makedirs(f"{place}/scripts", exist_ok=True)
    os.makedirs(f"{place}/sem", exist_ok=True)
    subprocess.run(["ln", "-sfn", place, INSTANCE], check=False)
    if first:
        write(f"{place}/user-data.txt", metadata.get("user-data") or b"", 0o600)
    with open(f"{place}/user-data.txt", "rb") as f:
        parts = parts_of(f.read())
    configs = configs_of(parts)
    names = [name_of(config) for config in configs if name_of(config)]
    set_name(names[-1] if names else metadata.text("meta-data/local-hostname"))
    if first:
        keys = [key for key in [metadata.text("meta-data/public-keys/0/openssh-key")] if key]
        make_host_keys()
        authorize(LOGIN, keys)
        authorize("root", keys, f"no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo 'Please login as the user \\\"{LOGIN}\\\" rather than the user \\\"root\\\".';echo;sleep 10;exit 142\" ")
    for number, (kind, content) in enumerate(parts, 1):
        if kind == "boothook":
            write(f"{place}/boothooks/part-{number:03}", content.partition(b"\n")[2], 0o700)
            run(f"{place}/boothooks/part-{number:03}")
        elif kind == "script" and first:
            write(f"{place}/scripts/part-{number:03}", content, 0o700)
        elif kind in ("include", "unknown", "gzip") and first:
            log(f"part {number} of the user data is not run: {'#include' if kind == 'include' else 'of no known type'}")
    each(configs, lambda config: commands(config.get("bootcmd"), f"{place}/bootcmd"))
    if first:
        each(configs, early_config)
        write(f"{place}/sem/init", b"")
    save_result()


def user_data(place):
    """Packages, then scripts in their order, then runcmd."""
    with open(f"{place}/user-data.txt", "rb") as f:
        configs = configs_of(parts_of(f.read()))
    each(configs, late_config)
    for path in sorted(glob.glob(f"{place}/scripts/part-*")):
        run(path)
    each(configs, lambda config: commands(config.get("runcmd"), f"{place}/scripts/runcmd"))


def final():
    place = os.path.realpath(INSTANCE)
    # At each boot: the volume may have been made larger since the last one.
    grow_root()
    if not os.path.exists(f"{place}/sem/final"):
        # Before the work and not after it: what fails halfway is not begun again at the next boot.
        write(f"{place}/sem/final", b"")
        tell_fingerprints()
        try:
            user_data(place)
        except Exception as e:
            failed(f"user data: {e!r}")
    save_result()
    with open("/proc/uptime") as f:
        seconds = f.read().split()[0]
    write(f"{place}/boot-finished", f"{seconds} - {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\n".encode())
    log(f"finished, up {seconds} seconds")


def status(wait):
    """Words and exit status of `cloud-init status`: 1 where something failed."""
    while not os.path.exists(f"{INSTANCE}/boot-finished"):
        if not wait:
            print("status: running")
            return 0
        time.sleep(0.5)
    with open(RESULT) as f:
        errors = json.load(f)["v1"]["errors"]
    print(f"status: {'error' if errors else 'done'}")
    return 1 if errors else 0


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
