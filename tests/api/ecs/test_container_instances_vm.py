"""Interfaces, devices and namespaces of tasks in an instance that is a virtual machine."""
import unittest

import test_container_instances as joined


class InVirtualMachine(joined.Either, joined.Joined):
    driver = "vm"


if __name__ == "__main__":
    unittest.main()
