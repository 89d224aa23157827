"""Systems Manager's Parameter Store as clients see it: values, versions, labels, paths, filters, secrets at rest, permissions."""
import glob
import json
import os
import time
import unittest
import uuid

from aws import ENDPOINT, REGION, TestCase, aws_programs, client, run
from cloud import Cloud

IMAGE = "/aws/service/debian/release/12/latest/amd64"


class ParameterCase(TestCase):
    def setUp(self):
        self.ssm = client("ssm")
        self.root = "/t" + uuid.uuid4().hex
        self.addCleanup(self.drop)

    def drop(self):
        for page in self.ssm.get_paginator("get_parameters_by_path").paginate(Path=self.root, Recursive=True):
            names = [p["Name"] for p in page["Parameters"]]
            if names:
                self.ssm.delete_parameters(Names=names)

    def put(self, name, value="v", **kwargs):
        kwargs.setdefault("Type", "String")
        return self.ssm.put_parameter(Name=self.root + name, Value=value, **kwargs)

    def get(self, name, **kwargs):
        return self.ssm.get_parameter(Name=self.root + name, **kwargs)["Parameter"]


class Values(ParameterCase):
    def test_put_get_delete(self):
        made = self.put("/a", "one", Description="first", Tags=[{"Key": "k", "Value": "v"}])
        self.assertEqual((made["Version"], made["Tier"]), (1, "Standard"))
        p = self.get("/a")
        self.assertEqual((p["Name"], p["Type"], p["Value"], p["Version"], p["DataType"]), (self.root + "/a", "String", "one", 1, "text"))
        self.assertEqual(p["ARN"], f"arn:aws:ssm:{REGION}:000000000000:parameter{self.root}/a")
        self.assertLess(abs(p["LastModifiedDate"].timestamp() - time.time()), 60)
        self.assertEqual(self.ssm.get_parameter(Name=p["ARN"])["Parameter"]["Value"], "one")
        self.ssm.delete_parameter(Name=self.root + "/a")
        self.assertAwsError("ParameterNotFound", self.ssm.get_parameter, Name=self.root + "/a", status=400)
        self.assertAwsError("ParameterNotFound", self.ssm.delete_parameter, Name=self.root + "/a")
        self.assertEqual(self.put("/a")["Version"], 1)

    def test_overwrite(self):
        self.assertAwsError("ValidationException", self.ssm.put_parameter, Name=self.root + "/a", Value="v",
                            message="A parameter type is required when you create a parameter.")
        self.put("/a", "one", Description="kept", AllowedPattern="[a-z]+")
        self.assertAwsError("ParameterAlreadyExists", self.put, "/a", "two", message="set the overwrite option in the request to true")
        self.assertAwsError("ValidationException", self.put, "/a", "two", Overwrite=True, Tags=[{"Key": "k", "Value": "v"}],
                            message="tags and overwrite can't be used together")
        self.assertAwsError("ParameterPatternMismatchException", self.put, "/a", "2", Overwrite=True, message="[a-z]+")
        self.assertEqual(self.ssm.put_parameter(Name=self.root + "/a", Value="two", Overwrite=True)["Version"], 2)
        (d,) = self.ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [self.root + "/a"]}])["Parameters"]
        self.assertEqual((d["Description"], d["Version"], d["AllowedPattern"], d["Type"]), ("kept", 2, "[a-z]+", "String"))
        self.assertIn(":root", d["LastModifiedUser"])
        history = self.ssm.get_parameter_history(Name=self.root + "/a")["Parameters"]
        self.assertEqual([(h["Version"], h["Value"], h["Labels"]) for h in history], [(1, "one", []), (2, "two", [])])

    def test_names(self):
        for name in ("aws", "awsx", "SSM-x", "/ssm/x", "a b", "/a//b", "/a/", "/", "a?b"):
            self.assertAwsError("ValidationException", self.ssm.put_parameter, Name=name, Value="v", Type="String",
                                message='can\'t be prefixed with "aws" or "ssm"')
        for name in ("/aws/x", "/AWS/x", IMAGE):
            self.assertAwsError("AccessDeniedException", self.ssm.put_parameter, Name=name, Value="v", Type="String", status=400,
                                message="No access to reserved parameter name")
        self.assertAwsError("ValidationException", self.ssm.put_parameter, Name="a/b", Value="v", Type="String",
                            message="fully qualified name")
        self.put("/2" * 14)
        self.assertAwsError("HierarchyLevelLimitExceededException", self.put, "/2" * 15, message="maximum of 15 levels")
        long = "/" + "x" * (1011 - len(f"arn:aws:ssm:{REGION}:000000000000:parameter") - len(self.root) - 1)
        self.put(long, "long")
        self.put(long[:-1], "other")
        self.assertEqual((self.get(long)["Value"], self.get(long[:-1])["Value"]), ("long", "other"))
        self.assertAwsError("ValidationException", self.put, long + "x", message="1011")

    def test_what_a_value_may_be(self):
        self.assertAwsError("ValidationException", self.put, "/a", "", message="greater than or equal to 1")
        self.assertAwsError("ValidationException", self.put, "/a", "x{{ssm:b}}y", message="can't nest another parameter")
        self.assertAwsError("ValidationException", self.put, "/a", "v", DataType="aws:ec2", message="not supported: aws:ec2")
        self.assertAwsError("ValidationException", self.put, "/a", "ami-0123456789abcdef0", DataType="aws:ec2:image", message="ami-0123")
        self.assertAwsError("ValidationException", self.put, "/a", "v", KeyId="alias/aws/ssm", message="KeyId is not required")
        self.assertAwsError("InvalidAllowedPatternException", self.put, "/a", "v", AllowedPattern="(")
        self.assertAwsError("InvalidPolicyTypeException", self.put, "/a", "v", Tier="Advanced", Policies='[{"Type":"Expiration"}]')
        self.assertAwsError("ValidationException", self.put, "/a", "a,,b", Type="StringList", message="empty items")
        self.assertAwsError("ValidationException", self.put, "/a", "v", Type="Number", message="enum value set")
        self.assertAwsError("ParameterNotFound", self.get, "/a")
        self.put("/list", "a,b", Type="StringList")
        self.assertEqual(self.get("/list")["Value"], "a,b")

    def test_tiers(self):
        self.assertAwsError("ValidationException", self.put, "/a", "x" * 4097, message="maximum parameter value of 4096 characters")
        self.assertEqual(self.put("/a", "x" * 4096)["Tier"], "Standard")
        self.assertEqual(self.put("/i", "x", Tier="Intelligent-Tiering")["Tier"], "Standard")
        self.assertEqual(self.put("/i", "x" * 4097, Tier="Intelligent-Tiering", Overwrite=True)["Tier"], "Advanced")
        self.assertEqual(self.put("/i", "x", Overwrite=True)["Tier"], "Advanced")
        self.assertAwsError("ValidationException", self.put, "/i", "x", Tier="Standard", Overwrite=True, message="can't downgrade")
        self.assertAwsError("ValidationException", self.put, "/b", "x" * 8193, Tier="Advanced", message="8192 characters")
        self.put("/b", "\u00e9" * 8192, Tier="Advanced")
        self.assertEqual(self.get("/b")["Value"], "\u00e9" * 8192)

    def test_several_at_once(self):
        self.put("/a", "1")
        self.put("/b", "2")
        names = [self.root + "/b", self.root + "/c", self.root + "/a:1", self.root + "/a:2"]
        reply = self.ssm.get_parameters(Names=names)
        self.assertEqual([p["Value"] for p in reply["Parameters"]], ["2", "1"])
        self.assertEqual(reply["Parameters"][1]["Selector"], ":1")
        self.assertEqual(reply["InvalidParameters"], [names[1], names[3]])
        self.assertAwsError("ValidationException", self.ssm.get_parameters, Names=["x"] * 11)
        reply = self.ssm.delete_parameters(Names=names[:2])
        self.assertEqual((reply["DeletedParameters"], reply["InvalidParameters"]), (names[:1], names[1:2]))


