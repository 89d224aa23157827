"""Which target a request goes to: cookies, least outstanding requests, slow start, with tasks as targets."""
import collections
import threading
import time
import unittest

from balancers import counted, forward, wait
from traffic import TrafficCase

SERVE = ("mkdir -p /w/cgi-bin; echo {name} > /w/index.html; echo ok > /w/up; "
         "printf '#!/bin/sh\\necho Content-Type: text/plain\\necho Set-Cookie: APP=%s\\necho\\necho {name}\\n' {name} > /w/cgi-bin/login; "
         "printf '#!/bin/sh\\nsleep {nap}\\necho Content-Type: text/plain\\necho\\necho {name}\\n' > /w/cgi-bin/work; "
         "chmod 755 /w/cgi-bin/*; exec httpd -f -p 80 -h /w")


class Sticky(TrafficCase):
    SERVE = SERVE

    def serve(self, name, nap=0):
        return super().serve(name, nap=nap)

    def change(self, group, **pairs):
        self.elb.modify_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], Attributes=[
            {"Key": k.replace("__", "."), "Value": v} for k, v in pairs.items()])

    def cookies(self, reply):
        return dict(c.split(";")[0].split("=", 1) for c in reply[2].headers.get_all("Set-Cookie") or [])

    def test_cookies(self):
        group = self.targets("sticky", self.serve("one"), self.serve("two"), HealthCheckPath="/up")
        made = self.balancer("sticky")
        self.listen(made, forward(group))
        self.all_healthy(group)
        nodes = self.public(made)
        self.assertEqual({self.ask(nodes[0])[1] for _ in range(8)}, {"one", "two"})
        self.change(group, stickiness__enabled="true", stickiness__lb_cookie__duration_seconds="300")
        wait(self, lambda: "AWSALB" in self.cookies(self.ask(nodes[0])) and "AWSALB" in self.cookies(self.ask(nodes[1])), 30)
        first = self.ask(nodes[0])
        given = self.cookies(first)
        self.assertEqual(sorted(given), ["AWSALB", "AWSALBCORS"])
        for text in first[2].headers.get_all("Set-Cookie"):
            self.assertRegex(text, r"^AWSALB(CORS)?=\S+; Expires=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT; Path=/")
            self.assertEqual("SameSite=None; Secure" in text, text.startswith("AWSALBCORS"))
        for name, value in given.items():
            for node in nodes:  # every node knows it
                self.assertEqual({self.ask(node, Cookie=f"a=b; {name}={value}")[1] for _ in range(6)}, {first[1]})
        self.assertEqual({self.ask(nodes[0], Cookie="AWSALB=nobody")[1] for _ in range(8)}, {"one", "two"})

        wait(self, lambda: (n := counted(self, made, "NonStickyRequestCount")) >= 8 and counted(self, made, "RequestCount") - n >= 24, 60, "24 came to whom they wanted")

        # by the application's own cookie: from the moment on when it has one
        self.change(group, stickiness__type="app_cookie", stickiness__app_cookie__cookie_name="APP")
        wait(self, lambda: not self.cookies(self.ask(nodes[0])) and not self.cookies(self.ask(nodes[1])), 30)
        login = wait(self, lambda: (r := self.ask(nodes[0], "/cgi-bin/login")) and "AWSALBAPP-0" in self.cookies(r) and r, 30)
        given = self.cookies(login)
        self.assertEqual(given["APP"], login[1])
        held = "; ".join(f"{n}={v}" for n, v in given.items())
        self.assertEqual({self.ask(nodes[1], Cookie=held)[1] for _ in range(8)}, {login[1]})
        self.assertEqual({self.ask(nodes[1], Cookie=f"APP={login[1]}")[1] for _ in range(8)}, {"one", "two"})

    def spread(self, node, path, clients, seconds):
        count, until = collections.Counter(), time.monotonic() + seconds

        def work():
            while time.monotonic() < until:
                status, body, _ = self.ask(node, path)
                count[body if status == 200 else status] += 1
        crowd = [threading.Thread(target=work) for _ in range(clients)]
        for t in crowd:
            t.start()
        for t in crowd:
            t.join(60)
        return count

    def test_least_outstanding_requests(self):
        group = self.targets("least", self.serve("quick"), self.serve("lazy", nap=2), HealthCheckPath="/up")
        made = self.balancer("least")
        self.listen(made, forward(group))
        self.all_healthy(group)
        node = self.public(made)[0]
        self.change(group, load_balancing__algorithm__type="least_outstanding_requests")
        time.sleep(3)
        count = self.spread(node, "/cgi-bin/work", 6, 8)
        self.assertEqual(sorted(count), ["lazy", "quick"], count)
        self.assertGreater(count["quick"], 2 * count["lazy"], count)  # in turns they would get the same

    def test_slow_start(self):
        one, two = self.serve("one"), self.serve("two")
        group = self.targets("slow", one, HealthCheckPath="/up")
        self.assertAwsError("ValidationError", self.change, group, slow_start__duration_seconds="29")
        self.change(group, slow_start__duration_seconds="30")
        made = self.balancer("slow")
        self.listen(made, forward(group))
        self.all_healthy(group)
        node = self.public(made)[0]
        self.assertEqual({self.ask(node)[1] for _ in range(20)}, {"one"})
        self.elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": two}])
        self.all_healthy(group)
        begun = time.monotonic()
        shares = []
        for at in (0, 15, 40):
            time.sleep(max(0, begun + at - time.monotonic()))
            seen = collections.Counter(self.ask(node)[1] for _ in range(200))
            shares.append((seen["two"] / 200, time.monotonic() - begun))
        # it grows with the time to a half
        for share, at in shares:
            if at < 30:
                self.assertLess(share, 0.08 + at / (30 + at), shares)
        self.assertTrue(0.4 <= shares[2][0] <= 0.6, shares)
        self.assertLess(shares[0][0], shares[2][0] - 0.15, shares)


if __name__ == "__main__":
    unittest.main()
