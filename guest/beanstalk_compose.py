"""A bundle's docker-compose.yml as what beanstalk_box runs: its services, their images, names, files and ports.

What is not understood is refused by its name: a key that does nothing would be a surprise on the day when it matters.
"""
import os
import re
import shlex

import yaml
from beanstalk_extensions import Texts
from beanstalk_images import check_name
from beanstalk_system import Failed

FILE_MOST, NODES_MOST, DEPTH_MOST, SERVICES_MOST = 1 << 20, 20000, 40, 50
NAMES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
TOP = {"version", "name", "services", "volumes", "networks"}
KEYS = {"image", "build", "ports", "expose", "environment", "env_file", "command", "entrypoint", "volumes", "depends_on", "restart", "container_name", "hostname", "user",
        "working_dir", "init", "read_only", "stop_signal", "stop_grace_period", "tmpfs", "extra_hosts", "labels", "links", "stdin_open", "tty", "healthcheck", "networks", "mem_limit", "mem_reservation", "cpu_shares", "shm_size", "cap_drop", "security_opt"}
CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])([^{}]*))?\}|(.?))", re.ASCII)
PORT = re.compile(r"(?:(?P<address>\d+(?:\.\d+){3}|\[[0-9a-f:]+\]):)?(?:(?P<host>\d{1,5}(?:-\d{1,5})?):)?(?P<inner>\d{1,5}(?:-\d{1,5})?)(?:/(?P<protocol>tcp|udp))?")
TIME = re.compile(r"(?:(\d+)m)?(?:(\d+)s)?")
SIZE = re.compile(r"(\d{1,12})([kmg]?)b?", re.IGNORECASE)


def find(root):
    return next((f"{root}/{name}" for name in NAMES if os.path.isfile(f"{root}/{name}")), None)


def wrong(where, what):
    return Failed(f"docker-compose.yml: {where}: {what}")


# ---- the text

def weigh(text):
    """Refuses what would grow without bounds when its aliases are followed."""
    sizes, names, anchors = [0], [], {}
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in names:
                raise Failed("docker-compose.yml: an alias is within what it stands for")
            sizes[-1] += anchors.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[-1] += 1
            if event.anchor:
                anchors[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            names.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = sizes.pop(), names.pop()
            sizes[-1] += size
            if anchor:
                anchors[anchor] = size
        if sizes[-1] > NODES_MOST or len(sizes) > DEPTH_MOST:
            raise Failed("docker-compose.yml is too large once its aliases are followed, or too deep")


def load(path):
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read(FILE_MOST + 1)
        if len(text) > FILE_MOST:
            raise Failed("docker-compose.yml is too large")
        weigh(text)
        found = yaml.load(text, Texts)  # noqa: S506: it makes nothing but texts, lists and maps
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, RecursionError) as e:
        raise Failed(f"docker-compose.yml cannot be read: {' '.join(str(e).split())}") from e
    if not isinstance(found, dict):
        raise Failed("docker-compose.yml is no map")
    return found


