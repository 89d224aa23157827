"""What instances see of flow logs and gateway endpoints, and what somebody who is root in one tries against others and against this machine."""
import base64
import concurrent.futures
import gzip
import json
import os
import socket
import subprocess
import threading
import time
import unittest
import uuid
import zlib

from aws import TestCase
from ec2 import wait_for
from inside import image, launch, no_containers
from moving import moving_cloud

# Runs inside. Sockets that take packets as they are need root, which an instance's owner is.
LIBRARY = r'''
import hashlib, hmac, json, select, socket, struct, sys, time, datetime, urllib.request, urllib.error
def mac(n): return open("/sys/class/net/%s/address" % n).read().strip()
def device():
    import os
    return [d for d in os.listdir("/sys/class/net") if d != "lo"][0]
def raw_mac(text): return bytes(int(x, 16) for x in text.split(":"))
def tcp(host, port, seconds=3):
    """open, refused or closed (nothing comes back)"""
    s = socket.socket()
    s.settimeout(seconds)
    try:
        s.connect((host, int(port)))
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "closed"
def tcps(targets):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(lambda t: tcp(*t), targets))
def checksum(b):
    b += b"\0" * (len(b) % 2)
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    n = (n >> 16) + (n & 0xffff)
    return ~(n + (n >> 16)) & 0xffff
def ip_packet(source, target, protocol, payload):
    h = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(target))
    return h[:10] + struct.pack("!H", checksum(h)) + h[12:] + payload
def udp(source, target, port, text, sport=5555):
    return ip_packet(source, target, 17, struct.pack("!HHHH", sport, port, 8 + len(text), 0) + text)
def syn(source, target, port):
    t = struct.pack("!HHIIBBHHH", 44444, port, 1, 0, 80, 2, 1000, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(t))
    t = t[:16] + struct.pack("!H", checksum(pseudo + t)) + t[18:]
    return ip_packet(source, target, 6, t)
class Wire:
    def __init__(self):
        self.device = device()
        self.own = raw_mac(mac(self.device))
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.bind((self.device, 3))
    def router(self, gateway):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (gateway, 9))
        for _ in range(50):
            for line in open("/proc/net/arp"):
                f = line.split()
                if f[0] == gateway and f[3] != "00:00:00:00:00:00":
                    return raw_mac(f[3])
            time.sleep(0.1)
    def frame(self, packet, to, source=None, kind=0x800):
        self.s.send(to + (source or self.own) + struct.pack("!H", kind) + packet)
    def arp(self, operation, sender, target, to=b"\xff" * 6, source=None):
        self.frame(struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, operation, source or self.own, socket.inet_aton(sender), to,
                               socket.inet_aton(target)), to, kind=0x806)
    def heard(self, want, seconds):
        until, found = time.time() + seconds, []
        while time.time() < until:
            if select.select([self.s], [], [], 0.2)[0]:
                f = self.s.recv(65536)
                if f[6:12] != self.own and want(f):
                    found.append(f)
        return found
def listen(*ports):
    """Counts what comes to UDP ports, in the file heard, until killed."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports]
    for s, p in zip(socks, ports):
        s.bind(("0.0.0.0", int(p)))
    while True:
        for s in select.select(socks, [], [])[0]:
            text, peer = s.recvfrom(2000)
            with open("heard", "a") as f:
                f.write("%s %d %s\n" % (peer[0], s.getsockname()[1], text.decode(errors="replace")))
def spoof(own, neighbour, target, gateway):
    """False senders of every kind, and a true one."""
    w = Wire()
    router = w.router(gateway)
    for name, source in (("neighbour", neighbour), ("stranger", "10.0.77.7"), ("outside", "198.51.100.7"), ("loopback", "127.0.0.1"), ("zero", "0.0.0.0"),
                         ("metadata", "169.254.169.254"), ("router", gateway)):
        w.frame(udp(source, target, 9000, ("as " + name).encode()), router)
    w.frame(udp(own, target, 9000, b"as other link"), router, source=b"\x02\1\2\3\4\5")
    w.frame(syn(neighbour, "169.254.169.254", 80), router)
    w.frame(udp(own, target, 9000, b"as itself"), router)
    print(len(w.heard(lambda f: f[12:14] == b"\x08\x00" and f[26:30] == socket.inet_aton("169.254.169.254"), 2)))
def poison(own, neighbour, target, gateway):
    """Says that the neighbour's and the router's addresses are here, and looks whether anything of others comes."""
    w = Wire()
    router = w.router(gateway)
    for sender in (neighbour, target, gateway):
        for to in (b"\xff" * 6, router):
            w.arp(1, sender, sender, to)
            w.arp(2, sender, gateway, to)
            w.arp(2, sender, own, to)
    ours = socket.inet_aton(own)
    def others(f):
        if f[12:14] == b"\x08\x06":
            return f[28:32] != socket.inet_aton(gateway) or f[38:42] != ours
        return f[12:14] == b"\x08\x00" and f[30:34] != ours
    print(len(w.heard(others, 4)))
def s3(method, url, body=b"", credentials=None, service="s3", seconds=60):
    """The status and text of a request to S3 that is signed with the role's credentials or with others, or with none ("")."""
    from urllib.parse import urlsplit
    headers = {}
    u = urlsplit(url)
    if credentials is None:
        def meta(m, p, **h):
            return urllib.request.urlopen(urllib.request.Request("http://169.254.169.254/latest/" + p, method=m, headers=h), timeout=10).read().decode()
        t = {"X-aws-ec2-metadata-token": meta("PUT", "api/token", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})}
        at = "meta-data/iam/security-credentials/"
        c = json.loads(meta("GET", at + meta("GET", at, **t), **t))
        credentials = (c["AccessKeyId"], c["SecretAccessKey"], c["Token"])
    if credentials:
        now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": u.netloc, "x-amz-date": now, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        if len(credentials) > 2:
            headers["x-amz-security-token"] = credentials[2]
        names = ";".join(sorted(headers))
        ask = "\n".join([method, u.path, u.query] + ["%s:%s" % (k, headers[k]) for k in sorted(headers)] + ["", names, headers["x-amz-content-sha256"]])
        scope = "%s/us-east-1/%s/aws4_request" % (now[:8], service)
        key = ("AWS4" + credentials[1]).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        what = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(ask.encode()).hexdigest()])
        sign = hmac.new(key, what.encode(), "sha256").hexdigest()
        headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (credentials[0], scope, names, sign)
    try:
        r = urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers, data=body or None), timeout=seconds)
        return "%d %s" % (r.status, r.read().decode())
    except urllib.error.HTTPError as e:
        return "%d %s" % (e.code, e.read().decode())
    except OSError as e:
        return "unreachable: %s" % e
'''


