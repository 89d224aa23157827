"""skopeo, podman and buildah as people use them: logins, indexes, zstd, deletion, archives; every store lies in the test's own directory."""
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest
import uuid

from aws import ENDPOINT, TestCase, client, run
from registry import INDEX, OCI, Registry, digest, layout, password


def blobs(path):
    return {p.name for p in (path / "blobs" / "sha256").iterdir()}


def index_layout(path, text):
    """An OCI layout of one index, called `all`, with images for two processors; its digest and those of the images by processor."""
    parts, entries = {}, []
    for architecture in ("amd64", "arm64"):
        one = path.with_name(f"{path.name}-{architecture}")
        layout(one, {"app": f"{text} {architecture}".encode()})
        entry, = json.loads((one / "index.json").read_text())["manifests"]
        manifest = json.loads((one / "blobs/sha256" / entry["digest"][7:]).read_text())
        config = json.loads((one / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
        config = json.dumps({**config, "architecture": architecture}).encode()
        (one / "blobs/sha256" / digest(config)[7:]).write_bytes(config)
        manifest["config"].update(digest=digest(config), size=len(config))
        data = json.dumps(manifest).encode()
        (one / "blobs/sha256" / digest(data)[7:]).write_bytes(data)
        shutil.copytree(one / "blobs", path / "blobs", dirs_exist_ok=True)
        parts[architecture] = digest(data)
        entries.append({"mediaType": OCI, "digest": digest(data), "size": len(data), "platform": {"os": "linux", "architecture": architecture}})
    data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    (path / "blobs/sha256" / digest(data)[7:]).write_bytes(data)
    top = {"mediaType": INDEX, "digest": digest(data), "size": len(data), "annotations": {"org.opencontainers.image.ref.name": "all"}}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return digest(data), parts


class ClientCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ecr = client("ecr")

    def setUp(self):
        self.name = "clients/t" + uuid.uuid4().hex[:12]
        self.repository(self.name)
        self.r = Registry(self.ecr, ENDPOINT, self.name)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="quartet-clients-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.host = ENDPOINT.split("//")[1]
        self.at = f"{self.host}/{self.name}"
        self.env = {"HOME": str(self.dir), "TMPDIR": str(self.dir), "XDG_RUNTIME_DIR": str(self.dir), "REGISTRY_AUTH_FILE": str(self.dir / "auth.json")}

    def repository(self, name):
        self.ecr.create_repository(repositoryName=name)
        self.addCleanup(self.ecr.delete_repository, repositoryName=name, force=True)

    def stored(self, tag, name=None):
        image, = self.ecr.batch_get_image(repositoryName=name or self.name, imageIds=[{"imageTag": tag}])["images"]
        return image["imageId"]["imageDigest"], json.loads(image["imageManifest"])

    def tree(self, **files):
        """A tarball of a root file system."""
        path = self.dir / f"{uuid.uuid4().hex}.tar"
        with tarfile.open(path, "w") as tar:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o755
                tar.addfile(entry, io.BytesIO(text.encode()))
        return path

    def contents(self, manifest):
        """Names in the layers of a stored image; what is compressed in zstd is unpacked by its own program."""
        names = []
        for layer in manifest["layers"]:
            data = self.r("GET", "blobs/" + layer["digest"]).body
            self.assertEqual(digest(data), layer["digest"])
            if layer["mediaType"].endswith("zstd"):
                data = subprocess.run(["zstd", "-dqc"], input=data, stdout=subprocess.PIPE, check=True).stdout
            names += tarfile.open(fileobj=io.BytesIO(data)).getnames()
        return names


@unittest.skipUnless(shutil.which("skopeo"), "no skopeo")
class Skopeo(ClientCase):
    def setUp(self):
        super().setUp()
        self.skopeo("login", "--tls-verify=false", "-u", "AWS", "--password-stdin", self.host, stdin=password(self.ecr))

    def skopeo(self, *args, **more):
        return run("skopeo", "--insecure-policy", "--tmpdir", str(self.dir), *args, env=self.env, **more)

    def copy(self, source, to, *args):
        return self.skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *args, source, to)

    def copy_all(self, source, to):
        return self.copy(source, to, "--all", "--preserve-digests")

    def raw(self, reference):
        return json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}").stdout)

    def test_login(self):
        self.assertIn("AWS", self.skopeo("login", "--get-login", self.host).stdout)
        wrong = self.skopeo("login", "--tls-verify=false", "-u", "AWS", "--password-stdin", self.host, stdin="wrong", check=False)
        self.assertNotEqual(wrong.returncode, 0)
        self.skopeo("logout", self.host)
        self.assertNotEqual(self.skopeo("list-tags", "--tls-verify=false", f"docker://{self.at}", check=False).returncode, 0)

    def test_index(self):
        """All of it goes, to the registry, within it and back; a part of it by processor; and it is deleted from the top."""
        (self.dir / "in").mkdir()
        made, parts = index_layout(self.dir / "in", self.name)
        self.copy_all(f"oci:{self.dir}/in:all", f"docker://{self.at}:1")
        self.assertEqual(self.stored("1")[0], made)
        held = {i["imageDigest"] for i in self.ecr.list_images(repositoryName=self.name)["imageIds"]}
        self.assertEqual(held, {made, *parts.values()})
        self.assertEqual({m["digest"] for m in self.raw(f"{self.at}:1")["manifests"]}, set(parts.values()))
        said = json.loads(self.skopeo("--override-arch", "arm64", "inspect", "--tls-verify=false", f"docker://{self.at}:1").stdout)
        self.assertEqual((said["Architecture"], said["RepoTags"]), ("arm64", ["1"]))
        self.copy_all(f"docker://{self.at}:1", f"oci:{self.dir}/out:all")
        self.assertEqual({m["digest"] for m in json.loads((self.dir / "out/index.json").read_text())["manifests"]}, {made})
        for name in blobs(self.dir / "out"):
            self.assertEqual(hashlib.sha256((self.dir / "out/blobs/sha256" / name).read_bytes()).hexdigest(), name)
        # to another repository: blobs are mounted there, not sent again
        other = self.name + "-other"
        self.repository(other)
        self.copy_all(f"docker://{self.at}:1", f"docker://{self.host}/{other}:2")
        self.assertEqual(self.stored("2", other)[0], made)
        # one processor's image alone
        self.skopeo("--override-arch", "arm64", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests",
                    f"docker://{self.at}:1", f"docker://{self.at}:arm")
        self.assertEqual(self.stored("arm")[0], parts["arm64"])
        tags = json.loads(self.skopeo("list-tags", "--tls-verify=false", f"docker://{self.at}").stdout)["Tags"]
        self.assertEqual(sorted(tags), ["1", "arm"])
        delete = lambda what, **more: self.skopeo("delete", "--tls-verify=false", f"docker://{self.at}{what}", **more)
        self.assertNotEqual(delete("@" + parts["amd64"], check=False).returncode, 0)
        for what in ("@" + made, "@" + parts["amd64"], "@" + parts["arm64"]):
            delete(what)
        self.assertEqual(self.ecr.list_images(repositoryName=self.name)["imageIds"], [])
        self.assertIn("may not exist", delete("@" + made, check=False).stderr.lower())

    @unittest.skipUnless(shutil.which("zstd"), "no zstd")
    def test_zstd(self):
        """Layers compressed on the way, and read again: Docker's schema has no word for them and is refused by skopeo itself."""
        layout(self.dir / "in", {"etc/conf": b"x" * 100000})
        self.copy(f"oci:{self.dir}/in:latest", f"docker://{self.at}:z", "--dest-compress-format", "zstd", "--dest-compress-level", "5")
        made, manifest = self.stored("z")
        self.assertEqual([m["mediaType"] for m in manifest["layers"]], ["application/vnd.oci.image.layer.v1.tar+zstd"])
        self.assertEqual(self.contents(manifest), ["etc/conf"])
        self.copy(f"docker://{self.at}:z", f"oci:{self.dir}/out:z")
        self.assertIn(made[7:], blobs(self.dir / "out"))

    def test_formats_and_digests(self):
        """Docker's schema 2 and OCI's beside each other; by digest, what was asked for is what comes; to repositories that are not there nothing goes."""
        made = layout(self.dir / "in", {"a": b"a"})
        self.copy(f"oci:{self.dir}/in:latest", f"docker://{self.at}:oci", "--preserve-digests")
        self.copy(f"oci:{self.dir}/in:latest", f"docker://{self.at}:docker", "--format", "v2s2")
        docker, manifest = self.stored("docker")
        self.assertEqual((self.stored("oci")[0], manifest["mediaType"]), (made, "application/vnd.docker.distribution.manifest.v2+json"))
        self.assertEqual(self.raw(f"{self.at}@{docker}"), manifest)
        self.copy(f"docker://{self.at}@{docker}", f"docker-archive:{self.dir}/d.tar:app:1")
        self.copy(f"docker-archive:{self.dir}/d.tar", f"docker://{self.at}:back", "--format", "oci")
        self.assertEqual(self.contents(self.stored("back")[1]), ["a"])
        refused = self.skopeo("copy", "--dest-tls-verify=false", f"oci:{self.dir}/in:latest", f"docker://{self.host}/{self.name}-not:1", check=False)
        self.assertIn("does not exist in the registry", refused.stderr)

    def test_tls(self):
        """By the cloud's own certificate; a client that does not know its authority sends nothing."""
        host = os.environ["QUARTET_TLS_ENDPOINT"].split("//")[1]
        made, certificates = layout(self.dir / "in", {"a": self.name.encode()}), self.dir / "certificates"
        certificates.mkdir()
        shutil.copy(os.path.join(os.environ["QUARTET_DATA"], "tls", "ca.pem"), certificates / "ca.crt")
        self.skopeo("login", "--cert-dir", str(certificates), "-u", "AWS", "--password-stdin", host, stdin=password(self.ecr))
        self.skopeo("copy", "--dest-cert-dir", str(certificates), "--preserve-digests", f"oci:{self.dir}/in:latest", f"docker://{host}/{self.name}:tls")
        self.assertEqual(self.stored("tls")[0], made)
        self.skopeo("copy", "--src-cert-dir", str(certificates), "--preserve-digests", f"docker://{host}/{self.name}:tls", f"oci:{self.dir}/out:tls")
        self.assertIn(made[7:], blobs(self.dir / "out"))
        refused = self.skopeo("inspect", f"docker://{host}/{self.name}:tls", check=False)
        self.assertIn("x509", refused.stderr)

    def test_sync(self):
        layout(self.dir / "in", {"a": self.name.encode()})
        for tag in ("1", "2"):
            self.copy(f"oci:{self.dir}/in:latest", f"docker://{self.at}:{tag}")
        self.skopeo("sync", "--src-tls-verify=false", "--src", "docker", "--dest", "dir", self.at, str(self.dir / "synced"))
        self.assertEqual(sorted(p.name.rpartition(":")[2] for p in (self.dir / "synced").rglob("*:*")), ["1", "2"])


