"""Certificates of ACM: imported, requested, validated by Route 53, listed, tagged, deleted."""
import json
import os
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
from aws import TestCase, aws_programs, client, limited_key, run  # noqa: E402
from certificates import Pair, says, verifies  # noqa: E402

ABSENT = "arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-4000-8000-000000000000"


def domain(under="localhost"):
    return f"t{uuid.uuid4().hex[:12]}.{under}"


class CertificateCase(TestCase):
    @classmethod
    def setUpClass(cls):
        account = "8" + f"{uuid.uuid4().int % 10**11:011d}"
        cls.account, cls.acm, cls.route53 = account, client("acm", key=account, secret="test"), client("route53", key=account, secret="test")

    def state(self, arn):
        return self.acm.describe_certificate(CertificateArn=arn)["Certificate"]

    def wait(self, arn, status, seconds=20):
        until = time.monotonic() + seconds
        while (found := self.state(arn))["Status"] != status:
            self.assertLess(time.monotonic(), until, found)
            time.sleep(0.05)
        return found

    def bring(self, pair, **more):
        arn = self.acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key, **more)["CertificateArn"]
        return arn

    def ask(self, name, **more):
        return self.acm.request_certificate(DomainName=name, **more)["CertificateArn"]


class Imported(CertificateCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = Pair("Root", authority=True)
        cls.middle = Pair("Middle", authority=True, by=cls.root)
        cls.site = Pair("www.example.com", by=cls.middle, names=["www.example.com", "*.example.org"])
        cls.own = Pair("self.example.com", names=["self.example.com"])

    def refused(self, body, key, chain=None, says=None, **more):
        if chain:
            more["CertificateChain"] = chain
        self.assertAwsError("ValidationException", self.acm.import_certificate, Certificate=body, PrivateKey=key, message=says, status=400, **more)

    def test_what_is_shown(self):
        chain = self.middle.certificate + self.root.certificate
        arn = self.bring(self.site, CertificateChain=chain, Tags=[{"Key": "team", "Value": "red"}])
        self.assertRegex(arn, r"^arn:aws:acm:us-east-1:\d{12}:certificate/[0-9a-f-]{36}$")
        is_ = self.state(arn)
        self.assertEqual((is_["Type"], is_["Status"], is_["DomainName"]), ("IMPORTED", "ISSUED", "www.example.com"))
        self.assertEqual(is_["SubjectAlternativeNames"], ["www.example.com", "*.example.org"])
        self.assertEqual((is_["Subject"], is_["Issuer"]), ("O=Tests, CN=www.example.com", "Tests"))
        self.assertEqual((is_["KeyAlgorithm"], is_["SignatureAlgorithm"]), ("RSA-2048", "SHA256WITHRSA"))
        self.assertEqual([u["Name"] for u in is_["KeyUsages"]], ["DIGITAL_SIGNATURE", "KEY_ENCIPHERMENT"])
        self.assertEqual(is_["ExtendedKeyUsages"], [{"Name": "TLS_WEB_SERVER_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.1"}])
        self.assertEqual((is_["InUseBy"], is_["RenewalEligibility"]), ([], "INELIGIBLE"))
        self.assertEqual(is_["Serial"].replace(":", "").upper(), says(self.site.certificate, "-serial").split("=")[1])
        self.assertIn(is_["NotAfter"].astimezone().strftime("%Y"), says(self.site.certificate, "-enddate"))
        self.assertNotIn("DomainValidationOptions", is_)
        got = self.acm.get_certificate(CertificateArn=arn)
        self.assertEqual((got["Certificate"], got["CertificateChain"]), (self.site.certificate, chain))
        self.assertEqual(self.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"], [{"Key": "team", "Value": "red"}])

    def test_what_does_not_belong_together(self):
        site, own = self.site, self.own
        ended, weak = Pair("old.example.com", ended=True), Pair("weak.example.com", key="rsa1024")
        before = len(self.acm.list_certificates()["CertificateSummaryList"])
        self.refused("hello", own.key)
        self.refused(own.certificate + site.certificate, own.key, says="The certificate field contains more than one certificate. "
                     "You can specify only one certificate in this field.")
        self.refused(own.certificate, site.key)
        self.refused(own.certificate, "hello", says="The private key is not supported.")
        self.refused(own.certificate, own.locked_key())
        self.refused(site.certificate, site.key, says="Provided certificate is not a valid self signed.")
        self.refused(site.certificate, site.key, self.root.certificate, "Could not validate the certificate with the certificate chain.")
        self.refused(site.certificate, site.key, "hello")
        self.refused(ended.certificate, ended.key)
        self.assertEqual(len(self.acm.list_certificates()["CertificateSummaryList"]), before)
        self.bring(weak)  # ACM takes keys of 1024 bits

    def test_importing_again(self):
        arn = self.bring(self.own)
        newer, curve = Pair("other.example.com"), Pair("self.example.com", key="ec")
        first = self.state(arn)
        self.assertEqual(self.bring(newer, CertificateArn=arn), arn)
        is_ = self.state(arn)
        self.assertEqual((is_["DomainName"], is_["CreatedAt"]), ("other.example.com", first["CreatedAt"]))
        self.assertEqual(self.acm.get_certificate(CertificateArn=arn)["Certificate"], newer.certificate)
        self.refused(newer.certificate, newer.key, CertificateArn=arn, Tags=[{"Key": "a", "Value": "b"}], says="Tagging is not permitted on re-import.")
        self.refused(curve.certificate, curve.key, CertificateArn=arn)
        self.assertAwsError("ResourceNotFoundException", self.bring, self.own, CertificateArn=ABSENT)
        asked = self.ask(domain())
        self.refused(newer.certificate, newer.key, CertificateArn=asked)

    def test_deleting(self):
        arn = self.bring(self.own)
        self.acm.delete_certificate(CertificateArn=arn)
        for call in (self.acm.describe_certificate, self.acm.get_certificate, self.acm.delete_certificate, self.acm.renew_certificate,
                     self.acm.list_tags_for_certificate):
            self.assertAwsError("ResourceNotFoundException", call, CertificateArn=arn, message=arn)
        self.assertAwsError("ValidationException", self.acm.describe_certificate, CertificateArn="arn:aws:s3:::this-is-no-certificate")

    def test_tags(self):
        arn = self.bring(self.own, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])

        def tags():
            return self.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]

        self.acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "b", "Value": "3"}, {"Key": "c"}])
        self.acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "a", "Value": "other"}])
        self.assertEqual([t["Key"] for t in tags()], ["a", "b", "c"])
        self.acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "a"}, {"Key": "b", "Value": "3"}])
        self.assertEqual([t["Key"] for t in tags()], ["c"])
        self.assertAwsError("InvalidTagException", self.acm.add_tags_to_certificate, CertificateArn=arn, Tags=[{"Key": "aws:x", "Value": ""}])
        many = [{"Key": f"k{i}", "Value": ""} for i in range(50)]
        self.assertAwsError("TooManyTagsException", self.acm.add_tags_to_certificate, CertificateArn=arn, Tags=many)

    def test_the_command_line(self):
        program = aws_programs()[0]
        for file, text in (("c", self.own.certificate), ("k", self.own.key)):
            with open(f"/tmp/acm-test-{os.getpid()}-{file}", "w", encoding="ascii") as f:
                f.write(text)
            self.addCleanup(os.unlink, f.name)
        at = f"fileb:///tmp/acm-test-{os.getpid()}-"
        sign = {"AWS_ACCESS_KEY_ID": self.account, "AWS_SECRET_ACCESS_KEY": "test"}
        url = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json"]
        made = json.loads(run(program, "acm", "import-certificate", "--certificate", at + "c", "--private-key", at + "k", *url, env=sign).stdout)
        shown = json.loads(run(program, "acm", "describe-certificate", "--certificate-arn", made["CertificateArn"], *url, env=sign).stdout)
        self.assertEqual(shown["Certificate"]["DomainName"], "self.example.com")
        made = json.loads(run(program, "acm", "request-certificate", "--domain-name", domain(), "--validation-method", "DNS", *url, env=sign).stdout)
        run(program, "acm", "wait", "certificate-validated", "--certificate-arn", made["CertificateArn"], *url, env=sign)


