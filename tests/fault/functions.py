"""What fault tests with functions share: a role, a package, a function that is ready."""
import io
import json
import zipfile

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:*", "s3:*", "lambda:*"], "Resource": "*"}]}


def package(text, name="f.py", mode=0o644):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100000 | mode) << 16
        z.writestr(entry, text)
    return out.getvalue()


class Functions:
    """Makes functions out of python source in one cloud."""

    def __init__(self, cloud, allowed=None):
        self.aws, self.iam = cloud.client("lambda"), cloud.client("iam")
        self.role = self.iam.create_role(RoleName="fault", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName="fault", PolicyName="p", PolicyDocument=json.dumps(allowed or ALLOWED))

    def make(self, name, text, **settings):
        self.aws.create_function(FunctionName=name, Runtime="python3.12", Handler="f.handler", Role=self.role,
                                 Code={"ZipFile": package(text)}, **settings)
        self.aws.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    def call(self, name, event=None, **settings):
        """(function error or None, payload)"""
        reply = self.aws.invoke(FunctionName=name, Payload=json.dumps(event), **settings)
        return reply.get("FunctionError"), json.loads(reply["Payload"].read() or "null")
