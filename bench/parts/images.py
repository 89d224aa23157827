"""The registry: one large layer in and out, next to what a person would do by hand with a file."""
import base64
import hashlib
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
