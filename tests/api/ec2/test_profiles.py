"""Instance profiles of instances that are there, as associations; and small operations beside."""
import json
import unittest
import uuid

from aws import client
from ec2 import Ec2Case, end_instances, halting_image, names, wait_for

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


class Profiles(Ec2Case):
    def setUp(self):
        self.region, self.ec2, self.iam = "us-east-1", client("ec2"), client("iam")

    def profile(self):
        name = "p" + uuid.uuid4().hex[:12]
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        self.addCleanup(self.iam.delete_role, RoleName=name)
        made = self.iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        self.addCleanup(self.iam.delete_instance_profile, InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        self.addCleanup(self.iam.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=name)
        return {"Arn": made["Arn"], "Id": made["InstanceProfileId"]}

    def listed(self, **more):
        return self.ec2.describe_iam_instance_profile_associations(**more)["IamInstanceProfileAssociations"]

    def of(self, instance):
        return self.listed(Filters=[{"Name": "instance-id", "Values": [instance]}])

    def shown(self, instance):
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0].get("IamInstanceProfile")

    def test_a_life(self):
        one, two = self.profile(), self.profile()
        image = halting_image(self)
        first, second = [i["InstanceId"] for i in self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=2, MaxCount=2)["Instances"]]
        third = self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=1, MaxCount=1, IamInstanceProfile={"Arn": one["Arn"]})["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, first, second, third)
        wait_for(self, self.ec2, first, "running")
        launched = self.of(third)[0]
        self.assertEqual((launched["IamInstanceProfile"], launched["State"]), (one, "associated"))
        self.assertRegex(launched["AssociationId"], "^iip-assoc-[0-9a-f]{17}$")
        self.assertEqual(self.of(first), [])
        given = self.ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": one["Arn"].rsplit("/")[-1]}, InstanceId=first)["IamInstanceProfileAssociation"]
        self.assertEqual((given["InstanceId"], given["IamInstanceProfile"], given["State"]), (first, one, "associating"))
        self.assertEqual(self.shown(first), one)
        self.fails("IncorrectState", self.ec2.associate_iam_instance_profile, "There is an existing association for instance " + first,
                   IamInstanceProfile={"Arn": two["Arn"]}, InstanceId=first)
        self.assertEqual(names(self.listed(AssociationIds=[given["AssociationId"], launched["AssociationId"]]), "InstanceId"), sorted([first, third]))
        replaced = self.ec2.replace_iam_instance_profile_association(IamInstanceProfile={"Arn": two["Arn"]}, AssociationId=given["AssociationId"])["IamInstanceProfileAssociation"]
        self.assertEqual((replaced["InstanceId"], replaced["IamInstanceProfile"]), (first, two))
        self.assertEqual(self.shown(first), two)
        self.fails("InvalidAssociationID.NotFound", self.listed, AssociationIds=[given["AssociationId"]])
        gone = self.ec2.disassociate_iam_instance_profile(AssociationId=replaced["AssociationId"])["IamInstanceProfileAssociation"]
        self.assertEqual((gone["State"], gone["IamInstanceProfile"]), ("disassociating", two))
        self.assertIsNone(self.shown(first))
        self.fails("InvalidAssociationID.NotFound", self.ec2.disassociate_iam_instance_profile, "An invalid association-id of", AssociationId=replaced["AssociationId"])
        self.fails("InvalidParameterValue", self.ec2.associate_iam_instance_profile, IamInstanceProfile={"Name": "none-such"}, InstanceId=second)
        self.ec2.modify_instance_attribute(InstanceId=first, SourceDestCheck={"Value": False})
        self.ec2.reset_instance_attribute(InstanceId=first, Attribute="sourceDestCheck")
        self.assertTrue(self.ec2.describe_instance_attribute(InstanceId=first, Attribute="sourceDestCheck")["SourceDestCheck"]["Value"])
        self.fails("UnsupportedOperation", self.ec2.reset_instance_attribute, InstanceId=first, Attribute="kernel")
        self.assertEqual(self.ec2.get_password_data(InstanceId=first)["PasswordData"], "")
        # who may not pass the role may not give it
        mine = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
        self.fails("UnauthorizedOperation", mine.associate_iam_instance_profile, status=403, IamInstanceProfile={"Arn": one["Arn"]}, InstanceId=second)
        self.assertIsNone(self.shown(second))
        self.ec2.terminate_instances(InstanceIds=[third])
        self.assertEqual(self.of(third), [])

    def test_attributes_of_an_image(self):
        image = halting_image(self)
        ask = lambda what: self.ec2.describe_image_attribute(ImageId=image, Attribute=what)  # noqa: E731
        self.assertEqual(ask("launchPermission")["LaunchPermissions"], [])
        self.ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "111122223333"}, {"Group": "all"}]})
        self.assertEqual(ask("launchPermission")["LaunchPermissions"], [{"Group": "all"}, {"UserId": "111122223333"}])
        self.ec2.modify_image_attribute(ImageId=image, Description={"Value": "words"})
        self.assertEqual(ask("description")["Description"], {"Value": "words"})
        self.assertIn("SnapshotId", ask("blockDeviceMapping")["BlockDeviceMappings"][0]["Ebs"])
        self.ec2.reset_image_attribute(ImageId=image, Attribute="launchPermission")
        self.assertEqual(ask("launchPermission")["LaunchPermissions"], [])
        self.assertFalse(self.ec2.describe_images(ImageIds=[image])["Images"][0]["Public"])
        self.fails("InvalidAMIID.NotFound", self.ec2.describe_image_attribute, ImageId="ami-00000000000000000", Attribute="description")


