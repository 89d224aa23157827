"""Environments of Elastic Beanstalk: from a bundle in S3 to something that answers on the web, other versions of it, and the end without a trace."""
import io
import time
import unittest
import urllib.request
import uuid
import zipfile

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, PATIENCE_S, PROFILE, Tool, coloured, option, wheel, why_no_platform
from images import image

REGION = "eu-west-3"
NOTHING = {"groups": [], "addresses": [], "templates": [], "scaling": [], "instances": []}
PROCFILE = "web: gunicorn --bind :$PORT --workers 2 application:application\nworker: sleep 1000000\n"


ANSWERS = """def application(environ, start_response):
    start_response((environ["PATH_INFO"][1:] or "200") + " As asked", [("Content-Type", "text/plain")])
    return [b"x"]
"""
# what `eb create --single` says of itself
OF_TOOL = [option("elasticbeanstalk:command", "BatchSize", "30"), option("elasticbeanstalk:command", "BatchSizeType", "Percentage"),
           option("autoscaling:updatepolicy:rollingupdate", "RollingUpdateEnabled", "true"), option("autoscaling:updatepolicy:rollingupdate", "RollingUpdateType", "Health"),
           option("elb:policies", "ConnectionDrainingEnabled", "true"), option("elb:healthcheck", "Interval", "30"), option("elb:loadbalancer", "CrossZone", "true"),
           option("elasticbeanstalk:environment", "EnvironmentType", "SingleInstance"), option("elasticbeanstalk:healthreporting:system", "SystemType", "enhanced")]


class EnvironmentCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb = cls.tool.eb
        if not image(cls.tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        cls.tool.version("v1", {"application.py": APP % "one"})

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")


@unittest.skipIf(why_no_platform(), why_no_platform())
class Environments(EnvironmentCase):
    def test_life(self):
        tool, prefix = self.tool, f"e{uuid.uuid4().hex[:12]}"
        made = tool.create("shop-env", "v1", coloured("dark blue \"$HOME\""), CNAMEPrefix=prefix, Description="first", Tags=[{"Key": "team", "Value": "red"}])
        self.addCleanup(tool.drop, "shop-env")
        cname = f"{prefix}.{REGION}.elasticbeanstalk.com"
        self.assertEqual((made["Status"], made["Health"], made["CNAME"], made["VersionLabel"]), ("Launching", "Grey", cname, "v1"))
        self.assertRegex(made["EnvironmentId"], "^e-[a-z0-9]{10}$")
        self.assertEqual(made["Tier"], {"Name": "WebServer", "Type": "Standard", "Version": "1.0"})
        for call, more in ((self.eb.terminate_environment, {}), (self.eb.update_environment, {"VersionLabel": "v1"})):
            self.assertAwsError("InvalidParameterValue", call, EnvironmentName="shop-env", status=400, **more,
                                message="Environment named shop-env is in an invalid state for this operation. Must be Ready.")
        said = tool.wait(made)
        there = tool.environment("shop-env")
        suffix = made["EnvironmentId"] + "-stack-"
        groups = tool.left()
        self.assertEqual(said, [
            "createEnvironment is starting.", f"Using {tool.bucket} as Amazon S3 storage bucket for environment data.",
            f"Created security group named: {groups['groups'][0]}", f"Created EIP: {there['EndpointURL']}",
            f"Created Auto Scaling group named: {groups['scaling'][0]}", "Waiting for EC2 instances to launch. This may take a few minutes.",
            "Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully.", f"Application available at {cname}.",
            "Successfully launched environment: shop-env"])
        self.assertIn(suffix + "AWSEBSecurityGroup-", groups["groups"][0])
        self.assertEqual((there["Status"], there["Health"], there["AbortableOperationInProgress"]), ("Ready", "Green", False))
        self.assertEqual(tool.get(cname, "/x"), 'one dark blue "$HOME" /x')
        self.look_around(made["EnvironmentId"])
        self.logs(there["EnvironmentId"])
        self.deploy(cname)
        self.end(made["EnvironmentId"])

    def test_swap(self):
        tool, names = self.tool, ("blue-env", "green-env")
        made = [tool.create(name, "v1", coloured(name)) for name in names]
        for name in names:
            self.addCleanup(tool.drop, name)
        for one in made:
            self.assertIn("Successfully launched environment: ", tool.wait(one)[-1])
        before = [tool.environment(name)["CNAME"] for name in names]
        self.assertEqual([tool.get(cname) for cname in before], ["one blue-env /", "one green-env /"])
        self.assertAwsError("InvalidParameterCombination", self.eb.swap_environment_cnames, SourceEnvironmentName=names[0], DestinationEnvironmentName=names[0])
        said = tool.wait(self.eb.swap_environment_cnames(SourceEnvironmentName=names[0], DestinationEnvironmentName=names[1]))
        self.assertEqual(said, ["swapEnvironmentCNAMEs is starting.", "Swapping CNAMEs for environments 'blue-env' and 'green-env'.",
                                "Completed swapping CNAMEs for environments 'blue-env' and 'green-env'."])
        self.assertEqual([tool.environment(name)["CNAME"] for name in names], before[::-1])
        self.until(lambda: [tool.get(cname) for cname in before] == ["one green-env /", "one blue-env /"])
        tool.wait(self.eb.terminate_environment(EnvironmentName=names[0]))
        self.assertEqual([tool.get(cname) for cname in before], ["one green-env /", None])
        # its name is free: the one that goes had it last
        self.assertTrue(self.eb.check_dns_availability(CNAMEPrefix=before[1].split(".")[0])["Available"])
        self.assertFalse(self.eb.check_dns_availability(CNAMEPrefix=before[0].split(".")[0])["Available"])

    def health(self):
        return self.eb.describe_environment_health(EnvironmentName="well-env", AttributeNames=["All"])

    def test_health(self):
        """Enhanced: an environment is judged by what its proxy counts, and says why."""
        tool = self.tool
        tool.version("asked", {"application.py": ANSWERS})
        made = tool.create("well-env", "asked", *OF_TOOL)
        self.addCleanup(tool.drop, "well-env")
        pending = self.until(lambda: (h := self.health())["HealthStatus"] == "Pending" and h)
        self.assertEqual((pending["Status"], pending["Color"]), ("Launching", "Grey"))
        self.assertRegex(pending["Causes"][0], r"^Initialization in progress \(running for \d+ seconds?\)\.$")
        self.assertIn("Successfully launched environment: ", tool.wait(made)[-1])
        there = tool.environment("well-env")
        self.assertEqual((there["Health"], there["HealthStatus"], there["Status"]), ("Green", "Ok", "Ready"))
        well = self.health()
        self.assertEqual((well["HealthStatus"], well["Color"], well["Status"], well["Causes"], well["EnvironmentName"]), ("Ok", "Green", "Ready", [], "well-env"))
        self.assertEqual(well["InstancesHealth"], {"NoData": 0, "Unknown": 0, "Pending": 0, "Ok": 1, "Info": 0, "Warning": 0, "Degraded": 0, "Severe": 0})
        self.assertEqual(set(self.eb.describe_environment_health(EnvironmentName="well-env")) - {"ResponseMetadata"}, {"EnvironmentName"})
        one = self.until(lambda: (i := self.instance()).get("System") and i)
        resources = self.eb.describe_environment_resources(EnvironmentName="well-env")["EnvironmentResources"]
        seen = tool.ec2.describe_instances(InstanceIds=[resources["Instances"][0]["Id"]])["Reservations"][0]["Instances"][0]
        self.assertEqual((one["InstanceId"], one["HealthStatus"], one["Color"]), (seen["InstanceId"], "Ok", "Green"))
        self.until(lambda: self.instance().get("AvailabilityZone") == seen["Placement"]["AvailabilityZone"])
        self.assertEqual(self.instance()["InstanceType"], seen["InstanceType"])
        self.assertEqual({k: one["Deployment"][k] for k in ("VersionLabel", "DeploymentId", "Status")}, {"VersionLabel": "asked", "DeploymentId": 1, "Status": "Deployed"})
        self.assertEqual(set(one["System"]["CPUUtilization"]), {"User", "Nice", "System", "Idle", "IOWait", "IRQ", "SoftIRQ"})
        self.assertEqual(len(one["System"]["LoadAverage"]), 2)
        self.fail_requests(there["CNAME"])
        # a version that cannot be installed
        tool.version("not-asked", {"readme.txt": "x"})
        self.assertEqual(tool.wait(self.eb.update_environment(EnvironmentName="well-env", VersionLabel="not-asked"))[-1], "Failed to deploy application.")
        self.assertEqual([tool.environment("well-env")[k] for k in ("Health", "HealthStatus", "Status")], ["Red", "Degraded", "Ready"])
        self.assertEqual(self.health()["Causes"], ["Command failed on all instances.",
                                                   'Incorrect application version found on all instances. Expected version "asked" (deployment 2).'])
        self.assertEqual(self.instance()["Deployment"]["Status"], "Failed")
        said = [e["Message"] for e in self.eb.describe_events(EnvironmentName="well-env")["Events"][::-1] if e["Message"].startswith("Environment health")]
        self.assertRegex(said[0], r"^Environment health has transitioned to Pending\. Initialization in progress \(running for \d+ seconds?\)\. There are no instances\.$")
        self.assertRegex(said[1], r"^Environment health has transitioned from Pending to Ok\. Initialization completed 0 seconds ago and took \d+ seconds?\.$")
        self.assertRegex(" ".join(said), r"transitioned from [A-Za-z]+ to Severe\. \d+\.\d % of the requests are failing with HTTP 5xx\.")
        self.assertRegex(said[-1], r"from Info to Degraded\. Command failed on all instances\. Incorrect application version .* Application update failed 0 seconds ago and took \d+ s")
        tool.wait(self.eb.terminate_environment(EnvironmentName="well-env"))

    def instance(self):
        one, = self.eb.describe_instances_health(EnvironmentName="well-env", AttributeNames=["All"])["InstanceHealthList"]
        return one

    def fail_requests(self, cname):
        """A hundred in one go are of one minute: more than half fail. Then as many go well that those do not matter."""
        def send(status, times):
            for _ in range(times):
                self.tool.get(cname, f"/{status}")
        send(200, 30)
        send(404, 5)
        send(503, 65)
        counted = self.until(lambda: (m := self.health()["ApplicationMetrics"])["RequestCount"] and m)
        self.assertEqual((counted["Duration"], sum(counted["StatusCodes"].values())), (10, counted["RequestCount"]))
        times = [counted["Latency"][p] for p in ("P10", "P50", "P75", "P85", "P90", "P95", "P99", "P999")]
        self.assertEqual(times, sorted(times))
        severe = self.until(lambda: (h := self.health())["HealthStatus"] == "Severe" and h)
        self.assertEqual((severe["Color"], severe["InstancesHealth"]["Severe"]), ("Red", 1))
        self.assertRegex(severe["Causes"][0], r"^\d+\.\d % of the requests are failing with HTTP 5xx\.$")
        self.until(lambda: self.tool.environment("well-env")["HealthStatus"] == "Severe")
        send(200, 900)
        self.until(lambda: self.tool.environment("well-env")["HealthStatus"] == "Ok")

    def look_around(self, environment_id):
        resources = self.eb.describe_environment_resources(EnvironmentName="shop-env")["EnvironmentResources"]
        (instance,), (group,) = resources["Instances"], resources["AutoScalingGroups"]
        seen = self.tool.ec2.describe_instances(InstanceIds=[instance["Id"]])["Reservations"][0]["Instances"][0]
        tags = {t["Key"]: t["Value"] for t in seen["Tags"]}
        self.assertEqual({k: tags[k] for k in ("team", "Name", "elasticbeanstalk:environment-name", "elasticbeanstalk:environment-id", "aws:autoscaling:groupName")},
                         {"team": "red", "Name": "shop-env", "elasticbeanstalk:environment-name": "shop-env", "elasticbeanstalk:environment-id": environment_id,
                          "aws:autoscaling:groupName": group["Name"]})
        self.assertEqual(seen["IamInstanceProfile"]["Arn"].split("/")[-1], PROFILE)
        for call in (self.eb.describe_environment_health, self.eb.describe_instances_health):
            self.assertAwsError("InvalidRequestException", call, EnvironmentName="shop-env", status=400, message="not supported")
        settings, = self.eb.describe_configuration_settings(ApplicationName=self.tool.application, EnvironmentName="shop-env")["ConfigurationSettings"]
        said = {(s["Namespace"], s["OptionName"]): s.get("Value") for s in settings["OptionSettings"]}
        self.assertEqual(said["aws:elasticbeanstalk:environment", "EnvironmentType"], "SingleInstance")
        self.assertEqual(said["aws:elasticbeanstalk:application:environment", "COLOUR"], 'dark blue "$HOME"')
        self.assertAwsError("InvalidParameterValue", self.tool.create, "shop-env", "v1", status=400, message="Environment shop-env already exists.")
        prefix = self.tool.environment("shop-env")["CNAME"].split(".")[0]
        self.assertAwsError("InvalidParameterValue", self.tool.create, "other-env", "v1", CNAMEPrefix=prefix, status=400, message="is not available.")
        self.assertFalse(self.eb.check_dns_availability(CNAMEPrefix=prefix.upper())["Available"])
        self.assertAwsError("InvalidParameterValue", self.eb.delete_application, ApplicationName=self.tool.application, status=400)
        self.assertAwsError("InvalidParameterValue", self.eb.delete_application_version, ApplicationName=self.tool.application, VersionLabel="v1", status=400)

    def logs(self, environment_id):
        instance = self.eb.describe_environment_resources(EnvironmentName="shop-env")["EnvironmentResources"]["Instances"][0]["Id"]
        found = {}
        for kind, done in (("tail", "tailing"), ("bundle", "bundling")):
            self.assertEqual(self.eb.retrieve_environment_info(EnvironmentName="shop-env", InfoType=kind)["EnvironmentInfo"], [])
            request = self.eb.request_environment_info(EnvironmentName="shop-env", InfoType=kind)["ResponseMetadata"]["RequestId"]
            said = self.until(lambda: (m := [e["Message"] for e in self.tool.events(request)])[-1] == "Pulled logs for environment instances." and m)  # noqa: B023
            self.assertEqual(said[:2], ["requestEnvironmentInfo is starting.", f"[Instance: {instance}] Successfully finished {done} 4 log(s)"])
            info, = self.eb.retrieve_environment_info(EnvironmentName="shop-env", InfoType=kind)["EnvironmentInfo"]
            self.assertEqual((info["InfoType"], info["Ec2InstanceId"]), (kind, instance))
            self.assertIn(f"/{self.tool.bucket}/resources/environments/logs/{kind}/{environment_id}/{instance}/", info["Message"])
            with urllib.request.urlopen(info["Message"], timeout=10) as reply:
                found[kind] = reply.read()
        text = found["tail"].decode()
        self.assertIn("-" * 40 + "\n/var/log/nginx/access.log\n" + "-" * 40 + "\n", text)
        self.assertIn('"GET /x HTTP/1.1" 200', text)
        with zipfile.ZipFile(io.BytesIO(found["bundle"])) as z:
            self.assertEqual(sorted(z.namelist()), ["var/log/eb-engine.log", "var/log/nginx/access.log", "var/log/nginx/error.log", "var/log/web.stdout.log"])
            self.assertIn(b"GET /x", z.read("var/log/nginx/access.log"))
        for call in (self.eb.request_environment_info, self.eb.retrieve_environment_info):
            self.assertAwsError("InvalidParameterValue", call, EnvironmentName="shop-env", InfoType="analyze", status=400, message="not supported")

    def deploy(self, cname):
        """Another version with a Procfile and packages that come along, one that cannot be, other properties, and all anew."""
        tool = self.tool
        tool.version("v2", {"application.py": APP.replace("import os", "import os, letters") % "two", "Procfile": PROCFILE, "requirements.txt": "letters==1.0\n",
                            "vendor/letters-1.0-py3-none-any.whl": wheel("letters", "A = 1\n")})
        said = tool.wait(self.eb.update_environment(EnvironmentName="shop-env", VersionLabel="v2"))
        self.assertEqual(said, ["Environment update is starting.", "Deploying new version to instance(s).",
                                "Instance deployment used the commands in your 'Procfile' to initiate startup of your application.",
                                "Instance deployment completed successfully.", "New application version was deployed to running EC2 instances.",
                                "Environment update completed successfully."])
        self.assertEqual(tool.environment("shop-env")["VersionLabel"], "v2")
        self.assertEqual(tool.get(cname), 'two dark blue "$HOME" /')
        for label, files in (("bad-zip", b"no archive"), ("bad-line", {"Procfile": "nonsense\n"}), ("no-app", {"readme.txt": "x"}),
                             ("no-package", {"application.py": APP % "no", "requirements.txt": "none==1\n", "vendor/x.txt": ""})):
            tool.version(label, files)
            said = tool.wait(self.eb.update_environment(EnvironmentName="shop-env", VersionLabel=label))
            self.assertEqual(said[-1], "Failed to deploy application.")
            self.assertRegex(said[-2], r"^Unsuccessful command execution on instance id\(s\) 'i-[0-9a-f]+'. Aborting the operation.$")
            there = tool.environment("shop-env")
            self.assertEqual((there["Status"], there["Health"], there["VersionLabel"]), ("Ready", "Red", "v2"), label)
            self.assertEqual(tool.get(cname), 'two dark blue "$HOME" /', label)
        tool.version("crash", {"application.py": "raise SystemExit(3)\n"})
        said = tool.wait(self.eb.update_environment(EnvironmentName="shop-env", VersionLabel="crash"))
        self.assertEqual(said[-1], "Update environment operation is complete, but with errors. For more information, see troubleshooting documentation.")
        self.assertEqual((tool.environment("shop-env")["Health"], tool.environment("shop-env")["VersionLabel"]), ("Red", "crash"))
        tool.wait(self.eb.update_environment(EnvironmentName="shop-env", VersionLabel="v2"))
        said = tool.wait(self.eb.update_environment(EnvironmentName="shop-env", OptionSettings=[coloured("green")]))
        self.assertEqual(said, ["Environment update is starting.", "Updating environment shop-env's configuration settings.",
                                "Instance deployment used the commands in your 'Procfile' to initiate startup of your application.",
                                "Instance deployment completed successfully.", "Successfully deployed new configuration to environment."])
        self.assertEqual((tool.get(cname), tool.environment("shop-env")["Health"]), ("two green /", "Green"))
        tool.wait(self.eb.update_environment(EnvironmentName="shop-env", OptionsToRemove=[
            {"Namespace": "aws:elasticbeanstalk:application:environment", "OptionName": "COLOUR"}]))
        self.assertEqual(tool.get(cname), "two - /")
        self.assertEqual(tool.wait(self.eb.restart_app_server(EnvironmentName="shop-env"))[-1], "restartAppServer completed successfully.")
        self.assertEqual(tool.get(cname), "two - /")
        # the group replaces an instance that goes, and the next one gets the address and the version
        before = self.eb.describe_environment_resources(EnvironmentName="shop-env")["EnvironmentResources"]["Instances"]
        tool.ec2.terminate_instances(InstanceIds=[before[0]["Id"]])
        self.until(lambda: self.eb.describe_environment_resources(EnvironmentName="shop-env")["EnvironmentResources"]["Instances"] not in ([], before))
        self.until(lambda: tool.get(cname) == "two - /")
        self.until(lambda: tool.environment("shop-env")["Health"] == "Green")

    def end(self, environment_id):
        tool = self.tool
        said = tool.wait(self.eb.terminate_environment(EnvironmentName="shop-env"))
        self.assertEqual([said[0], said[-1]], ["terminateEnvironment is starting.", "terminateEnvironment completed successfully."])
        for beginning in ("Waiting for EC2 instances to terminate.", "Deleted Auto Scaling group named: ", "Deleted EIP: ", "Deleted security group named: "):
            self.assertEqual(len([m for m in said if m.startswith(beginning)]), 1, beginning)
        self.assertEqual(tool.left(), NOTHING)
        self.assertIsNone(tool.environment("shop-env"))
        ended = [e for e in self.eb.describe_environments(IncludeDeleted=True, EnvironmentIds=[environment_id])["Environments"]]
        self.assertEqual([e["Status"] for e in ended], ["Terminated"])
        self.assertAwsError("InvalidParameterValue", self.eb.terminate_environment, EnvironmentName="shop-env", status=400,
                            message="No Environment found for EnvironmentName = 'shop-env'.")


class Refused(EnvironmentCase):
    def test_options(self):
        stack, = [s for s in self.eb.list_available_solution_stacks()["SolutionStacks"] if s.endswith("Python 3.11")]
        found = {(o["Namespace"], o["Name"]): o for o in self.eb.describe_configuration_options(SolutionStackName=stack)["Options"]}
        timeout = found["aws:elasticbeanstalk:command", "Timeout"]
        self.assertEqual((timeout["DefaultValue"], timeout["MinValue"], timeout["MaxValue"], timeout["ChangeSeverity"]), ("600", 1, 3600, "NoInterruption"))
        self.assertIn("SingleInstance", found["aws:elasticbeanstalk:environment", "EnvironmentType"]["ValueOptions"])
        some = self.eb.describe_configuration_options(SolutionStackName=stack, Options=[{"Namespace": "aws:elasticbeanstalk:container:python"}])["Options"]
        self.assertEqual(sorted(o["Name"] for o in some), ["NumProcesses", "NumThreads", "WSGIPath"])
        self.assertAwsError("InvalidParameterValue", self.eb.describe_configuration_options, SolutionStackName="none", status=400)

        def wrong(*options):
            told = self.eb.validate_configuration_settings(ApplicationName=self.tool.application, OptionSettings=list(options))["Messages"]
            return [(m["Severity"], m["OptionName"], m["Message"]) for m in told]
        self.assertEqual(wrong(option("elasticbeanstalk:command", "Timeout", "60"), coloured("x")), [])
        self.assertEqual(wrong(option("elasticbeanstalk:command", "Timeout", "60"), option("elasticbeanstalk:command", "Colour", "red")), [
            ("error", "Colour", "Invalid option specification (Namespace: 'aws:elasticbeanstalk:command', OptionName: 'Colour'): Unknown configuration setting.")])

    def test_bad_input(self):
        tool = self.tool
        free = f"e{uuid.uuid4().hex[:12]}"
        self.assertEqual(self.eb.check_dns_availability(CNAMEPrefix=free)["FullyQualifiedCNAME"], f"{free}.{REGION}.elasticbeanstalk.com")
        unknown = option("autoscaling:launchconfiguration", "Colour", "red")
        for code, message, options, more in (
                ("ConfigurationValidationException", "(Namespace: 'aws:autoscaling:launchconfiguration', OptionName: 'Colour'): Unknown configuration setting.", [unknown], {}),
                ("ConfigurationValidationException", "Value is not", [option("elasticbeanstalk:command", "Timeout", "soon")], {}),
                ("ConfigurationValidationException", "not supported", [option("elasticbeanstalk:environment", "LoadBalancerType", "classic")], {}),
                ("ConfigurationValidationException", "'MinSize'): It must be at most MaxSize.", [option("autoscaling:asg", "MinSize", "5")], {"balanced": True}),
                ("ConfigurationValidationException", "not supported", [option("elasticbeanstalk:command", "DeploymentPolicy", "Immutable")], {}),
                ("ConfigurationValidationException", "instance type", [option("autoscaling:launchconfiguration", "InstanceType", "t0.none")], {}),
                ("InvalidParameterValue", "does not exist", [option("autoscaling:launchconfiguration", "IamInstanceProfile", "nobody")], {}),
                ("InvalidParameterValue", "longer than 4096", [coloured("x" * 4096)], {}),
                ("InvalidParameterValue", "not supported", [], {"Tier": {"Name": "Worker", "Type": "Standard"}}),
                ("InvalidParameterValue", "CNAME", [], {"CNAMEPrefix": "a_b_c_d"})):
            self.assertAwsError(code, tool.create, "some-env", "v1", *options, status=400, message=message, **more)
        self.assertAwsError("InvalidParameterValue", tool.create, "some-env", "none", status=400, message="No Application Version named 'none' found.")
        self.assertAwsError("InvalidParameterValue", tool.create, "some-env-", "v1", status=400, message="may not start or end with a dash")
        self.assertAwsError("InvalidParameterValue", self.eb.create_environment, ApplicationName=tool.application, EnvironmentName="some-env", VersionLabel="v1",
                            SolutionStackName="64bit Cobol", status=400, message="No Solution Stack named '64bit Cobol' found.")
        self.assertIsNone(tool.environment("some-env"))
        for call in (self.eb.terminate_environment, self.eb.restart_app_server, self.eb.describe_environment_resources, self.eb.update_environment):
            self.assertAwsError("InvalidParameterValue", call, EnvironmentName="nobody", status=400, message="No Environment found for EnvironmentName = 'nobody'.")


if __name__ == "__main__":
    unittest.main()
