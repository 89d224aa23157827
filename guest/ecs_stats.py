"""What containers use, by counters of the kernel's: for the cloud's metrics, and as Docker's API shows it to who asks from inside."""
import os
import time

GROUPS = "/sys/fs/cgroup/ecs"
NETWORK = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def numbers(text):
    return {name: int(value) for name, _, value in (line.partition(" ") for line in text.splitlines()) if value.strip().isdigit()}


def processes(group):
    return [int(pid) for place, _, _ in os.walk(group) for pid in read(f"{place}/cgroup.procs").split()]


def resident(pids):
    """Where the kernel does not count memory by groups: what the processes have, their common pages in parts."""
    found = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                found += int(line.split()[1]) << 10
    return found


def networks(pids):
    """Of the namespace's interfaces but the loopback, and the one that leads to the agent."""
    found = {}
    for line in read(f"/proc/{pids[0]}/net/dev").splitlines()[2:] if pids else []:
        name, _, rest = line.partition(":")
        values = [int(v) for v in rest.split()]
        if name.strip() not in ("lo", "ecs-eth0") and len(values) >= 12:
            found[name.strip()] = dict(zip(NETWORK, values[0:4] + values[8:12]))
    return found


class Sample:
    """Counters of one container, as they stand now."""

    def __init__(self, container):
        group = f"{GROUPS}/{container.id}"
        pids = processes(group)
        self.at_us, self.wall = time.monotonic_ns() // 1000, time.time()
        cpu = numbers(read(f"{group}/cpu.stat"))
        self.cpu_us, self.user_us, self.system_us = (cpu.get(n, 0) for n in ("usage_usec", "user_usec", "system_usec"))
        current = read(f"{group}/memory.current").strip()
        self.memory = int(current) if current else resident(pids)
        peak = read(f"{group}/memory.peak").strip()
        before = container.sampled.peak if container.sampled else 0
        self.peak = int(peak) if peak else max(self.memory, before)
        self.counted = bool(current)
        self.memory_stat = numbers(read(f"{group}/memory.stat"))
        self.pids = len(pids)
        self.networks = networks(pids) if container.mode != "host" else {}

    def told(self, container):
        """For the cloud."""
        found = {"TaskArn": container.task.arn, "ContainerName": container.name, "AtMicroseconds": self.at_us, "CpuMicroseconds": self.cpu_us,
                 "MemoryBytes": self.memory, "MemoryPeakBytes": self.peak}
        if self.networks:
            found.update({to: sum(n[name] for n in self.networks.values()) for to, name in (("ReceivedBytes", "rx_bytes"), ("SentBytes", "tx_bytes"))})
        return found

    def cpu(self):
        processors = os.cpu_count() or 1
        return {"cpu_usage": {"total_usage": self.cpu_us * 1000, "usage_in_kernelmode": self.system_us * 1000, "usage_in_usermode": self.user_us * 1000},
                "system_cpu_usage": self.at_us * 1000 * processors, "online_cpus": processors, "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}}


def stamp(wall):
    whole, part = divmod(int(wall * 10**9), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{part:09}Z"


def take(container):
    """A new sample of a container that runs; None: it does not. The one before is kept."""
    if container.status != "RUNNING":
        return None
    now = Sample(container)
    if not container.sampled or now.at_us - container.sampled.at_us > 1000000:
        container.sampled_before, container.sampled = container.sampled, now
    return now


def docker(container):
    """As GET /containers/ID/stats of Docker's API; None: it does not run."""
    now = take(container)
    if not now:
        return None
    before = container.sampled if container.sampled is not now else container.sampled_before
    memory = container.definition.get("memory") or int(container.task.definition.get("memory") or 0)
    with open("/proc/meminfo") as f:
        whole = int(f.readline().split()[1]) << 10
    found = {"read": stamp(now.wall), "preread": stamp(before.wall) if before else "0001-01-01T00:00:00Z", "name": container.id, "id": container.id, "num_procs": 0,
             "pids_stats": {"current": now.pids}, "cpu_stats": now.cpu(), "precpu_stats": before.cpu() if before else {},
             "memory_stats": {"usage": now.memory, "max_usage": now.peak, "stats": now.memory_stat, "limit": memory << 20 if memory else whole},
             "blkio_stats": {}, "storage_stats": {}}
    if now.networks:
        found["networks"] = now.networks
    if now.networks and before and before.networks:
        passed = (now.at_us - before.at_us) / 1e6
        grown = lambda name: sum(n[name] for n in now.networks.values()) - sum(n[name] for n in before.networks.values())
        found["network_rate_stats"] = {"rx_bytes_per_sec": grown("rx_bytes") / passed, "tx_bytes_per_sec": grown("tx_bytes") / passed}
    return found
