"""What the Lambda tests share: a role, functions that go away again, packages out of strings."""
import base64
import datetime
import io
import json
import os
import time
import uuid
import zipfile

import raw
from aws import TestCase, client

ACCOUNT = "000000000000"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def package(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in files.items():
            mode = 0o755 if name.startswith("bootstrap") else 0o644
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | mode) << 16
            z.writestr(info, text)
    return out.getvalue()


class LambdaCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.aws = client("lambda", read_timeout=60)
        cls.iam, cls.s3 = client("iam"), client("s3")
        cls.role_name = "lambda-test-" + uuid.uuid4().hex[:8]
        cls.role = cls.iam.create_role(RoleName=cls.role_name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        cls.iam.put_role_policy(RoleName=cls.role_name, PolicyName="all", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:*", "s3:*", "lambda:*", "sqs:*", "sns:*", "events:*"], "Resource": "*"}]}))
        cls.made = []

    @classmethod
    def tearDownClass(cls):
        for name in cls.made:
            try:
                cls.aws.delete_function(FunctionName=name)
            except cls.aws.exceptions.ResourceNotFoundException:
                pass
        cls.iam.delete_role_policy(RoleName=cls.role_name, PolicyName="all")
        cls.iam.delete_role(RoleName=cls.role_name)

    def make(self, code, runtime="python3.12", handler=None, wait=True, **settings):
        """A function out of source text (or a dict of files); returns its name."""
        name = "t-" + uuid.uuid4().hex[:12]
        if not isinstance(code, dict):
            code = {"index.js" if runtime.startswith("node") else "lambda_function.py": code}
        handler = handler or ("index.handler" if runtime.startswith("node") else "lambda_function.lambda_handler")
        self.aws.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=self.role,
                                 Code={"ZipFile": package(code)}, **settings)
        self.made.append(name)
        if wait:
            self.aws.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
            self.invocable(name)
        return name

    def invocable(self, name):
        """Invocations hear of a state when it is on the disk, which readers of it need not wait for."""
        for _ in range(200):
            try:
                self.aws.invoke(FunctionName=name, InvocationType="DryRun")
                return
            except self.aws.exceptions.ResourceConflictException:
                time.sleep(0.05)

    def send(self, path, body=b"{}", method="POST", **headers):
        """A request as it is, for what an SDK would not send."""
        port = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
        s = raw.connect(port, 60)
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        s.sendall(raw.Signer(port, "lambda").request(method, path, body, headers=headers))
        reply = raw.read_reply(s)
        s.close()
        return reply

    def metric(self, name, function, enough):
        """The sum of the function's metric, once enough(sum)."""
        until = time.monotonic() + 30
        while True:
            now = datetime.datetime.now(datetime.timezone.utc)
            points = client("cloudwatch").get_metric_statistics(
                Namespace="AWS/Lambda", MetricName=name, Dimensions=[{"Name": "FunctionName", "Value": function}], Statistics=["Sum"],
                Period=60, StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(minutes=2))["Datapoints"]
            total = sum(p["Sum"] for p in points)
            if enough(total):
                return total
            self.assertLess(time.monotonic(), until, (name, total))
            time.sleep(0.2)

    def settle(self, name):
        self.aws.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def call(self, name, event=None, **settings):
        """The reply with Payload read (as JSON) and the tail of the log as text."""
        reply = self.aws.invoke(FunctionName=name, Payload=json.dumps(event if event is not None else {}), **settings)
        reply["Payload"] = json.loads(reply["Payload"].read() or "null")
        if "LogResult" in reply:
            reply["Log"] = base64.b64decode(reply["LogResult"]).decode()
        return reply

    def logged(self, name):
        """The events of a function's log, once its last invocation is reported there; the log group is deleted."""
        logs, group, found = client("logs"), f"/aws/lambda/{name}", []
        for _ in range(100):
            try:
                found = [e["message"] for e in logs.filter_log_events(logGroupName=group)["events"]]
            except logs.exceptions.ResourceNotFoundException:
                found = []
            if found and found[-1].startswith("REPORT"):
                break
            time.sleep(0.1)
        logs.delete_log_group(logGroupName=group)
        return found

    def result(self, name, event=None, **settings):
        reply = self.call(name, event, **settings)
        self.assertNotIn("FunctionError", reply, reply["Payload"])
        return reply["Payload"]