class Stores(ClientCase):
    """Images in a store of files of its own, in mount namespaces of its own."""

    def tool(self, *args, check=True, stdin=None):
        store = ["--storage-driver", "vfs", "--root", str(self.dir / "root"), "--runroot", str(self.dir / "runroot")]
        if self.program == "podman":
            store += ["--tmpdir", str(self.dir / "tmp"), "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        return run("unshare", "-m", "--propagation", "private", "sh", "-c", 'cd "$0" && exec "$@"', str(self.dir), self.program, *store, *args,
                   env=self.env, check=check, stdin=stdin)


@unittest.skipUnless(shutil.which("podman"), "no podman")
class Podman(Stores):
    program = "podman"

    def setUp(self):
        super().setUp()
        for d in ("root", "runroot", "tmp"):
            (self.dir / d).mkdir()
        self.tool("login", "--tls-verify=false", "-u", "AWS", "--password-stdin", self.host, stdin=password(self.ecr))

    def image(self, name, **files):
        return self.tool("import", "--change", 'CMD ["/app"]', "--change", "ENV A=b", str(self.tree(**files)), name).stdout.strip().removeprefix("sha256:")

    def test_push_and_pull(self):
        made = self.image(f"{self.at}:1", app="#!/bin/sh\n")
        self.tool("push", "--tls-verify=false", f"{self.at}:1")
        pushed, manifest = self.stored("1")
        self.assertEqual((manifest["config"]["digest"], self.contents(manifest)), ("sha256:" + made, ["app"]))
        self.tool("rmi", "-a", "-f")
        self.assertEqual(self.tool("pull", "--tls-verify=false", f"{self.at}:1").stdout.strip(), made)
        said, = json.loads(self.tool("inspect", "--type", "image", f"{self.at}:1").stdout)
        self.assertEqual((said["Digest"], said["Config"]["Cmd"], said["Config"]["Env"]), (pushed, ["/app"], ["A=b"]))
        self.tool("rmi", "-a", "-f")
        self.assertEqual(self.tool("pull", "--tls-verify=false", f"{self.at}@{pushed}").stdout.strip(), made)
        self.tool("logout", self.host)
        self.assertNotEqual(self.tool("pull", "--tls-verify=false", f"{self.at}:1", check=False).returncode, 0)

    @unittest.skipUnless(shutil.which("zstd"), "no zstd")
    def test_zstd(self):
        made = self.image("localhost/app:1", app="x" * 100000)
        self.tool("push", "--tls-verify=false", "--format", "oci", "--compression-format", "zstd", "localhost/app:1", f"{self.at}:z")
        self.assertTrue(self.stored("z")[1]["layers"][0]["mediaType"].endswith("+zstd"))
        self.assertEqual(self.contents(self.stored("z")[1]), ["app"])
        self.tool("rmi", "-a", "-f")
        self.assertEqual(self.tool("pull", "--tls-verify=false", f"{self.at}:z").stdout.strip(), made)

    def test_manifest_list(self):
        """An index that podman makes of two images, with all that is in it."""
        for tag, architecture in (("a", "amd64"), ("b", "arm64")):
            self.tool("import", "--arch", architecture, str(self.tree(app=architecture)), f"localhost/app:{tag}")
        self.tool("manifest", "create", "localhost/all:1")
        for tag in "ab":
            self.tool("manifest", "add", "localhost/all:1", f"containers-storage:localhost/app:{tag}")
        self.tool("manifest", "push", "--tls-verify=false", "--all", "localhost/all:1", f"docker://{self.at}:all")
        _, index = self.stored("all")
        self.assertEqual({m["platform"]["architecture"] for m in index["manifests"]}, {"amd64", "arm64"})
        self.tool("rmi", "-a", "-f")
        self.tool("pull", "--tls-verify=false", "--arch", "arm64", f"{self.at}:all")
        said, = json.loads(self.tool("inspect", "--type", "image", f"{self.at}:all").stdout)
        self.assertEqual(said["Architecture"], "arm64")

    def test_archives_are_imported(self):
        """What podman saves, in either format, `quartet image import` takes; podman reads it back."""
        made = self.image("localhost/app:1", app="#!/bin/sh\n", other=self.name)
        for kind in ("docker-archive", "oci-archive"):
            path = self.dir / kind
            self.tool("save", "--format", kind, "-o", str(path), "localhost/app:1")
            done = run(os.environ["QUARTET"], "image", "import", "--repository", f"{self.name}:{kind}", str(path))
            self.assertTrue(done.stdout.strip().endswith(f"/{self.name}:{kind}"))
            manifest = self.stored(kind)[1]
            self.assertEqual(sorted(self.contents(manifest)), ["app", "other"])
            self.assertEqual(manifest["config"]["digest"], "sha256:" + made)
        self.tool("rmi", "-a", "-f")
        self.assertEqual(self.tool("pull", "--tls-verify=false", f"{self.at}:docker-archive").stdout.strip(), made)


