"""What tests of EC2's networks share."""
import os
import time
import urllib.parse
import uuid

import botocore.exceptions

import raw
from aws import ENDPOINT, TestCase, client, limited_key


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

    def query(self, action, service="ec2", version="2016-11-15", **parameters):
        """The reply to an operation that the oldest boto3 does not know."""
        port = urllib.parse.urlsplit(ENDPOINT).port
        signer = raw.Signer(port, service, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], self.region)
        body = urllib.parse.urlencode({"Action": action, "Version": version, **parameters}).encode()
        return raw.ask(port, signer.request("POST", "/", body, headers={"content-type": "application/x-www-form-urlencoded"}))

    def user(self, *statements):
        """A client of a user who may do what the statements say."""
        return client("ec2", region=self.region, **limited_key(self, *statements))


# Enables the power button (at 0x600 is its state, at 0x602 what is enabled), looks at it with each tick of the clock, and powers off by 0x604.
LISTENING = bytes.fromhex("fb ba0206 b80001 ef f4 ba0006 ed f6c401 74f6 ba0406 b80020 ef f4 ebfd")
DEAF = bytes.fromhex("fa f4 ebfc")  # its end takes the minute that a guest has for it


def import_halting(client, code=LISTENING):
    """(image, snapshot): its disk starts and does nothing but wait for the power button, so that instances of it are cheap; or what the code says."""
    ec2, s3, name = client("ec2"), client("s3"), "halting-" + uuid.uuid4().hex[:12]
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="disk", Body=code + bytes(510 - len(code)) + b"\x55\xaa" + bytes(1 << 20))
    task = ec2.import_image(DiskContainers=[{"Format": "raw", "UserBucket": {"S3Bucket": name, "S3Key": "disk"}}])["ImportTaskId"]
    made, until = {"Status": "active"}, time.monotonic() + 60
    while made["Status"] == "active" and time.monotonic() < until:
        time.sleep(0.05)
        made = ec2.describe_import_image_tasks(ImportTaskIds=[task])["ImportImageTasks"][0]
    if made["Status"] != "completed":
        raise AssertionError(made)
    s3.delete_object(Bucket=name, Key="disk")
    s3.delete_bucket(Bucket=name)
    return made["ImageId"], made["SnapshotDetails"][0]["SnapshotId"]


def halting_image(test, code=LISTENING, client=client):
    """Such an image, gone after the test. client: of a cloud other than the environment's."""
    image, snapshot = import_halting(client, code)
    test.addCleanup(client("ec2").delete_snapshot, SnapshotId=snapshot)
    test.addCleanup(client("ec2").deregister_image, ImageId=image)
    return image


def wait_for(test, ec2, instance, state, seconds=60):
    """The instance, when it has come to that state."""
    for _ in range(seconds * 10):
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        if found["State"]["Name"] == state:
            return found
        time.sleep(0.1)
    return test.fail(f"{found['State']} is not {state}: {found.get('StateReason')}")


def when_there_is_room(call, **params):
    """What the call answers once the places of instances that ended before are free again: each has a minute for its end."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        try:
            return call(**params)
        except botocore.exceptions.ClientError as e:
            if e.response["Error"]["Code"] != "InsufficientInstanceCapacity":
                raise
            time.sleep(0.5)
    return call(**params)


def end_instances(test, ec2, *instances):
    """After the test, whatever is in them."""
    def end():
        for i in instances:
            for _ in range(600):
                found = ec2.describe_instances(InstanceIds=[i])["Reservations"][0]["Instances"][0]
                state = found["State"]["Name"]
                if state != "pending":
                    break
                time.sleep(0.1)
            if state in ("running", "stopping") and "InstanceLifecycle" not in found:
                ec2.stop_instances(InstanceIds=[i], Force=True)
                wait_for(test, ec2, i, "stopped")
            ec2.terminate_instances(InstanceIds=[i])
            wait_for(test, ec2, i, "terminated", 100)
    test.addCleanup(end)
