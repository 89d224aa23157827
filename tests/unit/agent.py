"""The first-boot agent of machine images (guest/agent.py): what it makes of user data, and how it asks for metadata. What it does to a system is tested in a machine."""
import gzip
import http.server
import os
import random
import sys
import threading
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

    def test_anything(self):
        for data in (b"\x00" * 100, b"Content-Type: multipart/mixed\n\n", b"MIME-Version: 1.0\n\nx", bytes(range(256)), b"#!", b"\xff\xfe#!"):
            agent.parts_of(data)

    def test_damaged(self):
        whole = multipart((b"text/x-shellscript", SCRIPT), (b"text/cloud-config", CONFIG))
        chance = random.Random(1)
        for _ in range(2000):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                at = chance.randrange(len(data))
                if chance.random() < 0.5:
                    data[at:at + 1] = bytes([chance.choice(b'=;:"<>()[]@*%\\\n ,.?\0\xff/')])
                else:
                    del data[at:at + chance.randint(1, 6)]
            agent.parts_of(bytes(data))


class Config(unittest.TestCase):
    def done(self, text, part):
        runs = []
        with mock.patch.object(agent, "run", lambda *argv: runs.append(argv) or 0), mock.patch.object(agent, "log", lambda text: runs.append(("log", text))), \
                mock.patch.object(agent, "fault", lambda text: runs.append(("fault", text))), \
                mock.patch.object(agent, "authorize", lambda user, keys: keys and runs.append(("keys", user, keys))), \
                mock.patch.object(agent, "write_file", lambda entry: runs.append(("file", entry["path"]))), \
                mock.patch.object(agent.subprocess, "run", lambda *argv, **kwargs: None):
            part(agent.config_of([("config", t) for t in (text if isinstance(text, list) else [text])]))
        return runs

    def test_commands(self):
        self.assertEqual(agent.shell_script([["touch", "/tmp/a b"], "echo $HOME", None, 3]), b"#!/bin/sh\ntouch '/tmp/a b'\necho $HOME\n3\n")
        self.assertEqual(agent.shell_script("echo a"), b"#!/bin/sh\necho a\n")

    def test_later_parts_replace(self):
        self.assertEqual(agent.config_of([("config", b"a: 1\nb: [1]\n"), ("script", SCRIPT), ("config", b"b: [2]\n")]), {"a": 1, "b": [2]})

    def test_a_part_that_cannot_be_read_is_a_fault(self):
        for text in (b"#cloud-config\n- a\n", b"#cloud-config\na: [\n", b"#cloud-config\n\x00\n"):
            runs = self.done([text, b"packages: [a]\n"], agent.late_config)
            self.assertEqual([words[0] for words in runs], ["fault", "apt-get", "apt-get"])

    def test_files_now_and_later(self):
        text = b"#cloud-config\nwrite_files: [{path: /a}, {path: /b, defer: true}, c]\n"
        self.assertEqual(self.done(text, agent.early_config)[0], ("file", "/a"))
        self.assertEqual(self.done(text, agent.late_config)[0], ("file", "/b"))
        self.assertEqual([words[0] for words in self.done(text, agent.early_config)], ["file", "fault"])

    def test_users(self):
        text = b"#cloud-config\nusers: [default, quartet-a, {name: quartet-b, groups: 'x, y', sudo: false, ssh_authorized_keys: [k], expiredate: 1}, {gecos: nobody}]\n"
        self.assertEqual(self.done(text, agent.early_config), [
            ("useradd", "--create-home", "quartet-a"), ("log", "cloud-config: expiredate of users is not supported here"),
            ("useradd", "--create-home", "--groups", "x,y", "quartet-b"), ("keys", "quartet-b", ["k"]), ("fault", "users: KeyError: 'name'")])

    def test_packages(self):
        text = b"#cloud-config\npackages: [nginx, [curl, '1.0']]\n"
        self.assertEqual(self.done(text, agent.late_config), [("apt-get", "-q", "update"), ("apt-get", "-q", "-y", "install", "nginx", "curl=1.0")])

    def test_what_it_does_not_know_is_said(self):
        runs = self.done(b"#cloud-config\npower_state: {mode: reboot}\n", agent.early_config)
        self.assertEqual(runs, [("log", "cloud-config: power_state is not supported here")])


class Scripts(unittest.TestCase):
    def test_lines_of_windows(self):
        self.assertEqual(agent.unix_lines(b"#!/bin/sh\r\necho a\r\n"), b"#!/bin/sh\necho a\n")
        self.assertEqual(agent.unix_lines(b"#!/bin/sh\necho a\r\n"), b"#!/bin/sh\necho a\r\n")


class Service(http.server.BaseHTTPRequestHandler):
    tokens = True
    broken = 0  # that many answers more

    def answer(self, status, body):
        if Service.broken:
            Service.broken, status, body = Service.broken - 1, 503, b"later"
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

    def test_a_broken_service_is_asked_again(self):
        with mock.patch.object(Service, "broken", 2):
            self.assertEqual(self.ask(True), ("i-0123", None))


if __name__ == "__main__":
    unittest.main()
