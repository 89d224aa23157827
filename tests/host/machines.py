"""Gets what the guest of machines.c starts from - Debian's cloud kernel, out of its package, and a file system in memory with machine_guest.c - and runs the tests:
machines.py PROGRAM BUILD. Exit status 77, after the reason, where that cannot be."""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "guest"))
import machine  # noqa: E402

machine.MODULES = ("virtio_pci", "virtio_blk", "button", "evdev")


def main():
    program, build = sys.argv[1:]
    cache = os.path.join(build, "guest")
    try:
        if os.geteuid() != 0 or not os.path.exists("/usr/bin/qemu-system-x86_64"):
            raise machine.Unavailable("virtual machines need root and qemu-system-x86_64")
        tree = machine.kernel(cache)
    except machine.Unavailable as e:
        print(f"skipped: {e}")
        return 77
    init, initrd = os.path.join(cache, "machine-guest"), os.path.join(cache, "machine-initrd")
    subprocess.run(["cc", "-O1", "-static", "-D_GNU_SOURCE", "-o", init, os.path.join(HERE, "machine_guest.c")], check=True)
    with open(initrd, "wb") as f:
        f.write(machine.initial_files(tree, init, []))
    os.environ.update(GUEST_KERNEL=glob.glob(os.path.join(tree, "boot", "vmlinuz-*"))[0], GUEST_INITRD=initrd)
    return subprocess.run([program], check=False).returncode


sys.exit(main())
