"""Object storage: many small objects, and one of a gibibyte."""
import os
import shutil
import subprocess
import tempfile
import time

from parts.tools import cpu_seconds, median

GIB = 1 << 30


def small(bench):
    """PUT and GET of objects of 1 KiB"""
    puts, gets, bare_puts, bare_gets, floor, p50, p99, cpu = [], [], [], [], [], [], [], []
    with bench.cloud() as cloud, bench.server(bench.program("epoll_bare")) as (_, bare):
        cloud.call("s3", "PUT", "/small")
        bench.load(cloud.port, "s3-put", name="small", count=2000)
        api = cloud.roles["api"]
        for n in range(bench.rounds):
            bench.round(n)
            bare_puts.append(bench.load(bare, "s3-put", connections=256)["rate"])
            used = cpu_seconds(api)
            # every round its own prefix: all keys are new
            figures = bench.load(cloud.port, "s3-put", name=f"small/{n}", connections=256)
            cpu.append((cpu_seconds(api) - used) / figures["requests"] * 1e6)
            puts.append(figures["rate"])
            p50.append(figures["p50_us"] / 1000)
            p99.append(figures["p99_us"] / 1000)
            floor.append(store_writes(bench))
            bare_gets.append(bench.load(bare, "s3-get")["rate"])
            gets.append(bench.load(cloud.port, "s3-get", name="small", keys=2000)["rate"])
    bench.add("durable small writes through the front door, PutObject 1 KiB", median(puts), "/s", reach=20000, bigger=True,
              peer="LMDB, 256 puts a commit", peer_value=median(floor),
              note=f"256 connections, new keys; {median(cpu):.0f} us of processor time of api a call; p50 {median(p50):.1f} ms, p99 {median(p99):.1f} ms; "
                   f"bare epoll server {median(bare_puts):,.0f}/s",
              bound="the one thread of api: half of its time a call is the kernel's, to receive and to send; the store's thread needs 9 us.")
    bench.add("GetObject 1 KiB", median(gets), "/s", peer="bare epoll server, same requests", peer_value=median(bare_gets), note="64 connections")


def store_writes(bench):
    text = subprocess.run([bench.program("store_writes"), "256", "1"], capture_output=True, text=True, check=True).stdout
    return float(text.split("a commit: ")[1].split("/s")[0])


def copy(source, target):
    """cp and fsync of the copy, in seconds."""
    begin = time.perf_counter()
    subprocess.run(["cp", "--sparse=never", "--reflink=never", source, target], check=True)
    fd = os.open(target, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    took = time.perf_counter() - begin
    os.unlink(target)
    return took


def large(bench):
    """PUT and GET of one object of 1 GiB, next to cp and fsync"""
    puts, gets, copies, reads = [], [], [], []
    scratch = tempfile.mkdtemp(prefix="quartet-bench-")
    try:
        source = os.path.join(scratch, "source")
        with open(source, "wb") as f:
            for _ in range(GIB >> 20):
                f.write(b"q" * (1 << 20))
        with bench.cloud() as cloud:
            cloud.call("s3", "PUT", "/large")
            for n in range(bench.rounds):
                bench.round(n)
                copies.append(copy(source, source + ".copy"))
                puts.append(bench.load(cloud.port, "s3-put", name="large", bytes=GIB, count=1, keys=1, connections=1)["seconds"])
                reads.append(read(source))
                gets.append(bench.load(cloud.port, "s3-get", name="large", count=1, keys=1, connections=1)["seconds"])
                cloud.call("s3", "DELETE", "/large/key-0")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    bench.add("PutObject 1 GiB, signed content", median(puts), "s", peer="cp and fsync", peer_value=median(copies), note=f"{1024 / median(puts):,.0f} MiB/s")
    bench.add("GetObject 1 GiB", median(gets), "s", peer="cat to /dev/null", peer_value=median(reads), note=f"{1024 / median(gets):,.0f} MiB/s")


def read(path):
    begin = time.perf_counter()
    with open(path, "rb") as f, open("/dev/null", "wb") as null:
        subprocess.run(["cat"], stdin=f, stdout=null, check=True)
    return time.perf_counter() - begin
