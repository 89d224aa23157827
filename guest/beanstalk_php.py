"""The platform PHP of Elastic Beanstalk: PHP-FPM at a socket, which nginx asks for what ends in .php and serves the rest itself."""
import os
import re
import shlex

from beanstalk_language import Language, place_for
from beanstalk_system import APP, STAGING, Failed, need, write

PLACE = "/var/lib/elasticbeanstalk/php"
SOCKET, LOGS = "/run/php-fpm/www.sock", "/var/log/php-fpm"
# extensions as the command line has them; and what bundles put where AWS's PHP looks
SCANNED = "/etc/php/8.2/cli/conf.d:/etc/php.d"
POOL = f"""[global]
error_log = {LOGS}/error.log
daemonize = no
[www]
listen = {SOCKET}
listen.mode = 0666
pm = dynamic
pm.max_children = 50
pm.start_servers = 5
pm.min_spare_servers = 5
pm.max_spare_servers = 35
clear_env = no
catch_workers_output = yes
php_admin_value[error_log] = {LOGS}/www-error.log
"""
PARAMETERS = {"QUERY_STRING": "$query_string", "REQUEST_METHOD": "$request_method", "CONTENT_TYPE": "$content_type", "CONTENT_LENGTH": "$content_length",
              "SCRIPT_FILENAME": "$document_root$fastcgi_script_name", "SCRIPT_NAME": "$fastcgi_script_name", "PATH_INFO": "$fastcgi_path_info", "REQUEST_URI": "$request_uri",
              "DOCUMENT_URI": "$document_uri", "DOCUMENT_ROOT": "$document_root", "SERVER_PROTOCOL": "$server_protocol", "REQUEST_SCHEME": "$scheme",
              "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "nginx/$nginx_version", "REMOTE_ADDR": "$remote_addr", "REMOTE_PORT": "$remote_port",
              "SERVER_ADDR": "$server_addr", "SERVER_PORT": "$server_port", "SERVER_NAME": "$server_name", "REDIRECT_STATUS": "200"}
# no location of all else: a bundle may say what that is
PROXY = """index index.php index.html index.htm;
location ~ /\\.(?!well-known/) { deny all; }
location ~ \\.(php|phar)(/.*)?$ {
    fastcgi_split_path_info ^(.+\\.(?:php|phar))(/.*)$;
    fastcgi_intercept_errors on;
    fastcgi_index index.php;
""" + "".join(f"    fastcgi_param {name} {value};\n" for name, value in PARAMETERS.items()) + f"""    fastcgi_pass unix:{SOCKET};
}}
"""


class Php(Language):
    space = "aws:elasticbeanstalk:container:php:phpini"
    defaults = {"document_root": "/", "memory_limit": "256M", "zlib.output_compression": "Off", "allow_url_fopen": "On", "display_errors": "Off",
                "max_execution_time": "60", "composer_options": ""}

    def __init__(self, settings, number):
        super().__init__(settings, number)
        for name, value in settings.items():
            if name in self.defaults and name != "composer_options" and not re.fullmatch(r"[\w./~ +@-]*", value):
                raise Failed(f"the option {name} cannot be {value}")
        if ".." in settings["document_root"].split("/"):
            raise Failed("document_root is a folder of the bundle")

    def environment(self, port):
        return {}

    def document_root(self):
        return os.path.normpath(f"{APP}/{self.settings['document_root']}")

    def locations(self, port):
        return {"php.conf": PROXY}

    def install(self, env):
        if not os.path.exists(f"{STAGING}/composer.json") or os.path.isdir(f"{STAGING}/vendor"):
            return
        try:
            more = shlex.split(self.settings["composer_options"])
        except ValueError as e:
            raise Failed(f"composer_options: {e}") from e
        need("Installing the dependencies of composer.json", "composer", "install", "--no-ansi", "--no-interaction", *more, cwd=STAGING,
             env={"COMPOSER_ALLOW_SUPERUSER": "1", "COMPOSER_HOME": "/root", **env})

    def always(self):
        return [("php-fpm", f"env PHP_INI_SCAN_DIR={SCANNED} /usr/lib/quartet/php-fpm8.2 --nodaemonize -c {PLACE}/php.ini --fpm-config {PLACE}/php-fpm.conf")]

    def furnish(self, root, port, properties):
        for place in (os.path.dirname(SOCKET), LOGS):
            place_for(place)
        os.makedirs("/etc/php.d", exist_ok=True)
        write(f"{PLACE}/php-fpm.conf", POOL)
        write(f"{PLACE}/php.ini", "".join(f'{name} = "{self.settings[name]}"\n' for name in self.defaults if name not in ("document_root", "composer_options"))
              + 'log_errors = On\nexpose_php = Off\nvariables_order = "EGPCS"\n')
