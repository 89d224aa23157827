"""`quartet compare`: one folder in each model, measured, billed and gone again."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
import zipfile

import images
from beanstalk import why_no_platform
from busybox import why_not
from cloud import Cloud, ROOT, program

APP = os.path.join(ROOT, "samples", "compare-app")


@unittest.skipIf(why_not(), why_not())
class Compare(unittest.TestCase):
    """A cloud of its own: the bill of a comparison is what the account has spent meanwhile."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.stop)
        cls.cloud.start()

    def start(self, *words):
        return subprocess.Popen([program(), "compare", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.cloud.environment())

    def compare(self, *words, status=0):
        done = self.start(*words)
        out, err = done.communicate(timeout=400)
        self.assertEqual(done.returncode, status, out + err)
        return out, err

    def left(self):
        """What is called as that which a comparison makes."""
        groups = self.cloud.client("ec2").describe_security_groups()["SecurityGroups"]
        return ([f["FunctionName"] for f in self.cloud.client("lambda").list_functions()["Functions"] if f["FunctionName"].startswith("compare-")] +
                [b["Name"] for b in self.cloud.client("s3").list_buckets()["Buckets"] if b["Name"].startswith("compare-")] +
                [r["RoleName"] for r in self.cloud.client("iam").list_roles()["Roles"] if r["RoleName"].startswith("compare-")] +
                [r["repositoryName"] for r in self.cloud.client("ecr").describe_repositories()["repositories"] if r["repositoryName"].startswith("compare-")] +
                [c for c in self.cloud.client("ecs").list_clusters()["clusterArns"] if "/compare-" in c] +
                [g["logGroupName"] for g in self.cloud.client("logs").describe_log_groups()["logGroups"] if "/compare-" in g["logGroupName"]] +
                [g["GroupName"] for g in groups if g["GroupName"].startswith("compare-")])

    def test_all(self):
        """What does not run here is told why; the rest answers, costs what AWS would ask for it, and is gone."""
        with tempfile.TemporaryDirectory() as place:
            page = f"{place}/page.html"
            out, _ = self.compare("--json", "--for", "3s", "--load", "steady:20rps", "--path", "/?n=1000", "--html", page, APP)
            with open(page) as f:
                text = f.read()
        said = json.loads(out)
        rows = {m["model"]: m for m in said["models"]}
        self.assertEqual(list(rows), ["lambda", "ecs", "ec2", "beanstalk"])
        instances = images.image(self.cloud.client("ec2")) and not images.no_containers()
        for model in rows.values():
            if (model["model"] == "ec2" and not instances) or (model["model"] == "beanstalk" and why_no_platform()):
                self.assertIsNotNone(model["whyNot"])
                continue
            self.assertIsNone(model["whyNot"])
            self.assertEqual((model["requests"], model["failed"]), (60, 0), model)
            self.assertLessEqual(model["p50Ms"], model["p99Ms"])
            self.assertLessEqual(model["startMs"], model["deployMs"])
            self.assertGreater(model["memoryBytes"], 1 << 20)
            self.assertGreater(model["cpuSeconds"], 0, model)
            self.assertIn(f"<td>{model['size']}</td>", text)
        costs = {c["usageType"]: c["usd"] for c in rows["lambda"]["costs"]}
        self.assertAlmostEqual(costs["Request"], 62 * 0.2e-6, delta=1e-9)  # the first one, the load, and one for its memory
        self.assertAlmostEqual(sum(c["usd"] for c in rows["lambda"]["costs"]), rows["lambda"]["usd"], delta=1e-9)
        # what is billed by the second is so for a minute at least
        ecs = {c["usageType"]: c["usd"] for c in rows["ecs"]["costs"]}
        self.assertAlmostEqual(ecs["Fargate-vCPU-Hours:perCPU"], 0.25 * 0.04048 / 60, delta=1e-7)
        self.assertGreater(said["breakEvenRequestsMonth"], 0)
        self.assertIn(said["choice"], rows)
        self.assertEqual(self.left(), [])

    def test_stopped(self):
        """Ctrl-C under load: what was made goes first."""
        p = self.start("--on", "lambda", "--for", "10m", "--load", "steady:5rps", APP)
        logs, until = self.cloud.client("logs"), time.monotonic() + 60
        while not any("/compare-" in g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]):  # it has been asked
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, out), (1, ""), err)
        self.assertIn("stopped", err)
        self.assertEqual(self.left(), [])

    def test_folders_that_lack_something(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertIn("neither", self.compare(empty, status=1)[1])
            with open(f"{empty}/Procfile", "w") as f:
                f.write("worker: true\n")
            self.assertIn("neither", self.compare(empty, status=1)[1])
            with open(f"{empty}/lambda_function.py", "w") as f:
                f.write("def lambda_handler(event, context):\n    return {'statusCode': 500}\n")
            out, _ = self.compare("--json", "--on", "ecs,ec2", "--for", "1s", empty, status=1)
            self.assertTrue(all("Procfile" in m["whyNot"] for m in json.loads(out)["models"]), out)
        self.assertIn("No such file", self.compare(f"{empty}/gone", status=1)[1])

    def test_dependencies(self):
        """What requirements.txt asks for comes along: for the function beside its code, for the instance on its PATH."""
        wheel = {"greetlib/__init__.py": """import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
def main():
    http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
""", "greetlib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greetlib\nVersion: 1.0\n",
                 "greetlib-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                 "greetlib-1.0.dist-info/entry_points.txt": "[console_scripts]\ngreet-serve = greetlib:main\n",
                 "greetlib-1.0.dist-info/RECORD": ""}
        models = "lambda,ec2" if images.image(self.cloud.client("ec2")) and not images.no_containers() else "lambda"
        with tempfile.TemporaryDirectory() as app:
            os.mkdir(f"{app}/vendor")
            with zipfile.ZipFile(f"{app}/vendor/greetlib-1.0-py3-none-any.whl", "w") as z:
                for name, text in wheel.items():
                    z.writestr(name, text)
            for name, text in {"requirements.txt": "greetlib==1.0\n", "Procfile": "web: greet-serve\n",
                               "lambda_function.py": "import greetlib\ndef lambda_handler(event, context):\n    return {'statusCode': 204}\n"}.items():
                with open(f"{app}/{name}", "w") as f:
                    f.write(text)
            rows = json.loads(self.compare("--json", "--on", models, "--for", "1s", app)[0])["models"]
            self.assertEqual([(m["whyNot"], m["failed"], m["limitsMet"]) for m in rows], [(None, 0, None)] * len(rows), rows)
            with open(f"{app}/requirements.txt", "w") as f:
                f.write("no-such-package==1\n")
            self.assertIn("from its folder vendor", self.compare("--on", "lambda", "--for", "1s", app, status=1)[1])
        self.assertEqual(self.left(), [])

    def test_what_cannot_run(self):
        """Needs of the application that a model does not meet are said, and nothing is deployed."""
        for needs, models, why in ((["--duration", "1000000"], "lambda", "15 minutes"), (["--inbound"], "lambda", "connect"), (["--state"], "ecs,beanstalk", "disk"),
                                   (["--gpu"], "lambda,ecs,ec2,beanstalk", "GPU"), (["--host"], "lambda,ecs,beanstalk", "host")):
            out, _ = self.compare("--json", "--on", models, *needs, APP, status=1)
            self.assertTrue(all(why in m["whyNot"] for m in json.loads(out)["models"]), out)
        with tempfile.TemporaryDirectory() as app:  # who starts is said by package.json too
            with open(f"{app}/package.json", "w") as f:
                f.write('{"scripts": {"start": "node server.js"}}')
            out, _ = self.compare("--json", "--on", "lambda", app, status=1)
            self.assertIn("no handler", json.loads(out)["models"][0]["whyNot"])

    def test_words(self):
        for words in (("--load", "steady:"), ("--for", "0s"), ("--memory", "1"), ("--on", "mainframe"), ("--path", "x"), ("--type", "m99.large"), ("--duration", "x"), ("--no-such",)):
            _, err = self.compare(*words, APP, status=2)
            self.assertEqual(err.count("\n"), 1, err)
        self.compare(status=2)


if __name__ == "__main__":
    unittest.main()
