"""Environments with a load balancer: what they are made of, who is led to it, and deployments to several instances while they serve."""
import socket
import ssl
import threading
import time
import unittest
import uuid

from aws import ENDPOINT, TestCase, client
from beanstalk import APP, PATIENCE_S, Tool, coloured, option, why_no_platform
from images import image
from moving import moving_cloud

REGION = "eu-north-1"
PROCESS, COMMAND, GROUP = "elasticbeanstalk:environment:process:default", "elasticbeanstalk:command", "autoscaling:asg"
NOTHING = {"groups": [], "addresses": [], "templates": [], "scaling": [], "instances": [], "balancers": [], "targets": [], "alarms": []}
QUICK = [option(PROCESS, "HealthCheckInterval", "5"), option(PROCESS, "HealthCheckTimeout", "2"), option(PROCESS, "DeregistrationDelay", "2")]
# what `eb create` says of itself
OF_TOOL = [option(COMMAND, "BatchSize", "30"), option(COMMAND, "BatchSizeType", "Percentage"), option("elb:policies", "ConnectionDrainingEnabled", "true"),
           option("elb:loadbalancer", "CrossZone", "true"), option("autoscaling:updatepolicy:rollingupdate", "RollingUpdateEnabled", "true"),
           option("autoscaling:updatepolicy:rollingupdate", "RollingUpdateType", "Health"), option("elasticbeanstalk:environment", "LoadBalancerType", "application"),
           option("elasticbeanstalk:environment", "ServiceRole", "aws-elasticbeanstalk-service-role")]
ENHANCED = option("elasticbeanstalk:healthreporting:system", "SystemType", "enhanced")


