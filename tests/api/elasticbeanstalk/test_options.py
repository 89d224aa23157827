"""Options of Elastic Beanstalk: what instances are launched with, who reaches them, and what their group does by time."""
import time
import unittest

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, PATIENCE_S, Tool, option, why_no_platform
from images import image

REGION = "eu-south-2"
LAUNCH, SPOT, GROUP, SCHEDULED = "autoscaling:launchconfiguration", "ec2:instances", "autoscaling:asg", "autoscaling:scheduledaction"
ADMIN, RULE, LISTENER = "elasticbeanstalk:environment:process:admin", "elbv2:listenerrule:admins", "elbv2:listener:default"
ROUTED = [option(ADMIN, "Port", "8081"), option(ADMIN, "HealthCheckInterval", "5"), option(ADMIN, "HealthCheckTimeout", "2"), option(ADMIN, "DeregistrationDelay", "1"),
          option(RULE, "PathPatterns", "/admin/*"), option(RULE, "Process", "admin"), option(RULE, "Priority", "5"), option(LISTENER, "Rules", "admins")]
DONE = "Successfully deployed new configuration to environment."


def action(name, key, value):
    return {**option(SCHEDULED, key, value), "ResourceName": name}


class OptionsCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb = cls.tool.eb
        cls.tool.version("one", {"application.py": APP % "one"})
        cls.tool.version("two", {"application.py": APP % "two", "admin/index.html": "from admin",
                                 "Procfile": "web: gunicorn --bind 127.0.0.1:8000 application:application\nadmin: python3 -m http.server 8081\n"})

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")

    def update(self, name, *options, remove=()):
        return self.tool.wait(self.eb.update_environment(EnvironmentName=name, OptionSettings=list(options), OptionsToRemove=[
            {k: v for k, v in o.items() if k != "Value"} for o in remove]))

    def faults(self, *options):
        told = self.eb.validate_configuration_settings(ApplicationName=self.tool.application, OptionSettings=list(options))["Messages"]
        return [m["Message"].rsplit("): ", 1)[-1] for m in told]


