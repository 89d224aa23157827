"""Who may: bucket policies, public access, ACLs, presigned URLs, other accounts."""
import json
import time
import unittest
import urllib.parse

from aws import ENDPOINT, client
from s3case import S3Case, noise, raw, send

OTHER = "111122223333"
OPEN = {"BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}


class Access(S3Case):
    def policy(self, b, *statements):
        self.s3.put_bucket_policy(Bucket=b, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))

    def allow(self, b, actions, principal="*", key="*", **more):
        return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": f"arn:aws:s3:::{b}/{key}" if key else f"arn:aws:s3:::{b}", **more}

    def unblock(self, b, **flags):
        self.s3.put_public_access_block(Bucket=b, PublicAccessBlockConfiguration={**OPEN, **flags})

    def test_nobody_by_default(self):
        b = self.bucket()
        self.put(b, "k", b"1")
        for method, path in (("GET", "/k"), ("PUT", "/k"), ("DELETE", "/k"), ("GET", ""), ("HEAD", "/k"), ("GET", "?policy")):
            reply = send(method, f"/{b}{path}")
            self.assertEqual(reply.status, 403, (method, path))
            if method != "HEAD":
                self.assertIn(b"<Message>Access Denied</Message>", reply.body)
        self.assertAwsError("AccessDenied", client("s3", key=OTHER).get_object, Bucket=b, Key="k", status=403)

    def test_public_read_by_policy(self):
        b = self.bucket()
        self.put(b, "pub/k", b"1")
        self.put(b, "k", b"2")
        self.assertAwsError("AccessDenied", self.policy, b, self.allow(b, "s3:GetObject", key="pub/*"))
        self.unblock(b)
        self.policy(b, self.allow(b, "s3:GetObject", key="pub/*"))
        self.assertTrue(self.s3.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"])
        self.assertEqual((send("GET", f"/{b}/pub/k").status, send("GET", f"/{b}/pub/k").body), (200, b"1"))
        self.assertEqual(send("GET", f"/{b}/k").status, 403)
        # Who may not list is not told what is missing.
        self.assertEqual(send("GET", f"/{b}/pub/none").status, 403)
        self.policy(b, self.allow(b, "s3:GetObject", key="pub/*"), self.allow(b, "s3:ListBucket", key=None))
        self.assertEqual(send("GET", f"/{b}/pub/none").status, 404)
        self.unblock(b, RestrictPublicBuckets=True)
        self.assertEqual(send("GET", f"/{b}/pub/k").status, 403)
        self.unblock(b)
        self.s3.delete_bucket_policy(Bucket=b)
        self.assertEqual(send("GET", f"/{b}/pub/k").status, 403)

    def test_other_account(self):
        b = self.bucket()
        other = client("s3", key=OTHER)
        self.policy(b, self.allow(b, ["s3:GetObject", "s3:PutObject"], {"AWS": OTHER}), self.allow(b, "s3:ListBucket", {"AWS": OTHER}, key=None,
                    Condition={"StringLike": {"s3:prefix": "in/*"}}))
        self.assertFalse(self.s3.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"])
        other.put_object(Bucket=b, Key="in/k", Body=b"theirs")
        self.assertEqual(self.get(b, "in/k"), b"theirs")
        self.assertEqual(other.list_objects_v2(Bucket=b, Prefix="in/")["KeyCount"], 1)
        self.assertAwsError("AccessDenied", other.list_objects_v2, Bucket=b)
        self.assertAwsError("AccessDenied", other.delete_object, Bucket=b, Key="in/k")
        self.assertAwsError("AccessDenied", other.delete_bucket, Bucket=b)

    def test_explicit_deny_binds_the_owner(self):
        b = self.bucket()
        self.put(b, "k", b"1")
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/*"}
        self.policy(b, deny)
        self.assertAwsError("AccessDenied", self.get, b, "k")
        self.assertAwsError("AccessDenied", self.s3.copy_object, Bucket=b, Key="c", CopySource=f"{b}/k")
        self.policy(b, {**deny, "Action": "s3:DeleteObject", "Condition": {"StringEquals": {"s3:ExistingObjectTag/keep": "yes"}}})
        self.put(b, "k", b"1", Tagging="keep=yes")
        self.assertAwsError("AccessDenied", self.s3.delete_object, Bucket=b, Key="k")
        errors = self.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "k"}, {"Key": "z"}]})
        self.assertEqual([(e["Key"], e["Code"]) for e in errors["Errors"]], [("k", "AccessDenied")])
        self.s3.delete_bucket_policy(Bucket=b)

    def test_bad_policies(self):
        b = self.bucket()
        good = self.allow(b, "s3:GetObject", {"AWS": OTHER})
        for bad in ("{", "[]", json.dumps({"Version": "2012-10-17"}), json.dumps({"Version": "1999-01-01", "Statement": [good]}),
                    json.dumps({"Statement": [{**good, "Resource": "arn:aws:s3:::other/*"}]}), json.dumps({"Statement": [{**good, "Action": "ec2:Run"}]}),
                    json.dumps({"Statement": [{**good, "Effect": "Maybe"}]}), json.dumps({"Statement": [{k: v for k, v in good.items() if k != "Principal"}]})):
            self.assertAwsError("MalformedPolicy", self.s3.put_bucket_policy, Bucket=b, Policy=bad, status=400)
        self.assertAwsError("NoSuchBucketPolicy", self.s3.get_bucket_policy, Bucket=b)

    def test_words_of_bad_policies(self):
        b = self.bucket()
        good = self.allow(b, "s3:GetObject", {"AWS": OTHER})
        inside, bucket = f"arn:aws:s3:::{b}/*", f"arn:aws:s3:::{b}"
        no_fit = "Action does not apply to any resource(s) in statement"
        for bad, words in (
                ("nonsense", "Policies must be valid JSON and the first byte must be '{'"), ("{", "This policy contains invalid Json"),
                ("{}", "Missing required field Statement"), ({"Statement": []}, "Statement is empty"),
                ({"Version": "1999-01-01", "Statement": [good]}, "The policy must contain a valid version string"),
                ({"Statement": [{k: v for k, v in good.items() if k != "Principal"}]}, "Missing required field Principal"),
                ({"Statement": [{**good, "Action": "s3:ListBucket"}]}, no_fit), ({"Statement": [{**good, "Resource": bucket}]}, no_fit),
                ({"Statement": [{**good, "Action": ["s3:GetObject", "s3:ListBucket"]}]}, no_fit)):
            self.assertAwsError("MalformedPolicy", self.s3.put_bucket_policy, Bucket=b, Policy=bad if isinstance(bad, str) else json.dumps(bad), message=words)
        for actions, resources in ((["s3:GetObject", "s3:ListBucket"], [bucket, inside]), ("s3:*", bucket), ("s3:GetObject", bucket + "*"), ("s3:Get*", bucket)):
            self.s3.put_bucket_policy(Bucket=b, Policy=json.dumps({"Statement": [{**good, "Action": actions, "Resource": resources}]}))

    def test_acls_are_off(self):
        b = self.bucket()
        self.put(b, "k", b"1")
        self.assertAwsError("AccessControlListNotSupported", self.s3.put_object_acl, Bucket=b, Key="k", ACL="public-read", status=400)
        self.assertAwsError("AccessControlListNotSupported", self.put, b, "k", ACL="public-read")
        self.put(b, "k", b"1", ACL="bucket-owner-full-control")
        there = self.s3.get_object_acl(Bucket=b, Key="k")
        self.assertEqual([g["Permission"] for g in there["Grants"]], ["FULL_CONTROL"])
        # The same in full changes nothing either.
        said = {"Owner": there["Owner"], "Grants": there["Grants"]}
        self.s3.put_object_acl(Bucket=b, Key="k", AccessControlPolicy=said)
        said["Grants"][0]["Permission"] = "READ"
        self.assertAwsError("AccessControlListNotSupported", self.s3.put_object_acl, Bucket=b, Key="k", AccessControlPolicy=said)

    def test_acls_grant_where_enabled(self):
        b = self.bucket()
        self.unblock(b)
        self.s3.put_bucket_ownership_controls(Bucket=b, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
        self.put(b, "pub", b"1", ACL="public-read")
        self.put(b, "k", b"2")
        self.assertEqual(send("GET", f"/{b}/pub").body, b"1")
        self.assertEqual(send("GET", f"/{b}/k").status, 403)
        self.s3.put_object_acl(Bucket=b, Key="k", ACL="authenticated-read")
        self.assertEqual(send("GET", f"/{b}/k").status, 403)
        self.assertEqual(client("s3", key=OTHER).get_object(Bucket=b, Key="k")["Body"].read(), b"2")
        self.s3.put_bucket_acl(Bucket=b, ACL="public-read")
        self.assertEqual(send("GET", f"/{b}").status, 200)
        self.s3.put_public_access_block(Bucket=b, PublicAccessBlockConfiguration={**OPEN, "IgnorePublicAcls": True})
        self.assertEqual((send("GET", f"/{b}/pub").status, send("GET", f"/{b}").status), (403, 403))
        self.s3.put_public_access_block(Bucket=b, PublicAccessBlockConfiguration={**OPEN, "BlockPublicAcls": True})
        self.assertAwsError("AccessDenied", self.s3.put_object_acl, Bucket=b, Key="k", ACL="public-read")

    def test_presigned(self):
        b = self.bucket()
        signer = client("s3", signature_version="s3v4")  # old SDKs would use version 2 here
        put = signer.generate_presigned_url("put_object", {"Bucket": b, "Key": "a b/ü+"})
        target = put[len(ENDPOINT):]
        self.assertEqual(send("PUT", target, b"presigned").status, 200)
        get = signer.generate_presigned_url("get_object", {"Bucket": b, "Key": "a b/ü+", "ResponseContentType": "text/x"})[len(ENDPOINT):]
        got = send("GET", get)
        self.assertEqual((got.body, got.headers["content-type"]), (b"presigned", "text/x"))
        self.assertEqual(send("DELETE", get).status, 403)
        self.assertEqual(send("GET", get.replace(b, b + "x")).status, 403)
        old = signer.generate_presigned_url("get_object", {"Bucket": b, "Key": "k"}, ExpiresIn=1)[len(ENDPOINT):]
        time.sleep(2.1)
        late = send("GET", old)
        self.assertEqual((late.status, b"Request has expired" in late.body), (403, True))

    def test_virtual_hosts(self):
        b = self.bucket()
        for host in (f"{b}.s3.localhost:4566", f"{b}.localhost", f"{b}.s3.amazonaws.com", f"{b}.s3.us-east-1.amazonaws.com", f"{b}.s3-us-east-1.amazonaws.com",
                     f"{b}.s3.dualstack.us-east-1.amazonaws.com"):
            self.assertEqual(raw("PUT", "/dir/k", body=host.encode(), host=host).status, 200, host)
            self.assertEqual(self.get(b, "dir/k"), host.encode())
            self.assertEqual(raw("GET", "/dir/k", host=host).body, host.encode())
            self.assertEqual(raw("GET", "/", [("list-type", "2")], host=host).status, 200)
        self.assertEqual(raw("GET", "/dir/k", host=f"{b.upper()}.S3.LocalHost:4566").status, 200)


if __name__ == "__main__":
    unittest.main()
