"""Inside the guest: kvm.py BUILD. Its emulated processor has AMD's virtualization, so KVM works here, slowly: the cloud has to find that
out by itself. Says what it finds as checks.py does."""
import glob
import os
import re
import sys
import termios
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "harness"))
import cloud as harness  # noqa: E402

os.environ["QUARTET"] = os.path.join(sys.argv[1], "quartet")
SECONDS = 400


def say(state, name, why=""):
    print(f"@guest {state} {name}", *(f"| {line}" for line in why.strip().splitlines()[-60:]), sep="\n", flush=True)


def wait_for(what, test):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        value = test()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not after {SECONDS} s")


def emulators():
    """[(directory in /proc, arguments)] of the processes that are QEMU."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                arguments = f.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if arguments[0].endswith("qemu-system-x86_64"):
            found.append((os.path.dirname(path), arguments))
    return found


def log(cloud):
    with open(os.path.join(cloud.data, "log"), encoding="utf-8", errors="replace") as f:
        return f.read()


def trial(cloud):
    place, arguments = wait_for("an emulator", emulators)[0]
    assert arguments[arguments.index("-accel") + 1] == "kvm" and arguments[arguments.index("-cpu") + 1] == "host", arguments
    # the device is in its sandbox, and little else
    devices = sorted(os.listdir(place + "/root/dev"))
    assert devices == ["fd", "kvm", "null", "urandom", "zero"], devices
    said = wait_for("a verdict", lambda: re.search("guests (run under KVM|are emulated.*)", log(cloud)))[1]
    assert said == "run under KVM", log(cloud)
    wait_for("its end", lambda: not emulators())


def main():
    cloud = harness.Cloud()
    cloud.kvm = "auto"
    cloud.start()
    try:
        trial(cloud)
        say("pass", "a guest was seen to boot under KVM")
        with open(os.path.join(cloud.data, "machines", "kvm"), encoding="utf-8") as f:
            verdict = f.read()
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as f:
            assert verdict.startswith(f.read().strip() + " ") and verdict.endswith(" works"), verdict
        say("pass", "the verdict is kept, for this boot of the machine")
    finally:
        cloud.stop()


try:
    main()
except BaseException:  # noqa: BLE001 - whatever it is, somebody outside must hear it
    say("fail", "KVM", traceback.format_exc())
say("end", "of the checks")
termios.tcdrain(1)
with open("/proc/sysrq-trigger", "w", encoding="utf-8") as trigger:
    trigger.write("b")
