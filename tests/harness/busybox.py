"""A container image out of this machine's busybox-static, and how to push it."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

from images import no_containers
from registry import CONFIG, LAYER, OCI


def why_not():
    """Why containers cannot run here; empty: they can."""
    missing = [path for path in ("/usr/bin/crun", "/usr/bin/busybox") if not os.path.exists(path)]
    if missing:
        return f"there is no {', no '.join(missing)}"
    return no_containers()


def busybox(files=()):
    """A layer with busybox and its commands: what a container needs to have a shell. files: (name, bytes) besides."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        def add(name, data=b"", **about):
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            for key, value in about.items():
                setattr(entry, key, value)
            entry.size = len(data)
            t.addfile(entry, io.BytesIO(data))
        for d, mode in (("bin", 0o755), ("tmp", 0o1777), ("etc", 0o755), ("root", 0o700), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
            add(d, type=tarfile.DIRTYPE, mode=mode)
        with open("/usr/bin/busybox", "rb") as f:
            add("bin/busybox", f.read())
        for command in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if command != "busybox":
                add("bin/" + command, type=tarfile.SYMTYPE, linkname="busybox")
        add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1001:1002:web:/tmp:/bin/sh\n", mode=0o644)
        add("etc/group", b"root:x:0:\nweb:x:1002:\n", mode=0o644)
        for name, data in files:
            add(name, data)
    return tar.getvalue()


def push(registry, layer, tag="latest", **config):
    """The image's digest. config: members of the configuration's `config`."""
    config.setdefault("Env", ["PATH=/bin", "FROM_IMAGE=yes"])
    config.setdefault("Cmd", ["/bin/sh", "-c", "echo no command"])
    text = json.dumps({"architecture": "amd64", "os": "linux", "config": config, "history": [{"created_by": "busybox"}],
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}})
    manifest = {"schemaVersion": 2, "mediaType": OCI, "config": registry.descriptor(text.encode(), CONFIG),
                "layers": [registry.descriptor(gzip.compress(layer, 1, mtime=0), LAYER)]}
    reply, digest, _ = registry.push_manifest(manifest, tag)
    assert reply.status == 201, reply.body
    return digest
