"""The registry when things break: killed in the middle of an upload, clients that leave, a full disk, removal against a push."""
import http.client
import json
import os
import shutil
import tempfile
import threading
import time
import unittest

from cloud import Cloud
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

    def test_kill(self):
        self.up()
        data = os.urandom(2 << 20)
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.assertEqual(self.r("PATCH", at, body=data[:1 << 20]).status, 202)
        part = self.ecr.initiate_layer_upload(repositoryName="app")["uploadId"]
        kept = self.r.push_blob(b"kept")
        reply, image, _ = self.r.push_manifest(self.r.manifest("a layer"), "v1")
        self.assertEqual(reply.status, 201)
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=before)
        self.cloud.wait()
        reply = self.r("PATCH", at, body=data[1 << 20:])
        self.assertEqual((reply.status, code(reply)), (404, "BLOB_UPLOAD_UNKNOWN"))
        with self.assertRaises(self.ecr.exceptions.UploadNotFoundException):
            self.ecr.upload_layer_part(repositoryName="app", uploadId=part, partFirstByte=0, partLastByte=0, layerPartBlob=b"x")
        self.assertEqual(self.r("GET", "blobs/" + kept).body, b"kept")
        self.assertEqual(self.r("GET", "manifests/v1").headers["Docker-Content-Digest"], image)
        self.assertEqual(len(blobs(self.cloud.data)), 3)  # kept, a config, a layer: of the upload nothing is left
        self.assertEqual(self.r.push_blob(data), digest(data))

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


if __name__ == "__main__":
    unittest.main()
