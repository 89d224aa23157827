"""What the agent of an environment makes of a bundle (guest/beanstalk_*.py): processes, the proxy's configuration, hooks, .ebextensions."""
import contextlib
import io
import json
import os
import stat
import sys
import tempfile
import unittest
import zipfile
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import beanstalk  # noqa: E402
import beanstalk_extensions as extensions  # noqa: E402
import beanstalk_get_config  # noqa: E402
import beanstalk_hooks as hooks  # noqa: E402
import beanstalk_platform as platform  # noqa: E402
import beanstalk_proxy as proxy  # noqa: E402
import beanstalk_system as system  # noqa: E402

PYTHON = {"WSGIPath": "application", "NumProcesses": "1", "NumThreads": "15"}


class BundleCase(unittest.TestCase):
    """A bundle in a directory of its own, and logs in another."""

    def setUp(self):
        place = self.enterContext(tempfile.TemporaryDirectory())
        self.root, self.logs = f"{place}/bundle", f"{place}/logs"
        os.makedirs(self.root)
        os.makedirs(self.logs)
        for module, name in ((system, "ENGINE_LOG"), (extensions, "LOG"), (extensions, "COMMANDS_LOG"), (hooks, "LOG")):
            self.enterContext(mock.patch.object(module, name, f"{self.logs}/{module.__name__}-{name}"))
        self.enterContext(mock.patch.object(system.run, "__kwdefaults__", {**system.run.__kwdefaults__, "place": f"{self.logs}/engine"}))
        self.enterContext(mock.patch.object(system.write_log, "__defaults__", ("INFO", f"{self.logs}/engine")))

    def put(self, path, text, mode=0o644):
        place = f"{self.root}/{path}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(place, mode)

    def read(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def fails(self, text, what, *args, **kwargs):
        with self.assertRaisesRegex(system.Failed, text):
            what(*args, **kwargs)


class System(BundleCase):
    def archive(self, *entries):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            for name, text, mode in entries:
                info = zipfile.ZipInfo(name)
                info.external_attr = mode << 16
                z.writestr(info, text)
        return out.getvalue()

    def test_unpack(self):
        system.unpack(self.archive(("run.sh", "#!", stat.S_IFREG | 0o755), ("bin/x", "../run.sh", stat.S_IFLNK | 0o777), (".platform/y", "", stat.S_IFREG | 0o644)), self.root)
        self.assertTrue(os.access(f"{self.root}/run.sh", os.X_OK))
        self.assertEqual(os.readlink(f"{self.root}/bin/x"), "../run.sh")
        self.assertTrue(os.path.exists(f"{self.root}/.platform/y"))

    def test_links_are_not_written_through(self):
        with contextlib.suppress(system.Failed):
            system.unpack(self.archive(("a", self.logs, stat.S_IFLNK | 0o777), ("a/x", "text", stat.S_IFREG | 0o644)), self.root)
        self.assertEqual(os.listdir(self.logs), [])

    def test_not_an_archive(self):
        self.fails("no ZIP archive", system.unpack, b"text", self.root)

    def test_run(self):
        done = system.run("/bin/bash", "-c", "echo one; echo two >&2; sleep 60 & exit 3")
        self.assertEqual((done.returncode, done.stdout, done.last()), (3, "one\ntwo\n", "two"))
        self.assertIn("[INFO] Running command: /bin/bash", self.read(f"{self.logs}/engine"))
        self.assertEqual(system.run("/nowhere/x").returncode, 126)

    def test_limit(self):
        """The time is the whole deployment's."""
        system.limit(0.2)
        try:
            for _ in range(2):
                self.fails("has not ended in the allowed command timeout time", system.run, "sleep", "60")
        finally:
            system.limit(None)


class Processes(BundleCase):
    def test_procfile(self):
        self.put("Procfile", "# of two\nweb: gunicorn app:app\n\nworker-1:   sleep 9\n")
        found, note = platform.processes(platform.NodeJs({}, 1), self.root)
        self.assertEqual((found, note), ([("web", "gunicorn app:app"), ("worker-1", "sleep 9")], platform.OF_PROCFILE))
        for text in ("nonsense\n", "", "web:\n", "web: a\nweb: b\n", "we b: x\n"):
            self.put("Procfile", text)
            self.fails("Procfile", platform.processes, platform.NodeJs({}, 1), self.root)

    def test_python(self):
        one = platform.Python({**PYTHON, "WSGIPath": "shop/main.py:app"}, 7)
        self.fails("no module shop.main", one.command, self.root)
        self.put("shop/main.py", "")
        found, note = platform.processes(one, self.root)
        self.assertEqual((found, note), ([("web", "gunicorn --bind 127.0.0.1:$PORT --workers=1 --threads=15 shop.main:app")], platform.MADE_PROCFILE))
        env = platform.environment(one, {"A": "b", "PATH": "/x"})
        self.assertEqual((env["PORT"], env["A"], env["PATH"].split(":")[0], env["PYTHONPATH"]), ("8000", "b", "/var/lib/elasticbeanstalk/venv/7/bin", "/var/app/current"))

    def test_node(self):
        """A start script, app.js, server.js, what package.json calls main: the first of them that there is."""
        one = platform.NodeJs({}, 1)
        self.assertEqual((platform.environment(one, {})["PORT"], platform.environment(one, {"PORT": "3000"})["PORT"], platform.port_of(one, {"PORT": "x"})), ("8080", "3000", "8080"))
        self.fails("no Procfile, no start script", one.command, self.root)
        self.assertIn("didn't include a 'package.json'", one.notes(self.root)[0])
        self.put("package.json", json.dumps({"main": "lib/it's.js"}))
        self.assertIn("didn't specify a Node.js version", one.notes(self.root)[0])
        self.fails("no Procfile, no start script", one.command, self.root)
        for path, command in (("lib/it's.js", """node 'lib/it'"'"'s.js'"""), ("server.js", "node server.js"), ("app.js", "node app.js")):
            self.put(path, "")
            self.assertEqual(one.command(self.root), command)
        self.put("package.json", json.dumps({"scripts": {"start": "node x"}, "engines": {"node": "18.x"}}))
        self.assertEqual((one.command(self.root), one.notes(self.root)), ("npm start", []))
        for text in ("{", "[]"):
            self.put("package.json", text)
            self.fails("package.json", one.command, self.root)

    def test_node_packages(self):
        one, asked = platform.NodeJs({}, 1), []
        with mock.patch.object(platform, "STAGING", self.root), mock.patch.object(platform, "need", lambda what, *argv, **kw: asked.append((argv, kw["cwd"]))):
            one.install({})
            self.put("package.json", "{}")
            one.install({})
            one.install({"NPM_USE_PRODUCTION": "false"})
            self.put("node_modules/x/package.json", "{}")
            one.install({})
        words = ("npm", "install", "--no-audit", "--no-fund", "--no-update-notifier")
        self.assertEqual(asked, [((*words, "--omit=dev"), self.root), (words, self.root)])

    def test_buildfile(self):
        platform.build(self.root, system.BASE)
        self.put("Buildfile", "make: echo $WHAT > made; pwd >> made\n")
        platform.build(self.root, {**system.BASE, "WHAT": "x"})
        self.assertEqual(self.read(f"{self.root}/made"), f"x\n{self.root}\n")
        self.put("Buildfile", "make: echo no way; exit 4\n")
        self.fails("Command make of the Buildfile failed: no way", platform.build, self.root, system.BASE)


class Proxy(BundleCase):
    def test_own_files(self):
        """They are added, or take the place of the platform's of that name."""
        self.put(".platform/nginx/conf.d/size.conf", "client_max_body_size 20m;\n")
        self.put(".platform/nginx/conf.d/elasticbeanstalk/00_application.conf", "return 418;\n")
        found = proxy.files(platform.NodeJs({}, 1), "8080", {}, "/var/app/current", self.root)
        self.assertEqual(found["conf.d/size.conf"], "client_max_body_size 20m;\n")
        self.assertEqual(found["conf.d/elasticbeanstalk/00_application.conf"], "return 418;\n")
        self.assertIn("include conf.d/elasticbeanstalk/*.conf;", found["nginx.conf"])
        self.put(".platform/nginx/nginx.conf", "events {}\n")
        self.assertEqual(proxy.files(platform.NodeJs({}, 1), "8080", {}, "/var/app/current", self.root)["nginx.conf"], "events {}\n")
        os.unlink(f"{self.root}/.platform/nginx/conf.d/elasticbeanstalk/00_application.conf")
        self.assertIn("proxy_pass http://127.0.0.1:8080;", proxy.files(platform.NodeJs({}, 1), "8080", {}, "/x", self.root)["conf.d/elasticbeanstalk/00_application.conf"])

    def test_static(self):
        self.put("favicon.ico", "")
        found = proxy.static_locations({"/images/": "/static/images", "favicon.ico": "favicon.ico"}, "/app", self.root)
        self.assertEqual(found, 'location /images/ {\n    alias "/app/static/images/";\n}\nlocation = /favicon.ico {\n    alias "/app/favicon.ico";\n}\n')
        for path, folder in (("/a", "../etc"), ("/a", "x/../../etc"), ("/a;}", "x"), ("/", "x"), ("/a", 'x"')):
            self.fails("static files cannot be served", proxy.static_locations, {path: folder}, "/app", self.root)


class Hooks(BundleCase):
    def test_order(self):
        """By name, each made executable, with the environment, in the bundle's folder. Folders are none."""
        for name in ("02_b.sh", "01_a.sh"):
            self.put(f".platform/hooks/prebuild/{name}", f"#!/bin/bash\necho {name} $COLOUR $PWD >> said\n")
        os.makedirs(f"{self.root}/.platform/hooks/prebuild/folder")
        hooks.run_hooks(self.root, "hooks", "prebuild", {**system.BASE, "COLOUR": "red"})
        self.assertEqual(self.read(f"{self.root}/said"), f"01_a.sh red {self.root}\n02_b.sh red {self.root}\n")
        hooks.run_hooks(self.root, "hooks", "predeploy", system.BASE)

    def test_failure(self):
        self.put(".platform/confighooks/postdeploy/01.sh", "#!/bin/bash\necho because\nexit 7\n")
        self.put(".platform/confighooks/postdeploy/02.sh", "#!/bin/bash\ntouch later\n")
        self.fails(r"Command \.platform/confighooks/postdeploy/01\.sh failed with error exit status 7\. Output: because", hooks.run_hooks, self.root, "confighooks",
                   "postdeploy", system.BASE)
        self.assertFalse(os.path.exists(f"{self.root}/later"))
        self.assertIn("because", self.read(hooks.LOG))
        self.put(".platform/confighooks/postdeploy/01.sh", "echo no interpreter\n")
        self.fails("exec format error", hooks.run_hooks, self.root, "confighooks", "postdeploy", system.BASE)


class Extensions(BundleCase):
    def config(self, **files):
        for name, text in files.items():
            self.put(f".ebextensions/{name}.config", text)
        return extensions.read(self.root, "v1")

    def test_read(self):
        """In the order of names; scalars are texts; what is wrong is left out with a note, or ends it."""
        self.put(".ebextensions/readme.txt", "{{{")
        found, notes = self.config(b="files:\n  /x:\n    mode: 000755\n    content: yes\n", a='{"commands": {"01": {"command": "x"}}}', c="- 1\n", d="nonsense:\n  a: b\n", e="")
        self.assertEqual(found, [("a.config", {"commands": {"01": {"command": "x"}}}), ("b.config", {"files": {"/x": {"mode": "000755", "content": "yes"}}}), ("e.config", {})])
        self.assertEqual(notes, ["Error processing file (Skipping): '.ebextensions/c.config' - it is no map",
                                 "Error processing file (Skipping): '.ebextensions/d.config' - Contains invalid key: 'nonsense'."])
        for text, why in (("a: [", "in application version v1 contains invalid YAML or JSON"), ("Resources:\n  A:\n    Type: AWS::S3::Bucket\n", "Resources"),
                          ("commands:\n  a:\n    command: !Ref x\n", "invalid YAML"), ("files:\n  /x:\n    content:\n      Fn::GetOptionSetting: x\n", "Fn::GetOptionSetting"),
                          ('files:\n  /x:\n    content: a `{"Ref": "AWSEBAutoScalingGroup"}` b\n', "Ref"), ("commands: [a]\n", "no map"), ("a: " + "[" * 3000, "invalid YAML")):
            self.fails(why, self.config, z=text)
        self.assertEqual(self.config(z='files:\n  /x:\n    content: echo `date` {a}\n')[0][-1][0], "z.config")

    def test_options(self):
        """As a map or as a list; of two files the later one has the word."""
        found, _ = self.config(a="option_settings:\n  aws:elasticbeanstalk:application:environment:\n    A: 1\n    B: true\n",
                               b="option_settings:\n  - option_name: A\n    value: two\n  - namespace: aws:x\n    option_name: C\n    value:\n")
        space = extensions.PROPERTIES
        self.assertEqual(extensions.options(found), {(space, "A"): "two", (space, "B"): "true", ("aws:x", "C"): ""})
        for text in ("option_settings:\n  a: b\n", "option_settings:\n  - value: 1\n", "option_settings: x\n"):
            self.fails("option_settings", lambda text=text: extensions.options(self.config(z=text)[0]))

    def test_order(self):
        """Keys of a file in AWS's order, commands by name; then the next file."""
        place = f"{self.logs}/said"
        say = f"echo $0 >> {place}"
        asked = []
        found, _ = self.config(
            a=f"services:\n  systemd:\n    nginx:\n      ensureRunning: true\n      enabled: 'false'\n      files: ['{self.logs}/f']\n"
              f"commands:\n  02:\n    command: [bash, -c, '{say}', second]\n  01:\n    command: cat {self.logs}/f >> {place}\nfiles:\n  {self.logs}/f:\n    mode: '000640'\n"
              "    content: |\n      of the file\n",
            b=f"commands:\n  00:\n    command: echo last >> {place}\n")
        with mock.patch.object(extensions, "need", lambda what, *argv, **kw: asked.append(argv)):
            extensions.apply(found)
        self.assertEqual(self.read(place), "of the file\nsecond\nlast\n")
        self.assertEqual(stat.S_IMODE(os.stat(f"{self.logs}/f").st_mode), 0o640)
        self.assertEqual(asked, [("systemctl", "disable", "--", "nginx"), ("systemctl", "restart", "--", "nginx")])

    def test_commands(self):
        one = extensions.File("a.config", {})

        def command(said, **more):
            one.command(more.pop("kind", "command"), "01_x", said, {**system.BASE, "FROM": "outside", **more.pop("env", {})}, self.root, **more)
        command({"command": "echo $FROM $OWN > here; pwd >> here", "env": {"OWN": "inside"}})
        self.assertEqual(self.read(f"{self.root}/here"), f"outside inside\n{self.root}\n")
        command({"command": "pwd > here", "cwd": self.logs})
        self.assertEqual(self.read(f"{self.logs}/here"), f"{self.logs}\n")
        command({"command": "touch no", "test": "false"})
        command({"command": "touch no", "leader_only": "true"}, kind="container_command", leader=False)
        self.assertFalse(os.path.exists(f"{self.root}/no"))
        command({"command": "touch lead", "leader_only": "true", "test": "true"}, kind="container_command", leader=True)
        self.assertTrue(os.path.exists(f"{self.root}/lead"))
        command({"command": "exit 1", "ignoreErrors": "true"})
        self.fails(r"container_command 01_x in \.ebextensions/a\.config failed\. For more detail, check .*: because", command, {"command": "echo because; exit 1"},
                   kind="container_command")
        for said in ({}, None, {"command": {}}, {"command": "x", "env": "y"}):
            self.fails("in .ebextensions/a.config", command, said)

    def test_files(self):
        one = extensions.File("a.config", {})
        place = f"{self.logs}/deep/f"
        one.file(place, {"content": "one"})
        one.file(place, {"content": "dHdv", "encoding": "base64", "mode": "000600", "owner": "root", "group": "root"})
        self.assertEqual((self.read(place), self.read(f"{place}.bak"), stat.S_IMODE(os.stat(place).st_mode)), ("two", "one", 0o600))
        one.file(place, {"content": "two"})
        self.assertEqual(self.read(f"{place}.bak"), "one")
        one.file(f"{self.logs}/link", {"content": place, "mode": "120400"})
        self.assertEqual(os.readlink(f"{self.logs}/link"), place)
        one.file(place, {"content": {"a": "b"}})
        self.assertEqual(self.read(place), '{"a": "b"}')
        for path, said in (("relative", {"content": ""}), (place, {}), (place, {"content": "", "source": "http://x"}), (place, {"content": "", "mode": "9"}),
                           (place, {"content": "", "owner": "nobody-knows"}), (place, {"source": "file:///etc/passwd"}), (place, {"content": "x", "encoding": "base64"})):
            self.fails("a.config|only http", one.file, path, said)

    def test_packages(self):
        """Debian's. What is there already is not asked for again."""
        one, asked = extensions.File("a.config", {}), []
        self.fails("packages of yum are not supported", one.packages, "yum", {"git": []})
        self.fails("there can be no package", one.packages, "apt", {"--force": []})
        with mock.patch.object(extensions, "need", lambda what, *argv, **kw: asked.append(argv)), \
                mock.patch.object(extensions, "run", lambda *argv, **kw: system.Done(0, "installed 1.2" if argv[-1] == "there" else "")):
            one.packages("apt", {"there": "1.2", "absent-one": [], "other": ["1", "2"]})
        self.assertEqual(asked, [("apt-get", "-q", "update"), ("apt-get", "-q", "-y", "--no-install-recommends", "install", "absent-one", "other=2")])

    def test_accounts(self):
        one, asked = extensions.File("a.config", {}), []
        with mock.patch.object(extensions, "need", lambda what, *argv, **kw: asked.append(argv)):
            one.group("root", {})
            one.group("team", {"gid": "45"})
            one.user("root", {})
            one.user("me", {"groups": ["team", "root"], "uid": "50", "homeDir": "/tmp"})
        self.assertEqual(asked, [("groupadd", "--system", "--gid", "45", "--", "team"), (
            "useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", "--uid", "50", "--groups", "team,root", "--home-dir", "/tmp", "--", "me")])

    def test_sources(self):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            z.writestr("dir/x", "text")
        one = extensions.File("a.config", {})
        with mock.patch.object(extensions, "download", lambda url: out.getvalue()):
            one.source(f"{self.logs}/to", "http://x/y.zip")
        self.assertEqual(self.read(f"{self.logs}/to/dir/x"), "text")
        with mock.patch.object(extensions, "download", lambda url: b"text"):
            self.fails("no archive", one.source, f"{self.logs}/to", "http://x/y.zip")


class Deployments(BundleCase):
    def deployment(self, *options, **order):
        with mock.patch.object(beanstalk.Deployment, "tell", lambda self: None):
            return beanstalk.Deployment({"VersionLabel": "v1", "Options": [{"Namespace": n, "Name": k, "Value": v} for n, k, v in options], **order}, self.root, 3)

    def test_precedence(self):
        """What operations say goes before what the bundle says, and that before what is usual."""
        self.put(".ebextensions/a.config", f"option_settings:\n  {extensions.PROPERTIES}:\n    A: bundle\n    B: bundle\n  {platform.Python.space}:\n    NumThreads: 4\n"
                 f"  {beanstalk.STATIC}:\n    /static: assets\n    /more: more\n  aws:autoscaling:asg:\n    MinSize: 2\n")
        one = self.deployment((extensions.PROPERTIES, "A", "said"), (platform.Python.space, "WSGIPath", "x"), Platform="Python")
        self.assertEqual((one.env["A"], one.env["B"]), ("said", "bundle"))
        self.assertEqual(one.notes, [])  # the service reads them all
        self.assertEqual(one.platform.settings, {"WSGIPath": "x", "NumProcesses": "1", "NumThreads": "4"})
        self.assertEqual(one.static, {"/static": "assets", "/more": "more"})
        self.assertEqual(self.deployment(Platform="Node.js").static, {"/static": "assets", "/more": "more"})
        self.put(".ebextensions/a.config", f"option_settings:\n  {platform.Python.space}:\n    NumThreads: many\n")
        self.fails("are numbers", self.deployment)

    def test_get_config(self):
        place = f"{self.logs}/settings.json"
        with open(place, "w", encoding="utf-8") as f:
            json.dump({"environment": {"A": "b c"}, "optionsettings": {"aws:x": {"y": "z"}}}, f)
        said = []
        for words in ("environment", "environment -k A", "--output YAML environment", "optionsettings -n aws:x -o y", "optionsettings -n aws:x"):
            with mock.patch.object(beanstalk_get_config, "PLACE", place), contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(beanstalk_get_config.main(words.split()), 0)
            said.append(out.getvalue().rstrip())
        self.assertEqual(said, ['{"A": "b c"}', "b c", "A: b c", "z", '{"y": "z"}'])
        with mock.patch.object(beanstalk_get_config, "PLACE", place), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(beanstalk_get_config.main(["environment", "-k", "none"]), 1)


if __name__ == "__main__":
    unittest.main()
