"""Functions as records: making, showing, changing, deleting, and what is refused."""
import base64
import hashlib
import io
import json
import unittest
import urllib.error
import urllib.request
import uuid
import zipfile

from botocore.exceptions import ClientError

from lambdacase import ACCOUNT, LambdaCase, package

ECHO = "def lambda_handler(event, context):\n    return event\n"


class Functions(LambdaCase):
    def test_new_function(self):
        code = package({"lambda_function.py": ECHO})
        name = "t-" + uuid.uuid4().hex[:12]
        made = self.aws.create_function(FunctionName=name, Runtime="python3.12", Handler="lambda_function.lambda_handler", Role=self.role,
                                        Code={"ZipFile": code}, Tags={"team": "a"})
        self.made.append(name)
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)
        self.assertEqual((made["State"], made["StateReasonCode"]), ("Pending", "Creating"))
        self.assertEqual((made["Timeout"], made["MemorySize"], made["Version"]), (3, 128, "$LATEST"))
        self.assertEqual(made["CodeSha256"], base64.b64encode(hashlib.sha256(code).digest()).decode())
        self.assertEqual(made["CodeSize"], len(code))
        self.assertRegex(made["LastModified"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$")
        self.aws.get_waiter("function_active_v2").wait(FunctionName=name)
        shown = self.aws.get_function(FunctionName=name)
        self.assertEqual(shown["Tags"], {"team": "a"})
        self.assertEqual((shown["Configuration"]["State"], shown["Configuration"]["LastUpdateStatus"]), ("Active", "Successful"))
        self.assertEqual(shown["Configuration"]["FunctionArn"], f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
        self.assertNotEqual(shown["Configuration"]["RevisionId"], made["RevisionId"])

    def test_package_can_be_downloaded(self):
        name = self.make({"lambda_function.py": ECHO, "data.txt": "here"})
        link = self.aws.get_function(FunctionName=name)["Code"]["Location"]
        with urllib.request.urlopen(link) as reply:
            self.assertEqual(zipfile.ZipFile(io.BytesIO(reply.read())).read("data.txt"), b"here")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(link[:-4] + "0000")
        self.assertEqual(refused.exception.code, 403)

    def test_names(self):
        name = self.make(ECHO)
        for text in (name, f"{ACCOUNT}:function:{name}", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}", f"{name}:$LATEST"):
            self.assertEqual(self.aws.get_function_configuration(FunctionName=text)["FunctionName"], name)
        qualified = self.aws.get_function_configuration(FunctionName=name, Qualifier="$LATEST")
        self.assertTrue(qualified["FunctionArn"].endswith(f":{name}:$LATEST"))
        self.assertAwsError("InvalidParameterValueException", self.aws.get_function, FunctionName=f"{name}:1", Qualifier="2",
                            message="The derived qualifier from the function name does not match the specified qualifier.")
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function, FunctionName=f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}",
                            message="Functions from 'eu-west-1' are not reachable in this region ('us-east-1')")

    def test_runtime_management(self):
        name = self.make("def lambda_handler(event, context):\n    pass\n")
        arn = self.aws.get_function_configuration(FunctionName=name)["FunctionArn"] + ":$LATEST"

        def put(**what):
            reply = self.send(f"/2021-07-20/functions/{name}/runtime-management-config", json.dumps(what).encode(), method="PUT")
            return reply.status, json.loads(reply.body)
        self.assertEqual(put(UpdateRuntimeOn="Auto"), (200, {"UpdateRuntimeOn": "Auto", "FunctionArn": arn}))
        got = json.loads(self.send(f"/2021-07-20/functions/{name}/runtime-management-config", b"", method="GET").body)
        self.assertEqual(got, {"UpdateRuntimeOn": "Auto", "FunctionArn": arn})
        version = "arn:aws:lambda:us-east-1::runtime:" + "0" * 64
        for message, what in (("machine's interpreter", {"UpdateRuntimeOn": "FunctionUpdate"}), ("is required", {"UpdateRuntimeOn": "Manual"}),
                              ("machine's interpreter", {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": version}),
                              ("only be specified", {"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": version})):
            status, body = put(**what)
            self.assertEqual((status, body["Type"]), (400, "User"), body)
            self.assertIn(message, body["message"])

    def test_code_signing(self):
        name = self.make("def lambda_handler(event, context):\n    pass\n", wait=False)
        reply = self.aws.get_function_code_signing_config(FunctionName=name)
        self.assertEqual((reply["FunctionName"], reply["CodeSigningConfigArn"]), (name, ""))
        some = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"
        publishers = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/0123456789"]}
        for call, more in (("create_code_signing_config", {"AllowedPublishers": publishers}), ("delete_code_signing_config", {"CodeSigningConfigArn": some}),
                           ("get_code_signing_config", {"CodeSigningConfigArn": some}), ("update_code_signing_config", {"CodeSigningConfigArn": some}),
                           ("list_code_signing_configs", {}), ("list_functions_by_code_signing_config", {"CodeSigningConfigArn": some}),
                           ("put_function_code_signing_config", {"FunctionName": name, "CodeSigningConfigArn": some}),
                           ("delete_function_code_signing_config", {"FunctionName": name})):
            with self.subTest(call=call), self.assertRaises(ClientError) as caught:
                getattr(self.aws, call)(**more)
            error = caught.exception.response
            self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], 501)
            self.assertIn(call.replace("_", ""), error["Error"]["Message"].lower())

    def test_refusals(self):
        good = {"FunctionName": "never", "Runtime": "python3.12", "Handler": "a.b", "Role": self.role, "Code": {"ZipFile": package({"a.py": "b = 1"})}}
        many = {f"KEY{i}": "x" * 100 for i in range(50)}
        for code, message, change in [
            ("InvalidParameterValueException", "Could not unzip uploaded file", {"Code": {"ZipFile": b"PK nothing that anybody could unzip"}}),
            ("InvalidParameterValueException", "Could not unzip uploaded file", {"Code": {"ZipFile": package({"../up.py": ""})}}),
            ("InvalidParameterValueException", "cannot be assumed by Lambda", {"Role": f"arn:aws:iam::{ACCOUNT}:role/nobody"}),
            ("InvalidParameterValueException", "Reserved keys used in this request: AWS_REGION", {"Environment": {"Variables": {"AWS_REGION": "x"}}}),
            ("InvalidParameterValueException", "exceeded the 4KB limit", {"Environment": {"Variables": many}}),
            ("InvalidParameterValueException", "no longer supported", {"Runtime": "python2.7"}),
            ("InvalidParameterValueException", "intended function PackageType is Image", {"PackageType": "Image"}),
            ("ValidationException", "'timeout'", {"Timeout": 901}),
        ]:
            with self.subTest(message=message):
                self.assertAwsError(code, self.aws.create_function, **{**good, **change}, message=message, status=400)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function, FunctionName="never", status=404,
                            message=f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:never")

    def test_update(self):
        name = self.make("V = 1\ndef lambda_handler(e, c):\n    import os\n    return [V, os.environ.get('COLOR')]\n")
        self.assertEqual(self.result(name), [1, None])
        before = self.aws.get_function_configuration(FunctionName=name)
        updated = self.aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "red"}}, Timeout=7)
        self.assertEqual(updated["LastUpdateStatus"], "InProgress")
        self.settle(name)
        self.assertEqual(self.result(name), [1, "red"])
        self.assertAwsError("PreconditionFailedException", self.aws.update_function_configuration, FunctionName=name, Timeout=8,
                            RevisionId=before["RevisionId"], status=412)
        dry = self.aws.update_function_code(FunctionName=name, ZipFile=package({"lambda_function.py": ECHO}), DryRun=True)
        self.assertNotEqual(dry["CodeSha256"], before["CodeSha256"])
        self.assertEqual(self.result(name), [1, "red"])
        self.aws.update_function_code(FunctionName=name, ZipFile=package({"lambda_function.py": ECHO}))
        self.settle(name)
        self.assertEqual(self.result(name, {"a": 1}), {"a": 1})
        self.assertEqual(self.aws.get_function_configuration(FunctionName=name)["Timeout"], 7)

    def test_code_from_s3(self):
        bucket = "code-" + uuid.uuid4().hex[:10]
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_object(Bucket=bucket, Key="f.zip", Body=package({"lambda_function.py": "def lambda_handler(e, c): return 'from s3'"}))
        name = self.make(ECHO)
        self.aws.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="f.zip")
        self.settle(name)
        self.assertEqual(self.result(name), "from s3")
        self.assertAwsError("InvalidParameterValueException", self.aws.update_function_code, FunctionName=name, S3Bucket=bucket, S3Key="none",
                            message="S3 Error Code: NoSuchKey")
        self.s3.delete_object(Bucket=bucket, Key="f.zip")
        self.s3.delete_bucket(Bucket=bucket)

    def test_list_in_pages(self):
        names = sorted(self.make(ECHO, wait=False) for _ in range(3))
        found = []
        for page in self.aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}):
            self.assertLessEqual(len(page["Functions"]), 1)
            found += [f["FunctionName"] for f in page["Functions"]]
        self.assertEqual(found, sorted(found))
        self.assertTrue(set(names) <= set(found))

    def test_tags(self):
        name = self.make(ECHO, wait=False, Tags={"a": "1"})
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        self.aws.tag_resource(Resource=arn, Tags={"b": "2", "a": "3"})
        self.assertEqual(self.aws.list_tags(Resource=arn)["Tags"], {"a": "3", "b": "2"})
        self.aws.untag_resource(Resource=arn, TagKeys=["a"])
        self.assertEqual(self.aws.list_tags(Resource=arn)["Tags"], {"b": "2"})

    def test_delete(self):
        name = self.make(ECHO)
        self.aws.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
        self.aws.delete_function(FunctionName=name)
        self.assertAwsError("ResourceNotFoundException", self.aws.invoke, FunctionName=name, message=f"{name}:$LATEST", status=404)
        self.assertAwsError("ResourceNotFoundException", self.aws.delete_function, FunctionName=name, status=404)

    def test_concurrency_is_reserved_and_enforced(self):
        name = self.make(ECHO)
        self.assertEqual(self.result(name, 1), 1)
        self.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        error = self.assertAwsError("TooManyRequestsException", self.aws.invoke, FunctionName=name, status=429)
        self.assertEqual(error["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded")
        self.assertEqual(self.aws.get_function(FunctionName=name)["Concurrency"], {"ReservedConcurrentExecutions": 0})
        self.assertAwsError("InvalidParameterValueException", self.aws.put_function_concurrency, FunctionName=name,
                            ReservedConcurrentExecutions=901, message="below its minimum value of [100]")
        self.aws.delete_function_concurrency(FunctionName=name)
        self.assertEqual(self.result(name, 2), 2)

    def test_account_settings(self):
        settings = self.aws.get_account_settings()
        self.assertEqual(settings["AccountLimit"]["ConcurrentExecutions"], 1000)
        before = settings["AccountUsage"]["FunctionCount"]
        self.make(ECHO, wait=False)
        self.assertEqual(self.aws.get_account_settings()["AccountUsage"]["FunctionCount"], before + 1)

    def test_who_may_invoke(self):
        name = self.make(ECHO)
        user = "u-" + uuid.uuid4().hex[:8]
        self.iam.create_user(UserName=user)
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        from aws import client
        theirs = client("lambda", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        try:
            self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=name, status=403, message="lambda:InvokeFunction")
            arn = self.iam.get_user(UserName=user)["User"]["Arn"]
            statement = json.loads(self.aws.add_permission(FunctionName=name, StatementId="them", Action="lambda:InvokeFunction", Principal=arn)["Statement"])
            self.assertEqual(statement["Principal"], {"AWS": arn})
            self.assertEqual(theirs.invoke(FunctionName=name, Payload="7")["Payload"].read(), b"7")
            self.assertAwsError("ResourceConflictException", self.aws.add_permission, FunctionName=name, StatementId="them",
                                Action="lambda:InvokeFunction", Principal=arn, status=409)
            self.aws.remove_permission(FunctionName=name, StatementId="them")
            self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=name, status=403)
            self.assertAwsError("ResourceNotFoundException", self.aws.get_policy, FunctionName=name)
        finally:
            self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
            self.iam.delete_user(UserName=user)


if __name__ == "__main__":
    unittest.main()
