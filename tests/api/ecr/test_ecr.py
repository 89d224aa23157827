"""ECR's API as clients see it: repositories, images, layers in parts, policies, lifecycle; and real clients of the registry."""
import base64
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from aws import ENDPOINT, REGION, TestCase, aws_programs, client, run
from cloud import ROOT
from registry import INDEX, OCI, Registry, code, digest, layout, password

ACCOUNT = "000000000000"


class EcrCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ecr = client("ecr")

    def setUp(self):
        self.name = "api/t" + uuid.uuid4().hex[:12]
        self.made = self.repository(self.name)
        self.r = Registry(self.ecr, ENDPOINT, self.name)

    def repository(self, name, **more):
        made = self.ecr.create_repository(repositoryName=name, **more)["repository"]
        self.addCleanup(self.drop, name)
        return made

    def drop(self, name):
        try:
            self.ecr.delete_repository(repositoryName=name, force=True)
        except self.ecr.exceptions.RepositoryNotFoundException:
            pass

    def image(self, *tags, text=None):
        manifest = json.dumps(self.r.manifest(text or uuid.uuid4().hex))
        for tag in tags or (None,):
            at = {"imageTag": tag} if tag else {}
            made = self.ecr.put_image(repositoryName=self.name, imageManifest=manifest, **at)["image"]
        return made["imageId"]["imageDigest"]

    def ids(self, **more):
        found = self.ecr.list_images(repositoryName=self.name, **more)["imageIds"]
        return {(i["imageDigest"], i.get("imageTag")) for i in found}


