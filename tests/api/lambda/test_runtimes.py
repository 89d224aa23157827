"""What each runtime does with handlers, errors and start-up."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from lambdacase import LambdaCase, package


class Python(LambdaCase):
    def error(self, code, handler="lambda_function.lambda_handler", **settings):
        reply = self.call(self.make(code, handler=handler, **settings), LogType="Tail")
        self.assertEqual(reply["FunctionError"], "Unhandled")
        return reply["Payload"]

    def test_start_up_errors(self):
        self.assertEqual(self.error("import nosuch\n"), {"errorMessage": "Unable to import module 'lambda_function': No module named 'nosuch'",
                                                         "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []})
        self.assertEqual(self.error("def f(:\n")["errorType"], "Runtime.UserCodeSyntaxError")
        self.assertEqual(self.error("x = 1\n")["errorMessage"], "Handler 'lambda_handler' missing on module 'lambda_function'")
        self.assertEqual(self.error("x = 1\n", handler="plain")["errorMessage"], "Bad handler 'plain': not enough values to unpack (expected 2, got 1)")
        raised = self.error("raise ValueError('at import')\n")
        self.assertEqual((raised["errorType"], raised["errorMessage"], raised["requestId"]), ("ValueError", "at import", ""))

    def test_the_log_of_a_start_that_fails(self):
        name = self.make("import nosuch\n")
        reply = self.call(name, LogType="Tail")
        message = "[ERROR] Runtime.ImportModuleError: Unable to import module 'lambda_function': No module named 'nosuch'\nTraceback (most recent call last):"
        request = reply["ResponseMetadata"]["RequestId"]
        self.assertRegex(reply["Log"], "^" + re.escape(message) + r"INIT_REPORT Init Duration: [0-9.]+ ms\tPhase: invoke\tStatus: error\t"
                                       r"Error Type: Runtime\.ImportModuleError\nSTART RequestId: " + request + r" Version: \$LATEST\nEND RequestId: " + request +
                                       r"\nREPORT .*\tStatus: error\tError Type: Runtime\.ImportModuleError\n$")
        found = self.logged(name)
        self.assertEqual([m.split(" ")[0] for m in found], ["INIT_START", "[ERROR]", "INIT_REPORT", "[ERROR]", "INIT_REPORT", "START", "END", "REPORT"])
        self.assertIn("Phase: init\tStatus: error\tError Type: Runtime.ImportModuleError\n", found[2])

    def test_a_start_that_ends_the_process(self):
        reply = self.call(self.make("import os\nos._exit(7)\n"), LogType="Tail")
        request = reply["ResponseMetadata"]["RequestId"]
        self.assertEqual(reply["Payload"], {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request} Error: Runtime exited with error: exit status 7"})
        self.assertRegex(reply["Log"], r"^INIT_REPORT [^\n]*Phase: invoke\tStatus: error\tError Type: Runtime.ExitError\nSTART [^\n]*\n"
                                       rf"RequestId: {request} Error: Runtime exited with error: exit status 7\nRuntime.ExitError\nEND ")

    def test_handlers_in_packages(self):
        files = {"app/__init__.py": "", "app/main.py": "def go(e, c): return 'deep'"}
        self.assertEqual(self.result(self.make(files, handler="app.main.go")), "deep")
        self.assertEqual(self.result(self.make(files, handler="app/main.go")), "deep")

    def test_decimal(self):
        name = self.make("from decimal import Decimal as D\ndef lambda_handler(e, c): return {'d': [D('1.50'), D('-12345678901234567890.12345'), D('1E+30')], 't': '1'}")
        self.assertEqual(self.aws.invoke(FunctionName=name)["Payload"].read(), b'{"d": [1.50, -12345678901234567890.12345, 1E+30], "t": "1"}')

    def test_variables_that_need_a_fresh_start(self):
        code = "import sys, os\ndef lambda_handler(e, c): return [sys.flags.optimize, os.environ['PYTHONOPTIMIZE']]"
        self.assertEqual(self.result(self.make(code, Environment={"Variables": {"PYTHONOPTIMIZE": "2"}})), [2, "2"])

    def test_modules_of_its_own_go_before_the_sdks(self):
        code = "import boto3, sys\ndef lambda_handler(e, c): return [getattr(boto3, 'MINE', None), boto3.__file__.startswith('/var/task'), 'botocore' in sys.modules]"
        self.assertEqual(self.result(self.make({"lambda_function.py": code, "boto3/__init__.py": "MINE = 1\n"})), [1, True, False])
        code = "import jmespath, botocore\ndef lambda_handler(e, c): return jmespath.MINE"
        self.assertEqual(self.result(self.make({"lambda_function.py": code, "jmespath.py": "MINE = 2\n"})), 2)
        code = "import queue\ndef lambda_handler(e, c): return queue.MINE"
        self.assertEqual(self.result(self.make({"lambda_function.py": code, "queue.py": "MINE = 3\n"})), 3)

    def test_wrapper(self):
        files = {"lambda_function.py": "import os\ndef lambda_handler(e, c): return os.environ.get('WRAPPED')",
                 "bootstrap-wrapper": "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n"}
        name = self.make(files, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap-wrapper"}})
        self.assertEqual(self.result(name), "yes")

    def test_json_log_format(self):
        name = self.make("import logging\ndef lambda_handler(e, c):\n    logging.getLogger().warning('careful')\n    logging.getLogger().info('hidden')\n")
        # Debian's botocore is older than this setting.
        reply = self.send(f"/2015-03-31/functions/{name}/configuration", json.dumps(
            {"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}}).encode(), "PUT")
        self.assertEqual(reply.status, 200, reply.body)
        self.settle(name)
        log = [json.loads(line) for line in self.call(name, LogType="Tail")["Log"].splitlines()]
        self.assertEqual([e["message"] for e in log if "message" in e], ["careful"])
        self.assertEqual([e["type"] for e in log if "type" in e], ["platform.start", "platform.report"])


class Node(LambdaCase):
    def setUp(self):
        if not shutil.which("node", path="/usr/bin:/usr/local/bin"):
            self.skipTest("no Node.js is installed")

    def node(self, code, handler="index.handler", **settings):
        return self.make(code, runtime="nodejs20.x", handler=handler, **settings)

    def test_handler_styles(self):
        name = self.node("exports.handler = async (e, c) => ({ e, id: c.awsRequestId.length });")
        self.assertEqual(self.result(name, {"a": 1}), {"e": {"a": 1}, "id": 36})
        self.assertEqual(self.result(self.node("exports.handler = (e, c, done) => setTimeout(() => done(null, 'later'), 10);")), "later")
        self.assertIsNone(self.result(self.node("exports.handler = async () => undefined;")))
        self.assertIsNone(self.result(self.node("exports.handler = () => {};")))
        self.assertEqual(self.result(self.node({"index.mjs": "export const handler = async () => 'module';"})), "module")
        self.assertEqual(self.result(self.node({"index.js": "export const handler = async () => 'typed';", "package.json": '{"type":"module"}'})), "typed")
        self.assertEqual(self.result(self.node({"src/app.js": "exports.deep = { er: async () => 'nested' };"}, handler="src/app.deep.er")), "nested")

    def test_errors(self):
        reply = self.call(self.node("exports.handler = async () => { throw new TypeError('bad'); };"), LogType="Tail")
        self.assertEqual((reply["Payload"]["errorType"], reply["Payload"]["errorMessage"]), ("TypeError", "bad"))
        self.assertEqual(reply["Payload"]["trace"][0], "TypeError: bad")
        self.assertRegex(reply["Log"], r'Z\t[-0-9a-f]{36}\tERROR\tInvoke Error \t\{"errorType":"TypeError"')
        reply = self.call(self.node("exports.other = 1;"))
        self.assertEqual(reply["Payload"]["errorMessage"], "index.handler is undefined or not exported")
        reply = self.call(self.node({"wrong.js": ""}))
        self.assertEqual(reply["Payload"]["errorType"], "Runtime.ImportModuleError")
        self.assertTrue(reply["Payload"]["errorMessage"].startswith("Error: Cannot find module 'index'"))

    def test_what_nobody_catches(self):
        name = self.node("exports.handler = async (e) => { if (e.late) setTimeout(() => { throw new RangeError('late') }, 5); "
                         "if (e.reject) Promise.reject(new Error('lost')); if (e.exit) process.exit(7); "
                         "if (e.late || e.reject) await new Promise((r) => setTimeout(r, 2000)); return 'fine'; };", Timeout=5)
        self.assertEqual(self.result(name), "fine")
        reply = self.call(name, {"reject": True}, LogType="Tail")
        self.assertEqual((reply["FunctionError"], reply["Payload"]["errorType"], reply["Payload"]["errorMessage"]),
                         ("Unhandled", "Runtime.UnhandledPromiseRejection", "Error: lost"))
        self.assertEqual(reply["Payload"]["trace"][0], "Runtime.UnhandledPromiseRejection: Error: lost")
        self.assertIn('\tERROR\tUnhandled Promise Rejection \t{"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: lost",'
                      '"reason":{"errorType":"Error","errorMessage":"lost","stack":[', reply["Log"])
        self.assertEqual(self.result(name), "fine")
        reply = self.call(name, {"late": True}, LogType="Tail")
        self.assertEqual((reply["Payload"]["errorType"], reply["Payload"]["errorMessage"]), ("RangeError", "late"))
        self.assertIn('\tERROR\tUncaught Exception \t{"errorType":"RangeError","errorMessage":"late","stack":[', reply["Log"])
        reply = self.call(name, {"exit": True})
        self.assertTrue(reply["Payload"]["errorMessage"].endswith("Error: Runtime exited with error: exit status 7"))
        self.assertEqual(self.result(name), "fine")

    def test_console(self):
        found = self.node("exports.handler = async () => { console.log('two\\nlines'); };")
        self.call(found)
        self.assertRegex(self.logged(found)[2], r"Z\t[-0-9a-f]{36}\tINFO\ttwo\nlines\n$")
        log = self.call(self.node("exports.handler = async () => { console.log('a', {b: 1}); console.error('c'); };"), LogType="Tail")["Log"]
        self.assertRegex(log, r"\d{3}Z\t[-0-9a-f]{36}\tINFO\ta \{ b: 1 \}\n")
        self.assertRegex(log, r"\d{3}Z\t[-0-9a-f]{36}\tERROR\tc\n")


class Provided(LambdaCase):
    def test_shell_runtime(self):
        """A runtime in a few lines of shell, as AWS's tutorial has it."""
        script = """#!/bin/sh
API=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while true; do
  DATA=$(curl -sS -D /tmp/head $API/next)
  ID=$(grep -i '^Lambda-Runtime-Aws-Request-Id:' /tmp/head | tr -d '[:space:]' | cut -d: -f2)
  curl -sS -X POST $API/$ID/response -d "{\\"handler\\":\\"$_HANDLER\\",\\"got\\":$DATA}" >/dev/null
done
"""
        name = self.make({"bootstrap": script}, runtime="provided.al2023", handler="anything", Timeout=10)
        self.assertEqual(self.result(name, {"a": 1}), {"handler": "anything", "got": {"a": 1}})
        self.assertEqual(self.result(name, [2]), {"handler": "anything", "got": [2]})

    def test_no_bootstrap(self):
        reply = self.call(self.make({"readme": ""}, runtime="provided.al2023", handler="x"))
        self.assertEqual(reply["Payload"]["errorType"], "Runtime.InvalidEntrypoint")
        self.assertIn("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]", reply["Payload"]["errorMessage"])

    def test_runtime_api_refuses_what_is_out_of_turn(self):
        script = """#!/usr/bin/python3
import json, os, urllib.request, urllib.error
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
def send(path, data=None, headers={}):
    try:
        r = urllib.request.urlopen(urllib.request.Request(api + path, data=data, headers=headers))
        return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()
while True:
    _, headers, _ = send("invocation/next")
    rid = headers["Lambda-Runtime-Aws-Request-Id"]
    seen = [send("invocation/not-it/response", b"1"), send("init/error", b"{}"), send("invocation/next"), send("nowhere"),
            send("invocation/" + rid + "/response", b"1", {"Lambda-Runtime-Function-Response-Mode": "loud"})]
    send("invocation/" + rid + "/response", json.dumps([[s, json.loads(b)["errorType"]] for s, _, b in seen]).encode())
"""
        name = self.make({"bootstrap": script}, runtime="provided.al2023", handler="x", Timeout=10)
        self.assertEqual(self.result(name), [[400, "InvalidRequestID"], [403, "InvalidStateTransition"], [403, "InvalidStateTransition"],
                                             [404, "NotFound"], [400, "InvalidFunctionResponseMode"]])