class Known(OptionsCase):
    def test_values(self):
        """Each is judged by itself."""
        for wrong, why in ((option(LAUNCH, "RootVolumeType", "io9"), "Value is not one of the allowed values."), (option(LAUNCH, "RootVolumeSize", "4"), "Value is not a number in the allowed range."),
                           (option(LAUNCH, "MonitoringInterval", "2 minute"), "Value is not one of the allowed values."),
                           (option(LAUNCH, "BlockDeviceMappings", "/dev/sdb=ephemeral0"), "Instance store volumes are not supported."),
                           (option(LAUNCH, "BlockDeviceMappings", "/dev/sdb"), "Value is not a list of device=[snapshot]:[size]:[delete]:[type]:[iops]."),
                           (option(LAUNCH, "SSHSourceRestriction", "tcp,22,22,everybody"), "Value is not a protocol, two ports and a source, as tcp,22,22,0.0.0.0/0."),
                           (option(SPOT, "InstanceTypes", "t3.micro,t99.huge"), "No such instance type is offered."),
                           (option(SPOT, "SpotMaxPrice", "lots"), "Value is not a price between 0.001 and 20.0."),
                           (option(SPOT, "SupportedArchitectures", "arm64"), "The machine image of the platform is of x86_64."),
                           (option(SCHEDULED, "MinSize", "1"), "It needs a ResourceName, the name of the scheduled action."),
                           (action("a", "StartTime", "soon"), "Value is not a time of ISO 8601, as 2026-05-14T07:00:00Z."),
                           (action("a", "Recurrence", "daily"), "Value is not a cron expression of five fields.")):
            self.assertEqual(self.faults(wrong), [why], wrong)
        self.assertEqual(self.faults(option(LAUNCH, "BlockDeviceMappings", "/dev/sdj=:100,/dev/sdk=:8:false:io1:400"), option(LAUNCH, "SSHSourceRestriction", "tcp, 22, 22, 10.0.0.0/8"),
                                     option(SPOT, "InstanceTypes", "t3.micro, t3.small"), action("a", "Recurrence", "0 7 * * 1-5")), [])

    def test_what_is_not_here(self):
        """Its default can be said, and nothing else."""
        for space, name, default, other in (("elasticbeanstalk:xray", "XRayEnabled", "false", "true"), ("rds:dbinstance", "HasCoupledDatabase", "false", "true"),
                                            ("rds:dbinstance", "DBPassword", "", "secret"), ("elb:listener:443", "ListenerProtocol", "HTTP", "SSL"),
                                            ("elb:policies", "Stickiness Policy", "false", "true"), ("elasticbeanstalk:control", "DefaultSSHPort", "22", "23"),
                                            ("elasticbeanstalk:hostmanager", "LogPublicationControl", "false", "true"), ("elasticbeanstalk:environment:proxy", "ProxyServer", "nginx", "apache"),
                                            ("elasticbeanstalk:monitoring", "Automatically Terminate Unhealthy Instances", "true", "false"),
                                            ("autoscaling:asg", "Availability Zones", "Any", "Any 2"), ("elasticbeanstalk:environment", "LoadBalancerIsShared", "false", "true")):
            self.assertEqual(self.faults(option(space, name, other)), ["It is not supported."], name)
            self.assertEqual(self.faults(option(space, name, default)), [], name)
        # of classic balancers tools say these along; names that users give are free
        self.assertEqual(self.faults(option("elb:loadbalancer", "CrossZone", "true"), option("elb:policies", "ConnectionDrainingEnabled", "true"),
                                     option("elasticbeanstalk:customoption", "Mine", "x"), option("elasticbeanstalk:application", "Application Healthcheck URL", "/well")), [])

    def test_together(self):
        """What one says needs another one; nothing is made."""
        for options, why in (([option(LAUNCH, "RootVolumeType", "io1")], "RootVolumeIOPS"), ([option(LAUNCH, "RootVolumeThroughput", "200")], "RootVolumeType gp3"),
                             ([option(LAUNCH, "RootVolumeType", "gp3"), option(LAUNCH, "RootVolumeIOPS", "9000"), option(LAUNCH, "RootVolumeSize", "10")], "500 times"),
                             ([action("a", "MinSize", "1")], "StartTime or Recurrence"), ([action("a", "Recurrence", "0 7 * * *")], "MinSize, MaxSize or DesiredCapacity"),
                             ([option(LISTENER, "Rules", "none")], "One of its Rules"), ([option(RULE, "PathPatterns", "/a"), option(RULE, "Process", "none")], "no such Process"),
                             ([option(RULE, "Priority", "3")], "HostHeaders or PathPatterns"),
                             ([option("elasticbeanstalk:environment:process:of-a-long-name", "Port", "81")], "at most 12"),
                             ([action("a", "MinSize", "1"), action("a", "StartTime", "2001-01-01T00:00:00Z")], "in the past")):
            self.assertAwsError("ConfigurationValidationException", self.tool.create, "never-env", "one", *options, status=400, message=why)
        self.assertIsNone(self.tool.environment("never-env"))

    def test_listed(self):
        stack, = [s for s in self.eb.list_available_solution_stacks()["SolutionStacks"] if s.endswith("Python 3.11")]
        found = {(o["Namespace"][4:], o["Name"]): (o.get("DefaultValue"), o["ChangeSeverity"]) for o in self.eb.describe_configuration_options(SolutionStackName=stack)["Options"]}
        for name, default, severity in (((LAUNCH, "MonitoringInterval"), "5 minute", "RestartEnvironment"), ((LAUNCH, "SSHSourceRestriction"), "tcp,22,22,0.0.0.0/0", "NoInterruption"),
                                        ((LAUNCH, "RootVolumeType"), None, "RestartEnvironment"), ((SPOT, "EnableSpot"), "false", "RestartEnvironment"),
                                        ((SPOT, "SpotAllocationStrategy"), "capacity-optimized", "RestartEnvironment"), ((SCHEDULED, "Suspend"), "false", "NoInterruption"),
                                        (("elb:healthcheck", "Interval"), "10", "NoInterruption"), (("rds:dbinstance", "DBUser"), "ebroot", "NoInterruption"),
                                        (("elasticbeanstalk:control", "LaunchType"), "Migration", "NoInterruption"), ((GROUP, "EnableCapacityRebalancing"), "false", "NoInterruption")):
            self.assertEqual(found[name], (default, severity), name)


