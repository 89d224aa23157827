"""What all operations of EC2 share: dry runs, filters, pages, tokens, tags, permissions; both command lines; a restart."""
import json
import unittest
import uuid

from aws import ENDPOINT, aws_programs, client, run
from cloud import Cloud
from ec2 import Ec2Case, names


class Common(Ec2Case):
    def test_dry_run(self):
        self.fails("DryRunOperation", self.ec2.create_vpc, "Request would have succeeded, but DryRun flag is set.", status=412,
                   CidrBlock="10.0.0.0/16", DryRun=True)
        self.assertEqual(len(self.ec2.describe_vpcs()["Vpcs"]), 1)
        self.fails("DryRunOperation", self.ec2.describe_vpcs, status=412, DryRun=True)

    def test_filters(self):
        vpc = self.vpc(TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "a*b"}]}])

        def found(*filters):
            return names(self.ec2.describe_vpcs(Filters=[{"Name": n, "Values": v} for n, v in filters])["Vpcs"], "VpcId")
        self.assertEqual(found(("cidr", ["10.0.0.0/16"])), [vpc])
        self.assertEqual(found(("cidr", ["10.*", "x"])), [vpc])
        self.assertEqual(found(("cidr", ["10.?.0.0/16"])), [vpc])
        self.assertEqual(found(("cidr", ["10.*"]), ("is-default", ["true"])), [])
        self.assertEqual(found(("tag:Name", ["a\\*b"])), [vpc])
        self.assertEqual(found(("tag:Name", ["a\\*"])), [])
        self.assertEqual(found(("tag:name", ["*"])), [])
        self.assertEqual(found(("tag-key", ["Na*"])), [vpc])
        self.assertEqual(len(found(("state", ["available"]))), 2)
        self.fails("InvalidParameterValue", self.ec2.describe_vpcs, "The filter 'colour' is invalid", Filters=[{"Name": "colour", "Values": ["x"]}])
        self.fails("FilterLimitExceeded", self.ec2.describe_vpcs, Filters=[{"Name": "cidr", "Values": ["x"] * 201}])

    def test_pages(self):
        vpc = self.vpc()
        groups = {self.group(vpc, f"g{i}") for i in range(12)}
        pages = list(self.ec2.get_paginator("describe_security_groups").paginate(Filters=self.of_vpc(vpc), PaginationConfig={"PageSize": 5}))
        self.assertEqual([len(p["SecurityGroups"]) for p in pages], [5, 5, 3])
        self.assertLess(groups, {g["GroupId"] for p in pages for g in p["SecurityGroups"]})
        token = pages[0]["NextToken"]
        self.fails("InvalidNextToken", self.ec2.describe_vpcs, NextToken=token)
        self.fails("InvalidNextToken", self.ec2.describe_security_groups, NextToken="made up")
        unchecked = client("ec2", region=self.region, parameter_validation=False)
        for size in (4, 1001):
            self.fails("InvalidParameterValue", unchecked.describe_vpcs, "maxResults", MaxResults=size)
        self.fails("InvalidParameterCombination", self.ec2.describe_security_groups, MaxResults=5, GroupIds=list(groups)[:1])

    def test_tokens(self):
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        first = self.ec2.create_network_interface(SubnetId=subnet, ClientToken="once")
        again = self.ec2.create_network_interface(SubnetId=subnet, ClientToken="once")
        self.assertEqual(again["NetworkInterface"], first["NetworkInterface"])
        self.assertEqual(len(self.ec2.describe_network_interfaces(Filters=self.of_vpc(vpc))["NetworkInterfaces"]), 1)
        self.fails("IdempotentParameterMismatch", self.ec2.create_network_interface, SubnetId=subnet, Description="x", ClientToken="once")
        self.fails("InvalidParameterValue", self.ec2.create_network_interface, "client token", SubnetId=subnet, ClientToken="x" * 65)

    def test_tags(self):
        vpc = self.vpc(TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "1"}]}])
        subnet = self.subnet(vpc)
        rule = self.ec2.describe_security_group_rules()["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        self.ec2.create_tags(Resources=[vpc, subnet, rule], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
        self.assertEqual(self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"], [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
        listed = self.ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["subnet", "security-group-rule"]}, {"Name": "key", "Values": ["a"]}])["Tags"]
        self.assertEqual(names(listed, "ResourceId"), sorted([subnet, rule]))
        pages = list(self.ec2.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 5}))
        self.assertEqual(sum(len(p["Tags"]) for p in pages), 6)
        self.ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
        self.assertEqual(self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"], [{"Key": "a", "Value": "2"}])
        self.ec2.delete_tags(Resources=[vpc])
        self.assertNotIn("Tags", self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0])

    def test_tag_refusals(self):
        vpc = self.vpc()
        tag = [{"Key": "k", "Value": "v"}]
        self.fails("InvalidParameterValue", self.ec2.create_tags, "reserved for internal use", Resources=[vpc], Tags=[{"Key": "aws:x", "Value": ""}])
        for tags in ([{"Key": "aws:x"}], [{"Key": "k"}, {"Key": "AWS:x", "Value": "v"}]):
            self.fails("InvalidParameterValue", self.ec2.delete_tags, "reserved for internal use", Resources=[vpc], Tags=tags)
        self.fails("InvalidParameterValue", self.ec2.create_tags, "Duplicate tag key 'k' specified.", Resources=[vpc], Tags=tag + tag)
        self.fails("InvalidID", self.ec2.create_tags, "The ID 'zzz-1' is not valid", Resources=["zzz-1"], Tags=tag)
        self.fails("InvalidVpcID.NotFound", self.ec2.create_tags, Resources=[vpc, "vpc-00000000000000000"], Tags=tag)
        self.assertNotIn("Tags", self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0])
        self.fails("InvalidParameterValue", self.ec2.create_vpc, "'subnet' is not a valid taggable resource type for this operation.",
                   CidrBlock="10.1.0.0/16", TagSpecifications=[{"ResourceType": "subnet", "Tags": tag}])
        self.ec2.create_tags(Resources=[vpc], Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
        self.fails("TagLimitExceeded", self.ec2.create_tags, "The maximum number of Tags for a resource has been reached.", Resources=[vpc], Tags=tag)

    def test_absent_operations(self):
        self.fails("UnsupportedOperation", self.ec2.create_transit_gateway, "does not provide", status=501)


class Permissions(Ec2Case):
    def test_denials_in_ec2s_words(self):
        user = self.user({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"})
        user.describe_vpcs()
        self.fails("UnauthorizedOperation", user.describe_subnets, status=403,
                   message="because no identity-based policy allows the ec2:DescribeSubnets action")
        vpc = self.vpc()
        with self.assertRaises(user.exceptions.ClientError) as raised:
            user.delete_vpc(VpcId=vpc)
        message = raised.exception.response["Error"]["Message"]
        self.assertRegex(message, r"^You are not authorized to perform this operation\. User: arn:aws:iam::\d+:user/\S+ is not authorized to perform: "
                                  r"ec2:DeleteVpc on resource: arn:aws:ec2:" + self.region + r":\d+:vpc/" + vpc + " because no identity-based policy")
        with self.assertRaises(user.exceptions.ClientError) as raised:
            user.describe_subnets(DryRun=True)
        self.assertEqual(raised.exception.response["Error"]["Code"], "UnauthorizedOperation")
        self.assertNotIn("on resource", raised.exception.response["Error"]["Message"])

    def test_resources_and_tags(self):
        blue = self.vpc(TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "colour", "Value": "blue"}]}])
        red = self.vpc("10.1.0.0/16")
        user = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "arn:aws:ec2:*:*:vpc/*", "Condition": {"StringEquals": {"aws:ResourceTag/colour": "blue"}}},
                         {"Effect": "Allow", "Action": "ec2:CreateSubnet", "Resource": "arn:aws:ec2:*:*:subnet/*"},
                         {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*", "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSubnet"}}})
        tags = [{"ResourceType": "subnet", "Tags": [{"Key": "x", "Value": "y"}]}]
        subnet = user.create_subnet(VpcId=blue, CidrBlock="10.0.1.0/24", TagSpecifications=tags)["Subnet"]["SubnetId"]
        self.fails("UnauthorizedOperation", user.create_subnet, f"vpc/{red}", status=403, VpcId=red, CidrBlock="10.1.1.0/24")
        self.fails("UnauthorizedOperation", user.create_tags, "ec2:CreateTags", status=403, Resources=[subnet], Tags=tags[0]["Tags"])
        self.fails("UnauthorizedOperation", user.delete_subnet, f"subnet/{subnet}", status=403, SubnetId=subnet)


class CommandLines(Ec2Case):
    def test_both(self):
        for program in aws_programs():
            def ec2(*words):
                done = run(program, "--endpoint-url", ENDPOINT, "ec2", *words, "--region", self.region, "--output", "json")
                return json.loads(done.stdout or "null")
            vpc = ec2("create-vpc", "--cidr-block", "10.3.0.0/16", "--tag-specifications", "ResourceType=vpc,Tags=[{Key=Name,Value=cli}]")["Vpc"]["VpcId"]
            shown = ec2("describe-vpcs", "--filters", "Name=tag:Name,Values=cli", "--query", "Vpcs[].VpcId")
            self.assertEqual(shown, [vpc])
            group = ec2("create-security-group", "--group-name", "cli", "--description", "d", "--vpc-id", vpc)["GroupId"]
            ec2("authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "10.0.0.0/8")
            self.assertEqual(ec2("describe-security-groups", "--group-ids", group)["SecurityGroups"][0]["IpPermissions"][0]["FromPort"], 22)
            ec2("delete-security-group", "--group-id", group)
            ec2("delete-vpc", "--vpc-id", vpc)


class Restart(unittest.TestCase):
    def test_all_is_there_again(self):
        with Cloud() as cloud:
            ec2 = cloud.client("ec2", retries={"max_attempts": 5})
            vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
            eni = ec2.create_network_interface(SubnetId=subnet, ClientToken="t")["NetworkInterface"]

            def everything():
                return [ec2.describe_vpcs()["Vpcs"], ec2.describe_subnets()["Subnets"], ec2.describe_network_interfaces()["NetworkInterfaces"],
                        ec2.describe_security_groups()["SecurityGroups"], ec2.describe_route_tables()["RouteTables"]]
            nat = ec2.create_nat_gateway(SubnetId=ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]["SubnetId"],
                                         AllocationId=ec2.allocate_address()["AllocationId"])["NatGateway"]["NatGatewayId"]
            ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
            before, old = everything(), cloud.role_pid("api")
            cloud.kill("api")
            cloud.wait_for_role("api", other_than=old)
            cloud.wait()
            self.assertEqual(before, everything())
            again = ec2.create_network_interface(SubnetId=subnet, ClientToken="t")["NetworkInterface"]
            self.assertEqual(again["NetworkInterfaceId"], eni["NetworkInterfaceId"])
        self.assertEqual(cloud.leftovers(), [])


if __name__ == "__main__":
    unittest.main()