class Requested(CertificateCase):
    def test_a_name_that_nobody_else_can_own_is_issued_at_once(self):
        name = domain()
        arn = self.ask(name.upper(), ValidationMethod="DNS", SubjectAlternativeNames=["*." + name, name], Tags=[{"Key": "a", "Value": "b"}])
        is_ = self.wait(arn, "ISSUED")
        self.assertEqual((is_["Type"], is_["DomainName"], is_["SubjectAlternativeNames"]), ("AMAZON_ISSUED", name, [name, "*." + name]))
        self.assertEqual((is_["Subject"], is_["Issuer"], is_["KeyAlgorithm"]), (f"CN={name}", "Quartet", "RSA-2048"))
        self.assertEqual(round((is_["NotAfter"] - is_["IssuedAt"]).total_seconds() / 86400), 198)
        self.assertEqual([o["ValidationStatus"] for o in is_["DomainValidationOptions"]], ["SUCCESS"] * 2)
        got = self.acm.get_certificate(CertificateArn=arn)
        self.assertTrue(verifies(got["Certificate"], got["CertificateChain"]))
        text = says(got["Certificate"], "-text")
        self.assertIn(f"DNS:{name}, DNS:*.{name}", text)
        self.assertIn("TLS Web Server Authentication", text)
        again = self.acm.get_certificate(CertificateArn=self.issued(domain(), KeyAlgorithm="EC_prime256v1"))
        self.assertEqual(again["CertificateChain"], got["CertificateChain"])
        self.assertIn("prime256v1", says(again["Certificate"], "-text"))
        where = os.environ.get("QUARTET_DATA")
        if where:
            with open(os.path.join(where, "tls", "acm.pem"), encoding="ascii") as f:
                self.assertEqual(f.read(), got["CertificateChain"])
            self.assertEqual(os.stat(os.path.join(where, "tls", "acm.key")).st_mode & 0o777, 0o600)

    def issued(self, name, **more):
        arn = self.ask(name, ValidationMethod="DNS", **more)
        self.wait(arn, "ISSUED")
        return arn

    def zone(self, name):
        made = self.route53.create_hosted_zone(Name=name, CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]

        def drop():
            for record in self.route53.list_resource_record_sets(HostedZoneId=made)["ResourceRecordSets"]:
                if record["Type"] == "CNAME":
                    self.change(made, "DELETE", record)
            self.route53.delete_hosted_zone(Id=made)
        self.addCleanup(drop)
        return made

    def change(self, zone, action, record):
        self.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]})

    def test_a_record_in_a_hosted_zone_validates(self):
        name = domain("example.com")
        zone = self.zone(name)
        arn = self.ask("www." + name, ValidationMethod="DNS", SubjectAlternativeNames=[name, "*." + name])
        is_ = self.state(arn)
        self.assertEqual(is_["Status"], "PENDING_VALIDATION")
        self.assertNotIn("NotAfter", is_)
        self.assertAwsError("RequestInProgressException", self.acm.get_certificate, CertificateArn=arn)
        self.assertAwsError("RequestInProgressException", self.acm.renew_certificate, CertificateArn=arn)
        options = is_["DomainValidationOptions"]
        self.assertEqual([(o["DomainName"], o["ValidationMethod"], o["ValidationStatus"]) for o in options],
                         [(n, "DNS", "PENDING_VALIDATION") for n in ("www." + name, name, "*." + name)])
        records = [o["ResourceRecord"] for o in options]
        self.assertRegex(records[0]["Name"], rf"^_[0-9a-f]{{32}}\.www\.{name}\.$")
        self.assertRegex(records[0]["Value"], r"^_[0-9a-f]{32}\.[a-z]{10}\.acm-validations\.aws\.$")
        self.assertEqual(records[1], records[2])  # a wildcard is validated with the name that it stands below
        wanted = [{"Name": r["Name"], "Type": r["Type"], "TTL": 60, "ResourceRecords": [{"Value": r["Value"]}]} for r in records[:2]]
        self.change(zone, "CREATE", {**wanted[0], "ResourceRecords": [{"Value": "elsewhere.acm-validations.aws."}]})
        self.change(zone, "CREATE", wanted[1])
        for _ in range(100):  # the two names of the second record are validated, and nothing is issued
            if [o["ValidationStatus"] for o in self.state(arn)["DomainValidationOptions"]] == ["PENDING_VALIDATION", "SUCCESS", "SUCCESS"]:
                break
            time.sleep(0.05)
        self.assertEqual([o["ValidationStatus"] for o in self.state(arn)["DomainValidationOptions"]], ["PENDING_VALIDATION", "SUCCESS", "SUCCESS"])
        self.assertEqual(self.state(arn)["Status"], "PENDING_VALIDATION")
        self.change(zone, "UPSERT", wanted[0])
        self.wait(arn, "ISSUED")
        self.acm.get_certificate(CertificateArn=arn)
        # what is there already validates the next one for the same names
        self.issued(name)
        # another account's record is another one
        other = client("acm", key="7" + self.account[1:], secret="test")
        theirs = other.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
        self.assertNotEqual(other.describe_certificate(CertificateArn=theirs)["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"], records[1])
        other.delete_certificate(CertificateArn=theirs)

    def test_mail_is_for_the_owner_of_the_domain(self):
        name = domain("example.com")
        arn = self.ask("a.b." + name, DomainValidationOptions=[{"DomainName": "a.b." + name, "ValidationDomain": "b." + name}])
        option = self.state(arn)["DomainValidationOptions"][0]
        self.assertEqual((option["ValidationMethod"], option["ValidationDomain"]), ("EMAIL", "b." + name))
        self.assertEqual(option["ValidationEmails"],
                         [f"{box}@b.{name}" for box in ("admin", "administrator", "hostmaster", "postmaster", "webmaster")])
        self.assertNotIn("ResourceRecord", option)
        self.acm.delete_certificate(CertificateArn=arn)

    def test_bad_requests(self):
        name = domain()

        def refused(code, status=400, **more):
            self.assertAwsError(code, self.acm.request_certificate, status=status, **{"DomainName": name, **more})

        refused("ValidationException", DomainName="no_domain")
        refused("ValidationException", KeyAlgorithm="RSA_4096")
        refused("InvalidParameterException", DomainName="a" * 60 + ".localhost")
        refused("LimitExceededException", SubjectAlternativeNames=[domain() for _ in range(10)])
        refused("InvalidDomainValidationOptionsException", DomainValidationOptions=[{"DomainName": name, "ValidationDomain": "x." + name}])
        refused("InvalidDomainValidationOptionsException", DomainValidationOptions=[{"DomainName": domain(), "ValidationDomain": "example.com"}])
        refused("InvalidTagException", Tags=[{"Key": "aws:x", "Value": ""}])
        refused("UnsupportedOperationException", 501,
                CertificateAuthorityArn="arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/00000000-0000-4000-8000-000000000000")

    def test_the_same_token_is_the_same_request(self):
        name, token = domain(), uuid.uuid4().hex
        first = self.ask(name, ValidationMethod="DNS", IdempotencyToken=token)
        self.assertEqual(self.ask(name, ValidationMethod="DNS", IdempotencyToken=token), first)
        self.assertNotEqual(self.ask(name, ValidationMethod="DNS"), first)
        self.assertNotEqual(self.ask(domain(), ValidationMethod="DNS", IdempotencyToken=token), first)
        self.wait(first, "ISSUED")
        self.acm.delete_certificate(CertificateArn=first)
        self.assertNotEqual(self.ask(name, ValidationMethod="DNS", IdempotencyToken=token), first)

    def test_many_at_once(self):
        arns = [self.ask(domain(), ValidationMethod="DNS", KeyAlgorithm="EC_prime256v1") for _ in range(30)]
        serials = {self.wait(arn, "ISSUED")["Serial"] for arn in arns}
        self.assertEqual(len(serials), 30)

    def test_what_is_refused(self):
        arn = self.issued(domain())
        self.assertAwsError("UnsupportedOperationException", self.acm.export_certificate, CertificateArn=arn, Passphrase=b"secret", status=501)
        self.assertAwsError("UnsupportedOperationException", self.acm.resend_validation_email, CertificateArn=arn, Domain="a.b",
                            ValidationDomain="a.b", status=501)
        self.assertAwsError("ValidationException", self.acm.renew_certificate, CertificateArn=arn)


