"""Users, groups, roles, instance profiles: what they are, their limits, and what keeps them from being deleted."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from identities import AWS, IdentityCase, allow, client, document, name, new_account, paged, signed_by, trust  # noqa: E402

READ_ONLY = AWS + "ReadOnlyAccess"


class Users(IdentityCase):
    def test_life_of_a_user(self):
        n = name("User")
        made = self.iam.create_user(UserName=n, Path="/division/", Tags=[{"Key": "team", "Value": "red"}])["User"]
        self.assertEqual(made["Arn"], self.arn(f"user/division/{n}"))
        self.assertRegex(made["UserId"], "^AIDA[A-Z2-7]{17}$")
        got = self.iam.get_user(UserName=n.lower())["User"]
        self.assertEqual((got["UserName"], got["UserId"], got["CreateDate"]), (n, made["UserId"], made["CreateDate"]))
        self.assertEqual(got["Tags"], [{"Key": "team", "Value": "red"}])
        self.fails("EntityAlreadyExists", self.iam.create_user, UserName=n.upper(), says=f"User with name {n.upper()} already exists.", status=409)
        self.iam.update_user(UserName=n, NewUserName=n + "x", NewPath="/other/")
        self.fails("NoSuchEntity", self.iam.get_user, UserName=n, says=f"The user with name {n} cannot be found.", status=404)
        self.assertEqual(self.iam.get_user(UserName=n + "x")["User"]["Arn"], self.arn(f"user/other/{n}x"))
        self.iam.delete_user(UserName=n + "x")
        self.fails("NoSuchEntity", self.iam.delete_user, UserName=n + "x")

    def test_bad_input(self):
        names = "It must contain only alphanumeric characters and/or the following: +=,.@_-"
        paths = "contain only alphanumeric characters and/or / characters."
        self.fails("ValidationError", self.iam.create_user, UserName="a b", says="The specified value for userName is invalid. " + names, status=400)
        self.fails("ValidationError", self.iam.get_role, RoleName="a/b", says="The specified value for roleName is invalid. " + names)
        self.fails("ValidationError", self.iam.create_user, UserName="x", Path="no-slash",
                   says="The specified value for path is invalid. It must begin and end with / and " + paths)
        self.fails("ValidationError", self.iam.list_users, PathPrefix="x",
                   says="The specified value for pathPrefix is invalid. It must begin with the / character and " + paths)
        self.fails("ValidationError", self.iam.create_user, UserName="x" * 65,
                   says="1 validation error detected: Value '" + "x" * 65 + "' at 'userName' failed to satisfy constraint: "
                        "Member must have length less than or equal to 64")
        self.fails("InvalidInput", self.iam.create_user, UserName=name(), Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])

    def test_tags(self):
        n = self.user()[0]["UserName"]
        self.iam.tag_user(UserName=n, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.iam.tag_user(UserName=n, Tags=[{"Key": "A", "Value": "3"}])
        self.iam.untag_user(UserName=n, TagKeys=["b"])
        self.assertEqual(self.iam.list_user_tags(UserName=n)["Tags"], [{"Key": "A", "Value": "3"}])
        self.fails("LimitExceeded", self.iam.tag_user, UserName=n, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])

    def test_pages_and_paths(self):
        names = sorted(name("page") for _ in range(7))
        for n in names:
            self.iam.create_user(UserName=n, Path="/pages/")
        seen, more, pages = [], {}, 0
        while True:
            page = self.iam.list_users(PathPrefix="/pages/", MaxItems=3, **more)
            seen += [u["UserName"] for u in page["Users"]]
            pages += 1
            if not page["IsTruncated"]:
                break
            more = {"Marker": page["Marker"]}
        self.assertEqual((seen, pages), (names, 3))
        self.assertEqual(self.iam.list_users(PathPrefix="/nobody/")["Users"], [])
        self.fails("ValidationError", self.iam.list_users, Marker="!")

    def test_short_lists_have_pages_too(self):
        user, _ = self.user()
        n = user["UserName"]
        self.iam.create_access_key(UserName=n)
        self.assertEqual(paged(self.iam.list_access_keys, "AccessKeyMetadata", UserName=n)[1], 2)
        self.iam.tag_user(UserName=n, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(5)])
        tags, pages = paged(self.iam.list_user_tags, "Tags", size=2, UserName=n)
        self.assertEqual((len({t["Key"] for t in tags}), pages), (5, 3))
        groups = [self.iam.create_group(GroupName=name("group"))["Group"]["GroupName"] for _ in range(3)]
        for g in groups:
            self.iam.add_user_to_group(UserName=n, GroupName=g)
        self.assertEqual([g["GroupName"] for g in paged(self.iam.list_groups_for_user, "Groups", UserName=n)[0]], groups)
        for p in "abc":
            self.iam.put_user_policy(UserName=n, PolicyName=p, PolicyDocument=document(allow("s3:*")))
        self.assertEqual(paged(self.iam.list_user_policies, "PolicyNames", size=2, UserName=n), (["a", "b", "c"], 2))
        self.fails("ValidationError", self.iam.list_user_policies, UserName=n, Marker="!")

    def test_access_keys(self):
        user, key = self.user()
        n = user["UserName"]
        self.assertRegex(key["AccessKeyId"], "^AKIA[A-Z2-7]{16}$")
        self.assertEqual(len(key["SecretAccessKey"]), 40)
        second = self.iam.create_access_key(UserName=n)["AccessKey"]
        self.fails("LimitExceeded", self.iam.create_access_key, UserName=n, says="Cannot exceed quota for AccessKeysPerUser: 2", status=409)
        self.iam.update_access_key(UserName=n, AccessKeyId=second["AccessKeyId"], Status="Inactive")
        self.assertEqual({k["AccessKeyId"]: k["Status"] for k in self.iam.list_access_keys(UserName=n)["AccessKeyMetadata"]},
                         {key["AccessKeyId"]: "Active", second["AccessKeyId"]: "Inactive"})
        self.fails("DeleteConflict", self.iam.delete_user, UserName=n, says="Cannot delete entity, must delete access keys first.")
        self.iam.delete_access_key(UserName=n, AccessKeyId=second["AccessKeyId"])
        self.fails("NoSuchEntity", self.iam.delete_access_key, UserName=n, AccessKeyId=second["AccessKeyId"],
                   says=f"The Access Key with id {second['AccessKeyId']} cannot be found.")

    def test_deleting_waits_for_what_is_attached(self):
        n = self.iam.create_user(UserName=name())["User"]["UserName"]
        self.iam.attach_user_policy(UserName=n, PolicyArn=READ_ONLY)
        self.fails("DeleteConflict", self.iam.delete_user, UserName=n, says="must detach all policies first")
        self.iam.detach_user_policy(UserName=n, PolicyArn=READ_ONLY)
        self.fails("NoSuchEntity", self.iam.detach_user_policy, UserName=n, PolicyArn=READ_ONLY)
        self.iam.put_user_policy(UserName=n, PolicyName="p", PolicyDocument=document(allow("s3:*")))
        self.fails("DeleteConflict", self.iam.delete_user, UserName=n, says="must delete policies first")
        self.iam.delete_user_policy(UserName=n, PolicyName="p")
        self.iam.delete_user(UserName=n)


class Groups(IdentityCase):
    def group(self):
        return self.iam.create_group(GroupName=name("group"))["Group"]["GroupName"]

    def test_members(self):
        g = self.group()
        users = sorted(self.iam.create_user(UserName=name())["User"]["UserName"] for _ in range(3))
        for u in users + users:
            self.iam.add_user_to_group(GroupName=g, UserName=u)
        self.assertEqual([u["UserName"] for u in self.iam.get_group(GroupName=g)["Users"]], users)
        self.assertEqual([x["GroupName"] for x in self.iam.list_groups_for_user(UserName=users[0])["Groups"]], [g])
        self.fails("DeleteConflict", self.iam.delete_group, GroupName=g, says="must remove users from group first")
        self.fails("DeleteConflict", self.iam.delete_user, UserName=users[0], says="must remove users from group first")
        self.iam.update_group(GroupName=g, NewGroupName=g + "x")
        g += "x"
        self.assertEqual([x["GroupName"] for x in self.iam.list_groups_for_user(UserName=users[0])["Groups"]], [g])
        for u in users:
            self.iam.remove_user_from_group(GroupName=g, UserName=u)
        self.fails("NoSuchEntity", self.iam.remove_user_from_group, GroupName=g, UserName=users[0])
        self.iam.delete_group(GroupName=g)
        self.assertNotIn(g, [x["GroupName"] for x in self.iam.list_groups()["Groups"]])

    def test_ten_groups_a_user(self):
        u = self.iam.create_user(UserName=name())["User"]["UserName"]
        groups = [self.group() for _ in range(11)]
        for g in groups[:10]:
            self.iam.add_user_to_group(GroupName=g, UserName=u)
        self.fails("LimitExceeded", self.iam.add_user_to_group, GroupName=groups[10], UserName=u, says="GroupsPerUser: 10")


class Roles(IdentityCase):
    def test_life_of_a_role(self):
        n = name("role")
        policy = trust({"Service": "lambda.amazonaws.com"})
        made = self.iam.create_role(RoleName=n, AssumeRolePolicyDocument=policy, Description="d", MaxSessionDuration=7200, Path="/svc/",
                                    Tags=[{"Key": "a", "Value": "b"}])["Role"]
        self.assertEqual(made["Arn"], self.arn(f"role/svc/{n}"))
        self.assertRegex(made["RoleId"], "^AROA")
        got = self.iam.get_role(RoleName=n)["Role"]
        self.assertEqual(got["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"Service": "lambda.amazonaws.com"})
        self.assertEqual((got["MaxSessionDuration"], got["Description"], got["Tags"]), (7200, "d", [{"Key": "a", "Value": "b"}]))
        self.iam.update_role(RoleName=n, Description="e", MaxSessionDuration=3600)
        self.iam.update_assume_role_policy(RoleName=n, PolicyDocument=trust({"Service": "ec2.amazonaws.com"}))
        got = self.iam.get_role(RoleName=n)["Role"]
        self.assertEqual((got["Description"], got["MaxSessionDuration"]), ("e", 3600))
        self.assertEqual(got["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"Service": "ec2.amazonaws.com"})
        self.fails("EntityAlreadyExists", self.iam.create_role, RoleName=n, AssumeRolePolicyDocument=policy,
                   says=f"Role with name {n} already exists.")
        self.assertIn(n, [r["RoleName"] for r in self.iam.list_roles(PathPrefix="/svc/")["Roles"]])
        self.iam.delete_role(RoleName=n)
        self.fails("NoSuchEntity", self.iam.get_role, RoleName=n, says=f"The role with name {n} cannot be found.")

    def test_trust_policies_are_checked(self):
        def bad(policy, says):
            self.fails("MalformedPolicyDocument", self.iam.create_role, RoleName=name(), AssumeRolePolicyDocument=policy, says=says, status=400)
        bad("{", "This policy contains invalid Json")
        bad(document(allow("sts:AssumeRole", Principal="*")), "Has prohibited field Resource")
        bad(trust({"AWS": "ann"}), 'Invalid principal in policy: "AWS":"ann"')
        group = self.iam.create_group(GroupName=name("group"))["Group"]["Arn"]
        bad(trust({"AWS": group}), f'Invalid principal in policy: "AWS":"{group}"')
        bad(trust({"Service": "lambda"}), 'Invalid principal in policy: "SERVICE":"lambda"')
        bad(trust({"Service": "lambda.example.com"}), 'Invalid principal in policy: "SERVICE":"lambda.example.com"')
        bad(trust({"AWS": self.arn("user/nobody")}), f'Invalid principal in policy: "AWS":"{self.arn("user/nobody")}"')
        bad(trust({"AWS": self.account}, "s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions.")

    def test_instance_profiles(self):
        p, r = name("profile"), self.role({"Service": "ec2.amazonaws.com"})["RoleName"]
        made = self.iam.create_instance_profile(InstanceProfileName=p, Path="/x/")["InstanceProfile"]
        self.assertEqual((made["Arn"], made["Roles"]), (self.arn(f"instance-profile/x/{p}"), []))
        self.iam.add_role_to_instance_profile(InstanceProfileName=p, RoleName=r)
        self.fails("LimitExceeded", self.iam.add_role_to_instance_profile, InstanceProfileName=p, RoleName=r,
                   says="Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
        self.assertEqual([x["RoleName"] for x in self.iam.get_instance_profile(InstanceProfileName=p)["InstanceProfile"]["Roles"]], [r])
        self.assertEqual([x["InstanceProfileName"] for x in self.iam.list_instance_profiles_for_role(RoleName=r)["InstanceProfiles"]], [p])
        self.fails("DeleteConflict", self.iam.delete_role, RoleName=r, says="must remove roles from instance profile first")
        self.fails("DeleteConflict", self.iam.delete_instance_profile, InstanceProfileName=p)
        self.iam.remove_role_from_instance_profile(InstanceProfileName=p, RoleName=r)
        self.iam.delete_instance_profile(InstanceProfileName=p)
        self.fails("NoSuchEntity", self.iam.get_instance_profile, InstanceProfileName=p, says=f"Instance Profile {p} cannot be found.")

    def test_service_linked_roles(self):
        made = self.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")["Role"]
        self.assertEqual(made["Arn"], self.arn("role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"))
        self.fails("InvalidInput", self.iam.create_service_linked_role, AWSServiceName="ecs.amazonaws.com",
                   says="Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix.")
        self.fails("UnmodifiableEntity", self.iam.delete_role, RoleName="AWSServiceRoleForECS")
        self.fails("UnmodifiableEntity", self.iam.attach_role_policy, RoleName="AWSServiceRoleForECS", PolicyArn=READ_ONLY)
        task = self.iam.delete_service_linked_role(RoleName="AWSServiceRoleForECS")["DeletionTaskId"]
        self.assertEqual(self.iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"], "SUCCEEDED")
        self.fails("NoSuchEntity", self.iam.get_role, RoleName="AWSServiceRoleForECS")

    def test_making_a_service_linked_role_is_allowed_by_its_name(self):
        where = self.arn("role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
        _, key = self.user(document(allow("iam:CreateServiceLinkedRole", where + "*",
                                          Condition={"StringEquals": {"iam:AWSServiceName": "autoscaling.amazonaws.com"}})))
        mine = signed_by("iam", key)
        self.fails("AccessDenied", mine.create_service_linked_role, AWSServiceName="rds.amazonaws.com",
                   says="on resource: " + self.arn("role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS because"))
        made = mine.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="mine")["Role"]
        self.assertEqual(made["Arn"], where + "_mine")

    def test_accounts_are_apart(self):
        self.fails("NoSuchEntity", client("iam", new_account()).get_role, RoleName=self.role()["RoleName"])


class Accounts(IdentityCase):
    def test_alias(self):
        a = name("alias")
        self.iam.create_account_alias(AccountAlias=a)
        self.assertEqual(self.iam.list_account_aliases()["AccountAliases"], [a])
        self.fails("EntityAlreadyExists", client("iam", new_account()).create_account_alias, AccountAlias=a)
        self.iam.delete_account_alias(AccountAlias=a)
        self.assertEqual(self.iam.list_account_aliases()["AccountAliases"], [])
        self.fails("NoSuchEntity", self.iam.delete_account_alias, AccountAlias=a)

    def test_summary_and_details(self):
        before = self.iam.get_account_summary()["SummaryMap"]
        user, _ = self.user(document(allow("s3:*")))
        role, arn = self.role(), self.policy(allow("ec2:*"))
        self.iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
        after = self.iam.get_account_summary()["SummaryMap"]
        self.assertEqual([after[k] - before[k] for k in ("Users", "Roles", "Policies")], [1, 1, 1])
        self.assertEqual(after["UsersQuota"], 5000)
        users, roles, policies = [], [], []
        for p in self.iam.get_paginator("get_account_authorization_details").paginate(Filter=["User", "Role", "LocalManagedPolicy"],
                                                                                      PaginationConfig={"PageSize": 2}):
            users += p["UserDetailList"]
            roles += p["RoleDetailList"]
            policies += p["Policies"]
        mine = [u for u in users if u["UserName"] == user["UserName"]]
        self.assertEqual(mine[0]["UserPolicyList"][0]["PolicyDocument"]["Statement"][0]["Action"], "s3:*")
        mine = [r for r in roles if r["RoleName"] == role["RoleName"]]
        self.assertEqual([p["PolicyArn"] for p in mine[0]["AttachedManagedPolicies"]], [arn])
        self.assertEqual(mine[0]["RoleLastUsed"], {})
        self.assertEqual([(p["AttachmentCount"], p["PermissionsBoundaryUsageCount"]) for p in policies if p["Arn"] == arn], [(1, 0)])


if __name__ == "__main__":
    unittest.main()
