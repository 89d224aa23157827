"""Load balancers while roles die: nodes go on serving, are adopted, take changes, and leave nothing."""
import contextlib
import gzip
import http.client
import ipaddress
import json
import os
import pathlib
import signal
import threading
import time
import unittest

from busybox import why_not
from cloud import Cloud
from leftovers import instance_of
from tasked import words


class Crowd:
    """Clients that ask all the time, each time on a new connection, and note (when, until when, address, what was said; "" is nothing)."""

    def __init__(self, addresses):
        self.seen, self.over = [], threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(a,)) for a in addresses * 2]

    def ask(self, address):
        while not self.over.is_set():
            begun, text = time.monotonic(), ""
            c = http.client.HTTPConnection(address, 80, timeout=30)
            try:
                c.request("GET", "/")
                text = c.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
            c.close()
            self.seen.append((begun, time.monotonic(), address, text))

    def served(self, address, since):
        """When the first answer was there to a question from then on; None: there was none."""
        return min((ended for begun, ended, at, text in list(self.seen) if at == address and text and begun >= since), default=None)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for t in self.threads:
            t.join()


@unittest.skipIf(why_not(), why_not())
class Balancers(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        self.elb, self.ec2 = self.cloud.client("elbv2"), self.cloud.client("ec2")
        ec2 = self.ec2
        subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        group = ec2.create_security_group(GroupName="lb", Description="d", VpcId=subnets[0]["VpcId"])["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.arn = self.elb.create_load_balancer(Name="web", Subnets=[s["SubnetId"] for s in subnets[:2]], SecurityGroups=[group])["LoadBalancers"][0][
            "LoadBalancerArn"]
        self.listener = self.elb.create_listener(LoadBalancerArn=self.arn, Protocol="HTTP", Port=80, DefaultActions=self.says("first"))["Listeners"][0][
            "ListenerArn"]
        self.addresses = [i["Association"]["PublicIp"] for i in ec2.describe_network_interfaces()["NetworkInterfaces"]]
        self.assertEqual(len(self.addresses), 2)
        self.until(lambda: self.answers() == {"first"})

    def says(self, text):
        return [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": text}}]

    def answers(self):
        """What both nodes say; "": nothing."""
        found = set()
        for address in self.addresses:
            try:
                c = http.client.HTTPConnection(address, 80, timeout=5)
                c.request("GET", "/")
                found.add(c.getresponse().read().decode())
                c.close()
            except OSError:
                found.add("")
        return found

    def until(self, what, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                if what():
                    return
            except Exception:
                if time.monotonic() > end:
                    raise
            if time.monotonic() > end:
                self.fail(f"not within {seconds} s: {self.cloud.log_text()[-2000:]}")
            time.sleep(0.1)

    def change(self, text):
        self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=self.says(text))
        self.until(lambda: self.answers() == {text})

    def test_roles_die(self):
        for n, role in enumerate(("api", "priv", "api", "main")):
            if role == "main":
                self.cloud.process.kill()
                self.cloud.process.wait()
                self.cloud.start()
                self.until(lambda: self.answers() == {f"after {n - 1}"})
            else:
                said = f"after {n - 1}" if n else "first"
                self.cloud.kill(role)
                # whoever asks a balancer does not notice; but this machine's link to the VPC is priv's, and is made anew some time after its death
                if n:
                    self.until(lambda: self.answers() == {said})
                else:
                    self.assertEqual(self.answers(), {said})
            self.until(lambda: self.elb.describe_load_balancers()["LoadBalancers"])
            self.change(f"after {n}")
        self.until(lambda: self.elb.delete_load_balancer(LoadBalancerArn=self.arn))
        self.until(lambda: self.answers() == {""})

    def test_net_dies(self):
        """Nodes and the connections to them stay; whoever asks anew is answered within a moment, and what is changed arrives."""
        kept = [http.client.HTTPConnection(address, 80, timeout=30) for address in self.addresses]
        before = set(self.programs())
        for c in kept:
            self.addCleanup(c.close)
            c.connect()
        net = next(c for c in pathlib.Path("/proc").glob("[0-9]*/comm")
                   if words(c).strip() == "quartet-net" and self.cloud.data in words(c.with_name("cmdline")))
        os.kill(int(net.parent.name), signal.SIGKILL)
        for c in kept:
            c.request("GET", "/")
            self.assertEqual(c.getresponse().read().decode(), "first")
        self.until(lambda: self.answers() == {"first"})
        self.assertLessEqual(set(self.programs()), before)
        self.change("second")

    def programs(self):
        """Processes of HAProxy: a master and its workers in each node."""
        ours = "quartet-" + instance_of(self.cloud.data)
        return [c.parent.name for c in pathlib.Path("/proc").glob("[0-9]*/comm") if words(c).strip() == "haproxy" and ours in words(c.with_name("cgroup"))]

    def test_workers_of_before_end(self):
        """Each change is taken by new ones; the old ones stay while a client is theirs, and no longer."""
        kept = http.client.HTTPConnection(self.addresses[0], 80, timeout=30)
        self.addCleanup(kept.close)
        kept.connect()
        for n in range(6):
            self.change(f"text {n}")
        self.until(lambda: len(self.programs()) <= 5)
        kept.close()
        self.until(lambda: len(self.programs()) == 4)
        self.assertEqual(self.answers(), {"text 5"})

    def test_programs_die_under_load(self):
        """Masters and workers at once: they are back in a moment, as they were, and nobody has to look after them."""
        self.change("kept")
        with Crowd(self.addresses) as crowd:
            for n in range(3):
                asked = len(crowd.seen)
                self.until(lambda: len(crowd.seen) > asked + 20)
                if n == 2:
                    self.cloud.kill("api")
                for pid in self.programs():
                    with contextlib.suppress(ProcessLookupError):  # workers go with their master
                        os.kill(int(pid), signal.SIGKILL)
                killed = time.monotonic()
                for address in self.addresses:
                    self.until(lambda: crowd.served(address, killed))
                    # about 0.1 s on a quiet machine
                    self.assertLess(crowd.served(address, killed) - killed, 10)
                back = max(crowd.served(address, killed) for address in self.addresses)
                asked = len(crowd.seen)
                self.until(lambda: len(crowd.seen) > asked + 50)
                self.assertEqual({text for begun, _, _, text in list(crowd.seen) if begun > back}, {"kept"})
        self.assertLessEqual({text for _, _, _, text in crowd.seen}, {"kept", ""})

    def test_changes_lose_nothing_under_load(self):
        with Crowd(self.addresses) as crowd:
            for n in range(5):
                asked = len(crowd.seen)
                self.change(f"text {n}")
                self.until(lambda: len(crowd.seen) > asked + 50)
        self.assertLessEqual({text for _, _, _, text in crowd.seen}, {"first"} | {f"text {n}" for n in range(5)})

    def test_addresses_change_while_nobody_looks(self):
        """Nodes that were told nothing of their new addresses are found to lack them by whoever comes next."""
        (balancer,) = self.elb.describe_load_balancers()["LoadBalancers"]
        block = self.ec2.associate_vpc_cidr_block(VpcId=balancer["VpcId"], AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"]
        for zone, part in zip(balancer["AvailabilityZones"], ipaddress.ip_network(block).subnets(new_prefix=64)):
            self.ec2.associate_subnet_cidr_block(SubnetId=zone["SubnetId"], Ipv6CidrBlock=str(part))
        (gateway,) = self.ec2.describe_internet_gateways()["InternetGateways"]
        (table,) = self.ec2.describe_route_tables()["RouteTables"]
        self.ec2.create_route(RouteTableId=table["RouteTableId"], DestinationIpv6CidrBlock="::/0", GatewayId=gateway["InternetGatewayId"])
        (group,) = balancer["SecurityGroups"]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
        self.elb.set_ip_address_type(LoadBalancerArn=self.arn, IpAddressType="dualstack")
        self.cloud.kill("api")
        self.until(lambda: self.elb.describe_load_balancers()["LoadBalancers"])
        four = self.addresses
        self.addresses = four + [i["Ipv6Addresses"][0]["Ipv6Address"] for i in self.ec2.describe_network_interfaces()["NetworkInterfaces"]]
        self.assertEqual(len(self.addresses), 4)
        self.until(lambda: self.answers() == {"first"})
        # and to have one too many
        six, self.addresses = self.addresses[2:], four
        self.elb.set_ip_address_type(LoadBalancerArn=self.arn, IpAddressType="ipv4")
        self.cloud.kill("api")
        self.until(lambda: self.elb.describe_load_balancers()["LoadBalancers"] and self.answers() == {"first"})
        self.change("second")
        self.addresses = six[:1]
        self.until(lambda: self.answers() == {""})

    def test_logs_of_a_dead_role_are_delivered(self):
        s3 = self.cloud.client("s3")
        s3.create_bucket(Bucket="logs")
        s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/*"}]}))
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.arn, Attributes=[
            {"Key": "access_logs.s3.enabled", "Value": "true"}, {"Key": "access_logs.s3.bucket", "Value": "logs"}])
        place = pathlib.Path(self.cloud.data, "elb-logs")
        self.until(lambda: self.answers() == {"first"} and any(f.stat().st_size for f in place.iterdir()))
        orphan = place / "app-0123456789abcdef.access.127-0-0-1.1.00000000"
        orphan.write_text("of a balancer that is gone\n")
        delivered = lambda: [o["Key"] for o in s3.list_objects_v2(Bucket="logs")["Contents"] if o["Key"].endswith(".log.gz")]
        self.cloud.kill("api")
        self.until(delivered)
        self.assertIn(b"GET http://", gzip.decompress(s3.get_object(Bucket="logs", Key=delivered()[0])["Body"].read()))
        self.assertFalse(orphan.exists())

    def test_nothing_is_left(self):
        self.cloud.kill("api")
        self.until(lambda: self.elb.delete_load_balancer(LoadBalancerArn=self.arn))
        self.until(lambda: self.answers() == {""})
        self.cloud.stop()
        self.assertEqual(self.cloud.leftovers(), [])


if __name__ == "__main__":
    unittest.main()