class Listed(CertificateCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pair, curve = Pair("a.example.com"), Pair("b.example.com", key="ec")
        cls.rsa = [cls.acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)["CertificateArn"] for _ in range(5)]
        cls.curve = cls.acm.import_certificate(Certificate=curve.certificate, PrivateKey=curve.key)["CertificateArn"]
        cls.pending = cls.acm.request_certificate(DomainName="nobody.example.com", ValidationMethod="DNS")["CertificateArn"]

    def listed(self, **more):
        return [s["CertificateArn"] for s in self.acm.list_certificates(**more)["CertificateSummaryList"]]

    def test_filters(self):
        self.assertEqual(sorted(self.listed()), sorted(self.rsa + [self.pending]))  # RSA of 1024 and 2048 bits, unless others are asked for
        self.assertEqual(self.listed(Includes={"keyTypes": ["EC_prime256v1"]}), [self.curve])
        self.assertEqual(self.listed(CertificateStatuses=["PENDING_VALIDATION"]), [self.pending])
        self.assertEqual(sorted(self.listed(CertificateStatuses=["ISSUED"])), sorted(self.rsa))
        self.assertEqual(self.listed(Includes={"keyUsage": ["CRL_SIGNING"]}), [])
        self.assertEqual(sorted(self.listed(Includes={"keyUsage": ["CRL_SIGNING", "DIGITAL_SIGNATURE"]})), sorted(self.rsa))
        self.assertEqual(sorted(self.listed(Includes={"extendedKeyUsage": ["TLS_WEB_SERVER_AUTHENTICATION"]})), sorted(self.rsa))

    def test_pages(self):
        seen, token = [], {}
        while True:
            page = self.acm.list_certificates(MaxItems=2, **token)
            seen += [s["CertificateArn"] for s in page["CertificateSummaryList"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        self.assertEqual(sorted(seen), sorted(self.rsa + [self.pending]))
        self.assertAwsError("InvalidArgsException", self.acm.list_certificates, NextToken="bm8")
        summary = self.acm.list_certificates(CertificateStatuses=["ISSUED"], MaxItems=1)["CertificateSummaryList"][0]
        self.assertEqual((summary["Type"], summary["InUse"], summary["KeyAlgorithm"]), ("IMPORTED", False, "RSA-2048"))

    def test_permissions(self):
        mine, theirs = client("acm"), Pair("c.example.com", key="ec")
        arn = mine.import_certificate(Certificate=theirs.certificate, PrivateKey=theirs.key, Tags=[{"Key": "team", "Value": "red"}])["CertificateArn"]
        self.addCleanup(mine.delete_certificate, CertificateArn=arn)
        limited = client("acm", **limited_key(
            self, {"Effect": "Allow", "Action": "acm:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}},
            {"Effect": "Allow", "Action": "acm:RequestCertificate", "Resource": "*",
             "Condition": {"ForAllValues:StringLike": {"acm:DomainNames": "*.localhost"}}}))
        limited.describe_certificate(CertificateArn=arn)
        self.assertAwsError("AccessDeniedException", limited.list_certificates)
        self.assertAwsError("AccessDeniedException", limited.request_certificate, DomainName="x.localhost", SubjectAlternativeNames=["x.example.com"])
        self.assertAwsError("AccessDeniedException", limited.request_certificate, DomainName="x.localhost", Tags=[{"Key": "a", "Value": "b"}])
        made = limited.request_certificate(DomainName="x.localhost", SubjectAlternativeNames=["y.localhost"], ValidationMethod="DNS")["CertificateArn"]
        self.addCleanup(mine.delete_certificate, CertificateArn=made)
        self.assertAwsError("AccessDeniedException", limited.describe_certificate, CertificateArn=made)


if __name__ == "__main__":
    unittest.main()
