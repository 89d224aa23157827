"""AWS's own runtime client for Node.js (npm aws-lambda-ric), in a package whose bootstrap runs it.

Its native part is built from source once, into build/ric, which takes a minute or two of a compiler and the net: only where RIC_BUILD=1
says so, or where it is there already."""
import os
import shutil
import subprocess
import unittest

from lambdacase import LambdaCase

VERSION = "3.3.0"
PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "build", "ric")
TOOLS = ("npm", "cmake", "autoconf", "automake", "libtoolize", "g++", "make")
BOOTSTRAP = '#!/bin/sh\nexec /usr/bin/node /var/task/node_modules/aws-lambda-ric/bin/index.mjs "$_HANDLER"\n'
CODE = """exports.handler = async (event, context) => {
    if (event.fail)
        throw new RangeError('asked for');
    return { event, id: context.awsRequestId, left: context.getRemainingTimeInMillis() };
};
"""


def client_files():
    """The client's files by their names in the package, or None and why there are none."""
    root = os.path.join(PLACE, "node_modules", "aws-lambda-ric")
    native = os.path.join(root, "dist", "rapid-client.node")
    if not os.path.exists("/usr/bin/node"):
        return None, "no Node.js is installed in /usr/bin"
    if not os.path.exists(native):
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        if os.environ.get("RIC_BUILD") != "1":
            return None, "aws-lambda-ric is not built; RIC_BUILD=1 builds it, with " + ", ".join(TOOLS)
        if missing:
            return None, "aws-lambda-ric cannot be built without " + ", ".join(missing)
        os.makedirs(PLACE, exist_ok=True)
        done = subprocess.run(["npm", "install", "--prefix", PLACE, "--no-audit", "--no-fund", "aws-lambda-ric@" + VERSION],
                              capture_output=True, text=True, timeout=600)
        if not os.path.exists(native):
            return None, "aws-lambda-ric could not be built: " + done.stderr[-300:]
    files = {}
    for name in ("package.json", "bin/index.mjs", "dist/index.mjs", "dist/rapid-client.node"):
        with open(os.path.join(root, name), "rb") as f:
            files["node_modules/aws-lambda-ric/" + name] = f.read()
    return files, None


class OfficialNodeClient(LambdaCase):
    def test_invocations(self):
        files, why_not = client_files()
        if not files:
            self.skipTest(why_not)
        name = self.make({"bootstrap": BOOTSTRAP, "app.js": CODE, **files}, runtime="provided.al2023", handler="app.handler",
                         MemorySize=512, Timeout=10)
        for event in ({"a": 1}, {"text": "\u00e4" * 100000}):
            reply = self.call(name, event)
            self.assertNotIn("FunctionError", reply, reply["Payload"])
            self.assertEqual(reply["Payload"]["event"], event)
            self.assertEqual(reply["Payload"]["id"], reply["ResponseMetadata"]["RequestId"])
            self.assertTrue(0 < reply["Payload"]["left"] <= 10000)
        reply = self.call(name, {"fail": True})
        self.assertEqual((reply["FunctionError"], reply["Payload"]["errorType"], reply["Payload"]["errorMessage"]),
                         ("Unhandled", "RangeError", "asked for"))
        self.assertEqual(self.result(name, {"again": 1})["event"], {"again": 1})


if __name__ == "__main__":
    unittest.main()
