"""Tasks in subnets with IPv6 blocks, and those whose routes lead to S3 alone."""
import ipaddress
import json
import unittest

from aws import client
from tasks import TaskCase

SERVE = "mkdir /w; echo hello > /w/index.html; echo up; exec httpd -f -p 80 -h /w"


def get(address, path, host):
    """What a shell says to have that page's last line, with its way over IPv6 or 4 that of the address: busybox's nc has no resolver in between."""
    return f"printf 'GET {path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n' | nc -w 5 {address} 80 | tail -n 1"


class Addresses(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vpc = cls.ec2.create_vpc(CidrBlock="10.7.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
        block = cls.ec2.describe_vpcs(VpcIds=[cls.vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
        cls.block = next(ipaddress.ip_network(block).subnets(new_prefix=64))
        cls.subnet = cls.ec2.create_subnet(VpcId=cls.vpc, CidrBlock="10.7.1.0/24", Ipv6CidrBlock=str(cls.block))["Subnet"]
        cls.ec2.modify_subnet_attribute(SubnetId=cls.subnet["SubnetId"], AssignIpv6AddressOnCreation={"Value": True})
        cls.group = cls.ec2.create_security_group(GroupName="g", Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=cls.group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "Ipv6Ranges": [{"CidrIpv6": str(cls.block)}]}])

    def address6(self, arn):
        return {d["name"]: d["value"] for d in self.task(arn)["attachments"][0]["details"]}["ipv6Address"]

    def test_ipv6(self):
        server = self.run_task({"command": SERVE, "logConfiguration": self.log("server")}, groups=[self.group])
        self.wait_for_lines(1, "server", server)
        theirs = self.address6(server)
        self.assertIn(ipaddress.ip_address(theirs), self.block)
        self.assertEqual(self.interface(server)["Ipv6Addresses"], [{"Ipv6Address": theirs}])
        self.assertEqual(self.task(server)["containers"][0]["networkInterfaces"][0]["ipv6Address"], theirs)
        # the group lets IPv6 in, and nobody of IPv4
        lines, task = self.says(f"until {get(theirs, '/', 'h')} | grep .; do sleep 0.2; done; wget -q -O - $ECS_CONTAINER_METADATA_URI_V4; echo; "
                                f"nc -w 2 {self.interface(server)['PrivateIpAddress']} 80 </dev/null && echo REACHED; ip -6 -o addr show dev eth0 scope global")
        own = self.address6(task["taskArn"])
        self.assertEqual(lines[0], "hello")
        (network,) = json.loads(lines[1])["Networks"]
        self.assertEqual((network["IPv6Addresses"], network["IPv6SubnetCIDRBlock"]), ([own], str(self.block)))
        self.assertNotIn("REACHED", lines)
        self.assertEqual([line.split("inet6 ")[1].split("/")[0] for line in lines if "inet6 " in line], [own])

    def test_s3_by_a_gateway_endpoint(self):
        """As its routes lead now: a task is known by the interface that it comes from."""
        s3, bucket = client("s3"), "b-" + self.word
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="key", Body=b"content\n")
        (table,) = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        made = self.ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName=f"com.amazonaws.{self.region}.s3", RouteTableIds=[table["RouteTableId"]])
        made = made["VpcEndpoint"]["VpcEndpointId"]
        asks = get("192.0.0.65", f"/{bucket}/key", f"s3.{self.region}.amazonaws.com")
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
             "Condition": {"StringEquals": {"aws:SourceVpce": made}}}]}))
        self.wait(lambda: self.says(asks)[0] == ["content"])
        s3.delete_bucket_policy(Bucket=bucket)
        self.assertEqual([line for line in self.says(asks + "; echo")[0] if "content" in line], [])
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[made])
        s3.delete_object(Bucket=bucket, Key="key")
        s3.delete_bucket(Bucket=bucket)


if __name__ == "__main__":
    unittest.main()
