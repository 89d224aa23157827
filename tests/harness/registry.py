"""A client of the registry that says exactly what a test wants, and small images to push."""
import base64
import hashlib
import http.client
import io
import json
import tarfile
import urllib.parse

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """Speaks to one repository; paths that begin with / are taken as they are."""

    def __init__(self, ecr, endpoint, name, host=None):
        self.netloc = urllib.parse.urlsplit(endpoint).netloc
        self.name, self.host = name, host
        self.authorization = "Basic " + ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]

    def __call__(self, method, path, body=None, headers=None, **query):
        path = path if path.startswith("/") else f"/v2/{self.name}/{path}"
        if query:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode({k.rstrip("_"): v for k, v in query.items()})
        sent = {"Authorization": self.authorization, **({"Host": self.host} if self.host else {}), **(headers or {})}
        connection = http.client.HTTPConnection(self.netloc, timeout=60)
        try:
            connection.request(method, path, body=body, headers={k: v for k, v in sent.items() if v is not None})
            reply = connection.getresponse()
            reply.body = reply.read()
            return reply
        finally:
            connection.close()

    def push_blob(self, data):
        reply = self("POST", "blobs/uploads/", body=data, digest=digest(data))
        assert reply.status == 201, (reply.status, reply.body)
        return digest(data)

    def push_manifest(self, manifest, reference=None, kind=OCI):
        text = json.dumps(manifest).encode()
        return self("PUT", "manifests/" + (reference or digest(text)), body=text, headers={"Content-Type": kind}), digest(text), text

    def descriptor(self, data, kind):
        return {"mediaType": kind, "digest": self.push_blob(data), "size": len(data)}

    def manifest(self, text="a layer", architecture="amd64", **more):
        config = json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}, "n": text})
        return {"schemaVersion": 2, "mediaType": OCI, "config": self.descriptor(config.encode(), CONFIG),
                "layers": [self.descriptor(text.encode(), LAYER)], **more}


def code(reply):
    """The code of an error as the specification has it."""
    (error,) = json.loads(reply.body)["errors"]
    assert error["message"]
    return error["code"]


def layout(path, files, tag="latest"):
    """Writes an OCI layout with one layer of these files {name: bytes}."""
    path.mkdir(parents=True)
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data):
        (blobs / digest(data)[7:]).write_bytes(data)
        return {"digest": digest(data), "size": len(data)}
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            t.addfile(entry, io.BytesIO(data))
    layer = tar.getvalue()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/true"]},
                         "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": {"mediaType": CONFIG, **add(config)},
                           "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **add(layer)}]}).encode()
    entry = {"mediaType": OCI, **add(manifest), "annotations": {"org.opencontainers.image.ref.name": tag}}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return entry["digest"]


def password(ecr):
    return base64.b64decode(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]).decode().split(":", 1)[1]
