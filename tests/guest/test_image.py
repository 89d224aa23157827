"""The machine image in a machine of its own: first boot, user data, login, power button, second boot.

It is made if the one that is here is not of these sources. The machine is QEMU alone, with a network in QEMU and tests/guest/metadata.py as its metadata
service, so that what fails here is the image and not the cloud.
"""
import ctypes
import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PATIENCE_S = 300  # emulation is slow, and slower on a machine that does other things
DISK = 10 << 30
NAME = "ip-169-254-0-15"
USER_DATA = b"""Content-Type: multipart/mixed; boundary="=="
MIME-Version: 1.0

--==
Content-Type: text/x-shellscript

#!/bin/sh
echo run >>/root/script-runs
sleep 600 &
exit 3
--==
Content-Type: text/cloud-config

#cloud-config
write_files: [{path: /etc/motto, content: "a b\\n", permissions: '0600'}]
bootcmd: ["echo boot >>/root/boots"]
runcmd:
  - cd /usr
  - [sh, -c, 'echo "$PWD" "$(cat /root/script-runs)" >/root/from-runcmd']
users:
  - default
  - {name: guest, groups: [sudo, makers]}
power_state: {mode: reboot}
--==
Content-Type: text/cloud-boothook

#cloud-boothook
#!/bin/sh
echo "$INSTANCE_ID" >>/root/hooks
--==--
"""


