"""Secrets: values and their versions, labels, ends, policies, lists, and the keys that seal them."""
import json
import os
import string
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
import raw  # noqa: E402
from aws import ENDPOINT, TestCase, aws_programs, client, limited_key, run  # noqa: E402
from moving import moving_cloud  # noqa: E402


def token():
    return str(uuid.uuid4())


class SecretCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sm, cls.kms = client("secretsmanager"), client("kms")

    def name(self):
        return f"t/{uuid.uuid4().hex}"

    def make(self, **more):
        made = self.sm.create_secret(Name=more.pop("Name", None) or self.name(), **more)
        self.addCleanup(self.sm.delete_secret, SecretId=made["Name"], ForceDeleteWithoutRecovery=True)
        return made

    def value(self, secret, **more):
        return self.sm.get_secret_value(SecretId=secret, **more)["SecretString"]

    def stages(self, secret):
        return {k: sorted(v) for k, v in self.sm.describe_secret(SecretId=secret).get("VersionIdsToStages", {}).items()}


class Values(SecretCase):
    def test_there_and_back(self):
        made = self.make(SecretString='{"user":"me","password":"geheim"}', Description="of a test", Tags=[{"Key": "team", "Value": "red"}])
        self.assertRegex(made["ARN"], f"^arn:aws:secretsmanager:us-east-1:000000000000:secret:{made['Name']}-[A-Za-z0-9]{{6}}$")
        for by in (made["Name"], made["ARN"], made["ARN"][:-7]):
            got = self.sm.get_secret_value(SecretId=by)
            self.assertEqual((got["SecretString"], got["VersionId"], got["VersionStages"], got["ARN"]),
                             ('{"user":"me","password":"geheim"}', made["VersionId"], ["AWSCURRENT"], made["ARN"]))
        shown = self.sm.describe_secret(SecretId=made["Name"])
        self.assertEqual((shown["Description"], shown["Tags"], shown["VersionIdsToStages"]),
                         ("of a test", [{"Key": "team", "Value": "red"}], {made["VersionId"]: ["AWSCURRENT"]}))
        self.assertNotIn("KmsKeyId", shown)
        binary = self.make(SecretBinary=b"\0\1\2")
        self.assertEqual(self.sm.get_secret_value(SecretId=binary["ARN"])["SecretBinary"], b"\0\1\2")

    def test_versions_and_labels(self):
        secret, one, two, three = self.make()["Name"], token(), token(), token()
        self.assertAwsError("ResourceNotFoundException", self.sm.get_secret_value, SecretId=secret, status=400,
                            message="Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
        self.sm.put_secret_value(SecretId=secret, SecretString="1", ClientRequestToken=one)
        self.sm.update_secret(SecretId=secret, SecretString="2", ClientRequestToken=two)
        self.assertEqual(self.stages(secret), {one: ["AWSPREVIOUS"], two: ["AWSCURRENT"]})
        self.assertEqual(self.sm.put_secret_value(SecretId=secret, SecretString="3", ClientRequestToken=three, VersionStages=["AWSPENDING", "mine"])["VersionStages"],
                         ["AWSPENDING", "mine"])
        self.assertEqual([self.value(secret), self.value(secret, VersionStage="AWSPREVIOUS"), self.value(secret, VersionId=three)], ["2", "1", "3"])
        self.assertAwsError("InvalidRequestException", self.sm.get_secret_value, SecretId=secret, VersionId=three, VersionStage="AWSCURRENT")
        self.assertAwsError("InvalidParameterException", self.sm.update_secret_version_stage, SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=three,
                            message=f"currently attached to version {two}")
        self.sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=three, RemoveFromVersionId=two)
        self.assertEqual(self.stages(secret), {two: ["AWSPREVIOUS"], three: ["AWSCURRENT", "AWSPENDING", "mine"]})
        self.sm.update_secret_version_stage(SecretId=secret, VersionStage="mine", RemoveFromVersionId=three)
        self.assertAwsError("InvalidParameterException", self.sm.update_secret_version_stage, SecretId=secret, VersionStage="AWSCURRENT", RemoveFromVersionId=three)
        listed = self.sm.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]
        self.assertEqual({v["VersionId"]: sorted(v.get("VersionStages", [])) for v in listed},
                         {one: [], two: ["AWSPREVIOUS"], three: ["AWSCURRENT", "AWSPENDING"]})
        self.assertEqual(len(self.sm.list_secret_version_ids(SecretId=secret)["Versions"]), 2)

    def test_the_same_token_twice(self):
        name, t = self.name(), token()
        made = self.make(Name=name, SecretString="a", ClientRequestToken=t)
        self.assertEqual(made["VersionId"], t)
        self.assertEqual(self.sm.create_secret(Name=name, SecretString="a", ClientRequestToken=t)["ARN"], made["ARN"])
        self.assertAwsError("ResourceExistsException", self.sm.create_secret, Name=name, SecretString="b", ClientRequestToken=t)
        self.assertAwsError("ResourceExistsException", self.sm.create_secret, Name=name, SecretString="b", message="already exists")
        self.assertEqual(self.sm.put_secret_value(SecretId=name, SecretString="a", ClientRequestToken=t)["VersionId"], t)
        self.assertAwsError("ResourceExistsException", self.sm.put_secret_value, SecretId=name, SecretString="b", ClientRequestToken=t)
        self.assertEqual(self.stages(name), {t: ["AWSCURRENT"]})

    def test_wrong_input(self):
        self.assertAwsError("InvalidParameterException", self.sm.create_secret, Name="bad name")
        self.assertAwsError("InvalidParameterException", self.sm.create_secret, Name=self.name(), SecretString="a", SecretBinary=b"b")
        self.assertAwsError("ResourceNotFoundException", self.sm.get_secret_value, SecretId=self.name(), message="Secrets Manager can't find the specified secret.")
        secret = self.make()["Name"]
        self.assertAwsError("InvalidParameterException", self.sm.put_secret_value, SecretId=secret)
        self.assertAwsError("InvalidRequestException", self.sm.replicate_secret_to_regions, SecretId=secret, AddReplicaRegions=[{"Region": "eu-west-1"}])
        self.assertAwsError("EncryptionFailure", self.sm.create_secret, Name=self.name(), SecretString="a", KmsKeyId="alias/none")

    def test_versions_without_labels_go(self):
        secret = self.make(SecretString="0")["Name"]
        for n in range(105):
            self.sm.put_secret_value(SecretId=secret, SecretString=str(n))
        self.assertEqual(len(self.sm.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]), 100)
        self.assertEqual([self.value(secret), self.value(secret, VersionStage="AWSPREVIOUS")], ["104", "103"])

    def test_passwords(self):
        default = self.sm.get_random_password()["RandomPassword"]
        self.assertEqual(len(default), 32)
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            self.assertTrue(set(kind) & set(default))
        plain = self.sm.get_random_password(PasswordLength=200, ExcludePunctuation=True, ExcludeCharacters="abc0", IncludeSpace=True)["RandomPassword"]
        self.assertLessEqual(set(plain), set(string.ascii_letters + string.digits + " ") - set("abc0"))
        self.assertIn(" ", plain)
        self.assertAwsError("InvalidParameterException", self.sm.get_random_password, PasswordLength=3)

    def test_several_at_once(self):
        word = uuid.uuid4().hex
        names = [f"b/{word}/{n}" for n in range(3)]
        for n in names:
            self.make(Name=n, SecretString=n)

        def batch(**values):
            port = int(ENDPOINT.rsplit(":", 1)[1])
            reply = raw.ask(port, raw.Signer(port, "secretsmanager").request("POST", "/", json.dumps(values).encode(), headers={
                "content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.BatchGetSecretValue"}))
            self.assertEqual(reply.status, 200, reply.data)
            return json.loads(reply.body)
        got = batch(SecretIdList=[names[0], "none/" + word])
        self.assertEqual([v["SecretString"] for v in got["SecretValues"]], [names[0]])
        self.assertEqual([e["ErrorCode"] for e in got["Errors"]], ["ResourceNotFoundException"])
        seen, after = [], {}
        while True:
            page = batch(Filters=[{"Key": "name", "Values": [f"b/{word}"]}], MaxResults=2, **after)
            seen += [v["SecretString"] for v in page["SecretValues"]]
            if "NextToken" not in page:
                break
            after = {"NextToken": page["NextToken"]}
        self.assertEqual(sorted(seen), names)


