"""Images of this cloud's registry as directories that overlayfs takes: pulled once, a layer each, checked by digest, whiteouts as overlayfs has them."""
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import threading

ACCEPT = ", ".join(("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"))
NAME = re.compile(r"(?:(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com|localhost(?::\d+)?)|(?:localhost|127\.0\.0\.1)(?::\d+)?)/"
                  r"(?P<repository>[a-z0-9._/-]+)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Failed(Exception):
    pass


class Image:
    def __init__(self, digest, config, layers):
        self.digest, self.config, self.layers = digest, config, layers  # layers: directories, the lowest first

    def saved(self):
        return {"digest": self.digest, "config": self.config, "layers": self.layers}


class Images:
    def __init__(self, place, endpoint):
        self.place, self.endpoint, self.lock = place, endpoint, threading.Lock()
        os.makedirs(f"{place}/layers", exist_ok=True)

    def get(self, client, name):
        found = NAME.fullmatch(name)
        if not found:
            raise Failed(f"CannotPullContainerError: failed to resolve ref {name}: images come from this cloud's own registry, as "
                         "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME or 127.0.0.1/NAME")
        try:
            with self.lock:
                return self._pull(client, found)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as e:
            raise Failed(f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {name}: {e}") from e
        except Exception as e:
            raise Failed(f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {name}: {e}") from e

    def _ask(self, headers, path, to=None):
        """A reply's body and headers; with `to` the body goes into that file."""
        connection = http.client.HTTPConnection(*self.endpoint, timeout=120)
        try:
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            if reply.status != 200:
                text = reply.read().decode(errors="replace")
                said = json.loads(text).get("errors", [{}])[0].get("message", "") if text.startswith("{") else text[:200]
                raise ValueError(f"status {reply.status}: {said}")
            if to:
                shutil.copyfileobj(reply, to, 1 << 20)
                return None, reply.headers
            return reply.read(), reply.headers
        finally:
            connection.close()

    def _pull(self, client, found):
        region = found["region"] or client.region
        there = type(client)(region, client.credentials)
        data = there.call("ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", {})["authorizationData"][0]
        account = found["account"] or data["proxyEndpoint"].split("//")[1].split(".")[0]
        headers = {"Authorization": f"Basic {data['authorizationToken']}", "Accept": ACCEPT}
        if account.isdigit():
            headers["Host"] = f"{account}.dkr.ecr.{region}.localhost"
        base = f"/v2/{found['repository']}"
        body, _ = self._ask(headers, f"{base}/manifests/{found['digest'] or found['tag'] or 'latest'}")
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        if found["digest"] and digest != found["digest"]:
            raise ValueError("the manifest is not what its digest says")
        manifest = json.loads(body)
        if "manifests" in manifest:
            fits = [m["digest"] for m in manifest["manifests"] if m.get("platform", {}).get("architecture") == "amd64" and m["platform"].get("os") == "linux"]
            if not fits:
                raise ValueError("no match for platform in manifest")
            body, _ = self._ask(headers, f"{base}/manifests/{fits[0]}")
            if "sha256:" + hashlib.sha256(body).hexdigest() != fits[0]:
                raise ValueError("the manifest is not what its digest says")
            manifest = json.loads(body)
        config, _ = self._ask(headers, f"{base}/blobs/{manifest['config']['digest']}")
        if "sha256:" + hashlib.sha256(config).hexdigest() != manifest["config"]["digest"]:
            raise ValueError("the configuration is not what its digest says")
        layers = [self._layer(headers, base, layer["digest"]) for layer in manifest["layers"]]
        return Image(digest, json.loads(config).get("config") or {}, layers)

    def _layer(self, headers, base, digest):
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"the digest {digest} is not of SHA-256")
        name = digest.split(":")[1]
        place, work = f"{self.place}/layers/{name}", f"{self.place}/work"
        if os.path.isdir(place):
            return place
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(f"{work}/files")
        with open(f"{work}/blob", "wb") as f:
            self._ask(headers, f"{base}/blobs/{digest}", f)
        with open(f"{work}/blob", "rb") as f:
            h = hashlib.sha256()
            while piece := f.read(1 << 20):
                h.update(piece)
        if h.hexdigest() != name:
            raise ValueError("a layer is not what its digest says")
        # Devices are made by the runtime; a container instance's root may not make them.
        done = subprocess.run(["tar", "-x", "-p", "--numeric-owner", "--exclude=dev/*", "--exclude=./dev/*", "-f", f"{work}/blob", "-C", f"{work}/files"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise ValueError(f"a layer cannot be unpacked: {done.stderr.strip()[-200:]}")
        whiteouts(f"{work}/files")
        os.rename(f"{work}/files", place)
        os.unlink(f"{work}/blob")
        return place


def whiteouts(root):
    """.wh.NAME becomes a device 0:0 called NAME, .wh..wh..opq an attribute of its directory."""
    for place, _, files in os.walk(root):
        for name in files:
            if not name.startswith(".wh."):
                continue
            os.unlink(f"{place}/{name}")
            if name == ".wh..wh..opq":
                os.setxattr(place, "user.overlay.opaque", b"y")
            elif not name.startswith(".wh..wh.") and name[4:] not in ("", ".", ".."):
                os.mknod(f"{place}/{name[4:]}", 0o20000)
