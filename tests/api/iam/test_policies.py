"""Managed and inline policies, their versions and limits, simulation, and that all of it decides about real calls."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from identities import aws, AWS, IdentityCase, allow, deny, document, name, paged, signed_by, trust  # noqa: E402

# More than 2048 and less than 6144 characters; more than both.
BIG, HUGE = (document(*[allow("s3:*", f"arn:aws:s3:::{i:0100d}") for i in range(n)]) for n in (20, 60))


class Managed(IdentityCase):
    def test_versions(self):
        n = name("policy")
        p = self.iam.create_policy(PolicyName=n, Path="/a/", PolicyDocument=document(allow("s3:*")), Description="d",
                                   Tags=[{"Key": "k", "Value": "v"}])["Policy"]
        arn = p["Arn"]
        self.assertEqual((arn, p["DefaultVersionId"], p["AttachmentCount"]), (self.arn(f"policy/a/{n}"), "v1", 0))
        self.assertRegex(p["PolicyId"], "^ANPA")
        self.fails("EntityAlreadyExists", self.iam.create_policy, PolicyName=n, PolicyDocument=document(allow("s3:*")),
                   says=f"A policy called {n} already exists. Duplicate names are not allowed.")
        for i in range(2, 6):
            v = self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow(f"s3:Get{i}")), SetAsDefault=i == 4)["PolicyVersion"]
            self.assertEqual((v["VersionId"], v["IsDefaultVersion"]), (f"v{i}", i == 4))
        self.fails("LimitExceeded", self.iam.create_policy_version, PolicyArn=arn, PolicyDocument=document(allow("s3:*")),
                   says="A managed policy can have up to 5 versions.", status=409)
        self.assertEqual([v["VersionId"] for v in self.iam.list_policy_versions(PolicyArn=arn)["Versions"]], ["v5", "v4", "v3", "v2", "v1"])
        self.assertEqual([v["VersionId"] for v in paged(self.iam.list_policy_versions, "Versions", size=2, PolicyArn=arn)[0]],
                         ["v5", "v4", "v3", "v2", "v1"])
        self.fails("DeleteConflict", self.iam.delete_policy_version, PolicyArn=arn, VersionId="v4",
                   says="Cannot delete the default version of a policy.")
        self.iam.set_default_policy_version(PolicyArn=arn, VersionId="v5")
        self.iam.delete_policy_version(PolicyArn=arn, VersionId="v4")
        self.fails("NoSuchEntity", self.iam.get_policy_version, PolicyArn=arn, VersionId="v4")
        got = self.iam.get_policy_version(PolicyArn=arn, VersionId="v5")["PolicyVersion"]
        self.assertEqual((got["Document"]["Statement"][0]["Action"], got["IsDefaultVersion"]), ("s3:Get5", True))
        got = self.iam.get_policy(PolicyArn=arn)["Policy"]
        self.assertEqual((got["Description"], got["Tags"], got["DefaultVersionId"]), ("d", [{"Key": "k", "Value": "v"}], "v5"))
        self.fails("DeleteConflict", self.iam.delete_policy, PolicyArn=arn, says="This policy has more than one version.")
        for v in ("v1", "v2", "v3"):
            self.iam.delete_policy_version(PolicyArn=arn, VersionId=v)
        self.iam.delete_policy(PolicyArn=arn)
        self.fails("NoSuchEntity", self.iam.get_policy, PolicyArn=arn, says=f"Policy {arn} was not found.")

    def test_documents_are_checked(self):
        def bad(doc, says, code="MalformedPolicyDocument"):
            self.fails(code, self.iam.create_policy, PolicyName=name(), PolicyDocument=doc, says=says)
        bad("{}", "Syntax errors in policy.")
        for version in ({}, {"Version": "2008-10-17"}):
            bad(json.dumps({**version, "Statement": [allow("s3:*")]}), "Policy document must be version 2012-10-17 or greater.")
            # Inline policies may still be of the older version.
            self.user(json.dumps({**version, "Statement": [allow("s3:*")]}))
        bad(document({"Effect": "Allow", "Action": "s3:*"}), "Policy statement must contain resources.")
        bad(document(allow("GetObject")), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        bad(document(allow("s3:*", "bucket")), 'Resource bucket must be in ARN format or "*".')
        bad(document(allow("s3:*", Principal="*")), "Policy document should not specify a principal.")
        bad(HUGE, "Cannot exceed quota for PolicySize: 6144", "LimitExceeded")

    def test_attaching(self):
        n, basic = self.user()[0]["UserName"], AWS + "service-role/AWSLambdaBasicExecutionRole"
        arn = self.policy(allow("s3:*"))
        self.iam.attach_user_policy(UserName=n, PolicyArn=arn)
        self.iam.attach_user_policy(UserName=n, PolicyArn=basic)
        self.assertEqual([p["PolicyArn"] for p in self.iam.list_attached_user_policies(UserName=n)["AttachedPolicies"]], [arn, basic])
        self.assertEqual([u["UserName"] for u in self.iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]], [n])
        self.assertEqual(self.iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"], 1)
        self.fails("DeleteConflict", self.iam.delete_policy, PolicyArn=arn, says="Cannot delete a policy attached to entities.")
        self.fails("NoSuchEntity", self.iam.attach_user_policy, UserName=n, PolicyArn=AWS + "Nope",
                   says=f"Policy {AWS}Nope does not exist or is not attachable.")
        for _ in range(8):
            self.iam.attach_user_policy(UserName=n, PolicyArn=self.policy(allow("s3:*")))
        self.fails("LimitExceeded", self.iam.attach_user_policy, UserName=n, PolicyArn=AWS + "ReadOnlyAccess",
                   says="Cannot exceed quota for PoliciesPerUser: 10")

    def test_awss_policies(self):
        found = {p["PolicyName"]: p for page in self.iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 10})
                 for p in page["Policies"]}
        for n in ("AdministratorAccess", "AWSLambdaBasicExecutionRole", "AWSElasticBeanstalkWebTier", "AmazonECSTaskExecutionRolePolicy"):
            self.assertIn(n, found)
        for p in found.values():
            doc = self.iam.get_policy_version(PolicyArn=p["Arn"], VersionId=p["DefaultVersionId"])["PolicyVersion"]["Document"]
            # Each of them is a policy that would be taken from anybody.
            self.iam.simulate_custom_policy(PolicyInputList=[json.dumps(doc)], ActionNames=["s3:GetObject"])
        self.fails("AccessDenied", self.iam.delete_policy, PolicyArn=AWS + "AdministratorAccess")

    def test_inline(self):
        role = self.role()["RoleName"]
        self.iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(allow("s3:*")))
        self.iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(allow("ec2:*")))
        self.assertEqual(self.iam.list_role_policies(RoleName=role)["PolicyNames"], ["p"])
        self.assertEqual(self.iam.get_role_policy(RoleName=role, PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"], "ec2:*")
        self.fails("NoSuchEntity", self.iam.get_role_policy, RoleName=role, PolicyName="q", says="The role policy with name q cannot be found.")
        user = self.iam.create_user(UserName=name())["User"]["UserName"]
        self.fails("LimitExceeded", self.iam.put_user_policy, UserName=user, PolicyName="p", PolicyDocument=BIG,
                   says=f"Maximum policy size of 2048 bytes exceeded for user {user}")
        self.iam.delete_role_policy(RoleName=role, PolicyName="p")
        self.assertEqual(self.iam.list_role_policies(RoleName=role)["PolicyNames"], [])


class Enforced(IdentityCase):
    """Policies decide about real calls, at once after every change."""

    def test_user_without_policies(self):
        user, key = self.user()
        self.fails("AccessDenied", signed_by("iam", key).list_roles, status=403,
                   says=f"User: {user['Arn']} is not authorized to perform: iam:ListRoles on resource: {self.arn('role/')} "
                        "because no identity-based policy allows the iam:ListRoles action")
        # Who am I is nobody's secret.
        self.assertEqual(signed_by("sts", key).get_caller_identity()["Arn"], user["Arn"])

    def test_changes_count_at_once(self):
        user, key = self.user()
        n, mine = user["UserName"], signed_by("iam", key)
        arn = self.policy(allow("iam:GetUser"))
        self.fails("AccessDenied", mine.get_user)
        self.iam.attach_user_policy(UserName=n, PolicyArn=arn)
        self.assertEqual(mine.get_user()["User"]["UserName"], n)
        self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(deny("iam:GetUser"), allow("*")), SetAsDefault=True)
        self.fails("AccessDenied", mine.get_user, says="with an explicit deny in an identity-based policy")
        mine.list_users()
        self.iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        mine.get_user()
        self.iam.detach_user_policy(UserName=n, PolicyArn=arn)
        self.fails("AccessDenied", mine.get_user)
        g = self.iam.create_group(GroupName=name("group"))["Group"]["GroupName"]
        self.iam.put_group_policy(GroupName=g, PolicyName="p", PolicyDocument=document(allow("iam:GetUser", self.arn("user/${aws:username}"))))
        self.iam.add_user_to_group(GroupName=g, UserName=n)
        mine.get_user(UserName=n)
        self.fails("AccessDenied", mine.get_user, UserName=self.user()[0]["UserName"])
        self.iam.remove_user_from_group(GroupName=g, UserName=n)
        self.fails("AccessDenied", mine.get_user)

    def test_keys(self):
        user, key = self.user(document(allow("iam:*")))
        n, mine = user["UserName"], signed_by("iam", key)
        mine.get_user()
        used = self.iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
        self.assertEqual((used["UserName"], used["AccessKeyLastUsed"]["ServiceName"]), (n, "iam"))
        self.fails("SignatureDoesNotMatch", signed_by("iam", dict(key, SecretAccessKey="x" * 40)).get_user, status=403)
        self.iam.update_access_key(UserName=n, AccessKeyId=key["AccessKeyId"], Status="Inactive")
        self.fails("InvalidClientTokenId", mine.get_user, status=403, says="The security token included in the request is invalid.")
        self.iam.update_access_key(UserName=n, AccessKeyId=key["AccessKeyId"], Status="Active")
        mine.get_user()
        self.iam.delete_access_key(UserName=n, AccessKeyId=key["AccessKeyId"])
        self.fails("InvalidClientTokenId", mine.get_user)

    def test_renaming_keeps_the_key(self):
        user, key = self.user(document(allow("iam:GetUser")))
        self.iam.update_user(UserName=user["UserName"], NewUserName=user["UserName"] + "x")
        self.assertEqual(signed_by("iam", key).get_user()["User"]["UserName"], user["UserName"] + "x")

    def test_boundary(self):
        boundary = self.policy(allow("iam:GetUser"))
        user, key = self.user(document(allow("iam:*")), PermissionsBoundary=boundary)
        self.assertEqual(self.iam.get_user(UserName=user["UserName"])["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"], boundary)
        mine = signed_by("iam", key)
        mine.get_user()
        self.fails("AccessDenied", mine.list_users, says="because no permissions boundary allows the iam:ListUsers action")
        self.fails("DeleteConflict", self.iam.delete_policy, PolicyArn=boundary)
        listed = [p["Arn"] for p in self.iam.list_policies(Scope="Local", PolicyUsageFilter="PermissionsBoundary")["Policies"]]
        self.assertEqual(listed, [boundary])
        gone = self.arn("policy/gone")
        for call, more in ((self.iam.put_user_permissions_boundary, {}), (self.iam.create_user, {"UserName": name()})):
            self.fails("NoSuchEntity", call, **{"UserName": user["UserName"], "PermissionsBoundary": gone, **more}, status=404,
                       says=f"Scope ARN: {gone} does not exist or is not attachable.")
        self.iam.delete_user_permissions_boundary(UserName=user["UserName"])
        mine.list_users()
        self.fails("NoSuchEntity", self.iam.delete_user_permissions_boundary, UserName=user["UserName"])

    def test_conditions(self):
        read_only = AWS + "ReadOnlyAccess"
        user, key = self.user()
        arn = self.policy(
            allow("iam:CreateUser", Condition={"StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}),
            allow("iam:TagUser", Condition={"StringEquals": {"aws:RequestTag/team": "red"}}),
            allow("iam:DeleteUser", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}}),
            allow("iam:ListUsers", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
            allow("iam:ListGroups", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
            allow("iam:ListPolicies", Condition={"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}),
            allow("iam:ListRoles", Condition={"Null": {"aws:TokenIssueTime": "false"}}),
            allow("iam:AttachUserPolicy", Condition={"ArnEquals": {"iam:PolicyARN": read_only}}))
        self.iam.attach_user_policy(UserName=user["UserName"], PolicyArn=arn)
        mine, n = signed_by("iam", key), name()
        self.fails("AccessDenied", mine.create_user, UserName=n)
        self.fails("AccessDenied", mine.create_user, UserName=n, Tags=[{"Key": "team", "Value": "red"}, {"Key": "x", "Value": "y"}])
        mine.create_user(UserName=n, Tags=[{"Key": "team", "Value": "red"}])
        self.fails("AccessDenied", mine.delete_user, UserName=user["UserName"])
        mine.list_users()
        self.fails("AccessDenied", mine.list_groups)
        mine.list_policies(Scope="Local")
        self.fails("AccessDenied", mine.list_roles)
        mine.attach_user_policy(UserName=n, PolicyArn=read_only)
        self.fails("AccessDenied", mine.attach_user_policy, UserName=n, PolicyArn=AWS + "AdministratorAccess")
        self.iam.detach_user_policy(UserName=n, PolicyArn=read_only)
        mine.delete_user(UserName=n)

    def test_what_denials_call_things(self):
        """As IAM does: what is to be made by its ARN, what is there by kind and name, policies by ARN but a new one by name."""
        user, key = self.user()
        mine, doc, role = signed_by("iam", key), document(allow("s3:*")), self.role()["RoleName"]
        admin = AWS + "AdministratorAccess"
        for call, kwargs, called in (
                (mine.get_user, {}, f"user {user['UserName']}"), (mine.get_role, {"RoleName": role}, f"role {role}"),
                (mine.get_role, {"RoleName": "nobody"}, "role nobody"), (mine.get_group, {"GroupName": "g"}, "group g"),
                (mine.get_instance_profile, {"InstanceProfileName": "p"}, "instance profile p"),
                (mine.attach_role_policy, {"RoleName": role, "PolicyArn": admin}, f"role {role}"),
                (mine.create_access_key, {}, f"user {user['UserName']}"), (mine.get_policy, {"PolicyArn": admin}, f"policy {admin}"),
                (mine.create_policy, {"PolicyName": "new", "PolicyDocument": doc}, "policy new"), (mine.list_policies, {}, "policy path /"),
                (mine.create_user, {"UserName": "new"}, self.arn("user/new")), (mine.create_group, {"GroupName": "new"}, self.arn("group/new")),
                (mine.create_role, {"RoleName": "new", "AssumeRolePolicyDocument": doc, "Path": "/a/"}, self.arn("role/a/new")),
                (mine.create_instance_profile, {"InstanceProfileName": "new"}, self.arn("instance-profile/new")),
                (mine.list_users, {}, self.arn("user/")), (mine.list_groups, {"PathPrefix": "/a/"}, self.arn("group/a/")),
                (mine.get_account_summary, {}, "*"),
                (mine.simulate_principal_policy, {"PolicySourceArn": user["Arn"], "ActionNames": ["s3:GetObject"]}, user["Arn"])):
            with self.subTest(call=call.__name__):
                action = "iam:" + mine.meta.method_to_api_mapping[call.__name__]
                self.fails("AccessDenied", call, **kwargs, says=f"User: {user['Arn']} is not authorized to perform: {action} on resource: {called} "
                                                                f"because no identity-based policy allows the {action} action")

    def test_tagging_what_is_made_is_a_permission_of_its_own(self):
        _, key = self.user(document(allow("iam:Create*")))
        mine, tags = signed_by("iam", key), [{"Key": "a", "Value": "b"}]
        n = name()
        for call, kwargs, action, called in (
                (mine.create_user, {"UserName": n}, "iam:TagUser", self.arn(f"user/{n}")),
                (mine.create_role, {"RoleName": n, "AssumeRolePolicyDocument": trust({"AWS": self.account})}, "iam:TagRole", self.arn(f"role/{n}")),
                (mine.create_policy, {"PolicyName": n, "PolicyDocument": document(allow("s3:*"))}, "iam:TagPolicy", f"policy {n}"),
                (mine.create_instance_profile, {"InstanceProfileName": n}, "iam:TagInstanceProfile", self.arn(f"instance-profile/{n}"))):
            with self.subTest(action=action):
                self.fails("AccessDenied", call, **kwargs, Tags=tags, says=f"is not authorized to perform: {action} on resource: {called} because")
                call(**kwargs)

    def test_iam_is_in_one_region(self):
        """Whatever region its requests are signed for."""
        _, key = self.user(document(allow("iam:ListUsers", Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}),
                                    allow("logs:DescribeLogGroups", Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})))
        there = dict(key=key["AccessKeyId"], secret=key["SecretAccessKey"], region="eu-west-1")
        aws.client("iam", **there).list_users()
        self.fails("AccessDeniedException", aws.client("logs", **there).describe_log_groups)

    def test_passing_roles(self):
        role = self.role({"Service": "ec2.amazonaws.com"})
        p = self.iam.create_instance_profile(InstanceProfileName=name("profile"))["InstanceProfile"]["InstanceProfileName"]
        _, key = self.user(document(allow("iam:AddRoleToInstanceProfile")))
        self.fails("AccessDenied", signed_by("iam", key).add_role_to_instance_profile, InstanceProfileName=p, RoleName=role["RoleName"],
                   says=f"is not authorized to perform: iam:PassRole on resource: {role['Arn']}")


class Simulation(IdentityCase):
    def test_custom(self):
        doc = document(allow("s3:Get*", "arn:aws:s3:::b/*"), deny("s3:GetObject", "arn:aws:s3:::b/secret"),
                       allow("s3:PutObject", Condition={"StringEquals": {"s3:x-amz-acl": "private"}}))
        r = self.iam.simulate_custom_policy(PolicyInputList=[doc], ActionNames=["s3:GetObject", "s3:PutObject"],
                                            ResourceArns=["arn:aws:s3:::b/open", "arn:aws:s3:::b/secret"])["EvaluationResults"]
        self.assertEqual([(e["EvalActionName"], e["EvalResourceName"][-6:], e["EvalDecision"]) for e in r], [
            ("s3:GetObject", "b/open", "allowed"), ("s3:GetObject", "secret", "explicitDeny"),
            ("s3:PutObject", "b/open", "implicitDeny"), ("s3:PutObject", "secret", "implicitDeny")])
        self.assertEqual([s["SourcePolicyId"] for s in r[0]["MatchedStatements"]], ["PolicyInputList.1"])
        begins, ends = r[1]["MatchedStatements"][0]["StartPosition"], r[1]["MatchedStatements"][0]["EndPosition"]
        self.assertEqual(json.loads(doc[begins["Column"] - 1:ends["Column"] - 1])["Effect"], "Deny")
        self.assertEqual(r[2]["MissingContextValues"], ["s3:x-amz-acl"])
        self.assertEqual(r[0]["ResourceSpecificResults"][0]["EvalResourceDecision"], "allowed")
        r = self.iam.simulate_custom_policy(PolicyInputList=[doc], ActionNames=["s3:PutObject"], ContextEntries=[
            {"ContextKeyName": "s3:x-amz-acl", "ContextKeyValues": ["private"], "ContextKeyType": "string"}])["EvaluationResults"]
        self.assertEqual([e["EvalDecision"] for e in r], ["allowed"])
        r = self.iam.simulate_custom_policy(PolicyInputList=[document(allow("*"))], ActionNames=["s3:PutObject"],
                                            PermissionsBoundaryPolicyInputList=[document(allow("ec2:*"))])["EvaluationResults"]
        self.assertEqual(r[0]["EvalDecision"], "implicitDeny")
        self.assertFalse(r[0]["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"])
        self.fails("InvalidInput", self.iam.simulate_custom_policy, PolicyInputList=["{}"], ActionNames=["s3:GetObject"])
        r = self.iam.simulate_custom_policy(PolicyInputList=[doc, document(allow("*"))], ActionNames=["s3:GetBucketAcl"],
                                            ResourceArns=["arn:aws:s3:::b/x"])["EvaluationResults"]
        self.assertEqual([s["SourcePolicyId"] for s in r[0]["MatchedStatements"]], ["PolicyInputList.1", "PolicyInputList.2"])

    def test_resource_policies(self):
        user, _ = self.user()
        grant = document({"Effect": "Allow", "Principal": {"AWS": user["Arn"]}, "Action": "s3:*", "Resource": "*"})
        ask = {"PolicyInputList": [document(allow("ec2:*"))], "ActionNames": ["s3:GetObject"], "ResourcePolicy": grant}
        self.fails("InvalidInput", self.iam.simulate_custom_policy, **ask, says="CallerArn")
        r = self.iam.simulate_custom_policy(**ask, CallerArn=user["Arn"])["EvaluationResults"]
        self.assertEqual((r[0]["EvalDecision"], r[0]["MatchedStatements"][0]["SourcePolicyType"]), ("allowed", "resource"))
        other, _ = self.user()
        self.assertEqual(self.iam.simulate_custom_policy(**ask, CallerArn=other["Arn"])["EvaluationResults"][0]["EvalDecision"], "implicitDeny")

    def test_principal(self):
        user, _ = self.user(document(allow("s3:Get*")))
        actions = ["s3:GetObject", "s3:PutObject"]
        r = self.iam.simulate_principal_policy(PolicySourceArn=user["Arn"], ActionNames=actions)
        self.assertEqual([e["EvalDecision"] for e in r["EvaluationResults"]], ["allowed", "implicitDeny"])
        self.iam.attach_user_policy(UserName=user["UserName"], PolicyArn=AWS + "AmazonS3ReadOnlyAccess")
        r = self.iam.simulate_principal_policy(PolicySourceArn=user["Arn"], ActionNames=["s3:GetObject"])["EvaluationResults"]
        self.assertEqual({(s["SourcePolicyId"], s["SourcePolicyType"]) for s in r[0]["MatchedStatements"]},
                         {(f"user_{user['UserName']}_p", "user"), ("AmazonS3ReadOnlyAccess", "aws-managed")})
        r = self.iam.simulate_principal_policy(PolicySourceArn=user["Arn"], ActionNames=actions,
                                               PolicyInputList=[document(allow("s3:Put*"), deny("s3:Get*"))])
        self.assertEqual([e["EvalDecision"] for e in r["EvaluationResults"]], ["explicitDeny", "allowed"])
        self.fails("NoSuchEntity", self.iam.simulate_principal_policy, PolicySourceArn=self.arn("user/nobody"), ActionNames=actions)

    def test_context_keys(self):
        doc = document(allow("s3:*", "arn:aws:s3:::b/${aws:username}", Condition={"Bool": {"aws:SecureTransport": "true"}}))
        keys = ["aws:username", "aws:SecureTransport"]
        self.assertEqual(self.iam.get_context_keys_for_custom_policy(PolicyInputList=[doc])["ContextKeyNames"], keys)
        user, _ = self.user(doc)
        self.assertEqual(self.iam.get_context_keys_for_principal_policy(PolicySourceArn=user["Arn"])["ContextKeyNames"], keys)


if __name__ == "__main__":
    unittest.main()
