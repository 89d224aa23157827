"""Listeners and their rules."""
import unittest

from aws import client
from balancers import BalancerCase, forward, wait

FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no"}}
PATH = {"Field": "path-pattern", "Values": ["/img/*"]}


class Listeners(BalancerCase):
    def setUp(self):
        super().setUp()
        self.lb = self.balancer(Scheme="internal")
        self.arn = self.lb["LoadBalancerArn"]

    def test_a_listener(self):
        g = self.group_of()
        made = self.listener(self.lb, forward(g))
        self.assertRegex(made["ListenerArn"], self.arn.replace(":loadbalancer/", ":listener/") + r"/[0-9a-f]{16}$")
        self.assertEqual((made["Port"], made["Protocol"], made["LoadBalancerArn"]), (80, "HTTP", self.arn))
        self.assertEqual(made["DefaultActions"], [{"Type": "forward", "TargetGroupArn": g["TargetGroupArn"], "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": g["TargetGroupArn"], "Weight": 1}], "TargetGroupStickinessConfig": {"Enabled": False}}}])
        self.assertEqual(self.elb.describe_target_groups(LoadBalancerArn=self.arn)["TargetGroups"][0]["LoadBalancerArns"], [self.arn])
        self.fails("ResourceInUse", self.elb.delete_target_group, TargetGroupArn=g["TargetGroupArn"],
                   message=f"Target group '{g['TargetGroupArn']}' is currently in use by a listener or a rule")
        self.fails("DuplicateListener", self.elb.create_listener, LoadBalancerArn=self.arn, Protocol="HTTP", Port=80, DefaultActions=[FIXED],
                   message="A listener already exists on this port for this load balancer")
        other = self.balancer("other", Scheme="internal")
        self.fails("TargetGroupAssociationLimit", self.elb.create_listener, LoadBalancerArn=other["LoadBalancerArn"], Protocol="HTTP", Port=80,
                   DefaultActions=forward(g), message="cannot be associated with more than one load balancer")
        self.elb.modify_listener(ListenerArn=made["ListenerArn"], Port=81, DefaultActions=[FIXED])
        now = self.elb.describe_listeners(LoadBalancerArn=self.arn)["Listeners"]
        self.assertEqual([(x["Port"], x["DefaultActions"]) for x in now], [(81, [FIXED])])
        self.elb.delete_target_group(TargetGroupArn=g["TargetGroupArn"])
        self.elb.delete_listener(ListenerArn=made["ListenerArn"])
        self.fails("ListenerNotFound", self.elb.describe_listeners, ListenerArns=[made["ListenerArn"]], message="One or more listeners not found")

    def test_protocols(self):
        make = lambda balancer=self.lb, **more: self.elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], **{"Protocol": "HTTP", "Port": 80, "DefaultActions": [FIXED], **more})
        self.fails("ValidationError", make, Protocol="TCP", message="Listener protocol 'TCP' must be one of 'HTTPS, HTTP'")
        self.fails("ValidationError", make, Protocol="HTTPS", message="A certificate must be specified for HTTPS listeners")
        self.fails("CertificateNotFound", make, Protocol="HTTPS", Certificates=[{"CertificateArn": "arn:aws:acm:x:0:certificate/y"}])
        self.fails("SSLPolicyNotFound", make, Protocol="HTTPS", SslPolicy="none", Certificates=[{"CertificateArn": "arn:aws:acm:x:0:certificate/y"}])
        self.fails("LoadBalancerNotFound", make, balancer={"LoadBalancerArn": self.arn[:-16] + "0" * 16})
        flow, sealed = (self.group_of("g" + p.lower(), Protocol=p) for p in ("TCP", "TLS"))
        self.fails("IncompatibleProtocols", make, DefaultActions=forward(flow))
        net = self.balancer("net", Scheme="internal", Type="network")
        self.fails("ValidationError", make, balancer=net, message="Listener protocol 'HTTP' must be one of 'UDP, TCP, TCP_UDP, TLS'")
        self.fails("ValidationError", make, balancer=net, Protocol="TCP")
        self.fails("IncompatibleProtocols", make, balancer=net, Protocol="TCP", DefaultActions=forward(sealed))
        made = make(balancer=net, Protocol="TCP", DefaultActions=forward(flow))["Listeners"][0]
        self.fails("IncompatibleProtocols", make, balancer=net, Protocol="UDP", Port=53, DefaultActions=forward(flow))
        self.fails("UnsupportedProtocol", self.elb.create_rule, ListenerArn=made["ListenerArn"], Priority=1, Conditions=[PATH], Actions=forward(flow))
        self.fails("ValidationError", self.elb.modify_listener, ListenerArn=made["ListenerArn"], Protocol="TLS",
                   message="A certificate must be specified for TLS listeners")

    def test_actions(self):
        one, two = self.group_of("one"), self.group_of("two")
        l = self.listener(self.lb)["ListenerArn"]
        say = lambda *actions: self.elb.modify_listener(ListenerArn=l, DefaultActions=list(actions))["Listeners"][0]["DefaultActions"]
        self.assertEqual(say(*forward((one, 3), (two, 0), TargetGroupStickinessConfig={"Enabled": True, "DurationSeconds": 60})), [
            {"Type": "forward", "ForwardConfig": {"TargetGroups": [
                {"TargetGroupArn": one["TargetGroupArn"], "Weight": 3}, {"TargetGroupArn": two["TargetGroupArn"], "Weight": 0}],
                "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}}])
        self.assertEqual(say({"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}), [
            {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}",
                                                    "StatusCode": "HTTP_301"}}])
        redirect = lambda **more: {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_302", **more}}
        for code, bad in (("InvalidLoadBalancerAction", redirect()), ("InvalidLoadBalancerAction", redirect(Path="/#{nothing}")),
                          ("ValidationError", redirect(Path="x")), ("ValidationError", redirect(Port="0")),
                          ("InvalidLoadBalancerAction", {"Type": "redirect"}), ("InvalidLoadBalancerAction", {"Type": "forward"}),
                          ("ValidationError", {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "301"}}),
                          ("ValidationError", {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "image/png"}}),
                          ("ValidationError", {"Type": "authenticate-oidc", "AuthenticateOidcConfig": {
                              "Issuer": "i", "AuthorizationEndpoint": "a", "TokenEndpoint": "t", "UserInfoEndpoint": "u", "ClientId": "c"}}),
                          ("ValidationError", forward((one, 1000), (two, 1))[0]),
                          ("TargetGroupNotFound", {"Type": "forward", "TargetGroupArn": one["TargetGroupArn"][:-16] + "0" * 16})):
            self.assertAwsError(code, say, bad)
        self.assertAwsError("InvalidLoadBalancerAction", say, FIXED, FIXED)

    def test_rules(self):
        l = self.listener(self.lb)["ListenerArn"]
        make = lambda priority, *conditions, actions=(FIXED,): self.elb.create_rule(
            ListenerArn=l, Priority=priority, Conditions=list(conditions), Actions=list(actions))["Rules"][0]
        a = make(10, PATH)
        self.assertRegex(a["RuleArn"], l.replace(":listener/", ":listener-rule/") + r"/[0-9a-f]{16}$")
        self.assertEqual((a["Priority"], a["IsDefault"], a["Actions"]), ("10", False, [FIXED]))
        self.assertEqual(a["Conditions"], [{"Field": "path-pattern", "Values": ["/img/*"], "PathPatternConfig": {"Values": ["/img/*"]}}])
        self.fails("PriorityInUse", self.elb.create_rule, ListenerArn=l, Priority=10, Conditions=[PATH], Actions=[FIXED],
                   message="Priority '10' is currently in use")
        b = make(5, {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
                 {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "Values": ["*Chrome*"]}},
                 {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}},
                 {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "1"}]}},
                 {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}})
        order = lambda: [(r["Priority"], r["RuleArn"]) for r in self.elb.describe_rules(ListenerArn=l)["Rules"]]
        default = order()[-1][1]
        self.assertEqual(order(), [("5", b["RuleArn"]), ("10", a["RuleArn"]), ("default", default)])
        swap = self.elb.set_rule_priorities(RulePriorities=[{"RuleArn": a["RuleArn"], "Priority": 5}, {"RuleArn": b["RuleArn"], "Priority": 10}])
        self.assertEqual(len(swap["Rules"]), 2)
        self.assertEqual(order()[:2], [("5", a["RuleArn"]), ("10", b["RuleArn"])])
        self.fails("PriorityInUse", self.elb.set_rule_priorities, RulePriorities=[{"RuleArn": a["RuleArn"], "Priority": 10}])
        self.fails("OperationNotPermitted", self.elb.delete_rule, RuleArn=default)
        self.fails("OperationNotPermitted", self.elb.modify_rule, RuleArn=default, Actions=[FIXED])
        changed = self.elb.modify_rule(RuleArn=a["RuleArn"], Conditions=[{"Field": "host-header", "Values": ["a.example.com"]}])["Rules"][0]
        self.assertEqual((changed["Conditions"][0]["Field"], changed["Actions"]), ("host-header", [FIXED]))
        self.elb.add_tags(ResourceArns=[a["RuleArn"], l], Tags=[{"Key": "k", "Value": "v"}])
        self.assertEqual(len(self.elb.describe_tags(ResourceArns=[a["RuleArn"], l])["TagDescriptions"]), 2)
        self.elb.delete_rule(RuleArn=a["RuleArn"])
        self.fails("RuleNotFound", self.elb.describe_rules, RuleArns=[a["RuleArn"]], message="One or more rules not found")
        self.elb.delete_load_balancer(LoadBalancerArn=self.arn)
        self.fails("RuleNotFound", self.elb.describe_rules, RuleArns=[b["RuleArn"]])

    def test_conditions_that_are_refused(self):
        l = self.listener(self.lb)["ListenerArn"]
        make = lambda *conditions: self.elb.create_rule(ListenerArn=l, Priority=1, Conditions=list(conditions), Actions=[FIXED])
        host = lambda *v: {"Field": "host-header", "HostHeaderConfig": {"Values": list(v)}}
        for bad in (["none"], [], [{"Field": "path-pattern"}], [{"Field": "path-pattern", "Values": ["/" + "x" * 128]}],
                    [{"Field": "path-pattern", "Values": ["/<"]}], [host("no-dot")], [host("a.b"), host("c.d")], [host("a.b", "c.d", "e.f", "g.h")],
                    [host("*.*.*"), {"Field": "path-pattern", "Values": ["/*/*/*"]}],
                    [{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "Host", "Values": ["x"]}}],
                    [{"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["get"]}}],
                    [{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1"]}}],
                    [{"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v"}]}}]):
            self.assertAwsError("ValidationError", make, *[{"Field": b} if isinstance(b, str) else b for b in bad])
        self.assertEqual(len(self.elb.describe_rules(ListenerArn=l)["Rules"]), 1)

    def test_certificates(self):
        acm = client("acm", region=self.region)
        one, two = (acm.request_certificate(DomainName=f"{n}.localhost")["CertificateArn"] for n in ("one", "two"))
        for arn in (one, two):
            wait(self, lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED")
        users = lambda arn: acm.describe_certificate(CertificateArn=arn)["Certificate"].get("InUseBy", [])
        made = self.listener(self.lb, Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": one}])
        l = made["ListenerArn"]
        self.assertEqual((made["SslPolicy"], made["Certificates"]), ("ELBSecurityPolicy-2016-08", [{"CertificateArn": one}]))
        self.assertEqual((users(one), users(two)), ([self.arn], []))
        self.elb.add_listener_certificates(ListenerArn=l, Certificates=[{"CertificateArn": two}])
        shown = lambda: [(c["CertificateArn"], c["IsDefault"]) for c in self.elb.describe_listener_certificates(ListenerArn=l)["Certificates"]]
        self.assertEqual(shown(), [(one, True), (two, False)])
        self.assertEqual(users(two), [self.arn])
        self.fails("OperationNotPermitted", self.elb.remove_listener_certificates, ListenerArn=l, Certificates=[{"CertificateArn": one}])
        self.elb.remove_listener_certificates(ListenerArn=l, Certificates=[{"CertificateArn": two}])
        self.assertEqual((shown(), users(two)), ([(one, True)], []))
        self.elb.modify_listener(ListenerArn=l, Certificates=[{"CertificateArn": two}])
        self.assertEqual((users(one), users(two)), ([], [self.arn]))
        self.fails("ValidationError", self.elb.modify_listener, ListenerArn=l, Protocol="HTTP", SslPolicy="ELBSecurityPolicy-2016-08")
        self.elb.delete_load_balancer(LoadBalancerArn=self.arn)
        self.assertEqual(users(two), [])

    def test_what_old_clients_do_not_know(self):
        web = self.listener(self.lb)["ListenerArn"]
        rule = {"ListenerArn": web, "Priority": "1", "Actions.member.1.Type": "fixed-response", "Actions.member.1.FixedResponseConfig.StatusCode": "200",
                "Conditions.member.1.Field": "path-pattern"}
        path = "Conditions.member.1.PathPatternConfig.RegexValues.member.1"
        make = lambda **more: self.query("CreateRule", service="elasticloadbalancing", version="2015-12-01", **{**rule, **more})
        for bad in ("(", "[a", "a{2", "\\p{L}", "x" * 129):
            self.assertEqual(make(**{path: bad}).status, 400, bad)
        self.assertEqual(make(**{path: "^/x", "Conditions.member.1.Values.member.1": "/y"}).status, 400)
        made = make(**{path: "^/[a-c]+/\\d{2}$"})
        self.assertEqual(made.status, 200, made.body)
        self.assertIn(b"<RegexValues><member>^/[a-c]+/\\d{2}$</member></RegexValues>", made.body)

        net = self.balancer("net", Scheme="internal", Type="network")
        l = self.listener(net, forward(self.group_of(Protocol="TCP")), Protocol="TCP")["ListenerArn"]
        ask = lambda action, **more: self.query(action, service="elasticloadbalancing", version="2015-12-01", ListenerArn=l, **more)
        self.assertIn(b"<Key>tcp.idle_timeout.seconds</Key><Value>350</Value>", ask("DescribeListenerAttributes").body)
        member = {"Attributes.member.1.Key": "tcp.idle_timeout.seconds", "Attributes.member.1.Value": "60"}
        self.assertEqual(ask("ModifyListenerAttributes", **member).status, 200)
        self.assertIn(b"<Key>tcp.idle_timeout.seconds</Key><Value>60</Value>", ask("DescribeListenerAttributes").body)
        self.assertEqual(ask("ModifyListenerAttributes", **{**member, "Attributes.member.1.Value": "59"}).status, 400)


if __name__ == "__main__":
    unittest.main()
