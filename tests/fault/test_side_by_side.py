"""Two clouds on one machine: what runs in one of them reaches neither the other's links nor, by the addresses of these, this machine."""
import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest
import uuid

from busybox import busybox, push, why_not
from cloud import Cloud
from functions import Functions
from images import image
from inside import launch
from leftovers import instance_of
from registry import Registry

CONNECT = """
import socket
from concurrent.futures import ThreadPoolExecutor
def connect(target):
    with socket.socket() as s:
        s.settimeout(2)
        try:
            s.connect(tuple(target))
            return "open"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "closed"
def opened(targets):
    with ThreadPoolExecutor(32) as pool:
        return [t for t, said in zip(targets, pool.map(connect, targets)) if said == "open"]
"""
# In a network namespace of its own: says that it is there, and then answers whoever comes by the addresses that it has got.
ANSWER = """
import socket, sys
with socket.create_server(("0.0.0.0", 7000)) as s:
    print("here", flush=True)
    while True:
        s.accept()[0].close()
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class SideBySide(unittest.TestCase):
    def setUp(self):
        self.mine, self.other = (self.cloud() for _ in range(2))

    def cloud(self):
        cloud = Cloud()
        self.addCleanup(cloud.stop)
        return cloud.start()

    def wait(self, what, seconds=180):
        until = time.monotonic() + seconds
        while not (value := what()):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        return value

    def links(self, cloud):
        """Addresses of this machine's ends of the cloud's links."""
        shown = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout
        marks = tuple(f"{word}{instance_of(cloud.data)[:8]}-" for word in ("qt", "qv"))
        return sorted(line.split()[3].split("/")[0] for line in shown.splitlines() if line.split()[1].startswith(marks))

    def listener(self):
        """(port, who has come) of a program of this machine that listens at all of its addresses."""
        server, came = socket.create_server(("0.0.0.0", 0), backlog=64), []
        self.addCleanup(server.close)

        def accept():
            while True:
                try:
                    s, peer = server.accept()
                except OSError:
                    return
                came.append(peer)
                s.close()
        threading.Thread(target=accept, daemon=True).start()
        return server.getsockname()[1], came

    def targets(self, port):
        """Every link of both clouds, by the port of a program and by those of the clouds; the other end of each, too."""
        found = []
        for cloud in (self.mine, self.other):
            links = self.wait(lambda c=cloud: self.links(c))
            found += [(a, p) for a in links for p in (port, self.mine.port, self.other.port)]
            found += [(a[:a.rindex(".") + 1] + str(int(a.rsplit(".", 1)[1]) + 1), p) for a in links for p in (9001, 80)]
        return found

    def take_addresses(self, addresses):
        """Somebody outside has these addresses and answers at port 7000: what this machine's router would lead there is to be seen."""
        process = subprocess.Popen(["unshare", "--net", sys.executable, "-c", ANSWER], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "here\n")
        link, inside = "side" + uuid.uuid4().hex[:8], ["nsenter", "--net", "--target", str(process.pid)]
        ip("link", "add", link, "type", "veth", "peer", "name", "out0", "netns", str(process.pid))
        ip("addr", "add", "198.18.255.253/30", "dev", link)
        ip("link", "set", link, "up")
        with open(f"/proc/sys/net/ipv4/conf/{link}/forwarding", "w") as f:
            f.write("1")  # its answers go on to whoever asked
        for words in ("addr add 198.18.255.254/30 dev out0", "link set lo up", "link set out0 up", "route add default via 198.18.255.253"):
            subprocess.run([*inside, "ip", *words.split()], check=True)
        for a in addresses:
            subprocess.run([*inside, "ip", "addr", "add", a + "/32", "dev", "lo"], check=True)
            ip("route", "add", a + "/32", "via", "198.18.255.254", "dev", link)
        exec(CONNECT, names := {})
        self.wait(lambda: len(names["opened"]([(a, 7000) for a in addresses])) == len(addresses), 30)

    def ask_everything(self, opened):
        """opened(targets): which of them are open, asked from the inside of `mine`."""
        port, came = self.listener()
        targets = self.targets(port)
        ours = [a for a, p in targets if p == port][:3]  # links are made one after the other: there may be two as yet
        for a in ours:
            with socket.create_connection((a, port), 10):
                pass
        self.wait(lambda: len(came) == len(ours), 30)
        self.assertEqual(opened(targets), [])
        # and once the links are gone, and others have their addresses
        gone = self.links(self.other)[:8]
        self.other.stop()
        self.assertEqual(self.links(self.other), [])
        self.take_addresses(gone)
        self.assertEqual(opened([(a, 7000) for a in gone]), [])
        self.assertEqual(len(came), len(ours), came)

    def test_functions(self):
        functions = Functions(self.mine)
        functions.make("f", CONNECT + "def handler(event, context):\n    return opened(event)\n", Timeout=60, MemorySize=512)

        def opened(targets):
            error, said = functions.call("f", targets)
            self.assertIsNone(error, said)
            return said
        self.ask_everything(opened)

    @unittest.skipIf(why_not(), why_not())
    def test_instances(self):
        ec2 = self.mine.client("ec2")
        if not image(ec2):
            self.skipTest("there is no image: tools/make-image")
        subnet = ec2.describe_subnets()["Subnets"][0]
        group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        i = launch(ec2, subnet["SubnetId"], [group], CONNECT)

        def out(line):
            status, output, errors = i.run(line, 300)
            self.assertEqual(status, 0, errors)
            return output.strip()

        def opened(targets):
            # a tag holds 256 characters
            out("rm -f t")
            text = json.dumps(targets).replace(" ", "")
            for at in range(0, len(text), 180):
                out(f"printf %s '{text[at:at + 180]}' >> t")
            return json.loads(out("python3 -c 'import json; from lib import *; print(json.dumps(opened(json.load(open(\"t\")))))'"))
        self.ask_everything(opened)

    @unittest.skipIf(why_not(), why_not())
    def test_tasks(self):
        ecs, ecr, iam, ec2 = (self.mine.client(s) for s in ("ecs", "ecr", "iam", "ec2"))
        uri = ecr.create_repository(repositoryName="app")["repository"]["repositoryUri"]
        push(Registry(ecr, self.mine.endpoint, "app", host=uri.split("/")[0]), busybox())
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName="exec", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="exec", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}))
        ecs.create_cluster()
        network = {"awsvpcConfiguration": {"subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]], "assignPublicIp": "ENABLED"}}

        def opened(targets):
            """The task's exit code says whether any was; that it can connect at all is asked first."""
            chosen = targets[::max(1, len(targets) // 40)]
            script = ("(nc -ll -p 999 -e true &); sleep 1; nc -w 2 127.0.0.1 999 </dev/null || exit 9\n"
                      "ask() { nc -w 2 $1 $2 </dev/null && touch /tmp/open; }\n"
                      + "".join(f"ask {a} {p} &\n" for a, p in chosen) + "sleep 4; test -e /tmp/open && exit 7; exit 3\n")
            definition = ecs.register_task_definition(
                family="f" + uuid.uuid4().hex[:8], requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512", executionRoleArn=role,
                containerDefinitions=[{"name": "c", "image": uri, "command": ["/bin/sh", "-c", script]}])["taskDefinition"]["taskDefinitionArn"]
            (task,) = ecs.run_task(taskDefinition=definition, launchType="FARGATE", networkConfiguration=network)["tasks"]

            def ended():
                (t,) = ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"]
                return t if t["lastStatus"] == "STOPPED" else None
            container = self.wait(ended)["containers"][0]
            self.assertIn(container.get("exitCode"), (3, 7), container)
            return [] if container["exitCode"] == 3 else chosen
        self.ask_everything(opened)


if __name__ == "__main__":
    unittest.main()