class Lists(SecretCase):
    def test_filters_orders_pages(self):
        account = "8" + f"{uuid.uuid4().int % 10**11:011d}"
        sm = client("secretsmanager", key=account, secret="test")
        sm.create_secret(Name="prod/db", Description="The main Database", Tags=[{"Key": "env", "Value": "prod"}])
        sm.create_secret(Name="prod/web", Description="a site")
        sm.create_secret(Name="test/db", Tags=[{"Key": "env", "Value": "test"}])

        def names(*filters, **more):
            return [s["Name"] for s in sm.list_secrets(Filters=[{"Key": k, "Values": v} for k, v in filters], SortOrder="asc", **more)["SecretList"]]
        self.assertEqual(names(), ["prod/db", "prod/web", "test/db"])
        self.assertEqual(names(("name", ["prod"])), ["prod/db", "prod/web"])
        self.assertEqual(names(("name", ["!prod"])), ["test/db"])
        self.assertEqual(names(("name", ["db"]), ("tag-value", ["prod"])), ["prod/db"])
        self.assertEqual(names(("description", ["data", "site"])), ["prod/db", "prod/web"])
        self.assertEqual(names(("tag-key", ["env"])), ["prod/db", "test/db"])
        self.assertEqual(names(("all", ["TEST"])), ["test/db"])
        pages = list(sm.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2}))
        self.assertEqual([[s["Name"] for s in p["SecretList"]] for p in pages], [["test/db", "prod/web"], ["prod/db"]])
        sm.delete_secret(SecretId="prod/web")
        self.assertEqual(names(), ["prod/db", "test/db"])


