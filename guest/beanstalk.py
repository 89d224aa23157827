#!/usr/bin/python3
"""Makes this instance one of an environment of Elastic Beanstalk: asks which version should run here, installs it and keeps it behind nginx.

Started when /etc/elasticbeanstalk/environment.json names an environment. Asks as the instance's role, with signed requests, and fetches bundles from S3 as the
same. What runs are units of systemd, so this program may end and start again without anybody noticing.
"""
import glob
import http.client
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import beanstalk_logs  # noqa: E402
from beanstalk_health import PLACE, Sampler  # noqa: E402
from ecs_client import METADATA_SERVICE, Client, Refused, RoleCredentials, log  # noqa: E402

CONFIG = "/etc/elasticbeanstalk/environment.json"
STATE = "/var/lib/elasticbeanstalk/state.json"
APP, STAGING, VENVS = "/var/app/current", "/var/app/staging", "/var/app/venv"
ENGINE_LOG = "/var/log/eb-engine.log"
LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")
PORT = 8000
UNPACKED_MOST = 4 << 30
START_S = 60
UNIT = """[Unit]
Description=Process {name} of the application
StartLimitIntervalSec=0

[Service]
User=webapp
WorkingDirectory={app}
EnvironmentFile=/var/lib/elasticbeanstalk/environment
ExecStart=/bin/sh -c {command}
Restart=always
RestartSec=1
StandardOutput=append:/var/log/{name}.stdout.log
StandardError=append:/var/log/{name}.stdout.log
"""
# The image has the program, not Debian's package of it: the paths that Beanstalk documents are made here, in environments alone.
NGINX_UNIT = """[Unit]
Description=Proxy in front of the application

[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStartPre=/usr/lib/quartet/nginx -t -q -e /var/log/nginx/error.log -c /etc/nginx/nginx.conf
ExecStart=/usr/lib/quartet/nginx -e /var/log/nginx/error.log -c /etc/nginx/nginx.conf
ExecReload=/usr/lib/quartet/nginx -e /var/log/nginx/error.log -c /etc/nginx/nginx.conf -s reload
KillMode=mixed
Restart=on-failure
RestartSec=1
"""
NGINX = """user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path /var/lib/nginx/body;
    proxy_temp_path /var/lib/nginx/proxy;
    fastcgi_temp_path /var/lib/nginx/fastcgi;
    uwsgi_temp_path /var/lib/nginx/uwsgi;
    scgi_temp_path /var/lib/nginx/scgi;
    include /usr/lib/quartet/mime.types;
    default_type application/octet-stream;
    log_format healthd '$msec"$uri"$status"$request_time"$upstream_response_time"$http_x_forwarded_for';
    map "$remote_addr $http_user_agent" $counted {{ default 1; "127.0.0.1 ElasticBeanstalk/healthd" 0; }}
    access_log /var/log/nginx/access.log combined if=$counted;
    client_max_body_size 1m;
    map $http_upgrade $connection_upgrade {{ default "upgrade"; "" ""; }}
    include conf.d/*.conf;
    server {{
        listen 80 default_server;
        # nothing is served of it: a log with variables in its name is written only where there is one
        root /var/lib/nginx;
        if ($time_iso8601 ~ "^(\\d{{4}})-(\\d{{2}})-(\\d{{2}})T(\\d{{2}})") {{
            set $year $1;
            set $month $2;
            set $day $3;
            set $hour $4;
        }}
        access_log /var/log/nginx/access.log combined if=$counted;
        access_log {health}/application.log.$year-$month-$day-$hour healthd if=$counted;
        include conf.d/elasticbeanstalk/*.conf;
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
        location /static {{ alias {app}/static; }}
    }}
}}
"""


class Failed(Exception):
    """A deployment that cannot be done, in words for the environment's events."""


def run(*argv, **kwargs):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False, **kwargs)
    with open(ENGINE_LOG, "a", encoding="utf-8") as f:
        f.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} [INFO] Running command: {' '.join(argv)}\n{done.stdout}")
    return done


def run_quietly(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False).stdout


def need(what, *argv, **kwargs):
    done = run(*argv, **kwargs)
    if done.returncode:
        raise Failed(f"{what} failed: {(done.stdout.strip().splitlines() or ['no output'])[-1][:200]}")


# ---- the application

