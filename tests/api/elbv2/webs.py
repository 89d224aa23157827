"""What tests of application load balancers with functions behind them share: one region a class, functions that say what they heard."""
import base64
import io
import json
import socket
import ssl
import time
import uuid
import zipfile

from aws import TestCase, client
from balancers import forward, wait

ECHO = """
import base64, json
def lambda_handler(event, context):
    want = (event.get("multiValueHeaders") or {}).get("x-say", [None])[-1] or (event.get("headers") or {}).get("x-say")
    if want:
        return json.loads(base64.b64decode(want))
    return {"statusCode": 200, "headers": {"Content-Type": "application/json", "X-Who": context.function_name}, "body": json.dumps(event)}
"""


def say(answer):
    """A header that makes the function answer this."""
    return base64.b64encode(json.dumps(answer).encode()).decode()


class Reply:
    def __init__(self, raw):
        head, self.body = raw.split(b"\r\n\r\n", 1) if b"\r\n\r\n" in raw else (raw, b"")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ", 2)
        self.status = int(words[1]) if len(words) > 1 else None
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        return (self.all(name) or [None])[0]

    def json(self):
        return json.loads(self.body)


class WebCase(TestCase):
    """A region, its default VPC, a role for functions and an open security group."""
    own_region = None
    kept = ()  # names of balancers that are the whole class's

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.word = uuid.uuid4().hex[:8]
        # as Lambda's model wants them: letters alone
        cls.region = cls.own_region or "zz-" + "".join(chr(ord("a") + int(c, 16)) for c in cls.word) + "-1"
        cls.elb, cls.ec2, cls.functions, cls.iam, cls.acm, cls.cloudwatch, cls.s3 = (
            client(s, region=cls.region) for s in ("elbv2", "ec2", "lambda", "iam", "acm", "cloudwatch", "s3"))
        subnets = sorted(cls.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        cls.subnets, cls.vpc = [s["SubnetId"] for s in subnets], subnets[0]["VpcId"]
        cls.open = cls.ec2.create_security_group(GroupName="open-" + cls.word, Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=cls.open, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        cls.role_name = "web-" + cls.word
        cls.role = cls.iam.create_role(RoleName=cls.role_name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]

    @classmethod
    def tearDownClass(cls):
        for b in cls.elb.describe_load_balancers()["LoadBalancers"]:
            cls.elb.delete_load_balancer(LoadBalancerArn=b["LoadBalancerArn"])
        for f in cls.functions.list_functions()["Functions"]:
            cls.functions.delete_function(FunctionName=f["FunctionName"])
        cls.iam.delete_role(RoleName=cls.role_name)
        super().tearDownClass()

    def setUp(self):
        self.addCleanup(self.clear)

    def clear(self):
        for b in self.elb.describe_load_balancers()["LoadBalancers"]:
            if b["LoadBalancerName"] not in self.kept:
                self.elb.delete_load_balancer(LoadBalancerArn=b["LoadBalancerArn"])
        for g in self.elb.describe_target_groups()["TargetGroups"]:
            self.elb.delete_target_group(TargetGroupArn=g["TargetGroupArn"])

    def function(self, name, code=ECHO, **more):
        """The ARN of a new function of that name."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as z:
            z.writestr("lambda_function.py", code)
        made = self.functions.create_function(FunctionName=name, Runtime="python3.12", Handler="lambda_function.lambda_handler", Role=self.role,
                                              Code={"ZipFile": packed.getvalue()}, **more)["FunctionArn"]
        self.addCleanup(self.functions.delete_function, FunctionName=name)
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return made

    def allow(self, function, group=None):
        more = {"SourceArn": group["TargetGroupArn"]} if group else {}
        self.functions.add_permission(FunctionName=function, StatementId="s" + uuid.uuid4().hex, Action="lambda:InvokeFunction",
                                      Principal="elasticloadbalancing.amazonaws.com", **more)

    def function_group(self, name, function=None, **more):
        """A target group with this function in it."""
        made = self.elb.create_target_group(Name=name, TargetType="lambda", **more)["TargetGroups"][0]
        if function:
            self.allow(function, made)
            self.elb.register_targets(TargetGroupArn=made["TargetGroupArn"], Targets=[{"Id": function}])
        return made

    def balancer(self, name, **more):
        made = self.elb.create_load_balancer(Name=name, Subnets=self.subnets[:2], SecurityGroups=[self.open], **more)["LoadBalancers"][0]
        self.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[made["LoadBalancerArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        return made

    def listen(self, balancer, actions, **more):
        return self.elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], DefaultActions=actions, **{"Protocol": "HTTP", "Port": 80, **more})[
            "Listeners"][0]["ListenerArn"]

    def fixed(self, text, status=200):
        return [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": str(status), "ContentType": "text/plain", "MessageBody": text}}]

    def rule(self, listener, priority, conditions, actions):
        return self.elb.create_rule(ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=actions)["Rules"][0]["RuleArn"]

    def addresses(self, balancer):
        words = "/".join(balancer["LoadBalancerArn"].split("/")[-3:])
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        return sorted(i["Association"]["PublicIp"] for i in found)

    def attributes(self, balancer, **pairs):
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"], Attributes=[
            {"Key": k.replace("__", "."), "Value": v} for k, v in pairs.items()])

    def raw(self, address, request, port=80, tls=None, name=None, seconds=30):
        """Everything that comes back until the other side closes (or `seconds` are over)."""
        with socket.create_connection((address, port), 10) as s:
            if not tls:
                return self.exchange(s, request, seconds)
            with tls.wrap_socket(s, server_hostname=name) as sealed:
                return self.exchange(sealed, request, seconds)

    @staticmethod
    def exchange(s, request, seconds):
        end, got = time.monotonic() + seconds, b""
        try:
            s.sendall(request)
        except OSError:
            pass
        while time.monotonic() < end:
            s.settimeout(max(0.1, end - time.monotonic()))
            try:
                piece = s.recv(65536)
            except OSError:
                break
            if not piece:
                break
            got += piece
        return got

    def ask(self, address, path="/", method="GET", headers=(), body=b"", host="web.example", port=80, **more):
        """One request on a connection of its own. headers: pairs, as they are to be sent."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"] + [f"{n}: {v}" for n, v in headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return Reply(self.raw(address, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, port=port, **more))

    def until(self, address, path, status, seconds=60, **more):
        def there():
            try:
                reply = self.ask(address, path, **more)
            except OSError:
                return None
            return reply if reply.status == status else None
        return wait(self, there, seconds, f"{status} of {path}")

    def certificate(self, name):
        """(ARN, a context that trusts it)"""
        arn = self.acm.request_certificate(DomainName=name)["CertificateArn"]
        wait(self, lambda: self.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED", 60)
        return arn, ssl.create_default_context(cadata=self.acm.get_certificate(CertificateArn=arn)["CertificateChain"])


__all__ = ["ECHO", "Reply", "WebCase", "forward", "say", "wait"]
