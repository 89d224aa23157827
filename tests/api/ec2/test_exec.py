"""`quartet exec i-...`: commands and shells in an instance that is a container."""
import base64
import fcntl
import hashlib
import http.client
import json
import os
import pty
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest
import urllib.parse
import uuid

from aws import ENDPOINT, TestCase, client
from images import image, no_containers

TAGS = [{"Key": "quartet:driver", "Value": "container"}, {"Key": "team", "Value": "blue"}]


def quartet(*words, stdin=b"", timeout=120):
    return subprocess.run([os.environ["QUARTET"], "exec", *words], input=stdin, capture_output=True, timeout=timeout, check=False)


class Exec(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ec2 = client("ec2")
        made, missing = image(cls.ec2), no_containers()
        if not made or missing:
            raise unittest.SkipTest(missing or "there is no image: tools/make-image")
        cls.instance = cls.ec2.run_instances(ImageId=made, InstanceType="t3.micro", MinCount=1, MaxCount=1,
                                       TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}])["Instances"][0]["InstanceId"]
        cls.ec2.get_waiter("instance_running").wait(InstanceIds=[cls.instance], WaiterConfig={"Delay": 1, "MaxAttempts": 100})

    @classmethod
    def tearDownClass(cls):
        cls.ec2.terminate_instances(InstanceIds=[cls.instance])

    def inside(self, *words, **more):
        return quartet(self.instance, *words, **more)

    def test_a_command(self):
        done = self.inside("sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, b"out\n", b"err\n"))
        done = self.inside("sh", "-c", 'id -u; readlink /proc/1/exe; grep -c . /proc/self/uid_map; echo "$0 $1"', "a b", "c'd")
        self.assertEqual((done.returncode, done.stdout.split(b"\n")), (0, [b"0", b"/usr/lib/systemd/systemd", b"1", b"a b c'd", b""]), done.stderr)
        self.assertEqual(self.inside("sh", "-c", "kill -9 $$").returncode, 137)
        done = self.inside("no-such-command")
        self.assertEqual((done.returncode, done.stderr), (127, b"no-such-command: No such file or directory\n"))
        self.assertEqual(self.inside("/etc/passwd").returncode, 126)
        self.assertEqual(self.inside("tty").stdout, b"not a tty\n")

    def test_memory_ends(self):
        """Who asks for more than there is is killed, also while what was written waits for the disk; everybody else goes on."""
        hog = "b = []\nwhile True: b.append(bytearray(b'x') * (8 << 20))"
        for _ in range(3):
            done = self.inside("sh", "-c", f'dd if=/dev/zero of=/root/dirty bs=1M count=300 2>&- & python3 -c "{hog}"; e=$?; wait; rm -f /root/dirty; exit $e', timeout=200)
            self.assertEqual(done.returncode, 137, done.stderr)
        self.assertEqual(self.inside("sh", "-c", "echo goes on; sync").stdout, b"goes on\n")
        self.assertEqual(self.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]["State"]["Name"], "running")

    def metadata(self, path):
        return self.inside("sh", "-c", "for i in $(seq 150); do t=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "
                           "http://169.254.169.254/latest/api/token) && break; sleep 0.2; done; "
                           f"curl -sf -m 10 -H \"X-aws-ec2-metadata-token: $t\" http://169.254.169.254/latest/{path}").stdout

    def test_who_it_is_can_be_verified(self):
        """Outside, with the certificate that the cloud shows, in the three ways that AWS's documentation has."""
        at = "dynamic/instance-identity/"
        certificate = os.path.join(os.environ["QUARTET_DATA"], "tls", "instance-identity.pem")
        document, signature = self.metadata(at + "document"), base64.b64decode(self.metadata(at + "signature"))
        self.assertEqual(json.loads(document)["instanceId"], self.instance)
        with open(certificate, encoding="ascii") as file:
            self.assertNotIn("PRIVATE", file.read())

        def openssl(*words):
            return subprocess.run(["openssl", *words], capture_output=True, timeout=60, check=False)
        with tempfile.TemporaryDirectory(prefix="quartet-identity-") as own:
            def file(name, data):
                with open(os.path.join(own, name), "wb") as out:
                    out.write(data)
                return out.name
            key = file("key", openssl("x509", "-in", certificate, "-noout", "-pubkey").stdout)
            good, bad = file("document", document), file("other", document.replace(b"t3.micro", b"m5.large"))
            for name, rc in ((good, 0), (bad, 1)):
                self.assertEqual(openssl("dgst", "-sha256", "-verify", key, "-signature", file("signature", signature), name).returncode, rc)
            for form in ("pkcs7", "rsa2048"):
                sealed = file(form, b"-----BEGIN PKCS7-----\n" + self.metadata(at + form) + b"\n-----END PKCS7-----\n")
                done = openssl("smime", "-verify", "-in", sealed, "-inform", "PEM", "-certfile", certificate, "-noverify")
                self.assertEqual((done.returncode, done.stdout), (0, document), done.stderr)
        self.assertEqual(self.metadata("dynamic/fws/instance-monitoring"), b"disabled")

    def test_its_disks_are_as_fast_as_they_cost(self):
        """A hundred operations a second: how long they take at least."""
        zone = self.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]["Placement"]["AvailabilityZone"]
        volume = self.ec2.create_volume(AvailabilityZone=zone, Size=4, VolumeType="io1", Iops=100)["VolumeId"]
        fast = {"Delay": 1, "MaxAttempts": 60}
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=fast)
        self.ec2.attach_volume(VolumeId=volume, InstanceId=self.instance, Device="/dev/sdg")
        self.ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=fast)
        write = ("for i in $(seq 150); do test -b /dev/sdg && break; sleep 0.2; done; a=$(date +%s%N); "
                 "dd if=/dev/zero of=/dev/sdg bs=4k count=300 oflag=direct 2>/dev/null && echo $((($(date +%s%N) - a) / 1000000))")
        done = self.inside("sh", "-c", write)
        self.ec2.detach_volume(VolumeId=volume)
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=fast)
        self.ec2.delete_volume(VolumeId=volume)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(done.stdout), 2500)

    def test_what_a_command_sees_is_the_container(self):
        """Its namespaces, its control group, nothing of the machine's."""
        done = self.inside("sh", "-c", "cat /proc/self/cgroup; ls /proc/self/fd; grep CapEff /proc/self/status; cat /proc/self/oom_score_adj; "
                           "ls /dev/mem /sys/kernel/security 2>&1 | wc -l; test -e /work && echo seen")
        lines = done.stdout.decode().split("\n")
        groups = [line for line in lines if line.startswith("0::")]
        self.assertEqual(groups, ["0::/"], lines)
        self.assertIn("0\n1\n2\n3\n", done.stdout.decode())
        self.assertNotIn("seen", lines)
        # what processes there are: it does not see who serves it
        names = self.inside("ps", "-eo", "comm=").stdout
        self.assertNotIn(b"quartet", names)

    def test_input(self):
        data = os.urandom(1 << 20)
        done = self.inside("sha256sum", stdin=data)
        self.assertEqual(done.stdout.split()[0].decode(), hashlib.sha256(data).hexdigest())
        self.assertEqual(hashlib.sha256(self.inside("cat", stdin=data).stdout).digest(), hashlib.sha256(data).digest())
        self.assertEqual(self.inside("true", stdin=data).returncode, 0, "one that does not read")
        self.assertEqual(self.inside(stdin=b"echo from $0\n").stdout, b"from /bin/bash\n", "a shell reads its script")
        # its end does not wait for what it leaves running
        self.assertEqual(self.inside("sh", "-c", "sleep 1000 & echo done", timeout=60).stdout, b"done\n")

    def until(self, fd, text, seconds=90):
        seen, end = b"", time.monotonic() + seconds
        while text not in seen:
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                self.fail(f"{text} does not come: {seen}")
            seen += os.read(fd, 65536)
        return seen

    def terminal(self, *words):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(os.environ["QUARTET"], ["quartet", "exec", self.instance, *words], {**os.environ, "TERM": "vt100"})
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        self.addCleanup(os.close, fd)
        return pid, fd

    def test_a_terminal(self):
        pid, fd = self.terminal("sh", "-c", 'tty; echo "term $TERM"; until [ "$(stty size)" = "50 120" ]; do sleep 0.1; done; echo resized; read x; echo "<$x>"; exit 9')
        seen = self.until(fd, b"term vt100")
        self.assertIn(b"/dev/pts/", seen)
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.until(fd, b"resized")
        os.write(fd, b"word\n")
        self.until(fd, b"<word>")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 9)
        # a shell, and the end of its input
        pid, fd = self.terminal()
        os.write(fd, b"echo $((6 * 7))-\n")
        self.until(fd, b"42-")
        os.write(fd, b"\x04")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_who_leaves_takes_the_command_along(self):
        for words in (("sleep", "1234"), ("sh", "-c", "read x; sleep 1234")):
            p = subprocess.Popen([os.environ["QUARTET"], "exec", self.instance, *words], stdin=subprocess.PIPE)
            p.stdin.write(b"x\n")
            p.stdin.flush()
            count = lambda: self.inside("pgrep", "-fc", "^sleep 1234").stdout.strip()  # noqa: E731
            self.wait(lambda: count() == b"1")
            p.send_signal(signal.SIGTERM)
            p.wait(60)
            p.stdin.close()
            self.wait(lambda: count() == b"0")

    def wait(self, what, seconds=90):
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                self.fail("it does not come")
            time.sleep(0.1)

    def test_no_more_than_four(self):
        held = [subprocess.Popen([os.environ["QUARTET"], "exec", self.instance, "sh", "-c", "echo in; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                for _ in range(4)]
        for p in held:
            self.assertEqual(p.stdout.readline(), b"in\n")
        done = self.inside("true")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"as many sessions", done.stderr)
        for p in held:
            p.communicate(b"\n", 60)
            self.assertEqual(p.returncode, 0)
        self.wait(lambda: self.inside("true").returncode == 0)

    def test_a_disk_that_cannot_be_given(self):
        """A directory where its device should be: the attachment fails, and leaves nothing that would keep the volume from another."""
        volume = self.ec2.create_volume(AvailabilityZone=self.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0][
            "Placement"]["AvailabilityZone"], Size=1)["VolumeId"]
        state = lambda: self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]  # noqa: E731
        self.wait(lambda: state()["State"] == "available")
        self.assertEqual(self.inside("mkdir", "/dev/sdf").returncode, 0)
        for _ in range(2):
            self.ec2.attach_volume(VolumeId=volume, InstanceId=self.instance, Device="/dev/sdf")
            self.wait(lambda: state()["State"] == "available")
        self.assertEqual(self.inside("rmdir", "/dev/sdf").returncode, 0)
        self.ec2.attach_volume(VolumeId=volume, InstanceId=self.instance, Device="/dev/sdf")
        self.wait(lambda: state()["Attachments"][0]["State"] == "attached")
        done = self.inside("sh", "-c", "test -b /dev/sdf && echo word >/dev/sdf && head -c 4 /dev/sdf")
        self.assertEqual(done.stdout, b"word", done.stderr)
        self.ec2.detach_volume(VolumeId=volume)
        self.wait(lambda: state()["State"] == "available")
        self.ec2.delete_volume(VolumeId=volume)

    def ask(self, key, instance=None, region="us-east-1"):
        c = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(ENDPOINT).port, timeout=90)
        c.request("POST", f"/_quartet/exec/{instance or self.instance}?arg=true", headers={
            "Connection": "Upgrade", "Upgrade": "quartet-session", "Content-Length": "0", "X-Quartet-Key": key, "X-Quartet-Region": region})
        reply = c.getresponse()
        text = "" if reply.status == 101 else reply.read().decode()
        c.close()
        return reply.status, text

    def test_who_may(self):
        iam, name = client("iam"), "exec-" + uuid.uuid4().hex[:10]
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        pair = f"{key['AccessKeyId']}:{key['SecretAccessKey']}"

        def policy(**statement):
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": f"arn:aws:ec2:us-east-1:000000000000:instance/{self.instance}", **statement}]}))
        try:
            status, text = self.ask(pair)
            self.assertEqual(status, 403)
            self.assertIn("not authorized to perform: ssm:StartSession on resource: arn:aws:ec2:us-east-1:000000000000:instance/" + self.instance, text)
            policy(Condition={"StringEquals": {"aws:ResourceTag/team": "red"}})
            self.wait(lambda: self.ask(pair)[0] == 403)
            policy(Condition={"StringEquals": {"aws:ResourceTag/team": "blue"}})
            self.wait(lambda: self.ask(pair)[0] == 101)
            self.assertEqual(self.ask(pair, "i-0123456789abcdef0")[0], 403, "whether it is there is not said")
            policy(Effect="Deny")
            self.wait(lambda: self.ask(pair)[0] == 403)
        finally:
            iam.delete_user_policy(UserName=name, PolicyName="p")
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            iam.delete_user(UserName=name)
        self.assertEqual(self.ask("test:wrong")[0], 403)
        self.assertEqual(self.ask("test:test", "i-0123456789abcdef0")[0], 404)
        self.assertEqual(self.ask("123412341234:test")[0], 404, "another account's")

    def test_no_way_in(self):
        done = quartet("i-0123456789abcdef0", "true")
        self.assertEqual((done.returncode, done.stderr), (1, b"quartet exec: The instance ID 'i-0123456789abcdef0' does not exist\n"))
        done = self.inside(*["x" * 1000] * 40)
        self.assertEqual((done.returncode, done.stderr), (1, b"quartet exec: the command is too long\n"))


if __name__ == "__main__":
    unittest.main()
