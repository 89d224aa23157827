"""What tests of EC2's networks share."""
import json
import os
import urllib.parse
import uuid

import raw
from aws import ENDPOINT, TestCase, client


def names(items, key):
    return sorted(i[key] for i in items)


class Ec2Case(TestCase):
    """Every test in a region of its own, so that quotas and default VPCs of one do not meet another's."""
    def setUp(self):
        self.region = "test-" + uuid.uuid4().hex[:8] + "-1"
        self.ec2 = client("ec2", region=self.region)

    def fails(self, code, call, message=None, status=400, **params):
        self.assertAwsError(code, call, status=status, message=message, **params)

    def vpc(self, cidr="10.0.0.0/16", **more):
        return self.ec2.create_vpc(CidrBlock=cidr, **more)["Vpc"]["VpcId"]

    def subnet(self, vpc, cidr="10.0.1.0/24", **more):
        return self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, **more)["Subnet"]["SubnetId"]

    def group(self, vpc, name="web"):
        return self.ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]

    def default_group(self, vpc):
        return self.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}])[
            "SecurityGroups"][0]

    def gateway(self, vpc):
        igw = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
        return igw

    def of_vpc(self, vpc):
        return [{"Name": "vpc-id", "Values": [vpc]}]

    def query(self, action, **parameters):
        """The reply to an operation that the oldest boto3 does not know."""
        port = urllib.parse.urlsplit(ENDPOINT).port
        signer = raw.Signer(port, "ec2", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], self.region)
        body = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters}).encode()
        return raw.ask(port, signer.request("POST", "/", body, headers={"content-type": "application/x-www-form-urlencoded"}))

    def user(self, *statements):
        """A client of a user who may do what the statements say."""
        iam, name = client("iam"), "ec2-" + uuid.uuid4().hex[:10]
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        key = iam.create_access_key(UserName=name)["AccessKey"]

        def drop():
            iam.delete_user_policy(UserName=name, PolicyName="p")
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            iam.delete_user(UserName=name)
        self.addCleanup(drop)
        return client("ec2", key=key["AccessKeyId"], secret=key["SecretAccessKey"], region=self.region)
