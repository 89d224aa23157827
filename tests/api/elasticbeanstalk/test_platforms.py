"""What platforms of Elastic Beanstalk do with a bundle inside an instance: dependencies, processes, the proxy, hooks and .ebextensions."""
import json
import unittest
import uuid

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, NODE, Tool, archive, gem, jar, option, package, why_no_platform
from images import image

REGION = "eu-north-1"
SERVER = """const http = require("http");
const letters = require("letters");
http.createServer((request, response) => {
  response.end([letters.name, %s, process.getuid() === 0 ? "root" : "other", process.env.COLOUR, process.env.PORT, request.url].join(" "));
}).listen(process.env.PORT);
"""
PROPERTIES = "elasticbeanstalk:application:environment"
STATIC = "elasticbeanstalk:environment:proxy:staticfiles"


def said(*words):
    """A script of a hook: which one ran, in what folder and with what."""
    return f"#!/bin/bash\necho {' '.join(words)} $PWD $COLOUR >> /tmp/said\n"


class PlatformCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb = cls.tool.eb
        if not image(cls.tool.ec2):
            raise unittest.SkipTest("there is no machine image")

    def make(self, name, label, *options, **more):
        made = self.tool.create(name, label, *options, CNAMEPrefix=f"p{uuid.uuid4().hex[:12]}", **more)
        self.addCleanup(self.tool.drop, name)
        told = self.tool.wait(made)
        self.assertEqual(told[-1], f"Successfully launched environment: {name}", told)
        return made["CNAME"], told

    def update(self, name, end, **what):
        told = self.tool.wait(self.eb.update_environment(EnvironmentName=name, **what))
        self.assertEqual(told[-1], end, told)
        return told


@unittest.skipIf(why_no_platform("nodejs18"), why_no_platform("nodejs18"))
class NodeJs(PlatformCase):
    def test_life(self):
        """Packages that come along are installed, npm starts it; then a Procfile of two processes, and a bundle that has its modules."""
        tool = self.tool
        app = {"server.js": SERVER % '"one"', "package.json": json.dumps({
            "name": "shop", "version": "1.0.0", "scripts": {"start": "node server.js"}, "engines": {"node": "18.x"}, "dependencies": {"letters": "file:vendor/letters.tgz"}}),
            "vendor/letters.tgz": package("letters", 'exports.name = "abc";')}
        tool.version("v1", app)
        cname, told = self.make("node-env", "v1", option(PROPERTIES, "COLOUR", "red"), stack=NODE)
        self.assertIn("Instance deployment successfully generated a 'Procfile'.", told)
        self.assertEqual(tool.get(cname, "/x"), "abc one other red 8080 /x")
        self.assertEqual(tool.environment("node-env")["SolutionStackName"].split(" running ")[1], "Node.js 18")
        self.update("node-env", "Successfully deployed new configuration to environment.", OptionSettings=[option(PROPERTIES, "PORT", "3000")])
        self.assertEqual(tool.get(cname), "abc one other red 3000 /")
        tool.version("v2", {"main.js": SERVER % '"two"', "node_modules/letters/package.json": "{}", "node_modules/letters/index.js": 'exports.name = "def";',
                            "Procfile": "web: node main.js\nidle: exec sleep 1000000\n"})
        told = self.update("node-env", "Environment update completed successfully.", VersionLabel="v2")
        self.assertIn("Instance deployment: You didn't include a 'package.json' file in your source bundle. The deployment didn't install a specific Node.js version.", told)
        self.assertEqual(tool.get(cname), "def two other red 3000 /")
        for label, files in (("no-start", {"readme.txt": "x"}), ("no-package", {**app, "vendor/letters.tgz": b"no archive"})):
            tool.version(label, files)
            self.update("node-env", "Failed to deploy application.", VersionLabel=label)
            self.assertEqual(tool.get(cname), "def two other red 3000 /", label)


DEPLOYED, CONFIGURED = "Environment update completed successfully.", "Successfully deployed new configuration to environment."
GO = """package main
import ("fmt"; "net/http"; "os")
func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "go ", os.Getenv("COLOUR"), " ", r.URL.Path) })
	panic(http.ListenAndServe(":" + os.Getenv("PORT"), nil))
}
"""
JSP = """<%@ page import="java.lang.management.ManagementFactory" %><%= String.join(" ", "WHAT", System.getProperty("COLOUR"), request.getScheme(), request.getRequestURI(),
 ManagementFactory.getRuntimeMXBean().getInputArguments().contains("-Xmx300m") ? "300" : "other") %>"""


