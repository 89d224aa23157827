"""Application load balancers as targets of network load balancers."""
import unittest

from webs import WebCase, forward, wait


class Chains(WebCase):
    def clear(self):
        for g in self.elb.describe_target_groups()["TargetGroups"]:
            if g["TargetType"] == "alb":
                self.elb.deregister_targets(TargetGroupArn=g["TargetGroupArn"], Targets=[
                    {"Id": d["Target"]["Id"]} for d in self.elb.describe_target_health(TargetGroupArn=g["TargetGroupArn"])["TargetHealthDescriptions"]] or [{"Id": "x"}])
                for arn in g["LoadBalancerArns"]:
                    self.elb.delete_load_balancer(LoadBalancerArn=arn)
                self.elb.delete_target_group(TargetGroupArn=g["TargetGroupArn"])
        super().clear()

    def group(self, name, **more):
        made = self.elb.create_target_group(**{"Name": name, "TargetType": "alb", "Protocol": "TCP", "Port": 80, "VpcId": self.vpc,
                                               "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, **more})["TargetGroups"][0]
        self.elb.modify_target_group_attributes(TargetGroupArn=made["TargetGroupArn"], Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "0"}])
        return made

    def register(self, group, balancer, **more):
        self.elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": balancer["LoadBalancerArn"], **more}])

    def states(self, group):
        return [(d["Target"]["Id"], d["Target"]["Port"], d["TargetHealth"]["State"])
                for d in self.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]]

    def front(self, name, subnets=1):
        made = self.elb.create_load_balancer(Name=name, Type="network", Subnets=self.subnets[:subnets])["LoadBalancers"][0]
        self.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[made["LoadBalancerArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        return made

    def test_one_behind_the_other(self):
        back = self.balancer("back")
        echo = self.function_group("echo", self.function("echo"))
        listener = self.listen(back, forward(echo))
        self.rule(listener, 1, [{"Field": "path-pattern", "Values": ["/up"]}], self.fixed("up"))
        group = self.group("chain", HealthCheckPath="/up")
        self.assertEqual((group["HealthCheckProtocol"], group["HealthCheckTimeoutSeconds"], group["Matcher"]), ("HTTP", 2, {"HttpCode": "200-399"}))
        self.register(group, back)
        self.register(group, back)
        self.assertEqual(self.states(group), [(back["LoadBalancerArn"], 80, "unused")])
        front = self.front("front", 2)
        self.listen(front, forward(group), Protocol="TCP", Port=81)
        wait(self, lambda: self.states(group)[0][2] == "healthy", 90, "healthy")
        # the client is seen through both, in each zone
        direct = self.until(self.addresses(back)[0], "/direct", 200).json()["headers"]["x-forwarded-for"]
        self.assertEqual(len(self.addresses(front)), 2)
        for address in self.addresses(front):
            through = self.until(address, "/through", 200, port=81).json()
            self.assertEqual((through["path"], through["headers"]["x-forwarded-for"], through["headers"]["x-forwarded-port"]), ("/through", direct, "80"))
        # it is not deleted from under the other one
        self.assertAwsError("ResourceInUse", self.elb.delete_load_balancer, LoadBalancerArn=back["LoadBalancerArn"])
        # its nodes move: the other one follows
        self.elb.set_subnets(LoadBalancerArn=back["LoadBalancerArn"], Subnets=self.subnets[1:3])
        wait(self, lambda: self.states(group)[0][2] == "healthy", 90, "healthy again")
        (there,) = [i["Association"]["PublicIp"] for i in self.interfaces(front) if i["SubnetId"] == self.subnets[1]]
        self.until(there, "/up", 200, port=81)
        # ill: nothing listens any more
        self.elb.delete_listener(ListenerArn=listener)
        wait(self, lambda: self.states(group)[0][2] == "unhealthy", 90, "unhealthy")
        self.elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": back["LoadBalancerArn"]}])
        wait(self, lambda: not self.states(group), 30, "gone")
        self.elb.delete_load_balancer(LoadBalancerArn=back["LoadBalancerArn"])

    def interfaces(self, balancer):
        words = "/".join(balancer["LoadBalancerArn"].split("/")[-3:])
        return self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]

    def test_what_is_refused(self):
        back, front = self.balancer("refused"), self.front("refuses")
        self.listen(back, self.fixed("x"))
        for more in ({"Protocol": "TLS"}, {"Protocol": "UDP"}, {"Protocol": "HTTP"}, {"HealthCheckProtocol": "TCP"}, {"HealthCheckEnabled": False}):
            self.assertAwsError("ValidationError", self.group, "bad", **more)
        group = self.group("right")
        put = self.elb.register_targets
        arn = group["TargetGroupArn"]
        self.assertAwsError("ValidationError", put, TargetGroupArn=arn, Targets=[{"Id": "i-0123456789abcdef0"}])
        self.assertAwsError("ValidationError", put, TargetGroupArn=arn, Targets=[{"Id": front["LoadBalancerArn"]}])
        self.assertAwsError("InvalidTarget", put, TargetGroupArn=arn, Targets=[{"Id": back["LoadBalancerArn"][:-16] + "0123456789abcdef"}])
        self.assertAwsError("ValidationError", put, TargetGroupArn=arn, Targets=[{"Id": back["LoadBalancerArn"], "AvailabilityZone": "all"}])
        self.assertAwsError("ValidationError", put, TargetGroupArn=arn, Targets=[{"Id": back["LoadBalancerArn"], "Port": 8080}],
                            message="If the target type is ALB, the target must have at least one listener that matches the target group port or any "
                                    "specified port overrides")
        other = self.balancer("other")
        self.listen(other, self.fixed("x"))
        both = [{"Id": b["LoadBalancerArn"]} for b in (back, other)]
        self.assertAwsError("TooManyTargets", put, TargetGroupArn=arn, Targets=both)
        self.assertEqual(self.states(group), [])
        put(TargetGroupArn=arn, Targets=both[:1])
        self.assertAwsError("TooManyTargets", put, TargetGroupArn=arn, Targets=both[1:])
        attributes = {a["Key"]: a["Value"] for a in self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]}
        self.assertEqual((attributes["preserve_client_ip.enabled"], attributes["proxy_protocol_v2.enabled"]), ("true", "false"))
        self.assertAwsError("ValidationError", self.elb.modify_target_group_attributes, TargetGroupArn=arn, Attributes=[
            {"Key": "preserve_client_ip.enabled", "Value": "false"}])
        # of listeners of TCP alone
        self.assertAwsError("IncompatibleProtocols", self.listen, front, forward(group), Protocol="UDP", Port=81)
        self.assertAwsError("IncompatibleProtocols", self.listen, other, forward(group), Port=81)
        vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.addCleanup(self.ec2.delete_vpc, VpcId=vpc)
        self.assertAwsError("InvalidTarget", put, TargetGroupArn=self.group("away", VpcId=vpc)["TargetGroupArn"], Targets=both[:1])


if __name__ == "__main__":
    unittest.main()
