"""Services behind load balancers: tasks come into a target group and leave it, and clients notice nothing of a deployment."""
import http.client
import threading
import time
import unittest

from aws import client
from services import ServiceCase, name

PORTS = [{"containerPort": 80}]


class Balanced(ServiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.elb = client("elbv2", region=cls.region)
        cls.subnets = [s["SubnetId"] for s in cls.ec2.describe_subnets()["Subnets"] if s["AvailabilityZone"] <= cls.region + "b"]

    def setUp(self):
        word = name()
        self.target_group = self.elb.create_target_group(Name=word, Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
                                                         HealthCheckTimeoutSeconds=4, HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "4"}])
        self.balancer = self.elb.create_load_balancer(Name=word, Subnets=self.subnets, SecurityGroups=[self.group])["LoadBalancers"][0]["LoadBalancerArn"]
        self.addCleanup(self.clear)

    def listen(self):
        self.elb.create_listener(LoadBalancerArn=self.balancer, Protocol="HTTP", Port=80, DefaultActions=[
            {"Type": "forward", "TargetGroupArn": self.target_group}])
        words = "/".join(self.balancer.split("/")[-3:])
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        self.addresses = sorted(i["Association"]["PublicIp"] for i in found)
        self.wait(lambda: self.elb.describe_load_balancers(LoadBalancerArns=[self.balancer])["LoadBalancers"][0]["State"]["Code"] == "active")

    def clear(self):
        self.elb.delete_load_balancer(LoadBalancerArn=self.balancer)
        self.elb.delete_target_group(TargetGroupArn=self.target_group)

    def balanced(self, **more):
        return [{"targetGroupArn": self.target_group, "containerName": "c", "containerPort": 80, **more}]

    def health(self):
        return {d["Target"]["Id"]: d["TargetHealth"]["State"] for d in
                self.elb.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]}

    def ask(self, at=0, path="/"):
        c = http.client.HTTPConnection(self.addresses[at % len(self.addresses)], 80, timeout=30)
        c.request("GET", path)
        reply = c.getresponse()
        body = reply.read().decode().strip()
        c.close()
        return reply.status, body

    def test_a_deployment_is_not_noticed(self):
        self.listen()
        called = name()
        made = self.create(self.server("old", check=False, portMappings=PORTS), 2, called, loadBalancers=self.balanced(), healthCheckGracePeriodSeconds=30)
        self.assertEqual((made["loadBalancers"], made["healthCheckGracePeriodSeconds"]), (self.balanced(), 30))
        self.stable(called)
        self.assertEqual(sorted(self.health().values()), ["healthy"] * 2)
        seen, over = [], threading.Event()

        def client_of_it():
            at = 0
            while not over.is_set():
                at += 1
                try:
                    seen.append(self.ask(at))
                except OSError as e:
                    seen.append((0, str(e)))
                time.sleep(0.05)
        thread = threading.Thread(target=client_of_it)
        thread.start()
        try:
            before = set(self.health())
            self.update(called, taskDefinition=self.server("new", check=False, portMappings=PORTS))
            self.wait(lambda: "draining" in self.health().values())
            self.stable(called)
            self.wait(lambda: sorted(self.health().values()) == ["healthy"] * 2 and not before & set(self.health()))
        finally:
            over.set()
            thread.join()
        self.assertEqual({s for s, _ in seen}, {200}, [x for x in seen if x[0] != 200][:5])
        self.assertEqual([b for _, b in seen][0], "old")
        self.assertEqual(self.ask()[1], "new")
        self.update(called, desiredCount=0)
        self.wait(lambda: self.health() == {})
        self.wait(lambda: self.service(called)["runningCount"] == 0)

    def test_who_fails_is_replaced(self):
        self.listen()
        called = name()
        # it serves what is asked for until it is told not to
        sick = {"portMappings": PORTS, "command": (
            "mkdir -p /w/cgi-bin; cd /w; echo ok > index.html; { echo '#!/bin/sh'; echo 'rm /w/index.html; echo Content-Type: text/plain; echo; echo ill'; } > cgi-bin/ill; "
            "chmod 755 cgi-bin/ill; exec httpd -f -p 80 -h /w")}
        self.create(self.register(sick), 1, called, loadBalancers=self.balanced())
        task = self.wait(lambda: [t for t in self.ecs.list_tasks(cluster=self.cluster, serviceName=called)["taskArns"]])[0]
        self.wait(lambda: "healthy" in self.health().values())
        self.assertEqual(self.ask(path="/cgi-bin/ill"), (200, "ill"))
        gone = self.wait(lambda: (t := self.task(task))["desiredStatus"] == "STOPPED" and t)
        self.assertEqual(gone["stoppedReason"], f"Task failed ELB health checks in (target-group {self.target_group})")
        self.wait(lambda: [t for t in self.ecs.list_tasks(cluster=self.cluster, serviceName=called)["taskArns"] if t != task])
        for text in (f"(service {called}) registered 1 targets in (target-group {self.target_group})", f"(service {called}) deregistered 1 targets in (target-group {self.target_group})",
                     f"(service {called}) has begun draining connections on 1 tasks.",
                     f"(service {called}) (port 80) is unhealthy in (target-group {self.target_group}) due to (reason Health checks failed with these codes: [404])."):
            self.wait(lambda said=text: said in "\n".join(self.messages(called)))

    def test_what_is_refused(self):
        definition = self.server("x", check=False, portMappings=PORTS)
        make = lambda **more: self.ecs.create_service(cluster=self.cluster, serviceName=name(), taskDefinition=definition, desiredCount=0, launchType="FARGATE",
                                                      networkConfiguration=self.network(), loadBalancers=self.balanced(**more))
        refused = lambda says, **more: self.assertAwsError("InvalidParameterException", make, status=400, message=says, **more)
        refused("does not have an associated load balancer")
        self.listen()
        refused("The container d does not exist in the task definition.", containerName="d")
        refused("The container c did not have a container port 81 defined.", containerPort=81)
        refused("does not exist", targetGroupArn=self.target_group[:-16] + "0" * 16)
        other = self.elb.create_target_group(Name=name(), Protocol="HTTP", Port=80, VpcId=self.vpc)["TargetGroups"][0]["TargetGroupArn"]
        self.addCleanup(self.elb.delete_target_group, TargetGroupArn=other)
        refused("incompatible with the awsvpc network mode", targetGroupArn=other)


if __name__ == "__main__":
    unittest.main()
