"""API destinations: events that become HTTP requests, and the connections that authorize them."""
import http.server
import json
import os
import sys
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
from aws import client  # noqa: E402
from happenings import ACCOUNT, EventCase  # noqa: E402
from moving import moving_cloud  # noqa: E402

MAY = {"Effect": "Allow", "Action": "events:InvokeApiDestination", "Resource": "*"}
TOKEN = "/token"


class Endpoint:
    """Notes requests and answers as it is told, with 200 else; gives out numbered tokens at /token."""

    def __init__(self, test):
        self.got, self.asked, self.answers, self.token_status, outer = [], [], [], 200, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                url = urllib.parse.urlsplit(self.path)
                said = {"method": self.command, "path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)), "headers": {k.lower(): v for k, v in self.headers.items()},
                        "body": body, "at": time.monotonic()}
                status, more, out = 200, {}, b"{}"
                if url.path == TOKEN:
                    outer.asked.append(said)
                    status = outer.token_status
                    out = json.dumps({"access_token": f"token-{len(outer.asked)}", "token_type": "Bearer", "expires_in": 3600}).encode()
                else:
                    if outer.answers:
                        status, more = outer.answers.pop(0)
                    said["status"] = status
                    outer.got.append(said)
                self.send_response(status)
                for k, v in more.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(out)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(out)
            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)

    def until(self, count, seconds=90):
        end = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < end, (self.got, self.asked)
            time.sleep(0.02)
        return self.got[count - 1]


class ConnectionCase(EventCase):
    def setUp(self):
        super().setUp()
        self.there = Endpoint(self)
        self.secrets = self.of("secretsmanager")

    def connection(self, kind, auth, called=None):
        called = called or self.name("c")
        made = self.events.create_connection(Name=called, AuthorizationType=kind, AuthParameters=auth)
        self.addCleanup(self.drop_connection, called)
        return called, made["ConnectionArn"]

    def drop_connection(self, called):
        try:
            self.events.delete_connection(Name=called)
        except self.events.exceptions.ResourceNotFoundException:
            pass

    def basic(self, **more):
        return self.connection("BASIC", {"BasicAuthParameters": {"Username": "u", "Password": "p w"}, **more})[1]

    def destination(self, connection, path="/in", method="POST", **more):
        called = self.name("d")
        made = self.events.create_api_destination(Name=called, ConnectionArn=connection, InvocationEndpoint=self.there.url + path, HttpMethod=method, **more)
        self.addCleanup(self.drop_destination, called)
        return called, made["ApiDestinationArn"]

    def drop_destination(self, called):
        try:
            self.events.delete_api_destination(Name=called)
        except self.events.exceptions.ResourceNotFoundException:
            pass

    def sends_to(self, arn, role=None, **target):
        """A bus whose events all go there."""
        bus = self.bus()
        self.rule({"source": ["shop"]}, bus, [{"Arn": arn, "RoleArn": role or self.role(MAY), **target}])
        return bus

    def state(self, called, wanted):
        end = time.monotonic() + 60
        while (found := self.events.describe_connection(Name=called))["ConnectionState"] != wanted:
            self.assertLess(time.monotonic(), end, found)
            time.sleep(0.05)
        return found