class Repositories(EcrCase):
    def test_life(self):
        r = self.made
        self.assertEqual(r["repositoryArn"], f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{self.name}")
        self.assertRegex(r["repositoryUri"], f"^{ACCOUNT}.dkr.ecr.{REGION}.localhost:[0-9]+/{self.name}$")
        self.assertEqual((r["imageTagMutability"], r["encryptionConfiguration"]), ("MUTABLE", {"encryptionType": "AES256"}))
        self.assertAwsError("RepositoryAlreadyExistsException", self.ecr.create_repository, repositoryName=self.name, status=400)
        self.assertEqual(self.ecr.describe_repositories(repositoryNames=[self.name])["repositories"], [r])
        self.image("v")
        self.assertAwsError("RepositoryNotEmptyException", self.ecr.delete_repository, repositoryName=self.name)
        self.ecr.delete_repository(repositoryName=self.name, force=True)
        self.assertAwsError("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=[self.name])
        self.assertAwsError("RepositoryNotFoundException", self.ecr.list_images, repositoryName=self.name)
        self.repository(self.name)
        self.assertEqual(self.ids(), set())

    def test_refusals(self):
        make = lambda **more: self.ecr.create_repository(repositoryName=self.name + "x", **more)
        bad = "InvalidParameterException"
        self.assertAwsError(bad, make, encryptionConfiguration={"encryptionType": "KMS"}, message="KMS")
        self.assertAwsError(bad, make, imageScanningConfiguration={"scanOnPush": True}, message="scanning")
        self.assertAwsError(bad, make, imageTagMutability="SOMETIMES")
        self.assertAwsError(bad, self.ecr.create_repository, repositoryName="Upper")
        self.assertAwsError("InvalidTagParameterException", make, tags=[{"Key": "aws:x", "Value": "v"}])
        self.assertAwsError("UnsupportedOperationException", self.ecr.start_image_scan, repositoryName=self.name, imageId={"imageTag": "v"})
        self.assertAwsError("UnsupportedOperationException", self.ecr.put_replication_configuration, replicationConfiguration={"rules": []})
        self.assertAwsError("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=[self.name + "x"])

    def test_pages(self):
        names = sorted(self.name + f"/{i}" for i in range(5))
        for name in names:
            self.repository(name)
        seen = [r["repositoryName"] for page in self.ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
                for r in page["repositories"]]
        self.assertEqual([n for n in seen if n in names], names)
        self.assertEqual(len(seen), len(set(seen)))
        self.assertAwsError("InvalidParameterException", self.ecr.describe_repositories, nextToken="nonsense")

    def test_tags(self):
        arn = self.made["repositoryArn"]
        self.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "3"}])
        self.ecr.untag_resource(resourceArn=arn, tagKeys=["b"])
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=arn)["tags"], [{"Key": "a", "Value": "3"}])
        self.assertAwsError("TooManyTagsException", self.ecr.tag_resource, resourceArn=arn, tags=[{"Key": str(i), "Value": ""} for i in range(50)])
        self.assertAwsError("InvalidParameterException", self.ecr.list_tags_for_resource, resourceArn="arn:aws:s3:::b")

    def test_immutable(self):
        self.ecr.put_image_tag_mutability(repositoryName=self.name, imageTagMutability="IMMUTABLE")
        self.image("v1")
        other = json.dumps(self.r.manifest("other"))
        self.assertAwsError("ImageTagAlreadyExistsException", self.ecr.put_image, repositoryName=self.name, imageManifest=other, imageTag="v1")
        reply, _, _ = self.r.push_manifest(json.loads(other), "v1")
        self.assertEqual((reply.status, code(reply)), (400, "TAG_INVALID"))
        self.ecr.put_image(repositoryName=self.name, imageManifest=other, imageTag="v2")

    def test_exclusions(self):
        """Debian's boto3 does not know them: the request is spelled out."""
        name = self.name + "-ex"

        def ask(operation, **body):
            request = botocore.awsrequest.AWSRequest("POST", ENDPOINT + "/", data=json.dumps(body), headers={
                "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921." + operation, "Content-Type": "application/x-amz-json-1.1"})
            botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "ecr", REGION).add_auth(request)
            sent = urllib.request.Request(request.url, data=request.data.encode(), headers=dict(request.headers))
            try:
                return json.load(urllib.request.urlopen(sent))
            except urllib.error.HTTPError as error:
                return json.load(error)
        filters = [{"filterType": "WILDCARD", "filter": "latest*"}]
        self.addCleanup(self.drop, name)
        made = ask("CreateRepository", repositoryName=name, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
        self.assertEqual(made["repository"]["imageTagMutabilityExclusionFilters"], filters)
        self.assertIn("InvalidParameterException", ask("CreateRepository", repositoryName=name + "2", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")["__type"])
        r = Registry(self.ecr, ENDPOINT, name)
        for tag, again in (("latest-x", 201), ("v1", 400)):
            self.assertEqual(r.push_manifest(r.manifest("a"), tag)[0].status, 201)
            self.assertEqual(r.push_manifest(r.manifest("b"), tag)[0].status, again)
        ask("PutImageTagMutability", repositoryName=name, imageTagMutability="MUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
        self.assertEqual(r.push_manifest(r.manifest("b"), "v1")[0].status, 201)
        self.assertEqual(r.push_manifest(r.manifest("a"), "latest-x")[0].status, 400)
        subject = digest(b"x")
        self.assertEqual(ask("ListImageReferrers", repositoryName=name, subjectId={"imageDigest": subject}), {"referrers": []})

    def test_repository_policy_lets_other_accounts_in(self):
        other = client("ecr", key="111122223333")
        away = Registry(other, ENDPOINT, self.name, f"{ACCOUNT}.dkr.ecr.{REGION}.localhost:{ENDPOINT.rsplit(':', 1)[1]}")
        made = self.image("v")
        ask = lambda: other.batch_get_image(registryId=ACCOUNT, repositoryName=self.name, imageIds=[{"imageTag": "v"}])
        self.assertAwsError("AccessDeniedException", ask)
        self.assertEqual((away("GET", "manifests/v").status, code(away("GET", "manifests/v"))), (403, "DENIED"))
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                                                         "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]}]}
        self.ecr.set_repository_policy(repositoryName=self.name, policyText=json.dumps(allow))
        self.assertEqual(ask()["images"][0]["imageId"]["imageDigest"], made)
        self.assertEqual(away("GET", "manifests/v").status, 200)
        self.assertEqual(away("POST", "blobs/uploads/").status, 403)
        self.assertEqual(json.loads(self.ecr.get_repository_policy(repositoryName=self.name)["policyText"]), allow)
        self.ecr.delete_repository_policy(repositoryName=self.name)
        self.assertAwsError("AccessDeniedException", ask)
        self.assertAwsError("RepositoryPolicyNotFoundException", self.ecr.get_repository_policy, repositoryName=self.name)
        bad = {**allow, "Statement": [{**allow["Statement"][0], "Action": "s3:GetObject"}]}
        for text in ("{", json.dumps(bad), json.dumps({**allow, "Statement": [{**allow["Statement"][0], "Resource": "*"}]})):
            self.assertAwsError("InvalidParameterException", self.ecr.set_repository_policy, repositoryName=self.name, policyText=text)

    def test_registry_policy(self):
        ecr = client("ecr", region="eu-north-1")
        self.assertAwsError("RegistryPolicyNotFoundException", ecr.get_registry_policy)
        ecr.create_repository(repositoryName=self.name)
        self.addCleanup(ecr.delete_repository, repositoryName=self.name, force=True)
        other = client("ecr", key="111122223333", region="eu-north-1")
        ask = lambda: other.list_images(registryId=ACCOUNT, repositoryName=self.name)
        self.assertAwsError("AccessDeniedException", ask)
        ecr.put_registry_policy(policyText=json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "ecr:ListImages",
            "Resource": f"arn:aws:ecr:eu-north-1:{ACCOUNT}:repository/*"}]}))
        self.addCleanup(ecr.delete_registry_policy)
        self.assertEqual(ask()["imageIds"], [])
        self.assertEqual(ecr.describe_registry()["replicationConfiguration"], {"rules": []})


