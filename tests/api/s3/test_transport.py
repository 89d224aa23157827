"""How bytes travel: aws-chunked uploads, cut and lying uploads, browser forms, large bodies in little memory."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import socket
import struct
import time
import unittest
import zlib

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from s3case import HOST, PORT, REGION, S3Case, md5, noise, raw, send


def crc32(data):
    return base64.b64encode(struct.pack(">I", zlib.crc32(data))).decode()


def signing_key(secret, date, region):
    key = ("AWS4" + secret).encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


class PayloadAuth(botocore.auth.S3SigV4Auth):
    """Signs with a payload kind in place of a hash."""

    def __init__(self, kind):
        super().__init__(botocore.credentials.Credentials("test", "test"), "s3", REGION)
        self.kind = kind

    def payload(self, request):
        return self.kind

    def _should_sha256_sign_payload(self, request):
        return True


def signed_head(path, kind, headers):
    """Headers of a signed PUT, and its signature."""
    request = botocore.awsrequest.AWSRequest("PUT", f"http://{HOST}:{PORT}{path}", headers={"X-Amz-Content-SHA256": kind, **headers})
    PayloadAuth(kind).add_auth(request)
    return dict(request.headers), request.headers["Authorization"].split("Signature=")[1]


def chunks_signed(data, size, seed, stamp, trailer=None, spoil=None):
    date = stamp[:8]
    scope = f"{date}/{REGION}/s3/aws4_request"
    key = signing_key("test", date, REGION)
    previous, out = seed, b""
    pieces = [data[i:i + size] for i in range(0, len(data), size)] + [b""]
    for n, piece in enumerate(pieces):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, hashlib.sha256(b"").hexdigest(), hashlib.sha256(piece).hexdigest()])
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if spoil == n:
            piece = b"!" + piece[1:]
        out += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + (b"\r\n" if piece or trailer is None else b"")
    if trailer is not None:
        text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", stamp, scope, previous, hashlib.sha256((trailer + "\n").encode()).hexdigest()])
        out += (trailer + "\r\n").encode() + b"x-amz-trailer-signature:" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest().encode() + b"\r\n\r\n"
    return out


class Chunked(S3Case):
    def upload(self, b, data, kind, make_body, headers=None):
        path = f"/{b}/k"
        head, seed = signed_head(path, kind, {"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": str(len(data)), **(headers or {})})
        body = make_body(seed, head["X-Amz-Date"])
        return send("PUT", path, body, head)

    def test_signed(self):
        b = self.bucket()
        for size in (0, 5, 70000, 300000):
            data = noise(size)
            put = self.upload(b, data, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", lambda seed, stamp: chunks_signed(data, 65536, seed, stamp))
            self.assertEqual((put.status, put.headers["etag"]), (200, f'"{md5(data)}"'), put)
            head = self.s3.head_object(Bucket=b, Key="k")
            self.assertNotIn("ContentEncoding", head)
            self.assertEqual(self.get(b, "k"), data)

    def test_a_spoiled_chunk_is_refused(self):
        b = self.bucket()
        data = noise(300000)
        put = self.upload(b, data, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", lambda seed, stamp: chunks_signed(data, 65536, seed, stamp, spoil=2))
        self.assertEqual((put.status, b"SignatureDoesNotMatch" in put.body), (403, True), put)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)

    def test_signed_trailer(self):
        b = self.bucket()
        data = noise(100000)
        put = self.upload(b, data, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                          lambda seed, stamp: chunks_signed(data, 65536, seed, stamp, "x-amz-checksum-crc32:" + crc32(data)), {"X-Amz-Trailer": "x-amz-checksum-crc32"})
        self.assertEqual((put.status, put.headers["x-amz-checksum-crc32"]), (200, crc32(data)), put)

    @staticmethod
    def unsigned(data, trailer, size=65536):
        out = b"".join(f"{len(data[i:i + size]):x}\r\n".encode() + data[i:i + size] + b"\r\n" for i in range(0, len(data), size))
        return out + b"0\r\n" + trailer.encode() + b"\r\n\r\n"

    def test_unsigned_trailer(self):
        b = self.bucket()
        for size in (0, 10, 200000):
            data = noise(size)
            put = self.upload(b, data, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", lambda *_: self.unsigned(data, "x-amz-checksum-crc32:" + crc32(data)),
                              {"X-Amz-Trailer": "x-amz-checksum-crc32"})
            self.assertEqual(put.status, 200, put)
            self.assertEqual(self.get(b, "k"), data)
        bad = self.upload(b, data, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", lambda *_: self.unsigned(data, "x-amz-checksum-crc32:" + crc32(b"other")),
                          {"X-Amz-Trailer": "x-amz-checksum-crc32"})
        self.assertEqual((bad.status, b"BadDigest" in bad.body), (400, True), bad)

    def test_wrong_framing(self):
        b = self.bucket()
        data = noise(1000)
        for body in (b"zz\r\n" + data, b"ffffffffffffffffff\r\n" + data, b"3e8\r\n" + data + b"xx0\r\n\r\n", b"3e9\r\n" + data + b"!\r\n0\r\n\r\n"):
            put = self.upload(b, data, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", lambda *_: body, {"X-Amz-Trailer": "x-amz-checksum-crc32"})
            self.assertIn(put.status, (400, 403), put)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)


class Cut(S3Case):
    def blobs(self):
        root = os.path.join(os.environ["QUARTET_DATA"], "blobs")
        return sum(len(files) for _, _, files in os.walk(root))

    def test_a_cut_upload_leaves_nothing(self):
        b = self.bucket()
        before = self.blobs()
        head, _ = signed_head(f"/{b}/k", "UNSIGNED-PAYLOAD", {})
        for sent in (0, 100, 9000, 3000000):
            with socket.create_connection((HOST, int(PORT))) as s:
                lines = [f"PUT /{b}/k HTTP/1.1", f"Host: {HOST}:{PORT}", "Content-Length: 5000000"] + [f"{k}: {v}" for k, v in head.items()]
                s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + noise(sent))
                time.sleep(0.1)
        until = time.monotonic() + 10
        while self.blobs() > before and time.monotonic() < until:
            time.sleep(0.1)
        self.assertLessEqual(self.blobs(), before)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)

    def test_files_go_with_their_objects(self):
        b = self.bucket()
        before = self.blobs()
        for _ in range(3):
            self.put(b, "k", noise(100000))
        self.s3.copy_object(Bucket=b, Key="c", CopySource=f"{b}/k")
        self.assertEqual(self.blobs(), before + 1)
        self.s3.delete_object(Bucket=b, Key="k")
        self.assertEqual(self.get(b, "c"), noise(100000))
        self.s3.delete_object(Bucket=b, Key="c")
        until = time.monotonic() + 10
        while self.blobs() > before and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.blobs(), before)

    def test_no_length(self):
        b = self.bucket()
        upload = self.s3.create_multipart_upload(Bucket=b, Key="k")["UploadId"]
        part = f"/{b}/k?partNumber=1&uploadId={upload}"
        for target, framing, body, want in (
                (f"/{b}/k", [], b"", b"MissingContentLength"), (part, [], b"", b"MissingContentLength"),
                (f"/{b}/k", ["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n", b"<Header>Transfer-Encoding</Header>"),
                (part, ["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n", b"<Header>Transfer-Encoding</Header>")):
            head, _ = signed_head(target, "UNSIGNED-PAYLOAD", {})
            with socket.create_connection((HOST, int(PORT))) as s:
                lines = [f"PUT {target} HTTP/1.1", f"Host: {HOST}:{PORT}", *framing] + [f"{k}: {v}" for k, v in head.items()]
                s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
                reply = s.recv(65536)
            self.assertIn(b" 501 " if framing else b" 411 ", reply.split(b"\r\n")[0])
            self.assertIn(want, reply)
        self.s3.abort_multipart_upload(Bucket=b, Key="k", UploadId=upload)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)

    def test_an_empty_body_is_invited_too(self):
        """A final answer in the invitation's place would be kept by botocore for the next request of the connection, which then waits for its headers for a minute."""
        b = self.bucket()
        head, _ = signed_head(f"/{b}/k", "UNSIGNED-PAYLOAD", {})
        with socket.create_connection((HOST, int(PORT)), timeout=20) as s:
            lines = [f"PUT /{b}/k HTTP/1.1", f"Host: {HOST}:{PORT}", "Content-Length: 0", "Expect: 100-continue"] + [f"{k}: {v}" for k, v in head.items()]
            s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            reply = b""
            while reply.count(b"\r\n\r\n") < 2:
                piece = s.recv(65536)
                self.assertTrue(piece, reply)
                reply += piece
        self.assertTrue(reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "), reply)

    def test_too_large_is_refused_before_the_body(self):
        b = self.bucket()
        head, _ = signed_head(f"/{b}/k", "UNSIGNED-PAYLOAD", {})
        with socket.create_connection((HOST, int(PORT)), timeout=20) as s:
            lines = [f"PUT /{b}/k HTTP/1.1", f"Host: {HOST}:{PORT}", f"Content-Length: {6 << 30}", "Expect: 100-continue"] + [f"{k}: {v}" for k, v in head.items()]
            s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            reply = s.recv(65536)
        self.assertIn(b" 400 ", reply.split(b"\r\n")[0])
        self.assertIn(b"EntityTooLarge", reply)


class Large(S3Case):
    SIZE = int(os.environ.get("QUARTET_TEST_LARGE_MIB", "300")) << 20

    def memory(self):
        """Largest resident size of the api role so far, in bytes."""
        data = os.environ["QUARTET_DATA"]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read().split(b"\0")
                if b"api" not in line[1:3] or not any(data.encode() in a for a in line):
                    continue
                with open(f"/proc/{pid}/status") as f:
                    return int(next(l for l in f if l.startswith("VmRSS")).split()[1]) << 10
            except OSError:
                continue
        return None

    def test_streams_both_ways(self):
        b = self.bucket()
        before = self.memory()
        if before is None:
            self.skipTest("the api role of this cloud is not to be found")
        piece = noise(1 << 20)
        digest, peak = hashlib.md5(), 0
        head, _ = signed_head(f"/{b}/big", "UNSIGNED-PAYLOAD", {})
        with socket.create_connection((HOST, int(PORT)), timeout=120) as s:
            lines = [f"PUT /{b}/big HTTP/1.1", f"Host: {HOST}:{PORT}", f"Content-Length: {self.SIZE}"] + [f"{k}: {v}" for k, v in head.items()]
            s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            for _ in range(self.SIZE >> 20):
                s.sendall(piece)
                digest.update(piece)
                peak = max(peak, self.memory())
            reply = s.recv(65536)
        self.assertIn(b" 200 ", reply.split(b"\r\n")[0])
        self.assertIn(digest.hexdigest().encode(), reply)
        body, got = self.s3.get_object(Bucket=b, Key="big")["Body"], hashlib.md5()
        for part in body.iter_chunks(1 << 20):
            got.update(part)
            peak = max(peak, self.memory())
        self.assertEqual(got.hexdigest(), digest.hexdigest())
        self.assertLess(peak - before, 20 << 20)


class Forms(S3Case):
    def form(self, b, fields, data=b"content", name="file.txt", boundary="XbOuNdArYX", path=None):
        body = b""
        for key, value in fields:
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'.encode()
        body += data + f"\r\n--{boundary}--\r\n".encode()
        return send("POST", path or f"/{b}", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def signed(self, conditions, more=(), seconds=600, secret="test"):
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp, date = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        credential = f"test/{date}/{REGION}/s3/aws4_request"
        auth = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": credential, "x-amz-date": stamp}
        policy = {"expiration": (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                  "conditions": list(conditions) + [{k: v} for k, v in auth.items()]}
        text = base64.b64encode(json.dumps(policy).encode()).decode()
        signature = hmac.new(signing_key(secret, date, REGION), text.encode(), hashlib.sha256).hexdigest()
        return list(more) + list(auth.items()) + [("policy", text), ("x-amz-signature", signature)]

    def test_upload(self):
        b = self.bucket()
        conditions = [{"bucket": b}, ["starts-with", "$key", "user/"], ["content-length-range", 1, 10 << 20], {"x-amz-meta-tag": "t"}, ["starts-with", "$Content-Type", "text/"],
                      {"success_action_status": "201"}]
        for data in (b"content", b"--XbOuNdAr\r\n--XbOuNdArY\r\n\r\n", noise(3000000)):
            fields = self.signed(conditions, [("key", "user/${filename}"), ("x-amz-meta-tag", "t"), ("Content-Type", "text/x"), ("success_action_status", "201")])
            done = self.form(b, fields, data, "a.txt")
            self.assertEqual((done.status, done.headers["etag"]), (201, f'"{md5(data)}"'), done)
            self.assertIn(b"<Key>user/a.txt</Key>", done.body)
            got = self.s3.get_object(Bucket=b, Key="user/a.txt")
            self.assertEqual((got["Body"].read(), got["ContentType"], got["Metadata"]), (data, "text/x", {"tag": "t"}))

    def test_tags_and_checksums(self):
        b = self.bucket()
        sum_header, good = "x-amz-checksum-crc32", base64.b64encode(zlib.crc32(b"content").to_bytes(4, "big")).decode()
        ok = [{"bucket": b}, {"key": "k"}, ["starts-with", "$tagging", ""], ["starts-with", "$" + sum_header, ""]]
        tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1 2</Value></Tag></TagSet></Tagging>"
        for tagging, value, want, code in ((tags, good, 204, b""), (tags, "AAAAAA==", 400, b"BadDigest"), ("<Tagging/>", good, 400, b"MalformedXML"),
                                           (tags.replace("</TagSet>", "<Tag><Key>a</Key><Value/></Tag></TagSet>"), good, 400, b"InvalidTag")):
            done = self.form(b, self.signed(ok, [("key", "k"), ("tagging", tagging), (sum_header, value)]))
            self.assertEqual((done.status, code in done.body), (want, True), done)
        self.assertEqual(self.s3.get_object_tagging(Bucket=b, Key="k")["TagSet"], [{"Key": "a", "Value": "1 2"}])
        self.assertEqual(self.s3.head_object(Bucket=b, Key="k", ChecksumMode="ENABLED")["ChecksumCRC32"], good)
        locked = [{"bucket": b}, {"key": "l"}, {"x-amz-object-lock-mode": "GOVERNANCE"}]
        bad = self.form(b, self.signed(locked, [("key", "l"), ("x-amz-object-lock-mode", "GOVERNANCE")]))
        self.assertEqual((bad.status, b"Bucket is missing Object Lock Configuration" in bad.body), (400, True), bad)

    def test_refusals(self):
        b = self.bucket()
        ok = [{"bucket": b}, {"key": "k"}]
        for conditions, fields, want in (
                (ok, [("key", "other")], b"Policy Condition failed"), (ok, [("key", "k"), ("acl", "private")], b"Extra input fields: acl"),
                ([{"bucket": "other"}, {"key": "k"}], [("key", "k")], b"Policy Condition failed"), (ok, [], b"key")):
            bad = self.form(b, self.signed(conditions, fields))
            self.assertIn(bad.status, (400, 403))
            self.assertIn(want, bad.body)
        self.assertIn(b"Policy expired", self.form(b, self.signed(ok, [("key", "k")], seconds=-5)).body)
        self.assertIn(b"SignatureDoesNotMatch", self.form(b, self.signed(ok, [("key", "k")], secret="wrong")).body)
        self.assertEqual(self.form(b, [("key", "k")]).status, 403)
        for limits, code in (([10, 20], b"EntityTooSmall"), ([1, 3], b"EntityTooLarge")):
            bad = self.form(b, self.signed(ok + [["content-length-range"] + limits], [("key", "k")]))
            self.assertEqual((bad.status, code in bad.body), (400, True), bad)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)

    def test_not_forms(self):
        b = self.bucket()
        for body in (b"", b"nonsense", b"--XbOuNdArYX\r\n", b"--XbOuNdArYX--\r\n", b"--XbOuNdArYX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk",
                     b"--XbOuNdArYX\r\nNo-Disposition: x\r\n\r\nk\r\n--XbOuNdArYX--\r\n", b"--XbOuNdArYX\r\n" + b"x" * 100000):
            bad = send("POST", f"/{b}", body, {"Content-Type": "multipart/form-data; boundary=XbOuNdArYX"})
            self.assertEqual(bad.status, 400, (body[:50], bad))
        # A file that never ends.
        fields = self.signed([{"bucket": b}, {"key": "k"}], [("key", "k")])
        body = b"".join(f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields)
        body += b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + noise(200000)
        bad = send("POST", f"/{b}", body, {"Content-Type": "multipart/form-data; boundary=B"})
        self.assertEqual((bad.status, b"MalformedPOSTRequest" in bad.body), (400, True), bad)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)


if __name__ == "__main__":
    unittest.main()
