"""A whole balancer: its nodes, requests through it to tasks and instances, its names, and what is left when it is gone."""
import datetime
import pathlib
import socket
import ssl
import subprocess
import tempfile
import unittest

import images
from aws import client
from balancers import counted, forward, query, wait
from busybox import busybox, push
from ec2 import end_instances, wait_for, when_there_is_room
from seen import program
from traffic import TrafficCase

SERVE = "mkdir -p /w/img; echo {name} > /w/index.html; echo {name} > /w/up; echo {name} picture > /w/img/a; exec httpd -f -p 80 -h /w"


class Traffic(TrafficCase):
    SERVE = SERVE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.inner = cls.ec2.create_security_group(GroupName="tasks", Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=cls.inner, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 8443, "UserIdGroupPairs": [{"GroupId": cls.group}]}])

    def serve(self, name):
        return super().serve(name, self.inner)

    def test_calls_of_grpc(self):
        """A real client of HTTP/2 over TLS, and a target that knows nothing else."""
        push(self.registry, busybox([("bin/grpc", program("grpc"))]), tag="grpc")
        task = self.run_task({"command": "exec grpc 8000", "image": self.image + ":grpc"}, groups=[self.inner])
        (address,) = [d["value"] for d in self.until(task, "RUNNING")["attachments"][0]["details"] if d["name"] == "privateIPv4Address"]
        acm, name = client("acm", region=self.region), f"{self.word}.localhost"
        arn = acm.request_certificate(DomainName=name)["CertificateArn"]
        wait(self, lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED", 60)
        made = self.balancer("grpc")
        group = self.targets("grpc", address, Port=8000, ProtocolVersion="GRPC", Matcher={"GrpcCode": "0"})
        listener = self.listen(made, forward(group), Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": arn}])
        self.elb.create_rule(ListenerArn=listener, Priority=1, Conditions=[{"Field": "path-pattern", "Values": ["/plain"]}],
                             Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "299"}}])
        self.all_healthy(group)
        node = self.public(made)[0]

        def call(path, *more, times=1):
            with tempfile.TemporaryDirectory() as place:
                pathlib.Path(place, "ask").write_bytes(bytes(5))
                urls = [f"https://{name}/{path}{n}" if n else f"https://{name}/{path}" for n in range(times)]
                said = subprocess.run(["curl", "-sk", "--http2", "--max-time", "20", "--resolve", f"{name}:443:{node}", "-D", "-", *more,
                                       *sum((["-o", f"{place}/answer{n}", u] for n, u in enumerate(urls)), [])], capture_output=True, text=True, cwd=place).stdout
                return said.lower(), [p.read_bytes() for p in pathlib.Path(place).glob("answer*")]
        framed = ("-H", "Content-Type: application/grpc", "-H", "TE: trailers", "--data-binary", "@ask")
        wait(self, lambda: call("plain")[0].startswith("http/2 299"), 60, "the rule")
        self.assertEqual(counted(self, made, "GrpcRequestCount"), 0)
        said, answers = call("quartet.Test/Call", *framed, times=7)
        self.assertEqual(answers, [bytes(5)] * 7, said)
        self.assertEqual((said.count("http/2 200"), said.count("grpc-status: 0")), (7, 7), said)
        wait(self, lambda: counted(self, made, "GrpcRequestCount") >= 7, 60, "calls are counted")
        self.assertEqual(counted(self, made, "GrpcRequestCount"), 7)
        self.assertGreaterEqual(counted(self, made, "RuleEvaluations"), 7)
        self.assertTrue(call("quartet.Test/Call", *framed[:4])[0].startswith("http/2 464"), "a call by GET is none")

    def test_groups_take_turns(self):
        """A group that comes back to the place that another had meanwhile: its targets are healthy again, and it is they who answer."""
        made = self.balancer("turns")
        groups = {name: self.targets(name, self.serve(name), HealthCheckPath="/up") for name in ("left", "right")}
        listener = self.listen(made, forward(groups["left"]))
        for name in ("left", "right", "left", "right"):
            self.elb.modify_listener(ListenerArn=listener, DefaultActions=forward(groups[name]))
            self.all_healthy(groups[name])
            for address in self.public(made):
                wait(self, lambda a=address, name=name: self.ask(a)[1] == name, 60, name)

    def test_requests_reach_targets(self):
        one, two = self.serve("one"), self.serve("two")
        made = self.balancer("web")
        blue = self.targets("blue", one, two, HealthCheckPath="/up")
        listener = self.listen(made, forward(blue))
        self.all_healthy(blue)
        for address in self.public(made):
            seen = [self.ask(address) for _ in range(8)]
            self.assertEqual({s for s, _, _ in seen}, {200})
            self.assertEqual({b for _, b, _ in seen}, {"one", "two"})

        # counted within seconds
        cloudwatch, path = client("cloudwatch", region=self.region), "/".join(made["LoadBalancerArn"].split("/")[-3:])
        now = datetime.datetime.now(datetime.timezone.utc)

        def total(name, **more):
            by = [{"Name": k, "Value": v} for k, v in {"LoadBalancer": path, **more}.items()]
            return sum(p["Sum"] for p in cloudwatch.get_metric_statistics(
                Namespace="AWS/ApplicationELB", MetricName=name, Dimensions=by, Period=60, Statistics=["Sum"],
                StartTime=now - datetime.timedelta(minutes=2), EndTime=now + datetime.timedelta(minutes=5))["Datapoints"])
        wait(self, lambda: total("RequestCount") == 16, 40, "16 requests counted")
        target_group = blue["TargetGroupArn"].split(":")[-1]
        self.assertEqual(total("HTTPCode_Target_2XX_Count", TargetGroup=target_group), 16)
        times = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApplicationELB", MetricName="TargetResponseTime", Dimensions=[{"Name": "LoadBalancer", "Value": path}], Period=300,
            Statistics=["Minimum", "Maximum", "SampleCount"], StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=5))["Datapoints"]
        self.assertEqual(sum(p["SampleCount"] for p in times), 16)
        self.assertTrue(all(0 <= p["Minimum"] <= p["Maximum"] < 10 for p in times), times)
        self.assertEqual(total("RequestCountPerTarget", TargetGroup=target_group), 8)

        # rules: fixed answers, redirects, other groups
        address = self.public(made)[0]
        green = self.targets("green", two)
        rule = lambda priority, condition, *actions: self.elb.create_rule(
            ListenerArn=listener, Priority=priority, Conditions=[condition], Actions=list(actions))["Rules"][0]["RuleArn"]
        rule(1, {"Field": "path-pattern", "Values": ["/no*"]},
             {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": "tea"}})
        rule(2, {"Field": "host-header", "Values": ["old.example.com"]},
             {"Type": "redirect", "RedirectConfig": {"Host": "new.example.com", "Port": "8080", "StatusCode": "HTTP_301"}})
        rule(3, {"Field": "path-pattern", "Values": ["/img/*"]}, *forward(green))
        self.all_healthy(green)
        wait(self, lambda: self.ask(address, "/nothing")[:2] == (418, "tea"), 20)
        status, _, reply = self.ask(address, "/a?b=c", Host="old.example.com")
        self.assertEqual((status, reply.getheader("Location")), (301, "http://new.example.com:8080/a?b=c"))
        self.assertEqual({self.ask(address, "/img/a")[1] for _ in range(4)}, {"two picture"})

        # by a regular expression, which the oldest boto3 does not know
        said = query(self.region, "CreateRule", **{
            "ListenerArn": listener, "Priority": "4", "Actions.member.1.Type": "fixed-response", "Actions.member.1.FixedResponseConfig.StatusCode": "299",
            "Conditions.member.1.Field": "path-pattern", "Conditions.member.1.PathPatternConfig.RegexValues.member.1": "^/[a-c]+/\\d{2}$"})
        self.assertEqual(said.status, 200, said.body)
        wait(self, lambda: self.ask(address, "/abc/42")[0] == 299, 20)
        self.assertNotEqual(self.ask(address, "/abc/423")[0], 299)

        # who drains gets nothing new, and is gone when its time is over
        self.elb.deregister_targets(TargetGroupArn=blue["TargetGroupArn"], Targets=[{"Id": one}])
        self.assertEqual(self.health(blue)[one][0], "draining")
        wait(self, lambda: one not in self.health(blue), 20)
        wait(self, lambda: {self.ask(address)[1] for _ in range(6)} == {"two"}, 20)
        # a target that fails its checks
        self.elb.modify_target_group(TargetGroupArn=blue["TargetGroupArn"], HealthCheckPath="/absent")
        wait(self, lambda: self.health(blue)[two] == ("unhealthy", "Target.ResponseCodeMismatch"), 60)
        self.elb.deregister_targets(TargetGroupArn=blue["TargetGroupArn"], Targets=[{"Id": two}])
        wait(self, lambda: self.ask(address)[0] == 503, 30)

        self.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
        wait(self, lambda: self.refuses(address), 30)
        self.assertEqual(self.public(made), [])

    def refuses(self, address, port=80):
        try:
            socket.create_connection((address, port), 1).close()
            return False
        except OSError:
            return True

    def test_names(self):
        dns = client("route53")
        made = self.balancer("names")
        self.listen(made, [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "here"}}])
        expected = self.public(made)
        # an alias, answered in its own name
        name = f"www.{self.word}.example."
        zone = dns.create_hosted_zone(Name=f"{self.word}.example", CallerReference=self.word)["HostedZone"]["Id"]
        record = {"Name": name, "Type": "A", "AliasTarget": {
            "HostedZoneId": made["CanonicalHostedZoneId"], "DNSName": made["DNSName"], "EvaluateTargetHealth": False}}
        change = lambda action, **more: dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
            {"Action": action, "ResourceRecordSet": {**record, **more}}]})
        self.addCleanup(lambda: (change("DELETE"), dns.delete_hosted_zone(Id=zone)))
        self.assertAwsError("InvalidChangeBatch", change, "CREATE", AliasTarget={**record["AliasTarget"], "DNSName": "none." + made["DNSName"][6:]})
        change("CREATE")
        self.assertEqual(sorted(dns.test_dns_answer(HostedZoneId=zone, RecordName=name, RecordType="A")["RecordData"]), expected)
        # inside the VPC the name leads to the private addresses
        task = self.run_task({"command": f"nslookup {made['DNSName']} | grep ^Address; echo; wget -q -O - http://{made['DNSName']}/; echo; "
                                         f"wget -q -O - http://{name}/; echo; echo end; sleep 60", "logConfiguration": self.log("names")})
        lines = self.wait(lambda: (found := self.lines("names", task)) and "end" in found and found)
        self.assertEqual(lines.count("here"), 2, lines)
        private = [line.split()[-1] for line in lines if line.startswith("Address") and "172.31." in line and ":53" not in line]
        self.assertGreaterEqual(len(set(private)), 2, lines)

    def test_a_network_balancer(self):
        one = self.serve("flow")
        self.ec2.authorize_security_group_ingress(GroupId=self.inner, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "172.31.0.0/16"}]}])
        made = self.balancer("net", Type="network")
        flow = self.targets("flow", one, Protocol="TCP")
        self.listen(made, forward(flow), Protocol="TCP", Port=8080)
        self.all_healthy(flow)
        by_zone = {z["ZoneName"]: z["SubnetId"] for z in made["AvailabilityZones"]}
        self.assertEqual(len(by_zone), 2)
        answers = set()
        for address in self.public(made):
            try:
                answers.add(self.ask(address, port=8080)[1])
            except OSError:
                answers.add("reset")  # cross-zone is off: the node without a target in its zone
        self.assertEqual(answers, {"flow", "reset"})
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"], Attributes=[
            {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}])

        def everywhere():
            try:
                return all(self.ask(a, port=8080)[1] == "flow" for a in self.public(made))
            except OSError:
                return False
        wait(self, everywhere, 30)

    def test_instances_are_followed(self):
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no machine image")
        serve = "#!/bin/sh\nmkdir -p /srv/w; echo instance >/srv/w/index.html\nnohup python3 -m http.server -d /srv/w 80 >/dev/null 2>&1 &\n"
        (made,) = when_there_is_room(self.ec2.run_instances, ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, UserData=serve,
                                     SubnetId=self.subnets[0], SecurityGroupIds=[self.inner],
                                     TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"]
        instance = made["InstanceId"]
        end_instances(self, self.ec2, instance)
        group = self.targets("instances", TargetType="instance")
        register = lambda: self.elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": instance}])
        wait_for(self, self.ec2, instance, "running", 120)
        register()
        balancer = self.balancer("instances")
        self.listen(balancer, forward(group))
        self.all_healthy(group)
        address = self.public(balancer)[0]
        self.assertEqual(self.ask(address)[:2], (200, "instance"))
        self.ec2.stop_instances(InstanceIds=[instance], Force=True)
        wait_for(self, self.ec2, instance, "stopped", 120)
        wait(self, lambda: self.health(group) == {instance: ("unused", "Target.InvalidState")}, 20)
        wait(self, lambda: self.ask(address)[0] == 503, 20)
        self.assertAwsError("InvalidTarget", register, message="are not in a running state and cannot be registered")
        self.ec2.terminate_instances(InstanceIds=[instance])
        wait(self, lambda: self.health(group) == {}, 60)

    def test_https(self):
        acm = client("acm", region=self.region)
        name = f"{self.word}.localhost"
        arn = acm.request_certificate(DomainName=name)["CertificateArn"]
        wait(self, lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED", 20)
        made = self.balancer("tls")
        listener = self.listen(made, [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "sealed"}}],
                               Protocol="HTTPS", Port=8443, Certificates=[{"CertificateArn": arn}], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
        self.assertEqual(acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"], [made["LoadBalancerArn"]])
        self.assertAwsError("ResourceInUseException", acm.delete_certificate, CertificateArn=arn)
        address = self.public(made)[0]
        trust = ssl.create_default_context(cadata=acm.get_certificate(CertificateArn=arn)["CertificateChain"])

        def sealed():
            try:
                with trust.wrap_socket(socket.create_connection((address, 8443), 5), server_hostname=name) as s:
                    s.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                    return b"".join(iter(lambda: s.recv(4096), b"")), s.version()
            except OSError:
                return None
        reply, version = wait(self, sealed, 30)
        self.assertTrue(reply.startswith(b"HTTP/1.1 200"), reply)
        self.assertTrue(reply.endswith(b"sealed"), reply)
        self.assertEqual(version, "TLSv1.3")
        self.elb.delete_listener(ListenerArn=listener)
        acm.delete_certificate(CertificateArn=arn)


if __name__ == "__main__":
    unittest.main()