class Ends(SecretCase):
    def test_deleted_and_restored(self):
        secret = self.make(SecretString="a")["Name"]
        self.assertAwsError("InvalidParameterException", self.sm.delete_secret, SecretId=secret, RecoveryWindowInDays=6)
        self.assertAwsError("InvalidParameterException", self.sm.delete_secret, SecretId=secret, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)
        self.sm.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
        self.assertAwsError("InvalidRequestException", self.sm.get_secret_value, SecretId=secret, message="marked for deletion")
        self.assertAwsError("InvalidRequestException", self.sm.create_secret, Name=secret, message="already scheduled for deletion")
        self.assertIn("DeletedDate", self.sm.describe_secret(SecretId=secret))
        self.sm.restore_secret(SecretId=secret)
        self.assertEqual(self.value(secret), "a")
        self.sm.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
        self.assertAwsError("ResourceNotFoundException", self.sm.describe_secret, SecretId=secret)

    def test_by_the_clock_and_over_a_kill(self):
        cloud, of = moving_cloud(self)
        sm = of("secretsmanager")
        sm.create_secret(Name="kept", SecretString="k")
        sm.create_secret(Name="going", SecretString="g")
        sm.delete_secret(SecretId="going", RecoveryWindowInDays=7)
        old = cloud.kill("api")
        cloud.wait_for_role("api", other_than=old)
        cloud.wait()
        self.assertEqual(sm.get_secret_value(SecretId="kept")["SecretString"], "k")
        cloud.forward("192h")
        self.assertAwsError("ResourceNotFoundException", sm.describe_secret, SecretId="going")
        until = time.monotonic() + 30
        while True:
            try:
                sm.create_secret(Name="going", SecretString="new")
                break
            except sm.exceptions.InvalidRequestException:
                self.assertLess(time.monotonic(), until)
        self.assertEqual(sm.get_secret_value(SecretId="going")["SecretString"], "new")
        self.assertEqual(sm.get_secret_value(SecretId="kept")["SecretString"], "k")