class Connections(ConnectionCase):
    def test_basic(self):
        connection = self.basic(InvocationHttpParameters={
            "HeaderParameters": [{"Key": "x-own", "Value": "h", "IsValueSecret": False}], "QueryStringParameters": [{"Key": "key", "Value": "q&", "IsValueSecret": True}],
            "BodyParameters": [{"Key": "more", "Value": "b", "IsValueSecret": False}]})
        bus = self.sends_to(self.destination(connection, "/in/*/x/*")[1],
                            InputTransformer={"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"number": <n>}'},
                            HttpParameters={"PathParameterValues": ["a b", "$.detail.kind"], "HeaderParameters": {"x-kind": "$.detail.kind", "Content-Type": "application/json"},
                                            "QueryStringParameters": {"id": "$.id", "fixed": "1"}})
        event = self.put(bus, detail={"n": 7, "kind": "k"})
        got = self.there.until(1)
        self.assertEqual((got["method"], got["path"], got["query"]), ("POST", "/in/a%20b/x/k", {"id": event, "fixed": "1", "key": "q&"}))
        self.assertEqual(json.loads(got["body"]), {"number": 7, "more": "b"})
        self.assertEqual({k: got["headers"].get(k) for k in ("authorization", "x-own", "x-kind", "content-type", "user-agent", "range")},
                         {"authorization": "Basic dTpwIHc=", "x-own": "h", "x-kind": "k", "content-type": "application/json", "user-agent": "Amazon/EventBridge/ApiDestinations",
                          "range": "bytes=0-1048575"})

    def test_key_and_secret(self):
        called, connection = self.connection("API_KEY", {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": "first"},
                                                         "InvocationHttpParameters": {"HeaderParameters": [{"Key": "x-s", "Value": "hidden", "IsValueSecret": True}]}})
        said = self.events.describe_connection(Name=called)
        self.assertEqual((said["ConnectionState"], said["AuthorizationType"], said["ConnectionArn"]), ("AUTHORIZED", "API_KEY", connection))
        self.assertEqual(said["AuthParameters"], {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key"},
                                                  "InvocationHttpParameters": {"HeaderParameters": [{"Key": "x-s", "IsValueSecret": True}]}})
        self.assertRegex(said["SecretArn"], rf"^arn:aws:secretsmanager:[a-z0-9-]+:{ACCOUNT}:secret:events!connection/{called}/[0-9a-f-]{{36}}-\w{{6}}$")
        secret = self.secrets.get_secret_value(SecretId=said["SecretArn"])
        self.assertEqual(json.loads(secret["SecretString"])["api_key_value"], "first")
        self.assertEqual(self.secrets.describe_secret(SecretId=said["SecretArn"])["OwningService"], "events")
        for call, more in ((self.secrets.put_secret_value, {"SecretString": "x"}), (self.secrets.delete_secret, {}), (self.secrets.update_secret, {"SecretString": "x"})):
            self.assertAwsError("InvalidRequestException", call, SecretId=said["SecretArn"], message="managed by the service events", **more)
        bus = self.sends_to(self.destination(connection, method="PUT")[1])
        self.put(bus)
        got = self.there.until(1)
        self.assertEqual((got["method"], got["headers"]["x-api-key"], got["headers"]["x-s"]), ("PUT", "first", "hidden"))
        self.assertEqual(json.loads(got["body"])["source"], "shop")
        self.events.update_connection(Name=called, AuthParameters={"ApiKeyAuthParameters": {"ApiKeyValue": "second"}})
        self.put(bus)
        got = self.there.until(2)
        self.assertEqual((got["headers"]["x-api-key"], got["headers"]["x-s"]), ("second", "hidden"))
        self.assertEqual(self.events.deauthorize_connection(Name=called)["ConnectionState"], "DEAUTHORIZED")
        self.assertAwsError("ResourceNotFoundException", self.secrets.get_secret_value, SecretId=said["SecretArn"])
        self.assertEqual(self.events.delete_connection(Name=called)["ConnectionState"], "DELETING")
        self.assertAwsError("ResourceNotFoundException", self.events.describe_connection, Name=called)

    def test_oauth(self):
        parameters = {"ClientParameters": {"ClientID": "me", "ClientSecret": "my secret"}, "AuthorizationEndpoint": self.there.url + TOKEN, "HttpMethod": "POST",
                      "OAuthHttpParameters": {"BodyParameters": [{"Key": "audience", "Value": "all", "IsValueSecret": False}]}}
        called, connection = self.connection("OAUTH_CLIENT_CREDENTIALS", {"OAuthParameters": parameters})
        said = self.state(called, "AUTHORIZED")
        self.assertIn("LastAuthorizedTime", said)
        self.assertEqual(said["AuthParameters"]["OAuthParameters"]["ClientParameters"], {"ClientID": "me"})
        asked = self.there.asked[0]
        self.assertEqual(dict(urllib.parse.parse_qsl(asked["body"])), {"grant_type": "client_credentials", "client_id": "me", "client_secret": "my secret", "audience": "all"})
        bus = self.sends_to(self.destination(connection)[1])
        self.put(bus)
        self.assertEqual(self.there.until(1)["headers"]["authorization"], "Bearer token-1")
        self.put(bus)
        self.there.until(2)
        self.assertEqual(len(self.there.asked), 1)  # a token is used for as long as it is good
        self.there.answers = [(401, {})]
        self.put(bus)
        self.assertEqual(self.there.until(4)["headers"]["authorization"], "Bearer token-2")
        self.there.token_status = 403
        self.events.update_connection(Name=called, AuthParameters={"OAuthParameters": {"ClientParameters": {"ClientID": "me", "ClientSecret": "wrong"}}})
        self.assertIn("403", self.state(called, "DEAUTHORIZED")["StateReason"])

    def test_destinations(self):
        connection = self.basic()
        called, arn = self.destination(connection, Description="x")
        said = self.events.describe_api_destination(Name=called)
        self.assertEqual((said["ApiDestinationArn"], said["ApiDestinationState"], said["ConnectionArn"], said["HttpMethod"], said["InvocationRateLimitPerSecond"], said["Description"]),
                         (arn, "ACTIVE", connection, "POST", 300, "x"))
        self.assertEqual(self.events.update_api_destination(Name=called, InvocationRateLimitPerSecond=7)["ApiDestinationArn"], arn)
        self.assertEqual([d["InvocationRateLimitPerSecond"] for d in self.events.list_api_destinations(NamePrefix=called)["ApiDestinations"]], [7])
        (listed,) = self.events.list_connections(NamePrefix=connection.split("/")[1])["Connections"]
        self.assertEqual((listed["ConnectionArn"], listed["ConnectionState"]), (connection, "AUTHORIZED"))
        self.events.deauthorize_connection(Name=connection.split("/")[1])
        self.assertEqual(self.events.describe_api_destination(Name=called)["ApiDestinationState"], "INACTIVE")
        self.events.delete_api_destination(Name=called)
        self.assertAwsError("ResourceNotFoundException", self.events.describe_api_destination, Name=called)

    def test_refusals(self):
        wrong = lambda kind, auth, code="ValidationException", **more: self.assertAwsError(  # noqa: E731
            code, self.events.create_connection, Name=self.name("c"), AuthorizationType=kind, AuthParameters=auth, **more)
        wrong("BASIC", {"ApiKeyAuthParameters": {"ApiKeyName": "a", "ApiKeyValue": "b"}})
        wrong("OAUTH_CLIENT_CREDENTIALS", {"OAuthParameters": {"ClientParameters": {"ClientID": "a", "ClientSecret": "b"}, "AuthorizationEndpoint": "ftp://x", "HttpMethod": "GET"}})
        connection = self.basic()
        self.assertAwsError("ResourceAlreadyExistsException", self.events.create_connection, Name=connection.split("/")[1], AuthorizationType="BASIC",
                            AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}})
        given = {"Name": self.name("d"), "ConnectionArn": connection, "InvocationEndpoint": "https://example.test/", "HttpMethod": "POST"}
        self.assertAwsError("ResourceNotFoundException", self.events.create_api_destination, **{**given, "ConnectionArn": connection[:-3] + "000"})
        self.assertAwsError("ValidationException", self.events.create_api_destination, **{**given, "InvocationEndpoint": "ws://example.test/"})
        arn = self.destination(connection)[1]
        bus, rule = self.bus(), None
        rule, _ = self.rule({"source": ["shop"]}, bus)
        self.assertAwsError("ValidationException", self.events.put_targets, Rule=rule, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}], message="RoleArn")
        self.assertAwsError("ValidationException", self.events.put_targets, Rule=rule, EventBusName=bus, message="HttpParameters",
                            Targets=[{"Id": "1", "Arn": self.queue()[1], "HttpParameters": {"HeaderParameters": {"a": "b"}}}])
        # a role that may not, and an endpoint that says no: to the dead-letter queue at once
        url, dead = self.queue()
        self.put(self.sends_to(arn, self.role({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}), DeadLetterConfig={"Arn": dead}))
        (m,) = self.messages(url)
        self.assertEqual((m["MessageAttributes"]["ERROR_CODE"]["StringValue"], self.there.got), ("NO_PERMISSIONS", []))
        self.there.answers = [(404, {})]
        self.put(self.sends_to(arn, DeadLetterConfig={"Arn": dead}))
        (m,) = self.messages(url)
        self.assertEqual(m["MessageAttributes"]["ERROR_CODE"]["StringValue"], "SDK_CLIENT_ERROR")
        self.assertIn("404", m["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"])


