"""The network of an instance's containers: namespaces on a bridge behind the instance's address, published ports by nftables."""
import ipaddress
import json
import os
import socket
import subprocess
import threading
import time

INSIDE = 51679  # where the agent answers containers that ask 169.254.170.2: port 80 of the instance may be one's own
LINK_S = 120  # so long an interface may take to come


class Failed(Exception):
    pass


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise Failed(f"CannotStartContainerError: {argv[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


class Network:
    """A bridge behind the instance's address. A published port is led to its container by the kernel, and held meanwhile by a socket, at which only the
    instance itself asks by 127.0.0.1: that is passed on here."""

    RANGES = ("172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16", "192.168.208.0/20")
    NAME = "ecs0"

    def __init__(self):
        self.lock = threading.Lock()
        self.range, self.taken, self.held = None, set(), {}

    def up(self):
        os.makedirs("/run/ecs", exist_ok=True)
        routes = [ipaddress.ip_network(r["dst"], strict=False) for r in json.loads(run("ip", "-j", "route")) if r["dst"] != "default" and r.get("dev") != self.NAME]
        fits = [r for r in map(ipaddress.ip_network, self.RANGES) if not any(r.overlaps(other) for other in routes)]
        self.range = fits[0] if fits else ipaddress.ip_network(self.RANGES[0])
        gateway = self.range[1]
        if not os.path.exists(f"/sys/class/net/{self.NAME}"):
            run("ip", "link", "add", self.NAME, "type", "bridge")
        subprocess.run(["ip", "addr", "add", f"{gateway}/{self.range.prefixlen}", "dev", self.NAME], capture_output=True, check=False)
        subprocess.run(["ip", "addr", "add", "169.254.170.2/32", "dev", "lo"], capture_output=True, check=False)
        run("ip", "link", "set", self.NAME, "up")
        with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
            f.write("1")
        rules = f"""
            table ip ecs
            delete table ip ecs
            table ip ecs {{
                map tcp_ports {{ type inet_service : ipv4_addr . inet_service; }}
                map udp_ports {{ type inet_service : ipv4_addr . inet_service; }}
                chain arrive {{
                    type nat hook prerouting priority dstnat;
                    ip daddr 169.254.170.2 tcp dport 80 dnat to 169.254.170.2:{INSIDE}
                    fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to tcp dport map @tcp_ports
                    fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to udp dport map @udp_ports
                }}
                chain own {{
                    type nat hook output priority -100;
                    ip daddr 169.254.170.2 tcp dport 80 dnat to 169.254.170.2:{INSIDE}
                    fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to tcp dport map @tcp_ports
                    fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to udp dport map @udp_ports
                }}
                chain leave {{
                    type nat hook postrouting priority srcnat;
                    ip saddr {self.range} oifname != "{self.NAME}" masquerade
                    ip saddr {self.range} ip daddr {self.range} ct status dnat masquerade
                }}
            }}"""
        run("nft", rules)

    def address(self, wanted=None):
        with self.lock:
            if wanted:
                self.taken.add(wanted)
                return wanted
            for host in self.range.hosts():
                if host != self.range[1] and str(host) not in self.taken:
                    self.taken.add(str(host))
                    return str(host)
        raise Failed("CannotStartContainerError: no address is left for the container")

    def take(self, task):
        """The task's interface, which has been plugged into this instance for it, goes into a namespace of the task's. A second one, on the bridge, leads to
        what the agent answers and nowhere else."""
        asked = task.interface
        if task.inner and os.path.exists(f"/run/netns/{task.id}"):
            return  # it has been, before this program was started again
        os.makedirs("/run/systemd/network", exist_ok=True)
        with open(f"/run/systemd/network/05-ecs-{task.id}.network", "w") as f:
            f.write(f"[Match]\nMACAddress={asked['Mac']}\n\n[Link]\nUnmanaged=yes\n")
        subprocess.run(["networkctl", "reload"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", task.id], capture_output=True, check=False)
        run("ip", "netns", "add", task.id)
        inside = ("nsenter", f"--net=/run/netns/{task.id}", "ip")
        run(*inside, "link", "set", "lo", "up")
        until = time.monotonic() + LINK_S
        while not (link := link_of(asked["Mac"])):
            if time.monotonic() > until or task.wanted == "STOPPED":
                raise Failed("ResourceInitializationError: the network interface of the task did not come")
            time.sleep(0.05)
        run("ip", "link", "set", link, "down")
        run("ip", "link", "set", link, "netns", task.id, "name", "eth0")
        run(*inside, "addr", "add", asked["Address"], "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", asked["Gateway"])
        if asked.get("Address6"):
            run(*inside, "-6", "addr", "add", f"{asked['Address6']}/128", "dev", "eth0", "nodad")
        task.inner = task.inner or self.address()
        outer = f"e{task.id[:12]}"
        subprocess.run(["ip", "link", "del", outer], capture_output=True, check=False)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "ecs-eth0", "netns", task.id)
        run("ip", "link", "set", outer, "master", self.NAME, "up")
        run(*inside, "addr", "add", f"{task.inner}/32", "dev", "ecs-eth0")
        run(*inside, "link", "set", "ecs-eth0", "up")
        run(*inside, "route", "add", f"{self.range[1]}/32", "dev", "ecs-eth0", "src", task.inner)
        run(*inside, "route", "add", "169.254.170.2/32", "via", str(self.range[1]), "dev", "ecs-eth0", "src", task.inner)

    def leave(self, task):
        """Its interface goes back to the instance, which is asked to let it go."""
        if not task.interface:
            return
        subprocess.run(["ip", "netns", "del", task.id], capture_output=True, check=False)
        try:
            os.unlink(f"/run/systemd/network/05-ecs-{task.id}.network")
        except FileNotFoundError:
            pass
        if task.inner:
            self.taken.discard(task.inner)

    def join(self, container):
        """A namespace with an interface on the bridge; containers of a task with an interface of its own share that."""
        if container.mode == "awsvpc":
            return f"/run/netns/{container.task.id}"
        name = container.id
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        run("ip", "netns", "add", name)
        # not by `ip -n`: it mounts /sys anew, which a container's root may not
        inside = ("nsenter", f"--net=/run/netns/{name}", "ip")
        run(*inside, "link", "set", "lo", "up")
        if container.mode == "bridge":
            outer = f"e{container.task.id[:10]}{container.index}"
            subprocess.run(["ip", "link", "del", outer], capture_output=True, check=False)
            run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", outer, "master", self.NAME, "up")
            run(*inside, "addr", "add", f"{container.address}/{self.range.prefixlen}", "dev", "eth0")
            run(*inside, "link", "set", "eth0", "up")
            run(*inside, "route", "add", "default", "via", str(self.range[1]))
        return f"/run/netns/{name}"

    def hold(self, protocol, port, inner=None, at=0):
        """Takes a port of the instance, any for 0."""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("0.0.0.0", port))
        except OSError as e:
            s.close()
            raise Failed(f"CannotStartContainerError: Error response from daemon: failed to bind host port 0.0.0.0:{port}/{protocol}: {e.strerror}") from e
        port = s.getsockname()[1]
        if protocol == "tcp":
            s.listen(64)
            threading.Thread(target=relay, args=(s, inner, at), daemon=True).start()
        self.held[(protocol, port)] = s
        return port

    def publish(self, protocol, port, inner, at):
        port = self.hold(protocol, port, inner, at)
        subprocess.run(["nft", f"delete element ip ecs {protocol}_ports {{ {port} }}"], capture_output=True, check=False)
        run("nft", f"add element ip ecs {protocol}_ports {{ {port} : {inner} . {at} }}")
        return port

    def withdraw(self, container):
        for binding in container.bindings:
            key = (binding["protocol"], binding["hostPort"])
            if container.mode == "bridge":
                subprocess.run(["nft", f"delete element ip ecs {key[0]}_ports {{ {key[1]} }}"], capture_output=True, check=False)
            held = self.held.pop(key, None)
            if held:
                try:
                    held.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                held.close()
        subprocess.run(["ip", "netns", "del", container.id], capture_output=True, check=False)
        if container.mode == "bridge":
            self.taken.discard(container.address)


def link_of(mac):
    for name in os.listdir("/sys/class/net"):
        try:
            with open(f"/sys/class/net/{name}/address") as f:
                if f.read().strip() == mac.lower():
                    return name
        except OSError:
            pass
    return None


def relay(listener, inner, at):
    while True:
        try:
            outer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=relay_one, args=(outer, inner, at), daemon=True).start()


def relay_one(outer, inner, at):
    try:
        other = socket.create_connection((inner, at), 10)
        other.settimeout(None)
    except OSError:
        outer.close()
        return

    def copy(a, b):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    back = threading.Thread(target=copy, args=(other, outer), daemon=True)
    back.start()
    copy(outer, other)
    back.join()
    outer.close()
    other.close()
