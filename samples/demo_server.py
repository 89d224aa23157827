"""What the demonstration's parts on servers share: in a container, on an instance and in an environment they run report-server, call it and ask what it cost."""
import collections
import datetime
import http.client
import json
import os
import sys
import time

from botocore.exceptions import ClientError

HERE = os.path.dirname(os.path.abspath(__file__))
PORT, WARM = 8000, 10
CONNECT_SECONDS = 1  # a server that is not up yet may be silent, and the kernel would ask again ever later
SOURCES = ("report-python/orders.py", "report-server/server.py")


class Progress:
    """How long something has taken, on a terminal; nothing in a pipe."""

    def __init__(self, what):
        self.what, self.begin = what, time.monotonic()

    def show(self):
        if sys.stdout.isatty():
            print(f"\r   {self.what}: {time.monotonic() - self.begin:.0f} s", end="", flush=True)

    def end(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def make_role(iam, name, service, bucket):
    """A role that the service gives to the server: it may read and write the bucket's objects. Its ARN."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    access = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName=name)["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="orders", PolicyDocument=json.dumps(access))
    return role["Arn"]


def make_group(ec2, name):
    """A security group in the default VPC with the server's port open."""
    try:
        group = ec2.create_security_group(GroupName=name, Description="web server of the demonstration")["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=PORT, ToPort=PORT, CidrIp="0.0.0.0/0")
        return group
    except ClientError as e:
        if e.response["Error"]["Code"] != "InvalidGroup.Duplicate":
            raise
        return ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"][0]["GroupId"]


def ask(address, event, timeout):
    """One call to ADDRESS:PORT, timed: milliseconds and what it said."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(timeout)
        connection.request("POST", "/", body=json.dumps(event))
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        raise RuntimeError(f"{address} answered {reply.status}: {body.decode(errors='replace')}")
    return (time.perf_counter() - begin) * 1000, json.loads(body)


def wait_for_server(what, where, event, seconds):
    """Until the work was done once: where, milliseconds of that call, what it said. where() is ADDRESS:PORT, None while there is none;
    it raises RuntimeError when none will come."""
    progress = Progress(what)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            progress.show()
            address = where()
            try:
                if address:
                    return address, *ask(address, event, timeout=60)
            except OSError:
                pass
            time.sleep(0.05)
    finally:
        progress.end()
    raise RuntimeError(f"no answer after {seconds} s")


def warm_calls(address, event):
    progress, took = Progress("warm calls"), []
    try:
        for _ in range(WARM):
            progress.show()
            took.append(ask(address, event, timeout=120)[0])
    finally:
        progress.end()
    return took


def spent(ce):
    """USD so far of everything but functions, by usage type."""
    first = datetime.date.today().replace(day=1)
    until = (first + datetime.timedelta(days=63)).replace(day=1)  # the cloud's clock may be ahead
    out = ce.get_cost_and_usage(TimePeriod={"Start": str(first), "End": str(until)}, Granularity="MONTHLY", Metrics=["UnblendedCost"],
                                Filter={"Not": {"Dimensions": {"Key": "SERVICE", "Values": ["AWS Lambda"]}}},
                                GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}])
    usd = collections.defaultdict(float)
    for month in out["ResultsByTime"]:
        for group in month["Groups"]:
            usd[group["Keys"][0]] += float(group["Metrics"]["UnblendedCost"]["Amount"])
    return usd


def spent_since(ce, before):
    now = {usage: usd - before.get(usage, 0) for usage, usd in spent(ce).items()}
    return {usage: usd for usage, usd in now.items() if usd > 5e-7}
