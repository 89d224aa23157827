"""The registry as OCI's distribution specification has it: pull, push, discovery, management, case by case."""
import json
import os
import socket
import unittest
import urllib.parse
import uuid

from aws import ENDPOINT, TestCase, client
from registry import CONFIG, INDEX, OCI, Registry, code, digest

ACCOUNT = "000000000000"


class RegistryCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ecr = client("ecr")

    def setUp(self):
        self.name = "oci/t" + uuid.uuid4().hex[:12]
        self.repository(self.name)
        self.r = Registry(self.ecr, ENDPOINT, self.name)

    def repository(self, name):
        self.ecr.create_repository(repositoryName=name)
        self.addCleanup(self.ecr.delete_repository, repositoryName=name, force=True)

    def assertReply(self, reply, status, error=None):
        self.assertEqual(reply.status, status, reply.body)
        if error:
            self.assertEqual(code(reply), error)
        return reply

    def push(self, tag=None, text=None, **more):
        reply, made, raw = self.r.push_manifest(self.r.manifest(text or uuid.uuid4().hex, **more), tag)
        self.assertReply(reply, 201)
        return made, raw


class Authentication(RegistryCase):
    def test_base(self):
        self.assertReply(self.r("GET", "/v2/"), 200)
        self.assertReply(self.r("GET", "/v2"), 200)
        reply = self.assertReply(self.r("GET", "/v2/", headers={"Authorization": None}), 401, "UNAUTHORIZED")
        self.assertRegex(reply.headers["WWW-Authenticate"], '^Basic realm="http://127.0.0.1:[0-9]+/",service="ecr.amazonaws.com"$')
        self.assertEqual(reply.headers["Docker-Distribution-Api-Version"], "registry/2.0")

    def test_wrong_passwords(self):
        good = self.r.authorization
        for bad in ("Basic QVdTOm5vcGU=", "Basic !", good[:-8] + "AAAAAAA=", "Bearer x"):
            self.assertReply(self.r("GET", "/v2/", headers={"Authorization": bad}), 401, "UNAUTHORIZED")
            self.assertReply(self.r("GET", "tags/list", headers={"Authorization": bad}), 401)

    def test_host_names_registry(self):
        port = ENDPOINT.rsplit(":", 1)[1]
        at = Registry(self.ecr, ENDPOINT, self.name, f"{ACCOUNT}.dkr.ecr.us-east-1.localhost:{port}")
        self.assertReply(at("GET", "tags/list"), 200)
        at.host = f"{ACCOUNT}.dkr.ecr.eu-west-1.localhost:{port}"
        self.assertReply(at("GET", "tags/list"), 404, "NAME_UNKNOWN")
        at.host = f"111122223333.dkr.ecr.us-east-1.localhost:{port}"
        self.assertReply(at("GET", "tags/list"), 403, "DENIED")

    def test_no_such_thing(self):
        self.assertReply(self.r("GET", "/v2/no-such-repository/tags/list"), 404, "NAME_UNKNOWN")
        self.assertReply(self.r("GET", "/v2/UPPER/tags/list"), 400, "NAME_INVALID")
        self.assertReply(self.r("GET", "nothing"), 404, "UNSUPPORTED")
        self.assertReply(self.r("POST", "tags/list"), 405, "UNSUPPORTED")


