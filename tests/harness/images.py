"""The machine image that tests launch, where tools/make-image has made one."""
import os


def image(ec2):
    found = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["debian-12-*"]}])["Images"]
    return found[0]["ImageId"] if found else None


def no_containers():
    """Why instances cannot be containers here; empty: they can."""
    missing = [path for path in ("/usr/bin/qemu-storage-daemon", "/dev/fuse", "/dev/loop-control") if not os.path.exists(path)]
    if not any(os.path.exists(f"/sys/fs/cgroup/{path}") for path in ("cgroup.controllers", "unified/cgroup.procs")):
        missing.append("control groups of version 2")
    return f"there is no {', no '.join(missing)}" if missing else ""
