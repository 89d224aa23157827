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
IMAGE = "/var/cache/quartet/images/debian-12-amd64/image.json"


class Kvm(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(IMAGE), "no machine image; tools/make-image makes it")
    def test_kvm(self):
        build = os.path.join(ROOT, "build")
        command = [os.path.join(HERE, "start"), os.path.join(HERE, "kvm.py"), build]
        said, failed, passed = [], [], 0
        try:
            with machine.Guest(os.path.join(build, "guest"), command, SECONDS, ["kvm_amd"]) as guest:
                for line in guest.lines():
                    said.append(line)
                    passed += bool(re.match(r"@guest pass ", line))
                    if re.match(r"@guest (fail|end) ", line):
                        failed.append(line)
        except machine.Unavailable as why:
            self.skipTest(str(why))
        self.assertEqual((failed, passed), (["@guest end of the checks"], 2), "\n".join(said[-100:]))


if __name__ == "__main__":
    unittest.main()