class Blobs(RegistryCase):
    def test_monolithic_post(self):
        data = os.urandom(100000)
        reply = self.assertReply(self.r("POST", "blobs/uploads/", body=data, digest=digest(data)), 201)
        self.assertEqual(reply.headers["Location"], f"/v2/{self.name}/blobs/{digest(data)}")
        self.assertEqual(reply.headers["Docker-Content-Digest"], digest(data))
        self.assertEqual(self.r("GET", reply.headers["Location"]).body, data)

    def test_post_put(self):
        data = os.urandom(1 << 20)
        at = self.assertReply(self.r("POST", "blobs/uploads/"), 202).headers["Location"]
        self.assertReply(self.r("PUT", at, body=data, digest=digest(data)), 201)
        self.assertEqual(self.r("GET", "blobs/" + digest(data)).body, data)
        self.assertReply(self.r("PUT", at, body=data, digest=digest(data)), 404, "BLOB_UPLOAD_UNKNOWN")

    def test_chunked(self):
        parts = [os.urandom(700000), os.urandom(1), os.urandom(300000)]
        whole = b"".join(parts)
        at, sent = self.assertReply(self.r("POST", "blobs/uploads/"), 202).headers["Location"], 0
        self.assertEqual(self.assertReply(self.r("GET", at), 204).headers["Range"], "0-0")
        for part in parts:
            reply = self.assertReply(self.r("PATCH", at, body=part, headers={"Content-Range": f"{sent}-{sent + len(part) - 1}"}), 202)
            sent += len(part)
            self.assertEqual(reply.headers["Range"], f"0-{sent - 1}")
            at = reply.headers["Location"]
            self.assertEqual(self.assertReply(self.r("GET", at), 204).headers["Range"], f"0-{sent - 1}")
        self.assertReply(self.r("PUT", at, digest=digest(whole)), 201)
        self.assertEqual(self.r("GET", "blobs/" + digest(whole)).body, whole)

    def test_chunk_with_final_put(self):
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.assertReply(self.r("PATCH", at, body=b"first "), 202)
        self.assertReply(self.r("PUT", at, body=b"last", headers={"Content-Range": "6-9"}, digest=digest(b"first last")), 201)

    def test_chunks_out_of_order(self):
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.assertReply(self.r("PATCH", at, body=b"later", headers={"Content-Range": "10-14"}), 416, "BLOB_UPLOAD_INVALID")
        self.assertReply(self.r("PATCH", at, body=b"start", headers={"Content-Range": "0-4"}), 202)
        again = self.assertReply(self.r("PATCH", at, body=b"start", headers={"Content-Range": "0-4"}), 416, "BLOB_UPLOAD_INVALID")
        self.assertEqual(again.headers["Range"], "0-4")
        self.assertReply(self.r("PATCH", at, body=b"x", headers={"Content-Range": "5-9"}), 416)
        self.assertReply(self.r("PATCH", at, body=b"x", headers={"Content-Range": "nonsense"}), 400)
        self.assertReply(self.r("PUT", at, digest=digest(b"start")), 201)

    def test_wrong_digest(self):
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.assertReply(self.r("PUT", at, body=b"data", digest=digest(b"other")), 400, "DIGEST_INVALID")
        self.assertReply(self.r("HEAD", "blobs/" + digest(b"other")), 404)
        for bad in ("sha256:abc", "md5:" + "0" * 32, "sha512:" + "0" * 128, "latest"):
            self.assertReply(self.r("POST", "blobs/uploads/", body=b"data", digest=bad), 400, "DIGEST_INVALID")
            self.assertReply(self.r("GET", "blobs/" + bad), 400, "DIGEST_INVALID")

    def test_cancel(self):
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.assertReply(self.r("PATCH", at, body=b"some"), 202)
        self.assertReply(self.r("DELETE", at), 204)
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            self.assertReply(self.r(method, at, digest=digest(b"some")), 404)

    def test_upload_belongs_to_its_repository(self):
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        self.repository(self.name + "x")
        self.assertReply(self.r("PATCH", at.replace(self.name, self.name + "x"), body=b"x"), 404, "BLOB_UPLOAD_UNKNOWN")

    def test_head_and_empty(self):
        made = self.r.push_blob(b"")
        reply = self.assertReply(self.r("HEAD", "blobs/" + made), 200)
        self.assertEqual((reply.headers["Content-Length"], reply.headers["Docker-Content-Digest"]), ("0", made))
        made = self.r.push_blob(b"12345")
        reply = self.assertReply(self.r("HEAD", "blobs/" + made), 200)
        self.assertEqual((reply.headers["Content-Length"], reply.body), ("5", b""))
        self.assertReply(self.r("GET", "blobs/" + digest(b"never")), 404, "BLOB_UNKNOWN")
        self.assertReply(self.r("HEAD", "blobs/" + digest(b"never")), 404)

    def test_ranges(self):
        data = bytes(range(256)) * 40
        at = "blobs/" + self.r.push_blob(data)
        for asked, want in (("bytes=0-9", data[:10]), ("bytes=100-", data[100:]), ("bytes=-5", data[-5:]), ("bytes=10000-99999", data[10000:])):
            reply = self.assertReply(self.r("GET", at, headers={"Range": asked}), 206)
            self.assertEqual(reply.body, want)
            self.assertTrue(reply.headers["Content-Range"].endswith(f"/{len(data)}"))
        reply = self.assertReply(self.r("GET", at, headers={"Range": "bytes=10240-"}), 416)
        self.assertEqual(reply.headers["Content-Range"], f"bytes */{len(data)}")
        self.assertEqual(self.assertReply(self.r("GET", at, headers={"Range": "lines=1-2"}), 200).body, data)

    def test_mount(self):
        made = self.r.push_blob(b"shared " + uuid.uuid4().bytes)
        other = self.name + "-other"
        self.repository(other)
        path = f"/v2/{other}/blobs/"
        self.assertReply(self.r("HEAD", path + made), 404)
        self.assertReply(self.r("POST", path + "uploads/", mount=digest(b"no"), from_=self.name), 202)
        self.assertReply(self.r("POST", path + "uploads/", mount=made), 202)
        reply = self.assertReply(self.r("POST", path + "uploads/", mount=made, from_=self.name), 201)
        self.assertEqual(reply.headers["Location"], path + made)
        self.assertReply(self.r("HEAD", path + made), 200)
        self.assertReply(self.r("DELETE", "blobs/" + made), 202)
        self.assertReply(self.r("HEAD", "blobs/" + made), 404)
        self.assertReply(self.r("GET", path + made), 200)  # the other repository still has it

    def test_delete(self):
        manifest = self.r.manifest(uuid.uuid4().hex)
        layer = manifest["layers"][0]["digest"]
        _, image, _ = self.r.push_manifest(manifest)
        self.assertReply(self.r("DELETE", "blobs/" + layer), 405, "UNSUPPORTED")
        self.assertReply(self.r("DELETE", "manifests/" + image), 202)
        self.assertReply(self.r("DELETE", "blobs/" + layer), 202)
        self.assertReply(self.r("DELETE", "blobs/" + layer), 404, "BLOB_UNKNOWN")


