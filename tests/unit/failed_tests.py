"""What a failed black-box test prints: its assertion first, the cloud's log last, and never too much of either."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import cloud  # noqa: E402
import failure  # noqa: E402
import lanes  # noqa: E402


class FailedTests(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.path = os.path.join(place.name, "log")
        cloud._logs[self.path] = 0
        self.addCleanup(cloud._logs.pop, self.path)
        self.log("of a test before\n")

    def log(self, text):
        with open(self.path, "a") as f:
            f.write(text)

    def failed(self, body):
        """What the runner is told of a case with this body."""
        case = type("Case", (unittest.TestCase,), {"test_it": lambda test: body(test)})("test_it")
        told = []
        case.run(lanes.Result(lambda *what: told.append(what), "build", "/x"))
        (why,) = [what[3] for what in told if what[0] == "add" and what[2] == "fail"]
        return why

    def test_it_begins_with_the_assertion_and_ends_with_the_log(self):
        def body(test):
            self.log("the last line\n")
            test.assertEqual(1, 2, "they are not")
        lines = self.failed(body).splitlines()
        self.assertEqual(lines[0], "AssertionError: 1 != 2 : they are not")
        self.assertIn("failed_tests.py", lines[1])
        self.assertEqual(lines[-2:], [f"the log of {self.path}:", "  the last line"])
        self.assertEqual(failure.brief("\n".join(lines)), lines[0])

    def test_frames_of_clients_are_not_told(self):
        import json
        why = self.failed(lambda _: json.loads("{"))
        self.assertTrue(why.startswith("JSONDecodeError: "), why)
        self.assertNotIn("decoder.py", why)
        self.assertIn("in body", why.replace("<lambda>", "body"))

    def test_what_it_came_of(self):
        def body(_):
            try:
                {}["wanted"]
            except KeyError as e:
                raise OSError("no answer") from e
        why = self.failed(body)
        self.assertTrue(why.startswith("OSError: no answer"), why)
        self.assertIn("which came of KeyError: 'wanted'", why)

    def test_it_is_bounded(self):
        def body(test):
            self.log("grave warn line\n" + "".join(f"info line {i} {'x' * 999}\n" for i in range(9999)))
            test.fail("y" * 99999)
        why = self.failed(body)
        self.assertLess(len(why), failure.MESSAGE_MAX + (failure.FRAMES_MAX + failure.LOG_LINES_MAX + 2) * (failure.LINE_MAX + 100))
        self.assertLess(len(why), 8000)
        self.assertLessEqual(len(failure.brief(why)), failure.BRIEF_MAX + 10)

    def test_warnings_outlast_what_is_only_said(self):
        told = failure.log_lines("2026 warn api: lost\n" + "".join(f"2026 info api: {i}\n" for i in range(100)))
        self.assertEqual(len(told), failure.LOG_LINES_MAX)
        self.assertEqual((told[0], told[-1]), ("  2026 warn api: lost", "  2026 info api: 99"))

    def test_the_log_of_a_cloud_that_has_gone(self):
        def body(test):
            self.log("its last word\n")
            ended = cloud.Cloud(data=os.path.dirname(self.path))
            ended.log = open(self.path, "ab")
            ended.stop()
            os.remove(self.path)
            test.fail("late")
        self.assertTrue(self.failed(body).endswith("\n  its last word"))

    def test_brief_of_other_programs(self):
        for why, line in (("FAIL\n[==========] Running\n[  ERROR   ] --- 1 != 2\n[  FAILED  ] x", "[  ERROR   ] --- 1 != 2"),
                          ("ninja: Entering\n../src/x.c:1:2: error: no\nninja: stopped", "../src/x.c:1:2: error: no"),
                          ("==7==ERROR: AddressSanitizer: heap-use-after-free\n#0 x", "==7==ERROR: AddressSanitizer: heap-use-after-free"),
                          ("one\ntwo\n", "two"), ("", "it said nothing")):
            self.assertEqual(failure.brief(why), line)


if __name__ == "__main__":
    unittest.main()
