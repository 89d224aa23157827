"""OCI's distribution specification 1.1, requirement by requirement: its endpoints (end-1 to end-14) and error codes. Where the registry has a choice, the test
holds what this one chose; where ECR differs from the specification, ECR's way."""
import http.client
import json
import os
import re
import unittest
import urllib.parse
import uuid

from aws import ENDPOINT, TestCase, client
from registry import CONFIG, DOCKER, INDEX, LAYER, OCI, Registry, code, digest

CODES = {"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN",
         "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
         "TAG_INVALID"}  # the last one is ECR's, and Docker's
NEVER = digest(b"never pushed")
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Specification(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ecr = client("ecr")

    def setUp(self):
        self.name = "spec/t" + uuid.uuid4().hex[:12]
        self.repository(self.name)
        self.r = Registry(self.ecr, ENDPOINT, self.name)

    def repository(self, name):
        self.ecr.create_repository(repositoryName=name)
        self.addCleanup(self.ecr.delete_repository, repositoryName=name, force=True)

    def ask(self, status, *request, error=None, **more):
        reply = self.r(*request, **more)
        self.assertEqual(reply.status, status, (request, reply.body))
        self.assertEqual(reply.headers["Docker-Distribution-Api-Version"], "registry/2.0")
        if error:
            self.assertIn(error, CODES)
            self.assertEqual(code(reply), error, reply.body)
            self.assertTrue(reply.headers["Content-Type"].startswith("application/json"))
        return reply

    def upload(self):
        return self.ask(202, "POST", "blobs/uploads/").headers["Location"]

    def put(self, text, reference=None, kind=OCI, status=201, **more):
        text = text if isinstance(text, bytes) else json.dumps(text).encode()
        reply = self.ask(status, "PUT", "manifests/" + (reference or digest(text)), body=text, headers={"Content-Type": kind} if kind else {}, **more)
        return reply, digest(text), text

    def image(self, *tags, **more):
        manifest = self.r.manifest(uuid.uuid4().hex, **more)
        for tag in tags or (None,):
            _, made, text = self.put(manifest, tag)
        return made, text

    def read(self, path, **more):
        return json.loads(self.ask(200, "GET", path, **more).body)


class Pull(Specification):
    def test_end_1_support(self):
        self.assertEqual(json.loads(self.ask(200, "GET", "/v2/").body), {})

    def test_end_2_blobs(self):
        data = os.urandom(70000)
        at = "blobs/" + self.r.push_blob(data)
        got = self.ask(200, "GET", at)
        self.assertEqual((got.body, got.headers["Docker-Content-Digest"], got.headers["Content-Length"]), (data, digest(data), "70000"))
        head = self.ask(200, "HEAD", at)
        self.assertEqual((head.body, head.headers["Docker-Content-Digest"], head.headers["Content-Length"]), (b"", digest(data), "70000"))
        self.ask(404, "GET", "blobs/" + NEVER, error="BLOB_UNKNOWN")
        self.assertEqual(self.ask(404, "HEAD", "blobs/" + NEVER).body, b"")
        self.ask(405, "PUT", at, error="UNSUPPORTED")

    def test_end_2_ranges(self):
        """RFC 9110, section 14: one range; what is no range, or several of them, is answered whole."""
        data = bytes(range(256))
        at = "blobs/" + self.r.push_blob(data)
        self.assertEqual(self.ask(200, "HEAD", at).headers["Accept-Ranges"], "bytes")
        for asked, begin, end in (("0-0", 0, 1), ("255-255", 255, 256), ("10-", 10, 256), ("-1", 255, 256), ("-9999", 0, 256), ("250-300", 250, 256)):
            got = self.ask(206, "GET", at, headers={"Range": "bytes=" + asked})
            self.assertEqual((got.body, got.headers["Content-Range"], got.headers["Content-Length"]),
                             (data[begin:end], f"bytes {begin}-{end - 1}/256", str(end - begin)))
        for asked in ("bytes=256-", "bytes=-0", "bytes=999-1000"):
            self.assertEqual(self.ask(416, "GET", at, headers={"Range": asked}, error="SIZE_INVALID").headers["Content-Range"], "bytes */256")
        for asked in ("bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "items=0-1", "0-1"):
            self.assertEqual(self.ask(200, "GET", at, headers={"Range": asked}).body, data)
        at = "blobs/" + self.r.push_blob(b"")
        self.ask(416, "GET", at, headers={"Range": "bytes=0-"})

    def test_end_3_manifests(self):
        """The very bytes come back, whatever their spelling, with their type and without its parameters."""
        manifest = self.r.manifest(uuid.uuid4().hex)
        text = b" \n" + json.dumps(manifest, indent=7, sort_keys=True).encode() + b"\n\n"
        self.put(text, "v1", OCI + "; charset=utf-8")
        for reference in ("v1", digest(text)):
            got = self.ask(200, "GET", "manifests/" + reference)
            self.assertEqual((got.body, got.headers["Content-Type"], got.headers["Docker-Content-Digest"]), (text, OCI, digest(text)))
            head = self.ask(200, "HEAD", "manifests/" + reference)
            self.assertEqual((head.body, head.headers["Content-Length"], head.headers["Docker-Content-Digest"], head.headers["Content-Type"]),
                             (b"", str(len(text)), digest(text), OCI))
        for reference in ("v2", NEVER):
            self.ask(404, "GET", "manifests/" + reference, error="MANIFEST_UNKNOWN")
            self.assertEqual(self.ask(404, "HEAD", "manifests/" + reference).body, b"")
        self.ask(400, "GET", "manifests/sha256:12", error="DIGEST_INVALID")
        self.ask(404, "GET", "manifests/" + "x" * 129, error="MANIFEST_UNKNOWN")
        self.ask(405, "POST", "manifests/v1", error="UNSUPPORTED")

    def test_repository_that_is_not_there(self):
        there = f"/v2/{self.name}-not/"
        for method, path in (("GET", "manifests/v"), ("GET", "manifests/" + NEVER), ("GET", "blobs/" + NEVER), ("GET", "tags/list"), ("GET", "referrers/" + NEVER),
                             ("POST", "blobs/uploads/"), ("PUT", "manifests/v"), ("DELETE", "manifests/" + NEVER), ("DELETE", "blobs/" + NEVER)):
            self.ask(404, method, there + path, error="NAME_UNKNOWN")
        self.ask(404, "HEAD", there + "manifests/v")

    def test_names(self):
        """Words of the paths may be parts of a name."""
        for name in (f"{self.name}/blobs/x", f"{self.name}/manifests", f"{self.name}/tags/list", f"{self.name}/a__b.c---d", f"{self.name}/blobs/uploads"):
            self.repository(name)
            made = Registry(self.ecr, ENDPOINT, name)
            self.assertEqual(made("GET", "blobs/" + made.push_blob(name.encode())).body, name.encode())
            self.assertEqual(made.push_manifest(made.manifest(name), "v")[0].status, 201)
            self.assertEqual(json.loads(made("GET", "tags/list").body), {"name": name, "tags": ["v"]})
        for name in ("Upper", "a/", "a//b", "-a", "a-", "a___b", "a..b", "a b"):
            self.ask(400, "GET", f"/v2/{urllib.parse.quote(name)}/tags/list", error="NAME_INVALID")

    def test_accept(self):
        """By tag, what the client cannot read is said in the format that it can, as ECR does; by digest and to who takes anything it comes as it is."""
        config, layer = self.r.push_blob(b'{"architecture":"amd64","os":"linux"}'), self.r.push_blob(b"layer")
        names = {OCI: (CONFIG, LAYER), DOCKER: (DOCKER_CONFIG, DOCKER_LAYER)}

        def spelled(kind):
            one, other = names[kind]
            return {"schemaVersion": 2, "mediaType": kind, "config": {"mediaType": one, "digest": config, "size": 37},
                    "layers": [{"mediaType": other, "digest": layer, "size": 5, "annotations": {"k": "v"}}], "annotations": {"n": "1.50"}}
        for kind, other in ((OCI, DOCKER), (DOCKER, OCI)):
            tag = "docker" if kind == DOCKER else "oci"
            _, made, text = self.put(spelled(kind), tag, kind)
            for accept in (kind, other + ", " + kind, "*/*", f"text/html, {kind.upper()};q=0.5", "application/*", "text/plain", None):
                got = self.ask(200, "GET", "manifests/" + tag, headers={"Accept": accept} if accept else {})
                self.assertEqual((got.body, got.headers["Content-Type"], got.headers["Docker-Content-Digest"]), (text, kind, made), accept)
            got = self.ask(200, "GET", "manifests/" + made, headers={"Accept": other})
            self.assertEqual((got.body, got.headers["Content-Type"]), (text, kind))
            got = self.ask(200, "GET", "manifests/" + tag, headers={"Accept": INDEX + "," + other})
            self.assertEqual((json.loads(got.body), got.headers["Content-Type"]), (spelled(other), other))
            self.assertEqual(got.headers["Docker-Content-Digest"], digest(got.body))
            head = self.ask(200, "HEAD", "manifests/" + tag, headers={"Accept": other})
            self.assertEqual((head.headers["Docker-Content-Digest"], head.headers["Content-Length"]), (digest(got.body), str(len(got.body))))
            image, = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[{"imageTag": tag}], acceptedMediaTypes=[other])["images"]
            self.assertEqual((image["imageManifest"].encode(), image["imageManifestMediaType"], image["imageId"]["imageDigest"]), (got.body, other, made))
            for more in ({"acceptedMediaTypes": [kind, other]}, {}):
                image, = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[{"imageTag": tag}], **more)["images"]
                self.assertEqual((image["imageManifest"].encode(), image["imageManifestMediaType"]), (text, kind))

    def test_accept_over_several_lines(self):
        """As Docker and skopeo send it."""
        made, _ = self.image("v")
        connection = http.client.HTTPConnection(self.r.netloc, timeout=60)
        self.addCleanup(connection.close)
        connection.putrequest("HEAD", f"/v2/{self.name}/manifests/v")
        for name, value in (("Authorization", self.r.authorization), ("Accept", DOCKER), ("Accept", INDEX), ("Accept", OCI)):
            connection.putheader(name, value)
        connection.endheaders()
        self.assertEqual(connection.getresponse().headers["Docker-Content-Digest"], made)

    def test_accept_without_words(self):
        """What Docker's format cannot say comes as it is: an artifact, a layer in zstd, one that is about another."""
        empty = self.r.descriptor(b"{}", EMPTY)
        good = self.r.manifest(uuid.uuid4().hex)
        zstd = {**good, "layers": [{**good["layers"][0], "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}]}
        about = {**good, "subject": {"mediaType": OCI, "digest": NEVER, "size": 1}}
        for manifest in ({**good, "config": empty, "artifactType": "x/y"}, zstd, about):
            _, made, _ = self.put(manifest, "v")
            self.assertEqual(self.ask(200, "GET", "manifests/v", headers={"Accept": DOCKER}).headers["Docker-Content-Digest"], made)


class PushBlobs(Specification):
    def test_end_4a_and_6_post_then_put(self):
        data = os.urandom(1000)
        reply = self.ask(202, "POST", "blobs/uploads/")
        at = reply.headers["Location"]
        self.assertRegex(at, f"/v2/{self.name}/blobs/uploads/{UUID}")
        self.assertEqual(reply.headers["Docker-Upload-UUID"], at.rsplit("/", 1)[1])
        self.assertNotEqual(self.upload(), at)
        reply = self.ask(201, "PUT", at, body=data, digest=digest(data), headers={"Content-Type": "application/octet-stream"})
        self.assertEqual(self.ask(200, "GET", reply.headers["Location"]).body, data)
        self.ask(404, "PUT", at, body=data, digest=digest(data), error="BLOB_UPLOAD_UNKNOWN")
        # the same again, from the start, is no error
        self.ask(201, "PUT", self.upload(), body=data, digest=digest(data))

    def test_end_4b_single_post(self):
        data = os.urandom(1000)
        reply = self.ask(201, "POST", "blobs/uploads/", body=data, digest=digest(data))
        self.assertEqual(self.ask(200, "GET", reply.headers["Location"]).body, data)
        self.ask(400, "POST", "blobs/uploads/", body=data, digest=NEVER, error="DIGEST_INVALID")
        self.ask(404, "GET", "blobs/" + NEVER)

    def test_end_4c_algorithms(self):
        self.ask(202, "POST", "blobs/uploads/?digest-algorithm=sha256")
        self.ask(400, "POST", "blobs/uploads/?digest-algorithm=sha512", error="DIGEST_INVALID")
        for bad in ("sha512:" + "0" * 128, "sha256:" + "G" * 64, "sha256:" + "A" * 64, "sha256", ""):
            self.ask(400, "PUT", self.upload(), body=b"x", digest=bad, error="DIGEST_INVALID")
        self.ask(400, "PUT", self.upload(), body=b"x", error="DIGEST_INVALID")

    def test_end_5_chunks(self):
        parts = [os.urandom(300000), os.urandom(7), os.urandom(300000)]
        at, sent = self.upload(), 0
        for part in parts[:2]:
            reply = self.ask(202, "PATCH", at, body=part, headers={"Content-Range": f"{sent}-{sent + len(part) - 1}", "Content-Type": "application/octet-stream"})
            sent += len(part)
            at = reply.headers["Location"]
            self.assertEqual(reply.headers["Range"], f"0-{sent - 1}")
        # out of order, in the middle and at the end: 416, and the upload is where it was
        for method, more in (("PATCH", {}), ("PUT", {"digest": digest(b"".join(parts))})):
            for begin in (0, sent - 1, sent + 1):
                self.ask(416, method, at, body=b"12345", headers={"Content-Range": f"{begin}-{begin + 4}"}, error="BLOB_UPLOAD_INVALID", **more)
                self.assertEqual(self.ask(204, "GET", at).headers["Range"], f"0-{sent - 1}")
        self.ask(400, "PATCH", at, body=b"1", headers={"Content-Range": "x"}, error="BLOB_UPLOAD_INVALID")
        reply = self.ask(201, "PUT", at, body=parts[2], headers={"Content-Range": f"{sent}-{sent + len(parts[2]) - 1}"}, digest=digest(b"".join(parts)))
        self.assertEqual(self.ask(200, "GET", reply.headers["Location"]).body, b"".join(parts))

    def test_end_5_first_chunk_begins_with_zero(self):
        at = self.upload()
        self.ask(416, "PATCH", at, body=b"12345", headers={"Content-Range": "1-5"}, error="BLOB_UPLOAD_INVALID")
        self.ask(202, "PATCH", at, body=b"12345", headers={"Content-Range": "0-4"})
        self.ask(201, "PUT", at, digest=digest(b"12345"))

    def test_end_5_stream(self):
        """One PATCH of unknown length, in HTTP's own chunks."""
        at = self.upload()
        reply = self.ask(202, "PATCH", at, body=iter([b"one ", b"two ", b"three"]))
        self.assertEqual(reply.headers["Range"], "0-12")
        self.ask(201, "PUT", at, digest=digest(b"one two three"))

    def test_end_6_wrong_digest(self):
        at = self.upload()
        self.ask(202, "PATCH", at, body=b"data")
        self.ask(400, "PUT", at, digest=NEVER, error="DIGEST_INVALID")
        self.ask(404, "GET", at, error="BLOB_UPLOAD_UNKNOWN")
        self.ask(404, "HEAD", "blobs/" + NEVER)

    def test_end_11_mount(self):
        data, other = os.urandom(100), self.name + "-from"
        self.repository(other)
        made = Registry(self.ecr, ENDPOINT, other).push_blob(data)
        for more in ({}, {"from_": self.name + "-not"}, {"from_": "No Name"}):
            reply = self.ask(202, "POST", "blobs/uploads/", mount=made, **more)
            self.assertRegex(reply.headers["Location"], UUID)
            self.ask(404, "HEAD", "blobs/" + made)
        self.ask(202, "POST", "blobs/uploads/", mount=NEVER, from_=other)
        reply = self.ask(201, "POST", "blobs/uploads/", mount=made, from_=other)
        self.assertEqual(self.ask(200, "GET", reply.headers["Location"]).body, data)
        self.assertEqual(reply.headers["Docker-Content-Digest"], made)
        self.ask(201, "POST", "blobs/uploads/", mount=made, from_=self.name)

    def test_end_13_and_14_status_and_cancel(self):
        at = self.upload()
        reply = self.ask(204, "GET", at)
        self.assertEqual((reply.headers["Location"], reply.headers["Range"]), (at, "0-0"))
        self.ask(202, "PATCH", at, body=b"12345")
        self.assertEqual(self.ask(204, "GET", at).headers["Range"], "0-4")
        self.ask(204, "DELETE", at)
        for method in ("GET", "DELETE", "PATCH", "PUT"):
            self.ask(404, method, at, body=b"x" if method[0] == "P" else None, error="BLOB_UPLOAD_UNKNOWN")
        self.ask(405, "POST", at, error="UNSUPPORTED")
        self.ask(405, "GET", "blobs/uploads/", error="UNSUPPORTED")


class PushManifests(Specification):
    def test_end_7_by_tag_and_digest(self):
        manifest = self.r.manifest(uuid.uuid4().hex)
        for reference in (None, "v1", "_", "A.b-c_9", "9" * 128):
            reply, made, text = self.put(manifest, reference)
            self.assertEqual(reply.headers["Docker-Content-Digest"], made)
            self.assertEqual(self.ask(200, "GET", reply.headers["Location"]).body, text)
            self.assertIsNone(reply.headers["OCI-Subject"])
        # tags as parameters are a choice that ECR has not made
        self.assertIsNone(self.put(manifest, made, tag="by-parameter")[0].headers["OCI-Tag"])
        self.ask(404, "GET", "manifests/by-parameter")
        for tag in (".x", "-x", "x" * 129, "a%20b"):
            self.ask(400, "PUT", "manifests/" + tag, body=text, headers={"Content-Type": OCI}, error="TAG_INVALID")
        self.ask(400, "PUT", "manifests/" + NEVER, body=text, headers={"Content-Type": OCI}, error="DIGEST_INVALID")
        self.ask(400, "PUT", "manifests/sha512:" + "0" * 128, body=text, headers={"Content-Type": OCI}, error="DIGEST_INVALID")

    def test_end_7_what_it_refers_to(self):
        """One error that names all that is missing, and nothing is kept. No layers at all are fine."""
        good = self.r.manifest(uuid.uuid4().hex)
        lost = [{"mediaType": LAYER, "digest": digest(b"lost%d" % n), "size": 5} for n in range(2)]
        reply = self.ask(404, "PUT", "manifests/v", body=json.dumps({**good, "layers": good["layers"] + lost}), headers={"Content-Type": OCI},
                         error="MANIFEST_BLOB_UNKNOWN")
        for one in lost:
            self.assertIn(one["digest"], reply.body.decode())
        self.ask(404, "PUT", "manifests/v", body=json.dumps({**good, "config": {**good["config"], "digest": NEVER}}), headers={"Content-Type": OCI},
                 error="MANIFEST_BLOB_UNKNOWN")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": OCI, "digest": NEVER, "size": 7}]}
        self.ask(404, "PUT", "manifests/v", body=json.dumps(index), headers={"Content-Type": INDEX}, error="MANIFEST_BLOB_UNKNOWN")
        self.ask(404, "GET", "manifests/v")
        self.put({**good, "layers": []}, "none")
        self.put({**index, "manifests": []}, "no-images", INDEX)
        # a blob of another repository is not here
        other = Registry(self.ecr, ENDPOINT, self.name + "-other")
        self.repository(other.name)
        self.assertEqual(code(other("PUT", "manifests/v", body=json.dumps(good), headers={"Content-Type": OCI})), "MANIFEST_BLOB_UNKNOWN")

    def test_end_7_types(self):
        """The body's type and the request's are the same; one of them is enough."""
        good = self.r.manifest(uuid.uuid4().hex)
        untyped = {k: v for k, v in good.items() if k != "mediaType"}
        self.put(good, "body", kind=None)
        self.put(untyped, "header")
        self.assertEqual(self.ask(200, "GET", "manifests/header").headers["Content-Type"], OCI)
        self.put({**good, "mediaType": DOCKER}, "docker", DOCKER)
        for body, kind in ((untyped, None), (good, DOCKER), (good, "application/json"), (untyped, "text/plain"), (good, INDEX),
                           ({**good, "schemaVersion": 1}, OCI), ({**good, "config": "x"}, OCI), ({**good, "layers": None}, OCI)):
            self.ask(400, "PUT", "manifests/v", body=json.dumps(body), headers={"Content-Type": kind} if kind else {}, error="MANIFEST_INVALID")
        for body in (b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"schemaVersion":2}'):
            self.ask(400, "PUT", "manifests/v", body=body, headers={"Content-Type": OCI}, error="MANIFEST_INVALID")

    def test_end_7_size(self):
        """Four mebibytes are taken, and not a byte more."""
        text = json.dumps(self.r.manifest(uuid.uuid4().hex)).encode()
        text += b" " * ((4 << 20) - len(text))
        self.put(text, "large")
        self.assertEqual(self.ask(200, "GET", "manifests/large").body, text)
        self.ask(413, "PUT", "manifests/larger", body=text + b" ", headers={"Content-Type": OCI}, error="MANIFEST_INVALID")
        self.ask(404, "GET", "manifests/larger")

    def test_conditions(self):
        """RFC 9110, section 13: what a client has is not sent again, and a tag is not moved that somebody else has moved meanwhile."""
        first, text = self.image("v")
        second, other = self.image()
        tag = self.ask(200, "GET", "manifests/v").headers["ETag"]
        self.assertEqual(tag, f'"{first}"')
        config = json.loads(text)["config"]["digest"]
        for path, etag in (("manifests/v", tag), ("manifests/" + first, tag), ("blobs/" + config, f'"{config}"')):
            for method in ("GET", "HEAD"):
                for has in (etag, "*", f'"x", W/{etag}'):
                    reply = self.ask(304, method, path, headers={"If-None-Match": has})
                    self.assertEqual((reply.body, reply.headers["ETag"]), (b"", etag))
                self.ask(200, method, path, headers={"If-None-Match": '"x"'})
        put = lambda status, at="v", **headers: self.ask(status, "PUT", "manifests/" + at, body=other, headers={
            "Content-Type": OCI, **{k.replace("_", "-"): v for k, v in headers.items()}}, error=None if status == 201 else "MANIFEST_INVALID")
        put(412, If_Match=f'"{second}"')
        put(412, If_None_Match="*")
        put(412, If_None_Match=tag)
        put(412, "new", If_Match="*")
        self.assertEqual(self.ask(200, "GET", "manifests/v").headers["ETag"], tag)
        self.ask(404, "GET", "manifests/new")
        put(201, If_Match=tag)
        self.assertEqual(self.ask(200, "GET", "manifests/v").headers["Docker-Content-Digest"], second)
        put(201, "new", If_None_Match="*")

    def test_subject(self):
        """It need not be there; that it was understood is said."""
        subject = {"mediaType": OCI, "digest": digest(self.name.encode()), "size": 9}
        reply, _, _ = self.put(self.r.manifest(uuid.uuid4().hex, subject=subject))
        self.assertEqual(reply.headers["OCI-Subject"], subject["digest"])
        # the same again: it is as it was
        made, text = self.image(subject=subject)
        self.assertEqual(self.put(text)[0].headers["OCI-Subject"], subject["digest"])
        self.assertEqual(len(self.read("referrers/" + subject["digest"])["manifests"]), 2)
        for bad in ({}, {**subject, "digest": "x"}, "x"):
            self.put(self.r.manifest(made, subject=bad), "bad", status=400)


class Discovery(Specification):
    def test_end_8_tags(self):
        self.assertEqual(self.read("tags/list"), {"name": self.name, "tags": []})
        tags = ["B", "Z", "_", "a", "b", "b-1", "b.1"]
        _, text = self.image("b")
        for tag in tags:
            self.put(text, tag)
        want = sorted(tags)  # as bytes
        self.assertEqual(self.read("tags/list")["tags"], want)
        for n in (0, 1, 3, len(tags), 1000):
            reply = self.ask(200, "GET", "tags/list", n=n)
            self.assertEqual(json.loads(reply.body)["tags"], want[:n])
            self.assertEqual(reply.headers["Link"] is not None, 0 < n < len(tags))
        for last in ("", "Z", "Zz", "b.1", "zz"):
            after = [t for t in want if t > last]
            self.assertEqual(self.read("tags/list", last=last)["tags"], after)
            self.assertEqual(self.read("tags/list", last=last, n=2)["tags"], after[:2])
        seen, at = [], "tags/list?n=3"
        while at:
            reply = self.ask(200, "GET", at)
            seen += json.loads(reply.body)["tags"]
            link = reply.headers["Link"]
            at = link and re.fullmatch('<(.*)>; rel="next"', link)[1]
        self.assertEqual(seen, want)
        for bad in ("-1", "x", "1.5"):
            self.ask(400, "GET", "tags/list", n=bad, error="UNSUPPORTED")
        self.ask(405, "DELETE", "tags/list", error="UNSUPPORTED")

    def test_end_12_referrers(self):
        subject, text = self.image("app")
        about = {"mediaType": OCI, "digest": subject, "size": len(text)}
        none = self.ask(200, "GET", "referrers/" + NEVER)
        self.assertEqual((json.loads(none.body), none.headers["Content-Type"]), ({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, INDEX))
        empty, notes = self.r.descriptor(b"{}", EMPTY), {"org.example.n": "é\"1"}
        want = {}
        for manifest, kind, shown in (
                ({"mediaType": OCI, "config": empty, "layers": [empty], "artifactType": "x/sbom", "annotations": notes}, OCI, "x/sbom"),
                ({"mediaType": OCI, "config": {**empty, "mediaType": "x/config"}, "layers": []}, OCI, "x/config"),  # of the configuration
                ({"mediaType": OCI, "config": {**empty, "mediaType": "x/config"}, "layers": [], "artifactType": ""}, OCI, "x/config"),
                ({"mediaType": INDEX, "manifests": [], "artifactType": "x/sbom"}, INDEX, "x/sbom"),
                ({"mediaType": INDEX, "manifests": []}, INDEX, None),  # an index has no configuration
                ({"mediaType": INDEX, "manifests": [], "artifactType": ""}, INDEX, None)):
            manifest = {"schemaVersion": 2, **manifest, "subject": about}
            reply, made, text = self.put(manifest, kind=kind)
            self.assertEqual(reply.headers["OCI-Subject"], subject)
            want[made] = {"mediaType": kind, "digest": made, "size": len(text)}
            if shown:
                want[made]["artifactType"] = shown
            if "annotations" in manifest:
                want[made]["annotations"] = notes
        reply = self.ask(200, "GET", "referrers/" + subject)
        self.assertIsNone(reply.headers["OCI-Filters-Applied"])
        self.assertEqual({d["digest"]: d for d in json.loads(reply.body)["manifests"]}, want)
        for kind in ("x/sbom", "x/config", "x/none"):
            reply = self.ask(200, "GET", "referrers/" + subject, artifactType=kind)
            self.assertEqual(reply.headers["OCI-Filters-Applied"], "artifactType")
            self.assertEqual({d["digest"] for d in json.loads(reply.body)["manifests"]}, {k for k, d in want.items() if d.get("artifactType") == kind})
        for bad in ("sha256:x", "tag", "sha512:" + "0" * 128):
            self.ask(400, "GET", "referrers/" + bad, error="DIGEST_INVALID")
        # what they are about goes: they are still listed
        self.ask(202, "DELETE", "manifests/" + subject)
        self.assertEqual(len(self.read("referrers/" + subject)["manifests"]), len(want))

    def test_referrers_tag(self):
        """The tag that clients of registries without the API keep: here a tag as any other, and the API answers without it."""
        subject, text = self.image("app")
        artifact, raw = self.image(subject={"mediaType": OCI, "digest": subject, "size": len(text)})
        tag = subject.replace(":", "-")
        self.ask(404, "GET", "manifests/" + tag, error="MANIFEST_UNKNOWN")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": OCI, "digest": artifact, "size": len(raw)}]}
        self.put(index, tag, INDEX)
        self.assertEqual(self.read("manifests/" + tag), index)
        self.assertEqual([d["digest"] for d in self.read("referrers/" + subject)["manifests"]], [artifact])


class Management(Specification):
    def test_end_9_tags(self):
        made, _ = self.image("one", "two")
        self.ask(202, "DELETE", "manifests/one")
        self.ask(404, "GET", "manifests/one", error="MANIFEST_UNKNOWN")
        self.ask(404, "DELETE", "manifests/one", error="MANIFEST_UNKNOWN")
        for reference in ("two", made):
            self.ask(200, "GET", "manifests/" + reference)
        self.assertEqual(self.read("tags/list")["tags"], ["two"])

    def test_end_9_manifests(self):
        made, text = self.image("one", "two")
        self.ask(202, "DELETE", "manifests/" + made)
        for reference in ("one", "two", made):
            self.ask(404, "GET", "manifests/" + reference, error="MANIFEST_UNKNOWN")
        self.ask(404, "DELETE", "manifests/" + made, error="MANIFEST_UNKNOWN")
        self.assertEqual(self.read("tags/list")["tags"], [])
        # its blobs are there for a while: the same image comes back by its manifest alone
        self.put(text, "again")

    def test_end_9_referrer(self):
        subject, text = self.image("app")
        artifact, _ = self.image(subject={"mediaType": OCI, "digest": subject, "size": len(text)})
        self.ask(202, "DELETE", "manifests/" + artifact)
        self.assertEqual(self.read("referrers/" + subject)["manifests"], [])
        self.ask(200, "GET", "manifests/" + subject)

    def test_end_9_part_of_an_index(self):
        """ECR's way: not before its index."""
        part, text = self.image("part")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": OCI, "digest": part, "size": len(text)}]}
        _, whole, _ = self.put(index, kind=INDEX)
        self.ask(405, "DELETE", "manifests/" + part, error="DENIED")
        self.ask(202, "DELETE", "manifests/part")  # the tag may go
        self.ask(202, "DELETE", "manifests/" + whole)
        self.ask(202, "DELETE", "manifests/" + part)

    def test_end_10_blobs(self):
        made = self.r.push_blob(uuid.uuid4().bytes)
        self.ask(202, "DELETE", "blobs/" + made)
        self.ask(404, "GET", "blobs/" + made, error="BLOB_UNKNOWN")
        self.ask(404, "DELETE", "blobs/" + made, error="BLOB_UNKNOWN")
        self.ask(400, "DELETE", "blobs/sha256:x", error="DIGEST_INVALID")
        manifest = self.r.manifest(uuid.uuid4().hex)
        _, image, _ = self.put(manifest)
        for one in (manifest["config"], *manifest["layers"]):
            self.ask(405, "DELETE", "blobs/" + one["digest"], error="UNSUPPORTED")
            self.ask(200, "GET", "blobs/" + one["digest"])


class Authentication(Specification):
    def test_challenge(self):
        """Whatever is asked without a good password: 401 in the specification's words, with ECR's challenge."""
        made, _ = self.image("v")
        at = self.upload()
        good = self.r.authorization
        for method, path in (("GET", "/v2/"), ("GET", "manifests/v"), ("GET", "blobs/" + made), ("POST", "blobs/uploads/"), ("PATCH", at), ("PUT", at), ("GET", at),
                             ("DELETE", at), ("PUT", "manifests/v"), ("DELETE", "manifests/v"), ("DELETE", "blobs/" + made), ("GET", "tags/list"),
                             ("GET", "referrers/" + made), ("GET", "/v2/_catalog"), ("GET", "/v2/no/such/tags/list"), ("GET", "/v2/Bad/tags/list")):
            for wrong in (None, good[:-4] + "AAA=", "Bearer " + good[6:]):
                reply = self.ask(401, method, path, headers={"Authorization": wrong}, error="UNAUTHORIZED")
                self.assertRegex(reply.headers["WWW-Authenticate"], '^Basic realm="http://[^"]+/",service="ecr.amazonaws.com"$')
        reply = self.ask(401, "HEAD", "manifests/v", headers={"Authorization": None})
        self.assertIn("Basic", reply.headers["WWW-Authenticate"])
        self.assertEqual(self.ask(204, "GET", at).headers["Range"], "0-0")


if __name__ == "__main__":
    unittest.main()
