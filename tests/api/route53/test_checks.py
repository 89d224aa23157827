"""Health checks that check, and record sets that follow them."""
import datetime
import http.server
import os
import random
import ssl
import threading
import time
import unittest
import uuid

from cloud import free_port

from test_answers import DIG, Answering


class Page(http.server.BaseHTTPRequestHandler):
    status, body, seen = 200, b"all is well", []

    def do_GET(self):
        type(self).seen.append((self.path, self.headers.get("Host"), self.headers.get("User-Agent")))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


def serve(case, tls=None, **about):
    """An endpoint at one of the cloud's public addresses that no instance of a test gets. (address, port, handler)"""
    handler = type("Handler", (Page,), {"seen": [], **about})
    address = f"127.79.{random.randrange(100, 250)}.{random.randrange(1, 250)}"
    server = http.server.ThreadingHTTPServer((address, 0), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(tls, "cert.pem"), os.path.join(tls, "key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    case.addCleanup(server.server_close)
    case.addCleanup(server.shutdown)
    return address, server.server_port, handler


@unittest.skipUnless(DIG, "no dig")
class Checks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Answering().start()
        cls.addClassCleanup(cls.cloud.stop)
        cls.dns = cls.cloud.client("route53")
        cls.zone = cls.dns.create_hosted_zone(Name="checked.test", CallerReference="1")["HostedZone"]["Id"]

    def check(self, kind, address=None, port=None, **more):
        config = {"Type": kind, **more}
        if address:
            config.update(IPAddress=address, Port=port, RequestInterval=10, FailureThreshold=1)
        made = self.dns.create_health_check(CallerReference=uuid.uuid4().hex, HealthCheckConfig=config)["HealthCheck"]["Id"]
        self.addCleanup(self.dns.delete_health_check, HealthCheckId=made)
        return made

    def status(self, check):
        """The first word that its checker has of it, once there is one."""
        return self.until(lambda: [o["StatusReport"]["Status"] for o in self.dns.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"]])[0]

    def until(self, ask, wanted=bool, seconds=90):
        end = time.monotonic() + seconds
        while not wanted(got := ask()) and time.monotonic() < end:
            time.sleep(0.1)
        self.assertTrue(wanted(got), got)
        return got

    def put(self, *sets):
        self.dns.change_resource_record_sets(HostedZoneId=self.zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": s} for s in sets]})

    def answers(self, called):
        return [r[4] for r in self.cloud.dig(called)[2].get("ANSWER", [])]

    def pair(self, check):
        """A name of a primary record with this check and a secondary one; what it says now."""
        called = uuid.uuid4().hex + ".checked.test"
        self.put({"Name": called, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}], "SetIdentifier": "1", "Failover": "PRIMARY", "HealthCheckId": check},
                 {"Name": called, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.2"}], "SetIdentifier": "2", "Failover": "SECONDARY"})
        return lambda: self.answers(called)

    def metric(self, name, **by):
        """The values that CloudWatch has of it, newest last: (minimum, maximum) by the minute."""
        moment = datetime.datetime.now(datetime.timezone.utc)
        points = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Route53", MetricName=name, Dimensions=[{"Name": k, "Value": v} for k, v in by.items()], Period=60,
            StartTime=moment - datetime.timedelta(minutes=10), EndTime=moment + datetime.timedelta(minutes=1), Statistics=["Minimum", "Maximum", "Sum"])["Datapoints"]
        return [(p["Minimum"], p["Maximum"]) for p in sorted(points, key=lambda p: p["Timestamp"])]

    def test_metrics(self):
        address, port, handler = serve(self)
        check = self.check("HTTP", address, port)
        self.until(lambda: self.metric("HealthCheckStatus", HealthCheckId=check), lambda p: p and p[-1][1] == 1)
        self.assertEqual(self.metric("HealthCheckPercentageHealthy", HealthCheckId=check)[-1], (100.0, 100.0))
        handler.status = 503
        self.dns.update_health_check(HealthCheckId=check, FailureThreshold=1)  # looked at anew
        self.until(lambda: self.metric("HealthCheckStatus", HealthCheckId=check), lambda p: p[-1][0] == 0)
        parent = self.check("CALCULATED", ChildHealthChecks=[check], HealthThreshold=1)
        self.until(lambda: self.metric("ChildHealthCheckHealthyCount", HealthCheckId=parent), lambda p: p and p[-1] == (0.0, 0.0))
        self.assertEqual(self.metric("HealthCheckStatus", HealthCheckId=parent)[-1], (0.0, 0.0))
        self.answers("nothing.checked.test")
        self.assertTrue(self.metric("DNSQueries", HostedZoneId=self.zone.rpartition("/")[2]))

    def test_latency(self):
        """Measured where it was asked for, and every step apart."""
        address, port, _ = serve(self)
        check, plain = self.check("HTTP", address, port, MeasureLatency=True), self.check("HTTP", address, port)
        self.assertTrue(self.dns.get_health_check(HealthCheckId=check)["HealthCheck"]["HealthCheckConfig"]["MeasureLatency"])
        for name in ("ConnectionTime", "TimeToFirstByte"):
            self.until(lambda: self.metric(name, HealthCheckId=check), lambda p: p and p[-1][0] > 0)
            self.assertTrue(self.metric(name, HealthCheckId=check, Region="us-east-1"))
        self.until(lambda: self.metric("HealthCheckStatus", HealthCheckId=plain), lambda p: p)
        self.assertEqual(self.metric("ConnectionTime", HealthCheckId=plain), [])
        self.assertEqual(self.metric("SSLHandshakeTime", HealthCheckId=check), [])

    def test_failover(self):
        address, port, handler = serve(self)
        check = self.check("HTTP", address, free_port(), ResourcePath="/health", FullyQualifiedDomainName="www.checked.test")
        says = self.pair(check)
        self.until(says, lambda a: a == ["192.0.2.2"])
        self.assertIn("Failure: connection failed", self.status(check))
        self.dns.update_health_check(HealthCheckId=check, Port=port)
        self.until(says, lambda a: a == ["192.0.2.1"])
        self.assertEqual(self.status(check), "Success: HTTP Status Code 200, OK")
        path, host, agent = handler.seen[0]
        self.assertEqual((path, host), ("/health", f"www.checked.test:{port}"))
        self.assertIn("Amazon-Route53-Health-Check-Service (ref " + check, agent)
        reason = self.dns.get_health_check_last_failure_reason(HealthCheckId=check)["HealthCheckObservations"][0]["StatusReport"]["Status"]
        self.assertIn("connection failed", reason)
        # turned round, and turned off
        self.dns.update_health_check(HealthCheckId=check, Inverted=True)
        self.until(says, lambda a: a == ["192.0.2.2"])
        self.dns.update_health_check(HealthCheckId=check, Inverted=False)
        handler.status = 503
        self.dns.update_health_check(HealthCheckId=check, FailureThreshold=1)  # looked at anew
        self.until(says, lambda a: a == ["192.0.2.2"])
        self.dns.update_health_check(HealthCheckId=check, Disabled=True)
        self.assertEqual(says(), ["192.0.2.1"])

    def test_kinds(self):
        address, port, _ = serve(self, body=b"x" * 5000 + b" needle")
        lost, lost_port, _ = serve(self, status=404)
        late, late_port, _ = serve(self, body=b"x" * 6000 + b" needle")
        tls, tls_port, _ = serve(self, tls=os.path.join(self.cloud.data, "tls"))
        for kind, at, more, status in (
                ("TCP", (address, port), {}, "Success: TCP connection was established"),
                ("HTTP", (lost, lost_port), {}, "Failure: HTTP Status Code 404, Not Found"),
                ("HTTP_STR_MATCH", (address, port), {"SearchString": "needle"}, "Success: HTTP Status Code 200, OK. Response body contains search string"),
                ("HTTP_STR_MATCH", (late, late_port), {"SearchString": "needle"}, "Failure: HTTP Status Code 200, OK. Response body does not contain search string"),
                ("HTTPS", (tls, tls_port), {}, "Success: HTTP Status Code 200, OK"),
                ("HTTPS", (address, port), {}, "Failure: SSL handshake failed")):
            with self.subTest(kind=kind, status=status):
                self.assertEqual(self.status(self.check(kind, *at, **more)), status)

    def test_by_name(self):
        address, port, _ = serve(self)
        called = uuid.uuid4().hex + ".checked.test"
        self.put({"Name": called, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": address}]})
        check = self.check("HTTP", FullyQualifiedDomainName=called, Port=port, RequestInterval=10)
        self.assertEqual(self.status(check), "Success: HTTP Status Code 200, OK")
        # a name may not lead to where an address may not
        inside = uuid.uuid4().hex + ".checked.test"
        self.put({"Name": inside, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "127.0.0.1"}]})
        self.assertEqual(self.status(self.check("HTTP", FullyQualifiedDomainName=inside, Port=self.cloud.port, RequestInterval=10)),
                         "Failure: The address is not one that checkers reach")

    def test_calculated(self):
        address, port, _ = serve(self)
        well, ill = self.check("TCP", address, port), self.check("TCP", address, free_port())
        self.status(well), self.status(ill)
        for threshold, answer in ((1, "192.0.2.1"), (2, "192.0.2.2"), (0, "192.0.2.1")):
            check = self.check("CALCULATED", ChildHealthChecks=[well, ill], HealthThreshold=threshold)
            self.assertEqual(self.pair(check)(), [answer])

    def alarm(self, region="eu-west-1", **more):
        """An alarm of a metric of its own, and what gives that metric a value in every minute around now."""
        cloudwatch, word = self.cloud.client("cloudwatch", region=region), uuid.uuid4().hex
        cloudwatch.put_metric_alarm(**{**dict(
            AlarmName=word, Namespace="Checked", MetricName=word, Dimensions=[{"Name": "Of", "Value": "us"}], Statistic="Maximum", Period=60, EvaluationPeriods=1,
            Threshold=10, ComparisonOperator="GreaterThanThreshold", ActionsEnabled=False), **more})

        def say(value):
            moment = datetime.datetime.now(datetime.timezone.utc)
            cloudwatch.put_metric_data(Namespace="Checked", MetricData=[
                {"MetricName": word, "Dimensions": [{"Name": "Of", "Value": "us"}], "Value": value, "Timestamp": moment + datetime.timedelta(minutes=n)} for n in range(-5, 6)])
        return cloudwatch, word, say

    def of_alarm(self, word, **more):
        return self.check("CLOUDWATCH_METRIC", AlarmIdentifier={"Region": "eu-west-1", "Name": word}, **more)

    def test_alarm(self):
        cloudwatch, word, say = self.alarm()
        check = self.of_alarm(word)
        made = self.dns.get_health_check(HealthCheckId=check)["HealthCheck"]
        self.assertEqual(made["CloudWatchAlarmConfiguration"], {
            "EvaluationPeriods": 1, "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold", "Period": 60, "MetricName": word, "Namespace": "Checked",
            "Statistic": "Maximum", "Dimensions": [{"Name": "Of", "Value": "us"}]})
        self.assertEqual(made["HealthCheckConfig"]["InsufficientDataHealthStatus"], "LastKnownStatus")
        says = self.pair(check)
        # without data, by what it is to say then
        self.status(check)
        self.assertEqual(says(), ["192.0.2.1"])
        self.dns.update_health_check(HealthCheckId=check, InsufficientDataHealthStatus="Unhealthy")
        self.until(says, lambda a: a == ["192.0.2.2"])
        say(1)
        self.until(says, lambda a: a == ["192.0.2.1"])
        # the state that somebody sets is not the metric
        cloudwatch.set_alarm_state(AlarmName=word, StateValue="ALARM", StateReason="test")
        self.dns.update_health_check(HealthCheckId=check, InsufficientDataHealthStatus="Healthy")
        self.until(lambda: self.metric("HealthCheckStatus", HealthCheckId=check), lambda p: p and p[-1][1] == 1)
        self.assertEqual(says(), ["192.0.2.1"])
        say(100)
        self.until(says, lambda a: a == ["192.0.2.2"])
        self.assertEqual(self.metric("HealthCheckPercentageHealthy", HealthCheckId=check), [])
        self.dns.update_health_check(HealthCheckId=check, Inverted=True)
        self.until(says, lambda a: a == ["192.0.2.1"])
        self.dns.update_health_check(HealthCheckId=check, Inverted=False)
        self.until(says, lambda a: a == ["192.0.2.2"])
        # its settings are a copy, until they are taken anew
        cloudwatch.put_metric_alarm(AlarmName=word, Namespace="Checked", MetricName=word, Dimensions=[{"Name": "Of", "Value": "us"}], Statistic="Maximum", Period=60,
                                    EvaluationPeriods=1, Threshold=1000, ComparisonOperator="GreaterThanThreshold", ActionsEnabled=False)
        self.assertEqual(self.dns.get_health_check(HealthCheckId=check)["HealthCheck"]["CloudWatchAlarmConfiguration"]["Threshold"], 10.0)
        taken = self.dns.update_health_check(HealthCheckId=check, AlarmIdentifier={"Region": "eu-west-1", "Name": word})["HealthCheck"]
        self.assertEqual(taken["CloudWatchAlarmConfiguration"]["Threshold"], 1000.0)
        self.until(says, lambda a: a == ["192.0.2.1"])
        # and when the alarm is gone, all but that can be changed
        cloudwatch.delete_alarms(AlarmNames=[word])
        turned = self.dns.update_health_check(HealthCheckId=check, Inverted=True)["HealthCheck"]
        self.assertEqual(turned["CloudWatchAlarmConfiguration"]["Threshold"], 1000.0)
        self.until(says, lambda a: a == ["192.0.2.2"])
        with self.assertRaises(self.dns.exceptions.InvalidInput):
            self.dns.update_health_check(HealthCheckId=check, AlarmIdentifier={"Region": "eu-west-1", "Name": word})

    def test_alarms_refused(self):
        odd = {"composite": {}, "absent": {}, "percentile": {"Statistic": None, "ExtendedStatistic": "p99"}, "high": {"Period": 10},
               "some": {"EvaluationPeriods": 3, "DatapointsToAlarm": 2}}
        before = self.dns.get_health_check_count()["HealthCheckCount"]
        for kind, more in odd.items():
            cloudwatch, word, _ = self.alarm()
            if more:
                settings = dict(AlarmName=word, Namespace="Checked", MetricName=word, Statistic="Maximum", Period=60, EvaluationPeriods=1, Threshold=10,
                                ComparisonOperator="GreaterThanThreshold") | more
                cloudwatch.put_metric_alarm(**{k: v for k, v in settings.items() if v})
            if kind == "composite":
                cloudwatch.put_composite_alarm(AlarmName=word + "-all", AlarmRule=f"ALARM({word})")
                word += "-all"
            name = "no" if kind == "absent" else word
            with self.subTest(kind), self.assertRaises(self.dns.exceptions.InvalidInput):
                self.dns.create_health_check(CallerReference=uuid.uuid4().hex, HealthCheckConfig={
                    "Type": "CLOUDWATCH_METRIC", "AlarmIdentifier": {"Region": "eu-west-1", "Name": name}})
        _, word, _ = self.alarm()
        for config in ({"Type": "CLOUDWATCH_METRIC"}, {"Type": "TCP", "IPAddress": "127.79.255.1", "Port": 80, "AlarmIdentifier": {"Region": "eu-west-1", "Name": word}},
                       {"Type": "CLOUDWATCH_METRIC", "AlarmIdentifier": {"Region": "us-east-1", "Name": word}},
                       {"Type": "CLOUDWATCH_METRIC", "Port": 80, "AlarmIdentifier": {"Region": "eu-west-1", "Name": word}}):
            with self.subTest(config), self.assertRaises(self.dns.exceptions.InvalidInput):
                self.dns.create_health_check(CallerReference=uuid.uuid4().hex, HealthCheckConfig=config)
        self.assertEqual(self.dns.get_health_check_count()["HealthCheckCount"], before)

    def test_refused(self):
        def refused(code, **config):
            with self.assertRaises(self.dns.exceptions.ClientError) as caught:
                self.dns.create_health_check(CallerReference=uuid.uuid4().hex, HealthCheckConfig=config)
            self.assertEqual(caught.exception.response["Error"]["Code"], code)
        before = self.dns.get_health_check_count()["HealthCheckCount"]
        for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.88.0.1", "224.0.0.1", "0.0.0.0", "::1"):
            refused("InvalidInput", Type="TCP", IPAddress=address, Port=80)
        public = {"IPAddress": "127.79.255.1", "Port": 80}
        for config in ({"Type": "HTTP"}, {"Type": "HTTP_STR_MATCH", **public}, {"Type": "HTTP", "SearchString": "x", **public}, {"Type": "TCP", "ResourcePath": "/", **public},
                       {"Type": "HTTP", "RequestInterval": 20, **public}, {"Type": "HTTP", "ResourcePath": "/a\r\nX: y", **public}, {"Type": "CALCULATED", "HealthThreshold": 1, **public},
                       {"Type": "CALCULATED", "HealthThreshold": 1, "ChildHealthChecks": ["no"]}, {"Type": "HTTP", "FullyQualifiedDomainName": "a b"}):
            refused("InvalidInput", **config)
        refused("NotImplemented", Type="RECOVERY_CONTROL", RoutingControlArn="arn:aws:x")
        self.assertEqual(self.dns.get_health_check_count()["HealthCheckCount"], before)
        for call in (self.dns.get_health_check, self.dns.delete_health_check, self.dns.get_health_check_status):
            with self.assertRaises(self.dns.exceptions.NoSuchHealthCheck):
                call(HealthCheckId=str(uuid.uuid4()))
        with self.assertRaises(self.dns.exceptions.NoSuchHealthCheck):
            self.pair(str(uuid.uuid4()))

    def test_records(self):
        reference, config = uuid.uuid4().hex, {"Type": "TCP", "IPAddress": "127.79.255.2", "Port": 9}
        made = self.dns.create_health_check(CallerReference=reference, HealthCheckConfig=config)["HealthCheck"]
        self.addCleanup(self.dns.delete_health_check, HealthCheckId=made["Id"])
        self.assertEqual(made["HealthCheckVersion"], 1)
        self.assertEqual({k: made["HealthCheckConfig"][k] for k in ("RequestInterval", "FailureThreshold", "Inverted", "Disabled")},
                         {"RequestInterval": 30, "FailureThreshold": 3, "Inverted": False, "Disabled": False})
        self.assertEqual(self.dns.create_health_check(CallerReference=reference, HealthCheckConfig=config)["HealthCheck"]["Id"], made["Id"])
        with self.assertRaises(self.dns.exceptions.HealthCheckAlreadyExists):
            self.dns.create_health_check(CallerReference=reference, HealthCheckConfig={**config, "Port": 10})
        with self.assertRaises(self.dns.exceptions.HealthCheckVersionMismatch):
            self.dns.update_health_check(HealthCheckId=made["Id"], HealthCheckVersion=7, Port=10)
        self.assertEqual(self.dns.update_health_check(HealthCheckId=made["Id"], HealthCheckVersion=1, Port=10)["HealthCheck"]["HealthCheckVersion"], 2)
        self.assertIn(made["Id"], [h["Id"] for page in self.dns.get_paginator("list_health_checks").paginate(PaginationConfig={"PageSize": 1}) for h in page["HealthChecks"]])
        self.dns.change_tags_for_resource(ResourceType="healthcheck", ResourceId=made["Id"], AddTags=[{"Key": "a", "Value": "b"}])
        self.assertEqual(self.dns.list_tags_for_resource(ResourceType="healthcheck", ResourceId=made["Id"])["ResourceTagSet"]["Tags"], [{"Key": "a", "Value": "b"}])
        self.assertEqual(self.dns.get_account_limit(Type="MAX_HEALTH_CHECKS_BY_OWNER")["Limit"]["Value"], 200)


if __name__ == "__main__":
    unittest.main()
