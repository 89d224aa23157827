"""Rates of signed calls and of durable writes, next to servers and stores that do less."""
import re
import shutil
import subprocess

from parts.tools import cpu_seconds, median


def calls(bench):
    """signed calls a second that read, next to a bare epoll server"""
    kinds = {"sts": "GetCallerIdentity", "logs": "DescribeLogGroups"}
    rates, peer, cpu, p99 = {k: [] for k in kinds}, [], {k: [] for k in kinds}, {k: [] for k in kinds}
    with bench.cloud() as cloud, bench.server(bench.program("epoll_bare")) as (_, bare_port):
        api = cloud.roles["api"]
        for op in kinds:
            bench.load(cloud.port, op, seconds=0.3)
        for n in range(bench.rounds):
            bench.round(n)
            peer.append(bench.load(bare_port, "sts")["rate"])
            for op in kinds:
                used = cpu_seconds(api)
                figures = bench.load(cloud.port, op)
                cpu[op].append((cpu_seconds(api) - used) / figures["requests"] * 1e6)
                rates[op].append(figures["rate"])
                p99[op].append(figures["p99_us"] / 1000)
    emulator = other_emulator(bench)
    for op, name in kinds.items():
        bench.add(f"signed calls, {name}", median(rates[op]), "/s", reach=40000, bigger=True, peer="bare epoll server, same requests",
                  peer_value=median(peer),
                  note=f"64 connections; {median(cpu[op]):.1f} us of processor time a call; p99 {median(p99[op]):.1f} ms; {emulator}",
                  bound="one thread; the larger half of a call's time is the kernel's, to take the request off the loopback and to send the reply.")


def other_emulator(bench):
    """Calls a second of moto's server where it is installed: a peer that imitates the APIs in Python."""
    program = shutil.which("moto_server")
    if not program:
        return "moto's server is not installed here (350/s published)"
    try:
        with bench.server(program, "-H", "127.0.0.1", "-p") as (_, port):
            bench.say("calls: moto's server")
            bench.load(port, "sts", connections=1, count=1)
            return f"moto's server, the same requests, {bench.load(port, 'sts', connections=8)['rate']:,.0f}/s"
    except RuntimeError as error:
        return f"moto's server does not run here ({error})"


def writes(bench):
    """durable small writes a second through the store, next to LMDB alone"""
    ours, theirs = [], []
    for n in range(bench.rounds):
        bench.round(n)
        text = subprocess.run([bench.program("store_writes"), "256", str(max(1, round(bench.seconds)))], capture_output=True, text=True, check=True).stdout
        found = re.search(r"writers: (\d+)/s.*a commit: (\d+)/s", text)
        ours.append(int(found.group(1)))
        theirs.append(int(found.group(2)))
    bench.add("durable small writes, the store alone", median(ours), "/s", reach=20000, bigger=True, peer="LMDB, 256 puts a commit",
              peer_value=median(theirs), note="256 writers", bound="syncs of the disk, which also bound the peer.")
