#!/usr/bin/python3
"""docs/METRICS.md against the sources and the tests: what it calls measured is published and asked for by a test, and what it calls
absent is not published; and what is published by name is on it."""
import os
import re
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from documented import documented  # noqa: E402

UNITS = "Count|None|Bytes|Seconds|Percent|Milliseconds|Megabytes|Gigabytes|Bytes/Second|Count/Second"
BALANCERS = os.path.join("aws", "elbv2")  # its README has them


def texts(*places, ends, leave=()):
    for place in places:
        for directory, _, names in os.walk(os.path.join(ROOT, place)):
            for name in names:
                path = os.path.join(directory, name)
                if name.endswith(ends) and not any(part in path for part in leave):
                    with open(path, encoding="utf-8", errors="replace") as f:
                        yield f.read()


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = documented(ROOT)
        cls.sources = "\n".join(texts("src/aws", ends=(".c",), leave=(BALANCERS,)))
        cls.tests = "\n".join(texts("tests", ends=(".py", ".c"), leave=(os.path.join("tests", "lint"), os.path.join("tests", "api", "elbv2"))))

    def test_what_is_measured_is_published_and_tested(self):
        for space, name in self.page.measured:
            with self.subTest(space=space, name=name):
                self.assertIn(f'"{name}"', self.sources)
                self.assertRegex(self.tests, rf"\b{name}\b")

    def test_what_is_absent_is_not_published(self):
        elsewhere = {name for _, name in self.page.measured}
        for space, name in self.page.absent:
            with self.subTest(space=space, name=name):
                self.assertNotIn((space, name), self.page.measured)
                if name not in elsewhere:
                    self.assertNotRegex(self.sources, rf'"{re.escape(name)}",\s+"(?:{UNITS})"')

    def test_what_is_published_is_on_the_page(self):
        names = {name for _, name in self.page.measured}
        found = set(re.findall(rf'(?:put|count|add|own|note|want)\w*\([^;]*?"(\w+)",\s+"(?:{UNITS})"', self.sources))
        self.assertGreater(len(found), 50)
        self.assertEqual(found - names, set())


if __name__ == "__main__":
    unittest.main()
