"""What the EB CLI asks for, command by command, with the parameters that it sends and the texts that it waits for."""
import io
import json
import time
import unittest
import urllib.request
import zipfile

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, PATIENCE_S, PROFILE, Tool, archive, option, why_no_platform
from images import image

REGION = "me-south-1"
SERVICE_ROLE = "aws-elasticbeanstalk-service-role"
NAME = "toolapp"
BRANCH = "Python 3.11 running on 64bit Amazon Linux 2023"
GOOD = ("Successfully launched environment", "Environment update completed successfully.", "Successfully deployed new configuration to environment.",
        "terminateEnvironment completed successfully.", "The application has been deleted successfully.", "Pulled logs for environment instances.",
        "Completed swapping CNAMEs for environments", "The environment was reverted to the previous configuration setting.")
BAD = ("Environment health has been set to RED", "Failed to launch environment.", "Failed to deploy application.", "Failed to deploy configuration.",
       "Create environment operation is complete, but with errors", "Update environment operation is complete, but with errors.", "Failed to pull logs for environment instances.")


@unittest.skipIf(why_no_platform(), why_no_platform())
class Commands(TestCase):
    def setUp(self):
        def make(service):
            return client(service, region=REGION, **({"signature_version": "s3v4"} if service == "s3" else {}))
        self.tool = Tool(make, ENDPOINT, NAME)
        self.eb, self.s3, self.ec2, self.iam = self.tool.eb, self.tool.s3, self.tool.ec2, make("iam")
        if not image(self.ec2):
            raise unittest.SkipTest("there is no machine image")

    def wait(self, request):
        """Reads events as it does: those that are newer than the last one it has seen, and stops at a text."""
        since, until, said = None, time.monotonic() + PATIENCE_S, []
        while time.monotonic() < until:
            events = self.eb.describe_events(RequestId=request, **({"StartTime": since} if since else {}))["Events"]
            seen = since
            for event in events[::-1]:
                if seen is None or event["EventDate"] > seen:
                    said.append(event["Message"])
                    since = event["EventDate"]
                    self.assertFalse(event["Message"].startswith(BAD), said)
                    if event["Message"].startswith(GOOD):
                        return said
            time.sleep(0.2)
        return self.fail(f"it does not end: {said}")

    def done(self, reply):
        return self.wait(reply["ResponseMetadata"]["RequestId"])

    def init(self):
        """eb init -p python-3.11 -r REGION"""
        self.eb.describe_applications()
        self.eb.create_application(ApplicationName=NAME, Description='Application created from the EB CLI using "eb init"')
        self.assertAwsError("InvalidParameterValue", self.eb.create_application, ApplicationName=NAME, Description="", status=400, message=f"Application {NAME} already exists.")
        branches = self.eb.list_platform_branches(Filters=[{"Attribute": "LifecycleState", "Operator": "!=", "Values": ["Retired"]}])["PlatformBranchSummaryList"]
        self.assertIn(BRANCH, [b["BranchName"] for b in branches])
        versions = self.eb.list_platform_versions(Filters=[{"Type": "PlatformBranchName", "Operator": "=", "Values": [BRANCH]}])["PlatformSummaryList"]
        self.assertEqual([v["PlatformBranchLifecycleState"] for v in versions], ["Supported"])
        stack, = [s for s in self.eb.list_available_solution_stacks()["SolutionStacks"] if s.endswith("running Python 3.11")]
        self.ec2.describe_key_pairs()
        return stack, versions[0]["PlatformArn"]

    def upload(self, label, **files):
        key = f"{NAME}/{label}.zip"
        bucket = self.eb.create_storage_location()["S3Bucket"]
        self.assertAwsError("404", self.s3.head_object, Bucket=bucket, Key=key, status=404)
        self.s3.put_object(Bucket=bucket, Key=key, Body=archive(files))
        self.eb.create_application_version(ApplicationName=NAME, VersionLabel=label, Description="EB-CLI deploy", SourceBundle={"S3Bucket": bucket, "S3Key": key}, Process=False)
        found = self.eb.describe_application_versions(ApplicationName=NAME, VersionLabels=[label])["ApplicationVersions"]
        self.assertEqual([v["Status"] for v in found], ["UNPROCESSED"])

    def create(self, name, stack, label, *more):
        """eb create NAME --single"""
        self.assertEqual(self.eb.describe_environments(ApplicationName=NAME, EnvironmentNames=[name], IncludeDeleted=False)["Environments"], [])
        self.assertTrue(self.eb.check_dns_availability(CNAMEPrefix=name)["Available"])
        self.iam.get_instance_profile(InstanceProfileName=PROFILE)
        try:
            self.iam.create_role(RoleName=SERVICE_ROLE, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "elasticbeanstalk.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
            for policy in ("AWSElasticBeanstalkEnhancedHealth", "AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy"):
                place = "service-role/" if policy.endswith("Health") else ""
                self.iam.attach_role_policy(RoleName=SERVICE_ROLE, PolicyArn=f"arn:aws:iam::aws:policy/{place}{policy}")
        except self.iam.exceptions.EntityAlreadyExistsException:
            pass
        reply = self.eb.create_environment(
            ApplicationName=NAME, EnvironmentName=name, Description="Environment created from the EB CLI using \"eb create\"", **({"VersionLabel": label} if label else {}),
            CNAMEPrefix=name, SolutionStackName=stack, Tier={"Name": "WebServer", "Type": "Standard", "Version": "1.0"}, Tags=[{"Key": "quartet:driver", "Value": "container"}],
            OptionSettings=[option("elasticbeanstalk:command", "BatchSize", "30"), option("elasticbeanstalk:command", "BatchSizeType", "Percentage"),
                            option("elb:policies", "ConnectionDrainingEnabled", "true"), option("elb:loadbalancer", "CrossZone", "true"),
                            option("elb:healthcheck", "Interval", "30"), option("autoscaling:launchconfiguration", "IamInstanceProfile", PROFILE),
                            option("elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"), option("elasticbeanstalk:environment", "ServiceRole", SERVICE_ROLE),
                            option("elasticbeanstalk:environment", "EnvironmentType", "SingleInstance"), *more])
        self.addCleanup(self.tool.drop, name)
        self.assertIn(f"Successfully launched environment: {name}", self.done(reply))

    def environment(self, name):
        found, = self.eb.describe_environments(ApplicationName=NAME, EnvironmentNames=[name], IncludeDeleted=False)["Environments"]
        return found

    def test_session(self):
        stack, arn = self.init()
        self.upload("app-1-260101_120000000000", **{"application.py": APP % "one"})
        self.create("tool-env", stack, "app-1-260101_120000000000")
        # eb status, eb open, eb printenv
        there = self.environment("tool-env")
        self.assertEqual((there["Status"], there["PlatformArn"], there["VersionLabel"]), ("Ready", arn, "app-1-260101_120000000000"))
        described = self.eb.describe_platform_version(PlatformArn=arn)["PlatformDescription"]
        self.assertEqual((described["PlatformBranchName"], described["SolutionStackName"]), (BRANCH, stack))
        settings, = self.eb.describe_configuration_settings(ApplicationName=NAME, EnvironmentName="tool-env")["ConfigurationSettings"]
        self.assertTrue(settings["OptionSettings"])
        self.assertEqual(self.tool.get(there["CNAME"]), "one - /")
        # eb health
        health = self.eb.describe_environment_health(EnvironmentName="tool-env", AttributeNames=["All"])
        self.assertIn(health["HealthStatus"], ("Ok", "Info", "Pending"))
        instances = self.eb.describe_instances_health(EnvironmentName="tool-env", AttributeNames=["All"])["InstanceHealthList"]
        self.assertEqual([i["Deployment"]["VersionLabel"] for i in instances], ["app-1-260101_120000000000"])
        # eb deploy
        self.upload("app-2-260101_130000000000", **{"application.py": APP % "two"})
        said = self.done(self.eb.update_environment(EnvironmentName="tool-env", VersionLabel="app-2-260101_130000000000"))
        self.assertIn("New application version was deployed to running EC2 instances.", said)
        self.assertEqual(self.tool.get(there["CNAME"]), "two - /")
        # eb setenv COLOUR=red, eb config
        said = self.done(self.eb.update_environment(EnvironmentName="tool-env", OptionSettings=[option("elasticbeanstalk:application:environment", "COLOUR", "red")]))
        self.assertEqual(self.tool.get(there["CNAME"]), "two red /")
        self.done(self.eb.update_environment(EnvironmentName="tool-env", OptionSettings=[option("elasticbeanstalk:command", "Timeout", "300")], OptionsToRemove=[
            {"Namespace": "aws:elasticbeanstalk:application:environment", "OptionName": "COLOUR"}]))
        self.assertEqual(self.tool.get(there["CNAME"]), "two - /")
        self.logs()
        self.configurations(there["EnvironmentId"])
        self.swap(stack)
        self.ends()

    def logs(self):
        """eb logs, eb logs --zip"""
        for kind in ("tail", "bundle"):
            self.done(self.eb.request_environment_info(EnvironmentName="tool-env", InfoType=kind))
            info, = self.eb.retrieve_environment_info(EnvironmentName="tool-env", InfoType=kind)["EnvironmentInfo"]
            with urllib.request.urlopen(info["Message"], timeout=10) as reply:
                data = reply.read()
            if kind == "tail":
                self.assertIn(b"/var/log/web.stdout.log", data)
            else:
                with zipfile.ZipFile(io.BytesIO(data)) as z:
                    self.assertIn("var/log/eb-engine.log", z.namelist())

    def configurations(self, environment_id):
        """eb config save, eb config list, eb config delete"""
        self.eb.create_configuration_template(ApplicationName=NAME, TemplateName="tool-env-sc", EnvironmentId=environment_id, Description="Configuration created from the EB CLI")
        self.assertAwsError("InvalidParameterValue", self.eb.create_configuration_template, ApplicationName=NAME, TemplateName="tool-env-sc", EnvironmentId=environment_id, status=400,
                            message="Configuration Template tool-env-sc already exists.")
        self.assertEqual(self.eb.describe_applications(ApplicationNames=[NAME])["Applications"][0]["ConfigurationTemplates"], ["tool-env-sc"])
        self.eb.delete_configuration_template(ApplicationName=NAME, TemplateName="tool-env-sc")

    def swap(self, stack):
        """eb create --sample, eb clone, eb swap"""
        self.create("other-env", stack, None)
        self.assertEqual(self.environment("other-env")["VersionLabel"], "Sample Application")
        self.eb.meta.events.register_first("before-call.elastic-beanstalk.CreateEnvironment", self.like)
        reply = self.eb.create_environment(ApplicationName=NAME, EnvironmentName="clone-env", VersionLabel="app-2-260101_130000000000", Tags=[{"Key": "quartet:driver", "Value": "container"}])
        self.eb.meta.events.unregister("before-call.elastic-beanstalk.CreateEnvironment", self.like)
        self.addCleanup(self.tool.drop, "clone-env")
        self.assertIn("Successfully launched environment: clone-env", self.done(reply))
        settings = [self.eb.describe_configuration_settings(ApplicationName=NAME, EnvironmentName=name)["ConfigurationSettings"][0] for name in ("tool-env", "clone-env")]
        self.assertEqual(settings[0]["OptionSettings"], settings[1]["OptionSettings"])
        self.assertEqual(self.tool.get(self.environment("clone-env")["CNAME"]), "two - /")
        names = [self.environment(name)["CNAME"] for name in ("tool-env", "other-env")]
        self.done(self.eb.swap_environment_cnames(SourceEnvironmentName="tool-env", DestinationEnvironmentName="other-env"))
        self.assertEqual([self.environment(name)["CNAME"] for name in ("tool-env", "other-env")], names[::-1])
        seen = [self.tool.get(name) for name in names]
        self.assertEqual((seen[1], "sample application for Python" in seen[0]), ("two - /", True), seen)

    @staticmethod
    def like(params, **_):
        """What the tool's own model has and boto3's does not."""
        params["body"]["TemplateSpecification.TemplateSource.EnvironmentName"] = "tool-env"

    def ends(self):
        """eb terminate, eb terminate --all"""
        said = self.done(self.eb.terminate_environment(EnvironmentName="other-env"))
        self.assertEqual(said[0], "terminateEnvironment is starting.")
        self.assertAwsError("InvalidParameterValue", self.eb.delete_application, ApplicationName=NAME, status=400, message=f"Unable to delete application {NAME}")
        reply = self.eb.delete_application(ApplicationName=NAME, TerminateEnvByForce=True)
        self.assertEqual(self.environment("tool-env")["Status"], "Terminating")
        until = time.monotonic() + PATIENCE_S
        def messages():
            return [e["Message"] for e in self.eb.describe_events(RequestId=reply["ResponseMetadata"]["RequestId"])["Events"]]
        while "The application has been deleted successfully." not in messages() and time.monotonic() < until:
            time.sleep(0.2)
        said = messages()
        self.assertEqual(said[0], "The application has been deleted successfully.")
        self.assertIn("terminateEnvironment completed successfully.", said)
        self.assertEqual(self.eb.describe_applications(ApplicationNames=[NAME])["Applications"], [])
        self.assertEqual(self.tool.left(), {"groups": [], "addresses": [], "templates": [], "scaling": [], "instances": []})


if __name__ == "__main__":
    unittest.main()
