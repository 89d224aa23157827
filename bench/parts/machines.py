"""EC2: how long instances take to start, and what many records cost to describe."""
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from parts.functions import fork_exec
from parts.tools import BenchCloud, Skip, median
from parts.tools import end as end_process

RECORDS = 10000


def ec2(cloud, action, **fields):
    body = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **{k.replace("_", "."): v for k, v in fields.items()}})
    return cloud.call("ec2", "POST", "/", body.encode(), {"content-type": "application/x-www-form-urlencoded"})[1].decode()


def element(text, name):
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    return found.group(1) if found else None


@contextlib.contextmanager
def recorded(bench):
    """A cloud that has the records of RECORDS stopped instances, and the id of one of them."""
    data = tempfile.mkdtemp(prefix="quartet-bench-")
    cloud = BenchCloud(data)
    try:
        cloud.start()
        vpc = element(ec2(cloud, "DescribeVpcs"), "vpcId")
        subnet = element(ec2(cloud, "DescribeSubnets"), "subnetId")
        group = element(ec2(cloud, "DescribeSecurityGroups"), "groupId")
        cloud.stop()
        records = subprocess.run([bench.program("ec2_records"), os.path.join(data, "state"), "000000000000", "us-east-1", vpc, subnet, group, str(RECORDS)],
                                 capture_output=True, text=True, check=True)
        yield cloud.start(), records.stdout.strip()
    finally:
        cloud.stop()
        shutil.rmtree(data, ignore_errors=True)


def timed(cloud, action, **fields):
    begin = time.perf_counter()
    reply = ec2(cloud, action, **fields)
    return (time.perf_counter() - begin) * 1000, reply


def pages(cloud):
    """Every instance, a thousand reservations at a time: how many there were, and how long each page took."""
    fields, count, times = {"MaxResults": 1000}, 0, []
    while True:
        ms, reply = timed(cloud, "DescribeInstances", **fields)
        times.append(ms)
        count += reply.count("<instanceId>")
        fields["NextToken"] = element(reply, "nextToken")
        if not fields["NextToken"]:
            return count, times


def describe(bench):
    """DescribeInstances over ten thousand recorded instances: by id, by filter, by page"""
    few = BenchCloud().start()
    try:
        empty = median([timed(few, "DescribeInstances")[0] for _ in range(20)])
    finally:
        few.stop()
    with recorded(bench) as (cloud, one):
        by_id = [timed(cloud, "DescribeInstances", InstanceId_1=one) for _ in range(bench.rounds * 20)]
        if element(by_id[0][1], "instanceId") != one:
            raise RuntimeError(f"{one} is not described")
        found = [timed(cloud, "DescribeInstances", Filter_1_Name="tag:Name", Filter_1_Value_1=f"host-{RECORDS // 2}") for _ in range(bench.rounds)]
        if found[0][1].count("<instanceId>") != 1:
            raise RuntimeError("the filter does not find one instance")
        count, times = pages(cloud)
        if count != RECORDS:
            raise RuntimeError(f"the pages have {count} instances")
    what = f"DescribeInstances over {RECORDS:,} recorded instances"
    bench.add(f"{what}, one by id", median([ms for ms, _ in by_id]), "ms", peer="the same with no instance recorded", peer_value=empty)
    bench.add(f"{what}, one by a filter on a tag", median([ms for ms, _ in found]), "ms", note="every record is read")
    bench.add(f"{what}, a page of 1,000 reservations", median(times), "ms", note=f"2,000 instances; first {times[0]:.0f} ms, last {times[-1]:.0f} ms")


IMAGE = "/var/cache/quartet/images/debian-12-amd64"


def default_image(cloud):
    """The id of the image of tools/make-image, or None."""
    for _ in range(50):
        image = element(ec2(cloud, "DescribeImages", Owner_1="amazon"), "imageId")
        if image or not os.path.exists(f"{IMAGE}/image.json"):
            return image
        time.sleep(0.2)
    return None


