"""`quartet image` makes images of what people have: disks, file systems, tarballs, container images."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import unittest
import uuid

from aws import TestCase, client

MIB = 1 << 20
HAVE_KERNEL = os.path.exists("/var/cache/quartet/images/debian-12-amd64/image.json")


def tar(*members, compress=False):
    """(name, content | "-> target" | None for a directory)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, content in members:
            m = tarfile.TarInfo(name)
            m.mode, m.uid = 0o755, 1000 if name.endswith("owned") else 0
            if content is None:
                m.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                m.type, m.linkname = tarfile.SYMTYPE, content[3:]
            else:
                m.size = len(content)
            t.addfile(m, io.BytesIO(content) if isinstance(content, bytes) else None)
    return gzip.compress(out.getvalue()) if compress else out.getvalue()


class Command(TestCase):
    def setUp(self):
        self.ec2, self.s3 = client("ec2"), client("s3")
        d = tempfile.TemporaryDirectory()
        self.addCleanup(d.cleanup)
        self.dir = d.name
        self.name = "import-" + uuid.uuid4().hex
        self.volumes = os.path.join(os.environ["QUARTET_DATA"], "volumes")

    def file(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def run_it(self, path, *more):
        done = subprocess.run([os.environ["QUARTET"], "image", "import", "--name", self.name, *more, path], capture_output=True, text=True, check=False,
                              env={**os.environ, "TMPDIR": self.dir})
        self.assertEqual([b["Name"] for b in self.s3.list_buckets()["Buckets"] if b["Name"].startswith("quartet-import-")], [])
        return done

    def imported(self, path, *more):
        done = self.run_it(path, *more)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        image = self.ec2.describe_images(ImageIds=[done.stdout.strip()])["Images"][0]
        self.addCleanup(self.forget, image)
        self.assertEqual((image["Name"], image["State"]), (self.name, "available"))
        return image, os.path.join(self.volumes, image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])

    def forget(self, image):
        self.ec2.deregister_image(ImageId=image["ImageId"])
        self.ec2.delete_snapshot(SnapshotId=image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])

    def refused(self, path, *words):
        before = (sorted(os.listdir(self.volumes)), sorted(os.listdir(self.dir)))
        done = self.run_it(path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual((sorted(os.listdir(self.volumes)), sorted(os.listdir(self.dir))), before)

    def look_into(self, snapshot, *commands):
        """Answers of debugfs about the file system that a layer holds."""
        raw = os.path.join(self.dir, "raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", snapshot, raw], check=True)
        subprocess.run(["e2fsck", "-fn", raw], check=True, capture_output=True)
        said = [subprocess.run(["debugfs", "-R", c, raw], capture_output=True, text=True, check=True).stdout for c in commands]
        os.unlink(raw)
        return said

    def test_a_disk(self):
        data = b"\xfa\xf4" + bytes(508) + b"\x55\xaa" + bytes(9 * MIB) + os.urandom(MIB) + bytes(512)
        image, snapshot = self.imported(self.file("disk", data), "--description", "of mine")
        self.assertEqual(image["Description"], "of mine")
        self.assertNotIn("KernelId", image)
        with open(snapshot, "rb") as f:
            self.assertEqual(f.read(), data)
        self.refused(self.file("disk", data), "there is an image called", image["ImageId"])
        listed = subprocess.run([os.environ["QUARTET"], "image", "list"], capture_output=True, text=True, check=True).stdout
        self.assertRegex(listed, f"(?m)^{image['ImageId']} .* {self.name}$")

    def test_qcow2(self):
        path = os.path.join(self.dir, "q")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "2G"], check=True)
        image, _ = self.imported(path)
        self.assertEqual(image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"], 2)

    def test_wrong_files(self):
        self.refused(self.file("text", b"hello\n"), "no disk image")
        self.refused(self.file("empty", b""), "no disk image")
        self.refused(self.file("zeros", bytes(MIB)), "no disk image")
        self.refused(os.path.join(self.dir, "none"), "No such file")
        other = self.file("base", bytes(MIB))
        path = os.path.join(self.dir, "q")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", other, "-F", "raw", path], check=True)
        self.refused(path, "Disk validation failed")
        done = subprocess.run([os.environ["QUARTET"], "image", "import", "--name", "a", path], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        done = subprocess.run([os.environ["QUARTET"], "image", "import", path], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)

    @unittest.skipUnless(HAVE_KERNEL and os.geteuid() == 0, "needs root and the machine image: tools/make-image")
    def test_a_tarball(self):
        path = self.file("root.tar.gz", tar(("./sbin", None), ("./sbin/init", "-> ../lib/init"), ("lib/init", b"#!/bin/sh\n"), ("etc/owned", b"x"),
                                            ("away", "-> /etc"), ("away/inside", b"in"), compress=True))
        image, snapshot = self.imported(path)
        first = self.ec2.describe_images(Owners=["amazon"])["Images"][0]
        self.assertEqual((image["KernelId"], image["RamdiskId"]), (first["KernelId"], first["RamdiskId"]))
        owned, link, inside = self.look_into(snapshot, "stat /etc/owned", "stat /sbin/init", "cat /etc/inside")
        self.assertRegex(owned, r"User: +1000 ")
        self.assertIn("../lib/init", link)
        self.assertEqual(inside, "in")

    @unittest.skipUnless(HAVE_KERNEL and os.geteuid() == 0, "needs root and the machine image: tools/make-image")
    def test_wrong_trees(self):
        self.refused(self.file("a.tar", tar(("etc/x", b"x"))), "no /sbin/init")
        self.refused(self.file("b.tar", tar(("../x", b"x"), ("sbin/init", b"x"))), "leads outside")
        self.refused(self.file("c.tar", tar(("sbin/init", "-> /sbin/other"), ("sbin/other", "-> init"))), "circle")
        self.refused(self.file("d.tar.gz", tar(("sbin/init", os.urandom(9999)), compress=True)[:5000]), "cannot be read")
        self.refused(self.dir, "no folder in the OCI image layout")

    def oci(self, *layers, architecture="amd64"):
        """A folder in the OCI layout."""
        top = os.path.join(self.dir, "oci-" + uuid.uuid4().hex)
        os.makedirs(top + "/blobs/sha256")

        def blob(data):
            digest = hashlib.sha256(data).hexdigest()
            with open(f"{top}/blobs/sha256/{digest}", "wb") as f:
                f.write(data)
            return {"digest": "sha256:" + digest, "size": len(data)}
        config = blob(json.dumps({"architecture": architecture, "os": "linux"}).encode())
        manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": [blob(x) for x in layers]}).encode())
        with open(top + "/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "manifests": [manifest]}, f)
        return top

    @unittest.skipUnless(HAVE_KERNEL and os.geteuid() == 0, "needs root and the machine image: tools/make-image")
    def test_container_images(self):
        one = tar(("sbin/init", b"one"), ("gone", b"1"), ("dir/lower", b"1"), ("etc/keep", b"k"), ("out", "-> /tmp"), compress=True)
        two = tar((".wh.gone", b""), ("dir/.wh..wh..opq", b""), ("dir/upper", b"2"), ("sbin/init", b"two"), ("out/" + self.name, b"no"))
        top = self.oci(one, two)
        with tarfile.open(top + ".tar", "w") as t:
            t.add(top, ".")
        for path in (top, top + ".tar"):
            with self.subTest(path):
                image, snapshot = self.imported(path)
                init, root, folder, temporary = self.look_into(snapshot, "cat /sbin/init", "ls -p /", "ls -p /dir", "ls -p /tmp")
                self.assertEqual(init, "two")
                self.assertNotIn("/gone/", root)
                self.assertNotIn("/lower/", folder)
                self.assertIn("/upper/", folder)
                self.assertIn(f"/{self.name}/", temporary)
                self.assertFalse(os.path.exists("/tmp/" + self.name))
            self.forget(image)
            self._cleanups.pop()
        saved = os.path.join(self.dir, "saved.tar")
        with tarfile.open(saved, "w") as t:
            for name, data in (("l/layer.tar", tar(("sbin/init", b"s"))), ("c.json", b'{"architecture":"amd64"}'),
                               ("manifest.json", b'[{"Config":"c.json","Layers":["l/layer.tar"]}]')):
                m = tarfile.TarInfo(name)
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
        image, snapshot = self.imported(saved)
        self.assertEqual(self.look_into(snapshot, "cat /sbin/init"), ["s"])
        self.name = "other-" + self.name
        self.refused(self.oci(one, architecture="arm64"), "arm64")
        broken = self.oci(one)
        largest = max((os.path.join(broken, "blobs/sha256", n) for n in os.listdir(broken + "/blobs/sha256")), key=os.path.getsize)
        with open(largest, "r+b") as f:
            f.write(b"x")
        self.refused(broken, "damaged")
