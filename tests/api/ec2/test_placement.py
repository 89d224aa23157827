"""Placement groups: their names, their limits, and instances in them."""
import uuid

from aws import client
from ec2 import Ec2Case, end_instances, halting_image, wait_for


class Groups(Ec2Case):
    def test_life(self):
        made = self.ec2.create_placement_group(GroupName="near", Strategy="cluster", TagSpecifications=[
            {"ResourceType": "placement-group", "Tags": [{"Key": "k", "Value": "v"}]}])["PlacementGroup"]
        self.assertEqual((made["State"], made["Strategy"], made["Tags"]), ("available", "cluster", [{"Key": "k", "Value": "v"}]))
        self.assertTrue(made["GroupArn"].endswith(":placement-group/near"))
        self.ec2.create_placement_group(GroupName="parts", PartitionCount=3)
        self.ec2.create_placement_group(GroupName="apart", Strategy="spread")
        found = {g["GroupName"]: g for g in self.ec2.describe_placement_groups()["PlacementGroups"]}
        self.assertEqual((found["parts"]["Strategy"], found["parts"]["PartitionCount"]), ("partition", 3))
        self.assertEqual(found["apart"]["SpreadLevel"], "rack")
        by = lambda **more: [g["GroupName"] for g in self.ec2.describe_placement_groups(**more)["PlacementGroups"]]  # noqa: E731
        self.assertEqual(by(GroupNames=["near"]), ["near"])
        self.assertEqual(by(GroupIds=[made["GroupId"]]), ["near"])
        self.assertEqual(by(Filters=[{"Name": "strategy", "Values": ["spread"]}]), ["apart"])
        self.assertEqual(by(Filters=[{"Name": "tag:k", "Values": ["v"]}]), ["near"])
        for name in found:
            self.ec2.delete_placement_group(GroupName=name)
        self.assertEqual(by(), [])

    def test_refusals(self):
        create = self.ec2.create_placement_group
        create(GroupName="one", Strategy="spread")
        self.fails("InvalidPlacementGroup.Duplicate", create, GroupName="one", Strategy="cluster", message="The placement group 'one' already exists.")
        self.fails("InvalidParameterValue", create, GroupName="x", Strategy="round")
        self.fails("InvalidParameterValue", create, GroupName="x", Strategy="partition", PartitionCount=8)
        self.fails("InvalidParameterValue", create, GroupName="x" * 256, Strategy="cluster")
        self.fails("InvalidParameterCombination", create, GroupName="x", Strategy="spread", PartitionCount=2)
        self.fails("UnsupportedOperation", create, GroupName="x", Strategy="spread", SpreadLevel="host")
        self.fails("InvalidPlacementGroup.Unknown", self.ec2.delete_placement_group, GroupName="x", message="The Placement Group 'x' is unknown.")
        self.fails("InvalidPlacementGroup.Unknown", self.ec2.describe_placement_groups, GroupNames=["x"])
        self.fails("InvalidParameterValue", self.ec2.describe_placement_groups, Filters=[{"Name": "colour", "Values": ["red"]}])


class Instances(Ec2Case):
    def setUp(self):
        super().setUp()
        self.ec2 = client("ec2")
        self.names = {s: f"{s}-{uuid.uuid4().hex}" for s in ("cluster", "spread", "partition")}
        for strategy, name in self.names.items():
            more = {"PartitionCount": 2} if strategy == "partition" else {}
            self.ec2.create_placement_group(GroupName=name, Strategy=strategy, **more)
            self.addCleanup(self.ec2.delete_placement_group, GroupName=name)
        self.image = halting_image(self)

    def run_some(self, n=1, kind="t2.nano", **placement):
        return self.ec2.run_instances(ImageId=self.image, InstanceType=kind, MinCount=n, MaxCount=n, Placement=placement)["Instances"]

    def test_partitions(self):
        made = self.run_some(3, GroupName=self.names["partition"])
        ids = [i["InstanceId"] for i in made]
        end_instances(self, self.ec2, *ids)
        self.assertEqual([i["Placement"]["PartitionNumber"] for i in made], [1, 2, 1])
        self.assertEqual({i["Placement"]["GroupName"] for i in made}, {self.names["partition"]})
        found = self.ec2.describe_instances(Filters=[{"Name": "placement-group-name", "Values": [self.names["partition"]]},
                                                     {"Name": "placement-partition-number", "Values": ["2"]}])["Reservations"]
        self.assertEqual([i["InstanceId"] for r in found for i in r["Instances"]], [ids[1]])
        self.fails("InvalidPlacementGroup.InUse", self.ec2.delete_placement_group, GroupName=self.names["partition"])
        self.fails("InvalidParameterValue", self.run_some, GroupName=self.names["partition"], PartitionNumber=3)
        change = lambda **more: self.ec2.modify_instance_placement(InstanceId=ids[0], **more)  # noqa: E731
        wait_for(self, self.ec2, ids[0], "running")
        self.fails("IncorrectInstanceState", change, PartitionNumber=2)
        self.ec2.stop_instances(InstanceIds=[ids[0]], Force=True)
        wait_for(self, self.ec2, ids[0], "stopped")
        change(PartitionNumber=2)
        self.assertEqual(wait_for(self, self.ec2, ids[0], "stopped")["Placement"]["PartitionNumber"], 2)
        change(GroupName="")
        self.assertEqual(wait_for(self, self.ec2, ids[0], "stopped")["Placement"]["GroupName"], "")
        change(GroupName=self.names["spread"])
        self.assertNotIn("PartitionNumber", wait_for(self, self.ec2, ids[0], "stopped")["Placement"])
        self.fails("InvalidParameterCombination", change)
        self.fails("UnsupportedOperation", change, Tenancy="dedicated")

    def test_limits(self):
        self.fails("InsufficientInstanceCapacity", self.run_some, status=500, n=8, GroupName=self.names["spread"])
        self.fails("InvalidParameterCombination", self.run_some, GroupName=self.names["cluster"], kind="t3.micro")
        self.fails("InvalidPlacementGroup.Unknown", self.run_some, GroupName="nobody's")
        self.fails("InvalidParameterValue", self.run_some, GroupName=self.names["spread"], PartitionNumber=1)
        self.fails("UnsupportedOperation", self.run_some, Tenancy="dedicated")
        self.fails("UnsupportedOperation", self.run_some, HostId="h-0123456789abcdef0")
        made = self.run_some(kind="m1.small", GroupName=self.names["cluster"], AvailabilityZone="us-east-1a")
        end_instances(self, self.ec2, made[0]["InstanceId"])
        self.fails("InvalidParameterValue", self.run_some, kind="m1.small", GroupName=self.names["cluster"], AvailabilityZone="us-east-1b")
        self.assertEqual(made[0]["Placement"]["Tenancy"], "default")
