"""What platforms of Elastic Beanstalk make of a bundle (guest/beanstalk_language.py, _php.py, _java.py): what is installed, what runs, what the proxy is told."""
import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import beanstalk_java as java  # noqa: E402
import beanstalk_language as language  # noqa: E402
import beanstalk_php as php  # noqa: E402
import beanstalk_platform as platform  # noqa: E402
import beanstalk_proxy as proxy  # noqa: E402
from beanstalk_deployment import BundleCase  # noqa: E402


class LanguageCase(BundleCase):
    def make(self, kind, **settings):
        return kind({**kind.defaults, **settings}, 1)

    def installs(self, module, one, env=None):
        """The commands that installing it comes to."""
        asked = []
        with mock.patch.object(module, "STAGING", self.root), mock.patch.object(module, "need", lambda what, *argv, **kw: asked.append(" ".join(argv))):
            one.install(env or {})
        return asked


class Ruby(LanguageCase):
    def test_start(self):
        """By the system's puma, or by the bundle's own; the proxy asks the socket in any case."""
        one = self.make(language.Ruby)
        self.fails("no config.ru", one.command, self.root)
        self.put("config.ru", "run 1\n")
        found, note = platform.processes(one, self.root)
        self.assertEqual((found, note), ([("web", f"puma -C {one.configuration}")], platform.MADE_PROCFILE))
        self.put("Gemfile.lock", "GEM\n  specs:\n    puma (5.6.5)\n      nio4r (~> 2.0)\n")
        self.assertEqual(one.command(self.root), f"bundle exec puma -C {one.configuration}")
        self.assertIn("proxy_pass http://unix:/run/puma/my_app.sock;", proxy.files(one, "", {}, "/x", self.root)["conf.d/elasticbeanstalk/00_application.conf"])
        self.assertEqual(platform.environment(one, {"RACK_ENV": "test"})["RACK_ENV"], "test")

    def test_gems(self):
        one = self.make(language.Ruby)
        self.assertEqual(self.installs(language, one), [])
        self.put("Gemfile", "")
        path = "bundle config set --local path vendor/bundle"
        self.assertEqual(self.installs(language, one), [path, "bundle install"])
        self.put("Gemfile.lock", "")
        self.put("vendor/cache/x.gem", "")
        self.assertEqual(self.installs(language, one), [path, "bundle config set --local deployment true", "bundle install --local"])


class Php(LanguageCase):
    def test_processes(self):
        """PHP-FPM runs in any case, and what the Procfile says beside it."""
        one = self.make(php.Php)
        (name, _), = platform.processes(one, self.root)[0]
        self.assertEqual((name, platform.processes(one, self.root)[1]), ("php-fpm", None))
        self.put("Procfile", "worker: php work.php\n")
        found, note = platform.processes(one, self.root)
        self.assertEqual(([n for n, _ in found], note), (["php-fpm", "worker"], platform.OF_PROCFILE))

    def test_proxy(self):
        found = proxy.files(self.make(php.Php, document_root="/public"), "", {}, "/var/app/current", self.root)
        self.assertEqual(found["conf.d/elasticbeanstalk/00_root.conf"], 'root "/var/app/current/public";\n')
        self.assertNotIn("conf.d/elasticbeanstalk/00_application.conf", found)
        self.assertIn("fastcgi_pass unix:/run/php-fpm/www.sock;", found["conf.d/elasticbeanstalk/php.conf"])

    def test_options(self):
        for name, value in (("memory_limit", '1"\nx'), ("document_root", "/../etc"), ("document_root", 'x";')):
            self.fails("memory_limit|document_root", self.make, php.Php, **{name: value})

    def test_composer(self):
        self.assertEqual(self.installs(php, self.make(php.Php)), [])
        self.put("composer.json", "{}")
        self.assertEqual(self.installs(php, self.make(php.Php, composer_options="--no-dev -o")), ["composer install --no-ansi --no-interaction --no-dev -o"])
        self.put("vendor/autoload.php", "")
        self.assertEqual(self.installs(php, self.make(php.Php)), [])


class Go(LanguageCase):
    def test_build(self):
        one = self.make(language.Go)
        self.fails("no application.go", one.command, self.root)
        self.put("application.go", "")
        self.assertEqual(self.installs(language, one), ["go build -o bin/application application.go"])
        self.put("go.mod", "")
        self.assertEqual(self.installs(language, one), ["go build -o bin/application ."])
        self.put("bin/application", "")
        self.assertEqual((self.installs(language, one), one.command(self.root)), ([], "bin/application"))
        self.assertTrue(os.access(f"{self.root}/bin/application", os.X_OK))
        self.assertEqual(platform.environment(one, {})["PORT"], "5000")


class DotNet(LanguageCase):
    def test_start(self):
        one = self.make(language.DotNet)
        self.fails("not exactly one", one.command, self.root)
        self.put("Shop App.runtimeconfig.json", "{}")
        self.put("Shop App.dll", "")
        self.assertEqual(one.command(self.root), "dotnet 'Shop App.dll'")


class Java(LanguageCase):
    def test_jar(self):
        one = self.make(java.Java)
        self.fails("no JAR", one.command, self.root)
        self.assertEqual(one.notes(self.root), [])
        self.put("shop one.jar", "")
        self.assertEqual((one.command(self.root), one.notes(self.root)), ("java -jar 'shop one.jar'", ["Instance deployment successfully detected a JAR file in your source bundle."]))
        self.put("other.jar", "")
        self.fails("more than one JAR", one.command, self.root)
        self.put("Procfile", "web: java -jar other.jar\n")
        self.assertEqual((platform.processes(one, self.root)[0], one.notes(self.root)), ([("web", "java -jar other.jar")], []))

    def test_bundle_is_jar(self):
        self.put("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: org.example.a.very.long.name.that.goes.on.in.the.next\r\n .Line$Main\r\n\r\n")
        self.assertEqual(self.make(java.Java).command(self.root), "java -cp . 'org.example.a.very.long.name.that.goes.on.in.the.next.Line$Main'")

    def test_tomcat(self):
        self.fails("holds no WAR", self.make(java.Tomcat).command, self.root)
        self.put("ROOT.war", "")
        words = self.make(java.Tomcat, Xmx="1g", **{"JVM Options": "-Da='b c' -Xss1m"}).command(self.root)
        self.assertTrue(words.startswith("java -Xms256m -Xmx1g '-Da=b c' -Xss1m -D"), words)
        for name, value in (("Xmx", "much"), ("JVM Options", "'")):
            self.fails(name, self.make, java.Tomcat, **{name: value})
        self.assertEqual(java.java_property("A_B", "c: é\n"), "A\\u005fB=c\\u003a\\u0020\\u00e9\\u000a\n")


if __name__ == "__main__":
    unittest.main()
