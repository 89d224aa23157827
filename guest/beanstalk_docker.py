"""The platform Docker: a bundle with a Dockerfile, a Dockerrun.aws.json or a docker-compose.yml, as containers of the instance.

One container is behind nginx at its first port. What a docker-compose.yml says publishes its ports itself, and nginx does not run.
"""
import json
import os
import re
import time

import beanstalk_box as box
import beanstalk_compose as compose
import beanstalk_network as network
from beanstalk_images import Images, check_name
from beanstalk_language import Language, passed_to
from beanstalk_system import Failed, over, write
from ecs_client import Refused

LOGS, CURRENT = "/var/log/eb-docker/containers", "/var/log/eb-docker/containers/eb-current-app"
NAME, GENERATED = "current-app", "# Made of the environment's properties.\n"
KEYS = {"1": {"AWSEBDockerrunVersion", "Image", "Authentication", "Ports", "Volumes", "Logging", "Command", "Entrypoint"}, "3": {"AWSEBDockerrunVersion", "Authentication"}}
EXPOSE = re.compile(r"^\s*(FROM|EXPOSE)\b\s*(.*)$", re.IGNORECASE)
DOCKERRUN_MOST = 1 << 20
START_S = 60


def refuse(text):
    return Failed(f"Instance deployment: {text} The deployment failed.")


