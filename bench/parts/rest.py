"""The cloud at rest: how long it takes to be there, and what it holds while nobody asks for anything."""
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

from cloud import free_port, program
from parts.tools import children, end, median, pss_mib

HEALTH = b"GET /_quartet/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answer(port, process):
    """Until the first answer; connecting is tried without a pause, as a test runner that waits for the cloud would."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(HEALTH)
            if client.recv(4096).startswith(b"HTTP/1.1 200"):
                return
        if process.poll() is not None:
            raise RuntimeError(f"the cloud ended with status {process.returncode}")
        time.sleep(0.0002)


def one_start():
    data, port = tempfile.mkdtemp(prefix="quartet-bench-"), free_port()
    begin = time.perf_counter()
    process = subprocess.Popen([program(), "up", "--data", data, "--listen", f"127.0.0.1:{port}", "--tls-port", "0"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answer(port, process)
        return (time.perf_counter() - begin) * 1000
    finally:
        end(process)
        shutil.rmtree(data, ignore_errors=True)


def fork_exec():
    begin = time.perf_counter()
    subprocess.run(["/bin/true"])
    return (time.perf_counter() - begin) * 1000


def start(bench):
    """from exec to the first answer, and memory of all roles then"""
    times, floor = [], []
    for n in range(bench.rounds * 5):
        bench.say(f"start: {n + 1} of {bench.rounds * 5}")
        times.append(one_start())
        floor.append(fork_exec())
    bench.add("daemon start to first answer, empty data directory", median(times), "ms", reach=25, peer="fork + exec /bin/true",
              peer_value=median(floor), note=f"p90 {sorted(times)[len(times) * 9 // 10]:.0f} ms",
              bound="in a traced start the longest single wait was the first sync of the log events' new database to the disk; the rest is processor time "
                    "of main, api and priv, which start side by side.")


def settle(pids, seconds=10):
    """Memory once the roles have come to rest: prepared sandboxes take a moment."""
    before, until = -1.0, time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.5)
        now = pss_mib(pids())
        if abs(now - before) < 0.05:
            break
        before = now
    return now


def idle(bench):
    """memory of all roles with nothing to do, and with 10,000 idle connections"""
    with bench.cloud() as cloud:
        total = settle(lambda: list(cloud.roles.values()))
        parts = ", ".join(f"{role} {pss_mib([pid]):.1f}" for role, pid in cloud.roles.items())
        waiting = [pid for pid in children(cloud.roles.get("priv", 0)) if os.path.exists(f"/proc/{pid}")]
        note = f"Pss: {parts}"
        if waiting:
            note += f"; besides, {len(waiting)} processes of prepared sandboxes with {pss_mib(waiting):.1f}"
        bench.add("idle memory of all roles, functions enabled", total, "MiB", reach=13, note=note,
                  bound="libcrypto and libc, of which each role has its share.")
        before = pss_mib([cloud.roles["api"]])
        holder = subprocess.Popen([bench.program("load"), str(cloud.port), "plain", "--connections", "10000", "--count", "10000", "--hold"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            if holder.stdout.readline().strip() != b"{}":
                raise RuntimeError("10,000 connections cannot be opened")
            time.sleep(0.5)
            cloud.health()
            after = pss_mib([cloud.roles["api"]])
        finally:
            holder.stdin.close()
            holder.wait()
        bench.add("api role with 10,000 idle connections", after, "MiB", reach=60, note=f"{(after - before) * 1024 / 10:.0f} bytes per connection",
                  bound="one struct per connection.")
