"""The first-boot agent of machine images (guest/agent.py): what it makes of user data, and how it asks for metadata. What it does to a system is tested in a machine."""
import gzip
import http.server
import os
import random
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import agent  # noqa: E402

SCRIPT = b"#!/bin/sh\necho hello\n"
CONFIG = b"#cloud-config\nruncmd:\n - [touch, '/tmp/a b']\n - echo $HOME\n"


def multipart(*parts):
    body = b"Content-Type: multipart/mixed; boundary=\"==b==\"\nMIME-Version: 1.0\n\n"
    for kind, content in parts:
        body += b"--==b==\nContent-Type: " + kind + b"; charset=\"us-ascii\"\nMIME-Version: 1.0\n\n" + content + b"\n"
    return body + b"--==b==--\n"


class UserData(unittest.TestCase):
    def kinds(self, data):
        return [kind for kind, _ in agent.parts_of(data)]

    def test_by_first_line(self):
        self.assertEqual(agent.parts_of(SCRIPT), [("script", SCRIPT)])
        self.assertEqual(agent.parts_of(CONFIG), [("config", CONFIG)])
        self.assertEqual(self.kinds(b"#cloud-boothook\n#!/bin/sh\n"), ["boothook"])
        self.assertEqual(self.kinds(b"#include\nhttp://a/b\n"), ["include"])
        self.assertEqual(self.kinds(b"echo no\n"), ["unknown"])
        self.assertEqual(self.kinds(b""), [])
        self.assertEqual(self.kinds(b" \n"), [])

    def test_compressed(self):
        self.assertEqual(agent.parts_of(gzip.compress(SCRIPT)), [("script", SCRIPT)])
        self.assertEqual(self.kinds(gzip.compress(SCRIPT)[:-9]), ["unknown"])
        self.assertEqual(self.kinds(b"\x1f\x8bnothing"), ["unknown"])

    def test_multipart(self):
        data = multipart((b"text/cloud-config", CONFIG), (b"text/x-shellscript", SCRIPT), (b"text/plain", b"readme"))
        self.assertEqual(self.kinds(data), ["config", "script", "unknown"])
        self.assertEqual(self.kinds(gzip.compress(data)), ["config", "script", "unknown"])
        self.assertEqual(agent.parts_of(data)[1][1].strip(), SCRIPT.strip())

    def test_damaged(self):
        # A header that the mail parser of the library failed at, then many more.
        self.assertEqual(self.kinds(b"Content-Type: multipart/mixed; bound*\n?ary=B\"\nMIME-Version: 1.0\n\nx"), ["unknown"])
        chance = random.Random(1)
        seed = multipart((b"text/cloud-config", CONFIG), (b"text/x-shellscript", SCRIPT))
        for _ in range(1500):
            data = bytearray(seed)
            for _ in range(chance.randint(1, 8)):
                at = chance.randrange(len(data))
                data[at:at + chance.randint(0, 4)] = bytes(chance.choice(b'=;:"<>()[]*%?\n\r ,\0\xff/') for _ in range(chance.randint(0, 3)))
            self.assertTrue(all(kind in ("script", "config", "boothook", "include", "gzip", "unknown") for kind in self.kinds(bytes(data))))

    def test_anything(self):
        for data in (b"\x00" * 100, b"Content-Type: multipart/mixed\n\n", b"MIME-Version: 1.0\n\nx", bytes(range(256)), b"#!", b"\xff\xfe#!"):
            agent.parts_of(data)


