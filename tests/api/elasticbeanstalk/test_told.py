"""Who else hears of an environment of Elastic Beanstalk: CloudWatch its logs, its health and its figures, a topic its events, EventBridge what becomes of it. In a cloud whose
clock the test moves."""
import datetime
import json
import time
import unittest

from aws import TestCase
from beanstalk import APP, PATIENCE_S, Tool, option, why_no_platform
from images import image
from moving import moving_cloud

REGION = "sa-east-1"
LOGS, HEALTH_LOGS, TOPICS = "elasticbeanstalk:cloudwatch:logs", "elasticbeanstalk:cloudwatch:logs:health", "elasticbeanstalk:sns:topics"
MANAGED, DAYS = "elasticbeanstalk:managedactions", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HEALTH = "elasticbeanstalk:healthreporting:system"
GROUPS = {f"/aws/elasticbeanstalk/told-env/{log}": days for log, days in {
    "environment-health.log": 14, "var/log/eb-engine.log": 3, "var/log/eb-hooks.log": 3, "var/log/nginx/access.log": 3, "var/log/nginx/error.log": 3, "var/log/web.stdout.log": 3}.items()}
OF_ENVIRONMENT = ("ApplicationRequestsTotal", "ApplicationRequests2xx", "ApplicationRequests3xx", "ApplicationRequests4xx", "ApplicationRequests5xx", "InstancesOk",
                  "InstancesInfo", "InstancesWarning", "InstancesDegraded", "InstancesSevere", "InstancesNoData", "InstancesUnknown", "InstancesPending")
LATENCIES = ("ApplicationLatencyP99.9", "ApplicationLatencyP99", "ApplicationLatencyP95", "ApplicationLatencyP90", "ApplicationLatencyP85", "ApplicationLatencyP75",
             "ApplicationLatencyP50", "ApplicationLatencyP10")
OF_INSTANCE = ("InstanceHealth", "LoadAverage1min", "LoadAverage5min", "RootFilesystemUtil", "CPUUser", "CPUNice", "CPUSystem", "CPUIdle", "CPUIowait", "CPUIrq", "CPUSoftirq")
DOCUMENT = json.dumps({"Version": 1, "CloudWatchMetrics": {"Environment": {name: 60 for name in OF_ENVIRONMENT + LATENCIES}, "Instance": {name: 60 for name in OF_INSTANCE}},
                       "Rules": {"Environment": {"Application": {"ApplicationRequests4xx": {"Enabled": False}}, "ELB": {"ELBRequests4xx": {"Enabled": True}}}}})


