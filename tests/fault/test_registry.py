"""The registry when things break: killed in the middle of an upload, clients that leave, a full disk, removal against a push."""
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from cloud import Cloud, program
from leftovers import blobs, unfinished_files
from registry import CONFIG, LAYER, OCI, Registry, code, digest


class Broken(unittest.TestCase):
    def up(self, **options):
        self.cloud = Cloud(**options).start()
        self.addCleanup(self.cloud.stop)
        self.ecr = self.cloud.client("ecr", retries={"max_attempts": 5})
        self.ecr.create_repository(repositoryName="app")
        self.r = Registry(self.ecr, self.cloud.endpoint, "app")

    def eventually(self, ask, what):
        until = time.monotonic() + 60
        while not ask():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.02)

    def kill(self):
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=before)
        self.cloud.wait()

    def test_kill(self):
        """What an upload was answered outlives api: it goes on at the byte that was told, and ends under its digest."""
        self.up()
        data = os.urandom(2 << 20)
        half = len(data) // 2
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        empty = self.r("POST", "blobs/uploads/").headers["Location"]
        gone = self.r("POST", "blobs/uploads/").headers["Location"]
        wrong = self.r("POST", "blobs/uploads/").headers["Location"]
        for one in (at, gone, wrong):
            self.assertEqual(self.r("PATCH", one, body=data[:half]).status, 202)
        self.assertEqual(self.r("DELETE", gone).status, 204)
        self.assertEqual(code(self.r("PUT", wrong, digest=digest(b"another"))), "DIGEST_INVALID")
        part = self.ecr.initiate_layer_upload(repositoryName="app")["uploadId"]
        first = os.urandom(5 << 20)
        send = lambda start, body: self.ecr.upload_layer_part(repositoryName="app", uploadId=part, partFirstByte=start,
                                                              partLastByte=start + len(body) - 1, layerPartBlob=body)
        send(0, first)
        kept = self.r.push_blob(b"kept")
        reply, image, _ = self.r.push_manifest(self.r.manifest("a layer"), "v1")
        self.assertEqual(reply.status, 201)
        self.kill()
        self.assertEqual(self.r("GET", "blobs/" + kept).body, b"kept")
        self.assertEqual(self.r("GET", "manifests/v1").headers["Docker-Content-Digest"], image)
        for one in (gone, wrong):
            self.assertEqual(code(self.r("GET", one)), "BLOB_UPLOAD_UNKNOWN")
        self.assertEqual(len(blobs(self.cloud.data)), 3)  # kept, a config, a layer
        # a body that breaks off with api is not counted, as nobody was told that it had come
        c = http.client.HTTPConnection(self.r.netloc)
        c.putrequest("PATCH", at)
        c.putheader("Authorization", self.r.authorization)
        c.putheader("Content-Length", "1000000")
        c.endheaders()
        c.send(b"x" * 600000)
        self.eventually(lambda: self.r("GET", at).status == 409, "the body has not begun")
        self.kill()
        c.close()
        self.assertEqual(self.r("GET", at).headers["Range"], f"0-{half - 1}")
        self.assertEqual(self.r("PATCH", at, body=b"y", headers={"Content-Range": "0-0"}).status, 416)
        self.assertEqual(self.r("PATCH", at, body=data[half:], headers={"Content-Range": f"{half}-{len(data) - 1}"}).status, 202)
        self.kill()
        self.assertEqual(self.r("PUT", at, digest=digest(data)).status, 201)
        self.assertEqual(self.r("GET", "blobs/" + digest(data)).body, data)
        self.assertEqual(self.r("PUT", empty, body=b"at last", digest=digest(b"at last")).status, 201)
        with self.assertRaises(self.ecr.exceptions.InvalidLayerPartException) as e:
            send(0, b"again")
        self.assertEqual(e.exception.response["lastValidByteReceived"], len(first) - 1)
        send(len(first), b"end")
        self.ecr.complete_layer_upload(repositoryName="app", uploadId=part, layerDigests=[digest(first + b"end")])
        self.assertEqual(self.r("GET", "blobs/" + digest(first + b"end")).body, first + b"end")
        self.kill()
        for one in (at, empty):
            self.assertEqual(code(self.r("GET", one)), "BLOB_UPLOAD_UNKNOWN")
        self.assertEqual((len(blobs(self.cloud.data)), unfinished_files(self.cloud.data)), (6, []))

    def test_stopped_and_left(self):
        """An upload outlives the whole cloud's end too, and ends when a day has passed since somebody brought it on."""
        data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, data, True)
        self.up(data=data)
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.assertEqual(self.r("PATCH", at, body=b"one ").status, 202)
        self.cloud.stop()
        self.cloud.start()
        self.assertEqual(self.r("PATCH", at, body=b"two ").status, 202)
        self.forward("23h")
        self.r = Registry(self.ecr, self.cloud.endpoint, "app")
        self.assertEqual(self.r("PATCH", at, body=b"three").status, 202)
        self.forward("23h")
        self.kill()
        self.r = Registry(self.ecr, self.cloud.endpoint, "app")
        self.assertEqual(self.r("GET", at).headers["Range"], "0-12")
        self.assertEqual(len(unfinished_files(data)), 1)
        self.forward("2h")
        self.r = Registry(self.ecr, self.cloud.endpoint, "app")
        self.eventually(lambda: self.r("GET", at).status == 404 and not unfinished_files(data), "an old upload stays")
        self.kill()
        self.assertEqual(self.r("GET", at).status, 404)

    def test_client_leaves(self):
        self.up()
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        c = http.client.HTTPConnection(self.r.netloc)
        c.putrequest("PATCH", at)
        c.putheader("Authorization", self.r.authorization)
        c.putheader("Content-Length", "1000000")
        c.endheaders()
        c.send(b"x" * 300000)
        self.eventually(lambda: self.r("GET", at).status == 409, "the body has not begun")
        time.sleep(0.1)
        c.close()
        self.eventually(lambda: self.r("GET", at).status == 204, "the upload stays busy")
        # what has come counts, and the client goes on from there
        have = int(self.r("GET", at).headers["Range"].split("-")[1]) + 1
        self.assertEqual(have, 300000)
        self.assertEqual(self.r("PATCH", at, body=b"y" * 10, headers={"Content-Range": f"{have}-{have + 9}"}).status, 202)
        self.assertEqual(self.r("PUT", at, digest=digest(b"x" * 300000 + b"y" * 10)).status, 201)
        # one that leaves in a monolithic push leaves nothing to find
        c = http.client.HTTPConnection(self.r.netloc)
        c.putrequest("POST", f"/v2/app/blobs/uploads/?digest={digest(b'z')}")
        c.putheader("Authorization", self.r.authorization)
        c.putheader("Content-Length", "1000")
        c.endheaders()
        c.send(b"z")
        c.close()
        self.assertEqual(self.r("HEAD", "blobs/" + digest(b"z")).status, 404)

    def test_full_disk(self):
        data = tempfile.mkdtemp(prefix="quartet-fault-")
        self.addCleanup(shutil.rmtree, data, True)
        mount = f'mount -t tmpfs -o size=24m,mode=755 quartet-fault "{data}" && exec "$@"'
        self.up(data=data, inside=["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"])
        big = os.urandom(32 << 20)
        reply = self.r("POST", "blobs/uploads/", body=big, digest=digest(big))
        self.assertEqual((reply.status, code(reply)), (503, "UNKNOWN"))
        self.assertIn(b"full", reply.body)
        self.assertEqual(self.r("HEAD", "blobs/" + digest(big)).status, 404)
        inside = f"/proc/{self.cloud.process.pid}/root{data}"
        self.eventually(lambda: not blobs(inside) and not unfinished_files(inside), "the beginning of a blob stays")
        self.assertEqual(self.r.push_blob(b"small"), digest(b"small"))

    def test_removal_against_push(self):
        """Whatever wins, an image that was taken has all its blobs, and a blob that nobody needs leaves no file."""
        self.up()
        config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
        config = self.r.descriptor(config, CONFIG)
        self.r.push_manifest({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": []}, "base")
        self.ecr.create_repository(repositoryName="other")
        won = {201: 0, 404: 0}
        for n in range(40):
            layer = self.r.descriptor(b"layer %d" % n, LAYER)
            result = {}
            manifest = {"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [layer]}
            mount = f"/v2/other/blobs/uploads/?mount={layer['digest']}&from=app"
            threads = [threading.Thread(target=lambda: result.update(put=self.r.push_manifest(manifest)[0].status)),
                       threading.Thread(target=lambda: result.update(gone=self.r("DELETE", "blobs/" + layer["digest"]).status)),
                       threading.Thread(target=lambda: result.update(mount=self.r("POST", mount).status))]
            for t in threads if n % 2 else threads[::-1]:
                t.start()
            for t in threads:
                t.join()
            won[result["put"]] += 1
            self.assertEqual(result["gone"], 405 if result["put"] == 201 else 202, result)
            self.assertEqual(self.r("GET", "blobs/" + layer["digest"]).status, 200 if result["put"] == 201 else 404)
            self.assertEqual(self.r("GET", "/v2/other/blobs/" + layer["digest"]).status, 200 if result["mount"] == 201 else 404)
        for name in ("app", "other"):
            self.ecr.delete_repository(repositoryName=name, force=True)
        self.eventually(lambda: not blobs(self.cloud.data), "files of deleted repositories stay")
        self.assertEqual(sum(won.values()), 40)

    def test_collection_against_everything(self):
        """Pushes, deletions and collection at a time, days passing, api killed in the middle: whatever push was answered is there, whole, until it is
        deleted, and in the end there is no byte that nobody needs."""
        self.up()
        self.ecr.create_repository(repositoryName="other")
        self.ecr.put_lifecycle_policy(repositoryName="app", lifecyclePolicyText=json.dumps({"rules": [{
            "rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1},
            "action": {"type": "expire"}}]}) + " " * 100)
        stop, kept, odd, lock = threading.Event(), {}, [], threading.Lock()
        login = Registry(self.ecr, self.cloud.endpoint, "app").authorization

        def ask(name, *request, **more):
            """A client's way: it tries again when the connection breaks, and logs in again when the login has ended."""
            nonlocal login
            while True:
                r = Registry.__new__(Registry)
                r.netloc, r.name, r.host, r.authorization = self.r.netloc, name, None, login
                try:
                    reply = r(*request, **more)
                    if reply.status == 401:
                        login = Registry(self.ecr, self.cloud.endpoint, name).authorization
                    elif reply.status < 500:
                        return reply
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
                except Exception:  # the login found nobody
                    time.sleep(0.02)

        def blob(name, data, kind):
            if ask(name, "HEAD", "blobs/" + digest(data)).status != 200:
                source = "other" if name == "app" else "app"
                if ask(name, "POST", f"blobs/uploads/?mount={digest(data)}&from={source}").status != 201:
                    ask(name, "POST", f"blobs/uploads/?digest={digest(data)}", body=data)
            return {"mediaType": kind, "digest": digest(data), "size": len(data)}

        def push(who):
            name, n = ("app", "other")[who % 2], 0
            while not stop.is_set():
                n += 1
                config = blob(name, json.dumps({"architecture": "amd64", "os": "linux", "n": n % 3}).encode(), CONFIG)
                layers = [blob(name, b"layer %d" % ((n + who + k) % 7) * 1000, LAYER) for k in range(2)]
                text = json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": layers, "annotations": {"n": f"{who} {n}"}})
                tag = f"keep-{who}-{n}" if n % 4 == 0 else f"moving-{who}"
                reply = ask(name, "PUT", "manifests/" + tag, body=text, headers={"Content-Type": OCI})
                if reply.status not in (201, 404):  # 404: a day has passed between a blob and its manifest
                    odd.append((reply.status, reply.body))
                elif reply.status == 201 and n % 4 == 0:
                    with lock:
                        kept[name, tag] = digest(text.encode())

        def delete(name):
            while not stop.is_set():
                for tag in (f"moving-{who}" for who in range(4)):
                    reply = ask(name, "HEAD", "manifests/" + tag)
                    if reply.status == 200:
                        ask(name, "DELETE", "manifests/" + reply.headers["Docker-Content-Digest"])
                for n in range(7):
                    ask(name, "DELETE", "blobs/" + digest(b"layer %d" % n * 1000))

        def days():
            for _ in range(60):
                if stop.is_set():
                    break
                self.forward("25h")
                time.sleep(0.2)
        threads = [threading.Thread(target=t, args=a) for t, a in
                   [(push, (who,)) for who in range(4)] + [(delete, ("app",)), (delete, ("other",)), (days, ())]]
        for t in threads:
            t.start()
        try:
            for n in range(1, 4):
                self.eventually(lambda: len(kept) >= 8 * n or odd, "the pushes do not come on")
                before = self.cloud.kill("api")
                self.cloud.wait_for_role("api", other_than=before)
                self.cloud.wait()
            self.eventually(lambda: len(kept) >= 32 or odd, "the pushes do not come on")
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(odd, [])
        needed = set()
        for (name, tag), want in kept.items():
            reply = ask(name, "GET", "manifests/" + tag)
            self.assertEqual((reply.status, digest(reply.body)), (200, want), tag)
            manifest = json.loads(reply.body)
            for one in (manifest["config"], *manifest["layers"]):
                self.assertEqual(digest(ask(name, "GET", "blobs/" + one["digest"]).body), one["digest"])
                needed.add(one["digest"])
        for name in ("app", "other"):
            for who in range(4):
                ask(name, "DELETE", f"manifests/moving-{who}")
        self.ecr.put_lifecycle_policy(repositoryName="other", lifecyclePolicyText=self.ecr.get_lifecycle_policy(repositoryName="app")["lifecyclePolicyText"])
        self.forward("25h")
        self.eventually(lambda: not any("imageTag" not in i for name in ("app", "other") for i in self.ecr.list_images(repositoryName=name)["imageIds"]),
                        "images without tags stay")
        self.forward("25h")
        self.eventually(lambda: len(blobs(self.cloud.data)) == len(needed) and not unfinished_files(self.cloud.data), "bytes that nobody needs stay")

    def forward(self, by):
        """Until it is done: api may be dying."""
        done = lambda: subprocess.run([program(), "clock", "forward", by], capture_output=True, check=False, timeout=60, env=self.cloud.environment()).returncode == 0
        self.eventually(done, "the clock does not move")


if __name__ == "__main__":
    unittest.main()