class Config(unittest.TestCase):
    def done(self, text, part):
        runs = []
        with mock.patch.object(agent, "run", lambda *argv, shell=None: runs.append(shell if shell is not None else argv) or 0), \
                mock.patch.object(agent, "log", lambda text: runs.append(("log", text))), mock.patch.object(agent, "authorize", lambda *a: None), \
                mock.patch.object(agent, "set_name", lambda name: None):
            part(agent.parse_config(text))
        return runs

    def test_packages(self):
        text = b"#cloud-config\npackages: [nginx, [curl, '1.0']]\n"
        self.assertEqual(self.done(text, agent.late_config), [("apt-get", "-q", "update"), ("apt-get", "-q", "-y", "install", "nginx", "curl=1.0")])

    def test_what_it_does_not_know_is_said(self):
        runs = self.done(b"#cloud-config\nbootcmd: [echo a]\npower_state: {mode: reboot}\n", agent.early_config)
        self.assertEqual(runs, [("log", "cloud-config: power_state is not supported here")])

    def test_one_bad_entry_does_not_cost_the_others(self):
        with tempfile.TemporaryDirectory() as place:
            text = f"#cloud-config\nwrite_files: [7, {{path: {place}/a, encoding: gzip+base64, content: AAAA}}, {{path: {place}/b/c, content: x, append: true}}]\nusers: [7]\n"
            self.done(text.encode(), agent.early_config)
            with open(f"{place}/b/c") as f:
                self.assertEqual(f.read(), "x")

    def test_groups_are_made_and_keys_are_of_whom_they_are_for(self):
        text = b"#cloud-config\nusers: [default, {name: eve, groups: 'sudo, docker', uid: 7}]\n"
        self.assertEqual(self.done(text, agent.early_config), [("log", "users: eve: uid is not supported here"), ("groupadd", "-f", "sudo"), ("groupadd", "-f", "docker"),
                                                               ("useradd", "-m", "-s", "/bin/sh", "-G", "sudo,docker", "eve")])

    def test_a_name_that_is_a_number(self):
        self.assertEqual([agent.name_of(c) for c in ({"hostname": 7}, {"fqdn": "a.b", "hostname": "c"}, {})], ["7", "a.b", None])

    def test_not_a_mapping(self):
        with self.assertRaises(ValueError):
            agent.parse_config(b"#cloud-config\n- a\n")


class Commands(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = place.name
        real = open
        for name, value in (("OUTPUT", f"{self.place}/output"), ("FAILED", []), ("log", lambda text: None), ("STATE", self.place), ("INSTANCE", f"{self.place}/instance"),
                            ("RESULT", f"{self.place}/data/result.json")):
            patch = mock.patch.object(agent, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(agent, "open", lambda path, *a, **k: real(f"{self.place}/console" if path == "/dev/console" else path, *a, **k), create=True)
        patch.start()
        self.addCleanup(patch.stop)

    def read(self, name):
        with open(f"{self.place}/{name}") as f:
            return f.read()

    def test_lines_share_a_shell(self):
        agent.commands(["cd /usr; X='a b'", ["echo", "$X", "c  d"], 'echo "$PWD $X"'], f"{self.place}/runcmd")
        self.assertEqual(self.read("output"), "$X c  d\n/usr a b\n")
        self.assertIn("/usr a b", self.read("console"))

    def test_what_stays_in_the_background(self):
        began = time.monotonic()
        self.assertEqual(agent.run(shell="(sleep 3; echo late) & echo early"), 0)
        self.assertLess(time.monotonic() - began, 2.5)
        self.assertEqual(self.read("output"), "early\n")

    def test_status(self):
        os.makedirs(f"{self.place}/instance")
        agent.write(f"{self.place}/instance/boot-finished", b"")
        agent.save_result()
        with mock.patch("builtins.print") as said:
            self.assertEqual(agent.status(True), 0)
            agent.run(shell="exit 3")
            agent.save_result()
            self.assertEqual(agent.status(True), 1)
        self.assertEqual([call.args[0] for call in said.call_args_list], ["status: done", "status: error"])

    def test_an_instance_without_metadata_stays_itself(self):
        silent = mock.Mock(text=lambda path: None)
        self.assertEqual(agent.instance_of(silent), "i-none")
        os.symlink(f"{self.place}/instances/i-7", f"{self.place}/instance")
        self.assertEqual(agent.instance_of(silent), "i-7")


class Service(http.server.BaseHTTPRequestHandler):
    tokens = True

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        good = self.tokens and self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if good else 403, b"secret" if good else b"")

    def do_GET(self):
        if self.tokens and self.headers["X-aws-ec2-metadata-token"] != "secret":
            self.answer(401, b"")
        elif self.path == "/latest/meta-data/instance-id":
            self.answer(200, b"i-0123")
        else:
            self.answer(404, b"<html>")

    def log_message(self, *args):
        pass


class Metadata(unittest.TestCase):
    def ask(self, tokens):
        Service.tokens = tokens
        server = http.server.HTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            metadata = agent.Metadata(server.server_address, 5)
            return metadata.text("meta-data/instance-id"), metadata.get("user-data")
        finally:
            server.shutdown()
            server.server_close()

    def test_with_tokens(self):
        self.assertEqual(self.ask(True), ("i-0123", None))

    def test_without(self):
        self.assertEqual(self.ask(False), ("i-0123", None))

    def test_nobody_there(self):
        with self.assertRaises(OSError):
            agent.Metadata(("127.0.0.1", 1), 0.3)


if __name__ == "__main__":
    unittest.main()
