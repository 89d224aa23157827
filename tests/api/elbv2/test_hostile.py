"""Clients that mean no good: smuggled requests, floods of headers, slow ones, many at once. Whoever else asks meanwhile is served."""
import socket
import threading
import time
import unittest

from webs import Reply, WebCase, forward, wait

# What two parsers may read differently. Each: is it refused at once, or may it be answered once and no more?
SMUGGLED = {
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdeX",
    "lengths in a list": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nabcdeX",
    "signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde",
    "hexadecimal length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nabcde",
    "huge length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabcde",
    "blank before the colon": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nabcde",
    "blank before the colon of chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding nobody knows": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "name with NUL": b"GET / HTTP/1.1\r\nHost: x\r\nX\0Y: z\r\n\r\n",
    "value with NUL": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
    "bad chunk size": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "negative chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    "huge chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "no version": b"GET /\r\nHost: x\r\n\r\n",
    "version of the future": b"GET / HTTP/3.7\r\nHost: x\r\n\r\n",
    "version with blanks": b"GET / HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "header without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
}
SECRET = b"GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Ignore: "
# Read in one way or the other, but in one: what hides in the body is never a request of its own for the next client.
HIDDEN = {
    "length beside chunks": b"POST /outer HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECRET,
    "chunks in capitals": b"POST /outer HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n" + SECRET,
    "underscore": b"POST /outer HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(SECRET) + SECRET,
    "get with a body": b"GET /outer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SECRET) + SECRET,
    "HTTP/1.0 with chunks": b"POST /outer HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECRET,
    "folded header": b"POST /outer HTTP/1.1\r\nHost: x\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(SECRET) + SECRET,
}


