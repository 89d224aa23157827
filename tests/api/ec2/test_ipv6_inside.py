"""An instance with an IPv6 address, as this machine reaches it: by a rule for ::/0 and a route of an internet gateway, and what flow logs say of it."""
import ipaddress
import json
import socket
import time
import unittest
import uuid

from ec2 import Ec2Case, end_instances, wait_for
from inside import image, launch, no_containers
from moving import moving_cloud

SERVER = '''python3 -c 'import http.server, socket
class S(http.server.ThreadingHTTPServer): address_family = socket.AF_INET6
S(("::", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()' > /dev/null 2>&1 &'''


def tcp(address, port, seconds=2):
    """open, refused or closed (nothing comes back); and from where"""
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(seconds)
        try:
            s.connect((address, port))
            return "open", s.getsockname()[0]
        except ConnectionRefusedError:
            return "refused", None
        except OSError:
            return "closed", None


@unittest.skipIf(no_containers(), no_containers())
class Inside6(Ec2Case):
    def setUp(self):
        self.cloud, client = moving_cloud(self)
        self.region, self.ec2, self.logs, self.iam = "us-east-1", client("ec2"), client("logs"), client("iam")
        if not image(self.ec2):
            self.skipTest("there is no image: tools/make-image has not been run")
        self.name = "v6-" + uuid.uuid4().hex[:12]
        vpc = self.ec2.create_vpc(CidrBlock="10.6.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
        self.net = vpc["VpcId"]
        self.addCleanup(self.ec2.delete_vpc, VpcId=self.net)
        block = ipaddress.ip_network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])
        self.block = str(next(block.subnets(new_prefix=64)))
        self.sub = self.ec2.create_subnet(VpcId=self.net, CidrBlock="10.6.1.0/24", Ipv6CidrBlock=self.block)["Subnet"]["SubnetId"]
        self.addCleanup(self.ec2.delete_subnet, SubnetId=self.sub)
        self.open = self.group(self.net, "six")
        self.addCleanup(self.ec2.delete_security_group, GroupId=self.open)

    def logger(self):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.addCleanup(self.iam.delete_role, RoleName=self.name)
        self.iam.put_role_policy(RoleName=self.name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}]}))
        self.addCleanup(self.iam.delete_role_policy, RoleName=self.name, PolicyName="p")
        return role

    def eventually(self, ask, seconds=30):
        until = time.monotonic() + seconds
        while True:
            got = ask()
            if got or time.monotonic() > until:
                return got
            time.sleep(0.3)

    def test_an_instance(self):
        instance = launch(self.ec2, self.sub, [self.open], Ipv6AddressCount=1)
        end_instances(self, self.ec2, instance.id)
        described = wait_for(self, self.ec2, instance.id, "running", 180)
        address, eni = described["Ipv6Address"], described["NetworkInterfaces"][0]["NetworkInterfaceId"]
        self.assertIn(ipaddress.ip_address(address), ipaddress.ip_network(self.block))
        found = self.ec2.describe_instances(Filters=[{"Name": "ipv6-address", "Values": [address]}])["Reservations"][0]["Instances"]
        self.assertEqual([i["InstanceId"] for i in found], [instance.id])
        self.assertEqual(self.ec2.describe_instances(Filters=[{"Name": "network-interface.ipv6-addresses.ipv6-address", "Values": [address]}])["Reservations"][0]["Instances"][0]["InstanceId"],
                         instance.id)
        # the guest has it, as its metadata say
        self.assertTrue(self.eventually(lambda: address in instance.run("ip -6 -o addr show scope global", 300)[1], 60))
        # they are there over IPv6 as well, once that is enabled
        ask = ("t=$(curl -g -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' 'http://[fd00:ec2::254]/latest/api/token'); "
               "curl -g -sf -m 5 -H \"X-aws-ec2-metadata-token: $t\" 'http://[fd00:ec2::254]/latest/meta-data/instance-id'")
        self.assertNotIn(instance.id, instance.run(ask)[1])
        self.ec2.modify_instance_metadata_options(InstanceId=instance.id, HttpProtocolIpv6="enabled")
        self.assertTrue(self.eventually(lambda: instance.run(ask)[1].strip() == instance.id))
        instance.run(SERVER.format(port=8080))
        instance.run(SERVER.format(port=8081))
        # neither a way nor a rule
        self.assertEqual(tcp(address, 8080)[0], "closed")
        gateway = self.gateway(self.net)
        self.addCleanup(self.ec2.delete_internet_gateway, InternetGatewayId=gateway)
        self.addCleanup(self.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=self.net)
        (table,) = self.ec2.describe_route_tables(Filters=self.of_vpc(self.net))["RouteTables"]
        self.ec2.create_route(RouteTableId=table["RouteTableId"], DestinationIpv6CidrBlock="::/0", GatewayId=gateway)
        self.assertEqual(tcp(address, 8080)[0], "closed")
        rule = [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=self.open, IpPermissions=rule)
        self.assertTrue(self.eventually(lambda: tcp(address, 8080)[0] == "open"))

        made = self.ec2.create_flow_logs(ResourceType="NetworkInterface", ResourceIds=[eni], TrafficType="ALL", LogGroupName=self.name, DeliverLogsPermissionArn=self.logger(),
                                         MaxAggregationInterval=60)
        self.assertEqual(made["Unsuccessful"], [])

        def talk():
            """A flow log may be a moment old before its interface counts."""
            source = tcp(address, 8080)[1]
            self.assertEqual(tcp(address, 8081, 1)[0], "closed")
            return source
        sources = set()
        until = time.monotonic() + 150
        while time.monotonic() < until:
            sources.add(talk())
            self.cloud.forward("60s")
            time.sleep(1)
            lines = self.lines(eni)
            if {"ACCEPT", "REJECT"} <= {r[12] for r in lines if len(r) == 14 and r[4] == address}:
                break
        self.ec2.delete_flow_logs(FlowLogIds=made["FlowLogIds"])
        self.addCleanup(self.logs.delete_log_group, logGroupName=self.name)
        taken = [r for r in self.lines(eni) if r[3] in sources and r[4] == address and r[6] == "8080"]
        refused = [r for r in self.lines(eni) if r[3] in sources and r[4] == address and r[6] == "8081"]
        answers = [r for r in self.lines(eni) if r[3] == address and r[4] in sources and r[5] == "8080"]
        for lines, action in ((taken, "ACCEPT"), (refused, "REJECT"), (answers, "ACCEPT")):
            self.assertTrue(lines, action)
            self.assertEqual({(r[2], r[7], r[12], r[13]) for r in lines}, {(eni, "6", action, "OK")})
        self.assertTrue(all(ipaddress.ip_address(s) in ipaddress.ip_network("fd71:7561:7274::/48") for s in sources), sources)
        self.ec2.revoke_security_group_ingress(GroupId=self.open, IpPermissions=rule)
        self.assertTrue(self.eventually(lambda: tcp(address, 8080, 1)[0] == "closed"))

    def lines(self, eni):
        try:
            return [e["message"].split() for e in self.logs.get_log_events(logGroupName=self.name, logStreamName=f"{eni}-all", startFromHead=True)["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []


if __name__ == "__main__":
    unittest.main()