@unittest.skipIf(why_no_platform(), why_no_platform())
class Real(OptionsCase):
    def setUp(self):
        if not image(self.tool.ec2):
            self.skipTest("there is no machine image")

    def instance(self, name):
        one, = self.eb.describe_environment_resources(EnvironmentName=name)["EnvironmentResources"]["Instances"]
        return self.tool.ec2.describe_instances(InstanceIds=[one["Id"]])["Reservations"][0]["Instances"][0]

    def ssh(self, name):
        """From where SSH comes in to its instances."""
        group, = [g for g in self.tool.ec2.describe_security_groups(Filters=[{"Name": "tag:elasticbeanstalk:environment-name", "Values": [name]}])["SecurityGroups"]
                  if "-AWSEBSecurityGroup-" in g["GroupName"]]
        return [r["CidrIp"] for p in group["IpPermissions"] if p.get("FromPort") == 22 for r in p["IpRanges"]]

    def volumes(self, instance):
        of = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in instance["BlockDeviceMappings"]}
        found = {v["VolumeId"]: v for v in self.tool.ec2.describe_volumes(VolumeIds=list(of.values()))["Volumes"]}
        return {device: (found[v]["VolumeType"], found[v]["Size"], found[v].get("Iops"), found[v].get("Throughput")) for device, v in of.items()}

    def test_instances(self):
        """Disks, monitoring and SSH, and then one of the spot market in its place."""
        tool = self.tool
        tool.ec2.create_key_pair(KeyName="door")
        made = tool.create("disk-env", "one", option(LAUNCH, "RootVolumeType", "gp3"), option(LAUNCH, "RootVolumeSize", "12"), option(LAUNCH, "RootVolumeIOPS", "3500"),
                           option(LAUNCH, "RootVolumeThroughput", "200"), option(LAUNCH, "BlockDeviceMappings", "/dev/sdj=:1:true:gp2"), option(LAUNCH, "EC2KeyName", "door"),
                           option(LAUNCH, "MonitoringInterval", "1 minute"), option(LAUNCH, "SSHSourceRestriction", "tcp,22,22,10.1.0.0/16"))
        self.addCleanup(tool.drop, "disk-env")
        self.assertEqual(tool.wait(made)[-1], "Successfully launched environment: disk-env")
        first = self.instance("disk-env")
        self.assertEqual(self.volumes(first), {"/dev/xvda": ("gp3", 12, 3500, 200), "/dev/sdj": ("gp2", 1, 100, None)})
        self.assertEqual((first["Monitoring"]["State"], first["KeyName"], self.ssh("disk-env")), ("enabled", "door", ["10.1.0.0/16"]))
        self.assertEqual(self.update("disk-env", option(LAUNCH, "SSHSourceRestriction", "tcp,22,22,10.2.0.0/16"))[-1], DONE)
        self.until(lambda: self.ssh("disk-env") == ["10.2.0.0/16"])
        self.assertEqual(self.instance("disk-env")["InstanceId"], first["InstanceId"])
        self.assertEqual(self.update("disk-env", option(SPOT, "EnableSpot", "true"), option(SPOT, "InstanceTypes", "t3.small,t3.micro"), option(LAUNCH, "RootVolumeSize", "13"),
                                     remove=[option(LAUNCH, "BlockDeviceMappings", ""), option(LAUNCH, "EC2KeyName", "")])[-1], DONE)
        second = self.instance("disk-env")
        self.assertNotEqual(second["InstanceId"], first["InstanceId"])
        self.assertEqual((second["InstanceLifecycle"], second["InstanceType"], self.volumes(second)), ("spot", "t3.small", {"/dev/xvda": ("gp3", 13, 3500, 200)}))
        self.until(lambda: self.ssh("disk-env") == [])
        group, = tool.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=tool.left()["scaling"])["AutoScalingGroups"]
        self.assertEqual(group["MixedInstancesPolicy"]["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"], 0)
        self.assertEqual([o["InstanceType"] for o in group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]], ["t3.small", "t3.micro"])

    def targets(self):
        return {g["TargetGroupName"].rsplit("-", 1)[0]: g for g in self.tool.make("elbv2").describe_target_groups()["TargetGroups"] if "AWSEB" not in g["TargetGroupName"]}

    def test_routes(self):
        """A process of its own with a port of its own, and a rule that leads to it."""
        tool, elb = self.tool, self.tool.make("elbv2")
        made = tool.create("ways-env", "two", *ROUTED, balanced=True)
        self.addCleanup(tool.drop, "ways-env")
        said = tool.wait(made)
        self.assertEqual(said[-1], "Successfully launched environment: ways-env", said)
        cname, group = tool.environment("ways-env")["CNAME"], self.targets()["awseb-admin"]
        self.assertIn(f"Created target group named: {group['TargetGroupArn']}", said)
        self.assertEqual((group["Port"], group["HealthCheckIntervalSeconds"]), (8081, 5))
        self.until(lambda: tool.get(cname, "/admin/index.html") == "from admin")
        self.assertEqual(tool.get(cname, "/x"), "two - /x")
        # other paths; then it is as it was without
        self.assertEqual(self.update("ways-env", option(RULE, "PathPatterns", "/a/*,/admin/s*"), option(ADMIN, "HealthCheckPath", "/admin/"))[-1], DONE)
        self.until(lambda: tool.get(cname, "/admin/index.html") == "two - /admin/index.html")
        self.until(lambda: self.targets()["awseb-admin"]["HealthCheckPath"] == "/admin/")
        self.assertAwsError("ConfigurationValidationException", self.eb.update_environment, EnvironmentName="ways-env", OptionSettings=[option(ADMIN, "Port", "8082")],
                            status=400, message="Changing the Port")
        self.assertEqual(self.update("ways-env", remove=[*ROUTED, option(ADMIN, "HealthCheckPath", "")])[-1], DONE)
        self.until(lambda: not self.targets() and tool.get(cname, "/x") == "two - /x")
        self.assertEqual(self.update("ways-env", *ROUTED)[-1], DONE)
        self.until(lambda: tool.get(cname, "/admin/index.html") == "from admin")
        tool.wait(self.eb.terminate_environment(EnvironmentName="ways-env"))
        self.assertEqual((self.targets(), [g for g in tool.left()["groups"] if "ways" in g]), ({}, []))

    def tagged(self, group):
        found, = self.tool.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
        return {t["Key"]: t["Value"] for t in found["Tags"]}["Name"]

    def actions(self, name):
        group, = [g for g in self.tool.left()["scaling"] if self.tagged(g) == name]
        return {a["ScheduledActionName"]: (a.get("Recurrence"), a.get("MinSize"), a.get("MaxSize"), a.get("DesiredCapacity"))
                for a in self.tool.scaling.describe_scheduled_actions(AutoScalingGroupName=group)["ScheduledUpdateGroupActions"]}

    def test_scheduled(self):
        """Actions by time come, change, rest and go with the options; saved configurations have them."""
        tool = self.tool
        made = tool.create("hours-env", "one", action("day", "MinSize", "2"), action("day", "MaxSize", "3"), action("day", "Recurrence", "0 7 * * *"),
                           action("night", "DesiredCapacity", "1"), action("night", "Recurrence", "0 19 * * *"),
                           option("elasticbeanstalk:application", "Application Healthcheck URL", "/well"), option(GROUP, "EnableCapacityRebalancing", "true"), balanced=True)
        self.addCleanup(tool.drop, "hours-env")
        self.assertEqual(tool.wait(made)[-1], "Successfully launched environment: hours-env")
        self.assertEqual(self.actions("hours-env"), {"day": ("0 7 * * *", 2, 3, None), "night": ("0 19 * * *", None, None, 1)})
        targets = tool.make("elbv2").describe_target_groups()["TargetGroups"]
        self.assertEqual([g["HealthCheckPath"] for g in targets if g["TargetGroupName"].startswith("awseb-")], ["/well"])
        group, = tool.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[g for g in tool.left()["scaling"] if self.tagged(g) == "hours-env"])["AutoScalingGroups"]
        self.assertTrue(group["CapacityRebalance"])
        self.eb.create_configuration_template(ApplicationName=tool.application, TemplateName="hours", EnvironmentId=tool.environment("hours-env")["EnvironmentId"])
        of = {"TemplateName": "hours"}
        for _ in range(2):
            found, = self.eb.describe_configuration_settings(ApplicationName=tool.application, **of)["ConfigurationSettings"]
            self.assertEqual(sorted((o["ResourceName"], o["OptionName"], o["Value"]) for o in found["OptionSettings"] if o["Namespace"] == "aws:" + SCHEDULED), [
                ("day", "MaxSize", "3"), ("day", "MinSize", "2"), ("day", "Recurrence", "0 7 * * *"), ("night", "DesiredCapacity", "1"), ("night", "Recurrence", "0 19 * * *")])
            of = {"EnvironmentName": "hours-env"}
        self.assertEqual(self.update("hours-env", action("day", "Recurrence", "0 8 * * *"), action("night", "Suspend", "true"))[-1], DONE)
        self.until(lambda: self.actions("hours-env") == {"day": ("0 8 * * *", 2, 3, None)})
        self.update("hours-env", remove=[action("day", "MinSize", ""), action("day", "MaxSize", ""), action("day", "Recurrence", "")])
        self.until(lambda: self.actions("hours-env") == {})


if __name__ == "__main__":
    unittest.main()
