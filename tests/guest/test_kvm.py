"""KVM, on an emulated machine whose processor has AMD's virtualization: slow, but real."""
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import machine  # noqa: E402

SECONDS = 1200
# What VPCs are made of would load by itself if the guest had modprobe.
MODULES = ("kvm_amd", "tun", "nft_nat", "nft_redir", "nft_limit", "nft_reject", "nft_reject_ipv4", "nft_reject_ipv6", "nft_objref", "nft_fib_ipv4", "nft_fib_ipv6",
           "nft_numgen", "nft_hash", "nft_connlimit", "nft_socket", "nft_tproxy", "sch_tbf", "sch_ingress", "sch_fq_codel", "act_police", "cls_matchall", "dummy", "ipvlan", "macvlan")
IMAGE = "/var/cache/quartet/images/debian-12-amd64/image.json"


class Kvm(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(IMAGE), "no machine image; tools/make-image makes it")
    def test_kvm(self):
        build = os.path.join(ROOT, "build")
        command = [os.path.join(HERE, "start"), os.path.join(HERE, "kvm.py"), build]
        said, failed, passed = [], [], 0
        try:
            with machine.Guest(os.path.join(build, "guest"), command, SECONDS, MODULES) as guest:
                for line in guest.lines():
                    said.append(line)
                    passed += bool(re.match(r"@guest pass ", line))
                    if re.match(r"@guest (fail|end) ", line):
                        failed.append(line)
        except machine.Unavailable as why:
            self.skipTest(str(why))
        self.assertEqual((failed, passed), (["@guest end of the checks"], 4), "\n".join(said[-100:]))


if __name__ == "__main__":
    unittest.main()
