"""Commands run inside instances that nobody can reach: a loop in the user data reads them from a tag of the instance, by the metadata
service, and says on the console what came of them."""
import base64
import json
import time
import zlib

from images import image, no_containers  # noqa: F401

AGENT = r'''#!/usr/bin/python3
import base64, json, os, subprocess, time, urllib.request, zlib
def ask(method, path, **headers):
    r = urllib.request.Request("http://169.254.169.254/latest/" + path, method=method, headers=headers)
    return urllib.request.urlopen(r, timeout=10).read().decode()
open("/root/lib.py", "w").write(zlib.decompress(base64.b64decode("LIBRARY")).decode())
done = ""
while True:
    try:
        token = ask("PUT", "api/token", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        command = ask("GET", "meta-data/tags/instance/do", **{"X-aws-ec2-metadata-token": token})
    except OSError:
        command = done
    if command != done:
        done = command
        number, line = command.split(" ", 1)
        r = subprocess.run(["sh", "-c", line], cwd="/root", capture_output=True, text=True, errors="replace")
        said = base64.b64encode(zlib.compress(json.dumps([r.returncode, r.stdout[-4000:], r.stderr[-2000:]]).encode())).decode()
        with open("/dev/console", "w") as f:
            f.write("\n<<" + number + ":" + said + ">>\n")
    time.sleep(0.1)
'''


def user_data(library=""):
    return AGENT.replace("LIBRARY", base64.b64encode(zlib.compress(library.encode())).decode())


class Inside:
    """An instance that has been started with user_data(), tags in its metadata allowed."""

    def __init__(self, ec2, instance):
        self.ec2, self.id, self.count = ec2, instance, 0

    def describe(self):
        return self.ec2.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0]

    def begin(self, line):
        """Starts a command; its number."""
        self.count += 1
        self.ec2.create_tags(Resources=[self.id], Tags=[{"Key": "do", "Value": f"{self.count} {line}"}])
        return self.count

    def end(self, number, seconds=180):
        """(status, output, errors) of a command."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            console = self.ec2.get_console_output(InstanceId=self.id, Latest=True).get("Output", "")
            mark = f"<<{number}:"
            if mark in console and ">>" in console.split(mark)[1]:
                said = "".join(console.split(mark)[1].split(">>")[0].split())
                return tuple(json.loads(zlib.decompress(base64.b64decode(said))))
            time.sleep(0.2)
        raise TimeoutError(f"{self.id}: command {number} does not end; its console says\n{console[-3000:]}")

    def run(self, line, seconds=180):
        return self.end(self.begin(line), seconds)


def launch(ec2, subnet, groups, library="", driver="container", kind="t3.micro", **more):
    """Begins an instance of the default image."""
    run = ec2.run_instances(ImageId=image(ec2), InstanceType=kind, MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=groups,
                            UserData=user_data(library), MetadataOptions={"InstanceMetadataTags": "enabled"},
                            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": driver}]}], **more)
    return Inside(ec2, run["Instances"][0]["InstanceId"])
