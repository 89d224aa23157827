"""Certificates that were requested when the role that issues them died."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from certificates import verifies  # noqa: E402
from cloud import Cloud  # noqa: E402


class Killed(unittest.TestCase):
    def test_what_was_asked_for_is_issued(self):
        with Cloud() as cloud:
            acm = cloud.client("acm")
            arns = []
            for turn in range(3):
                for i in range(6):  # RSA keys take their time, so that some are being made
                    arns.append(acm.request_certificate(DomainName=f"n{turn}-{i}.localhost", ValidationMethod="DNS")["CertificateArn"])
                before = cloud.kill("api")
                cloud.wait_for_role("api", before)
                cloud.wait()
            until = time.monotonic() + 60
            for arn in arns:
                while (found := acm.describe_certificate(CertificateArn=arn)["Certificate"])["Status"] != "ISSUED":
                    self.assertLess(time.monotonic(), until, found)
                    time.sleep(0.1)
            got = [acm.get_certificate(CertificateArn=arn) for arn in arns]
            self.assertEqual(len({g["CertificateChain"] for g in got}), 1)  # one authority, whenever it was made
            self.assertEqual(len({g["Certificate"] for g in got}), len(arns))
            self.assertTrue(all(verifies(g["Certificate"], g["CertificateChain"]) for g in got))
            before = cloud.kill("api")
            cloud.wait_for_role("api", before)
            cloud.wait()
            self.assertEqual([acm.get_certificate(CertificateArn=arn)["Certificate"] for arn in arns], [g["Certificate"] for g in got])


if __name__ == "__main__":
    unittest.main()