class Images(EcrCase):
    def pulls(self, at_least):
        """As AWS/ECR has it, once there are so many."""
        until = time.monotonic() + 60
        while True:
            now = datetime.datetime.now(datetime.timezone.utc)
            out = client("cloudwatch").get_metric_statistics(
                Namespace="AWS/ECR", MetricName="RepositoryPullCount", Dimensions=[{"Name": "RepositoryName", "Value": self.name}], Period=3600, Statistics=["Sum"], Unit="Count",
                StartTime=now - datetime.timedelta(days=1), EndTime=now + datetime.timedelta(days=1))["Datapoints"]
            n = sum(p["Sum"] for p in out)
            if n >= at_least or time.monotonic() > until:
                return n
            time.sleep(0.2)

    def test_put_get_delete(self):
        manifest = json.dumps(self.r.manifest("x"))
        put = lambda **more: self.ecr.put_image(repositoryName=self.name, imageManifest=manifest, **more)
        made = put(imageTag="one")["image"]["imageId"]["imageDigest"]
        self.assertEqual(made, digest(manifest.encode()))
        self.assertAwsError("ImageAlreadyExistsException", put, imageTag="one", status=400)
        self.assertAwsError("ImageDigestDoesNotMatchException", put, imageDigest=digest(b""), imageTag="z")
        put(imageTag="two")
        got = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[{"imageTag": "one"}, {"imageDigest": made}, {"imageTag": "no"}, {}])
        self.assertEqual([i["imageManifest"] for i in got["images"]], [manifest] * 2)
        self.assertEqual([f["failureCode"] for f in got["failures"]], ["ImageNotFound", "MissingDigestAndTag"])
        self.assertEqual(self.pulls(2), 2)
        self.r("HEAD", "manifests/one")
        self.r("GET", "manifests/one")
        self.assertEqual(self.pulls(3), 3)
        self.assertEqual(self.ids(), {(made, "one"), (made, "two")})
        self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[{"imageTag": "one"}])
        self.assertEqual(self.ids(), {(made, "two")})
        self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[{"imageTag": "two"}])
        self.assertEqual(self.ids(), set())

    def test_missing_parts(self):
        manifest = self.r.manifest("x")
        manifest["layers"][0]["digest"] = digest(b"nowhere")
        self.assertAwsError("LayersNotFoundException", self.ecr.put_image, repositoryName=self.name, imageManifest=json.dumps(manifest),
                            message=digest(b"nowhere"))
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": OCI, "digest": digest(b"no"), "size": 2}]}
        self.assertAwsError("ReferencedImagesNotFoundException", self.ecr.put_image, repositoryName=self.name, imageManifest=json.dumps(index))
        self.assertAwsError("InvalidParameterException", self.ecr.put_image, repositoryName=self.name, imageManifest="{}")

    def test_describe(self):
        first, second = self.image("v1", "v2"), self.image()
        by = {d["imageDigest"]: d for d in self.ecr.describe_images(repositoryName=self.name)["imageDetails"]}
        self.assertEqual(sorted(by[first]["imageTags"]), ["v1", "v2"])
        self.assertNotIn("imageTags", by[second])
        self.assertEqual(by[first]["imageSizeInBytes"], 32)
        self.assertLess(abs(by[first]["imagePushedAt"].timestamp() - time.time()), 60)
        self.assertNotIn("lastRecordedPullTime", by[first])
        self.r("GET", "manifests/v1")
        (d,) = self.ecr.describe_images(repositoryName=self.name, imageIds=[{"imageTag": "v1"}])["imageDetails"]
        self.assertIn("lastRecordedPullTime", d)
        self.assertEqual(self.ids(filter={"tagStatus": "UNTAGGED"}), {(second, None)})
        self.assertAwsError("ImageNotFoundException", self.ecr.describe_images, repositoryName=self.name, imageIds=[{"imageTag": "no"}])

    def test_pages(self):
        made = {self.image(f"t{i}") for i in range(5)}
        pages = list(self.ecr.get_paginator("list_images").paginate(repositoryName=self.name, PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(p["imageIds"]) for p in pages], [2, 2, 1])
        self.assertEqual({i["imageDigest"] for p in pages for i in p["imageIds"]}, made)


