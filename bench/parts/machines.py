"""EC2: what many records cost to describe."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

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
