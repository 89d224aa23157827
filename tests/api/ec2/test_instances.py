"""A real instance from RunInstances to nothing left: needs the image of tools/make-image and QEMU, and takes minutes under emulation."""
import base64
import os
import subprocess
import tempfile
import time
import unittest
import uuid

from aws import TestCase, client
from images import image, no_containers

USER_DATA = "#!/bin/sh\nmkdir -p /srv/w\necho hello > /srv/w/index.html\ncd /srv/w\nnohup python3 -m http.server 80 >/dev/null 2>&1 &\n"

# What is sent by the metadata service with data in it, and how many hops it has left.
WATCH = """import http.client, select, socket
def hops(method, path, headers):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800))
    c = http.client.HTTPConnection("169.254.169.254", timeout=20)
    c.request(method, path, headers=headers)
    body, found = c.getresponse().read().decode(), set()
    while select.select([s], [], [], 1)[0]:
        p = s.recv(65536)
        n, at = int.from_bytes(p[2:4], "big"), (p[0] & 15) * 4
        if p[9] == 6 and p[12:16] == bytes([169, 254, 169, 254]) and n > at + (p[at + 12] >> 4) * 4:
            found.add(p[8])
    print(method, *found)
    return body
token = hops("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
hops("GET", "/latest/meta-data/instance-id", {"X-aws-ec2-metadata-token": token})
"""


class Refusals(TestCase):
    def setUp(self):
        self.ec2 = client("ec2")

    def test_what_is_not_there(self):
        self.assertAwsError("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"],
                            message="The instance ID 'i-0123456789abcdef0' does not exist")
        self.assertAwsError("InvalidInstanceID.Malformed", self.ec2.terminate_instances, InstanceIds=["i-1"])
        self.assertAwsError("InvalidAMIID.NotFound", self.ec2.run_instances, ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)
        self.assertAwsError("InvalidVolume.NotFound", self.ec2.delete_volume, VolumeId="vol-0123456789abcdef0")
        self.assertAwsError("InvalidSnapshot.NotFound", self.ec2.delete_snapshot, SnapshotId="snap-0123456789abcdef0")
        self.assertAwsError("InvalidParameterValue", self.ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}])


class Volumes(TestCase):
    def setUp(self):
        self.ec2 = client("ec2")

    def state(self, volume):
        return self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"]

    def test_a_volume_and_its_snapshot(self):
        volume = self.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3", TagSpecifications=[
            {"ResourceType": "volume", "Tags": [{"Key": "k", "Value": "v"}]}])["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        snapshot = self.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        self.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        copy = self.ec2.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion="us-east-1")["SnapshotId"]
        second = self.ec2.create_volume(AvailabilityZone="us-east-1b", SnapshotId=copy)["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[second], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.ec2.modify_volume(VolumeId=second, Size=2)
        for _ in range(20):
            if self.ec2.describe_volumes_modifications(VolumeIds=[second])["VolumesModifications"][0]["ModificationState"] == "completed":
                break
            time.sleep(0.2)
        self.assertEqual(self.ec2.describe_volumes(VolumeIds=[second])["Volumes"][0]["Size"], 2)
        image = self.ec2.register_image(Name=uuid.uuid4().hex, RootDeviceName="/dev/xvda",
                                        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}])["ImageId"]
        self.assertAwsError("InvalidSnapshot.InUse", self.ec2.delete_snapshot, SnapshotId=snapshot)
        self.ec2.deregister_image(ImageId=image)
        for s in (snapshot, copy):
            self.ec2.delete_snapshot(SnapshotId=s)
        for v in (volume, second):
            self.ec2.delete_volume(VolumeId=v)
        self.ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume, second], WaiterConfig={"Delay": 1, "MaxAttempts": 20})

    def test_refusals(self):
        bad = [({"Size": 1, "VolumeType": "st1"}, "InvalidParameterValue"), ({"Size": 99999}, "InvalidParameterValue"),
               ({"Size": 1, "Iops": 300}, "InvalidParameterCombination"), ({}, "MissingParameter"),
               ({"Size": 10, "VolumeType": "io1"}, "MissingParameter"), ({"Size": 1, "Encrypted": True}, "UnsupportedOperation"),
               ({"Size": 10, "VolumeType": "gp3", "Throughput": 1001}, "InvalidParameterValue")]
        for more, code in bad:
            with self.subTest(more):
                self.assertAwsError(code, self.ec2.create_volume, AvailabilityZone="us-east-1a", **more)