def until(cloud, action, instance, sign, seconds=120):
    """Milliseconds until the reply about the instance shows this sign."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        if re.search(sign, ec2(cloud, action, InstanceId_1=instance), re.S):
            return (time.perf_counter() - begin) * 1000
        time.sleep(0.002)
    raise RuntimeError(f"{instance}: no {sign} after {seconds} s")


def until_state(cloud, instance, state):
    return until(cloud, "DescribeInstances", instance, f"<instanceState>.{{0,60}}<name>{state}</name>")


def until_heard(cloud, instance):
    """The guest has asked for its metadata; the check of the system around it passes before."""
    return until(cloud, "DescribeInstanceStatus", instance, "<instanceStatus>(?:(?!</instanceStatus>).)*<status>ok</status>", 300)


FIRST = b"init: user space begins"  # what guest/init.c says first


def until_first_process(cloud, instance, seconds=120):
    """Milliseconds until the serial console has what the guest's first process says."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        console = element(ec2(cloud, "GetConsoleOutput", InstanceId=instance, Latest="true"), "output") or ""
        if FIRST in base64.b64decode(console):
            return (time.perf_counter() - begin) * 1000
        time.sleep(0.01)
    raise RuntimeError(f"{instance}: no first process after {seconds} s")


def run(cloud, image, driver, count=1, least=None, **more):
    """(ids, milliseconds that the call took)"""
    tag = "TagSpecification_1_"
    ms, reply = timed(cloud, "RunInstances", ImageId=image, InstanceType="t2.nano", MinCount=least or count, MaxCount=count,
                      **more, **{tag + "ResourceType": "instance", tag + "Tag_1_Key": "quartet:driver", tag + "Tag_1_Value": driver})
    return re.findall("<instanceId>([^<]*)<", reply), ms


def end(cloud, ids):
    ec2(cloud, "TerminateInstances", **{f"InstanceId_{k + 1}": i for k, i in enumerate(ids)})
    for i in ids:
        until_state(cloud, i, "terminated")


def by_hand():
    """Milliseconds from the start of the same guest in the same QEMU, without a cloud, to its first process and to its first TCP segment for the
    metadata service."""
    with open(f"{IMAGE}/image.json") as f:
        command_line = json.load(f)["command_line"]
    with tempfile.TemporaryDirectory(prefix="quartet-bench-") as place:
        disk, frames = os.path.join(place, "disk"), os.path.join(place, "frames")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", f"{IMAGE}/root.raw", "-F", "raw", disk], check=True)
        begin = time.perf_counter()
        qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "pc,usb=off,vmport=off,graphics=off", "-accel", "tcg,thread=multi,tb-size=96", "-cpu", "max,la57=off", "-smp", "1",
             "-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-device", "virtio-rng-pci",
             "-kernel", f"{IMAGE}/kernel", "-initrd", f"{IMAGE}/initrd", "-append", command_line, "-drive", f"if=virtio,file={disk},format=qcow2",
             "-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile=", "-object", f"filter-dump,id=dump,netdev=net,file={frames}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(qemu.stdout.fileno(), False)
        first, console = None, b""
        try:
            while True:
                console += qemu.stdout.read() or b""
                if first is None and FIRST in console:
                    first = (time.perf_counter() - begin) * 1000
                if os.path.exists(frames):
                    with open(frames, "rb") as f:
                        if re.search(rb"\x45.{8}\x06.{6}\xa9\xfe\xa9\xfe", f.read(), re.S):
                            return first, (time.perf_counter() - begin) * 1000
                if qemu.poll() is not None or time.perf_counter() - begin > 300:
                    raise RuntimeError("the guest that was started by hand asks nothing")
                time.sleep(0.01)
        finally:
            end_process(qemu)


CROWD = 100