def _die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def image():
    """The directory of an image that is made of these sources."""
    path = os.path.join(ROOT, "tools", "make-image")
    loader = importlib.machinery.SourceFileLoader("make_image", path)
    maker = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_image", loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(maker)
    sys.dont_write_bytecode = before
    here = os.path.join(ROOT, "build", "guest", "debian-12-amd64")
    for place in (maker.PLACE, here):
        try:
            with open(os.path.join(place, "image.json")) as f:
                if json.load(f)["inputs"] == maker.inputs():
                    return place
        except (OSError, ValueError, KeyError):
            pass
    os.makedirs(os.path.dirname(here), exist_ok=True)
    try:
        socket.create_connection((maker.MIRROR.split("/")[2], 80), 10).close()
    except OSError as e:
        raise unittest.SkipTest(f"no image of these sources, and Debian's mirror is not reachable: {e}")
    done = subprocess.run([path, "--output", here], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return here


class Boot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or os.uname().machine != "x86_64":
            raise unittest.SkipTest("an image is made by root on amd64")
        for program in ("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen", "mmdebstrap", "mke2fs"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"{program} is not installed")
        cls.place = image()
        cls.work = tempfile.mkdtemp(prefix="quartet-image-")
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.key = os.path.join(cls.work, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", cls.key], check=True)
        os.mkdir(os.path.join(cls.work, "metadata"))
        with open(cls.key + ".pub", "rb") as f:
            cls.tell("meta-data_public-keys_0_openssh-key", f.read())
        cls.tell("meta-data_instance-id", b"i-0123456789abcdef0")
        cls.tell("meta-data_local-hostname", f"{NAME}.ec2.internal".encode())
        cls.tell("user-data", USER_DATA)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", os.path.join(cls.place, "root.raw"), os.path.join(cls.work, "disk"), str(DISK)],
                       check=True)

    @classmethod
    def tell(cls, name, value):
        with open(os.path.join(cls.work, "metadata", name), "wb") as f:
            f.write(value)

    def start(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with open(os.path.join(self.place, "image.json")) as f:
            line = json.load(f)["command_line"]
        self.boots = getattr(self, "boots", 0) + 1
        self.console = os.path.join(self.work, f"console-{self.boots}")
        self.began = time.monotonic()
        self.machine = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nodefaults", "-display", "none", "-no-reboot",
             "-kernel", os.path.join(self.place, "kernel"), "-initrd", os.path.join(self.place, "initrd"), "-append", line,
             "-drive", f"file={self.work}/disk,if=none,id=root,format=qcow2,cache=unsafe", "-device", "virtio-blk-pci,drive=root",
             "-netdev", f"user,id=net,net=169.254.0.0/16,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22,"
             f"guestfwd=tcp:169.254.169.254:80-cmd:/usr/bin/python3 -S -E {HERE}/metadata.py {self.work}/metadata",
             "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci", "-serial", f"file:{self.console}", "-qmp", f"unix:{self.work}/qmp,server=on,wait=off"],
            stdin=subprocess.DEVNULL, preexec_fn=_die_with_us)
        self.addCleanup(self.machine.wait)
        self.addCleanup(self.machine.kill)

    def said(self):
        with open(self.console, errors="replace") as f:
            return f.read()

    def ask(self, command, user="admin", connect_s=PATIENCE_S):
        return subprocess.run(["ssh", "-i", self.key, "-p", str(self.port), "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.work}/known", "-o", "LogLevel=ERROR",
                               "-o", "BatchMode=yes", "-o", f"ConnectTimeout={connect_s}", f"{user}@127.0.0.1", command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=2 * PATIENCE_S, check=False)

    def login(self):
        """Waits for the secure shell; then for the end of what is done at boot."""
        while self.ask("true", connect_s=10).returncode:
            if time.monotonic() - self.began > PATIENCE_S or self.machine.poll() is not None:
                self.fail(f"no login:\n{self.said()[-4000:]}")
            time.sleep(0.5)
        self.login_s = time.monotonic() - self.began
        self.state = self.ask("cloud-init status --wait")
        self.boot_s = time.monotonic() - self.began

    def root(self, command):
        done = self.ask(f"sudo sh -c '{command}'")
        return done.stdout if done.returncode == 0 else f"exit status {done.returncode}: {done.stderr}"

    def press_power_button(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.work}/qmp")
            s.sendall(b'{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n')
            try:
                self.machine.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.fail(f"the power button does nothing:\n{self.said()[-2000:]}")

    def test_two_boots(self):
        self.start()
        self.login()
        first = (self.login_s, self.boot_s)
        with self.subTest("how the first boot ended"):
            self.assertEqual((self.state.stdout, self.state.returncode), ("status: error\n", 1), "a script of the user data fails")
            self.assertEqual(self.root("ls /var/lib/cloud/instance/boot-finished /var/lib/cloud/instances/i-0123456789abcdef0/scripts/part-001").count("\n"), 2)
        with self.subTest("names"):
            self.assertEqual(self.root("hostname; hostname -f"), f"{NAME}\n{NAME}.ec2.internal\n")
        with self.subTest("user data"):
            self.assertEqual(self.root("cat /root/script-runs /root/from-runcmd /root/boots /root/hooks; cat /etc/motto"), "run\n/usr run\nboot\ni-0123456789abcdef0\na b\n")
            self.assertEqual(self.root("stat -c %a /etc/motto; id -nG guest; ls /home/guest/.ssh 2>&1 | wc -l"), "600\nguest sudo makers\n1\n")
            self.assertIn("power_state is not supported", self.root("cat /var/log/cloud-init.log"))
            self.assertEqual(self.root("cmp /var/lib/cloud/instance/user-data.txt - </dev/null; wc -c </var/lib/cloud/instance/user-data.txt").strip(), str(len(USER_DATA)))
        with self.subTest("the disk"):
            self.assertGreater(int(self.root("df -B1 --output=size / | tail -1")), DISK * 0.9)
        with self.subTest("root's login"):
            self.assertIn('Please login as the user "admin"', self.ask("true", user="root").stdout)
        with self.subTest("the console"):
            keys = self.said().partition("-----BEGIN SSH HOST KEY FINGERPRINTS-----")[2].partition("-----END SSH HOST KEY FINGERPRINTS-----")[0]
            known = subprocess.run(["ssh-keygen", "-l", "-f", f"{self.work}/known"], capture_output=True, text=True, check=True).stdout.split()[1]
            self.assertIn(known, keys)
        self.press_power_button()
        self.start()
        self.login()
        with self.subTest("the second boot"):
            self.assertEqual((self.state.stdout, self.state.returncode), ("status: done\n", 0))
            self.assertEqual(self.root("cat /root/script-runs /root/from-runcmd /root/boots /root/hooks; hostname"),
                             f"run\n/usr run\nboot\nboot\ni-0123456789abcdef0\ni-0123456789abcdef0\n{NAME}\n")
        self.press_power_button()
        if os.environ.get("QUARTET_FIGURES"):
            print(f"login {first[0]:.1f} s, boot's end {first[1]:.1f} s; again {self.login_s:.1f} s, {self.boot_s:.1f} s")


if __name__ == "__main__":
    unittest.main()
