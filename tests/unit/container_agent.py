"""The container agent of machine images (guest/ecs*.py): names of images, layers' whiteouts, signatures, ports. What it does to a system is tested in an instance."""
import hashlib
import hmac
import json
import os
import socket
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import ecs  # noqa: E402
import ecs_client  # noqa: E402
import ecs_container  # noqa: E402
import ecs_image  # noqa: E402
import ecs_network  # noqa: E402

DIGEST = "sha256:" + "0" * 64


class Images(unittest.TestCase):
    def test_names(self):
        for name, account, region, repository, tag, digest in (
                ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.2", "123456789012", "eu-west-1", "team/app", "1.2", None),
                ("123456789012.dkr.ecr.eu-west-1.localhost:4566/app", "123456789012", "eu-west-1", "app", None, None),
                ("127.0.0.1:4566/app@" + DIGEST, None, None, "app", None, DIGEST),
                ("localhost/app:v@" + DIGEST, None, None, "app", "v", DIGEST)):
            found = ecs_image.NAME.fullmatch(name)
            self.assertEqual([found[k] for k in ("account", "region", "repository", "tag", "digest")], [account, region, repository, tag, digest])
        for name in ("nginx", "registry.example/nginx:1", "public.example/x/y", "localhost/App", "localhost/app@sha256:00", "localhost/a b"):
            self.assertIsNone(ecs_image.NAME.fullmatch(name), name)
        with tempfile.TemporaryDirectory() as place, self.assertRaisesRegex(ecs_image.Failed, "^CannotPullContainerError: .*nginx"):
            ecs_image.Images(place, ("127.0.0.1", 1)).get(None, "nginx")

    def test_whiteouts(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(f"{root}/a/b")
            for name in ("a/.wh.gone", "a/b/.wh..wh..opq", "a/.wh..wh.plnk", "a/stays", "a/.wh..."):
                with open(f"{root}/{name}", "w"):
                    pass
            made, opaque = [], []
            with mock.patch("os.mknod", lambda path, mode: made.append((path, mode))), mock.patch("os.setxattr", lambda *a: opaque.append(a)):
                ecs_image.whiteouts(root)
            self.assertEqual(made, [(f"{root}/a/gone", 0o20000)])
            self.assertEqual(opaque, [(f"{root}/a/b", "user.overlay.opaque", b"y")])
            self.assertEqual(sorted(os.listdir(f"{root}/a")), ["b", "stays"])


class Lives(unittest.TestCase):
    def container(self, place, **definition):
        task = mock.Mock(id="t", place=place, wanted="RUNNING", definition={"volumes": []})
        c = ecs_container.Container(task, 0, {"name": "c", **definition})
        os.makedirs(c.place)
        return c

    def ended(self, c, code, ran_s):
        """Is it started again, when it has ended so?"""
        c.started_s = time.time() - ran_s
        with open(f"{c.place}/exit", "w") as f:
            f.write(f"{code}\n")

        def launch():
            with open(f"{c.place}/pid", "w") as f:
                f.write("1")
        before = c.restarts
        with mock.patch.object(c, "_launch", launch), mock.patch("subprocess.run"):
            again = c._again()
        self.assertEqual((c.restarts - before, os.path.exists(f"{c.place}/exit")), (int(again), not again))
        return again

    def test_restart_policy(self):
        with tempfile.TemporaryDirectory() as place:
            c = self.container(place, restartPolicy={"enabled": True, "ignoredExitCodes": [0, 3], "restartAttemptPeriod": 60})
            self.assertEqual([self.ended(c, *how) for how in ((1, 61), (1, 59), (0, 100), (3, 100), (137, 61))], [True, False, False, False, True])
            self.assertEqual(c.saved()["restarts"], 2)
            c.stopping = True
            self.assertFalse(self.ended(c, 1, 100))
            c.stopping, c.task.wanted = False, "STOPPED"
            self.assertFalse(self.ended(c, 1, 100))
        for policy in ({}, {"restartPolicy": {"enabled": False}}):
            with tempfile.TemporaryDirectory() as place:
                self.assertFalse(self.ended(self.container(place, **policy), 1, 1000))
        with tempfile.TemporaryDirectory() as place:
            c = self.container(place, restartPolicy={"enabled": True})
            self.assertEqual([self.ended(c, 1, 299), self.ended(c, 1, 301)], [False, True])

    def test_volumes(self):
        """Docker's begin with what the image has there; shared ones outlive a task, and are made if that is wanted."""
        with tempfile.TemporaryDirectory() as place, mock.patch.object(ecs_container, "VOLUMES", place + "/shared"):
            c = self.container(place + "/task")
            root = f"{place}/root"
            os.makedirs(f"{root}/data")
            os.symlink("/etc", f"{root}/out")
            with open(f"{root}/data/file", "w"):
                pass

            def source(path="/data", **volume):
                return c._source({"name": "v", **volume}, root + path, root)
            self.assertEqual(source(host={"sourcePath": place + "/host"}), place + "/host")
            self.assertEqual(os.listdir(place + "/host"), [])
            docker = {"scope": "shared", "autoprovision": False}
            with self.assertRaisesRegex(ecs_network.Failed, "get v: no such volume"):
                source(dockerVolumeConfiguration=docker)
            self.assertEqual(source(dockerVolumeConfiguration={**docker, "autoprovision": True}), place + "/shared/v")
            self.assertEqual(os.listdir(place + "/shared/v"), ["file"])
            self.assertEqual(source(dockerVolumeConfiguration=docker), place + "/shared/v")
            of_task = source("/out", dockerVolumeConfiguration={"scope": "task"})
            self.assertEqual((of_task, os.listdir(of_task)), (place + "/task/volumes/v", []))


class Requests(unittest.TestCase):
    def test_signature(self):
        """Held against the algorithm as it is written down, header by header."""
        seen = {}

        class Connection:
            def __init__(self, *a, **k):
                pass

            def request(self, method, path, body, headers):
                seen.update(method=method, path=path, body=body, headers=headers)

            def getresponse(self):
                return mock.Mock(status=400, read=lambda: b'{"__type":"a.b#Nope","message":"why"}')

            def close(self):
                pass
        with mock.patch("http.client.HTTPConnection", Connection), self.assertRaises(ecs_client.Refused) as e:
            ecs_client.Client("eu-west-1", lambda: ("AK", "SK", "TOKEN")).call("ecs", "T.Op", {"a": 1})
        self.assertEqual((e.exception.code, e.exception.message), ("Nope", "why"))
        headers = dict(seen["headers"])
        given = headers.pop("Authorization")
        names = sorted(headers)
        self.assertIn("x-amz-security-token", names)
        text = "POST\n/\n\n" + "".join(f"{n}:{headers[n]}\n" for n in names) + "\n" + ";".join(names) + "\n" + hashlib.sha256(b'{"a": 1}').hexdigest()
        date = headers["x-amz-date"]
        scope = f"{date[:8]}/eu-west-1/ecs/aws4_request"
        key = b"AWS4SK"
        for part in (date[:8], "eu-west-1", "ecs", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(text.encode()).hexdigest()}".encode(), hashlib.sha256).hexdigest()
        self.assertEqual(given, f"AWS4-HMAC-SHA256 Credential=AK/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}")


class Small(unittest.TestCase):
    def test_sizes(self):
        self.assertEqual([ecs_container.size_of(t) for t in ("10", "10k", "10m", "1g", "1gb", "x", "", None)],
                         [10, 10 << 10, 10 << 20, 1 << 30, 1 << 30, None, None, None])

    def test_config(self):
        with tempfile.NamedTemporaryFile("w") as f, mock.patch.object(ecs, "CONFIG", f.name):
            f.write("# a comment\nECS_CLUSTER='web'\nexport ECS_RESERVED_MEMORY=32\n\nECS_INSTANCE_ATTRIBUTES={\"a\": \"b=c\"}\n")
            f.flush()
            found = ecs.read_config()
        self.assertEqual((found["ECS_CLUSTER"], found["ECS_RESERVED_MEMORY"], json.loads(found["ECS_INSTANCE_ATTRIBUTES"])), ("web", "32", {"a": "b=c"}))
        with mock.patch.object(ecs, "CONFIG", "/none"):
            self.assertEqual(ecs.read_config(), {})
            self.assertEqual(ecs.main(), 0)

    def test_a_port_is_taken_once_and_passed_on(self):
        inner = socket.create_server(("127.0.0.1", 0))

        def echo():
            s, _ = inner.accept()
            s.sendall(b"got " + s.recv(100))
            s.close()
        threading.Thread(target=echo, daemon=True).start()
        network = ecs_network.Network()
        port = network.hold("tcp", 0, "127.0.0.1", inner.getsockname()[1])
        try:
            with self.assertRaisesRegex(ecs_network.Failed, "failed to bind host port"):
                network.hold("tcp", port)
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                s.sendall(b"word")
                self.assertEqual(s.makefile("rb").read(), b"got word")
        finally:
            network.held[("tcp", port)].close()
            inner.close()


if __name__ == "__main__":
    unittest.main()
