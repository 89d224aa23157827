"""Clouds whose tasks run by another OCI runtime than the usual one."""
import os
import shutil
import tempfile

from busybox import why_not


def configuration(name, clean, more=""):
    """A configuration file that names the runtime, with more lines; clean: addCleanup or addClassCleanup."""
    place = tempfile.mkdtemp(prefix="quartet-runtime-")
    clean(shutil.rmtree, place, True)
    os.chmod(place, 0o755)
    path = os.path.join(place, "quartet.conf")
    with open(path, "w") as f:
        f.write(f"[containers]\nruntime = {name}\n{more}\n")
    return path


def needs(name):
    """Why it cannot be tried here; empty: it can."""
    return why_not() or (not shutil.which(name) and f"{name} is not installed") or ""