def all_in_state(cloud, ids, state, seconds=600):
    """Milliseconds until the last of them shows it, asked for together."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        reply = ec2(cloud, "DescribeInstances", **{f"InstanceId_{k + 1}": i for k, i in enumerate(ids)})
        if len(re.findall(f"<instanceState>.{{0,60}}<name>{state}</name>", reply, re.S)) == len(ids):
            return (time.perf_counter() - begin) * 1000
        time.sleep(0.02)
    raise RuntimeError(f"of {len(ids)} instances not all were {state} after {seconds} s")


def crowd(bench):
    """A hundred containers at once, or as many as this machine has memory for, until the last runs, and until the last is terminated"""
    cloud = BenchCloud().start()
    try:
        image = default_image(cloud)
        if not image:
            raise Skip("there is no machine image")
        first, _ = run(cloud, image, "container")
        until_state(cloud, first[0], "running")
        end(cloud, first)
        time.sleep(2)  # as many prepared ones as otherwise
        ids, ms = run(cloud, image, "container", CROWD, least=1)
        count = len(ids)
        started = ms + all_in_state(cloud, ids, "running")
        begin = time.perf_counter()
        ec2(cloud, "TerminateInstances", **{f"InstanceId_{k + 1}": i for k, i in enumerate(ids)})
        all_in_state(cloud, ids, "terminated")
        ended = (time.perf_counter() - begin) * 1000
    finally:
        cloud.stop()
    bounded = "" if count == CROWD else f"; of {CROWD} that were asked for, which is what this machine has room for"
    bench.add(f"RunInstances of up to {CROWD} containers, until the last runs", started, "ms", note=f"{started / count:.0f} ms each, while those that run boot beside them{bounded}")
    bench.add("TerminateInstances of all of these while they boot, until the last is terminated", ended, "ms", note=f"{ended / count:.0f} ms each")


def instances(bench):
    """RunInstances to the first process of the instance and to its first question, containers and emulated machines"""
    cloud = BenchCloud().start()
    try:
        image = default_image(cloud)
        if not image:
            raise Skip("there is no machine image")
        end(cloud, run(cloud, image, "container")[0])  # the image is taken in by the first
        started, heard, alone = [], {"container": [], "vm": []}, []
        first = []
        for _ in range(bench.rounds * 3):
            ids, ms = run(cloud, image, "container")
            started.append(ms + until_state(cloud, ids[0], "running"))
            heard["container"].append(started[-1] + until_heard(cloud, ids[0]))
            end(cloud, ids)
        begin = time.perf_counter()
        ids, _ = run(cloud, image, "container", 15)
        for i in ids:
            until_state(cloud, i, "running")
        crowd = (time.perf_counter() - begin) * 1000
        end(cloud, ids)
        for _ in range(2):
            ids, ms = run(cloud, image, "vm")
            first.append(ms + until_first_process(cloud, ids[0]))
            heard["vm"].append(first[-1] + until_heard(cloud, ids[0]))
            end(cloud, ids)
            alone.append(by_hand())
    finally:
        cloud.stop()
    bench.add("RunInstances to the first process, container, p50", median(started), "ms", reach=60, peer="fork + exec /bin/true",
              peer_value=median([fork_exec() for _ in range(20)]), note=f"{len(started)} launches; p90 {sorted(started)[len(started) * 9 // 10]:.0f} ms",
              bound="syncs of the records, three in a row, and page faults of the processes that are started after the call: the one that mounts the disk, and "
                      "the steps to the container's init; the shim and its storage daemon wait prepared")
    bench.add("RunInstances of 15 containers, until the last runs", crowd, "ms")
    bench.add("RunInstances to the guest's first question, container", median(heard["container"]), "ms", note="systemd and the network are up then")
    bench.add("RunInstances to the first process, emulated machine", median(first), "ms", reach=2500, peer="the same QEMU and guest by hand",
              peer_value=median([ms for ms, _ in alone]), note=f"{len(first)} launches", bound="the emulated processor, which runs the guest's kernel until then")
    bench.add("RunInstances to the guest's first question, emulated machine", median(heard["vm"]), "ms",
              peer="the same QEMU and guest by hand", peer_value=median([ms for _, ms in alone]), note=f"{len(heard['vm'])} launches")


DISK_MIB = 128
DISK = f"""
import os, time
path, piece = os.environ.get("DISK_FILE", "/root/measure"), os.urandom(1 << 20)
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
begin = time.perf_counter()
for _ in range({DISK_MIB}):
    os.write(fd, piece)
