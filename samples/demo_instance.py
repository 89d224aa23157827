"""The part of the demonstration that runs the same work on an instance of EC2: launches the default image, waits until its web server answers, asks it like
the functions were asked, ends it, and reads from Cost Explorer what the time in between would have cost."""
import base64
import http.client
import json
import os
import shutil
import sys
import time

from botocore.exceptions import ClientError

HERE = os.path.dirname(os.path.abspath(__file__))
TYPE, PORT, WARM, BOOT_SECONDS, IMPORT_SECONDS = "t3.micro", 8000, 10, 300, 60
GROUP = ROLE = "demo-instance"
IMAGE = "/var/cache/quartet/images/debian-12-amd64/image.json"
KINDS = {"qemu": "emulated by QEMU (no KVM here), so its processor is far slower than this machine's", "kvm": "a virtual machine with KVM"}


class Progress:
    """How long something has taken, on a terminal; nothing in a pipe."""

    def __init__(self, what):
        self.what, self.begin = what, time.monotonic()

    def show(self):
        if sys.stdout.isatty():
            print(f"\r   {self.what}: {time.monotonic() - self.begin:.0f} s", end="", flush=True)

    def end(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def why_not(ec2):
    """What is missing for an instance; None: nothing."""
    if not shutil.which("qemu-storage-daemon") and not shutil.which("qemu-system-x86_64"):
        return "QEMU is not installed (apt install qemu-system-x86)"
    if not os.path.exists(IMAGE):
        return "there is no image for instances yet (tools/make-image makes one, about three minutes)"
    until = time.monotonic() + IMPORT_SECONDS
    while not images(ec2):
        if time.monotonic() > until:
            return "the cloud does not list the image; `quartet doctor` and its log say more"
        time.sleep(0.2)
    return None


def images(ec2):
    return ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["debian-12-*"]}])["Images"]


def user_data():
    """A script that writes the two files of the server and starts it, now and at every boot."""
    lines = ["#!/bin/sh", "mkdir -p /opt/report"]
    for source in ("report-python/orders.py", "report-instance/server.py"):
        with open(os.path.join(HERE, source)) as f:
            lines += [f"cat > /opt/report/{os.path.basename(source)} <<'END-OF-FILE'", f.read().rstrip("\n"), "END-OF-FILE"]
    lines += ["cat > /etc/systemd/system/report.service <<'END-OF-FILE'", "[Service]", "ExecStart=/usr/bin/python3 /opt/report/server.py", "Restart=always",
              "RestartSec=1", "[Install]", "WantedBy=multi-user.target", "END-OF-FILE", "systemctl enable report", "systemctl start --no-block report"]
    return "\n".join(lines) + "\n"


def make_profile(iam, bucket):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    access = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    try:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        iam.create_instance_profile(InstanceProfileName=ROLE)
        iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    iam.put_role_policy(RoleName=ROLE, PolicyName="orders", PolicyDocument=json.dumps(access))


def make_group(ec2):
    try:
        group = ec2.create_security_group(GroupName=GROUP, Description="web server of the demonstration")["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=PORT, ToPort=PORT, CidrIp="0.0.0.0/0")
        return group
    except ClientError as e:
        if e.response["Error"]["Code"] != "InvalidGroup.Duplicate":
            raise
        return ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [GROUP]}])["SecurityGroups"][0]["GroupId"]


def show(ec2, instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def ask(address, event, timeout):
    """One call, timed: milliseconds and what it said."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection(address, PORT, timeout=timeout)
    try:
        connection.request("POST", "/", body=json.dumps(event))
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        raise RuntimeError(f"the instance answered {reply.status}: {body.decode(errors='replace')}")
    return (time.perf_counter() - begin) * 1000, json.loads(body)


def wait_for_server(ec2, instance, event):
    """Until the work was done once: milliseconds of that call, what it said."""
    progress = Progress(f"instance {instance} boots")
    until = time.monotonic() + BOOT_SECONDS
    try:
        while time.monotonic() < until:
            progress.show()
            now = show(ec2, instance)
            if now["State"]["Name"] not in ("pending", "running"):
                raise RuntimeError(f"the instance is {now['State']['Name']}: {now.get('StateReason', {}).get('Message', 'no reason given')}")
            try:
                if "PublicIpAddress" in now:
                    return ask(now["PublicIpAddress"], event, timeout=60)
            except OSError:
                pass
            time.sleep(0.25)
    finally:
        progress.end()
    console = base64.b64decode(ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", "")).decode(errors="replace")
    raise RuntimeError(f"no answer after {BOOT_SECONDS} s; the end of its console:\n{console[-1500:]}")


def end(ec2, instance):
    ec2.terminate_instances(InstanceIds=[instance])
    until = time.monotonic() + 120
    progress = Progress(f"instance {instance} ends")
    while show(ec2, instance)["State"]["Name"] != "terminated" and time.monotonic() < until:
        progress.show()
        time.sleep(0.25)
    progress.end()


def spent(ce):
    """USD of EC2, its disks and addresses so far, by usage type."""
    day = time.gmtime()
    month = [f"{day.tm_year}-{day.tm_mon:02}-01", f"{day.tm_year + day.tm_mon // 12}-{day.tm_mon % 12 + 1:02}-01"]
    out = ce.get_cost_and_usage(TimePeriod={"Start": month[0], "End": month[1]}, Granularity="MONTHLY", Metrics=["UnblendedCost"],
                                Filter={"Not": {"Dimensions": {"Key": "SERVICE", "Values": ["AWS Lambda"]}}},
                                GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}])
    return {g["Keys"][0]: float(g["Metrics"]["UnblendedCost"]["Amount"]) for g in out["ResultsByTime"][0]["Groups"]}


def run(client, say, event):
    """The measures of an instance, or None and a line that says why there is none."""
    ec2, ce = client("ec2"), client("ce")
    missing = why_not(ec2)
    if missing:
        say(f"instance: skipped, {missing}")
        return None
    make_profile(client("iam"), event["bucket"])
    before, group = spent(ce), make_group(ec2)
    say(f"instance: {TYPE}, {images(ec2)[0]['Name']}, port {PORT} open; its user data starts a web server that does the same work; {WARM} warm calls")
    begin = time.monotonic()
    launched = ec2.run_instances(ImageId=images(ec2)[0]["ImageId"], InstanceType=TYPE, MinCount=1, MaxCount=1, SecurityGroupIds=[group],
                                 IamInstanceProfile={"Name": ROLE}, UserData=user_data())
    instance = launched["Instances"][0]["InstanceId"]
    try:
        first, said = wait_for_server(ec2, instance, event)
        start = time.monotonic() - begin
        address = show(ec2, instance)["PublicIpAddress"]
        progress, warm = Progress("warm calls"), []
        for _ in range(WARM):
            progress.show()
            warm.append(ask(address, event, timeout=120)[0])
        progress.end()
    except (RuntimeError, OSError) as e:
        say(f"instance: {e}")
        return None
    finally:
        end(ec2, instance)
        ran = time.monotonic() - begin
    after = spent(ce)
    bill = {usage: usd - before.get(usage, 0) for usage, usd in after.items() if usd > before.get(usage, 0)}
    return {"start": start, "first": first, "warm": warm, "bill": bill, "ran": ran, "kind": KINDS.get(said["on"], "a system container"),
            "revenue_cents": said["revenue_cents"]}
