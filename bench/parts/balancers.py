"""Load balancers: requests of one node next to HAProxy that was configured by hand, in front of the same server."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from busybox import busybox, push
from cloud import free_port
from parts.tasks import Tasks
from parts.tools import Skip, median, wait_port
from registry import Registry

CONNECTIONS = 64
BY_HAND = """
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
    option forwardfor
    default_backend out
backend out
    server one {target}:80
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


def balancer(cloud, tasks, target):
    """The public address of a balancer's node, whose target is healthy."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]][:2]
    made = elb.create_load_balancer(Name="bench", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="bench", Protocol="HTTP", Port=80, VpcId=tasks.vpc, TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                    HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(LoadBalancerArn=made, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    begin = time.perf_counter()
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target}])
    until = time.monotonic() + 60
    while [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]] != ["healthy"]:
        if time.monotonic() > until:
            raise RuntimeError("the target does not become healthy")
        time.sleep(0.01)
    took = time.perf_counter() - begin
    words = "/".join(made.split("/")[-3:])
    found = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
    return found[0]["Association"]["PublicIp"], took


def rates(bench):
    """requests a second and their 99th percentile through a balancer's node"""
    if not shutil.which("haproxy") or not shutil.which("wrk"):
        raise Skip("there is no haproxy, or no wrk")
    with bench.cloud() as cloud, tempfile.TemporaryDirectory() as place:
        tasks, ecr, ec2 = Tasks(cloud), cloud.client("ecr"), cloud.client("ec2")
        push(Registry(ecr, cloud.endpoint, "bench", host=tasks.uri.split("/")[0]), busybox([("bin/server", server_program(bench))]))
        group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        tasks.network["awsvpcConfiguration"]["assignPublicIp"] = "ENABLED"
        tasks.define("server", "exec server 80 0.0.0.0")
        arns = tasks.run(family="server")
        tasks.until(arns, "RUNNING")
        interface = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": arns}])["NetworkInterfaces"][0]
        node, registered = balancer(cloud, tasks, interface["PrivateIpAddress"])
        port = free_port()
        with open(f"{place}/haproxy.cfg", "w") as f:
            f.write(BY_HAND.format(port=port, target=interface["Association"]["PublicIp"], threads=os.cpu_count()))
        by_hand = subprocess.Popen(["haproxy", "-db", "-f", f"{place}/haproxy.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_port(port, by_hand)
            ours, theirs = [], []
            for n in range(bench.rounds):
                bench.round(n)
                ours.append(wrk(f"http://{node}/", bench.seconds))
                theirs.append(wrk(f"http://127.0.0.1:{port}/", bench.seconds))
        finally:
            by_hand.terminate()
            by_hand.wait()
        tasks.end(arns)
    peer = "HAProxy by hand, same server"
    rate = median([r for r, _ in theirs])
    bench.add("balancer, small responses", median([r for r, _ in ours]), "/s", reach=0.9 * rate, bigger=True, peer=peer, peer_value=rate,
              note=f"{CONNECTIONS} connections", bound="header buffers of 64 KiB, an identifier of each request, and one more way through the VPC's router.")
    bench.add("balancer, small responses, p99", median([p for _, p in ours]), "ms", peer=peer, peer_value=median([p for _, p in theirs]))
    bench.add("from RegisterTargets to a healthy target", registered * 1000, "ms")
