"""The platforms of Java: programs with a main of their own, and web applications in Tomcat."""
import glob
import os
import re
import shlex
import shutil
from xml.sax.saxutils import quoteattr

from beanstalk_language import Language, in_bundle, place_for
from beanstalk_system import APP, Failed, write


def main_class(root):
    """Of a bundle that is itself a JAR; None: it is none."""
    try:
        with open(f"{root}/META-INF/MANIFEST.MF", encoding="utf-8", errors="replace") as f:
            text = re.sub(r"\r?\n ", "", f.read())  # long lines go on after a space
    except OSError:
        return None
    found = re.search(r"^Main-Class: *([\w.$]+)\s*$", text, re.MULTILINE)
    return found and found[1]


class Java(Language):
    """The one JAR of the bundle, or what the bundle is itself."""

    @staticmethod
    def jars(root):
        return [os.path.basename(path) for path in sorted(glob.glob(f"{glob.escape(root)}/*.jar"))]

    def notes(self, root):
        found = not in_bundle(root, "Procfile") and (len(self.jars(root)) == 1 or main_class(root))
        return ["Instance deployment successfully detected a JAR file in your source bundle."] if found else []

    def command(self, root):
        jars, main = self.jars(root), main_class(root)
        if len(jars) == 1:
            return f"java -jar {shlex.quote(jars[0])}"
        if not jars and main:
            return f"java -cp . {shlex.quote(main)}"
        raise Failed(f"there is no Procfile, and {'more than one JAR' if jars else 'no JAR'} at the root of the bundle")


HOME, BASE = "/usr/share/tomcat10", "/var/lib/elasticbeanstalk/tomcat"
SERVER = """<Server port="-1">
  <Listener className="org.apache.catalina.core.JreMemoryLeakPreventionListener"/>
  <Service name="Catalina">
    <Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1"/>
    <Engine name="Catalina" defaultHost="localhost">
      <Valve className="org.apache.catalina.valves.RemoteIpValve" protocolHeader="X-Forwarded-Proto" internalProxies="127\\.0\\.0\\.1"/>
      <Host name="localhost" appBase={base} unpackWARs="true" autoDeploy="false" deployIgnore="(?!.*\\.war$).*">{context}</Host>
    </Engine>
  </Service>
</Server>
"""


def java_property(name, value):
    """A line of a file of Java's properties."""
    def escaped(text):
        return "".join(c if c.isalnum() and c.isascii() else "".join(f"\\u{int.from_bytes(c.encode('utf-16-be')[i:i + 2], 'big'):04x}" for i in range(0, len(c.encode("utf-16-be")), 2))
                       for c in text)
    return f"{escaped(name)}={escaped(value)}\n"


class Tomcat(Language):
    """A bundle is a web application itself, or holds WARs: ROOT.war at /, others below their names. Environment properties are system properties too."""
    port = 8080
    space, defaults = "aws:elasticbeanstalk:container:tomcat:jvmoptions", {"Xmx": "256m", "Xms": "256m", "JVM Options": ""}

    def __init__(self, settings, number):
        super().__init__(settings, number)
        for name in ("Xmx", "Xms"):
            if not re.fullmatch(r"[0-9]+[kKmMgG]?", settings[name]):
                raise Failed(f"{name} is no size of memory")
        try:
            self.options = shlex.split(settings["JVM Options"])
        except ValueError as e:
            raise Failed(f"JVM Options: {e}") from e

    def command(self, root):
        if not os.path.isdir(f"{root}/WEB-INF") and not glob.glob(f"{glob.escape(root)}/*.war") and not glob.glob(f"{glob.escape(root)}/*.jsp"):
            raise Failed("the bundle is no web application, and holds no WAR")
        words = ["java", f"-Xms{self.settings['Xms']}", f"-Xmx{self.settings['Xmx']}", *self.options, "-Djava.awt.headless=true", f"-Dcatalina.home={HOME}", f"-Dcatalina.base={BASE}",
                 f"-Djava.io.tmpdir={BASE}/temp", "-cp", f"{HOME}/bin/bootstrap.jar:{HOME}/bin/tomcat-juli.jar", "org.apache.catalina.startup.Bootstrap", "start"]
        return shlex.join(words)

    def furnish(self, root, port, properties):
        for place in (BASE, *(f"{BASE}/{name}" for name in ("conf", "lib", "logs", "temp", "webapps", "work"))):
            place_for(place)
        wars = glob.glob(f"{glob.escape(root)}/*.war")
        own = f"<Context path=\"\" docBase={quoteattr(APP)}/>"
        write(f"{BASE}/conf/server.xml", SERVER.format(port=port, base=quoteattr(APP if wars else f"{BASE}/webapps"), context="" if wars else own))
        shutil.copy("/usr/lib/quartet/web.xml", f"{BASE}/conf/web.xml")
        with open("/usr/lib/quartet/catalina.properties", encoding="utf-8") as f:
            text = f.read()
        write(f"{BASE}/conf/catalina.properties", text + "\n" + "".join(java_property(name, value) for name, value in properties.items()), 0o600)
        shutil.chown(f"{BASE}/conf/catalina.properties", "webapp", "webapp")
