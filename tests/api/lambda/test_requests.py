"""What Lambda makes of requests before any function runs: names, refusals in AWS's words, sizes, other accounts."""
import base64
import io
import json
import unittest
import uuid
import zipfile

from aws import client
from lambdacase import ACCOUNT, LambdaCase, package

ECHO = "def lambda_handler(event, context):\n    return event\n"
OTHER = "111122223333"


class Requests(LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bare = client("lambda", parameter_validation=False)
        cls.name = cls.make(cls(), ECHO)
        cls.arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{cls.name}"

    def invoke(self, body=b"{}", **headers):
        return self.send(f"/2015-03-31/functions/{self.name}/invocations", body, **headers)

    def refused(self, message, code="InvalidParameterValueException", status=400, **change):
        good = {"FunctionName": "never", "Runtime": "python3.12", "Handler": "a.b", "Role": self.role, "Code": {"ZipFile": package({"a.py": "b = 1"})}}
        return self.assertAwsError(code, self.bare.create_function, **{**good, **change}, message=message, status=status)

    def test_every_form_of_a_name(self):
        for text in (f"{ACCOUNT}:{self.name}", f"function:{self.name}", f"us-east-1:{ACCOUNT}:function:{self.name}", f"us-east-1:function:{self.name}",
                     self.arn, f"{self.arn}:$LATEST", f"{ACCOUNT}:function:{self.name}:$LATEST"):
            with self.subTest(text=text):
                self.assertEqual(self.aws.get_function_configuration(FunctionName=text)["FunctionName"], self.name)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function_configuration, FunctionName=f"eu-west-1:{ACCOUNT}:function:{self.name}",
                            message="Functions from 'eu-west-1' are not reachable in this region ('us-east-1')")

    def test_only_a_whole_function_changes(self):
        self.aws.publish_version(FunctionName=self.name)
        zip_file = package({"lambda_function.py": ECHO})
        for call, more in [
            (self.aws.update_function_code, {"ZipFile": zip_file}), (self.aws.update_function_configuration, {"Timeout": 9}),
            (self.aws.publish_version, {}), (self.aws.list_versions_by_function, {}), (self.aws.list_aliases, {}),
            (self.aws.create_alias, {"Name": "a", "FunctionVersion": "1"}), (self.aws.delete_alias, {"Name": "a"}),
            (self.aws.put_function_concurrency, {"ReservedConcurrentExecutions": 1}),
        ]:
            with self.subTest(call=call.__name__):
                self.assertAwsError("InvalidParameterValueException", call, FunctionName=f"{self.name}:1", **more,
                                    message="This operation is permitted on Lambda functions only")
        self.assertEqual(self.aws.get_function_configuration(FunctionName=self.name)["Timeout"], 3)

    def test_refusals(self):
        zip_file = package({"a.py": "b = 1"})
        other = f"arn:aws:iam::{OTHER}:role/theirs"
        self.refused("Value cobol at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [", Runtime="cobol")
        self.assertTrue(self.refused("", Runtime="cobol")["Error"]["Message"].endswith("] or be a valid ARN"))
        self.refused("'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240", MemorySize=10241)
        self.refused("Cross-account pass role is not allowed.", "AccessDeniedException", 403, Role=other)
        self.refused("Please do not provide other FunctionCode parameters when providing a ZipFile.", Code={"ZipFile": zip_file, "S3Bucket": "bkt", "S3Key": "k"})
        self.refused("Please provide a source for function code.", Code={})
        self.refused("Invalid function name: never:1", FunctionName="never:1")
        self.refused("Member must satisfy regular expression pattern", "ValidationException", Handler="a b")
        self.refused("Map keys must satisfy constraint", "ValidationException", Environment={"Variables": {"A": "one letter"}})
        for tags in ({"": "v"}, {"k" * 129: "v"}, {"k": "v" * 257}, {"a<b": "v"}, {f"k{i}": "v" for i in range(51)}):
            self.refused("ag", Tags=tags)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function, FunctionName="never")

    def test_a_bucket_that_the_caller_may_not_read(self):
        bucket, user = "secret-" + uuid.uuid4().hex[:10], "u-" + uuid.uuid4().hex[:8]
        self.s3.create_bucket(Bucket=bucket)
        self.iam.create_user(UserName=user)
        self.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}]}))
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        theirs = client("lambda", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        try:
            self.assertAwsError("AccessDeniedException", theirs.update_function_code, FunctionName=self.name, S3Bucket=bucket, S3Key="a/b.zip", status=403,
                                message=f"Your access has been denied by S3, please make sure your request credentials have permission to GetObject for "
                                        f"{bucket}/a/b.zip. S3 Error Code: AccessDenied. S3 Error Message: ")
        finally:
            self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
            self.iam.delete_user_policy(UserName=user, PolicyName="p")
            self.iam.delete_user(UserName=user)
            self.s3.delete_bucket(Bucket=bucket)

    def test_sizes(self):
        reply = self.send("/2015-03-31/functions", b" " * 69905068)
        self.assertEqual((reply.status, reply.code), (413, "RequestEntityTooLargeException"))
        self.assertIn(b"Request must be smaller than 69905067 bytes for the CreateFunction operation", reply.body)
        reply = self.invoke(b'"' + b"x" * (6 << 20) + b'"')
        self.assertEqual((reply.status, reply.code), (413, "RequestTooLargeException"))

    def test_unpacked_sizes(self):
        def zeros(n):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
                z.writestr("zeros", bytes(n))
            return out.getvalue()
        self.refused("Unzipped size must be smaller than 262144000 bytes", Code={"ZipFile": zeros(262144001)})
        half, layer = zeros(131072001), "half-" + uuid.uuid4().hex[:8]
        made = self.aws.publish_layer_version(LayerName=layer, Content={"ZipFile": half})
        try:
            self.refused("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is 262144002 bytes.",
                         Code={"ZipFile": half}, Layers=[made["LayerVersionArn"]])
        finally:
            self.aws.delete_layer_version(LayerName=layer, VersionNumber=1)

    def test_versions_of_a_package_in_s3(self):
        bucket = "code-" + uuid.uuid4().hex[:10]
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        old, new = (self.s3.put_object(Bucket=bucket, Key="p.zip", Body=package({"lambda_function.py": f"def lambda_handler(e, c): return {i}"}))["VersionId"]
                    for i in range(2))
        name = self.make(ECHO)
        self.aws.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="p.zip", S3ObjectVersion=old)
        self.settle(name)
        self.assertEqual(self.result(name), 0)
        self.aws.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="p.zip")
        self.settle(name)
        self.assertEqual(self.result(name), 1)
        self.assertAwsError("InvalidParameterValueException", self.aws.update_function_code, FunctionName=name, S3Bucket=bucket, S3Key="absent.zip",
                            message="Error occurred while GetObject. S3 Error Code: NoSuchKey.")
        for version in (old, new):
            self.s3.delete_object(Bucket=bucket, Key="p.zip", VersionId=version)
        self.s3.delete_bucket(Bucket=bucket)

    def test_reply_headers(self):
        reply = self.invoke()
        self.assertRegex(reply.headers["x-amzn-trace-id"], r"^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:0$")
        self.assertEqual((reply.headers["x-amz-executed-version"], reply.headers["content-type"]), ("$LATEST", "application/json"))
        mine = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
        self.assertRegex(self.invoke(x_amzn_trace_id=mine).headers["x-amzn-trace-id"], f"^{mine};Lineage=1:[0-9a-f]{{8}}:0$")
        event = self.invoke(x_amz_invocation_type="Event")
        self.assertEqual((event.status, event.body), (202, b""))
        self.assertIn("x-amzn-trace-id", event.headers)
        absent = self.send("/2015-03-31/functions/absent/invocations")
        self.assertEqual((absent.status, absent.headers["x-amzn-errortype"], json.loads(absent.body)), (404, "ResourceNotFoundException", {
            "Type": "User", "Message": f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:absent:$LATEST"}))

    def test_payloads_that_are_not_json(self):
        for body, want in [
            (b"abc", "Unrecognized token 'abc': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED "
                     "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]"),
            (b"{a: 1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name\n"),
            (b'{"a" 1}', "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value\n"),
            (b'{"a":1 "b"}', "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries\n"),
            (b'[1,\n2', "Unexpected end-of-input within/between Array entries\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` "
                        "disabled); line: 2, column: 2]"),
            (b"\xff", "Invalid UTF-8 start byte 0xff\n"),
            (b"[" * 1001 + b"]" * 1001, "Document nesting depth (1001) exceeds the maximum allowed (1000"),
        ]:
            with self.subTest(body=body[:20]):
                reply = self.invoke(body)
                self.assertEqual((reply.status, reply.code), (400, "InvalidRequestContentException"))
                message = json.loads(reply.body)["message"]
                self.assertTrue(message.startswith("Could not parse request body into json: Could not parse payload into json: " + want), message)
        deep = b"[" * 900 + b"]" * 900
        self.assertEqual(self.invoke(deep).body, deep)
        self.assertEqual(self.invoke(b"").body, b"{}")

    def test_settings_of_newer_models(self):
        """Older SDKs do not know these members; whoever sends them is told that nothing would come of them."""
        create = {"FunctionName": "never", "Runtime": "python3.12", "Handler": "a.b", "Role": self.role,
                  "Code": {"ZipFile": base64.b64encode(package({"a.py": "b = 1"})).decode()}}
        key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{uuid.uuid4()}"
        functions = "/2015-03-31/functions"
        for path, method, body, name in (
            (functions, "POST", {**create, "PublishTo": "LATEST_PUBLISHED"}, "PublishTo"),
            (functions, "POST", {**create, "Code": {**create["Code"], "SourceKMSKeyArn": key}}, "SourceKMSKeyArn"),
            (functions, "POST", {**create, "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}, "TenancyConfig"),
            (f"{functions}/{self.name}/code", "PUT", {**create["Code"], "SourceKMSKeyArn": key}, "SourceKMSKeyArn"),
            (f"{functions}/{self.name}/code", "PUT", {**create["Code"], "PublishTo": "LATEST_PUBLISHED"}, "PublishTo"),
            (f"{functions}/{self.name}/versions", "POST", {"PublishTo": "LATEST_PUBLISHED"}, "PublishTo"),
        ):
            with self.subTest(path=path, name=name):
                reply = self.send(path, json.dumps(body).encode(), method)
                self.assertEqual((reply.status, reply.headers["x-amzn-errortype"]), (400, "InvalidParameterValueException"))
                self.assertIn(name.encode() + b" is not supported", reply.body)
        stream = f"/2021-11-15/functions/{self.name}/response-streaming-invocations"
        for path in (f"{functions}/{self.name}/invocations", stream):
            reply = self.send(path, x_amz_tenant_id="blue")
            self.assertEqual((reply.status, reply.headers["x-amzn-errortype"]), (400, "InvalidParameterValueException"))
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function, FunctionName="never")

    def test_client_context(self):
        for given in ("not base64!", base64.b64encode(b"[1]").decode(), base64.b64encode(b"{").decode(), base64.b64encode(b'{"a":"' + b"x" * 3600 + b'"}').decode()):
            self.assertAwsError("InvalidRequestContentException", self.aws.invoke, FunctionName=self.name, ClientContext=given, status=400,
                                message="Client context must be a valid Base64-encoded JSON object.")
        name = self.make("def lambda_handler(e, c): return c.client_context.custom")
        pretty = base64.b64encode(json.dumps({"custom": {"a": "1\n2"}}, indent=1).encode()).decode()
        self.assertEqual(self.result(name, ClientContext=pretty), {"a": "1\n2"})

    def test_dry_runs(self):
        self.assertEqual(self.invoke(x_amz_invocation_type="DryRun").status, 204)
        marked = self.make("raise SystemExit('it ran')\n")
        stream = f"/2021-11-15/functions/{marked}/response-streaming-invocations"
        reply = self.send(stream, x_amz_invocation_type="DryRun")
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertEqual(self.send(stream.replace(marked, "absent"), x_amz_invocation_type="DryRun").status, 404)
        logs = client("logs")
        self.assertEqual(logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{marked}")["logGroups"], [])

    def test_another_account(self):
        theirs = client("lambda", key=OTHER, secret="test")
        self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=self.arn, status=403, message="no resource-based policy allows")
        self.aws.add_permission(FunctionName=self.name, StatementId="them", Action="lambda:InvokeFunction", Principal=OTHER)
        try:
            self.assertEqual(theirs.invoke(FunctionName=self.arn, Payload="7")["Payload"].read(), b"7")
            self.assertEqual(theirs.invoke(FunctionName=f"{ACCOUNT}:function:{self.name}", InvocationType="DryRun")["StatusCode"], 204)
            self.assertEqual(theirs.invoke(FunctionName=self.arn, InvocationType="Event")["StatusCode"], 202)
            self.assertAwsError("AccessDeniedException", theirs.invoke, FunctionName=self.arn, LogType="Tail", status=403,
                                message="Cross-account log access is not allowed")
            self.assertAwsError("AccessDeniedException", theirs.get_function, FunctionName=self.arn, status=403)
            self.assertAwsError("ResourceNotFoundException", theirs.invoke, FunctionName=self.name, status=404, message=f":{OTHER}:function:{self.name}")
        finally:
            self.aws.remove_permission(FunctionName=self.name, StatementId="them")

    def test_lists(self):
        name = self.make(ECHO)
        self.aws.publish_version(FunctionName=name)
        found = {}
        for page in self.aws.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 2}):
            self.assertLessEqual(len(page["Functions"]), 2)
            for f in page["Functions"]:
                found.setdefault(f["FunctionName"], []).append((f["Version"], f["FunctionArn"].rpartition(":")[2], "State" in f))
        self.assertEqual(found[name], [("$LATEST", "$LATEST", False), ("1", "1", False)])
        self.assertEqual(self.aws.list_functions(MasterRegion="us-east-1", FunctionVersion="ALL")["Functions"], [])
        other = self.make(ECHO)
        self.aws.publish_version(FunctionName=other)
        for wrong in ("garbage", self.aws.list_versions_by_function(FunctionName=other, MaxItems=1)["NextMarker"]):
            self.assertAwsError("InvalidParameterValueException", self.aws.list_versions_by_function, FunctionName=name, Marker=wrong, message="Invalid Marker")
        first = self.aws.list_versions_by_function(FunctionName=name, MaxItems=1)
        rest = self.aws.list_versions_by_function(FunctionName=name, Marker=first["NextMarker"])
        self.assertEqual([v["Version"] for v in first["Versions"] + rest["Versions"]], ["$LATEST", "1"])
        self.assertNotIn("NextMarker", rest)

    def test_tags_that_are_gone(self):
        name = self.make(ECHO, wait=False, Tags={"a": "1"})
        arn = self.aws.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        self.aws.untag_resource(Resource=arn, TagKeys=["a"])
        self.assertNotIn("Tags", self.aws.get_function(FunctionName=name))
        for tags in ({"aws:x": "1"}, {"": "1"}, {f"k{i}": "1" for i in range(51)}):
            self.assertAwsError("InvalidParameterValueException", self.bare.tag_resource, Resource=arn, Tags=tags)
        self.assertEqual(self.aws.list_tags(Resource=arn)["Tags"], {})
        self.assertAwsError("InvalidParameterValueException", self.aws.tag_resource, Resource=arn + ":1", Tags={"a": "1"},
                            message="Tags on function aliases and versions are not supported")


if __name__ == "__main__":
    unittest.main()
