"""The registry: one large layer in and out, next to what a person would do by hand with a file."""
import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time

from parts.objects import copy, read
from parts.tools import Skip, median

MIB = 512


def layers(bench):
    """Push and pull of a layer of 512 MiB, next to cp, fsync and sha256sum"""
    if not shutil.which("curl"):
        raise Skip("no curl")
    pushes, pulls, copies, reads = [], [], [], []
    scratch = tempfile.mkdtemp(prefix="quartet-bench-")
    try:
        source = os.path.join(scratch, "layer")
        with bench.cloud() as cloud:
            ecr = cloud.client("ecr")
            token = base64.b64decode(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]).decode()
            for n in range(bench.rounds):
                bench.round(n)
                digest = make(source)  # every round its own: what is there already is not written again
                ecr.create_repository(repositoryName=f"bench{n}")
                at = f"http://127.0.0.1:{cloud.port}/v2/bench{n}/blobs/"
                copies.append(copy(source, source + ".copy") + hash_of(source))
                pushes.append(curl("-u", token, "-X", "POST", "-T", source, f"{at}uploads?digest={digest}"))
                reads.append(read(source))
                pulls.append(curl("-u", token, "-o", "/dev/null", at + digest))
                ecr.delete_repository(repositoryName=f"bench{n}", force=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    bench.add("ECR: push of a layer of 512 MiB, verified and durable", median(pushes), "s", peer="cp, fsync, sha256sum", peer_value=median(copies),
              note=f"{MIB / median(pushes):,.0f} MiB/s; curl")
    bench.add("ECR: pull of it", median(pulls), "s", peer="cat to /dev/null", peer_value=median(reads), note=f"{MIB / median(pulls):,.0f} MiB/s; curl")


def skopeo(bench):
    """Push and pull of an image of 512 MiB by skopeo, next to copying and hashing the file"""
    if not shutil.which("skopeo"):
        raise Skip("no skopeo")
    pushes, pulls, copies = [], [], []
    scratch = tempfile.mkdtemp(prefix="quartet-bench-")
    try:
        with bench.cloud() as cloud:
            ecr = cloud.client("ecr")
            token = base64.b64decode(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]).decode()
            for n in range(bench.rounds):
                bench.round(n)
                at = os.path.join(scratch, "layout")
                layer = make_layout(at)
                ecr.create_repository(repositoryName=f"bench{n}")
                image = f"docker://127.0.0.1:{cloud.port}/bench{n}:1"
                copies.append(copy(layer, os.path.join(scratch, "copy")) + hash_of(layer))
                pushes.append(copy_image("--dest-tls-verify=false", "--dest-creds", token, f"oci:{at}:1", image))
                pulls.append(copy_image("--src-tls-verify=false", "--src-creds", token, image, "dir:" + os.path.join(scratch, "pulled")))
                for made in (at, os.path.join(scratch, "pulled")):
                    shutil.rmtree(made)
                ecr.delete_repository(repositoryName=f"bench{n}", force=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for what, times in (("push of an image of 512 MiB", pushes), ("pull of it", pulls)):
        bench.add(f"ECR: {what}, skopeo", median(times), "s", peer="cp, fsync, sha256sum", peer_value=median(copies), note=f"{MIB / median(times):,.0f} MiB/s")


def make_layout(path):
    """An OCI layout of one layer, which is gzip's format without compression, so that nobody's speed of that is measured. The layer's path."""
    blobs = os.path.join(path, "blobs", "sha256")
    os.makedirs(blobs)
    layer, block, plain = os.path.join(path, "layer"), os.urandom(1 << 20), hashlib.sha256()
    with gzip.open(layer, "wb", compresslevel=0) as f:
        for _ in range(MIB):
            f.write(block)
            plain.update(block)
    with open(layer, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    size = os.path.getsize(layer)
    os.rename(layer, os.path.join(blobs, digest))

    def add(kind, value):
        text = json.dumps(value).encode()
        name = hashlib.sha256(text).hexdigest()
        with open(os.path.join(blobs, name), "wb") as f:
            f.write(text)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": "sha256:" + name, "size": len(text)}
    config = add("config.v1+json", {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + plain.hexdigest()]}})
    manifest = add("manifest.v1+json", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + digest, "size": size}]})
    for name, value in (("index.json", {"schemaVersion": 2, "manifests": [{**manifest, "annotations": {"org.opencontainers.image.ref.name": "1"}}]}),
                        ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        with open(os.path.join(path, name), "w", encoding="utf-8") as f:
            json.dump(value, f)
    return os.path.join(blobs, digest)


def copy_image(*arguments):
    begin = time.perf_counter()
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def make(path):
    block, h = os.urandom(1 << 20), hashlib.sha256()
    with open(path, "wb") as f:
        for _ in range(MIB):
            f.write(block)
            h.update(block)
        f.flush()
        os.fsync(f.fileno())
    return "sha256:" + h.hexdigest()


def hash_of(path):
    begin = time.perf_counter()
    subprocess.run(["sha256sum", path], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def curl(*arguments):
    begin = time.perf_counter()
    subprocess.run(["curl", "-sS", "-f", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin
