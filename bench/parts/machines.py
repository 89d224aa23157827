"""EC2: how long instances take to start, and what many records cost to describe."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from parts.functions import fork_exec
from parts.tools import BenchCloud, median

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


def default_image(cloud):
    """The id of the image of tools/make-image, or None."""
    for _ in range(50):
        image = element(ec2(cloud, "DescribeImages", Owner_1="amazon"), "imageId")
        if image or not os.path.exists("/var/cache/quartet/images/debian-12-amd64/image.json"):
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


def run(cloud, image, driver, count=1):
    """(ids, milliseconds that the call took)"""
    tag = "TagSpecification_1_"
    ms, reply = timed(cloud, "RunInstances", ImageId=image, InstanceType="t2.nano", MinCount=count, MaxCount=count,
                      **{tag + "ResourceType": "instance", tag + "Tag_1_Key": "quartet:driver", tag + "Tag_1_Value": driver})
    return re.findall("<instanceId>([^<]*)<", reply), ms


def end(cloud, ids):
    ec2(cloud, "TerminateInstances", **{f"InstanceId_{k + 1}": i for k, i in enumerate(ids)})
    for i in ids:
        until_state(cloud, i, "terminated")


def instances(bench):
    """RunInstances to the first process of the instance and to its first question, containers and emulated machines"""
    cloud = BenchCloud().start()
    try:
        image = default_image(cloud)
        if not image:
            return
        end(cloud, run(cloud, image, "container")[0])  # the image is taken in by the first
        started, heard = [], {"container": [], "vm": []}
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
            heard["vm"].append(ms + until_heard(cloud, ids[0]))
            end(cloud, ids)
    finally:
        cloud.stop()
    bench.add("RunInstances to the first process, container, p50", median(started), "ms", reach=60, peer="fork + exec /bin/true",
              peer_value=median([fork_exec() for _ in range(20)]), note=f"{len(started)} launches; p90 {sorted(started)[len(started) * 9 // 10]:.0f} ms",
              bound="syncs of the volume's new file and of the records, and eight processes that are started, QEMU's storage daemon among them")
    bench.add("RunInstances of 15 containers, until the last runs", crowd, "ms")
    bench.add("RunInstances to the guest's first question, container", median(heard["container"]), "ms", note="systemd and the network are up then")
    bench.add("RunInstances to the guest's first question, emulated machine", median(heard["vm"]), "ms", note=f"{len(heard['vm'])} launches")
