"""Creation templates: repositories that a push makes, with the settings of the most particular prefix. (What a pull-through cache makes is in test_pull_through.py.)"""
import json
import os
import pathlib
import shutil
import tempfile
import unittest
import urllib.error
import urllib.request
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from aws import ENDPOINT, TestCase, client, run
from registry import OCI, Registry, code, digest, layout, password

ACCOUNT = "000000000000"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchDeleteImage"}]})
LIFECYCLE = json.dumps({"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
                                   "action": {"type": "expire"}}]})


class Templates(TestCase):
    def setUp(self):
        # templates are a registry's, so each test has a region's registry of its own
        self.region = f"test-{uuid.uuid4().hex[:8]}-1"
        self.ecr = client("ecr", region=self.region)
        self.addCleanup(self.forget)

    def forget(self):
        for r in self.ecr.describe_repositories()["repositories"]:
            self.ecr.delete_repository(repositoryName=r["repositoryName"], force=True)
        for t in self.ask("DescribeRepositoryCreationTemplates")["repositoryCreationTemplates"]:
            self.ask("DeleteRepositoryCreationTemplate", prefix=t["prefix"])

    def ask(self, operation, fails=None, **body):
        """Debian's boto3 does not know these operations: the request is spelled out."""
        request = botocore.awsrequest.AWSRequest("POST", ENDPOINT + "/", data=json.dumps(body), headers={
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921." + operation, "Content-Type": "application/x-amz-json-1.1"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "ecr", self.region).add_auth(request)
        try:
            with urllib.request.urlopen(urllib.request.Request(request.url, data=request.data.encode(), headers=dict(request.headers))) as reply:
                self.assertIsNone(fails)
                return json.load(reply)
        except urllib.error.HTTPError as error:
            said = json.load(error)
            self.assertEqual(said["__type"].split("#")[-1], fails, said)
            return said

    def template(self, prefix, *applied, **more):
        return self.ask("CreateRepositoryCreationTemplate", prefix=prefix, appliedFor=list(applied or ("CREATE_ON_PUSH",)), **more)["repositoryCreationTemplate"]

    def registry(self, name, ecr=None):
        return Registry(ecr or self.ecr, ENDPOINT, name)

    def repository(self, name):
        return self.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]

    def push(self, name, tag="1", status=201):
        r = self.registry(name)
        reply, made, _ = r.push_manifest(r.manifest(name), tag)
        self.assertEqual(reply.status, status, reply.body)
        return made

    def test_life(self):
        made = self.template("team/", "CREATE_ON_PUSH", "PULL_THROUGH_CACHE", description="all of it", imageTagMutability="IMMUTABLE", repositoryPolicy=POLICY,
                             lifecyclePolicy=LIFECYCLE, resourceTags=[{"Key": "a", "Value": "1"}])
        self.assertEqual((made["prefix"], made["description"], made["imageTagMutability"], made["encryptionConfiguration"]),
                         ("team", "all of it", "IMMUTABLE", {"encryptionType": "AES256"}))
        self.assertEqual((made["repositoryPolicy"], made["lifecyclePolicy"], made["resourceTags"]), (POLICY, LIFECYCLE, [{"Key": "a", "Value": "1"}]))
        self.assertEqual(self.ask("DescribeRepositoryCreationTemplates"), {"registryId": ACCOUNT, "repositoryCreationTemplates": [made]})
        self.ask("CreateRepositoryCreationTemplate", "TemplateAlreadyExistsException", prefix="team", appliedFor=["CREATE_ON_PUSH"])
        for n in range(3):
            self.template(f"other{n}")
        page = self.ask("DescribeRepositoryCreationTemplates", maxResults=3)
        rest = self.ask("DescribeRepositoryCreationTemplates", nextToken=page["nextToken"])
        self.assertEqual([t["prefix"] for t in page["repositoryCreationTemplates"] + rest["repositoryCreationTemplates"]], ["other0", "other1", "other2", "team"])
        found = self.ask("DescribeRepositoryCreationTemplates", prefixes=["other1", "none"])["repositoryCreationTemplates"]
        self.assertEqual([t["prefix"] for t in found], ["other1"])
        now = self.ask("UpdateRepositoryCreationTemplate", prefix="team", lifecyclePolicy="", appliedFor=["CREATE_ON_PUSH"])["repositoryCreationTemplate"]
        self.assertNotIn("lifecyclePolicy", now)
        self.assertEqual((now["imageTagMutability"], now["repositoryPolicy"], now["appliedFor"], now["createdAt"]),
                         ("IMMUTABLE", POLICY, ["CREATE_ON_PUSH"], made["createdAt"]))
        self.assertEqual(self.ask("DeleteRepositoryCreationTemplate", prefix="team")["repositoryCreationTemplate"], now)
        for operation in ("DeleteRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"):
            self.ask(operation, "TemplateNotFoundException", prefix="team")

    def test_refusals(self):
        bad = lambda **more: self.ask("CreateRepositoryCreationTemplate", "InvalidParameterException", **{"prefix": "p", "appliedFor": ["CREATE_ON_PUSH"], **more})
        for more in ({"appliedFor": []}, {"appliedFor": ["REPLICATION"]}, {"appliedFor": ["SOMETHING"]}, {"prefix": "Upper"}, {"prefix": "a//b"},
                     {"lifecyclePolicy": "{}"}, {"repositoryPolicy": "{}"}, {"encryptionConfiguration": {"encryptionType": "KMS"}}, {"customRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"},
                     {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}):
            with self.subTest(str(more)):
                bad(**more)
        self.assertEqual(self.ask("DescribeRepositoryCreationTemplates")["repositoryCreationTemplates"], [])

    def test_push_makes_the_repository(self):
        """By whatever a client begins with: an upload, one at once, or a manifest; reading makes nothing."""
        self.template("team", imageTagMutability="IMMUTABLE", repositoryPolicy=POLICY, lifecyclePolicy=LIFECYCLE, resourceTags=[{"Key": "a", "Value": "1"}])
        for method, path in (("GET", "manifests/1"), ("HEAD", "manifests/1"), ("HEAD", "blobs/" + digest(b"x")), ("GET", "tags/list"), ("DELETE", "manifests/1")):
            self.assertEqual(self.registry("team/app")(method, path).status, 404)
        self.assertEqual(self.ecr.describe_repositories()["repositories"], [])
        made = self.push("team/app")  # blobs by one POST each
        r = self.repository("team/app")
        self.assertEqual(r["imageTagMutability"], "IMMUTABLE")
        self.assertEqual(self.ecr.get_repository_policy(repositoryName="team/app")["policyText"], POLICY)
        self.assertEqual(self.ecr.get_lifecycle_policy(repositoryName="team/app")["lifecyclePolicyText"], LIFECYCLE)
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=r["repositoryArn"])["tags"], [{"Key": "a", "Value": "1"}])
        self.assertEqual(self.registry("team/app")("GET", "manifests/1").headers["Docker-Content-Digest"], made)
        # the settings are in force
        other = self.registry("team/app")
        reply, _, _ = other.push_manifest(other.manifest("another"), "1")
        self.assertEqual(code(reply), "TAG_INVALID")
        self.assertEqual(other("DELETE", "manifests/1").status, 403)
        self.ecr.delete_repository_policy(repositoryName="team/app")
        # begun by an upload, and by the API
        self.assertEqual(self.registry("team/deep/er")("POST", "blobs/uploads/").status, 202)
        self.ecr.initiate_layer_upload(repositoryName="team/api")
        # by a manifest alone, that needs nothing
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
        self.assertEqual(self.registry("team/index").push_manifest(index, "1", index["mediaType"])[0].status, 201)
        # what is refused makes nothing
        self.assertEqual(self.registry("team/not").push_manifest({"schemaVersion": 2, "mediaType": OCI}, "1")[0].status, 400)
        self.assertEqual(self.registry("team/nor")("POST", "blobs/uploads/", body=b"x", digest=digest(b"other")).status, 400)
        names = [r["repositoryName"] for r in self.ecr.describe_repositories()["repositories"]]
        self.assertEqual(names, ["team/api", "team/app", "team/deep/er", "team/index"])

    def test_which_template(self):
        self.template("a", imageTagMutability="IMMUTABLE")
        self.template("a/b", "PULL_THROUGH_CACHE")  # not for pushes: the next one is asked
        self.template("a/b/c", imageTagMutability="MUTABLE")
        for name, mode in (("a/x", "IMMUTABLE"), ("a/b/x", "IMMUTABLE"), ("a/b/c/x", "MUTABLE")):
            self.push(name)
            self.assertEqual(self.repository(name)["imageTagMutability"], mode)
        for name in ("b/x", "ab", "aa"):
            self.assertEqual(code(self.registry(name)("POST", "blobs/uploads/")), "NAME_UNKNOWN")
        self.assertAwsError("RepositoryNotFoundException", self.ecr.initiate_layer_upload, repositoryName="b/x")
        self.template("ROOT", resourceTags=[{"Key": "by", "Value": "root"}])
        self.push("b/x")
        self.push("top")
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=self.repository("top")["repositoryArn"])["tags"], [{"Key": "by", "Value": "root"}])

    def test_permission(self):
        self.template("team")
        iam, user = client("iam"), "u" + uuid.uuid4().hex[:8]
        iam.create_user(UserName=user)
        self.addCleanup(iam.delete_user, UserName=user)
        keys = iam.create_access_key(UserName=user)["AccessKey"]
        self.addCleanup(iam.delete_access_key, UserName=user, AccessKeyId=keys["AccessKeyId"])
        self.addCleanup(iam.delete_user_policy, UserName=user, PolicyName="p")
        mine = client("ecr", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"], region=self.region)
        for more, status in ((), 403), (("ecr:CreateRepository",), 202):
            iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken", "ecr:InitiateLayerUpload", *more], "Resource": "*"}]}))
            self.assertEqual(self.registry("team/app", mine)("POST", "blobs/uploads/").status, status)
            self.assertEqual(len(self.ecr.describe_repositories()["repositories"]), int(status == 202))

    @unittest.skipUnless(shutil.which("skopeo"), "no skopeo")
    def test_skopeo(self):
        self.template("team")
        work = self.enterContext(tempfile.TemporaryDirectory())
        path = os.path.join(work, "in")
        layout(pathlib.Path(path), {"a": b"a"})
        run("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", "AWS:" + password(self.ecr), f"oci:{path}:latest",
            f"docker://{ENDPOINT.split('//')[1]}/team/new:1", env={"HOME": work})
        self.assertEqual(len(self.ecr.list_images(repositoryName="team/new")["imageIds"]), 1)


if __name__ == "__main__":
    unittest.main()
