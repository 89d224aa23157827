"""What the service itself reads of a bundle before there is an instance: options of .ebextensions, env.yaml, and groups of environments that it names."""
import time
import unittest
import uuid

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, PATIENCE_S, PROFILE, Tool, archive, coloured, option, why_no_platform
from images import image

REGION = "ap-south-1"
ASG, TIMEOUT = "aws:autoscaling:asg", ("aws:elasticbeanstalk:command", "Timeout")
PROPERTIES = "aws:elasticbeanstalk:application:environment"
SINGLE = "  aws:elasticbeanstalk:environment:\n    EnvironmentType: SingleInstance\n"
LAUNCH = f"  aws:autoscaling:launchconfiguration:\n    IamInstanceProfile: {PROFILE}\n"
DRIVER = [{"Key": "quartet:driver", "Value": "container"}]
BROKEN = "The configuration file .ebextensions/a.config in application version broken contains invalid YAML or JSON."
FAILS = '"option_settings" in one of the configuration files failed validation. More details to follow.'
LINKED = """import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("WORKERQUEUE", "-").encode()]
"""


class ExtensionsCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb = cls.tool.eb
        cls.stack, = [s for s in cls.eb.list_available_solution_stacks()["SolutionStacks"] if s.endswith("Python 3.11")]
        cls.tool.version("first", {"readme.txt": "x"})

    def settings(self, name):
        found, = self.eb.describe_configuration_settings(ApplicationName=self.tool.application, EnvironmentName=name)["ConfigurationSettings"]
        return {(o["Namespace"], o["OptionName"]): o.get("Value") for o in found["OptionSettings"]}

    def version(self, label, files, **more):
        key = f"{self.tool.application}/{label}.zip"
        self.tool.s3.put_object(Bucket=self.tool.bucket, Key=key, Body=files if isinstance(files, bytes) else archive(files))
        return self.eb.create_application_version(ApplicationName=self.tool.application, VersionLabel=label, SourceBundle={"S3Bucket": self.tool.bucket, "S3Key": key}, **more)

    def create(self, label, **more):
        more.setdefault("SolutionStackName", self.stack)
        made = self.eb.create_environment(ApplicationName=self.tool.application, VersionLabel=label, Tags=DRIVER, **more)
        self.addCleanup(self.tool.drop, made["EnvironmentName"])
        return made

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")


