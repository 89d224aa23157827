"""Server certificates of IAM: what is taken, what is refused, their names, tags and permissions."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certificates import Pair  # noqa: E402
from identities import IdentityCase, allow, client, document, name, new_account, signed_by  # noqa: E402

CHAIN = ("Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, followed by any "
         "intermediaries in order. The index within the chain of the invalid certificate is: ")


class ServerCertificates(IdentityCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = Pair("Root", authority=True)
        cls.middle = Pair("Middle", authority=True, by=cls.root)
        cls.site = Pair("www.example.com", by=cls.middle, names=["www.example.com"])
        cls.own = Pair("self.example.com", key="ec")

    def setUp(self):
        super().setUp()
        self.mine = client("iam", new_account())

    def upload(self, pair=None, called=None, **more):
        pair = pair or self.own
        return self.mine.upload_server_certificate(ServerCertificateName=called or name("c"), CertificateBody=pair.certificate,
                                                   PrivateKey=pair.key, **more)

    def refused(self, code, body, key, chain=None, says=None):
        more = {"CertificateChain": chain} if chain else {}
        self.fails(code, self.mine.upload_server_certificate, ServerCertificateName="x", CertificateBody=body, PrivateKey=key, says=says,
                   status=400, **more)

    def test_life_of_a_certificate(self):
        chain = self.middle.certificate + self.root.certificate
        made = self.upload(self.site, "Site", Path="/web/", CertificateChain=chain, Tags=[{"Key": "team", "Value": "red"}])
        about = made["ServerCertificateMetadata"]
        self.assertRegex(about["ServerCertificateId"], "^ASCA[A-Z2-7]{17}$")
        self.assertRegex(about["Arn"], r"^arn:aws:iam::\d{12}:server-certificate/web/Site$")
        self.assertEqual(made["Tags"], [{"Key": "team", "Value": "red"}])
        self.assertGreater(about["Expiration"], about["UploadDate"])
        got = self.mine.get_server_certificate(ServerCertificateName="site")["ServerCertificate"]
        self.assertEqual((got["CertificateBody"], got["CertificateChain"]), (self.site.certificate.strip(), chain.strip()))
        self.assertEqual(got["ServerCertificateMetadata"], about)
        self.fails("EntityAlreadyExists", self.upload, called="SITE", says="The Server Certificate with name SITE already exists.", status=409)
        self.mine.update_server_certificate(ServerCertificateName="Site", NewServerCertificateName="Other", NewPath="/")
        self.fails("NoSuchEntity", self.mine.get_server_certificate, ServerCertificateName="Site",
                   says="The Server Certificate with name Site cannot be found.", status=404)
        moved = self.mine.get_server_certificate(ServerCertificateName="Other")["ServerCertificate"]["ServerCertificateMetadata"]
        self.assertEqual((moved["ServerCertificateId"], moved["Path"]), (about["ServerCertificateId"], "/"))
        self.assertEqual(self.mine.get_account_summary()["SummaryMap"]["ServerCertificates"], 1)
        self.mine.delete_server_certificate(ServerCertificateName="Other")
        self.fails("NoSuchEntity", self.mine.delete_server_certificate, ServerCertificateName="Other", status=404)
        self.assertEqual(self.mine.list_server_certificates()["ServerCertificateMetadataList"], [])

    def test_what_does_not_belong_together(self):
        site, own = self.site, self.own
        parse = "Unable to parse certificate. Please ensure the certificate is in PEM format."
        key = "Unable to parse key; the body is encoded incorrectly."
        self.refused("MalformedCertificate", "hello", site.key, says=parse)
        self.refused("MalformedCertificate", site.certificate.replace("A", "B"), site.key, says=parse)
        self.refused("MalformedCertificate", "Subject: x\n" + site.certificate, site.key, says=parse)
        self.refused("MalformedCertificate", site.certificate + self.middle.certificate, site.key, says=parse)
        self.refused("MalformedCertificate", site.certificate, site.certificate, says=key)
        self.refused("MalformedCertificate", site.certificate, site.locked_key(), says=key)
        self.refused("KeyPairMismatch", site.certificate, own.key)
        self.refused("KeyPairMismatch", site.certificate, self.middle.key)
        self.refused("MalformedCertificate", site.certificate, site.key, self.root.certificate, CHAIN + "-1")
        self.refused("MalformedCertificate", site.certificate, site.key, self.middle.certificate + own.certificate, CHAIN + "0")
        self.refused("MalformedCertificate", site.certificate, site.key, self.middle.certificate + "rest", CHAIN + "0")
        ended = Pair("old.example.com", ended=True)
        self.refused("MalformedCertificate", ended.certificate, ended.key)
        self.assertEqual(self.mine.list_server_certificates()["ServerCertificateMetadataList"], [])
        self.upload(self.site, CertificateChain=self.middle.certificate)  # the root may be left out

    def test_pages_paths_and_the_quota(self):
        names = sorted(f"c{i:02}" for i in range(20))
        for i, n in enumerate(names):
            self.upload(called=n, Path="/even/" if i % 2 == 0 else "/")
        pages = list(self.mine.get_paginator("list_server_certificates").paginate(PaginationConfig={"PageSize": 7}))
        self.assertEqual([m["ServerCertificateName"] for p in pages for m in p["ServerCertificateMetadataList"]], names)
        self.assertEqual(len(pages), 3)
        even = self.mine.list_server_certificates(PathPrefix="/even/")["ServerCertificateMetadataList"]
        self.assertEqual([m["ServerCertificateName"] for m in even], names[::2])
        self.fails("LimitExceeded", self.upload, says="Cannot exceed quota for ServerCertificatesPerAccount: 20", status=409)

    def test_tags(self):
        self.upload(called="tagged")
        self.mine.tag_server_certificate(ServerCertificateName="tagged", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.mine.untag_server_certificate(ServerCertificateName="tagged", TagKeys=["a"])
        self.assertEqual(self.mine.list_server_certificate_tags(ServerCertificateName="tagged")["Tags"], [{"Key": "b", "Value": "2"}])
        self.fails("InvalidInput", self.mine.tag_server_certificate, ServerCertificateName="tagged", Tags=[{"Key": "aws:x", "Value": ""}])

    def test_permissions_are_about_the_name_and_the_tags(self):
        called = name("c")
        _, key = self.user(document(allow("iam:GetServerCertificate", self.arn("server-certificate/web/*"))))
        self.iam.upload_server_certificate(ServerCertificateName=called, CertificateBody=self.own.certificate, PrivateKey=self.own.key)
        self.addCleanup(self.iam.delete_server_certificate, ServerCertificateName=called)
        theirs = signed_by("iam", key)
        self.fails("AccessDenied", theirs.get_server_certificate, ServerCertificateName=called, status=403)
        self.iam.update_server_certificate(ServerCertificateName=called, NewPath="/web/")
        theirs.get_server_certificate(ServerCertificateName=called)
        self.fails("AccessDenied", theirs.delete_server_certificate, ServerCertificateName=called, status=403)

    def test_the_private_key_is_not_in_the_store(self):
        lines = self.own.key.splitlines()
        self.upload(called="hidden")
        where = os.environ.get("QUARTET_DATA")
        if not where:
            self.skipTest("the cloud's data directory is not known")
        seen = 0
        for folder, _, files in os.walk(os.path.join(where, "state")):
            for file in files:
                with open(os.path.join(folder, file), "rb") as f:
                    bytes_ = f.read()
                self.assertNotIn(lines[1].encode(), bytes_)
                seen += self.own.certificate.splitlines()[1].encode() in bytes_
        self.assertGreater(seen, 0)  # what is not secret is there


if __name__ == "__main__":
    unittest.main()
