"""Putting, getting, copying and deleting single objects."""
import base64
import datetime
import hashlib
import unittest
import zlib

from aws import client
from s3case import S3Case, elements, md5, noise, raw, send

UTC = datetime.timezone.utc


class PutGet(S3Case):
    def test_bytes_come_back(self):
        b = self.bucket()
        for size in (0, 1, 8191, 8192, 8193, 65536, 262143, 262144, 262145, 1048576, 5000001):
            with self.subTest(size=size):
                data = noise(size, size)
                put = self.put(b, "k", data)
                self.assertEqual(put["ETag"], f'"{md5(data)}"')
                got = self.s3.get_object(Bucket=b, Key="k")
                self.assertEqual(got["ContentLength"], size)
                self.assertEqual(got["Body"].read(), data)
                head = self.s3.head_object(Bucket=b, Key="k")
                self.assertEqual((head["ContentLength"], head["ETag"]), (size, put["ETag"]))

    def test_keys_are_bytes(self):
        b = self.bucket()
        keys = ["a", "a/b", "/lead", "trail/", "a//b", "../up", "./x", "a b", "a+b", "a%2Fb", "ünï/ço∂é", "q?x=1&y=#z", "'\"<>&", "\U0001f600",
                "a\tb", "~-_.!*()", "k" * 1024, "é" * 512, ("p" * 400) + "/x", ("p" * 400) + "/y"]
        for key in keys:
            self.put(b, key, key.encode())
        for key in keys:
            with self.subTest(key=key):
                self.assertEqual(self.get(b, key), key.encode())
        listed = [o["Key"] for o in self.s3.list_objects_v2(Bucket=b)["Contents"]]
        self.assertEqual(listed, sorted(keys, key=lambda k: k.encode()))
        for key in keys:
            self.s3.delete_object(Bucket=b, Key=key)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)

    def test_key_too_long(self):
        self.assertAwsError("KeyTooLongError", self.put, self.bucket(), "k" * 1025)

    def test_missing(self):
        b = self.bucket()
        e = self.assertAwsError("NoSuchKey", self.get, b, "nothing", status=404)
        self.assertEqual(e["Error"]["Key"], "nothing")
        self.assertAwsError("404", self.s3.head_object, Bucket=b, Key="nothing")
        e = self.assertAwsError("NoSuchBucket", self.get, b + "x", "k", status=404)
        self.assertEqual(e["Error"]["BucketName"], b + "x")
        self.assertAwsError("NoSuchBucket", self.put, b + "x", "k")

    def test_properties_come_back(self):
        b = self.bucket()
        expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
        self.put(b, "k", b"1", ContentType="text/x", CacheControl="no-store", ContentDisposition="inline", ContentEncoding="gzip",
                 ContentLanguage="de", Expires=expires, Metadata={"Color": "blue", "n": "1"}, StorageClass="STANDARD_IA", Tagging="a=1&b=%20c")
        for head in (self.s3.head_object(Bucket=b, Key="k"), self.s3.get_object(Bucket=b, Key="k")):
            self.assertEqual(head["ContentType"], "text/x")
            self.assertEqual(head["CacheControl"], "no-store")
            self.assertEqual(head["ContentDisposition"], "inline")
            self.assertEqual(head["ContentEncoding"], "gzip")
            self.assertEqual(head["ContentLanguage"], "de")
            self.assertEqual(head["Expires"], expires)
            self.assertEqual(head["Metadata"], {"color": "blue", "n": "1"})
            self.assertEqual(head["StorageClass"], "STANDARD_IA")
            self.assertEqual(head["ServerSideEncryption"], "AES256")
            self.assertEqual(head["AcceptRanges"], "bytes")
        self.assertEqual(self.s3.get_object_tagging(Bucket=b, Key="k")["TagSet"], [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": " c"}])
        self.assertEqual(self.s3.get_object(Bucket=b, Key="k")["TagCount"], 2)

    def test_response_overrides(self):
        b = self.bucket()
        self.put(b, "k", b"1")
        got = self.s3.get_object(Bucket=b, Key="k", ResponseContentType="a/b", ResponseCacheControl="c", ResponseContentDisposition="attachment",
                                 ResponseContentEncoding="x", ResponseContentLanguage="fr")
        self.assertEqual((got["ContentType"], got["CacheControl"], got["ContentDisposition"], got["ContentLanguage"]), ("a/b", "c", "attachment", "fr"))

    def test_ranges(self):
        b = self.bucket()
        for size in (1000, 100000):
            data = noise(size)
            self.put(b, "k", data)
            for text, first, last in (("0-0", 0, 0), ("5-9", 5, 9), (f"{size - 1}-", size - 1, size - 1), ("-7", size - 7, size - 1),
                                      ("10-99999999", 10, size - 1), (f"-{size * 2}", 0, size - 1)):
                with self.subTest(size=size, range=text):
                    got = self.s3.get_object(Bucket=b, Key="k", Range="bytes=" + text)
                    self.assertEqual(got["Body"].read(), data[first:last + 1])
                    self.assertEqual(got["ContentRange"], f"bytes {first}-{last}/{size}")
                    self.assertEqual(got["ResponseMetadata"]["HTTPStatusCode"], 206)
            etag = self.s3.head_object(Bucket=b, Key="k")["ETag"]
            for state, want in ((etag, 206), ('"other"', 200), ("W/" + etag, 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
                got = raw("GET", f"/{b}/k", headers={"Range": "bytes=5-9", "If-Range": state})
                self.assertEqual((got.status, len(got.body)), (want, 5 if want == 206 else size), state)
            for text in ("abc", "bytes=9-5", "bytes=0-1,5-6", "lines=1-2"):
                with self.subTest(size=size, range=text):
                    got = self.s3.get_object(Bucket=b, Key="k", Range=text)
                    self.assertEqual((got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()), (200, data))
            for text in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}", "bytes=-0"):
                e = self.assertAwsError("InvalidRange", self.s3.get_object, Bucket=b, Key="k", Range=text, status=416)
                self.assertEqual(e["Error"]["ActualObjectSize"], str(size))

    def test_conditions(self):
        b = self.bucket()
        etag = self.put(b, "k", b"1")["ETag"]
        when = self.s3.head_object(Bucket=b, Key="k")["LastModified"]
        before, after = when - datetime.timedelta(hours=1), when + datetime.timedelta(hours=1)
        for conditions, want in (
                ({"IfMatch": etag}, 200), ({"IfMatch": '"no"'}, 412), ({"IfNoneMatch": etag}, 304), ({"IfNoneMatch": '"no"'}, 200), ({"IfMatch": "*"}, 200),
                ({"IfModifiedSince": before}, 200), ({"IfModifiedSince": after}, 304), ({"IfUnmodifiedSince": before}, 412),
                ({"IfUnmodifiedSince": after}, 200), ({"IfMatch": etag, "IfUnmodifiedSince": before}, 200),
                ({"IfNoneMatch": etag, "IfModifiedSince": before}, 304), ({"IfNoneMatch": '"no"', "IfModifiedSince": after}, 200)):
            with self.subTest(conditions=list(conditions)):
                for call in (self.s3.get_object, self.s3.head_object):
                    try:
                        got = call(Bucket=b, Key="k", **conditions)["ResponseMetadata"]["HTTPStatusCode"]
                    except self.s3.exceptions.ClientError as e:
                        got = e.response["ResponseMetadata"]["HTTPStatusCode"]
                    self.assertEqual(got, want)

    def test_not_modified_says_nothing_of_its_own(self):
        b = self.bucket()
        etag = self.put(b, "k", ContentType="text/x", CacheControl="max-age=5")["ETag"]
        got = raw("GET", f"/{b}/k", headers={"If-None-Match": etag})
        self.assertEqual((got.status, got.headers["etag"], got.headers["cache-control"], got.body), (304, etag, "max-age=5", b""))
        self.assertIsNone(got.headers["content-type"])
        # A date that is none counts as no condition.
        self.assertEqual(raw("GET", f"/{b}/k", headers={"If-Modified-Since": "yesterday"}).status, 200)
        self.assertEqual(raw("GET", f"/{b}/k", headers={"If-Unmodified-Since": "yesterday"}).status, 200)

    def test_words_of_faults(self):
        b, none = self.bucket(), f"/{self.bucket()}/none"
        self.put(b, "k")
        argument = {"Code": "InvalidArgument"}
        for headers, want in (
                ({"x-amz-storage-class": "BOGUS"}, (400, {"Code": "InvalidStorageClass", "StorageClassRequested": "BOGUS"})),
                ({"x-amz-server-side-encryption": "none"}, (400, {**argument, "ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": "none"})),
                ({"x-amz-acl": "everybody"}, (400, {**argument, "ArgumentName": "x-amz-acl", "ArgumentValue": "everybody"})),
                ({"x-amz-sdk-checksum-algorithm": "CRC1"}, (400, {"Code": "InvalidRequest"})),
                ({"x-amz-website-redirect-location": "there"}, (400, {"Code": "InvalidRedirectLocation"})),
                ({"If-None-Match": '"x"'}, (501, {"Code": "NotImplemented", "Header": "If-None-Match"})),
                ({"x-amz-copy-source": b}, (400, {**argument, "ArgumentName": "x-amz-copy-source", "ArgumentValue": b})),
                ({"x-amz-copy-source": f"{b}/k?versionId=x"}, (400, {**argument, "ArgumentName": "x-amz-copy-source", "ArgumentValue": "x"})),
                ({"x-amz-copy-source": f"{b}/k", "x-amz-metadata-directive": "MOVE"},
                 (400, {**argument, "ArgumentName": "x-amz-metadata-directive", "ArgumentValue": "MOVE"})),
                ({"x-amz-expected-bucket-owner": "me"}, (400, {"Code": "InvalidBucketOwnerAWSAccountID"}))):
            with self.subTest(headers=headers):
                self.assertEqual(elements(raw("PUT", none, headers=headers)), want)
        for headers in ({}, {"x-amz-object-attributes": "Colour"}):
            bad = raw("GET", f"/{b}/k", [("attributes", "")], headers=headers)
            self.assertEqual(elements(bad)[1]["ArgumentName"], "x-amz-object-attributes")
        self.assertEqual(elements(raw("PUT", f"/{b}/k", [("tagging", "")], b"")), (400, {"Code": "MissingRequestBodyError"}))
        bad = send("GET", f"/{b}/%zz")
        self.assertEqual(elements(bad), (400, {"Code": "InvalidURI", "URI": f"/{b}/%zz"}))
        bad = raw("PATCH", f"/{b}/k")
        self.assertEqual(elements(bad), (405, {"Code": "MethodNotAllowed", "Method": "PATCH", "ResourceType": "OBJECT"}))
        self.assertEqual(raw("HEAD", none).status, 404)

    def test_conditional_writes(self):
        b = self.bucket()
        self.assertEqual(raw("PUT", f"/{b}/k", body=b"1", headers={"If-None-Match": "*"}).status, 200)
        again = raw("PUT", f"/{b}/k", body=b"2", headers={"If-None-Match": "*"})
        self.assertEqual((again.status, b"PreconditionFailed" in again.body), (412, True))
        self.assertEqual(raw("PUT", f"/{b}/k", body=b"3", headers={"If-Match": '"no"'}).status, 412)
        self.assertEqual(raw("PUT", f"/{b}/k", body=b"4", headers={"If-Match": f'"{md5(b"1")}"'}).status, 200)
        self.assertEqual(raw("PUT", f"/{b}/other", body=b"5", headers={"If-Match": '"x"'}).status, 404)
        self.assertEqual(self.get(b, "k"), b"4")

    def test_metadata_limit(self):
        b = self.bucket()
        self.put(b, "k", Metadata={"a": "x" * 2047})
        self.assertAwsError("MetadataTooLarge", self.put, b, "k", Metadata={"a": "x" * 2048})

    def test_refused_features(self):
        b = self.bucket()
        self.assertAwsError("NotImplemented", self.put, b, "k", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32, status=501)
        self.assertAwsError("NotImplemented", self.put, b, "k", StorageClass="GLACIER", status=501)
        self.assertAwsError("InvalidRequest", self.put, b, "k", ObjectLockMode="GOVERNANCE",
                            ObjectLockRetainUntilDate=datetime.datetime(2030, 1, 1, tzinfo=UTC))
        self.assertAwsError("NotImplemented", self.s3.put_bucket_website, Bucket=b, WebsiteConfiguration={"IndexDocument": {"Suffix": "i"}}, status=501)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)


class Checksums(S3Case):
    def test_content_md5(self):
        b = self.bucket()
        good = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
        self.assertEqual(raw("PUT", f"/{b}/k", body=b"abc", headers={"Content-MD5": good}).status, 200)
        bad = raw("PUT", f"/{b}/k", body=b"abd", headers={"Content-MD5": good})
        self.assertEqual((bad.status, b"BadDigest" in bad.body), (400, True))
        bad = raw("PUT", f"/{b}/k", body=b"abc", headers={"Content-MD5": "no!"})
        self.assertEqual((bad.status, b"InvalidDigest" in bad.body), (400, True))
        self.assertEqual(self.get(b, "k"), b"abc")

    def test_each_algorithm(self):
        b = self.bucket()
        data = noise(300000)
        values = {
            "crc32": base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode(),
            "sha1": base64.b64encode(hashlib.sha1(data).digest()).decode(),
            "sha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
        }
        for name, value in values.items():
            with self.subTest(algorithm=name):
                header = f"x-amz-checksum-{name}"
                put = raw("PUT", f"/{b}/k", body=data, headers={header: value})
                self.assertEqual((put.status, put.headers[header]), (200, value))
                self.assertIsNone(raw("GET", f"/{b}/k").headers[header])
                for method in ("GET", "HEAD"):
                    got = raw(method, f"/{b}/k", headers={"x-amz-checksum-mode": "ENABLED"})
                    self.assertEqual((got.headers[header], got.headers["x-amz-checksum-type"]), (value, "FULL_OBJECT"))
                bad = raw("PUT", f"/{b}/k", body=data[1:], headers={header: value})
                self.assertEqual((bad.status, b"BadDigest" in bad.body), (400, True))
                self.assertEqual(raw("PUT", f"/{b}/k", body=data, headers={header: "AAAA"}).status, 400)
        self.assertEqual(raw("PUT", f"/{b}/k", body=b"", headers={"x-amz-checksum-xxhash64": "AAAA"}).status, 501)

    def test_known_crcs(self):
        b = self.bucket()
        for header, value in (("x-amz-checksum-crc32c", "4waSgw=="), ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=")):
            self.assertEqual(raw("PUT", f"/{b}/k", body=b"123456789", headers={header: value}).status, 200)
            self.assertEqual(raw("PUT", f"/{b}/k", body=b"123456780", headers={header: value}).status, 400)

    def test_default_is_crc64nvme(self):
        b = self.bucket()
        put = raw("PUT", f"/{b}/k", body=b"123456789")
        self.assertEqual(put.headers["x-amz-checksum-crc64nvme"], "rosUhgp5mIg=")

    def test_content_hash(self):
        b = self.bucket()
        for size in (10, 100000):
            bad = raw("PUT", f"/{b}/k", body=noise(size), send_body=noise(size, 2))
            self.assertEqual((bad.status, b"XAmzContentSHA256Mismatch" in bad.body), (400, True), bad)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)


class Copies(S3Case):
    def test_copy(self):
        b, other = self.bucket(), self.bucket()
        for size in (100, 100000):
            data = noise(size)
            self.put(b, "ünï code+", data, ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")
            done = self.s3.copy_object(Bucket=other, Key="copy", CopySource={"Bucket": b, "Key": "ünï code+"})
            self.assertEqual(done["CopyObjectResult"]["ETag"], f'"{md5(data)}"')
            self.s3.delete_object(Bucket=b, Key="ünï code+")
            got = self.s3.get_object(Bucket=other, Key="copy")
            self.assertEqual((got["Body"].read(), got["ContentType"], got["Metadata"]), (data, "text/x", {"a": "1"}))
            self.assertEqual(self.s3.get_object_tagging(Bucket=other, Key="copy")["TagSet"], [{"Key": "t", "Value": "1"}])

    def test_directives(self):
        b = self.bucket()
        self.put(b, "k", b"1", ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")
        self.s3.copy_object(Bucket=b, Key="c", CopySource=f"{b}/k", MetadataDirective="REPLACE", Metadata={"z": "2"}, TaggingDirective="REPLACE", Tagging="u=2")
        got = self.s3.head_object(Bucket=b, Key="c")
        self.assertEqual((got["ContentType"], got["Metadata"]), ("binary/octet-stream", {"z": "2"}))
        self.assertEqual(self.s3.get_object_tagging(Bucket=b, Key="c")["TagSet"], [{"Key": "u", "Value": "2"}])

    def test_onto_itself(self):
        b = self.bucket()
        self.put(b, "k", noise(20000))
        self.assertAwsError("InvalidRequest", self.s3.copy_object, Bucket=b, Key="k", CopySource=f"{b}/k")
        self.s3.copy_object(Bucket=b, Key="k", CopySource=f"{b}/k", MetadataDirective="REPLACE", Metadata={"n": "1"})
        self.assertEqual(self.get(b, "k"), noise(20000))
        self.assertEqual(self.s3.head_object(Bucket=b, Key="k")["Metadata"], {"n": "1"})

    def test_conditions_and_faults(self):
        b = self.bucket()
        etag = self.put(b, "k", b"1")["ETag"]
        self.s3.copy_object(Bucket=b, Key="c", CopySource=f"{b}/k", CopySourceIfMatch=etag)
        self.assertAwsError("PreconditionFailed", self.s3.copy_object, Bucket=b, Key="c", CopySource=f"{b}/k", CopySourceIfNoneMatch=etag, status=412)
        self.assertAwsError("NoSuchKey", self.s3.copy_object, Bucket=b, Key="c", CopySource=f"{b}/none")
        self.assertAwsError("NoSuchBucket", self.s3.copy_object, Bucket=b, Key="c", CopySource=f"{b}none/none")
        self.assertIn(raw("PUT", f"/{b}/c", headers={"x-amz-copy-source": "nothing"}).status, (400,))


class Deletes(S3Case):
    def test_delete_is_idempotent(self):
        b = self.bucket()
        self.put(b, "k")
        for _ in range(2):
            self.assertEqual(self.s3.delete_object(Bucket=b, Key="k")["ResponseMetadata"]["HTTPStatusCode"], 204)

    def test_many(self):
        b = self.bucket()
        for i in range(20):
            self.put(b, f"k{i}")
        done = self.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": f"k{i}"} for i in range(15)] + [{"Key": "none"}]})
        self.assertEqual(len(done["Deleted"]), 16)
        self.assertNotIn("Deleted", self.s3.delete_objects(Bucket=b, Delete={"Quiet": True, "Objects": [{"Key": "k15"}]}))
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 4)

    def test_many_refused(self):
        b = self.bucket()
        no_digest = raw("POST", f"/{b}", [("delete", "")], b"<Delete><Object><Key>k</Key></Object></Delete>")
        self.assertEqual((no_digest.status, b"InvalidRequest" in no_digest.body), (400, True))
        for body in (b"<Delete></Delete>", b"<Delete>", b"no xml", b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>"):
            digest = base64.b64encode(hashlib.md5(body).digest()).decode()
            bad = raw("POST", f"/{b}", [("delete", "")], body, {"Content-MD5": digest})
            self.assertEqual((bad.status, b"MalformedXML" in bad.body), (400, True), body[:40])
        body = b"<Delete><Object><Key>k</Key></Object></Delete>"
        bad = raw("POST", f"/{b}", [("delete", "")], body, {"Content-MD5": base64.b64encode(hashlib.md5(b"x").digest()).decode()})
        self.assertEqual((bad.status, b"BadDigest" in bad.body), (400, True))


class Tags(S3Case):
    def test_tags(self):
        b = self.bucket()
        self.put(b, "k")
        self.assertEqual(self.s3.get_object_tagging(Bucket=b, Key="k")["TagSet"], [])
        tags = [{"Key": f"k{i}", "Value": "v"} for i in range(10)]
        self.s3.put_object_tagging(Bucket=b, Key="k", Tagging={"TagSet": tags})
        self.assertEqual(self.s3.get_object_tagging(Bucket=b, Key="k")["TagSet"], tags)
        self.assertAwsError("BadRequest", self.s3.put_object_tagging, Bucket=b, Key="k", Tagging={"TagSet": tags + [{"Key": "x", "Value": ""}]})
        self.assertAwsError("InvalidTag", self.s3.put_object_tagging, Bucket=b, Key="k", Tagging={"TagSet": [tags[0], tags[0]]})
        self.assertAwsError("InvalidTag", self.s3.put_object_tagging, Bucket=b, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "{}"}]})
        self.s3.delete_object_tagging(Bucket=b, Key="k")
        self.assertEqual(self.s3.get_object_tagging(Bucket=b, Key="k")["TagSet"], [])
        self.assertAwsError("NoSuchKey", self.s3.get_object_tagging, Bucket=b, Key="none")


class Attributes(S3Case):
    def test_attributes(self):
        b = self.bucket()
        self.put(b, "k", b"12345")
        got = self.s3.get_object_attributes(Bucket=b, Key="k", ObjectAttributes=["ETag", "ObjectSize", "StorageClass"])
        self.assertEqual((got["ETag"], got["ObjectSize"], got["StorageClass"]), (md5(b"12345"), 5, "STANDARD"))


if __name__ == "__main__":
    unittest.main()