class Layers(EcrCase):
    def test_parts(self):
        data = os.urandom(6 << 20)
        begun = self.ecr.initiate_layer_upload(repositoryName=self.name)
        at = {"repositoryName": self.name, "uploadId": begun["uploadId"]}
        self.assertAwsError("EmptyUploadException", self.ecr.complete_layer_upload, layerDigests=[digest(data)], **at)
        first = 5 << 20
        said = self.ecr.upload_layer_part(partFirstByte=0, partLastByte=first - 1, layerPartBlob=data[:first], **at)
        self.assertEqual(said["lastByteReceived"], first - 1)
        error = self.assertAwsError("InvalidLayerPartException", self.ecr.upload_layer_part, partFirstByte=0, partLastByte=3, layerPartBlob=b"data", **at)
        self.assertEqual(error["lastValidByteReceived"], first - 1)
        self.ecr.upload_layer_part(partFirstByte=first, partLastByte=len(data) - 1, layerPartBlob=data[first:], **at)
        self.assertEqual(self.ecr.complete_layer_upload(layerDigests=[digest(data)], **at)["layerDigest"], digest(data))
        self.assertAwsError("UploadNotFoundException", self.ecr.complete_layer_upload, layerDigests=[digest(data)], **at)
        (layer,) = self.ecr.batch_check_layer_availability(repositoryName=self.name, layerDigests=[digest(data)])["layers"]
        self.assertEqual((layer["layerAvailability"], layer["layerSize"]), ("AVAILABLE", len(data)))
        url = self.ecr.get_download_url_for_layer(repositoryName=self.name, layerDigest=digest(data))["downloadUrl"]
        with urllib.request.urlopen(url) as reply:
            self.assertEqual(reply.read(), data)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url[:-4] + "0000")
        self.assertEqual(caught.exception.code, 401)

    def test_refusals(self):
        begin = lambda: {"repositoryName": self.name, "uploadId": self.ecr.initiate_layer_upload(repositoryName=self.name)["uploadId"]}
        part = lambda at, n, data: self.ecr.upload_layer_part(partFirstByte=n, partLastByte=n + len(data) - 1, layerPartBlob=data, **at)
        at = begin()
        part(at, 0, b"small")
        self.assertAwsError("InvalidLayerException", self.ecr.complete_layer_upload, layerDigests=[digest(b"other")], **at)
        at = begin()
        part(at, 0, b"small")
        part(at, 5, b"more")
        self.assertAwsError("LayerPartTooSmallException", self.ecr.complete_layer_upload, layerDigests=[digest(b"smallmore")], **at)
        at = begin()
        part(at, 0, b"twice")
        self.r.push_blob(b"twice")
        self.assertAwsError("LayerAlreadyExistsException", self.ecr.complete_layer_upload, layerDigests=[digest(b"twice")], **at)
        self.assertAwsError("UploadNotFoundException", self.ecr.upload_layer_part, partFirstByte=0, partLastByte=0, layerPartBlob=b"x",
                            repositoryName=self.name, uploadId=str(uuid.uuid4()))
        said = self.ecr.batch_check_layer_availability(repositoryName=self.name, layerDigests=[digest(b"no"), "no"])
        self.assertEqual((said["layers"][0]["layerAvailability"], said["failures"][0]["failureCode"]), ("UNAVAILABLE", "InvalidLayerDigest"))
        self.assertAwsError("LayersNotFoundException", self.ecr.get_download_url_for_layer, repositoryName=self.name, layerDigest=digest(b"no"))


