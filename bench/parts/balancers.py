"""Load balancers: requests of one node next to HAProxy and nginx that were configured by hand, in front of the same server, in the clear and
over TLS; and how long requests fail when a target dies."""
import http.client
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from busybox import busybox, push
from cloud import free_port
from parts.tasks import Tasks
from parts.tools import Skip, median, wait_port
from registry import Registry

CONNECTIONS = 64
HAPROXY = """
global
    nbthread {threads}
    tune.ssl.default-dh-param 2048
defaults
    mode http
    timeout client 60s
    timeout connect 10s
    timeout server 60s
frontend in
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls_port} ssl crt {place}/both.pem
    option forwardfor
    default_backend out
backend out
    server one {target}:80
"""
NGINX = """
worker_processes {threads};
daemon off;
pid {place}/nginx.pid;
error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    upstream out {{ server {target}:80; keepalive {connections}; }}
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        keepalive_requests 1000000;
        ssl_certificate {place}/crt;
        ssl_certificate_key {place}/key;
        location / {{
            proxy_pass http://out;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


def server_program(bench):
    """The bare server, without libraries: it runs in a container of busybox."""
    path = os.path.join(bench.dir, "bench", "epoll_bare.static")
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "epoll_bare.c")
    subprocess.run(["cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", path, source], check=True)
    with open(path, "rb") as f:
        return f.read()


def wrk(url, seconds):
    """Requests a second and the 99th percentile in milliseconds; any that failed is an error."""
    said = subprocess.run(["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{max(1, round(seconds))}s", "--latency", url], capture_output=True, text=True,
                          check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def certificate(cloud):
    """The ARN of one that our own authority has issued."""
    acm = cloud.client("acm")
    arn = acm.request_certificate(DomainName="bench.localhost")["CertificateArn"]
    until = time.monotonic() + 30
    while acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] != "ISSUED":
        if time.monotonic() > until:
            raise RuntimeError("the certificate is not issued")
        time.sleep(0.1)
    return arn


def all_healthy(elb, group, count):
    until = time.monotonic() + 60
    while [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]] != ["healthy"] * count:
        if time.monotonic() > until:
            raise RuntimeError("the targets do not become healthy")
        time.sleep(0.01)


def balancer(cloud, tasks, target):
    """The public address of a balancer's node, whose target is healthy; the target group; how long that took."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]][:2]
    made = elb.create_load_balancer(Name="bench", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="bench", Protocol="HTTP", Port=80, VpcId=tasks.vpc, TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                    HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=made, Protocol="HTTP", Port=80, DefaultActions=actions)
    elb.create_listener(LoadBalancerArn=made, Protocol="HTTPS", Port=443, DefaultActions=actions, Certificates=[{"CertificateArn": certificate(cloud)}])
    begin = time.perf_counter()
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target}])
    all_healthy(elb, group, 1)
    took = time.perf_counter() - begin
    words = "/".join(made.split("/")[-3:])
    found = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
    return found[0]["Association"]["PublicIp"], group, took


def failing(node, end, seconds):
    """Calls end(), which makes a target die. How long requests failed after that, the first failure to the last, and how many."""
    first = last = None
    count, until = 0, time.monotonic() + seconds
    dying = threading.Thread(target=end)
    dying.start()
    while time.monotonic() < until:
        c = http.client.HTTPConnection(node, timeout=20)
        try:
            c.request("GET", "/")
            bad = c.getresponse().status != 200
        except OSError:
            bad = True
        c.close()
        if bad:
            count, first, last = count + 1, first or time.monotonic(), time.monotonic()
        time.sleep(0.002)
    dying.join()
    return (last - first if count else 0), count


