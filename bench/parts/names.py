"""Names: queries a second that the responder for hosted zones answers, and how long one takes, next to NSD."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time

from cloud import free_port
from parts.tools import Skip, end, median, percentile

NAMES, WEIGHTED, BATCH, CALM = 1000, 250, 100, 5000
ZONE = "bench.test"
NSD = """server:
  ip-address: 127.0.0.1
  port: {port}
  server-count: 1
  username: ""
  zonesdir: "{place}"
  pidfile: "{place}/nsd.pid"
  xfrdfile: "{place}/xfrd.state"
  zonelistfile: "{place}/zone.list"
  xfrdir: "{place}"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: zone
"""


def answers(port):
    """Does somebody answer there?"""
    asked = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=1", "+short", "host1." + ZONE], capture_output=True, text=True)
    return asked.stdout.strip() == "192.0.2.1"


def wait(port):
    until = time.monotonic() + 30
    while not answers(port):
        if time.monotonic() > until:
            raise RuntimeError(f"nobody answers at port {port}")
        time.sleep(0.05)


@contextlib.contextmanager
def nsd(place):
    port = free_port()
    with open(f"{place}/zone", "w") as f:
        f.write(f"$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns hostmaster 1 7200 900 1209600 86400\n@ NS ns\nns A 192.0.2.53\n")
        f.writelines(f"host{i} A 192.0.2.{i % 250}\n" for i in range(NAMES))
    with open(f"{place}/nsd.conf", "w") as f:
        f.write(NSD.format(port=port, place=place, zone=ZONE))
    process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", f"{place}/nsd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(port)
        yield port
    finally:
        end(process)


def fill(cloud):
    dns = cloud.client("route53")
    zone = dns.create_hosted_zone(Name=ZONE, CallerReference="bench")["HostedZone"]["Id"]
    sets = [{"Name": f"host{i}.{ZONE}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": f"192.0.2.{i % 250}"}]} for i in range(NAMES)]
    sets += [{"Name": f"weighted{i}.{ZONE}", "Type": "A", "TTL": 60, "SetIdentifier": str(k), "Weight": k + 1, "ResourceRecords": [{"Value": f"192.0.2.{k}"}]}
             for i in range(WEIGHTED) for k in range(4)]
    for at in range(0, len(sets), BATCH):
        dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": s} for s in sets[at:at + BATCH]]})


def dnsperf(port, queries, seconds, *more):
    said = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", queries, "-l", str(max(1, round(seconds))), "-c", "8", "-q", "200", *more],
                          capture_output=True, text=True, check=True).stdout
    lost = int(re.search(r"Queries lost:\s+(\d+)", said)[1])
    if lost > 100 or set(re.findall(r"Response codes:\s+(\w+)", said)) != {"NOERROR"}:
        raise RuntimeError(said)
    return said


def rate(port, queries, seconds):
    return float(re.search(r"Queries per second:\s+([\d.]+)", dnsperf(port, queries, seconds))[1])


def times(port, queries, seconds):
    """How long queries take at a calm rate, in microseconds."""
    return [float(t) * 1e6 for t in re.findall(r"^> NOERROR \S+ A ([\d.]+)", dnsperf(port, queries, seconds, "-Q", str(CALM), "-v"), re.M)]


def rates(bench):
    """queries a second for a zone of 1,000 names and for weighted records, and the time of one"""
    if not shutil.which("dnsperf") or not shutil.which("dig") or not os.path.exists("/usr/sbin/nsd"):
        raise Skip("there is no nsd, or no dnsperf, or no dig")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        port = free_port()
        for kind, count in (("host", NAMES), ("weighted", WEIGHTED)):
            with open(f"{place}/{kind}", "w") as f:
                f.writelines(f"{kind}{i}.{ZONE} A\n" for i in range(count))
        with open(f"{place}/conf", "w") as f:
            f.write(f"[dns]\nlisten = 127.0.0.1:{port}\n")
        plain, weighted, theirs, our_times, their_times = [], [], [], [], []
        with bench.cloud("--config", f"{place}/conf") as cloud, nsd(place) as peer:
            fill(cloud)
            wait(port)
            for n in range(bench.rounds):
                bench.round(n)
                plain.append(rate(port, f"{place}/host", bench.seconds))
                theirs.append(rate(peer, f"{place}/host", bench.seconds))
                weighted.append(rate(port, f"{place}/weighted", bench.seconds))
                our_times += times(port, f"{place}/host", bench.seconds)
                their_times += times(peer, f"{place}/host", bench.seconds)
    bound = "the kernel's part of a datagram, and answers that are made anew for each query, where NSD has them ready."
    bench.add("DNS queries, 1,000 names, over UDP", median(plain), "/s", reach=0.5 * median(theirs), bigger=True, peer="NSD, one process", peer_value=median(theirs),
              note="200 queries under way; one thread, which is the API's", bound=bound)
    bench.add("DNS queries, four weighted records a name", median(weighted), "/s", bigger=True, note="NSD has no weights")
    for p in (50, 99):
        bench.add(f"DNS query, p{p}", percentile(our_times, p), "us", peer="NSD", peer_value=percentile(their_times, p), note=f"{CALM:,} queries a second")
