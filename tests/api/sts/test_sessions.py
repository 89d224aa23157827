"""Temporary credentials: who gets them, what they may, and when they stop working."""
import datetime
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "iam"))
from identities import AWS, IdentityCase, allow, client, deny, document, name, new_account, signed_by, trust  # noqa: E402


class AssumeRole(IdentityCase):
    def assume(self, who, role, **more):
        return signed_by("sts", who).assume_role(RoleArn=role["Arn"], RoleSessionName="sess", **more)

    def test_session(self):
        user, key = self.user(document(allow("sts:AssumeRole")))
        role = self.role(policy=document(allow("iam:ListUsers")))
        out = self.assume(key, role)
        c = out["Credentials"]
        self.assertRegex(c["AccessKeyId"], "^ASIA[A-Z2-7]{16}$")
        left = c["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
        self.assertTrue(3500 < left.total_seconds() <= 3600, left)
        self.assertEqual(out["AssumedRoleUser"], {"AssumedRoleId": role["RoleId"] + ":sess",
                                                  "Arn": f"arn:aws:sts::{self.account}:assumed-role/{role['RoleName']}/sess"})
        me = signed_by("sts", c).get_caller_identity()
        self.assertEqual((me["Arn"], me["UserId"], me["Account"]), (out["AssumedRoleUser"]["Arn"], role["RoleId"] + ":sess", self.account))
        mine = signed_by("iam", c)
        mine.list_users()
        self.fails("AccessDenied", mine.list_roles, says=f"User: {out['AssumedRoleUser']['Arn']} is not authorized to perform: iam:ListRoles")
        # Without its token, with another one, with another secret.
        self.fails("InvalidClientTokenId", client("iam", c["AccessKeyId"], c["SecretAccessKey"]).list_users)
        self.fails("InvalidClientTokenId", client("iam", c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"][:-4] + "AAAA").list_users)
        self.fails("SignatureDoesNotMatch", client("iam", c["AccessKeyId"], "x" * 40, c["SessionToken"]).list_users)

    def test_trust_decides(self):
        user, key = self.user(document(allow("sts:AssumeRole")))
        other, other_key = self.user()
        by_account = self.role()
        by_user = self.role({"AWS": user["Arn"]})
        self.assume(key, by_account)
        self.assume(key, by_user)
        said = f"User: {other['Arn']} is not authorized to perform: sts:AssumeRole on resource: {by_account['Arn']}"
        self.fails("AccessDenied", self.assume, who=other_key, role=by_account, says=said, status=403)
        self.fails("AccessDenied", self.assume, who=other_key, role=by_user)
        self.fails("AccessDenied", self.assume, who=key, role=self.role({"Service": "lambda.amazonaws.com"}))
        self.fails("AccessDenied", self.assume, who=key, role={"Arn": self.arn("role/nobody")})
        # Named itself, a user needs no policy of its own; a Deny of its own still counts.
        self.assume(other_key, self.role({"AWS": other["Arn"]}))
        self.iam.put_user_policy(UserName=user["UserName"], PolicyName="q", PolicyDocument=document(deny("sts:AssumeRole", by_user["Arn"])))
        self.fails("AccessDenied", self.assume, who=key, role=by_user)

    def test_trust_follows_whom_it_names(self):
        user, key = self.user()
        other = self.role()
        names = [user["Arn"], other["Arn"]]
        role = self.iam.create_role(RoleName=name("role"), AssumeRolePolicyDocument=json.dumps(json.loads(trust({"AWS": names})), indent=1))["Role"]
        alone = self.role({"AWS": user["Arn"]})

        def trusted(r):
            return self.iam.get_role(RoleName=r["RoleName"])["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
        self.assume(key, role)
        renamed = self.arn("user/elsewhere/" + user["UserName"] + "x")
        self.iam.update_user(UserName=user["UserName"], NewUserName=user["UserName"] + "x", NewPath="/elsewhere/")
        self.assertEqual((trusted(role), trusted(alone)), ([renamed, other["Arn"]], renamed))
        self.assume(key, role)
        self.iam.delete_role(RoleName=other["RoleName"])
        self.assertEqual(trusted(role), [renamed, other["RoleId"]])
        self.iam.delete_access_key(UserName=user["UserName"] + "x", AccessKeyId=key["AccessKeyId"])
        self.iam.delete_user(UserName=user["UserName"] + "x")
        self.assertEqual((trusted(role), trusted(alone)), ([user["UserId"], other["RoleId"]], user["UserId"]))
        # Another user of that name is another user.
        self.iam.create_user(UserName=user["UserName"] + "x", Path="/elsewhere/")
        again = self.iam.create_access_key(UserName=user["UserName"] + "x")["AccessKey"]
        self.fails("AccessDenied", self.assume, who=again, role=role)
        self.fails("AccessDenied", self.assume, who=again, role=alone)

    def test_external_id(self):
        _, key = self.user(document(allow("sts:AssumeRole")))
        role = self.iam.create_role(RoleName=name("role"), AssumeRolePolicyDocument=trust(
            {"AWS": self.account}, Condition={"StringEquals": {"sts:ExternalId": "secret-id"}}))["Role"]
        self.fails("AccessDenied", self.assume, who=key, role=role)
        self.fails("AccessDenied", self.assume, who=key, role=role, ExternalId="wrong-id")
        self.assume(key, role, ExternalId="secret-id")

    def test_across_accounts(self):
        there = new_account()
        their_iam = client("iam", there)
        role = their_iam.create_role(RoleName=name("role"), AssumeRolePolicyDocument=trust({"AWS": self.account}))["Role"]
        user, key = self.user()
        self.fails("AccessDenied", self.assume, who=key, role=role)
        self.iam.put_user_policy(UserName=user["UserName"], PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole", role["Arn"])))
        c = self.assume(key, role)["Credentials"]
        self.assertEqual(signed_by("sts", c).get_caller_identity()["Account"], there)
        their_iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust({"AWS": there}))
        self.fails("AccessDenied", self.assume, who=key, role=role)

    def test_session_policies(self):
        _, key = self.user(document(allow("sts:AssumeRole")))
        role = self.role(policy=document(allow("iam:*")))
        narrowed = signed_by("iam", self.assume(key, role, Policy=document(allow("iam:ListUsers"), allow("ec2:*")))["Credentials"])
        narrowed.list_users()
        self.fails("AccessDenied", narrowed.list_roles, says="because no session policy allows the iam:ListRoles action")
        out = self.assume(key, role, PolicyArns=[{"arn": AWS + "ReadOnlyAccess"}])
        self.assertGreater(out["PackedPolicySize"], 0)
        narrowed = signed_by("iam", out["Credentials"])
        narrowed.list_roles()
        self.fails("AccessDenied", narrowed.create_user, UserName=name(), says="because no session policy")
        # Session policies add nothing.
        c = self.assume(key, self.role(policy=document(allow("iam:ListUsers"))), Policy=document(allow("*")))["Credentials"]
        self.fails("AccessDenied", signed_by("iam", c).list_roles, says="because no identity-based policy")
        self.fails("MalformedPolicyDocument", self.assume, who=key, role=role, Policy="{}")
        self.fails("PackedPolicyTooLarge", self.assume, who=key, role=role,
                   Policy=document(*[allow("s3:*", f"arn:aws:s3:::{i:0100d}") for i in range(20)]))

    def test_durations_and_chaining(self):
        _, key = self.user(document(allow("sts:AssumeRole")))
        second = self.role()
        first = self.role(policy=document(allow("sts:AssumeRole")), MaxSessionDuration=7200)
        c = self.assume(key, first, DurationSeconds=7200)["Credentials"]
        self.fails("ValidationError", self.assume, who=key, role=second, DurationSeconds=7200,
                   says="The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        self.fails("ValidationError", self.assume, who=c, role=first, DurationSeconds=7200,
                   says="The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
        self.assertIn(second["RoleName"], self.assume(c, second)["AssumedRoleUser"]["Arn"])

    def test_tags(self):
        _, key = self.user(document(allow(["sts:AssumeRole", "sts:TagSession"])))
        role = self.iam.create_role(RoleName=name("role"), Tags=[{"Key": "site", "Value": "here"}], AssumeRolePolicyDocument=trust(
            {"AWS": self.account}, ["sts:AssumeRole", "sts:TagSession"]))["Role"]
        self.iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=document(
            allow("iam:ListUsers", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}}),
            allow("iam:ListRoles", Condition={"StringEquals": {"aws:PrincipalTag/site": "here"}}), allow(["sts:AssumeRole", "sts:TagSession"])))
        team = [{"Key": "team", "Value": "red"}]
        plain = signed_by("iam", self.assume(key, role)["Credentials"])
        plain.list_roles()
        self.fails("AccessDenied", plain.list_users)
        c = self.assume(key, role, Tags=team, TransitiveTagKeys=["team"])["Credentials"]
        signed_by("iam", c).list_users()
        # The tag goes along into the next role; it cannot be set anew there.
        signed_by("iam", self.assume(c, role)["Credentials"]).list_users()
        self.fails("ValidationError", self.assume, who=c, role=role, Tags=team)
        self.fails("ValidationError", self.assume, who=key, role=role, Tags=team, TransitiveTagKeys=["x"])
        self.fails("InvalidParameterValue", self.assume, who=key, role=role, Tags=team + [{"Key": "TEAM", "Value": "blue"}])
        self.fails("InvalidParameterValue", self.assume, who=key, role=role, Tags=[{"Key": "aws:team", "Value": "red"}])
        # Tagging is a permission of its own.
        _, poor = self.user(document(allow("sts:AssumeRole")))
        self.assume(poor, role)
        poor_arn = signed_by("sts", poor).get_caller_identity()["Arn"]
        error = self.fails("AccessDenied", self.assume, who=poor, role=role, Tags=team)
        self.assertEqual(error["Error"]["Message"], f"User: {poor_arn} is not authorized to perform: sts:TagSession on resource: {role['Arn']}")

    def test_deleted_roles_end_their_sessions(self):
        _, key = self.user(document(allow("sts:AssumeRole")))
        role = self.role(policy=document(allow("iam:ListUsers")))
        mine = signed_by("iam", self.assume(key, role)["Credentials"])
        mine.list_users()
        self.iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="p")
        self.fails("AccessDenied", mine.list_users)
        self.iam.delete_role(RoleName=role["RoleName"])
        self.fails("InvalidClientTokenId", mine.list_users)
        # Another one of the same name is another one.
        self.iam.create_role(RoleName=role["RoleName"], AssumeRolePolicyDocument=trust({"AWS": self.account}))
        self.fails("InvalidClientTokenId", mine.list_users)

    def test_revoked_by_time(self):
        _, key = self.user(document(allow("sts:AssumeRole")))
        role = self.role(policy=document(allow("iam:*"), deny("*", Condition={"DateLessThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}})))
        self.fails("AccessDenied", signed_by("iam", self.assume(key, role)["Credentials"]).list_users, says="explicit deny")


class OtherSessions(IdentityCase):
    def test_session_token(self):
        user, key = self.user(document(allow(["s3:ListAllMyBuckets", "iam:*", "sts:AssumeRole"])))
        role = self.role()
        c = signed_by("sts", key).get_session_token(DurationSeconds=900)["Credentials"]
        self.assertEqual(signed_by("sts", c).get_caller_identity()["Arn"], user["Arn"])
        signed_by("s3", c).list_buckets()
        self.fails("AccessDenied", signed_by("sts", c).get_session_token, says="Cannot call GetSessionToken with session credentials")
        signed_by("sts", c).assume_role(RoleArn=role["Arn"], RoleSessionName="sess")
        root = self.sts.get_session_token()["Credentials"]
        self.assertEqual(signed_by("sts", root).get_caller_identity()["Arn"], self.arn("root"))
        signed_by("s3", root).list_buckets()
        # IAM wants a second factor of such sessions.
        for session in (c, root):
            for call in (signed_by("iam", session).list_users, signed_by("iam", session).get_account_summary):
                self.fails("InvalidClientTokenId", call, status=403, says="The security token included in the request is invalid.")

    def test_federation(self):
        _, key = self.user(document(allow(["sts:GetFederationToken", "sts:AssumeRole", "s3:ListAllMyBuckets"])))
        sts = signed_by("sts", key)
        out = sts.get_federation_token(Name="bob", Policy=document(allow(["s3:*", "logs:*", "sts:*"])))
        self.assertEqual(out["FederatedUser"], {"FederatedUserId": f"{self.account}:bob",
                                                "Arn": f"arn:aws:sts::{self.account}:federated-user/bob"})
        self.assertEqual(signed_by("sts", out["Credentials"]).get_caller_identity()["UserId"], f"{self.account}:bob")
        signed_by("s3", out["Credentials"]).list_buckets()
        self.fails("AccessDeniedException", signed_by("logs", out["Credentials"]).describe_log_groups, says="because no identity-based policy")
        powerless = signed_by("s3", sts.get_federation_token(Name="bob")["Credentials"])
        self.fails("AccessDenied", powerless.list_buckets, says="because no session policy")
        # Neither IAM nor roles are for those who are federated so.
        self.fails("InvalidClientTokenId", signed_by("iam", out["Credentials"]).list_users)
        self.fails("AccessDenied", signed_by("sts", out["Credentials"]).assume_role, RoleArn=self.role()["Arn"], RoleSessionName="sess")
        _, poor = self.user()
        self.fails("AccessDenied", signed_by("sts", poor).get_federation_token, Name="bob", says="sts:GetFederationToken")

    def test_access_key_info(self):
        _, key = self.user()
        self.assertEqual(self.sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"], self.account)

    def test_strangers(self):
        self.fails("InvalidClientTokenId", client("sts", "AKIAIOSFODNN7EXAMPLE", "x").get_caller_identity, status=403)
        self.fails("SignatureDoesNotMatch", client("sts", "test", "wrong").get_caller_identity, status=403)


if __name__ == "__main__":
    unittest.main()
