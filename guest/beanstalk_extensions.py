"""The .ebextensions of a bundle: what its files want of the system (packages, groups, users, sources, files, commands, services), commands about the application,
and options.

Files are taken in the order of their names, and in each the keys in AWS's order. What cannot be done is refused, and ends the deployment.
"""
import base64
import grp
import io
import json
import os
import pwd
import re
import shutil
import tarfile
import urllib.parse
import urllib.request
import zipfile

import yaml
from beanstalk_system import BASE, Failed, need, run, write_log

LOG, COMMANDS_LOG = "/var/log/cfn-init.log", "/var/log/cfn-init-cmd.log"
KEYS = ("packages", "groups", "users", "sources", "files", "commands", "services", "container_commands", "option_settings", "Resources")
DOWNLOAD_MOST, DOWNLOAD_S = 512 << 20, 60
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?")
FUNCTION = re.compile(r'"?\b(Fn::\w+|Ref)"?\s*:')
PROPERTIES = "aws:elasticbeanstalk:application:environment"


def unique_keys(loader, node):
    loader.flatten_mapping(node)
    return {loader.construct_object(key, True): loader.construct_object(value, True) for key, value in node.value}


class Texts(yaml.SafeLoader):
    """Scalars as they are written: a mode of 000755 is no number, and yes no truth."""


Texts.yaml_implicit_resolvers = {}
Texts.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|)$"), ["~", "n", ""])
Texts.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
Texts.add_constructor("tag:yaml.org,2002:map", unique_keys)


def parse(text, name, label):
    try:
        found = yaml.load(text, Texts)  # noqa: S506: it makes nothing but texts, lists and maps
    except yaml.YAMLError as e:
        try:
            found = json.loads(text, parse_int=str, parse_float=str)
        except ValueError as other:
            raise Failed(f"The configuration file .ebextensions/{name} in application version {label} contains invalid YAML or JSON. "
                         f"YAML exception: Invalid Yaml: {' '.join(str(e).split())}, JSON exception: Invalid JSON: {other}. Update the configuration file.") from e
    except (RecursionError, TypeError) as e:
        raise Failed(f"The configuration file .ebextensions/{name} in application version {label} contains invalid YAML or JSON.") from e
    return {} if found is None else found


def functions(value):
    """The first function of CloudFormation in it, which there is none to work out."""
    if isinstance(value, dict):
        return next((str(k) for k in value if k == "Ref" or str(k).startswith("Fn::")), None) or next(filter(None, map(functions, value.values())), None)
    if isinstance(value, list):
        return next(filter(None, map(functions, value)), None)
    if isinstance(value, str) and value.count("`") > 1:
        found = next(filter(None, (FUNCTION.search(part) for part in value.split("`")[1::2] if part.strip().startswith("{"))), None)
        return found[1] if found else None
    return None


def options_of(said, name):
    """[(namespace, name, value)] of either way to write them."""
    if isinstance(said, dict):
        pairs = [(space, key, value) for space, all_of in said.items() if isinstance(all_of, dict) for key, value in all_of.items()]
        if any(not isinstance(all_of, dict) for all_of in said.values()):
            raise Failed(f"option_settings of .ebextensions/{name} are no map of namespaces")
    elif isinstance(said, list):
        if any(not isinstance(one, dict) or not one.get("option_name") or "value" not in one for one in said):
            raise Failed(f"option_settings of .ebextensions/{name} have an entry without option_name and value")
        pairs = [(one.get("namespace", PROPERTIES), one["option_name"], one["value"]) for one in said]
    else:
        raise Failed(f"option_settings of .ebextensions/{name} are neither a map nor a list")
    return [(str(space), str(key), "" if value is None else json.dumps(value) if isinstance(value, (dict, list)) else str(value)) for space, key, value in pairs]


def read(root, label):
    """([(file, what it says)], notes for the environment's events)"""
    place, found, notes = f"{root}/.ebextensions", [], []
    names = sorted(n for n in os.listdir(place) if n.endswith(".config")) if os.path.isdir(place) else []
    for name in names:
        with open(f"{place}/{name}", encoding="utf-8", errors="replace") as f:
            said = parse(f.read(), name, label)
        head = f"Error processing file (Skipping): '.ebextensions/{name}' - "
        wrong = ["it is no map"] if not isinstance(said, dict) else [f"Contains invalid key: '{key}'." for key in said if key not in KEYS]
        if wrong:
            notes.append(head + wrong[0])
            continue
        if said.get("Resources"):
            raise Failed(f".ebextensions/{name} declares Resources: templates of CloudFormation are not supported")
        if functions(said):
            raise Failed(f".ebextensions/{name} uses {functions(said)}: functions of CloudFormation are not supported")
        for key in KEYS[:-2]:
            if not isinstance(said.get(key) or {}, dict):
                raise Failed(f"{key} of .ebextensions/{name} is no map")
        found.append((name, said))
    return found, notes


