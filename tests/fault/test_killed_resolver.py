"""Route 53 Resolver while roles die: rules go on leading names elsewhere, endpoints go on answering, and nothing is left of those that end."""
import ctypes
import fcntl
import os
import pathlib
import subprocess
import tempfile
import unittest
import uuid

from answers import build
from busybox import busybox, push, why_not
from registry import Registry
from tasked import AWAY, Tasked

SIOCGSKNS, PIDFD_GETFD = 0x894C, 438


def places_of_sockets(pid):
    """The network namespaces that a process has sockets in."""
    process, found = os.pidfd_open(pid), set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        mine = ctypes.CDLL(None).syscall(PIDFD_GETFD, process, int(fd), 0)
        try:
            space = fcntl.ioctl(mine, SIOCGSKNS)
        except OSError:
            pass  # no socket, or it is gone
        else:
            found.add(os.readlink(f"/proc/self/fd/{space}"))
            os.close(space)
        if mine >= 0:
            os.close(mine)
    os.close(process)
    return found


def inhabited():
    """Those that a process is in."""
    found = set()
    for place in pathlib.Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(place))
        except OSError:
            continue
    return found


@unittest.skipIf(why_not(), why_not())
class Resolver(Tasked):
    def setUp(self):
        super().setUp()
        self.tools = tempfile.TemporaryDirectory()
        self.addCleanup(self.tools.cleanup)
        self.program = os.path.join(self.tools.name, "answers")
        build(self.program)
        ecr, self.ec2, self.r = (self.cloud.client(s) for s in ("ecr", "ec2", "route53resolver"))
        push(Registry(ecr, self.cloud.endpoint, "app", host=self.uri.split("/")[0]), busybox([("bin/answers", pathlib.Path(self.program).read_bytes())]))
        self.group_id = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        self.subnets = sorted(s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"])[:2]
        self.vpc = self.ec2.describe_subnets(SubnetIds=self.subnets)["Subnets"][0]["VpcId"]
        self.define("names", "exec answers serve 53 10.9.9.9")
        self.tasks = []

    def begin(self):
        """Tasks that ask and answer; those of before have lost their links with `net`. The address of the one that answers."""
        for arn in self.tasks:
            self.eventually(lambda a=arn: self.stop_task(a))
            self.until(arn, "STOPPED")
        self.tasks = [self.run_task("names"), self.run_task("t")]
        for arn in self.tasks:
            self.until(arn, "RUNNING")
        details = self.show(self.tasks[0])["attachments"][0]["details"]
        return next(d["value"] for d in details if d["name"] == "privateIPv4Address")

    def eventually(self, what, seconds=120):
        """Until it is true; while a role is being started again nobody answers."""
        def ask():
            try:
                return what()
            except AWAY:
                return False
        return self.wait(ask, seconds)

    def asked(self, name, server="172.31.0.2"):
        """What the task that stays is told."""
        pids = self.inits()
        if not pids:
            return ""
        said = subprocess.run(["nsenter", "--net", "--target", str(pids[0]), self.program, "ask", server, name], capture_output=True, text=True, check=False)
        return said.stdout.strip()

    def counted(self):
        """(links of routers, namespaces that net has, sockets that api has in namespaces that are nobody's else); None: a role is not there."""
        net, api = self.net(), self.cloud.role_pid("api")
        try:
            spaces = {}
            for fd in os.listdir(f"/proc/{net}/fd"):
                place = os.readlink(f"/proc/{net}/fd/{fd}")
                if place.startswith("net:"):
                    spaces[place] = fd
            links = sum(subprocess.run(["nsenter", f"--net=/proc/{net}/fd/{fd}", "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.count("\n")
                        for fd in spaces.values())
            alone = [place for place in places_of_sockets(api) if place not in spaces and place not in inhabited()]
        except (OSError, TypeError, subprocess.CalledProcessError):
            return None
        return links, len(spaces), len(alone)

    def endpoint(self, direction, word=None):
        made = self.r.create_resolver_endpoint(CreatorRequestId=word or uuid.uuid4().hex, Direction=direction, SecurityGroupIds=[self.group_id],
                                               IpAddresses=[{"SubnetId": s} for s in self.subnets])
        return made["ResolverEndpoint"]["Id"]

    def works(self, endpoint):
        return self.r.get_resolver_endpoint(ResolverEndpointId=endpoint)["ResolverEndpoint"]["Status"] == "OPERATIONAL"

    def test_roles_die(self):
        address, before = self.begin(), self.wait(self.counted)
        inside, out = self.endpoint("INBOUND"), self.endpoint("OUTBOUND")
        rule = self.r.create_resolver_rule(CreatorRequestId="r", RuleType="FORWARD", DomainName="corp.test", TargetIps=[{"Ip": address}],
                                           ResolverEndpointId=out)["ResolverRule"]["Id"]
        self.r.associate_resolver_rule(ResolverRuleId=rule, VPCId=self.vpc)
        doors = [i["Ip"] for i in self.r.list_resolver_endpoint_ip_addresses(ResolverEndpointId=inside)["IpAddresses"]]
        all_well = lambda: all(self.asked(f"host{i}.corp.test", at) == "0 10.9.9.9" for i, at in enumerate(["172.31.0.2", *doors]))  # noqa: E731
        self.eventually(all_well)
        self.eventually(lambda: self.works(inside) and self.works(out))
        for roles in (("api",), ("priv",), ("net",), ("api", "net"), ("main",)):
            self.kill(*roles)
            if "net" in roles:
                address = self.begin()
                self.eventually(lambda ip=address: self.r.update_resolver_rule(ResolverRuleId=rule, Config={"TargetIps": [{"Ip": ip}]}))
            self.eventually(all_well)
            self.eventually(lambda: self.works(inside) and self.works(out))
        # in the middle of a beginning and of an end
        word = uuid.uuid4().hex
        self.endpoint("INBOUND", word)
        self.kill("api", "net")
        find = lambda: [e["Id"] for e in self.r.list_resolver_endpoints(Filters=[{"Name": "CreatorRequestId", "Values": [word]}])["ResolverEndpoints"]]  # noqa: E731
        (late,) = self.eventually(find)
        self.eventually(lambda: self.works(late))
        self.r.disassociate_resolver_rule(ResolverRuleId=rule, VPCId=self.vpc)
        self.r.delete_resolver_rule(ResolverRuleId=rule)
        for n, endpoint in enumerate((late, out, inside)):
            self.r.delete_resolver_endpoint(ResolverEndpointId=endpoint)
            if n < 2:
                self.kill("api" if n else "net")
                self.eventually(self.r.list_resolver_rules)
        self.begin()  # as many links as at first
        self.eventually(lambda: self.counted() == before)
        left = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["Route 53 Resolver:*"]}])["NetworkInterfaces"]
        self.assertEqual(left, [])
        self.cloud.stop()
        self.assertEqual(self.cloud.leftovers(), [])


if __name__ == "__main__":
    unittest.main()