class Load:
    """Requests without a pause through the balancer; what was not answered as it should be."""

    def __init__(self, tool, cname):
        self.tool, self.cname, self.failed, self.heard, self.over = tool, cname, [], {}, threading.Event()
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(2)]

    def send(self):
        while not self.over.is_set():
            said = (self.tool.get(self.cname) or "nothing").split()[0]
            self.heard[said] = self.heard.get(said, 0) + 1
            if said == "nothing":
                self.failed.append(time.monotonic())
            time.sleep(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class BalancedCase(TestCase):
    @classmethod
    def make(cls):
        """The cloud's endpoint, and clients of it."""
        return ENDPOINT, client

    @classmethod
    def setUpClass(cls):
        endpoint, make = cls.make()
        cls.tool = Tool(lambda service: make(service, region=REGION), endpoint)
        cls.eb = cls.tool.eb
        cls.elb, cls.alarms = make("elbv2", region=REGION), make("cloudwatch", region=REGION)
        if not image(cls.tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        for name in ("one", "two", "three"):
            cls.tool.version(name, {"application.py": APP % name})
        cls.tool.version("broken", {"readme.txt": "x"})

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")

    def left(self):
        return {**self.tool.left(), "balancers": [b["LoadBalancerName"] for b in self.elb.describe_load_balancers()["LoadBalancers"]],
                "targets": [g["TargetGroupName"] for g in self.elb.describe_target_groups()["TargetGroups"]],
                "alarms": [a["AlarmName"] for a in self.alarms.describe_alarms(AlarmNamePrefix="awseb-")["MetricAlarms"]]}

    def resources(self, name):
        return self.eb.describe_environment_resources(EnvironmentName=name)["EnvironmentResources"]

    def instances(self, name):
        return [i["Id"] for i in self.resources(name)["Instances"]]

    def update(self, name, version, *options):
        return self.eb.update_environment(EnvironmentName=name, VersionLabel=version, OptionSettings=list(options))


@unittest.skipIf(why_no_platform(), why_no_platform())
class Balanced(BalancedCase):
    def test_life(self):
        """With AWS's defaults: it is balanced because nothing else is said, and has one instance."""
        tool, prefix = self.tool, f"b{uuid.uuid4().hex[:12]}"
        made = tool.create("wide-env", "one", *QUICK, *OF_TOOL, coloured("red"), ENHANCED, CNAMEPrefix=prefix, balanced=True)
        self.addCleanup(tool.drop, "wide-env")
        said = tool.wait(made)
        cname, there, there_is = f"{prefix}.{REGION}.elasticbeanstalk.com", tool.environment("wide-env"), self.left()
        balancer, = self.elb.describe_load_balancers(Names=there_is["balancers"])["LoadBalancers"]
        targets, = self.elb.describe_target_groups(Names=there_is["targets"])["TargetGroups"]
        listener, = self.elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        own, = [g for g in there_is["groups"] if "-AWSEBSecurityGroup-" in g]
        policies = [p["PolicyARN"] for p in self.tool.scaling.describe_policies(AutoScalingGroupName=there_is["scaling"][0])["ScalingPolicies"]]
        self.assertEqual(said, [
            "createEnvironment is starting.", f"Using {tool.bucket} as Amazon S3 storage bucket for environment data.",
            f"Created security group named: {balancer['SecurityGroups'][0]}", f"Created security group named: {own}",
            f"Created target group named: {targets['TargetGroupArn']}", f"Created Auto Scaling group named: {there_is['scaling'][0]}",
            "Waiting for EC2 instances to launch. This may take a few minutes.",
            *(f"Created Auto Scaling group policy named: {p}" for p in sorted(policies, key=lambda p: "ScaleDown" in p)),
            *(f"Created CloudWatch alarm named: {a}" for a in sorted(there_is["alarms"])),
            f"Created load balancer named: {balancer['LoadBalancerArn']}", f"Created Load Balancer listener named: {listener['ListenerArn']}",
            "Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully.", f"Application available at {cname}.",
            "Successfully launched environment: wide-env"])
        self.assertEqual((there["Status"], there["Health"], there["HealthStatus"], there["EndpointURL"]), ("Ready", "Green", "Ok", balancer["DNSName"]))
        self.assertEqual(tool.get(cname, "/x"), "one red /x")
        self.assertRegex(balancer["LoadBalancerName"], "^awseb--AWSEB-[A-Z0-9]{12}$")
        self.assertRegex(targets["TargetGroupName"], "^awseb-AWSEB-[A-Z0-9]{12}$")
        self.assertEqual((targets["HealthCheckIntervalSeconds"], targets["HealthyThresholdCount"], targets["UnhealthyThresholdCount"], targets["Port"]), (5, 3, 5, 80))
        group, = tool.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=there_is["scaling"])["AutoScalingGroups"]
        self.assertEqual((group["MinSize"], group["MaxSize"], group["DesiredCapacity"], group["DefaultCooldown"]), (1, 4, 1, 360))
        self.assertEqual(group["TargetGroupARNs"], [targets["TargetGroupArn"]])
        resources = self.resources("wide-env")
        self.assertEqual(([b["Name"] for b in resources["LoadBalancers"]], len(resources["Instances"])), ([balancer["LoadBalancerArn"]], 1))
        self.guarded(own, balancer)
        self.grow("wide-env", group["AutoScalingGroupName"], cname)
        ended = tool.wait(self.eb.terminate_environment(EnvironmentName="wide-env"))
        self.assertEqual((ended[0], ended[-1]), ("terminateEnvironment is starting.", "terminateEnvironment completed successfully."))
        self.assertEqual(len(ended), len(set(ended)))
        self.assertEqual(self.left(), NOTHING)
        self.assertIsNone(tool.get(cname))

    def guarded(self, own, balancer):
        """Nobody but the balancer reaches the instances."""
        group, = self.tool.ec2.describe_security_groups(GroupNames=[own])["SecurityGroups"]
        rule, = group["IpPermissions"]
        self.assertEqual(([p["GroupId"] for p in rule["UserIdGroupPairs"]], rule["IpRanges"], rule["FromPort"]), (balancer["SecurityGroups"], [], 80))

    def grow(self, name, group, cname):
        """An alarm brings another instance, which joins once it answers; one that ends is replaced. Both have logs."""
        low, high = sorted(self.alarms.describe_alarms(AlarmNames=self.left()["alarms"])["MetricAlarms"], key=lambda a: a["Threshold"])
        dimensions = [{"Name": "AutoScalingGroupName", "Value": group}]
        for alarm, threshold, comparison in ((low, 2000000, "LessThanThreshold"), (high, 6000000, "GreaterThanThreshold")):
            self.assertEqual([alarm[k] for k in ("Threshold", "ComparisonOperator", "MetricName", "Namespace", "Statistic", "Unit", "Period", "EvaluationPeriods", "Dimensions")],
                             [threshold, comparison, "NetworkOut", "AWS/EC2", "Average", "Bytes", 300, 1, dimensions])
        self.alarms.set_alarm_state(AlarmName=high["AlarmName"], StateValue="ALARM", StateReason="a test")
        both = self.until(lambda: len(i := self.instances(name)) == 2 and i)
        arn = self.left()["targets"][0]
        arn = self.elb.describe_target_groups(Names=[arn])["TargetGroups"][0]["TargetGroupArn"]

        def healthy():
            return sorted(h["Target"]["Id"] for h in self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] if h["TargetHealth"]["State"] == "healthy")
        self.until(lambda: healthy() == sorted(both))
        health = self.eb.describe_environment_health(EnvironmentName=name, AttributeNames=["All"])
        self.assertEqual((health["HealthStatus"], health["InstancesHealth"]["Ok"]), ("Ok", 2))
        self.assertEqual(sorted(i["InstanceId"] for i in self.eb.describe_instances_health(EnvironmentName=name, AttributeNames=["All"])["InstanceHealthList"]), sorted(both))
        request = self.eb.request_environment_info(EnvironmentName=name, InfoType="tail")["ResponseMetadata"]["RequestId"]
        self.until(lambda: self.tool.events(request)[-1]["Message"] == "Pulled logs for environment instances.")
        found = self.eb.retrieve_environment_info(EnvironmentName=name, InfoType="tail")["EnvironmentInfo"]
        self.assertEqual(sorted(i["Ec2InstanceId"] for i in found), sorted(both))
        self.tool.ec2.terminate_instances(InstanceIds=both[:1])
        self.until(lambda: both[0] not in healthy() and len(healthy()) == 2)
        self.assertEqual(self.tool.get(cname), "one red /")

    def test_deployments(self):
        """To two instances under load, by each policy."""
        tool = self.tool
        made = tool.create("many-env", "one", *QUICK, option(GROUP, "MinSize", "2"), balanced=True)
        self.addCleanup(tool.drop, "many-env")
        self.assertEqual(tool.wait(made).count("Instance deployment completed successfully."), 2)
        cname = tool.environment("many-env")["CNAME"]
        self.at_once(cname)
        self.rolling(cname)
        self.additional(cname)
        self.immutable(cname)
        self.aborted(cname)
        self.settings()
        self.other_instances(cname)
        tool.wait(self.eb.terminate_environment(EnvironmentName="many-env"))
        self.assertEqual(self.left(), NOTHING)

    def at_once(self, cname):
        said = self.tool.wait(self.update("many-env", "two"))
        self.assertEqual(said, ["Environment update is starting.", "Deploying new version to instance(s).",
                                *["Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully."] * 2,
                                "New application version was deployed to running EC2 instances.", "Environment update completed successfully."])
        self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"two - /"})

    def rolling(self, cname):
        rolling = [option(COMMAND, "DeploymentPolicy", "Rolling"), option(COMMAND, "BatchSizeType", "Fixed"), option(COMMAND, "BatchSize", "1")]
        first, second = self.instances("many-env")
        with Load(self.tool, cname) as load:
            said = self.tool.wait(self.update("many-env", "three", *rolling))
        deployed = ["Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully."]
        self.assertEqual(said, ["Environment update is starting.", "Deploying new version to instance(s).", *(line for n, one in ((1, first), (2, second)) for line in (
            f"Batch {n}: Starting application deployment on instance(s) [{one}].",
            f"Batch {n}: De-registering instance(s) from the load balancer and waiting for them to go out of service.",
            f"Batch {n}: Starting application deployment command execution.", *deployed, f"Batch {n}: Completed application deployment command execution.",
            f"Command execution completed on {n} of 2 instances in environment.",
            f"Batch {n}: Registering instance(s) with the load balancer and waiting for them to be healthy.", f"Batch {n}: Completed application deployment.")),
            "New application version was deployed to running EC2 instances.", "Environment update completed successfully."])
        self.assertEqual((load.failed, set(load.heard)), ([], {"two", "three"}))
        self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"three - /"})
        # the first batch fails: the others stay as they are, and all serve
        with Load(self.tool, cname) as load:
            said = self.tool.wait(self.update("many-env", "broken"))
        self.assertEqual(said[-2:], [f"Unsuccessful command execution on instance id(s) '{first}'. Aborting the operation.", "Failed to deploy application."])
        there = self.tool.environment("many-env")
        self.assertEqual((there["Status"], there["VersionLabel"]), ("Ready", "three"))
        self.assertEqual((load.failed, set(load.heard)), ([], {"three"}))
        self.until(lambda: self.tool.environment("many-env")["Health"] == "Yellow")

    def additional(self, cname):
        policy = option(COMMAND, "DeploymentPolicy", "RollingWithAdditionalBatch")
        before = self.instances("many-env")
        with Load(self.tool, cname) as load:
            reply = self.update("many-env", "one", policy)
            self.until(lambda: len(self.instances("many-env")) == 3)
            said = self.tool.wait(reply)
        self.assertEqual(said[-1], "Environment update completed successfully.")
        self.assertEqual(said.count("Instance deployment completed successfully."), 3)
        self.assertEqual((load.failed, set(load.heard)), ([], {"three", "one"}))
        self.assertEqual(len(self.instances("many-env")), 2)
        self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"one - /"})
        self.until(lambda: self.tool.environment("many-env")["Health"] == "Green")
        # the additional batch fails: it goes, and nobody else has been touched
        before = self.instances("many-env")
        said = self.tool.wait(self.update("many-env", "broken"))
        self.assertEqual(said[-1], "Failed to deploy application.")
        self.until(lambda: self.instances("many-env") == before)
        self.until(lambda: self.tool.environment("many-env")["Health"] == "Green")
        self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"one - /"})

    def immutable(self, cname):
        policy = option(COMMAND, "DeploymentPolicy", "Immutable")
        before, (group,) = self.instances("many-env"), self.left()["scaling"]
        with Load(self.tool, cname) as load:
            said = self.tool.wait(self.update("many-env", "two", policy))
        first, second = self.instances("many-env")
        temporary = group.replace("-stack-", "-immutable-stack-")
        deployed = ["Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully."]
        self.assertEqual(said, [
            "Environment update is starting.", "Deploying new version to instance(s).",
            "Immutable deployment policy enabled. Launching one instance with the new settings to verify health.",
            f"Created temporary auto scaling group {temporary}.", *deployed, f"Adding new instance(s) ({first}) to the load balancer.",
            f"Waiting for instance(s) ({first}) to pass health checks.", "Test instance passed health checks. Launching remaining new instances.",
            "Successfully launched all instances.", *deployed, f"Adding new instance(s) ({second}) to the load balancer.",
            f"Waiting for instance(s) ({first},{second}) to pass health checks.", "Detached new instance(s) from temporary auto scaling group.",
            "Attached new instance(s) to the permanent auto scaling group.", "Deployment succeeded. Terminating old instances and temporary Auto Scaling group.",
            "New application version was deployed to running EC2 instances.", "Environment update completed successfully."])
        self.assertFalse({first, second} & set(before))
        self.assertEqual((load.failed, set(load.heard)), ([], {"one", "two"}))
        self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"two - /"})
        self.settled(group, {first, second})
        # one that fails goes, and nobody else has been touched
        with Load(self.tool, cname) as load:
            self.assertEqual(self.tool.wait(self.update("many-env", "broken"))[-1], "Failed to deploy application.")
            self.settled(group, {first, second})
        self.assertEqual((load.failed, set(load.heard)), ([], {"two"}))
        self.until(lambda: self.tool.environment("many-env")["Health"] == "Green")

    def aborted(self, cname):
        """What a deployment has done is undone, while all serve: in batches where it went in batches, and new instances go."""
        first, second = self.instances("many-env")
        seen = self.tool.ec2.describe_instances(InstanceIds=[first])["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
        hook = f'#!/bin/sh\ncase " $(hostname -I) " in *" {seen} "*) exit 0;; esac\nexec sleep 3600\n'
        self.tool.version("hangs", {"application.py": APP % "three", ".platform/hooks/predeploy/wait.sh": hook})
        for policy, said_before in (("Rolling", "Batch 2: Starting application deployment command execution."), ("Immutable", "Created temporary auto scaling group ")):
            with Load(self.tool, cname) as load:
                update = self.update("many-env", "hangs", option(COMMAND, "DeploymentPolicy", policy), option(COMMAND, "BatchSizeType", "Fixed"), option(COMMAND, "BatchSize", "1"))
                self.assertTrue(update["AbortableOperationInProgress"])
                self.until(lambda: any(e["Message"].startswith(said_before) for e in self.tool.events(update["ResponseMetadata"]["RequestId"])))
                abort = self.eb.abort_environment_update(EnvironmentName="many-env")
                self.assertEqual(self.tool.environment("many-env")["Status"], "Aborting")
                self.assertEqual(self.tool.wait(update)[-1], "Failed to deploy application.")
                said = self.tool.wait(abort)
            self.assertEqual((said[0], said[-1]), ("abortEnvironmentUpdate is starting.", "The environment was reverted to the previous configuration setting."))
            self.assertEqual((load.failed, set(load.heard) - {"three"}), ([], {"two"}))
            there = self.tool.environment("many-env")
            self.assertEqual([there[k] for k in ("Status", "VersionLabel", "AbortableOperationInProgress")], ["Ready", "two", False])
            self.assertEqual(self.instances("many-env"), [first, second])
            self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"two - /"})
            settings, = self.eb.describe_configuration_settings(ApplicationName=self.tool.application, EnvironmentName="many-env")["ConfigurationSettings"]
            self.assertIn("Immutable", [s.get("Value") for s in settings["OptionSettings"] if s["OptionName"] == "DeploymentPolicy"])
        self.until(lambda: len(self.left()["scaling"]) == 1)

    def settled(self, group, instances):
        """The group has those and no others, nor is there another group."""
        def is_so():
            groups = self.tool.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
            mine = [g for g in groups if g["AutoScalingGroupName"] == group]
            return len(mine) == len(groups) == 1 and {i["InstanceId"] for i in mine[0]["Instances"]} == instances and mine[0]["DesiredCapacity"] == len(instances) and \
                mine[0]["MaxSize"] == 4
        self.until(is_so)
        self.until(lambda: set(self.instances("many-env")) == instances)

    def other_instances(self, cname):
        """A type of instances that the ones that are there cannot be."""
        before = self.instances("many-env")
        with Load(self.tool, cname) as load:
            said = self.tool.wait(self.eb.update_environment(EnvironmentName="many-env", OptionSettings=[option("autoscaling:launchconfiguration", "InstanceType", "t3.small")]))
        self.assertEqual((said[-1], load.failed, set(load.heard)), ("Successfully deployed new configuration to environment.", [], {"two"}))
        after = self.instances("many-env")
        self.assertFalse(set(before) & set(after))
        seen = [i for r in self.tool.ec2.describe_instances(InstanceIds=after)["Reservations"] for i in r["Instances"]]
        self.assertEqual([i["InstanceType"] for i in seen], ["t3.small"] * 2)
        # what the new ones cannot run: the options are those of before, for instances to come as well
        said = self.tool.wait(self.eb.update_environment(EnvironmentName="many-env", VersionLabel="broken", OptionSettings=[
            option("autoscaling:launchconfiguration", "InstanceType", "t3.micro")]))
        self.assertEqual(said[-1], "Failed to deploy configuration.")
        settings, = self.eb.describe_configuration_settings(ApplicationName=self.tool.application, EnvironmentName="many-env")["ConfigurationSettings"]
        self.assertIn("t3.small", [s.get("Value") for s in settings["OptionSettings"] if s["OptionName"] == "InstanceType"])
        template, = self.left()["templates"]

        def latest():
            return self.tool.ec2.describe_launch_template_versions(LaunchTemplateName=template, Versions=["$Latest"])["LaunchTemplateVersions"][0]["LaunchTemplateData"]["InstanceType"]
        self.until(lambda: latest() == "t3.small" and set(self.instances("many-env")) == set(after))
        self.assertEqual({self.tool.get(cname) for _ in range(8)}, {"two - /"})
        self.in_batches(cname, after)

    def in_batches(self, cname, before):
        """One after the other, while one is kept in service."""
        policy = "autoscaling:updatepolicy:rollingupdate"
        with Load(self.tool, cname) as load:
            said = self.tool.wait(self.eb.update_environment(EnvironmentName="many-env", OptionSettings=[
                option("autoscaling:launchconfiguration", "InstanceType", "t3.micro"), option(policy, "RollingUpdateEnabled", "true"), option(policy, "RollingUpdateType", "Health"),
                option(policy, "MaxBatchSize", "1"), option(policy, "MinInstancesInService", "1"), option(policy, "PauseTime", "PT1S")]))
        deployed = ["Instance deployment successfully generated a 'Procfile'.", "Instance deployment completed successfully."]
        self.assertEqual([m for m in said if not m.startswith(("Adding new", "Waiting for inst"))], [
            "Environment update is starting.", "Updating environment many-env's configuration settings.",
            "Rolling update initiated. Terminating 2 obsolete instance(s) in batches of 1, while keeping at least 1 instance(s) in service.",
            f"Terminating instance(s) [{before[0]}]; replacing with 1 new instance(s).", *deployed,
            f"Terminating instance(s) [{before[1]}]; replacing with 1 new instance(s).", *deployed, "Successfully deployed new configuration to environment."])
        self.assertEqual((load.failed, set(load.heard)), ([], {"two"}))
        after = self.instances("many-env")
        self.assertEqual((len(after), set(before) & set(after)), (2, set()))
        seen = [i for r in self.tool.ec2.describe_instances(InstanceIds=after)["Reservations"] for i in r["Instances"]]
        self.assertEqual([i["InstanceType"] for i in seen], ["t3.micro"] * 2)

    def settings(self):
        """Options of what it is made of."""
        said = self.tool.wait(self.eb.update_environment(EnvironmentName="many-env", OptionSettings=[
            option(GROUP, "MaxSize", "3"), option("autoscaling:trigger", "UpperThreshold", "7000000"), option(PROCESS, "HealthCheckPath", "/well")]))
        self.assertEqual(said, ["Environment update is starting.", "Updating environment many-env's configuration settings.",
                                "Successfully deployed new configuration to environment."])
        there = self.left()
        group, = self.tool.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=there["scaling"])["AutoScalingGroups"]
        alarms = self.alarms.describe_alarms(AlarmNames=there["alarms"])["MetricAlarms"]
        targets, = self.elb.describe_target_groups(Names=there["targets"])["TargetGroups"]
        self.assertEqual((group["MinSize"], group["MaxSize"], group["DesiredCapacity"]), (2, 3, 2))
        self.assertEqual(sorted(a["Threshold"] for a in alarms), [2000000, 7000000])
        self.assertEqual(targets["HealthCheckPath"], "/well")