def unpack(data):
    shutil.rmtree(STAGING, ignore_errors=True)
    os.makedirs(STAGING)
    place = f"{STAGING}.zip"
    with open(place, "wb") as f:
        f.write(data)
    try:
        with zipfile.ZipFile(place) as z:
            if sum(i.file_size for i in z.infolist()) > UNPACKED_MOST:
                raise Failed("the source bundle is too large when it is unpacked")
            for i in z.infolist():
                made = z.extract(i, STAGING)
                if i.external_attr >> 16 & 0o111:
                    os.chmod(made, 0o755)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError, ValueError, EOFError) as e:
        raise Failed(f"the source bundle is no ZIP archive that can be read: {e}") from e
    finally:
        os.unlink(place)


def processes(settings, root):
    """[(name, command)] and a note: of the Procfile, or gunicorn with what WSGIPath names."""
    place = f"{root}/Procfile"
    if os.path.exists(place):
        with open(place, encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if line.strip() and not line.lstrip().startswith("#")]
        found = [LINE.match(line) for line in lines]
        if not found or not all(found):
            raise Failed("the Procfile has a line that is not NAME: COMMAND")
        return [(m[1], m[2]) for m in found], "Instance deployment used the commands in your 'Procfile' to initiate startup of your application."
    module, _, name = settings["WSGIPath"].partition(":")
    module = re.sub(r"\.py$", "", module).replace("/", ".")
    if not os.path.exists(f"{root}/{module.replace('.', '/')}.py") and not os.path.isdir(f"{root}/{module.replace('.', '/')}"):
        raise Failed(f"there is no Procfile, and no module {module} that WSGIPath names")
    command = f"gunicorn --bind 127.0.0.1:{PORT} --workers={settings['NumProcesses']} --threads={settings['NumThreads']} {module}:{name or 'application'}"
    return [("web", command)], "Instance deployment successfully generated a 'Procfile'."