class Peer:
    """A program that was configured by hand, on ports of its own."""
    def __init__(self, name, argv, template, place, target):
        self.name, self.port, self.tls_port = name, free_port(), free_port()
        path = f"{place}/{name}.conf"
        with open(path, "w") as f:
            f.write(template.format(port=self.port, tls_port=self.tls_port, place=place, target=target, threads=os.cpu_count(), connections=CONNECTIONS))
        self.process = subprocess.Popen([*argv, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_port(self.port, self.process)

    def end(self):
        self.process.terminate()
        self.process.wait()


def rates(bench):
    """requests a second and their 99th percentile through a balancer's node, in the clear and over TLS; a target's death"""
    if not shutil.which("haproxy") or not shutil.which("wrk"):
        raise Skip("there is no haproxy, or no wrk")
    with bench.cloud() as cloud, tempfile.TemporaryDirectory() as place:
        tasks, ecr, ec2 = Tasks(cloud), cloud.client("ecr"), cloud.client("ec2")
        push(Registry(ecr, cloud.endpoint, "bench", host=tasks.uri.split("/")[0]), busybox([("bin/server", server_program(bench))]))
        group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]} for p in (80, 443)])
        tasks.network["awsvpcConfiguration"]["assignPublicIp"] = "ENABLED"
        tasks.define("server", "exec server 80 0.0.0.0")
        arns = tasks.run(family="server") + tasks.run(family="server")
        tasks.until(arns, "RUNNING")
        one, two = (ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [a]}])["NetworkInterfaces"][0] for a in arns)
        node, target_group, registered = balancer(cloud, tasks, one["PrivateIpAddress"])
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench.localhost", "-keyout", f"{place}/key",
                        "-out", f"{place}/crt"], check=True, capture_output=True)
        with open(f"{place}/both.pem", "w") as f:
            f.write(open(f"{place}/crt").read() + open(f"{place}/key").read())
        target = one["Association"]["PublicIp"]
        peers = [Peer("HAProxy", ["haproxy", "-db", "-f"], HAPROXY, place, target)]
        if shutil.which("nginx"):
            peers.append(Peer("nginx", ["nginx", "-c"], NGINX, place, target))
        try:
            seen = {}
            for n in range(bench.rounds):
                bench.round(n)
                for scheme, port, attribute in (("http", 80, "port"), ("https", 443, "tls_port")):
                    seen.setdefault((scheme, None), []).append(wrk(f"{scheme}://{node}:{port}/", bench.seconds))
                    for p in peers:
                        seen.setdefault((scheme, p.name), []).append(wrk(f"{scheme}://127.0.0.1:{getattr(p, attribute)}/", bench.seconds))
        finally:
            for p in peers:
                p.end()
        elb = cloud.client("elbv2")
        elb.register_targets(TargetGroupArn=target_group, Targets=[{"Id": two["PrivateIpAddress"]}])
        all_healthy(elb, target_group, 2)
        failed_s, failed = failing(node, lambda: tasks.end(arns[:1]), 40)
        tasks.end(arns[1:])
    for scheme, what in (("http", "balancer, small responses"), ("https", "balancer, small responses over TLS")):
        rate, p99 = ([x[i] for x in seen[scheme, None]] for i in (0, 1))
        for p in peers:
            peer, theirs = f"{p.name} by hand, same server", seen[scheme, p.name]
            more = {"bound": "header buffers of 64 KiB, an identifier of each request, and one more way through the VPC's router."} if p is peers[0] else {}
            name = what if p is peers[0] else f"{what}, next to {p.name}"
            their_rate = median([r for r, _ in theirs])
            bench.add(name, median(rate), "/s", reach=0.9 * their_rate if p is peers[0] else None, bigger=True, peer=peer, peer_value=their_rate,
                      note=f"{CONNECTIONS} connections", **more)
            bench.add(f"{name}, p99", median(p99), "ms", peer=peer, peer_value=median([x for _, x in theirs]))
    bench.add("from RegisterTargets to a healthy target", registered * 1000, "ms")
    bench.add("from a target's death to no failed request", failed_s, "s", note=f"checks every 5 s, two of them; {failed} requests failed")