class Manifests(RegistryCase):
    def test_push_and_pull(self):
        made, raw = self.push("v1")
        for reference in ("v1", made):
            reply = self.assertReply(self.r("GET", "manifests/" + reference), 200)
            self.assertEqual((reply.body, reply.headers["Content-Type"], reply.headers["Docker-Content-Digest"]), (raw, OCI, made))
            reply = self.assertReply(self.r("HEAD", "manifests/" + reference), 200)
            self.assertEqual((reply.headers["Content-Length"], reply.headers["Docker-Content-Digest"]), (str(len(raw)), made))
        self.assertReply(self.r("GET", "manifests/v2"), 404, "MANIFEST_UNKNOWN")
        self.assertReply(self.r("HEAD", "manifests/" + digest(b"?")), 404)
        self.assertReply(self.r("GET", "manifests/.bad"), 404)

    def test_again_and_moved_tag(self):
        first, raw = self.push("v1")
        self.assertReply(self.r("PUT", "manifests/v1", body=raw, headers={"Content-Type": OCI}), 201)
        second, _ = self.push("v1")
        self.assertEqual(self.r("GET", "manifests/v1").headers["Docker-Content-Digest"], second)
        self.assertReply(self.r("GET", "manifests/" + first), 200)

    def test_refusals(self):
        good = self.r.manifest()
        text = json.dumps(good).encode()
        put = lambda body, at="v", kind=OCI: self.r("PUT", "manifests/" + at, body=body, headers={"Content-Type": kind})
        self.assertReply(put(text, digest(b"other")), 400, "DIGEST_INVALID")
        self.assertReply(put(text, "-bad"), 400, "TAG_INVALID")
        self.assertReply(put(text, kind="application/json"), 400, "MANIFEST_INVALID")
        self.assertReply(put(b"{", "v"), 400, "MANIFEST_INVALID")
        self.assertReply(put(b"[]", "v"), 400, "MANIFEST_INVALID")
        for change in ({"schemaVersion": 1}, {"config": None}, {"layers": "x"}, {"layers": [{"digest": "x"}]}, {"subject": {}}):
            self.assertReply(put(json.dumps({**good, **change}).encode()), 400, "MANIFEST_INVALID")
        missing = {**good, "layers": [{"mediaType": "x/y", "digest": digest(b"missing"), "size": 7}]}
        self.assertReply(put(json.dumps(missing).encode()), 404, "MANIFEST_BLOB_UNKNOWN")
        self.assertReply(put(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": OCI, "digest": digest(b"missing"), "size": 7}]}).encode(), kind=INDEX), 404, "MANIFEST_BLOB_UNKNOWN")
        self.assertReply(put(b" " * (4 << 20) + text), 413, "MANIFEST_INVALID")
        self.assertReply(self.r("GET", "manifests/v"), 404)

    def test_index_holds_its_images(self):
        a, raw_a = self.push(architecture="amd64")
        b, raw_b = self.push(architecture="arm64")
        entries = [{"mediaType": OCI, "digest": d, "size": len(raw), "platform": {"os": "linux", "architecture": arch}}
                   for d, raw, arch in ((a, raw_a, "amd64"), (b, raw_b, "arm64"))]
        reply, index, _ = self.r.push_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, "all", INDEX)
        self.assertReply(reply, 201)
        self.assertReply(self.r("DELETE", "manifests/" + a), 405, "DENIED")
        self.assertReply(self.r("DELETE", "manifests/" + index), 202)
        self.assertReply(self.r("DELETE", "manifests/" + a), 202)

    def test_delete(self):
        made, _ = self.push("one")
        self.assertReply(self.r("DELETE", "manifests/one"), 202)
        self.assertReply(self.r("GET", "manifests/one"), 404)
        self.assertReply(self.r("GET", "manifests/" + made), 200)
        self.assertReply(self.r("DELETE", "manifests/" + made), 202)
        self.assertReply(self.r("GET", "manifests/" + made), 404)
        self.assertReply(self.r("DELETE", "manifests/" + made), 404, "MANIFEST_UNKNOWN")

    def test_referrers(self):
        subject, raw = self.push("app")
        self.assertEqual(json.loads(self.assertReply(self.r("GET", "referrers/" + subject), 200).body)["manifests"], [])
        about = {"mediaType": OCI, "digest": subject, "size": len(raw)}
        empty = self.r.descriptor(b"{}", "application/vnd.oci.empty.v1+json")
        made = {}
        for kind in ("application/x.sbom", "application/x.signature"):
            reply, made[kind], _ = self.r.push_manifest({"schemaVersion": 2, "mediaType": OCI, "artifactType": kind, "config": empty,
                                                         "layers": [empty], "subject": about, "annotations": {"k": kind}})
            self.assertReply(reply, 201)
            self.assertEqual(reply.headers["OCI-Subject"], subject)
        reply = self.r("GET", "referrers/" + subject)
        self.assertEqual(reply.headers["Content-Type"], INDEX)
        found = {d["artifactType"]: d for d in json.loads(reply.body)["manifests"]}
        self.assertEqual({k: d["digest"] for k, d in found.items()}, made)
        self.assertEqual(found["application/x.sbom"]["annotations"], {"k": "application/x.sbom"})
        reply = self.r("GET", "referrers/" + subject, artifactType="application/x.sbom")
        self.assertEqual([d["digest"] for d in json.loads(reply.body)["manifests"]], [made["application/x.sbom"]])
        self.assertEqual(reply.headers["OCI-Filters-Applied"], "artifactType")
        self.assertReply(self.r("GET", "referrers/nonsense"), 400, "DIGEST_INVALID")
        self.r("DELETE", "manifests/" + made["application/x.sbom"])
        self.assertEqual(len(json.loads(self.r("GET", "referrers/" + subject).body)["manifests"]), 1)
        # what an artifact is about need not be there
        later = {"mediaType": OCI, "digest": digest(b"to come"), "size": 1}
        reply, _, _ = self.r.push_manifest({"schemaVersion": 2, "mediaType": OCI, "artifactType": "x/y", "config": empty, "layers": [], "subject": later})
        self.assertReply(reply, 201)
        self.assertEqual(len(json.loads(self.r("GET", "referrers/" + later["digest"]).body)["manifests"]), 1)


    def test_many_referrers(self):
        """Their annotations may be long: what does not fit into one answer comes with the next ones, none left out and none cut off."""
        subject, raw = self.push("app")
        about = {"mediaType": OCI, "digest": subject, "size": len(raw)}
        empty = self.r.descriptor(b"{}", "application/vnd.oci.empty.v1+json")
        made = {"application/x.a": set(), "application/x.b+c": set()}
        for n in range(6):
            for kind, digests in made.items():
                reply, one, _ = self.r.push_manifest({"schemaVersion": 2, "mediaType": OCI, "artifactType": kind, "config": empty, "layers": [empty],
                                                      "subject": about, "annotations": {"n": str(n), "long": "x" * 1000000}})
                self.assertReply(reply, 201)
                digests.add(one)
        for kind in (None, *made):
            reply, seen, pages = self.r("GET", "referrers/" + subject, **({"artifactType": kind} if kind else {})), [], 1
            while True:
                self.assertReply(reply, 200)
                self.assertEqual(reply.headers["OCI-Filters-Applied"], "artifactType" if kind else None)
                seen += [d["digest"] for d in json.loads(reply.body)["manifests"]]
                if not reply.headers["Link"]:
                    break
                reply, pages = self.r("GET", reply.headers["Link"].split(">; ")[0][1:]), pages + 1
            self.assertEqual(len(seen), len(set(seen)))
            self.assertEqual(set(seen), made[kind] if kind else set.union(*made.values()))
            self.assertGreater(pages, 1)

    def test_subject_of_an_index_and_of_an_image(self):
        """An image without an artifact type is shown by the type of its configuration; an index may refer too, and what it is about stays when it goes."""
        subject, raw = self.push("app")
        about = {"mediaType": OCI, "digest": subject, "size": len(raw)}
        image, _ = self.push(subject=about)
        reply, index, _ = self.r.push_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "artifactType": "x/index", "subject": about}, kind=INDEX)
        self.assertReply(reply, 201)
        self.assertEqual(reply.headers["OCI-Subject"], subject)
        found = {d["digest"]: (d["mediaType"], d["artifactType"]) for d in json.loads(self.r("GET", "referrers/" + subject).body)["manifests"]}
        self.assertEqual(found, {image: (OCI, CONFIG), index: (INDEX, "x/index")})
        self.assertReply(self.r("DELETE", "manifests/" + index), 202)
        self.assertReply(self.r("GET", "manifests/" + subject), 200)

    def test_pushed_by_digest_alone(self):
        """It has no tag, can be pulled and be given tags later; a tag of the same image again is nothing new."""
        made, raw = self.push()
        self.assertEqual(json.loads(self.r("GET", "tags/list").body)["tags"], [])
        for tag in ("a", "a", "b"):
            reply = self.assertReply(self.r("PUT", "manifests/" + tag, body=raw, headers={"Content-Type": OCI}), 201)
            self.assertEqual((reply.headers["Docker-Content-Digest"], reply.headers["Location"]), (made, f"/v2/{self.name}/manifests/{made}"))
        self.assertEqual(json.loads(self.r("GET", "tags/list").body)["tags"], ["a", "b"])
        self.assertReply(self.r("DELETE", "manifests/never"), 404, "MANIFEST_UNKNOWN")
        self.assertReply(self.r("DELETE", "manifests/b"), 202)
        self.assertReply(self.r("GET", "manifests/a"), 200)

    def test_immutable(self):
        name = self.name + "-immutable"
        self.ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
        self.addCleanup(self.ecr.delete_repository, repositoryName=name, force=True)
        self.r = Registry(self.ecr, ENDPOINT, name)
        made, raw = self.push("v1")
        reply, _, _ = self.r.push_manifest(self.r.manifest("another"), "v1")
        self.assertReply(reply, 400, "TAG_INVALID")
        self.assertEqual(self.r("GET", "manifests/v1").headers["Docker-Content-Digest"], made)
        self.assertReply(self.r("PUT", "manifests/v2", body=raw, headers={"Content-Type": OCI}), 201)

    def test_body_cut_short(self):
        """What did not arrive whole is not there, and the upload goes on where it stood."""
        at = self.r("POST", "blobs/uploads/").headers["Location"]
        with socket.create_connection(urllib.parse.urlsplit(ENDPOINT).netloc.split(":"), timeout=60) as s:
            s.sendall((f"PUT /v2/{self.name}/manifests/cut HTTP/1.1\r\nHost: h\r\nAuthorization: {self.r.authorization}\r\n"
                       f"Content-Type: {OCI}\r\nContent-Length: 1000\r\n\r\n{{").encode())
        self.assertReply(self.r("GET", "manifests/cut"), 404, "MANIFEST_UNKNOWN")
        self.assertReply(self.r("PATCH", at, body=b"whole"), 202)
        self.assertReply(self.r("PUT", at, digest=digest(b"whole")), 201)


