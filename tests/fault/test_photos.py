"""samples/photos as its reader runs it: an application of functions and of everything that starts them, made, tried, made again, and gone."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud, program  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@unittest.skipUnless(os.geteuid() == 0, "needs root for sandboxes")
class Photos(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()

    def photos(self, *words, status=0):
        done = subprocess.run(["/usr/bin/python3", "-W", "ignore", f"{ROOT}/samples/photos/photos.py", *words], capture_output=True, text=True, timeout=300, check=False,
                              env=self.cloud.environment())
        if done.returncode != status:
            logs = [subprocess.run([program(), "logs", f"/aws/lambda/photos-{name}"], capture_output=True, text=True, timeout=60, check=False, env=self.cloud.environment()).stdout
                    for name in ("thumbnail", "prints", "nightly", "gallery")]
            self.fail("\n".join([done.stdout, done.stderr, *logs, self.cloud.log_text()[-3000:]]))
        return done.stdout + done.stderr

    def test_application(self):
        awslambda, s3, logs = (self.cloud.client(name) for name in ("lambda", "s3", "logs"))
        self.photos("deploy", "--night", "00:00")
        said = self.photos("try")
        for line in (r"sunset\.png: .* a print", r"forest\.png: .* a print", r"stamp\.png: .* dead letters", r"broken\.png: \"it is no PNG file\"", r"gallery: 3 pictures",
                     r"night: .* 00:00; the report says \{\"originals\": 4, \"thumbnails\": 3, \"prints\": 2\}"):
            self.assertRegex(said, line)

        # brought up to date: what was there stays, and environments of the old code say farewell
        self.photos("deploy")
        said = self.photos("try")
        self.assertRegex(said, r"night: .* 02:00; the report says .*\"prints\": 2")
        self.assertEqual(len(awslambda.list_event_source_mappings()["EventSourceMappings"]), 1)
        self.assertEqual(awslambda.get_alias(FunctionName="photos-prints", Name="live")["FunctionVersion"], "1")  # nothing of it is new
        said = [e["message"] for e in logs.filter_log_events(logGroupName="/aws/lambda/photos-thumbnail")["events"]]
        self.assertTrue(any(re.search(r"tally: [1-9]\d* invocations, until spindown", line) for line in said), said)

        self.photos("delete")
        self.assertEqual(awslambda.list_functions()["Functions"], [])
        self.assertEqual(awslambda.list_event_source_mappings()["EventSourceMappings"], [])
        self.assertEqual(s3.list_buckets()["Buckets"], [])
        self.assertEqual(self.cloud.client("sqs").list_queues().get("QueueUrls", []), [])
        self.photos("delete")  # nothing is there: nothing to do


if __name__ == "__main__":
    unittest.main()