def options(found):
    """{(namespace, name): value}. Where several files say something, the last one has it."""
    return {(space, key): value for name, said in found if said.get("option_settings") for space, key, value in options_of(said["option_settings"], name)}


def download(url):
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise Failed(f"{url[:200]} cannot be fetched: only http and https are supported")
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_S) as reply:
            data = reply.read(DOWNLOAD_MOST + 1)
    except (OSError, ValueError) as e:
        raise Failed(f"{url[:200]} cannot be fetched: {e}") from e
    if len(data) > DOWNLOAD_MOST:
        raise Failed(f"{url[:200]} is larger than {DOWNLOAD_MOST} bytes")
    return data


def true(value):
    return str(value).lower() in ("true", "1", "yes")


class File:
    """One file's wishes; what it changes is remembered for services that hang on it."""

    def __init__(self, name, said):
        self.name, self.said, self.changed = name, said, set()

    def part(self, key):
        return sorted((self.said.get(key) or {}).items())

    def wrong(self, what):
        return Failed(f"{what} in .ebextensions/{self.name}")

    def apply(self):
        write_log(f"Running config of .ebextensions/{self.name}", place=LOG)
        for name, packages in self.part("packages"):
            self.packages(name, packages)
        for name, group in self.part("groups"):
            self.group(name, group or {})
        for name, user in self.part("users"):
            self.user(name, user or {})
        for place, url in self.part("sources"):
            self.source(place, url)
        for path, file in self.part("files"):
            self.file(path, file)
        for name, command in self.part("commands"):
            self.command("command", name, command, BASE, "/")
        for kind, services in self.part("services"):
            for name, service in sorted((services or {}).items()):
                self.service(kind, name, service or {})

    def packages(self, manager, packages):
        if manager != "apt":
            raise self.wrong(f"packages of {manager} are not supported: this platform's packages are Debian's (apt)")
        wanted = []
        for name, versions in sorted((packages or {}).items()):
            versions = versions if isinstance(versions, list) else [versions] if versions else []
            if not PACKAGE.fullmatch(name) or any(not re.fullmatch(r"[\w.+:~-]+", str(v)) for v in versions):
                raise self.wrong(f"there can be no package {name}")
            if run("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", name, place=LOG).stdout.strip() in (
                    f"installed {v}" for v in versions) or (not versions and os.path.exists(f"/var/lib/dpkg/info/{name}.list")):
                continue
            wanted.append(f"{name}={versions[-1]}" if versions else name)
        if wanted:
            env = {**BASE, "DEBIAN_FRONTEND": "noninteractive"}
            need(f"Updating the lists of packages for .ebextensions/{self.name}", "apt-get", "-q", "update", place=LOG, env=env)
            need(f"Installing packages of .ebextensions/{self.name}", "apt-get", "-q", "-y", "--no-install-recommends", "install", *wanted, place=LOG, env=env)
            self.changed |= {("packages", name) for name in packages}

    def group(self, name, group):
        try:
            grp.getgrnam(name)
        except KeyError:
            words = ["--gid", str(group["gid"])] if group.get("gid") else []
            need(f"Making the group {name}", "groupadd", "--system", *words, "--", name, place=LOG)

    def user(self, name, user):
        try:
            pwd.getpwnam(name)
        except KeyError:
            groups = user.get("groups") or []
            words = [*(["--uid", str(user["uid"])] if user.get("uid") else []), *(["--groups", ",".join(groups)] if groups else []),
                     *(["--home-dir", user["homeDir"]] if user.get("homeDir") else [])]
            need(f"Making the user {name}", "useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", *words, "--", name, place=LOG)

    def source(self, place, url):
        if not place.startswith("/") or not isinstance(url, str):
            raise self.wrong(f"sources name no folder and address: {place}")
        data = download(url)
        os.makedirs(place, exist_ok=True)
        try:
            if zipfile.is_zipfile(io.BytesIO(data)):
                with zipfile.ZipFile(io.BytesIO(data)) as z:
                    z.extractall(place)
            else:
                with tarfile.open(fileobj=io.BytesIO(data)) as t:
                    t.extractall(place)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as e:
            raise self.wrong(f"{url} is no archive that can be unpacked ({e})") from e
        self.changed.add(("sources", place))

    def file(self, path, file):
        if not path.startswith("/") or not isinstance(file, dict) or ("content" in file) == ("source" in file):
            raise self.wrong(f"the file {path} needs an absolute path, and either content or source")
        mode = str(file.get("mode", "000644"))
        if not re.fullmatch(r"[0-7]{3,6}", mode):
            raise self.wrong(f"the mode {mode} of {path} cannot be")
        content = file.get("content")
        data = download(file["source"]) if "source" in file else (json.dumps(content) if isinstance(content, (dict, list)) else str(content or "")).encode()
        if file.get("encoding") == "base64" and "content" in file:
            try:
                data = base64.b64decode(data)
            except ValueError as e:
                raise self.wrong(f"the content of {path} is no base64") from e
        try:
            uid, gid = pwd.getpwnam(file.get("owner", "root")).pw_uid, grp.getgrnam(file.get("group", "root")).gr_gid
        except KeyError as e:
            raise self.wrong(f"whose {path} shall be is not there: {e}") from e
        self.put(path, data, mode, uid, gid)
        self.changed.add(("files", path))

    @staticmethod
    def put(path, data, mode, uid, gid):
        """What is there already with another content stays beside it as .bak. A mode of 120xxx is a link to what the content names."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        link = len(mode) == 6 and mode.startswith("120")
        if os.path.lexists(path):
            with open(path, "rb") if os.path.isfile(path) and not os.path.islink(path) else io.BytesIO() as f:
                same = f.read() == data and not link
            if not same:
                shutil.move(path, f"{path}.bak")
        if link:
            os.symlink(data.decode().strip(), path)
            return
        with open(path, "wb") as f:
            f.write(data)
        os.chown(path, uid, gid)
        os.chmod(path, int(mode[-4:], 8))

    def command(self, kind, name, said, env, cwd, leader=True):
        said = {"command": said} if isinstance(said, str) else said
        command = said.get("command") if isinstance(said, dict) else None
        if not isinstance(command, str) and not (isinstance(command, list) and command):
            raise self.wrong(f"{kind} {name} has no command")
        words = ["/bin/bash", "-c", command] if isinstance(command, str) else [str(word) for word in command]
        own, place = said.get("env") or {}, said.get("cwd") or cwd
        if not isinstance(own, dict):
            raise self.wrong(f"env of {kind} {name} is no map")
        env = {**env, **{str(k): str(v) for k, v in own.items()}}
        if kind == "container_command" and true(said.get("leader_only")) and not leader:
            write_log(f"Skipping {kind} {name}: this instance does not lead", place=COMMANDS_LOG)
            return
        if said.get("test") and run("/bin/bash", "-c", str(said["test"]), place=COMMANDS_LOG, env=env, cwd=place).returncode:
            write_log(f"Test failed, so {kind} {name} is left out", place=COMMANDS_LOG)
            return
        done = run(*words, place=COMMANDS_LOG, env=env, cwd=place)
        if done.returncode and not true(said.get("ignoreErrors")):
            raise Failed(f"{kind} {name} in .ebextensions/{self.name} failed. For more detail, check {COMMANDS_LOG}: {done.last()}")
        self.changed.add(("commands", name))

    def service(self, kind, name, service):
        if kind not in ("sysvinit", "systemd"):
            raise self.wrong(f"services of {kind} are not supported")
        if "enabled" in service:
            need(f"Enabling the service {name}", "systemctl", "enable" if true(service["enabled"]) else "disable", "--", name, place=LOG)
        hangs_on = {(key, one) for key in ("files", "sources", "commands") for one in service.get(key) or []}
        for packages in (service.get("packages") or {}).values():
            hangs_on |= {("packages", one) for one in packages or []}
        if "ensureRunning" in service:
            word = "stop" if not true(service["ensureRunning"]) else "restart" if hangs_on & self.changed else "start"
            need(f"The service {name}", "systemctl", word, "--", name, place=LOG)


def apply(found):
    for name, said in found:
        File(name, said).apply()


def container_commands(found, env, cwd, leader):
    """As one list over all files of each file's own, as they are sorted there."""
    for name, said in found:
        file = File(name, said)
        for one, command in file.part("container_commands"):
            file.command("container_command", one, command, env, cwd, leader)
