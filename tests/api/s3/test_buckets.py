"""Buckets and their settings."""
import datetime
import json
import time
import unittest
import uuid

from aws import ENDPOINT, client
from s3case import S3Case, elements, noise, raw, send


class Buckets(S3Case):
    def test_create_and_list(self):
        b = self.bucket()
        self.assertIn(b, [x["Name"] for x in self.s3.list_buckets()["Buckets"]])
        self.assertEqual(self.s3.head_bucket(Bucket=b)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"], "us-east-1")
        self.assertIsNone(self.s3.get_bucket_location(Bucket=b)["LocationConstraint"])
        self.s3.create_bucket(Bucket=b)  # us-east-1 forgives its owner
        self.assertAwsError("BucketAlreadyExists", client("s3", key="111122223333").create_bucket, Bucket=b, status=409)

    def test_names(self):
        for name in ("ab", "a" * 64, "Upper", "under_score", "-a-b", "a-b-", "a..b", "192.168.1.1", "xn--abc", "abc-s3alias"):
            with self.subTest(name=name):
                reply = raw("PUT", f"/{name}")
                self.assertEqual((reply.status, b"InvalidBucketName" in reply.body), (400, True))

    def test_delete(self):
        b = self.bucket()
        self.put(b, "k")
        self.assertAwsError("BucketNotEmpty", self.s3.delete_bucket, Bucket=b, status=409)
        self.assertAwsError("NoSuchBucket", self.s3.delete_bucket, Bucket=b + "x", status=404)
        self.assertAwsError("404", self.s3.head_bucket, Bucket=b + "x")

    def test_regions(self):
        west = client("s3", region="eu-west-1")
        name = "b-" + uuid.uuid4().hex[:16]
        self.assertAwsError("IllegalLocationConstraintException", self.s3.create_bucket, Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.addCleanup(west.delete_bucket, Bucket=name)
        self.assertEqual(self.s3.get_bucket_location(Bucket=name)["LocationConstraint"], "eu-west-1")
        wrong = raw("GET", f"/{name}/k")
        self.assertEqual((wrong.status, wrong.headers["x-amz-bucket-region"]), (400, "eu-west-1"))
        self.assertIn(b"<Region>eu-west-1</Region>", wrong.body)
        self.assertIn(b"AuthorizationHeaderMalformed", wrong.body)
        presigned = client("s3", signature_version="s3v4").generate_presigned_url("get_object", {"Bucket": name, "Key": "k"})
        wrong = send("GET", presigned.split(ENDPOINT)[1])
        self.assertEqual(elements(wrong), (400, {"Code": "AuthorizationQueryParametersError", "Region": "eu-west-1"}))
        again = raw("PUT", f"/{name}", body=b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>", region="eu-west-1")
        self.assertEqual((again.status, b"BucketAlreadyOwnedByYou" in again.body), (409, True))
        # SDKs follow the hint by themselves.
        self.assertEqual(self.s3.list_objects_v2(Bucket=name)["KeyCount"], 0)

    def test_locations_that_are_none(self):
        name = "b-" + uuid.uuid4().hex[:16]
        for where in ("mars-north-1", "us-east-1"):  # the first region is the one without a name
            bad = raw("PUT", f"/{name}", body=f"<CreateBucketConfiguration><LocationConstraint>{where}</LocationConstraint></CreateBucketConfiguration>".encode())
            self.assertEqual(elements(bad), (400, {"Code": "InvalidLocationConstraint", "LocationConstraint": where}))
        bad = raw("PUT", f"/{name}", body=b"<CreateBucketConfiguration>")
        self.assertEqual(elements(bad), (400, {"Code": "MalformedXML"}))
        bad = raw("PUT", f"/{name}", headers={"x-amz-object-ownership": "Nobody"})
        self.assertEqual(elements(bad), (400, {"Code": "InvalidArgument", "ArgumentName": "x-amz-object-ownership", "ArgumentValue": "Nobody"}))
        self.assertAwsError("404", self.s3.head_bucket, Bucket=name)

    def test_what_is_not_set_names_the_bucket(self):
        b = self.bucket()
        self.s3.delete_public_access_block(Bucket=b)
        for what, code in (("policy", "NoSuchBucketPolicy"), ("policyStatus", "NoSuchBucketPolicy"), ("cors", "NoSuchCORSConfiguration"), ("tagging", "NoSuchTagSet"),
                           ("lifecycle", "NoSuchLifecycleConfiguration"), ("website", "NoSuchWebsiteConfiguration"),
                           ("replication", "ReplicationConfigurationNotFoundError"), ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
                           ("object-lock", "ObjectLockConfigurationNotFoundError")):
            self.assertEqual(elements(raw("GET", f"/{b}", [(what, "")])), (404, {"Code": code, "BucketName": b}))

    def test_expected_owner(self):
        b = self.bucket()
        self.put(b, "k", ExpectedBucketOwner="000000000000")
        self.assertAwsError("AccessDenied", self.put, b, "k", ExpectedBucketOwner="111122223333", status=403)

    def test_settings_by_default(self):
        b = self.bucket()
        rules = self.s3.get_bucket_encryption(Bucket=b)["ServerSideEncryptionConfiguration"]["Rules"]
        self.assertEqual(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
        block = self.s3.get_public_access_block(Bucket=b)["PublicAccessBlockConfiguration"]
        self.assertEqual(set(block.values()), {True})
        self.assertEqual(self.s3.get_bucket_ownership_controls(Bucket=b)["OwnershipControls"]["Rules"], [{"ObjectOwnership": "BucketOwnerEnforced"}])
        for call, code in ((self.s3.get_bucket_policy, "NoSuchBucketPolicy"), (self.s3.get_bucket_cors, "NoSuchCORSConfiguration"),
                           (self.s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"), (self.s3.get_bucket_tagging, "NoSuchTagSet"),
                           (self.s3.get_bucket_website, "NoSuchWebsiteConfiguration"), (self.s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
                           (self.s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError")):
            self.assertAwsError(code, call, Bucket=b, status=404)
        self.assertEqual(self.s3.get_bucket_request_payment(Bucket=b)["Payer"], "BucketOwner")
        for call in (self.s3.get_bucket_logging, self.s3.get_bucket_notification_configuration, self.s3.get_bucket_accelerate_configuration):
            self.assertEqual([k for k in call(Bucket=b) if k != "ResponseMetadata"], [])

    def test_tags(self):
        b = self.bucket()
        tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
        self.s3.put_bucket_tagging(Bucket=b, Tagging={"TagSet": tags})
        self.assertEqual(self.s3.get_bucket_tagging(Bucket=b)["TagSet"], tags)
        self.s3.delete_bucket_tagging(Bucket=b)
        self.assertAwsError("NoSuchTagSet", self.s3.get_bucket_tagging, Bucket=b)


class Cors(S3Case):
    RULES = [{"ID": "one", "AllowedOrigins": ["http://*.example.com"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-amz-*", "content-type"],
              "ExposeHeaders": ["etag"], "MaxAgeSeconds": 60}, {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}]

    def preflight(self, b, origin, method, headers=None):
        more = {"Access-Control-Request-Headers": headers} if headers else {}
        return send("OPTIONS", f"/{b}/k", headers={"Origin": origin, "Access-Control-Request-Method": method, **more})

    def test_rules(self):
        b = self.bucket()
        self.assertEqual(self.preflight(b, "http://a.example.com", "GET").status, 403)
        self.s3.put_bucket_cors(Bucket=b, CORSConfiguration={"CORSRules": self.RULES})
        self.assertEqual(self.s3.get_bucket_cors(Bucket=b)["CORSRules"], self.RULES)
        yes = self.preflight(b, "http://a.example.com", "PUT", "X-Amz-Date, Content-Type")
        self.assertEqual(yes.status, 200)
        self.assertEqual(yes.headers["access-control-allow-origin"], "http://a.example.com")
        self.assertEqual(yes.headers["access-control-allow-methods"], "GET, PUT")
        self.assertEqual(yes.headers["access-control-max-age"], "60")
        self.assertEqual(yes.headers["access-control-expose-headers"], "etag")
        for origin, method, headers in (("http://a.example.org", "GET", None), ("http://a.example.com", "DELETE", None), ("http://a.example.com", "GET", "x-other")):
            no = self.preflight(b, origin, method, headers)
            self.assertEqual((no.status, no.headers["access-control-allow-origin"]), (403, None))
        self.assertEqual(self.preflight(b, "http://anything", "HEAD").headers["access-control-allow-origin"], "*")
        self.put(b, "k", b"1")
        got = raw("GET", f"/{b}/k", headers={"Origin": "http://b.example.com"})
        self.assertEqual(got.headers["access-control-allow-origin"], "http://b.example.com")
        missing = raw("GET", f"/{b}/none", headers={"Origin": "http://b.example.com"})
        # The published key pair is refused to pages from elsewhere; errors carry the headers too.
        self.assertEqual((missing.status, missing.headers["access-control-allow-origin"]), (403, "http://b.example.com"))
        self.assertIsNone(raw("GET", f"/{b}/k", headers={"Origin": "http://elsewhere"}).headers["access-control-allow-origin"])
        self.s3.delete_bucket_cors(Bucket=b)
        self.assertEqual(self.preflight(b, "http://a.example.com", "GET").status, 403)

    def test_bad_rules(self):
        b = self.bucket()
        for rule in ({"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]}, {"AllowedOrigins": ["http://*.*"], "AllowedMethods": ["GET"]},
                     {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ExposeHeaders": ["x-*"]}):
            self.assertAwsError("InvalidRequest", self.s3.put_bucket_cors, Bucket=b, CORSConfiguration={"CORSRules": [rule]})


class Lifecycle(S3Case):
    def rules(self, b, *rules):
        self.s3.put_bucket_lifecycle_configuration(Bucket=b, LifecycleConfiguration={"Rules": list(rules)})

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "lifecycle did nothing")
            time.sleep(0.1)

    def test_expires_for_real(self):
        b = self.bucket()
        past = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
        for i in range(30):
            self.put(b, f"old/{i}", noise(10000) if i % 2 else b"small")
        self.put(b, "keep", b"1")
        self.put(b, "tagged", b"1", Tagging="class=temp")
        self.put(b, "big", noise(5000))
        self.rules(b, {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Date": past}},
                   {"ID": "b", "Status": "Enabled", "Filter": {"Tag": {"Key": "class", "Value": "temp"}}, "Expiration": {"Date": past}},
                   {"ID": "c", "Status": "Enabled", "Filter": {"And": {"Prefix": "b", "ObjectSizeGreaterThan": 4000}}, "Expiration": {"Date": past}},
                   {"ID": "d", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Date": past}})
        self.until(lambda: [o["Key"] for o in self.s3.list_objects_v2(Bucket=b).get("Contents", [])] == ["keep"])

    def test_versions_get_markers(self):
        b = self.bucket(versioned=True)
        self.put(b, "k", b"1")
        self.rules(b, {"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Date": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)}})
        self.until(lambda: self.s3.list_objects_v2(Bucket=b)["KeyCount"] == 0)
        page = self.s3.list_object_versions(Bucket=b)
        self.assertEqual((len(page["Versions"]), len(page["DeleteMarkers"])), (1, 1))

    def test_lone_markers_go(self):
        b = self.bucket(versioned=True)
        self.s3.delete_object(Bucket=b, Key="lone")
        self.rules(b, {"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}})
        self.until(lambda: "DeleteMarkers" not in self.s3.list_object_versions(Bucket=b))

    def test_header(self):
        b = self.bucket()
        rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}}
        path, xml = f"/{b}", b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>x/</Prefix></Filter>" \
                             b"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
        least = "x-amz-transition-default-minimum-object-size"
        self.assertEqual(raw("PUT", path, [("lifecycle", "")], xml).headers[least], "all_storage_classes_128K")
        self.assertEqual(raw("GET", path, [("lifecycle", "")]).headers[least], "all_storage_classes_128K")
        self.assertEqual(raw("PUT", path, [("lifecycle", "")], xml, {least: "varies_by_storage_class"}).status, 501)
        self.assertEqual(self.s3.get_bucket_lifecycle_configuration(Bucket=b)["Rules"], [rule])
        self.rules(b, {"ID": "month", "Status": "Enabled", "Filter": {"Prefix": "m/"}, "Expiration": {"Days": 30}})
        text = self.put(b, "m/k")["Expiration"]
        self.assertIn('rule-id="month"', text)
        self.assertIn("00:00:00 GMT", text)
        self.assertNotIn("Expiration", self.put(b, "k"))
        self.assertEqual(self.s3.head_object(Bucket=b, Key="m/k")["Expiration"], text)

    def test_faults(self):
        b = self.bucket()
        ok = {"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
        for change, code in (({"Expiration": {"Days": 0}}, "InvalidArgument"), ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
                             ({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, "NotImplemented"), ({"ID": "x" * 256}, "InvalidArgument"),
                             ({"Expiration": {"Date": datetime.datetime(2030, 1, 1, 5)}}, "InvalidArgument"),
                             ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}, "InvalidRequest")):
            self.assertAwsError(code, self.rules, b, {**ok, **change})
        self.assertAwsError("InvalidArgument", self.rules, b, ok, ok)
        self.rules(b, ok)
        self.assertEqual(self.s3.get_bucket_lifecycle_configuration(Bucket=b)["Rules"], [{**ok, "Filter": self.s3.get_bucket_lifecycle_configuration(
            Bucket=b)["Rules"][0]["Filter"]}])
        self.s3.delete_bucket_lifecycle(Bucket=b)
        self.assertAwsError("NoSuchLifecycleConfiguration", self.s3.get_bucket_lifecycle_configuration, Bucket=b)


if __name__ == "__main__":
    unittest.main()