@unittest.skipIf(why_no_platform(), why_no_platform())
class Network(BalancedCase):
    """Where an environment lies, and what its balancer listens to."""

    def network(self):
        """A VPC with two public subnets; their ids."""
        ec2 = self.tool.ec2
        vpc = ec2.create_vpc(CidrBlock="10.31.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
        table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        zones = [z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]][:2]
        return vpc, [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.31.{i}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"] for i, zone in enumerate(zones)]

    def sealed(self, address, name, trust):
        """What is answered over TLS; None: nobody does."""
        try:
            with trust.wrap_socket(socket.create_connection((address, 443), 5), server_hostname=name) as s:
                s.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                return "one - /" if b"one - /" in b"".join(iter(lambda: s.recv(4096), b"")) else ""
        except OSError:
            return None

    def test_network(self):
        tool, acm = self.tool, self.make()[1]("acm", region=REGION)
        (vpc, subnets), name = self.network(), f"{uuid.uuid4().hex[:8]}.test"
        arn = acm.request_certificate(DomainName=name)["CertificateArn"]
        self.until(lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED")
        trust = ssl.create_default_context(cadata=acm.get_certificate(CertificateArn=arn)["CertificateChain"])
        more = tool.ec2.create_security_group(GroupName=f"more-{vpc}", Description="x", VpcId=vpc)["GroupId"]
        secure = "elbv2:listener:443"
        made = tool.create("net-env", "one", *QUICK, option("ec2:vpc", "VPCId", vpc), option("ec2:vpc", "Subnets", ",".join(subnets)),
                           option("ec2:vpc", "AssociatePublicIpAddress", "true"), option("autoscaling:launchconfiguration", "SecurityGroups", more),
                           option("autoscaling:launchconfiguration", "DisableIMDSv1", "true"), option(secure, "Protocol", "HTTPS"),
                           option(secure, "SSLCertificateArns", arn), option("elbv2:loadbalancer", "IdleTimeout", "90"), balanced=True)
        self.addCleanup(tool.drop, "net-env")
        said = tool.wait(made)
        self.assertEqual(said[-1], "Successfully launched environment: net-env", said)
        mine = tool.environment("net-env")
        balancer, = [b for b in self.elb.describe_load_balancers()["LoadBalancers"] if b["DNSName"] == mine["EndpointURL"]]
        self.assertEqual((balancer["VpcId"], sorted(z["SubnetId"] for z in balancer["AvailabilityZones"])), (vpc, sorted(subnets)))
        one, = self.instances("net-env")
        seen = tool.ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
        self.assertIn(seen["SubnetId"], subnets)
        self.assertEqual((len(seen["SecurityGroups"]), more in [g["GroupId"] for g in seen["SecurityGroups"]], seen["MetadataOptions"]["HttpTokens"]), (2, True, "required"))

        def listeners():
            return sorted((i["Port"], i["Protocol"]) for i in self.elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"])

        def idle():
            found = self.elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
            return [a["Value"] for a in found if a["Key"] == "idle_timeout.timeout_seconds"]
        self.assertEqual((listeners(), idle()), ([(80, "HTTP"), (443, "HTTPS")], ["90"]))
        address = tool.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [f"ELB {balancer['LoadBalancerArn'].split(':loadbalancer/')[1]}"]}])
        address = address["NetworkInterfaces"][0]["Association"]["PublicIp"]
        self.until(lambda: self.sealed(address, name, trust) == "one - /")
        # the one listener goes, and the other comes back, while the instances stay
        said = tool.wait(self.eb.update_environment(EnvironmentName="net-env", OptionSettings=[
            option("elbv2:listener:default", "ListenerEnabled", "false"), option("elbv2:loadbalancer", "IdleTimeout", "80")]))
        self.assertEqual(len([m for m in said if m.startswith("Deleted Load Balancer listener named: ")]), 1, said)
        self.assertEqual((listeners(), idle(), self.instances("net-env")), ([(443, "HTTPS")], ["80"], [one]))
        self.assertEqual(self.sealed(address, name, trust), "one - /")
        for code, message, options in (
                ("InvalidParameterValue", "At least one listener", [option(secure, "ListenerEnabled", "false")]),
                ("ConfigurationValidationException", "needs Protocol HTTPS", [option("elbv2:listener:8443", "Protocol", "HTTPS")]),
                ("ConfigurationValidationException", "Unknown configuration setting.", [option("elbv2:listener:0", "Protocol", "HTTP")]),
                ("ConfigurationValidationException", "There is no such VPC.", [option("ec2:vpc", "VPCId", "vpc-0123")]),
                ("InvalidParameterValue", "Changing ELBScheme", [option("ec2:vpc", "ELBScheme", "internal")]),
                ("ConfigurationValidationException", "not a duration", [option("autoscaling:updatepolicy:rollingupdate", "PauseTime", "5")])):
            self.assertAwsError(code, self.eb.update_environment, EnvironmentName="net-env", OptionSettings=options, status=400, message=message)
        said = tool.wait(self.eb.update_environment(EnvironmentName="net-env", OptionSettings=[option("elbv2:listener:default", "ListenerEnabled", "true")]))
        self.assertEqual(listeners(), [(80, "HTTP"), (443, "HTTPS")])
        self.until(lambda: tool.get(mine["CNAME"]) == "one - /")
        tool.wait(self.eb.terminate_environment(EnvironmentName="net-env"))
        self.assertEqual(acm.describe_certificate(CertificateArn=arn)["Certificate"].get("InUseBy", []), [])


