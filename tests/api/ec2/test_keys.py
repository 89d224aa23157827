"""EC2's key pairs and instance types."""
import base64
import hashlib
import json
import os
import subprocess
import tempfile
import unittest
import uuid

from aws import ENDPOINT, TestCase, aws_programs, client, run


def keygen(*args):
    return subprocess.run(["ssh-keygen", *args], check=True, capture_output=True, text=True).stdout


class KeyPairs(TestCase):
    def setUp(self):
        self.ec2 = client("ec2")
        self.names = []
        self.addCleanup(lambda: [self.ec2.delete_key_pair(KeyName=n) for n in self.names])

    def name(self):
        self.names.append("key-" + uuid.uuid4().hex)
        return self.names[-1]

    def test_made_pairs_are_read_by_ssh(self):
        for kind in ("rsa", "ed25519"):
            with self.subTest(kind), tempfile.TemporaryDirectory() as d:
                made = self.ec2.create_key_pair(KeyName=self.name(), KeyType=kind)
                path = os.path.join(d, "key.pem")
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                    f.write(made["KeyMaterial"] + "\n")
                public = keygen("-y", "-f", path).split()[:2]
                described = self.ec2.describe_key_pairs(KeyPairIds=[made["KeyPairId"]], IncludePublicKey=True)["KeyPairs"][0]
                self.assertEqual(described["PublicKey"].split()[:2], public)
                self.assertEqual(described["KeyType"], kind)
                self.assertEqual(described["KeyFingerprint"], made["KeyFingerprint"])
                if kind == "rsa":
                    der = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", path, "-outform", "DER"],
                                         check=True, capture_output=True).stdout
                    digest = hashlib.sha1(der).hexdigest()
                    self.assertEqual(made["KeyFingerprint"], ":".join(digest[i:i + 2] for i in range(0, 40, 2)))
                else:
                    self.assertEqual(made["KeyFingerprint"].rstrip("="), keygen("-l", "-f", path).split()[1].removeprefix("SHA256:"))

    def test_imported_pairs(self):
        with tempfile.TemporaryDirectory() as d:
            keygen("-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", d + "/r")
            public = open(d + "/r.pub", "rb").read()
            name = self.name()
            made = self.ec2.import_key_pair(KeyName=name, PublicKeyMaterial=public, TagSpecifications=[
                {"ResourceType": "key-pair", "Tags": [{"Key": "a", "Value": "b"}]}])
            pem = keygen("-e", "-m", "PKCS8", "-f", d + "/r.pub")
            der = base64.b64decode("".join(pem.splitlines()[1:-1]))
            digest = hashlib.md5(der).hexdigest()
            self.assertEqual(made["KeyFingerprint"], ":".join(digest[i:i + 2] for i in range(0, 32, 2)))
            found = self.ec2.describe_key_pairs(Filters=[{"Name": "tag:a", "Values": ["b"]}, {"Name": "key-name", "Values": [name]}])["KeyPairs"]
            self.assertEqual([k["KeyPairId"] for k in found], [made["KeyPairId"]])
            self.assertNotIn("PublicKey", found[0])
            self.assertAwsError("InvalidKeyPair.Duplicate", self.ec2.import_key_pair, KeyName=name, PublicKeyMaterial=public)
            self.assertAwsError("InvalidKeyPair.Duplicate", self.ec2.create_key_pair, KeyName=name)
        self.assertAwsError("InvalidKey.Format", self.ec2.import_key_pair, KeyName=self.name(), PublicKeyMaterial=b"ssh-rsa nothing")
        self.assertAwsError("InvalidKey.Format", self.ec2.import_key_pair, KeyName=self.name(), PublicKeyMaterial=b"hello")

    def test_what_is_not_there(self):
        self.assertAwsError("InvalidKeyPair.NotFound", self.ec2.describe_key_pairs, KeyNames=["no-such-key"])
        self.assertAwsError("InvalidKeyPair.NotFound", self.ec2.describe_key_pairs, KeyPairIds=["key-0123456789abcdef0"])
        self.assertTrue(self.ec2.delete_key_pair(KeyName="no-such-key")["ResponseMetadata"]["HTTPStatusCode"], 200)
        self.assertAwsError("Unsupported", self.ec2.create_key_pair, KeyName=self.name(), KeyFormat="ppk")
        self.assertAwsError("InvalidParameterValue", self.ec2.create_key_pair, KeyName="\u00e4")
        self.assertAwsError("DryRunOperation", self.ec2.create_key_pair, KeyName=self.name(), DryRun=True)
        name = self.name()
        self.ec2.create_key_pair(KeyName=name, KeyType="ed25519")
        self.ec2.delete_key_pair(KeyName=name)
        self.assertAwsError("InvalidKeyPair.NotFound", self.ec2.describe_key_pairs, KeyNames=[name])

    def test_command_lines(self):
        for program in aws_programs():
            with self.subTest(program):
                name = self.name()
                made = json.loads(run(program, "--endpoint-url", ENDPOINT, "ec2", "create-key-pair", "--key-name", name, "--key-type", "ed25519").stdout)
                self.assertIn("OPENSSH PRIVATE KEY", made["KeyMaterial"])
                shown = json.loads(run(program, "--endpoint-url", ENDPOINT, "ec2", "describe-key-pairs", "--key-names", name).stdout)
                self.assertEqual(shown["KeyPairs"][0]["KeyPairId"], made["KeyPairId"])