def red(*more):
    return (option(PROPERTIES, "COLOUR", "red"), *more)


@unittest.skipIf(why_no_platform("ruby3.1"), why_no_platform("ruby3.1"))
class Ruby(PlatformCase):
    def test_gems(self):
        """Gems that come along are installed, puma serves config.ru at a socket; then a Procfile, and a bundle that is nothing."""
        tool = self.tool
        app = {"Gemfile": 'source "https://rubygems.org"\ngem "letters"\n', "vendor/cache/letters-1.0.0.gem": gem("letters", "LETTERS = 'abc'"),
               "Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n  specs:\n    letters (1.0.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  letters\n",
               "config.ru": 'require "letters"\nrun ->(env) { [200, {}, [[LETTERS, ENV["RACK_ENV"], ENV["COLOUR"], env["PATH_INFO"]].join(" ")]] }\n'}
        tool.version("ruby-1", app)
        cname, told = self.make("ruby-env", "ruby-1", *red(), stack="Ruby 3.1")
        self.assertIn("Instance deployment successfully generated a 'Procfile'.", told)
        self.assertEqual(tool.get(cname, "/x"), "abc production red /x")
        tool.version("ruby-2", {"app.ru": 'run ->(env) { [200, {}, ["two"]] }\n', "Procfile": "web: puma -b unix:///run/puma/my_app.sock?umask=0 app.ru\n"})
        self.update("ruby-env", DEPLOYED, VersionLabel="ruby-2")
        self.assertEqual(tool.get(cname), "two")
        tool.version("ruby-3", {"Gemfile": 'source "https://rubygems.org"\ngem "none"\n', "vendor/cache/x": "", "config.ru": ""})
        told = self.update("ruby-env", "Failed to deploy application.", VersionLabel="ruby-3")
        self.assertIn("Installing the gems of the Gemfile failed", "".join(told))
        self.assertEqual(tool.get(cname), "two")


@unittest.skipIf(why_no_platform("php8.2"), why_no_platform("php8.2"))
class Php(PlatformCase):
    SPACE = "elasticbeanstalk:container:php:phpini"

    def test_life(self):
        """Packages of composer, files beside scripts, options of php.ini, and another document root."""
        tool = self.tool
        script = "<?php require '%s/vendor/autoload.php'; echo join(' ', [letters(), ini_get('memory_limit'), getenv('COLOUR'), $_SERVER['REQUEST_URI'], $_SERVER['PATH_INFO'] ?: '-', posix_geteuid() ? 'user' : 'root']);"
        app = {"index.php": script % ".", "public/index.php": script % "..", "style.css": "b {}", ".env": "secret",
               "composer.json": json.dumps({"repositories": [{"packagist.org": False}, {"type": "path", "url": "packages/letters"}], "require": {"shop/letters": "*"}}),
               "packages/letters/composer.json": json.dumps({"name": "shop/letters", "version": "1.0.0", "autoload": {"files": ["letters.php"]}}),
               "packages/letters/letters.php": "<?php function letters() { return 'abc'; }"}
        tool.version("php-1", app)
        cname, _ = self.make("php-env", "php-1", *red(), stack="PHP 8.2")
        self.assertEqual((tool.get(cname, "/?a=b"), tool.get(cname, "/index.php/more"), tool.get(cname, "/style.css"), tool.get(cname, "/.env")),
                         ("abc 256M red /?a=b - user", "abc 256M red /index.php/more /more user", "b {}", None))
        self.update("php-env", CONFIGURED, OptionSettings=[option(self.SPACE, "memory_limit", "64M"), option(self.SPACE, "document_root", "/public")])
        self.assertEqual((tool.get(cname), tool.get(cname, "/style.css")), ("abc 64M red / - user", None))
        self.assertAwsError("ConfigurationValidationException", self.eb.update_environment, EnvironmentName="php-env",
                            OptionSettings=[option(self.SPACE, "display_errors", "perhaps")], status=400)


