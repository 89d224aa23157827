"""The network of containers in an environment of Elastic Beanstalk: a namespace each on one bridge, and ports of the instance that lead to them.

The rules are the kernel's alone: nothing has to run for them, so the agent may end and start again. They are replaced as a whole, when others run than before.
"""
import ipaddress
import json
import os
import re
import socket

from beanstalk_system import Failed, run, run_quietly

RANGES = ("172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16", "192.168.208.0/20")
NAME, TABLE = "docker0", "elasticbeanstalk"
RESERVED = {("tcp", 22): "sshd"}
LOOPBACK = "127.0.0.0/8"


def need(*argv):
    done = run(*argv)
    if done.returncode:
        raise Failed(f"the network of containers cannot be made: {argv[0]}: {done.last()}")
    return done.stdout


def bridge():
    """The range of the containers' addresses; its first one is the bridge's."""
    routes = [r for r in json.loads(run_quietly("ip", "-j", "route") or "[]") if r["dst"] != "default"]
    own = next((r["dst"] for r in routes if r.get("dev") == NAME), None)
    if own:
        return ipaddress.ip_network(own)
    others = [ipaddress.ip_network(r["dst"], strict=False) for r in routes]
    fits = [r for r in map(ipaddress.ip_network, RANGES) if not any(r.overlaps(other) for other in others)]
    if not fits:
        raise Failed("the network of containers cannot be made: the subnet leaves no range of addresses for them")
    if not os.path.exists(f"/sys/class/net/{NAME}"):
        need("ip", "link", "add", NAME, "type", "bridge")
    need("ip", "addr", "replace", f"{fits[0][1]}/{fits[0].prefixlen}", "dev", NAME)
    need("ip", "link", "set", NAME, "up")
    # what the instance itself asks of 127.0.0.1 may leave by the bridge
    for path in ("ip_forward", f"conf/{NAME}/route_localnet"):
        with open(f"/proc/sys/net/ipv4/{path}", "w", encoding="ascii") as f:
            f.write("1")
    return fits[0]


def free(within, taken):
    for host in within.hosts():
        if host != within[1] and str(host) not in taken:
            return str(host)
    raise Failed("no address is left for a container")


def join(name, link, address, within):
    """A namespace with an interface on the bridge. Its end of the link goes with it. An address has always the same hardware address: who knows it from the
    container that had it before would ask in vain for long."""
    hardware = "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    run_quietly("ip", "link", "del", link)
    leave(name)
    need("ip", "netns", "add", name)
    inside = ("nsenter", f"--net=/run/netns/{name}", "ip")  # not by `ip -n`: it mounts /sys anew, which a container's root may not
    need(*inside, "link", "set", "lo", "up")
    need("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "address", hardware, "netns", name)
    need("ip", "link", "set", link, "master", NAME, "up")
    need(*inside, "addr", "add", f"{address}/{within.prefixlen}", "dev", "eth0")
    need(*inside, "link", "set", "eth0", "up")
    need(*inside, "route", "add", "default", "via", str(within[1]))


def leave(name):
    run_quietly("ip", "netns", "del", name)


def rules(within, ports):
    """ports: [(protocol, port of the instance, address, port there)]"""
    def elements(protocol):
        found = [f"{port} : {address} . {at}" for kind, port, address, at in ports if kind == protocol]
        return f"elements = {{ {', '.join(found)} }}; " if found else ""
    to = "".join(f"        fib daddr type local dnat ip to {p} dport map @{p}_ports\n" for p in ("tcp", "udp"))
    return f"""table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
    map tcp_ports {{ type inet_service : ipv4_addr . inet_service; {elements("tcp")}}}
    map udp_ports {{ type inet_service : ipv4_addr . inet_service; {elements("udp")}}}
    chain arrive {{
        type nat hook prerouting priority dstnat;
{to}    }}
    chain own {{
        type nat hook output priority -100;
{to}    }}
    chain leave {{
        type nat hook postrouting priority srcnat;
        ip saddr {within} oifname != "{NAME}" masquerade
        ip saddr {{ {within}, {LOOPBACK} }} oifname "{NAME}" ct status dnat masquerade
    }}
}}
"""


def published():
    """Ports that lead to containers now, as (protocol, port)."""
    return {(protocol, int(port)) for protocol in ("tcp", "udp")
            for port in re.findall(r"(\d+) : \d", run_quietly("nft", "list", "map", "ip", TABLE, f"{protocol}_ports"))}


def check(ports, others=()):
    """Nobody else has them. others: programs' that end before these begin."""
    had = published() | set(others)
    for protocol, port, *_ in ports:
        if (protocol, port) in RESERVED:
            raise Failed(f"Bind for 0.0.0.0:{port} failed: port is already allocated to {RESERVED[protocol, port]}")
        if (protocol, port) in had:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("0.0.0.0", port))
            except OSError as e:
                raise Failed(f"Bind for 0.0.0.0:{port} failed: {e.strerror}") from e


def publish(within, ports):
    need("nft", rules(within, ports))
