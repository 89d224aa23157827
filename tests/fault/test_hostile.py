"""Requests that are cut short, lie, or are signed wrongly: each gets AWS's error, quickly, and changes nothing."""
import os
import threading
import time
import unittest

import raw
from cloud import Cloud
from leftovers import blobs, unfinished_files
from raw import Signer, ask, connect, read_reply

BUCKET = "hostile"
BODY = os.urandom(40000)
STALE_S = 16 * 60


def in_chunks(body, size):
    """The body in chunks signed by nobody: as long as the real thing."""
    s = Signer(1)
    s.seed = "0" * 64
    return s.chunks(body, size)


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud().start()
        cls.addClassCleanup(cls.end)
        cls.port = cls.cloud.port
        cls.s3 = cls.cloud.client("s3")
        cls.s3.create_bucket(Bucket=BUCKET)
        cls.s3.put_object(Bucket=BUCKET, Key="there", Body=b"there")

    @classmethod
    def end(cls):
        cls.cloud.stop()
        left = cls.cloud.leftovers()
        if left:
            raise AssertionError(f"left: {left}")

    def setUp(self):
        self.pid = self.cloud.role_pid("api")
        # what was asked before is counted for the bill within a second
        self.revision, until = None, time.monotonic() + 20
        while (now := self.cloud.health()["revision"]) != self.revision and time.monotonic() < until:
            self.revision = now
            time.sleep(1.5)
        self.blobs = blobs(self.cloud.data)

    def tearDown(self):
        """Every test here: nothing was changed, and the process has not ended."""
        self.assertEqual(self.cloud.role_pid("api"), self.pid, self.cloud.log_text()[-2000:])
        self.assertEqual(self.cloud.health()["revision"], self.revision)
        until = time.monotonic() + 3
        while time.monotonic() < until and (unfinished_files(self.cloud.data) or blobs(self.cloud.data) != self.blobs):
            time.sleep(0.02)
        self.assertEqual(unfinished_files(self.cloud.data), [])
        self.assertEqual(blobs(self.cloud.data), self.blobs)
        self.assertEqual([o["Key"] for o in self.s3.list_objects_v2(Bucket=BUCKET)["Contents"]], ["there"])
        self.assertEqual(len(self.s3.list_buckets()["Buckets"]), 1)

    def refused(self, reply, code, status=None):
        self.assertIsNotNone(reply, "the connection ended without a word")
        self.assertEqual(reply.code, code, reply.data[:600])
        if status:
            self.assertEqual(reply.status, status, reply.data[:600])

    def put(self, signer=None, key="new", body=BODY, **more):
        return (signer or Signer(self.port)).request("PUT", f"/{BUCKET}/{key}", body, **more)