class Secrets(ParameterCase):
    def test_of_secrets_manager(self):
        sm, name = client("secretsmanager"), "t/" + uuid.uuid4().hex
        made = sm.create_secret(Name=name, SecretString="a secret")
        path = "/aws/reference/secretsmanager/" + name
        got = self.ssm.get_parameter(Name=path, WithDecryption=True)["Parameter"]
        self.assertEqual((got["Name"], got["Type"], got["Value"], got["Version"], got["ARN"]), (path, "SecureString", "a secret", 0, made["ARN"]))
        self.assertEqual(json.loads(got["SourceResult"])["versionId"], made["VersionId"])
        sm.put_secret_value(SecretId=name, SecretString="newer")
        self.assertEqual(self.ssm.get_parameter(Name=f"{path}:{made['VersionId']}", WithDecryption=True)["Parameter"]["Value"], "a secret")
        self.assertEqual(self.ssm.get_parameter(Name=path + ":AWSPREVIOUS", WithDecryption=True)["Parameter"]["Value"], "a secret")
        both = self.ssm.get_parameters(Names=[path, path + "x"], WithDecryption=True)
        self.assertEqual(([p["Value"] for p in both["Parameters"]], both["InvalidParameters"]), (["newer"], [path + "x"]))
        self.assertAwsError("ParameterNotFound", self.ssm.get_parameter, Name=path + "x", WithDecryption=True)
        self.assertAwsError("ValidationException", self.ssm.get_parameter, Name=path, message="WithDecryption flag must be True")

    def test_sealed(self):
        secret = "hidden-" + uuid.uuid4().hex
        self.put("/s", secret, Type="SecureString")
        sealed = self.get("/s")["Value"]
        self.assertNotIn(secret, sealed)
        self.assertEqual(self.get("/s", WithDecryption=True)["Value"], secret)
        self.assertEqual(self.ssm.get_parameters(Names=[self.root + "/s"], WithDecryption=True)["Parameters"][0]["Value"], secret)
        (p,) = self.ssm.get_parameters_by_path(Path=self.root, WithDecryption=True)["Parameters"]
        self.assertEqual(p["Value"], secret)
        (h,) = self.ssm.get_parameter_history(Name=self.root + "/s")["Parameters"]
        self.assertEqual((h["Value"], h["KeyId"]), (sealed, "alias/aws/ssm"))
        arn = f"arn:aws:kms:{REGION}:000000000000:alias/aws/ssm"
        self.put("/s", secret + "2", Type="SecureString", KeyId=arn, Overwrite=True)
        self.assertEqual(self.get("/s:1", WithDecryption=True)["Value"], secret)
        self.assertAwsError("InvalidKeyId", self.put, "/t", "v", Type="SecureString", KeyId="alias/mine", message="alias/mine")
        key = client("kms").create_key()["KeyMetadata"]["KeyId"]
        self.put("/k", "by a key", Type="SecureString", KeyId=key)
        self.assertEqual(self.get("/k", WithDecryption=True)["Value"], "by a key")
        self.assertEqual(self.ssm.get_parameter_history(Name=self.root + "/k")["Parameters"][0]["KeyId"], key)
        client("kms").disable_key(KeyId=key)
        self.assertAwsError("InvalidKeyId", self.get, "/k", WithDecryption=True, message="is disabled")
        data = os.environ.get("QUARTET_DATA")
        if data:
            self.assertEqual(os.stat(data + "/ssm.key").st_size, 32)
            self.assertEqual(os.stat(data + "/ssm.key").st_mode & 0o777, 0o600)
            for path in glob.glob(data + "/**", recursive=True):
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 30 and "/images" not in path and "/ec2" not in path:
                    with open(path, "rb") as f:
                        self.assertNotIn(secret.encode(), f.read(), path)


