#!/usr/bin/python3
"""Kills each role of a running cloud and looks at what the machine still holds. Usage: roles.py BUILD/quartet"""
import hashlib, os, re, signal, socket, subprocess, sys, tempfile, time, urllib.request

program = os.path.abspath(sys.argv[1])
if os.geteuid() != 0:
    print("skipped: roles need root")
    sys.exit(77)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# how many times slower than an ordinary machine this one may be
PATIENCE = int(os.environ.get("QUARTET_PATIENCE", "1"))


def wait_for(what, test, seconds=10):
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        value = test()
        if value:
            return value
        time.sleep(0.02)
    raise SystemExit(f"FAILED: {what} not within {seconds} s; left: {left()}")


data = tempfile.mkdtemp(prefix="quartet-roles-")
os.chmod(data, 0o755)
port, tls_port = free_port(), free_port()
instance = hashlib.sha256(os.path.realpath(data).encode()).hexdigest()[:8]


def roles():
    """pid of each role of this cloud."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            args = open(f"/proc/{entry}/cmdline", "rb").read().split(b"\0")
            status = open(f"/proc/{entry}/status").read()
            group = open(f"/proc/{entry}/cgroup").read()
        except OSError:
            continue
        if "State:\tZ" in status:
            continue
        role = len(args) > 3 and args[0] == b"quartet" and args[1] == b"role" and args[3] == data.encode()
        # the first processes of cells are copies of priv, from their first moment in a pid namespace of their own
        alone = len(re.search(r"^NSpid:(.*)", status, re.M).group(1).split()) > 1
        if f"quartet-{instance}/" in group or (role and alone):
            found.setdefault("cells", []).append(int(entry))
        elif role:
            found[args[2].decode()] = int(entry)
    return found


def left():
    """What this cloud has on the machine besides its data."""
    things = [os.path.join(place, f) for place, folders, _ in os.walk("/sys/fs/cgroup") for f in folders if f == f"quartet-{instance}"]
    things += [n for _, n in socket.if_nameindex() if n.startswith(f"qt{instance}-")]
    tables = subprocess.run(["/usr/sbin/nft", "list", "tables"], capture_output=True, text=True).stdout
    things += [t for t in tables.splitlines() if instance in t]
    things += [f"{k} {v}" for k, v in roles().items()]
    with open("/proc/self/mountinfo") as mounts:
        things += [m for m in mounts if data in m]
    return things


def healthy():
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/_quartet/health", timeout=2).status == 200
    except OSError:
        return False


def start():
    cloud = subprocess.Popen([program, "up", "--data", data, "--listen", f"127.0.0.1:{port}", "--tls-port", str(tls_port)])
    wait_for("health", healthy)
    return cloud


cloud = start()
first = wait_for("roles", lambda: (lambda r: r if "api" in r and "priv" in r else None)(roles()))

status = open(f"/proc/{first['api']}/status").read()
assert int(re.search(r"^Uid:\t(\d+)", status, re.M).group(1)) != 0, "api runs as root"
assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, "api has privileges"
own_mounts = os.readlink(f"/proc/{first['priv']}/ns/mnt")
assert own_mounts != os.readlink("/proc/self/ns/mnt"), "priv mounts in the machine's namespace"

for victim in ("api", "priv", "api", "priv"):
    before = roles()
    cells = set(before.get("cells", []))
    killed_at = time.monotonic()
    os.kill(before[victim], signal.SIGKILL)
    wait_for(f"another {victim}", lambda: roles().get(victim, before[victim]) != before[victim], 2)
    wait_for("health again", healthy, 2)
    print(f"{victim}: served again {1000 * (time.monotonic() - killed_at):.0f} ms after kill -9")
    wait_for(f"old cells gone after {victim} died", lambda: not cells & set(roles().get("cells", [])), 5)

cloud.send_signal(signal.SIGTERM)
assert cloud.wait(20 * PATIENCE) == 0, "status after SIGTERM"
assert not left(), f"left after SIGTERM: {left()}"

cloud = start()
wait_for("priv", lambda: "priv" in roles())
time.sleep(0.3 * PATIENCE)
cloud.kill()
cloud.wait()
wait_for("nothing left after main was killed", lambda: not left(), 10)

# a crash of everything at once: the next start cleans up
cloud = start()
wait_for("priv", lambda: "priv" in roles())
time.sleep(0.3 * PATIENCE)
everybody = roles()
for pid in [cloud.pid, everybody["api"], everybody["priv"]]:
    os.kill(pid, signal.SIGKILL)
cloud.wait()
cloud = start()
cloud.send_signal(signal.SIGTERM)
assert cloud.wait(20 * PATIENCE) == 0
assert not left(), f"left after a crash: {left()}"
subprocess.run(["rm", "-rf", data], check=True)
print("ok")
