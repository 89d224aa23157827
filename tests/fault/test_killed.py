"""kill -9 of each role while clients write: what was acknowledged is there, nothing is half there, nobody hangs, nothing is left."""
import collections
import hashlib
import json
import random
import threading
import time
import unittest
import urllib.parse

from killing import Killing

BUCKET = "killed"


def content(key, number=0):
    """The bytes that belong to a key: small ones live in the store, larger ones in files."""
    r = random.Random(f"{key} {number}")
    return f"{key} {number} ".encode() + r.randbytes(r.choice((10, 3000, 8100, 8300, 20000, 60000)))


class Killed(Killing):
    def test_objects(self):
        self.cloud.client("s3").create_bucket(Bucket=BUCKET)
        acknowledged, attempted, gone, maybe_gone = {}, {}, set(), set()
        hot = collections.defaultdict(lambda: [-1, -1])  # thread -> last acknowledged, last attempted

        def puts(thread):
            def step(number, ask):
                key = f"t{thread}/{number:05}"
                attempted[key] = content(key)
                reply = ask("s3", "PUT", f"/{BUCKET}/{key}", attempted[key])
                if reply and reply.status == 200:
                    acknowledged[key] = attempted[key]
                if number % 5 == 4 and key in acknowledged:
                    maybe_gone.add(key)
                    reply = ask("s3", "DELETE", f"/{BUCKET}/{key}")
                    if reply and reply.status == 204:
                        gone.add(key)
                if number % 3 == 0:
                    hot[thread][1] = number
                    reply = ask("s3", "PUT", f"/{BUCKET}/hot{thread}", content(f"hot{thread}", number))
                    if reply and reply.status == 200:
                        hot[thread][0] = number
            return step

        self.rounds([puts(t) for t in range(8)])
        s3 = self.cloud.client("s3")
        listed = {o["Key"]: o["Size"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
                  for o in page.get("Contents", [])}
        plain = {k for k in listed if not k.startswith("hot")}
        self.assertEqual(set(acknowledged) - maybe_gone - plain, set(), "acknowledged and lost")
        self.assertEqual(plain - set(attempted), set(), "never written")
        self.assertEqual(plain & gone, set(), "deleted and back")
        files = 0
        for key in listed:
            got = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            self.assertEqual(len(got), listed[key])
            files += len(got) > 8192
            if key.startswith("hot"):
                number = int(got.split(b" ")[1])
                self.assertEqual(got, content(key, number))
                last, tried = hot[int(key[3:])]
                self.assertTrue(last <= number <= tried, (key, last, number, tried))
            else:
                self.assertEqual(got, attempted[key], key)
        print(f"    {len(listed)} objects of {len(attempted)} attempted, {len(acknowledged)} acknowledged", flush=True)
        self.end(expected_blobs=files)

    def test_multipart(self):
        s3 = self.cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="large")["UploadId"]
        part = [random.Random(i).randbytes(5 << 20) for i in range(3)]
        tags, lock = {}, threading.Lock()

        def parts(thread):
            def step(number, ask):
                n = thread + 2 * number
                reply = ask("s3", "PUT", f"/{BUCKET}/large", part[n % 3],
                            query=f"partNumber={n + 1}&uploadId={urllib.parse.quote(upload, safe='-_.~')}")
                if reply and reply.status == 200:
                    with lock:
                        tags[n + 1] = reply.headers["etag"]
            return step

        def small(number, ask):
            ask("s3", "PUT", f"/{BUCKET}/small", b"x")

        self.rounds([parts(0), parts(1), small], victims=(("api",), ("main",), ("api", "priv", "main")), before_s=0.6)
        s3 = self.cloud.client("s3")
        listed = {p["PartNumber"]: p["ETag"] for page in
                  s3.get_paginator("list_parts").paginate(Bucket=BUCKET, Key="large", UploadId=upload) for p in page["Parts"]}
        for n, tag in tags.items():
            self.assertEqual(listed.get(n), tag, "an acknowledged part is not there")
        self.assertEqual(s3.get_object(Bucket=BUCKET, Key="small")["Body"].read(), b"x")
        self.assertGreater(len(tags), 3)
        chosen = sorted(tags)[:12]
        s3.complete_multipart_upload(Bucket=BUCKET, Key="large", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": n, "ETag": tags[n]} for n in chosen]})
        got, want = hashlib.sha256(), hashlib.sha256()
        for piece in s3.get_object(Bucket=BUCKET, Key="large")["Body"].iter_chunks(1 << 20):
            got.update(piece)
        for n in chosen:
            want.update(part[(n - 1) % 3])
        self.assertEqual(got.hexdigest(), want.hexdigest())
        self.end(expected_blobs=len(chosen))

    def test_control_plane(self):
        """Names that were acknowledged exist, and what belongs together came together."""
        groups, users, buckets = [set(), set()], [set(), set()], [set(), set()]

        def note(sets, name, reply):
            if reply and reply.status in (200, 201):
                sets[0].add(name)

        def log_groups(number, ask):
            name = f"group{number}"
            groups[1].add(name)
            note(groups, name, ask("logs", "POST", "/", json.dumps({"logGroupName": name, "tags": {"number": str(number)}}).encode(), headers={
                "content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.CreateLogGroup"}))

        def iam_users(number, ask):
            name = f"user{number}"
            users[1].add(name)
            body = f"Action=CreateUser&Version=2010-05-08&UserName={name}&Tags.member.1.Key=number&Tags.member.1.Value={number}"
            note(users, name, ask("iam", "POST", "/", body.encode(), headers={"content-type": "application/x-www-form-urlencoded"}))

        def s3_buckets(number, ask):
            name = f"bucket{number}"
            buckets[1].add(name)
            note(buckets, name, ask("s3", "PUT", "/" + name))

        self.rounds([log_groups, iam_users, s3_buckets])
        logs, iam, s3 = self.cloud.client("logs"), self.cloud.client("iam"), self.cloud.client("s3")
        there = {g["logGroupName"] for page in logs.get_paginator("describe_log_groups").paginate() for g in page["logGroups"]}
        self.assertEqual((groups[0] - there, there - groups[1]), (set(), set()))
        there = {u["UserName"] for page in iam.get_paginator("list_users").paginate() for u in page["Users"]}
        self.assertEqual((users[0] - there, there - users[1]), (set(), set()))
        for name in random.Random(1).sample(sorted(there), min(30, len(there))):
            self.assertEqual(iam.list_user_tags(UserName=name)["Tags"], [{"Key": "number", "Value": name[4:]}])
        there = {b["Name"] for b in s3.list_buckets()["Buckets"]}
        self.assertEqual((buckets[0] - there, there - buckets[1]), (set(), set()))
        self.end()

    def test_log_events(self):
        logs = self.cloud.client("logs")
        logs.create_log_group(logGroupName="group")
        acknowledged = collections.defaultdict(set)
        for thread in range(3):
            logs.create_log_stream(logGroupName="group", logStreamName=f"stream{thread}")

        def writes(thread):
            def step(number, ask):
                now = int(time.time() * 1000)
                body = {"logGroupName": "group", "logStreamName": f"stream{thread}",
                        "logEvents": [{"timestamp": now, "message": f"{number} {i} " + "x" * 50} for i in range(5)]}
                reply = ask("logs", "POST", "/", json.dumps(body).encode(), headers={
                    "content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.PutLogEvents"})
                if reply and reply.status == 200:
                    acknowledged[thread].add(number)
            return step

        self.rounds([writes(t) for t in range(3)])
        logs = self.cloud.client("logs")
        for thread in range(3):
            seen, token = collections.defaultdict(list), None
            while True:
                more = {"nextToken": token} if token else {}
                page = logs.get_log_events(logGroupName="group", logStreamName=f"stream{thread}", startFromHead=True, limit=10000, **more)
                for e in page["events"]:
                    number, i, _ = e["message"].split(" ")
                    seen[int(number)].append(int(i))
                if page["nextForwardToken"] == token or not page["events"]:
                    break
                token = page["nextForwardToken"]
            self.assertEqual(acknowledged[thread] - set(seen), set(), "acknowledged and lost")
            for number, parts in seen.items():
                self.assertEqual(sorted(parts), [0, 1, 2, 3, 4], f"batch {number} is half there, or twice")
        self.end()


if __name__ == "__main__":
    unittest.main()
