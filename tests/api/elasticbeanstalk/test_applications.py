"""Elastic Beanstalk as clients see it before anything runs: applications, versions of bundles in S3, platforms, tags, events, permissions."""
import json
import time
import unittest
import uuid

from aws import ENDPOINT, REGION, TestCase, aws_programs, client, limited_key, run

ACCOUNT = "000000000000"


def name():
    return f"app-{uuid.uuid4().hex[:12]}"


class BeanstalkCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.eb = client("elasticbeanstalk")
        cls.s3 = client("s3")
        cls.bucket = cls.eb.create_storage_location()["S3Bucket"]

    def application(self, called=None, **more):
        called = called or name()
        made = self.eb.create_application(ApplicationName=called, **more)["Application"]
        self.addCleanup(self.drop, called)
        return made

    def drop(self, called):
        if self.eb.describe_applications(ApplicationNames=[called])["Applications"]:
            self.eb.delete_application(ApplicationName=called)

    def bundle(self, content=b"PK\x05\x06" + bytes(18)):
        key = f"{uuid.uuid4().hex}.zip"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        self.addCleanup(self.s3.delete_object, Bucket=self.bucket, Key=key)
        return {"S3Bucket": self.bucket, "S3Key": key}

    def version(self, app, label, **more):
        more.setdefault("SourceBundle", self.bundle())
        return self.eb.create_application_version(ApplicationName=app, VersionLabel=label, **more)["ApplicationVersion"]

    def labels(self, app, **more):
        return [v["VersionLabel"] for v in self.eb.describe_application_versions(ApplicationName=app, **more)["ApplicationVersions"]]


class Applications(BeanstalkCase):
    def test_life(self):
        called = name()
        made = self.application(called, Description="first")
        self.assertEqual(made["ApplicationArn"], f"arn:aws:elasticbeanstalk:{REGION}:{ACCOUNT}:application/{called}")
        self.assertEqual((made["ApplicationName"], made["Description"], made["Versions"], made["ConfigurationTemplates"]), (called, "first", [], []))
        rules = made["ResourceLifecycleConfig"]["VersionLifecycleConfig"]
        self.assertEqual(rules["MaxCountRule"], {"Enabled": False, "MaxCount": 200, "DeleteSourceFromS3": False})
        self.assertEqual(rules["MaxAgeRule"], {"Enabled": False, "MaxAgeInDays": 180, "DeleteSourceFromS3": False})
        self.assertAwsError("InvalidParameterValue", self.eb.create_application, ApplicationName=called, status=400,
                            message=f"Application {called} already exists.")
        changed = self.eb.update_application(ApplicationName=called, Description="second")["Application"]
        self.assertEqual(changed["Description"], "second")
        self.assertEqual(changed["DateCreated"], made["DateCreated"])
        self.assertEqual(self.eb.update_application(ApplicationName=called)["Application"]["Description"], "second")
        self.assertNotIn("Description", self.eb.update_application(ApplicationName=called, Description="")["Application"])
        self.assertIn(called, [a["ApplicationName"] for a in self.eb.describe_applications()["Applications"]])
        request = self.eb.delete_application(ApplicationName=called)["ResponseMetadata"]["RequestId"]
        self.assertEqual(self.eb.describe_applications(ApplicationNames=[called])["Applications"], [])
        event, = self.eb.describe_events(RequestId=request)["Events"]
        self.assertEqual((event["Message"], event["Severity"], event["ApplicationName"], event["RequestId"]),
                         ("The application has been deleted successfully.", "INFO", called, request))

    def test_unknown(self):
        message = "No Application named 'nobody' found."
        for call, more in ((self.eb.update_application, {}), (self.eb.delete_application, {}),
                           (self.eb.create_application_version, {"VersionLabel": "v", "SourceBundle": {"S3Bucket": "b", "S3Key": "k"}}),
                           (self.eb.delete_application_version, {"VersionLabel": "v"}), (self.eb.update_application_version, {"VersionLabel": "v"}),
                           (self.eb.update_application_resource_lifecycle, {"ResourceLifecycleConfig": {"ServiceRole": "r"}})):
            self.assertAwsError("InvalidParameterValue", call, ApplicationName="nobody", status=400, message=message, **more)
        self.assertEqual(self.eb.describe_application_versions(ApplicationName="nobody")["ApplicationVersions"], [])

    def test_names(self):
        self.assertAwsError("InvalidParameterValue", self.eb.create_application, ApplicationName="a/b", status=400, message="'/'")
        raw = client("elasticbeanstalk", parameter_validation=False)
        for bad in ("", "x" * 101):
            self.assertAwsError("ValidationError", raw.create_application, ApplicationName=bad, status=400)
        self.application("x" * 88 + uuid.uuid4().hex[:12])

    def test_regions_are_apart(self):
        called = name()
        self.application(called)
        self.assertEqual(client("elasticbeanstalk", region="eu-west-1").describe_applications(ApplicationNames=[called])["Applications"], [])

    def test_quota(self):
        elsewhere = client("elasticbeanstalk", region="ap-south-2")
        most = elsewhere.describe_account_attributes()["ResourceQuotas"]
        self.assertEqual((most["ApplicationQuota"]["Maximum"], most["ApplicationVersionQuota"]["Maximum"], most["EnvironmentQuota"]["Maximum"]), (75, 1000, 200))
        made = []
        try:
            for i in range(75):
                made.append(elsewhere.create_application(ApplicationName=f"a{i}")["Application"]["ApplicationName"])
            self.assertAwsError("TooManyApplicationsException", elsewhere.create_application, ApplicationName="more", status=400)
        finally:
            for called in made:
                elsewhere.delete_application(ApplicationName=called)


