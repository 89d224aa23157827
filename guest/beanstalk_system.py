"""What the agent of an environment of Elastic Beanstalk does to its system: commands whose output goes to logs, files, users, archives."""
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import zipfile

ENGINE_LOG = "/var/log/eb-engine.log"
APP, STAGING = "/var/app/current", "/var/app/staging"
OUTPUT_MOST = 1 << 20  # of one command, in the log
UNPACKED_MOST = 4 << 30
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


class Failed(Exception):
    """A deployment that cannot be done, in words for the environment's events."""


class Limit:
    """How long the deployment under way may take yet. One for all: there is one deployment at a time."""
    until, why = None, ""
    LATE, ABORTED = "has not ended in the allowed command timeout time", "was aborted"


def limit(seconds):
    Limit.until, Limit.why = time.monotonic() + seconds if seconds else None, Limit.LATE


def abort():
    Limit.until, Limit.why = time.monotonic(), Limit.ABORTED


def over():
    return Limit.until is not None and time.monotonic() >= Limit.until


def wait(process):
    """Its end or the deployment's, which may come nearer meanwhile."""
    while True:
        try:
            return process.wait(1 if Limit.until is None else min(1, max(0, Limit.until - time.monotonic())))
        except subprocess.TimeoutExpired:
            if over():
                raise


def write_log(text, level="INFO", place=ENGINE_LOG):
    with open(place, "a", encoding="utf-8") as f:
        f.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} [{level}] {text.rstrip()}\n")


class Done:
    def __init__(self, returncode, stdout):
        self.returncode, self.stdout = returncode, stdout

    def last(self):
        return (self.stdout.strip().splitlines() or ["no output"])[-1][:200]


def run(*argv, place=ENGINE_LOG, env=None, cwd="/", user=None):
    """What it leaves running in the background is not waited for; when the deployment's time is over it is ended with all that it started."""
    with tempfile.TemporaryFile() as out:
        try:
            process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=BASE if env is None else env, cwd=cwd,  # noqa: SIM115
                                       user=user, start_new_session=True)
        except OSError as e:
            write_log(f"Running command: {' '.join(argv)}\n{e.strerror}", "ERROR", place)
            return Done(126, f"fork/exec {argv[0]}: {(e.strerror or str(e)).lower()}")
        try:
            code = wait(process)
        except subprocess.TimeoutExpired as e:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Failed(f"{' '.join(argv)[:200]} {Limit.why}") from e
        finally:
            out.seek(max(0, os.fstat(out.fileno()).st_size - OUTPUT_MOST))
            text = out.read().decode("utf-8", "replace")
            write_log(f"Running command: {' '.join(argv)}\n{text}", place=place)
    return Done(code, text)


def run_quietly(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False).stdout


def need(what, *argv, **kwargs):
    done = run(*argv, **kwargs)
    if done.returncode:
        raise Failed(f"{what} failed: {done.last()}")


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def account(name, *words):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        need(f"Making the user {name}", "useradd", "--system", "--user-group", *words, name)
        return pwd.getpwnam(name)


def unpack(data, place):
    """A source bundle, with the executable bits and links that it has."""
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    packed, links = f"{place}.zip", []
    with open(packed, "wb") as f:
        f.write(data)
    try:
        with zipfile.ZipFile(packed) as z:
            if sum(i.file_size for i in z.infolist()) > UNPACKED_MOST:
                raise Failed("the source bundle is too large when it is unpacked")
            for i in z.infolist():
                made = z.extract(i, place)
                if stat.S_ISLNK(i.external_attr >> 16):
                    links.append(made)
                elif i.external_attr >> 16 & 0o111:
                    os.chmod(made, 0o755)
        for made in links:  # once nothing is written through them any more
            with open(made, encoding="utf-8") as f:
                target = f.read()
            os.unlink(made)
            os.symlink(target, made)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError, ValueError, EOFError, OSError) as e:
        raise Failed(f"the source bundle is no ZIP archive that can be read: {e}") from e
    finally:
        os.unlink(packed)
