"""kill -9 of each role while snapshots of functions are taken and restored: what is published becomes Active, what was kept stays the same
over every restart, and no file, process or sandbox is left."""
import json
import os
import time
import unittest

from functions import Functions, package
from killing import Killing, Writers

CODE = """import time, uuid
BEGAN = uuid.uuid4().hex
KEPT = [bytes([i % 251]) * 4096 for i in range(5000)]
def handler(event, context):
    return [BEGAN, all(k == bytes([i % 251]) * 4096 for i, k in enumerate(KEPT)), context.function_version]
"""
VICTIMS = (("priv",), ("api",), ("main",), ("api", "priv"), ("api", "priv", "main"))


class KilledSnapshots(Killing):
    def setUp(self):
        super().setUp()
        until = time.monotonic() + 60
        while not (found := self.cloud.health()["sandboxes"])["snapshots"]:
            if found["why_no_snapshots"]:
                self.skipTest(f"this machine cannot restore snapshots: {found['why_no_snapshots']}")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        self.functions = Functions(self.cloud)
        self.functions.make("kept", CODE, Timeout=30, MemorySize=256, SnapStart={"ApplyOn": "PublishedVersions"})

    def files(self):
        return os.listdir(self.data + "/snapshots")

    def active(self, version):
        aws, until = self.cloud.client("lambda"), time.monotonic() + 120
        while (found := aws.get_function_configuration(FunctionName="kept", Qualifier=version))["State"] == "Pending":
            self.assertLess(time.monotonic(), until, "it stays Pending")
            time.sleep(0.1)
        self.assertEqual(found["State"], "Active", found.get("StateReason"))

    def publish(self, change):
        self.functions.aws.update_function_code(FunctionName="kept", ZipFile=package(CODE + f"# {change}\n"))
        self.functions.aws.get_waiter("function_updated_v2").wait(FunctionName="kept", WaiterConfig={"Delay": 1})
        return self.functions.aws.publish_version(FunctionName="kept")["Version"]

    def test_kills(self):
        first = self.functions.aws.publish_version(FunctionName="kept")["Version"]
        self.active(first)
        began = {first: self.functions.call("kept", Qualifier=first)[1][0]}
        wrong = []

        def calls(number, ask):
            reply = ask("lambda", "POST", "/2015-03-31/functions/kept/invocations", b"{}", query="Qualifier=" + first)
            if reply and reply.status == 200 and "x-amz-function-error" not in reply.headers and json.loads(reply.body) != [began[first], True, first]:
                wrong.append(reply.body)

        with Writers(self, self.cloud, [calls, calls]) as writers:
            for number, who in enumerate(VICTIMS):
                version = self.publish(number)
                time.sleep(0.05 + 0.15 * number)
                self.kill(who)
                self.active(version)
                answer = self.functions.call("kept", Qualifier=version)
                self.assertEqual((answer[0], answer[1][1:]), (None, [True, version]))
                began[version] = answer[1][0]
        self.assertEqual(writers.hung, [])
        self.assertEqual(wrong, [])
        self.assertEqual(len(set(began.values())), len(VICTIMS) + 1)
        # another restart: all of them are what they were
        self.cloud.stop()
        self.cloud.start()
        for version, value in began.items():
            self.assertEqual(self.functions.call("kept", Qualifier=version), (None, [value, True, version]))
        self.until(lambda: len(self.files()) == len(began), f"files beside those of {len(began)} versions: ")
        # one that is gone is made anew, and the version goes on meanwhile
        for name in self.files():
            os.unlink(f"{self.data}/snapshots/{name}")
        self.cloud.stop()
        self.cloud.start()
        self.assertEqual(self.functions.call("kept", Qualifier=first)[1][1:], [True, first])
        self.until(lambda: len(self.files()) == len(began), "they are not made again: ")
        self.functions.aws.delete_function(FunctionName="kept")
        self.until(lambda: not self.files(), "they stay: ")
        self.end()

    def until(self, what, text):
        end = time.monotonic() + 120
        while not what():
            self.assertLess(time.monotonic(), end, text + str(self.files()))
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
