"""Keys of KMS: made, used, named, shared, rotated, and ended."""
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
import raw  # noqa: E402
from aws import ENDPOINT, TestCase, aws_programs, client, limited_key, run  # noqa: E402
from moving import moving_cloud  # noqa: E402


def newer(operation, endpoint=ENDPOINT, status=200, **values):
    """The answer of an operation, or of members, that the oldest boto3 does not know."""
    port = int(endpoint.rsplit(":", 1)[1])
    reply = raw.ask(port, raw.Signer(port, "kms").request("POST", "/", json.dumps(values).encode(), headers={
        "content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService." + operation}))
    assert reply.status == status, reply.data
    return json.loads(reply.body) if reply.body else {}


class KeyCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kms = client("kms")

    def make(self, **more):
        return self.kms.create_key(**more)["KeyMetadata"]

    def limited(self, *statements):
        return client("kms", **limited_key(self, *statements))


class Keys(KeyCase):
    def test_what_is_shown(self):
        made = self.make(Description="of a test", Tags=[{"TagKey": "team", "TagValue": "red"}])
        self.assertEqual((made["KeyState"], made["KeyUsage"], made["KeySpec"], made["Origin"], made["KeyManager"], made["Enabled"], made["MultiRegion"]),
                         ("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "AWS_KMS", "CUSTOMER", True, False))
        self.assertEqual(made["Arn"], f"arn:aws:kms:us-east-1:000000000000:key/{made['KeyId']}")
        self.assertEqual(self.kms.describe_key(KeyId=made["Arn"])["KeyMetadata"], made)
        self.assertEqual(self.kms.list_resource_tags(KeyId=made["KeyId"])["Tags"], [{"TagKey": "team", "TagValue": "red"}])
        self.kms.tag_resource(KeyId=made["KeyId"], Tags=[{"TagKey": "cost", "TagValue": "1"}])
        self.kms.untag_resource(KeyId=made["KeyId"], TagKeys=["team"])
        self.assertEqual(self.kms.list_resource_tags(KeyId=made["KeyId"])["Tags"], [{"TagKey": "cost", "TagValue": "1"}])
        self.kms.update_key_description(KeyId=made["KeyId"], Description="another")
        self.assertEqual(self.kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]["Description"], "another")
        policy = json.loads(self.kms.get_key_policy(KeyId=made["KeyId"], PolicyName="default")["Policy"])
        self.assertEqual(policy["Statement"][0]["Principal"], {"AWS": "arn:aws:iam::000000000000:root"})
        self.assertEqual(self.kms.list_key_policies(KeyId=made["KeyId"])["PolicyNames"], ["default"])

    def test_pages(self):
        account = "8" + f"{uuid.uuid4().int % 10**11:011d}"
        kms = client("kms", key=account, secret="test", region="eu-west-1")
        made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
        seen, pages = set(), 0
        for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}):
            seen |= {k["KeyId"] for k in page["Keys"]}
            pages += 1
        self.assertEqual((seen, pages), (made, 3))
        self.assertAwsError("InvalidMarkerException", kms.list_keys, Marker="no such")

    def test_what_is_not_there(self):
        absent = "00000000-0000-4000-8000-000000000000"
        self.assertAwsError("NotFoundException", self.kms.describe_key, KeyId=absent, status=400,
                            message=f"Key 'arn:aws:kms:us-east-1:000000000000:key/{absent}' does not exist")
        self.assertAwsError("NotFoundException", self.kms.describe_key, KeyId="alias/none", message="Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found.")
        self.assertAwsError("NotFoundException", self.kms.describe_key, KeyId="nonsense", message="Invalid keyId")
        self.assertAwsError("NotFoundException", self.kms.describe_key, KeyId=f"arn:aws:kms:eu-west-1:000000000000:key/{absent}", message="Invalid arn eu-west-1")
        self.assertAwsError("UnsupportedOperationException", self.kms.create_key, MultiRegion=True)
        self.assertAwsError("UnsupportedOperationException", self.kms.create_key, Origin="EXTERNAL")
        self.assertAwsError("UnsupportedOperationException", self.kms.describe_custom_key_stores)

    def test_bytes_come_back(self):
        key = self.make()
        context = {"purpose": "test", "who": "ünïcode"}
        sealed = self.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"a secret", EncryptionContext=context)
        self.assertEqual((sealed["KeyId"], sealed["EncryptionAlgorithm"]), (key["Arn"], "SYMMETRIC_DEFAULT"))
        opened = self.kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=dict(reversed(context.items())))
        self.assertEqual((opened["Plaintext"], opened["KeyId"]), (b"a secret", key["Arn"]))
        self.assertAwsError("InvalidCiphertextException", self.kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"], status=400)
        self.assertAwsError("InvalidCiphertextException", self.kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"purpose": "other"})
        for at in (0, 1, 90, 120, len(sealed["CiphertextBlob"]) - 1):
            bent = bytearray(sealed["CiphertextBlob"])
            bent[at] ^= 1
            self.assertAwsError("InvalidCiphertextException", self.kms.decrypt, CiphertextBlob=bytes(bent), EncryptionContext=context)
        self.assertAwsError("InvalidCiphertextException", self.kms.decrypt, CiphertextBlob=b"short")
        other = self.make()
        self.assertAwsError("IncorrectKeyException", self.kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context, KeyId=other["KeyId"])
        moved = self.kms.re_encrypt(CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext=context, DestinationKeyId=other["Arn"],
                                    DestinationEncryptionContext={"new": "1"})
        self.assertEqual((moved["SourceKeyId"], moved["KeyId"]), (key["Arn"], other["Arn"]))
        self.assertEqual(self.kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"new": "1"}, KeyId=other["KeyId"])["Plaintext"], b"a secret")
        dry = newer("Encrypt", status=400, KeyId=key["KeyId"], Plaintext="eA==", DryRun=True)
        self.assertIn("DryRunOperationException", dry["__type"])
        elsewhere = client("kms", region="eu-west-1")
        self.assertAwsError("AccessDeniedException", elsewhere.decrypt, CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context,
                            message="does not exist in this region")

    def test_data_keys(self):
        key = self.make()["KeyId"]
        for wish, n in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)):
            made = self.kms.generate_data_key(KeyId=key, **wish)
            self.assertEqual(len(made["Plaintext"]), n)
            self.assertEqual(self.kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"], made["Plaintext"])
        hidden = self.kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256", EncryptionContext={"a": "b"})
        self.assertNotIn("Plaintext", hidden)
        self.assertEqual(len(self.kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"]), 32)
        self.assertAwsError("ValidationException", self.kms.generate_data_key, KeyId=key)
        one, two = (self.kms.generate_random(NumberOfBytes=40)["Plaintext"] for _ in range(2))
        self.assertEqual(len(one), 40)
        self.assertNotEqual(one, two)

    def test_disabled_and_ended(self):
        key = self.make()["Arn"]
        blob = self.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        self.kms.disable_key(KeyId=key)
        self.assertAwsError("DisabledException", self.kms.encrypt, KeyId=key, Plaintext=b"x", message=f"{key} is disabled.")
        self.assertAwsError("DisabledException", self.kms.decrypt, CiphertextBlob=blob)
        self.kms.enable_key(KeyId=key)
        self.assertEqual(self.kms.decrypt(CiphertextBlob=blob)["Plaintext"], b"x")
        self.assertAwsError("ValidationException", self.kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=6)
        ending = self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        self.assertEqual((ending["KeyState"], ending["PendingWindowInDays"]), ("PendingDeletion", 7))
        self.assertEqual(self.kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"], ending["DeletionDate"])
        self.assertAwsError("KMSInvalidStateException", self.kms.decrypt, CiphertextBlob=blob, message=f"{key} is pending deletion.")
        self.assertAwsError("KMSInvalidStateException", self.kms.enable_key, KeyId=key)
        self.kms.cancel_key_deletion(KeyId=key)
        self.assertEqual(self.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "Disabled")
        self.assertAwsError("KMSInvalidStateException", self.kms.cancel_key_deletion, KeyId=key)

    def test_aliases(self):
        one, two, name = self.make()["KeyId"], self.make()["KeyId"], f"alias/t/{uuid.uuid4().hex}"
        self.kms.create_alias(AliasName=name, TargetKeyId=one)
        self.assertAwsError("AlreadyExistsException", self.kms.create_alias, AliasName=name, TargetKeyId=two)
        self.assertEqual(self.kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"], one)
        blob = self.kms.encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
        shown = self.kms.list_aliases(KeyId=one)["Aliases"]
        self.assertEqual([(a["AliasName"], a["TargetKeyId"]) for a in shown], [(name, one)])
        self.kms.update_alias(AliasName=name, TargetKeyId=two)
        self.assertEqual(self.kms.describe_key(KeyId=shown[0]["AliasArn"])["KeyMetadata"]["KeyId"], two)
        self.assertTrue(self.kms.decrypt(CiphertextBlob=blob)["KeyId"].endswith(one))
        self.kms.delete_alias(AliasName=name)
        self.assertAwsError("NotFoundException", self.kms.delete_alias, AliasName=name)
        self.assertAwsError("InvalidAliasNameException", self.kms.create_alias, AliasName="none", TargetKeyId=one)
        self.assertAwsError("InvalidAliasNameException", self.kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=one)

    def test_keys_of_aws(self):
        account = "8" + f"{uuid.uuid4().int % 10**11:011d}"
        kms = client("kms", key=account, secret="test")
        found = kms.describe_key(KeyId="alias/aws/ssm")["KeyMetadata"]
        self.assertEqual((found["KeyManager"], found["Enabled"]), ("AWS", True))
        self.assertEqual(kms.describe_key(KeyId="alias/aws/ssm")["KeyMetadata"]["KeyId"], found["KeyId"])
        self.assertAwsError("AccessDeniedException", kms.encrypt, KeyId="alias/aws/ssm", Plaintext=b"x")
        self.assertAwsError("AccessDeniedException", kms.schedule_key_deletion, KeyId=found["KeyId"])
        self.assertTrue(kms.get_key_rotation_status(KeyId=found["KeyId"])["KeyRotationEnabled"])

    def test_rotated_on_demand(self):
        key = self.make()["KeyId"]
        blobs = []
        for n in range(3):
            blobs.append(self.kms.encrypt(KeyId=key, Plaintext=b"%d" % n)["CiphertextBlob"])
            newer("RotateKeyOnDemand", KeyId=key)
        opened = [self.kms.decrypt(CiphertextBlob=b) for b in blobs]
        self.assertEqual([o["Plaintext"] for o in opened], [b"0", b"1", b"2"])
        rotations = newer("ListKeyRotations", KeyId=key)["Rotations"]
        self.assertEqual([r["RotationType"] for r in rotations], ["ON_DEMAND"] * 3)
        self.assertFalse(self.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])

    def test_the_store_has_no_key_in_clear(self):
        key = self.make()["KeyId"]
        made = self.kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        for folder, _, names in os.walk(os.path.join(os.environ["QUARTET_DATA"], "store")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    self.assertNotIn(made["Plaintext"], f.read())


class Others(KeyCase):
    """Keys that sign, and keys that authenticate."""

    def test_curves(self):
        for spec, algorithm, digest in (("ECC_NIST_P256", "ECDSA_SHA_256", "sha256"), ("ECC_NIST_P384", "ECDSA_SHA_384", "sha384"),
                                        ("ECC_SECG_P256K1", "ECDSA_SHA_256", "sha256")):
            key = self.make(KeySpec=spec, KeyUsage="SIGN_VERIFY")
            self.assertEqual(key["SigningAlgorithms"], [algorithm])
            self.check(key["Arn"], algorithm, digest)

    def test_rsa(self):
        key = self.make(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["Arn"]
        for algorithm, digest in (("RSASSA_PKCS1_V1_5_SHA_256", "sha256"), ("RSASSA_PSS_SHA_512", "sha512")):
            self.check(key, algorithm, digest)
        self.assertAwsError("InvalidKeyUsageException", self.kms.encrypt, KeyId=key, Plaintext=b"x")
        self.assertAwsError("UnsupportedOperationException", self.make, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")

    def check(self, key, algorithm, digest):
        message = b"to be signed"
        signature = self.kms.sign(KeyId=key, Message=message, SigningAlgorithm=algorithm)["Signature"]
        self.assertTrue(self.kms.verify(KeyId=key, Message=message, Signature=signature, SigningAlgorithm=algorithm)["SignatureValid"])
        hashed = hashlib.new(digest, message).digest()
        self.assertTrue(self.kms.verify(KeyId=key, Message=hashed, MessageType="DIGEST", Signature=signature, SigningAlgorithm=algorithm)["SignatureValid"])
        self.assertAwsError("KMSInvalidSignatureException", self.kms.verify, KeyId=key, Message=b"other", Signature=signature, SigningAlgorithm=algorithm)
        self.openssl(self.kms.get_public_key(KeyId=key)["PublicKey"], message, signature, algorithm, digest)

    def openssl(self, public, message, signature, algorithm, digest):
        files = [f"/tmp/kms-{os.getpid()}-{uuid.uuid4().hex}" for _ in range(3)]
        for name, what in zip(files, (public, message, signature)):
            with open(name, "wb") as f:
                f.write(what)
            self.addCleanup(os.unlink, name)
        padding = ["-sigopt", "rsa_padding_mode:pss"] if "PSS" in algorithm else []
        done = run("openssl", "dgst", f"-{digest}", "-keyform", "DER", "-verify", files[0], *padding, "-signature", files[2], files[1])
        self.assertIn("Verified OK", done.stdout)

    def test_codes(self):
        key = self.make(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        self.assertEqual(key["MacAlgorithms"], ["HMAC_SHA_256"])
        made = self.kms.generate_mac(KeyId=key["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_256")["Mac"]
        self.assertEqual(len(made), 32)
        self.assertTrue(self.kms.verify_mac(KeyId=key["KeyId"], Message=b"m", Mac=made, MacAlgorithm="HMAC_SHA_256")["MacValid"])
        self.assertAwsError("KMSInvalidMacException", self.kms.verify_mac, KeyId=key["KeyId"], Message=b"n", Mac=made, MacAlgorithm="HMAC_SHA_256")
        self.assertAwsError("InvalidKeyUsageException", self.kms.generate_mac, KeyId=key["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_512")
        self.assertAwsError("ValidationException", self.make, KeySpec="HMAC_256")


class Permissions(KeyCase):
    def who(self, keys):
        return client("sts", **keys).get_caller_identity()["Arn"]

    def test_the_default_policy_leaves_it_to_iam(self):
        key, other = self.make()["Arn"], self.make()["Arn"]
        user = self.limited({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": key})
        blob = user.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        self.assertAwsError("AccessDeniedException", user.encrypt, KeyId=other, Plaintext=b"x", status=400,
                            message="because no identity-based policy allows the kms:Encrypt action")
        self.assertAwsError("AccessDeniedException", user.decrypt, CiphertextBlob=blob)

    def test_a_key_policy_rules(self):
        keys = limited_key(self, {"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
        user, me = client("kms", **keys), self.who(keys)
        key = self.make()["Arn"]
        only = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": me}, "Action": "kms:*", "Resource": "*"}]}
        self.assertAwsError("MalformedPolicyDocumentException", self.kms.put_key_policy, KeyId=key, PolicyName="default", Policy=json.dumps(only),
                            message="will not allow you to update the key policy in the future")
        user.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(only))
        self.assertAwsError("AccessDeniedException", self.kms.describe_key, KeyId=key, message="because no resource-based policy allows the kms:DescribeKey action")
        self.assertEqual(json.loads(user.get_key_policy(KeyId=key, PolicyName="default")["Policy"]), only)
        self.assertAwsError("MalformedPolicyDocumentException", user.put_key_policy, KeyId=key, PolicyName="default", Policy="{}")

    def test_contexts_are_conditions(self):
        key = self.make()["Arn"]
        user = self.limited({"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": key,
                             "Condition": {"StringEquals": {"kms:EncryptionContext:app": "one"}}})
        blob = user.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"app": "one"})["CiphertextBlob"]
        self.assertAwsError("AccessDeniedException", user.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"app": "two"})
        self.assertEqual(user.decrypt(CiphertextBlob=blob, EncryptionContext={"app": "one"})["Plaintext"], b"x")

    def test_grants(self):
        keys = limited_key(self, {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
        user, me = client("kms", **keys), self.who(keys)
        key = self.make()["Arn"]
        self.assertAwsError("AccessDeniedException", user.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1"})
        grant = self.kms.create_grant(KeyId=key, GranteePrincipal=me, Operations=["Encrypt", "RetireGrant"], Name="n",
                                      Constraints={"EncryptionContextSubset": {"a": "1"}})
        user.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1", "b": "2"}, GrantTokens=[grant["GrantToken"]])
        self.assertAwsError("AccessDeniedException", user.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"a": "2"})
        shown = self.kms.list_grants(KeyId=key)["Grants"]
        self.assertEqual([(g["GrantId"], g["GranteePrincipal"], g["Operations"]) for g in shown], [(grant["GrantId"], me, ["Encrypt", "RetireGrant"])])
        again = self.kms.create_grant(KeyId=key, GranteePrincipal=me, Operations=["Encrypt", "RetireGrant"], Name="n",
                                      Constraints={"EncryptionContextSubset": {"a": "1"}})
        self.assertEqual(again["GrantId"], grant["GrantId"])
        user.retire_grant(GrantToken=grant["GrantToken"])
        self.assertAwsError("AccessDeniedException", user.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1"})
        self.assertEqual(self.kms.list_grants(KeyId=key)["Grants"], [])
        self.assertAwsError("NotFoundException", self.kms.revoke_grant, KeyId=key, GrantId=grant["GrantId"])

    def test_a_denial_wins_over_a_grant(self):
        keys = limited_key(self, {"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"})
        key = self.make()["Arn"]
        self.kms.create_grant(KeyId=key, GranteePrincipal=self.who(keys), Operations=["Encrypt"])
        self.assertAwsError("AccessDeniedException", client("kms", **keys).encrypt, KeyId=key, Plaintext=b"x", message="with an explicit deny")

    def test_another_account(self):
        account = "8" + f"{uuid.uuid4().int % 10**11:011d}"
        other = client("kms", key=account, secret="test")
        key = self.make()["Arn"]
        self.assertAwsError("AccessDeniedException", other.encrypt, KeyId=key, Plaintext=b"x")
        self.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"}]}))
        blob = other.encrypt(KeyId=key, Plaintext=b"shared")["CiphertextBlob"]
        self.assertEqual(self.kms.decrypt(CiphertextBlob=blob)["Plaintext"], b"shared")
        self.assertEqual(other.decrypt(CiphertextBlob=blob)["Plaintext"], b"shared")
        self.assertAwsError("AccessDeniedException", other.disable_key, KeyId=key)


class CommandLine(KeyCase):
    def test_there_and_back(self):
        for aws in aws_programs():
            def call(*words):
                return json.loads(run(aws, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json", "kms", *words).stdout)
            key = call("create-key", "--description", "by the command line")["KeyMetadata"]["KeyId"]
            made = call("encrypt", "--key-id", key, "--plaintext", base64.b64encode(b"words").decode())
            name = f"/tmp/kms-{os.getpid()}-{uuid.uuid4().hex}"
            with open(name, "wb") as f:
                f.write(base64.b64decode(made["CiphertextBlob"]))
            self.addCleanup(os.unlink, name)
            self.assertEqual(base64.b64decode(call("decrypt", "--ciphertext-blob", f"fileb://{name}")["Plaintext"]), b"words")


class Time(TestCase):
    """By the cloud's clock, and over a death of the role that keeps the keys."""

    def again(self, cloud):
        old = cloud.kill("api")
        cloud.wait_for_role("api", other_than=old)
        cloud.wait()

    def until(self, holds, seconds=30):
        until = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def test_rotation_deletion_and_kill(self):
        cloud, of = moving_cloud(self)
        kms = of("kms")
        turning, ending = kms.create_key()["KeyMetadata"]["KeyId"], kms.create_key()["KeyMetadata"]["KeyId"]
        newer("EnableKeyRotation", cloud.endpoint, KeyId=turning, RotationPeriodInDays=90)
        due = newer("GetKeyRotationStatus", cloud.endpoint, KeyId=turning)["NextRotationDate"]
        old, lost = (kms.encrypt(KeyId=k, Plaintext=b"old")["CiphertextBlob"] for k in (turning, ending))
        kms.create_alias(AliasName="alias/ending", TargetKeyId=ending)
        kms.schedule_key_deletion(KeyId=ending, PendingWindowInDays=7)
        self.again(cloud)
        self.assertEqual(kms.decrypt(CiphertextBlob=old)["Plaintext"], b"old")
        cloud.forward("192h")
        self.assertAwsError("NotFoundException", kms.describe_key, KeyId=ending)
        self.assertAwsError("NotFoundException", kms.describe_key, KeyId="alias/ending")
        self.assertAwsError("AccessDeniedException", kms.decrypt, CiphertextBlob=lost)
        self.until(lambda: not [a for a in kms.list_aliases()["Aliases"] if a["AliasName"] == "alias/ending"])
        cloud.forward("1992h")
        self.until(lambda: newer("GetKeyRotationStatus", cloud.endpoint, KeyId=turning)["NextRotationDate"] > due)
        self.assertEqual([r["RotationType"] for r in newer("ListKeyRotations", cloud.endpoint, KeyId=turning)["Rotations"]], ["AUTOMATIC"])
        self.again(cloud)
        self.assertEqual(kms.decrypt(CiphertextBlob=old)["Plaintext"], b"old")


if __name__ == "__main__":
    unittest.main()
