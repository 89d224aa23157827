"""The same hostile code in tasks that runc starts."""
import unittest

import test_escapes
from cloud import Cloud
from runtimes import configuration, needs
from tasks import own_cloud


@unittest.skipIf(needs("runc"), needs("runc"))
class ByRunc(test_escapes.Escapes):
    @classmethod
    def setUpClass(cls):
        cls.cloud = own_cloud(cls, Cloud(options=["--config", configuration("runc", cls.addClassCleanup)]))
        super().setUpClass()

    def test_it_is_runc(self):
        """By its words, when it cannot start a command."""
        task = self.run_task({"command": ["/bin/nothing"]})
        self.wait(lambda: self.task(task)["lastStatus"] == "STOPPED")
        self.assertIn("runc", self.task(task)["containers"][0]["reason"])


if __name__ == "__main__":
    unittest.main()
