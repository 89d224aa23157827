"""Worker environments of Elastic Beanstalk: queues of their own, and a daemon that posts to the application what comes there."""
import json
import time
import unittest
import urllib.parse

from aws import ENDPOINT, TestCase, client
from beanstalk import PATIENCE_S, Tool, option, why_no_platform
from images import image

REGION = "af-south-1"
TIER = {"Name": "Worker", "Type": "SQS/HTTP"}
# Sends what it gets to the queue that it is told of, under the first word of the message; refuses what is to be refused.
APP = """import json, os, socket, sys
sys.path.insert(0, "/usr/lib/quartet")
from ecs_client import Client, RoleCredentials
def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    if environ["REQUEST_METHOD"] == "POST":
        heads = {name: value for name, value in environ.items() if name.startswith("HTTP_X_AWS_SQSD") or name in ("HTTP_USER_AGENT", "CONTENT_TYPE")}
        heads.update(HOST=socket.gethostname(), LEADS=str(os.path.exists("/run/aws-sqsd.leads")))
        Client(os.environ["PLACE"], RoleCredentials()).call("sqs", "AmazonSQS.SendMessage", {"QueueUrl": os.environ["TELL"], "MessageBody": json.dumps([environ["PATH_INFO"], body, heads])})
    start_response("500 No" if body.startswith("no") else "200 OK", [])
    return [b"x"]
"""


