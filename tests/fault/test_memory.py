"""What clients cost in memory: idle connections, objects of a gibibyte, floods of requests that nobody signed."""
import hashlib
import os
import re
import resource
import socket
import threading
import time
import unittest

import raw
from cloud import Cloud
from raw import Signer

MIB = 1 << 20
IDLE = 10000
GIB = 1 << 30


def memory(pid):
    """Bytes that the process itself holds; pages of files and of the page cache are not its own."""
    with open(f"/proc/{pid}/status") as f:
        status = f.read()
    return 1024 * sum(int(re.search(rf"^{name}:\s+(\d+)", status, re.M).group(1)) for name in ("RssAnon", "RssShmem"))


class Memory(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud().start()
        self.addCleanup(self.end)
        self.pid = self.cloud.role_pid("api")
        for _ in range(50):  # what every first request makes
            self.cloud.health()

    def end(self):
        self.cloud.stop()
        self.assertEqual(self.cloud.leftovers(), [])

    def test_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < IDLE + 500:
            self.skipTest(f"this process may have only {hard} descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + 500, hard))
        before, held = memory(self.pid), []
        request = Signer(self.cloud.port).request("GET", "/")
        try:
            for i in range(IDLE):
                s = socket.create_connection(("127.0.0.1", self.cloud.port), 10)
                held.append(s)
                if i % 10 == 0:  # some have been used
                    s.sendall(request)
                    self.assertEqual(raw.read_reply(s).status, 200)
            until = time.monotonic() + 10
            while self.cloud.health()["connections"] < IDLE and time.monotonic() < until:
                time.sleep(0.05)
            self.assertGreaterEqual(self.cloud.health()["connections"], IDLE)
            grown = memory(self.pid) - before
            print(f"    {IDLE} idle connections: {grown / MIB:.1f} MiB", flush=True)
            self.assertLess(grown, 60 * MIB)
            for s in held[::100]:  # and they still serve
                s.sendall(request)
                self.assertEqual(raw.read_reply(s).status, 200)
        finally:
            for s in held:
                s.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        until = time.monotonic() + 10
        while self.cloud.health()["connections"] > 5 and time.monotonic() < until:
            time.sleep(0.05)
        self.assertLessEqual(self.cloud.health()["connections"], 5)

    def watch(self, work):
        """Runs work() and returns the most that the process grew meanwhile."""
        before, most, done = memory(self.pid), [0], threading.Event()

        def look():
            while not done.wait(0.02):
                most[0] = max(most[0], memory(self.pid))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            work()
        finally:
            done.set()
            thread.join()
        return most[0] - before

    def test_a_gibibyte(self):
        place = os.statvfs(self.cloud.data)
        if place.f_bavail * place.f_bsize < 3 * GIB:
            self.skipTest("there are no 3 GiB free for the object")
        self.cloud.client("s3").create_bucket(Bucket="large")
        piece = os.urandom(4 * MIB)
        want, signer = hashlib.md5(), Signer(self.cloud.port)
        for _ in range(GIB // len(piece)):
            want.update(piece)

        def put():
            with raw.connect(self.cloud.port, 60) as s:
                s.sendall(signer.head("PUT", "/large/object", payload="UNSIGNED-PAYLOAD", length=GIB))
                for _ in range(GIB // len(piece)):
                    s.sendall(piece)
                reply = raw.read_reply(s)
                self.assertEqual(reply.status, 200, reply.data)
                self.assertEqual(reply.headers["etag"], f'"{want.hexdigest()}"')

        def get():
            with raw.connect(self.cloud.port, 60) as s:
                s.sendall(signer.request("GET", "/large/object"))
                got, data = -1, b""
                buffer = bytearray(4 * MIB)
                while b"\r\n\r\n" not in data:
                    data += s.recv(4096)
                got = len(data) - data.index(b"\r\n\r\n") - 4
                while got < GIB:
                    n = s.recv_into(buffer)
                    self.assertGreater(n, 0)
                    got += n
                self.assertEqual(got, GIB)

        for name, work in (("PUT", put), ("GET", get)):
            began = time.monotonic()
            grown = self.watch(work)
            print(f"    {name} of 1 GiB: {grown / MIB:.1f} MiB more, {time.monotonic() - began:.1f} s", flush=True)
            self.assertLess(grown, 20 * MIB, name)

    def test_unsigned_flood(self):
        """Forged and unsigned requests with bodies: the first thousands may warm something up, the next may not."""
        port, body = self.cloud.port, b"x" * 20000
        kinds = [b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n" + body, b"GET /bucket/key%d HTTP/1.1\r\nhost: x\r\n\r\n",
                 Signer(port, secret="wrong").request("GET", "/bucket/key"),
                 Signer(port, "iam", key="AKIAUNKNOWNUNKNOWN00").request("POST", "/", b"Action=ListUsers&Version=2010-05-08")]

        def flood(count):
            for start in range(0, count, 20):
                for kind in kinds:
                    with raw.connect(port, 10) as s:
                        try:
                            s.sendall(b"".join(kind.replace(b"%d", b"%d" % (start + i)) for i in range(5)))
                            s.shutdown(1)
                            while s.recv(1 << 16):
                                pass
                        except ConnectionError:
                            pass

        flood(2000)
        grown = self.watch(lambda: flood(10000))
        print(f"    {10000} unsigned requests: {grown / MIB:.1f} MiB more", flush=True)
        self.assertLess(grown, 4 * MIB)

    def test_bodies_that_never_end(self):
        """Unsigned requests that announce a lot and send a part of it hold nothing."""
        before, held = memory(self.pid), []
        for _ in range(200):
            s = raw.connect(self.cloud.port)
            s.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
            try:
                s.sendall(b"x" * 500000)
            except OSError:
                pass
            held.append(s)
        time.sleep(0.2)
        grown = memory(self.pid) - before
        for s in held:
            s.close()
        print(f"    200 unsigned bodies under way: {grown / MIB:.1f} MiB", flush=True)
        self.assertLess(grown, 20 * MIB)


if __name__ == "__main__":
    unittest.main()
