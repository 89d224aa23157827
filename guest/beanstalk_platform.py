"""The platforms of Elastic Beanstalk that an instance can be of: how dependencies of a bundle are installed, and which processes it is made of."""
import json
import os
import re
import shlex

from beanstalk_docker import Docker
from beanstalk_ecs import Ecs
from beanstalk_java import Java, Tomcat
from beanstalk_language import DotNet, Go, Language, Ruby, in_bundle
from beanstalk_php import Php
from beanstalk_system import APP, BASE, PATH, STAGING, Failed, need, write

LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")
OF_PROCFILE = "Instance deployment used the commands in your 'Procfile' to initiate startup of your application."
MADE_PROCFILE = "Instance deployment successfully generated a 'Procfile'."


def lines(root, name):
    """[(name, command)] of a Procfile or a Buildfile; None: there is none."""
    try:
        with open(f"{root}/{name}", encoding="utf-8", errors="replace") as f:
            texts = [line.strip() for line in f if line.strip() and not line.lstrip().startswith("#")]
    except FileNotFoundError:
        return None
    found = [LINE.match(text) for text in texts]
    if not found or not all(found):
        raise Failed(f"the {name} has a line that is not NAME: COMMAND")
    names = [m[1] for m in found]
    if len(set(names)) < len(names):
        raise Failed(f"the {name} names a process twice")
    return [(m[1], m[2]) for m in found]


class Python(Language):
    """A virtual environment of each deployment's own: the version before keeps its own until this one is ready."""
    port, static = 8000, {"/static": "static"}
    space, defaults = "aws:elasticbeanstalk:container:python", {"WSGIPath": "application", "NumProcesses": "1", "NumThreads": "15"}
    # under the name that AWS's has: people write it down in their commands
    link, venvs = "/var/app/venv/staging-LQM1lest", "/var/lib/elasticbeanstalk/venv"

    def __init__(self, settings, number):
        super().__init__(settings, number)
        self.place = f"{self.venvs}/{number}"
        if not all(settings[name].isdigit() for name in ("NumProcesses", "NumThreads")):
            raise Failed("NumProcesses and NumThreads are numbers")

    def environment(self, port):
        return {"PYTHONPATH": APP, "PORT": port}

    def path(self):
        return f"{self.place}/bin:{PATH}"

    def install(self, env):
        """The application's own interpreter and packages. The platform's gunicorn is there too, and runs by that interpreter."""
        wants = os.path.exists(f"{STAGING}/requirements.txt")
        need("Making the virtual environment", "python3", "-m", "venv", *([] if wants else ["--without-pip"]), "--clear", "--system-site-packages", self.place)
        if wants:
            words = [f"{self.place}/bin/pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"]
            if os.path.isdir(f"{STAGING}/vendor"):
                words += ["--no-index", "--find-links", "vendor"]
            need("Installing requirements.txt", *words, cwd=STAGING, env=env)
        if not os.path.exists(f"{self.place}/bin/gunicorn"):
            write(f"{self.place}/bin/gunicorn", f"#!{self.place}/bin/python3\nfrom gunicorn.app.wsgiapp import run\nrun()\n", 0o755)

    def command(self, root):
        module, _, name = self.settings["WSGIPath"].partition(":")
        module = re.sub(r"\.py$", "", module).replace("/", ".")
        if not os.path.exists(f"{root}/{module.replace('.', '/')}.py") and not os.path.isdir(f"{root}/{module.replace('.', '/')}"):
            raise Failed(f"there is no Procfile, and no module {module} that WSGIPath names")
        return (f"gunicorn --bind 127.0.0.1:$PORT --workers={self.settings['NumProcesses']} --threads={self.settings['NumThreads']} "
                f"{module}:{name or 'application'}")


class NodeJs(Language):
    """node is the system's, npm the image's; packages lie in the bundle's node_modules."""
    port, tools = 8080, "/usr/lib/quartet/bin"

    def path(self):
        return f"{self.tools}:{PATH}"

    @staticmethod
    def package(root):
        try:
            with open(f"{root}/package.json", encoding="utf-8") as f:
                found = json.load(f)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as e:
            raise Failed(f"package.json cannot be read: {e}") from e
        if not isinstance(found, dict):
            raise Failed("package.json is no JSON object")
        return found

    def notes(self, root):
        package = self.package(root)
        end = "in your source bundle. The deployment didn't install a specific Node.js version."
        if package is None:
            return [f"Instance deployment: You didn't include a 'package.json' file {end}"]
        engines = package.get("engines")
        if not isinstance(engines, dict) or not engines.get("node"):
            return [f"Instance deployment: You didn't specify a Node.js version in the 'package.json' file {end}"]
        return []

    def install(self, env):
        if not os.path.exists(f"{STAGING}/package.json") or os.path.isdir(f"{STAGING}/node_modules"):
            return
        words = ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", *([] if env.get("NPM_USE_PRODUCTION") == "false" else ["--omit=dev"])]
        need("Installing the dependencies of package.json", *words, cwd=STAGING, env=env)

    def command(self, root):
        package = self.package(root) or {}
        scripts, main = package.get("scripts"), package.get("main")
        if isinstance(scripts, dict) and scripts.get("start"):
            return "npm start"
        for name in ("app.js", "server.js"):
            if in_bundle(root, name):
                return f"node {name}"
        if isinstance(main, str) and in_bundle(root, main):
            return f"node {shlex.quote(main)}"
        raise Failed("there is no Procfile, no start script in package.json, and neither app.js nor server.js")


PLATFORMS = {
    ".NET Core on Linux": DotNet,
    "Docker": Docker,
    "ECS": Ecs,
    "Go": Go,
    "Java": Java,
    "Node.js": NodeJs,
    "PHP": Php,
    "Python": Python,
    "Ruby": Ruby,
    "Tomcat": Tomcat,
}


def port_of(platform, properties):
    port = properties.get("PORT", "")
    return port if port.isdigit() and 0 < int(port) < 65536 else str(platform.port)


def environment(platform, properties):
    """What commands and processes of the application find in their environment."""
    return {**BASE, **platform.environment(port_of(platform, properties)), **properties, "PATH": platform.path()}


def processes(platform, root):
    """[(name, command)] and what the environment's events say of them; None: nothing."""
    found, own = lines(root, "Procfile"), platform.always()
    if found is None and own:
        return own, None
    return (own + found, OF_PROCFILE) if found is not None else ([("web", platform.command(root))], MADE_PROCFILE)


def build(root, env):
    for name, command in lines(root, "Buildfile") or []:
        need(f"Command {name} of the Buildfile", "/bin/bash", "-c", command, cwd=root, env=env)
