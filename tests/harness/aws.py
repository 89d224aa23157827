"""Clients of the running cloud for black-box tests, with every reply recorded so that it can be held against its model afterwards.

Debian's boto3 does not know AWS_ENDPOINT_URL, so the endpoint is given to each client here.
"""
import base64
import json
import os
import subprocess
import threading
import unittest

import boto3
import botocore.config
import botocore.session
from botocore.exceptions import ClientError

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ.get("AWS_REGION", "us-east-1")
_record = os.environ.get("QUARTET_RECORD")
_lock = threading.Lock()


def _recorder(model):
    def record(response_dict, event_name, **_):
        body = response_dict["body"]
        if not isinstance(body, (bytes, bytearray)):
            return  # streamed
        line = json.dumps({
            "service": model.service_name, "operation": event_name.split(".")[-1], "protocol": model.metadata.get("protocol"),
            "status": response_dict["status_code"], "headers": dict(response_dict["headers"]), "body": base64.b64encode(bytes(body)).decode()})
        with _lock, open(_record, "a") as f:
            f.write(line + "\n")
    return record


def client(service, key=None, secret=None, token=None, region=None, endpoint=None, **config):
    session = boto3.Session(aws_access_key_id=key or os.environ["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=secret or os.environ["AWS_SECRET_ACCESS_KEY"], aws_session_token=token,
                            region_name=region or REGION)
    config.setdefault("retries", {"max_attempts": 0})
    made = session.client(service, endpoint_url=endpoint or ENDPOINT, config=botocore.config.Config(**config))
    if _record:
        made.meta.events.register("before-parse", _recorder(made.meta.service_model))
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
