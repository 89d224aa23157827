"""samples/elastic.sh as its reader runs it: a balancer over two zones with a group behind it, which heals, and stands the loss of a zone."""
import collections
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud, program  # noqa: E402
from images import no_containers  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AWS = "/usr/bin/aws"


@unittest.skipIf(no_containers(), no_containers())
@unittest.skipUnless(os.path.exists(AWS), "Debian's AWS CLI is not installed")
class Elastic(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        with open(f"{self.place.name}/aws", "w") as f:  # this one does not know AWS_ENDPOINT_URL
            f.write(f'#!/bin/sh\nexec {AWS} --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n')
        os.chmod(f"{self.place.name}/aws", 0o755)
        self.ec2, self.elb, self.scaling = (self.cloud.client(s) for s in ("ec2", "elbv2", "autoscaling"))

    def script(self, *words):
        env = self.cloud.environment()
        done = subprocess.run([f"{ROOT}/samples/elastic.sh", *words], capture_output=True, text=True, timeout=300, check=False,
                              env={**env, "PATH": f"{self.place.name}:{env['PATH']}"})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def wait(self, what, seconds=120):
        until = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.1)
        return found

    def healthy(self):
        found = self.elb.describe_target_health(TargetGroupArn=self.targets)["TargetHealthDescriptions"]
        return sorted(d["Target"]["Id"] for d in found if d["TargetHealth"]["State"] == "healthy")

    def members(self):
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["elastic"])["AutoScalingGroups"]
        return {i["InstanceId"]: i["AvailabilityZone"] for i in group["Instances"] if i["LifecycleState"] == "InService"}

    def ask(self, address):
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=10) as reply:
                return reply.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError as e:
            return str(e)

    def nodes(self, balancer):
        """Zone to the public address of the balancer's node in it."""
        words = "/".join(balancer.split("/")[-3:])
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        return {i["AvailabilityZone"]: i["Association"]["PublicIp"] for i in found}

    def resolved(self):
        """What the name leads to."""
        names = self.cloud.client("route53")
        (zone,) = names.list_hosted_zones()["HostedZones"]
        return set(names.test_dns_answer(HostedZoneId=zone["Id"], RecordName="www.elastic.example", RecordType="A")["RecordData"])

    def test_script(self):
        balancer, called = self.script()
        self.assertRegex(called, r"^elastic-\d+\.us-east-1\.elb\.")
        self.targets = self.elb.describe_target_groups(Names=["elastic"])["TargetGroups"][0]["TargetGroupArn"]
        self.wait(lambda: len(self.healthy()) == 2)
        nodes, before = self.nodes(balancer), self.members()
        self.assertEqual(sorted(before.values()), sorted(nodes))
        self.assertEqual({self.ask(a) for a in nodes.values()}, {200})
        self.assertEqual(self.resolved(), set(nodes.values()))

        # one dies: another takes its place, and clients of the balancer do not notice once it is known
        victim = next(iter(before))
        self.ec2.terminate_instances(InstanceIds=[victim])
        self.wait(lambda: len(now := self.healthy()) == 2 and victim not in now)
        self.assertEqual(collections.Counter(self.ask(a) for a in nodes.values() for _ in range(5)), {200: 10})

        # a whole zone is down: the other one's node serves, from the instance there
        down, up = sorted(nodes)
        subprocess.run([program(), "chaos", "zone-down", down, "--for", "600"], check=True, capture_output=True, env=self.cloud.environment())
        there = next(i for i, zone in self.members().items() if zone == up)
        # whoever was there is missed there, and comes up in the other zone
        self.wait(lambda: len(now := self.healthy()) == 2 and there in now and set(self.members().values()) == {up})
        self.assertEqual(self.resolved(), {nodes[up]})
        seen, over = [], threading.Event()

        def client_of_it():
            while not over.is_set():
                seen.append(self.ask(nodes[up]))
                time.sleep(0.05)
        thread = threading.Thread(target=client_of_it)
        thread.start()
        time.sleep(5)
        over.set()
        thread.join()
        self.assertEqual(set(seen), {200})
        subprocess.run([program(), "chaos", "stop"], check=True, capture_output=True, env=self.cloud.environment())
        self.wait(lambda: len(self.healthy()) == 2)

        self.script("--delete")
        self.assertEqual(self.elb.describe_load_balancers()["LoadBalancers"], [])
        self.wait(lambda: all(i["State"]["Name"] == "terminated" for r in self.ec2.describe_instances()["Reservations"] for i in r["Instances"]))

    # --- with the load

    def pass_a_minute(self):
        """Of the cloud's: two seconds are real ones."""
        time.sleep(2)
        self.cloud.forward("58s")

    def group(self):
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["elastic"])["AutoScalingGroups"]
        return group

    def minutes_until(self, what, most):
        for _ in range(most):
            if what():
                return
            self.pass_a_minute()
        self.fail(f"not within {most} minutes: {self.group()['DesiredCapacity']} are wanted; " + "; ".join(
            f"{a['AlarmName']} {a['StateValue']}: {a['StateReason']}" for a in self.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]))

    def clients(self, addresses, count, pause, seen, over):
        """So many that ask one after the other, until it is over."""
        def one(at):
            while not over.is_set():
                seen.append(self.ask(addresses[at % len(addresses)]))
                time.sleep(pause)
        all_of_them = [threading.Thread(target=one, args=(i,)) for i in range(count)]
        for t in all_of_them:
            t.start()
        return all_of_them

    def test_it_grows_and_shrinks_with_the_load(self):
        balancer, _ = self.script()
        self.targets = self.elb.describe_target_groups(Names=["elastic"])["TargetGroups"][0]["TargetGroupArn"]
        self.wait(lambda: len(self.healthy()) == 2)
        addresses = sorted(self.nodes(balancer).values())
        # what this machine can send in the real part of a minute is enough
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="elastic", MaxSize=4)
        (policy,) = self.scaling.describe_policies(AutoScalingGroupName="elastic", PolicyNames=["requests"])["ScalingPolicies"]
        wanted = {**policy["TargetTrackingConfiguration"], "TargetValue": 20}
        self.scaling.put_scaling_policy(AutoScalingGroupName="elastic", PolicyName="requests", PolicyType="TargetTrackingScaling",
                                        TargetTrackingConfiguration=wanted)
        seen, over = [], threading.Event()
        load = self.clients(addresses, 6, 0.02, seen, over)
        try:
            self.minutes_until(lambda: self.group()["DesiredCapacity"] == 4, 20)
            self.wait(lambda: len(self.healthy()) == 4)
        finally:
            over.set()
            for t in load:
                t.join()
        self.assertEqual(set(seen), {200})
        # the load is gone, but for a few: two of four leave, and nobody of those few notices
        seen, over = [], threading.Event()
        load = self.clients(addresses, 1, 0.2, seen, over)
        try:
            self.minutes_until(lambda: self.group()["DesiredCapacity"] == 2, 60)
            self.wait(lambda: len(self.members()) == 2 == len(self.healthy()))
            self.wait(lambda: len(self.group()["Instances"]) == 2)
            time.sleep(2)
        finally:
            over.set()
            for t in load:
                t.join()
        self.assertEqual(set(seen), {200})
        causes = [a["Cause"] for a in self.scaling.describe_scaling_activities(AutoScalingGroupName="elastic")["Activities"]]
        self.assertTrue([c for c in causes if "AlarmLow" in c and "shrinking the capacity from" in c], causes)
        self.script("--delete")


if __name__ == "__main__":
    unittest.main()
