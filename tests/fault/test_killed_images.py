"""kill -9 of each role while functions from images run and are made: answers are their own, what was made becomes ready, no layer is half there."""
import json
import os
import time
import unittest

import function_image as images
from functions import Functions
from killing import Killing
from registry import Registry

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
URI = "000000000000.dkr.ecr.us-east-1.amazonaws.com/images:"


@unittest.skipIf(images.why_not(), images.why_not())
class KilledImages(Killing):
    def setUp(self):
        super().setUp()
        ecr = self.cloud.client("ecr")
        ecr.create_repository(repositoryName="images")
        self.registry = Registry(ecr, self.cloud.endpoint, "images")
        self.functions = Functions(self.cloud)
        self.base = images.layer(images.base())
        for n in range(12):
            images.push(self.registry, [self.base, images.layer({"etc/who": str(n).encode(), "big": os.urandom(1 << 18)})], str(n), ARCHITECTURE,
                        Entrypoint=["/runtime"])

    def description(self, name, tag):
        return {"FunctionName": name, "Role": self.functions.role, "PackageType": "Image", "Timeout": 30, "Code": {"ImageUri": URI + tag}}

    def who(self, name):
        reply = self.functions.aws.invoke(FunctionName=name, Payload=images.event("cat /etc/who"))
        payload = reply["Payload"].read()
        self.assertNotIn("FunctionError", reply, payload)
        return images.answer(payload)

    def test_calls_and_creations_in_flight(self):
        self.functions.aws.create_function(**self.description("calls", "0"))
        self.assertEqual(images.active(self.functions.aws, "calls")["State"], "Active")
        wrong, made = [], {}

        def calls(number, ask):
            reply = ask("lambda", "POST", "/2015-03-31/functions/calls/invocations", images.event(f"echo {number}"))
            if reply and reply.status == 200 and "x-amz-function-error" not in reply.headers and images.answer(reply.body) != f"{number}\n":
                wrong.append((number, reply.body))

        def creations(number, ask):
            tag = str(number % 11 + 1)
            reply = ask("lambda", "POST", "/2015-03-31/functions", json.dumps(self.description(f"made{number}", tag)).encode(),
                        headers={"content-type": "application/json"})
            if reply and reply.status == 201:
                made[f"made{number}"] = tag
            time.sleep(0.02)

        self.rounds([calls, calls, creations], victims=(("api",), ("priv",), ("main",), ("api", "priv", "main")), before_s=0.8)
        self.assertEqual(wrong, [])
        self.assertGreater(len(made), 10)
        for name in made:
            found = images.active(self.functions.aws, name)
            self.assertEqual(found["State"], "Active", found)
        for name in list(made)[::max(1, len(made) // 12)]:
            self.assertEqual(self.who(name), made[name])
        self.assertEqual([name for name in os.listdir(os.path.join(self.data, "layers")) if name.startswith(".")], [])
        self.end()

    def test_deleted_images(self):
        """Functions keep the layers that they need, whoever has forgotten what: those of deleted functions go from the disk."""
        for name, tag in (("kept", "0"), ("gone", "1")):
            self.functions.aws.create_function(**self.description(name, tag))
            self.assertEqual(images.active(self.functions.aws, name)["State"], "Active")
        layers = os.path.join(self.data, "layers")
        self.assertEqual(len(os.listdir(layers)), 3)
        self.functions.aws.delete_function(FunctionName="gone")
        self.cloud.client("ecr").delete_repository(repositoryName="images", force=True)
        self.kill(("api",))
        until = time.monotonic() + 60
        while len(os.listdir(layers)) != 2:
            self.assertLess(time.monotonic(), until, os.listdir(layers))
            time.sleep(0.05)
        self.assertEqual(self.who("kept"), "0")
        self.end()


if __name__ == "__main__":
    unittest.main()
