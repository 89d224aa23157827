"""Networks of VPCs: what their rules cost a packet, and how soon a change of them acts."""
import os
import subprocess

from parts.tools import Skip


def networks(bench):
    """Two interfaces of a VPC beside a plain veth pair; a security group's change to its effect; many groups and rules"""
    if os.geteuid() != 0:
        raise Skip("it makes network namespaces, which needs root")
    done = subprocess.run(["unshare", "-m", "--propagation", "private", bench.program("network")], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "QUARTET_PROGRAM": os.environ["QUARTET"]})
    if done.returncode:
        raise RuntimeError(f"network: {done.stderr.strip()[-500:]}")
    got = {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}
    pair = "two namespaces with a veth pair"
    bench.add("round trip between two interfaces of a VPC, TCP", got["round_trip"], "us", peer=pair, peer_value=got["round_trip_plain"],
              note="through the VPC's router, its ACLs and groups")
    bench.add("throughput between two interfaces of a VPC, TCP", got["bytes_per_s"] / (1 << 20), "MiB/s", peer=pair,
              peer_value=got["bytes_per_s_plain"] / (1 << 20), note="sender and receiver share the machine's processors")
    bench.add("security group opened, to the first packet that passes", got["open"] / 1000, "ms")
    bench.add("security group closed, to the last packet of an established flow", got["close"] / 1000, "ms")
    bench.add("1,000 groups of 50 rules, until all are in the kernel", got["put_groups"] / 1000, "ms")
    bench.add("one of them opened, to the first packet", got["open_many"] / 1000, "ms", note="its 51st rule")
    bench.add("one of them closed, to the last packet", got["close_many"] / 1000, "ms")
    bench.add("round trip with them, TCP", got["round_trip_many"], "us", peer="before they were there", peer_value=got["round_trip"])
