"""Launch templates: their versions, and instances that come of them."""
import base64
import unittest

import images
from aws import client
from ec2 import Ec2Case

NO_SUCH = "lt-0123456789abcdef0"


class Templates(Ec2Case):
    def make(self, name="web", **data):
        return self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data or {"InstanceType": "t3.micro"})["LaunchTemplate"]

    def version(self, template, source=None, **data):
        more = {"SourceVersion": source} if source else {}
        return self.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data, **more)["LaunchTemplateVersion"]

    def versions(self, template, **more):
        return self.ec2.describe_launch_template_versions(LaunchTemplateId=template, **more)["LaunchTemplateVersions"]

    def test_a_template_and_its_first_version(self):
        made = self.ec2.create_launch_template(LaunchTemplateName="a-b(1).c/d_e", VersionDescription="first",
                                               LaunchTemplateData={"InstanceType": "t3.micro", "KeyName": "k"}, ClientToken="once",
                                               TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": "x"}]}])
        template = made["LaunchTemplate"]
        self.assertRegex(template["LaunchTemplateId"], "^lt-0[0-9a-f]{16}$")
        self.assertEqual((template["DefaultVersionNumber"], template["LatestVersionNumber"]), (1, 1))
        self.assertEqual(template["Tags"], [{"Key": "team", "Value": "x"}])
        self.assertIn(":root", template["CreatedBy"])
        again = self.ec2.create_launch_template(LaunchTemplateName="a-b(1).c/d_e", VersionDescription="first",
                                                LaunchTemplateData={"InstanceType": "t3.micro", "KeyName": "k"}, ClientToken="once",
                                                TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": "x"}]}])
        self.assertEqual(again["LaunchTemplate"]["LaunchTemplateId"], template["LaunchTemplateId"])
        self.fails("IdempotentParameterMismatch", self.ec2.create_launch_template, LaunchTemplateName="other",
                   LaunchTemplateData={"KeyName": "k"}, ClientToken="once")
        version, = self.versions(template["LaunchTemplateId"])
        self.assertEqual(version["VersionDescription"], "first")
        self.assertEqual((version["VersionNumber"], version["DefaultVersion"]), (1, True))
        self.assertEqual(version["LaunchTemplateData"], {"InstanceType": "t3.micro", "KeyName": "k"})
        self.assertEqual(self.ec2.describe_launch_templates(LaunchTemplateNames=["a-b(1).c/d_e"])["LaunchTemplates"], [template])
        self.ec2.create_tags(Resources=[template["LaunchTemplateId"]], Tags=[{"Key": "more", "Value": "y"}])
        found = self.ec2.describe_launch_templates(Filters=[{"Name": "tag:more", "Values": ["y"]}])["LaunchTemplates"]
        self.assertEqual([t["LaunchTemplateId"] for t in found], [template["LaunchTemplateId"]])
        self.assertEqual(self.ec2.delete_launch_template(LaunchTemplateName="a-b(1).c/d_e")["LaunchTemplate"]["LaunchTemplateId"],
                         template["LaunchTemplateId"])
        self.assertEqual(self.ec2.describe_launch_templates()["LaunchTemplates"], [])

    def test_everything_that_is_given_is_shown(self):
        data = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.small", "EbsOptimized": True, "Monitoring": {"Enabled": False},
                "IamInstanceProfile": {"Name": "role"}, "DisableApiTermination": True, "InstanceInitiatedShutdownBehavior": "terminate",
                "UserData": base64.b64encode(b"#!/bin/sh\n").decode(),
                "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3, "VolumeType": "gp3", "DeleteOnTermination": True}}],
                "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-0123456789abcdef0", "Groups": ["sg-0123456789abcdef0"],
                                       "AssociatePublicIpAddress": True, "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "10.0.0.9"}]}],
                "Placement": {"AvailabilityZone": "us-east-1a"}, "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]}
        version, = self.versions(self.make(**data)["LaunchTemplateId"])
        self.assertEqual(version["LaunchTemplateData"], data)

    def test_versions(self):
        template = self.make(InstanceType="t3.micro", KeyName="k", SecurityGroups=["web"])["LaunchTemplateId"]
        self.assertEqual(self.version(template, InstanceType="t3.small")["LaunchTemplateData"], {"InstanceType": "t3.small"})
        third = self.version(template, source="1", InstanceType="t3.large", SecurityGroupIds=["sg-0123456789abcdef0"])
        self.assertEqual((third["VersionNumber"], third["DefaultVersion"]), (3, False))
        self.assertEqual(third["LaunchTemplateData"], {"InstanceType": "t3.large", "KeyName": "k", "SecurityGroupIds": ["sg-0123456789abcdef0"]})
        self.assertEqual([v["VersionNumber"] for v in self.versions(template)], [3, 2, 1])
        self.assertEqual([v["VersionNumber"] for v in self.versions(template, MinVersion="2", MaxVersion="$Latest")], [3, 2])
        self.assertEqual([v["VersionNumber"] for v in self.versions(template, Versions=["1", "$Latest", "$Default"])], [1, 3])
        self.assertEqual([v["VersionNumber"] for v in self.versions(template, Filters=[{"Name": "is-default-version", "Values": ["true"]}])], [1])
        self.assertEqual([v["VersionNumber"] for v in self.versions(template, Filters=[{"Name": "instance-type", "Values": ["t3.l*"]}])], [3])
        pages, token = [], {}
        while True:
            page = self.ec2.describe_launch_template_versions(LaunchTemplateId=template, MaxResults=2, **token)
            pages.append([v["VersionNumber"] for v in page["LaunchTemplateVersions"]])
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        self.assertEqual(pages, [[3, 2], [1]])
        changed = self.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")["LaunchTemplate"]
        self.assertEqual((changed["DefaultVersionNumber"], changed["LatestVersionNumber"]), (2, 3))
        self.assertEqual([v["DefaultVersion"] for v in self.versions(template)], [False, True, False])
        gone = self.ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["3", "2", "9"])
        self.assertEqual([v["VersionNumber"] for v in gone["SuccessfullyDeletedLaunchTemplateVersions"]], [3])
        self.assertEqual([(v["VersionNumber"], v["ResponseError"]["Code"]) for v in gone["UnsuccessfullyDeletedLaunchTemplateVersions"]],
                         [(2, "unexpectedError"), (9, "launchTemplateVersionDoesNotExist")])
        # a number is not given twice
        self.assertEqual(self.version(template, KeyName="l")["VersionNumber"], 4)
        other = self.make("other")["LaunchTemplateId"]
        latest = self.ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
        self.assertEqual({(v["LaunchTemplateId"], v["VersionNumber"]) for v in latest}, {(template, 4), (other, 1)})

    def test_pages_of_templates(self):
        names = {self.make(f"web-{i}")["LaunchTemplateName"] for i in range(5)}
        pages = self.ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 2})
        pages = [[t["LaunchTemplateName"] for t in p["LaunchTemplates"]] for p in pages]
        self.assertEqual([len(p) for p in pages], [2, 2, 1])
        self.assertEqual({n for p in pages for n in p}, names)
        found = self.ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": ["*-3"]}])["LaunchTemplates"]
        self.assertEqual([t["LaunchTemplateName"] for t in found], ["web-3"])

    def test_refusals(self):
        template = self.make()["LaunchTemplateId"]
        create = client("ec2", region=self.region, parameter_validation=False).create_launch_template
        versions = self.ec2.describe_launch_template_versions
        for name in ("ab", "x" * 129, "with space", "umlaut-ä"):
            with self.subTest(name=name):
                self.fails("InvalidLaunchTemplateName.MalformedException", create, LaunchTemplateName=name, LaunchTemplateData={"KeyName": "k"})
        self.fails("InvalidLaunchTemplateName.AlreadyExistsException", create, "Launch template name already in use.",
                   LaunchTemplateName="web", LaunchTemplateData={"KeyName": "k"})
        self.fails("MissingParameter", create, LaunchTemplateName="empty", LaunchTemplateData={})
        self.fails("InvalidUserData.Malformed", create, LaunchTemplateName="empty", LaunchTemplateData={"UserData": "!"})
        self.fails("InvalidParameterValue", create, LaunchTemplateName="long",
                   LaunchTemplateData={"UserData": base64.b64encode(b"x" * 16385).decode()})
        self.fails("InvalidLaunchTemplateId.NotFound", versions,
                   f"The specified launch template, with template ID {NO_SUCH}, does not exist.", LaunchTemplateId=NO_SUCH)
        self.fails("InvalidLaunchTemplateId.NotFound", self.ec2.describe_launch_templates, LaunchTemplateIds=[NO_SUCH])
        self.fails("InvalidLaunchTemplateId.Malformed", self.ec2.describe_launch_templates, LaunchTemplateIds=["lt-1"])
        self.fails("InvalidLaunchTemplateName.NotFoundException", self.ec2.describe_launch_templates,
                   "The specified launch template, with template name none, does not exist.", LaunchTemplateNames=["none"])
        self.fails("InvalidLaunchTemplateName.NotFoundException", self.ec2.delete_launch_template, LaunchTemplateName="none")
        self.fails("InvalidLaunchTemplateId.VersionNotFound", versions,
                   f"Could not find the specified version 7 for the launch template with ID {template}.", LaunchTemplateId=template, Versions=["7"])
        self.fails("InvalidLaunchTemplateId.VersionNotFound", self.ec2.modify_launch_template, LaunchTemplateId=template, DefaultVersion="7")
        self.fails("InvalidLaunchTemplateId.VersionNotFound", self.ec2.create_launch_template_version, LaunchTemplateId=template,
                   SourceVersion="7", LaunchTemplateData={"KeyName": "k"})
        self.fails("InvalidParameterValue", versions, LaunchTemplateId=template, Versions=["newest"])
        self.fails("InvalidParameterCombination", versions, LaunchTemplateId=template, LaunchTemplateName="web")
        self.fails("InvalidParameterCombination", versions, LaunchTemplateId=template, Versions=["1"], MinVersion="1")
        self.fails("MissingParameter", versions)
        self.fails("InvalidParameterCombination", versions, Versions=["1"])
        self.fails("InvalidParameterValue", versions, LaunchTemplateId=template, Filters=[{"Name": "colour", "Values": ["red"]}])
        self.fails("DryRunOperation", self.ec2.delete_launch_template, LaunchTemplateId=template, DryRun=True, status=412)
        self.assertEqual(len(self.versions(template)), 1)

    def test_run_instances_sees_what_the_template_says(self):
        run = self.ec2.run_instances
        self.fails("InvalidLaunchTemplateId.NotFound", run, MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateId": NO_SUCH})
        template = self.make(ImageId="ami-0123456789abcdef0", InstanceType="t3.micro")["LaunchTemplateId"]
        self.version(template, ImageId="ami-0123456789abcdef1")
        self.version(template, KeyName="k")
        self.version(template, ImageId="ami-0123456789abcdef0", HibernationOptions={"Configured": True})
        self.version(template, ImageId="ami-0123456789abcdef0", InstanceRequirements={"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 1}})
        of = lambda version: {"MinCount": 1, "MaxCount": 1, "LaunchTemplate": {"LaunchTemplateName": "web", "Version": version}}  # noqa: E731
        self.fails("InvalidAMIID.NotFound", run, "The image id '[ami-0123456789abcdef0]' does not exist", MinCount=1, MaxCount=1,
                   LaunchTemplate={"LaunchTemplateId": template})
        self.fails("InvalidAMIID.NotFound", run, "The image id '[ami-0123456789abcdef1]' does not exist", **of("2"))
        self.fails("InvalidAMIID.NotFound", run, "The image id '[ami-0123456789abcdef2]' does not exist", ImageId="ami-0123456789abcdef2", **of("2"))
        self.fails("MissingParameter", run, **of("3"))
        self.fails("UnsupportedHibernationConfiguration", run, **of("4"))
        self.fails("UnsupportedOperation", run, **of("$Latest"))
        self.fails("InvalidLaunchTemplateId.VersionNotFound", run, **of("9"))

    def test_an_instance_of_a_template(self):
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no image: tools/make-image")
        tags = lambda **pairs: [{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in pairs.items()]}]  # noqa: E731
        user_data = base64.b64encode(b"#!/bin/sh\ntrue\n").decode()
        template = self.make(ImageId=image, InstanceType="t3.micro", UserData=user_data, TagSpecifications=tags(a="1", b="1"),
                             InstanceInitiatedShutdownBehavior="terminate", MetadataOptions={"HttpTokens": "required"})["LaunchTemplateId"]
        made = self.ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateId": template}, TagSpecifications=tags(b="2", c="2"),
                                      InstanceType="t3.nano")["Instances"][0]
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=[made["InstanceId"]])
        self.assertEqual((made["InstanceType"], made["MetadataOptions"]["HttpTokens"]), ("t3.nano", "required"))
        self.assertEqual({t["Key"]: t["Value"] for t in made["Tags"] if t["Key"] != "aws:quartet:driver"},
                         {"a": "1", "b": "2", "c": "2", "aws:ec2launchtemplate:id": template, "aws:ec2launchtemplate:version": "1"})
        attribute = lambda name: self.ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute=name)  # noqa: E731
        self.assertEqual(attribute("userData")["UserData"]["Value"], user_data)
        self.assertEqual(attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"]["Value"], "terminate")
        # and back again: what would make such an instance
        data = self.ec2.get_launch_template_data(InstanceId=made["InstanceId"])["LaunchTemplateData"]
        self.assertEqual((data["ImageId"], data["InstanceType"], data["UserData"]), (image, "t3.nano", user_data))
        self.assertEqual(data["NetworkInterfaces"][0]["SubnetId"], made["SubnetId"])
        self.assertEqual(data["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"], True)
        self.assertEqual({t["Key"] for t in data["TagSpecifications"][0]["Tags"]}, {"a", "b", "c"})
        self.make("copy", **data)

    def test_permissions(self):
        mine, other = self.make("mine")["LaunchTemplateId"], self.make("other")["LaunchTemplateId"]
        template = self.ec2.create_launch_template(LaunchTemplateName="free", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0"})["LaunchTemplate"]
        ec2 = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "arn:aws:ec2:*:*:launch-template/" + mine},
                        {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": ["arn:aws:ec2:*:*:launch-template/*", "arn:aws:ec2:*:*:instance/*"]})
        ec2.modify_launch_template(LaunchTemplateName="mine", DefaultVersion="1")
        self.fails("UnauthorizedOperation", ec2.modify_launch_template, LaunchTemplateName="other", DefaultVersion="1", status=403)
        self.fails("UnauthorizedOperation", ec2.delete_launch_template, LaunchTemplateId=other, status=403)
        # the image that a template names is asked about as well
        self.fails("UnauthorizedOperation", ec2.run_instances, MinCount=1, MaxCount=1,
                   LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"]}, status=403)


if __name__ == "__main__":
    unittest.main()