class Versions(BeanstalkCase):
    def test_life(self):
        app = self.application()["ApplicationName"]
        where = self.bundle()
        made = self.version(app, "v1", SourceBundle=where, Description="one")
        self.assertEqual(made["ApplicationVersionArn"], f"arn:aws:elasticbeanstalk:{REGION}:{ACCOUNT}:applicationversion/{app}/v1")
        self.assertEqual((made["SourceBundle"], made["Status"], made["Description"]), (where, "UNPROCESSED", "one"))
        self.assertAwsError("InvalidParameterValue", self.version, app, "v1", status=400, message="Application Version v1 already exists.")
        self.later(made)
        self.version(app, "v2")
        self.assertEqual(self.labels(app), ["v2", "v1"])
        self.assertEqual(self.labels(app, VersionLabels=["v1", "none"]), ["v1"])
        self.assertEqual(self.eb.describe_applications(ApplicationNames=[app])["Applications"][0]["Versions"], ["v2", "v1"])
        changed = self.eb.update_application_version(ApplicationName=app, VersionLabel="v1", Description="other")["ApplicationVersion"]
        self.assertEqual((changed["Description"], changed["DateCreated"]), ("other", made["DateCreated"]))
        self.eb.delete_application_version(ApplicationName=app, VersionLabel="v1")
        self.s3.head_object(Bucket=where["S3Bucket"], Key=where["S3Key"])
        self.assertAwsError("InvalidParameterValue", self.eb.delete_application_version, ApplicationName=app, VersionLabel="v1", status=400,
                            message="No Application Version named 'v1' found.")
        self.eb.delete_application(ApplicationName=app)
        self.assertEqual(self.labels(app), [])

    @staticmethod
    def later(made):
        """What comes next is of another millisecond."""
        while time.time() <= made["DateCreated"].timestamp() + 0.002:
            time.sleep(0.001)

    def test_source_goes_too(self):
        app, where = self.application()["ApplicationName"], self.bundle()
        self.version(app, "v", SourceBundle=where)
        self.eb.delete_application_version(ApplicationName=app, VersionLabel="v", DeleteSourceBundle=True)
        self.assertAwsError("404", self.s3.head_object, Bucket=where["S3Bucket"], Key=where["S3Key"])
        self.assertEqual(self.labels(app), [])

    def test_source_may_not_go(self):
        app, where = self.application()["ApplicationName"], self.bundle()
        self.version(app, "v", SourceBundle=where)
        limited = client("elasticbeanstalk", **limited_key(self, {"Effect": "Allow", "Action": "elasticbeanstalk:*", "Resource": "*"}))
        self.assertAwsError("SourceBundleDeletionFailure", limited.delete_application_version, ApplicationName=app, VersionLabel="v", DeleteSourceBundle=True,
                            status=400)
        self.assertEqual(self.labels(app), ["v"])
        self.assertAwsError("InvalidParameterCombination", limited.create_application_version, ApplicationName=app, VersionLabel="w", SourceBundle=where,
                            status=400, message="Reason: Forbidden")

    def test_no_bundle(self):
        app = self.application()["ApplicationName"]
        for where in ({"S3Bucket": self.bucket, "S3Key": "none"}, {"S3Bucket": f"none-{uuid.uuid4().hex}", "S3Key": "none"}):
            error = self.assertAwsError("InvalidParameterCombination", self.version, app, "v", SourceBundle=where, status=400)
            self.assertEqual(error["Error"]["Message"],
                             f"Unable to download from S3 location (Bucket: {where['S3Bucket']}  Key: none). Reason: Not Found")
        self.assertAwsError("InvalidParameterCombination", self.version, app, "v", SourceBundle={"S3Bucket": self.bucket}, status=400)
        self.assertEqual(self.labels(app), [])

    def test_no_application_is_left_of_a_refusal(self):
        app = name()
        self.assertAwsError("InvalidParameterCombination", self.version, app, "v", AutoCreateApplication=True,
                            SourceBundle={"S3Bucket": self.bucket, "S3Key": "none"})
        self.assertEqual(self.eb.describe_applications(ApplicationNames=[app])["Applications"], [])
        self.addCleanup(self.drop, app)
        self.version(app, "v", AutoCreateApplication=True)
        self.assertEqual(self.eb.describe_applications(ApplicationNames=[app])["Applications"][0]["Versions"], ["v"])

    def test_pages(self):
        app, where = self.application()["ApplicationName"], self.bundle()
        for i in range(5):
            self.later(self.version(app, f"v{i}", SourceBundle=where))
        pages, token = [], {}
        while True:
            page = self.eb.describe_application_versions(ApplicationName=app, MaxRecords=2, **token)
            pages.append([v["VersionLabel"] for v in page["ApplicationVersions"]])
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        self.assertEqual(pages, [["v4", "v3"], ["v2", "v1"], ["v0"]])

    def test_rules(self):
        role = f"arn:aws:iam::{ACCOUNT}:role/aws-elasticbeanstalk-service-role"
        app, where = self.application()["ApplicationName"], self.bundle()
        rule = {"VersionLifecycleConfig": {"MaxCountRule": {"Enabled": True, "MaxCount": 2}}}
        self.assertAwsError("InvalidParameterValue", self.eb.update_application_resource_lifecycle, ApplicationName=app, ResourceLifecycleConfig=rule, status=400)
        both = {"ServiceRole": role, "VersionLifecycleConfig": {"MaxCountRule": {"Enabled": True}, "MaxAgeRule": {"Enabled": True}}}
        self.assertAwsError("InvalidParameterCombination", self.eb.update_application_resource_lifecycle, ApplicationName=app, ResourceLifecycleConfig=both,
                            status=400)
        kept = self.eb.update_application_resource_lifecycle(ApplicationName=app, ResourceLifecycleConfig={"ServiceRole": role, **rule})
        self.assertEqual(kept["ResourceLifecycleConfig"]["VersionLifecycleConfig"]["MaxCountRule"], {"Enabled": True, "MaxCount": 2, "DeleteSourceFromS3": False})
        for i in range(4):
            self.later(self.version(app, f"v{i}", SourceBundle=where))
        self.assertEqual(self.labels(app), ["v3", "v2"])

    def test_rules_with_sources(self):
        """The source bundles of versions that are too many go with them, and no others."""
        app, places = self.application()["ApplicationName"], [self.bundle() for _ in range(4)]
        rule = {"ServiceRole": f"arn:aws:iam::{ACCOUNT}:role/aws-elasticbeanstalk-service-role",
                "VersionLifecycleConfig": {"MaxCountRule": {"Enabled": True, "MaxCount": 2, "DeleteSourceFromS3": True}}}
        kept = self.eb.update_application_resource_lifecycle(ApplicationName=app, ResourceLifecycleConfig=rule)
        self.assertTrue(kept["ResourceLifecycleConfig"]["VersionLifecycleConfig"]["MaxCountRule"]["DeleteSourceFromS3"])
        for i, place in enumerate(places):
            self.later(self.version(app, f"v{i}", SourceBundle=place))

        def there():
            kept = {o["Key"] for o in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])}
            return [place["S3Key"] in kept for place in places]
        until = time.monotonic() + 60
        while (self.labels(app), there()) != (["v3", "v2"], [False, False, True, True]) and time.monotonic() < until:
            time.sleep(0.1)
        self.assertEqual((self.labels(app), there()), (["v3", "v2"], [False, False, True, True]))

    def test_refused(self):
        app = self.application()["ApplicationName"]
        for more in ({"SourceBundle": None}, {"SourceBundle": None, "SourceBuildInformation": {
                "SourceType": "Git", "SourceRepository": "CodeCommit", "SourceLocation": "a/b"}}):
            wish = {k: v for k, v in {"SourceBundle": self.bundle(), **more}.items() if v is not None}
            self.assertAwsError("InvalidParameterValue", self.eb.create_application_version, ApplicationName=app, VersionLabel="v", **wish, status=400,
                                message="not supported")


