"""What application load balancers do with requests: rules, shares, headers, attributes, answers of their own. Functions stand behind them and say
what they heard."""
import collections
import concurrent.futures
import re
import socket
import ssl
import time
import unittest
from xml.etree import ElementTree

from balancers import counted, query
from webs import Reply, WebCase, forward, say, wait


class Web(WebCase):
    kept = ("keep",)
    long = None

    def setUp(self):
        super().setUp()
        if not Web.long:
            made = self.balancer("keep")
            self.attributes(made, client_keep_alive__seconds="60")
            self.listen(made, self.fixed("x"))
            address = self.addresses(made)[0]
            self.until(address, "/", 200)
            beside = concurrent.futures.ThreadPoolExecutor(1)
            self.addClassCleanup(beside.shutdown)
            Web.long = made, beside.submit(self.stay, address)

    def test_conditions(self):
        made = self.balancer("conditions")
        listener = self.listen(made, self.fixed("none"))
        rules = [
            ({"Field": "host-header", "Values": ["*.One.example", "a?.two.example"]}, "host"),
            ({"Field": "path-pattern", "Values": ["/img/*", "/a?c", "/x.y"]}, "path"),
            ({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Kind", "Values": ["*Cat*", "d?g"]}}, "header"),
            ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PUT", "CUSTOM"]}}, "method"),
            ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "k", "Value": "v*"}, {"Value": "alone"}]}}, "query"),
            ({"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.0/8", "10.0.0.0/8"]}}, "source"),
        ]
        for i, (condition, text) in enumerate(rules):
            self.rule(listener, 10 * i + 10, [condition, {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Not", "Values": ["?"]}}], self.fixed(text))
        address = self.addresses(made)[0]
        on = ("X-Not", "1")
        # rules come into force in the order in which they were made
        self.rule(listener, 5, [{"Field": "path-pattern", "Values": ["/last"]}], self.fixed("last"))
        wait(self, lambda: self.ask(address, "/last").body == b"last", 60)
        asked = lambda *a, **k: self.ask(address, *a, **{**k, "headers": [on] + k.get("headers", [])}).body.decode()
        self.ask(address, "/", headers=[("X-Not", "12")])
        source = asked("/")  # whether the source rule matches depends on how the host reaches public addresses
        self.assertIn(source, ("none", "source"))
        for wanted, path, more in (
                ("host", "/", {"host": "x.ONE.example"}), ("host", "/", {"host": "ab.two.example:80"}), (source, "/", {"host": "one.example"}),
                (source, "/", {"host": "a.two.example"}),
                ("path", "/img/a/b", {}), ("path", "/abc?x=/", {}), (source, "/img", {}), (source, "/IMG/a", {}), (source, "/xay", {}), (source, "/q?/img/a", {}),
                ("header", "/", {"headers": [("x-kind", "a cat sat")]}), ("header", "/", {"headers": [("X-KIND", "DOG")]}),
                (source, "/", {"headers": [("X-Kind", "ca")]}), (source, "/", {"headers": [("X-Kind", "dg")]}),
                ("method", "/", {"method": "PUT"}), ("method", "/", {"method": "CUSTOM"}), (source, "/", {"method": "put"}), (source, "/", {"method": "POST"}),
                ("query", "/?a=b&k=vx", {}), ("query", "/?K=V", {}), ("query", "/?z=alone", {}), ("query", "/?alone", {}), (source, "/?k=w", {}),
                (source, "/?xk=v", {}), (source, "/?alones", {})):
            with self.subTest(path=path, more=more):
                self.assertEqual(asked(path, **more), wanted)
        self.assertEqual(self.ask(address, "/img/x").body, b"none")  # all conditions have to match

    def test_redirects(self):
        made = self.balancer("redirects")
        listener = self.listen(made, self.fixed("none"), Port=8080)
        say = lambda priority, path, **config: self.rule(listener, priority, [{"Field": "path-pattern", "Values": [path]}], [
            {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **config}}])
        say(1, "/all*", Protocol="HTTPS", Port="443", Host="#{host}", Path="/#{path}", Query="#{query}")
        say(2, "/mixed*", StatusCode="HTTP_302", Host="www.#{host}", Path="/to/#{port}/#{protocol}/#{path}", Query="old=#{query}&p=#{port}", Port="#{port}")
        say(3, "/plain", Host="else.example", Path="/fixed%20text", Query="")
        address = self.addresses(made)[0]
        self.until(address, "/plain", 301, port=8080)
        for path, status, location in (
                ("/all/a%20b?x=1&y=%2F", 301, "https://web.example:443/all/a%20b?x=1&y=%2F"), ("/all", 301, "https://web.example:443/all"),
                ("/mixed/a?b=c", 302, "http://www.web.example:8080/to/8080/http/mixed/a?old=b=c&p=8080"),
                ("/plain?gone=1", 301, "http://else.example:8080/fixed%20text")):
            reply = self.ask(address, path, port=8080, host="web.example:8080")
            self.assertEqual((reply.status, reply.get("Location"), reply.get("Server")), (status, location, "awselb/2.0"))
            self.assertIn(b"301 Moved Permanently" if status == 301 else b"302 Found", reply.body)
        # what comes in cannot break out of the header
        reply = self.ask(address, '/all/"%0d%0aX-Evil:1', port=8080)
        self.assertEqual((reply.status, reply.all("X-Evil")), (301, []))

    def test_transforms(self):
        group = self.function_group("rewritten", self.function("rewritten"))
        made = self.balancer("rewritten")
        listener = self.listen(made, self.fixed("none", 404))

        def create(priority, *transforms, path="/api*", action=None):
            """The oldest boto3 does not know transforms."""
            words = {"ListenerArn": listener, "Priority": str(priority), "Conditions.member.1.Field": "path-pattern",
                     "Conditions.member.1.PathPatternConfig.Values.member.1": path, **(action or {
                         "Actions.member.1.Type": "forward", "Actions.member.1.TargetGroupArn": group["TargetGroupArn"]})}
            for i, (kind, regex, replace) in enumerate(transforms, 1):
                config = f"Transforms.member.{i}.{'HostHeader' if kind.startswith('host') else 'Url'}RewriteConfig.Rewrites.member.1."
                words.update({f"Transforms.member.{i}.Type": kind, config + "Regex": regex, config + "Replace": replace})
            return query(self.region, "CreateRule", **words)
        for bad in ((("url-rewrite", "(", "x"),), (("url-rewrite", "/a", "$1"),), (("url-rewrite", "/a", "b"), ("url-rewrite", "/b", "c")), (("path-rewrite", "/a", "b"),)):
            self.assertEqual(create(9, *bad).status, 400)
        self.assertEqual(create(9, ("url-rewrite", "/a", "b"), action={
            "Actions.member.1.Type": "fixed-response", "Actions.member.1.FixedResponseConfig.StatusCode": "200"}).status, 400)
        said = create(1, ("url-rewrite", "^/api/(\\w+)/(\\d{2})", "/v2/$2-%41/$1"), ("host-header-rewrite", "^([a-z]+)\\.example", "$1.internal"))
        self.assertEqual(said.status, 200, said.body)
        self.assertIn(b"<Replace>$1.internal</Replace>", said.body)
        self.assertEqual(create(2, ("url-rewrite", "b+", "-x-"), path="/part*").status, 200)
        address = self.addresses(made)[0]
        wait(self, lambda: self.ask(address, "/part").status == 200 and self.ask(address, "/api/a/12").status == 200, 60)
        seen = lambda path: (lambda e: (e["path"], e["queryStringParameters"], e["headers"]["host"]))(self.ask(address, path).json())
        self.assertEqual(seen("/api/cat/42/more?q=1"), ("/v2/42-%41/cat/more", {"q": "1"}, "web.internal"))
        self.assertEqual(seen("/api/nothing"), ("/api/nothing", {}, "web.internal"))
        self.assertEqual(seen("/part/abbbc?z=b"), ("/part/a-x-c", {"z": "b"}, "web.example"))
        rule = re.search(rb"<RuleArn>([^<]*)</RuleArn>", said.body).group(1).decode()
        self.assertEqual(query(self.region, "ModifyRule", RuleArn=rule, ResetTransforms="true").status, 200)
        wait(self, lambda: seen("/api/cat/42")[0] == "/api/cat/42", 30)

    def test_shares(self):
        groups = [self.function_group(name, self.function(name)) for name in ("red", "green", "blue")]
        made = self.balancer("shares")
        listener = self.listen(made, forward((groups[0], 80), (groups[1], 20), (groups[2], 0)))
        address = self.addresses(made)[0]
        for path in ("/1", "/2", "/3"):
            self.until(address, path, 200)
        n, count = 600, collections.Counter()
        with socket.create_connection((address, 80), 10) as s:
            s.settimeout(60)
            stream = s.makefile("rb")
            for _ in range(n):
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                head = {}
                while (line := stream.readline().strip()):
                    name, _, value = line.partition(b": ")
                    head[name.lower()] = value
                stream.read(int(head[b"content-length"]))
                count[head[b"x-who"].decode()] += 1
        # 120 expected; six standard deviations of 9.8
        self.assertEqual(count["red"] + count["green"], n)
        self.assertTrue(60 <= count["green"] <= 180, count)

        # a client stays with its group
        self.elb.modify_listener(ListenerArn=listener, DefaultActions=forward(
            (groups[0], 1), (groups[1], 1), TargetGroupStickinessConfig={"Enabled": True, "DurationSeconds": 100}))
        first = wait(self, lambda: (r := self.ask(address)) and r.all("Set-Cookie") and r, 30)
        cookies = dict(c.split(";")[0].split("=", 1) for c in first.all("Set-Cookie"))
        self.assertEqual(sorted(cookies), ["AWSALBTG", "AWSALBTGCORS"])
        self.assertIn("SameSite=None; Secure", [c for c in first.all("Set-Cookie") if c.startswith("AWSALBTGCORS")][0])
        for name, value in cookies.items():
            self.assertEqual({self.ask(address, headers=[("Cookie", f"{name}={value}")]).get("X-Who") for _ in range(12)}, {first.get("X-Who")})
        self.assertEqual(len({self.ask(address, headers=[("Cookie", "AWSALBTG=forged")]).get("X-Who") for _ in range(40)}), 2)
        # a group whose weight is gone keeps those that have its cookie
        self.elb.modify_listener(ListenerArn=listener, DefaultActions=forward((groups[0], 0), (groups[1], 0)))
        self.until(address, "/", 503)

    def test_headers(self):
        group = self.function_group("headers", self.function("headers"))
        made = self.balancer("headers")
        self.listen(made, forward(group))
        self.listen(made, forward(group), Port=8081)
        address = self.addresses(made)[0]
        self.until(address, "/", 200)
        self.until(address, "/", 200, port=8081)
        heard = lambda *headers, **more: self.ask(address, headers=headers, **more).json()["headers"]
        via = ("X-Forwarded-For", "1.2.3.4")
        own = heard()["x-forwarded-for"]
        self.assertEqual(heard(via)["x-forwarded-for"], "1.2.3.4, " + own)
        # Host: the listener's port where it is another one than everybody assumes
        self.assertEqual([heard(host=h)["host"] for h in ("a.example", "a.example:80", "a.example:81")], ["a.example", "a.example", "a.example:81"])
        self.assertEqual([heard(host=h, port=8081)["host"] for h in ("a.example", "a.example:8081", "a.example:9")], ["a.example:8081", "a.example:8081", "a.example:9"])
        # names with other than letters, digits and dashes
        self.assertEqual(heard(("X_Under.Score", "1"))["x_under.score"], "1")
        self.attributes(made, routing__http__preserve_host_header__enabled="true", routing__http__drop_invalid_header_fields__enabled="true",
                        routing__http__xff_client_port__enabled="true")
        wait(self, lambda: heard(host="a.example:80")["host"] == "a.example:80", 30)
        self.assertNotIn("x_under.score", heard(("X_Under.Score", "1"), ("X-Good", "1")))
        self.assertEqual(heard(("X_Under.Score", "1"), ("X-Good", "1"))["x-good"], "1")
        wait(self, lambda: counted(self, made, "DroppedInvalidHeaderRequestCount") == 2, 60, "requests whose headers were dropped")
        self.assertRegex(heard(via)["x-forwarded-for"], rf"^1\.2\.3\.4, {own}:\d+$")
        self.assertEqual(heard(host="a.example", port=8081)["host"], "a.example")
        self.attributes(made, routing__http__xff_header_processing__mode="preserve")
        wait(self, lambda: heard(via)["x-forwarded-for"] == "1.2.3.4", 30)
        self.assertNotIn("x-forwarded-for", heard())
        self.attributes(made, routing__http__xff_header_processing__mode="remove")
        wait(self, lambda: "x-forwarded-for" not in heard(via), 30)

    def test_kinds_of_requests_are_counted(self):
        name = f"{self.word}.localhost"
        arn, trust = self.certificate(name)
        made = self.balancer("kinds")
        remote = self.elb.create_target_group(Name="remote", Protocol="HTTP", ProtocolVersion="GRPC", Port=80, VpcId=self.vpc, TargetType="ip")["TargetGroups"][0]
        listener = self.listen(made, self.fixed("x"), Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": arn}])
        self.rule(listener, 1, [{"Field": "path-pattern", "Values": ["/remote"]}], forward(remote))
        sealed = {"port": 443, "tls": trust, "name": name}
        address = self.addresses(made)[0]
        self.until(address, "/remote", 503, **sealed)
        for times, more in ((3, {"headers": [("X_Odd", "1")]}), (2, {"body": b"of a GET"}), (4, {"headers": [("Content-Type", "application/grpc")]}),
                            (1, {"headers": [("X_Odd", "1"), ("Content-Type", "application/grpc+proto")], "body": b"x"}), (5, {})):
            for _ in range(times):
                self.assertEqual(self.ask(address, **sealed, **more).status, 200)
        total = lambda what: counted(self, made, what)
        names = ("ForwardedInvalidHeaderRequestCount", "DesyncMitigationMode_NonCompliant_Request_Count", "GrpcRequestCount")
        wait(self, lambda: all(map(total, names)), 60, "kinds of requests")
        self.assertEqual([total(what) for what in names], [4, 3, 5])
        self.assertEqual([total(what) for what in ("DroppedInvalidHeaderRequestCount", "IPv6RequestCount", "IPv6ProcessedBytes", "NonStickyRequestCount")], [0] * 4)

    def test_tls_headers_and_http2(self):
        name = f"{self.word}.localhost"
        arn, trust = self.certificate(name)
        group = self.function_group("sealed", self.function("sealed"))
        made = self.balancer("sealed")
        self.listen(made, forward(group), Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": arn}], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
        address = self.addresses(made)[0]
        ask = lambda headers=(), tls=trust: self.ask(address, port=443, tls=tls, name=name, host=name, headers=headers)

        def there():
            try:
                return ask().status == 200
            except OSError:
                return False
        wait(self, there, 60)
        forged = [("X-Amzn-Tls-Version", "forged"), ("X-Amzn-Tls-Cipher-Suite", "forged")]
        self.attributes(made, routing__http__x_amzn_tls_version_and_cipher_suite__enabled="true")
        heard = wait(self, lambda: (h := ask(forged).json()["headers"]) and h["x-amzn-tls-version"] != "forged" and h, 30)
        self.assertEqual(heard["x-amzn-tls-version"], "TLSv1.3")
        self.assertRegex(heard["x-amzn-tls-cipher-suite"], "^TLS_")
        self.assertEqual((heard["x-forwarded-proto"], heard["x-forwarded-port"]), ("https", "443"))

        def chosen():
            both = ssl.create_default_context(cadata=self.acm.get_certificate(CertificateArn=arn)["CertificateChain"])
            both.set_alpn_protocols(["h2", "http/1.1"])
            with both.wrap_socket(socket.create_connection((address, 443), 10), server_hostname=name) as s:
                return s.selected_alpn_protocol()
        self.assertEqual(chosen(), "h2")
        self.attributes(made, routing__http2__enabled="false")
        wait(self, lambda: chosen() == "http/1.1", 30)

    def test_what_stays_keeps_its_connections(self):
        """Subnets that come and go, and other groups: a connection to a node that stays goes on."""
        made = self.balancer("staying")
        listener = self.listen(made, self.fixed("one"))
        arn, zone = made["LoadBalancerArn"], next(z["ZoneName"] for z in made["AvailabilityZones"] if z["SubnetId"] == self.subnets[0])
        words = "/".join(arn.split("/")[-3:])
        nodes = lambda: {i["AvailabilityZone"]: i for i in self.ec2.describe_network_interfaces(
            Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]}
        address = nodes()[zone]["Association"]["PublicIp"]
        self.until(address, "/", 200)
        again = self.ec2.create_security_group(GroupName="again-" + self.word, Description="d", VpcId=self.vpc)["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=again, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        with socket.create_connection((address, 80), 10) as s:
            def says():
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                got = b""
                while not re.search(b"\r\n\r\n.{3}$", got):
                    piece = s.recv(65536)
                    self.assertTrue(piece, "the connection has ended")
                    got += piece
                return got[-3:]
            s.settimeout(30)
            self.assertEqual(says(), b"one")
            self.elb.set_subnets(LoadBalancerArn=arn, Subnets=[self.subnets[0], self.subnets[2]])
            wait(self, lambda: len(now := nodes()) == 2 and all("Association" in i for i in now.values()) and self.subnets[2] in [i["SubnetId"] for i in now.values()], 60)
            other = next(i["Association"]["PublicIp"] for i in nodes().values() if i["SubnetId"] == self.subnets[2])
            self.until(other, "/", 200)
            self.assertEqual(says(), b"one")
            self.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[again])
            wait(self, lambda: [g["GroupId"] for g in nodes()[zone]["Groups"]] == [again], 60)
            self.assertEqual(says(), b"one")
            self.elb.modify_listener(ListenerArn=listener, DefaultActions=self.fixed("two"))
            self.until(address, "/", 200)
            wait(self, lambda: self.ask(address).body == b"two", 60)
            self.assertIn(says(), (b"one", b"two"))

    def test_listener_headers(self):
        group = self.function_group("heads", self.function("heads"))
        made = self.balancer("heads")
        plain = self.listen(made, forward(group))
        arn, trust = self.certificate(name := f"{self.word}.localhost")
        sealed = self.listen(made, forward(group), Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": arn}], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
        address = self.addresses(made)[0]
        self.until(address, "/", 200)
        response = {"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "X-A",
                    "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "*", "Access-Control-Max-Age": "600", "X-Frame-Options": "DENY",
                    "Content-Security-Policy": "default-src 'self'; img-src \"x\" %20$HOME\\#{y}", "Strict-Transport-Security": "max-age=1; preload", "X-Content-Type-Options": "nosniff"}
        key = lambda h: f"routing.http.response.{h.lower().replace('-', '_')}.header_value"

        def modify(listener, attributes):
            words = {f"Attributes.member.{i}.{k}": v for i, pair in enumerate(attributes.items(), 1) for k, v in zip(("Key", "Value"), pair)}
            return query(self.region, "ModifyListenerAttributes", ListenerArn=listener, **words).status

        def have(listener):
            tree = ElementTree.fromstring(query(self.region, "DescribeListenerAttributes", ListenerArn=listener).body)
            return {a.findtext("{*}Key"): a.findtext("{*}Value") for a in tree.iterfind(".//{*}member")}
        usual = have(plain)
        self.assertEqual(usual, {**{key(h): "" for h in response}, "routing.http.response.server.enabled": "true"})
        self.assertEqual(have(sealed), {**usual, "routing.http.request.x_amzn_tls_version.header_name": "X-Amzn-Tls-Version",
                                        "routing.http.request.x_amzn_tls_cipher_suite.header_name": "X-Amzn-Tls-Cipher-Suite",
                                        **{f"routing.http.request.x_amzn_mtls_clientcert{n.lower().replace('-', '_')}.header_name": "X-Amzn-Mtls-Clientcert" + n
                                           for n in ("", "-Serial-Number", "-Issuer", "-Subject", "-Validity", "-Leaf")}})
        for bad in ({key("X-Frame-Options"): "a\r\nb: c"}, {key("X-Content-Type-Options"): "sniff"}, {key("Access-Control-Max-Age"): "86401"}, {key("Access-Control-Max-Age"): "x"},
                    {key("Content-Security-Policy"): "a" * 1025}, {"routing.http.request.x_amzn_tls_version.header_name": "X"}, {key("Server"): "x"},
                    {"routing.http.response.server.enabled": "maybe"}):
            self.assertEqual(modify(plain, {key("Access-Control-Allow-Origin"): "*", **bad}), 400, bad)
        for bad in ("", "a b", "a:b", "a" * 128):
            self.assertEqual(modify(sealed, {"routing.http.request.x_amzn_tls_version.header_name": bad}), 400, bad)
        self.assertEqual(have(plain), usual)
        # answers of targets, and its own
        own = self.elb.create_rule(ListenerArn=plain, Priority=1, Conditions=[{"Field": "path-pattern", "Values": ["/own"]}],
                                   Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418"}}])["Rules"][0]["RuleArn"]
        self.assertEqual(modify(plain, {key(h): v for h, v in response.items()}), 200)
        wait(self, lambda: self.ask(address, "/own").status == 418, 30)
        for path in ("/", "/own"):
            reply = wait(self, lambda: (r := self.ask(address, path)) and r.get("x-frame-options") and r, 30)
            self.assertEqual({h: reply.all(h) for h in response}, {h: [v] for h, v in response.items()})
        # a target's own value gives way
        reply = self.ask(address, headers=[("X-Say", say({"statusCode": 200, "headers": {"X-Frame-Options": "SAMEORIGIN", "Server": "mine"}, "body": ""}))])
        self.assertEqual((reply.all("x-frame-options"), reply.all("server")), (["DENY"], ["mine"]))
        self.assertEqual(self.ask(address, "/own").all("server"), ["awselb/2.0"])
        modify(plain, {"routing.http.response.server.enabled": "false", key("X-Frame-Options"): ""})
        wait(self, lambda: self.ask(address, "/own").all("server") == [], 30)
        reply = self.ask(address, headers=[("X-Say", say({"statusCode": 200, "headers": {"X-Frame-Options": "SAMEORIGIN", "Server": "mine"}, "body": ""}))])
        self.assertEqual((reply.all("x-frame-options"), reply.all("server")), (["SAMEORIGIN"], ["mine"]))
        # names of what a request is told of its connection
        self.attributes(made, routing__http__x_amzn_tls_version_and_cipher_suite__enabled="true")
        modify(sealed, {"routing.http.request.x_amzn_tls_version.header_name": "Of-Version", "routing.http.request.x_amzn_tls_cipher_suite.header_name": "Of_Suite"})
        heard = wait(self, lambda: "of-version" in (h := self.ask(address, port=443, tls=trust, name=name, host=name).json()["headers"]) and h, 60)
        self.assertEqual((heard["of-version"], heard["of_suite"][:4], "x-amzn-tls-version" in heard), ("TLSv1.3", "TLS_", False))
        self.elb.delete_rule(RuleArn=own)

    def test_answers_of_its_own(self):
        group = self.function_group("own", self.function("own"))
        made = self.balancer("own")
        listener = self.listen(made, forward(group))
        address = self.addresses(made)[0]
        self.until(address, "/", 200)
        self.attributes(made, idle_timeout__timeout_seconds="3")
        begun = time.monotonic()
        # asked nothing, or half of it
        wait(self, lambda: Reply(self.raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n", seconds=8)).status == 408, 60)
        begun = time.monotonic()
        late = self.raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n")
        self.assertEqual(Reply(late).status, 408)
        self.assertGreater(time.monotonic() - begun, 2)
        for status, request in (
                (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"), (400, b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n"), (400, b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n"),
                (400, b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"), (400, b"garbage\r\n\r\n"),
                (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n"),
                (405, b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"), (414, b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
                (400, b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 16500 + b"\r\n\r\n"),
                (400, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 8000) for i in range(12)) + b"\r\n"),
                (463, b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + b",".join(b"%d.1.1.1" % i for i in range(1, 33)) + b"\r\n\r\n"),
                (464, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")):
            with self.subTest(request=request[:60]):
                reply = Reply(self.raw(address, request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1) if status >= 405 else request))
                if status == 464:
                    self.assertEqual(reply.status, 200)  # a function is no target that speaks a version
                    continue
                self.assertEqual(reply.status, status)
                if status > 400 or b"X-Long" in request:  # what is no request at all gets a page of HAProxy's
                    self.assertEqual((reply.get("Server"), reply.get("Content-Type")), ("awselb/2.0", "text/html"), reply.headers)
        # HTTP/2 without TLS is not spoken
        self.assertNotIn(b"\0\0\x12\4", self.raw(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", seconds=5))
        # a group without a target
        empty = self.elb.create_target_group(Name="empty", Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip")["TargetGroups"][0]
        self.elb.modify_listener(ListenerArn=listener, DefaultActions=forward(empty))
        reply = self.until(address, "/", 503)
        self.assertIn(b"<title>503 Service Temporarily Unavailable</title>", reply.body)

    def stay(self, address):
        """Asks once a second on one connection: what it was answered last, the seconds till then, and what came after that."""
        with socket.create_connection((address, 80), 10) as s:
            begun, answer = time.monotonic(), b""
            while b"connection: close" not in answer.lower() and time.monotonic() - begun < 100:
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                while not answer.endswith(b"\r\n\r\nx") and (piece := s.recv(4096)):
                    answer += piece
                time.sleep(1)
            return answer, time.monotonic() - begun, s.recv(10)

    def test_who_stays_for_long_is_told_to_go(self):
        """The last one by its name: its minute, which is the balancer's and real, has passed beside the others."""
        made, stays = self.long
        self.assertAwsError("ValidationError", self.attributes, made, client_keep_alive__seconds="59")
        answer, passed, after = stays.result(120)
        self.assertIn(b"connection: close", answer.lower())
        self.assertTrue(answer.endswith(b"\r\n\r\nx"), answer)
        self.assertGreaterEqual(passed, 58)
        self.assertEqual(after, b"")


if __name__ == "__main__":
    unittest.main()
