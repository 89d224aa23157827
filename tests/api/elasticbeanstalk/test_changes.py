"""Saved configurations of Elastic Beanstalk, and what changes of options do to an environment: nothing, a restart, another instance."""
import time
import unittest

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, PATIENCE_S, PROFILE, Tool, coloured, option, why_no_platform
from images import image

REGION = "ap-southeast-3"
TIMEOUT = ("aws:elasticbeanstalk:command", "Timeout")
TYPE = ("aws:autoscaling:launchconfiguration", "InstanceType")
STARTS, ENDS = "Environment update is starting.", "Successfully deployed new configuration to environment."


class ChangesCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb = cls.tool.eb
        cls.tool.version("v1", {"application.py": APP % "one"})
        cls.stack, = [s for s in cls.eb.list_available_solution_stacks()["SolutionStacks"] if s.endswith("Python 3.11")]

    def settings(self, **of):
        found, = self.eb.describe_configuration_settings(ApplicationName=self.tool.application, **of)["ConfigurationSettings"]
        return found, {(o["Namespace"], o["OptionName"]): o.get("Value") for o in found["OptionSettings"]}

    def make(self, name, **more):
        return self.eb.create_configuration_template(ApplicationName=self.tool.application, TemplateName=name, **more)

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")


class Templates(ChangesCase):
    def test_life(self):
        eb, mine = self.eb, self.tool.application
        made = self.make("first", SolutionStackName=self.stack, Description="of old", Tags=[{"Key": "team", "Value": "red"}],
                         OptionSettings=[option("elasticbeanstalk:command", "Timeout", "60"), coloured("red")])
        self.assertEqual((made["ApplicationName"], made["TemplateName"], made["SolutionStackName"], made["Description"]), (mine, "first", self.stack, "of old"))
        self.assertNotIn("OptionSettings", made)
        found, values = self.settings(TemplateName="first")
        self.assertEqual((found["TemplateName"], found["PlatformArn"]), ("first", made["PlatformArn"]))
        self.assertNotIn("EnvironmentName", found)
        self.assertEqual((values[TIMEOUT], values[TYPE], values["aws:elasticbeanstalk:application:environment", "COLOUR"]), ("60", "t3.micro", "red"))
        self.assertEqual(eb.list_tags_for_resource(ResourceArn=f"arn:aws:elasticbeanstalk:{REGION}:000000000000:configurationtemplate/{mine}/first")["ResourceTags"],
                         [{"Key": "team", "Value": "red"}])
        self.assertEqual(eb.describe_configuration_options(ApplicationName=mine, TemplateName="first")["SolutionStackName"], self.stack)
        self.make("second", SourceConfiguration={"ApplicationName": mine, "TemplateName": "first"}, OptionSettings=[option("elasticbeanstalk:command", "Timeout", "90")])
        self.assertEqual([self.settings(TemplateName=name)[1][TIMEOUT] for name in ("first", "second")], ["60", "90"])
        self.assertEqual(self.settings(TemplateName="second")[1]["aws:elasticbeanstalk:application:environment", "COLOUR"], "red")
        eb.update_configuration_template(ApplicationName=mine, TemplateName="second", Description="", OptionSettings=[coloured("blue")],
                                         OptionsToRemove=[{"Namespace": TIMEOUT[0], "OptionName": TIMEOUT[1]}])
        _, values = self.settings(TemplateName="second")
        self.assertEqual((values[TIMEOUT], values["aws:elasticbeanstalk:application:environment", "COLOUR"]), ("600", "blue"))
        names = eb.describe_applications(ApplicationNames=[mine])["Applications"][0]["ConfigurationTemplates"]
        self.assertLessEqual({"first", "second"}, set(names))
        self.assertEqual(eb.validate_configuration_settings(ApplicationName=mine, TemplateName="first", OptionSettings=[coloured("x")])["Messages"], [])
        for name in ("first", "second"):
            eb.delete_configuration_template(ApplicationName=mine, TemplateName=name)
        self.assertLessEqual(set(eb.describe_applications(ApplicationNames=[mine])["Applications"][0]["ConfigurationTemplates"]), {"there", "saved", "small", "filed"})

    def test_files(self):
        """eb config save, get, put, list, delete: saved configurations are files of the bucket, and what is put there counts."""
        eb, s3, bucket, mine = self.eb, self.tool.s3, self.tool.bucket, self.tool.application

        def key(name):
            return f"resources/templates/{mine}/{name}"

        def edited(name, *changes):
            text = s3.get_object(Bucket=bucket, Key=key("filed"))["Body"].read().decode()
            for old, new in changes:
                self.assertIn(old, text)
                text = text.replace(old, new)
            s3.put_object(Bucket=bucket, Key=key(name), Body=text.encode())
        made = self.make("filed", SolutionStackName=self.stack, Description='of "old"', OptionSettings=[option("elasticbeanstalk:command", "Timeout", "60"), coloured("a: #b")])
        self.addCleanup(eb.delete_configuration_template, ApplicationName=mine, TemplateName="filed")
        text = s3.get_object(Bucket=bucket, Key=key("filed"))["Body"].read().decode()
        self.assertRegex(text, r"^EnvironmentConfigurationMetadata:\n  Description: .*\n  DateCreated: '\d{13}'\n  DateModified: '\d{13}'\nPlatform:\n  PlatformArn: \"" + made["PlatformArn"])
        self.assertTrue(text.endswith("AWSConfigurationTemplateVersion: 1.1.0.0\n"), text)
        _, values = self.settings(TemplateName="filed")
        self.assertEqual((values[TIMEOUT], values["aws:elasticbeanstalk:application:environment", "COLOUR"]), ("60", "a: #b"))
        edited("filed", ('"60"', "77"))
        self.assertEqual(self.settings(TemplateName="filed")[1][TIMEOUT], "77")
        # one that was never made by an operation
        edited("put", ("77", "88"))
        self.assertEqual(eb.validate_configuration_settings(ApplicationName=mine, TemplateName="put", OptionSettings=[])["Messages"], [])
        found, values = self.settings(TemplateName="put")
        self.assertEqual((found["TemplateName"], found["SolutionStackName"], values[TIMEOUT]), ("put", self.stack, "88"))
        for name, change, why in (("wrong", ("77", "soon"), "Invalid option value: 'soon'"), ("broken", ("OptionSettings:", "OptionSettings: ["), "env.yaml"),
                                  ("alien", ("Python", "Cobol"), "No Platform found")):
            edited(name, change)
            self.assertAwsError("InvalidParameterValue", eb.validate_configuration_settings, ApplicationName=mine, TemplateName=name, OptionSettings=[], status=400, message=why)
            self.assertAwsError("InvalidParameterValue", eb.create_environment, ApplicationName=mine, TemplateName=name, EnvironmentName="some-env", VersionLabel="v1", status=400,
                                message=why)
            s3.delete_object(Bucket=bucket, Key=key(name))
        self.assertAwsError("InvalidParameterValue", eb.create_environment, ApplicationName=mine, TemplateName="put", EnvironmentName="some-env", VersionLabel="v1", status=400,
                            message="must have instance profile")
        s3.delete_object(Bucket=bucket, Key=key("put"))
        eb.update_configuration_template(ApplicationName=mine, TemplateName="filed", OptionSettings=[option("elasticbeanstalk:command", "Timeout", "99")])
        self.assertIn('"99"', s3.get_object(Bucket=bucket, Key=key("filed"))["Body"].read().decode())
        self.make("gone", SolutionStackName=self.stack)
        eb.delete_configuration_template(ApplicationName=mine, TemplateName="gone")
        self.assertAwsError("404", s3.head_object, Bucket=bucket, Key=key("gone"), status=404)

    def test_bad_input(self):
        eb, mine = self.eb, self.tool.application
        self.make("there", SolutionStackName=self.stack)
        none = f"No Configuration Template named '{mine}/none' found."
        for code, message, call, more in (
                ("InvalidParameterValue", "Configuration Template there already exists.", eb.create_configuration_template, {"TemplateName": "there", "SolutionStackName": self.stack}),
                ("InvalidParameterValue", "No Solution Stack named '64bit Cobol' found.", eb.create_configuration_template, {"TemplateName": "x", "SolutionStackName": "64bit Cobol"}),
                ("InvalidParameterValue", "cannot contain '/'", eb.create_configuration_template, {"TemplateName": "a/b", "SolutionStackName": self.stack}),
                ("InvalidParameterCombination", "may not be specified", eb.create_configuration_template,
                 {"TemplateName": "x", "EnvironmentId": "e-1", "SourceConfiguration": {"ApplicationName": mine, "TemplateName": "there"}}),
                ("InvalidParameterValue", "No Environment found for EnvironmentId = 'e-1'.", eb.create_configuration_template, {"TemplateName": "x", "EnvironmentId": "e-1"}),
                ("InvalidParameterValue", none, eb.create_configuration_template, {"TemplateName": "x", "SourceConfiguration": {"ApplicationName": mine, "TemplateName": "none"}}),
                ("ConfigurationValidationException", "Unknown configuration setting.", eb.create_configuration_template,
                 {"TemplateName": "x", "SolutionStackName": self.stack, "OptionSettings": [option("elasticbeanstalk:command", "Colour", "1")]}),
                ("ConfigurationValidationException", "Value is not", eb.update_configuration_template,
                 {"TemplateName": "there", "OptionSettings": [option("elasticbeanstalk:command", "Timeout", "soon")]}),
                ("InvalidParameterValue", none, eb.update_configuration_template, {"TemplateName": "none"}),
                ("InvalidParameterValue", none, eb.delete_configuration_template, {"TemplateName": "none"}),
                ("InvalidParameterValue", none, eb.describe_configuration_settings, {"TemplateName": "none"}),
                ("InvalidParameterCombination", "either", eb.describe_configuration_settings, {"TemplateName": "there", "EnvironmentName": "some-env"}),
                ("InvalidParameterValue", none, eb.create_environment, {"TemplateName": "none", "EnvironmentName": "some-env", "VersionLabel": "v1"}),
                ("InvalidParameterValue", "must have instance profile", eb.create_environment, {"TemplateName": "there", "EnvironmentName": "some-env", "VersionLabel": "v1"}),
                ("InvalidParameterCombination", "TemplateName", eb.create_environment,
                 {"TemplateName": "there", "EnvironmentName": "some-env", "VersionLabel": "v1", "SolutionStackName": self.stack})):
            self.assertAwsError(code, call, ApplicationName=mine, status=400, message=message, **more)
        names = eb.describe_applications(ApplicationNames=[mine])["Applications"][0]["ConfigurationTemplates"]
        self.assertEqual((names, self.settings(TemplateName="there")[1][TIMEOUT]), (["there"], "600"))
        self.assertIsNone(self.tool.environment("some-env"))
        self.assertAwsError("InvalidParameterValue", eb.create_configuration_template, ApplicationName="nobody", TemplateName="x", SolutionStackName=self.stack,
                            status=400, message="No Application named 'nobody' found.")