class Storage(BeanstalkCase):
    def test_bucket(self):
        for region in ("us-east-1", "eu-central-1"):
            eb = client("elasticbeanstalk", region=region)
            bucket = eb.create_storage_location()["S3Bucket"]
            self.assertEqual(bucket, f"elasticbeanstalk-{region}-{ACCOUNT}")
            self.assertEqual(eb.create_storage_location()["S3Bucket"], bucket)
            where = client("s3", region=region).get_bucket_location(Bucket=bucket)["LocationConstraint"]
            self.assertEqual(where or "us-east-1", region)

    def test_other_region(self):
        elsewhere = client("elasticbeanstalk", region="eu-central-1")
        app, where = name(), self.bundle()
        elsewhere.create_application(ApplicationName=app)
        self.addCleanup(elsewhere.delete_application, ApplicationName=app)
        self.assertAwsError("S3LocationNotInServiceRegionException", elsewhere.create_application_version, ApplicationName=app, VersionLabel="v",
                            SourceBundle=where, status=400)

    def test_not_allowed(self):
        limited = client("elasticbeanstalk", region="sa-east-1", **limited_key(self, {"Effect": "Allow", "Action": "elasticbeanstalk:*", "Resource": "*"}))
        self.assertAwsError("InsufficientPrivilegesException", limited.create_storage_location, status=403)