def py(text):
    return f"python3 -c 'from lib import *; {text}'"


class Inside(TestCase):
    """Three instances: `attacker` in a subnet with a way out, `private` in a subnet without, `stranger` in another VPC."""
    driver = "container"  # the attacker's

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.region = "us-east-1"
        cls.cloud, client = moving_cloud(cls)
        cls.ec2, cls.s3, cls.iam, cls.logs = client("ec2"), client("s3"), client("iam"), client("logs")
        if not image(cls.ec2):
            raise unittest.SkipTest("there is no image: tools/make-image")
        cls.name = "inside-" + uuid.uuid4().hex[:10]
        cls.make_roles()
        cls.make_networks()
        profile = {"IamInstanceProfile": {"Name": cls.name}}
        cls.attacker = launch(cls.ec2, cls.open_subnet, [cls.closed], LIBRARY, cls.driver)
        cls.private = launch(cls.ec2, cls.private_subnet, [cls.group], LIBRARY, **profile)
        cls.stranger = launch(cls.ec2, cls.far_subnet, [cls.far], LIBRARY)
        cls.all = [cls.attacker, cls.private, cls.stranger]
        cls.kept = cls.ec2.create_flow_logs(ResourceType="VPC", ResourceIds=[cls.other], TrafficType="ALL", LogGroupName=cls.name + "-kept",
                                            DeliverLogsPermissionArn=cls.logger)["FlowLogIds"]
        for i in cls.all:
            wait_for(cls(), cls.ec2, i.id, "running", 180)
            i.run("true", 400)

    @classmethod
    def make_roles(cls):
        def trust(service):
            return json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
        cls.iam.create_role(RoleName=cls.name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
        cls.iam.put_role_policy(RoleName=cls.name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": "*"}]}))
        cls.iam.create_instance_profile(InstanceProfileName=cls.name)
        cls.iam.add_role_to_instance_profile(InstanceProfileName=cls.name, RoleName=cls.name)
        cls.logger = cls.iam.create_role(RoleName=cls.name + "-logs", AssumeRolePolicyDocument=trust("vpc-flow-logs.amazonaws.com"))["Role"]["Arn"]
        cls.iam.put_role_policy(RoleName=cls.name + "-logs", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}]}))

    @classmethod
    def make_networks(cls):
        ec2 = cls.ec2
        cls.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        cls.other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        for vpc in (cls.vpc, cls.other):
            ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        cls.open_subnet = ec2.create_subnet(VpcId=cls.vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        cls.private_subnet = ec2.create_subnet(VpcId=cls.vpc, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
        cls.far_subnet = ec2.create_subnet(VpcId=cls.other, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
        cls.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=cls.gateway, VpcId=cls.vpc)
        cls.open_table = ec2.create_route_table(VpcId=cls.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=cls.open_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=cls.gateway)
        ec2.associate_route_table(RouteTableId=cls.open_table, SubnetId=cls.open_subnet)
        ec2.modify_subnet_attribute(SubnetId=cls.open_subnet, MapPublicIpOnLaunch={"Value": True})
        cls.private_table = ec2.create_route_table(VpcId=cls.vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=cls.private_table, SubnetId=cls.private_subnet)
        cls.closed = ec2.create_security_group(GroupName="closed", Description="d", VpcId=cls.vpc)["GroupId"]
        cls.group = ec2.create_security_group(GroupName="private", Description="d", VpcId=cls.vpc)["GroupId"]
        cls.far = ec2.create_security_group(GroupName="far", Description="d", VpcId=cls.other)["GroupId"]
        # whoever gets a packet as far as this is let in: the senders are what is asked about
        udp = [{"IpProtocol": "udp", "FromPort": 9000, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ec2.authorize_security_group_ingress(GroupId=cls.group, IpPermissions=udp)
        ec2.authorize_security_group_ingress(GroupId=cls.far, IpPermissions=udp + [
            {"IpProtocol": "tcp", "FromPort": 8000, "ToPort": 8000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])

    @classmethod
    def tearDownClass(cls):
        cls.ec2.terminate_instances(InstanceIds=[i.id for i in cls.all])
        cls.ec2.delete_flow_logs(FlowLogIds=cls.kept)
        for i in cls.all:
            wait_for(cls(), cls.ec2, i.id, "terminated", 180)
        for group in (cls.closed, cls.group, cls.far):
            cls.ec2.delete_security_group(GroupId=group)
        for subnet in (cls.open_subnet, cls.private_subnet, cls.far_subnet):
            cls.ec2.delete_subnet(SubnetId=subnet)
        for table in (cls.open_table, cls.private_table):
            cls.ec2.delete_route_table(RouteTableId=table)
        cls.ec2.detach_internet_gateway(InternetGatewayId=cls.gateway, VpcId=cls.vpc)
        cls.ec2.delete_internet_gateway(InternetGatewayId=cls.gateway)
        for vpc in (cls.vpc, cls.other):
            cls.ec2.delete_vpc(VpcId=vpc)
        cls.iam.remove_role_from_instance_profile(InstanceProfileName=cls.name, RoleName=cls.name)
        cls.iam.delete_instance_profile(InstanceProfileName=cls.name)
        for role in (cls.name, cls.name + "-logs"):
            cls.iam.delete_role_policy(RoleName=role, PolicyName="p")
            cls.iam.delete_role(RoleName=role)
        super().tearDownClass()

    def out(self, instance, line, seconds=180):
        status, output, errors = instance.run(line, seconds)
        self.assertEqual(status, 0, errors)
        return output.strip()

    def address(self, instance):
        return instance.describe()["PrivateIpAddress"]

    def eventually(self, ask, seconds=90):
        until = time.monotonic() + seconds
        while True:
            got = ask()
            if got or time.monotonic() > until:
                return got
            time.sleep(0.3)


class FlowLogsAndEndpoints:
    def records(self, group, stream):
        try:
            return [e["message"].split() for e in self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def flows(self, eni):
        """Makes flow logs, sends, and deletes them: what they were, when it began, and what was counted at the target and at the sender."""
        group, own, theirs = self.name, self.address(self.attacker), self.address(self.private)
        sender = self.attacker.describe()["NetworkInterfaces"][0]["NetworkInterfaceId"]
        made = self.ec2.create_flow_logs(ResourceType="VPC", ResourceIds=[self.vpc], TrafficType="ALL", LogGroupName=group,
                                         DeliverLogsPermissionArn=self.logger, MaxAggregationInterval=60)
        self.assertEqual(made["Unsuccessful"], [])
        more = self.ec2.create_flow_logs(ResourceType="NetworkInterface", ResourceIds=[eni], TrafficType="REJECT", LogDestinationType="s3",
                                         LogDestination=f"arn:aws:s3:::{self.name}/logs/",
                                         LogFormat="${vpc-id} ${instance-id} ${flow-direction} ${srcaddr} ${dstport} ${protocol} ${packets} ${action}")
        self.assertEqual(more["Unsuccessful"], [])
        before = int(time.time())
        self.out(self.attacker, py(f'''s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"12345678", ("{theirs}", 9000)); s.sendto(b"1", ("{theirs}", 9000)); s.sendto(b"1", ("{theirs}", 9001))'''))
        self.out(self.attacker, py(f'print(tcp("{theirs}", 22, 1))'))
        self.ec2.delete_flow_logs(FlowLogIds=made["FlowLogIds"] + more["FlowLogIds"])
        self.assertEqual([f["FlowLogId"] for f in self.ec2.describe_flow_logs()["FlowLogs"]], self.kept)
        # the minute may have ended between the two
        for interface in eni, sender:
            self.eventually(lambda: {"9001", "22"} <= {r[6] for r in self.records(group, f"{interface}-all") if int(r[10]) >= before}, 30)
        return made, more, before, *([r for r in self.records(group, f"{interface}-all") if r[13] == "OK" and int(r[10]) >= before] for interface in (eni, sender))

    def test_flow_logs(self):
        eni, bucket = self.private.describe()["NetworkInterfaces"][0]["NetworkInterfaceId"], self.name
        own, theirs = self.address(self.attacker), self.address(self.private)
        self.s3.create_bucket(Bucket=bucket)
        # a flow log may be a moment old before all its interfaces count
        for _ in range(3):
            made, more, before, all_of_it, sent = self.flows(eni)
            if all({"9000", "9001", "22"} <= {r[6] for r in side} for side in (all_of_it, sent)):
                break
        found = [r for r in all_of_it if r[6] == "9000"]
        self.assertEqual(len(found), 1, found)
        r = found[0]
        self.assertEqual((r[0], r[2], r[3], r[4], r[7], r[8], r[9], r[12], r[13]), ("2", eni, own, theirs, "17", "2", str(28 + 8 + 28 + 1), "ACCEPT", "OK"))
        self.assertTrue(before - 1 <= int(r[10]) <= int(r[11]) <= time.time() + 1, r)
        self.assertIn(("9001", "REJECT"), [(r[6], r[12]) for r in all_of_it])
        self.assertIn(("22", "REJECT"), [(r[6], r[12]) for r in all_of_it])
        # the sender's own groups let it go, and replies are flows of their own
        self.assertIn(("9001", "ACCEPT"), [(r[6], r[12]) for r in sent])
        # neither metadata nor names are in it
        self.assertFalse([r for r in all_of_it + sent if "169.254" in r[3] + r[4] or r[6] == "53"])

        def objects():
            return {o["Key"]: gzip.decompress(self.s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()).decode().splitlines()
                    for o in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []) if more["FlowLogIds"][0] in o["Key"]}
        refused = f"{self.vpc} {self.private.id} ingress {own} 9001 17 1 REJECT"
        self.eventually(lambda: any(refused in lines for lines in objects().values()))
        keys = objects()
        for key, lines in keys.items():
            self.assertRegex(key, rf"^logs/AWSLogs/\d{{12}}/vpcflowlogs/us-east-1/\d{{4}}/\d\d/\d\d/\d{{12}}_vpcflowlogs_us-east-1_{more['FlowLogIds'][0]}_\d{{8}}T\d{{4}}Z_[0-9a-f]+\.log\.gz$")
            self.assertEqual(lines[0], "vpc-id instance-id flow-direction srcaddr dstport protocol packets action")
            self.assertFalse([line for line in lines if "ACCEPT" in line])
        self.assertIn(refused, [line for lines in keys.values() for line in lines])
        for o in self.s3.list_objects_v2(Bucket=bucket)["Contents"]:
            self.s3.delete_object(Bucket=bucket, Key=o["Key"])
        self.s3.delete_bucket(Bucket=bucket)
        self.logs.delete_log_group(logGroupName=self.name)

    def test_a_role_that_may_not(self):
        self.iam.put_role_policy(RoleName=self.name + "-logs", PolicyName="q", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": "logs:PutLogEvents", "Resource": "*"}]}))
        made = self.ec2.create_flow_logs(ResourceType="Subnet", ResourceIds=[self.private_subnet], TrafficType="ALL", LogGroupName=self.name + "-no",
                                         DeliverLogsPermissionArn=self.logger)["FlowLogIds"]
        kept = self.ec2.create_flow_logs(ResourceType="VPC", ResourceIds=[self.vpc], TrafficType="ALL", LogGroupName=self.name + "-no",
                                         DeliverLogsPermissionArn=self.logger)["FlowLogIds"]
        theirs = self.address(self.private)
        self.out(self.attacker, py(f'''socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"1", ("{theirs}", 9000))'''))
        # what the end of one brings out, the other gets too
        self.ec2.delete_flow_logs(FlowLogIds=made)

        def failed():
            f = self.ec2.describe_flow_logs(FlowLogIds=kept)["FlowLogs"][0]
            return f if f["DeliverLogsStatus"] == "FAILED" else None
        self.assertEqual(self.eventually(failed)["DeliverLogsErrorMessage"], "Access error")
        self.ec2.delete_flow_logs(FlowLogIds=kept)
        self.iam.delete_role_policy(RoleName=self.name + "-logs", PolicyName="q")
        self.eventually(lambda: self.logs.describe_log_groups(logGroupNamePrefix=self.name + "-no")["logGroups"])
        self.logs.delete_log_group(logGroupName=self.name + "-no")

    def ask(self, method, url, body="", seconds=60):
        return self.out(self.private, py(f'print(s3("{method}", "{url}", b"{body}", seconds={seconds}))'))

    def test_endpoint(self):
        bucket = self.name + "-s3"
        self.s3.create_bucket(Bucket=bucket)
        url = f"http://s3.us-east-1.amazonaws.com/{bucket}/key"
        self.assertIn("unreachable", self.ask("PUT", url, "hello", 3))
        made = self.ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[self.private_table])["VpcEndpoint"]
        self.assertEqual((made["VpcEndpointType"], made["State"].lower(), made["RouteTableIds"]), ("Gateway", "available", [self.private_table]))
        self.assertEqual(self.eventually(lambda: self.ask("PUT", url, "hello", 10).startswith("200")), True)
        self.assertEqual(self.s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"hello")
        self.assertEqual(self.ask("GET", f"http://{bucket}.s3.us-east-1.amazonaws.com/key"), "200 hello")
        self.assertIn("403", self.out(self.private, py(f'print(s3("GET", "{url}", credentials=("test", "test")))'))[:3])
        # over TLS by the cloud's own certificate
        self.assertEqual(self.out(self.private, f"curl -sk -o /dev/null -w %{{http_code}} https://s3.us-east-1.amazonaws.com/{bucket}/key"), "403")
        # no way to other services, and none for those whose routes lead elsewhere
        said = self.out(self.private, py('print(s3("POST", "http://192.0.0.65/", b"Action=GetCallerIdentity&Version=2011-06-15", service="sts"))'))
        self.assertTrue(said.startswith("403") and "does not lead to" in said, said)
        self.assertEqual(self.out(self.attacker, py('print(tcp("192.0.0.65", 80))')), "closed")
        # policies: the endpoint's, and a bucket's that knows by which endpoint somebody comes
        only = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]}
        self.ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], PolicyDocument=json.dumps(only))
        self.assertEqual(self.ask("GET", url), "200 hello")
        said = self.ask("PUT", url, "no")
        self.assertTrue(said.startswith("403") and "no VPC endpoint policy allows the s3:PutObject action" in said, said)
        self.ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], ResetPolicy=True)
        for key, value in (("aws:SourceVpce", made["VpcEndpointId"]), ("aws:SourceVpc", self.vpc)):
            self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": {"StringEquals": {key: value}}}]}))
            self.assertEqual(self.out(self.private, py(f'print(s3("GET", "{url}", credentials=""))')), "200 hello")
            self.assertTrue(subprocess.run(["curl", "-s", f"{self.cloud.endpoint}/{bucket}/key"], capture_output=True, text=True, check=True).stdout.count("AccessDenied"))
        self.s3.delete_bucket_policy(Bucket=bucket)
        # groups and ACLs are asked as for any packet
        self.ec2.revoke_security_group_egress(GroupId=self.group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.assertTrue(self.eventually(lambda: self.out(self.private, py('print(tcp("192.0.0.65", 80, 1))')) == "closed"))
        self.ec2.authorize_security_group_egress(GroupId=self.group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.assertTrue(self.eventually(lambda: self.out(self.private, py('print(tcp("192.0.0.65", 80, 1))')) == "open"))
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
        self.assertTrue(self.eventually(lambda: self.out(self.private, py('print(tcp("192.0.0.65", 80, 1))')) == "closed"))
        self.assertIn("unreachable", self.ask("GET", url, "", 3))
        self.s3.delete_object(Bucket=bucket, Key="key")
        self.s3.delete_bucket(Bucket=bucket)


class Attacks:
    """Whoever is root in an instance, against whom it meets."""

    def listener(self, instance):
        self.out(instance, "rm -f heard; (setsid python3 -c 'from lib import *; listen(9000)' >/dev/null 2>&1 &)")
        self.eventually(lambda: self.out(instance, "ss -Hlun 2>/dev/null | grep -c :9000 || grep -ci :2328 /proc/net/udp; true") not in ("", "0"))

    def heard(self, instance):
        return sorted(line.split(" ", 2)[2] for line in self.out(instance, "cat heard 2>/dev/null; true").splitlines())

    def test_false_senders(self):
        own, theirs = self.address(self.attacker), self.address(self.private)
        self.listener(self.private)
        answers = self.out(self.attacker, py(f'spoof("{own}", "10.0.1.99", "{theirs}", "10.0.1.1")'))
        # the metadata service did not answer to a neighbour's address either
        self.assertEqual(answers, "0")
        self.assertTrue(self.eventually(lambda: self.heard(self.private)))
        self.assertEqual(self.heard(self.private), ["as itself"])

    def test_false_neighbours(self):
        own, theirs = self.address(self.attacker), self.address(self.private)
        self.listener(self.private)
        number = self.attacker.begin(py(f'poison("{own}", "10.0.1.99", "{theirs}", "10.0.1.1")'))
        # meanwhile the one whose address was claimed goes on, with the metadata service and with a third
        for _ in range(3):
            self.assertEqual(self.out(self.private, py('print(tcp("169.254.169.254", 80, 60))')), "open")
        status, output, errors = self.attacker.end(number)
        self.assertEqual((status, output.strip()), (0, "0"), errors)
        self.out(self.attacker, py(f'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"after", ("{theirs}", 9000))'))
        self.assertTrue(self.eventually(lambda: "after" in self.heard(self.private)))

    def test_other_networks(self):
        theirs = self.address(self.stranger)
        # what is asked is not whether something answers: networks that this machine is in may have such addresses too
        fetch = f"curl -s -m 3 http://{theirs}:8000/secret; true"
        self.listener(self.stranger)
        self.out(self.stranger, "echo treasure > secret; (setsid python3 -m http.server 8000 >/dev/null 2>&1 &)")
        self.assertTrue(self.eventually(lambda: self.out(self.stranger, fetch) == "treasure"))
        send = py(f'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"far", ("{theirs}", 9000))')
        for instance in (self.attacker, self.private):
            self.assertNotIn("treasure", self.out(instance, fetch))
            instance.run(send)
        # nor with a route and an address of one's own
        self.out(self.attacker, "ip route add 10.1.0.0/16 via 10.0.1.1 && ip addr add 10.1.1.77/32 dev lo")
        self.assertNotIn("treasure", self.out(self.attacker, fetch))
        self.attacker.run(py(f's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.1.1.77", 0)); s.sendto(b"far", ("{theirs}", 9000))'))
        self.out(self.attacker, "ip route del 10.1.0.0/16; ip addr del 10.1.1.77/32 dev lo")
        self.assertEqual(self.heard(self.stranger), [])
        self.out(self.stranger, py(f'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"near", ("{theirs}", 9000))'))
        self.assertTrue(self.eventually(lambda: self.heard(self.stranger) == ["near"]))

    def test_the_machine(self):
        def addresses():
            found = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout
            return {line.split()[3].split("/")[0] for line in found.splitlines()} | {"127.0.0.1", "127.64.0.1"}
        cloud = self.cloud.port
        with socket.create_server(("0.0.0.0", 0)) as server:
            port, came = server.getsockname()[1], []
            threading.Thread(target=lambda: came.append(server.accept()), daemon=True).start()
            # 127/8 is the instance itself to its own kernel, unless it is told to ask the network
            self.out(self.attacker, "sysctl -qw net.ipv4.conf.all.route_localnet=1 2>/dev/null; d=$(ls /sys/class/net | grep -v lo); "
                                    "ip rule add pref 0 to 127.64.0.0/10 lookup 77; ip route add 127.64.0.0/10 via 10.0.1.1 dev $d table 77; true")
            targets = [(a, p) for a in sorted(addresses()) for p in (port, cloud)] + [("10.0.1.1", 22), ("10.0.0.1", port), ("169.254.169.254", port),
                                                                                     ("169.254.169.253", 80), ("100.88.0.1", port)]

            def asks(instance):
                self.give(instance, targets)
                return json.loads(self.out(instance, "python3 -c 'from lib import *; print(json.dumps(tcps(json.load(open(\"t\")))))'"))
            with concurrent.futures.ThreadPoolExecutor(2) as both:
                answers = list(both.map(asks, (self.attacker, self.private)))
            for said in answers:
                # tests of tasks make links of their own, and what is gone may be somebody's on another network; clouds' links are never that
                still = addresses()
                self.assertEqual([t for t, s in zip(targets, said) if s == "open" and (t[0] in still or t[0].startswith("100.88."))], [])
            self.assertEqual(came, [])
            with socket.create_connection(("127.0.0.1", port)):
                self.assertTrue(self.eventually(lambda: came))

    def give(self, instance, value):
        """Puts a value into the file t, in pieces that a tag can hold; each takes a moment, and addresses are much alike."""
        text = base64.b64encode(zlib.compress(json.dumps(value).encode(), 9)).decode()
        self.out(instance, "rm -f t")
        for at in range(0, len(text), 220):
            self.out(instance, f"printf %s {text[at:at + 220]} >> t")
        self.out(instance, "python3 -c 'import base64,zlib; d=zlib.decompress(base64.b64decode(open(\"t\").read())); open(\"t\",\"wb\").write(d)'")

    def test_what_is_others(self):
        token = self.out(self.private, "curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' http://169.254.169.254/latest/api/token")
        ask = f"curl -s -o /dev/null -w %{{http_code}} -H 'X-aws-ec2-metadata-token: {token}' http://169.254.169.254/latest/meta-data/instance-id"
        self.assertEqual(self.out(self.private, ask), "200")
        self.assertEqual(self.out(self.attacker, ask), "401")
        # the cloud takes no word for it: well-known keys and unsigned requests are refused, and a role may what its policies say
        self.assertTrue(self.out(self.attacker, py('print(s3("GET", "http://169.254.169.254:4566/", credentials=("test", "test")))')).startswith("403"))
        self.assertTrue(self.out(self.attacker, py('print(s3("GET", "http://169.254.169.254:4566/", credentials=""))')).startswith("403"))
        self.assertTrue(self.out(self.private, py('print(s3("GET", "http://169.254.169.254:4566/"))')).startswith("200"))
        self.iam.put_role_policy(RoleName=self.name, PolicyName="no", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}))
        self.addCleanup(self.iam.delete_role_policy, RoleName=self.name, PolicyName="no")
        self.assertTrue(self.out(self.private, py('print(s3("GET", "http://169.254.169.254:4566/"))')).startswith("403"))
        # what this machine's own user may ask of it is not for instances
        self.assertNotEqual(self.out(self.attacker, "curl -s -o /dev/null -w %{http_code} -m 5 -X POST http://169.254.169.254:4566/_quartet/reset; true"), "200")


@unittest.skipIf(no_containers(), no_containers())
class Containers(Attacks, FlowLogsAndEndpoints, Inside):
    """One set of instances for all of it."""

    def test_z_every_minute(self):
        """A flow log that nothing happens to is written all the same. Last, because it moves the clock."""
        self.cloud.forward("60s")
        eni = self.stranger.describe()["NetworkInterfaces"][0]["NetworkInterfaceId"]
        found = self.eventually(lambda: self.records(self.name + "-kept", f"{eni}-all"), 150)
        self.assertTrue(found)
        for r in found:
            self.assertEqual((r[0], r[2], len(r)), ("2", eni, 14))
            self.assertIn(r[13], ("OK", "NODATA"))
        self.assertEqual(self.ec2.describe_flow_logs(FlowLogIds=self.kept)["FlowLogs"][0]["DeliverLogsStatus"], "SUCCESS")


if __name__ == "__main__":
    unittest.main()