def dockerrun(root):
    """What Dockerrun.aws.json says; None: there is none."""
    path = f"{root}/Dockerrun.aws.json"
    try:
        with open(path, encoding="utf-8") as f:
            found = json.loads(f.read(DOCKERRUN_MOST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as e:
        raise refuse(f"'Dockerrun.aws.json' in your source bundle isn't valid JSON ({e}).") from e
    version = str(found.get("AWSEBDockerrunVersion")) if isinstance(found, dict) else ""
    if version not in KEYS:
        raise refuse("'Dockerrun.aws.json' in your source bundle specifies an unsupported version. Elastic Beanstalk only supports version 1 for non compose app "
                     "and version 3 for compose app.")
    unknown = sorted(set(found) - KEYS[version])
    if unknown:
        raise refuse(f"'Dockerrun.aws.json' has keys that are not supported: {', '.join(unknown)[:200]}.")
    return found


def shape(found, key, kind, name):
    value = found.get(key)
    if value is not None and not isinstance(value, kind):
        raise refuse(f"{key} of 'Dockerrun.aws.json' must be {name}.")
    return value


def port_number(value, key):
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,5}", str(value)) or not 0 < int(value) < 65536:
        raise refuse(f"{key} of 'Dockerrun.aws.json' is no port: {str(value)[:60]}.")
    return int(value)


def exposed(dockerfile, config):
    """The first port that the last stage of a Dockerfile names, or the lowest that its image has from elsewhere; None: there is none."""
    declared = sorted(int(p.partition("/")[0]) for p in config.get("ExposedPorts") or {} if p.partition("/")[2] in ("", "tcp"))
    first = None
    if dockerfile:
        with open(dockerfile, encoding="utf-8", errors="replace") as f:
            for m in filter(None, map(EXPOSE.match, f)):
                if m[1].upper() == "FROM":
                    first = None
                elif first is None:
                    first = next((int(p) for p in re.findall(r"\b(\d{1,5})\b(?:/tcp)?", m[2]) if int(p) in declared), None)
    return first or (declared[0] if declared else None)


def split(text, key):
    """A command as Docker takes it: a list in JSON, or words."""
    try:
        found = json.loads(text)
        if isinstance(found, list) and all(isinstance(w, str) for w in found):
            return found
    except ValueError:
        pass
    return compose.words(text, key)


def last_words(path, begin):
    """What a container that has ended has said. Who writes it down may be a moment late."""
    until = time.monotonic() + 2
    while (not os.path.exists(path) or os.path.getsize(path) <= begin) and time.monotonic() < until:
        time.sleep(0.05)
    with open(path, "ab+") as f:
        f.seek(begin)
        return f.read(1 << 16).decode(errors="replace").strip()[-200:] or "it said nothing"


class Docker(Language):
    """port is not the platform's but the container's, and known once its image is there."""

    port = 80

    def __init__(self, _settings, number):
        super().__init__({}, number)
        self.boxes, self.upstream, self.images, self.begun = [], None, None, False

    def bind(self, client, serial, root, app, properties):
        """serial: of this deployment; number is of the one that brought the version. root: the bundle as it lies now, app: where it will be."""
        self.client, self.serial, self.root, self.app, self.properties = client, serial, root, app, properties
        self.composed = compose.find(root)

    # -- what a deployment asks of each platform

    def environment(self, _port):
        return {}

    def locations(self, _port):
        return passed_to(f"http://{self.upstream}")

    def proxied(self):
        return not self.composed

    def tag(self, name):
        return f"localhost/eb-{self.number}-{name.lower()}:latest"

    # -- the bundle

    def known(self):
        """(definitions, what Dockerrun.aws.json says)"""
        root = self.root
        said, path = dockerrun(root), self.composed
        if os.path.exists(f"{root}/Procfile"):
            raise refuse("a 'Procfile' gives commands of Docker, which this platform runs without; leave it out.")
        if path:
            if said and str(said["AWSEBDockerrunVersion"]) != "3":
                raise refuse("'Dockerrun.aws.json' in your source bundle specifies an unsupported version. Elastic Beanstalk only supports version 1 for non compose "
                             "app and version 3 for compose app.")
            return compose.services(path, {**self.dotenv(), "EB_LOG_BASE_DIR": LOGS}, root, self.app, box.VOLUMES), said
        if said and str(said["AWSEBDockerrunVersion"]) == "3":
            raise refuse("'Dockerrun.aws.json' of version 3 goes with a 'docker-compose.yml', which your source bundle doesn't have.")
        if not said and not os.path.isfile(f"{root}/Dockerfile"):
            raise refuse("Both 'Dockerfile' and 'Dockerrun.aws.json' are missing in your source bundle. Include at least one of them.")
        return [self.single(root, said or {})], said

    def dotenv(self):
        """The properties as a file beside docker-compose.yml, unless the bundle has its own."""
        path = f"{self.root}/.env"
        if os.path.lexists(path):
            if os.path.islink(path) or not os.path.isfile(path):
                raise refuse("'.env' is no file.")
            with open(path, encoding="utf-8", errors="replace") as f:
                if f.readline() != GENERATED:
                    return {**self.properties, **compose.read_env(path)}
        write(path, GENERATED + "".join(f"{k}={v}\n" for k, v in self.properties.items() if "\n" not in v), 0o600)
        return dict(self.properties)

    def single(self, root, said):
        image, ports = shape(said, "Image", dict, "an object"), shape(said, "Ports", list, "a list") or []
        has_file = os.path.isfile(f"{root}/Dockerfile")
        if image is None and not has_file:
            raise refuse("'Dockerrun.aws.json' names no Image, and there is no 'Dockerfile'.")
        if image is not None and has_file:
            raise refuse("specify either an Image in 'Dockerrun.aws.json' or a 'Dockerfile', not both.")
        if image is not None and not isinstance(image.get("Name"), str):
            raise refuse("Image of 'Dockerrun.aws.json' has no Name.")
        if image is not None and not ports:
            raise refuse("'Dockerrun.aws.json' names an Image, so it has to list Ports.")
        found = []
        for one in ports:
            if not isinstance(one, dict) or "ContainerPort" not in one or set(one) - {"ContainerPort", "HostPort"}:
                raise refuse("each of Ports in 'Dockerrun.aws.json' has a ContainerPort, and may have a HostPort.")
            inner = port_number(one["ContainerPort"], "ContainerPort")
            outer = port_number(one["HostPort"], "HostPort") if one.get("HostPort") not in (None, "") else None
            if outer == 80:
                raise refuse("HostPort 80 is the proxy's.")
            found.append((outer, inner))
        binds = []
        for one in shape(said, "Volumes", list, "a list") or []:
            if not isinstance(one, dict) or set(one) - {"HostDirectory", "ContainerDirectory"} or not all(
                    isinstance(one.get(k), str) and one[k].startswith("/") for k in ("HostDirectory", "ContainerDirectory")):
                raise refuse("each of Volumes in 'Dockerrun.aws.json' has an absolute HostDirectory and ContainerDirectory.")
            binds.append((os.path.normpath(one["HostDirectory"]), one["ContainerDirectory"], False))
        logging = shape(said, "Logging", str, "a string")
        if logging:
            binds.append((CURRENT, logging, False))
        if any(os.path.normpath(target) == "/" or not target.startswith("/") for _, target, _ in binds):
            raise refuse("Logging and Volumes of 'Dockerrun.aws.json' name folders in the container.")
        command, entry = shape(said, "Command", str, "a string"), shape(said, "Entrypoint", str, "a string")
        return {"name": NAME, "image": check_name(image["Name"]) if image else None, "update": str((image or {}).get("Update", "true")).lower() != "false",
                "build": None if image else {"context": root, "dockerfile": f"{root}/Dockerfile", "arguments": [], "target": None},
                "inner": [inner for _, inner in found], "ports": [("tcp", outer, inner) for outer, inner in found if outer], "binds": binds,
                "command": split(command, "Command") if command else None, "entryPoint": split(entry, "Entrypoint") if entry else None,
                "environment": self.properties, "aliases": [NAME], "log": f"{CURRENT}/stdouterr.log"}

    def login(self, said):
        """Names and passwords of other registries, which lie in a bucket."""
        where = shape(said or {}, "Authentication", dict, "an object")
        if not where:
            return None
        where = {k.lower(): v for k, v in where.items()}
        if set(where) != {"bucket", "key"} or not all(isinstance(v, str) for v in where.values()):
            raise refuse("Authentication of 'Dockerrun.aws.json' has a Bucket and a Key.")
        try:
            found = json.loads(self.client.object(where["bucket"], where["key"]))
        except (Refused, OSError) as e:
            raise refuse(f"the file of Authentication cannot be fetched: {e}.") from e
        except ValueError as e:
            raise refuse("the file of Authentication is no JSON.") from e
        if not isinstance(found, dict):
            raise refuse("the file of Authentication is no JSON object.")
        auths = found.get("auths", found)
        if not isinstance(auths, dict) or not all(isinstance(a, dict) for a in auths.values()):
            raise refuse("the file of Authentication has no auths.")
        return {"auths": {re.sub(r"^https?://|/v[12]/?$", "", place): {"auth": a["auth"]} for place, a in auths.items() if isinstance(a.get("auth"), str)}}

    @staticmethod
    def texts(definitions):
        """Where names of images are written."""
        found = [one["image"] for one in definitions if one["image"]]
        for one in definitions:
            if one["build"]:
                with open(one["build"]["dockerfile"], encoding="utf-8", errors="replace") as f:
                    found += [f.read(DOCKERRUN_MOST), *one["build"]["arguments"]]
        return found

    # -- a deployment

    def install(self, _env):
        """The images of a version that comes."""
        definitions, said = self.known()
        self.images = Images(self.client, self.texts(definitions), self.login(said))
        for one in definitions:
            if one["build"]:
                self.images.build(self.tag(one["name"]), one["build"]["context"], one["build"]["dockerfile"], one["build"]["arguments"], one["build"]["target"])
            else:
                self.images.pull(one["image"], self.tag(one["name"]), one.get("update", True))

    def prepare(self):
        """The containers, beside those that run."""
        definitions, _ = self.known()
        self.images = self.images or Images(self.client)
        if self.proxied():
            one, = definitions
            inner = one["inner"][0] if one["inner"] else exposed(one["build"] and one["build"]["dockerfile"], self.images.config(self.tag(NAME)))
            self.inner = inner
            if not inner:
                raise Failed("No EXPOSE directive found in Dockerfile, abort deployment")
        for one in definitions:
            one.setdefault("log", f"{CURRENT}/{one['name']}-stdouterr.log")
        wanted = [port for one in definitions for port in one["ports"]]
        network.check(wanted, set() if self.proxied() else {("tcp", 80)})
        self.boxes = box.prepare(self.images, self.serial, definitions, {one["name"]: self.tag(one["name"]) for one in definitions})
        if self.proxied():
            self.upstream = f"{self.boxes[0].address}:{inner}"

    def try_out(self):
        """The container that nginx will ask begins beside the one that it asks now: one that quits leaves that alone. Not what has the bundle's files in it, which
        lie elsewhere yet."""
        one, = self.boxes
        if any(source == "/var/app" or source.startswith("/var/app/") for source, *_ in one.definition["binds"]):
            return
        begin, until = os.path.getsize(one.definition["log"]) if os.path.exists(one.definition["log"]) else 0, time.monotonic() + START_S
        self.begun = True
        one.begin()
        while not one.listens(self.inner) and not over() and time.monotonic() < until:
            if one.quit():
                raise Failed(f"Docker container quit unexpectedly after launch: {last_words(one.definition['log'], begin)}. Check snapshot logs for details")
            time.sleep(0.05)

    def publish(self):
        network.publish(network.bridge(), box.ports(self.boxes))

    def settled(self):
        """These run now: what others left goes."""
        box.drop_others(self.images, self.serial)
        self.images.forget({self.tag(one.name).rsplit(":", 1)[0] for one in self.boxes})

    def undone(self):
        for one in self.boxes:
            one.end()
            box.drop(self.images, one.id)