class Platforms(BeanstalkCase):
    def test_lists(self):
        stacks = self.eb.list_available_solution_stacks()
        self.assertEqual(stacks["SolutionStacks"], [d["SolutionStackName"] for d in stacks["SolutionStackDetails"]])
        versions = self.eb.list_platform_versions()["PlatformSummaryList"]
        branches = self.eb.list_platform_branches()["PlatformBranchSummaryList"]
        self.assertEqual(sorted(v["PlatformBranchName"] for v in versions), sorted(b["BranchName"] for b in branches))
        for v in versions:
            branch, version = v["PlatformBranchName"], v["PlatformVersion"]
            self.assertEqual(v["PlatformArn"], f"arn:aws:elasticbeanstalk:{REGION}::platform/{branch}/{version}")
            whole = self.eb.describe_platform_version(PlatformArn=v["PlatformArn"])["PlatformDescription"]
            self.assertEqual((whole["PlatformBranchName"], whole["PlatformStatus"]), (branch, "Ready"))
            language, system = branch.split(" running on ")
            self.assertEqual(whole["SolutionStackName"], f"{system} v{version} running {language.replace(' with ', ' ')}")
            self.assertIn(whole["SolutionStackName"], stacks["SolutionStacks"])
        self.assertIn("Python 3.11 running on 64bit Amazon Linux 2023", [b["BranchName"] for b in branches])
        self.assertAwsError("InvalidParameterValue", self.eb.describe_platform_version, status=400,
                            PlatformArn=f"arn:aws:elasticbeanstalk:{REGION}::platform/Cobol 85/1.0.0", message="No Platform found for PlatformArn")

    def test_filters(self):
        def versions(kind, operator, *values):
            return [v["PlatformBranchName"] for v in self.eb.list_platform_versions(
                Filters=[{"Type": kind, "Operator": operator, "Values": list(values)}])["PlatformSummaryList"]]
        python = "Python 3.11 running on 64bit Amazon Linux 2023"
        self.assertEqual(versions("PlatformBranchName", "=", python), [python])
        self.assertEqual(versions("PlatformBranchName", "=", "other"), [])
        self.assertIn(python, versions("PlatformVersion", ">=", "4.0.0"))
        self.assertIn(python, versions("PlatformVersion", "<", "4.10.0"))
        self.assertNotIn(python, versions("PlatformVersion", ">", "4.10"))
        self.assertIn(python, versions("PlatformOwner", "begins_with", "AWS"))
        self.assertAwsError("InvalidParameterValue", versions, "Colour", "=", "red", status=400)
        self.assertAwsError("InvalidParameterValue", versions, "PlatformOwner", "like", "AWS", status=400)

        def branches(attribute, operator, *values):
            return [b["BranchName"] for b in self.eb.list_platform_branches(
                Filters=[{"Attribute": attribute, "Operator": operator, "Values": list(values)}])["PlatformBranchSummaryList"]]
        self.assertIn(python, branches("LifecycleState", "!=", "Retired"))
        self.assertEqual(branches("LifecycleState", "in", "Retired", "Deprecated"), [])
        self.assertIn(python, branches("PlatformName", "in", "Ruby", "Python"))
        self.assertAwsError("InvalidParameterValue", branches, "Colour", "=", "red", status=400)


