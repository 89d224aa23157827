"""Functions in VPCs: interfaces that EC2 shows, groups, names, ways out, and what a function reaches and does not."""
import json
import subprocess
import threading
import time
import unittest
import uuid

from lambdacase import TRUST, package
from tasks import TaskCase, allow, role

INTERFACES = allow("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface")
SERVE = ("mkdir -p /w/cgi-bin; printf '#!/bin/sh\\nprintf \"HTTP/1.0 200 OK\\\\r\\\\n\\\\r\\\\n$REMOTE_ADDR\"\\n' > /w/cgi-bin/who; "
         "chmod 755 /w/cgi-bin/who; exec httpd -f -p 80 -h /w")
PROBE = r"""
import http.client, socket

def who(host, port=80, timeout=5, path="/cgi-bin/who"):
    c = http.client.HTTPConnection(host, port, timeout=timeout)
    c.request("GET", path)
    return c.getresponse().read().decode().removeprefix("[::ffff:").rstrip("]")

def fetched(host, name, path):
    c = http.client.HTTPConnection(host, timeout=5)
    c.request("GET", path, headers={"Host": name})
    r = c.getresponse()
    return r.status, r.read().decode()

def opened(host, port, timeout=5):
    socket.create_connection((host, port), timeout).close()
    return "open"

def bound(host, port):
    s = socket.socket()
    s.settimeout(1)
    s.bind(("127.0.0.1", 0))
    s.connect((host, port))
    return "open"

def named(name):
    return socket.gethostbyname(name)

def links():
    with open("/proc/net/route") as f:
        return [n for _, n in socket.if_nameindex()], len(f.readlines()) - 1

def heard(seconds):
    s = socket.create_server(("0.0.0.0", 8080))
    s.settimeout(seconds)
    return s.accept()[1][0]

def lambda_handler(event, context):
    try:
        return globals()[event.pop("do")](**event)
    except OSError as e:
        return "failed: " + type(e).__name__
"""