class Choosing(Ec2Case):
    NEEDS = {"VCpuCount": {"Min": 2, "Max": 4}, "MemoryMiB": {"Min": 4096, "Max": 8192}}

    def types(self, **more):
        found = self.ec2.get_instance_types_from_instance_requirements(ArchitectureTypes=["x86_64"], VirtualizationTypes=["hvm"], InstanceRequirements={**self.NEEDS, **more})
        return [t["InstanceType"] for t in found["InstanceTypes"]]

    def test_by_requirements(self):
        found = self.types()
        self.assertIn("c5.large", found)
        self.assertIn("m5.large", found)
        facts = {t["InstanceType"]: t for page in self.ec2.get_paginator("describe_instance_types").paginate() for t in page["InstanceTypes"]}
        wanted = [n for n, t in facts.items() if 2 <= t["VCpuInfo"]["DefaultVCpus"] <= 4 and 4096 <= t["MemoryInfo"]["SizeInMiB"] <= 8192 and
                  not t["BurstablePerformanceSupported"]]
        self.assertEqual(sorted(found), sorted(wanted))
        bursting = self.types(BurstablePerformance="required")
        self.assertIn("t3.medium", bursting)
        self.assertEqual({facts[t]["BurstablePerformanceSupported"] for t in bursting}, {True})
        self.assertEqual(sorted(self.types(BurstablePerformance="included")), sorted(found + bursting))
        self.assertEqual(set(self.types(AllowedInstanceTypes=["c5*"])), {t for t in found if t.startswith("c5")})
        self.assertEqual(set(self.types(ExcludedInstanceTypes=["c*", "m*"])), {t for t in found if t[0] not in "cm"})
        self.assertEqual({t.split(".")[0][2:3] for t in self.types(CpuManufacturers=["amd"])} - {"a", "-"}, set())
        self.assertEqual({facts[t]["CurrentGeneration"] for t in self.types(InstanceGenerations=["previous"])} - {False}, set())
        self.assertEqual(self.types(AcceleratorCount={"Min": 1}), [])
        self.assertEqual(self.types(BareMetal="required"), [])
        self.assertEqual(set(self.types(MemoryGiBPerVCpu={"Min": 4, "Max": 4})), {t for t in found if facts[t]["MemoryInfo"]["SizeInMiB"] / facts[t]["VCpuInfo"]["DefaultVCpus"] == 4096})
        pages = list(self.ec2.get_paginator("get_instance_types_from_instance_requirements").paginate(
            ArchitectureTypes=["x86_64"], VirtualizationTypes=["hvm"], InstanceRequirements=self.NEEDS, PaginationConfig={"PageSize": 7}))
        self.assertEqual([t["InstanceType"] for p in pages for t in p["InstanceTypes"]], found)
        self.fails("InvalidParameterCombination", self.types, AllowedInstanceTypes=["a*"], ExcludedInstanceTypes=["b*"])
        self.fails("UnsupportedOperation", self.types, status=None, NetworkBandwidthGbps={"Min": 1})

    def test_scores(self):
        ask = self.ec2.get_spot_placement_scores
        some = ask(InstanceTypes=["t3.nano"], TargetCapacity=1, RegionNames=[self.region], SingleAvailabilityZone=True)["SpotPlacementScores"]
        self.assertEqual([s["Region"] for s in some], [self.region] * 3)
        self.assertEqual(len({s["AvailabilityZoneId"] for s in some}), 3)
        self.assertEqual({s["Score"] for s in some}, {10})
        huge = ask(InstanceTypes=["t3.nano"], TargetCapacity=1000000, TargetCapacityUnitType="vcpu", RegionNames=[self.region])["SpotPlacementScores"]
        self.assertEqual([(s["Region"], s["Score"]) for s in huge], [(self.region, 1)])
        self.assertEqual(ask(TargetCapacity=1, InstanceRequirementsWithMetadata={
            "ArchitectureTypes": ["x86_64"], "InstanceRequirements": {"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 1}, "BurstablePerformance": "included"}})["SpotPlacementScores"][0]["Score"], 10)
        self.fails("InvalidParameterCombination", ask, TargetCapacity=1)
        self.fails("InvalidParameterValue", ask, TargetCapacity=1, InstanceTypes=["no.such"])

    def test_groups_for_a_vpc(self):
        vpc = self.vpc()
        mine = self.group(vpc, "mine")
        reply = self.query("GetSecurityGroupsForVpc", VpcId=vpc)
        self.assertEqual(reply.status, 200)
        self.assertIn(mine.encode(), reply.body)
        self.assertEqual(reply.body.count(b"<groupId>"), 2)
        self.assertEqual(reply.body.count(vpc.encode()), 2)
        one = self.query("GetSecurityGroupsForVpc", **{"VpcId": vpc, "Filter.1.Name": "group-name", "Filter.1.Value.1": "mine"})
        self.assertEqual(one.body.count(b"<groupId>"), 1)
        self.assertIn(b"InvalidVpcID.NotFound", self.query("GetSecurityGroupsForVpc", VpcId="vpc-00000000000000000").body)


if __name__ == "__main__":
    unittest.main()