def interpolate(value, env, where):
    """Variables in texts, not in keys."""
    if isinstance(value, dict):
        return {k: interpolate(v, env, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [interpolate(v, env, where) for v in value]
    if not isinstance(value, str):
        return value

    def one(m):
        dollar, plain, name, operator, word, rest = m.groups()
        if dollar:
            return "$"
        if rest is not None:
            raise wrong(where, f"invalid interpolation format: '{value[:100]}'")
        name = plain or name
        there = name in env and (env[name] != "" or not (operator or "").startswith(":"))
        if operator and operator.endswith("?") and not there:
            raise wrong(where, f"required variable {name} is missing a value: {word}")
        if operator and operator.endswith("+"):
            return word if there else ""
        return env[name] if there else word if operator and operator.endswith("-") else ""
    return VARIABLE.sub(one, value)


def read_env(path):
    """A file of NAME=VALUE lines."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.strip().removeprefix("export ")
            name, equals, value = line.partition("=")
            if not line or line.startswith("#") or not equals:
                continue
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1] if value[0] == "'" else re.sub(r'\\(["\\n$])', lambda m: "\n" if m[1] == "n" else m[1], value[1:-1])
            else:
                value = re.split(r"\s+#", value)[0]
            found[name.strip()] = value
    return found


# ---- parts of a service

def texts(value, where):
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    raise wrong(where, "must be a string or a list of strings")


def pairs(value, where, env):
    """{name: value} of a map or of a list of NAME=VALUE; a name alone takes what the environment has."""
    if isinstance(value, list):
        value = {name: text if equals else None for name, equals, text in (v.partition("=") for v in texts(value, where))}
    if not isinstance(value, dict) or any(isinstance(v, (dict, list)) for v in value.values()):
        raise wrong(where, "must be a map, or a list of NAME=VALUE")
    return {str(k): v if v is not None else env[k] for k, v in value.items() if v is not None or k in env}


def truth(value, where):
    if value in ("true", "yes", "on", "false", "no", "off"):
        return value in ("true", "yes", "on")
    raise wrong(where, "must be true or false")


def words(value, where):
    """Of a command; a text is split as a shell would."""
    if value is None:
        return None
    try:
        return shlex.split(value) if isinstance(value, str) else texts(value, where)
    except ValueError as e:
        raise wrong(where, str(e)) from e


def inside(root, path, where):
    """A folder or file of the bundle, as it is found there."""
    place = os.path.realpath(os.path.join(root, path))
    if place != os.path.realpath(root) and not place.startswith(os.path.realpath(root) + "/"):
        raise wrong(where, f"{path[:200]} is not in the source bundle")
    return place


def build_of(said, root, where):
    said = {"context": said} if isinstance(said, str) else said
    if not isinstance(said, dict) or set(said) - {"context", "dockerfile", "args", "target"}:
        raise wrong(where, "must be a folder, or a map of context, dockerfile, args and target; more is not supported")
    context = inside(root, said.get("context") or ".", where)
    dockerfile = inside(context, said.get("dockerfile") or "Dockerfile", where)
    if not os.path.isfile(dockerfile):
        raise wrong(where, f"there is no {said.get('dockerfile') or 'Dockerfile'}")
    target = said.get("target")
    if target is not None and not re.fullmatch(r"[\w.-]+", str(target)):
        raise wrong(where, "target is no name of a stage")
    return {"context": context, "dockerfile": dockerfile, "target": target, "arguments": [f"{k}={v}" for k, v in pairs(said.get("args") or {}, where, {}).items()]}


def span(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def ports_of(said, where):
    """[(protocol, port of the instance, port of the container)]"""
    found = []
    if not isinstance(said, list):
        raise wrong(where, "must be a list")
    for one in said:
        if isinstance(one, dict):
            if set(one) - {"target", "published", "protocol", "mode"} or one.get("mode", "ingress") not in ("host", "ingress"):
                raise wrong(where, "of a port target, published and protocol are supported")
            one = f"{one.get('published') or ''}:{one.get('target')}/{one.get('protocol') or 'tcp'}".removeprefix(":")
        m = PORT.fullmatch(one) if isinstance(one, str) else None
        if not m:
            raise wrong(where, f"invalid port '{str(one)[:60]}'")
        if m["address"] not in (None, "0.0.0.0"):
            raise wrong(where, f"{one}: ports of single addresses are not supported")
        if not m["host"]:
            raise wrong(where, f"{one}: the port of the instance has to be said (HOST:CONTAINER); ports by chance are not supported")
        outer, inner = span(m["host"]), span(m["inner"])
        if len(outer) != len(inner) or not outer or outer[-1] > 65535 or inner[-1] > 65535 or not outer[0] or not inner[0] or len(outer) > 100:
            raise wrong(where, f"invalid port '{one}'")
        found += [(m["protocol"] or "tcp", a, b) for a, b in zip(outer, inner)]
    return found


def mounts_of(said, where, service, app, named, root):
    """[(folder or file of the instance, place in the container, read-only)], and what of memory. Names are those of volumes, which stay."""
    found, memory = [], []
    if not isinstance(said, list):
        raise wrong(where, "must be a list")
    for one in said:
        if isinstance(one, str):
            parts = one.split(":")
            if len(parts) > 3 or (len(parts) == 3 and set(parts[2].split(",")) - {"ro", "rw", "z", "Z", "cached", "delegated", "consistent"}):
                raise wrong(where, f"invalid volume '{one[:100]}'")
            source, target = (None, parts[0]) if len(parts) == 1 else parts[:2]
            one = {"type": "bind" if source and source[0] in "./~" else "volume", "source": source, "target": target,
                   "read_only": "true" if len(parts) == 3 and "ro" in parts[2].split(",") else "false"}
        if not isinstance(one, dict) or set(one) - {"type", "source", "target", "read_only"} or one.get("type") not in ("bind", "volume", "tmpfs"):
            raise wrong(where, "of a volume type (bind, volume, tmpfs), source, target and read_only are supported")
        kind, source, target, read_only = one["type"], one.get("source"), one.get("target"), truth(one.get("read_only") or "false", where)
        if not isinstance(target, str) or not target.startswith("/") or os.path.normpath(target) == "/":
            raise wrong(where, f"'{target}' is no place in a container: it must be absolute, and not the root")
        if kind == "tmpfs":
            memory.append(target)
            continue
        if kind == "bind":
            if not isinstance(source, str) or source.startswith("~"):
                raise wrong(where, f"'{source}' is no folder")
            if os.path.basename(source) == "docker.sock":
                raise wrong(where, "there is no Docker whose socket could be shared")
            place = os.path.normpath(os.path.join(app, source))
            found.append((place, target, read_only))
            continue
        if source is None:
            source = f"{service}-{re.sub('[^a-zA-Z0-9]', '_', target)}"
        elif source not in named:
            raise wrong(where, f"service \"{service}\" refers to undefined volume {source}")
        found.append((f"{root}/{source}", target, read_only))
    return found, memory


def seconds(text, where):
    m = TIME.fullmatch(text) if isinstance(text, str) else None
    if not m or not (m[1] or m[2]):
        raise wrong(where, "must be a time as 1m30s")
    return int(m[1] or 0) * 60 + int(m[2] or 0)


def restart_of(said, where):
    """(policy, how often at most; 0: always)"""
    m = re.fullmatch(r"(no|always|unless-stopped|on-failure)(?::(\d{1,4}))?", said) if isinstance(said, str) else None
    if not m or (m[2] and m[1] != "on-failure"):
        raise wrong(where, f"invalid restart policy '{said}'")
    return ("always" if m[1] == "unless-stopped" else m[1]), int(m[2] or 0)


def after_of(said, where):
    """{service: on what condition}"""
    if not isinstance(said, dict):
        return dict.fromkeys(texts(said, where), "service_started")
    for name, how in said.items():
        if how is not None and (not isinstance(how, dict) or set(how) - {"condition"} or how.get("condition", "service_started") not in CONDITIONS):
            raise wrong(where, f"{name}: of a dependency its condition alone is supported: {', '.join(CONDITIONS)}")
    return {str(name): (how or {}).get("condition", "service_started") for name, how in said.items()}


def check_of(said, where):
    """How a container is asked whether it is well, and for how long; None: as its image says. It matters to those that wait for it."""
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) - {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}:
        raise wrong(where, "test, interval, timeout, retries, start_period, start_interval and disable are supported")
    test = said.get("test")
    if truth(said.get("disable") or "false", where) or test == ["NONE"]:
        return {}
    argv = ["/bin/sh", "-c", test] if isinstance(test, str) else None
    if isinstance(test, list) and len(test) > 1 and all(isinstance(w, str) for w in test):
        argv = test[1:] if test[0] == "CMD" else ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" and len(test) == 2 else None
    if not argv or not re.fullmatch(r"\d{1,4}", str(said.get("retries", "3"))):
        raise wrong(where, "test is a text, or a list that begins with CMD, CMD-SHELL or NONE; retries is a number")
    interval, timeout, begin = (seconds(said.get(key) or usual, where) for key, usual in (("interval", "30s"), ("timeout", "30s"), ("start_period", "0s")))
    return {"argv": argv, "timeout": timeout or 1, "within": begin + (interval + timeout) * max(1, int(said.get("retries", "3")))}


def mebibytes(text, where):
    m = SIZE.fullmatch(text) if isinstance(text, str) else None
    if not m:
        raise wrong(where, "must be a size as 64m")
    return max(1, (int(m[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[m[2].lower()]) >> 20)


def networks_of(said, named, where):
    """{network: names there}"""
    said = dict.fromkeys(texts(said, where)) if not isinstance(said, dict) else said
    for name, how in said.items():
        if name not in named and name != "default":
            raise wrong(where, f"refers to undefined network {name}")
        if how is not None and (not isinstance(how, dict) or set(how) - {"aliases"}):
            raise wrong(where, f"{name}: of a network in a service aliases alone are supported")
    return {name: texts((how or {}).get("aliases") or [], where) for name, how in said.items()}


def order(services):
    """Names, those that others depend on first."""
    found, under = [], []

    def add(name):
        if name in under:
            raise Failed(f"docker-compose.yml: dependency cycle detected: {' -> '.join([*under, name])}")
        if name in found:
            return
        under.append(name)
        for other in services[name]["conditions"]:
            if other not in services:
                raise wrong(f"services.{name}", f"depends on undefined service {other}")
            add(other)
        under.pop()
        found.append(name)
    for name in services:
        add(name)
    return found


# ---- the whole

def service_of(name, said, env, root, app, volumes, networks):
    where = f"services.{name}"
    if not SERVICE.fullmatch(str(name)) or not isinstance(said, dict):
        raise wrong(where, "is no service")
    for key in said:
        if key not in KEYS and not str(key).startswith("x-"):
            raise wrong(where, f"{key} is not supported")
    if not said.get("image") and not said.get("build"):
        raise wrong(where, "has neither an image nor a build context specified")
    for key in ("stdin_open", "tty"):
        if truth(said.get(key) or "false", where):
            raise wrong(where, f"{key} is not supported: nobody could be at the other end")
    inner = {}
    for file in said.get("env_file") if isinstance(said.get("env_file"), list) else [said["env_file"]] if said.get("env_file") else []:
        file = {"path": file} if isinstance(file, str) else file
        if not isinstance(file, dict) or set(file) - {"path", "required"} or not isinstance(file.get("path"), str):
            raise wrong(where, "env_file names files")
        try:
            inner.update(read_env(inside(root, file["path"], where)))
        except OSError as e:
            if truth(file.get("required") or "true", where):
                raise wrong(where, f"env file {file['path'][:200]} not found: {e.strerror}") from e
        except UnicodeDecodeError as e:
            raise wrong(where, f"env file {file['path'][:200]} is no text") from e
    inner.update(pairs(said.get("environment") or {}, where, env))
    binds, memory = mounts_of(said.get("volumes") or [], where, name, app, volumes[0], volumes[1])
    memory += texts(said.get("tmpfs") or [], where)
    if any(not t.startswith("/") or ":" in t for t in memory):
        raise wrong(where, "tmpfs names places in a container; its options are not supported")
    aliases = [name, *([said["container_name"]] if said.get("container_name") else []), *([said["hostname"]] if said.get("hostname") else [])]
    joined = networks_of(said.get("networks") or ["default"], networks, where)
    aliases += [a for names in joined.values() for a in names]
    if not all(isinstance(a, str) and SERVICE.fullmatch(a) for a in aliases):
        raise wrong(where, "container_name, hostname and aliases are names")
    links = texts(said.get("links") or [], where)
    others = [f"{h.replace('=', ':', 1)}" for h in (texts(said["extra_hosts"], where) if isinstance(said.get("extra_hosts"), (list, str)) else
                                                   [f"{k}:{v}" for k, v in pairs(said.get("extra_hosts") or {}, where, {}).items()])]
    if any(not re.fullmatch(r"[\w.-]+:[0-9a-f.:]+", h) for h in others):
        raise wrong(where, "extra_hosts are NAME:ADDRESS")
    stop = said.get("stop_signal")
    if stop is not None and not re.fullmatch(r"(SIG)?[A-Z0-9+]{1,12}", str(stop)):
        raise wrong(where, "stop_signal is no signal")
    capabilities, security = texts(said.get("cap_drop") or [], where), texts(said.get("security_opt") or [], where)
    if not all(re.fullmatch(r"[A-Z_]{1,30}", c) for c in capabilities) or set(security) - {"no-new-privileges", "no-new-privileges:true"}:
        raise wrong(where, "cap_drop names capabilities, and of security_opt no-new-privileges alone is supported")
    shares = said.get("cpu_shares")
    if shares is not None and not re.fullmatch(r"\d{1,6}", str(shares)):
        raise wrong(where, "cpu_shares is a number")
    limits = {to: mebibytes(said[key], where) for key, to in (("mem_limit", "memory"), ("mem_reservation", "memoryReservation")) if said.get(key) is not None}
    for key in ("user", "working_dir"):
        if said.get(key) is not None and not isinstance(said[key], str):
            raise wrong(where, f"{key} must be a string")
    return {
        "name": name, "image": check_name(said["image"]) if said.get("image") and not said.get("build") else None,
        "build": build_of(said["build"], root, where) if said.get("build") else None, "environment": inner, "binds": binds,
        "ports": ports_of(said.get("ports") or [], where), "command": words(said.get("command"), where), "entryPoint": words(said.get("entrypoint"), where),
        "user": said.get("user"), "workingDirectory": said.get("working_dir"), "readonlyRootFilesystem": truth(said.get("read_only") or "false", where),
        "hostname": said.get("hostname"), "aliases": aliases, "restart": restart_of(said.get("restart") or "no", where),
        "conditions": {**dict.fromkeys((link.partition(":")[0] for link in links), "service_started"), **after_of(said.get("depends_on") or [], where)},
        "check": check_of(said.get("healthcheck"), where), "networks": set(joined), **limits, **({"cpu": int(shares)} if shares else {}),
        "dockerSecurityOptions": ["no-new-privileges"] if security else [],
        "nicknames": {link.partition(":")[2]: link.partition(":")[0] for link in links if ":" in link}, "stopSignal": stop,
        "stopTimeout": seconds(said.get("stop_grace_period") or "10s", where),
        "extraHosts": [{"hostname": h.partition(":")[0], "ipAddress": h.partition(":")[2]} for h in others],
        "linuxParameters": {"initProcessEnabled": truth(said.get("init") or "false", where), "tmpfs": [{"containerPath": t, "size": 64} for t in memory],
                            "capabilities": {"drop": [c.removeprefix("CAP_") for c in capabilities]},
                            **({"sharedMemorySize": mebibytes(said["shm_size"], where)} if said.get("shm_size") else {})}}


def services(path, env, root, app, place):
    """Definitions in the order in which they start. env: what variables of the file mean; root: the bundle as it lies now, app: where it will be; place: of named
    volumes."""
    said = interpolate(load(path), env, "docker-compose.yml")
    for key in said:
        if key not in TOP and not str(key).startswith("x-"):
            raise Failed(f"docker-compose.yml: {key} is not supported")
    named = said.get("volumes") or {}
    if not isinstance(named, dict) or not all(SERVICE.fullmatch(str(n)) for n in named):
        raise Failed("docker-compose.yml: volumes is no map of names")
    if any(v and (not isinstance(v, dict) or set(v) - {"driver"} or v.get("driver", "local") != "local") for v in named.values()):
        raise Failed("docker-compose.yml: volumes: the driver local alone is supported, without options")
    wanted = said.get("services")
    if not isinstance(wanted, dict) or not wanted:
        raise Failed("docker-compose.yml: no service selected: there are no services")
    if len(wanted) > SERVICES_MOST:
        raise Failed(f"docker-compose.yml: more than {SERVICES_MOST} services")
    networks = said.get("networks") or {}
    if not isinstance(networks, dict) or any(n and (not isinstance(n, dict) or set(n) - {"driver"} or n.get("driver", "bridge") != "bridge") for n in networks.values()):
        raise Failed("docker-compose.yml: networks: the driver bridge alone is supported, without options")
    found = {name: service_of(name, one, env, root, app, (named, place), networks) for name, one in wanted.items()}
    for name, one in found.items():
        apart = next((other for other in found if not one["networks"] & found[other]["networks"]), None)
        if apart:
            raise wrong(f"services.{name}", f"it shares no network with {apart}: networks that keep services apart are not supported")
    taken = {}
    for name, one in found.items():
        for protocol, port, _ in one["ports"]:
            if taken.setdefault((protocol, port), name) != name:
                raise wrong(f"services.{name}", f"Bind for 0.0.0.0:{port} failed: port is already allocated")
    return [found[name] for name in order(found)]
