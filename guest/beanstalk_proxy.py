"""nginx in front of the application of an environment of Elastic Beanstalk.

/etc/nginx is made anew for each deployment, with AWS's names of files, so that a bundle's .platform/nginx adds to it or replaces parts of it as it does there.
The image has nginx's program, not Debian's package of it: its unit and paths are made in environments alone.
"""
import os
import re
import shutil

from beanstalk_health import PLACE
from beanstalk_system import Failed, account, need, run, write

ETC, STAGING = "/etc/nginx", "/var/proxy/staging/nginx"  # hooks may change what is staged
PROGRAM = ("/usr/lib/quartet/nginx", "-e", "/var/log/nginx/error.log")
UNIT = f"""[Unit]
Description=Proxy in front of the application

[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStart={' '.join(PROGRAM)} -c {ETC}/nginx.conf
ExecReload={' '.join(PROGRAM)} -c {ETC}/nginx.conf -s reload
KillMode=mixed
Restart=on-failure
RestartSec=1
"""
MAIN = """user nginx;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log warn;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    include conf.d/*.conf;
    map $http_upgrade $connection_upgrade { default "upgrade"; "" ""; }
    server {
        listen 80 default_server;
        access_log /var/log/nginx/access.log main if=$counted;
        client_header_timeout 60;
        client_body_timeout 60;
        keepalive_timeout 60;
        include conf.d/elasticbeanstalk/*.conf;
    }
}
"""
LOG_FORMAT = """log_format healthd '$msec"$uri"$status"$request_time"$upstream_response_time"$http_x_forwarded_for';
map "$remote_addr $http_user_agent" $counted { default 1; "127.0.0.1 ElasticBeanstalk/healthd" 0; }
"""
HEALTHD = f"""if ($time_iso8601 ~ "^(\\d{{4}})-(\\d{{2}})-(\\d{{2}})T(\\d{{2}})") {{
    set $year $1;
    set $month $2;
    set $day $3;
    set $hour $4;
}}
access_log /var/log/nginx/access.log main if=$counted;
access_log {PLACE}/application.log.$year-$month-$day-$hour healthd if=$counted;
"""
# Where nothing is served of it there is one too: a log with variables in its name is written only then.
ROOT = "root \"{place}\";\n"
NOWHERE = "/var/lib/nginx"
STATIC = """location {path} {{
    alias {place};
}}
"""


def static_locations(static, app, root):
    """static: {path: folder or file of the bundle}. The slashes are evened out: nginx appends what follows the location to the alias as it is."""
    found = []
    for path, folder in sorted(static.items()):
        path, folder = "/" + path.strip("/"), os.path.normpath(folder.strip("/") or ".")
        if not re.fullmatch(r"/[\w.~/%+@-]+", path) or not re.fullmatch(r"[\w. ~/+@-]+", folder) or folder.split("/")[0] == "..":
            raise Failed(f"static files cannot be served: {path} of {folder}")
        if os.path.isfile(f"{root}/{folder}"):
            found.append(STATIC.format(path=f"= {path}", place=f'"{app}/{folder}"'))
        else:
            found.append(STATIC.format(path=f"{path}/", place=f'"{app}/{folder}/"'))
    return "".join(found)


def files(platform, port, static, app, root):
    """{path below /etc/nginx: text} for the bundle that is unpacked at root."""
    made = {"nginx.conf": MAIN, "conf.d/healthd_logformat.conf": LOG_FORMAT, "conf.d/elasticbeanstalk/00_root.conf": ROOT.format(place=platform.document_root() or NOWHERE),
            "conf.d/elasticbeanstalk/01_static.conf": static_locations(static, app, root), "conf.d/elasticbeanstalk/healthd.conf": HEALTHD,
            **{f"conf.d/elasticbeanstalk/{name}": text for name, text in platform.locations(port).items()}}
    own = f"{root}/.platform/nginx"
    for place, _, names in os.walk(own):
        for name in names:
            path = os.path.relpath(f"{place}/{name}", own)
            try:
                with open(f"{place}/{name}", encoding="utf-8") as f:
                    made[path] = f.read()
            except (OSError, UnicodeDecodeError) as e:
                raise Failed(f".platform/nginx/{path} cannot be read: {e}") from e
    return made


def prepare(platform, port, static, app, root):
    """Leaves it beside the one that runs. app: where the bundle will be."""
    account("nginx", "--no-create-home", "--shell", "/usr/sbin/nologin")
    shutil.rmtree(STAGING, ignore_errors=True)
    for path, text in files(platform, port, static, app, root).items():
        write(f"{STAGING}/{path}", text)
    for place in (PLACE, NOWHERE, ETC):
        os.makedirs(place, exist_ok=True)
    shutil.chown(PLACE, "nginx")  # its workers open the log of each hour
    for place in (ETC, STAGING):
        shutil.copy("/usr/lib/quartet/mime.types", f"{place}/mime.types")


def check():
    """nginx itself says whether what is staged is right."""
    done = run(*PROGRAM, "-t", "-q", "-c", f"{STAGING}/nginx.conf")
    if done.returncode:
        raise Failed(f"nginx does not take its configuration: {done.last()}")


def start():
    """With what is staged."""
    shutil.rmtree(ETC, ignore_errors=True)
    shutil.move(STAGING, ETC)
    write("/run/systemd/system/nginx.service", UNIT)
    run("systemctl", "daemon-reload")
    need("Starting nginx", "systemctl", "restart", "nginx")


def stop():
    """What is in front of the application is its own matter."""
    if os.path.exists("/run/systemd/system/nginx.service"):
        run("systemctl", "stop", "nginx")
        os.unlink("/run/systemd/system/nginx.service")
