"""Network balancers whose targets see the client: UDP, TCP with the client's address kept, health, stickiness, what is cut and what is not."""
import datetime
import os
import socket
import ssl
import subprocess
import unittest

import images
from aws import client
from balancers import forward, wait
from busybox import busybox, push
from ec2 import end_instances, wait_for, when_there_is_room
from leftovers import processes
from seen import echoes, packet, program, stream, told
from tasks import TaskCase

PORT = 9000


class FlowCase(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        push(cls.registry, busybox([("bin/seen", program())]), tag="seen")
        cls.elb = client("elbv2", region=cls.region)
        subnets = sorted(cls.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        cls.subnets = [s["SubnetId"] for s in subnets]
        cls.zones = [s["AvailabilityZone"] for s in subnets]
        cls.open = cls.security_group("open", {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]})

    @classmethod
    def security_group(cls, name, source):
        group = cls.ec2.create_security_group(GroupName=name, Description="d", VpcId=cls.vpc)["GroupId"]
        cls.allow(group, source)
        return group

    @classmethod
    def allow(cls, group, source):
        cls.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": p, "FromPort": PORT, "ToPort": PORT + 99, **source} for p in ("tcp", "udp")])

    def setUp(self):
        self.addCleanup(self.clear)

    def clear(self):
        for b in self.elb.describe_load_balancers()["LoadBalancers"]:
            self.elb.delete_load_balancer(LoadBalancerArn=b["LoadBalancerArn"])
        for g in self.elb.describe_target_groups()["TargetGroups"]:
            self.elb.delete_target_group(TargetGroupArn=g["TargetGroupArn"])

    def balancer(self, name, subnets=1, **more):
        made = self.elb.create_load_balancer(Name=name, Type="network", Subnets=self.subnets[:subnets], **more)["LoadBalancers"][0]
        wait(self, lambda: self.elb.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"][0]["State"]["Code"] == "active",
             what="active")
        return made

    def nodes(self, balancer):
        """(zone, private, public address) of each node."""
        words = "/".join(balancer["LoadBalancerArn"].split("/")[-3:])
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        return sorted((i["AvailabilityZone"], i["PrivateIpAddress"], i.get("Association", {}).get("PublicIp")) for i in found)

    def metric(self, balancer, name, statistic="Sum"):
        """Of the last minutes."""
        now = datetime.datetime.now(datetime.timezone.utc)
        return sum(p[statistic] for p in client("cloudwatch", region=self.region).get_metric_statistics(
            Namespace="AWS/NetworkELB", MetricName=name, Dimensions=[{"Name": "LoadBalancer", "Value": "/".join(balancer["LoadBalancerArn"].split("/")[-3:])}],
            Period=300, Statistics=[statistic], StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=10))["Datapoints"])

    def serve(self, name, zone=0, group=None):
        """(private, public) address of a task that says whom it sees."""
        network = {"subnets": [self.subnets[zone]], "assignPublicIp": "ENABLED", "securityGroups": [group or self.open]}
        definition = self.register({"command": f"exec seen {name} {PORT}", "image": self.image + ":seen", "stopTimeout": 2})  # it knows no SIGTERM
        (task,) = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, launchType="FARGATE",
                                    networkConfiguration={"awsvpcConfiguration": network})["tasks"]
        self.addCleanup(self.end, task["taskArn"])
        details = {d["name"]: d["value"] for d in self.until(task["taskArn"], "RUNNING")["attachments"][0]["details"]}
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"][0]
        return details["privateIPv4Address"], found["Association"]["PublicIp"]

    def ask_inside(self, *questions):
        """What a task in the VPC is told, and its address."""
        self.count = getattr(self, "count", 0) + 1
        name = f"ask{self.count}"
        text = "; ".join(f"seen {q}" for q in questions)
        task = self.run_task({"command": f"{text}; echo end; sleep 60", "image": self.image + ":seen", "logConfiguration": self.log(name)}, groups=[self.open])
        details = {d["name"]: d["value"] for d in self.until(task, "RUNNING")["attachments"][0]["details"]}
        lines = self.wait(lambda: (found := self.lines(name, task)) and "end" in found and found)
        self.end(task)
        return [line.split() for line in lines if line != "end"], details["privateIPv4Address"]

    def group_of(self, name, *addresses, attributes=(), **more):
        more = {"Protocol": "TCP_UDP", "Port": PORT, "VpcId": self.vpc, "TargetType": "ip", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
                "HealthyThresholdCount": 2, **more}
        made = self.elb.create_target_group(Name=name, **more)["TargetGroups"][0]
        self.attributes(made, ("deregistration_delay.timeout_seconds", "2"), *attributes)
        if addresses:
            self.elb.register_targets(TargetGroupArn=made["TargetGroupArn"], Targets=[{"Id": a} for a in addresses])
        return made

    def attributes(self, group, *pairs):
        self.elb.modify_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], Attributes=[{"Key": k, "Value": v} for k, v in pairs])

    def listen(self, balancer, actions, **more):
        return self.elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], DefaultActions=actions, **{"Protocol": "TCP_UDP", "Port": 9001, **more})[
            "Listeners"][0]["ListenerArn"]

    def healthy(self, group, count):
        def ask():
            states = [d["TargetHealth"]["State"] for d in self.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]]
            return states.count("healthy") == count and len(states) == count
        wait(self, ask, 90, f"{count} healthy")


    def ports_of(self, address, ports):
        """Which ports the node with this address uses for connections of its own, until now."""
        for pid in processes(os.environ["QUARTET_DATA"]):
            try:
                with open(f"/proc/{pid}/environ", "rb") as words:
                    found = f"ADDRESS={address}".encode() in words.read().split(b"\0")
            except OSError:
                continue
            if found:
                sysctl = ["nsenter", f"--net=/proc/{pid}/ns/net", "sysctl", "-n"]
                was = subprocess.run([*sysctl, "net.ipv4.ip_local_port_range"], capture_output=True, text=True, check=True).stdout.split()
                subprocess.run([*sysctl, "-w", f"net.ipv4.ip_local_port_range={ports}"], capture_output=True, check=True)
                return " ".join(was)
        self.fail("the node is not found")


