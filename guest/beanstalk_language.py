"""What the platforms of languages have in common, and those that need no more than a few lines: Ruby, Go, .NET."""
import glob
import os
import shlex
import shutil

from beanstalk_system import APP, PATH, STAGING, Failed, need, write

PASS = """location / {{
    proxy_pass {upstream};
    proxy_http_version 1.1;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
}}
"""


def passed_to(upstream):
    return {"00_application.conf": PASS.format(upstream=upstream)}


def in_bundle(root, path):
    return os.path.isfile(f"{root}/{path}") and os.path.realpath(f"{root}/{path}").startswith(os.path.realpath(root) + "/")


def place_for(path, owner="webapp"):
    """A folder that the application's user may write to."""
    os.makedirs(path, exist_ok=True)
    shutil.chown(path, owner, owner)


class Language:
    """A program that listens at a port of its own, with nothing to set and nothing to install."""
    port, static = 5000, {}
    space, defaults = None, {}  # of its options

    def __init__(self, settings, number):
        self.settings, self.number = settings, number

    def environment(self, port):
        return {"PORT": port}

    def path(self):
        return PATH

    def notes(self, _root):
        return []

    def install(self, env):
        """What the bundle in staging needs."""

    def locations(self, port):
        """{name: text} of what the proxy's server is told."""
        return passed_to(f"http://127.0.0.1:{port}")

    def document_root(self):
        """Of what the proxy serves itself; None: nothing."""
        return None

    def always(self):
        """[(name, command)] of what runs whatever the Procfile says."""
        return []

    def command(self, root):
        raise Failed("there is no Procfile")

    def furnish(self, root, port, properties):
        """What its processes find outside of the bundle. Those of before may run still, and are about to end."""


class Ruby(Language):
    """bundler and puma are the system's; gems lie in the bundle's vendor/bundle. The proxy asks a socket, under AWS's name."""
    socket, configuration = "/run/puma/my_app.sock", "/opt/elasticbeanstalk/config/private/pumaconf.rb"
    puma = f"""require "etc"
directory "{APP}"
environment ENV["RACK_ENV"] || "production"
threads 8, 32
workers Etc.nprocessors
bind "unix://{socket}?umask=0"
"""

    def environment(self, port):
        # the separator at the end stands for the system's own gems
        return {"RACK_ENV": "production", "RAILS_ENV": "production", "BUNDLE_WITHOUT": "test:development", "BUNDLE_SILENCE_ROOT_WARNING": "1",
                "GEM_PATH": f"{APP}/vendor/bundle/ruby/3.1.0:"}

    def install(self, env):
        if not os.path.exists(f"{STAGING}/Gemfile"):
            return
        locked, cached = os.path.exists(f"{STAGING}/Gemfile.lock"), os.path.isdir(f"{STAGING}/vendor/cache")
        for words in (("path", "vendor/bundle"), *([("deployment", "true")] if locked else [])):
            need("Configuring bundler", "bundle", "config", "set", "--local", *words, cwd=STAGING, env=env)
        need("Installing the gems of the Gemfile", "bundle", "install", *(["--local"] if cached else []), cwd=STAGING, env=env)

    def locations(self, port):
        return passed_to(f"http://unix:{self.socket}")

    def command(self, root):
        if not in_bundle(root, "config.ru"):
            raise Failed("there is no Procfile, and no config.ru")
        try:
            with open(f"{root}/Gemfile.lock", encoding="utf-8", errors="replace") as f:
                own = any(line.startswith("    puma (") for line in f)
        except FileNotFoundError:
            own = False
        return f"{'bundle exec ' if own else ''}puma -C {self.configuration}"

    def furnish(self, root, port, properties):
        place_for(os.path.dirname(self.socket))
        write(self.configuration, self.puma)


class Go(Language):
    binary = "bin/application"

    def install(self, env):
        if in_bundle(STAGING, "Buildfile") or in_bundle(STAGING, self.binary) or not in_bundle(STAGING, "application.go"):
            return
        what = "." if in_bundle(STAGING, "go.mod") else "application.go"
        need("Building application.go", "go", "build", "-o", self.binary, what, cwd=STAGING, env=env)

    def command(self, root):
        if not in_bundle(root, self.binary):
            raise Failed(f"there is no Procfile, no application.go, and no {self.binary}")
        os.chmod(f"{root}/{self.binary}", 0o755)
        return self.binary


class DotNet(Language):
    """What `dotnet publish` has made."""
    END = ".runtimeconfig.json"

    def command(self, root):
        found = [os.path.basename(path)[:-len(self.END)] for path in sorted(glob.glob(f"{glob.escape(root)}/*{self.END}"))]
        if len(found) != 1 or not in_bundle(root, f"{found[0]}.dll"):
            raise Failed(f"there is no Procfile, and not exactly one *{self.END} with its .dll")
        return f"dotnet {shlex.quote(found[0] + '.dll')}"
