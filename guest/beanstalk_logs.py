"""The logs of an instance of an environment of Elastic Beanstalk: their last hundred lines as one text, or whole in an archive."""
import glob
import io
import os
import zipfile

LOGS = ("/var/log/eb-engine.log", "/var/log/eb-hooks.log", "/var/log/cfn-init*.log", "/var/log/*.stdout.log", "/var/log/eb-docker/containers/*/*", "/var/log/containers/*/*", "/var/lib/ecs/tasks/*/*/*-json.log",
        "/var/log/aws-sqsd/default.log", "/var/log/nginx/access.log", "/var/log/nginx/error.log", "/var/log/php-fpm/*.log")
LINES = 100
TAIL_BYTES = 256 << 10  # of one file
BUNDLE_BYTES = 64 << 20  # of one file


def files(patterns=LOGS):
    return sorted(path for pattern in patterns for path in glob.glob(pattern) if os.path.isfile(path) and not os.path.islink(path))


def last(path, most):
    with open(path, "rb") as f:
        f.seek(max(0, os.fstat(f.fileno()).st_size - most))
        return f.read(most)


def tail(paths):
    rule = "-" * 40
    return "".join(f"{rule}\n{path}\n{rule}\n" + "\n".join(last(path, TAIL_BYTES).decode("utf-8", "replace").splitlines()[-LINES:]) + "\n\n\n" for path in paths).encode()


def bundle(paths):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for path in paths:
            z.writestr(path.lstrip("/"), last(path, BUNDLE_BYTES))
    return out.getvalue()


def collect(kind):
    """(bytes, how many files)"""
    paths = files()
    return (bundle if kind == "bundle" else tail)(paths), len(paths)