@unittest.skipIf(why_no_platform("corretto17"), why_no_platform("corretto17"))
class Java(PlatformCase):
    def test_jar(self):
        """The one JAR there is; then the bundle is one itself."""
        tool = self.tool
        tool.version("java-1", {"shop.jar": jar()})
        cname, told = self.make("java-env", "java-1", *red(), stack="Corretto 17")
        said = [m for m in told if "JAR" in m or "Procfile" in m]
        self.assertEqual(said, ["Instance deployment successfully detected a JAR file in your source bundle.", "Instance deployment successfully generated a 'Procfile'."])
        self.assertEqual(tool.get(cname, "/x"), "java red /x")
        tool.version("java-2", jar())
        self.update("java-env", DEPLOYED, VersionLabel="java-2", OptionSettings=[option(PROPERTIES, "COLOUR", "blue")])
        self.assertEqual(tool.get(cname, "/y"), "java blue /y")
        tool.version("java-3", {"a.jar": jar(), "b.jar": jar()})
        self.assertIn("more than one JAR", "".join(self.update("java-env", "Failed to deploy application.", VersionLabel="java-3")))
        self.assertEqual(tool.get(cname, "/y"), "java blue /y")


@unittest.skipIf(why_no_platform("tomcat10"), why_no_platform("tomcat10"))
class Tomcat(PlatformCase):
    def test_wars(self):
        """Several by their names, with properties and memory; then the bundle is a web application itself."""
        tool = self.tool
        tool.version("wars", {f"{name}.war": archive({"index.jsp": JSP.replace("WHAT", name), "WEB-INF/x": ""}) for name in ("ROOT", "api")})
        cname, _ = self.make("cat-env", "wars", *red(option("elasticbeanstalk:container:tomcat:jvmoptions", "Xmx", "300m")), stack="Tomcat 10 Corretto 17")
        self.assertEqual((tool.get(cname), tool.get(cname, "/api/index.jsp"), tool.get(cname, "/WEB-INF/x")), ("ROOT red http / 300", "api red http /api/index.jsp 300", None))
        tool.version("war", {"index.jsp": JSP.replace("WHAT", "own"), "WEB-INF/x": "", ".ebextensions/a.config": ""})
        self.update("cat-env", DEPLOYED, VersionLabel="war", OptionSettings=[option(PROPERTIES, "COLOUR", "light blue: 1")])
        self.assertEqual((tool.get(cname), tool.get(cname, "/api/index.jsp")), ("own light blue: 1 http / 300", None))
        settings, = self.eb.describe_configuration_settings(ApplicationName=tool.application, EnvironmentName="cat-env")["ConfigurationSettings"]
        self.assertEqual({o["Namespace"].split(":")[3] for o in settings["OptionSettings"] if ":container:" in o["Namespace"]}, {"tomcat"})


@unittest.skipIf(why_no_platform("go1"), why_no_platform("go1"))
class Go(PlatformCase):
    def test_build(self):
        tool = self.tool
        tool.version("go-1", {"application.go": GO})
        cname, _ = self.make("go-env", "go-1", *red(), stack="Go 1")
        self.assertEqual(tool.get(cname, "/x"), "go red /x")
        tool.version("go-2", {"application.go": "nonsense"})
        self.assertIn("Building application.go failed", "".join(self.update("go-env", "Failed to deploy application.", VersionLabel="go-2")))
        self.assertEqual(tool.get(cname, "/x"), "go red /x")