class Ruby(LambdaCase):
    def setUp(self):
        if not shutil.which("ruby", path="/usr/bin"):
            self.skipTest("no Ruby is installed")

    def ruby(self, code, handler="function.handler"):
        return self.make({"function.rb": code}, runtime="ruby3.3", handler=handler)

    def test_handlers(self):
        name = self.ruby("def handler(event:, context:)\n  { got: event, name: context.function_name }\nend\n")
        self.assertEqual(self.result(name, {"a": 1}), {"got": {"a": 1}, "name": name})
        self.assertEqual(self.result(name, {"a": 2})["got"], {"a": 2})
        code = "module App\n  class Main\n    def self.run(event:, context:)\n      'deep'\n    end\n  end\nend\n"
        self.assertEqual(self.result(self.ruby(code, handler="function.App::Main.run")), "deep")

    def test_errors(self):
        reply = self.call(self.ruby("def handler(event:, context:)\n  event.fetch('nothing')\nend\n"))
        self.assertEqual((reply["FunctionError"], reply["Payload"]["errorType"]), ("Unhandled", "Function<KeyError>"))
        self.assertIn("/var/task/function.rb:2", reply["Payload"]["stackTrace"][0] + reply["Payload"]["stackTrace"][1])


JAVA = """
package app;
import java.io.*;
import java.util.*;
public class Main {
	public static class Order { public String item; private int count; public int getCount() { return count; } public void setCount(int n) { count = n; } }
	public Map<String, Object> echo(Map<String, Object> event) { System.out.println("seen " + event.size()); return Map.of("got", event); }
	public Order twice(Order o) { o.setCount(2 * o.getCount()); return o; }
	public static int sum(List<Integer> values) { int n = 0; for (int v : values) n += v; return n; }
	public void copy(InputStream in, OutputStream out) throws IOException { in.transferTo(out); }
	public String fail(String s) { throw new IllegalStateException("no " + s); }
}
"""


