"""An export of logs whose cloud is killed meanwhile: it goes on, and all events are in the bucket once."""
import gzip
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud  # noqa: E402

BATCHES, EVENTS = 12, 4000


class Killed(unittest.TestCase):
    def test_goes_on(self):
        with Cloud() as cloud:
            logs, s3 = cloud.client("logs"), cloud.client("s3")
            logs.create_log_group(logGroupName="g")
            at = int(time.time() * 1000) - 60000
            for n in range(BATCHES):
                logs.create_log_stream(logGroupName="g", logStreamName=f"s{n}")
                logs.put_log_events(logGroupName="g", logStreamName=f"s{n}", logEvents=[{"timestamp": at + i, "message": f"{n}:{i} " + "x" * 200} for i in range(EVENTS)])
            s3.create_bucket(Bucket="exports")
            s3.put_bucket_policy(Bucket="exports", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "logs.us-east-1.amazonaws.com"}, "Action": ["s3:GetBucketAcl", "s3:PutObject"],
                 "Resource": ["arn:aws:s3:::exports", "arn:aws:s3:::exports/*"]}]}))
            task = logs.create_export_task(logGroupName="g", fromTime=0, to=at + 100000, destination="exports")["taskId"]
            for victim in ("api", "main", "api"):
                pid = cloud.kill(victim)
                if victim == "main":
                    cloud.process.wait()
                    cloud.log.close()
                    cloud.start()
                else:
                    cloud.wait_for_role("api", pid)
                    cloud.wait()
            logs, s3, until = cloud.client("logs"), cloud.client("s3"), time.monotonic() + 120
            while (found := logs.describe_export_tasks(taskId=task)["exportTasks"][0])["status"]["code"] != "COMPLETED":
                self.assertIn(found["status"]["code"], ("PENDING", "RUNNING"), found)
                self.assertLess(time.monotonic(), until, found)
                time.sleep(0.1)
            lines = []
            for o in s3.list_objects_v2(Bucket="exports", Prefix=f"exportedlogs/{task}/")["Contents"]:
                lines += gzip.decompress(s3.get_object(Bucket="exports", Key=o["Key"])["Body"].read()).decode().splitlines()
            self.assertEqual(sorted(x.split()[1] for x in lines), sorted(f"{n}:{i}" for n in range(BATCHES) for i in range(EVENTS)))


if __name__ == "__main__":
    unittest.main()
