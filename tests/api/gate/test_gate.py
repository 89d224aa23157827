"""What every service has in common: signatures, unknown things, sizes, pages of other origins."""
import hashlib
import http.client
import os
import re
import socket
import time
import unittest
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from aws import ENDPOINT, REGION, TestCase, client, run

HOST, PORT = ENDPOINT.split("//")[1].rsplit(":", 1)


def signed(service, method="POST", path="/", body="", headers=None, key="test", secret="test", region=REGION, host=None):
    request = botocore.awsrequest.AWSRequest(method, f"http://{host}{path}" if host else ENDPOINT + path, data=body, headers=headers or {})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret), service, region).add_auth(request)
    prepared = request.prepare()
    c = http.client.HTTPConnection(HOST, int(PORT), timeout=10)
    c.request(method, path, body=prepared.body, headers={**dict(prepared.headers), **({"Host": host} if host else {})})
    reply = c.getresponse()
    return reply, reply.read()


def post(body, headers):
    """An unsigned form."""
    c = http.client.HTTPConnection(HOST, int(PORT), timeout=10)
    c.request("POST", "/", body=body, headers={"Content-Type": "application/x-www-form-urlencoded", **headers})
    reply = c.getresponse()
    return reply, reply.read()


def code_of(body):
    return re.search(rb"<Code>(.*?)</Code>", body)[1].decode()


def form(body, headers):
    reply, body = post(body, headers)
    return reply.status, code_of(body)