class Tags(BeanstalkCase):
    def tags(self, arn):
        return {t["Key"]: t["Value"] for t in self.eb.list_tags_for_resource(ResourceArn=arn)["ResourceTags"]}

    def test_tags(self):
        app = self.application(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        version = self.version(app["ApplicationName"], "v-1", Tags=[{"Key": "v", "Value": "x"}])
        self.assertEqual(self.tags(version["ApplicationVersionArn"]), {"v": "x"})
        arn = app["ApplicationArn"]
        self.eb.update_tags_for_resource(ResourceArn=arn, TagsToAdd=[{"Key": "c", "Value": "3"}, {"Key": "a", "Value": "0"}], TagsToRemove=["b"])
        self.assertEqual(self.tags(arn), {"a": "0", "c": "3"})
        bad = ({"TagsToAdd": [{"Key": "aws:x", "Value": "1"}]}, {"TagsToAdd": [{"Key": "a", "Value": "1"}], "TagsToRemove": ["a"]}, {})
        for more in bad:
            with self.assertRaises(self.eb.exceptions.ClientError):
                self.eb.update_tags_for_resource(ResourceArn=arn, **more)
        self.assertAwsError("TooManyTagsException", self.eb.update_tags_for_resource, ResourceArn=arn, status=400,
                            TagsToAdd=[{"Key": f"k{i}", "Value": "v"} for i in range(49)])
        self.assertEqual(self.tags(arn), {"a": "0", "c": "3"})

    def test_unknown(self):
        head = f"arn:aws:elasticbeanstalk:{REGION}:{ACCOUNT}"
        for what in ("application/nobody", "applicationversion/nobody/v", "environment/nobody/e"):
            self.assertAwsError("ResourceNotFoundException", self.eb.list_tags_for_resource, ResourceArn=f"{head}:{what}", status=400)
        self.assertAwsError("ResourceTypeNotSupportedException", self.eb.list_tags_for_resource, ResourceArn=f"{head}:cloud/nine", status=400)
        self.assertAwsError("InvalidParameterValue", self.eb.list_tags_for_resource, ResourceArn="nobody", status=400)

    def test_permissions(self):
        mine, other = self.application(Tags=[{"Key": "team", "Value": "blue"}]), self.application()
        limited = client("elasticbeanstalk", **limited_key(self, {"Effect": "Allow", "Action": "elasticbeanstalk:UpdateApplication", "Resource": "*",
                                                                  "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}))
        limited.update_application(ApplicationName=mine["ApplicationName"], Description="x")
        self.assertAwsError("AccessDenied", limited.update_application, ApplicationName=other["ApplicationName"], Description="x", status=403)
        one = client("elasticbeanstalk", **limited_key(self, {"Effect": "Allow", "Action": "elasticbeanstalk:DeleteApplicationVersion", "Resource": "*", "Condition": {
            "StringEquals": {"elasticbeanstalk:InApplication": mine["ApplicationArn"]}}}))
        for app in (mine, other):
            self.version(app["ApplicationName"], "v")
        one.delete_application_version(ApplicationName=mine["ApplicationName"], VersionLabel="v")
        self.assertAwsError("AccessDenied", one.delete_application_version, ApplicationName=other["ApplicationName"], VersionLabel="v", status=403)


class Events(BeanstalkCase):
    def test_filters(self):
        apps, requests = [name() for _ in range(3)], []
        for app in apps:
            self.application(app)
            requests.append(self.eb.delete_application(ApplicationName=app)["ResponseMetadata"]["RequestId"])
        found = [e for e in self.eb.describe_events()["Events"] if e["ApplicationName"] in apps]
        self.assertEqual([e["ApplicationName"] for e in found], apps[::-1])
        self.assertEqual([e["RequestId"] for e in found], requests[::-1])
        for more in ({"Severity": "WARN"}, {"EndTime": found[0]["EventDate"]}, {"EnvironmentName": "nobody"}):
            self.assertEqual(self.eb.describe_events(ApplicationName=apps[2], **more)["Events"], [])
        self.assertEqual(len(self.eb.describe_events(ApplicationName=apps[2], StartTime=found[0]["EventDate"], Severity="DEBUG")["Events"]), 1)
        seen, token = [], {}
        while len(seen) < 3:
            page = self.eb.describe_events(MaxRecords=1, StartTime=found[-1]["EventDate"], **token)
            seen += [e["ApplicationName"] for e in page["Events"] if e["ApplicationName"] in apps]
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else self.assertEqual(len(seen), 3)
        self.assertEqual(seen, apps[::-1])


class Programs(BeanstalkCase):
    def test_cli(self):
        for aws in aws_programs():
            def ask(*words, aws=aws):
                text = run(aws, "--endpoint-url", ENDPOINT, "--region", REGION, "--output", "json", "elasticbeanstalk", *words).stdout
                return json.loads(text) if text.strip() else None
            app, where = name(), self.bundle()
            self.assertEqual(ask("create-application", "--application-name", app)["Application"]["ApplicationName"], app)
            made = ask("create-application-version", "--application-name", app, "--version-label", "v1", "--source-bundle",
                       f"S3Bucket={where['S3Bucket']},S3Key={where['S3Key']}")
            self.assertEqual(made["ApplicationVersion"]["VersionLabel"], "v1")
            self.assertEqual(ask("describe-applications", "--application-names", app)["Applications"][0]["Versions"], ["v1"])
            ask("delete-application", "--application-name", app)
            self.assertEqual(ask("describe-applications", "--application-names", app)["Applications"], [])


if __name__ == "__main__":
    unittest.main()