class Hostile(WebCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()

    def stand(self, name):
        group = self.function_group(name, self.function(name))
        made = self.balancer(name)
        self.listen(made, forward(group))
        address = self.addresses(made)[0]
        self.until(address, "/", 200)
        return made, address

    def is_well(self, address):
        """Somebody else is served, and soon."""
        begun = time.monotonic()
        reply = self.ask(address, "/honest")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.json()["path"], "/honest")
        self.assertLess(time.monotonic() - begun, 10)

    def test_smuggling(self):
        made, address = self.stand("smuggling")
        for what, request in SMUGGLED.items():
            with self.subTest(what=what):
                # behind it on the same connection: the request that an attacker would have read wrongly
                got = self.raw(address, request + b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n", seconds=15)
                status = Reply(got).status if got else None
                self.assertIn(status, (None, 400, 422, 501, 505), got[:300])
                self.assertNotIn(b'"path": "/second"', got)
                self.is_well(address)
        for mode in ("defensive", "monitor", "strictest"):
            self.attributes(made, routing__http__desync_mitigation_mode=mode)
            if mode == "strictest":
                wait(self, lambda: Reply(self.raw(address, HIDDEN["get with a body"], seconds=10)).status == 400, 60)
            for what, request in HIDDEN.items():
                with self.subTest(what=what, mode=mode):
                    results = []
                    stop = threading.Event()

                    def others():
                        while not stop.is_set():
                            results.append(self.ask(address, "/other").json()["path"])
                    thread = threading.Thread(target=others)
                    thread.start()
                    got = self.raw(address, request, seconds=2)
                    stop.set()
                    thread.join(60)
                    self.assertEqual(set(results), {"/other"})  # nobody gets what another client hid
                    self.assertLessEqual(got.count(b'"path": "/outer"'), 1)
        self.is_well(address)

    def test_header_floods(self):
        made, address = self.stand("headers")
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(5000)) + b"\r\n",
                        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
                        b"A" * (1 << 20), b"\r\n" * 100000, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"Cookie: a=b\r\n" * 1500 + b"\r\n"):
            got = self.raw(address, request, seconds=90)
            self.assertIn(Reply(got).status if got else None, (None, 400, 408, 414, 431), got[:200])
            self.is_well(address)
        # one that never ends
        with socket.create_connection((address, 80), 10) as s:
            s.settimeout(10)
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            sent, closed = 0, False
            try:
                while sent < 8 << 20:
                    s.sendall(b"X-More: %s\r\n" % (b"z" * 1000))
                    sent += 1000
            except OSError:
                closed = True
            self.assertTrue(closed or Reply(s.recv(4096)).status in (400, 431))
            self.assertLess(sent, 8 << 20)
        self.is_well(address)

    def test_slow_clients(self):
        made, address = self.stand("slow")
        (listener,) = self.elb.describe_listeners(LoadBalancerArn=made["LoadBalancerArn"])["Listeners"]
        # what the crowd asks for is no function's: dozens of new environments could make the honest wait longer than the idle timeout
        self.rule(listener["ListenerArn"], 1, [{"Field": "path-pattern", "Values": ["/crowd"]}], self.fixed("x" * 1000))
        self.until(address, "/crowd", 200)
        self.attributes(made, idle_timeout__timeout_seconds="5")
        wait(self, lambda: Reply(self.raw(address, b"GET / HTTP/1.1\r\n", seconds=8)).status == 408, 60)
        crowd = [socket.create_connection((address, 80), 10) for _ in range(300)]
        try:
            # half a head, half a body, a body of one byte a second, nobody who reads
            for i, s in enumerate(crowd):
                s.sendall((b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nab", b"",
                           b"GET /crowd HTTP/1.1\r\nHost: x\r\n\r\n" * 50)[i % 4])
            for i in range(8):
                self.is_well(address)
                for s in crowd[:200:4]:
                    try:
                        s.sendall(b"a")
                    except OSError:
                        pass
                time.sleep(1)
            # a head that drips is over after the idle timeout, whatever comes
            over = 0
            for s in crowd[:200:4]:
                s.settimeout(20)
                try:
                    got = s.recv(4096)
                    over += not got or Reply(got).status == 408
                except ConnectionError:
                    over += 1
            self.assertEqual(over, 50)
        finally:
            for s in crowd:
                s.close()
        self.is_well(address)

    def test_floods_of_connections(self):
        made, address = self.stand("crowd")
        failed, stop = [], threading.Event()

        def knock():
            while not stop.is_set():
                try:
                    with socket.create_connection((address, 80), 5) as s:
                        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
                except OSError:
                    pass
        threads = [threading.Thread(target=knock) for _ in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(20):
                reply = self.ask(address, "/honest")
                if reply.status != 200:
                    failed.append(reply.status)
        finally:
            stop.set()
            for t in threads:
                t.join(30)
        self.assertEqual(failed, [])

    def test_floods_of_targets(self):
        group = self.elb.create_target_group(Name="crowd", Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
                                             HealthCheckTimeoutSeconds=2)["TargetGroups"][0]
        arn = group["TargetGroupArn"]
        made = self.balancer("targets")
        listener = self.listen(made, forward(group))
        self.rule(listener, 1, [{"Field": "path-pattern", "Values": ["/honest"]}], self.fixed("well"))
        address = self.addresses(made)[0]
        self.until(address, "/honest", 200)
        targets = [{"Id": f"172.31.{i // 200}.{10 + i % 200}", "Port": 8000 + i % 7, "AvailabilityZone": "all"} for i in range(1000)]
        spread = [{"Id": t["Id"], "Port": t["Port"]} for t in targets]
        self.assertAwsError("TooManyTargets", self.elb.register_targets, TargetGroupArn=arn, Targets=spread + [{"Id": "172.31.0.9", "Port": 1}])
        for i in range(0, 1000, 100):
            self.elb.register_targets(TargetGroupArn=arn, Targets=spread[i:i + 100])
            self.assertEqual(self.ask(address, "/honest").status, 200)
        self.assertEqual(len(self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]), 1000)
        # nobody is there: that is found out of all of them, and the balancer goes on
        wait(self, lambda: sum(d["TargetHealth"]["State"] == "unhealthy" for d in self.elb.describe_target_health(
            TargetGroupArn=arn)["TargetHealthDescriptions"]) > 900, 180, "unhealthy targets")
        self.assertEqual(self.ask(address, "/honest").status, 200)
        self.elb.deregister_targets(TargetGroupArn=arn, Targets=spread)
        self.assertEqual(self.ask(address, "/honest").status, 200)


if __name__ == "__main__":
    unittest.main()