class Cut(Hostile):
    def requests(self):
        s3 = Signer(self.port)
        chunked = s3.head("PUT", f"/{BUCKET}/chunked", {"x-amz-decoded-content-length": str(len(BODY)), "content-encoding": "aws-chunked"},
                          payload=raw.STREAMING, length=len(b"".join(in_chunks(BODY, 16384))))
        yield "put", self.put()
        yield "put in signed chunks", chunked + b"".join(s3.chunks(BODY, 16384))
        yield "bucket", s3.request("PUT", "/hostile-two", b"<CreateBucketConfiguration><LocationConstraint>eu-west-1"
                                                          b"</LocationConstraint></CreateBucketConfiguration>")
        yield "delete many", s3.request("POST", f"/{BUCKET}", b"<Delete><Object><Key>there</Key></Object></Delete>", query="delete=")
        yield "query", Signer(self.port, "iam").request("POST", "/", b"Action=CreateUser&Version=2010-05-08&UserName=hostile",
                                                        headers={"content-type": "application/x-www-form-urlencoded"})
        yield "json", Signer(self.port, "logs").request("POST", "/", b'{"logGroupName":"hostile"}', headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.CreateLogGroup"})
        yield "rest-json", Signer(self.port, "lambda").request("PUT", "/2017-10-31/functions/none/concurrency",
                                                               b'{"ReservedConcurrentExecutions":1}')

    def test_cut_anywhere(self):
        for name, whole in self.requests():
            head = whole.index(b"\r\n\r\n") + 4
            offsets = sorted(set(range(1, head, 41)) | {head - 3, head - 2, head - 1, head}
                             | set(range(head, len(whole), max(7, (len(whole) - head) // 9))) | {len(whole) - 1})
            for offset in (o for o in offsets if o < len(whole)):
                for how in ("half-closed", "closed", "reset"):
                    with self.subTest(request=name, offset=offset, how=how):
                        s = connect(self.port)
                        s.sendall(whole[:offset])
                        if how == "half-closed":
                            s.shutdown(1)
                            reply = read_reply(s)
                            if reply:
                                self.assertIn(reply.status, (400, 403, 408), reply.data[:300])
                        elif how == "reset":
                            raw.reset(s)
                        s.close()

    def test_the_rest_comes_never(self):
        """An upload whose client stays connected and silent holds nothing that a later one needs."""
        silent = []
        for i in range(20):
            s = connect(self.port)
            s.sendall(self.put(key=f"silent{i}")[:20000])
            silent.append(s)
        self.refused(ask(self.port, Signer(self.port, secret="wrong").request("GET", f"/{BUCKET}/there")), "SignatureDoesNotMatch", 403)
        for s in silent:
            s.close()


class Malformed(Hostile):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # clients that never finish a head: opened first, looked at last
        cls.slow = [connect(cls.port, 40) for _ in range(50)]
        for s in cls.slow:
            s.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        cls.slow_since = time.monotonic()
        cls.slow_ends = threading.Event()
        cls.slow_thread = threading.Thread(target=cls.drip)
        cls.slow_thread.start()
        cls.addClassCleanup(cls.stop_slow)

    @classmethod
    def drip(cls):
        number = 0
        while not cls.slow_ends.wait(1):
            number += 1
            for s in cls.slow:
                try:
                    s.sendall(b"x-%d: y\r\n" % number)
                except OSError:
                    pass

    @classmethod
    def stop_slow(cls):
        cls.slow_ends.set()
        cls.slow_thread.join()
        for s in cls.slow:
            s.close()

    def test_heads(self):
        good = self.put(body=b"x")
        line, rest = good.split(b"\r\n", 1)
        cases = {
            "a head of 100 kB": (line + b"\r\nx-long: " + b"a" * 100000 + b"\r\n" + rest, (431,)),
            "a request line of 100 kB": (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", (414, 431)),
            "1000 headers": (line + b"\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(1000)) + rest, (431,)),
            "two lengths": (line + b"\r\ncontent-length: 0\r\n" + rest, (400,)),
            "length and chunks": (line + b"\r\ntransfer-encoding: chunked\r\n" + rest, (400,)),
            "chunks twice": (line + b"\r\ntransfer-encoding: chunked, chunked\r\n" + rest.replace(b"content-length: 1\r\n", b""), (400, 501)),
            "an encoding that nobody knows": (line + b"\r\ntransfer-encoding: gzip, chunked\r\n" + rest.replace(b"content-length: 1\r\n", b""),
                                              (400, 501)),
            "a negative length": (good.replace(b"content-length: 1", b"content-length: -1"), (400,)),
            "a length with a sign": (good.replace(b"content-length: 1", b"content-length: +1"), (400,)),
            "a length that does not fit": (good.replace(b"content-length: 1", b"content-length: 99999999999999999999999"), (400, 413)),
            "a folded header": (good.replace(b"\r\nhost: ", b"\r\nhost:\r\n "), (400,)),
            "a space before the colon": (good.replace(b"content-length: 1", b"content-length : 1"), (400,)),
            "NUL in a header": (good.replace(b"x-amz-date: ", b"x-amz-date: \0"), (400,)),
            "no host": (b"\r\n".join(p for p in good.split(b"\r\n") if not p.startswith(b"host:")), (400, 403)),
            "two hosts": (line + b"\r\nhost: other\r\n" + rest, (400, 403)),
            "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
            "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 512, (400,)),
            "junk": (os.urandom(3000).replace(b"\n", b"?") + b"\r\n\r\n", (400, 414, 431)),
            "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n", (400, 403, 405, 501)),
            "an absolute target elsewhere": (good.replace(b"PUT /", b"PUT http://example.com/", 1), (400, 403)),
        }
        for name, (data, statuses) in cases.items():
            with self.subTest(name):
                reply = ask(self.port, data)
                self.assertIsNotNone(reply, "the connection ended without a word")
                self.assertIn(reply.status, statuses, reply.data[:300])

    def test_chunks_of_transfer_encoding(self):
        signer = Signer(self.port)
        head = signer.head("POST", f"/{BUCKET}", {"transfer-encoding": "chunked"}, "delete=", "UNSIGNED-PAYLOAD", length=False)
        logs = Signer(self.port, "logs").head("POST", "/", {"transfer-encoding": "chunked", "content-type": "application/x-amz-json-1.1",
                                                            "x-amz-target": "Logs_20140328.CreateLogGroup"}, length=False)
        for name, body in {
                "a huge size": b"ffffffffffffffff\r\nabc", "a size that wraps": b"10000000000000001\r\na\r\n0\r\n\r\n",
                "no size": b"\r\nabc\r\n", "a negative size": b"-1\r\nabc\r\n", "an endless size": b"0" * 70000,
                "an endless extension": b"1;" + b"x" * 70000, "no line end after data": b"3\r\nabcdef\r\n0\r\n\r\n",
                "endless trailers": b"1\r\na\r\n0\r\n" + b"".join(b"t%d: x\r\n" % i for i in range(20000)),
                "a bare LF": b"3\nabc\n0\n\n"}.items():
            for kind, start in (("s3", head), ("logs", logs)):
                with self.subTest(name, kind=kind), connect(self.port) as s:
                    try:
                        s.sendall(start + body)
                        s.shutdown(1)
                    except OSError:
                        pass
                    reply = read_reply(s)
                    if reply:
                        self.assertTrue(400 <= reply.status < 500, reply.data[:300])

    def test_pipelined(self):
        """Many requests in one packet are answered in order; junk after them ends the connection and touches none of them."""
        get = Signer(self.port).request("GET", f"/{BUCKET}/there")
        wrong = Signer(self.port, secret="wrong").request("GET", f"/{BUCKET}/there")
        with connect(self.port) as s:
            s.sendall((get + wrong) * 50 + b"\x00\x01junk\r\n\r\n" + self.put())
            data = b""
            while True:
                piece = s.recv(1 << 20)
                if not piece:
                    break
                data += piece
        statuses = [int(p.split(b" ")[0]) for p in data.split(b"HTTP/1.1 ")[1:]]
        self.assertEqual(statuses, [200, 403] * 50 + [400])

    def test_a_body_is_no_request(self):
        """What a refused request carries is never taken for the next one."""
        inner = self.put(body=b"smuggled", key="smuggled")
        for outer in (Signer(self.port, secret="wrong").request("PUT", f"/{BUCKET}/x", inner),
                      Signer(self.port).request("PUT", "/no-such-bucket/x", inner),
                      Signer(self.port).request("GET", f"/{BUCKET}/there", inner, length=len(inner)),
                      b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(inner) + inner):
            with connect(self.port, 5) as s:
                s.sendall(outer)
                s.shutdown(1)
                data = b""
                while piece := s.recv(65536):
                    data += piece
                self.assertEqual(data.count(b"HTTP/1.1 "), 1, data[:2000])

    def test_z_slow_heads_are_ended(self):
        for s in self.slow:
            s.settimeout(max(1, self.slow_since + 30 - time.monotonic()))
            reply = read_reply(s)
            if reply:
                self.assertEqual(reply.status, 408)
        self.assertGreater(time.monotonic() - self.slow_since, 10)


class Signatures(Hostile):
    def test_content_hash(self):
        signer = Signer(self.port)
        for body in (b"small", BODY, os.urandom(700000)):
            head = signer.head("PUT", f"/{BUCKET}/new", body=body)
            changed = body[:-1] + bytes([body[-1] ^ 1])
            self.refused(ask(self.port, head + changed), "XAmzContentSHA256Mismatch", 400)
        self.refused(ask(self.port, signer.request("PUT", f"/{BUCKET}/new", BODY, payload="nonsense")), "InvalidArgument", 400)

    def test_presigned_content_hash(self):
        signer = Signer(self.port)
        signed = {"x-amz-content-sha256": raw.EMPTY}
        names = "host;x-amz-content-sha256"
        query = (f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={raw.quote(signer.key + '/' + signer.scope)}&X-Amz-Date={signer.time}"
                 f"&X-Amz-Expires=60&X-Amz-SignedHeaders={raw.quote(names)}")
        _, signature = signer._signature("PUT", f"/{BUCKET}/new", query, {"host": signer.host, **signed}, raw.EMPTY)
        for body in (b"x", BODY):
            data = (f"PUT /{BUCKET}/new?{query}&X-Amz-Signature={signature} HTTP/1.1\r\nhost: {signer.host}\r\n"
                    f"x-amz-content-sha256: {raw.EMPTY}\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body
            self.refused(ask(self.port, data), "XAmzContentSHA256Mismatch", 400)

    def chunked(self, body, size, corrupt=None, change=None, decoded=None, **more):
        signer = Signer(self.port)
        length = sum(map(len, in_chunks(body, size)))
        head = signer.head("PUT", f"/{BUCKET}/new", {"x-amz-decoded-content-length": str(decoded or len(body)),
                                                     "content-encoding": "aws-chunked"}, payload=raw.STREAMING, length=length)
        parts = signer.chunks(body, size, corrupt)
        if change:
            parts = change(parts)
        data = b"".join(parts)
        return head.replace(b"content-length: %d" % length, b"content-length: %d" % len(data)) + data

    def test_chunk_signatures(self):
        body = os.urandom(400000)
        for corrupt in (0, 1, 3, 6, 7):
            with self.subTest(corrupt=corrupt):
                self.refused(ask(self.port, self.chunked(body, 65536, corrupt=corrupt)), "SignatureDoesNotMatch", 403)

        def swapped(parts):
            parts[1], parts[2] = parts[2], parts[1]
            return parts

        def flipped(parts):
            parts[3] = parts[3][:200] + bytes([parts[3][200] ^ 1]) + parts[3][201:]
            return parts

        for change in (swapped, flipped, lambda parts: parts[:2] + parts[3:], lambda parts: parts[:1] + parts):
            self.refused(ask(self.port, self.chunked(body, 65536, change=change)), "SignatureDoesNotMatch", 403)

    def test_chunk_framing(self):
        body = os.urandom(100000)
        cases = {
            "no last chunk": lambda p: p[:-1],
            "bytes after the last": lambda p: p + [b"more"],
            "a huge size": lambda p: [b"ffffffffffffffff" + p[0][p[0].index(b";"):]] + p[1:],
            "a size that is none": lambda p: [b"zz" + p[0][p[0].index(b";"):]] + p[1:],
            "no signature": lambda p: [p[0].replace(b"chunk-signature", b"nothing")] + p[1:],
        }
        for name, change in cases.items():
            with self.subTest(name):
                reply = ask(self.port, self.chunked(body, 65536, change=change))
                self.assertIn(reply.status, (400, 403), reply.data[:300])
        for decoded in (1, len(body) - 1, len(body) + 1, 1 << 40):
            with self.subTest(decoded=decoded):
                reply = ask(self.port, self.chunked(body, 65536, decoded=decoded))
                self.assertTrue(reply.status in (400, 403), reply.data[:300])
        with self.subTest("chunks under 8 KiB"):
            self.refused(ask(self.port, self.chunked(body, 1000)), "InvalidChunkSizeError")

    def get(self, target):
        return ask(self.port, f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n\r\n".encode())

    def test_presigned(self):
        path, now = f"/{BUCKET}/there", time.time()
        good = Signer(self.port).presign("GET", path)
        self.assertEqual(self.get(good).body, b"there")
        self.refused(self.get(Signer(self.port, when=now - 400).presign("GET", path, expires=300)), "AccessDenied", 403)
        self.assertIn(b"Request has expired", self.get(Signer(self.port, when=now - 400).presign("GET", path, expires=300)).body)
        self.refused(self.get(good.replace("Expires=300", "Expires=3000")), "SignatureDoesNotMatch", 403)
        self.refused(self.get(good.replace("/there", "/other")), "SignatureDoesNotMatch", 403)
        self.refused(self.get(good + "&versionId=null"), "SignatureDoesNotMatch", 403)
        self.refused(self.get(good + "&response-content-type=text/html"), "SignatureDoesNotMatch", 403)
        self.refused(self.get(good[:-1] + ("0" if good[-1] != "0" else "1")), "SignatureDoesNotMatch", 403)
        self.refused(self.get(Signer(self.port).presign("GET", path, expires=604801)), "AuthorizationQueryParametersError", 400)
        self.refused(self.get(Signer(self.port).presign("GET", path, expires=-1)), "AuthorizationQueryParametersError", 400)
        self.refused(self.get(Signer(self.port, when=now + STALE_S).presign("GET", path)), "AccessDenied", 403)
        self.refused(self.get(Signer(self.port, key="AKIAUNKNOWNUNKNOWN00").presign("GET", path)), "InvalidAccessKeyId", 403)
        # signed for reading, used to write, to delete
        for method in ("PUT", "DELETE"):
            data = f"{method} {good} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-length: 0\r\n\r\n".encode()
            self.refused(ask(self.port, data), "SignatureDoesNotMatch", 403)
        # both ways at once
        both = Signer(self.port).request("GET", path).replace(f"GET {path} ".encode(), f"GET {good} ".encode())
        self.refused(ask(self.port, both), "InvalidArgument", 400)
        # the last moment counts when the request comes, and a URL may be used often
        self.assertEqual([self.get(good).status for _ in range(3)], [200] * 3)

    def test_clocks(self):
        now = time.time()
        for when in (now - STALE_S, now + STALE_S, now - 86400 * 365, 1):
            with self.subTest(when=when - now):
                self.refused(ask(self.port, self.put(Signer(self.port, when=when))), "RequestTimeTooSkewed", 403)
                reply = ask(self.port, Signer(self.port, "sts", when=when).request(
                    "POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", headers={"content-type": "application/x-www-form-urlencoded"}))
                self.refused(reply, "SignatureDoesNotMatch", 403)
                reply = ask(self.port, Signer(self.port, "logs", when=when).request("POST", "/", b'{"logGroupName":"hostile"}', headers={
                    "content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.CreateLogGroup"}))
                self.refused(reply, "InvalidSignatureException", 400)
        # the date of the scope must be that of the request
        reply = ask(self.port, self.put(Signer(self.port, scope_date="20200101")))
        self.assertIn(reply.code, ("AuthorizationHeaderMalformed", "SignatureDoesNotMatch"))

    def test_scopes(self):
        reply = ask(self.port, self.put(Signer(self.port, service="ec2")))
        self.assertTrue(400 <= reply.status < 600 and reply.status != 200, reply.data[:300])
        for service in ("sts", "iam", "logs", "lambda", "nonsense", "", "s3/s3"):
            with self.subTest(service=service):
                reply = ask(self.port, self.put(Signer(self.port, service=service)))
                self.assertTrue(400 <= reply.status < 600, reply.data[:300])
        for region in ("", "us-east-1/us-east-1", "x" * 100):
            with self.subTest(region=region):
                reply = ask(self.port, self.put(Signer(self.port, region=region)))
                self.assertTrue(400 <= reply.status < 500, reply.data[:300])
        good = self.put().decode("latin-1")
        for old, new in (("aws4_request", "aws5_request"), ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 "), ("SignedHeaders=host;", "SignedHeaders="),
                         ("Signature=", "Signatur="), ("Credential=test", "Credential=")):
            with self.subTest(new):
                reply = ask(self.port, good.replace(old, new, 1).encode("latin-1"))
                self.assertIn(reply.status, (400, 403), reply.data[:300])
        # a header of AWS's that nobody signed
        self.refused(ask(self.port, good.replace("\r\n\r\n", "\r\nx-amz-acl: public-read\r\n\r\n", 1).encode("latin-1")), "AccessDenied", 403)

    def test_keys_of_others(self):
        other = Signer(self.port, key="123456789012")
        for data in (self.put(other), other.request("GET", f"/{BUCKET}/there"), other.request("DELETE", f"/{BUCKET}/there"),
                     other.request("DELETE", f"/{BUCKET}"), other.request("GET", f"/{BUCKET}", query="list-type=2")):
            self.refused(ask(self.port, data), "AccessDenied", 403)
        self.refused(ask(self.port, self.put(Signer(self.port, key="AKIAUNKNOWNUNKNOWN00"))), "InvalidAccessKeyId", 403)
        self.refused(ask(self.port, self.put(Signer(self.port, secret="wrong"))), "SignatureDoesNotMatch", 403)
        self.refused(ask(self.port, self.put(sign=False)), "AccessDenied", 403)

    def test_lengths(self):
        signer = Signer(self.port)
        chunked = signer.head("PUT", f"/{BUCKET}/new", {"transfer-encoding": "chunked"}, payload="UNSIGNED-PAYLOAD", length=False)
        self.refused(ask(self.port, chunked + b"1\r\na\r\n0\r\n\r\n"), "NotImplemented", 501)
        self.refused(ask(self.port, signer.head("PUT", f"/{BUCKET}/new", payload="UNSIGNED-PAYLOAD", length=False)), "MissingContentLength", 411)
        self.refused(ask(self.port, signer.head("PUT", f"/{BUCKET}/new", payload="UNSIGNED-PAYLOAD", length=6 << 30)), "EntityTooLarge", 400)
        self.refused(ask(self.port, signer.request("PUT", f"/{BUCKET}/new", BODY, headers={"content-md5": "AAAA"})), "InvalidDigest", 400)
        self.refused(ask(self.port, signer.request("PUT", f"/{BUCKET}/new", BODY, headers={"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="})),
                     "BadDigest", 400)
        self.refused(ask(self.port, signer.request("PUT", f"/{BUCKET}/new", BODY, headers={"x-amz-checksum-crc32": "AAAAAA=="})),
                     "BadDigest", 400)


if __name__ == "__main__":
    unittest.main()