class Versions(ParameterCase):
    def test_labels(self):
        for i in range(3):
            self.put("/a", str(i + 1), Overwrite=bool(i))
        name = self.root + "/a"
        reply = self.ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["prod", "1st", "aws-x", "ssmy", "a b"])
        self.assertEqual((reply["InvalidLabels"], reply["ParameterVersion"]), (["1st", "aws-x", "ssmy", "a b"], 1))
        p = self.get("/a:prod")
        self.assertEqual((p["Value"], p["Selector"], p["Version"]), ("1", ":prod", 1))
        self.assertEqual(self.ssm.label_parameter_version(Name=name, Labels=["prod", "new"])["ParameterVersion"], 3)
        self.assertEqual(self.get("/a:prod")["Value"], "3")
        history = self.ssm.get_parameter_history(Name=name)["Parameters"]
        self.assertEqual([h["Labels"] for h in history], [[], [], ["prod", "new"]])
        self.assertAwsError("ParameterVersionLabelLimitExceeded", self.ssm.label_parameter_version, Name=name,
                            Labels=[f"l{i}" for i in range(9)])
        self.assertAwsError("ParameterVersionNotFound", self.get, "/a:l0")
        self.assertAwsError("ParameterVersionNotFound", self.get, "/a:4",
                            message=f"could not find version 4 of {name}. Verify the version and try again.")
        self.assertAwsError("ParameterVersionNotFound", self.ssm.label_parameter_version, Name=name, ParameterVersion=9, Labels=["x"])
        self.assertAwsError("ParameterNotFound", self.ssm.label_parameter_version, Name=name + "x", Labels=["x"])
        reply = self.ssm.unlabel_parameter_version(Name=name, ParameterVersion=3, Labels=["prod", "other"])
        self.assertEqual((reply["RemovedLabels"], reply["InvalidLabels"]), (["prod"], ["other"]))
        self.assertAwsError("ParameterVersionNotFound", self.get, "/a:prod")

    def test_a_hundred(self):
        name = self.root + "/a"
        self.put("/a", "1")
        self.ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["old"])
        for i in range(2, 101):
            self.put("/a", str(i), Overwrite=True)
        self.assertAwsError("ParameterMaxVersionLimitExceeded", self.put, "/a", "101", Overwrite=True, message="Version 1, the oldest")
        self.ssm.unlabel_parameter_version(Name=name, ParameterVersion=1, Labels=["old"])
        self.assertEqual(self.put("/a", "101", Overwrite=True)["Version"], 101)
        self.assertAwsError("ParameterVersionNotFound", self.get, "/a:1")
        seen = [h["Version"] for page in self.ssm.get_paginator("get_parameter_history").paginate(Name=name, PaginationConfig={"PageSize": 30})
                for h in page["Parameters"]]
        self.assertEqual(seen, list(range(2, 102)))


