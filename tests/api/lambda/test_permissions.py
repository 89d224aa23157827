"""Resource policies of functions, versions, aliases and layers: what may be said in them, and that it counts."""
import json
import unittest
import uuid

from aws import client
from lambdacase import ACCOUNT, LambdaCase, package

ECHO = "def lambda_handler(event, context):\n    return event\n"
OTHER = "111122223333"


class Permissions(LambdaCase):
    def allow(self, name, sid="s", action="lambda:InvokeFunction", principal="s3.amazonaws.com", **more):
        return json.loads(self.aws.add_permission(FunctionName=name, StatementId=sid, Action=action, Principal=principal, **more)["Statement"])

    def test_principals(self):
        name = self.make(ECHO, wait=False)
        for number, (given, want) in enumerate([
            ("*", "*"), (OTHER, {"AWS": f"arn:aws:iam::{OTHER}:root"}), (self.role, {"AWS": self.role}),
            (f"arn:aws:iam::{OTHER}:role/theirs", {"AWS": f"arn:aws:iam::{OTHER}:role/theirs"}),
            ("s3.amazonaws.com", {"Service": "s3.amazonaws.com"}), ("logs.us-east-1.amazonaws.com", {"Service": "logs.us-east-1.amazonaws.com"}),
            ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
        ]):
            self.assertEqual(self.allow(name, f"s{number}", principal=given)["Principal"], want)
        for given in ("bob", "amazonaws.com", "s3.example.com", "12345", "arn:aws:s3:::bucket", f"arn:aws:iam:{ACCOUNT}:role/x", f"arn:aws:iam::{ACCOUNT}:role/absent",
                      f"arn:aws:iam::{ACCOUNT}:user/absent"):
            with self.subTest(given=given):
                self.assertAwsError("InvalidParameterValueException", self.allow, name, "bad", principal=given, status=400,
                                    message="The provided principal was invalid. Please check the principal and try again.")
        self.assertEqual(len(json.loads(self.aws.get_policy(FunctionName=name)["Policy"])["Statement"]), 7)

    def test_conditions(self):
        name = self.make(ECHO, wait=False)
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        self.assertEqual(self.allow(name, SourceArn="arn:aws:s3:::bucket", SourceAccount=ACCOUNT), {
            "Sid": "s", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction", "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceAccount": ACCOUNT}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}})
        self.assertAwsError("InvalidParameterValueException", self.allow, name, "t", FunctionUrlAuthType="NONE",
                            message="FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")

    def test_a_condition_that_the_caller_does_not_meet(self):
        name = self.make(ECHO)
        user = "u-" + uuid.uuid4().hex[:8]
        arn = self.iam.create_user(UserName=user)["User"]["Arn"]
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        theirs = client("lambda", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        try:
            self.allow(name, principal=arn, SourceArn="arn:aws:s3:::bucket")
            self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=name, status=403)
            self.allow(name, "t", principal=arn)
            self.assertEqual(theirs.invoke(FunctionName=name)["StatusCode"], 200)
        finally:
            self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
            self.iam.delete_user(UserName=user)

    def test_revisions(self):
        """A policy's revision is that of what it stands at."""
        name = self.make(ECHO)
        first = self.aws.get_function_configuration(FunctionName=name)["RevisionId"]
        self.assertAwsError("PreconditionFailedException", self.allow, name, RevisionId=str(uuid.uuid4()), status=412)
        self.allow(name, RevisionId=first)
        second = self.aws.get_policy(FunctionName=name)["RevisionId"]
        self.assertNotEqual(second, first)
        self.assertEqual(self.aws.get_function_configuration(FunctionName=name)["RevisionId"], second)
        self.assertAwsError("PreconditionFailedException", self.aws.update_function_configuration, FunctionName=name, Timeout=9, RevisionId=first, status=412)
        self.assertAwsError("PreconditionFailedException", self.aws.remove_permission, FunctionName=name, StatementId="s", RevisionId=first, status=412)
        self.aws.remove_permission(FunctionName=name, StatementId="s", RevisionId=second)
        self.assertNotEqual(self.aws.get_function_configuration(FunctionName=name)["RevisionId"], second)
        self.aws.publish_version(FunctionName=name)
        alias = self.aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["RevisionId"]
        self.allow(name, Qualifier="live", RevisionId=alias)
        changed = self.aws.get_alias(FunctionName=name, Name="live")["RevisionId"]
        self.assertNotEqual(changed, alias)
        self.assertEqual(self.aws.get_policy(FunctionName=name, Qualifier="live")["RevisionId"], changed)
        self.assertAwsError("PreconditionFailedException", self.aws.update_alias, FunctionName=name, Name="live", RevisionId=alias, status=412)

    def test_qualifiers(self):
        name = self.make(ECHO)
        self.aws.publish_version(FunctionName=name)
        self.aws.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1})
        self.aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        self.assertEqual(self.allow(name, principal=OTHER, Qualifier="live")["Resource"], arn + ":live")
        theirs = client("lambda", key=OTHER, secret="test")
        self.assertEqual(theirs.invoke(FunctionName=arn + ":live")["ExecutedVersion"], "1")
        self.assertEqual(theirs.invoke(FunctionName=arn, Qualifier="live")["ExecutedVersion"], "1")
        for text in (arn, arn + ":1", arn + ":$LATEST"):
            self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=text, status=403)
        self.assertAwsError("InvalidParameterValueException", self.allow, f"{name}:$LATEST", message="We currently do not support adding policies for $LATEST.")
        self.assertAwsError("ResourceNotFoundException", self.allow, name, Qualifier="7", status=404)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_policy, FunctionName=name, status=404, message="The resource you requested does not exist.")
        self.aws.delete_alias(FunctionName=name, Name="live")
        self.aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=arn + ":live", status=403)

    def test_what_is_not_there(self):
        name = self.make(ECHO, wait=False)
        self.assertAwsError("ResourceNotFoundException", self.aws.remove_permission, FunctionName=name, StatementId="s", status=404,
                            message="No policy is associated with the given resource.")
        self.allow(name)
        self.assertAwsError("ResourceNotFoundException", self.aws.remove_permission, FunctionName=name, StatementId="t", status=404,
                            message="Statement t is not found in resource policy.")

    def test_length(self):
        name = self.make(ECHO, wait=False)
        source = "arn:aws:s3:::" + "b" * 900
        for number in range(17):
            self.allow(name, f"s{number}", SourceArn=source)
        self.assertAwsError("PolicyLengthExceededException", self.allow, name, "more", SourceArn=source, status=400, message="is bigger than the limit (20480)")

    def test_layers_of_others(self):
        layer = "l-" + uuid.uuid4().hex[:8]
        theirs = client("lambda", key=OTHER, secret="test")
        arn = theirs.publish_layer_version(LayerName=layer, Content={"ZipFile": package({"python/shared.py": "WHO = 'them'"})})["LayerVersionArn"]
        name = self.make("import shared\ndef lambda_handler(e, c): return shared.WHO", wait=False)
        without = arn.rpartition(":")[0]
        self.assertAwsError("AccessDeniedException", self.aws.get_layer_version, LayerName=without, VersionNumber=1, status=403)
        self.assertAwsError("AccessDeniedException", self.aws.get_layer_version_by_arn, Arn=arn, status=403)
        self.assertAwsError("AccessDeniedException", self.aws.publish_layer_version, LayerName=without, Content={"ZipFile": package({"a": ""})}, status=403)
        self.assertAwsError("AccessDeniedException", self.aws.delete_layer_version, LayerName=without, VersionNumber=1, status=403)
        self.assertAwsError("AccessDeniedException", self.aws.list_layer_versions, LayerName=without, status=403)
        self.aws.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        self.assertAwsError("AccessDeniedException", self.aws.update_function_configuration, FunctionName=name, Layers=[arn], status=403)
        added = theirs.add_layer_version_permission(LayerName=layer, VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=ACCOUNT)
        self.assertEqual(json.loads(added["Statement"])["Resource"], arn)
        self.assertEqual(self.aws.get_layer_version(LayerName=without, VersionNumber=1)["LayerVersionArn"], arn)
        self.assertEqual(self.aws.get_layer_version_by_arn(Arn=arn)["LayerArn"], without)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_layer_version, LayerName=layer, VersionNumber=1, status=404)
        self.aws.update_function_configuration(FunctionName=name, Layers=[arn])
        self.settle(name)
        self.assertEqual(self.result(name), "them")
        policy = theirs.get_layer_version_policy(LayerName=layer, VersionNumber=1)
        self.assertEqual(policy["RevisionId"], added["RevisionId"])
        self.assertAwsError("PreconditionFailedException", theirs.remove_layer_version_permission, LayerName=layer, VersionNumber=1, StatementId="s",
                            RevisionId=str(uuid.uuid4()), status=412)
        theirs.remove_layer_version_permission(LayerName=layer, VersionNumber=1, StatementId="s", RevisionId=policy["RevisionId"])
        self.assertAwsError("ResourceNotFoundException", theirs.get_layer_version_policy, LayerName=layer, VersionNumber=1, status=404,
                            message="No policy is associated with the given resource.")
        theirs.delete_layer_version(LayerName=layer, VersionNumber=1)

    def test_layer_conditions_see_every_layer(self):
        layer, user, name = "l-" + uuid.uuid4().hex[:8], "u-" + uuid.uuid4().hex[:8], self.make(ECHO)
        arns = [self.aws.publish_layer_version(LayerName=layer + more, Content={"ZipFile": package({"a": ""})})["LayerVersionArn"] for more in ("a", "b")]
        self.iam.create_user(UserName=user)
        self.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["lambda:GetLayerVersion", "lambda:TagResource"], "Resource": "*"},
            {"Effect": "Allow", "Action": "lambda:UpdateFunctionConfiguration", "Resource": "*",
             "Condition": {"ForAllValues:StringEquals": {"lambda:Layer": arns[:1]}}},
            {"Effect": "Deny", "Action": "lambda:TagResource", "Resource": "*", "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": ["owner"]}}}]}))
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        theirs = client("lambda", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        arn = self.aws.get_function_configuration(FunctionName=name)["FunctionArn"]
        try:
            self.assertAwsError("AccessDeniedException", theirs.update_function_configuration, FunctionName=name, Layers=arns, status=403)
            theirs.update_function_configuration(FunctionName=name, Layers=arns[:1])
            theirs.tag_resource(Resource=arn, Tags={"team": "a"})
            self.assertAwsError("AccessDeniedException", theirs.tag_resource, Resource=arn, Tags={"team": "a", "owner": "me"}, status=403)
        finally:
            self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
            self.iam.delete_user_policy(UserName=user, PolicyName="p")
            self.iam.delete_user(UserName=user)


if __name__ == "__main__":
    unittest.main()