class Machines(TestCase):
    """Virtual machines."""
    driver = "vm"

    def setUp(self):
        self.ec2 = client("ec2")
        self.image = image(self.ec2)
        if not self.image:
            self.skipTest("there is no image: tools/make-image")

    def instance(self):
        return self.ec2.describe_instances(InstanceIds=[self.instance_id])["Reservations"][0]["Instances"][0]

    def wait(self, state, seconds=100):
        for _ in range(seconds * 2):
            if self.instance()["State"]["Name"] == state:
                return
            time.sleep(0.5)
        self.fail(f"{self.instance()['State']} is not {state}: {self.instance().get('StateReason')}")

    def ssh(self, command):
        return subprocess.run(["ssh", "-i", self.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=30",
                               "-o", "BatchMode=yes", "admin@" + self.instance()["PublicIpAddress"], command], capture_output=True, text=True, timeout=90)

    def fetch(self, address, seconds):
        return subprocess.run(["curl", "-s", "-m", str(seconds), f"http://{address}/"], capture_output=True, text=True, check=False).stdout

    def until_ssh(self, command):
        for _ in range(40):
            done = self.ssh(command)
            if done.returncode == 0:
                return done.stdout
            time.sleep(2)
        self.fail(done.stderr)

    def attribute(self, name, member):
        value = self.ec2.describe_instance_attribute(InstanceId=self.instance_id, Attribute=name)[member]
        return value.get("Value") if isinstance(value, dict) else value

    def names(self, private):
        """What the guest hears from the resolver of its VPC."""
        look_up, name = "getent -s hosts:dns hosts ", "ip-" + private.replace(".", "-") + ".ec2.internal"
        self.assertIn(private, self.until_ssh(look_up + name))
        self.assertIn(name, self.until_ssh(look_up + private))
        self.assertIn(private, self.until_ssh(look_up + self.instance()["PublicDnsName"]))
        self.assertEqual(self.ssh(look_up + "ip-172-31-255-250.ec2.internal").returncode, 2)

    def attributes(self):
        """Of a stopped instance."""
        change = lambda **more: self.ec2.modify_instance_attribute(InstanceId=self.instance_id, **more)  # noqa: E731
        change(DisableApiTermination={"Value": True})
        self.assertIs(self.attribute("disableApiTermination", "DisableApiTermination"), True)
        self.assertAwsError("OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=[self.instance_id])
        change(Attribute="disableApiTermination", Value="false")
        self.assertIs(self.attribute("disableApiTermination", "DisableApiTermination"), False)
        change(InstanceInitiatedShutdownBehavior={"Value": "terminate"})
        self.assertEqual(self.attribute("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior"), "terminate")
        change(InstanceType={"Value": "t3.small"})
        self.assertEqual(self.instance()["InstanceType"], "t3.small")
        change(UserData={"Value": b"#!/bin/sh\nexit 1\n"})
        self.assertEqual(base64.b64decode(self.attribute("userData", "UserData")), b"#!/bin/sh\nexit 1\n")
        change(SourceDestCheck={"Value": False})
        self.assertIs(self.attribute("sourceDestCheck", "SourceDestCheck"), False)
        self.assertAwsError("InvalidParameterValue", change, InstanceType={"Value": "t3.gigantic"})
        self.assertAwsError("InvalidParameterCombination", change)
        self.assertAwsError("InvalidParameterCombination", change, DisableApiStop={"Value": True}, InstanceType={"Value": "t3.micro"})

    def an_interface_more(self):
        """The guest sees a device of that address come and go."""
        eni = self.ec2.create_network_interface(SubnetId=self.instance()["SubnetId"])["NetworkInterface"]
        self.addCleanup(self.ec2.delete_network_interface, NetworkInterfaceId=eni["NetworkInterfaceId"])
        attachment = self.ec2.attach_network_interface(InstanceId=self.instance_id, NetworkInterfaceId=eni["NetworkInterfaceId"], DeviceIndex=1)["AttachmentId"]
        self.until_ssh("grep -qs " + eni["MacAddress"] + " /sys/class/net/*/address")
        macs = self.until_ssh("t=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); "
                              "curl -s -H \"X-aws-ec2-metadata-token: $t\" http://169.254.169.254/latest/meta-data/network/interfaces/macs/")
        self.assertIn(eni["MacAddress"] + "/", macs.split())
        self.ec2.detach_network_interface(AttachmentId=attachment)
        for _ in range(80):
            if self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni["NetworkInterfaceId"]])["NetworkInterfaces"][0]["Status"] == "available":
                break
            time.sleep(0.5)
        self.until_ssh("! grep -qs " + eni["MacAddress"] + " /sys/class/net/*/address")

    def how_far_a_token_travels(self):
        """The packets of a token's reply, and of another one, as the guest's network sees them."""
        self.ec2.modify_instance_metadata_options(InstanceId=self.instance_id, HttpPutResponseHopLimit=3)
        seen = self.until_ssh("sudo python3 - <<'END'\n" + WATCH + "END\n").split()
        self.assertEqual(seen, ["PUT", "3", "GET", "64"])

    def has_what_its_type_has(self):
        """A t3.micro: two processors and a GiB, less what the guest's kernel keeps for itself."""
        processors, memory_kib = map(int, self.until_ssh("nproc; awk '/MemTotal/ {print $2}' /proc/meminfo").split())
        self.assertEqual(processors, 2)
        self.assertTrue(850 * 1024 < memory_kib <= 1024 * 1024, memory_kib)

    def look_out(self):
        """What the guest can get at of this machine."""
        self.assertEqual(self.ssh("curl -s -m 3 http://127.0.0.1:4566/").stdout, "")

    def test_a_life(self):
        d = tempfile.TemporaryDirectory()
        self.addCleanup(d.cleanup)
        name = uuid.uuid4().hex
        self.key = d.name + "/key"
        made = self.ec2.create_key_pair(KeyName=name, KeyType="ed25519")
        self.addCleanup(self.ec2.delete_key_pair, KeyName=name)
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(made["KeyMaterial"] + "\n")
        vpc = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        group = self.ec2.create_security_group(GroupName=name, Description="web and ssh", VpcId=vpc)["GroupId"]
        self.addCleanup(self.ec2.delete_security_group, GroupId=group)
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]} for p in (22, 80)])
        launch = {"ImageId": "resolve:ssm:/aws/service/debian/release/12/latest/amd64", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1,
                  "KeyName": name, "SecurityGroupIds": [group], "UserData": USER_DATA, "ClientToken": name,
                  "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": self.driver}]}]}
        run = self.ec2.run_instances(**launch)
        self.instance_id = run["Instances"][0]["InstanceId"]
        self.assertEqual(run["Instances"][0]["ImageId"], self.image)
        self.assertIn({"Key": "aws:quartet:driver", "Value": self.driver}, run["Instances"][0]["Tags"])
        self.assertEqual(self.ec2.run_instances(**launch)["Instances"][0]["InstanceId"], self.instance_id)
        self.assertEqual(run["Instances"][0]["State"], {"Code": 0, "Name": "pending"})
        self.wait("running")
        public = self.instance()["PublicIpAddress"]
        body = ""
        for _ in range(90):
            body = subprocess.run(["curl", "-s", "-m", "3", f"http://{public}/"], capture_output=True, text=True).stdout
            if body:
                break
            time.sleep(1)
        self.assertEqual(body, "hello\n")
        # a closed port is closed at once, and an opened one open
        web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[web])
        for _ in range(10):  # the reply does not wait for the kernel's rules, and a busy machine takes its time
            body = self.fetch(public, 4)
            if not body:
                break
        self.assertEqual(body, "")
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[web])
        self.assertEqual(self.fetch(public, 20), "hello\n")
        status = self.ec2.describe_instance_status(InstanceIds=[self.instance_id])["InstanceStatuses"][0]
        self.assertEqual(status["InstanceStatus"]["Status"], "ok")
        self.assertIn("SSH HOST KEY FINGERPRINTS", self.ec2.get_console_output(InstanceId=self.instance_id)["Output"])
        private = self.instance()["PrivateIpAddress"]
        self.assertEqual(self.until_ssh("hostname").strip(), "ip-" + private.replace(".", "-"))
        # without keys: by a container's shim, or by the agent of the image
        done = subprocess.run([os.environ["QUARTET"], "exec", self.instance_id, "sh", "-c", "hostname; id -u; cat; exit 7"], input="in\n", capture_output=True, text=True,
                              timeout=200, check=False)
        self.assertEqual((done.returncode, done.stdout), (7, "ip-" + private.replace(".", "-") + "\n0\nin\n"), done.stderr)
        self.names(private)
        self.an_interface_more()
        self.how_far_a_token_travels()
        self.look_out()
        # a disk more, while it runs
        zone = self.instance()["Placement"]["AvailabilityZone"]
        volume = self.ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.ec2.attach_volume(VolumeId=volume, InstanceId=self.instance_id, Device="/dev/sdf")
        self.ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.until_ssh("test -b /dev/sdf && echo marked | sudo tee /etc/marked && sync")
        self.assertEqual(self.until_ssh("sudo mkfs.ext4 -q /dev/sdf && sudo mkdir /data && sudo mount -o noatime /dev/sdf /data && echo kept | sudo tee /data/f "
                                        "&& findmnt -no TARGET /data && sudo umount /data && sudo mount /dev/sdf /data && cat /data/f && sudo umount /data").split(),
                         ["kept", "/data", "kept"])
        # it grows while it is there, and its file system on it
        self.ec2.modify_volume(VolumeId=volume, Size=2)
        self.until_ssh("test $(sudo blockdev --getsize64 /dev/sdf) = 2147483648")
        self.assertGreater(int(self.until_ssh("sudo e2fsck -fp /dev/sdf >/dev/null; sudo resize2fs /dev/sdf >/dev/null 2>&1; sudo mount /dev/sdf /data && cat /data/f "
                                              "&& df --output=size -k /data | tail -1 && sudo umount /data").split()[1]), 1900 * 1024)
        self.has_what_its_type_has()
        made = self.ec2.create_image(InstanceId=self.instance_id, Name=name, NoReboot=True)["ImageId"]
        self.ec2.get_waiter("image_available").wait(ImageIds=[made], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        snapshots = [m["Ebs"]["SnapshotId"] for m in self.ec2.describe_images(ImageIds=[made])["Images"][0]["BlockDeviceMappings"]]
        self.assertEqual(len(snapshots), 2)
        self.image_of_other_disks(name + " other")
        self.ec2.detach_volume(VolumeId=volume)
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        self.ec2.delete_volume(VolumeId=volume)
        # off and on again: what is on the disk stays, the public address does not
        self.ec2.stop_instances(InstanceIds=[self.instance_id])
        self.wait("stopped")
        self.assertNotIn("PublicIpAddress", self.instance())
        self.attributes()
        self.ec2.start_instances(InstanceIds=[self.instance_id])
        self.wait("running")
        self.assertEqual(self.until_ssh("cat /etc/marked").strip(), "marked")
        self.assertAwsError("IncorrectInstanceState", self.ec2.modify_instance_attribute, InstanceId=self.instance_id, InstanceType={"Value": "t3.micro"})
        self.ec2.terminate_instances(InstanceIds=[self.instance_id])
        self.wait("terminated")
        self.ec2.deregister_image(ImageId=made)
        for s in snapshots:
            self.ec2.delete_snapshot(SnapshotId=s)
        self.assertEqual(self.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [self.instance_id]}])["Volumes"], [])


    def image_of_other_disks(self, name):
        """An image whose root is larger, without the disk at /dev/sdf, with an empty one more: what is launched of it is so."""
        root = self.instance()["RootDeviceName"]
        size = self.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [self.instance_id]},
                                                  {"Name": "attachment.device", "Values": [root]}])["Volumes"][0]["Size"]
        make = lambda *disks: self.ec2.create_image(InstanceId=self.instance_id, Name=name, NoReboot=True, BlockDeviceMappings=list(disks))["ImageId"]
        for code, disk in (("InvalidBlockDeviceMapping", {"DeviceName": root, "NoDevice": ""}), ("InvalidParameterValue", {"DeviceName": root, "Ebs": {"VolumeSize": size - 1}}),
                           ("InvalidSnapshot.NotFound", {"DeviceName": "/dev/sdg", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}),
                           ("InvalidBlockDeviceMapping", {"DeviceName": root, "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}),
                           ("MissingParameter", {"DeviceName": "/dev/sdg", "Ebs": {"VolumeType": "gp2"}}), ("InvalidParameterValue", {"DeviceName": "sdg", "Ebs": {"VolumeSize": 1}})):
            self.assertAwsError(code, make, disk)
        made = make({"DeviceName": root, "Ebs": {"VolumeSize": size + 1, "VolumeType": "gp3"}}, {"DeviceName": "/dev/sdf", "NoDevice": ""},
                    {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 3}})
        self.ec2.get_waiter("image_available").wait(ImageIds=[made], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        disks = {m["DeviceName"]: m["Ebs"] for m in self.ec2.describe_images(ImageIds=[made])["Images"][0]["BlockDeviceMappings"]}
        self.assertEqual({k: (d["VolumeSize"], d["VolumeType"], "SnapshotId" in d) for k, d in disks.items()}, {root: (size + 1, "gp3", True), "/dev/sdg": (3, "gp2", False)})
        copy = self.ec2.run_instances(ImageId=made, InstanceType="t3.nano", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        volumes = self.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [copy]}])["Volumes"]
        self.assertEqual({v["Attachments"][0]["Device"]: (v["Size"], v["VolumeType"]) for v in volumes}, {root: (size + 1, "gp3"), "/dev/sdg": (3, "gp2")})
        self.ec2.terminate_instances(InstanceIds=[copy])
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[copy], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.ec2.deregister_image(ImageId=made)
        self.ec2.delete_snapshot(SnapshotId=disks[root]["SnapshotId"])


