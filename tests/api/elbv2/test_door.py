"""Balancers by their names under localhost, through the endpoint's own port."""
import http.client
import json
import os
import ssl
import time
import urllib.parse

from aws import ENDPOINT
from balancers import BalancerCase, forward, wait

PORT = urllib.parse.urlsplit(ENDPOINT).port


def door(balancer):
    return balancer["DNSName"].replace("amazonaws.com", "localhost")


class Door(BalancerCase):
    def served(self, name, **more):
        open_to_all = self.ec2.create_security_group(GroupName=name, Description="d", VpcId=self.vpc_id)["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=open_to_all, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        made = self.balancer(name, SecurityGroups=[open_to_all], **more)
        self.listener(made, [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "from the node"}}])
        wait(self, lambda: self.elb.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"][0]["State"]["Code"] == "active", 120)
        return made

    def ask(self, host, connection=None, method="GET", body=None):
        c = connection or http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        c.request(method, "/x?y=1", body, {"Host": host})
        reply = c.getresponse()
        said = reply.status, reply.read().decode(), reply.headers.get("server")
        if not connection:
            c.close()
        return said

    def refused(self):
        """A connection to the endpoint, and when another one's visit was refused: nobody listens where a router leads flows to no target."""
        made = self.balancer("refuses", Type="network", Subnets=self.subnets[:1])
        self.listener(made, forward(self.group_of("nobody", Protocol="TCP", TargetType="instance")), Protocol="TCP")
        kept = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        self.addCleanup(kept.close)
        self.assertEqual(self.health(kept), 200)

        def refuses():
            asked_at = time.monotonic()
            return self.ask(door(made))[1].endswith(" does not answer\n") and time.monotonic() - asked_at < 4  # after five seconds it is given up, which is another case
        wait(self, lambda: self.elb.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"][0]["State"]["Code"] == "active", 120)
        wait(self, refuses, 60, "a refusal")
        return kept, time.monotonic()

    def health(self, connection):
        connection.request("GET", "/_quartet/health")
        reply = connection.getresponse()
        reply.read()
        return reply.status

    def test_requests_go_to_the_node(self):
        witness, refused_at = self.refused()
        made = self.served("Door")
        name, good = door(made), (404, "from the node", "awselb/2.0")
        self.assertEqual(self.ask(name), good)
        self.assertEqual(self.ask(f"{name.upper()}:{PORT}"), good)
        self.assertEqual(self.ask(self.zones[0] + "." + name), good)
        kept = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        self.addCleanup(kept.close)
        for _ in range(3):
            self.assertEqual(self.ask(name, kept), good)
        self.assertTrue(kept.sock, "the node keeps the connection")
        # more heads than one piece holds, all sent before the first answer
        kept.sock.sendall((f"GET / HTTP/1.1\r\nhost: {name}\r\nx-long: {'z' * 3000}\r\n\r\n" * 20).encode())
        seen = b""
        while seen.count(b"from the node") < 20:
            more = kept.sock.recv(65536)
            self.assertTrue(more, seen[-300:])
            seen += more
        for body in (b"x", b"y" * 10):
            self.assertEqual(self.ask(name, None, "POST", body), good)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls = urllib.parse.urlsplit(os.environ["QUARTET_TLS_ENDPOINT"]).port
        secure = http.client.HTTPSConnection("127.0.0.1", tls, timeout=30, context=context)
        self.addCleanup(secure.close)
        for body in (None, b"y" * 10):
            self.assertEqual(self.ask(name, secure, "POST" if body else "GET", body), good)
        # the endpoint itself is not behind it
        self.assertEqual(self.ask(name, method="DELETE"), good)
        self.assertIn("status", json.loads(self.plain("/_quartet/health")))
        # what was refused at once is not given up a second time, when it would have been too late
        time.sleep(max(0, refused_at + 6 - time.monotonic()))
        witness.auto_open = False
        self.assertEqual(self.health(witness), 200)

        self.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
        wait(self, lambda: self.ask(name)[:2] == (503, "there is no load balancer of this name\n"), 60)

    def plain(self, path):
        c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        c.request("GET", path)
        body = c.getresponse().read().decode()
        c.close()
        return body

    def test_who_is_not_there(self):
        self.assertEqual(self.ask("nobody-1.us-east-1.elb.localhost")[:2], (503, "there is no load balancer of this name\n"))
        inner = self.served("inner", Scheme="internal")
        self.assertEqual(self.ask(door(inner))[0], 503)
        bare = self.balancer("bare")
        self.assertEqual(self.ask(door(bare))[0], 503)
