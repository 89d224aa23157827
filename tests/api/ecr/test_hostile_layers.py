"""Images that nobody should trust, pushed and run: each is refused with what is wrong with it, and nothing of it stays unpacked."""
import gzip
import io
import json
import os
import tarfile
import unittest

from busybox import busybox
from registry import CONFIG, INDEX, LAYER, OCI, digest
from tasks import TaskCase

ZSTD = LAYER.replace("gzip", "zstd")
PLAIN = LAYER.replace("+gzip", "")


def tree(*entries):
    """A tarball: (name, type, link, more)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link, more in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            for key, value in more.items():
                setattr(entry, key, value)
            tar.addfile(entry)
    return out.getvalue()


def one(name, kind=tarfile.REGTYPE, link="", **more):
    return tree((name, kind, link, more))


class HostileLayers(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = busybox()

    def put(self, tag, layer=b"", kind=LAYER, blob=None, diff_id=None, config=None, **changed):
        """An image of busybox and this layer above it. blob: what is pushed for it, else the layer in gzip."""
        blob = gzip.compress(layer, 1, mtime=0) if blob is None else blob
        made = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh", "-c", "exit 0"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(self.base), diff_id or digest(layer)]}, "tag": tag}
        text = config if config is not None else json.dumps(made).encode()
        layers = [self.registry.descriptor(gzip.compress(self.base, 1, mtime=0), LAYER), self.registry.descriptor(blob, kind)]
        manifest = {"schemaVersion": 2, "mediaType": OCI, "config": self.registry.descriptor(text, CONFIG), "layers": layers, **changed}
        reply, _, raw = self.registry.push_manifest(manifest, tag)
        self.assertEqual(reply.status, 201, reply.body)
        return raw

    def unpacked(self):
        return {name for name in os.listdir(os.path.join(os.environ["QUARTET_DATA"], "layers")) if name[0] != "."}

    def refused(self, wanted):
        """{tag: what the reason must say}: all at a time."""
        # the base is there beforehand, so that what comes is theirs
        self.put("good", one("fine", mode=0o644))
        self.assertEqual(self.until(self.run_task({"image": f"{self.image}:good"}), "STOPPED")["containers"][0]["exitCode"], 0)
        tasks = {tag: self.run_task({"image": f"{self.image}:{tag}"}) for tag in wanted}
        for tag, task in tasks.items():
            with self.subTest(tag):
                ended = self.until(task, "STOPPED")
                self.assertEqual(ended["stopCode"], "TaskFailedToStart")
                self.assertNotIn("exitCode", ended["containers"][0])
                self.assertRegex(ended["stoppedReason"], "^CannotPullContainerError: .*" + wanted[tag])

    def test_contents(self):
        cases = {"absolute": (one("/etc/x"), "absolute"), "up": (one("a/../../x"), r"\.\."), "link-up": (one("l", tarfile.SYMTYPE, "../x"), "link out"),
                 "hard-link-up": (one("l", tarfile.LNKTYPE, "../x"), "link out"),
                 "through-link": (tree(("l", tarfile.SYMTYPE, "/etc", {}), ("l/../../x", tarfile.REGTYPE, "", {})), r"\.\."),
                 "character-device": (one("d", tarfile.CHRTYPE, devmajor=1, devminor=3), "device node"),
                 "block-device": (one("d", tarfile.BLKTYPE, devmajor=7), "device node")}
        for tag, (layer, _) in cases.items():
            self.put(tag, layer)
        self.refused({tag: reason for tag, (_, reason) in cases.items()})
        for layer, _ in cases.values():
            self.assertNotIn(digest(layer)[7:], self.unpacked())

    def test_bytes(self):
        layer = one("fine", mode=0o600) + b"\0" * 10240
        packed = gzip.compress(os.urandom(100000) + layer, 1, mtime=0)
        self.put("cut", layer, blob=packed[:5000], diff_id=digest(layer))
        self.put("cut-tar", layer[:300])
        self.put("no-tar", b"this is no archive" * 100)
        self.put("no-gzip", layer, blob=layer[:100] + b"x" * 3000)
        self.put("no-zstd", layer, kind=ZSTD, blob=b"\x28\xb5\x2f\xfd" + b"x" * 3000)
        self.put("another", layer, diff_id=digest(b"another"))
        self.refused({"cut": "not compressed as it should be", "cut-tar": "cut off", "no-tar": "no archive", "no-gzip": "digest that the image's configuration says",
                      "no-zstd": "not compressed as it should be", "another": "digest that the image's configuration says"})
        for content in (layer, layer[:300], b"this is no archive" * 100, b"another"):
            self.assertNotIn(digest(content)[7:], self.unpacked())

    def test_texts(self):
        """The configuration, and what the manifest says of others."""
        layer = one("text", mode=0o640)
        self.put("config", layer, config=b"{")
        self.put("config-list", layer, config=b"[]")
        self.put("no-rootfs", layer, config=b'{"architecture":"amd64","os":"linux"}')
        self.put("few", layer, config=json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode())
        self.put("bad-id", layer, config=json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:x", "../x"]}}).encode())
        empty = self.registry.descriptor(b"{}", "application/vnd.oci.empty.v1+json")
        self.registry.push_manifest({"schemaVersion": 2, "mediaType": OCI, "artifactType": "x/y", "config": empty, "layers": [empty]}, "artifact")
        raw = self.put("arm", layer)
        self.registry.push_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": OCI, "digest": digest(raw), "size": len(raw), "platform": {"os": "linux", "architecture": "arm64"}}]}, "platform", INDEX)
        odd = "the image's configuration does not fit its layers"
        self.refused({"config": odd, "config-list": odd, "no-rootfs": odd, "few": odd, "bad-id": odd, "artifact": "The image is an artifact",
                      "platform": "no match for platform in manifest: linux/amd64"})


if __name__ == "__main__":
    unittest.main()
