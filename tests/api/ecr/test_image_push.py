"""`quartet image import --repository`: images in the OCI layout and what `docker save` writes, into ECR."""
import gzip
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile
import tempfile
import time
import unittest
import uuid

from aws import ENDPOINT, TestCase, client
from registry import CONFIG, INDEX, OCI, Registry, digest, layout


class ImageCommand(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ecr = client("ecr")

    def setUp(self):
        self.name = "command/t" + uuid.uuid4().hex[:12]
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.work = pathlib.Path(work.name)
        self.addCleanup(self.forget)

    def forget(self):
        try:
            self.ecr.delete_repository(repositoryName=self.name, force=True)
        except self.ecr.exceptions.RepositoryNotFoundException:
            pass

    def command(self, path, tag=""):
        unpacked = self.work / "unpacked"
        unpacked.mkdir(exist_ok=True)
        done = subprocess.run([os.environ["QUARTET"], "image", "import", "--repository", self.name + tag, str(path)], capture_output=True, text=True,
                              check=False, timeout=120, env={**os.environ, "TMPDIR": str(unpacked)})
        self.assertEqual(list(unpacked.iterdir()), [])
        return done

    def imported(self, path, tag=":one"):
        done = self.command(path, tag)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        uri = self.ecr.describe_repositories(repositoryNames=[self.name])["repositories"][0]["repositoryUri"]
        self.assertEqual(done.stdout, f"{uri}{tag or ':latest'}\n")
        image, = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[{"imageTag": (tag or ":latest")[1:]}])["images"]
        return image

    def refused(self, path, text, tag=""):
        done = self.command(path, tag)
        self.assertEqual(done.returncode, 1)
        self.assertIn(text, done.stderr)
        self.assertEqual(done.stdout, "")

    def layer(self, image):
        manifest = json.loads(image["imageManifest"])
        at = Registry(self.ecr, ENDPOINT, self.name)
        data = at("GET", "blobs/" + manifest["layers"][0]["digest"]).body
        self.assertEqual(digest(data), manifest["layers"][0]["digest"])
        return data

    def archive(self, files, name="archive.tar", mode="w"):
        path = self.work / name
        with tarfile.open(path, mode) as tar:
            for at, data in files.items():
                entry = tarfile.TarInfo(at)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return path

    def test_layout(self):
        made = layout(self.work / "l", {"a": os.urandom(12 << 20), "b": b"b"}, "other-name")
        image = self.imported(self.work / "l")
        self.assertEqual(image["imageId"]["imageDigest"], made)
        self.assertEqual(tarfile.open(fileobj=io.BytesIO(self.layer(image))).getnames(), ["a", "b"])
        # again, and under a second name: nothing is an error
        self.imported(self.work / "l")
        self.assertEqual(self.imported(self.work / "l", "")["imageId"]["imageDigest"], made)

    def test_archive_of_layout(self):
        made = layout(self.work / "l", {"a": b"a"})
        for mode in ("w", "w:gz"):
            path = self.work / f"l.{mode[2:]}"
            with tarfile.open(path, mode) as tar:
                tar.add(self.work / "l", ".")
            self.assertEqual(self.imported(path, ":" + (mode[2:] or "plain"))["imageId"]["imageDigest"], made)

    def test_interrupted(self):
        """However it ends, what it has unpacked goes with it."""
        unpacked, fifo = self.work / "unpacked", self.work / "fifo"
        unpacked.mkdir()
        os.mkfifo(fifo)
        archive = self.archive({"first": b"x" * 100000, "second": bytes(100000)}).read_bytes()

        def hear():  # whoever started the tests in the background may have them ignored
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            with subprocess.Popen([os.environ["QUARTET"], "image", "import", "--repository", self.name, str(fifo)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(unpacked)},
                                  preexec_fn=hear) as command, open(fifo, "wb", 0) as pipe:
                pipe.write(archive[:60000])
                self.until(lambda: list(unpacked.glob("*/first")))
                command.send_signal(number)
                self.assertEqual(command.wait(60), -number)
                self.until(lambda: not list(unpacked.iterdir()))

    def until(self, what):
        end = time.monotonic() + 60
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def docker(self, layer, said=None):
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/a"]},
                             "rootfs": {"type": "layers", "diff_ids": [said or digest(layer)]}}).encode()
        return {"c.json": config, "x/layer.tar": layer,
                "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["x/layer.tar"]}]).encode()}

    def test_docker_archive(self):
        inner = self.archive({"a": b"content"}, "layer.tar").read_bytes()
        files = self.docker(inner)
        image = self.imported(self.archive(files))
        manifest = json.loads(image["imageManifest"])
        self.assertEqual((manifest["mediaType"], manifest["config"]["digest"], manifest["config"]["mediaType"]), (OCI, digest(files["c.json"]), CONFIG))
        self.assertEqual(self.layer(image), inner)

    def test_hostile_archives(self):
        """Names and links that lead out mean nothing of this machine; devices are not made; nobody is waited for; nothing gets into the repository."""
        layer = self.archive({"a": b"content"}, "layer.tar").read_bytes()
        files = self.docker(layer)
        (self.work / "secret").write_bytes(files["c.json"])  # would do, if it were taken
        (self.work / "secret-layer").write_bytes(layer)

        def entry(name, kind, link="", **more):
            made = tarfile.TarInfo(name)
            made.type, made.linkname = kind, link
            for key, value in more.items():
                setattr(made, key, value)
            return made

        def refused(text, *entries, without=(), **changed):
            image = {**json.loads(files["manifest.json"])[0], **changed}
            path = self.work / "hostile.tar"
            with tarfile.open(path, "w") as tar:
                for one in entries:
                    tar.addfile(one)
                for name, data in {**files, "manifest.json": json.dumps([image]).encode()}.items():
                    if name not in without:
                        one = tarfile.TarInfo(name)
                        one.size = len(data)
                        tar.addfile(one, io.BytesIO(data))
            self.refused(path, text)
        out, up = str(self.work / "secret"), "../" * 9 + str(self.work)[1:]
        for name in (out, f"{up}/secret", "/proc/self/environ"):
            refused("does not fit its layers", Config=name)
            refused("does not fit its layers", entry("c.json", tarfile.SYMTYPE, name), without=["c.json"])
        for name in (out + "-layer", f"{up}/secret-layer"):
            refused("there is no ", Layers=[name])
            refused("there is no ", entry("x/layer.tar", tarfile.SYMTYPE, name), without=["x/layer.tar"])
        refused("there is no ", entry("x/layer.tar", tarfile.FIFOTYPE), without=["x/layer.tar"])
        refused("there is no ", entry("x/layer.tar", tarfile.DIRTYPE, mode=0o755), without=["x/layer.tar"])
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            refused("no archive that tar can read", entry("d", kind, devmajor=1, devminor=3))
        refused("no archive that tar can read", entry("../out", tarfile.REGTYPE))
        self.assertFalse((self.work / "out").exists() or (self.work / "unpacked/out").exists())
        whole = (self.work / "hostile.tar").read_bytes()
        for name, data in (("cut.tar", whole[:len(whole) // 2 // 512 * 512 + 100]), ("cut.tar.gz", gzip.compress(os.urandom(100000))[:5000])):
            (self.work / name).write_bytes(data)
            self.refused(self.work / name, "no archive that tar can read")
        for changed in ({"Layers": []}, {"Layers": None}, {"Layers": [7]}, {"Config": 7}):
            refused("", **changed)
        self.assertEqual(self.ecr.list_images(repositoryName=self.name)["imageIds"], [])
        # a link within is what docker save writes
        path = self.work / "linked.tar"
        with tarfile.open(path, "w") as tar:
            tar.addfile(entry("x/layer.tar", tarfile.SYMTYPE, "../y/layer.tar"))
            for name, data in files.items():
                one = tarfile.TarInfo(name.replace("x/", "y/"))
                one.size = len(data)
                tar.addfile(one, io.BytesIO(data))
        self.assertEqual(self.layer(self.imported(path)), layer)

    def test_index(self):
        root = self.work / "l"
        one = layout(root, {"a": b"a"})
        entry, = json.loads((root / "index.json").read_text())["manifests"]
        inner = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
        (root / "blobs/sha256" / digest(inner)[7:]).write_bytes(inner)
        outer = {"mediaType": INDEX, "digest": digest(inner), "size": len(inner), "annotations": {"org.opencontainers.image.ref.name": "all"}}
        (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [outer, entry]}))
        self.assertEqual(self.imported(root, ":all")["imageId"]["imageDigest"], digest(inner))
        self.assertEqual(self.imported(root, ":latest")["imageId"]["imageDigest"], one)
        self.refused(root, "it has several images and none is called nothing", ":nothing")

    def test_refusals(self):
        for bad in ("UPPER", "a:", "a:b:c", ":x"):
            done = subprocess.run([os.environ["QUARTET"], "image", "import", "--repository", bad, "x"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, bad)
            self.assertIn("is no NAME or NAME:TAG", done.stderr)
        done = subprocess.run([os.environ["QUARTET"], "image", "import", "--repository", "a", "--name", "b", "x"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        (self.work / "text").write_text("text")
        self.refused(self.work / "none", "No such file")
        self.refused(self.work / "text", "no archive that tar can read")
        self.refused(self.archive({"a": b"a"}), "neither an image in the OCI layout nor")
        with self.assertRaises(self.ecr.exceptions.RepositoryNotFoundException):
            self.ecr.describe_repositories(repositoryNames=[self.name])
        layer = self.archive({"a": b"a"}, "layer.tar").read_bytes()
        self.refused(self.archive(self.docker(layer, digest(b"another"))), "says another digest for x/layer.tar")
        files = self.docker(layer)
        del files["x/layer.tar"]
        self.refused(self.archive(files), "there is no x/layer.tar")
        layout(self.work / "l", {"a": b"a"})
        for blob in (self.work / "l/blobs/sha256").iterdir():
            data = blob.read_bytes()
            if not data.startswith(b"{"):
                blob.write_bytes(data + b"more")
                self.refused(self.work / "l", "InvalidLayer")
                blob.unlink()
                self.refused(self.work / "l", "there is no blobs/sha256/" + blob.name)
            elif b"schemaVersion" in data:
                manifest = blob, data
        manifest[0].write_bytes(manifest[1] + b" ")
        self.refused(self.work / "l", "the manifest has not the digest")
        self.assertEqual(self.ecr.list_images(repositoryName=self.name)["imageIds"], [])


if __name__ == "__main__":
    unittest.main()
