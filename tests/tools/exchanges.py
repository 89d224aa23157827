#!/usr/bin/python3
"""Feeds tests/tools/check-reply right and wrong exchanges: exchanges.py CHECK-REPLY. It must tell them apart."""
import base64
import json
import subprocess
import sys

AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=AKID/20240501/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0"


def exchange(service, method, uri, request_headers, request_body, status, headers, body):
    request_headers = dict(request_headers, Authorization=AUTHORIZATION % service)
    return json.dumps({
        "request": {"method": method, "uri": uri, "headers": request_headers, "body": base64.b64encode(request_body.encode()).decode()},
        "reply": {"status": status, "headers": dict(headers, **{"x-amzn-RequestId": "r"}), "body": base64.b64encode(body.encode()).decode()},
    })


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328.DescribeLogGroups"}
WHO = ('<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>1</Account>%s'
       "</GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>")
RIGHT = [
    exchange("sts", "POST", "/", FORM, "Action=GetCallerIdentity&Version=2011-06-15", 200, {}, WHO % ""),
    exchange("logs", "POST", "/", JSON, "{}", 200, {}, '{"logGroups":[{"logGroupName":"g","creationTime":1}]}'),
    exchange("logs", "POST", "/", JSON, "{}", 400, {}, '{"__type":"InvalidParameterException","message":"m"}'),
    exchange("s3", "GET", "/k?acl", {"Host": "b.s3.localhost:4566"}, "", 200, {}, "<AccessControlPolicy><Owner><ID>i</ID></Owner></AccessControlPolicy>"),
    exchange("lambda", "GET", "/nothing", {}, "", 403, {}, '{"message":"Missing Authentication Token"}'),
]
WRONG = [
    (exchange("sts", "POST", "/", FORM, "Action=GetCallerIdentity&Version=2011-06-15", 200, {}, WHO % "<Extra/>"), "unknown element Extra"),
    (exchange("logs", "POST", "/", JSON, "{}", 200, {}, '{"logGroups":[{"creationTime":"1"}]}'), "STRING_VALUE can not be converted to a Long"),
    (exchange("logs", "POST", "/", JSON, "{}", 200, {}, '{"groups":[]}'), "unknown member groups"),
    (exchange("logs", "POST", "/", JSON, "{}", 500, {}, "oops"), "an error without a code"),
    (exchange("lambda", "GET", "/nothing", {}, "", 200, {}, "{}"), "a request of no operation, with success"),
]


def run(lines):
    return subprocess.run([sys.argv[1]], input="\n".join(lines) + "\n", capture_output=True, text=True)


right = run(RIGHT)
assert right.returncode == 0, right.stdout
assert right.stdout.startswith(f"{len(RIGHT)} exchanges, 0 wrong, 0 unclear"), right.stdout
for line, reason in WRONG:
    wrong = run([line])
    assert wrong.returncode != 0 and reason in wrong.stdout, (reason, wrong.stdout)
assert run(["not JSON"]).returncode == 2
