"""What a cloud that has ended may have left on the machine, found by the name of its instance and the path of its data."""
import hashlib
import os
import socket
import subprocess
import time

GROUPS = "/sys/fs/cgroup"


def instance_of(data):
    return hashlib.sha256(os.path.realpath(data).encode()).hexdigest()[:8]


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def processes(data):
    """Every process of the cloud: by its arguments, or by the control group that it is in. The program's own tests are none."""
    found, group = {}, b"quartet-" + instance_of(data).encode()
    place = data.encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        args = _read(f"/proc/{entry}/cmdline").split(b"\0")
        ours = os.path.basename(args[0]) == b"quartet" and place in args[1:]
        if not ours and group not in _read(f"/proc/{entry}/cgroup"):
            continue
        state = _read(f"/proc/{entry}/stat").rpartition(b")")[2].split()
        if state and state[0] != b"Z":
            found[int(entry)] = b" ".join(args[:4]).decode(errors="replace")
    return found


def mounts(data):
    """Mounts in any process's namespace that lie in the data directory or come from it."""
    found, seen = [], set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            space = os.readlink(f"/proc/{entry}/ns/mnt")
        except OSError:
            continue
        if space in seen:
            continue
        seen.add(space)
        found += [f"mount of process {entry}: {line}" for line in _read(f"/proc/{entry}/mountinfo").decode(errors="replace").splitlines()
                  if data + "/" in line or data + " " in line]
    return found


def _everything(data):
    name = instance_of(data)
    left = [f"process {pid}: {what}" for pid, what in processes(data).items()]
    left += mounts(data)
    for place, folders, _ in os.walk(GROUPS):
        left += [f"control group {os.path.join(place, f)}" for f in folders if name in f]
    left += [f"link {n}" for _, n in socket.if_nameindex() if n.startswith(f"qt{name}-")]
    nft = subprocess.run(["/usr/sbin/nft", "list", "tables"], capture_output=True, text=True)
    left += [f"nftables: {line}" for line in nft.stdout.splitlines() if name in line]
    return left


def leftovers(data, seconds=0.0):
    """A line for everything that is left; waits up to `seconds` for it to go. Empty is good."""
    data = os.path.realpath(data)
    until = time.monotonic() + seconds
    while True:
        left = _everything(data)
        if not left or time.monotonic() >= until:
            return left
        time.sleep(0.02)


def unfinished_files(data):
    """Files of the data directory that are the beginning of something: content under a temporary name, trash, half-unpacked code."""
    left = []
    for place, _, files in os.walk(data):
        below = os.path.relpath(place, data)
        top = below.split(os.sep)[0]
        for f in files:
            if top == "trash" or (top in ("blobs", "lambda", "logs") and (f.startswith(".") or f.endswith((".tmp", ".part", ".new")))):
                left.append(os.path.join(below, f))
    return left


def blobs(data):
    """Ids of the content files."""
    found = set()
    top = os.path.join(data, "blobs")
    for folder in os.listdir(top) if os.path.isdir(top) else []:
        found |= {folder + f for f in os.listdir(os.path.join(top, folder)) if not f.startswith(".")}
    return found
