"""What tests that kill roles share: writers that note what was answered, the kill, and the look around afterwards."""
import os
import shutil
import tempfile
import threading
import time
import unittest

import raw
from cloud import Cloud
from leftovers import blobs, leftovers, unfinished_files
from raw import Signer

VICTIMS = (("api",), ("priv",), ("main",), ("api", "priv", "main"), ("api", "priv"))
ANSWER_S = 15  # a client that waits longer than this hangs
BACK_S = 30.0  # on a machine that does much else; how long it takes is measured in bench/


class Writers:
    """Threads that each send one signed request after the other and note what was answered; `step(number, ask)` makes a request and
    returns nothing. ask(signer arguments) returns the reply, or None when the connection broke."""

    def __init__(self, test, cloud, steps):
        self.test, self.cloud, self.steps = test, cloud, steps
        self.stopping = threading.Event()
        self.hung, self.odd, self.answers, self.errors = [], [], 0, 0
        self.threads = [threading.Thread(target=self.run, args=(step,)) for step in steps]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        for t in self.threads:
            t.join()

    def run(self, step):
        connection = [None]

        def ask(service, method, path, body=b"", headers=None, query=""):
            signer = Signer(self.cloud.port, service)
            try:
                if not connection[0]:
                    connection[0] = raw.connect(self.cloud.port, ANSWER_S)
                connection[0].sendall(signer.request(method, path, body, headers=headers, query=query))
                reply = raw.read_reply(connection[0])
                if reply and reply.headers.get("connection") == "close":
                    connection[0].close()
                    connection[0] = None
                # an answer that was cut in two is none
                if reply and reply.status and len(reply.body) >= int(reply.headers.get("content-length", 0)):
                    self.answers += 1
                    if reply.status not in (200, 201, 202, 204, 404, 500, 503):
                        self.odd.append(reply.data[:300])
                    return reply
            except TimeoutError:
                self.hung.append(f"{time.strftime('%T')} {method} {path} {body[:80]} {headers}")
            except OSError:
                pass
            self.errors += 1
            if connection[0]:
                connection[0].close()
            connection[0] = None
            time.sleep(0.01)
            return None

        number = 0
        while not self.stopping.is_set():
            step(number, ask)
            number += 1
        if connection[0]:
            connection[0].close()


class Killing(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, self.data, True)
        self.cloud = Cloud(data=self.data).start()
        self.addCleanup(self.cloud.stop)

    def kill(self, victims):
        """Kills and waits until the cloud is whole again; the time that this took in seconds."""
        before = {v: self.cloud.process.pid if v == "main" else self.cloud.role_pid(v) for v in victims}
        self.assertNotIn(None, before.values())
        for pid in before.values():
            os.kill(pid, 9)
        began = time.monotonic()
        if "main" in victims:
            # nobody starts main again but the one who started it; the other roles end with it
            self.cloud.process.wait()
            self.cloud.log.close()
            self.cloud.start()
        else:
            for v in victims:
                self.cloud.wait_for_role(v, other_than=before[v])
            self.cloud.wait()
        return time.monotonic() - began

    def rounds(self, steps, victims=VICTIMS, before_s=0.35):
        """Kills each of the victims while the writers write."""
        with Writers(self, self.cloud, steps) as writers:
            for number, who in enumerate(victims):
                heard, until = writers.answers, time.monotonic() + 60
                time.sleep(before_s + 0.03 * number)
                while writers.answers < heard + 4 and time.monotonic() < until:
                    time.sleep(0.01)
                self.assertLess(self.kill(who), BACK_S, f"{who} came back too late")
            time.sleep(before_s)
        self.assertEqual(writers.hung, [])
        self.assertEqual(writers.odd, [])
        self.assertGreater(writers.answers, 10)
        self.assertGreater(writers.errors, 0)

    def end(self, expected_blobs=None):
        """Ends the cloud and looks at what it leaves on the machine and in its data."""
        if expected_blobs is not None:
            until = time.monotonic() + 60
            while len(blobs(self.data)) != expected_blobs and time.monotonic() < until:
                time.sleep(0.02)
            self.assertEqual(len(blobs(self.data)), expected_blobs)
        self.cloud.stop()
        self.assertEqual(self.cloud.process.returncode, 0)
        self.assertEqual(leftovers(self.data, 30), [])
        self.assertEqual(unfinished_files(self.data), [])
        self.assertNotIn("fatal", self.cloud.log_text())