@unittest.skipUnless(shutil.which("javac") and shutil.which("jar"), "there is no Java compiler")
class Java(LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory() as work:
            os.mkdir(work + "/app")
            with open(work + "/app/Main.java", "w") as f:
                f.write(JAVA)
            subprocess.run(["javac", "--release", "17", "-d", work + "/out", work + "/app/Main.java"], check=True)
            cls.files = {}
            for name in os.listdir(work + "/out/app"):
                with open(f"{work}/out/app/{name}", "rb") as f:
                    cls.files["app/" + name] = f.read()

    def java(self, handler):
        return self.make(self.files, handler=handler, runtime="java17", MemorySize=512, Timeout=20)

    def test_handlers(self):
        event = {"a": [1, 2.5, None, True, "\u00fc\n\""], "b": {"c": 1 << 40}}
        self.assertEqual(self.result(self.java("app.Main::echo"), event), {"got": event})
        self.assertEqual(self.result(self.java("app.Main::twice"), {"item": "x", "count": 21}), {"item": "x", "count": 42})
        self.assertEqual(self.result(self.java("app.Main::sum"), [1, 2, 3]), 6)
        self.assertEqual(self.result(self.java("app.Main::copy"), {"raw": 1}), {"raw": 1})

    def test_errors(self):
        reply = self.call(self.java("app.Main::fail"), "go")
        self.assertEqual(reply["FunctionError"], "Unhandled")
        self.assertEqual((reply["Payload"]["errorType"], reply["Payload"]["errorMessage"]), ("java.lang.IllegalStateException", "no go"))
        self.assertIn("app.Main.fail", reply["Payload"]["stackTrace"][0])
        self.assertEqual(self.call(self.java("app.Nothing"))["Payload"]["errorType"], "java.lang.ClassNotFoundException")


class Samples(LambdaCase):
    def test_reports_agree(self):
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "samples")
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(["cc", "-O2", "-o", work + "/bootstrap", here + "/report-native/bootstrap.c", "-lcrypto"], check=True)
            with open(work + "/bootstrap", "rb") as f:
                native = package({"bootstrap": f.read()})
        files = {}
        for name in ("lambda_function.py", "orders.py"):
            with open(f"{here}/report-python/{name}") as f:
                files[name] = f.read()
        python = package(files)
        orders = subprocess.run(["python3", here + "/make-data.py", "20000"], check=True, capture_output=True).stdout
        bucket = "shop-" + self.role_name
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_object(Bucket=bucket, Key="orders.csv", Body=orders)
        reports = []
        for runtime, handler, code in (("provided.al2023", "bootstrap", native), ("python3.12", "lambda_function.handler", python)):
            name = "t-report-" + runtime.split(".")[0] + self.role_name[-8:]
            self.aws.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=self.role, Timeout=60, MemorySize=1024, Code={"ZipFile": code})
            self.made.append(name)
            self.aws.get_waiter("function_active_v2").wait(FunctionName=name)
            self.assertEqual(self.result(name, {"bucket": bucket, "key": "orders.csv", "report": "report.json"})["orders"], 20000)
            reports.append(json.loads(self.s3.get_object(Bucket=bucket, Key="report.json")["Body"].read()))
        self.assertEqual(reports[0], reports[1])
        for key in ("orders.csv", "report.json"):
            self.s3.delete_object(Bucket=bucket, Key=key)
        self.s3.delete_bucket(Bucket=bucket)


if __name__ == "__main__":
    unittest.main()
