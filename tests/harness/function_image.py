"""Images for functions: a busybox and a program that speaks the Runtime API, layers of any files, and how they are pushed."""
import gzip
import io
import json
import pathlib
import tarfile
import time

from cloud import program
from registry import CONFIG, LAYER, OCI, digest

# Answers every event with what it was given. Every line is a process or two: it is slow and needs nothing but busybox.
SHELL_RUNTIME = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while wget -q -S -O /tmp/.event "$api/next" 2>/tmp/.head; do
	id=$(sed -n 's/.*Lambda-Runtime-Aws-Request-Id: *//Ip' /tmp/.head | tr -d '\\r')
	wget -q -O /dev/null --post-file=/tmp/.event "$api/$id/response"
done
"""
BUSYBOX = "/usr/bin/busybox"
COMMANDS = ("sh", "wget", "sed", "tr", "cat", "id", "ls", "mount", "env", "touch", "pwd", "sleep", "mkdir", "mknod", "stat", "ps", "readlink", "find", "nc", "true", "dd")


def why_not():
    """Why functions from images cannot be tested here; empty: they can."""
    if not pathlib.Path(BUSYBOX).exists() or b"ld-linux" in pathlib.Path(BUSYBOX).read_bytes()[:4096]:
        return "there is no static busybox"
    return ""


def layer(files):
    """A tar of {path: bytes, (bytes, mode), "link target", or None for a directory}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, what in files.items():
            entry = tarfile.TarInfo(path)
            data, mode = what if isinstance(what, tuple) else (what, 0o755)
            entry.mode = mode
            if isinstance(data, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, data
            elif data is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data) if isinstance(data, bytes) else None)
    return out.getvalue()


def base(**more):
    """The files of an image whose /runtime runs the commands that events bring, see event()."""
    runtime = pathlib.Path(program()).parent / "tests" / "tools" / "function-runtime"
    files = {"bin": None, "bin/busybox": pathlib.Path(BUSYBOX).read_bytes(), "runtime": runtime.read_bytes(), "etc": None, "etc/who": b"lower"}
    files.update({"bin/" + name: "busybox" for name in COMMANDS})
    files.update(more)
    return files


def push(registry, layers, tag, architecture="amd64", os="linux", **run):
    """Pushes an image of these layers (tars); run: Entrypoint, Cmd, Env, WorkingDir. Returns the manifest's digest."""
    config = {"architecture": architecture, "os": os, "config": run, "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": OCI, "config": registry.descriptor(json.dumps(config).encode(), CONFIG),
                "layers": [registry.descriptor(gzip.compress(one, 1, mtime=0), LAYER) for one in layers]}
    reply, made, _ = registry.push_manifest(manifest, tag)
    assert reply.status == 201, (reply.status, reply.body)
    return made


def active(aws, name, seconds=90):
    """Waits until a function is what it is to be; returns its configuration."""
    until = time.monotonic() + seconds
    while True:
        found = aws.get_function_configuration(FunctionName=name)
        if (found["State"] != "Pending" and found.get("LastUpdateStatus") != "InProgress") or time.monotonic() > until:
            return found
        time.sleep(0.05)


def event(command):
    return json.dumps({"sh": command.encode().hex()}).encode()


def answer(payload):
    return bytes.fromhex(json.loads(payload)["out"]).decode()