class Lifecycle(EcrCase):
    def rule(self, priority=1, **selection):
        return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}

    def test_expires(self):
        old = [self.image(f"dev-{i}") for i in range(4)]
        kept = self.image("prod-1")
        text = json.dumps({"rules": [self.rule(tagStatus="tagged", tagPrefixList=["dev-"], countType="imageCountMoreThan", countNumber=1)]})
        self.ecr.start_lifecycle_policy_preview(repositoryName=self.name, lifecyclePolicyText=text)
        said = self.ecr.get_lifecycle_policy_preview(repositoryName=self.name)
        self.assertEqual((said["status"], said["summary"]["expiringImageTotalCount"], len(said["previewResults"])), ("COMPLETE", 3, 3))
        self.assertEqual(len(self.ids()), 5)
        self.ecr.put_lifecycle_policy(repositoryName=self.name, lifecyclePolicyText=text)
        until = time.monotonic() + 60
        while len(self.ids()) > 2 and time.monotonic() < until:
            time.sleep(0.1)
        left = {d for d, _ in self.ids()}
        self.assertIn(kept, left)
        self.assertEqual(len(left & set(old)), 1)
        self.assertEqual(self.ecr.get_lifecycle_policy(repositoryName=self.name)["lifecyclePolicyText"], text)
        self.ecr.delete_lifecycle_policy(repositoryName=self.name)
        self.assertAwsError("LifecyclePolicyNotFoundException", self.ecr.get_lifecycle_policy, repositoryName=self.name)

    def test_refusals(self):
        good = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
        wide = " " * 100  # botocore refuses shorter texts itself
        for rules in ([], [self.rule(**{**good, "countNumber": 0})], [self.rule(**{**good, "countUnit": "days"})], [self.rule(**{**good, "x": 1})],
                      [self.rule(1, **good), self.rule(2, **good)], [self.rule(**{**good, "tagStatus": "tagged"})],
                      [{**self.rule(**good), "action": {"type": "transition"}}]):
            self.assertAwsError("InvalidParameterException", self.ecr.put_lifecycle_policy, repositoryName=self.name,
                                lifecyclePolicyText=json.dumps({"rules": rules}) + wide, message="Lifecycle policy validation failure")


