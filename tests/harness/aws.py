"""Clients of the running cloud for black-box tests, with every reply recorded so that it can be held against its model afterwards.

Debian's boto3 does not know AWS_ENDPOINT_URL, so the endpoint is given to each client here.
"""
import base64
import json
import os
import subprocess
import threading
import unittest
import urllib.parse
import uuid

import botocore.config
from botocore.exceptions import ClientError

from cloud import sdk_session

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "")  # of the cloud that the runner started; tests of faults have their own
REGION = os.environ.get("AWS_REGION", "us-east-1")
_record = os.environ.get("QUARTET_RECORD")
_lock = threading.Lock()


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _recorder(made):
    """Sends in botocore's place and keeps the exchange as tests/tools/check-reply reads it. Streamed replies pass by unseen."""
    model, session = made.meta.service_model, made._endpoint.http_session

    def send(request, event_name, **_):
        operation = model.operation_model(event_name.split(".")[-1])
        if operation.has_streaming_output or operation.has_event_stream_output:
            return None
        reply = session.send(request)
        parts = urllib.parse.urlsplit(request.url)
        body = request.body if isinstance(request.body, (bytes, bytearray)) else (request.body or "").encode() if isinstance(request.body, str) else b""
        line = json.dumps({
            "request": {"method": request.method, "uri": parts.path + ("?" + parts.query if parts.query else ""),
                        "headers": {"Host": parts.netloc, **{_text(k): _text(v) for k, v in request.headers.items()}},
                        "body": base64.b64encode(bytes(body[:1 << 20])).decode()},
            "reply": {"status": reply.status_code, "headers": {_text(k): _text(v) for k, v in reply.headers.items()},
                      "body": base64.b64encode(reply.content).decode()}})
        with _lock, open(_record, "a") as f:
            f.write(line + "\n")
        return reply
    return send


def client(service, key=None, secret=None, token=None, region=None, endpoint=None, **config):
    session = sdk_session(aws_access_key_id=key or os.environ["AWS_ACCESS_KEY_ID"],
                          aws_secret_access_key=secret or os.environ["AWS_SECRET_ACCESS_KEY"], aws_session_token=token,
                          region_name=region or REGION)
    config.setdefault("retries", {"max_attempts": 0})
    made = session.client(service, endpoint_url=endpoint or ENDPOINT, config=botocore.config.Config(**config))
    if _record:
        made.meta.events.register_last("before-send", _recorder(made))
    return made


def run(*args, check=True, stdin=None, env=None, timeout=120):
    """A command with the cloud's environment; returns the completed process with text output."""
    done = subprocess.run(args, input=stdin, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(args)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def aws_programs():
    """Every AWS CLI of this machine, as (name, command prefix)."""
    found = []
    for path in ("/usr/bin/aws", os.environ.get("AWS_CLI_CURRENT", "")):
        if path and os.path.exists(path):
            found.append(path)
    return found


def limited_key(test, *statements):
    """Keyword arguments of client() for a user who may do what the statements say, as long as the test runs."""
    iam, name = client("iam"), "limited-" + uuid.uuid4().hex[:10]
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def drop():
        iam.delete_user_policy(UserName=name, PolicyName="p")
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)
    test.addCleanup(drop)
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


class TestCase(unittest.TestCase):
    def assertAwsError(self, code, call, *args, status=None, message=None, **kwargs):
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        error = caught.exception.response
        self.assertEqual(error["Error"]["Code"], code, error["Error"].get("Message"))
        if status is not None:
            self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], status)
        if message is not None:
            self.assertIn(message, error["Error"].get("Message", ""))
        return error
