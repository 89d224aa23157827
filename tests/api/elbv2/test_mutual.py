"""Certificates of clients: trust stores, and what listeners of HTTPS and TLS do with whoever comes with a certificate or without."""
import json
import os
import pathlib
import re
import shlex
import socket
import ssl
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

import certificates
from balancers import query
from certificates import Pair, revoked
from webs import WebCase, forward, wait


class Mutual(WebCase):
    own_region = "af-south-1"  # S3 knows no others than Amazon's, and no other test of balancers is there

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = Pair("Root", key="ec", authority=True)
        cls.other = Pair("Other", key="ec", authority=True)
        cls.ann, cls.bob = (Pair(n, key="ec", by=cls.root, purpose="clientAuth") for n in ("Ann", "Bob"))
        cls.late = Pair("Late", key="ec", by=cls.root, ended=True, purpose="clientAuth")
        cls.bucket = "trust-" + cls.word
        cls.s3.create_bucket(Bucket=cls.bucket, CreateBucketConfiguration={"LocationConstraint": cls.region})
        for key, text in (("root.pem", cls.root.certificate), ("both.pem", cls.root.certificate + cls.other.certificate), ("ann.crl", revoked(cls.root, cls.ann)),
                          ("nobody.crl", revoked(cls.root)), ("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), ("text", "text")):
            cls.s3.put_object(Bucket=cls.bucket, Key=key, Body=text.encode())

    def call(self, action, **words):
        """The reply's elements, or (status, code)."""
        reply = query(self.region, action, **words)
        tree = ElementTree.fromstring(reply.body)
        if reply.status != 200:
            return reply.status, tree.findtext(".//{*}Code")
        return tree

    def refused(self, code, action, **words):
        self.assertEqual(self.call(action, **words), (400, code))

    def store(self, name, key="root.pem"):
        made = self.call("CreateTrustStore", Name=name, CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key=key)
        arn = made.findtext(".//{*}TrustStoreArn")
        self.addCleanup(self.forget, arn)
        return arn

    def forget(self, arn):
        self.clear()
        self.call("DeleteTrustStore", TrustStoreArn=arn)

    def text(self, tree, *names):
        return [tree.findtext(".//{*}" + n) for n in names]

    def test_stores(self):
        self.refused("CaCertificatesBundleNotFound", "CreateTrustStore", Name="a", CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key="none")
        for key in ("bad.pem", "text"):
            self.refused("InvalidCaCertificatesBundle", "CreateTrustStore", Name="a", CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key=key)
        self.refused("ValidationError", "CreateTrustStore", Name="a_b", CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key="root.pem")
        arn = self.store("staff")
        self.assertRegex(arn, rf"^arn:aws:elasticloadbalancing:{self.region}:000000000000:truststore/staff/[0-9a-f]{{16}}$")
        self.refused("DuplicateTrustStoreName", "CreateTrustStore", Name="staff", CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key="root.pem")
        shown = self.call("DescribeTrustStores", **{"Names.member.1": "staff"})
        self.assertEqual(self.text(shown, "Name", "TrustStoreArn", "Status", "NumberOfCaCertificates", "TotalRevokedEntries"), ["staff", arn, "ACTIVE", "1", "0"])
        self.refused("TrustStoreNotFound", "DescribeTrustStores", **{"Names.member.1": "nobody"})
        self.call("ModifyTrustStore", TrustStoreArn=arn, CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key="both.pem")
        shown = self.call("DescribeTrustStores", **{"TrustStoreArns.member.1": arn})
        self.assertEqual(self.text(shown, "NumberOfCaCertificates"), ["2"])
        link = self.text(self.call("GetTrustStoreCaCertificatesBundle", TrustStoreArn=arn), "Location")[0]
        with urllib.request.urlopen(link) as reply:
            self.assertEqual(reply.read().decode(), self.root.certificate + self.other.certificate)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(link.replace("name=staff", "name=stafe"))
        self.assertEqual(caught.exception.code, 403)
        # lists of what is revoked
        lists = lambda *keys: {f"RevocationContents.member.{i}.{k}": v for i, key in enumerate(keys, 1) for k, v in (("S3Bucket", self.bucket), ("S3Key", key))}
        self.refused("InvalidRevocationContent", "AddTrustStoreRevocations", TrustStoreArn=arn, **lists("ann.crl", "root.pem"))
        self.refused("RevocationContentNotFound", "AddTrustStoreRevocations", TrustStoreArn=arn, **lists("none"))
        added = self.call("AddTrustStoreRevocations", TrustStoreArn=arn, **lists("ann.crl", "nobody.crl"))
        self.assertEqual([m.findtext("{*}RevocationId") + m.findtext("{*}RevocationType") + m.findtext("{*}NumberOfRevokedEntries")
                          for m in added.iterfind(".//{*}member")], ["1CRL1", "2CRL0"])
        self.refused("RevocationIdNotFound", "DescribeTrustStoreRevocations", TrustStoreArn=arn, **{"RevocationIds.member.1": "3"})
        self.refused("RevocationIdNotFound", "RemoveTrustStoreRevocations", TrustStoreArn=arn, **{"RevocationIds.member.1": "1", "RevocationIds.member.2": "3"})
        link = self.text(self.call("GetTrustStoreRevocationContent", TrustStoreArn=arn, RevocationId="1"), "Location")[0]
        with urllib.request.urlopen(link) as reply:
            self.assertIn(b"-----BEGIN X509 CRL-----", reply.read())
        self.call("RemoveTrustStoreRevocations", TrustStoreArn=arn, **{"RevocationIds.member.1": "2"})
        shown = self.call("DescribeTrustStoreRevocations", TrustStoreArn=arn)
        self.assertEqual([m.findtext("{*}RevocationId") for m in shown.iterfind(".//{*}member")], ["1"])
        self.assertEqual(self.text(self.call("DescribeTrustStores", **{"TrustStoreArns.member.1": arn}), "TotalRevokedEntries"), ["1"])
        # tags
        self.call("AddTags", **{"ResourceArns.member.1": arn, "Tags.member.1.Key": "team", "Tags.member.1.Value": "a"})
        self.assertEqual(self.text(self.call("DescribeTags", **{"ResourceArns.member.1": arn}), "Key", "Value"), ["team", "a"])
        self.call("DeleteTrustStore", TrustStoreArn=arn)
        self.refused("TrustStoreNotFound", "DeleteTrustStore", TrustStoreArn=arn)

    def test_reading_the_bundle_takes_permission(self):
        user = "reader-" + self.word
        self.iam.create_user(UserName=user)
        self.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=
                                 '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"elasticloadbalancing:*","Resource":"*"}]}')
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        before = {k: os.environ[k] for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        try:
            os.environ.update(AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
            self.assertEqual(self.call("CreateTrustStore", Name="b", CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key="root.pem"),
                             (403, "AccessDenied"))
        finally:
            os.environ.update(before)
            self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
            self.iam.delete_user_policy(UserName=user, PolicyName="p")
            self.iam.delete_user(UserName=user)

    # --- what listeners do

    def context(self, trust, pair=None, chain=""):
        if pair:
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(pair.key + pair.certificate + chain)
                file.flush()
                trust.load_cert_chain(file.name)
        return trust

    def sealed(self, balancer, actions, protocol="HTTPS"):
        """(the listener's ARN, a function that asks as whoever has that certificate and gives the reply or None)"""
        arn, _ = self.certificate(name := f"{self.word}.localhost")
        authority = self.acm.get_certificate(CertificateArn=arn)["CertificateChain"]
        listener = self.listen(balancer, actions, Protocol=protocol, Port=443, Certificates=[{"CertificateArn": arn}], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
        address = self.addresses(balancer)[0]

        def ask(pair=None, chain="", headers=()):
            try:
                reply = self.ask(address, port=443, tls=self.context(ssl.create_default_context(cadata=authority), pair, chain), name=name, host=name, headers=headers)
            except OSError:
                return None
            return reply if reply.status else None
        return listener, ask

    def mutual(self, listener, **words):
        return self.call("ModifyListener", ListenerArn=listener, **{"MutualAuthentication." + k: v for k, v in words.items()})

    def test_verify_and_pass(self):
        group = self.function_group("mutual", self.function("mutual"))
        made = self.balancer("mutual")
        trust = self.store("mutual")
        listener, ask = self.sealed(made, forward(group))
        plain = self.listen(made, self.fixed("plain"))
        for bad in ({"Mode": "verify"}, {"Mode": "passthrough", "TrustStoreArn": trust}, {"Mode": "off", "IgnoreClientCertificateExpiry": "true"}, {"Mode": "often"}):
            self.assertEqual(self.mutual(listener, **bad), (400, "ValidationError"), bad)
        self.assertEqual(self.mutual(plain, Mode="passthrough"), (400, "ValidationError"))
        self.assertEqual(self.mutual(listener, Mode="verify", TrustStoreArn=trust[:-1] + "x"), (400, "TrustStoreNotFound"))
        forged = [("X-Amzn-Mtls-Clientcert", "forged"), ("X-Amzn-Mtls-Clientcert-Leaf", "forged"), ("X-Amzn-Mtls-Clientcert-Subject", "forged")]
        mine = lambda reply: {k: v for k, v in reply.json()["headers"].items() if k.startswith("x-amzn-mtls")}
        pem = lambda *pairs: "".join(urllib.parse.quote(p.certificate, safe="+=/") for p in pairs)

        self.mutual(listener, Mode="passthrough")
        heard = wait(self, lambda: (r := ask(self.ann, headers=forged)) and "x-amzn-mtls-clientcert" in r.json()["headers"] and mine(r)["x-amzn-mtls-clientcert"] != "forged" and r, 60)
        self.assertEqual(mine(heard), {"x-amzn-mtls-clientcert": pem(self.ann)})
        self.assertEqual(mine(ask(self.ann, chain=self.root.certificate)), {"x-amzn-mtls-clientcert": pem(self.ann, self.root)})
        self.assertEqual(mine(ask(self.other)), {"x-amzn-mtls-clientcert": pem(self.other)})  # whatever it is
        self.assertEqual(mine(ask(headers=forged)), {})

        said = self.mutual(listener, Mode="verify", TrustStoreArn=trust)
        self.assertEqual(self.text(said, "Mode", "TrustStoreArn", "IgnoreClientCertificateExpiry", "TrustStoreAssociationStatus", "AdvertiseTrustStoreCaNames"),
                         ["verify", trust, "false", "active", "off"])
        self.assertEqual(self.text(self.call("DescribeTrustStoreAssociations", TrustStoreArn=trust), "ResourceArn"), [listener])
        self.refused("TrustStoreInUse", "DeleteTrustStore", TrustStoreArn=trust)
        self.refused("DeleteAssociationSameAccount", "DeleteSharedTrustStoreAssociation", TrustStoreArn=trust, ResourceArn=listener)
        wait(self, lambda: not ask(), 60, "nobody without a certificate")
        heard = mine(ask(self.ann, headers=forged))
        self.assertEqual(heard.pop("x-amzn-mtls-clientcert-leaf"), pem(self.ann))
        self.assertEqual(heard.pop("x-amzn-mtls-clientcert-serial-number"), certificates.says(self.ann.certificate, "-serial").split("=")[1])
        self.assertRegex(heard.pop("x-amzn-mtls-clientcert-validity"), r"^NotBefore=20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ;NotAfter=20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(heard, {"x-amzn-mtls-clientcert-issuer": "CN=Root,O=Tests", "x-amzn-mtls-clientcert-subject": "CN=Ann,O=Tests"})
        self.assertIsNone(ask(self.other))
        self.assertIsNone(ask(self.late))

        # and what their connections leave in the log
        logs = f"logs-{self.word}"
        self.s3.create_bucket(Bucket=logs, CreateBucketConfiguration={"LocationConstraint": self.region})
        self.s3.put_bucket_policy(Bucket=logs, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{logs}/*"}]}))
        self.attributes(made, connection_logs__s3__enabled="true", connection_logs__s3__bucket=logs)
        noted = lambda: [shlex.split(line) for f in pathlib.Path(os.environ["QUARTET_DATA"], "elb-logs").glob("app-" + made["LoadBalancerArn"].rsplit("/", 1)[1] + ".*")
                         for line in f.read_text().splitlines()]
        wait(self, lambda: ask(self.bob) and noted(), 60, "a line of the log")
        for pair in (self.ann, self.late, self.other, None):
            ask(pair)
        words = wait(self, lambda: (w := noted()) and any(v[-2] == "Failed:UnmappedConnectionError" for v in w) and w, 60, "the last one's line")
        day = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        self.assertTrue(all(len(w) == 12 and w[3] == "443" and (w[8] == "-" or re.match(f"^NotBefore={day};NotAfter={day}$", w[8])) for w in words), words)
        serial = lambda pair: certificates.says(pair.certificate, "-serial").split("=")[1].strip()
        self.assertEqual({(w[7], w[9], w[10]) for w in words}, {
            ("CN=Ann,O=Tests", serial(self.ann), "Success"), ("CN=Bob,O=Tests", serial(self.bob), "Success"),
            ("CN=Late,O=Tests", serial(self.late), "Failed:ClientCertExpired"), ("CN=Other,O=Tests", serial(self.other), "Failed:ClientCertUntrusted"),
            ("-", "-", "Failed:UnmappedConnectionError")})
        self.attributes(made, connection_logs__s3__enabled="false")

        # who has expired may come, where that is wanted
        self.mutual(listener, Mode="verify", TrustStoreArn=trust, IgnoreClientCertificateExpiry="true", AdvertiseTrustStoreCaNames="on")
        wait(self, lambda: ask(self.late), 60, "the one that has expired")
        self.assertIsNone(ask(self.other))
        names = re.findall(r"Acceptable client certificate CA names\n(.*)", self.hello(made))
        self.assertEqual(names, ["O = Tests, CN = Root"])

        # what is revoked, and a bundle that is replaced
        lists = {"RevocationContents.member.1.S3Bucket": self.bucket, "RevocationContents.member.1.S3Key": "ann.crl"}
        self.call("AddTrustStoreRevocations", TrustStoreArn=trust, **lists)
        wait(self, lambda: not ask(self.ann), 60, "who is revoked stays out")
        self.assertEqual(ask(self.bob).status, 200)
        self.call("RemoveTrustStoreRevocations", TrustStoreArn=trust, **{"RevocationIds.member.1": "1"})
        wait(self, lambda: ask(self.ann), 60)
        friend = Pair("Friend", key="ec", by=self.other, purpose="clientAuth")
        self.assertIsNone(ask(friend))
        self.call("ModifyTrustStore", TrustStoreArn=trust, CaCertificatesBundleS3Bucket=self.bucket, CaCertificatesBundleS3Key="both.pem")
        wait(self, lambda: ask(friend), 60)

        # headers by other names
        self.assertEqual(query(self.region, "ModifyListenerAttributes", ListenerArn=listener, **{
            "Attributes.member.1.Key": "routing.http.request.x_amzn_mtls_clientcert_subject.header_name", "Attributes.member.1.Value": "X-Who-Asks"}).status, 200)
        wait(self, lambda: ask(self.bob).json()["headers"].get("x-who-asks") == "CN=Bob,O=Tests", 60)
        self.assertNotIn("x-amzn-mtls-clientcert-subject", ask(self.bob).json()["headers"])
        self.mutual(listener, Mode="off")
        wait(self, lambda: (r := ask()) and r.status == 200, 60)
        self.call("DeleteTrustStore", TrustStoreArn=trust)
        self.refused("TrustStoreNotFound", "DescribeTrustStores", **{"Names.member.1": "mutual"})

    def test_network_balancers_verify(self):
        made = self.balancer("streams", Type="network")
        group = self.elb.create_target_group(Name="streams", Protocol="TCP", Port=80, VpcId=self.vpc, TargetType="ip")["TargetGroups"][0]
        trust = self.store("streams")
        listener, _ = self.sealed(made, forward(group), "TLS")
        address = self.addresses(made)[0]
        self.assertEqual(self.mutual(listener, Mode="passthrough"), (400, "ValidationError"))

        def shakes(pair=None):
            tls = self.context(ssl._create_unverified_context(), pair)  # pylint: disable=protected-access
            tls.maximum_version = ssl.TLSVersion.TLSv1_2  # the handshake ends after the server has seen the certificate
            try:
                with socket.create_connection((address, 443), 10) as s, tls.wrap_socket(s):
                    return True
            except OSError:
                return False
        wait(self, shakes, 60)
        self.assertEqual(self.text(self.mutual(listener, Mode="verify", TrustStoreArn=trust), "Mode"), ["verify"])
        wait(self, lambda: not shakes(), 60)
        self.assertTrue(shakes(self.ann))
        self.assertFalse(shakes(self.other))

    def hello(self, balancer):
        """What openssl's client says of the handshake."""
        return subprocess.run(["openssl", "s_client", "-connect", self.addresses(balancer)[0] + ":443", "-tls1_2"], input=b"", capture_output=True, timeout=30,
                              check=False).stdout.decode()


if __name__ == "__main__":
    unittest.main()
