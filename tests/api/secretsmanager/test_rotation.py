"""Secrets that a function rotates: its four steps, its schedule by the cloud's clock, a kill in between, a function that fails."""
import io
import json
import os
import sys
import time
import unittest
import uuid
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
from aws import TestCase  # noqa: E402
from moving import moving_cloud  # noqa: E402

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
POWERS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:*", "secretsmanager:*"], "Resource": "*"}]}
CODE = """
import boto3, json, os
sm = boto3.client("secretsmanager")
def lambda_handler(event, context):
    if os.environ.get("FAIL") == event["Step"]:
        raise ValueError("no")
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = sm.describe_secret(SecretId=secret)["VersionIdsToStages"]
    assert "AWSPENDING" in stages[token], stages
    current = next(v for v in stages if "AWSCURRENT" in stages[v])
    if step == "createSecret":
        try:
            sm.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except sm.exceptions.ResourceNotFoundException:
            old = sm.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]
            sm.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=old + "+", VersionStages=["AWSPENDING"])
    elif step == "finishSecret" and current != token:
        sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
"""


class Rotation(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, of = moving_cloud(cls)
        cls.sm, cls.functions, iam = of("secretsmanager"), of("lambda", read_timeout=60), of("iam")
        cls.role = iam.create_role(RoleName="rotates", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="rotates", PolicyName="p", PolicyDocument=json.dumps(POWERS))

    def function(self, allowed=True, **environment):
        name, out = "r-" + uuid.uuid4().hex[:12], io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            z.writestr(zipfile.ZipInfo("f.py", (2026, 1, 1, 0, 0, 0)), CODE)
        arn = self.functions.create_function(FunctionName=name, Runtime="python3.12", Handler="f.lambda_handler", Role=self.role, Timeout=30, MemorySize=512,
                                             Code={"ZipFile": out.getvalue()}, Environment={"Variables": environment})["FunctionArn"]
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        if allowed:
            self.functions.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com")
        return arn

    def secret(self):
        return self.sm.create_secret(Name="t/" + uuid.uuid4().hex, SecretString="v")["ARN"]

    def value(self, secret, stage="AWSCURRENT"):
        return self.sm.get_secret_value(SecretId=secret, VersionStage=stage)["SecretString"]

    def until(self, holds, seconds=90):
        until = time.monotonic() + seconds
        while not (found := holds()):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        return found

    def rotated(self, secret):
        return self.sm.describe_secret(SecretId=secret).get("LastRotatedDate")

    def test_four_steps_and_a_schedule(self):
        secret = self.secret()
        said = self.sm.rotate_secret(SecretId=secret, RotationLambdaARN=self.function(), RotationRules={"AutomaticallyAfterDays": 10})
        first = self.until(lambda: self.rotated(secret))
        shown = self.sm.describe_secret(SecretId=secret)
        self.assertIn("AWSCURRENT", shown["VersionIdsToStages"][said["VersionId"]])
        self.assertTrue(shown["RotationEnabled"])
        self.assertEqual(shown["RotationRules"], {"AutomaticallyAfterDays": 10})
        self.assertEqual((self.value(secret), self.value(secret, "AWSPREVIOUS")), ("v+", "v"))
        self.cloud.forward("250h")
        self.until(lambda: self.rotated(secret) > first)
        self.assertEqual(self.value(secret), "v++")
        self.sm.cancel_rotate_secret(SecretId=secret)
        self.assertFalse(self.sm.describe_secret(SecretId=secret)["RotationEnabled"])

    def test_killed_in_between(self):
        secret, function = self.secret(), self.function()
        self.sm.rotate_secret(SecretId=secret, RotationLambdaARN=function)

        def pending():
            try:
                return self.value(secret, "AWSPENDING")
            except self.sm.exceptions.ResourceNotFoundException:
                return None
        self.until(pending)
        old = self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=old)
        self.cloud.wait()
        self.until(lambda: self.rotated(secret))
        self.assertEqual((self.value(secret), self.value(secret, "AWSPREVIOUS")), ("v+", "v"))

    def test_what_fails_is_tried_again(self):
        secret, function = self.secret(), self.function(FAIL="setSecret")
        self.sm.rotate_secret(SecretId=secret, RotationLambdaARN=function)
        self.until(lambda: [s for s in self.sm.describe_secret(SecretId=secret)["VersionIdsToStages"].values() if s == ["AWSPENDING"]])
        self.assertAwsError("InvalidRequestException", self.sm.rotate_secret, SecretId=secret, message="A previous rotation isn't complete")
        self.assertEqual(self.value(secret), "v")
        self.functions.update_function_configuration(FunctionName=function, Environment={"Variables": {}})
        self.functions.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 1})

        def done():
            self.cloud.forward("61s")
            return self.rotated(secret)
        self.until(done)
        self.assertEqual(self.value(secret), "v+")

    def test_refused(self):
        secret = self.secret()
        self.assertAwsError("InvalidRequestException", self.sm.rotate_secret, SecretId=secret, message="No Lambda rotation function ARN is associated")
        self.assertAwsError("AccessDeniedException", self.sm.rotate_secret, SecretId=secret, RotationLambdaARN=self.function(allowed=False),
                            message="Secrets Manager cannot invoke the specified Lambda function")
        function = self.function()
        self.assertAwsError("InvalidParameterException", self.sm.rotate_secret, SecretId=secret, RotationLambdaARN=function,
                            RotationRules={"ScheduleExpression": "rate(1 hour)"})
        self.assertNotIn("RotationEnabled", self.sm.describe_secret(SecretId=secret))


if __name__ == "__main__":
    unittest.main()