class Signatures(TestCase):
    def test_each_protocol_refuses_in_its_own_words(self):
        for service, operation, code, status in (
                ("sts", "get_caller_identity", "SignatureDoesNotMatch", 403), ("ec2", "describe_instances", "AuthFailure", 401),
                ("logs", "describe_log_groups", "InvalidSignatureException", 400), ("lambda", "list_functions", "InvalidSignatureException", 403),
                ("s3", "list_buckets", "SignatureDoesNotMatch", 403), ("dynamodb", "list_tables", "InvalidSignatureException", 400)):
            with self.subTest(service=service):
                self.assertAwsError(code, getattr(client(service, secret="wrong"), operation), status=status)

    def test_unknown_key(self):
        for service, operation, code in (("sts", "get_caller_identity", "InvalidClientTokenId"), ("s3", "list_buckets", "InvalidAccessKeyId"),
                                         ("logs", "describe_log_groups", "UnrecognizedClientException")):
            with self.subTest(service=service):
                self.assertAwsError(code, getattr(client(service, key="AKIAUNKNOWNUNKNOWN00"), operation))

    def test_twelve_digits_are_that_accounts_root(self):
        who = client("sts", key="123456789012").get_caller_identity()
        self.assertEqual(who["Account"], "123456789012")
        self.assertEqual(who["Arn"], "arn:aws:iam::123456789012:root")

    def test_a_changed_body_is_refused(self):
        request = botocore.awsrequest.AWSRequest("POST", ENDPOINT + "/", data="Action=GetCallerIdentity&Version=2011-06-15",
                                                 headers={"Content-Type": "application/x-www-form-urlencoded"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "sts", REGION).add_auth(request)
        headers = dict(request.prepare().headers)
        headers.pop("Content-Length", None)
        c = http.client.HTTPConnection(HOST, int(PORT), timeout=10)
        c.request("POST", "/", body="Action=GetSessionToken&Version=2011-06-15", headers=headers)
        reply = c.getresponse()
        self.assertEqual(reply.status, 403)
        self.assertIn(b"SignatureDoesNotMatch", reply.read())

    def test_unsigned(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(ENDPOINT + "/?Action=GetCallerIdentity&Version=2011-06-15", timeout=10)
        self.assertEqual(caught.exception.code, 403)
        self.assertIn(b"MissingAuthenticationToken", caught.exception.read())

    def test_unsigned_forms_name_their_service_in_the_body(self):
        for body, status, code in (("Action=GetCallerIdentity&Version=2011-06-15", 403, "MissingAuthenticationToken"),
                                   ("Action=ListUsers&Version=2010-05-08", 403, "MissingAuthenticationToken"),
                                   ("Action=DescribeInstances&Version=2016-11-15", 401, "AuthFailure"),
                                   ("Action=Nothing&Version=2011-06-15", 400, "InvalidAction"), ("A=b", 400, "MissingAction")):
            with self.subTest(body=body):
                self.assertEqual(form(body, {}), (status, code))

    def test_what_is_no_signature(self):
        for header, said in (("Basic dGVzdDp0ZXN0", "Unsupported AWS 'algorithm': 'Basic'."), ("AWS test:sig", "Signature version 2 is not supported"),
                             ("AWS4-HMAC-SHA256 Credential=test, SignedHeaders=host, Signature=0", "Credential must have exactly 5 slash-delimited elements")):
            with self.subTest(header=header):
                reply, body = post("Action=GetCallerIdentity&Version=2011-06-15", {"Authorization": header, "X-Amz-Date": "20200101T000000Z"})
                self.assertEqual((reply.status, code_of(body)), (400, "IncompleteSignature"))
                self.assertIn(said, body.decode())

    def test_regions_are_names(self):
        for service, code in (("sts", "SignatureDoesNotMatch"), ("s3", "AuthorizationHeaderMalformed")):
            with self.subTest(service=service):
                reply, body = signed(service, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15" if service == "sts" else "/",
                                     headers={"X-Amz-Content-Sha256": hashlib.sha256(b"").hexdigest()}, region="us-east-1:000000000000")
                self.assertEqual(code_of(body), code)
        self.assertEqual(signed("sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", region="local")[0].status, 200)


class Unknown(TestCase):
    def test_absent_operations_answer_501_and_name_themselves(self):
        for service, operation in (("ec2", "describe_ipams"), ("sns", "list_platform_applications"), ("elasticache", "describe_cache_clusters"),
                                   ("rds", "describe_db_instances"), ("cloudwatch", "describe_anomaly_detectors"), ("dynamodb", "list_tables")):
            with self.subTest(service=service), self.assertRaises(Exception) as caught:
                getattr(client(service), operation)()
            error = caught.exception.response
            self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], 501)
            self.assertIn(operation.replace("_", ""), error["Error"]["Message"].lower())

    def test_absent_operations_whose_body_is_signed_or_that_need_no_signature(self):
        reply, body = signed("lambda", "PUT", "/2020-06-30/functions/f/code-signing-config", body='{"CodeSigningConfigArn":"a"}')
        self.assertEqual(reply.status, 501)
        self.assertIn(b"lambda:PutFunctionCodeSigningConfig", body)
        for operation in ("AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"):
            reply, body = post(f"Action={operation}&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=s", {})
            self.assertEqual((reply.status, code_of(body)), (501, "UnsupportedOperation"))
            self.assertIn(f"sts:{operation}", body.decode())

    def test_unknown_service(self):
        reply, body = signed("nonsense", body="{}", headers={"X-Amz-Target": "Nonsense.Do", "Content-Type": "application/x-amz-json-1.1"})
        self.assertEqual(reply.status, 501)
        self.assertIn(b"nonsense", body)
        reply, body = signed("s3express", "GET", headers={"X-Amz-Content-Sha256": hashlib.sha256(b"").hexdigest()})
        self.assertEqual((reply.status, code_of(body)), (501, "NotImplemented"))

    def test_unknown_action(self):
        reply, body = signed("sts", body="Action=Nothing&Version=2011-06-15", headers={"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(reply.status, 400)
        self.assertIn(b"<Code>InvalidAction</Code>", body)
        for version, said in (("", "NO_VERSION_SPECIFIED"), ("&Version=1999-01-01", "1999-01-01")):
            reply, body = signed("sts", body="Action=GetCallerIdentity" + version, headers={"Content-Type": "application/x-www-form-urlencoded"})
            self.assertEqual((reply.status, code_of(body)), (400, "InvalidAction"))
            self.assertIn(f"Could not find operation GetCallerIdentity for version {said}", body.decode())
        reply, body = signed("logs", body="{}", headers={"X-Amz-Target": "Logs_20140328.Nothing", "Content-Type": "application/x-amz-json-1.1"})
        self.assertIn(reply.status, (400, 404))
        self.assertIn(b"UnknownOperationException", body)

    def test_malformed_body(self):
        reply, body = signed("logs", body="{", headers={"X-Amz-Target": "Logs_20140328.DescribeLogGroups", "Content-Type": "application/x-amz-json-1.1"})
        self.assertEqual(reply.status, 400)
        self.assertIn(b"SerializationException", body)


class Sizes(TestCase):
    def test_a_body_that_is_too_large_is_refused_before_it_is_read(self):
        with socket.create_connection((HOST, int(PORT)), timeout=10) as s:
            request = botocore.awsrequest.AWSRequest("POST", ENDPOINT + "/", data="x", headers={
                "X-Amz-Target": "AWSEvents.PutEvents", "Content-Type": "application/x-amz-json-1.1"})
            botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "events", REGION).add_auth(request)
            headers = dict(request.prepare().headers)
            headers.update({"Host": f"{HOST}:{PORT}", "Content-Length": str(1 << 40)})
            s.sendall(("POST / HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode())
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 413"))


class Hosts(TestCase):
    """An API by its own name is that API, not S3's bucket of the name."""

    def test_apis_by_name(self):
        for host in (f"lambda.localhost:{PORT}", f"lambda.{REGION}.amazonaws.com", f"localhost:{PORT}"):
            reply, body = signed("lambda", "GET", "/2015-03-31/functions/", host=host)
            self.assertEqual((reply.status, b"Functions" in body), (200, True), host)
            self.assertEqual(Origins.ask(self, "GET", "/2015-03-31/functions/", Host=host).status, 403)

    def test_a_bucket_by_the_name_of_an_api(self):
        s3 = client("s3")
        s3.create_bucket(Bucket="lambda")
        self.addCleanup(s3.delete_bucket, Bucket="lambda")
        for host in (f"lambda.localhost:{PORT}", f"lambda.s3.localhost:{PORT}"):
            reply, body = signed("s3", "GET", "/", host=host, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
            self.assertEqual((reply.status, b"<Name>lambda</Name>" in body), (200, True), (host, body))


class Origins(TestCase):
    def ask(self, method, path, **headers):
        c = http.client.HTTPConnection(HOST, int(PORT), timeout=10)
        c.request(method, path, headers=headers)
        reply = c.getresponse()
        reply.read()
        return reply

    def test_preflight(self):
        reply = self.ask("OPTIONS", "/2015-03-31/functions/", **{"Origin": "https://example.com", "Access-Control-Request-Method": "GET",
                                                                 "Access-Control-Request-Headers": "authorization,x-amz-date"})
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.getheader("Access-Control-Allow-Origin"), "*")
        self.assertEqual(reply.getheader("Access-Control-Allow-Headers"), "authorization,x-amz-date")

    def test_the_published_keys_are_not_for_pages_from_elsewhere(self):
        body = "Action=GetCallerIdentity&Version=2011-06-15"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for origin, status in (("https://evil.example", 403), ("http://localhost:3000", 200)):
            reply, _ = signed("sts", body=body, headers={**form, "Origin": origin})
            self.assertEqual(reply.status, status, origin)

    def test_own_paths_are_not_for_pages(self):
        self.assertEqual(self.ask("POST", "/_quartet/reset", Origin="http://localhost:3000").status, 403)
        self.assertEqual(self.ask("GET", "/_quartet/health").status, 200)
        self.assertEqual(self.ask("GET", "/_quartet/health", Host="rebound.example").status, 403)


class CommandLine(unittest.TestCase):
    program = os.environ["QUARTET"]

    def test_every_command_has_help(self):
        listing = run(self.program, "--help").stdout
        for command in ("up", "down", "status", "env", "doctor", "reset", "logs", "exec", "why", "why-not", "coverage", "invoke", "bill"):
            self.assertIn(f"  {command}", listing)
            self.assertIn(f"usage: quartet {command}", run(self.program, command, "--help").stdout)

    def test_mistakes_are_one_line_and_a_status(self):
        for arguments, status in ((["nothing"], 2), (["up", "--nothing"], 2), (["status", "--data", "/nonexistent"], 3), (["coverage", "nothing"], 2),
                                  (["up", "--listen", "127.0.0.1:0"], 2), (["up", "--listen", "somewhere:4566"], 2), (["up", "--listen", "4566"], 2),
                                  (["why"], 2), (["why", "not an id"], 1), (["exec"], 2), (["exec", "--nothing", "f"], 2), (["invoke"], 2),
                                  (["logs", "--since", "yesterday", "g"], 2), (["down", "now"], 2), (["env", "--data"], 2)):
            done = run(self.program, *arguments, check=False)
            self.assertEqual(done.returncode, status, arguments)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_env_is_for_a_shell(self):
        done = run("sh", "-c", f'eval "$({self.program} env)"; echo $AWS_ENDPOINT_URL')
        self.assertEqual(done.stdout.strip(), ENDPOINT)

    def test_exec_needs_a_living_sandbox_and_the_root_key(self):
        began = time.monotonic()
        done = run(self.program, "exec", "no-such-function", "ls", "--data", "/nonexistent", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertLess(time.monotonic() - began, 20, "the connection stays open, the answer does not wait for its end")
        self.assertIn("invoke it first", done.stderr)
        c = http.client.HTTPConnection(HOST, int(PORT), timeout=10)
        c.request("POST", "/_quartet/exec/x", headers={"X-Quartet-Key": "test:wrong", "Content-Length": "0"})
        self.assertEqual(c.getresponse().status, 403)

    def test_coverage_counts_every_operation(self):
        total = run(self.program, "coverage").stdout.strip().splitlines()[-1].split()
        self.assertEqual(total[0], "all")
        self.assertGreater(sum(map(int, total[1:])), 2000)
