"""A guest with control groups of version 2: Debian's cloud kernel under an emulated processor, with this machine's own files.

The kernel comes out of Debian's package, which is unpacked and not installed. The guest's root is this machine's, shared read-only by
virtiofs; what the guest writes stays in its memory. It has no network and no disk.
"""
import ctypes
import glob
import lzma
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
# The package that names the newest kernel; another one tries another kernel.
KERNEL = os.environ.get("QUARTET_GUEST_KERNEL", "linux-image-cloud-amd64")
# What the guest needs before it has files, and what would load by itself if it had modprobe.
MODULES = ("virtio_pci", "virtiofs", "overlay", "veth", "nf_tables", "nft_chain_nat", "nft_masq", "nft_ct", "nft_reject_inet", "nft_fib_inet")
MEMORY = "3G"


class Unavailable(Exception):
    """Why there can be no guest here."""


def _run(*args, **kwargs):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **kwargs)
    return done.returncode, done.stdout


def _program(*names):
    for name in names:
        if shutil.which(name):
            return shutil.which(name)
    raise Unavailable(f"{names[0]} is not installed")


def kernel(cache):
    """The directory with an unpacked kernel package; downloads it once."""
    place = os.path.join(cache, KERNEL)
    if glob.glob(os.path.join(place, "boot", "vmlinuz-*")):
        return place
    _program("apt-get")
    status, output = _run("apt-cache", "depends", KERNEL)
    name = re.search(r"Depends: (linux-image-\S+)", output)
    if status or not name:
        raise Unavailable(f"the package {KERNEL} is not known here")
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        status, output = _run("apt-get", "download", name[1], cwd=work)
        found = glob.glob(os.path.join(work, "*.deb"))
        if status or not found:
            raise Unavailable(f"{name[1]} cannot be downloaded: {output.strip().splitlines()[-1] if output.strip() else 'apt-get failed'}")
        status, output = _run("dpkg-deb", "-x", found[0], os.path.join(work, "tree"))
        if status:
            raise Unavailable(f"{name[1]} cannot be unpacked: {output}")
        os.rename(os.path.join(work, "tree"), place)
    return place


def init(cache):
    """The guest's first program, built when its source is newer."""
    source, program = os.path.join(HERE, "init.c"), os.path.join(cache, "init")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        status, output = _run(_program("cc", "gcc", "clang"), "-O1", "-static", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", program, source)
        if status:
            raise RuntimeError(output)
    return program


def _modules(tree, names):
    """[(name, content)] in an order in which they load. What is not there as a module is a part of the kernel."""
    paths = {}
    for place, _, files in os.walk(os.path.join(tree, "lib", "modules")):
        for f in files:
            found = re.match(r"(.*)\.ko(\.xz)?$", f)
            if found:
                paths[found[1].replace("-", "_")] = os.path.join(place, f)
    order = {}

    def add(name):
        if name in order or name not in paths:
            return
        with open(paths[name], "rb") as f:
            content = f.read()
        if paths[name].endswith(".xz"):
            content = lzma.decompress(content)
        for other in re.search(rb"\0depends=([^\0]*)\0", content)[1].decode().split(","):
            add(other.replace("-", "_"))
        order[name] = content
    for name in names:
        add(name)
    return list(order.items())


def initial_files(tree, first, command, names=None):
    """An archive in cpio's format, as the kernel unpacks it before anything else."""
    out = bytearray()

    def add(name, mode, content=b"", major=0, minor=0):
        path = name.encode() + b"\0"
        numbers = (len(out), mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % n for n in numbers) + path
        for piece in (head, content):
            out.extend(piece + b"\0" * (-len(piece) % 4))
    modules = _modules(tree, MODULES if names is None else names)
    add("dev", 0o40755)
    add("dev/console", 0o20600, b"", 5, 1)
    add("modules", 0o40755)
    for name, content in modules:
        add(f"modules/{name}", 0o100644, content)
    add("modules/order", 0o100644, "".join(f"{name}\n" for name, _ in modules).encode())
    add("command", 0o100644, "\n".join(command).encode())
    with open(first, "rb") as f:
        add("init", 0o100755, f.read())
    add("TRAILER!!!", 0)
    return bytes(out)


CLONE_NEWNS, MS_PRIVATE_ALL, AT_FDCWD = 0x20000, 1 << 18 | 1 << 14, -100
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, AT_RECURSIVE, AT_EMPTY_PATH = 1, os.O_CLOEXEC, 0x8000, 0x1000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _syscall(number, *args):
    result = _libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _die_with_us():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _show_at(place):
    """In a child: a mount namespace of its own, in which this machine's files can be seen at `place` too, and there only read."""
    def prepare():
        _die_with_us()
        if _libc.unshare(CLONE_NEWNS) or _libc.mount(b"none", b"/", None, MS_PRIVATE_ALL, None):
            raise OSError(ctypes.get_errno(), "no mount namespace")
        tree = _syscall(OPEN_TREE, AT_FDCWD, b"/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)
        read_only = (ctypes.c_uint64 * 4)(1, 0, 0, 0)
        _syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, read_only, ctypes.sizeof(read_only))
        _syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, place.encode(), 4)
    return prepare


