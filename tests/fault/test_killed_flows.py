"""Flows that the router leads while roles die: they go on, new ones are led meanwhile, changes are taken, and nothing is left."""
import subprocess
import threading
import unittest

from busybox import busybox, push, why_not
from leftovers import instance_of
from registry import Registry
from seen import echoes, packet, program, stream, told
from tasked import AWAY, Tasked

ALL = [{"CidrIp": "0.0.0.0/0"}]


@unittest.skipIf(why_not(), why_not())
class Flows(Tasked):
    def setUp(self):
        super().setUp()
        ecr, self.ec2, self.elb = (self.cloud.client(s) for s in ("ecr", "ec2", "elbv2"))
        push(Registry(ecr, self.cloud.endpoint, "app", host=self.uri.split("/")[0]), busybox([("bin/seen", program())]))
        group = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": p, "FromPort": 9000, "ToPort": 9000, "IpRanges": ALL} for p in ("tcp", "udp")])
        self.network["awsvpcConfiguration"]["assignPublicIp"] = "ENABLED"
        (subnet,) = self.network["awsvpcConfiguration"]["subnets"]
        vpc = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
        self.one, self.two = self.serve("one"), self.serve("two")
        self.arn = self.elb.create_load_balancer(Name="flows", Type="network", Subnets=[subnet])["LoadBalancers"][0]["LoadBalancerArn"]
        self.targets = self.elb.create_target_group(Name="flows", Protocol="TCP_UDP", Port=9000, VpcId=vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
                                                    HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.targets, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "1"},
            {"Key": "deregistration_delay.connection_termination.enabled", "Value": "false"}])
        self.elb.create_listener(LoadBalancerArn=self.arn, Protocol="TCP_UDP", Port=9001, DefaultActions=[
            {"Type": "forward", "TargetGroupArn": self.targets}])
        self.elb.register_targets(TargetGroupArn=self.targets, Targets=[{"Id": self.one}, {"Id": self.two}])
        words = "/".join(self.arn.split("/")[-3:])
        (node,) = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        self.address, self.private = node["Association"]["PublicIp"], node["PrivateIpAddress"]
        self.eventually(lambda: self.seen() == {"one", "two"})

    def eventually(self, what):
        """Until it is true; while a role is being started again nobody answers."""
        def ask():
            try:
                return what()
            except AWAY:
                return False
        return self.wait(ask)

    def serve(self, name):
        self.define(name, f"exec seen {name} 9000")
        (arn,) = self.run_tasks(name)
        details = self.until(arn, "RUNNING")["attachments"][0]["details"]
        return next(d["value"] for d in details if d["name"] == "privateIPv4Address")

    def seen(self):
        """Who answers packets and connections of 16 clients; "": somebody does not."""
        return {(ask(self.address) or [""])[0] for ask in (packet, told) for _ in range(16)}

    def test_roles_die(self):
        # inside the VPC a flow outlives them all, and new ones are led meanwhile; this machine's programs come by a link that is priv's
        self.define("asks", f"exec seen -k {self.private} 9001")
        self.define("comes", f"while seen -t {self.private} 9001 && seen -u {self.private} 9001; do sleep 0.05; done")
        inside = [self.run_task(family) for family in ("asks", "asks", "asks", "asks", "comes")]
        for arn in inside:
            self.until(arn, "RUNNING")
        for n, role in enumerate(("api", "priv", "api", "main")):
            if role == "main":
                self.cloud.process.kill()
                self.cloud.process.wait()
                self.cloud.start()
            else:
                self.cloud.kill(role)
            self.eventually(lambda: self.elb.describe_load_balancers()["LoadBalancers"])
            # and changes are taken
            change = self.elb.register_targets if n % 2 else self.elb.deregister_targets
            self.eventually(lambda: change(TargetGroupArn=self.targets, Targets=[{"Id": self.two}]) and True)
            self.eventually(lambda: self.seen() == ({"one", "two"} if n % 2 else {"one"}))
        # those that two has had stay with it, deregistered or not
        self.assertEqual([self.show(arn)["lastStatus"] for arn in inside], ["RUNNING"] * 5)

    def test_net_dies(self):
        """Flows of before go on, through the balancer and straight to tasks; new ones are led, and changes are taken."""
        straight = [address for address in self.publics() if address != self.address]
        self.assertEqual(len(straight), 2)
        kept = [stream(self.address)[0], *(stream(address, 9000)[0] for address in straight)]
        for s in kept:
            self.addCleanup(s.close)
        tasks = self.ecs.list_tasks()["taskArns"]
        for roles in (("net",), ("net", "api"), ("net",)):
            self.kill(*roles)
            self.assertEqual([echoes(s) for s in kept], [True] * 3)
            self.eventually(lambda: self.seen() == {"one", "two"})
            self.assertEqual({told(address, 9000)[0] for address in straight}, {"one", "two"})
        # this machine comes by a link that is priv's
        for roles in (("net", "priv"), ("main", "net", "api", "priv")):
            self.kill(*roles)
            self.eventually(lambda: self.seen() == {"one", "two"})
            self.assertEqual({told(address, 9000)[0] for address in straight}, {"one", "two"})
        self.assertEqual({t["lastStatus"] for t in self.eventually(lambda: self.ecs.describe_tasks(tasks=tasks)["tasks"])}, {"RUNNING"})
        self.elb.deregister_targets(TargetGroupArn=self.targets, Targets=[{"Id": self.two}])
        self.eventually(lambda: self.seen() == {"one"})

    def test_what_is_open_outlives_api(self):
        """Not for a moment is the way to it gone: until the next api has said all that it wants, what the last one had holds."""
        s, _ = stream(self.address)
        again, over = [], threading.Event()

        def talk():
            while not over.is_set() and all(again):
                again.append(echoes(s))

        talker = threading.Thread(target=talk)
        with s:
            talker.start()
            try:
                self.cloud.kill("api")
                self.eventually(lambda: self.elb.describe_load_balancers()["LoadBalancers"])
                # what is said to priv is heard in order: behind this all is as the new api wants it
                self.eventually(lambda: self.run_task("one"))
                self.eventually(lambda: all(self.has_way(p) for p in self.publics()) and len(self.publics()) == 4)
            finally:
                over.set()
                talker.join()
            self.assertEqual(again.count(False), 0)
            self.assertTrue(echoes(s))

    def publics(self):
        return [i["Association"]["PublicIp"] for i in self.ec2.describe_network_interfaces()["NetworkInterfaces"] if "Association" in i]

    def has_way(self, address):
        routes = subprocess.run(["ip", "-o", "route", "show", "table", "local", address], capture_output=True, text=True, check=True).stdout
        return f"dev qv{instance_of(self.cloud.data)}-" in routes

    def test_a_listener_goes_while_nobody_looks(self):
        """What a role was killed in the middle of is not in force for ever."""
        listener = self.elb.describe_listeners(LoadBalancerArn=self.arn)["Listeners"][0]["ListenerArn"]
        self.elb.delete_listener(ListenerArn=listener)
        self.cloud.kill("api")
        self.eventually(lambda: self.seen() == {""})

    def test_nothing_is_left(self):
        self.cloud.kill("api")
        self.eventually(lambda: self.elb.delete_load_balancer(LoadBalancerArn=self.arn))
        self.eventually(lambda: self.seen() == {""})
        self.cloud.stop()
        self.assertEqual(self.cloud.leftovers(), [])


if __name__ == "__main__":
    unittest.main()