@unittest.skipIf(why_no_platform(), why_no_platform())
class Changes(ChangesCase):
    def instance(self):
        """The one that is in service and its type."""
        found = self.eb.describe_environment_resources(EnvironmentName="change-env")["EnvironmentResources"]["Instances"]
        name = found[0]["Id"]
        return name, self.tool.ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]["InstanceType"]

    def update(self, *options, **more):
        return self.tool.wait(self.eb.update_environment(EnvironmentName="change-env", OptionSettings=list(options), **more))

    def test_changes(self):
        tool, eb = self.tool, self.eb
        if not image(tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        self.make("small", SolutionStackName=self.stack, OptionSettings=[option("autoscaling:launchconfiguration", "IamInstanceProfile", PROFILE), coloured("red"),
                                                                         option("elasticbeanstalk:environment", "EnvironmentType", "SingleInstance"),
                                                                         option("elasticbeanstalk:command", "Timeout", "300")])
        made = eb.create_environment(ApplicationName=tool.application, EnvironmentName="change-env", VersionLabel="v1", TemplateName="small",
                                     OptionSettings=[option("elasticbeanstalk:command", "Timeout", "240")], Tags=[{"Key": "quartet:driver", "Value": "container"}])
        self.addCleanup(tool.drop, "change-env")
        self.assertEqual(made["SolutionStackName"], self.stack)
        self.assertIn("Successfully launched environment: ", tool.wait(made)[-1])
        cname = tool.environment("change-env")["CNAME"]
        self.assertEqual(tool.get(cname), "one red /")
        self.assertEqual(self.settings(EnvironmentName="change-env")[1][TIMEOUT], "240")
        updating = "Updating environment change-env's configuration settings."
        # what no instance has to know of
        before = self.instance()
        self.assertEqual(self.update(option("elasticbeanstalk:command", "Timeout", "200")), [STARTS, updating, ENDS])
        self.assertEqual((self.instance(), tool.get(cname), self.settings(EnvironmentName="change-env")[1][TIMEOUT]), (before, "one red /", "200"))
        there = tool.environment("change-env")
        self.assertEqual((there["Status"], there["Health"]), ("Ready", "Green"))
        # what another instance is needed for, which gets the address and the new properties as well
        said = self.update(option("autoscaling:launchconfiguration", "InstanceType", "t3.small"), coloured("green"))
        self.assertEqual(said, [STARTS, updating, "Waiting for EC2 instances to launch. This may take a few minutes.",
                                "Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully.", ENDS])
        after = self.instance()
        self.assertNotEqual(after[0], before[0])
        self.assertEqual((before[1], after[1]), ("t3.micro", "t3.small"))
        self.until(lambda: tool.get(cname) == "one green /")  # the address moves
        self.assertEqual(tool.environment("change-env")["EndpointURL"], there["EndpointURL"])
        # a saved configuration of it, and an older one on it
        eb.create_configuration_template(ApplicationName=tool.application, TemplateName="saved", EnvironmentId=made["EnvironmentId"])
        _, saved = self.settings(TemplateName="saved")
        self.assertEqual((saved[TYPE], saved[TIMEOUT], saved["aws:elasticbeanstalk:application:environment", "COLOUR"]), ("t3.small", "200", "green"))
        self.update(option("autoscaling:launchconfiguration", "InstanceType", "t3.small"), TemplateName="small")
        self.assertEqual((self.instance(), tool.get(cname), self.settings(EnvironmentName="change-env")[1][TIMEOUT]), (after, "one red /", "300"))
        # what cannot be is as it was
        tool.version("hooked", {"application.py": APP % "two", ".platform/confighooks/predeploy/no.sh": "#!/bin/sh\nexit 4\n"})
        tool.wait(eb.update_environment(EnvironmentName="change-env", VersionLabel="hooked"))
        self.assertEqual(tool.get(cname), "two red /")
        self.assertEqual(self.update(coloured("black"))[-1], "Failed to deploy configuration.")
        self.assertEqual((tool.get(cname), self.settings(EnvironmentName="change-env")[1]["aws:elasticbeanstalk:application:environment", "COLOUR"]), ("two red /", "red"))
        for message, options in (("does not exist", [option("autoscaling:launchconfiguration", "IamInstanceProfile", "nobody")]),
                                 ("No Configuration Template", None)):
            more = {"OptionSettings": options} if options else {"TemplateName": "none"}
            self.assertAwsError("InvalidParameterValue", eb.update_environment, EnvironmentName="change-env", status=400, message=message, **more)
        self.assertEqual(tool.environment("change-env")["Status"], "Ready")
        self.rebuild(made["EnvironmentId"], cname)

    def rebuild(self, environment_id, cname):
        """All of it anew under the same names; of one that has ended, too."""
        tool, eb = self.tool, self.eb
        before, parts = self.instance(), tool.left()
        said = tool.wait(eb.rebuild_environment(EnvironmentName="change-env"))
        self.assertEqual((said[0], said[-1]), ("rebuildEnvironment is starting.", "Successfully launched environment: change-env"))
        self.assertNotIn("terminateEnvironment completed successfully.", said)
        self.assertNotEqual(self.instance()[0], before[0])
        self.until(lambda: tool.get(cname) == "two red /")
        after = tool.left()
        self.assertEqual([len(after[kind]) for kind in after], [len(parts[kind]) for kind in parts])
        self.assertNotEqual(after["groups"], parts["groups"])
        self.assertEqual(after["instances"], [self.instance()[0]])
        tool.wait(eb.terminate_environment(EnvironmentName="change-env"))
        self.assertIsNone(tool.get(cname))
        self.assertAwsError("InvalidParameterValue", eb.rebuild_environment, EnvironmentName="change-env", status=400, message="No Environment found for EnvironmentName = 'change-env'.")
        said = tool.wait(eb.rebuild_environment(EnvironmentId=environment_id))
        self.assertIn("Successfully launched environment: change-env", said)
        there = tool.environment("change-env")
        self.assertEqual((there["EnvironmentId"], there["CNAME"], there["Status"], there["Health"]), (environment_id, cname, "Ready", "Green"))
        self.until(lambda: tool.get(cname) == "two red /")

    def test_rebuild_balanced(self):
        """The balancer with all that belongs to it is another one, and of the old one nothing is left."""
        tool, eb = self.tool, self.eb
        elb = client("elbv2", region=REGION)
        process = "elasticbeanstalk:environment:process:default"
        quick = [option(process, name, value) for name, value in (("HealthCheckInterval", "5"), ("HealthCheckTimeout", "2"), ("DeregistrationDelay", "2"))]
        made = tool.create("wide-env", "v1", *quick, coloured("red"), balanced=True)
        self.addCleanup(tool.drop, "wide-env")
        self.assertIn("Successfully launched environment: ", tool.wait(made)[-1])
        before = tool.environment("wide-env")
        said = tool.wait(eb.rebuild_environment(EnvironmentName="wide-env"))
        self.assertEqual((said[0], said[-1]), ("rebuildEnvironment is starting.", "Successfully launched environment: wide-env"))
        after = tool.environment("wide-env")
        self.assertEqual((after["CNAME"], after["Status"]), (before["CNAME"], "Ready"))
        self.assertNotEqual(after["EndpointURL"], before["EndpointURL"])
        self.until(lambda: tool.get(after["CNAME"]) == "one red /")
        balancer, = elb.describe_load_balancers()["LoadBalancers"]
        self.assertEqual((balancer["DNSName"], len(elb.describe_target_groups()["TargetGroups"])), (after["EndpointURL"], 1))
        tool.wait(eb.terminate_environment(EnvironmentName="wide-env"))
        self.assertEqual(elb.describe_load_balancers()["LoadBalancers"], [])

    def test_type(self):
        """One instance becomes balanced, with the options and the version of the same request, and one instance again."""
        tool, eb = self.tool, self.eb
        elb, kind = client("elbv2", region=REGION), "elasticbeanstalk:environment"
        process = "elasticbeanstalk:environment:process:default"
        tool.version("v2", {"application.py": APP % "two"})
        made = tool.create("type-env", "v1", coloured("red"))
        self.addCleanup(tool.drop, "type-env")
        tool.wait(made)
        before, parts = tool.environment("type-env"), tool.left()
        said = tool.wait(eb.update_environment(EnvironmentName="type-env", VersionLabel="v2", OptionSettings=[
            option(kind, "EnvironmentType", "LoadBalanced"), option(process, "HealthCheckInterval", "5"), option(process, "HealthCheckTimeout", "2")]))
        self.assertEqual((said[0], said[-1]), (STARTS, ENDS))
        self.assertTrue([m for m in said if m.startswith("Deleted EIP: ")] and [m for m in said if m.startswith("Created load balancer named: ")], said)
        there = tool.environment("type-env")
        self.assertEqual([there[k] for k in ("EnvironmentId", "CNAME", "Status", "VersionLabel")], [before["EnvironmentId"], before["CNAME"], "Ready", "v2"])
        balancer, = [b for b in elb.describe_load_balancers()["LoadBalancers"] if b["DNSName"] == there["EndpointURL"]]
        self.until(lambda: tool.get(there["CNAME"]) == "two red /")
        self.assertEqual(tool.left()["addresses"], [])
        said = tool.wait(eb.update_environment(EnvironmentName="type-env", OptionSettings=[option(kind, "EnvironmentType", "SingleInstance")]))
        self.assertEqual((said[0], said[-1]), (STARTS, ENDS))
        self.assertNotIn(balancer["LoadBalancerArn"], [b["LoadBalancerArn"] for b in elb.describe_load_balancers()["LoadBalancers"]])
        after = tool.left()
        self.assertEqual([len(after[kind]) for kind in after], [len(parts[kind]) for kind in parts])
        self.until(lambda: tool.get(there["CNAME"]) == "two red /")

    def test_abort(self):
        """What hangs is ended, and what was is there again; whoever waits for the update hears that it has failed."""
        tool, eb = self.tool, self.eb
        made = tool.create("abort-env", "v1", coloured("red"))
        self.addCleanup(tool.drop, "abort-env")
        self.assertIn("Successfully launched environment: ", tool.wait(made)[-1])
        refused = "Environment named abort-env is in an invalid state for this operation. Must be pending deployment."
        self.assertAwsError("InvalidParameterValue", eb.abort_environment_update, EnvironmentName="abort-env", status=400, message=refused)
        tool.version("hangs", {"application.py": APP % "three", ".platform/hooks/predeploy/wait.sh": "#!/bin/sh\nexec sleep 3600\n"})
        update = eb.update_environment(EnvironmentName="abort-env", VersionLabel="hangs", OptionSettings=[coloured("blue")])
        self.assertTrue(update["AbortableOperationInProgress"])
        self.until(lambda: any(m.startswith("Deploying new version") for m in [e["Message"] for e in tool.events(update["ResponseMetadata"]["RequestId"])]))
        time.sleep(2)  # the hook may have begun; before that it is aborted as well
        abort = eb.abort_environment_update(EnvironmentName="abort-env")
        self.assertEqual(tool.environment("abort-env")["Status"], "Aborting")
        self.assertEqual(tool.wait(update)[-1], "Failed to deploy application.")
        self.assertEqual(tool.wait(abort), ["abortEnvironmentUpdate is starting.", "Instance deployment successfully generated a 'Procfile'.",
                                            "Instance deployment completed successfully.", "The environment was reverted to the previous configuration setting."])
        there = tool.environment("abort-env")
        self.assertEqual((there["Status"], there["Health"], there["VersionLabel"], there["AbortableOperationInProgress"]), ("Ready", "Green", "v1", False))
        self.assertEqual(tool.get(there["CNAME"]), "one red /")
        self.assertEqual(self.settings(EnvironmentName="abort-env")[1]["aws:elasticbeanstalk:application:environment", "COLOUR"], "red")


if __name__ == "__main__":
    unittest.main()
