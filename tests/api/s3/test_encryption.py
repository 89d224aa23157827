"""Objects under keys of KMS: what they say, who may read them, and that their bytes on the disk are not those that came."""
import base64
import io
import json
import os
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
from aws import ENDPOINT, REGION, aws_programs, client, limited_key, run  # noqa: E402
from s3case import S3Case, md5, noise, raw  # noqa: E402

ACCOUNT = "000000000000"
PART = 5 << 20


class Encryption(S3Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kms = client("kms")
        cls.key = cls.kms.create_key()["KeyMetadata"]["Arn"]
        cls.addClassCleanup(lambda: cls.kms.schedule_key_deletion(KeyId=cls.key, PendingWindowInDays=7))

    def put(self, bucket, key, body, **more):
        return self.s3.put_object(Bucket=bucket, Key=key, Body=body, ServerSideEncryption="aws:kms", **more)

    def body(self, bucket, key, s3=None, **more):
        return (s3 or self.s3).get_object(Bucket=bucket, Key=key, **more)["Body"].read()

    def limited(self, *actions, resource="*"):
        """Somebody who may do all with objects, and this with keys."""
        return client("s3", **limited_key(self, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                                          *([{"Effect": "Allow", "Action": list(actions), "Resource": resource}] if actions else [])))

    def assertNotOnDisk(self, mark):
        """Neither the store nor a content file has these bytes."""
        found = subprocess.run(["grep", "-rlaF", "--", mark, *(os.path.join(os.environ["QUARTET_DATA"], d) for d in ("blobs", "state"))], capture_output=True, text=True, check=False)
        self.assertEqual(found.stdout, "")

    def test_small_and_large(self):
        b = self.bucket()
        for size in (0, 1, 15, 17, 8192, 8193, 300_001, 3 << 20):
            data = noise(size, size)
            made = self.put(b, f"k{size}", data, SSEKMSKeyId=self.key)
            self.assertEqual((made["ServerSideEncryption"], made["SSEKMSKeyId"]), ("aws:kms", self.key))
            self.assertNotEqual(made["ETag"].strip('"'), md5(data))  # it would tell of what is enciphered
            got = self.s3.get_object(Bucket=b, Key=f"k{size}")
            self.assertEqual(got["Body"].read(), data)
            self.assertEqual((got["ServerSideEncryption"], got["SSEKMSKeyId"], got["ETag"], got["ContentLength"]), ("aws:kms", self.key, made["ETag"], size))
            head = self.s3.head_object(Bucket=b, Key=f"k{size}")
            self.assertEqual((head["ServerSideEncryption"], head["SSEKMSKeyId"]), ("aws:kms", self.key))
        for first, last in ((0, 0), (5, 20), (16, 31), (262_143, 262_145), (300_000, 300_000)):
            self.assertEqual(self.body(b, "k300001", Range=f"bytes={first}-{last}"), noise(300_001, 300_001)[first:last + 1])
        again = self.put(b, "again", noise(300_001, 300_001), SSEKMSKeyId=self.key)
        self.assertNotEqual(again["ETag"], self.s3.head_object(Bucket=b, Key="k300001")["ETag"])

    @unittest.skipUnless(os.environ.get("QUARTET_DATA"), "the cloud's files are not known")
    def test_disk(self):
        b, mark = self.bucket(), f"mark-{uuid.uuid4().hex}"
        self.s3.put_object(Bucket=b, Key="plain", Body=mark.encode())
        with self.assertRaises(AssertionError):
            self.assertNotOnDisk(mark)
        small, large = f"mark-{uuid.uuid4().hex}", f"mark-{uuid.uuid4().hex}"
        self.put(b, "small", small.encode())
        self.put(b, "large", (large * 1000).encode())
        upload = self.s3.create_multipart_upload(Bucket=b, Key="parts", ServerSideEncryption="aws:kms")["UploadId"]
        part = self.s3.upload_part(Bucket=b, Key="parts", UploadId=upload, PartNumber=1, Body=(large * 500).encode())["ETag"]
        self.s3.complete_multipart_upload(Bucket=b, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
        self.s3.copy_object(Bucket=b, Key="copy", CopySource={"Bucket": b, "Key": "large"}, ServerSideEncryption="aws:kms")
        self.assertEqual(self.body(b, "copy"), (large * 1000).encode())
        for m in (small, large):
            self.assertNotOnDisk(m)

    def test_own_key_of_s3(self):
        b = self.bucket()
        own = self.put(b, "k", b"x")["SSEKMSKeyId"]
        self.assertEqual(self.kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"], own)
        self.assertEqual(self.body(b, "k"), b"x")
        self.assertEqual(self.body(b, "k", self.limited()), b"x")  # who may use S3 may use its key through it

    def test_parts(self):
        b, data = self.bucket(), [noise(PART, 1), noise(PART + 3, 2), noise(77, 3)]
        made = self.s3.create_multipart_upload(Bucket=b, Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key)
        self.assertEqual((made["ServerSideEncryption"], made["SSEKMSKeyId"]), ("aws:kms", self.key))
        upload, parts = made["UploadId"], []
        for n in (3, 1, 2, 1):  # a part may come again
            part = self.s3.upload_part(Bucket=b, Key="k", UploadId=upload, PartNumber=n, Body=data[n - 1])
            self.assertEqual((part["ServerSideEncryption"], part["SSEKMSKeyId"]), ("aws:kms", self.key))
            parts = [p for p in parts if p["PartNumber"] != n] + [{"PartNumber": n, "ETag": part["ETag"]}]
        done = self.s3.complete_multipart_upload(Bucket=b, Key="k", UploadId=upload, MultipartUpload={"Parts": sorted(parts, key=lambda p: p["PartNumber"])})
        self.assertEqual((done["ServerSideEncryption"], done["SSEKMSKeyId"]), ("aws:kms", self.key))
        whole = b"".join(data)
        self.assertEqual(self.body(b, "k"), whole)
        self.assertEqual(self.body(b, "k", Range=f"bytes={PART - 7}-{PART + 9}"), whole[PART - 7:PART + 10])
        self.assertEqual(self.body(b, "k", PartNumber=2), data[1])

    def test_copies(self):
        b, data = self.bucket(), noise(100_001, 9)
        self.s3.put_object(Bucket=b, Key="plain", Body=data)
        self.put(b, "kms", data, SSEKMSKeyId=self.key)
        for source, settings, want in (("plain", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key}, self.key), ("kms", {}, None),
                                       ("kms", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key}, self.key)):
            made = self.s3.copy_object(Bucket=b, Key="to", CopySource={"Bucket": b, "Key": source}, **settings)
            self.assertEqual((made["ServerSideEncryption"], made.get("SSEKMSKeyId")), ("aws:kms" if want else "AES256", want))
            self.assertEqual(self.body(b, "to"), data)
            self.assertEqual(made["CopyObjectResult"]["ETag"] == f'"{md5(data)}"', not want)
        # in its own place
        self.s3.copy_object(Bucket=b, Key="plain", CopySource={"Bucket": b, "Key": "plain"}, ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key)
        self.assertEqual(self.body(b, "plain"), data)
        upload = self.s3.create_multipart_upload(Bucket=b, Key="parts", ServerSideEncryption="aws:kms")["UploadId"]
        part = self.s3.upload_part_copy(Bucket=b, Key="parts", UploadId=upload, PartNumber=1, CopySource={"Bucket": b, "Key": "kms"}, CopySourceRange="bytes=10-90000")
        self.s3.complete_multipart_upload(Bucket=b, Key="parts", UploadId=upload,
                                          MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]})
        self.assertEqual(self.body(b, "parts"), data[10:90001])

    def test_default_of_the_bucket(self):
        b = self.bucket()
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.key}, "BucketKeyEnabled": True}
        self.s3.put_bucket_encryption(Bucket=b, ServerSideEncryptionConfiguration={"Rules": [rule]})
        self.assertEqual(self.s3.get_bucket_encryption(Bucket=b)["ServerSideEncryptionConfiguration"]["Rules"], [rule])
        made = self.s3.put_object(Bucket=b, Key="k", Body=b"x")
        self.assertEqual((made["ServerSideEncryption"], made["SSEKMSKeyId"], made["BucketKeyEnabled"]), ("aws:kms", self.key, True))
        self.assertEqual(self.body(b, "k"), b"x")
        self.assertEqual(self.s3.put_object(Bucket=b, Key="plain", Body=b"x", ServerSideEncryption="AES256")["ServerSideEncryption"], "AES256")
        self.s3.upload_fileobj(io.BytesIO(noise(9 << 20)), b, "big")
        self.assertEqual(self.body(b, "big"), noise(9 << 20))
        self.assertEqual(self.s3.head_object(Bucket=b, Key="big")["SSEKMSKeyId"], self.key)
        self.s3.delete_bucket_encryption(Bucket=b)
        self.assertEqual(self.s3.put_object(Bucket=b, Key="k", Body=b"x")["ServerSideEncryption"], "AES256")
        self.assertAwsError("InvalidArgument", self.s3.put_bucket_encryption, Bucket=b, ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": self.key}}]})

    def test_who_may(self):
        b = self.bucket()
        self.put(b, "k", b"secret", SSEKMSKeyId=self.key)
        nobody, writer, reader = self.limited(), self.limited("kms:GenerateDataKey", resource=self.key), self.limited("kms:Decrypt", resource=self.key)
        self.assertAwsError("AccessDenied", nobody.get_object, Bucket=b, Key="k", status=403)
        self.assertAwsError("AccessDenied", writer.get_object, Bucket=b, Key="k", status=403)
        self.assertEqual(self.body(b, "k", reader), b"secret")
        self.assertEqual(nobody.head_object(Bucket=b, Key="k")["SSEKMSKeyId"], self.key)
        for who in (nobody, reader):
            self.assertAwsError("AccessDenied", who.put_object, Bucket=b, Key="n", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key, status=403)
            self.assertAwsError("AccessDenied", who.copy_object, Bucket=b, Key="n", CopySource={"Bucket": b, "Key": "k"}, ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key, status=403)
        self.assertAwsError("AccessDenied", writer.copy_object, Bucket=b, Key="n", CopySource={"Bucket": b, "Key": "k"}, status=403)
        writer.put_object(Bucket=b, Key="w", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key)
        # a key that may be used through S3 alone, for one object
        context = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{b}/k"}}
        through = client("s3", **limited_key(self, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                                             {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": self.key, "Condition": context}))
        self.assertEqual(self.body(b, "k", through), b"secret")
        self.assertAwsError("AccessDenied", through.get_object, Bucket=b, Key="w", status=403)
        self.assertEqual([o["Key"] for o in self.s3.list_objects_v2(Bucket=b)["Contents"]], ["k", "w"])

    def test_policy_that_wants_a_key(self):
        b = self.bucket()
        self.s3.put_bucket_policy(Bucket=b, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{b}/*",
             "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": self.key}}}]}))
        s3 = self.limited("kms:*")
        self.assertAwsError("AccessDenied", s3.put_object, Bucket=b, Key="k", Body=b"x", status=403)
        s3.put_object(Bucket=b, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key)

    def test_context(self):
        b, context = self.bucket(), base64.b64encode(b'{"team":"red"}').decode()
        reply = raw("PUT", f"/{b}/k", body=b"x", headers={"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": context})
        self.assertEqual((reply.status, reply.headers["x-amz-server-side-encryption-context"]), (200, context))
        self.assertEqual(self.body(b, "k"), b"x")
        for bad in ("e", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"a":1}').decode(), base64.b64encode(b'{"aws:s3:arn":"x"}').decode()):
            self.assertEqual(raw("PUT", f"/{b}/n", body=b"x", headers={"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": bad}).status, 400)

    def test_wrong_keys(self):
        b = self.bucket()
        key = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.put(b, "k", b"x", SSEKMSKeyId=key)
        self.kms.disable_key(KeyId=key)
        self.assertAwsError("KMS.DisabledException", self.s3.get_object, Bucket=b, Key="k", status=400)
        self.assertAwsError("KMS.DisabledException", self.put, b, "n", b"x", SSEKMSKeyId=key, status=400)
        self.kms.enable_key(KeyId=key)
        self.assertEqual(self.body(b, "k"), b"x")
        self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        self.assertAwsError("KMS.KMSInvalidStateException", self.s3.get_object, Bucket=b, Key="k", status=400)
        self.assertAwsError("KMS.NotFoundException", self.put, b, "n", b"x", SSEKMSKeyId=str(uuid.uuid4()), status=400)
        self.assertAwsError("InvalidArgument", self.s3.put_object, Bucket=b, Key="n", Body=b"x", SSEKMSKeyId=self.key)
        self.assertAwsError("InvalidArgument", self.s3.put_object, Bucket=b, Key="n", Body=b"x", SSEKMSKeyId=self.key, ServerSideEncryption="AES256")
        self.assertEqual(raw("PUT", f"/{b}/n", body=b"x", headers={"x-amz-server-side-encryption": "aws:kms:dsse"}).status, 501)
        self.assertEqual(raw("PUT", f"/{b}/n", body=b"x", headers={"x-amz-server-side-encryption": "rot13"}).status, 400)
        self.assertEqual([o["Key"] for o in self.s3.list_objects_v2(Bucket=b)["Contents"]], ["k"])

    def test_command_line(self):
        b = self.bucket()
        for aws in aws_programs():
            call = (aws, "--endpoint-url", ENDPOINT, "s3", "cp")
            run(*call, "-", f"s3://{b}/k", "--sse", "aws:kms", "--sse-kms-key-id", self.key, stdin="hello")
            self.assertEqual(run(*call, f"s3://{b}/k", "-").stdout, "hello")


if __name__ == "__main__":
    unittest.main()