# from a request for /ill on it is
ILL = """ill = False
def application(environ, start_response):
    global ill
    ill = ill or environ["PATH_INFO"] == "/ill"
    start_response("500 Ill" if ill else "200 OK", [("Content-Type", "text/plain")])
    return [b"ill /"]
"""


@unittest.skipIf(why_no_platform(), why_no_platform())
class Splitting(BalancedCase):
    """A share of the requests goes to the new version, for minutes that the test does not wait for."""

    @classmethod
    def make(cls):
        cls.cloud, make = moving_cloud(cls)
        return cls.cloud.endpoint, make

    def begin(self, version):
        """The deployment, when the share has been led to the new instances."""
        reply = self.update("split-env", version)
        request = reply["ResponseMetadata"]["RequestId"]
        self.until(lambda: any("of the traffic goes to the new version" in e["Message"] or e["Severity"] == "ERROR" for e in self.tool.events(request)))
        return reply

    def is_as_before(self, instances):
        there = self.left()
        return [len(there[kind]) for kind in ("targets", "scaling", "balancers", "instances")] == [1, 1, 1, 1] and self.instances("split-env") == instances

    def test_splitting(self):
        tool = self.tool
        tool.version("ill", {"application.py": ILL})
        made = tool.create("split-env", "one", *QUICK, option(COMMAND, "DeploymentPolicy", "TrafficSplitting"), option(PROCESS, "UnhealthyThresholdCount", "2"),
                           option("elasticbeanstalk:trafficsplitting", "NewVersionPercent", "50"),
                           option("elasticbeanstalk:trafficsplitting", "EvaluationTime", "3"), balanced=True)
        self.addCleanup(tool.drop, "split-env")
        tool.wait(made)
        cname, before = tool.environment("split-env")["CNAME"], self.instances("split-env")
        with Load(tool, cname) as load:
            reply = self.begin("two")
            self.until(lambda: load.heard.get("two", 0) > 20)
            self.assertEqual(tool.environment("split-env")["Status"], "Updating")
            one, two = load.heard["one"], load.heard["two"]
            self.until(lambda: load.heard["one"] > one and load.heard["two"] > two)
            self.cloud.forward("3m")
            said = tool.wait(reply)
            self.until(lambda: self.is_as_before(self.instances("split-env")))
        self.assertEqual(said[-1], "Environment update completed successfully.", said)
        self.assertEqual(load.failed, [])
        self.assertNotEqual(self.instances("split-env"), before)
        self.assertEqual({tool.get(cname) for _ in range(8)}, {"two - /"})
        # one that is ill after a while: all goes back to those of before
        before = self.instances("split-env")
        reply = self.begin("ill")
        self.until(lambda: (tool.get(cname, "/ill") or "ill").startswith("ill"))
        said = tool.wait(reply)
        self.assertEqual(said[-2:], ["The new version did not pass its evaluation. All traffic goes back to the instances of before.", "Failed to deploy application."])
        self.assertEqual((tool.environment("split-env")["Status"], tool.environment("split-env")["VersionLabel"]), ("Ready", "two"))
        self.until(lambda: self.is_as_before(before))
        self.assertEqual({tool.get(cname) for _ in range(8)}, {"two - /"})
        tool.wait(self.eb.terminate_environment(EnvironmentName="split-env"))
        self.assertEqual(self.left(), NOTHING)


if __name__ == "__main__":
    unittest.main()
