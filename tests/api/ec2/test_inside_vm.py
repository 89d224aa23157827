"""The attacks of test_inside.py by somebody who has a kernel of his own."""
import unittest

import test_inside
from inside import no_containers


@unittest.skipIf(no_containers(), no_containers())
class Machine(test_inside.Attacks, test_inside.Inside):
    driver = "vm"


if __name__ == "__main__":
    unittest.main()