@unittest.skipUnless(shutil.which("buildah"), "no buildah")
class Buildah(Stores):
    program = "buildah"

    def test_built_and_pushed(self):
        """Of a Dockerfile without a base, which needs no container to run; the next one stands on it and sends its own layer alone."""
        self.tool("login", "--tls-verify=false", "-u", "AWS", "--password-stdin", self.host, stdin=password(self.ecr))
        for tag, base, text in (("1", "scratch", "one"), ("2", f"{self.at}:1", "two")):
            (self.dir / f"file-{tag}").write_text(text)
            (self.dir / "Dockerfile").write_text(f"FROM {base}\nCOPY file-{tag} /file-{tag}\nCMD [\"/file-{tag}\"]\n")
            self.tool("bud", "--tls-verify=false", "--pull-always" if tag == "2" else "--layers=false", "-t", f"{self.at}:{tag}", "-f", "Dockerfile", ".")
            self.tool("push", "--tls-verify=false", f"{self.at}:{tag}")
            self.tool("rmi", "-a", "-f")
        first, second = self.stored("1")[1], self.stored("2")[1]
        self.assertEqual(second["layers"][:1], first["layers"])
        self.assertEqual(self.contents(second), ["file-1", "file-2"])
        image = self.tool("pull", "--tls-verify=false", f"{self.at}:2").stdout.strip()
        self.assertEqual(json.loads(self.tool("inspect", "--type", "image", image).stdout)["OCIv1"]["config"]["Cmd"], ["/file-2"])


if __name__ == "__main__":
    unittest.main()
