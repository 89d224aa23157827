"""Images of containers in an environment of Elastic Beanstalk, by buildah: pulled, built, and as root file systems of containers.

Its store and its configuration are made in environments alone; elsewhere whoever installs buildah has Debian's. Images of this cloud's registry are asked for as
the instance's role, under the names that AWS's registry has.
"""
import base64
import json
import os
import re
import subprocess

from beanstalk_system import BASE, Failed, run, write
from ecs_client import ENDPOINT, Refused

PROGRAM = "/usr/lib/quartet/buildah"
PLACE, CONFIG = "/var/lib/elasticbeanstalk/images", "/etc/containers"
OWN = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]{1,30})\.amazonaws\.com")
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(/[a-z0-9._-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.IGNORECASE)
REGISTRY = """[[registry]]
prefix = "{prefix}"
location = "{location}"
insecure = true
"""
STEP = re.compile(r"^\s*(FROM|RUN|COPY|ADD)\s", re.IGNORECASE)
STEPS_MOST = 127  # of one stage that make a layer each, as overlayfs under Docker takes them
# of an image that says nothing of how its layers came to be; such ones are built upon as a whole
NO_HISTORY = "history lists"
# what is written on a container's own account may not be more than the instance's disk: that is the instance's limit
STORAGE = f"""[storage]
driver = "overlay"
graphroot = "{PLACE}"
rootless_storage_path = "{PLACE}"
runroot = "/run/elasticbeanstalk/images"
"""


def in_user_namespace():
    """Where root is not the machine's: overlayfs keeps its attributes under other names there, which buildah has to be told."""
    with open("/proc/self/uid_map", encoding="ascii") as f:
        return f.read().split() != ["0", "0", "4294967295"]


def settings():
    found = {**BASE, "CONTAINERS_STORAGE_CONF": f"{CONFIG}/storage.conf", "TMPDIR": "/var/tmp", "BUILDAH_ISOLATION": "chroot",
             "XDG_RUNTIME_DIR": "/run/elasticbeanstalk"}
    return {**found, **({"_CONTAINERS_USERNS_CONFIGURED": "done", "_CONTAINERS_ROOTLESS_UID": "1"} if in_user_namespace() else {})}


def check_name(name):
    """What is asked of a registry is a name and nothing else."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Failed(f"invalid reference format: '{str(name)[:200]}' is no name of an image")
    return name


def accounts(texts):
    """[(account, region)] of this cloud's registries that are named somewhere."""
    return sorted({(m[1], m[2]) for text in texts for m in OWN.finditer(text)})


def check_steps(dockerfile):
    steps = 0
    with open(dockerfile, encoding="utf-8", errors="replace") as f:
        for m in filter(None, map(STEP.match, f)):
            steps = 0 if m[1].upper() == "FROM" else steps + 1
            if steps > STEPS_MOST:
                raise Failed("Instance deployment failed to build the Docker image. The deployment failed. max depth exceeded: a stage of the Dockerfile has more than "
                             f"{STEPS_MOST} steps that make a layer")


class Images:
    """One deployment's. client: asks this cloud as the instance's role."""

    def __init__(self, client, texts=(), login=None):
        self.env, self.auth = settings(), "/run/elasticbeanstalk/auth.json"
        os.makedirs("/run/elasticbeanstalk", exist_ok=True)
        write(f"{CONFIG}/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')
        write(f"{CONFIG}/storage.conf", STORAGE)
        port, found, known, hosts = ENDPOINT[1], accounts(texts), {}, []
        regions = sorted({region for _, region in found} | {client.region})
        registries = ['short-name-mode = "permissive"\n']  # short names are those of Debian's list, and of what a bundle adds to registries.conf.d
        for region in regions:
            registries.append(REGISTRY.format(prefix=f"*.dkr.ecr.{region}.amazonaws.com", location=f"ecr.{region}.localhost:{port}"))
            known[f"ecr.{region}.localhost:{port}"] = region
            hosts.append(f"ecr.{region}.localhost")
        for account, region in found:
            name = f"{account}.dkr.ecr.{region}.localhost"
            registries.append(REGISTRY.format(prefix=f"{account}.dkr.ecr.{region}.amazonaws.com", location=f"{name}:{port}"))
            known[f"{name}:{port}"] = region
            hosts.append(name)
        write(f"{CONFIG}/registries.conf", "\n".join(registries))
        self.names(hosts)
        auths = dict((login or {}).get("auths") or {})
        try:
            tokens = {region: self.token(client, region) for region in regions} if found else {}
        except (OSError, Refused, LookupError) as e:
            raise Failed(f"the registry gives no authorization: {e}") from e
        auths.update({place: {"auth": tokens[region]} for place, region in known.items() if region in tokens})
        write(self.auth, json.dumps({"auths": auths}), 0o600)
        self.env["REGISTRY_AUTH_FILE"] = self.auth

    @staticmethod
    def token(client, region):
        there = type(client)(region, client.credentials)
        found = there.call("ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", {})["authorizationData"][0]["authorizationToken"]
        base64.b64decode(found)
        return found

    @staticmethod
    def names(hosts):
        """The registry is asked at the cloud's address, by a name that says whose it is."""
        with open("/etc/hosts", encoding="utf-8") as f:
            lines = [line for line in f.read().splitlines() if not line.endswith("# images")]
        write("/etc/hosts", "\n".join([*lines, *(f"{ENDPOINT[0]} {host} # images" for host in hosts)]) + "\n")

    def run(self, *words, cwd="/"):
        return run(PROGRAM, *words, env=self.env, cwd=cwd)

    def ask(self, *words):
        """Its answer alone, without what it says beside it."""
        done = subprocess.run([PROGRAM, *words], env=self.env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                              check=False)
        if done.returncode:
            raise Failed(f"buildah {words[0]} failed: {(done.stderr.strip().splitlines() or ['no output'])[-1][:200]}")
        return done.stdout.strip()

    def pull(self, name, tag, always=True):
        done = self.run("pull", "--policy", "always" if always else "missing", "--", check_name(name))
        if done.returncode:
            raise Failed(f"Instance deployment failed to download the Docker image. The deployment failed. {name}: {done.last()}")
        self.run("tag", "--", name, tag)

    def build(self, tag, context, dockerfile, arguments=(), target=None, always=True):
        """Each step is a layer, so that what has not changed is not built again."""
        check_steps(dockerfile)
        words = ["--isolation", "chroot", "--format", "docker", "--network", "host", *(["--pull-always"] if always else []),
                 "--file", dockerfile, "--tag", tag, *(w for a in arguments for w in ("--build-arg", a)), *(["--target", target] if target else []), "--", context]
        done = self.run("build", "--layers", *words, cwd=context)
        if done.returncode and NO_HISTORY in done.stdout:
            done = self.run("build", "--layers=false", *words, cwd=context)
        if done.returncode:
            raise Failed(f"Instance deployment failed to build the Docker image. The deployment failed. {done.last()}")

    def config(self, tag):
        """What the image says of itself, as Docker writes it."""
        return (json.loads(self.ask("inspect", "--type", "image", "--", tag)).get("Docker") or {}).get("config") or {}

    def root(self, name, tag):
        """A container's files. They are mounted until it is dropped or the instance ends."""
        self.drop(name)
        self.ask("from", "--pull-never", "--name", name, "--", tag)
        return self.ask("mount", name)

    def drop(self, name):
        if os.path.isdir(PLACE):
            subprocess.run([PROGRAM, "rm", name], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def forget(self, keep):
        """Tags of other versions, and what no tag names any more."""
        try:
            found = json.loads(self.ask("images", "--json"))
        except (Failed, ValueError):
            return
        for image in found:
            for name in image.get("names") or []:
                if name.startswith("localhost/eb-") and name.rsplit(":", 1)[0] not in keep:
                    self.run("rmi", "--", name)
        self.run("rmi", "--prune")

