"""Functions from the command line: both AWS CLIs, and the program's own invoke, logs and exec."""
import json
import os
import subprocess
import tempfile
import time
import unittest
import uuid

from aws import aws_programs, client, run
from lambdacase import ACCOUNT, LambdaCase, package

CODE = """
import os
def lambda_handler(event, context):
    print("said \\u00fc")
    if event.get("fail"):
        raise ValueError("no")
    return [event, os.environ["AWS_LAMBDA_FUNCTION_VERSION"]]
"""


class AwsPrograms(LambdaCase):
    def test_a_function_from_beginning_to_end(self):
        programs = aws_programs()
        if not programs:
            self.skipTest("no AWS CLI is installed")
        for program in programs:
            with self.subTest(program=program), tempfile.TemporaryDirectory() as work:
                self.walk(program, work)

    def walk(self, program, work):
        name, zip_file, out = "t-" + uuid.uuid4().hex[:12], work + "/f.zip", work + "/out"
        second = "aws-cli/2" in run(program, "--version").stdout  # which decodes payloads unless told not to

        def aws(*args):
            return run(program, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json", "lambda", *args).stdout

        def invoke(*args, target=name):
            reply = aws("invoke", "--function-name", target, *(["--cli-binary-format", "raw-in-base64-out"] if second else []), *args, out)
            with open(out) as f:
                return json.loads(reply), f.read()

        with open(zip_file, "wb") as f:
            f.write(package({"lambda_function.py": CODE}))
        made = json.loads(aws("create-function", "--function-name", name, "--runtime", "python3.12", "--handler", "lambda_function.lambda_handler",
                              "--role", self.role, "--zip-file", "fileb://" + zip_file))
        self.made.append(name)
        self.assertEqual(made["State"], "Pending")
        aws("wait", "function-active", "--function-name", name)
        aws("wait", "function-exists", "--function-name", name)
        self.assertEqual(invoke("--payload", '{"a": "\u00fc"}'), ({"StatusCode": 200, "ExecutedVersion": "$LATEST"}, '[{"a": "\u00fc"}, "$LATEST"]'))
        self.assertEqual(invoke("--payload", '{"fail": true}')[0], {"StatusCode": 200, "FunctionError": "Unhandled", "ExecutedVersion": "$LATEST"})
        self.assertEqual(invoke("--invocation-type", "Event"), ({"StatusCode": 202}, ""))
        self.assertEqual(invoke("--invocation-type", "DryRun"), ({"StatusCode": 204}, ""))
        aws("update-function-configuration", "--function-name", name, "--timeout", "7")
        aws("wait", "function-updated", "--function-name", name)
        self.assertEqual(json.loads(aws("publish-version", "--function-name", name))["Version"], "1")
        aws("create-alias", "--function-name", name, "--name", "live", "--function-version", "1")
        aws("wait", "published-version-active", "--function-name", name, "--qualifier", "1")
        self.assertEqual(invoke(target=name + ":live"), ({"StatusCode": 200, "ExecutedVersion": "1"}, '[{}, "1"]'))
        aws("delete-function", "--function-name", name)
        gone = run(program, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "lambda", "get-function", "--function-name", name, check=False)
        self.assertNotEqual(gone.returncode, 0)
        self.assertIn(f"An error occurred (ResourceNotFoundException) when calling the GetFunction operation: Function not found: "
                      f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}", gone.stderr)


class OwnCommands(LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.make(cls(), CODE, MemorySize=256)
        cls.aws.publish_version(FunctionName=cls.name)
        cls.aws.get_waiter("published_version_active").wait(FunctionName=cls.name, Qualifier="1", WaiterConfig={"Delay": 1})
        cls.aws.create_alias(FunctionName=cls.name, Name="live", FunctionVersion="1")

    def quartet(self, *args, check=True, stdin=None):
        return run(os.environ["QUARTET"], *args, check=check, stdin=stdin)

    def test_invoke(self):
        self.assertEqual(json.loads(self.quartet("invoke", self.name, '{"a":"\u00fc"}').stdout), [{"a": "\u00fc"}, "$LATEST"])
        for target in (f"{self.name}:live", f"{self.name}:1", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{self.name}:live"):
            self.assertEqual(json.loads(self.quartet("invoke", target).stdout), [{}, "1"])
        told = self.quartet("invoke", "--log", self.name)
        self.assertRegex(told.stderr, r"(?s)^START RequestId: .*said \u00fc\nEND .*REPORT ")
        failed = self.quartet("invoke", self.name, '{"fail": 1}', check=False)
        self.assertEqual((failed.returncode, json.loads(failed.stdout)["errorType"]), (1, "ValueError"))
        for args, message in ((("absent",), "ResourceNotFoundException: Function not found"), ((self.name, "{no"), "InvalidRequestContentException"),
                              ((f"{self.name}:7",), "ResourceNotFoundException")):
            refused = self.quartet("invoke", *args, check=False)
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn(message, refused.stderr)
        self.assertEqual(self.quartet("invoke", check=False).returncode, 2)

    def test_watch(self):
        name = self.make(CODE)
        with tempfile.TemporaryDirectory() as work, tempfile.TemporaryFile("w+") as errors:
            def write(file, text):
                with open(os.path.join(work, file + ".new"), "w") as f:
                    f.write(text)
                os.rename(os.path.join(work, file + ".new"), os.path.join(work, file))
            os.makedirs(os.path.join(work, "inner", "deep"))
            os.makedirs(os.path.join(work, ".git"))
            write(".git/secret", "x")
            write("inner/deep/said.py", "WORD = 'first'\n")
            os.symlink("inner/deep/said.py", os.path.join(work, "said.py"))
            write("lambda_function.py", "import os, said\ndef lambda_handler(event, context):\n    return [event, said.WORD, os.path.exists('.git')]\n")
            watching = subprocess.Popen([os.environ["QUARTET"], "invoke", "--watch", work, name, '{"a": 1}'], stdout=subprocess.PIPE, stderr=errors, text=True)
            try:
                self.assertEqual(json.loads(watching.stdout.readline()), [{"a": 1}, "first", False])
                write("inner/deep/said.py", "WORD = 'then'\n")
                self.assertEqual(json.loads(watching.stdout.readline())[1], "then")
                write("lambda_function.py", "def lambda_handler(event, context):\n    raise ValueError('mine')\n")
                self.assertEqual(json.loads(watching.stdout.readline())["errorMessage"], "mine")
                write("lambda_function.py", "def lambda_handler(event, context):\n    return 'well again'\n")
                self.assertEqual(json.loads(watching.stdout.readline()), "well again")
            finally:
                watching.terminate()
                watching.wait()
                watching.stdout.close()
        refused = self.quartet("invoke", "--watch", "/nonexistent", name, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("/nonexistent: No such file", refused.stderr)

    def test_logs(self):
        name = self.make(CODE)
        self.result(name)
        group = f"/aws/lambda/{name}"
        for _ in range(50):
            shown = self.quartet("logs", name, check=False).stdout
            if "REPORT" in shown:
                break
            time.sleep(0.1)
        self.assertRegex(shown, r"(?m)^\d{4}-\d\d-\d\dT[0-9:.]+Z said \u00fc$")
        self.assertEqual(self.quartet("logs", group).stdout, shown)
        absent = self.quartet("logs", "absent", check=False)
        self.assertEqual(absent.returncode, 1)
        self.assertIn("ResourceNotFoundException: The specified log group does not exist.", absent.stderr)
        # a group that is called as the function is meant itself
        logs = client("logs")
        logs.create_log_group(logGroupName=name)
        self.assertEqual(self.quartet("logs", name).stdout, "")
        for made in (name, group):
            logs.delete_log_group(logGroupName=made)

    def test_exec(self):
        self.result(self.name)
        self.result(self.name + ":live")
        self.assertIn("uid=993", self.quartet("exec", self.name, "id", stdin="").stdout)
        for target in (self.name + ":live", self.name + ":1"):
            self.assertIn("lambda_function.py", self.quartet("exec", target, "ls", "/var/task", stdin="").stdout)
        for target in ("absent", self.name + ":7"):
            refused = run(os.environ["QUARTET"], "exec", target, "id", check=False, stdin="", timeout=20)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("invoke it first", refused.stderr)
        self.assertEqual(self.result(self.name), [{}, "$LATEST"], "the sandbox goes on as it was")


if __name__ == "__main__":
    unittest.main()