class Pauses(ConnectionCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, of = moving_cloud(cls)
        cls.of = staticmethod(of)

    def test_retries(self):
        """What fails for a time is tried again, not before the endpoint wants it; then it is dead."""
        url, dead = self.queue()
        bus = self.sends_to(self.destination(self.basic())[1], RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 86400}, DeadLetterConfig={"Arn": dead})
        self.there.answers = [(500, {}), (429, {"Retry-After": "3000"}), (503, {})]
        self.put(bus)
        self.there.until(2)
        self.cloud.forward("2000s")
        time.sleep(0.3)
        self.assertEqual(len(self.there.got), 2)
        end = time.monotonic() + 60
        while len(self.there.got) < 3:
            self.assertLess(time.monotonic(), end)
            self.cloud.forward("1001s")  # once more where it was not put off yet when the clock was moved
            time.sleep(1)
        (m,) = self.messages(url)
        self.assertEqual({k: m["MessageAttributes"][k]["StringValue"] for k in ("ERROR_CODE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS")},
                         {"ERROR_CODE": "INTERNAL_ERROR", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "2"})

    def test_rate(self):
        bus = self.sends_to(self.destination(self.basic(), InvocationRateLimitPerSecond=5)[1])
        self.events.put_events(Entries=[{"EventBusName": bus, "Source": "shop", "DetailType": "t", "Detail": "{}"} for _ in range(10)])
        self.there.until(10)
        self.assertGreater(self.there.got[9]["at"] - self.there.got[0]["at"], 1.0)  # nine fifths of a second, less what the first was late


if __name__ == "__main__":
    unittest.main()