class Workers(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb, cls.sqs, cls.alarms = cls.tool.eb, client("sqs", region=REGION), client("cloudwatch", region=REGION)
        client("iam").attach_role_policy(RoleName="aws-elasticbeanstalk-ec2-role", PolicyArn="arn:aws:iam::aws:policy/AWSElasticBeanstalkWorkerTier")
        cls.tool.version("v1", {"application.py": APP, "cron.yaml": "version: 1\ncron:\n - {name: daily, url: /daily, schedule: '0 0 1 1 *'}\n"})

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")

    def told(self, url, wanted):
        """What the application says that it got, until that is there."""
        found = []
        def enough():
            for message in self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
            return wanted(found)
        self.until(enough)
        return found

    def depth(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return [int(n) for n in self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()]

    @unittest.skipIf(why_no_platform(), why_no_platform())
    def test_life(self):
        tool, sqs = self.tool, self.sqs
        if not image(tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        tell = sqs.create_queue(QueueName="told")["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=tell)
        # as an instance names it: by its path alone
        properties = {"TELL": "http://sqs" + urllib.parse.urlsplit(tell).path, "PLACE": REGION}
        made = tool.create("work-env", "v1", *(option("elasticbeanstalk:application:environment", k, v) for k, v in properties.items()),
                           option("elasticbeanstalk:sqsd", "HttpPath", "/jobs"), option("elasticbeanstalk:sqsd", "MaxRetries", "2"),
                           option("elasticbeanstalk:sqsd", "ErrorVisibilityTimeout", "0"), option("elasticbeanstalk:sqsd", "MimeType", "text/plain"), Tier=TIER)
        self.addCleanup(tool.drop, "work-env")
        self.assertEqual(made["Tier"], {"Name": "Worker", "Type": "SQS/HTTP", "Version": "1.0"})
        self.assertNotIn("CNAME", made)
        said = tool.wait(made)
        self.assertEqual(said[-1], "Successfully launched environment: work-env")
        self.assertFalse([m for m in said if m.startswith(("Application available at", "Created EIP"))])
        queues = {q["Name"]: q["URL"] for q in self.eb.describe_environment_resources(EnvironmentName="work-env")["EnvironmentResources"]["Queues"]}
        queue, dead = queues["WorkerQueue"], queues["WorkerDeadLetterQueue"]
        self.assertRegex(queue, rf"/awseb-{made['EnvironmentId']}-stack-AWSEBWorkerQueue-[A-Z0-9]{{12}}$")
        for url in (queue, dead):
            self.assertIn(f"Created SQS queue named: {url}", said)
        self.assertEqual(tool.environment("work-env")["EndpointURL"], queue)
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        self.assertEqual((attributes["VisibilityTimeout"], attributes["MessageRetentionPeriod"], json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]), ("300", "345600", 2))
        # what is taken is gone; what is not comes again, and goes where it can be looked at
        sent = sqs.send_message(QueueUrl=queue, MessageBody="yes", MessageAttributes={"Colour": {"DataType": "String", "StringValue": "red"}})["MessageId"]
        (path, body, heads), = self.told(tell, len)
        self.assertEqual((path, body, heads["CONTENT_TYPE"], heads["HTTP_X_AWS_SQSD_MSGID"], heads["HTTP_X_AWS_SQSD_ATTR_COLOUR"], heads["HTTP_X_AWS_SQSD_RECEIVE_COUNT"]),
                         ("/jobs", "yes", "text/plain", sent, "red", "1"))
        self.assertEqual(heads["HTTP_X_AWS_SQSD_QUEUE"], queue.rsplit("/", 1)[1])
        self.assertRegex(heads["HTTP_USER_AGENT"], "^aws-sqsd/")
        self.until(lambda: self.depth(queue) == [0, 0])
        sqs.send_message(QueueUrl=queue, MessageBody="no")
        counts = [heads["HTTP_X_AWS_SQSD_RECEIVE_COUNT"] for _, _, heads in self.told(tell, lambda found: len(found) == 2)]
        self.assertEqual(counts, ["1", "2"])
        self.until(lambda: self.depth(dead) == [1, 0])
        self.assertEqual(self.depth(queue), [0, 0])
        # what a periodic task becomes
        task = {"path": "/daily", "task_name": "daily", "scheduled_time": "2026-01-01T00:00:00Z"}
        sqs.send_message(QueueUrl=queue, MessageBody="elasticbeanstalk scheduled job",
                         MessageAttributes={f"beanstalk.sqsd.{name}": {"DataType": "String", "StringValue": value} for name, value in task.items()})
        (path, _, heads), = self.told(tell, len)
        self.assertEqual((path, heads["HTTP_X_AWS_SQSD_TASKNAME"], heads["HTTP_X_AWS_SQSD_SCHEDULED_AT"]), ("/daily", "daily", "2026-01-01T00:00:00Z"))
        # other settings reach the daemon; a schedule that is none is no deployment
        tool.wait(self.eb.update_environment(EnvironmentName="work-env", OptionSettings=[option("elasticbeanstalk:sqsd", "HttpPath", "/others")]))
        sqs.send_message(QueueUrl=queue, MessageBody="yes")
        self.assertEqual(self.told(tell, len)[0][0], "/others")
        tool.version("bad", {"application.py": APP, "cron.yaml": "version: 1\ncron:\n - {name: a, url: /a, schedule: often}\n"})
        said = tool.wait(self.eb.update_environment(EnvironmentName="work-env", VersionLabel="bad"))
        self.assertEqual(said[-1], "Failed to deploy application.")
        self.assertTrue(any("the schedule of a in cron.yaml is none: often" in m for m in said), said)
        sqs.send_message(QueueUrl=queue, MessageBody="yes")
        self.told(tell, len)
        # what the queues themselves have to know
        tool.wait(self.eb.update_environment(EnvironmentName="work-env", OptionSettings=[
            option("elasticbeanstalk:sqsd", "MaxRetries", "3"), option("elasticbeanstalk:sqsd", "RetentionPeriod", "86400")]))
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        self.assertEqual((attributes["MessageRetentionPeriod"], json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]), ("86400", 3))
        self.assertEqual(sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]["MessageRetentionPeriod"], "86400")
        for message, more in (("Changing WorkerQueueURL", {"OptionSettings": [option("elasticbeanstalk:sqsd", "WorkerQueueURL", queue)]}),
                              ("Changing the type", {"OptionSettings": [option("elasticbeanstalk:environment", "EnvironmentType", "LoadBalanced")]}),
                              ("less than VisibilityTimeout", {"OptionSettings": [option("elasticbeanstalk:sqsd", "VisibilityTimeout", "299")]}),
                              ("Changing the tier", {"Tier": {"Name": "WebServer", "Type": "Standard"}})):
            self.assertAwsError("InvalidParameterValue", self.eb.update_environment, EnvironmentName="work-env", status=400, message=message, **more)
        said = tool.wait(self.eb.terminate_environment(EnvironmentName="work-env"))
        for url in (queue, dead):
            self.assertIn(f"Deleted SQS queue named: {url}", said)
        self.assertEqual([url for url in sqs.list_queues().get("QueueUrls", []) if made["EnvironmentId"] in url], [])

    @unittest.skipIf(why_no_platform(), why_no_platform())
    def test_many(self):
        """A group of workers: all of them take messages, one sends what is periodic, and versions come in batches."""
        tool, sqs = self.tool, self.sqs
        if not image(tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        tell = sqs.create_queue(QueueName="told-by-many")["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=tell)
        properties = {"TELL": "http://sqs" + urllib.parse.urlsplit(tell).path, "PLACE": REGION}
        made = tool.create("many-work", "v1", *(option("elasticbeanstalk:application:environment", k, v) for k, v in properties.items()),
                           option("autoscaling:asg", "MinSize", "2"), option("autoscaling:asg", "MaxSize", "3"), option("elasticbeanstalk:command", "DeploymentPolicy", "Rolling"),
                           option("elasticbeanstalk:command", "BatchSizeType", "Fixed"), option("elasticbeanstalk:command", "BatchSize", "1"), Tier=TIER, balanced=True)
        self.addCleanup(tool.drop, "many-work")
        said = tool.wait(made)
        self.assertEqual((said[-1], said.count("Instance deployment completed successfully.")), ("Successfully launched environment: many-work", 2), said)
        self.assertFalse([m for m in said if "oad balancer" in m or "target group" in m], said)
        found = self.eb.describe_environment_resources(EnvironmentName="many-work")["EnvironmentResources"]
        queue = {q["Name"]: q["URL"] for q in found["Queues"]}["WorkerQueue"]
        there = tool.environment("many-work")
        self.assertEqual((len(found["Instances"]), found["LoadBalancers"], there["EndpointURL"], there["Health"]), (2, [], queue, "Green"))

        def leaders(hosts):
            """Who of the hosts leads, when that many have said whether they do, and one does."""
            heard = {}
            def once():
                sqs.send_message(QueueUrl=queue, MessageBody="yes")
                for message in sqs.receive_message(QueueUrl=tell, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                    sqs.delete_message(QueueUrl=tell, ReceiptHandle=message["ReceiptHandle"])
                    heads = json.loads(message["Body"])[2]
                    heard[heads["HOST"]] = heads["LEADS"] == "True"
                if sum(heard.values()) > 1:
                    heard.clear()  # one of them is gone
                return len(heard) >= hosts and sum(heard.values()) == 1
            self.until(once)
            return [host for host, leads in heard.items() if leads]
        leaders(2)
        # one batch after the other
        tool.version("v2", {"application.py": APP})
        said = tool.wait(self.eb.update_environment(EnvironmentName="many-work", VersionLabel="v2"))
        self.assertEqual(said[-1], "Environment update completed successfully.")
        self.assertEqual([m.split(":")[0] for m in said if m.endswith("Completed application deployment.")], ["Batch 1", "Batch 2"])
        # its alarm brings another one; when the one that leads ends, another one does
        group = found["AutoScalingGroups"][0]["Name"]
        alarms = self.alarms.describe_alarms(AlarmNamePrefix=group.split("-stack-")[0])["MetricAlarms"]
        high, = [a["AlarmName"] for a in alarms if "AlarmHigh" in a["AlarmName"]]
        self.alarms.set_alarm_state(AlarmName=high, StateValue="ALARM", StateReason="a test")
        self.until(lambda: len(self.eb.describe_environment_resources(EnvironmentName="many-work")["EnvironmentResources"]["Instances"]) == 3)
        leader, = leaders(3)
        one, = [i["InstanceId"] for r in tool.ec2.describe_instances(Filters=[{"Name": "private-dns-name", "Values": [f"{leader.split('.')[0]}.*"]}])["Reservations"] for i in r["Instances"]]
        tool.ec2.terminate_instances(InstanceIds=[one])
        self.until(lambda: leaders(2) != [leader])
        tool.wait(self.eb.terminate_environment(EnvironmentName="many-work"))
        self.assertEqual([url for url in sqs.list_queues().get("QueueUrls", []) if there["EnvironmentId"] in url], [])
        self.assertEqual(self.alarms.describe_alarms(AlarmNamePrefix=group.split("-stack-")[0])["MetricAlarms"], [])

    def test_bad_input(self):
        for code, message, options, more in (
                ("InvalidParameterCombination", "no CNAME", [], {"Tier": TIER, "CNAMEPrefix": "somewhere"}),
                ("InvalidParameterValue", "less than VisibilityTimeout", [option("elasticbeanstalk:sqsd", "InactivityTimeout", "300")], {"Tier": TIER}),
                ("InvalidParameterValue", "not the URL of a queue", [option("elasticbeanstalk:sqsd", "WorkerQueueURL", "http://there")], {"Tier": TIER}),
                ("ConfigurationValidationException", "A path begins", [option("elasticbeanstalk:sqsd", "HttpPath", "x")], {"Tier": TIER}),
                ("ConfigurationValidationException", "Value is not", [option("elasticbeanstalk:sqsd", "MaxRetries", "0")], {"Tier": TIER}),
                ("ConfigurationValidationException", "It is for worker environments.", [option("elasticbeanstalk:sqsd", "HttpPath", "/x")], {}),
                ("InvalidParameterValue", "TrafficSplitting is for", [option("elasticbeanstalk:environment", "EnvironmentType", "LoadBalanced"),
                                                                      option("elasticbeanstalk:command", "DeploymentPolicy", "TrafficSplitting")], {"Tier": TIER}),
                ("InvalidParameterValue", "not supported", [], {"Tier": {"Name": "Worker", "Type": "Standard"}})):
            self.assertAwsError(code, self.tool.create, "some-env", "v1", *options, status=400, message=message, **more)
        self.assertIsNone(self.tool.environment("some-env"))


if __name__ == "__main__":
    unittest.main()