def install(place):
    """The application's own interpreter and packages. The platform's gunicorn is there too, and runs by that interpreter."""
    wants = os.path.exists(f"{STAGING}/requirements.txt")
    need("Making the virtual environment", "python3", "-m", "venv", *([] if wants else ["--without-pip"]), "--system-site-packages", place)
    if wants:
        words = [f"{place}/bin/pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"]
        if os.path.isdir(f"{STAGING}/vendor"):
            words += ["--no-index", "--find-links", "vendor"]
        need("Installing requirements.txt", *words, cwd=STAGING)
    if not os.path.exists(f"{place}/bin/gunicorn"):
        write(f"{place}/bin/gunicorn", f"#!{place}/bin/python3\nfrom gunicorn.app.wsgiapp import run\nrun()\n", 0o755)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def user():
    try:
        return pwd.getpwnam("webapp")
    except KeyError:
        need("Making the user webapp", "useradd", "--system", "--user-group", "--create-home", "--shell", "/bin/bash", "webapp")
        return pwd.getpwnam("webapp")


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`").replace("\n", "\\n") + '"'


def units():
    return sorted(os.path.basename(p) for p in glob.glob("/run/systemd/system/eb-*.service"))


def start(found, properties, venv, staged):
    """The processes of before end first. staged: another version takes the place of the one that is there."""
    env = {"PORT": str(PORT), "PYTHONPATH": APP, **properties, "PATH": f"{venv}/bin:/usr/local/bin:/usr/bin:/bin"}
    port = env["PORT"] if env["PORT"].isdigit() else str(PORT)
    write("/var/lib/elasticbeanstalk/environment", "".join(f"{k}={quoted(v)}\n" for k, v in env.items() if re.match(r"^[A-Za-z_][A-Za-z0-9_]*$", k)), 0o600)
    for unit in units():
        run("systemctl", "stop", unit)
        os.unlink(f"/run/systemd/system/{unit}")
    if staged:
        shutil.rmtree(APP, ignore_errors=True)
        os.rename(STAGING, APP)
        run("chown", "-R", "webapp:webapp", APP)
    for name, command in found:
        write(f"/run/systemd/system/eb-{name}.service", UNIT.format(name=name, app=APP, command=shlex.quote("exec " + command).replace("%", "%%").replace("$", "$$")))
    for place in ("/etc/nginx/conf.d/elasticbeanstalk", PLACE, "/var/lib/nginx"):
        os.makedirs(place, exist_ok=True)
    shutil.chown(PLACE, "www-data")  # its workers open the log of each hour
    write("/etc/nginx/nginx.conf", NGINX.format(port=port, app=APP, health=PLACE))
    write("/run/systemd/system/nginx.service", NGINX_UNIT)
    run("systemctl", "daemon-reload")
    for unit in units():
        need(f"Starting {unit}", "systemctl", "start", unit)
    need("Starting nginx", "systemctl", "restart", "nginx")


def stopped():
    """Names of the application's processes that do not run."""
    found = units()
    states = run_quietly("systemctl", "is-active", *found).split() if found else []
    return [unit[len("eb-"):-len(".service")] for unit, state in zip(found, states) if state != "active"]


def ended():
    """Has a process of the application ended since it was started?"""
    found = units()
    return bool(found) and any(int(n) for n in run_quietly("systemctl", "show", "--property=NRestarts", "--value", *found).split() if n.isdigit())


def connects():
    """Does whoever is behind nginx answer at all? What it says is its own matter."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", "/", headers={"User-Agent": "ElasticBeanstalk/healthd"})
        return connection.getresponse().status not in (502, 503, 504)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def settle():
    """A deployment is over when somebody answers, or it is clear that nobody will: how long a start takes is the machine's matter."""
    until = time.monotonic() + START_S
    while not connects() and not ended() and time.monotonic() < until:
        time.sleep(0.1)


class Agent:
    def __init__(self):
        with open(CONFIG, encoding="utf-8") as f:
            self.config = json.load(f)
        self.client = Client(self.config["region"], RoleCredentials())
        self.instance, self.zone, self.type = (METADATA_SERVICE.get(f"meta-data/{what}").strip() for what in ("instance-id", "placement/availability-zone", "instance-type"))
        self.sampler, self.logs = Sampler(), {}
        try:
            with open(STATE, encoding="utf-8") as f:
                self.state = json.load(f)
        except (OSError, ValueError):
            self.state = {"done": 0}

    def save(self):
        write(f"{STATE}.new", json.dumps(self.state), 0o600)
        os.rename(f"{STATE}.new", STATE)

    def health(self):
        sample = self.sampler.sample()
        if not sample or not self.state["done"]:
            return {}
        return {"Health": {**sample, "Zone": self.zone, "Type": self.type, "Launched": int(os.stat("/proc/1").st_ctime), "Deployed": self.state.get("at", 0),
                           "Stopped": stopped()}}

    def report(self):
        return self.client.call("beanstalk-agent", "QuartetBeanstalkAgent_20261129.Report", {
            "EnvironmentId": self.config["environment"], "InstanceId": self.instance, "Done": self.state["done"], "Failure": self.state.get("failure", ""),
            "Notes": self.state.get("notes", []), "Answers": bool(self.state["done"]) and connects(), **self.health(), **self.logs})

    def pull(self, order):
        """Puts its logs where it is told to. What fails is tried again as long as they are wanted."""
        data, count = beanstalk_logs.collect(order["LogsType"])
        self.client.put(order["LogsBucket"], order["LogsKey"], data)
        self.logs = {"LogsDone": order["LogsNumber"], "LogsKey": order["LogsKey"], "LogsCount": count}

    def fetch(self, order):
        try:
            unpack(self.client.object(order["Bucket"], order["Key"]))
        except Refused as e:
            raise Failed(f"the source bundle cannot be fetched: {e}") from e

    def deploy(self, order):
        log(f"deployment {order['Deployment']}: version {order.get('VersionLabel', '')}")
        label, properties = order["VersionLabel"], {p["Name"]: p["Value"] for p in order.get("Properties", [])}
        try:
            user()
            if label == self.state.get("label"):  # other properties, or a restart
                venv = self.state["venv"]
                found, note = processes(order, APP)
                start(found, properties, venv, False)
            else:
                # the version before keeps its own until this one is ready
                venv = f"{VENVS}/{order['Deployment']}"
                self.fetch(order)
                found, note = processes(order, STAGING)
                install(venv)
                self.state.pop("label", None)
                self.save()
                start(found, properties, venv, True)
                for other in glob.glob(f"{VENVS}/*"):
                    if other != venv:
                        shutil.rmtree(other, ignore_errors=True)
            self.state = {"done": order["Deployment"], "notes": [note], "label": label, "venv": venv, "at": int(time.time())}
        except Failed as e:
            log(str(e))
            self.state = {**self.state, "done": order["Deployment"], "failure": str(e), "notes": []}
        else:
            settle()
        self.save()

    def serve(self):
        booted = bool(self.state.get("label")) and not units()  # units do not outlive a boot
        while True:
            try:
                order = self.report()
                if order.get("Deployment", 0) > self.state["done"] or (booted and order.get("Deployment")):
                    booted = False
                    self.deploy(order)
                    continue
                if order.get("LogsNumber", 0) > self.logs.get("LogsDone", 0):
                    self.pull(order)
                    continue
            except (OSError, Refused) as e:
                log(f"cannot report: {e}")
            time.sleep(1)


if __name__ == "__main__":
    Agent().serve()
