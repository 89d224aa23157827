"""Throw-away accounts, users and roles for the tests of IAM and STS."""
import json
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))
import aws  # noqa: E402

AWS = "arn:aws:iam::aws:policy/"


def client(service, key="test", secret="test", token=None):
    return aws.client(service, key=key, secret=secret, token=token)


def signed_by(service, c):
    """A client with the credentials that an operation returned."""
    return client(service, c["AccessKeyId"], c["SecretAccessKey"], c.get("SessionToken"))


def new_account():
    """Twelve digits that nobody used before: its root signs with them and the secret "test"."""
    return "9" + f"{uuid.uuid4().int % 10**11:011d}"


def name(prefix="t"):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return dict({"Effect": "Allow", "Action": action, "Resource": resource}, **more)


def deny(action, resource="*", **more):
    return dict({"Effect": "Deny", "Action": action, "Resource": resource}, **more)


def trust(principal, action="sts:AssumeRole", **more):
    return document(dict({"Effect": "Allow", "Principal": principal, "Action": action}, **more))


def paged(call, result, size=1, **kwargs):
    """Everything that an operation lists, asked for in pages of `size`, and the number of pages."""
    seen, pages, more = [], 0, {}
    while True:
        page = call(MaxItems=size, **more, **kwargs)
        assert len(page[result]) <= size, page
        seen += page[result]
        pages += 1
        if not page["IsTruncated"]:
            return seen, pages
        more = {"Marker": page["Marker"]}


class IdentityCase(aws.TestCase):
    """A fresh account for each class of tests."""

    @classmethod
    def setUpClass(cls):
        cls.account = new_account()
        cls.iam = client("iam", cls.account)
        cls.sts = client("sts", cls.account)

    def fails(self, code, call, says=None, status=None, **kwargs):
        return self.assertAwsError(code, call, status=status, message=says, **kwargs)

    def arn(self, what):
        return f"arn:aws:iam::{self.account}:{what}"

    def user(self, policy=None, **more):
        user = self.iam.create_user(UserName=name("user"), **more)["User"]
        if policy:
            self.iam.put_user_policy(UserName=user["UserName"], PolicyName="p", PolicyDocument=policy)
        return user, self.iam.create_access_key(UserName=user["UserName"])["AccessKey"]

    def role(self, principal=None, policy=None, **more):
        role = self.iam.create_role(RoleName=name("role"), AssumeRolePolicyDocument=trust(principal or {"AWS": self.account}), **more)["Role"]
        if policy:
            self.iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=policy)
        return role

    def policy(self, *statements):
        return self.iam.create_policy(PolicyName=name("policy"), PolicyDocument=document(*statements))["Policy"]["Arn"]
