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
    """The script's words are half a minute of processors, so both tests use what it has made; in their order the second one takes it away."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.stop)
        cls.cloud.start()
        cls.place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.place.cleanup)
        with open(f"{cls.place.name}/aws", "w") as f:  # this one does not know AWS_ENDPOINT_URL
            f.write(f'#!/bin/sh\nexec {AWS} --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n')
        os.chmod(f"{cls.place.name}/aws", 0o755)
        cls.ec2, cls.elb, cls.scaling = (cls.cloud.client(s) for s in ("ec2", "elbv2", "autoscaling"))
        cls.balancer, cls.called = cls.script()
        cls.targets = cls.elb.describe_target_groups(Names=["elastic"])["TargetGroups"][0]["TargetGroupArn"]

    @classmethod
    def script(cls, *words):
        env = cls.cloud.environment()
        done = subprocess.run([f"{ROOT}/samples/elastic.sh", *words], capture_output=True, text=True, timeout=600, check=False,
                              env={**env, "PATH": f"{cls.place.name}:{env['PATH']}"})
        assert done.returncode == 0, done.stderr
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
            with urllib.request.urlopen(f"http://{address}/", timeout=60) as reply:
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
        self.assertRegex(self.called, r"^elastic-\d+\.us-east-1\.elb\.")
        self.wait(lambda: len(self.healthy()) == 2)
        nodes, before = self.nodes(self.balancer), self.members()
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

    def pass_a_minute(self, real_s):
        """Of the cloud's: these seconds are real ones."""
        time.sleep(real_s)
        self.cloud.forward(f"{60 - real_s}s")

    def group(self):
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["elastic"])["AutoScalingGroups"]
        return group

    def minutes_until(self, what, most, real_s=2):
        for _ in range(most):
            if what():
                return
            self.pass_a_minute(real_s)
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

    def be_patient(self, failures, check_s, grace_s, most):
        self.elb.modify_target_group(TargetGroupArn=self.targets, UnhealthyThresholdCount=failures, HealthCheckTimeoutSeconds=check_s)
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="elastic", HealthCheckGracePeriod=grace_s, MaxSize=most)

    def test_it_grows_and_shrinks_with_the_load(self):
        self.wait(lambda: len(self.healthy()) == 2)
        addresses = sorted(self.nodes(self.balancer).values())
        # minutes fly here and machines do not: who is slow to boot or to answer a check is not ill for that
        self.be_patient(10, 4, 7200, 4)
        self.addCleanup(self.be_patient, 2, 2, 30, 6)
        # A node tells what it has counted every ten real seconds, which are several minutes here: then one of them has it all. Of those who ask six times without
        # a pause 60 are far less than a loaded machine sends in that time; two a second are far fewer than the 120 that three targets would need.
        (policy,) = self.scaling.describe_policies(AutoScalingGroupName="elastic", PolicyNames=["requests"])["ScalingPolicies"]
        wanted = {**policy["TargetTrackingConfiguration"], "TargetValue": 60}
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
        load = self.clients(addresses, 1, 0.5, seen, over)
        try:
            self.minutes_until(lambda: self.group()["DesiredCapacity"] == 2, 60, 1)
            self.wait(lambda: len(self.members()) == 2 == len(self.healthy()))
            self.wait(lambda: len(self.group()["Instances"]) == 2)
            still = len(seen)
            self.wait(lambda: len(seen) > still + 3)
        finally:
            over.set()
            for t in load:
                t.join()
        self.assertEqual(set(seen), {200})
        causes = [a["Cause"] for a in self.scaling.describe_scaling_activities(AutoScalingGroupName="elastic")["Activities"]]
        self.assertTrue([c for c in causes if "AlarmLow" in c and "shrinking the capacity from" in c], causes)


if __name__ == "__main__":
    unittest.main()