class Lists(RegistryCase):
    def test_tags(self):
        self.assertEqual(json.loads(self.r("GET", "tags/list").body), {"name": self.name, "tags": []})
        _, raw = self.push("b")
        tags = ["a", "b", "c", "d", "e"]
        for tag in tags:
            self.assertReply(self.r("PUT", "manifests/" + tag, body=raw, headers={"Content-Type": OCI}), 201)
        self.assertEqual(json.loads(self.r("GET", "tags/list").body)["tags"], tags)
        reply = self.r("GET", "tags/list", n=2)
        self.assertEqual(json.loads(reply.body)["tags"], ["a", "b"])
        seen = ["a", "b"]
        while reply.headers["Link"]:
            target, rel = reply.headers["Link"].split(">; ")
            self.assertEqual(rel, 'rel="next"')
            reply = self.r("GET", target[1:])
            seen += json.loads(reply.body)["tags"]
        self.assertEqual(seen, tags)
        self.assertEqual(json.loads(self.r("GET", "tags/list", last="c").body)["tags"], ["d", "e"])
        self.assertEqual(json.loads(self.r("GET", "tags/list", n=0).body)["tags"], [])
        self.assertReply(self.r("GET", "tags/list", n="many"), 400)
        self.assertEqual(json.loads(self.r("GET", "tags/list", last="bb").body)["tags"], ["c", "d", "e"])  # need not be there
        self.assertEqual(json.loads(self.r("GET", "tags/list", last="e", n=2).body)["tags"], [])
        self.assertIsNone(self.r("GET", "tags/list", n=5).headers["Link"])

    def test_catalogue(self):
        first = self.name + "/a"
        self.repository(first)
        names = json.loads(self.assertReply(self.r("GET", "/v2/_catalog"), 200).body)["repositories"]
        self.assertIn(self.name, names)
        self.assertIn(first, names)
        reply = self.r("GET", "/v2/_catalog", n=1, last=self.name)
        self.assertEqual(json.loads(reply.body)["repositories"], [first])


if __name__ == "__main__":
    unittest.main()