class VpcTest(TaskCase):
    moves = True
    homes = ("eu-west-1",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.aws = cls.client("lambda", region=cls.region, read_timeout=60)
        cls.role = role("vpc-" + cls.word, "lambda.amazonaws.com", INTERFACES, allow("logs:*"), client=cls.client)
        cls.subnets = sorted(cls.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])

    def group(self, *rules):
        made = self.ec2.create_security_group(GroupName="g" + uuid.uuid4().hex[:8], Description="d", VpcId=self.vpc)["GroupId"]
        for source, port in rules:
            self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": source}]}])
        return made

    def create(self, subnets, groups, name=None, **more):
        name = name or "f" + uuid.uuid4().hex[:10]
        made = self.aws.create_function(**{**dict(
            FunctionName=name, Runtime="python3.12", Handler="lambda_function.lambda_handler", Role=self.role, Timeout=30,
            Code={"ZipFile": package({"lambda_function.py": PROBE})},
            VpcConfig={"SubnetIds": subnets, "SecurityGroupIds": groups}), **more})
        self.addCleanup(self.drop, name)
        return name, made

    def drop(self, name):
        try:
            self.aws.delete_function(FunctionName=name)
        except self.aws.exceptions.ResourceNotFoundException:
            pass

    def active(self, name):
        self.wait(lambda: self.aws.get_function_configuration(FunctionName=name)["State"] == "Active")
        return name

    def make(self, subnets, groups, **more):
        return self.active(self.create(subnets, groups, **more)[0])

    def ask(self, function, do, **event):
        until = time.monotonic() + 60
        while True:
            try:
                reply = self.aws.invoke(FunctionName=function, Payload=json.dumps({"do": do, **event}))
                break
            except self.aws.exceptions.ResourceConflictException:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.05)
        payload = json.loads(reply["Payload"].read())
        self.assertNotIn("FunctionError", reply, payload)
        return payload

    def interfaces(self, *groups):
        return self.ec2.describe_network_interfaces(Filters=[
            {"Name": "interface-type", "Values": ["lambda"]}, {"Name": "group-id", "Values": list(groups)}])["NetworkInterfaces"]

    def server(self, *sources):
        """The private address of a task that tells who asks it; sources: groups that may."""
        task = self.run_task(SERVE, groups=[self.group(*((s, 80) for s in sources))])
        self.until(task, "RUNNING")
        return self.interface(task)["PrivateIpAddress"]

    def test_groups_and_sharing(self):
        good, bad = self.group(), self.group()
        here, other = self.subnets[0]["SubnetId"], self.subnets[1]["SubnetId"]
        address = self.server(good)
        name, made = self.create([here], [good])
        self.assertEqual(made["State"], "Pending")
        made["VpcConfig"].setdefault("Ipv6AllowedForDualStack", False)  # an old boto3 knows nothing of it
        self.assertEqual(made["VpcConfig"], {"SubnetIds": [here], "SecurityGroupIds": [good], "VpcId": self.vpc, "Ipv6AllowedForDualStack": False})
        (eni,) = self.interfaces(good)
        self.assertTrue(eni["Description"].startswith(f"AWS Lambda VPC ENI-{name}-"), eni)
        self.assertEqual((eni["SubnetId"], eni["RequesterManaged"], eni["Status"], "Association" in eni), (here, True, "in-use", False))
        self.active(name)
        self.assertEqual(self.wait(lambda: (said := self.ask(name, "who", host=address)) and not said.startswith("failed") and said), eni["PrivateIpAddress"])
        self.assertAwsError("OperationNotPermitted", self.ec2.delete_network_interface, NetworkInterfaceId=eni["NetworkInterfaceId"])
        # two functions, one interface; the other group has its own, and is refused
        second = self.make([here], [good])
        self.assertEqual([i["NetworkInterfaceId"] for i in self.interfaces(good)], [eni["NetworkInterfaceId"]])
        self.assertEqual(self.ask(second, "who", host=address), eni["PrivateIpAddress"])
        third = self.make([here, other], [bad])
        self.assertEqual({i["SubnetId"] for i in self.interfaces(bad)}, {here, other})
        self.assertIn("failed", self.ask(third, "who", host=address, timeout=1))
        # a rule that is taken away holds for connections of now, one that is added too
        self.aws.update_function_configuration(FunctionName=third, VpcConfig={"SubnetIds": [here], "SecurityGroupIds": [good]})
        self.wait(lambda: self.aws.get_function_configuration(FunctionName=third)["LastUpdateStatus"] == "Successful")
        self.assertEqual(self.wait(lambda: (said := self.ask(third, "who", host=address, timeout=1)) == eni["PrivateIpAddress"] and said), eni["PrivateIpAddress"])
        # what still has interfaces in it cannot go
        self.assertAwsError("DependencyViolation", self.ec2.delete_security_group, GroupId=bad)
        self.assertAwsError("DependencyViolation", self.ec2.delete_subnet, SubnetId=other)
        self.cloud.forward("70s")
        self.wait(lambda: not self.interfaces(bad))
        self.ec2.delete_security_group(GroupId=bad)
        # out of the VPC again
        made = self.aws.update_function_configuration(FunctionName=third, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})
        self.assertEqual((made["VpcConfig"]["SubnetIds"], made["VpcConfig"]["VpcId"]), ([], ""))
        for f in (name, second):
            self.aws.delete_function(FunctionName=f)
        self.cloud.forward("70s")
        self.wait(lambda: not self.interfaces(good))
        self.wait(lambda: self.aws.get_function_configuration(FunctionName=third)["LastUpdateStatus"] == "Successful")
        self.assertNotIn("vpc0", self.ask(third, "links")[0])

    def test_versions_keep_interfaces(self):
        group, here = self.group(), self.subnets[0]["SubnetId"]
        name = self.make([here], [group], Publish=True)
        self.aws.update_function_configuration(FunctionName=name, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})
        self.cloud.forward("70s")
        self.wait(lambda: self.aws.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "Successful")
        self.assertEqual(len(self.interfaces(group)), 1)
        self.assertEqual(self.aws.get_function_configuration(FunctionName=name, Qualifier="1")["VpcConfig"]["VpcId"], self.vpc)
        self.aws.delete_function(FunctionName=name)
        self.cloud.forward("70s")
        self.wait(lambda: not self.interfaces(group))

    def test_refused(self):
        group, here = self.group(), self.subnets[0]["SubnetId"]
        vpc = self.ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
        away = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.1.0/24")["Subnet"]["SubnetId"]
        poor = role("poor-" + uuid.uuid4().hex[:8], "lambda.amazonaws.com", allow("logs:*", "ec2:CreateNetworkInterface"), client=self.client)
        bare = role("bare-" + uuid.uuid4().hex[:8], "lambda.amazonaws.com", allow("logs:*"), client=self.client)
        wrong = "InvalidParameterValueException"
        both = "SubnetIds and SecurityIds must coexist or be both empty list."
        lacks = "The provided execution role does not have permissions to call %s on EC2"
        for message, subnets, groups, more in (
                (both, [here], [], {}), (both, [], [group], {}),
                ("Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The subnet ID 'subnet-0123' does not exist",
                 ["subnet-0123"], [group], {}),
                ("Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. EC2 Error Message: The security group 'sg-0123' does not exist",
                 [here], ["sg-0123"], {}),
                ("Subnets are required to be in the same VPC.", [here, away], [group], {}),
                ("Security Groups are required to be in the same VPC.", [away], [group], {}),
                (lacks % "CreateNetworkInterface", [here], [group], {"Role": bare}),
                (lacks % "DescribeNetworkInterfaces", [here], [group], {"Role": poor})):
            name = "r" + uuid.uuid4().hex[:8]
            self.assertAwsError(wrong, self.create, status=400, message=message, subnets=subnets, groups=groups, name=name, **more)
            self.assertAwsError("ResourceNotFoundException", self.aws.get_function, FunctionName=name)
        self.assertEqual(self.interfaces(group), [])
        name = self.make([], [], Role=bare)
        self.assertAwsError(wrong, self.aws.update_function_configuration, message=lacks % "CreateNetworkInterface", FunctionName=name,
                            VpcConfig={"SubnetIds": [here], "SecurityGroupIds": [group]})

    def test_inside(self):
        group, here = self.group(), self.subnets[0]
        name = self.make([here["SubnetId"]], [group])
        (eni,) = self.interfaces(group)
        # one link, one way out, the VPC's names
        self.wait(lambda: self.ask(name, "links") == [["lo", "vpc0"], 2])
        self.assertEqual(self.ask(name, "named", name=eni["PrivateDnsName"]), eni["PrivateIpAddress"])
        zone = self.client("route53").create_hosted_zone(Name="in.test", CallerReference=uuid.uuid4().hex,
                                                         VPC={"VPCRegion": self.region, "VPCId": self.vpc})["HostedZone"]["Id"]
        self.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": {
            "Name": "db.in.test", "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "172.31.9.9"}]}}]})
        self.assertEqual(self.ask(name, "named", name="db.in.test"), "172.31.9.9")
        # the cloud itself, as everywhere
        self.assertEqual(self.ask(name, "opened", host="127.0.0.1", port=4566), "open")
        # not: credentials of instances, the sandbox's neighbours, this machine, the internet
        machine = subprocess.run(["ip", "-4", "-o", "route", "get", "198.51.100.1"], capture_output=True, text=True, check=False).stdout.split()
        machine = machine[machine.index("src") + 1] if "src" in machine else "198.51.100.1"
        port = self.cloud.port
        for host, port in (("169.254.169.254", 80), ("169.254.169.254", 4566), ("169.254.16.0", 80), ("169.254.16.2", 9001), (machine, port),
                           ("198.51.100.1", 80), (eni["PrivateIpAddress"], 9001)):
            self.assertIn("failed", self.ask(name, "opened", host=host, port=port, timeout=0.5), (host, port))
        # and nobody comes in, whatever the group says
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        said = []
        listening = threading.Thread(target=lambda: said.append(self.ask(name, "heard", seconds=4)))
        listening.start()
        lines, _ = self.says(f"for i in 1 2 3; do nc -w 1 {eni['PrivateIpAddress']} 8080 </dev/null && echo in || echo out; done")
        listening.join()
        self.assertEqual((lines.count("out"), "in" in lines, said), (3, False, ["failed: TimeoutError"]))

    def test_s3_by_a_gateway_endpoint(self):
        s3, bucket = self.client("s3"), "b-" + uuid.uuid4().hex
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="key", Body=b"content")
        subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="172.31.251.0/24")["Subnet"]["SubnetId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        made = self.ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName=f"com.amazonaws.{self.region}.s3", RouteTableIds=[table])["VpcEndpoint"]["VpcEndpointId"]
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
             "Condition": {"StringEquals": {"aws:SourceVpce": made}}}]}))
        name = self.make([subnet], [self.group()])
        self.wait(lambda: self.ask(name, "fetched", host="192.0.0.65", name=f"s3.{self.region}.amazonaws.com", path=f"/{bucket}/key") == [200, "content"])

    @unittest.skipUnless(subprocess.run(["ip", "-4", "route", "show", "default"], capture_output=True, text=True, check=False).stdout.strip(),
                         "the machine has no way out")
    def test_way_out(self):
        """A network namespace of the test's own, behind the machine, is the internet."""
        word = uuid.uuid4().hex[:6]
        space, near, far = "out" + word, "o" + word, "i" + word

        def ip(*words):
            subprocess.run(["ip", *words], check=True, capture_output=True)
        ip("netns", "add", space)
        self.addCleanup(ip, "netns", "delete", space)
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        net = f"198.18.{int(word[:2], 16)}.{int(word[2:4], 16) & 252}"
        first, second = (net[:net.rindex(".") + 1] + str(int(net.rpartition(".")[2]) + i) for i in (1, 2))
        ip("addr", "add", first + "/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", space, "addr", "add", second + "/30", "dev", far)
        ip("-n", space, "link", "set", far, "up")
        ip("-n", space, "link", "set", "lo", "up")
        with open(f"/proc/sys/net/ipv4/conf/{near}/forwarding", "w") as f:
            f.write("1")
        server = subprocess.Popen(["ip", "netns", "exec", space, "python3", "-m", "http.server", "80"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.wait(lambda: subprocess.run(["ip", "netns", "exec", space, "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 80)).close()"],
                                         capture_output=True, check=False).returncode == 0)
        # in a subnet with a way to the internet, which is none for who has no public address
        group = self.group()
        name = self.make([self.subnets[0]["SubnetId"]], [group])
        self.assertIn("failed", self.ask(name, "opened", host=second, port=80, timeout=1))
        # behind a NAT gateway there is one
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = self.ec2.create_nat_gateway(SubnetId=self.subnets[0]["SubnetId"], AllocationId=address)["NatGateway"]["NatGatewayId"]
        private = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="172.31.250.0/24")["Subnet"]["SubnetId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=private)
        name = self.make([private], [group])
        self.assertIn("failed", self.ask(name, "opened", host=second, port=80, timeout=1))
        self.wait(lambda: self.ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"] == "available")
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        self.wait(lambda: self.ask(name, "opened", host=second, port=80, timeout=1) == "open")
        # and the machine itself is not there either
        self.assertIn("failed", self.ask(name, "opened", host=first, port=self.cloud.port, timeout=1))