class Reading(ExtensionsCase):
    def test_processing(self):
        """Of what has been processed one knows whether it can be deployed."""
        for label, files, status, why in (
                ("fine", {".ebextensions/a.config": f"option_settings:\n{SINGLE}"}, "PROCESSED", []),
                ("broken", {".ebextensions/a.config": "a: [\n"}, "FAILED", [BROKEN]),
                ("json", {".ebextensions/a.config": '{\n\t"option_settings": {"aws:autoscaling:asg": {"MinSize": 2}}\n}'}, "PROCESSED", []),
                ("wrong", {".ebextensions/a.config": "option_settings:\n  aws:autoscaling:asg:\n    MinSize: few\n"}, "FAILED", [FAILS, "Invalid option value: 'few'"]),
                ("unknown", {".ebextensions/a.config": "option_settings:\n  aws:nothing:\n    A: b\n"}, "FAILED", [FAILS, "Invalid option specification (Namespace: 'aws:nothing'"]),
                ("template", {".ebextensions/a.config": "Resources:\n  A:\n    Type: AWS::SQS::Queue\n"}, "FAILED", ["declares Resources"]),
                ("manifest", {"env.yaml": "EnvironmentName: x\n"}, "FAILED", ["The environment manifest env.yaml in application version manifest is invalid"]),
                ("bomb", {".ebextensions/a.config": "a0: &a0 x\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))}, "FAILED", ["too large"]),
                ("text", b"no zip", "FAILED", ["no zip file"])):
            made = self.version(label, files, Process=True)
            self.assertEqual(made["ApplicationVersion"]["Status"], status, label)
            events = self.eb.describe_events(RequestId=made["ResponseMetadata"]["RequestId"])["Events"]
            self.assertEqual(events[0]["Message"], f"Finished processing application version {label}: {status}.")
            self.assertEqual({e["VersionLabel"] for e in events}, {label})
            said = [e["Message"] for e in events[:0:-1]]
            self.assertEqual(len(said), len(why), said)
            for message, part in zip(said, why):
                self.assertIn(part, message)
        self.assertAwsError("InvalidParameterValue", self.create, "broken", EnvironmentName="some-env", status=400, message="failed processing")
        self.assertAwsError("InvalidParameterCombination", self.eb.create_application_version, ApplicationName=self.tool.application, VersionLabel="gone", Process=True,
                            SourceBundle={"S3Bucket": self.tool.bucket, "S3Key": "gone"}, status=400, message="Not Found")

    def test_manifest_is_judged(self):
        head = f"AWSConfigurationTemplateVersion: 1.1.0.0\nSolutionStack: {self.stack}\n"
        for label, text in (("plain", "EnvironmentName: plain-env\n"), ("group", "EnvironmentName: front+\n"), ("nameless", ""),
                            ("linked", "EnvironmentName: linked-env\nEnvironmentLinks: {A: nobody-env}\n")):
            self.version(label, {"env.yaml": f"{head}OptionSettings:\n{SINGLE}{LAUNCH}{text}"})
        for code, message, label, more in (
                ("InvalidParameterCombination", "GroupName", "plain", {"GroupName": "dev"}),
                ("InvalidParameterCombination", "needs a GroupName", "group", {}),
                ("InvalidParameterCombination", "EnvironmentName", "nameless", {}),
                ("InvalidParameterValue", "No Environment found for EnvironmentName = 'nobody-env'.", "linked", {})):
            self.assertAwsError(code, self.eb.create_environment, ApplicationName=self.tool.application, VersionLabel=label, status=400, message=message, **more)
        for code, message, labels, more in (("InvalidParameterCombination", "needs a GroupName", ["group"], {}),
                                            ("InvalidParameterValue", "No Application Version named 'none' found.", ["group", "none"], {"GroupName": "dev"}),
                                            ("InvalidParameterValue", "has no env.yaml", ["nameless"], {"GroupName": "dev"}),
                                            ("InvalidParameterValue", "No Environment found", ["linked"], {})):
            self.assertAwsError(code, self.eb.compose_environments, ApplicationName=self.tool.application, VersionLabels=labels, status=400, message=message, **more)
        self.assertEqual(self.eb.describe_environments(ApplicationName=self.tool.application, EnvironmentNames=["plain-env", "front-dev", "linked-env"])["Environments"], [])


@unittest.skipIf(why_no_platform(), why_no_platform())
class Extensions(ExtensionsCase):
    def test_options(self):
        """The kind of an environment is in its bundle. What a request says goes before a saved configuration, and that before the bundle."""
        tool, eb = self.tool, self.eb
        if not image(tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        eb.create_configuration_template(ApplicationName=tool.application, TemplateName="saved", SolutionStackName=self.stack, OptionSettings=[
            option("autoscaling:asg", "MaxSize", "6"), option("autoscaling:asg", "Cooldown", "60")])
        extensions = {".ebextensions/01.config": f"option_settings:\n{SINGLE}{LAUNCH}  {ASG}:\n    MinSize: 2\n    MaxSize: 5\n    Cooldown: 30\n",
                      ".ebextensions/02.config": f"option_settings:\n  - option_name: COLOUR\n    value: bundle\n  - namespace: {ASG}\n    option_name: MinSize\n    value: 3\n",
                      ".ebextensions/03.config": "nonsense: 1\n"}
        self.version("v1", {"application.py": APP % "one", **extensions})
        made = eb.create_environment(ApplicationName=tool.application, VersionLabel="v1", EnvironmentName="ext-env", TemplateName="saved", Tags=DRIVER,
                                     OptionSettings=[option("autoscaling:asg", "Cooldown", "90")])
        self.addCleanup(tool.drop, "ext-env")
        said = tool.wait(made)
        self.assertEqual(said[-1], "Successfully launched environment: ext-env")
        self.assertIn("Error processing file (Skipping): '.ebextensions/03.config' - Contains invalid key: 'nonsense'.", said)
        self.assertTrue([m for m in said if m.startswith("Created EIP")])
        cname, found = tool.environment("ext-env")["CNAME"], self.settings("ext-env")
        self.assertEqual([found[ASG, name] for name in ("MinSize", "MaxSize", "Cooldown")], ["3", "6", "90"])
        self.assertEqual((tool.get(cname), found[PROPERTIES, "COLOUR"]), ("one bundle /", "bundle"))
        # another bundle says otherwise, and what was said directly stays
        self.version("v2", {"application.py": APP % "two", ".ebextensions/01.config": f"option_settings:\n{SINGLE}{LAUNCH}  {ASG}:\n    Cooldown: 20\n"
                                                                                   f"  {PROPERTIES}:\n    COLOUR: other\n  {TIMEOUT[0]}:\n    {TIMEOUT[1]}: 300\n"})
        self.assertEqual(tool.wait(eb.update_environment(EnvironmentName="ext-env", VersionLabel="v2"))[-1], "Environment update completed successfully.")
        found = self.settings("ext-env")
        self.assertEqual((tool.get(cname), found[PROPERTIES, "COLOUR"], found[TIMEOUT], found[ASG, "Cooldown"], found[ASG, "MinSize"]), ("two other /", "other", "300", "90", "1"))
        tool.wait(eb.update_environment(EnvironmentName="ext-env", OptionSettings=[coloured("direct")]))
        self.assertEqual(tool.get(cname), "two direct /")
        # bundles that cannot be: nothing is touched
        for label, text, why in (("broken", "a: [\n", BROKEN), ("wrong", "option_settings:\n  aws:nothing:\n    A: b\n", FAILS)):
            self.version(label, {"application.py": APP % "bad", ".ebextensions/a.config": text})
            before = tool.environment("ext-env")
            said = tool.wait(eb.update_environment(EnvironmentName="ext-env", VersionLabel=label))
            self.assertEqual((said[0], said[-1]), ("Environment update is starting.", "Failed to deploy application."))
            self.assertTrue(said[1].startswith(why), said)
            self.assertEqual((tool.environment("ext-env"), tool.get(cname)), (before, "two direct /"))
        # without what was said directly the bundle's counts again
        tool.wait(eb.update_environment(EnvironmentName="ext-env", OptionsToRemove=[{"Namespace": PROPERTIES, "OptionName": "COLOUR"}]))
        self.assertEqual((tool.get(cname), self.settings("ext-env")[PROPERTIES, "COLOUR"]), ("two other /", "other"))
        # an environment whose bundle cannot be is told so at once, and goes as any other
        made = self.create("broken", EnvironmentName="bad-env", OptionSettings=[option("autoscaling:launchconfiguration", "IamInstanceProfile", PROFILE)])
        said = tool.wait(made)
        self.assertEqual((said[0], said[-1], len(said)), ("createEnvironment is starting.", "Failed to launch environment.", 3))
        self.assertEqual([tool.environment("bad-env")[k] for k in ("Status", "Health")], ["Ready", "Red"])
        self.assertEqual(tool.wait(eb.terminate_environment(EnvironmentName="bad-env"))[-1], "terminateEnvironment completed successfully.")

    def test_group(self):
        """A front and a worker, each of whose bundles names itself; the one knows the other's queue."""
        tool, eb, group = self.tool, self.eb, f"g{uuid.uuid4().hex[:6]}"
        if not image(tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        client("iam").attach_role_policy(RoleName=PROFILE, PolicyArn="arn:aws:iam::aws:policy/AWSElasticBeanstalkWorkerTier")
        head = f"AWSConfigurationTemplateVersion: 1.1.0.0\nSolutionStack: {self.stack}\nTags:\n  quartet:driver: container\nOptionSettings:\n{SINGLE}{LAUNCH}"
        self.version("front-1", {"application.py": LINKED, "env.yaml": f"{head}EnvironmentName: front+\nCName: {group}+\nEnvironmentLinks:\n  WORKERQUEUE: worker+\n"}, Process=True)
        self.version("worker-1", {"application.py": APP % "works", "env.yaml": f"{head}EnvironmentName: worker+\nEnvironmentTier:\n  Name: Worker\n  Type: SQS/HTTP\n"}, Process=True)
        names = [f"front-{group}", f"worker-{group}"]
        made = eb.compose_environments(ApplicationName=tool.application, GroupName=group, VersionLabels=["front-1", "worker-1"])
        for name in names:
            self.addCleanup(tool.drop, name)
        self.assertEqual([e["EnvironmentName"] for e in made["Environments"]], names)
        self.assertEqual(made["Environments"][0]["EnvironmentLinks"], [{"LinkName": "WORKERQUEUE", "EnvironmentName": names[1]}])

        def launched(request):
            said = {e["EnvironmentName"]: e["Message"] for e in tool.events(request)}
            return [said.get(name) for name in names] == [f"Successfully launched environment: {name}" for name in names]
        self.until(lambda: launched(made["ResponseMetadata"]["RequestId"]))
        front = tool.environment(names[0])
        self.assertEqual((front["CNAME"], front["SolutionStackName"], front["Tier"]["Name"]), (f"{group}-{group}.{REGION}.elasticbeanstalk.com", self.stack, "WebServer"))
        queue = tool.environment(names[1])["EndpointURL"]
        self.assertEqual((tool.get(front["CNAME"]), self.settings(names[0])[PROPERTIES, "WORKERQUEUE"]), (queue, queue))
        # once more: those that are there get the version
        self.version("front-2", {"application.py": APP % "two", "env.yaml": f"{head}EnvironmentName: front+\n"})
        made = eb.compose_environments(ApplicationName=tool.application, GroupName=group, VersionLabels=["front-2"])
        self.assertEqual([e["EnvironmentId"] for e in made["Environments"]], [front["EnvironmentId"]])
        self.assertEqual(tool.wait(made)[-1], "Environment update completed successfully.")
        self.assertEqual((tool.get(front["CNAME"]), tool.environment(names[0]).get("EnvironmentLinks", [])), ("two - /", []))


if __name__ == "__main__":
    unittest.main()