class InstanceTypes(TestCase):
    def setUp(self):
        self.ec2 = client("ec2")

    def test_facts(self):
        micro = self.ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"][0]
        self.assertEqual(micro["VCpuInfo"]["DefaultVCpus"], 2)
        self.assertEqual(micro["MemoryInfo"]["SizeInMiB"], 1024)
        self.assertTrue(micro["BurstablePerformanceSupported"])
        self.assertEqual(micro["NetworkInfo"]["Ipv4AddressesPerInterface"], 2)
        self.assertAwsError("InvalidInstanceType", self.ec2.describe_instance_types, InstanceTypes=["t3.micro", "g4dn.xlarge"])

    def test_filters_and_pages(self):
        names = []
        for page in self.ec2.get_paginator("describe_instance_types").paginate(
                Filters=[{"Name": "instance-type", "Values": ["t3.*", "t2.*"]}], PaginationConfig={"PageSize": 5}):
            self.assertLessEqual(len(page["InstanceTypes"]), 5)
            names += [t["InstanceType"] for t in page["InstanceTypes"]]
        self.assertEqual(names, sorted(set(names)))
        self.assertEqual(len(names), 14)
        two = self.ec2.describe_instance_types(Filters=[{"Name": "memory-info.size-in-mib", "Values": ["1024"]},
                                                        {"Name": "vcpu-info.default-vcpus", "Values": ["2"]}])["InstanceTypes"]
        self.assertIn("t3.micro", [t["InstanceType"] for t in two])
        self.assertTrue(all(t["MemoryInfo"]["SizeInMiB"] == 1024 for t in two))
        self.assertAwsError("InvalidParameterValue", self.ec2.describe_instance_types, Filters=[{"Name": "colour", "Values": ["red"]}])
        self.assertAwsError("InvalidParameterCombination", self.ec2.describe_instance_types, InstanceTypes=["t3.micro"], MaxResults=5)

    def test_offerings(self):
        zones = {o["Location"] for o in self.ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}])["InstanceTypeOfferings"]}
        self.assertEqual(zones, {z["ZoneName"] for z in self.ec2.describe_availability_zones()["AvailabilityZones"]})
        seen = []
        for page in self.ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone",
                                                                                        PaginationConfig={"PageSize": 500}):
            seen += [(o["InstanceType"], o["Location"]) for o in page["InstanceTypeOfferings"]]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertGreater(len(seen), 1000)
        self.assertNotIn("g4dn.xlarge", {t for t, _ in seen})


if __name__ == "__main__":
    unittest.main()
