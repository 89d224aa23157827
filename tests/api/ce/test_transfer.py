"""Data transfer is on the bill: what leaves a VPC, what comes in, and what passes between its zones, from the counters of the VPC's router."""
import json
import subprocess
import time
import unittest
import urllib.request
import uuid

from cloud import program
from tasks import TaskCase

MANY = 300_000  # bytes
SERVE = f"mkdir /w; head -c {MANY} /dev/zero > /w/f; exec httpd -f -p 9000 -h /w"
GIB = 1 << 30


class Transfer(TaskCase):
    moves = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.zones = sorted(cls.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        cls.open = cls.ec2.create_security_group(GroupName="open-" + uuid.uuid4().hex[:8], Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=cls.open, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 9000, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])

    def quartet(self, *words):
        return subprocess.run([program(), words[0], "--data", self.cloud.data, *words[1:]], capture_output=True, text=True, check=True, timeout=60).stdout

    def used(self):
        """Bytes by usage type, after the counters have been read."""
        for _ in range(2):  # the first look asks the router, once a second at the most, and the second hands on what it said
            time.sleep(1.2)
            self.quartet("clock", "forward", "61s")
        rows = json.loads(self.quartet("bill", "--json"))["lines"]
        return {r["usageType"].rpartition("DataTransfer-")[2]: r["quantity"] * GIB for r in rows if "DataTransfer-" in r["usageType"]}

    def serve(self, zone, public=False):
        (task,) = self.ecs.run_task(cluster=self.cluster, taskDefinition=self.register(SERVE), launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {
            "subnets": [self.zones[zone]["SubnetId"]], "securityGroups": [self.open], "assignPublicIp": "ENABLED" if public else "DISABLED"}})["tasks"]
        self.addCleanup(self.end, task["taskArn"])
        details = {d["name"]: d["value"] for d in self.until(task["taskArn"], "RUNNING")["attachments"][0]["details"]}
        return details["privateIPv4Address"], details["networkInterfaceId"]

    def fetch_from(self, zone, address):
        """A task there reads all that the other one serves."""
        self.subnet = self.zones[zone]
        said = self.says(f"until wget -q -O /f http://{address}:9000/f; do sleep 0.1; done; wc -c < /f")
        self.assertIn(str(MANY), said[0])

    def test_zones_and_the_outside(self):
        there, interface = self.serve(1, public=True)
        self.fetch_from(1, there)  # inside of a zone it costs nothing
        self.fetch_from(0, there)
        between = self.wait(lambda: self.used().get("Regional-Bytes", 0))
        # both ends pay for what passed, and for headers and answers
        self.assertGreater(between, 2 * MANY)
        self.assertLess(between, 3 * MANY)
        # this machine is the outside
        public = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]["Association"]["PublicIp"]
        with urllib.request.urlopen(f"http://{public}:9000/f", timeout=20) as reply:
            self.assertEqual(len(reply.read()), MANY)
        outside = self.wait(lambda: (found := self.used()).get("Out-Bytes", 0) > MANY and found)
        self.assertGreater(outside["In-Bytes"], 100)
        self.assertEqual(outside["Regional-Bytes"], between)
        # api begins anew, the router does not: nothing is counted twice
        killed = self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=killed)
        self.cloud.wait()
        for _ in range(20):
            with urllib.request.urlopen(f"http://{public}:9000/f", timeout=20) as reply:
                self.assertEqual(len(reply.read()), MANY)
            if self.used()["Out-Bytes"] > outside["Out-Bytes"]:
                break
        else:
            self.fail("a new api counts nothing")
        self.assertEqual(self.used()["Regional-Bytes"], between)


if __name__ == "__main__":
    unittest.main()
