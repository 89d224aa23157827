"""The part of the demonstration that runs the same work on an instance of EC2: launches the default image, waits until its web server answers, asks it like
the functions were asked, ends it, and reads from Cost Explorer what the time in between would have cost."""
import base64
import os
import shutil
import time

from demo_server import HERE, PORT, SOURCES, WARM, Progress, make_group, make_role, spent, spent_since, wait_for_server, warm_calls

TYPE, BOOT_SECONDS = "t3.micro", 300
GROUP = ROLE = "demo-instance"
IMAGE = "/var/cache/quartet/images/debian-12-amd64/image.json"
KINDS = {"qemu": "emulated by QEMU (no KVM here), so its processor is far slower than this machine's", "kvm": "a virtual machine with KVM"}


def why_not(ec2):
    """What is missing for an instance; None: nothing."""
    if not shutil.which("qemu-storage-daemon") and not shutil.which("qemu-system-x86_64"):
        return "QEMU is not installed (apt install qemu-system-x86)"
    if not os.path.exists(IMAGE):
        return "there is no image for instances yet (tools/make-image makes one, about three minutes)"
    if not images(ec2):
        return "the cloud does not list the image; `quartet doctor` and its log say more"
    return None


def images(ec2):
    return ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["debian-12-*"]}])["Images"]


def user_data():
    """A script that writes the two files of the server and starts it, now and at every boot."""
    lines = ["#!/bin/sh", "mkdir -p /opt/report"]
    for source in SOURCES:
        with open(os.path.join(HERE, source)) as f:
            lines += [f"cat > /opt/report/{os.path.basename(source)} <<'END-OF-FILE'", f.read().rstrip("\n"), "END-OF-FILE"]
    lines += ["cat > /etc/systemd/system/report.service <<'END-OF-FILE'", "[Service]", "ExecStart=/usr/bin/python3 /opt/report/server.py", "Restart=always",
              "RestartSec=1", "[Install]", "WantedBy=multi-user.target", "END-OF-FILE", "systemctl enable report", "systemctl start --no-block report"]
    return "\n".join(lines) + "\n"


def make_profile(iam, name, bucket):
    """A role of that name for instances, in a profile of the same name."""
    make_role(iam, name, "ec2.amazonaws.com", bucket)
    try:
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    except iam.exceptions.EntityAlreadyExistsException:
        pass


def show(ec2, instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def address_of(ec2, instance):
    now = show(ec2, instance)
    if now["State"]["Name"] not in ("pending", "running"):
        raise RuntimeError(f"the instance is {now['State']['Name']}: {now.get('StateReason', {}).get('Message', 'no reason given')}")
    return f"{now['PublicIpAddress']}:{PORT}" if "PublicIpAddress" in now else None


def end(ec2, instance):
    ec2.terminate_instances(InstanceIds=[instance])
    until = time.monotonic() + 120
    progress = Progress(f"instance {instance} ends")
    while show(ec2, instance)["State"]["Name"] != "terminated" and time.monotonic() < until:
        progress.show()
        time.sleep(0.25)
    progress.end()


def run(client, say, event):
    """The measures of an instance, or None and a line that says why there is none."""
    ec2, ce = client("ec2"), client("ce")
    missing = why_not(ec2)
    if missing:
        say(f"instance: skipped, {missing}")
        return None
    make_profile(client("iam"), ROLE, event["bucket"])
    before, group = spent(ce), make_group(ec2, GROUP)
    say(f"instance: {TYPE}, {images(ec2)[0]['Name']}, port {PORT} open; its user data starts a web server that does the same work; {WARM} warm calls")
    begin = time.monotonic()
    launched = ec2.run_instances(ImageId=images(ec2)[0]["ImageId"], InstanceType=TYPE, MinCount=1, MaxCount=1, SecurityGroupIds=[group],
                                 IamInstanceProfile={"Name": ROLE}, UserData=user_data())
    instance = launched["Instances"][0]["InstanceId"]
    try:
        address, first, said = wait_for_server(f"instance {instance} boots", lambda: address_of(ec2, instance), event, BOOT_SECONDS)
        start = time.monotonic() - begin
        warm = warm_calls(address, event)
    except (RuntimeError, OSError) as e:
        console = base64.b64decode(ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", "")).decode(errors="replace")
        say(f"instance: {e}; the end of its console:\n{console[-1500:]}")
        return None
    finally:
        end(ec2, instance)
        ran = time.monotonic() - begin
    return {"what": TYPE, "start": start, "first": first, "warm": warm, "bill": spent_since(ce, before), "ran": ran,
            "kind": "The instance was " + KINDS.get(said["on"], "a system container")}