class Flows(FlowCase):
    def test_targets_see_the_client(self):
        one, one_public = self.serve("one")
        made = self.balancer("both")
        group = self.group_of("both", one)
        self.listen(made, forward(group))
        self.healthy(group, 1)
        ((_, private, public),) = self.nodes(made)
        # whoever speaks from outside is seen as if he spoke with the target itself
        direct = wait(self, lambda: packet(one_public, PORT), 30)[1]
        self.assertEqual(told(one_public, PORT)[1], direct)
        through = wait(self, lambda: packet(public), 30)
        self.assertEqual(through[:2], ["one", direct])
        s, words = stream(public)
        with s:
            self.assertEqual(words[:2], ["one", direct])
            self.assertTrue(echoes(s, b"x" * 100000 + b"\n"))
        # from inside by its own address
        lines, me = self.ask_inside(f"-t {private} 9001", f"-u {private} 9001")
        self.assertEqual([line[:2] for line in lines], [["one", me], ["one", me]])
        self.assertNotEqual(private, me)

        # counted in the router
        def total(name, statistic="Sum"):
            return self.metric(made, name, statistic)
        wait(self, lambda: total("NewFlowCount_UDP") >= 2 and total("NewFlowCount_TCP") >= 2, 60, "flows are counted")
        self.assertGreater(total("ProcessedBytes_TCP"), 200000)
        self.assertGreater(total("ProcessedBytes_UDP"), 56)
        self.assertGreater(total("PeakBytesPerSecond", "Maximum"), 0)
        self.assertLess(total("PeakBytesPerSecond", "Maximum"), total("ProcessedBytes"))
        self.assertEqual(total("NewFlowCount"), total("NewFlowCount_TCP") + total("NewFlowCount_UDP"))
        wait(self, lambda: total("ActiveFlowCount_UDP", "Maximum") >= 1, 60, "active flows")

        # nothing is left when it is gone, and what was open is not led any more
        s, _ = stream(public)
        with s:
            self.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
            wait(self, lambda: not echoes(s), 30)
        self.assertEqual(told(public), [])

    def test_the_address_is_kept_or_not(self):
        one, one_public = self.serve("one")
        made = self.balancer("kept")
        group = self.group_of("kept", one, Protocol="TCP")
        attribute = lambda: {a["Key"]: a["Value"] for a in self.elb.describe_target_group_attributes(
            TargetGroupArn=group["TargetGroupArn"])["Attributes"]}["preserve_client_ip.enabled"]
        self.assertEqual(attribute(), "false")
        self.listen(made, forward(group), Protocol="TCP")
        self.healthy(group, 1)
        ((_, private, public),) = self.nodes(made)
        direct = wait(self, lambda: told(one_public, PORT), 30)[1]
        self.assertEqual(wait(self, lambda: told(public), 30)[1], private)
        self.attributes(group, ("preserve_client_ip.enabled", "true"))
        self.assertEqual(attribute(), "true")
        wait(self, lambda: told(public)[1:2] == [direct], 30)
        self.attributes(group, ("preserve_client_ip.enabled", "false"))
        wait(self, lambda: told(public)[1:2] == [private], 30)

        # no target, and no port to reach it from
        self.assertEqual(self.metric(made, "RejectedFlowCount_TCP"), 0)
        self.elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": one}])
        wait(self, lambda: not told(public), 30)
        wait(self, lambda: self.metric(made, "RejectedFlowCount_TCP") >= 1, 60, "rejected flows")
        self.assertEqual(self.metric(made, "RejectedFlowCount"), self.metric(made, "RejectedFlowCount_TCP"))
        self.elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": one}])
        wait(self, lambda: told(public)[1:2] == [private], 60)
        self.assertEqual(self.metric(made, "PortAllocationErrorCount"), 0)
        ports = self.ports_of(private, "2000 2000")
        s, _ = stream(public)
        with s:
            self.assertEqual(told(public), [])
            wait(self, lambda: self.metric(made, "PortAllocationErrorCount") >= 1, 60, "no port")
        self.ports_of(private, ports)

        # with the proxy protocol the client stands in the header
        self.attributes(group, ("preserve_client_ip.enabled", "true"), ("proxy_protocol_v2.enabled", "true"))

        def header():
            try:
                with socket.create_connection((public, 9001), 5) as s:
                    s.settimeout(5)
                    got = b""
                    while b"\r\n\r\n\0\r\nQUIT\n" not in got and len(got) < 200:
                        more = s.recv(4096)
                        if not more:
                            return None
                        got += more
                    return got[got.index(b"\r\n\r\n\0"):]
            except (OSError, ValueError):
                return None
        said = wait(self, header, 30)
        self.assertEqual(socket.inet_ntoa(said[16:20]), direct)

    def test_tls(self):
        """A listener of TLS: who is asked for by ALPN, and the proxy protocol in what comes out of the seal."""
        acm, name = client("acm", region=self.region), f"{self.word}.localhost"
        arn = acm.request_certificate(DomainName=name)["CertificateArn"]
        wait(self, lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED", 60)
        chain = acm.get_certificate(CertificateArn=arn)["CertificateChain"]
        one, one_public = self.serve("one")
        made = self.balancer("sealed")
        group = self.group_of("sealed", one, Protocol="TCP", attributes=(("proxy_protocol_v2.enabled", "true"),))
        listener = self.listen(made, forward(group), Protocol="TLS", Port=9443, Certificates=[{"CertificateArn": arn}], AlpnPolicy=["HTTP2Preferred"])
        self.healthy(group, 1)
        ((_, _, public),) = self.nodes(made)
        direct = wait(self, lambda: told(one_public, PORT), 30)[1]

        def talk(*offers):
            """(what was chosen, the client's address in the header); None: nothing came."""
            context = ssl.create_default_context(cadata=chain)
            context.set_alpn_protocols(offers)
            try:
                with context.wrap_socket(socket.create_connection((public, 9443), 5), server_hostname=name) as s:
                    s.settimeout(5)
                    got = b""
                    while b"\r\n\r\n\0\r\nQUIT\n" not in got or len(got) < got.index(b"\r\n\r\n\0") + 20:
                        more = s.recv(4096)
                        if not more:
                            return None
                        got += more
                    at = got.index(b"\r\n\r\n\0")
                    return s.selected_alpn_protocol(), socket.inet_ntoa(got[at + 16:at + 20])
            except OSError:
                return None
        wait(self, lambda: talk("http/1.1", "h2") == ("h2", direct), 60)
        for policy, chosen in (("HTTP2Optional", "http/1.1"), ("HTTP1Only", "http/1.1"), ("HTTP2Only", "h2"), ("None", None)):
            said = self.elb.modify_listener(ListenerArn=listener, AlpnPolicy=[policy])["Listeners"][0]
            self.assertEqual(said["AlpnPolicy"], [policy])
            wait(self, lambda: talk("h2", "http/1.1") == (chosen, direct), 60, policy)
        # what is no TLS, and a target that knows none
        deep = self.listen(made, forward(self.group_of("deep", one, Protocol="TLS")), Protocol="TLS", Port=9444, Certificates=[{"CertificateArn": arn}])
        def unsealed():
            with socket.create_connection((public, 9444), 5) as s:
                s.settimeout(5)
                s.sendall(b"no TLS\r\n\r\n")
                try:
                    return s.recv(100)[:1] == b"5"
                except OSError:
                    return None
        wait(self, lambda: not unsealed() and self.metric(made, "ClientTLSNegotiationErrorCount") >= 1, 60, "a failed handshake")

        def deeper():
            context = ssl.create_default_context(cadata=chain)
            try:
                with context.wrap_socket(socket.create_connection((public, 9444), 5), server_hostname=name) as s:
                    s.settimeout(5)
                    return s.recv(100)
            except OSError:
                return None
        wait(self, lambda: not deeper() and self.metric(made, "TargetTLSNegotiationErrorCount") >= 1, 60, "a target without TLS")
        self.elb.delete_listener(ListenerArn=deep)
        self.assertAwsError("ALPNPolicyNotFound", self.elb.modify_listener, ListenerArn=listener, AlpnPolicy=["HTTP3"])

    def test_groups_guard_clients_and_targets(self):
        guard = self.ec2.create_security_group(GroupName="guard", Description="d", VpcId=self.vpc)["GroupId"]
        # targets let nobody in but what comes through the balancer
        inner = self.security_group("inner", {"UserIdGroupPairs": [{"GroupId": guard}]})
        one, one_public = self.serve("one", group=inner)
        made = self.balancer("guarded", SecurityGroups=[guard])
        group = self.group_of("guarded", one)
        self.listen(made, forward(group))
        self.healthy(group, 1)
        ((_, private, public),) = self.nodes(made)
        self.assertEqual(packet(public), [])
        wait(self, lambda: self.metric(made, "SecurityGroupBlockedFlowCount_Inbound_UDP") >= 1, 60, "what its group has refused")
        self.assertEqual([self.metric(made, f"SecurityGroupBlockedFlowCount_{k}") for k in ("Inbound_TCP", "Outbound_TCP", "Outbound_UDP")], [0] * 3)
        self.allow(guard, {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]})
        self.assertEqual(wait(self, lambda: packet(public), 30)[0], "one")
        self.assertEqual(wait(self, lambda: told(public), 30)[0], "one")
        self.assertEqual(packet(one_public, PORT), [])
        lines, me = self.ask_inside(f"-u {private} 9001", f"-t {private} 9001", f"-u {one} {PORT}")
        self.assertEqual([line[:2] for line in lines], [["one", me], ["one", me], ["none"]])
        # clients' own groups are asked about the balancer
        self.ec2.revoke_security_group_ingress(GroupId=guard, IpPermissions=self.ec2.describe_security_groups(GroupIds=[guard])["SecurityGroups"][0][
            "IpPermissions"])
        wait(self, lambda: not packet(public), 30)

    def test_flows_stay_and_move(self):
        one, two = self.serve("one")[0], self.serve("two", zone=1)[0]
        made = self.balancer("moving", subnets=2)
        group = self.group_of("moving", one, two, attributes=[("deregistration_delay.connection_termination.enabled", "false")])
        listener = self.listen(made, forward(group))
        self.healthy(group, 2)
        publics = {zone: public for zone, _, public in self.nodes(made)}
        near, far = publics[self.zones[0]], publics[self.zones[1]]
        # each node gives to its own zone
        wait(self, lambda: packet(near) and packet(far), 30)
        self.assertEqual({told(near)[0] for _ in range(8)} | {packet(near)[0] for _ in range(8)}, {"one"})
        self.assertEqual({told(far)[0] for _ in range(8)} | {packet(far)[0] for _ in range(8)}, {"two"})
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"], Attributes=[
            {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}])
        wait(self, lambda: {told(near)[0] for _ in range(16)} == {"one", "two"}, 60)
        wait(self, lambda: {packet(near)[0] for _ in range(16)} == {"one", "two"}, 60)
        # a flow of UDP stays where it is
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            self.assertEqual(len({packet(near, sock=sock)[0] for _ in range(16)}), 1)
        # all of a client's with stickiness
        self.attributes(group, ("stickiness.enabled", "true"), ("stickiness.type", "source_ip"))
        wait(self, lambda: len({told(near)[0] for _ in range(16)} | {packet(near)[0] for _ in range(16)}) == 1, 60)
        self.attributes(group, ("stickiness.enabled", "false"))
        wait(self, lambda: {told(near)[0] for _ in range(16)} == {"one", "two"}, 60)

        # who goes keeps what he has, and gets nothing new
        opened = {}
        for _ in range(64):
            s, words = stream(near)
            self.addCleanup(s.close)
            opened.setdefault(words[0], s)
            if len(opened) == 2:
                break
        self.assertEqual(set(opened), {"one", "two"})
        self.elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": two}])
        wait(self, lambda: {told(near)[0] for _ in range(16)} == {"one"}, 60)
        self.healthy(group, 1)
        self.assertTrue(echoes(opened["two"]))
        self.assertTrue(echoes(opened["one"]))
        # unless the group says otherwise
        self.elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": two}])
        self.healthy(group, 2)
        self.attributes(group, ("deregistration_delay.connection_termination.enabled", "true"))
        wait(self, lambda: {told(near)[0] for _ in range(16)} == {"one", "two"}, 60)
        self.elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": two}])
        wait(self, lambda: not echoes(opened["two"]), 60)
        self.assertTrue(echoes(opened["one"]))

        # a listener that is gone refuses
        self.elb.delete_listener(ListenerArn=listener)
        wait(self, lambda: not told(near) and not packet(near, seconds=0.3), 30)

    def test_who_is_ill_gets_nothing(self):
        one, two = self.serve("one")[0], self.serve("two")[0]
        made = self.balancer("health")
        group = self.group_of("health", one, two, UnhealthyThresholdCount=2, HealthCheckPort=str(PORT))
        self.listen(made, forward(group))
        self.healthy(group, 2)
        ((_, _, public),) = self.nodes(made)
        wait(self, lambda: {(packet(public) or [""])[0] for _ in range(16)} == {"one", "two"}, 60)

        def open_to_two():
            """Its connection, when it gets one; under load it may be taken to be ill for a moment."""
            try:
                s, words = stream(public)
            except OSError:
                return None
            self.addCleanup(s.close)
            return words[0] == "two" and s
        s = wait(self, open_to_two, 60)
        self.assertTrue(echoes(s))
        # its machine goes without a word
        (victim,) = [t for t in self.ecs.describe_tasks(cluster=self.cluster, tasks=self.ecs.list_tasks(cluster=self.cluster)["taskArns"])["tasks"]
                     if any(d["value"] == two for a in t["attachments"] for d in a["details"])]
        self.ecs.stop_task(cluster=self.cluster, task=victim["taskArn"])
        wait(self, lambda: {(packet(public) or [""])[0] for _ in range(16)} == {"one"}, 90)
        wait(self, lambda: {(told(public) or [""])[0] for _ in range(8)} == {"one"}, 60)
        wait(self, lambda: not echoes(s), 60)

    def test_instances_see_clients(self):
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no machine image")
        serve = ("#!/bin/sh\ncat >/srv/seen.py <<'END'\n"
                 "import socketserver as s\n"
                 "class One(s.BaseRequestHandler):\n"
                 "    def handle(self):\n"
                 "        self.request.sendall((f'machine {self.client_address[0]}' + chr(10)).encode())\n"
                 f"s.ThreadingTCPServer(('', {PORT}), One).serve_forever()\n"
                 "END\nnohup python3 /srv/seen.py >/dev/null 2>&1 &\n")
        (made,) = when_there_is_room(self.ec2.run_instances, ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, UserData=serve,
                                     SubnetId=self.subnets[0], SecurityGroupIds=[self.open],
                                     TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"]
        instance = made["InstanceId"]
        end_instances(self, self.ec2, instance)
        wait_for(self, self.ec2, instance, "running", 120)
        balancer = self.balancer("machine")
        # by AWS's defaults the client's address is kept
        group = self.group_of("machine", instance, Protocol="TCP", TargetType="instance")
        self.listen(balancer, forward(group), Protocol="TCP")
        self.healthy(group, 1)
        ((_, private, public),) = self.nodes(balancer)
        wait(self, lambda: told(public)[:1] == ["machine"], 30)
        lines, me = self.ask_inside(f"-t {private} 9001")
        self.assertEqual(lines, [["machine", me]])
        self.attributes(group, ("preserve_client_ip.enabled", "false"))
        wait(self, lambda: told(public) == ["machine", private], 60)
        # a machine that ends is one that serves no more
        self.ec2.terminate_instances(InstanceIds=[instance])
        wait(self, lambda: not told(public), 60)

    def test_refusals(self):
        make = lambda **more: self.elb.create_target_group(**{"Name": "no", "Protocol": "UDP", "Port": 53, "VpcId": self.vpc, "TargetType": "ip", **more})
        self.assertAwsError("ValidationError", make, HealthCheckProtocol="UDP", message="Health check protocol 'UDP' must be one of 'HTTP, HTTPS, TCP'")
        group = make()["TargetGroups"][0]
        self.assertEqual((group["HealthCheckProtocol"], group["HealthCheckPort"]), ("TCP", "traffic-port"))
        shown = {a["Key"]: a["Value"] for a in self.elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]}
        self.assertEqual(shown["preserve_client_ip.enabled"], "true")
        self.assertEqual(shown["deregistration_delay.connection_termination.enabled"], "true")
        self.assertAwsError("ValidationError", self.attributes, group, ("preserve_client_ip.enabled", "false"))
        self.assertAwsError("ValidationError", self.attributes, group, ("proxy_protocol_v2.enabled", "true"))
        made = self.elb.create_load_balancer(Name="refusals", Type="network", Subnets=self.subnets[:1])["LoadBalancers"][0]
        self.assertAwsError("IncompatibleProtocols", self.listen, made, forward(group), Protocol="TCP")
        self.assertAwsError("IncompatibleProtocols", self.listen, made, forward(group), Protocol="TCP_UDP")
        self.assertAwsError("ValidationError", self.listen, made, forward(group), Protocol="QUIC")
        self.listen(made, forward(group), Protocol="UDP", Port=53)
        self.assertAwsError("DuplicateListener", self.listen, made, forward(group), Protocol="UDP", Port=53)
        instances = make(Name="inst", Protocol="TCP", TargetType="instance")["TargetGroups"][0]
        shown = {a["Key"]: a["Value"] for a in self.elb.describe_target_group_attributes(TargetGroupArn=instances["TargetGroupArn"])["Attributes"]}
        self.assertEqual((shown["preserve_client_ip.enabled"], shown["deregistration_delay.connection_termination.enabled"]), ("true", "false"))


if __name__ == "__main__":
    unittest.main()