class Guest:
    """Boots and runs /command; a context manager. lines() gives what it says on its console until it is switched off."""

    def __init__(self, cache, command, seconds, modules=()):
        """modules: of the kernel, besides those that every guest needs."""
        if os.uname().machine != "x86_64":
            raise Unavailable("the guest is an amd64 machine")
        if os.geteuid() != 0:
            raise Unavailable("sharing this machine's files with the guest needs root")
        self.emulator = _program("qemu-system-x86_64")
        self.sharer = next((p for p in ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd") if os.path.exists(p)), None)
        if not self.sharer:
            raise Unavailable("virtiofsd is not installed")
        self.tree = kernel(cache)
        self.first = init(cache)
        self.command, self.seconds, self.modules = command, seconds, MODULES + tuple(modules)
        self.cache, self.work, self.children = cache, None, []
        self.machine = self.timer = None
        self.late = False

    def __enter__(self):
        try:
            return self._boot()
        except BaseException as e:
            self.__exit__()
            if isinstance(e, subprocess.SubprocessError):
                raise Unavailable("this machine's files cannot be shared: a mount namespace is refused") from e
            raise

    def _boot(self):
        self.work = tempfile.mkdtemp(prefix="quartet-guest-")
        place = os.path.join(self.work, "machine")
        os.mkdir(place)
        archive, meeting = os.path.join(self.work, "initial"), os.path.join(self.work, "files")
        with open(archive, "wb") as f:
            f.write(initial_files(self.tree, self.first, self.command, self.modules))
        log = open(os.path.join(self.cache, "virtiofsd.log"), "wb")
        with socket.socket(socket.AF_UNIX) as listener, log:
            listener.bind(meeting)
            listener.listen()
            self.children.append(subprocess.Popen(
                [self.sharer, f"--fd={listener.fileno()}", "-o", f"source={place}", "-o", "cache=always", "--thread-pool-size=0", "-f"],
                pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_show_at(place)))
        self.machine = subprocess.Popen(
            [self.emulator, "-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35,memory-backend=memory", "-smp", "2", "-m", MEMORY,
             "-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-chardev", f"socket,id=files,path={meeting}",
             "-device", "vhost-user-fs-pci,chardev=files,tag=machine", "-kernel", glob.glob(os.path.join(self.tree, "boot", "vmlinuz-*"))[0],
             "-initrd", archive, "-append", "console=ttyS0 quiet loglevel=1 panic=-1 reboot=t rdinit=/init", "-no-reboot", "-nodefaults",
             "-display", "none", "-monitor", "none", "-serial", "stdio"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", preexec_fn=_die_with_us)
        self.children.append(self.machine)
        self.timer = threading.Timer(self.seconds, self._too_late)
        self.timer.start()
        return self

    def _too_late(self):
        self.late = True
        self.machine.kill()

    def lines(self):
        for line in self.machine.stdout:
            yield line.rstrip("\r\n")
        self.machine.wait()

    def __exit__(self, *exc):
        if self.timer:
            self.timer.cancel()
        for child in reversed(self.children):
            child.kill()
            child.wait()
        if self.machine:
            self.machine.stdout.close()
        shutil.rmtree(self.work, ignore_errors=True)