class Permissions(SecretCase):
    def test_who_may_read(self):
        one, other = self.make(SecretString="a"), self.make(SecretString="b")
        user = client("secretsmanager", **limited_key(self, {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": one["ARN"]}))
        self.assertEqual(user.get_secret_value(SecretId=one["Name"])["SecretString"], "a")
        self.assertAwsError("AccessDeniedException", user.get_secret_value, SecretId=other["ARN"], status=400,
                            message=f"is not authorized to perform: secretsmanager:GetSecretValue on resource: {other['ARN']} because no identity-based policy allows")
        self.assertAwsError("AccessDeniedException", user.put_secret_value, SecretId=one["Name"], SecretString="c")

    def test_policies_of_secrets(self):
        secret = self.make(SecretString="a")
        keys = limited_key(self, {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
        user, me = client("secretsmanager", **keys), client("sts", **keys).get_caller_identity()["Arn"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": me}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}
        self.sm.put_resource_policy(SecretId=secret["ARN"], ResourcePolicy=json.dumps(policy))
        self.assertEqual(json.loads(self.sm.get_resource_policy(SecretId=secret["ARN"])["ResourcePolicy"]), policy)
        self.assertEqual(user.get_secret_value(SecretId=secret["ARN"])["SecretString"], "a")
        self.sm.delete_resource_policy(SecretId=secret["ARN"])
        self.assertAwsError("AccessDeniedException", user.get_secret_value, SecretId=secret["ARN"])
        policy["Statement"][0]["Principal"] = "*"
        self.assertAwsError("PublicPolicyException", self.sm.put_resource_policy, SecretId=secret["ARN"], ResourcePolicy=json.dumps(policy), BlockPublicPolicy=True)
        self.assertFalse(self.sm.validate_resource_policy(ResourcePolicy=json.dumps(policy))["PolicyValidationPassed"])
        self.assertAwsError("MalformedPolicyDocumentException", self.sm.put_resource_policy, SecretId=secret["ARN"], ResourcePolicy="{}")

    def test_a_key_of_ones_own(self):
        key = self.kms.create_key()["KeyMetadata"]["Arn"]
        secret = self.make(SecretString="a", KmsKeyId=key)
        self.assertEqual(self.sm.describe_secret(SecretId=secret["ARN"])["KmsKeyId"], key)
        user = client("secretsmanager", **limited_key(self, {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}))
        self.assertAwsError("AccessDeniedException", user.get_secret_value, SecretId=secret["ARN"], message="Access to KMS is not allowed")
        also = client("secretsmanager", **limited_key(self, {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"},
                                                      {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": {"StringEquals": {
                                                          "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
                                                          "kms:EncryptionContext:SecretARN": secret["ARN"]}}}))
        self.assertEqual(also.get_secret_value(SecretId=secret["ARN"])["SecretString"], "a")
        self.kms.disable_key(KeyId=key)
        self.assertAwsError("DecryptionFailure", self.sm.get_secret_value, SecretId=secret["ARN"], message="is disabled")
        self.kms.enable_key(KeyId=key)
        self.sm.update_secret(SecretId=secret["ARN"], KmsKeyId="alias/aws/secretsmanager")
        self.kms.schedule_key_deletion(KeyId=key)
        self.assertEqual(self.value(secret["ARN"]), "a")


class CommandLine(SecretCase):
    def test_there_and_back(self):
        for aws in aws_programs():
            def call(*words):
                return json.loads(run(aws, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json", "secretsmanager", *words).stdout)
            name = self.name()
            call("create-secret", "--name", name, "--secret-string", "words")
            self.assertEqual(call("get-secret-value", "--secret-id", name)["SecretString"], "words")
            call("delete-secret", "--secret-id", name, "--force-delete-without-recovery")


if __name__ == "__main__":
    unittest.main()