@unittest.skipIf(no_containers(), no_containers())
class Containers(Machines):
    """The same life under this machine's kernel."""
    driver = "container"

    def has_what_its_type_has(self):
        """Of memory test_exec proves it, of processors test_credits: a container sees the machine's."""

    def look_out(self):
        super().look_out()
        # its root is root there
        self.assertEqual(self.ssh("sudo id -u && sudo touch /root/x && sudo chown admin /root/x && sudo stat -c %U /root/x").stdout.split(), ["0", "admin"])
        for what in ("mknod /tmp/disk b 7 0", "mount -t ext4 /dev/loop0 /mnt", "modprobe dummy", "dmesg", "date -s 2001-01-01", "losetup -f",
                     "sh -c 'echo 1 > /proc/sys/kernel/sysrq'", "sh -c 'echo b > /proc/sysrq-trigger'", "cat /proc/kcore",
                     "sh -c 'echo 1 > /sys/fs/cgroup/../cgroup.procs'", f"ls {os.path.abspath(__file__)}"):
            with self.subTest(what):
                self.assertNotEqual(self.ssh("sudo " + what).returncode, 0)
        # no process but its own
        self.assertNotIn("quartet-shim", self.ssh("sudo cat /proc/[0-9]*/comm").stdout)
        self.assertIn("systemd", self.ssh("sudo cat /proc/1/comm").stdout)


if __name__ == "__main__":
    unittest.main()