@unittest.skipIf(why_no_platform(), why_no_platform())
class Bundles(PlatformCase):
    """On Python: the rest is the same for each platform."""
    FILES = {
        "Buildfile": "make: mkdir -p made && echo built $COLOUR > made/built.txt\n",
        ".platform/hooks/prebuild/01.sh": said("prebuild"), ".platform/hooks/predeploy/01.sh": said("predeploy"), ".platform/hooks/postdeploy/01.sh": said("postdeploy"),
        ".platform/confighooks/prebuild/01.sh": said("config", "prebuild"), ".platform/confighooks/predeploy/01.sh": said("config", "predeploy"),
        ".platform/confighooks/postdeploy/01.sh": said("config", "postdeploy"),
        ".platform/nginx/conf.d/elasticbeanstalk/teapot.conf": "location = /teapot { return 200 'short and stout'; }\n",
        ".ebextensions/01.config": f"""option_settings:
  aws:{PROPERTIES}:
    COLOUR: bundle
    SIZE: large
files:
  /etc/from-files:
    mode: "000640"
    group: makers
    content: |
      of a file
groups:
  makers:
users:
  maker:
    groups: [makers]
commands:
  02_said:
    command: echo commands $PWD $(stat -c %G%a /etc/from-files) $(id -gn maker) ${{COLOUR:-none}} >> /tmp/said
  01_said:
    command: rm -f /tmp/said
  03_never:
    command: echo never >> /tmp/said
    test: test -e /nowhere
  04_fails:
    command: exit 3
    ignoreErrors: true
""", ".ebextensions/02.config": """container_commands:
  02_said:
    command: echo container_commands $PWD $COLOUR $(/opt/elasticbeanstalk/bin/get-config environment -k SIZE) $(cat made/built.txt) >> /tmp/said
  03_venv:
    command: source /var/app/venv/*/bin/activate && python -c 'import sys; print(sys.prefix)' >> /tmp/said
  04_lead:
    command: echo leads >> /tmp/said
    leader_only: true
  05_show:
    command: ln -s /tmp/said made/said.txt
"""}

    def test_bundle(self):
        tool = self.tool
        tool.version("v1", {"application.py": APP % "one", **self.FILES})
        cname, _ = self.make("bundle-env", "v1", option(PROPERTIES, "COLOUR", "red"), option(STATIC, "/made", "made"))
        self.assertEqual((tool.get(cname), tool.get(cname, "/made/built.txt"), tool.get(cname, "/teapot")), ("one red /", "built red\n", "short and stout"))
        staging, current = "/var/app/staging", "/var/app/current"
        first = ["commands / makers640 maker none", f"prebuild {staging} red", f"container_commands {staging} red large built red", "/var/lib/elasticbeanstalk/venv/1", "leads",
                 f"predeploy {staging} red", f"postdeploy {current} red"]
        self.assertEqual(tool.get(cname, "/made/said.txt").splitlines(), first)
        self.update("bundle-env", "Successfully deployed new configuration to environment.",
                    OptionsToRemove=[{"Namespace": f"aws:{PROPERTIES}", "OptionName": "COLOUR"}])
        self.assertEqual(tool.get(cname), "one bundle /")
        self.assertEqual(tool.get(cname, "/made/said.txt").splitlines(), [*first, *(f"config {phase} {current} bundle" for phase in ("prebuild", "predeploy", "postdeploy"))])
        tool.wait(self.eb.restart_app_server(EnvironmentName="bundle-env"))
        self.assertEqual(len(tool.get(cname, "/made/said.txt").splitlines()), len(first) + 3)
        for label, path, text, why in (
                ("hook", ".platform/hooks/predeploy/02.sh", "#!/bin/bash\necho not today; exit 5\n",
                 "Command .platform/hooks/predeploy/02.sh failed with error exit status 5. Output: not today"),
                ("proxy", ".platform/nginx/conf.d/x.conf", "nonsense on;\n", "nginx does not take its configuration"),
                ("command", ".ebextensions/03.config", "container_commands:\n  01_x:\n    command: echo because; exit 1\n",
                 "container_command 01_x in .ebextensions/03.config failed. For more detail, check /var/log/cfn-init-cmd.log: because"),
                ("syntax", ".ebextensions/03.config", "a: [\n", "The configuration file .ebextensions/03.config in application version syntax contains invalid YAML or JSON."),
                ("resources", ".ebextensions/03.config", "Resources:\n  A:\n    Type: AWS::SQS::Queue\n", "declares Resources"),
                ("yum", ".ebextensions/03.config", "packages:\n  yum:\n    git: []\n", "packages of yum are not supported")):
            tool.version(label, {"application.py": APP % "bad", **self.FILES, path: text})
            told = self.update("bundle-env", "Failed to deploy application.", VersionLabel=label)
            self.assertTrue(any(why in message for message in told), told)
            self.assertEqual(tool.get(cname), "one bundle /", label)


if __name__ == "__main__":
    unittest.main()
