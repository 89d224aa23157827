"""Function URLs: requests as functions see them, replies as clients see theirs."""
import base64
import http.client
import json
import os
import socket
import time
import unittest
import urllib.parse

import raw
from lambdacase import LambdaCase

ECHO = """
def lambda_handler(event, context):
    import json, base64
    way = (event.get("queryStringParameters") or {}).get("way")
    if way == "plain":
        return "Hello, world!"
    if way == "fail":
        raise ValueError("no")
    if way == "odd":
        return {"statusCode": "abc"}
    if way == "binary":
        return {"statusCode": 200, "headers": {"Content-Type": "image/x"}, "body": base64.b64encode(bytes(range(256))).decode(), "isBase64Encoded": True}
    return {"statusCode": 201, "headers": {"X-Made": "by hand", "X-Number": 7, "access-control-allow-origin": "mine"}, "cookies": ["a=1; Secure", "b=2"], "body": json.dumps(event)}
"""
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, out, context) => {
    if (event.rawPath === "/plain") { out.setContentType("text/plain"); }
    else { out = awslambda.HttpResponseStream.from(out, {statusCode: 203, headers: {"content-type": "text/x", "x-made": "here"}, cookies: ["c=3"]}); }
    out.write("first;");
    await new Promise(done => setTimeout(done, 1500));
    if (event.rawPath === "/large") for (let i = 0; i < 100; i++) await new Promise(done => out.write(Buffer.alloc(65536, 97), done));
    out.write("last");
    out.end();
});
"""


class Urls(LambdaCase):
    def url(self, function, auth="NONE", public=True, qualifier=None, **more):
        told = {"FunctionName": function, **({"Qualifier": qualifier} if qualifier else {})}
        if "InvokeMode" in more:  # which older clients do not know
            made = json.loads(self.send(f"/2021-10-31/functions/{function}/url", json.dumps({"AuthType": auth, **more}).encode()).body)
            self.assertEqual(made["InvokeMode"], more["InvokeMode"])
        else:
            made = self.aws.create_function_url_config(AuthType=auth, **told, **more)
        if auth == "NONE" and public:
            self.permit(told)
        return made["FunctionUrl"]

    def permit(self, told):
        self.aws.add_permission(StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE", **told)
        port, query = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]), f"Qualifier={told['Qualifier']}" if "Qualifier" in told else ""
        s = raw.connect(port, 60)  # older clients do not know InvokedViaFunctionUrl
        s.sendall(raw.Signer(port, "lambda").request("POST", f"/2015-03-31/functions/{told['FunctionName']}/policy", json.dumps(
            {"StatementId": "run", "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": True}).encode(), query=query))
        self.assertEqual(raw.read_reply(s).status, 201)
        s.close()

    def ask(self, url, method="GET", path="/", body=None, **headers):
        """(status, headers as a list, body). The name in the URL is this machine's, whatever its resolver says."""
        parts = urllib.parse.urlsplit(url)
        c = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        c.putheader("Host", parts.netloc)
        for k, v in headers.items():
            c.putheader(k.replace("_", "-"), v)
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        got = r.status, r.getheaders(), r.read()
        c.close()
        return got

    def test_request_and_reply(self):
        function = self.make(ECHO)
        url = self.url(function)
        host = urllib.parse.urlsplit(url).hostname
        self.assertRegex(url, r"^http://[a-z2-7]{32}\.lambda-url\.us-east-1\.localhost:\d+/$")
        status, headers, body = self.ask(url, "POST", "/a%20b/c?x=1&x=2&y=%C3%A9&z", b'{"k": 1}', Content_Type="application/json",
                                         Cookie="one=1; two=2", X_Twice="v", User_Agent="me/1")
        event, named = json.loads(body), dict(headers)
        self.assertEqual((status, named["X-Made"], named["X-Number"], named["content-type"]), (201, "by hand", "7", "application/json"))
        self.assertEqual([v for k, v in headers if k.lower() == "set-cookie"], ["a=1; Secure", "b=2"])
        self.assertEqual(named["access-control-allow-origin"], "mine")
        self.assertEqual((event["version"], event["routeKey"], event["rawPath"]), ("2.0", "$default", "/a%20b/c"))
        self.assertEqual((event["rawQueryString"], event["cookies"]), ("x=1&x=2&y=%C3%A9&z", ["one=1", "two=2"]))
        self.assertEqual(event["queryStringParameters"], {"x": "1,2", "y": "é", "z": ""})
        self.assertEqual((event["body"], event["isBase64Encoded"]), ('{"k": 1}', False))
        self.assertNotIn("cookie", event["headers"])
        self.assertEqual((event["headers"]["x-twice"], event["headers"]["x-forwarded-for"]), ("v", "127.0.0.1"))
        context = event["requestContext"]
        self.assertEqual((context["accountId"], context["domainName"], context["apiId"]), ("anonymous", host, host.split(".")[0]))
        self.assertEqual({k: context["http"][k] for k in ("method", "path", "userAgent", "sourceIp")},
                         {"method": "POST", "path": "/a%20b/c", "userAgent": "me/1", "sourceIp": "127.0.0.1"})
        self.assertEqual(named["x-amzn-RequestId"], context["requestId"])
        event = json.loads(self.ask(url, "PUT", body=b"\xff\0")[2])
        self.assertEqual((base64.b64decode(event["body"]), event["isBase64Encoded"]), (b"\xff\0", True))
        event = json.loads(self.ask(url)[2])
        self.assertNotIn("body", event)
        self.assertNotIn("queryStringParameters", event)
        status, headers, body = self.ask(url, path="/?way=plain")
        self.assertEqual((status, body, dict(headers)["content-type"]), (200, b'"Hello, world!"', "application/json"))
        status, headers, body = self.ask(url, path="/?way=binary")
        self.assertEqual((body, dict(headers)["Content-Type"]), (bytes(range(256)), "image/x"))
        for way in ("fail", "odd"):
            status, _, body = self.ask(url, path="/?way=" + way)
            self.assertEqual((status, body), (502, b"Internal Server Error"))
        status, _, _ = self.ask(url, "POST", body=b"x" * (6 * 1024 * 1024 + 1))
        self.assertEqual(status, 413)
        self.aws.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        self.assertEqual(self.until_status(url, 429), 429)

        for name, least in (("UrlRequestCount", 9), ("Url4xxCount", 2), ("Url5xxCount", 2), ("UrlRequestLatency", 0.001)):
            self.metric(name, function, lambda total: total >= least)

    def until_status(self, url, status, seconds=30):
        until = time.monotonic() + seconds
        while (got := self.ask(url)[0]) != status and time.monotonic() < until:
            time.sleep(0.05)
        return got

    def test_life(self):
        function = self.make(ECHO)
        self.aws.publish_version(FunctionName=function)
        self.aws.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
        url, aliased = self.url(function), self.url(function, qualifier="live")
        with self.assertRaises(self.aws.exceptions.ResourceConflictException):
            self.url(function)
        got = self.aws.get_function_url_config(FunctionName=function, Qualifier="live")
        self.assertEqual((got["FunctionUrl"], got["AuthType"]), (aliased, "NONE"))
        self.assertTrue(got["FunctionArn"].endswith(function + ":live"))
        listed = self.aws.list_function_url_configs(FunctionName=function)["FunctionUrlConfigs"]
        self.assertEqual({f["FunctionUrl"] for f in listed}, {url, aliased})
        self.assertEqual((self.ask(url)[0], self.ask(aliased)[0]), (201, 201))
        got = self.aws.update_function_url_config(FunctionName=function, AuthType="AWS_IAM")
        self.assertEqual((got["FunctionUrl"], got["AuthType"]), (url, "AWS_IAM"))
        self.assertEqual(self.until_status(url, 403), 403)
        self.aws.delete_alias(FunctionName=function, Name="live")
        self.assertEqual(self.until_status(aliased, 403), 403)
        self.aws.delete_function_url_config(FunctionName=function)
        with self.assertRaises(self.aws.exceptions.ResourceNotFoundException):
            self.aws.get_function_url_config(FunctionName=function)
        status, headers, body = self.ask(url)
        self.assertEqual((status, body, dict(headers)["x-amzn-ErrorType"]), (403, b'{"Message":null}', "AccessDeniedException"))
        with self.assertRaises(self.aws.exceptions.ClientError):
            self.url(function, qualifier="1")

    def test_permissions(self):
        function = self.make(ECHO)
        url = self.url(function, public=False)
        self.assertEqual(self.ask(url)[0], 403)
        self.aws.add_permission(FunctionName=function, StatementId="x", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
        self.assertEqual(self.ask(url)[0], 403)
        self.aws.remove_permission(FunctionName=function, StatementId="x")
        self.permit({"FunctionName": function})
        self.assertEqual(self.until_status(url, 201), 201)

    def test_signed(self):
        function = self.make(ECHO)
        url = self.url(function, auth="AWS_IAM")
        status, _, body = self.ask(url)
        self.assertEqual(status, 403)
        name = "u-" + function
        self.iam.create_user(UserName=name)
        self.addCleanup(self.iam.delete_user, UserName=name)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.addCleanup(self.iam.delete_access_key, UserName=name, AccessKeyId=key["AccessKeyId"])

        def signed(secret):
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials
            request = AWSRequest("POST", url + "p?q=1", data=b"text", headers={"content-type": "text/plain", "host": urllib.parse.urlsplit(url).netloc})
            SigV4Auth(Credentials(key["AccessKeyId"], secret), "lambda", "us-east-1").add_auth(request)
            headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
            return self.ask(url, "POST", "/p?q=1", b"text", **headers)

        self.assertEqual(signed(key["SecretAccessKey"])[0], 403)
        self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"], "Resource": "*"}]}))
        self.addCleanup(self.iam.delete_user_policy, UserName=name, PolicyName="p")
        status, _, body = signed(key["SecretAccessKey"])
        self.assertEqual(status, 201, body)
        event = json.loads(body)
        self.assertEqual(event["body"], "text")
        self.assertTrue(event["requestContext"]["authorizer"]["iam"]["userArn"].endswith("user/" + name))
        self.assertEqual(event["requestContext"]["authorizer"]["iam"]["accessKey"], key["AccessKeyId"])
        self.assertEqual(signed("wrong")[0], 403)

    def test_cors(self):
        function = self.make(ECHO)
        cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-one"], "ExposeHeaders": ["x-made"],
                "MaxAge": 60, "AllowCredentials": True}
        url = self.url(function, Cors=cors)
        self.assertEqual(self.aws.get_function_url_config(FunctionName=function)["Cors"], cors)
        status, headers, _ = self.ask(url, "OPTIONS", Origin="https://a.example", Access_Control_Request_Method="PUT")
        headers = {k.lower(): v for k, v in headers}
        self.assertEqual(status, 200)
        self.assertEqual({k: v for k, v in headers.items() if k.startswith("access-control-")}, {
            "access-control-allow-origin": "https://a.example", "access-control-allow-credentials": "true", "access-control-allow-methods": "GET,PUT",
            "access-control-allow-headers": "x-one", "access-control-max-age": "60", "access-control-expose-headers": "x-made"})
        status, headers, _ = self.ask(url, Origin="https://a.example")
        self.assertEqual((status, [v for k, v in headers if k.lower() == "access-control-allow-origin"]), (201, ["https://a.example"]))
        status, headers, _ = self.ask(url, Origin="https://b.example")
        self.assertEqual((status, [k for k, _ in headers if k.lower().startswith("access-control-")]), (201, []))

    def comes_early(self, url, path):
        """Reads a stream: did its beginning come without its end?"""
        parts = urllib.parse.urlsplit(url)
        with socket.create_connection(("127.0.0.1", parts.port), 60) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while b"first;" not in data:
                data += s.recv(65536)
            early = b"last" not in data
            while piece := s.recv(1 << 20):
                data += piece
        self.streamed = data
        return early

    def test_stream(self):
        try:
            function = self.make(STREAM, runtime="nodejs18.x", Timeout=20)
        except self.aws.exceptions.InvalidParameterValueException as e:
            self.skipTest(str(e))
        url = self.url(function, InvokeMode="RESPONSE_STREAM")
        self.ask(url, path="/plain")
        for path, status, kind in (("/plain", 200, "text/plain"), ("/x", 203, "text/x"), ("/large", 203, "text/x")):
            # it is on its way before the function is done; who is slow to look may miss that once
            self.assertTrue(any(self.comes_early(url, path) for _ in range(3)))
            data = self.streamed
            head = data.partition(b"\r\n\r\n")[0].decode().lower()
            self.assertTrue(head.startswith(f"http/1.1 {status}"), head)
            self.assertIn(f"content-type: {kind}", head)
            self.assertEqual("set-cookie: c=3" in head, status == 203)
            self.assertIn(b"last", data)
            if path == "/large":
                self.assertGreater(len(data), 100 * 65536)


if __name__ == "__main__":
    unittest.main()