@unittest.skipIf(why_no_platform(), why_no_platform())
class Told(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, make = moving_cloud(cls)
        cls.make = staticmethod(lambda service: make(service, region=REGION))
        cls.tool = Tool(cls.make, cls.cloud.endpoint)
        if not image(cls.tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        cls.sqs, cls.logs, cls.watch, cls.sns = (cls.make(name) for name in ("sqs", "logs", "cloudwatch", "sns"))

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")

    def queue(self, name, service):
        arn = f"arn:aws:sqs:{REGION}:000000000000:{name}"
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": arn}]}
        return self.sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(allow)})["QueueUrl"], arn

    def came(self, url, last):
        """The messages in a queue until one that `last` is true of."""
        found = []

        def more():
            for m in self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
                found.append(json.loads(m["Body"]))
            return any(last(m) for m in found)
        self.until(more)
        return found

    def groups(self):
        found = self.logs.describe_log_groups(logGroupNamePrefix="/aws/elasticbeanstalk/told-env/")["logGroups"]
        return {g["logGroupName"]: g.get("retentionInDays") for g in found}

    def said(self, group, stream=None):
        try:
            streams = [stream] if stream else [s["logStreamName"] for s in self.logs.describe_log_streams(logGroupName=group)["logStreams"]]
            return [e["message"] for s in streams for e in self.logs.get_log_events(logGroupName=group, logStreamName=s, startFromHead=True)["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def figure(self, name, **by):
        """(the sum, the unit) of what there is of it; None: nothing is."""
        now = datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc)
        found = self.watch.get_metric_statistics(
            Namespace="AWS/ElasticBeanstalk", MetricName=name, Dimensions=[{"Name": k, "Value": v} for k, v in {"EnvironmentName": "told-env", **by}.items()],
            StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(hours=2), Period=60, Statistics=["Sum"])["Datapoints"]
        return (sum(p["Sum"] for p in found), found[0]["Unit"]) if found else None

    def test_life(self):
        tool = self.tool
        notes, notes_arn = self.queue("notes", "sns.amazonaws.com")
        news, news_arn = self.queue("news", "events.amazonaws.com")
        events = self.make("events")
        events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.elasticbeanstalk"]}))
        events.put_targets(Rule="all", Targets=[{"Id": "q", "Arn": news_arn}])
        tool.version("v1", {"application.py": APP % "one"})
        made = tool.create(
            "told-env", "v1", option(HEALTH, "SystemType", "enhanced"), option(HEALTH, "ConfigDocument", DOCUMENT), option(LOGS, "StreamLogs", "true"),
            option(LOGS, "RetentionInDays", "3"), option(LOGS, "DeleteOnTerminate", "true"), option(HEALTH_LOGS, "HealthStreamingEnabled", "true"),
            option(HEALTH_LOGS, "RetentionInDays", "14"), option(TOPICS, "Notification Protocol", "sqs"), option(TOPICS, "Notification Endpoint", notes_arn))
        self.addCleanup(tool.drop, "told-env")
        said = tool.wait(made)
        self.assertEqual(said[-1], "Successfully launched environment: told-env", said)
        topic = f"arn:aws:sns:{REGION}:000000000000:ElasticBeanstalkNotifications-Environment-told-env"
        self.assertIn(f"Created SNS topic named: {topic}", said)
        self.assertEqual(self.groups(), GROUPS)
        instance = tool.eb.describe_environment_resources(EnvironmentName="told-env")["EnvironmentResources"]["Instances"][0]["Id"]
        self.notified(notes, topic, made["ResponseMetadata"]["RequestId"])
        self.heard(news)
        self.streamed(instance)
        self.measured(instance)
        self.refused()
        self.managed(instance, news)
        tool.wait(tool.eb.terminate_environment(EnvironmentName="told-env"))
        kept = {name: days for name, days in GROUPS.items() if name.endswith("environment-health.log")}
        self.assertEqual(self.groups(), kept, "those that shall be deleted with it are, and no others")
        self.assertEqual([t for t in self.sns.list_topics()["Topics"] if t["TopicArn"] == topic], [])

    def notified(self, url, topic, request):
        subject = "AWS Elastic Beanstalk Notification - Successfully launched environment: told-env"
        note, = [m for m in self.came(url, lambda m: m["Subject"] == subject) if m["Subject"] == subject]
        self.assertEqual(note["TopicArn"], topic)
        cname = self.tool.environment("told-env")["CNAME"]
        self.assertRegex(note["Message"], rf"^Timestamp: \w{{3}} \w{{3}} \d\d \d\d:\d\d:\d\d UTC \d{{4}}\nMessage: Successfully launched environment: told-env\n\nEnvironment: told-env\n"
                         rf"Application: {self.tool.application}\n\nEnvironment URL: http://{cname}\nRequestId: {request}\nNotificationProcessId: [0-9a-f-]{{36}}\n$")

    def heard(self, url):
        found = self.came(url, lambda m: m["detail"]["Status"] == "Environment creation successful")
        of = {m["detail"]["Status"]: m for m in found}
        self.assertEqual(of["Environment creation successful"]["detail-type"], "Elastic Beanstalk resource status change")
        self.assertEqual(of["Environment creation successful"]["resources"], [self.tool.environment("told-env")["EnvironmentArn"]])
        detail = of["Environment creation successful"]["detail"]
        self.assertEqual({k: detail[k] for k in ("ApplicationName", "EnvironmentName", "Message", "Severity")}, {
            "ApplicationName": self.tool.application, "EnvironmentName": "told-env", "Message": "Successfully launched environment: told-env", "Severity": "INFO"})
        self.assertTrue({m["detail-type"] for m in found} <= {"Elastic Beanstalk resource status change", "Other resource status change", "Health status change"}, found)

    def streamed(self, instance):
        self.assertIn("one", self.tool.get(self.tool.environment("told-env")["CNAME"], "/streamed"))
        self.until(lambda: any('"GET /streamed HTTP/1.1" 200' in line for line in self.said("/aws/elasticbeanstalk/told-env/var/log/nginx/access.log", instance)))
        self.until(lambda: any("Running command: " in line for line in self.said("/aws/elasticbeanstalk/told-env/var/log/eb-engine.log", instance)))

    def measured(self, instance):
        """With every minute: how it is, and what the document asks for."""
        cname = self.tool.environment("told-env")["CNAME"]
        self.until(lambda: self.tool.get(cname) and self.tool.eb.describe_environment_health(
            EnvironmentName="told-env", AttributeNames=["All"])["ApplicationMetrics"]["RequestCount"])
        self.cloud.forward("61s")
        self.until(lambda: self.figure("ApplicationLatencyP10"))
        for name in OF_ENVIRONMENT:
            self.assertEqual(self.until(lambda: self.figure(name))[1], "Count", name)  # noqa: B023
        self.assertGreater(self.figure("ApplicationRequestsTotal")[0], 0)
        self.assertEqual(self.figure("ApplicationRequestsTotal")[0], self.figure("ApplicationRequests2xx")[0])
        for name in LATENCIES:
            self.assertEqual(self.figure(name)[1], "Seconds", name)
        self.assertEqual(self.figure("EnvironmentHealth")[1], "None")
        for name in OF_INSTANCE:
            self.assertIsNotNone(self.until(lambda: self.figure(name, InstanceId=instance)), name)  # noqa: B023
        self.assertIsNone(self.figure("ApplicationRequestsTotal", InstanceId=instance), "nobody asked for it")
        line = json.loads(self.until(lambda: self.said("/aws/elasticbeanstalk/told-env/environment-health.log"))[0])
        self.assertEqual((line["environment-name"], set(line)), ("told-env", {"timestamp", "environment-name", "status", "color", "causes"}))

    def instance(self):
        found = self.tool.eb.describe_environment_resources(EnvironmentName="told-env")["EnvironmentResources"]["Instances"]
        return found[0]["Id"] if found else None

    def managed(self, before, news):
        """Other instances once a week: at once where somebody asks for it, else when the window comes."""
        eb, tool = self.tool.eb, self.tool
        self.assertEqual(eb.describe_environment_managed_actions(EnvironmentName="told-env")["ManagedActions"], [])
        starts = datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc) + datetime.timedelta(hours=3)
        said = tool.wait(eb.update_environment(EnvironmentName="told-env", OptionSettings=[
            option(MANAGED, "ManagedActionsEnabled", "true"), option(MANAGED, "PreferredStartTime", f"{DAYS[starts.weekday()]}:{starts:%H:%M}"),
            option(f"{MANAGED}:platformupdate", "UpdateLevel", "minor"), option(f"{MANAGED}:platformupdate", "InstanceRefreshEnabled", "true")]))
        self.assertEqual(said[-1], "Successfully deployed new configuration to environment.")
        action, = eb.describe_environment_managed_actions(EnvironmentName="told-env")["ManagedActions"]
        self.assertEqual((action["ActionType"], action["Status"], action["WindowStartTime"].replace(tzinfo=None)),
                         ("InstanceRefresh", "Scheduled", starts.replace(second=0, microsecond=0, tzinfo=None)))
        self.assertAwsError("InvalidParameterValue", eb.apply_environment_managed_action, EnvironmentName="told-env", ActionId="none", status=400)
        applied = eb.apply_environment_managed_action(EnvironmentName="told-env", ActionId=action["ActionId"])
        self.assertEqual((applied["ActionId"], applied["Status"]), (action["ActionId"], "Running"))
        self.assertAwsError("ManagedActionInvalidStateException", eb.apply_environment_managed_action, EnvironmentName="told-env", ActionId=action["ActionId"], status=400)
        self.assertEqual([a["Status"] for a in eb.describe_environment_managed_actions(EnvironmentName="told-env", Status="Running")["ManagedActions"]], ["Running"])
        done, = self.until(self.history)
        self.assertEqual((done["ActionId"], done["Status"], done["ActionType"]), (action["ActionId"], "Completed", "InstanceRefresh"))
        after = self.until(self.instance)
        self.assertNotEqual(after, before)
        self.cloud.forward("3h")
        self.until(lambda: len(self.history()) == 2)
        self.assertEqual(self.history()[0]["Status"], "Completed")
        self.assertNotIn(self.until(self.instance), (before, after))
        self.until(lambda: tool.get(tool.environment("told-env")["CNAME"]) == "one - /")
        first, = eb.describe_environment_managed_action_history(EnvironmentName="told-env", MaxItems=1)["ManagedActionHistoryItems"]
        self.assertGreater(first["ExecutedTime"], done["FinishedTime"])
        found = self.came(news, lambda m: m["detail"]["Status"] == "Managed update completed")
        self.assertIn("Managed update status change", {m["detail-type"] for m in found})
        action, = eb.describe_environment_managed_actions(EnvironmentName="told-env")["ManagedActions"]
        self.assertGreater(action["WindowStartTime"].replace(tzinfo=None) - starts.replace(tzinfo=None), datetime.timedelta(days=6, hours=23))

    def history(self):
        return self.tool.eb.describe_environment_managed_action_history(EnvironmentName="told-env")["ManagedActionHistoryItems"]

    def refused(self):
        for space, name, value, why in (
                (HEALTH, "ConfigDocument", "{", "no JSON object"), (HEALTH, "ConfigDocument", '{"CloudWatchMetrics": {"Environment": {"Nonsense": 60}}}', "no metric Nonsense"),
                (HEALTH, "ConfigDocument", '{"CloudWatchMetrics": {"Instance": {"CPUUser": 30}}}', "only supported period"),
                (HEALTH, "ConfigDocument", '{"Rules": {"Environment": {"Application": {"x": {"Enabled": false}}}}}', "rule"), (LOGS, "RetentionInDays", "8", "allowed values"),
                (MANAGED, "ManagedActionsEnabled", "true", "PreferredStartTime"), (MANAGED, "PreferredStartTime", "Tuesday:9", "Tue:09:00"),
                (TOPICS, "Notification Protocol", "email", "sent mail"), (TOPICS, "Notification Topic ARN", f"arn:aws:sns:{REGION}:000000000000:none", "no such topic")):
            self.assertAwsError("ConfigurationValidationException", self.tool.eb.update_environment, EnvironmentName="told-env", OptionSettings=[option(space, name, value)],
                                status=400, message=why)


if __name__ == "__main__":
    unittest.main()
