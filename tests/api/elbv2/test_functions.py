"""Functions as targets of application load balancers: events, answers, permissions, health, faults."""
import base64
import datetime
import json
import unittest

from webs import WebCase, forward, say, wait

SLOW = """
import time
def lambda_handler(event, context):
    if event["path"] == "/slow":
        time.sleep(30)
    if event["path"] == "/raise":
        raise ValueError("no")
    if event["path"] == "/large":
        return {"statusCode": 200, "body": "x" * (1 << 20)}
    return {"statusCode": 200, "statusDescription": "200 OK", "headers": {"Content-Type": "text/plain"}, "body": "well"}
"""


class Functions(WebCase):
    def test_registration(self):
        function = self.function("registered")
        group = self.function_group("first")
        arn = group["TargetGroupArn"]
        self.assertEqual((group["TargetType"], group["HealthCheckEnabled"], group["HealthCheckIntervalSeconds"], group["HealthCheckTimeoutSeconds"]),
                         ("lambda", False, 35, 30))
        self.assertNotIn("Port", group)
        register = lambda *targets: self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": t} for t in targets])
        self.assertAwsError("AccessDenied", register, function, status=403, message="elasticloadbalancing principal does not have permission to invoke")
        self.allow(function, {"TargetGroupArn": arn.replace("first", "other")})
        self.assertAwsError("AccessDenied", register, function)
        self.allow(function, group)
        register(function)
        register(function)
        self.assertAwsError("TooManyTargets", register, function.replace("registered", "another"))
        (target,) = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        self.assertEqual(target["Target"], {"Id": function, **({"AvailabilityZone": "all"} if "AvailabilityZone" in target["Target"] else {})})
        self.assertEqual((target["TargetHealth"]["State"], target["TargetHealth"]["Reason"]), ("unused", "Target.NotInUse"))
        self.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": function}])
        self.assertEqual(self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"], [])
        self.assertEqual([a["Key"] for a in self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]],
                         ["lambda.multi_value_headers.enabled"])
        make = lambda **more: self.elb.create_target_group(Name="bad", TargetType="lambda", **more)
        self.assertAwsError("ValidationError", make, Protocol="HTTP", message="cannot be specified for target groups with target type 'lambda'")
        self.assertAwsError("ValidationError", make, Port=80)
        self.assertAwsError("ValidationError", self.elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": "i-1"}])

    def test_events_and_answers(self):
        function = self.function("echo")
        group = self.function_group("echo", function)
        made = self.balancer("echo")
        self.listen(made, forward(group))
        address = self.addresses(made)[0]
        self.until(address, "/", 200)
        self.assertEqual(self.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"][0]["TargetHealth"]["State"],
                         "unavailable")

        reply = self.ask(address, "/a%20b/c?x=1&y=%2F&x=2&z", headers=[("X-One", "1"), ("x-two", "a"), ("X-Two", "b"), ("X-Lb-Function", "mine")])
        event = reply.json()
        self.assertEqual(reply.get("X-Who"), "echo")
        self.assertEqual(event["requestContext"], {"elb": {"targetGroupArn": group["TargetGroupArn"]}})
        self.assertEqual((event["httpMethod"], event["path"], event["body"], event["isBase64Encoded"]), ("GET", "/a%20b/c", "", False))
        self.assertEqual(event["queryStringParameters"], {"x": "2", "y": "%2F", "z": ""})
        heard = event["headers"]
        self.assertEqual((heard["host"], heard["x-one"], heard["x-two"]), ("web.example", "1", "b"))
        self.assertEqual((heard["x-forwarded-port"], heard["x-forwarded-proto"]), ("80", "http"))
        self.assertRegex(heard["x-amzn-trace-id"], "^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$")
        self.assertIn("x-forwarded-for", heard)
        self.assertEqual([n for n in heard if n.startswith("x-lb-") or n != n.lower()], [])

        # bodies: text as it is, all else in base64
        for kind, more, coded in (("text/plain", [], False), ("application/json; charset=utf-8", [], False), ("application/octet-stream", [], True),
                                  ("text/plain", [("Content-Encoding", "gzip")], True), (None, [], True)):
            with self.subTest(kind=kind, coded=coded):
                event = self.ask(address, "/", "POST", ([("Content-Type", kind)] if kind else []) + more, b'{"a": 1}').json()
                self.assertEqual(event["httpMethod"], "POST")
                self.assertEqual((event["isBase64Encoded"], event["body"]), (coded, base64.b64encode(b'{"a": 1}').decode() if coded else '{"a": 1}'))
        chunked = self.raw(address, b"PUT /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        self.assertIn(b'"httpMethod": "PUT"', chunked)
        self.assertIn(b'"body": "abcde"', chunked)

        # answers
        answer = self.ask(address, "/", headers=[("X-Say", say({"statusCode": 201, "isBase64Encoded": True, "body": base64.b64encode(b"\0\xff").decode(),
                                                                "headers": {"X-A": "b", "Content-Length": "99"}}))])
        self.assertEqual((answer.status, answer.body, answer.get("x-a"), answer.get("content-length")), (201, b"\0\xff", "b", "2"))
        self.assertEqual(self.ask(address, "/", headers=[("X-Say", say({"statusCode": 204}))]).status, 204)
        head = self.ask(address, "/", "HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        for bad in ({"statusCode": "x"}, {"statusCode": 99}, {"body": "x"}, [], "text", {"statusCode": 200, "body": {}}, {"statusCode": 200, "headers": {"a": 1}},
                    {"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, {"statusCode": 200, "isBase64Encoded": True, "body": "%%"},
                    {"statusCode": 200, "headers": {"a b": "c"}}):
            with self.subTest(bad=bad):
                answer = self.ask(address, "/", headers=[("X-Say", say(bad))])
                self.assertEqual((answer.status, answer.get("Server")), (502, "awselb/2.0"), answer.headers)
                self.assertIn(b"<h1>502 Bad Gateway</h1>", answer.body)
                self.assertIsNone(answer.get("x-lb-fault"))
        self.assertEqual(self.ask(address, "/", headers=[("Upgrade", "websocket")]).status, 400)

        # 1 MB
        self.assertEqual(self.ask(address, "/", "POST", [("Content-Type", "text/plain"), ("X-Say", say({"statusCode": 200}))], b"x" * (1 << 20)).status, 200)
        self.assertEqual(self.ask(address, "/", "POST", [("Content-Type", "text/plain")], b"x" * ((1 << 20) + 1)).status, 413)

        # all values
        self.elb.modify_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], Attributes=[
            {"Key": "lambda.multi_value_headers.enabled", "Value": "true"}])
        event = wait(self, lambda: (e := self.ask(address, "/?x=1&y=2&x=3", headers=[("X-Two", "a"), ("x-two", "b")]).body) and b"multiValueHeaders" in e and e, 30)
        self.assertIn(b'"multiValueQueryStringParameters": {"x": ["1", "3"], "y": ["2"]}', event)
        self.assertIn(b'"x-two": ["a", "b"]', event)
        answer = self.ask(address, "/", headers=[("X-Say", say({"statusCode": 200, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": "x"}))])
        self.assertEqual(answer.all("set-cookie"), ["a=1", "b=2"])
        self.assertEqual(self.ask(address, "/", headers=[("X-Say", say({"statusCode": 200, "multiValueHeaders": {"a": "b"}}))]).status, 502)

    def test_faults_and_figures(self):
        function = self.function("slow", SLOW, Timeout=2)
        group = self.function_group("slow", function)
        made = self.balancer("slow")
        self.listen(made, forward(group))
        address = self.addresses(made)[0]
        self.until(address, "/", 200)
        begun = datetime.datetime.now(datetime.timezone.utc)
        for path in ("/raise", "/slow", "/large"):
            answer = self.ask(address, path)
            self.assertEqual((answer.status, answer.get("Server")), (502, "awselb/2.0"), path)
        for statement in json.loads(self.functions.get_policy(FunctionName="slow")["Policy"])["Statement"]:
            self.functions.remove_permission(FunctionName="slow", StatementId=statement["Sid"])
        self.until(address, "/", 502)
        path = "/".join(made["LoadBalancerArn"].split("/")[-3:])

        def total(name, **more):
            by = [{"Name": k, "Value": v} for k, v in {"LoadBalancer": path, **more}.items()]
            return sum(p["Sum"] for p in self.cloudwatch.get_metric_statistics(
                Namespace="AWS/ApplicationELB", MetricName=name, Dimensions=by, Period=60, Statistics=["Sum"],
                StartTime=begun - datetime.timedelta(minutes=2), EndTime=begun + datetime.timedelta(minutes=9))["Datapoints"])
        of_group = {"TargetGroup": group["TargetGroupArn"].split(":")[-1]}
        wait(self, lambda: total("LambdaUserError", **of_group) >= 4, 60, "user errors")
        wait(self, lambda: total("HTTPCode_ELB_502_Count") >= 4, 60, "502s of the balancer's own")
        self.assertGreater(total("LambdaTargetProcessedBytes"), 0)
        self.assertGreaterEqual(total("RequestCount", **of_group), 5)
        self.assertGreaterEqual(total("HTTPCode_Target_2XX_Count", **of_group), 1)
        self.assertEqual(total("HTTPCode_Target_5XX_Count", **of_group), 0)

    def test_health(self):
        function = self.function("health", """
def lambda_handler(event, context):
    checked = event["headers"].get("user-agent") == "ELB-HealthChecker/2.0"
    return {"statusCode": 200 if event["path"] != "/ill" or not checked else 500, "body": event["path"]}
""")
        group = self.function_group("health", function, HealthCheckEnabled=True, HealthCheckPath="/well", HealthCheckIntervalSeconds=5,
                                    HealthCheckTimeoutSeconds=3, HealthyThresholdCount=2)
        made = self.balancer("health")
        self.listen(made, forward(group))
        arn = group["TargetGroupArn"]

        def is_now(*wanted):
            h = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"][0]["TargetHealth"]
            return (h["State"], h.get("Reason")) == wanted
        wait(self, lambda: is_now("healthy", None), 60)
        self.elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/ill")
        wait(self, lambda: is_now("unhealthy", "Target.ResponseCodeMismatch"), 90)
        # nobody is well: it is asked all the same
        self.until(self.addresses(made)[0], "/open", 200)
        self.elb.modify_target_group(TargetGroupArn=arn, HealthCheckEnabled=False)
        wait(self, lambda: is_now("unavailable", "Target.HealthCheckDisabled"), 60)


if __name__ == "__main__":
    unittest.main()
