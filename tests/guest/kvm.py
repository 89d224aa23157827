"""Inside the guest: kvm.py BUILD. Its emulated processor has AMD's virtualization, so KVM works here, slowly: the cloud finds that out by
itself, and then an instance is a machine under KVM. Says what it finds as checks.py does."""
import glob
import os
import re
import subprocess
import sys
import termios
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "harness"))
import cloud as harness  # noqa: E402
import raw  # noqa: E402

os.environ["QUARTET"] = os.path.join(sys.argv[1], "quartet")
SECONDS = 400
LOG = ""


def say(state, name, why=""):
    print(f"@guest {state} {name}", *(f"| {line}" for line in why.strip().splitlines()[-60:]), sep="\n", flush=True)


def wait_for(what, test):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        value = test()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what}: not after {SECONDS} s")


def ec2(port, **parameters):
    form = "&".join(f"{k.replace('_', '.')}={raw.quote(v)}" for k, v in {"Version": "2016-11-15", **parameters}.items())
    request = raw.Signer(port, "ec2").request("POST", "/", body=form.encode(), headers={"content-type": "application/x-www-form-urlencoded"})
    reply = raw.ask(port, request, SECONDS)
    if not reply or reply.status != 200:
        raise AssertionError(f"{parameters}: {reply.data.decode() if reply else 'no answer'}")
    return reply.body.decode()


def emulators():
    """[(arguments, supplementary view)] of the processes that are QEMU."""
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


def verdict(cloud):
    def told():
        with open(os.path.join(cloud.data, "log"), encoding="utf-8", errors="replace") as f:
            return re.search(r"guests (run under KVM|are emulated.*)", f.read())
    return wait_for("a verdict", told)[1]


def main():
    global LOG
    cloud = harness.Cloud()
    cloud.kvm = "auto"
    cloud.start()
    try:
        said = verdict(cloud)
        assert said == "run under KVM", said + "\n" + open(cloud.data + "/log").read()
        assert not emulators(), emulators()
        say("pass", "a guest was seen to boot under KVM")
        image = wait_for("the image", lambda: re.search(r"<imageId>(ami-\w+)", ec2(cloud.port, Action="DescribeImages", Owner_1="amazon")))[1]
        ran = ec2(cloud.port, Action="RunInstances", ImageId=image, InstanceType="t3.micro", MinCount="1", MaxCount="1")
        assert re.search(r"<key>aws:quartet:driver</key>\s*<value>vm</value>", ran), ran
        place, arguments = wait_for("its emulator", emulators)[0]
        assert "kvm" in arguments and "host" in arguments, arguments
        # the device is in its sandbox, and what it owns there is nothing
        assert sorted(os.listdir(place + "/root/dev")) == ["fd", "kvm", "null", "urandom", "zero"], os.listdir(place + "/root/dev")
        say("pass", "an instance is a machine under KVM")
        wait_for("its kernel", lambda: "Linux version" in subprocess.run(["cat", *glob.glob(cloud.data + "/machines/i-*.console")], capture_output=True, text=True, errors="replace").stdout)
        say("pass", "its kernel boots")
        instance = re.search(r"<instanceId>(i-\w+)", ran)[1]
        ec2(cloud.port, Action="TerminateInstances", InstanceId_1=instance)
        wait_for("its end", lambda: not emulators())
        cloud.stop()
        cloud.start()
        assert verdict(cloud)
        say("pass", "and the verdict is kept")
    finally:
        with open(os.path.join(cloud.data, "log"), encoding="utf-8", errors="replace") as f:
            LOG = f.read()
        cloud.stop()


try:
    main()
except BaseException:  # noqa: BLE001 - whatever it is, somebody outside must hear it
    say("fail", "KVM", traceback.format_exc() + LOG)
say("end", "of the checks")
termios.tcdrain(1)
with open("/proc/sysrq-trigger", "w", encoding="utf-8") as trigger:
    trigger.write("b")