os.fsync(fd)
written = time.perf_counter() - begin
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.lseek(fd, 0, os.SEEK_SET)
begin = time.perf_counter()
while os.read(fd, 1 << 20):
    pass
read = time.perf_counter() - begin
os.unlink(path)
said = f"\\nDISK {{{DISK_MIB} / written:.1f}} {{{DISK_MIB} / read:.1f}}\\n"
"""


def disk_rates(text):
    found = re.search(r"DISK ([0-9.]+) ([0-9.]+)", text)
    return (float(found.group(1)), float(found.group(2))) if found else None


GP3_MIB = 125  # a second, of a gp3 volume that nobody has paid more for: what the image's root is
FAST = {"BlockDeviceMapping.1.DeviceName": "/dev/xvda", "BlockDeviceMapping.1.Ebs.VolumeType": "gp3", "BlockDeviceMapping.1.Ebs.Throughput": "1000",
        "BlockDeviceMapping.1.Ebs.Iops": "16000", "BlockDeviceMapping.1.Ebs.VolumeSize": "32"}


def disk_of_guest(cloud, image, driver, volume):
    """(MiB/s written and synced, MiB/s read) in a fresh instance's root file system."""
    script = "#!/usr/bin/python3\n" + DISK + "open('/dev/console', 'w').write(said)\n"
    ids, _ = run(cloud, image, driver, UserData=base64.b64encode(script.encode()).decode(), **volume)
    try:
        begin = time.perf_counter()
        while time.perf_counter() - begin < 300:
            console = element(ec2(cloud, "GetConsoleOutput", InstanceId=ids[0], Latest="true"), "output") or ""
            rates = disk_rates(base64.b64decode(console).decode(errors="replace"))
            if rates:
                return rates
            time.sleep(0.5)
        raise RuntimeError(f"{driver}: the disk was not measured")
    finally:
        end(cloud, ids)


def disks(bench):
    """Sequential writes and reads of a root volume inside instances, as it comes and as fast as volumes can be, beside a file of the host"""
    cloud = BenchCloud().start()
    volumes = {"": {}, " of 1,000 MiB/s": FAST}
    inside, host = {(driver, name): [] for driver in ("container", "vm") for name in volumes}, []
    try:
        image = default_image(cloud)
        if not image:
            raise Skip("there is no machine image")
        for n in range(bench.rounds):
            bench.round(n)
            for (driver, name), rates in inside.items():
                if n == 0 or driver == "container":
                    rates.append(disk_of_guest(cloud, image, driver, volumes[name]))
            done = subprocess.run(["/usr/bin/python3", "-c", DISK + "print(said)"], capture_output=True, text=True, check=True,
                                  env={**os.environ, "DISK_FILE": os.path.join(cloud.data, "measure")})
            host.append(disk_rates(done.stdout))
    finally:
        cloud.stop()
    names = {"container": "a container", "vm": "an emulated machine"}
    for at, what in enumerate([f"{DISK_MIB} MiB written and synced", f"{DISK_MIB} MiB read"]):
        for (driver, name), rates in inside.items():
            # the volume's own limit is what is promised; what the way to it costs is seen where that is out of the way
            peer = ("a file of the host", median([r[at] for r in host])) if name else ("gp3's own limit", GP3_MIB)
            bench.add(f"{what} on the root volume{name} of {names[driver]}", median([r[at] for r in rates]), "MiB/s", peer=peer[0],
                      peer_value=peer[1], reach=None if name else GP3_MIB * 9 // 10, bigger=True, note="one launch" if driver == "vm" else "",
                      bound="the emulated processor: it fills its page cache no faster, whatever the volume's limit is" if driver == "vm" else
                      "the limit of the volume's type, which is enforced")