class Lists(ParameterCase):
    def setUp(self):
        super().setUp()
        for name, kwargs in (("/a", {}), ("/b", {"Type": "SecureString"}), ("/sub/c", {}), ("/sub/d", {"Type": "StringList"}),
                             ("/sub/deep/e", {"Tags": [{"Key": "team", "Value": "red"}]}), ("x", {"Tier": "Advanced"})):
            self.put(name, "v", **kwargs)

    def names(self, **kwargs):
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(**kwargs)
        return [p["Name"].replace(self.root, "") for page in pages for p in page["Parameters"]]

    def described(self, *filters):
        mine = {"Key": "Name", "Option": "BeginsWith", "Values": [self.root]}
        pages = self.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=[mine, *filters], PaginationConfig={"PageSize": 2})
        return [p["Name"].replace(self.root, "") for page in pages for p in page["Parameters"]]

    def test_paths(self):
        self.assertEqual(self.names(Path=self.root), ["/a", "/b"])
        self.assertEqual(self.names(Path=self.root + "/"), ["/a", "/b"])
        self.assertEqual(self.names(Path=self.root, Recursive=True), ["/a", "/b", "/sub/c", "/sub/d", "/sub/deep/e"])
        self.assertEqual(self.names(Path=self.root + "/sub", Recursive=True, PaginationConfig={"PageSize": 1}), ["/sub/c", "/sub/d", "/sub/deep/e"])
        self.assertEqual(self.names(Path=self.root + "/none"), [])
        self.assertIn("x", self.names(Path="/"))
        kind = [{"Key": "Type", "Values": ["StringList", "SecureString"]}]
        self.assertEqual(self.names(Path=self.root, Recursive=True, ParameterFilters=kind), ["/b", "/sub/d"])
        self.ssm.label_parameter_version(Name=self.root + "/a", Labels=["prod"])
        self.put("/a", "newer", Overwrite=True)
        (p,) = self.ssm.get_parameters_by_path(Path=self.root, ParameterFilters=[{"Key": "Label", "Values": ["prod"]}])["Parameters"]
        self.assertEqual((p["Value"], p["Selector"]), ("v", ":prod"))
        self.assertAwsError("ValidationException", self.ssm.get_parameters_by_path, Path="a", message="must begin with a forward slash")
        self.assertAwsError("InvalidFilterKey", self.ssm.get_parameters_by_path, Path="/", ParameterFilters=[{"Key": "Name", "Values": ["x"]}])
        self.assertAwsError("InvalidNextToken", self.ssm.get_parameters_by_path, Path=self.root, NextToken="!")
        self.assertAwsError("ValidationException", self.ssm.get_parameters_by_path, Path=self.root, MaxResults=11)

    def test_filters(self):
        self.assertEqual(self.described(), ["/a", "/b", "/sub/c", "/sub/d", "/sub/deep/e", "x"])
        self.assertEqual(self.described({"Key": "Type", "Values": ["SecureString"]}), ["/b"])
        self.assertEqual(self.described({"Key": "KeyId", "Values": ["alias/aws/ssm"]}), ["/b"])
        self.assertEqual(self.described({"Key": "Tier", "Values": ["Advanced"]}), ["x"])
        self.assertEqual(self.described({"Key": "Path", "Values": [self.root]}), ["/a", "/b"])
        self.assertEqual(self.described({"Key": "Path", "Option": "Recursive", "Values": [self.root + "/sub"]}), ["/sub/c", "/sub/d", "/sub/deep/e"])
        self.assertEqual(self.described({"Key": "tag:team", "Values": ["red"]}), ["/sub/deep/e"])
        self.assertEqual(self.described({"Key": "tag:team", "Values": ["blue"]}), [])
        self.assertEqual(self.described({"Key": "Name", "Option": "Contains", "Values": ["/deep/"]}), ["/sub/deep/e"])
        self.assertEqual([p["Name"] for p in self.ssm.describe_parameters(Filters=[{"Key": "Name", "Values": [self.root + "/a"]}])["Parameters"]],
                         [self.root + "/a"])
        self.assertAwsError("InvalidFilterOption", self.described, {"Key": "Type", "Option": "BeginsWith", "Values": ["S"]}, message="[Equals]")
        self.assertAwsError("InvalidFilterValue", self.described, {"Key": "Type"})
        self.assertAwsError("ValidationException", self.described, {"Key": "Colour", "Values": ["red"]})
        self.assertAwsError("ValidationException", self.ssm.describe_parameters, Filters=[{"Key": "Name", "Values": ["x"]}],
                            ParameterFilters=[{"Key": "Name", "Values": ["x"]}])

    def test_tags(self):
        name = self.root + "/a"
        self.ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "k", "Value": "1"}, {"Key": "l", "Value": "1"}])
        self.ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "k", "Value": "2"}])
        tags = self.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        self.assertEqual(tags, [{"Key": "k", "Value": "2"}, {"Key": "l", "Value": "1"}])
        self.ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=["k", "none"])
        self.assertEqual(self.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"], [{"Key": "l", "Value": "1"}])
        self.assertAwsError("InvalidResourceId", self.ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId=name + "x")
        self.assertAwsError("InvalidResourceId", self.ssm.list_tags_for_resource, ResourceType="Document", ResourceId=name)
        self.assertAwsError("TooManyTagsError", self.ssm.add_tags_to_resource, ResourceType="Parameter", ResourceId=name,
                            Tags=[{"Key": f"k{i}", "Value": "v"} for i in range(50)])
        self.assertAwsError("ValidationException", self.ssm.add_tags_to_resource, ResourceType="Parameter", ResourceId=name,
                            Tags=[{"Key": "aws:x", "Value": "v"}])


class Permissions(ParameterCase):
    def user(self, *statements):
        iam, name = client("iam"), "u" + uuid.uuid4().hex[:12]
        iam.create_user(UserName=name)
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]

        def remove():
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            iam.delete_user_policy(UserName=name, PolicyName="p")
            iam.delete_user(UserName=name)
        self.addCleanup(remove)
        return [client(s, key["AccessKeyId"], key["SecretAccessKey"]) for s in ("ssm", "ec2")]

    def allow(self, actions, path):
        return {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:ssm:{REGION}:*:parameter{path}"}

    def test_paths(self):
        self.put("/a/b", "1")
        self.put("/c", "2")
        ssm, _ = self.user(self.allow(["ssm:Get*", "ssm:PutParameter"], self.root + "/a*"), {
            "Effect": "Deny", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:{REGION}:*:parameter{self.root}/a/b"})
        self.assertAwsError("AccessDeniedException", ssm.get_parameter, Name=self.root + "/a/b", message="explicit deny")
        self.assertEqual(ssm.get_parameters_by_path(Path=self.root + "/a", Recursive=True)["Parameters"][0]["Value"], "1")
        self.assertAwsError("AccessDeniedException", ssm.get_parameters_by_path, Path=self.root, Recursive=True)
        self.assertAwsError("AccessDeniedException", ssm.get_parameters, Names=[self.root + "/a/b", self.root + "/c"],
                            message=f"parameter{self.root}/c")
        self.assertAwsError("AccessDeniedException", ssm.get_parameters, Names=[self.root + "/c", self.root + "/a/b"])
        self.assertAwsError("AccessDeniedException", ssm.describe_parameters, message="ssm:DescribeParameters")
        ssm.put_parameter(Name=self.root + "/a/n", Value="v", Type="String")
        self.assertAwsError("AccessDeniedException", ssm.put_parameter, Name=self.root + "/a/m", Value="v", Type="String",
                            Tags=[{"Key": "k", "Value": "v"}], message="ssm:AddTagsToResource")
        self.assertAwsError("AccessDeniedException", ssm.delete_parameter, Name=self.root + "/a/b")

    def test_conditions(self):
        self.put("/a", "1", Tags=[{"Key": "team", "Value": "red"}])
        self.put("/b", "2")
        ssm, _ = self.user({**self.allow("ssm:GetParameter", self.root + "/*"),
                            "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}},
                           {**self.allow("ssm:PutParameter", self.root + "/*"), "Condition": {"StringEquals": {"ssm:Overwrite": "false"}}})
        self.assertEqual(ssm.get_parameter(Name=self.root + "/a")["Parameter"]["Value"], "1")
        self.assertAwsError("AccessDeniedException", ssm.get_parameter, Name=self.root + "/b")
        ssm.put_parameter(Name=self.root + "/n", Value="v", Type="String")
        self.assertAwsError("AccessDeniedException", ssm.put_parameter, Name=self.root + "/n", Value="w", Type="String", Overwrite=True)

    def test_an_image_by_name(self):
        ec2 = client("ec2")
        launch = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.nano"}
        self.put("/ami", "ami-0123456789abcdef0")
        self.put("/text", "x")
        self.assertAwsError("InvalidAMIID.NotFound", ec2.run_instances, ImageId=f"resolve:ssm:{self.root}/ami", **launch,
                            message="ami-0123456789abcdef0")
        self.assertAwsError("InvalidAMIID.NotFound", ec2.run_instances, ImageId=f"resolve:ssm:{self.root}/ami:1", **launch)
        for name in ("/text", "/ami:2", "/none"):
            self.assertAwsError("InvalidParameterValue", ec2.run_instances, ImageId=f"resolve:ssm:{self.root}{name}", **launch)
        self.assertAwsError("InvalidParameterValue", ec2.run_instances, ImageId="resolve:ssm:", **launch)
        everything = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
        _, denied = self.user(everything)
        self.assertAwsError("UnauthorizedOperation", denied.run_instances, ImageId=f"resolve:ssm:{self.root}/ami", **launch, status=403,
                            message="ssm:GetParameters")
        no_image = {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*:*:image/*"}
        _, denied = self.user(everything, no_image, self.allow("ssm:GetParameters", self.root + "/*"))
        self.assertAwsError("UnauthorizedOperation", denied.run_instances, ImageId=f"resolve:ssm:{self.root}/ami", **launch, status=403)


class PublicParameters(TestCase):
    def setUp(self):
        self.ssm, self.ec2 = client("ssm"), client("ec2")
        for _ in range(50):
            images = self.ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["debian-12-*"]}])["Images"]
            if images or not os.path.exists("/var/cache/quartet/images/debian-12-amd64/image.json"):
                break
            time.sleep(0.2)
        if not images:
            self.skipTest("no machine image: tools/make-image makes it")
        self.image = images[0]["ImageId"]

    def test_look_ups(self):
        p = self.ssm.get_parameter(Name=IMAGE)["Parameter"]
        self.assertEqual((p["Value"], p["Version"], p["ARN"]), (self.image, 1, f"arn:aws:ssm:{REGION}::parameter{IMAGE}"))
        found = self.ssm.get_parameters_by_path(Path="/aws/service/ami-amazon-linux-latest")["Parameters"]
        self.assertIn("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", [p["Name"] for p in found])
        self.assertEqual({p["Value"] for p in found}, {self.image})
        self.assertTrue(self.ec2.describe_images(ImageIds=[self.image])["Images"][0]["Name"].startswith("debian-12-"))
        self.assertAwsError("ParameterNotFound", self.ssm.get_parameter, Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64")
        self.assertAwsError("ParameterNotFound", self.ssm.delete_parameter, Name=IMAGE)
        # the image is what the parameter says: one for another processor
        self.assertAwsError("InvalidParameterValue", self.ec2.run_instances, ImageId="resolve:ssm:" + IMAGE, MinCount=1, MaxCount=1,
                            InstanceType="a1.large", message="architecture 'arm64'")

    def test_data_type(self):
        name = "/t" + uuid.uuid4().hex
        self.ssm.put_parameter(Name=name, Value=self.image, Type="String", DataType="aws:ec2:image")
        self.addCleanup(self.ssm.delete_parameter, Name=name)
        self.assertEqual(self.ssm.get_parameter(Name=name)["Parameter"]["DataType"], "aws:ec2:image")
        self.assertAwsError("ValidationException", self.ssm.put_parameter, Name=name, Value="x", Overwrite=True)


class Durability(TestCase):
    def test_kills(self):
        """What was acknowledged is there after a kill, secrets too; without its key a secret is not told, and nothing else is lost."""
        with Cloud() as cloud:
            ssm = client("ssm", endpoint=cloud.endpoint)
            for i in range(10):
                ssm.put_parameter(Name=f"/p{i}", Value=f"hidden{i}", Type="SecureString" if i % 2 else "String")
            ssm.delete_parameter(Name="/p0")
            cloud.wait_for_role("api", other_than=cloud.kill("api"))
            ssm = client("ssm", endpoint=cloud.endpoint, retries={"max_attempts": 8})
            found = ssm.get_parameters_by_path(Path="/", WithDecryption=True)["Parameters"]
            self.assertEqual([(p["Name"], p["Value"]) for p in found], [(f"/p{i}", f"hidden{i}") for i in range(1, 10)])
            os.unlink(cloud.data + "/ssm.key")
            cloud.wait_for_role("api", other_than=cloud.kill("api"))
            self.assertAwsError("InternalFailure", client("ssm", endpoint=cloud.endpoint).get_parameter, Name="/p1", WithDecryption=True, status=500)
            self.assertEqual(ssm.get_parameter(Name="/p2")["Parameter"]["Value"], "hidden2")


class Tools(ParameterCase):
    def test_command_lines(self):
        programs = aws_programs()
        if not programs:
            self.skipTest("no AWS CLI")
        for i, program in enumerate(programs):
            name = f"{self.root}/cli{i}"
            run(program, "--endpoint-url", ENDPOINT, "ssm", "put-parameter", "--name", name, "--value", "a b", "--type", "SecureString", "--tags", "Key=k,Value=v")
            got = run(program, "--endpoint-url", ENDPOINT, "ssm", "get-parameter", "--name", name, "--with-decryption", "--query", "Parameter.Value", "--output", "text")
            self.assertEqual(got.stdout.strip(), "a b")
            listed = json.loads(run(program, "--endpoint-url", ENDPOINT, "ssm", "describe-parameters", "--parameter-filters", f"Key=Name,Values={name}").stdout)
            self.assertEqual([p["Name"] for p in listed["Parameters"]], [name])
            failed = run(program, "--endpoint-url", ENDPOINT, "ssm", "get-parameter", "--name", name + "x", check=False)
            self.assertIn("ParameterNotFound", failed.stderr)
            run(program, "--endpoint-url", ENDPOINT, "ssm", "delete-parameter", "--name", name)
            refused = run(program, "--endpoint-url", ENDPOINT, "ssm", "list-documents", check=False)
            self.assertIn("Quartet does not provide the operation ssm:ListDocuments", refused.stderr)


if __name__ == "__main__":
    unittest.main()
