"""A pull-through cache whose upstream is the ECR of another cloud: it logs in there with an access key that the configuration names."""
import json
import os
import tempfile
import unittest
import urllib.parse

import raw
from botocore.exceptions import ClientError
from cloud import Cloud
from registry import INDEX, Registry, code, digest

ACCOUNT = "000000000000"


class Between(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.other = Cloud().start()
        cls.addClassCleanup(cls.other.stop)
        cls.source, cls.far = cls.other.client("ecr"), cls.other.client("ecr", region="eu-west-1")
        for name in ("team/app", "team/secret"):
            cls.source.create_repository(repositoryName=name)
        cls.far.create_repository(repositoryName="team/far")
        iam = cls.other.client("iam")
        iam.create_user(UserName="puller")
        statement = [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
                     {"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                      "Resource": [f"arn:aws:ecr:*:{ACCOUNT}:repository/team/app", f"arn:aws:ecr:*:{ACCOUNT}:repository/team/far"]}]
        iam.put_user_policy(UserName="puller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}))
        key = iam.create_access_key(UserName="puller")["AccessKey"]
        login = key["AccessKeyId"] + ":" + urllib.parse.quote(key["SecretAccessKey"], safe="")
        cls.host = f"127.0.0.1:{cls.other.port}"
        cls.far_host = f"{ACCOUNT}.dkr.ecr.eu-west-1.localhost:{cls.other.port}"
        place = tempfile.TemporaryDirectory(prefix="quartet-upstream-")
        cls.addClassCleanup(place.cleanup)
        os.chmod(place.name, 0o755)
        config = os.path.join(place.name, "quartet.conf")
        with open(config, "w") as f:
            wrong = f"http://{key['AccessKeyId']}:wrong@localhost:{cls.other.port}"
            f.write(f"[containers]\nupstreams = http://{login}@{cls.host} {wrong} http://{login}@{cls.far_host} http://127.0.0.2:{cls.other.port}\n")
        cls.cloud = Cloud(options=["--config", config]).start()
        cls.addClassCleanup(cls.cloud.stop)
        cls.ecr = cls.cloud.client("ecr")

    def rule(self, prefix, url):
        made = self.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl=url)
        self.assertEqual(made["upstreamRegistryUrl"], url)

    def validate(self, prefix):
        """An operation that is younger than Debian's SDK."""
        sent = raw.Signer(self.cloud.port, "ecr").request("POST", "/", json.dumps({"ecrRepositoryPrefix": prefix}).encode(), headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.ValidatePullThroughCacheRule"})
        return json.loads(raw.ask(self.cloud.port, sent, 60).body)

    def push(self, ecr, name, text, tag):
        """An index of one image, as builders make it."""
        r = Registry(ecr, self.other.endpoint, name)
        reply, image, manifest = r.push_manifest(r.manifest(text))
        self.assertEqual(reply.status, 201, reply.body)
        part = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image, "size": len(manifest),
                "platform": {"architecture": "amd64", "os": "linux"}}
        reply, index, _ = r.push_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [part]}, tag, INDEX)
        self.assertEqual(reply.status, 201, reply.body)
        return index, image

    def test_pull(self):
        self.rule("near", self.host)
        index, image = self.push(self.source, "team/app", "first", "1")
        self.push(self.source, "team/secret", "hidden", "1")
        here = Registry(self.ecr, self.cloud.endpoint, "near/team/app")
        reply = here("GET", "manifests/1", headers={"Accept": INDEX})
        self.assertEqual((reply.status, digest(reply.body)), (200, index), reply.body)
        manifest = json.loads(here("GET", "manifests/" + image).body)
        for one in (manifest["config"], *manifest["layers"]):
            self.assertEqual(digest(here("GET", "blobs/" + one["digest"]).body), one["digest"])
        self.assertEqual({i["imageDigest"] for i in self.ecr.list_images(repositoryName="near/team/app")["imageIds"]}, {index, image})
        # what is missing there, and what the key may not read there
        self.assertEqual(here("GET", "manifests/none").status, 404)
        reply = Registry(self.ecr, self.cloud.endpoint, "near/team/secret")("GET", "manifests/1")
        self.assertEqual((reply.status, code(reply)), (502, "UNKNOWN"))
        self.assertIn(b"status 403", reply.body)
        moved, _ = self.push(self.source, "team/app", "second", "2")
        self.assertEqual(digest(here("GET", "manifests/2", headers={"Accept": INDEX}).body), moved)

    def test_region(self):
        """The region of the registry's name is the one that the request for a token is signed for."""
        self.rule("far", self.far_host)
        index, _ = self.push(self.far, "team/far", "far", "1")
        reply = Registry(self.ecr, self.cloud.endpoint, "far/team/far")("GET", "manifests/1", headers={"Accept": INDEX})
        self.assertEqual((reply.status, digest(reply.body)), (200, index), reply.body)

    def test_who(self):
        """A wrong key, or none: said by the rule's check and by the pull, and no secret is shown anywhere."""
        for prefix, host, why in (("wrong", f"localhost:{self.other.port}", "access key"), ("nobody", f"127.0.0.2:{self.other.port}", "")):
            self.rule(prefix, host)
            checked = self.validate(prefix)
            self.assertIs(checked["isValid"], False)
            self.assertIn(why, checked["failure"])
            reply = Registry(self.ecr, self.cloud.endpoint, prefix + "/team/app")("GET", "manifests/1")
            self.assertGreaterEqual(reply.status, 400)
            self.assertNotIn(b"wrong@", reply.body)
        self.rule("right", self.host)
        self.assertIs(self.validate("right")["isValid"], True)
        with self.assertRaises(ClientError) as e:
            self.rule("inside", f"http://AKIAIOSFODNN7EXAMPLE:x@{self.host}")
        self.assertEqual(e.exception.response["Error"]["Code"], "UnsupportedUpstreamRegistryException")
        self.assertNotIn("wrong@", json.dumps(self.ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"], default=str) + self.cloud.log_text())


if __name__ == "__main__":
    unittest.main()
