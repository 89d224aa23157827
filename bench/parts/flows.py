"""Network load balancers: what a flow costs that the VPC's router leads, next to the same flow that goes to the target directly."""
import os
import shutil
import subprocess
import time

from busybox import busybox, push
from parts.tasks import Tasks
from parts.tools import Skip, median
from registry import Registry

KINDS = ("bytes", "connections", "packets")


def program(bench):
    """Both ends, without libraries: one runs in a container of busybox."""
    path = os.path.join(bench.dir, "bench", "flows.static")
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "flows.c")
    subprocess.run(["cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", path, source], check=True)
    return path


def balancer(cloud, tasks, target, attributes, port):
    """The public address of a network balancer's node, whose target is healthy."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    name = f"bench-{port}"
    subnet = tasks.network["awsvpcConfiguration"]["subnets"][0]
    made = elb.create_load_balancer(Name=name, Type="network", Subnets=[subnet])["LoadBalancers"][0]["LoadBalancerArn"]
    protocol = "TCP" if attributes else "TCP_UDP"
    group = elb.create_target_group(Name=name, Protocol=protocol, Port=9000, VpcId=tasks.vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
                                    HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
    if attributes:
        elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=attributes)
    elb.create_listener(LoadBalancerArn=made, Protocol=protocol, Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target}])
    until = time.monotonic() + 60
    while [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]] != ["healthy"]:
        if time.monotonic() > until:
            raise RuntimeError("the target does not become healthy")
        time.sleep(0.05)
    words = "/".join(made.split("/")[-3:])
    found = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
    return found[0]["Association"]["PublicIp"]


def measure(path, kind, address, port, seconds):
    done = subprocess.run([path, kind, address, str(port), str(max(1, round(seconds)))], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{kind} to {address}:{port}: {done.stderr}")
    return float(done.stdout)


def settled(path, address, port):
    """Once a packet of each kind comes through: the router has its rules."""
    until = time.monotonic() + 30
    while subprocess.run([path, "connections", address, str(port), "0.1"], capture_output=True).returncode:
        if time.monotonic() > until:
            raise RuntimeError(f"nothing comes through {address}:{port}")
        time.sleep(0.1)


def flows(bench):
    """bytes, connections and packets through a network balancer, and directly to its target"""
    if os.geteuid() != 0 or not shutil.which("busybox"):
        raise Skip("it runs tasks, which needs root and busybox")
    with bench.cloud() as cloud:
        tasks, ecr, ec2, path = Tasks(cloud), cloud.client("ecr"), cloud.client("ec2"), program(bench)
        with open(path, "rb") as f:
            push(Registry(ecr, cloud.endpoint, "bench", host=tasks.uri.split("/")[0]), busybox([("bin/flows", f.read())]))
        group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": p, "FromPort": 9000, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]} for p in ("tcp", "udp")])
        tasks.network["awsvpcConfiguration"]["assignPublicIp"] = "ENABLED"
        # a processor of its own: the target is not what is measured
        tasks.ask("RegisterTaskDefinition", family="flows", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="1024", memory="2048",
                  executionRoleArn=tasks.role, containerDefinitions=[{"name": "c", "image": tasks.uri, "command": ["/bin/sh", "-c", "exec flows serve 9000"]}])
        arns = tasks.run(family="flows")
        tasks.until(arns, "RUNNING")
        interface = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": arns}])["NetworkInterfaces"][0]
        led = balancer(cloud, tasks, interface["PrivateIpAddress"], [], 9001)
        proxied = balancer(cloud, tasks, interface["PrivateIpAddress"], [{"Key": "preserve_client_ip.enabled", "Value": "false"}], 9002)
        places = {"direct": (interface["Association"]["PublicIp"], 9000), "led": (led, 9001), "proxied": (proxied, 9002)}
        for address, port in places.values():
            settled(path, address, port)
        got = {}
        for n in range(bench.rounds):
            bench.round(n)
            for kind in KINDS:
                for place, (address, port) in places.items():
                    if kind != "packets" or place != "proxied":
                        got.setdefault((kind, place), []).append(measure(path, kind, address, port, bench.seconds))
        tasks.end(arns)
    value = {k: median(v) for k, v in got.items()}
    peer = "the target directly"
    mib = 1 << 20
    direct = value["bytes", "direct"] / mib
    bench.add("network balancer, one connection's throughput", value["bytes", "led"] / mib, "MiB/s", reach=0.9 * direct, bigger=True, peer=peer,
              peer_value=direct, note="the target sees the client")
    direct = value["connections", "direct"]
    bench.add("network balancer, new connections", value["connections", "led"], "/s", reach=0.9 * direct, bigger=True, peer=peer, peer_value=direct,
              note="8 clients, a byte there and back")
    bench.add("network balancer, a packet of UDP there and back", value["packets", "led"], "us", peer=peer, peer_value=value["packets", "direct"])
    bench.add("the same throughput by HAProxy", value["bytes", "proxied"] / mib, "MiB/s", peer=peer, peer_value=value["bytes", "direct"] / mib,
              note="the target sees the node")
    bench.add("the same connections by HAProxy", value["connections", "proxied"], "/s", peer=peer, peer_value=direct)
