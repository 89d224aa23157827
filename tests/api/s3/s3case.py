"""What the S3 tests share: a bucket of one's own, requests signed by hand for what old SDKs cannot say, contents that are told apart."""
import hashlib
import http.client
import os
import random
import urllib.parse
import uuid
import xml.etree.ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from aws import ENDPOINT, REGION, TestCase, client

HOST, PORT = ENDPOINT.split("//")[1].rsplit(":", 1)
S3_TIMEOUT = 60


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def md5(data):
    return hashlib.md5(data).hexdigest()


class Reply:
    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:300]!r}"


def elements(reply):
    """Status, and the elements of an error without those that every error has, as a dict."""
    found = {e.tag: e.text or "" for e in xml.etree.ElementTree.fromstring(reply.body)}
    return reply.status, {k: v for k, v in found.items() if k not in ("Message", "RequestId", "HostId", "Resource")}


def send(method, target, body=b"", headers=None, host=None):
    c = http.client.HTTPConnection(HOST, int(PORT), timeout=S3_TIMEOUT)
    try:
        c.request(method, target, body=body, headers=headers or {})
        return Reply(c.getresponse())
    finally:
        c.close()


def raw(method, path, query=None, body=b"", headers=None, key=None, secret=None, region=REGION, host=None, sign=True, send_body=None):
    """A request to a raw key path, signed in headers. query: list of pairs; send_body: sent in place of the one that is signed."""
    target = urllib.parse.quote(path, safe="/-_.~")
    pairs = query or []
    text = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
    headers = dict(headers or {})
    if host:
        headers["Host"] = host
    if sign:
        request = botocore.awsrequest.AWSRequest(method, f"http://{host or HOST + ':' + PORT}{target}", data=body, headers=headers, params=dict(pairs))
        credentials = botocore.credentials.Credentials(key or os.environ["AWS_ACCESS_KEY_ID"], secret or os.environ["AWS_SECRET_ACCESS_KEY"])
        botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
        headers = dict(request.headers)
    return send(method, target + ("?" + text if text else ""), body if send_body is None else send_body, headers)


class S3Case(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = client("s3")

    def bucket(self, versioned=False, **settings):
        name = "b-" + uuid.uuid4().hex[:16]
        self.s3.create_bucket(Bucket=name, **settings)
        if versioned:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.addCleanup(self.empty, name)
        return name

    def empty(self, name):
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                self.s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
        self.s3.delete_bucket(Bucket=name)

    def put(self, bucket, key, body=b"x", **more):
        return self.s3.put_object(Bucket=bucket, Key=key, Body=body, **more)

    def get(self, bucket, key, **more):
        return self.s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()
