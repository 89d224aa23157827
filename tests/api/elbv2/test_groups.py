"""Target groups and their targets."""
import time
import unittest

from balancers import BalancerCase, forward, wait


class Groups(BalancerCase):
    def test_a_group_and_its_defaults(self):
        g = self.elb.create_target_group(Name="blue", Protocol="HTTP", Port=8080, VpcId=self.vpc_id)["TargetGroups"][0]
        self.assertRegex(g.pop("TargetGroupArn"), rf"^arn:aws:elasticloadbalancing:{self.region}:\d{{12}}:targetgroup/blue/[0-9a-f]{{16}}$")
        self.assertEqual(g, {"TargetGroupName": "blue", "Protocol": "HTTP", "Port": 8080, "VpcId": self.vpc_id, "HealthCheckProtocol": "HTTP",
                             "HealthCheckPort": "traffic-port", "HealthCheckEnabled": True, "HealthCheckIntervalSeconds": 30,
                             "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "HealthCheckPath": "/",
                             "Matcher": {"HttpCode": "200"}, "LoadBalancerArns": [], "TargetType": "instance", "ProtocolVersion": "HTTP1",
                             "IpAddressType": "ipv4"})
        n = self.group_of("flow", Protocol="TCP", Port=9)
        self.assertEqual((n["HealthCheckProtocol"], n["HealthCheckTimeoutSeconds"], n.get("Matcher"), n.get("ProtocolVersion")), ("TCP", 10, None, None))
        n = self.group_of("flow2", Protocol="TCP", Port=53, HealthCheckProtocol="HTTP", HealthCheckPort="80")
        self.assertEqual((n["HealthCheckTimeoutSeconds"], n["Matcher"], n["HealthCheckPort"]), (6, {"HttpCode": "200-399"}, "80"))
        n = self.group_of("grpc", ProtocolVersion="GRPC")
        self.assertEqual((n["HealthCheckPath"], n["Matcher"]), ("/AWS.ALB/healthcheck", {"GrpcCode": "12"}))

    def test_what_is_refused(self):
        make = self.elb.create_target_group
        good = {"Name": "x", "Protocol": "HTTP", "Port": 80, "VpcId": self.vpc_id}
        without = lambda key: {k: v for k, v in good.items() if k != key}
        self.fails("ValidationError", make, **without("Protocol"), message="A protocol must be specified")
        self.fails("ValidationError", make, **without("Port"), message="A port must be specified")
        self.fails("ValidationError", make, **without("VpcId"), message="A VPC ID must be specified")
        self.fails("ValidationError", make, **{**good, "VpcId": "vpc-0123456789abcdef0"}, message="The VPC ID 'vpc-0123456789abcdef0' is not found")
        for more in ({"Name": "y" * 33}, {"Name": "a_b"}, {"TargetType": "lambda"}, {"TargetType": "alb"}, {"Protocol": "GENEVE"}, {"Protocol": "QUIC"},
                     {"ProtocolVersion": "HTTP3"}, {"Protocol": "TCP", "ProtocolVersion": "HTTP1"}, {"HealthCheckEnabled": False},
                     {"HealthCheckProtocol": "TCP"}, {"HealthCheckPort": "99999"}, {"HealthCheckPath": "x"}, {"HealthCheckTimeoutSeconds": 30},
                     {"HealthCheckIntervalSeconds": 301}, {"HealthyThresholdCount": 11}, {"Matcher": {"HttpCode": "500"}},
                     {"Matcher": {"HttpCode": "200-"}}, {"Protocol": "TCP", "HealthCheckPath": "/"}):
            self.fails("ValidationError", make, **{**good, **more})
        self.assertEqual(self.elb.describe_target_groups()["TargetGroups"], [])
        self.group_of("x")
        self.fails("DuplicateTargetGroupName", make, **{**good, "Port": 81, "TargetType": "ip"},
                   message="A target group with the same name 'x' exists, but with different settings")

    def test_changes_and_lists(self):
        arn = self.group_of("a")["TargetGroupArn"]
        self.group_of("b")
        self.assertEqual(self.group_of("a")["TargetGroupArn"], arn)
        g = self.elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/up", HealthCheckIntervalSeconds=10, Matcher={"HttpCode": "200,404"})["TargetGroups"][0]
        self.assertEqual((g["HealthCheckPath"], g["HealthCheckIntervalSeconds"], g["Matcher"]["HttpCode"]), ("/up", 10, "200,404"))
        self.fails("ValidationError", self.elb.modify_target_group, TargetGroupArn=arn, HealthCheckTimeoutSeconds=10)
        self.assertEqual([x["TargetGroupName"] for x in self.elb.describe_target_groups()["TargetGroups"]], ["a", "b"])
        self.assertEqual(self.elb.describe_target_groups(Names=["a"])["TargetGroups"][0]["HealthCheckPath"], "/up")
        page = self.elb.describe_target_groups(PageSize=1)
        self.assertEqual(len(page["TargetGroups"]), 1)
        self.assertEqual(self.elb.describe_target_groups(Marker=page["NextMarker"])["TargetGroups"][0]["TargetGroupName"], "b")
        self.elb.delete_target_group(TargetGroupArn=arn)
        self.elb.delete_target_group(TargetGroupArn=arn)
        self.fails("TargetGroupNotFound", self.elb.describe_target_groups, TargetGroupArns=[arn], message="One or more target groups not found")
        self.fails("ValidationError", self.elb.describe_target_health, TargetGroupArn="b", message="'b' is not a valid target group ARN")

    def test_attributes(self):
        arn = self.group_of()["TargetGroupArn"]
        read = lambda: {a["Key"]: a["Value"] for a in self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]}
        change = lambda **more: self.elb.modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=[{"Key": k.replace("__", "."), "Value": v} for k, v in more.items()])
        usual = read()
        for key, value in {"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false", "stickiness.type": "lb_cookie",
                           "stickiness.lb_cookie.duration_seconds": "86400", "slow_start.duration_seconds": "0",
                           "load_balancing.algorithm.type": "round_robin",
                           "load_balancing.cross_zone.enabled": "use_load_balancer_configuration"}.items():
            self.assertEqual(usual[key], value, key)
        change(stickiness__enabled="true", stickiness__type="app_cookie", stickiness__app_cookie__cookie_name="sid", slow_start__duration_seconds="30")
        self.assertEqual(read()["stickiness.app_cookie.cookie_name"], "sid")
        self.fails("InvalidConfigurationRequest", change, stickiness__app_cookie__cookie_name="")
        self.fails("InvalidConfigurationRequest", change, stickiness__app_cookie__cookie_name="AWSALB")
        self.fails("InvalidConfigurationRequest", change, load_balancing__algorithm__type="least_outstanding_requests")
        self.fails("ValidationError", change, slow_start__duration_seconds="29")
        self.fails("ValidationError", change, stickiness__type="source_ip")
        self.fails("ValidationError", change, no__such="1", message="Target group attribute key 'no.such' is not recognized")
        flow = self.group_of("flow", Protocol="TCP", Port=9)["TargetGroupArn"]
        keys = {a["Key"]: a["Value"] for a in self.elb.describe_target_group_attributes(TargetGroupArn=flow)["Attributes"]}
        self.assertEqual((keys["stickiness.type"], keys["proxy_protocol_v2.enabled"]), ("source_ip", "false"))

    def health(self, arn, **more):
        return {(d["Target"]["Id"], d["Target"].get("Port")): (d["TargetHealth"]["State"], d["TargetHealth"].get("Reason"))
                for d in self.elb.describe_target_health(TargetGroupArn=arn, **more)["TargetHealthDescriptions"]}

    def test_addresses_as_targets(self):
        g = self.group_of()
        arn = g["TargetGroupArn"]
        register = lambda *targets: self.elb.register_targets(TargetGroupArn=arn, Targets=list(targets))
        register({"Id": "172.31.0.9"}, {"Id": "172.31.16.9", "Port": 81}, {"Id": "10.1.2.3", "AvailabilityZone": "all"})
        register({"Id": "172.31.0.9"})
        shown = {d["Target"]["Id"]: d for d in self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]}
        self.assertEqual(shown["172.31.0.9"], {"Target": {"Id": "172.31.0.9", "Port": 80, "AvailabilityZone": self.zones[0]}, "HealthCheckPort": "80",
                         "TargetHealth": {"State": "unused", "Reason": "Target.NotInUse",
                                          "Description": "Target group is not configured to receive traffic from the load balancer"}})
        self.assertEqual((shown["172.31.16.9"]["HealthCheckPort"], shown["10.1.2.3"]["Target"]["AvailabilityZone"]), ("81", "all"))
        for bad, code in (({"Id": "8.8.8.8", "AvailabilityZone": "all"}, "InvalidTarget"), ({"Id": "10.1.2.4"}, "ValidationError"),
                          ({"Id": "172.31.0.300"}, "ValidationError"), ({"Id": "i-0123456789abcdef0"}, "ValidationError"),
                          ({"Id": "172.31.0.10", "AvailabilityZone": self.zones[1]}, "ValidationError")):
            self.assertAwsError(code, register, bad)
        # nobody uses the group, so nothing drains
        self.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "172.31.16.9", "Port": 80}])
        self.assertIn(("172.31.16.9", 81), self.health(arn))
        self.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "172.31.16.9"}])
        self.assertEqual(set(self.health(arn)), {("172.31.0.9", 80), ("10.1.2.3", 80)})
        self.assertEqual(self.health(arn, Targets=[{"Id": "172.31.16.9", "Port": 81}]), {("172.31.16.9", 81): ("unused", "Target.NotRegistered")})

    def test_draining(self):
        g = self.group_of()
        arn = g["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "3"}])
        made = self.balancer(Scheme="internal")
        self.listener(made, forward(g))
        self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "172.31.0.9"}, {"Id": "172.31.0.10"}, {"Id": "172.31.32.9"}])
        self.assertEqual(self.health(arn)[("172.31.0.9", 80)][0], "initial")
        self.assertEqual(self.health(arn)[("172.31.32.9", 80)], ("unused", "Target.NotInUse"))  # no node in its zone
        self.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "172.31.0.9"}, {"Id": "172.31.0.10"}])
        begun = time.monotonic()
        self.assertEqual(self.health(arn)[("172.31.0.9", 80)], ("draining", "Target.DeregistrationInProgress"))
        self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "172.31.0.10"}])
        wait(self, lambda: ("172.31.0.9", 80) not in self.health(arn), 20)
        self.assertGreater(time.monotonic() - begun, 2)
        self.assertEqual(self.health(arn)[("172.31.0.10", 80)][0], "initial")

    def test_instances_as_targets(self):
        g = self.group_of(TargetType="instance")
        arn = g["TargetGroupArn"]
        register = lambda i: self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": i}])
        self.fails("InvalidTarget", register, i="i-0123456789abcdef0", message="The following instances do not exist: 'i-0123456789abcdef0'")
        self.fails("ValidationError", register, i="172.31.0.9", message="Instance ID '172.31.0.9' is not valid")


if __name__ == "__main__":
    unittest.main()
