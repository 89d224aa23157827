"""Access, connection and health check logs of application load balancers, as they lie in a bucket."""
import gzip
import json
import os
import pathlib
import re
import shlex
import socket
import unittest

from aws import client
from webs import WebCase, forward, say, wait

NAMES = ("type time elb client target request_s target_s response_s status target_status received sent request agent cipher protocol group trace domain "
         "certificate priority created actions redirect error targets target_statuses class reason connection host uri transform").split()


class Logs(WebCase):
    own_region = "me-south-1"  # S3 knows no others than Amazon's, and no other test is there

    def bucket(self, name, *statements):
        name = f"{name}-{self.word}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        if statements:
            self.s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        return name

    def writable(self, name, prefix="", **more):
        return self.bucket(name, {"Effect": "Allow", "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}, "Action": "s3:PutObject",
                                  "Resource": f"arn:aws:s3:::{name}-{self.word}/{prefix}AWSLogs/000000000000/*", **more})

    def keys(self, bucket):
        return sorted(o["Key"] for o in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []))

    def lines(self, bucket, kind="app"):
        """Of all log files of that kind."""
        found = []
        for key in self.keys(bucket):
            if key.endswith(".log.gz") and key.rsplit("/", 1)[1].startswith("conn_log." if kind == "conn" else "health_check_log_" if kind == "health" else "000000000000_"):
                found += gzip.decompress(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()).decode().splitlines()
        return found

    def noted(self, balancer):
        """What is written down already and not delivered yet."""
        mine = "app-" + balancer["LoadBalancerArn"].rsplit("/", 1)[1]
        return "".join(f.read_text() for f in pathlib.Path(os.environ["QUARTET_DATA"], "elb-logs").glob(mine + ".*"))

    def test_buckets_are_asked_first(self):
        made = self.balancer("asked")
        closed, open_ = self.bucket("closed"), self.writable("open", "web/logs/")
        on = lambda bucket, kind="access", **more: self.attributes(made, **{f"{kind}_logs__s3__enabled": "true", f"{kind}_logs__s3__bucket": bucket, **more})
        self.assertAwsError("InvalidConfigurationRequest", on, closed, message=f"Access Denied for bucket: {closed}. Please check S3bucket permission")
        self.assertAwsError("InvalidConfigurationRequest", on, "nobody-has-" + self.word)
        self.assertAwsError("InvalidConfigurationRequest", self.attributes, made, access_logs__s3__enabled="true")
        self.assertAwsError("InvalidConfigurationRequest", on, open_)  # another prefix than the policy's
        now = {a["Key"]: a["Value"] for a in self.elb.describe_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"])["Attributes"]}
        self.assertEqual((now["access_logs.s3.enabled"], now["access_logs.s3.bucket"]), ("false", ""))
        on(open_, access_logs__s3__prefix="web/logs")
        on(open_, "connection", connection_logs__s3__prefix="web/logs")
        self.assertEqual(self.keys(open_), ["web/logs/AWSLogs/000000000000/ELBAccessLogTestFile", "web/logs/AWSLogs/000000000000/ELBConnectionLogTestFile"])
        body = self.s3.get_object(Bucket=open_, Key="web/logs/AWSLogs/000000000000/ELBAccessLogTestFile")["Body"].read().decode()
        self.assertRegex(body, r"^Enable AccessLog for ELB: app/asked/[0-9a-f]{16} at \d{4}-")
        # policies of before name Elastic Load Balancing's account there
        older = self.bucket("older", {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::076674570225:root"}, "Action": "s3:PutObject",
                                      "Resource": f"arn:aws:s3:::older-{self.word}/AWSLogs/000000000000/*"})
        on(older, access_logs__s3__prefix="")
        elsewhere = "elsewhere-" + self.word
        client("s3").create_bucket(Bucket=elsewhere)
        self.assertAwsError("InvalidConfigurationRequest", on, elsewhere, message="is not in the same Region as the load balancer")
        # for this balancer alone
        other = self.writable("other", Condition={"StringEquals": {"aws:SourceArn": made["LoadBalancerArn"] + "0"}})
        self.assertAwsError("InvalidConfigurationRequest", on, other, access_logs__s3__prefix="")

    def test_lines(self):
        name = f"{self.word}.localhost"
        arn, trust = self.certificate(name)
        group = self.function_group("logged", self.function("logged"))
        made = self.balancer("logged")
        listener = self.listen(made, forward(group))
        self.listen(made, forward(group), Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": arn}])
        self.rule(listener, 7, [{"Field": "path-pattern", "Values": ["/moved"]}], [
            {"Type": "redirect", "RedirectConfig": {"Host": "new.example", "StatusCode": "HTTP_302"}}])
        self.rule(listener, 8, [{"Field": "path-pattern", "Values": ["/fixed"]}], self.fixed("x", 418))
        address = self.addresses(made)[0]
        self.until(address, "/fixed", 418)
        self.until(address, "/", 200)
        bucket = self.writable("logged")
        self.attributes(made, access_logs__s3__enabled="true", access_logs__s3__bucket=bucket, connection_logs__s3__enabled="true",
                        connection_logs__s3__bucket=bucket)
        # processes of before may take a request until the next ones are there: first one that is known to be logged
        wait(self, lambda: self.ask(address, "/marker") and "/marker" in self.noted(made), 60)
        self.ask(address, "/a%22b?x=\"y", headers=[("User-Agent", 'evil "agent" \\'), ("X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678")])
        self.ask(address, "/moved?q=1")
        self.ask(address, "/fixed")
        self.ask(address, "/bad", headers=[("X-Say", say({"statusCode": "x"}))])
        self.ask(address, "/post", "POST", [("Content-Type", "text/plain")], b"x" * 1000, host="web.example:80")
        self.raw(address, b"garbage\r\n\r\n")
        sealed = wait(self, lambda: self.try_tls(address, trust, name), 30)
        self.assertEqual(sealed.status, 200)
        with socket.create_connection((address, 443), 10) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            s.settimeout(10)
            try:
                s.recv(100)
            except OSError:
                pass
        wait(self, lambda: "/sealed" in (noted := self.noted(made)) and "/post" in noted and "Failed:UnmappedConnectionError" in noted, 60)
        self.attributes(made, access_logs__s3__enabled="false", connection_logs__s3__enabled="false")
        wait(self, lambda: [k for k in self.keys(bucket) if "/conn_log." in k] and self.lines(bucket), 60, "log files")
        file = rf"^AWSLogs/000000000000/elasticloadbalancing/{self.region}/\d{{4}}/\d\d/\d\d/(conn_log\.)?000000000000_elasticloadbalancing_{self.region}_app\.logged\.[0-9a-f]{{16}}_" \
               r"\d{8}T\d{4}Z_\d+\.\d+\.\d+\.\d+_[0-9a-z]{8}\.log\.gz$"
        for key in self.keys(bucket):
            if "TestFile" not in key:
                self.assertRegex(key, file)
                self.assertEqual(int(re.search(r"T\d\d(\d\d)Z", key).group(1)) % 5, 0)
        entries = {}
        for line in self.lines(bucket):
            words = [w.replace("\0", "\\") for w in shlex.split(line.replace("\\", "\0"))]
            self.assertEqual(len(words), len(NAMES), line)
            entry = dict(zip(NAMES, words))
            entries[re.sub(r"^.*?://[^/]*|\?.*| .*", "", entry["request"].split(" ", 1)[1]) if entry["request"] != "- - - " else "-"
                    if entry["type"] == "http" else "tls"] = entry
        e = entries["/a%22b"]
        self.assertEqual((e["elb"], e["status"], e["target_status"], e["target"], e["group"]),
                         ("/".join(made["LoadBalancerArn"].split("/")[-3:]), "200", "200", "-", group["TargetGroupArn"]))
        self.assertEqual(e["request"], 'GET http://web.example:80/a%22b?x=\\x22y HTTP/1.1')
        self.assertEqual(e["agent"], 'evil \\x22agent\\x22 \\x5C')
        self.assertRegex(e["trace"], "^Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678$")
        self.assertRegex(e["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertLessEqual(e["created"], e["time"])
        self.assertTrue(all(0 <= float(e[k]) < 10 for k in ("request_s", "target_s", "response_s")), e)
        self.assertEqual((e["priority"], e["actions"], e["redirect"], e["error"], e["cipher"], e["protocol"], e["domain"], e["certificate"]),
                         ("0", "forward", "-", "-", "-", "-", "-", "-"))
        self.assertRegex(e["connection"], "^TID_[0-9a-f]{16}$")
        e = entries["/moved"]
        self.assertEqual((e["status"], e["target_status"], e["priority"], e["actions"], e["redirect"], e["group"], e["request_s"]),
                         ("302", "-", "7", "redirect", "http://new.example:80/moved?q=1", "-", "-1"))
        self.assertEqual([entries["/fixed"][k] for k in ("status", "priority", "actions", "target_s")], ["418", "8", "fixed-response", "-1"])
        self.assertEqual([entries["/bad"][k] for k in ("status", "target_status", "error")], ["502", "-", "LambdaInvalidResponse"])
        self.assertEqual(entries["/post"]["request"], "POST http://web.example:80/post HTTP/1.1")
        self.assertGreater(int(entries["/post"]["received"]), 1000)
        self.assertEqual(entries["-"]["status"], "400")
        (tls,) = [e for e in entries.values() if e["type"] == "https"]
        self.assertEqual((tls["protocol"], tls["domain"], tls["certificate"]), ("TLSv1.2" if tls["protocol"] == "TLSv1.2" else "TLSv1.3", name, arn))
        self.assertNotEqual(tls["cipher"], "-")

        connections = [shlex.split(line) for line in self.lines(bucket, "conn")]
        self.assertTrue(all(len(c) == 12 for c in connections), connections)
        self.assertIn(entries["/a%22b"]["connection"], [c[11] for c in connections])
        self.assertEqual({c[10] for c in connections if c[3] == "80"}, {"-"})
        self.assertEqual(sorted(c[10] for c in connections if c[3] == "443"), ["Failed:UnmappedConnectionError", "Success"])

    def test_health(self):
        quick = {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2}
        function = self.function("checked")
        well = self.function_group("well", function, HealthCheckEnabled=True, **quick)
        ill = self.function_group("ill", function, HealthCheckEnabled=True, Matcher={"HttpCode": "404"}, **quick)
        lost = self.elb.create_target_group(Name="lost", TargetType="ip", Protocol="HTTP", Port=8080, VpcId=self.vpc, **quick)["TargetGroups"][0]
        made = self.balancer("checked")
        (own, *_) = self.ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": self.subnets[:1]}])["NetworkInterfaces"]
        self.elb.register_targets(TargetGroupArn=lost["TargetGroupArn"], Targets=[{"Id": own["PrivateIpAddress"]}])  # where nobody listens
        for port, group in enumerate((well, ill, lost), 80):
            self.listen(made, forward(group), Port=port)
        bucket = self.writable("checked", "h/")
        self.attributes(made, health_check_logs__s3__enabled="true", health_check_logs__s3__bucket=bucket, health_check_logs__s3__prefix="h")
        self.assertEqual(self.keys(bucket), ["h/AWSLogs/000000000000/ELBHealthCheckLogTestFile"])
        wait(self, lambda: all(f" {name} " in self.noted(made) for name in ("well", "ill", "lost")), 60, "checks")
        self.attributes(made, health_check_logs__s3__enabled="false")
        wait(self, lambda: self.lines(bucket, "health"), 60, "log files")
        time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \d+\.\d{6}"
        for line in self.lines(bucket, "health"):
            self.assertRegex(line, rf"^(lambda {time} {function} (well PASS 200 -|ill FAIL 200 ResponseCodeMismatch)|"
                             rf"http {time} {own['PrivateIpAddress']}:8080 lost FAIL - (ConnectionReset|RequestTimedOut))$")
        (key,) = {k.rsplit("/", 1)[0] for k in self.keys(bucket) if k.endswith(".gz")}
        self.assertRegex(key, rf"^h/AWSLogs/000000000000/elasticloadbalancing/{self.region}/\d{{4}}/\d\d/\d\d$")

    def try_tls(self, address, trust, name):
        try:
            return self.ask(address, "/sealed", port=443, tls=trust, name=name, host=name)
        except OSError:
            return None


if __name__ == "__main__":
    unittest.main()