class Permissions(EcrCase):
    def test_user_needs_each_action(self):
        iam, user = client("iam"), "u" + uuid.uuid4().hex[:8]
        iam.create_user(UserName=user)
        self.addCleanup(iam.delete_user, UserName=user)
        keys = iam.create_access_key(UserName=user)["AccessKey"]
        self.addCleanup(iam.delete_access_key, UserName=user, AccessKeyId=keys["AccessKeyId"])
        self.addCleanup(iam.delete_user_policy, UserName=user, PolicyName="p")
        arn = self.made["repositoryArn"]

        def allow(*actions):
            iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
                *([{"Effect": "Allow", "Action": list(actions), "Resource": arn}] if actions else [])]}))
        allow()
        mine = Registry(client("ecr", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"]), ENDPOINT, self.name)
        self.image("v")
        blob = self.r.push_blob(b"blob")
        uploads = "blobs/uploads/"
        for action, ask, status in (("BatchGetImage", lambda: mine("GET", "manifests/v"), 200), ("ListImages", lambda: mine("GET", "tags/list"), 200),
                                    ("GetDownloadUrlForLayer", lambda: mine("GET", "blobs/" + blob), 200),
                                    ("BatchCheckLayerAvailability", lambda: mine("HEAD", "blobs/" + blob), 200),
                                    ("InitiateLayerUpload", lambda: mine("POST", uploads), 202), ("PutImage", lambda: mine("PUT", "manifests/w", body=b"{}"), 400),
                                    ("UploadLayerPart", lambda: mine("PATCH", uploads + "x", body=b"x"), 404),
                                    ("CompleteLayerUpload", lambda: mine("PUT", uploads + "x", digest=digest(b"")), 404),
                                    ("BatchDeleteImage", lambda: mine("DELETE", "manifests/none"), 404)):
            with self.subTest(action):
                allow()
                self.assertEqual(ask().status, 403)
                allow("ecr:" + action)
                self.assertEqual(ask().status, status)
        # a blob of a repository that one may not read is not mounted from there: it has to be sent
        allow("ecr:*")
        other = self.name + "-other"
        self.repository(other)
        secret = Registry(self.ecr, ENDPOINT, other).push_blob(b"secret")
        self.assertEqual(mine("POST", uploads, mount=secret, from_=other).status, 202)
        self.assertEqual(self.r("POST", uploads, mount=secret, from_=other).status, 201)
        # what the repository's own policy denies, nobody's policy allows
        for denied, statuses in ((["ecr:BatchGetImage"], (403, 400)), (["ecr:PutImage"], (200, 403)), (["ecr:*"], (403, 403))):
            self.ecr.set_repository_policy(repositoryName=self.name, force=True, policyText=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{user}"}, "Action": denied}]}))
            read, write = mine("GET", "manifests/v"), mine("PUT", "manifests/w", body=b"{}")
            self.assertEqual((read.status, write.status), statuses)
            self.assertEqual({code(reply) for reply in (read, write) if reply.status == 403}, {"DENIED"})
            self.assertEqual(self.r("GET", "manifests/v").status, 200)
        self.ecr.delete_repository_policy(repositoryName=self.name)
        iam.update_access_key(UserName=user, AccessKeyId=keys["AccessKeyId"], Status="Inactive")
        self.assertEqual(mine("GET", "/v2/").status, 401)


class Clients(EcrCase):
    def setUp(self):
        super().setUp()
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self.at = ENDPOINT.split("//")[1] + "/" + self.name

    @unittest.skipUnless(shutil.which("skopeo"), "no skopeo")
    def test_skopeo(self):
        creds = "AWS:" + password(self.ecr)
        files = {"bin/app": os.urandom(3 << 20), "etc/conf": b"x"}
        made = layout(self.dir / "in", files)
        skopeo = lambda *args: run("skopeo", "--insecure-policy", *args, env={"HOME": str(self.dir)})
        push = ("copy", "--dest-tls-verify=false", "--dest-creds", creds, f"oci:{self.dir}/in:latest")
        skopeo(*push, f"docker://{self.at}:1")
        skopeo(*push, "--format", "v2s2", f"docker://{self.at}:docker")
        got = json.loads(skopeo("inspect", "--tls-verify=false", "--creds", creds, f"docker://{self.at}:1").stdout)
        self.assertEqual(set(got["RepoTags"]), {"1", "docker"})
        skopeo("copy", "--src-tls-verify=false", "--src-creds", creds, f"docker://{self.at}:1", f"oci:{self.dir}/out:latest")
        blobs = {p.name for p in (self.dir / "out/blobs/sha256").iterdir()}
        self.assertEqual({hashlib.sha256((self.dir / "out/blobs/sha256" / b).read_bytes()).hexdigest() for b in blobs}, blobs)
        skopeo("copy", "--src-tls-verify=false", "--src-creds", creds, f"docker://{self.at}:docker", f"docker-archive:{self.dir}/a.tar:x:1")
        skopeo("copy", "--dest-tls-verify=false", "--dest-creds", creds, f"docker-archive:{self.dir}/a.tar", f"docker://{self.at}:back")
        skopeo("delete", "--tls-verify=false", "--creds", creds, f"docker://{self.at}:1")
        self.assertNotEqual(run("skopeo", "inspect", "--tls-verify=false", "--creds", "AWS:wrong", f"docker://{self.at}:docker", check=False).returncode, 0)
        self.assertTrue(made.startswith("sha256:"))

    @unittest.skipUnless(shutil.which("buildah") and shutil.which("busybox"), "no buildah or no busybox-static")
    def test_buildah_with_an_image_of_packages(self):
        """What tools/make-oci-image makes is an image to others; the same packages are the same image."""
        tool = os.path.join(ROOT, "tools", "make-oci-image")
        (self.dir / "app").write_text("#!/bin/sh\n")
        first, again = (run(tool, "--tag", "1", "--add", f"{self.dir}/app:/app", "--cmd", '["/app"]', str(self.dir / d), "busybox-static").stdout for d in "ab")
        self.assertEqual(first, again)
        store = ("--storage-driver", "vfs", "--root", str(self.dir / "root"), "--runroot", str(self.dir / "run"))
        login = ("--tls-verify=false", "--creds", "AWS:" + password(self.ecr))
        # in the directory: what buildah calls the image after its path must be a proper name, and temporary ones may not be
        buildah = lambda *args: run("unshare", "-m", "--propagation", "private", "sh", "-c", 'cd "$0" && exec buildah "$@"', str(self.dir), *store, *args,
                                    env={"HOME": str(self.dir)}).stdout.strip()
        image = buildah("pull", "oci:a:1")
        buildah("push", *login, image, f"docker://{self.at}:1")
        buildah("rmi", "-a")
        self.assertEqual(buildah("pull", *login, f"docker://{self.at}:1"), image)
        self.assertEqual(json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]["Cmd"], ["/app"])
        self.assertNotEqual(run(tool, str(self.dir / "c"), "no-such-package", check=False).returncode, 0)

    def test_aws_cli(self):
        for cli in aws_programs():
            with self.subTest(cli):
                aws = lambda *args: run(cli, "--endpoint-url", ENDPOINT, "--output", "json", "ecr", *args).stdout
                name = self.name + uuid.uuid4().hex[:4]
                self.addCleanup(self.drop, name)
                aws("create-repository", "--repository-name", name)
                self.assertEqual(json.loads(aws("describe-images", "--repository-name", name))["imageDetails"], [])
                word = aws("get-login-password").strip()
                token = base64.b64encode(f"AWS:{word}".encode()).decode()
                request = urllib.request.Request(ENDPOINT + f"/v2/{name}/tags/list", headers={"Authorization": "Basic " + token})
                self.assertEqual(json.load(urllib.request.urlopen(request))["tags"], [])


if __name__ == "__main__":
    unittest.main()
