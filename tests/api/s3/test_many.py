"""Many clients at once, on the same keys: whatever is read is whole, and nothing is left over."""
import concurrent.futures
import os
import random
import socket
import time
import unittest

from aws import client
from s3case import HOST, PORT, S3Case, md5, noise, raw

SIZES = (10, 8192, 9000, 300000, 700000)
BODIES = {md5(noise(size, seed)): noise(size, seed) for seed in range(3) for size in SIZES}


class Many(S3Case):
    def blobs(self):
        return sum(len(files) for _, _, files in os.walk(os.path.join(os.environ["QUARTET_DATA"], "blobs")))

    def one(self, b, seed):
        chance, s3 = random.Random(seed), client("s3", max_pool_connections=1)
        for _ in range(25):
            key, what = f"k{chance.randrange(4)}", chance.randrange(8)
            body = chance.choice(list(BODIES.values()))
            try:
                if what < 3:
                    s3.put_object(Bucket=b, Key=key, Body=body)
                elif what == 3:
                    s3.copy_object(Bucket=b, Key=key, CopySource=f"{b}/k{chance.randrange(4)}", MetadataDirective="REPLACE")
                elif what == 4:
                    s3.delete_object(Bucket=b, Key=key)
                elif what == 5:  # leaves in the middle of a reply
                    request = s3.generate_presigned_url("get_object", {"Bucket": b, "Key": key})
                    with socket.create_connection((HOST, int(PORT))) as c:
                        c.sendall(f"GET {request.split(PORT, 1)[1]} HTTP/1.1\r\nHost: {HOST}:{PORT}\r\n\r\n".encode())
                        c.recv(1000)
                elif what == 6:
                    upload = s3.create_multipart_upload(Bucket=b, Key=key)["UploadId"]
                    part = s3.upload_part(Bucket=b, Key=key, UploadId=upload, PartNumber=1, Body=body)
                    s3.complete_multipart_upload(Bucket=b, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
                else:
                    got = s3.get_object(Bucket=b, Key=key)
                    self.assertIn(md5(got["Body"].read()), BODIES)
            except s3.exceptions.ClientError as e:
                self.assertEqual(e.response["Error"]["Code"], "NoSuchKey")

    def test_races(self):
        b, before = self.bucket(), self.blobs()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(self.one, b, seed) for seed in range(16)]:
                done.result()
        self.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": f"k{i}"} for i in range(4)]})
        until = time.monotonic() + 20
        while self.blobs() > before and time.monotonic() < until:
            time.sleep(0.1)
        self.assertEqual(self.blobs(), before)

    def test_create_once(self):
        b = self.bucket()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda i: raw("PUT", f"/{b}/once", body=b"%d" % i, headers={"If-None-Match": "*"}).status, range(24)))
        self.assertEqual((made.count(200), made.count(412)), (1, 23))

    def test_versions_are_all_kept(self):
        b = self.bucket(versioned=True)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(lambda i: self.put(b, "k", noise(100, i))["VersionId"], range(60)))
        self.assertEqual(len(ids), 60)
        self.assertEqual({v["VersionId"] for v in self.s3.list_object_versions(Bucket=b)["Versions"]}, ids)


if __name__ == "__main__":
    unittest.main()
